/* ONNX bytes into a graph. The bytes are hostile: protobuf-c runs under an allocation ceiling,
 * every count is checked against the data that should fill it. */
#include "models/graph.h"

#include <math.h>
#include <protobuf-c/protobuf-c.h>
#include <stdio.h>
#include <string.h>
#include "models/onnx.pb-c.h"

#define ONNX_CEILING ((size_t)2 << 30) /* protobuf's own limit */
#define OPSET_FIRST 1                  /* rows of the operator table say more */
#define OPSET_LAST 21

/* --- protobuf under a ceiling ------------------------------------------------------------------
 */

typedef struct budget {
    size_t left;
} budget;

/* A two-byte message may unpack to a hundred bytes: the sum is what has to be bounded. */
static void *budget_alloc(void *ctx, size_t n)
{
    budget *b = ctx;
    size_t cost;
    if (!mt_add(&cost, n, 32) || cost > b->left) return NULL;
    b->left -= cost;
    return malloc(n ? n : 1);
}

static void budget_free(void *ctx, void *p)
{
    (void)ctx;
    free(p);
}

static ProtobufCAllocator allocator(budget *b, size_t n_bytes)
{
    b->left = n_bytes > SIZE_MAX / 8 ? SIZE_MAX / 2 : n_bytes * 4 + ((size_t)64 << 20);
    return (ProtobufCAllocator){budget_alloc, budget_free, b};
}

/* --- tensors ------------------------------------------------------------------------------------
 */

typedef struct source {
    const char *what;  /* name for errors */
    const MtPb__Tensor *pb;
    mt_graph *g;       /* NULL: data in other files are refused */
    size_t count;
    bool has_raw;      /* contents as bytes: in the file or in one beside it */
    bool mapped;
    const uint8_t *raw;
    size_t n_raw;
} source;

static mt_status tensor_fail(const source *s, mt_err *err, mt_status code, const char *why)
{
    return mt_err_set(err, code, "tensor \"%.80s\" (%s): %s", s->what,
                      mt_dtype_name(s->pb->data_type), why);
}

static mt_status tensor_shape(mt_tensor *t, source *s, mt_err *err)
{
    const MtPb__Tensor *pb = s->pb;
    if (pb->n_dims > MT_MAX_DIMS)
        return tensor_fail(s, err, MT_ERR_LIMIT, "more than 8 dimensions");
    size_t n = 1;
    bool empty = false;
    t->rank = (int)pb->n_dims;
    for (size_t i = 0; i < pb->n_dims; i++) { /* a zero must not hide an overflow of the others */
        int64_t d = pb->dims[i];
        if (d < 0 || (d && !mt_mul(&n, n, (size_t)d)) || n > MT_TENSOR_CEILING)
            return tensor_fail(s, err, MT_ERR_FORMAT, "a dimension is negative or far too large");
        t->dims[i] = d;
        empty = empty || !d;
    }
    s->count = empty ? 0 : n;
    return MT_OK;
}

static mt_status need_count(const source *s, size_t have, mt_err *err)
{
    if (have == s->count) return MT_OK;
    return mt_err_set(err, MT_ERR_FORMAT,
                      "tensor \"%.80s\" (%s): %zu elements of data, its dimensions ask for %zu",
                      s->what, mt_dtype_name(s->pb->data_type), have, s->count);
}

/* The bytes of one element in the file; 0 for types that are not read. */
static size_t file_size_of(int type)
{
    switch (type) {
    case 1: case 6: return 4;
    case 2: case 3: case 9: return 1;
    case 7: case 11: return 8;
    case 10: return 2;
    default: return 0;
    }
}

static mt_status copy_typed(void *dst, const source *s, mt_err *err)
{
    const MtPb__Tensor *pb = s->pb;
    switch (pb->data_type) {
    case 1:
        MT_TRY(need_count(s, pb->n_float_data, err));
        if (s->count) memcpy(dst, pb->float_data, s->count * 4);
        return MT_OK;
    case 7:
        MT_TRY(need_count(s, pb->n_int64_data, err));
        if (s->count) memcpy(dst, pb->int64_data, s->count * 8);
        return MT_OK;
    case 11:
        MT_TRY(need_count(s, pb->n_double_data, err));
        for (size_t i = 0; i < s->count; i++) ((float *)dst)[i] = (float)pb->double_data[i];
        return MT_OK;
    default:
        MT_TRY(need_count(s, pb->n_int32_data, err));
    }
    for (size_t i = 0; i < s->count; i++) {
        int32_t v = pb->int32_data[i];
        if (pb->data_type == 6) ((int32_t *)dst)[i] = v;
        else if (pb->data_type == 10) ((float *)dst)[i] = mt_half_to_float((uint16_t)v);
        else if (pb->data_type == 9) ((uint8_t *)dst)[i] = v != 0;
        else ((uint8_t *)dst)[i] = (uint8_t)v;
    }
    return MT_OK;
}

/* The file is little-endian, and so is every machine we run on. */
static mt_status copy_raw(void *dst, const source *s, mt_err *err)
{
    const uint8_t *raw = s->raw;
    size_t one = file_size_of(s->pb->data_type);
    if (s->n_raw % one) return tensor_fail(s, err, MT_ERR_FORMAT, "raw data end inside an element");
    MT_TRY(need_count(s, s->n_raw / one, err));
    if (s->pb->data_type == 10) {
        for (size_t i = 0; i < s->count; i++)
            ((float *)dst)[i] = mt_half_to_float((uint16_t)(raw[2 * i] | raw[2 * i + 1] << 8));
    } else if (s->pb->data_type == 11) {
        for (size_t i = 0; i < s->count; i++) {
            double v;
            memcpy(&v, raw + 8 * i, 8);
            ((float *)dst)[i] = (float)v;
        }
    } else if (s->pb->data_type == 9) {
        for (size_t i = 0; i < s->count; i++) ((uint8_t *)dst)[i] = raw[i] != 0;
    } else if (s->count) {
        memcpy(dst, raw, s->n_raw);
    }
    return MT_OK;
}

/* A decimal number of external_data, digits only. */
static bool read_digits(uint64_t *v, const char *text)
{
    *v = 0;
    for (const char *p = text; *p; p++)
        if (*p < '0' || *p > '9' || __builtin_mul_overflow(*v, 10u, v) ||
            __builtin_add_overflow(*v, (uint64_t)(*p - '0'), v))
            return false;
    return *text != 0;
}

static mt_status external_raw(source *s, mt_err *err)
{
    const char *name = NULL;
    uint64_t offset = 0, length = 0, size;
    bool has_length = false, fits = true;
    for (size_t i = 0; i < s->pb->n_external_data && fits; i++) {
        const MtPb__Entry *e = s->pb->external_data[i];
        if (!e->key || !e->value) continue;
        if (!strcmp(e->key, "location")) name = e->value;
        if (!strcmp(e->key, "offset")) fits = read_digits(&offset, e->value);
        if (!strcmp(e->key, "length")) fits = has_length = read_digits(&length, e->value);
    }
    if (!name || !fits)
        return tensor_fail(s, err, MT_ERR_FORMAT,
                           "external data without a location, or offset and length are no numbers");
    if (!s->g)
        return tensor_fail(s, err, MT_ERR_UNSUPPORTED, "its data lie in another file");
    mt_status st = has_length
                       ? MT_OK
                       : mt_external_size(&size, &s->g->external, s->g->folder, name, err);
    if (st == MT_OK && !has_length) length = size > offset ? size - offset : 0;
    if (st == MT_OK)
        st = mt_external_bytes(&s->raw, &s->g->external, s->g->folder, name, offset, length, err);
    if (st != MT_OK) return mt_err_context(err, "%.60s: tensor \"%.80s\"", s->g->name, s->what);
    s->n_raw = (size_t)length;
    s->has_raw = s->mapped = true;
    return MT_OK;
}

/* Where the bytes are, before anything is allocated for them. */
static mt_status find_raw(source *s, mt_err *err)
{
    if (s->pb->data_location == 1 || s->pb->n_external_data) return external_raw(s, err);
    s->has_raw = s->pb->has_raw_data;
    s->raw = s->pb->raw_data.data;
    s->n_raw = s->pb->raw_data.len;
    return MT_OK;
}

/* Type and shape; *bytes is what the contents take (float16 widened). */
static mt_status tensor_head(mt_tensor *t, size_t *bytes, source *s, mt_err *err)
{
    memset(t, 0, sizeof *t);
    if (!file_size_of(s->pb->data_type))
        return tensor_fail(s, err, MT_ERR_UNSUPPORTED, "this element type is not handled");
    MT_TRY(tensor_shape(t, s, err));
    MT_TRY(find_raw(s, err));
    t->dtype = mt_dtype_inside(s->pb->data_type);
    if (!mt_mul(bytes, s->count, mt_dtype_size(t->dtype)) || *bytes > MT_TENSOR_CEILING)
        return tensor_fail(s, err, MT_ERR_LIMIT, "passes the ceiling of 4 GiB");
    /* before anything is allocated: the file must hold that many elements */
    if (s->has_raw && s->n_raw != s->count * file_size_of(s->pb->data_type)) {
        MT_TRY(need_count(s, s->n_raw / file_size_of(s->pb->data_type), err));
        return tensor_fail(s, err, MT_ERR_FORMAT, "its data end inside an element");
    }
    if (!s->has_raw) {
        size_t n = s->pb->data_type == 1    ? s->pb->n_float_data
                   : s->pb->data_type == 7  ? s->pb->n_int64_data
                   : s->pb->data_type == 11 ? s->pb->n_double_data
                                            : s->pb->n_int32_data;
        MT_TRY(need_count(s, n, err));
    }
    return MT_OK;
}

static mt_status tensor_data(void *dst, const source *s, mt_err *err)
{
    return s->has_raw ? copy_raw(dst, s, err) : copy_typed(dst, s, err);
}

static mt_status graph_tensor(mt_tensor *t, mt_graph *g, const MtPb__Tensor *pb, const char *what,
                              mt_err *err)
{
    source s = {.what = what, .pb = pb, .g = g};
    size_t bytes;
    MT_TRY(tensor_head(t, &bytes, &s, err));
    bool as_is = t->dtype == (mt_dtype)pb->data_type && t->dtype != MT_DT_BOOL;
    if (s.mapped && as_is && (uintptr_t)s.raw % mt_dtype_size(t->dtype) == 0) {
        t->data = (void *)(uintptr_t)s.raw; /* constants are only read */
        return MT_OK;
    }
    MT_TRY(mt_graph_block(&t->data, g, bytes, err));
    return tensor_data(t->data, &s, err);
}

mt_status mt_onnx_read_tensor(mt_tensor *out, char *name, size_t name_cap, const void *pb,
                              size_t n_bytes, mt_err *err)
{
    budget b;
    ProtobufCAllocator alloc = allocator(&b, n_bytes);
    memset(out, 0, sizeof *out);
    MtPb__Tensor *t = mt_pb__tensor__unpack(&alloc, n_bytes, pb);
    if (!t) return mt_err_set(err, MT_ERR_FORMAT, "not a TensorProto");
    snprintf(name, name_cap, "%s", t->name ? t->name : "");
    source s = {.what = name, .pb = t};
    size_t bytes;
    mt_status st = tensor_head(out, &bytes, &s, err);
    if (st == MT_OK) st = mt_alloc_aligned(&out->data, bytes, MT_TENSOR_CEILING, "tensor", err);
    if (st == MT_OK) st = tensor_data(out->data, &s, err);
    if (st != MT_OK) mt_free_ptr(&out->data);
    mt_pb__tensor__free_unpacked(t, &alloc);
    return st;
}

/* --- names --------------------------------------------------------------------------------------
 */

typedef struct names {
    int *slot;       /* value number + 1 */
    size_t cap;      /* power of two, more than twice the names */
    mt_graph *g;
} names;

static size_t name_slot(const names *t, const char *s)
{
    uint64_t h = 1469598103934665603u;
    for (const char *p = s; *p; p++) h = (h ^ (uint8_t)*p) * 1099511628211u;
    size_t i = (size_t)(h ^ h >> 29) & (t->cap - 1);
    while (t->slot[i] && strcmp(t->g->values[t->slot[i] - 1]->name, s)) i = (i + 1) & (t->cap - 1);
    return i;
}

static int name_find(const names *t, const char *s)
{
    return t->slot[name_slot(t, s)] - 1;
}

static mt_status name_add(int *value, names *t, const char *s, mt_err *err)
{
    size_t i = name_slot(t, s);
    if (t->slot[i])
        return mt_err_set(err, MT_ERR_FORMAT, "%s: two values are called \"%.80s\"", t->g->name, s);
    MT_TRY(mt_graph_new_value(value, t->g, s, err));
    t->slot[i] = *value + 1;
    return MT_OK;
}

static mt_status names_init(names *t, mt_graph *g, const MtPb__Graph *pb, mt_err *err)
{
    size_t n = pb->n_initializer + pb->n_input + 16;
    for (size_t i = 0; i < pb->n_node; i++) n += pb->node[i]->n_output;
    t->g = g;
    for (t->cap = 64; t->cap < 2 * n; t->cap *= 2) {}
    return mt_alloc(&t->slot, t->cap, sizeof(int), (size_t)1 << 30, "names of the graph", err);
}

/* --- the graph ----------------------------------------------------------------------------------
 */

static const char *text_or(const char *s, const char *dflt)
{
    return s && *s ? s : dflt;
}

static mt_status read_opset(mt_graph *g, const MtPb__Model *m, mt_err *err)
{
    for (size_t i = 0; i < m->n_opset_import; i++) {
        const char *d = text_or(m->opset_import[i]->domain, "");
        if (*d && strcmp(d, "ai.onnx")) continue;
        int64_t v = m->opset_import[i]->version;
        if (v < OPSET_FIRST || v > OPSET_LAST)
            return mt_err_set(err, MT_ERR_UNSUPPORTED,
                              "%s: opset %lld of the default domain, handled are 7 to %d", g->name,
                              (long long)v, OPSET_LAST);
        g->opset = (int)v;
        return MT_OK;
    }
    return mt_err_set(err, MT_ERR_FORMAT, "%s: names no version of the default operator set",
                      g->name);
}

/* A weight that is no number makes every answer one; infinities are masks and may stay. */
static mt_status check_numbers(const mt_tensor *t, const char *name, const mt_graph *g, mt_err *err)
{
    if (t->dtype != MT_DT_F32) return MT_OK;
    const float *p = t->data;
    for (int64_t i = 0, n = mt_tensor_count(t); i < n; i++)
        if (p[i] != p[i])
            return mt_err_set(err, MT_ERR_NUMERIC, "%s: initialiser \"%.80s\": element %lld is NaN",
                              g->name, name, (long long)i);
    return MT_OK;
}

static mt_status read_initializers(mt_graph *g, names *t, const MtPb__Graph *pb, mt_err *err)
{
    if (pb->n_sparse_initializer)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "%s: sparse initialisers", g->name);
    for (size_t i = 0; i < pb->n_initializer; i++) {
        const char *name = text_or(pb->initializer[i]->name, "");
        int v;
        MT_TRY(name_add(&v, t, name, err));
        mt_value *val = g->values[v];
        MT_TRY(graph_tensor(&val->t, g, pb->initializer[i], name, err));
        MT_TRY(check_numbers(&val->t, name, g, err));
        val->known = val->constant = true;
        if (val->t.dtype == MT_DT_F32) g->n_params += (size_t)mt_tensor_count(&val->t);
    }
    return MT_OK;
}

/* Declared shape of an input; symbolic dimensions become -1 (bound later). */
static mt_status read_declared(mt_value *v, const MtPb__ValueInfo *info, const mt_graph *g,
                               mt_err *err)
{
    const MtPb__TensorType *tt = info->type ? info->type->tensor_type : NULL;
    if (!tt)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "%s: input \"%.80s\" is not a tensor", g->name,
                          v->name);
    v->half = tt->elem_type == MT_DT_F16;
    v->wide = tt->elem_type == MT_DT_F64;
    v->t.dtype = mt_dtype_inside(tt->elem_type);
    if (!file_size_of(tt->elem_type))
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "%s: input \"%.80s\" is of type %s", g->name,
                          v->name, mt_dtype_name(tt->elem_type));
    size_t rank = tt->shape ? tt->shape->n_dim : 0;
    if (rank > MT_MAX_DIMS)
        return mt_err_set(err, MT_ERR_LIMIT, "%s: input \"%.80s\" has %zu dimensions", g->name,
                          v->name, rank);
    v->t.rank = tt->shape ? (int)rank : -1;
    for (size_t i = 0; i < rank; i++) {
        const MtPb__Dimension *d = tt->shape->dim[i];
        v->t.dims[i] = d->has_dim_value && d->dim_value >= 0 ? d->dim_value : -1;
    }
    return MT_OK;
}

static mt_status read_inputs(mt_graph *g, names *t, const MtPb__Graph *pb, mt_err *err)
{
    g->inputs = mt_graph_mem(g, sizeof(int) * pb->n_input, err);
    if (!g->inputs) return MT_ERR_NO_MEMORY;
    for (size_t i = 0; i < pb->n_input; i++) {
        const char *name = text_or(pb->input[i]->name, "");
        if (name_find(t, name) >= 0) continue; /* IR 3: initialisers are listed as inputs too */
        int v;
        MT_TRY(name_add(&v, t, name, err));
        MT_TRY(read_declared(g->values[v], pb->input[i], g, err));
        g->values[v]->is_input = true;
        g->inputs[g->n_inputs++] = v;
    }
    return MT_OK;
}

static mt_status read_attr(mt_attr *a, mt_graph *g, const MtPb__Attribute *pb, const mt_node *n,
                           mt_err *err)
{
    *a = (mt_attr){.type = pb->type, .f = pb->f, .i = pb->i};
    if (!(a->name = mt_graph_text(g, text_or(pb->name, ""), err))) return MT_ERR_NO_MEMORY;
    if (pb->has_s) {
        char *s = mt_arena_strdup(&g->mem, (const char *)pb->s.data, pb->s.len);
        if (!s) return mt_err_set(err, MT_ERR_NO_MEMORY, "%s: no memory", g->name);
        a->s = s;
    }
    if (pb->t && graph_tensor(&a->t, g, pb->t, a->name, err) != MT_OK)
        return mt_err_context(err, "%.40s node \"%.80s\"", n->op_type, n->name);
    if (pb->n_ints) {
        int64_t *p = mt_graph_mem(g, pb->n_ints * sizeof *p, err);
        if (!p) return MT_ERR_NO_MEMORY;
        memcpy(p, pb->ints, pb->n_ints * sizeof *p);
        a->ints = p;
        a->n = pb->n_ints;
    } else if (pb->n_floats) {
        float *p = mt_graph_mem(g, pb->n_floats * sizeof *p, err);
        if (!p) return MT_ERR_NO_MEMORY;
        memcpy(p, pb->floats, pb->n_floats * sizeof *p);
        a->floats = p;
        a->n = pb->n_floats;
    }
    if (!a->type) /* IR 1 leaves the type out */
        a->type = pb->t ? 4 : pb->has_s ? 3 : pb->n_ints ? 7 : pb->n_floats ? 6 : pb->has_f ? 1 : 2;
    return MT_OK;
}

static mt_status node_labels(mt_node *n, mt_graph *g, const MtPb__Node *pb, size_t index,
                             mt_err *err)
{
    char number[32];
    snprintf(number, sizeof number, "#%zu", index);
    n->op_type = mt_graph_text(g, text_or(pb->op_type, "(no operator)"), err);
    n->name = mt_graph_text(g, text_or(pb->name, number), err);
    n->opset = g->opset;
    const char *domain = text_or(pb->domain, "");
    n->domain = !strcmp(domain, "ai.onnx") ? "" : mt_graph_text(g, domain, err);
    return n->op_type && n->name && n->domain ? MT_OK : MT_ERR_NO_MEMORY;
}

/* Kept in g->problem, so that all of them can be reported together. */
static mt_status unknown_operator(mt_graph *g, const mt_node *n, mt_err *err)
{
    mt_err ignored = MT_ERR_INIT;
    int since = mt_op_since(n->domain, n->op_type);
    if (since)
        mt_node_unsupported(g, n, &ignored, "this form is not handled, forms from opset %d on are",
                            since);
    else
        mt_node_unsupported(g, n, &ignored, "unknown operator%s%.60s",
                            *n->domain ? " of domain " : "", n->domain);
    return ignored.code == MT_ERR_NO_MEMORY
               ? mt_err_set(err, MT_ERR_NO_MEMORY, "%s: no memory", g->name)
               : MT_OK;
}

static mt_status read_node(mt_graph *g, names *t, const MtPb__Node *pb, size_t index, mt_err *err)
{
    if (pb->n_input > 1 << 16 || pb->n_output > 1 << 16)
        return mt_err_set(err, MT_ERR_LIMIT, "%s: node %zu has too many inputs or outputs", g->name,
                          index);
    mt_node *n;
    MT_TRY(mt_graph_new_node(&n, g, (int)pb->n_input, (int)pb->n_output, err));
    MT_TRY(node_labels(n, g, pb, index, err));
    for (int i = 0; i < n->n_in; i++) {
        if (!*text_or(pb->input[i], "")) continue;
        n->in[i] = name_find(t, pb->input[i]);
        if (n->in[i] < 0)
            return mt_node_fail(n, err, MT_ERR_FORMAT, "input \"%.80s\" is made by no earlier node",
                                pb->input[i]);
    }
    while (n->n_in && n->in[n->n_in - 1] < 0) n->n_in--; /* trailing optional inputs left out */
    for (int i = 0; i < n->n_out; i++) {
        if (!*text_or(pb->output[i], "")) continue;
        MT_TRY(name_add(&n->out[i], t, pb->output[i], err));
        g->values[n->out[i]]->producer = g->n_nodes - 1;
    }
    n->attrs = mt_graph_mem(g, pb->n_attribute * sizeof *n->attrs, err);
    if (!n->attrs) return MT_ERR_NO_MEMORY;
    n->n_attrs = (int)pb->n_attribute;
    for (int i = 0; i < n->n_attrs; i++)
        MT_TRY(read_attr(&n->attrs[i], g, pb->attribute[i], n, err));

    n->op = mt_op_find(n->domain, n->op_type, g->opset);
    return n->op ? MT_OK : unknown_operator(g, n, err);
}

static mt_status read_outputs(mt_graph *g, const names *t, const MtPb__Graph *pb, mt_err *err)
{
    g->outputs = mt_graph_mem(g, sizeof(int) * pb->n_output, err);
    g->output_names = mt_graph_mem(g, sizeof(char *) * pb->n_output, err);
    if (!g->outputs || !g->output_names) return MT_ERR_NO_MEMORY;
    for (size_t i = 0; i < pb->n_output; i++) {
        const char *name = text_or(pb->output[i]->name, "");
        int v = name_find(t, name);
        if (v < 0)
            return mt_err_set(err, MT_ERR_FORMAT, "%s: output \"%.80s\" is made by no node",
                              g->name, name);
        const MtPb__Type *type = pb->output[i]->type;
        int declared = type && type->tensor_type ? type->tensor_type->elem_type : 0;
        if (declared == MT_DT_F16) g->values[v]->half = true;
        if (declared == MT_DT_F64) g->values[v]->wide = true;
        g->values[v]->is_output = true;
        g->output_names[g->n_outputs] = g->values[v]->name;
        g->outputs[g->n_outputs++] = v;
    }
    if (!g->n_outputs)
        return mt_err_set(err, MT_ERR_FORMAT, "%s: the graph has no output", g->name);
    return MT_OK;
}

static mt_status too_many_nodes(const mt_graph *g, size_t n, mt_err *err)
{
    return mt_err_set(err, MT_ERR_LIMIT, "%s: %zu nodes, at most %d are handled", g->name, n,
                      MT_NODE_CEILING);
}

static mt_status read_model(mt_graph *g, const MtPb__Model *m, mt_err *err)
{
    const MtPb__Graph *pb = m->graph;
    if (!pb) return mt_err_set(err, MT_ERR_FORMAT, "%s: holds no graph", g->name);
    if (pb->n_node > MT_NODE_CEILING) return too_many_nodes(g, pb->n_node, err);
    MT_TRY(read_opset(g, m, err));
    MT_AUTO_FREE int *slots = NULL;
    names t = {0};
    MT_TRY(names_init(&t, g, pb, err));
    slots = t.slot;
    MT_TRY(read_initializers(g, &t, pb, err));
    MT_TRY(read_inputs(g, &t, pb, err));
    for (size_t i = 0; i < pb->n_node; i++) MT_TRY(read_node(g, &t, pb->node[i], i, err));
    return read_outputs(g, &t, pb, err);
}

mt_status mt_onnx_read(mt_graph *g, const void *onnx, size_t n_bytes, mt_err *err)
{
    if (n_bytes > ONNX_CEILING)
        return mt_err_set(err, MT_ERR_LIMIT, "%s: %zu bytes; a model file holds at most 2 GiB",
                          g->name, n_bytes);
    if (!n_bytes) return mt_err_set(err, MT_ERR_FORMAT, "%s: the file is empty", g->name);
    char **beside;
    int n_beside;
    size_t n_nodes;
    MT_TRY(mt_onnx_scan(&n_nodes, &beside, &n_beside, onnx, n_bytes, err));
    mt_external_names_free(&beside, n_beside);
    if (n_nodes > MT_NODE_CEILING) return too_many_nodes(g, n_nodes, err);
    budget b;
    ProtobufCAllocator alloc = allocator(&b, n_bytes);
    /* what a file may cost grows with it: folding touches every weight a few times */
    g->fold_left = MT_FOLD_FLOOR + 16 * (uint64_t)n_bytes;
    g->mem.ceiling = ((size_t)512 << 20) + 4 * n_bytes;
    MtPb__Model *m = mt_pb__model__unpack(&alloc, n_bytes, onnx);
    if (!m)
        return mt_err_set(err, MT_ERR_FORMAT, "%s: not an ONNX file (protobuf does not parse)",
                          g->name);
    mt_status st = read_model(g, m, err);
    mt_pb__model__free_unpacked(m, &alloc);
    return st;
}
