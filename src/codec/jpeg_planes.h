/* A JPEG's brightness and colours row by row, as they lie in its blocks, for sinks that make RGB of them
 * where it is wanted. */
#ifndef MT_CODEC_JPEG_PLANES_H
#define MT_CODEC_JPEG_PLANES_H

#include <stdio.h>
#include <jpeglib.h>
#include "codec/row.h"

/* True when the picture, its header read and its colours chosen, can be handed over so: YCbCr at full
 * size with 4:4:4, 4:2:2 or 4:2:0, and wide enough that libjpeg would filter the colours. */
bool mt_jpeg_has_planes(mt_ycc_kind *kind, const struct jpeg_decompress_struct *d, const mt_pixels *out);

/* Instead of jpeg_start_decompress and jpeg_read_scanlines. libjpeg's own errors leave by its error_exit. */
mt_status mt_jpeg_read_planes(struct jpeg_decompress_struct *d, mt_scratch *room, mt_ycc_kind kind,
                              const mt_pixels *out, mt_err *err);

#endif
