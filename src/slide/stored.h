/* Stored tiles: what every reader of them holds, and decoded ones that are kept.
 *
 * Where the tiles of a slide are drawn from stored ones that lie otherwise (frames off the grid, areas
 * that begin anywhere), each stored one is wanted up to four times. All readers of such a slide share
 * what was decoded, so that in any usual order each is decoded about once. */
#ifndef MT_SLIDE_STORED_H
#define MT_SLIDE_STORED_H

#include "codec/codec.h"
#include "slide/slide.h"

/* Memory that grows and is kept: at least so many bytes, 64-byte aligned; what was in it is lost when
 * it grows. Zeroed before its first use; free() releases p. */
typedef struct mt_room { uint8_t *p; size_t bytes; } mt_room;
MT_MUST_USE mt_status mt_room_need(mt_room *room, size_t bytes, const char *what, mt_err *err);

/* State of one reader, as mt_slide_ops wants it opened and closed. */
typedef struct mt_stored_reader {
    mt_decoder *decoder;
    mt_room tile;              /* a stored tile on its way, or the pieces of one put together */
    mt_room sums;              /* over its pixels */
    struct mt_ojpeg *ojpeg;    /* TIFF: old-style JPEG; NULL until it is wanted */
} mt_stored_reader;
MT_MUST_USE mt_status mt_stored_open(void **state, const mt_slide *s, mt_err *err);
void mt_stored_close(void *state);

/* ---- kept tiles ---- */

typedef struct mt_kept mt_kept;
typedef struct mt_kept_key { uint64_t a, b; } mt_kept_key; /* which tile, within the slide */

/* Decodes the tile into `pixels`. What fails is not kept. */
typedef mt_status (*mt_kept_fill)(uint8_t *pixels, void *ctx, mt_err *err);

/* As many bytes of pixels are kept at most, besides the tiles in use. */
MT_MUST_USE mt_status mt_kept_new(mt_kept **out, size_t most, mt_err *err);
void mt_kept_free(mt_kept **kept); /* none may be in use; NULL and pointer to NULL are accepted */

/* The pixels of a tile, `bytes` of them: kept ones, or filled now; who asks for one that is being
 * filled waits for it. *out stays as it is until it is given back. Thread-safe. */
MT_MUST_USE mt_status mt_kept_take(const uint8_t **out, mt_kept *kept, mt_kept_key key, size_t bytes,
                                   mt_kept_fill fill, void *ctx, mt_err *err);
void mt_kept_give(mt_kept *kept, const uint8_t *pixels);

/* Tiles filled so far. */
uint64_t mt_kept_fills(mt_kept *kept);

/* What a slide keeps when its format says nothing else. */
#define MT_KEPT_BYTES ((size_t)64 << 20)

#endif
