/* Resize (10, 11, 13, 18, 19) and Upsample (7, 9): separable, one table of taps per axis. */
#include "models/ops/op.h"

typedef enum coord {
    HALF_PIXEL,
    PYTORCH_HALF_PIXEL,
    ALIGN_CORNERS,
    ASYMMETRIC,
    TF_HALF_PIXEL,
    TF_CROP,
    HALF_SYMMETRIC
} coord;
static const char *const coord_names[] = {
    "half_pixel",           "pytorch_half_pixel", "align_corners",       "asymmetric",
    "tf_half_pixel_for_nn", "tf_crop_and_resize", "half_pixel_symmetric"};
typedef enum mode { NEAREST, LINEAR, CUBIC } mode;
typedef enum rounding { PREFER_FLOOR, PREFER_CEIL, FLOOR, CEIL } rounding;
static const char *const rounding_names[] = {"round_prefer_floor", "round_prefer_ceil", "floor",
                                             "ceil"};

typedef struct taps {
    int n;                       /* per output place */
    int32_t *from;               /* source index; -1 contributes `outside` */
    float *weight;
} taps;

typedef struct params {
    mode m;
    coord c;
    rounding r;
    float cubic_a, outside;
    bool exclude_outside, antialias;
    bool touched[MT_MAX_DIMS];   /* axes that change */
    taps t[MT_MAX_DIMS];
} params;

static int find_word(const char *word, const char *const *list, int n)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(word, list[i])) return i;
    return -1;
}

static float source_of(const params *p, int64_t o, float scale, int64_t in, int64_t out,
                       float real_out, const float *roi)
{
    switch (p->c) {
    case HALF_PIXEL: return ((float)o + 0.5f) / scale - 0.5f;
    case PYTORCH_HALF_PIXEL: return real_out > 1 ? ((float)o + 0.5f) / scale - 0.5f : 0.0f;
    case ALIGN_CORNERS: return real_out == 1 ? 0.0f : (float)o * (float)(in - 1) / (real_out - 1);
    case ASYMMETRIC: return (float)o / scale;
    case TF_HALF_PIXEL: return ((float)o + 0.5f) / scale;
    case TF_CROP:
        if (out > 1)
            return roi[0] * (float)(in - 1) +
                   (float)o * (roi[1] - roi[0]) * (float)(in - 1) / (float)(out - 1);
        return 0.5f * (roi[0] + roi[1]) * (float)(in - 1);
    case HALF_SYMMETRIC: {
        float adjust = (float)out / real_out, centre = (float)in / 2;
        return centre * (1 - adjust) + ((float)o + 0.5f) / scale - 0.5f;
    }
    }
    return 0;
}

static int64_t round_nearest(float x, rounding r)
{
    switch (r) {
    case PREFER_FLOOR: return (int64_t)ceilf(x - 0.5f);
    case PREFER_CEIL: return (int64_t)floorf(x + 0.5f);
    case FLOOR: return (int64_t)floorf(x);
    case CEIL: return (int64_t)ceilf(x);
    }
    return 0;
}

static float cubic(float x, float a)
{
    x = fabsf(x);
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
    return 0;
}

/* Fills the taps of one output place; x is its source coordinate, stretch >= 1 widens the filter.
 */
static void place_taps(const params *p, int32_t *from, float *weight, int n, float x, float stretch,
                       int64_t in)
{
    float radius = (p->m == LINEAR ? 1.0f : 2.0f) * stretch, sum = 0;
    int64_t first = (int64_t)floorf(x) - (n / 2 - 1);
    if (p->antialias) first = (int64_t)floorf(x - radius) + 1;
    for (int i = 0; i < n; i++) {
        int64_t at = first + i;
        float d = (x - (float)at) / stretch;
        float w = p->m == LINEAR ? (fabsf(d) < 1 ? 1 - fabsf(d) : 0) : cubic(d, p->cubic_a);
        bool out = at < 0 || at >= in;
        if (out && p->exclude_outside) w = 0; /* otherwise the edge repeats */
        from[i] = (int32_t)(at < 0 ? 0 : at >= in ? in - 1 : at);
        weight[i] = w;
        sum += w;
    }
    if ((p->exclude_outside || p->antialias) && sum != 0)
        for (int i = 0; i < n; i++) weight[i] /= sum;
}

static mt_status make_taps(params *p, int axis, mt_graph *g, mt_node *n, int64_t in, int64_t out,
                           float scale, const float *roi, mt_err *err)
{
    taps *t = &p->t[axis];
    float stretch = p->antialias && scale < 1 ? 1 / scale : 1;
    float real_out = scale * (float)in;
    t->n = p->m == NEAREST ? 1 : p->m == LINEAR ? 2 : 4;
    if (p->antialias && p->m != NEAREST) {
        if (!(stretch < 4096)) return mt_node_unsupported(g, n, err, "scale %g", (double)scale);
        t->n = (int)ceilf((p->m == LINEAR ? 2.0f : 4.0f) * stretch) + 1;
    }
    size_t total;
    if (!mt_mul(&total, (size_t)out, (size_t)t->n) || total > (size_t)1 << 24)
        return mt_node_fail(n, err, MT_ERR_LIMIT, "too large");
    t->from = mt_graph_mem(g, total * sizeof *t->from, err);
    t->weight = mt_graph_mem(g, total * sizeof *t->weight, err);
    if (!t->from || !t->weight) return MT_ERR_NO_MEMORY;
    for (int64_t o = 0; o < out; o++) {
        float x = source_of(p, o, scale, in, out, real_out, roi);
        int32_t *from = t->from + o * t->n;
        float *weight = t->weight + o * t->n;
        if (!(fabsf(x) < 1e9f))
            return mt_node_fail(n, err, MT_ERR_FORMAT, "scale %g", (double)scale);
        if (p->c == TF_CROP && (x < 0 || x > (float)(in - 1))) {
            for (int i = 0; i < t->n; i++) { from[i] = -1; weight[i] = i == 0; }
        } else if (p->m == NEAREST) {
            int64_t at = round_nearest(x, p->r);
            from[0] = (int32_t)(at < 0 ? 0 : at >= in ? in - 1 : at);
            weight[0] = 1;
        } else {
            if (p->m == LINEAR && !p->antialias)
                x = x < 0 ? 0 : x > (float)(in - 1) ? (float)(in - 1) : x;
            place_taps(p, from, weight, t->n, x, stretch, in);
        }
    }
    return MT_OK;
}

static mt_status finish(params *p, mt_graph *g, mt_node *n, const int64_t *dims,
                        const float *scales, const float *roi, mt_err *err)
{
    const mt_value *x = mt_in(g, n, 0);
    if (p->m != NEAREST) MT_TRY(mt_need_type(g, n, 0, MT_T_FLOAT, err));
    MT_TRY(mt_set_out(g, n, 0, x->t.dtype, x->t.rank, dims, err));
    for (int d = 0; d < x->t.rank; d++) {
        bool crop = p->c == TF_CROP && (roi[d] != 0 || roi[d + MT_MAX_DIMS] != 1);
        p->touched[d] = dims[d] != x->t.dims[d] || scales[d] != 1 || crop;
        if (!p->touched[d]) continue;
        if (!x->t.dims[d]) return mt_node_fail(n, err, MT_ERR_FORMAT, "dimension %d is empty", d);
        float r[2] = {roi[d], roi[d + MT_MAX_DIMS]};
        MT_TRY(make_taps(p, d, g, n, x->t.dims[d], dims[d], scales[d], r, err));
    }
    /* two intermediate tensors at most; the largest an axis-by-axis walk can make */
    size_t most = 1;
    bool fits = true;
    for (int d = 0; d < x->t.rank; d++)
        fits = fits && mt_mul(&most, most, (size_t)MT_MAX(x->t.dims[d], dims[d]));
    if (!fits || !mt_mul(&n->scratch, most, 2 * sizeof(float)) || n->scratch > MT_TENSOR_CEILING)
        return mt_node_fail(n, err, MT_ERR_LIMIT, "intermediate result too large");
    return MT_OK;
}

static mt_status read_modes(params *p, mt_graph *g, mt_node *n, mt_err *err)
{
    const char *m = mt_attr_str(n, "mode", "nearest");
    const char *c = mt_attr_str(n, "coordinate_transformation_mode", "half_pixel");
    int mi = !strcmp(m, "nearest")                            ? NEAREST
             : !strcmp(m, "linear") || !strcmp(m, "bilinear") ? LINEAR
             : !strcmp(m, "cubic")                            ? CUBIC
                                                              : -1;
    int ci = n->opset < 11 ? ASYMMETRIC : find_word(c, coord_names, (int)MT_COUNT(coord_names));
    int ri = n->opset < 11 ? FLOOR
                           : find_word(mt_attr_str(n, "nearest_mode", "round_prefer_floor"),
                                       rounding_names, 4);
    if (mi < 0) return mt_node_unsupported(g, n, err, "mode %.20s", m);
    if (ci < 0) return mt_node_unsupported(g, n, err, "coordinate_transformation_mode %.40s", c);
    if (ri < 0) return mt_node_unsupported(g, n, err, "nearest_mode");
    p->m = (mode)mi;
    p->c = (coord)ci;
    p->r = (rounding)ri;
    p->cubic_a = mt_attr_float(n, "cubic_coeff_a", -0.75f);
    p->outside = mt_attr_float(n, "extrapolation_value", 0.0f);
    p->exclude_outside = mt_attr_int(n, "exclude_outside", 0) != 0;
    p->antialias = mt_attr_int(n, "antialias", 0) != 0 && mi != NEAREST;
    return MT_OK;
}

MT_INFER(mt_infer_resize)
{
    MT_TRY(mt_need_inputs(g, n, 1, 4, err));
    const mt_value *x = mt_in(g, n, 0);
    params *p = mt_graph_mem(g, sizeof *p, err);
    if (!p) return MT_ERR_NO_MEMORY;
    n->params = p;
    MT_TRY(read_modes(p, g, n, err));
    int64_t dims[MT_MAX_DIMS], sizes[MT_MAX_DIMS], axes[MT_MAX_DIMS];
    float scales[MT_MAX_DIMS], given[MT_MAX_DIMS], roi[2 * MT_MAX_DIMS] = {0}, box[2 * MT_MAX_DIMS];
    int na, ns, nz, nr, d;
    bool old = n->opset < 11;
    MT_TRY(mt_node_ints(axes, &na, MT_MAX_DIMS, g, n, -1, "axes", err));
    MT_TRY(mt_node_floats(given, &ns, MT_MAX_DIMS, g, n, old ? 1 : 2, NULL, err));
    MT_TRY(mt_node_ints(sizes, &nz, MT_MAX_DIMS, g, n, old ? -1 : 3, NULL, err));
    nr = -1;
    if (p->c == TF_CROP) MT_TRY(mt_node_floats(box, &nr, 2 * MT_MAX_DIMS, g, n, 1, NULL, err));
    int m = na >= 0 ? na : x->t.rank;
    if (ns == 0) ns = -1;
    if (nz == 0) nz = -1;
    if ((ns < 0) == (nz < 0) || (ns >= 0 ? ns : nz) != m || (p->c == TF_CROP && nr != 2 * m))
        return mt_node_fail(n, err, MT_ERR_FORMAT, "%d scales, %d sizes for %d axes", ns, nz, m);
    for (d = 0; d < x->t.rank; d++) {
        dims[d] = x->t.dims[d];
        scales[d] = 1;
        roi[d + MT_MAX_DIMS] = 1;
    }
    const char *policy = mt_attr_str(n, "keep_aspect_ratio_policy", "stretch");
    double keep = 0;
    for (int i = 0; i < m && nz >= 0 && strcmp(policy, "stretch"); i++) {
        MT_TRY(mt_axis(&d, n, na >= 0 ? axes[i] : i, x->t.rank, "axis", err));
        if (!x->t.dims[d]) return mt_node_fail(n, err, MT_ERR_FORMAT, "dimension %d is empty", d);
        double s = (double)sizes[i] / (double)x->t.dims[d];
        bool smaller = !strcmp(policy, "not_larger");
        keep = i == 0 ? s : smaller ? MT_MIN(keep, s) : MT_MAX(keep, s);
    }
    for (int i = 0; i < m; i++) {
        MT_TRY(mt_axis(&d, n, na >= 0 ? axes[i] : i, x->t.rank, "axis", err));
        if (nr >= 0) {
            roi[d] = box[i];
            roi[d + MT_MAX_DIMS] = box[i + m];
        }
        if (nz >= 0) {
            if (sizes[i] < 1 || sizes[i] > 1 << 24 || !x->t.dims[d])
                return mt_node_fail(n, err, MT_ERR_FORMAT, "size %lld", (long long)sizes[i]);
            dims[d] = keep > 0 ? (int64_t)floor(keep * (double)x->t.dims[d] + 0.5) : sizes[i];
            scales[d] = keep > 0 ? (float)keep : (float)dims[d] / (float)x->t.dims[d];
            continue;
        }
        if (!(given[i] > 0) || given[i] > 1e6f)
            return mt_node_fail(n, err, MT_ERR_FORMAT, "scale %g", (double)given[i]);
        float extent = nr >= 0 && p->c == TF_CROP ? box[i + m] - box[i] : 1.0f;
        double size = floor((double)x->t.dims[d] * (double)extent * (double)given[i] + 1e-7);
        if (!(size >= 0 && size < 1 << 24))
            return mt_node_fail(n, err, MT_ERR_FORMAT, "scale %g", (double)given[i]);
        dims[d] = (int64_t)size;
        scales[d] = given[i];
    }
    return finish(p, g, n, dims, scales, roi, err);
}

/* Upsample: scales as attribute (7) or input (9); coordinates asymmetric, nearest rounds down. */
MT_INFER(mt_infer_upsample)
{
    MT_TRY(mt_need_inputs(g, n, 1, 2, err));
    const mt_value *x = mt_in(g, n, 0);
    params *p = mt_graph_mem(g, sizeof *p, err);
    if (!p) return MT_ERR_NO_MEMORY;
    n->params = p;
    MT_TRY(read_modes(p, g, n, err));
    int64_t dims[MT_MAX_DIMS];
    float scales[MT_MAX_DIMS], roi[2 * MT_MAX_DIMS] = {0};
    int count;
    MT_TRY(mt_node_floats(scales, &count, MT_MAX_DIMS, g, n, n->opset < 9 ? -1 : 1,
                          n->opset < 9 ? "scales" : NULL, err));
    if (count != x->t.rank)
        return mt_node_fail(n, err, MT_ERR_FORMAT, "%d scales for rank %d", count, x->t.rank);
    for (int d = 0; d < count; d++) {
        double size = floor((double)x->t.dims[d] * (double)scales[d] + 1e-7);
        if (!(scales[d] > 0) || !(size >= 0 && size < 1 << 24))
            return mt_node_fail(n, err, MT_ERR_FORMAT, "scale %g", (double)scales[d]);
        dims[d] = (int64_t)size;
        roi[d + MT_MAX_DIMS] = 1;
    }
    return finish(p, g, n, dims, scales, roi, err);
}

/* Resamples one axis of `in` (dims) into `out`, whose axis has `len` places. */
static void along_axis(const params *p, int axis, const int64_t *dims, int rank, int64_t len,
                       const float *in, float *out)
{
    const taps *t = &p->t[axis];
    int64_t outer = 1, inner = 1, src = dims[axis];
    for (int d = 0; d < axis; d++) outer *= dims[d];
    for (int d = axis + 1; d < rank; d++) inner *= dims[d];
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < len; i++) {
            float *d = out + (o * len + i) * inner;
            const int32_t *from = t->from + i * t->n;
            const float *w = t->weight + i * t->n;
            if (from[0] < 0) {
                for (int64_t j = 0; j < inner; j++) d[j] = p->outside;
                continue;
            }
            const float *s = in + (o * src + from[0]) * inner;
            if (t->n == 1) {
                memcpy(d, s, (size_t)inner * sizeof *d);
                continue;
            }
            for (int64_t j = 0; j < inner; j++) d[j] = w[0] * s[j];
            for (int k = 1; k < t->n; k++) {
                if (w[k] == 0) continue;
                s = in + (o * src + from[k]) * inner;
                for (int64_t j = 0; j < inner; j++) d[j] += w[k] * s[j];
            }
        }
}

/* Nearest of any type: element by element. */
static void run_nearest(const params *p, const mt_tensor *x, mt_tensor *o, size_t size)
{
    int64_t s[MT_MAX_DIMS], idx[MT_MAX_DIMS] = {0}, total = mt_tensor_count(o);
    mt_strides(s, x);
    for (int64_t i = 0; i < total; i++, mt_next(idx, o->dims, o->rank)) {
        int64_t at = 0;
        for (int d = 0; d < o->rank; d++)
            at += (p->touched[d] ? MT_MAX(0, p->t[d].from[idx[d]]) : idx[d]) * s[d];
        memcpy((char *)o->data + (size_t)i * size, (const char *)x->data + (size_t)at * size, size);
    }
}

MT_RUN(mt_run_resize)
{
    const params *p = c->node->params;
    const mt_tensor *x = c->in[0];
    mt_tensor *o = c->out[0];
    if (!mt_tensor_count(o)) return MT_OK;
    if (x->dtype != MT_DT_F32) {
        run_nearest(p, x, o, mt_dtype_size(x->dtype));
        return MT_OK;
    }
    int64_t dims[MT_MAX_DIMS];
    memcpy(dims, x->dims, sizeof dims);
    const float *cur = x->data;
    float *half[2] = {c->scratch, (float *)c->scratch + c->node->scratch / (2 * sizeof(float))};
    int left = 0, turn = 0;
    for (int d = 0; d < x->rank; d++) left += p->touched[d];
    if (!left) memcpy(o->data, x->data, mt_tensor_bytes(x));
    for (int d = 0; d < x->rank; d++) {
        if (!p->touched[d]) continue;
        float *dst = --left ? half[turn++ & 1] : o->data;
        along_axis(p, d, dims, x->rank, o->dims[d], cur, dst);
        dims[d] = o->dims[d];
        cur = dst;
    }
    return MT_OK;
}
