/* Tiles as one HDF5 file: `coords` with the attributes of CLAM, TRIDENT or WSInfer, and `imgs`. */
#ifndef MT_TILES_TILES_H5_H
#define MT_TILES_TILES_H5_H

#include <stdbool.h>
#include "microtome/tiles.h"

typedef struct tiles_h5 tiles_h5;

/* Begins the file beside its target, with room for pictures when `pictures`. name: of the slide, goes
 * into the attributes. SPACING when the style needs one that is unknown. */
MT_MUST_USE mt_status tiles_h5_open(tiles_h5 **out, const char *path, const char *name,
                                    const mt_slide_info *info, const mt_plan *plan,
                                    mt_h5_style style, bool pictures, mt_err *err);
/* Stores the picture of one tile; any thread, any order, same file. */
MT_MUST_USE mt_status tiles_h5_put(tiles_h5 *h, uint32_t tile, const uint8_t *rgb, mt_err *err);
/* Closes the file and gives it its name. */
MT_MUST_USE mt_status tiles_h5_commit(tiles_h5 *h, mt_err *err);
/* Drops what is not committed. */
void tiles_h5_free(tiles_h5 **h);

#endif
