/* ONNX Runtime as a second engine. A library of it is asked for by the environment
 * (MT_ONNXRUNTIME=libonnxruntime.so): no package of this system brings one. */
#include "tests/support/support.h"
#include "onnx_build.h"
#include <math.h>
#include <stdio.h>
#include "base/file.h"
#include "models/net.h"
#include "models/onnxruntime.h"

/* No path, no library and a library of something else are three different sentences. */
static void refusals(void **state)
{
    (void)state;
    mt_err err = MT_ERR_INIT;
    mt_ort *o = NULL;
    assert_int_equal(mt_ort_open(&o, "no/such/libonnxruntime.so", &err), MT_ERR_NOT_FOUND);
    assert_null(o);
    const char *path = tt_tmp_file("no-library.so");
    tt_ok(mt_file_write(path, "text", 4, &err), &err);
    mt_err_clear(&err);
    assert_int_equal(mt_ort_open(&o, path, &err), MT_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "no ONNX Runtime that can be loaded"));
    char other[600]; /* a library, but of something else */
    snprintf(other, sizeof other, "%s/lib/libmicrotome.so", getenv("MT_BINARY_DIR"));
    if (!mt_file_exists(other)) return;
    mt_err_clear(&err);
    assert_int_equal(mt_ort_open(&o, other, &err), MT_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "OrtGetApiBase"));
}

/* A convolution, a ReLU and a second output: both engines, the same numbers. */
static uint8_t *two_outputs(size_t *n)
{
    static float w[4 * 3 * 3 * 3];
    for (int i = 0; i < 108; i++) w[i] = (float)((i * 37) % 19 - 9) / 16;
    onnx_build b;
    ob_init(&b, 13);
    ob_input(&b, "x", 1, 4, (int64_t[]){1, 3, 9, 7});
    ob_floats(&b, "w", 4, (int64_t[]){4, 3, 3, 3}, w);
    ob_node(&b, "Conv", "x w > c");
    ob_node(&b, "Relu", "c > y");
    b.out[b.graph.n_output++] = ob_info(&b, "y", 1, 4, (int64_t[]){1, 4, 7, 5});
    b.out[b.graph.n_output++] = ob_info(&b, "c", 1, 4, (int64_t[]){1, 4, 7, 5});
    b.model.has_ir_version = 1;
    b.model.ir_version = 8;
    uint8_t *p = ob_pack(&b, n);
    ob_free(&b);
    return p;
}

static void same_as_ours(void **state)
{
    (void)state;
    const char *lib = getenv("MT_ONNXRUNTIME");
    if (!lib || !*lib) {
        print_message("no ONNX Runtime: set MT_ONNXRUNTIME to its shared library\n");
        skip();
    }
    mt_err err = MT_ERR_INIT;
    mt_ort *o = NULL;
    mt_ort_session *s = NULL;
    mt_ort_call *call = NULL;
    mt_net *net = NULL;
    mt_net_state *ns = NULL;
    float x[3 * 9 * 7];
    for (int i = 0; i < 189; i++) x[i] = (float)((i * 29) % 23 - 11) / 8;
    mt_tensor in = {MT_DT_F32, 4, {1, 3, 9, 7}, x}, ours[2], theirs[2] = {{0}};
    size_t n;
    uint8_t *p = two_outputs(&n);
    tt_ok(mt_ort_open(&o, lib, &err), &err);
    assert_int_equal(strlen(mt_ort_digest(o)), 64);
    tt_ok(mt_ort_session_new(&s, o, p, n, 1, "t", &err), &err);
    tt_ok(mt_ort_call_new(&call, s, &err), &err);
    tt_ok(mt_net_compile(&net, p, n, &in, 1, "t", &err), &err);
    tt_ok(mt_net_state_new(&ns, net, &err), &err);
    assert_int_equal(mt_ort_session_n_outputs(s), 2);
    tt_ok(mt_net_run(net, ns, &(mt_tensor){MT_DT_F32, 4, {1, 3, 9, 7}, x}, ours, &err), &err);
    for (int again = 0; again < 2; again++) tt_ok(mt_ort_run(call, &in, theirs, &err), &err);
    for (int k = 0; k < 2; k++) {
        assert_int_equal(theirs[k].rank, 4);
        assert_int_equal(theirs[k].dims[3], ours[k].dims[3]);
        for (int i = 0; i < 4 * 7 * 5; i++)
            assert_true(fabsf(((float *)theirs[k].data)[i] - ((float *)ours[k].data)[i]) < 1e-5f);
    }
    in.rank = 2; /* what it refuses is an error with its words, and it goes on */
    assert_int_equal(mt_ort_run(call, &in, theirs, &err), MT_ERR_ARG);
    in.rank = 4;
    mt_err_clear(&err);
    tt_ok(mt_ort_run(call, &in, theirs, &err), &err);
    mt_net_state_free(&ns);
    mt_net_free(&net);
    mt_ort_call_free(&call);
    mt_ort_session_free(&s);
    assert_int_equal(mt_ort_session_new(&s, o, "junk", 4, 1, "junk", &err), MT_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "junk: ONNX Runtime"));
    mt_ort_close(&o);
    free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(refusals), cmocka_unit_test(same_as_ours)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
