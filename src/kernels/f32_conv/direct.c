/* Direct convolution: panels of output blocks x chunks of input blocks x tiles of places, every
 * group, stride, pad and dilation. 1x1 layers and the plain-input stem are the same loop with other
 * taps. */
#include <stdio.h>
#include <string.h>

#include "kernels/f32_conv/conv.h"

#define CHUNK_BYTES                                                                                \
    (256 << 10) /* weights of one panel and chunk: a quarter of a second-level cache */

static bool fits(const mt_kernels *k, const mt_conv_desc *d)
{
    return true;
}

/* Input blocks that output channels c0..c1-1 read. */
static void reads(const mt_kernels *k, const mt_conv_desc *d, int c0, int c1, int *ib0, int *ib1)
{
    int cpg = d->cin / d->groups, opg = d->cout / d->groups;
    *ib0 = c0 / opg * cpg / k->block;
    *ib1 = (((c1 - 1) / opg + 1) * cpg + k->block - 1) / k->block;
}

/* Output blocks of a panel: as many as the tile holds, fewer where groups would widen what it
 * reads. */
static int panel_blocks(const mt_kernels *k, const mt_conv_desc *d, int ob)
{
    int left = mt_blocks(k, d->cout) - ob, q = MT_MIN(left, k->fn->tile_q);
    if (left > k->fn->tile_q && left < 2 * k->fn->tile_q)
        q = (left + 1) / 2; /* 5 = 3 + 2, not 4 + 1 */
    if (d->groups == 1) return q;
    int b = k->block, first0, first1, ib0, ib1;
    reads(k, d, ob * b, MT_MIN(d->cout, (ob + 1) * b), &first0, &first1);
    for (; q > 1; q--) {
        reads(k, d, ob * b, MT_MIN(d->cout, (ob + q) * b), &ib0, &ib1);
        if (ib0 == first0 && ib1 == first1) break;
    }
    return q;
}

static double cost(const mt_kernels *k, const mt_conv_desc *d)
{
    double taps = (double)d->kh * d->kw, macs = 0; /* of one place: also the vectors of weights */
    for (int ob = 0, q; ob < mt_blocks(k, d->cout); ob += q) {
        q = panel_blocks(k, d, ob);
        int ib0, ib1;
        reads(k, d, ob * k->block, MT_MIN(d->cout, (ob + q) * k->block), &ib0, &ib1);
        macs += q * taps * (d->in_plain ? d->cin : (ib1 - ib0) * k->block);
    }
    return macs * d->oh * d->ow + mt_conv_weight_cost(k, macs);
}

static mt_status plan_panels(mt_conv *c, mt_err *err)
{
    const mt_conv_desc *d = &c->d;
    int b = c->k->block, n_blocks = mt_blocks(c->k, d->cout), most = 1;
    MT_TRY(mt_alloc(&c->panels, (size_t)n_blocks, sizeof *c->panels, MT_CONV_MAX_BYTES,
                    "convolution panels", err));
    size_t at = 0;
    for (int ob = 0; ob < n_blocks; ob += c->panels[c->n_panels++].q) {
        mt_conv_panel *p = &c->panels[c->n_panels];
        *p = (mt_conv_panel){
            .ob = ob, .q = panel_blocks(c->k, d, ob), .ib0 = 0, .ib1 = 1, .w_at = at};
        if (!d->in_plain)
            reads(c->k, d, ob * b, MT_MIN(d->cout, (ob + p->q) * b), &p->ib0, &p->ib1);
        at += (size_t)(p->ib1 - p->ib0) * (size_t)c->n_taps * (size_t)c->len * (size_t)p->q *
              (size_t)b;
        most = MT_MAX(most, p->ib1 - p->ib0);
    }
    c->w_floats = at;
    size_t per_block =
        (size_t)c->n_taps * (size_t)c->len * (size_t)c->k->fn->tile_q * (size_t)b * sizeof(float);
    int chunk = (int)MT_MAX(CHUNK_BYTES / per_block, (size_t)1);
    int n_chunks = (most + chunk - 1) / chunk;
    c->chunk = (most + n_chunks - 1) / n_chunks;
    return MT_OK;
}

/* Weight of tap s and position `lane` of the inner loop (input channel ib*b + lane of a blocked
 * input; of a plain one, lane % cin) for output channel oc; 0 where there is none. */
static float weight(const mt_conv *c, const float *w, int oc, int ib, int s, int lane)
{
    const mt_conv_desc *d = &c->d;
    int cpg = d->cin / d->groups, opg = d->cout / d->groups;
    int columns = c->n_taps / d->kh; /* 1 when a kernel row is one run */
    int ky = s / columns, kx = s % columns, ic = ib * c->k->block + lane;
    if (d->in_plain) {
        if (columns == 1) kx = lane / d->cin;
        ic = lane % d->cin;
    }
    int i = ic - oc / opg * cpg; /* within the group */
    if (oc >= d->cout || i < 0 || i >= cpg) return 0.0f;
    return w[(((size_t)oc * (size_t)cpg + (size_t)i) * (size_t)d->kh + (size_t)ky) * (size_t)d->kw +
             (size_t)kx];
}

static void pack_any(const mt_conv *c, const mt_conv_panel *p, const float *w)
{
    float *to = c->w + p->w_at;
    int b = c->k->block;
    for (int ib = p->ib0; ib < p->ib1; ib++)
        for (int s = 0; s < c->n_taps; s++)
            for (int l = 0; l < c->len; l++)
                for (int o = 0; o < p->q * b; o++)
                    *to++ = weight(c, w, p->ob * b + o, ib, s, l);
}

/* The same for one group and blocked input, as a transposition: OIHW is read in runs of one output
 * channel, and the panel's [input][tap][output] rows are a line or four each. */
static void pack_panel(const mt_conv *c, const mt_conv_panel *p, const float *w)
{
    const mt_conv_desc *d = &c->d;
    size_t b = (size_t)c->k->block, taps = (size_t)c->n_taps, width = (size_t)p->q * b,
           cin = (size_t)d->cin;
    for (size_t ib = 0; ib < (size_t)p->ib1; ib++) {
        float *to = c->w + p->w_at + ib * taps * b * width;
        size_t lanes = MT_MIN(b, cin - ib * b);
        for (size_t o = 0; o < width; o++) {
            size_t oc = (size_t)p->ob * b + o;
            bool real = oc < (size_t)d->cout;
            const float *from = w + (oc * cin + ib * b) * taps;
            for (size_t l = 0; l < b; l++)
                for (size_t s = 0; s < taps; s++)
                    to[(s * b + l) * width + o] = real && l < lanes ? from[l * taps + s] : 0.0f;
        }
    }
}

static void name(mt_conv *c)
{
    const mt_conv_desc *d = &c->d;
    const char *what = d->in_plain          ? "stem"
                       : d->groups > 1      ? "grouped"
                       : d->kh * d->kw == 1 ? "gemm"
                                            : "direct";
    snprintf(c->variant, sizeof c->variant, "%s%dx%d", what, d->kh, d->kw);
}

/* Scratch for the offsets of one tile and the steps of plain input. */
static size_t offset_bytes(const mt_conv *c)
{
    return ((size_t)c->n_taps * 9 * sizeof(int32_t) + 63) / 64 * 64;
}

static mt_status pack(mt_conv *c, const float *w, const float *bias, mt_err *err)
{
    const mt_conv_desc *d = &c->d;
    int b = c->k->block;
    bool runs = d->in_plain && d->dw == 1; /* a kernel row is one run of kw*cin floats */
    c->n_taps = runs ? d->kh : d->kh * d->kw;
    c->len = runs ? d->kw * d->cin : d->in_plain ? d->cin : b;
    MT_TRY(plan_panels(c, err));
    MT_TRY(mt_conv_alloc_raw(&c->w, c->w_floats, err));
    bool whole = d->groups == 1 && !d->in_plain;
    for (int i = 0; i < c->n_panels; i++)
        (whole ? pack_panel : pack_any)(c, &c->panels[i], w);
    c->scratch_bytes = offset_bytes(c);
    if (d->in_plain) {
        size_t hp = (size_t)((d->oh - 1) * d->sh + (d->kh - 1) * d->dh + 1);
        size_t wp = (size_t)((d->ow - 1) * d->sw + (d->kw - 1) * d->dw + 1);
        c->scratch_bytes += (hp * wp * (size_t)d->cin * sizeof(float) + 63) / 64 * 64;
    }
    name(c);
    return MT_OK;
}

/* Where the taps of p places that start at (oy, ox) lie. Leaves (oy, ox) behind the last one. */
static void offsets(const mt_conv *c, int32_t *off, int p, int *oy, int *ox)
{
    const mt_conv_desc *d = &c->d;
    int b = c->k->block, y0[8], x0[8], at[8];
    for (int i = 0; i < p; i++) {
        y0[i] = *oy * d->sh - d->pt;
        x0[i] = *ox * d->sw - d->pl;
        at[i] = (y0[i] * d->w + x0[i]) * b;
        if (++*ox == d->ow) *ox = 0, ++*oy;
    }
    for (int ky = 0; ky < d->kh; ky++)
        for (int kx = 0; kx < d->kw; kx++, off += p) {
            int dy = ky * d->dh, dx = kx * d->dw, step = (dy * d->w + dx) * b;
            for (int i = 0; i < p; i++) {
                bool inside = (unsigned)(y0[i] + dy) < (unsigned)d->h &&
                              (unsigned)(x0[i] + dx) < (unsigned)d->w;
                off[i] = inside ? at[i] + step : -1;
            }
        }
}

/* From a place to its taps in the padded copy of a plain input, where every tap exists. */
static void plain_steps(const mt_conv *c, int32_t *step)
{
    const mt_conv_desc *d = &c->d;
    int wp = (d->ow - 1) * d->sw + (d->kw - 1) * d->dw + 1;
    int columns = c->n_taps / d->kh; /* 1 when a kernel row is one run */
    for (int s = 0; s < c->n_taps; s++)
        step[s] = (s / columns * d->dh * wp + s % columns * d->dw) * d->cin;
}

static void plain_offsets(const mt_conv *c, int32_t *off, const int32_t *step, int p, int *oy,
                          int *ox)
{
    const mt_conv_desc *d = &c->d;
    int wp = (d->ow - 1) * d->sw + (d->kw - 1) * d->dw + 1, at[8];
    for (int i = 0; i < p; i++) {
        at[i] = (*oy * d->sh * wp + *ox * d->sw) * d->cin;
        if (++*ox == d->ow) *ox = 0, ++*oy;
    }
    for (int s = 0; s < c->n_taps; s++, off += p)
        for (int i = 0; i < p; i++)
            off[i] = at[i] + step[s];
}

static void run_panel(const mt_conv *c, const mt_conv_panel *panel, int ib, int n_ib,
                      mt_conv_tile *t, const float *res, float *out, int32_t *off)
{
    const mt_conv_desc *d = &c->d;
    int b = c->k->block, most = panel->q == c->k->fn->tile_q ? c->k->fn->tile_p : 8;
    int n = d->oh * d->ow, oy = 0, ox = 0;
    bool last = ib + n_ib == panel->ib1;
    t->first = ib == panel->ib0;
    t->n_blocks = n_ib;
    t->spare = last ? mt_conv_spare(c) : 0;
    t->q = panel->q;
    t->lo = last ? c->lo : -__builtin_inff();
    t->hi = last ? c->hi : __builtin_inff();
    t->off = off;
    for (int i = 0; i < n; i += t->p) {
        size_t at = (size_t)i * (size_t)b;
        t->p = MT_MIN(most, n - i);
        t->w_ahead = i + 3 * most >= n ? (ptrdiff_t)((size_t)n_ib * (size_t)c->n_taps *
                                                     (size_t)c->len * (size_t)t->q * (size_t)b)
                                       : 0;
        if (d->in_plain)
            plain_offsets(c, off, off + 8 * c->n_taps, t->p, &oy, &ox);
        else
            offsets(c, off, t->p, &oy, &ox);
        t->out = out + at;
        t->res = res ? res + at : NULL;
        c->k->fn->conv_tile(t);
        if (last && (c->late_act || c->late_pad))
            for (int q = 0; q < panel->q; q++)
                mt_conv_finish(c, t->out + (size_t)q * t->out_step, (size_t)t->p, panel->ob + q);
    }
}

static void run(const mt_conv *c, const float *in, const float *res, float *out, void *scratch)
{
    const mt_conv_desc *d = &c->d;
    size_t b = (size_t)c->k->block, plane = (size_t)d->h * (size_t)d->w * b;
    size_t out_plane = (size_t)d->oh * (size_t)d->ow * b;
    int32_t *off = scratch;
    if (d->in_plain) {
        int hp = (d->oh - 1) * d->sh + (d->kh - 1) * d->dh + 1,
            wp = (d->ow - 1) * d->sw + (d->kw - 1) * d->dw + 1;
        float *padded = (float *)(void *)((char *)scratch + offset_bytes(c));
        c->k->fn->conv_pack(padded, hp, wp, in, d->cin, d->h, d->w, d->pt, d->pl);
        plain_steps(c, off + 8 * c->n_taps);
        in = padded;
        plane = 0;
    }
    mt_conv_tile t = {.in_step = plane, .n_taps = c->n_taps, .len = c->len, .out_step = out_plane};
    for (int i = 0; i < c->n_panels; i++) {
        const mt_conv_panel *p = &c->panels[i];
        size_t at = (size_t)p->ob * out_plane,
               w_block = (size_t)c->n_taps * (size_t)c->len * (size_t)p->q * b;
        t.bias = c->bias + (size_t)p->ob * b;
        for (int ib = p->ib0; ib < p->ib1; ib += c->chunk) {
            t.in = in + (size_t)ib * plane;
            t.w = c->w + p->w_at + (size_t)(ib - p->ib0) * w_block;
            run_panel(c, p, ib, MT_MIN(c->chunk, p->ib1 - ib), &t, res ? res + at : NULL, out + at,
                      off);
        }
    }
}

const mt_conv_algo mt_conv_algo_direct = {"direct", fits, cost, pack, run};
