/* A 1x1 convolution and the depthwise one that alone reads it (inverted residuals), in one pass.
 *
 * Panel by panel of the first one's output blocks, in bands of rows: the band is expanded into a
 * scratch that stays in the second-level cache, the depthwise kernel reads it there, and the rows that
 * the next band needs again move to its front. The kernels, and the sums of every place, are those of
 * the two convolutions by themselves: same bits. */
#include <string.h>

#include "kernels/f32_conv/conv.h"

#define BAND_BYTES ((size_t)256 << 10) /* expanded rows of one panel: a quarter of a second-level cache */

enum { OFFSET_BYTES = 64 }; /* of the 8 places of a tile */

/* Rows of the band's input that the scratch holds, and depthwise output rows of a band. */
typedef struct band_plan {
    int rows, out_rows;
} band_plan;

static band_plan plan(const mt_conv *first, const mt_conv *dw)
{
    const mt_conv_desc *d = &dw->d;
    size_t row = (size_t)first->k->fn->tile_q * (size_t)first->k->block * (size_t)d->w * sizeof(float);
    int reach = (d->kh - 1) * d->dh + 1, most = (int)MT_MIN(BAND_BYTES / row, (size_t)d->h);
    int out_rows = most > reach ? (most - reach) / d->sh + 1 : 1;
    out_rows = MT_MIN(out_rows, d->oh);
    return (band_plan){MT_MIN((out_rows - 1) * d->sh + reach, d->h), out_rows};
}

bool mt_conv_pairs(const mt_conv *first, const mt_conv *dw)
{
    const mt_conv_desc *a = &first->d, *d = &dw->d;
    return first->algo == &mt_conv_algo_direct && dw->algo == &mt_conv_algo_depthwise &&
           first->k == dw->k && a->groups == 1 && !a->in_plain && !a->residual && a->kh == 1 &&
           a->kw == 1 && a->sh == 1 && a->sw == 1 && !a->pt && !a->pl && a->oh == a->h &&
           a->ow == a->w && a->cout == d->cin && a->oh == d->h && a->ow == d->w &&
           first->chunk >= mt_blocks(first->k, a->cin);
}

size_t mt_conv_pair_scratch_bytes(const mt_conv *first, const mt_conv *dw)
{
    size_t row = (size_t)first->k->fn->tile_q * (size_t)first->k->block * (size_t)dw->d.w;
    return OFFSET_BYTES + (size_t)plan(first, dw).rows * row * sizeof(float);
}

/* Input rows r0..r1-1 of the panel into the scratch, from its row `at` on; plane: floats from one
 * block of the scratch to the next. */
static void expand(const mt_conv *c, const mt_conv_panel *p, const float *in, float *out, size_t plane,
                   int r0, int r1, int at, int32_t *off)
{
    size_t b = (size_t)c->k->block, w = (size_t)c->d.w;
    int most = p->q == c->k->fn->tile_q ? c->k->fn->tile_p : 8, n = (r1 - r0) * c->d.w;
    mt_conv_tile t = {.in_step = (size_t)c->d.h * w * b,
                      .off = off,
                      .n_blocks = p->ib1,
                      .n_taps = 1,
                      .len = c->len,
                      .spare = mt_conv_spare(c),
                      .q = p->q,
                      .first = 1,
                      .w = c->w + p->w_at,
                      .bias = c->bias + (size_t)p->ob * b,
                      .out_step = plane,
                      .lo = c->lo,
                      .hi = c->hi};
    in += (size_t)r0 * w * b;
    out += (size_t)at * w * b;
    for (int i = 0; i < n; i += t.p) {
        t.p = MT_MIN(most, n - i);
        t.in = in + (size_t)i * b;
        t.out = out + (size_t)i * b;
        c->k->fn->conv_tile(&t);
        if (c->late_act || c->late_pad)
            for (int q = 0; q < p->q; q++)
                mt_conv_finish(c, t.out + (size_t)q * plane, (size_t)t.p, p->ob + q);
    }
}

static void panel(const mt_conv *first, const mt_conv *dw, const mt_conv_panel *p, const band_plan *bp,
                  const float *in, const float *res, float *out, int32_t *off, float *rows)
{
    const mt_conv_desc *d = &dw->d;
    size_t b = (size_t)first->k->block, row = (size_t)d->w * b, plane = (size_t)bp->rows * row,
           out_plane = (size_t)d->oh * (size_t)d->ow * b, taps = (size_t)d->kh * (size_t)d->kw;
    int have0 = 0, have1 = 0; /* input rows in the scratch */
    for (int y = 0; y < d->oh; y += bp->out_rows) {
        mt_conv_desc band = *d;
        int top = y * d->sh - d->pt;
        band.oh = MT_MIN(bp->out_rows, d->oh - y);
        int r1 = MT_MIN(top + (band.oh - 1) * d->sh + (d->kh - 1) * d->dh + 1, d->h);
        int r0 = MT_MIN(MT_MAX(top, 0), d->h);
        r1 = MT_MAX(r1, r0);
        int keep = MT_MAX(have1 - r0, 0);
        if (keep && r0 > have0)
            for (int q = 0; q < p->q; q++)
                memmove(rows + (size_t)q * plane,
                        rows + (size_t)q * plane + (size_t)(r0 - have0) * row,
                        (size_t)keep * row * sizeof *rows);
        if (r1 > r0 + keep) expand(first, p, in, rows, plane, r0 + keep, r1, keep, off);
        have0 = r0;
        have1 = MT_MAX(r1, r0 + keep);
        band.h = have1 - r0;
        band.pt = r0 - top;
        for (int q = 0; q < p->q; q++) {
            size_t block = (size_t)(p->ob + q),
                   at = block * out_plane + (size_t)y * (size_t)d->ow * b;
            first->k->fn->dwconv(&band, first->k->block, rows + (size_t)q * plane,
                                 dw->w + block * taps * b, dw->bias + block * b,
                                 res ? res + at : NULL, out + at);
            if (dw->late_pad && (int)(block + 1) * first->k->block > d->cout)
                mt_blocked_clear_pad(first->k, out + at, d->cout - (int)block * first->k->block,
                                     (size_t)band.oh * (size_t)d->ow);
        }
    }
}

void mt_conv_pair_run(const mt_conv *first, const mt_conv *dw, const float *in, const float *residual,
                      float *out, void *scratch)
{
    band_plan bp = plan(first, dw);
    int32_t *off = scratch;
    for (int i = 0; i < 8; i++)
        off[i] = i * first->k->block;
    for (int i = 0; i < first->n_panels; i++)
        panel(first, dw, &first->panels[i], &bp, in, dw->d.residual ? residual : NULL, out, off,
              (float *)(void *)((char *)scratch + OFFSET_BYTES));
}
