// rooms: codec kernels base
/* JPEG tiles. The first byte holds choices, the next two the length of the shared tables or of a head
 * that stands apart; the size
 * of the picture is looked up in the stream, as a file would state it. A decoder that has decoded
 * before must give what a fresh one gives, planes what rows are, and samples come whenever rows do. */
#include <stdlib.h>
#include <string.h>
#include "codec/codec.h"
#include "kernels/u8_ycc.h"

enum { SIDE = 192 };

static uint8_t used[3 * SIDE * SIDE], fresh[3 * SIDE * SIDE];

static bool find_size(int32_t *w, int32_t *h, int *n, const uint8_t *p, size_t size)
{
    for (size_t i = 0; i + 9 < size; i++)
        if (p[i] == 0xff && (p[i + 1] >= 0xc0 && p[i + 1] <= 0xc2)) {
            *h = p[i + 5] << 8 | p[i + 6];
            *w = p[i + 7] << 8 | p[i + 8];
            *n = p[i + 9];
            return *w >= 1 && *h >= 1 && *w <= SIDE && *h <= SIDE;
        }
    return false;
}

static int32_t width; /* of a row that is taken */

static void take_rows(void *ctx, const uint8_t *rgb, size_t stride, int32_t y, int32_t n)
{
    for (int32_t i = 0; i < n; i++)
        memcpy((uint8_t *)ctx + (size_t)(y + i) * 3 * SIDE, rgb + (size_t)i * stride, 3 * (size_t)width);
}

static void take_planes(void *ctx, mt_ycc_kind kind, const mt_ycc_row *rows, int32_t y, int32_t n)
{
    for (int32_t i = 0; i < n; i++)
        mt_u8_ycc(kind)((uint8_t *)ctx + (size_t)(y + i) * 3 * SIDE, &rows[i], 0, width);
}

/* The picture by way of a sink that makes RGB by itself. */
static mt_status by_planes(uint8_t *rgb, mt_decoder *d, const mt_coding *c, const uint8_t *tile, size_t n,
                           mt_pixels out)
{
    static uint8_t scratch[3 * SIDE * SIDE];
    const mt_row_sink sink = {.rows = take_rows, .ctx = rgb, .planes = take_planes};
    mt_err e = MT_ERR_INIT;
    memset(rgb, 0, 3 * SIDE * SIDE);
    width = (out.w + out.scale - 1) / out.scale;
    out.rgb = scratch;
    out.sink = &sink;
    return mt_decoder_decode(d, c, tile, n, &out, &e);
}

static void touch_samples(void *ctx, const mt_sample_rows *r)
{
    unsigned sum = 0;
    for (int i = 0; i < r->planes; i++)
        for (int32_t y = 0; y < (r->n + r->step_y[i] - 1) / r->step_y[i]; y++)
            for (int32_t x = 0; x < (width + r->step_x[i] - 1) / r->step_x[i]; x++)
                sum += r->px[i][(size_t)y * r->stride[i] + (size_t)x];
    *(uint8_t *)ctx = (uint8_t)sum;
}

/* Samples, every one of them looked at. */
static mt_status by_samples(mt_decoder *d, const mt_coding *c, const uint8_t *tile, size_t n, mt_pixels out)
{
    static uint8_t scratch[3 * SIDE * SIDE];
    static uint8_t rows[3 * SIDE * SIDE];
    const mt_row_sink sink = {.rows = take_rows, .ctx = rows, .samples = touch_samples};
    mt_err e = MT_ERR_INIT;
    out.rgb = scratch;
    out.sink = &sink;
    return mt_decoder_decode(d, c, tile, n, &out, &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static mt_decoder *old;
    if (size < 3 || (!old && mt_decoder_new(&old, NULL) != MT_OK)) return 0;
    const size_t n_tables = MT_MIN((size_t)data[1] << 8 | data[2], size - 3);
    mt_coding c = {.codec = MT_CODEC_JPEG,
                   .predictor = 1,
                   .colour = data[0] & 1 ? MT_COLOUR_RGB : MT_COLOUR_YCBCR,
                   .samples = 3,
                   .tables = n_tables ? data + 3 : NULL,
                   .n_tables = n_tables,
                   .tables_are_header = n_tables && data[0] & 8};
    const uint8_t *tile = data + 3 + n_tables;
    const size_t n_tile = size - 3 - n_tables;
    mt_pixels out = {used, 3 * SIDE, 16, 16, 1 << (data[0] >> 1 & 3), NULL};
    int components = 3;
    const bool apart = c.tables_are_header;
    if (find_size(&out.w, &out.h, &components, apart ? c.tables : tile, apart ? n_tables : n_tile) &&
        components == 1) {
        c.colour = data[0] & 1 ? MT_COLOUR_GREY : MT_COLOUR_GREY_INVERTED;
        c.samples = 1;
    }
    if (out.w > SIDE || out.h > SIDE || out.w < 1 || out.h < 1) out.w = out.h = 16;
    mt_err e1 = MT_ERR_INIT, e2 = MT_ERR_INIT;
    mt_decoder *d = NULL;
    if (mt_decoder_new(&d, NULL) != MT_OK) return 0;
    memset(used, 0, sizeof used);
    memset(fresh, 0, sizeof fresh);
    mt_status a = mt_decoder_decode(old, &c, tile, n_tile, &out, &e1);
    out.rgb = fresh;
    mt_status b = mt_decoder_decode(d, &c, tile, n_tile, &out, &e2);
    if (a != b || a != e1.code || (a == MT_OK && memcmp(used, fresh, sizeof used))) abort();
    a = by_planes(used, old, &c, tile, n_tile, out);
    if (a != b || (a == MT_OK && memcmp(used, fresh, sizeof used))) abort();
    if (by_samples(d, &c, tile, n_tile, out) != b) abort();
    mt_decoder_free(&d);
    return 0;
}
