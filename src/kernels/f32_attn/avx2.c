/* 8 lanes, AVX2 + FMA. */
#define MT_SIMD_AVX2
#include "kernels/simd.h"

#include "kernels/f32_attn/simd.inc"
