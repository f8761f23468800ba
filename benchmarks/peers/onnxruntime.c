#include "onnxruntime.h"

#include <dlfcn.h>
#include <string.h>
#include "base/mem.h"

/* The public C API: OrtGetApiBase()->GetApi(version) gives a table of functions whose order is part of
 * the interface and only grows at its end (onnxruntime_c_api.h; the first 102 entries are those of
 * version 1). Indices into it; one left out here is one not called. */
enum {
    GET_ERROR_MESSAGE = 2,
    CREATE_ENV = 3,
    CREATE_SESSION = 7,
    RUN = 9,
    CREATE_SESSION_OPTIONS = 10,
    SET_OPTIMIZATION = 23,
    SET_INTRA_THREADS = 24,
    SET_INTER_THREADS = 25,
    INPUT_NAME = 36,
    OUTPUT_NAME = 37,
    CREATE_TENSOR_WITH_DATA = 49,
    GET_TENSOR_DATA = 51,
    CREATE_CPU_MEMORY_INFO = 69,
    ALLOCATOR_FREE = 76,
    DEFAULT_ALLOCATOR = 78,
    RELEASE_ENV = 92,
    RELEASE_STATUS = 93,
    RELEASE_MEMORY_INFO = 94,
    RELEASE_SESSION = 95,
    RELEASE_VALUE = 96,
    RELEASE_SESSION_OPTIONS = 100,
    API_VERSION = 1,
    LOG_ERROR = 3,
    OPTIMISE_ALL = 99,
    MAX_INPUTS = 8
};

typedef void any_fn(void);
typedef struct api_base {
    any_fn *const *(*get_api)(uint32_t version);
    const char *(*version)(void);
} api_base;

struct peer_ort {
    void *library;
    any_fn *const *api;
    const char *version;
    void *env, *options, *session, *memory, *allocator;
    char *in_name[MAX_INPUTS], *out_name;
    void *in[MAX_INPUTS], *out;
    int n_in;
};

/* Every function gives a status: NULL, or an object to be read and released. */
static mt_status failed(peer_ort *o, void *status, const char *what, mt_err *err)
{
    if (!status) return MT_OK;
    const char *text = ((const char *(*)(const void *))o->api[GET_ERROR_MESSAGE])(status);
    mt_err_set(err, MT_ERR_UNSUPPORTED, "ONNX Runtime, %s: %.200s", what, text);
    ((void (*)(void *))o->api[RELEASE_STATUS])(status);
    return MT_ERR_UNSUPPORTED;
}

static mt_status load(peer_ort *o, const char *library, mt_err *err)
{
    o->library = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!o->library)
        return mt_err_set(err, MT_ERR_NOT_FOUND, "ONNX Runtime: %.200s", dlerror());
    const api_base *(*get_base)(void);
    *(void **)&get_base = dlsym(o->library, "OrtGetApiBase");
    if (!get_base)
        return mt_err_set(err, MT_ERR_NOT_FOUND, "%s is no ONNX Runtime library", library);
    o->version = get_base()->version();
    o->api = get_base()->get_api(API_VERSION);
    if (!o->api)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "ONNX Runtime %s: no API version %d", o->version,
                          API_VERSION);
    return MT_OK;
}

typedef void *name_fn(void *, size_t, void *, char **);

static mt_status open_session(peer_ort *o, const char *model, mt_err *err)
{
    void *(*create_env)(int, const char *, void **) = (void *(*)(int, const char *, void **))o->api[CREATE_ENV];
    void *(*create_options)(void **) = (void *(*)(void **))o->api[CREATE_SESSION_OPTIONS];
    void *(*create)(void *, const char *, void *, void **) =
        (void *(*)(void *, const char *, void *, void **))o->api[CREATE_SESSION];
    MT_TRY(failed(o, create_env(LOG_ERROR, "bench", &o->env), "environment", err));
    MT_TRY(failed(o, create_options(&o->options), "options", err));
    static const struct {
        int index, value;
    } set[] = {{SET_OPTIMIZATION, OPTIMISE_ALL}, {SET_INTRA_THREADS, 1}, {SET_INTER_THREADS, 1}};
    for (size_t i = 0; i < MT_COUNT(set); i++) {
        void *(*fn)(void *, int) = (void *(*)(void *, int))o->api[set[i].index];
        MT_TRY(failed(o, fn(o->options, set[i].value), "options", err));
    }
    return failed(o, create(o->env, model, o->options, &o->session), "session", err);
}

static mt_status bind_inputs(peer_ort *o, const mt_tensor *in, int n_in, mt_err *err)
{
    void *(*memory)(int, int, void **) = (void *(*)(int, int, void **))o->api[CREATE_CPU_MEMORY_INFO];
    void *(*allocator)(void **) = (void *(*)(void **))o->api[DEFAULT_ALLOCATOR];
    void *(*tensor)(void *, void *, size_t, const int64_t *, size_t, int, void **) =
        (void *(*)(void *, void *, size_t, const int64_t *, size_t, int, void **))o->api[CREATE_TENSOR_WITH_DATA];
    name_fn *in_name = (name_fn *)o->api[INPUT_NAME],
                   *out_name = (name_fn *)o->api[OUTPUT_NAME];
    MT_TRY(failed(o, memory(1, 0, &o->memory), "memory", err));
    MT_TRY(failed(o, allocator(&o->allocator), "allocator", err));
    if (n_in > MAX_INPUTS)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "%d inputs, at most %d", n_in, MAX_INPUTS);
    for (; o->n_in < n_in; o->n_in++) {
        const mt_tensor *t = &in[o->n_in];
        size_t bytes = t->dtype == MT_DT_F32 || t->dtype == MT_DT_I32 ? 4 : t->dtype == MT_DT_I64 ? 8 : 1;
        for (int d = 0; d < t->rank; d++)
            bytes *= (size_t)t->dims[d];
        MT_TRY(failed(o, in_name(o->session, (size_t)o->n_in, o->allocator, &o->in_name[o->n_in]),
                      "input", err));
        MT_TRY(failed(o, tensor(o->memory, t->data, bytes, t->dims, (size_t)t->rank, (int)t->dtype,
                                &o->in[o->n_in]),
                      "input", err));
    }
    return failed(o, out_name(o->session, 0, o->allocator, &o->out_name), "output", err);
}

mt_status peer_ort_open(peer_ort **out, const char *library, const char *model, const mt_tensor *in,
                        int n_in, mt_err *err)
{
    *out = NULL;
    MT_AUTO(peer_ort_close) peer_ort *o = NULL;
    MT_TRY(mt_alloc(&o, 1, sizeof *o, sizeof *o, "peer", err));
    MT_TRY(load(o, library, err));
    MT_TRY(open_session(o, model, err));
    MT_TRY(bind_inputs(o, in, n_in, err));
    *out = mt_steal(o);
    return MT_OK;
}

static void release(peer_ort *o, int index, void *p)
{
    if (p) ((void (*)(void *))o->api[index])(p);
}

void peer_ort_close(peer_ort **ort)
{
    peer_ort *o = *ort;
    if (!o) return;
    release(o, RELEASE_VALUE, o->out);
    for (int i = 0; i < o->n_in; i++) {
        release(o, RELEASE_VALUE, o->in[i]);
        ((void *(*)(void *, void *))o->api[ALLOCATOR_FREE])(o->allocator, o->in_name[i]);
    }
    if (o->out_name) ((void *(*)(void *, void *))o->api[ALLOCATOR_FREE])(o->allocator, o->out_name);
    release(o, RELEASE_MEMORY_INFO, o->memory);
    release(o, RELEASE_SESSION, o->session);
    release(o, RELEASE_SESSION_OPTIONS, o->options);
    release(o, RELEASE_ENV, o->env);
    free(o); /* the library stays: what it registered at load has no way back */
    *ort = NULL;
}

mt_status peer_ort_run(peer_ort *o, const float **first, mt_err *err)
{
    typedef void *run_fn(void *, const void *, const char *const *, void *const *, size_t,
                         const char *const *, size_t, void **);
    release(o, RELEASE_VALUE, o->out);
    o->out = NULL;
    MT_TRY(failed(o, ((run_fn *)o->api[RUN])(o->session, NULL, (const char *const *)o->in_name, o->in,
                                             (size_t)o->n_in, (const char *const *)&o->out_name, 1,
                                             &o->out),
                  "run", err));
    void *data = NULL;
    void *(*get)(void *, void **) = (void *(*)(void *, void **))o->api[GET_TENSOR_DATA];
    MT_TRY(failed(o, get(o->out, &data), "output", err));
    if (first) *first = data;
    return MT_OK;
}

const char *peer_ort_version(const peer_ort *ort)
{
    return ort->version;
}
