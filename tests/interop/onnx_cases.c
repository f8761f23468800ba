/* Runs every ONNX test case below the folders and says by name what fails and what is unsupported.
 *
 *   onnx_cases [--cpu ref|avx2|avx512] [--class WORD] [--networks] [--allow-unsupported]
 *              [--only TEXT] [--verbose] DIR...
 *
 * A case is a folder with model.onnx and test_data_set_K/{input,output}_N.pb (TensorProto), as the
 * ONNX project keeps them, or NAME.onnx beside NAME_output_0.pb (its light models, whose input is
 * element i of n = i / n). Numbers agree as the ONNX runner asks (|got - want| <= 1e-7 + 1e-3 |want|;
 * integers and bool exactly). A whole network (info.json lies beside it, its initialisers hold ten
 * thousand numbers, or --networks says so) agrees within 1e-4 of its largest output, or within the
 * share of the output's range that info.json names (max_abs_of_range).
 *
 * A data set runs with every input brought by the run, with all but the first known when the network
 * is compiled, and, when the case is small, with all of them known: the folder of constants is judged
 * by the same numbers. Where shapes hang on the contents of an input (a Reshape's shape, the k of a
 * TopK) the first of these forms are unsupported; one at least must pass and none may differ. Two
 * runs give the same bits.
 *
 * Left out by name are the cases whose expected values wrap around at 8 bits where the standard
 * saturates (see disputed), and those below opset 7 that do not pass. --class runs what DIR/index.csv
 * gives this word in its third column. --allow-unsupported counts an unsupported case as skipped, not
 * as failed. The last line is "N passed, N failed, N skipped". Exit 0 all passed, 1 something failed,
 * 2 usage, 77 a folder is not there. */
#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/file.h"
#include "models/graph.h"
#include "microtome/system.h"

enum { MOST = 64, FIRST_OPSET = 7, NETWORK_PARAMS = 10000 };

/* Cases whose expected values are disputed: they wrap around at 8 bits where the standard
 * saturates. */
static const char *const disputed[] = {
    "test_qlinearmatmul_2D_int8_float16",
    "test_qlinearmatmul_2D_int8_float32",
    "test_qlinearmatmul_3D_int8_float32",
};

typedef struct totals {
    int passed, failed, skipped;
    bool verbose, networks, lenient;
    const char *only, *class_name;
    const char *root;        /* folder of the command line at work */
    char *index;             /* text of its index.csv */
} totals;

/* How the numbers of a case are judged. */
typedef struct rule {
    double rel, abs;   /* of each element */
    double of_max, of_range; /* whole networks: share of the largest output, of its range; 0 none */
} rule;

typedef struct test_case {
    const char *name;
    uint8_t *onnx;
    size_t n_onnx;
    const char *folder;
    int opset;
    int n_in;
    char *in_name[MOST];   /* of the graph's inputs */
    mt_tensor declared[MOST];
    mt_dtype outer[MOST]; /* type of the file: float16 and float64 are float32 once read */
    rule judge;
} test_case;

typedef struct data_set {
    mt_tensor in[MOST], want[MOST];
    bool has_want[MOST];
    int n_want;
} data_set;

static void free_tensors(mt_tensor *t, int n)
{
    for (int i = 0; i < n; i++) free(t[i].data);
}

static void data_set_free(data_set *d)
{
    free_tensors(d->in, MOST);
    free_tensors(d->want, MOST);
}

/* --- reading ------------------------------------------------------------------------------------
 */

static mt_status read_tensor(mt_tensor *t, char *name, size_t cap, const char *path, mt_err *err)
{
    MT_AUTO_FREE uint8_t *pb = NULL;
    size_t n;
    MT_TRY(mt_file_read(&pb, &n, path, (size_t)1 << 30, err));
    if (mt_onnx_read_tensor(t, name, cap, pb, n, err) != MT_OK)
        return mt_err_context(err, "%.80s", mt_path_base(path));
    return MT_OK;
}

/* The reader makes float32 of float16 and float64; an input that the network takes so goes back. */
static mt_status narrow(mt_tensor *t, mt_dtype to, mt_err *err)
{
    void *outer = NULL;
    int64_t n = mt_tensor_count(t);
    MT_TRY(mt_alloc(&outer, (size_t)n + 1, 8, (size_t)1 << 30, "input", err));
    mt_narrow(outer, t->data, to, n);
    free(t->data);
    t->data = outer;
    t->dtype = to;
    return MT_OK;
}

/* Names, types and opset of the file. */
static mt_status read_head(test_case *c, const char *file, mt_err *err)
{
    mt_graph g = {.name = c->name, .folder = c->folder, .k = mt_kernels_get()};
    char *text = mt_graph_text(&g, file, err);
    mt_status st = text ? mt_onnx_read(&g, c->onnx, c->n_onnx, err) : MT_ERR_NO_MEMORY;
    c->opset = g.opset;
    if (g.n_params >= NETWORK_PARAMS && c->judge.of_range <= 0) c->judge.of_max = 1e-4;
    if (st == MT_OK && g.n_inputs > MOST)
        st = mt_err_set(err, MT_ERR_LIMIT, "%d inputs", g.n_inputs);
    for (int i = 0; st == MT_OK && i < g.n_inputs; i++) {
        const mt_value *v = g.values[g.inputs[i]];
        c->in_name[c->n_in] = mt_strf("%s", v->name);
        c->outer[c->n_in] = v->half ? MT_DT_F16 : v->wide ? MT_DT_F64 : v->t.dtype;
        c->declared[c->n_in++] = v->t;
    }
    mt_graph_free(&g);
    return st;
}

static int place_of(const test_case *c, const char *name, int number)
{
    for (int i = 0; i < c->n_in; i++)
        if (*name && !strcmp(name, c->in_name[i])) return i;
    return number;
}

static mt_status read_set(data_set *d, const test_case *c, const char *stem, mt_err *err)
{
    bool have[MOST] = {false};
    char name[256];
    for (int i = 0; i < MOST; i++) {
        MT_AUTO_FREE char *in = mt_strf("%sinput_%d.pb", stem, i);
        MT_AUTO_FREE char *out = mt_strf("%soutput_%d.pb", stem, i);
        if (!in || !out) return mt_err_set(err, MT_ERR_NO_MEMORY, "no memory");
        if (mt_file_exists(in)) {
            mt_tensor t;
            MT_TRY(read_tensor(&t, name, sizeof name, in, err));
            int at = place_of(c, name, i);
            if (at >= c->n_in || have[at]) {
                free(t.data);
                return mt_err_set(err, MT_ERR_FORMAT, "input_%d.pb has no place in the graph", i);
            }
            d->in[at] = t;
            have[at] = true;
            if (c->outer[at] != t.dtype && t.dtype == MT_DT_F32)
                MT_TRY(narrow(&d->in[at], c->outer[at], err));
        }
        if (mt_file_exists(out)) {
            MT_TRY(read_tensor(&d->want[i], name, sizeof name, out, err));
            d->has_want[i] = true;
            d->n_want++;
        }
    }
    for (int i = 0; i < c->n_in; i++)
        if (!have[i])
            return mt_err_set(err, MT_ERR_FORMAT, "no file holds input %d (\"%.60s\")", i,
                              c->in_name[i]);
    if (!d->n_want) return mt_err_set(err, MT_ERR_FORMAT, "no output to compare with");
    return MT_OK;
}

/* Input of a light model: arange(n)/n in the declared shape, 1 for a symbolic dimension. */
static mt_status light_inputs(data_set *d, const test_case *c, mt_err *err)
{
    for (int i = 0; i < c->n_in; i++) {
        mt_tensor t = c->declared[i];
        for (int k = 0; k < t.rank; k++)
            if (t.dims[k] < 0) t.dims[k] = 1;
        if (t.dtype != MT_DT_F32 || t.rank < 0)
            return mt_err_set(err, MT_ERR_UNSUPPORTED, "input \"%.60s\" is made for float32 only",
                              c->in_name[i]);
        int64_t n = mt_tensor_count(&t);
        MT_TRY(mt_alloc(&t.data, (size_t)n, sizeof(float), (size_t)1 << 30, "input", err));
        for (int64_t k = 0; k < n; k++) ((float *)t.data)[k] = (float)((double)k / (double)n);
        d->in[i] = t;
    }
    return MT_OK;
}

/* --- judging ------------------------------------------------------------------------------------
 */

static double number_at(const mt_tensor *t, int64_t i)
{
    if (t->dtype == MT_DT_F64) return ((const double *)t->data)[i];
    switch (t->dtype) {
    case MT_DT_F32: return (double)((const float *)t->data)[i];
    case MT_DT_F16: return (double)mt_half_to_float(((const uint16_t *)t->data)[i]);
    case MT_DT_I64: return (double)((const int64_t *)t->data)[i];
    case MT_DT_I32: return (double)((const int32_t *)t->data)[i];
    case MT_DT_I8: return (double)((const int8_t *)t->data)[i];
    case MT_DT_U8: case MT_DT_BOOL: return (double)((const uint8_t *)t->data)[i];
    }
    return NAN;
}

/* What a whole network's numbers may be off by, everywhere. */
static double allowance(const rule *r, const mt_tensor *want)
{
    double top = 0, lo = INFINITY, hi = -INFINITY;
    for (int64_t i = 0, n = mt_tensor_count(want); i < n; i++) {
        double v = number_at(want, i);
        top = fmax(top, fabs(v));
        lo = fmin(lo, v);
        hi = fmax(hi, v);
    }
    return r->of_range > 0 ? r->of_range * (hi - lo) : r->of_max * top;
}

static bool agree(double got, double want, const rule *r, double slack)
{
    if (isnan(want) || isnan(got)) return isnan(want) && isnan(got);
    if (isinf(want) || isinf(got)) return want == got;
    double off = fabs(got - want);
    return slack >= 0 ? off <= slack : off <= r->abs + r->rel * fabs(want);
}

static mt_status compare(const mt_tensor *got, const mt_tensor *want, int k, const rule *r,
                         mt_err *err)
{
    char a[128], b[128];
    mt_dtype type = mt_dtype_inside(got->dtype); /* as the reader has it */
    bool same = type == want->dtype && got->rank == want->rank;
    for (int d = 0; same && d < got->rank; d++) same = got->dims[d] == want->dims[d];
    if (!same)
        return mt_err_set(err, MT_ERR_FORMAT, "output %d is %s %s, expected %s %s", k,
                          mt_dtype_name((int)got->dtype), mt_dims_text(a, sizeof a, got),
                          mt_dtype_name((int)want->dtype), mt_dims_text(b, sizeof b, want));
    bool exact = want->dtype != MT_DT_F32;
    double slack = r->of_max > 0 || r->of_range > 0 ? allowance(r, want) : -1;
    int64_t n = mt_tensor_count(want), bad = 0, first = 0;
    for (int64_t i = 0; i < n; i++) {
        size_t size = mt_dtype_size(want->dtype);
        bool ok = exact ? !memcmp((const char *)got->data + (size_t)i * size,
                                  (const char *)want->data + (size_t)i * size, size)
                        : agree(number_at(got, i), number_at(want, i), r, slack);
        if (!ok && !bad++) first = i;
    }
    if (!bad) return MT_OK;
    return mt_err_set(err, MT_ERR_FORMAT,
                      "output %d: %lld of %lld elements differ, element %lld is %.9g, expected %.9g",
                      k, (long long)bad, (long long)n, (long long)first, number_at(got, first),
                      number_at(want, first));
}

/* --- running ------------------------------------------------------------------------------------
 */

/* Compiles with the contents of the inputs from `known` on, runs twice, compares. */
static mt_status run_form(const test_case *c, const data_set *d, int known, mt_err *err)
{
    mt_tensor bound[MOST], out[MOST];
    mt_net *net = NULL;
    mt_net_state *state = NULL;
    MT_AUTO_FREE void *first = NULL;
    for (int i = 0; i < c->n_in; i++) {
        bound[i] = d->in[i];
        if (i < known) bound[i].data = NULL;
    }
    mt_status st = mt_net_compile_in(&net, c->onnx, c->n_onnx, c->folder, bound, c->n_in, "model",
                                     err);
    if (st == MT_OK && mt_net_n_outputs(net) > MOST)
        st = mt_err_set(err, MT_ERR_LIMIT, "%d outputs", mt_net_n_outputs(net));
    if (st == MT_OK) st = mt_net_state_new(&state, net, err);
    for (int turn = 0; turn < 2 && st == MT_OK; turn++) {
        st = mt_net_run(net, state, d->in, out, err);
        size_t bytes = st == MT_OK ? (size_t)mt_tensor_count(&out[0]) : 0;
        if (bytes) bytes *= out[0].dtype == MT_DT_F64 ? 8 : mt_dtype_size(out[0].dtype);
        if (turn && first && memcmp(first, out[0].data, bytes))
            st = mt_err_set(err, MT_ERR_FORMAT, "two runs differ");
        if (!turn && bytes && (first = malloc(bytes))) memcpy(first, out[0].data, bytes);
    }
    for (int k = 0; st == MT_OK && k < MOST; k++) {
        if (!d->has_want[k]) continue;
        st = k < mt_net_n_outputs(net)
                 ? compare(&out[k], &d->want[k], k, &c->judge, err)
                 : mt_err_set(err, MT_ERR_FORMAT, "the graph has no output %d", k);
    }
    mt_net_state_free(&state);
    mt_net_free(&net);
    return st;
}

static mt_status run_set(const test_case *c, const data_set *d, mt_err *err)
{
    static const char *const words[] = {"", "all inputs but the first known: ",
                                        "all inputs known: "};
    const int forms[] = {c->n_in, 1, 0};
    bool small = c->n_onnx < 1 << 20 && c->judge.of_max <= 0, passed = false;
    mt_err first = MT_ERR_INIT;
    for (int i = 0; i < 3; i++) {
        mt_err why = MT_ERR_INIT;
        if (i && (forms[i] >= forms[i - 1] || (i == 2 && passed && !small))) continue;
        mt_status st = run_form(c, d, forms[i], &why);
        if (st == MT_OK) passed = true;
        else if (st != MT_ERR_UNSUPPORTED && !(i == 2 && passed && st == MT_ERR_LIMIT))
            return mt_err_set(err, st, "%s%s", words[i], why.text);
        else if (first.code == MT_OK) first = why;
    }
    if (passed) return MT_OK;
    *err = first;
    return first.code;
}

/* --- cases --------------------------------------------------------------------------------------
 */

static bool is_disputed(const char *name)
{
    for (size_t i = 0; i < MT_COUNT(disputed); i++)
        if (!strcmp(mt_path_base(name), disputed[i])) return true;
    return false;
}

static void skip_case(totals *t, const char *name, const char *why)
{
    t->skipped++;
    printf("skipped %s: %s\n", name, why);
}

static void tell(totals *t, const test_case *c, mt_status st, const mt_err *err)
{
    if (st == MT_OK) {
        t->passed++;
        if (t->verbose) printf("passed %s\n", c->name);
    } else if (is_disputed(c->name)) {
        skip_case(t, c->name, "disputed: expects 8-bit wrap-around where the standard saturates");
    } else if (c->opset && c->opset < FIRST_OPSET) {
        t->skipped++;
        printf("skipped %s: opset %d, handled are %d and later (%s)\n", c->name, c->opset,
               FIRST_OPSET, err->text);
    } else {
        bool unsupported = st == MT_ERR_UNSUPPORTED;
        *(unsupported && t->lenient ? &t->skipped : &t->failed) += 1;
        printf("%s %s: %s\n", unsupported ? "unsupported" : "FAILED", c->name, err->text);
    }
}

static rule rule_of(const totals *t, const char *dir)
{
    rule r = {1e-3, 1e-7, t->networks ? 1e-4 : 0, 0};
    MT_AUTO_FREE char *path = mt_strf("%s/info.json", dir);
    json_t *j = path ? json_load_file(path, 0, NULL) : NULL;
    if (!j) return r;
    const json_t *share = json_object_get(json_object_get(j, "tolerance"), "max_abs_of_range");
    if (json_is_number(share)) r.of_range = json_number_value(share);
    else r.of_max = 1e-4;
    json_decref(j);
    return r;
}

static mt_status open_case(test_case *c, const totals *t, const char *file, const char *dir,
                           mt_err *err)
{
    c->judge = rule_of(t, dir);
    c->folder = dir;
    MT_TRY(mt_file_read(&c->onnx, &c->n_onnx, file, (size_t)2 << 30, err));
    return read_head(c, file, err);
}

static void close_case(test_case *c)
{
    for (int i = 0; i < c->n_in; i++) free(c->in_name[i]);
    free(c->onnx);
}

/* What a case is called: its path below the folder of the command line. */
static const char *label_of(const totals *t, const char *path)
{
    size_t n = strlen(t->root);
    return path[n] == '/' ? path + n + 1 : path;
}

static void run_light(totals *t, const char *file, const char *dir, const char *stem)
{
    test_case c = {.name = label_of(t, file)};
    data_set d = {0};
    mt_err err = MT_ERR_INIT;
    mt_status st = open_case(&c, t, file, dir, &err);
    if (st == MT_OK) st = light_inputs(&d, &c, &err);
    MT_AUTO_FREE char *pb = mt_strf("%s_output_0.pb", stem);
    char name[256];
    if (st == MT_OK) st = read_tensor(&d.want[0], name, sizeof name, pb, &err);
    d.has_want[0] = true;
    if (st == MT_OK) st = run_form(&c, &d, c.n_in, &err);
    tell(t, &c, st, &err);
    data_set_free(&d);
    close_case(&c);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void run_folder(totals *t, const char *file, const char *dir, struct dirent **names, int n)
{
    test_case c = {.name = label_of(t, dir)};
    mt_err err = MT_ERR_INIT;
    mt_status st = open_case(&c, t, file, dir, &err);
    int sets = 0;
    for (int i = 0; i < n && st == MT_OK; i++) {
        if (strncmp(names[i]->d_name, "test_data_set_", 14)) continue;
        data_set d = {0};
        MT_AUTO_FREE char *stem = mt_strf("%s/%s/", dir, names[i]->d_name);
        st = stem ? read_set(&d, &c, stem, &err) : MT_ERR_NO_MEMORY;
        if (st == MT_OK) st = run_set(&c, &d, &err);
        data_set_free(&d);
        sets++;
    }
    if (st == MT_OK && !sets) skip_case(t, c.name, "no test_data_set beside its model");
    else tell(t, &c, st, &err);
    close_case(&c);
}

/* Whether index.csv gives this case the class asked for. */
static bool wanted(const totals *t, const char *dir)
{
    if (t->only && !strstr(dir, t->only)) return false;
    if (!t->class_name) return true;
    MT_AUTO_FREE char *key = mt_strf("\n%s,", label_of(t, dir));
    const char *line = key && t->index ? strstr(t->index, key) : NULL;
    if (line) line = strchr(line + strlen(key), ',');
    size_t len = strlen(t->class_name);
    return line && !strncmp(line + 1, t->class_name, len) && line[1 + len] == ',';
}

/* One .onnx file: the model of this folder, a light model, or one without data. */
static void run_file(totals *t, const char *dir, struct dirent **names, int n, const char *name)
{
    MT_AUTO_FREE char *file = mt_strf("%s/%s", dir, name);
    bool folder = !strcmp(name, "model.onnx");
    if (!file || !wanted(t, folder ? dir : file)) return;
    if (folder) {
        run_folder(t, file, dir, names, n);
        return;
    }
    MT_AUTO_FREE char *stem = mt_strf("%.*s", (int)(strlen(file) - 5), file);
    MT_AUTO_FREE char *pb = mt_strf("%s_output_0.pb", stem);
    if (pb && mt_file_exists(pb)) run_light(t, file, dir, stem);
    else skip_case(t, label_of(t, file), "no outputs beside it to compare with");
}

static void walk(totals *t, const char *dir, int depth)
{
    struct dirent **names = NULL;
    int n = depth < 16 ? scandir(dir, &names, NULL, by_name) : -1;
    for (int i = 0; i < n; i++) {
        const char *name = names[i]->d_name;
        if (name[0] == '.') continue;
        MT_AUTO_FREE char *path = mt_strf("%s/%s", dir, name);
        if (path && mt_dir_exists(path)) walk(t, path, depth + 1);
        else if (!strcmp(mt_path_ext(name), ".onnx")) run_file(t, dir, names, n, name);
    }
    for (int i = 0; i < n; i++) free(names[i]);
    free(names);
}

static void run_root(totals *t, const char *dir)
{
    MT_AUTO_FREE char *index = mt_strf("%s/index.csv", dir);
    MT_AUTO_FREE uint8_t *text = NULL;
    size_t n;
    if (index && mt_file_exists(index) &&
        mt_file_read(&text, &n, index, (size_t)64 << 20, NULL) == MT_OK)
        t->index = (char *)text;
    t->root = dir;
    walk(t, dir, 0);
    t->index = NULL;
}

static int usage(void)
{
    fprintf(stderr,
            "usage: onnx_cases [--cpu ref|avx2|avx512] [--class WORD] [--networks]\n"
            "                  [--allow-unsupported] [--only TEXT] [--verbose] DIR...\n");
    return 2;
}

int main(int argc, char **argv)
{
    totals t = {0};
    mt_err err = MT_ERR_INIT;
    int i = 1;
    for (; i < argc && !strncmp(argv[i], "--", 2); i++) {
        if (!strcmp(argv[i], "--networks")) t.networks = true;
        else if (!strcmp(argv[i], "--allow-unsupported")) t.lenient = true;
        else if (!strcmp(argv[i], "--verbose")) t.verbose = true;
        else if (i + 1 >= argc) return usage();
        else if (!strcmp(argv[i], "--class")) t.class_name = argv[++i];
        else if (!strcmp(argv[i], "--only")) t.only = argv[++i];
        else if (!strcmp(argv[i], "--cpu")) {
            if (mt_cpu_select(argv[++i], &err) == MT_OK) continue;
            fprintf(stderr, "%s\n", err.text);
            return err.code == MT_ERR_UNSUPPORTED ? 77 : 2;
        } else return usage();
    }
    if (i >= argc) return usage();
    bool missing = false;
    for (; i < argc; i++) {
        size_t n = strlen(argv[i]);
        while (n > 1 && argv[i][n - 1] == '/') argv[i][--n] = 0;
        if (mt_dir_exists(argv[i])) run_root(&t, argv[i]);
        else {
            printf("skipped: %s is not there\n", argv[i]);
            missing = true;
        }
    }
    printf("%d passed, %d failed, %d skipped\n", t.passed, t.failed, t.skipped);
    if (t.failed) return 1;
    return missing ? 77 : t.passed + t.skipped ? 0 : 1;
}
