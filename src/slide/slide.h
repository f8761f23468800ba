/* The slide room's door for the rooms above: native tiles.
 *
 * Every level of every slide is a grid of native tiles; formats without one (OpenSlide's) are given
 * a nominal grid. Readers hold what decoding needs (codec state, scratch) and belong to one thread.
 */
#ifndef MT_SLIDE_SLIDE_H
#define MT_SLIDE_SLIDE_H

#include <stdbool.h>
#include "microtome/slide.h"

typedef struct mt_tile_span {
    const uint8_t *data; /* straight from the map, valid while the slide is open; NULL when absent
                            or not native */
    size_t size;
} mt_tile_span;

/* Zero-copy compressed bytes of tile (tx, ty). A sparse tile gives size 0. UNSUPPORTED for formats
 * without native tiles. */
MT_MUST_USE mt_status mt_slide_tile_span(mt_tile_span *out, const mt_slide *slide, int level,
                                         int64_t tx, int64_t ty, mt_err *err);

typedef struct mt_tile_reader mt_tile_reader;
MT_MUST_USE mt_status mt_tile_reader_new(mt_tile_reader **out, const mt_slide *slide, mt_err *err);
void mt_tile_reader_free(mt_tile_reader **reader);

/* Decodes the whole native tile (edge tiles too: their part beyond the level is whatever the file
 * holds) reduced by scale_denom (1, 2, 4 or 8) into rgb: tile_h/scale rows of `stride` bytes.
 * FORMAT/UNSUPPORTED when this tile's bytes are bad (the reader stays usable); IO when the map
 * faulted. */
MT_MUST_USE mt_status mt_tile_reader_decode(mt_tile_reader *reader, int level, int64_t tx,
                                            int64_t ty, int scale_denom, uint8_t *rgb,
                                            size_t stride, mt_err *err);

/* As above, the rows handed to `sink` from top to bottom, each once, as soon as they are decoded; rgb is
 * scratch of the same size. After a failure any number of rows may have been handed over. */
struct mt_row_sink; /* codec/codec.h */
MT_MUST_USE mt_status mt_tile_reader_decode_rows(mt_tile_reader *reader, int level, int64_t tx,
                                                 int64_t ty, int scale_denom, uint8_t *rgb,
                                                 size_t stride, const struct mt_row_sink *sink,
                                                 mt_err *err);

/* True for what is wrong with a tile's own bytes: others of the slide may be good. */
static inline bool mt_is_tile_fault(mt_status st)
{
    return st == MT_ERR_FORMAT || st == MT_ERR_UNSUPPORTED || st == MT_ERR_LIMIT;
}

/* Largest scale_denom (1, 2, 4, 8) the level's codec reduces by itself with exact pixel alignment
 * (JPEG with tile sides divisible; a wavelet's coarse samples sit half a pixel off); 1 when it
 * cannot. */
int mt_slide_max_reduce(const mt_slide *slide, int level);

/* IO error when a page under the slide could not be read since it was opened. Ask after a batch. */
MT_MUST_USE mt_status mt_slide_check(const mt_slide *slide, mt_err *err);

/* Files the slide consists of, in name order; NULL past the last. */
const char *mt_slide_file(const mt_slide *slide, int i);

/* The path it was opened by: a file, or a folder. Valid while the slide is open. */
const char *mt_slide_path(const mt_slide *slide);

/* Level to read for a wanted downsample of level 0: the coarsest whose downsample does not pass it
 * by more than 1 %. */
int mt_slide_level_for(const mt_slide *slide, double downsample);

#endif
