/* Tile coordinates other tools wrote: CLAM, TRIDENT, WSInfer. */
#ifndef MT_TILES_COORDS_H
#define MT_TILES_COORDS_H

#include "microtome/tiles.h"

/* What the file says, before any of it is believed. Numbers are NAN where the attribute is absent. */
typedef struct coords_file {
    int64_t *xy;               /* n pairs, level-0 pixels of the top left corner */
    size_t n;
    double patch_size, patch_level, patch_size_level0, custom_downsample, overlap;
    double level0_magnification, target_magnification, level0_width, level0_height;
    double patch_spacing_um_px;
    double downsample[2], level_dim[2];
} coords_file;

/* Reads dataset `coords` and its attributes. A stranger's file: only a contiguous or chunked dataset
 * in the file itself, of whole numbers, with the filters every HDF5 has, of at most
 * MT_PLAN_MAX_TILES rows. FORMAT, UNSUPPORTED, LIMIT name dataset or attribute and the value. */
MT_MUST_USE mt_status coords_read(coords_file *out, const char *path, mt_err *err);
void coords_free(coords_file *c);

/* Fills tiles, box, spacing and origin of a plan from a file's word and the slide's geometry. o->mpp > 0
 * and o->tile_px > 0 are what somebody wants of the tiles; see mt_plan_make. */
MT_MUST_USE mt_status coords_plan(mt_plan *p, const coords_file *c, const mt_slide_info *info,
                                  const mt_plan_opts *o, mt_err *err);

#endif
