/* GridSample: reads an image of any number of spatial dimensions at places the run brings. The
 * interpolation is separable, so a place is one short list of taps (index, weight) a dimension. */
#include "models/ops/op.h"

typedef enum mode { NEAREST, LINEAR, CUBIC } mode;
typedef enum padding { ZEROS, BORDER, REFLECTION } padding;

typedef struct params { mode m; padding p; bool align; } params;

enum { TAPS = 4 };
typedef struct taps {
    int n;
    int64_t at[TAPS]; /* -1: outside, contributes nothing */
    float weight[TAPS];
} taps;

MT_INFER(mt_infer_gridsample)
{
    static const char *const modes[] = {"nearest", "bilinear", "bicubic",
                                        "nearest", "linear",   "cubic"};
    static const char *const pads[] = {"zeros", "border", "reflection"};
    MT_TRY(mt_need_inputs(g, n, 2, 2, err));
    for (int i = 0; i < 2; i++) MT_TRY(mt_need_type(g, n, i, MT_T_FLOAT, err));
    const mt_tensor *x = &mt_in(g, n, 0)->t, *grid = &mt_in(g, n, 1)->t;
    params *p = mt_graph_mem(g, sizeof *p, err);
    if (!p) return MT_ERR_NO_MEMORY;
    n->params = p;
    const char *m = mt_attr_str(n, "mode", n->opset < 20 ? "bilinear" : "linear");
    const char *pad = mt_attr_str(n, "padding_mode", "zeros");
    int mi = 0, pi = 0;
    while (mi < 6 && strcmp(m, modes[mi])) mi++;
    while (pi < 3 && strcmp(pad, pads[pi])) pi++;
    if (mi == 6) return mt_node_unsupported(g, n, err, "mode %.20s", m);
    if (pi == 3) return mt_node_unsupported(g, n, err, "padding_mode %.20s", pad);
    *p = (params){(mode)(mi % 3), (padding)pi, mt_attr_int(n, "align_corners", 0) != 0};
    if (x->rank < 3 || grid->rank != x->rank || grid->dims[grid->rank - 1] != x->rank - 2 ||
        grid->dims[0] != x->dims[0])
        return mt_node_fail(n, err, MT_ERR_FORMAT, "the grid does not fit the image");
    int64_t dims[MT_MAX_DIMS] = {x->dims[0], x->dims[1]};
    for (int d = 2; d < x->rank; d++) {
        dims[d] = grid->dims[d - 1];
        if (x->dims[d] < 1)
            return mt_node_fail(n, err, MT_ERR_FORMAT, "dimension %d is empty", d);
    }
    MT_TRY(mt_set_out(g, n, 0, MT_DT_F32, x->rank, dims, err));
    /* every output reads TAPS^d places */
    n->work = (uint64_t)mt_tensor_count(&mt_out(g, n, 0)->t) << 2 * (x->rank - 2);
    return MT_OK;
}

/* Mirrors x into [lo, hi]. */
static float reflect(float x, float lo, float hi)
{
    float range = hi - lo;
    if (!(range > 0)) return 0;
    float off = x < lo ? lo - x : x > hi ? x - hi : 0;
    if (off == 0) return x;
    float turns = floorf(off / range), rest = off - turns * range;
    bool even = fmodf(turns, 2.0f) == 0;
    return (x < lo) == even ? lo + rest : hi - rest;
}

/* Index of a tap at place i, or -1. */
static int64_t tap_index(const params *p, float i, int64_t len)
{
    if (i >= 0 && i <= (float)(len - 1)) return (int64_t)i;
    if (p->p == ZEROS) return -1;
    if (p->p == REFLECTION)
        i = p->align ? reflect(i, 0, (float)(len - 1)) : reflect(i, -0.5f, (float)len - 0.5f);
    return i > 0 ? MT_MIN((int64_t)i, len - 1) : 0;
}

static float cubic(float x)
{
    const float a = -0.75f;
    x = fabsf(x);
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
    return 0;
}

/* Grid value v in [-1, 1] along a dimension of len places. */
static void place(taps *t, const params *p, float v, int64_t len)
{
    float last = (float)(len - 1), lo = p->align ? 0 : -0.5f, hi = last - lo;
    float x = p->align ? (v + 1) / 2 * last : ((v + 1) * (float)len - 1) / 2;
    if (!(fabsf(x) < 1e9f)) x = x > 0 ? 1e9f : -1e9f; /* also what is no number */
    if (p->m == NEAREST) x = nearbyintf(x);
    if (x < lo || x > hi) {
        if (p->p == BORDER) x = x < 0 ? 0 : x > last ? last : x;
        if (p->p == REFLECTION) x = reflect(x, lo, hi);
    }
    float first = p->m == NEAREST ? x : floorf(x) - (p->m == CUBIC);
    t->n = p->m == NEAREST ? 1 : p->m == LINEAR ? 2 : 4;
    for (int i = 0; i < t->n; i++) {
        float d = fabsf(x - (first + (float)i));
        t->weight[i] = p->m == NEAREST ? 1 : p->m == LINEAR ? 1 - d : cubic(d);
        t->at[i] = tap_index(p, first + (float)i, len);
    }
}

/* Sum over all combinations of taps of one channel. */
static float sample(const float *s, const taps *t, const int64_t *stride, int nd)
{
    int pick[MT_MAX_DIMS] = {0}, d;
    double sum = 0;
    do {
        int64_t at = 0;
        float w = 1;
        for (d = 0; d < nd && at >= 0; d++) {
            int64_t i = t[d].at[pick[d]];
            w *= t[d].weight[pick[d]];
            at = i < 0 ? -1 : at + i * stride[d];
        }
        if (at >= 0 && w != 0) sum += (double)w * (double)s[at];
        for (d = nd - 1; d >= 0 && ++pick[d] == t[d].n; d--) pick[d] = 0;
    } while (d >= 0);
    return (float)sum;
}

MT_RUN(mt_run_gridsample)
{
    const params *p = c->node->params;
    const mt_tensor *x = c->in[0], *grid = c->in[1];
    float *o = c->out[0]->data;
    int nd = x->rank - 2;
    int64_t stride[MT_MAX_DIMS], points = 1, image, ch = x->dims[1];
    if (!mt_tensor_count(c->out[0])) return MT_OK;
    mt_strides(stride, x);
    image = stride[1];
    for (int d = 1; d <= nd; d++) points *= grid->dims[d];
    for (int64_t i = 0; i < x->dims[0]; i++)
        for (int64_t q = 0; q < points; q++) {
            taps t[MT_MAX_DIMS];
            const float *v = (const float *)grid->data + (i * points + q) * nd;
            for (int d = 0; d < nd; d++) /* the grid names the last dimension first */
                place(&t[d], p, v[nd - 1 - d], x->dims[d + 2]);
            for (int64_t k = 0; k < ch; k++)
                o[(i * ch + k) * points + q] =
                    sample((const float *)x->data + (i * ch + k) * image, t, stride + 2, nd);
        }
    return MT_OK;
}
