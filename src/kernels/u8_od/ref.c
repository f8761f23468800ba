#include "base/mem.h"
#include "kernels/u8_od/impl.h"
#include "kernels/u8_od/table.h"

void mt_u8_chroma_ref(const uint8_t *rgb, size_t n, uint8_t *out)
{
    for (size_t i = 0; i < n; i++, rgb += 3) {
        uint8_t high = MT_MAX(MT_MAX(rgb[0], rgb[1]), rgb[2]),
                low = MT_MIN(MT_MIN(rgb[0], rgb[1]), rgb[2]);
        out[i] = (uint8_t)(high - low);
    }
}

void mt_u8_od(const uint8_t *rgb, size_t n, uint8_t *out)
{
    for (size_t i = 0; i < n; i++, rgb += 3) {
        unsigned sum = (unsigned)od_table[rgb[0]] + od_table[rgb[1]] + od_table[rgb[2]];
        out[i] = (uint8_t)MT_MIN((sum + 8) >> 4, 255u);
    }
}
