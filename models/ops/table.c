/* The operator table: one row an operator, or one a form of it where the forms differ. */
#include "models/ops/op.h"

#define LAST 21
static const mt_op rows[] = {
    /* name, domain, since, until, infer, run, flags */
    {"Add", "", 7, LAST, mt_infer_binary, mt_run_binary, MT_OP_INPLACE},
    {"Sub", "", 7, LAST, mt_infer_binary, mt_run_binary, MT_OP_INPLACE},
    {"Mul", "", 7, LAST, mt_infer_binary, mt_run_binary, MT_OP_INPLACE},
    {"Div", "", 7, LAST, mt_infer_binary, mt_run_binary, MT_OP_INPLACE},
    {"Pow", "", 7, LAST, mt_infer_binary, mt_run_binary, 0},
    {"Mod", "", 10, LAST, mt_infer_binary, mt_run_binary, MT_OP_INPLACE},
    {"BitShift", "", 11, LAST, mt_infer_binary, mt_run_binary, MT_OP_INPLACE},
    {"PRelu", "", 7, LAST, mt_infer_binary, mt_run_binary, MT_OP_INPLACE},
    {"Sum", "", 6, LAST, mt_infer_variadic, mt_run_variadic, 0},
    {"Mean", "", 6, LAST, mt_infer_variadic, mt_run_variadic, 0},
    {"Max", "", 6, LAST, mt_infer_variadic, mt_run_variadic, 0},
    {"Min", "", 6, LAST, mt_infer_variadic, mt_run_variadic, 0},
    {"Equal", "", 7, LAST, mt_infer_compare, mt_run_compare, 0},
    {"Less", "", 7, LAST, mt_infer_compare, mt_run_compare, 0},
    {"LessOrEqual", "", 12, LAST, mt_infer_compare, mt_run_compare, 0},
    {"Greater", "", 7, LAST, mt_infer_compare, mt_run_compare, 0},
    {"GreaterOrEqual", "", 12, LAST, mt_infer_compare, mt_run_compare, 0},
    {"And", "", 7, LAST, mt_infer_compare, mt_run_compare, 0},
    {"Or", "", 7, LAST, mt_infer_compare, mt_run_compare, 0},
    {"Xor", "", 7, LAST, mt_infer_compare, mt_run_compare, 0},
    {"Where", "", 9, LAST, mt_infer_where, mt_run_where, 0},

    {"Relu", "", 6, LAST, mt_infer_act, mt_run_act, MT_OP_INPLACE},
    {"LeakyRelu", "", 6, LAST, mt_infer_act, mt_run_act, MT_OP_INPLACE},
    {"Sigmoid", "", 6, LAST, mt_infer_act, mt_run_act, MT_OP_INPLACE},
    {"HardSigmoid", "", 6, LAST, mt_infer_act, mt_run_act, MT_OP_INPLACE},
    {"HardSwish", "", 14, LAST, mt_infer_act, mt_run_act, MT_OP_INPLACE},
    {"Tanh", "", 6, LAST, mt_infer_act, mt_run_act, MT_OP_INPLACE},
    {"Silu", "", 1, LAST, mt_infer_act, mt_run_act, MT_OP_INPLACE | MT_OP_INTERNAL},
    {"Clip", "", 6, LAST, mt_infer_clip, mt_run_clip, MT_OP_INPLACE},
    {"Exp", "", 6, LAST, mt_infer_unary, mt_run_unary, MT_OP_INPLACE},
    {"Log", "", 6, LAST, mt_infer_unary, mt_run_unary, MT_OP_INPLACE},
    {"Sqrt", "", 6, LAST, mt_infer_unary, mt_run_unary, MT_OP_INPLACE},
    {"Neg", "", 6, LAST, mt_infer_unary, mt_run_unary, MT_OP_INPLACE},
    {"Abs", "", 6, LAST, mt_infer_unary, mt_run_unary, MT_OP_INPLACE},
    {"Reciprocal", "", 6, LAST, mt_infer_unary, mt_run_unary, MT_OP_INPLACE},
    {"Erf", "", 9, LAST, mt_infer_unary, mt_run_unary, MT_OP_INPLACE},
    {"Floor", "", 6, LAST, mt_infer_unary, mt_run_unary, MT_OP_INPLACE},
    {"Ceil", "", 6, LAST, mt_infer_unary, mt_run_unary, MT_OP_INPLACE},
    {"Round", "", 11, LAST, mt_infer_unary, mt_run_unary, MT_OP_INPLACE},
    {"Sign", "", 9, LAST, mt_infer_unary, mt_run_unary, MT_OP_INPLACE},
    {"Sin", "", 7, LAST, mt_infer_unary, mt_run_unary, MT_OP_INPLACE},
    {"Cos", "", 7, LAST, mt_infer_unary, mt_run_unary, MT_OP_INPLACE},
    {"Elu", "", 6, LAST, mt_infer_unary, mt_run_unary, MT_OP_INPLACE},
    {"Selu", "", 6, LAST, mt_infer_unary, mt_run_unary, MT_OP_INPLACE},
    {"Celu", "", 12, LAST, mt_infer_unary, mt_run_unary, MT_OP_INPLACE},
    {"Softplus", "", 1, LAST, mt_infer_unary, mt_run_unary, MT_OP_INPLACE},
    {"Softsign", "", 1, LAST, mt_infer_unary, mt_run_unary, MT_OP_INPLACE},
    {"Mish", "", 18, LAST, mt_infer_unary, mt_run_unary, MT_OP_INPLACE},
    {"ThresholdedRelu", "", 10, LAST, mt_infer_unary, mt_run_unary, MT_OP_INPLACE},
    {"Shrink", "", 9, LAST, mt_infer_unary, mt_run_unary, MT_OP_INPLACE},
    {"Gelu", "", 20, LAST, mt_infer_unary, mt_run_unary, MT_OP_INPLACE},
    {"Not", "", 1, LAST, mt_infer_predicate, mt_run_predicate, 0},
    {"IsNaN", "", 9, LAST, mt_infer_predicate, mt_run_predicate, 0},
    {"IsInf", "", 10, LAST, mt_infer_predicate, mt_run_predicate, 0},
    {"Cast", "", 6, LAST, mt_infer_cast, mt_run_cast, 0},
    {"CastLike", "", 15, LAST, mt_infer_castlike, mt_run_cast, 0},

    {"Identity", "", 1, LAST, mt_infer_identity, NULL, 0},
    {"Dropout", "", 7, LAST, mt_infer_dropout, mt_run_dropout, 0},
    {"Reshape", "", 1, LAST, mt_infer_reshape, NULL, 0},
    {"Flatten", "", 1, LAST, mt_infer_flatten, NULL, 0},
    {"Squeeze", "", 1, LAST, mt_infer_squeeze, NULL, 0},
    {"Unsqueeze", "", 1, LAST, mt_infer_unsqueeze, NULL, 0},
    {"Shape", "", 1, LAST, mt_infer_shape, mt_run_shape, 0},
    {"Size", "", 1, LAST, mt_infer_size, mt_run_shape, 0},
    {"Constant", "", 1, LAST, mt_infer_constant, NULL, 0},
    {"ConstantOfShape", "", 9, LAST, mt_infer_constant_of_shape, mt_run_constant_of_shape, 0},
    {"Range", "", 11, LAST, mt_infer_range, mt_run_range, 0},
    {"EyeLike", "", 9, LAST, mt_infer_eyelike, mt_run_eyelike, 0},
    {"Expand", "", 8, LAST, mt_infer_expand, mt_run_expand, 0},
    {"Tile", "", 6, LAST, mt_infer_tile, mt_run_tile, 0},
    {"Gather", "", 1, LAST, mt_infer_gather, mt_run_gather, 0},
    {"GatherElements", "", 11, LAST, mt_infer_gather_elements, mt_run_gather_elements, 0},
    {"GatherND", "", 11, LAST, mt_infer_gather_nd, mt_run_gather_nd, 0},
    {"ScatterND", "", 11, LAST, mt_infer_scatter_nd, mt_run_scatter_nd, 0},
    {"ScatterElements", "", 11, LAST, mt_infer_scatter_elements, mt_run_scatter_elements, 0},
    {"Scatter", "", 9, 10, mt_infer_scatter_elements, mt_run_scatter_elements, 0},
    {"OneHot", "", 9, LAST, mt_infer_onehot, mt_run_onehot, 0},
    {"NonZero", "", 9, LAST, mt_infer_nonzero, NULL, MT_OP_NOFOLD},
    {"Slice", "", 1, LAST, mt_infer_slice, mt_run_slice, 0},
    {"Concat", "", 4, LAST, mt_infer_concat, mt_run_concat, 0},
    {"Split", "", 2, LAST, mt_infer_split, mt_run_split, 0},
    {"Transpose", "", 1, LAST, mt_infer_transpose, mt_run_transpose, 0},
    {"Pad", "", 2, LAST, mt_infer_pad, mt_run_pad, 0},
    {"CenterCropPad", "", 18, LAST, mt_infer_centercroppad, mt_run_pad, 0},
    {"DepthToSpace", "", 1, LAST, mt_infer_depth, mt_run_depth, 0},
    {"SpaceToDepth", "", 1, LAST, mt_infer_depth, mt_run_depth, 0},

    {"ReduceMean", "", 1, LAST, mt_infer_reduce, mt_run_reduce, 0},
    {"ReduceSum", "", 1, LAST, mt_infer_reduce, mt_run_reduce, 0},
    {"ReduceMax", "", 1, LAST, mt_infer_reduce, mt_run_reduce, 0},
    {"ReduceMin", "", 1, LAST, mt_infer_reduce, mt_run_reduce, 0},
    {"ReduceProd", "", 1, LAST, mt_infer_reduce, mt_run_reduce, 0},
    {"ReduceL1", "", 1, LAST, mt_infer_reduce, mt_run_reduce, 0},
    {"ReduceL2", "", 1, LAST, mt_infer_reduce, mt_run_reduce, 0},
    {"ReduceSumSquare", "", 1, LAST, mt_infer_reduce, mt_run_reduce, 0},
    {"ReduceLogSum", "", 1, LAST, mt_infer_reduce, mt_run_reduce, 0},
    {"ReduceLogSumExp", "", 1, LAST, mt_infer_reduce, mt_run_reduce, 0},
    {"ArgMax", "", 1, LAST, mt_infer_argmax, mt_run_argmax, 0},
    {"ArgMin", "", 1, LAST, mt_infer_argmax, mt_run_argmax, 0},
    {"TopK", "", 1, LAST, mt_infer_topk, mt_run_topk, 0},
    {"CumSum", "", 11, LAST, mt_infer_cumsum, mt_run_cumsum, 0},
    {"Trilu", "", 14, LAST, mt_infer_trilu, mt_run_trilu, 0},
    {"Softmax", "", 1, LAST, mt_infer_softmax, mt_run_softmax, 0},
    {"LogSoftmax", "", 1, LAST, mt_infer_softmax, mt_run_softmax, 0},
    {"Hardmax", "", 1, LAST, mt_infer_softmax, mt_run_softmax, 0},

    {"Gemm", "", 6, LAST, mt_infer_gemm, mt_run_gemm, 0},
    {"MatMul", "", 1, LAST, mt_infer_matmul, mt_run_matmul, 0},
    {"Einsum", "", 12, LAST, mt_infer_einsum, mt_run_einsum, 0},
    {"Conv", "", 1, LAST, mt_infer_conv, mt_run_conv, 0},
    {"ConvTranspose", "", 1, LAST, mt_infer_convtranspose, mt_run_convtranspose, 0},
    {"MaxPool", "", 1, LAST, mt_infer_pool, mt_run_pool, 0},
    {"AveragePool", "", 1, LAST, mt_infer_pool, mt_run_pool, 0},
    {"GlobalAveragePool", "", 1, LAST, mt_infer_globalpool, mt_run_globalpool, 0},
    {"GlobalMaxPool", "", 1, LAST, mt_infer_globalpool, mt_run_globalpool, 0},
    {"BatchNormalization", "", 6, LAST, mt_infer_batchnorm, mt_run_batchnorm, MT_OP_INPLACE},
    {"InstanceNormalization", "", 6, LAST, mt_infer_instancenorm, mt_run_instancenorm, 0},
    {"GroupNormalization", "", 18, LAST, mt_infer_instancenorm, mt_run_instancenorm, 0},
    {"LayerNormalization", "", 17, LAST, mt_infer_layernorm, mt_run_layernorm, 0},
    {"RowNorm", "", 1, LAST, NULL, mt_run_rownorm, MT_OP_INPLACE | MT_OP_INTERNAL},
    {"Dense", "", 1, LAST, NULL, mt_run_dense, MT_OP_INTERNAL},
    {"Attention", "", 1, LAST, NULL, mt_run_attention, MT_OP_INTERNAL},
    {"Bag", "", 1, LAST, NULL, mt_run_bag, MT_OP_INTERNAL},
    {"GeluAct", "", 1, LAST, mt_infer_act, mt_run_act, MT_OP_INPLACE | MT_OP_INTERNAL},
    {"LRN", "", 1, LAST, mt_infer_lrn, mt_run_lrn, 0},
    {"LpNormalization", "", 1, LAST, mt_infer_lpnorm, mt_run_lpnorm, 0},
    {"MeanVarianceNormalization", "", 9, LAST, mt_infer_mvn, mt_run_mvn, 0},
    {"QuantizeLinear", "", 10, LAST, mt_infer_quantize, mt_run_quantize, 0},
    {"DequantizeLinear", "", 10, LAST, mt_infer_dequantize, mt_run_dequantize, 0},
    {"DynamicQuantizeLinear", "", 11, LAST, mt_infer_dynamicquantize, mt_run_dynamicquantize, 0},
    {"QLinearConv", "", 10, LAST, mt_infer_qlinearconv, mt_run_qlinearconv, 0},
    {"ConvInteger", "", 10, LAST, mt_infer_qlinearconv, mt_run_qlinearconv, 0},
    {"QLinearMatMul", "", 10, LAST, mt_infer_qlinearmatmul, mt_run_qlinearmatmul, 0},
    {"MatMulInteger", "", 10, LAST, mt_infer_qlinearmatmul, mt_run_qlinearmatmul, 0},
    {"Resize", "", 10, LAST, mt_infer_resize, mt_run_resize, 0},
    {"Upsample", "", 7, 9, mt_infer_upsample, mt_run_resize, 0},
    {"GridSample", "", 16, LAST, mt_infer_gridsample, mt_run_gridsample, 0},

    {"ScaleShift", "", 1, LAST, NULL, mt_run_scale_shift, MT_OP_INPLACE | MT_OP_INTERNAL},
    {"QImage", "", 1, LAST, NULL, mt_run_q8_quantise, MT_OP_INTERNAL},
    {"QFloat", "", 1, LAST, NULL, mt_run_q8_dequantise, MT_OP_INTERNAL},
    {"QConv", "", 1, LAST, NULL, mt_run_q8_conv, MT_OP_INTERNAL},
    {"QAdd", "", 1, LAST, NULL, mt_run_q8_pair, MT_OP_INTERNAL | MT_OP_INPLACE},
    {"QMul", "", 1, LAST, NULL, mt_run_q8_pair, MT_OP_INTERNAL | MT_OP_INPLACE},
    {"QMaxPool", "", 1, LAST, NULL, mt_run_q8_pool, MT_OP_INTERNAL},
    {"QAveragePool", "", 1, LAST, NULL, mt_run_q8_pool, MT_OP_INTERNAL},
    {"QTable", "", 1, LAST, NULL, mt_run_q8_table, MT_OP_INTERNAL | MT_OP_INPLACE},
    {"QPad", "", 1, LAST, NULL, mt_run_q8_pad, MT_OP_INTERNAL},
    {"QConcat", "", 1, LAST, NULL, mt_run_q8_concat, MT_OP_INTERNAL},
    {"ToBlocked", "", 1, LAST, NULL, mt_run_to_blocked, MT_OP_INTERNAL},
    {"FromBlocked", "", 1, LAST, NULL, mt_run_from_blocked, MT_OP_INTERNAL},
};

const mt_op *mt_op_row(int i)
{
    return i >= 0 && i < (int)MT_COUNT(rows) ? &rows[i] : NULL;
}

const mt_op *mt_op_find(const char *domain, const char *name, int opset)
{
    for (size_t i = 0; i < MT_COUNT(rows); i++)
        if (!(rows[i].flags & MT_OP_INTERNAL) && !strcmp(rows[i].name, name) &&
            !strcmp(rows[i].domain, domain) && opset >= rows[i].since && opset <= rows[i].until)
            return &rows[i];
    return NULL;
}

const mt_op *mt_op_internal(const char *name)
{
    for (size_t i = 0; i < MT_COUNT(rows); i++)
        if (!strcmp(rows[i].name, name)) return &rows[i];
    return NULL;
}

int mt_op_since(const char *domain, const char *name)
{
    int first = 0;
    for (size_t i = 0; i < MT_COUNT(rows); i++)
        if (!(rows[i].flags & MT_OP_INTERNAL) && !strcmp(rows[i].name, name) &&
            !strcmp(rows[i].domain, domain) && (!first || rows[i].since < first))
            first = rows[i].since;
    return first;
}
