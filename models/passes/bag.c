/* softmax over the bag of scores, times its rows: the pool of attention MIL. The pool and everything
 * that leads to it row by row becomes one walk over the bag (ops/bag.c). */
#include "models/ops/op.h"
#include "models/passes/view.h"

enum {
    SMALLEST = 1024, /* a smaller bag fits the caches as it is */
    MOST = 64        /* pools of one network that are looked at */
};

typedef struct region {
    mt_graph *g;
    mt_bag_params *p;
    int *slot;                  /* by value: reference inside the walk, or UNSEEN */
    int given[MT_BAG_GIVEN];    /* values from outside */
    int n_given;
    int value[MT_BAG_LOCALS];   /* by local: its value */
    int depth;
} region;

enum { UNSEEN = -1000000 };

/* [.., rows, width] with nothing but ones in front. */
static bool is_rows(const mt_tensor *t, int64_t rows)
{
    if (t->rank < 2 || t->dtype != MT_DT_F32 || t->dims[t->rank - 2] != rows) return false;
    for (int d = 0; d < t->rank - 2; d++)
        if (t->dims[d] != 1) return false;
    return t->dims[t->rank - 1] > 0;
}

static bool swaps_last_two(const mt_graph *g, const mt_node *n)
{
    if (!mt_node_is(n, "Transpose")) return false;
    int rank = g->values[n->in[0]]->t.rank;
    const int *perm = ((const mt_perm_params *)n->params)->perm;
    for (int d = 0; d < rank - 2; d++)
        if (perm[d] != d) return false;
    return rank >= 2 && perm[rank - 1] == rank - 2;
}

static bool softmax_over(const mt_graph *g, const mt_node *n, int from_end)
{
    int rank = mt_node_is(n, "Softmax") ? g->values[n->in[0]]->t.rank : 0;
    int64_t axis = rank ? mt_attr_int(n, "axis", n->opset < 13 ? 1 : -1) : 0;
    if (axis < 0) axis += rank;
    return rank >= 2 && n->opset >= 13 && axis == rank - from_end;
}

/* The scores, one row an instance, whose softmax over the bag is `weights` [.., classes, rows]; -1.
 */
static int scores_of(const mt_graph *g, int weights)
{
    const mt_node *n = mt_graph_producer(g, weights), *m;
    if (softmax_over(g, n, 1)) {
        m = mt_graph_producer(g, n->in[0]);
        return m && swaps_last_two(g, m) ? m->in[0] : -1;
    }
    if (!n || !swaps_last_two(g, n)) return -1;
    m = mt_graph_producer(g, n->in[0]);
    return softmax_over(g, m, 2) ? m->in[0] : -1;
}

/* A product weights x rows; plain MatMul or a Gemm without anything on it. */
static bool is_pool(const mt_graph *g, const mt_node *n)
{
    bool gemm = mt_node_is(n, "Gemm");
    if ((!gemm && !mt_node_is(n, "MatMul")) || n->act != MT_ACT_NONE || n->n_in < 2) return false;
    if (gemm && (mt_attr_int(n, "transA", 0) || mt_attr_int(n, "transB", 0) ||
                 mt_attr_float(n, "alpha", 1.0f) != 1.0f || (n->n_in > 2 && n->in[2] >= 0)))
        return false;
    const mt_tensor *h = &g->values[n->in[1]]->t;
    return !g->values[n->in[1]]->constant && h->rank >= 2 && is_rows(h, h->dims[h->rank - 2]) &&
           h->dims[h->rank - 2] >= SMALLEST;
}

/* Whether each row of the output hangs on the same row of the inputs alone. */
static bool by_rows(const region *r, const mt_node *n)
{
    const mt_graph *g = r->g;
    int64_t rows = r->p->n;
    if (!n || n->n_out != 1 || n->n_in < 1 || n->n_in > MT_BAG_INPUTS || n->in[0] < 0) return false;
    const mt_value *o = g->values[n->out[0]], *x = g->values[n->in[0]];
    if (!is_rows(&o->t, rows) || o->half || x->constant) return false;
    if (mt_node_is(n, "Dense") || mt_node_is(n, "RowNorm") || n->op->run == mt_run_act)
        return is_rows(&x->t, rows);
    if (!n->op->run) /* a view that leaves rows alone */
        return is_rows(&x->t, rows) && x->t.dims[x->t.rank - 1] == o->t.dims[o->t.rank - 1];
    if (n->op->run == mt_run_matmul && mt_node_is(n, "MatMul"))
        return is_rows(&x->t, rows) && g->values[n->in[1]]->t.rank == 2 && n->act == MT_ACT_NONE;
    if (n->op->run != mt_run_binary || n->n_in != 2 || n->residual >= 0) return false;
    for (int i = 0; i < 2; i++) {
        const mt_value *v = g->values[n->in[i]];
        bool whole = is_rows(&v->t, rows) && !v->constant;
        bool row = v->constant && (mt_tensor_count(&v->t) == 1 ||
                                   (mt_tensor_count(&v->t) == o->t.dims[o->t.rank - 1] &&
                                    v->t.dims[v->t.rank - 1] == o->t.dims[o->t.rank - 1]));
        if (v->t.dtype != MT_DT_F32 || (!whole && !row)) return false;
    }
    return true;
}

/* A given value comes row by row or as it is; one that has the bag's rows and yet comes as it is (a
 * constant, the right-hand side of a product) is for those who need all of it. */
static bool given_fits(const region *r, int ref, int value, bool whole)
{
    bool by_row = r->p->by_row[ref];
    return whole ? !by_row : by_row || !is_rows(&r->g->values[value]->t, r->p->n);
}

static bool from_outside(int *ref, region *r, int value, bool whole)
{
    if (r->n_given == MT_BAG_GIVEN) return false;
    const mt_value *v = r->g->values[value];
    r->p->by_row[r->n_given] = !whole && !v->constant && is_rows(&v->t, r->p->n);
    *ref = r->slot[value] = r->n_given;
    r->given[r->n_given++] = value;
    return given_fits(r, *ref, value, whole);
}

/* The reference of a value inside the walk; its makers become members, in order. whole: all of it is
 * needed at once (the right-hand side of a product). False when the walk is full, or somebody needs
 * a value another way. */
static bool gather(int *ref, region *r, int value, bool whole)
{
    *ref = MT_BAG_NONE;
    if (value < 0) return true;
    *ref = r->slot[value];
    if (*ref != UNSEEN) return *ref < 0 ? !whole : given_fits(r, *ref, value, whole);
    mt_node *n = mt_graph_producer(r->g, value);
    if (whole || r->g->values[value]->constant || !by_rows(r, n))
        return from_outside(ref, r, value, whole);
    if (r->depth >= 64) return false;
    r->depth++;
    mt_bag_member m = {.node = n};
    for (int i = 0; i < n->n_in; i++)
        if (!gather(&m.in[i], r, n->in[i], n->op->run == mt_run_matmul && i == 1)) return false;
    r->depth--;
    mt_bag_params *p = r->p;
    if (p->n_members == MT_BAG_LOCALS) return false;
    const mt_tensor *t = &r->g->values[value]->t;
    p->local[p->n_locals] = (mt_bag_local){*t, t->dims[t->rank - 1], -1};
    p->local[p->n_locals].shape.data = NULL;
    r->value[p->n_locals] = value;
    m.out = p->n_locals;
    *ref = r->slot[value] = -2 - p->n_locals++;
    p->member[p->n_members++] = m;
    p->member_scratch = MT_MAX(p->member_scratch, n->scratch);
    return true;
}

static bool is_member(const region *r, const mt_node *n)
{
    for (int i = 0; i < r->p->n_members; i++)
        if (r->p->member[i].node == n) return true;
    return false;
}

/* The place in the order where all that comes from outside is known. */
static int earliest(const region *r)
{
    int at = 0;
    for (int i = 0; i < r->n_given; i++) {
        const mt_value *v = r->g->values[r->given[i]];
        if (!v->constant && v->producer >= at) at = v->producer + 1;
    }
    return at;
}

/* Marks the values others read as outputs of the walk; false when one is read before `at`. */
static bool find_exports(int *out, int *n_out, const region *r, const mt_node *pool, int at)
{
    const mt_graph *g = r->g;
    for (int l = 0; l < r->p->n_locals; l++) {
        bool wanted = g->values[r->value[l]]->is_output;
        for (int i = 0; i < g->n_nodes; i++) {
            const mt_node *n = g->nodes[i];
            if (n == pool || n->dead || is_member(r, n)) continue;
            for (int j = 0; j < n->n_in; j++)
                if (n->in[j] == r->value[l]) {
                    if (i < at) return false;
                    wanted = true;
                }
        }
        if (!wanted) continue;
        r->p->local[l].given_out = *n_out;
        out[(*n_out)++] = r->value[l];
    }
    return true;
}

static mt_status settle(region *r, mt_node *pool, int pool_at, mt_err *err)
{
    mt_graph *g = r->g;
    int out[MT_BAG_LOCALS + 1] = {pool->out[0]}, n_out = 1, at = earliest(r);
    if (at > pool_at || !find_exports(out, &n_out, r, pool, at)) return MT_OK;
    uint64_t macs = pool->macs;
    for (int i = 0; i < r->p->n_members; i++) {
        macs += r->p->member[i].node->macs;
        r->p->member[i].node->dead = true;
    }
    mt_node *n = mt_graph_mem(g, sizeof *n, err);
    if (!n) return MT_ERR_NO_MEMORY;
    *n = *pool;
    n->in = mt_graph_mem(g, (size_t)(r->n_given + 1) * sizeof *n->in, err);
    n->out = mt_graph_mem(g, (size_t)n_out * sizeof *n->out, err);
    if (!n->in || !n->out) return MT_ERR_NO_MEMORY;
    memcpy(n->in, r->given, (size_t)r->n_given * sizeof *n->in);
    memcpy(n->out, out, (size_t)n_out * sizeof *n->out);
    n->n_in = r->n_given;
    n->n_out = n_out;
    n->n_attrs = 0;
    n->op = mt_op_internal("Bag");
    n->params = r->p;
    n->macs = macs;
    n->scratch = mt_bag_scratch(r->p);
    n->variant = "blocks";
    pool->dead = true;
    /* up to its place: what stands between moves down by one */
    for (int i = pool_at; i > at; i--) g->nodes[i] = g->nodes[i - 1];
    g->nodes[at] = n;
    return mt_graph_compact(g, err);
}

static mt_status fuse(mt_graph *g, int at, mt_err *err)
{
    mt_node *pool = g->nodes[at];
    int scores = is_pool(g, pool) ? scores_of(g, pool->in[0]) : -1;
    if (scores < 0) return MT_OK;
    const mt_tensor *h = &g->values[pool->in[1]]->t, *s = &g->values[scores]->t;
    mt_bag_params *p = mt_graph_mem(g, sizeof *p, err);
    MT_AUTO_FREE int *slot = NULL;
    if (!p) return MT_ERR_NO_MEMORY;
    MT_TRY(mt_alloc(&slot, (size_t)g->n_values + 1, sizeof *slot, SIZE_MAX, "graph", err));
    for (int i = 0; i < g->n_values; i++) slot[i] = UNSEEN;
    p->n = h->dims[h->rank - 2];
    p->width = h->dims[h->rank - 1];
    if (!is_rows(s, p->n) || s->dims[s->rank - 1] > 64) return MT_OK;
    p->classes = s->dims[s->rank - 1];
    p->scale = 1.0f;
    region r = {.g = g, .p = p, .slot = slot};
    if (!gather(&p->scores, &r, scores, false) || !gather(&p->rows, &r, pool->in[1], false))
        return MT_OK;
    return settle(&r, pool, at, err);
}

mt_status mt_pass_bag(mt_graph *g, mt_err *err)
{
    for (int i = 0, looked = 0; i < g->n_nodes && looked < MOST; i++) {
        if (g->nodes[i]->dead || !is_pool(g, g->nodes[i])) continue;
        looked++;
        MT_TRY(fuse(g, i, err));
    }
    return MT_OK;
}
