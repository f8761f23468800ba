/* Planes: what a sink makes of them is what rows would have been, for every subsampling, every kind of last
 * group of rows and every picture that has no planes. Samples: all of them, of every kind of JPEG. */
#include "tests/support/support.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jpeglib.h>
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

/* ---- samples ---- */

typedef struct kind {
    int h, v; /* factors of the first component; the others have 1 and 1 */
    bool grey, progressive, arithmetic;
    unsigned restart; /* MCUs */
} kind;

/* A smooth picture as libjpeg writes it; free() the bytes. */
static uint8_t *written(size_t *n, const kind *k, int32_t w, int32_t h)
{
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr e;
    unsigned char *out = NULL;
    unsigned long bytes = 0;
    c.err = jpeg_std_error(&e);
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, &out, &bytes);
    c.image_width = (JDIMENSION)w;
    c.image_height = (JDIMENSION)h;
    c.input_components = k->grey ? 1 : 3;
    c.in_color_space = k->grey ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(&c);
    jpeg_set_quality(&c, 95, TRUE);
    c.comp_info[0].h_samp_factor = k->h;
    c.comp_info[0].v_samp_factor = k->v;
    c.arith_code = k->arithmetic;
    c.restart_interval = k->restart;
    if (k->progressive) jpeg_simple_progression(&c);
    jpeg_start_compress(&c, TRUE);
    for (int32_t y = 0; y < h; y++) {
        uint8_t row[3 * MOST];
        for (int32_t x = 0; x < w; x++)
            for (int i = 0; i < c.input_components; i++)
                row[x * c.input_components + i] = (uint8_t)(60 + (x * (i + 1) + y * (3 - i)) / 8 % 120);
        JSAMPROW rows[1] = {row};
        (void)jpeg_write_scanlines(&c, rows, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    *n = bytes;
    return out;
}

typedef struct held {
    uint8_t *px[3]; /* as large as the picture's planes are, and no larger */
    size_t stride[3];
    int step_x[3], step_y[3], planes;
    int32_t w, h, next;
} held;

static void hold(void *ctx, const mt_sample_rows *r)
{
    held *t = ctx;
    assert_int_equal(r->y, t->next);
    assert_true(r->n > 0 && r->y + r->n <= t->h);
    t->next = r->y + r->n;
    t->planes = r->planes;
    for (int i = 0; i < r->planes; i++) {
        const int32_t n = (t->w + r->step_x[i] - 1) / r->step_x[i];
        t->step_x[i] = r->step_x[i];
        t->step_y[i] = r->step_y[i];
        t->stride[i] = (size_t)n;
        if (!t->px[i])
            t->px[i] = malloc((size_t)n * (size_t)((t->h + r->step_y[i] - 1) / r->step_y[i]));
        assert_int_equal(r->y % r->step_y[i], 0);
        for (int32_t y = 0; y < (r->n + r->step_y[i] - 1) / r->step_y[i]; y++)
            memcpy(t->px[i] + (size_t)(r->y / r->step_y[i] + y) * t->stride[i], r->px[i] + (size_t)y * r->stride[i],
                   (size_t)n);
    }
}

static void no_rows(void *ctx, const uint8_t *rgb, size_t stride, int32_t y, int32_t n)
{
    fail_msg("rows of a picture that has samples");
}

/* Brightness of the samples is that of the decoded rows; all of them come, from top to bottom. */
static void samples_of(mt_decoder *d, const kind *k, int32_t w, int32_t h, int scale)
{
    static uint8_t want[MOST * MOST * 3], scratch[MOST * MOST * 3];
    mt_err e = MT_ERR_INIT;
    size_t n;
    uint8_t *jpeg = written(&n, k, w, h);
    held t = {.w = (w + scale - 1) / scale, .h = (h + scale - 1) / scale};
    const mt_coding c = {.codec = MT_CODEC_JPEG, .colour = k->grey ? MT_COLOUR_GREY : MT_COLOUR_YCBCR,
                         .samples = k->grey ? 1 : 3};
    const mt_row_sink sink = {.rows = no_rows, .ctx = &t, .samples = hold};
    mt_pixels out = {want, MOST * 3, w, h, scale, NULL};
    tt_ok(mt_decoder_decode(d, &c, jpeg, n, &out, &e), &e);
    out = (mt_pixels){scratch, MOST * 3, w, h, scale, &sink};
    tt_ok(mt_decoder_decode(d, &c, jpeg, n, &out, &e), &e);
    assert_int_equal(t.next, t.h);
    assert_int_equal(t.planes, k->grey ? 1 : 3);
    assert_true(t.step_x[0] == 1 && t.step_y[0] == 1);
    for (int32_t y = 0; y < t.h; y++)
        for (int32_t x = 0; x < t.w; x++) {
            const uint8_t *p = want + ((size_t)y * MOST + (size_t)x) * 3;
            const int light = (299 * p[0] + 587 * p[1] + 114 * p[2] + 500) / 1000;
            const int got = t.px[0][(size_t)y * t.stride[0] + (size_t)x];
            if (abs(light - got) > 2)
                fail_msg("%d x %d of %d x %d at 1/%d, %dx%d: %d, not %d", x, y, w, h, scale, k->h, k->v, got, light);
        }
    for (int i = 0; i < 3; i++) free(t.px[i]);
    free(jpeg);
}

static void samples_of_every_kind(void **state)
{
    static const kind kinds[] = {
        {1, 1, false, false, false, 0}, {2, 1, false, false, false, 1}, {2, 2, false, false, false, 3},
        {1, 2, false, false, false, 0}, {4, 1, false, false, false, 2}, {4, 2, false, false, false, 0},
        {2, 2, false, true, false, 0},  {2, 1, false, true, false, 0},  {2, 2, false, false, true, 0},
        {1, 2, false, true, true, 1},   {1, 1, true, false, false, 0},  {2, 2, true, true, false, 0}};
    static const int32_t sides[][2] = {{1, 1}, {5, 3}, {17, 33}, {64, 48}, {99, 71}, {160, 9}};
    mt_err e = MT_ERR_INIT;
    mt_decoder *d;
    tt_ok(mt_decoder_new(&d, &e), &e);
    for (size_t k = 0; k < MT_COUNT(kinds); k++)
        for (size_t i = 0; i < MT_COUNT(sides); i++)
            for (int scale = 1; scale <= 8; scale *= 2)
                samples_of(d, &kinds[k], sides[i][0], sides[i][1], scale);
    mt_decoder_free(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_rows), cmocka_unit_test(none_in_rgb),
                                       cmocka_unit_test(samples_of_every_kind)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
