/* Networks on one thread, in turns with ONNX Runtime in the same process.
 *
 *   bench_net MODEL.onnx[@PX]... [--px N] [--batch N] [--rounds N] [--turn MS] [--onnxruntime FILE]
 *             [--json FILE] [--cpu ref|avx2|avx512] [--layers]
 *
 * The input is RGB of PX (--px, 256) places a side where the graph lets it, else the first of 224,
 * 299 and 300 that fits, else what it declares. --batch images (8) a run; --batch 1 is how a tile
 * alone is done. Every round measures this engine and then the peer for about --turn milliseconds
 * (400) each; rates are images per CPU second, ratios are taken within a round, all as median [least,
 * greatest]. "ready" is the CPU time from the file to a network that can run. "differs" is the largest
 * difference of the first output, relative to the largest value of the peer's. --layers prints the
 * time of every step with its kernel variant instead. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "microtome/system.h"
#include "models/net.h"
#include "peers/onnxruntime.h"

enum { MAX_ROUNDS = 101, MAX_INPUTS = 8, MAX_OUTPUTS = 32, MAX_MODELS = 64 };

typedef struct options {
    const char *models[MAX_MODELS], *ort, *json;
    int n_models, px, batch, rounds, turn_ms, layers;
} options;

typedef struct series {
    double v[MAX_ROUNDS];
    int n;
} series;

/* A network under test, and what was found out about it. */
typedef struct subject {
    char name[64], version[32];
    int px, batch, steps;
    mt_net *net;
    mt_net_state *state;
    mt_tensor in[MAX_INPUTS], out[MAX_OUTPUTS];
    int n_in;
    peer_ort *ort;
    double ready_ms, differs;
    series ours, theirs, ratio;
} subject;

/* ---- series ---- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void put(series *s, double v)
{
    if (s->n < MAX_ROUNDS) s->v[s->n++] = v;
}

/* Sorts; 0 least, 1 median, 2 greatest. */
static double of_series(series *s, int which)
{
    if (!s->n) return NAN;
    qsort(s->v, (size_t)s->n, sizeof *s->v, by_value);
    return which == 0 ? s->v[0] : which == 2 ? s->v[s->n - 1] : s->v[s->n / 2];
}

static void json_series(mt_jw *w, const char *key, series *s)
{
    mt_jw_obj(w, key);
    mt_jw_num(w, "median", of_series(s, 1));
    mt_jw_num(w, "least", of_series(s, 0));
    mt_jw_num(w, "greatest", of_series(s, 2));
    mt_jw_end_obj(w);
}

/* ---- the subject ---- */

static void subject_close(subject *s)
{
    peer_ort_close(&s->ort);
    mt_net_state_free(&s->state);
    mt_net_free(&s->net);
    for (int i = 0; i < s->n_in; i++) free(s->in[i].data);
    s->n_in = 0;
}

/* One RGB input, channels first or last, of the first side the graph takes. */
static mt_status compile(subject *s, const uint8_t *onnx, size_t n, int px, mt_err *err)
{
    const int sides[] = {px, 224, 299, 300};
    for (size_t i = 0; i < 2 * MT_COUNT(sides); i++) {
        mt_tensor in = {MT_DT_F32, 4, {s->batch, 3, sides[i / 2], sides[i / 2]}, NULL};
        if (i % 2) in.dims[1] = in.dims[2], in.dims[3] = 3;
        mt_err_clear(err);
        s->px = sides[i / 2];
        mt_status st = mt_net_compile(&s->net, onnx, n, &in, 1, s->name, err);
        if (st != MT_ERR_ARG) return st;
    }
    mt_err_clear(err);
    s->px = 0;
    s->batch = 1;
    return mt_net_compile(&s->net, onnx, n, NULL, 0, s->name, err);
}

static mt_status fill_inputs(subject *s, mt_err *err)
{
    uint32_t seed = 1;
    for (; s->n_in < MT_MIN(mt_net_n_inputs(s->net), MAX_INPUTS); s->n_in++) {
        mt_tensor *t = &s->in[s->n_in];
        *t = *mt_net_input(s->net, s->n_in);
        size_t n = 1;
        for (int d = 0; d < t->rank; d++) n *= (size_t)t->dims[d];
        MT_TRY(mt_alloc_aligned(&t->data, n * 8 + 64, SIZE_MAX, "input", err));
        memset(t->data, 0, n * 8 + 64);
        for (size_t j = 0; t->dtype == MT_DT_F32 && j < n; j++) {
            seed = seed * 1664525u + 1013904223u;
            ((float *)t->data)[j] = (float)(seed >> 8) / 8388608.0f - 1.0f;
        }
    }
    return MT_OK;
}

/* spec: PATH[@PX] */
static mt_status subject_open(subject *s, const char *spec, const options *o, mt_err *err)
{
    MT_AUTO_FREE char *path = mt_strf("%s", spec);
    MT_AUTO_FREE uint8_t *onnx = NULL;
    size_t n = 0;
    int px = o->px;
    if (!path) return mt_err_set(err, MT_ERR_NO_MEMORY, "no memory");
    char *at = strrchr(path, '@');
    if (at && atoi(at + 1) > 0) px = atoi(at + 1), *at = 0;
    const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    snprintf(s->name, sizeof s->name, "%.*s", (int)strcspn(base, "."), base);
    s->batch = o->batch;
    s->differs = NAN;
    double t = mt_clock_cpu();
    MT_TRY(mt_file_read(&onnx, &n, path, (size_t)2 << 30, err));
    MT_TRY(compile(s, onnx, n, px, err));
    s->ready_ms = (mt_clock_cpu() - t) * 1e3;
    s->steps = mt_net_n_steps(s->net);
    if (mt_net_n_outputs(s->net) > MAX_OUTPUTS || mt_net_n_inputs(s->net) > MAX_INPUTS)
        return mt_err_set(err, MT_ERR_LIMIT, "%s: too many inputs or outputs", s->name);
    MT_TRY(fill_inputs(s, err));
    MT_TRY(mt_net_state_new(&s->state, s->net, err));
    if (o->ort) MT_TRY(peer_ort_open(&s->ort, o->ort, path, s->in, s->n_in, err));
    return MT_OK;
}

/* ---- measuring ---- */

static mt_status run_ours(subject *s, mt_err *err)
{
    return mt_net_run(s->net, s->state, s->in, s->out, err);
}

static mt_status run_theirs(subject *s, mt_err *err)
{
    return peer_ort_run(s->ort, NULL, err);
}

/* Images per CPU second over at least turn_ms of CPU time. */
static mt_status turn(double *rate, subject *s, mt_status (*run)(subject *, mt_err *), int turn_ms,
                      mt_err *err)
{
    double begun = mt_clock_cpu(), spent = 0;
    int images = 0;
    do {
        MT_TRY(run(s, err));
        images += s->batch;
        spent = mt_clock_cpu() - begun;
    } while (spent * 1e3 < turn_ms);
    *rate = images / spent;
    return MT_OK;
}

/* Also warms both engines. */
static mt_status compare(subject *s, mt_err *err)
{
    const float *theirs = NULL;
    MT_TRY(run_ours(s, err));
    if (!s->ort) return MT_OK;
    MT_TRY(peer_ort_run(s->ort, &theirs, err));
    const mt_tensor *t = mt_net_output(s->net, 0);
    const float *ours = s->out[0].data;
    double most = 0, differs = 0;
    size_t n = t->dtype == MT_DT_F32;
    for (int d = 0; d < t->rank; d++) n *= (size_t)t->dims[d];
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)ours[i] - (double)theirs[i]);
        most = fmax(most, fabs((double)theirs[i]));
        if (!(d <= differs)) differs = d; /* a NaN stays */
    }
    s->differs = n && most > 0 ? differs / most : NAN;
    return MT_OK;
}

static mt_status measure(subject *s, const options *o, mt_err *err)
{
    MT_TRY(compare(s, err));
    for (int r = 0; r < o->rounds; r++) {
        double a, b;
        MT_TRY(turn(&a, s, run_ours, o->turn_ms, err));
        put(&s->ours, a);
        if (!s->ort) continue;
        MT_TRY(turn(&b, s, run_theirs, o->turn_ms, err));
        put(&s->theirs, b);
        put(&s->ratio, a / b);
    }
    return MT_OK;
}

/* ---- layers ---- */

typedef struct layer {
    const char *op, *node, *variant;
    uint64_t macs;
    double s, began;
} layer;

static void watch(void *ctx, int step, const char *op, const char *node, const char *variant,
                  uint64_t macs, int done)
{
    layer *y = &((layer *)ctx)[step];
    if (done) {
        y->s += mt_clock_thread_cpu() - y->began;
        return;
    }
    *y = (layer){op, node, variant, macs, y->s, 0};
    y->began = mt_clock_thread_cpu();
}

static mt_status print_layers(subject *s, int runs, mt_err *err)
{
    MT_AUTO_FREE layer *l = NULL;
    MT_TRY(mt_alloc(&l, (size_t)s->steps + 1, sizeof *l, SIZE_MAX, "layers", err));
    MT_TRY(run_ours(s, err));
    for (int i = 0; i < runs; i++)
        MT_TRY(mt_net_run_watched(s->net, s->state, s->in, s->out, watch, l, err));
    double images = (double)runs * s->batch, all = 0;
    printf("%5s %-18s %-18s %10s %9s %8s  %s\n", "step", "operator", "variant", "MMAC", "ms",
           "GMAC/s", "node");
    for (int i = 0; i < s->steps; i++) {
        double t = l[i].s / images, macs = (double)l[i].macs / s->batch;
        all += t;
        printf("%5d %-18s %-18s %10.2f %9.4f %8.1f  %s\n", i, l[i].op, l[i].variant, macs / 1e6,
               t * 1e3, t > 0 ? macs / t / 1e9 : 0.0, l[i].node);
    }
    printf("%s: %.3f ms of CPU an image in %d steps, %.3f GMAC, %zu bytes of state, kernels %s\n",
           s->name, all * 1e3, s->steps, (double)mt_net_macs(s->net) / 1e9 / s->batch,
           mt_net_state_bytes(s->net), mt_cpu_name());
    return MT_OK;
}

/* ---- the table ---- */

static void print_row(subject *s)
{
    printf("%-20s %4d %3d %7.2f [%.2f, %.2f]", s->name, s->px, s->batch, of_series(&s->ours, 1),
           of_series(&s->ours, 0), of_series(&s->ours, 2));
    if (s->ratio.n)
        printf("  %7.2f [%.2f, %.2f]  %.2f [%.2f, %.2f]  %.0e", of_series(&s->theirs, 1),
               of_series(&s->theirs, 0), of_series(&s->theirs, 2), of_series(&s->ratio, 1),
               of_series(&s->ratio, 0), of_series(&s->ratio, 2), s->differs);
    printf("  %.0f ms\n", s->ready_ms);
    fflush(stdout);
}

static void json_row(mt_jw *w, subject *s)
{
    mt_jw_obj(w, NULL);
    mt_jw_str(w, "network", s->name);
    mt_jw_int(w, "px", s->px);
    mt_jw_int(w, "batch", s->batch);
    mt_jw_num(w, "gmac", (double)mt_net_macs(s->net) / 1e9 / s->batch);
    mt_jw_num(w, "ready_ms", s->ready_ms);
    json_series(w, "images_per_cpu_s", &s->ours);
    if (s->ratio.n) {
        mt_jw_str(w, "peer", s->version);
        json_series(w, "peer_images_per_cpu_s", &s->theirs);
        json_series(w, "ratio", &s->ratio);
        mt_jw_num(w, "differs", s->differs);
    }
    mt_jw_end_obj(w);
}

static mt_status one_model(const char *spec, const options *o, mt_jw *w, mt_err *err)
{
    static subject s;
    memset(&s, 0, sizeof s);
    mt_status st = subject_open(&s, spec, o, err);
    if (st == MT_OK && s.ort) snprintf(s.version, sizeof s.version, "onnxruntime %.18s", peer_ort_version(s.ort));
    if (st == MT_OK) st = o->layers ? print_layers(&s, o->rounds, err) : measure(&s, o, err);
    if (st == MT_OK && !o->layers) {
        print_row(&s);
        json_row(w, &s);
    }
    subject_close(&s);
    return st;
}

static int run_all(const options *o, mt_err *err)
{
    int bad = 0;
    MT_AUTO(mt_buf_free) mt_buf text = MT_BUF_INIT(1 << 20);
    mt_jw w;
    mt_jw_init(&w, &text, 1);
    mt_jw_obj(&w, NULL);
    mt_jw_str(&w, "kernels", mt_cpu_name());
    mt_jw_int(&w, "rounds", o->rounds);
    mt_jw_arr(&w, "networks");
    if (!o->layers)
        printf("%-20s %4s %3s %s%s  ready\n", "network", "px", "n", "images per CPU second",
               o->ort ? "  ONNX Runtime  ratio  differs" : "");
    for (int i = 0; i < o->n_models; i++) {
        mt_err_clear(err);
        if (one_model(o->models[i], o, &w, err) == MT_OK) continue;
        fprintf(stderr, "%s: %s\n", o->models[i], err->text);
        bad = 1;
    }
    mt_jw_end_arr(&w);
    mt_jw_end_obj(&w);
    if (o->json && mt_file_write(o->json, text.data, text.len, err) != MT_OK) {
        fprintf(stderr, "%s\n", err->text);
        bad = 1;
    }
    return bad;
}

static bool read_options(options *o, int argc, char **argv, mt_err *err)
{
    for (int i = 1; i < argc; i++) {
        const struct {
            const char *name;
            int *to;
        } numbers[] = {{"--px", &o->px}, {"--batch", &o->batch}, {"--rounds", &o->rounds},
                       {"--turn", &o->turn_ms}};
        bool known = false;
        if (!strcmp(argv[i], "--layers")) o->layers = known = true;
        else if (argv[i][0] != '-' && o->n_models < MAX_MODELS) o->models[o->n_models++] = argv[i], known = true;
        else if (i + 1 >= argc) return false;
        else if (!strcmp(argv[i], "--onnxruntime")) o->ort = argv[++i], known = true;
        else if (!strcmp(argv[i], "--json")) o->json = argv[++i], known = true;
        else if (!strcmp(argv[i], "--cpu")) known = mt_cpu_select(argv[++i], err) == MT_OK;
        for (size_t k = 0; k < MT_COUNT(numbers) && !known; k++)
            if (!strcmp(argv[i], numbers[k].name)) *numbers[k].to = atoi(argv[++i]), known = true;
        if (!known) return false;
    }
    return o->n_models && o->px >= 1 && o->px <= 8192 && o->batch >= 1 && o->batch <= 256 &&
           o->rounds >= 1 && o->rounds <= MAX_ROUNDS && o->turn_ms >= 1;
}

int main(int argc, char **argv)
{
    mt_err err = MT_ERR_INIT;
    options o = {.px = 256, .batch = 8, .rounds = 5, .turn_ms = 400};
    if (!read_options(&o, argc, argv, &err)) {
        fprintf(stderr,
                "%s\nusage: bench_net MODEL.onnx[@PX]... [--px N] [--batch N] [--rounds N] [--turn MS] "
                "[--onnxruntime FILE] [--json FILE] [--cpu ref|avx2|avx512] [--layers]\n",
                err.text);
        return 2;
    }
    return run_all(&o, &err);
}
