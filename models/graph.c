#include "models/graph.h"
#include "kernels/i8.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

size_t mt_dtype_size(mt_dtype t)
{
    switch (t) {
    case MT_DT_F32: case MT_DT_I32: return 4;
    case MT_DT_I64: return 8;
    case MT_DT_U8: case MT_DT_I8: case MT_DT_BOOL: return 1;
    case MT_DT_F16: return 2;
    }
    return 0;
}

mt_dtype mt_dtype_inside(int64_t t)
{
    return t == MT_DT_F16 || t == MT_DT_F64 ? MT_DT_F32 : (mt_dtype)t;
}

const char *mt_dtype_name(int t)
{
    static const char *const names[] = {"undefined",  "float32", "uint8",  "int8",   "uint16",
                                        "int16",      "int32",   "int64",  "string", "bool",
                                        "float16",    "float64", "uint32", "uint64", "complex64",
                                        "complex128", "bfloat16"};
    return t >= 0 && t < (int)MT_COUNT(names) ? names[t] : "unknown type";
}

int64_t mt_tensor_count(const mt_tensor *t)
{
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++) n *= t->dims[i];
    return n;
}

const char *mt_dims_text(char *buf, size_t cap, const mt_tensor *t)
{
    size_t at = (size_t)snprintf(buf, cap, "[");
    for (int i = 0; i < t->rank && at + 24 < cap; i++)
        at += (size_t)snprintf(buf + at, cap - at, i ? ",%lld" : "%lld", (long long)t->dims[i]);
    snprintf(buf + at, cap - at, "]");
    return buf;
}

float mt_half_to_float(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exp = h >> 10 & 31, man = h & 0x3ff, bits;
    if (exp == 31) bits = sign | 0x7f800000u | man << 13;
    else if (exp) bits = sign | (exp + 112) << 23 | man << 13;
    else {
        float f = (float)man * 0x1p-24f; /* subnormal or zero: exact */
        memcpy(&bits, &f, 4);
        bits |= sign;
    }
    float r;
    memcpy(&r, &bits, 4);
    return r;
}

uint16_t mt_float_to_half(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, 4);
    uint32_t sign = bits >> 16 & 0x8000, mag = bits & 0x7fffffffu;
    if (mag > 0x7f800000u) return (uint16_t)(sign | 0x7e00);
    if (mag >= 0x477ff000u) return (uint16_t)(sign | 0x7c00); /* rounds to 65536 or more */
    if (mag < 0x33000001u) return (uint16_t)sign; /* half of the smallest subnormal, ties to even */
    int shift = 13;
    uint32_t man = mag;
    if (mag < 0x38800000u) {                                  /* subnormal half */
        shift = 126 - (int)(mag >> 23);
        man = (mag & 0x7fffff) | 0x800000;
    }
    uint32_t half = man >> shift, rest = man & ((1u << shift) - 1), tie = 1u << (shift - 1);
    if (rest > tie || (rest == tie && (half & 1))) half++;
    if (shift == 13) half -= 112 << 10;
    return (uint16_t)(sign | half);
}

void mt_widen(float *dst, const void *src, mt_dtype from, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        dst[i] = from == MT_DT_F64 ? (float)((const double *)src)[i]
                                   : mt_half_to_float(((const uint16_t *)src)[i]);
}

void mt_narrow(void *dst, const float *src, mt_dtype to, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        if (to == MT_DT_F64) ((double *)dst)[i] = (double)src[i];
        else ((uint16_t *)dst)[i] = mt_float_to_half(src[i]);
    }
}

/* --- memory --- */

void mt_graph_free(mt_graph *g)
{
    for (int i = 0; i < g->n_nodes; i++) {
        for (int j = 0; j < g->nodes[i]->n_convs; j++) mt_conv_free(&g->nodes[i]->convs[j]);
        mt_i8_conv_free(&g->nodes[i]->i8);
    }
    for (int i = 0; i < g->n_heap; i++) free(g->heap[i]);
    mt_externals_close(&g->external);
    free(g->heap);
    free(g->values);
    free(g->nodes);
    mt_arena_free(&g->mem);
    memset(g, 0, sizeof *g);
}

void *mt_graph_mem(mt_graph *g, size_t bytes, mt_err *err)
{
    void *p = mt_arena_alloc(&g->mem, bytes ? bytes : 1);
    if (!p)
        mt_err_set(err, MT_ERR_NO_MEMORY, "%s: no memory for the graph (%zu bytes)", g->name,
                   bytes);
    return p;
}

char *mt_graph_text(mt_graph *g, const char *s, mt_err *err)
{
    char *p = mt_arena_strdup(&g->mem, s, strlen(s));
    if (!p) mt_err_set(err, MT_ERR_NO_MEMORY, "%s: no memory for the graph", g->name);
    return p;
}

/* Room for one more pointer in a growing array. */
static mt_status grow(void *array_ptr, int n, int *cap, const mt_graph *g, mt_err *err)
{
    void ***array = array_ptr;
    if (n < *cap) return MT_OK;
    int want = *cap ? *cap * 2 : 64;
    void *p = realloc(*array, (size_t)want * sizeof(void *));
    if (!p) return mt_err_set(err, MT_ERR_NO_MEMORY, "%s: no memory for the graph", g->name);
    *array = p;
    *cap = want;
    return MT_OK;
}

mt_status mt_graph_block(void *out_ptr, mt_graph *g, size_t bytes, mt_err *err)
{
    void **out = out_ptr;
    MT_TRY(grow(&g->heap, g->n_heap, &g->cap_heap, g, err));
    MT_TRY(mt_alloc_aligned(out, bytes, MT_TENSOR_CEILING, "constant of the network", err));
    g->heap[g->n_heap++] = *out;
    return MT_OK;
}

mt_status mt_graph_new_value(int *out, mt_graph *g, const char *name, mt_err *err)
{
    if (g->n_values >= 8 * MT_NODE_CEILING)
        return mt_err_set(err, MT_ERR_LIMIT, "%s: more than %d values", g->name,
                          8 * MT_NODE_CEILING);
    MT_TRY(grow(&g->values, g->n_values, &g->cap_values, g, err));
    mt_value *v = mt_graph_mem(g, sizeof *v, err);
    if (!v || !(v->name = mt_graph_text(g, name, err))) return MT_ERR_NO_MEMORY;
    v->producer = -1;
    v->root = g->n_values;
    *out = g->n_values;
    g->values[g->n_values++] = v;
    return MT_OK;
}

mt_status mt_graph_new_node(mt_node **out, mt_graph *g, int n_in, int n_out, mt_err *err)
{
    *out = NULL;
    if (g->n_nodes >= 2 * MT_NODE_CEILING)
        return mt_err_set(err, MT_ERR_LIMIT, "%s: more than %d nodes", g->name, MT_NODE_CEILING);
    MT_TRY(grow(&g->nodes, g->n_nodes, &g->cap_nodes, g, err));
    mt_node *n = mt_graph_mem(g, sizeof *n, err);
    if (!n) return MT_ERR_NO_MEMORY;
    n->n_in = n_in;
    n->n_out = n_out;
    n->residual = -1;
    n->in =
        mt_graph_mem(g, sizeof(int) * (size_t)(n_in + 1), err); /* one spare: a fused residual */
    n->out = mt_graph_mem(g, sizeof(int) * (size_t)n_out, err);
    if (!n->in || !n->out) return MT_ERR_NO_MEMORY;
    for (int i = 0; i <= n_in; i++) n->in[i] = -1;
    for (int i = 0; i < n_out; i++) n->out[i] = -1;
    n->name = n->op_type = n->domain = "";
    g->nodes[g->n_nodes++] = n;
    *out = n;
    return MT_OK;
}

mt_status mt_value_set(mt_graph *g, int v, mt_dtype t, int rank, const int64_t *dims, mt_err *err)
{
    mt_value *val = g->values[v];
    if (rank < 0 || rank > MT_MAX_DIMS)
        return mt_err_set(err, MT_ERR_LIMIT,
                          "%s: value \"%.60s\" has %d dimensions, at most %d are handled", g->name,
                          val->name, rank, MT_MAX_DIMS);
    size_t bytes = mt_dtype_size(t);
    if (!bytes)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "%s: value \"%.60s\" is of type %s", g->name,
                          val->name, mt_dtype_name((int)t));
    bool empty = false, fits = true;
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 0)
            return mt_err_set(err, MT_ERR_FORMAT, "%s: value \"%.60s\": dimension %d is %lld",
                              g->name, val->name, i, (long long)dims[i]);
        if (dims[i] == 0) empty = true;
        /* zero dimensions must not hide an overflow of the others */
        else if (!mt_mul(&bytes, bytes, (size_t)dims[i]) || bytes > MT_TENSOR_CEILING) fits = false;
        val->t.dims[i] = dims[i];
    }
    if (!fits)
        return mt_err_set(err, MT_ERR_LIMIT,
                          "%s: value \"%.60s\" passes the ceiling of %zu bytes%s", g->name,
                          val->name, MT_TENSOR_CEILING, empty ? " in its other dimensions" : "");
    val->t.dtype = t;
    val->t.rank = rank;
    val->known = true;
    return MT_OK;
}

mt_status mt_graph_new_const(int *out, mt_graph *g, const char *name, int rank, const int64_t *dims,
                             mt_err *err)
{
    MT_TRY(mt_graph_new_value(out, g, name, err));
    MT_TRY(mt_value_set(g, *out, MT_DT_F32, rank, dims, err));
    mt_value *v = g->values[*out];
    MT_TRY(mt_graph_block(&v->t.data, g, mt_tensor_bytes(&v->t), err));
    v->constant = true;
    return MT_OK;
}

/* --- attributes and errors ----------------------------------------------------------------------
 */

const mt_attr *mt_node_attr(const mt_node *n, const char *name)
{
    for (int i = 0; i < n->n_attrs; i++)
        if (!strcmp(n->attrs[i].name, name)) return &n->attrs[i];
    return NULL;
}

int64_t mt_attr_int(const mt_node *n, const char *name, int64_t dflt)
{
    const mt_attr *a = mt_node_attr(n, name);
    return a ? a->i : dflt;
}

float mt_attr_float(const mt_node *n, const char *name, float dflt)
{
    const mt_attr *a = mt_node_attr(n, name);
    return a ? a->f : dflt;
}

const char *mt_attr_str(const mt_node *n, const char *name, const char *dflt)
{
    const mt_attr *a = mt_node_attr(n, name);
    return a && a->s ? a->s : dflt;
}

mt_status mt_node_fail(const mt_node *n, mt_err *err, mt_status code, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return mt_err_set(err, code, "%.40s node \"%.80s\" (opset %d): %s", n->op_type, n->name,
                      n->opset, text);
}

/* The attribute of n that a text names, or NULL. */
static const char *attribute_in(const mt_node *n, const char *text)
{
    for (int i = 0; i < n->n_attrs; i++) {
        const char *name = n->attrs[i].name;
        size_t len = strlen(name);
        for (const char *p = text; len && (p = strstr(p, name)); p += len) {
            bool starts = p == text || !(isalnum((unsigned char)p[-1]) || p[-1] == '_');
            if (starts && !(isalnum((unsigned char)p[len]) || p[len] == '_')) return name;
        }
    }
    return NULL;
}

mt_status mt_node_problem(mt_graph *g, const mt_node *n, const char *text, mt_err *err)
{
    mt_problem *p = mt_graph_mem(g, sizeof *p, err);
    if (!p) return MT_ERR_NO_MEMORY;
    mt_problem **end = g->last_problem ? &g->last_problem->next : &g->problem;
    *p = (mt_problem){.op_type = n->op_type,
                      .node = n->name,
                      .domain = n->domain,
                      .version = n->opset,
                      .attribute = attribute_in(n, text)};
    p->what = mt_graph_text(g, text, err);
    *end = g->last_problem = p;
    g->problems++;
    return p->what ? MT_OK : MT_ERR_NO_MEMORY;
}

mt_status mt_node_unsupported(mt_graph *g, const mt_node *n, mt_err *err, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    MT_TRY(mt_node_problem(g, n, text, err));
    return mt_err_set(err, MT_ERR_UNSUPPORTED, "%.40s node \"%.80s\" (opset %d): %s", n->op_type,
                      n->name, n->opset, text);
}

/* --- rewriting ----------------------------------------------------------------------------------
 */

void mt_graph_count_uses(mt_graph *g)
{
    for (int i = 0; i < g->n_values; i++) g->values[i]->n_uses = 0;
    for (int i = 0; i < g->n_nodes; i++) {
        const mt_node *n = g->nodes[i];
        if (n->dead) continue;
        for (int j = 0; j < n->n_in; j++)
            if (n->in[j] >= 0) {
                g->values[n->in[j]]->n_uses++;
                g->values[n->in[j]]->reader = i;
            }
    }
    for (int i = 0; i < g->n_outputs; i++) g->values[g->outputs[i]]->n_uses++;
}

mt_node *mt_graph_reader(const mt_graph *g, int value)
{
    const mt_value *v = g->values[value];
    return v->n_uses == 1 && !v->is_output ? g->nodes[v->reader] : NULL;
}

mt_node *mt_graph_producer(const mt_graph *g, int value)
{
    int p = g->values[value]->producer;
    return p >= 0 && !g->values[value]->constant && !g->nodes[p]->dead ? g->nodes[p] : NULL;
}

/* Marks what an output needs, from the end backwards (nodes stand in order). */
static void sweep_dead(mt_graph *g, bool *needed)
{
    for (int i = 0; i < g->n_outputs; i++) needed[g->outputs[i]] = true;
    for (int i = g->n_nodes - 1; i >= 0; i--) {
        mt_node *n = g->nodes[i];
        bool live = false;
        for (int j = 0; j < n->n_out; j++)
            if (n->out[j] >= 0 && needed[n->out[j]] && !g->values[n->out[j]]->constant) live = true;
        if (!live) n->dead = true;
        if (n->dead) continue;
        for (int j = 0; j < n->n_in; j++)
            if (n->in[j] >= 0) needed[n->in[j]] = true;
    }
}

mt_status mt_graph_compact(mt_graph *g, mt_err *err)
{
    MT_AUTO_FREE bool *needed = NULL;
    MT_TRY(mt_alloc(&needed, (size_t)g->n_values + 1, 1, SIZE_MAX, "graph", err));
    sweep_dead(g, needed);
    int kept = 0;
    for (int i = 0; i < g->n_nodes; i++) {
        mt_node *n = g->nodes[i];
        if (n->dead) continue;
        for (int j = 0; j < n->n_out; j++)
            if (n->out[j] >= 0) g->values[n->out[j]]->producer = kept;
        g->nodes[kept++] = n;
    }
    g->n_nodes = kept;
    mt_graph_count_uses(g);
    return MT_OK;
}

static int by_address(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)*(void *const *)a, y = (uintptr_t)*(void *const *)b;
    return x < y ? -1 : x > y;
}

/* Place in the sorted list of blocks of the one that starts at p; NULL for memory of others (none,
 * or a mapped file). */
static void **block_at(const mt_graph *g, const void *p)
{
    if (!p || !g->n_heap) return NULL;
    return bsearch(&p, g->heap, (size_t)g->n_heap, sizeof *g->heap, by_address);
}

/* Marks the block that starts at p as wanted. */
static void keep(const mt_graph *g, bool *wanted, const void *p)
{
    void **at = block_at(g, p);
    if (at) wanted[at - g->heap] = true;
}

mt_status mt_graph_release(mt_graph *g, mt_err *err)
{
    MT_AUTO_FREE bool *wanted = NULL;
    MT_TRY(mt_alloc(&wanted, (size_t)g->n_heap + 1, 1, SIZE_MAX, "graph", err));
    if (g->n_heap) qsort(g->heap, (size_t)g->n_heap, sizeof *g->heap, by_address);
    for (int i = 0; i < g->n_nodes; i++) {
        const mt_node *n = g->nodes[i];
        for (int j = 0; j < n->n_in; j++)
            if (n->in[j] >= 0) keep(g, wanted, g->values[n->in[j]]->t.data);
        for (int j = 0; j < n->n_attrs; j++) keep(g, wanted, n->attrs[j].t.data);
    }
    for (int i = 0; i < g->n_outputs; i++) keep(g, wanted, g->values[g->outputs[i]]->t.data);
    for (int i = 0; i < g->n_values; i++) {
        mt_tensor *t = &g->values[i]->t;
        void **at = block_at(g, t->data);
        if (at && !wanted[at - g->heap]) t->data = NULL;
    }
    int kept = 0;
    for (int i = 0; i < g->n_heap; i++) {
        if (wanted[i]) g->heap[kept++] = g->heap[i];
        else free(g->heap[i]);
    }
    g->n_heap = kept;
    return MT_OK;
}
