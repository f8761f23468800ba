#include "fake.h"

#include <limits.h>
#include "microtome/tiles.h"
#include "tiles/plan/roi.h"

static mt_slide *slide_of(int64_t w, int64_t h, double mpp)
{
    mt_slide *s = fake_new(mpp);
    s->info.n_levels = 1;
    s->info.levels[0] = (mt_level){.width = w,
                                   .height = h,
                                   .downsample = 1,
                                   .tile_w = 240,
                                   .tile_h = 240,
                                   .tiles_x = (w + 239) / 240,
                                   .tiles_y = (h + 239) / 240};
    return s;
}

static void add_level(mt_slide *s, int64_t w, int64_t h)
{
    const mt_level *b = &s->info.levels[0];
    s->info.levels[s->info.n_levels++] =
        (mt_level){.width = w,
                   .height = h,
                   .downsample = ((double)b->width / (double)w + (double)b->height / (double)h) / 2,
                   .tile_w = 240,
                   .tile_h = 240,
                   .tiles_x = (w + 239) / 240,
                   .tiles_y = (h + 239) / 240};
}

static mt_plan *make(const mt_slide *s, const mt_tissue *t, const mt_plan_opts *o)
{
    mt_err e = MT_ERR_INIT;
    mt_plan *p;
    tt_ok(mt_plan_make(&p, s, t, o, &e), &e);
    return p;
}

static mt_status refused(const mt_slide *s, const mt_tissue *t, const mt_plan_opts *o, mt_err *e)
{
    mt_plan *p = (mt_plan *)s;
    mt_err_clear(e);
    mt_status st = mt_plan_make(&p, s, t, o, e);
    assert_null(p);
    return st;
}

static mt_tissue *mask(const mt_slide *s, unsigned seed)
{
    mt_tissue *t = calloc(1, sizeof *t);
    t->mask_mpp = 8;
    t->px_l0 = 8 / s->info.mpp_x;
    t->slide_w = s->info.levels[0].width;
    t->slide_h = s->info.levels[0].height;
    t->width = (int32_t)ceil(t->slide_w / t->px_l0);
    t->height = (int32_t)ceil(t->slide_h / t->px_l0);
    t->mask = calloc((size_t)t->width, (size_t)t->height);
    for (int32_t y = 0; y < t->height; y++)
        for (int32_t x = 0; x < t->width; x++) /* blobs of a few pixels */
            t->mask[y * t->width + x] =
                ((x / 5 * 7919u + y / 4 * 104729u + seed) * 2654435761u >> 29) < 4 ? 255 : 0;
    t->tissue_mm2 = 1;
    return t;
}

/* Even-odd by hand, straight from the definition. */
typedef struct ring {
    int n;
    double p[8][2];
} ring;

static bool in_ring(const ring *r, double x, double y)
{
    bool in = false;
    for (int i = 0; i < r->n; i++) {
        const double *a = r->p[i], *b = r->p[(i + 1) % r->n];
        if ((a[1] <= y) != (b[1] <= y) && x >= a[0] + (y - a[1]) / (b[1] - a[1]) * (b[0] - a[0]))
            in = !in;
    }
    return in;
}

/* Every grid cell, asked one by one. */
static void plan_is_the_filtered_grid(void **state)
{
    static const struct {
        int64_t w, h;
        double mpp, target, overlap, min;
        int32_t tile;
        mt_edge_policy edge;
        int roi;
    } cases[] = {
        {10007, 6011, 0.25, 0.5, 0, 0.25, 256, MT_EDGE_PAD, 0},
        {10007, 6011, 0.25, 0.25, 0.5, 0.6, 300, MT_EDGE_PAD, 0},
        {10007, 6011, 0.2527, 0.5, 0.1, 0, 224, MT_EDGE_DROP, 0},
        {10007, 6011, 0.499, 0.25, 0.25, 1.0, 64, MT_EDGE_PAD, 0},
        {10007, 6011, 0.25, 1.0, 0, 0.25, 100, MT_EDGE_DROP, 1},
        {4000, 9000, 0.5, 0, 0.33, 0.1, 129, MT_EDGE_PAD, 1},
    };
    static const ring outer = {
        5, {{700.5, 300}, {3900, 900}, {3100.25, 5100}, {1500, 3900}, {800, 5000}}};
    static const ring hole = {4, {{1500, 1500}, {2500, 1600}, {2400, 2600}, {1400, 2500}}};
    static const ring island = {3, {{2600, 2200}, {6000, 2700}, {2800, 3300}}};
    const char *roi = tt_tmp_file("roi.geojson");
    FILE *f = fopen(roi, "w");
    fprintf(f, "{\"type\":\"FeatureCollection\",\"features\":[{\"type\":\"Feature\",\"geometry\":{"
               "\"type\":\"Polygon\",\"coordinates\":["
               "[[700.5,300],[3900,900],[3100.25,5100],[1500,3900],[800,5000],[700.5,300]],"
               "[[1500,1500],[2500,1600],[2400,2600],[1400,2500],[1500,1500]]]},\"properties\":{"
               "\"name\":\"a\"}},"
               "{\"type\":\"Feature\",\"geometry\":null,\"properties\":{}},"
               "{\"type\":\"Feature\",\"geometry\":{\"type\":\"MultiPolygon\",\"coordinates\":[[[["
               "2600,2200],[6000,2700],[2800,3300]]]]}}]}");
    fclose(f);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        mt_slide *s = slide_of(cases[k].w, cases[k].h, cases[k].mpp);
        mt_tissue *t = mask(s, (unsigned)k);
        mt_plan_opts o = MT_PLAN_OPTS_INIT;
        o.tile_px = cases[k].tile;
        o.mpp = cases[k].target;
        o.overlap = cases[k].overlap;
        o.min_tissue = cases[k].min;
        o.edge = cases[k].edge;
        o.roi_path = cases[k].roi ? roi : NULL;
        mt_plan *p = make(s, t, &o);
        double target = cases[k].target > 0 ? cases[k].target : cases[k].mpp;
        int64_t box = (int64_t)nearbyint(cases[k].tile * target / cases[k].mpp);
        int64_t step = (int64_t)nearbyint((1 - cases[k].overlap) * (double)box);
        assert_int_equal(p->box_l0, box);
        assert_int_equal(p->step_l0, step);
        size_t i = 0;
        for (int64_t x = 0; x < cases[k].w; x += step)
            for (int64_t y = 0; y < cases[k].h; y += step) {
                if (cases[k].edge == MT_EDGE_DROP && (x + box > cases[k].w || y + box > cases[k].h))
                    continue;
                double share =
                    mt_tissue_fraction(t, (double)x, (double)y, (double)box, (double)box);
                double cx = (double)x + (double)box / 2.0, cy = (double)y + (double)box / 2.0;
                if (share < cases[k].min) continue;
                if (cases[k].roi && !((in_ring(&outer, cx, cy) && !in_ring(&hole, cx, cy)) ||
                                      in_ring(&island, cx, cy)))
                    continue;
                assert_true(i < p->n_tiles);
                assert_int_equal(p->tiles[i].x_l0, x);
                assert_int_equal(p->tiles[i].y_l0, y);
                assert_int_equal(p->tiles[i].w_l0, box);
                assert_int_equal(p->tiles[i].col, x / step);
                assert_int_equal(p->tiles[i].row, y / step);
                assert_true(p->tiles[i].tissue == (float)share);
                i++;
            }
        assert_int_equal(i, p->n_tiles);
        assert_true(i > 0);
        if (cases[k].roi) {
            assert_true(p->roi_mm2 > 0 && p->tissue_mm2 > 0 && p->tissue_mm2 < p->roi_mm2);
            assert_true(p->n_tiles < (size_t)p->grid_cols * (size_t)p->grid_rows / 2);
        }
        mt_plan_free(&p);
        mt_tissue_free(&t);
        mt_slide_close(&s);
    }
}

static void roi_areas(void **state)
{
    mt_slide *s = slide_of(10000, 8000, 0.5);
    const char *roi = tt_tmp_file("area.geojson");
    FILE *f = fopen(roi, "w"); /* two squares that overlap, one with a hole, one over the slide's
                                  edge: a bare array */
    fprintf(f, "[{\"type\":\"Polygon\",\"coordinates\":[[[1000,1000],[3000,1000],[3000,3000],[1000,"
               "3000],[1000,1000]],"
               "[[1200,1200],[1600,1200],[1600,1600],[1200,1600],[1200,1200]]]},"
               "{\"type\":\"Polygon\",\"coordinates\":[[[2000,2000],[2000,4000],[4000,4000],[4000,"
               "2000],[2000,2000]]]},"
               "{\"type\":\"Feature\",\"geometry\":{\"type\":\"Polygon\",\"coordinates\":[[[9000,"
               "7000],[12000,7000],[12000,12000],[9000,12000],[9000,7000]]]}}]");
    fclose(f);
    mt_tissue *t = mask(s, 1);
    memset(t->mask, 0, (size_t)t->width * (size_t)t->height);
    for (int32_t y = 0; y < t->height; y++)
        for (int32_t x = 0; x < 125; x++)
            t->mask[y * t->width + x] = 255; /* x < 2000 */
    mt_plan_opts o = MT_PLAN_OPTS_INIT;
    o.roi_path = roi;
    mt_plan *p = make(s, t, &o);
    double want =
        (2000. * 2000 - 400. * 400 + 2000. * 2000 - 1000. * 1000 + 1000. * 1000) * 0.25e-6;
    assert_true(fabs(p->roi_mm2 - want) < 0.002 * want);
    double tissue = (1000. * 2000 - 400. * 400) * 0.25e-6;
    assert_true(fabs(p->tissue_mm2 - tissue) < 0.005 * tissue);
    mt_plan_free(&p);
    o.roi_path = NULL;
    p = make(s, t, &o);
    assert_true(p->roi_mm2 == 0 && p->tissue_mm2 == t->tissue_mm2);
    mt_plan_free(&p);
    mt_tissue_free(&t);
    mt_slide_close(&s);
}

static void level_and_scale(void **state)
{
    mt_slide *s = slide_of(46003, 32005, 0.2501);
    add_level(s, 11500, 8001); /* floor of a quarter: exactly 4 */
    add_level(s, 2876, 2001);  /* ceil of a sixteenth */
    mt_plan_opts o = MT_PLAN_OPTS_INIT;
    o.whole_slide = 1;
    static const struct {
        double mpp;
        int level;
        double ds;
        int upsampled;
    } cases[] = {
        {0.2501, 0, 1, 0}, {0.25, 0, 1, 0}, {0.5, 0, 1, 0},   {1.0, 1, 4, 0}, {0.98, 0, 1, 0},
        {2.0, 1, 4, 0},    {4.0, 2, 16, 0}, {0.125, 0, 1, 1}, {0.2, 0, 1, 1},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        o.mpp = cases[k].mpp;
        mt_plan *p = make(s, NULL, &o);
        assert_int_equal(p->level, cases[k].level);
        assert_true(p->level_downsample == cases[k].ds);
        assert_int_equal(p->upsampled, cases[k].upsampled);
        assert_true(p->resample == p->box_l0 / cases[k].ds / 256.0);
        assert_int_equal(p->out_px, 256);
        mt_plan_free(&p);
    }
    o.mpp = 0.5;
    o.out_px = 64;
    mt_plan *p = make(s, NULL, &o);
    assert_int_equal(p->out_px, 64);
    assert_true(p->resample == p->box_l0 / 64.0);
    assert_int_equal(p->upsampled, 0);
    mt_plan_free(&p);

    /* Half goes to even, as in the tools whose grids we share. */
    mt_slide_close(&s);
    s = slide_of(5000, 5000, 1.0);
    o = (mt_plan_opts)MT_PLAN_OPTS_INIT;
    o.whole_slide = 1;
    o.tile_px = 257;
    o.overlap = 0.5;
    p = make(s, NULL, &o);
    assert_int_equal(p->step_l0, 128);
    mt_plan_free(&p);
    o.tile_px = 259;
    p = make(s, NULL, &o);
    assert_int_equal(p->step_l0, 130);
    mt_plan_free(&p);
    mt_slide_close(&s);
}

static void spacing_rules(void **state)
{
    mt_err e = MT_ERR_INIT;
    mt_slide *s = slide_of(5000, 5000, 0.499);
    mt_plan_opts o = MT_PLAN_OPTS_INIT;
    o.whole_slide = 1;
    o.mpp = 0.25; /* 1.996 times: allowed, and said */
    mt_plan *p = make(s, NULL, &o);
    assert_int_equal(p->upsampled, 1);
    mt_plan_free(&p);
    o.mpp = 0.2375; /* 2.101 times */
    assert_int_equal(refused(s, NULL, &o, &e), MT_ERR_SPACING);
    assert_non_null(strstr(e.text, "0.499"));
    assert_non_null(strstr(e.text, "0.2375"));
    assert_non_null(strstr(e.text, "fake.MPP"));
    o.max_upsample = 3;
    p = make(s, NULL, &o);
    mt_plan_free(&p);
    mt_slide_close(&s);

    s = slide_of(5000, 5000, 0);
    assert_int_equal(refused(s, NULL, &o, &e), MT_ERR_SPACING);
    o.mpp = 0; /* pixels are enough for pixels */
    p = make(s, NULL, &o);
    assert_int_equal(p->box_l0, 256);
    assert_true(p->slide_mpp == 0);
    mt_plan_free(&p);
    mt_slide_close(&s);
}

static void bad_requests_and_ceilings(void **state)
{
    mt_err e = MT_ERR_INIT;
    mt_slide *s = slide_of(200000, 200000, 0.5);
    mt_plan_opts good = MT_PLAN_OPTS_INIT, o = good;
    good.whole_slide = 1;
    assert_int_equal(refused(s, NULL, &o, &e), MT_ERR_ARG); /* no mask, not the whole slide */
#define BAD(field, value, code)                                                                    \
    o = good, o.field = value, assert_int_equal(refused(s, NULL, &o, &e), code)
    BAD(version, 2, MT_ERR_ARG);
    BAD(tile_px, 15, MT_ERR_ARG);
    BAD(tile_px, 8193, MT_ERR_ARG);
    BAD(out_px, -1, MT_ERR_ARG);
    BAD(mpp, -0.5, MT_ERR_ARG);
    BAD(mpp, NAN, MT_ERR_ARG);
    BAD(mpp, INFINITY, MT_ERR_ARG);
    BAD(overlap, 1.0, MT_ERR_ARG);
    BAD(overlap, -0.1, MT_ERR_ARG);
    BAD(overlap, NAN, MT_ERR_ARG);
    BAD(min_tissue, 1.5, MT_ERR_ARG);
    BAD(min_tissue, NAN, MT_ERR_ARG);
    BAD(max_upsample, 0, MT_ERR_ARG);
    BAD(overlap, 0.999, MT_ERR_LIMIT); /* 200,000 x 200,000 cells */
    BAD(tile_px, 64, MT_ERR_LIMIT);    /* 9.8 million tiles */
    BAD(roi_path, "/nowhere/at-all.geojson", MT_ERR_NOT_FOUND);
#undef BAD
    mt_slide_close(&s);

    s = slide_of(300, 200, 0.5); /* smaller than a tile */
    o = good;
    o.tile_px = 512;
    mt_plan *p = make(s, NULL, &o);
    assert_int_equal(p->n_tiles, 1);
    assert_true(fabs(p->tiles[0].tissue - 300 * 200 / (512.0f * 512)) < 1e-6);
    mt_plan_free(&p);
    o.edge = MT_EDGE_DROP;
    p = make(s, NULL, &o);
    assert_int_equal(p->n_tiles, 0);
    mt_plan_free(&p);
    mt_slide_close(&s);
}

static void bad_rois(void **state)
{
    static const struct {
        const char *text;
        mt_status code;
        const char *says;
    } cases[] = {
        {"", MT_ERR_FORMAT, ""},
        {"{", MT_ERR_FORMAT, "line 1"},
        {"[]", MT_ERR_FORMAT, "no polygon"},
        {"{}", MT_ERR_FORMAT, "'type' is missing"},
        {"17", MT_ERR_FORMAT, ""},
        {"{\"type\":7}", MT_ERR_FORMAT, "'type' is missing"},
        {"{\"type\":\"FeatureCollection\"}", MT_ERR_FORMAT, "'features'"},
        {"{\"type\":\"FeatureCollection\",\"features\":[{\"type\":\"Feature\",\"geometry\":{"
         "\"type\":\"Point\",\"coordinates\":[1,2]}}]}",
         MT_ERR_FORMAT, "features[0]: type 'Point' has no area"},
        {"{\"type\":\"Polygon\"}", MT_ERR_FORMAT, "needs a ring"},
        {"{\"type\":\"Polygon\",\"coordinates\":[]}", MT_ERR_FORMAT, "needs a ring"},
        {"{\"type\":\"Polygon\",\"coordinates\":[[[0,0],[1,1]]]}", MT_ERR_FORMAT,
         "three positions"},
        {"{\"type\":\"Polygon\",\"coordinates\":[[[0,0],[1,1],[2]]]}", MT_ERR_FORMAT,
         "two numbers"},
        {"{\"type\":\"Polygon\",\"coordinates\":[[[0,0],[1,\"1\"],[2,0]]]}", MT_ERR_FORMAT,
         "not a number"},
        {"{\"type\":\"Polygon\",\"coordinates\":[[[0,0],[1,1e300],[2,0]]]}", MT_ERR_FORMAT,
         "out of range"},
        {"{\"type\":\"Polygon\",\"coordinates\":[[[0,0],[1,1e999],[2,0]]]}", MT_ERR_FORMAT, ""},
        {"{\"type\":\"MultiPolygon\",\"coordinates\":{}}", MT_ERR_FORMAT, "not an array"},
        {"[[[[[[[[[[[{\"type\":\"Point\"}]]]]]]]]]]]", MT_ERR_FORMAT, "too deep"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        mt_roi *roi = NULL;
        mt_err e = MT_ERR_INIT;
        mt_status st = mt_roi_parse(&roi, cases[k].text, strlen(cases[k].text), "x.geojson", &e);
        if (st != cases[k].code || !strstr(e.text, cases[k].says))
            fail_msg("%s: %d %s", cases[k].text, st, e.text);
        assert_null(roi);
    }
    /* A zigzag that crosses every line a hundred thousand times ends with an error, not with the
     * night. */
    enum { N = 200000 };
    char *text = malloc(N * 16 + 100), *p = text;
    p += sprintf(p, "{\"type\":\"Polygon\",\"coordinates\":[[");
    for (int i = 0; i < N; i++)
        p += sprintf(p, "%s[%d,%d]", i ? "," : "", i, i % 2 * 50000);
    p += sprintf(p, "]]}");
    const char *path = tt_tmp_file("zigzag.geojson");
    FILE *f = fopen(path, "w");
    fwrite(text, 1, (size_t)(p - text), f);
    fclose(f);
    free(text);
    mt_slide *s = slide_of(50000, 50000, 0.5);
    mt_plan_opts o = MT_PLAN_OPTS_INIT;
    mt_err e = MT_ERR_INIT;
    o.whole_slide = 1;
    o.tile_px = 16;
    o.roi_path = path;
    assert_int_equal(refused(s, NULL, &o, &e), MT_ERR_LIMIT);
    mt_slide_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plan_is_the_filtered_grid), cmocka_unit_test(roi_areas),
        cmocka_unit_test(level_and_scale),           cmocka_unit_test(spacing_rules),
        cmocka_unit_test(bad_requests_and_ceilings), cmocka_unit_test(bad_rois),
    };
    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
