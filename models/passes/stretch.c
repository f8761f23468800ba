/* Which nodes run image by image within a batch.
 *
 * Layer by layer, a batch of large activations leaves the caches between one layer and the next;
 * image by image, large weights do. A stretch is a run of neighbouring nodes whose activations weigh
 * more than their weights: its inner values take the memory of one image. Either way every image goes
 * through the same kernels: the bits are the same. */
#include "kernels/i8.h"
#include "models/ops/op.h"

#define SMALL_WEIGHTS ((size_t)128 << 10) /* stay in the second cache beside an image's rows */

/* Rows whose run() does dims[0] images one after the other, each as if it were alone: those of
 * 8-bit images, and the others where they work on blocked tensors. */
static bool by_image(const mt_graph *g, const mt_node *n)
{
    mt_status (*const blocked[])(const mt_call *, mt_err *) = {
        mt_run_conv,   mt_run_convtranspose, mt_run_pool,        mt_run_globalpool,
        mt_run_act,    mt_run_clip,          mt_run_binary,      mt_run_scale_shift,
        mt_run_concat, mt_run_to_blocked,    mt_run_from_blocked};
    mt_status (*const bytes[])(const mt_call *, mt_err *) = {
        mt_run_q8_quantise, mt_run_q8_conv,   mt_run_q8_pair, mt_run_q8_pool,
        mt_run_q8_table,    mt_run_q8_concat, mt_run_q8_pad};
    for (size_t i = 0; i < MT_COUNT(bytes); i++)
        if (n->op->run == bytes[i]) return g->values[n->out[0]]->t.dtype == MT_DT_U8;
    for (size_t i = 0; i < MT_COUNT(blocked); i++)
        if (n->op->run == blocked[i])
            return g->values[n->out[0]]->blocked || n->op->run == mt_run_from_blocked;
    return false;
}

/* Every tensor has one image a batch entry; constants repeat. */
static bool fits(const mt_graph *g, const mt_node *n)
{
    if (n->n_out < 1 || n->out[0] < 0 || !by_image(g, n)) return false;
    for (int i = 0; i < n->n_in + n->n_out; i++) {
        int v = i < n->n_in ? n->in[i] : n->out[i - n->n_in];
        if (v < 0) continue;
        const mt_tensor *t = &g->values[v]->t;
        bool image = t->rank >= 3 && t->dims[0] == g->batch;
        if (g->values[v]->constant ? image : !image) return false;
    }
    return true;
}

static size_t image_bytes(const mt_graph *g, int v)
{
    if (v < 0 || g->values[v]->constant) return 0;
    const mt_value *x = g->values[v];
    size_t whole = x->blocked ? mt_value_floats(g, x) * sizeof(float) : mt_tensor_bytes(&x->t);
    return whole / (size_t)g->batch;
}

static bool gains(const mt_graph *g, const mt_node *n)
{
    size_t weights = 0, moved = 0;
    for (int i = 0; i < n->n_convs; i++) weights += mt_conv_weight_bytes(n->convs[i]);
    if (n->i8) weights += mt_i8_conv_weight_bytes(n->i8);
    for (int i = 0; i < n->n_in; i++) moved += image_bytes(g, n->in[i]);
    for (int i = 0; i < n->n_out; i++) moved += image_bytes(g, n->out[i]);
    return weights <= MT_MAX(moved, SMALL_WEIGHTS);
}

/* A value is of one image when its producer and all its readers stand in one stretch. */
static mt_status find_inner(mt_graph *g, mt_err *err)
{
    MT_AUTO_FREE int *home = NULL; /* by value: stretch of everyone who touches it, -1 several */
    MT_TRY(mt_alloc(&home, (size_t)g->n_values + 1, sizeof *home, SIZE_MAX, "graph", err));
    for (int i = 0; i < g->n_nodes; i++) {
        const mt_node *n = g->nodes[i];
        for (int j = 0; j < n->n_in + n->n_out; j++) {
            int v = j < n->n_in ? n->in[j] : n->out[j - n->n_in];
            if (v < 0) continue;
            int mine = n->stretch ? n->stretch : -1;
            home[v] = !home[v] || home[v] == mine ? mine : -1;
        }
    }
    for (int i = 0; i < g->n_values; i++) {
        const mt_value *v = g->values[i];
        if (v->constant || v->is_input || v->is_output) home[i] = -1;
    }
    for (int i = 0; i < g->n_outputs; i++) home[g->outputs[i]] = -1;
    /* A view and its source are the same memory: back and forth, so that chains agree. */
    for (int turn = 0; turn < 2; turn++)
        for (int k = 0; k < g->n_nodes; k++) {
            const mt_node *n = g->nodes[turn ? g->n_nodes - 1 - k : k];
            if (!mt_node_is_view(g, n) || n->n_in < 1 || n->in[0] < 0 || n->out[0] < 0) continue;
            if (home[n->in[0]] <= 0 || home[n->out[0]] <= 0) home[n->in[0]] = home[n->out[0]] = -1;
        }
    for (int i = 0; i < g->n_values; i++) g->values[i]->one_image = home[i] > 0;
    return MT_OK;
}

mt_status mt_pass_stretch(mt_graph *g, mt_err *err)
{
    int id = 0, length = 0;
    for (int i = 0; i < g->n_nodes; i++) g->nodes[i]->stretch = 0;
    if (g->batch < 2) return MT_OK;
    for (int i = 0; i <= g->n_nodes; i++) {
        bool on = i < g->n_nodes && fits(g, g->nodes[i]) && gains(g, g->nodes[i]);
        if (on && !length) id++;
        if (on) g->nodes[i]->stretch = id;
        if (!on && length == 1) g->nodes[i - 1]->stretch = 0; /* alone it gains nothing */
        length = on ? length + 1 : 0;
    }
    return find_inner(g, err);
}
