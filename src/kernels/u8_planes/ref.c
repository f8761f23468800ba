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

void mt_pl_colour_ref(uint8_t *rgb, const int16_t *const v[3], size_t n, bool ycbcr)
{
    for (size_t i = 0; i < n; i++, rgb += 3) {
        int16_t a = v[0][i], b = v[1][i], c = v[2][i];
        if (ycbcr) {
            const int16_t y = a, cb = b, cr = c;
            a = mt_pl_sat(mt_pl_sat(y + cr) + scaled(cr, MT_PL_CR_R));
            b = mt_pl_sat(mt_pl_sat(y - scaled(cb, MT_PL_CB_G)) - scaled(cr, MT_PL_CR_G));
            c = mt_pl_sat(mt_pl_sat(y + cb) + scaled(cb, MT_PL_CB_B));
        }
        rgb[0] = mt_pl_byte(a);
        rgb[1] = mt_pl_byte(b);
        rgb[2] = mt_pl_byte(c);
    }
}
