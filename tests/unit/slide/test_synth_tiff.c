/* The TIFF writer against libtiff: tags, tiles, strips, LZW, both sizes of the format. */
#include "tests/support/support.h"
#include "base/file.h"
#include "slide/synth/tiff_write.h"

#include <stdio.h>
#include <string.h>
#include <tiffio.h>

static uint8_t value(int x, int y, int c) { return (uint8_t)(x * 7 + y * 13 + c * 50 + (x * y >> 3)); }

static void fill(uint8_t *px, int x0, int y0, int w, int h)
{
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++)
            for (int c = 0; c < 3; c++) px[(y * w + x) * 3 + c] = value(x0 + x, y0 + y, c);
}

static void lzw_of(mt_buf *out, uint8_t *px, int w, int h, bool predict)
{
    for (int y = 0; predict && y < h; y++)
        for (int i = 3 * w - 1; i >= 3; i--) px[y * 3 * w + i] -= px[y * 3 * w + i - 3];
    mt_tiff_lzw(out, px, (size_t)(w * h * 3));
}

enum { W = 150, H = 70, TILE = 32 };

/* Three images: raw tiles, LZW strips with predictor, LZW tiles with one tile left out. */
static void file_write(const char *path, bool big)
{
    mt_err err = MT_ERR_INIT;
    mt_tiff_writer *w = NULL;
    tt_ok(mt_tiff_writer_open(&w, path, big, &err), &err);
    mt_tiff_image m = MT_TIFF_IMAGE_INIT;
    int raw, strips, sparse;
    m.width = W;
    m.height = H;
    m.tile_w = m.tile_h = TILE;
    m.description = "first image, a text longer than a tag's own room";
    m.software = "abc"; /* fits into the tag */
    m.px_per_cm_x = 20000;
    m.px_per_cm_y = 39682.5397;
    tt_ok(mt_tiff_writer_image(&raw, w, &m, &err), &err);
    mt_tiff_image s = MT_TIFF_IMAGE_INIT;
    s.width = W;
    s.height = H;
    s.rows_per_strip = 16;
    s.compression = MT_TIFF_LZW;
    s.predictor = 2;
    s.subfile = 1;
    tt_ok(mt_tiff_writer_image(&strips, w, &s, &err), &err);
    m.compression = MT_TIFF_LZW;
    m.predictor = 2;
    m.description = m.software = NULL;
    m.px_per_cm_x = 0;
    tt_ok(mt_tiff_writer_image(&sparse, w, &m, &err), &err);
    uint8_t px[W * H * 3];
    const int tx = (W + TILE - 1) / TILE, ty = (H + TILE - 1) / TILE;
    for (int k = 0; k < tx * ty; k++) { /* interleaved, and odd lengths: offsets must stay even */
        MT_AUTO(mt_buf_free) mt_buf b = MT_BUF_INIT(1 << 20);
        fill(px, k % tx * TILE, k / tx * TILE, TILE, TILE);
        tt_ok(mt_tiff_writer_put(w, raw, (uint64_t)k, px, TILE * TILE * 3, &err), &err);
        lzw_of(&b, px, TILE, TILE, true);
        if (k != 3) tt_ok(mt_tiff_writer_put(w, sparse, (uint64_t)k, b.data, b.len, &err), &err);
    }
    for (int k = 0; k * 16 < H; k++) {
        MT_AUTO(mt_buf_free) mt_buf b = MT_BUF_INIT(1 << 20);
        const int rows = MT_MIN(16, H - k * 16);
        fill(px, 0, k * 16, W, rows);
        lzw_of(&b, px, W, rows, true);
        tt_ok(mt_tiff_writer_put(w, strips, (uint64_t)k, b.data, b.len, &err), &err);
    }
    mt_err e2 = MT_ERR_INIT;
    assert_int_equal(mt_tiff_writer_put(w, raw, 0, px, 4, &e2), MT_ERR_INTERNAL); /* twice */
    mt_err_clear(&e2);
    assert_int_equal(mt_tiff_writer_put(w, raw, (uint64_t)(tx * ty), px, 4, &e2), MT_ERR_INTERNAL);
    assert_false(mt_file_exists(path));
    tt_ok(mt_tiff_writer_close(&w, &err), &err);
    assert_null(w);
}

static void check_file(const char *path, bool big)
{
    TIFF *t = TIFFOpen(path, "r");
    assert_non_null(t);
    assert_int_equal(TIFFIsBigTIFF(t), big);
    uint32_t v = 0;
    char *text = NULL;
    float res = 0;
    assert_int_equal(TIFFGetField(t, TIFFTAG_IMAGEDESCRIPTION, &text), 1);
    assert_string_equal(text, "first image, a text longer than a tag's own room");
    assert_int_equal(TIFFGetField(t, TIFFTAG_SOFTWARE, &text), 1);
    assert_string_equal(text, "abc");
    assert_int_equal(TIFFGetField(t, TIFFTAG_XRESOLUTION, &res), 1);
    assert_float_equal(res, 20000.0f, 1e-3f);
    assert_int_equal(TIFFGetField(t, TIFFTAG_YRESOLUTION, &res), 1);
    assert_float_equal(res, 39682.5397f, 0.01f);
    static uint8_t got[W * TILE * 3], want[W * TILE * 3];
    const int tx = (W + TILE - 1) / TILE, ty = (H + TILE - 1) / TILE;
    for (int k = 0; k < tx * ty; k++) {
        assert_int_equal(TIFFReadEncodedTile(t, (uint32_t)k, got, TILE * TILE * 3), TILE * TILE * 3);
        fill(want, k % tx * TILE, k / tx * TILE, TILE, TILE);
        assert_memory_equal(got, want, TILE * TILE * 3);
    }
    assert_int_equal(TIFFReadDirectory(t), 1);
    assert_int_equal(TIFFGetField(t, TIFFTAG_SUBFILETYPE, &v), 1);
    assert_int_equal(v, 1);
    for (int k = 0; k * 16 < H; k++) {
        const int rows = MT_MIN(16, H - k * 16);
        assert_int_equal(TIFFReadEncodedStrip(t, (uint32_t)k, got, -1), W * rows * 3);
        fill(want, 0, k * 16, W, rows);
        assert_memory_equal(got, want, (size_t)(W * rows * 3));
    }
    assert_int_equal(TIFFReadDirectory(t), 1);
    assert_int_equal(TIFFGetField(t, TIFFTAG_XRESOLUTION, &res), 0);
    uint64_t *count = NULL;
    assert_int_equal(TIFFGetField(t, TIFFTAG_TILEBYTECOUNTS, &count), 1);
    for (int k = 0; k < tx * ty; k++) {
        assert_int_equal(count[k] == 0, k == 3);
        if (k == 3) continue;
        assert_int_equal(TIFFReadEncodedTile(t, (uint32_t)k, got, TILE * TILE * 3), TILE * TILE * 3);
        fill(want, k % tx * TILE, k / tx * TILE, TILE, TILE);
        assert_memory_equal(got, want, TILE * TILE * 3);
    }
    assert_int_equal(TIFFReadDirectory(t), 0);
    TIFFClose(t);
}

static void both_sizes_read_back(void **state)
{
    for (int big = 0; big < 2; big++) {
        const char *path = tt_tmp_file(big ? "big.tif" : "classic.tif");
        file_write(path, big);
        check_file(path, big);
    }
}

/* Every length of the tables, with data that compress well, badly and not at all. */
static void lzw_of_all_kinds(void **state)
{
    enum { N = 400000 };
    mt_err err = MT_ERR_INIT;
    uint8_t *px = NULL, *back = NULL;
    tt_ok(mt_alloc(&px, N, 1, N, "test", &err), &err);
    tt_ok(mt_alloc(&back, N, 1, N, "test", &err), &err);
    for (int kind = 0; kind < 4; kind++)
        for (int len = 1; len < N; len = len < 1200 ? len + 1 : len * 3 + 1) {
            uint32_t h = 12345;
            for (int i = 0; i < len; i++) {
                h = h * 1664525u + 1013904223u;
                px[i] = kind == 0 ? 7 : kind == 1 ? (uint8_t)(h >> 24) : kind == 2 ? (uint8_t)(h >> 30) : (uint8_t)(i / 100);
            }
            const char *path = tt_tmp_file("lzw.tif");
            mt_tiff_writer *w = NULL;
            mt_tiff_image m = MT_TIFF_IMAGE_INIT;
            int index;
            m.width = len;
            m.height = 1;
            m.samples = 1;
            m.photometric = MT_TIFF_BLACK_IS_0;
            m.compression = MT_TIFF_LZW;
            MT_AUTO(mt_buf_free) mt_buf b = MT_BUF_INIT(2 * N + 100);
            mt_tiff_lzw(&b, px, (size_t)len);
            if (len > 1200 || len % 97 == 0 || (len > 240 && len < 260)) {
                tt_ok(mt_tiff_writer_open(&w, path, false, &err), &err);
                tt_ok(mt_tiff_writer_image(&index, w, &m, &err), &err);
                tt_ok(mt_tiff_writer_put(w, index, 0, b.data, b.len, &err), &err);
                tt_ok(mt_tiff_writer_close(&w, &err), &err);
                TIFF *t = TIFFOpen(path, "r");
                assert_non_null(t);
                assert_int_equal(TIFFReadEncodedStrip(t, 0, back, len), len);
                assert_memory_equal(back, px, (size_t)len);
                TIFFClose(t);
            }
        }
    free(px);
    free(back);
}

static void bad_images_are_refused(void **state)
{
    mt_err err = MT_ERR_INIT;
    MT_AUTO(mt_tiff_writer_discard) mt_tiff_writer *w = NULL;
    const char *path = tt_tmp_file("refused.tif");
    tt_ok(mt_tiff_writer_open(&w, path, false, &err), &err);
    static const int bad[][5] = {/* w h tile samples bits */ {0, 5, 16, 3, 8}, {5, 0, 16, 3, 8}, {5, 5, 15, 3, 8}, {5, 5, 16, 0, 8}, {5, 5, 16, 5, 8}, {5, 5, 16, 3, 7}};
    for (size_t i = 0; i < MT_COUNT(bad); i++) {
        mt_tiff_image m = MT_TIFF_IMAGE_INIT;
        int index;
        m.width = bad[i][0];
        m.height = bad[i][1];
        m.tile_w = m.tile_h = bad[i][2];
        m.samples = bad[i][3];
        m.bits = bad[i][4];
        mt_err_clear(&err);
        assert_int_equal(mt_tiff_writer_image(&index, w, &m, &err), MT_ERR_ARG);
    }
    mt_tiff_writer_discard(&w);
    assert_false(mt_file_exists(path));
}

int main(void)
{
    TIFFSetWarningHandler(NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sizes_read_back),
        cmocka_unit_test(lzw_of_all_kinds),
        cmocka_unit_test(bad_images_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
