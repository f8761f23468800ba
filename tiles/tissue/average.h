/* Mean colours of a slide on a coarse grid. */
#ifndef MT_TILES_AVERAGE_H
#define MT_TILES_AVERAGE_H

#include "microtome/slide.h"

/* Native tiles that would not decode: how many, and the first one in reading order. */
typedef struct average_bad {
    uint64_t n, first; /* first: row times tiles across plus column; UINT64_MAX while n is 0 */
} average_bad;

typedef struct average_grid {
    double px_l0; /* side of a grid pixel in level-0 pixels; the origin is the slide's */
    int32_t width, height;
    average_bad *bad; /* counted up here when not NULL */
} average_grid;

/* Gets row `row` of the grid: width x 3 bytes, valid during the call. Rows come once each, in any
 * order, several at a time on different threads. */
typedef void (*average_row_fn)(void *ctx, int32_t row, const uint8_t *rgb);

/* Averages the coarsest level that is still at least as fine as the grid. Native tiles that will not
 * decode are white. *level: the level that was read. */
MT_MUST_USE mt_status average_down(int *level, const mt_slide *slide, const average_grid *grid,
                                   int threads, average_row_fn row, void *ctx, mt_err *err);

#endif
