/* A constant zero Pad of the plane moves into the window of the Conv or average pool that reads it.
 */
#include "models/ops/op.h"

static bool plain_zero_pad(const mt_graph *g, const mt_node *n)
{
    if (strcmp(n->op->name, "Pad")) return false;
    const mt_pad_params *p = n->params;
    const mt_tensor *x = &g->values[n->in[0]]->t;
    if (p->mode != 0 || p->value != 0.0f || x->dtype != MT_DT_F32 || x->rank < 3) return false;
    for (int d = 0; d < x->rank; d++)
        if (p->lo[d] < 0 || p->hi[d] < 0 || (d < 2 && (p->lo[d] || p->hi[d]))) return false;
    return true;
}

static bool takes_padding(const mt_node *n)
{
    const mt_window *w = n->params;
    if (!strcmp(n->op->name, "Conv")) return true;
    if (strcmp(n->op->name, "AveragePool") || w->ceil_mode) return false;
    bool none = true;
    for (int d = 0; d < w->nd; d++) none = none && !w->pad_lo[d] && !w->pad_hi[d];
    return none || w->count_include_pad;
}

mt_status mt_pass_pad(mt_graph *g, mt_err *err)
{
    for (int i = 0; i < g->n_nodes; i++) {
        mt_node *pad = g->nodes[i];
        if (!plain_zero_pad(g, pad)) continue;
        mt_node *n = mt_graph_reader(g, pad->out[0]);
        if (!n || n->in[0] != pad->out[0] || !takes_padding(n)) continue;
        const mt_pad_params *p = pad->params;
        mt_window *w = n->params;
        for (int d = 0; d < w->nd; d++) {
            w->pad_lo[d] += p->lo[d + 2];
            w->pad_hi[d] += p->hi[d + 2];
        }
        w->count_include_pad = 1; /* the zeros were elements */
        n->in[0] = pad->in[0];
        pad->dead = true;
    }
    return MT_OK;
}
