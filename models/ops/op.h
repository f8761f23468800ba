/* What operator files share. A file here holds the rows' functions; ops/table.c lists the rows. */
#ifndef MT_MODELS_OPS_OP_H
#define MT_MODELS_OPS_OP_H

#include <math.h>
#include <string.h>
#include "models/graph.h"

#define MT_INFER(name) mt_status name(mt_graph *g, mt_node *n, mt_err *err)
#define MT_RUN(name) mt_status name(const mt_call *c, mt_err *err)

/* Number of inputs within [lo, hi] and the first `lo` of them present; at least one output. */
MT_MUST_USE mt_status mt_need_inputs(mt_graph *g, mt_node *n, int lo, int hi, mt_err *err);
/* Input i is one of the types whose bit (1u << dtype) is set. */
MT_MUST_USE mt_status mt_need_type(mt_graph *g, mt_node *n, int i, unsigned types, mt_err *err);
#define MT_T(t) (1u << (t))
#define MT_T_FLOAT MT_T(MT_DT_F32)
#define MT_T_INTS (MT_T(MT_DT_I32) | MT_T(MT_DT_I64) | MT_T(MT_DT_U8) | MT_T(MT_DT_I8))
#define MT_T_NUM (MT_T_FLOAT | MT_T_INTS)
#define MT_T_ANY (MT_T_NUM | MT_T(MT_DT_BOOL))
#define MT_T_INDEX (MT_T(MT_DT_I32) | MT_T(MT_DT_I64))

/* Output i gets this type and shape. */
MT_MUST_USE mt_status mt_set_out(mt_graph *g, mt_node *n, int i, mt_dtype t, int rank,
                                 const int64_t *dims, mt_err *err);
/* Output i gets the type and shape of value v. */
MT_MUST_USE mt_status mt_set_out_like(mt_graph *g, mt_node *n, int i, const mt_value *v,
                                      mt_err *err);

/* Axis in -rank..rank-1 made positive; FORMAT naming `what` otherwise. */
MT_MUST_USE mt_status mt_axis(int *out, const mt_node *n, int64_t axis, int rank, const char *what,
                              mt_err *err);

/* A short list of integers that stands in attribute `attr` or in input `input` (either may be left
 * out: NULL, -1). An input that is not known before the run is UNSUPPORTED. *count is -1 when
 * neither is given. */
MT_MUST_USE mt_status mt_node_ints(int64_t *out, int *count, int max, mt_graph *g, mt_node *n,
                                   int input, const char *attr, mt_err *err);
/* Same for the numbers of a float list. */
MT_MUST_USE mt_status mt_node_floats(float *out, int *count, int max, mt_graph *g, mt_node *n,
                                     int input, const char *attr, mt_err *err);
/* Element i of an integer tensor (any integer type, bool). */
int64_t mt_tensor_int(const mt_tensor *t, int64_t i);
/* Writes it; what does not fit wraps around. */
void mt_tensor_set_int(mt_tensor *t, int64_t i, int64_t v);

/* Row-major strides in elements. */
void mt_strides(int64_t stride[MT_MAX_DIMS], const mt_tensor *t);
/* Shape two (or more) shapes broadcast to. */
MT_MUST_USE mt_status mt_broadcast(int64_t dims[MT_MAX_DIMS], int *rank, const mt_node *n,
                                   const mt_tensor *t, mt_err *err);
/* Strides of t seen through a broadcast shape of `rank` dimensions: 0 where t repeats. */
void mt_broadcast_strides(int64_t stride[MT_MAX_DIMS], const mt_tensor *t, int rank);

/* Walks an index over dims[0..rank): true while there is a next one. Zero-initialise idx. */
static inline bool mt_next(int64_t *idx, const int64_t *dims, int rank)
{
    for (int d = rank - 1; d >= 0; d--) {
        if (++idx[d] < dims[d]) return true;
        idx[d] = 0;
    }
    return false;
}

static inline bool mt_is_blocked_in(const mt_call *c, int i)
{
    return c->g->values[c->node->in[i]]->blocked;
}
static inline bool mt_is_blocked_out(const mt_call *c, int i)
{
    return c->g->values[c->node->out[i]]->blocked;
}
/* Floats of one image of a rank-4 (or -3) tensor when blocked; places per channel. */
static inline size_t mt_plane(const mt_tensor *t)
{
    return (size_t)(t->dims[2] * (t->rank > 3 ? t->dims[3] : 1));
}
static inline size_t mt_image_blocked(const mt_kernels *k, const mt_tensor *t)
{
    return mt_blocked_floats(k, (int)t->dims[1], mt_plane(t));
}
size_t mt_value_floats(const mt_graph *g, const mt_value *v); /* stored floats, blocked or not */

/* What passes look into. */
typedef struct mt_act_params { mt_act act; float a, b; } mt_act_params;

typedef struct mt_window {       /* Conv, ConvTranspose, pools; spatial dimensions only */
    int nd;                      /* 1..MT_MAX_DIMS-2 */
    int64_t kernel[MT_MAX_DIMS], stride[MT_MAX_DIMS], dilation[MT_MAX_DIMS];
    int64_t pad_lo[MT_MAX_DIMS], pad_hi[MT_MAX_DIMS];
    int64_t groups;
    int ceil_mode, count_include_pad, column_major;
} mt_window;

typedef struct mt_pad_params {
    int mode;                    /* 0 constant, 1 reflect, 2 edge, 3 wrap */
    float value;
    int64_t ivalue;
    int64_t lo[MT_MAX_DIMS], hi[MT_MAX_DIMS];
} mt_pad_params;

typedef struct mt_scale_params {
    float *scale, *shift;
} mt_scale_params; /* per channel (dimension 1) */
typedef struct mt_concat_params { int axis; } mt_concat_params;
typedef struct mt_slice_params { int64_t start[MT_MAX_DIMS], step[MT_MAX_DIMS]; } mt_slice_params;
typedef struct mt_split_params { int axis; const int64_t *parts; } mt_split_params;
typedef struct mt_perm_params { int perm[MT_MAX_DIMS]; } mt_perm_params;

/* Dense: x times packed weights. Inputs: x, packed weights, bias or -1, the residual last. */
typedef struct mt_dense_params {
    mt_dense d;   /* pointers are set at run time */
    int trans;    /* the file's weights are n x n_k */
    float *scale; /* until packed: factor and addend per column, or NULL */
    float *bias;
} mt_dense_params;

/* Attention: inputs q, k, v (any tensors the heads lie in) and up to two masks. Tables hold the
 * place of every head in floats. */
typedef struct mt_attention_params {
    mt_attn a;
    int64_t heads; /* of all images together */
    const int64_t *q, *k, *v, *o, *mask[2];
} mt_attention_params;

/* Bag: row-wise operators and the attention pool behind them, walked in blocks of rows. Inputs are
 * what comes from outside; output 0 is the pool, the others are what the rest of the graph reads. */
enum { MT_BAG_ROWS = 240, MT_BAG_LOCALS = 48, MT_BAG_GIVEN = 96, MT_BAG_INPUTS = 8, MT_BAG_NONE = -1 };
typedef struct mt_bag_local {
    mt_tensor shape;
    int64_t width;
    int given_out; /* output of the step it is written to, -1: scratch */
} mt_bag_local;
typedef struct mt_bag_member {
    mt_node *node;
    int in[MT_BAG_INPUTS]; /* input of the step; -1 none; -2 - i: local i */
    int out;               /* a local */
} mt_bag_member;
typedef struct mt_bag_params {
    int64_t n, classes, width; /* rows; scores and floats of a row that is pooled */
    float scale;
    int scores, rows; /* references as in mt_bag_member */
    int n_members, n_locals;
    size_t member_scratch;
    bool by_row[MT_BAG_GIVEN];
    mt_bag_local local[MT_BAG_LOCALS];
    mt_bag_member member[MT_BAG_LOCALS];
} mt_bag_params;
size_t mt_bag_scratch(const mt_bag_params *p);

/* Reads kernel_shape, strides, dilations, pads, auto_pad and sets output sizes into out[]. */
MT_MUST_USE mt_status mt_window_read(mt_window *w, int64_t *out, mt_graph *g, mt_node *n,
                                     const mt_tensor *x, const int64_t *kernel, mt_err *err);

/* Rows' functions, by file. */
MT_INFER(mt_infer_binary); MT_RUN(mt_run_binary);
MT_INFER(mt_infer_compare); MT_RUN(mt_run_compare);
MT_INFER(mt_infer_variadic); MT_RUN(mt_run_variadic);
MT_INFER(mt_infer_where); MT_RUN(mt_run_where);
MT_INFER(mt_infer_act); MT_RUN(mt_run_act);
MT_INFER(mt_infer_clip); MT_RUN(mt_run_clip);
MT_INFER(mt_infer_unary); MT_RUN(mt_run_unary);
MT_INFER(mt_infer_predicate); MT_RUN(mt_run_predicate);
MT_INFER(mt_infer_identity); MT_INFER(mt_infer_dropout); MT_RUN(mt_run_dropout);
MT_INFER(mt_infer_reshape);
MT_INFER(mt_infer_flatten);
MT_INFER(mt_infer_squeeze);
MT_INFER(mt_infer_unsqueeze);
MT_INFER(mt_infer_shape); MT_RUN(mt_run_shape); MT_INFER(mt_infer_size);
MT_INFER(mt_infer_constant); MT_INFER(mt_infer_constant_of_shape); MT_RUN(mt_run_constant_of_shape);
MT_INFER(mt_infer_range); MT_RUN(mt_run_range);
MT_INFER(mt_infer_eyelike); MT_RUN(mt_run_eyelike);
MT_INFER(mt_infer_expand); MT_RUN(mt_run_expand);
MT_INFER(mt_infer_tile); MT_RUN(mt_run_tile);
MT_INFER(mt_infer_cast); MT_RUN(mt_run_cast); MT_INFER(mt_infer_castlike);
MT_INFER(mt_infer_gather); MT_RUN(mt_run_gather);
MT_INFER(mt_infer_gather_elements); MT_RUN(mt_run_gather_elements);
MT_INFER(mt_infer_gather_nd); MT_RUN(mt_run_gather_nd);
MT_INFER(mt_infer_scatter_nd); MT_RUN(mt_run_scatter_nd);
MT_INFER(mt_infer_scatter_elements); MT_RUN(mt_run_scatter_elements);
MT_INFER(mt_infer_slice); MT_RUN(mt_run_slice);
MT_INFER(mt_infer_concat); MT_RUN(mt_run_concat);
MT_INFER(mt_infer_split); MT_RUN(mt_run_split);
MT_INFER(mt_infer_transpose); MT_RUN(mt_run_transpose);
MT_INFER(mt_infer_pad); MT_RUN(mt_run_pad);
MT_INFER(mt_infer_reduce); MT_RUN(mt_run_reduce);
MT_INFER(mt_infer_argmax); MT_RUN(mt_run_argmax);
MT_INFER(mt_infer_softmax); MT_RUN(mt_run_softmax);
MT_INFER(mt_infer_gemm); MT_RUN(mt_run_gemm);
MT_INFER(mt_infer_matmul); MT_RUN(mt_run_matmul);
MT_INFER(mt_infer_batchnorm); MT_RUN(mt_run_batchnorm); MT_RUN(mt_run_scale_shift);
MT_INFER(mt_infer_instancenorm); MT_RUN(mt_run_instancenorm);
MT_INFER(mt_infer_layernorm); MT_RUN(mt_run_layernorm);
MT_RUN(mt_run_rownorm); MT_RUN(mt_run_dense);
MT_RUN(mt_run_attention); MT_RUN(mt_run_bag);
MT_INFER(mt_infer_lrn); MT_RUN(mt_run_lrn);
MT_INFER(mt_infer_conv); MT_RUN(mt_run_conv); MT_RUN(mt_run_conv_plain);
MT_INFER(mt_infer_convtranspose); MT_RUN(mt_run_convtranspose);
MT_INFER(mt_infer_pool); MT_RUN(mt_run_pool); MT_RUN(mt_run_pool_blocked);
MT_INFER(mt_infer_globalpool); MT_RUN(mt_run_globalpool);
MT_INFER(mt_infer_resize); MT_RUN(mt_run_resize); MT_INFER(mt_infer_upsample);
MT_INFER(mt_infer_gridsample); MT_RUN(mt_run_gridsample);
MT_INFER(mt_infer_topk); MT_RUN(mt_run_topk);
MT_INFER(mt_infer_depth); MT_RUN(mt_run_depth);
MT_INFER(mt_infer_cumsum); MT_RUN(mt_run_cumsum);
MT_INFER(mt_infer_trilu); MT_RUN(mt_run_trilu);
MT_INFER(mt_infer_einsum); MT_RUN(mt_run_einsum);
MT_INFER(mt_infer_onehot); MT_RUN(mt_run_onehot);
MT_INFER(mt_infer_nonzero);
MT_INFER(mt_infer_centercroppad);
MT_INFER(mt_infer_lpnorm); MT_RUN(mt_run_lpnorm);
MT_INFER(mt_infer_mvn); MT_RUN(mt_run_mvn);
MT_INFER(mt_infer_quantize); MT_RUN(mt_run_quantize);
MT_INFER(mt_infer_dequantize); MT_RUN(mt_run_dequantize);
MT_RUN(mt_run_q8_quantise); MT_RUN(mt_run_q8_dequantise); MT_RUN(mt_run_q8_conv);
MT_RUN(mt_run_q8_pair); MT_RUN(mt_run_q8_pool); MT_RUN(mt_run_q8_table); MT_RUN(mt_run_q8_concat);
MT_RUN(mt_run_q8_pad);
MT_INFER(mt_infer_qlinearconv); MT_RUN(mt_run_qlinearconv);
MT_INFER(mt_infer_qlinearmatmul); MT_RUN(mt_run_qlinearmatmul);
MT_INFER(mt_infer_dynamicquantize); MT_RUN(mt_run_dynamicquantize);
MT_RUN(mt_run_to_blocked); MT_RUN(mt_run_from_blocked);

#endif
