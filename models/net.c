/* Compiling a graph and running it. */
#include "models/net.h"

#include <string.h>
#include "kernels/i8.h"
#include "models/ops/op.h"

#define ARENA_CEILING ((size_t)64 << 30)

struct mt_net {
    mt_graph g;
    mt_tensor *in, *out;         /* as the caller sees them */
    size_t arena_bytes, scratch_at;
    uint64_t macs;
    size_t n_args;               /* tensor pointers of all nodes */
};

struct mt_net_state {
    const mt_net *net;
    char *arena;
    mt_tensor *values;           /* by value number */
    mt_tensor **args;            /* inputs then outputs of each node in turn */
    mt_tensor *images;           /* by value number: one image of it, for nodes of a stretch */
    float **wide_in;             /* float16 and float64 inputs as float32; NULL where not needed */
    void **outer_out;            /* outputs in the type of the outside world; NULL likewise */
};

static mt_status run_passes(mt_graph *g, mt_err *err)
{
    typedef mt_status (*pass)(mt_graph *, mt_err *);
    static const pass passes[] = {mt_pass_simplify, mt_pass_batchnorm, mt_pass_pad, mt_pass_gates, mt_pass_quant,
                                  mt_pass_rownorm, mt_pass_gelu, mt_pass_dense, mt_pass_attention,
                                  mt_pass_fuse, mt_pass_bag, mt_pass_layout, mt_pass_kernels, mt_pass_stretch};
    for (size_t i = 0; i < MT_COUNT(passes); i++) {
        MT_TRY(passes[i](g, err));
        MT_TRY(mt_graph_compact(g, err));
        if (i == 0 && g->n_nodes > MT_LIVE_CEILING)
            return mt_err_set(err, MT_ERR_LIMIT,
                              "%s: %d nodes are left after folding, at most %d are handled",
                              g->name, g->n_nodes, MT_LIVE_CEILING);
    }
    return MT_OK;
}

/* The border's type; an output may be declared float16 and yet hold integers. */
static mt_dtype outer_type(const mt_value *v)
{
    if (v->t.dtype != MT_DT_F32) return v->t.dtype;
    return v->half ? MT_DT_F16 : v->wide ? MT_DT_F64 : MT_DT_F32;
}

static bool is_outer(mt_dtype t) { return t == MT_DT_F16 || t == MT_DT_F64; }

static mt_status describe(mt_net *net, mt_err *err)
{
    mt_graph *g = &net->g;
    net->in = mt_graph_mem(g, sizeof *net->in * (size_t)(g->n_inputs + 1), err);
    net->out = mt_graph_mem(g, sizeof *net->out * (size_t)(g->n_outputs + 1), err);
    if (!net->in || !net->out) return MT_ERR_NO_MEMORY;
    for (int i = 0; i < g->n_inputs; i++) net->in[i] = g->values[g->inputs[i]]->t;
    for (int i = 0; i < g->n_outputs; i++) net->out[i] = g->values[g->outputs[i]]->t;
    for (int i = 0; i < g->n_inputs; i++) {
        net->in[i].data = NULL;
        net->in[i].dtype = outer_type(g->values[g->inputs[i]]);
    }
    for (int i = 0; i < g->n_outputs; i++) {
        net->out[i].data = NULL;
        net->out[i].dtype = outer_type(g->values[g->outputs[i]]);
    }
    for (int i = 0; i < g->n_nodes; i++) {
        net->macs += g->nodes[i]->macs;
        net->n_args += (size_t)(g->nodes[i]->n_in + g->nodes[i]->n_out);
    }
    return MT_OK;
}

static mt_status compile(mt_net *net, const void *onnx, size_t n_bytes, const mt_tensor *inputs,
                         int n_inputs, mt_err *err)
{
    mt_graph *g = &net->g;
    g->k = mt_kernels_get();
    MT_TRY(mt_onnx_read(g, onnx, n_bytes, err));
    MT_TRY(mt_graph_bind(g, inputs, n_inputs, err));
    MT_TRY(mt_graph_infer(g, err));
    MT_TRY(run_passes(g, err));
    MT_TRY(mt_pass_plan(&net->arena_bytes, &net->scratch_at, g, err));
    if (net->arena_bytes > ARENA_CEILING)
        return mt_err_set(err, MT_ERR_LIMIT, "%s: needs %zu bytes for its activations", g->name,
                          net->arena_bytes);
    MT_TRY(mt_externals_check(&g->external, err)); /* what was packed came from them */
    return describe(net, err);
}

mt_status mt_net_compile(mt_net **out, const void *onnx, size_t n_bytes, const mt_tensor *inputs,
                         int n_inputs, const char *name, mt_err *err)
{
    return mt_net_compile_in(out, onnx, n_bytes, NULL, inputs, n_inputs, name, err);
}

mt_status mt_net_compile_in(mt_net **out, const void *onnx, size_t n_bytes, const char *folder,
                            const mt_tensor *inputs, int n_inputs, const char *name, mt_err *err)
{
    mt_err local = MT_ERR_INIT;
    if (!err) err = &local;
    *out = NULL;
    mt_net *net = calloc(1, sizeof *net);
    if (!net) return mt_err_set(err, MT_ERR_NO_MEMORY, "no memory for a network");
    net->g.name = "network";
    mt_status st = MT_OK;
    char *text = mt_graph_text(&net->g, name ? name : "network", err);
    if (!text) st = MT_ERR_NO_MEMORY;
    else net->g.name = text;
    if (folder && st == MT_OK && !(net->g.folder = mt_graph_text(&net->g, folder, err)))
        st = MT_ERR_NO_MEMORY;
    if (st == MT_OK) st = compile(net, onnx, n_bytes, inputs, n_inputs, err);
    if (st != MT_OK) mt_net_free(&net);
    *out = net;
    return st;
}

void mt_net_free(mt_net **net)
{
    if (!net || !*net) return;
    mt_graph_free(&(*net)->g);
    free(*net);
    *net = NULL;
}

int mt_net_n_inputs(const mt_net *net) { return net->g.n_inputs; }
int mt_net_n_outputs(const mt_net *net) { return net->g.n_outputs; }
const mt_tensor *mt_net_input(const mt_net *net, int i)
{
    return i >= 0 && i < net->g.n_inputs ? &net->in[i] : NULL;
}
const mt_tensor *mt_net_output(const mt_net *net, int i)
{
    return i >= 0 && i < net->g.n_outputs ? &net->out[i] : NULL;
}
uint64_t mt_net_macs(const mt_net *net) { return net->macs; }
size_t mt_net_n_params(const mt_net *net) { return net->g.n_params; }
int mt_net_n_steps(const mt_net *net) { return net->g.n_nodes; }

const char *mt_net_output_name(const mt_net *net, int i)
{
    return i >= 0 && i < net->g.n_outputs ? net->g.output_names[i] : "";
}

/* A constant read twice counts once: by the node that reads it last. */
size_t mt_net_weight_bytes(const mt_net *net)
{
    size_t n = 0;
    for (int i = 0; i < net->g.n_nodes; i++) {
        const mt_node *node = net->g.nodes[i];
        for (int j = 0; j < node->n_in; j++) {
            const mt_value *v = node->in[j] >= 0 ? net->g.values[node->in[j]] : NULL;
            bool again = false;
            for (int k = 0; k < j; k++) again = again || node->in[k] == node->in[j];
            if (v && v->constant && v->t.data && v->reader == i && !again)
                n += mt_tensor_bytes(&v->t);
        }
        for (int j = 0; j < node->n_convs; j++) n += mt_conv_weight_bytes(node->convs[j]);
        if (node->i8) n += mt_i8_conv_weight_bytes(node->i8);
    }
    return n;
}

size_t mt_net_state_bytes(const mt_net *net)
{
    size_t n = net->arena_bytes + 2 * (size_t)net->g.n_values * sizeof(mt_tensor) +
               net->n_args * sizeof(void *);
    for (int i = 0; i < net->g.n_inputs; i++) /* float16 and float64 at the border */
        if (is_outer(net->in[i].dtype)) n += (size_t)mt_tensor_count(&net->in[i]) * 4;
    for (int i = 0; i < net->g.n_outputs; i++)
        if (is_outer(net->out[i].dtype)) n += (size_t)mt_tensor_count(&net->out[i]) * 8;
    return n;
}

/* --- state ---------------------------------------------------------------------------------------
 */

static mt_status fill_state(mt_net_state *s, const mt_net *net, mt_err *err)
{
    const mt_graph *g = &net->g;
    s->net = net;
    MT_TRY(mt_alloc_aligned(&s->arena, net->arena_bytes, ARENA_CEILING,
                            "activations of the network", err));
    MT_TRY(mt_alloc(&s->values, (size_t)g->n_values + 1, sizeof *s->values, SIZE_MAX,
                    "network state", err));
    MT_TRY(mt_alloc(&s->args, net->n_args + 1, sizeof *s->args, SIZE_MAX, "network state", err));
    MT_TRY(mt_alloc(&s->wide_in, (size_t)g->n_inputs + 1, sizeof *s->wide_in, SIZE_MAX,
                    "network state", err));
    MT_TRY(mt_alloc(&s->outer_out, (size_t)g->n_outputs + 1, sizeof *s->outer_out, SIZE_MAX,
                    "network state", err));
    memset(s->arena, 0, net->arena_bytes ? net->arena_bytes : 1);
    for (int i = 0; i < g->n_values; i++) {
        const mt_value *v = g->values[i], *root = g->values[v->root];
        s->values[i] = v->t;
        if (v->constant) continue;
        s->values[i].data = root->constant   ? root->t.data
                            : root->is_input ? NULL
                                             : s->arena + root->offset;
    }
    MT_TRY(mt_alloc(&s->images, (size_t)g->n_values + 1, sizeof *s->images, SIZE_MAX,
                    "network state", err));
    size_t at = 0;
    for (int i = 0; i < g->n_nodes; i++) {
        const mt_node *n = g->nodes[i];
        for (int j = 0; j < n->n_in + n->n_out; j++) {
            int v = j < n->n_in ? n->in[j] : n->out[j - n->n_in];
            s->args[at++] = v < 0                                      ? NULL
                            : n->stretch && !g->values[v]->constant ? &s->images[v]
                                                                       : &s->values[v];
            if (v < 0) continue;
            s->images[v] = g->values[v]->t;
            s->images[v].dims[0] = 1;
        }
    }
    for (int i = 0; i < g->n_inputs; i++)
        if (is_outer(net->in[i].dtype))
            MT_TRY(mt_alloc_aligned(&s->wide_in[i], (size_t)mt_tensor_count(&net->in[i]) * 4,
                                    MT_TENSOR_CEILING, "input", err));
    for (int i = 0; i < g->n_outputs; i++)
        if (is_outer(net->out[i].dtype))
            MT_TRY(mt_alloc_aligned(&s->outer_out[i], (size_t)mt_tensor_count(&net->out[i]) * 8,
                                    2 * MT_TENSOR_CEILING, "output", err));
    return MT_OK;
}

mt_status mt_net_state_new(mt_net_state **out, const mt_net *net, mt_err *err)
{
    *out = NULL;
    mt_net_state *s = calloc(1, sizeof *s);
    if (!s) return mt_err_set(err, MT_ERR_NO_MEMORY, "no memory for a network state");
    mt_status st = fill_state(s, net, err);
    if (st != MT_OK) mt_net_state_free(&s);
    *out = s;
    return st;
}

void mt_net_state_free(mt_net_state **state)
{
    if (!state || !*state) return;
    mt_net_state *s = *state;
    for (int i = 0; s->wide_in && i < s->net->g.n_inputs; i++) free(s->wide_in[i]);
    for (int i = 0; s->outer_out && i < s->net->g.n_outputs; i++) free(s->outer_out[i]);
    free(s->wide_in);
    free(s->outer_out);
    free(s->arena);
    free(s->images);
    free(s->values);
    free(s->args);
    free(s);
    *state = NULL;
}

/* --- running -------------------------------------------------------------------------------------
 */

static mt_status set_inputs(const mt_net *net, mt_net_state *s, const mt_tensor *inputs,
                            mt_err *err)
{
    const mt_graph *g = &net->g;
    for (int i = 0; i < g->n_inputs; i++) {
        const mt_tensor *want = &net->in[i], *have = &inputs[i];
        if (g->values[g->inputs[i]]->constant) continue; /* bound with contents at compile time */
        bool fits = have->dtype == want->dtype && have->rank == want->rank &&
                    (have->data || !mt_tensor_count(want));
        for (int d = 0; fits && d < want->rank; d++) fits = have->dims[d] == want->dims[d];
        if (!fits) {
            char a[128], b[128];
            return mt_err_set(err, MT_ERR_ARG,
                              "%s: input %d is %s, the network was compiled for %s", g->name, i,
                              mt_dims_text(a, sizeof a, have), mt_dims_text(b, sizeof b, want));
        }
        void *data = have->data;
        if (is_outer(want->dtype)) {
            data = s->wide_in[i];
            mt_widen(data, have->data, want->dtype, mt_tensor_count(want));
        }
        s->values[g->inputs[i]].data = data;
    }
    for (int i = 0; i < g->n_values; i++) { /* views of inputs */
        const mt_value *v = g->values[i];
        if (v->root != i && g->values[v->root]->is_input && !g->values[v->root]->constant)
            s->values[i].data = s->values[v->root].data;
    }
    return MT_OK;
}

static void get_outputs(const mt_net *net, mt_net_state *s, mt_tensor *outputs)
{
    const mt_graph *g = &net->g;
    for (int i = 0; i < g->n_outputs; i++) {
        outputs[i] = net->out[i];
        outputs[i].data = s->values[g->outputs[i]].data;
        if (!s->outer_out[i]) continue;
        mt_narrow(s->outer_out[i], outputs[i].data, net->out[i].dtype,
                  mt_tensor_count(&net->out[i]));
        outputs[i].data = s->outer_out[i];
    }
}

typedef struct watcher {
    mt_net_watch_fn fn;
    void *ctx;
} watcher;

static mt_status run_node(const mt_net *net, mt_net_state *s, int i, mt_tensor **args,
                          const watcher *w, mt_err *err)
{
    const mt_graph *g = &net->g;
    const mt_node *n = g->nodes[i];
    const char *variant = n->variant ? n->variant : "";
    mt_call c = {
        n, (const mt_tensor *const *)args, args + n->n_in, s->arena + net->scratch_at, g->k, g};
    if (w->fn) w->fn(w->ctx, i, n->op->name, n->name, variant, n->macs, 0);
    if (!mt_node_is_view(g, n)) MT_TRY(n->op->run(&c, err));
    if (w->fn) w->fn(w->ctx, i, n->op->name, n->name, variant, n->macs, 1);
    return MT_OK;
}

/* Points the one-image tensors of node n at image `m` of the batch. */
static void choose_image(const mt_net *net, mt_net_state *s, const mt_node *n, int64_t m)
{
    const mt_graph *g = &net->g;
    for (int j = 0; j < n->n_in + n->n_out; j++) {
        int v = j < n->n_in ? n->in[j] : n->out[j - n->n_in];
        if (v < 0 || g->values[v]->constant) continue;
        size_t step = 0;
        if (!g->values[v]->one_image)
            step = g->values[v]->blocked ? mt_value_floats(g, g->values[v]) * sizeof(float)
                                         : mt_tensor_bytes(&g->values[v]->t);
        s->images[v].data = (char *)s->values[v].data + step / (size_t)g->batch * (size_t)m;
    }
}

/* Nodes first..end-1, image by image. args: of node `first`. */
static mt_status run_stretch(const mt_net *net, mt_net_state *s, int first, int end,
                             mt_tensor **args, const watcher *w, mt_err *err)
{
    const mt_graph *g = &net->g;
    for (int64_t m = 0; m < g->batch; m++) {
        mt_tensor **at = args;
        for (int i = first; i < end; i++) {
            choose_image(net, s, g->nodes[i], m);
            MT_TRY(run_node(net, s, i, at, w, err));
            at += g->nodes[i]->n_in + g->nodes[i]->n_out;
        }
    }
    return MT_OK;
}

mt_status mt_net_run_watched(const mt_net *net, mt_net_state *s, const mt_tensor *inputs,
                             mt_tensor *outputs, mt_net_watch_fn watch, void *ctx, mt_err *err)
{
    const mt_graph *g = &net->g;
    const watcher w = {watch, ctx};
    MT_TRY(set_inputs(net, s, inputs, err));
    mt_tensor **args = s->args;
    for (int i = 0, end; i < g->n_nodes; i = end) {
        end = i + 1;
        while (g->nodes[i]->stretch && end < g->n_nodes &&
               g->nodes[end]->stretch == g->nodes[i]->stretch)
            end++;
        if (g->nodes[i]->stretch) MT_TRY(run_stretch(net, s, i, end, args, &w, err));
        else MT_TRY(run_node(net, s, i, args, &w, err));
        for (; i < end; i++) args += g->nodes[i]->n_in + g->nodes[i]->n_out;
    }
    MT_TRY(mt_externals_check(&g->external, err));
    get_outputs(net, s, outputs);
    return MT_OK;
}

mt_status mt_net_run(const mt_net *net, mt_net_state *state, const mt_tensor *inputs,
                     mt_tensor *outputs, mt_err *err)
{
    return mt_net_run_watched(net, state, inputs, outputs, NULL, NULL, err);
}
