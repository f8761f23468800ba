/* The graph a network is read into, checked on and rewritten in.
 *
 * Values are numbered; a value has a type and a shape from the moment its producer is inferred, and
 * contents when they are known before the run (initialisers and everything folded from them). Nodes
 * stand in execution order. All memory of a graph belongs to it. float16 and float64 live only at
 * the border: inside the graph both are float32. */
#ifndef MT_MODELS_GRAPH_H
#define MT_MODELS_GRAPH_H

#include <string.h>
#include "base/mem.h"
#include "kernels/kernels.h"
#include "models/external.h"
#include "models/net.h"

#define MT_TENSOR_CEILING ((size_t)4 << 30)  /* bytes of any one tensor */
#define MT_FOLD_FLOOR ((uint64_t)256 << 20)  /* work constant folding may spend on any file */
#define MT_NODE_CEILING 100000 /* nodes of a file; after folding MT_LIVE_CEILING */
#define MT_LIVE_CEILING 20000

typedef struct mt_graph mt_graph;
typedef struct mt_node mt_node;
typedef struct mt_call mt_call;

/* A row of the operator table: models/ops/table.c. */
typedef struct mt_op {
    const char *name, *domain;   /* domain "" is the default one */
    int since, until;            /* opset versions this row understands */
    /* Sets type and shape of every output (and n->params); constant inputs have their contents. */
    mt_status (*infer)(mt_graph *g, mt_node *n, mt_err *err);
    /* Computes the outputs. NULL: a view, output 0 shares the memory of input 0. */
    mt_status (*run)(const mt_call *c, mt_err *err);
    int flags;
} mt_op;
enum {
    MT_OP_INPLACE = 1, /* output 0 may overwrite input 0 when shapes and types are equal */
    MT_OP_NOFOLD = 2,  /* not run by the constant folder */
    MT_OP_INTERNAL = 4 /* made by passes, not importable */
};

typedef struct mt_attr {
    const char *name;
    int type; /* ONNX AttributeType: 1 f, 2 i, 3 s, 4 t, 6 floats, 7 ints, 8 strings */
    float f;
    int64_t i;
    const char *s;               /* NUL-terminated */
    mt_tensor t;
    size_t n;                    /* elements of floats, ints */
    const float *floats;
    const int64_t *ints;
} mt_attr;

typedef struct mt_value {
    const char *name;
    mt_tensor t;                 /* t.data: contents when constant, owned by the graph */
    bool known;                  /* type and shape are set */
    bool constant;
    bool is_input, is_output;
    bool blocked;                /* [N][ceil(C/b)][H][W][b] instead of row-major */
    bool half, wide;             /* float16, float64 for the outside world */
    const struct mt_node *dq;    /* the DequantizeLinear that makes it, folded or not; else NULL */
    bool one_image;              /* inside a stretch: memory of one image of the batch */
    int producer;                /* node index; -1 for inputs and initialisers */
    int n_uses; /* reads by live nodes and outputs, filled by mt_graph_count_uses */
    int reader;                  /* node of the last of them */
    /* memory plan */
    int root; /* value whose memory this one shares; itself when it has its own */
    size_t offset, bytes;        /* place in the state's arena */
} mt_value;

struct mt_node {
    const mt_op *op;
    const char *name, *op_type;  /* name: the node's own or "#index" */
    const char *domain;          /* "" is the default one */
    int opset;
    int n_in, n_out;
    int *in, *out;               /* value numbers; -1 for an optional one left out */
    mt_attr *attrs;
    int n_attrs;
    bool dead;
    void *params;                /* the operator's own, arena memory */
    /* what passes add */
    mt_act act;
    float act_a, act_b;
    int residual; /* value added before the activation, -1 none (also appended to in) */
    mt_conv **convs;             /* kernel objects, freed with the graph */
    int n_convs;
    struct mt_i8_conv *i8;       /* of an 8-bit convolution, freed with the graph */
    const char *variant;         /* what runs, for the bench */
    size_t scratch;              /* bytes the run needs besides */
    int stretch; /* neighbours with one number run image by image; 0: the whole batch at once */
    uint64_t macs;
    uint64_t work;               /* operations besides macs and the bytes moved, for the folder */
};

struct mt_graph {
    const char *name;            /* of the file, for errors */
    const char *folder;          /* where its external data lie; NULL: it may have none */
    mt_externals external;       /* their files, mapped; constants may point into them */
    int opset;
    mt_arena mem;
    mt_value **values;           /* pointers stay valid while values are added */
    int n_values, cap_values;
    mt_node **nodes;             /* execution order */
    int n_nodes, cap_nodes;
    int *inputs, *outputs;       /* value numbers, file order, initialisers excluded */
    const char **output_names;   /* as the file has them; passes may give an output another value */
    int n_inputs, n_outputs;
    void **heap;                 /* large blocks (constants) */
    int n_heap, cap_heap;
    int64_t batch;               /* dims[0] of the first input when that has rank 4, else 1 */
    uint64_t fold_left;          /* work (bytes and operations) constant folding may still do */
    size_t n_params;             /* elements of floating-point initialisers */
    const mt_kernels *k;
    int problems;                /* unsupported operators met */
    bool checking;               /* inference goes on behind what it cannot infer */
    struct mt_problem *problem, *last_problem; /* list for models check */
};

/* One thing about a file that this build cannot run. */
typedef struct mt_problem {
    const char *op_type, *node, *domain, *what;
    const char *attribute; /* the one that `what` speaks of, else NULL */
    int version;
    struct mt_problem *next;
} mt_problem;

/* A node at work. in[i] is NULL for an input left out. */
struct mt_call {
    const mt_node *node;
    const mt_tensor *const *in;
    mt_tensor *const *out;
    void *scratch;
    const mt_kernels *k;
    const mt_graph *g;
};

/* --- tensors --- */
size_t mt_dtype_size(mt_dtype t);          /* 0 for types the engine does not hold */
const char *mt_dtype_name(int t);
/* The type a value of ONNX type t has inside the graph: float16 and float64 become float32. */
mt_dtype mt_dtype_inside(int64_t t);
int64_t mt_tensor_count(const mt_tensor *t); /* elements; dims were checked when they were set */
static inline size_t mt_tensor_bytes(const mt_tensor *t)
{
    return (size_t)mt_tensor_count(t) * mt_dtype_size(t->dtype);
}
/* n elements between float32 and the type of the outside world (float16, float64). */
void mt_widen(float *dst, const void *src, mt_dtype from, int64_t n);
void mt_narrow(void *dst, const float *src, mt_dtype to, int64_t n);
static inline bool mt_tensor_same_dims(const mt_tensor *a, const mt_tensor *b)
{
    bool same = a->rank == b->rank;
    for (int d = 0; same && d < a->rank; d++) same = a->dims[d] == b->dims[d];
    return same;
}
static inline bool mt_tensor_alike(const mt_tensor *a, const mt_tensor *b) /* and of one type */
{
    return a->dtype == b->dtype && mt_tensor_same_dims(a, b);
}
/* "[1,3,64,64]" */
const char *mt_dims_text(char *buf, size_t cap, const mt_tensor *t);
float mt_half_to_float(uint16_t h);
uint16_t mt_float_to_half(float f);

/* --- graph --- */
void mt_graph_free(mt_graph *g);
void *mt_graph_mem(mt_graph *g, size_t bytes, mt_err *err); /* arena, zeroed; NULL sets err */
char *mt_graph_text(mt_graph *g, const char *s, mt_err *err);
/* Large aligned block owned by the graph. */
MT_MUST_USE mt_status mt_graph_block(void *out_ptr, mt_graph *g, size_t bytes, mt_err *err);
MT_MUST_USE mt_status mt_graph_new_value(int *out, mt_graph *g, const char *name, mt_err *err);
/* Appends a node (arrays of n_in and n_out value numbers, -1 filled). */
MT_MUST_USE mt_status mt_graph_new_node(mt_node **out, mt_graph *g, int n_in, int n_out,
                                        mt_err *err);
/* A float32 constant of the given shape with uninitialised contents. */
MT_MUST_USE mt_status mt_graph_new_const(int *out, mt_graph *g, const char *name, int rank,
                                         const int64_t *dims, mt_err *err);

/* Sets type and shape after checking sizes against the ceiling. */
MT_MUST_USE mt_status mt_value_set(mt_graph *g, int v, mt_dtype t, int rank, const int64_t *dims,
                                   mt_err *err);

/* A node there is, of the operator called `name`. */
static inline bool mt_node_is(const mt_node *n, const char *name)
{
    return n && n->op && !strcmp(n->op->name, name);
}
static inline mt_value *mt_out(mt_graph *g, const mt_node *n, int i)
{
    return i < n->n_out && n->out[i] >= 0 ? g->values[n->out[i]] : NULL;
}
static inline mt_value *mt_in(mt_graph *g, const mt_node *n, int i)
{
    return i < n->n_in && n->in[i] >= 0 ? g->values[n->in[i]] : NULL;
}
static inline const mt_tensor *mt_const_in(mt_graph *g, const mt_node *n, int i)
{
    mt_value *v = mt_in(g, n, i);
    return v && v->constant ? &v->t : NULL;
}

/* Attributes: the default when absent. */
const mt_attr *mt_node_attr(const mt_node *n, const char *name);
int64_t mt_attr_int(const mt_node *n, const char *name, int64_t dflt);
float mt_attr_float(const mt_node *n, const char *name, float dflt);
const char *mt_attr_str(const mt_node *n, const char *name, const char *dflt);

/* An entry for `models check`: the text is copied. */
MT_MUST_USE mt_status mt_node_problem(mt_graph *g, const mt_node *n, const char *text, mt_err *err);
/* Errors that name the node: "Conv node "conv1" (opset 13): ...". */
mt_status mt_node_fail(const mt_node *n, mt_err *err, mt_status code, const char *fmt, ...)
    MT_PRINTF(4, 5);
/* As above with UNSUPPORTED and an entry for `models check`. */
mt_status mt_node_unsupported(mt_graph *g, const mt_node *n, mt_err *err, const char *fmt, ...)
    MT_PRINTF(4, 5);

/* --- stages --- */
/* Reads the file into a graph: types of inputs, initialisers, nodes with their rows (NULL row:
 * unknown operator, recorded as problem). */
MT_MUST_USE mt_status mt_onnx_read(mt_graph *g, const void *onnx, size_t n_bytes, mt_err *err);
/* A TensorProto on its own (test data). Contents are the caller's (free). */
MT_MUST_USE mt_status mt_onnx_read_tensor(mt_tensor *out, char *name, size_t name_cap,
                                          const void *pb, size_t n_bytes, mt_err *err);
/* Binds the input shapes; infers every node and folds what is constant. With g->checking set every
 * node that can be looked at is, and each that fails becomes a problem of its own. */
MT_MUST_USE mt_status mt_graph_bind(mt_graph *g, const mt_tensor *inputs, int n_inputs,
                                    mt_err *err);
MT_MUST_USE mt_status mt_graph_infer(mt_graph *g, mt_err *err);

/* C = alpha op(A) op(B) + beta C + bias by OpenBLAS on one thread or by our own kernel; rows: how
 * many rows of A one call takes, which fixes the shape of the product for any batch. */
typedef struct mt_gemm_shape {
    int64_t m, n, k, rows;
    size_t lda, ldb, ldc;
    int trans_a, trans_b;
    float alpha, beta;
} mt_gemm_shape;
void mt_gemm_run(const mt_kernels *kern, const mt_gemm_shape *s, const float *a, const float *b,
                 const float *bias, float *c);

/* Operator row for a name at an opset, or NULL. */
const mt_op *mt_op_find(const char *domain, const char *name, int opset);
const mt_op *mt_op_internal(const char *name);
/* First opset of its rows; 0 = no such operator. */
int mt_op_since(const char *domain, const char *name);
/* i-th row, NULL past the last. */
const mt_op *mt_op_row(int i);

/* --- passes (models/passes/), in the order they run --- */
void mt_graph_count_uses(mt_graph *g);
/* The only live reader, or NULL when there is not exactly one or the value is an output. */
mt_node *mt_graph_reader(const mt_graph *g, int value);
mt_node *mt_graph_producer(const mt_graph *g, int value); /* live producer or NULL */
/* Drops dead nodes, restores order and counts uses. */
MT_MUST_USE mt_status mt_graph_compact(mt_graph *g, mt_err *err);
/* Frees the constants nobody reads any more. */
MT_MUST_USE mt_status mt_graph_release(mt_graph *g, mt_err *err);
MT_MUST_USE mt_status mt_pass_simplify(mt_graph *g, mt_err *err);
MT_MUST_USE mt_status mt_pass_batchnorm(mt_graph *g, mt_err *err);
MT_MUST_USE mt_status mt_pass_pad(mt_graph *g, mt_err *err);
MT_MUST_USE mt_status mt_pass_gates(mt_graph *g, mt_err *err);
MT_MUST_USE mt_status mt_pass_quant(mt_graph *g, mt_err *err);
MT_MUST_USE mt_status mt_pass_rownorm(mt_graph *g, mt_err *err);
MT_MUST_USE mt_status mt_pass_gelu(mt_graph *g, mt_err *err);
MT_MUST_USE mt_status mt_pass_attention(mt_graph *g, mt_err *err);
MT_MUST_USE mt_status mt_pass_bag(mt_graph *g, mt_err *err);
MT_MUST_USE mt_status mt_pass_dense(mt_graph *g, mt_err *err);
MT_MUST_USE mt_status mt_pass_fuse(mt_graph *g, mt_err *err);
MT_MUST_USE mt_status mt_pass_layout(mt_graph *g, mt_err *err);
MT_MUST_USE mt_status mt_pass_kernels(mt_graph *g, mt_err *err);
/* Marks the stretches of nodes that run image by image within a batch. */
MT_MUST_USE mt_status mt_pass_stretch(mt_graph *g, mt_err *err);
/* Places every value in one arena by lifetime; *bytes is its size, with scratch at *scratch_at. */
MT_MUST_USE mt_status mt_pass_plan(size_t *bytes, size_t *scratch_at, mt_graph *g, mt_err *err);
bool mt_node_is_view(const mt_graph *g, const mt_node *n);    /* output 0 shares input 0's memory */
bool mt_conv_has_kernel(const mt_graph *g, const mt_node *n); /* a convolution the kernels take */
bool mt_convt_has_kernel(const mt_graph *g, const mt_node *n); /* a transposed one done by them */
bool mt_pool_has_kernel(const mt_graph *g, const mt_node *n);

#endif
