/* One vector type under three instruction sets. A file defines MT_SIMD_AVX2, MT_SIMD_AVX512 or
 * MT_SIMD_NEON, includes this, then the family's simd.inc: the same code becomes each variant. vf
 * holds VL floats, one block. */
#ifndef MT_KERNELS_SIMD_H
#define MT_KERNELS_SIMD_H

#ifdef MT_SIMD_NEON
#include <arm_neon.h>
#else
#include <immintrin.h>
#endif
#include "kernels/table.h"

#define MT_INLINE static inline __attribute__((always_inline))
/* Before a loop over registers: without it the array of sums lives in memory. */
#ifdef __clang__
#define MT_UNROLL _Pragma("clang loop unroll(full)")
#else
#define MT_UNROLL _Pragma("GCC unroll 36")
#endif

#if defined(MT_SIMD_AVX512)

#define VL 16
#define MT_ISA(name) name##__avx512
typedef __m512 vf;
typedef __mmask16 vmask;
MT_INLINE vf v_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
MT_INLINE void v_store(float *p, vf x)
{
    _mm512_storeu_ps(p, x);
}
MT_INLINE vf v_set1(float x)
{
    return _mm512_set1_ps(x);
}
MT_INLINE vf v_zero(void)
{
    return _mm512_setzero_ps();
}
MT_INLINE vf v_add(vf a, vf b)
{
    return _mm512_add_ps(a, b);
}
MT_INLINE vf v_sub(vf a, vf b)
{
    return _mm512_sub_ps(a, b);
}
MT_INLINE vf v_mul(vf a, vf b)
{
    return _mm512_mul_ps(a, b);
}
MT_INLINE vf v_div(vf a, vf b)
{
    return _mm512_div_ps(a, b);
}
MT_INLINE vf v_fma(vf a, vf b, vf c)
{
    return _mm512_fmadd_ps(a, b, c);
} /* a*b + c */
MT_INLINE vf v_fnma(vf a, vf b, vf c)
{
    return _mm512_fnmadd_ps(a, b, c);
} /* c - a*b */
/* The second operand when either is NaN: v_max(bound, x) lets a NaN x through. */
MT_INLINE vf v_max(vf a, vf b)
{
    return _mm512_max_ps(a, b);
}
MT_INLINE vf v_min(vf a, vf b)
{
    return _mm512_min_ps(a, b);
}
MT_INLINE vmask v_lt(vf a, vf b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}
MT_INLINE vmask v_nan(vf a)
{
    return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
}
MT_INLINE vf v_pick(vmask m, vf yes, vf no)
{
    return _mm512_mask_blend_ps(m, no, yes);
}
MT_INLINE vmask v_first(size_t n)
{
    return n >= 16 ? (vmask)0xffff : (vmask)((1u << n) - 1);
}
MT_INLINE vf v_load_m(const float *p, vmask m)
{
    return _mm512_maskz_loadu_ps(m, p);
}
MT_INLINE void v_store_m(float *p, vf x, vmask m)
{
    _mm512_mask_storeu_ps(p, m, x);
}
MT_INLINE vf v_abs(vf x)
{
    return _mm512_abs_ps(x);
}
MT_INLINE vf v_copysign(vf mag, vf sign)
{
    return _mm512_or_ps(_mm512_andnot_ps(_mm512_set1_ps(-0.0f), mag),
                        _mm512_and_ps(_mm512_set1_ps(-0.0f), sign));
}
MT_INLINE vf v_round(vf x)
{
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
MT_INLINE vf v_exp2i(vf n) /* 2^n of an integral n in -126..127 */
{
    __m512i i = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
    return _mm512_castsi512_ps(_mm512_slli_epi32(i, 23));
}
/* p * 2^n of an integral n in -126..127 */
MT_INLINE vf v_scale2(vf p, vf n)
{
    return _mm512_scalef_ps(p, n);
}
/* 1/d of d >= 1 within 1.5 units in the last place: a division of 16 lanes takes three times as long */
MT_INLINE vf v_recip(vf d)
{
    vf y = _mm512_rcp14_ps(d);
    return _mm512_fmadd_ps(y, _mm512_fnmadd_ps(d, y, _mm512_set1_ps(1.0f)), y);
}
MT_INLINE double v_sum_double(vf x)
{
    __m512d lo = _mm512_cvtps_pd(_mm512_castps512_ps256(x)),
            hi = _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1));
    return _mm512_reduce_add_pd(_mm512_add_pd(lo, hi));
}
MT_INLINE float v_sum(vf x)
{
    return _mm512_reduce_add_ps(x);
}

#elif defined(MT_SIMD_AVX2)

#define VL 8
#define MT_ISA(name) name##__avx2
typedef __m256 vf;
typedef __m256 vmask;
MT_INLINE vf v_load(const float *p)
{
    return _mm256_loadu_ps(p);
}
MT_INLINE void v_store(float *p, vf x)
{
    _mm256_storeu_ps(p, x);
}
MT_INLINE vf v_set1(float x)
{
    return _mm256_set1_ps(x);
}
MT_INLINE vf v_zero(void)
{
    return _mm256_setzero_ps();
}
MT_INLINE vf v_add(vf a, vf b)
{
    return _mm256_add_ps(a, b);
}
MT_INLINE vf v_sub(vf a, vf b)
{
    return _mm256_sub_ps(a, b);
}
MT_INLINE vf v_mul(vf a, vf b)
{
    return _mm256_mul_ps(a, b);
}
MT_INLINE vf v_div(vf a, vf b)
{
    return _mm256_div_ps(a, b);
}
MT_INLINE vf v_fma(vf a, vf b, vf c)
{
    return _mm256_fmadd_ps(a, b, c);
}
MT_INLINE vf v_fnma(vf a, vf b, vf c)
{
    return _mm256_fnmadd_ps(a, b, c);
}
MT_INLINE vf v_max(vf a, vf b)
{
    return _mm256_max_ps(a, b);
}
MT_INLINE vf v_min(vf a, vf b)
{
    return _mm256_min_ps(a, b);
}
MT_INLINE vmask v_lt(vf a, vf b)
{
    return _mm256_cmp_ps(a, b, _CMP_LT_OQ);
}
MT_INLINE vmask v_nan(vf a)
{
    return _mm256_cmp_ps(a, a, _CMP_UNORD_Q);
}
MT_INLINE vf v_pick(vmask m, vf yes, vf no)
{
    return _mm256_blendv_ps(no, yes, m);
}
MT_INLINE vmask v_first(size_t n)
{
    static const int32_t ones[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_ps((const float *)(const void *)(ones + 8 - (n > 8 ? 8 : n)));
}
MT_INLINE vf v_load_m(const float *p, vmask m)
{
    return _mm256_maskload_ps(p, _mm256_castps_si256(m));
}
MT_INLINE void v_store_m(float *p, vf x, vmask m)
{
    _mm256_maskstore_ps(p, _mm256_castps_si256(m), x);
}
MT_INLINE vf v_abs(vf x)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x);
}
MT_INLINE vf v_copysign(vf mag, vf sign)
{
    vf s = _mm256_set1_ps(-0.0f);
    return _mm256_or_ps(_mm256_andnot_ps(s, mag), _mm256_and_ps(s, sign));
}
MT_INLINE vf v_round(vf x)
{
    return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
MT_INLINE vf v_exp2i(vf n)
{
    __m256i i = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(i, 23));
}
MT_INLINE vf v_scale2(vf p, vf n)
{
    return _mm256_mul_ps(p, v_exp2i(n));
}
MT_INLINE vf v_recip(vf d)
{
    return _mm256_div_ps(_mm256_set1_ps(1.0f), d);
}
MT_INLINE double v_sum_double(vf x)
{
    __m256d s = _mm256_add_pd(_mm256_cvtps_pd(_mm256_castps256_ps128(x)),
                              _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1)));
    __m128d h = _mm_add_pd(_mm256_castpd256_pd128(s), _mm256_extractf128_pd(s, 1));
    return _mm_cvtsd_f64(h) + _mm_cvtsd_f64(_mm_unpackhi_pd(h, h));
}
MT_INLINE float v_sum(vf x)
{
    __m128 h = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    h = _mm_add_ps(h, _mm_movehl_ps(h, h));
    return _mm_cvtss_f32(_mm_add_ss(h, _mm_shuffle_ps(h, h, 1)));
}

#elif defined(MT_SIMD_NEON)

/* Two registers are one block of 8: level 1 of every machine has the same layout. */
#define VL 8
#define MT_ISA(name) name##__neon
typedef struct {
    float32x4_t a, b;
} vf;
typedef struct {
    uint32x4_t a, b;
} vmask;
MT_INLINE vf v_load(const float *p)
{
    return (vf){vld1q_f32(p), vld1q_f32(p + 4)};
}
MT_INLINE void v_store(float *p, vf x)
{
    vst1q_f32(p, x.a);
    vst1q_f32(p + 4, x.b);
}
MT_INLINE vf v_set1(float x)
{
    float32x4_t v = vdupq_n_f32(x);
    return (vf){v, v};
}
MT_INLINE vf v_zero(void)
{
    return v_set1(0.0f);
}
MT_INLINE vf v_add(vf x, vf y)
{
    return (vf){vaddq_f32(x.a, y.a), vaddq_f32(x.b, y.b)};
}
MT_INLINE vf v_sub(vf x, vf y)
{
    return (vf){vsubq_f32(x.a, y.a), vsubq_f32(x.b, y.b)};
}
MT_INLINE vf v_mul(vf x, vf y)
{
    return (vf){vmulq_f32(x.a, y.a), vmulq_f32(x.b, y.b)};
}
MT_INLINE vf v_div(vf x, vf y)
{
    return (vf){vdivq_f32(x.a, y.a), vdivq_f32(x.b, y.b)};
}
MT_INLINE vf v_fma(vf x, vf y, vf z)
{
    return (vf){vfmaq_f32(z.a, x.a, y.a), vfmaq_f32(z.b, x.b, y.b)};
}
MT_INLINE vf v_fnma(vf x, vf y, vf z)
{
    return (vf){vfmsq_f32(z.a, x.a, y.a), vfmsq_f32(z.b, x.b, y.b)};
}
MT_INLINE vmask v_lt(vf x, vf y)
{
    return (vmask){vcltq_f32(x.a, y.a), vcltq_f32(x.b, y.b)};
}
MT_INLINE vmask v_nan(vf x)
{
    return (vmask){vmvnq_u32(vceqq_f32(x.a, x.a)), vmvnq_u32(vceqq_f32(x.b, x.b))};
}
MT_INLINE vf v_pick(vmask m, vf yes, vf no)
{
    return (vf){vbslq_f32(m.a, yes.a, no.a), vbslq_f32(m.b, yes.b, no.b)};
}
/* As on x86: the second operand when either is NaN (vmaxq would give NaN for both). */
MT_INLINE vf v_max(vf x, vf y)
{
    return v_pick(v_lt(y, x), x, y);
}
MT_INLINE vf v_min(vf x, vf y)
{
    return v_pick(v_lt(x, y), x, y);
}
MT_INLINE vmask v_first(size_t n)
{
    static const uint32_t ones[16] = {-1u, -1u, -1u, -1u, -1u, -1u, -1u, -1u};
    const uint32_t *from = ones + 8 - (n > 8 ? 8 : n);
    return (vmask){vld1q_u32(from), vld1q_u32(from + 4)};
}
MT_INLINE bool v_whole(vmask m)
{
    return vminvq_u32(vandq_u32(m.a, m.b)) != 0;
}
MT_INLINE vf v_load_m(const float *p, vmask m)
{
    if (v_whole(m)) return v_load(p);
    uint32_t on[8];
    float x[8];
    vst1q_u32(on, m.a);
    vst1q_u32(on + 4, m.b);
    for (int i = 0; i < 8; i++) x[i] = on[i] ? p[i] : 0.0f;
    return v_load(x);
}
MT_INLINE void v_store_m(float *p, vf x, vmask m)
{
    uint32_t on[8];
    float from[8];
    vst1q_u32(on, m.a);
    vst1q_u32(on + 4, m.b);
    v_store(from, x);
    for (int i = 0; i < 8; i++)
        if (on[i]) p[i] = from[i];
}
MT_INLINE vf v_abs(vf x)
{
    return (vf){vabsq_f32(x.a), vabsq_f32(x.b)};
}
MT_INLINE vf v_copysign(vf mag, vf sign)
{
    uint32x4_t bit = vdupq_n_u32(0x80000000u);
    return (vf){vbslq_f32(bit, sign.a, mag.a), vbslq_f32(bit, sign.b, mag.b)};
}
MT_INLINE vf v_round(vf x)
{
    return (vf){vrndnq_f32(x.a), vrndnq_f32(x.b)};
}
MT_INLINE float32x4_t v_exp2i_half(float32x4_t n)
{
    return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127)), 23));
}
MT_INLINE vf v_exp2i(vf n)
{
    return (vf){v_exp2i_half(n.a), v_exp2i_half(n.b)};
}
MT_INLINE vf v_scale2(vf p, vf n)
{
    return v_mul(p, v_exp2i(n));
}
MT_INLINE vf v_recip(vf d)
{
    return v_div(v_set1(1.0f), d);
}
MT_INLINE double v_sum_double(vf x)
{
    float64x2_t lo = vaddq_f64(vcvt_f64_f32(vget_low_f32(x.a)), vcvt_high_f64_f32(x.a)),
                hi = vaddq_f64(vcvt_f64_f32(vget_low_f32(x.b)), vcvt_high_f64_f32(x.b));
    return vaddvq_f64(vaddq_f64(lo, hi));
}
MT_INLINE float v_sum(vf x)
{
    return vaddvq_f32(vaddq_f32(x.a, x.b));
}

#else
#error "define MT_SIMD_AVX2, MT_SIMD_AVX512 or MT_SIMD_NEON first"
#endif

/* The larger; NaN when either is. */
MT_INLINE vf v_max_nan(vf a, vf b)
{
    return v_pick(v_nan(a), a, v_max(a, b));
}
MT_INLINE vf v_clip(vf x, vf lo, vf hi)
{
    return v_min(hi, v_max(lo, x));
}

#endif
