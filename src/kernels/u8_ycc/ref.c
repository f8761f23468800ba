/* The specification: libjpeg's triangle filter and conversion, pixel by pixel. */
#include "kernels/u8_ycc/impl.h"

static uint8_t clip(int v)
{
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* Colour of pixel x: three parts of the sample over it, one of the neighbour it leans to; rounded now
 * up, now down, so that no row drifts. */
static int at_444(const uint8_t *const c[2], int32_t x)
{
    return c[0][x];
}

static int at_422(const uint8_t *const c[2], int32_t x)
{
    const int32_t i = x >> 1, lean = x & 1 ? i + 1 : i - 1;
    return (3 * c[0][i] + c[0][lean] + (x & 1 ? 2 : 1)) >> 2;
}

static int at_420(const uint8_t *const c[2], int32_t x)
{
    const int32_t i = x >> 1, lean = x & 1 ? i + 1 : i - 1;
    const int here = 3 * c[0][i] + c[1][i], there = 3 * c[0][lean] + c[1][lean];
    return (3 * here + there + (x & 1 ? 7 : 8)) >> 4;
}

static inline void convert(uint8_t *rgb, const mt_ycc_row *row, int32_t x0, int32_t n,
                           int (*at)(const uint8_t *const[2], int32_t))
{
    for (int32_t x = x0; x < x0 + n; x++, rgb += 3) {
        const int y = row->y[x], cb = at(row->cb, x) - 128, cr = at(row->cr, x) - 128;
        rgb[0] = clip(y + ((MT_YCC_R_CR * cr + MT_YCC_HALF) >> 16));
        rgb[1] = clip(y + ((MT_YCC_G_CB * cb + MT_YCC_G_CR * cr + MT_YCC_HALF) >> 16));
        rgb[2] = clip(y + ((MT_YCC_B_CB * cb + MT_YCC_HALF) >> 16));
    }
}

void mt_u8_ycc444_ref(uint8_t *rgb, const mt_ycc_row *row, int32_t x0, int32_t n)
{
    convert(rgb, row, x0, n, at_444);
}

void mt_u8_ycc422_ref(uint8_t *rgb, const mt_ycc_row *row, int32_t x0, int32_t n)
{
    convert(rgb, row, x0, n, at_422);
}

void mt_u8_ycc420_ref(uint8_t *rgb, const mt_ycc_row *row, int32_t x0, int32_t n)
{
    convert(rgb, row, x0, n, at_420);
}
