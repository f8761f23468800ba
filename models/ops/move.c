/* Operators that move elements: Slice, Concat, Split, Transpose, Pad, depth and space. */
#include "models/ops/op.h"

/* Copies dims elements from src (start, strides in elements) to dst (contiguous or strided). */
static void copy_strided(void *dst, const int64_t *ds, const void *src, const int64_t *ss,
                         const int64_t *dims, int rank, size_t size)
{
    int64_t idx[MT_MAX_DIMS] = {0};
    for (int d = 0; d < rank; d++)
        if (!dims[d]) return;
    /* a contiguous tail is moved in one piece */
    int64_t run = 1;
    while (rank && ds[rank - 1] == run && ss[rank - 1] == run) run *= dims[--rank];
    do {
        int64_t a = 0, b = 0;
        for (int d = 0; d < rank; d++) {
            a += idx[d] * ds[d];
            b += idx[d] * ss[d];
        }
        memcpy((char *)dst + a * (int64_t)size, (const char *)src + b * (int64_t)size,
               (size_t)run * size);
    } while (mt_next(idx, dims, rank));
}

/* --- Slice: attributes (1) or inputs (10) --- */

typedef mt_slice_params slice_params;

static int64_t clamp(int64_t v, int64_t lo, int64_t hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

MT_INFER(mt_infer_slice)
{
    MT_TRY(mt_need_inputs(g, n, n->opset < 10 ? 1 : 3, n->opset < 10 ? 1 : 5, err));
    const mt_value *x = mt_in(g, n, 0);
    int64_t starts[MT_MAX_DIMS], ends[MT_MAX_DIMS], axes[MT_MAX_DIMS], steps[MT_MAX_DIMS],
        dims[MT_MAX_DIMS];
    int ns, ne, na, nt;
    bool old = n->opset < 10;
    MT_TRY(mt_node_ints(starts, &ns, MT_MAX_DIMS, g, n, old ? -1 : 1, old ? "starts" : NULL, err));
    MT_TRY(mt_node_ints(ends, &ne, MT_MAX_DIMS, g, n, old ? -1 : 2, old ? "ends" : NULL, err));
    MT_TRY(mt_node_ints(axes, &na, MT_MAX_DIMS, g, n, old ? -1 : 3, old ? "axes" : NULL, err));
    MT_TRY(mt_node_ints(steps, &nt, MT_MAX_DIMS, g, n, old ? -1 : 4, NULL, err));
    if (ns < 0 || ne != ns || (na >= 0 && na != ns) || (nt >= 0 && nt != ns) || ns > x->t.rank)
        return mt_node_fail(n, err, MT_ERR_FORMAT, "%d starts, %d ends, %d axes, %d steps", ns, ne,
                            na, nt);
    slice_params *p = mt_graph_mem(g, sizeof *p, err);
    if (!p) return MT_ERR_NO_MEMORY;
    n->params = p;
    for (int d = 0; d < x->t.rank; d++) {
        p->step[d] = 1;
        dims[d] = x->t.dims[d];
    }
    for (int i = 0; i < ns; i++) {
        int d = i;
        if (na >= 0) MT_TRY(mt_axis(&d, n, axes[i], x->t.rank, "axis", err));
        int64_t len = x->t.dims[d], step = nt >= 0 ? steps[i] : 1;
        if (step == 0) return mt_node_fail(n, err, MT_ERR_FORMAT, "step 0 on axis %d", d);
        if (step == INT64_MIN) step = -INT64_MAX;
        int64_t s = starts[i] < 0 ? MT_MAX(starts[i], -len - 1) + len : starts[i];
        int64_t e = ends[i] < 0 ? (ends[i] < -len ? -1 : ends[i] + len) : ends[i];
        if (step > 0) {
            s = clamp(s, 0, len);
            e = clamp(ends[i] < -len ? 0 : e, 0, len);
        } else {
            s = clamp(s, starts[i] < -len ? -1 : 0, len - 1);
            e = clamp(e, -1, len - 1);
        }
        int64_t span = step > 0 ? e - s : s - e, mag = step > 0 ? step : -step;
        dims[d] = span > 0 && len > 0 ? (span - 1) / mag + 1 : 0;
        p->start[d] = s;
        p->step[d] = dims[d] > 1 ? step : 1; /* one element: the step is never taken */
    }
    return mt_set_out(g, n, 0, x->t.dtype, x->t.rank, dims, err);
}

MT_RUN(mt_run_slice)
{
    const slice_params *p = c->node->params;
    const mt_tensor *x = c->in[0];
    mt_tensor *o = c->out[0];
    if (!mt_tensor_count(o)) return MT_OK;
    int64_t ss[MT_MAX_DIMS], ds[MT_MAX_DIMS], at = 0;
    mt_strides(ss, x);
    mt_strides(ds, o);
    for (int d = 0; d < x->rank; d++) {
        at += p->start[d] * ss[d];
        ss[d] *= p->step[d];
    }
    size_t size = mt_dtype_size(x->dtype);
    copy_strided(o->data, ds, (const char *)x->data + (size_t)at * size, ss, o->dims, o->rank,
                 size);
    return MT_OK;
}

/* --- Concat, Split --- */

MT_INFER(mt_infer_concat)
{
    MT_TRY(mt_need_inputs(g, n, 1, 1 << 16, err));
    int64_t dims[MT_MAX_DIMS];
    const mt_value *x = mt_in(g, n, 0);
    mt_concat_params *p = mt_graph_mem(g, sizeof *p, err);
    if (!p) return MT_ERR_NO_MEMORY;
    n->params = p;
    MT_TRY(mt_axis(&p->axis, n, mt_attr_int(n, "axis", 1), x->t.rank, "axis", err));
    memcpy(dims, x->t.dims, sizeof dims);
    for (int i = 1; i < n->n_in; i++) {
        const mt_value *v = mt_in(g, n, i);
        if (!v || v->t.rank != x->t.rank || v->t.dtype != x->t.dtype)
            return mt_node_fail(n, err, MT_ERR_FORMAT,
                                "input %d differs in rank or type from input 0", i);
        for (int d = 0; d < x->t.rank; d++)
            if (d != p->axis && v->t.dims[d] != dims[d])
                return mt_node_fail(n, err, MT_ERR_FORMAT,
                                    "input %d: dimension %d is %lld, others have %lld", i, d,
                                    (long long)v->t.dims[d], (long long)dims[d]);
        if (__builtin_add_overflow(dims[p->axis], v->t.dims[p->axis], &dims[p->axis]))
            return mt_node_fail(n, err, MT_ERR_LIMIT, "too large");
    }
    return mt_set_out(g, n, 0, x->t.dtype, x->t.rank, dims, err);
}

MT_RUN(mt_run_concat)
{
    int axis = ((const mt_concat_params *)c->node->params)->axis;
    mt_tensor *o = c->out[0];
    bool blocked =
        mt_is_blocked_out(c, 0); /* along C, parts of whole blocks: the layout pass saw to it */
    size_t outer = 1,
           row = blocked ? mt_image_blocked(c->k, o) * sizeof(float) : mt_dtype_size(o->dtype),
           at = 0;
    for (int d = 0; d < axis; d++) outer *= (size_t)o->dims[d];
    for (int d = axis; !blocked && d < o->rank; d++) row *= (size_t)o->dims[d];
    for (int i = 0; i < c->node->n_in; i++) {
        const mt_tensor *x = c->in[i];
        size_t piece = blocked ? mt_image_blocked(c->k, x) * sizeof(float)
                       : outer ? mt_tensor_bytes(x) / outer
                               : 0;
        for (size_t r = 0; piece && r < outer; r++)
            memcpy((char *)o->data + r * row + at, (const char *)x->data + r * piece, piece);
        at += piece;
    }
    return MT_OK;
}

MT_INFER(mt_infer_split)
{
    MT_TRY(mt_need_inputs(g, n, 1, 2, err));
    const mt_value *x = mt_in(g, n, 0);
    mt_split_params *p = mt_graph_mem(g, sizeof *p, err);
    int64_t *parts = mt_graph_mem(g, sizeof *parts * (size_t)n->n_out, err);
    if (!p || !parts) return MT_ERR_NO_MEMORY;
    n->params = p;
    p->parts = parts;
    MT_TRY(mt_axis(&p->axis, n, mt_attr_int(n, "axis", 0), x->t.rank, "axis", err));
    int count;
    int64_t len = x->t.dims[p->axis], sum = 0, dims[MT_MAX_DIMS];
    MT_TRY(mt_node_ints(parts, &count, n->n_out, g, n, n->opset < 13 ? -1 : 1,
                        n->opset < 13 ? "split" : NULL, err));
    if (count < 0) {
        int64_t each = (len + n->n_out - 1) / n->n_out; /* the last one may be smaller (18) */
        if (n->opset < 18 && len % n->n_out)
            return mt_node_fail(n, err, MT_ERR_FORMAT, "%lld does not divide into %d parts",
                                (long long)len, n->n_out);
        for (int i = 0; i < n->n_out; i++) parts[i] = clamp(len - i * each, 0, each);
        count = n->n_out;
    }
    for (int i = 0; i < count; i++) {
        if (parts[i] < 0 || parts[i] > len)
            return mt_node_fail(n, err, MT_ERR_FORMAT, "part of %lld", (long long)parts[i]);
        sum += parts[i];
    }
    if (count != n->n_out || sum != len)
        return mt_node_fail(n, err, MT_ERR_FORMAT, "parts sum to %lld of %lld", (long long)sum,
                            (long long)len);
    memcpy(dims, x->t.dims, sizeof dims);
    for (int i = 0; i < count; i++) {
        dims[p->axis] = parts[i];
        MT_TRY(mt_set_out(g, n, i, x->t.dtype, x->t.rank, dims, err));
    }
    return MT_OK;
}

MT_RUN(mt_run_split)
{
    const mt_split_params *p = c->node->params;
    const mt_tensor *x = c->in[0];
    size_t outer = 1, inner = mt_dtype_size(x->dtype), at = 0;
    for (int d = 0; d < p->axis; d++) outer *= (size_t)x->dims[d];
    for (int d = p->axis + 1; d < x->rank; d++) inner *= (size_t)x->dims[d];
    size_t row = inner * (size_t)x->dims[p->axis];
    for (int i = 0; i < c->node->n_out; i++) {
        mt_tensor *o = c->out[i];
        size_t piece = inner * (size_t)p->parts[i];
        for (size_t r = 0; o && piece && r < outer; r++)
            memcpy((char *)o->data + r * piece, (const char *)x->data + r * row + at, piece);
        at += piece;
    }
    return MT_OK;
}

/* --- Transpose --- */

MT_INFER(mt_infer_transpose)
{
    MT_TRY(mt_need_inputs(g, n, 1, 1, err));
    const mt_value *x = mt_in(g, n, 0);
    mt_perm_params *p = mt_graph_mem(g, sizeof *p, err);
    if (!p) return MT_ERR_NO_MEMORY;
    n->params = p;
    int64_t perm[MT_MAX_DIMS], dims[MT_MAX_DIMS];
    int count, rank = x->t.rank;
    bool seen[MT_MAX_DIMS] = {false};
    MT_TRY(mt_node_ints(perm, &count, MT_MAX_DIMS, g, n, -1, "perm", err));
    if (count >= 0 && count != rank)
        return mt_node_fail(n, err, MT_ERR_FORMAT, "perm of %d for rank %d", count, rank);
    for (int d = 0; d < rank; d++) {
        int64_t from = count < 0 ? rank - 1 - d : perm[d];
        if (from < 0 || from >= rank || seen[from])
            return mt_node_fail(n, err, MT_ERR_FORMAT, "perm is no permutation");
        seen[from] = true;
        p->perm[d] = (int)from;
        dims[d] = x->t.dims[from];
    }
    return mt_set_out(g, n, 0, x->t.dtype, rank, dims, err);
}

MT_RUN(mt_run_transpose)
{
    const mt_perm_params *p = c->node->params;
    const mt_tensor *x = c->in[0];
    mt_tensor *o = c->out[0];
    int64_t own[MT_MAX_DIMS], ss[MT_MAX_DIMS], ds[MT_MAX_DIMS];
    mt_strides(own, x);
    mt_strides(ds, o);
    for (int d = 0; d < o->rank; d++) ss[d] = own[p->perm[d]];
    size_t size = mt_dtype_size(o->dtype);
    if (o->rank && size == 4 &&
        mt_tensor_count(o)) { /* the usual case: 4-byte elements, inner loop without memcpy */
        int64_t idx[MT_MAX_DIMS] = {0}, len = o->dims[o->rank - 1], step = ss[o->rank - 1];
        uint32_t *d = o->data;
        do {
            int64_t at = 0;
            for (int k = 0; k < o->rank - 1; k++) at += idx[k] * ss[k];
            const uint32_t *s = (const uint32_t *)x->data + at;
            for (int64_t i = 0; i < len; i++) *d++ = s[i * step];
        } while (mt_next(idx, o->dims, o->rank - 1));
        return MT_OK;
    }
    copy_strided(o->data, ds, x->data, ss, o->dims, o->rank, size);
    return MT_OK;
}

/* --- Pad: attributes (2) or inputs (11), axes (18) --- */

static mt_status pad_value(mt_pad_params *p, mt_graph *g, mt_node *n, mt_err *err)
{
    p->value = mt_attr_float(n, "value", 0.0f);
    if (!mt_in(g, n, 2)) return MT_OK;
    const mt_tensor *t = mt_const_in(g, n, 2);
    if (!t) return mt_node_unsupported(g, n, err, "the constant value is not known before the run");
    if (mt_tensor_count(t) != 1 || t->dtype != mt_in(g, n, 0)->t.dtype)
        return mt_node_fail(n, err, MT_ERR_FORMAT,
                            "the constant value is not a scalar of the input's type");
    if (t->dtype == MT_DT_F32) p->value = *(const float *)t->data;
    else p->ivalue = mt_tensor_int(t, 0);
    return MT_OK;
}

MT_INFER(mt_infer_pad)
{
    MT_TRY(mt_need_inputs(g, n, 1, n->opset < 11 ? 1 : 4, err));
    const mt_value *x = mt_in(g, n, 0);
    static const char *const modes[] = {"constant", "reflect", "edge", "wrap"};
    mt_pad_params *p = mt_graph_mem(g, sizeof *p, err);
    if (!p) return MT_ERR_NO_MEMORY;
    n->params = p;
    const char *mode = mt_attr_str(n, "mode", "constant");
    for (p->mode = 0; p->mode < 4 && strcmp(mode, modes[p->mode]); p->mode++) {}
    if (p->mode > 3) return mt_node_unsupported(g, n, err, "mode %.20s", mode);
    int64_t pads[2 * MT_MAX_DIMS], axes[MT_MAX_DIMS], dims[MT_MAX_DIMS];
    int count, na;
    MT_TRY(mt_node_ints(pads, &count, 2 * MT_MAX_DIMS, g, n, n->opset < 11 ? -1 : 1,
                        n->opset < 11 ? "pads" : NULL, err));
    MT_TRY(mt_node_ints(axes, &na, MT_MAX_DIMS, g, n, n->opset < 18 ? -1 : 3, NULL, err));
    MT_TRY(pad_value(p, g, n, err));
    int m = na >= 0 ? na : x->t.rank;
    if (count != 2 * m)
        return mt_node_fail(n, err, MT_ERR_FORMAT, "%d pads for %d dimensions", count, m);
    for (int i = 0; i < m; i++) {
        int d = i;
        if (na >= 0) MT_TRY(mt_axis(&d, n, axes[i], x->t.rank, "axis", err));
        p->lo[d] = pads[i];
        p->hi[d] = pads[i + m];
    }
    for (int d = 0; d < x->t.rank; d++) {
        int64_t len = x->t.dims[d], limit = (int64_t)1 << 40;
        if (p->lo[d] < -limit || p->lo[d] > limit || p->hi[d] < -limit || p->hi[d] > limit)
            return mt_node_fail(n, err, MT_ERR_FORMAT, "pads %lld and %lld", (long long)p->lo[d],
                                (long long)p->hi[d]);
        dims[d] = len + p->lo[d] + p->hi[d];
        if (p->mode > 0 && !len && dims[d] > 0)
            return mt_node_fail(n, err, MT_ERR_FORMAT, "dimension %d is empty", d);
    }
    return mt_set_out(g, n, 0, x->t.dtype, x->t.rank, dims, err);
}

/* Source index of padded place i, or -1 for the constant. */
static int64_t pad_from(int64_t i, int64_t len, int mode)
{
    if (i >= 0 && i < len) return i;
    if (mode == 0) return -1;
    if (mode == 1) { /* there and back, as often as it takes */
        int64_t period = len > 1 ? 2 * (len - 1) : 1;
        i %= period;
        if (i < 0) i += period;
        return i < len ? i : period - i;
    }
    if (mode == 2) return i < 0 ? 0 : len - 1;
    i %= len;
    return i < 0 ? i + len : i;
}

MT_RUN(mt_run_pad)
{
    const mt_pad_params *p = c->node->params;
    const mt_tensor *x = c->in[0];
    mt_tensor *o = c->out[0];
    size_t size = mt_dtype_size(o->dtype);
    int64_t s[MT_MAX_DIMS], idx[MT_MAX_DIMS] = {0}, total = mt_tensor_count(o);
    mt_strides(s, x);
    union { float f; int64_t l; int32_t i; uint8_t b; } value = {0};
    switch (o->dtype) {
    case MT_DT_F32: value.f = p->value; break;
    case MT_DT_I64: value.l = p->ivalue; break;
    case MT_DT_I32: value.i = (int32_t)p->ivalue; break;
    default: value.b = (uint8_t)p->ivalue; break;
    }
    for (int64_t i = 0; i < total; i++, mt_next(idx, o->dims, o->rank)) {
        int64_t at = 0;
        for (int d = 0; d < o->rank && at >= 0; d++) {
            int64_t from = pad_from(idx[d] - p->lo[d], x->dims[d], p->mode);
            at = from < 0 ? -1 : at + from * s[d];
        }
        memcpy((char *)o->data + (size_t)i * size,
               at < 0 ? (const char *)&value : (const char *)x->data + (size_t)at * size, size);
    }
    return MT_OK;
}

/* --- DepthToSpace, SpaceToDepth --- */

MT_INFER(mt_infer_depth)
{
    MT_TRY(mt_need_inputs(g, n, 1, 1, err));
    const mt_tensor *x = &mt_in(g, n, 0)->t;
    int64_t b = mt_attr_int(n, "blocksize", 0);
    bool to_space = n->op->name[0] == 'D';
    if (x->rank != 4 || b < 1 || b > 1024)
        return mt_node_fail(n, err, MT_ERR_FORMAT, "rank %d, blocksize %lld", x->rank,
                            (long long)b);
    if (to_space ? x->dims[1] % (b * b) : x->dims[2] % b || x->dims[3] % b)
        return mt_node_fail(n, err, MT_ERR_FORMAT, "blocksize %lld does not divide the input",
                            (long long)b);
    int64_t dims[4] = {x->dims[0], to_space ? x->dims[1] / (b * b) : x->dims[1] * b * b,
                       to_space ? x->dims[2] * b : x->dims[2] / b,
                       to_space ? x->dims[3] * b : x->dims[3] / b};
    return mt_set_out(g, n, 0, x->dtype, 4, dims, err);
}

MT_RUN(mt_run_depth)
{
    bool to_space = c->node->op->name[0] == 'D';
    bool crd = to_space && !strcmp(mt_attr_str(c->node, "mode", "DCR"), "CRD");
    int64_t b = mt_attr_int(c->node, "blocksize", 1);
    const mt_tensor *deep = to_space ? c->in[0] : c->out[0],
                    *wide = to_space ? c->out[0] : c->in[0];
    size_t size = mt_dtype_size(deep->dtype);
    int64_t nc = wide->dims[1], h = deep->dims[2], w = deep->dims[3];
    for (int64_t i = 0; i < wide->dims[0] * nc; i++)
        for (int64_t y = 0; y < h * b; y++)
            for (int64_t x = 0; x < w * b; x++) {
                int64_t in = i / nc, ch = i % nc, sub = y % b * b + x % b;
                int64_t dch = crd ? ch * b * b + sub : sub * nc + ch;
                size_t a = (size_t)((i * h * b + y) * w * b + x) * size;
                size_t d = (size_t)(((in * deep->dims[1] + dch) * h + y / b) * w + x / b) * size;
                if (to_space) memcpy((char *)wide->data + a, (const char *)deep->data + d, size);
                else memcpy((char *)deep->data + d, (const char *)wide->data + a, size);
            }
    return MT_OK;
}
