/* Dense kernels against double arithmetic: packed products with everything that rides on them, at
 * tails, strides, misalignment and in place, between canaries. */
#include "tests/kernels/kernel_check.h"

#include "kernels/scalar_math.h"

static double act_exact(double x, mt_act act, double a, double b)
{
    switch (act) {
    case MT_ACT_RELU: return fmax(x, 0);
    case MT_ACT_CLIP: return fmin(fmax(x, a), b);
    case MT_ACT_SILU: return x / (1 + exp(-x));
    case MT_ACT_TANH: return tanh(x);
    case MT_ACT_SIGMOID: return 1 / (1 + exp(-x));
    case MT_ACT_GELU: return 0.5 * x * (1 + erf(x / sqrt(2)));
    case MT_ACT_GELU_TANH:
        return 0.5 * x * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
    default: return x;
    }
}

typedef struct shape {
    int m, n, n_k, trans;
    bool bias, res, in_place;
    mt_act act;
    uint32_t seed;
} shape;

static void dense_case(const mt_kernels *k, const shape *s)
{
    size_t pad = s->seed % 5, lda = (size_t)s->n_k + pad, ldc = (size_t)s->n + s->seed % 3;
    size_t ldb = (size_t)(s->trans ? s->n_k : s->n) + s->seed % 2;
    kc_buf a = kc_new((size_t)(s->m - 1) * lda + (size_t)s->n_k, (int)(s->seed % 7));
    kc_buf b = kc_new((size_t)((s->trans ? s->n : s->n_k) - 1) * ldb +
                          (size_t)(s->trans ? s->n_k : s->n), (int)(s->seed % 11));
    kc_buf p = kc_new(mt_dense_floats(k, s->n, s->n_k), (int)(s->seed % 3));
    kc_buf bias = kc_new((size_t)s->n, (int)(s->seed % 2));
    kc_buf res = kc_new((size_t)(s->m - 1) * ldc + (size_t)s->n, 1);
    kc_buf c = kc_new((size_t)(s->m - 1) * ldc + (size_t)s->n, (int)(s->seed % 13));
    kc_fill(a.p, a.n, s->seed, 1.0f);
    kc_fill(b.p, b.n, s->seed + 1, 1.0f);
    kc_fill(bias.p, bias.n, s->seed + 2, 1.0f);
    kc_fill(res.p, res.n, s->seed + 3, 1.0f);
    mt_dense_pack(k, p.p, s->n, s->n_k, b.p, ldb, s->trans);
    mt_dense d = {.n = s->n, .n_k = s->n_k, .packed = p.p, .bias = s->bias ? bias.p : NULL,
                  .act = s->act, .act_a = -0.5f, .act_b = 0.75f, .lda = lda, .ldc = ldc,
                  .ldres = ldc};
    kc_buf scratch = kc_new(mt_dense_scratch_bytes(&d) / sizeof(float), 0);
    if (s->in_place) memcpy(c.p, res.p, res.n * sizeof(float));
    for (int i = 0; i + 1 < s->m; i++)
        for (size_t j = (size_t)s->n; j < ldc; j++) c.p[(size_t)i * ldc + j] = 123.0f;
    const float *addend = s->res ? (s->in_place ? c.p : res.p) : NULL;
    mt_dense_run(k, &d, (size_t)s->m, a.p, addend, c.p, scratch.p);
    float allowed = mt_kernel_tolerance("gemm_panel", k->level) *
                    (sqrtf((float)s->n_k) * 2.0f + 2.0f);
    for (int i = 0; i < s->m; i++)
        for (int j = 0; j < s->n; j++) {
            double sum = (s->bias ? (double)bias.p[j] : 0.0) +
                         (s->res ? (double)res.p[(size_t)i * ldc + (size_t)j] : 0.0);
            for (int l = 0; l < s->n_k; l++)
                sum += (double)a.p[(size_t)i * lda + (size_t)l] *
                       (double)b.p[s->trans ? (size_t)j * ldb + (size_t)l
                                            : (size_t)l * ldb + (size_t)j];
            double want = act_exact(sum, s->act, -0.5, 0.75);
            float got = c.p[(size_t)i * ldc + (size_t)j];
            if (!(fabs((double)got - want) <= (double)allowed + 1e-6))
                fail_msg("%s dense %dx%dx%d act %d (%d,%d) is %.9g, not %.9g", k->name, s->m, s->n,
                         s->n_k, (int)s->act, i, j, (double)got, want);
        }
    for (int i = 0; i + 1 < s->m; i++)
        for (size_t j = (size_t)s->n; j < ldc; j++)
            assert_true(c.p[(size_t)i * ldc + j] == 123.0f);
    if (!s->in_place) { /* any row alone has the same bits */
        float *row = malloc((size_t)s->n * sizeof *row);
        size_t r = (size_t)s->m / 2;
        assert_non_null(row);
        mt_dense_run(k, &d, 1, a.p + r * lda, addend ? addend + r * ldc : NULL, row, scratch.p);
        assert_memory_equal(row, c.p + r * ldc, (size_t)s->n * sizeof *row);
        free(row);
    }
    kc_free(&a), kc_free(&b), kc_free(&p), kc_free(&bias), kc_free(&res), kc_free(&c);
    kc_free(&scratch);
}

static void dense(void **state)
{
    static const mt_act acts[] = {MT_ACT_NONE, MT_ACT_RELU, MT_ACT_GELU,    MT_ACT_GELU_TANH,
                                  MT_ACT_SILU, MT_ACT_TANH, MT_ACT_SIGMOID, MT_ACT_CLIP};
    uint32_t seed = 21;
    KC_EACH_LEVEL(k)
    {
        for (int m = 1; m <= 27; m++)
            dense_case(k, &(shape){m, 33, 5, m % 2, m % 3, m % 5 == 0, false, MT_ACT_NONE,
                                   (uint32_t)m});
        for (int n = 1; n <= 70; n++)
            dense_case(k, &(shape){3, n, 1 + n % 9, n % 2, true, n % 3 == 0, false,
                                   acts[n % 8], (uint32_t)n});
        for (int i = 0; i < 60; i++)
            dense_case(k, &(shape){1 + kc_pick(&seed, 60), 1 + kc_pick(&seed, 100),
                                   1 + kc_pick(&seed, 300), i & 1, i & 2, i & 4,
                                   (i & 12) == 12, acts[i % 8], seed});
        /* inner dimension in parts; rows that collide */
        dense_case(k, &(shape){61, 40, 1500, 0, true, true, false, MT_ACT_GELU, 3});
        dense_case(k, &(shape){50, 17, 2560, 1, true, true, true, MT_ACT_NONE, 60});
        dense_case(k, &(shape){200, 9, 512, 0, true, false, false, MT_ACT_RELU, 120});
    }
}

/* The fitted erf over its whole range, and what lies beyond it. */
static void gelu(void **state)
{
    enum { N = 20001 };
    kc_buf x = kc_new(N, 3), y = kc_new(N, 5);
    for (int i = 0; i < N; i++) x.p[i] = (float)(i - N / 2) * (12.0f / (float)N * 2.0f);
    x.p[0] = -1e30f, x.p[1] = 1e30f, x.p[2] = NAN;
    KC_EACH_LEVEL(k)
    {
        for (int t = 0; t < 2; t++) {
            mt_act act = t ? MT_ACT_GELU_TANH : MT_ACT_GELU;
            mt_f32_act(k, y.p, x.p, N, act, 0, 0);
            assert_true(isnan(y.p[2]));
            for (int i = 3; i < N; i++) {
                double want = act_exact((double)x.p[i], act, 0, 0);
                if (!(fabs((double)y.p[i] - want) <= 3e-7 * fmax(1, fabs((double)x.p[i]))))
                    fail_msg("%s gelu %d of %.9g is %.9g, not %.9g", k->name, t, (double)x.p[i],
                             (double)y.p[i], want);
            }
            assert_true(fabsf(y.p[0]) < 1e24f && fabsf(y.p[1] - 1e30f) < 1e24f);
        }
    }
    kc_free(&x), kc_free(&y);
}

/* LayerNorm of a row against double, with large offsets, in place, at every tail. */
static void norm(void **state)
{
    uint32_t seed = 5;
    KC_EACH_LEVEL(k)
    for (int i = 0; i < 140; i++) {
        size_t n = i < 70 ? (size_t)i + 1 : (size_t)(1 + kc_pick(&seed, 5000));
        kc_buf x = kc_new(3 * n, i % 5), y = kc_new(3 * n, i % 3), gb = kc_new(2 * n, 1);
        float offset = i % 3 == 0 ? 300.0f : 0.5f, eps = i % 2 ? 1e-5f : 1e-6f;
        kc_fill(x.p, 3 * n, seed, 1.0f);
        kc_fill(gb.p, 2 * n, seed + 1, 1.0f);
        for (size_t j = 0; j < 3 * n; j++) x.p[j] += offset;
        const float *gamma = i % 4 == 3 ? NULL : gb.p, *beta = i % 5 == 4 ? NULL : gb.p + n;
        mt_f32_norm(k, y.p, x.p, 3, n, gamma, beta, eps);
        for (size_t r = 0; r < 3; r++) {
            double mean = 0, var = 0;
            for (size_t j = 0; j < n; j++) mean += (double)x.p[r * n + j] / (double)n;
            for (size_t j = 0; j < n; j++)
                var += ((double)x.p[r * n + j] - mean) * ((double)x.p[r * n + j] - mean) / (double)n;
            double inv = 1 / sqrt(var + (double)eps);
            for (size_t j = 0; j < n; j++) {
                double want = ((double)x.p[r * n + j] - mean) * inv;
                if (gamma) want *= (double)gamma[j];
                if (beta) want += (double)beta[j];
                /* x - mean keeps the digits of x: half a unit of the mean, times 1/deviation */
                double allowed = 4e-6 * (1 + fabs(want)) + 6e-8 * (double)offset * inv;
                if (!(fabs((double)y.p[r * n + j] - want) <= allowed))
                    fail_msg("%s norm of %zu [%zu] is %.9g, not %.9g", k->name, n, j,
                             (double)y.p[r * n + j], want);
            }
        }
        mt_f32_norm(k, x.p, x.p, 3, n, gamma, beta, eps);
        assert_memory_equal(x.p, y.p, 3 * n * sizeof(float));
        x.p[0] = NAN;
        mt_f32_norm(k, y.p, x.p, 1, n, gamma, beta, eps);
        assert_true(isnan(y.p[n - 1]));
        kc_free(&x), kc_free(&y), kc_free(&gb);
    }
}

/* One head against double: strided rows, both masks, more keys than a block, keys left out. */
static void attention_case(const mt_kernels *k, int n_q, int n_keys, int d, int dv, int masks,
                           uint32_t seed)
{
    size_t ld = (size_t)(d > dv ? d : dv) + seed % 9, sc;
    int64_t *at = malloc((size_t)(n_q + n_keys) * sizeof *at);
    assert_non_null(at);
    for (int i = 0; i < n_q + n_keys; i++) at[i] = (int64_t)ld * i;
    kc_buf q = kc_new((size_t)(n_q - 1) * ld + (size_t)d, 1),
           key = kc_new((size_t)(n_keys - 1) * ld + (size_t)d, 2),
           v = kc_new((size_t)(n_keys - 1) * ld + (size_t)dv, 3),
           o = kc_new((size_t)(n_q - 1) * ld + (size_t)dv, 5), m1 = kc_new((size_t)n_keys, 1),
           m2 = kc_new((size_t)n_q * (size_t)n_keys, 1);
    kc_fill(q.p, q.n, seed, 3.0f);
    kc_fill(key.p, key.n, seed + 1, 3.0f);
    kc_fill(v.p, v.n, seed + 2, 1.0f);
    kc_fill(m1.p, m1.n, seed + 3, 1.0f);
    kc_fill(m2.p, m2.n, seed + 4, 1.0f);
    for (size_t i = 0; i < m1.n; i++) /* whole blocks of keys are left out */
        if (n_keys > 600 ? i < 530 : i % 3 == 1) m1.p[i] = -INFINITY;
    for (size_t i = 0; i < o.n; i++) o.p[i] = 123.0f;
    mt_attn a = {.n_q = n_q, .n_keys = n_keys, .d = d, .dv = dv, .scale = 0.3f, .q_at = at,
                 .k_at = at, .v_at = at, .o_at = at, .ld_mask1 = 0, .ld_mask2 = (size_t)n_keys};
    sc = mt_attn_scratch_bytes(k, &a) / sizeof(float);
    kc_buf scratch = kc_new(sc, 0);
    mt_attn_run(k, &a, q.p, key.p, v.p, masks & 1 ? m1.p : NULL, masks & 2 ? m2.p : NULL, o.p,
                scratch.p);
    double *w = malloc((size_t)n_keys * sizeof *w);
    assert_non_null(w);
    for (int i = 0; i < n_q; i++) {
        double top = -INFINITY, sum = 0;
        for (int j = 0; j < n_keys; j++) {
            double s = 0;
            for (int c = 0; c < d; c++)
                s += (double)q.p[(size_t)at[i] + (size_t)c] * (double)key.p[(size_t)at[j] + (size_t)c];
            s *= (double)0.3f;
            if (masks & 1) s += (double)m1.p[j];
            if (masks & 2) s += (double)m2.p[(size_t)i * (size_t)n_keys + (size_t)j];
            w[j] = s;
            top = fmax(top, s);
        }
        for (int j = 0; j < n_keys; j++) sum += w[j] = exp(w[j] - top);
        for (int c = 0; c < dv; c++) {
            double want = 0;
            for (int j = 0; j < n_keys; j++) want += w[j] / sum * (double)v.p[(size_t)at[j] + (size_t)c];
            float got = o.p[(size_t)at[i] + (size_t)c];
            if (!(fabs((double)got - want) <= 2e-5))
                fail_msg("%s attention %dx%d d %d %d masks %d (%d,%d) is %.9g, not %.9g", k->name,
                         n_q, n_keys, d, dv, masks, i, c, (double)got, want);
        }
        for (size_t c = (size_t)dv; c < ld && i + 1 < n_q; c++)
            assert_true(o.p[(size_t)at[i] + c] == 123.0f);
    }
    if (masks == 0 && n_q > 1) { /* a query by itself: the same bits */
        float *row = malloc((size_t)dv * sizeof *row);
        assert_non_null(row);
        a.n_q = 1;
        mt_attn_run(k, &a, q.p + at[n_q - 1], key.p, v.p, NULL, NULL, row, scratch.p);
        assert_memory_equal(row, o.p + at[n_q - 1], (size_t)dv * sizeof *row);
        free(row);
    }
    free(w), free(at);
    kc_free(&q), kc_free(&key), kc_free(&v), kc_free(&o), kc_free(&m1), kc_free(&m2);
    kc_free(&scratch);
}

static void attention(void **state)
{
    uint32_t seed = 77;
    KC_EACH_LEVEL(k)
    {
        attention_case(k, 49, 49, 32, 32, 2, 1);
        attention_case(k, 50, 197, 64, 64, 0, 2);
        attention_case(k, 7, 1100, 16, 24, 0, 3);
        attention_case(k, 3, 1100, 8, 8, 3, 4);
        attention_case(k, 100, 3, 33, 40, 0, 5);
        for (int i = 0; i < 24; i++)
            attention_case(k, 1 + kc_pick(&seed, 60), 3 + kc_pick(&seed, 70),
                           1 + kc_pick(&seed, 40), 1 + kc_pick(&seed, 40), i % 4, seed);
        /* Every key left out: no number, not a made-up one. */
        int64_t at = 0;
        float x[8] = {1, 2, 3, 4, 5, 6, 7, 8}, out[8], none = -INFINITY;
        mt_attn a = {.n_q = 1, .n_keys = 1, .d = 8, .dv = 8, .scale = 1, .q_at = &at, .k_at = &at,
                     .v_at = &at, .o_at = &at};
        kc_buf scratch = kc_new(mt_attn_scratch_bytes(k, &a) / sizeof(float), 0);
        mt_attn_run(k, &a, x, x, x, &none, NULL, out, scratch.p);
        assert_true(isnan(out[0]));
        kc_free(&scratch);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(dense), cmocka_unit_test(gelu),
                                       cmocka_unit_test(norm),
                                       cmocka_unit_test(attention)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
