/* A row of a picture as JPEG keeps it: brightness at every pixel, colours at every pixel or every
 * second. The codec hands such rows over, a kernel makes RGB of any stretch of one. */
#ifndef MT_BASE_YCC_H
#define MT_BASE_YCC_H

#include <stdint.h>

typedef enum mt_ycc_kind {
    MT_YCC_444, /* a colour sample a pixel */
    MT_YCC_422, /* one for two pixels of a row */
    MT_YCC_420  /* one for two by two pixels */
} mt_ycc_kind;

/* Sample i of a row of colours stands between the pixels 2i and 2i + 1 (4:4:4: at pixel i). Before its
 * first sample stands that sample once more, after its last one the last once more, and every row
 * may be read MT_YCC_OVER bytes past its last sample. */
enum { MT_YCC_OVER = 64 };
typedef struct mt_ycc_row {
    const uint8_t *y;
    const uint8_t *cb[2], *cr[2]; /* the nearest row of colours; 4:2:0: and the nearest but one */
} mt_ycc_row;

#endif
