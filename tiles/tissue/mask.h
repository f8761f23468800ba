/* The mask as a thing to ask: how much of a box is tissue. */
#ifndef MT_TILES_MASK_H
#define MT_TILES_MASK_H

#include "microtome/tiles.h"

#define MASK_BLOCK 16 /* side of a block of block_sums */

/* Fills block_sums: tissue pixels above and left of each corner of a grid of blocks. */
MT_MUST_USE mt_status mask_index(mt_tissue *t, mt_err *err);

/* Tissue pixels of columns [c0, c1) and rows [r0, r1), which lie inside the mask. */
uint64_t mask_count(const mt_tissue *t, int32_t c0, int32_t c1, int32_t r0, int32_t r1);

#endif
