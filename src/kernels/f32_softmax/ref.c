/* Softmax of one row; the sum is in double, so that long rows keep their last digits. */
#include "kernels/scalar_math.h"
#include "kernels/table.h"

void mt_softmax_row__ref(float *dst, const float *src, size_t n)
{
    if (!n) return;
    float m = src[0];
    for (size_t i = 1; i < n; i++)
        m = src[i] <= m ? m : src[i];
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        dst[i] = mt_expf(src[i] - m);
        sum += dst[i];
    }
    float r = (float)(1.0 / sum);
    for (size_t i = 0; i < n; i++)
        dst[i] *= r;
}
