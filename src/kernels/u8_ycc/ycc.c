#include "base/mem.h"
#include "kernels/u8_ycc/impl.h"

static const struct {
    int level;
    mt_u8_ycc_fn *fn[3];
} variants[] = {
#define MT_VARIANT(isa, level)                                                                     \
    {level, {[MT_YCC_444] = mt_u8_ycc444_##isa,                                                    \
             [MT_YCC_422] = mt_u8_ycc422_##isa,                                                    \
             [MT_YCC_420] = mt_u8_ycc420_##isa}},
#include "kernels/u8_ycc/kernels.def"
#undef MT_VARIANT
};

mt_u8_ycc_fn *mt_u8_ycc(mt_ycc_kind kind)
{
    const int level = mt_cpu_level();
    size_t v = MT_COUNT(variants) - 1;
    while (v > 0 && variants[v].level > level)
        v--;
    return variants[v].fn[kind];
}
