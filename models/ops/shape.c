/* Operators that change or tell the shape, and constants made from shapes. */
#include "models/ops/op.h"

MT_INFER(mt_infer_identity)
{
    MT_TRY(mt_need_inputs(g, n, 1, 1, err));
    return mt_set_out_like(g, n, 0, mt_in(g, n, 0), err);
}

/* At inference Dropout passes its input on; the mask, when asked for, is all true. */
MT_INFER(mt_infer_dropout)
{
    MT_TRY(mt_need_inputs(g, n, 1, n->opset < 12 ? 1 : 3, err));
    const mt_tensor *training = mt_const_in(g, n, 2), *ratio = mt_const_in(g, n, 1);
    bool nothing = ratio && mt_tensor_count(ratio) == 1 && ratio->dtype == MT_DT_F32 &&
                   *(const float *)ratio->data == 0.0f;
    if (mt_in(g, n, 2) && !nothing &&
        (!training || mt_tensor_count(training) != 1 || mt_tensor_int(training, 0)))
        return mt_node_unsupported(g, n, err, "training mode");
    const mt_value *x = mt_in(g, n, 0);
    if (n->opset < 10) MT_TRY(mt_set_out_like(g, n, 1, x, err));
    else MT_TRY(mt_set_out(g, n, 1, MT_DT_BOOL, x->t.rank, x->t.dims, err));
    return mt_set_out_like(g, n, 0, x, err);
}

MT_RUN(mt_run_dropout)
{
    if (c->out[0] && c->out[0]->data != c->in[0]->data && mt_tensor_bytes(c->in[0]))
        memcpy(c->out[0]->data, c->in[0]->data, mt_tensor_bytes(c->in[0]));
    if (c->node->n_out < 2 || !c->out[1]) return MT_OK;
    mt_tensor *mask = c->out[1];
    for (int64_t i = 0, n = mt_tensor_count(mask); i < n; i++) {
        if (mask->dtype == MT_DT_BOOL) ((uint8_t *)mask->data)[i] = 1;
        else ((float *)mask->data)[i] = 1.0f;
    }
    return MT_OK;
}

MT_INFER(mt_infer_reshape)
{
    MT_TRY(mt_need_inputs(g, n, 1, 2, err));
    int64_t dims[MT_MAX_DIMS];
    int rank, unknown = -1;
    MT_TRY(mt_node_ints(dims, &rank, MT_MAX_DIMS, g, n, 1, "shape", err));
    if (rank < 0) return mt_node_fail(n, err, MT_ERR_FORMAT, "no shape given");
    const mt_value *x = mt_in(g, n, 0);
    int64_t total = mt_tensor_count(&x->t), have = 1;
    bool allow_zero = mt_attr_int(n, "allowzero", 0) != 0;
    for (int i = 0; i < rank; i++) {
        if (dims[i] == 0 && !allow_zero) {
            if (i >= x->t.rank)
                return mt_node_fail(n, err, MT_ERR_FORMAT, "shape 0 at %d copies no dimension", i);
            dims[i] = x->t.dims[i];
        }
        if (dims[i] == -1) {
            if (unknown >= 0) return mt_node_fail(n, err, MT_ERR_FORMAT, "shape holds -1 twice");
            unknown = i;
        } else if (dims[i] < 0 || __builtin_mul_overflow(have, dims[i], &have)) {
            return mt_node_fail(n, err, MT_ERR_FORMAT, "shape holds %lld", (long long)dims[i]);
        }
    }
    if (unknown >= 0) {
        if (!have || total % have)
            return mt_node_fail(n, err, MT_ERR_FORMAT, "%lld elements do not divide by %lld",
                                (long long)total, (long long)have);
        dims[unknown] = total / have;
        have *= dims[unknown];
    }
    if (have != total)
        return mt_node_fail(n, err, MT_ERR_FORMAT, "%lld elements into a shape of %lld",
                            (long long)total, (long long)have);
    return mt_set_out(g, n, 0, x->t.dtype, rank, dims, err);
}

MT_INFER(mt_infer_flatten)
{
    MT_TRY(mt_need_inputs(g, n, 1, 1, err));
    const mt_value *x = mt_in(g, n, 0);
    int64_t axis = mt_attr_int(n, "axis", 1), dims[2] = {1, 1};
    if (axis < 0) axis += x->t.rank;
    if (axis < 0 || axis > x->t.rank)
        return mt_node_fail(n, err, MT_ERR_FORMAT, "axis %lld of rank %d", (long long)axis,
                            x->t.rank);
    for (int i = 0; i < x->t.rank; i++) dims[i >= axis] *= x->t.dims[i];
    return mt_set_out(g, n, 0, x->t.dtype, 2, dims, err);
}

MT_INFER(mt_infer_squeeze)
{
    MT_TRY(mt_need_inputs(g, n, 1, 2, err));
    const mt_value *x = mt_in(g, n, 0);
    int64_t axes[MT_MAX_DIMS], dims[MT_MAX_DIMS];
    int count, rank = 0, axis;
    bool drop[MT_MAX_DIMS] = {false};
    MT_TRY(mt_node_ints(axes, &count, MT_MAX_DIMS, g, n, 1, "axes", err));
    for (int i = 0; i < count; i++) {
        MT_TRY(mt_axis(&axis, n, axes[i], x->t.rank, "axis", err));
        if (x->t.dims[axis] != 1)
            return mt_node_fail(n, err, MT_ERR_FORMAT, "dimension %d is %lld, not 1", axis,
                                (long long)x->t.dims[axis]);
        drop[axis] = true;
    }
    for (int i = 0; i < x->t.rank; i++)
        if (count < 0 ? x->t.dims[i] != 1 : !drop[i]) dims[rank++] = x->t.dims[i];
    return mt_set_out(g, n, 0, x->t.dtype, rank, dims, err);
}

MT_INFER(mt_infer_unsqueeze)
{
    MT_TRY(mt_need_inputs(g, n, 1, 2, err));
    const mt_value *x = mt_in(g, n, 0);
    int64_t axes[MT_MAX_DIMS], dims[MT_MAX_DIMS];
    int count, axis, from = 0;
    bool added[MT_MAX_DIMS] = {false};
    MT_TRY(mt_node_ints(axes, &count, MT_MAX_DIMS, g, n, 1, "axes", err));
    if (count < 0) return mt_node_fail(n, err, MT_ERR_FORMAT, "no axes given");
    int rank = x->t.rank + count;
    if (rank > MT_MAX_DIMS)
        return mt_node_fail(n, err, MT_ERR_LIMIT, "%d dimensions, at most 8 are handled", rank);
    for (int i = 0; i < count; i++) {
        MT_TRY(mt_axis(&axis, n, axes[i], rank, "axis", err));
        if (added[axis]) return mt_node_fail(n, err, MT_ERR_FORMAT, "axis %d twice", axis);
        added[axis] = true;
    }
    for (int i = 0; i < rank; i++) dims[i] = added[i] ? 1 : x->t.dims[from++];
    return mt_set_out(g, n, 0, x->t.dtype, rank, dims, err);
}

typedef struct span { int lo, hi; } span;

MT_INFER(mt_infer_shape)
{
    MT_TRY(mt_need_inputs(g, n, 1, 1, err));
    int rank = mt_in(g, n, 0)->t.rank;
    int64_t lo = mt_attr_int(n, "start", 0), hi = mt_attr_int(n, "end", rank);
    if (lo < 0) lo += rank;
    if (hi < 0) hi += rank;
    lo = MT_MAX(0, MT_MIN(lo, rank));
    hi = MT_MAX(lo, MT_MIN(hi, rank));
    span *s = mt_graph_mem(g, sizeof *s, err);
    if (!s) return MT_ERR_NO_MEMORY;
    *s = (span){(int)lo, (int)hi};
    n->params = s;
    return mt_set_out(g, n, 0, MT_DT_I64, 1, &(int64_t){hi - lo}, err);
}

MT_INFER(mt_infer_size)
{
    MT_TRY(mt_need_inputs(g, n, 1, 1, err));
    return mt_set_out(g, n, 0, MT_DT_I64, 0, NULL, err);
}

/* Shape and Size; known before the run, so the folder calls this with input contents absent. */
MT_RUN(mt_run_shape)
{
    const span *s = c->node->params;
    int64_t *d = c->out[0]->data;
    if (!s) d[0] = mt_tensor_count(c->in[0]);
    else
        for (int i = s->lo; i < s->hi; i++) d[i - s->lo] = c->in[0]->dims[i];
    return MT_OK;
}

static mt_status constant_list(mt_graph *g, mt_node *n, mt_value *v, const mt_attr *a, mt_err *err)
{
    bool ints = a->type == 2 || a->type == 7;
    int64_t count = a->type == 1 || a->type == 2 ? 1 : (int64_t)a->n;
    MT_TRY(mt_value_set(g, n->out[0], ints ? MT_DT_I64 : MT_DT_F32,
                        a->type == 1 || a->type == 2 ? 0 : 1, &count, err));
    MT_TRY(mt_graph_block(&v->t.data, g, mt_tensor_bytes(&v->t), err));
    const void *src = a->type == 1 ? (const void *)&a->f : a->type == 2 ? (const void *)&a->i
                      : ints ? (const void *)a->ints : (const void *)a->floats;
    if (count) memcpy(v->t.data, src, mt_tensor_bytes(&v->t));
    return MT_OK;
}

MT_INFER(mt_infer_constant)
{
    if (n->n_out < 1 || n->out[0] < 0) return mt_node_fail(n, err, MT_ERR_FORMAT, "no output");
    mt_value *v = g->values[n->out[0]];
    static const char *const lists[] = {"value_float", "value_int", "value_floats", "value_ints"};
    const mt_attr *a = mt_node_attr(n, "value");
    if (a && a->type == 4 && a->t.data) {
        MT_TRY(mt_value_set(g, n->out[0], a->t.dtype, a->t.rank, a->t.dims, err));
        v->t.data = a->t.data;
        v->constant = true;
        return MT_OK;
    }
    for (size_t i = 0; i < MT_COUNT(lists); i++) {
        if (!(a = mt_node_attr(n, lists[i]))) continue;
        MT_TRY(constant_list(g, n, v, a, err));
        v->constant = true;
        return MT_OK;
    }
    return mt_node_unsupported(g, n, err,
                               "no numeric value (strings and sparse tensors are not handled)");
}

static mt_status shape_input(int64_t dims[MT_MAX_DIMS], int *rank, mt_graph *g, mt_node *n,
                             int input, mt_err *err)
{
    MT_TRY(mt_node_ints(dims, rank, MT_MAX_DIMS, g, n, input, NULL, err));
    if (*rank < 0) return mt_node_fail(n, err, MT_ERR_FORMAT, "no shape given");
    return MT_OK;
}

MT_INFER(mt_infer_constant_of_shape)
{
    MT_TRY(mt_need_inputs(g, n, 1, 1, err));
    int64_t dims[MT_MAX_DIMS];
    int rank;
    MT_TRY(shape_input(dims, &rank, g, n, 0, err));
    const mt_attr *a = mt_node_attr(n, "value");
    if (a && (!a->t.data || mt_tensor_count(&a->t) != 1))
        return mt_node_fail(n, err, MT_ERR_FORMAT, "value is not one number");
    return mt_set_out(g, n, 0, a ? a->t.dtype : MT_DT_F32, rank, dims, err);
}

static void fill(mt_tensor *o, const void *one)
{
    size_t size = mt_dtype_size(o->dtype);
    for (int64_t i = 0, n = mt_tensor_count(o); i < n; i++)
        memcpy((char *)o->data + (size_t)i * size, one, size);
}

MT_RUN(mt_run_constant_of_shape)
{
    const mt_attr *a = mt_node_attr(c->node, "value");
    fill(c->out[0], a ? a->t.data : &(float){0.0f});
    return MT_OK;
}

MT_INFER(mt_infer_range)
{
    MT_TRY(mt_need_inputs(g, n, 3, 3, err));
    MT_TRY(mt_need_type(g, n, 0, MT_T_FLOAT | MT_T_INDEX, err));
    double v[3];
    for (int i = 0; i < 3; i++) {
        const mt_tensor *t = mt_const_in(g, n, i);
        if (!t)
            return mt_node_unsupported(
                g, n, err, "input %d decides a shape and is not known before the run", i);
        if (mt_tensor_count(t) != 1 || t->dtype != mt_in(g, n, 0)->t.dtype)
            return mt_node_fail(n, err, MT_ERR_FORMAT,
                                "input %d is not a scalar of one type with the others", i);
        v[i] =
            t->dtype == MT_DT_F32 ? (double)*(const float *)t->data : (double)mt_tensor_int(t, 0);
    }
    double count = v[2] != 0 ? ceil((v[1] - v[0]) / v[2]) : -1;
    if (v[2] == 0 || !(count < 1e9))
        return mt_node_fail(n, err, MT_ERR_LIMIT, "range of too many values");
    return mt_set_out(g, n, 0, mt_in(g, n, 0)->t.dtype, 1,
                      &(int64_t){count > 0 ? (int64_t)count : 0}, err);
}

MT_RUN(mt_run_range)
{
    mt_tensor *o = c->out[0];
    for (int64_t i = 0; i < o->dims[0]; i++) {
        if (o->dtype == MT_DT_F32)
            ((float *)o->data)[i] =
                *(const float *)c->in[0]->data + (float)i * *(const float *)c->in[2]->data;
        else {
            uint64_t first = (uint64_t)mt_tensor_int(c->in[0], 0),
                     step = (uint64_t)mt_tensor_int(c->in[2], 0);
            mt_tensor_set_int(o, i, (int64_t)(first + (uint64_t)i * step));
        }
    }
    return MT_OK;
}

MT_INFER(mt_infer_eyelike)
{
    MT_TRY(mt_need_inputs(g, n, 1, 1, err));
    const mt_value *x = mt_in(g, n, 0);
    if (x->t.rank != 2) return mt_node_fail(n, err, MT_ERR_FORMAT, "input of rank %d", x->t.rank);
    int64_t type = mt_attr_int(n, "dtype", x->t.dtype);
    return mt_set_out(g, n, 0, mt_dtype_inside(type), 2, x->t.dims, err);
}

MT_RUN(mt_run_eyelike)
{
    mt_tensor *o = c->out[0];
    memset(o->data, 0, mt_tensor_bytes(o));
    int64_t k = mt_attr_int(c->node, "k", 0);
    for (int64_t r = 0; r < o->dims[0]; r++) {
        int64_t col;
        if (__builtin_add_overflow(r, k, &col) || col < 0 || col >= o->dims[1]) continue;
        int64_t i = r * o->dims[1] + col;
        if (o->dtype == MT_DT_F32) ((float *)o->data)[i] = 1;
        else mt_tensor_set_int(o, i, 1);
    }
    return MT_OK;
}

MT_INFER(mt_infer_expand)
{
    MT_TRY(mt_need_inputs(g, n, 2, 2, err));
    int64_t dims[MT_MAX_DIMS];
    int rank;
    MT_TRY(shape_input(dims, &rank, g, n, 1, err));
    for (int i = 0; i < rank; i++)
        if (dims[i] < 0)
            return mt_node_fail(n, err, MT_ERR_FORMAT, "shape holds %lld", (long long)dims[i]);
    MT_TRY(mt_broadcast(dims, &rank, n, &mt_in(g, n, 0)->t, err));
    return mt_set_out(g, n, 0, mt_in(g, n, 0)->t.dtype, rank, dims, err);
}

MT_RUN(mt_run_expand)
{
    const mt_tensor *x = c->in[0];
    mt_tensor *o = c->out[0];
    int64_t s[MT_MAX_DIMS], idx[MT_MAX_DIMS] = {0}, total = mt_tensor_count(o);
    mt_broadcast_strides(s, x, o->rank);
    size_t size = mt_dtype_size(o->dtype);
    for (int64_t i = 0; i < total; i++, mt_next(idx, o->dims, o->rank)) {
        int64_t at = 0;
        for (int d = 0; d < o->rank; d++) at += idx[d] * s[d];
        memcpy((char *)o->data + (size_t)i * size, (const char *)x->data + (size_t)at * size, size);
    }
    return MT_OK;
}

MT_INFER(mt_infer_tile)
{
    MT_TRY(mt_need_inputs(g, n, 2, 2, err));
    const mt_value *x = mt_in(g, n, 0);
    int64_t reps[MT_MAX_DIMS], dims[MT_MAX_DIMS];
    int count;
    MT_TRY(shape_input(reps, &count, g, n, 1, err));
    if (count != x->t.rank)
        return mt_node_fail(n, err, MT_ERR_FORMAT, "%d repeats for rank %d", count, x->t.rank);
    for (int i = 0; i < count; i++)
        if (reps[i] < 0 || __builtin_mul_overflow(reps[i], x->t.dims[i], &dims[i]))
            return mt_node_fail(n, err, MT_ERR_FORMAT, "repeat of %lld", (long long)reps[i]);
    return mt_set_out(g, n, 0, x->t.dtype, count, dims, err);
}

MT_RUN(mt_run_tile)
{
    const mt_tensor *x = c->in[0];
    mt_tensor *o = c->out[0];
    int64_t s[MT_MAX_DIMS], idx[MT_MAX_DIMS] = {0}, total = mt_tensor_count(o);
    mt_strides(s, x);
    size_t size = mt_dtype_size(o->dtype);
    for (int64_t i = 0; i < total; i++, mt_next(idx, o->dims, o->rank)) {
        int64_t at = 0;
        for (int d = 0; d < o->rank; d++) at += idx[d] % x->dims[d] * s[d];
        memcpy((char *)o->data + (size_t)i * size, (const char *)x->data + (size_t)at * size, size);
    }
    return MT_OK;
}
