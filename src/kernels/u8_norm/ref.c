#include <math.h>
#include "kernels/u8_norm/impl.h"

/* A channel has only 256 inputs, so the fused multiply-add is done once for each. */
void mt_u8_norm_ref(const uint8_t *rgb, size_t n, const float scale[3], const float shift[3],
                    float *dst, size_t plane)
{
    for (size_t c = 0; c < 3; c++) {
        float table[256];
        for (int v = 0; v < 256; v++)
            table[v] = fmaf((float)v, scale[c], shift[c]);
        for (size_t i = 0; i < n; i++)
            dst[c * plane + i] = table[rgb[3 * i + c]];
    }
}
