/* Masks of files, from bytes: for mt_tissue_read and for fuzzing. */
#ifndef MT_TILES_TISSUE_IN_H
#define MT_TILES_TISSUE_IN_H

#include "base/mem.h"
#include "microtome/tissue.h"

#define TISSUE_IN_CEILING ((size_t)256 << 20) /* bytes of a mask file */

/* The grid of mt_tissue_detect with all glass on it: nothing is decoded, source_level is -1. Errors:
 * SPACING, LIMIT, NO_MEMORY. */
MT_MUST_USE mt_status tissue_in_grid(mt_tissue **out, const mt_slide *slide, mt_err *err);

/* As mt_tissue_read. */
MT_MUST_USE mt_status tissue_in_bytes(mt_tissue *t, const uint8_t *data, size_t n, const char *what,
                                      mt_err *err);

/* Sets a finished mask (width * height bytes, 0 or 255, taken over with malloc's ownership):
 * index, area, pieces. */
MT_MUST_USE mt_status tissue_in_take(mt_tissue *t, uint8_t **mask, mt_err *err);

#endif
