/* Products with a matrix that is known beforehand: packed once into panels, run on any number of
 * rows. */
#include <string.h>

#include "base/mem.h"
#include "kernels/table.h"

enum {
    K_BLOCK = 1024,  /* inner dimension a pass takes: a panel of it stays in the second cache */
    ROW_BYTES = 320 << 10 /* rows of A a pass takes: they stay there as well */
};

static int panel_of(const mt_kernels *k)
{
    return 2 * k->block;
}

size_t mt_dense_floats(const mt_kernels *k, int n, int n_k)
{
    size_t panel = (size_t)panel_of(k);
    return ((size_t)n + panel - 1) / panel * panel * (size_t)n_k;
}

void mt_dense_pack(const mt_kernels *k, float *packed, int n, int n_k, const float *b, size_t ldb,
                   int trans_b)
{
    int panel = panel_of(k);
    for (int j = 0; j < n; j += panel)
        for (int l = 0; l < n_k; l++, packed += panel) {
            int cols = MT_MIN(panel, n - j);
            if (trans_b)
                for (int x = 0; x < cols; x++)
                    packed[x] = b[(size_t)(j + x) * ldb + (size_t)l];
            else
                memcpy(packed, b + (size_t)l * ldb + j, (size_t)cols * sizeof *b);
            memset(packed + cols, 0, (size_t)(panel - cols) * sizeof *b);
        }
}

/* Even parts of the inner dimension, none above K_BLOCK. */
static int k_part(int n_k)
{
    int parts = (n_k + K_BLOCK - 1) / K_BLOCK;
    return parts ? (n_k + parts - 1) / parts : 0;
}

static int row_part(int kc)
{
    int rows = ROW_BYTES / (int)sizeof(float) / MT_MAX(kc, 1) / 12 * 12;
    return MT_MAX(rows, 48);
}

/* Rows a multiple of 2 KiB apart share few places of the first cache: such a part of A is copied to
 * rows a line longer. */
static bool rows_collide(size_t ld)
{
    return ld % 512 == 0;
}

size_t mt_dense_scratch_bytes(const mt_dense *d)
{
    int kc = k_part(d->n_k);
    return rows_collide(d->lda) ? (size_t)row_part(kc) * (size_t)(kc + 16) * sizeof(float) : 0;
}

static const float *loosen(float *dst, const float *a, size_t lda, int m, int kc)
{
    for (int i = 0; i < m; i++)
        memcpy(dst + (size_t)i * (size_t)(kc + 16), a + (size_t)i * lda,
               (size_t)kc * sizeof *a);
    return dst;
}

void mt_dense_run(const mt_kernels *k, const mt_dense *d, size_t m, const float *a,
                  const float *res, float *c, void *scratch)
{
    int panel = panel_of(k), kc = k_part(d->n_k), mc = row_part(kc);
    bool copy = rows_collide(d->lda) && m > 4;
    mt_gemm_panel_args g = {.panel = panel, .ldc = d->ldc, .ldres = d->ldres};
    for (size_t i = 0; i < m; i += (size_t)mc) {
        g.m = (int)MT_MIN(m - i, (size_t)mc);
        for (int l = 0; l < d->n_k || !l; l += kc) {
            g.n_k = MT_MIN(kc, d->n_k - l);
            g.more = l > 0;
            bool last = l + g.n_k == d->n_k;
            g.act = last ? d->act : MT_ACT_NONE;
            g.act_a = d->act_a;
            g.act_b = d->act_b;
            g.a = a + i * d->lda + l;
            g.lda = copy ? (size_t)g.n_k + 16 : d->lda;
            if (copy) g.a = loosen(scratch, g.a, d->lda, g.m, g.n_k);
            for (int j = 0; j < d->n; j += panel) {
                g.n = MT_MIN(panel, d->n - j);
                g.b = d->packed + (size_t)j * (size_t)d->n_k + (size_t)l * (size_t)panel;
                g.bias = last && d->bias ? d->bias + j : NULL;
                g.res = !l && res ? res + i * d->ldres + j : NULL; /* C may be it: read first */
                g.c = c + i * d->ldc + j;
                k->fn->gemm_panel(&g);
            }
            if (!kc) break;
        }
    }
}
