/* Every convolution variant against a naive double-precision convolution written here. */
#include <stdio.h>

#include "base/workers.h"
#include "kernel_check.h"
#include "kernels/scalar_math.h"

/* Plain CHW in and out, straight from the definition. Returns the largest sum before the
 * activation. */
static float naive(float *out, const mt_conv_desc *d, const float *in, const float *w,
                   const float *bias, const float *res)
{
    int cpg = d->cin / d->groups, opg = d->cout / d->groups;
    double top = 0;
    for (int o = 0; o < d->cout; o++)
        for (int y = 0; y < d->oh; y++)
            for (int x = 0; x < d->ow; x++) {
                double s = bias ? (double)bias[o] : 0.0;
                for (int i = 0; i < cpg; i++)
                    for (int ky = 0; ky < d->kh; ky++)
                        for (int kx = 0; kx < d->kw; kx++) {
                            int iy = y * d->sh + ky * d->dh - d->pt,
                                ix = x * d->sw + kx * d->dw - d->pl;
                            if (iy < 0 || ix < 0 || iy >= d->h || ix >= d->w) continue;
                            int c = o / opg * cpg + i;
                            s += (double)in[(c * d->h + iy) * d->w + ix] *
                                 (double)w[((o * cpg + i) * d->kh + ky) * d->kw + kx];
                        }
                size_t at = ((size_t)o * (size_t)d->oh + (size_t)y) * (size_t)d->ow + (size_t)x;
                if (res) s += (double)res[at];
                top = fmax(top, fabs(s));
                out[at] = mt_act1((float)s, d->act, d->act_a, d->act_b);
            }
    return (float)top;
}

static int out_size(int n, int k, int s, int d, int p0, int p1)
{
    return (n + p0 + p1 - (k - 1) * d - 1) / s + 1;
}

static mt_conv_desc conv(int cin, int cout, int groups, int h, int w, int kh, int kw)
{
    return (mt_conv_desc){.cin = cin,
                          .cout = cout,
                          .groups = groups,
                          .h = h,
                          .w = w,
                          .kh = kh,
                          .kw = kw,
                          .sh = 1,
                          .sw = 1,
                          .dh = 1,
                          .dw = 1,
                          .pt = kh / 2,
                          .pl = kw / 2,
                          .oh = h,
                          .ow = w};
}

static mt_conv_desc strided(mt_conv_desc d, int s, int p)
{
    d.sh = d.sw = s;
    d.pt = d.pl = p;
    d.oh = out_size(d.h, d.kh, s, d.dh, p, p);
    d.ow = out_size(d.w, d.kw, s, d.dw, p, p);
    return d;
}

typedef struct problem {
    mt_conv_desc d;
    float *in, *w, *bias, *res, *want; /* plain */
    float top;                         /* largest sum before the activation */
} problem;

static problem make(mt_conv_desc d, uint32_t seed)
{
    problem p = {.d = d};
    size_t n_in = (size_t)(d.cin * d.h * d.w), n_out = (size_t)(d.cout * d.oh * d.ow);
    size_t n_w = (size_t)(d.cout * (d.cin / d.groups) * d.kh * d.kw);
    p.in = malloc(n_in * sizeof(float) + 1);
    p.w = malloc(n_w * sizeof(float) + 1);
    p.bias = malloc((size_t)d.cout * sizeof(float));
    p.res = malloc(n_out * sizeof(float) + 1);
    p.want = malloc(n_out * sizeof(float) + 1);
    kc_fill(p.in, n_in, seed, 1.0f);
    kc_fill(p.w, n_w, seed + 1, 0.5f);
    kc_fill(p.bias, (size_t)d.cout, seed + 2, 0.5f);
    kc_fill(p.res, n_out, seed + 3, 1.0f);
    p.top = naive(p.want, &d, p.in, p.w, p.bias, d.residual ? p.res : NULL);
    return p;
}

static void drop(problem *p)
{
    free(p->in), free(p->w), free(p->bias), free(p->res), free(p->want);
}

static const char *row_of(const char *variant)
{
    if (!strncmp(variant, "plain", 5)) return "conv_plain";
    if (!strncmp(variant, "wino2", 5)) return "wino2_out";
    if (!strncmp(variant, "wino4", 5)) return "wino4_out";
    if (!strncmp(variant, "depthwise", 9)) return "dwconv";
    return "conv_tile";
}

/* variant NULL: the rule's choice. False when the variant does not serve the shape. */
static bool check(const mt_kernels *k, const problem *p, const char *variant, bool in_place)
{
    const mt_conv_desc *d = &p->d;
    mt_conv *c = NULL;
    mt_err err = MT_ERR_INIT;
    mt_status st = variant ? mt_conv_new_variant(&c, k, d, variant, p->w, p->bias, &err)
                           : mt_conv_new(&c, k, d, p->w, p->bias, &err);
    if (st == MT_ERR_UNSUPPORTED && variant) return false;
    tt_ok(st, &err);
    size_t hw = (size_t)(d->h * d->w), ohw = (size_t)(d->oh * d->ow),
           n_plain = (size_t)d->cout * ohw;
    kc_buf in = kc_new(d->in_plain ? (size_t)d->cin * hw : mt_blocked_floats(k, d->cin, hw),
                       d->in_plain ? 1 : 0);
    kc_buf out = kc_new(mt_blocked_floats(k, d->cout, ohw), 0), res = kc_new(out.n, 0);
    kc_buf scratch = kc_new(mt_conv_scratch_bytes(c) / sizeof(float), 0);
    if (d->in_plain)
        memcpy(in.p, p->in, in.n * sizeof(float));
    else
        mt_to_blocked(k, in.p, p->in, d->cin, hw);
    mt_to_blocked(k, res.p, p->res, d->cout, ohw);
    if (in_place) memcpy(out.p, res.p, out.n * sizeof(float));
    mt_conv_run(c, in.p, in_place ? out.p : res.p, out.p, scratch.p);

    char what[200];
    snprintf(what, sizeof what,
             "%s %s (%s) %d->%d g%d %dx%d -> %dx%d k%dx%d s%d,%d d%d,%d p%d,%d act%d%s%s", k->name,
             mt_conv_variant(c), variant ? variant : "rule", d->cin, d->cout, d->groups, d->h, d->w,
             d->oh, d->ow, d->kh, d->kw, d->sh, d->sw, d->dh, d->dw, d->pt, d->pl, (int)d->act,
             d->in_plain ? " plain" : "", in_place ? " in place" : "");
    float *got = malloc(n_plain * sizeof(float) + 1);
    mt_from_blocked(k, got, out.p, d->cout, ohw);
    float tol = mt_kernel_tolerance(row_of(mt_conv_variant(c)), k->level);
    kc_close(got, p->want, n_plain, tol * p->top, what);
    int used = d->cout % k->block;
    for (size_t i = 0; used && i < ohw; i++)
        for (int l = used; l < k->block; l++)
            if (out.p[out.n - (ohw - i) * (size_t)k->block + (size_t)l] != 0.0f)
                fail_msg("%s: a lane past the channels is not zero", what);

    /* Same bits when run again into other memory. */
    kc_buf again = kc_new(out.n, 0);
    mt_conv_run(c, in.p, res.p, again.p, scratch.p);
    if (memcmp(again.p, out.p, out.n * sizeof(float))) fail_msg("%s: the second run differs", what);
    free(got);
    kc_free(&in), kc_free(&out), kc_free(&res), kc_free(&scratch), kc_free(&again);
    mt_conv_free(&c);
    return true;
}

/* All variants of all instruction sets on one shape; returns how many served it besides the rule's.
 */
static int check_all(mt_conv_desc d, uint32_t seed)
{
    static const char *const variants[] = {"plain", "direct", "wino2", "wino4", "depthwise"};
    problem p = make(d, seed);
    int served = 0;
    KC_EACH_LEVEL(k)
    {
        for (size_t v = 0; v < MT_COUNT(variants); v++)
            served += check(k, &p, variants[v], false);
        check(k, &p, NULL, d.residual != 0);
    }
    drop(&p);
    return served;
}

static void channels(void **state)
{
    static const int counts[] = {1, 3, 7, 8, 9, 15, 16, 17, 31, 33, 48, 64, 65, 80, 96};
    uint32_t seed = 1;
    for (size_t i = 0; i < MT_COUNT(counts); i++)
        for (size_t j = 0; j < MT_COUNT(counts); j++) {
            mt_conv_desc d = conv(counts[i], counts[j], 1, 5, 7, 3, 3);
            if ((i + j) % 3 == 1) d = conv(counts[i], counts[j], 1, 5, 7, 1, 1);
            d.residual = (i + j) % 2;
            d.act = (i * j) % MT_ACT_COUNT;
            d.act_a = 0.2f, d.act_b = 0.6f;
            check_all(d, seed++);
        }
}

static void row_tails(void **state)
{
    for (int w = 1; w <= 40; w++) {
        mt_conv_desc d = conv(17, 20, 1, 1 + w % 5, w, 3, 3);
        d.act = MT_ACT_RELU;
        d.residual = 1;
        check_all(d, (uint32_t)w);
        d = conv(9, 64, 1, 1, w, 1, 1);
        check_all(d, (uint32_t)w);
        d = conv(24, 24, 24, 2 + w % 3, w, 3, 3);
        check_all(d, (uint32_t)w);
    }
}

static void strides_pads_dilations(void **state)
{
    uint32_t seed = 77;
    for (int i = 0; i < 160; i++) {
        mt_conv_desc d = {.cin = 1 + kc_pick(&seed, 40),
                          .cout = 1 + kc_pick(&seed, 70),
                          .groups = 1,
                          .h = 1 + kc_pick(&seed, 14),
                          .w = 1 + kc_pick(&seed, 20),
                          .kh = 1 + kc_pick(&seed, 5),
                          .kw = 1 + kc_pick(&seed, 7),
                          .sh = 1 + kc_pick(&seed, 3),
                          .sw = 1 + kc_pick(&seed, 3),
                          .dh = 1 + kc_pick(&seed, 3),
                          .dw = 1 + kc_pick(&seed, 3)};
        int pb = kc_pick(&seed, 5), pr = kc_pick(&seed, 5);
        d.pt = kc_pick(&seed, 5);
        d.pl = kc_pick(&seed, 5);
        d.in_plain = kc_pick(&seed, 3) == 0;
        d.residual = kc_pick(&seed, 2);
        d.act = (mt_act)kc_pick(&seed, MT_ACT_COUNT);
        d.act_a = 0.25f, d.act_b = 0.5f;
        if (d.h + d.pt + pb < (d.kh - 1) * d.dh + 1 || d.w + d.pl + pr < (d.kw - 1) * d.dw + 1)
            continue;
        d.oh = out_size(d.h, d.kh, d.sh, d.dh, d.pt, pb);
        d.ow = out_size(d.w, d.kw, d.sw, d.dw, d.pl, pr);
        int served = check_all(d, seed);
        assert_true(served >= 1);
    }
}

static void groups(void **state)
{
    /* groups, channels in and out of a group */
    static const int cases[][3] = {{2, 8, 8},   {2, 16, 32}, {4, 4, 4},  {8, 2, 2},  {3, 5, 7},
                                   {32, 4, 4},  {6, 1, 2},   {24, 1, 1}, {17, 1, 3}, {40, 1, 1},
                                   {2, 33, 17}, {5, 16, 16}, {9, 2, 1}};
    for (size_t i = 0; i < MT_COUNT(cases); i++)
        for (int k = 1; k <= 5; k += 2) {
            int g = cases[i][0];
            mt_conv_desc d = conv(g * cases[i][1], g * cases[i][2], g, 7, 9, k, k);
            d.act = k == 3 ? MT_ACT_SIGMOID : MT_ACT_NONE;
            check_all(d, (uint32_t)i);
            check_all(strided(d, 2, k / 2), (uint32_t)i);
            d.in_plain = 1;
            d.residual = 1;
            check_all(d, (uint32_t)i);
        }
}

static void depthwise(void **state)
{
    static const int kernels[][4] = {{3, 1, 1, 1}, {3, 2, 1, 1}, {5, 1, 2, 1}, {5, 2, 2, 1},
                                     {7, 1, 3, 1}, {3, 1, 2, 2}, {2, 2, 0, 1}, {9, 3, 4, 1}};
    for (size_t i = 0; i < MT_COUNT(kernels); i++)
        for (int w = 9; w <= 33; w += 4)
            for (int act = 0; act < MT_ACT_COUNT; act += 2) {
                mt_conv_desc d = conv(19, 19, 19, 10, w, kernels[i][0], kernels[i][0]);
                d.dh = d.dw = kernels[i][3];
                d.act = (mt_act)act;
                d.act_a = 0.1f, d.act_b = 0.9f;
                d.residual = act % 4 == 0;
                check_all(strided(d, kernels[i][1], kernels[i][2]), (uint32_t)i);
            }
}

static void real_layers(void **state)
{
    mt_conv_desc stem = conv(3, 64, 1, 38, 38, 7, 7);
    stem.in_plain = 1;
    stem.act = MT_ACT_RELU;
    check_all(strided(stem, 2, 3), 1);
    mt_conv_desc body = conv(64, 64, 1, 24, 24, 3, 3);
    body.act = MT_ACT_RELU;
    body.residual = 1;
    check_all(body, 2);
    check_all(strided(body, 2, 1), 3);
    check_all(conv(128, 96, 1, 13, 13, 3, 3), 4);
    check_all(conv(320, 130, 1, 7, 7, 1, 1), 5);
    check_all(conv(600, 48, 1, 4, 4, 3, 3), 6);  /* several chunks of input blocks */
    check_all(conv(520, 80, 1, 1, 30, 1, 3), 7); /* 1-D */
    check_all(strided(conv(64, 128, 1, 17, 17, 1, 1), 2, 0), 8);
}

static void valid_and_asymmetric_winograd(void **state)
{
    for (int pads = 0; pads < 9; pads++)
        for (int n = 4; n < 14; n++) {
            mt_conv_desc d = conv(20, 24, 1, n, n + 2, 3, 3);
            d.pt = pads % 3;
            d.pl = pads / 3;
            d.oh = out_size(n, 3, 1, 1, d.pt, (pads + 1) % 3);
            d.ow = out_size(n + 2, 3, 1, 1, d.pl, (pads + 2) % 3);
            check_all(d, (uint32_t)(pads * 20 + n));
        }
}

/* Windows partly or wholly in the padding, far from the image. */
static void huge_pads(void **state)
{
    static const int pads[][2] = {{4, 4}, {5, 7}, {9, 0}, {0, 40}, {1000, 3}, {1 << 20, 1 << 20}};
    for (size_t i = 0; i < MT_COUNT(pads); i++)
        for (int plain = 0; plain < 2; plain++) {
            mt_conv_desc d = conv(18, 20, 1, 5, 6, 3, 3);
            d.pt = pads[i][0], d.pl = pads[i][1];
            d.oh = 9, d.ow = 11;
            d.in_plain = plain;
            check_all(d, 1);
            d.groups = d.cout = 18;
            check_all(d, 2);
        }
}

/* The choice is a function of the shape: every table names its variant, small kernels at stride 1
 * of a body layer go to Winograd, strided ones to the direct loop. */
static void rule(void **state)
{
    float *w = calloc((size_t)128 * 128 * 9, sizeof *w);
    KC_EACH_LEVEL(k)
    {
        static const struct {
            int cin, cout, g, n, kk, s, p;
            const char *simd;
        } cases[] = {{64, 64, 1, 64, 3, 1, 1, "wino4x3"},
                     {128, 128, 1, 32, 3, 2, 1, "direct3x3"},
                     {64, 64, 1, 32, 1, 1, 0, "gemm1x1"},
                     {96, 96, 96, 32, 3, 1, 1, "depthwise3x3"},
                     {64, 64, 16, 16, 3, 1, 1, "grouped3x3"}};
        for (size_t i = 0; i < MT_COUNT(cases); i++) {
            mt_conv_desc d = strided(conv(cases[i].cin, cases[i].cout, cases[i].g, cases[i].n,
                                          cases[i].n, cases[i].kk, cases[i].kk),
                                     cases[i].s, cases[i].p);
            mt_conv *c = NULL;
            mt_err err = MT_ERR_INIT;
            tt_ok(mt_conv_new(&c, k, &d, w, NULL, &err), &err);
            bool wino = strncmp(cases[i].simd, "wino", 4) == 0; /* the reference has none */
            assert_string_equal(mt_conv_variant(c),
                                wino && k->level == MT_CPU_REF ? "direct3x3" : cases[i].simd);
            mt_conv_free(&c);
        }
    }
    free(w);
}

static void bad_descriptions(void **state)
{
    mt_cpu_mask(MT_CPU_AVX512);
    const mt_kernels *k = mt_kernels_get();
    float w[64 * 9] = {0};
    mt_conv_desc good = conv(4, 4, 1, 8, 8, 3, 3), d;
    mt_conv *c = NULL;
    mt_err err = MT_ERR_INIT;
#define REFUSED(change, want)                                                                      \
    d = good, change;                                                                              \
    mt_err_clear(&err);                                                                            \
    assert_int_equal(mt_conv_new(&c, k, &d, w, NULL, &err), want);                                 \
    assert_null(c);                                                                                \
    assert_int_equal(err.code, want)
    REFUSED(d.cin = 0, MT_ERR_ARG);
    REFUSED(d.groups = 3, MT_ERR_ARG);
    REFUSED(d.sw = 0, MT_ERR_ARG);
    REFUSED(d.kh = -1, MT_ERR_ARG);
    REFUSED(d.pt = -1, MT_ERR_ARG);
    REFUSED(d.pl = 1 << 21, MT_ERR_ARG);
    REFUSED(d.act = MT_ACT_COUNT, MT_ERR_ARG);
    REFUSED((d.h = d.w = d.oh = d.ow = 1 << 20), MT_ERR_LIMIT);
    REFUSED((d.dw = 1 << 23, d.kw = 9), MT_ERR_LIMIT);
    assert_int_equal(mt_conv_new_variant(&c, k, &good, "no such", w, NULL, NULL),
                     MT_ERR_UNSUPPORTED);
    mt_conv_free(&c);
    mt_conv_free(NULL);
}

/* A 1x1 convolution and the depthwise one behind it, in one pass: the bits of one after the other. */
static void check_pair(mt_conv_desc a, mt_conv_desc d, uint32_t seed)
{
    problem p = make(a, seed), q = make(d, seed + 1);
    KC_EACH_LEVEL(k)
    {
        mt_conv *first = NULL, *dw = NULL;
        mt_err err = MT_ERR_INIT;
        tt_ok(mt_conv_new_variant(&first, k, &a, "direct", p.w, p.bias, &err), &err);
        tt_ok(mt_conv_new_variant(&dw, k, &d, "depthwise", q.w, q.bias, &err), &err);
        assert_true(mt_conv_pairs(first, dw));
        size_t in_hw = (size_t)(a.h * a.w), out_n = mt_blocked_floats(k, d.cout, (size_t)(d.oh * d.ow));
        kc_buf in = kc_new(mt_blocked_floats(k, a.cin, in_hw), 1), want = kc_new(out_n, 0),
               got = kc_new(out_n, 3), between = kc_new(mt_blocked_floats(k, a.cout, in_hw), 0),
               s = kc_new(mt_conv_scratch_bytes(first) / 4 + 16, 0),
               ps = kc_new(mt_conv_pair_scratch_bytes(first, dw) / 4, 0), res = kc_new(out_n, 0);
        kc_fill(res.p, out_n, seed + 2, 1.0f);
        mt_to_blocked(k, in.p, p.in, a.cin, in_hw);
        mt_conv_run(first, in.p, NULL, between.p, s.p);
        mt_conv_run(dw, between.p, d.residual ? res.p : NULL, want.p, NULL);
        mt_conv_pair_run(first, dw, in.p, d.residual ? res.p : NULL, got.p, ps.p);
        for (size_t i = 0; i < out_n; i++)
            if (memcmp(&got.p[i], &want.p[i], sizeof(float)))
                fail_msg("%s %d->%d %dx%d k%d s%d p%d: [%zu] is %.9g alone, %.9g in a pair", k->name,
                         a.cin, a.cout, a.w, a.h, d.kh, d.sh, d.pt, i, (double)want.p[i],
                         (double)got.p[i]);
        kc_buf *all[] = {&in, &want, &got, &between, &s, &ps, &res};
        for (size_t i = 0; i < MT_COUNT(all); i++)
            kc_free(all[i]);
        mt_conv_free(&first), mt_conv_free(&dw);
    }
    drop(&p), drop(&q);
}

static void pairs(void **state)
{
    /* wide enough that a band is a few rows of them */
    static const struct {
        int cin, mid, h, w, kk, s, p;
        mt_act act;
    } cases[] = {{16, 96, 40, 300, 3, 1, 1, MT_ACT_CLIP}, {16, 96, 41, 300, 3, 2, 1, MT_ACT_RELU},
                 {24, 144, 37, 257, 5, 1, 2, MT_ACT_SILU}, {5, 70, 33, 311, 5, 2, 2, MT_ACT_HSWISH},
                 {40, 17, 3, 5, 7, 1, 3, MT_ACT_NONE},     {16, 20, 30, 600, 3, 1, 0, MT_ACT_SIGMOID},
                 {8, 64, 25, 2000, 7, 3, 6, MT_ACT_RELU},  {3, 33, 1, 1, 3, 1, 1, MT_ACT_TANH}};
    for (size_t i = 0; i < MT_COUNT(cases); i++) {
        mt_conv_desc a = conv(cases[i].cin, cases[i].mid, 1, cases[i].h, cases[i].w, 1, 1),
                     d = strided(conv(cases[i].mid, cases[i].mid, cases[i].mid, cases[i].h, cases[i].w,
                                      cases[i].kk, cases[i].kk),
                                 cases[i].s, cases[i].p);
        a.act = cases[i].act;
        a.act_b = 6.0f;
        d.act = i % 2 ? MT_ACT_SIGMOID : cases[i].act;
        d.act_b = 6.0f;
        d.residual = i % 3 == 1;
        check_pair(a, d, 40 + (uint32_t)i);
        d.pt = 11; /* windows above the image */
        d.oh += 9;
        check_pair(a, d, 60 + (uint32_t)i);
    }
}

/* NaN in the input is seen in the output by every variant. */
static void nan_travels(void **state)
{
    static const char *const variants[] = {"plain", "direct", "wino2", "wino4"};
    for (int act = 0; act < MT_ACT_COUNT; act++) {
        mt_conv_desc d = conv(16, 16, 1, 8, 8, 3, 3);
        d.act = (mt_act)act;
        d.act_a = 0.1f, d.act_b = 0.9f;
        problem p = make(d, 5);
        p.in[3 * 64 + 27] = NAN;
        KC_EACH_LEVEL(k) for (size_t v = 0; v < MT_COUNT(variants); v++)
        {
            mt_conv *c = NULL;
            if (mt_conv_new_variant(&c, k, &d, variants[v], p.w, p.bias, NULL) != MT_OK) continue;
            kc_buf in = kc_new(16 * 64, 0), out = kc_new(16 * 64, 0),
                   s = kc_new(mt_conv_scratch_bytes(c) / 4, 0);
            mt_to_blocked(k, in.p, p.in, 16, 64);
            mt_conv_run(c, in.p, NULL, out.p, s.p);
            for (int l = 0; l < k->block; l++)
                if (!isnan(out.p[27 * k->block + l]))
                    fail_msg("%s %s act %d swallows NaN", k->name, variants[v], act);
            kc_free(&in), kc_free(&out), kc_free(&s);
            mt_conv_free(&c);
        }
        drop(&p);
    }
}

/* One object, many threads, each with its own output and scratch. */
typedef struct crowd {
    const mt_conv *conv;
    const float *in;
    kc_buf out[4], scratch[4];
} crowd;

static void one_of_many(void *ctx, int worker)
{
    crowd *c = ctx;
    for (int i = 0; i < 5; i++)
        mt_conv_run(c->conv, c->in, NULL, c->out[worker].p, c->scratch[worker].p);
}

static void shared_by_threads(void **state)
{
    static const int kernels[] = {1, 3, 5}; /* gemm, Winograd, direct */
    KC_EACH_LEVEL(k) for (size_t i = 0; i < MT_COUNT(kernels); i++)
    {
        mt_conv_desc d = conv(40, 40, 1, 12, 12, kernels[i], kernels[i]);
        d.act = MT_ACT_SILU;
        problem p = make(d, 3);
        mt_conv *c = NULL;
        assert_int_equal(mt_conv_new(&c, k, &d, p.w, p.bias, NULL), MT_OK);
        size_t n = mt_blocked_floats(k, 40, 144);
        kc_buf in = kc_new(n, 0);
        mt_to_blocked(k, in.p, p.in, 40, 144);
        crowd all = {.conv = c, .in = in.p};
        for (int t = 0; t < 4; t++) {
            all.out[t] = kc_new(n, 0);
            all.scratch[t] = kc_new(mt_conv_scratch_bytes(c) / sizeof(float), 0);
        }
        mt_workers_run(4, one_of_many, &all);
        for (int t = 1; t < 4; t++)
            assert_memory_equal(all.out[0].p, all.out[t].p, n * sizeof(float));
        for (int t = 0; t < 4; t++)
            kc_free(&all.out[t]), kc_free(&all.scratch[t]);
        kc_free(&in);
        mt_conv_free(&c);
        drop(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(channels),
                                       cmocka_unit_test(row_tails),
                                       cmocka_unit_test(strides_pads_dilations),
                                       cmocka_unit_test(groups),
                                       cmocka_unit_test(depthwise),
                                       cmocka_unit_test(real_layers),
                                       cmocka_unit_test(valid_and_asymmetric_winograd),
                                       cmocka_unit_test(huge_pads),
                                       cmocka_unit_test(rule),
                                       cmocka_unit_test(bad_descriptions),
                                       cmocka_unit_test(pairs),
                                       cmocka_unit_test(nan_travels),
                                       cmocka_unit_test(shared_by_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
