/* Erosion of masks by squares, in one pass whatever the radius. */
#ifndef MT_TILES_MORPH_H
#define MT_TILES_MORPH_H

#include "base/mem.h"

typedef struct morph {
    int32_t w, h;
    uint8_t *scratch; /* w * h */
    int32_t *run;     /* per column */
} morph;

MT_MUST_USE mt_status morph_init(morph *m, int32_t w, int32_t h, mt_err *err);
void morph_free(morph *m);

/* out = 1 where the whole (2 r + 1)^2 neighbourhood of a pixel is set, else 0; what lies outside counts
 * as set. out may be in. */
void morph_erode(const morph *m, uint8_t *out, const uint8_t *in, int32_t r);
/* out = 1 where some pixel of the neighbourhood is set. */
void morph_dilate(const morph *m, uint8_t *out, const uint8_t *in, int32_t r);

#endif
