/* MatMul and Gemm with known weights become Dense: weights packed once, with the bias, a scale per
 * column (LayerScale), the residual and the activation that follow done on the tile, and any number
 * of rows, since rows are computed one by one. */
#include "models/ops/op.h"

enum { RELEASE = 1 << 20 }; /* floats of a matrix whose original goes at once */

static bool is_weights(const mt_value *v)
{
    return v && v->constant && v->t.rank == 2 && v->t.dtype == MT_DT_F32 &&
           mt_tensor_count(&v->t) > 0;
}

/* A constant that is one number or one a column. */
static bool is_row(const mt_value *v, int n)
{
    int64_t count = mt_tensor_count(&v->t);
    if (!v->constant || v->t.dtype != MT_DT_F32) return false;
    return count == 1 || (count == n && v->t.rank >= 1 && v->t.dims[v->t.rank - 1] == n);
}

static float at_column(const mt_value *v, int j)
{
    return ((const float *)v->t.data)[mt_tensor_count(&v->t) == 1 ? 0 : j];
}

static mt_status column_floats(float **p, mt_graph *g, int n, float start, mt_err *err)
{
    if (*p) return MT_OK;
    *p = mt_graph_mem(g, (size_t)n * sizeof **p, err);
    if (!*p) return MT_ERR_NO_MEMORY;
    for (int j = 0; j < n; j++) (*p)[j] = start;
    return MT_OK;
}

static mt_status add_bias(mt_graph *g, mt_dense_params *p, const mt_value *c, float factor,
                          mt_err *err)
{
    MT_TRY(column_floats(&p->bias, g, p->d.n, 0.0f, err));
    for (int j = 0; j < p->d.n; j++) p->bias[j] += factor * at_column(c, j);
    return MT_OK;
}

static mt_status multiply(mt_graph *g, mt_dense_params *p, const mt_value *c, mt_err *err)
{
    MT_TRY(column_floats(&p->scale, g, p->d.n, 1.0f, err));
    for (int j = 0; j < p->d.n; j++) {
        p->scale[j] *= at_column(c, j);
        if (p->bias) p->bias[j] *= at_column(c, j);
    }
    return MT_OK;
}

/* Turns node n into a Dense when it is one; *p stays NULL otherwise. */
static mt_status convert(mt_dense_params **out, mt_graph *g, mt_node *n, mt_err *err)
{
    bool gemm = mt_node_is(n, "Gemm");
    *out = NULL;
    if ((!gemm && !mt_node_is(n, "MatMul")) || n->n_in < 2 || n->in[0] < 0 || n->in[1] < 0)
        return MT_OK;
    const mt_value *x = g->values[n->in[0]], *w = g->values[n->in[1]];
    const mt_value *c = n->n_in > 2 && n->in[2] >= 0 ? g->values[n->in[2]] : NULL;
    if (!is_weights(w) || x->constant || x->t.rank < 2 || x->t.dtype != MT_DT_F32) return MT_OK;
    if (!mt_tensor_count(&g->values[n->out[0]]->t)) return MT_OK;
    int trans = gemm && mt_attr_int(n, "transB", 0);
    if (gemm && mt_attr_int(n, "transA", 0)) return MT_OK;
    int64_t cols = w->t.dims[!trans], inner = w->t.dims[trans];
    if (cols > INT32_MAX / 2 || inner > INT32_MAX / 2) return MT_OK;
    if (mt_dense_floats(g->k, (int)cols, (int)inner) > MT_TENSOR_CEILING / sizeof(float))
        return MT_OK; /* a column or two, very long: packed it would pass the ceiling */
    if (c && !is_row(c, (int)cols)) return MT_OK;
    mt_dense_params *p = mt_graph_mem(g, sizeof *p, err);
    int *in = mt_graph_mem(g, 5 * sizeof *in, err);
    if (!p || !in) return MT_ERR_NO_MEMORY;
    p->d = (mt_dense){.n = (int)cols, .n_k = (int)inner, .lda = (size_t)inner,
                      .ldc = (size_t)cols, .ldres = (size_t)cols};
    p->trans = trans;
    float alpha = gemm ? mt_attr_float(n, "alpha", 1.0f) : 1.0f;
    if (alpha != 1.0f) MT_TRY(column_floats(&p->scale, g, (int)cols, alpha, err));
    if (c) MT_TRY(add_bias(g, p, c, mt_attr_float(n, "beta", 1.0f), err));
    in[0] = n->in[0];
    in[1] = n->in[1];
    in[2] = in[3] = in[4] = -1;
    n->in = in;
    n->n_in = 3;
    n->params = p;
    n->op = mt_op_internal("Dense");
    *out = p;
    return MT_OK;
}

/* A view that leaves rows whole: the product may as well have that shape. */
static bool keeps_rows(const mt_graph *g, const mt_node *n, int cols)
{
    const mt_tensor *o = &g->values[n->out[0]]->t;
    return !n->op->run && n->out[0] >= 0 && o->rank >= 1 && o->dims[o->rank - 1] == cols &&
           !g->values[n->out[0]]->half;
}

/* Takes what reads the product into it. *took tells whether there was something. */
static mt_status absorb(bool *took, mt_graph *g, mt_node *n, mt_node *next, mt_err *err)
{
    mt_dense_params *p = n->params;
    int v = n->out[0];
    bool free_act = n->act == MT_ACT_NONE;
    *took = true;
    if (keeps_rows(g, next, p->d.n) && next->in[0] == v) return MT_OK;
    if (mt_node_is(next, "GeluAct") || next->op->run == mt_run_act ||
        next->op->run == mt_run_clip) {
        const mt_act_params *a = next->params;
        bool bounds = true;
        for (int i = 1; i < next->n_in && next->op->run == mt_run_clip; i++)
            bounds = bounds && (next->in[i] < 0 || g->values[next->in[i]]->constant);
        if (free_act && bounds && g->values[next->out[0]]->t.dtype == MT_DT_F32) {
            n->act = a->act;
            n->act_a = a->a;
            n->act_b = a->b;
            return MT_OK;
        }
    }
    bool add = mt_node_is(next, "Add"), mul = mt_node_is(next, "Mul");
    if ((add || mul) && next->n_in == 2 && free_act && next->in[0] != next->in[1] &&
        next->act == MT_ACT_NONE &&
        mt_tensor_alike(&g->values[v]->t, &g->values[next->out[0]]->t)) {
        int other = next->in[next->in[0] == v];
        const mt_value *c = g->values[other];
        bool bare = n->residual < 0;
        if (is_row(c, p->d.n) && bare)
            return add ? add_bias(g, p, c, 1.0f, err) : multiply(g, p, c, err);
        if (add && bare && mt_tensor_alike(&c->t, &g->values[v]->t)) {
            n->residual = other;
            n->in[n->n_in++] = other;
            return MT_OK;
        }
    }
    *took = false;
    return MT_OK;
}

/* The product moves down to the place of what it absorbed: all that this reads is known there. */
static mt_status grow(mt_graph *g, int at, mt_err *err)
{
    mt_node *n = g->nodes[at];
    for (;;) {
        mt_node *next = mt_graph_reader(g, n->out[0]);
        bool took = false;
        int to = next ? g->values[n->out[0]]->reader : -1;
        if (next) MT_TRY(absorb(&took, g, n, next, err));
        if (!took) return MT_OK;
        n->out[0] = next->out[0];
        g->values[n->out[0]]->producer = to;
        g->nodes[to] = n;
        g->nodes[at] = next;
        next->dead = true;
        at = to;
    }
}

static mt_status pack(mt_graph *g, mt_node *n, mt_err *err)
{
    mt_dense_params *p = n->params;
    const mt_value *w = g->values[n->in[1]];
    int packed, bias, panel = 2 * g->k->block;
    int64_t floats = (int64_t)mt_dense_floats(g->k, p->d.n, p->d.n_k), cols = p->d.n;
    MT_TRY(mt_graph_new_const(&packed, g, w->name, 1, &floats, err));
    float *dst = g->values[packed]->t.data;
    mt_dense_pack(g->k, dst, p->d.n, p->d.n_k, w->t.data, (size_t)w->t.dims[1], p->trans);
    for (int64_t i = 0; p->scale && i < floats; i++) {
        int64_t j = i / (panel * (int64_t)p->d.n_k) * panel + i % panel;
        if (j < cols) dst[i] *= p->scale[j];
    }
    n->in[1] = packed;
    if (p->bias) {
        MT_TRY(mt_graph_new_const(&bias, g, "bias", 1, &cols, err));
        memcpy(g->values[bias]->t.data, p->bias, (size_t)cols * sizeof(float));
        n->in[2] = bias;
    }
    n->scratch = mt_dense_scratch_bytes(&p->d);
    n->variant = "packed";
    /* A large network never has all of its weights twice. */
    return floats > RELEASE ? mt_graph_release(g, err) : MT_OK;
}

mt_status mt_pass_dense(mt_graph *g, mt_err *err)
{
    for (int i = 0; i < g->n_nodes; i++) {
        mt_node *n = g->nodes[i];
        mt_dense_params *p;
        if (n->dead || !n->op) continue;
        MT_TRY(convert(&p, g, n, err));
        if (p) MT_TRY(grow(g, i, err));
    }
    MT_TRY(mt_graph_compact(g, err));
    for (int i = 0; i < g->n_nodes; i++)
        if (mt_node_is(g->nodes[i], "Dense") && g->nodes[i]->variant == NULL)
            MT_TRY(pack(g, g->nodes[i], err));
    return MT_OK;
}
