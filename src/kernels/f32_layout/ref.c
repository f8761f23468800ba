/* Planes to lanes and back, one block. */
#include "kernels/table.h"

void mt_layout_to__ref(float *dst, const float *src, int b, int c, size_t hw)
{
    for (size_t i = 0; i < hw; i++)
        for (int l = 0; l < b; l++)
            dst[i * (size_t)b + (size_t)l] = l < c ? src[(size_t)l * hw + i] : 0.0f;
}

void mt_layout_from__ref(float *dst, const float *src, int b, int c, size_t hw)
{
    for (int l = 0; l < c; l++)
        for (size_t i = 0; i < hw; i++)
            dst[(size_t)l * hw + i] = src[i * (size_t)b + (size_t)l];
}
