/* heatmap.tif: the raster as a tiled pyramid other viewers open. */
#ifndef MT_RESULTS_PYRAMID_H
#define MT_RESULTS_PYRAMID_H

#include "results/heat.h"

/* Writes RGBA (0,0,0,0 where nothing was scored), deflate, 256-pixel tiles, every level half the
 * one before, resolution tags from the slide's spacing. Whole or not at all. Same raster, same
 * bytes. */
MT_MUST_USE mt_status mt_pyramid_write(const mt_heat *heat, const mt_result *r, const char *path,
                                       mt_err *err);

#endif
