/* AVX2: eight pixels a step. */
#define MT_SIMD_AVX2
#include <string.h>
#include "kernels/simd.h"

#define STAIN_KERNEL mt_u8_stain_avx2
enum { STEP = 8, READ = 10 };
MT_INLINE void split(vf *n, vf *m, vf v);
#include "kernels/u8_stain/simd.inc"

/* v = m * 2^n, m from sqrt(1/2) to sqrt(2). */
MT_INLINE void split(vf *n, vf *m, vf v)
{
    __m256i bits = _mm256_castps_si256(v);
    __m256i e = _mm256_srai_epi32(_mm256_sub_epi32(bits, _mm256_set1_epi32(MT_SQRT_HALF_BITS)), 23);
    *n = _mm256_cvtepi32_ps(e);
    *m = _mm256_castsi256_ps(_mm256_sub_epi32(bits, _mm256_slli_epi32(e, 23)));
}

/* Bytes of channel c from 12-byte quarters (four pixels), as int32. */
#define PICK(c) c, -1, -1, -1, c + 3, -1, -1, -1, c + 6, -1, -1, -1, c + 9, -1, -1, -1
#define PACK 0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1

/* Reads 28 bytes, writes 24. */
MT_INLINE void step(const stain_regs *k, uint8_t *p)
{
    const __m256i pick[3] = {_mm256_setr_epi8(PICK(0), PICK(0)), _mm256_setr_epi8(PICK(1), PICK(1)),
                             _mm256_setr_epi8(PICK(2), PICK(2))};
    __m256i bytes =
        _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const void *)p)),
                                _mm_loadu_si128((const void *)(p + 12)), 1);
    vf px[3];
    for (int c = 0; c < 3; c++)
        px[c] = _mm256_cvtepi32_ps(
            _mm256_add_epi32(_mm256_shuffle_epi8(bytes, pick[c]), _mm256_set1_epi32(1)));
    map_pixels(k, px);
    __m256i r = _mm256_cvtps_epi32(px[0]), g = _mm256_cvtps_epi32(px[1]),
            b = _mm256_cvtps_epi32(px[2]);
    r = _mm256_or_si256(r, _mm256_or_si256(_mm256_slli_epi32(g, 8), _mm256_slli_epi32(b, 16)));
    r = _mm256_shuffle_epi8(r, _mm256_setr_epi8(PACK, PACK));
    _mm_storeu_si128((void *)p, _mm256_castsi256_si128(r)); /* its last four bytes go over next */
    _mm_maskstore_epi32((void *)(p + 12), _mm_setr_epi32(-1, -1, -1, 0),
                        _mm256_extracti128_si256(r, 1));
}
