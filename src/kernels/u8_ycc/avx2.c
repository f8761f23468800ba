/* AVX2: 32 pixels a step, the last ones by way of a small buffer. */
#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define MT_INLINE static inline __attribute__((always_inline))
typedef __m256i vi;
#define V(op) MT_YCC_V_##op
#define LANES 2
#define MT_YCC_NAME(kind) mt_u8_ycc##kind##_avx2

#define MT_YCC_V_set1_epi16 _mm256_set1_epi16
#define MT_YCC_V_set1_epi32 _mm256_set1_epi32
#define MT_YCC_V_add_epi16 _mm256_add_epi16
#define MT_YCC_V_sub_epi16 _mm256_sub_epi16
#define MT_YCC_V_add_epi32 _mm256_add_epi32
#define MT_YCC_V_and_si _mm256_and_si256
#define MT_YCC_V_srli_epi16 _mm256_srli_epi16
#define MT_YCC_V_srai_epi16 _mm256_srai_epi16
#define MT_YCC_V_srai_epi32 _mm256_srai_epi32
#define MT_YCC_V_mulhrs_epi16 _mm256_mulhrs_epi16
#define MT_YCC_V_madd_epi16 _mm256_madd_epi16
#define MT_YCC_V_unpacklo_epi16 _mm256_unpacklo_epi16
#define MT_YCC_V_unpackhi_epi16 _mm256_unpackhi_epi16
#define MT_YCC_V_packs_epi32 _mm256_packs_epi32
#define MT_YCC_V_packus_epi16 _mm256_packus_epi16
#define MT_YCC_V_shuffle_epi8 _mm256_shuffle_epi8

MT_INLINE vi load(const void *p)
{
    return _mm256_loadu_si256(p);
}

MT_INLINE vi wide(const void *p)
{
    return _mm256_cvtepu8_epi16(_mm_loadu_si128(p));
}

MT_INLINE vi broadcast(const void *p)
{
    return _mm256_broadcastsi128_si256(_mm_loadu_si128(p));
}

/* Vector k of the three: place p of it belongs to channel (16 k + p) % 3. */
MT_INLINE vi pick(vi r, vi g, vi b, int k)
{
    const vi every3 = _mm256_broadcastsi128_si256(
                 _mm_setr_epi8(-1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1)),
             next = _mm256_broadcastsi128_si256(
                 _mm_setr_epi8(0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0)),
             last = _mm256_broadcastsi128_si256(
                 _mm_setr_epi8(0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0));
    const vi of_g = k == 0 ? next : k == 1 ? every3 : last, of_b = k == 0 ? last : k == 1 ? next : every3;
    return _mm256_blendv_epi8(_mm256_blendv_epi8(r, g, of_g), b, of_b);
}

MT_INLINE void store(uint8_t *rgb, const vi in[3])
{
    _mm256_storeu_si256((void *)rgb, _mm256_permute2x128_si256(in[0], in[1], 0x20));
    _mm256_storeu_si256((void *)(rgb + 32), _mm256_permute2x128_si256(in[2], in[0], 0x30));
    _mm256_storeu_si256((void *)(rgb + 64), _mm256_permute2x128_si256(in[1], in[2], 0x31));
}

MT_INLINE void store_some(uint8_t *rgb, const vi in[3], unsigned n)
{
    uint8_t all[96];
    store(all, in);
    memcpy(rgb, all, n);
}

#include "kernels/u8_ycc/simd.inc"
