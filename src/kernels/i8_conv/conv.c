/* The 8-bit convolution object: checks, packs once, cuts the work into register tiles. */
#include "kernels/i8_conv/conv.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define WEIGHTS_NEAR (256 << 10) /* weights up to this stay in the second-level cache */
#define INPUT_NEAR (192 << 10)   /* input of a run of places that every panel passes over */

mt_status mt_i8_alloc(void *out_ptr, size_t bytes, mt_err *err)
{
    void **out = out_ptr;
    MT_TRY(mt_alloc_aligned(out, MT_MAX(bytes, (size_t)64), MT_I8_MAX_BYTES, "8-bit weights", err));
    memset(*out, 0, MT_MAX(bytes, (size_t)64));
    return MT_OK;
}

int mt_i8_lane_channel(int q, int lane)
{
    int v = lane / 16, quarter = lane % 16 / 4, i = lane % 4;
    if (q == 4) return quarter * 16 + v * 4 + i;
    return q > 1 && v < 2 ? quarter * 8 + v * 4 + i : lane; /* the third of three stands alone */
}

/* ---- the description ---- */

static mt_status check(const mt_i8_conv_desc *d, mt_err *err)
{
    const int positive[] = {d->cin, d->cout, d->groups, d->h,  d->w,  d->oh, d->ow,
                            d->kh,  d->kw,   d->sh,     d->sw, d->dh, d->dw};
    for (size_t i = 0; i < MT_COUNT(positive); i++)
        if (positive[i] < 1 || positive[i] > 1 << 24)
            return mt_err_set(err, MT_ERR_ARG, "8-bit convolution: value %d (field %zu)",
                              positive[i], i);
    if (d->cin % d->groups || d->cout % d->groups || d->pt < 0 || d->pl < 0 || d->pt > 1 << 20 ||
        d->pl > 1 << 20)
        return mt_err_set(err, MT_ERR_ARG,
                          "8-bit convolution: %d to %d channels in %d groups, pads %d, %d", d->cin,
                          d->cout, d->groups, d->pt, d->pl);
    bool zeros = (unsigned)d->in_zero < 256 && (unsigned)d->out_zero < 256 &&
                 (unsigned)d->mid_zero < 256 && (unsigned)d->res_zero < 256;
    bool scales = d->out_float || (d->out_scale > 0 && isfinite(d->out_scale));
    bool added = !d->residual || (d->mid_scale > 0 && d->res_scale > 0 && !d->out_float);
    if (!zeros || !scales || !added || d->lo < 0 || d->hi > 255 || d->lo > d->hi)
        return mt_err_set(err, MT_ERR_ARG, "8-bit convolution: scales and zero points");
    int64_t y = (int64_t)(d->oh - 1) * d->sh + (int64_t)(d->kh - 1) * d->dh + 1;
    int64_t x = (int64_t)(d->ow - 1) * d->sw + (int64_t)(d->kw - 1) * d->dw + 1;
    if (y > 1 << 24 || x > 1 << 24 || MT_MAX(y, d->h) * MT_MAX(x, d->w) > INT32_MAX / 4 ||
        (int64_t)d->oh * d->ow > INT32_MAX / 4)
        return mt_err_set(err, MT_ERR_LIMIT, "8-bit convolution: a plane of %d x %d", d->w, d->h);
    switch (d->act) {
    case MT_ACT_NONE:
    case MT_ACT_LEAKY:
    case MT_ACT_SIGMOID:
    case MT_ACT_HSIGMOID:
    case MT_ACT_HSWISH:
    case MT_ACT_SILU:
        break;
    default:
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "8-bit convolution: activation %d", (int)d->act);
    }
    if (d->act != MT_ACT_NONE && d->residual)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "8-bit convolution: activation of a sum");
    return MT_OK;
}

static void plan_post(mt_i8_post *post, const mt_i8_conv_desc *d)
{
    *post = (mt_i8_post){.mode = d->out_float            ? MT_I8_FLOATS
                                 : d->residual           ? MT_I8_RESIDUAL
                                 : d->act != MT_ACT_NONE ? MT_I8_ACT
                                                         : MT_I8_BYTES,
                         .zero = d->out_zero,
                         .lo = d->lo,
                         .hi = d->hi,
                         .act = d->act,
                         .act_a = d->act_a,
                         .act_b = d->act_b};
    if (!d->out_float) post->inv_scale = 1.0f / d->out_scale;
    if (!d->residual) return;
    post->mid_lo = (float)-d->mid_zero;
    post->mid_hi = (float)(255 - d->mid_zero);
    post->mid_k = d->mid_scale / d->out_scale;
    post->res_k = d->res_scale / d->out_scale;
    post->res_c = (float)-d->res_zero * post->res_k;
}

/* What output channel o, whose weights are the `per` at w, starts from and is multiplied with;
 * whether everything stays inside 32 bits. */
static bool lane(const mt_i8_conv_desc *d, const int8_t *w, size_t per, float scale, float bias,
                 float *mul, float *add, int32_t *start)
{
    int64_t sum = 0, size = 0;
    for (size_t i = 0; i < per; i++) {
        sum += w[i];
        size += w[i] < 0 ? -w[i] : w[i];
    }
    double out = d->residual                             ? d->mid_scale
                 : d->out_float || d->act != MT_ACT_NONE ? 1.0
                                                         : d->out_scale;
    *mul = (float)((double)scale / out);
    *add = (float)((double)bias / out);
    *start = (int32_t)(-d->in_zero * sum);
    double most = (double)size * 255 * fabs((double)*mul) + fabs((double)*add);
    if (d->act != MT_ACT_NONE && !d->out_float) /* a sigmoid of little is no little */
        most = MT_MAX(most * MT_MAX(fabs((double)d->act_a), 1.0), 1.0) / MT_MIN(d->out_scale, 1.0f);
    if (d->residual) most += 256.0 * (double)(d->mid_scale + d->res_scale) / (double)d->out_scale;
    return size * 510 <= INT32_MAX && most < 1 << 30;
}

mt_status mt_i8_conv_check(const mt_i8_conv_desc *d, const int8_t *w, const float *scale,
                           const float *bias, mt_err *err)
{
    MT_TRY(check(d, err));
    size_t per = (size_t)(d->cin / d->groups) * (size_t)d->kh * (size_t)d->kw;
    float mul, add;
    int32_t start;
    for (int o = 0; o < d->cout; o++, w += per)
        if (!lane(d, w, per, scale[o], bias ? bias[o] : 0.0f, &mul, &add, &start))
            return mt_err_set(err, MT_ERR_UNSUPPORTED,
                              "8-bit convolution: channel %d can leave 32 bits", o);
    return MT_OK;
}

/* ---- packing ---- */

/* Weight of tap s, position `ic` (channel, or byte of a kernel row of the stem) for channel oc. */
static int8_t weight(const mt_i8_conv *c, const int8_t *w, int oc, int s, int ic)
{
    const mt_i8_conv_desc *d = &c->d;
    int cpg = d->cin / d->groups, opg = d->cout / d->groups, ky = s / d->kw, kx = s % d->kw;
    if (c->stem) {
        ky = s;
        kx = ic / c->in_pitch;
        ic %= c->in_pitch;
    }
    int i = ic - oc / opg * cpg;
    if (oc >= d->cout || i < 0 || i >= cpg || kx >= d->kw) return 0;
    return w[(((size_t)oc * (size_t)cpg + (size_t)i) * (size_t)d->kh + (size_t)ky) * (size_t)d->kw +
             (size_t)kx];
}

static void put_step(const mt_i8_conv *c, const mt_i8_panel *p, const int8_t *w, int s, int dword,
                     uint8_t *to)
{
    int16_t *wide = (int16_t *)(void *)to;
    for (int q = 0; q < p->q; q++)
        for (int l = 0; l < 16; l++) {
            int lane = c->shuffled ? mt_i8_lane_channel(p->q, q * 16 + l) : q * 16 + l;
            int8_t four[4];
            for (int i = 0; i < 4; i++)
                four[i] = weight(c, w, p->ob * 16 + lane, s, (p->d0 + dword) * 4 + i);
            if (!c->k->fn->i8_wide) {
                memcpy(to + (q * 16 + l) * 4, four, 4);
                continue;
            }
            for (int i = 0; i < 4; i++)
                wide[q * 64 + (i & 1) * 32 + l * 2 + i / 2] = four[i];
        }
}

static int panel_blocks(const mt_i8_conv *c, int ob, int n_blocks)
{
    int most = c->k->fn->i8_q, left = n_blocks - ob;
    if (c->d.groups > 1) return 1;
    if (left >= most) return most;
    return left;
}

static mt_status plan_panels(mt_i8_conv *c, mt_err *err)
{
    const mt_i8_conv_desc *d = &c->d;
    int n_blocks = (d->cout + 15) / 16, cpg = d->cin / d->groups, opg = d->cout / d->groups;
    size_t at = 0, unit = c->k->fn->i8_wide ? 128 : 64;
    MT_TRY(mt_alloc(&c->panels, (size_t)n_blocks, sizeof *c->panels, MT_I8_MAX_BYTES,
                    "8-bit panels", err));
    for (int ob = 0; ob < n_blocks; ob += c->panels[c->n_panels++].q) {
        mt_i8_panel *p = &c->panels[c->n_panels];
        *p = (mt_i8_panel){.ob = ob, .q = panel_blocks(c, ob, n_blocks), .len = c->len, .w_at = at};
        if (d->groups > 1) {
            int last = MT_MIN((ob + p->q) * 16, d->cout) - 1;
            p->d0 = ob * 16 / opg * cpg / 4;
            p->len = ((last / opg + 1) * cpg + 3) / 4 - p->d0;
        }
        at += (size_t)c->n_taps * (size_t)p->len * (size_t)p->q * unit;
    }
    c->w_bytes = at;
    return MT_OK;
}

static mt_status pack_tiles(mt_i8_conv *c, const int8_t *w, mt_err *err)
{
    const mt_i8_conv_desc *d = &c->d;
    size_t unit = c->k->fn->i8_wide ? 128 : 64;
    c->stem = c->in_pitch == 4 && d->dw == 1 && d->groups == 1;
    c->n_taps = c->stem ? d->kh : d->kh * d->kw;
    c->len = c->stem ? d->kw : (d->cin + 3) / 4;
    c->shuffled = !c->k->fn->i8_wide && !d->out_float;
    MT_TRY(plan_panels(c, err));
    MT_TRY(mt_i8_alloc(&c->w, c->w_bytes, err));
    for (int i = 0; i < c->n_panels; i++) {
        const mt_i8_panel *p = &c->panels[i];
        uint8_t *to = c->w + p->w_at;
        for (int s = 0; s < c->n_taps; s++)
            for (int l = 0; l < p->len; l++, to += (size_t)p->q * unit)
                put_step(c, p, w, s, l, to);
    }
    size_t hp = (size_t)((d->oh - 1) * d->sh + (d->kh - 1) * d->dh + 1);
    size_t wp = (size_t)((d->ow - 1) * d->sw + (d->kw - 1) * d->dw + 1);
    /* a line of zero points, the places of a tile, the padded picture */
    c->scratch_bytes = (size_t)((d->cin + 79) & ~63) + (size_t)c->n_taps * 8 * sizeof(void *);
    c->scratch_bytes = (c->scratch_bytes + 63) & ~(size_t)63;
    if (c->stem) c->scratch_bytes += (hp * wp * 4 + 127) & ~(size_t)63;
    snprintf(c->variant, sizeof c->variant, "i8 %s%dx%d",
             c->stem         ? "stem"
             : d->groups > 1 ? "grouped"
                             : "",
             d->kh, d->kw);
    return MT_OK;
}

static mt_status pack_plain(mt_i8_conv *c, const int8_t *w, mt_err *err)
{
    const mt_i8_conv_desc *d = &c->d;
    c->w_bytes = (size_t)d->cout * (size_t)(d->cin / d->groups) * (size_t)d->kh * (size_t)d->kw;
    MT_TRY(mt_i8_alloc(&c->w, c->w_bytes, err));
    memcpy(c->w, w, c->w_bytes);
    snprintf(c->variant, sizeof c->variant, "i8 plain");
    return MT_OK;
}

/* Brings what stands by channel into the order of the packed lanes. */
static mt_status order_lanes(mt_i8_conv *c, mt_err *err)
{
    int n = (c->d.cout + 63) & ~63;
    MT_AUTO_FREE float *mul = NULL;
    MT_AUTO_FREE float *add = NULL;
    MT_AUTO_FREE int32_t *start = NULL;
    MT_TRY(mt_i8_alloc(&mul, (size_t)n * 4, err));
    MT_TRY(mt_i8_alloc(&add, (size_t)n * 4, err));
    MT_TRY(mt_i8_alloc(&start, (size_t)n * 4, err));
    for (int i = 0; i < n; i++) {
        int from = i;
        if (c->depthwise) from = i / 64 * 64 + mt_i8_lane_channel(4, i % 64);
        for (int p = 0; c->shuffled && !c->depthwise && p < c->n_panels; p++) {
            int at = i - c->panels[p].ob * 16;
            if (at >= 0 && at < c->panels[p].q * 16)
                from = c->panels[p].ob * 16 + mt_i8_lane_channel(c->panels[p].q, at);
        }
        if (from >= c->d.cout) continue;
        mul[i] = c->mul[from];
        add[i] = c->add[from];
        start[i] = c->start[from];
    }
    memcpy(c->mul, mul, (size_t)n * 4);
    memcpy(c->add, add, (size_t)n * 4);
    memcpy(c->start, start, (size_t)n * 4);
    return MT_OK;
}

static mt_status build(mt_i8_conv *c, const int8_t *w, const float *scale, const float *bias,
                       mt_err *err)
{
    size_t lanes = (size_t)((c->d.cout + 63) & ~63);
    size_t per = (size_t)(c->d.cin / c->d.groups) * (size_t)c->d.kh * (size_t)c->d.kw;
    plan_post(&c->post, &c->d);
    MT_TRY(mt_i8_alloc(&c->mul, lanes * 4, err));
    MT_TRY(mt_i8_alloc(&c->add, lanes * 4, err));
    MT_TRY(mt_i8_alloc(&c->start, lanes * 4, err));
    for (int o = 0; o < c->d.cout; o++)
        (void)lane(&c->d, w + (size_t)o * per, per, scale[o], bias ? bias[o] : 0.0f, &c->mul[o],
                   &c->add[o], &c->start[o]);
    c->depthwise = mt_i8_dw_fits(c->k, &c->d);
    c->plain = !c->depthwise && !c->k->fn->i8_tile;
    if (c->plain) return pack_plain(c, w, err);
    if (c->depthwise)
        MT_TRY(mt_i8_dw_pack(c, w, err));
    else
        MT_TRY(pack_tiles(c, w, err));
    return c->depthwise && c->k->fn->i8_wide ? MT_OK : order_lanes(c, err);
}

mt_status mt_i8_conv_new(mt_i8_conv **out, const mt_kernels *k, const mt_i8_conv_desc *d,
                         const int8_t *weights_oihw, const float *scale, const float *bias,
                         mt_err *err)
{
    *out = NULL;
    MT_TRY(mt_i8_conv_check(d, weights_oihw, scale, bias, err));
    MT_AUTO(mt_i8_conv_free) mt_i8_conv *c = NULL;
    MT_TRY(mt_alloc(&c, 1, sizeof *c, sizeof *c, "8-bit convolution", err));
    c->d = *d;
    c->d.pt = MT_MIN(d->pt, (d->oh - 1) * d->sh + (d->kh - 1) * d->dh + 1);
    c->d.pl = MT_MIN(d->pl, (d->ow - 1) * d->sw + (d->kw - 1) * d->dw + 1);
    c->k = k;
    c->in_pitch = mt_i8_pitch(d->cin);
    c->out_pitch = mt_i8_pitch(d->cout);
    MT_TRY(build(c, weights_oihw, scale, bias, err));
    *out = mt_steal(c);
    return MT_OK;
}

void mt_i8_conv_free(mt_i8_conv **conv)
{
    if (!conv || !*conv) return;
    free((*conv)->w);
    free((*conv)->start);
    free((*conv)->mul);
    free((*conv)->add);
    free((*conv)->panels);
    free(*conv);
    *conv = NULL;
}

size_t mt_i8_conv_scratch_bytes(const mt_i8_conv *conv)
{
    return conv->scratch_bytes;
}
size_t mt_i8_conv_weight_bytes(const mt_i8_conv *conv)
{
    return conv->w_bytes;
}
const char *mt_i8_conv_variant(const mt_i8_conv *conv)
{
    return conv->variant;
}

/* ---- running ---- */

typedef struct job {
    const mt_i8_conv *c;
    const mt_i8_conv_desc *d;
    const uint8_t *in, *res, *zeros;
    char *out;
    const uint8_t **at;
    int oh, ow, h, w;           /* of the image, or of all of them as one row */
    size_t in_image, out_image; /* bytes; res has out_image too */
    size_t unit;                /* bytes of an output element */
} job;

/* Pointers of the taps of p places from (oy, ox) on. */
static void point(const job *j, const uint8_t *in, int p, int oy, int ox)
{
    const mt_i8_conv *c = j->c;
    const mt_i8_conv_desc *d = j->d;
    const uint8_t **at = j->at;
    ptrdiff_t pitch = c->in_pitch;
    if (c->stem) { /* the padded copy: every tap exists, a kernel row is one run */
        int wp = (d->ow - 1) * d->sw + (d->kw - 1) * d->dw + 1;
        for (int i = 0; i < p; i++) {
            const uint8_t *x = in + ((ptrdiff_t)oy * d->sh * wp + ox * d->sw) * pitch;
            for (int s = 0; s < c->n_taps; s++)
                at[s * 8 + i] = x + (ptrdiff_t)s * d->dh * wp * pitch;
            if (++ox == j->ow) ox = 0, oy++;
        }
        return;
    }
    for (int i = 0; i < p; i++) {
        int y0 = oy * d->sh - d->pt, x0 = ox * d->sw - d->pl;
        const uint8_t *x = in + ((ptrdiff_t)y0 * j->w + x0) * pitch;
        bool inside = y0 >= 0 && x0 >= 0 && y0 + (d->kh - 1) * d->dh < j->h &&
                      x0 + (d->kw - 1) * d->dw < j->w;
        int s = i;
        for (int ky = 0; ky < d->kh; ky++) {
            const uint8_t *row = x + (ptrdiff_t)ky * d->dh * j->w * pitch;
            for (int kx = 0; kx < d->kw; kx++, s += 8) {
                bool in_it = inside || ((unsigned)(y0 + ky * d->dh) < (unsigned)j->h &&
                                        (unsigned)(x0 + kx * d->dw) < (unsigned)j->w);
                at[s] = in_it ? row + (ptrdiff_t)kx * d->dw * pitch : j->zeros;
            }
        }
        if (++ox == j->ow) ox = 0, oy++;
    }
}

/* A tile writes 16 channels; images of up to four have places of four bytes. */
static void narrow_tile(const job *j, mt_i8_tile *t)
{
    float wide[8 * 16];
    uint8_t res[8 * 16] = {0}, *out = t->out;
    int n = MT_MIN(t->p, 8);
    for (int i = 0; t->res && i < n; i++)
        memcpy(res + i * 16, t->res + i * 4, 4);
    t->out = wide;
    t->out_pitch = t->res_pitch = 16;
    if (t->res) t->res = res;
    j->c->k->fn->i8_tile(t);
    for (int i = 0; i < n; i++)
        memcpy(out + (size_t)i * 4 * j->unit, (uint8_t *)wide + (size_t)i * 16 * j->unit,
               4 * j->unit);
    t->out_pitch = t->res_pitch = 4;
}

/* Places first..last of one image through panels p0..p1. */
static void run_places(const job *j, size_t image, int first, int last, int p0, int p1)
{
    const mt_i8_conv *c = j->c;
    const uint8_t *in = j->in + image * j->in_image;
    mt_i8_tile t = {.at = j->at,
                    .n_taps = c->n_taps,
                    .post = &c->post,
                    .out_pitch = (size_t)c->out_pitch,
                    .res_pitch = (size_t)c->out_pitch};
    size_t unit = c->k->fn->i8_wide ? 128 : 64;
    bool row = c->n_taps == 1 && j->d->sw == 1 && j->d->sh == 1 && !c->stem;
    size_t near_next = row && p0 == 0 ? (size_t)(c->k->fn->i8_p * c->in_pitch) : 0;
    for (int i = first; i < last; i += t.p) {
        t.p = MT_MIN(c->k->fn->i8_p, last - i);
        point(j, in, t.p, i / j->ow, i % j->ow);
        if (near_next) /* what the next tile reads, brought while this one works */
            for (size_t b = 0; b < near_next; b += 64)
                __builtin_prefetch(j->at[0] + (size_t)t.p * (size_t)c->in_pitch + b);
        for (int n = p0; n < p1; n++) {
            const mt_i8_panel *p = &c->panels[n];
            size_t lane = (size_t)p->ob * 16,
                   to = image * j->out_image + (size_t)i * t.out_pitch + lane;
            t.q = p->q;
            t.shift = p->d0 * 4;
            t.len = p->len;
            t.w = c->w + p->w_at;
            t.w_ahead = (ptrdiff_t)((size_t)c->n_taps * (size_t)p->len * (size_t)p->q * unit);
            t.start = c->start + lane;
            t.mul = c->mul + lane;
            t.add = c->add + lane;
            t.out = j->out + to * j->unit;
            t.res = j->res ? j->res + to : NULL;
            if (c->out_pitch < 16)
                narrow_tile(j, &t);
            else
                c->k->fn->i8_tile(&t);
        }
    }
}

/* Few weights: every image by itself, runs of places that stay near through all panels. Many:
 * every panel through all images while it is near. */
static void run_tiles(const job *j, size_t n)
{
    const mt_i8_conv *c = j->c;
    int places = j->oh * j->ow;
    if (c->w_bytes > WEIGHTS_NEAR || c->n_panels == 1) {
        for (int p = 0; p < c->n_panels; p++)
            for (size_t i = 0; i < n; i++)
                run_places(j, i, 0, places, p, p + 1);
        return;
    }
    size_t per = (size_t)c->in_pitch * (size_t)(j->d->sh * j->d->sw);
    int run = (int)MT_MAX(INPUT_NEAR / per / 24 * 24, (size_t)48);
    for (size_t i = 0; i < n; i++)
        for (int at = 0; at < places; at += run)
            for (int p = 0; p < c->n_panels; p++)
                run_places(j, i, at, MT_MIN(at + run, places), p, p + 1);
}

/* A zero-padded copy of a picture of four bytes a place. */
static void pad_picture(const mt_i8_conv *c, uint8_t *dst, const uint8_t *src)
{
    const mt_i8_conv_desc *d = &c->d;
    int hp = (d->oh - 1) * d->sh + (d->kh - 1) * d->dh + 1;
    int wp = (d->ow - 1) * d->sw + (d->kw - 1) * d->dw + 1;
    int x0 = MT_MIN(d->pl, wp), n = MT_MIN(d->w, wp - x0);
    for (int y = 0; y < hp; y++, dst += (size_t)wp * 4) {
        int sy = y - d->pt;
        memset(dst, d->in_zero, (size_t)wp * 4);
        if (sy >= 0 && sy < d->h && n > 0)
            memcpy(dst + (size_t)x0 * 4, src + (size_t)sy * (size_t)d->w * 4, (size_t)n * 4);
    }
}

static void run_plain(const mt_i8_conv *c, size_t n, const uint8_t *in, const uint8_t *res,
                      char *out)
{
    const mt_i8_conv_desc *d = &c->d;
    mt_i8_plain p = {d,        &c->post, c->in_pitch, c->out_pitch, (const int8_t *)c->w,
                     c->start, c->mul,   c->add};
    size_t in_image = (size_t)d->h * (size_t)d->w * (size_t)c->in_pitch,
           out_image = (size_t)d->oh * (size_t)d->ow * (size_t)c->out_pitch;
    for (size_t i = 0; i < n; i++)
        c->k->fn->i8_plain(&p, in + i * in_image, res ? res + i * out_image : NULL,
                           out + i * out_image * (d->out_float ? sizeof(float) : 1));
}

void mt_i8_conv_run(const mt_i8_conv *c, size_t n, const uint8_t *in, const uint8_t *res, void *out,
                    void *scratch)
{
    const mt_i8_conv_desc *d = &c->d;
    if (!d->residual) res = NULL;
    if (c->plain) {
        run_plain(c, n, in, res, out);
        return;
    }
    size_t in_image = (size_t)d->h * (size_t)d->w * (size_t)c->in_pitch,
           out_image = (size_t)d->oh * (size_t)d->ow * (size_t)c->out_pitch;
    if (c->depthwise) {
        for (size_t i = 0; i < n; i++)
            mt_i8_dw_run(c, in + i * in_image, res ? res + i * out_image : NULL,
                         (char *)out + i * out_image * (d->out_float ? sizeof(float) : 1), scratch);
        return;
    }
    size_t line = (size_t)((d->cin + 79) & ~63);
    uint8_t *zeros = scratch;
    memset(zeros, d->in_zero, line);
    job j = {.c = c,
             .d = d,
             .in = in,
             .res = res,
             .zeros = zeros,
             .out = out,
             .at = (const uint8_t **)(void *)(zeros + line),
             .oh = d->oh,
             .ow = d->ow,
             .h = d->h,
             .w = d->w,
             .in_image = in_image,
             .out_image = out_image,
             .unit = d->out_float ? sizeof(float) : 1};
    if (c->stem) {
        uint8_t *padded =
            zeros + ((line + (size_t)c->n_taps * 8 * sizeof(void *) + 63) & ~(size_t)63);
        j.in = padded;
        j.in_image = 0;
        for (size_t i = 0; i < n; i++) {
            pad_picture(c, padded, in + i * in_image);
            run_tiles(&j, 1);
            j.out += out_image * j.unit;
            if (res) j.res += out_image;
        }
        return;
    }
    bool product = d->kh * d->kw == 1 && d->sh == 1 && d->sw == 1 && !d->pt && !d->pl &&
                   d->oh == d->h && d->ow == d->w;
    if (product && n * (size_t)d->oh * (size_t)d->ow < INT32_MAX / 4) { /* all images as one row */
        j.w = j.ow = (int)n * d->oh * d->ow;
        j.h = j.oh = 1;
        n = 1;
    }
    run_tiles(&j, n);
}
