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

typedef enum mt_codec_id {
    MT_CODEC_RAW, MT_CODEC_JPEG, MT_CODEC_JP2K, MT_CODEC_LZW, MT_CODEC_DEFLATE, MT_CODEC_PACKBITS,
    MT_CODEC_ZSTD, MT_CODEC_JPEGLS, MT_CODEC_RLE, /* RLE: DICOM's, PS3.5 G */
    MT_CODEC_COUNT
} mt_codec_id;

/* What the container says the decoded samples mean. */
typedef enum mt_colour {
    MT_COLOUR_GREY, MT_COLOUR_GREY_INVERTED, /* 0 is black; 0 is white */
    MT_COLOUR_RGB, MT_COLOUR_YCBCR
} mt_colour;

/* What a fourth sample beside RGB means; shown over white. */
typedef enum mt_alpha { MT_ALPHA_IGNORED, MT_ALPHA_PREMULTIPLIED, MT_ALPHA_STRAIGHT } mt_alpha;

typedef struct mt_coding {
    mt_codec_id codec;
    mt_colour colour;       /* JPEG: holds where the stream has neither JFIF nor Adobe marker */
    int samples;           /* samples a pixel: 1, 3, or 4 (RGB, no JPEG) */
    int bits;              /* allocated to a sample: 8 or 16; 0 = 8. Sixteen become eight by
                              round(v * 255 / (2^stored - 1)) */
    int stored;            /* bits of a sample that hold values, the low ones; 0 = all */
    bool big_endian;       /* raw, LZW, deflate, packbits, zstd: order of 16-bit samples */
    bool planar;           /* all red, then all green, then all blue, in one stream (DICOM native, RLE) */
    bool lsb_first;        /* LZW: codes packed from the lowest bit (TIFF FillOrder 2, old LZW) */
    mt_alpha alpha;        /* with 4 samples */
    int predictor;          /* TIFF: 1 none, 2 horizontal differences (LZW, deflate) */
    const uint8_t *tables;  /* JPEG: abbreviated table stream all tiles share, or NULL */
    size_t n_tables;
} mt_coding;

/* Where the pixels go: h / scale rows (rounded up) of w / scale RGB pixels (rounded up). */
typedef struct mt_pixels {
    uint8_t *rgb;
    size_t stride;          /* bytes from row to row, >= 3 * width in pixels written */
    int32_t w, h;           /* the picture at full size */
    int scale;              /* 1, 2, 4, 8 */
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

/* "jpeg", "jp2k", "lzw", "deflate", "raw". */
const char *mt_codec_name(mt_codec_id id);

/* True when the codec reduces by 2, 4, 8 by itself and the result lies exactly on the coarser grid.
 */
bool mt_codec_scales(mt_codec_id id);

/* Codec of a TIFF compression number; false when there is none. */
bool mt_codec_of_tiff(mt_codec_id *id, unsigned compression);

/* What a TIFF compression number is called, known to us or not: "LZMA", "old-style JPEG",
 * "unknown". */
const char *mt_tiff_compression_name(unsigned compression);

#endif
