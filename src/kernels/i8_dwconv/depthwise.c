/* Depthwise 8-bit convolution: tiles of four neighbouring places, all channels of a place at once.
 * Its reference is the plain convolution. */
#include <stdio.h>
#include <string.h>

#include "kernels/i8_conv/conv.h"

bool mt_i8_dw_fits(const mt_kernels *k, const mt_i8_conv_desc *d)
{
    return k->fn->i8_dw && d->cin == d->groups && d->cout == d->cin && d->cin > 4 && d->dh == 1 &&
           d->dw == 1 && d->kw <= 7 && d->kh <= 8 && d->sw <= 2 && !d->out_float;
}

/* VNNI: by 64 channels, groups of four kernel rows and kernel columns, 64 dwords of the four rows'
 * weights, lanes as mt_i8_lane_channel says. */
static mt_status pack_dots(mt_i8_conv *c, const int8_t *w, mt_err *err)
{
    const mt_i8_conv_desc *d = &c->d;
    size_t blocks = (size_t)(d->cin + 63) / 64, rows4 = (size_t)(d->kh + 3) / 4;
    c->w_bytes = blocks * rows4 * (size_t)d->kw * 256;
    MT_TRY(mt_i8_alloc(&c->w, c->w_bytes, err));
    uint8_t *to = c->w;
    for (int b = 0; b < (int)blocks; b++)
        for (int g = 0; g < (int)rows4; g++)
            for (int kx = 0; kx < d->kw; kx++)
                for (int lane = 0; lane < 64; lane++)
                    for (int r = 0; r < 4; r++, to++) {
                        int ch = b * 64 + mt_i8_lane_channel(4, lane), ky = g * 4 + r;
                        if (ch < d->cin && ky < d->kh)
                            *to = (uint8_t)
                                w[((size_t)ch * (size_t)d->kh + (size_t)ky) * (size_t)d->kw +
                                  (size_t)kx];
                    }
    return MT_OK;
}

/* 16 bits: by 16 channels and pairs of taps (the last may be half), the pair's weights of each
 * channel in the order unpacking leaves: 0-3, 8-11, then 4-7, 12-15. */
static mt_status pack_pairs(mt_i8_conv *c, const int8_t *w, mt_err *err)
{
    const mt_i8_conv_desc *d = &c->d;
    int taps = d->kh * d->kw, pairs = (taps + 1) / 2, blocks = (d->cin + 15) / 16;
    c->w_bytes = (size_t)blocks * (size_t)pairs * 64;
    MT_TRY(mt_i8_alloc(&c->w, c->w_bytes, err));
    int16_t *to = (int16_t *)(void *)c->w;
    for (int b = 0; b < blocks; b++)
        for (int p = 0; p < pairs; p++)
            for (int lane = 0; lane < 16; lane++)
                for (int i = 0; i < 2; i++, to++) {
                    int ch = b * 16 + lane / 4 % 2 * 8 + lane / 8 * 4 + lane % 4, t = p * 2 + i;
                    if (ch < d->cin && t < taps) *to = w[(size_t)ch * (size_t)taps + (size_t)t];
                }
    return MT_OK;
}

mt_status mt_i8_dw_pack(mt_i8_conv *c, const int8_t *w, mt_err *err)
{
    const mt_i8_conv_desc *d = &c->d;
    MT_TRY(c->k->fn->i8_wide ? pack_pairs(c, w, err) : pack_dots(c, w, err));
    size_t columns = (size_t)(3 * d->sw + d->kw);
    size_t pointers = ((size_t)d->kh * columns * sizeof(void *) + 63) & ~(size_t)63;
    c->scratch_bytes = pointers + (size_t)c->in_pitch + 128;
    snprintf(c->variant, sizeof c->variant, "i8 depthwise%dx%d", d->kh, d->kw);
    return MT_OK;
}

void mt_i8_dw_run(const mt_i8_conv *c, const uint8_t *in, const uint8_t *res, void *out,
                  void *scratch)
{
    const mt_i8_conv_desc *d = &c->d;
    ptrdiff_t pitch = c->in_pitch;
    size_t columns = (size_t)(3 * d->sw + d->kw);
    size_t pointers = ((size_t)d->kh * columns * sizeof(void *) + 63) & ~(size_t)63;
    const uint8_t **at = scratch;
    uint8_t *zeros = (uint8_t *)scratch + pointers;
    memset(zeros, d->in_zero, (size_t)pitch + 64);
    mt_i8_dw t = {.at = at,
                  .sw = d->sw,
                  .kh = d->kh,
                  .kw = d->kw,
                  .pitch = c->in_pitch,
                  .w = c->w,
                  .start = c->start,
                  .mul = c->mul,
                  .add = c->add,
                  .post = &c->post};
    for (int y = 0; y < d->oh; y++)
        for (int x = 0; x < d->ow; x += t.p) {
            size_t to = ((size_t)y * (size_t)d->ow + (size_t)x) * (size_t)pitch;
            t.p = MT_MIN(4, d->ow - x);
            t.columns = (t.p - 1) * d->sw + d->kw;
            for (int r = 0; r < d->kh; r++) {
                int iy = y * d->sh - d->pt + r;
                const uint8_t *row = in + (ptrdiff_t)iy * d->w * pitch;
                for (int j = 0; j < t.columns; j++) {
                    int ix = x * d->sw - d->pl + j;
                    bool inside = (unsigned)iy < (unsigned)d->h && (unsigned)ix < (unsigned)d->w;
                    at[r * t.columns + j] = inside ? row + ix * pitch : zeros;
                }
            }
            t.out = (uint8_t *)out + to;
            t.res = res ? res + to : NULL;
            c->k->fn->i8_dw(&t);
        }
}
