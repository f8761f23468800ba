/* Pixels to bytes: JPEG and PNG. Output is appended to an mt_buf, whose ceiling is the caller's.
 *
 * The bytes depend on pixels and options only (no time, no comment), so a rerun gives the same file. */
#ifndef MT_CODEC_ENCODE_H
#define MT_CODEC_ENCODE_H

#include "base/buf.h"

typedef struct mt_jpeg_encoder mt_jpeg_encoder;

typedef struct mt_jpeg_enc_opts {
    int version;     /* 1 */
    int quality;     /* 1..100, libjpeg's scale */
    int subsampling; /* 444, 422 or 420 */
    bool rgb;        /* store R,G,B without colour transform, component ids 0,1,2, no JFIF and no Adobe
                        marker: what Aperio scanners write. Implies 444. */
    bool abbreviated; /* leave the tables out of every image (TIFF tiles with shared JPEGTables); no JFIF marker */
} mt_jpeg_enc_opts;
#define MT_JPEG_ENC_OPTS_INIT {1, 80, 420, false, false}

/* A reusable encoder: holds libjpeg's state, belongs to one thread at a time. ARG when an option is out
 * of range, NO_MEMORY. *out is the caller's (mt_jpeg_encoder_free). */
MT_MUST_USE mt_status mt_jpeg_encoder_new(mt_jpeg_encoder **out, const mt_jpeg_enc_opts *opts, mt_err *err);
/* Frees and nulls; NULL is accepted; usable with MT_AUTO. */
void mt_jpeg_encoder_free(mt_jpeg_encoder **enc);

/* Appends one image (w x h RGB pixels, 1..65535, rows `stride` bytes apart) to out. After a failure out
 * has its old length (unless it is itself failed) and the encoder stays usable. LIMIT when out is full. */
MT_MUST_USE mt_status mt_jpeg_encoder_encode(mt_jpeg_encoder *enc, mt_buf *out, const uint8_t *rgb,
                                             size_t stride, int w, int h, mt_err *err);

/* Appends the tables-only stream (SOI, DQT, DHT, EOI) for TIFF tag 347 that goes with this encoder's
 * abbreviated images. */
MT_MUST_USE mt_status mt_jpeg_encoder_tables(mt_jpeg_encoder *enc, mt_buf *out, mt_err *err);

/* One complete JFIF picture (a .jpg file), quality 1..100, subsampling 444, 422 or 420. */
MT_MUST_USE mt_status mt_jpeg_encode(mt_buf *out, const uint8_t *rgb, size_t stride, int w, int h,
                                     int quality, int subsampling, mt_err *err);

/* One PNG file: 8 bit, channels 1 (grey), 3 (RGB) or 4 (RGBA); 1 <= w, h <= 1,000,000. */
MT_MUST_USE mt_status mt_png_encode(mt_buf *out, const uint8_t *px, size_t stride, int w, int h,
                                    int channels, mt_err *err);

#endif
