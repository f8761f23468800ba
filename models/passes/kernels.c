/* Binds convolutions to kernel objects: weights packed, variant chosen, scratch known. */
#include <stdio.h>
#include "models/ops/op.h"

#define PAIR_FLOOR ((size_t)512 << 10) /* bytes of one image between the two layers of a pair */

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

/* Weights of a transposed convolution [I][O][taps] as those of a 1x1 one: [tap][O in whole
 * blocks][I]. */
static mt_status tap_weights(float **out, const mt_graph *g, const mt_tensor *w, int64_t taps,
                             int64_t wide, mt_err *err)
{
    const float *src = w->data;
    int64_t cin = w->dims[0], cout = w->dims[1];
    MT_TRY(mt_alloc(out, (size_t)(taps * wide * cin), sizeof **out, MT_TENSOR_CEILING, "weights",
                    err));
    for (int64_t i = 0; i < cin; i++)
        for (int64_t o = 0; o < cout; o++)
            for (int64_t t = 0; t < taps; t++) (*out)[(t * wide + o) * cin + i] = *src++;
    return MT_OK;
}

static mt_status bind_transposed(mt_graph *g, mt_node *n, mt_err *err)
{
    const mt_window *w = n->params;
    const mt_value *x = g->values[n->in[0]], *wt = g->values[n->in[1]];
    int64_t taps = 1, wide = mt_blocks(g->k, (int)wt->t.dims[1]) * g->k->block;
    for (int d = 0; d < w->nd; d++) taps *= w->kernel[d];
    if (taps * wide > 1 << 20)
        return mt_node_fail(n, err, MT_ERR_LIMIT, "%lld taps", (long long)taps);
    int h = w->nd == 2 ? (int)x->t.dims[2] : 1, cols = (int)x->t.dims[1 + w->nd];
    mt_conv_desc d = {.cin = (int)x->t.dims[1],
                      .cout = (int)(taps * wide),
                      .groups = 1,
                      .h = h,
                      .w = cols,
                      .oh = h,
                      .ow = cols,
                      .kh = 1,
                      .kw = 1,
                      .sh = 1,
                      .sw = 1,
                      .dh = 1,
                      .dw = 1};
    MT_AUTO_FREE float *weights = NULL;
    MT_TRY(tap_weights(&weights, g, &wt->t, taps, wide, err));
    MT_TRY(mt_conv_new(&n->convs[0], g->k, &d, weights, NULL, err));
    size_t floats;
    if (!mt_mul(&floats, (size_t)(taps * wide), (size_t)h * (size_t)cols) ||
        floats > MT_TENSOR_CEILING / sizeof(float))
        return mt_node_fail(n, err, MT_ERR_LIMIT, "intermediate result too large");
    n->scratch = floats * sizeof(float) + mt_conv_scratch_bytes(n->convs[0]);
    n->variant = "taps";
    return MT_OK;
}

static mt_status bind_conv(mt_graph *g, mt_node *n, mt_err *err)
{
    mt_conv_desc d = describe(g, n);
    const float *bias = n->n_in > 2 && n->in[2] >= 0 ? g->values[n->in[2]]->t.data : NULL;
    MT_TRY(mt_conv_new(&n->convs[0], g->k, &d, g->values[n->in[1]]->t.data, bias, err));
    n->variant = mt_conv_variant(n->convs[0]);
    n->scratch = mt_conv_scratch_bytes(n->convs[0]);
    return MT_OK;
}

/* A depthwise convolution takes the 1x1 one before it into its step where what lies between is read by
 * nobody else and would not stay in the second-level cache beside everything else. */
static mt_status join_pair(mt_graph *g, mt_node *dw, mt_err *err)
{
    mt_node *first = dw->n_convs == 1 && dw->in[0] >= 0 ? mt_graph_producer(g, dw->in[0]) : NULL;
    if (!first || first->op->run != mt_run_conv || dw->op->run != mt_run_conv || first->n_convs != 1)
        return MT_OK;
    if (mt_graph_reader(g, dw->in[0]) != dw || dw->residual == dw->in[0]) return MT_OK;
    const mt_tensor *between = &g->values[dw->in[0]]->t;
    if (mt_image_blocked(g->k, between) * sizeof(float) < PAIR_FLOOR ||
        !mt_conv_pairs(first->convs[0], dw->convs[0]))
        return MT_OK;
    mt_conv **both = mt_graph_mem(g, 2 * sizeof *both, err);
    char *name = mt_graph_mem(g, 64, err);
    if (!both || !name) return MT_ERR_NO_MEMORY;
    snprintf(name, 64, "%.20s+%.30s", first->variant, dw->variant);
    both[0] = first->convs[0];
    both[1] = dw->convs[0];
    dw->convs = both;
    dw->n_convs = 2;
    dw->variant = name;
    dw->scratch = mt_conv_pair_scratch_bytes(both[0], both[1]);
    dw->macs += first->macs;
    dw->in[0] = first->in[0];
    first->n_convs = 0;
    first->dead = true;
    return MT_OK;
}

mt_status mt_pass_kernels(mt_graph *g, mt_err *err)
{
    for (int i = 0; i < g->n_nodes; i++) {
        mt_node *n = g->nodes[i];
        bool transposed = mt_convt_has_kernel(g, n);
        if (!transposed && !mt_conv_has_kernel(g, n)) continue;
        n->convs = mt_graph_mem(g, sizeof *n->convs, err);
        if (!n->convs) return MT_ERR_NO_MEMORY;
        n->n_convs = 1;
        if ((transposed ? bind_transposed : bind_conv)(g, n, err) != MT_OK)
            return mt_err_context(err, "%s: node \"%.80s\"", g->name, n->name);
        n->in[1] = -1; /* packed: the graph's own copy may go */
        if (!transposed && n->n_in > 2) n->in[2] = -1;
    }
    for (int i = 0; i < g->n_nodes; i++) MT_TRY(join_pair(g, g->nodes[i], err));
    return mt_graph_release(g, err);
}
