/* Winograd convolution of 3x3 kernels at stride 1: F(2x2,3x3) and F(4x4,3x3).
 *
 * A group of tiles at a time: patches are transformed to t*t values per channel, each of the t*t
 * places is a product [tiles x cin] * [cin x cout] done by the tile kernel of the direct
 * convolution, and the sums are transformed back. Every tile is computed by itself, so its bits do
 * not hang on its group. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "kernels/f32_conv/conv.h"

#define GROUP_BYTES (320 << 10) /* both sides of the products of one group of tiles */

static bool fits(const mt_kernels *k, const mt_conv_desc *d)
{
    return k->fn->wino2_in && d->kh == 3 && d->kw == 3 && d->sh == 1 && d->sw == 1 && d->dh == 1 &&
           d->dw == 1 && d->groups == 1 && !d->in_plain;
}

/* Vector multiply-adds of the products, of the transforms (4 and 3 for a vector going in and coming
 * out, as measured) and of bringing the weights. */
static double cost(const mt_kernels *k, const mt_conv_desc *d, int m)
{
    double t = m + 2, tiles = (double)((d->oh + m - 1) / m) * ((d->ow + m - 1) / m);
    double nib = mt_blocks(k, d->cin), nob = mt_blocks(k, d->cout);
    double products = t * t * tiles * nib * nob * k->block;
    double transforms = tiles * t * t * (4.0 * nib + 3.0 * nob);
    double weights = mt_conv_weight_cost(k, t * t * nib * nob * k->block);
    return products + transforms + weights;
}

static double cost2(const mt_kernels *k, const mt_conv_desc *d)
{
    return cost(k, d, 2);
}
static double cost4(const mt_kernels *k, const mt_conv_desc *d)
{
    return cost(k, d, 4);
}

static const double g2[4][3] = {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};
static const double g4[6][3] = {{1.0 / 4, 0, 0},
                                {-1.0 / 6, -1.0 / 6, -1.0 / 6},
                                {-1.0 / 6, 1.0 / 6, -1.0 / 6},
                                {1.0 / 24, 1.0 / 12, 1.0 / 6},
                                {1.0 / 24, -1.0 / 12, 1.0 / 6},
                                {0, 0, 1}};

enum { LANES = 16 }; /* kernels transformed at a time */

/* u[t*t][LANES] = G g G' of up to LANES kernels, the first of them at g, step floats apart; in double,
 * zero in the lanes past n. The loops over lanes are what the compiler makes vectors of. */
static void transform_kernels(float (*u)[LANES], const float *g, size_t step, size_t n,
                              const double (*gm)[3], int t)
{
    double k[9][LANES], r[6][3][LANES];
    memset(k, 0, sizeof k);
    for (size_t l = 0; l < n; l++)
        for (int i = 0; i < 9; i++)
            k[i][l] = (double)g[l * step + (size_t)i];
    for (int y = 0; y < t; y++)
        for (int j = 0; j < 3; j++)
            for (int l = 0; l < LANES; l++)
                r[y][j][l] = gm[y][0] * k[j][l] + gm[y][1] * k[3 + j][l] + gm[y][2] * k[6 + j][l];
    for (int y = 0; y < t; y++)
        for (int x = 0; x < t; x++)
            for (int l = 0; l < LANES; l++)
                u[y * t + x][l] = (float)(r[y][0][l] * gm[x][0] + r[y][1][l] * gm[x][1] +
                                          r[y][2][l] * gm[x][2]);
}

static mt_status plan_panels(mt_conv *c, mt_err *err)
{
    int n_blocks = mt_blocks(c->k, c->d.cout), tq = c->k->fn->tile_q;
    MT_TRY(mt_alloc(&c->panels, (size_t)n_blocks, sizeof *c->panels, MT_CONV_MAX_BYTES,
                    "convolution panels", err));
    size_t at = 0, b = (size_t)c->k->block;
    for (int ob = 0; ob < n_blocks; ob += c->panels[c->n_panels++].q) {
        int left = n_blocks - ob, q = MT_MIN(left, tq);
        if (left > tq && left < 2 * tq) q = (left + 1) / 2;
        c->panels[c->n_panels] =
            (mt_conv_panel){.ob = ob, .q = q, .ib1 = mt_blocks(c->k, c->d.cin), .w_at = at};
        at += (size_t)mt_blocks(c->k, c->d.cin) * b * (size_t)q * b;
    }
    c->w_floats = at; /* of one place */
    return MT_OK;
}

/* Weights [t*t][panel][input channel][q*b]: every float is written. */
static void pack_weights(mt_conv *c, const float *w, const double (*gm)[3], int t)
{
    size_t place = c->w_floats, b = (size_t)c->k->block, cin = (size_t)c->d.cin;
    size_t all_in = (size_t)mt_blocks(c->k, c->d.cin) * b;
    for (int i = 0; i < c->n_panels; i++) {
        const mt_conv_panel *p = &c->panels[i];
        size_t width = (size_t)p->q * b, first = (size_t)p->ob * b;
        for (size_t ic = 0; ic < all_in; ic++)
            for (size_t o = 0; o < width; o += LANES) {
                float u[36][LANES] = {{0}};
                size_t lanes = MT_MIN((size_t)LANES, width - o), oc = first + o;
                size_t n = ic < cin && oc < (size_t)c->d.cout
                               ? MT_MIN(lanes, (size_t)c->d.cout - oc)
                               : 0;
                if (n) transform_kernels(u, w + (oc * cin + ic) * 9, cin * 9, n, gm, t);
                float *to = c->w + p->w_at + ic * width + o;
                for (int s = 0; s < t * t; s++)
                    memcpy(to + (size_t)s * place, u[s], lanes * sizeof(float));
            }
    }
}

/* Floats from one of the t*t places to the next: one line more than the data, so that the places of
 * a tile do not fall on one cache set. */
static size_t step_of(const mt_conv *c, int blocks)
{
    return ((size_t)blocks * (size_t)c->tile_group + 1) * (size_t)c->k->block;
}

static mt_status pack(mt_conv *c, const float *w, mt_err *err, int m, const double (*gm)[3])
{
    const mt_conv_desc *d = &c->d;
    size_t places = (size_t)(m + 2) * (size_t)(m + 2), b = (size_t)c->k->block;
    MT_TRY(plan_panels(c, err));
    MT_TRY(mt_conv_alloc_raw(&c->w, c->w_floats * places, err));
    pack_weights(c, w, gm, m + 2);
    c->w_floats *= places;
    c->tiles_y = (d->oh + m - 1) / m;
    c->tiles_x = (d->ow + m - 1) / m;
    int nib = mt_blocks(c->k, d->cin), nob = mt_blocks(c->k, d->cout), tp = c->k->fn->tile_p;
    size_t per_tile = places * (size_t)(nib + nob) * b * sizeof(float);
    int64_t all = (int64_t)c->tiles_y * c->tiles_x,
            group = (int64_t)(GROUP_BYTES / per_tile) / tp * tp;
    c->tile_group = (int)MT_MIN(MT_MAX(group, 4 * tp), all);
    c->scratch_bytes = places * (step_of(c, nib) + step_of(c, nob)) * sizeof(float);
    snprintf(c->variant, sizeof c->variant, "wino%dx3", m);
    return MT_OK;
}

static mt_status pack2(mt_conv *c, const float *w, const float *bias, mt_err *err)
{
    return pack(c, w, err, 2, g2);
}
static mt_status pack4(mt_conv *c, const float *w, const float *bias, mt_err *err)
{
    return pack(c, w, err, 4, g4);
}

static void patches(const mt_conv *c, int m, mt_wino_in_fn *fn, float *v, const float *in,
                    int first, int n)
{
    const mt_conv_desc *d = &c->d;
    int b = c->k->block, nib = mt_blocks(c->k, d->cin), side = m + 2;
    size_t plane = (size_t)d->h * (size_t)d->w * (size_t)b, pitch = (size_t)d->w * (size_t)b;
    size_t step = step_of(c, nib);
    for (int i = 0; i < n; i++) {
        int y = (first + i) / c->tiles_x * m - d->pt, x = (first + i) % c->tiles_x * m - d->pl;
        int y0 = MT_MAX(0, -y), x0 = MT_MAX(0, -x), y1 = MT_MIN(side, d->h - y),
            x1 = MT_MIN(side, d->w - x);
        ptrdiff_t at = ((ptrdiff_t)y * d->w + x) * b;
        for (int ib = 0; ib < nib; ib++)
            fn(v + ((size_t)ib * (size_t)c->tile_group + (size_t)i) * (size_t)b, step,
               in + (ptrdiff_t)((size_t)ib * plane) + at, pitch, y0, y1, x0, x1);
    }
}

static void products(const mt_conv *c, int places, float *prod, const float *v, int n)
{
    static const float zero[4 * MT_MAX_BLOCK];
    int b = c->k->block, nib = mt_blocks(c->k, c->d.cin), nob = mt_blocks(c->k, c->d.cout);
    size_t v_step = step_of(c, nib), m_step = step_of(c, nob),
           row = (size_t)c->tile_group * (size_t)b;
    size_t w_step = c->w_floats / (size_t)places;
    int32_t off[8];
    for (int i = 0; i < 8; i++)
        off[i] = i * b;
    mt_conv_tile t = {.in_step = row,
                      .off = off,
                      .n_blocks = nib,
                      .n_taps = 1,
                      .len = b,
                      .first = 1,
                      .bias = zero,
                      .out_step = row,
                      .lo = -INFINITY,
                      .hi = INFINITY};
    for (int s = 0; s < places; s++)
        for (int j = 0; j < c->n_panels; j++) {
            const mt_conv_panel *p = &c->panels[j];
            int most = p->q == c->k->fn->tile_q ? c->k->fn->tile_p : 8;
            t.w = c->w + (size_t)s * w_step + p->w_at;
            t.q = p->q;
            for (int i = 0; i < n; i += t.p) {
                t.p = MT_MIN(most, n - i);
                t.w_ahead = i + 2 * most >= n
                                ? (ptrdiff_t)((size_t)nib * (size_t)b * (size_t)p->q * (size_t)b)
                                : 0;
                t.in = v + (size_t)s * v_step + (size_t)i * (size_t)b;
                t.out = prod + (size_t)s * m_step + (size_t)p->ob * row + (size_t)i * (size_t)b;
                c->k->fn->conv_tile(&t);
            }
        }
}

static void results(const mt_conv *c, int m, mt_wino_out_fn *fn, float *out, const float *res,
                    const float *prod, int first, int n)
{
    const mt_conv_desc *d = &c->d;
    size_t b = (size_t)c->k->block, plane = (size_t)d->oh * (size_t)d->ow * b,
           pitch = (size_t)d->ow * b;
    int nob = mt_blocks(c->k, d->cout);
    size_t step = step_of(c, nob);
    for (int i = 0; i < n; i++) {
        int y = (first + i) / c->tiles_x * m, x = (first + i) % c->tiles_x * m;
        int ny = MT_MIN(m, d->oh - y), nx = MT_MIN(m, d->ow - x);
        for (int ob = 0; ob < nob; ob++) {
            size_t at = (size_t)ob * plane + (size_t)y * pitch + (size_t)x * b;
            fn(out + at, pitch, prod + ((size_t)ob * (size_t)c->tile_group + (size_t)i) * b, step,
               ny, nx, c->bias + (size_t)ob * b, res ? res + at : NULL, c->lo, c->hi);
            if (c->late_act || c->late_pad)
                for (int r = 0; r < ny; r++)
                    mt_conv_finish(c, out + at + (size_t)r * pitch, (size_t)nx, ob);
        }
    }
}

static void run(const mt_conv *c, const float *in, const float *res, float *out, void *scratch,
                int m, mt_wino_in_fn *from, mt_wino_out_fn *to)
{
    int all = c->tiles_y * c->tiles_x, places = (m + 2) * (m + 2);
    float *v = scratch, *prod = v + (size_t)places * step_of(c, mt_blocks(c->k, c->d.cin));
    for (int first = 0; first < all; first += c->tile_group) {
        int n = MT_MIN(c->tile_group, all - first);
        patches(c, m, from, v, in, first, n);
        products(c, places, prod, v, n);
        results(c, m, to, out, res, prod, first, n);
    }
}

static void run2(const mt_conv *c, const float *in, const float *res, float *out, void *scratch)
{
    run(c, in, res, out, scratch, 2, c->k->fn->wino2_in, c->k->fn->wino2_out);
}

static void run4(const mt_conv *c, const float *in, const float *res, float *out, void *scratch)
{
    run(c, in, res, out, scratch, 4, c->k->fn->wino4_in, c->k->fn->wino4_out);
}

const mt_conv_algo mt_conv_algo_wino2 = {"wino2", fits, cost2, pack2, run2};
const mt_conv_algo mt_conv_algo_wino4 = {"wino4", fits, cost4, pack4, run4};
