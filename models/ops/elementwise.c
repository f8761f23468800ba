/* Operators of two or more tensors, element by element, with broadcasting. */
#include "models/ops/op.h"

typedef enum kind {
    K_ADD, K_SUB, K_MUL, K_DIV, K_POW, K_MOD, K_FMOD, K_PRELU, K_MAX, K_MIN, K_SHL, K_SHR,
    K_EQ, K_LT, K_LE, K_GT, K_GE, K_AND, K_OR, K_XOR, K_MEAN
} kind;

static const struct { const char *name; kind k;
} kinds[] = {
    {"Add", K_ADD}, {"Sub", K_SUB},        {"Mul", K_MUL},     {"Div", K_DIV},
    {"Pow", K_POW}, {"Mod", K_MOD},        {"PRelu", K_PRELU}, {"Max", K_MAX},
    {"Min", K_MIN}, {"Sum", K_ADD},        {"Mean", K_MEAN},   {"Equal", K_EQ},
    {"Less", K_LT}, {"LessOrEqual", K_LE}, {"Greater", K_GT},  {"GreaterOrEqual", K_GE},
    {"And", K_AND}, {"Or", K_OR},          {"Xor", K_XOR},     {"BitShift", K_SHL},
};

typedef struct params { kind k; } params;

static params *params_of(mt_graph *g, mt_node *n, mt_err *err)
{
    params *p = mt_graph_mem(g, sizeof *p, err);
    for (size_t i = 0; p && i < MT_COUNT(kinds); i++)
        if (!strcmp(kinds[i].name, n->op->name)) p->k = kinds[i].k;
    n->params = p;
    return p;
}

static mt_status broadcast_all(mt_graph *g, mt_node *n, int first, mt_dtype out, mt_err *err)
{
    int64_t dims[MT_MAX_DIMS] = {0};
    int rank = 0;
    for (int i = 0; i < n->n_in; i++) MT_TRY(mt_broadcast(dims, &rank, n, &mt_in(g, n, i)->t, err));
    for (int i = first + 1; i < n->n_in; i++)
        if (mt_in(g, n, i)->t.dtype != mt_in(g, n, first)->t.dtype)
            return mt_node_fail(n, err, MT_ERR_FORMAT, "inputs of different types (%s, %s)",
                                mt_dtype_name((int)mt_in(g, n, first)->t.dtype),
                                mt_dtype_name((int)mt_in(g, n, i)->t.dtype));
    return mt_set_out(g, n, 0, out, rank, dims, err);
}

MT_INFER(mt_infer_binary)
{
    MT_TRY(mt_need_inputs(g, n, 2, 2, err));
    params *p = params_of(g, n, err);
    if (!p) return MT_ERR_NO_MEMORY;
    if (p->k == K_POW) { /* the exponent may be of another type */
        MT_TRY(mt_need_type(g, n, 0, MT_T_NUM, err));
        MT_TRY(mt_need_type(g, n, 1, MT_T_NUM, err));
        int64_t dims[MT_MAX_DIMS] = {0};
        int rank = 0;
        for (int i = 0; i < 2; i++) MT_TRY(mt_broadcast(dims, &rank, n, &mt_in(g, n, i)->t, err));
        return mt_set_out(g, n, 0, mt_in(g, n, 0)->t.dtype, rank, dims, err);
    }
    MT_TRY(mt_need_type(g, n, 0,
                        p->k == K_SHL ? MT_T_INTS : MT_T_NUM,
                        err));
    if (p->k == K_MOD && mt_attr_int(n, "fmod", 0)) p->k = K_FMOD;
    if (p->k == K_SHL && !strcmp(mt_attr_str(n, "direction", "LEFT"), "RIGHT")) p->k = K_SHR;
    return broadcast_all(g, n, 0, mt_in(g, n, 0)->t.dtype, err);
}

MT_INFER(mt_infer_compare)
{
    MT_TRY(mt_need_inputs(g, n, 2, 2, err));
    params *p = params_of(g, n, err);
    if (!p) return MT_ERR_NO_MEMORY;
    MT_TRY(mt_need_type(g, n, 0,
                        p->k >= K_AND  ? MT_T(MT_DT_BOOL)
                        : p->k == K_EQ ? MT_T_ANY
                                       : MT_T_NUM,
                        err));
    return broadcast_all(g, n, 0, MT_DT_BOOL, err);
}

MT_INFER(mt_infer_variadic)
{
    MT_TRY(mt_need_inputs(g, n, 1, 1 << 16, err));
    params *p = params_of(g, n, err);
    if (!p) return MT_ERR_NO_MEMORY;
    for (int i = 0; i < n->n_in; i++) {
        if (!mt_in(g, n, i)) return mt_node_fail(n, err, MT_ERR_FORMAT, "input %d is left out", i);
        MT_TRY(mt_need_type(g, n, i, p->k == K_ADD || p->k == K_MEAN ? MT_T_FLOAT : MT_T_NUM, err));
    }
    return broadcast_all(g, n, 0, mt_in(g, n, 0)->t.dtype, err);
}

MT_INFER(mt_infer_where)
{
    MT_TRY(mt_need_inputs(g, n, 3, 3, err));
    MT_TRY(mt_need_type(g, n, 0, MT_T(MT_DT_BOOL), err));
    MT_TRY(mt_need_type(g, n, 1, MT_T_ANY, err));
    return broadcast_all(g, n, 1, mt_in(g, n, 1)->t.dtype, err);
}

/* --- one row of n elements; an operand steps by 1 or stays (step 0) --- */

typedef void (*row_fn)(void *dst, const void *a, int sa, const void *b, int sb, size_t n);

#define ROW(name, T, R, EXPR) \
    static void name(void *dst, const void *pa, int sa, const void *pb, int sb, size_t n) \
    { \
        R *d = dst; \
        const T *a = pa, *b = pb; \
        for (size_t i = 0; i < n; i++) { \
            T x = a[i * (size_t)sa], y = b[i * (size_t)sb]; \
            d[i] = (R)(EXPR); \
        } \
    }

/* Integer arithmetic wraps (as every exporter's does); division by zero gives zero instead of a
 * trap. */
#define INT_ROWS(T, U, s) \
    ROW(add_##s, T, T, (U)x + (U)y) \
    ROW(sub_##s, T, T, (U)x - (U)y) \
    ROW(mul_##s, T, T, (U)((uint64_t)(U)x * (uint64_t)(U)y)) \
    ROW(div_##s, T, T, y == 0 ? 0 : (T)-1 < 0 && y == (T)-1 ? (T)(U)(0 - (uint64_t)x) : x / y) \
    ROW(mod_##s, T, T, floor_mod((int64_t)x, (int64_t)y)) \
    ROW(fmod_##s, T, T, y == 0 || ((T)-1 < 0 && y == (T)-1) ? 0 : x % y) \
    ROW(pow_##s, T, T, int_pow((int64_t)x, (int64_t)y)) \
    ROW(prelu_##s, T, T, is_negative((int64_t)x) ? (T)((uint64_t)(U)x * (uint64_t)(U)y) : x) \
    ROW(max_##s, T, T, x > y ? x : y) \
    ROW(min_##s, T, T, x < y ? x : y) \
    ROW(shl_##s, T, T, (uint64_t)y > 63 ? 0 : (U)((uint64_t)(U)x << (y & 63))) \
    ROW(shr_##s, T, T, (uint64_t)y > 63 ? 0 : (U)((uint64_t)(U)x >> (y & 63)))

static bool is_negative(int64_t x) { return x < 0; }

static int64_t floor_mod(int64_t x, int64_t y)
{
    if (y == 0 || y == -1) return 0;
    int64_t r = x % y;
    return r && (r < 0) != (y < 0) ? r + y : r;
}

static int64_t int_pow(int64_t x, int64_t e)
{
    if (e < 0) return x == 1 ? 1 : x == -1 ? (e & 1 ? -1 : 1) : 0;
    uint64_t r = 1, b = (uint64_t)x;
    for (; e; e >>= 1, b *= b)
        if (e & 1) r *= b;
    return (int64_t)r;
}

#define COMPARE_ROWS(T, s) \
    ROW(eq_##s, T, uint8_t, x == y) \
    ROW(lt_##s, T, uint8_t, x < y) \
    ROW(le_##s, T, uint8_t, x <= y) \
    ROW(gt_##s, T, uint8_t, x > y) \
    ROW(ge_##s, T, uint8_t, x >= y)

INT_ROWS(int64_t, uint64_t, i64)
INT_ROWS(int32_t, uint32_t, i32)
INT_ROWS(uint8_t, uint8_t, u8)
INT_ROWS(int8_t, uint8_t, i8)
COMPARE_ROWS(int64_t, i64)
COMPARE_ROWS(int32_t, i32)
COMPARE_ROWS(uint8_t, u8)
COMPARE_ROWS(int8_t, i8)
COMPARE_ROWS(float, f32)
ROW(add_f32, float, float, x + y)
ROW(sub_f32, float, float, x - y)
ROW(mul_f32, float, float, x *y)
ROW(div_f32, float, float, x / y)
ROW(pow_f32, float, float, y == 2.0f ? x * x : y == 0.5f ? sqrtf(x) : powf(x, y))
ROW(fmod_f32, float, float, fmodf(x, y))
ROW(prelu_f32, float, float, x < 0 ? x * y : x)
ROW(max_f32, float, float, x != x || x > y ? x : y)
ROW(min_f32, float, float, x != x || x < y ? x : y)
ROW(and_b, uint8_t, uint8_t, x &y)
ROW(or_b, uint8_t, uint8_t, x | y)
ROW(xor_b, uint8_t, uint8_t, x ^ y)

#define INT_CASES(s) \
    switch (k) { \
    case K_ADD: return add_##s; \
    case K_SUB: return sub_##s; \
    case K_MUL: return mul_##s; \
    case K_DIV: return div_##s; \
    case K_POW: return pow_##s; \
    case K_MOD: return mod_##s; \
    case K_FMOD: return fmod_##s; \
    case K_PRELU: return prelu_##s; \
    case K_MAX: return max_##s; \
    case K_MIN: return min_##s; \
    case K_SHL: return shl_##s; \
    case K_SHR: return shr_##s; \
    case K_EQ: return eq_##s; \
    case K_LT: return lt_##s; \
    case K_LE: return le_##s; \
    case K_GT: return gt_##s; \
    case K_GE: return ge_##s; \
    default: return NULL; \
    }

static row_fn float_row(kind k)
{
    switch (k) {
    case K_ADD: case K_MEAN: return add_f32;
    case K_SUB: return sub_f32;
    case K_MUL: return mul_f32;
    case K_DIV: return div_f32;
    case K_POW: return pow_f32;
    case K_MOD: case K_FMOD: return fmod_f32;
    case K_PRELU: return prelu_f32;
    case K_MAX: return max_f32;
    case K_MIN: return min_f32;
    case K_EQ: return eq_f32;
    case K_LT: return lt_f32;
    case K_LE: return le_f32;
    case K_GT: return gt_f32;
    case K_GE: return ge_f32;
    default: return NULL;
    }
}

static row_fn row_for(kind k, mt_dtype t)
{
    switch (t) {
    case MT_DT_F32: return float_row(k);
    case MT_DT_I64: INT_CASES(i64)
    case MT_DT_I32: INT_CASES(i32)
    case MT_DT_U8: INT_CASES(u8)
    case MT_DT_I8: INT_CASES(i8)
    case MT_DT_BOOL:
        return k == K_AND   ? and_b
               : k == K_OR  ? or_b
               : k == K_XOR ? xor_b
               : k == K_EQ  ? eq_u8
                            : NULL;
    case MT_DT_F16: break;
    }
    return NULL;
}

/* Runs fn over the broadcast shape of out: as few rows as the operands' strides allow. */
static void walk(row_fn fn, const mt_tensor *out, const mt_tensor *a, const mt_tensor *b)
{
    int64_t sa[MT_MAX_DIMS], sb[MT_MAX_DIMS], idx[MT_MAX_DIMS] = {0};
    mt_broadcast_strides(sa, a, out->rank);
    mt_broadcast_strides(sb, b, out->rank);
    size_t size_a = mt_dtype_size(a->dtype), size_b = mt_dtype_size(b->dtype),
           size_o = mt_dtype_size(out->dtype);
    int64_t total = mt_tensor_count(out);
    if (!total) return;
    /* the inner run: trailing dimensions over which both operands are contiguous, or both constant
     */
    int inner = out->rank;
    int64_t run = 1;
    int step_a = -1, step_b = -1;
    while (inner > 0) {
        int d = inner - 1;
        if (out->dims[d] != 1) {
            int ta = sa[d] == 0     ? 0
                     : sa[d] == run ? 1
                                    : -1,
                tb = sb[d] == 0     ? 0
                     : sb[d] == run ? 1
                                    : -1;
            if (ta < 0 || tb < 0 || (step_a >= 0 && (ta != step_a || tb != step_b))) break;
            step_a = ta;
            step_b = tb;
            run *= out->dims[d];
        }
        inner--;
    }
    if (step_a < 0) step_a = step_b = 0;
    char *dst = out->data;
    do {
        int64_t oa = 0, ob = 0;
        for (int d = 0; d < inner; d++) {
            oa += idx[d] * sa[d];
            ob += idx[d] * sb[d];
        }
        fn(dst, (const char *)a->data + (size_t)oa * size_a, step_a,
           (const char *)b->data + (size_t)ob * size_b, step_b, (size_t)run);
        dst += (size_t)run * size_o;
    } while (mt_next(idx, out->dims, inner));
}

static bool one_place(const mt_tensor *t)
{
    return t->rank == 4 && t->dims[2] == 1 && t->dims[3] == 1;
}

/* The sum of n floats and of n floats, and the activation fused into it. */
static void add(const mt_call *c, size_t n)
{
    const mt_node *m = c->node;
    if (m->act == MT_ACT_NONE) mt_f32_add(c->k, c->out[0]->data, c->in[0]->data, c->in[1]->data, n);
    else
        mt_f32_add_act(c->k, c->out[0]->data, c->in[0]->data, c->in[1]->data, n, m->act, m->act_a,
                       m->act_b);
}

/* Blocked operands: same shapes, or one of them a value per channel (the layout pass allows no
 * other). */
static void run_blocked(const mt_call *c, const params *p)
{
    const mt_tensor *x = c->in[0], *y = c->in[1], *o = c->out[0];
    if (mt_tensor_same_dims(x, y)) {
        size_t n = (size_t)o->dims[0] * mt_image_blocked(c->k, o);
        if (p->k == K_MUL) mt_f32_mul(c->k, o->data, x->data, y->data, n);
        else if (p->k == K_SUB) mt_f32_sub(c->k, o->data, x->data, y->data, n);
        else add(c, n);
        return;
    }
    if (one_place(x)) { const mt_tensor *t = x; x = y; y = t; }
    size_t image = mt_image_blocked(c->k, o), gate = mt_image_blocked(c->k, y);
    for (int64_t i = 0; i < o->dims[0]; i++) {
        const float *gp = (const float *)y->data + (size_t)(y->dims[0] == 1 ? 0 : i) * gate;
        float *d = (float *)o->data + (size_t)i * image;
        const float *s = (const float *)x->data + (size_t)i * image;
        if (p->k == K_MUL) mt_blocked_mul_channels(c->k, d, s, gp, (int)o->dims[1], mt_plane(o));
        else
            mt_blocked_scale_shift(c->k, d, s, (int)o->dims[1], mt_plane(o), NULL, gp, c->node->act,
                                   c->node->act_a, c->node->act_b);
    }
}

MT_RUN(mt_run_binary)
{
    const params *p = c->node->params;
    const mt_tensor *x = c->in[0], *y = c->in[1], *o = c->out[0];
    if (mt_is_blocked_out(c, 0)) {
        run_blocked(c, p);
        return MT_OK;
    }
    if (o->dtype == MT_DT_F32 && y->dtype == MT_DT_F32 && mt_tensor_same_dims(x, y)) {
        size_t n = (size_t)mt_tensor_count(o);
        switch (p->k) {
        case K_ADD: add(c, n); return MT_OK;
        case K_SUB: mt_f32_sub(c->k, o->data, x->data, y->data, n); return MT_OK;
        case K_MUL: mt_f32_mul(c->k, o->data, x->data, y->data, n); return MT_OK;
        default: break;
        }
    }
    if (p->k == K_POW &&
        y->dtype != x->dtype) { /* mixed types: through double, element by element */
        int64_t sx[MT_MAX_DIMS], sy[MT_MAX_DIMS], idx[MT_MAX_DIMS] = {0};
        mt_broadcast_strides(sx, x, o->rank);
        mt_broadcast_strides(sy, y, o->rank);
        int64_t total = mt_tensor_count(o);
        for (int64_t i = 0; i < total; i++, mt_next(idx, o->dims, o->rank)) {
            int64_t ox = 0, oy = 0;
            for (int d = 0; d < o->rank; d++) {
                ox += idx[d] * sx[d];
                oy += idx[d] * sy[d];
            }
            double e = y->dtype == MT_DT_F32 ? (double)((const float *)y->data)[oy]
                                             : (double)mt_tensor_int(y, oy);
            double b = x->dtype == MT_DT_F32 ? (double)((const float *)x->data)[ox]
                                             : (double)mt_tensor_int(x, ox);
            double r = pow(b, e);
            double whole = r > 9.2e18 ? 9.2e18 : r < -9.2e18 ? -9.2e18 : r == r ? r : 0;
            if (o->dtype == MT_DT_F32) ((float *)o->data)[i] = (float)r;
            else mt_tensor_set_int(c->out[0], i, (int64_t)whole);
        }
        return MT_OK;
    }
    row_fn fn = row_for(p->k, x->dtype);
    if (!fn)
        return mt_node_fail(c->node, err, MT_ERR_UNSUPPORTED, "no kernel for %s",
                            mt_dtype_name((int)x->dtype));
    walk(fn, o, x, y);
    if (c->node->act != MT_ACT_NONE)
        mt_f32_act(c->k, o->data, o->data, (size_t)mt_tensor_count(o), c->node->act, c->node->act_a,
                   c->node->act_b);
    return MT_OK;
}

MT_RUN(mt_run_compare)
{
    row_fn fn = row_for(((const params *)c->node->params)->k, c->in[0]->dtype);
    if (!fn)
        return mt_node_fail(c->node, err, MT_ERR_UNSUPPORTED, "no kernel for %s",
                            mt_dtype_name((int)c->in[0]->dtype));
    walk(fn, c->out[0], c->in[0], c->in[1]);
    return MT_OK;
}

MT_RUN(mt_run_variadic)
{
    const params *p = c->node->params;
    mt_tensor *o = c->out[0];
    row_fn fn = row_for(p->k, o->dtype);
    /* Adding the first input to a zero of the output's shape broadcasts it; Max and Min take it
     * twice. */
    if (c->node->n_in == 1) walk(row_for(K_MAX, o->dtype), o, c->in[0], c->in[0]);
    else walk(fn, o, c->in[0], c->in[1]);
    for (int i = 2; i < c->node->n_in; i++) walk(fn, o, o, c->in[i]);
    if (p->k == K_MEAN) {
        float *d = o->data, r = 1.0f / (float)c->node->n_in;
        for (int64_t i = 0, n = mt_tensor_count(o); i < n; i++) d[i] *= r;
    }
    return MT_OK;
}

MT_RUN(mt_run_where)
{
    const mt_tensor *o = c->out[0];
    int64_t s[3][MT_MAX_DIMS], idx[MT_MAX_DIMS] = {0}, total = mt_tensor_count(o);
    for (int i = 0; i < 3; i++) mt_broadcast_strides(s[i], c->in[i], o->rank);
    size_t size = mt_dtype_size(o->dtype);
    for (int64_t i = 0; i < total; i++, mt_next(idx, o->dims, o->rank)) {
        int64_t at[3] = {0, 0, 0};
        for (int d = 0; d < o->rank; d++)
            for (int j = 0; j < 3; j++) at[j] += idx[d] * s[j][d];
        int from = ((const uint8_t *)c->in[0]->data)[at[0]] ? 1 : 2;
        memcpy((char *)o->data + (size_t)i * size,
               (const char *)c->in[from]->data + (size_t)at[from] * size, size);
    }
    return MT_OK;
}
