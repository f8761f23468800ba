/* The raster behind both heatmaps: one value a pixel, registered to level 0. */
#ifndef MT_RESULTS_HEAT_H
#define MT_RESULTS_HEAT_H

#include <stdbool.h>
#include "microtome/result.h"

/* Pixel (i, j) covers the level-0 pixels [i * px_l0, (i + 1) * px_l0) x [j * px_l0, ...). Its value
 * is the mean of the scored tiles over it, weighted by the area each has in it. */
typedef struct mt_heat {
    int32_t w, h, px_l0;
    bool class_map; /* no positive class: the class with the highest mean, and that mean */
    float *value;   /* w * h, 0..1; NaN where nothing was scored */
    uint8_t *cls;   /* w * h, class shown; 0 where nothing was scored */
} mt_heat;

/* px_l0 divides the grid step (or is a multiple of it on the largest slides), so that tile edges
 * are pixel edges. *out is the caller's. Errors: ARG (slide without geometry), LIMIT, NO_MEMORY. */
MT_MUST_USE mt_status mt_heat_make(mt_heat **out, const mt_result *r, mt_err *err);
void mt_heat_free(mt_heat **heat);

/* Colour of a probability: dark blue 0, teal, green, yellow 1; lightness grows all the way. NaN as
 * 0. */
void mt_heat_map(uint8_t rgb[3], float value);

/* Colour of pixel (i, j) of the heatmap and whether there is one (nothing was scored: false,
 * black). */
bool mt_heat_colour(uint8_t rgb[3], const mt_heat *heat, int32_t i, int32_t j, const mt_card *card);

#endif
