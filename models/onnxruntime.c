#include "models/onnxruntime.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/file.h"
#include "base/mem.h"
#include "models/graph.h"
#include "trust/digest.h"

#define MAX_IO 32
#define LIBRARY_CEILING ((size_t)4 << 30)

/* Places in the table of functions (onnxruntime_c_api.h, struct OrtApi, version 1: order is fixed). */
enum {
    GET_ERROR_MESSAGE = 2,
    CREATE_ENV = 3,
    CREATE_SESSION = 7,
    CREATE_SESSION_FROM_ARRAY = 8,
    RUN = 9,
    CREATE_SESSION_OPTIONS = 10,
    SET_OPTIMIZATION = 23,
    SET_INTRA_THREADS = 24,
    SET_INTER_THREADS = 25,
    INPUT_COUNT = 30,
    OUTPUT_COUNT = 31,
    INPUT_NAME = 36,
    OUTPUT_NAME = 37,
    CREATE_TENSOR_WITH_DATA = 49,
    IS_TENSOR = 50,
    TENSOR_DATA = 51,
    ELEMENT_TYPE = 60,
    DIMENSIONS_COUNT = 61,
    DIMENSIONS = 62,
    TYPE_AND_SHAPE = 65,
    CREATE_CPU_MEMORY_INFO = 69,
    ALLOCATOR_FREE = 76,
    DEFAULT_ALLOCATOR = 78,
    RELEASE_ENV = 92,
    RELEASE_STATUS = 93,
    RELEASE_MEMORY_INFO = 94,
    RELEASE_SESSION = 95,
    RELEASE_VALUE = 96,
    RELEASE_SHAPE = 99,
    RELEASE_OPTIONS = 100
};
enum { LOG_ERROR = 3, ALL_OPTIMIZATIONS = 99, ARENA_ALLOCATOR = 1, MEMORY_DEFAULT = 0 };

typedef void (*any_fn)(void);
typedef struct ort_base {
    const any_fn *(*get_api)(uint32_t version);
    const char *(*get_version)(void);
} ort_base;

struct mt_ort {
    const any_fn *api;
    void *env, *memory, *allocator; /* the allocator is the library's own */
    char version[32], digest[65];
};

struct mt_ort_session {
    const mt_ort *ort;
    void *session;
    char name[64];
    int n_in, n_out;
    char *in[MAX_IO], *out[MAX_IO]; /* names, ours */
};

struct mt_ort_call {
    const mt_ort_session *s;
    void *out[MAX_IO]; /* values */
};

/* A function of the table with its true type; all that can fail give a status, NULL when well. */
#define FN(ort, place, result, ...) ((result(*)(__VA_ARGS__))(ort)->api[place])
#define CALL(ort, place, ...) FN(ort, place, void *, __VA_ARGS__)

/* The library's own words, cut to one line. */
static mt_status check(const mt_ort *ort, void *status, mt_status code, const char *what,
                       const char *name, mt_err *err)
{
    if (!status) return MT_OK;
    const char *text = FN(ort, GET_ERROR_MESSAGE, const char *, const void *)(status);
    int n = (int)strcspn(text, "\r\n");
    mt_status st = mt_err_set(err, code, "%s: ONNX Runtime %s %s: %.*s", name, ort->version, what,
                              n < 240 ? n : 240, text);
    FN(ort, RELEASE_STATUS, void, void *)(status);
    return st;
}

/* ---- the library ---- */

static mt_status no_library(const char *path, const char *why, mt_err *err)
{
    return mt_err_set(err, MT_ERR_UNSUPPORTED, "%.200s is no ONNX Runtime that can be loaded: %.160s",
                      path, why);
}

/* What was digested must be what is loaded: the same file, unchanged, before and after. */
static mt_status load(const ort_base **base, mt_ort *o, const char *path, mt_err *err)
{
    struct stat before, after;
    MT_AUTO_FREE uint8_t *bytes = NULL;
    MT_AUTO_FREE char *real = realpath(path, NULL);
    size_t n = 0;
    if (!real || stat(real, &before))
        return mt_err_set(err, MT_ERR_NOT_FOUND, "no ONNX Runtime library at %.200s", path);
    MT_TRY(mt_file_read(&bytes, &n, real, LIBRARY_CEILING, err));
    MT_TRY(mt_sha256_of(o->digest, bytes, n, err));
    void *handle = dlopen(real, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!handle) {
        const char *why = dlerror();
        return no_library(path, why ? why : "no reason given", err);
    }
    const ort_base *(*get_base)(void) = NULL;
    *(void **)&get_base = dlsym(handle, "OrtGetApiBase");
    if (!get_base) return no_library(path, "it has no OrtGetApiBase", err);
    if (stat(real, &after) || before.st_ino != after.st_ino || before.st_dev != after.st_dev ||
        before.st_size != after.st_size || before.st_mtim.tv_sec != after.st_mtim.tv_sec ||
        before.st_mtim.tv_nsec != after.st_mtim.tv_nsec)
        return no_library(path, "the file changed while it was being loaded", err);
    *base = get_base();
    return *base ? MT_OK : no_library(path, "it gives no table of functions", err);
}

mt_status mt_ort_open(mt_ort **out, const char *path, mt_err *err)
{
    *out = NULL;
    MT_AUTO(mt_ort_close) mt_ort *o = NULL;
    const ort_base *base = NULL;
    MT_TRY(mt_alloc(&o, 1, sizeof *o, sizeof *o, "ONNX Runtime", err));
    MT_TRY(load(&base, o, path, err));
    snprintf(o->version, sizeof o->version, "%s", base->get_version());
    o->api = base->get_api(1);
    if (!o->api) return no_library(path, "it has no version 1 of its functions", err);
    MT_TRY(check(o, CALL(o, CREATE_ENV, int, const char *, void **)(LOG_ERROR, "microtome", &o->env),
                 MT_ERR_UNSUPPORTED, "does not start", path, err));
    MT_TRY(check(o, CALL(o, CREATE_CPU_MEMORY_INFO, int, int, void **)(ARENA_ALLOCATOR,
                                                                     MEMORY_DEFAULT, &o->memory),
                 MT_ERR_UNSUPPORTED, "does not start", path, err));
    MT_TRY(check(o, CALL(o, DEFAULT_ALLOCATOR, void **)(&o->allocator), MT_ERR_UNSUPPORTED,
                 "does not start", path, err));
    *out = mt_steal(o);
    return MT_OK;
}

void mt_ort_close(mt_ort **ort)
{
    mt_ort *o = *ort;
    if (!o) return;
    if (o->memory) FN(o, RELEASE_MEMORY_INFO, void, void *)(o->memory);
    if (o->env) FN(o, RELEASE_ENV, void, void *)(o->env);
    free(o);
    *ort = NULL;
}

const char *mt_ort_version(const mt_ort *ort) { return ort->version; }
const char *mt_ort_digest(const mt_ort *ort) { return ort->digest; }

/* ---- a network ---- */

/* Names of all inputs (or outputs), copied. */
static mt_status read_names(char **names, int *n, mt_ort_session *s, int count_at, int name_at,
                            mt_err *err)
{
    const mt_ort *o = s->ort;
    size_t count = 0;
    MT_TRY(check(o, CALL(o, count_at, const void *, size_t *)(s->session, &count), MT_ERR_ARG,
                 "does not tell its inputs and outputs", s->name, err));
    if (count > MAX_IO)
        return mt_err_set(err, MT_ERR_LIMIT, "%s: %zu inputs or outputs, at most %d are handled",
                          s->name, count, MAX_IO);
    for (size_t i = 0; i < count; i++) {
        char *theirs = NULL;
        MT_TRY(check(o, CALL(o, name_at, const void *, size_t, void *, char **)(
                            s->session, i, o->allocator, &theirs),
                     MT_ERR_ARG, "does not name an input or output", s->name, err));
        names[i] = strdup(theirs);
        (void)CALL(o, ALLOCATOR_FREE, void *, void *)(o->allocator, theirs);
        if (!names[i]) return mt_err_set(err, MT_ERR_NO_MEMORY, "no memory for a name");
        *n = (int)i + 1;
    }
    return MT_OK;
}

static mt_status set_options(const mt_ort *o, void *options, int threads, const char *name,
                             mt_err *err)
{
    static const char what[] = "does not take its options";
    MT_TRY(check(o, CALL(o, SET_OPTIMIZATION, void *, int)(options, ALL_OPTIMIZATIONS), MT_ERR_ARG,
                 what, name, err));
    MT_TRY(check(o, CALL(o, SET_INTRA_THREADS, void *, int)(options, threads), MT_ERR_ARG, what,
                 name, err));
    return check(o, CALL(o, SET_INTER_THREADS, void *, int)(options, 1), MT_ERR_ARG, what, name,
                 err);
}

/* From bytes, or from the file at `path` when there are none. */
static mt_status create(mt_ort_session **out, const mt_ort *o, const void *onnx, size_t n_bytes,
                        const char *path, int threads, const char *name, mt_err *err)
{
    *out = NULL;
    MT_AUTO(mt_ort_session_free) mt_ort_session *s = NULL;
    void *options = NULL, *status;
    MT_TRY(mt_alloc(&s, 1, sizeof *s, sizeof *s, "network", err));
    s->ort = o;
    snprintf(s->name, sizeof s->name, "%s", name ? name : "network");
    MT_TRY(check(o, CALL(o, CREATE_SESSION_OPTIONS, void **)(&options), MT_ERR_NO_MEMORY,
                 "gives no options", s->name, err));
    mt_status st = set_options(o, options, threads, s->name, err);
    if (st == MT_OK) {
        if (onnx)
            status = CALL(o, CREATE_SESSION_FROM_ARRAY, const void *, const void *, size_t,
                          const void *, void **)(o->env, onnx, n_bytes, options, &s->session);
        else
            status = CALL(o, CREATE_SESSION, const void *, const char *, const void *,
                          void **)(o->env, path, options, &s->session);
        st = check(o, status, MT_ERR_UNSUPPORTED, "does not load it", s->name, err);
    }
    FN(o, RELEASE_OPTIONS, void, void *)(options);
    MT_TRY(st);
    MT_TRY(read_names(s->in, &s->n_in, s, INPUT_COUNT, INPUT_NAME, err));
    MT_TRY(read_names(s->out, &s->n_out, s, OUTPUT_COUNT, OUTPUT_NAME, err));
    *out = mt_steal(s);
    return MT_OK;
}

mt_status mt_ort_session_new(mt_ort_session **out, const mt_ort *ort, const void *onnx,
                             size_t n_bytes, int threads, const char *name, mt_err *err)
{
    return create(out, ort, onnx, n_bytes, NULL, threads, name, err);
}

mt_status mt_ort_session_open(mt_ort_session **out, const mt_ort *ort, const char *path,
                              int threads, const char *name, mt_err *err)
{
    return create(out, ort, NULL, 0, path, threads, name, err);
}

void mt_ort_session_free(mt_ort_session **session)
{
    mt_ort_session *s = *session;
    if (!s) return;
    if (s->session) FN(s->ort, RELEASE_SESSION, void, void *)(s->session);
    for (int i = 0; i < s->n_in; i++) free(s->in[i]);
    for (int i = 0; i < s->n_out; i++) free(s->out[i]);
    free(s);
    *session = NULL;
}

int mt_ort_session_n_inputs(const mt_ort_session *session) { return session->n_in; }
int mt_ort_session_n_outputs(const mt_ort_session *session) { return session->n_out; }

/* ---- running it ---- */

mt_status mt_ort_call_new(mt_ort_call **out, const mt_ort_session *session, mt_err *err)
{
    *out = NULL;
    MT_TRY(mt_alloc(out, 1, sizeof **out, sizeof **out, "network state", err));
    (*out)->s = session;
    return MT_OK;
}

static void release_values(const mt_ort *o, void **values, int n)
{
    for (int i = 0; i < n; i++) {
        if (values[i]) FN(o, RELEASE_VALUE, void, void *)(values[i]);
        values[i] = NULL;
    }
}

void mt_ort_call_free(mt_ort_call **call)
{
    if (!*call) return;
    release_values((*call)->s->ort, (*call)->out, (*call)->s->n_out);
    free(*call);
    *call = NULL;
}

static mt_status wrap_input(void **value, const mt_ort_session *s, const mt_tensor *t, mt_err *err)
{
    const mt_ort *o = s->ort;
    return check(o,
                 CALL(o, CREATE_TENSOR_WITH_DATA, const void *, void *, size_t, const int64_t *,
                      size_t, int, void **)(o->memory, t->data, mt_tensor_bytes(t), t->dims,
                                            (size_t)t->rank, (int)t->dtype, value),
                 MT_ERR_ARG, "refuses an input", s->name, err);
}

/* Type, shape and data of an output; element types have the numbers of ONNX. */
static mt_status read_output(mt_tensor *t, const mt_ort_session *s, void *value, mt_err *err)
{
    static const char what[] = "does not describe an output";
    const mt_ort *o = s->ort;
    void *shape = NULL;
    int is_tensor = 0, type = 0;
    size_t rank = 0;
    MT_TRY(check(o, CALL(o, IS_TENSOR, const void *, int *)(value, &is_tensor), MT_ERR_ARG, what,
                 s->name, err));
    if (!is_tensor)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "%s: an output is no tensor", s->name);
    MT_TRY(check(o, CALL(o, TYPE_AND_SHAPE, const void *, void **)(value, &shape), MT_ERR_ARG, what,
                 s->name, err));
    mt_status st = check(o, CALL(o, ELEMENT_TYPE, const void *, int *)(shape, &type), MT_ERR_ARG,
                         what, s->name, err);
    if (st == MT_OK)
        st = check(o, CALL(o, DIMENSIONS_COUNT, const void *, size_t *)(shape, &rank), MT_ERR_ARG,
                   what, s->name, err);
    if (st == MT_OK && (rank > MT_MAX_DIMS || !mt_dtype_size((mt_dtype)type)))
        st = mt_err_set(err, MT_ERR_UNSUPPORTED, "%s: an output of element type %d and %zu dimensions",
                        s->name, type, rank);
    if (st == MT_OK)
        st = check(o, CALL(o, DIMENSIONS, const void *, int64_t *, size_t)(shape, t->dims, rank),
                   MT_ERR_ARG, what, s->name, err);
    FN(o, RELEASE_SHAPE, void, void *)(shape);
    MT_TRY(st);
    t->dtype = (mt_dtype)type;
    t->rank = (int)rank;
    return check(o, CALL(o, TENSOR_DATA, void *, void **)(value, &t->data), MT_ERR_ARG, what,
                 s->name, err);
}

mt_status mt_ort_run(mt_ort_call *call, const mt_tensor *inputs, mt_tensor *outputs, mt_err *err)
{
    const mt_ort_session *s = call->s;
    const mt_ort *o = s->ort;
    void *in[MAX_IO] = {0};
    mt_status st = MT_OK;
    release_values(o, call->out, s->n_out);
    for (int i = 0; st == MT_OK && i < s->n_in; i++) st = wrap_input(&in[i], s, &inputs[i], err);
    if (st == MT_OK)
        st = check(o,
                   CALL(o, RUN, void *, const void *, char *const *, void *const *, size_t,
                        char *const *, size_t, void **)(s->session, NULL, s->in, in,
                                                        (size_t)s->n_in, s->out, (size_t)s->n_out,
                                                        call->out),
                   MT_ERR_ARG, "does not run it", s->name, err);
    release_values(o, in, s->n_in);
    for (int i = 0; st == MT_OK && i < s->n_out; i++)
        st = read_output(&outputs[i], s, call->out[i], err);
    return st;
}
