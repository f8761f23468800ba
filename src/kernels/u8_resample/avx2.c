/* AVX2: pmaddwd over pairs of taps, coefficients split in two int16 parts. The sums of the parts
 * may wrap; the whole is below 2^31, so joining them modulo 2^32 gives the reference's number. */
#include <immintrin.h>
#include "kernels/u8_resample/impl.h"

/* (r0 r1 g0 g1 b0 b1 - -) as int16 from four RGB pixels: taps 0, 1 and taps 2, 3. */
#define TAPS_01 0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1
#define TAPS_23 6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1

static inline __m256i load_lanes(const uint8_t *a, const uint8_t *b)
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const void *)a)),
                                   _mm_loadu_si128((const void *)b), 1);
}

static inline __m256i join(__m256i low, __m256i high)
{
    return _mm256_srai_epi32(_mm256_add_epi32(_mm256_slli_epi32(high, MT_RS_LOW), low), MT_RS_BITS);
}

/* Two output pixels, one a lane: (r g b -) as int32, rounded and shifted. */
static inline __m256i two_pixels(const uint8_t *a, const uint8_t *b, const __m256i *k,
                                 int32_t pairs)
{
    const __m256i t01 = _mm256_setr_epi8(TAPS_01, TAPS_01),
                  t23 = _mm256_setr_epi8(TAPS_23, TAPS_23);
    __m256i low = _mm256_set1_epi32(1 << (MT_RS_BITS - 1)), high = _mm256_setzero_si256();
    for (; pairs >= 2; pairs -= 2, a += 12, b += 12, k += 4) {
        __m256i px = load_lanes(a, b), p = _mm256_shuffle_epi8(px, t01),
                q = _mm256_shuffle_epi8(px, t23);
        low = _mm256_add_epi32(low, _mm256_madd_epi16(p, k[0]));
        high = _mm256_add_epi32(high, _mm256_madd_epi16(p, k[1]));
        low = _mm256_add_epi32(low, _mm256_madd_epi16(q, k[2]));
        high = _mm256_add_epi32(high, _mm256_madd_epi16(q, k[3]));
    }
    if (pairs) {
        __m256i p = _mm256_shuffle_epi8(load_lanes(a, b), t01);
        low = _mm256_add_epi32(low, _mm256_madd_epi16(p, k[0]));
        high = _mm256_add_epi32(high, _mm256_madd_epi16(p, k[1]));
    }
    return join(low, high);
}

void mt_rs_row_avx2(uint8_t *dst, const uint8_t *src, const mt_rs_axis *x)
{
    const __m256i tight = _mm256_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1,
                                           0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1);
    const __m256i *k = (const void *)x->packed;
    int32_t last = x->n_out - 1;
    for (int32_t i = 0; i <= last; i += 8) {
        __m256i v[4];
        for (int32_t j = 0; j < 4; j++, k += 2 * x->pairs)
            v[j] = two_pixels(src + 3 * (size_t)x->first[MT_MIN(i + j, last)],
                              src + 3 * (size_t)x->first[MT_MIN(i + 4 + j, last)], k, x->pairs);
        __m256i px =
            _mm256_packus_epi16(_mm256_packs_epi32(v[0], v[1]), _mm256_packs_epi32(v[2], v[3]));
        px = _mm256_shuffle_epi8(px, tight);
        _mm_storeu_si128((void *)(dst + 3 * (size_t)i), _mm256_castsi256_si128(px));
        _mm_storeu_si128((void *)(dst + 3 * (size_t)i + 12), _mm256_extracti128_si256(px, 1));
    }
}

void mt_rs_column_avx2(uint8_t *dst, const uint8_t *const *rows, size_t n, const mt_rs_axis *y,
                       int32_t i)
{
    const __m256i zero = _mm256_setzero_si256(), half = _mm256_set1_epi32(1 << (MT_RS_BITS - 1));
    const int32_t *packed = (const void *)(y->packed + (size_t)i * (size_t)y->pairs * 4);
    int32_t count = y->count[i];
    size_t at = 0;
    for (; at + 32 <= n; at += 32) {
        __m256i low[4] = {half, half, half, half}, high[4] = {zero, zero, zero, zero};
        for (int32_t t = 0; t < count; t += 2) {
            __m256i a = _mm256_loadu_si256((const void *)(rows[t] + at));
            __m256i b = t + 1 < count ? _mm256_loadu_si256((const void *)(rows[t + 1] + at)) : zero;
            __m256i kl = _mm256_set1_epi32(packed[t]), kh = _mm256_set1_epi32(packed[t + 1]);
            __m256i ab0 = _mm256_unpacklo_epi8(a, b), ab1 = _mm256_unpackhi_epi8(a, b);
            __m256i p[4] = {_mm256_unpacklo_epi8(ab0, zero), _mm256_unpackhi_epi8(ab0, zero),
                            _mm256_unpacklo_epi8(ab1, zero), _mm256_unpackhi_epi8(ab1, zero)};
            for (int j = 0; j < 4; j++) {
                low[j] = _mm256_add_epi32(low[j], _mm256_madd_epi16(p[j], kl));
                high[j] = _mm256_add_epi32(high[j], _mm256_madd_epi16(p[j], kh));
            }
        }
        __m256i lo = _mm256_packs_epi32(join(low[0], high[0]), join(low[1], high[1]));
        __m256i hi = _mm256_packs_epi32(join(low[2], high[2]), join(low[3], high[3]));
        _mm256_storeu_si256((void *)(dst + at), _mm256_packus_epi16(lo, hi));
    }
    if (at == n) return;
    const int32_t *k = y->k + (size_t)i * (size_t)y->taps;
    for (; at < n; at++) {
        int32_t sum = 1 << (MT_RS_BITS - 1);
        for (int32_t t = 0; t < count; t++)
            sum += k[t] * rows[t][at];
        dst[at] = mt_rs_clip(sum);
    }
}
