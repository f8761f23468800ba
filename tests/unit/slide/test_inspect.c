/* The walk over every native tile: tiles left out, tiles that cannot be right, and formats without any. */
#include "dicom_made.h"
#include "made.h"

static mt_slide_inspection inspected(const mt_slide *s)
{
    mt_slide_inspection i;
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_slide_inspect(&i, s, &err), &err);
    for (int l = mt_slide_get_info(s)->n_levels; l < MT_MAX_LEVELS; l++)
        assert_true(i.levels[l].absent == -1 && i.levels[l].damaged == -1);
    return i;
}

static bool told(const mt_slide_inspection *i, const char *words)
{
    for (int k = 0; k < i->n_warnings; k++)
        if (strstr(i->warnings[k], words)) return true;
    return false;
}

/* Some scanners leave out tiles of glass, or drop some of the coarse levels. */
static void left_out(void **state)
{
    const made_dir dirs[] = {
        MADE(480, 360, 64, 64, COMPRESSION_JPEG, PHOTOMETRIC_RGB, 0,
             .description = "Aperio made|MPP = 0.5", .skip_tile = 3),
        MADE(240, 180, 64, 64, COMPRESSION_JPEG, PHOTOMETRIC_RGB, 0, .subfile = 1, .skip_tile = 6),
        MADE(120, 90, 64, 64, COMPRESSION_JPEG, PHOTOMETRIC_RGB, 0, .subfile = 1),
    };
    mt_slide *s = opened(made_slide("out.svs", "wl", dirs, 3));
    const mt_slide_inspection i = inspected(s);
    assert_int_equal(mt_slide_get_info(s)->n_levels, 3);
    assert_true(i.levels[0].absent == 1 && i.levels[1].absent == 1 && i.levels[2].absent == 0);
    for (int l = 0; l < 3; l++) assert_int_equal(i.levels[l].damaged, 0);
    assert_int_equal(i.n_warnings, 0);
    mt_slide_close(&s);
}

/* Finds tile (tx, ty) of the file and writes over its bytes. */
static void spoil(const char *path, int64_t tx, int64_t ty, bool head)
{
    mt_slide *s = opened(path);
    mt_tile_span span;
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_slide_tile_span(&span, s, 0, tx, ty, &err), &err);
    uint8_t *copy = malloc(span.size), *data = NULL;
    const size_t n_tile = span.size;
    assert_non_null(copy);
    memcpy(copy, span.data, n_tile);
    mt_slide_close(&s);
    size_t n;
    tt_ok(mt_file_read(&data, &n, path, SIZE_MAX / 2, &err), &err);
    uint8_t *at = memmem(data, n, copy, n_tile);
    assert_non_null(at);
    memset(head ? at : at + n_tile - 2, 0x55, 2);
    tt_ok(mt_file_write(path, data, n, &err), &err);
    free(copy);
    free(data);
}

static void damaged(void **state)
{
    const made_dir d = MADE(300, 200, 64, 64, COMPRESSION_JPEG, PHOTOMETRIC_RGB, 0);
    char path[4096];
    snprintf(path, sizeof path, "%s", made_slide("damaged.tif", "wl", &d, 1));
    spoil(path, 2, 1, true);
    spoil(path, 4, 1, true);
    spoil(path, 0, 2, false);
    mt_slide *s = opened(path);
    const mt_slide_inspection i = inspected(s);
    assert_true(i.levels[0].absent == 0 && i.levels[0].damaged == 2);
    assert_int_equal(i.n_warnings, 2);
    assert_true(told(&i, "level 0: 2 of 20 tiles damaged, the first 2,1: does not begin as jpeg does"));
    assert_true(told(&i, "level 0: 1 of 20 tiles cut short (no end marker), the first 0,2"));
    mt_slide_close(&s);
}

/* DICOM: a frame that is not there, and frames off the grid, which are no tiles. */
static void dicom(void **state)
{
    dm_image im = {.width = 64, .height = 48, .columns = 16, .rows = 12, .organization = "TILED_SPARSE"};
    cut c = {.n = 0};
    cut_raw(&c, 1, &im);
    for (int i = 0; i < c.n; i++) {
        c.frames[i].x = 1 + i % 4 * 16;
        c.frames[i].y = 1 + i / 4 * 12;
    }
    c.frames[5].x = c.frames[6].x; /* frame 5 lies where 6 does */
    mt_slide *s = open_one(put(fresh_dir(), "a", &im, &c));
    mt_slide_inspection i = inspected(s);
    assert_true(i.levels[0].absent == 1 && i.levels[0].damaged == 0 && i.n_warnings == 0);
    mt_slide_close(&s);
    c.frames[5].x = 3;
    s = open_one(put(fresh_dir(), "a", &im, &c));
    i = inspected(s);
    assert_true(i.levels[0].absent == -1 && i.levels[0].damaged == -1);
    mt_slide_close(&s);
    cut_free(&c);
}

/* A picture that is one stream has no tiles to look at. */
static void no_tiles(void **state)
{
    uint8_t px[3 * 40 * 40] = {0};
    mt_err err = MT_ERR_INIT;
    mt_buf png = MT_BUF_INIT(1 << 20);
    tt_ok(mt_png_encode(&png, px, 120, 40, 40, 3, &err), &err);
    tt_ok(mt_file_write(tt_tmp_file("one.png"), png.data, png.len, &err), &err);
    mt_buf_free(&png);
    mt_slide *s = opened(tt_tmp_file("one.png"));
    const mt_slide_inspection i = inspected(s);
    assert_true(i.levels[0].absent == -1 && i.levels[0].damaged == -1 && i.n_warnings == 0);
    mt_slide_close(&s);
}

int main(void)
{
    setenv("MICROTOME_CACHE", "off", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(left_out), cmocka_unit_test(damaged), cmocka_unit_test(dicom),
        cmocka_unit_test(no_tiles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
