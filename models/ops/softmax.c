/* Softmax, LogSoftmax, Hardmax. Before opset 13 the tensor is flattened to two dimensions at the
 * axis. */
#include "models/ops/op.h"

typedef struct params { int what; int64_t outer, len, inner; } params;
enum { SOFT, LOG, HARD };

MT_INFER(mt_infer_softmax)
{
    MT_TRY(mt_need_inputs(g, n, 1, 1, err));
    MT_TRY(mt_need_type(g, n, 0, MT_T_FLOAT, err));
    const mt_value *x = mt_in(g, n, 0);
    params *p = mt_graph_mem(g, sizeof *p, err);
    if (!p) return MT_ERR_NO_MEMORY;
    n->params = p;
    p->what = n->op->name[0] == 'S' ? SOFT : n->op->name[0] == 'L' ? LOG : HARD;
    bool flatten = n->opset < 13;
    int axis;
    MT_TRY(mt_axis(&axis, n, mt_attr_int(n, "axis", flatten ? 1 : -1),
                   x->t.rank + (flatten && x->t.rank < 2), "axis", err));
    p->outer = p->len = p->inner = 1;
    for (int d = 0; d < x->t.rank; d++) {
        if (d < axis) p->outer *= x->t.dims[d];
        else if (d == axis || flatten) p->len *= x->t.dims[d];
        else p->inner *= x->t.dims[d];
    }
    return mt_set_out_like(g, n, 0, x, err);
}

static void soft_strided(float *d, const float *s, int64_t len, int64_t step)
{
    float top = s[0], sum = 0;
    for (int64_t i = 1; i < len; i++) top = s[i * step] > top ? s[i * step] : top;
    for (int64_t i = 0; i < len; i++) sum += d[i * step] = expf(s[i * step] - top);
    float r = 1.0f / sum;
    for (int64_t i = 0; i < len; i++) d[i * step] *= r;
}

static void log_strided(float *d, const float *s, int64_t len, int64_t step)
{
    float top = s[0];
    double sum = 0;
    for (int64_t i = 1; i < len; i++) top = s[i * step] > top ? s[i * step] : top;
    for (int64_t i = 0; i < len; i++) sum += exp((double)(s[i * step] - top));
    float shift = (float)log(sum);
    for (int64_t i = 0; i < len; i++) d[i * step] = s[i * step] - top - shift;
}

static void hard_strided(float *d, const float *s, int64_t len, int64_t step)
{
    int64_t best = 0;
    for (int64_t i = 1; i < len; i++)
        if (s[i * step] > s[best * step]) best = i;
    for (int64_t i = 0; i < len; i++) d[i * step] = i == best;
}

MT_RUN(mt_run_softmax)
{
    const params *p = c->node->params;
    if (!p->len) return MT_OK;
    if (p->what == SOFT && p->inner == 1) {
        mt_f32_softmax(c->k, c->out[0]->data, c->in[0]->data, (size_t)p->outer, (size_t)p->len);
        return MT_OK;
    }
    void (*fn)(float *, const float *, int64_t, int64_t) = p->what == SOFT  ? soft_strided
                                                           : p->what == LOG ? log_strided
                                                                            : hard_strided;
    for (int64_t o = 0; o < p->outer; o++)
        for (int64_t i = 0; i < p->inner; i++) {
            int64_t at = o * p->len * p->inner + i;
            fn((float *)c->out[0]->data + at, (const float *)c->in[0]->data + at, p->len, p->inner);
        }
    return MT_OK;
}
