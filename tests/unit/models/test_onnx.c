/* The reader against files that lie. */
#include "tests/support/support.h"
#include "onnx_build.h"
#include <stdio.h>
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
        cmocka_unit_test(damaged_files),
        cmocka_unit_test(halves_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
