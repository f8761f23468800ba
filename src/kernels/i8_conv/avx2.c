/* 8 lanes, bytes widened to 16 bits. */
#define MT_SIMD_AVX2
#include "kernels/simd.h"

#define MT_TILE_Q 1
#include "kernels/i8_conv/simd.inc"
