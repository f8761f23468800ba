/* AVX2: eight pixels a step. */
#include <immintrin.h>
#include "kernels/u8_norm/impl.h"

/* Bytes of channel c from 12-byte quarters (four pixels), as int32. */
#define PICK(c) c, -1, -1, -1, c + 3, -1, -1, -1, c + 6, -1, -1, -1, c + 9, -1, -1, -1

void mt_u8_norm_avx2(const uint8_t *rgb, size_t n, const float scale[3], const float shift[3],
                     float *dst, size_t plane)
{
    const __m256i pick[3] = {_mm256_setr_epi8(PICK(0), PICK(0)), _mm256_setr_epi8(PICK(1), PICK(1)),
                             _mm256_setr_epi8(PICK(2), PICK(2))};
    __m256 mul[3], add[3];
    for (int c = 0; c < 3; c++) {
        mul[c] = _mm256_set1_ps(scale[c]);
        add[c] = _mm256_set1_ps(shift[c]);
    }
    size_t i = 0;
    for (; i + 10 <= n; i += 8) { /* the second load ends 28 bytes on: ten pixels must be there */
        const uint8_t *p = rgb + 3 * i;
        __m256i px =
            _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const void *)p)),
                                    _mm_loadu_si128((const void *)(p + 12)), 1);
        for (size_t c = 0; c < 3; c++) {
            __m256 v = _mm256_cvtepi32_ps(_mm256_shuffle_epi8(px, pick[c]));
            _mm256_storeu_ps(dst + c * plane + i, _mm256_fmadd_ps(v, mul[c], add[c]));
        }
    }
    for (; i < n; i++)
        for (size_t c = 0; c < 3; c++)
            dst[c * plane + i] = __builtin_fmaf((float)rgb[3 * i + c], scale[c], shift[c]);
}
