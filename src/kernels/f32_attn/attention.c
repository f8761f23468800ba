/* softmax(scale Q K' + masks) V of one head, block of keys by block of keys: the scores of a few
 * rows and KEYS keys are all that exists at a time, whatever the length. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "kernels/table.h"

enum { ROWS = 48, KEYS = 512 }; /* fixed: results never depend on threads or batch */

typedef struct head {
    const mt_kernels *k;
    const mt_attn *a;
    int panel, keys, ld_s, wide; /* keys of a block; pitch of a score row; floats of an output row */
    float *q, *keys_t, *values, *s, *o, *part;
} head;

static size_t up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

/* The parts of the scratch, one behind the other; returns its floats. */
static size_t lay_out(head *h, const mt_kernels *k, const mt_attn *a, float *p)
{
    size_t panel = 2 * (size_t)k->block, n = (size_t)a->n_keys, at = 0, sizes[6];
    h->k = k;
    h->a = a;
    h->panel = (int)panel;
    h->keys = (int)MT_MIN(n, (size_t)KEYS);
    h->ld_s = (int)up((size_t)h->keys, 16) + 16;
    h->wide = (int)up((size_t)a->dv, panel);
    sizes[0] = (size_t)ROWS * (size_t)a->d;
    sizes[1] = up(n, panel) * (size_t)a->d;
    sizes[2] = n * (size_t)h->wide;
    sizes[3] = MT_MAX((size_t)ROWS * (size_t)h->ld_s, 2 * panel * (size_t)a->d);
    sizes[4] = (size_t)ROWS * (size_t)h->wide;
    sizes[5] = a->n_keys > KEYS ? sizes[4] : 0;
    float **parts[6] = {&h->q, &h->keys_t, &h->values, &h->s, &h->o, &h->part};
    for (int i = 0; i < 6; i++) {
        *parts[i] = p ? p + at : NULL;
        at += up(sizes[i], 16);
    }
    return at;
}

size_t mt_attn_scratch_bytes(const mt_kernels *k, const mt_attn *a)
{
    head h;
    return lay_out(&h, k, a, NULL) * sizeof(float);
}

/* Keys as columns: panels [d][panel]. */
static void pack_keys(const head *h, const float *key)
{
    const mt_attn *a = h->a;
    size_t d = (size_t)a->d, b = (size_t)h->k->block;
    float *rows = h->s, *lanes = h->s + (size_t)h->panel * d;
    for (int j = 0; j < a->n_keys; j += h->panel) {
        float *dst = h->keys_t + (size_t)j * d;
        for (int half = 0; half < 2; half++) {
            int first = j + half * (int)b, n = MT_MAX(0, MT_MIN((int)b, a->n_keys - first));
            for (int r = 0; r < n; r++)
                memcpy(rows + (size_t)r * d, key + a->k_at[first + r], d * sizeof *rows);
            h->k->fn->layout_to(lanes, rows, (int)b, n, d);
            for (size_t i = 0; i < d; i++)
                memcpy(dst + i * (size_t)h->panel + (size_t)half * b, lanes + i * b,
                       b * sizeof *dst);
        }
    }
}

/* Values in panels [key][panel]. */
static void pack_values(const head *h, const float *value)
{
    const mt_attn *a = h->a;
    for (int c = 0; c < a->dv; c += h->panel) {
        float *dst = h->values + (size_t)c * (size_t)a->n_keys;
        size_t cols = (size_t)MT_MIN(h->panel, a->dv - c);
        for (int j = 0; j < a->n_keys; j++, dst += h->panel) {
            memcpy(dst, value + a->v_at[j] + c, cols * sizeof *dst);
            memset(dst + cols, 0, ((size_t)h->panel - cols) * sizeof *dst);
        }
    }
}

static void score_block(const head *h, int rows, int j0, int n)
{
    const mt_attn *a = h->a;
    mt_gemm_panel_args g = {.m = rows, .n_k = a->d, .panel = h->panel, .a = h->q,
                            .lda = (size_t)a->d, .ldc = (size_t)h->ld_s};
    for (int j = 0; j < n; j += h->panel) {
        g.n = MT_MIN(h->panel, n - j);
        g.b = h->keys_t + (size_t)(j0 + j) * (size_t)a->d;
        g.c = h->s + j;
        h->k->fn->gemm_panel(&g);
    }
}

static void value_block(const head *h, int rows, int j0, int n)
{
    mt_gemm_panel_args g = {.m = rows, .n_k = n, .panel = h->panel, .a = h->s, .lda = (size_t)h->ld_s, .n = h->panel, .ldc = (size_t)h->wide};
    for (int c = 0; c < h->a->dv; c += h->panel) {
        g.b = h->values + (size_t)c * (size_t)h->a->n_keys + (size_t)j0 * (size_t)h->panel;
        g.c = (j0 ? h->part : h->o) + c; /* long rows are summed in parts */
        h->k->fn->gemm_panel(&g);
    }
}

static const float *mask_row(const float *mask, size_t ld, int row, int j0)
{
    return mask ? mask + (size_t)row * ld + j0 : NULL;
}

static void some_rows(const head *h, const float *q, int i0, int rows, const float *mask1,
                      const float *mask2, float *out)
{
    const mt_attn *a = h->a;
    float top[ROWS], sum[ROWS];
    for (int r = 0; r < rows; r++) {
        memcpy(h->q + (size_t)r * (size_t)a->d, q + a->q_at[i0 + r], (size_t)a->d * sizeof *q);
        top[r] = -INFINITY;
        sum[r] = 0.0f;
    }
    for (int j = 0; j < a->n_keys; j += h->keys) {
        int n = MT_MIN(h->keys, a->n_keys - j);
        score_block(h, rows, j, n);
        for (int r = 0; r < rows; r++) {
            float factor =
                h->k->fn->attn_exp(h->s + (size_t)r * (size_t)h->ld_s, (size_t)n, a->scale,
                                   mask_row(mask1, a->ld_mask1, i0 + r, j),
                                   mask_row(mask2, a->ld_mask2, i0 + r, j), &top[r], &sum[r]);
            float *o = h->o + (size_t)r * (size_t)h->wide;
            for (int c = 0; j && factor != 1.0f && c < h->wide; c++)
                o[c] *= factor;
        }
        value_block(h, rows, j, n);
        if (j) h->k->fn->elem_add(h->o, h->o, h->part, (size_t)rows * (size_t)h->wide);
    }
    for (int r = 0; r < rows; r++) {
        float *dst = out + a->o_at[i0 + r], inv = 1.0f / sum[r]; /* a row masked whole: NaN */
        const float *o = h->o + (size_t)r * (size_t)h->wide;
        for (int c = 0; c < a->dv; c++)
            dst[c] = o[c] * inv;
    }
}

void mt_attn_run(const mt_kernels *k, const mt_attn *a, const float *q, const float *key,
                 const float *value, const float *mask1, const float *mask2, float *out,
                 void *scratch)
{
    head h;
    (void)lay_out(&h, k, a, scratch);
    pack_keys(&h, key);
    pack_values(&h, value);
    for (int i = 0; i < a->n_q; i += ROWS)
        some_rows(&h, q, i, MT_MIN(ROWS, a->n_q - i), mask1, mask2, out);
}

float mt_f32_attn_exp(const mt_kernels *k, float *s, size_t n, float scale, float *top, float *sum)
{
    return k->fn->attn_exp(s, n, scale, NULL, NULL, top, sum);
}
