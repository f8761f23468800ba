#include "base/mem.h"
#include "kernels/u8_stain/impl.h"

static const struct {
    int level;
    mt_u8_stain_fn fn;
} variants[] = {
#define MT_VARIANT(isa, level) {level, mt_u8_stain_##isa},
#include "kernels/u8_stain/kernels.def"
#undef MT_VARIANT
};

void mt_u8_stain(const mt_u8_stain_map *map, uint8_t *rgb, size_t n)
{
    int level = mt_cpu_level();
    size_t v = MT_COUNT(variants) - 1;
    while (v > 0 && variants[v].level > level)
        v--;
    variants[v].fn(map, rgb, n);
}
