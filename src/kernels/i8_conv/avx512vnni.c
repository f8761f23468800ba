/* 16 lanes, dot products of four bytes. */
#define MT_SIMD_AVX512
#define MT_SIMD_VNNI
#include "kernels/simd.h"

#undef MT_ISA
#define MT_ISA(name) name##__vnni
#define MT_TILE_Q 4
#include "kernels/i8_conv/simd.inc"
