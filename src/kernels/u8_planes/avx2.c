/* AVX2: pmaddwd over pairs of rows, thirty-two samples a step. */
#include "kernels/u8_planes/x86.h"

static inline void column32(int16_t *t, const uint8_t *src, size_t stride, int32_t count,
                            const int16_t *k, __m256i bias)
{
    enum { SHIFT = MT_PL_BITS - MT_PL_FRAC };
    const __m256i zero = _mm256_setzero_si256();
    __m256i s[4] = {bias, bias, bias, bias};
    for (int32_t j = 0; j < count; j += 2) {
        const bool pair = j + 1 < count;
        const __m256i kk = _mm256_set1_epi32((uint16_t)k[j] | (int32_t)((uint32_t)(pair ? k[j + 1] : 0) << 16));
        const __m256i a = _mm256_loadu_si256((const void *)(src + (size_t)j * stride));
        const __m256i b = pair ? _mm256_loadu_si256((const void *)(src + (size_t)(j + 1) * stride)) : zero;
        const __m256i ab0 = _mm256_unpacklo_epi8(a, b), ab1 = _mm256_unpackhi_epi8(a, b);
        s[0] = _mm256_add_epi32(s[0], _mm256_madd_epi16(_mm256_unpacklo_epi8(ab0, zero), kk));
        s[1] = _mm256_add_epi32(s[1], _mm256_madd_epi16(_mm256_unpackhi_epi8(ab0, zero), kk));
        s[2] = _mm256_add_epi32(s[2], _mm256_madd_epi16(_mm256_unpacklo_epi8(ab1, zero), kk));
        s[3] = _mm256_add_epi32(s[3], _mm256_madd_epi16(_mm256_unpackhi_epi8(ab1, zero), kk));
    }
    for (int j = 0; j < 4; j++) s[j] = _mm256_srai_epi32(s[j], SHIFT);
    const __m256i lo = _mm256_packs_epi32(s[0], s[1]), hi = _mm256_packs_epi32(s[2], s[3]);
    _mm256_storeu_si256((void *)t, _mm256_permute2x128_si256(lo, hi, 0x20));
    _mm256_storeu_si256((void *)(t + 16), _mm256_permute2x128_si256(lo, hi, 0x31));
}

void mt_pl_column_avx2(int16_t *t, const uint8_t *src, size_t stride, int32_t count, size_t n,
                       const int16_t *k, int32_t bias)
{
    enum { STEP = 32 };
    if (n < STEP) {
        mt_pl_column_ref(t, src, stride, count, n, k, bias);
        return;
    }
    const __m256i b = _mm256_set1_epi32(bias);
    for (size_t x = 0; x + STEP <= n; x += STEP) column32(t + x, src + x, stride, count, k, b);
    if (n % STEP) column32(t + n - STEP, src + n - STEP, stride, count, k, b);
}

void mt_pl_row_avx2(int16_t *out, const int16_t *t, const mt_plane_axis *x, int16_t offset)
{
    filter_row(out, t, x, offset);
}

void mt_pl_colour_avx2(uint8_t *rgb, const int16_t *const v[3], size_t n, bool ycbcr)
{
    colour_row(rgb, v, n, ycbcr);
}
