/* Rows of a JPEG picture to RGB8, bit for bit what libjpeg gives: its "fancy" (triangle) upsampling of
 * the colours and its conversion, in one step and for any stretch of a row, so that a pixel is
 * stored once, where it is wanted. */
#ifndef MT_KERNELS_U8_YCC_H
#define MT_KERNELS_U8_YCC_H

#include "base/ycc.h"

/* Pixels [x0, x0 + n) of a row to 3 * n bytes at rgb; not a byte beyond is written. */
typedef void mt_u8_ycc_fn(uint8_t *rgb, const mt_ycc_row *row, int32_t x0, int32_t n);

/* The variant for this machine. Looking for it costs more than a row: ask once a pass. */
mt_u8_ycc_fn *mt_u8_ycc(mt_ycc_kind kind);

#endif
