/* Operators that pick and place by index. Indices that the run brings are checked there: an index
 * out of range is an error of that run, never a wild read. */
#include "models/ops/op.h"

typedef struct axis_params { int axis, batch_dims; } axis_params;

static mt_status index_fail(const mt_call *c, int64_t index, int64_t len, mt_err *err)
{
    return mt_node_fail(c->node, err, MT_ERR_FORMAT, "index %lld of a dimension of %lld",
                        (long long)index, (long long)len);
}

/* Index i of t, negative counted from the end; -1 when out of range. */
static int64_t index_at(const mt_tensor *t, int64_t i, int64_t len)
{
    int64_t v = mt_tensor_int(t, i);
    if (v < 0) v += len;
    return v >= 0 && v < len ? v : -1;
}

MT_INFER(mt_infer_gather)
{
    MT_TRY(mt_need_inputs(g, n, 2, 2, err));
    MT_TRY(mt_need_type(g, n, 1, MT_T_INDEX, err));
    const mt_tensor *x = &mt_in(g, n, 0)->t, *ix = &mt_in(g, n, 1)->t;
    axis_params *p = mt_graph_mem(g, sizeof *p, err);
    if (!p) return MT_ERR_NO_MEMORY;
    n->params = p;
    MT_TRY(mt_axis(&p->axis, n, mt_attr_int(n, "axis", 0), x->rank, "axis", err));
    int64_t dims[2 * MT_MAX_DIMS];
    int rank = 0;
    for (int d = 0; d < p->axis; d++) dims[rank++] = x->dims[d];
    for (int d = 0; d < ix->rank; d++) dims[rank++] = ix->dims[d];
    for (int d = p->axis + 1; d < x->rank; d++) dims[rank++] = x->dims[d];
    return mt_set_out(g, n, 0, x->dtype, rank, dims, err);
}

MT_RUN(mt_run_gather)
{
    const mt_tensor *x = c->in[0], *ix = c->in[1];
    int axis = ((const axis_params *)c->node->params)->axis;
    int64_t outer = 1, count = mt_tensor_count(ix), len = x->dims[axis];
    size_t inner = mt_dtype_size(x->dtype);
    for (int d = 0; d < axis; d++) outer *= x->dims[d];
    for (int d = axis + 1; d < x->rank; d++) inner *= (size_t)x->dims[d];
    char *dst = c->out[0]->data;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < count; i++, dst += inner) {
            int64_t at = index_at(ix, i, len);
            if (at < 0) return index_fail(c, mt_tensor_int(ix, i), len, err);
            memcpy(dst, (const char *)x->data + (size_t)(o * len + at) * inner, inner);
        }
    return MT_OK;
}

MT_INFER(mt_infer_gather_elements)
{
    MT_TRY(mt_need_inputs(g, n, 2, 2, err));
    MT_TRY(mt_need_type(g, n, 1, MT_T_INDEX, err));
    const mt_tensor *x = &mt_in(g, n, 0)->t, *ix = &mt_in(g, n, 1)->t;
    axis_params *p = mt_graph_mem(g, sizeof *p, err);
    if (!p) return MT_ERR_NO_MEMORY;
    n->params = p;
    MT_TRY(mt_axis(&p->axis, n, mt_attr_int(n, "axis", 0), x->rank, "axis", err));
    if (ix->rank != x->rank)
        return mt_node_fail(n, err, MT_ERR_FORMAT, "ranks %d and %d", x->rank, ix->rank);
    for (int d = 0; d < x->rank; d++)
        if (d != p->axis && ix->dims[d] > x->dims[d])
            return mt_node_fail(n, err, MT_ERR_FORMAT, "indices pass the data in dimension %d", d);
    return mt_set_out(g, n, 0, x->dtype, ix->rank, ix->dims, err);
}

MT_RUN(mt_run_gather_elements)
{
    const mt_tensor *x = c->in[0], *ix = c->in[1];
    int axis = ((const axis_params *)c->node->params)->axis;
    int64_t s[MT_MAX_DIMS], idx[MT_MAX_DIMS] = {0}, total = mt_tensor_count(ix);
    mt_strides(s, x);
    size_t size = mt_dtype_size(x->dtype);
    for (int64_t i = 0; i < total; i++, mt_next(idx, ix->dims, ix->rank)) {
        int64_t pick = index_at(ix, i, x->dims[axis]), at = 0;
        if (pick < 0) return index_fail(c, mt_tensor_int(ix, i), x->dims[axis], err);
        for (int d = 0; d < x->rank; d++) at += (d == axis ? pick : idx[d]) * s[d];
        memcpy((char *)c->out[0]->data + (size_t)i * size,
               (const char *)x->data + (size_t)at * size, size);
    }
    return MT_OK;
}

MT_INFER(mt_infer_gather_nd)
{
    MT_TRY(mt_need_inputs(g, n, 2, 2, err));
    MT_TRY(mt_need_type(g, n, 1, MT_T(MT_DT_I64), err));
    const mt_tensor *x = &mt_in(g, n, 0)->t, *ix = &mt_in(g, n, 1)->t;
    axis_params *p = mt_graph_mem(g, sizeof *p, err);
    if (!p) return MT_ERR_NO_MEMORY;
    n->params = p;
    int64_t b = mt_attr_int(n, "batch_dims", 0);
    if (!x->rank || !ix->rank || b < 0 || b >= MT_MIN(x->rank, ix->rank))
        return mt_node_fail(n, err, MT_ERR_FORMAT, "ranks %d and %d, batch_dims %lld", x->rank,
                            ix->rank, (long long)b);
    int64_t k = ix->dims[ix->rank - 1], dims[2 * MT_MAX_DIMS];
    if (k < 1 || k + b > x->rank)
        return mt_node_fail(n, err, MT_ERR_FORMAT, "index of %lld dimensions", (long long)k);
    p->batch_dims = (int)b;
    int rank = 0;
    for (int d = 0; d < b; d++)
        if (x->dims[d] != ix->dims[d])
            return mt_node_fail(n, err, MT_ERR_FORMAT, "batch dimension %d differs", d);
    for (int d = 0; d < ix->rank - 1; d++) dims[rank++] = ix->dims[d];
    for (int d = (int)(b + k); d < x->rank; d++) dims[rank++] = x->dims[d];
    return mt_set_out(g, n, 0, x->dtype, rank, dims, err);
}

/* Element offset that index row r of ix means in x (batch part added by the caller); -1 out of
 * range. */
static int64_t nd_offset(const mt_tensor *ix, int64_t r, const mt_tensor *x, int first)
{
    int64_t s[MT_MAX_DIMS], at = 0, k = ix->dims[ix->rank - 1];
    mt_strides(s, x);
    for (int64_t j = 0; j < k; j++) {
        int64_t v = index_at(ix, r * k + j, x->dims[first + j]);
        if (v < 0) return -1;
        at += v * s[first + j];
    }
    return at;
}

MT_RUN(mt_run_gather_nd)
{
    const mt_tensor *x = c->in[0], *ix = c->in[1];
    int b = ((const axis_params *)c->node->params)->batch_dims;
    int64_t k = ix->dims[ix->rank - 1], rows = k ? mt_tensor_count(ix) / k : 0, batches = 1,
            stride = 1, inner = 1;
    for (int d = 0; d < b; d++) batches *= x->dims[d];
    for (int d = b; d < x->rank; d++) stride *= x->dims[d];
    for (int d = b + (int)k; d < x->rank; d++) inner *= x->dims[d];
    size_t bytes = (size_t)inner * mt_dtype_size(x->dtype);
    for (int64_t r = 0; r < rows; r++) {
        int64_t at = nd_offset(ix, r, x, b);
        if (at < 0)
            return mt_node_fail(c->node, err, MT_ERR_FORMAT, "index row %lld is out of range",
                                (long long)r);
        at += batches ? r / (rows / batches) * stride : 0;
        memcpy((char *)c->out[0]->data + (size_t)r * bytes,
               (const char *)x->data + (size_t)at * mt_dtype_size(x->dtype), bytes);
    }
    return MT_OK;
}

static mt_status need_plain_scatter(mt_graph *g, mt_node *n, mt_err *err)
{
    const char *r = mt_attr_str(n, "reduction", "none");
    if (strcmp(r, "none") && strcmp(r, "add") && strcmp(r, "mul") && strcmp(r, "max") &&
        strcmp(r, "min"))
        return mt_node_unsupported(g, n, err, "reduction %.20s", r);
    return MT_OK;
}

/* Element `at` of o joined with element i of u. Bool: add and max are or, mul and min are and. */
static void scatter_one(mt_tensor *o, int64_t at, const mt_tensor *u, int64_t i, const char *r)
{
    bool add = r[0] == 'a', mul = r[1] == 'u', max = r[1] == 'a'; /* add mul max min */
    if (o->dtype == MT_DT_F32) {
        float *d = (float *)o->data + at, v = ((const float *)u->data)[i];
        if (add) *d += v;
        else if (mul) *d *= v;
        else if (max ? v > *d : v < *d) *d = v;
        return;
    }
    int64_t d = mt_tensor_int(o, at), v = mt_tensor_int(u, i);
    if (o->dtype == MT_DT_BOOL) v = add || max ? d | v : d & v;
    else if (add) v = (int64_t)((uint64_t)d + (uint64_t)v);
    else if (mul) v = (int64_t)((uint64_t)d * (uint64_t)v);
    else if (max ? v <= d : v >= d) v = d;
    mt_tensor_set_int(o, at, v);
}

MT_INFER(mt_infer_scatter_nd)
{
    MT_TRY(mt_need_inputs(g, n, 3, 3, err));
    MT_TRY(mt_need_type(g, n, 1, MT_T(MT_DT_I64), err));
    MT_TRY(need_plain_scatter(g, n, err));
    const mt_value *x = mt_in(g, n, 0);
    const mt_tensor *ix = &mt_in(g, n, 1)->t, *u = &mt_in(g, n, 2)->t;
    if (!ix->rank || ix->dims[ix->rank - 1] < 1 || ix->dims[ix->rank - 1] > x->t.rank ||
        u->dtype != x->t.dtype)
        return mt_node_fail(n, err, MT_ERR_FORMAT, "indices or updates do not fit the data");
    int64_t k = ix->dims[ix->rank - 1], want = 1;
    for (int d = 0; d < ix->rank - 1; d++) want *= ix->dims[d];
    for (int d = (int)k; d < x->t.rank; d++) want *= x->t.dims[d];
    if (want != mt_tensor_count(u))
        return mt_node_fail(n, err, MT_ERR_FORMAT, "%lld updates, expected %lld",
                            (long long)mt_tensor_count(u), (long long)want);
    return mt_set_out_like(g, n, 0, x, err);
}

MT_RUN(mt_run_scatter_nd)
{
    const mt_tensor *x = c->in[0], *ix = c->in[1], *u = c->in[2];
    mt_tensor *o = c->out[0];
    const char *red = mt_attr_str(c->node, "reduction", "none");
    size_t size = mt_dtype_size(x->dtype);
    if (mt_tensor_bytes(x)) memcpy(o->data, x->data, mt_tensor_bytes(x));
    int64_t k = ix->dims[ix->rank - 1], rows = mt_tensor_count(ix) / k, inner = 1;
    for (int d = (int)k; d < x->rank; d++) inner *= x->dims[d];
    for (int64_t r = 0; r < rows; r++) {
        int64_t at = nd_offset(ix, r, x, 0);
        if (at < 0)
            return mt_node_fail(c->node, err, MT_ERR_FORMAT, "index row %lld is out of range",
                                (long long)r);
        if (!strcmp(red, "none"))
            memcpy((char *)o->data + (size_t)at * size,
                   (const char *)u->data + (size_t)(r * inner) * size, (size_t)inner * size);
        else
            for (int64_t i = 0; i < inner; i++)
                scatter_one(o, at + i, u, r * inner + i, red);
    }
    return MT_OK;
}

MT_INFER(mt_infer_scatter_elements)
{
    MT_TRY(mt_need_inputs(g, n, 3, 3, err));
    MT_TRY(mt_need_type(g, n, 1, MT_T_INDEX, err));
    MT_TRY(need_plain_scatter(g, n, err));
    const mt_value *x = mt_in(g, n, 0);
    const mt_tensor *ix = &mt_in(g, n, 1)->t, *u = &mt_in(g, n, 2)->t;
    axis_params *p = mt_graph_mem(g, sizeof *p, err);
    if (!p) return MT_ERR_NO_MEMORY;
    n->params = p;
    MT_TRY(mt_axis(&p->axis, n, mt_attr_int(n, "axis", 0), x->t.rank, "axis", err));
    bool fits = ix->rank == x->t.rank && u->rank == ix->rank && u->dtype == x->t.dtype;
    for (int d = 0; fits && d < ix->rank; d++)
        fits = ix->dims[d] == u->dims[d] && (d == p->axis || ix->dims[d] <= x->t.dims[d]);
    if (!fits) return mt_node_fail(n, err, MT_ERR_FORMAT, "indices or updates do not fit the data");
    return mt_set_out_like(g, n, 0, x, err);
}

MT_RUN(mt_run_scatter_elements)
{
    const mt_tensor *x = c->in[0], *ix = c->in[1], *u = c->in[2];
    mt_tensor *o = c->out[0];
    int axis = ((const axis_params *)c->node->params)->axis;
    const char *red = mt_attr_str(c->node, "reduction", "none");
    int64_t s[MT_MAX_DIMS], idx[MT_MAX_DIMS] = {0}, total = mt_tensor_count(ix);
    size_t size = mt_dtype_size(x->dtype);
    mt_strides(s, x);
    if (mt_tensor_bytes(x)) memcpy(o->data, x->data, mt_tensor_bytes(x));
    for (int64_t i = 0; i < total; i++, mt_next(idx, ix->dims, ix->rank)) {
        int64_t pick = index_at(ix, i, x->dims[axis]), at = 0;
        if (pick < 0) return index_fail(c, mt_tensor_int(ix, i), x->dims[axis], err);
        for (int d = 0; d < x->rank; d++) at += (d == axis ? pick : idx[d]) * s[d];
        if (!strcmp(red, "none"))
            memcpy((char *)o->data + (size_t)at * size, (const char *)u->data + (size_t)i * size,
                   size);
        else scatter_one(o, at, u, i, red);
    }
    return MT_OK;
}
