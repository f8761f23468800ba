/* Small ONNX files made by code, for the tests of models/. Names are borrowed: use literals. */
#ifndef MT_TEST_ONNX_BUILD_H
#define MT_TEST_ONNX_BUILD_H

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "models/onnx.pb-c.h"

enum { OB_MAX = 160 };

typedef struct onnx_build {
    MtPb__Model model;
    MtPb__Graph graph;
    MtPb__OperatorSet opset, *opsets[1];
    MtPb__Node node[OB_MAX], *nodes[OB_MAX];
    MtPb__Tensor init[OB_MAX], *inits[OB_MAX];
    MtPb__ValueInfo info[OB_MAX], *in[OB_MAX / 2], *out[OB_MAX / 2];
    size_t n_info;
    void *heap[16 * OB_MAX];
    size_t n_heap;
} onnx_build;

static inline void *ob_mem(onnx_build *b, size_t n)
{
    return b->heap[b->n_heap++] = calloc(1, n ? n : 1);
}

static inline void ob_init(onnx_build *b, int64_t opset)
{
    memset(b, 0, sizeof *b);
    mt_pb__model__init(&b->model);
    mt_pb__graph__init(&b->graph);
    mt_pb__operator_set__init(&b->opset);
    b->opset.has_version = 1;
    b->opset.version = opset;
    b->opsets[0] = &b->opset;
    b->model.opset_import = b->opsets;
    b->model.n_opset_import = 1;
    b->model.graph = &b->graph;
    b->graph.node = b->nodes;
    b->graph.initializer = b->inits;
    b->graph.input = b->in;
    b->graph.output = b->out;
}

static inline MtPb__ValueInfo *ob_info(onnx_build *b, const char *name, int type, int rank,
                                       const int64_t *dims)
{
    MtPb__ValueInfo *v = &b->info[b->n_info++];
    mt_pb__value_info__init(v);
    v->name = (char *)name;
    v->type = ob_mem(b, sizeof *v->type);
    mt_pb__type__init(v->type);
    MtPb__TensorType *t = v->type->tensor_type = ob_mem(b, sizeof *t);
    mt_pb__tensor_type__init(t);
    t->has_elem_type = 1;
    t->elem_type = type;
    t->shape = ob_mem(b, sizeof *t->shape);
    mt_pb__tensor_shape__init(t->shape);
    t->shape->n_dim = (size_t)rank;
    t->shape->dim = ob_mem(b, (size_t)rank * sizeof(void *));
    for (int i = 0; i < rank; i++) {
        MtPb__Dimension *d = t->shape->dim[i] = ob_mem(b, sizeof *d);
        mt_pb__dimension__init(d);
        if (dims[i] < 0) continue; /* symbolic */
        d->has_dim_value = 1;
        d->dim_value = dims[i];
    }
    return v;
}

#define OB_DIMS(...)                                                                               \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[])                   \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

static inline void ob_input(onnx_build *b, const char *name, int type, int rank,
                            const int64_t *dims)
{
    b->in[b->graph.n_input++] = ob_info(b, name, type, rank, dims);
}

static inline void ob_output(onnx_build *b, const char *name)
{
    b->out[b->graph.n_output++] = ob_info(b, name, 1, 0, NULL);
}

/* An initialiser whose raw_data are n_bytes of data. */
static inline MtPb__Tensor *ob_raw(onnx_build *b, const char *name, int type, int rank,
                                   const int64_t *dims, const void *data, size_t n_bytes)
{
    MtPb__Tensor *t = &b->init[b->graph.n_initializer];
    b->inits[b->graph.n_initializer++] = t;
    mt_pb__tensor__init(t);
    t->name = (char *)name;
    t->has_data_type = 1;
    t->data_type = type;
    t->n_dims = (size_t)rank;
    t->dims = ob_mem(b, (size_t)rank * sizeof(int64_t));
    if (rank) memcpy(t->dims, dims, (size_t)rank * sizeof(int64_t));
    t->has_raw_data = 1;
    t->raw_data.len = n_bytes;
    t->raw_data.data = ob_mem(b, n_bytes);
    if (n_bytes) memcpy(t->raw_data.data, data, n_bytes);
    return t;
}

/* Its data lie in another file; offset and length may be NULL. */
static inline void ob_external(onnx_build *b, MtPb__Tensor *t, const char *location,
                               const char *offset, const char *length)
{
    const char *text[3][2] = {{"location", location}, {"offset", offset}, {"length", length}};
    t->has_raw_data = 0;
    t->has_data_location = 1;
    t->data_location = 1;
    t->external_data = ob_mem(b, 3 * sizeof(void *));
    t->n_external_data = 0;
    for (int i = 0; i < 3; i++) {
        if (!text[i][1]) continue;
        MtPb__Entry *e = ob_mem(b, sizeof *e);
        mt_pb__entry__init(e);
        e->key = (char *)text[i][0];
        e->value = (char *)text[i][1];
        t->external_data[t->n_external_data++] = e;
    }
}

static inline size_t ob_count(int rank, const int64_t *dims)
{
    size_t n = 1;
    for (int i = 0; i < rank; i++) n *= (size_t)dims[i];
    return n;
}

static inline MtPb__Tensor *ob_floats(onnx_build *b, const char *name, int rank,
                                      const int64_t *dims, const float *data)
{
    return ob_raw(b, name, 1, rank, dims, data, ob_count(rank, dims) * sizeof(float));
}

static inline MtPb__Tensor *ob_int64s(onnx_build *b, const char *name, int n, const int64_t *data)
{
    return ob_raw(b, name, 7, 1, (const int64_t[]){n}, data, (size_t)n * sizeof(int64_t));
}

/* Names separated by blanks, "-" for one left out; "in > out". */
static inline MtPb__Node *ob_node(onnx_build *b, const char *op, const char *names)
{
    MtPb__Node *n = &b->node[b->graph.n_node];
    b->nodes[b->graph.n_node++] = n;
    mt_pb__node__init(n);
    n->op_type = (char *)op;
    n->input = ob_mem(b, 32 * sizeof(char *));
    n->output = ob_mem(b, 32 * sizeof(char *));
    n->attribute = ob_mem(b, 16 * sizeof(void *));
    char *text = ob_mem(b, strlen(names) + 1), *save = NULL;
    strcpy(text, names);
    int out = 0;
    for (char *w = strtok_r(text, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
        if (!strcmp(w, ">")) out = 1;
        else if (out) n->output[n->n_output++] = w;
        else n->input[n->n_input++] = strcmp(w, "-") ? w : (char *)"";
    }
    return n;
}

static inline MtPb__Attribute *ob_attr(onnx_build *b, MtPb__Node *n, const char *name, int type)
{
    MtPb__Attribute *a = ob_mem(b, sizeof *a);
    mt_pb__attribute__init(a);
    a->name = (char *)name;
    a->has_type = 1;
    a->type = type;
    n->attribute[n->n_attribute++] = a;
    return a;
}

static inline void ob_int(onnx_build *b, MtPb__Node *n, const char *name, int64_t v)
{
    MtPb__Attribute *a = ob_attr(b, n, name, 2);
    a->has_i = 1;
    a->i = v;
}

static inline void ob_float(onnx_build *b, MtPb__Node *n, const char *name, float v)
{
    MtPb__Attribute *a = ob_attr(b, n, name, 1);
    a->has_f = 1;
    a->f = v;
}

static inline void ob_text(onnx_build *b, MtPb__Node *n, const char *name, const char *v)
{
    MtPb__Attribute *a = ob_attr(b, n, name, 3);
    a->has_s = 1;
    a->s.len = strlen(v);
    a->s.data = (uint8_t *)v;
}

static inline void ob_ints(onnx_build *b, MtPb__Node *n, const char *name, int count,
                           const int64_t *v)
{
    MtPb__Attribute *a = ob_attr(b, n, name, 7);
    a->n_ints = (size_t)count;
    a->ints = ob_mem(b, (size_t)count * sizeof *v);
    memcpy(a->ints, v, (size_t)count * sizeof *v);
}

/* The file's bytes (free). The builder may be used again after ob_free. */
static inline uint8_t *ob_pack(onnx_build *b, size_t *n)
{
    *n = mt_pb__model__get_packed_size(&b->model);
    uint8_t *p = malloc(*n + 1);
    mt_pb__model__pack(&b->model, p);
    return p;
}

static inline void ob_free(onnx_build *b)
{
    for (size_t i = 0; i < b->n_heap; i++) free(b->heap[i]);
    b->n_heap = 0;
}

#endif
