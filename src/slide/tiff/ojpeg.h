/* Old-style JPEG (TIFF compression 6, withdrawn in 1995): left to libtiff, which knows the ways of
 * its writers. A reader owns a handle; handles share nothing. */
#ifndef MT_SLIDE_OJPEG_H
#define MT_SLIDE_OJPEG_H

#include "slide/tiff/tiff_slide.h"

typedef struct mt_ojpeg mt_ojpeg;
void mt_ojpeg_close(mt_ojpeg **o);

/* Decodes tile (or strip) tx, ty of the picture, stored way up, at full size. *o is opened at the
 * first call and kept. FORMAT when libtiff cannot. */
MT_MUST_USE mt_status mt_ojpeg_decode(mt_ojpeg **o, const mt_tiff *t, const mt_tiff_picture *p,
                                      int64_t tx, int64_t ty, uint8_t *rgb, size_t stride,
                                      mt_err *err);

#endif
