/* Outlines of a mask: polygons with holes along the pixel borders, valid by construction. */
#ifndef MT_TILES_OUTLINE_H
#define MT_TILES_OUTLINE_H

#include "base/mem.h"

typedef struct outline_ring {
    size_t begin,
        n;          /* points [begin, begin + n), corners only, not closed by a copy of the first */
    uint32_t piece; /* rings of one piece follow each other, the outer one first */
    bool hole;
} outline_ring;

typedef struct outlines {
    int32_t (*points)[2]; /* pixel corners: 0..width, 0..height */
    size_t n_points, cap_points;
    outline_ring *rings;
    size_t n_rings, cap_rings;
} outlines;

/* Every tissue piece (joined by sides) gives one outer ring and its holes. Rings never cross and
 * touch themselves nowhere; a hole may touch another ring in single points, which polygons may. */
MT_MUST_USE mt_status outlines_find(outlines *out, const uint8_t *mask, int32_t width,
                                    int32_t height, mt_err *err);
void outlines_free(outlines *o);

#endif
