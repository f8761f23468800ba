/* Networks written with QuantizeLinear and DequantizeLinear run on bytes: what reads dequantised
 * tensors and is quantised afterwards becomes one step on 8-bit images. Nothing is taken away: a
 * step is put beside the nodes it stands for, and what nobody needs any more is swept. So whatever
 * does not match stays as it was, in floats, and is right.
 *
 * Quantising goes through what only moves numbers or picks among them (MaxPool, Concat, Flatten):
 * a result that reaches its QuantizeLinear that way is quantised where it is made, to the same
 * bytes. */
#include "models/passes/quant.h"

#include <math.h>

enum { BUDGET = 20000000 };

/* ---- what the graph says ---- */

static bool is_op(const mt_node *n, const char *name)
{
    return mt_node_is(n, name) && !n->dead;
}

/* Scale and zero point of a Q or DQ node when they are one constant pair; zero as of unsigned
 * bytes. */
static bool scalar_grid(const mt_graph *g, const mt_node *n, mt_q8_grid *out)
{
    const mt_value *s = g->values[n->in[1]],
                   *q = g->values[is_op(n, "QuantizeLinear") ? n->out[0] : n->in[0]];
    const mt_value *z = n->n_in > 2 && n->in[2] >= 0 ? g->values[n->in[2]] : NULL;
    if (!s->constant || s->t.dtype != MT_DT_F32 || mt_tensor_count(&s->t) != 1 ||
        (z && !z->constant))
        return false;
    if (q->t.dtype != MT_DT_U8 && q->t.dtype != MT_DT_I8) return false;
    out->scale = *(const float *)s->t.data;
    out->zero = (z ? (int)mt_tensor_int(&z->t, 0) : 0) + (q->t.dtype == MT_DT_I8 ? 128 : 0);
    return out->scale > 0 && isfinite(out->scale) && out->zero >= 0 && out->zero <= 255;
}

static bool same_grid(mt_q8_grid a, mt_q8_grid b)
{
    return a.scale == b.scale && a.zero == b.zero;
}

/* Readers of a value, one after the other. */
static const int *readers(const mt_q8 *p, int v, int *n)
{
    *n = p->first[v + 1] - p->first[v];
    return p->readers + p->first[v];
}

static mt_node *sole_reader(const mt_q8 *p, int v)
{
    int n;
    const int *r = readers(p, v, &n);
    return n == 1 && !p->g->values[v]->is_output ? p->g->nodes[r[0]] : NULL;
}

/* Zeros around a picture: zero points around its image. */
bool mt_q8_zero_pad(const mt_q8 *p, const mt_node *n)
{
    if (n->op->run != mt_run_pad || strcmp(n->op->name, "Pad")) return false;
    const mt_pad_params *a = n->params;
    const mt_tensor *x = &p->g->values[n->in[0]]->t;
    if (a->mode || a->value != 0 || x->rank != 4 || a->lo[0] || a->lo[1] || a->hi[0] || a->hi[1])
        return false;
    return a->lo[2] >= 0 && a->lo[3] >= 0 && a->hi[2] >= 0 && a->hi[3] >= 0;
}

static bool moves_only(const mt_q8 *p, const mt_node *n)
{
    const mt_graph *g = p->g;
    if (n->op->run == mt_run_pool && n->op->name[0] == 'M')
        return (n->n_out < 2 || n->out[1] < 0) && g->values[n->in[0]]->t.rank == 4;
    if (n->op->run == mt_run_concat)
        return ((const mt_concat_params *)n->params)->axis == 1 &&
               g->values[n->out[0]]->t.rank == 4;
    return !n->op->run || mt_q8_zero_pad(p, n); /* a view */
}

/* The grid on which float value v is read by everybody. */
static bool target(const mt_q8 *p, int v, mt_q8_grid *out, int depth)
{
    int n;
    const int *r = readers(p, v, &n);
    if (!n || depth > 8 || p->g->values[v]->is_output || p->g->values[v]->t.dtype != MT_DT_F32)
        return false;
    for (int i = 0; i < n; i++) {
        const mt_node *m = p->g->nodes[r[i]];
        mt_q8_grid grid;
        if (--*p->left < 0) return false;
        if (is_op(m, "QuantizeLinear")) {
            if (m->in[0] != v || !scalar_grid(p->g, m, &grid)) return false;
        } else if (!moves_only(p, m) || !target(p, m->out[0], &grid, depth + 1))
            return false;
        if (i && !same_grid(grid, *out)) return false;
        *out = grid;
    }
    return true;
}

/* ---- images ---- */

/* What kind of image a tensor makes: channels, rows, columns; a matrix has one place a row. */
static bool shape_of(const mt_tensor *t, int *c, int *h, int *w)
{
    if ((t->rank != 4 && t->rank != 2) || !mt_tensor_count(t)) return false;
    for (int d = 0; d < t->rank; d++)
        if (t->dims[d] > 1 << 24) return false;
    *c = (int)t->dims[1];
    *h = t->rank == 4 ? (int)t->dims[2] : 1;
    *w = t->rank == 4 ? (int)t->dims[3] : 1;
    return true;
}

static mt_status emit(mt_q8 *p, mt_node *n, mt_err *err)
{
    if (p->n == p->cap) {
        int want = p->cap ? 2 * p->cap : 256;
        void *q = realloc(p->order, (size_t)want * sizeof *p->order);
        if (!q) return mt_err_set(err, MT_ERR_NO_MEMORY, "no memory for the graph");
        p->order = q;
        p->cap = want;
    }
    p->order[p->n++] = n;
    return MT_OK;
}

mt_status mt_q8_node(mt_node **out, mt_q8 *p, const char *op, const mt_node *like, int n_in,
                     size_t params, mt_err *err)
{
    mt_graph *g = p->g;
    MT_TRY(mt_graph_new_node(out, g, n_in, 1, err));
    g->n_nodes--; /* it goes to the new list */
    (*out)->op = mt_op_internal(op);
    (*out)->op_type = op;
    (*out)->name = like->name;
    (*out)->opset = like->opset;
    (*out)->params = mt_graph_mem(g, params, err);
    if (!(*out)->params) return MT_ERR_NO_MEMORY;
    return emit(p, *out, err);
}

/* A new image of n pictures as output of node m. */
mt_status mt_q8_image(mt_q8_rep *out, mt_q8 *p, mt_node *m, int64_t n, int c, int h, int w,
                      mt_q8_grid grid, mt_err *err)
{
    int v;
    MT_TRY(mt_graph_new_value(&v, p->g, m->name, err));
    MT_TRY(mt_value_set(p->g, v, MT_DT_U8, 4, (int64_t[]){n, h, w, mt_i8_pitch(c)}, err));
    m->out[0] = v;
    *out = (mt_q8_rep){.image = v + 1, .c = c, .h = h, .w = w, .grid = grid, .maker = m};
    return MT_OK;
}

/* The image of a dequantised value; made from the floats that were quantised when nobody made it.
 * *found false: v is no such thing. */
mt_status mt_q8_need(mt_q8 *p, int v, mt_q8_rep *out, bool *found, mt_err *err)
{
    const mt_graph *g = p->g;
    *found = false;
    if (v < 0 || v >= p->n_values) return MT_OK;
    if (p->rep[v].image && p->exact[v]) {
        *out = p->rep[v];
        *found = true;
        return MT_OK;
    }
    const mt_node *dq = mt_graph_producer(g, v);
    if (!is_op(dq, "DequantizeLinear") || dq->in[0] >= p->n_values) return MT_OK;
    const mt_node *q = mt_graph_producer(g, dq->in[0]);
    mt_q8_grid a, b;
    if (!is_op(q, "QuantizeLinear") || !scalar_grid(g, dq, &a) || !scalar_grid(g, q, &b) ||
        !same_grid(a, b))
        return MT_OK;
    const mt_value *x = g->values[q->in[0]];
    int c, h, w;
    if (x->t.dtype != MT_DT_F32 || !shape_of(&x->t, &c, &h, &w)) return MT_OK;
    if (!p->rep[dq->in[0]].image) {
        mt_node *m;
        MT_TRY(mt_q8_node(&m, p, "QImage", q, 1, sizeof(mt_q8_step), err));
        mt_q8_step *s = m->params;
        s->c = c;
        s->q.out_scale = a.scale;
        s->q.out_zero = a.zero;
        m->in[0] = q->in[0];
        MT_TRY(mt_q8_image(&p->rep[dq->in[0]], p, m, x->t.dims[0], c, h, w, a, err));
    }
    p->rep[v] = p->rep[dq->in[0]];
    p->exact[v] = true;
    *out = p->rep[v];
    *found = true;
    return MT_OK;
}

/* ---- walking the graph ---- */

/* Value v of a node was made as image r. Activations and the like in between: v is the last. */
static void made(mt_q8 *p, int v, mt_q8_rep r)
{
    r.value = v;
    p->rep[v] = r;
    p->exact[v] = false;
}

/* Behind node n's result: an activation that only it feeds, then the grid it is read on. */
bool mt_q8_end(const mt_q8 *p, const mt_node *n, mt_q8_end_of *e)
{
    *e = (mt_q8_end_of){.value = n->out[0], .act = MT_ACT_NONE};
    if (n->act != MT_ACT_NONE) return false;
    if (!target(p, e->value, &e->grid, 0)) {
        const mt_node *a = sole_reader(p, e->value);
        if (!a || a->in[0] != e->value || (a->op->run != mt_run_act && a->op->run != mt_run_clip))
            return false;
        for (int i = 1; i < a->n_in; i++)
            if (a->in[i] >= 0 && !p->g->values[a->in[i]]->constant) return false;
        const mt_act_params *ap = a->params;
        e->act = ap->act;
        e->act_a = ap->a;
        e->act_b = ap->b;
        e->value = a->out[0];
        if (!target(p, e->value, &e->grid, 0)) return false;
    }
    e->lo = 0;
    e->hi = 255;
    if (e->act == MT_ACT_RELU) e->lo = e->grid.zero;
    if (e->act == MT_ACT_CLIP) {
        e->lo = mt_q8_byte(e->act_a, e->grid);
        e->hi = mt_q8_byte(e->act_b, e->grid);
        if (e->lo > e->hi) return false;
    }
    if (e->act == MT_ACT_RELU || e->act == MT_ACT_CLIP) e->act = MT_ACT_NONE;
    return true;
}

int mt_q8_byte(float x, mt_q8_grid g)
{
    float q = nearbyintf(x / g.scale) + (float)g.zero;
    return !(q > 0) ? 0 : q < 255 ? (int)q : 255;
}

/* Q: the image of what it quantises, when that was made on its grid. DQ: the image of what it
 * reads; floats for whoever still wants them. */
static mt_status see_quant(mt_q8 *p, mt_node *n, mt_err *err)
{
    mt_graph *g = p->g;
    mt_q8_grid grid;
    bool q = is_op(n, "QuantizeLinear");
    int x = n->in[0], o = n->out[0];
    if (x >= p->n_values || o >= p->n_values || !p->rep[x].image || !scalar_grid(g, n, &grid) ||
        !same_grid(grid, p->rep[x].grid))
        return MT_OK;
    p->rep[o] = p->rep[x];
    p->exact[o] = !q;
    if (q || p->rep[x].maker->op == mt_op_internal("QImage")) return MT_OK;
    mt_q8_step *s = mt_graph_mem(g, sizeof *s, err);
    if (!s) return MT_ERR_NO_MEMORY;
    s->c = p->rep[x].c;
    s->q.x_scale = grid.scale;
    s->q.x_zero = grid.zero;
    n->op = mt_op_internal("QFloat");
    n->params = s;
    n->in[0] = p->rep[x].image - 1;
    n->n_in = 1;
    return MT_OK;
}

static mt_status index_readers(mt_q8 *p, mt_err *err)
{
    mt_graph *g = p->g;
    int n = g->n_values;
    MT_TRY(mt_alloc(&p->first, (size_t)n + 2, sizeof *p->first, SIZE_MAX, "graph", err));
    for (int i = 0; i < g->n_nodes; i++)
        for (int j = 0; j < g->nodes[i]->n_in; j++)
            if (g->nodes[i]->in[j] >= 0) p->first[g->nodes[i]->in[j] + 1]++;
    for (int v = 0; v < n; v++)
        p->first[v + 1] += p->first[v];
    MT_TRY(
        mt_alloc(&p->readers, (size_t)p->first[n] + 1, sizeof *p->readers, SIZE_MAX, "graph", err));
    MT_AUTO_FREE int *at = NULL;
    MT_TRY(mt_alloc(&at, (size_t)n + 1, sizeof *at, SIZE_MAX, "graph", err));
    for (int i = 0; i < g->n_nodes; i++)
        for (int j = 0; j < g->nodes[i]->n_in; j++) {
            int v = g->nodes[i]->in[j];
            if (v >= 0) p->readers[p->first[v] + at[v]++] = i;
        }
    return MT_OK;
}

static mt_status walk(mt_q8 *p, mt_err *err)
{
    mt_graph *g = p->g;
    int n = g->n_nodes;
    for (int i = 0; i < n; i++) {
        mt_node *m = g->nodes[i];
        if (is_op(m, "QuantizeLinear") || is_op(m, "DequantizeLinear"))
            MT_TRY(see_quant(p, m, err));
        else if (m->n_out == 1 || m->op->run == mt_run_pool) {
            mt_q8_rep r = {0};
            int value = -1;
            MT_TRY(mt_q8_match(p, m, &r, &value, err));
            if (r.image) made(p, value, r);
        }
        MT_TRY(emit(p, m, err));
    }
    free(g->nodes);
    g->nodes = p->order;
    g->n_nodes = p->n;
    g->cap_nodes = p->cap;
    p->order = NULL;
    return MT_OK;
}

/* Kernel objects of the convolutions that are still wanted. */
static mt_status make_kernels(mt_graph *g, mt_err *err)
{
    for (int i = 0; i < g->n_nodes; i++) {
        mt_node *n = g->nodes[i];
        if (n->op->run != mt_run_q8_conv) continue;
        const mt_q8_conv *c = n->params;
        if (mt_i8_conv_new(&n->i8, g->k, &c->d, c->weights, c->scale, c->bias, err) != MT_OK)
            return mt_err_context(err, "%s: node \"%.80s\"", g->name, n->name);
        n->variant = mt_i8_conv_variant(n->i8);
        n->scratch = mt_i8_conv_scratch_bytes(n->i8);
        if (c->d.out_float) {
            size_t floats = (size_t)g->values[n->in[0]]->t.dims[0] * (size_t)c->d.oh *
                            (size_t)c->d.ow * (size_t)mt_i8_pitch(c->d.cout);
            n->scratch += (floats * sizeof(float) + 63) & ~(size_t)63;
        }
    }
    return MT_OK;
}

mt_status mt_pass_quant(mt_graph *g, mt_err *err)
{
    bool any = false;
    for (int i = 0; i < g->n_nodes; i++)
        any = any || is_op(g->nodes[i], "DequantizeLinear");
    if (!any) return MT_OK;
    long left = BUDGET;
    mt_q8 p = {.g = g, .n_values = g->n_values, .left = &left};
    mt_status st = index_readers(&p, err);
    if (st == MT_OK)
        st = mt_alloc(&p.rep, (size_t)g->n_values + 1, sizeof *p.rep, SIZE_MAX, "graph", err);
    if (st == MT_OK)
        st = mt_alloc(&p.exact, (size_t)g->n_values + 1, sizeof *p.exact, SIZE_MAX, "graph", err);
    if (st == MT_OK) st = walk(&p, err);
    if (st == MT_OK) st = mt_graph_compact(g, err);
    if (st == MT_OK) st = make_kernels(g, err);
    free(p.first);
    free(p.readers);
    free(p.rep);
    free(p.exact);
    free(p.order);
    return st;
}
