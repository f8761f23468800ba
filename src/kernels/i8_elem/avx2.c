/* AVX2. */
#define MT_ISA(name) name##__avx2
#include "kernels/i8_elem/impl.inc"
