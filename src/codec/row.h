/* Inside the codec room: what a row of the table is, and helpers that rows share. */
#ifndef MT_CODEC_ROW_H
#define MT_CODEC_ROW_H

#include "codec/codec.h"

typedef struct mt_codec_row {
    const char *name;
    bool scales;
    /* Private state of one decoder, made at first use; may be NULL when the codec keeps none. */
    mt_status (*open)(void **state, mt_err *err);
    void (*close)(void *state);
    /* A row has one of the two or both. A whole picture by itself; preferred where it exists. */
    mt_status (*decode)(void *state, const mt_coding *coding, const uint8_t *data, size_t size,
                        const mt_pixels *out, mt_err *err);
    /* Exactly `want` bytes of samples as they were before compression; what they mean is not its
     * business. */
    mt_status (*unpack)(void *state, uint8_t *samples, size_t want, const uint8_t *data,
                        size_t size, mt_err *err);
} mt_codec_row;

extern const mt_codec_row mt_codec_raw, mt_codec_jpeg, mt_codec_jp2k, mt_codec_lzw,
    mt_codec_deflate, mt_codec_packbits, mt_codec_zstd, mt_codec_jpegls, mt_codec_rle;

/* Scratch that grows and is kept. */
typedef struct mt_scratch { uint8_t *p; size_t cap; } mt_scratch;
mt_status mt_scratch_need(mt_scratch *s, size_t bytes, mt_err *err);

/* Bytes of a whole picture's samples, tightly packed. */
size_t mt_samples_bytes(const mt_coding *coding, const mt_pixels *out);

/* Samples of whole rows, tightly packed, to RGB: predictor undone in place, then spread. */
mt_status mt_samples_to_rgb(uint8_t *samples, const mt_coding *coding, const mt_pixels *out,
                            mt_err *err);

/* As above for samples that must not be written (a map) and have no predictor. */
void mt_samples_copy(const uint8_t *samples, const mt_coding *coding, const mt_pixels *out);

/* A sample of 0..max (2^n - 1, n <= 16) as one of 0..255: round(v * 255 / max). */
static inline uint8_t mt_sample_narrow(unsigned v, unsigned max)
{
    return (uint8_t)((v * 510u + max) / (2u * max));
}

/* One pixel of full-range BT.601 YCbCr, the arithmetic of libjpeg. */
void mt_ycc_to_rgb(uint8_t rgb[3], int y, int cb, int cr);

/* Runs of bytes (PackBits; PS3.5 G.3.1): fills to[0], to[step], ... `want` of them, returns how
 * many there were. */
size_t mt_packbits_unpack(uint8_t *to, size_t step, size_t want, const uint8_t *data, size_t size);

/* mt_codec_head for each of the two. */
bool mt_jpeg_head(mt_stream_head *out, const uint8_t *data, size_t size);
bool mt_jp2k_head(mt_stream_head *out, const uint8_t *data, size_t size);

#endif
