/* Stains: measured once a slide, then normalised or taken apart tile by tile.
 *
 * Optical density here is OD = -ln((p + 1) / 240) for a pixel value p, the form of M. Veta's published
 * code for Macenko's method, whose reference values are the default target; the way back is its exact
 * inverse, p = 240 exp(-OD) - 1, clipped to 0..255 and rounded.
 *
 * Macenko et al., ISBI 2009: pixels with OD >= 0.15 in every channel; their OD projected on the plane of
 * the two largest eigenvectors of its covariance; the directions at the 1st and 99th percentile of the
 * angle are the stains, the one with more red absorption is hematoxylin; the strength of a stain is the
 * 99th percentile of its amount (least squares). Normalised: the amounts, scaled by the strengths, in
 * the target's directions.
 * Reinhard et al., IEEE CG&A 2001: mean and deviation of l, alpha, beta (natural logarithm of the cone
 * responses of p + 1) over pixels with OD >= 0.15 in some channel are brought to the target's.
 * Ruifrok and Johnston, 2001: amounts of fixed or measured stains by the inverse of their matrix, white
 * being 255: OD = -ln((p + 1) / 256). With two stains the third is what stands at right angles to both. */
#ifndef MICROTOME_STAIN_H
#define MICROTOME_STAIN_H

#include "microtome/tiles.h"

typedef enum mt_stain_method { MT_STAIN_NONE, MT_STAIN_MACENKO, MT_STAIN_REINHARD } mt_stain_method;
MT_API const char *mt_stain_method_name(mt_stain_method m); /* "none", "macenko", "reinhard" */

/* Figures of one slide or one target. Rounded to six decimals, so that the file holds them exactly. */
typedef struct mt_stain {
    int version;             /* 1 */
    double vectors[2][3];    /* hematoxylin, eosin (or whatever the second stain is): OD in R, G, B, length 1 */
    double strength[2];      /* 99th percentile of the amount, in natural optical density */
    double angle_deg;        /* between the two */
    double lab_mean[3], lab_std[3]; /* of l, alpha, beta */
    char fault[160];         /* why vectors and strength say nothing (one stain alone); "" = they do */
    char warning[160];       /* why they may mislead (stains that are much alike); "" = nothing is known */
    uint64_t pixels;         /* tissue pixels looked at; 0 in a published reference */
    uint64_t stained;        /* of these, with enough density in every channel */
    int32_t tiles;           /* sample tiles */
    double mpp;              /* spacing of the samples */
} mt_stain;

/* The default target: for Macenko the reference of Veta's code (hematoxylin 0.5626 0.7201 0.4062, eosin
 * 0.2159 0.8012 0.5581, strengths 1.9705 and 1.0308); for Reinhard the one HistomicsTK's documentation
 * uses, TCGA-A2-A3XS-DX1 (mean 8.74108109 -0.12440419 0.0444982, deviation 0.6135447 0.10989545 0.0286032). */
MT_API const mt_stain *mt_stain_reference(void);

/* Measures a slide on up to 64 sample tiles of 256 pixels at 1 um/px (the slide's own spacing when that
 * is coarser), spread evenly over the tissue, every second pixel of every second row. The same for any
 * number of threads. memory: ceiling for tile buffers, 0 = 256 MiB. UNSUPPORTED, with the figures, when
 * there is too little tissue to measure, and for a fluorescence slide; a slide whose second stain cannot
 * be told has `fault` set and can be normalised by Reinhard only; `warning` is set where both stains lie
 * nearest to one and the same of mt_stain_nearest, or less than 15 degrees apart. Otherwise as
 * mt_plan_make and reading tiles. */
MT_API MT_MUST_USE mt_status mt_stain_measure(mt_stain *out, const mt_slide *slide, const mt_tissue *tissue,
                                              int threads, uint64_t memory, mt_err *err);

/* The figures as JSON, and back. parse names `what` in errors (FORMAT). load: at most 64 KiB. */
MT_API MT_MUST_USE mt_status mt_stain_write(const mt_stain *stain, const char *path, mt_err *err);
MT_API MT_MUST_USE mt_status mt_stain_load(mt_stain *out, const char *path, mt_err *err);
MT_API MT_MUST_USE mt_status mt_stain_parse(mt_stain *out, const char *text, size_t n, const char *what,
                                            mt_err *err);

/* The stain of Ruifrok and Johnston nearest to a vector, and the angle between them. */
MT_API const char *mt_stain_nearest(double *degrees, const double vector[3]);

/* What is asked for in words: "none", "macenko", "reinhard", either with ":FILE.json" for a target of
 * mt_stain_write (else the default one). ARG for another word, what mt_stain_load says. */
typedef struct mt_stain_request {
    mt_stain_method method;
    int own_target;          /* 1: from a file or a card, 0: the default */
    mt_stain target;
} mt_stain_request;
MT_API MT_MUST_USE mt_status mt_stain_request_parse(mt_stain_request *out, const char *text, mt_err *err);

/* What happens to every tile after resampling. Immutable; any number of passes may share one. */
typedef struct mt_stain_map mt_stain_map;
MT_API MT_MUST_USE mt_status mt_stain_map_normalise(mt_stain_map **out, mt_stain_method method,
                                                    const mt_stain *from, const mt_stain *to, mt_err *err);

typedef enum mt_stain_set { MT_STAINS_HE, MT_STAINS_HDAB, MT_STAINS_HED, MT_STAINS_MEASURED } mt_stain_set;
typedef enum mt_stain_channel { MT_CHANNEL_HEMATOXYLIN, MT_CHANNEL_EOSIN, MT_CHANNEL_DAB, MT_CHANNEL_RESIDUAL }
    mt_stain_channel;
/* Grey: what one stain alone lets through, 256 exp(-amount) - 1; glass is 255. measured: for
 * MT_STAINS_MEASURED (hematoxylin, eosin, residual). ARG when the set has no such channel. */
MT_API MT_MUST_USE mt_status mt_stain_map_channel(mt_stain_map **out, mt_stain_channel channel, mt_stain_set set,
                                                  const mt_stain *measured, mt_err *err);
MT_API void mt_stain_map_free(mt_stain_map **map);
/* n RGB pixels in place. */
MT_API void mt_stain_map_apply(const mt_stain_map *map, uint8_t *rgb, size_t n);

#endif
