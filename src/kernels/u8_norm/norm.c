#include "base/mem.h"
#include "kernels/u8_norm/impl.h"

static const struct {
    int level;
    mt_u8_norm_fn fn;
} variants[] = {
#define MT_VARIANT(isa, level) {level, mt_u8_norm_##isa},
#include "kernels/u8_norm/kernels.def"
#undef MT_VARIANT
};

void mt_u8_norm(const uint8_t *rgb, size_t n, const float scale[3], const float shift[3],
                float *dst, size_t plane)
{
    int level = mt_cpu_level();
    size_t v = MT_COUNT(variants) - 1;
    while (v > 0 && variants[v].level > level)
        v--;
    variants[v].fn(rgb, n, scale, shift, dst, plane);
}
