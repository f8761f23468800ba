/* Gemm and MatMul. */
#include "models/ops/op.h"

typedef struct params {
    mt_gemm_shape s;
    int64_t count;                      /* products of a batched MatMul */
    int64_t dims[MT_MAX_DIMS], sa[MT_MAX_DIMS],
        sb[MT_MAX_DIMS]; /* its batch dimensions and element strides */
    int rank;
} params;

static mt_status need_ints(const mt_node *n, int64_t a, int64_t b, int64_t c, mt_err *err)
{
    if (a <= INT32_MAX && b <= INT32_MAX && c <= INT32_MAX) return MT_OK;
    return mt_node_fail(n, err, MT_ERR_LIMIT, "a dimension passes 2^31");
}

/* The batch of images is never one product: every image is multiplied by itself. */
static int64_t rows_of(const mt_graph *g, int64_t m)
{
    return g->batch > 1 && m % g->batch == 0 ? m / g->batch : m;
}

MT_INFER(mt_infer_gemm)
{
    MT_TRY(mt_need_inputs(g, n, 2, 3, err));
    for (int i = 0; i < n->n_in; i++) MT_TRY(mt_need_type(g, n, i, MT_T_FLOAT, err));
    const mt_tensor *a = &mt_in(g, n, 0)->t, *b = &mt_in(g, n, 1)->t;
    if (a->rank != 2 || b->rank != 2)
        return mt_node_fail(n, err, MT_ERR_FORMAT, "inputs of rank %d and %d", a->rank, b->rank);
    params *p = mt_graph_mem(g, sizeof *p, err);
    if (!p) return MT_ERR_NO_MEMORY;
    n->params = p;
    int ta = mt_attr_int(n, "transA", 0) != 0, tb = mt_attr_int(n, "transB", 0) != 0;
    int64_t m = a->dims[ta], k = a->dims[!ta], kb = b->dims[tb], nn = b->dims[!tb];
    if (k != kb)
        return mt_node_fail(n, err, MT_ERR_FORMAT, "inner dimensions %lld and %lld", (long long)k,
                            (long long)kb);
    MT_TRY(need_ints(n, m, nn, k, err));
    p->s = (mt_gemm_shape){m,
                           nn,
                           k,
                           rows_of(g, m),
                           (size_t)MT_MAX(1, a->dims[1]),
                           (size_t)MT_MAX(1, b->dims[1]),
                           (size_t)MT_MAX(1, nn),
                           ta,
                           tb,
                           mt_attr_float(n, "alpha", 1.0f),
                           mt_attr_float(n, "beta", 1.0f)};
    if (mt_in(g, n, 2)) {
        int64_t dims[MT_MAX_DIMS] = {m, nn};
        int rank = 2;
        MT_TRY(mt_broadcast(dims, &rank, n, &mt_in(g, n, 2)->t, err));
        if (rank != 2 || dims[0] != m || dims[1] != nn)
            return mt_node_fail(n, err, MT_ERR_FORMAT, "C does not broadcast to the product");
    }
    n->macs = (uint64_t)m * (uint64_t)nn * (uint64_t)k;
    return mt_set_out(g, n, 0, MT_DT_F32, 2, (int64_t[]){m, nn}, err);
}

MT_RUN(mt_run_gemm)
{
    mt_gemm_shape s = ((const params *)c->node->params)->s;
    const mt_tensor *bias = c->node->n_in > 2 ? c->in[2] : NULL;
    float *o = c->out[0]->data, beta = s.beta;
    const float *row = NULL;
    s.beta = 0;
    if (bias && beta == 1.0f && mt_tensor_count(bias) == s.n && bias->dims[bias->rank - 1] == s.n)
        row = bias->data;
    else if (bias && beta != 0) { /* any other broadcast: C starts as beta * bias */
        int64_t sb[MT_MAX_DIMS];
        mt_broadcast_strides(sb, bias, 2);
        for (int64_t i = 0; i < s.m; i++)
            for (int64_t j = 0; j < s.n; j++)
                o[i * s.n + j] = beta * ((const float *)bias->data)[i * sb[0] + j * sb[1]];
        s.beta = 1;
    }
    mt_gemm_run(c->k, &s, c->in[0]->data, c->in[1]->data, row, o);
    if (c->node->act != MT_ACT_NONE)
        mt_f32_act(c->k, o, o, (size_t)(s.m * s.n), c->node->act, c->node->act_a, c->node->act_b);
    return MT_OK;
}

MT_INFER(mt_infer_matmul)
{
    MT_TRY(mt_need_inputs(g, n, 2, 2, err));
    for (int i = 0; i < 2; i++) MT_TRY(mt_need_type(g, n, i, MT_T_FLOAT, err));
    mt_tensor a = mt_in(g, n, 0)->t, b = mt_in(g, n, 1)->t;
    params *p = mt_graph_mem(g, sizeof *p, err);
    if (!p) return MT_ERR_NO_MEMORY;
    n->params = p;
    if (!a.rank || !b.rank) return mt_node_fail(n, err, MT_ERR_FORMAT, "a scalar operand");
    bool va = a.rank == 1, vb = b.rank == 1;
    if (va) { a.dims[1] = a.dims[0]; a.dims[0] = 1; a.rank = 2; }
    if (vb) { b.dims[1] = 1; b.rank = 2; }
    int64_t m = a.dims[a.rank - 2], k = a.dims[a.rank - 1], nn = b.dims[b.rank - 1];
    if (b.dims[b.rank - 2] != k)
        return mt_node_fail(n, err, MT_ERR_FORMAT, "inner dimensions %lld and %lld", (long long)k,
                            (long long)b.dims[b.rank - 2]);
    mt_tensor ba = a, bb = b;
    ba.rank -= 2;
    bb.rank -= 2;
    MT_TRY(mt_broadcast(p->dims, &p->rank, n, &ba, err));
    MT_TRY(mt_broadcast(p->dims, &p->rank, n, &bb, err));
    if (!bb.rank) { /* one right operand: all left rows make one product (per image) */
        for (int d = 0; d < ba.rank; d++) m *= ba.dims[d];
        p->count = 1;
    } else {
        mt_broadcast_strides(p->sa, &ba, p->rank);
        mt_broadcast_strides(p->sb, &bb, p->rank);
        p->count = 1;
        for (int d = 0; d < p->rank; d++) {
            p->sa[d] *= m * k;
            p->sb[d] *= k * nn;
            p->count *= p->dims[d];
        }
    }
    MT_TRY(need_ints(n, m, nn, k, err));
    p->s = (mt_gemm_shape){m,
                           nn,
                           k,
                           bb.rank ? m : rows_of(g, m),
                           (size_t)MT_MAX(1, k),
                           (size_t)MT_MAX(1, nn),
                           (size_t)MT_MAX(1, nn),
                           0,
                           0,
                           1.0f,
                           0.0f};
    n->macs = (uint64_t)m * (uint64_t)nn * (uint64_t)k * (uint64_t)p->count;
    int64_t dims[MT_MAX_DIMS + 2];
    int rank = p->rank;
    memcpy(dims, p->dims, sizeof p->dims);
    if (!va) dims[rank++] = a.dims[a.rank - 2];
    if (!vb) dims[rank++] = nn;
    return mt_set_out(g, n, 0, MT_DT_F32, rank, dims, err);
}

MT_RUN(mt_run_matmul)
{
    const params *p = c->node->params;
    const float *a = c->in[0]->data, *b = c->in[1]->data;
    float *o = c->out[0]->data;
    int64_t idx[MT_MAX_DIMS] = {0};
    for (int64_t i = 0; i < p->count; i++, mt_next(idx, p->dims, p->rank), o += p->s.m * p->s.n) {
        int64_t oa = 0, ob = 0;
        for (int d = 0; d < p->rank && p->count > 1; d++) {
            oa += idx[d] * p->sa[d];
            ob += idx[d] * p->sb[d];
        }
        mt_gemm_run(c->k, &p->s, a + oa, b + ob, NULL, o);
    }
    return MT_OK;
}

MT_RUN(mt_run_dense)
{
    const mt_node *n = c->node;
    mt_dense d = ((const mt_dense_params *)n->params)->d;
    d.packed = c->in[1]->data;
    d.bias = c->in[2] ? c->in[2]->data : NULL;
    d.act = n->act;
    d.act_a = n->act_a;
    d.act_b = n->act_b;
    size_t rows = (size_t)(mt_tensor_count(c->out[0]) / d.n);
    mt_dense_run(c->k, &d, rows, c->in[0]->data,
                 n->residual >= 0 ? c->in[n->n_in - 1]->data : NULL, c->out[0]->data, c->scratch);
    return MT_OK;
}
