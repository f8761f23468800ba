/* Inside the family: one function per variant. */
#ifndef MT_U8_NORM_IMPL_H
#define MT_U8_NORM_IMPL_H

#include "base/cpu.h"
#include "kernels/u8_norm.h"

typedef void (*mt_u8_norm_fn)(const uint8_t *rgb, size_t n, const float scale[3],
                              const float shift[3], float *dst, size_t plane);
#define MT_VARIANT(isa, level)                                                                     \
    void mt_u8_norm_##isa(const uint8_t *rgb, size_t n, const float scale[3],                      \
                          const float shift[3], float *dst, size_t plane);
#include "kernels/u8_norm/kernels.def"
#undef MT_VARIANT

#endif
