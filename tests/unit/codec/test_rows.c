/* Rows handed over as they come are the picture that a plain decode gives. */
#include <stdlib.h>
#include <string.h>
#include "codec/codec.h"
#include "codec/encode.h"
#include "tests/support/support.h"

enum { W = 75, H = 61, STRIDE = 3 * W + 5 };

typedef struct taken {
    uint8_t *rgb;
    int32_t next, w;
    int calls;
    bool disorder;
} taken;

static void take(void *ctx, const uint8_t *rgb, size_t stride, int32_t y, int32_t n)
{
    taken *t = ctx;
    t->disorder |= y != t->next || n < 1;
    for (int32_t i = 0; i < n; i++)
        memcpy(t->rgb + (size_t)(y + i) * STRIDE, rgb + (size_t)i * stride, (size_t)t->w * 3);
    t->next = y + n;
    t->calls++;
}

static void paint(uint8_t *rgb)
{
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            uint8_t *p = rgb + 3 * (y * W + x);
            p[0] = (uint8_t)(3 * x + y);
            p[1] = (uint8_t)(255 - 2 * y);
            p[2] = (uint8_t)(x * y / 7);
        }
}

static void same_as_whole(const mt_coding *c, const void *data, size_t n, int scale, bool streams)
{
    mt_err err = MT_ERR_INIT;
    mt_decoder *d = NULL;
    uint8_t *whole = calloc(H, STRIDE), *parts = calloc(H, STRIDE), *scratch = calloc(H, STRIDE);
    const int32_t w = (W + scale - 1) / scale, h = (H + scale - 1) / scale;
    taken t = {parts, 0, w, 0, false};
    const mt_row_sink to = {.rows = take, .ctx = &t};
    tt_ok(mt_decoder_new(&d, &err), &err);
    mt_pixels out = {whole, STRIDE, W, H, scale, NULL};
    tt_ok(mt_decoder_decode(d, c, data, n, &out, &err), &err);
    out.rgb = scratch;
    out.sink = &to;
    tt_ok(mt_decoder_decode(d, c, data, n, &out, &err), &err);
    assert_false(t.disorder);
    assert_int_equal(t.next, h);
    assert_int_equal(t.calls > 1, streams);
    assert_int_equal(mt_codec_streams(c->codec), streams);
    for (int32_t y = 0; y < h; y++)
        assert_memory_equal(whole + (size_t)y * STRIDE, parts + (size_t)y * STRIDE, 3 * (size_t)w);
    mt_decoder_free(&d);
    free(whole);
    free(parts);
    free(scratch);
}

static void jpeg_rows(void **state)
{
    static uint8_t rgb[W * H * 3];
    static const int subsampling[] = {444, 422, 420};
    paint(rgb);
    for (int k = 0; k < 3; k++)
        for (int scale = 1; scale <= 4; scale *= 2) { /* 8 leaves one portion */
            mt_err err = MT_ERR_INIT;
            mt_buf b = MT_BUF_INIT(1 << 20);
            const mt_coding c = {.codec = MT_CODEC_JPEG, .colour = MT_COLOUR_YCBCR, .samples = 3};
            tt_ok(mt_jpeg_encode(&b, rgb, 3 * W, W, H, 85, subsampling[k], &err), &err);
            same_as_whole(&c, b.data, b.len, scale, true);
            mt_buf_free(&b);
        }
}

static void whole_pictures(void **state)
{
    static uint8_t rgb[W * H * 3];
    const mt_coding c = {.codec = MT_CODEC_RAW, .colour = MT_COLOUR_RGB, .samples = 3};
    paint(rgb);
    same_as_whole(&c, rgb, sizeof rgb, 1, false);
}

/* A damaged picture: some rows may have come, the decode says that it failed. */
static void cut_jpeg(void **state)
{
    static uint8_t rgb[W * H * 3], scratch[H * STRIDE], parts[H * STRIDE];
    mt_err err = MT_ERR_INIT;
    mt_buf b = MT_BUF_INIT(1 << 20);
    mt_decoder *d = NULL;
    const mt_coding c = {.codec = MT_CODEC_JPEG, .colour = MT_COLOUR_YCBCR, .samples = 3};
    paint(rgb);
    tt_ok(mt_jpeg_encode(&b, rgb, 3 * W, W, H, 85, 444, &err), &err);
    tt_ok(mt_decoder_new(&d, &err), &err);
    taken t = {parts, 0, W, 0, false};
    const mt_row_sink to = {.rows = take, .ctx = &t};
    const mt_pixels out = {scratch, STRIDE, W, H, 1, &to};
    assert_int_equal(mt_decoder_decode(d, &c, b.data, b.len / 2, &out, &err), MT_ERR_FORMAT);
    assert_false(t.disorder);
    assert_true(t.next < H);
    mt_decoder_free(&d);
    mt_buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jpeg_rows),
        cmocka_unit_test(whole_pictures),
        cmocka_unit_test(cut_jpeg),
    };
    return cmocka_run_group_tests_name("rows", tests, NULL, NULL);
}
