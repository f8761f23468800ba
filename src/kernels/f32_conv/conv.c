/* The convolution object: checks the description, picks the algorithm, packs once. */
#include "kernels/f32_conv/conv.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "kernels/scalar_math.h"

static const mt_conv_algo *const algos[] = {
    &mt_conv_algo_plain, &mt_conv_algo_depthwise, &mt_conv_algo_direct,
    &mt_conv_algo_wino2, &mt_conv_algo_wino4,
};

mt_status mt_conv_alloc_raw(float **out, size_t floats, mt_err *err)
{
    size_t bytes;
    if (!mt_mul(&bytes, floats, sizeof(float)))
        return mt_err_set(err, MT_ERR_LIMIT, "convolution weights: size overflow");
    return mt_alloc_large(out, MT_MAX(bytes, (size_t)64), MT_CONV_MAX_BYTES, "convolution weights",
                          err);
}

mt_status mt_conv_alloc(float **out, size_t floats, mt_err *err)
{
    MT_TRY(mt_conv_alloc_raw(out, floats, err));
    memset(*out, 0, floats * sizeof(float));
    return MT_OK;
}

void mt_conv_finish(const mt_conv *c, float *out, size_t n_places, int ob)
{
    int b = c->k->block, lanes = c->d.cout - ob * b;
    if (c->late_act)
        c->k->fn->elem_act(out, out, n_places * (size_t)b, c->d.act, c->d.act_a, c->d.act_b);
    if (c->late_pad && lanes < b)
        for (size_t i = 0; i < n_places; i++)
            memset(out + i * (size_t)b + lanes, 0, (size_t)(b - lanes) * sizeof *out);
}

/* ---- the reference algorithm ---- */

static bool plain_fits(const mt_kernels *k, const mt_conv_desc *d)
{
    return true;
}

static double plain_cost(const mt_kernels *k, const mt_conv_desc *d)
{
    return 64.0 * d->oh * d->ow * d->cout * (d->cin / d->groups) * d->kh * d->kw;
}

static mt_status plain_pack(mt_conv *c, const float *w, const float *bias, mt_err *err)
{
    const mt_conv_desc *d = &c->d;
    size_t n = (size_t)d->cout * (size_t)(d->cin / d->groups) * (size_t)d->kh * (size_t)d->kw;
    MT_TRY(mt_conv_alloc(&c->w, n, err));
    memcpy(c->w, w, n * sizeof *w);
    c->w_floats = n;
    snprintf(c->variant, sizeof c->variant, "plain");
    return MT_OK;
}

static void plain_run(const mt_conv *c, const float *in, const float *res, float *out,
                      void *scratch)
{
    c->k->fn->conv_plain(&c->d, c->k->block, in, c->w, c->bias, res, out);
}

const mt_conv_algo mt_conv_algo_plain = {"plain", plain_fits, plain_cost, plain_pack, plain_run};

/* ---- the object ---- */

/* Every product the kernels form must fit an int32 offset. */
static mt_status check(const mt_kernels *k, const mt_conv_desc *d, mt_err *err)
{
    const int positive[] = {d->cin, d->cout, d->groups, d->h,  d->w,  d->oh, d->ow,
                            d->kh,  d->kw,   d->sh,     d->sw, d->dh, d->dw};
    for (size_t i = 0; i < MT_COUNT(positive); i++)
        if (positive[i] < 1 || positive[i] > 1 << 24)
            return mt_err_set(
                err, MT_ERR_ARG,
                "convolution: value %d of its description is out of range (field %zu)", positive[i],
                i);
    if (d->cin % d->groups || d->cout % d->groups)
        return mt_err_set(err, MT_ERR_ARG,
                          "convolution: %d to %d channels do not divide into %d groups", d->cin,
                          d->cout, d->groups);
    if (d->pt < 0 || d->pl < 0 || d->pt > 1 << 20 || d->pl > 1 << 20)
        return mt_err_set(err, MT_ERR_ARG, "convolution: pads %d, %d", d->pt, d->pl);
    if ((unsigned)d->act >= MT_ACT_COUNT)
        return mt_err_set(err, MT_ERR_ARG, "convolution: activation %d", (int)d->act);
    int64_t y = (int64_t)(d->oh - 1) * d->sh + (int64_t)(d->kh - 1) * d->dh + 1;
    int64_t x = (int64_t)(d->ow - 1) * d->sw + (int64_t)(d->kw - 1) * d->dw + 1;
    int64_t c = MT_MAX(d->in_plain ? d->cin : k->block, k->block);
    if (y > 1 << 24 || x > 1 << 24 || MT_MAX(y, d->h) * MT_MAX(x, d->w) > INT32_MAX / 4 / c ||
        (int64_t)d->oh * d->ow > INT32_MAX / k->block)
        return mt_err_set(err, MT_ERR_LIMIT, "convolution: a plane of %d x %d is too large", d->w,
                          d->h);
    return MT_OK;
}

static void plan_activation(mt_conv *c)
{
    const mt_conv_desc *d = &c->d;
    c->lo = d->act == MT_ACT_RELU ? 0.0f : d->act == MT_ACT_CLIP ? d->act_a : -INFINITY;
    c->hi = d->act == MT_ACT_CLIP ? d->act_b : INFINITY;
    c->late_act = d->act > MT_ACT_CLIP;
    c->late_pad = d->cout % c->k->block && mt_act1(0.0f, d->act, d->act_a, d->act_b) != 0.0f;
}

static mt_status pack_bias(mt_conv *c, const float *bias, mt_err *err)
{
    MT_TRY(mt_conv_alloc(&c->bias, mt_blocked_floats(c->k, c->d.cout, 1), err));
    if (bias) memcpy(c->bias, bias, (size_t)c->d.cout * sizeof *bias);
    return MT_OK;
}

static mt_status build(mt_conv **out, const mt_kernels *k, const mt_conv_desc *d,
                       const mt_conv_algo *algo, const float *weights, const float *bias,
                       mt_err *err)
{
    MT_AUTO(mt_conv_free) mt_conv *c = NULL;
    MT_TRY(mt_alloc(&c, 1, sizeof *c, sizeof *c, "convolution", err));
    c->d = *d;
    /* Beyond the reach of the windows every place is outside: a larger pad changes nothing. */
    c->d.pt = MT_MIN(d->pt, (d->oh - 1) * d->sh + (d->kh - 1) * d->dh + 1);
    c->d.pl = MT_MIN(d->pl, (d->ow - 1) * d->sw + (d->kw - 1) * d->dw + 1);
    c->k = k;
    c->algo = algo;
    plan_activation(c);
    MT_TRY(pack_bias(c, bias, err));
    MT_TRY(algo->pack(c, weights, bias, err));
    *out = mt_steal(c);
    return MT_OK;
}

mt_status mt_conv_new(mt_conv **out, const mt_kernels *k, const mt_conv_desc *d,
                      const float *weights_oihw, const float *bias, mt_err *err)
{
    MT_TRY(check(k, d, err));
    const mt_conv_algo *best = algos[0];
    for (size_t i = 1; i < MT_COUNT(algos); i++)
        if (algos[i]->fits(k, d) && algos[i]->cost(k, d) < best->cost(k, d)) best = algos[i];
    return build(out, k, d, best, weights_oihw, bias, err);
}

mt_status mt_conv_new_variant(mt_conv **out, const mt_kernels *k, const mt_conv_desc *d,
                              const char *variant, const float *weights_oihw, const float *bias,
                              mt_err *err)
{
    MT_TRY(check(k, d, err));
    for (size_t i = 0; i < MT_COUNT(algos); i++)
        if (strcmp(algos[i]->name, variant) == 0 && algos[i]->fits(k, d))
            return build(out, k, d, algos[i], weights_oihw, bias, err);
    return mt_err_set(err, MT_ERR_UNSUPPORTED,
                      "convolution variant %s does not serve this shape on %s", variant, k->name);
}

void mt_conv_free(mt_conv **conv)
{
    if (!conv || !*conv) return;
    free((*conv)->w);
    free((*conv)->bias);
    free((*conv)->panels);
    free(*conv);
    *conv = NULL;
}

size_t mt_conv_scratch_bytes(const mt_conv *conv)
{
    return conv->scratch_bytes;
}
size_t mt_conv_weight_bytes(const mt_conv *conv)
{
    return conv->w_floats * sizeof(float);
}
const char *mt_conv_variant(const mt_conv *conv)
{
    return conv->variant;
}

void mt_conv_run(const mt_conv *conv, const float *in, const float *residual, float *out,
                 void *scratch)
{
    conv->algo->run(conv, in, conv->d.residual ? residual : NULL, out, scratch);
}
