#include "tiles/tissue/mask.h"

#include <math.h>
#include "base/mem.h"
#include "tiles/tissue/evidence.h"

static size_t blocks_across(int32_t n)
{
    return (size_t)(n / MASK_BLOCK) + 1;
}

mt_status mask_index(mt_tissue *t, mt_err *err)
{
    size_t bw = blocks_across(t->width), bh = blocks_across(t->height);
    MT_TRY(mt_alloc(&t->block_sums, bw * bh, sizeof *t->block_sums, SIZE_MAX, "tissue index", err));
    for (size_t by = 1; by < bh; by++) {
        uint32_t row = 0; /* this row of blocks, so far */
        for (size_t bx = 1; bx < bw; bx++) {
            for (int y = 0; y < MASK_BLOCK; y++) {
                const uint8_t *m = t->mask +
                                   ((by - 1) * MASK_BLOCK + (size_t)y) * (size_t)t->width +
                                   (bx - 1) * MASK_BLOCK;
                for (int x = 0; x < MASK_BLOCK; x++)
                    row += m[x] != 0;
            }
            t->block_sums[by * bw + bx] = t->block_sums[(by - 1) * bw + bx] + row;
        }
    }
    return MT_OK;
}

static uint64_t count_plain(const mt_tissue *t, int32_t c0, int32_t c1, int32_t r0, int32_t r1)
{
    uint64_t n = 0;
    for (int32_t r = r0; r < r1; r++) {
        const uint8_t *m = t->mask + (size_t)r * (size_t)t->width;
        uint32_t row = 0;
        for (int32_t c = c0; c < c1; c++)
            row += m[c] != 0;
        n += row;
    }
    return n;
}

uint64_t mask_count(const mt_tissue *t, int32_t c0, int32_t c1, int32_t r0, int32_t r1)
{
    int32_t b0 = (c0 + MASK_BLOCK - 1) / MASK_BLOCK, b1 = c1 / MASK_BLOCK;
    int32_t s0 = (r0 + MASK_BLOCK - 1) / MASK_BLOCK, s1 = r1 / MASK_BLOCK;
    if (!t->block_sums || b0 >= b1 || s0 >= s1) return count_plain(t, c0, c1, r0, r1);
    /* Whole blocks from the sums, the frame around them pixel by pixel. */
    const uint32_t *top = t->block_sums + (size_t)s0 * blocks_across(t->width);
    const uint32_t *bottom = t->block_sums + (size_t)s1 * blocks_across(t->width);
    uint64_t n = (uint64_t)bottom[b1] - bottom[b0] - top[b1] + top[b0];
    int32_t x0 = b0 * MASK_BLOCK, x1 = b1 * MASK_BLOCK, y0 = s0 * MASK_BLOCK, y1 = s1 * MASK_BLOCK;
    n += count_plain(t, c0, c1, r0, y0) + count_plain(t, c0, c1, y1, r1);
    n += count_plain(t, c0, x0, y0, y1) + count_plain(t, x1, c1, y0, y1);
    return n;
}

/* A stretch of mask pixels with the shares of its first and last pixel. */
typedef struct stretch {
    int32_t first, last; /* last >= first */
    double first_part, last_part;
} stretch;

static stretch stretch_of(double a, double b, int32_t n)
{
    stretch s;
    s.first = MT_MIN((int32_t)floor(a), n - 1);
    s.last = MT_MAX(MT_MIN((int32_t)ceil(b), n) - 1, s.first);
    s.first_part = MT_MIN(b, s.first + 1.0) - a;
    s.last_part = s.last > s.first ? b - s.last : 0;
    return s;
}

/* Tissue of rows [r0, r1) under the horizontal stretch, in pixels. */
static double rows_sum(const mt_tissue *t, const stretch *x, int32_t r0, int32_t r1)
{
    if (r0 >= r1) return 0;
    double sum = x->first_part * (double)mask_count(t, x->first, x->first + 1, r0, r1);
    if (x->last > x->first) {
        sum += (double)mask_count(t, x->first + 1, x->last, r0, r1);
        sum += x->last_part * (double)mask_count(t, x->last, x->last + 1, r0, r1);
    }
    return sum;
}

double mt_tissue_fraction(const mt_tissue *t, double x_l0, double y_l0, double w_l0, double h_l0)
{
    double slide_w =
        t->slide_w > 0 ? (double)t->slide_w : t->width * t->px_l0; /* a mask made by hand */
    double slide_h = t->slide_h > 0 ? (double)t->slide_h : t->height * t->px_l0;
    double x0 = MT_MAX(x_l0, 0.0), x1 = MT_MIN(x_l0 + w_l0, slide_w);
    double y0 = MT_MAX(y_l0, 0.0), y1 = MT_MIN(y_l0 + h_l0, slide_h);
    if (!(x1 > x0) || !(y1 > y0) || t->width < 1 || t->height < 1) return 0;
    double scale = 1.0 / t->px_l0;
    stretch x = stretch_of(x0 * scale, x1 * scale, t->width),
            y = stretch_of(y0 * scale, y1 * scale, t->height);
    double sum = y.first_part * rows_sum(t, &x, y.first, y.first + 1);
    if (y.last > y.first) {
        sum += rows_sum(t, &x, y.first + 1, y.last);
        sum += y.last_part * rows_sum(t, &x, y.last, y.last + 1);
    }
    double fraction = sum / (w_l0 * scale * (h_l0 * scale));
    return MT_MIN(MT_MAX(fraction, 0.0), 1.0);
}

void mt_tissue_free(mt_tissue **tissue)
{
    if (!tissue || !*tissue) return;
    free((*tissue)->mask);
    free((*tissue)->block_sums);
    evidence_free(&(*tissue)->evidence);
    free(*tissue);
    *tissue = NULL;
}
