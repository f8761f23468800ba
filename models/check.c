/* What a file asks for and what of it this build can do, without running anything. */
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/json.h"
#include "models/card.h"
#include "models/graph.h"

/* Shapes to check with: what the graph declares; symbolic rows and columns from the card beside it.
 */
static void choose_shapes(mt_tensor *in, const mt_graph *g, int32_t px)
{
    for (int i = 0; i < g->n_inputs; i++) {
        in[i] = g->values[g->inputs[i]]->t;
        in[i].data = NULL;
        if (in[i].rank < 0) in[i].rank = 0;
        for (int d = 0; d < in[i].rank; d++)
            if (in[i].dims[d] < 0) in[i].dims[d] = in[i].rank == 4 && d > 1 ? px : 1;
    }
}

static int32_t card_px(const char *path)
{
    const char *slash = strrchr(path, '/');
    MT_AUTO_FREE char *config =
        slash ? mt_strf("%.*s/config.json", (int)(slash - path), path) : mt_strf("config.json");
    MT_AUTO_FREE uint8_t *json = NULL;
    size_t n;
    mt_card card;
    mt_card_extra extra;
    mt_err ignored = MT_ERR_INIT;
    if (!config || !mt_file_exists(config) ||
        mt_file_read(&json, &n, config, MT_CARD_CEILING, &ignored) != MT_OK)
        return 224;
    if (mt_card_parse(&card, &extra, (const char *)json, n, "card", "model", &ignored) != MT_OK ||
        card.input_px < 1)
        return 224;
    return card.input_px;
}

typedef struct operator_row {
    const char *name, *domain;
    bool supported;              /* all of its nodes are, as far as could be seen */
    int count;
} operator_row;

static int by_operator(const void *a, const void *b)
{
    const operator_row *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : strcmp(x->domain, y->domain);
}

/* Rows of equal operators made one; how many are left. */
static int join_rows(operator_row *row, int n)
{
    int kept = 0;
    if (n) qsort(row, (size_t)n, sizeof *row, by_operator);
    for (int i = 0; i < n; i++) {
        if (kept && !by_operator(&row[kept - 1], &row[i])) {
            row[kept - 1].count += row[i].count;
            row[kept - 1].supported = row[kept - 1].supported && row[i].supported;
        } else {
            row[kept++] = row[i];
        }
    }
    return kept;
}

static mt_status write_operators(mt_jw *w, const mt_graph *g, mt_err *err)
{
    MT_AUTO_FREE operator_row *row = NULL;
    int n = 0;
    MT_TRY(mt_alloc(&row, (size_t)(g->n_nodes + g->problems) + 1, sizeof *row, SIZE_MAX,
                    "operators", err));
    for (int i = 0; i < g->n_nodes; i++)
        row[n++] = (operator_row){g->nodes[i]->op_type, g->nodes[i]->domain, true, 1};
    for (const mt_problem *p = g->problem; p; p = p->next)
        row[n++] = (operator_row){p->op_type, p->domain, false, 0};
    n = join_rows(row, n);
    mt_jw_arr(w, "operators");
    for (int i = 0; i < n; i++) {
        mt_jw_obj(w, NULL);
        mt_jw_str(w, "name", row[i].name);
        mt_jw_str(w, "domain", row[i].domain);
        mt_jw_int(w, "count", row[i].count);
        mt_jw_bool(w, "supported", row[i].supported);
        mt_jw_end_obj(w);
    }
    mt_jw_end_arr(w);
    return MT_OK;
}

static void write_problems(mt_jw *w, const mt_graph *g)
{
    mt_jw_arr(w, "problems");
    for (const mt_problem *p = g->problem; p; p = p->next) {
        mt_jw_obj(w, NULL);
        mt_jw_str(w, "operator", p->op_type);
        mt_jw_str(w, "node", p->node);
        mt_jw_str(w, "domain", p->domain);
        mt_jw_int(w, "opset", p->version);
        mt_jw_str(w, "attribute", p->attribute);
        mt_jw_str(w, "what", p->what ? p->what : "");
        mt_jw_end_obj(w);
    }
    mt_jw_end_arr(w);
}

static void write_files(mt_jw *w, const mt_graph *g)
{
    mt_jw_arr(w, "external_files");
    for (int i = 0; i < g->external.n; i++) {
        mt_jw_obj(w, NULL);
        mt_jw_str(w, "name", g->external.file[i].name);
        mt_jw_int(w, "bytes", (int64_t)g->external.file[i].map.size);
        mt_jw_end_obj(w);
    }
    mt_jw_end_arr(w);
}

static void write_shapes(mt_jw *w, const mt_graph *g)
{
    char dims[128];
    mt_jw_arr(w, "inputs");
    for (int i = 0; i < g->n_inputs; i++) {
        const mt_value *v = g->values[g->inputs[i]];
        mt_jw_obj(w, NULL);
        mt_jw_str(w, "name", v->name);
        mt_jw_str(w, "type",
                  mt_dtype_name((int)(v->half ? MT_DT_F16 : v->wide ? MT_DT_F64 : v->t.dtype)));
        mt_jw_str(w, "shape", mt_dims_text(dims, sizeof dims, &v->t));
        mt_jw_end_obj(w);
    }
    mt_jw_end_arr(w);
}

/* The network holds its weights and one state a worker; while it is made, the file's bytes too. */
static void write_net(mt_jw *w, const mt_net *net)
{
    char dims[128];
    mt_jw_arr(w, "outputs");
    for (int i = 0; i < mt_net_n_outputs(net); i++) {
        mt_jw_obj(w, NULL);
        mt_jw_str(w, "name", mt_net_output_name(net, i));
        mt_jw_str(w, "type", mt_dtype_name((int)mt_net_output(net, i)->dtype));
        mt_jw_str(w, "shape", mt_dims_text(dims, sizeof dims, mt_net_output(net, i)));
        mt_jw_end_obj(w);
    }
    mt_jw_end_arr(w);
    mt_jw_int(w, "macs", (int64_t)mt_net_macs(net));
    mt_jw_int(w, "steps", mt_net_n_steps(net));
    mt_jw_int(w, "weight_bytes", (int64_t)mt_net_weight_bytes(net));
    mt_jw_int(w, "state_bytes", (int64_t)mt_net_state_bytes(net));
    mt_jw_int(w, "peak_bytes", (int64_t)(mt_net_weight_bytes(net) + mt_net_state_bytes(net)));
}

static void write_supported(mt_jw *w)
{
    const mt_op *row;
    const char *last = "";
    mt_jw_arr(w, "supported_operators");
    for (int i = 0; (row = mt_op_row(i)); i++) {
        if ((row->flags & MT_OP_INTERNAL) || !strcmp(last, row->name)) continue;
        mt_jw_str(w, NULL, last = row->name);
    }
    mt_jw_end_arr(w);
}

/* Compiles when every node was inferred; `why` tells what stands against it. */
static mt_status look(mt_net **net, mt_graph *g, const uint8_t *onnx, size_t n, const char *path,
                      mt_err *why)
{
    MT_AUTO_FREE mt_tensor *in = NULL;
    MT_TRY(mt_alloc(&in, (size_t)g->n_inputs + 1, sizeof *in, SIZE_MAX, "inputs", why));
    choose_shapes(in, g, card_px(path));
    g->checking = true;
    MT_TRY(mt_graph_bind(g, in, g->n_inputs, why));
    MT_TRY(mt_graph_infer(g, why));
    return mt_net_compile_in(net, onnx, n, g->folder, in, g->n_inputs, g->name, why);
}

static mt_status check(mt_buf *b, mt_graph *g, const uint8_t *onnx, size_t n, const char *path,
                       mt_err *err)
{
    mt_jw w;
    mt_err why = MT_ERR_INIT;
    mt_net *net = NULL;
    MT_TRY(mt_onnx_read(g, onnx, n, err));
    mt_status st = look(&net, g, onnx, n, path, &why);
    if (st == MT_ERR_NO_MEMORY) return mt_err_set(err, st, "%s", why.text);
    mt_jw_init(&w, b, 1);
    mt_jw_obj(&w, NULL);
    mt_jw_str(&w, "file", mt_path_base(path));
    mt_jw_bool(&w, "runs", st == MT_OK);
    mt_jw_int(&w, "opset", g->opset);
    mt_jw_int(&w, "nodes", g->n_nodes);
    mt_jw_int(&w, "parameters", (int64_t)g->n_params);
    write_files(&w, g);
    write_shapes(&w, g);
    if (net) write_net(&w, net);
    mt_net_free(&net);
    MT_TRY(write_operators(&w, g, err));
    write_problems(&w, g);
    if (st != MT_OK && why.code != MT_OK) mt_jw_str(&w, "error", why.text);
    write_supported(&w);
    mt_jw_end_obj(&w);
    return mt_buf_status(b, "check of a model", err);
}

mt_status mt_model_check(char **json, const char *path, mt_err *err)
{
    *json = NULL;
    MT_AUTO_FREE uint8_t *onnx = NULL;
    size_t n;
    const mt_embedded *built = mt_builtin_find(path);
    if (!built) MT_TRY(mt_file_read(&onnx, &n, path, (size_t)2 << 30, err));
    const char *slash = strrchr(path, '/');
    MT_AUTO_FREE char *folder =
        slash ? mt_strf("%.*s", slash > path ? (int)(slash - path) : 1, path) : mt_strf(".");
    if (!folder) return mt_err_set(err, MT_ERR_NO_MEMORY, "no memory for a path");
    mt_graph g = {.name = mt_path_base(path), .k = mt_kernels_get()};
    if (!built) g.folder = folder;
    mt_buf b = MT_BUF_INIT((size_t)64 << 20);
    mt_status st = built ? check(&b, &g, built->onnx, built->n_onnx, path, err)
                         : check(&b, &g, onnx, n, path, err);
    mt_graph_free(&g);
    if (st == MT_OK) mt_buf_append(&b, "\n", 2); /* with the NUL */
    if (st == MT_OK) st = mt_buf_status(&b, "check of a model", err);
    if (st == MT_OK) *json = (char *)b.data;
    else mt_buf_free(&b);
    return st;
}
