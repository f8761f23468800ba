/* The grade: plain data, everything a result writer may know. No function here reads a slide. */
#ifndef MICROTOME_GRADE_H
#define MICROTOME_GRADE_H

#include "microtome/model.h"
#include "microtome/qc.h"
#include "microtome/stain.h"
#include "microtome/tissue.h"

typedef enum mt_tile_state {
    MT_TILE_PENDING = 0,
    MT_TILE_DONE = 1,
    MT_TILE_UNREADABLE = 2,    /* a native tile under it would not decode */
    MT_TILE_NAN = 3,           /* the network gave NaN or Inf */
    MT_TILE_EXCLUDED = 4       /* has a score, but quality control keeps it out of the grade */
} mt_tile_state;

/* One number per class over the analysed tiles. Formulas: mean = (1/n) sum p; max; topk = mean of the
 * k best (k = min(topk_k, n)); fraction = area of tiles with p >= threshold / analysed area. */
typedef struct mt_class_grade {
    double mean, max, topk;
    double area_mm2;           /* hard votes (argmax), each point of the slide counted once */
    double area_soft_mm2;      /* sum of p times area */
    double positive_mm2;       /* area of tiles with p >= threshold */
    double fraction;           /* positive_mm2 / analysed_mm2 */
} mt_class_grade;

#define MT_TOP_TILES 16
#define MT_MAX_WARNINGS (MT_MAX_SLIDE_WARNINGS + 8)

typedef struct mt_grade {
    int graded;                /* 0: no grade, see reason (empty slide, too many unreadable tiles) */
    char reason[160];
    int n_classes;
    mt_class_grade classes[MT_MAX_CLASSES];
    int positive_class;        /* the class the slide-level score speaks of; -1 none */
    char threshold_name[24];
    double threshold;          /* tile threshold from the card, 0.5 when the card has none */
    double score;              /* slide-level score of the positive class: topk mean */
    int topk_k;
    char decision[48];         /* "positive"/"negative" by score >= threshold, class name when no positive class, or "" */
    double tissue_mm2;         /* tissue of the slide (inside the ROI when there is one) */
    double analysed_mm2;       /* part of the tissue grid that was scored, each point counted once */
    double coverage;           /* analysed tissue / tissue, 0..1 */
    uint64_t n_tiles, n_done, n_unreadable, n_nan, n_excluded;
    int n_top;
    struct { uint32_t tile; float score; int64_t x_l0, y_l0; int32_t w_l0, h_l0; } top[MT_TOP_TILES];
} mt_grade;

/* Identity and provenance of one slide's result. */
typedef struct mt_result {
    /* slide */
    char stem[256];            /* file stem as other tools use it (or the pseudonym) */
    char slide_id[32];         /* pseudonymous id: "s-" and 16 hex digits of the digest */
    char slide_digest[65];
    mt_slide_info slide;
    /* model, plan, tissue: borrowed from the run, valid while it lasts. A slide that was not analysed
     * has a plan of no tiles and may have no tissue (NULL) */
    const mt_card *card;
    const char *model_digest;
    const mt_plan *plan;
    const mt_tissue *tissue;
    /* scores: n_tiles x n_classes, row-major, plan order; NaN where state is neither DONE nor EXCLUDED */
    const float *probs;
    const uint8_t *tile_state; /* mt_tile_state */
    mt_grade grade;
    /* provenance */
    char engine_version[24], kernel_set[16];
    const mt_engine_info *inference; /* what ran the network; kernel_set is its name when it is not this engine.
                                        Borrowed from the model */
    char key[65];              /* digest of slide, model, card and options: root member "key" of result.json.
                                  A rerun with the same key takes the result, or the rejection by quality
                                  control, as finished; "" = never finished */
    mt_tissue_origin tissue_origin; /* where the mask came from */
    struct {
        mt_stain_request wanted; /* by the command line or the card */
        int applied;           /* 1: tiles were normalised */
        char reason[160];      /* why they were not although wanted (--stain-fallback none) */
        mt_stain measured;     /* pixels 0: not measured */
    } stain;
    /* Quality control: NULL when it was off. Borrowed like plan and tissue. */
    const mt_qc *qc;
    mt_qc_config qc_config;    /* the limits that were applied */
    mt_qc_verdict qc_verdict;
    int qc_rejected;           /* 1: set aside for it: nothing was scored */
    const uint8_t *tile_qc;    /* MT_QC_* flags of each tile; NULL without qc or tiles */
    double assumed_mpp;        /* > 0 when --assume-mpp was used */
    char out_of_scope[160];    /* reason given with --allow-out-of-scope; "" = in scope */
    int scope_unverified;      /* metadata silent where the card declares a scope */
    char warnings[MT_MAX_WARNINGS][160]; /* the slide's own first, as it gave them when opened */
    int n_warnings;
    /* run block: the only part that differs between two runs */
    char started[32], finished[32]; /* RFC 3339 UTC */
    double wall_s, cpu_s;
    int threads;
    mt_fetch_stats fetch;
    /* how tiles were made: not of the run block */
    int fast_scaling;          /* 1: the card or the user asked for it */
    const char *fast_way;      /* as mt_tiles_fast_way says; "exact" without it */
    int reduced_by;            /* the same */
} mt_result;

#endif
