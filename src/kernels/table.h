/* The table behind mt_kernels: one member a kernel, filled from the families' kernels.def.
 *
 * Only src/kernels, tests/kernels and benchmarks include this. Kernels that work on blocked tensors
 * handle ONE block (b lanes) unless they say otherwise; the reference works for any b, so that a
 * table may keep it where no faster variant exists. */
#ifndef MT_KERNELS_TABLE_H
#define MT_KERNELS_TABLE_H

#include <stdbool.h>
#include "base/cpu.h"
#include "kernels/kernels.h"

#define MT_MAX_BLOCK 16

/* ---- f32_conv ---- */

/* The specification: plain loops over blocked (or plain) input, any shape, any group. Weights OIHW.
 */
typedef void mt_conv_plain_fn(const mt_conv_desc *d, int b, const float *in, const float *w,
                              const float *bias, const float *res, float *out);

/* One register tile: p output places x q output blocks, summed over n_blocks x n_taps x len
 * products. in + j*in_step + off[t*p + i] .. + len  are the inputs of place i, tap t, input block
 * j; off < 0 stands for zeros (padding); w runs [n_blocks][n_taps][len][q][b]; out block o of place
 * i is out + o*out_step + i*b. first: start from bias (+ res), else from what out holds. Results
 * are clipped to lo..hi (NaN stays). */
typedef struct mt_conv_tile {
    const float *in;
    size_t in_step;
    const int32_t *off;
    int n_blocks, n_taps, len;
    int spare; /* the last block's inputs and weights past len - spare are zeros: left out */
    int p, q;
    int first;
    const float *w;
    ptrdiff_t w_ahead; /* weights this far behind the ones in use are brought near: the next
                          panel's, or 0 */
    const float *bias; /* q*b */
    const float *res;  /* as out, or NULL */
    float *out;
    size_t out_step;
    float lo, hi;
} mt_conv_tile;
typedef void mt_conv_tile_fn(const mt_conv_tile *t);

/* Winograd transforms of one tile, one block. m = 2 or 4 outputs a side, t = m + 2.
 * in: t x t patch, row pitch in floats, read where rows y0..y1 and columns x0..x1 of the patch lie
 * inside the image (the rest is zero); v: place s of the t*t is v + s*v_step. */
typedef void mt_wino_in_fn(float *v, size_t v_step, const float *in, size_t pitch, int y0, int y1,
                           int x0, int x1);
/* m: t*t places, m_step apart; writes ny x nx of the m x m outputs, + bias + res, clipped. */
typedef void mt_wino_out_fn(float *out, size_t pitch, const float *m, size_t m_step, int ny, int nx,
                            const float *bias, const float *res, float lo, float hi);
typedef mt_wino_in_fn mt_wino2_in_fn, mt_wino4_in_fn;
typedef mt_wino_out_fn mt_wino2_out_fn, mt_wino4_out_fn;

/* Plain CHW to zero-padded [hp][wp][c]; the image's corner lands on (pt, pl). */
typedef void mt_conv_pack_fn(float *dst, int hp, int wp, const float *src, int c, int h, int w,
                             int pt, int pl);

/* ---- f32_dwconv: one block, one channel a group; w [kh*kw][b], bias b floats ---- */
typedef void mt_dwconv_fn(const mt_conv_desc *d, int b, const float *in, const float *w,
                          const float *bias, const float *res, float *out);

/* ---- f32_pool: one block ---- */
typedef void mt_pool_fn(const mt_pool_desc *d, int b, const float *in, float *out);
typedef mt_pool_fn mt_pool_max_fn, mt_pool_avg_fn;
typedef void mt_gpool_fn(const float *in, int b, size_t hw, float *out);
typedef mt_gpool_fn mt_gpool_avg_fn, mt_gpool_max_fn;

/* ---- f32_elem ---- */
typedef void mt_elem2_fn(float *dst, const float *x, const float *y, size_t n);
typedef mt_elem2_fn mt_elem_add_fn, mt_elem_sub_fn, mt_elem_mul_fn;
typedef void mt_elem_act_fn(float *dst, const float *x, size_t n, mt_act act, float a, float b);
typedef void mt_elem_add_act_fn(float *dst, const float *x, const float *y, size_t n, mt_act act,
                                float a, float b);
/* One block: dst[i][l] = x[i][l]*scale[l] + shift[l] over hw places. */
typedef void mt_elem_affine_fn(float *dst, const float *x, int b, size_t hw, const float *scale,
                               const float *shift);

/* ---- f32_layout: one block of c <= b channels ---- */
typedef void mt_layout_fn(float *dst, const float *src, int b, int c, size_t hw);
typedef mt_layout_fn mt_layout_to_fn, mt_layout_from_fn;

/* ---- f32_gemm: op(A) element (i, l) = a[i*ras + l*cas]; C = alpha*A*B + beta*C + bias ---- */
typedef struct mt_gemm_args {
    int m, n, n_k;
    const float *a;
    size_t ras, cas;
    const float *b;
    size_t ldb;
    float *c;
    size_t ldc;
    const float *bias;
    float alpha, beta;
} mt_gemm_args;
typedef void mt_gemm_nn_fn(const mt_gemm_args *g); /* B stored n_k x n */
typedef void mt_gemm_nt_fn(const mt_gemm_args *g); /* B stored n x n_k */

/* ---- f32_dense: m rows of A against one packed panel of B, [n_k][panel], panel = 2*block ---- */
typedef struct mt_gemm_panel_args {
    int m, n, n_k; /* n <= panel: columns of C that are written */
    int panel;
    int more; /* 1: adds to what C holds */
    const float *a, *b;
    size_t lda;
    const float *bias; /* n floats or NULL */
    const float *res;  /* added before the activation, or NULL; may be C (then more is 0) */
    size_t ldres;
    float *c;
    size_t ldc;
    mt_act act;
    float act_a, act_b;
} mt_gemm_panel_args;
typedef void mt_gemm_panel_fn(const mt_gemm_panel_args *g);

/* ---- f32_softmax ---- */
typedef void mt_softmax_row_fn(float *dst, const float *src, size_t n);

/* ---- f32_norm: gamma and beta hold n floats or are NULL ---- */
typedef void mt_norm_row_fn(float *dst, const float *src, size_t n, const float *gamma,
                            const float *beta, float eps);

/* ---- f32_attn: s = scale*s + masks, then exp(s - max) with the maximum seen so far; *sum is
 * brought to the new maximum and grows. Returns what earlier results must be multiplied by. ---- */
typedef float mt_attn_exp_fn(float *s, size_t n, float scale, const float *mask1,
                             const float *mask2, float *top, float *sum);

/* ---- i8_conv: kernels/i8.h says what the numbers are ---- */

/* How sums become bytes. */
enum { MT_I8_BYTES, MT_I8_RESIDUAL, MT_I8_ACT, MT_I8_FLOATS };
typedef struct mt_i8_post {
    int mode, zero, lo, hi;
    float mid_lo, mid_hi, mid_k, res_k, res_c; /* residual: y*mid_k + (res*res_k + res_c) */
    mt_act act;
    float act_a, act_b, inv_scale;
} mt_i8_post;

struct mt_i8_conv_desc;
/* The specification: one image; w OIHW, mul and add by channel, the sums start from start. */
typedef struct mt_i8_plain {
    const struct mt_i8_conv_desc *d;
    const mt_i8_post *post;
    int in_pitch, out_pitch;
    const int8_t *w;
    const int32_t *start;
    const float *mul, *add;
} mt_i8_plain;
typedef void mt_i8_plain_fn(const mt_i8_plain *c, const uint8_t *in, const uint8_t *res, void *out);

/* One register tile: p places x q blocks of 16 channels. Place i of tap t is the `len` dwords at
 * at[t*8 + i] + shift. w runs [n_taps][len][q] blocks: 16 dwords of four signed bytes, or (wide
 * tables) 16 dwords of the even two as 16 bits, then 16 of the odd two. Lanes of VNNI tiles that
 * make bytes as mt_i8_lane_channel says. */
typedef struct mt_i8_tile {
    const uint8_t *const *at;
    ptrdiff_t shift;
    int n_taps, len, p, q;
    const void *w;
    ptrdiff_t w_ahead; /* bytes: weights this far behind those in use are brought near */
    const int32_t *start;
    const float *mul, *add;
    const mt_i8_post *post;
    void *out; /* bytes, or floats */
    const uint8_t *res;
    size_t out_pitch, res_pitch; /* elements between places */
} mt_i8_tile;
typedef void mt_i8_tile_fn(const mt_i8_tile *t);

/* ---- i8_dwconv: one channel a group. p <= 4 neighbouring places of one row, every channel of
 * them. Column j of kernel row r is at[r*columns + j], columns = (p-1)*sw + kw. ---- */
typedef struct mt_i8_dw {
    const uint8_t *const *at;
    int columns, p, sw, kh, kw, pitch;
    const void *w;
    const int32_t *start;
    const float *mul, *add;
    const mt_i8_post *post;
    void *out;
    const uint8_t *res;
} mt_i8_dw;
typedef void mt_i8_dw_fn(const mt_i8_dw *t);

/* ---- i8_elem ---- */
struct mt_i8_pair;
typedef void mt_i8_pair_fn(const struct mt_i8_pair *d, uint8_t *dst, const uint8_t *x,
                           const uint8_t *y, size_t n);
typedef mt_i8_pair_fn mt_i8_add_fn, mt_i8_mul_fn;
/* dst = x * factor by channel; factor: pitch floats */
typedef void mt_i8_scale_fn(uint8_t *dst, const uint8_t *x, const float *factor, int pitch,
                            size_t places, int x_zero, int out_zero, int lo, int hi);
typedef void mt_i8_map_fn(const uint8_t *table, uint8_t *dst, const uint8_t *x, size_t n);
/* Maximum of n places of `pitch` bytes; sum += the first `width` bytes of n places. */
typedef void mt_i8_max_fn(uint8_t *dst, const uint8_t *const *at, int n, int pitch);
typedef void mt_i8_sum_fn(int32_t *sum, const uint8_t *x, size_t n, int width, int pitch);
/* dst = sum * factor + zero, clamped; n numbers */
typedef void mt_i8_mean_fn(uint8_t *dst, const int32_t *sum, int n, int32_t start, float factor,
                           int zero, int lo, int hi);
typedef void mt_i8_from_f32_fn(uint8_t *dst, const float *src, int c, int pitch, size_t places,
                               float scale, int zero);
typedef void mt_i8_to_f32_fn(float *dst, const uint8_t *src, int c, int pitch, size_t places,
                             float scale, int zero);

/* ---- the table ---- */

struct mt_kernel_table {
#define MT_K(isa, fn, p, q, tol) MT_K_##isa(fn)
#define MT_K_ref(fn) mt_##fn##_fn *fn;
#define MT_K_avx2(fn)
#define MT_K_avx512(fn)
#define MT_K_vnni(fn)
#define MT_K_neon(fn)
#include "kernels/all.def"
#undef MT_K_ref
    /* These have no reference: the plain convolution is theirs. */
    mt_wino2_in_fn *wino2_in;
    mt_wino2_out_fn *wino2_out;
    mt_wino4_in_fn *wino4_in;
    mt_wino4_out_fn *wino4_out;
    mt_i8_tile_fn *i8_tile;
    mt_i8_dw_fn *i8_dw;
    int tile_p, tile_q; /* largest register tile of conv_tile: places, blocks */
    int i8_p, i8_q;     /* of i8_tile: places, blocks of 16 channels */
    int i8_wide;        /* 1: i8_tile takes weights of 16 bits */
};

/* Prototypes of every variant: mt_<kernel>__<isa>. */
#define MT_K_ref(fn) mt_##fn##_fn mt_##fn##__ref;
#undef MT_K_avx2
#undef MT_K_avx512
#define MT_K_avx2(fn) mt_##fn##_fn mt_##fn##__avx2;
#define MT_K_avx512(fn) mt_##fn##_fn mt_##fn##__avx512;
#undef MT_K_vnni
#define MT_K_vnni(fn) mt_##fn##_fn mt_##fn##__vnni;
#undef MT_K_neon
#define MT_K_neon(fn) mt_##fn##_fn mt_##fn##__neon;
#include "kernels/all.def"
#undef MT_K_neon
#undef MT_K_ref
#undef MT_K_avx2
#undef MT_K_avx512
#undef MT_K_vnni
#undef MT_K

/* The rows as data: for checks and the bench. */
#define MT_LEVEL_ELSEWHERE 100
typedef struct mt_kernel_row {
    const char *kernel, *isa;
    int level; /* vnni rows stand beside avx512: mt_cpu_vnni(); neon rows are level 1 of an aarch64
                  machine; MT_LEVEL_ELSEWHERE: a row of the other kind of machine */
    int p, q;  /* register tile: places (or rows) x vectors */
    float tol;       /* largest error allowed, relative to the largest reference output */
} mt_kernel_row;
const mt_kernel_row *mt_kernel_rows(size_t *n);
/* Tolerance of `kernel` in the table of `level`: of the best row not above it. 0 when there is
 * none. */
float mt_kernel_tolerance(const char *kernel, int level);

#endif
