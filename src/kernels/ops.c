/* The public kernels that are a loop over blocks around one table entry. */
#include <string.h>

#include "base/mem.h"
#include "kernels/table.h"

void mt_max_pool(const mt_kernels *k, const mt_pool_desc *d, const float *in, float *out)
{
    size_t in_step = (size_t)d->h * (size_t)d->w * (size_t)k->block;
    size_t out_step = (size_t)d->oh * (size_t)d->ow * (size_t)k->block;
    int n = mt_blocks(k, d->c);
    for (int i = 0; i < n; i++, in += in_step, out += out_step)
        k->fn->pool_max(d, k->block, in, out);
}

void mt_avg_pool(const mt_kernels *k, const mt_pool_desc *d, const float *in, float *out)
{
    size_t in_step = (size_t)d->h * (size_t)d->w * (size_t)k->block;
    size_t out_step = (size_t)d->oh * (size_t)d->ow * (size_t)k->block;
    int n = mt_blocks(k, d->c);
    for (int i = 0; i < n; i++, in += in_step, out += out_step)
        k->fn->pool_avg(d, k->block, in, out);
}

void mt_global_avg_pool(const mt_kernels *k, const float *in, int c, size_t hw, float *out)
{
    int n = mt_blocks(k, c), b = k->block;
    for (int i = 0; i < n; i++)
        k->fn->gpool_avg(in + (size_t)i * hw * (size_t)b, b, hw, out + (size_t)i * (size_t)b);
}

void mt_global_max_pool(const mt_kernels *k, const float *in, int c, size_t hw, float *out)
{
    int n = mt_blocks(k, c), b = k->block;
    for (int i = 0; i < n; i++)
        k->fn->gpool_max(in + (size_t)i * hw * (size_t)b, b, hw, out + (size_t)i * (size_t)b);
}

void mt_f32_add(const mt_kernels *k, float *dst, const float *x, const float *y, size_t n)
{
    k->fn->elem_add(dst, x, y, n);
}

void mt_f32_sub(const mt_kernels *k, float *dst, const float *x, const float *y, size_t n)
{
    k->fn->elem_sub(dst, x, y, n);
}

void mt_f32_mul(const mt_kernels *k, float *dst, const float *x, const float *y, size_t n)
{
    k->fn->elem_mul(dst, x, y, n);
}

void mt_f32_act(const mt_kernels *k, float *dst, const float *x, size_t n, mt_act act, float a,
                float b)
{
    k->fn->elem_act(dst, x, n, act, a, b);
}

void mt_f32_add_act(const mt_kernels *k, float *dst, const float *x, const float *y, size_t n,
                    mt_act act, float a, float b)
{
    k->fn->elem_add_act(dst, x, y, n, act, a, b);
}

void mt_blocked_clear_pad(const mt_kernels *k, float *x, int c, size_t hw)
{
    int b = k->block, used = c % b;
    if (!used) return;
    x += (size_t)(mt_blocks(k, c) - 1) * hw * (size_t)b;
    for (size_t i = 0; i < hw; i++)
        memset(x + i * (size_t)b + used, 0, (size_t)(b - used) * sizeof *x);
}

void mt_blocked_act(const mt_kernels *k, float *dst, const float *x, int c, size_t hw, mt_act act,
                    float a, float b)
{
    k->fn->elem_act(dst, x, mt_blocked_floats(k, c, hw), act, a, b);
    mt_blocked_clear_pad(k, dst, c, hw);
}

void mt_blocked_scale_shift(const mt_kernels *k, float *dst, const float *x, int c, size_t hw,
                            const float *scale, const float *shift, mt_act act, float a, float b)
{
    size_t step = hw * (size_t)k->block;
    for (int c0 = 0; c0 < c; c0 += k->block, dst += step, x += step) {
        float sc[MT_MAX_BLOCK] = {0}, sh[MT_MAX_BLOCK] = {0};
        int lanes = MT_MIN(k->block, c - c0);
        for (int l = 0; l < lanes; l++) {
            sc[l] = scale ? scale[c0 + l] : 1.0f;
            sh[l] = shift ? shift[c0 + l] : 0.0f;
        }
        /* In runs that stay in the first cache between the two steps. */
        for (size_t i = 0; i < hw; i += 128) {
            size_t n = MT_MIN(hw - i, (size_t)128), at = i * (size_t)k->block;
            k->fn->elem_affine(dst + at, x + at, k->block, n, sc, sh);
            if (act != MT_ACT_NONE)
                k->fn->elem_act(dst + at, dst + at, n * (size_t)k->block, act, a, b);
        }
        if (lanes < k->block) mt_blocked_clear_pad(k, dst, lanes, hw);
    }
}

void mt_blocked_mul_channels(const mt_kernels *k, float *dst, const float *x, const float *gate,
                             int c, size_t hw)
{
    static const float zero[MT_MAX_BLOCK];
    size_t step = hw * (size_t)k->block;
    int n = mt_blocks(k, c);
    for (int i = 0; i < n; i++, dst += step, x += step, gate += k->block)
        k->fn->elem_affine(dst, x, k->block, hw, gate, zero);
}

void mt_to_blocked(const mt_kernels *k, float *dst, const float *src_chw, int c, size_t hw)
{
    for (int c0 = 0; c0 < c; c0 += k->block)
        k->fn->layout_to(dst + (size_t)c0 * hw, src_chw + (size_t)c0 * hw, k->block,
                         MT_MIN(k->block, c - c0), hw);
}

void mt_from_blocked(const mt_kernels *k, float *dst_chw, const float *src, int c, size_t hw)
{
    for (int c0 = 0; c0 < c; c0 += k->block)
        k->fn->layout_from(dst_chw + (size_t)c0 * hw, src + (size_t)c0 * hw, k->block,
                           MT_MIN(k->block, c - c0), hw);
}

void mt_f32_gemm(const mt_kernels *k, int m, int n, int n_k, float alpha, const float *a,
                 size_t lda, int trans_a, const float *b, size_t ldb, int trans_b, float beta,
                 float *c, size_t ldc, const float *bias)
{
    mt_gemm_args g = {.m = m,
                      .n = n,
                      .n_k = n_k,
                      .a = a,
                      .b = b,
                      .ldb = ldb,
                      .c = c,
                      .ldc = ldc,
                      .bias = bias,
                      .alpha = alpha,
                      .beta = beta};
    g.ras = trans_a ? 1 : lda;
    g.cas = trans_a ? lda : 1;
    if (trans_b)
        k->fn->gemm_nt(&g);
    else
        k->fn->gemm_nn(&g);
}

void mt_f32_softmax(const mt_kernels *k, float *dst, const float *src, size_t rows, size_t cols)
{
    for (size_t r = 0; r < rows; r++)
        k->fn->softmax_row(dst + r * cols, src + r * cols, cols);
}

void mt_f32_norm(const mt_kernels *k, float *dst, const float *src, size_t rows, size_t cols,
                 const float *gamma, const float *beta, float eps)
{
    for (size_t r = 0; r < rows; r++)
        k->fn->norm_row(dst + r * cols, src + r * cols, cols, gamma, beta, eps);
}
