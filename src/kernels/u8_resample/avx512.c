/* AVX-512: as avx2.c with four lanes. */
#include <immintrin.h>
#include "kernels/u8_resample/impl.h"

static inline __m512i load_lanes(const uint8_t *const p[4], size_t at)
{
    __m512i v = _mm512_castsi128_si512(_mm_loadu_si128((const void *)(p[0] + at)));
    v = _mm512_inserti32x4(v, _mm_loadu_si128((const void *)(p[1] + at)), 1);
    v = _mm512_inserti32x4(v, _mm_loadu_si128((const void *)(p[2] + at)), 2);
    return _mm512_inserti32x4(v, _mm_loadu_si128((const void *)(p[3] + at)), 3);
}

static inline __m512i join(__m512i low, __m512i high)
{
    return _mm512_srai_epi32(_mm512_add_epi32(_mm512_slli_epi32(high, MT_RS_LOW), low), MT_RS_BITS);
}

static inline __m512i all_lanes(__m128i v)
{
    return _mm512_broadcast_i32x4(v);
}

/* Four output pixels, one a lane: (r g b -) as int32, rounded and shifted. */
static inline __m512i four_pixels(const uint8_t *const p[4], const __m512i *k, int32_t pairs)
{
    const __m512i t01 =
        all_lanes(_mm_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1));
    const __m512i t23 =
        all_lanes(_mm_setr_epi8(6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1));
    __m512i low = _mm512_set1_epi32(1 << (MT_RS_BITS - 1)), high = _mm512_setzero_si512();
    size_t at = 0;
    for (; pairs >= 2; pairs -= 2, at += 12, k += 4) {
        __m512i px = load_lanes(p, at), a = _mm512_shuffle_epi8(px, t01),
                b = _mm512_shuffle_epi8(px, t23);
        low = _mm512_add_epi32(low, _mm512_madd_epi16(a, k[0]));
        high = _mm512_add_epi32(high, _mm512_madd_epi16(a, k[1]));
        low = _mm512_add_epi32(low, _mm512_madd_epi16(b, k[2]));
        high = _mm512_add_epi32(high, _mm512_madd_epi16(b, k[3]));
    }
    if (pairs) {
        __m512i a = _mm512_shuffle_epi8(load_lanes(p, at), t01);
        low = _mm512_add_epi32(low, _mm512_madd_epi16(a, k[0]));
        high = _mm512_add_epi32(high, _mm512_madd_epi16(a, k[1]));
    }
    return join(low, high);
}

void mt_rs_row_avx512(uint8_t *dst, const uint8_t *src, const mt_rs_axis *x)
{
    const __m512i tight =
        all_lanes(_mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1));
    const __m512i *k = (const void *)x->packed;
    int32_t last = x->n_out - 1;
    for (int32_t i = 0; i <= last; i += 16) {
        __m512i v[4];
        for (int32_t j = 0; j < 4; j++, k += 2 * x->pairs) {
            const uint8_t *p[4];
            for (int32_t l = 0; l < 4; l++)
                p[l] = src + 3 * (size_t)x->first[MT_MIN(i + 4 * l + j, last)];
            v[j] = four_pixels(p, k, x->pairs);
        }
        __m512i px =
            _mm512_packus_epi16(_mm512_packs_epi32(v[0], v[1]), _mm512_packs_epi32(v[2], v[3]));
        px = _mm512_shuffle_epi8(px, tight);
        uint8_t *d = dst + 3 * (size_t)i;
        _mm_storeu_si128((void *)d, _mm512_castsi512_si128(px));
        _mm_storeu_si128((void *)(d + 12), _mm512_extracti32x4_epi32(px, 1));
        _mm_storeu_si128((void *)(d + 24), _mm512_extracti32x4_epi32(px, 2));
        _mm_storeu_si128((void *)(d + 36), _mm512_extracti32x4_epi32(px, 3));
    }
}

void mt_rs_column_avx512(uint8_t *dst, const uint8_t *const *rows, size_t n, const mt_rs_axis *y,
                         int32_t i)
{
    const __m512i zero = _mm512_setzero_si512(), half = _mm512_set1_epi32(1 << (MT_RS_BITS - 1));
    const int32_t *packed = (const void *)(y->packed + (size_t)i * (size_t)y->pairs * 4);
    int32_t count = y->count[i];
    for (size_t at = 0; at < n; at += 64) {
        __mmask64 in = n - at >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << (n - at)) - 1;
        __m512i low[4] = {half, half, half, half}, high[4] = {zero, zero, zero, zero};
        for (int32_t t = 0; t < count; t += 2) {
            __m512i a = _mm512_maskz_loadu_epi8(in, rows[t] + at);
            __m512i b = t + 1 < count ? _mm512_maskz_loadu_epi8(in, rows[t + 1] + at) : zero;
            __m512i kl = _mm512_set1_epi32(packed[t]), kh = _mm512_set1_epi32(packed[t + 1]);
            __m512i ab0 = _mm512_unpacklo_epi8(a, b), ab1 = _mm512_unpackhi_epi8(a, b);
            __m512i p[4] = {_mm512_unpacklo_epi8(ab0, zero), _mm512_unpackhi_epi8(ab0, zero),
                            _mm512_unpacklo_epi8(ab1, zero), _mm512_unpackhi_epi8(ab1, zero)};
            for (int j = 0; j < 4; j++) {
                low[j] = _mm512_add_epi32(low[j], _mm512_madd_epi16(p[j], kl));
                high[j] = _mm512_add_epi32(high[j], _mm512_madd_epi16(p[j], kh));
            }
        }
        __m512i lo = _mm512_packs_epi32(join(low[0], high[0]), join(low[1], high[1]));
        __m512i hi = _mm512_packs_epi32(join(low[2], high[2]), join(low[3], high[3]));
        _mm512_mask_storeu_epi8(dst + at, in, _mm512_packus_epi16(lo, hi));
    }
}
