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

/* Sixteen outputs of four taps, gathered out of 64 samples by permutations. */
static inline __m256i narrow_group(const int16_t *t, const int32_t *first, const int16_t *k)
{
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30),
                  odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    const __m512i from = _mm512_sub_epi32(_mm512_loadu_si512((const void *)first), _mm512_set1_epi32(*first));
    const __m512i at = _mm512_add_epi32(_mm512_or_si512(from, _mm512_slli_epi32(from, 16)),
                                        _mm512_set1_epi32(0x10000));
    const __m512i a = _mm512_loadu_si512((const void *)(t + *first)),
                  b = _mm512_loadu_si512((const void *)(t + *first + 32));
    const __m512i k0 = _mm512_loadu_si512((const void *)k), k1 = _mm512_loadu_si512((const void *)(k + 32));
    const __m512i s01 = _mm512_madd_epi16(_mm512_permutex2var_epi16(a, at, b),
                                          _mm512_permutex2var_epi32(k0, even, k1));
    const __m512i s23 = _mm512_madd_epi16(
        _mm512_permutex2var_epi16(a, _mm512_add_epi32(at, _mm512_set1_epi32(0x20002)), b),
        _mm512_permutex2var_epi32(k0, odd, k1));
    const __m512i sum = _mm512_add_epi32(_mm512_add_epi32(s01, s23), _mm512_set1_epi32(1 << (MT_PL_BITS - 1)));
    return _mm512_cvtsepi32_epi16(_mm512_srai_epi32(sum, MT_PL_BITS));
}

void mt_pl_row_avx512(int16_t *out, const int16_t *t, const mt_plane_axis *x, int16_t offset)
{
    if (!x->narrow) {
        filter_row(out, t, x, offset);
        return;
    }
    const __m256i plus = _mm256_set1_epi16(offset);
    for (int32_t i = 0; i < x->n_out; i += MT_PL_GROUP)
        _mm256_storeu_si256((void *)(out + i),
                            _mm256_adds_epi16(narrow_group(t, x->first + i, x->k + 4 * (size_t)i), plus));
}

void mt_pl_colour_avx512(uint8_t *rgb, const int16_t *const v[3], size_t n, bool ycbcr)
{
    colour_row(rgb, v, n, ycbcr);
}
