/* The specification: plain sums, saturated where vectors saturate. */
#include "kernels/u8_planes/impl.h"

void mt_pl_column_ref(int16_t *t, const uint8_t *src, size_t stride, int32_t count, size_t n,
                      const int16_t *k, int32_t bias)
{
    for (size_t x = 0; x < n; x++) {
        int32_t sum = bias;
        for (int32_t j = 0; j < count; j++) sum += k[j] * src[(size_t)j * stride + x];
        t[x] = mt_pl_sat(sum >> (MT_PL_BITS - MT_PL_FRAC));
    }
}

void mt_pl_row_ref(int16_t *out, const int16_t *t, const mt_plane_axis *x, int16_t offset)
{
    const int32_t n = (x->n_out + MT_PL_GROUP - 1) / MT_PL_GROUP * MT_PL_GROUP;
    for (int32_t i = 0; i < n; i++) {
        const int16_t *k = x->k + (size_t)i * (size_t)x->taps, *p = t + x->first[i];
        int32_t sum = 1 << (MT_PL_BITS - 1);
        for (int32_t j = 0; j < x->taps; j++) sum += k[j] * p[j];
        out[i] = mt_pl_sat(mt_pl_sat(sum >> MT_PL_BITS) + offset);
    }
}

/* a * b with fifteen fractional bits in b, rounded: one vector instruction everywhere. */
static int16_t scaled(int16_t a, int32_t b)
{
    return (int16_t)((a * b + 0x4000) >> 15);
}

/* What a decoder adds for chroma k is rounded before it meets luma, and a plain area has one chroma: so
 * its error is not noise and the mean of many pixels keeps it. Between two whole chromas, their two
 * contributions in proportion. 1 + more / 2^15 is the factor. */
static int16_t contribution(int16_t chroma, int32_t more)
{
    const int16_t k = (int16_t)(chroma >> MT_PL_FRAC), next = (int16_t)(k + 1);
    const int16_t at = (int16_t)(k + scaled(k, more)), then = (int16_t)(next + scaled(next, more));
    const int16_t part = chroma & ((1 << MT_PL_FRAC) - 1);
    return (int16_t)(at * (1 << MT_PL_FRAC) + (then - at) * part);
}

void mt_pl_colour_ref(uint8_t *rgb, const int16_t *const v[3], size_t n, bool ycbcr)
{
    for (size_t i = 0; i < n; i++, rgb += 3) {
        int16_t a = v[0][i], b = v[1][i], c = v[2][i];
        if (ycbcr) {
            const int16_t y = a, cb = b, cr = c;
            a = mt_pl_sat(y + contribution(cr, MT_PL_CR_R));
            b = mt_pl_sat(mt_pl_sat(y - scaled(cb, MT_PL_CB_G)) - scaled(cr, MT_PL_CR_G));
            c = mt_pl_sat(y + contribution(cb, MT_PL_CB_B));
        }
        rgb[0] = mt_pl_byte(a);
        rgb[1] = mt_pl_byte(b);
        rgb[2] = mt_pl_byte(c);
    }
}
