/* Operators of one tensor, element by element. */
#include "models/ops/op.h"

/* --- activations the kernels know: they also fuse into Conv and Add ------------------------------
 */

static const struct { const char *name; mt_act act; const char *a, *b; float da, db; } acts[] = {
    {"Relu", MT_ACT_RELU, NULL, NULL, 0, 0},
    {"LeakyRelu", MT_ACT_LEAKY, "alpha", NULL, 0.01f, 0},
    {"Sigmoid", MT_ACT_SIGMOID, NULL, NULL, 0, 0},
    {"HardSigmoid", MT_ACT_HSIGMOID, "alpha", "beta", 0.2f, 0.5f},
    {"HardSwish", MT_ACT_HSWISH, NULL, NULL, 0, 0},
    {"Tanh", MT_ACT_TANH, NULL, NULL, 0, 0},
    {"Silu", MT_ACT_SILU, NULL, NULL, 0, 0},
};

MT_INFER(mt_infer_act)
{
    MT_TRY(mt_need_inputs(g, n, 1, 1, err));
    bool ints = !strcmp(n->op->name, "Relu") && n->opset >= 14;
    MT_TRY(mt_need_type(g, n, 0, ints ? MT_T_NUM : MT_T_FLOAT, err));
    mt_act_params *p = mt_graph_mem(g, sizeof *p, err);
    if (!p) return MT_ERR_NO_MEMORY;
    for (size_t i = 0; i < MT_COUNT(acts); i++)
        if (!strcmp(acts[i].name, n->op->name)) {
            p->act = acts[i].act;
            p->a = acts[i].a ? mt_attr_float(n, acts[i].a, acts[i].da) : 0;
            p->b = acts[i].b ? mt_attr_float(n, acts[i].b, acts[i].db) : 0;
        }
    n->params = p;
    return mt_set_out_like(g, n, 0, mt_in(g, n, 0), err);
}

static void clip_ints(mt_tensor *o, const mt_tensor *x, int64_t lo, int64_t hi)
{
    for (int64_t i = 0, n = mt_tensor_count(o); i < n; i++) {
        int64_t v = mt_tensor_int(x, i);
        v = v < lo ? lo : v;
        mt_tensor_set_int(o, i, v > hi ? hi : v);
    }
}

MT_RUN(mt_run_act)
{
    const mt_act_params *p = c->node->params;
    const mt_tensor *x = c->in[0];
    mt_tensor *o = c->out[0];
    if (o->dtype != MT_DT_F32) { /* Relu of integers */
        clip_ints(o, x, 0, INT64_MAX);
        return MT_OK;
    }
    if (!mt_is_blocked_out(c, 0)) {
        mt_f32_act(c->k, o->data, x->data, (size_t)mt_tensor_count(o), p->act, p->a, p->b);
        return MT_OK;
    }
    size_t image = mt_image_blocked(c->k, o);
    for (int64_t i = 0; i < o->dims[0]; i++)
        mt_blocked_act(c->k, (float *)o->data + (size_t)i * image,
                       (const float *)x->data + (size_t)i * image, (int)o->dims[1], mt_plane(o),
                       p->act, p->a, p->b);
    return MT_OK;
}

/* --- Clip: bounds as attributes (6) or as inputs (11), any numeric type -------------------------
 */

typedef struct clip_params {
    mt_act_params act; /* first: passes read it as an activation once the bounds are known */
    int64_t lo, hi;
    bool dynamic;
} clip_params;

static mt_status clip_bound(clip_params *p, int which, mt_graph *g, mt_node *n, mt_err *err)
{
    const mt_value *v = mt_in(g, n, 1 + which);
    if (!v) return MT_OK;
    if (v->t.dtype != mt_in(g, n, 0)->t.dtype || mt_tensor_count(&v->t) != 1)
        return mt_node_fail(n, err, MT_ERR_FORMAT, "bound %d is not a scalar of the input's type",
                            which);
    if (!v->constant) {
        p->dynamic = true;
        return MT_OK;
    }
    if (v->t.dtype == MT_DT_F32) *(which ? &p->act.b : &p->act.a) = *(const float *)v->t.data;
    else *(which ? &p->hi : &p->lo) = mt_tensor_int(&v->t, 0);
    return MT_OK;
}

MT_INFER(mt_infer_clip)
{
    MT_TRY(mt_need_inputs(g, n, 1, n->opset < 11 ? 1 : 3, err));
    MT_TRY(mt_need_type(g, n, 0, MT_T_NUM, err));
    clip_params *p = mt_graph_mem(g, sizeof *p, err);
    if (!p) return MT_ERR_NO_MEMORY;
    n->params = p;
    *p = (clip_params){.act = {MT_ACT_CLIP, mt_attr_float(n, "min", -3.402823466e38f),
                               mt_attr_float(n, "max", 3.402823466e38f)},
                       .lo = INT64_MIN,
                       .hi = INT64_MAX};
    for (int i = 0; i < 2; i++) MT_TRY(clip_bound(p, i, g, n, err));
    return mt_set_out_like(g, n, 0, mt_in(g, n, 0), err);
}

MT_RUN(mt_run_clip)
{
    clip_params p = *(const clip_params *)c->node->params;
    if (mt_is_blocked_out(c, 0)) return mt_run_act(c, err);
    if (p.dynamic)
        for (int i = 1; i < 3 && i < c->node->n_in; i++) {
            if (!c->in[i]) continue;
            if (c->in[i]->dtype == MT_DT_F32)
                *(i == 1 ? &p.act.a : &p.act.b) = *(const float *)c->in[i]->data;
            else *(i == 1 ? &p.lo : &p.hi) = mt_tensor_int(c->in[i], 0);
        }
    if (c->in[0]->dtype == MT_DT_F32)
        mt_f32_act(c->k, c->out[0]->data, c->in[0]->data, (size_t)mt_tensor_count(c->out[0]),
                   MT_ACT_CLIP, p.act.a, p.act.b);
    else
        clip_ints(c->out[0], c->in[0], p.lo, p.hi);
    return MT_OK;
}

/* --- the rest: scalar functions, (x, alpha, beta) ------------------------------------------------
 */

typedef float (*scalar_fn)(float x, float a, float b);
#define FN(name, EXPR)                                                                             \
    static float name(float x, float a, float b)                                                   \
    {                                                                                              \
        (void)a;                                                                                   \
        (void)b;                                                                                   \
        return EXPR;                                                                               \
    }
FN(f_exp, expf(x))
FN(f_log, logf(x))
FN(f_sqrt, sqrtf(x))
FN(f_neg, -x)
FN(f_abs, fabsf(x))
FN(f_reciprocal, 1.0f / x)
FN(f_erf, erff(x))
FN(f_floor, floorf(x))
FN(f_ceil, ceilf(x))
FN(f_round, nearbyintf(x)) /* half to even, the default rounding mode */
FN(f_sign, x > 0 ? 1.0f : x < 0 ? -1.0f : x)
FN(f_sin, sinf(x))
FN(f_cos, cosf(x))
FN(f_elu, x < 0 ? a * expm1f(x) : x)
FN(f_selu, x > 0 ? b * x : b * a * expm1f(x))
FN(f_celu, x > 0 ? x : a * expm1f(x / a))
FN(f_softplus, x > 0 ? x + log1pf(expf(-x)) : log1pf(expf(x)))
FN(f_softsign, x / (1.0f + fabsf(x)))
FN(f_mish, x * tanhf(x > 0 ? x + log1pf(expf(-x)) : log1pf(expf(x))))
FN(f_thresholded, x > a ? x : 0.0f)
FN(f_shrink, x < -b ? x + a : x > b ? x - a : 0.0f)
FN(f_gelu, 0.5f * x * (1.0f + erff(x * 0.70710678118654752f)))
FN(f_gelu_tanh, 0.5f * x * (1.0f + tanhf(0.79788456080286536f * (x + 0.044715f * x * x * x))))

static const struct {
    const char *name;
    scalar_fn fn;
    const char *a, *b;
    float da, db;
    unsigned types;
} scalars[] = {
    {"Exp", f_exp, NULL, NULL, 0, 0, MT_T_FLOAT},
    {"Log", f_log, NULL, NULL, 0, 0, MT_T_FLOAT},
    {"Sqrt", f_sqrt, NULL, NULL, 0, 0, MT_T_FLOAT},
    {"Neg", f_neg, NULL, NULL, 0, 0, MT_T_NUM},
    {"Abs", f_abs, NULL, NULL, 0, 0, MT_T_NUM},
    {"Reciprocal", f_reciprocal, NULL, NULL, 0, 0, MT_T_FLOAT},
    {"Erf", f_erf, NULL, NULL, 0, 0, MT_T_FLOAT},
    {"Floor", f_floor, NULL, NULL, 0, 0, MT_T_FLOAT},
    {"Ceil", f_ceil, NULL, NULL, 0, 0, MT_T_FLOAT},
    {"Round", f_round, NULL, NULL, 0, 0, MT_T_FLOAT},
    {"Sign", f_sign, NULL, NULL, 0, 0, MT_T_NUM},
    {"Sin", f_sin, NULL, NULL, 0, 0, MT_T_FLOAT},
    {"Cos", f_cos, NULL, NULL, 0, 0, MT_T_FLOAT},
    {"Elu", f_elu, "alpha", NULL, 1.0f, 0, MT_T_FLOAT},
    {"Selu", f_selu, "alpha", "gamma", 1.67326319217681884765625f, 1.05070102214813232421875f,
     MT_T_FLOAT},
    {"Celu", f_celu, "alpha", NULL, 1.0f, 0, MT_T_FLOAT},
    {"Softplus", f_softplus, NULL, NULL, 0, 0, MT_T_FLOAT},
    {"Softsign", f_softsign, NULL, NULL, 0, 0, MT_T_FLOAT},
    {"Mish", f_mish, NULL, NULL, 0, 0, MT_T_FLOAT},
    {"ThresholdedRelu", f_thresholded, "alpha", NULL, 1.0f, 0, MT_T_FLOAT},
    {"Shrink", f_shrink, "bias", "lambd", 0, 0.5f, MT_T_NUM},
    {"Gelu", f_gelu, NULL, NULL, 0, 0, MT_T_FLOAT},
};

typedef struct unary_params { scalar_fn fn; float a, b; } unary_params;

MT_INFER(mt_infer_unary)
{
    MT_TRY(mt_need_inputs(g, n, 1, 1, err));
    unary_params *p = mt_graph_mem(g, sizeof *p, err);
    if (!p) return MT_ERR_NO_MEMORY;
    n->params = p;
    for (size_t i = 0; i < MT_COUNT(scalars); i++) {
        if (strcmp(scalars[i].name, n->op->name)) continue;
        MT_TRY(mt_need_type(g, n, 0, scalars[i].types, err));
        *p = (unary_params){scalars[i].fn, scalars[i].da, scalars[i].db};
        if (scalars[i].a) p->a = mt_attr_float(n, scalars[i].a, p->a);
        if (scalars[i].b) p->b = mt_attr_float(n, scalars[i].b, p->b);
    }
    if (p->fn == f_gelu && !strcmp(mt_attr_str(n, "approximate", "none"), "tanh"))
        p->fn = f_gelu_tanh;
    return mt_set_out_like(g, n, 0, mt_in(g, n, 0), err);
}

MT_RUN(mt_run_unary)
{
    const unary_params *p = c->node->params;
    const mt_tensor *x = c->in[0];
    int64_t n = mt_tensor_count(x);
    if (x->dtype == MT_DT_F32) {
        const float *s = x->data;
        float *d = c->out[0]->data;
        for (int64_t i = 0; i < n; i++) d[i] = p->fn(s[i], p->a, p->b);
        return MT_OK;
    }
    for (int64_t i = 0; i < n; i++) { /* Neg, Abs, Sign, Shrink of integers */
        int64_t v = mt_tensor_int(x, i), r;
        if (p->fn == f_neg) r = (int64_t)(0 - (uint64_t)v);
        else if (p->fn == f_abs) r = v < 0 ? (int64_t)(0 - (uint64_t)v) : v;
        else if (p->fn == f_sign) r = (v > 0) - (v < 0);
        else r = (int64_t)p->fn((float)v, p->a, p->b);
        mt_tensor_set_int(c->out[0], i, r);
    }
    return MT_OK;
}

/* --- Not, IsNaN, IsInf ---------------------------------------------------------------------------
 */

typedef struct predicate_params { int what, pos, neg; } predicate_params;

MT_INFER(mt_infer_predicate)
{
    MT_TRY(mt_need_inputs(g, n, 1, 1, err));
    predicate_params *p = mt_graph_mem(g, sizeof *p, err);
    if (!p) return MT_ERR_NO_MEMORY;
    n->params = p;
    p->what = !strcmp(n->op->name, "Not") ? 0 : !strcmp(n->op->name, "IsNaN") ? 1 : 2;
    p->pos = (int)mt_attr_int(n, "detect_positive", 1);
    p->neg = (int)mt_attr_int(n, "detect_negative", 1);
    MT_TRY(mt_need_type(g, n, 0, p->what ? MT_T_FLOAT : MT_T(MT_DT_BOOL), err));
    const mt_value *x = mt_in(g, n, 0);
    return mt_set_out(g, n, 0, MT_DT_BOOL, x->t.rank, x->t.dims, err);
}

MT_RUN(mt_run_predicate)
{
    const predicate_params *p = c->node->params;
    uint8_t *d = c->out[0]->data;
    int64_t n = mt_tensor_count(c->in[0]);
    if (!p->what) {
        const uint8_t *s = c->in[0]->data;
        for (int64_t i = 0; i < n; i++) d[i] = !s[i];
        return MT_OK;
    }
    const float *s = c->in[0]->data;
    for (int64_t i = 0; i < n; i++)
        d[i] = p->what == 1 ? isnan(s[i]) != 0 : isinf(s[i]) && (s[i] > 0 ? p->pos : p->neg);
    return MT_OK;
}
