/* GELU, which exporters write as five to eight nodes around an Erf or a Tanh, becomes one
 * activation. It is known by its values: the nodes between a tensor and a later one are evaluated
 * at a few points and compared with the two forms, whatever the order in which they were written. */
#include "models/ops/op.h"

enum { DEPTH = 10, FOUND = 24, STEPS = 5, BUDGET = 4000000 };

/* A graph, and how many nodes may still be evaluated in it: a file decides neither for long. */
typedef struct search {
    mt_graph *g;
    long left;
} search;

/* *y = the value of v at one place when `root` is x there; false when something else has a say. */
static bool value_at(double *y, search *in, int v, int root, double x, int depth)
{
    const mt_graph *g = in->g;
    const mt_value *val = g->values[v];
    if (--in->left < 0) return false;
    if (v == root) {
        *y = x;
        return true;
    }
    if (val->t.dtype != MT_DT_F32) return false;
    if (val->constant) {
        if (mt_tensor_count(&val->t) != 1) return false;
        *y = (double)*(const float *)val->t.data;
        return true;
    }
    const mt_node *n = mt_graph_producer(g, v);
    if (!n || depth >= DEPTH || n->n_in < 1 || n->in[0] < 0 || n->act != MT_ACT_NONE) return false;
    double a, b;
    if (!value_at(&a, in, n->in[0], root, x, depth + 1)) return false;
    if (mt_node_is(n, "Erf")) *y = erf(a);
    else if (mt_node_is(n, "Tanh")) *y = tanh(a);
    else {
        if (n->n_in != 2 || n->in[1] < 0 || !value_at(&b, in, n->in[1], root, x, depth + 1))
            return false;
        if (mt_node_is(n, "Add")) *y = a + b;
        else if (mt_node_is(n, "Sub")) *y = a - b;
        else if (mt_node_is(n, "Mul")) *y = a * b;
        else if (mt_node_is(n, "Div")) *y = a / b;
        else if (mt_node_is(n, "Pow")) *y = pow(a, b);
        else return false;
    }
    return true;
}

static bool behaves_as(search *in, int v, int root, mt_act act)
{
    static const double at[] = {-6, -3, -1.5, -0.7, -0.1, 0.3, 1, 2.2, 5};
    for (size_t i = 0; i < MT_COUNT(at); i++) {
        double x = at[i], y, want;
        if (!value_at(&y, in, v, root, x, 0)) return false;
        if (act == MT_ACT_GELU) want = 0.5 * x * (1 + erf(x * sqrt(0.5)));
        else want = 0.5 * x * (1 + tanh(0.79788456080286536 * (x + 0.044715 * x * x * x)));
        if (!(fabs(y - want) <= 2e-6 * (1 + fabs(x)))) return false;
    }
    return true;
}

/* Values the input of `n` is made of, nearest first. */
static int sources(int *found, const mt_graph *g, const mt_node *n)
{
    int count = 1;
    found[0] = n->in[0];
    for (int i = 0; i < count; i++) {
        const mt_node *p = mt_graph_producer(g, found[i]);
        for (int j = 0; p && j < p->n_in && j < 2 && count < FOUND; j++)
            if (p->in[j] >= 0 && !g->values[p->in[j]]->constant) found[count++] = p->in[j];
    }
    return count;
}

static mt_status becomes(mt_graph *g, mt_node *n, int root, mt_act act, mt_err *err)
{
    mt_act_params *p = mt_graph_mem(g, sizeof *p, err);
    if (!p) return MT_ERR_NO_MEMORY;
    p->act = act;
    n->op = mt_op_internal("GeluAct");
    n->params = p;
    n->in[0] = root;
    n->n_in = 1;
    return MT_OK;
}

static mt_status around(search *in, const mt_node *core, mt_err *err)
{
    mt_graph *g = in->g;
    int root[FOUND], n_roots = sources(root, g, core);
    mt_act act = mt_node_is(core, "Erf") ? MT_ACT_GELU : MT_ACT_GELU_TANH;
    const mt_node *n = core;
    for (int step = 0; step < STEPS; step++) {
        mt_node *next = mt_graph_reader(g, n->out[0]);
        if (!next) return MT_OK;
        for (int i = 0; i < n_roots && mt_node_is(next, "Mul"); i++) {
            if (!mt_tensor_same_dims(&g->values[root[i]]->t, &g->values[next->out[0]]->t) ||
                !behaves_as(in, next->out[0], root[i], act))
                continue;
            return becomes(g, next, root[i], act, err);
        }
        n = next;
    }
    return MT_OK;
}

mt_status mt_pass_gelu(mt_graph *g, mt_err *err)
{
    search in = {g, BUDGET};
    for (int i = 0; i < g->n_nodes; i++) {
        mt_node *n = g->nodes[i];
        if (n->n_in < 1 || n->in[0] < 0 || n->out[0] < 0 ||
            g->values[n->out[0]]->t.dtype != MT_DT_F32)
            continue;
        if (mt_node_is(n, "Erf") || mt_node_is(n, "Tanh")) MT_TRY(around(&in, n, err));
        else if (mt_node_is(n, "Gelu"))
            MT_TRY(becomes(g, n, n->in[0],
                           strcmp(mt_attr_str(n, "approximate", "none"), "tanh")
                               ? MT_ACT_GELU
                               : MT_ACT_GELU_TANH,
                           err));
    }
    return MT_OK;
}
