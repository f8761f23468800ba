#include "models/passes/view.h"

#include "models/ops/op.h"

void mt_view_fresh(mt_view *v, const mt_graph *g, int value)
{
    const mt_tensor *t = &g->values[value]->t;
    int64_t stride[MT_MAX_DIMS];
    memset(v, 0, sizeof *v);
    mt_strides(stride, t);
    v->root = value;
    v->scale = 1.0f;
    v->rank = t->rank;
    for (int d = 0; d < t->rank; d++)
        if (t->dims[d] != 1) {
            v->dim[d].n = 1;
            v->dim[d].size[0] = t->dims[d];
            v->dim[d].stride[0] = stride[d];
        }
}

/* One more factor inside dimension d; neighbours that continue each other are one. */
static bool put(mt_view_dim *d, int64_t size, int64_t stride)
{
    if (d->n && d->stride[d->n - 1] == size * stride) {
        d->size[d->n - 1] *= size;
        d->stride[d->n - 1] = stride;
        return true;
    }
    if (d->n == MT_VIEW_FACTORS) return false;
    d->size[d->n] = size;
    d->stride[d->n++] = stride;
    return true;
}

static bool reshape(mt_view *v, const mt_tensor *to)
{
    mt_view r = *v;
    int64_t size = 1, stride = 0; /* what is left of the factor in hand */
    int d = 0, f = 0;
    r.rank = to->rank;
    memset(r.dim, 0, sizeof r.dim);
    for (int o = 0; o < to->rank; o++) {
        for (int64_t need = to->dims[o]; need > 1;) {
            if (size == 1) {
                while (d < v->rank && f == v->dim[d].n) {
                    d++;
                    f = 0;
                }
                if (d == v->rank) return false;
                size = v->dim[d].size[f];
                stride = v->dim[d].stride[f++];
                if (size < 1) return false; /* an empty tensor */
            }
            if (need % size == 0) { /* the whole factor */
                if (!put(&r.dim[o], size, stride)) return false;
                need /= size;
                size = 1;
            } else if (size % need == 0) { /* its outer part */
                size /= need;
                if (!put(&r.dim[o], need, stride * size)) return false;
                need = 1;
            } else {
                return false;
            }
        }
    }
    *v = r;
    return true;
}

static void transpose(mt_view *v, const int *perm, bool inverse)
{
    mt_view r = *v;
    for (int d = 0; d < v->rank; d++) {
        if (inverse) r.dim[perm[d]] = v->dim[d];
        else r.dim[d] = v->dim[perm[d]];
    }
    *v = r;
}

static bool cut(mt_view *v, int d, int64_t start, int64_t step, int64_t len)
{
    mt_view_dim *x = &v->dim[d];
    int64_t size = x->n ? x->size[0] : 1;
    if (start == 0 && len == size && x->n <= 1) return true;
    if (x->n > 1) { /* whole dimension only */
        for (int f = 1; f < x->n; f++) size *= x->size[f];
        return start == 0 && step == 1 && len == size;
    }
    if (len < 1 || step < 1) return false;
    if (x->n) v->base += start * x->stride[0];
    if (len == 1) x->n = 0;
    else {
        x->size[0] = len;
        x->stride[0] *= step;
    }
    return true;
}

static bool through_slice(mt_view *v, const mt_graph *g, const mt_node *n)
{
    const mt_slice_params *p = n->params;
    const mt_tensor *o = &g->values[n->out[0]]->t;
    for (int d = 0; d < v->rank; d++)
        if (!cut(v, d, p->start[d], p->step[d], o->dims[d])) return false;
    return true;
}

static bool through_split(mt_view *v, const mt_node *n, int value)
{
    const mt_split_params *p = n->params;
    int64_t start = 0;
    for (int i = 0; i < n->n_out; start += p->parts[i++])
        if (n->out[i] == value) return cut(v, p->axis, start, 1, p->parts[i]);
    return false;
}

static bool through_gather(mt_view *v, const mt_graph *g, const mt_node *n)
{
    const mt_value *ix = g->values[n->in[1]];
    int64_t axis = mt_attr_int(n, "axis", 0);
    if (axis < 0) axis += v->rank;
    if (!ix->constant || mt_tensor_count(&ix->t) != 1) return false;
    int64_t i = mt_tensor_int(&ix->t, 0), len = g->values[n->in[0]]->t.dims[axis];
    if (i < 0) i += len;
    if (i < 0 || i >= len || !cut(v, (int)axis, i, 1, 1)) return false;
    return reshape(v, &g->values[n->out[0]]->t);
}

/* The number an element-wise Mul or Div has on one side, as a factor; 0 when there is none. */
static float factor_of(const mt_graph *g, const mt_node *n, int *data)
{
    bool mul = mt_node_is(n, "Mul"), div = mt_node_is(n, "Div");
    if ((!mul && !div) || n->n_in != 2 || n->act != MT_ACT_NONE) return 0.0f;
    for (int i = mul ? 0 : 1; i < 2; i++) {
        const mt_value *c = g->values[n->in[i]];
        if (!c->constant || c->t.dtype != MT_DT_F32 || mt_tensor_count(&c->t) != 1) continue;
        const mt_tensor *x = &g->values[n->in[!i]]->t, *o = &g->values[n->out[0]]->t;
        if (x->rank != o->rank) continue;
        float f = *(const float *)c->t.data;
        *data = n->in[!i];
        return mul ? f : 1.0f / f;
    }
    return 0.0f;
}

bool mt_view_passes(const mt_graph *g, const mt_node *n)
{
    if (!n->op || n->n_in < 1 || n->in[0] < 0 || g->values[n->in[0]]->half) return false;
    return !n->op->run || mt_node_is(n, "Transpose");
}

/* What node n, which makes `value`, does to a view of its input. */
static bool step(mt_view *v, const mt_graph *g, const mt_node *n, int value)
{
    if (mt_node_is(n, "Transpose")) {
        transpose(v, ((const mt_perm_params *)n->params)->perm, false);
        return true;
    }
    if (mt_node_is(n, "Slice")) return through_slice(v, g, n);
    if (mt_node_is(n, "Split")) return through_split(v, n, value);
    if (mt_node_is(n, "Gather")) return through_gather(v, g, n);
    return !n->op->run && reshape(v, &g->values[value]->t);
}

enum { LONGEST = 16 };

void mt_view_trace(mt_view *v, mt_graph *g, int value)
{
    mt_node *chain[LONGEST];
    int made[LONGEST], n = 0, at = value;
    float scale = 1.0f;
    while (n < LONGEST) {
        mt_node *p = mt_graph_producer(g, at);
        int data;
        float f = p ? factor_of(g, p, &data) : 0.0f;
        if (f != 0.0f && f - f == 0.0f) {
            chain[n] = NULL;
            made[n++] = at;
            scale *= f;
            at = data;
            continue;
        }
        if (!p || p->n_in < 1 || p->in[0] < 0 || g->values[at]->t.dtype != MT_DT_F32 ||
            !(mt_view_passes(g, p) || mt_node_is(p, "Slice") || mt_node_is(p, "Split") ||
              mt_node_is(p, "Gather")))
            break;
        chain[n] = p;
        made[n++] = at;
        at = p->in[0];
    }
    mt_view_fresh(v, g, at);
    for (int i = n - 1; i >= 0; i--) {
        if (!chain[i] || step(v, g, chain[i], made[i])) continue;
        mt_view_fresh(v, g, made[i]); /* this one does move floats: start behind it */
        scale = 1.0f;
        for (int j = i - 1; j >= 0; j--) {
            int data;
            if (!chain[j]) scale *= factor_of(g, mt_graph_producer(g, made[j]), &data);
        }
    }
    v->scale = scale;
}

bool mt_view_inverse(mt_view *v, mt_graph *g, int from, mt_node *const *chain, int steps)
{
    mt_view_fresh(v, g, steps ? chain[steps - 1]->out[0] : from);
    for (int i = steps - 1; i >= 0; i--) {
        if (mt_node_is(chain[i], "Transpose"))
            transpose(v, ((const mt_perm_params *)chain[i]->params)->perm, true);
        else if (!reshape(v, &g->values[chain[i]->in[0]]->t)) return false;
    }
    return true;
}

mt_status mt_view_places(int64_t **at, int64_t *n, const mt_view *v, int lo, int hi, int64_t start,
                         mt_graph *g, mt_err *err)
{
    *n = 1;
    for (int d = lo; d < hi; d++)
        for (int f = 0; f < v->dim[d].n; f++) *n *= v->dim[d].size[f];
    int64_t *p = *at = mt_graph_mem(g, (size_t)*n * sizeof *p, err), have = 1;
    if (!p) return MT_ERR_NO_MEMORY;
    p[0] = start;
    for (int d = lo; d < hi; d++) /* every factor makes a row of each place */
        for (int f = 0; f < v->dim[d].n; f++) {
            int64_t size = v->dim[d].size[f], stride = v->dim[d].stride[f];
            for (int64_t i = have - 1; i >= 0; i--)
                for (int64_t j = size - 1; j >= 0; j--) p[i * size + j] = p[i] + j * stride;
            have *= size;
        }
    return MT_OK;
}

bool mt_view_together(const mt_view *v, int d)
{
    return v->dim[d].n == 0 || (v->dim[d].n == 1 && v->dim[d].stride[0] == 1);
}
