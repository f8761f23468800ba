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

static void write_operators(mt_jw *w, const mt_graph *g)
{
    mt_jw_arr(w, "operators");
    for (int i = 0; i < g->n_nodes; i++) {
        const mt_node *n = g->nodes[i];
        int count = 0;
        bool first = true;
        for (int j = 0; j < g->n_nodes; j++) {
            if (strcmp(g->nodes[j]->op_type, n->op_type)) continue;
            if (j < i) { first = false; break; }
            count++;
        }
        if (!first) continue;
        mt_jw_obj(w, NULL);
        mt_jw_str(w, "name", n->op_type);
        mt_jw_int(w, "count", count);
        mt_jw_bool(w, "supported", n->op != NULL);
        mt_jw_end_obj(w);
    }
    mt_jw_end_arr(w);
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
        mt_jw_str(w, "what", p->what ? p->what : "");
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
        mt_jw_str(w, "type", mt_dtype_name((int)v->t.dtype));
        mt_jw_str(w, "shape", mt_dims_text(dims, sizeof dims, &v->t));
        mt_jw_end_obj(w);
    }
    mt_jw_end_arr(w);
}

static void write_net(mt_jw *w, const mt_net *net)
{
    char dims[128];
    mt_jw_arr(w, "outputs");
    for (int i = 0; i < mt_net_n_outputs(net); i++) {
        mt_jw_obj(w, NULL);
        mt_jw_str(w, "type", mt_dtype_name((int)mt_net_output(net, i)->dtype));
        mt_jw_str(w, "shape", mt_dims_text(dims, sizeof dims, mt_net_output(net, i)));
        mt_jw_end_obj(w);
    }
    mt_jw_end_arr(w);
    mt_jw_int(w, "macs", (int64_t)mt_net_macs(net));
    mt_jw_int(w, "steps", mt_net_n_steps(net));
    mt_jw_int(w, "state_bytes", (int64_t)mt_net_state_bytes(net));
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

static mt_status check(mt_buf *b, mt_graph *g, const uint8_t *onnx, size_t n, const char *path,
                       mt_err *err)
{
    mt_jw w;
    MT_TRY(mt_onnx_read(g, onnx, n, err));
    MT_AUTO_FREE mt_tensor *in = NULL;
    MT_TRY(mt_alloc(&in, (size_t)g->n_inputs + 1, sizeof *in, SIZE_MAX, "inputs", err));
    choose_shapes(in, g, card_px(path));
    mt_err why = MT_ERR_INIT;
    mt_net *net = NULL;
    mt_status st = mt_graph_bind(g, in, g->n_inputs, &why);
    bool unknown = g->problems > 0;
    if (st == MT_OK && !unknown) {
        st = mt_graph_infer(g, &why); /* fills in the problems of single nodes */
        if (st == MT_OK) st = mt_net_compile(&net, onnx, n, in, g->n_inputs, g->name, &why);
    } else if (st == MT_OK) st = MT_ERR_UNSUPPORTED;
    if (st == MT_ERR_NO_MEMORY) return mt_err_set(err, st, "%s", why.text);
    mt_jw_init(&w, b, 1);
    mt_jw_obj(&w, NULL);
    mt_jw_str(&w, "file", mt_path_base(path));
    mt_jw_bool(&w, "runs", st == MT_OK);
    mt_jw_int(&w, "opset", g->opset);
    mt_jw_int(&w, "nodes", g->n_nodes);
    mt_jw_int(&w, "parameters", (int64_t)g->n_params);
    write_shapes(&w, g);
    if (net) write_net(&w, net);
    write_operators(&w, g);
    write_problems(&w, g);
    if (st != MT_OK && why.code != MT_OK) mt_jw_str(&w, "error", why.text);
    write_supported(&w);
    mt_jw_end_obj(&w);
    mt_net_free(&net);
    return mt_buf_status(b, "check of a model", err);
}

mt_status mt_model_check(char **json, const char *path, mt_err *err)
{
    *json = NULL;
    MT_AUTO_FREE uint8_t *onnx = NULL;
    size_t n;
    const mt_embedded *built = mt_builtin_find(path);
    if (!built) MT_TRY(mt_file_read(&onnx, &n, path, (size_t)2 << 30, err));
    mt_graph g = {.name = mt_path_base(path), .k = mt_kernels_get()};
    mt_buf b = MT_BUF_INIT((size_t)16 << 20);
    mt_status st = built ? check(&b, &g, built->onnx, built->n_onnx, path, err)
                         : check(&b, &g, onnx, n, path, err);
    mt_graph_free(&g);
    if (st == MT_OK) mt_buf_append(&b, "\n", 2); /* with the NUL */
    if (st == MT_OK) st = mt_buf_status(&b, "check of a model", err);
    if (st == MT_OK) *json = (char *)b.data;
    else mt_buf_free(&b);
    return st;
}
