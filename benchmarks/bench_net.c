/* Milliseconds per image of one network on one thread.
 *
 *   bench_net MODEL.onnx [--px N] [--batch N] [--runs N] [--cpu ref|avx2|avx512] [--layers]
 *
 * The input is RGB of --px (256) places a side where the graph lets it, else what it declares.
 * Prints median, least and most milliseconds, CPU seconds and images per CPU second; with --layers
 * the time of every step with its kernel variant. */
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/file.h"
#include "microtome/system.h"
#include "models/net.h"

enum { MAX_RUNS = 10000, MAX_INPUTS = 8 };

typedef struct layer {
    const char *op, *node, *variant;
    uint64_t macs;
    double s, began;
} layer;

typedef struct layers {
    layer *of;
    int n;
} layers;

static void watch(void *ctx, int step, const char *op, const char *node, const char *variant,
                  uint64_t macs, int done)
{
    layers *l = ctx;
    layer *y = &l->of[step];
    if (!done) {
        y->op = op;
        y->node = node;
        y->variant = variant;
        y->macs = macs;
        y->began = mt_clock_wall();
        return;
    }
    y->s += mt_clock_wall() - y->began;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* One RGB input of the side asked for, channels first or last; else what the graph declares. */
static mt_status compile(mt_net **net, const uint8_t *onnx, size_t n, int px, int batch,
                         mt_err *err)
{
    const mt_tensor ways[] = {{MT_DT_F32, 4, {batch, 3, px, px}, NULL},
                              {MT_DT_F32, 4, {batch, px, px, 3}, NULL}};
    for (size_t i = 0; i < MT_COUNT(ways); i++) {
        mt_err_clear(err);
        mt_status st = mt_net_compile(net, onnx, n, &ways[i], 1, "model", err);
        if (st != MT_ERR_ARG) return st;
    }
    mt_err_clear(err);
    return mt_net_compile(net, onnx, n, NULL, 0, "model", err);
}

static mt_status fill_inputs(mt_tensor *in, const mt_net *net, mt_err *err)
{
    uint32_t seed = 1;
    for (int i = 0; i < mt_net_n_inputs(net); i++) {
        in[i] = *mt_net_input(net, i);
        size_t n = 1;
        for (int d = 0; d < in[i].rank; d++) n *= (size_t)in[i].dims[d];
        MT_TRY(mt_alloc_aligned(&in[i].data, n * 8, SIZE_MAX, "input", err));
        memset(in[i].data, 0, n * 8);
        for (size_t j = 0; in[i].dtype == MT_DT_F32 && j < n; j++) {
            seed = seed * 1664525u + 1013904223u;
            ((float *)in[i].data)[j] = (float)(seed >> 8) / 8388608.0f - 1.0f;
        }
    }
    return MT_OK;
}

static void print_layers(const layers *l, int runs)
{
    printf("%5s %-18s %-14s %10s %9s %8s  %s\n", "step", "operator", "variant", "MMAC", "ms",
           "GMAC/s", "node");
    for (int i = 0; i < l->n; i++) {
        const layer *y = &l->of[i];
        double s = y->s / runs;
        printf("%5d %-18s %-14s %10.2f %9.4f %8.1f  %s\n", i, y->op, y->variant,
               (double)y->macs / 1e6, s * 1e3, s > 0 ? (double)y->macs / s / 1e9 : 0.0, y->node);
    }
}

static mt_status bench(const mt_net *net, int runs, int batch, int with_layers, mt_err *err)
{
    static double ms[MAX_RUNS];
    mt_net_state *state = NULL;
    mt_tensor in[MAX_INPUTS] = {0}, out[32];
    layers l = {NULL, mt_net_n_steps(net)};
    MT_TRY(fill_inputs(in, net, err));
    MT_TRY(mt_alloc(&l.of, (size_t)l.n + 1, sizeof *l.of, SIZE_MAX, "layers", err));
    MT_TRY(mt_net_state_new(&state, net, err));
    MT_TRY(mt_net_run(net, state, in, out, err));
    double cpu = mt_clock_cpu();
    for (int i = 0; i < runs; i++) {
        double t = mt_clock_wall();
        MT_TRY(mt_net_run_watched(net, state, in, out, with_layers ? watch : NULL, &l, err));
        ms[i] = (mt_clock_wall() - t) * 1e3 / batch;
    }
    cpu = mt_clock_cpu() - cpu;
    qsort(ms, (size_t)runs, sizeof *ms, by_value);
    if (with_layers) print_layers(&l, runs);
    printf("kernels %s, %.3f GMAC, %zu bytes of state, %d runs\n", mt_cpu_name(),
           (double)mt_net_macs(net) / 1e9 / batch, mt_net_state_bytes(net), runs);
    printf("ms per image: median %.3f min %.3f max %.3f\n", ms[runs / 2], ms[0], ms[runs - 1]);
    printf("cpu_s %.4f images_per_cpu_s %.3f gmac_per_cpu_s %.2f\n", cpu, runs * batch / cpu,
           (double)mt_net_macs(net) * runs / cpu / 1e9);
    mt_net_state_free(&state);
    free(l.of);
    for (int i = 0; i < mt_net_n_inputs(net); i++) free(in[i].data);
    return MT_OK;
}

int main(int argc, char **argv)
{
    mt_err err = MT_ERR_INIT;
    const char *model = NULL;
    int px = 256, runs = 20, batch = 1, with_layers = 0, bad = 0;
    for (int i = 1; i < argc && !bad; i++) {
        if (!strcmp(argv[i], "--layers")) with_layers = 1;
        else if (argv[i][0] != '-' && !model) model = argv[i];
        else if (i + 1 >= argc) bad = 1;
        else if (!strcmp(argv[i], "--px")) px = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--runs")) runs = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--batch")) batch = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--cpu")) bad = mt_cpu_select(argv[++i], &err) != MT_OK;
        else bad = 1;
    }
    if (bad || !model || px < 1 || px > 8192 || runs < 1 || runs > MAX_RUNS || batch < 1 ||
        batch > 256) {
        fprintf(stderr,
                "%s\nusage: bench_net MODEL.onnx [--px N] [--batch N] [--runs N] [--cpu "
                "ref|avx2|avx512] [--layers]\n",
                err.text);
        return 2;
    }
    uint8_t *onnx = NULL;
    size_t n = 0;
    mt_net *net = NULL;
    mt_status st = mt_file_read(&onnx, &n, model, (size_t)2 << 30, &err);
    if (st == MT_OK) st = compile(&net, onnx, n, px, batch, &err);
    free(onnx);
    if (st == MT_OK) st = bench(net, runs, batch, with_layers, &err);
    mt_net_free(&net);
    if (st != MT_OK) fprintf(stderr, "%s\n", err.text);
    return st != MT_OK;
}
