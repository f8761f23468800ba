/* From another tool's numbers to a plan: whose box is how wide, what contradicts the slide. */
#include "tests/support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "tiles/plan/coords.h"

static const mt_slide_info info = {
    .n_levels = 2,
    .levels = {{.width = 4443, .height = 3567, .downsample = 1},
               {.width = 1110, .height = 891, .downsample = 4.003}},
    .mpp_x = 0.25,
    .mpp_y = 0.25,
};

/* Nothing stated yet; coordinates of a grid of 5 x 4 with this step, column by column. */
static coords_file grid(int64_t step)
{
    coords_file c;
    double *v = &c.patch_size;
    for (; (char *)v < (char *)(&c + 1); v++) *v = NAN;
    c.n = 20;
    c.xy = calloc(c.n, 2 * sizeof *c.xy);
    for (size_t i = 0; i < c.n; i++) {
        c.xy[2 * i] = (int64_t)(i / 4) * step + 17;
        c.xy[2 * i + 1] = (int64_t)(i % 4) * step + 5;
    }
    return c;
}

static mt_status plan(mt_plan **p, const coords_file *c, const mt_plan_opts *o, mt_err *e)
{
    *p = calloc(1, sizeof **p);
    assert_non_null(*p);
    mt_err_clear(e);
    return coords_plan(*p, c, &info, o, e);
}

static void whole_file(mt_plan **p, const coords_file *c, int32_t tile_px)
{
    mt_err e = MT_ERR_INIT;
    mt_plan_opts o = MT_PLAN_OPTS_INIT;
    o.tile_px = tile_px;
    tt_ok(plan(p, c, &o, &e), &e);
}

static void boxes_in_every_tongue(void **state)
{
    mt_plan *p;
    coords_file c = grid(512);
    c.patch_size = 256; /* CLAM at level 0 */
    c.patch_level = 0;
    whole_file(&p, &c, 0);
    assert_true(p->box_l0 == 256 && p->tile_px == 256 && p->level == 0 && p->resample == 1);
    assert_string_equal(p->origin, "clam");
    mt_plan_free(&p);
    c.patch_level = 1; /* at level 1, whose sizes are floors of a quarter: 4, not 4.003 */
    c.downsample[0] = 4.0027, c.downsample[1] = 4.0034;
    whole_file(&p, &c, 0);
    assert_true(p->box_l0 == 1024 && p->tile_px == 256 && p->level == 1 && p->resample == 1);
    mt_plan_free(&p);
    c.custom_downsample = 2; /* the older convention: once more coarser */
    whole_file(&p, &c, 0);
    assert_true(p->box_l0 == 2048 && p->tile_px == 256);
    mt_plan_free(&p);
    c.custom_downsample = NAN;
    c.patch_level = 5; /* a level our reader does not have, its scale stated */
    c.downsample[0] = c.downsample[1] = 32;
    c.patch_size = 64;
    whole_file(&p, &c, 0);
    assert_true(p->box_l0 == 2048 && p->tile_px == 64);
    mt_plan_free(&p);
    free(c.xy);

    c = grid(512);
    c.patch_size = 256; /* TRIDENT: magnifications alone, then the box itself */
    c.level0_magnification = 40;
    c.target_magnification = 9.98;
    whole_file(&p, &c, 0);
    assert_true(p->box_l0 == 1026 && p->tile_px == 256);
    assert_string_equal(p->origin, "trident");
    mt_plan_free(&p);
    c.patch_size_level0 = 1024;
    whole_file(&p, &c, 0);
    assert_int_equal(p->box_l0, 1024);
    mt_plan_free(&p);
    free(c.xy);

    c = grid(512);
    c.patch_size = 700; /* WSInfer: 350 px at 0.5 um */
    c.patch_level = 0;
    c.patch_spacing_um_px = 0.5;
    whole_file(&p, &c, 0);
    assert_true(p->box_l0 == 700 && p->tile_px == 350 && fabs(p->target_mpp - 0.5) < 1e-12);
    assert_string_equal(p->origin, "wsinfer");
    mt_plan_free(&p);
    free(c.xy);
}

static void step_of_a_grid(void **state)
{
    static const int64_t steps[] = {128, 256, 300};
    for (int i = 0; i < 3; i++) {
        coords_file c = grid(steps[i]);
        mt_plan *p;
        c.patch_size = 256;
        whole_file(&p, &c, 0);
        assert_int_equal(p->step_l0, MT_MIN(steps[i], 256));
        assert_true(p->grid_cols == 5 && p->grid_rows == 4 && p->off_grid);
        assert_true(p->overlap == (i == 0 ? 0.5 : 0));
        for (size_t k = 0; k < p->n_tiles; k++) {
            assert_true(p->tiles[k].x_l0 == c.xy[2 * k] && p->tiles[k].y_l0 == c.xy[2 * k + 1]);
            assert_true(p->tiles[k].col == (int32_t)k / 4 && p->tiles[k].row == (int32_t)k % 4);
        }
        mt_plan_free(&p);
        free(c.xy);
    }
}

static void repeated_once(void **state)
{
    coords_file c = grid(256);
    mt_plan *p;
    c.patch_size = 256;
    memcpy(c.xy + 14, c.xy + 2, 16); /* row 7 repeats row 1 */
    memcpy(c.xy + 38, c.xy + 2, 16); /* and so does the last */
    whole_file(&p, &c, 0);
    assert_int_equal(p->n_tiles, 18);
    assert_true(p->tiles[7].x_l0 == c.xy[16] && p->tiles[7].y_l0 == c.xy[17]);
    assert_non_null(strstr(p->note, "2 of 20 repeat"));
    mt_plan_free(&p);
    free(c.xy);
}

static void spacing_rule(void **state)
{
    static const struct {
        double mpp;
        mt_status st;
        bool noted;
    } cases[] = {{0.25, MT_OK, false},   {0.2524, MT_OK, false},         {0.2476, MT_OK, false},
                 {0.26, MT_OK, true},    {0.2295, MT_OK, true},          {0.28, MT_ERR_SPACING, false},
                 {0.22, MT_ERR_SPACING, false}, {0.5, MT_ERR_SPACING, false}};
    coords_file c = grid(256);
    c.patch_size = 256;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mt_plan *p;
        mt_err e = MT_ERR_INIT;
        mt_plan_opts o = MT_PLAN_OPTS_INIT;
        o.tile_px = 256;
        o.mpp = cases[i].mpp;
        assert_int_equal(plan(&p, &c, &o, &e), cases[i].st);
        assert_true(cases[i].st != MT_OK || (p->note[0] != 0) == cases[i].noted);
        assert_true(p->box_l0 == 256); /* the box is never touched */
        mt_plan_free(&p);
    }
    mt_plan_opts o = MT_PLAN_OPTS_INIT; /* four times finer than the boxes hold */
    mt_plan *p;
    mt_err e = MT_ERR_INIT;
    o.tile_px = 1024;
    assert_int_equal(plan(&p, &c, &o, &e), MT_ERR_SPACING);
    mt_plan_free(&p);
    free(c.xy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(boxes_in_every_tongue),
        cmocka_unit_test(step_of_a_grid),
        cmocka_unit_test(repeated_once),
        cmocka_unit_test(spacing_rule),
    };
    return cmocka_run_group_tests_name("coords", tests, NULL, NULL);
}
