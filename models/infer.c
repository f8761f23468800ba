/* Shapes and constants: binds the input sizes, walks the nodes once in order, sets every shape and
 * runs at once what depends on nothing but shapes and constants. */
#include "models/graph.h"

#include <stdio.h>
#include <string.h>

static mt_status bind_shape(mt_value *v, const mt_tensor *t, mt_graph *g, mt_err *err)
{
    char want[128], got[128];
    if (mt_dtype_inside(t->dtype) != v->t.dtype)
        return mt_err_set(err, MT_ERR_ARG, "%s: input \"%.60s\" is %s, bound to %s", g->name,
                          v->name, mt_dtype_name((int)v->t.dtype), mt_dtype_name((int)t->dtype));
    bool fits = v->t.rank < 0 || v->t.rank == t->rank;
    for (int d = 0; fits && v->t.rank >= 0 && d < t->rank; d++)
        fits = v->t.dims[d] < 0 || v->t.dims[d] == t->dims[d];
    if (!fits)
        return mt_err_set(err, MT_ERR_ARG, "%s: input \"%.60s\" is declared %s, bound to %s",
                          g->name, v->name, mt_dims_text(want, sizeof want, &v->t),
                          mt_dims_text(got, sizeof got, t));
    return MT_OK;
}

/* Contents given at compile time make the input a constant. */
static mt_status bind_data(mt_value *v, const mt_tensor *t, mt_graph *g, mt_err *err)
{
    MT_TRY(mt_graph_block(&v->t.data, g, mt_tensor_bytes(&v->t), err));
    int64_t n = mt_tensor_count(&v->t);
    if (t->dtype != v->t.dtype) mt_widen(v->t.data, t->data, t->dtype, n);
    else if (n) memcpy(v->t.data, t->data, mt_tensor_bytes(&v->t));
    v->constant = true;
    return MT_OK;
}

mt_status mt_graph_bind(mt_graph *g, const mt_tensor *inputs, int n_inputs, mt_err *err)
{
    if (inputs && n_inputs != g->n_inputs)
        return mt_err_set(err, MT_ERR_ARG, "%s: %d inputs bound, the graph has %d", g->name,
                          n_inputs, g->n_inputs);
    for (int i = 0; i < g->n_inputs; i++) {
        mt_value *v = g->values[g->inputs[i]];
        mt_tensor t = v->t;
        if (inputs) {
            t = inputs[i];
            MT_TRY(bind_shape(v, &t, g, err));
        } else if (t.rank < 0) {
            return mt_err_set(err, MT_ERR_ARG, "%s: input \"%.60s\" declares no shape; bind one",
                              g->name, v->name);
        }
        for (int d = 0; d < t.rank; d++)
            if (t.dims[d] < 0) t.dims[d] = 1;
        MT_TRY(mt_value_set(g, g->inputs[i], v->t.dtype, t.rank, t.dims, err));
        if (inputs && inputs[i].data) MT_TRY(bind_data(v, &inputs[i], g, err));
    }
    const mt_tensor *first = g->n_inputs ? &g->values[g->inputs[0]]->t : NULL;
    g->batch = first && first->rank == 4 && first->dims[0] > 0 ? first->dims[0] : 1;
    return MT_OK;
}

/* Shape and Size read no contents, CastLike and EyeLike only those of one input or none. */
static bool foldable(mt_graph *g, const mt_node *n)
{
    const char *op = n->op->name;
    if (n->op->flags & MT_OP_NOFOLD) return false;
    if (!strcmp(op, "Shape") || !strcmp(op, "Size") || !strcmp(op, "EyeLike")) return true;
    if (!n->n_in) return false;
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] >= 0 && !g->values[n->in[i]]->constant && !(i == 1 && !strcmp(op, "CastLike")))
            return false;
    return true;
}

static mt_status fold(mt_graph *g, mt_node *n, mt_err *err)
{
    uint64_t work = 64, part;
    bool fits = !__builtin_add_overflow(n->macs, n->work, &part) &&
                !__builtin_add_overflow(work, part, &work);
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i] >= 0)
            fits = fits &&
                   !__builtin_add_overflow(work, mt_tensor_bytes(&g->values[n->out[i]]->t), &work);
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] >= 0)
            fits = fits &&
                   !__builtin_add_overflow(work, mt_tensor_bytes(&g->values[n->in[i]]->t), &work);
    if (!n->op->run) work = 64; /* a view moves nothing */
    if (!fits || work > g->fold_left)
        return mt_node_fail(n, err, MT_ERR_LIMIT,
                            "folding constants takes too much work for a file of this size");
    g->fold_left -= work;
    if (!n->op->run) { /* a view of a constant */
        mt_value *x = g->values[n->in[0]], *o = g->values[n->out[0]];
        o->t.data = x->t.data;
        o->constant = true;
        return MT_OK;
    }
    MT_AUTO_FREE void *scratch = NULL;
    MT_AUTO_FREE const mt_tensor **in = NULL;
    MT_AUTO_FREE mt_tensor **out = NULL;
    MT_TRY(mt_alloc(&in, (size_t)n->n_in + 1, sizeof *in, SIZE_MAX, "node", err));
    MT_TRY(mt_alloc(&out, (size_t)n->n_out + 1, sizeof *out, SIZE_MAX, "node", err));
    MT_TRY(mt_alloc_aligned(&scratch, n->scratch, MT_TENSOR_CEILING, "scratch", err));
    for (int i = 0; i < n->n_in; i++) in[i] = n->in[i] >= 0 ? &g->values[n->in[i]]->t : NULL;
    for (int i = 0; i < n->n_out; i++) {
        if (n->out[i] < 0) continue;
        out[i] = &g->values[n->out[i]]->t;
        MT_TRY(mt_graph_block(&out[i]->data, g, mt_tensor_bytes(out[i]), err));
    }
    mt_call c = {n, in, out, scratch, g->k, g};
    MT_TRY(n->op->run(&c, err));
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i] >= 0) g->values[n->out[i]]->constant = true;
    return MT_OK;
}

static mt_status infer_node(mt_graph *g, mt_node *n, mt_err *err)
{
    if (!n->op) return mt_node_fail(n, err, MT_ERR_UNSUPPORTED, "unknown operator");
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] >= 0 && !g->values[n->in[i]]->known)
            return mt_node_fail(n, err, MT_ERR_UNSUPPORTED, "input %d has no known shape", i);
    MT_TRY(n->op->infer(g, n, err));
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i] >= 0 && !g->values[n->out[i]]->known)
            return mt_node_unsupported(g, n, err, "output %d", i);
    if (foldable(g, n)) MT_TRY(fold(g, n, err));
    return MT_OK;
}

/* Names of the table's rows for the message about what is not in it. */
static void supported_list(char *text, size_t cap)
{
    size_t at = 0;
    text[0] = 0;
    const mt_op *row;
    for (int i = 0; (row = mt_op_row(i)); i++) {
        if (row->flags & MT_OP_INTERNAL) continue;
        if (at + strlen(row->name) + 6 >= cap) {
            snprintf(text + at, cap - at, " ...");
            return;
        }
        at += (size_t)snprintf(text + at, cap - at, at ? " %s" : "%s", row->name);
    }
}

static mt_status report_problems(mt_graph *g, mt_err *err)
{
    char list[220], more[40] = "";
    const mt_problem *p = g->problem;
    supported_list(list, sizeof list);
    if (g->problems > 1) snprintf(more, sizeof more, " (and %d more)", g->problems - 1);
    return mt_err_set(err, MT_ERR_UNSUPPORTED,
                      "%.60s: %.40s node \"%.60s\" (opset %d): %.80s%s; supported: %s", g->name,
                      p->op_type, p->node, p->version, p->what ? p->what : "", more, list);
}

/* Whether n can be looked at: its operator is known and so are its inputs. */
static bool can_infer(const mt_graph *g, const mt_node *n)
{
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] >= 0 && !g->values[n->in[i]]->known) return false;
    return n->op != NULL;
}

/* Every node that can be inferred; what fails is kept as a problem. */
static mt_status infer_for_check(mt_graph *g, mt_err *err)
{
    for (int i = 0; i < g->n_nodes; i++) {
        mt_node *n = g->nodes[i];
        mt_err why = MT_ERR_INIT;
        int before = g->problems;
        if (!can_infer(g, n) || infer_node(g, n, &why) == MT_OK) continue;
        if (why.code == MT_ERR_NO_MEMORY) return mt_err_set(err, why.code, "%s", why.text);
        const char *text = strstr(why.text, "): ");
        if (g->problems == before)
            MT_TRY(mt_node_problem(g, n, text ? text + 3 : why.text, err));
    }
    return g->problems ? report_problems(g, err) : MT_OK;
}

mt_status mt_graph_infer(mt_graph *g, mt_err *err)
{
    if (g->checking) return infer_for_check(g, err);
    if (g->problems) return report_problems(g, err);
    for (int i = 0; i < g->n_nodes; i++) {
        if (infer_node(g, g->nodes[i], err) == MT_OK) continue;
        if (err && err->code == MT_ERR_UNSUPPORTED && g->problems) {
            mt_err_clear(err);
            return report_problems(g, err);
        }
        return mt_err_context(err, "%.60s", g->name);
    }
    return MT_OK;
}
