#include "models/ops/op.h"

mt_status mt_need_inputs(mt_graph *g, mt_node *n, int lo, int hi, mt_err *err)
{
    if (n->n_in < lo || n->n_in > hi)
        return mt_node_fail(n, err, MT_ERR_FORMAT, "%d inputs, expected %d to %d", n->n_in, lo, hi);
    for (int i = 0; i < lo; i++)
        if (n->in[i] < 0) return mt_node_fail(n, err, MT_ERR_FORMAT, "input %d is left out", i);
    if (n->n_out < 1 || n->out[0] < 0) return mt_node_fail(n, err, MT_ERR_FORMAT, "no output");
    return MT_OK;
}

mt_status mt_need_type(mt_graph *g, mt_node *n, int i, unsigned types, mt_err *err)
{
    const mt_value *v = mt_in(g, n, i);
    if (!v || types >> v->t.dtype & 1) return MT_OK;
    return mt_node_unsupported(g, n, err, "input %d of type %s", i, mt_dtype_name((int)v->t.dtype));
}

mt_status mt_set_out(mt_graph *g, mt_node *n, int i, mt_dtype t, int rank, const int64_t *dims,
                     mt_err *err)
{
    if (i >= n->n_out || n->out[i] < 0) return MT_OK;
    if (mt_value_set(g, n->out[i], t, rank, dims, err) != MT_OK)
        return mt_err_context(err, "%.40s node \"%.80s\"", n->op_type, n->name);
    return MT_OK;
}

mt_status mt_set_out_like(mt_graph *g, mt_node *n, int i, const mt_value *v, mt_err *err)
{
    return mt_set_out(g, n, i, v->t.dtype, v->t.rank, v->t.dims, err);
}

mt_status mt_axis(int *out, const mt_node *n, int64_t axis, int rank, const char *what, mt_err *err)
{
    if (axis < -(int64_t)rank || axis >= rank)
        return mt_node_fail(n, err, MT_ERR_FORMAT, "%s %lld of a tensor of rank %d", what,
                            (long long)axis, rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return MT_OK;
}

int64_t mt_tensor_int(const mt_tensor *t, int64_t i)
{
    switch (t->dtype) {
    case MT_DT_I64: return ((const int64_t *)t->data)[i];
    case MT_DT_I32: return ((const int32_t *)t->data)[i];
    case MT_DT_I8: return ((const int8_t *)t->data)[i];
    case MT_DT_U8: case MT_DT_BOOL: return ((const uint8_t *)t->data)[i];
    case MT_DT_F32: case MT_DT_F16: break;
    }
    return 0;
}

void mt_tensor_set_int(mt_tensor *t, int64_t i, int64_t v)
{
    switch (t->dtype) {
    case MT_DT_I64: ((int64_t *)t->data)[i] = v; break;
    case MT_DT_I32: ((int32_t *)t->data)[i] = (int32_t)v; break;
    case MT_DT_I8: case MT_DT_U8: case MT_DT_BOOL: ((uint8_t *)t->data)[i] = (uint8_t)v; break;
    case MT_DT_F32: case MT_DT_F16: break;
    }
}

static mt_status list_input(const mt_tensor **t, mt_graph *g, mt_node *n, int input, int max,
                            mt_err *err)
{
    *t = NULL;
    if (input < 0 || !mt_in(g, n, input)) return MT_OK;
    *t = mt_const_in(g, n, input);
    if (!*t)
        return mt_node_unsupported(
            g, n, err, "input %d (\"%.40s\") decides a shape and is not known before the run",
            input, mt_in(g, n, input)->name);
    if ((*t)->rank > 1 || mt_tensor_count(*t) > max)
        return mt_node_fail(n, err, MT_ERR_FORMAT,
                            "input %d holds %lld values, at most %d make sense", input,
                            (long long)mt_tensor_count(*t), max);
    return MT_OK;
}

mt_status mt_node_ints(int64_t *out, int *count, int max, mt_graph *g, mt_node *n, int input,
                       const char *attr, mt_err *err)
{
    const mt_attr *a = attr ? mt_node_attr(n, attr) : NULL;
    *count = -1;
    if (a) {
        size_t k = a->type == 2 ? 1 : a->n;
        if (k > (size_t)max || (k && a->type != 2 && !a->ints))
            return mt_node_fail(n, err, MT_ERR_FORMAT,
                                "attribute %s is not a list of at most %d integers", attr, max);
        for (size_t i = 0; i < k; i++) out[i] = a->type == 2 ? a->i : a->ints[i];
        *count = (int)k;
        return MT_OK;
    }
    const mt_tensor *t;
    MT_TRY(list_input(&t, g, n, input, max, err));
    if (!t) return MT_OK;
    if (t->dtype == MT_DT_F32)
        return mt_node_fail(n, err, MT_ERR_FORMAT, "input %d must hold integers", input);
    *count = (int)mt_tensor_count(t);
    for (int i = 0; i < *count; i++) out[i] = mt_tensor_int(t, i);
    return MT_OK;
}

mt_status mt_node_floats(float *out, int *count, int max, mt_graph *g, mt_node *n, int input,
                         const char *attr, mt_err *err)
{
    const mt_attr *a = attr ? mt_node_attr(n, attr) : NULL;
    *count = -1;
    if (a) {
        if (a->n > (size_t)max || (a->n && !a->floats))
            return mt_node_fail(n, err, MT_ERR_FORMAT,
                                "attribute %s is not a list of at most %d numbers", attr, max);
        for (size_t i = 0; i < a->n; i++) out[i] = a->floats[i];
        *count = (int)a->n;
        return MT_OK;
    }
    const mt_tensor *t;
    MT_TRY(list_input(&t, g, n, input, max, err));
    if (!t) return MT_OK;
    if (t->dtype != MT_DT_F32)
        return mt_node_fail(n, err, MT_ERR_FORMAT, "input %d must hold floats", input);
    *count = (int)mt_tensor_count(t);
    if (*count) memcpy(out, t->data, (size_t)*count * sizeof *out);
    return MT_OK;
}

void mt_strides(int64_t stride[MT_MAX_DIMS], const mt_tensor *t)
{
    int64_t s = 1;
    for (int d = t->rank - 1; d >= 0; d--) {
        stride[d] = s;
        s *= t->dims[d];
    }
}

mt_status mt_broadcast(int64_t dims[MT_MAX_DIMS], int *rank, const mt_node *n, const mt_tensor *t,
                       mt_err *err)
{
    if (t->rank > *rank) { /* shift what is there to the right */
        int shift = t->rank - *rank;
        for (int d = *rank - 1; d >= 0; d--) dims[d + shift] = dims[d];
        for (int d = 0; d < shift; d++) dims[d] = 1;
        *rank = t->rank;
    }
    for (int d = 0; d < t->rank; d++) {
        int64_t *o = &dims[*rank - t->rank + d];
        if (*o == t->dims[d] || t->dims[d] == 1) continue;
        if (*o != 1)
            return mt_node_fail(n, err, MT_ERR_FORMAT, "sizes %lld and %lld do not broadcast",
                                (long long)*o, (long long)t->dims[d]);
        *o = t->dims[d];
    }
    return MT_OK;
}

void mt_broadcast_strides(int64_t stride[MT_MAX_DIMS], const mt_tensor *t, int rank)
{
    int64_t own[MT_MAX_DIMS];
    mt_strides(own, t);
    for (int d = 0; d < rank; d++) {
        int k = d - (rank - t->rank);
        stride[d] = k >= 0 && t->dims[k] != 1 ? own[k] : 0;
    }
}

size_t mt_value_floats(const mt_graph *g, const mt_value *v)
{
    if (!v->blocked) return (size_t)mt_tensor_count(&v->t);
    return (size_t)v->t.dims[0] * mt_image_blocked(g->k, &v->t);
}
