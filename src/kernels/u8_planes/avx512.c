/* AVX-512: sixty-four samples a step down the columns, masks at the ends; the rest as avx2.c. */
#include "kernels/u8_planes/x86.h"

static inline void column64(int16_t *t, const uint8_t *src, size_t stride, int32_t count,
                            __mmask64 in, const int16_t *k, __m512i bias)
{
    enum { SHIFT = MT_PL_BITS - MT_PL_FRAC };
    const __m512i zero = _mm512_setzero_si512();
    __m512i s[4] = {bias, bias, bias, bias};
    for (int32_t j = 0; j < count; j += 2) {
        const bool pair = j + 1 < count;
        const __m512i kk = _mm512_set1_epi32((uint16_t)k[j] | (int32_t)((uint32_t)(pair ? k[j + 1] : 0) << 16));
        const __m512i a = _mm512_maskz_loadu_epi8(in, src + (size_t)j * stride);
        const __m512i b = pair ? _mm512_maskz_loadu_epi8(in, src + (size_t)(j + 1) * stride) : zero;
        const __m512i ab0 = _mm512_unpacklo_epi8(a, b), ab1 = _mm512_unpackhi_epi8(a, b);
        s[0] = _mm512_add_epi32(s[0], _mm512_madd_epi16(_mm512_unpacklo_epi8(ab0, zero), kk));
        s[1] = _mm512_add_epi32(s[1], _mm512_madd_epi16(_mm512_unpackhi_epi8(ab0, zero), kk));
        s[2] = _mm512_add_epi32(s[2], _mm512_madd_epi16(_mm512_unpacklo_epi8(ab1, zero), kk));
        s[3] = _mm512_add_epi32(s[3], _mm512_madd_epi16(_mm512_unpackhi_epi8(ab1, zero), kk));
    }
    for (int j = 0; j < 4; j++) s[j] = _mm512_srai_epi32(s[j], SHIFT);
    /* Each lane holds eight samples of lo, then eight of hi: put the lanes in their order. */
    const __m512i lo = _mm512_packs_epi32(s[0], s[1]), hi = _mm512_packs_epi32(s[2], s[3]);
    const __m512i front = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11),
                  back = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
    _mm512_storeu_si512((void *)t, _mm512_permutex2var_epi64(lo, front, hi));
    _mm512_storeu_si512((void *)(t + 32), _mm512_permutex2var_epi64(lo, back, hi));
}

void mt_pl_column_avx512(int16_t *t, const uint8_t *src, size_t stride, int32_t count, size_t n,
                         const int16_t *k, int32_t bias)
{
    enum { STEP = 64 };
    const __m512i b = _mm512_set1_epi32(bias);
    for (size_t x = 0; x < n; x += STEP) {
        const __mmask64 in = n - x >= STEP ? ~(__mmask64)0 : ((__mmask64)1 << (n - x)) - 1;
        column64(t + x, src + x, stride, count, in, k, b);
    }
}

void mt_pl_row_avx512(int16_t *out, const int16_t *t, const mt_plane_axis *x, int16_t offset)
{
    filter_row(out, t, x, offset);
}

void mt_pl_colour_avx512(uint8_t *rgb, const int16_t *const v[3], size_t n, bool ycbcr)
{
    colour_row(rgb, v, n, ycbcr);
}
