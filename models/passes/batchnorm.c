/* BatchNormalization with known statistics disappears into the convolution before it, or becomes
 * one multiply-add per channel (pre-activation networks). */
#include "models/ops/op.h"

/* scale = gamma / sqrt(var + eps), shift = beta - mean * scale, in double. */
static mt_status read_scale(mt_scale_params *p, mt_graph *g, const mt_node *n, mt_err *err)
{
    const float *in[4];
    for (int i = 0; i < 4; i++) in[i] = g->values[n->in[1 + i]]->t.data;
    int64_t c = g->values[n->in[0]]->t.dims[1];
    p->scale = mt_graph_mem(g, (size_t)c * sizeof(float), err);
    p->shift = mt_graph_mem(g, (size_t)c * sizeof(float), err);
    if (!p->scale || !p->shift) return MT_ERR_NO_MEMORY;
    double eps = mt_attr_float(n, "epsilon", 1e-5f);
    for (int64_t i = 0; i < c; i++) {
        double scale = in[0][i] / sqrt((double)in[3][i] + eps);
        p->scale[i] = (float)scale;
        p->shift[i] = (float)((double)in[1][i] - (double)in[2][i] * scale);
    }
    return MT_OK;
}

/* Multiplies output channel o of a Conv's weights [O][I/g][k] (or a ConvTranspose's [I][O/g][k]).
 */
static void scale_weights(float *dst, const mt_tensor *w, int64_t groups, bool transposed,
                          const float *scale)
{
    const float *src = w->data;
    int64_t inner = 1;
    for (int d = 2; d < w->rank; d++) inner *= w->dims[d];
    for (int64_t a = 0; a < w->dims[0]; a++)
        for (int64_t b = 0; b < w->dims[1]; b++) {
            int64_t o = transposed ? a / (w->dims[0] / groups) * w->dims[1] + b : a;
            for (int64_t i = 0; i < inner; i++, src++) *dst++ = *src * scale[o];
        }
}

static mt_status into_conv(mt_graph *g, mt_node *conv, mt_node *bn, bool transposed,
                           const mt_scale_params *s, mt_err *err)
{
    const mt_value *w = g->values[conv->in[1]];
    int nw, nb;
    int64_t c = g->values[bn->in[0]]->t.dims[1];
    MT_TRY(mt_graph_new_const(&nw, g, w->name, w->t.rank, w->t.dims, err));
    MT_TRY(mt_graph_new_const(&nb, g, "bias", 1, &c, err));
    scale_weights(g->values[nw]->t.data, &w->t, ((const mt_window *)conv->params)->groups,
                  transposed, s->scale);
    const float *old = conv->n_in > 2 && conv->in[2] >= 0 ? g->values[conv->in[2]]->t.data : NULL;
    float *bias = g->values[nb]->t.data;
    for (int64_t i = 0; i < c; i++) bias[i] = (old ? old[i] * s->scale[i] : 0.0f) + s->shift[i];
    if (conv->n_in < 3) { /* room for the bias and, later, a residual */
        int *in = mt_graph_mem(g, 5 * sizeof *in, err);
        if (!in) return MT_ERR_NO_MEMORY;
        in[0] = conv->in[0];
        in[3] = in[4] = -1;
        conv->in = in;
        conv->n_in = 3;
    }
    conv->in[1] = nw;
    conv->in[2] = nb;
    conv->out[0] = bn->out[0];
    bn->dead = true;
    return MT_OK;
}

static bool constant_inputs(const mt_graph *g, const mt_node *n, int first)
{
    for (int i = first; i < n->n_in; i++)
        if (n->in[i] >= 0 && !g->values[n->in[i]]->constant) return false;
    return true;
}

mt_status mt_pass_batchnorm(mt_graph *g, mt_err *err)
{
    for (int i = 0; i < g->n_nodes; i++) {
        mt_node *n = g->nodes[i];
        if (strcmp(n->op->name, "BatchNormalization") || !constant_inputs(g, n, 1)) continue;
        mt_scale_params *p = mt_graph_mem(g, sizeof *p, err);
        if (!p) return MT_ERR_NO_MEMORY;
        MT_TRY(read_scale(p, g, n, err));
        mt_node *conv = mt_graph_producer(g, n->in[0]);
        bool transposed = conv && !strcmp(conv->op->name, "ConvTranspose");
        if (conv && (transposed || !strcmp(conv->op->name, "Conv")) &&
            mt_graph_reader(g, n->in[0]) == n && constant_inputs(g, conv, 1)) {
            MT_TRY(into_conv(g, conv, n, transposed, p, err));
            g->values[n->out[0]]->producer = g->values[n->in[0]]->producer;
            continue;
        }
        n->op = mt_op_internal("ScaleShift");
        n->params = p;
        n->n_in = 1;
        n->n_out = 1;
    }
    return MT_OK;
}
