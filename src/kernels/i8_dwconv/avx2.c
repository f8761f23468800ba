/* Depthwise in 16 bits: bytes of two taps are widened and interleaved, so that a dword holds one
 * channel's pair; exact, no sum of a pair leaves 32 bits. */
#define MT_SIMD_AVX2
#include "kernels/simd.h"

#include "kernels/i8_conv/vec.h"

MT_INLINE vi wide(const uint8_t *x)
{
    return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)x));
}

/* 16 channels of one place: acc[0] holds channels 0-3, 8-11, acc[1] the others. */
MT_INLINE void sums(vi acc[2], const mt_i8_dw *t, int p, int c)
{
    const int taps = t->kh * t->kw;
    const uint8_t *w = (const uint8_t *)t->w + (size_t)(c / 16) * (size_t)((taps + 1) / 2) * 64;
    const uint8_t *const *at = t->at + p * t->sw;
    int x = 0;
    for (int i = 0; i < taps; i += 2, w += 64) {
        vi a = wide(at[x] + c), b = _mm256_setzero_si256();
        if (++x == t->kw) x = 0, at += t->columns;
        if (i + 1 < taps) {
            b = wide(at[x] + c);
            if (++x == t->kw) x = 0, at += t->columns;
        }
        acc[0] = vi_add(acc[0], _mm256_madd_epi16(_mm256_unpacklo_epi16(a, b), vi_load(w)));
        acc[1] = vi_add(acc[1], _mm256_madd_epi16(_mm256_unpackhi_epi16(a, b), vi_load(w + 32)));
    }
}

void mt_i8_dw__avx2(const mt_i8_dw *t)
{
    const mt_i8_post *post = t->post;
    float y8[8] __attribute__((aligned(32)));
    for (int p = 0; p < t->p; p++)
        for (int c = 0; c < t->pitch; c += 16) {
            vi acc[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
            size_t at = (size_t)p * (size_t)t->pitch + (size_t)c;
            sums(acc, t, p, c);
            vi order[2] = {_mm256_permute2x128_si256(acc[0], acc[1], 0x20),
                           _mm256_permute2x128_si256(acc[0], acc[1], 0x31)};
            for (int v = 0; v < 2; v++) {
                vi sum = vi_add(order[v], vi_load(t->start + c + v * 8)), res = sum;
                if (t->res) res = vi_bytes(t->res + at + v * 8);
                vf mul = v_load(t->mul + c + v * 8), add = v_load(t->add + c + v * 8), y;
                if (post->mode == MT_I8_RESIDUAL)
                    y = vi_value(post, MT_I8_RESIDUAL, sum, mul, add, res);
                else
                    y = vi_value(post, MT_I8_BYTES, sum, mul, add, res);
                if (post->mode == MT_I8_ACT) {
                    v_store(y8, y);
                    vi_activate(y8, 1, post);
                    y = v_load(y8);
                }
                order[v] = vi_round(y);
            }
            vi_store_block(post, (uint8_t *)t->out + at, order);
        }
}
