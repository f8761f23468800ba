/* AVX-512. */
#define MT_ISA(name) name##__avx512
#include "kernels/i8_elem/impl.inc"
