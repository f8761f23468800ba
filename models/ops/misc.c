/* OneHot, NonZero, CenterCropPad, LpNormalization, MeanVarianceNormalization, Quantize and
 * Dequantize. */
#include "models/ops/op.h"

typedef struct onehot_params { int axis; int64_t depth; } onehot_params;

MT_INFER(mt_infer_onehot)
{
    MT_TRY(mt_need_inputs(g, n, 3, 3, err));
    const mt_tensor *x = &mt_in(g, n, 0)->t, *depth = mt_const_in(g, n, 1),
                    *values = &mt_in(g, n, 2)->t;
    onehot_params *p = mt_graph_mem(g, sizeof *p, err);
    if (!p) return MT_ERR_NO_MEMORY;
    n->params = p;
    if (!depth) return mt_node_unsupported(g, n, err, "the depth is not known before the run");
    if (mt_tensor_count(depth) != 1 || mt_tensor_count(values) != 2)
        return mt_node_fail(n, err, MT_ERR_FORMAT, "depth or values");
    p->depth = depth->dtype == MT_DT_F32
                   ? (int64_t)fminf(fmaxf(*(const float *)depth->data, 0), 1e9f)
                   : mt_tensor_int(depth, 0);
    if (p->depth < 0) return mt_node_fail(n, err, MT_ERR_FORMAT, "depth %lld", (long long)p->depth);
    MT_TRY(mt_axis(&p->axis, n, mt_attr_int(n, "axis", -1), x->rank + 1, "axis", err));
    int64_t dims[MT_MAX_DIMS + 1];
    for (int d = 0; d <= x->rank; d++)
        dims[d] = d == p->axis ? p->depth : x->dims[d - (d > p->axis)];
    return mt_set_out(g, n, 0, values->dtype, x->rank + 1, dims, err);
}

MT_RUN(mt_run_onehot)
{
    const onehot_params *p = c->node->params;
    const mt_tensor *x = c->in[0], *v = c->in[2];
    size_t size = mt_dtype_size(v->dtype);
    int64_t inner = 1, total = mt_tensor_count(c->out[0]);
    for (int d = p->axis; d < x->rank; d++) inner *= x->dims[d];
    for (int64_t i = 0; i < total; i++) {
        int64_t at = i / (inner * p->depth) * inner + i % inner;
        int64_t pick = x->dtype == MT_DT_F32
                           ? (int64_t)fminf(fmaxf(((const float *)x->data)[at], -1e9f), 1e9f)
                           : mt_tensor_int(x, at);
        if (pick < 0) pick += p->depth;
        bool on = pick == i / inner % p->depth;
        memcpy((char *)c->out[0]->data + (size_t)i * size, (const char *)v->data + (on ? size : 0),
               size);
    }
    return MT_OK;
}

/* Its shape depends on contents: only when they are known, and then it is a constant at once. */
MT_INFER(mt_infer_nonzero)
{
    MT_TRY(mt_need_inputs(g, n, 1, 1, err));
    const mt_tensor *x = mt_const_in(g, n, 0);
    if (!x)
        return mt_node_unsupported(g, n, err,
                                   "the input decides a shape and is not known before the run");
    int64_t count = 0, total = mt_tensor_count(x), idx[MT_MAX_DIMS] = {0};
    for (int64_t i = 0; i < total; i++)
        count +=
            x->dtype == MT_DT_F32 ? ((const float *)x->data)[i] != 0 : mt_tensor_int(x, i) != 0;
    MT_TRY(mt_set_out(g, n, 0, MT_DT_I64, 2, (int64_t[]){x->rank, count}, err));
    mt_value *o = mt_out(g, n, 0);
    MT_TRY(mt_graph_block(&o->t.data, g, mt_tensor_bytes(&o->t), err));
    o->constant = true;
    int64_t at = 0;
    for (int64_t i = 0; i < total; i++, mt_next(idx, x->dims, x->rank)) {
        if (x->dtype == MT_DT_F32 ? ((const float *)x->data)[i] == 0 : mt_tensor_int(x, i) == 0)
            continue;
        for (int d = 0; d < x->rank; d++) ((int64_t *)o->t.data)[d * count + at] = idx[d];
        at++;
    }
    return MT_OK;
}

/* A Pad whose pads, negative where it crops, follow from the wanted size. */
MT_INFER(mt_infer_centercroppad)
{
    MT_TRY(mt_need_inputs(g, n, 2, 2, err));
    const mt_value *x = mt_in(g, n, 0);
    mt_pad_params *p = mt_graph_mem(g, sizeof *p, err);
    if (!p) return MT_ERR_NO_MEMORY;
    n->params = p;
    int64_t want[MT_MAX_DIMS], axes[MT_MAX_DIMS], dims[MT_MAX_DIMS];
    int count, na, d;
    MT_TRY(mt_node_ints(want, &count, MT_MAX_DIMS, g, n, 1, NULL, err));
    MT_TRY(mt_node_ints(axes, &na, MT_MAX_DIMS, g, n, -1, "axes", err));
    if (count != (na >= 0 ? na : x->t.rank))
        return mt_node_fail(n, err, MT_ERR_FORMAT, "%d sizes", count);
    memcpy(dims, x->t.dims, sizeof dims);
    for (int i = 0; i < count; i++) {
        MT_TRY(mt_axis(&d, n, na >= 0 ? axes[i] : i, x->t.rank, "axis", err));
        if (want[i] < 0 || want[i] > (int64_t)1 << 31)
            return mt_node_fail(n, err, MT_ERR_FORMAT, "size %lld", (long long)want[i]);
        int64_t more = want[i] - x->t.dims[d];
        p->lo[d] = more >= 0 ? more / 2 : -(-more / 2);
        p->hi[d] = more - p->lo[d];
        dims[d] = want[i];
    }
    return mt_set_out(g, n, 0, x->t.dtype, x->t.rank, dims, err);
}

/* --- LpNormalization --- */

MT_INFER(mt_infer_lpnorm)
{
    MT_TRY(mt_need_inputs(g, n, 1, 1, err));
    MT_TRY(mt_need_type(g, n, 0, MT_T_FLOAT, err));
    int *axis = mt_graph_mem(g, sizeof *axis, err);
    if (!axis) return MT_ERR_NO_MEMORY;
    n->params = axis;
    int64_t p = mt_attr_int(n, "p", 2);
    if (p != 1 && p != 2) return mt_node_fail(n, err, MT_ERR_FORMAT, "p = %lld", (long long)p);
    MT_TRY(mt_axis(axis, n, mt_attr_int(n, "axis", -1), mt_in(g, n, 0)->t.rank, "axis", err));
    return mt_set_out_like(g, n, 0, mt_in(g, n, 0), err);
}

MT_RUN(mt_run_lpnorm)
{
    const mt_tensor *x = c->in[0];
    int axis = *(const int *)c->node->params;
    bool one = mt_attr_int(c->node, "p", 2) == 1;
    int64_t outer = 1, inner = 1, len = x->dims[axis];
    for (int d = 0; d < x->rank; d++) if (d != axis) *(d < axis ? &outer : &inner) *= x->dims[d];
    for (int64_t i = 0; i < outer * inner; i++) {
        int64_t base = i / inner * len * inner + i % inner;
        const float *s = (const float *)x->data + base;
        double sum = 0;
        for (int64_t j = 0; j < len; j++)
            sum += one ? fabs((double)s[j * inner]) : (double)s[j * inner] * (double)s[j * inner];
        double norm = one ? sum : sqrt(sum);
        for (int64_t j = 0; j < len; j++)
            ((float *)c->out[0]->data)[base + j * inner] =
                norm > 0 ? (float)(s[j * inner] / norm) : 0.0f;
    }
    return MT_OK;
}

/* --- MeanVarianceNormalization: over axes (0, 2, 3 unless said otherwise) --- */

typedef struct mvn_params { bool over[MT_MAX_DIMS]; } mvn_params;

MT_INFER(mt_infer_mvn)
{
    MT_TRY(mt_need_inputs(g, n, 1, 1, err));
    MT_TRY(mt_need_type(g, n, 0, MT_T_FLOAT, err));
    mvn_params *p = mt_graph_mem(g, sizeof *p, err);
    if (!p) return MT_ERR_NO_MEMORY;
    n->params = p;
    int64_t axes[MT_MAX_DIMS] = {0, 2, 3};
    int count, d;
    MT_TRY(mt_node_ints(axes, &count, MT_MAX_DIMS, g, n, -1, "axes", err));
    for (int i = 0; i < (count < 0 ? 3 : count); i++) {
        MT_TRY(mt_axis(&d, n, axes[i], mt_in(g, n, 0)->t.rank, "axis", err));
        p->over[d] = true;
    }
    return mt_set_out_like(g, n, 0, mt_in(g, n, 0), err);
}

MT_RUN(mt_run_mvn)
{
    const mvn_params *p = c->node->params;
    const mt_tensor *x = c->in[0];
    int64_t s[MT_MAX_DIMS], kdims[MT_MAX_DIMS], ks[MT_MAX_DIMS], rdims[MT_MAX_DIMS],
        rs[MT_MAX_DIMS], k[MT_MAX_DIMS] = {0};
    int nk = 0, nr = 0;
    if (!mt_tensor_count(x)) return MT_OK;
    mt_strides(s, x);
    for (int d = 0; d < x->rank; d++) {
        if (p->over[d]) { rdims[nr] = x->dims[d]; rs[nr++] = s[d]; }
        else { kdims[nk] = x->dims[d]; ks[nk++] = s[d]; }
    }
    do {
        int64_t base = 0, count = 0;
        double sum = 0, sq = 0, mean = 0;
        for (int d = 0; d < nk; d++) base += k[d] * ks[d];
        for (int pass = 0; pass < 3; pass++) {
            int64_t r[MT_MAX_DIMS] = {0};
            double inv = pass == 2 ? 1.0 / (sqrt(sq / (double)count) + 1e-9) : 0;
            do {
                int64_t at = base;
                for (int d = 0; d < nr; d++) at += r[d] * rs[d];
                double v = ((const float *)x->data)[at];
                if (pass == 0) { sum += v; count++; }
                else if (pass == 1) sq += (v - mean) * (v - mean);
                else ((float *)c->out[0]->data)[at] = (float)((v - mean) * inv);
            } while (mt_next(r, rdims, nr));
            if (pass == 0) mean = sum / (double)count;
        }
    } while (mt_next(k, kdims, nk));
    return MT_OK;
}
