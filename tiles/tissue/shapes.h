/* Connected pieces of a mask, by runs: memory goes with the outline, not with the area. */
#ifndef MT_TILES_SHAPES_H
#define MT_TILES_SHAPES_H

#include "base/mem.h"

typedef struct shapes {
    struct shape_run {
        int32_t x0, x1;
        uint32_t piece;
    } * runs;            /* piece: index of the run that stands for it */
    uint32_t *row_begin; /* runs of row y: [row_begin[y], row_begin[y + 1]) */
    uint32_t *area;      /* of the piece, at its standing run */
    uint8_t *at_border;  /* 1 at the standing run of a piece that touches the mask's border */
    uint32_t n_runs, n_pieces;
    int32_t width, height;
} shapes;

/* Finds the pieces of tissue (non-zero, joined by sides) or of glass (zero, joined by sides or
 * corners). So two pieces that touch at a corner are two, and a gap that is open at a corner is
 * open. */
MT_MUST_USE mt_status shapes_find(shapes *out, const uint8_t *mask, int32_t width, int32_t height,
                                  bool tissue, mt_err *err);
void shapes_free(shapes *s);

/* Piece of the run that holds pixel (x, y); the pixel must be in a run. */
uint32_t shapes_piece_at(const shapes *s, int32_t x, int32_t y);

/* Drops tissue pieces of less than min_speck pixels, then fills glass pieces of less than max_hole
 * pixels that do not reach the border. *n_pieces: tissue pieces left. */
MT_MUST_USE mt_status shapes_clean(uint8_t *mask, int32_t width, int32_t height, double min_speck,
                                   double max_hole, int *n_pieces, mt_err *err);

#endif
