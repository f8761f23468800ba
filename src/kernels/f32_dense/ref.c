/* One panel of a product as the definition says it. */
#include "kernels/scalar_math.h"
#include "kernels/table.h"

void mt_gemm_panel__ref(const mt_gemm_panel_args *g)
{
    for (int i = 0; i < g->m; i++)
        for (int j = 0; j < g->n; j++) {
            const float *a = g->a + (size_t)i * g->lda, *b = g->b + j;
            float *c = g->c + (size_t)i * g->ldc + j;
            float sum = g->more ? *c : 0.0f;
            for (int l = 0; l < g->n_k; l++)
                sum += a[l] * b[(size_t)l * (size_t)g->panel];
            if (g->bias) sum += g->bias[j];
            if (g->res) sum += g->res[(size_t)i * g->ldres + (size_t)j];
            *c = mt_act1(sum, g->act, g->act_a, g->act_b);
        }
}
