/* Conv + Add + activation become one step; so do Add, ScaleShift, Gemm and ConvTranspose +
 * activation. */
#include "models/ops/op.h"

static bool is_activation(const mt_graph *g, const mt_node *n, mt_act_params *a)
{
    if (g->values[n->out[0]]->t.dtype != MT_DT_F32) return false;
    if (n->op->run == mt_run_act) *a = *(const mt_act_params *)n->params;
    else if (n->op->run == mt_run_clip && n->n_in >= 1) {
        for (int i = 1; i < n->n_in; i++)
            if (n->in[i] >= 0 && !g->values[n->in[i]]->constant) return false;
        *a = *(const mt_act_params *)n->params;
    } else return false;
    return true;
}

/* Node n, which stands at `at`, now makes the output of `last`, which dies. */
static void absorb(mt_graph *g, mt_node *n, int at, mt_node *last)
{
    n->out[0] = last->out[0];
    g->values[n->out[0]]->producer = at;
    last->dead = true;
}

static bool known_before(const mt_graph *g, int value, int at)
{
    const mt_value *v = g->values[value];
    return v->constant ? false : v->producer < at;
}

/* Add whose operand is a bare convolution read by nobody else: the later one of two takes it. */
static void fuse_add(mt_graph *g, mt_node *add)
{
    const mt_value *o = g->values[add->out[0]];
    if (strcmp(add->op->name, "Add") || add->n_in != 2 || add->in[0] == add->in[1]) return;
    mt_node *best = NULL;
    int at = -1, other = -1;
    for (int i = 0; i < 2; i++) {
        mt_node *c = mt_graph_producer(g, add->in[i]);
        if (!c || !mt_conv_has_kernel(g, c) || c->act != MT_ACT_NONE || c->residual >= 0) continue;
        if (mt_graph_reader(g, add->in[i]) != add) continue;
        const mt_value *x = g->values[add->in[i]], *r = g->values[add->in[!i]];
        if (!mt_tensor_alike(&x->t, &o->t) || !mt_tensor_alike(&r->t, &o->t) || x->producer <= at)
            continue;
        if (!known_before(g, add->in[!i], x->producer)) continue;
        best = c;
        at = x->producer;
        other = add->in[!i];
    }
    if (!best) return;
    best->residual = other;
    while (best->n_in < 3)
        best->in[best->n_in++] = -1; /* bias left out: the spare slot is behind it */
    best->in[best->n_in++] = other;
    absorb(g, best, at, add);
}

/* The bias slot and the residual slot must exist: nodes are read with one spare input. */
static mt_status widen(mt_graph *g, mt_node *n, mt_err *err)
{
    int *in = mt_graph_mem(g, (size_t)(n->n_in + 3) * sizeof *in, err);
    if (!in) return MT_ERR_NO_MEMORY;
    memcpy(in, n->in, (size_t)n->n_in * sizeof *in);
    for (int i = n->n_in; i < n->n_in + 3; i++) in[i] = -1;
    n->in = in;
    return MT_OK;
}

static bool takes_activation(const mt_node *n)
{
    static const char *const names[] = {"Conv",       "ConvTranspose",      "Add",
                                        "ScaleShift", "BatchNormalization", "Gemm"};
    if (n->act != MT_ACT_NONE) return false;
    for (size_t i = 0; i < MT_COUNT(names); i++)
        if (!strcmp(n->op->name, names[i])) return true;
    return false;
}

static void fuse_activation(mt_graph *g, mt_node *act)
{
    mt_act_params a;
    if (!is_activation(g, act, &a)) return;
    mt_node *n = mt_graph_producer(g, act->in[0]);
    if (!n || !takes_activation(n) || mt_graph_reader(g, act->in[0]) != act) return;
    n->act = a.act;
    n->act_a = a.a;
    n->act_b = a.b;
    absorb(g, n, g->values[act->in[0]]->producer, act);
}

mt_status mt_pass_fuse(mt_graph *g, mt_err *err)
{
    for (int i = 0; i < g->n_nodes; i++)
        if (mt_conv_has_kernel(g, g->nodes[i])) MT_TRY(widen(g, g->nodes[i], err));
    for (int i = 0; i < g->n_nodes; i++) fuse_add(g, g->nodes[i]);
    MT_TRY(mt_graph_compact(g, err));
    for (int i = 0; i < g->n_nodes; i++) fuse_activation(g, g->nodes[i]);
    return MT_OK;
}
