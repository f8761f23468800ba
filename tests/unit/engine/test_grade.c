/* Grades by hand: small plans whose every number can be worked out on paper. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "engine/grade.h"
#include "tests/support/support.h"

static void near(double have, double want)
{
    if (fabs(have - want) > 1e-12 * fmax(1.0, fabs(want))) {
        print_error("have %.17g, want %.17g\n", have, want);
        fail();
    }
}

/* A slide of 1000 x 700 pixels at 0.5 um, a grid of 400-pixel boxes with a step, all cells planned.
 */
typedef struct stage {
    mt_slide_info slide;
    mt_plan plan;
    mt_tile tiles[128];
    mt_tissue tissue;
    uint8_t mask[100 * 70], state[128];
    float probs[128 * 2];
    mt_card card;
    mt_scores scores;
} stage;

static void set(stage *s, int32_t box, int32_t step)
{
    memset(s, 0, sizeof *s);
    s->slide.n_levels = 1;
    s->slide.levels[0].width = 1000;
    s->slide.levels[0].height = 700;
    s->slide.mpp_x = s->slide.mpp_y = 0.5;
    s->plan.tiles = s->tiles;
    s->plan.box_l0 = box;
    s->plan.step_l0 = step;
    s->plan.slide_mpp = 0.5;
    for (int32_t c = 0; c * step < 1000; c++)
        for (int32_t r = 0; r * step < 700; r++)
            s->tiles[s->plan.n_tiles++] = (mt_tile){c * step, r * step, box, box, c, r, 1.0f};
    memset(s->state, MT_TILE_DONE, sizeof s->state);
    s->tissue = (mt_tissue){.width = 100,
                            .height = 70,
                            .px_l0 = 10,
                            .mask_mpp = 5,
                            .mask = s->mask,
                            .tissue_mm2 = 100 * 70 * 25e-6};
    memset(s->mask, 255, sizeof s->mask);
    s->card.n_classes = 2;
    strcpy(s->card.class_names[0], "benign");
    strcpy(s->card.class_names[1], "tumour");
    s->card.positive_class = 1;
    for (size_t i = 0; i < s->plan.n_tiles; i++) {
        s->probs[2 * i] = 0.75f;
        s->probs[2 * i + 1] = 0.25f;
    }
    s->scores = (mt_scores){&s->plan, &s->slide, s->probs, s->state, 2};
}

static void grade(mt_grade *g, stage *s, const char *roi, int topk)
{
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_grade_make(g, &s->card, &s->scores, &s->tissue, roi, topk, &err), &err);
}

static const double SLIDE_MM2 = 1000 * 700 * 0.25e-6;

static void areas_count_every_point_once(void **state)
{
    static const int steps[] = {400, 200, 100, 150, 399, 333};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        stage s;
        mt_grade g;
        set(&s, 400, steps[i]);
        grade(&g, &s, NULL, 0);
        /* The whole slide is planned: whatever the overlap, its area comes out once. */
        near(g.analysed_mm2, SLIDE_MM2);
        near(g.classes[0].area_mm2, SLIDE_MM2);
        near(g.classes[1].area_mm2, 0);
        near(g.classes[1].area_soft_mm2, 0.25 * SLIDE_MM2);
        near(g.classes[0].area_soft_mm2 + g.classes[1].area_soft_mm2, SLIDE_MM2);
        near(g.coverage, 1);
    }
}

static void edge_tiles_by_their_part(void **state)
{
    stage s;
    set(&s, 400, 400);
    /* column 2 begins at x 800: 200 of 400 wide; row 1 begins at y 400: 300 of 400 high */
    near(mt_tile_area_mm2(&s.plan, &s.slide, 0), 400 * 400 * 0.25e-6);
    near(mt_tile_area_mm2(&s.plan, &s.slide, 1), 400 * 300 * 0.25e-6);
    near(mt_tile_area_mm2(&s.plan, &s.slide, 4), 200 * 400 * 0.25e-6);
    near(mt_tile_area_mm2(&s.plan, &s.slide, 5), 200 * 300 * 0.25e-6);
    s.slide.mpp_y = 0.25; /* pixels need not be square */
    near(mt_tile_area_mm2(&s.plan, &s.slide, 0), 400 * 400 * 0.125e-6);
}

static void formulas(void **state)
{
    stage s;
    mt_grade g;
    set(&s, 400, 400);
    assert_int_equal(s.plan.n_tiles, 6);
    static const float p[6] = {0.125f, 0.875f, 0.5f, 0.9375f, 0.25f, 0.875f};
    static const double area[6] = {160000, 120000, 160000, 120000, 80000, 60000};
    double mean = 0, soft = 0, hard = 0;
    for (int i = 0; i < 6; i++) {
        s.probs[2 * i] = 1 - p[i];
        s.probs[2 * i + 1] = p[i];
        mean += (double)p[i] / 6;
        soft += (double)p[i] * area[i] * 0.25e-6;
        hard += p[i] > 0.5f ? area[i] * 0.25e-6 : 0;
    }
    grade(&g, &s, NULL, 3);
    assert_int_equal(g.graded, 1);
    assert_int_equal(g.topk_k, 3);
    near(g.classes[1].mean, mean);
    near(g.classes[1].max, 0.9375);
    near(g.classes[1].topk, (0.9375 + 0.875 + 0.875) / 3);
    near(g.score, g.classes[1].topk);
    near(g.classes[1].area_soft_mm2, soft);
    near(g.classes[1].area_mm2, hard);
    /* 0.5 is a tie: the first class has it; but it passes the threshold of 0.5. */
    near(g.classes[1].positive_mm2, hard + 160000 * 0.25e-6);
    near(g.classes[1].fraction, g.classes[1].positive_mm2 / SLIDE_MM2);
    assert_string_equal(g.threshold_name, "default");
    assert_string_equal(g.decision, "positive");
    /* by score, equals by tile id */
    assert_int_equal(g.n_top, 6);
    static const uint32_t order[6] = {3, 1, 5, 2, 4, 0};
    for (int i = 0; i < 6; i++)
        assert_int_equal(g.top[i].tile, order[i]);
    assert_int_equal(g.top[0].x_l0, 400);
    assert_int_equal(g.top[0].y_l0, 400);

    s.card.n_thresholds = 2;
    strcpy(s.card.thresholds[0].name, "sensitive");
    s.card.thresholds[0].value = 0.95;
    s.card.thresholds[1].value = 0.1;
    grade(&g, &s, NULL, 1);
    assert_string_equal(g.threshold_name, "sensitive");
    near(g.score, 0.9375);
    assert_string_equal(g.decision, "negative");
    near(g.classes[1].positive_mm2, 0);
}

static void top_tiles_of_many(void **state)
{
    stage s;
    mt_grade g;
    set(&s, 100, 100);
    s.plan.n_tiles = 60;
    for (int i = 0; i < 60; i++) {
        s.probs[2 * i + 1] = (float)(i * 37 % 60) / 64.0f;
        s.probs[2 * i] = 1 - s.probs[2 * i + 1];
    }
    grade(&g, &s, NULL, 100);
    assert_int_equal(g.n_top, MT_TOP_TILES);
    for (int i = 0; i < MT_TOP_TILES; i++)
        assert_true(g.top[i].score == (float)(59 - i) / 64.0f);
    near(g.classes[1].topk, g.classes[1].mean); /* k above n: all of them */
}

static void no_positive_class(void **state)
{
    stage s;
    mt_grade g;
    set(&s, 400, 400);
    s.card.positive_class = -1;
    grade(&g, &s, NULL, 0);
    assert_string_equal(g.decision, "benign");
    near(g.score, 0.75);
    s.card.n_classes = s.scores.n_classes = 1;
    grade(&g, &s, NULL, 0);
    assert_int_equal(g.positive_class, 0);
    assert_string_equal(g.decision, "positive");
}

static void one_percent(void **state)
{
    enum { N = 1000 };
    static mt_tile tiles[N];
    static float probs[2 * N];
    static uint8_t st[N];
    stage s;
    mt_grade g;
    set(&s, 400, 400);
    s.plan.box_l0 = s.plan.step_l0 = 1;
    for (int i = 0; i < N; i++) {
        tiles[i] = (mt_tile){i % 1000, 0, 1, 1, i % 1000, 0, 1.0f};
        probs[2 * i] = 0.5f;
        probs[2 * i + 1] = 0.5f;
        st[i] = i < 6 ? MT_TILE_UNREADABLE : i < 10 ? MT_TILE_NAN : MT_TILE_DONE;
        if (i < 10) probs[2 * i] = probs[2 * i + 1] = NAN;
    }
    s.plan.tiles = tiles;
    s.plan.n_tiles = N;
    s.scores = (mt_scores){&s.plan, &s.slide, probs, st, 2};
    grade(&g, &s, NULL, 0);
    assert_int_equal(g.graded, 1); /* exactly 1 % still is one */
    assert_int_equal(g.n_unreadable, 6);
    assert_int_equal(g.n_nan, 4);
    assert_int_equal(g.n_done, 990);
    near(g.classes[0].mean, 0.5);
    near(g.analysed_mm2, 990 * 0.25e-6);
    st[N - 1] = MT_TILE_EXCLUDED; /* of what is graded 10 of 999 are more */
    grade(&g, &s, NULL, 0);
    assert_int_equal(g.n_excluded, 1);
    assert_int_equal(g.graded, 0);
    assert_non_null(strstr(g.reason, "6 of 999"));
    st[N - 1] = MT_TILE_DONE;
    st[10] = MT_TILE_NAN;
    probs[20] = NAN;
    grade(&g, &s, NULL, 0);
    assert_int_equal(g.graded, 0);
    assert_non_null(strstr(g.reason, "6 of 1000"));
    assert_true(isnan(g.score) && isnan(g.classes[0].mean) && isnan(g.classes[1].area_mm2));
    assert_string_equal(g.decision, "");
    st[11] = MT_TILE_PENDING;
    mt_err err = MT_ERR_INIT;
    assert_int_equal(mt_grade_make(&g, &s.card, &s.scores, &s.tissue, NULL, 0, &err),
                     MT_ERR_INTERNAL);
}

static void empty_slide(void **state)
{
    stage s;
    mt_grade g;
    set(&s, 400, 400);
    s.plan.n_tiles = 0;
    memset(s.mask, 0, sizeof s.mask);
    s.tissue.tissue_mm2 = 0;
    grade(&g, &s, NULL, 0);
    assert_int_equal(g.graded, 0);
    assert_string_equal(g.reason, "no tissue");
    assert_true(isnan(g.score));
    near(g.coverage, 0);
}

static void coverage(void **state)
{
    stage s;
    mt_grade g;
    set(&s, 400, 400);
    /* Tissue: the left 40 mask columns (x < 400). Only tile (0,0) is planned: y < 400 of 700. */
    for (int y = 0; y < 70; y++)
        for (int x = 0; x < 100; x++)
            s.mask[y * 100 + x] = x < 40 ? 255 : 0;
    s.tissue.tissue_mm2 = 40 * 70 * 25e-6;
    s.plan.n_tiles = 1;
    grade(&g, &s, NULL, 0);
    near(g.tissue_mm2, 40 * 70 * 25e-6);
    near(g.coverage, 40.0 / 70.0);
    /* ROI: x 100..300, y 100..500: 20 x 40 mask pixels of tissue, of which y < 400 were looked at.
     */
    static const char roi[] = "{\"type\":\"Polygon\",\"coordinates\":[[[100,100],[300,100],[300,"
                              "500],[100,500],[100,100]]]}";
    mt_err err = MT_ERR_INIT;
    const char *path = tt_tmp_file("roi.geojson");
    tt_ok(mt_file_write(path, roi, sizeof roi - 1, &err), &err);
    grade(&g, &s, path, 0);
    near(g.tissue_mm2, 20 * 40 * 25e-6);
    near(g.coverage, 30.0 / 40.0);
    /* Smaller than a mask pixel and between their centres: still its own area, half of it seen. */
    static const char tiny[] = "{\"type\":\"Polygon\",\"coordinates\":[[[156.25,395],[163.75,395],"
                               "[163.75,405],[156.25,405],[156.25,395]]]}";
    tt_ok(mt_file_write(path, tiny, sizeof tiny - 1, &err), &err);
    grade(&g, &s, path, 0);
    near(g.tissue_mm2, 7.5 * 10 * 0.25e-6);
    near(g.coverage, 0.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(areas_count_every_point_once),
                                       cmocka_unit_test(edge_tiles_by_their_part),
                                       cmocka_unit_test(formulas),
                                       cmocka_unit_test(top_tiles_of_many),
                                       cmocka_unit_test(no_positive_class),
                                       cmocka_unit_test(one_percent),
                                       cmocka_unit_test(empty_slide),
                                       cmocka_unit_test(coverage)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
