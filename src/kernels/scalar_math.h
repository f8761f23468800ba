/* exp and friends of the reference: own polynomials, so that the answer does not hang on the C
 * library (whose expf picks its own instruction set). Relative error of exp below 2e-7. */
#ifndef MT_KERNELS_SCALAR_MATH_H
#define MT_KERNELS_SCALAR_MATH_H

#include <stdint.h>
#include <string.h>
#include "kernels/kernels.h"

#define MT_EXP_HI 88.3762589f
#define MT_EXP_LO -87.3365479f
#define MT_LOG2E 1.44269504f
#define MT_LN2_HI 0.693359375f
#define MT_LN2_LO -2.12194440e-4f
#define MT_EXP_P0 1.9875691500e-4f
#define MT_EXP_P1 1.3981999507e-3f
#define MT_EXP_P2 8.3334519073e-3f
#define MT_EXP_P3 4.1665795894e-2f
#define MT_EXP_P4 1.6666665459e-1f
#define MT_EXP_P5 5.0000001201e-1f
#define MT_TANH_SMALL 0.625f
#define MT_TANH_P0 -5.70498872745e-3f
#define MT_TANH_P1 2.06390887954e-2f
#define MT_TANH_P2 -5.37397155531e-2f
#define MT_TANH_P3 1.33314422036e-1f
#define MT_TANH_P4 -3.33332819422e-1f

/* erf(x) = x P(x^2) / Q(x^2) within 1.6e-8 for |x| <= 3.92, where 1 - erf is below 3e-8: a rational
 * fit of the largest error, of our own. */
#define MT_ERF_END 3.92f
#define MT_ERF_P0 1.12837902f
#define MT_ERF_P1 0.192764867f
#define MT_ERF_P2 0.0530605909f
#define MT_ERF_P3 0.00386836324f
#define MT_ERF_P4 0.000287480423f
#define MT_ERF_P5 2.03473155e-06f
#define MT_ERF_Q1 0.504165081f
#define MT_ERF_Q2 0.115084956f
#define MT_ERF_Q3 0.0151723669f
#define MT_ERF_Q4 0.00118812429f
#define MT_ERF_Q5 3.80706601e-05f
#define MT_SQRT_HALF 0.707106781f
#define MT_GELU_TANH_A 0.797884561f /* sqrt(2/pi) */
#define MT_GELU_TANH_B 0.044715f

static inline float mt_expf(float x)
{
    if (!(x == x)) return x;
    if (x > MT_EXP_HI) x = MT_EXP_HI;
    if (x < MT_EXP_LO) x = MT_EXP_LO;
    float fn = x * MT_LOG2E;
    int32_t n = (int32_t)(fn + (fn < 0 ? -0.5f : 0.5f));
    float r = x - (float)n * MT_LN2_HI - (float)n * MT_LN2_LO;
    float p =
        ((((MT_EXP_P0 * r + MT_EXP_P1) * r + MT_EXP_P2) * r + MT_EXP_P3) * r + MT_EXP_P4) * r +
        MT_EXP_P5;
    p = p * r * r + r + 1.0f;
    uint32_t bits = (uint32_t)(n + 127) << 23;
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}

static inline float mt_sigmoidf(float x)
{
    return 1.0f / (1.0f + mt_expf(-x));
}

static inline float mt_tanhf(float x)
{
    float z = x < 0 ? -x : x;
    if (z < MT_TANH_SMALL) {
        float s = x * x;
        float p =
            (((MT_TANH_P0 * s + MT_TANH_P1) * s + MT_TANH_P2) * s + MT_TANH_P3) * s + MT_TANH_P4;
        return x + x * s * p;
    }
    float y = 1.0f - 2.0f / (mt_expf(2.0f * z) + 1.0f);
    return x < 0 ? -y : y;
}

/* NaN passes through every activation. */
static inline float mt_clipf(float x, float lo, float hi)
{
    x = x < lo ? lo : x;
    return x > hi ? hi : x;
}

static inline float mt_erff(float x)
{
    x = mt_clipf(x, -MT_ERF_END, MT_ERF_END);
    float t = x * x;
    float p = ((((MT_ERF_P5 * t + MT_ERF_P4) * t + MT_ERF_P3) * t + MT_ERF_P2) * t + MT_ERF_P1) * t +
              MT_ERF_P0;
    float q = ((((MT_ERF_Q5 * t + MT_ERF_Q4) * t + MT_ERF_Q3) * t + MT_ERF_Q2) * t + MT_ERF_Q1) * t +
              1.0f;
    return mt_clipf(x * p / q, -1.0f, 1.0f);
}

static inline float mt_geluf(float x)
{
    float h = 0.5f * x;
    return h + h * mt_erff(MT_SQRT_HALF * x);
}

static inline float mt_gelu_tanhf(float x)
{
    float h = 0.5f * x;
    return h + h * mt_tanhf(MT_GELU_TANH_A * (x + MT_GELU_TANH_B * x * x * x));
}

static inline float mt_act1(float x, mt_act act, float a, float b)
{
    switch (act) {
    case MT_ACT_RELU:
        return x < 0.0f ? 0.0f : x;
    case MT_ACT_CLIP:
        return mt_clipf(x, a, b);
    case MT_ACT_LEAKY:
        return x < 0.0f ? a * x : x;
    case MT_ACT_SIGMOID:
        return mt_sigmoidf(x);
    case MT_ACT_HSIGMOID:
        return mt_clipf(a * x + b, 0.0f, 1.0f);
    case MT_ACT_HSWISH:
        return x * mt_clipf(x * (1.0f / 6.0f) + 0.5f, 0.0f, 1.0f);
    case MT_ACT_SILU:
        return x * mt_sigmoidf(x);
    case MT_ACT_TANH:
        return mt_tanhf(x);
    case MT_ACT_GELU:
        return mt_geluf(x);
    case MT_ACT_GELU_TANH:
        return mt_gelu_tanhf(x);
    default:
        return x;
    }
}

#endif
