/* Depthwise convolution: every lane is its own channel. */
#include "kernels/scalar_math.h"
#include "kernels/table.h"

void mt_dwconv__ref(const mt_conv_desc *d, int b, const float *in, const float *w,
                    const float *bias, const float *res, float *out)
{
    for (int oy = 0; oy < d->oh; oy++)
        for (int ox = 0; ox < d->ow; ox++) {
            float acc[MT_MAX_BLOCK];
            for (int l = 0; l < b; l++)
                acc[l] = bias[l];
            for (int ky = 0; ky < d->kh; ky++)
                for (int kx = 0; kx < d->kw; kx++) {
                    int iy = oy * d->sh - d->pt + ky * d->dh, ix = ox * d->sw - d->pl + kx * d->dw;
                    if (iy < 0 || iy >= d->h || ix < 0 || ix >= d->w) continue;
                    const float *x = in + ((size_t)iy * (size_t)d->w + (size_t)ix) * (size_t)b;
                    const float *wt = w + (size_t)(ky * d->kw + kx) * (size_t)b;
                    for (int l = 0; l < b; l++)
                        acc[l] += x[l] * wt[l];
                }
            for (int l = 0; l < b; l++)
                out[l] = mt_act1(acc[l] + (res ? res[l] : 0.0f), d->act, d->act_a, d->act_b);
            out += b;
            if (res) res += b;
        }
}
