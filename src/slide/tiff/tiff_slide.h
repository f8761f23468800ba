/* Slides whose tiles lie in a TIFF file: what every format of the TIFF family shares. A format
 * decides which directory is which level and what the metadata mean; pixels are read here. */
#ifndef MT_SLIDE_TIFF_SLIDE_H
#define MT_SLIDE_TIFF_SLIDE_H

#include "codec/codec.h"
#include "slide/format.h"

/* One directory as a picture: a grid of tiles, or of strips as tiles of full width. */
typedef struct mt_tiff_picture {
    const mt_tiff_dir *dir;
    int number;                /* of the directory */
    int64_t width, height, tiles_x, tiles_y;
    int32_t tile_w, tile_h;
    mt_coding coding;
    bool cut;                  /* one uncompressed strip, read in pieces */
    int streams;               /* a tile: 1, or one a sample (PlanarConfiguration 2) */
    unsigned turn;             /* Orientation 1..8; sizes and grid here are of the stored picture */
    bool by_libtiff;           /* old-style JPEG */
    const uint8_t *own;        /* the one tile's bytes when they lie in no directory; the slide's */
    size_t n_own;
} mt_tiff_picture;

typedef struct mt_tiff_slide {
    mt_map map;
    mt_tiff tiff;
    mt_tiff_picture levels[MT_MAX_LEVELS];
    mt_tiff_picture associated[MT_MAX_ASSOCIATED];
    uint8_t *kept[MT_MAX_ASSOCIATED]; /* bytes of pictures taken out of descriptions */
    struct mt_kept *stored;    /* tiles of levels that are shown turned; NULL where none is */
    void *more;                /* of the format; freed with free() when the slide is closed */
    bool missing_from_finer;   /* a tile left out of a coarse level is drawn from the finer one */
} mt_tiff_slide;

/* Takes map and directories out of the probe and makes the slide one of this kind. */
MT_MUST_USE mt_status mt_tiff_slide_begin(mt_tiff_slide **out, mt_slide *s, mt_probe *p,
                                          mt_err *err);

/* A directory as picture. UNSUPPORTED names what this build cannot read, FORMAT what is broken. */
MT_MUST_USE mt_status mt_tiff_picture_make(mt_tiff_picture *out, const mt_tiff *t, int dir,
                                           mt_err *err);

/* Bytes of tile (or strip, or piece of one) i of tiles_x * tiles_y, row by row; size 0 when left
 * out. FORMAT when they do not lie in the file; UNSUPPORTED for a picture that is stored turned or
 * as separate planes, or decoded by libtiff. */
MT_MUST_USE mt_status mt_tiff_picture_span(mt_tile_span *out, const mt_tiff *t,
                                           const mt_tiff_picture *p, uint64_t i, mt_err *err);

/* As above for one of the streams of a tile, however the picture is stored. */
MT_MUST_USE mt_status mt_tiff_picture_stream(mt_tile_span *out, const mt_tiff *t,
                                             const mt_tiff_picture *p, uint64_t i, int stream,
                                             mt_err *err);

/* Sizes and grid as shown: the picture itself unless Orientation lays it on its side. The grid of a
 * turned picture is nominal; its tiles are drawn from several stored ones. */
void mt_tiff_picture_shown(mt_tiff_picture *out, const mt_tiff_picture *p);

/* Where the stored pixel sx, sy of w x h is shown. */
void mt_tiff_turn(int64_t *x, int64_t *y, unsigned turn, int64_t w, int64_t h, int64_t sx,
                  int64_t sy);

/* The turn that undoes one. */
unsigned mt_tiff_turn_back(unsigned turn);

/* For formats that place pictures themselves: a stored tile with the state of a reader (of the ops
 * that mt_tiff_slide_begin gave the slide). White when the file leaves it out. */
MT_MUST_USE mt_status mt_tiff_picture_decode(void *reader, const mt_tiff *t, const mt_tiff_picture *p,
                                             int64_t tx, int64_t ty, uint8_t *rgb, size_t stride,
                                             mt_err *err);

/* Adds a directory as level (any order; mt_tiff_slide_finish sorts) or as associated image. An
 * associated image that cannot be read is left out with a warning, one that has no name or a name
 * already taken without. */
MT_MUST_USE mt_status mt_tiff_slide_add_level(mt_slide *s, int dir, mt_err *err);
void mt_tiff_slide_add_associated(mt_slide *s, int dir, const char *name, size_t n_name);

/* Adds a JPEG that lies in no directory as associated image; the bytes (malloc) are taken over in any
 * case. Left out as above. */
void mt_tiff_slide_add_jpeg(mt_slide *s, uint8_t *jpeg, size_t n, const char *name);

/* The level of this directory is smaller than its tiles: what lies beyond is padding. Before
 * mt_tiff_slide_finish. False when the sizes are none of a part of it. */
bool mt_tiff_slide_crop(mt_slide *s, int dir, int64_t width, int64_t height);

/* Sorts the levels, finest first, and fills what follows from them. FORMAT without a level. */
MT_MUST_USE mt_status mt_tiff_slide_finish(mt_slide *s, mt_err *err);

/* A positive decimal number in text that need not end in NUL; 0 when it is none. Knows no locale.
 */
double mt_tiff_number(const char *text, size_t n);

#endif
