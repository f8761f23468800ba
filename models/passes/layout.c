/* Which values are channel-blocked. A convolution starts an island; whoever works on blocked
 * tensors stays on it; at its shores reorders are put in, once a value. */
#include "models/ops/op.h"

typedef struct shores {
    mt_graph *g;
    int *plain, *blocked;        /* by value: its reordered twin, -1 none yet */
    mt_node **order;             /* the new node list */
    int n, cap, n_values;        /* n_values: twins are kept for values that existed before */
} shores;

static mt_status emit(shores *s, mt_node *n, mt_err *err)
{
    if (s->n == s->cap) {
        int want = s->cap ? 2 * s->cap : 256;
        void *p = realloc(s->order, (size_t)want * sizeof *s->order);
        if (!p) return mt_err_set(err, MT_ERR_NO_MEMORY, "no memory for the graph");
        s->order = p;
        s->cap = want;
    }
    s->order[s->n++] = n;
    return MT_OK;
}

/* Value v in the other layout: its twin, or a new reorder. Constants are reordered here and now. */
static mt_status other_layout(int *out, shores *s, int v, bool blocked, mt_err *err)
{
    mt_graph *g = s->g;
    if (g->values[v]->blocked == blocked) {
        *out = v;
        return MT_OK;
    }
    int *twin = v < s->n_values ? (blocked ? &s->blocked[v] : &s->plain[v]) : NULL;
    if (twin && *twin >= 0) {
        *out = *twin;
        return MT_OK;
    }
    MT_TRY(mt_graph_new_value(out, g, g->values[v]->name, err));
    mt_value *x = g->values[v], *o = g->values[*out];
    MT_TRY(mt_value_set(g, *out, x->t.dtype, x->t.rank, x->t.dims, err));
    o->blocked = blocked;
    o->half = x->half;
    mt_node *n;
    MT_TRY(mt_graph_new_node(&n, g, 1, 1, err));
    g->n_nodes--; /* it goes to the new list, not to the end of the old one */
    n->op = mt_op_internal(blocked ? "ToBlocked" : "FromBlocked");
    n->op_type = n->op->name;
    n->name = x->name;
    n->in[0] = v;
    n->out[0] = *out;
    if (x->constant) {
        MT_TRY(mt_graph_block(&o->t.data, g, mt_value_floats(g, o) * sizeof(float), err));
        const mt_tensor *in = &x->t;
        mt_tensor *dst = &o->t;
        mt_call c = {n, &in, &dst, NULL, g->k, g};
        MT_TRY(n->op->run(&c, err));
        o->constant = true;
    } else {
        MT_TRY(emit(s, n, err));
    }
    if (twin) *twin = *out;
    return MT_OK;
}

static mt_status set_input(shores *s, mt_node *n, int i, bool blocked, mt_err *err)
{
    if (n->in[i] < 0) return MT_OK;
    MT_TRY(other_layout(&n->in[i], s, n->in[i], blocked, err));
    if (i == n->n_in - 1 && n->residual >= 0) n->residual = n->in[i];
    return MT_OK;
}

/* A value per channel against a full tensor. */
static bool is_gate(const mt_tensor *gate, const mt_tensor *full)
{
    return gate->rank == 4 && full->rank == 4 && gate->dims[1] == full->dims[1] &&
           gate->dims[2] == 1 && gate->dims[3] == 1 &&
           (gate->dims[0] == full->dims[0] || gate->dims[0] == 1);
}

static bool pair_stays(const mt_graph *g, const mt_node *n)
{
    const mt_value *a = g->values[n->in[0]], *b = g->values[n->in[1]], *o = g->values[n->out[0]];
    bool add = !strcmp(n->op->name, "Add"), mul = !strcmp(n->op->name, "Mul"),
         sub = !strcmp(n->op->name, "Sub");
    if (!(add || mul || sub) || o->t.dtype != MT_DT_F32 || (!a->blocked && !b->blocked))
        return false;
    if (mt_tensor_same_dims(&a->t, &b->t)) return true;
    if (sub) return false;
    if (is_gate(&b->t, &a->t) && mt_tensor_same_dims(&a->t, &o->t))
        return add ? o->t.dims[0] == 1 || b->t.dims[0] >= 1 : true;
    return is_gate(&a->t, &b->t) && mt_tensor_same_dims(&b->t, &o->t);
}

static bool concat_stays(const mt_graph *g, const mt_node *n)
{
    const mt_value *o = g->values[n->out[0]];
    if (((const mt_concat_params *)n->params)->axis != 1 || o->t.dtype != MT_DT_F32) return false;
    int blocked = 0;
    for (int i = 0; i < n->n_in; i++) {
        const mt_value *v = g->values[n->in[i]];
        blocked += v->blocked;
        /* the last part may be ragged: its padding is the whole's padding */
        if (v->t.dims[1] % g->k->block && i != n->n_in - 1) return false;
        if (!mt_tensor_count(&v->t)) return false;
    }
    return 2 * blocked >= n->n_in;
}

/* Whether node n, not a convolution, runs on blocked tensors given how its inputs lie. */
static bool stays(const mt_graph *g, const mt_node *n)
{
    if (n->n_in < 1 || n->in[0] < 0) return false;
    mt_status (*run)(const mt_call *, mt_err *) = n->op->run;
    const mt_value *x = g->values[n->in[0]];
    if (run == mt_run_binary) return n->n_in == 2 && pair_stays(g, n);
    if (run == mt_run_concat) return concat_stays(g, n);
    if (!x->blocked) return false;
    if (run == mt_run_act || run == mt_run_scale_shift || run == mt_run_globalpool) return true;
    if (run == mt_run_clip) {
        for (int i = 1; i < n->n_in; i++)
            if (n->in[i] >= 0 && !g->values[n->in[i]]->constant) return false;
        return true;
    }
    return run == mt_run_pool && mt_pool_has_kernel(g, n);
}

static mt_status lay_conv(shores *s, mt_node *n, mt_err *err)
{
    mt_graph *g = s->g;
    const mt_value *x = g->values[n->in[0]];
    const mt_window *w = n->params;
    bool plain = !x->blocked && w->groups == 1 && x->t.dims[1] < g->k->block;
    if (!plain) MT_TRY(set_input(s, n, 0, true, err));
    if (n->residual >= 0) MT_TRY(set_input(s, n, n->n_in - 1, true, err));
    g->values[n->out[0]]->blocked = true;
    return emit(s, n, err);
}

static mt_status lay_node(shores *s, mt_node *n, mt_err *err)
{
    mt_graph *g = s->g;
    if (mt_conv_has_kernel(g, n)) return lay_conv(s, n, err);
    if (mt_convt_has_kernel(g, n)) {
        MT_TRY(set_input(s, n, 0, true, err));
        g->values[n->out[0]]->blocked = true;
        return emit(s, n, err);
    }
    bool blocked = stays(g, n);
    int data = n->op->run == mt_run_clip ? 1 : n->n_in; /* Clip's bounds are no tensors */
    for (int i = 0; i < data; i++) MT_TRY(set_input(s, n, i, blocked, err));
    if (blocked) g->values[n->out[0]]->blocked = true;
    return emit(s, n, err);
}

static mt_status lay_all(shores *s, mt_err *err)
{
    mt_graph *g = s->g;
    int n = g->n_nodes;
    for (int i = 0; i < n; i++) MT_TRY(lay_node(s, g->nodes[i], err));
    for (int i = 0; i < g->n_outputs; i++) {
        MT_TRY(other_layout(&g->outputs[i], s, g->outputs[i], false, err));
        g->values[g->outputs[i]]->is_output = true;
    }
    free(g->nodes);
    g->nodes = s->order;
    g->n_nodes = s->n;
    g->cap_nodes = s->cap;
    s->order = NULL;
    return MT_OK;
}

mt_status mt_pass_layout(mt_graph *g, mt_err *err)
{
    MT_AUTO_FREE int *plain = NULL;
    MT_AUTO_FREE int *blocked = NULL;
    shores s = {.g = g, .n_values = g->n_values};
    MT_TRY(mt_alloc(&plain, (size_t)g->n_values + 1, sizeof *plain, SIZE_MAX, "graph", err));
    MT_TRY(mt_alloc(&blocked, (size_t)g->n_values + 1, sizeof *blocked, SIZE_MAX, "graph", err));
    for (int i = 0; i < g->n_values; i++) plain[i] = blocked[i] = -1;
    s.plain = plain;
    s.blocked = blocked;
    mt_status st = lay_all(&s, err);
    free(s.order);
    return st;
}
