/* Normalisation of one row: mean and variance in double. */
#include <math.h>

#include "kernels/table.h"

void mt_norm_row__ref(float *dst, const float *src, size_t n, const float *gamma,
                      const float *beta, float eps)
{
    double sum = 0.0, sq = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += (double)src[i];
    double mean = n ? sum / (double)n : 0.0;
    for (size_t i = 0; i < n; i++)
        sq += ((double)src[i] - mean) * ((double)src[i] - mean);
    double inv = 1.0 / sqrt((n ? sq / (double)n : 0.0) + (double)eps);
    for (size_t i = 0; i < n; i++) {
        float r = (float)(((double)src[i] - mean) * inv);
        if (gamma) r *= gamma[i];
        dst[i] = beta ? r + beta[i] : r;
    }
}
