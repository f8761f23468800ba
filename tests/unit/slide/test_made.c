/* Slides whose pixels are known: every layout libtiff can write that we read, both byte orders,
 * classic and BigTIFF; and what is made of levels, spacing, names, holes. */
#include "tests/unit/slide/made.h"

#include <stdio.h>

/* libtiff's own decode of a whole directory, RGB. */
static uint8_t *by_libtiff(const char *path, int dir, const made_dir *d)
{
    TIFF *t = TIFFOpen(path, "rc");
    assert_non_null(t);
    assert_true(TIFFSetDirectory(t, (tdir_t)dir));
    if (d->compression == COMPRESSION_JPEG && d->photometric == PHOTOMETRIC_YCBCR)
        TIFFSetField(t, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
    const uint32_t tw = d->tile_w ? d->tile_w : d->w, th = d->tile_h, across = (d->w + tw - 1) / tw;
    const uint32_t n = across * ((d->h + th - 1) / th), samples = made_is_grey(d) ? 1 : 3;
    uint8_t *out = malloc(3 * (size_t)d->w * d->h), *buf = malloc((size_t)tw * th * samples);
    for (uint32_t i = 0; i < n; i++) {
        tmsize_t ok =
            d->tile_w ? TIFFReadEncodedTile(t, i, buf, -1) : TIFFReadEncodedStrip(t, i, buf, -1);
        assert_true(ok > 0);
        for (uint32_t y = 0; y < th && i / across * th + y < d->h; y++)
            for (uint32_t x = 0; x < tw && i % across * tw + x < d->w; x++)
                for (uint32_t c = 0; c < 3; c++) {
                    uint8_t v = buf[(y * (size_t)tw + x) * samples + (samples == 3 ? c : 0)];
                    if (d->photometric == PHOTOMETRIC_MINISWHITE) v = (uint8_t)(255 - v);
                    out[((i / across * th + y) * (size_t)d->w + i % across * tw + x) * 3 + c] = v;
                }
    }
    free(buf);
    TIFFClose(t);
    return out;
}

static bool lossless(const made_dir *d) { return d->compression != COMPRESSION_JPEG; }

static void check_whole(const mt_slide *s, const char *path, const made_dir *d, const char *what)
{
    uint8_t *got = region(s, 0, 0, 0, (int32_t)d->w, (int32_t)d->h), *want = by_libtiff(path, 0, d);
    if (memcmp(got, want, 3 * (size_t)d->w * d->h)) fail_msg("%s: differs from libtiff", what);
    if (lossless(d) && !made_is_grey(d)) {
        made_box(want, d, 0, 0, d->w, d->h);
        if (memcmp(got, want, 3 * (size_t)d->w * d->h))
            fail_msg("%s: differs from what was drawn", what);
    }
    free(got);
    free(want);
}

static const struct { const char *name; made_dir dir; const char *codec;
} layouts[] = {
    {"raw rgb", MADE(300, 170, 64, 32, COMPRESSION_NONE, PHOTOMETRIC_RGB, 0), "raw"},
    {"raw grey", MADE(300, 170, 64, 32, COMPRESSION_NONE, PHOTOMETRIC_MINISBLACK, 0), "raw"},
    {"raw white-is-zero", MADE(300, 170, 64, 32, COMPRESSION_NONE, PHOTOMETRIC_MINISWHITE, 0),
     "raw"},
    {"lzw rgb", MADE(300, 170, 64, 64, COMPRESSION_LZW, PHOTOMETRIC_RGB, 0), "lzw"},
    {"lzw rgb predictor", MADE(300, 170, 64, 64, COMPRESSION_LZW, PHOTOMETRIC_RGB, 2), "lzw"},
    {"lzw grey predictor", MADE(300, 170, 256, 256, COMPRESSION_LZW, PHOTOMETRIC_MINISBLACK, 2),
     "lzw"},
    {"deflate rgb predictor", MADE(300, 170, 48, 80, COMPRESSION_ADOBE_DEFLATE, PHOTOMETRIC_RGB, 2),
     "deflate"},
    {"old deflate grey", MADE(300, 170, 64, 64, COMPRESSION_DEFLATE, PHOTOMETRIC_MINISBLACK, 0),
     "deflate"},
    {"jpeg rgb", MADE(300, 170, 64, 64, COMPRESSION_JPEG, PHOTOMETRIC_RGB, 0), "jpeg"},
    {"jpeg grey", MADE(300, 170, 64, 64, COMPRESSION_JPEG, PHOTOMETRIC_MINISBLACK, 0), "jpeg"},
    {"jpeg 4:4:4",
     MADE(300, 170, 64, 64, COMPRESSION_JPEG, PHOTOMETRIC_YCBCR, 0, .sub_h = 1, .sub_v = 1),
     "jpeg"},
    {"jpeg 4:2:2",
     MADE(300, 170, 240, 240, COMPRESSION_JPEG, PHOTOMETRIC_YCBCR, 0, .sub_h = 2, .sub_v = 1),
     "jpeg"},
    {"jpeg 4:2:0",
     MADE(300, 170, 64, 64, COMPRESSION_JPEG, PHOTOMETRIC_YCBCR, 0, .sub_h = 2, .sub_v = 2),
     "jpeg"},
    {"strips raw", MADE(211, 97, 0, 10, COMPRESSION_NONE, PHOTOMETRIC_RGB, 0), "raw"},
    {"one raw strip, read in pieces", MADE(1500, 700, 0, 700, COMPRESSION_NONE, PHOTOMETRIC_RGB, 0),
     "raw"},
    {"one raw grey strip", MADE(211, 97, 0, 97, COMPRESSION_NONE, PHOTOMETRIC_MINISBLACK, 0),
     "raw"},
    {"strips lzw", MADE(211, 97, 0, 16, COMPRESSION_LZW, PHOTOMETRIC_RGB, 2), "lzw"},
    {"strips deflate, one", MADE(211, 97, 0, 97, COMPRESSION_ADOBE_DEFLATE, PHOTOMETRIC_RGB, 0),
     "deflate"},
    {"strips jpeg 4:2:0",
     MADE(211, 97, 0, 16, COMPRESSION_JPEG, PHOTOMETRIC_YCBCR, 0, .sub_h = 2, .sub_v = 2), "jpeg"},
};

static void every_layout(void **state)
{
    static const char *const modes[] = {"wl", "wb", "wl8", "wb8"};
    for (size_t i = 0; i < MT_COUNT(layouts); i++)
        for (size_t m = 0; m < MT_COUNT(modes); m++) {
            char what[80];
            snprintf(what, sizeof what, "%s, %s", layouts[i].name, modes[m]);
            const char *path = made_slide("layout.tif", modes[m], &layouts[i].dir, 1);
            mt_slide *s = opened(path);
            const mt_slide_info *info = mt_slide_get_info(s);
            assert_string_equal(info->format, "generic-tiff");
            assert_int_equal(info->n_levels, 1);
            assert_string_equal(info->levels[0].codec, layouts[i].codec);
            check_whole(s, path, &layouts[i].dir, what);
            mt_slide_close(&s);
            assert_null(s);
        }
}

/* Regions across tile borders, outside, far outside. */
static void regions(void **state)
{
    const made_dir d = MADE(300, 170, 64, 32, COMPRESSION_LZW, PHOTOMETRIC_RGB, 2);
    mt_slide *s = opened(made_slide("regions.tif", "wl", &d, 1));
    static const struct { int64_t x, y; int32_t w, h;
    } boxes[] = {
        {0, 0, 1, 1},
        {63, 31, 2, 2},
        {64, 32, 64, 32},
        {60, 30, 140, 100},
        {299, 169, 1, 1},
        {250, 150, 100, 60},
        {-10, -7, 40, 30},
        {-50, -50, 400, 300},
        {300, 0, 5, 5},
        {0, 170, 5, 5},
        {-5, 0, 5, 5},
        {INT64_MAX - 3, 5, 9, 9},
        {INT64_MIN, INT64_MIN, 9, 9},
        {-1, 80, 302, 1},
        {150, -1, 1, 172},
    };
    for (size_t i = 0; i < MT_COUNT(boxes); i++) {
        uint8_t *got = region(s, 0, boxes[i].x, boxes[i].y, boxes[i].w, boxes[i].h);
        for (int32_t y = 0; y < boxes[i].h; y++)
            for (int32_t x = 0; x < boxes[i].w; x++) {
                uint8_t want[3] = {255, 255, 255};
                int64_t sx = boxes[i].x > 1000 ? 1000 : boxes[i].x < -1000 ? -1000 : boxes[i].x + x;
                int64_t sy = boxes[i].y < -1000 ? -1000 : boxes[i].y + y;
                if (sx >= 0 && sy >= 0 && sx < 300 && sy < 170)
                    made_pixel(want, (uint32_t)sx, (uint32_t)sy);
                if (memcmp(got + 3 * (y * (size_t)boxes[i].w + (size_t)x), want, 3))
                    fail_msg("box %zu at %d,%d", i, x, y);
            }
        free(got);
    }
    /* Rows wider than the picture keep what lies beyond. */
    uint8_t rgb[4 * 40];
    memset(rgb, 9, sizeof rgb);
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_slide_read_region(s, 0, 62, 30, 4, 4, rgb, 40, &err), &err);
    for (int y = 0; y < 4; y++)
        for (int i = 12; i < 40; i++) assert_int_equal(rgb[40 * y + i], 9);
    static const struct { int level; int32_t w, h; size_t stride;
    } wrong[] = {
        {-1, 4, 4, 40}, {1, 4, 4, 40},         {0, 0, 4, 40},
        {0, 4, -1, 40}, {0, 70000, 4, 400000}, {0, 4, 4, 11},
    };
    for (size_t i = 0; i < MT_COUNT(wrong); i++) {
        mt_err_clear(&err);
        assert_int_equal(mt_slide_read_region(s, wrong[i].level, 0, 0, wrong[i].w, wrong[i].h, rgb,
                                              wrong[i].stride, &err),
                         MT_ERR_ARG);
    }
    mt_slide_close(&s);
}

/* ---- tile readers ---- */

static void tile_reader(void **state)
{
    const made_dir d =
        MADE(300, 170, 64, 32, COMPRESSION_JPEG, PHOTOMETRIC_YCBCR, 0, .sub_h = 2, .sub_v = 2);
    const char *path = made_slide("tiles.tif", "wl", &d, 1);
    mt_slide *s = opened(path);
    assert_int_equal(mt_slide_max_reduce(s, 0), 8);
    mt_tile_reader *r = NULL;
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_tile_reader_new(&r, s, &err), &err);
    uint8_t tile[64 * 32 * 3], half[32 * 16 * 3], wide[200 * 32];
    tt_ok(mt_tile_reader_decode(r, 0, 1, 1, 1, tile, 192, &err), &err);
    uint8_t *same = region(s, 0, 64, 32, 64, 32);
    assert_memory_equal(tile, same, sizeof tile);
    free(same);
    /* A reduced tile lies on the coarser grid: near the mean of its four pixels. */
    tt_ok(mt_tile_reader_decode(r, 0, 1, 1, 2, half, 96, &err), &err);
    double off = 0;
    for (int y = 0; y < 16; y++)
        for (int x = 0; x < 32; x++)
            for (int c = 0; c < 3; c++) {
                int sum = 0;
                for (int k = 0; k < 4; k++)
                    sum += tile[((2 * y + k / 2) * 64 + 2 * x + k % 2) * 3 + c];
                off += abs(sum / 4 - half[(y * 32 + x) * 3 + c]);
            }
    assert_true(off / sizeof half < 3.0);
    /* The stride's slack stays untouched; the last tile of the grid is whole. */
    memset(wide, 7, sizeof wide);
    tt_ok(mt_tile_reader_decode(r, 0, 4, 5, 1, wide, 200, &err), &err);
    for (int y = 0; y < 32; y++)
        for (int i = 192; i < 200; i++) assert_int_equal(wide[200 * y + i], 7);
    static const struct { int level; int64_t tx, ty; int scale; size_t stride;
    } wrong[] = {
        {1, 0, 0, 1, 192},  {0, 5, 0, 1, 192}, {0, 0, 6, 1, 192},
        {0, -1, 0, 1, 192}, {0, 0, 0, 3, 192}, {0, 0, 0, 1, 191},
    };
    for (size_t i = 0; i < MT_COUNT(wrong); i++) {
        mt_err_clear(&err);
        assert_int_equal(mt_tile_reader_decode(r, wrong[i].level, wrong[i].tx, wrong[i].ty,
                                               wrong[i].scale, tile, wrong[i].stride, &err),
                         MT_ERR_ARG);
    }
    mt_tile_reader_free(&r);
    assert_null(r);
    mt_slide_close(&s);
}

/* The span is the tile's bytes as they lie in the file. */
static void tile_span(void **state)
{
    const made_dir d =
        MADE(300, 170, 64, 32, COMPRESSION_JPEG, PHOTOMETRIC_YCBCR, 0, .sub_h = 2, .sub_v = 2);
    const char *path = made_slide("span.tif", "wb8", &d, 1);
    mt_slide *s = opened(path);
    TIFF *t = TIFFOpen(path, "r");
    uint8_t raw[1 << 16];
    mt_err err = MT_ERR_INIT;
    for (int ty = 0; ty < 6; ty++)
        for (int tx = 0; tx < 5; tx++) {
            mt_tile_span span;
            tt_ok(mt_slide_tile_span(&span, s, 0, tx, ty, &err), &err);
            tmsize_t n = TIFFReadRawTile(t, (uint32_t)(ty * 5 + tx), raw, sizeof raw);
            assert_int_equal(n, span.size);
            assert_memory_equal(raw, span.data, span.size);
        }
    TIFFClose(t);
    mt_tile_span span;
    assert_int_equal(mt_slide_tile_span(&span, s, 0, 5, 0, &err), MT_ERR_ARG);
    mt_slide_close(&s);
}

/* A damaged tile is one lost tile; the reader goes on. */
static void damaged_tile(void **state)
{
    const made_dir d =
        MADE(300, 170, 64, 32, COMPRESSION_JPEG, PHOTOMETRIC_YCBCR, 0, .sub_h = 2, .sub_v = 2);
    const char *path = made_slide("damaged.tif", "wl", &d, 1);
    mt_slide *s = opened(path);
    mt_tile_span span;
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_slide_tile_span(&span, s, 0, 2, 3, &err), &err);
    mt_tile_span first;
    tt_ok(mt_slide_tile_span(&first, s, 0, 0, 0, &err), &err);
    const long at = (long)(span.data - first.data), size = (long)span.size;
    mt_slide_close(&s);
    FILE *f = fopen(path, "r+b");
    uint8_t *whole = malloc(1 << 20);
    size_t n = fread(whole, 1, 1 << 20, f);
    long base = 0; /* libtiff writes tile 0 first: find it */
    for (size_t i = 0; i + 3 < n; i++)
        if (whole[i] == 0xff && whole[i + 1] == 0xd8 && whole[i + 2] == 0xff) {
            base = (long)i;
            break;
        }
    fseek(f, base + at + size / 2, SEEK_SET);
    for (long i = 0; i < size / 2; i++) fputc(0xff, f);
    fclose(f);
    free(whole);
    s = opened(path);
    mt_tile_reader *r = NULL;
    tt_ok(mt_tile_reader_new(&r, s, &err), &err);
    uint8_t tile[64 * 32 * 3], again[64 * 32 * 3];
    tt_ok(mt_tile_reader_decode(r, 0, 3, 3, 1, tile, 192, &err), &err);
    assert_int_equal(mt_tile_reader_decode(r, 0, 2, 3, 1, again, 192, &err), MT_ERR_FORMAT);
    assert_non_null(strstr(err.text, "level 0: tile 2,3"));
    mt_err_clear(&err);
    tt_ok(mt_tile_reader_decode(r, 0, 3, 3, 1, again, 192, &err), &err);
    assert_memory_equal(tile, again, sizeof tile);
    mt_tile_reader_free(&r);
    mt_slide_close(&s);
}

/* ---- generic pyramids ---- */

static void pyramid(void **state)
{
    const made_dir dirs[] = {
        MADE(640, 480, 64, 64, COMPRESSION_ADOBE_DEFLATE, PHOTOMETRIC_RGB, 2, .res = 40000.0,
             .icc = "12345678", .icc_bytes = 8),
        MADE(160, 120, 64, 64, COMPRESSION_LZW, PHOTOMETRIC_RGB, 2,
             .subfile = FILETYPE_REDUCEDIMAGE),
        MADE(320, 240, 64, 64, COMPRESSION_NONE, PHOTOMETRIC_RGB, 0,
             .subfile = FILETYPE_REDUCEDIMAGE),
        MADE(320, 240, 64, 64, COMPRESSION_NONE, PHOTOMETRIC_RGB, 0), /* not reduced */
        MADE(100, 400, 64, 64, COMPRESSION_NONE, PHOTOMETRIC_RGB, 0,
             .subfile = FILETYPE_REDUCEDIMAGE), /* other shape */
        MADE(200, 150, 0, 16, COMPRESSION_NONE, PHOTOMETRIC_RGB, 0,
             .subfile = FILETYPE_REDUCEDIMAGE), /* strips */
        MADE(80, 60, 64, 64, COMPRESSION_NONE, PHOTOMETRIC_RGB, 0,
             .subfile = FILETYPE_REDUCEDIMAGE | FILETYPE_MASK),
    };
    mt_slide *s = opened(made_slide("pyramid.tif", "wl8", dirs, MT_COUNT(dirs)));
    const mt_slide_info *info = mt_slide_get_info(s);
    assert_int_equal(info->n_levels, 3);
    static const struct { int64_t w, h; double ds; const char *codec; } want[] = {
        {640, 480, 1.0, "deflate"}, {320, 240, 2.0, "raw"}, {160, 120, 4.0, "lzw"}};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(info->levels[i].width, want[i].w);
        assert_int_equal(info->levels[i].height, want[i].h);
        assert_true(info->levels[i].downsample == want[i].ds);
        assert_string_equal(info->levels[i].codec, want[i].codec);
    }
    assert_int_equal(info->levels[0].tiles_x, 10);
    assert_int_equal(info->levels[0].tiles_y, 8);
    assert_true(info->mpp_x > 0.2499 && info->mpp_x < 0.2501);
    assert_string_equal(info->mpp_source, "tiff.XResolution");
    assert_int_equal(info->icc_bytes, 8);
    static const struct { double ds; int level; } for_ds[] = {
        {0.1, 0}, {1.0, 0}, {1.97, 0}, {1.985, 1}, {2.0, 1}, {3.9, 1}, {4.0, 2}, {1000.0, 2}};
    for (size_t i = 0; i < MT_COUNT(for_ds); i++)
        assert_int_equal(mt_slide_level_for(s, for_ds[i].ds), for_ds[i].level);
    mt_slide_close(&s);
}

static void spacing(void **state)
{
    static const struct { double per_cm; bool known;
    } cases[] = {{20000.0, true}, {1000000.0, true}, {500.0, true}, {28.3, false},
                 {118.1, false},  {4e9, false},      {0, false}};
    for (size_t i = 0; i < MT_COUNT(cases); i++) {
        made_dir d =
            MADE(64, 64, 64, 64, COMPRESSION_NONE, PHOTOMETRIC_RGB, 0, .res = cases[i].per_cm);
        const char *path = made_slide("spacing.tif", "wl", &d, 1);
        mt_slide *s = opened(path);
        mt_err err = MT_ERR_INIT;
        double mpp = -1;
        mt_status st = mt_slide_mpp(&mpp, s, &err);
        assert_int_equal(st, cases[i].known ? MT_OK : MT_ERR_SPACING);
        if (cases[i].known)
            assert_true(mpp * cases[i].per_cm > 9999.9 && mpp * cases[i].per_cm < 10000.1);
        else assert_non_null(strstr(err.text, "XResolution"));
        mt_slide_close(&s);
        mt_slide_opts opts = MT_SLIDE_OPTS_INIT;
        opts.assume_mpp = 0.33;
        mt_err_clear(&err);
        tt_ok(mt_slide_open(&s, path, &opts, &err), &err);
        tt_ok(mt_slide_mpp(&mpp, s, &err), &err);
        assert_true(mpp == 0.33);
        assert_string_equal(mt_slide_get_info(s)->mpp_source, "assumed");
        mt_slide_close(&s);
    }
}

/* ---- Aperio ---- */

static const made_dir svs_dirs[] = {
    MADE(480, 360, 64, 64, COMPRESSION_JPEG, PHOTOMETRIC_RGB, 0, .res = 28.3,
         .description =
             "Aperio Image Library v11\r\n480x360 [0,0 480x360] (64x64) JPEG/RGB Q=30|AppMag = "
             "40|MPP = 0,2520"
             "|ScannerType = GT450|Filename = secret|MPP = 0.2510|Synthetic = microtome"),
    MADE(120, 90, 0, 16, COMPRESSION_JPEG, PHOTOMETRIC_YCBCR, 0, .sub_h = 2, .sub_v = 2,
         .description = "Aperio\n480x360 -> 120x90 - |AppMag = 40"),
    MADE(120, 90, 64, 64, COMPRESSION_JPEG, PHOTOMETRIC_RGB, 0,
         .description = "Aperio\r\n480x360 -> 120x90"),
    MADE(70, 80, 0, 7, COMPRESSION_LZW, PHOTOMETRIC_RGB, 2, .subfile = 1,
         .description = "Aperio Image Library v11\nlabel 70x80"),
    MADE(90, 40, 0, 16, COMPRESSION_JPEG, PHOTOMETRIC_YCBCR, 0, .sub_h = 2, .sub_v = 2,
         .subfile = 9, .description = "Aperio\nmacro 90x40"),
    MADE(33, 44, 0, 44, COMPRESSION_NONE, PHOTOMETRIC_RGB, 0,
         .description = "Aperio\nlabel 33x44"), /* name taken */
};

static void aperio(void **state)
{
    const char *path = made_slide("a.svs", "wl", svs_dirs, 6);
    mt_slide *s = opened(path);
    const mt_slide_info *info = mt_slide_get_info(s);
    assert_string_equal(info->format, "aperio-svs");
    assert_string_equal(info->vendor, "aperio");
    assert_int_equal(info->n_levels, 2);
    assert_true(info->levels[1].downsample == 4.0);
    assert_true(info->mpp_x == 0.251 && info->mpp_y == 0.251);
    assert_string_equal(info->mpp_source, "aperio.MPP");
    assert_true(info->objective == 40.0);
    assert_string_equal(info->scanner, "GT450");
    assert_int_equal(info->synthetic, 1);
    assert_int_equal(info->n_associated, 3);
    static const struct {
        const char *name;
        int dir;
    } named[] = {{"thumbnail", 1}, {"label", 3}, {"macro", 4}};
    for (size_t i = 0; i < MT_COUNT(named); i++) {
        uint8_t *rgb = NULL;
        int64_t w = 0, h = 0;
        mt_err err = MT_ERR_INIT;
        tt_ok(mt_slide_read_associated(&rgb, &w, &h, s, named[i].name, &err), &err);
        const made_dir *d = &svs_dirs[named[i].dir];
        assert_int_equal(w, d->w);
        assert_int_equal(h, d->h);
        uint8_t *want = by_libtiff(path, named[i].dir, d);
        assert_memory_equal(rgb, want, 3 * (size_t)w * (size_t)h);
        free(want);
        free(rgb);
    }
    uint8_t *rgb = NULL;
    int64_t w, h;
    mt_err err = MT_ERR_INIT;
    assert_int_equal(mt_slide_read_associated(&rgb, &w, &h, s, "passport", &err), MT_ERR_NOT_FOUND);
    assert_null(rgb);
    assert_string_equal(mt_slide_file(s, 0), path);
    assert_null(mt_slide_file(s, 1));
    check_whole(s, path, &svs_dirs[0], "aperio level 0");
    mt_slide_close(&s);
}

/* An objective and a spacing of which one must be wrong. */
static void aperio_contradiction(void **state)
{
    static const struct { const char *text; int warnings; } cases[] = {
        {"Aperio|AppMag = 40|MPP = 0.2527", 0}, {"Aperio|AppMag = 20|MPP = 0.4990", 0},
        {"Aperio|AppMag = 40|MPP = 0.4990", 1}, {"Aperio|AppMag = 20|MPP = 0.25", 1}};
    for (size_t i = 0; i < MT_COUNT(cases); i++) {
        made_dir d = MADE(64, 64, 64, 64, COMPRESSION_JPEG, PHOTOMETRIC_RGB, 0,
                          .description = cases[i].text);
        mt_slide *s = opened(made_slide("m.svs", "wl", &d, 1));
        const mt_slide_info *info = mt_slide_get_info(s);
        int said = 0;
        for (int k = 0; k < info->n_warnings; k++)
            said += strstr(info->warnings[k], "hardly go together") != NULL;
        assert_int_equal(said, cases[i].warnings);
        mt_slide_close(&s);
    }
}

/* No spacing from the resolution tags of an Aperio file, nor from nonsense. */
static void aperio_spacing(void **state)
{
    static const struct { const char *text; double mpp;
    } cases[] = {
        {"Aperio|AppMag = 20", 0},  {"Aperio|MPP = 0.5", 0.5},
        {"Aperio|MPP=0.5", 0.5},    {"Aperio|MPP = nan", 0},
        {"Aperio|MPP = 0x1p-1", 0}, {"Aperio|MPP = -0.5", 0},
        {"Aperio|MPP = 0.5um", 0},  {"Aperio|MPP = ", 0},
        {"Aperio|MPP", 0},          {"Aperio|XMPP = 0.5", 0},
        {"Aperio MPP = 0.5", 0},    {"Aperio|MPP = 1e99", 0},
        {"Aperio|MPP = 0.5|", 0.5}, {"Aperio||MPP = 0.25\r\n|", 0.25},
        {"Aperio|MPP = 0.0", 0},
    };
    for (size_t i = 0; i < MT_COUNT(cases); i++) {
        made_dir d = MADE(64, 64, 64, 64, COMPRESSION_JPEG, PHOTOMETRIC_RGB, 0, .res = 20000.0,
                          .description = cases[i].text);
        mt_slide *s = opened(made_slide("m.svs", "wl", &d, 1));
        if (mt_slide_get_info(s)->mpp_x != cases[i].mpp)
            fail_msg("'%s': %g", cases[i].text, mt_slide_get_info(s)->mpp_x);
        mt_err err = MT_ERR_INIT;
        double mpp;
        if (cases[i].mpp == 0) {
            assert_int_equal(mt_slide_mpp(&mpp, s, &err), MT_ERR_SPACING);
            assert_non_null(strstr(err.text, "tag 270"));
        }
        mt_slide_close(&s);
    }
}

/* ---- refusals ---- */

static void refusals(void **state)
{
    static const struct { const char *name; made_dir dir; const char *says;
    } cases[] = { /* in strips: tiles of any kind may be OpenSlide's */
        {"LZMA", MADE(64, 64, 0, 64, COMPRESSION_LZMA, PHOTOMETRIC_RGB, 0),
         "compression 34925 (LZMA)"},
        {"Lab", MADE(64, 64, 0, 64, COMPRESSION_NONE, PHOTOMETRIC_CIELAB, 0),
         "photometric interpretation 8"},
    };
    for (size_t i = 0; i < MT_COUNT(cases); i++) {
        const char *path = made_slide("refused.tif", "wl", &cases[i].dir, 1);
        mt_slide *s = NULL;
        mt_err err = MT_ERR_INIT;
        assert_int_equal(mt_slide_open(&s, path, NULL, &err), MT_ERR_UNSUPPORTED);
        assert_null(s);
        if (!strstr(err.text, cases[i].says)) fail_msg("%s: '%s'", cases[i].name, err.text);
    }
    mt_slide *s = NULL;
    mt_err err = MT_ERR_INIT;
    assert_int_equal(mt_slide_open(&s, tt_tmp_file("absent.svs"), NULL, &err), MT_ERR_NOT_FOUND);
    mt_err_clear(&err);
    assert_int_equal(mt_slide_open(&s, tt_tmp(), NULL, &err), MT_ERR_UNSUPPORTED); /* a folder without DICOM */
    const char *path = tt_tmp_file("text.svs");
    FILE *f = fopen(path, "w");
    fclose(f);
    mt_err_clear(&err);
    assert_int_equal(mt_slide_open(&s, path, NULL, &err), MT_ERR_FORMAT);
    f = fopen(path, "w");
    fputs("Patient: nobody", f);
    fclose(f);
    mt_err_clear(&err);
    assert_int_equal(mt_slide_open(&s, path, NULL, &err), MT_ERR_UNSUPPORTED);
    assert_null(strstr(err.text, "Patient"));
    mt_slide_opts opts = MT_SLIDE_OPTS_INIT;
    opts.assume_mpp = -1;
    mt_err_clear(&err);
    assert_int_equal(mt_slide_open(&s, path, &opts, &err), MT_ERR_ARG);
    mt_slide_close(&s);
    mt_slide_close(NULL);
}

/* Rows that know their maker come before those that take what is left. */
static void table(void **state)
{
    const mt_format_info *f = mt_slide_formats();
    int n = 0, generic = -1, foreign = -1;
    for (; f[n].name; n++) {
        if (!strcmp(f[n].name, "generic-tiff")) generic = n;
        if (!strcmp(f[n].name, "openslide")) foreign = n;
        assert_true(!strcmp(f[n].proof, "proven on real files") || !strcmp(f[n].proof, "fixture only"));
        for (int i = 0; i < n; i++) assert_string_not_equal(f[i].name, f[n].name);
    }
    assert_int_equal(foreign, n - 1);
    assert_int_equal(generic, foreign - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_layout),   cmocka_unit_test(regions),
        cmocka_unit_test(tile_reader),    cmocka_unit_test(tile_span),
        cmocka_unit_test(damaged_tile),   cmocka_unit_test(pyramid),
        cmocka_unit_test(spacing),        cmocka_unit_test(aperio),
        cmocka_unit_test(aperio_spacing),
        cmocka_unit_test(aperio_contradiction), cmocka_unit_test(refusals),
        cmocka_unit_test(table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
