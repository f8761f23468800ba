/* Reductions over axes, ArgMax/ArgMin, TopK, CumSum. Sums run in double: the order never matters to
 * a float's last bit more than it must. */
#include "models/ops/op.h"

typedef enum kind {
    R_SUM,
    R_MEAN,
    R_MAX,
    R_MIN,
    R_PROD,
    R_L1,
    R_L2,
    R_SQUARE,
    R_LOGSUM,
    R_LOGSUMEXP
} kind;
static const struct { const char *name; kind k; int axes_input_since;
} kinds[] = {
    {"ReduceSum", R_SUM, 13},       {"ReduceMean", R_MEAN, 18},
    {"ReduceMax", R_MAX, 18},       {"ReduceMin", R_MIN, 18},
    {"ReduceProd", R_PROD, 18},     {"ReduceL1", R_L1, 18},
    {"ReduceL2", R_L2, 18},         {"ReduceSumSquare", R_SQUARE, 18},
    {"ReduceLogSum", R_LOGSUM, 18}, {"ReduceLogSumExp", R_LOGSUMEXP, 18},
};

typedef struct params {
    kind k;
    bool over[MT_MAX_DIMS];
    bool noop;
    int axis, last, largest;     /* ArgX, TopK */
    bool keepdims;
} params;

MT_INFER(mt_infer_reduce)
{
    MT_TRY(mt_need_inputs(g, n, 1, 2, err));
    const mt_tensor *x = &mt_in(g, n, 0)->t;
    params *p = mt_graph_mem(g, sizeof *p, err);
    if (!p) return MT_ERR_NO_MEMORY;
    n->params = p;
    int since = 99, count, d;
    for (size_t i = 0; i < MT_COUNT(kinds); i++)
        if (!strcmp(kinds[i].name, n->op->name)) {
            p->k = kinds[i].k;
            since = kinds[i].axes_input_since;
        }
    bool order = p->k == R_MAX || p->k == R_MIN;
    MT_TRY(mt_need_type(g, n, 0, order ? MT_T_ANY : MT_T_FLOAT | MT_T_INDEX, err));
    int64_t axes[MT_MAX_DIMS], dims[MT_MAX_DIMS];
    MT_TRY(mt_node_ints(axes, &count, MT_MAX_DIMS, g, n, n->opset >= since ? 1 : -1,
                        n->opset >= since ? NULL : "axes", err));
    if (count <= 0) {
        p->noop = mt_attr_int(n, "noop_with_empty_axes", 0) != 0;
        for (d = 0; d < x->rank; d++) p->over[d] = !p->noop;
    }
    for (int i = 0; i < count; i++) {
        MT_TRY(mt_axis(&d, n, axes[i], x->rank, "axis", err));
        p->over[d] = true;
    }
    bool keep = mt_attr_int(n, "keepdims", 1) != 0;
    int rank = 0;
    for (d = 0; d < x->rank; d++) {
        if (p->over[d] && !keep) continue;
        dims[rank++] = p->over[d] ? 1 : x->dims[d];
    }
    return mt_set_out(g, n, 0, x->dtype, rank, dims, err);
}

static double reduce_step(kind k, double acc, double v)
{
    switch (k) {
    case R_MAX: return v > acc || v != v ? v : acc;
    case R_MIN: return v < acc || v != v ? v : acc;
    case R_PROD: return acc * v;
    case R_L1: return acc + fabs(v);
    case R_L2: case R_SQUARE: return acc + v * v;
    default: return acc + v;
    }
}

static double reduce_end(kind k, double acc, double count)
{
    switch (k) {
    case R_MEAN: return acc / count;
    case R_L2: return sqrt(acc);
    case R_LOGSUM: return log(acc);
    default: return acc;
    }
}

/* The reduced dimensions, neighbours that lie behind one another in memory made one. */
typedef struct walk {
    int rank;
    int64_t dims[MT_MAX_DIMS], stride[MT_MAX_DIMS], count;
} walk;

static void walk_add(walk *w, int64_t len, int64_t stride)
{
    w->count *= len;
    if (w->rank && w->stride[w->rank - 1] == len * stride) {
        w->dims[w->rank - 1] *= len;
        w->stride[w->rank - 1] = stride;
        return;
    }
    w->dims[w->rank] = len;
    w->stride[w->rank++] = stride;
}

/* Calls for every run of equally spaced elements below base. */
#define EACH_RUN(w, base, at, len, step, ...)                                                      \
    do {                                                                                           \
        int64_t idx_[MT_MAX_DIMS] = {0};                                                           \
        const int64_t len = (w)->rank ? (w)->dims[(w)->rank - 1] : 1,                              \
                      step = (w)->rank ? (w)->stride[(w)->rank - 1] : 0;                           \
        do {                                                                                       \
            int64_t at = (base);                                                                   \
            for (int d_ = 0; d_ < (w)->rank - 1; d_++) at += idx_[d_] * (w)->stride[d_];           \
            __VA_ARGS__                                                                            \
        } while (mt_next(idx_, (w)->dims, (w)->rank - 1));                                         \
    } while (0)

static float reduce_float(kind k, const float *x, const walk *w, int64_t base)
{
    double acc = k == R_MAX ? -INFINITY : k == R_MIN ? INFINITY : k == R_PROD ? 1.0 : 0.0;
    if (!w->count) return (float)(k == R_LOGSUMEXP ? -INFINITY : reduce_end(k, acc, 0));
    if (k == R_SUM || k == R_MEAN || k == R_LOGSUM) {
        EACH_RUN(w, base, at, len, step, for (int64_t i = 0; i < len; i++) acc += x[at + i * step];);
        return (float)reduce_end(k, acc, (double)w->count);
    }
    if (k == R_LOGSUMEXP) {
        double peak = -INFINITY;
        EACH_RUN(w, base, at, len, step, for (int64_t i = 0; i < len; i++) peak =
                                             reduce_step(R_MAX, peak, (double)x[at + i * step]););
        if (isinf(peak) || isnan(peak)) return (float)peak; /* the other terms are nothing to it */
        EACH_RUN(w, base, at, len, step,
                 for (int64_t i = 0; i < len; i++) acc += exp((double)x[at + i * step] - peak););
        return (float)(log(acc) + peak);
    }
    EACH_RUN(w, base, at, len, step, for (int64_t i = 0; i < len; i++) acc =
                                         reduce_step(k, acc, (double)x[at + i * step]););
    return (float)reduce_end(k, acc, (double)w->count);
}

/* Integers: exact, sums and products wrap around; the empty maximum is the least value. */
static int64_t reduce_int(kind k, const mt_tensor *x, const walk *w, int64_t base)
{
    uint64_t acc = k == R_PROD;
    int64_t best = 0;
    bool none = true;
    double logs = 0;
    if (w->count)
        EACH_RUN(w, base, at, len, step, for (int64_t i = 0; i < len; i++) {
            int64_t v = mt_tensor_int(x, at + i * step);
            if (none || (k == R_MAX ? v > best : v < best)) best = v;
            none = false;
            if (k == R_PROD) acc *= (uint64_t)v;
            else if (k == R_L1) acc += v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
            else if (k == R_L2 || k == R_SQUARE) acc += (uint64_t)v * (uint64_t)v;
            else if (k == R_LOGSUMEXP) logs += exp((double)v);
            else acc += (uint64_t)v;
        });
    switch (k) {
    case R_MAX: case R_MIN:
        if (!none) return best;
        if (x->dtype == MT_DT_BOOL) return k == R_MIN;
        if (x->dtype == MT_DT_U8) return k == R_MIN ? 255 : 0;
        if (x->dtype == MT_DT_I8) return k == R_MIN ? 127 : -128;
        if (x->dtype == MT_DT_I32) return k == R_MIN ? INT32_MAX : INT32_MIN;
        return k == R_MIN ? INT64_MAX : INT64_MIN;
    case R_MEAN: return w->count ? (int64_t)acc / w->count : 0;
    case R_L2: return (int64_t)sqrt((double)acc);
    case R_LOGSUM: return acc ? (int64_t)log((double)(int64_t)acc) : INT64_MIN;
    case R_LOGSUMEXP: return logs > 0 && logs < INFINITY ? (int64_t)log(logs) : INT64_MIN;
    default: return (int64_t)acc;
    }
}

MT_RUN(mt_run_reduce)
{
    const params *p = c->node->params;
    const mt_tensor *x = c->in[0];
    mt_tensor *o = c->out[0];
    int64_t s[MT_MAX_DIMS], kdims[MT_MAX_DIMS], kstride[MT_MAX_DIMS], idx[MT_MAX_DIMS] = {0},
        total = mt_tensor_count(o);
    int krank = 0;
    walk w = {.count = 1};
    mt_strides(s, x);
    if (p->noop) {
        if (mt_tensor_bytes(x)) memcpy(o->data, x->data, mt_tensor_bytes(x));
        return MT_OK;
    }
    for (int d = 0; d < x->rank; d++) {
        if (p->over[d]) walk_add(&w, x->dims[d], s[d]);
        else { kdims[krank] = x->dims[d]; kstride[krank++] = s[d]; }
    }
    for (int64_t i = 0; i < total; i++, mt_next(idx, kdims, krank)) {
        int64_t base = 0;
        for (int d = 0; d < krank; d++) base += idx[d] * kstride[d];
        if (x->dtype == MT_DT_F32) ((float *)o->data)[i] = reduce_float(p->k, x->data, &w, base);
        else mt_tensor_set_int(o, i, reduce_int(p->k, x, &w, base));
    }
    return MT_OK;
}

/* --- ArgMax, ArgMin --- */

MT_INFER(mt_infer_argmax)
{
    MT_TRY(mt_need_inputs(g, n, 1, 1, err));
    MT_TRY(mt_need_type(g, n, 0, MT_T_NUM, err));
    const mt_tensor *x = &mt_in(g, n, 0)->t;
    params *p = mt_graph_mem(g, sizeof *p, err);
    if (!p) return MT_ERR_NO_MEMORY;
    n->params = p;
    p->largest = !strcmp(n->op->name, "ArgMax");
    p->last = mt_attr_int(n, "select_last_index", 0) != 0;
    MT_TRY(mt_axis(&p->axis, n, mt_attr_int(n, "axis", 0), x->rank, "axis", err));
    if (!x->dims[p->axis])
        return mt_node_fail(n, err, MT_ERR_FORMAT, "dimension %d is empty", p->axis);
    int64_t dims[MT_MAX_DIMS];
    int rank = 0;
    bool keep = mt_attr_int(n, "keepdims", 1) != 0;
    for (int d = 0; d < x->rank; d++)
        if (d != p->axis || keep) dims[rank++] = d == p->axis ? 1 : x->dims[d];
    return mt_set_out(g, n, 0, MT_DT_I64, rank, dims, err);
}

static void split_at(const mt_tensor *x, int axis, int64_t *outer, int64_t *len, int64_t *inner)
{
    *outer = *inner = 1;
    for (int d = 0; d < axis; d++) *outer *= x->dims[d];
    for (int d = axis + 1; d < x->rank; d++) *inner *= x->dims[d];
    *len = x->dims[axis];
}

/* -1, 0 or 1 as element a is less than, equal to or greater than b; NaN is less than any number. */
static int compare_at(const mt_tensor *x, int64_t a, int64_t b)
{
    if (x->dtype == MT_DT_F32) {
        float u = ((const float *)x->data)[a], v = ((const float *)x->data)[b];
        if (u != u || v != v) return (v != v) - (u != u);
        return (u > v) - (u < v);
    }
    int64_t u = mt_tensor_int(x, a), v = mt_tensor_int(x, b);
    return (u > v) - (u < v);
}

MT_RUN(mt_run_argmax)
{
    const params *p = c->node->params;
    int64_t outer, len, inner, *d = c->out[0]->data;
    split_at(c->in[0], p->axis, &outer, &len, &inner);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < inner; i++) {
            int64_t best = 0, base = o * len * inner + i;
            for (int64_t j = 1; j < len; j++) {
                int order = compare_at(c->in[0], base + j * inner, base + best * inner);
                if ((p->largest ? order > 0 : order < 0) || (p->last && !order)) best = j;
            }
            *d++ = best;
        }
    return MT_OK;
}

/* --- TopK --- */

MT_INFER(mt_infer_topk)
{
    MT_TRY(mt_need_inputs(g, n, 1, 2, err));
    MT_TRY(mt_need_type(g, n, 0, MT_T_NUM, err));
    const mt_tensor *x = &mt_in(g, n, 0)->t;
    params *p = mt_graph_mem(g, sizeof *p, err);
    if (!p) return MT_ERR_NO_MEMORY;
    n->params = p;
    p->largest = mt_attr_int(n, "largest", 1) != 0;
    MT_TRY(mt_axis(&p->axis, n, mt_attr_int(n, "axis", -1), x->rank, "axis", err));
    int64_t k, dims[MT_MAX_DIMS];
    int count;
    MT_TRY(
        mt_node_ints(&k, &count, 1, g, n, n->opset < 10 ? -1 : 1, n->opset < 10 ? "k" : NULL, err));
    if (count != 1 || k < 0 || k > x->dims[p->axis])
        return mt_node_fail(n, err, MT_ERR_FORMAT, "k = %lld of a dimension of %lld",
                            count == 1 ? (long long)k : -1LL, (long long)x->dims[p->axis]);
    memcpy(dims, x->dims, sizeof dims);
    dims[p->axis] = k;
    size_t scratch;
    if (!mt_mul(&scratch, (size_t)x->dims[p->axis], sizeof(int64_t)))
        return mt_node_fail(n, err, MT_ERR_LIMIT, "too large");
    n->scratch = scratch;
    MT_TRY(mt_set_out(g, n, 0, x->dtype, x->rank, dims, err));
    return mt_set_out(g, n, 1, MT_DT_I64, x->rank, dims, err);
}

typedef struct order { const mt_tensor *x; int64_t base, step; int largest; } order;

/* Total order: by value, equal values by lower index first, NaN below all numbers. */
static bool before(const order *r, int64_t a, int64_t b)
{
    int cmp = compare_at(r->x, r->base + a * r->step, r->base + b * r->step);
    return cmp ? (r->largest ? cmp > 0 : cmp < 0) : a < b;
}

static void sift(const order *r, int64_t *heap, int64_t i, int64_t n)
{
    for (;;) {
        int64_t worst = i, l = 2 * i + 1;
        if (l < n && before(r, heap[worst], heap[l])) worst = l;
        if (l + 1 < n && before(r, heap[worst], heap[l + 1])) worst = l + 1;
        if (worst == i) return;
        int64_t t = heap[i];
        heap[i] = heap[worst];
        heap[worst] = t;
        i = worst;
    }
}

MT_RUN(mt_run_topk)
{
    const params *p = c->node->params;
    const mt_tensor *x = c->in[0];
    mt_tensor *vals = c->out[0], *idx = c->node->n_out > 1 ? c->out[1] : NULL;
    int64_t outer, len, inner, k = c->out[0] ? c->out[0]->dims[p->axis] : idx->dims[p->axis],
                               *heap = c->scratch;
    split_at(x, p->axis, &outer, &len, &inner);
    size_t size = mt_dtype_size(x->dtype);
    for (int64_t o = 0; k && o < outer; o++)
        for (int64_t i = 0; i < inner; i++) {
            order r = {x, o * len * inner + i, inner, p->largest};
            for (int64_t j = 0; j < k; j++) heap[j] = j;
            for (int64_t j = k / 2; j-- > 0;) sift(&r, heap, j, k);
            for (int64_t j = k; j < len; j++)
                if (before(&r, j, heap[0])) heap[0] = j, sift(&r, heap, 0, k);
            for (int64_t j = k; j-- > 0;) { /* worst first: fill from the end */
                int64_t at = (o * k + j) * inner + i, from = heap[0];
                if (vals)
                    memcpy((char *)vals->data + (size_t)at * size,
                           (const char *)x->data + (size_t)(r.base + from * inner) * size, size);
                if (idx) ((int64_t *)idx->data)[at] = from;
                heap[0] = heap[j];
                sift(&r, heap, 0, j);
            }
        }
    return MT_OK;
}

/* --- CumSum --- */

MT_INFER(mt_infer_cumsum)
{
    MT_TRY(mt_need_inputs(g, n, 2, 2, err));
    MT_TRY(mt_need_type(g, n, 0, MT_T_FLOAT | MT_T_INDEX, err));
    params *p = mt_graph_mem(g, sizeof *p, err);
    if (!p) return MT_ERR_NO_MEMORY;
    n->params = p;
    int64_t axis;
    int count;
    MT_TRY(mt_node_ints(&axis, &count, 1, g, n, 1, NULL, err));
    if (count != 1) return mt_node_fail(n, err, MT_ERR_FORMAT, "no axis");
    MT_TRY(mt_axis(&p->axis, n, axis, mt_in(g, n, 0)->t.rank, "axis", err));
    return mt_set_out_like(g, n, 0, mt_in(g, n, 0), err);
}

MT_RUN(mt_run_cumsum)
{
    const params *p = c->node->params;
    bool exclusive = mt_attr_int(c->node, "exclusive", 0),
         reverse = mt_attr_int(c->node, "reverse", 0);
    int64_t outer, len, inner;
    split_at(c->in[0], p->axis, &outer, &len, &inner);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < inner; i++) {
            double sum = 0;
            uint64_t whole = 0;
            for (int64_t j = 0; j < len; j++) {
                int64_t at = (o * len + (reverse ? len - 1 - j : j)) * inner + i;
                if (c->in[0]->dtype == MT_DT_F32) {
                    double next = sum + (double)((const float *)c->in[0]->data)[at];
                    ((float *)c->out[0]->data)[at] = (float)(exclusive ? sum : next);
                    sum = next;
                } else {
                    uint64_t next = whole + (uint64_t)mt_tensor_int(c->in[0], at);
                    mt_tensor_set_int(c->out[0], at, (int64_t)(exclusive ? whole : next));
                    whole = next;
                }
            }
        }
    return MT_OK;
}

/* --- Trilu --- */

MT_INFER(mt_infer_trilu)
{
    MT_TRY(mt_need_inputs(g, n, 1, 2, err));
    const mt_value *x = mt_in(g, n, 0);
    if (x->t.rank < 2) return mt_node_fail(n, err, MT_ERR_FORMAT, "rank %d", x->t.rank);
    int64_t *k = mt_graph_mem(g, sizeof *k, err);
    int count;
    if (!k) return MT_ERR_NO_MEMORY;
    n->params = k;
    MT_TRY(mt_node_ints(k, &count, 1, g, n, 1, NULL, err));
    if (count < 1) *k = 0;
    if (*k > (int64_t)1 << 40 || *k < -((int64_t)1 << 40))
        return mt_node_fail(n, err, MT_ERR_FORMAT, "k = %lld", (long long)*k);
    return mt_set_out_like(g, n, 0, x, err);
}

MT_RUN(mt_run_trilu)
{
    const mt_tensor *x = c->in[0];
    int64_t k = *(const int64_t *)c->node->params, h = x->dims[x->rank - 2],
            w = x->dims[x->rank - 1];
    bool upper = mt_attr_int(c->node, "upper", 1) != 0;
    size_t size = mt_dtype_size(x->dtype);
    for (int64_t i = 0, n = mt_tensor_count(x); i < n; i++) {
        int64_t r = i / w % h, col = i % w;
        char *d = (char *)c->out[0]->data + (size_t)i * size;
        if (upper ? col - r >= k : col - r <= k)
            memcpy(d, (const char *)x->data + (size_t)i * size, size);
        else memset(d, 0, size);
    }
    return MT_OK;
}
