/* A small result made by hand: 1000 x 700 pixels at 0.5 um, tiles of 100 on a grid of 100 (or 50).
 */
#ifndef MT_TEST_MADE_H
#define MT_TEST_MADE_H

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "microtome/result.h"

typedef struct made {
    mt_card card;
    mt_plan plan;
    mt_tissue tissue;
    mt_result r;
} made;

static inline void made_add_tile(made *m, int64_t x, int64_t y, mt_tile_state state,
                                 const float *probs)
{
    size_t i = m->plan.n_tiles++, k = (size_t)m->card.n_classes;
    m->plan.tiles = realloc(m->plan.tiles, m->plan.n_tiles * sizeof(mt_tile));
    float *p = realloc((void *)(uintptr_t)m->r.probs, m->plan.n_tiles * k * sizeof(float));
    uint8_t *s = realloc((void *)(uintptr_t)m->r.tile_state, m->plan.n_tiles);
    m->plan.tiles[i] = (mt_tile){x,
                                 y,
                                 m->plan.box_l0,
                                 m->plan.box_l0,
                                 (int32_t)(x / m->plan.step_l0),
                                 (int32_t)(y / m->plan.step_l0),
                                 1.0f};
    for (size_t c = 0; c < k; c++)
        p[i * k + c] = probs ? probs[c] : NAN;
    s[i] = (uint8_t)state;
    m->r.probs = p;
    m->r.tile_state = s;
}

/* No tiles yet. */
static inline void made_begin(made *m, int32_t step)
{
    memset(m, 0, sizeof *m);
    m->card = (mt_card){.name = "hand-made",
                        .version = "1.2.0",
                        .state = "research",
                        .task = "tile-classification",
                        .n_classes = 2,
                        .class_names = {"Other", "Tumour"},
                        .positive_class = 1,
                        .patch_px = 100,
                        .mpp = 0.5,
                        .input_px = 100,
                        .activation = "softmax",
                        .n_thresholds = 1,
                        .thresholds = {{"default", 0.5, "val"}},
                        .license = "CC0-1.0",
                        .intended_use = "tests of the writers",
                        .not_for = "diagnosis"};
    m->plan = (mt_plan){.tile_px = 100,
                        .out_px = 100,
                        .target_mpp = 0.5,
                        .slide_mpp = 0.5,
                        .box_l0 = 100,
                        .step_l0 = step,
                        .level_downsample = 1,
                        .resample = 1,
                        .overlap = 1 - step / 100.0,
                        .min_tissue = 0.25,
                        .grid_cols = 1000 / step,
                        .grid_rows = 700 / step};
    memset(m->plan.digest, 'b', 64);
    static const mt_engine_info engine = {"microtome", "0.1.0", ""};
    m->r = (mt_result){.stem = "made",
                       .inference = &engine,
                       .slide_id = "s-0123456789abcdef",
                       .model_digest =
                           "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc",
                       .engine_version = "0.1.0",
                       .kernel_set = "ref",
                       .started = "2026-01-31T08:15:00Z",
                       .finished = "2026-01-31T08:15:02Z",
                       .wall_s = 2.5,
                       .cpu_s = 4.75,
                       .threads = 2};
    memset(m->r.slide_digest, 'a', 64);
    memset(m->r.key, 'd', 64);
    mt_slide_info *s = &m->r.slide;
    *s = (mt_slide_info){.format = "generic-tiff",
                         .vendor = "generic-tiff",
                         .n_levels = 1,
                         .mpp_x = 0.5,
                         .mpp_y = 0.5,
                         .mpp_source = "tiff.XResolution",
                         .scanner = "Serial 4711",
                         .file_bytes = 12345};
    s->levels[0] = (mt_level){.width = 1000,
                              .height = 700,
                              .downsample = 1,
                              .tile_w = 256,
                              .tile_h = 256,
                              .tiles_x = 4,
                              .tiles_y = 3,
                              .codec = "jpeg"};
    m->r.card = &m->card;
    m->r.plan = &m->plan;
    m->r.grade = (mt_grade){.graded = 1,
                            .n_classes = 2,
                            .positive_class = 1,
                            .threshold_name = "default",
                            .threshold = 0.5,
                            .topk_k = 10,
                            .tissue_mm2 = 0.01,
                            .analysed_mm2 = 0.0075,
                            .coverage = 0.75};
}

/* Four tiles: two scored, one NaN, one unreadable. */
static inline void made_small(made *m)
{
    static const float a[2] = {0.9f, 0.1f}, b[2] = {0.25f, 0.75f};
    made_begin(m, 100);
    made_add_tile(m, 0, 0, MT_TILE_DONE, a);
    made_add_tile(m, 0, 100, MT_TILE_NAN, NULL);
    made_add_tile(m, 100, 0, MT_TILE_UNREADABLE, NULL);
    made_add_tile(m, 700, 500, MT_TILE_DONE, b);
    mt_grade *g = &m->r.grade;
    g->n_tiles = 4;
    g->n_done = 2;
    g->n_unreadable = g->n_nan = 1;
    g->score = 0.425;
    strcpy(g->decision, "negative");
    g->classes[0] = (mt_class_grade){.mean = 0.575,
                                     .max = 0.9,
                                     .topk = 0.575,
                                     .area_mm2 = 0.0025,
                                     .area_soft_mm2 = 0.002875,
                                     .positive_mm2 = 0.0025,
                                     .fraction = 0.5};
    g->classes[1] = (mt_class_grade){.mean = 0.425,
                                     .max = 0.75,
                                     .topk = 0.425,
                                     .area_mm2 = 0.0025,
                                     .area_soft_mm2 = 0.002125,
                                     .positive_mm2 = 0.0025,
                                     .fraction = 0.5};
    g->n_top = 2;
    g->top[0].tile = 3;
    g->top[0].score = 0.75f;
    g->top[0].x_l0 = 700;
    g->top[0].y_l0 = 500;
    g->top[0].w_l0 = g->top[0].h_l0 = 100;
    g->top[1].score = 0.1f;
    g->top[1].w_l0 = g->top[1].h_l0 = 100;
    strcpy(m->r.warnings[0], "upsampled 2.0 times");
    m->r.n_warnings = 1;
}

static inline void made_free(made *m)
{
    free(m->plan.tiles);
    free((void *)(uintptr_t)m->r.probs);
    free((void *)(uintptr_t)m->r.tile_state);
    free(m->tissue.mask);
}

#endif
