/* Depthwise convolution as an algorithm: one channel a group, every lane by itself. */
#include <stdio.h>

#include "kernels/f32_conv/conv.h"

static bool fits(const mt_kernels *k, const mt_conv_desc *d)
{
    return d->groups == d->cin && d->cout == d->cin && !d->in_plain;
}

static double cost(const mt_kernels *k, const mt_conv_desc *d)
{
    return 2.0 * d->oh * d->ow * d->kh * d->kw * mt_blocks(k, d->cin);
}

static mt_status pack(mt_conv *c, const float *w, const float *bias, mt_err *err)
{
    const mt_conv_desc *d = &c->d;
    size_t b = (size_t)c->k->block, taps = (size_t)d->kh * (size_t)d->kw;
    c->w_floats = mt_blocked_floats(c->k, d->cin, taps);
    MT_TRY(mt_conv_alloc(&c->w, c->w_floats, err));
    for (size_t ch = 0; ch < (size_t)d->cin; ch++)
        for (size_t s = 0; s < taps; s++)
            c->w[(ch / b * taps + s) * b + ch % b] = w[ch * taps + s];
    snprintf(c->variant, sizeof c->variant, "depthwise%dx%d", d->kh, d->kw);
    return MT_OK;
}

static void run(const mt_conv *c, const float *in, const float *res, float *out, void *scratch)
{
    const mt_conv_desc *d = &c->d;
    size_t b = (size_t)c->k->block, taps = (size_t)d->kh * (size_t)d->kw;
    size_t in_plane = (size_t)d->h * (size_t)d->w * b, out_places = (size_t)d->oh * (size_t)d->ow;
    for (size_t i = 0; i < (size_t)mt_blocks(c->k, d->cin); i++) {
        size_t at = i * out_places * b;
        c->k->fn->dwconv(d, c->k->block, in + i * in_plane, c->w + i * taps * b, c->bias + i * b,
                         res ? res + at : NULL, out + at);
        if (c->late_pad && ((int)i + 1) * c->k->block > d->cout) {
            mt_blocked_clear_pad(c->k, out + at, d->cout - (int)i * c->k->block, out_places);
        }
    }
}

const mt_conv_algo mt_conv_algo_depthwise = {"depthwise", fits, cost, pack, run};
