/* 8-bit kernels: every instruction set, with VNNI and without, against sums in 64 bits and results
 * in double written here, and byte for byte against each other. */
#include <stdio.h>

#include "kernel_check.h"
#include "kernels/i8.h"

enum { CANARY = 0x5c, EDGE = 96 };

/* n bytes at `shift` past a 64-byte line, between canaries. */
typedef struct bytes {
    uint8_t *raw, *p;
    size_t n;
    int shift;
} bytes;

static bytes make(size_t n, int shift)
{
    bytes b = {NULL, NULL, n, shift};
    assert_int_equal(mt_alloc_aligned(&b.raw, n + 2 * EDGE + 64, (size_t)1 << 30, "test", NULL),
                     MT_OK);
    memset(b.raw, CANARY, n + 2 * EDGE + 64);
    b.p = b.raw + EDGE + shift;
    return b;
}

static void drop(bytes *b)
{
    for (size_t i = 0; i < b->n + 2 * EDGE + 64; i++) {
        bool inside = i >= (size_t)(EDGE + b->shift) && i < (size_t)(EDGE + b->shift) + b->n;
        if (!inside && b->raw[i] != CANARY) fail_msg("canary %zu of %zu bytes is gone", i, b->n);
    }
    free(b->raw);
}

static void fill(uint8_t *p, size_t n, uint32_t seed)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(kc_next(&seed) >> 16);
}

/* Every table: the levels, and avx512 once without its dot products. */
static const mt_kernels *table(int i)
{
    mt_cpu_mask_vnni(i == 2);
    return kc_level(i > 2 ? MT_CPU_AVX512 : i);
}
#define EACH_TABLE(k)                                                                              \
    for (int t_ = 0; t_ < 4; t_++)                                                                 \
        for (const mt_kernels *k = table(t_); k; k = NULL)

/* ---- convolution ---- */

typedef struct layer {
    mt_i8_conv_desc d;
    int8_t *w;
    float *scale, *bias;
    int n;
} layer;

static int out_size(int in, int k, int s, int d, int pad)
{
    return (in + pad - ((k - 1) * d + 1)) / s + 1;
}

/* A layer of any kind; dense, in groups, depthwise, stems, one place. */
static bool random_layer(layer *l, uint32_t *seed)
{
    static const mt_act acts[] = {MT_ACT_NONE,     MT_ACT_NONE,   MT_ACT_LEAKY, MT_ACT_SIGMOID,
                                  MT_ACT_HSIGMOID, MT_ACT_HSWISH, MT_ACT_SILU};
    static const int sizes[] = {1, 3, 5, 7};
    mt_i8_conv_desc d = {.groups = 1, .dh = 1, .dw = 1};
    int kind = kc_pick(seed, 5);
    d.cin = kind == 0 ? 1 + kc_pick(seed, 4) : 1 + kc_pick(seed, 90);
    d.cout = 1 + kc_pick(seed, 150);
    d.kh = sizes[kc_pick(seed, 4)];
    d.kw = kc_pick(seed, 3) ? d.kh : sizes[kc_pick(seed, 4)];
    if (kind == 1) d.groups = d.cout = d.cin;
    if (kind == 2) {
        d.groups = 1 + kc_pick(seed, 4);
        d.cin = d.groups * (1 + kc_pick(seed, 20));
        d.cout = d.groups * (1 + kc_pick(seed, 20));
    }
    if (kind == 3) d.kh = d.kw = 1;
    d.h = 1 + kc_pick(seed, 12);
    d.w = 1 + kc_pick(seed, 12);
    d.sh = 1 + kc_pick(seed, 2);
    d.sw = kc_pick(seed, 4) ? d.sh : 1 + kc_pick(seed, 3);
    if (!kc_pick(seed, 6)) d.dh = 2;
    if (!kc_pick(seed, 6)) d.dw = 2;
    d.pt = kc_pick(seed, 4);
    d.pl = kc_pick(seed, 4);
    d.oh = out_size(d.h, d.kh, d.sh, d.dh, d.pt + kc_pick(seed, 4));
    d.ow = out_size(d.w, d.kw, d.sw, d.dw, d.pl + kc_pick(seed, 4));
    if (d.h + d.pt + 3 < (d.kh - 1) * d.dh + 1 || d.oh < 1 || d.ow < 1) return false;
    d.in_zero = kc_pick(seed, 3) ? kc_pick(seed, 256) : 0;
    d.out_scale = 0.02f + 0.01f * (float)kc_pick(seed, 9);
    d.out_zero = kc_pick(seed, 256);
    d.lo = kc_pick(seed, 2) ? 0 : kc_pick(seed, 100);
    d.hi = kc_pick(seed, 2) ? 255 : 100 + kc_pick(seed, 156);
    d.residual = kc_pick(seed, 3) == 0;
    d.out_float = !d.residual && kc_pick(seed, 8) == 0;
    d.mid_scale = 0.03f;
    d.res_scale = 0.011f * (float)(1 + kc_pick(seed, 7));
    d.mid_zero = kc_pick(seed, 256);
    d.res_zero = kc_pick(seed, 256);
    if (!d.residual && !d.out_float) d.act = acts[kc_pick(seed, (int)MT_COUNT(acts))];
    d.act_a = d.act == MT_ACT_LEAKY ? 0.1f : 0.2f;
    d.act_b = 0.5f;
    size_t per = (size_t)(d.cin / d.groups * d.kh * d.kw);
    l->d = d;
    l->n = 1 + kc_pick(seed, 3);
    l->w = malloc((size_t)d.cout * per);
    l->scale = malloc((size_t)d.cout * sizeof(float));
    l->bias = malloc((size_t)d.cout * sizeof(float));
    fill((uint8_t *)l->w, (size_t)d.cout * per, *seed);
    for (int o = 0; o < d.cout; o++) {
        l->scale[o] = 1e-4f * (float)(1 + kc_pick(seed, 9));
        l->bias[o] = 0.3f * (float)(kc_pick(seed, 9) - 4);
    }
    return true;
}

static double act_exact(double x, const mt_i8_conv_desc *d)
{
    double a = (double)d->act_a, b = (double)d->act_b;
    switch (d->act) {
    case MT_ACT_LEAKY:
        return x < 0 ? a * x : x;
    case MT_ACT_SIGMOID:
        return 1 / (1 + exp(-x));
    case MT_ACT_HSIGMOID:
        return fmin(fmax(a * x + b, 0), 1);
    case MT_ACT_HSWISH:
        return x * fmin(fmax(x / 6 + 0.5, 0), 1);
    case MT_ACT_SILU:
        return x / (1 + exp(-x));
    default:
        return x;
    }
}

static int64_t sum_exact(const layer *l, const uint8_t *in, int o, int oy, int ox)
{
    const mt_i8_conv_desc *d = &l->d;
    int per = d->cin / d->groups, pitch = mt_i8_pitch(d->cin);
    int64_t sum = 0;
    for (int i = 0; i < per; i++)
        for (int ky = 0; ky < d->kh; ky++)
            for (int kx = 0; kx < d->kw; kx++) {
                int y = oy * d->sh + ky * d->dh - d->pt, x = ox * d->sw + kx * d->dw - d->pl;
                if (y < 0 || x < 0 || y >= d->h || x >= d->w) continue;
                int c = o / (d->cout / d->groups) * per + i;
                sum += (in[(y * d->w + x) * pitch + c] - d->in_zero) *
                       l->w[((o * per + i) * d->kh + ky) * d->kw + kx];
            }
    return sum;
}

/* In output steps from the zero point, before the last rounding. *slack: how far the rounding in
 * the middle may move it when that one lies on an edge. */
static double value_exact(const layer *l, int64_t sum, int o, int res, double *slack)
{
    const mt_i8_conv_desc *d = &l->d;
    double y = (double)sum * (double)l->scale[o] + (double)l->bias[o];
    *slack = 0;
    if (d->out_float) return y;
    if (!d->residual) return act_exact(y, d) / (double)d->out_scale;
    double q = y / (double)d->mid_scale, m = nearbyint(q);
    if (fabs(fabs(q - m) - 0.5) < 1e-3) *slack = (double)(d->mid_scale / d->out_scale);
    m = fmin(fmax(m, -d->mid_zero), 255 - d->mid_zero);
    return (m * (double)d->mid_scale + (res - d->res_zero) * (double)d->res_scale) /
           (double)d->out_scale;
}

static void compare(const layer *l, const uint8_t *in, const uint8_t *res, const void *out,
                    const char *what)
{
    const mt_i8_conv_desc *d = &l->d;
    int pitch = mt_i8_pitch(d->cout);
    for (int y = 0; y < d->oh; y++)
        for (int x = 0; x < d->ow; x++)
            for (int o = 0; o < d->cout; o++) {
                size_t at = (size_t)((y * d->ow + x) * pitch + o);
                double slack, v = value_exact(l, sum_exact(l, in, o, y, x), o, res[at], &slack);
                if (d->out_float) {
                    double got = (double)((const float *)out)[at];
                    if (!(fabs(got - v) <= 1e-5 * fmax(1, fabs(v))))
                        fail_msg("%s: %g, not %g", what, got, v);
                    continue;
                }
                double want = fmin(fmax(nearbyint(v) + d->out_zero, d->lo), d->hi);
                double edge = fabs(fabs(v - nearbyint(v)) - 0.5) < 1e-3 + 1e-6 * fabs(v) ? 1 : 0;
                int got = ((const uint8_t *)out)[at];
                if (fabs(got - want) > edge + slack + (slack > 0 ? 1 : 0))
                    fail_msg("%s: place %d, %d channel %d: %d, not %g (%g)", what, y, x, o, got,
                             want, v);
            }
}

/* Runs on one table with awkward addresses; the bytes that count, tight. */
static uint8_t *run_layer(const layer *l, const mt_kernels *k, const uint8_t *in,
                          const uint8_t *res, int shift, bool in_place)
{
    const mt_i8_conv_desc *d = &l->d;
    size_t pitch = (size_t)mt_i8_pitch(d->cout), size = d->out_float ? sizeof(float) : 1;
    size_t in_n = (size_t)(l->n * d->h * d->w * mt_i8_pitch(d->cin)),
           places = (size_t)(l->n * d->oh * d->ow), out_n = places * pitch;
    mt_i8_conv *c = NULL;
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_i8_conv_new(&c, k, d, l->w, l->scale, l->bias, &err), &err);
    bytes x = make(in_n, shift), r = make(out_n, (shift * 7) % 16),
          o = make(out_n * size, d->out_float ? 4 : (shift * 3) % 32);
    bytes scratch = make(mt_i8_conv_scratch_bytes(c), 32); /* EDGE + 32 is a line */
    memcpy(x.p, in, in_n);
    memcpy(r.p, res, out_n);
    void *to = in_place && d->residual ? r.p : o.p;
    mt_i8_conv_run(c, (size_t)l->n, x.p, d->residual ? r.p : NULL, to, scratch.p);
    assert_memory_equal(x.p, in, in_n);
    uint8_t *tight = malloc(places * (size_t)d->cout * size + 1);
    for (size_t p = 0; p < places; p++)
        memcpy(tight + p * (size_t)d->cout * size, (uint8_t *)to + p * pitch * size,
               (size_t)d->cout * size);
    for (int i = 0; i < l->n; i++) {
        char what[160];
        snprintf(what, sizeof what, "%s %s %d-%d g%d %dx%d s%d,%d d%d,%d at %dx%d act %d%s%s",
                 k->name, mt_i8_conv_variant(c), d->cin, d->cout, d->groups, d->kh, d->kw, d->sh,
                 d->sw, d->dh, d->dw, d->h, d->w, (int)d->act, d->residual ? " residual" : "",
                 in_place ? " in place" : "");
        compare(l, in + (size_t)i * in_n / (size_t)l->n, res + (size_t)i * out_n / (size_t)l->n,
                (uint8_t *)to + (size_t)i * out_n / (size_t)l->n * size, what);
    }
    drop(&x), drop(&r), drop(&o), drop(&scratch);
    mt_i8_conv_free(&c);
    return tight;
}

static void convolutions(void **state)
{
    uint32_t seed = 20;
    for (int i = 0; i < 260; i++) {
        layer l;
        if (!random_layer(&l, &seed)) continue;
        const mt_i8_conv_desc *d = &l.d;
        size_t in_n = (size_t)(l.n * d->h * d->w * mt_i8_pitch(d->cin)),
               places = (size_t)(l.n * d->oh * d->ow),
               out_n = places * (size_t)mt_i8_pitch(d->cout),
               count = places * (size_t)d->cout * (d->out_float ? sizeof(float) : 1);
        uint8_t *in = malloc(in_n), *res = malloc(out_n), *first = NULL;
        fill(in, in_n, seed);
        fill(res, out_n, seed + 1);
        EACH_TABLE(k)
        {
            uint8_t *got = run_layer(&l, k, in, res, i % 5, i % 2);
            if (!first)
                first = got;
            else {
                if (memcmp(first, got, count))
                    fail_msg("layer %d: %s differs from ref", i, k->name);
                free(got);
            }
        }
        free(first), free(in), free(res), free(l.w), free(l.scale), free(l.bias);
    }
    mt_cpu_mask_vnni(0);
}

/* Largest bytes against largest weights: pairs that 16 bits would not hold. */
static void nothing_saturates(void **state)
{
    enum { C = 64, O = 16 };
    static int8_t w[O * C];
    float scale[O];
    for (int o = 0; o < O; o++) {
        scale[o] = 1.0f;
        for (int c = 0; c < C; c++)
            w[o * C + c] = o % 2 ? -128 : 127;
    }
    mt_i8_conv_desc d = {.cin = C,
                         .cout = O,
                         .groups = 1,
                         .h = 1,
                         .w = 1,
                         .oh = 1,
                         .ow = 1,
                         .kh = 1,
                         .kw = 1,
                         .sh = 1,
                         .sw = 1,
                         .dh = 1,
                         .dw = 1,
                         .out_float = 1};
    EACH_TABLE(k)
    {
        mt_i8_conv *c = NULL;
        mt_err err = MT_ERR_INIT;
        tt_ok(mt_i8_conv_new(&c, k, &d, w, scale, NULL, &err), &err);
        bytes in = make(C, 0), scratch = make(mt_i8_conv_scratch_bytes(c), 32);
        float out[O];
        memset(in.p, 255, C);
        mt_i8_conv_run(c, 1, in.p, NULL, out, scratch.p);
        for (int o = 0; o < O; o++)
            assert_true(out[o] == 255.0f * C * (o % 2 ? -128.0f : 127.0f));
        drop(&in), drop(&scratch);
        mt_i8_conv_free(&c);
    }
    mt_cpu_mask_vnni(0);
}

static void refusals(void **state)
{
    const mt_kernels *k = mt_kernels_get();
    mt_i8_conv *c = NULL;
    mt_err err = MT_ERR_INIT;
    int8_t w[4] = {1, 2, 3, 4};
    float scale[1] = {1.0f}, huge[1] = {1e12f};
    mt_i8_conv_desc d = {.cin = 4,
                         .cout = 1,
                         .groups = 1,
                         .h = 1,
                         .w = 1,
                         .oh = 1,
                         .ow = 1,
                         .kh = 1,
                         .kw = 1,
                         .sh = 1,
                         .sw = 1,
                         .dh = 1,
                         .dw = 1,
                         .out_scale = 1,
                         .hi = 255};
    assert_int_equal(mt_i8_conv_new(&c, k, &d, w, huge, NULL, &err), MT_ERR_UNSUPPORTED);
    d.lo = 300;
    mt_err_clear(&err);
    assert_int_equal(mt_i8_conv_new(&c, k, &d, w, scale, NULL, &err), MT_ERR_ARG);
    d.lo = 0;
    d.act = MT_ACT_TANH;
    mt_err_clear(&err);
    assert_int_equal(mt_i8_conv_new(&c, k, &d, w, scale, NULL, &err), MT_ERR_UNSUPPORTED);
    d.act = MT_ACT_SIGMOID; /* half of nothing, in steps of next to nothing */
    d.out_scale = 1e-12f;
    scale[0] = 1e-9f;
    mt_err_clear(&err);
    assert_int_equal(mt_i8_conv_new(&c, k, &d, w, scale, NULL, &err), MT_ERR_UNSUPPORTED);
    d.act = MT_ACT_LEAKY; /* steep: below zero becomes large */
    d.act_a = -1e7f;
    d.out_scale = scale[0] = 1.0f;
    mt_err_clear(&err);
    assert_int_equal(mt_i8_conv_new(&c, k, &d, w, scale, NULL, &err), MT_ERR_UNSUPPORTED);
    d.act = MT_ACT_NONE;
    d.groups = 3;
    mt_err_clear(&err);
    assert_int_equal(mt_i8_conv_new(&c, k, &d, w, scale, NULL, &err), MT_ERR_ARG);
    assert_null(c);
}

/* ---- element-wise ---- */

static void near_byte(int got, double v, const mt_i8_pair *d, const char *what)
{
    double want = fmin(fmax(nearbyint(v) + d->out_zero, d->lo), d->hi);
    double edge = fabs(fabs(v - nearbyint(v)) - 0.5) < 1e-3 ? 1 : 0;
    if (fabs(got - want) > edge) fail_msg("%s: %d, not %g (%g)", what, got, want, v);
}

static const mt_i8_pair pair = {.x_scale = 0.021f,
                                .y_scale = 0.037f,
                                .out_scale = 0.05f,
                                .x_zero = 119,
                                .y_zero = 3,
                                .out_zero = 101,
                                .lo = 20,
                                .hi = 250};

static void pairs(void **state)
{
    for (size_t n = 0; n < 200; n += 1 + n / 9) {
        uint8_t first[3][256], x0[256], y0[256];
        fill(x0, n, 1), fill(y0, n, 2);
        EACH_TABLE(k) for (int op = 0; op < 3; op++) for (int place = 0; place < 3; place++)
        {
            bytes x = make(n, (int)n % 7), y = make(n, 3), o = make(n, 5);
            memcpy(x.p, x0, n), memcpy(y.p, y0, n);
            uint8_t *to = place == 0 ? o.p : place == 1 ? x.p : y.p;
            if (op == 0)
                mt_i8_add(k, &pair, to, x.p, y.p, n);
            else if (op == 1)
                mt_i8_mul(k, &pair, to, x.p, y.p, n);
            else
                mt_i8_table(k, first[0] /* any 256 bytes */, to, x0, 0);
            for (size_t i = 0; op < 2 && i < n; i++) {
                double a = (x0[i] - 119) * (double)0.021f, b = (y0[i] - 3) * (double)0.037f;
                near_byte(to[i], (op ? a * b : a + b) / (double)0.05f, &pair, k->name);
            }
            if (op < 2 && t_ == 0 && place == 0) memcpy(first[op], to, n);
            if (op < 2) assert_memory_equal(to, first[op], n);
            drop(&x), drop(&y), drop(&o);
        }
    }
    uint8_t map[256], x[300], y[300];
    for (int i = 0; i < 256; i++)
        map[i] = (uint8_t)(i * 7 + 3);
    fill(x, sizeof x, 4);
    EACH_TABLE(k) for (size_t n = 0; n <= sizeof x; n += 1 + n / 3)
    {
        mt_i8_table(k, map, y, x, n);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(y[i], map[x[i]]);
    }
    mt_cpu_mask_vnni(0);
}

static void gates(void **state)
{
    for (int c = 5; c < 700; c += 1 + c / 2) {
        int pitch = mt_i8_pitch(c);
        size_t places = 9, n = (size_t)pitch * places;
        uint8_t *x0 = malloc(n), *gate = malloc((size_t)pitch), *first = malloc(n);
        fill(x0, n, 5), fill(gate, (size_t)pitch, 6);
        EACH_TABLE(k)
        {
            bytes x = make(n, 1), o = make(n, 2);
            memcpy(x.p, x0, n);
            uint8_t *to = c % 2 ? o.p : x.p;
            mt_i8_mul_channels(k, &pair, to, x.p, gate, pitch, places);
            for (size_t i = 0; i < n; i++)
                near_byte(to[i],
                          (x0[i] - 119) * (double)0.021f *
                              ((gate[i % (size_t)pitch] - 3) * (double)0.037f) / (double)0.05f,
                          &pair, "gate");
            if (t_ == 0) memcpy(first, to, n);
            assert_memory_equal(to, first, n);
            drop(&x), drop(&o);
        }
        free(x0), free(gate), free(first);
    }
    mt_cpu_mask_vnni(0);
}

/* ---- pools ---- */

static void pools(void **state)
{
    uint32_t seed = 8;
    for (int i = 0; i < 150; i++) {
        mt_pool_desc d = {.c = 1 + kc_pick(&seed, 150),
                          .h = 1 + kc_pick(&seed, 12),
                          .w = 1 + kc_pick(&seed, 12),
                          .sh = 1 + kc_pick(&seed, 3),
                          .sw = 1 + kc_pick(&seed, 3),
                          .dh = 1,
                          .dw = 1,
                          .pt = kc_pick(&seed, 2),
                          .pl = kc_pick(&seed, 2),
                          .pb = kc_pick(&seed, 2),
                          .pr = kc_pick(&seed, 2),
                          .count_include_pad = kc_pick(&seed, 2)};
        d.kh = 1 + kc_pick(&seed, d.h < 9 ? d.h : 9), d.kw = 1 + kc_pick(&seed, d.w < 9 ? d.w : 9);
        if (i % 5 == 0) d.kh = d.h, d.kw = d.w, d.pt = d.pl = d.pb = d.pr = 0; /* the whole plane */
        d.oh = out_size(d.h, d.kh, d.sh, 1, d.pt + d.pb),
        d.ow = out_size(d.w, d.kw, d.sw, 1, d.pl + d.pr);
        bool mean = i % 2;
        if (mean && d.kh * d.kw > 64) continue;
        int pitch = mt_i8_pitch(d.c);
        size_t in_n = (size_t)(d.h * d.w * pitch), out_n = (size_t)(d.oh * d.ow * pitch);
        uint8_t *first = malloc(out_n);
        EACH_TABLE(k)
        {
            bytes in = make(in_n, i % 4), out = make(out_n, i % 3);
            fill(in.p, in_n, (uint32_t)i);
            if (mean)
                mt_i8_avg_pool(k, &d, &pair, in.p, out.p);
            else
                mt_i8_max_pool(k, &d, in.p, out.p);
            for (int y = 0; y < d.oh; y++)
                for (int x = 0; x < d.ow; x++)
                    for (int c = 0; c < d.c; c++) {
                        int top = 0, sum = 0, n = 0, padded = 0,
                            got = out.p[(y * d.ow + x) * pitch + c];
                        for (int ky = 0; ky < d.kh; ky++)
                            for (int kx = 0; kx < d.kw; kx++) {
                                int iy = y * d.sh + ky - d.pt, ix = x * d.sw + kx - d.pl;
                                padded += iy < d.h + d.pb && ix < d.w + d.pr;
                                if (iy < 0 || ix < 0 || iy >= d.h || ix >= d.w) continue;
                                int v = in.p[(iy * d.w + ix) * pitch + c];
                                top = v > top ? v : top;
                                sum += v - pair.x_zero;
                                n++;
                            }
                        int by = d.count_include_pad ? padded : n;
                        if (mean)
                            near_byte(got, by ? sum * (double)0.021f / by / (double)0.05f : 0,
                                      &pair, "mean");
                        else
                            assert_int_equal(got, top);
                    }
            if (t_ == 0) memcpy(first, out.p, out_n);
            assert_memory_equal(out.p, first, out_n);
            drop(&in), drop(&out);
        }
        free(first);
    }
    mt_cpu_mask_vnni(0);
}

static void floats_and_back(void **state)
{
    for (int c = 1; c < 40; c += c < 5 ? 1 : 7)
        for (size_t hw = 1; hw < 90; hw += 1 + hw / 4) {
            size_t n = (size_t)c * hw, n_bytes = (size_t)mt_i8_pitch(c) * hw;
            float *x = malloc(n * sizeof *x), *back = malloc(n * sizeof *x);
            kc_fill(x, n, (uint32_t)c, 4.0f);
            x[0] = 0.125f; /* on the edge between 0.25 * 0 and 0.25 * 1: half goes to even */
            if (n > 1) x[1] = 1e30f;
            EACH_TABLE(k)
            {
                bytes q = make(n_bytes, (int)hw % 5);
                mt_i8_quantise(k, q.p, x, c, hw, 0.25f, 7);
                mt_i8_dequantise(k, back, q.p, c, hw, 0.25f, 7);
                for (size_t i = 0; i < n; i++) {
                    double want = fmin(fmax(nearbyint((double)x[i] / 0.25) + 7, 0), 255);
                    assert_int_equal(q.p[i % hw * (size_t)mt_i8_pitch(c) + i / hw], (int)want);
                    assert_true(back[i] == (float)(want - 7) * 0.25f);
                }
                drop(&q);
            }
            free(x), free(back);
        }
    mt_cpu_mask_vnni(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions),    cmocka_unit_test(nothing_saturates),
        cmocka_unit_test(refusals),        cmocka_unit_test(pairs),
        cmocka_unit_test(gates),           cmocka_unit_test(pools),
        cmocka_unit_test(floats_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
