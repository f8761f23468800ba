#include "base/mem.h"
#include "kernels/u8_od/impl.h"

static const struct {
    int level;
    mt_u8_chroma_fn chroma;
} variants[] = {
#define MT_VARIANT(isa, level) {level, mt_u8_chroma_##isa},
#include "kernels/u8_od/kernels.def"
#undef MT_VARIANT
};

void mt_u8_chroma(const uint8_t *rgb, size_t n, uint8_t *out)
{
    int level = mt_cpu_level();
    size_t v = MT_COUNT(variants) - 1;
    while (v > 0 && variants[v].level > level)
        v--;
    variants[v].chroma(rgb, n, out);
}
