/* How much a pixel is stained: two byte measures over RGB8, the raw material of the tissue mask. */
#ifndef MT_KERNELS_U8_OD_H
#define MT_KERNELS_U8_OD_H

#include <stddef.h>
#include <stdint.h>

/* out[i] = max(r,g,b) - min(r,g,b): the colour of pixel i, 0 for any grey. rgb and out may not
 * overlap. */
void mt_u8_chroma(const uint8_t *rgb, size_t n, uint8_t *out);

/* out[i] = mean optical density of the three channels against white 255, 200 steps a unit,
 * saturated: min(255, round(200 * (od(r) + od(g) + od(b)) / 3)), od(v) = -log10(max(v, 1) / 255).
 * So white is 0, grey 128 is 60, and 255 stands for a mean density of 1.275 and above. In fixed
 * point from a table of constants: the same bytes everywhere. */
void mt_u8_od(const uint8_t *rgb, size_t n, uint8_t *out);
#define MT_U8_OD_UNIT 200.0

#endif
