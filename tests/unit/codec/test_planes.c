/* Planes: what a sink makes of them is what rows would have been, for every subsampling, every kind of last
 * group of rows and every picture that has no planes. */
#include "tests/support/support.h"
#include <string.h>
#include "base/buf.h"
#include "codec/codec.h"
#include "codec/encode.h"
#include "kernels/u8_ycc.h"

enum { MOST = 160 };

typedef struct taken {
    uint8_t px[MOST * MOST * 3];
    int32_t w, next; /* the row that must come now */
    int planes, rows;
    bool in_order;
} taken;

static void take_rows(void *ctx, const uint8_t *rgb, size_t stride, int32_t y, int32_t n)
{
    taken *t = ctx;
    t->in_order &= y == t->next;
    t->next = y + n;
    t->rows += n;
    for (int32_t i = 0; i < n; i++)
        memcpy(t->px + (size_t)(y + i) * MOST * 3, rgb + (size_t)i * stride, (size_t)t->w * 3);
}

/* In two pieces, so that the row in the middle of a stretch counts too. */
static void take_planes(void *ctx, mt_ycc_kind kind, const mt_ycc_row *rows, int32_t y, int32_t n)
{
    taken *t = ctx;
    t->in_order &= y == t->next;
    t->next = y + n;
    t->planes += n;
    for (int32_t i = 0; i < n; i++) {
        uint8_t *to = t->px + (size_t)(y + i) * MOST * 3;
        const int32_t cut = (y + i) % t->w;
        mt_u8_ycc(kind)(to, &rows[i], 0, cut);
        mt_u8_ycc(kind)(to + 3 * cut, &rows[i], cut, t->w - cut);
    }
}

static void noise(uint8_t *p, size_t n, uint32_t seed)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        p[i] = (uint8_t)(seed >> 24);
    }
}

/* Rows of a picture that gives planes, or not, and of the same picture without anyone who wants them;
 * h rows are asked for, the stream may have more. */
static void compare(mt_decoder *d, const mt_buf *jpeg, mt_colour colour, int samples, int32_t w, int32_t h,
                    bool has_planes)
{
    static taken t;
    static uint8_t want[MOST * MOST * 3], scratch[MOST * MOST * 3];
    mt_err e = MT_ERR_INIT;
    const mt_coding c = {.codec = MT_CODEC_JPEG, .colour = colour, .samples = samples};
    const mt_row_sink sink = {.rows = take_rows, .ctx = &t, .planes = take_planes};
    mt_pixels out = {want, MOST * 3, w, h, 1, NULL};
    tt_ok(mt_decoder_decode(d, &c, jpeg->data, jpeg->len, &out, &e), &e);
    memset(&t, 0, sizeof t);
    t.w = w;
    t.in_order = true;
    out = (mt_pixels){scratch, MOST * 3, w, h, 1, &sink};
    tt_ok(mt_decoder_decode(d, &c, jpeg->data, jpeg->len, &out, &e), &e);
    assert_true(t.in_order);
    assert_int_equal(t.planes, has_planes ? h : 0);
    assert_int_equal(t.rows, has_planes ? 0 : h);
    for (int32_t y = 0; y < h; y++)
        if (memcmp(t.px + (size_t)y * MOST * 3, want + (size_t)y * MOST * 3, (size_t)w * 3))
            fail_msg("%d x %d: row %d differs", w, h, y);
}

static mt_buf encoded(const uint8_t *px, int32_t w, int32_t h, int subsampling, bool rgb)
{
    mt_err e = MT_ERR_INIT;
    mt_jpeg_encoder *enc;
    mt_jpeg_enc_opts o = MT_JPEG_ENC_OPTS_INIT;
    mt_buf b = MT_BUF_INIT(1 << 20);
    o.quality = 96;
    o.subsampling = subsampling;
    o.rgb = rgb;
    tt_ok(mt_jpeg_encoder_new(&enc, &o, &e), &e);
    tt_ok(mt_jpeg_encoder_encode(enc, &b, px, MOST * 3, w, h, &e), &e);
    mt_jpeg_encoder_free(&enc);
    return b;
}

/* One decoder for all of them: nothing of one picture is seen in the next. */
static void as_rows(void **state)
{
    static uint8_t px[MOST * MOST * 3];
    static const int subsamplings[] = {420, 422, 444};
    mt_err e = MT_ERR_INIT;
    mt_decoder *d;
    tt_ok(mt_decoder_new(&d, &e), &e);
    noise(px, sizeof px, 3);
    for (int k = 0; k < 3; k++)
        for (int32_t i = 0; i < 120; i++) {
            const int32_t w = 1 + i * 7 % MOST, h = 1 + i * 11 % 83;
            mt_buf b = encoded(px + i, w, h, subsamplings[k], false);
            compare(d, &b, MT_COLOUR_YCBCR, 3, w, h, w >= 5);
            if (h > 20) compare(d, &b, MT_COLOUR_YCBCR, 3, w, h - 1 - i % 19, w >= 5);
            mt_buf_free(&b);
        }
    mt_decoder_free(&d);
}

static void none_in_rgb(void **state)
{
    static uint8_t px[MOST * MOST * 3];
    mt_err e = MT_ERR_INIT;
    mt_decoder *d;
    tt_ok(mt_decoder_new(&d, &e), &e);
    noise(px, sizeof px, 4);
    mt_buf b = encoded(px, 90, 70, 444, true);
    compare(d, &b, MT_COLOUR_RGB, 3, 90, 70, false);
    mt_buf_free(&b);
    mt_decoder_free(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_rows), cmocka_unit_test(none_in_rgb)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
