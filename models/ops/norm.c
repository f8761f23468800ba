/* Normalisations, and the scale and shift per channel that BatchNormalization becomes. */
#include "models/ops/op.h"

static mt_status need_channels(mt_graph *g, mt_node *n, int first, int last, int64_t c, mt_err *err)
{
    for (int i = first; i <= last; i++)
        if (!mt_in(g, n, i) || mt_in(g, n, i)->t.dtype != MT_DT_F32 ||
            mt_tensor_count(&mt_in(g, n, i)->t) != c)
            return mt_node_fail(n, err, MT_ERR_FORMAT, "input %d does not hold %lld floats", i,
                                (long long)c);
    return MT_OK;
}

MT_INFER(mt_infer_batchnorm)
{
    MT_TRY(mt_need_inputs(g, n, 5, 5, err));
    MT_TRY(mt_need_type(g, n, 0, MT_T_FLOAT, err));
    const mt_value *x = mt_in(g, n, 0);
    if (n->opset < 7 && !mt_attr_int(n, "is_test", 0))
        return mt_node_unsupported(g, n, err, "is_test = 0 (training)");
    if (mt_attr_int(n, "training_mode", 0) || !mt_attr_int(n, "spatial", 1))
        return mt_node_unsupported(g, n, err, "training_mode = 1 or spatial = 0");
    for (int i = 1; i < n->n_out; i++)
        if (n->out[i] >= 0 && n->opset >= 14)
            return mt_node_unsupported(g, n, err, "more than one output");
    if (x->t.rank < 2) return mt_node_fail(n, err, MT_ERR_FORMAT, "input of rank %d", x->t.rank);
    MT_TRY(need_channels(g, n, 1, 4, x->t.dims[1], err));
    for (int i = 1; i < n->n_out; i++) MT_TRY(mt_set_out_like(g, n, i, mt_in(g, n, 1), err));
    return mt_set_out_like(g, n, 0, x, err);
}

static void scale_plane(const mt_kernels *k, const mt_node *n, float *d, const float *s, size_t hw,
                        float scale, float shift)
{
    for (size_t i = 0; i < hw; i++) d[i] = s[i] * scale + shift;
    if (n->act != MT_ACT_NONE) mt_f32_act(k, d, d, hw, n->act, n->act_a, n->act_b);
}

static size_t places(const mt_tensor *t)
{
    size_t hw = 1;
    for (int d = 2; d < t->rank; d++) hw *= (size_t)t->dims[d];
    return hw;
}

MT_RUN(mt_run_batchnorm)
{
    const mt_tensor *x = c->in[0];
    const float *gamma = c->in[1]->data, *beta = c->in[2]->data, *mean = c->in[3]->data,
                *var = c->in[4]->data;
    float eps = mt_attr_float(c->node, "epsilon", 1e-5f);
    size_t hw = places(x);
    for (int64_t i = 0; i < x->dims[0] * x->dims[1]; i++) {
        int64_t ch = i % x->dims[1];
        float scale = gamma[ch] / sqrtf(var[ch] + eps), shift = beta[ch] - mean[ch] * scale;
        scale_plane(c->k, c->node, (float *)c->out[0]->data + (size_t)i * hw,
                    (const float *)x->data + (size_t)i * hw, hw, scale, shift);
    }
    return MT_OK;
}

MT_RUN(mt_run_scale_shift)
{
    const mt_scale_params *p = c->node->params;
    const mt_tensor *x = c->in[0];
    float *o = c->out[0]->data;
    if (mt_is_blocked_out(c, 0)) {
        size_t image = mt_image_blocked(c->k, x);
        for (int64_t i = 0; i < x->dims[0]; i++)
            mt_blocked_scale_shift(c->k, o + (size_t)i * image,
                                   (const float *)x->data + (size_t)i * image, (int)x->dims[1],
                                   mt_plane(x), p->scale, p->shift, c->node->act, c->node->act_a,
                                   c->node->act_b);
        return MT_OK;
    }
    size_t hw = places(x);
    for (int64_t i = 0; i < x->dims[0] * x->dims[1]; i++)
        scale_plane(c->k, c->node, o + (size_t)i * hw, (const float *)x->data + (size_t)i * hw, hw,
                    p->scale[i % x->dims[1]], p->shift[i % x->dims[1]]);
    return MT_OK;
}

/* --- Instance, group and layer normalisation: mean and variance in double --- */

static void moments(const float *s, size_t n, double *mean, double *var)
{
    double sum = 0, sq = 0;
    for (size_t i = 0; i < n; i++) sum += s[i];
    *mean = n ? sum / (double)n : 0;
    for (size_t i = 0; i < n; i++) sq += (s[i] - *mean) * (s[i] - *mean);
    *var = n ? sq / (double)n : 0;
}

MT_INFER(mt_infer_instancenorm)
{
    MT_TRY(mt_need_inputs(g, n, 3, 3, err));
    MT_TRY(mt_need_type(g, n, 0, MT_T_FLOAT, err));
    const mt_value *x = mt_in(g, n, 0);
    if (x->t.rank < 2) return mt_node_fail(n, err, MT_ERR_FORMAT, "input of rank %d", x->t.rank);
    bool group = n->op->name[0] == 'G';
    int64_t groups = group ? mt_attr_int(n, "num_groups", 0) : x->t.dims[1];
    if (groups < 0 || (groups ? x->t.dims[1] % groups : x->t.dims[1]))
        return mt_node_fail(n, err, MT_ERR_FORMAT, "%lld groups of %lld channels",
                            (long long)groups, (long long)x->t.dims[1]);
    MT_TRY(need_channels(g, n, 1, 2, group && n->opset < 21 ? groups : x->t.dims[1], err));
    return mt_set_out_like(g, n, 0, x, err);
}

MT_RUN(mt_run_instancenorm)
{
    const mt_tensor *x = c->in[0];
    int64_t ch = x->dims[1],
            groups = c->node->op->name[0] == 'G' ? mt_attr_int(c->node, "num_groups", 1) : ch;
    const float *gamma = c->in[1]->data, *beta = c->in[2]->data;
    bool per_channel = mt_tensor_count(c->in[1]) == ch;
    size_t hw = places(x), span = groups ? (size_t)(ch / groups) * hw : 0;
    double eps = mt_attr_float(c->node, "epsilon", 1e-5f), mean, var;
    for (int64_t i = 0; i < x->dims[0] * groups; i++) {
        const float *s = (const float *)x->data + (size_t)i * span;
        float *d = (float *)c->out[0]->data + (size_t)i * span;
        moments(s, span, &mean, &var);
        double r = 1.0 / sqrt(var + eps);
        for (size_t j = 0; j < span; j++) {
            int64_t at = per_channel ? i % groups * (ch / groups) + (int64_t)(j / hw) : i % groups;
            d[j] = (float)((s[j] - mean) * r) * gamma[at] + beta[at];
        }
    }
    return MT_OK;
}

MT_INFER(mt_infer_layernorm)
{
    MT_TRY(mt_need_inputs(g, n, 2, 3, err));
    MT_TRY(mt_need_type(g, n, 0, MT_T_FLOAT, err));
    const mt_value *x = mt_in(g, n, 0);
    int *axis = mt_graph_mem(g, sizeof *axis, err);
    if (!axis) return MT_ERR_NO_MEMORY;
    n->params = axis;
    MT_TRY(mt_axis(axis, n, mt_attr_int(n, "axis", -1), x->t.rank, "axis", err));
    int64_t len = 1, dims[MT_MAX_DIMS];
    for (int d = 0; d < x->t.rank; d++) {
        dims[d] = d < *axis ? x->t.dims[d] : 1;
        if (d >= *axis) len *= x->t.dims[d];
    }
    MT_TRY(need_channels(g, n, 1, n->n_in - 1, len, err));
    for (int i = 1; i < n->n_out; i++) MT_TRY(mt_set_out(g, n, i, MT_DT_F32, x->t.rank, dims, err));
    return mt_set_out_like(g, n, 0, x, err);
}

MT_RUN(mt_run_layernorm)
{
    const mt_tensor *x = c->in[0];
    int axis = *(const int *)c->node->params;
    const float *gamma = c->in[1]->data,
                *beta = c->node->n_in > 2 && c->in[2] ? c->in[2]->data : NULL;
    size_t len = 1, rows = 1;
    for (int d = 0; d < x->rank; d++) *(d < axis ? &rows : &len) *= (size_t)x->dims[d];
    if (c->node->n_out < 2 || (!c->out[1] && (c->node->n_out < 3 || !c->out[2]))) {
        mt_f32_norm(c->k, c->out[0]->data, x->data, rows, len, gamma, beta,
                    mt_attr_float(c->node, "epsilon", 1e-5f));
        return MT_OK;
    }
    double eps = mt_attr_float(c->node, "epsilon", 1e-5f), mean, var;
    for (size_t r = 0; r < rows; r++) {
        const float *s = (const float *)x->data + r * len;
        float *d = (float *)c->out[0]->data + r * len;
        moments(s, len, &mean, &var);
        double inv = 1.0 / sqrt(var + eps);
        for (size_t j = 0; j < len; j++)
            d[j] = (float)((s[j] - mean) * inv) * gamma[j] + (beta ? beta[j] : 0.0f);
        if (c->node->n_out > 1 && c->out[1]) ((float *)c->out[1]->data)[r] = (float)mean;
        if (c->node->n_out > 2 && c->out[2]) ((float *)c->out[2]->data)[r] = (float)inv;
    }
    return MT_OK;
}

/* LayerNormalization over the last dimension, made by a pass from its parts; gamma and beta may be
 * left out. */
MT_RUN(mt_run_rownorm)
{
    const mt_tensor *x = c->in[0];
    size_t len = (size_t)x->dims[x->rank - 1];
    if (!mt_tensor_count(x)) return MT_OK;
    mt_f32_norm(c->k, c->out[0]->data, x->data, (size_t)mt_tensor_count(x) / len, len,
                c->in[1] ? c->in[1]->data : NULL, c->in[2] ? c->in[2]->data : NULL,
                *(const float *)c->node->params);
    return MT_OK;
}

/* --- LRN --- */

MT_INFER(mt_infer_lrn)
{
    MT_TRY(mt_need_inputs(g, n, 1, 1, err));
    MT_TRY(mt_need_type(g, n, 0, MT_T_FLOAT, err));
    if (mt_in(g, n, 0)->t.rank < 2 || mt_attr_int(n, "size", 0) < 1)
        return mt_node_fail(n, err, MT_ERR_FORMAT, "rank or size");
    int64_t reach = MT_MIN(mt_attr_int(n, "size", 1), mt_in(g, n, 0)->t.dims[1]);
    n->work = (uint64_t)mt_tensor_count(&mt_in(g, n, 0)->t) * (uint64_t)reach;
    return mt_set_out_like(g, n, 0, mt_in(g, n, 0), err);
}

MT_RUN(mt_run_lrn)
{
    const mt_tensor *x = c->in[0];
    float alpha = mt_attr_float(c->node, "alpha", 1e-4f),
          beta = mt_attr_float(c->node, "beta", 0.75f);
    float bias = mt_attr_float(c->node, "bias", 1.0f);
    int64_t size = mt_attr_int(c->node, "size", 1), ch = x->dims[1];
    size_t hw = places(x);
    for (int64_t i = 0; i < x->dims[0]; i++)
        for (int64_t k = 0; k < ch; k++) {
            int64_t lo = MT_MAX(0, k - (size - 1) / 2),
                    hi = MT_MIN(ch - 1, size / 2 > ch ? ch : k + size / 2);
            for (size_t p = 0; p < hw; p++) {
                const float *s = (const float *)x->data + (size_t)(i * ch) * hw + p;
                float sq = 0;
                for (int64_t j = lo; j <= hi; j++) sq += s[(size_t)j * hw] * s[(size_t)j * hw];
                ((float *)c->out[0]->data)[(size_t)(i * ch + k) * hw + p] =
                    s[(size_t)k * hw] / powf(bias + alpha / (float)size * sq, beta);
            }
        }
    return MT_OK;
}
