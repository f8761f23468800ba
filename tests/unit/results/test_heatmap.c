/* Heatmaps: registered to level 0, fair under overlap, readable by others. */
#include "tests/support/support.h"
#include <fcntl.h>
#include <openslide.h>
#include <png.h>
#include <stdio.h>
#include <string.h>
#include <tiffio.h>
#include <unistd.h>
#include "base/file.h"
#include "made.h"
#include "microtome/synth.h"
#include "results/canvas.h"
#include "results/ground.h"
#include "results/heat.h"
#include "results/writers.h"

static float value(const mt_heat *h, int32_t i, int32_t j)
{
    return h->value[(size_t)j * (size_t)h->w + (size_t)i];
}

/* Native tile `index` of level 0 overwritten with zeros. */
static void damage(const char *path, uint32_t index)
{
    TIFF *t = TIFFOpen(path, "r");
    assert_non_null(t);
    const off_t at = (off_t)TIFFGetStrileOffset(t, index);
    const size_t n = (size_t)TIFFGetStrileByteCount(t, index);
    TIFFClose(t);
    void *zeros = calloc(1, n);
    int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, zeros, n, at), n);
    close(fd);
    free(zeros);
}

/* One damaged native tile takes its own place in the picture and no more. */
static void damage_stays_where_it_is(void **state)
{
    enum { TILE = 240, W = 1600, H = 1200 };
    mt_err err = MT_ERR_INIT;
    mt_synth_opts so = MT_SYNTH_OPTS_INIT;
    const char *path = tt_tmp_file("damaged.svs");
    mt_ground g[2];
    so.width = W;
    so.height = H;
    so.seed = 31;
    tt_ok(mt_synth_write(path, &so, NULL, NULL, 0, NULL, NULL, &err), &err);
    for (int i = 0; i < 2; i++) {
        mt_slide *slide;
        mt_result r = {0};
        if (i) damage(path, 2 * ((W + TILE - 1) / TILE) + 3);
        tt_ok(mt_slide_open(&slide, path, NULL, &err), &err);
        r.slide = *mt_slide_get_info(slide);
        tt_ok(mt_ground_make(&g[i], &r, slide, &err), &err);
        assert_int_equal(g[i].picture.w, W);
        assert_true(g[i].incomplete == (i == 1));
        mt_slide_close(&slide);
    }
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            const size_t at = ((size_t)y * W + (size_t)x) * 3;
            static const uint8_t white[3] = {255, 255, 255};
            const bool inside = x / TILE == 3 && y / TILE == 2;
            assert_memory_equal(inside ? white : g[0].picture.rgb + at, g[1].picture.rgb + at, 3);
        }
    free(g[0].picture.rgb);
    free(g[1].picture.rgb);
}

/* A far tile colours its own pixels and no others. */
static void far_tile_lies_right(void **state)
{
    made m;
    mt_err err = MT_ERR_INIT;
    mt_heat *h;
    const float p[2] = {0.25f, 0.75f};
    made_begin(&m, 100);
    made_add_tile(&m, 700, 500, MT_TILE_DONE, p);
    made_add_tile(&m, 100, 100, MT_TILE_NAN, NULL);
    tt_ok(mt_heat_make(&h, &m.r, &err), &err);
    assert_int_equal(h->px_l0, 50); /* the largest divisor of 100 up to 64 */
    assert_int_equal(h->w, 20);
    assert_int_equal(h->h, 14);
    for (int32_t j = 0; j < h->h; j++)
        for (int32_t i = 0; i < h->w; i++) {
            bool inside = i >= 14 && i < 16 && j >= 10 && j < 12;
            if (inside)
                assert_true(value(h, i, j) == 0.75f);
            else
                assert_true(isnan(value(h, i, j)));
        }
    mt_heat_free(&h);
    assert_null(h);
    made_free(&m);
}

/* Half overlap, both ways: a pixel is the mean of the one, two or four tiles over it. */
static void overlap_is_a_mean(void **state)
{
    made m;
    mt_err err = MT_ERR_INIT;
    mt_heat *h;
    made_begin(&m, 50);
    for (int i = 0; i < 4; i++) {
        const float v = 0.1f + 0.2f * (float)i, p[2] = {1 - v, v};
        made_add_tile(&m, 200 + 50 * (i / 2), 300 + 50 * (i % 2), MT_TILE_DONE, p);
    }
    tt_ok(mt_heat_make(&h, &m.r, &err), &err);
    assert_int_equal(h->px_l0, 50);
    static const double want[3][3] = {
        {.1, .3, .5}, {.2, .4, .6}, {.3, .5, .7}}; /* [row][column] from (4, 6) */
    for (int32_t j = 0; j < 3; j++)
        for (int32_t i = 0; i < 3; i++)
            assert_true(fabs(value(h, 4 + i, 6 + j) - want[j][i]) < 1e-6);
    assert_true(isnan(value(h, 3, 6)) && isnan(value(h, 7, 6)) && isnan(value(h, 4, 5)) &&
                isnan(value(h, 4, 9)));
    mt_heat_free(&h);
    made_free(&m);
}

/* Overlap that is no multiple: a tile counts by the area it has in the pixel. */
static void uneven_overlap_weighs_by_area(void **state)
{
    made m;
    mt_err err = MT_ERR_INIT;
    mt_heat *h;
    const float a[2] = {1, 0}, b[2] = {0, 1};
    made_begin(&m, 64); /* step 64, box 100: pixel 1 has 36 columns of the first tile and all 64 of
                           the second */
    made_add_tile(&m, 0, 0, MT_TILE_DONE, a);
    made_add_tile(&m, 64, 0, MT_TILE_DONE, b);
    tt_ok(mt_heat_make(&h, &m.r, &err), &err);
    assert_int_equal(h->px_l0, 64);
    assert_true(value(h, 0, 0) == 0.0f);
    assert_true(fabs(value(h, 1, 0) - 64.0 / 100.0) < 1e-6);
    assert_true(value(h, 2, 0) == 1.0f);
    mt_heat_free(&h);
    made_free(&m);
}

static void pixel_divides_the_step(void **state)
{
    static const struct {
        int32_t step;
        int64_t w, h;
        int32_t px;
    } cases[] = {{350, 20000, 20000, 50},    {128, 100000, 80000, 64}, {263, 20000, 10000, 263},
                 {16, 2220, 2967, 16},       {10, 3000, 3000, 10},     {289, 9000, 9000, 17},
                 {289, 200000, 200000, 289}, {16, 200000, 200000, 128}};
    for (size_t i = 0; i < MT_COUNT(cases); i++) {
        made m;
        mt_err err = MT_ERR_INIT;
        mt_heat *h;
        made_begin(&m, 100);
        m.plan.step_l0 = cases[i].step;
        m.r.slide.levels[0].width = cases[i].w;
        m.r.slide.levels[0].height = cases[i].h;
        tt_ok(mt_heat_make(&h, &m.r, &err), &err);
        assert_int_equal(h->px_l0, cases[i].px);
        assert_int_equal(h->w, (cases[i].w + h->px_l0 - 1) / h->px_l0);
        assert_int_equal(h->h, (cases[i].h + h->px_l0 - 1) / h->px_l0);
        mt_heat_free(&h);
        made_free(&m);
    }
}

/* Without a positive class the class with the highest mean is shown. */
static void class_map(void **state)
{
    made m;
    mt_err err = MT_ERR_INIT;
    mt_heat *h;
    made_begin(&m, 50);
    m.card.n_classes = m.r.grade.n_classes = 3;
    strcpy(m.card.class_names[2], "Fat");
    m.card.positive_class = m.r.grade.positive_class = -1;
    const float a[3] = {.5f, .4f, .1f}, b[3] = {.1f, .4f, .5f};
    made_add_tile(&m, 0, 0, MT_TILE_DONE, a);
    made_add_tile(&m, 50, 0, MT_TILE_DONE, b);
    tt_ok(mt_heat_make(&h, &m.r, &err), &err);
    assert_true(h->class_map);
    assert_int_equal(h->cls[0], 0);
    assert_int_equal(h->cls[1], 1); /* means .3 .4 .3 */
    assert_int_equal(h->cls[2], 2);
    assert_true(value(h, 0, 0) == .5f && fabsf(value(h, 1, 0) - .4f) < 1e-6f);
    uint8_t got[3], want[3];
    assert_true(mt_heat_colour(got, h, 2, 0, &m.card));
    mt_class_colour(want, 2, -1);
    assert_memory_equal(got, want, 3);
    assert_false(mt_heat_colour(got, h, 5, 5, &m.card));
    assert_memory_equal(got, "\0\0\0", 3);
    mt_heat_free(&h);
    made_free(&m);
}

static double light(double v)
{
    uint8_t c[3];
    mt_heat_map(c, (float)v);
    double lin[3];
    for (int k = 0; k < 3; k++)
        lin[k] = c[k] <= 10 ? c[k] / 255.0 / 12.92 : pow((c[k] / 255.0 + 0.055) / 1.055, 2.4);
    double y = 0.2126 * lin[0] + 0.7152 * lin[1] + 0.0722 * lin[2];
    return 116 * cbrt(y) - 16; /* L* of CIELAB */
}

/* Perceptually ordered: lightness grows all the way (to 8-bit rounding) and without jumps. */
static void colour_map_is_ordered(void **state)
{
    for (int i = 1; i < 256; i++) {
        double d = light(i / 255.0) - light((i - 1) / 255.0);
        assert_true(d > -0.1 && d < 1.0);
        if (i >= 3) assert_true(light(i / 255.0) > light((i - 3) / 255.0));
    }
    assert_true(light(0) < 20 && light(1) > 90);
    assert_true(light(-3) == light(0) && light(7) == light(1));
}

static const char *write_heatmap(made *m, const char *file)
{
    static char path[600];
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_result_write("heatmap", &m->r, NULL, tt_tmp_file("out"), &err), &err);
    snprintf(path, sizeof path, "%s/made/%s", tt_tmp_file("out"), file);
    return path;
}

/* A slide of 100,000 x 60,000 pixels with one tile far out: what OpenSlide sees of its heatmap. */
static void openslide_reads_the_pyramid(void **state)
{
    made m;
    const float p[2] = {0.25f, 0.75f};
    made_begin(&m, 100);
    m.plan.step_l0 = m.plan.box_l0 = 128;
    m.r.slide.levels[0].width = 100000;
    m.r.slide.levels[0].height = 60000;
    m.r.slide.mpp_x = 0.25;
    m.r.slide.mpp_y = 0.26;
    made_add_tile(&m, 128 * 700, 128 * 400, MT_TILE_DONE, p);
    openslide_t *os = openslide_open(write_heatmap(&m, "heatmap.tif"));
    assert_non_null(os);
    assert_null(openslide_get_error(os));
    assert_int_equal(openslide_get_level_count(os),
                     4); /* 64 level-0 pixels each, halved until one tile holds it */
    int64_t w = 1563, h = 938;
    for (int32_t l = 0; l < 4; l++, w /= 2, h /= 2) {
        int64_t lw, lh;
        openslide_get_level_dimensions(os, l, &lw, &lh);
        assert_true(llabs(lw - w) <= 1 && llabs(lh - h) <= 1);
    }
    assert_string_equal(openslide_get_property_value(os, "tiff.ResolutionUnit"), "centimeter");
    double x_um = 1e4 / atof(openslide_get_property_value(os, "tiff.XResolution"));
    double y_um = 1e4 / atof(openslide_get_property_value(os, "tiff.YResolution"));
    assert_true(fabs(x_um / 64 - 0.25) < 1e-6 && fabs(y_um / 64 - 0.26) < 1e-6);
    uint32_t px[6 * 6];
    openslide_read_region(os, px, 1398, 798, 0, 6, 6);
    uint8_t c[3];
    mt_heat_map(c, 0.75f);
    uint32_t full = 0xFF000000u | (uint32_t)c[0] << 16 | (uint32_t)c[1] << 8 | c[2];
    for (int j = 0; j < 6; j++)
        for (int i = 0; i < 6; i++) {
            bool inside =
                i >= 2 && i < 4 && j >= 2 && j < 4; /* 89600 / 64 = 1400, two pixels each way */
            assert_int_equal(px[6 * j + i], inside ? full : 0);
        }
    assert_null(openslide_get_error(os));
    openslide_close(os);
    made_free(&m);
}

/* Pixels without a value are 0,0,0,0: viewers that take colours as premultiplied show nothing
 * there. */
static void nothing_is_transparent_black(void **state)
{
    made m;
    made_small(&m);
    TIFF *t = TIFFOpen(write_heatmap(&m, "heatmap.tif"), "r");
    assert_non_null(t);
    uint16_t n_extra, *extra, spp;
    uint32_t tw;
    TIFFGetField(t, TIFFTAG_SAMPLESPERPIXEL, &spp);
    TIFFGetField(t, TIFFTAG_EXTRASAMPLES, &n_extra, &extra);
    assert_true(spp == 4 && n_extra == 1 && extra[0] == EXTRASAMPLE_UNASSALPHA);
    assert_true(TIFFIsTiled(t));
    TIFFGetField(t, TIFFTAG_TILEWIDTH, &tw);
    uint8_t *tile = malloc((size_t)TIFFTileSize(t));
    assert_true(TIFFReadTile(t, tile, 0, 0, 0, 0) > 0);
    size_t coloured = 0;
    for (uint32_t j = 0; j < 14; j++)
        for (uint32_t i = 0; i < 20; i++) {
            const uint8_t *p = tile + 4 * (j * tw + i);
            if (p[3] == 0)
                assert_memory_equal(p, "\0\0\0\0", 4);
            else
                assert_int_equal(p[3], 255);
            coloured += p[3] == 255;
        }
    assert_int_equal(coloured, 8); /* two tiles of two by two */
    free(tile);
    TIFFClose(t);
    made_free(&m);
}

/* Coarser levels average what is there: a lone tile grows pale, it does not change its colour. */
static void coarse_levels_keep_the_colour(void **state)
{
    made m;
    const float p[2] = {0.5f, 0.5f};
    made_begin(&m, 100);
    m.plan.step_l0 = m.plan.box_l0 = 128;
    m.r.slide.levels[0].width = m.r.slide.levels[0].height = 65536;
    made_add_tile(&m, 128 * 100, 128 * 200, MT_TILE_DONE, p);
    TIFF *t = TIFFOpen(write_heatmap(&m, "heatmap.tif"), "r");
    assert_non_null(t);
    uint32_t w;
    uint8_t *tile = malloc(256 * 256 * 4), want[3];
    mt_heat_map(want, 0.5f);
    /* pixel (200, 400) of 64, two by two; one pixel at half, a quarter of one at a quarter */
    assert_true(TIFFSetDirectory(t, 2));
    TIFFGetField(t, TIFFTAG_IMAGEWIDTH, &w);
    assert_int_equal(w, 256);
    assert_true(TIFFReadTile(t, tile, 0, 0, 0, 0) > 0);
    const uint8_t *q = tile + 4 * (100 * 256 + 50);
    assert_true(q[3] >= 63 && q[3] <= 64);
    for (int c = 0; c < 3; c++) assert_true(abs(q[c] - want[c]) <= 3);
    assert_int_equal(q[4 + 3], 0);
    free(tile);
    TIFFClose(t);
    made_free(&m);
}

static uint8_t *read_png(const char *path, int32_t *w, int32_t *h)
{
    png_image image = {.version = PNG_IMAGE_VERSION};
    assert_true(png_image_begin_read_from_file(&image, path));
    image.format = PNG_FORMAT_RGB;
    uint8_t *rgb = malloc(PNG_IMAGE_SIZE(image));
    assert_true(png_image_finish_read(&image, NULL, rgb, 0, NULL));
    *w = (int32_t)image.width;
    *h = (int32_t)image.height;
    return rgb;
}

/* The picture over a white ground (scale 1): the far tile's colour is found exactly at its place.
 */
static void picture_shows_the_tile(void **state)
{
    made m;
    int32_t w, h;
    made_begin(&m, 100);
    const float p[2] = {0, 1};
    made_add_tile(&m, 700, 500, MT_TILE_DONE, p);
    uint8_t *rgb = read_png(write_heatmap(&m, "heatmap.png"), &w, &h), c[3];
    assert_true(w > 1000 && h > 700);
    mt_heat_map(c, 1);
    /* blue is the channel in which yellow differs most from white: 0.7 of it */
    uint8_t want = (uint8_t)((255 * (256 - 179) + c[2] * 179 + 128) >> 8);
    int32_t x0 = w, x1 = -1, y0 = h, y1 = -1;
    for (int32_t y = 0; y < h; y++)
        for (int32_t x = 0; x < w; x++) {
            const uint8_t *q = rgb + 3 * ((size_t)y * (size_t)w + (size_t)x);
            if (q[0] != 255 || q[2] != want) continue;
            x0 = MT_MIN(x0, x);
            x1 = MT_MAX(x1, x);
            y0 = MT_MIN(y0, y);
            y1 = MT_MAX(y1, y);
        }
    assert_int_equal(x1 - x0 + 1, 100);
    assert_int_equal(y1 - y0 + 1, 100);
    /* the frame around the slide starts one pixel before it: its own corner is where the grey
     * begins */
    int32_t left = 24, top = y0 - 500;
    assert_int_equal(x0 - left, 700);
    const uint8_t *corner = rgb + 3 * ((size_t)(top - 1) * (size_t)w + (size_t)(left - 1));
    assert_memory_equal(corner, ((uint8_t[3]){150, 150, 160}), 3);
    free(rgb);
    made_free(&m);
}

/* A slide that was not analysed, even one without size, has a picture that says so; no raster is
 * made up. */
static void not_analysed_has_a_picture(void **state)
{
    made m;
    mt_err err = MT_ERR_INIT;
    int32_t w, h;
    made_begin(&m, 100);
    m.r.grade.graded = 0;
    m.r.grade.tissue_mm2 = m.r.grade.coverage = NAN;
    strcpy(m.r.grade.reason, "the file is cut short");
    m.r.slide.n_levels = 0;
    strcpy(m.r.stem, "nosize");
    tt_ok(mt_result_write("heatmap", &m.r, NULL, tt_tmp_file("out"), &err), &err);
    char path[600];
    snprintf(path, sizeof path, "%s/nosize/heatmap.tif", tt_tmp_file("out"));
    assert_false(mt_file_exists(path));
    snprintf(path, sizeof path, "%s/nosize/heatmap.png", tt_tmp_file("out"));
    uint8_t *rgb = read_png(path, &w, &h);
    size_t red = 0;
    for (int32_t i = 0; i < w * h; i++)
        red += rgb[3 * i] > 150 && rgb[3 * i + 1] < 60;
    assert_true(red > 500); /* the words are there */
    free(rgb);
    made_free(&m);
}

static void real_slide_under_the_heat(void **state)
{
    const char *path = tt_data("slides/CMU-1-Small-Region.svs");
    if (!path) skip();
    made m;
    mt_err err = MT_ERR_INIT;
    mt_slide *slide;
    int32_t w, h;
    made_begin(&m, 100);
    tt_ok(mt_slide_open(&slide, path, NULL, &err), &err);
    m.r.slide = *mt_slide_get_info(slide);
    const float p[2] = {0, 1};
    made_add_tile(&m, 1000, 2000, MT_TILE_DONE, p);
    tt_ok(mt_result_write("heatmap", &m.r, slide, tt_tmp_file("real"), &err), &err);
    char png[600];
    snprintf(png, sizeof png, "%s/made/heatmap.png", tt_tmp_file("real"));
    uint8_t *rgb = read_png(png, &w, &h), *want = malloc(2 * 2 * 3);
    /* 2967 pixels high: averaged two by two. Pixel (300, 200) of the picture is level-0 (600, 400).
     */
    tt_ok(mt_slide_read_region(slide, 0, 600, 400, 2, 2, want, 6, &err), &err);
    int32_t left = 24, top = -1;
    if (w > 1400) left = 36;
    for (int32_t y = 1; y < h && top < 0; y++) { /* the frame's first line */
        const uint8_t *q = rgb + 3 * ((size_t)y * (size_t)w + (size_t)left);
        if (q[0] == 150 && q[1] == 150 && q[2] == 160 && !memcmp(q, q + 3 * 400, 3)) top = y + 1;
    }
    assert_true(top > 0);
    const uint8_t *got = rgb + 3 * ((size_t)(top + 200) * (size_t)w + (size_t)(left + 300));
    for (int c = 0; c < 3; c++)
        assert_int_equal(got[c], (want[c] + want[3 + c] + want[6 + c] + want[9 + c] + 2) / 4);
    free(rgb);
    free(want);
    mt_slide_close(&slide);
    made_free(&m);
}

/* Text: wraps at blanks, counts letters not bytes, and never writes outside. */
static void letters_stay_inside(void **state)
{
    mt_err err = MT_ERR_INIT;
    mt_canvas c;
    tt_ok(mt_canvas_new(&c, 40, 20, &err), &err);
    mt_colour_rgb ink = {0, 0, 0};
    for (int x = -60; x < 60; x += 7)
        mt_canvas_text(&c, x, x / 3, 3, ink, "Wg~\xc3\xbc\x7f\x01");
    assert_int_equal(mt_text_width(2, "abc"), 34);
    assert_int_equal(mt_text_width(1, "\xc3\xbc"), 5);
    assert_int_equal(mt_text_width(1, ""), 0);
    assert_int_equal(mt_canvas_paragraph(NULL, 0, 0, 60, 1, ink, "0123456789 0123"), 22);
    assert_int_equal(mt_canvas_paragraph(NULL, 0, 0, 59, 1, ink, "0123456789"), 11);
    assert_int_equal(mt_canvas_paragraph(NULL, 0, 0, 58, 1, ink, "0123456789"),
                     22); /* too long a word is cut */
    assert_int_equal(mt_canvas_paragraph(NULL, 0, 0, 1, 1, ink, "ab"), 22);
    for (int i = 0; i < 95; i++)
        for (int j = 0; j < 9; j++)
            assert_true(mt_font[i][j] < 32);
    mt_canvas_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damage_stays_where_it_is),
        cmocka_unit_test(far_tile_lies_right),
        cmocka_unit_test(overlap_is_a_mean),
        cmocka_unit_test(uneven_overlap_weighs_by_area),
        cmocka_unit_test(pixel_divides_the_step),
        cmocka_unit_test(class_map),
        cmocka_unit_test(colour_map_is_ordered),
        cmocka_unit_test(openslide_reads_the_pyramid),
        cmocka_unit_test(nothing_is_transparent_black),
        cmocka_unit_test(coarse_levels_keep_the_colour),
        cmocka_unit_test(picture_shows_the_tile),
        cmocka_unit_test(not_analysed_has_a_picture),
        cmocka_unit_test(real_slide_under_the_heat),
        cmocka_unit_test(letters_stay_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
