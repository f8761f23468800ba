/* What the passes make of transformers and attention pools: which steps are left, how much memory a
 * state takes, the numbers against double arithmetic, and bits that depend on nothing else. */
#include "tests/support/support.h"
#include "onnx_build.h"
#include <math.h>
#include <stdio.h>
#include "base/cpu.h"
#include "base/mem.h"
#include "models/net.h"

static float *noise(size_t n, uint32_t seed, float scale)
{
    float *p = malloc((n ? n : 1) * sizeof *p);
    assert_non_null(p);
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        p[i] = scale * ((float)(seed >> 8) / 8388608.0f - 1.0f);
    }
    return p;
}

static void weights(onnx_build *b, const char *name, int rank, const int64_t *dims, uint32_t seed)
{
    size_t n = ob_count(rank, dims);
    float *p = noise(n, seed, rank == 2 ? 0.5f : 0.3f);
    ob_floats(b, name, rank, dims, p);
    free(p);
}

static mt_net *compile(onnx_build *b, int rank, const int64_t *dims)
{
    mt_err err = MT_ERR_INIT;
    mt_tensor in = {.dtype = MT_DT_F32, .rank = rank};
    size_t n;
    uint8_t *p = ob_pack(b, &n);
    mt_net *net = NULL;
    memcpy(in.dims, dims, (size_t)rank * sizeof *dims);
    tt_ok(mt_net_compile(&net, p, n, &in, 1, "t", &err), &err);
    free(p);
    return net;
}

static void list_step(void *ctx, int step, const char *op, const char *node, const char *variant,
                      uint64_t macs, int done)
{
    char *text = ctx;
    if (!done) snprintf(text + strlen(text), 400 - strlen(text), step ? " %s" : "%s", op);
}

/* Runs once; copies of the outputs (free). steps: what ran, or NULL. */
static void run(float **out, int n_out, const mt_net *net, const float *x, char steps[400])
{
    mt_err err = MT_ERR_INIT;
    mt_net_state *state = NULL;
    mt_tensor in = *mt_net_input(net, 0), o[4];
    in.data = (void *)x;
    if (steps) steps[0] = 0;
    tt_ok(mt_net_state_new(&state, net, &err), &err);
    tt_ok(mt_net_run_watched(net, state, &in, o, steps ? list_step : NULL, steps, &err), &err);
    for (int i = 0; i < n_out; i++) {
        size_t n = ob_count(o[i].rank, o[i].dims);
        out[i] = malloc(n * sizeof **out);
        assert_non_null(out[i]);
        memcpy(out[i], o[i].data, n * sizeof **out);
    }
    mt_net_state_free(&state);
}

/* One head of width 8 over n tokens of 12 floats, projections separate, the way older exporters
 * write it. */
static void one_head(onnx_build *b)
{
    ob_init(b, 13);
    ob_input(b, "x", 1, OB_DIMS(-1, -1, 12));
    weights(b, "wq", OB_DIMS(12, 8), 1);
    weights(b, "wk", OB_DIMS(12, 8), 2);
    weights(b, "wv", OB_DIMS(12, 8), 3);
    weights(b, "bq", OB_DIMS(8), 4);
    weights(b, "wo", OB_DIMS(8, 12), 5);
    ob_floats(b, "scale", OB_DIMS(1), (const float[]){2.0f});
    ob_node(b, "MatMul", "x wq > q0");
    ob_node(b, "Add", "bq q0 > q");
    ob_node(b, "MatMul", "x wk > k");
    ob_node(b, "MatMul", "x wv > v");
    ob_ints(b, ob_node(b, "Transpose", "k > kt"), "perm", 3, (const int64_t[]){0, 2, 1});
    ob_node(b, "MatMul", "q kt > s0");
    ob_node(b, "Div", "s0 scale > s");
    ob_int(b, ob_node(b, "Softmax", "s > a"), "axis", -1);
    ob_node(b, "MatMul", "a v > z");
    ob_node(b, "MatMul", "z wo > y0");
    ob_node(b, "Add", "x y0 > y");
    ob_output(b, "y");
}

/* Row i of the answer, from the weights as they are made above. */
static void head_row(double *y, const float *x, int n, int i)
{
    float *w[5] = {noise(96, 1, 0.5f), noise(96, 2, 0.5f), noise(96, 3, 0.5f), noise(8, 4, 0.3f),
                   noise(96, 5, 0.5f)};
    double q[8], *s = malloc((size_t)n * sizeof *s), top = -1e300, sum = 0, z[8] = {0};
    assert_non_null(s);
    for (int c = 0; c < 8; c++) {
        q[c] = (double)w[3][c];
        for (int l = 0; l < 12; l++) q[c] += (double)x[i * 12 + l] * (double)w[0][l * 8 + c];
    }
    for (int j = 0; j < n; j++) {
        s[j] = 0;
        for (int c = 0; c < 8; c++)
            for (int l = 0; l < 12; l++)
                s[j] += q[c] * (double)x[j * 12 + l] * (double)w[1][l * 8 + c] / 2;
        top = fmax(top, s[j]);
    }
    for (int j = 0; j < n; j++) sum += s[j] = exp(s[j] - top);
    for (int j = 0; j < n; j++)
        for (int c = 0; c < 8; c++)
            for (int l = 0; l < 12; l++)
                z[c] += s[j] / sum * (double)x[j * 12 + l] * (double)w[2][l * 8 + c];
    for (int o = 0; o < 12; o++) {
        y[o] = (double)x[i * 12 + o];
        for (int c = 0; c < 8; c++) y[o] += z[c] * (double)w[4][c * 12 + o];
    }
    for (int k = 0; k < 5; k++) free(w[k]);
    free(s);
}

#define EACH_LEVEL(level)                                                                          \
    for (int level = MT_CPU_REF; level <= MT_CPU_AVX512; level++)                                  \
        if (mt_cpu_mask(level), mt_cpu_level() == level)

static void attention_is_one_step(void **state)
{
    enum { N = 1300 };
    float *x = noise((size_t)N * 12, 9, 1.0f), *y;
    EACH_LEVEL(level)
    {
        onnx_build b;
        char steps[400];
        one_head(&b);
        mt_net *net = compile(&b, OB_DIMS(1, N, 12));
        run(&y, 1, net, x, steps);
        assert_string_equal(steps, "Dense Dense Dense Attention Dense");
        assert_true(mt_net_state_bytes(net) < (size_t)N * N * sizeof(float) / 4);
        for (int i = 0; i < N; i += 131) {
            double want[12];
            head_row(want, x, N, i);
            for (int c = 0; c < 12; c++)
                if (!(fabs((double)y[i * 12 + c] - want[c]) <= 1e-5))
                    fail_msg("row %d [%d] is %.9g, not %.9g", i, c, (double)y[i * 12 + c], want[c]);
        }
        free(y);
        mt_net_free(&net);
        ob_free(&b);
    }
    mt_cpu_mask(MT_CPU_AVX512);
    free(x);
}

/* An image's bits are its own, whatever it is run with. */
static void batch_changes_no_bit(void **state)
{
    enum { N = 75, B = 3 };
    float *x = noise((size_t)B * N * 12, 10, 1.0f), *all, *one;
    EACH_LEVEL(level)
    {
        onnx_build b;
        one_head(&b);
        mt_net *three = compile(&b, OB_DIMS(B, N, 12)), *single = compile(&b, OB_DIMS(1, N, 12));
        run(&all, 1, three, x, NULL);
        for (size_t i = 0; i < B; i++) {
            run(&one, 1, single, x + i * N * 12, NULL);
            assert_memory_equal(one, all + i * N * 12, (size_t)N * 12 * sizeof *one);
            free(one);
        }
        free(all);
        mt_net_free(&three);
        mt_net_free(&single);
        ob_free(&b);
    }
    mt_cpu_mask(MT_CPU_AVX512);
    free(x);
}

/* A pool that somebody else looks into: the scores are an output, the softmax as well. */
static void attention_pool(onnx_build *b)
{
    ob_init(b, 13);
    ob_input(b, "x", 1, OB_DIMS(-1, 10));
    weights(b, "w1", OB_DIMS(10, 16), 1);
    weights(b, "b1", OB_DIMS(16), 2);
    weights(b, "w2", OB_DIMS(16, 1), 3);
    weights(b, "b2", OB_DIMS(1), 4);
    ob_node(b, "Gemm", "x w1 b1 > h0");
    ob_node(b, "Relu", "h0 > h");
    ob_node(b, "Gemm", "h w2 b2 > s");
    ob_ints(b, ob_node(b, "Transpose", "s > st"), "perm", 2, (const int64_t[]){1, 0});
    ob_int(b, ob_node(b, "Softmax", "st > a"), "axis", 1);
    ob_node(b, "MatMul", "a h > z");
    ob_output(b, "z");
    ob_output(b, "a");
}

static void bag_is_walked(void **state)
{
    enum { N = 20011 };
    float *x = noise((size_t)N * 10, 11, 1.0f), *y[2];
    float *w1 = noise(160, 1, 0.5f), *b1 = noise(16, 2, 0.3f), *w2 = noise(16, 3, 0.5f),
          *b2 = noise(1, 4, 0.3f);
    double *h = malloc((size_t)N * 16 * sizeof *h), *s = malloc((size_t)N * sizeof *s);
    double top = -1e300, sum = 0, z[16] = {0};
    assert_non_null(h);
    assert_non_null(s);
    for (int i = 0; i < N; i++) {
        s[i] = (double)*b2;
        for (int c = 0; c < 16; c++) {
            double v = (double)b1[c];
            for (int l = 0; l < 10; l++) v += (double)x[i * 10 + l] * (double)w1[l * 16 + c];
            h[i * 16 + c] = fmax(v, 0);
            s[i] += h[i * 16 + c] * (double)w2[c];
        }
        top = fmax(top, s[i]);
    }
    for (int i = 0; i < N; i++) sum += s[i] = exp(s[i] - top);
    for (int i = 0; i < N; i++)
        for (int c = 0; c < 16; c++) z[c] += s[i] / sum * h[i * 16 + c];
    EACH_LEVEL(level)
    {
        onnx_build b;
        char steps[400];
        attention_pool(&b);
        mt_net *net = compile(&b, OB_DIMS(N, 10));
        run(y, 2, net, x, steps);
        assert_string_equal(steps, "Bag Transpose Softmax");
        assert_true(mt_net_state_bytes(net) < (size_t)N * 16 * sizeof(float)); /* h is nowhere */
        for (int c = 0; c < 16; c++)
            if (!(fabs((double)y[0][c] - z[c]) <= 1e-6))
                fail_msg("pool [%d] is %.9g, not %.9g", c, (double)y[0][c], z[c]);
        for (int i = 0; i < N; i += 977)
            if (!(fabs((double)y[1][i] - s[i] / sum) <= 1e-5 * s[i] / sum))
                fail_msg("weight %d is %.9g, not %.9g", i, (double)y[1][i], s[i] / sum);
        free(y[0]);
        free(y[1]);
        mt_net_free(&net);
        ob_free(&b);
    }
    mt_cpu_mask(MT_CPU_AVX512);
    free(x), free(w1), free(b1), free(w2), free(b2), free(h), free(s);
}

/* A NaN anywhere in the bag reaches the pool; an empty or a short bag is no special case. */
static void bags_of_any_kind(void **state)
{
    static const int64_t sizes[] = {1, 2, 10, 1023, 1024, 1200, 1201};
    for (size_t i = 0; i < MT_COUNT(sizes); i++) {
        onnx_build b;
        float *x = noise((size_t)sizes[i] * 10, 12, 1.0f), *y[2];
        attention_pool(&b);
        mt_net *net = compile(&b, OB_DIMS(sizes[i], 10));
        run(y, 2, net, x, NULL);
        assert_true(y[0][0] == y[0][0]);
        free(y[0]), free(y[1]);
        x[sizes[i] * 10 - 3] = NAN;
        run(y, 2, net, x, NULL);
        assert_true(isnan(y[0][0]));
        free(y[0]), free(y[1]), free(x);
        mt_net_free(&net);
        ob_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_is_one_step), cmocka_unit_test(batch_changes_no_bit),
        cmocka_unit_test(bag_is_walked), cmocka_unit_test(bags_of_any_kind)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
