/* MatMul, scale, masks, Softmax, MatMul become one step that never holds the matrix of scores, reads
 * its heads where the projections left them and writes where the next product reads. */
#include "models/ops/op.h"
#include "models/passes/view.h"

enum {
    CHAIN = 8,
    HEADS = 1 << 22,   /* of all images: what the tables are good for */
    TOKENS = 1 << 24,
    PACKED = 1 << 28   /* floats of a head's packed keys or values */
};

typedef struct match {
    mt_node *scores, *values; /* the two products */
    float scale;
    int n_masks, mask[2];
    mt_tensor mask_over[2]; /* shape of the scores where the mask is added */
    mt_node *chain[CHAIN];  /* views behind the second product */
    int steps;
} match;

static const mt_tensor *shape(const mt_graph *g, int v)
{
    return &g->values[v]->t;
}

static int64_t along(const mt_tensor *t, int from_end)
{
    return t->dims[t->rank - from_end];
}

static bool same_matrix(const mt_tensor *a, const mt_tensor *b)
{
    return a->rank >= 2 && b->rank >= 2 && a->dims[a->rank - 1] == b->dims[b->rank - 1] &&
           a->dims[a->rank - 2] == b->dims[b->rank - 2];
}

static bool is_number(const mt_graph *g, int v)
{
    const mt_value *c = g->values[v];
    return c->constant && c->t.dtype == MT_DT_F32 && mt_tensor_count(&c->t) == 1;
}

/* Takes a mask the scores at `n` get; which of the two operands goes on to the scores. */
static int take_mask(match *m, const mt_graph *g, const mt_node *n)
{
    const mt_tensor *o = shape(g, n->out[0]);
    for (int i = 0; i < 2; i++) {
        const mt_node *p = mt_graph_producer(g, n->in[i]);
        const mt_tensor *x = shape(g, n->in[i]), *c = shape(g, n->in[!i]);
        if (!p || m->n_masks == 2 || c->rank < 1 || c->dtype != MT_DT_F32) continue;
        if (!(mt_node_is(p, "MatMul") || mt_node_is(p, "Mul") || mt_node_is(p, "Div") ||
              mt_node_is(p, "Add") || mt_node_is(p, "Reshape")))
            continue;
        if (x->rank != o->rank || memcmp(x->dims, o->dims, (size_t)o->rank * sizeof *o->dims))
            continue;
        int64_t rows = c->rank > 1 ? c->dims[c->rank - 2] : 1;
        if (c->dims[c->rank - 1] != o->dims[o->rank - 1] ||
            (rows != 1 && rows != o->dims[o->rank - 2]))
            continue;
        m->mask[m->n_masks] = n->in[!i];
        m->mask_over[m->n_masks++] = *o;
        return n->in[i];
    }
    return -1;
}

/* From the softmax back to the first product. */
static bool find_scores(match *m, mt_graph *g, const mt_node *soft)
{
    int at = soft->in[0];
    for (int i = 0; i < CHAIN; i++) {
        mt_node *p = mt_graph_producer(g, at);
        if (!p || mt_graph_reader(g, at) == NULL || p->act != MT_ACT_NONE) return false;
        if (mt_node_is(p, "MatMul")) {
            m->scores = p;
            return p->n_in == 2;
        }
        if (mt_node_is(p, "Reshape") && same_matrix(shape(g, p->in[0]), shape(g, at)))
            at = p->in[0];
        else if ((mt_node_is(p, "Mul") || mt_node_is(p, "Div")) && is_number(g, p->in[1])) {
            float f = *(const float *)shape(g, p->in[1])->data;
            m->scale *= mt_node_is(p, "Div") ? 1.0f / f : f;
            at = p->in[0];
        } else if (mt_node_is(p, "Mul") && is_number(g, p->in[0])) {
            m->scale *= *(const float *)shape(g, p->in[0])->data;
            at = p->in[1];
        } else if (mt_node_is(p, "Add") && p->n_in == 2 && m->scale == 1.0f) {
            at = take_mask(m, g, p); /* a mask that is scaled afterwards is left alone */
            if (at < 0) return false;
        } else {
            return false;
        }
    }
    return false;
}

static bool find_values(match *m, mt_graph *g, const mt_node *soft)
{
    mt_node *n = mt_graph_reader(g, soft->out[0]);
    int made = soft->out[0];
    if (mt_node_is(n, "Reshape") && same_matrix(shape(g, made), shape(g, n->out[0]))) {
        made = n->out[0];
        n = mt_graph_reader(g, made);
    }
    if (!mt_node_is(n, "MatMul") || n->in[0] != made || n->act != MT_ACT_NONE) return false;
    m->values = n;
    for (made = n->out[0]; m->steps < CHAIN; made = n->out[0]) {
        n = mt_graph_reader(g, made);
        if (!n || !mt_view_passes(g, n) || n->in[0] != made || g->values[n->out[0]]->half) break;
        m->chain[m->steps++] = n;
    }
    return true;
}

/* Over the scores' own axis only, the last one. */
static bool is_row_softmax(const mt_graph *g, const mt_node *n)
{
    if (!mt_node_is(n, "Softmax")) return false;
    int rank = shape(g, n->in[0])->rank;
    int64_t axis = mt_attr_int(n, "axis", n->opset < 13 ? 1 : -1);
    return rank >= 2 && (axis == -1 || axis == rank - 1);
}

/* Places of every head in mask i, and the pitch of its rows. */
static mt_status place_mask(mt_attention_params *p, const match *m, int i, mt_graph *g, mt_err *err)
{
    const mt_tensor *over = &m->mask_over[i], *mask = shape(g, m->mask[i]);
    int64_t stride[MT_MAX_DIMS], idx[MT_MAX_DIMS] = {0};
    int batch = over->rank - 2;
    mt_broadcast_strides(stride, mask, over->rank);
    int64_t *at = mt_graph_mem(g, (size_t)p->heads * sizeof *at, err);
    if (!at) return MT_ERR_NO_MEMORY;
    for (int64_t h = 0; h < p->heads; h++, mt_next(idx, over->dims, batch))
        for (int d = 0; d < batch; d++) at[h] += idx[d] * stride[d];
    p->mask[i] = at;
    *(i ? &p->a.ld_mask2 : &p->a.ld_mask1) = (size_t)stride[batch];
    return MT_OK;
}

/* Heads of all operands stand in the same order and number; rows' floats stand together. */
static bool fits(const match *m, const mt_graph *g, const mt_view *q, const mt_view *k,
                 const mt_view *v)
{
    const mt_tensor *a = shape(g, m->scores->in[0]), *b = shape(g, m->scores->in[1]);
    const mt_tensor *p = shape(g, m->values->in[0]), *c = shape(g, m->values->in[1]);
    if (a->rank < 2 || a->rank != b->rank || p->rank != c->rank) return false;
    if (g->values[m->scores->in[0]]->constant || g->values[m->scores->in[1]]->constant ||
        g->values[m->values->in[1]]->constant)
        return false;
    for (int d = 0; d < a->rank - 2; d++)
        if (a->dims[d] != b->dims[d]) return false;
    for (int d = 0; d < p->rank - 2; d++)
        if (p->dims[d] != c->dims[d]) return false;
    if (!mt_tensor_count(a) || !mt_tensor_count(b) || !mt_tensor_count(c)) return false;
    int64_t heads = mt_tensor_count(a) / (along(a, 1) * along(a, 2)), tokens = along(b, 1);
    int64_t wide = MT_MAX(along(a, 1), along(c, 1)) + 2 * g->k->block;
    if (heads > HEADS || along(a, 2) > TOKENS || tokens > TOKENS || wide > PACKED / tokens)
        return false;
    return mt_view_together(q, q->rank - 1) && mt_view_together(k, k->rank - 2) &&
           mt_view_together(v, v->rank - 1);
}

static mt_status build(mt_graph *g, const match *m, const mt_view *q, const mt_view *k,
                       const mt_view *v, const mt_view *o, mt_err *err)
{
    const mt_tensor *a = shape(g, m->scores->in[0]), *c = shape(g, m->values->in[1]);
    mt_attention_params *p = mt_graph_mem(g, sizeof *p, err);
    int *in = mt_graph_mem(g, 6 * sizeof *in, err);
    if (!p || !in) return MT_ERR_NO_MEMORY;
    int64_t *at[8], n[8];
    const mt_view *views[4] = {q, k, v, o};
    for (int i = 0; i < 4; i++) { /* K lies with its keys in the last dimension */
        int r = views[i]->rank, token = i == 1 ? r - 1 : r - 2;
        MT_TRY(mt_view_places(&at[i], &n[i], views[i], 0, r - 2, views[i]->base, g, err));
        MT_TRY(mt_view_places(&at[4 + i], &n[4 + i], views[i], token, token + 1, 0, g, err));
    }
    p->heads = n[0];
    p->q = at[0];
    p->k = at[1];
    p->v = at[2];
    p->o = at[3];
    p->a = (mt_attn){.n_q = (int)n[4], .n_keys = (int)n[5], .d = (int)along(a, 1),
                     .dv = (int)along(c, 1), .scale = m->scale * q->scale * k->scale,
                     .q_at = at[4], .k_at = at[5], .v_at = at[6], .o_at = at[7]};
    for (int i = 0; i < m->n_masks; i++) MT_TRY(place_mask(p, m, i, g, err));
    mt_node *n_last = m->steps ? m->chain[m->steps - 1] : m->values;
    uint64_t macs = m->scores->macs + m->values->macs;
    in[0] = q->root;
    in[1] = k->root;
    in[2] = v->root;
    for (int i = 0; i < 3; i++) in[3 + i] = i < m->n_masks ? m->mask[i] : -1;
    n_last->in = in;
    n_last->n_in = 3 + m->n_masks;
    n_last->op = mt_op_internal("Attention");
    n_last->params = p;
    n_last->macs = macs;
    n_last->scratch = mt_attn_scratch_bytes(g->k, &p->a);
    n_last->variant = "streamed";
    return MT_OK;
}

static mt_status fuse(mt_graph *g, mt_node *soft, mt_err *err)
{
    match m = {.scale = 1.0f};
    mt_view q, k, v, o;
    if (!find_scores(&m, g, soft) || !find_values(&m, g, soft)) return MT_OK;
    mt_view_trace(&q, g, m.scores->in[0]);
    mt_view_trace(&k, g, m.scores->in[1]);
    mt_view_trace(&v, g, m.values->in[1]);
    if (!mt_view_together(&q, q.rank - 1)) mt_view_fresh(&q, g, m.scores->in[0]);
    if (!mt_view_together(&v, v.rank - 1)) mt_view_fresh(&v, g, m.values->in[1]);
    if (v.scale != 1.0f) mt_view_fresh(&v, g, m.values->in[1]);
    if (!fits(&m, g, &q, &k, &v)) return MT_OK;
    for (;; m.steps--) {
        if (mt_view_inverse(&o, g, m.values->out[0], m.chain, m.steps) &&
            mt_view_together(&o, o.rank - 1))
            break;
        if (!m.steps) return MT_OK;
    }
    if (along(shape(g, m.values->out[0]), 1) != along(shape(g, m.values->in[1]), 1)) return MT_OK;
    return build(g, &m, &q, &k, &v, &o, err);
}

mt_status mt_pass_attention(mt_graph *g, mt_err *err)
{
    for (int i = 0; i < g->n_nodes; i++)
        if (is_row_softmax(g, g->nodes[i]) && !g->nodes[i]->dead)
            MT_TRY(fuse(g, g->nodes[i], err));
    return MT_OK;
}
