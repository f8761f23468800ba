/* Matrix product as the definition says it. */
#include "kernels/table.h"

static void gemm(const mt_gemm_args *g, size_t b_row, size_t b_col)
{
    for (int i = 0; i < g->m; i++)
        for (int j = 0; j < g->n; j++) {
            float sum = 0.0f;
            const float *a = g->a + (size_t)i * g->ras, *b = g->b + (size_t)j * b_col;
            for (int l = 0; l < g->n_k; l++)
                sum += a[(size_t)l * g->cas] * b[(size_t)l * b_row];
            float *c = g->c + (size_t)i * g->ldc + j;
            float r = g->alpha * sum + (g->bias ? g->bias[j] : 0.0f);
            *c = g->beta == 0.0f ? r : r + g->beta * *c;
        }
}

void mt_gemm_nn__ref(const mt_gemm_args *g)
{
    gemm(g, g->ldb, 1);
}
void mt_gemm_nt__ref(const mt_gemm_args *g)
{
    gemm(g, 1, g->ldb);
}
