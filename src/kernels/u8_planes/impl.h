/* Inside the family: an axis, and the three steps that every variant brings. */
#ifndef MT_U8_PLANES_IMPL_H
#define MT_U8_PLANES_IMPL_H

#include "base/cpu.h"
#include "kernels/u8_planes.h"

enum {
    MT_PL_BITS = 14,  /* fraction of a coefficient */
    MT_PL_FRAC = 6,   /* fraction of a value between the passes, and before it becomes a colour */
    MT_PL_GROUP = 16, /* outputs of a row come in groups: tables and rows are padded to them */
    MT_PL_PAD = 64    /* values past a scratch row that vectors may write; zeros may be read there */
};

/* Output i is the sum over t < count[i] of k[i * taps + t] * sample[first[i] + t], where samples count
 * from the box's first; what is missing to 1 << MT_PL_BITS stands for white (neutral chroma). Entries
 * past count[i] are 0. Past n_out, to a whole group: first 0, all coefficients 0. */
struct mt_plane_axis {
    int32_t n_out, n_in; /* n_in: samples of the box */
    int32_t taps;        /* 4, or a multiple of 8 */
    bool narrow;         /* taps is 4, and each group of outputs is made of 64 samples in a row, from its
                            first output's first on */
    int32_t *first, *count, *sum;
    int16_t *k;
};

/* t[x] = (sum over j < count of k[j] * src[j * stride + x] + bias) >> (BITS - FRAC), for x < n. Reads
 * n bytes a row; may write up to MT_PL_PAD values. */
typedef void mt_pl_column_fn(int16_t *t, const uint8_t *src, size_t stride, int32_t count, size_t n,
                             const int16_t *k, int32_t bias);
/* out[i] = saturated sum of offset and (the sum over taps of k * t[first[i] + j], rounded, >> BITS).
 * Writes whole groups. */
typedef void mt_pl_row_fn(int16_t *out, const int16_t *t, const mt_plane_axis *x, int16_t offset);
/* n pixels of three values with FRAC fractional bits each, chroma around 0, to rgb. */
typedef void mt_pl_colour_fn(uint8_t *rgb, const int16_t *const v[3], size_t n, bool ycbcr);

#define MT_VARIANT(isa, level)                                                                     \
    mt_pl_column_fn mt_pl_column_##isa;                                                            \
    mt_pl_row_fn mt_pl_row_##isa;                                                                  \
    mt_pl_colour_fn mt_pl_colour_##isa;
#include "kernels/u8_planes/kernels.def"
#undef MT_VARIANT

/* Full-range BT.601 in fifteenths of a bit: what is beyond 1 of 1.402 and 1.772, and green's two. */
enum { MT_PL_CR_R = 13173, MT_PL_CB_B = 25297, MT_PL_CB_G = 11277, MT_PL_CR_G = 23401 };

static inline int16_t mt_pl_sat(int32_t v)
{
    return (int16_t)(v < INT16_MIN ? INT16_MIN : v > INT16_MAX ? INT16_MAX : v);
}

static inline uint8_t mt_pl_byte(int16_t v)
{
    int32_t b = (mt_pl_sat(v + (1 << (MT_PL_FRAC - 1)))) >> MT_PL_FRAC;
    return (uint8_t)(b < 0 ? 0 : b > 255 ? 255 : b);
}

#endif
