/* Runs folders of ONNX test cases and says by name what fails and what is not supported.
 *
 *   onnx_cases [--cpu ref|avx2|avx512] [--class P0-cnn] [--strict] [--networks] [--except NAME]...
 * [--verbose] DIR...
 *
 * A case is a folder with model.onnx and test_data_set_K/input_N.pb, output_N.pb (any depth below
 * DIR), or NAME.onnx beside NAME_output_0.pb, whose input is taken to be ones. --class runs only
 * the cases whose line in DIR/index.csv has this word in its third column. Every data set runs
 * twice where it can: with all inputs brought by the run, and with all but the first known at
 * compile time. Unsupported operators are skips; with --strict they count as failures. Operators
 * are judged element by element (rtol 1e-3, atol 1e-7), networks (info.json beside the model, or
 * --networks) by 1e-4 of their largest output. --except: this case must fail or be skipped. Exit 0
 * all passed, 1 something failed, 2 usage, 77 no folder there. */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/file.h"
#include "base/json.h"
#include "models/graph.h"
#include "microtome/system.h"
#include "models/net.h"

enum { MAX_IO = 32, MAX_EXCEPT = 16 };
#define FILE_CEILING ((size_t)2 << 30)

typedef struct options {
    const char *class_name;
    const char *except[MAX_EXCEPT];
    int n_except;
    bool strict, verbose, networks;
} options;

typedef struct tally {
    int passed, failed, skipped;
    char *index;             /* text of index.csv of the folder at work */
    const char *root;
    const options *o;
} tally;

typedef struct io {
    mt_tensor in[MAX_IO], out[MAX_IO];
    int n_in, n_out;
} io;

static void free_io(io *d)
{
    for (int i = 0; i < d->n_in; i++) free(d->in[i].data);
    for (int i = 0; i < d->n_out; i++) free(d->out[i].data);
    memset(d, 0, sizeof *d);
}

/* float16 comes widened from the reader; the graph's border wants halves. */
static mt_status read_pb(mt_tensor *t, const char *path, mt_err *err)
{
    uint8_t *bytes = NULL;
    size_t n;
    char name[64];
    MT_TRY(mt_file_read(&bytes, &n, path, FILE_CEILING, err));
    mt_status st = mt_onnx_read_tensor(t, name, sizeof name, bytes, n, err);
    free(bytes);
    return st;
}

static mt_status read_set(io *d, const char *dir, mt_err *err)
{
    char path[8192];
    for (int side = 0; side < 2; side++)
        for (int i = 0; i < MAX_IO; i++) {
            snprintf(path, sizeof path, "%s/%s_%d.pb", dir, side ? "output" : "input", i);
            if (!mt_file_exists(path)) break;
            MT_TRY(read_pb(side ? &d->out[i] : &d->in[i], path, err));
            *(side ? &d->n_out : &d->n_in) = i + 1;
        }
    return MT_OK;
}

/* --- comparing --- */

static double as_double(const mt_tensor *t, int64_t i)
{
    switch (t->dtype) {
    case MT_DT_F32: return (double)((const float *)t->data)[i];
    case MT_DT_F16: return (double)mt_half_to_float(((const uint16_t *)t->data)[i]);
    case MT_DT_I64: return (double)((const int64_t *)t->data)[i];
    case MT_DT_I32: return ((const int32_t *)t->data)[i];
    case MT_DT_I8: return ((const int8_t *)t->data)[i];
    default: return ((const uint8_t *)t->data)[i];
    }
}

/* whole: a network is judged by its largest output, an operator element by element. */
static bool same(const mt_tensor *got, const mt_tensor *want, bool whole, char *why, size_t cap)
{
    char a[128], b[128];
    bool half = got->dtype == MT_DT_F16;
    bool shape = got->rank == want->rank &&
                 (got->dtype == want->dtype || (half && want->dtype == MT_DT_F32));
    for (int d = 0; shape && d < want->rank; d++) shape = got->dims[d] == want->dims[d];
    if (!shape) {
        snprintf(why, cap, "%s %s, expected %s %s", mt_dtype_name((int)got->dtype),
                 mt_dims_text(a, sizeof a, got), mt_dtype_name((int)want->dtype),
                 mt_dims_text(b, sizeof b, want));
        return false;
    }
    int64_t n = mt_tensor_count(want);
    double top = 0;
    for (int64_t i = 0; i < n; i++) top = fmax(top, fabs(as_double(want, i)));
    for (int64_t i = 0; i < n; i++) {
        double g = as_double(got, i), w = as_double(want, i), allowed = 0;
        if (want->dtype == MT_DT_F32) allowed = whole ? 1e-4 * top : 1e-7 + 1e-3 * fabs(w);
        if ((isnan(g) && isnan(w)) || g == w || fabs(g - w) <= allowed) continue;
        snprintf(why, cap, "element %lld is %.9g, expected %.9g", (long long)i, g, w);
        return false;
    }
    return true;
}

/* --- running --- */

typedef enum verdict { PASS, FAIL, SKIP } verdict;

static void narrow_halves(const mt_net *net, io *d, uint16_t **halves)
{
    for (int i = 0; i < mt_net_n_inputs(net) && i < d->n_in; i++) {
        const mt_tensor *want = mt_net_input(net, i);
        if (want->dtype != MT_DT_F16 || d->in[i].dtype != MT_DT_F32) continue;
        int64_t n = mt_tensor_count(want);
        halves[i] = calloc((size_t)n + 1, 2);
        for (int64_t j = 0; halves[i] && j < n; j++)
            halves[i][j] = mt_float_to_half(((const float *)d->in[i].data)[j]);
    }
}

static verdict run_net(const mt_net *net, io *d, bool whole, char *why, size_t cap)
{
    mt_err err = MT_ERR_INIT;
    mt_net_state *state = NULL;
    mt_tensor in[MAX_IO], out[MAX_IO];
    uint16_t *halves[MAX_IO] = {NULL};
    verdict v = FAIL;
    if (mt_net_n_outputs(net) > MAX_IO || d->n_in < mt_net_n_inputs(net)) {
        snprintf(why, cap, "the data set has %d inputs, the graph %d", d->n_in,
                 mt_net_n_inputs(net));
        return FAIL;
    }
    narrow_halves(net, d, halves);
    memcpy(in, d->in, sizeof in);
    for (int i = 0; i < MAX_IO; i++)
        if (halves[i]) {
            in[i].dtype = MT_DT_F16;
            in[i].data = halves[i];
        }
    void *first = NULL;
    if (mt_net_state_new(&state, net, &err) != MT_OK) goto done;
    for (int turn = 0; turn < 2; turn++) { /* the second run must give the same bits */
        if (mt_net_run(net, state, in, out, &err) != MT_OK) goto done;
        size_t bytes = mt_tensor_bytes(&out[0]);
        if (turn && first && memcmp(first, out[0].data, bytes)) {
            snprintf(why, cap, "two runs differ");
            goto done;
        }
        if (!turn && bytes && (first = malloc(bytes))) memcpy(first, out[0].data, bytes);
    }
    for (int i = 0; i < d->n_out && i < mt_net_n_outputs(net); i++) {
        char text[300];
        if (same(&out[i], &d->out[i], whole, text, sizeof text)) continue;
        snprintf(why, cap, "output %d: %s", i, text);
        goto done;
    }
    v = PASS;
done:
    if (err.code != MT_OK) snprintf(why, cap, "%s", err.text);
    mt_net_state_free(&state);
    for (int i = 0; i < MAX_IO; i++) free(halves[i]);
    free(first);
    return v;
}

/* known_from: inputs from this one on are known at compile time. */
static verdict run_bound(const uint8_t *onnx, size_t n, io *d, int known_from, bool whole,
                         char *why, size_t cap)
{
    mt_err err = MT_ERR_INIT;
    mt_net *net = NULL;
    mt_tensor bind[MAX_IO];
    memcpy(bind, d->in, sizeof bind);
    for (int i = 0; i < known_from && i < MAX_IO; i++) bind[i].data = NULL;
    if (mt_net_compile(&net, onnx, n, bind, d->n_in, "model", &err) != MT_OK) {
        snprintf(why, cap, "%s", err.text);
        return err.code == MT_ERR_UNSUPPORTED ? SKIP : FAIL;
    }
    verdict v = run_net(net, d, whole, why, cap);
    mt_net_free(&net);
    return v;
}

static verdict run_data(const uint8_t *onnx, size_t n, io *d, bool whole, char *why, size_t cap)
{
    verdict all_run = run_bound(onnx, n, d, MAX_IO, whole, why, cap);
    if (all_run == FAIL || d->n_in == 0) return all_run;
    verdict first_run = d->n_in > 1 ? run_bound(onnx, n, d, 1, whole, why, cap) : all_run;
    if (first_run == FAIL) return FAIL;
    if (all_run == SKIP && first_run == SKIP) return run_bound(onnx, n, d, 0, whole, why, cap);
    return PASS;
}

static verdict run_case(const char *dir, const options *o, char *why, size_t cap)
{
    char path[4096];
    mt_err err = MT_ERR_INIT;
    MT_AUTO_FREE uint8_t *onnx = NULL;
    size_t n;
    snprintf(path, sizeof path, "%s/model.onnx", dir);
    if (mt_file_read(&onnx, &n, path, FILE_CEILING, &err) != MT_OK) {
        snprintf(why, cap, "%s", err.text);
        return FAIL;
    }
    snprintf(path, sizeof path, "%s/info.json", dir);
    bool whole = o->networks || mt_file_exists(path);
    for (int k = 0;; k++) {
        snprintf(path, sizeof path, "%s/test_data_set_%d", dir, k);
        if (!mt_dir_exists(path)) {
            if (!k) snprintf(why, cap, "no test_data_set_0");
            return k ? PASS : FAIL;
        }
        io d = {0};
        verdict v = FAIL;
        if (read_set(&d, path, &err) != MT_OK) {
            snprintf(why, cap, "%s", err.text);
            v = err.code == MT_ERR_UNSUPPORTED ? SKIP : FAIL;
        } else {
            v = run_data(onnx, n, &d, whole, why, cap);
        }
        free_io(&d);
        if (v != PASS) return v;
    }
}

/* NAME.onnx beside NAME_output_0.pb: weights are constants of one value, the input is ones. */
static verdict run_light(const char *onnx_path, char *why, size_t cap)
{
    char path[4096];
    mt_err err = MT_ERR_INIT;
    MT_AUTO_FREE uint8_t *onnx = NULL;
    size_t n;
    mt_net *net = NULL;
    io d = {0};
    verdict v = FAIL;
    snprintf(path, sizeof path, "%.*s_output_0.pb", (int)strlen(onnx_path) - 5, onnx_path);
    if (mt_file_read(&onnx, &n, onnx_path, FILE_CEILING, &err) != MT_OK ||
        read_pb(&d.out[0], path, &err) != MT_OK)
        goto done;
    d.n_out = 1;
    if (mt_net_compile(&net, onnx, n, NULL, 0, "model", &err) != MT_OK) {
        v = err.code == MT_ERR_UNSUPPORTED ? SKIP : FAIL;
        goto done;
    }
    for (int i = 0; i < mt_net_n_inputs(net) && i < MAX_IO; i++) {
        d.in[i] = *mt_net_input(net, i);
        d.n_in = i + 1;
        int64_t count = mt_tensor_count(&d.in[i]);
        float *x = d.in[i].data = calloc((size_t)count + 1, sizeof *x);
        for (int64_t j = 0; x && d.in[i].dtype == MT_DT_F32 && j < count; j++) x[j] = 1.0f;
    }
    v = run_net(net, &d, true, why, cap);
done:
    if (err.code != MT_OK) snprintf(why, cap, "%s", err.text);
    mt_net_free(&net);
    free_io(&d);
    return v;
}

/* --- walking --- */

static void count(tally *t, verdict v, const char *label, const char *why)
{
    bool excepted = false;
    for (int i = 0; i < t->o->n_except; i++) excepted = excepted || strstr(label, t->o->except[i]);
    if (excepted) {
        printf("%s %s: %s\n",
               v == PASS ? "FAILED (passes although listed as an exception)" : "excepted", label,
               why);
        *(v == PASS ? &t->failed : &t->skipped) += 1;
        return;
    }
    if (v == SKIP && t->o->strict) v = FAIL;
    if (v == PASS && t->o->verbose) printf("passed %s\n", label);
    if (v != PASS) printf("%s %s: %s\n", v == SKIP ? "skipped" : "FAILED", label, why);
    t->passed += v == PASS;
    t->failed += v == FAIL;
    t->skipped += v == SKIP;
}

/* Whether index.csv gives this case the class asked for. */
static bool wanted(const tally *t, const char *label)
{
    if (!t->o->class_name) return true;
    if (!t->index) return false;
    char key[512];
    int n = snprintf(key, sizeof key, "\n%s,", label);
    const char *line = strstr(t->index, key);
    if (!line || n >= (int)sizeof key) return false;
    line = strchr(line + n, ',');
    size_t len = strlen(t->o->class_name);
    return line && !strncmp(line + 1, t->o->class_name, len) && line[1 + len] == ',';
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list_dir(char ***names, const char *dir)
{
    DIR *d = opendir(dir);
    int n = 0, cap = 0;
    *names = NULL;
    for (struct dirent *e; d && (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        if (n == cap) *names = realloc(*names, (size_t)(cap = cap ? 2 * cap : 64) * sizeof **names);
        (*names)[n++] = strdup(e->d_name);
    }
    if (d) closedir(d);
    if (n) qsort(*names, (size_t)n, sizeof **names, by_name);
    return n;
}

static void walk(tally *t, const char *dir, int depth)
{
    char **names, why[640];
    int n = list_dir(&names, dir);
    for (int i = 0; i < n; i++) {
        char *path = mt_strf("%s/%s", dir, names[i]),
             *model = mt_strf("%s/%s/model.onnx", dir, names[i]);
        const char *label = path + strlen(t->root) + 1;
        size_t len = strlen(names[i]);
        why[0] = 0;
        if (mt_file_exists(model)) {
            if (wanted(t, label)) count(t, run_case(path, t->o, why, sizeof why), label, why);
        } else if (mt_dir_exists(path)) {
            if (depth < 4) walk(t, path, depth + 1);
        } else if (len > 5 && !strcmp(names[i] + len - 5, ".onnx") &&
                   strcmp(names[i], "model.onnx")) {
            char *out = mt_strf("%s/%.*s_output_0.pb", dir, (int)len - 5, names[i]);
            if (mt_file_exists(out)) count(t, run_light(path, why, sizeof why), label, why);
            free(out);
        }
        free(path);
        free(model);
        free(names[i]);
    }
    free(names);
}

static int usage(void)
{
    fprintf(stderr, "usage: onnx_cases [--cpu ref|avx2|avx512] [--class WORD] [--strict] "
                    "[--networks]\n                  [--except NAME]... [--verbose] DIR...\n");
    return 2;
}

int main(int argc, char **argv)
{
    options o = {0};
    mt_err err = MT_ERR_INIT;
    int i = 1;
    for (; i < argc && !strncmp(argv[i], "--", 2); i++) {
        if (!strcmp(argv[i], "--strict")) o.strict = true;
        else if (!strcmp(argv[i], "--networks")) o.networks = true;
        else if (!strcmp(argv[i], "--verbose")) o.verbose = true;
        else if (i + 1 >= argc) return usage();
        else if (!strcmp(argv[i], "--class")) o.class_name = argv[++i];
        else if (!strcmp(argv[i], "--except") && o.n_except < MAX_EXCEPT)
            o.except[o.n_except++] = argv[++i];
        else if (!strcmp(argv[i], "--cpu")) {
            if (mt_cpu_select(argv[++i], &err) == MT_OK) continue;
            fprintf(stderr, "%s\n", err.text);
            return err.code == MT_ERR_UNSUPPORTED ? 77 : 2;
        } else return usage();
    }
    if (i >= argc) return usage();
    tally t = {.o = &o};
    for (; i < argc; i++) {
        if (!mt_dir_exists(argv[i])) {
            printf("skipped: %s is not there\n", argv[i]);
            return 77;
        }
        char *index = mt_strf("%s/index.csv", argv[i]);
        uint8_t *text = NULL;
        size_t n;
        if (index && mt_file_exists(index) &&
            mt_file_read(&text, &n, index, FILE_CEILING, NULL) == MT_OK)
            t.index = (char *)text;
        t.root = argv[i];
        walk(&t, argv[i], 0);
        free(text);
        free(index);
        t.index = NULL;
    }
    printf("%d passed, %d failed, %d skipped\n", t.passed, t.failed, t.skipped);
    return t.failed || !(t.passed + t.skipped) ? 1 : 0;
}
