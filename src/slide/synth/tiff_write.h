/* Streaming TIFF writer: compressed tiles or strips in, a whole file or nothing out.
 *
 * Tiles go to the file in the order they are put; the directories follow at the end, in the order the
 * images were declared. Classic TIFF while everything fits below 4 GiB, BigTIFF beyond (both little
 * endian). Memory: 16 bytes a tile. The writer knows no codec: it stores the bytes it is given. */
#ifndef MT_SLIDE_TIFF_WRITE_H
#define MT_SLIDE_TIFF_WRITE_H

#include "base/buf.h"

typedef struct mt_tiff_writer mt_tiff_writer;

enum { MT_TIFF_RAW = 1, MT_TIFF_LZW = 5, MT_TIFF_JPEG = 7, MT_TIFF_DEFLATE = 8 };
enum { MT_TIFF_WHITE_IS_0 = 0, MT_TIFF_BLACK_IS_0 = 1, MT_TIFF_RGB = 2, MT_TIFF_YCBCR = 6 };

typedef struct mt_tiff_image {
    int version;               /* 1 */
    int64_t width, height;     /* pixels, 1 .. 2^31-1 */
    int32_t tile_w, tile_h;    /* multiples of 16; 0: strips */
    int32_t rows_per_strip;    /* with strips; 0 = one strip */
    int compression;           /* MT_TIFF_RAW ... */
    int photometric;           /* MT_TIFF_RGB ... */
    int samples, bits;         /* per pixel (1..4), per sample (8, 16, 32) */
    int sample_format;         /* 1 unsigned, 3 float */
    int alpha;                 /* last sample: 0 none, 1 premultiplied, 2 plain alpha */
    int predictor;             /* 1 none, 2 horizontal differences (the caller's bytes already have them) */
    int sub_h, sub_v;          /* chroma subsampling as JPEG stores it; written with MT_TIFF_YCBCR */
    uint32_t subfile;          /* NewSubfileType: 1 = reduced copy of the first image */
    const char *description, *software; /* copied; NULL = no tag */
    const void *jpeg_tables;   /* copied; NULL = no tag */
    size_t n_jpeg_tables;
    double px_per_cm_x, px_per_cm_y; /* 0 = no resolution tags */
} mt_tiff_image;
#define MT_TIFF_IMAGE_INIT {.version = 1, .compression = MT_TIFF_RAW, .photometric = MT_TIFF_RGB, \
    .samples = 3, .bits = 8, .sample_format = 1, .predictor = 1, .sub_h = 1, .sub_v = 1}

/* Starts a file beside `path`. always_big forces BigTIFF whatever the size. *out is the caller's:
 * mt_tiff_writer_close publishes the file, mt_tiff_writer_discard throws it away (usable with MT_AUTO,
 * harmless after close). Not thread-safe. */
MT_MUST_USE mt_status mt_tiff_writer_open(mt_tiff_writer **out, const char *path, bool always_big, mt_err *err);
/* Declares an image; *index names it in later calls. At most 64 images. */
MT_MUST_USE mt_status mt_tiff_writer_image(int *index, mt_tiff_writer *w, const mt_tiff_image *image, mt_err *err);
/* Stores tile (or strip) number k of an image, row-major, once. Tiles that are never put stay sparse. */
MT_MUST_USE mt_status mt_tiff_writer_put(mt_tiff_writer *w, int image, uint64_t k, const void *data, size_t n, mt_err *err);
/* Bytes written so far. */
uint64_t mt_tiff_writer_size(const mt_tiff_writer *w);
/* Directories, header, flush, rename. The writer is gone afterwards, also on failure. */
MT_MUST_USE mt_status mt_tiff_writer_close(mt_tiff_writer **w, mt_err *err);
void mt_tiff_writer_discard(mt_tiff_writer **w);

/* TIFF's LZW (most significant bit first) of n bytes, appended to out. */
void mt_tiff_lzw(mt_buf *out, const uint8_t *data, size_t n);

#endif
