/* OpenSlide as judge, on real slides: same sizes, same origin, same pixels at every level; JPEG
 * within one grey level. And, on slides made here, what both show of tiles the file leaves out. */
#include "tests/unit/codec/jp2k_made.h"
#include "tests/unit/slide/judge.h"

static void judge(const char *data, const char *format, int tolerance)
{
    const char *path = tt_data(data);
    if (!path) skip();
    judge_path(path, format, tolerance, 0, 0);
}

static void aperio_jpeg(void **state) { judge("slides/CMU-1-Small-Region.svs", "aperio-svs", 1); }
static void aperio_small(void **state) { judge("slides/small.svs", "aperio-svs", 1); }
static void aperio_jp2k(void **state)
{
    judge("slides/TCGA-CR-7395-01A-01-TS1.svs", "aperio-svs", 1);
}
static void jpeg_420(void **state) { judge("slides/codec/quad-tile.jpg.tiff", "generic-tiff", 1); }
static void lzw_predictor(void **state)
{
    judge("slides/codec/tiled-rgb-u8.tif", "generic-tiff", 0);
}
static void raw_oblong(void **state)
{
    judge("slides/codec/tiled-rect-rgb-u8.tif", "generic-tiff", 0);
}
static void deflate_grey(void **state)
{
    judge("slides/codec/tiled-deflate-grey.tiff", "generic-tiff", 0);
}

/* ---- Aperio JPEG 2000 as YCbCr (33003), whole and 4:2:2, and as RGB (33005) ---- */

enum { JP_TILE = 64, JP_ACROSS = 5, JP_DOWN = 3 };
static int jp_x, jp_y, jp_sub;

static int jp_value(int c, int x, int y)
{
    uint8_t p[3];
    if (c && jp_sub == 2) x *= 2;
    made_pixel(p, (uint32_t)(jp_x + x), (uint32_t)(jp_y + y));
    return p[c];
}

static const char *made_jp2k(int compression, int sub)
{
    const char *path = tt_tmp_file("jp2k.svs");
    const made_dir d = MADE(300, 180, JP_TILE, JP_TILE, COMPRESSION_NONE, PHOTOMETRIC_RGB, 0,
                            .description = "Aperio made|MPP = 0.25");
    static uint8_t packed[1 << 16];
    TIFFSetWarningHandler(NULL);
    TIFF *t = TIFFOpen(path, "wl");
    made_fields(t, &d);
    TIFFSetField(t, TIFFTAG_COMPRESSION, compression);
    jp_sub = sub;
    for (int i = 0; i < JP_ACROSS * JP_DOWN; i++) {
        jp_x = i % JP_ACROSS * JP_TILE;
        jp_y = i / JP_ACROSS * JP_TILE;
        size_t n = jp2k_make(packed, sizeof packed, JP_TILE, JP_TILE, 3, sub, 1, 8, jp_value);
        assert_true(TIFFWriteRawTile(t, (uint32_t)i, packed, (tmsize_t)n) > 0);
    }
    assert_int_equal(TIFFWriteDirectory(t), 1);
    TIFFClose(t);
    return path;
}

static void aperio_jp2k_kinds(void **state)
{
    static const int kinds[][2] = {{33003, 1}, {33003, 2}, {33005, 1}};
    for (size_t i = 0; i < MT_COUNT(kinds); i++) {
        const char *path = made_jp2k(kinds[i][0], kinds[i][1]);
        mt_slide *s = opened(path);
        openslide_t *o = judge_open(path);
        assert_string_equal(mt_slide_get_info(s)->levels[0].codec, "jp2k");
        compare_facts(s, o);
        compare_levels(s, o, 1, 0);
        compare_level0_boxes(s, o, 1);
        openslide_close(o);
        mt_slide_close(&s);
    }
}

/* libtiff's own number for JPEG 2000, which OpenSlide 3.4.1 does not read: the pixels drawn. */
static void jp2k_of_libtiff(void **state)
{
    mt_slide *s = opened(made_jp2k(34712, 1));
    const made_dir d = MADE(300, 180, 64, 64, COMPRESSION_NONE, PHOTOMETRIC_RGB, 0);
    uint8_t *got = region(s, 0, 0, 0, 300, 180), *want = malloc(3 * 300 * 180);
    made_box(want, &d, 0, 0, 300, 180);
    assert_memory_equal(got, want, 3 * 300 * 180);
    free(got);
    free(want);
    mt_slide_close(&s);
}

/* ---- alpha ---- */

static void alpha_over_white(void **state)
{
    static const uint16_t meaning[] = {EXTRASAMPLE_ASSOCALPHA, EXTRASAMPLE_UNASSALPHA};
    static uint8_t tile[64 * 64 * 4];
    for (size_t m = 0; m < MT_COUNT(meaning); m++) {
        const char *path = tt_tmp_file("alpha.tif");
        const made_dir d = MADE(128, 128, 64, 64, COMPRESSION_LZW, PHOTOMETRIC_RGB, 2);
        TIFF *t = TIFFOpen(path, "wl");
        made_fields(t, &d);
        TIFFSetField(t, TIFFTAG_SAMPLESPERPIXEL, 4);
        TIFFSetField(t, TIFFTAG_EXTRASAMPLES, 1, &meaning[m]);
        for (uint32_t i = 0; i < 4; i++) {
            for (uint32_t k = 0; k < 64 * 64; k++) {
                uint8_t *p = tile + 4 * k;
                made_pixel(p, i % 2 * 64 + k % 64, i / 2 * 64 + k / 64);
                p[3] = (uint8_t)(k % 64 * 4 + i);
                for (int c = 0; c < 3 && m == 0; c++) p[c] = MT_MIN(p[c], p[3]);
            }
            assert_true(TIFFWriteEncodedTile(t, i, tile, sizeof tile) > 0);
        }
        assert_int_equal(TIFFWriteDirectory(t), 1);
        TIFFClose(t);
        mt_slide *s = opened(path);
        openslide_t *o = judge_open(path);
        compare_levels(s, o, 1, 0);
        openslide_close(o);
        mt_slide_close(&s);
    }
}

/* The file's tag says RGB, the tiles' JFIF marker says YCbCr and is right: tissue is pink, not
 * green. */
static void markers_over_tag(void **state)
{
    const char *path = tt_data("slides/OS-1-detail.ome.tif");
    if (!path) skip();
    mt_slide *s = opened(path);
    assert_true(fabs(mt_slide_get_info(s)->mpp_x - 0.2271) < 1e-4);
    uint8_t *rgb = region(s, 0, 0, 0, 1101, 1101);
    double mean[3] = {0, 0, 0};
    for (size_t i = 0; i < 3 * 1101 * 1101; i++) mean[i % 3] += rgb[i] / (1101.0 * 1101.0);
    assert_true(mean[0] > mean[1] + 20 && mean[2] > mean[1] + 20 && mean[0] > 140);
    free(rgb);
    mt_slide_close(&s);
}

/* ---- another maker's slide with one bad tile ---- */

/* OpenSlide's handle fails for ever once it has failed: one lost tile must stay one lost tile, on
 * any thread's reader and for regions too. */
static void bad_tile_of_another_maker(void **state)
{
    const made_dir d = MADE(480, 360, 64, 64, COMPRESSION_JPEG, PHOTOMETRIC_RGB, 0, .skip_tile = 12,
                            .software = "MedScan made", .description = "Objective Power=40");
    const char *path = made_slide("trestle.tif", "wl", &d, 1);
    mt_slide *s = opened(path);
    const mt_slide_info *info = mt_slide_get_info(s);
    assert_string_equal(info->format, "openslide");
    assert_string_equal(info->vendor, "trestle");
    mt_tile_span none;
    mt_err err = MT_ERR_INIT;
    assert_int_equal(mt_slide_tile_span(&none, s, 0, 0, 0, &err), MT_ERR_UNSUPPORTED);
    mt_tile_reader *r[2] = {NULL, NULL};
    for (int i = 0; i < 2; i++) {
        mt_err_clear(&err);
        tt_ok(mt_tile_reader_new(&r[i], s, &err), &err);
    }
    static uint8_t tile[3 * 64 * 64], want[3 * 64 * 64];
    assert_int_equal(info->levels[0].tile_w, 64);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 48; i++) {
            const int tx = i % 8, ty = i / 8;
            mt_err_clear(&err);
            mt_status st = mt_tile_reader_decode(r[i % 2], 0, tx, ty, 1, tile, 192, &err);
            if (i == 11) {
                assert_int_equal(st, MT_ERR_FORMAT);
                assert_non_null(strstr(err.text, "tile 3,1"));
                continue;
            }
            tt_ok(st, &err);
            made_box(want, &d, (uint32_t)(64 * tx), (uint32_t)(64 * ty), 64, 64);
            int worst = 0;
            for (int k = 0; k < 64 * 64 * 3; k++)
                if (64 * tx + k / 3 % 64 < 480 && 64 * ty + k / 192 < 360)
                    worst = MT_MAX(worst, abs(tile[k] - want[k]));
            assert_true(worst < 32); /* JPEG */
        }
    mt_tile_reader_free(&r[0]);
    mt_tile_reader_free(&r[1]);
    mt_err_clear(&err);
    assert_int_equal(mt_slide_read_region(s, 0, 180, 60, 60, 60, tile, 192, &err), MT_ERR_FORMAT);
    uint8_t *good = region(s, 0, 300, 200, 60, 60);
    free(good);
    mt_slide_close(&s);
}

/* ---- against libtiff, where OpenSlide 3.4.1 fails or draws rubbish ---- */

static int compare_libtiff_tiles(const mt_slide *s, const char *path)
{
    const mt_slide_info *info = mt_slide_get_info(s);
    TIFF *t = TIFFOpen(path, "r");
    int worst = 0;
    for (int l = 0; l < info->n_levels; l++) {
        uint16_t samples;
        uint8_t buf[128 * 128 * 3], mine[128 * 128 * 3];
        mt_tile_reader *r = NULL;
        mt_err err = MT_ERR_INIT;
        TIFFSetDirectory(t, (tdir_t)l);
        TIFFGetField(t, TIFFTAG_SAMPLESPERPIXEL, &samples);
        tt_ok(mt_tile_reader_new(&r, s, &err), &err);
        const size_t w = (size_t)info->levels[l].tile_w, n = w * (size_t)info->levels[l].tile_h;
        assert_true(3 * n <= sizeof buf);
        for (int64_t i = 0; i < info->levels[l].tiles_x * info->levels[l].tiles_y; i++) {
            assert_true(TIFFReadEncodedTile(t, (uint32_t)i, buf, -1) > 0);
            tt_ok(mt_tile_reader_decode(r, l, i % info->levels[l].tiles_x,
                                        i / info->levels[l].tiles_x, 1, mine, 3 * w, &err),
                  &err);
            for (size_t k = 0; k < 3 * n; k++)
                worst = MT_MAX(worst, abs(mine[k] - buf[samples == 3 ? k : k / 3]));
        }
        mt_tile_reader_free(&r);
    }
    TIFFClose(t);
    return worst;
}

/* Levels smaller than a tile: OpenSlide 3.4.1 with libtiff 4.5 shears them. */
static void small_levels(void **state)
{
    static const char *const files[] = {"slides/boxes.tiff", "slides/test_orient1.tif",
                                        "slides/codec/tiled-raw-rgb8.tiff"};
    static const int levels[] = {4, 3, 1};
    for (size_t i = 0; i < MT_COUNT(files); i++) {
        const char *path = tt_data(files[i]);
        if (!path) skip();
        mt_slide *s = opened(path);
        assert_int_equal(mt_slide_get_info(s)->n_levels, levels[i]);
        assert_true(compare_libtiff_tiles(s, path) <= (i == 1));
        mt_slide_close(&s);
    }
}

/* Flat files OpenSlide does not open: libtiff's RGBA reading of the whole is the judge. */
static void flat_files(void **state)
{
    static const struct { const char *name; const char *codec; int tolerance;
    } files[] = {
        {"slides/codec/BigTIFFMotorola.tif", "raw", 0},
        {"slides/codec/quad-lzw-compat.tiff", "lzw", 0},
        {"slides/grey10kx5k.tif", "deflate", 0},
    };
    for (size_t i = 0; i < MT_COUNT(files); i++) {
        const char *path = tt_data(files[i].name);
        if (!path) skip();
        mt_slide *s = opened(path);
        const mt_level *l = &mt_slide_get_info(s)->levels[0];
        assert_string_equal(l->codec, files[i].codec);
        const int32_t w = (int32_t)l->width, h = (int32_t)l->height;
        uint32_t *abgr = malloc(4 * (size_t)w * (size_t)h);
        TIFF *t = TIFFOpen(path, "r");
        assert_true(
            TIFFReadRGBAImageOriented(t, (uint32_t)w, (uint32_t)h, abgr, ORIENTATION_TOPLEFT, 1));
        TIFFClose(t);
        uint8_t *rgb = region(s, 0, 0, 0, w, h);
        for (size_t k = 0; k < (size_t)w * (size_t)h; k++)
            if (rgb[3 * k] != TIFFGetR(abgr[k]) || rgb[3 * k + 1] != TIFFGetG(abgr[k]) ||
                rgb[3 * k + 2] != TIFFGetB(abgr[k]))
                fail_msg("%s: pixel %zu", files[i].name, k);
        free(rgb);
        free(abgr);
        mt_slide_close(&s);
    }
}

/* ---- tiles the file leaves out ---- */

/* A hole in a coarse level of an Aperio slide is drawn from the finer one, a hole in level 0 is
 * white: OpenSlide does the same. In a generic TIFF it refuses to read on; ours is white. */
static void holes(void **state)
{
    for (int aperio = 0; aperio < 2; aperio++) {
        const made_dir dirs[] = {
            MADE(480, 360, 64, 64, COMPRESSION_JPEG, PHOTOMETRIC_RGB, 0,
                 .description = aperio ? "Aperio made|MPP = 0.5" : "made", .skip_tile = 3),
            MADE(240, 180, 64, 64, COMPRESSION_JPEG, PHOTOMETRIC_RGB, 0, .subfile = 1,
                 .skip_tile = 6),
        };
        const char *path = made_slide("holes.tif", "wl", dirs, 2);
        mt_slide *s = opened(path);
        uint8_t *rgb = region(s, 0, 128, 0, 64, 64);
        for (int i = 0; i < 3 * 64 * 64; i++) assert_int_equal(rgb[i], 255);
        free(rgb);
        mt_tile_span span;
        mt_err err = MT_ERR_INIT;
        tt_ok(mt_slide_tile_span(&span, s, 1, 1, 1, &err), &err);
        assert_int_equal(span.size, 0);
        rgb = region(s, 1, 64, 64, 64, 64);
        if (!aperio)
            for (int i = 0; i < 3 * 64 * 64; i++) assert_int_equal(rgb[i], 255);
        if (aperio) {
            openslide_t *o = judge_open(path);
            assert_true(compare_box(s, o, 0, 100, 0, 200, 200) <= 1);
            uint32_t *argb = malloc(4 * 64 * 64);
            openslide_read_region(o, argb, 128, 128, 1, 64, 64);
            assert_null(openslide_get_error(o));
            double mean;
            compare(rgb, argb, 64 * 64, &mean);
            assert_true(mean < 2.0); /* cairo filters in its own way */
            free(argb);
            openslide_close(o);
            uint8_t *from = region(s, 0, 128, 128, 128, 128); /* exactly the means of level 0 */
            for (int y = 0; y < 64; y++)
                for (int x = 0; x < 64; x++)
                    for (int c = 0; c < 3; c++) {
                        int sum = 2;
                        for (int k = 0; k < 4; k++)
                            sum += from[((2 * y + k / 2) * 128 + 2 * x + k % 2) * 3 + c];
                        assert_int_equal(rgb[(y * 64 + x) * 3 + c], sum / 4);
                    }
            free(from);
        }
        free(rgb);
        mt_slide_close(&s);
    }
}

/* ---- what cannot be read says so in one line ---- */

static void refused_files(void **state)
{
    static const struct { const char *name, *says; } files[] = {
        {"slides/rgb_geotiff.tiff", "GeoTIFF (tag 34735): a map, not a slide"},
        {"slides/unopenable.tiff", "compression 52479 (unknown)"},
        {"slides/multi-channel-z-series.ome.tif", "5 focal planes"},
        {"slides/malformed/fuzz-7765c4a2-4.tif", "IFD 0"},
    };
    for (size_t i = 0; i < MT_COUNT(files); i++) {
        const char *path = tt_data(files[i].name);
        if (!path) skip();
        mt_slide *s = NULL;
        mt_err err = MT_ERR_INIT;
        mt_status st = mt_slide_open(&s, path, NULL, &err);
        assert_null(s);
        assert_true(st == MT_ERR_UNSUPPORTED || st == MT_ERR_FORMAT);
        if (!strstr(err.text, files[i].says)) fail_msg("%s: '%s'", files[i].name, err.text);
        assert_null(strchr(err.text, '\n'));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aperio_jpeg),
        cmocka_unit_test(aperio_small),
        cmocka_unit_test(aperio_jp2k),
        cmocka_unit_test(aperio_jp2k_kinds), cmocka_unit_test(jp2k_of_libtiff),
        cmocka_unit_test(alpha_over_white), cmocka_unit_test(markers_over_tag),
        cmocka_unit_test(bad_tile_of_another_maker),
        cmocka_unit_test(jpeg_420),
        cmocka_unit_test(lzw_predictor),
        cmocka_unit_test(raw_oblong),
        cmocka_unit_test(deflate_grey),
        cmocka_unit_test(small_levels),
        cmocka_unit_test(flat_files),
        cmocka_unit_test(holes),
        cmocka_unit_test(refused_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
