/* The picture under the heatmap: the slide small, or what stands in for it. */
#ifndef MT_RESULTS_GROUND_H
#define MT_RESULTS_GROUND_H

#include "microtome/result.h"
#include "results/canvas.h"

typedef struct mt_ground {
    mt_canvas picture;
    double l0_x, l0_y; /* level-0 pixels per pixel */
    bool incomplete;   /* part of the slide could not be read and is white */
} mt_ground;

/* The coarsest level of 1400 pixels or more a side, averaged over whole pixels to at most 2048.
 * Without a slide, or when its only levels are too large to read for a picture, the tissue mask, or
 * white. The caller frees ground->picture. Errors: ARG (no size), NO_MEMORY. */
MT_MUST_USE mt_status mt_ground_make(mt_ground *ground, const mt_result *r, const mt_slide *slide,
                                     mt_err *err);

/* Whether the mask has tissue under the level-0 point; false without a mask. */
bool mt_ground_tissue(const mt_tissue *t, double x_l0, double y_l0);

#endif
