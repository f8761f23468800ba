/* A PNG of any kind as grey bytes. */
#ifndef MT_TILES_MASK_PNG_H
#define MT_TILES_MASK_PNG_H

#include "base/mem.h"

#define MASK_PNG_MAX_PIXELS ((size_t)1 << 28)

/* Palettes, 16 bit, colour become grey; transparent is black. Errors: FORMAT (what libpng says),
 * LIMIT beyond MASK_PNG_MAX_PIXELS, NO_MEMORY. *grey (malloc) is the caller's: height rows of
 * width bytes. */
MT_MUST_USE mt_status mask_png_read(uint8_t **grey, int32_t *width, int32_t *height,
                                    const uint8_t *data, size_t n, const char *what, mt_err *err);

/* Mask pixel (col, row) of a grid that lies over the picture: bright at more than half of the
 * picture's pixels whose centres it holds, or where it holds none at the one under its centre.
 * Boxes in picture pixels. */
int mask_png_bright(const uint8_t *grey, int32_t width, int32_t height, const double box[4]);

#endif
