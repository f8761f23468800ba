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
    int64_t keep[MT_MAX_DIMS]; /* output strides through the input's dimensions: 0 where reduced */
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
    int64_t axes[MT_MAX_DIMS], dims[MT_MAX_DIMS], stride = 1;
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
    for (d = x->rank - 1; d >= 0; d--) {
        p->keep[d] = p->over[d] ? 0 : stride;
        if (!p->over[d]) stride *= x->dims[d];
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

/* Elements of one output: the reduced dimensions walked from `base`. */
static double reduce_one(const params *p, const mt_tensor *x, const int64_t *s, int64_t base,
                         const int64_t *rdims, const int64_t *rstride, int rrank)
{
    const float *f = x->data;
    bool is_float = x->dtype == MT_DT_F32;
    double acc = p->k == R_MAX    ? -INFINITY
                 : p->k == R_MIN  ? INFINITY
                 : p->k == R_PROD ? 1.0
                                  : 0.0,
           peak = -INFINITY;
    int64_t count = 1;
    for (int d = 0; d < rrank; d++) count *= rdims[d];
    for (int pass = p->k == R_LOGSUMEXP ? 0 : 1; pass < 2 && count; pass++) {
        int64_t idx[MT_MAX_DIMS] = {0};
        do {
            int64_t at = base;
            for (int d = 0; d < rrank; d++) at += idx[d] * rstride[d];
            double v = is_float ? (double)f[at] : (double)mt_tensor_int(x, at);
            if (p->k != R_LOGSUMEXP) acc = reduce_step(p->k, acc, v);
            else if (!pass) peak = v > peak ? v : peak;
            else acc += exp(v - peak);
        } while (mt_next(idx, rdims, rrank));
    }
    (void)s;
    if (p->k == R_LOGSUMEXP) return log(acc) + peak;
    return reduce_end(p->k, acc, (double)count);
}

static void store(mt_tensor *o, int64_t i, double v)
{
    switch (o->dtype) {
    case MT_DT_F32: ((float *)o->data)[i] = (float)v; break;
    case MT_DT_I64:
        ((int64_t *)o->data)[i] = fabs(v) < 9.2e18 ? (int64_t)v : v > 0 ? INT64_MAX : INT64_MIN;
        break;
    case MT_DT_I32:
        ((int32_t *)o->data)[i] = fabs(v) < 2147483648.0 ? (int32_t)v
                                  : v > 0                ? INT32_MAX
                                                         : INT32_MIN;
        break;
    case MT_DT_I8: ((int8_t *)o->data)[i] = (int8_t)MT_MAX(-128.0, MT_MIN(127.0, v)); break;
    case MT_DT_U8: ((uint8_t *)o->data)[i] = (uint8_t)MT_MAX(0.0, MT_MIN(255.0, v)); break;
    case MT_DT_BOOL: ((uint8_t *)o->data)[i] = v > 0; break;
    case MT_DT_F16: break;
    }
}

MT_RUN(mt_run_reduce)
{
    const params *p = c->node->params;
    const mt_tensor *x = c->in[0];
    mt_tensor *o = c->out[0];
    int64_t s[MT_MAX_DIMS], kdims[MT_MAX_DIMS], kstride[MT_MAX_DIMS], rdims[MT_MAX_DIMS],
        rstride[MT_MAX_DIMS];
    int64_t idx[MT_MAX_DIMS] = {0}, total = mt_tensor_count(o);
    int krank = 0, rrank = 0;
    mt_strides(s, x);
    if (p->noop) {
        if (mt_tensor_bytes(x)) memcpy(o->data, x->data, mt_tensor_bytes(x));
        return MT_OK;
    }
    for (int d = 0; d < x->rank; d++) {
        if (p->over[d]) { rdims[rrank] = x->dims[d]; rstride[rrank++] = s[d]; }
        else { kdims[krank] = x->dims[d]; kstride[krank++] = s[d]; }
    }
    for (int64_t i = 0; i < total; i++, mt_next(idx, kdims, krank)) {
        int64_t base = 0;
        for (int d = 0; d < krank; d++) base += idx[d] * kstride[d];
        store(o, i, reduce_one(p, x, s, base, rdims, rstride, rrank));
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

static double value_at(const mt_tensor *x, int64_t i)
{
    return x->dtype == MT_DT_F32 ? (double)((const float *)x->data)[i]
                                 : (double)mt_tensor_int(x, i);
}

MT_RUN(mt_run_argmax)
{
    const params *p = c->node->params;
    int64_t outer, len, inner, *d = c->out[0]->data;
    split_at(c->in[0], p->axis, &outer, &len, &inner);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < inner; i++) {
            int64_t best = 0;
            double top = value_at(c->in[0], o * len * inner + i);
            for (int64_t j = 1; j < len; j++) {
                double v = value_at(c->in[0], (o * len + j) * inner + i);
                if (p->largest ? v > top : v < top) best = j, top = v;
                else if (p->last && v == top) best = j;
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

/* Total order: by value, equal values by lower index first, NaN last. */
static bool before(const order *r, int64_t a, int64_t b)
{
    double va = value_at(r->x, r->base + a * r->step), vb = value_at(r->x, r->base + b * r->step);
    if (va != va || vb != vb) return va == va ? true : vb == vb ? false : a < b;
    if (va != vb) return r->largest ? va > vb : va < vb;
    return a < b;
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
            for (int64_t j = 0; j < len; j++) {
                int64_t at = (o * len + (reverse ? len - 1 - j : j)) * inner + i;
                double v = value_at(c->in[0], at);
                if (exclusive) store(c->out[0], at, sum);
                sum += v;
                if (!exclusive) store(c->out[0], at, sum);
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
