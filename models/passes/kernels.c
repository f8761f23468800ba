/* Binds convolutions to kernel objects: weights packed, variant chosen, scratch known. */
#include "models/ops/op.h"

static mt_conv_desc describe(const mt_graph *g, const mt_node *n)
{
    const mt_window *w = n->params;
    const mt_value *x = g->values[n->in[0]], *o = g->values[n->out[0]];
    int r = w->nd - 1, two = w->nd == 2;
    return (mt_conv_desc){
        .cin = (int)x->t.dims[1], .cout = (int)o->t.dims[1], .groups = (int)w->groups,
        .h = two ? (int)x->t.dims[2] : 1, .w = (int)x->t.dims[2 + r],
        .oh = two ? (int)o->t.dims[2] : 1, .ow = (int)o->t.dims[2 + r],
        .kh = two ? (int)w->kernel[0] : 1, .kw = (int)w->kernel[r],
        .sh = two ? (int)w->stride[0] : 1, .sw = (int)w->stride[r],
        .dh = two ? (int)w->dilation[0] : 1, .dw = (int)w->dilation[r],
        .pt = two ? (int)w->pad_lo[0] : 0, .pl = (int)w->pad_lo[r],
        .in_plain = !x->blocked, .residual = n->residual >= 0,
        .act = n->act, .act_a = n->act_a, .act_b = n->act_b,
    };
}

mt_status mt_pass_kernels(mt_graph *g, mt_err *err)
{
    for (int i = 0; i < g->n_nodes; i++) {
        mt_node *n = g->nodes[i];
        if (!mt_conv_has_kernel(g, n)) continue;
        mt_conv_desc d = describe(g, n);
        const float *bias = n->n_in > 2 && n->in[2] >= 0 ? g->values[n->in[2]]->t.data : NULL;
        n->convs = mt_graph_mem(g, sizeof *n->convs, err);
        if (!n->convs) return MT_ERR_NO_MEMORY;
        if (mt_conv_new(&n->convs[0], g->k, &d, g->values[n->in[1]]->t.data, bias, err) != MT_OK)
            return mt_err_context(err, "%s: Conv node \"%.80s\"", g->name, n->name);
        n->n_convs = 1;
        n->variant = mt_conv_variant(n->convs[0]);
        n->scratch = mt_conv_scratch_bytes(n->convs[0]);
    }
    return MT_OK;
}
