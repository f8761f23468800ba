/* Element-wise kernels. */
#include "kernels/scalar_math.h"
#include "kernels/table.h"

void mt_elem_add__ref(float *dst, const float *x, const float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = x[i] + y[i];
}

void mt_elem_sub__ref(float *dst, const float *x, const float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = x[i] - y[i];
}

void mt_elem_mul__ref(float *dst, const float *x, const float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = x[i] * y[i];
}

void mt_elem_act__ref(float *dst, const float *x, size_t n, mt_act act, float a, float b)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = mt_act1(x[i], act, a, b);
}

void mt_elem_add_act__ref(float *dst, const float *x, const float *y, size_t n, mt_act act, float a,
                          float b)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = mt_act1(x[i] + y[i], act, a, b);
}

void mt_elem_affine__ref(float *dst, const float *x, int b, size_t hw, const float *scale,
                         const float *shift)
{
    for (size_t i = 0; i < hw; i++)
        for (int l = 0; l < b; l++)
            dst[i * (size_t)b + (size_t)l] = x[i * (size_t)b + (size_t)l] * scale[l] + shift[l];
}
