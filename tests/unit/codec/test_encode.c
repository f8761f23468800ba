/* Encoders against the libraries' own decoders: what comes back, which markers stand in the stream. */
#include "tests/support/support.h"
#include "codec/encode.h"

#include <stdio.h>
#include <string.h>
#include <jpeglib.h>
#include <png.h>

enum { W = 61, H = 43 }; /* no multiple of any MCU */

static void picture(uint8_t *rgb, size_t stride)
{
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            uint8_t *p = rgb + (size_t)y * stride + 3 * x;
            p[0] = (uint8_t)(40 + 3 * x);
            p[1] = (uint8_t)(200 - 3 * y);
            p[2] = (uint8_t)(90 + x + y);
        }
}

static bool has_marker(const mt_buf *b, uint8_t code)
{
    size_t i = 2; /* after SOI */
    while (i + 4 <= b->len && b->data[i] == 0xFF) {
        if (b->data[i + 1] == code) return true;
        if (b->data[i + 1] == 0xDA || b->data[i + 1] == 0xD9) return false;
        i += 2 + ((size_t)b->data[i + 2] << 8 | b->data[i + 3]);
    }
    return i + 2 <= b->len && b->data[i + 1] == code;
}

/* Decodes (tables first when given), forcing the stored colour space as a TIFF reader does. */
static int largest_error(const mt_buf *tables, const mt_buf *img, bool rgb, const uint8_t *want, size_t stride)
{
    struct jpeg_decompress_struct d;
    struct jpeg_error_mgr e;
    d.err = jpeg_std_error(&e); /* exits the program on bad data: the test has then failed */
    jpeg_create_decompress(&d);
    if (tables) {
        jpeg_mem_src(&d, tables->data, tables->len);
        assert_int_equal(jpeg_read_header(&d, FALSE), JPEG_HEADER_TABLES_ONLY);
    }
    jpeg_mem_src(&d, img->data, img->len);
    assert_int_equal(jpeg_read_header(&d, TRUE), JPEG_HEADER_OK);
    assert_int_equal(d.image_width, W);
    assert_int_equal(d.image_height, H);
    d.jpeg_color_space = rgb ? JCS_RGB : JCS_YCbCr;
    d.out_color_space = JCS_RGB;
    jpeg_start_decompress(&d);
    uint8_t row[W * 3], *rows[1] = {row};
    int worst = 0;
    while (d.output_scanline < d.output_height) {
        const uint8_t *w = want + (size_t)d.output_scanline * stride;
        jpeg_read_scanlines(&d, rows, 1);
        for (int i = 0; i < W * 3; i++) worst = MT_MAX(worst, abs(row[i] - w[i]));
    }
    assert_int_equal(e.num_warnings, 0);
    jpeg_finish_decompress(&d);
    jpeg_destroy_decompress(&d);
    return worst;
}

static void jpeg_round_trips(void **state)
{
    mt_err err = MT_ERR_INIT;
    static const int sub[] = {444, 422, 420};
    size_t stride = W * 3 + 5;
    uint8_t px[H * (W * 3 + 5)];
    memset(px, 0xEE, sizeof px);
    picture(px, stride);
    for (int s = 0; s < 3; s++)
        for (int mode = 0; mode < 4; mode++) {
            mt_jpeg_enc_opts o = {1, 95, sub[s], mode & 1, mode >> 1};
            MT_AUTO(mt_jpeg_encoder_free) mt_jpeg_encoder *enc = NULL;
            tt_ok(mt_jpeg_encoder_new(&enc, &o, &err), &err);
            MT_AUTO(mt_buf_free) mt_buf tables = MT_BUF_INIT(4096);
            MT_AUTO(mt_buf_free) mt_buf a = MT_BUF_INIT(1 << 20);
            MT_AUTO(mt_buf_free) mt_buf b = MT_BUF_INIT(1 << 20);
            tt_ok(mt_jpeg_encoder_encode(enc, &a, px, stride, W, H, &err), &err);
            tt_ok(mt_jpeg_encoder_tables(enc, &tables, &err), &err);
            tt_ok(mt_jpeg_encoder_encode(enc, &b, px, stride, W, H, &err), &err);
            /* reuse gives the same bytes, before and after the tables were asked for */
            assert_int_equal(a.len, b.len);
            assert_memory_equal(a.data, b.data, a.len);
            assert_int_equal(has_marker(&a, 0xDB), !o.abbreviated);
            assert_int_equal(has_marker(&a, 0xC4), !o.abbreviated);
            assert_int_equal(has_marker(&a, 0xE0), !o.abbreviated && !o.rgb);
            assert_false(has_marker(&a, 0xEE));
            assert_true(has_marker(&tables, 0xDB));
            assert_true(has_marker(&tables, 0xC4));
            assert_true(has_marker(&tables, 0xD9));
            int worst = largest_error(o.abbreviated ? &tables : NULL, &a, o.rgb, px, stride);
            assert_true(worst <= (sub[s] == 444 || o.rgb ? 8 : 24));
        }
}

static void rgb_has_aperio_ids(void **state)
{
    mt_err err = MT_ERR_INIT;
    uint8_t px[H * W * 3];
    picture(px, W * 3);
    mt_jpeg_enc_opts o = {1, 90, 420, true, true};
    MT_AUTO(mt_jpeg_encoder_free) mt_jpeg_encoder *enc = NULL;
    MT_AUTO(mt_buf_free) mt_buf a = MT_BUF_INIT(1 << 20);
    tt_ok(mt_jpeg_encoder_new(&enc, &o, &err), &err);
    tt_ok(mt_jpeg_encoder_encode(enc, &a, px, W * 3, W, H, &err), &err);
    /* SOI, then SOF0 at once: length 17, 8 bit, height, width, 3 components (id, 1x1, table) */
    static const uint8_t sof[] = {0xFF, 0xD8, 0xFF, 0xC0, 0, 17, 8, 0, H, 0, W, 3, 0, 0x11, 0, 1, 0x11, 0, 2, 0x11, 0};
    assert_memory_equal(a.data, sof, sizeof sof);
}

static void appends_after_what_is_there(void **state)
{
    mt_err err = MT_ERR_INIT;
    uint8_t px[H * W * 3];
    picture(px, W * 3);
    MT_AUTO(mt_buf_free) mt_buf a = MT_BUF_INIT(1 << 20);
    mt_buf_append(&a, "head", 4);
    tt_ok(mt_jpeg_encode(&a, px, W * 3, W, H, 80, 420, &err), &err);
    size_t first = a.len;
    tt_ok(mt_jpeg_encode(&a, px, W * 3, W, H, 80, 420, &err), &err);
    assert_memory_equal(a.data, "head", 4);
    assert_int_equal(a.len, 2 * first - 4);
    assert_memory_equal(a.data + 4, a.data + first, first - 4);
}

static void full_buffer_is_an_error(void **state)
{
    mt_err err = MT_ERR_INIT;
    uint8_t px[H * W * 3];
    picture(px, W * 3);
    MT_AUTO(mt_jpeg_encoder_free) mt_jpeg_encoder *enc = NULL;
    mt_jpeg_enc_opts o = MT_JPEG_ENC_OPTS_INIT;
    tt_ok(mt_jpeg_encoder_new(&enc, &o, &err), &err);
    MT_AUTO(mt_buf_free) mt_buf whole = MT_BUF_INIT(1 << 20);
    tt_ok(mt_jpeg_encoder_encode(enc, &whole, px, W * 3, W, H, &err), &err);
    /* every ceiling but the true size fails cleanly; the exact size fits */
    for (size_t cap = 0; cap <= whole.len; cap += (cap < 700 || cap + 40 > whole.len) ? 1 : 37) {
        MT_AUTO(mt_buf_free) mt_buf b = MT_BUF_INIT(cap);
        mt_err_clear(&err);
        mt_status st = mt_jpeg_encoder_encode(enc, &b, px, W * 3, W, H, &err);
        if (cap + 1 < whole.len) assert_int_equal(st, MT_ERR_LIMIT);
        if (st != MT_OK) assert_int_equal(b.len, 0);
        MT_AUTO(mt_buf_free) mt_buf p = MT_BUF_INIT(cap / 8);
        mt_err_clear(&err);
        assert_int_equal(mt_png_encode(&p, px, W * 3, W, H, 3, &err), MT_ERR_LIMIT);
        assert_int_equal(p.len, 0);
    }
    mt_err_clear(&err);
    MT_AUTO(mt_buf_free) mt_buf again = MT_BUF_INIT(1 << 20);
    tt_ok(mt_jpeg_encoder_encode(enc, &again, px, W * 3, W, H, &err), &err);
    assert_int_equal(again.len, whole.len);
    assert_memory_equal(again.data, whole.data, whole.len);
}

static void refuses_bad_requests(void **state)
{
    uint8_t px[64 * 3] = {0};
    static const mt_jpeg_enc_opts bad[] = {{1, 0, 420, 0, 0}, {1, 101, 420, 0, 0}, {1, 80, 411, 0, 0}};
    for (size_t i = 0; i < MT_COUNT(bad); i++) {
        mt_err err = MT_ERR_INIT;
        mt_jpeg_encoder *enc = NULL;
        assert_int_equal(mt_jpeg_encoder_new(&enc, &bad[i], &err), MT_ERR_ARG);
        assert_null(enc);
    }
    MT_AUTO(mt_buf_free) mt_buf b = MT_BUF_INIT(1 << 16);
    static const int sides[][2] = {{0, 1}, {1, 0}, {-1, 4}, {65536, 1}, {1, 65536}};
    for (size_t i = 0; i < MT_COUNT(sides); i++) {
        mt_err err = MT_ERR_INIT;
        assert_int_equal(mt_jpeg_encode(&b, px, 1 << 20, sides[i][0], sides[i][1], 80, 420, &err), MT_ERR_ARG);
        if (sides[i][0] < 65536 && sides[i][1] < 65536) {
            mt_err_clear(&err);
            assert_int_equal(mt_png_encode(&b, px, 1 << 20, sides[i][0], sides[i][1], 3, &err), MT_ERR_ARG);
        }
    }
    mt_err err = MT_ERR_INIT;
    assert_int_equal(mt_jpeg_encode(&b, px, 11, 4, 4, 80, 420, &err), MT_ERR_ARG); /* stride */
    mt_err_clear(&err);
    assert_int_equal(mt_png_encode(&b, px, 12, 4, 4, 2, &err), MT_ERR_ARG); /* channels */
    mt_err_clear(&err);
    assert_int_equal(mt_png_encode(&b, px, 11, 4, 4, 3, &err), MT_ERR_ARG);
    assert_int_equal(b.len, 0);
}

static void png_round_trips(void **state)
{
    mt_err err = MT_ERR_INIT;
    static const int format[5] = {0, PNG_FORMAT_GRAY, 0, PNG_FORMAT_RGB, PNG_FORMAT_RGBA};
    for (int ch = 1; ch <= 4; ch++) {
        if (ch == 2) continue;
        size_t stride = (size_t)W * (size_t)ch + 3;
        uint8_t px[H * (W * 4 + 3)], back[H * W * 4];
        for (size_t i = 0; i < sizeof px; i++) px[i] = (uint8_t)(i * 2654435761u >> 13);
        MT_AUTO(mt_buf_free) mt_buf a = MT_BUF_INIT(1 << 20);
        MT_AUTO(mt_buf_free) mt_buf b = MT_BUF_INIT(1 << 20);
        tt_ok(mt_png_encode(&a, px, stride, W, H, ch, &err), &err);
        tt_ok(mt_png_encode(&b, px, stride, W, H, ch, &err), &err);
        assert_int_equal(a.len, b.len);
        assert_memory_equal(a.data, b.data, a.len);
        assert_null(memmem(a.data, a.len, "tIME", 4));
        png_image img = {.version = PNG_IMAGE_VERSION};
        assert_true(png_image_begin_read_from_memory(&img, a.data, a.len));
        img.format = (png_uint_32)format[ch];
        assert_true(png_image_finish_read(&img, NULL, back, W * ch, NULL));
        for (int y = 0; y < H; y++) assert_memory_equal(back + y * W * ch, px + (size_t)y * stride, (size_t)(W * ch));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jpeg_round_trips),       cmocka_unit_test(rgb_has_aperio_ids),
        cmocka_unit_test(appends_after_what_is_there), cmocka_unit_test(full_buffer_is_an_error),
        cmocka_unit_test(refuses_bad_requests),   cmocka_unit_test(png_round_trips),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
