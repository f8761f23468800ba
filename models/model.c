/* Opening a model: bytes, card, digest and network agree, or it does not open. */
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "microtome/system.h"
#include "models/card.h"
#include "models/graph.h"
#include "models/model.h"
#include "models/runner.h"
#include "trust/digest.h"

#define ONNX_CEILING ((size_t)2 << 30)

/* An ONNX file: its bytes, and the folder its external data lie in (NULL: it may have none). */
typedef struct onnx_file {
    const void *data;
    size_t n;
    const char *folder;
    const char *path;   /* of the file; NULL for a built-in model */
} onnx_file;

static mt_status check_digest(const mt_model *m, mt_err *err)
{
    if (!*m->card.sha256 || !strcmp(m->card.sha256, m->digest)) return MT_OK;
    return mt_err_set(err, MT_ERR_CARD, "model %s: the weights have SHA-256 %s, the card says %s",
                      m->card.name, m->digest, m->card.sha256);
}

/* A map: as many channels as classes, laid out as the input is. */
static bool is_map(const mt_card *c, const mt_tensor *o)
{
    int channels = c->nhwc ? 3 : 1, y = c->nhwc ? 1 : 2;
    return o->dtype == MT_DT_F32 && o->rank == 4 && o->dims[0] == 1 &&
           o->dims[channels] == c->n_classes && o->dims[y] >= 1 && o->dims[y] <= 8192 &&
           o->dims[y + 1] >= 1 && o->dims[y + 1] <= 8192;
}

static mt_status check_output(const mt_model *m, mt_err *err)
{
    char text[128];
    const mt_tensor *in, *o;
    MT_TRY(mt_runner_shapes(&in, &o, m, err));
    if (!strcmp(m->card.task, "tissue")) {
        if (is_map(&m->card, o)) return MT_OK;
        return mt_err_set(err, MT_ERR_CARD,
                          "model %s: a tissue model of %d classes gives no map, its output is %s %s",
                          m->card.name, m->card.n_classes, mt_dtype_name((int)o->dtype),
                          mt_dims_text(text, sizeof text, o));
    }
    bool fits = o->dtype == MT_DT_F32 &&
                (o->rank == 2 || (o->rank == 4 && o->dims[2] == 1 && o->dims[3] == 1)) &&
                o->dims[0] == 1;
    if (fits && o->dims[1] == m->card.n_classes) return MT_OK;
    return mt_err_set(err, MT_ERR_CARD,
                      "model %s: the card names %d classes, the network's output is %s %s",
                      m->card.name, m->card.n_classes, mt_dtype_name((int)o->dtype),
                      mt_dims_text(text, sizeof text, o));
}

/* Weights in files of their own are found beside the model's file, so that is what the other engine
 * opens; what it read must be what was digested. */
static mt_status open_elsewhere(mt_model *m, const onnx_file *f, mt_err *err)
{
    char alone[65], again[65];
    MT_TRY(mt_sha256_of(alone, f->data, f->n, err));
    if (!f->path || !strcmp(alone, m->digest))
        return mt_ort_session_new(&m->session, m->ort, f->data, f->n, 1, m->card.name, err);
    MT_AUTO_FREE uint8_t *now = NULL;
    size_t n;
    MT_TRY(mt_ort_session_open(&m->session, m->ort, f->path, 1, m->card.name, err));
    MT_TRY(mt_file_read(&now, &n, f->path, ONNX_CEILING, err));
    MT_TRY(mt_onnx_digest(again, now, n, f->folder, err));
    if (!strcmp(again, m->digest)) return MT_OK;
    return mt_err_set(err, MT_ERR_TEMPORARY, "model %s: its files changed while they were read",
                      m->card.name);
}

/* The other engine does not tell the shape of its outputs: a black picture does. */
static mt_status build_elsewhere(mt_model *m, const char *library, const mt_tensor *in,
                                 const onnx_file *f, mt_err *err)
{
    MT_AUTO(mt_ort_call_free) mt_ort_call *call = NULL;
    MT_AUTO_FREE void *black = NULL;
    mt_tensor out[32] = {0};
    MT_TRY(mt_ort_open(&m->ort, library, err));
    m->engine = (mt_engine_info){"onnxruntime", mt_ort_version(m->ort), mt_ort_digest(m->ort)};
    MT_TRY(open_elsewhere(m, f, err));
    if (mt_ort_session_n_inputs(m->session) != 1 || mt_ort_session_n_outputs(m->session) < 1)
        return mt_err_set(err, MT_ERR_CARD, "model %s: %d inputs and %d outputs", m->card.name,
                          mt_ort_session_n_inputs(m->session), mt_ort_session_n_outputs(m->session));
    MT_TRY(mt_alloc_aligned(&black, mt_tensor_bytes(in), MT_TENSOR_CEILING, "picture", err));
    memset(black, 0, mt_tensor_bytes(in));
    m->ort_in = *in;
    m->ort_in.data = black;
    MT_TRY(mt_ort_call_new(&call, m->session, err));
    mt_status st = mt_ort_run(call, &m->ort_in, out, err);
    m->ort_in.data = NULL;
    m->ort_out = out[0];
    m->ort_out.data = NULL;
    return st;
}

static mt_status build_net(mt_model *m, const mt_model_opts *opts, const onnx_file *f, mt_err *err)
{
    mt_tensor in = {MT_DT_F32, 4, {1, 3, m->card.input_px, m->card.input_px}, NULL};
    if (m->card.nhwc) in.dims[1] = m->card.input_px, in.dims[3] = 3;
    if (opts && opts->onnxruntime) {
        MT_TRY(build_elsewhere(m, opts->onnxruntime, &in, f, err));
        return check_output(m, err);
    }
    m->engine = (mt_engine_info){"microtome", mt_version(), ""};
    mt_status st = mt_net_compile_in(&m->net, f->data, f->n, f->folder, &in, 1, m->card.name, err);
    if (st == MT_ERR_ARG &&
        err) { /* the binding comes from the card: it is the card that does not fit */
        err->code = MT_ERR_CARD;
        return MT_ERR_CARD;
    }
    MT_TRY(st);
    return check_output(m, err);
}

static mt_status assemble(mt_model *m, const mt_model_opts *opts, const onnx_file *f,
                          const char *json, size_t n_json, const char *what, const char *hint,
                          mt_err *err)
{
    mt_card_extra extra;
    MT_TRY(mt_card_parse(&m->card, &extra, json, n_json, what, hint, err));
    MT_TRY(mt_onnx_digest(m->digest, f->data, f->n, f->folder, err));
    MT_TRY(check_digest(m, err));
    if (strcmp(m->card.task, "tile-classification") && strcmp(m->card.task, "tissue")) return MT_OK;
    return build_net(m, opts, f, err);
}

static mt_status list_builtins(const char *name, mt_err *err)
{
    char list[200] = "";
    size_t at = 0;
    for (const mt_builtin_model *b = mt_model_builtin(); b->name && at + 40 < sizeof list; b++)
        at += (size_t)snprintf(list + at, sizeof list - at, "%s%.24s@%.10s", at ? ", " : "",
                               b->name, b->version);
    return mt_err_set(err, MT_ERR_NOT_FOUND,
                      "model \"%.120s\" is neither a file nor built in (built in: %s; or give the "
                      "path of an ONNX file)",
                      name, at ? list : "none");
}

static mt_status open_builtin(mt_model *m, const mt_embedded *b, const mt_model_opts *opts,
                              mt_err *err)
{
    const onnx_file f = {b->onnx, b->n_onnx, NULL, NULL};
    if (!opts || !opts->config)
        return assemble(m, opts, &f, (const char *)b->json, b->n_json, b->name, b->name, err);
    MT_AUTO_FREE uint8_t *json = NULL;
    size_t n;
    MT_TRY(mt_file_read(&json, &n, opts->config, MT_CARD_CEILING, err));
    return assemble(m, opts, &f, (const char *)json, n, mt_path_base(opts->config), b->name, err);
}

/* Folder of a path, "." when it has none. Fresh string. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? mt_strf("%.*s", slash > path ? (int)(slash - path) : 1, path) : mt_strf(".");
}

static mt_status no_memory(mt_err *err)
{
    return mt_err_set(err, MT_ERR_NO_MEMORY, "no memory to open a model");
}

/* config.json beside the ONNX file, or NAME.json beside NAME.onnx. */
static mt_status find_card(char **out, const char *path, const mt_model_opts *opts, mt_err *err)
{
    MT_AUTO_FREE char *dir = folder_of(path);
    if (opts && opts->config) *out = mt_strf("%s", opts->config);
    else *out = dir ? mt_strf("%s/config.json", dir) : NULL;
    if (!*out) return no_memory(err);
    if ((opts && opts->config) || mt_file_exists(*out)) return MT_OK;
    MT_AUTO_FREE char *stem = mt_path_stem(path);
    free(*out);
    *out = stem ? mt_strf("%s/%s.json", dir, stem) : NULL;
    if (!*out) return no_memory(err);
    if (mt_file_exists(*out)) return MT_OK;
    return mt_err_set(err, MT_ERR_CARD,
                      "%.200s has no card: no config.json beside it; name one with --config", path);
}

/* The ONNX file of a folder: what its card names, else model.onnx. */
static mt_status file_in_folder(char **out, const char *dir, const mt_model_opts *opts, mt_err *err)
{
    MT_AUTO_FREE char *own = mt_strf("%s/config.json", dir);
    const char *config = opts && opts->config ? opts->config : own;
    if (!own) return no_memory(err);
    mt_card card;
    mt_card_extra extra = {0};
    if (mt_file_exists(config)) {
        MT_AUTO_FREE uint8_t *json = NULL;
        size_t n;
        MT_TRY(mt_file_read(&json, &n, config, MT_CARD_CEILING, err));
        MT_TRY(mt_card_parse(&card, &extra, (const char *)json, n, mt_path_base(config), "model",
                             err));
    }
    *out = mt_strf("%s/%s", dir, *extra.file ? extra.file : "model.onnx");
    if (!*out) return no_memory(err);
    if (mt_file_exists(*out)) return MT_OK;
    return mt_err_set(err, MT_ERR_NOT_FOUND, "%.200s holds no %.80s", dir, mt_path_base(*out));
}

/* Name of a model whose card gives none: the file's stem, or its folder's name for a model.onnx. */
static char *name_of(const char *path)
{
    char *stem = mt_path_stem(path);
    if (!stem || strcmp(stem, "model")) return stem;
    MT_AUTO_FREE char *dir = folder_of(path);
    const char *base = dir ? mt_path_base(dir) : NULL;
    if (!base || !*base || !strcmp(base, ".")) return stem;
    free(stem);
    return mt_strf("%s", base);
}

static mt_status open_path(mt_model *m, const char *path, const mt_model_opts *opts, mt_err *err)
{
    MT_AUTO_FREE char *inside = NULL;
    MT_AUTO_FREE char *config = NULL;
    MT_AUTO_FREE uint8_t *onnx = NULL;
    MT_AUTO_FREE uint8_t *json = NULL;
    size_t n_onnx, n_json;
    if (mt_dir_exists(path)) {
        MT_TRY(file_in_folder(&inside, path, opts, err));
        path = inside;
    }
    MT_AUTO_FREE char *name = name_of(path);
    if (!name) return no_memory(err);
    MT_TRY(find_card(&config, path, opts, err));
    MT_TRY(mt_file_read(&json, &n_json, config, MT_CARD_CEILING, err));
    MT_TRY(mt_file_read(&onnx, &n_onnx, path, ONNX_CEILING, err));
    MT_AUTO_FREE char *folder = folder_of(path);
    if (!folder) return no_memory(err);
    const onnx_file f = {onnx, n_onnx, folder, path};
    return assemble(m, opts, &f, (const char *)json, n_json, mt_path_base(config), name, err);
}

mt_status mt_model_open(mt_model **out, const char *name_or_path, const mt_model_opts *opts,
                        mt_err *err)
{
    *out = NULL;
    mt_err local = MT_ERR_INIT;
    if (!err) err = &local;
    if (!name_or_path || !*name_or_path) return mt_err_set(err, MT_ERR_ARG, "no model named");
    mt_model *m = calloc(1, sizeof *m);
    if (!m) return no_memory(err);
    const mt_embedded *b = mt_builtin_find(name_or_path);
    mt_status st;
    if (b) st = open_builtin(m, b, opts, err);
    else if (mt_file_exists(name_or_path) || mt_dir_exists(name_or_path))
        st = open_path(m, name_or_path, opts, err);
    else st = list_builtins(name_or_path, err);
    if (st != MT_OK) mt_model_close(&m);
    *out = m;
    return st;
}

void mt_model_close(mt_model **model)
{
    if (!model || !*model) return;
    mt_net_free(&(*model)->net);
    mt_ort_session_free(&(*model)->session);
    mt_ort_close(&(*model)->ort);
    free(*model);
    *model = NULL;
}

const mt_card *mt_model_card(const mt_model *model) { return &model->card; }
const char *mt_model_digest(const mt_model *model) { return model->digest; }
const mt_engine_info *mt_model_engine(const mt_model *model) { return &model->engine; }

mt_status mt_model_net(const mt_net **out, const mt_model *model, mt_err *err)
{
    *out = model->net;
    if (model->net) return MT_OK;
    return mt_err_set(err, MT_ERR_UNSUPPORTED,
                      "model %s: its task is %s; tile-classification and tissue can be run", model->card.name,
                      model->card.task);
}
