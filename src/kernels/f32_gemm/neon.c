/* 8 lanes in two registers, NEON. */
#define MT_SIMD_NEON
#include "kernels/simd.h"

#include "kernels/f32_gemm/simd.inc"
