/* MaxPool, AveragePool, global pools. */
#include "models/ops/op.h"
#include <float.h>

MT_INFER(mt_infer_pool)
{
    MT_TRY(mt_need_inputs(g, n, 1, 1, err));
    bool max = n->op->name[0] == 'M';
    MT_TRY(mt_need_type(g, n, 0, max ? MT_T_FLOAT | MT_T(MT_DT_U8) | MT_T(MT_DT_I8) : MT_T_FLOAT,
                        err));
    const mt_value *x = mt_in(g, n, 0);
    mt_window *w = mt_graph_mem(g, sizeof *w, err);
    if (!w) return MT_ERR_NO_MEMORY;
    n->params = w;
    w->ceil_mode = mt_attr_int(n, "ceil_mode", 0) != 0;
    w->count_include_pad = mt_attr_int(n, "count_include_pad", 0) != 0;
    w->column_major = mt_attr_int(n, "storage_order", 0) != 0;
    int64_t dims[MT_MAX_DIMS] = {x->t.dims[0], x->t.dims[1]};
    MT_TRY(mt_window_read(w, dims + 2, g, n, &x->t, NULL, err));
    n->work = 1;
    for (int d = 0; d < x->t.rank; d++) {
        uint64_t factor = (uint64_t)dims[d] * (d > 1 ? (uint64_t)w->kernel[d - 2] : 1);
        if (__builtin_mul_overflow(n->work, factor, &n->work)) n->work = UINT64_MAX / 2;
    }
    if (n->n_out > 1) MT_TRY(mt_set_out(g, n, 1, MT_DT_I64, x->t.rank, dims, err));
    return mt_set_out(g, n, 0, x->t.dtype, x->t.rank, dims, err);
}

/* One window: its value, and the place of the maximum in the plane. */
static float pool_one(const mt_window *w, const mt_tensor *x, const int64_t *op, int64_t base,
                      bool max, int64_t *place)
{
    int nd = w->nd;
    int64_t kp[MT_MAX_DIMS] = {0}, xs[MT_MAX_DIMS], hw = 1, khw = 1;
    for (int d = nd - 1; d >= 0; d--) {
        xs[d] = hw;
        hw *= x->dims[d + 2];
        khw *= w->kernel[d];
    }
    float best = -FLT_MAX;
    double sum = 0;
    int64_t count = 0;
    *place = -1;
    for (int64_t q = 0; q < khw; q++, mt_next(kp, w->kernel, nd)) {
        int64_t at = 0;
        bool inside = true, padded = true;
        for (int d = 0; d < nd; d++) {
            int64_t v = op[d] * w->stride[d] + kp[d] * w->dilation[d] - w->pad_lo[d];
            inside = inside && v >= 0 && v < x->dims[d + 2];
            padded = padded && v < x->dims[d + 2] + w->pad_hi[d];
            at += v * xs[d];
        }
        count += inside || (w->count_include_pad && padded);
        if (!inside) continue;
        float v = x->dtype == MT_DT_F32 ? ((const float *)x->data)[base + at]
                                        : (float)mt_tensor_int(x, base + at);
        sum += v;
        if (*place < 0 || v > best || v != v) {
            best = v;
            *place = at;
        }
    }
    return max ? best : count ? (float)(sum / (double)count) : 0.0f;
}

/* Index of a place when the plane is counted column by column. */
static int64_t column_major(const mt_tensor *x, int64_t at, int nd)
{
    int64_t index = 0, scale = 1, idx[MT_MAX_DIMS];
    for (int d = nd - 1; d >= 0; d--) {
        idx[d] = at % x->dims[d + 2];
        at /= x->dims[d + 2];
    }
    for (int d = 0; d < nd; d++) {
        index += idx[d] * scale;
        scale *= x->dims[d + 2];
    }
    return index;
}

static mt_status run_plain(const mt_call *c, bool max)
{
    const mt_window *w = c->node->params;
    const mt_tensor *x = c->in[0];
    mt_tensor *o = c->out[0] ? c->out[0] : c->out[1], *arg = c->node->n_out > 1 ? c->out[1] : NULL;
    int64_t ohw = 1, ihw = 1, at = 0, place;
    for (int d = 0; d < w->nd; d++) {
        ohw *= o->dims[d + 2];
        ihw *= x->dims[d + 2];
    }
    for (int64_t i = 0; i < x->dims[0] * x->dims[1]; i++) {
        int64_t op[MT_MAX_DIMS] = {0};
        for (int64_t p = 0; p < ohw; p++, at++, mt_next(op, o->dims + 2, w->nd)) {
            float v = pool_one(w, x, op, i * ihw, max, &place);
            if (arg)
                ((int64_t *)arg->data)[at] =
                    i * ihw + (w->column_major ? column_major(x, place, w->nd) : place);
            if (!c->out[0]) continue;
            if (x->dtype == MT_DT_F32) ((float *)o->data)[at] = v;
            else if (x->dtype == MT_DT_U8) ((uint8_t *)o->data)[at] = (uint8_t)v;
            else ((int8_t *)o->data)[at] = (int8_t)v;
        }
    }
    return MT_OK;
}

bool mt_pool_has_kernel(const mt_graph *g, const mt_node *n)
{
    const mt_value *x = g->values[n->in[0]];
    if (x->t.dtype != MT_DT_F32 || x->t.rank < 3 || x->t.rank > 4 || !mt_tensor_count(&x->t))
        return false;
    return n->n_out < 2 || n->out[1] < 0;
}

static void run_blocked(const mt_call *c, bool max)
{
    const mt_window *w = c->node->params;
    const mt_tensor *x = c->in[0];
    mt_tensor *o = c->out[0];
    int r = w->nd - 1, two = w->nd == 2; /* 1-D: one row */
    mt_pool_desc d = {.c = (int)x->dims[1],
                      .h = two ? (int)x->dims[2] : 1, .w = (int)x->dims[2 + r],
                      .oh = two ? (int)o->dims[2] : 1, .ow = (int)o->dims[2 + r],
                      .kh = two ? (int)w->kernel[0] : 1, .kw = (int)w->kernel[r],
                      .sh = two ? (int)w->stride[0] : 1, .sw = (int)w->stride[r],
                      .dh = two ? (int)w->dilation[0] : 1, .dw = (int)w->dilation[r],
                      .pt = two ? (int)w->pad_lo[0] : 0, .pl = (int)w->pad_lo[r],
                      .pb = two ? (int)w->pad_hi[0] : 0, .pr = (int)w->pad_hi[r],
                      .count_include_pad = w->count_include_pad};
    size_t in = mt_image_blocked(c->k, x), out = mt_image_blocked(c->k, o);
    for (int64_t i = 0; i < x->dims[0]; i++)
        (max ? mt_max_pool : mt_avg_pool)(c->k, &d, (const float *)x->data + (size_t)i * in,
                                          (float *)o->data + (size_t)i * out);
}

MT_RUN(mt_run_pool)
{
    bool max = c->node->op->name[0] == 'M';
    if (c->out[0] && mt_is_blocked_out(c, 0)) {
        run_blocked(c, max);
        return MT_OK;
    }
    return run_plain(c, max);
}

MT_INFER(mt_infer_globalpool)
{
    MT_TRY(mt_need_inputs(g, n, 1, 1, err));
    MT_TRY(mt_need_type(g, n, 0, MT_T_FLOAT, err));
    const mt_tensor *x = &mt_in(g, n, 0)->t;
    int64_t dims[MT_MAX_DIMS];
    if (x->rank < 3) return mt_node_fail(n, err, MT_ERR_FORMAT, "input of rank %d", x->rank);
    for (int d = 0; d < x->rank; d++) {
        dims[d] = d < 2 ? x->dims[d] : 1;
        if (!x->dims[d]) return mt_node_fail(n, err, MT_ERR_FORMAT, "dimension %d is empty", d);
    }
    return mt_set_out(g, n, 0, MT_DT_F32, x->rank, dims, err);
}

MT_RUN(mt_run_globalpool)
{
    const mt_tensor *x = c->in[0];
    float *o = c->out[0]->data;
    bool max = !strcmp(c->node->op->name, "GlobalMaxPool");
    if (mt_is_blocked_out(c, 0)) {
        size_t in = mt_image_blocked(c->k, x), out = mt_image_blocked(c->k, c->out[0]);
        for (int64_t i = 0; i < x->dims[0]; i++)
            (max ? mt_global_max_pool
                 : mt_global_avg_pool)(c->k, (const float *)x->data + (size_t)i * in,
                                       (int)x->dims[1], mt_plane(x), o + (size_t)i * out);
        return MT_OK;
    }
    size_t hw = 1;
    for (int d = 2; d < x->rank; d++) hw *= (size_t)x->dims[d];
    for (int64_t i = 0; i < x->dims[0] * x->dims[1]; i++) {
        const float *s = (const float *)x->data + (size_t)i * hw;
        double sum = 0;
        float top = s[0];
        for (size_t p = 0; p < hw; p++) {
            sum += s[p];
            if (s[p] > top || s[p] != s[p]) top = s[p];
        }
        o[i] = max ? top : (float)(sum / (double)hw);
    }
    return MT_OK;
}
