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
    mt_status (*decode)(void *state, const mt_coding *coding, const uint8_t *data, size_t size,
                        const mt_pixels *out, mt_err *err);
} mt_codec_row;

extern const mt_codec_row mt_codec_raw, mt_codec_jpeg, mt_codec_jp2k, mt_codec_lzw,
    mt_codec_deflate;

/* Scratch that grows and is kept. */
typedef struct mt_scratch { uint8_t *p; size_t cap; } mt_scratch;
mt_status mt_scratch_need(mt_scratch *s, size_t bytes, mt_err *err);

/* Samples of whole rows, tightly packed, to RGB: predictor undone in place, then spread. */
mt_status mt_samples_to_rgb(uint8_t *samples, const mt_coding *coding, const mt_pixels *out,
                            mt_err *err);

/* As above for samples that must not be written (a map) and have no predictor. */
void mt_samples_copy(const uint8_t *samples, const mt_coding *coding, const mt_pixels *out);

/* One pixel of full-range BT.601 YCbCr, the arithmetic of libjpeg. */
void mt_ycc_to_rgb(uint8_t rgb[3], int y, int cb, int cr);

#endif
