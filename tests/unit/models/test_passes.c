/* Graphs on which a pass must hold back, or take care: what the rewritten network gives is what the
 * file says. */
#include "tests/support/support.h"
#include "onnx_build.h"
#include <float.h>
#include <math.h>
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

/* Output `which` of one run on x, which has the net's first input's shape (free). */
static void *run_file(onnx_build *b, const void *x, int which)
{
    static const size_t sizes[] = {0, 4, 1, 1, 0, 0, 4, 8};
    mt_err err = MT_ERR_INIT;
    mt_net *net = NULL;
    mt_net_state *state = NULL;
    mt_tensor out[4];
    size_t n;
    uint8_t *p = ob_pack(b, &n);
    tt_ok(mt_net_compile(&net, p, n, NULL, 0, "t", &err), &err);
    tt_ok(mt_net_state_new(&state, net, &err), &err);
    mt_tensor in = *mt_net_input(net, 0);
    in.data = (void *)(uintptr_t)x;
    tt_ok(mt_net_run(net, state, &in, out, &err), &err);
    n = ob_count(out[which].rank, out[which].dims) * sizes[out[which].dtype];
    void *y = malloc(n + 1);
    assert_non_null(y);
    if (n) memcpy(y, out[which].data, n);
    mt_net_state_free(&state);
    mt_net_free(&net);
    free(p);
    ob_free(b);
    return y;
}

#define EACH_LEVEL(level)                                                                          \
    for (int level = MT_CPU_REF; level <= MT_CPU_AVX512; level++)                                  \
        if (mt_cpu_mask(level), mt_cpu_level() == level)

/* Add and Relu of two tensors of one shape, no convolution near. */
static void sum_keeps_its_activation(void **s)
{
    static const float x[] = {-3, -1, 0, 1, 2, -0.5f};
    EACH_LEVEL(level)
    {
        onnx_build b;
        ob_init(&b, 13);
        ob_input(&b, "x", 1, OB_DIMS(2, 3));
        ob_node(&b, "Neg", "x > n");
        ob_node(&b, "Abs", "n > a");
        ob_node(&b, "Add", "x a > s0");
        ob_node(&b, "Add", "s0 n > s"); /* |x| */
        ob_node(&b, "Add", "s n > t0");
        ob_node(&b, "Add", "t0 n > t"); /* |x| - 2x */
        ob_node(&b, "Relu", "t > y");
        ob_output(&b, "y");
        float *y = run_file(&b, x, 0);
        for (int i = 0; i < 6; i++) assert_true(y[i] == fmaxf(fabsf(x[i]) - 2 * x[i], 0));
        free(y);
    }
    mt_cpu_mask(MT_CPU_AVX512);
}

/* Token 0..n-1 of 24 floats: queries, something, values; the keys are the queries. */
static void split_attention(onnx_build *b, int64_t n, const float *mask)
{
    ob_init(b, 13);
    ob_input(b, "x", 1, OB_DIMS(1, n, 24));
    MtPb__Node *split = ob_node(b, "Split", "x > q - v");
    split->output[1] = (char *)"";
    ob_int(b, split, "axis", 2);
    ob_ints(b, ob_node(b, "Transpose", "q > k"), "perm", OB_DIMS(0, 2, 1));
    ob_node(b, "MatMul", "q k > s0");
    if (mask) {
        ob_floats(b, "mask", 2, (const int64_t[]){1, n}, mask);
        ob_node(b, "Add", "s0 mask > s");
    }
    ob_int(b, ob_node(b, "Softmax", mask ? "s > a" : "s0 > a"), "axis", -1);
    ob_node(b, "MatMul", "a v > y");
    ob_output(b, "y");
}

/* An output of Split that nobody asks for stands before the one that is traced through it. */
static void split_with_a_gap(void **s)
{
    enum { N = 20 };
    float *x = noise(N * 24, 5, 1.0f);
    onnx_build b;
    split_attention(&b, N, NULL);
    float *y = run_file(&b, x, 0);
    for (int i = 0; i < N; i++) {
        double sum = 0, want = 0;
        for (int j = 0; j < N; j++) {
            double dot = 0;
            for (int c = 0; c < 8; c++) dot += (double)x[i * 24 + c] * (double)x[j * 24 + c];
            sum += exp(dot);
            want += exp(dot) * (double)x[j * 24 + 16];
        }
        assert_true(fabs((double)y[i * 8] - want / sum) < 1e-5);
    }
    free(y), free(x);
}

/* Exporters write the lowest float for -inf: a row of nothing else is a mean, not NaN. */
static void lowest_float_masks(void **s)
{
    enum { N = 20 };
    float *x = noise(N * 24, 6, 1.0f), mask[N];
    for (int i = 0; i < N; i++) mask[i] = -FLT_MAX;
    EACH_LEVEL(level)
    {
        onnx_build b;
        split_attention(&b, N, mask);
        float *y = run_file(&b, x, 0);
        for (int c = 0; c < 8; c++) {
            double mean = 0;
            for (int j = 0; j < N; j++) mean += (double)x[j * 24 + 16 + c] / N;
            assert_true(fabs((double)y[3 * 8 + c] - mean) < 1e-5);
        }
        free(y);
    }
    mt_cpu_mask(MT_CPU_AVX512);
    free(x);
}

/* Attention over no images at all: heads are made by a reshape of nothing. */
static void attention_over_nothing(void **s)
{
    onnx_build b;
    ob_init(&b, 13);
    ob_input(&b, "x", 1, OB_DIMS(0, 4, 8));
    ob_int64s(&b, "to", 4, (const int64_t[]){0, 4, 2, 4});
    ob_node(&b, "Reshape", "x to > h");
    ob_ints(&b, ob_node(&b, "Transpose", "h > q"), "perm", OB_DIMS(0, 2, 1, 3));
    ob_ints(&b, ob_node(&b, "Transpose", "h > k"), "perm", OB_DIMS(0, 2, 3, 1));
    ob_node(&b, "MatMul", "q k > s");
    ob_int(&b, ob_node(&b, "Softmax", "s > a"), "axis", -1);
    ob_node(&b, "MatMul", "a q > y");
    ob_output(&b, "y");
    free(run_file(&b, NULL, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sum_keeps_its_activation),
        cmocka_unit_test(split_with_a_gap),
        cmocka_unit_test(lowest_float_masks),
        cmocka_unit_test(attention_over_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
