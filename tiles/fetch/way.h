/* Way: from which pixels of the plan's level a pass makes its crops. */
#ifndef MT_TILES_WAY_H
#define MT_TILES_WAY_H

#include "slide/slide.h"
#include "microtome/tiles.h"
#include "kernels/u8_planes.h"
#include "base/mem.h"

/* Samples of a level's native tiles before they are colours (mt_sample_rows). Chroma's two planes
 * stand alike. */
typedef struct way_samples {
    int planes; /* 0: the pass goes by RGB pixels */
    bool ycbcr;
    int denom;                      /* the codec's reduction; steps are in pixels before it */
    int step_x[3], step_y[3];
    bool smooth_x[3], smooth_y[3];  /* the decoder would spread them */
} way_samples;

typedef struct walk_way {
    int scale_denom;     /* reduction asked of the codec */
    int shrink;          /* and by averaging afterwards, where the codec cannot (a power of two) */
    way_samples samples;
} walk_way;

/* Exact: native tiles are decoded whole; only where 16 or more source pixels make an output pixel are
 * they first halved by averaging until below 16. With `fast` and crops coarser than the level: JPEG
 * goes by samples, reduced by the codec where 8 or more would make an output pixel; anything
 * else goes the exact way. Looks at some native tiles of the level; depends on slide, plan and fast only. */
MT_MUST_USE mt_status way_choose(walk_way *out, const mt_slide *slide, const mt_plan *plan, bool fast,
                                 mt_err *err);

/* True when rows of samples stand as the way says. */
struct mt_sample_rows;
bool way_fits(const way_samples *w, const struct mt_sample_rows *rows);

/* axis: 0 = x. native: pixels of a native tile. */
static inline mt_plane_grid way_grid(const way_samples *w, int plane, int axis, int32_t native)
{
    const bool x = axis == 0;
    const int step = x ? w->step_x[plane] : w->step_y[plane];
    const bool smooth = x ? w->smooth_x[plane] : w->smooth_y[plane];
    return (mt_plane_grid){native, step, smooth, w->denom > 1};
}

static inline mt_plane_kind way_kind(const way_samples *w)
{
    return w->planes == 1 ? MT_PLANES_GREY : w->ycbcr ? MT_PLANES_YCBCR : MT_PLANES_RGB;
}

#endif
