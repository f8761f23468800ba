/* Element-wise 8-bit kernels, the specification. */
#define MT_ISA(name) name##__ref
#include "kernels/i8_elem/impl.inc"

void mt_i8_map__ref(const uint8_t *table, uint8_t *dst, const uint8_t *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = table[x[i]];
}
