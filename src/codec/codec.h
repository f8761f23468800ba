/* Codecs: compressed bytes of one tile or strip to RGB pixels. One table, one row and one file
 * each.
 *
 * A decoder holds whatever its codecs need between tiles (libjpeg state with its shared tables,
 * scratch memory) and belongs to one thread. What a level says of all its tiles is an mt_coding,
 * immutable and shared. What a decode gives depends on the coding and the bytes alone, never on
 * what the decoder read before. */
#ifndef MT_CODEC_CODEC_H
#define MT_CODEC_CODEC_H

#include "base/mem.h"
#include "base/ycc.h"

typedef enum mt_codec_id {
    MT_CODEC_RAW, MT_CODEC_JPEG, MT_CODEC_JP2K, MT_CODEC_LZW, MT_CODEC_DEFLATE, MT_CODEC_PACKBITS,
    MT_CODEC_ZSTD, MT_CODEC_JPEGLS, MT_CODEC_RLE, /* RLE: DICOM's, PS3.5 G */
    MT_CODEC_COUNT
} mt_codec_id;

/* What the container says the decoded samples mean. */
typedef enum mt_colour {
    MT_COLOUR_GREY, MT_COLOUR_GREY_INVERTED, /* 0 is black; 0 is white */
    MT_COLOUR_RGB, MT_COLOUR_YCBCR,
    MT_COLOUR_PALETTE       /* one sample of 8 bits, a place in `palette` */
} mt_colour;

/* What a second sample beside grey, a fourth beside RGB means; shown over white. */
typedef enum mt_alpha { MT_ALPHA_IGNORED, MT_ALPHA_PREMULTIPLIED, MT_ALPHA_STRAIGHT } mt_alpha;

/* Where the stream speaks for itself (JPEG, JPEG 2000, JPEG-LS), it is believed: its bits, its
 * order of samples, and its colours where it says something of them. */
typedef struct mt_coding {
    mt_codec_id codec;
    mt_colour colour;       /* holds where the stream says nothing of its colours */
    int samples;           /* samples a pixel: 1 or 3; 2 (grey) and 4 (RGB) with alpha, where no
                              stream speaks for itself */
    int bits;              /* allocated to a sample: 8 or 16; 0 = 8. Sixteen become eight by
                              round(v * 255 / (2^stored - 1)) */
    int stored;            /* bits of a sample that hold values, the low ones; 0 = all */
    bool big_endian;       /* raw, LZW, deflate, packbits, zstd: order of 16-bit samples, and of the
                              palette */
    bool planar;           /* all red, then all green, then all blue, in one stream (DICOM native;
                              RLE is always so) */
    bool lsb_first;        /* raw, LZW, deflate, packbits, zstd: the bits of every byte stand lowest
                              first (TIFF FillOrder 2). The old LZW is known by its first bytes. */
    mt_alpha alpha;        /* with 2 or 4 samples */
    int predictor;          /* TIFF: 0, 1 none, 2 horizontal differences of whole samples (not raw) */
    const uint8_t *palette; /* 3 * 256 values of 16 bits, all red first (TIFF ColorMap) */
    /* JPEG: abbreviated table stream all tiles share, or NULL. With tables_are_header it is the
     * whole head of the picture, SOI to SOS with the size of this tile in it, and the data begin
     * with entropy-coded bytes: one restart interval or several, end marker or not. */
    const uint8_t *tables;
    size_t n_tables;
    bool tables_are_header;
} mt_coding;

/* Samples of rows [y, y + n) of a picture as they were compressed, before colours are made of them.
 * Plane i has ceil(w / step_x[i]) samples in each of ceil(n / step_y[i]) rows; y is a multiple of
 * every step. */
typedef struct mt_sample_rows {
    int planes;                 /* 1 grey; 3 RGB or YCbCr (full range BT.601) */
    bool ycbcr;
    int step_x[3], step_y[3];   /* pixels that a sample stands for, from the first on: 1, 2, 4 */
    int shared_x[3], shared_y[3]; /* the same at full size */
    const uint8_t *px[3];
    size_t stride[3];
    int32_t y, n;
} mt_sample_rows;

/* Takes rows [y, y + n) of a picture, n rows of `stride` bytes at rgb, while they are still in cache. */
typedef struct mt_row_sink {
    void (*rows)(void *ctx, const uint8_t *rgb, size_t stride, int32_t y, int32_t n);
    void *ctx;
    /* NULL, or who would rather have the samples: rows are then handed over only for pictures that
     * have none, or none that stand so. */
    void (*samples)(void *ctx, const struct mt_sample_rows *rows);
    /* NULL, or who makes RGB by itself, as libjpeg does: rows [y, y + n) of brightness and colours, each
     * row once, from top to bottom, at full size. Pictures that have none such come as rows. */
    void (*planes)(void *ctx, mt_ycc_kind kind, const mt_ycc_row *rows, int32_t y, int32_t n);
} mt_row_sink;

/* Where the pixels go: h / scale rows (rounded up) of w / scale RGB pixels (rounded up). */
typedef struct mt_pixels {
    uint8_t *rgb;
    size_t stride;          /* bytes from row to row, >= 3 * width in pixels written */
    int32_t w, h;           /* the picture at full size */
    int scale;              /* 1, 2, 4, 8 */
    const mt_row_sink *sink; /* NULL, or who takes the rows: each once, from top to bottom, from
                               somewhere in rgb, which is then scratch. Before an error any number
                               of rows may have been handed over. */
} mt_pixels;

#define MT_CODEC_MAX_SIDE 65500
#define MT_CODEC_MAX_PIXELS ((size_t)1 << 26)
#define MT_CODEC_MAX_TABLES ((size_t)1 << 16)

typedef struct mt_decoder mt_decoder;
MT_MUST_USE mt_status mt_decoder_new(mt_decoder **out, mt_err *err);
void mt_decoder_free(mt_decoder **decoder); /* NULL and pointer to NULL are accepted */

/* Decodes one picture. FORMAT: the bytes are bad, short, or of another size than `out` says.
 * UNSUPPORTED: a kind of picture this codec does not read. LIMIT, NO_MEMORY. The decoder stays
 * usable after any error; the pixels are then undefined. A codec that cannot scale gives ARG for
 * scale > 1. */
MT_MUST_USE mt_status mt_decoder_decode(mt_decoder *decoder, const mt_coding *coding,
                                        const void *data, size_t size, const mt_pixels *out,
                                        mt_err *err);

/* As above for a picture whose samples lie apart, one stream each (TIFF PlanarConfiguration 2);
 * n is coding->samples. UNSUPPORTED for codecs whose streams speak for themselves. */
typedef struct mt_codec_span { const uint8_t *data; size_t size; } mt_codec_span;
MT_MUST_USE mt_status mt_decoder_decode_planes(mt_decoder *decoder, const mt_coding *coding,
                                               const mt_codec_span *planes, int n,
                                               const mt_pixels *out, mt_err *err);

/* How the samples of this picture become RGB, as mt_level.colour wants it: "YCbCr 4:2:0 by JFIF
 * marker", "RGB by Adobe marker", "YCbCr by header", "grey 16 bit / 257". The data may be cut, or
 * NULL: then only the container speaks. `warning` is a sentence where stream and container
 * contradict each other, else "". */
void mt_codec_describe(char words[48], char warning[160], const mt_coding *coding,
                       const void *data, size_t size);

/* What a stream's own header says of size and colours, without decoding it. */
typedef struct mt_stream_head {
    uint32_t w, h;
    unsigned components, bits;
    unsigned sub_h, sub_v;      /* of the first component against the others: 2, 2 is 4:2:0 */
    enum { MT_SAYS_NOTHING, MT_SAYS_RGB, MT_SAYS_YCBCR } says;
    const char *by;             /* "JFIF marker", "Adobe marker", "component names", "MCT" */
} mt_stream_head;

/* False when the data do not hold such a header. JPEG and JPEG 2000 only. */
bool mt_codec_head(mt_stream_head *out, mt_codec_id id, const void *data, size_t size);

/* "jpeg", "jp2k", "lzw", "deflate", "raw", "packbits", "zstd", "jpegls", "rle". */
const char *mt_codec_name(mt_codec_id id);

/* True when the codec reduces by 2, 4, 8 by itself and the result lies exactly on the coarser grid.
 */
bool mt_codec_scales(mt_codec_id id);

/* True when the codec hands rows over as they come; the others do so when all are there. */
bool mt_codec_streams(mt_codec_id id);

/* Codec of a TIFF compression number; false when there is none. */
bool mt_codec_of_tiff(mt_codec_id *id, unsigned compression);

/* True when a stream of this codec says itself how many bits and components it has. */
bool mt_codec_speaks(mt_codec_id id);

/* What a TIFF compression number is called, known to us or not: "LZMA", "old-style JPEG",
 * "unknown". */
const char *mt_tiff_compression_name(unsigned compression);

#endif
