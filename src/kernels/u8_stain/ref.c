/* The specification: one pixel at a time, fused where the vectors fuse. */
#include <math.h>
#include <string.h>
#include "kernels/scalar_math.h"
#include "kernels/u8_stain/impl.h"

static float log_of(float v)
{
    int32_t bits, e;
    float m;
    if (!(v > MT_STAIN_LEAST)) v = MT_STAIN_LEAST;
    memcpy(&bits, &v, sizeof bits);
    e = (bits - MT_SQRT_HALF_BITS) >> 23;
    bits -= e * (1 << 23);
    memcpy(&m, &bits, sizeof m);
    float x = m - 1.0f, z = x * x, n = (float)e;
    float p = fmaf(MT_LOG_P0, x, MT_LOG_P1);
    p = fmaf(p, x, MT_LOG_P2);
    p = fmaf(p, x, MT_LOG_P3);
    p = fmaf(p, x, MT_LOG_P4);
    p = fmaf(p, x, MT_LOG_P5);
    p = fmaf(p, x, MT_LOG_P6);
    p = fmaf(p, x, MT_LOG_P7);
    p = fmaf(p, x, MT_LOG_P8);
    float y = fmaf(n, MT_LN2_LO, x * z * p);
    return fmaf(n, MT_LN2_HI, x + fmaf(-0.5f, z, y));
}

/* simd_math.h's v_exp, with the same roundings. */
static float exp_of(float x)
{
    x = x < MT_EXP_LO ? MT_EXP_LO : x;
    x = x > MT_EXP_HI ? MT_EXP_HI : x;
    float n = rintf(x * MT_LOG2E), scale;
    float r = fmaf(-n, MT_LN2_LO, fmaf(-n, MT_LN2_HI, x));
    float p = fmaf(MT_EXP_P0, r, MT_EXP_P1);
    p = fmaf(p, r, MT_EXP_P2);
    p = fmaf(p, r, MT_EXP_P3);
    p = fmaf(p, r, MT_EXP_P4);
    p = fmaf(p, r, MT_EXP_P5);
    p = fmaf(p * r, r, r) + 1.0f;
    int32_t bits = ((int32_t)n + 127) * (1 << 23);
    memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}

static float row(const float m[3], const float v[3])
{
    return fmaf(m[0], v[0], fmaf(m[1], v[1], m[2] * v[2]));
}

static uint8_t to_byte(float v)
{
    v = v > 0.0f ? v : 0.0f;
    v = v < 255.0f ? v : 255.0f;
    return (uint8_t)rintf(v);
}

void mt_u8_stain_ref(const mt_u8_stain_map *map, uint8_t *rgb, size_t n)
{
    for (size_t i = 0; i < n; i++, rgb += 3) {
        float px[3], l[3], e[3];
        for (int c = 0; c < 3; c++)
            px[c] = (float)(rgb[c] + 1);
        for (int c = 0; c < 3; c++)
            l[c] = log_of(row(map->in + 3 * c, px));
        for (int c = 0; c < 3; c++) {
            const float *m = map->mid + 3 * c;
            e[c] = exp_of(fmaf(m[0], l[0], fmaf(m[1], l[1], fmaf(m[2], l[2], map->shift[c]))));
        }
        for (int c = 0; c < 3; c++) {
            const float *m = map->out + 3 * c;
            rgb[c] = to_byte(fmaf(m[0], e[0], fmaf(m[1], e[1], fmaf(m[2], e[2], -1.0f))));
        }
    }
}
