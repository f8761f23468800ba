/* Networks against direct computation, on every instruction set; the same bits however they run. */
#include "tests/support/support.h"
#include "onnx_build.h"
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include "base/cpu.h"
#include "models/net.h"

typedef struct floats { float *v; size_t n; } floats;

static float noise(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (float)(*seed >> 8) / 8388608.0f - 1.0f;
}

static float *random_floats(size_t n, uint32_t seed)
{
    float *p = malloc((n ? n : 1) * sizeof *p);
    for (size_t i = 0; i < n; i++) p[i] = noise(&seed);
    return p;
}

static mt_net *compile(onnx_build *b, const mt_tensor *in, int n_in)
{
    mt_err err = MT_ERR_INIT;
    size_t n;
    uint8_t *p = ob_pack(b, &n);
    mt_net *net = NULL;
    tt_ok(mt_net_compile(&net, p, n, in, n_in, "t", &err), &err);
    free(p);
    return net;
}

/* Runs once; a copy of output 0 (free). */
static floats run(const mt_net *net, const float *x)
{
    mt_err err = MT_ERR_INIT;
    mt_net_state *state = NULL;
    mt_tensor in = *mt_net_input(net, 0), out[8];
    in.data = (void *)x;
    tt_ok(mt_net_state_new(&state, net, &err), &err);
    tt_ok(mt_net_run(net, state, &in, out, &err), &err);
    floats r = {NULL, 1};
    for (int d = 0; d < out[0].rank; d++) r.n *= (size_t)out[0].dims[d];
    r.v = malloc(r.n * sizeof *r.v + 1);
    memcpy(r.v, out[0].data, r.n * sizeof *r.v);
    mt_net_state_free(&state);
    return r;
}

static void near_all(const float *got, const float *want, size_t n, double tol)
{
    double top = 0;
    for (size_t i = 0; i < n; i++) top = fmax(top, fabs((double)want[i]));
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - (double)want[i]) <= tol * top + 1e-7))
            fail_msg("element %zu: %.9g, expected %.9g", i, (double)got[i], (double)want[i]);
}

static void each_isa(void (*test)(void))
{
    for (int level = MT_CPU_REF; level <= mt_cpu_detected(); level++) {
        mt_cpu_mask(level);
        test();
    }
    mt_cpu_mask(MT_CPU_AVX512);
}

/* --- conv + batch norm + residual + relu --- */

enum { C = 19, H = 13, W = 11 };

/* y[o] = scale[o] * (sum w x + bias[o]) + shift[o], 3x3, pad 1. */
static void conv_reference(float *y, const float *x, const float *w, const float *bias,
                           const float *scale, const float *shift)
{
    for (int o = 0; o < C; o++)
        for (int r = 0; r < H; r++)
            for (int c = 0; c < W; c++) {
                double sum = bias ? (double)bias[o] : 0;
                for (int i = 0; i < C; i++)
                    for (int k = 0; k < 9; k++) {
                        int rr = r + k / 3 - 1, cc = c + k % 3 - 1;
                        if (rr < 0 || cc < 0 || rr >= H || cc >= W) continue;
                        sum += (double)w[(o * C + i) * 9 + k] * (double)x[(i * H + rr) * W + cc];
                    }
                y[(o * H + r) * W + c] = (float)(sum * (double)scale[o] + (double)shift[o]);
            }
}

typedef struct block {
    float *w1, *w2, *b1, *gamma, *beta, *mean, *var, *scale, *shift;
} block;

static block block_new(void)
{
    block k = {random_floats(C * C * 9, 1), random_floats(C * C * 9, 2), random_floats(C, 3),
               random_floats(C, 4),         random_floats(C, 5),         random_floats(C, 6),
               random_floats(C, 7),         random_floats(C, 8),         random_floats(C, 9)};
    for (int i = 0; i < C; i++) {
        k.var[i] = fabsf(k.var[i]) + 0.1f;
        k.scale[i] = k.gamma[i] / sqrtf(k.var[i] + 1e-3f);
        k.shift[i] = k.beta[i] - k.mean[i] * k.scale[i];
    }
    return k;
}

static void block_free(block *k)
{
    float *all[] = {k->w1, k->w2, k->b1, k->gamma, k->beta, k->mean, k->var, k->scale, k->shift};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

static void bn(onnx_build *b, const char *names)
{
    ob_float(b, ob_node(b, "BatchNormalization", names), "epsilon", 1e-3f);
}

/* x -> conv -> bn -> relu -> conv -> bn -> (+ x) -> relu */
static void residual_block(onnx_build *b, const block *k, int64_t batch)
{
    ob_init(b, 13);
    ob_input(b, "x", 1, OB_DIMS(batch, C, H, W));
    ob_floats(b, "w1", OB_DIMS(C, C, 3, 3), k->w1);
    ob_floats(b, "w2", OB_DIMS(C, C, 3, 3), k->w2);
    ob_floats(b, "b1", OB_DIMS(C), k->b1);
    ob_floats(b, "g", OB_DIMS(C), k->gamma);
    ob_floats(b, "be", OB_DIMS(C), k->beta);
    ob_floats(b, "m", OB_DIMS(C), k->mean);
    ob_floats(b, "v", OB_DIMS(C), k->var);
    ob_ints(b, ob_node(b, "Conv", "x w1 b1 > c1"), "pads", OB_DIMS(1, 1, 1, 1));
    bn(b, "c1 g be m v > n1");
    ob_node(b, "Relu", "n1 > r1");
    ob_text(b, ob_node(b, "Conv", "r1 w2 > c2"), "auto_pad", "SAME_UPPER");
    bn(b, "c2 g be m v > n2");
    ob_node(b, "Add", "x n2 > s");
    ob_node(b, "Relu", "s > y");
    ob_output(b, "y");
}

static void residual_block_is_right(void)
{
    onnx_build b;
    block k = block_new();
    residual_block(&b, &k, 1);
    mt_net *net = compile(&b, NULL, 0);
    float *x = random_floats(C * H * W, 10), *t = random_floats(C * H * W, 11),
          *y = random_floats(C * H * W, 12);
    conv_reference(t, x, k.w1, k.b1, k.scale, k.shift);
    for (int i = 0; i < C * H * W; i++) t[i] = fmaxf(t[i], 0);
    conv_reference(y, t, k.w2, NULL, k.scale, k.shift);
    for (int i = 0; i < C * H * W; i++) y[i] = fmaxf(y[i] + x[i], 0);
    floats got = run(net, x);
    assert_int_equal(got.n, C * H * W);
    near_all(got.v, y, got.n, 2e-5);
    assert_in_range(mt_net_n_steps(net), 2,
                    5); /* two convolutions and reorders: all else is fused */
    assert_int_equal(mt_net_macs(net), 2ull * C * C * 9 * H * W);
    free(got.v); free(x); free(t); free(y);
    block_free(&k);
    ob_free(&b);
    mt_net_free(&net);
}

static void residual_blocks(void **s) { each_isa(residual_block_is_right); }

/* An image gives the same bits alone and in any place of a batch. */
static void batch_is_right(void)
{
    enum { N = 3, IMAGE = C * H * W };
    onnx_build b;
    block k = block_new();
    float *fc = random_floats(C * 40, 20), *fb = random_floats(40, 21),
          *x = random_floats(N * IMAGE, 22);
    mt_net *nets[2];
    for (int i = 0; i < 2; i++) {
        residual_block(&b, &k, i ? N : 1);
        b.graph.n_output = 0;
        ob_floats(&b, "fc", OB_DIMS(40, C), fc);
        ob_floats(&b, "fb", OB_DIMS(40), fb);
        ob_node(&b, "GlobalAveragePool", "y > p");
        ob_node(&b, "Flatten", "p > f");
        ob_int(&b, ob_node(&b, "Gemm", "f fc fb > o"), "transB", 1);
        ob_int(&b, ob_node(&b, "Softmax", "o > q"), "axis", 1);
        ob_output(&b, "q");
        nets[i] = compile(&b, NULL, 0);
        ob_free(&b);
    }
    floats all = run(nets[1], x);
    assert_int_equal(all.n, N * 40);
    for (int i = 0; i < N; i++) {
        floats one = run(nets[0], x + i * IMAGE);
        assert_memory_equal(one.v, all.v + i * 40, 40 * sizeof(float));
        free(one.v);
    }
    free(all.v); free(fc); free(fb); free(x);
    block_free(&k);
    mt_net_free(&nets[0]);
    mt_net_free(&nets[1]);
}

static void batches(void **s) { each_isa(batch_is_right); }

/* Small layers run image by image, the 11x11 one over the whole batch: x -> a -> 11x11 -> c (+ a) -> y,
 * with a read on both sides and also an output. */
static void stretched(onnx_build *b, float *const w[4], int64_t batch)
{
    ob_init(b, 13);
    ob_input(b, "x", 1, OB_DIMS(batch, C, H, W));
    ob_floats(b, "w0", OB_DIMS(C, C, 3, 3), w[0]);
    ob_floats(b, "w1", OB_DIMS(C, C, 1, 1), w[1]);
    ob_floats(b, "w2", OB_DIMS(C, C, 11, 11), w[2]);
    ob_floats(b, "w3", OB_DIMS(C, C, 3, 3), w[3]);
    ob_ints(b, ob_node(b, "Conv", "x w0 > a0"), "pads", OB_DIMS(1, 1, 1, 1));
    ob_node(b, "Relu", "a0 > a");
    ob_node(b, "Conv", "a w1 > b0");
    ob_node(b, "Sigmoid", "b0 > b");
    ob_ints(b, ob_node(b, "Conv", "b w2 > c"), "pads", OB_DIMS(5, 5, 5, 5));
    ob_ints(b, ob_node(b, "Conv", "c w3 > d"), "pads", OB_DIMS(1, 1, 1, 1));
    ob_node(b, "Add", "d a > e");
    ob_node(b, "Relu", "e > f");
    ob_node(b, "GlobalAveragePool", "f > g");
    ob_node(b, "Mul", "f g > y");
    ob_output(b, "y");
    ob_output(b, "a");
}

typedef struct steps {
    int of[32], n;
} steps;

static void count_step(void *ctx, int step, const char *op, const char *node, const char *variant,
                       uint64_t macs, int done)
{
    steps *s = ctx;
    if (!done) s->of[step]++;
    s->n = step + 1 > s->n ? step + 1 : s->n;
}

static void stretches_are_right(void)
{
    enum { N = 3, IMAGE = C * H * W };
    const int sides[4] = {9, 1, 121, 9};
    float *w[4], *x = random_floats(N * IMAGE, 30);
    mt_net *nets[2];
    mt_net_state *state[2];
    mt_tensor out[2];
    for (int i = 0; i < 4; i++) w[i] = random_floats((size_t)(C * C * sides[i]), 31 + (unsigned)i);
    for (int i = 0; i < 2; i++) {
        onnx_build b;
        stretched(&b, w, i ? N : 1);
        nets[i] = compile(&b, NULL, 0);
        ob_free(&b);
        assert_int_equal(mt_net_state_new(&state[i], nets[i], NULL), MT_OK);
    }
    steps seen = {{0}, 0};
    mt_tensor in = *mt_net_input(nets[1], 0);
    in.data = x;
    for (int turn = 0; turn < 2; turn++) /* what a run leaves behind does not show in the next */
        assert_int_equal(mt_net_run_watched(nets[1], state[1], &in, out, count_step, &seen, NULL), MT_OK);
    int once = 0, by_image = 0;
    for (int i = 0; i < seen.n; i++) once += seen.of[i] == 2, by_image += seen.of[i] == 2 * N;
    assert_int_equal(once + by_image, seen.n);
    assert_true(once >= 1 && by_image >= 4);
    floats all[2];
    for (int o = 0; o < 2; o++) {
        all[o] = (floats){malloc(N * IMAGE * sizeof(float)), N * IMAGE};
        memcpy(all[o].v, out[o].data, N * IMAGE * sizeof(float));
    }
    for (int i = 0; i < N; i++) {
        in = *mt_net_input(nets[0], 0);
        in.data = x + i * IMAGE;
        assert_int_equal(mt_net_run(nets[0], state[0], &in, out, NULL), MT_OK);
        for (int o = 0; o < 2; o++)
            assert_memory_equal(out[o].data, all[o].v + i * IMAGE, IMAGE * sizeof(float));
    }
    for (int i = 0; i < 4; i++) free(w[i]);
    for (int i = 0; i < 2; i++) {
        free(all[i].v);
        mt_net_state_free(&state[i]);
        mt_net_free(&nets[i]);
    }
    free(x);
}

static void stretches(void **s) { each_isa(stretches_are_right); }

/* Four threads on one net, each with its own state. */
typedef struct job { const mt_net *net; const float *x; floats out; } job;

static void *run_job(void *p)
{
    job *j = p;
    for (int i = 0; i < 20; i++) {
        free(j->out.v);
        j->out = run(j->net, j->x);
    }
    return NULL;
}

static void threads_agree(void **s)
{
    onnx_build b;
    block k = block_new();
    residual_block(&b, &k, 1);
    mt_net *net = compile(&b, NULL, 0);
    float *x = random_floats(2 * C * H * W, 30);
    floats alone[2] = {run(net, x), run(net, x + C * H * W)};
    job jobs[4];
    pthread_t t[4];
    for (int i = 0; i < 4; i++) {
        jobs[i] = (job){net, x + (i & 1) * C * H * W, {NULL, 0}};
        assert_int_equal(pthread_create(&t[i], NULL, run_job, &jobs[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(t[i], NULL);
        assert_memory_equal(jobs[i].out.v, alone[i & 1].v, alone[0].n * sizeof(float));
        free(jobs[i].out.v);
    }
    free(alone[0].v); free(alone[1].v); free(x);
    block_free(&k);
    ob_free(&b);
    mt_net_free(&net);
}

/* --- values that are read twice, outputs that are inputs, views --- */

/* The input of an in-place operator is also an output: it must survive. */
static void shared_values_survive(void **s)
{
    onnx_build b;
    ob_init(&b, 13);
    ob_input(&b, "x", 1, OB_DIMS(2, 6));
    ob_node(&b, "Relu", "x > r");
    ob_node(&b, "Sigmoid", "r > q");
    ob_node(&b, "Mul", "q r > m");
    ob_ints(&b, ob_node(&b, "Transpose", "m > t"), "perm", OB_DIMS(1, 0));
    ob_node(&b, "Identity", "x > same");
    ob_output(&b, "t");
    ob_output(&b, "r");
    ob_output(&b, "q");
    ob_output(&b, "same");
    mt_net *net = compile(&b, NULL, 0);
    float x[12];
    for (int i = 0; i < 12; i++) x[i] = (float)(i - 5);
    mt_err err = MT_ERR_INIT;
    mt_net_state *state = NULL;
    mt_tensor in = *mt_net_input(net, 0), out[4];
    in.data = x;
    tt_ok(mt_net_state_new(&state, net, &err), &err);
    tt_ok(mt_net_run(net, state, &in, out, &err), &err);
    for (int i = 0; i < 12; i++) {
        float r = fmaxf(x[i], 0), q = 1 / (1 + expf(-r));
        assert_float_equal(((float *)out[1].data)[i], r, 0);
        assert_float_equal(((float *)out[2].data)[i], q, 1e-6);
        assert_float_equal(((float *)out[0].data)[i % 6 * 2 + i / 6], q * r, 1e-5);
        assert_float_equal(((float *)out[3].data)[i], x[i], 0);
        assert_float_equal(x[i], (float)(i - 5), 0); /* the caller's input is not written to */
    }
    in.dims[1] = 5;
    assert_int_equal(mt_net_run(net, state, &in, out, &err), MT_ERR_ARG);
    mt_net_state_free(&state);
    mt_net_free(&net);
    ob_free(&b);
}

/* Shape -> Gather -> Concat -> Reshape, as exporters write x.view(x.size(0), -1): folded to
 * nothing. */
static void shape_arithmetic_folds(void **s)
{
    onnx_build b;
    ob_init(&b, 13);
    ob_input(&b, "x", 1, OB_DIMS(-1, 3, 2, 2));
    ob_int64s(&b, "zero", 1, (const int64_t[]){0});
    ob_int64s(&b, "rest", 1, (const int64_t[]){-1});
    ob_node(&b, "Shape", "x > sh");
    ob_node(&b, "Gather", "sh zero > n");
    ob_int(&b, ob_node(&b, "Concat", "n rest > want"), "axis", 0);
    ob_node(&b, "Reshape", "x want > y");
    ob_output(&b, "y");
    mt_tensor in = {MT_DT_F32, 4, {5, 3, 2, 2}, NULL};
    mt_net *net = compile(&b, &in, 1);
    assert_int_equal(mt_net_n_steps(net), 1);
    assert_int_equal(mt_net_output(net, 0)->rank, 2);
    assert_int_equal(mt_net_output(net, 0)->dims[0], 5);
    assert_int_equal(mt_net_output(net, 0)->dims[1], 12);
    float *x = random_floats(60, 40);
    floats got = run(net, x);
    assert_memory_equal(got.v, x, 60 * sizeof(float));
    free(got.v); free(x);
    mt_net_free(&net);
    ob_free(&b);
}

/* A known input is a constant; the bound shape must fit the declared one. */
static void binding_is_checked(void **s)
{
    onnx_build b;
    mt_err err = MT_ERR_INIT;
    ob_init(&b, 13);
    ob_input(&b, "x", 1, OB_DIMS(-1, 4));
    ob_input(&b, "k", 7, OB_DIMS(1));
    ob_node(&b, "TopK", "x k > v i");
    ob_output(&b, "v");
    size_t n;
    uint8_t *p = ob_pack(&b, &n);
    mt_net *net = NULL;
    int64_t two = 2;
    mt_tensor in[2] = {{MT_DT_F32, 2, {3, 4}, NULL}, {MT_DT_I64, 1, {1}, NULL}};
    assert_int_equal(mt_net_compile(&net, p, n, in, 2, "t", &err), MT_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "TopK"));
    assert_null(net);
    mt_err_clear(&err);
    in[1].data = &two;
    tt_ok(mt_net_compile(&net, p, n, in, 2, "t", &err), &err);
    assert_int_equal(mt_net_output(net, 0)->dims[1], 2);
    mt_net_free(&net);
    in[0].dims[1] = 5;
    assert_int_equal(mt_net_compile(&net, p, n, in, 2, "t", &err), MT_ERR_ARG);
    assert_non_null(strstr(err.text, "[-1,4]"));
    mt_err_clear(&err);
    in[0].dims[1] = 4;
    in[0].dtype = MT_DT_I64;
    assert_int_equal(mt_net_compile(&net, p, n, in, 2, "t", &err), MT_ERR_ARG);
    mt_err_clear(&err);
    assert_int_equal(mt_net_compile(&net, p, n, in, 1, "t", &err), MT_ERR_ARG);
    free(p);
    ob_free(&b);
}

/* Index from the run, out of range: an error of the run. */
static void wild_indices_are_errors(void **s)
{
    onnx_build b;
    mt_err err = MT_ERR_INIT;
    ob_init(&b, 13);
    ob_input(&b, "x", 1, OB_DIMS(4, 2));
    ob_input(&b, "i", 7, OB_DIMS(2));
    ob_node(&b, "Gather", "x i > y");
    ob_output(&b, "y");
    mt_net *net = compile(&b, NULL, 0);
    mt_net_state *state = NULL;
    float x[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    int64_t ix[2] = {-1, 1};
    mt_tensor in[2] = {*mt_net_input(net, 0), *mt_net_input(net, 1)}, out[1];
    in[0].data = x;
    in[1].data = ix;
    tt_ok(mt_net_state_new(&state, net, &err), &err);
    tt_ok(mt_net_run(net, state, in, out, &err), &err);
    assert_memory_equal(out[0].data, ((float[]){6, 7, 2, 3}), 16);
    ix[0] = 4;
    assert_int_equal(mt_net_run(net, state, in, out, &err), MT_ERR_FORMAT);
    assert_non_null(strstr(err.text, "index 4"));
    mt_err_clear(&err);
    ix[0] = INT64_MIN;
    assert_int_equal(mt_net_run(net, state, in, out, &err), MT_ERR_FORMAT);
    mt_net_state_free(&state);
    mt_net_free(&net);
    ob_free(&b);
}

/* --- old forms --- */

/* One node at an old opset over x[2,3,4]; expected by a function of the element's index. */
static floats old_form(const char *op, int64_t opset, void (*attrs)(onnx_build *, MtPb__Node *))
{
    onnx_build b;
    float x[24];
    for (int i = 0; i < 24; i++) x[i] = (float)i - 12;
    ob_init(&b, opset);
    ob_input(&b, "x", 1, OB_DIMS(2, 3, 4));
    MtPb__Node *n = ob_node(&b, op, "x > y");
    if (attrs) attrs(&b, n);
    ob_output(&b, "y");
    mt_net *net = compile(&b, NULL, 0);
    floats r = run(net, x);
    mt_net_free(&net);
    ob_free(&b);
    return r;
}

static void clip_attrs(onnx_build *b, MtPb__Node *n)
{
    ob_float(b, n, "min", -3);
    ob_float(b, n, "max", 4);
}
static void slice_attrs(onnx_build *b, MtPb__Node *n)
{
    ob_ints(b, n, "starts", OB_DIMS(1, -2));
    ob_ints(b, n, "ends", OB_DIMS(9, 4));
    ob_ints(b, n, "axes", OB_DIMS(0, 2));
}
static void pad_attrs(onnx_build *b, MtPb__Node *n)
{
    ob_ints(b, n, "pads", OB_DIMS(0, 0, 1, 0, 0, 1));
    ob_text(b, n, "mode", "edge");
}
static void axes_attrs(onnx_build *b, MtPb__Node *n)
{
    ob_ints(b, n, "axes", OB_DIMS(1));
    ob_int(b, n, "keepdims", 0);
}
static void unsqueeze_attrs(onnx_build *b, MtPb__Node *n) { ob_ints(b, n, "axes", OB_DIMS(0, 4)); }

static void old_forms(void **s)
{
    floats r = old_form("Clip", 6, clip_attrs);
    for (int i = 0; i < 24; i++) assert_float_equal(r.v[i], fmaxf(-3, fminf(4, (float)i - 12)), 0);
    free(r.v);
    r = old_form("Slice", 9, slice_attrs);
    assert_int_equal(r.n, 6);
    for (int i = 0; i < 6; i++)
        assert_float_equal(r.v[i], (float)(12 + i / 2 * 4 + 2 + i % 2 - 12), 0);
    free(r.v);
    r = old_form("Pad", 10, pad_attrs);
    assert_int_equal(r.n, 36);
    for (int i = 0; i < 36; i++)
        assert_float_equal(r.v[i],
                           (float)(i / 6 * 4 +
                                   (i % 6 == 0   ? 0
                                    : i % 6 == 5 ? 3
                                                 : i % 6 - 1) -
                                   12),
                           0);
    free(r.v);
    r = old_form("ReduceMean", 12, axes_attrs);
    assert_int_equal(r.n, 8);
    for (int i = 0; i < 8; i++)
        assert_float_equal(r.v[i], (float)(i / 4 * 12 + 4 + i % 4 - 12), 1e-6);
    free(r.v);
    r = old_form("Unsqueeze", 11, unsqueeze_attrs);
    assert_int_equal(r.n, 24);
    free(r.v);
    r = old_form("Softmax", 11, NULL); /* flattened at axis 1: one row of twelve */
    double sum = 0;
    for (int i = 0; i < 12; i++) sum += (double)r.v[i];
    assert_float_equal((float)sum, 1, 1e-6);
    assert_float_equal(r.v[11] / r.v[10], expf(1), 1e-4);
    free(r.v);
    r = old_form("Softmax", 13, NULL); /* last axis */
    assert_float_equal(r.v[0] + r.v[1] + r.v[2] + r.v[3], 1, 1e-6);
    free(r.v);
}

/* --- what passes must not break --- */

/* A convolution read twice may not swallow what follows one reader. */
static void fusing_spares_other_readers(void)
{
    onnx_build b;
    float *w = random_floats(C * C * 9, 50), *x = random_floats(C * H * W, 51),
          *y = random_floats(C * H * W, 52);
    float ones[C], zeros[C] = {0};
    for (int i = 0; i < C; i++) ones[i] = 1;
    ob_init(&b, 13);
    ob_input(&b, "x", 1, OB_DIMS(1, C, H, W));
    ob_floats(&b, "w", OB_DIMS(C, C, 3, 3), w);
    ob_ints(&b, ob_node(&b, "Conv", "x w > c"), "pads", OB_DIMS(1, 1, 1, 1));
    ob_node(&b, "Relu", "c > r");
    ob_node(&b, "Sub", "r c > d"); /* max(c,0) - c = max(-c,0) */
    ob_node(&b, "Add", "d d > y");
    ob_output(&b, "y");
    mt_net *net = compile(&b, NULL, 0);
    conv_reference(y, x, w, NULL, ones, zeros);
    for (int i = 0; i < C * H * W; i++) y[i] = 2 * fmaxf(-y[i], 0);
    floats got = run(net, x);
    near_all(got.v, y, got.n, 2e-5);
    free(got.v); free(w); free(x); free(y);
    mt_net_free(&net);
    ob_free(&b);
}

static void other_readers(void **s) { each_isa(fusing_spares_other_readers); }

/* Squeeze-excite, SiLU and a ragged concat: c = conv(x); y = concat(c * sigmoid(fc(pool(c))),
 * silu(c)). */
static void gates_are_right(void)
{
    onnx_build b;
    float *w = random_floats(C * C * 9, 60), *f = random_floats(C * C, 61),
          *x = random_floats(C * H * W, 62);
    float *c = random_floats(C * H * W, 63), *want = random_floats(2 * C * H * W, 64), ones[C],
          zeros[C] = {0};
    for (int i = 0; i < C; i++) ones[i] = 0.1f;
    ob_init(&b, 13);
    ob_input(&b, "x", 1, OB_DIMS(1, C, H, W));
    ob_floats(&b, "w", OB_DIMS(C, C, 3, 3), w);
    ob_floats(&b, "f", OB_DIMS(C, C, 1, 1), f);
    ob_floats(&b, "tenth", 0, NULL, ones);
    ob_ints(&b, ob_node(&b, "Conv", "x w > c0"), "pads", OB_DIMS(1, 1, 1, 1));
    ob_node(&b, "Mul", "c0 tenth > c");
    ob_node(&b, "GlobalAveragePool", "c > p");
    ob_node(&b, "Conv", "p f > q");
    ob_node(&b, "Sigmoid", "q > g");
    ob_node(&b, "Mul", "g c > gated");
    ob_node(&b, "Sigmoid", "c > sc");
    ob_node(&b, "Mul", "c sc > silu");
    ob_int(&b, ob_node(&b, "Concat", "gated silu > y"), "axis", 1);
    ob_output(&b, "y");
    mt_net *net = compile(&b, NULL, 0);
    conv_reference(c, x, w, NULL, ones, zeros);
    for (int o = 0; o < C; o++) {
        double z = 0;
        for (int i = 0; i < C; i++) {
            double mean = 0;
            for (int p = 0; p < H * W; p++) mean += (double)c[i * H * W + p];
            z += (double)f[o * C + i] * mean / (H * W);
        }
        for (int p = 0; p < H * W; p++) {
            double v = c[o * H * W + p];
            want[o * H * W + p] = (float)(v / (1 + exp(-z)));
            want[(C + o) * H * W + p] = (float)(v / (1 + exp(-v)));
        }
    }
    floats got = run(net, x);
    assert_int_equal(got.n, 2 * C * H * W);
    near_all(got.v, want, got.n, 2e-5);
    free(got.v); free(w); free(f); free(x); free(c); free(want);
    mt_net_free(&net);
    ob_free(&b);
}

static void gates(void **s) { each_isa(gates_are_right); }

/* Pad moves into an average pool: the zeros count. */
static void padded_average(void)
{
    onnx_build b;
    float x[2 * 4 * 4], want[2 * 3 * 3];
    for (int i = 0; i < 32; i++) x[i] = (float)i;
    ob_init(&b, 13);
    ob_input(&b, "x", 1, OB_DIMS(1, 2, 4, 4));
    static const float eye[4] = {1, 0, 0, 1};
    ob_floats(&b, "w", OB_DIMS(2, 2, 1, 1), eye); /* puts the pool on a blocked island */
    ob_int64s(&b, "pads", 8, (const int64_t[]){0, 0, 1, 1, 0, 0, 1, 1});
    ob_node(&b, "Conv", "x w > c");
    ob_node(&b, "Pad", "c pads > p");
    MtPb__Node *n = ob_node(&b, "AveragePool", "p > y");
    ob_ints(&b, n, "kernel_shape", OB_DIMS(2, 2));
    ob_ints(&b, n, "strides", OB_DIMS(2, 2));
    ob_output(&b, "y");
    for (int ch = 0; ch < 2; ch++)
        for (int r = 0; r < 3; r++)
            for (int c = 0; c < 3; c++) {
                float sum = 0;
                for (int k = 0; k < 4; k++) {
                    int rr = 2 * r + k / 2 - 1, cc = 2 * c + k % 2 - 1;
                    if (rr >= 0 && cc >= 0 && rr < 4 && cc < 4) sum += x[ch * 16 + rr * 4 + cc];
                }
                want[(ch * 3 + r) * 3 + c] = sum / 4;
            }
    mt_net *net = compile(&b, NULL, 0);
    floats got = run(net, x);
    near_all(got.v, want, 18, 1e-6);
    free(got.v);
    mt_net_free(&net);
    ob_free(&b);
}

static void padded_averages(void **s) { each_isa(padded_average); }

/* Transposed convolution between convolutions: odd sizes, pads, dilation, overlapping and missing
 * taps. */
static void transposed_is_right(void)
{
    static const struct {
        int k, stride, pad, dil, extra;
    } cases[] = {
        {2, 2, 0, 1, 0}, {3, 2, 1, 1, 1}, {3, 1, 1, 2, 0}, {2, 3, 0, 1, 1}, {5, 2, 2, 1, 0}};
    enum { I = 5, O = 18, IH = 4, IW = 3, WIDEST = 20 };
    float eye[I * I] = {0};
    for (int i = 0; i < I; i++) eye[i * I + i] = 1;
    for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
        int k = cases[n].k, st = cases[n].stride, pad = cases[n].pad, dil = cases[n].dil;
        int oh = (IH - 1) * st + cases[n].extra + (k - 1) * dil + 1 - 2 * pad,
            ow = (IW - 1) * st + cases[n].extra + (k - 1) * dil + 1 - 2 * pad;
        float *w = random_floats((size_t)(I * O * k * k), 80), *bias = random_floats(O, 81),
              *x = random_floats(I * IH * IW, 82);
        float *want = calloc((size_t)(O * oh * ow), sizeof *want);
        assert_true(oh <= WIDEST && ow <= WIDEST);
        for (int o = 0; o < O; o++) {
            double sum[WIDEST * WIDEST];
            for (int p = 0; p < oh * ow; p++) sum[p] = (double)bias[o];
            for (int i = 0; i < I; i++)
                for (int p = 0; p < IH * IW; p++)
                    for (int q = 0; q < k * k; q++) {
                        int y = p / IW * st + q / k * dil - pad,
                            c = p % IW * st + q % k * dil - pad;
                        if (y < 0 || c < 0 || y >= oh || c >= ow) continue;
                        sum[y * ow + c] +=
                            (double)x[i * IH * IW + p] * (double)w[(i * O + o) * k * k + q];
                    }
            for (int p = 0; p < oh * ow; p++) want[o * oh * ow + p] = fmaxf((float)sum[p], 0);
        }
        onnx_build b;
        ob_init(&b, 13);
        ob_input(&b, "x", 1, OB_DIMS(1, I, IH, IW));
        ob_floats(&b, "eye", OB_DIMS(I, I, 1, 1), eye);
        ob_floats(&b, "w", OB_DIMS(I, O, k, k), w);
        ob_floats(&b, "b", OB_DIMS(O), bias);
        ob_node(&b, "Conv", "x eye > c");
        MtPb__Node *t = ob_node(&b, "ConvTranspose", "c w b > t");
        ob_ints(&b, t, "strides", OB_DIMS(st, st));
        ob_ints(&b, t, "dilations", OB_DIMS(dil, dil));
        ob_ints(&b, t, "pads", OB_DIMS(pad, pad, pad, pad));
        ob_ints(&b, t, "output_padding", OB_DIMS(cases[n].extra, cases[n].extra));
        ob_node(&b, "Relu", "t > y");
        ob_output(&b, "y");
        mt_net *net = compile(&b, NULL, 0);
        floats got = run(net, x);
        assert_int_equal(got.n, O * oh * ow);
        near_all(got.v, want, got.n, 2e-5);
        free(got.v); free(w); free(bias); free(x); free(want);
        mt_net_free(&net);
        ob_free(&b);
    }
}

static void transposed(void **s) { each_isa(transposed_is_right); }

/* A product as large as a bag's: OpenBLAS and our own agree with a double sum. */
static void products(void)
{
    enum { M = 50, K = 65, N = 33 };
    onnx_build b;
    float *x = random_floats(M * K, 70), *w = random_floats(N * K, 71), *c = random_floats(N, 72),
          *want = random_floats(M * N, 73);
    ob_init(&b, 13);
    ob_input(&b, "x", 1, OB_DIMS(M, K));
    ob_floats(&b, "w", OB_DIMS(N, K), w);
    ob_floats(&b, "c", OB_DIMS(N), c);
    MtPb__Node *n = ob_node(&b, "Gemm", "x w c > y");
    ob_int(&b, n, "transB", 1);
    ob_float(&b, n, "alpha", 0.5f);
    ob_float(&b, n, "beta", 2.0f);
    ob_output(&b, "y");
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++) {
            double sum = 0;
            for (int k = 0; k < K; k++) sum += (double)x[i * K + k] * (double)w[j * K + k];
            want[i * N + j] = (float)(0.5 * sum + 2.0 * (double)c[j]);
        }
    mt_net *net = compile(&b, NULL, 0);
    floats got = run(net, x);
    near_all(got.v, want, M * N, 1e-5);
    free(got.v); free(x); free(w); free(c); free(want);
    mt_net_free(&net);
    ob_free(&b);
}

static void dense(void **s) { each_isa(products); }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(residual_blocks),
        cmocka_unit_test(batches), cmocka_unit_test(stretches),
        cmocka_unit_test(threads_agree),
        cmocka_unit_test(shared_values_survive),
        cmocka_unit_test(shape_arithmetic_folds),
        cmocka_unit_test(binding_is_checked),
        cmocka_unit_test(wild_indices_are_errors),
        cmocka_unit_test(old_forms),
        cmocka_unit_test(other_readers),
        cmocka_unit_test(gates),
        cmocka_unit_test(padded_averages),
        cmocka_unit_test(transposed),
        cmocka_unit_test(dense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
