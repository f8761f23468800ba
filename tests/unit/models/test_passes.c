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

/* The pool of rows t, one score a row: t x w2. */
static void pool_of(onnx_build *b, int width)
{
    float *w = noise((size_t)width, 3, 0.5f);
    ob_floats(b, "w2", 2, (const int64_t[]){width, 1}, w);
    free(w);
    ob_node(b, "MatMul", "t w2 > s");
    ob_ints(b, ob_node(b, "Transpose", "s > st"), "perm", OB_DIMS(1, 0));
    ob_int(b, ob_node(b, "Softmax", "st > a"), "axis", 1);
    ob_node(b, "MatMul", "a t > z");
    ob_output(b, "z");
}

static void check_pool(const float *z, const double *t, int n, int width)
{
    float *w = noise((size_t)width, 3, 0.5f);
    double top = -1e300, sum = 0, *e = malloc((size_t)n * sizeof *e);
    assert_non_null(e);
    for (int i = 0; i < n; i++) {
        e[i] = 0;
        for (int c = 0; c < width; c++) e[i] += t[i * width + c] * (double)w[c];
        top = fmax(top, e[i]);
    }
    for (int i = 0; i < n; i++) sum += e[i] = exp(e[i] - top);
    for (int c = 0; c < width; c++) {
        double want = 0;
        for (int i = 0; i < n; i++) want += e[i] / sum * t[i * width + c];
        if (!(fabs((double)z[c] - want) <= 1e-4))
            fail_msg("pool [%d] is %g, not %g", c, (double)z[c], want);
    }
    free(w), free(e);
}

enum { BAG = 1100, WIDE = 6 };

/* Neighbours' features and one's own (a graph network): one value is read whole and row by row. */
static void bag_of_neighbours(void **s)
{
    float *x = noise((size_t)BAG * BAG, 7, 0.05f), *w = noise((size_t)BAG * WIDE, 8, 0.5f);
    double *h = calloc((size_t)BAG * WIDE, sizeof *h), *t = calloc((size_t)BAG * WIDE, sizeof *t);
    assert_non_null(h);
    assert_non_null(t);
    onnx_build b;
    ob_init(&b, 13);
    ob_input(&b, "x", 1, OB_DIMS(BAG, BAG));
    ob_floats(&b, "w", OB_DIMS(BAG, WIDE), w);
    ob_node(&b, "MatMul", "x w > h");
    ob_node(&b, "MatMul", "x h > g");
    ob_node(&b, "Add", "g h > t");
    pool_of(&b, WIDE);
    float *z = run_file(&b, x, 0);
    for (size_t i = 0; i < BAG; i++)
        for (size_t l = 0; l < BAG; l++)
            for (size_t c = 0; c < WIDE; c++)
                h[i * WIDE + c] += (double)x[i * BAG + l] * (double)w[l * WIDE + c];
    for (size_t i = 0; i < BAG; i++)
        for (size_t c = 0; c < WIDE; c++) {
            t[i * WIDE + c] = h[i * WIDE + c];
            for (size_t l = 0; l < BAG; l++)
                t[i * WIDE + c] += (double)x[i * BAG + l] * h[l * WIDE + c];
        }
    check_pool(z, t, BAG, WIDE);
    free(z), free(x), free(w), free(h), free(t);
}

/* Something the file adds to every row, another one each. */
static void bag_with_known_rows(void **s)
{
    float *x = noise((size_t)BAG * 4, 7, 1.0f), *w = noise(4 * WIDE, 8, 0.5f),
          *own = noise((size_t)BAG * WIDE, 9, 1.0f);
    double *t = malloc((size_t)BAG * WIDE * sizeof *t);
    assert_non_null(t);
    onnx_build b;
    ob_init(&b, 13);
    ob_input(&b, "x", 1, OB_DIMS(BAG, 4));
    ob_floats(&b, "w", OB_DIMS(4, WIDE), w);
    ob_floats(&b, "own", OB_DIMS(BAG, WIDE), own);
    ob_node(&b, "MatMul", "x w > h");
    ob_node(&b, "Add", "h own > t");
    pool_of(&b, WIDE);
    float *z = run_file(&b, x, 0);
    for (size_t i = 0; i < BAG; i++)
        for (size_t c = 0; c < WIDE; c++) {
            t[i * WIDE + c] = (double)own[i * WIDE + c];
            for (size_t l = 0; l < 4; l++)
                t[i * WIDE + c] += (double)x[i * 4 + l] * (double)w[l * WIDE + c];
        }
    check_pool(z, t, BAG, WIDE);
    free(z), free(x), free(w), free(own), free(t);
}

/* Places of maxima count through the whole batch, so bytes that are no 8-bit image of ours run as
 * one. */
static void maxima_of_a_batch(void **s)
{
    enum { N = 3, SIDE = 6, IN = SIDE * SIDE, OUT = IN / 4 };
    uint8_t x[N * IN];
    for (int i = 0; i < N * IN; i++) x[i] = (uint8_t)(i * 37);
    onnx_build b;
    ob_init(&b, 13);
    ob_input(&b, "x", 2, OB_DIMS(N, 1, SIDE, SIDE));
    ob_raw(&b, "lo", 2, 0, NULL, "\3", 1);
    ob_node(&b, "Clip", "x lo > c");
    MtPb__Node *pool = ob_node(&b, "MaxPool", "c > m i");
    ob_ints(&b, pool, "kernel_shape", OB_DIMS(2, 2));
    ob_ints(&b, pool, "strides", OB_DIMS(2, 2));
    ob_node(&b, "Clip", "m lo > y");
    ob_output(&b, "y");
    ob_output(&b, "i");
    int64_t *place = run_file(&b, x, 1);
    for (int i = 0; i < N * OUT; i++)
        if (place[i] / IN != i / OUT) fail_msg("maximum %d lies at %lld", i, (long long)place[i]);
    free(place);
}

/* A product by letters that the batch leads: an image's bits do not hang on its neighbours. */
static void einsum_alone_and_in_a_batch(void **s)
{
    enum { B = 4, N = 64, IMAGE = 2 * N * N };
    float *x = noise(B * IMAGE, 10, 1.0f);
    EACH_LEVEL(level)
    {
        float *y[2];
        for (int i = 0; i < 2; i++) {
            onnx_build b;
            ob_init(&b, 13);
            ob_input(&b, "x", 1, OB_DIMS(i ? B : 1, 2, N, N));
            ob_text(&b, ob_node(&b, "Einsum", "x x > y"), "equation", "bhid,bhjd->bhij");
            ob_output(&b, "y");
            y[i] = run_file(&b, x, 0);
        }
        assert_memory_equal(y[0], y[1], IMAGE * sizeof(float));
        free(y[0]), free(y[1]);
    }
    mt_cpu_mask(MT_CPU_AVX512);
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sum_keeps_its_activation),
        cmocka_unit_test(split_with_a_gap),
        cmocka_unit_test(lowest_float_masks),
        cmocka_unit_test(attention_over_nothing),
        cmocka_unit_test(bag_of_neighbours),
        cmocka_unit_test(bag_with_known_rows),
        cmocka_unit_test(maxima_of_a_batch),
        cmocka_unit_test(einsum_alone_and_in_a_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
