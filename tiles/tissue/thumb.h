/* The whole slide as one small picture. */
#ifndef MT_TILES_THUMB_H
#define MT_TILES_THUMB_H

#include "microtome/slide.h"

/* Level 0 shrunk to w x h pixels (rgb: w * h * 3 bytes), its shape stretched where it is
 * another: averaged to about twice that size, then antialiased bilinear. The same for any number
 * of threads. */
MT_MUST_USE mt_status thumb_make(uint8_t *rgb, int32_t w, int32_t h, const mt_slide *slide,
                                 int threads, mt_err *err);

#endif
