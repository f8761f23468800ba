/* Vector exp and the activations; the polynomials of scalar_math.h. */
#ifndef MT_KERNELS_SIMD_MATH_H
#define MT_KERNELS_SIMD_MATH_H

#include "kernels/scalar_math.h"
#include "kernels/simd.h"

MT_INLINE vf v_exp(vf x)
{
    x = v_clip(x, v_set1(MT_EXP_LO), v_set1(MT_EXP_HI)); /* NaN stays */
    vf n = v_round(v_mul(x, v_set1(MT_LOG2E)));
    vf r = v_fnma(n, v_set1(MT_LN2_LO), v_fnma(n, v_set1(MT_LN2_HI), x));
    vf p = v_fma(v_set1(MT_EXP_P0), r, v_set1(MT_EXP_P1));
    p = v_fma(p, r, v_set1(MT_EXP_P2));
    p = v_fma(p, r, v_set1(MT_EXP_P3));
    p = v_fma(p, r, v_set1(MT_EXP_P4));
    p = v_fma(p, r, v_set1(MT_EXP_P5));
    p = v_add(v_fma(v_mul(p, r), r, r), v_set1(1.0f));
    return v_scale2(p, n);
}

MT_INLINE vf v_sigmoid(vf x)
{
    vf one = v_set1(1.0f);
    return v_recip(v_add(one, v_exp(v_sub(v_zero(), x))));
}

MT_INLINE vf v_tanh(vf x)
{
    vf one = v_set1(1.0f), two = v_set1(2.0f), z = v_abs(x), s = v_mul(x, x);
    vf p = v_fma(v_set1(MT_TANH_P0), s, v_set1(MT_TANH_P1));
    p = v_fma(p, s, v_set1(MT_TANH_P2));
    p = v_fma(p, s, v_set1(MT_TANH_P3));
    p = v_fma(p, s, v_set1(MT_TANH_P4));
    vf small = v_fma(v_mul(x, s), p, x);
    vf large = v_sub(one, v_div(two, v_add(v_exp(v_mul(two, z)), one)));
    return v_pick(v_lt(z, v_set1(MT_TANH_SMALL)), small, v_copysign(large, x));
}

MT_INLINE vf v_erf(vf x)
{
    x = v_clip(x, v_set1(-MT_ERF_END), v_set1(MT_ERF_END));
    vf t = v_mul(x, x), one = v_set1(1.0f);
    vf p = v_fma(v_set1(MT_ERF_P5), t, v_set1(MT_ERF_P4));
    vf q = v_fma(v_set1(MT_ERF_Q5), t, v_set1(MT_ERF_Q4));
    p = v_fma(p, t, v_set1(MT_ERF_P3));
    q = v_fma(q, t, v_set1(MT_ERF_Q3));
    p = v_fma(p, t, v_set1(MT_ERF_P2));
    q = v_fma(q, t, v_set1(MT_ERF_Q2));
    p = v_fma(p, t, v_set1(MT_ERF_P1));
    q = v_fma(q, t, v_set1(MT_ERF_Q1));
    p = v_fma(p, t, v_set1(MT_ERF_P0));
    q = v_fma(q, t, one);
    return v_clip(v_div(v_mul(x, p), q), v_sub(v_zero(), one), one);
}

MT_INLINE vf v_gelu(vf x)
{
    vf h = v_mul(v_set1(0.5f), x);
    return v_fma(h, v_erf(v_mul(v_set1(MT_SQRT_HALF), x)), h);
}

MT_INLINE vf v_gelu_tanh(vf x)
{
    vf h = v_mul(v_set1(0.5f), x);
    vf u = v_fma(v_mul(v_mul(x, x), x), v_set1(MT_GELU_TANH_B), x);
    return v_fma(h, v_tanh(v_mul(v_set1(MT_GELU_TANH_A), u)), h);
}

/* act is the same for a whole call: the compiler hoists the switch out of the loops. */
MT_INLINE vf v_act(vf x, mt_act act, vf a, vf b)
{
    vf zero = v_zero(), one = v_set1(1.0f);
    switch (act) {
    case MT_ACT_RELU:
        return v_max(zero, x);
    case MT_ACT_CLIP:
        return v_clip(x, a, b);
    case MT_ACT_LEAKY:
        return v_pick(v_lt(x, zero), v_mul(a, x), x);
    case MT_ACT_SIGMOID:
        return v_sigmoid(x);
    case MT_ACT_HSIGMOID:
        return v_clip(v_fma(a, x, b), zero, one);
    case MT_ACT_HSWISH:
        return v_mul(x, v_clip(v_fma(x, v_set1(1.0f / 6.0f), v_set1(0.5f)), zero, one));
    case MT_ACT_SILU:
        return v_mul(x, v_sigmoid(x));
    case MT_ACT_TANH:
        return v_tanh(x);
    case MT_ACT_GELU:
        return v_gelu(x);
    case MT_ACT_GELU_TANH:
        return v_gelu_tanh(x);
    default:
        return x;
    }
}

#endif
