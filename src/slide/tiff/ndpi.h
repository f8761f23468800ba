/* One level of an NDPI file: a single JPEG strip of any size, cut into tiles at its restart markers.
 *
 * A restart interval decodes by itself. When an interval is a whole row of blocks, a tile is as wide
 * as the level and some rows high, its bytes one piece of the file; when a row has several intervals,
 * a tile is one interval wide and its rows are decoded one by one. A strip without markers is one
 * tile. Nothing is kept a tile: places come from the file's own table, or from one search for the
 * markers where there is none. */
#ifndef MT_SLIDE_NDPI_H
#define MT_SLIDE_NDPI_H

#include "codec/codec.h"
#include "slide/format.h"

enum { NDPI_HEADERS = 3 };

/* Head of the JPEG of so many rows, SOI to SOS; its own copy. */
typedef struct mt_ndpi_header {
    uint8_t *p;
    size_t n;
    int32_t rows;
} mt_ndpi_header;

typedef struct mt_ndpi_strip {
    int dir;             /* number of its directory */
    const uint8_t *data; /* in the map */
    size_t size;
    int64_t width, height;
    int32_t tile_w, tile_h;
    int64_t tiles_x, tiles_y;
    int32_t block_h;    /* rows of an interval: the height of a block (MCU) */
    int64_t block_rows; /* of the level */
    int64_t per_row;    /* intervals in a row of blocks; 0: no restart markers */
    size_t body;        /* where the entropy-coded bytes begin */
    const mt_tiff *tiff;
    mt_tiff_array low, high; /* the file's table: place of interval i in the strip; count 0: none */
    uint64_t *found;         /* or the places that were searched for */
    mt_ndpi_header headers[NDPI_HEADERS]; /* of a tile, of the lowest tile, of a row of blocks */
    mt_coding coding;                     /* without its head */
} mt_ndpi_strip;

/* Reads what the strip's own header says. `table` may be NULL (no McuStarts tags). UNSUPPORTED: too
 * large to decode at once and without markers, or no baseline JPEG; FORMAT: broken. */
MT_MUST_USE mt_status mt_ndpi_strip_make(mt_ndpi_strip *out, const mt_tiff *t, int dir,
                                         mt_err *err);
void mt_ndpi_strip_free(mt_ndpi_strip *s);

/* Decodes tile (tx, ty) reduced by `scale`, its rows to `sink` unless that is NULL (rgb is then scratch);
 * what the file does not hold is white. */
MT_MUST_USE mt_status mt_ndpi_strip_decode(mt_decoder *d, const mt_ndpi_strip *s, int64_t tx,
                                           int64_t ty, int scale, uint8_t *rgb, size_t stride,
                                           const mt_row_sink *sink, mt_err *err);

#endif
