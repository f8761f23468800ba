/* Graphs on which a pass must hold back, or take care: what the rewritten network gives is what the
 * file says. */
#include "tests/support/support.h"
#include "onnx_build.h"
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sum_keeps_its_activation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
