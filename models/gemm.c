/* Dense products: OpenBLAS on one thread where it pays, our own kernel otherwise and always with
 * the reference set (a BLAS picks its kernels by itself, ours gives the same bits everywhere). */
#include "models/graph.h"

#include <pthread.h>
#include "base/cpu.h"

/* cblas.h lies in different folders on different distributions; these two are all we call. */
extern void cblas_sgemm(int order, int ta, int tb, int m, int n, int k, float alpha, const float *a,
                        int lda, const float *b, int ldb, float beta, float *c, int ldc);
extern void openblas_set_num_threads(int n);
enum { ROW_MAJOR = 101, NO_TRANS = 111, TRANS = 112 };

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void pin(void)
{
    openblas_set_num_threads(1);
}

/* Few rows are bound by reading B once: our kernel does that without packing. */
static bool use_blas(const mt_kernels *kern, int64_t rows, int64_t n, int64_t k)
{
    return kern->level > MT_CPU_REF && rows >= 8 && n >= 8 && k >= 8;
}

static void add_bias(float *c, size_t ldc, int64_t rows, int64_t n, const float *bias)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t j = 0; j < n; j++) c[(size_t)r * ldc + (size_t)j] += bias[j];
}

void mt_gemm_run(const mt_kernels *kern, const mt_gemm_shape *s, const float *a, const float *b,
                 const float *bias, float *c)
{
    if (!s->m || !s->n) return;
    int64_t rows = s->rows > 0 && s->m % s->rows == 0 ? s->rows : s->m;
    size_t step_a = s->trans_a ? 1 : s->lda;
    bool blas = use_blas(kern, rows, s->n, s->k);
    if (blas) pthread_once(&once, pin);
    for (int64_t r = 0; r < s->m; r += rows) {
        const float *ar = a + (size_t)r * step_a;
        float *cr = c + (size_t)r * s->ldc;
        if (!blas) {
            mt_f32_gemm(kern, (int)rows, (int)s->n, (int)s->k, s->alpha, ar, s->lda, s->trans_a, b,
                        s->ldb, s->trans_b, s->beta, cr, s->ldc, bias);
            continue;
        }
        cblas_sgemm(ROW_MAJOR, s->trans_a ? TRANS : NO_TRANS, s->trans_b ? TRANS : NO_TRANS,
                    (int)rows, (int)s->n, (int)s->k, s->alpha, ar, (int)s->lda, b, (int)s->ldb,
                    s->beta, cr, (int)s->ldc);
        if (bias) add_bias(cr, s->ldc, rows, s->n, bias);
    }
}
