/* 16 lanes, bytes widened to 16 bits. */
#define MT_SIMD_AVX512
#include "kernels/simd.h"

#define MT_TILE_Q 2
#include "kernels/i8_conv/simd.inc"
