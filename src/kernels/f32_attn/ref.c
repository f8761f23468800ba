/* One row of scores on its way through a softmax that sees them block by block. */
#include <math.h>

#include "kernels/scalar_math.h"
#include "kernels/table.h"

float mt_attn_exp__ref(float *s, size_t n, float scale, const float *mask1, const float *mask2,
                       float *top, float *sum)
{
    float m = *top, block = 0.0f;
    for (size_t i = 0; i < n; i++) {
        s[i] *= scale;
        if (mask1) s[i] += mask1[i];
        if (mask2) s[i] += mask2[i];
        m = s[i] <= m ? m : s[i];
    }
    float base = m == -INFINITY ? 0.0f : m;
    for (size_t i = 0; i < n; i++) {
        s[i] = s[i] == -INFINITY ? 0.0f : mt_expf(s[i] - base);
        block += s[i];
    }
    float factor = *top == -INFINITY ? 0.0f : mt_expf(*top - base);
    *sum = *sum * factor + block;
    *top = m;
    return factor;
}
