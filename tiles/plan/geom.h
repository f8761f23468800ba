/* Small shared geometry of levels. */
#ifndef MT_TILES_GEOM_H
#define MT_TILES_GEOM_H

#include <math.h>
#include "microtome/slide.h"

/* Level-0 pixels per pixel of a level. A level stored as floor or ceil of size/n was made by n x n
 * averaging, so n is exact and the ratio of the rounded sizes (4.003) is not: n is taken then. */
static inline double geom_downsample(const mt_slide_info *info, int level)
{
    const mt_level *l = &info->levels[level], *base = &info->levels[0];
    double n = nearbyint(l->downsample);
    if (n >= 1.0 && fabs(l->width * n - base->width) < n && fabs(l->height * n - base->height) < n)
        return n;
    return l->downsample;
}

#endif
