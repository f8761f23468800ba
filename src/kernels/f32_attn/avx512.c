/* 16 lanes, AVX-512. */
#define MT_SIMD_AVX512
#include "kernels/simd.h"

#include "kernels/f32_attn/simd.inc"
