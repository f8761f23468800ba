/* tiles.h5: the scores of one slide as other tools read them, and as a rerun reads them back.
 *
 *     coords  int64 (N, 2)        top left, level-0 pixels     grid   int32 (N, 2)  column, row
 *     scores  float32 (N, C)      NaN where there is none      state  uint8 (N)     mt_tile_state
 *     tissue  float32 (N)         tissue share of the box
 *     qc      uint8 (N)           flags of quality control, bits named by its attribute; not when off
 *
 * in plan order, chunked, shuffled, deflated, with a digest of the file behind its last HDF5 byte.
 * The attributes on `coords` are those CLAM, TRIDENT and WSInfer readers look for (boxes are
 * squares of patch_size pixels of level 0, patch_level is 0); the attributes of the root say where
 * the numbers come from. No time stamps, no file names: the same scores give the same bytes. HDF5
 * is not thread-safe: calls exclude each other. */
#ifndef MT_ENGINE_STORE_H
#define MT_ENGINE_STORE_H

#include "microtome/grade.h"

/* Writes the store of a result to path, whole or not at all. scores_key: mt_scores_key. */
MT_MUST_USE mt_status mt_store_write(const char *path, const mt_result *result,
                                     const char *scores_key, mt_err *err);

/* Reads scores and states back when path is a sound store with this very key and shape: *found = 1
 * and probs (n_tiles x n_classes) and state (n_tiles) are filled. Any other file, or none: *found =
 * 0, the buffers are as they were. Errors: NO_MEMORY only. */
MT_MUST_USE mt_status mt_store_read(const char *path, const char *scores_key, size_t n_tiles,
                                    int n_classes, float *probs, uint8_t *state, int *found,
                                    mt_err *err);

#endif
