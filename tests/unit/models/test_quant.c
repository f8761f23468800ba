/* Networks with QuantizeLinear and DequantizeLinear. The judge is the same graph with its
 * activations' scales as inputs of the run: nothing can be known of them beforehand, so every node
 * stays what the standard says, in floats. */
#include "tests/support/support.h"
#include "onnx_build.h"
#include <math.h>
#include <stdio.h>
#include "base/cpu.h"
#include "models/net.h"

enum { MAX_SCALES = 24 };

typedef struct quant_net {
    onnx_build b;
    bool judge;    /* scales are inputs */
    mt_dtype type; /* of activations */
    float scale[MAX_SCALES];
    char name[400][24];
    int n_names, n_scales;
} quant_net;

static const char *name(quant_net *q, const char *stem, const char *of)
{
    char *s = q->name[q->n_names++];
    snprintf(s, sizeof q->name[0], "%s_%s", of, stem);
    return s;
}

static void node2(quant_net *q, const char *op, const char *in, const char *a, const char *b,
                  const char *out)
{
    char text[160];
    snprintf(text, sizeof text, "%s %s %s > %s", in, a, b, out);
    ob_node(&q->b, op, text);
}

/* Value x quantised and back: the name of what comes out. */
static const char *qdq(quant_net *q, const char *x, float scale, int zero)
{
    const char *s = name(q, "s", x), *z = name(q, "z", x), *b = name(q, "q", x),
               *d = name(q, "d", x);
    uint8_t byte = (uint8_t)zero;
    q->scale[q->n_scales++] = scale;
    if (q->judge)
        ob_input(&q->b, s, 1, 1, (const int64_t[]){1});
    else
        ob_floats(&q->b, s, 1, (const int64_t[]){1}, &scale);
    ob_raw(&q->b, z, (int)q->type, 1, (const int64_t[]){1}, &byte, 1);
    node2(q, "QuantizeLinear", x, s, z, b);
    node2(q, "DequantizeLinear", b, s, z, d);
    return d;
}

/* Weights of `count` numbers, one scale for each of the `channels` of dimension `axis`. */
static const char *weights(quant_net *q, const char *stem, int rank, const int64_t *dims, int axis)
{
    const char *w = name(q, "w", stem), *s = name(q, "ws", stem), *d = name(q, "wd", stem);
    size_t n = ob_count(rank, dims);
    int8_t *v = malloc(n);
    float scale[64];
    uint32_t seed = (uint32_t)n * 7 + (uint32_t)stem[0];
    for (size_t i = 0; i < n; i++)
        v[i] = (int8_t)((seed = seed * 1664525u + 1013904223u) >> 24);
    for (int64_t i = 0; i < dims[axis]; i++)
        scale[i] = 0.0004f * (float)(2 + i % 5);
    ob_raw(&q->b, w, 3, rank, dims, v, n);
    ob_floats(&q->b, s, 1, (const int64_t[]){dims[axis]}, scale);
    char text[80];
    snprintf(text, sizeof text, "%s %s > %s", w, s, d);
    ob_int(&q->b, ob_node(&q->b, "DequantizeLinear", text), "axis", axis);
    free(v);
    return d;
}

static MtPb__Node *conv(quant_net *q, const char *x, const char *out, int64_t cin, int64_t cout,
                        int k, int groups, int stride)
{
    const char *w = weights(q, out, 4, (const int64_t[]){cout, cin / groups, k, k}, 0),
               *b = name(q, "b", out);
    float bias[64];
    for (int64_t i = 0; i < cout; i++)
        bias[i] = 0.05f * (float)(i % 7 - 3);
    ob_floats(&q->b, b, 1, &cout, bias);
    char text[120];
    snprintf(text, sizeof text, "%s %s %s > %s", x, w, b, out);
    MtPb__Node *n = ob_node(&q->b, "Conv", text);
    ob_int(&q->b, n, "group", groups);
    ob_ints(&q->b, n, "strides", 2, (const int64_t[]){stride, stride});
    ob_ints(&q->b, n, "pads", 4, (const int64_t[]){k / 2, k / 2, k / 2, k / 2});
    return n;
}

static void op(quant_net *q, const char *type, const char *names)
{
    ob_node(&q->b, type, names);
}

/* Everything the pass knows: stem, Relu, maximum pool behind it, depthwise with SiLU, 1x1, residual
 * Add, gate, Concat, average pool, Gemm. */
static void whole(quant_net *q)
{
    bool s8 = q->type == MT_DT_I8;
    int mid = s8 ? 0 : 128, low = s8 ? -128 : 0;
    ob_init(&q->b, 14);
    ob_input(&q->b, "x", 1, OB_DIMS(-1, 3, 21, 19));
    const char *x = qdq(q, "x", 0.01f, mid);
    conv(q, x, "c1", 3, 24, 3, 1, 1);
    op(q, "Relu", "c1 > r1");
    MtPb__Node *p = ob_node(&q->b, "MaxPool", "r1 > p1");
    ob_ints(&q->b, p, "kernel_shape", 2, (const int64_t[]){3, 3});
    ob_ints(&q->b, p, "strides", 2, (const int64_t[]){2, 2});
    ob_ints(&q->b, p, "pads", 4, (const int64_t[]){1, 1, 1, 1});
    const char *a = qdq(q, "p1", 0.02f, low);
    conv(q, a, "e", 24, 40, 1, 1, 1);
    op(q, "Sigmoid", "e > es");
    op(q, "Mul", "e es > eo");
    const char *e = qdq(q, "eo", 0.01f, s8 ? -90 : 30);
    conv(q, e, "dw", 40, 40, 3, 40, 1);
    op(q, "HardSwish", "dw > dwo");
    const char *d = qdq(q, "dwo", 0.005f, s8 ? -60 : 60);
    /* squeeze and excite */
    op(q, "GlobalAveragePool", "dwo_d > g");
    const char *g = qdq(q, "g", 0.002f, mid);
    conv(q, g, "f", 40, 6, 1, 1, 1);
    op(q, "Relu", "f > fr");
    const char *f = qdq(q, "fr", 0.002f, low);
    conv(q, f, "h", 6, 40, 1, 1, 1);
    op(q, "Sigmoid", "h > hs");
    const char *h = qdq(q, "hs", 1.0f / 255, low);
    char text[100];
    snprintf(text, sizeof text, "%s %s > m", d, h);
    op(q, "Mul", text);
    const char *m = qdq(q, "m", 0.004f, mid);
    conv(q, m, "l", 40, 24, 1, 1, 1);
    const char *l = qdq(q, "l", 0.005f, mid);
    snprintf(text, sizeof text, "%s %s > add", l, a);
    op(q, "Add", text);
    const char *s = qdq(q, "add", 0.02f, mid);
    conv(q, s, "v", 24, 10, 3, 1, 2);
    op(q, "Relu", "v > vr");
    conv(q, s, "w", 24, 17, 1, 1, 2);
    ob_node(&q->b, "Concat", "vr w > cat");
    ob_int(&q->b, q->b.nodes[q->b.graph.n_node - 1], "axis", 1);
    const char *c = qdq(q, "cat", 0.01f, mid);
    snprintf(text, sizeof text, "%s > ap", c);
    p = ob_node(&q->b, "AveragePool", text);
    ob_ints(&q->b, p, "kernel_shape", 2, (const int64_t[]){2, 2});
    const char *ap = qdq(q, "ap", 0.01f, mid);
    snprintf(text, sizeof text, "%s > gp", ap);
    op(q, "GlobalAveragePool", text);
    op(q, "Flatten", "gp > fl");
    const char *fl = qdq(q, "fl", 0.004f, mid);
    const char *fw = weights(q, "fc", 2, (const int64_t[]){5, 27}, 0);
    snprintf(text, sizeof text, "%s %s > y", fl, fw);
    ob_int(&q->b, ob_node(&q->b, "Gemm", text), "transB", 1);
    ob_output(&q->b, "y");
}

static mt_net *compile(quant_net *q, int64_t batch)
{
    mt_err err = MT_ERR_INIT;
    mt_tensor in[MAX_SCALES + 1] = {{MT_DT_F32, 4, {batch, 3, 21, 19}, NULL}};
    for (int i = 0; i < q->n_scales; i++)
        in[i + 1] = (mt_tensor){MT_DT_F32, 1, {1}, NULL};
    size_t n;
    uint8_t *p = ob_pack(&q->b, &n);
    mt_net *net = NULL;
    tt_ok(mt_net_compile(&net, p, n, in, q->judge ? q->n_scales + 1 : 1, "t", &err), &err);
    free(p);
    return net;
}

typedef struct seen {
    int on_bytes, in_floats;
} seen;

static void count(void *ctx, int step, const char *op_name, const char *node, const char *variant,
                  uint64_t macs, int done)
{
    seen *s = ctx;
    if (done) return;
    if (!strcmp(op_name, "QuantizeLinear") || !strcmp(op_name, "DequantizeLinear") ||
        !strcmp(op_name, "Conv"))
        s->in_floats++;
    else if (op_name[0] == 'Q')
        s->on_bytes++;
}

/* Output 0 (free). */
static float *run(const quant_net *q, const mt_net *net, const float *x, size_t *n, seen *s)
{
    mt_err err = MT_ERR_INIT;
    mt_net_state *state = NULL;
    mt_tensor in[MAX_SCALES + 1], out[2];
    float scale[MAX_SCALES];
    memcpy(scale, q->scale, sizeof scale);
    for (int i = 0; i < mt_net_n_inputs(net); i++) {
        in[i] = *mt_net_input(net, i);
        in[i].data = i ? (void *)&scale[i - 1] : (void *)x;
    }
    *s = (seen){0, 0};
    tt_ok(mt_net_state_new(&state, net, &err), &err);
    tt_ok(mt_net_run_watched(net, state, in, out, count, s, &err), &err);
    *n = (size_t)(out[0].dims[0] * out[0].dims[1]);
    float *y = malloc(*n * sizeof *y);
    memcpy(y, out[0].data, *n * sizeof *y);
    mt_net_state_free(&state);
    return y;
}

static float *picture(size_t n)
{
    float *x = malloc(n * sizeof *x);
    uint32_t seed = 77;
    for (size_t i = 0; i < n; i++)
        x[i] = (float)((seed = seed * 1664525u + 1013904223u) >> 8) / 8388608.0f - 1.0f;
    return x;
}

static void next_table(int i)
{
    mt_cpu_mask(i < 3 ? i : MT_CPU_AVX512);
    mt_cpu_mask_vnni(i == 2);
}

/* Against the floats; nothing left in floats; the same bits on every instruction set and batch. */
static void whole_of(mt_dtype type)
{
    enum { N = 3, PX = 3 * 21 * 19 };
    static quant_net q, j;
    memset(&q, 0, sizeof q), memset(&j, 0, sizeof j);
    q.type = j.type = type;
    j.judge = true;
    whole(&q), whole(&j);
    float *x = picture((size_t)N * PX), *first = NULL;
    size_t n;
    seen s;
    mt_net *net = compile(&j, N);
    float *want = run(&j, net, x, &n, &s), lo = want[0], hi = want[0];
    assert_true(s.in_floats > 20);
    mt_net_free(&net);
    for (size_t i = 0; i < n; i++)
        lo = fminf(lo, want[i]), hi = fmaxf(hi, want[i]);
    assert_true(hi - lo > 0.01f);
    for (int t = 0; t < 4; t++) {
        next_table(t);
        net = compile(&q, N);
        float *y = run(&q, net, x, &n, &s);
        assert_true(mt_net_weight_bytes(net) >= 6111); /* a byte a weight */
        mt_net_free(&net);
        if (s.in_floats || s.on_bytes < 12)
            fail_msg("%d steps on bytes, %d in floats", s.on_bytes, s.in_floats);
        for (size_t i = 0; i < n; i++)
            if (!(fabsf(y[i] - want[i]) <= 0.01f * (hi - lo)))
                fail_msg("output %zu: %g, not %g (of %g to %g)", i, (double)y[i], (double)want[i],
                         (double)lo, (double)hi);
        if (!first)
            first = y;
        else {
            assert_memory_equal(y, first, n * sizeof *y);
            free(y);
        }
        net = compile(&q, 1);
        for (int b = 0; b < N; b++) {
            y = run(&q, net, x + (size_t)b * PX, &n, &s);
            assert_memory_equal(y, first + (size_t)b * n, n * sizeof *y);
            free(y);
        }
        n *= N;
        mt_net_free(&net);
    }
    mt_cpu_mask_vnni(0);
    free(x), free(want), free(first);
    ob_free(&q.b), ob_free(&j.b);
}

static void unsigned_activations(void **state)
{
    whole_of(MT_DT_U8);
}
static void signed_activations(void **state)
{
    whole_of(MT_DT_I8);
}

/* What is read in floats too, and what is an output, stays right. */
static void others_read_along(void **state)
{
    static quant_net q, j;
    size_t n;
    seen s;
    float *y[2];
    for (int i = 0; i < 2; i++) {
        quant_net *k = i ? &j : &q;
        memset(k, 0, sizeof *k);
        k->type = MT_DT_U8;
        k->judge = i;
        ob_init(&k->b, 13);
        ob_input(&k->b, "x", 1, OB_DIMS(-1, 3, 21, 19));
        conv(k, qdq(k, "x", 0.01f, 128), "c", 3, 9, 3, 1, 1);
        op(k, "Relu", "c > r");
        char text[80];
        snprintf(text, sizeof text, "%s r > z", qdq(k, "r", 0.01f, 0)); /* r itself is wanted */
        op(k, "Sub", text);
        op(k, "GlobalAveragePool", "z > g");
        op(k, "Flatten", "g > y");
        ob_output(&k->b, "y");
        float *x = picture(3 * 21 * 19);
        mt_net *net = compile(k, 1);
        y[i] = run(k, net, x, &n, &s);
        mt_net_free(&net);
        free(x);
        ob_free(&k->b);
    }
    for (size_t i = 0; i < n; i++)
        assert_true(fabsf(y[0][i] - y[1][i]) <= 1e-5f);
    free(y[0]), free(y[1]);
}

/* What a convolution made is added to something, and read again behind the Add: by another
 * DequantizeLinear of the same bytes, or with bytes of its own. */
static void read_again_later(void **state)
{
    for (int twice = 0; twice < 2; twice++) {
        static quant_net k;
        size_t n;
        seen s;
        float *y[2];
        for (int i = 0; i < 2; i++) {
            memset(&k, 0, sizeof k);
            k.type = MT_DT_U8;
            k.judge = i;
            ob_init(&k.b, 13);
            ob_input(&k.b, "x", 1, OB_DIMS(-1, 3, 21, 19));
            const char *x = qdq(&k, "x", 0.01f, 128);
            conv(&k, x, "c", 3, 9, 3, 1, 1);
            conv(&k, x, "d", 3, 9, 1, 1, 1);
            qdq(&k, "c", 0.02f, 128), qdq(&k, "d", 0.02f, 100);
            op(&k, "Add", "d_d c_d > a");
            qdq(&k, "a", 0.03f, 120);
            if (twice) op(&k, "QuantizeLinear", "c c_s c_z > c_again");
            op(&k, "DequantizeLinear", twice ? "c_again c_s c_z > c2" : "c_q c_s c_z > c2");
            op(&k, "Sub", "a_d c2 > z");
            op(&k, "GlobalMaxPool", "z > g");
            op(&k, "Flatten", "g > y");
            ob_output(&k.b, "y");
            float *p = picture(3 * 21 * 19);
            mt_net *net = compile(&k, 1);
            y[i] = run(&k, net, p, &n, &s);
            mt_net_free(&net);
            free(p);
            ob_free(&k.b);
        }
        for (size_t i = 0; i < n; i++)
            if (!(fabsf(y[0][i] - y[1][i]) <= 0.031f)) /* a step of the coarsest grid */
                fail_msg("%zu: %g, not %g", i, (double)y[0][i], (double)y[1][i]);
        free(y[0]), free(y[1]);
    }
}

/* Every node of a row reads all of the row before: more ways to the end than can be walked, and no
 * channel that would make them large. */
static void ways_without_end(void **state)
{
    enum { WIDE = 14, ROWS = 7 };
    onnx_build b;
    mt_err err = MT_ERR_INIT;
    mt_tensor in = {MT_DT_F32, 4, {1, 0, 4, 4}, NULL};
    mt_net *net = NULL;
    char text[400];
    ob_init(&b, 13);
    ob_input(&b, "x", 1, OB_DIMS(1, 0, 4, 4));
    ob_floats(&b, "s", 0, NULL, (const float[]){0.5f});
    ob_node(&b, "Add", "x x > v0_0");
    for (int r = 1; r <= ROWS; r++)
        for (int i = 0; i < WIDE; i++) {
            int n = 0;
            for (int j = 0; j < (r > 1 ? WIDE : 2); j++)
                n += snprintf(text + n, sizeof text - (size_t)n, "v%d_%d ", r - 1, r > 1 ? j : 0);
            snprintf(text + n, sizeof text - (size_t)n, "> v%d_%d", r, i);
            ob_int(&b, ob_node(&b, "Concat", text), "axis", 1);
        }
    char out[WIDE][12];
    for (int i = 0; i < WIDE; i++) {
        snprintf(out[i], sizeof out[i], "q%d", i);
        snprintf(text, sizeof text, "v%d_%d s > %s", ROWS, i, out[i]);
        ob_node(&b, "QuantizeLinear", text);
        ob_output(&b, out[i]);
    }
    ob_node(&b, "DequantizeLinear", "q0 s > y");
    ob_output(&b, "y");
    size_t n;
    uint8_t *p = ob_pack(&b, &n);
    tt_ok(mt_net_compile(&net, p, n, &in, 1, "t", &err), &err);
    mt_net_free(&net);
    free(p);
    ob_free(&b);
}

/* One QuantizeLinear: half to even, saturation, blocks of two. */
static void quantise_blocks(void **state)
{
    onnx_build b;
    ob_init(&b, 21);
    ob_input(&b, "x", 1, OB_DIMS(1, 8));
    const float s[] = {1.0f, 2.0f, 0.5f, 1.0f};
    ob_floats(&b, "s", 2, (const int64_t[]){1, 4}, s);
    const int8_t z[] = {0, 1, 0, 0};
    ob_raw(&b, "z", 3, 2, (const int64_t[]){1, 4}, z, 4);
    MtPb__Node *n = ob_node(&b, "QuantizeLinear", "x s z > q");
    ob_int(&b, n, "axis", 1);
    ob_int(&b, n, "block_size", 2);
    n = ob_node(&b, "DequantizeLinear", "q s z > y");
    ob_int(&b, n, "axis", 1);
    ob_int(&b, n, "block_size", 2);
    ob_output(&b, "y");
    static const float x[] = {0.5f, 1.5f, 3, -5, 0.25f, 0.75f, 400, -400};
    static const float want[] = {0, 2, 4, -4, 0, 1, 127, -128};
    mt_err err = MT_ERR_INIT;
    size_t bytes;
    uint8_t *p = ob_pack(&b, &bytes);
    mt_net *net = NULL;
    mt_net_state *st = NULL;
    tt_ok(mt_net_compile(&net, p, bytes, NULL, 0, "t", &err), &err);
    tt_ok(mt_net_state_new(&st, net, &err), &err);
    mt_tensor in = *mt_net_input(net, 0), out;
    in.data = (void *)x;
    tt_ok(mt_net_run(net, st, &in, &out, &err), &err);
    for (int i = 0; i < 8; i++)
        assert_true(((const float *)out.data)[i] == want[i]);
    mt_net_state_free(&st);
    mt_net_free(&net);
    free(p);
    ob_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unsigned_activations),
        cmocka_unit_test(signed_activations),
        cmocka_unit_test(others_read_along),
        cmocka_unit_test(read_again_later),
        cmocka_unit_test(ways_without_end),
        cmocka_unit_test(quantise_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
