/* ReduceMean, Sub, Pow, ReduceMean, Add, Sqrt, Div (and Mul, Add) over the last dimension are a
 * LayerNormalization: one pass over a row instead of nine over the tensor. */
#include "models/ops/op.h"

static mt_node *made_by(const mt_graph *g, int value, const char *name)
{
    mt_node *n = value >= 0 ? mt_graph_producer(g, value) : NULL;
    return n && n->op && !strcmp(n->op->name, name) && n->act == MT_ACT_NONE ? n : NULL;
}

static const float *scalar(const mt_graph *g, int value)
{
    const mt_value *v = value >= 0 ? g->values[value] : NULL;
    return v && v->constant && v->t.dtype == MT_DT_F32 && mt_tensor_count(&v->t) == 1 ? v->t.data
                                                                                      : NULL;
}

/* The mean of which value along its last dimension `n` takes; -1 when it is something else. */
static int row_mean_of(mt_graph *g, mt_node *n)
{
    if (!n || !mt_attr_int(n, "keepdims", 1)) return -1;
    int64_t axes[MT_MAX_DIMS];
    int count, rank = g->values[n->in[0]]->t.rank;
    mt_err quiet = MT_ERR_INIT;
    if (mt_node_ints(axes, &count, MT_MAX_DIMS, g, n, n->opset >= 18 ? 1 : -1,
                     n->opset >= 18 ? NULL : "axes", &quiet) != MT_OK)
        return -1;
    return count == 1 && rank > 0 && (axes[0] == -1 || axes[0] == rank - 1) ? n->in[0] : -1;
}

/* v = x - mean(x): x, or -1. */
static int centred(mt_graph *g, int v)
{
    mt_node *sub = made_by(g, v, "Sub");
    if (!sub || row_mean_of(g, made_by(g, sub->in[1], "ReduceMean")) != sub->in[0]) return -1;
    return sub->in[0];
}

/* The x of mean((x - mean(x))^2) + eps, or -1. */
static int variance_of(mt_graph *g, int v, float *eps)
{
    mt_node *add = made_by(g, v, "Add");
    if (!add) return -1;
    int side = scalar(g, add->in[0]) ? 1 : 0;
    const float *e = scalar(g, add->in[!side]);
    mt_node *mean = e ? made_by(g, add->in[side], "ReduceMean") : NULL;
    int square = row_mean_of(g, mean);
    if (square < 0) return -1;
    *eps = *e;
    mt_node *pow = made_by(g, square, "Pow"), *mul = made_by(g, square, "Mul");
    if (pow) {
        const float *two = scalar(g, pow->in[1]);
        const mt_value *p = g->values[pow->in[1]]; /* exporters write an integer now and then */
        if (!(two ? *two == 2.0f
                  : p->constant && mt_tensor_count(&p->t) == 1 && p->t.dtype == MT_DT_I64 &&
                        *(const int64_t *)p->t.data == 2))
            return -1;
        return centred(g, pow->in[0]);
    }
    if (!mul || centred(g, mul->in[0]) != centred(g, mul->in[1])) return -1;
    return centred(g, mul->in[0]);
}

/* The one reader of value v when it is `name` with a constant as long as a row: *other names it. */
static mt_node *with_row(const mt_graph *g, int v, const char *name, int64_t len, int *other)
{
    mt_node *n = mt_graph_reader(g, v);
    if (!n || !n->op || strcmp(n->op->name, name) || n->n_in != 2 || n->act != MT_ACT_NONE)
        return NULL;
    *other = n->in[n->in[0] == v];
    const mt_value *c = g->values[*other];
    bool fits = *other != v && c->constant && c->t.dtype == MT_DT_F32 && c->t.rank >= 1 &&
                mt_tensor_count(&c->t) == len && c->t.dims[c->t.rank - 1] == len &&
                c->t.rank <= g->values[v]->t.rank;
    return fits ? n : NULL;
}

static mt_status becomes_norm(mt_graph *g, mt_node *div, int x, float eps, mt_err *err)
{
    const mt_tensor *t = &g->values[x]->t;
    int64_t len = t->dims[t->rank - 1];
    int gamma = -1, beta = -1;
    mt_node *last = div, *n;
    if (len > 1 && (n = with_row(g, last->out[0], "Mul", len, &gamma))) {
        last = n;
        if ((n = with_row(g, last->out[0], "Add", len, &beta))) last = n;
    }
    if (last == div) gamma = -1;
    int *in = mt_graph_mem(g, 4 * sizeof *in, err);
    float *p = mt_graph_mem(g, sizeof *p, err);
    if (!in || !p) return MT_ERR_NO_MEMORY;
    *p = eps;
    in[0] = x;
    in[1] = gamma;
    in[2] = last->op && !strcmp(last->op->name, "Add") ? beta : -1;
    in[3] = -1;
    last->in = in;
    last->n_in = 3;
    last->op = mt_op_internal("RowNorm");
    last->params = p;
    last->variant = "rows";
    return MT_OK;
}

static mt_status from_layernorm(mt_graph *g, mt_node *n, mt_err *err)
{
    const mt_value *x = mt_in(g, n, 0);
    if (*(const int *)n->params != x->t.rank - 1 || n->n_out != 1) return MT_OK;
    float *p = mt_graph_mem(g, sizeof *p, err);
    int *in = mt_graph_mem(g, 4 * sizeof *in, err);
    if (!p || !in) return MT_ERR_NO_MEMORY;
    *p = mt_attr_float(n, "epsilon", 1e-5f);
    for (int i = 0; i < 4; i++) in[i] = i < n->n_in && i < 3 ? n->in[i] : -1;
    n->in = in;
    n->n_in = 3;
    n->params = p;
    n->op = mt_op_internal("RowNorm");
    n->variant = "rows";
    return MT_OK;
}

mt_status mt_pass_rownorm(mt_graph *g, mt_err *err)
{
    for (int i = 0; i < g->n_nodes; i++) {
        mt_node *n = g->nodes[i];
        if (!n->op || n->n_in < 2 || n->in[0] < 0 || g->values[n->in[0]]->t.dtype != MT_DT_F32)
            continue;
        if (!strcmp(n->op->name, "LayerNormalization")) {
            MT_TRY(from_layernorm(g, n, err));
            continue;
        }
        if (strcmp(n->op->name, "Div") || n->in[1] < 0 || n->act != MT_ACT_NONE) continue;
        float eps;
        int x = centred(g, n->in[0]);
        mt_node *root = x >= 0 ? made_by(g, n->in[1], "Sqrt") : NULL;
        if (root && variance_of(g, root->in[0], &eps) == x)
            MT_TRY(becomes_norm(g, n, x, eps, err));
    }
    return MT_OK;
}
