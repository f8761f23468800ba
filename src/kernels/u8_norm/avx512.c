/* AVX-512: sixteen pixels a step. */
#include <immintrin.h>
#include "kernels/u8_norm/impl.h"

void mt_u8_norm_avx512(const uint8_t *rgb, size_t n, const float scale[3], const float shift[3],
                       float *dst, size_t plane)
{
    __m512i pick[3];
    __m512 mul[3], add[3];
    for (int c = 0; c < 3; c++) {
        __m128i q = _mm_setr_epi8((char)c, -1, -1, -1, (char)(c + 3), -1, -1, -1, (char)(c + 6), -1,
                                  -1, -1, (char)(c + 9), -1, -1, -1);
        pick[c] = _mm512_broadcast_i32x4(q);
        mul[c] = _mm512_set1_ps(scale[c]);
        add[c] = _mm512_set1_ps(shift[c]);
    }
    size_t i = 0;
    for (; i + 18 <= n;
         i += 16) { /* the last load ends 52 bytes on: eighteen pixels must be there */
        const uint8_t *p = rgb + 3 * i;
        __m512i px = _mm512_castsi128_si512(_mm_loadu_si128((const void *)p));
        px = _mm512_inserti32x4(px, _mm_loadu_si128((const void *)(p + 12)), 1);
        px = _mm512_inserti32x4(px, _mm_loadu_si128((const void *)(p + 24)), 2);
        px = _mm512_inserti32x4(px, _mm_loadu_si128((const void *)(p + 36)), 3);
        for (size_t c = 0; c < 3; c++) {
            __m512 v = _mm512_cvtepi32_ps(_mm512_shuffle_epi8(px, pick[c]));
            _mm512_storeu_ps(dst + c * plane + i, _mm512_fmadd_ps(v, mul[c], add[c]));
        }
    }
    for (; i < n; i++)
        for (size_t c = 0; c < 3; c++)
            dst[c * plane + i] = __builtin_fmaf((float)rgb[3 * i + c], scale[c], shift[c]);
}
