/* Pools, element-wise kernels, layout, GEMM and softmax: each instruction set against the
 * definition written here in double, and against the reference within the tolerance of its row. */
#include <float.h>
#include <stdio.h>

#include "kernel_check.h"

static float tol(const char *kernel, const mt_kernels *k)
{
    return mt_kernel_tolerance(kernel, k->level);
}

static float largest(const float *x, size_t n)
{
    float m = 0;
    for (size_t i = 0; i < n; i++)
        m = fmaxf(m, fabsf(x[i]));
    return m;
}

static float *copy_of(const float *x, size_t n)
{
    float *p = malloc(n * sizeof *p + 1);
    memcpy(p, x, n * sizeof *p);
    return p;
}

/* ---- element-wise ---- */

static double act_exact(double x, int act, double a, double b)
{
    switch (act) {
    case MT_ACT_RELU:
        return fmax(x, 0);
    case MT_ACT_CLIP:
        return fmin(fmax(x, a), b);
    case MT_ACT_LEAKY:
        return x < 0 ? a * x : x;
    case MT_ACT_SIGMOID:
        return 1 / (1 + exp(-x));
    case MT_ACT_HSIGMOID:
        return fmin(fmax(a * x + b, 0), 1);
    case MT_ACT_HSWISH:
        return x * fmin(fmax(x / 6 + 0.5, 0), 1);
    case MT_ACT_SILU:
        return x / (1 + exp(-x));
    case MT_ACT_TANH:
        return tanh(x);
    case MT_ACT_GELU:
        return 0.5 * x * (1 + erf(x / sqrt(2)));
    case MT_ACT_GELU_TANH:
        return 0.5 * x * (1 + tanh(0.79788456080286536 * (x + 0.044715 * x * x * x)));
    default:
        return x;
    }
}

static void two_operands(void **state)
{
    static const size_t sizes[] = {0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 40, 63, 100, 1000};
    KC_EACH_LEVEL(k)
    for (size_t s = 0; s < MT_COUNT(sizes); s++) for (int shift = 0; shift < 4; shift++)
    {
        size_t n = sizes[s];
        kc_buf x = kc_new(n, shift), y = kc_new(n, (shift * 5) % 16),
               out = kc_new(n, (shift * 3) % 16);
        kc_fill(x.p, n, 1, 3.0f);
        kc_fill(y.p, n, 2, 3.0f);
        for (int op = 0; op < 4; op++) {
            float *want = copy_of(x.p, n);
            for (size_t i = 0; i < n; i++) {
                float r = op == 0   ? x.p[i] + y.p[i]
                          : op == 1 ? x.p[i] - y.p[i]
                          : op == 2 ? x.p[i] * y.p[i]
                                    : fmaxf(x.p[i] + y.p[i], 0);
                want[i] = r;
            }
            for (int in_place = 0; in_place < 3; in_place++) {
                float *keep_x = copy_of(x.p, n), *keep_y = copy_of(y.p, n);
                float *dst = in_place == 0 ? out.p : in_place == 1 ? x.p : y.p;
                if (op == 0)
                    mt_f32_add(k, dst, x.p, y.p, n);
                else if (op == 1)
                    mt_f32_sub(k, dst, x.p, y.p, n);
                else if (op == 2)
                    mt_f32_mul(k, dst, x.p, y.p, n);
                else
                    mt_f32_add_act(k, dst, x.p, y.p, n, MT_ACT_RELU, 0, 0);
                kc_close(dst, want, n, 0.0f, k->name);
                memcpy(x.p, keep_x, n * sizeof(float));
                memcpy(y.p, keep_y, n * sizeof(float));
                free(keep_x), free(keep_y);
            }
            free(want);
        }
        kc_free(&x), kc_free(&y), kc_free(&out);
    }
}

static void activations(void **state)
{
    enum { N = 4003 };
    KC_EACH_LEVEL(k) for (int act = 0; act < MT_ACT_COUNT; act++)
    {
        float a = act == MT_ACT_HSIGMOID ? 0.2f : act == MT_ACT_LEAKY ? 0.01f : -0.7f, b = 0.5f;
        kc_buf x = kc_new(N, 1), out = kc_new(N, 3);
        for (int i = 0; i < N; i++)
            x.p[i] = (float)(i - N / 2) / 40.0f; /* -50..50 in small steps */
        x.p[0] = -1e4f, x.p[1] = 1e4f, x.p[2] = -FLT_MAX, x.p[3] = 1e-30f, x.p[4] = -1e-6f,
        x.p[5] = 88.5f;
        if (act != MT_ACT_HSWISH) x.p[6] = INFINITY;
        mt_f32_act(k, out.p, x.p, N, (mt_act)act, a, b);
        for (int i = 0; i < N; i++) {
            double want = act_exact((double)x.p[i], act, (double)a, (double)b);
            double allowed =
                3e-7 * fmax(fabs(want), act == MT_ACT_SIGMOID || act == MT_ACT_TANH ? 1e-3 : 1e-6);
            if (act == MT_ACT_SIGMOID || act == MT_ACT_SILU)
                allowed = fmax(allowed, 1e-36); /* flushed tails */
            if (act == MT_ACT_SILU && x.p[i] < -80.0f) allowed = 1e-32;
            if (act == MT_ACT_SILU && x.p[i] <= -1e4f)
                allowed = (double)-x.p[i] * 2e-38; /* sigmoid keeps its smallest value */
            if (act == MT_ACT_HSWISH || act == MT_ACT_HSIGMOID)
                allowed = 3e-7 * fmax(1.0, fabs(want));
            if (act == MT_ACT_GELU || act == MT_ACT_GELU_TANH) /* 1 + erf loses its last digits */
                allowed = 3e-7 * fmax(1.0, fabs((double)x.p[i]));
            if (isinf(want) ? out.p[i] != (float)want : !(fabs((double)out.p[i] - want) <= allowed))
                fail_msg("%s act %d of %.9g is %.9g, not %.9g", k->name, act, (double)x.p[i],
                         (double)out.p[i], want);
        }
        /* Tails and in place give the same bits. */
        for (size_t n = 0; n < 40; n++) {
            float *y = copy_of(x.p, n);
            mt_f32_act(k, y, y, n, (mt_act)act, a, b);
            assert_memory_equal(y, out.p, n * sizeof(float));
            free(y);
        }
        float nan = NAN, r;
        mt_f32_act(k, &r, &nan, 1, (mt_act)act, a, b);
        assert_true(isnan(r));
        kc_free(&x), kc_free(&out);
    }
}

/* ---- blocked tensors ---- */

static bool pad_is_zero(const mt_kernels *k, const float *x, int c, size_t hw)
{
    int b = k->block, used = c % b;
    x += (size_t)(mt_blocks(k, c) - 1) * hw * (size_t)b;
    for (size_t i = 0; used && i < hw; i++)
        for (int l = used; l < b; l++)
            if (x[i * (size_t)b + (size_t)l] != 0.0f) return false;
    return true;
}

static void layout_round_trip(void **state)
{
    KC_EACH_LEVEL(k) for (int c = 1; c <= 49; c += 3) for (size_t hw = 1; hw < 70; hw += 1 + hw / 5)
    {
        kc_buf x = kc_new((size_t)c * hw, 1), blk = kc_new(mt_blocked_floats(k, c, hw), 0),
               back = kc_new((size_t)c * hw, 3);
        kc_fill(x.p, x.n, (uint32_t)c, 1.0f);
        mt_to_blocked(k, blk.p, x.p, c, hw);
        size_t b = (size_t)k->block;
        for (size_t ch = 0; ch < (size_t)c; ch++)
            for (size_t i = 0; i < hw; i++)
                assert_true(blk.p[(ch / b * hw + i) * b + ch % b] == x.p[ch * hw + i]);
        assert_true(pad_is_zero(k, blk.p, c, hw));
        mt_from_blocked(k, back.p, blk.p, c, hw);
        assert_memory_equal(back.p, x.p, x.n * sizeof(float));
        kc_free(&x), kc_free(&blk), kc_free(&back);
    }
}

static void per_channel(void **state)
{
    KC_EACH_LEVEL(k)
    for (int c = 1; c <= 40; c += 3) for (size_t hw = 1; hw < 300;
                                          hw += 71) for (int act = 0; act < MT_ACT_COUNT; act++)
    {
        size_t n = (size_t)c * hw, nb = mt_blocked_floats(k, c, hw);
        kc_buf x = kc_new(nb, 0), out = kc_new(nb, 0);
        float *plain = malloc(n * 4), *want = malloc(n * 4), *got = malloc(n * 4), scale[40],
              shift[40], gate[48] = {0};
        kc_fill(plain, n, 7, 2.0f);
        kc_fill(scale, (size_t)c, 8, 1.0f);
        kc_fill(shift, (size_t)c, 9, 1.0f);
        memcpy(gate, scale, (size_t)c * sizeof(float));
        mt_to_blocked(k, x.p, plain, c, hw);
        for (int mode = 0; mode < 5; mode++) {
            for (size_t i = 0; i < n; i++) {
                double s = (double)scale[i / hw], t = (double)shift[i / hw], v = (double)plain[i];
                v = mode == 0   ? v * s + t
                    : mode == 1 ? v * s
                    : mode == 2 ? v + t
                    : mode == 3 ? v
                                : v * s;
                want[i] = (float)(mode == 4 ? v : act_exact(v, act, 0.3, 0.6));
            }
            float *dst = act % 2 ? x.p : out.p;
            if (mode == 4)
                mt_blocked_mul_channels(k, dst, x.p, gate, c, hw);
            else if (mode == 3)
                mt_blocked_act(k, dst, x.p, c, hw, (mt_act)act, 0.3f, 0.6f);
            else
                mt_blocked_scale_shift(k, dst, x.p, c, hw, mode == 2 ? NULL : scale,
                                       mode == 1 ? NULL : shift, (mt_act)act, 0.3f, 0.6f);
            mt_from_blocked(k, got, dst, c, hw);
            char what[80];
            snprintf(what, sizeof what, "%s c %d hw %zu act %d mode %d", k->name, c, hw, act, mode);
            kc_close(got, want, n, 1e-6f * fmaxf(1.0f, largest(want, n)), what);
            assert_true(pad_is_zero(k, dst, c, hw));
            mt_to_blocked(k, x.p, plain, c, hw);
        }
        free(plain), free(want), free(got);
        kc_free(&x), kc_free(&out);
    }
}

/* ---- pools ---- */

static void naive_pool(float *out, const mt_pool_desc *d, const float *in, bool max)
{
    for (int c = 0; c < d->c; c++)
        for (int y = 0; y < d->oh; y++)
            for (int x = 0; x < d->ow; x++) {
                double m = -FLT_MAX, s = 0;
                int inside = 0, padded = 0;
                for (int ky = 0; ky < d->kh; ky++)
                    for (int kx = 0; kx < d->kw; kx++) {
                        int iy = y * d->sh + ky * d->dh - d->pt,
                            ix = x * d->sw + kx * d->dw - d->pl;
                        padded += iy < d->h + d->pb && ix < d->w + d->pr;
                        if (iy < 0 || ix < 0 || iy >= d->h || ix >= d->w) continue;
                        double v = (double)in[(c * d->h + iy) * d->w + ix];
                        m = fmax(m, v);
                        s += v;
                        inside++;
                    }
                int n = d->count_include_pad ? padded : inside;
                *out++ = (float)(max ? m : n ? s / n : 0.0);
            }
}

static void pools(void **state)
{
    uint32_t seed = 3;
    for (int i = 0; i < 400; i++) {
        mt_pool_desc d = {.c = 1 + kc_pick(&seed, 35),
                          .h = 1 + kc_pick(&seed, 12),
                          .w = 1 + kc_pick(&seed, 25),
                          .kh = 1 + kc_pick(&seed, 4),
                          .kw = 1 + kc_pick(&seed, 5),
                          .sh = 1 + kc_pick(&seed, 3),
                          .sw = 1 + kc_pick(&seed, 3),
                          .dh = 1 + kc_pick(&seed, 2),
                          .dw = 1 + kc_pick(&seed, 2),
                          .pt = kc_pick(&seed, 3),
                          .pl = kc_pick(&seed, 3),
                          .pb = kc_pick(&seed, 3),
                          .pr = kc_pick(&seed, 3),
                          .count_include_pad = kc_pick(&seed, 2)};
        int ceil_mode = kc_pick(&seed, 2);
        int ry = d.h + d.pt + d.pb - (d.kh - 1) * d.dh - 1,
            rx = d.w + d.pl + d.pr - (d.kw - 1) * d.dw - 1;
        if (ry < 0 || rx < 0) continue;
        d.oh = (ry + (ceil_mode ? d.sh - 1 : 0)) / d.sh + 1;
        d.ow = (rx + (ceil_mode ? d.sw - 1 : 0)) / d.sw + 1;
        size_t hw = (size_t)(d.h * d.w), ohw = (size_t)(d.oh * d.ow), n = (size_t)d.c * ohw;
        float *in = malloc((size_t)d.c * hw * 4), *want = malloc(n * 4), *got = malloc(n * 4);
        kc_fill(in, (size_t)d.c * hw, seed, 1.0f);
        for (int max = 0; max < 2; max++) {
            naive_pool(want, &d, in, max);
            KC_EACH_LEVEL(k)
            {
                kc_buf x = kc_new(mt_blocked_floats(k, d.c, hw), 0),
                       out = kc_new(mt_blocked_floats(k, d.c, ohw), 0);
                mt_to_blocked(k, x.p, in, d.c, hw);
                (max ? mt_max_pool : mt_avg_pool)(k, &d, x.p, out.p);
                mt_from_blocked(k, got, out.p, d.c, ohw);
                char what[160];
                snprintf(what, sizeof what, "%s %s pool %dx%d k%dx%d s%d,%d d%d,%d p%d,%d,%d,%d",
                         k->name, max ? "max" : "avg", d.h, d.w, d.kh, d.kw, d.sh, d.sw, d.dh, d.dw,
                         d.pt, d.pl, d.pb, d.pr);
                kc_close(got, want, n, max ? 0.0f : 1e-6f, what);
                bool all_inside =
                    largest(want, n) < 1e30f; /* -FLT_MAX of an empty window fills every lane */
                assert_true(!all_inside || pad_is_zero(k, out.p, d.c, ohw));
                kc_free(&x), kc_free(&out);
            }
        }
        free(in), free(want), free(got);
    }
}

static void pools_keep_nan(void **state)
{
    mt_pool_desc d = {.c = 16,
                      .h = 4,
                      .w = 4,
                      .oh = 2,
                      .ow = 2,
                      .kh = 2,
                      .kw = 2,
                      .sh = 2,
                      .sw = 2,
                      .dh = 1,
                      .dw = 1};
    KC_EACH_LEVEL(k) for (int at = 0; at < 16; at++)
    {
        kc_buf x = kc_new(16 * 16, 0), out = kc_new(16 * 4, 0), g = kc_new(16, 0);
        kc_fill(x.p, x.n, 1, 1.0f);
        x.p[at * k->block] = NAN;
        mt_max_pool(k, &d, x.p, out.p);
        assert_true(isnan(out.p[(at / 8 * 2 + at % 4 / 2) * k->block]));
        mt_global_max_pool(k, x.p, 16, 16, g.p);
        assert_true(isnan(g.p[0]) && !isnan(g.p[1]));
        kc_free(&x), kc_free(&out), kc_free(&g);
    }
}

static void global_pools(void **state)
{
    static const size_t sizes[] = {1, 2, 49, 63, 64, 65, 129, 4096};
    KC_EACH_LEVEL(k) for (int c = 1; c < 50; c += 7) for (size_t s = 0; s < MT_COUNT(sizes); s++)
    {
        size_t hw = sizes[s];
        kc_buf x = kc_new(mt_blocked_floats(k, c, hw), 0),
               avg = kc_new(mt_blocked_floats(k, c, 1), 0), max = kc_new(avg.n, 0);
        float *in = malloc((size_t)c * hw * 4);
        kc_fill(in, (size_t)c * hw, 4, 1.0f);
        mt_to_blocked(k, x.p, in, c, hw);
        mt_global_avg_pool(k, x.p, c, hw, avg.p);
        mt_global_max_pool(k, x.p, c, hw, max.p);
        for (int ch = 0; ch < c; ch++) {
            double sum = 0, m = -2;
            for (size_t i = 0; i < hw; i++) {
                sum += (double)in[(size_t)ch * hw + i];
                m = fmax(m, (double)in[(size_t)ch * hw + i]);
            }
            assert_true(fabs((double)avg.p[ch] - sum / (double)hw) <= 2e-7);
            assert_true((double)max.p[ch] == m);
        }
        assert_true(pad_is_zero(k, avg.p, c, 1) && pad_is_zero(k, max.p, c, 1));
        free(in);
        kc_free(&x), kc_free(&avg), kc_free(&max);
    }
}

/* ---- dense ---- */

static void gemm_case(const mt_kernels *k, int m, int n, int kk, int ta, int tb, float alpha,
                      float beta, bool with_bias, uint32_t seed)
{
    size_t lda = (size_t)(ta ? m : kk) + seed % 3, ldb = (size_t)(tb ? kk : n) + seed % 5,
           ldc = (size_t)n + seed % 4;
    kc_buf a = kc_new((size_t)((ta ? kk : m) - 1) * lda + (size_t)(ta ? m : kk), (int)(seed % 7));
    kc_buf b = kc_new((size_t)((tb ? n : kk) - 1) * ldb + (size_t)(tb ? kk : n), (int)(seed % 11));
    kc_buf c = kc_new((size_t)(m - 1) * ldc + (size_t)n, (int)(seed % 13)),
           bias = kc_new((size_t)n, 1);
    kc_fill(a.p, a.n, seed, 1.0f);
    kc_fill(b.p, b.n, seed + 1, 1.0f);
    kc_fill(bias.p, bias.n, seed + 2, 1.0f);
    kc_fill(c.p, c.n, seed + 3, 1.0f);
    float *before = copy_of(c.p, c.n);
    if (beta == 0.0f)
        for (size_t i = 0; i < c.n; i++)
            c.p[i] = NAN; /* must not be read */
    for (int i = 0; i + 1 < m; i++)
        for (size_t j = (size_t)n; j < ldc; j++)
            c.p[(size_t)i * ldc + j] = 123.0f; /* must not be written */
    mt_f32_gemm(k, m, n, kk, alpha, a.p, lda, ta, b.p, ldb, tb, beta, c.p, ldc,
                with_bias ? bias.p : NULL);
    float allowed = tol(tb ? "gemm_nt" : "gemm_nn", k) * (sqrtf((float)kk) * 2.0f + 2.0f);
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            double s = 0;
            for (int l = 0; l < kk; l++)
                s += (double)a.p[ta ? (size_t)l * lda + (size_t)i : (size_t)i * lda + (size_t)l] *
                     (double)b.p[tb ? (size_t)j * ldb + (size_t)l : (size_t)l * ldb + (size_t)j];
            size_t at = (size_t)i * ldc + (size_t)j;
            s = (double)alpha * s + (with_bias ? (double)bias.p[j] : 0.0) +
                (beta != 0.0f ? (double)beta * (double)before[at] : 0.0);
            if (!(fabs((double)c.p[at] - s) <= (double)allowed))
                fail_msg("%s gemm %dx%dx%d t%d%d: (%d,%d) is %.9g, not %.9g", k->name, m, n, kk, ta,
                         tb, i, j, (double)c.p[at], s);
        }
    for (int i = 0; i + 1 < m; i++)
        for (size_t j = (size_t)n; j < ldc; j++)
            assert_true(c.p[(size_t)i * ldc + j] == 123.0f);
    /* A row's bits do not depend on the others. */
    float *row = malloc((size_t)n * sizeof *row);
    memcpy(row, before + (size_t)(m - 1) * ldc, (size_t)n * sizeof *row);
    mt_f32_gemm(k, 1, n, kk, alpha, a.p + (ta ? (size_t)(m - 1) : (size_t)(m - 1) * lda), lda, ta,
                b.p, ldb, tb, beta, row, (size_t)n, with_bias ? bias.p : NULL);
    assert_memory_equal(row, c.p + (size_t)(m - 1) * ldc, (size_t)n * sizeof *row);
    free(row), free(before);
    kc_free(&a), kc_free(&b), kc_free(&c), kc_free(&bias);
}

static void gemm(void **state)
{
    uint32_t seed = 9;
    KC_EACH_LEVEL(k)
    {
        for (int n = 1; n <= 40; n++)
            gemm_case(k, 1 + n % 8, n, 1 + n * 3 % 37, n / 2 % 2, n % 2, 1.0f, 0.0f, n % 3 == 0,
                      (uint32_t)n);
        for (int i = 0; i < 120; i++) {
            float alpha = kc_pick(&seed, 2) ? 1.0f : 0.5f, beta = kc_pick(&seed, 2) ? 0.0f : -1.5f;
            int m = 1 + kc_pick(&seed, 20), n = 1 + kc_pick(&seed, 80),
                kk = 1 + kc_pick(&seed, 200);
            gemm_case(k, m, n, kk, i & 1, i >> 1 & 1, alpha, beta, i & 4, seed);
        }
        gemm_case(k, 1, 1000, 512, 0, 1, 1.0f, 0.0f, true, 1);
    }
}

static void softmax(void **state)
{
    static const size_t sizes[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 40, 100, 1000, 20000};
    KC_EACH_LEVEL(k) for (size_t s = 0; s < MT_COUNT(sizes); s++)
    {
        size_t n = sizes[s];
        kc_buf x = kc_new(3 * n, 1), out = kc_new(3 * n, 2);
        kc_fill(x.p, 3 * n, 5, 20.0f);
        for (size_t i = 0; i < n; i++)
            x.p[2 * n + i] = i == n - 1 ? 1000.0f : -1000.0f; /* far apart */
        mt_f32_softmax(k, out.p, x.p, 3, n);
        for (size_t r = 0; r < 3; r++) {
            double top = -1e30, sum = 0;
            for (size_t i = 0; i < n; i++)
                top = fmax(top, (double)x.p[r * n + i]);
            for (size_t i = 0; i < n; i++)
                sum += exp((double)x.p[r * n + i] - top);
            for (size_t i = 0; i < n; i++) {
                double want = exp((double)x.p[r * n + i] - top) / sum;
                if (!(fabs((double)out.p[r * n + i] - want) <=
                      3e-6 * want + 1e-36)) /* x - top is rounded: 40 * 2^-24 */
                    fail_msg("%s softmax %zu [%zu] is %.9g, not %.9g", k->name, n, i,
                             (double)out.p[r * n + i], want);
            }
        }
        mt_f32_softmax(k, x.p, x.p, 3, n);
        assert_memory_equal(x.p, out.p, 3 * n * sizeof(float));
        kc_free(&x), kc_free(&out);
    }
}

/* Every row of every kernels.def names a kernel its table really holds, each instruction set once.
 */
static void rows_are_whole(void **state)
{
    size_t n;
    const mt_kernel_row *rows = mt_kernel_rows(&n);
    assert_true(n > 15);
    for (size_t i = 0; i < n; i++) {
        assert_true(rows[i].tol >= 0.0f && rows[i].tol <= 1e-4f);
        assert_true(rows[i].p >= 1 && rows[i].q >= 1);
        for (size_t j = 0; j < i; j++)
            assert_false(strcmp(rows[i].kernel, rows[j].kernel) == 0 &&
                         strcmp(rows[i].isa, rows[j].isa) == 0);
    }
    KC_EACH_LEVEL(k)
    {
        assert_non_null(k->fn->conv_plain);
        assert_int_equal(k->fn->wino4_in != NULL, k->level > MT_CPU_REF);
        assert_int_equal(k->block, k->level == MT_CPU_AVX512 ? 16 : 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(two_operands),
                                       cmocka_unit_test(activations),
                                       cmocka_unit_test(layout_round_trip),
                                       cmocka_unit_test(per_channel),
                                       cmocka_unit_test(pools),
                                       cmocka_unit_test(pools_keep_nan),
                                       cmocka_unit_test(global_pools),
                                       cmocka_unit_test(gemm),
                                       cmocka_unit_test(softmax),
                                       cmocka_unit_test(rows_are_whole)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
