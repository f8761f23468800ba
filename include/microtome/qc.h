/* Quality control: what on a slide is not tissue in focus.
 *
 * Everything is measured at fixed spacings (artefacts at MT_TISSUE_MPP, focus at 1 um/px) and on the
 * tissue alone where it must be, so that a biopsy and a resection, a deep pyramid and a flat one get
 * the same figures. The answer is bit-identical for any number of threads. */
#ifndef MICROTOME_QC_H
#define MICROTOME_QC_H

#include "microtome/tiles.h"

/* Artefacts, and the bits of the flags map. */
enum { MT_QC_N = 6 };
enum {
    MT_QC_FOCUS = 1,    /* tissue out of focus */
    MT_QC_PEN = 2,      /* ink of any colour */
    MT_QC_FOLD = 4,     /* tissue lying double */
    MT_QC_BUBBLE = 8,   /* air under the coverslip: rim and what it encloses */
    MT_QC_EDGE = 16,    /* edge of the coverslip: a long straight dark line */
    MT_QC_DARK = 32,    /* opaque debris, dust, pigment */
    MT_QC_GROUND = 64,  /* tissue, or an artefact that hides tissue */
    MT_QC_TISSUE = 128  /* the tissue mask */
};
/* Word of artefact i (bit 1 << i): "focus", "pen", "fold", "bubble", "edge", "dark"; NULL past the last. */
MT_API const char *mt_qc_name(int i);

/* What a run does with a slide that passes the limits: nothing is looked at; the result carries a warning;
 * as warn, and a slide beyond a reject limit is not analysed. */
typedef enum mt_qc_mode { MT_QC_MODE_WARN, MT_QC_MODE_OFF, MT_QC_MODE_REJECT } mt_qc_mode;

/* Limits of the gate. NaN = no limit. */
typedef struct mt_qc_limit {
    double warn, reject;
} mt_qc_limit;

typedef struct mt_qc_config {
    int version;               /* 1 */
    double focus_min;          /* sharpness below which tissue is out of focus, 0..1 (default 0.18) */
    double tile_share;         /* an artefact is a flag of a tile from this share on (default 0.5) */
    unsigned exclude;          /* bits: tiles with such a flag are left out of the grade (default none) */
    mt_qc_limit share[MT_QC_N];/* most share of the tissue area an artefact may have */
    mt_qc_limit usable_share;  /* least share of the tissue without any artefact */
    mt_qc_limit usable_mm2;    /* least area of it */
    mt_qc_limit focus_median;  /* least median sharpness of the tissue */
} mt_qc_config;

/* The defaults: warn from 10 % (focus, fold) or 5 % (pen, bubble, edge, dark) of the tissue on, reject from
 * 50 % on; warn below 70 % usable tissue, reject below 30 %. No limit on area and median. */
MT_API void mt_qc_config_default(mt_qc_config *out);

/* Reads a configuration (JSON; members left out keep their default, unknown ones are refused):
 *
 *   {"schema": "microtome.qc", "schema_version": 1,
 *    "focus_min": 0.18, "tile_share": 0.5, "exclude": ["focus", "pen"],
 *    "gate": {"focus": {"warn": 0.1, "reject": 0.5}, "pen": {...}, "fold": {...}, "bubble": {...},
 *             "edge": {...}, "dark": {...}, "usable_share": {"warn": 0.7, "reject": 0.3},
 *             "usable_mm2": {"reject": 0.5}, "focus_median": {"reject": 0.2}}}
 *
 * A limit of null is no limit. Errors: FORMAT (names the member), NOT_FOUND, IO, LIMIT. */
MT_API MT_MUST_USE mt_status mt_qc_config_load(mt_qc_config *out, const char *path, mt_err *err);
MT_API MT_MUST_USE mt_status mt_qc_config_parse(mt_qc_config *out, const char *text, size_t n,
                                                const char *what, mt_err *err);
/* The bits of a list of names ("focus,pen"); ARG names the word that is none. "" and "none": 0. */
MT_API MT_MUST_USE mt_status mt_qc_bits_parse(unsigned *out, const char *text, mt_err *err);

#define MT_QC_TOP_PIECES 8

/* Figures of one slide. Shares are of the ground: the tissue and what artefacts hide of it. */
typedef struct mt_qc_figures {
    double tissue_mm2;         /* ground */
    double usable_mm2, usable_share; /* of it without any flag; NaN without tissue */
    double area_mm2[MT_QC_N];  /* of the slide under each artefact, glass included */
    double share[MT_QC_N];     /* of the ground; focus: of the tissue nothing hides; NaN when not measured */
    /* Sharpness of the tissue, see tiles/qc/focus.c: 0 smooth, 1 noise; a slide in focus has 0.3 to 0.65.
     * Quantiles over the measured tissue area; NaN when none was measured. */
    double focus_p05, focus_p25, focus_p50, focus_p75, focus_p95;
    double focus_mpp;          /* um/px it was measured at; 0: not measured, the slide is too coarse */
    int focus_level;           /* level that was read */
    double focus_measured;     /* share of the tissue that was looked at */
    uint64_t focus_tiles, focus_pixels; /* native tiles and pixels decoded for it */
    int n_pieces;              /* connected tissue pieces */
    double piece_mm2[MT_QC_TOP_PIECES]; /* the largest ones, falling; 0 beyond n_pieces */
} mt_qc_figures;

/* The map: one byte a pixel of the tissue grid. */
typedef struct mt_qc {
    int32_t width, height;     /* of the tissue grid */
    double px_l0, mask_mpp;    /* side of a pixel in level-0 pixels and um */
    int64_t slide_w, slide_h;  /* level-0 pixels */
    uint8_t *flags;            /* bits, row by row */
    mt_qc_figures figures;
} mt_qc;

typedef struct mt_qc_opts {
    int version;               /* 1 */
    int threads;               /* >= 1 */
    double focus_min;          /* as in mt_qc_config */
} mt_qc_opts;
#define MT_QC_OPTS_INIT {1, 1, 0.18}

/* Looks for artefacts. tissue: of this slide; made with keep_evidence, the coarse level is not decoded
 * again. Costs besides that: at most every 20th pixel of level 0, decoded for the focus, and 2 bytes a
 * pixel of the tissue grid. Errors: ARG, SPACING, LIMIT, IO, NO_MEMORY. *out is the caller's. */
MT_API MT_MUST_USE mt_status mt_qc_detect(mt_qc **out, const mt_slide *slide, const mt_tissue *tissue,
                                          const mt_qc_opts *opts, mt_err *err);
MT_API void mt_qc_free(mt_qc **qc);

/* Flags of a level-0 box: the artefacts that cover at least `share` of it, or of the ground in it. */
MT_API unsigned mt_qc_flags(const mt_qc *qc, double x_l0, double y_l0, double w_l0, double h_l0, double share);

typedef enum mt_qc_verdict_kind { MT_QC_PASS, MT_QC_WARN, MT_QC_REJECT } mt_qc_verdict_kind;
MT_API const char *mt_qc_verdict_name(mt_qc_verdict_kind kind); /* "pass", "warn", "reject" */

typedef struct mt_qc_verdict {
    mt_qc_verdict_kind kind;
    char reason[160];          /* what decided, with figure and limit; "" when all passes */
} mt_qc_verdict;

/* Holds the figures against the limits. Rejection goes before warning; of several limits the reason names
 * as many as fit. A figure that is not known (NaN) passes; a slide without tissue passes: it is empty. */
MT_API void mt_qc_gate(mt_qc_verdict *out, const mt_qc_figures *figures, const mt_qc_config *config);

/* The slide with its artefacts in colour, a legend and the figures. slide NULL: on the map alone.
 * verdict may be NULL. Whole or not at all. */
MT_API MT_MUST_USE mt_status mt_qc_write_png(const mt_qc *qc, const mt_slide *slide,
                                             const mt_qc_verdict *verdict, const char *path, mt_err *err);
/* The flags map as a grey PNG, one byte a pixel, bits as above. */
MT_API MT_MUST_USE mt_status mt_qc_write_mask(const mt_qc *qc, const char *path, mt_err *err);

#endif
