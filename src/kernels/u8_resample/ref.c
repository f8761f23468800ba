/* The specification: plain sums, rounded once per pass. */
#include "kernels/u8_resample/impl.h"

void mt_rs_row_ref(uint8_t *dst, const uint8_t *src, const mt_rs_axis *x)
{
    for (int32_t i = 0; i < x->n_out; i++) {
        const int32_t *k = x->k + (size_t)i * (size_t)x->taps;
        const uint8_t *p = src + 3 * (size_t)x->first[i];
        int32_t r = 1 << (MT_RS_BITS - 1), g = r, b = r;
        for (int32_t t = 0; t < x->count[i]; t++, p += 3) {
            r += k[t] * p[0];
            g += k[t] * p[1];
            b += k[t] * p[2];
        }
        dst[3 * i] = mt_rs_clip(r);
        dst[3 * i + 1] = mt_rs_clip(g);
        dst[3 * i + 2] = mt_rs_clip(b);
    }
}

void mt_rs_column_ref(uint8_t *dst, const uint8_t *const *rows, size_t n, const mt_rs_axis *y,
                      int32_t i)
{
    const int32_t *k = y->k + (size_t)i * (size_t)y->taps;
    for (size_t j = 0; j < n; j++) {
        int32_t sum = 1 << (MT_RS_BITS - 1);
        for (int32_t t = 0; t < y->count[i]; t++)
            sum += k[t] * rows[t][j];
        dst[j] = mt_rs_clip(sum);
    }
}
