/* Pictures of one file as slides of one level: what picture.c needs of a kind of file. */
#ifndef MT_SLIDE_PICTURE_H
#define MT_SLIDE_PICTURE_H

#include "codec/codec.h"
#include "slide/format.h"

typedef struct mt_picture_facts {
    int64_t width, height;     /* as stored */
    unsigned turn;             /* Orientation 1..8 (TIFF 6.0, tag 274) */
    double mpp_x, mpp_y;       /* as stored, by the file's own density; 0 when it has none */
    const char *mpp_source;
    int icc_bytes;
    char colour[48];
    int channels;              /* components the decoder must be asked for */
} mt_picture_facts;

/* Reads what stands before the pixels. FORMAT, UNSUPPORTED, LIMIT. */
MT_MUST_USE mt_status mt_png_facts(mt_picture_facts *out, const uint8_t *data, size_t size,
                                   mt_err *err);

/* Decodes all of it: width * height RGB pixels, tightly packed. */
MT_MUST_USE mt_status mt_png_decode(uint8_t *rgb, const mt_picture_facts *facts,
                                    const uint8_t *data, size_t size, mt_err *err);

#endif
