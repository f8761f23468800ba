/* AVX2: eight pixels a step; the channels of a pixel meet in the first byte of its dword. */
#include <immintrin.h>
#include "base/mem.h"
#include "kernels/u8_od/impl.h"

void mt_u8_chroma_avx2(const uint8_t *rgb, size_t n, uint8_t *out)
{
    const __m256i wide = _mm256_setr_epi8(0, 1, 2, 0, 3, 4, 5, 3, 6, 7, 8, 6, 9, 10, 11, 9, 0, 1, 2,
                                          0, 3, 4, 5, 3, 6, 7, 8, 6, 9, 10, 11, 9);
    const __m256i first =
        _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 4, 8, 12,
                         -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
    size_t i = 0;
    for (; i + 10 <= n; i += 8) { /* the second load ends 28 bytes on: ten pixels must be there */
        const uint8_t *p = rgb + 3 * i;
        __m256i a =
            _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const void *)p)),
                                    _mm_loadu_si128((const void *)(p + 12)), 1);
        a = _mm256_shuffle_epi8(a, wide); /* r g b r */
        __m256i g = _mm256_srli_epi32(a, 8), b = _mm256_srli_epi32(a, 16);
        __m256i high = _mm256_max_epu8(_mm256_max_epu8(a, g), b),
                low = _mm256_min_epu8(_mm256_min_epu8(a, g), b);
        __m256i d = _mm256_shuffle_epi8(_mm256_sub_epi8(high, low), first);
        uint32_t quad[2] = {(uint32_t)_mm256_cvtsi256_si32(d),
                            (uint32_t)_mm_cvtsi128_si32(_mm256_extracti128_si256(d, 1))};
        __builtin_memcpy(out + i, quad, sizeof quad);
    }
    mt_u8_chroma_ref(rgb + 3 * i, n - i, out + i);
}
