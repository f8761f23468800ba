/* Inside the slide room: the format table, and what an open slide is made of.
 *
 * A format is a row: how its bytes are known, how it is opened. Opening fills the info and hands
 * over one set of operations; everything common (regions, pools, spacing) is built on those in
 * format.c. */
#ifndef MT_SLIDE_FORMAT_H
#define MT_SLIDE_FORMAT_H

#include "base/file.h"
#include "slide/companions.h"
#include "slide/slide.h"
#include "slide/tiff/tiff.h"

typedef struct mt_slide_ops {
    /* NULL: no native tiles. */
    mt_status (*span)(mt_tile_span *out, const mt_slide *s, int level, int64_t tx, int64_t ty,
                      mt_err *err);
    /* State of one reader. */
    mt_status (*reader_open)(void **state, const mt_slide *s, mt_err *err);
    void (*reader_close)(void *state);
    /* Level, tile and scale are checked by the caller. */
    mt_status (*decode)(void *state, const mt_slide *s, int level, int64_t tx, int64_t ty,
                        int scale, uint8_t *rgb, size_t stride, mt_err *err);
    /* Associated image i of the info into w x h x 3 bytes. */
    mt_status (*associated)(uint8_t *rgb, const mt_slide *s, int i, mt_err *err);
    int (*max_reduce)(const mt_slide *s, int level);
    mt_status (*check)(const mt_slide *s, mt_err *err);
    void (*close)(mt_slide *s);
    /* As decode, row by row (mt_tile_reader_decode_rows); NULL: whole tiles are handed over. */
    mt_status (*decode_rows)(void *state, const mt_slide *s, int level, int64_t tx, int64_t ty,
                             int scale, uint8_t *rgb, size_t stride,
                             const struct mt_row_sink *sink, mt_err *err);
} mt_slide_ops;

struct mt_slide {
    mt_slide_info info;
    char *path;
    mt_file_list files;          /* all of them, when there is more than the path */
    const mt_slide_ops *ops;
    void *impl;                       /* of the format */
    struct mt_reader_pool *pool;      /* idle readers for regions; its own lock */
    bool no_slide;                    /* set by an open that fails: the file was understood, and no
                                         other reader's opinion is wanted */
};

/* What detection sees: the file mapped and, when it is a TIFF, parsed. A format that opens a slide
 * takes what it keeps and leaves the rest zeroed. */
typedef struct mt_probe {
    const char *path;
    const mt_slide_opts *opts;        /* or NULL */
    mt_map map;
    bool is_folder;                   /* nothing is mapped then */
    bool is_tiff;                     /* begins like one */
    mt_tiff tiff;                     /* n_dirs 0 when it would not parse */
    mt_err tiff_err;
} mt_probe;

typedef struct mt_format {
    mt_format_info info;
    bool (*detect)(const mt_probe *p);
    mt_status (*open)(mt_slide *s, mt_probe *p, mt_err *err);
} mt_format;

extern const mt_format mt_format_png, mt_format_jpeg, mt_format_svs, mt_format_ndpi, mt_format_ome, mt_format_philips,
    mt_format_qptiff, mt_format_scn, mt_format_bif, mt_format_generic_tiff, mt_format_openslide, mt_format_dicom;

/* mt_slide_open with a table of one's own. When its last row is OpenSlide's, that one is asked for
 * TIFF files whose own row refuses them. */
MT_MUST_USE mt_status mt_slide_open_with(mt_slide **out, const char *path, const mt_slide_opts *opts,
                                         const mt_format *const *table, size_t n, mt_err *err);

/* A sentence for the user about what the file says wrongly; past the last place it is dropped. */
void mt_slide_warn(mt_slide_info *info, const char *fmt, ...) MT_PRINTF(2, 3);

/* The same about an image beside the slide that is there and cannot be read. */
void mt_slide_warn_associated(mt_slide_info *info, const char *name, const mt_err *why);

/* False when b cannot be a reduced a: a map, a second region. Rounding may take a pixel of either side. */
bool mt_slide_same_proportions(int64_t a_w, int64_t a_h, int64_t b_w, int64_t b_h);

/* The largest of 8, 4, 2 that divides both sides of a tile; 1 when none does. */
static inline int mt_slide_reduce_of(int32_t tile_w, int32_t tile_h)
{
    int d = 8;
    while (tile_w % d || tile_h % d) d /= 2;
    return d;
}

/* Pixels of a side decoded at 1 / scale. */
static inline int32_t mt_slide_reduced(int32_t side, int scale) { return (side + scale - 1) / scale; }

/* Downsamples and tile grids of levels whose sizes and tile sizes are set. */
void mt_slide_finish_levels(mt_slide_info *info);

#endif
