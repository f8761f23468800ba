/* Inside the family: the variants, and libjpeg's arithmetic, 16 fractional bits. */
#ifndef MT_U8_YCC_IMPL_H
#define MT_U8_YCC_IMPL_H

#include "base/cpu.h"
#include "kernels/u8_ycc.h"

#define MT_VARIANT(isa, level)                                                                     \
    mt_u8_ycc_fn mt_u8_ycc444_##isa, mt_u8_ycc422_##isa, mt_u8_ycc420_##isa;
#include "kernels/u8_ycc/kernels.def"
#undef MT_VARIANT

enum {
    MT_YCC_R_CR = 91881,   /* 1.402 */
    MT_YCC_B_CB = 116130,  /* 1.772 */
    MT_YCC_G_CB = -22554,  /* -0.34414 */
    MT_YCC_G_CR = -46802,  /* -0.71414 */
    MT_YCC_HALF = 1 << 15
};

#endif
