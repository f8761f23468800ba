/* Plans whose tiles lie off any grid and come in any order. */
#ifndef MT_TILES_ANYWHERE_H
#define MT_TILES_ANYWHERE_H

#include "microtome/tiles.h"

/* Takes the tiles' x_l0 and y_l0 (all >= 0) as they stand and fills in what a plan off the grid has
 * besides: col and row (ranks of x and y among the distinct ones), grid_cols, grid_rows, off_grid.
 * Tiles that repeat an earlier one are taken out, the rest keeps its order; *n_repeated counts them.
 * NO_MEMORY. */
MT_MUST_USE mt_status plan_place(mt_plan *p, size_t *n_repeated, mt_err *err);

#endif
