/* 8 lanes, AVX2 + FMA. */
#define MT_SIMD_AVX2
#include "kernels/simd.h"

#define ROWS_MAX 6
#include "kernels/f32_dense/simd.inc"
