/* Tiles as WebDataset shards: tar files of <key>.jpg and <key>.json, in plan order. */
#ifndef MT_TILES_SHARDS_H
#define MT_TILES_SHARDS_H

#include "microtome/tiles.h"

typedef struct shards shards;

/* Pictures come in the order of the pass and wait in a nameless file of the folder: plan order needs
 * them all. stem: of the slide, begins every key (without dots, which end a key). */
MT_MUST_USE mt_status shards_open(shards **out, const char *dir, const char *stem,
                                  const mt_plan *plan, mt_err *err);
/* Takes one encoded picture; any thread, any order. */
MT_MUST_USE mt_status shards_put(shards *s, uint32_t tile, const void *jpg, size_t n, mt_err *err);
/* Writes the shards, `each` samples in one, every one whole or not at all; removes what a run with more
 * shards has left. unreadable: a byte a tile. */
MT_MUST_USE mt_status shards_commit(shards *s, int each, const uint8_t *unreadable, mt_err *err);
/* "000012.tar" of a tile. */
void shards_name(char out[32], size_t tile, int each);
void shards_free(shards **s);

#endif
