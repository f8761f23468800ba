/* Convolution layers of a network, each by every variant that fits, against the multiply-add peak
 * of the same run.
 *
 *   bench_kernels [-l ref|avx2|avx512] [-t milliseconds] [-v variant] [-c] SHAPES.txt...
 *   bench_kernels -n ...  all layers of a file in a row, as a network runs them
 *   bench_kernels -o      the other families, every instruction set
 *   bench_kernels -8 SHAPES.txt...  the layers on bytes, every row of i8_tile: eight images at once
 * With libdnnl-dev at build time every layer is measured by oneDNN too: its direct and its Winograd
 * convolution, one image, bias and activation included, a residual not.
 *
 * Time is CPU time of the thread, the median of repeated runs (spread: quartiles). Before each
 * sample the layer's weights and input are as warm as the layer before it leaves them in a network:
 * with -c they are pushed out of the caches first. GFLOP/s counts the direct convolution's
 * operations, so a Winograd variant may pass the peak. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "kernels/i8.h"
#include "kernels/table.h"
#include "kernels/u8_stain.h"

#ifdef MT_ONEDNN
#include "peers/onednn.h"
#endif

#define MAX_LAYERS 256
#define MAX_SAMPLES 400

typedef struct layer {
    int count;
    mt_conv_desc d;
} layer;

typedef struct timing {
    double median, q1, q3; /* seconds */
} timing;

static double budget_s = 0.25;
static bool cold;
static float *flush_area;
#define FLUSH_FLOATS ((size_t)12 << 20)

/* ---- the peak ---- */

#if defined(__x86_64__)
#define PEAK(name, isa, type, set, fma, lanes)                                                     \
    __attribute__((target(isa), noinline)) static double name(void)                                \
    {                                                                                              \
        type a[12], m = set(0.999f);                                                               \
        for (int i = 0; i < 12; i++)                                                               \
            a[i] = set((float)i);                                                                  \
        double t = mt_clock_thread_cpu();                                                          \
        for (int n = 0; n < 4000000; n++)                                                          \
            _Pragma("GCC unroll 12") for (int i = 0; i < 12; i++) a[i] = fma(a[i], m, m);          \
        t = mt_clock_thread_cpu() - t;                                                             \
        for (int i = 0; i < 12; i++)                                                               \
            __asm__ volatile("" ::"x"(a[i]));                                                      \
        return 4e6 * 12 * 2 * lanes / t / 1e9;                                                     \
    }
#include <immintrin.h>
#ifndef MT_NO_SIMD
PEAK(peak_avx512, "avx512f", __m512, _mm512_set1_ps, _mm512_fmadd_ps, 16)
PEAK(peak_avx2, "avx2,fma", __m256, _mm256_set1_ps, _mm256_fmadd_ps, 8)
#endif
#endif

static double peak(int level)
{
    double best = 0;
#ifndef MT_NO_SIMD
    for (int i = 0; i < 5; i++) {
        double p = level == MT_CPU_AVX512 ? peak_avx512() : level == MT_CPU_AVX2 ? peak_avx2() : 0;
        best = MT_MAX(best, p);
    }
#endif
    return best;
}

/* ---- one layer ---- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static float *floats(size_t n, float scale)
{
    float *p = NULL;
    if (mt_alloc_aligned(&p, n * sizeof *p, (size_t)1 << 32, "bench", NULL) != MT_OK) exit(1);
    uint32_t s = 12345;
    for (size_t i = 0; i < n; i++) {
        s = s * 1664525u + 1013904223u;
        p[i] = scale * ((float)(s >> 8) / 8388608.0f - 1.0f);
    }
    return p;
}

static void push_out(void)
{
    for (size_t i = 0; i < FLUSH_FLOATS; i += 16)
        flush_area[i] += 1.0f;
}

static timing measure(const mt_conv *c, const float *in, const float *res, float *out,
                      void *scratch)
{
    static double samples[MAX_SAMPLES];
    int n = 0;
    double end = mt_clock_wall() + budget_s;
    mt_conv_run(c, in, res, out, scratch);
    while (n < MAX_SAMPLES && (n < 5 || mt_clock_wall() < end)) {
        if (cold) push_out();
        double t = mt_clock_thread_cpu();
        mt_conv_run(c, in, res, out, scratch);
        samples[n++] = mt_clock_thread_cpu() - t;
    }
    qsort(samples, (size_t)n, sizeof samples[0], by_value);
    return (timing){samples[n / 2], samples[n / 4], samples[3 * n / 4]};
}

static double gflop(const mt_conv_desc *d)
{
    return 2e-9 * d->oh * d->ow * d->cout * (d->cin / d->groups) * d->kh * d->kw;
}

/* oneDNN's direct and Winograd convolution of the layer, against our time. */
static void run_peer(const mt_conv_desc *d, double ours)
{
#ifdef MT_ONEDNN
    for (int winograd = 0; winograd < 2; winograd++) {
        static double samples[MAX_SAMPLES];
        peer_dnnl *p;
        int n = 0;
        if (!peer_dnnl_open(&p, d, winograd)) continue;
        peer_dnnl_run(p);
        double end = mt_clock_wall() + budget_s;
        while (n < MAX_SAMPLES && (n < 5 || mt_clock_wall() < end)) {
            if (cold) push_out();
            double t = mt_clock_thread_cpu();
            peer_dnnl_run(p);
            samples[n++] = mt_clock_thread_cpu() - t;
        }
        qsort(samples, (size_t)n, sizeof samples[0], by_value);
        printf("    oneDNN %-32s %8.3f ms (%.3f-%.3f) %7.1f GFLOP/s  ours %.2f x as fast\n",
               peer_dnnl_name(p), samples[n / 2] * 1e3, samples[n / 4] * 1e3, samples[3 * n / 4] * 1e3,
               gflop(d) / samples[n / 2], samples[n / 2] / ours);
        peer_dnnl_close(&p);
    }
#else
    (void)d, (void)ours;
#endif
}

/* Prints one line a variant; returns the seconds of the variant the rule picks. */
static double run_layer(const mt_kernels *k, const layer *l, const char *only, double top,
                        double *best_s)
{
    const mt_conv_desc *d = &l->d;
    size_t in_n = d->in_plain ? (size_t)d->cin * (size_t)d->h * (size_t)d->w
                              : mt_blocked_floats(k, d->cin, (size_t)d->h * (size_t)d->w);
    size_t out_n = mt_blocked_floats(k, d->cout, (size_t)d->oh * (size_t)d->ow);
    float *in = floats(in_n, 1.0f), *res = floats(out_n, 1.0f), *out = floats(out_n, 1.0f);
    float *w = floats(
        (size_t)d->cout * (size_t)(d->cin / d->groups) * (size_t)d->kh * (size_t)d->kw, 0.05f);
    static const char *const names[] = {"plain", "direct", "wino2", "wino4", "depthwise"};
    double chosen_s = 0;
    *best_s = INFINITY;
    mt_conv *rule = NULL;
    if (mt_conv_new(&rule, k, d, w, NULL, NULL) != MT_OK) exit(1);
    for (size_t i = 0; i < MT_COUNT(names); i++) {
        mt_conv *c = NULL;
        if (only && strcmp(only, names[i])) continue;
        if (i == 0 && k->level > 0 && !only) continue;
        if (mt_conv_new_variant(&c, k, d, names[i], w, NULL, NULL) != MT_OK) continue;
        void *scratch = floats(mt_conv_scratch_bytes(c) / sizeof(float) + 16, 0.0f);
        timing t = measure(c, in, res, out, scratch);
        bool chosen = strcmp(mt_conv_variant(c), mt_conv_variant(rule)) == 0;
        double rate = gflop(d) / t.median;
        printf("%2dx %4d->%4d g%-3d %3dx%-3d k%d s%d  %-12s %8.3f ms (%.3f-%.3f) %7.1f GFLOP/s",
               l->count, d->cin, d->cout, d->groups, d->h, d->w, d->kh, d->sh, mt_conv_variant(c),
               t.median * 1e3, t.q1 * 1e3, t.q3 * 1e3, rate);
        if (top > 0) printf(" %5.1f%% of peak", 100 * rate / top);
        printf("%s\n", chosen ? " *" : "");
        if (chosen) chosen_s = t.median;
        *best_s = MT_MIN(*best_s, t.median);
        mt_conv_free(&c);
        free(scratch);
    }
    mt_conv_free(&rule);
    free(in), free(res), free(out), free(w);
    if (!only) run_peer(d, chosen_s);
    return chosen_s;
}

/* ---- shapes ---- */

static int read_shapes(layer *layers, const char *path)
{
    FILE *f = fopen(path, "r");
    if (!f) {
        fprintf(stderr, "bench_kernels: cannot open %s\n", path);
        exit(1);
    }
    char line[256], act[16];
    int n = 0;
    while (n < MAX_LAYERS && fgets(line, sizeof line, f)) {
        mt_conv_desc *d = &layers[n].d;
        int kk, s, p;
        *d = (mt_conv_desc){.dh = 1, .dw = 1};
        if (line[0] == '#' || sscanf(line, "%d %d %d %d %d %d %d %d %d %15s %d %d",
                                     &layers[n].count, &d->cin, &d->cout, &d->groups, &d->h, &d->w,
                                     &kk, &s, &p, act, &d->residual, &d->in_plain) != 12)
            continue;
        d->kh = d->kw = kk;
        d->sh = d->sw = s;
        d->pt = d->pl = p;
        d->oh = (d->h + 2 * p - kk) / s + 1;
        d->ow = (d->w + 2 * p - kk) / s + 1;
        d->act = strcmp(act, "relu") == 0    ? MT_ACT_RELU
                 : strcmp(act, "relu6") == 0 ? MT_ACT_CLIP
                 : strcmp(act, "silu") == 0  ? MT_ACT_SILU
                                             : MT_ACT_NONE;
        d->act_b = 6.0f;
        n++;
    }
    fclose(f);
    return n;
}

/* ---- the other families: one typical shape each, every instruction set against the reference ----
 */

enum { OP_C = 64, OP_SIDE = 112, OP_HW = OP_SIDE * OP_SIDE };

typedef struct op_data {
    float *x, *y, *z, *plain;
} op_data;

static void op_add(const mt_kernels *k, op_data *o)
{
    mt_f32_add(k, o->z, o->x, o->y, OP_C * OP_HW);
}
static void op_add_relu(const mt_kernels *k, op_data *o)
{
    mt_f32_add_act(k, o->z, o->x, o->y, OP_C * OP_HW, MT_ACT_RELU, 0, 0);
}
static void op_silu(const mt_kernels *k, op_data *o)
{
    mt_f32_act(k, o->z, o->x, OP_C * OP_HW, MT_ACT_SILU, 0, 0);
}
static void op_tanh(const mt_kernels *k, op_data *o)
{
    mt_f32_act(k, o->z, o->x, OP_C * OP_HW, MT_ACT_TANH, 0, 0);
}
static void op_affine(const mt_kernels *k, op_data *o)
{
    mt_blocked_scale_shift(k, o->z, o->x, OP_C, OP_HW, o->y, o->y + OP_C, MT_ACT_RELU, 0, 0);
}
static void op_max(const mt_kernels *k, op_data *o)
{
    mt_pool_desc d = {.c = OP_C,
                      .h = OP_SIDE,
                      .w = OP_SIDE,
                      .oh = OP_SIDE / 2,
                      .ow = OP_SIDE / 2,
                      .kh = 3,
                      .kw = 3,
                      .sh = 2,
                      .sw = 2,
                      .dh = 1,
                      .dw = 1,
                      .pt = 1,
                      .pl = 1};
    mt_max_pool(k, &d, o->x, o->z);
}
static void op_avg(const mt_kernels *k, op_data *o)
{
    mt_pool_desc d = {.c = OP_C,
                      .h = OP_SIDE,
                      .w = OP_SIDE,
                      .oh = OP_SIDE / 2,
                      .ow = OP_SIDE / 2,
                      .kh = 2,
                      .kw = 2,
                      .sh = 2,
                      .sw = 2,
                      .dh = 1,
                      .dw = 1};
    mt_avg_pool(k, &d, o->x, o->z);
}
static void op_gavg(const mt_kernels *k, op_data *o)
{
    mt_global_avg_pool(k, o->x, OP_C, OP_HW, o->z);
}
static void op_to(const mt_kernels *k, op_data *o)
{
    mt_to_blocked(k, o->z, o->plain, OP_C, OP_HW);
}
static void op_from(const mt_kernels *k, op_data *o)
{
    mt_from_blocked(k, o->z, o->x, OP_C, OP_HW);
}
static void op_nn(const mt_kernels *k, op_data *o)
{
    mt_f32_gemm(k, 64, 256, 256, 1, o->x, 256, 0, o->y, 256, 0, 0, o->z, 256, NULL);
}
static void op_nt(const mt_kernels *k, op_data *o)
{
    mt_f32_gemm(k, 1, 1000, 512, 1, o->x, 512, 0, o->y, 512, 1, 0, o->z, 1000, NULL);
}
static void op_softmax(const mt_kernels *k, op_data *o)
{
    mt_f32_softmax(k, o->z, o->x, 64, 1000);
}

/* A tile of 256 x 256 pixels; the dispatch goes by the mask that run_ops has set. */
static void op_stain(const mt_kernels *k, op_data *o)
{
    static const mt_u8_stain_map map = {{1 / 240.f, 0, 0, 0, 1 / 240.f, 0, 0, 0, 1 / 240.f},
                                        {1.1f, -0.2f, 0, 0.1f, 0.8f, 0, 0, 0.1f, 0.9f},
                                        {0, 0, 0},
                                        {240, 0, 0, 0, 240, 0, 0, 0, 240}};
    (void)k;
    mt_u8_stain(&map, (uint8_t *)o->z, 256 * 256);
}

static timing measure_op(const mt_kernels *k, void (*fn)(const mt_kernels *, op_data *), op_data *o)
{
    static double samples[MAX_SAMPLES];
    int n = 0;
    double end = mt_clock_wall() + budget_s;
    fn(k, o);
    while (n < MAX_SAMPLES && (n < 5 || mt_clock_wall() < end)) {
        double t = mt_clock_thread_cpu();
        fn(k, o);
        samples[n++] = mt_clock_thread_cpu() - t;
    }
    qsort(samples, (size_t)n, sizeof samples[0], by_value);
    return (timing){samples[n / 2], samples[n / 4], samples[3 * n / 4]};
}

static void run_ops(void)
{
    static const struct {
        const char *name;
        void (*fn)(const mt_kernels *, op_data *);
    } ops[] = {{"add 64x112x112", op_add},
               {"add+relu 64x112x112", op_add_relu},
               {"silu 64x112x112", op_silu},
               {"tanh 64x112x112", op_tanh},
               {"scale+shift+relu 64x112x112", op_affine},
               {"maxpool 3x3s2 64x112x112", op_max},
               {"avgpool 2x2s2 64x112x112", op_avg},
               {"global avg 64x112x112", op_gavg},
               {"to blocked 64x112x112", op_to},
               {"from blocked 64x112x112", op_from},
               {"gemm nn 64x256x256", op_nn},
               {"gemm nt 1x1000x512", op_nt},
               {"softmax 64x1000", op_softmax},
               {"u8_stain 256x256 RGB", op_stain}};
    size_t n = (size_t)OP_C * OP_HW;
    op_data o = {floats(n, 1.0f), floats(n, 1.0f), floats(n, 1.0f), floats(n, 1.0f)};
    for (size_t i = 0; i < MT_COUNT(ops); i++) {
        double ref = 0;
        for (int level = MT_CPU_REF; level <= mt_cpu_detected(); level++) {
            mt_cpu_mask(level);
            timing t = measure_op(mt_kernels_get(), ops[i].fn, &o);
            if (!level) ref = t.median;
            printf("%-28s %-7s %9.1f us (%.1f-%.1f)  x%.1f\n", ops[i].name, mt_kernels_get()->name,
                   t.median * 1e6, t.q1 * 1e6, t.q3 * 1e6, ref / t.median);
        }
    }
    free(o.x), free(o.y), free(o.z), free(o.plain);
}

static void run_file(const mt_kernels *k, const char *path, const char *only, double top)
{
    static layer layers[MAX_LAYERS];
    int n = read_shapes(layers, path);
    double sum = 0, best = 0, flops = 0;
    printf("%s  %s\n", path, k->name);
    for (int i = 0; i < n; i++) {
        double b;
        sum += layers[i].count * run_layer(k, &layers[i], only, top, &b);
        best += layers[i].count * b;
        flops += layers[i].count * gflop(&layers[i].d);
    }
    printf("sum %s %s: %.2f ms, %.1f GFLOP/s", path, k->name, sum * 1e3, flops / sum);
    if (top > 0) printf(", %.1f%% of peak %.1f", 100 * flops / sum / top, top);
    printf(", %.1f networks/s (best variants %.2f ms)\n", 1 / sum, best * 1e3);
}

/* All layers of a file one after the other, each with weights of its own: what a network does to
 * the caches. Pools and the head are not part of it. */
static void run_network(const mt_kernels *k, const char *path, const char *only)
{
    static layer layers[MAX_LAYERS];
    static mt_conv *convs[MAX_LAYERS];
    static double samples[MAX_SAMPLES];
    int n_rows = read_shapes(layers, path), n = 0;
    size_t most = 0, most_scratch = 64, weights = 0;
    double flops = 0;
    for (int i = 0; i < n_rows; i++)
        for (int j = 0; j < layers[i].count && n < MAX_LAYERS; j++, n++) {
            const mt_conv_desc *d = &layers[i].d;
            float *w = floats((size_t)d->cout * (size_t)(d->cin / d->groups) * (size_t)d->kh *
                                  (size_t)d->kw,
                              0.05f);
            mt_status st = only ? mt_conv_new_variant(&convs[n], k, d, only, w, NULL, NULL)
                                : MT_ERR_UNSUPPORTED;
            if (st != MT_OK && mt_conv_new(&convs[n], k, d, w, NULL, NULL) != MT_OK) exit(1);
            free(w);
            most =
                MT_MAX(most, MT_MAX(mt_blocked_floats(k, d->cin, (size_t)d->h * (size_t)d->w),
                                    mt_blocked_floats(k, d->cout, (size_t)d->oh * (size_t)d->ow)));
            most_scratch = MT_MAX(most_scratch, mt_conv_scratch_bytes(convs[n]));
            weights += mt_conv_weight_bytes(convs[n]);
            flops += gflop(d);
        }
    float *a = floats(most, 1.0f), *b = floats(most, 1.0f), *r = floats(most, 1.0f),
          *s = floats(most_scratch / 4 + 16, 0.0f);
    int m = 0;
    for (double end = mt_clock_wall() + 10 * budget_s;
         m < MAX_SAMPLES && (m < 5 || mt_clock_wall() < end); m++) {
        double t = mt_clock_thread_cpu();
        for (int i = 0; i < n; i++)
            mt_conv_run(convs[i], i % 2 ? b : a, r, i % 2 ? a : b, s);
        samples[m] = mt_clock_thread_cpu() - t;
    }
    qsort(samples, (size_t)m, sizeof samples[0], by_value);
    double t = samples[m / 2];
    printf("network %s %s: %.2f ms (%.2f-%.2f, best %.2f), %.1f GFLOP/s, %.1f networks per CPU "
           "second (best %.1f), weights %.1f MB\n",
           path, k->name, t * 1e3, samples[m / 4] * 1e3, samples[3 * m / 4] * 1e3, samples[0] * 1e3,
           flops / t, 1 / t, 1 / samples[0], (double)weights / 1e6);
    for (int i = 0; i < n; i++)
        mt_conv_free(&convs[i]);
    free(a), free(b), free(r), free(s);
}

/* ---- 8 bits ---- */

enum { BATCH = 8 };

static double run_bytes(const mt_kernels *k, const mt_conv_desc *f)
{
    static double samples[MAX_SAMPLES];
    mt_i8_conv_desc d = {.cin = f->cin, .cout = f->cout, .groups = f->groups, .h = f->h, .w = f->w,
                         .oh = f->oh, .ow = f->ow, .kh = f->kh, .kw = f->kw, .sh = f->sh, .sw = f->sw,
                         .dh = f->dh, .dw = f->dw, .pt = f->pt, .pl = f->pl, .in_zero = 7,
                         .out_scale = 0.1f, .hi = 255, .residual = f->residual, .mid_scale = 0.1f,
                         .res_scale = 0.1f};
    size_t per = (size_t)(d.cin / d.groups * d.kh * d.kw), n_w = (size_t)d.cout * per;
    size_t in_n = (size_t)(BATCH * d.h * d.w * mt_i8_pitch(d.cin)),
           out_n = (size_t)(BATCH * d.oh * d.ow * mt_i8_pitch(d.cout));
    int8_t *w = (int8_t *)floats(n_w / 4 + 1, 1.0f);
    float *scale = floats((size_t)d.cout, 1.0f);
    for (int i = 0; i < d.cout; i++) scale[i] = 1e-3f;
    uint8_t *in = (uint8_t *)floats(in_n / 4 + 1, 1.0f), *out = (uint8_t *)floats(out_n / 4 + 1, 1.0f),
            *res = (uint8_t *)floats(out_n / 4 + 1, 1.0f);
    mt_i8_conv *c = NULL;
    mt_err err = MT_ERR_INIT;
    if (mt_i8_conv_new(&c, k, &d, w, scale, NULL, &err) != MT_OK) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    void *scratch = floats(mt_i8_conv_scratch_bytes(c) / 4 + 1, 0.0f);
    int n = 0;
    double end = mt_clock_wall() + budget_s;
    mt_i8_conv_run(c, BATCH, in, res, out, scratch);
    while (n < MAX_SAMPLES && (n < 5 || mt_clock_wall() < end)) {
        double t = mt_clock_thread_cpu();
        mt_i8_conv_run(c, BATCH, in, res, out, scratch);
        samples[n++] = mt_clock_thread_cpu() - t;
    }
    qsort(samples, (size_t)n, sizeof samples[0], by_value);
    double ops = 2.0 * (double)n_w * d.oh * d.ow * BATCH;
    printf("%4d-%-4d g%-4d %dx%d s%d @%-3d%s %-18s %8.3f ms (%.3f-%.3f) %7.1f GOP/s\n", d.cin, d.cout,
           d.groups, d.kh, d.kw, d.sh, d.h, d.residual ? "+" : " ", mt_i8_conv_variant(c),
           samples[n / 2] * 1e3 / BATCH, samples[n / 4] * 1e3 / BATCH, samples[3 * n / 4] * 1e3 / BATCH,
           ops / samples[n / 2] / 1e9);
    mt_i8_conv_free(&c);
    free(w), free(scale), free(in), free(out), free(res), free(scratch);
    return samples[n / 2] / BATCH;
}

/* Every row of i8_tile that this machine can run. */
static void run_bytes_file(const char *path)
{
    static layer layers[MAX_LAYERS];
    size_t n_rows;
    const mt_kernel_row *rows = mt_kernel_rows(&n_rows);
    int n = read_shapes(layers, path);
    for (size_t r = 0; r < n_rows; r++) {
        bool vnni = rows[r].level > MT_CPU_AVX512;
        if (strcmp(rows[r].kernel, "i8_tile") || rows[r].level > mt_cpu_detected() + vnni) continue;
        mt_cpu_mask(MT_MIN(rows[r].level, MT_CPU_AVX512));
        mt_cpu_mask_vnni(!vnni);
        if (vnni && !mt_cpu_vnni()) continue;
        double all = 0;
        printf("-- %s, %s\n", path, rows[r].isa);
        for (int i = 0; i < n; i++) all += layers[i].count * run_bytes(mt_kernels_get(), &layers[i].d);
        printf("all layers, %s: %.3f ms an image\n", rows[r].isa, all * 1e3);
    }
    mt_cpu_mask_vnni(0);
}

int main(int argc, char **argv)
{
    bool bytes = false;
    const char *only = NULL;
    int i = 1;
    bool ops = false, network = false;
    for (; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "-c") == 0)
            cold = true;
        else if (strcmp(argv[i], "-o") == 0)
            ops = true;
        else if (strcmp(argv[i], "-n") == 0)
            network = true;
        else if (strcmp(argv[i], "-8") == 0)
            bytes = true;
        else if (i + 1 >= argc)
            break;
        else if (strcmp(argv[i], "-v") == 0)
            only = argv[++i];
        else if (strcmp(argv[i], "-t") == 0)
            budget_s = atof(argv[++i]) / 1e3;
        else if (strcmp(argv[i], "-l") == 0) {
            i++;
            mt_cpu_mask(strcmp(argv[i], "ref") == 0    ? MT_CPU_REF
                        : strcmp(argv[i], "avx2") == 0 ? MT_CPU_AVX2
                                                       : MT_CPU_AVX512);
        }
    }
    if (ops) {
        run_ops();
        return 0;
    }
    if (i >= argc) {
        fprintf(stderr, "usage: bench_kernels [-l ref|avx2|avx512] [-t ms] [-v variant] [-c] [-n] "
                        "SHAPES.txt... | -8 SHAPES.txt... | -o\n");
        return 2;
    }
    for (; bytes && i < argc; i++) run_bytes_file(argv[i]);
    if (bytes) return 0;
    if (cold) flush_area = floats(FLUSH_FLOATS, 1.0f);
    const mt_kernels *k = mt_kernels_get();
    double top = peak(k->level);
    printf("multiply-add peak %s: %.1f GFLOP/s\n", k->name, top);
    for (; i < argc; i++) {
        if (network)
            run_network(k, argv[i], only);
        else
            run_file(k, argv[i], only, top);
    }
    free(flush_area);
    return 0;
}
