/* Where a tissue mask comes from: our own detection, a mask somebody drew or another tool made, or a
 * network that was trained for it. */
#ifndef MICROTOME_TISSUE_H
#define MICROTOME_TISSUE_H

#include "microtome/tiles.h"

/* Replaces the mask of `tissue` (one of mt_tissue_detect: its grid stays) by that of a file:
 *
 * - GeoJSON polygons in level-0 pixels, as `microtome tissue --geojson` and QuPath write them. A mask
 *   pixel is tissue when its centre lies inside a polygon. Polygons add up; those whose QuPath
 *   classification is Ignore* (any name that ends in *), Artifact, Artefact, Background or Glass are
 *   taken away. A FeatureCollection without features means: no tissue.
 * - PNG over the whole slide, as `microtome tissue -o` and HistoQC (`*_mask_use.png`) write them: bright
 *   (above half) is tissue. Of exactly the grid's size it is taken pixel by pixel, of any other it is
 *   stretched over the slide, whose shape it must have (2 % and a pixel and a half are allowed).
 *
 * Errors: NOT_FOUND, IO, FORMAT (place and value), LIMIT, NO_MEMORY; the mask is then as it was. */
MT_API MT_MUST_USE mt_status mt_tissue_read(mt_tissue *tissue, const char *path, mt_err *err);

/* What a result says of its mask. */
typedef struct mt_tissue_origin {
    char kind[16];    /* "detected", "geojson", "png", "model" */
    char digest[65];  /* SHA-256 of the mask file or the network; "" when detected */
    char model[96];   /* name and version of the model; "" else */
    double threshold; /* of the model's output; 0 else */
} mt_tissue_origin;

typedef struct mt_tissue_source mt_tissue_source;

/* given: NULL (detection), a mask file, "model:NAME" or "model:PATH" or a path that ends in .onnx (a
 * model whose card has the task `tissue`), or a folder of masks. In a folder the mask of slide S.ext is
 * S.geojson, S.json, S.png, S_mask_use.png, S.ext_mask_use.png or S.ext/S.ext_mask_use.png (HistoQC's
 * output folder). A model is opened once, here. Errors: NOT_FOUND, what mt_model_open says, CARD for a
 * model of another task. *out is the caller's; immutable, shared by any number of threads. */
MT_API MT_MUST_USE mt_status mt_tissue_source_open(mt_tissue_source **out, const char *given, mt_err *err);
MT_API void mt_tissue_source_close(mt_tissue_source **source);

/* What the source has for a slide, before it is used: the file is found and digested. NOT_FOUND when the
 * folder has no mask for the slide: a slide without one fails, nothing is guessed; ARG when it has
 * several. slide_path is looked at for its name alone. */
MT_API MT_MUST_USE mt_status mt_tissue_source_origin(mt_tissue_origin *out, const mt_tissue_source *source,
                                                     const char *slide_path, mt_err *err);

/* The mask, on the grid of mt_tissue_detect. A mask that was drawn or learned stays as it is, and nothing
 * of the slide is decoded for it but what the model looks at: opts' specks, holes and evidence are for
 * detection only, source_level is -1. */
MT_API MT_MUST_USE mt_status mt_tissue_source_find(mt_tissue **out, const mt_tissue_source *source,
                                                   const mt_slide *slide, const char *slide_path,
                                                   const mt_tissue_opts *opts, mt_err *err);

#endif
