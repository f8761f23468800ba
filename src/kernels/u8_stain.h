/* Colour maps that are linear in the logarithm of light: stain normalisation and deconvolution. */
#ifndef MT_KERNELS_U8_STAIN_H
#define MT_KERNELS_U8_STAIN_H

#include <stddef.h>
#include <stdint.h>

/* For a pixel p (three bytes), all matrices row by row:
 *   v = in * (p + 1)            light seen by three receptors, every row of `in` >= 0 and not zero
 *   y = mid * ln(v) + shift
 *   p' = out * exp(y) - 1       clipped to 0..255, rounded to the nearest, halves to even
 * Optical density, its mixing by a matrix and the way back are such a map (in and out diagonal),
 * and so is Reinhard's statistics transfer in l-alpha-beta (in and out the cone matrices). */
typedef struct mt_u8_stain_map {
    float in[9], mid[9], shift[3], out[9];
} mt_u8_stain_map;

/* Maps n RGB pixels in place. Any alignment; not a byte beyond 3 n is touched. Every variant rounds
 * at the same places: the same bytes on every instruction set. */
void mt_u8_stain(const mt_u8_stain_map *map, uint8_t *rgb, size_t n);

#endif
