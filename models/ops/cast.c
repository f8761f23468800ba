/* Cast, CastLike. */
#include "models/ops/op.h"

typedef struct cast_params { bool to_half, to_bool; } cast_params;

MT_INFER(mt_infer_cast)
{
    MT_TRY(mt_need_inputs(g, n, 1, 1, err));
    int64_t to = mt_attr_int(n, "to", 0);
    if (to < 0 || to > 64 || !mt_dtype_size(mt_dtype_inside(to)))
        return mt_node_unsupported(g, n, err, "attribute to = %lld (%s)", (long long)to,
                                   mt_dtype_name((int)to));
    cast_params *p = mt_graph_mem(g, sizeof *p, err);
    if (!p) return MT_ERR_NO_MEMORY;
    p->to_half = to == MT_DT_F16;
    n->params = p;
    const mt_value *x = mt_in(g, n, 0);
    return mt_set_out(g, n, 0, mt_dtype_inside(to), x->t.rank, x->t.dims, err);
}

MT_INFER(mt_infer_castlike)
{
    MT_TRY(mt_need_inputs(g, n, 2, 2, err));
    cast_params *p = mt_graph_mem(g, sizeof *p, err);
    if (!p) return MT_ERR_NO_MEMORY;
    p->to_half = mt_in(g, n, 1)->half;
    n->params = p;
    const mt_value *x = mt_in(g, n, 0);
    return mt_set_out(g, n, 0, mt_in(g, n, 1)->t.dtype, x->t.rank, x->t.dims, err);
}

/* Floats outside the integer's range: clamped (the standard leaves it open; a trap must not
 * follow). */
static int64_t to_int(float x)
{
    if (!(x == x)) return 0;
    if (x >= 9.2233720368547758e18f) return INT64_MAX;
    if (x <= -9.2233720368547758e18f) return INT64_MIN;
    return (int64_t)x;
}

MT_RUN(mt_run_cast)
{
    const cast_params *p = c->node->params;
    const mt_tensor *x = c->in[0];
    mt_tensor *o = c->out[0];
    bool from_float = x->dtype == MT_DT_F32;
    for (int64_t i = 0, n = mt_tensor_count(o); i < n; i++) {
        float f = from_float ? ((const float *)x->data)[i] : 0;
        int64_t v = from_float ? 0 : mt_tensor_int(x, i);
        switch (o->dtype) {
        case MT_DT_F32:
            if (!from_float) f = (float)v;
            ((float *)o->data)[i] = p->to_half ? mt_half_to_float(mt_float_to_half(f)) : f;
            break;
        case MT_DT_BOOL: ((uint8_t *)o->data)[i] = from_float ? f != 0 : v != 0; break;
        default: mt_tensor_set_int(o, i, from_float ? to_int(f) : v); break;
        }
    }
    return MT_OK;
}
