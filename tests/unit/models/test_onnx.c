/* The reader against files that lie. */
#include "tests/support/support.h"
#include "onnx_build.h"
#include <math.h>
#include <stdio.h>
#include <time.h>
#include "models/graph.h"
#include "models/net.h"

static mt_status compile(onnx_build *b, mt_err *err)
{
    size_t n;
    uint8_t *p = ob_pack(b, &n);
    mt_net *net = NULL;
    mt_status st = mt_net_compile(&net, p, n, NULL, 0, "t.onnx", err);
    mt_net_free(&net);
    free(p);
    ob_free(b);
    return st;
}

static void refused(onnx_build *b, mt_status want, const char *word)
{
    mt_err err = MT_ERR_INIT;
    assert_int_equal(compile(b, &err), want);
    assert_int_equal(err.code, want);
    if (!strstr(err.text, word)) fail_msg("\"%s\" does not say \"%s\"", err.text, word);
}

/* x[1,4] + w[4], the smallest whole file; the cases spoil it. */
static MtPb__Tensor *sum(onnx_build *b, int64_t opset)
{
    static const float w[4] = {1, 2, 3, 4};
    ob_init(b, opset);
    ob_input(b, "x", 1, OB_DIMS(1, 4));
    MtPb__Tensor *t = ob_floats(b, "w", OB_DIMS(4), w);
    ob_node(b, "Add", "x w > y")->name = (char *)"first";
    ob_output(b, "y");
    return t;
}

static void whole_file_is_read(void **s)
{
    onnx_build b;
    mt_err err = MT_ERR_INIT;
    sum(&b, 13);
    tt_ok(compile(&b, &err), &err);
}

static void data_must_fill_the_dims(void **s)
{
    onnx_build b;
    MtPb__Tensor *t = sum(&b, 13);
    t->raw_data.len = 15;
    refused(&b, MT_ERR_FORMAT, "\"w\"");
    t = sum(&b, 13);
    t->raw_data.len = 12;
    refused(&b, MT_ERR_FORMAT, "3 elements");
    t = sum(&b, 13);
    t->has_raw_data = 0;
    refused(&b, MT_ERR_FORMAT, "0 elements");
    t = sum(&b, 13);
    t->dims[0] = -4;
    refused(&b, MT_ERR_FORMAT, "negative");
    t = sum(&b, 13);
    t->dims[0] = INT64_MAX / 2;
    refused(&b, MT_ERR_FORMAT, "too large");
    t = sum(&b, 13);
    t->data_type = 8;
    refused(&b, MT_ERR_UNSUPPORTED, "string");
    t = sum(&b, 13);
    t->data_type = 4711;
    refused(&b, MT_ERR_UNSUPPORTED, "unknown type");
}

static void external_data_need_a_folder(void **s)
{
    onnx_build b;
    MtPb__Tensor *t = sum(&b, 13);
    t->has_data_location = 1;
    t->data_location = 1;
    refused(&b, MT_ERR_FORMAT, "without a location");
    t = sum(&b, 13);
    ob_external(&b, t, "w.bin", NULL, NULL);
    refused(&b, MT_ERR_UNSUPPORTED, "not opened from a file");
}

static void opset_is_checked(void **s)
{
    onnx_build b;
    sum(&b, 22);
    refused(&b, MT_ERR_UNSUPPORTED, "opset 22");
    sum(&b, 6);
    refused(&b, MT_ERR_UNSUPPORTED, "opset 7");
    sum(&b, 13);
    b.model.n_opset_import = 0;
    refused(&b, MT_ERR_FORMAT, "operator set");
}

static void names_are_checked(void **s)
{
    onnx_build b;
    sum(&b, 13);
    b.node[0].input[1] = (char *)"nobody";
    refused(&b, MT_ERR_FORMAT, "nobody");
    sum(&b, 13);
    b.node[0].output[0] = (char *)"x";
    refused(&b, MT_ERR_FORMAT, "two values");
    sum(&b, 13);
    b.node[0].input[1] = (char *)"y"; /* its own output: a cycle */
    refused(&b, MT_ERR_FORMAT, "no earlier node");
    sum(&b, 13);
    b.out[0]->name = (char *)"z";
    refused(&b, MT_ERR_FORMAT, "\"z\"");
}

static void unknown_operators_are_named(void **s)
{
    onnx_build b;
    sum(&b, 13);
    b.node[0].op_type = (char *)"LSTM";
    refused(&b, MT_ERR_UNSUPPORTED, "LSTM node \"first\" (opset 13)");
    sum(&b, 13);
    b.node[0].op_type = (char *)"LSTM";
    ob_node(&b, "If", "x > q");
    refused(&b, MT_ERR_UNSUPPORTED, "1 more");
    sum(&b, 13);
    b.node[0].op_type = (char *)"LSTM";
    refused(&b, MT_ERR_UNSUPPORTED, "supported: Add");
    sum(&b, 13);
    b.node[0].domain = (char *)"com.example";
    refused(&b, MT_ERR_UNSUPPORTED, "com.example");
}

static void shapes_that_overflow(void **s)
{
    static const int64_t huge[3] = {1 << 30, 1 << 30, 1 << 30},
                         zero[3] = {0, (int64_t)1 << 40, (int64_t)1 << 40};
    onnx_build b;
    for (int i = 0; i < 2; i++) {
        ob_init(&b, 13);
        ob_input(&b, "x", 1, OB_DIMS(1));
        ob_int64s(&b, "shape", 3, i ? zero : huge);
        ob_node(&b, "Expand", "x shape > y");
        ob_output(&b, "y");
        refused(&b, MT_ERR_LIMIT, "ceiling");
    }
    ob_init(&b, 13); /* an initialiser of nothing, far apart */
    ob_input(&b, "x", 1, OB_DIMS(1));
    ob_floats(&b, "w", 3, zero, (const float[]){0})->dims[1] = INT64_MAX / 2;
    ob_node(&b, "Add", "x w > y");
    ob_output(&b, "y");
    refused(&b, MT_ERR_FORMAT, "too large");
    ob_init(&b, 13); /* folding may not eat the machine */
    ob_input(&b, "x", 1, OB_DIMS(1));
    ob_int64s(&b, "shape", 3, (const int64_t[]){1024, 1024, 1020});
    ob_node(&b, "ConstantOfShape", "shape > c");
    ob_node(&b, "Add", "x c > y");
    ob_output(&b, "y");
    refused(&b, MT_ERR_LIMIT, "folding");
}

/* A conv may be described so that its window misses, its groups do not divide, its weights lie. */
static void impossible_convolutions(void **s)
{
    static const float w[2 * 3 * 9] = {0};
    for (int kind = 0; kind < 5; kind++) {
        onnx_build b;
        ob_init(&b, 13);
        ob_input(&b, "x", 1, OB_DIMS(1, 3, 8, 8));
        ob_floats(&b, "w", OB_DIMS(2, 3, 3, 3), w);
        MtPb__Node *n = ob_node(&b, "Conv", "x w > y");
        if (kind == 0) ob_int(&b, n, "group", 2);
        if (kind == 1) ob_ints(&b, n, "strides", OB_DIMS(0, 1));
        if (kind == 2) ob_ints(&b, n, "kernel_shape", OB_DIMS(5, 5));
        if (kind == 3) ob_ints(&b, n, "dilations", OB_DIMS(8, 8));
        if (kind == 4) ob_ints(&b, n, "pads", OB_DIMS(1, 1, 1));
        ob_output(&b, "y");
        refused(&b, MT_ERR_FORMAT, "Conv node");
    }
}

/* Two nodes that wait for each other; a weight that is named and not there. */
static void graphs_without_order(void **s)
{
    onnx_build b;
    ob_init(&b, 13);
    ob_input(&b, "x", 1, OB_DIMS(4));
    ob_node(&b, "Add", "x q > p")->name = (char *)"hen";
    ob_node(&b, "Relu", "p > q")->name = (char *)"egg";
    ob_output(&b, "q");
    refused(&b, MT_ERR_FORMAT, "Add node \"hen\" (opset 13): input \"q\" is made by no earlier node");
    ob_init(&b, 13);
    ob_input(&b, "x", 1, OB_DIMS(1, 3, 8, 8));
    ob_node(&b, "Conv", "x missing.weight > y");
    ob_output(&b, "y");
    refused(&b, MT_ERR_FORMAT, "missing.weight");
}

static void nan_weights(void **s)
{
    onnx_build b;
    MtPb__Tensor *t = sum(&b, 13);
    memcpy(t->raw_data.data + 8, &(float){NAN}, 4);
    refused(&b, MT_ERR_NUMERIC, "initialiser \"w\": element 2 is NaN");
    t = sum(&b, 13);
    memcpy(t->raw_data.data, &(uint16_t){0x7e00}, 2); /* in half precision */
    t->data_type = 10;
    t->raw_data.len = 8;
    refused(&b, MT_ERR_NUMERIC, "NaN");
    mt_err err = MT_ERR_INIT;
    t = sum(&b, 13);
    memcpy(t->raw_data.data, &(float){-INFINITY}, 4); /* a mask */
    tt_ok(compile(&b, &err), &err);
}

/* A file of n nodes `op` in a chain, written by hand: no builder of ours holds so many. */
static uint8_t *chain(size_t *size, int n, const char *op)
{
    char name[2][16];
    uint8_t *graph = malloc((size_t)n * 64 + 256), *g = graph;
    for (int i = 0; i < n; i++) {
        snprintf(name[0], sizeof name[0], i ? "v%d" : "x", i);
        snprintf(name[1], sizeof name[1], "v%d", i + 1);
        uint8_t body[64], *p = body;
        const char *text[3] = {name[0], name[1], op};
        for (int k = 0; k < 3; k++) { /* 1 input, 2 output, 4 op_type */
            size_t len = strlen(text[k]);
            *p++ = (uint8_t)((k == 2 ? 4 : k + 1) << 3 | 2);
            *p++ = (uint8_t)len;
            memcpy(p, text[k], len);
            p += len;
        }
        *g++ = 1 << 3 | 2;
        *g++ = (uint8_t)(p - body);
        memcpy(g, body, (size_t)(p - body));
        g += p - body;
    }
    const uint8_t input[] = {11 << 3 | 2, 17, 10, 1, 'x', 18, 12, 10, 10, 8, 1, 18, 6, 10, 2, 8, 1, 10, 0};
    memcpy(g, input, sizeof input);
    g += sizeof input;
    size_t len = strlen(name[1]);
    *g++ = 12 << 3 | 2;
    *g++ = (uint8_t)(len + 2);
    *g++ = 1 << 3 | 2;
    *g++ = (uint8_t)len;
    memcpy(g, name[1], len);
    g += len;
    uint8_t *file = malloc((size_t)(g - graph) + 32), *f = file;
    *f++ = 8 << 3 | 2; /* opset 13 */
    *f++ = 2;
    *f++ = 2 << 3;
    *f++ = 13;
    *f++ = 7 << 3 | 2;
    for (size_t left = (size_t)(g - graph);; left >>= 7) {
        *f++ = (uint8_t)((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
        if (left <= 0x7f) break;
    }
    memcpy(f, graph, (size_t)(g - graph));
    *size = (size_t)(f - file) + (size_t)(g - graph);
    free(graph);
    return file;
}

static mt_status compile_chain(int n, const char *op, mt_err *err)
{
    size_t size;
    mt_net *net = NULL;
    uint8_t *p = chain(&size, n, op);
    mt_status st = mt_net_compile(&net, p, size, NULL, 0, "chain", err);
    mt_net_free(&net);
    free(p);
    return st;
}

/* Refused in proportion: by the second, not by the minute. */
static void too_many_nodes(void **s)
{
    static const struct { int n; const char *op; mt_status want; const char *word; } rows[] = {
        {3, "Relu", MT_OK, ""},
        {1000000, "Relu", MT_ERR_LIMIT, "1000000 nodes, at most 100000"},
        {100000, "Rexu", MT_ERR_UNSUPPORTED, "(and 99999 more)"},
        {99999, "Relu", MT_ERR_LIMIT, "99999 nodes are left after folding"},
    };
    for (size_t i = 0; i < MT_COUNT(rows); i++) {
        mt_err err = MT_ERR_INIT;
        clock_t start = clock();
        mt_status st = compile_chain(rows[i].n, rows[i].op, &err);
        double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
        if (st != rows[i].want || !strstr(err.text, rows[i].word))
            fail_msg("%d %s: \"%s\"", rows[i].n, rows[i].op, err.text);
        if (seconds > 10) fail_msg("%d %s: %.1f s", rows[i].n, rows[i].op, seconds);
    }
}

/* Every prefix and every byte flipped: an error or a network, never a crash. */
static void damaged_files(void **s)
{
    onnx_build b;
    size_t n;
    sum(&b, 13);
    MtPb__Node *node = ob_node(&b, "Softmax", "y > z");
    ob_int(&b, node, "axis", 1);
    ob_output(&b, "z");
    uint8_t *p = ob_pack(&b, &n);
    int read = 0;
    for (size_t cut = 0; cut <= n; cut++) {
        mt_err err = MT_ERR_INIT;
        mt_net *net = NULL;
        uint8_t *part = malloc(cut ? cut : 1); /* exact size: a read past the end is seen */
        memcpy(part, p, cut);
        read += mt_net_compile(&net, part, cut, NULL, 0, "cut", &err) == MT_OK;
        assert_true(net || err.code != MT_OK);
        mt_net_free(&net);
        free(part);
    }
    assert_in_range(read, 1, 8); /* the whole, and cuts that lose only trailing fields */
    for (size_t i = 0; i < n; i++)
        for (int bit = 0; bit < 8; bit++) {
            mt_err err = MT_ERR_INIT;
            mt_net *net = NULL;
            p[i] ^= (uint8_t)(1 << bit);
            mt_status st = mt_net_compile(&net, p, n, NULL, 0, "flip", &err);
            assert_true(st == MT_OK ? net != NULL : err.code == st);
            mt_net_free(&net);
            p[i] ^= (uint8_t)(1 << bit);
        }
    free(p);
    ob_free(&b);
}

static void halves_round_trip(void **s)
{
    for (uint32_t h = 0; h < 65536; h++) {
        float f = mt_half_to_float((uint16_t)h);
        uint16_t back = mt_float_to_half(f);
        if (f != f) assert_true((back & 0x7c00) == 0x7c00 && (back & 0x3ff));
        else assert_int_equal(back, h);
    }
    assert_int_equal(mt_float_to_half(65520.0f), 0x7c00); /* ties up to infinity */
    assert_int_equal(mt_float_to_half(65519.9f), 0x7bff);
    assert_int_equal(mt_float_to_half(1.0f + 0x1p-11f), 0x3c00); /* tie to even */
    assert_int_equal(mt_float_to_half(1.0f + 3 * 0x1p-11f), 0x3c02);
    assert_int_equal(mt_float_to_half(0x1p-25f), 0);
    assert_int_equal(mt_float_to_half(0x1.8p-25f), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_file_is_read),
        cmocka_unit_test(data_must_fill_the_dims),
        cmocka_unit_test(external_data_need_a_folder),
        cmocka_unit_test(opset_is_checked),
        cmocka_unit_test(names_are_checked),
        cmocka_unit_test(unknown_operators_are_named),
        cmocka_unit_test(shapes_that_overflow),
        cmocka_unit_test(impossible_convolutions),
        cmocka_unit_test(graphs_without_order),
        cmocka_unit_test(nan_weights),
        cmocka_unit_test(too_many_nodes),
        cmocka_unit_test(damaged_files),
        cmocka_unit_test(halves_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
