/* Pools over one block. */
#include <float.h>

#include "kernels/table.h"

/* NaN when either is. */
static float larger(float a, float b)
{
    return a != a || b <= a ? a : b;
}

void mt_pool_max__ref(const mt_pool_desc *d, int b, const float *in, float *out)
{
    for (int oy = 0; oy < d->oh; oy++)
        for (int ox = 0; ox < d->ow; ox++, out += b) {
            for (int l = 0; l < b; l++)
                out[l] = -FLT_MAX;
            for (int ky = 0; ky < d->kh; ky++)
                for (int kx = 0; kx < d->kw; kx++) {
                    int iy = oy * d->sh - d->pt + ky * d->dh, ix = ox * d->sw - d->pl + kx * d->dw;
                    if (iy < 0 || iy >= d->h || ix < 0 || ix >= d->w) continue;
                    const float *x = in + ((size_t)iy * (size_t)d->w + (size_t)ix) * (size_t)b;
                    for (int l = 0; l < b; l++)
                        out[l] = larger(out[l], x[l]);
                }
        }
}

/* Window places counted along one axis: inside the padded extent, which is -p0 .. n + p1. */
static int counted(int first, int k, int dil, int n, int p0, int p1)
{
    int c = 0;
    for (int i = 0; i < k; i++)
        c += first + i * dil >= -p0 && first + i * dil < n + p1;
    return c;
}

void mt_pool_avg__ref(const mt_pool_desc *d, int b, const float *in, float *out)
{
    bool pad = d->count_include_pad;
    for (int oy = 0; oy < d->oh; oy++)
        for (int ox = 0; ox < d->ow; ox++, out += b) {
            int y0 = oy * d->sh - d->pt, x0 = ox * d->sw - d->pl;
            int n = counted(y0, d->kh, d->dh, d->h, pad ? d->pt : 0, pad ? d->pb : 0) *
                    counted(x0, d->kw, d->dw, d->w, pad ? d->pl : 0, pad ? d->pr : 0);
            for (int l = 0; l < b; l++)
                out[l] = 0.0f;
            for (int ky = 0; ky < d->kh; ky++)
                for (int kx = 0; kx < d->kw; kx++) {
                    int iy = y0 + ky * d->dh, ix = x0 + kx * d->dw;
                    if (iy < 0 || iy >= d->h || ix < 0 || ix >= d->w) continue;
                    const float *x = in + ((size_t)iy * (size_t)d->w + (size_t)ix) * (size_t)b;
                    for (int l = 0; l < b; l++)
                        out[l] += x[l];
                }
            for (int l = 0; l < b; l++)
                out[l] = n ? out[l] / (float)n : 0.0f;
        }
}

void mt_gpool_avg__ref(const float *in, int b, size_t hw, float *out)
{
    for (int l = 0; l < b; l++) {
        double sum = 0.0;
        for (size_t i = 0; i < hw; i++)
            sum += in[i * (size_t)b + (size_t)l];
        out[l] = hw ? (float)(sum / (double)hw) : 0.0f;
    }
}

void mt_gpool_max__ref(const float *in, int b, size_t hw, float *out)
{
    for (int l = 0; l < b; l++) {
        float m = hw ? in[l] : 0.0f;
        for (size_t i = 1; i < hw; i++) {
            float x = in[i * (size_t)b + (size_t)l];
            m = larger(m, x);
        }
        out[l] = m;
    }
}
