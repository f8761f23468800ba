/* RGB8 to the network's input: planar float, scaled and shifted, in one sweep. */
#ifndef MT_KERNELS_U8_NORM_H
#define MT_KERNELS_U8_NORM_H

#include <stddef.h>
#include <stdint.h>

/* dst[c * plane + i] = fma(rgb[3 i + c], scale[c], shift[c]) for i < n, c < 3: one rounding, the
 * same bits on every instruction set. For x = (px / 255 - mean) / std give scale = 1 / (255 std),
 * shift = -mean / std. plane >= n is the distance between the planes in floats; any alignment.
 * Writes exactly n floats a plane. */
void mt_u8_norm(const uint8_t *rgb, size_t n, const float scale[3], const float shift[3],
                float *dst, size_t plane);

#endif
