/* Slides drawn by code, with exact ground truth. Every value is a pure function of the options and the
 * position, so any box can be drawn alone and boxes fit together without seams.
 *
 * The truth: the class of a cell of 4 x 4 level-0 pixels is the class drawn at its pixel (2, 2), and all
 * areas are counted in such cells. The lumen of a gland is gland, the walls between fat cells are fat,
 * stroma between tumour nests is stroma; artefacts change no class. Outside the slide is glass. */
#ifndef MICROTOME_SYNTH_H
#define MICROTOME_SYNTH_H

#include "microtome/tiles.h"

typedef enum mt_synth_layout { MT_SYNTH_SVS, MT_SYNTH_TIFF } mt_synth_layout;

enum mt_synth_ink { MT_SYNTH_INK_SEED, MT_SYNTH_INK_BLUE, MT_SYNTH_INK_GREEN, MT_SYNTH_INK_RED, MT_SYNTH_INK_BLACK,
                    MT_SYNTH_INK_VIOLET, MT_SYNTH_INK_ORANGE, MT_SYNTH_INKS };

typedef struct mt_synth_opts {
    int version;               /* 1 */
    int64_t width, height;     /* level-0 pixels, 256 .. 200,000 */
    uint64_t seed;
    double mpp;                /* 0.1 .. 4, default 0.5 */
    mt_synth_layout layout;
    int32_t tile_px;           /* native tile, 240 or 256 or any multiple of 16 up to 1024 */
    int subsampling;           /* 420, 422 or 444 */
    int jpeg_quality;          /* default 80 */
    int rgb;                   /* 1: JPEG stores RGB, no markers, as Aperio does (implies 444) */
    double tumour;             /* rough share of tissue that is tumour, 0..1; default 0.2 */
    int pen, blur, fold;       /* artefacts to plant */
    int no_mpp;                /* leave the spacing out (the objective stays) */
    const char *label_text;    /* planted in label and macro; NULL = a default made of the seed */
    int threads;
    int bubble, debris, edge;  /* more artefacts to plant: air bubble, opaque specks, edge of the coverslip */
    int pen_colour;            /* mt_synth_ink; 0 = by the seed */
    double tissue;             /* rough share of the slide that is tissue, up to 0.9; 0 = 0.42..0.62 by the seed */
} mt_synth_opts;
#define MT_SYNTH_OPTS_INIT {.version = 1, .width = 8192, .height = 6144, .seed = 1, .mpp = 0.5, \
    .layout = MT_SYNTH_SVS, .tile_px = 240, .subsampling = 420, .jpeg_quality = 80, .tumour = 0.2, .threads = 1}

/* Classes of the truth, in the order of demo-tumor's class list. */
enum { MT_SYNTH_GLASS, MT_SYNTH_STROMA, MT_SYNTH_GLAND, MT_SYNTH_TUMOUR, MT_SYNTH_LYMPHOCYTES,
       MT_SYNTH_FAT, MT_SYNTH_NECROSIS, MT_SYNTH_CLASSES };
MT_API const char *mt_synth_class_name(int cls);

/* Writes the slide to path (whole or not at all), memory bounded by the width. Levels: 1, 4, 16, 64 as
 * far as a side passes 1024 pixels; each is the 4 x 4 mean of the one above, before JPEG. The bytes do
 * not depend on threads. Beside it, when the names are not NULL:
 * truth_csv: one row per cell of truth_px (4..65536) level-0 pixels: x,y and the area fraction of each
 *   class; cells cut by the slide's edge count their part inside.
 * truth_geojson: one feature per connected piece and class, glass left out, in level-0 pixels; the
 *   outlines follow cells of 8 pixels (8 more for every 16384 of the longer side) by majority, so the
 *   file stays small: exact areas are in the table.
 * Errors: ARG (an option, named), IO, NO_MEMORY, CANCELLED. */
MT_API MT_MUST_USE mt_status mt_synth_write(const char *path, const mt_synth_opts *opts,
                                            const char *truth_geojson, const char *truth_csv,
                                            int32_t truth_px, mt_progress_fn progress, void *ctx, mt_err *err);

/* Exact class fractions of a level-0 box of the slide that opts describe; all zero when the options are
 * out of range. Thread-safe. */
MT_API void mt_synth_truth(double fraction[MT_SYNTH_CLASSES], const mt_synth_opts *opts,
                           int64_t x_l0, int64_t y_l0, int32_t w_l0, int32_t h_l0);

/* Exact truth of the artefacts: bits of microtome/qc.h (MT_QC_FOCUS .. MT_QC_DARK, and MT_QC_TISSUE where the
 * class is not glass; focus and fold on tissue only) of n_x by n_y points, the level-0 pixel under
 * x_l0 + (i + 0.5) step_px. All zero when the options are out of range. Thread-safe. */
MT_API void mt_synth_artefacts(uint8_t *bits, size_t stride, const mt_synth_opts *opts, int64_t x_l0, int64_t y_l0,
                               double step_px, int32_t n_x, int32_t n_y);

/* Renders a box of level 0 as RGB, before JPEG (tests, training crops); white when the options are out of
 * range. The tables of the last slide are kept between calls. Thread-safe. */
MT_API void mt_synth_render(uint8_t *rgb, size_t stride, const mt_synth_opts *opts,
                            int64_t x_l0, int64_t y_l0, int32_t w, int32_t h);

#endif
