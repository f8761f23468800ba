/* Drops what does nothing: Identity, Dropout, reshapes and casts to the same, transposes that move
 * nothing; turns means over the plane into global pools; lets the sweep take the dead. */
#include "models/ops/op.h"

static bool same_value(const mt_value *a, const mt_value *b)
{
    if (a->t.dtype != b->t.dtype || a->t.rank != b->t.rank || a->half != b->half) return false;
    for (int d = 0; d < a->t.rank; d++)
        if (a->t.dims[d] != b->t.dims[d]) return false;
    return true;
}

static bool does_nothing(const mt_graph *g, const mt_node *n)
{
    const char *op = n->op->name;
    if (n->n_in < 1 || n->in[0] < 0 || n->n_out < 1 || n->out[0] < 0) return false;
    const mt_value *x = g->values[n->in[0]], *o = g->values[n->out[0]];
    if (!strcmp(op, "Identity")) return true;
    if (!strcmp(op, "Dropout"))
        return n->n_out < 2 || n->out[1] < 0 || g->values[n->out[1]]->n_uses == 0;
    if (!n->op->run) return same_value(x, o);
    if (!strcmp(op, "Cast")) /* a cast to float16 rounds */
        return same_value(x, o) && mt_attr_int(n, "to", 0) != MT_DT_F16;
    if (!strcmp(op, "Transpose")) {
        const mt_perm_params *p = n->params;
        for (int d = 0; d < x->t.rank; d++)
            if (p->perm[d] != d) return false;
        return true;
    }
    if (!strcmp(op, "Slice") && same_value(x, o)) { /* whole, unless it turns something round */
        const mt_slice_params *p = n->params;
        for (int d = 0; d < x->t.rank; d++)
            if (p->step[d] != 1) return false;
        return true;
    }
    if (n->op->run == mt_run_pad && same_value(x, o)) {
        const mt_pad_params *p = n->params;
        for (int d = 0; d < x->t.rank; d++)
            if (p->lo[d] || p->hi[d]) return false;
        return true;
    }
    return (!strcmp(op, "Concat") || !strcmp(op, "Sum") || !strcmp(op, "Max") ||
            !strcmp(op, "Min")) &&
           n->n_in == 1;
}

/* ReduceMean over rows and columns is a global average pool (and a squeeze when dimensions are
 * dropped). */
static mt_status pool_of_mean(mt_graph *g, int i, mt_err *err)
{
    mt_node *n = g->nodes[i];
    const mt_value *x = g->values[n->in[0]], *o = g->values[n->out[0]];
    if (strcmp(n->op->name, "ReduceMean") || x->t.rank != 4 || x->t.dtype != MT_DT_F32)
        return MT_OK;
    int64_t axes[MT_MAX_DIMS];
    int count, rows = 0, cols = 0;
    MT_TRY(mt_node_ints(axes, &count, MT_MAX_DIMS, g, n, n->opset >= 18 ? 1 : -1,
                        n->opset >= 18 ? NULL : "axes", err));
    for (int k = 0; k < count; k++) {
        rows += axes[k] == 2 || axes[k] == -2;
        cols += axes[k] == 3 || axes[k] == -1;
    }
    if (count != 2 || rows != 1 || cols != 1 || !mt_tensor_count(&x->t)) return MT_OK;
    n->n_in = 1;
    if (o->t.rank == 4) {
        n->op = mt_op_internal("GlobalAveragePool");
        return MT_OK;
    }
    int pooled;
    MT_TRY(mt_graph_new_value(&pooled, g, o->name, err));
    MT_TRY(
        mt_value_set(g, pooled, MT_DT_F32, 4, (int64_t[]){x->t.dims[0], x->t.dims[1], 1, 1}, err));
    mt_node *view;
    MT_TRY(mt_graph_new_node(&view, g, 1, 1, err));
    view->op = mt_op_internal("Flatten");
    view->op_type = "Flatten";
    view->name = n->name;
    view->opset = n->opset;
    view->in[0] = pooled;
    view->out[0] = n->out[0];
    n->op = mt_op_internal("GlobalAveragePool");
    n->out[0] = pooled;
    /* the new node stands at the end: move it behind its source */
    for (int k = g->n_nodes - 1; k > i + 1; k--) g->nodes[k] = g->nodes[k - 1];
    g->nodes[i + 1] = view;
    return MT_OK;
}

mt_status mt_pass_simplify(mt_graph *g, mt_err *err)
{
    MT_TRY(mt_graph_compact(g, err));
    if (g->n_nodes > MT_LIVE_CEILING) return MT_OK; /* the caller refuses it */
    MT_AUTO_FREE int *alias = NULL;
    MT_TRY(mt_alloc(&alias, (size_t)g->n_values + 1, sizeof *alias, SIZE_MAX, "graph", err));
    for (int i = 0; i < g->n_values; i++) alias[i] = i;
    for (int i = 0; i < g->n_nodes; i++) { /* in order: an alias of an alias is resolved at once */
        mt_node *n = g->nodes[i];
        for (int j = 0; j < n->n_in; j++)
            if (n->in[j] >= 0) n->in[j] = alias[n->in[j]];
        if (!does_nothing(g, n)) continue;
        mt_value *x = g->values[n->in[0]], *o = g->values[n->out[0]];
        if (o->is_output && x->half != o->half)
            continue; /* the border's type stays with the value */
        alias[n->out[0]] = n->in[0];
        n->dead = true;
    }
    for (int i = 0; i < g->n_outputs; i++) {
        g->outputs[i] = alias[g->outputs[i]];
        g->values[g->outputs[i]]->is_output = true;
    }
    MT_TRY(mt_graph_compact(g, err));
    for (int i = 0; i < g->n_nodes; i++) MT_TRY(pool_of_mean(g, i, err));
    return MT_OK;
}
