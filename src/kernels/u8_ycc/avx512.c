/* AVX-512: 64 pixels a step, the last ones stored by mask. */
#include <immintrin.h>
#include <stdint.h>

#define MT_INLINE static inline __attribute__((always_inline))
typedef __m512i vi;
#define V(op) MT_YCC_V_##op
#define LANES 4
#define MT_YCC_NAME(kind) mt_u8_ycc##kind##_avx512

#define MT_YCC_V_set1_epi16 _mm512_set1_epi16
#define MT_YCC_V_set1_epi32 _mm512_set1_epi32
#define MT_YCC_V_add_epi16 _mm512_add_epi16
#define MT_YCC_V_sub_epi16 _mm512_sub_epi16
#define MT_YCC_V_add_epi32 _mm512_add_epi32
#define MT_YCC_V_and_si _mm512_and_si512
#define MT_YCC_V_srli_epi16 _mm512_srli_epi16
#define MT_YCC_V_srai_epi16 _mm512_srai_epi16
#define MT_YCC_V_srai_epi32 _mm512_srai_epi32
#define MT_YCC_V_mulhrs_epi16 _mm512_mulhrs_epi16
#define MT_YCC_V_madd_epi16 _mm512_madd_epi16
#define MT_YCC_V_unpacklo_epi16 _mm512_unpacklo_epi16
#define MT_YCC_V_unpackhi_epi16 _mm512_unpackhi_epi16
#define MT_YCC_V_packs_epi32 _mm512_packs_epi32
#define MT_YCC_V_packus_epi16 _mm512_packus_epi16
#define MT_YCC_V_shuffle_epi8 _mm512_shuffle_epi8

MT_INLINE vi load(const void *p)
{
    return _mm512_loadu_si512(p);
}

MT_INLINE vi wide(const void *p)
{
    return _mm512_cvtepu8_epi16(_mm256_loadu_si256(p));
}

MT_INLINE vi broadcast(const void *p)
{
    return _mm512_broadcast_i32x4(_mm_loadu_si128(p));
}

/* Vector k of the three: place p of it belongs to channel (16 k + p) % 3. */
MT_INLINE vi pick(vi r, vi g, vi b, int k)
{
    static const uint64_t ones[3] = {0x9249924992499249, 0x2492249224922492, 0x4924492449244924};
    vi v = _mm512_mask_blend_epi8(ones[(k * 2 + 1) % 3], r, g);
    return _mm512_mask_blend_epi8(ones[(k * 2 + 2) % 3], v, b);
}

/* Quarters of a, b, c in turn: lane 0 of each, then lane 1 of each, ... */
MT_INLINE void in_order(vi out[3], const vi in[3])
{
    const vi ab0 = _mm512_setr_epi64(0, 1, 8, 9, 0, 0, 2, 3),
             c0 = _mm512_setr_epi64(0, 1, 2, 3, 8, 9, 6, 7),
             bc1 = _mm512_setr_epi64(2, 3, 10, 11, 0, 0, 4, 5),
             a1 = _mm512_setr_epi64(0, 1, 2, 3, 12, 13, 6, 7),
             ca2 = _mm512_setr_epi64(4, 5, 14, 15, 0, 0, 6, 7),
             b2 = _mm512_setr_epi64(0, 1, 2, 3, 14, 15, 6, 7);
    out[0] = _mm512_permutex2var_epi64(_mm512_permutex2var_epi64(in[0], ab0, in[1]), c0, in[2]);
    out[1] = _mm512_permutex2var_epi64(_mm512_permutex2var_epi64(in[1], bc1, in[2]), a1, in[0]);
    /* The third: c of lane 2, then lane 3 of a, b, c. */
    out[2] = _mm512_permutex2var_epi64(_mm512_permutex2var_epi64(in[2], ca2, in[0]), b2, in[1]);
}

MT_INLINE void store(uint8_t *rgb, const vi in[3])
{
    vi out[3];
    in_order(out, in);
    for (int k = 0; k < 3; k++)
        _mm512_storeu_si512(rgb + 64 * k, out[k]);
}

MT_INLINE void store_some(uint8_t *rgb, const vi in[3], unsigned n)
{
    vi out[3];
    in_order(out, in);
    for (unsigned k = 0; k < 3 && n > 64 * k; k++)
        _mm512_mask_storeu_epi8(rgb + 64 * k, n >= 64 * k + 64 ? ~UINT64_C(0) : (UINT64_C(1) << (n - 64 * k)) - 1,
                                out[k]);
}

#include "kernels/u8_ycc/simd.inc"
