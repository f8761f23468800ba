/* Conv, ConvTranspose and the window arithmetic they share with pools. */
#include "models/ops/op.h"

static mt_status list_or(int64_t *out, int nd, int64_t dflt, int64_t lo, mt_graph *g, mt_node *n,
                         const char *attr, mt_err *err)
{
    int count;
    MT_TRY(mt_node_ints(out, &count, MT_MAX_DIMS, g, n, -1, attr, err));
    for (int d = 0; d < nd && count < 0; d++) out[d] = dflt;
    if (count >= 0 && count != nd)
        return mt_node_fail(n, err, MT_ERR_FORMAT, "%s of %d values, expected %d", attr, count, nd);
    for (int d = 0; d < nd; d++)
        if (out[d] < lo || out[d] > 1 << 24)
            return mt_node_fail(n, err, MT_ERR_FORMAT, "%s holds %lld", attr, (long long)out[d]);
    return MT_OK;
}

/* Pads from the attribute, or what auto_pad asks for so that out = ceil(in / stride). */
static mt_status read_pads(mt_window *w, mt_graph *g, mt_node *n, const mt_tensor *x, mt_err *err)
{
    int64_t pads[2 * MT_MAX_DIMS];
    int count;
    const char *mode = mt_attr_str(n, "auto_pad", "NOTSET");
    bool upper = !strcmp(mode, "SAME_UPPER"), lower = !strcmp(mode, "SAME_LOWER");
    if (upper || lower) {
        for (int d = 0; d < w->nd; d++) {
            int64_t in = x->dims[d + 2], out = (in + w->stride[d] - 1) / w->stride[d];
            int64_t need =
                MT_MAX(0, (out - 1) * w->stride[d] + (w->kernel[d] - 1) * w->dilation[d] + 1 - in);
            w->pad_lo[d] = upper ? need / 2 : need - need / 2;
            w->pad_hi[d] = need - w->pad_lo[d];
        }
        return MT_OK;
    }
    if (strcmp(mode, "NOTSET") && strcmp(mode, "VALID"))
        return mt_node_fail(n, err, MT_ERR_FORMAT, "auto_pad %.20s", mode);
    MT_TRY(mt_node_ints(pads, &count, 2 * MT_MAX_DIMS, g, n, -1, "pads", err));
    if (count < 0 || !strcmp(mode, "VALID")) return MT_OK;
    if (count != 2 * w->nd)
        return mt_node_fail(n, err, MT_ERR_FORMAT, "%d pads for %d dimensions", count, w->nd);
    for (int d = 0; d < w->nd; d++) {
        w->pad_lo[d] = pads[d];
        w->pad_hi[d] = pads[d + w->nd];
        if (pads[d] < 0 || pads[d] > 1 << 24 || pads[d + w->nd] < 0 || pads[d + w->nd] > 1 << 24)
            return mt_node_unsupported(g, n, err, "pads %lld and %lld", (long long)pads[d],
                                       (long long)pads[d + w->nd]);
    }
    return MT_OK;
}

mt_status mt_window_read(mt_window *w, int64_t *out, mt_graph *g, mt_node *n, const mt_tensor *x,
                         const int64_t *kernel, mt_err *err)
{
    w->nd = x->rank - 2;
    if (w->nd < 1) return mt_node_fail(n, err, MT_ERR_FORMAT, "input of rank %d", x->rank);
    MT_TRY(list_or(w->kernel, w->nd, kernel ? 0 : -1, 0, g, n, "kernel_shape", err));
    for (int d = 0; d < w->nd; d++) {
        if (kernel && w->kernel[d] && w->kernel[d] != kernel[d])
            return mt_node_fail(n, err, MT_ERR_FORMAT, "kernel_shape %lld, weights have %lld",
                                (long long)w->kernel[d], (long long)kernel[d]);
        if (kernel) w->kernel[d] = kernel[d];
        if (w->kernel[d] < 1 || w->kernel[d] > 1 << 24)
            return mt_node_fail(n, err, MT_ERR_FORMAT, "kernel of %lld", (long long)w->kernel[d]);
        if (x->dims[d + 2] > 1 << 24)
            return mt_node_fail(n, err, MT_ERR_LIMIT, "input of %lld places",
                                (long long)x->dims[d + 2]);
    }
    MT_TRY(list_or(w->stride, w->nd, 1, 1, g, n, "strides", err));
    MT_TRY(list_or(w->dilation, w->nd, 1, 1, g, n, "dilations", err));
    MT_TRY(read_pads(w, g, n, x, err));
    for (int d = 0; out && d < w->nd; d++) {
        int64_t span = (w->kernel[d] - 1) * w->dilation[d] + 1, in = x->dims[d + 2];
        int64_t room = in + w->pad_lo[d] + w->pad_hi[d] - span;
        bool same = !strncmp(mt_attr_str(n, "auto_pad", "NOTSET"), "SAME", 4);
        if (room < 0 && !(w->ceil_mode && room > -w->stride[d]))
            return mt_node_fail(n, err, MT_ERR_FORMAT, "a window of %lld does not fit %lld places",
                                (long long)span, (long long)(in + w->pad_lo[d] + w->pad_hi[d]));
        out[d] = same ? (in + w->stride[d] - 1) / w->stride[d]
                      : (room + (w->ceil_mode ? w->stride[d] - 1 : 0)) / w->stride[d] + 1;
        /* a window that would start in the padding on the right is dropped */
        if (w->ceil_mode && (out[d] - 1) * w->stride[d] >= in + w->pad_lo[d]) out[d]--;
        if (out[d] < 1) return mt_node_fail(n, err, MT_ERR_FORMAT, "no output places");
    }
    return MT_OK;
}

/* --- Conv --- */

static mt_status read_groups(mt_window *w, const mt_node *n, int64_t cin, int64_t cout,
                             int64_t per_group, mt_err *err)
{
    w->groups = mt_attr_int(n, "group", 1);
    if (w->groups < 1 || cin % w->groups || cout % w->groups || cin / w->groups != per_group ||
        !cin || !cout)
        return mt_node_fail(
            n, err, MT_ERR_FORMAT, "%lld groups, %lld channels in, %lld out, weights for %lld",
            (long long)w->groups, (long long)cin, (long long)cout, (long long)per_group);
    return MT_OK;
}

static mt_status need_floats(mt_graph *g, mt_node *n, mt_err *err)
{
    for (int i = 0; i < n->n_in; i++) MT_TRY(mt_need_type(g, n, i, MT_T_FLOAT, err));
    return MT_OK;
}

/* What Conv and ConvTranspose begin with: their inputs looked at, an empty window as the params. */
static mt_status open_window(mt_graph *g, mt_node *n, mt_err *err)
{
    MT_TRY(mt_need_inputs(g, n, 2, 3, err));
    MT_TRY(need_floats(g, n, err));
    const mt_tensor *x = &mt_in(g, n, 0)->t, *wt = &mt_in(g, n, 1)->t;
    n->params = mt_graph_mem(g, sizeof(mt_window), err);
    if (!n->params) return MT_ERR_NO_MEMORY;
    if (x->rank != wt->rank || x->rank < 3)
        return mt_node_fail(n, err, MT_ERR_FORMAT, "input of rank %d, weights of rank %d", x->rank,
                            wt->rank);
    return MT_OK;
}

MT_INFER(mt_infer_conv)
{
    MT_TRY(open_window(g, n, err));
    const mt_tensor *x = &mt_in(g, n, 0)->t, *wt = &mt_in(g, n, 1)->t;
    mt_window *w = n->params;
    int64_t dims[MT_MAX_DIMS] = {x->dims[0], wt->dims[0]};
    MT_TRY(mt_window_read(w, dims + 2, g, n, x, wt->dims + 2, err));
    MT_TRY(read_groups(w, n, x->dims[1], wt->dims[0], wt->dims[1], err));
    if (mt_in(g, n, 2) && mt_tensor_count(&mt_in(g, n, 2)->t) != wt->dims[0])
        return mt_node_fail(n, err, MT_ERR_FORMAT, "%lld biases for %lld channels",
                            (long long)mt_tensor_count(&mt_in(g, n, 2)->t), (long long)wt->dims[0]);
    MT_TRY(mt_set_out(g, n, 0, MT_DT_F32, x->rank, dims, err));
    n->macs = (uint64_t)wt->dims[1];
    for (int d = 0; d < x->rank; d++)
        n->macs *= (uint64_t)dims[d] * (d > 1 ? (uint64_t)w->kernel[d - 2] : 1);
    return MT_OK;
}

/* Plain N-D convolution: weights that arrive with the run, three spatial dimensions. */
MT_RUN(mt_run_conv_plain)
{
    const mt_window *w = c->node->params;
    const mt_tensor *x = c->in[0], *wt = c->in[1];
    mt_tensor *o = c->out[0];
    const float *bias = c->node->n_in > 2 && c->in[2] ? c->in[2]->data : NULL;
    int nd = w->nd;
    int64_t per = wt->dims[1], cout = o->dims[1], ohw = 1, ihw = 1, khw = 1, xs[MT_MAX_DIMS];
    for (int d = nd - 1; d >= 0; d--) {
        xs[d] = ihw;
        ihw *= x->dims[d + 2];
        ohw *= o->dims[d + 2];
        khw *= w->kernel[d];
    }
    float *dst = o->data;
    for (int64_t i = 0; i < x->dims[0] * cout; i++) {
        int64_t oc = i % cout, group = oc / (cout / w->groups);
        const float *xg = (const float *)x->data + (i / cout * x->dims[1] + group * per) * ihw;
        const float *wo = (const float *)wt->data + oc * per * khw;
        int64_t op[MT_MAX_DIMS] = {0};
        for (int64_t p = 0; p < ohw; p++, mt_next(op, o->dims + 2, nd)) {
            float acc = bias ? bias[oc] : 0.0f;
            int64_t kp[MT_MAX_DIMS] = {0};
            for (int64_t q = 0; q < khw; q++, mt_next(kp, w->kernel, nd)) {
                int64_t at = 0;
                bool inside = true;
                for (int d = 0; d < nd; d++) {
                    int64_t v = op[d] * w->stride[d] + kp[d] * w->dilation[d] - w->pad_lo[d];
                    inside = inside && v >= 0 && v < x->dims[d + 2];
                    at += v * xs[d];
                }
                for (int64_t ic = 0; inside && ic < per; ic++)
                    acc += xg[ic * ihw + at] * wo[ic * khw + q];
            }
            *dst++ = acc;
        }
    }
    if (c->node->act != MT_ACT_NONE)
        mt_f32_act(c->k, o->data, o->data, (size_t)mt_tensor_count(o), c->node->act, c->node->act_a,
                   c->node->act_b);
    return MT_OK;
}

bool mt_conv_has_kernel(const mt_graph *g, const mt_node *n)
{
    if (strcmp(n->op->name, "Conv")) return false;
    const mt_value *x = g->values[n->in[0]], *w = g->values[n->in[1]], *o = g->values[n->out[0]];
    if (!w->constant || (n->n_in > 2 && n->in[2] >= 0 && !g->values[n->in[2]]->constant))
        return false;
    if (x->t.rank != 3 && x->t.rank != 4) return false;
    return mt_tensor_count(&x->t) > 0 && x->t.dims[1] <= 1 << 20 && o->t.dims[1] <= 1 << 20;
}

MT_RUN(mt_run_conv)
{
    if (!c->node->n_convs) return mt_run_conv_plain(c, err);
    const mt_tensor *x = c->in[0];
    mt_tensor *o = c->out[0];
    size_t image_in =
        mt_is_blocked_in(c, 0) ? mt_image_blocked(c->k, x) : (size_t)x->dims[1] * mt_plane(x);
    size_t image_out = mt_image_blocked(c->k, o);
    const float *res = c->node->residual >= 0 ? c->in[c->node->n_in - 1]->data : NULL;
    mt_conv *const *convs = c->node->convs;
    for (int64_t i = 0; i < x->dims[0]; i++) {
        const float *in = (const float *)x->data + (size_t)i * image_in;
        const float *r = res ? res + (size_t)i * image_out : NULL;
        float *out = (float *)o->data + (size_t)i * image_out;
        if (c->node->n_convs == 2) mt_conv_pair_run(convs[0], convs[1], in, r, out, c->scratch);
        else mt_conv_run(convs[0], in, r, out, c->scratch);
    }
    return MT_OK;
}

/* --- ConvTranspose --- */

MT_INFER(mt_infer_convtranspose)
{
    MT_TRY(open_window(g, n, err));
    const mt_tensor *x = &mt_in(g, n, 0)->t, *wt = &mt_in(g, n, 1)->t;
    mt_window *w = n->params;
    const char *mode = mt_attr_str(n, "auto_pad", "NOTSET");
    bool same = !strncmp(mode, "SAME", 4);
    w->groups = mt_attr_int(n, "group", 1);
    if (w->groups < 1 || wt->dims[0] != x->dims[1] || !x->dims[1] || !wt->dims[1] ||
        x->dims[1] % w->groups)
        return mt_node_fail(n, err, MT_ERR_FORMAT, "%lld groups, %lld channels, weights for %lld",
                            (long long)w->groups, (long long)x->dims[1], (long long)wt->dims[0]);
    int64_t cout;
    if (__builtin_mul_overflow(wt->dims[1], w->groups, &cout))
        return mt_node_fail(n, err, MT_ERR_LIMIT, "too many channels");
    MT_TRY(mt_window_read(w, NULL, g, n, x, wt->dims + 2, err));
    int64_t dims[MT_MAX_DIMS] = {x->dims[0], cout}, extra[MT_MAX_DIMS], shape[MT_MAX_DIMS];
    MT_TRY(list_or(extra, w->nd, 0, 0, g, n, "output_padding", err));
    int count;
    MT_TRY(mt_node_ints(shape, &count, MT_MAX_DIMS, g, n, -1, "output_shape", err));
    if (count >= 0 && count != w->nd && count != x->rank)
        return mt_node_fail(n, err, MT_ERR_FORMAT, "output_shape of %d", count);
    for (int d = 0; d < w->nd; d++) {
        int64_t full = (x->dims[d + 2] - 1) * w->stride[d] + extra[d] +
                       (w->kernel[d] - 1) * w->dilation[d] + 1;
        int64_t want = count >= 0 ? shape[count - w->nd + d]
                       : same     ? x->dims[d + 2] * w->stride[d]
                                  : -1;
        if (want < 0) dims[d + 2] = full - w->pad_lo[d] - w->pad_hi[d];
        else { /* the standard spreads what is left over */
            int64_t total = full - want, half = total >= 0 ? total / 2 : -((1 - total) / 2);
            if (total < -((int64_t)1 << 30))
                return mt_node_fail(n, err, MT_ERR_FORMAT, "output_shape %lld", (long long)want);
            w->pad_lo[d] = !strcmp(mode, "SAME_UPPER") ? half : total - half;
            w->pad_hi[d] = total - w->pad_lo[d];
            dims[d + 2] = want;
        }
        if (dims[d + 2] < 1) return mt_node_fail(n, err, MT_ERR_FORMAT, "no output places");
    }
    if (mt_in(g, n, 2) && mt_tensor_count(&mt_in(g, n, 2)->t) != cout)
        return mt_node_fail(n, err, MT_ERR_FORMAT, "wrong number of biases");
    n->macs = (uint64_t)wt->dims[1] * (uint64_t)mt_tensor_count(x);
    for (int d = 0; d < w->nd; d++) n->macs *= (uint64_t)w->kernel[d];
    return mt_set_out(g, n, 0, MT_DT_F32, x->rank, dims, err);
}

/* Adds what one input channel sends to one output channel. */
static void spread(const mt_window *w, const mt_tensor *x, const mt_tensor *o, const float *s,
                   const float *k, float *d)
{
    int nd = w->nd;
    int64_t ip[MT_MAX_DIMS] = {0}, os[MT_MAX_DIMS], n = 1, khw = 1, ohw = 1;
    for (int i = nd - 1; i >= 0; i--) {
        os[i] = ohw;
        ohw *= o->dims[i + 2];
        n *= x->dims[i + 2];
        khw *= w->kernel[i];
    }
    for (int64_t p = 0; p < n; p++, mt_next(ip, x->dims + 2, nd)) {
        int64_t kp[MT_MAX_DIMS] = {0};
        for (int64_t q = 0; q < khw; q++, mt_next(kp, w->kernel, nd)) {
            int64_t at = 0;
            bool inside = true;
            for (int i = 0; i < nd; i++) {
                int64_t v = ip[i] * w->stride[i] + kp[i] * w->dilation[i] - w->pad_lo[i];
                inside = inside && v >= 0 && v < o->dims[i + 2];
                at += v * os[i];
            }
            if (inside) d[at] += s[p] * k[q];
        }
    }
}

/* With known weights and one group: a 1x1 convolution to every tap (the taps' channels in whole
 * blocks), whose planes are then added where they belong, tap by tap in fixed order. */
bool mt_convt_has_kernel(const mt_graph *g, const mt_node *n)
{
    if (n->op->run != mt_run_convtranspose || ((const mt_window *)n->params)->groups != 1)
        return false;
    const mt_value *x = g->values[n->in[0]], *w = g->values[n->in[1]], *o = g->values[n->out[0]];
    if (!w->constant || (n->n_in > 2 && n->in[2] >= 0 && !g->values[n->in[2]]->constant))
        return false;
    if ((x->t.rank != 3 && x->t.rank != 4) || !mt_tensor_count(&x->t)) return false;
    return x->t.dims[1] <= 1 << 20 && o->t.dims[1] <= 1 << 16 && mt_tensor_count(&w->t) <= 1 << 28;
}

static void start_with_bias(float *d, const float *bias, int64_t cout, size_t hw, int block)
{
    for (int64_t first = 0; first < cout; first += block)
        for (size_t p = 0; p < hw; p++)
            for (int j = 0; j < block; j++)
                *d++ = bias && first + j < cout ? bias[first + j] : 0.0f;
}

/* Adds tap (ky, kx)'s plane (h x w places of b floats) to an output plane. */
static void add_tap(const mt_window *w, int ky, int kx, const mt_tensor *x, const mt_tensor *o,
                    const float *s, float *d, int b)
{
    int r = w->nd - 1, two = w->nd == 2;
    int64_t ih = two ? x->dims[2] : 1, iw = x->dims[2 + r], oh = two ? o->dims[2] : 1,
            ow = o->dims[2 + r];
    for (int64_t y = 0; y < ih; y++) {
        int64_t oy = two ? y * w->stride[0] + ky * w->dilation[0] - w->pad_lo[0] : 0;
        if (oy < 0 || oy >= oh) continue;
        for (int64_t i = 0; i < iw; i++) {
            int64_t ox = i * w->stride[r] + kx * w->dilation[r] - w->pad_lo[r];
            if (ox < 0 || ox >= ow) continue;
            const float *from = s + (y * iw + i) * b;
            float *to = d + (oy * ow + ox) * b;
            for (int j = 0; j < b; j++) to[j] += from[j];
        }
    }
}

static void run_taps(const mt_call *c)
{
    const mt_window *w = c->node->params;
    const mt_tensor *x = c->in[0];
    mt_tensor *o = c->out[0];
    const float *bias = c->node->n_in > 2 && c->in[2] ? c->in[2]->data : NULL;
    int b = c->k->block, kh = w->nd == 2 ? (int)w->kernel[0] : 1, kw = (int)w->kernel[w->nd - 1];
    size_t blocks = (size_t)mt_blocks(c->k, (int)o->dims[1]), hw_in = mt_plane(x),
           hw_out = mt_plane(o);
    size_t image_in = mt_image_blocked(c->k, x), image_out = mt_image_blocked(c->k, o);
    float *taps = c->scratch, *more = taps + blocks * (size_t)(kh * kw * b) * hw_in;
    for (int64_t i = 0; i < x->dims[0]; i++) {
        float *d = (float *)o->data + (size_t)i * image_out;
        mt_conv_run(c->node->convs[0], (const float *)x->data + (size_t)i * image_in, NULL, taps,
                    more);
        start_with_bias(d, bias, o->dims[1], hw_out, b);
        for (int t = 0; t < kh * kw; t++)
            for (size_t k = 0; k < blocks; k++)
                add_tap(w, t / kw, t % kw, x, o,
                        taps + ((size_t)t * blocks + k) * hw_in * (size_t)b,
                        d + k * hw_out * (size_t)b, b);
        if (c->node->act != MT_ACT_NONE)
            mt_blocked_act(c->k, d, d, (int)o->dims[1], hw_out, c->node->act, c->node->act_a,
                           c->node->act_b);
    }
}

MT_RUN(mt_run_convtranspose)
{
    if (c->node->n_convs) {
        run_taps(c);
        return MT_OK;
    }
    const mt_window *w = c->node->params;
    const mt_tensor *x = c->in[0], *wt = c->in[1];
    mt_tensor *o = c->out[0];
    const float *bias = c->node->n_in > 2 && c->in[2] ? c->in[2]->data : NULL;
    int64_t cin = x->dims[1], cout = o->dims[1], per_in = cin / w->groups, per_out = wt->dims[1],
            ihw = 1, ohw = 1, khw = 1;
    for (int d = 0; d < w->nd; d++) {
        ihw *= x->dims[d + 2];
        ohw *= o->dims[d + 2];
        khw *= w->kernel[d];
    }
    for (int64_t i = 0; i < o->dims[0] * cout; i++) {
        int64_t oc = i % cout, group = oc / per_out;
        float *d = (float *)o->data + i * ohw;
        for (int64_t p = 0; p < ohw; p++) d[p] = bias ? bias[oc] : 0.0f;
        for (int64_t ic = group * per_in; ic < (group + 1) * per_in; ic++)
            spread(w, x, o, (const float *)x->data + (i / cout * cin + ic) * ihw,
                   (const float *)wt->data + (ic * per_out + oc % per_out) * khw, d);
    }
    if (c->node->act != MT_ACT_NONE)
        mt_f32_act(c->k, o->data, o->data, (size_t)mt_tensor_count(o), c->node->act, c->node->act_a,
                   c->node->act_b);
    return MT_OK;
}
