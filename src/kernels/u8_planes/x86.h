/* The steps that AVX2 and AVX-512 share: eight outputs of a row, sixteen pixels of colour. */
#ifndef MT_U8_PLANES_X86_H
#define MT_U8_PLANES_X86_H

#include <immintrin.h>
#include <string.h>
#include "kernels/u8_planes/impl.h"

static inline __m128i two_quads(const int16_t *a, const int16_t *b)
{
    return _mm_unpacklo_epi64(_mm_loadl_epi64((const void *)a), _mm_loadl_epi64((const void *)b));
}

/* Four outputs of four taps each. */
static inline __m128i four_short(const int16_t *t, const int32_t *first, const int16_t *k)
{
    __m128i a = _mm_madd_epi16(two_quads(t + first[0], t + first[1]),
                               _mm_loadu_si128((const void *)k));
    __m128i b = _mm_madd_epi16(two_quads(t + first[2], t + first[3]),
                               _mm_loadu_si128((const void *)(k + 8)));
    return _mm_hadd_epi32(a, b);
}

static inline __m128i long_sum(const int16_t *t, const int16_t *k, int32_t taps)
{
    __m128i sum = _mm_setzero_si128();
    for (int32_t j = 0; j < taps; j += 8)
        sum = _mm_add_epi32(sum, _mm_madd_epi16(_mm_loadu_si128((const void *)(t + j)),
                                                _mm_loadu_si128((const void *)(k + j))));
    return sum;
}

static inline __m128i four_long(const int16_t *t, const int32_t *first, const int16_t *k,
                                int32_t taps)
{
    const size_t n = (size_t)taps;
    __m128i a = _mm_hadd_epi32(long_sum(t + first[0], k, taps), long_sum(t + first[1], k + n, taps));
    __m128i b = _mm_hadd_epi32(long_sum(t + first[2], k + 2 * n, taps),
                               long_sum(t + first[3], k + 3 * n, taps));
    return _mm_hadd_epi32(a, b);
}

static inline void filter_row(int16_t *out, const int16_t *t, const mt_plane_axis *x, int16_t offset)
{
    const __m128i half = _mm_set1_epi32(1 << (MT_PL_BITS - 1)), plus = _mm_set1_epi16(offset);
    const int16_t *k = x->k;
    const int32_t n = (x->n_out + MT_PL_GROUP - 1) / MT_PL_GROUP * MT_PL_GROUP;
    for (int32_t i = 0; i < n; i += 8, k += 8 * (size_t)x->taps) {
        const int32_t *f = x->first + i;
        __m128i lo, hi;
        if (x->taps == 4) {
            lo = four_short(t, f, k);
            hi = four_short(t, f + 4, k + 16);
        } else {
            lo = four_long(t, f, k, x->taps);
            hi = four_long(t, f + 4, k + 4 * (size_t)x->taps, x->taps);
        }
        lo = _mm_srai_epi32(_mm_add_epi32(lo, half), MT_PL_BITS);
        hi = _mm_srai_epi32(_mm_add_epi32(hi, half), MT_PL_BITS);
        _mm_storeu_si128((void *)(out + i), _mm_adds_epi16(_mm_packs_epi32(lo, hi), plus));
    }
}

static inline __m256i load16(const int16_t *p) { return _mm256_loadu_si256((const void *)p); }

/* Sixteen pixels, 48 bytes. */
static inline void colour16(uint8_t *rgb, __m256i a, __m256i b, __m256i c, bool ycbcr)
{
    const __m256i half = _mm256_set1_epi16(1 << (MT_PL_FRAC - 1));
    if (ycbcr) {
        const __m256i y = a, cb = b, cr = c;
        a = _mm256_adds_epi16(_mm256_adds_epi16(y, cr),
                              _mm256_mulhrs_epi16(cr, _mm256_set1_epi16(MT_PL_CR_R)));
        b = _mm256_subs_epi16(
            _mm256_subs_epi16(y, _mm256_mulhrs_epi16(cb, _mm256_set1_epi16(MT_PL_CB_G))),
            _mm256_mulhrs_epi16(cr, _mm256_set1_epi16(MT_PL_CR_G)));
        c = _mm256_adds_epi16(_mm256_adds_epi16(y, cb),
                              _mm256_mulhrs_epi16(cb, _mm256_set1_epi16(MT_PL_CB_B)));
    }
    a = _mm256_srai_epi16(_mm256_adds_epi16(a, half), MT_PL_FRAC);
    b = _mm256_srai_epi16(_mm256_adds_epi16(b, half), MT_PL_FRAC);
    c = _mm256_srai_epi16(_mm256_adds_epi16(c, half), MT_PL_FRAC);
    /* A lane: eight of r, eight of g; eight of b. Its 24 bytes are stored as sixteen and eight. */
    const __m256i rg = _mm256_packus_epi16(a, b), bb = _mm256_packus_epi16(c, c);
    const __m256i rg0 = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 8, -1, 1, 9, -1, 2, 10, -1, 3, 11, -1, 4, 12, -1, 5));
    const __m256i b0 = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(-1, -1, 0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4, -1));
    const __m256i rg1 = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(13, -1, 6, 14, -1, 7, 15, -1, -1, -1, -1, -1, -1, -1, -1, -1));
    const __m256i b1 = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(-1, 5, -1, -1, 6, -1, -1, 7, -1, -1, -1, -1, -1, -1, -1, -1));
    const __m256i head = _mm256_or_si256(_mm256_shuffle_epi8(rg, rg0), _mm256_shuffle_epi8(bb, b0));
    const __m256i tail = _mm256_or_si256(_mm256_shuffle_epi8(rg, rg1), _mm256_shuffle_epi8(bb, b1));
    _mm_storeu_si128((void *)rgb, _mm256_castsi256_si128(head));
    _mm_storel_epi64((void *)(rgb + 16), _mm256_castsi256_si128(tail));
    _mm_storeu_si128((void *)(rgb + 24), _mm256_extracti128_si256(head, 1));
    _mm_storel_epi64((void *)(rgb + 40), _mm256_extracti128_si256(tail, 1));
}

/* The rows are padded: sixteen values may always be read. */
static inline void colour_row(uint8_t *rgb, const int16_t *const v[3], size_t n, bool ycbcr)
{
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        colour16(rgb + 3 * i, load16(v[0] + i), load16(v[1] + i), load16(v[2] + i), ycbcr);
    if (i == n) return;
    uint8_t last[48];
    colour16(last, load16(v[0] + i), load16(v[1] + i), load16(v[2] + i), ycbcr);
    memcpy(rgb + 3 * i, last, 3 * (n - i));
}

#endif
