/* What every worker of a pass has that decodes whole native tiles: a reader and room for one tile. */
#ifndef MT_TILES_NATIVES_H
#define MT_TILES_NATIVES_H

#include "base/mem.h"
#include "slide/slide.h"

typedef struct natives {
    int n; /* workers */
    mt_tile_reader **readers;
    uint8_t **px;
} natives;

/* A decoded native tile has so many bytes, and a worker keeps `beside` bytes besides: where `threads`
 * workers would pass 256 MiB there are fewer. Zeroed before; freed by natives_free in either case.
 * Errors: LIMIT (a tile of more than 512 MiB), NO_MEMORY. */
MT_MUST_USE mt_status natives_open(natives *out, const mt_slide *slide, int threads, size_t bytes,
                                   size_t beside, mt_err *err);
void natives_free(natives *n);

#endif
