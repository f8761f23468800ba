/* Depthwise by dot products: four rows of a column are interleaved byte by byte, so that a dword
 * holds one channel's column, and every output that the column reaches adds one product of four. */
#define MT_SIMD_AVX512
#define MT_SIMD_VNNI
#include "kernels/simd.h"

#include "kernels/i8_conv/vec.h"

/* 64 channels of four rows: dwords of one channel each, in the order of mt_i8_lane_channel. */
MT_INLINE void interleave(vi out[4], vi a, vi b, vi c, vi d)
{
    vi ab = _mm512_unpacklo_epi8(a, b), cd = _mm512_unpacklo_epi8(c, d);
    vi ab2 = _mm512_unpackhi_epi8(a, b), cd2 = _mm512_unpackhi_epi8(c, d);
    out[0] = _mm512_unpacklo_epi16(ab, cd);
    out[1] = _mm512_unpackhi_epi16(ab, cd);
    out[2] = _mm512_unpacklo_epi16(ab2, cd2);
    out[3] = _mm512_unpackhi_epi16(ab2, cd2);
}

MT_INLINE void finish(const mt_i8_dw *t, vi acc[4][4], const int P, int block, __mmask64 m)
{
    const mt_i8_post *post = t->post;
    const size_t pitch = (size_t)t->pitch;
    const int mode = post->mode;
    float y[4 * 64] __attribute__((aligned(64)));
    if (mode == MT_I8_ACT) {
        MT_UNROLL for (int v = 0; v < 4; v++)
        {
            vf mul = v_load(t->mul + block * 64 + v * 16),
               add = v_load(t->add + block * 64 + v * 16);
            MT_UNROLL for (int p = 0; p < P; p++)
                v_store(y + p * 64 + v * 16, v_fma(vi_to_f(acc[p][v]), mul, add));
        }
        vi_activate(y, P * 4, post);
    }
    MT_UNROLL for (int p = 0; p < P; p++)
    {
        size_t at = (size_t)p * pitch + (size_t)block * 64;
        vi res[4] = {acc[p][0], acc[p][0], acc[p][0], acc[p][0]}, r[4];
        if (mode == MT_I8_RESIDUAL) vi_unpack4(res, _mm512_maskz_loadu_epi8(m, t->res + at));
        MT_UNROLL for (int v = 0; v < 4; v++)
        {
            const float *mul = t->mul + block * 64 + v * 16, *add = t->add + block * 64 + v * 16;
            if (mode == MT_I8_ACT)
                r[v] = vi_round(v_load(y + p * 64 + v * 16));
            else if (mode == MT_I8_RESIDUAL)
                r[v] = vi_round(
                    vi_value(post, MT_I8_RESIDUAL, acc[p][v], v_load(mul), v_load(add), res[v]));
            else
                r[v] = vi_round(
                    vi_value(post, MT_I8_BYTES, acc[p][v], v_load(mul), v_load(add), res[v]));
        }
        _mm512_mask_storeu_epi8((uint8_t *)t->out + at, m, vi_pack4(post, r[0], r[1], r[2], r[3]));
    }
}

MT_INLINE void dw(const mt_i8_dw *t, const int P, const int KH, const int KW, const int S)
{
    const int columns = (P - 1) * S + KW;
    const uint8_t *w = t->w;
    for (int c = 0; c < t->pitch; c += 64) {
        int left = t->pitch - c;
        __mmask64 m = left >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << left) - 1;
        vi acc[4][4];
        MT_UNROLL for (int v = 0; v < 4; v++)
        {
            vi start = vi_load(t->start + c + v * 16);
            MT_UNROLL for (int p = 0; p < P; p++) acc[p][v] = start;
        }
        MT_UNROLL for (int g = 0; g < (KH + 3) / 4; g++, w += KW * 256)
        {
            const uint8_t *const *at = t->at + g * 4 * columns;
            MT_UNROLL for (int j = 0; j < columns; j++)
            {
                vi four[4], rows[4];
                MT_UNROLL for (int r = 0; r < 4; r++) /* weights of rows that are none are 0 */
                    rows[r] = g * 4 + r < KH ? _mm512_maskz_loadu_epi8(m, at[r * columns + j] + c)
                                             : _mm512_setzero_si512();
                interleave(four, rows[0], rows[1], rows[2], rows[3]);
                MT_UNROLL for (int p = 0; p < P; p++)
                {
                    const int kx = j - p * S;
                    if (kx < 0 || kx >= KW) continue;
                    MT_UNROLL for (int v = 0; v < 4; v++) __asm__(
                        "vpdpbusd %2, %1, %0" : "+v"(acc[p][v]) : "v"(four[v]),
                        "m"(*(const __m512i *)(const void *)(w + kx * 256 + v * 64)));
                }
            }
        }
        finish(t, acc, P, c / 64, m);
    }
}

/* Any size, one place. */
static void dw_any(const mt_i8_dw *t, int p)
{
    const uint8_t *w = t->w;
    for (int c = 0; c < t->pitch; c += 64) {
        int left = t->pitch - c;
        __mmask64 m = left >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << left) - 1;
        vi acc[4][4];
        for (int v = 0; v < 4; v++)
            acc[0][v] = vi_load(t->start + c + v * 16);
        for (int g = 0; g < (t->kh + 3) / 4; g++)
            for (int kx = 0; kx < t->kw; kx++, w += 256) {
                vi four[4], rows[4];
                for (int r = 0; r < 4; r++)
                    rows[r] = g * 4 + r < t->kh
                                  ? _mm512_maskz_loadu_epi8(
                                        m, t->at[(g * 4 + r) * t->columns + p * t->sw + kx] + c)
                                  : _mm512_setzero_si512();
                interleave(four, rows[0], rows[1], rows[2], rows[3]);
                for (int v = 0; v < 4; v++)
                    acc[0][v] = vi_dp(acc[0][v], four[v], vi_load(w + v * 64));
            }
        mt_i8_dw one = *t;
        one.out = (uint8_t *)t->out + p * t->pitch;
        one.res = t->res ? t->res + p * t->pitch : NULL;
        finish(&one, acc, 1, c / 64, m);
    }
}

#define SIZE(K, S)                                                                                 \
    static void dw4_##K##s##S(const mt_i8_dw *t)                                                   \
    {                                                                                              \
        dw(t, 4, K, K, S);                                                                         \
    }
SIZE(3, 1)
SIZE(3, 2)
SIZE(5, 1)
SIZE(5, 2)
SIZE(7, 1)

void mt_i8_dw__vnni(const mt_i8_dw *t)
{
    if (t->p == 4 && t->kh == t->kw) {
        if (t->kw == 3 && t->sw == 1) {
            dw4_3s1(t);
            return;
        }
        if (t->kw == 3 && t->sw == 2) {
            dw4_3s2(t);
            return;
        }
        if (t->kw == 5 && t->sw == 1) {
            dw4_5s1(t);
            return;
        }
        if (t->kw == 5 && t->sw == 2) {
            dw4_5s2(t);
            return;
        }
        if (t->kw == 7 && t->sw == 1) {
            dw4_7s1(t);
            return;
        }
    }
    for (int p = 0; p < t->p; p++)
        dw_any(t, p);
}
