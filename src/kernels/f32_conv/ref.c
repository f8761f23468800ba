/* Convolution as the definition says it. */
#include <string.h>

#include "kernels/scalar_math.h"
#include "kernels/table.h"

/* Sums of the b output channels starting at c0 at one output place, before the activation. */
static void place(float *acc, const mt_conv_desc *d, int b, const float *in, const float *w, int c0,
                  int lanes, int oy, int ox)
{
    int cpg = d->cin / d->groups, opg = d->cout / d->groups;
    size_t plane = (size_t)d->h * (size_t)d->w, taps = (size_t)d->kh * (size_t)d->kw;
    for (int ky = 0; ky < d->kh; ky++) {
        int iy = oy * d->sh - d->pt + ky * d->dh;
        if (iy < 0 || iy >= d->h) continue;
        for (int kx = 0; kx < d->kw; kx++) {
            int ix = ox * d->sw - d->pl + kx * d->dw;
            if (ix < 0 || ix >= d->w) continue;
            size_t at = (size_t)iy * (size_t)d->w + (size_t)ix, tap = (size_t)(ky * d->kw + kx);
            for (int l = 0; l < lanes; l++) {
                int first = (c0 + l) / opg * cpg; /* first input channel of the group */
                const float *wl = w + (size_t)(c0 + l) * (size_t)cpg * taps + tap;
                for (int i = 0; i < cpg; i++) {
                    int c = first + i;
                    float x =
                        d->in_plain
                            ? in[(size_t)c * plane + at]
                            : in[((size_t)(c / b) * plane + at) * (size_t)b + (size_t)(c % b)];
                    acc[l] += x * wl[(size_t)i * taps];
                }
            }
        }
    }
}

void mt_conv_plain__ref(const mt_conv_desc *d, int b, const float *in, const float *w,
                        const float *bias, const float *res, float *out)
{
    for (int c0 = 0; c0 < d->cout; c0 += b) {
        int lanes = d->cout - c0 < b ? d->cout - c0 : b;
        for (int oy = 0; oy < d->oh; oy++)
            for (int ox = 0; ox < d->ow; ox++) {
                float acc[MT_MAX_BLOCK] = {0};
                for (int l = 0; l < lanes; l++)
                    acc[l] = bias ? bias[c0 + l] : 0.0f;
                place(acc, d, b, in, w, c0, lanes, oy, ox);
                for (int l = 0; l < lanes; l++)
                    acc[l] = mt_act1(acc[l] + (res ? res[l] : 0.0f), d->act, d->act_a, d->act_b);
                memcpy(out, acc, (size_t)b * sizeof *out);
                out += b;
                if (res) res += b;
            }
    }
}

enum { LANES = 8 }; /* block of the reference table */

/* Four floats in one register: every x86-64 has that much, and each lane is plain arithmetic. */
typedef float quad __attribute__((vector_size(16), aligned(4), may_alias));

/* Sums of one place over n quads of channels; n is known where this is inlined. */
static inline __attribute__((always_inline)) void sums(quad *acc, const mt_conv_tile *t, int p,
                                                       const int n)
{
    quad a[4] = {acc[0], acc[1], acc[2 % n], acc[3 % n]};
    const float *in = t->in, *w = t->w;
    for (int j = 0; j < t->n_blocks; j++, in += t->in_step) {
        int spare = j + 1 < t->n_blocks ? 0 : t->spare;
        for (int s = 0; s < t->n_taps; s++, w += spare * n * 4) {
            int32_t off = t->off[s * t->p + p];
            if (off < 0) {
                w += (t->len - spare) * n * 4;
                continue;
            }
            for (int l = 0; l < t->len - spare; l++, w += n * 4) {
                const quad *v = (const quad *)(const void *)w;
                float x = in[off + l];
                a[0] += x * v[0];
                a[1] += x * v[1];
                if (n == 4) a[2] += x * v[2], a[3] += x * v[3];
            }
        }
    }
    for (int i = 0; i < n; i++)
        acc[i] = a[i];
}

/* The tile of the vector variants in plain code, one place at a time: the same sums as the plain
 * convolution in an order that a machine without our instruction sets can run at a bearable speed.
 */
void mt_conv_tile__ref(const mt_conv_tile *t)
{
    for (int p = 0; p < t->p; p++) {
        quad quads[4] = {{0}};
        float *acc = (float *)(void *)quads;
        for (int o = 0; o < t->q * LANES; o++) {
            size_t at = (size_t)(o / LANES) * t->out_step + (size_t)(p * LANES + o % LANES);
            acc[o] = t->first ? t->bias[o] + (t->res ? t->res[at] : 0.0f) : t->out[at];
        }
        if (t->q == 2)
            sums(quads, t, p, 4);
        else
            sums(quads, t, p, 2);
        for (int o = 0; o < t->q * LANES; o++)
            t->out[(size_t)(o / LANES) * t->out_step + (size_t)(p * LANES + o % LANES)] =
                mt_clipf(acc[o], t->lo, t->hi);
    }
}

void mt_conv_pack__ref(float *dst, int hp, int wp, const float *src, int c, int h, int w, int pt,
                       int pl)
{
    int n = w < wp - pl ? w : wp - pl; /* columns that land inside */
    size_t row = (size_t)wp * (size_t)c;
    for (int y = 0; y < hp; y++, dst += row) {
        int sy = y - pt;
        memset(dst, 0, row * sizeof *dst);
        if (sy < 0 || sy >= h) continue;
        for (int i = 0; i < c; i++) {
            const float *from = src + ((size_t)i * (size_t)h + (size_t)sy) * (size_t)w;
            float *to = dst + (size_t)pl * (size_t)c + i;
            for (int x = 0; x < n; x++)
                to[(size_t)x * (size_t)c] = from[x];
        }
    }
}
