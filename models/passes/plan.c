/* Static memory plan: every value a state holds gets a fixed place in one arena, chosen by size and
 * lifetime. Views share their source's place; operators that may work in place take over their
 * input's when nobody reads it afterwards. */
#include "models/ops/op.h"

static bool one_place_view(const mt_graph *g, const mt_node *n)
{
    /* one place per channel: both layouts are the same bytes when no lane is padding (or it comes
     * last) */
    const mt_tensor *t = &g->values[n->in[0]]->t;
    bool whole = t->dims[1] % g->k->block == 0;
    if (mt_plane(t) != 1) return false;
    return whole || (t->dims[0] == 1 && n->op->run == mt_run_from_blocked);
}

bool mt_node_is_view(const mt_graph *g, const mt_node *n)
{
    if (!n->op->run) return true;
    if (n->op->run == mt_run_from_blocked || n->op->run == mt_run_to_blocked)
        return one_place_view(g, n);
    return n->op->run == mt_run_dropout && (n->n_out < 2 || n->out[1] < 0);
}

static size_t value_bytes(const mt_graph *g, const mt_value *v)
{
    size_t n = v->blocked ? mt_value_floats(g, v) * sizeof(float) : mt_tensor_bytes(&v->t);
    if (v->one_image) n /= (size_t)g->batch;
    return (n + 63) & ~(size_t)63;
}

typedef struct life { int first, last; } life;

typedef struct plan {
    mt_graph *g;
    life *life;                  /* by root value */
    int *last;                   /* last node that reads a value */
} plan;

static bool in_arena(const mt_graph *g, int root)
{
    return !g->values[root]->constant && !g->values[root]->is_input;
}

/* True when nothing reads the memory of v's root after node i. */
static bool dies_here(const plan *p, int v, int i)
{
    int root = p->g->values[v]->root;
    return in_arena(p->g, root) && p->life[root].last <= i;
}

/* The input whose place output 0 may take over, or -1. */
static int takes_over(const plan *p, const mt_node *n, int i)
{
    const mt_graph *g = p->g;
    const mt_value *o = g->values[n->out[0]];
    size_t need = value_bytes(g, o);
    int v = -1;
    if (n->residual >= 0 && g->values[n->residual]->root != g->values[n->in[0]]->root)
        v = n->residual;
    else if (n->op->flags & MT_OP_INPLACE) v = n->in[0];
    for (int turn = 0; v >= 0 && turn < 2; turn++) {
        const mt_value *x = g->values[v];
        bool alike = x->blocked == o->blocked && x->one_image == o->one_image && x->t.dtype == o->t.dtype &&
                     value_bytes(g, x) == need && g->values[x->root]->bytes >= need &&
                     mt_tensor_count(&x->t) == mt_tensor_count(&o->t);
        if (alike && dies_here(p, v, i)) return v;
        /* either operand of an element-wise pair will do */
        if (n->residual >= 0 || n->n_in != 2 || n->in[1] < 0 || n->op->run != mt_run_binary) break;
        v = n->in[1];
    }
    return -1;
}

/* What a stretch takes in stays to its end and what it gives out is there from its beginning: every
 * image passes through all of its nodes before the next one does. */
static int begin_of(const mt_graph *g, int i, int v)
{
    int stretch = g->values[v]->one_image ? 0 : g->nodes[i]->stretch;
    while (stretch && i > 0 && g->nodes[i - 1]->stretch == stretch) i--;
    return i;
}

static int end_of(const mt_graph *g, int i, int v)
{
    int stretch = g->values[v]->one_image ? 0 : g->nodes[i]->stretch;
    while (stretch && i + 1 < g->n_nodes && g->nodes[i + 1]->stretch == stretch) i++;
    return i;
}

static void extend(plan *p, int root, int last)
{
    if (p->life[root].last < last) p->life[root].last = last;
}

static void assign_roots(plan *p)
{
    mt_graph *g = p->g;
    for (int i = 0; i < g->n_values; i++) {
        g->values[i]->root = i;
        p->life[i] = (life){-1, p->last[i]};
    }
    for (int i = 0; i < g->n_nodes; i++) {
        const mt_node *n = g->nodes[i];
        for (int j = 0; j < n->n_out; j++) {
            if (n->out[j] < 0) continue;
            mt_value *o = g->values[n->out[j]];
            o->bytes = value_bytes(g, o);
            int from = j ? -1 : mt_node_is_view(g, n) ? n->in[0] : takes_over(p, n, i);
            if (from >= 0) {
                o->root = g->values[from]->root;
                extend(p, o->root, p->last[n->out[j]]);
            } else {
                p->life[n->out[j]].first = begin_of(g, i, n->out[j]);
                extend(p, n->out[j], end_of(g, i, n->out[j]));
            }
        }
    }
}

static int by_size(const void *a, const void *b)
{
    const mt_value *x = *(mt_value *const *)a, *y = *(mt_value *const *)b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return x->root < y->root ? -1 : x->root > y->root;
}

/* Lowest offset at which v meets no placed value alive at the same time. placed is sorted by
 * offset. */
static size_t lowest_gap(const plan *p, const mt_value *v, mt_value **placed, int n)
{
    size_t at = 0;
    life l = p->life[v->root];
    for (int i = 0; i < n; i++) {
        const mt_value *o = placed[i];
        life m = p->life[o->root];
        if (m.last < l.first || l.last < m.first) continue;
        if (at + v->bytes <= o->offset) break;
        at = MT_MAX(at, o->offset + o->bytes);
    }
    return at;
}

static void insert_by_offset(mt_value **placed, int n, mt_value *v)
{
    int i = n;
    while (i > 0 && placed[i - 1]->offset > v->offset) {
        placed[i] = placed[i - 1];
        i--;
    }
    placed[i] = v;
}

mt_status mt_pass_plan(size_t *bytes, size_t *scratch_at, mt_graph *g, mt_err *err)
{
    MT_AUTO_FREE int *last = NULL;
    MT_AUTO_FREE life *lives = NULL;
    MT_AUTO_FREE mt_value **order = NULL;
    MT_AUTO_FREE mt_value **placed = NULL;
    size_t n = (size_t)g->n_values + 1, scratch = 0, end = 0;
    MT_TRY(mt_alloc(&last, n, sizeof *last, SIZE_MAX, "plan", err));
    MT_TRY(mt_alloc(&lives, n, sizeof *lives, SIZE_MAX, "plan", err));
    MT_TRY(mt_alloc(&order, n, sizeof *order, SIZE_MAX, "plan", err));
    MT_TRY(mt_alloc(&placed, n, sizeof *placed, SIZE_MAX, "plan", err));
    for (int i = 0; i < g->n_values; i++) last[i] = -1;
    for (int i = 0; i < g->n_nodes; i++) {
        for (int j = 0; j < g->nodes[i]->n_in; j++)
            if (g->nodes[i]->in[j] >= 0)
                last[g->nodes[i]->in[j]] = end_of(g, i, g->nodes[i]->in[j]);
        scratch = MT_MAX(scratch, g->nodes[i]->scratch);
    }
    for (int i = 0; i < g->n_outputs; i++) last[g->outputs[i]] = g->n_nodes;
    plan p = {g, lives, last};
    assign_roots(&p);
    int count = 0;
    for (int i = 0; i < g->n_values; i++)
        if (g->values[i]->root == i && lives[i].first >= 0 && in_arena(g, i))
            order[count++] = g->values[i];
    qsort(order, (size_t)count, sizeof *order, by_size);
    for (int i = 0; i < count; i++) {
        mt_value *v = order[i];
        v->offset = lowest_gap(&p, v, placed, i);
        insert_by_offset(placed, i, v);
        if (!mt_add(&end, v->offset, v->bytes)) end = SIZE_MAX;
        *bytes = i ? MT_MAX(*bytes, end) : end;
    }
    if (!count) *bytes = 0;
    *scratch_at = *bytes;
    if (!mt_add(bytes, *bytes, scratch))
        return mt_err_set(err, MT_ERR_LIMIT, "%s: too large", g->name);
    return MT_OK;
}
