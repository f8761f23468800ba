/* QuantizeLinear and its family, as the standard defines them, element by element. Networks do not
 * run through these: passes/quant.c turns what it knows into steps on 8-bit images. */
#include "models/ops/op.h"

#include "base/mem.h"

#define T_BYTES (MT_T(MT_DT_U8) | MT_T(MT_DT_I8))

/* --- QuantizeLinear, DequantizeLinear: per tensor, per axis, in blocks along an axis --- */

typedef struct quant_params {
    int64_t inner, len,
        block; /* len: entries along the axis (1: per tensor); block: 0, or positions each */
} quant_params;

/* Entry of scale and zero point for element i. */
static inline int64_t entry(const quant_params *p, int64_t i)
{
    if (!p->block) return p->len == 1 ? 0 : i / p->inner % p->len;
    int64_t along = p->len * p->block;
    return i / (p->inner * along) * p->len * p->inner + i / p->inner % along / p->block * p->inner +
           i % p->inner;
}

static mt_status quant_blocks(quant_params *p, mt_graph *g, mt_node *n, int axis, int64_t block,
                              mt_err *err)
{
    const mt_tensor *x = &mt_in(g, n, 0)->t, *s = &mt_in(g, n, 1)->t;
    bool fits = s->rank == x->rank && block > 0 && x->dims[axis] % block == 0;
    for (int d = 0; fits && d < x->rank; d++)
        fits = s->dims[d] == (d == axis ? x->dims[d] / block : x->dims[d]);
    if (!fits)
        return mt_node_unsupported(g, n, err, "blocks of %lld that do not divide the axis",
                                   (long long)block);
    p->len = s->dims[axis];
    p->block = block;
    return MT_OK;
}

static mt_status quant_axis(quant_params *p, mt_graph *g, mt_node *n, mt_err *err)
{
    const mt_tensor *x = &mt_in(g, n, 0)->t, *scale = &mt_in(g, n, 1)->t;
    int64_t count = mt_tensor_count(scale), block = mt_attr_int(n, "block_size", 0);
    MT_TRY(mt_need_type(g, n, 1, MT_T_FLOAT, err));
    if (mt_in(g, n, 2) && mt_tensor_count(&mt_in(g, n, 2)->t) != count)
        return mt_node_fail(n, err, MT_ERR_FORMAT, "%lld scales, %lld zero points",
                            (long long)count, (long long)mt_tensor_count(&mt_in(g, n, 2)->t));
    p->inner = p->len = 1;
    p->block = 0;
    if (count == 1 && !block) return MT_OK;
    int axis;
    MT_TRY(mt_axis(&axis, n, mt_attr_int(n, "axis", 1), x->rank, "axis", err));
    for (int d = axis + 1; d < x->rank; d++)
        p->inner *= x->dims[d];
    if (block) return quant_blocks(p, g, n, axis, block, err);
    if (x->dims[axis] != count)
        return mt_node_fail(n, err, MT_ERR_FORMAT, "%lld scales for %lld positions",
                            (long long)count, (long long)x->dims[axis]);
    p->len = count;
    return MT_OK;
}

/* Type of bytes that come out: the zero point's, else attribute output_dtype, else unsigned. */
static mt_status quant_type(mt_dtype *t, mt_graph *g, mt_node *n, mt_err *err)
{
    int64_t asked = mt_attr_int(n, "output_dtype", 0);
    *t = asked ? (mt_dtype)asked : MT_DT_U8;
    if (mt_in(g, n, 2)) *t = mt_in(g, n, 2)->t.dtype;
    if (*t != MT_DT_U8 && *t != MT_DT_I8)
        return mt_node_unsupported(g, n, err, "quantised type %s", mt_dtype_name((int)*t));
    return MT_OK;
}

MT_INFER(mt_infer_quantize)
{
    mt_dtype t;
    MT_TRY(mt_need_inputs(g, n, 2, 3, err));
    MT_TRY(mt_need_type(g, n, 0, MT_T_FLOAT | MT_T(MT_DT_I32), err));
    MT_TRY(mt_need_type(g, n, 2, T_BYTES, err));
    quant_params *p = mt_graph_mem(g, sizeof *p, err);
    if (!p) return MT_ERR_NO_MEMORY;
    n->params = p;
    MT_TRY(quant_axis(p, g, n, err));
    MT_TRY(quant_type(&t, g, n, err));
    const mt_value *x = mt_in(g, n, 0);
    return mt_set_out(g, n, 0, t, x->t.rank, x->t.dims, err);
}

/* Saturated to the type of o. NaN is the lowest value. */
static void put_byte(mt_tensor *o, int64_t i, float v)
{
    if (o->dtype == MT_DT_I8)
        ((int8_t *)o->data)[i] = (int8_t)(v > -128 ? v < 127 ? v : 127 : -128);
    else
        ((uint8_t *)o->data)[i] = (uint8_t)(v > 0 ? v < 255 ? v : 255 : 0);
}

MT_RUN(mt_run_quantize)
{
    const quant_params *p = c->node->params;
    const mt_tensor *x = c->in[0], *zero = c->node->n_in > 2 ? c->in[2] : NULL;
    for (int64_t i = 0, n = mt_tensor_count(x); i < n; i++) {
        int64_t q = entry(p, i);
        float v = x->dtype == MT_DT_F32 ? ((const float *)x->data)[i] : (float)mt_tensor_int(x, i);
        v = nearbyintf(v / ((const float *)c->in[1]->data)[q]); /* half to even */
        put_byte(c->out[0], i, v + (zero ? (float)mt_tensor_int(zero, q) : 0.0f));
    }
    return MT_OK;
}

MT_INFER(mt_infer_dequantize)
{
    MT_TRY(mt_need_inputs(g, n, 2, 3, err));
    MT_TRY(mt_need_type(g, n, 0, T_BYTES | MT_T(MT_DT_I32), err));
    quant_params *p = mt_graph_mem(g, sizeof *p, err);
    if (!p) return MT_ERR_NO_MEMORY;
    n->params = p;
    MT_TRY(quant_axis(p, g, n, err));
    if (mt_in(g, n, 2) && mt_in(g, n, 2)->t.dtype != mt_in(g, n, 0)->t.dtype)
        return mt_node_fail(n, err, MT_ERR_FORMAT, "a zero point of type %s",
                            mt_dtype_name((int)mt_in(g, n, 2)->t.dtype));
    mt_out(g, n, 0)->dq = n;
    const mt_value *x = mt_in(g, n, 0);
    return mt_set_out(g, n, 0, MT_DT_F32, x->t.rank, x->t.dims, err);
}

MT_RUN(mt_run_dequantize)
{
    const quant_params *p = c->node->params;
    const mt_tensor *x = c->in[0], *zero = c->node->n_in > 2 ? c->in[2] : NULL;
    const float *scale = c->in[1]->data;
    float *o = c->out[0]->data;
    if (!p->block && x->dtype == MT_DT_I8 && p->inner > 1) { /* weights: runs of one scale */
        const int8_t *b = x->data;
        for (int64_t i = 0, n = mt_tensor_count(x); i < n; i += p->inner) {
            int64_t q = i / p->inner % p->len, z = zero ? mt_tensor_int(zero, q) : 0;
            for (int64_t j = i; j < i + p->inner; j++)
                o[j] = (float)(b[j] - (int32_t)z) * scale[q];
        }
        return MT_OK;
    }
    for (int64_t i = 0, n = mt_tensor_count(x); i < n; i++) {
        int64_t q = entry(p, i), v = mt_tensor_int(x, i) - (zero ? mt_tensor_int(zero, q) : 0);
        o[i] = (float)v * scale[q];
    }
    return MT_OK;
}

/* --- DynamicQuantizeLinear --- */

MT_INFER(mt_infer_dynamicquantize)
{
    MT_TRY(mt_need_inputs(g, n, 1, 1, err));
    MT_TRY(mt_need_type(g, n, 0, MT_T_FLOAT, err));
    const mt_value *x = mt_in(g, n, 0);
    if (n->n_out != 3 || n->out[1] < 0 || n->out[2] < 0)
        return mt_node_fail(n, err, MT_ERR_FORMAT, "%d outputs, expected 3", n->n_out);
    MT_TRY(mt_set_out(g, n, 0, MT_DT_U8, x->t.rank, x->t.dims, err));
    MT_TRY(mt_set_out(g, n, 1, MT_DT_F32, 0, NULL, err));
    return mt_set_out(g, n, 2, MT_DT_U8, 0, NULL, err);
}

MT_RUN(mt_run_dynamicquantize)
{
    const float *x = c->in[0]->data;
    int64_t n = mt_tensor_count(c->in[0]);
    float lo = 0, hi = 0;
    for (int64_t i = 0; i < n; i++) {
        lo = x[i] < lo ? x[i] : lo;
        hi = x[i] > hi ? x[i] : hi;
    }
    float scale = (hi - lo) / 255.0f;
    if (!(scale > 0)) scale = 1.0f; /* all zeros: any scale does */
    mt_tensor zero = *c->out[2];
    put_byte(&zero, 0, nearbyintf(0.0f - lo / scale));
    float z = (float)*(const uint8_t *)zero.data;
    for (int64_t i = 0; i < n; i++)
        put_byte(c->out[0], i, nearbyintf(x[i] / scale) + z);
    *(float *)c->out[1]->data = scale;
    return MT_OK;
}

/* --- inputs of the integer products --- */

/* Where operand, scale and zero point stand: x, (scale,) zero, w, (scale,) zero, (scale, zero,)
 * bias. */
typedef struct places {
    int x, xs, xz, w, ws, wz, os, oz, bias; /* -1: there is none */
} places;

static places places_of(const mt_node *n)
{
    return n->op->name[0] == 'Q' ? (places){0, 1, 2, 3, 4, 5, 6, 7, 8}
                                 : (places){0, -1, 2, 1, -1, 3, -1, -1, -1};
}

static const mt_tensor *input(const mt_call *c, int i)
{
    return i >= 0 && i < c->node->n_in ? c->in[i] : NULL;
}

/* A number of a tensor that holds one, or one a row or column. */
static int64_t int_at(const mt_tensor *t, int64_t i)
{
    return t ? mt_tensor_int(t, mt_tensor_count(t) == 1 ? 0 : i) : 0;
}

static float float_at(const mt_tensor *t, int64_t i)
{
    return ((const float *)t->data)[mt_tensor_count(t) == 1 ? 0 : i];
}

static mt_status check_operands(mt_graph *g, mt_node *n, mt_dtype *out, mt_err *err)
{
    places p = places_of(n);
    bool q = p.xs >= 0;
    MT_TRY(mt_need_inputs(g, n, q ? 8 : 2, q ? 9 : 4, err));
    MT_TRY(mt_need_type(g, n, p.x, T_BYTES, err));
    MT_TRY(mt_need_type(g, n, p.w, T_BYTES, err));
    MT_TRY(mt_need_type(g, n, p.xz, T_BYTES, err));
    MT_TRY(mt_need_type(g, n, p.wz, T_BYTES, err));
    *out = MT_DT_I32;
    if (!q) return MT_OK;
    MT_TRY(mt_need_type(g, n, p.xs, MT_T_FLOAT, err));
    MT_TRY(mt_need_type(g, n, p.ws, MT_T_FLOAT, err));
    MT_TRY(mt_need_type(g, n, p.os, MT_T_FLOAT, err));
    MT_TRY(mt_need_type(g, n, p.oz, T_BYTES, err));
    MT_TRY(mt_need_type(g, n, p.bias, MT_T(MT_DT_I32), err));
    *out = mt_in(g, n, p.oz)->t.dtype;
    if (mt_tensor_count(&mt_in(g, n, p.os)->t) != 1 || mt_tensor_count(&mt_in(g, n, p.oz)->t) != 1)
        return mt_node_unsupported(g, n, err, "an output scale for each row");
    return MT_OK;
}

/* Input i, when there, holds one number or `count`. */
static mt_status check_count(mt_graph *g, mt_node *n, int i, int64_t count, mt_err *err)
{
    const mt_value *v = i >= 0 ? mt_in(g, n, i) : NULL;
    if (!v || mt_tensor_count(&v->t) == 1 || mt_tensor_count(&v->t) == count) return MT_OK;
    return mt_node_fail(n, err, MT_ERR_FORMAT, "input %d holds %lld numbers, expected 1 or %lld", i,
                        (long long)mt_tensor_count(&v->t), (long long)count);
}

/* --- QLinearConv, ConvInteger --- */

MT_INFER(mt_infer_qlinearconv)
{
    mt_dtype type;
    MT_TRY(check_operands(g, n, &type, err));
    places p = places_of(n);
    const mt_tensor *x = &mt_in(g, n, p.x)->t, *wt = &mt_in(g, n, p.w)->t;
    mt_window *w = n->params = mt_graph_mem(g, sizeof *w, err);
    if (!w) return MT_ERR_NO_MEMORY;
    if (x->rank != wt->rank || x->rank < 3)
        return mt_node_fail(n, err, MT_ERR_FORMAT, "input of rank %d, weights of rank %d", x->rank,
                            wt->rank);
    int64_t dims[MT_MAX_DIMS] = {x->dims[0], wt->dims[0]};
    MT_TRY(mt_window_read(w, dims + 2, g, n, x, wt->dims + 2, err));
    w->groups = mt_attr_int(n, "group", 1);
    if (w->groups < 1 || !x->dims[1] || !wt->dims[0] || x->dims[1] % w->groups ||
        wt->dims[0] % w->groups || x->dims[1] / w->groups != wt->dims[1])
        return mt_node_fail(n, err, MT_ERR_FORMAT, "%lld groups, %lld channels, weights for %lld",
                            (long long)w->groups, (long long)x->dims[1], (long long)wt->dims[1]);
    MT_TRY(check_count(g, n, p.xz, 1, err));
    MT_TRY(check_count(g, n, p.wz, wt->dims[0], err));
    MT_TRY(check_count(g, n, p.ws, wt->dims[0], err));
    if (p.bias >= 0 && mt_in(g, n, p.bias) &&
        mt_tensor_count(&mt_in(g, n, p.bias)->t) != wt->dims[0])
        return mt_node_fail(n, err, MT_ERR_FORMAT, "wrong number of biases");
    n->macs = (uint64_t)wt->dims[1];
    for (int d = 0; d < x->rank; d++)
        n->macs *= (uint64_t)dims[d] * (d > 1 ? (uint64_t)w->kernel[d - 2] : 1);
    return mt_set_out(g, n, 0, type, x->rank, dims, err);
}

/* Sum of one window: places outside have the zero point, which adds nothing. */
static int64_t window_sum(const mt_window *w, const mt_tensor *x, const mt_tensor *wt,
                          const int64_t *at, int64_t image, int64_t oc, int64_t xz, int64_t wz)
{
    int nd = w->nd;
    int64_t kp[MT_MAX_DIMS] = {0}, xs[MT_MAX_DIMS], hw = 1, khw = 1, sum = 0, per = wt->dims[1];
    for (int d = nd - 1; d >= 0; d--) {
        xs[d] = hw;
        hw *= x->dims[d + 2];
        khw *= w->kernel[d];
    }
    int64_t first = (image * x->dims[1] + oc / (wt->dims[0] / w->groups) * per) * hw;
    for (int64_t q = 0; q < khw; q++, mt_next(kp, w->kernel, nd)) {
        int64_t to = 0;
        bool inside = true;
        for (int d = 0; d < nd; d++) {
            int64_t v = at[d] * w->stride[d] + kp[d] * w->dilation[d] - w->pad_lo[d];
            inside = inside && v >= 0 && v < x->dims[d + 2];
            to += v * xs[d];
        }
        for (int64_t i = 0; inside && i < per; i++)
            sum += (mt_tensor_int(x, first + i * hw + to) - xz) *
                   (mt_tensor_int(wt, (oc * per + i) * khw + q) - wz);
    }
    return sum;
}

/* A sum as the output wants it: 32 bits that wrap, or scaled to a byte. */
static void put_sum(const mt_call *c, const places *p, int64_t i, int64_t sum, int64_t row,
                    int64_t col)
{
    mt_tensor *o = c->out[0];
    if (p->xs < 0) {
        ((int32_t *)o->data)[i] = (int32_t)(uint32_t)(uint64_t)sum;
        return;
    }
    double scale = (double)float_at(c->in[p->xs], row) * (double)float_at(c->in[p->ws], col) /
                   (double)float_at(c->in[p->os], 0);
    double v = nearbyint((double)sum * scale) + (double)int_at(c->in[p->oz], 0);
    put_byte(o, i, (float)(v > -1e6 ? v < 1e6 ? v : 1e6 : -1e6));
}

MT_RUN(mt_run_qlinearconv)
{
    const mt_window *w = c->node->params;
    places p = places_of(c->node);
    const mt_tensor *x = c->in[p.x], *wt = c->in[p.w], *bias = input(c, p.bias), *o = c->out[0];
    int64_t ohw = 1, i = 0;
    for (int d = 0; d < w->nd; d++)
        ohw *= o->dims[d + 2];
    for (int64_t plane = 0; plane < o->dims[0] * o->dims[1]; plane++) {
        int64_t oc = plane % o->dims[1], at[MT_MAX_DIMS] = {0};
        int64_t xz = int_at(input(c, p.xz), 0), wz = int_at(input(c, p.wz), oc);
        for (int64_t k = 0; k < ohw; k++, mt_next(at, o->dims + 2, w->nd), i++) {
            int64_t sum = window_sum(w, x, wt, at, plane / o->dims[1], oc, xz, wz);
            put_sum(c, &p, i, sum + (bias ? mt_tensor_int(bias, oc) : 0), 0, oc);
        }
    }
    return MT_OK;
}

/* --- QLinearMatMul, MatMulInteger --- */

typedef struct product {
    int64_t m, n, k, batch[MT_MAX_DIMS], as[MT_MAX_DIMS], bs[MT_MAX_DIMS];
    int rank; /* of the batch dimensions */
} product;

/* Matrices of a tensor as numpy's matmul sees them: a vector is a row (left) or column (right). */
static void as_matrices(mt_tensor *m, const mt_tensor *t, bool left)
{
    *m = *t;
    if (t->rank > 1) return;
    m->rank = 2;
    m->dims[0] = left ? 1 : t->dims[0];
    m->dims[1] = left ? t->dims[0] : 1;
}

MT_INFER(mt_infer_qlinearmatmul)
{
    mt_dtype type;
    MT_TRY(check_operands(g, n, &type, err));
    places p = places_of(n);
    const mt_tensor *x = &mt_in(g, n, p.x)->t, *y = &mt_in(g, n, p.w)->t;
    product *q = n->params = mt_graph_mem(g, sizeof *q, err);
    if (!q) return MT_ERR_NO_MEMORY;
    if (x->rank < 1 || y->rank < 1) return mt_node_fail(n, err, MT_ERR_FORMAT, "a scalar operand");
    mt_tensor a, b;
    as_matrices(&a, x, true);
    as_matrices(&b, y, false);
    q->m = a.dims[a.rank - 2];
    q->k = a.dims[a.rank - 1];
    q->n = b.dims[b.rank - 1];
    if (b.dims[b.rank - 2] != q->k)
        return mt_node_fail(n, err, MT_ERR_FORMAT, "%lld columns against %lld rows",
                            (long long)q->k, (long long)b.dims[b.rank - 2]);
    a.rank -= 2;
    b.rank -= 2;
    MT_TRY(mt_broadcast(q->batch, &q->rank, n, &a, err));
    MT_TRY(mt_broadcast(q->batch, &q->rank, n, &b, err));
    mt_broadcast_strides(q->as, &a, q->rank);
    mt_broadcast_strides(q->bs, &b, q->rank);
    MT_TRY(check_count(g, n, p.xz, q->m, err));
    MT_TRY(check_count(g, n, p.xs, q->m, err));
    MT_TRY(check_count(g, n, p.wz, q->n, err));
    MT_TRY(check_count(g, n, p.ws, q->n, err));
    int64_t dims[MT_MAX_DIMS + 2];
    int rank = q->rank;
    n->macs = (uint64_t)q->m * (uint64_t)q->n * (uint64_t)q->k;
    for (int d = 0; d < rank; d++) {
        dims[d] = q->batch[d];
        if (__builtin_mul_overflow(n->macs, (uint64_t)dims[d], &n->macs)) n->macs = UINT64_MAX / 2;
    }
    if (x->rank > 1) dims[rank++] = q->m;
    if (y->rank > 1) dims[rank++] = q->n;
    return mt_set_out(g, n, 0, type, rank, dims, err);
}

MT_RUN(mt_run_qlinearmatmul)
{
    const product *q = c->node->params;
    places p = places_of(c->node);
    const mt_tensor *x = c->in[p.x], *y = c->in[p.w], *xz = input(c, p.xz), *yz = input(c, p.wz);
    int64_t at[MT_MAX_DIMS] = {0}, i = 0;
    if (!mt_tensor_count(c->out[0])) return MT_OK;
    do {
        int64_t a = 0, b = 0;
        for (int d = 0; d < q->rank; d++) {
            a += at[d] * q->as[d];
            b += at[d] * q->bs[d];
        }
        for (int64_t r = 0; r < q->m; r++)
            for (int64_t col = 0; col < q->n; col++, i++) {
                int64_t sum = 0, zr = int_at(xz, r), zc = int_at(yz, col);
                for (int64_t k = 0; k < q->k; k++)
                    sum += (mt_tensor_int(x, (a * q->m + r) * q->k + k) - zr) *
                           (mt_tensor_int(y, (b * q->k + k) * q->n + col) - zc);
                put_sum(c, &p, i, sum, r, col);
            }
    } while (mt_next(at, q->batch, q->rank));
    return MT_OK;
}
