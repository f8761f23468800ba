/* The vectors of the 8-bit kernels: VL dwords. A file defines MT_SIMD_AVX2 or MT_SIMD_AVX512 (and
 * MT_SIMD_VNNI) before simd.h. */
#ifndef MT_KERNELS_I8_CONV_VEC_H
#define MT_KERNELS_I8_CONV_VEC_H

#include "kernels/simd.h"
#include "kernels/i8_conv/post.h"

#if defined(MT_SIMD_AVX512)
typedef __m512i vi;
#define vi_load(p) _mm512_loadu_si512(p)
#define vi_set1 _mm512_set1_epi32
#define vi_to_f _mm512_cvtepi32_ps
#define vi_round _mm512_cvtps_epi32 /* half to even */
#define vi_add _mm512_add_epi32
#define vi_bytes(p) _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)(p)))
#else
typedef __m256i vi;
#define vi_load(p) _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define vi_set1 _mm256_set1_epi32
#define vi_to_f _mm256_cvtepi32_ps
#define vi_round _mm256_cvtps_epi32
#define vi_add _mm256_add_epi32
#define vi_bytes(p) _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(p)))
#endif

/* acc + products of four bytes (x unsigned) and weights at w; a step of weights is WSTEP bytes a
 * vector. Without VNNI bytes are widened: no pair can saturate. */
#if defined(MT_SIMD_VNNI)
#define WSTEP 64
/* Spelt out: through the intrinsic gcc 12 copies every sum twice. */
MT_INLINE vi vi_dp(vi acc, vi x, vi w)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(x), "v"(w));
    return acc;
}
MT_INLINE vi vi_dot(vi acc, vi x, const uint8_t *w, int v)
{
    return vi_dp(acc, x, vi_load(w + v * 64));
}
#elif defined(MT_SIMD_AVX512)
#define WSTEP 128
MT_INLINE vi vi_dot(vi acc, vi x, const uint8_t *w, int v)
{
    vi even = _mm512_and_si512(x, _mm512_set1_epi32(0x00ff00ff)), odd = _mm512_srli_epi16(x, 8);
    acc = vi_add(acc, _mm512_madd_epi16(even, vi_load(w + v * 128)));
    return vi_add(acc, _mm512_madd_epi16(odd, vi_load(w + v * 128 + 64)));
}
#else
#define WSTEP 64
/* Half blocks of 8: the even dwords of both halves come first. */
MT_INLINE vi vi_dot(vi acc, vi x, const uint8_t *w, int v)
{
    vi even = _mm256_and_si256(x, _mm256_set1_epi32(0x00ff00ff)), odd = _mm256_srli_epi16(x, 8);
    acc = vi_add(acc, _mm256_madd_epi16(even, vi_load(w + v / 2 * 128 + v % 2 * 32)));
    return vi_add(acc, _mm256_madd_epi16(odd, vi_load(w + v / 2 * 128 + 64 + v % 2 * 32)));
}
#endif

/* ---- mt_i8_value of post.h on a vector ---- */

MT_INLINE vf v_exp2_clamped(vf x)
{
    vf n = v_round(x), f = v_sub(x, n), p = v_set1(MT_I8_EXP2_C5);
    p = v_fma(p, f, v_set1(MT_I8_EXP2_C4));
    p = v_fma(p, f, v_set1(MT_I8_EXP2_C3));
    p = v_fma(p, f, v_set1(MT_I8_EXP2_C2));
    p = v_fma(p, f, v_set1(MT_I8_EXP2_C1));
    p = v_fma(p, f, v_set1(1.0f));
    return v_mul(p, v_exp2i(n));
}

MT_INLINE vf v_i8_act(vf x, mt_act act, vf a, vf b)
{
    vf zero = v_zero(), one = v_set1(1.0f), e;
    switch (act) {
    case MT_ACT_LEAKY:
        return v_pick(v_lt(x, zero), v_mul(a, x), x);
    case MT_ACT_HSIGMOID:
        return v_min(v_max(v_fma(x, a, b), zero), one);
    case MT_ACT_HSWISH:
        return v_mul(x, v_min(v_max(v_fma(x, v_set1(1.0f / 6.0f), v_set1(0.5f)), zero), one));
    case MT_ACT_SIGMOID:
    case MT_ACT_SILU:
        e = v_min(v_max(v_mul(x, v_set1(-1.44269504f)), v_set1(-126.0f)), v_set1(126.0f));
        return v_div(act == MT_ACT_SILU ? x : one, v_add(one, v_exp2_clamped(e)));
    default:
        return x;
    }
}

/* An activation between sum and byte: the sums go through memory, one loop an activation. */
static __attribute__((noinline)) void vi_activate(float *y, int n, const mt_i8_post *p)
{
    vf a = v_set1(p->act_a), b = v_set1(p->act_b), inv = v_set1(p->inv_scale);
    switch (p->act) {
#define CASE(which)                                                                                \
    case which:                                                                                    \
        for (int i = 0; i < n; i++, y += VL)                                                       \
            v_store(y, v_mul(v_i8_act(v_load(y), which, a, b), inv));                              \
        break;
        CASE(MT_ACT_LEAKY)
        CASE(MT_ACT_HSIGMOID)
        CASE(MT_ACT_HSWISH)
        CASE(MT_ACT_SIGMOID)
        CASE(MT_ACT_SILU)
#undef CASE
    default:
        break;
    }
}

/* The value of vector v of sums, before the last rounding. res: its bytes widened. */
MT_INLINE vf vi_value(const mt_i8_post *p, const int mode, vi sum, vf mul, vf add, vi res)
{
    vf y = v_fma(vi_to_f(sum), mul, add);
    if (mode == MT_I8_RESIDUAL) {
        y = v_min(v_max(v_round(y), v_set1(p->mid_lo)), v_set1(p->mid_hi));
        y = v_fma(y, v_set1(p->mid_k), v_fma(vi_to_f(res), v_set1(p->res_k), v_set1(p->res_c)));
    }
    return y;
}

#if defined(MT_SIMD_AVX512)
/* Four vectors in the order of mt_i8_lane_channel to 64 bytes in the order of channels. */
MT_INLINE __m512i vi_pack4(const mt_i8_post *p, vi a, vi b, vi c, vi d)
{
    __m512i zero = _mm512_set1_epi16((short)p->zero), lo = _mm512_set1_epi8((char)p->lo),
            hi = _mm512_set1_epi8((char)p->hi);
    __m512i ab = _mm512_adds_epi16(_mm512_packs_epi32(a, b), zero),
            cd = _mm512_adds_epi16(_mm512_packs_epi32(c, d), zero);
    return _mm512_min_epu8(_mm512_max_epu8(_mm512_packus_epi16(ab, cd), lo), hi);
}
/* Back: vector v of the four. */
MT_INLINE void vi_unpack4(vi out[4], __m512i bytes)
{
    __m512i zero = _mm512_setzero_si512(), lo = _mm512_unpacklo_epi8(bytes, zero),
            hi = _mm512_unpackhi_epi8(bytes, zero);
    out[0] = _mm512_unpacklo_epi16(lo, zero);
    out[1] = _mm512_unpackhi_epi16(lo, zero);
    out[2] = _mm512_unpacklo_epi16(hi, zero);
    out[3] = _mm512_unpackhi_epi16(hi, zero);
}
/* Two vectors to 32 bytes, and back. */
MT_INLINE void vi_store2(const mt_i8_post *p, uint8_t *to, vi a, vi b)
{
    __m512i s = _mm512_adds_epi16(_mm512_packs_epi32(a, b), _mm512_set1_epi16((short)p->zero));
    s = _mm512_max_epi16(s, _mm512_set1_epi16((short)p->lo));
    s = _mm512_min_epi16(s, _mm512_set1_epi16((short)p->hi));
    _mm256_storeu_si256((__m256i *)(void *)to, _mm512_cvtepi16_epi8(s));
}
MT_INLINE void vi_load2(vi out[2], const uint8_t *from)
{
    __m512i zero = _mm512_setzero_si512(),
            s = _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)from));
    out[0] = _mm512_unpacklo_epi16(s, zero);
    out[1] = _mm512_unpackhi_epi16(s, zero);
}
/* One block of 16 in order. */
MT_INLINE void vi_store_block(const mt_i8_post *p, uint8_t *to, const vi *v)
{
    __m256i s = _mm256_adds_epi16(_mm512_cvtsepi32_epi16(v[0]), _mm256_set1_epi16((short)p->zero));
    s = _mm256_max_epi16(s, _mm256_set1_epi16((short)p->lo));
    s = _mm256_min_epi16(s, _mm256_set1_epi16((short)p->hi));
    _mm_storeu_si128((__m128i *)(void *)to, _mm256_cvtepi16_epi8(s));
}
#else
MT_INLINE void vi_store_block(const mt_i8_post *p, uint8_t *to, const vi *v)
{
    __m256i s = _mm256_permute4x64_epi64(_mm256_packs_epi32(v[0], v[1]), 0xd8);
    s = _mm256_adds_epi16(s, _mm256_set1_epi16((short)p->zero));
    s = _mm256_max_epi16(s, _mm256_set1_epi16((short)p->lo));
    s = _mm256_min_epi16(s, _mm256_set1_epi16((short)p->hi));
    _mm_storeu_si128((__m128i *)(void *)to,
                     _mm_packus_epi16(_mm256_castsi256_si128(s), _mm256_extracti128_si256(s, 1)));
}
#endif

#endif
