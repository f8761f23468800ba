/* Inside the family: the plan and the two passes every variant brings. */
#ifndef MT_U8_RESAMPLE_IMPL_H
#define MT_U8_RESAMPLE_IMPL_H

#include "base/cpu.h"
#include "kernels/u8_resample.h"

enum {
    MT_RS_BITS = 22, /* fraction of a coefficient: 32 - 8 bits of pixel - 2 of headroom */
    MT_RS_LOW = 15,  /* vectors split k = high * 2^15 + low, both fit int16 */
    MT_RS_PAD = 64   /* bytes past a scratch row that vectors may read or write */
};

/* Output i of an axis is the sum over t < count[i] of k[i * taps + t] * source[first[i] + t]. */
typedef struct mt_rs_axis {
    int32_t n_in, n_out, taps; /* taps: the largest count */
    int32_t *first, *count, *k;
    bool copy;       /* every output is one source pixel, in order from first[0] */
    int16_t *packed; /* vector variants' order of the coefficients, see their row and column */
    int32_t pairs;   /* ceil(taps / 2) */
} mt_rs_axis;

/* One row: dst_w RGB pixels from a source row. Vectors may write MT_RS_PAD bytes beyond and read
 * mt_resample.over bytes beyond the source row. */
typedef void (*mt_rs_row_fn)(uint8_t *dst, const uint8_t *src, const mt_rs_axis *x);
/* n bytes of output row i from the source rows under it. Neither reads nor writes beyond n. */
typedef void (*mt_rs_column_fn)(uint8_t *dst, const uint8_t *const *rows, size_t n,
                                const mt_rs_axis *y, int32_t i);

typedef struct mt_rs_variant {
    const char *name;
    int level, lanes;
    mt_rs_row_fn row;
    mt_rs_column_fn column;
} mt_rs_variant;

struct mt_resample {
    mt_rs_axis x, y;
    int32_t src_w, src_h, dst_w, dst_h;
    size_t row_bytes; /* of a scratch row: padded */
    size_t over;      /* bytes past the end of a source row that row() may read */
    int32_t ring;     /* scratch rows */
    const mt_rs_variant *variant;
};

/* How weights are taken from the filter. */
typedef struct mt_rs_weighing {
    mt_filter filter;
    bool cells; /* mostly its mean over a source pixel, not its value in the middle */
} mt_rs_weighing;

/* Weights, as Pillow normalises them, of one output over the source pixels [*first, *first + n) of
 * n_in; n is returned. Room in w: 2 * support + 1, rounded up. */
int32_t mt_rs_weights(double *w, int32_t *first, int32_t n_in, double center, double support,
                      double filterscale, const mt_rs_weighing *k);

#define MT_VARIANT(isa, level, lanes)                                                              \
    void mt_rs_row_##isa(uint8_t *dst, const uint8_t *src, const mt_rs_axis *x);                   \
    void mt_rs_column_##isa(uint8_t *dst, const uint8_t *const *rows, size_t n,                    \
                            const mt_rs_axis *y, int32_t i);
#include "kernels/u8_resample/kernels.def"
#undef MT_VARIANT

static inline uint8_t mt_rs_clip(int32_t sum)
{
    int32_t v = sum >> MT_RS_BITS;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

#endif
