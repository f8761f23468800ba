/* AVX-512: sixteen pixels a step. */
#define MT_SIMD_AVX512
#include <string.h>
#include "kernels/simd.h"

#define STAIN_KERNEL mt_u8_stain_avx512
enum { STEP = 16, READ = 18 };
MT_INLINE void split(vf *n, vf *m, vf v);
#include "kernels/u8_stain/simd.inc"

/* v = m * 2^n, m from sqrt(1/2) to sqrt(2). */
MT_INLINE void split(vf *n, vf *m, vf v)
{
    __m512i bits = _mm512_castps_si512(v);
    __m512i e = _mm512_srai_epi32(_mm512_sub_epi32(bits, _mm512_set1_epi32(MT_SQRT_HALF_BITS)), 23);
    *n = _mm512_cvtepi32_ps(e);
    *m = _mm512_castsi512_ps(_mm512_sub_epi32(bits, _mm512_slli_epi32(e, 23)));
}

/* Reads 52 bytes, writes 48. */
MT_INLINE void step(const stain_regs *k, uint8_t *p)
{
    __m512i bytes = _mm512_castsi128_si512(_mm_loadu_si128((const void *)p));
    bytes = _mm512_inserti32x4(bytes, _mm_loadu_si128((const void *)(p + 12)), 1);
    bytes = _mm512_inserti32x4(bytes, _mm_loadu_si128((const void *)(p + 24)), 2);
    bytes = _mm512_inserti32x4(bytes, _mm_loadu_si128((const void *)(p + 36)), 3);
    vf px[3];
    for (int c = 0; c < 3; c++) {
        __m128i q = _mm_setr_epi8((char)c, -1, -1, -1, (char)(c + 3), -1, -1, -1, (char)(c + 6), -1,
                                  -1, -1, (char)(c + 9), -1, -1, -1);
        px[c] = _mm512_cvtepi32_ps(_mm512_add_epi32(
            _mm512_shuffle_epi8(bytes, _mm512_broadcast_i32x4(q)), _mm512_set1_epi32(1)));
    }
    map_pixels(k, px);
    __m512i r = _mm512_cvtps_epi32(px[0]), g = _mm512_cvtps_epi32(px[1]),
            b = _mm512_cvtps_epi32(px[2]);
    r = _mm512_or_si512(r, _mm512_or_si512(_mm512_slli_epi32(g, 8), _mm512_slli_epi32(b, 16)));
    __m128i pack = _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1);
    r = _mm512_shuffle_epi8(r, _mm512_broadcast_i32x4(pack));
    _mm512_mask_storeu_epi32(p, 0x0fff, _mm512_maskz_compress_epi32(0x7777, r));
}
