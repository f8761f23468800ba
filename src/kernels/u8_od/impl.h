/* Inside the family. The density is a table look-up, for which bytes in a row are the fastest there
 * is. */
#ifndef MT_U8_OD_IMPL_H
#define MT_U8_OD_IMPL_H

#include "base/cpu.h"
#include "kernels/u8_od.h"

typedef void (*mt_u8_chroma_fn)(const uint8_t *rgb, size_t n, uint8_t *out);
#define MT_VARIANT(isa, level) void mt_u8_chroma_##isa(const uint8_t *rgb, size_t n, uint8_t *out);
#include "kernels/u8_od/kernels.def"
#undef MT_VARIANT

#endif
