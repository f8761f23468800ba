/* Float32 kernels behind one dispatch table.
 *
 * A table holds the best variant of every kernel for one instruction set. It is immutable and
 * shared by all threads. Every function here is a pure function of its arguments: which variant
 * runs depends on shape and instruction set alone, never on addresses, threads or batch, so that
 * the same input gives the same bits. Between instruction sets results differ by rounding (1e-4 of
 * the largest output at most).
 *
 * Blocked activations. A tensor of C channels, H rows, W columns of ONE image is stored as
 * [ceil(C/b)][H][W][b] floats, b = table->block, 64-byte aligned. Lanes past C are zero, and every
 * function below that writes a blocked tensor keeps them zero (mt_f32_add, mt_f32_mul and
 * mt_f32_act work on any floats: see there). A batch is a loop outside.
 *
 * NaN and Inf travel: a NaN in the input reaches the output, possibly in more places than in exact
 * arithmetic (Winograd tiles, groups narrower than a block). */
#ifndef MT_KERNELS_KERNELS_H
#define MT_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "microtome/err.h"

/* ---- the table ---- */

struct mt_kernel_table; /* kernels/table.h: for the kernels, their tests and the bench */

typedef struct mt_kernels {
    const char *name; /* "ref", "avx2", "avx512" */
    int level;        /* MT_CPU_REF, MT_CPU_AVX2, MT_CPU_AVX512 of base/cpu.h */
    int block;        /* channels per block b: 16 for avx512, else 8 */
    const struct mt_kernel_table *fn;
} mt_kernels;

/* The table for mt_cpu_level(), for ever valid. Objects made with one table (mt_conv) are run with
 * it. */
const mt_kernels *mt_kernels_get(void);

/* Blocks of c channels, and floats of a blocked tensor of c channels and hw = H*W places. */
static inline int mt_blocks(const mt_kernels *k, int c)
{
    return (c + k->block - 1) / k->block;
}
static inline size_t mt_blocked_floats(const mt_kernels *k, int c, size_t hw)
{
    return (size_t)mt_blocks(k, c) * (size_t)k->block * hw;
}

/* ---- activations ---- */

typedef enum mt_act {
    MT_ACT_NONE,
    MT_ACT_RELU,     /* max(x, 0) */
    MT_ACT_CLIP,     /* min(max(x, a), b) */
    MT_ACT_LEAKY,    /* x < 0 ? a*x : x */
    MT_ACT_SIGMOID,  /* 1 / (1 + exp(-x)) */
    MT_ACT_HSIGMOID, /* min(max(a*x + b, 0), 1) */
    MT_ACT_HSWISH,   /* x * min(max(x/6 + 0.5, 0), 1) */
    MT_ACT_SILU,     /* x * sigmoid(x) */
    MT_ACT_TANH,
    MT_ACT_GELU,      /* x * (1 + erf(x / sqrt 2)) / 2 */
    MT_ACT_GELU_TANH, /* x * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))) / 2 */
    MT_ACT_COUNT
} mt_act;

/* ---- convolution ---- */

typedef struct mt_conv_desc {
    int cin, cout, groups;
    int h, w, oh, ow; /* input and output size; 1-D: h = oh = kh = 1 */
    int kh, kw, sh, sw, dh, dw;
    int pt, pl;   /* pads at top and left; bottom and right follow from oh, ow */
    int in_plain; /* 1: input is plain CHW (first layers, small cin); 0: blocked */
    int residual; /* 1: a blocked tensor of the output's shape is added before the activation */
    mt_act act;
    float act_a, act_b;
} mt_conv_desc;

typedef struct mt_conv mt_conv;

/* Packs weights (cout, cin/groups, kh, kw; row-major) and bias (cout, or NULL) for table k and
 * picks the variant. Weights and bias are copied. *out is the caller's. Errors: ARG (a description
 * that makes no sense, with the values), LIMIT, NO_MEMORY. */
MT_MUST_USE mt_status mt_conv_new(mt_conv **out, const mt_kernels *k, const mt_conv_desc *d,
                                  const float *weights_oihw, const float *bias, mt_err *err);

/* The same with a named variant instead of the rule's choice ("plain", "direct", "wino2", "wino4",
 * "depthwise"): for checks and the bench. UNSUPPORTED when the variant does not fit table or shape.
 */
MT_MUST_USE mt_status mt_conv_new_variant(mt_conv **out, const mt_kernels *k, const mt_conv_desc *d,
                                          const char *variant, const float *weights_oihw,
                                          const float *bias, mt_err *err);

/* Accepts NULL and nulls the handle. */
void mt_conv_free(mt_conv **conv);

/* Bytes mt_conv_run needs at `scratch` (64-byte aligned); 0 = none. */
size_t mt_conv_scratch_bytes(const mt_conv *conv);

/* Bytes of packed weights the object holds. */
size_t mt_conv_weight_bytes(const mt_conv *conv);

/* What runs: "plain", "direct3x3", "gemm1x1", "stem7x7", "grouped3x3", "wino4x3", "wino2x3",
 * "depthwise3x3", ... Never NULL, lives as long as the object. */
const char *mt_conv_variant(const mt_conv *conv);

/* One image. in: plain or blocked as described; out: blocked, every lane written, never aliases in
 * or scratch; residual: blocked, NULL unless d.residual, may be the same pointer as out.
 * Thread-safe on one object as long as scratch and out differ. */
void mt_conv_run(const mt_conv *conv, const float *in, const float *residual, float *out,
                 void *scratch);

/* A 1x1 convolution and a depthwise one that reads its output, in one pass through the caches: the
 * bits of one after the other, and nobody sees what lies between. True when the two go together. */
bool mt_conv_pairs(const mt_conv *first, const mt_conv *dw);
size_t mt_conv_pair_scratch_bytes(const mt_conv *first, const mt_conv *dw);
/* in: of `first`; residual (of `dw`), out, scratch as in mt_conv_run. */
void mt_conv_pair_run(const mt_conv *first, const mt_conv *dw, const float *in, const float *residual,
                      float *out, void *scratch);

/* ---- pools (blocked in, blocked out, never in place) ---- */

typedef struct mt_pool_desc {
    int c, h, w, oh, ow;
    int kh, kw, sh, sw, dh, dw;
    int pt, pl, pb, pr;    /* pb and pr only matter to count_include_pad */
    int count_include_pad; /* average: divide by the window's part inside the padded input, else
                              inside the input */
} mt_pool_desc;

/* Places outside the input do not take part. A window wholly outside gives -FLT_MAX (max) or 0
 * (average). */
void mt_max_pool(const mt_kernels *k, const mt_pool_desc *d, const float *in, float *out);
void mt_avg_pool(const mt_kernels *k, const mt_pool_desc *d, const float *in, float *out);
/* out: ceil(c/b)*b floats, which is the blocked tensor of c channels and one place. */
void mt_global_avg_pool(const mt_kernels *k, const float *in, int c, size_t hw, float *out);
void mt_global_max_pool(const mt_kernels *k, const float *in, int c, size_t hw, float *out);

/* ---- element-wise over n floats; dst may be the same pointer as an input; any alignment ---- */

void mt_f32_add(const mt_kernels *k, float *dst, const float *x, const float *y, size_t n);
void mt_f32_sub(const mt_kernels *k, float *dst, const float *x, const float *y, size_t n);
void mt_f32_mul(const mt_kernels *k, float *dst, const float *x, const float *y, size_t n);
/* On blocked tensors whose C is no multiple of b use mt_blocked_act: act(0) need not be 0. */
void mt_f32_act(const mt_kernels *k, float *dst, const float *x, size_t n, mt_act act, float a,
                float b);
void mt_f32_add_act(const mt_kernels *k, float *dst, const float *x, const float *y, size_t n,
                    mt_act act, float a, float b);

/* ---- blocked tensors of c channels and hw places; dst may be the same pointer as x ---- */

void mt_blocked_act(const mt_kernels *k, float *dst, const float *x, int c, size_t hw, mt_act act,
                    float a, float b);
/* act(x*scale[ch] + shift[ch]); scale and shift hold c floats, either may be NULL (1, 0). */
void mt_blocked_scale_shift(const mt_kernels *k, float *dst, const float *x, int c, size_t hw,
                            const float *scale, const float *shift, mt_act act, float a, float b);
/* x * gate[ch]; gate is a blocked tensor of one place (ceil(c/b)*b floats). */
void mt_blocked_mul_channels(const mt_kernels *k, float *dst, const float *x, const float *gate,
                             int c, size_t hw);
/* Sets the lanes past c to zero. */
void mt_blocked_clear_pad(const mt_kernels *k, float *x, int c, size_t hw);

/* ---- layout ---- */

void mt_to_blocked(const mt_kernels *k, float *dst, const float *src_chw, int c, size_t hw);
void mt_from_blocked(const mt_kernels *k, float *dst_chw, const float *src, int c, size_t hw);

/* ---- dense ---- */

/* C = alpha * op(A) * op(B) + beta * C + bias. op(A) is m x n_k, op(B) is n_k x n, row-major with
 * leading dimensions in floats; trans_x = 1 reads the stored matrix transposed. bias: n floats
 * added to every row, or NULL. beta 0 never reads C. C never aliases A or B. The result of a row
 * does not depend on m or on other rows; no memory is allocated. */
void mt_f32_gemm(const mt_kernels *k, int m, int n, int n_k, float alpha, const float *a,
                 size_t lda, int trans_a, const float *b, size_t ldb, int trans_b, float beta,
                 float *c, size_t ldc, const float *bias);

/* A product with a matrix known beforehand. packed: B (n_k x n) in panels of 2*block columns, each
 * panel [n_k][2*block] with zeros past n; any float alignment, 64 bytes are fastest. */
typedef struct mt_dense {
    int n, n_k;
    const float *packed; /* mt_dense_floats floats filled by mt_dense_pack with the same table */
    const float *bias;   /* n floats or NULL */
    mt_act act;
    float act_a, act_b;
    size_t lda, ldc, ldres; /* floats from row to row of A, C and the residual */
} mt_dense;
size_t mt_dense_floats(const mt_kernels *k, int n, int n_k);
/* trans_b 1: B is stored n x n_k. */
void mt_dense_pack(const mt_kernels *k, float *packed, int n, int n_k, const float *b, size_t ldb,
                   int trans_b);
size_t mt_dense_scratch_bytes(const mt_dense *d);
/* C = act(A * B + bias + res) on m rows. res: NULL, or m rows of n floats; it may be C itself. C
 * does not alias A otherwise. Every row is computed by itself: the same bits for any m. */
void mt_dense_run(const mt_kernels *k, const mt_dense *d, size_t m, const float *a,
                  const float *res, float *c, void *scratch);

/* Softmax of each of `rows` rows of `cols` floats (row maximum subtracted). dst may be src. */
void mt_f32_softmax(const mt_kernels *k, float *dst, const float *src, size_t rows, size_t cols);

/* (x - mean) / sqrt(variance + eps) * gamma + beta of each of `rows` rows of `cols` floats; gamma
 * and beta hold cols floats or are NULL. dst may be src. */
void mt_f32_norm(const mt_kernels *k, float *dst, const float *src, size_t rows, size_t cols,
                 const float *gamma, const float *beta, float eps);

/* One row of a softmax that sees its n scores block by block: s becomes exp(scale*s - top), *top
 * the largest so far (start at -INFINITY), *sum the sum so far at that top (start at 0). Returns what
 * results of earlier blocks must be multiplied by. */
float mt_f32_attn_exp(const mt_kernels *k, float *s, size_t n, float scale, float *top, float *sum);

/* ---- attention: out = softmax(scale * Q * K' + mask1 + mask2) * V, one head ---- */

typedef struct mt_attn {
    int n_q, n_keys, d, dv; /* queries, keys, floats of a query and key, of a value */
    float scale;
    /* Floats from the given pointers to row i; a row's floats stand together. */
    const int64_t *q_at, *k_at, *v_at, *o_at;
    size_t ld_mask1, ld_mask2; /* floats from row to row of the masks; 0 = one row for all */
} mt_attn;
size_t mt_attn_scratch_bytes(const mt_kernels *k, const mt_attn *a);
/* Masks: n_q (or 1) rows of n_keys floats, or NULL; -INFINITY leaves a key out. Never holds more
 * than a few rows of scores: memory grows with n_keys, not with n_q * n_keys. out aliases nothing. */
void mt_attn_run(const mt_kernels *k, const mt_attn *a, const float *q, const float *key,
                 const float *value, const float *mask1, const float *mask2, float *out,
                 void *scratch);

#endif
