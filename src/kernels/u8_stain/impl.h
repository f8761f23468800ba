/* Inside the family: one function per variant, and the logarithm they share.
 *
 * No product is ever added by a plain addition, so no compiler can fuse what another does not: the
 * fused places are the ones written down. */
#ifndef MT_U8_STAIN_IMPL_H
#define MT_U8_STAIN_IMPL_H

#include "base/cpu.h"
#include "kernels/u8_stain.h"

typedef void (*mt_u8_stain_fn)(const mt_u8_stain_map *map, uint8_t *rgb, size_t n);
#define MT_VARIANT(isa, level)                                                                     \
    void mt_u8_stain_##isa(const mt_u8_stain_map *map, uint8_t *rgb, size_t n);
#include "kernels/u8_stain/kernels.def"
#undef MT_VARIANT

#define MT_STAIN_LEAST 1e-6f /* light below this counts as this much */

/* ln(1 + x) for x in sqrt(1/2)-1 .. sqrt(2)-1 (Cephes logf; relative error below 1e-7). */
#define MT_SQRT_HALF_BITS 0x3f3504f3
#define MT_LOG_P0 7.0376836292e-2f
#define MT_LOG_P1 -1.1514610310e-1f
#define MT_LOG_P2 1.1676998740e-1f
#define MT_LOG_P3 -1.2420140846e-1f
#define MT_LOG_P4 1.4249322787e-1f
#define MT_LOG_P5 -1.6668057665e-1f
#define MT_LOG_P6 2.0000714765e-1f
#define MT_LOG_P7 -2.4999993993e-1f
#define MT_LOG_P8 3.3333331174e-1f

#endif
