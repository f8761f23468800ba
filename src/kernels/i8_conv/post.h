/* From a sum to a byte, one number at a time: the specification, and what the plain kernels use. */
#ifndef MT_KERNELS_I8_CONV_POST_H
#define MT_KERNELS_I8_CONV_POST_H

#include <math.h>
#include "kernels/table.h"

/* 2^x of a clamped x (Taylor, relative error 3e-6): the vector form, step by step. */
#define MT_I8_EXP2_C1 0.693147181f
#define MT_I8_EXP2_C2 0.240226507f
#define MT_I8_EXP2_C3 0.0555041087f
#define MT_I8_EXP2_C4 0.00961812911f
#define MT_I8_EXP2_C5 0.00133335581f

static inline float mt_i8_exp2(float x)
{
    float n = nearbyintf(x), f = x - n, p = MT_I8_EXP2_C5;
    p = fmaf(p, f, MT_I8_EXP2_C4);
    p = fmaf(p, f, MT_I8_EXP2_C3);
    p = fmaf(p, f, MT_I8_EXP2_C2);
    p = fmaf(p, f, MT_I8_EXP2_C1);
    p = fmaf(p, f, 1.0f);
    union {
        uint32_t u;
        float f;
    } scale = {(uint32_t)((int32_t)n + 127) << 23};
    return p * scale.f;
}

static inline float mt_i8_clamp(float x, float lo, float hi)
{
    return fminf(fmaxf(x, lo), hi);
}

static inline float mt_i8_act(float x, mt_act act, float a, float b)
{
    float e;
    switch (act) {
    case MT_ACT_LEAKY:
        return x < 0.0f ? a * x : x;
    case MT_ACT_HSIGMOID:
        return mt_i8_clamp(fmaf(x, a, b), 0.0f, 1.0f);
    case MT_ACT_HSWISH:
        return x * mt_i8_clamp(fmaf(x, 1.0f / 6.0f, 0.5f), 0.0f, 1.0f);
    case MT_ACT_SIGMOID:
    case MT_ACT_SILU:
        e = mt_i8_exp2(mt_i8_clamp(x * -1.44269504f, -126.0f, 126.0f));
        return (act == MT_ACT_SILU ? x : 1.0f) / (1.0f + e);
    default:
        return x;
    }
}

/* Half to even, then the zero point, then the clamp. |x| < 2^30. */
static inline int mt_i8_round(float x, int zero, int lo, int hi)
{
    float r = nearbyintf(mt_i8_clamp(x, -32768.0f, 32767.0f)) + (float)zero;
    return (int)mt_i8_clamp(r, (float)lo, (float)hi);
}

static inline float mt_i8_value(const mt_i8_post *p, int32_t sum, float mul, float add, int res)
{
    float y = fmaf((float)sum, mul, add);
    if (p->mode == MT_I8_RESIDUAL) {
        y = mt_i8_clamp(nearbyintf(y), p->mid_lo, p->mid_hi);
        y = fmaf(y, p->mid_k, fmaf((float)res, p->res_k, p->res_c));
    } else if (p->mode == MT_I8_ACT) {
        y = mt_i8_act(y, p->act, p->act_a, p->act_b) * p->inv_scale;
    }
    return y;
}

#endif
