/* TIFF files of every layout of samples, made by libtiff or real ones, against libtiff's samples and
 * the stated rules, and against its own RGBA door where the two must agree. */
#include "tests/support/support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <tiffio.h>
#include "base/mem.h"
#include "slide/stored.h"
#include "slide/tiff/tiff_slide.h"

typedef struct layout {
    int bits, samples, photometric, planar, compression, predictor, fill, orientation, extra, tiled;
    const char *mode;
} layout;

enum { W = 150, H = 101, TILE = 64, ROWS = 17 };

static unsigned value(uint32_t x, uint32_t y, unsigned c)
{
    uint32_t n = (x * 2654435761u ^ (y + 31 * c) * 2246822519u) * 3266489917u;
    if (x / 20 % 2) n = 0;
    return (x * 350 + y * 200 + c * 11000 + (n >> 23)) & 0xffff;
}

/* ---- making ---- */

static void fill_box(void *to, const layout *l, uint32_t x0, uint32_t y0, uint32_t w, uint32_t h,
                     int plane)
{
    const int n = plane < 0 ? l->samples : 1;
    for (uint32_t y = 0; y < h; y++)
        for (uint32_t x = 0; x < w; x++)
            for (int c = 0; c < n; c++) {
                const unsigned v = value(x0 + x, y0 + y, (unsigned)(plane < 0 ? c : plane));
                const size_t at = ((size_t)y * w + x) * (size_t)n + (size_t)c;
                if (l->bits == 16) ((uint16_t *)to)[at] = (uint16_t)v;
                else ((uint8_t *)to)[at] = (uint8_t)(v >> 8);
            }
}

static void write_pixels(TIFF *t, const layout *l)
{
    static uint16_t box[W * TILE * 4];
    for (int p = l->planar == 2 ? 0 : -1; p < (l->planar == 2 ? l->samples : 0); p++) {
        const uint16_t plane = (uint16_t)(p < 0 ? 0 : p);
        if (l->tiled) {
            for (uint32_t y = 0; y < H; y += TILE)
                for (uint32_t x = 0; x < W; x += TILE) {
                    fill_box(box, l, x, y, TILE, TILE, p);
                    assert_true(TIFFWriteTile(t, box, x, y, 0, plane) > 0);
                }
            continue;
        }
        for (uint32_t y = 0; y < H; y++) {
            fill_box(box, l, 0, y, W, 1, p);
            assert_int_equal(TIFFWriteScanline(t, box, y, plane), 1);
        }
    }
}

static TIFF *begin(const char *path, const layout *l)
{
    TIFF *t = TIFFOpen(path, l->mode);
    assert_non_null(t);
    TIFFSetField(t, TIFFTAG_IMAGEWIDTH, W);
    TIFFSetField(t, TIFFTAG_IMAGELENGTH, H);
    TIFFSetField(t, TIFFTAG_BITSPERSAMPLE, l->bits);
    TIFFSetField(t, TIFFTAG_SAMPLESPERPIXEL, l->samples);
    TIFFSetField(t, TIFFTAG_PHOTOMETRIC, l->photometric);
    TIFFSetField(t, TIFFTAG_PLANARCONFIG, l->planar);
    TIFFSetField(t, TIFFTAG_COMPRESSION, l->compression);
    TIFFSetField(t, TIFFTAG_ORIENTATION, l->orientation);
    TIFFSetField(t, TIFFTAG_FILLORDER, l->fill);
    if (l->predictor > 1) TIFFSetField(t, TIFFTAG_PREDICTOR, l->predictor);
    if (l->tiled) {
        TIFFSetField(t, TIFFTAG_TILEWIDTH, TILE);
        TIFFSetField(t, TIFFTAG_TILELENGTH, TILE);
    } else {
        TIFFSetField(t, TIFFTAG_ROWSPERSTRIP, ROWS);
    }
    if (l->extra >= 0) {
        uint16_t kind = (uint16_t)l->extra;
        TIFFSetField(t, TIFFTAG_EXTRASAMPLES, 1, &kind);
    }
    if (l->photometric == PHOTOMETRIC_PALETTE) {
        static uint16_t map[3][256];
        for (int i = 0; i < 256; i++)
            for (int c = 0; c < 3; c++) map[c][i] = (uint16_t)((i * (7 + 3 * c) % 256) * 257);
        TIFFSetField(t, TIFFTAG_COLORMAP, map[0], map[1], map[2]);
    }
    return t;
}

static void make(const char *path, const layout *l)
{
    TIFF *t = begin(path, l);
    write_pixels(t, l);
    TIFFClose(t);
}

/* Every row black. */
static void make_header(const char *path, const layout *l)
{
    static uint8_t row[W * 8 * 4];
    TIFF *t = begin(path, l);
    for (uint32_t y = 0; y < H; y++) assert_int_equal(TIFFWriteScanline(t, row, y, 0), 1);
    TIFFClose(t);
}

/* ---- judging ---- */

typedef struct judged {
    uint32_t w, h, tile_w, tile_h;
    uint16_t bits, samples, photometric, planar, orientation, extra;
    uint16_t *map[3];
    uint16_t *px;           /* all samples of the stored picture, widened, interleaved */
    TIFF *t;
} judged;

static void put_samples(judged *j, const void *from, uint32_t x0, uint32_t y0, uint32_t w, uint32_t h,
                        uint32_t row, int plane)
{
    const uint32_t n = plane < 0 ? j->samples : 1;
    for (uint32_t y = 0; y < h && y0 + y < j->h; y++)
        for (uint32_t x = 0; x < w && x0 + x < j->w; x++)
            for (uint32_t c = 0; c < n; c++) {
                const size_t at = ((size_t)y * row + x) * n + c;
                const uint16_t v = j->bits == 16 ? ((const uint16_t *)from)[at]
                                                 : ((const uint8_t *)from)[at];
                const size_t to = ((size_t)(y0 + y) * j->w + x0 + x) * j->samples;
                j->px[to + (plane < 0 ? c : (uint32_t)plane)] = v;
            }
}

static void read_stored(judged *j)
{
    j->px = calloc((size_t)j->w * j->h * j->samples, 2);
    const size_t bytes = (size_t)(j->tile_w ? TIFFTileSize(j->t) : TIFFScanlineSize(j->t));
    void *buf = malloc(bytes);
    for (int p = j->planar == 2 && j->samples > 1 ? 0 : -1, end = p < 0 ? 0 : j->samples; p < end; p++) {
        const uint16_t plane = (uint16_t)(p < 0 ? 0 : p);
        if (j->tile_w)
            for (uint32_t y = 0; y < j->h; y += j->tile_h)
                for (uint32_t x = 0; x < j->w; x += j->tile_w) {
                    assert_true(TIFFReadTile(j->t, buf, x, y, 0, plane) > 0);
                    put_samples(j, buf, x, y, j->tile_w, j->tile_h, j->tile_w, p);
                }
        else
            for (uint32_t y = 0; y < j->h; y++) {
                assert_int_equal(TIFFReadScanline(j->t, buf, y, plane), 1);
                put_samples(j, buf, 0, y, j->w, 1, j->w, p);
            }
    }
    free(buf);
}

static void judge_open(judged *j, const char *path)
{
    *j = (judged){.t = TIFFOpen(path, "r")};
    uint16_t n = 0, *kinds = NULL;
    assert_non_null(j->t);
    TIFFGetField(j->t, TIFFTAG_IMAGEWIDTH, &j->w);
    TIFFGetField(j->t, TIFFTAG_IMAGELENGTH, &j->h);
    if (TIFFIsTiled(j->t)) {
        TIFFGetField(j->t, TIFFTAG_TILEWIDTH, &j->tile_w);
        TIFFGetField(j->t, TIFFTAG_TILELENGTH, &j->tile_h);
    }
    TIFFGetFieldDefaulted(j->t, TIFFTAG_BITSPERSAMPLE, &j->bits);
    TIFFGetFieldDefaulted(j->t, TIFFTAG_SAMPLESPERPIXEL, &j->samples);
    TIFFGetFieldDefaulted(j->t, TIFFTAG_PHOTOMETRIC, &j->photometric);
    TIFFGetFieldDefaulted(j->t, TIFFTAG_PLANARCONFIG, &j->planar);
    TIFFGetFieldDefaulted(j->t, TIFFTAG_ORIENTATION, &j->orientation);
    if (TIFFGetField(j->t, TIFFTAG_EXTRASAMPLES, &n, &kinds) && n) j->extra = kinds[0];
    TIFFGetField(j->t, TIFFTAG_COLORMAP, &j->map[0], &j->map[1], &j->map[2]);
    read_stored(j);
}

static void judge_close(judged *j)
{
    TIFFClose(j->t);
    free(j->px);
}

static int to8(unsigned v, int bits) { return (int)lround(v * 255.0 / ((1 << bits) - 1)); }

/* What the stored pixel must look like. */
static void must_be(int rgb[3], const judged *j, uint32_t x, uint32_t y)
{
    const uint16_t *s = j->px + ((size_t)y * j->w + x) * j->samples;
    const bool grey = j->samples < 3;
    const int a = j->samples % 2 == 0 && j->extra ? to8(s[j->samples - 1], j->bits) : 255;
    for (int c = 0; c < 3; c++) {
        int v = j->photometric == PHOTOMETRIC_PALETTE ? to8(j->map[c][s[0]], 16)
                                                      : to8(s[grey ? 0 : c], j->bits);
        if (j->photometric == PHOTOMETRIC_MINISWHITE) v = 255 - v;
        if (j->extra == EXTRASAMPLE_UNASSALPHA && a != 255) v = (int)floor(v * a / 255.0 + 0.5);
        rgb[c] = MT_MIN(v + 255 - a, 255);
    }
}

/* Where the shown pixel x, y is stored, word for word from the table of TIFF 6.0, tag 274. */
static void stored_at(uint32_t *sx, uint32_t *sy, const judged *j, uint32_t x, uint32_t y)
{
    const uint32_t r = j->w - 1, b = j->h - 1;
    switch (j->orientation) {
    case 1: *sx = x, *sy = y; break;
    case 2: *sx = r - x, *sy = y; break;
    case 3: *sx = r - x, *sy = b - y; break;
    case 4: *sx = x, *sy = b - y; break;
    case 5: *sx = y, *sy = x; break;
    case 6: *sx = y, *sy = b - x; break;
    case 7: *sx = r - y, *sy = b - x; break;
    default: *sx = r - y, *sy = x; break;
    }
}

static void compare(const char *path, const char *name)
{
    judged j;
    mt_slide *s = NULL;
    mt_err err = MT_ERR_INIT;
    judge_open(&j, path);
    tt_ok(mt_slide_open(&s, path, NULL, &err), &err);
    const mt_slide_info *info = mt_slide_get_info(s);
    assert_string_equal(info->format, "generic-tiff");
    const uint32_t w = j.orientation < 5 ? j.w : j.h, h = j.orientation < 5 ? j.h : j.w;
    assert_int_equal(info->levels[0].width, w);
    assert_int_equal(info->levels[0].height, h);
    uint8_t *rgb = malloc((size_t)3 * w * h);
    const bool large = (uint64_t)w * h > 1 << 22; /* larger pieces, and some of the rows */
    const uint32_t across = large ? 5000 : 500, down = large ? 2500 : 37, every = large ? 13 : 1;
    for (uint32_t y = 0; y < h; y += down) /* in bands and columns that are not the file's */
        for (uint32_t x = 0; x < w; x += across)
            tt_ok(mt_slide_read_region(s, 0, x, y, (int32_t)MT_MIN(across, w - x),
                                       (int32_t)MT_MIN(down, h - y),
                                       rgb + (size_t)3 * (y * w + x), 3 * w, &err), &err);
    for (uint32_t y = 0; y < h; y += every)
        for (uint32_t x = 0; x < w; x++) {
            int want[3];
            uint32_t sx, sy;
            stored_at(&sx, &sy, &j, x, y);
            must_be(want, &j, sx, sy);
            for (int c = 0; c < 3; c++)
                if (rgb[3 * (y * w + x) + (uint32_t)c] != want[c])
                    fail_msg("%s: pixel %u,%u.%d is %d, not %d", name, x, y, c,
                             rgb[3 * (y * w + x) + (uint32_t)c], want[c]);
        }
    mt_tile_span span;
    const bool single = j.orientation == 1 && (j.planar == 1 || j.samples == 1);
    assert_int_equal(mt_slide_tile_span(&span, s, 0, 0, 0, &err), single ? MT_OK : MT_ERR_UNSUPPORTED);
    free(rgb);
    mt_slide_close(&s);
    judge_close(&j);
}

static void layouts(void **state)
{
    static const int compressions[] = {COMPRESSION_NONE, COMPRESSION_LZW, COMPRESSION_ADOBE_DEFLATE,
                                       COMPRESSION_PACKBITS, COMPRESSION_ZSTD};
    static const struct { int photometric, samples, extra, bits; } kinds[] = {
        {PHOTOMETRIC_MINISBLACK, 1, -1, 8},  {PHOTOMETRIC_MINISBLACK, 1, -1, 16},
        {PHOTOMETRIC_MINISWHITE, 1, -1, 16}, {PHOTOMETRIC_RGB, 3, -1, 8},
        {PHOTOMETRIC_RGB, 3, -1, 16},        {PHOTOMETRIC_PALETTE, 1, -1, 8},
        {PHOTOMETRIC_RGB, 4, 0, 8},          {PHOTOMETRIC_RGB, 4, EXTRASAMPLE_UNASSALPHA, 8},
        {PHOTOMETRIC_RGB, 4, EXTRASAMPLE_ASSOCALPHA, 16},
        {PHOTOMETRIC_MINISBLACK, 2, EXTRASAMPLE_UNASSALPHA, 8},
    };
    const char *path = tt_tmp_file("layout.tif");
    int n = 0;
    for (size_t z = 0; z < MT_COUNT(compressions); z++)
        for (size_t k = 0; k < MT_COUNT(kinds); k++)
            for (int v = 0; v < 16; v++) {
                const layout l = {.bits = kinds[k].bits, .samples = kinds[k].samples,
                                  .photometric = kinds[k].photometric, .extra = kinds[k].extra,
                                  .compression = compressions[z], .planar = v & 1 ? 2 : 1,
                                  .predictor = v & 2 ? 2 : 1, .tiled = v & 4,
                                  .mode = v & 8 ? "wb" : "wl", .fill = n % 7 == 3 ? 2 : 1,
                                  .orientation = n % 5 == 2 ? 1 + n / 5 % 8 : 1};
                const bool predicts = z == 1 || z == 2 || z == 4;
                if ((l.predictor == 2 && !predicts) || (l.planar == 2 && l.samples == 1)) continue;
                char name[160];
                n++;
                snprintf(name, sizeof name, "compression %d, %d bit, %d samples, photometric %d, planar "
                         "%d, predictor %d, %s, %s, fill order %d, orientation %d", l.compression,
                         l.bits, l.samples, l.photometric, l.planar, l.predictor,
                         l.tiled ? "tiles" : "strips", l.mode, l.fill, l.orientation);
                make(path, &l);
                compare(path, name);
            }
    assert_true(n > 300);
}

/* All eight ways up, with tiles of the file's and nominal ones that do not meet. */
static void orientations(void **state)
{
    const char *path = tt_tmp_file("turned.tif");
    for (int o = 1; o <= 8; o++)
        for (int tiled = 0; tiled < 2; tiled++) {
            const layout l = {.bits = 8, .samples = 3, .photometric = PHOTOMETRIC_RGB, .planar = 1,
                              .compression = COMPRESSION_LZW, .predictor = 1, .fill = 1, .extra = -1,
                              .orientation = o, .tiled = tiled, .mode = "wl"};
            char name[32];
            snprintf(name, sizeof name, "orientation %d", o);
            make(path, &l);
            compare(path, name);
        }
}

/* Nominal tiles of a turned picture are drawn from up to four stored ones, each decoded once. */
static void turned_once(void **state)
{
    const layout l = {.bits = 8, .samples = 3, .photometric = PHOTOMETRIC_RGB, .planar = 1,
                      .compression = COMPRESSION_LZW, .predictor = 1, .fill = 1, .extra = -1,
                      .orientation = 3, .tiled = 1, .mode = "wl"};
    const char *path = tt_tmp_file("once.tif");
    make(path, &l);
    mt_slide *s = NULL;
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_slide_open(&s, path, NULL, &err), &err);
    const mt_level *level = &mt_slide_get_info(s)->levels[0];
    const size_t stride = 3 * (size_t)level->tile_w;
    uint8_t *rgb = malloc(stride * (size_t)level->tile_h);
    mt_tile_reader *r = NULL;
    tt_ok(mt_tile_reader_new(&r, s, &err), &err);
    assert_true(level->tiles_x > 2 && level->tiles_y > 1 && level->width % level->tile_w != 0);
    for (int64_t ty = 0; ty < level->tiles_y; ty++)
        for (int64_t tx = 0; tx < level->tiles_x; tx++)
            tt_ok(mt_tile_reader_decode(r, 0, tx, ty, 1, rgb, stride, &err), &err);
    const mt_tiff_slide *ts = s->impl;
    assert_int_equal(mt_kept_fills(ts->stored), ts->levels[0].tiles_x * ts->levels[0].tiles_y);
    mt_tile_reader_free(&r);
    mt_slide_close(&s);
    free(rgb);
}

/* ---- real files ---- */

static const char *const real[] = {
    "codec/BigTIFFMotorola.tif", "codec/issue_69_packbits.tiff", "codec/planar-rgb-u8.tif",
    "codec/quad-lzw-compat.tiff", "codec/rgb-3c-16b.tiff", "codec/tiled-deflate-grey.tiff",
    "codec/tiled-rect-rgb-u8.tif", "codec/tiled-rgb-u8.tif", "grey10kx5k.tif", "test_orient1.tif",
    "test_orient6.tif", "yb10kx5k.zstd.tiff",
};

static void real_files(void **state)
{
    for (size_t i = 0; i < MT_COUNT(real); i++) {
        char name[64];
        snprintf(name, sizeof name, "slides/%s", real[i]);
        const char *path = tt_data(name);
        if (!path) skip();
        compare(path, real[i]);
    }
}

/* libtiff's own idea of a picture, where it has one: 8 bit, no alpha, lying or standing as it is. */
static void rgba(void **state)
{
    static const char *const names[] = {"codec/planar-rgb-u8.tif", "codec/quad-lzw-compat.tiff",
                                        "codec/tiled-rgb-u8.tif", "codec/BigTIFFMotorola.tif",
                                        "ojpeg-tile.tif"};
    for (size_t i = 0; i < MT_COUNT(names); i++) {
        char name[64];
        snprintf(name, sizeof name, "slides/%s", names[i]);
        const char *path = tt_data(name);
        if (!path) skip();
        uint32_t w = 0, h = 0;
        mt_err err = MT_ERR_INIT;
        mt_slide *s = NULL;
        TIFF *t = TIFFOpen(path, "r");
        TIFFGetField(t, TIFFTAG_IMAGEWIDTH, &w);
        TIFFGetField(t, TIFFTAG_IMAGELENGTH, &h);
        uint32_t *want = malloc((size_t)4 * w * h);
        assert_int_equal(TIFFReadRGBAImageOriented(t, w, h, want, ORIENTATION_TOPLEFT, 1), 1);
        TIFFClose(t);
        uint8_t *rgb = malloc((size_t)3 * w * h);
        tt_ok(mt_slide_open(&s, path, NULL, &err), &err);
        tt_ok(mt_slide_read_region(s, 0, 0, 0, (int32_t)w, (int32_t)h, rgb, 3 * w, &err), &err);
        int worst = 0;
        for (size_t k = 0; k < (size_t)w * h; k++) {
            worst = MT_MAX(worst, abs(rgb[3 * k] - (int)TIFFGetR(want[k])));
            worst = MT_MAX(worst, abs(rgb[3 * k + 1] - (int)TIFFGetG(want[k])));
            worst = MT_MAX(worst, abs(rgb[3 * k + 2] - (int)TIFFGetB(want[k])));
        }
        if (worst) fail_msg("%s: %d grey levels apart", names[i], worst);
        mt_slide_close(&s);
        free(want);
        free(rgb);
    }
}

static void refused(void **state)
{
    const layout base = {.bits = 8, .samples = 1, .photometric = PHOTOMETRIC_MINISBLACK, .planar = 1,
                         .compression = COMPRESSION_LZW, .predictor = 1, .fill = 1, .extra = -1,
                         .orientation = 1, .mode = "wl"};
    const char *path = tt_data("slides/rgb_geotiff.tiff");
    mt_slide *s = NULL;
    mt_err err = MT_ERR_INIT;
    if (path) {
        assert_int_equal(mt_slide_open(&s, path, NULL, &err), MT_ERR_UNSUPPORTED);
        assert_non_null(strstr(err.text, "GeoTIFF"));
    }
    static const struct { layout change; const char *says; } bad[] = {
        {{.bits = 32, .predictor = 1}, "32 bits a sample"},
        {{.bits = 8, .predictor = 1, .samples = 5}, "5 samples a pixel"},
    };
    path = tt_tmp_file("refused.tif");
    for (size_t i = 0; i < MT_COUNT(bad); i++) {
        layout l = base;
        l.bits = bad[i].change.bits;
        if (bad[i].change.samples) l.samples = bad[i].change.samples;
        make_header(path, &l);
        mt_err_clear(&err);
        assert_int_equal(mt_slide_open(&s, path, NULL, &err), MT_ERR_UNSUPPORTED);
        if (!strstr(err.text, bad[i].says)) fail_msg("'%s' lacks '%s'", err.text, bad[i].says);
    }
}

int main(void)
{
    TIFFSetWarningHandler(NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layouts), cmocka_unit_test(orientations), cmocka_unit_test(turned_once), cmocka_unit_test(real_files),
        cmocka_unit_test(rgba), cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
