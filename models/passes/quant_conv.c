/* Conv, Gemm and MatMul on 8-bit images. */
#include "models/passes/quant.h"

#include <math.h>

/* Signed weights around zero and their scale by output channel out of a dequantised constant. */
typedef struct weights {
    int8_t *w;
    float *scale;
} weights;

/* `axis`: the dimension of output channels, which the scales may follow. *ok false: not such. */
static mt_status read_weights(weights *out, bool *ok, mt_graph *g, int v, int axis, mt_err *err)
{
    *ok = false;
    const mt_value *f = g->values[v];
    const mt_node *dq = f->dq;
    if (!dq || !f->constant) return MT_OK;
    const mt_tensor *q = &g->values[dq->in[0]]->t, *s = &g->values[dq->in[1]]->t;
    const mt_tensor *z = dq->n_in > 2 && dq->in[2] >= 0 ? &g->values[dq->in[2]]->t : NULL;
    int64_t count = mt_tensor_count(s), channels = q->dims[axis], n = mt_tensor_count(q), inner = 1;
    int64_t by = mt_attr_int(dq, "axis", 1);
    if (by < 0) by += q->rank;
    if (!q->data || !s->data || (z && !z->data) || (q->dtype != MT_DT_I8 && q->dtype != MT_DT_U8) ||
        s->dtype != MT_DT_F32 || mt_attr_int(dq, "block_size", 0))
        return MT_OK;
    if (count != 1 && (by != axis || count != channels)) return MT_OK;
    MT_TRY(mt_graph_block(&out->w, g, (size_t)n, err));
    out->scale = mt_graph_mem(g, (size_t)channels * sizeof(float), err);
    if (!out->scale) return MT_ERR_NO_MEMORY;
    for (int64_t i = 0; i < channels; i++) {
        out->scale[i] = ((const float *)s->data)[count == 1 ? 0 : i];
        if (!(out->scale[i] > 0) || !isfinite(out->scale[i])) return MT_OK;
    }
    for (int d = axis + 1; d < q->rank; d++)
        inner *= q->dims[d];
    for (int64_t i = 0; i < n; i++) {
        int64_t c = count == 1 ? 0 : i / inner % channels;
        int64_t value =
            mt_tensor_int(q, i) - (z ? mt_tensor_int(z, mt_tensor_count(z) == 1 ? 0 : c) : 0);
        if (value < -128 || value > 127) return MT_OK;
        out->w[i] = (int8_t)value;
    }
    *ok = true;
    return MT_OK;
}

/* [in][out] to [out][in]. */
static mt_status transpose(weights *w, mt_graph *g, int64_t rows, int64_t cols, mt_err *err)
{
    int8_t *to;
    MT_TRY(mt_graph_block(&to, g, (size_t)(rows * cols), err));
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++)
            to[c * rows + r] = w->w[r * cols + c];
    w->w = to;
    return MT_OK;
}

static mt_i8_conv_desc conv_desc(const mt_graph *g, const mt_node *n, const mt_q8_rep *x)
{
    const mt_window *w = n->params;
    const mt_tensor *o = &g->values[n->out[0]]->t;
    return (mt_i8_conv_desc){.cin = x->c,
                             .cout = (int)o->dims[1],
                             .groups = (int)w->groups,
                             .h = x->h,
                             .w = x->w,
                             .oh = (int)o->dims[2],
                             .ow = (int)o->dims[3],
                             .kh = (int)w->kernel[0],
                             .kw = (int)w->kernel[1],
                             .sh = (int)w->stride[0],
                             .sw = (int)w->stride[1],
                             .dh = (int)w->dilation[0],
                             .dw = (int)w->dilation[1],
                             .pt = (int)w->pad_lo[0],
                             .pl = (int)w->pad_lo[1]};
}

/* A product with a constant matrix as the convolution of the whole picture. */
static mt_i8_conv_desc dense_desc(const mt_q8_rep *x, int cout)
{
    return (mt_i8_conv_desc){.cin = x->c,
                             .cout = cout,
                             .groups = 1,
                             .h = x->h,
                             .w = x->w,
                             .oh = 1,
                             .ow = 1,
                             .kh = x->h,
                             .kw = x->w,
                             .sh = 1,
                             .sw = 1,
                             .dh = 1,
                             .dw = 1};
}

/* Weights, bias and shape of node n, which reads image x. */
static mt_status describe(mt_q8_conv *c, bool *ok, mt_q8 *p, const mt_node *n, const mt_q8_rep *x,
                          mt_err *err)
{
    mt_graph *g = p->g;
    weights w = {0};
    bool conv = !strcmp(n->op->name, "Conv"), gemm = !strcmp(n->op->name, "Gemm");
    const mt_tensor *wt = &g->values[n->in[1]]->t, *o = &g->values[n->out[0]]->t;
    *ok = false;
    if (conv) {
        if (wt->rank != 4 || g->values[n->in[0]]->t.rank != 4) return MT_OK;
        MT_TRY(read_weights(&w, ok, g, n->in[1], 0, err));
        if (!*ok) return MT_OK;
        c->d = conv_desc(g, n, x);
    } else {
        int rows_out = gemm && mt_attr_int(n, "transB", 0) ? 0 : 1;
        bool plain =
            !gemm || (mt_attr_float(n, "alpha", 1.0f) == 1.0f &&
                      mt_attr_float(n, "beta", 1.0f) == 1.0f && !mt_attr_int(n, "transA", 0));
        if (!plain || wt->rank != 2 || o->rank != 2) return MT_OK;
        if (wt->dims[!rows_out] != (int64_t)x->c * x->h * x->w) return MT_OK;
        MT_TRY(read_weights(&w, ok, g, n->in[1], rows_out, err));
        if (!*ok) return MT_OK;
        if (rows_out == 1) MT_TRY(transpose(&w, g, wt->dims[0], wt->dims[1], err));
        c->d = dense_desc(x, (int)wt->dims[rows_out]);
    }
    c->d.in_zero = x->grid.zero;
    for (int i = 0; i < c->d.cout; i++)
        w.scale[i] *= x->grid.scale;
    c->weights = w.w;
    c->scale = w.scale;
    if (n->n_in < 3 || n->in[2] < 0) return MT_OK;
    const mt_value *b = g->values[n->in[2]];
    *ok = b->constant && b->t.dtype == MT_DT_F32 && mt_tensor_count(&b->t) == c->d.cout &&
          b->t.rank > 0 && b->t.dims[b->t.rank - 1] == c->d.cout;
    float *bias;
    MT_TRY(mt_graph_block(&bias, g, (size_t)c->d.cout * sizeof *bias, err));
    if (*ok) memcpy(bias, b->t.data, (size_t)c->d.cout * sizeof *bias);
    c->bias = bias;
    return MT_OK;
}

static bool fits(const mt_q8_conv *c)
{
    mt_err ignored = MT_ERR_INIT;
    return mt_i8_conv_check(&c->d, c->weights, c->scale, c->bias, &ignored) == MT_OK;
}

mt_status mt_q8_match_conv(mt_q8 *p, mt_node *n, mt_q8_rep *r, int *value, mt_err *err)
{
    mt_graph *g = p->g;
    mt_q8_rep x;
    mt_q8_end_of e;
    bool ok;
    if (n->residual >= 0 || n->act != MT_ACT_NONE || n->n_in < 2 || n->in[1] < 0 ||
        !g->values[n->in[1]]->constant || !g->values[n->in[1]]->dq)
        return MT_OK;
    MT_TRY(mt_q8_need(p, n->in[0], &x, &ok, err));
    if (!ok) return MT_OK;
    mt_q8_conv c = {0};
    MT_TRY(describe(&c, &ok, p, n, &x, err));
    if (!ok) return MT_OK;
    bool bytes = mt_q8_end(p, n, &e);
    if (bytes) {
        c.d.out_scale = e.grid.scale;
        c.d.out_zero = e.grid.zero;
        c.d.lo = e.lo;
        c.d.hi = e.hi;
        c.d.act = e.act;
        c.d.act_a = e.act_a;
        c.d.act_b = e.act_b;
    } else
        c.d.out_float = 1;
    if (!fits(&c) && bytes) { /* what comes behind is not for bytes */
        c.d.out_float = 1;
        c.d.act = MT_ACT_NONE;
        bytes = false;
    }
    if (!fits(&c)) return MT_OK;
    mt_node *m;
    MT_TRY(mt_q8_node(&m, p, "QConv", n, 1, sizeof c, err));
    *(mt_q8_conv *)m->params = c;
    m->in[0] = x.image - 1;
    m->macs = n->macs;
    if (bytes) {
        *value = e.value;
        return mt_q8_image(r, p, m, g->values[n->out[0]]->t.dims[0], c.d.cout, c.d.oh, c.d.ow,
                           e.grid, err);
    }
    /* the floats are node n's own result from now on */
    m->out[0] = n->out[0];
    n->dead = true;
    return MT_OK;
}

/* Whether the image made as value v goes to the quantised and then to the dequantised value `to`, and
 * each of the three is read by one node alone. */
static bool one_way(const mt_q8 *p, int v, int to)
{
    for (int step = 0; step < 3; step++) {
        if (p->g->values[v]->is_output || p->first[v + 1] - p->first[v] != 1) return false;
        if (v == to) return true;
        v = p->g->nodes[p->readers[p->first[v]]]->out[0];
        if (v < 0 || v >= p->n_values) return false;
    }
    return false;
}

mt_status mt_q8_add_to_conv(mt_q8 *p, mt_node *add, const mt_q8_rep in[2], const mt_q8_end_of *e,
                            mt_q8_rep *r, bool *done, mt_err *err)
{
    *done = false;
    for (int i = 1; i >= 0; i--) {
        mt_node *m = in[i].maker;
        if (m->op->run != mt_run_q8_conv || m->n_in != 1 || e->act != MT_ACT_NONE) continue;
        if (!one_way(p, in[i].value, add->in[i])) continue;
        mt_q8_conv c = *(const mt_q8_conv *)m->params;
        if (c.d.act != MT_ACT_NONE || c.d.lo != 0 || c.d.hi != 255) continue;
        c.d.residual = 1;
        c.d.mid_scale = in[i].grid.scale;
        c.d.mid_zero = in[i].grid.zero;
        c.d.res_scale = in[!i].grid.scale;
        c.d.res_zero = in[!i].grid.zero;
        c.d.out_scale = e->grid.scale;
        c.d.out_zero = e->grid.zero;
        c.d.lo = e->lo;
        c.d.hi = e->hi;
        if (!fits(&c)) continue;
        mt_node *fused;
        MT_TRY(mt_q8_node(&fused, p, "QConv", m, 2, sizeof c, err));
        *(mt_q8_conv *)fused->params = c;
        fused->in[0] = m->in[0];
        fused->in[1] = in[!i].image - 1;
        fused->macs = m->macs;
        *done = true;
        return mt_q8_image(r, p, fused, p->g->values[in[i].image - 1]->t.dims[0], in[i].c, in[i].h,
                           in[i].w, e->grid, err);
    }
    return MT_OK;
}
