/* 16 lanes, AVX-512. */
#define MT_SIMD_AVX512
#include "kernels/simd.h"

#define ROWS_MAX 12
#include "kernels/f32_dense/simd.inc"
