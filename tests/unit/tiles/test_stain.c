/* Stains: against figures made by other means, against slides whose stains are known, the pass that
 * applies them, files of figures. */
#include "tests/support/support.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "base/mem.h"
#include "microtome/synth.h"
#include "slide/synth/draw.h"
#include "tiles/fetch/fetch.h"
#include "tiles/stain/stain.h"
#include "tiles/stain/math.h"

/* ---- the pictures of tests/kernels/stain_cases.py ---- */

enum { N = 12000 };
typedef struct made {
    int seed;
    double first[3], second[3], most[2];
} made;
static const made pictures[] = {{1, {0.65, 0.70, 0.29}, {0.20, 0.85, 0.48}, {2.2, 1.4}},
                                {2, {0.58, 0.72, 0.38}, {0.13, 0.90, 0.42}, {1.3, 1.9}},
                                {3, {0.63, 0.68, 0.37}, {0.29, 0.55, 0.78}, {1.6, 2.0}}};

static double next(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return (double)(*x >> 40) / 16777216.0;
}

static uint8_t *picture(int seed)
{
    const made *m = &pictures[seed - 1];
    double a[3], b[3];
    uint8_t *rgb = malloc(3 * N);
    uint64_t x = UINT64_C(0x9E3779B97F4A7C15) ^ (uint64_t)seed;
    memcpy(a, m->first, sizeof a);
    memcpy(b, m->second, sizeof b);
    stain_unit(a);
    stain_unit(b);
    for (int i = 0; i < N; i++) {
        double h = m->most[0] * next(&x), e;
        h *= next(&x);
        e = m->most[1] * next(&x);
        for (int c = 0; c < 3; c++) {
            double v = 240 * exp(-(h * a[c] + e * b[c])) - 1 + 2 * next(&x) - 1;
            rgb[3 * i + c] = (uint8_t)MT_MIN(MT_MAX(floor(v + 0.5), 0.0), 255.0);
        }
    }
    return rgb;
}

static const struct {
    int seed;
    double pixels, stained, first[3], second[3], strength[2], mean[3], std[3];
} figures[] = {
#define STAIN_PICTURE(s, n, k, a, b, c, d, e, f, g, h, i, j, l, m, o, p)                           \
    {s, n, k, {a, b, c}, {d, e, f}, {g, h}, {i, j, l}, {m, o, p}},
#define STAIN_PIXEL(...)
#include "tests/kernels/stain_cases.def"
#undef STAIN_PICTURE
#undef STAIN_PIXEL
};

static const struct {
    int seed;
    uint8_t px[3];
    double macenko[3], reinhard[3], grey[4];
} pixels[] = {
#define STAIN_PICTURE(...)
#define STAIN_PIXEL(s, r, g, b, m0, m1, m2, r0, r1, r2, a, c, d, e)                                \
    {s, {r, g, b}, {m0, m1, m2}, {r0, r1, r2}, {a, c, d, e}},
#include "tests/kernels/stain_cases.def"
#undef STAIN_PICTURE
#undef STAIN_PIXEL
};

static void near(double got, double want, double allowed, const char *what, int seed)
{
    if (!(fabs(got - want) <= allowed))
        fail_msg("%s of picture %d: %.9g, not %.9g", what, seed, got, want);
}

/* Pixels of one stain of several depths, with a little noise; `other` of a second one. */
static void one_stain(uint8_t *rgb, const double stain[3], const double second[3], double other)
{
    double a[3], b[3];
    uint64_t x = UINT64_C(0x9E3779B97F4A7C15);
    memcpy(a, stain, sizeof a);
    memcpy(b, second, sizeof b);
    stain_unit(a);
    stain_unit(b);
    for (int i = 0; i < N; i++) {
        double amount = 0.4 + 1.6 * next(&x), more = other * next(&x);
        double tint = 0.25 * (next(&x) - 0.5); /* a stain is not one colour everywhere */
        for (int c = 0; c < 3; c++) {
            double v = 240 * exp(-amount * (a[c] + (c == 2 ? tint : 0)) - more * b[c]) - 1;
            rgb[3 * i + c] = (uint8_t)MT_MIN(MT_MAX(floor(v + 0.5), 0.0), 255.0);
        }
    }
}

/* One stain alone gives two directions too: they are doubted, those of two stains are not. */
static void one_stain_is_doubted(void **state)
{
    static const double hematoxylin[3] = {0.65, 0.70, 0.29}, eosin[3] = {0.27, 0.85, 0.45};
    uint8_t *rgb = malloc(3 * N);
    mt_err err = MT_ERR_INIT;
    mt_stain s;
    const struct {
        const double *first, *second;
        double other;
        bool doubted;
    } cases[] = {{eosin, hematoxylin, 0, true},
                 {hematoxylin, eosin, 0, true},
                 {eosin, hematoxylin, 2, false}};
    for (size_t i = 0; i < MT_COUNT(cases); i++) {
        one_stain(rgb, cases[i].first, cases[i].second, cases[i].other);
        tt_ok(stain_of_pixels(&s, rgb, N, &err), &err);
        if ((s.warning[0] || s.fault[0]) != cases[i].doubted)
            fail_msg("case %zu: \"%s\" \"%s\", %.1f degrees", i, s.warning, s.fault, s.angle_deg);
        assert_true(!s.warning[0] || strstr(s.warning, "alone"));
    }
    free(rgb);
}

static void figures_by_other_means(void **state)
{
    for (size_t i = 0; i < MT_COUNT(figures); i++) {
        mt_err err = MT_ERR_INIT;
        mt_stain s;
        int seed = figures[i].seed;
        uint8_t *rgb = picture(seed);
        tt_ok(stain_of_pixels(&s, rgb, N, &err), &err);
        assert_string_equal(s.fault, "");
        assert_string_equal(s.warning, "");
        near((double)s.pixels, figures[i].pixels, 0, "pixels", seed);
        near((double)s.stained, figures[i].stained, 0, "stained pixels", seed);
        for (int c = 0; c < 3; c++) {
            near(s.vectors[0][c], figures[i].first[c], 2e-6, "first stain", seed);
            near(s.vectors[1][c], figures[i].second[c], 2e-6, "second stain", seed);
            near(s.lab_mean[c], figures[i].mean[c], 2e-6, "mean", seed);
            near(s.lab_std[c], figures[i].std[c], 2e-6, "deviation", seed);
        }
        for (int k = 0; k < 2; k++)
            near(s.strength[k], figures[i].strength[k], 5e-6, "strength", seed);
        /* and they are the stains that were mixed */
        assert_true(stain_angle(s.vectors[0], pictures[seed - 1].first) < 3);
        assert_true(stain_angle(s.vectors[1], pictures[seed - 1].second) < 3);
        free(rgb);
    }
}

static void apply(uint8_t out[3], const mt_stain_map *map, const uint8_t px[3])
{
    memcpy(out, px, 3);
    mt_stain_map_apply(map, out, 1);
}

static void maps_by_other_means(void **state)
{
    static const struct {
        mt_stain_channel channel;
        mt_stain_set set;
    } greys[4] = {{MT_CHANNEL_HEMATOXYLIN, MT_STAINS_HE},
                  {MT_CHANNEL_EOSIN, MT_STAINS_HE},
                  {MT_CHANNEL_DAB, MT_STAINS_HDAB},
                  {MT_CHANNEL_DAB, MT_STAINS_HED}};
    for (size_t i = 0; i < MT_COUNT(pixels); i++) {
        mt_err err = MT_ERR_INIT;
        mt_stain s;
        uint8_t *rgb = picture(pixels[i].seed), got[3];
        tt_ok(stain_of_pixels(&s, rgb, N, &err), &err);
        for (int m = MT_STAIN_MACENKO; m <= MT_STAIN_REINHARD; m++) {
            const double *want = m == MT_STAIN_MACENKO ? pixels[i].macenko : pixels[i].reinhard;
            mt_stain_map *map = NULL;
            tt_ok(mt_stain_map_normalise(&map, (mt_stain_method)m, &s, NULL, &err), &err);
            apply(got, map, pixels[i].px);
            for (int c = 0; c < 3; c++)
                near(got[c], want[c], 0.51, mt_stain_method_name((mt_stain_method)m),
                     pixels[i].seed);
            mt_stain_map_free(&map);
        }
        for (int k = 0; k < 4; k++) {
            mt_stain_map *map = NULL;
            tt_ok(mt_stain_map_channel(&map, greys[k].channel, greys[k].set, NULL, &err), &err);
            apply(got, map, pixels[i].px);
            near(got[0], pixels[i].grey[k], 0.51, "channel", k);
            assert_true(got[0] == got[1] && got[1] == got[2] && map->grey);
            mt_stain_map_free(&map);
        }
        free(rgb);
    }
}

/* To its own figures a slide comes back as it was, but for what lies outside the plane of its
 * stains. */
static void to_itself(void **state)
{
    mt_err err = MT_ERR_INIT;
    mt_stain s, after;
    uint8_t *rgb = picture(1), *copy = malloc(3 * N);
    tt_ok(stain_of_pixels(&s, rgb, N, &err), &err);
    for (int m = MT_STAIN_MACENKO; m <= MT_STAIN_REINHARD; m++) {
        mt_stain_map *map = NULL;
        memcpy(copy, rgb, 3 * N);
        tt_ok(mt_stain_map_normalise(&map, (mt_stain_method)m, &s, &s, &err), &err);
        mt_stain_map_apply(map, copy, N);
        int most = 0;
        for (int i = 0; i < 3 * N; i++)
            most = MT_MAX(most, abs(copy[i] - rgb[i]));
        assert_true(most <= (m == MT_STAIN_MACENKO ? 4 : 1));
        mt_stain_map_free(&map);
        /* to another target: its figures are the target's afterwards */
        memcpy(copy, rgb, 3 * N);
        tt_ok(mt_stain_map_normalise(&map, (mt_stain_method)m, &s, mt_stain_reference(), &err),
              &err);
        mt_stain_map_apply(map, copy, N);
        tt_ok(stain_of_pixels(&after, copy, N, &err), &err);
        for (int k = 0; k < 2 && m == MT_STAIN_MACENKO; k++) {
            assert_true(stain_angle(after.vectors[k], mt_stain_reference()->vectors[k]) < 3);
            near(after.strength[k], mt_stain_reference()->strength[k], 0.15, "strength", k);
        }
        for (int c = 0; c < 3 && m == MT_STAIN_REINHARD; c++)
            near(after.lab_mean[c], mt_stain_reference()->lab_mean[c], 0.25, "mean",
                 c); /* white clips */
        mt_stain_map_free(&map);
    }
    free(rgb);
    free(copy);
}

static void what_cannot_be_measured(void **state)
{
    mt_err err = MT_ERR_INIT;
    mt_stain s;
    mt_stain_map *map = NULL;
    uint8_t *rgb = malloc(3 * N);
    memset(rgb, 250, 3 * N); /* glass */
    assert_int_equal(stain_of_pixels(&s, rgb, N, &err), MT_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "0 tissue pixels"));
    mt_err_clear(&err);
    uint64_t x = 77;
    for (int i = 0; i < N; i++) { /* hematoxylin alone, in all amounts, with a scanner's noise */
        double h = 0.4 + 1.8 * next(&x);
        const double v[3] = {0.65, 0.70, 0.29};
        for (int c = 0; c < 3; c++)
            rgb[3 * i + c] = (uint8_t)(240 * exp(-h * v[c]) + 1.5 * next(&x));
    }
    tt_ok(stain_of_pixels(&s, rgb, N, &err), &err);
    assert_non_null(strstr(s.fault, "only one stain"));
    assert_int_equal(mt_stain_map_normalise(&map, MT_STAIN_MACENKO, &s, NULL, &err),
                     MT_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "degrees apart"));
    assert_null(map);
    mt_err_clear(&err);
    assert_int_equal(mt_stain_map_channel(&map, MT_CHANNEL_EOSIN, MT_STAINS_MEASURED, &s, &err),
                     MT_ERR_UNSUPPORTED);
    mt_err_clear(&err);
    tt_ok(mt_stain_map_normalise(&map, MT_STAIN_REINHARD, &s, NULL, &err), &err);
    mt_stain_map_free(&map);
    for (int i = 0; i < N; i++) { /* what brightens green while it darkens red */
        double red = 0.3 + 2.2 * next(&x), od[3] = {red, 1.0 - 0.3 * red, 0.3 + next(&x)};
        for (int c = 0; c < 3; c++)
            rgb[3 * i + c] = (uint8_t)(240 * exp(-od[c]) - 0.5);
    }
    tt_ok(stain_of_pixels(&s, rgb, N, &err), &err);
    assert_non_null(strstr(s.fault, "is no stain: its density in green is -0."));
    assert_int_equal(mt_stain_map_channel(&map, MT_CHANNEL_DAB, MT_STAINS_HE, NULL, &err),
                     MT_ERR_ARG);
    mt_err_clear(&err);
    assert_int_equal(mt_stain_map_channel(&map, MT_CHANNEL_EOSIN, MT_STAINS_HDAB, NULL, &err),
                     MT_ERR_ARG);
    free(rgb);
}

/* ---- slides with known stains ---- */

/* Optical density of one stain alone as the slide is drawn, from its table of colours. */
static void truth(double out[3], const synth_ctx *c, unsigned index)
{
    for (int k = 0; k < 3; k++)
        out[k] =
            -log((double)(c->colour[index] >> 8 * k & 255) / (double)(c->colour[0] >> 8 * k & 255));
    stain_unit(out);
}

static void drawn_slides(void **state)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        mt_err err = MT_ERR_INIT;
        mt_synth_opts o = MT_SYNTH_OPTS_INIT;
        char name[32];
        o.width = 2400;
        o.height = 2000;
        o.seed = seed;
        o.threads = 2;
        snprintf(name, sizeof name, "s%d.svs", (int)seed);
        const char *path = tt_tmp_file(name);
        tt_ok(mt_synth_write(path, &o, NULL, NULL, 0, NULL, NULL, &err), &err);
        mt_slide *slide = NULL;
        mt_tissue *tissue = NULL;
        mt_tissue_opts to = MT_TISSUE_OPTS_INIT;
        tt_ok(mt_slide_open(&slide, path, NULL, &err), &err);
        tt_ok(mt_tissue_detect(&tissue, slide, &to, &err), &err);
        mt_stain one, many, tight;
        tt_ok(mt_stain_measure(&one, slide, tissue, 1, 0, &err), &err);
        tt_ok(mt_stain_measure(&many, slide, tissue, 3, 0, &err), &err);
        tt_ok(mt_stain_measure(&tight, slide, tissue, 4, (uint64_t)6 << 20, &err), &err);
        assert_memory_equal(&one, &many, sizeof one);
        assert_memory_equal(&one, &tight, sizeof one);
        assert_string_equal(one.fault, "");
        synth_ctx *c = NULL;
        double h[3], e[3];
        tt_ok(synth_ctx_get(&c, &o, &err), &err);
        truth(h, c, 150u << 8);
        truth(e, c, 150u);
        synth_ctx_put(&c);
        if (stain_angle(one.vectors[0], h) > 5 || stain_angle(one.vectors[1], e) > 5)
            fail_msg("seed %d: hematoxylin %.1f and eosin %.1f degrees from the truth", (int)seed,
                     stain_angle(one.vectors[0], h), stain_angle(one.vectors[1], e));
        mt_tissue_free(&tissue);
        mt_slide_close(&slide);
    }
}

/* ---- in the pass ---- */

typedef struct kept {
    uint8_t *px;
    size_t bytes;
} kept;

static mt_status keep(void *ctx, int worker, const mt_fetched *tiles, int n, mt_err *err)
{
    kept *k = ctx;
    for (int i = 0; i < n; i++)
        memcpy(k->px + tiles[i].tile * k->bytes, tiles[i].rgb, k->bytes);
    return MT_OK;
}

static void in_the_pass(void **state)
{
    static const double spacings[] = {0.5, 0.7}; /* copies, and resampled tiles */
    mt_err err = MT_ERR_INIT;
    mt_synth_opts o = MT_SYNTH_OPTS_INIT;
    o.width = o.height = 1100;
    const char *path = tt_tmp_file("pass.svs");
    tt_ok(mt_synth_write(path, &o, NULL, NULL, 0, NULL, NULL, &err), &err);
    mt_slide *slide = NULL;
    tt_ok(mt_slide_open(&slide, path, NULL, &err), &err);
    uint8_t *rgb = picture(2);
    mt_stain s;
    mt_stain_map *map = NULL;
    tt_ok(stain_of_pixels(&s, rgb, N, &err), &err);
    tt_ok(mt_stain_map_normalise(&map, MT_STAIN_MACENKO, &s, NULL, &err), &err);
    for (size_t k = 0; k < MT_COUNT(spacings); k++) {
        mt_plan *plan = NULL;
        mt_plan_opts po = MT_PLAN_OPTS_INIT;
        po.whole_slide = 1;
        po.tile_px = 100;
        po.mpp = spacings[k];
        tt_ok(mt_plan_make(&plan, slide, NULL, &po, &err), &err);
        size_t bytes = (size_t)plan->out_px * (size_t)plan->out_px * 3, all = bytes * plan->n_tiles;
        kept plain = {malloc(all), bytes}, one = {malloc(all), bytes}, many = {malloc(all), bytes};
        mt_fetch_opts fo = MT_FETCH_OPTS_INIT;
        tt_ok(mt_fetch_run(slide, plan, &fo, keep, &plain, NULL, &err), &err);
        fo.stain = &map->map;
        tt_ok(mt_fetch_run(slide, plan, &fo, keep, &one, NULL, &err), &err);
        fo.threads = 3;
        fo.batch = 2;
        tt_ok(mt_fetch_run(slide, plan, &fo, keep, &many, NULL, &err), &err);
        assert_memory_not_equal(plain.px, one.px, all);
        mt_stain_map_apply(map, plain.px, all / 3);
        assert_memory_equal(plain.px, one.px, all);
        assert_memory_equal(plain.px, many.px, all);
        free(plain.px);
        free(one.px);
        free(many.px);
        mt_plan_free(&plan);
    }
    mt_stain_map_free(&map);
    mt_slide_close(&slide);
    free(rgb);
}

/* ---- files ---- */

static void there_and_back(void **state)
{
    mt_err err = MT_ERR_INIT;
    mt_stain s, t;
    uint8_t *rgb = picture(3);
    tt_ok(stain_of_pixels(&s, rgb, N, &err), &err);
    tt_ok(mt_stain_write(&s, tt_tmp_file("s.json"), &err), &err);
    tt_ok(mt_stain_load(&t, tt_tmp_file("s.json"), &err), &err);
    assert_memory_equal(s.vectors, t.vectors, sizeof s.vectors);
    assert_memory_equal(s.strength, t.strength, sizeof s.strength);
    assert_memory_equal(s.lab_mean, t.lab_mean, sizeof s.lab_mean);
    assert_memory_equal(s.lab_std, t.lab_std, sizeof s.lab_std);
    assert_true(s.pixels == t.pixels && s.stained == t.stained);
    mt_stain_request r;
    char words[300];
    snprintf(words, sizeof words, "macenko:%s", tt_tmp_file("s.json"));
    tt_ok(mt_stain_request_parse(&r, words, &err), &err);
    assert_true(r.method == MT_STAIN_MACENKO && r.own_target);
    assert_memory_equal(r.target.vectors, s.vectors, sizeof s.vectors);
    tt_ok(mt_stain_request_parse(&r, "reinhard", &err), &err);
    assert_true(r.method == MT_STAIN_REINHARD && !r.own_target);
    tt_ok(mt_stain_request_parse(&r, "none", &err), &err);
    assert_int_equal(r.method, MT_STAIN_NONE);
    assert_int_equal(mt_stain_request_parse(&r, "vahadane", &err), MT_ERR_ARG);
    mt_err_clear(&err);
    assert_int_equal(mt_stain_request_parse(&r, "macenko:", &err), MT_ERR_ARG);
    mt_err_clear(&err);
    assert_int_equal(mt_stain_request_parse(&r, "none:x", &err), MT_ERR_ARG);
    free(rgb);
}

#define HEAD "{\"format\":\"microtome-stain\",\"version\":1,"
static void bad_files(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"[]", "no JSON object"},
        {"{\"format\":\"x\"}", "not a stain file"},
        {"{\"format\":\"microtome-stain\",\"version\":2}", "not a stain file"},
        {HEAD "\"pixels\":1}", "neither"},
        {HEAD "\"macenko\":{}}", "\"hematoxylin\" is no list of 3"},
        {HEAD "\"macenko\":{\"hematoxylin\":[1,2,0]}}", "hematoxylin[1] is no number from -1 to 1"},
        {HEAD "\"macenko\":{\"hematoxylin\":[0.1,0.1,0.1],\"eosin\":[0,1,0],\"strength\":[1,1]}}",
         "length 0.1732"},
        {HEAD "\"macenko\":{\"hematoxylin\":[0,1,0],\"eosin\":[0,1,0],\"strength\":[1,1]}}",
         "degrees apart"},
        {HEAD "\"macenko\":{\"hematoxylin\":[1,0,0],\"eosin\":[0,1,0],\"strength\":[1,0]}}",
         "strength[1]"},
        {HEAD "\"reinhard\":{\"mean\":[8,0,0],\"std\":[1,0,1]}}", "std[1]"},
        {HEAD "\"reinhard\":{\"mean\":[8,0,0],\"std\":[1,\"a\",1]}}", "std[1]"},
    };
    for (size_t i = 0; i < MT_COUNT(cases); i++) {
        mt_err err = MT_ERR_INIT;
        mt_stain s;
        assert_int_equal(mt_stain_parse(&s, cases[i].text, strlen(cases[i].text), "t.json", &err),
                         MT_ERR_FORMAT);
        if (!strstr(err.text, cases[i].says) || !strstr(err.text, "t.json"))
            fail_msg("%s: says \"%s\", not \"%s\"", cases[i].text, err.text, cases[i].says);
    }
    /* half a file: the other method's figures are missing, and said to be */
    mt_err err = MT_ERR_INIT;
    mt_stain s;
    mt_stain_map *map = NULL;
    const char *half = HEAD "\"reinhard\":{\"mean\":[8,0,0],\"std\":[1,1,1]}}";
    tt_ok(mt_stain_parse(&s, half, strlen(half), "t.json", &err), &err);
    assert_int_equal(mt_stain_map_normalise(&map, MT_STAIN_MACENKO, mt_stain_reference(), &s, &err),
                     MT_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "no \"macenko\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_stain_is_doubted), cmocka_unit_test(figures_by_other_means),
                                       cmocka_unit_test(maps_by_other_means),
                                       cmocka_unit_test(to_itself),
                                       cmocka_unit_test(what_cannot_be_measured),
                                       cmocka_unit_test(drawn_slides),
                                       cmocka_unit_test(in_the_pass),
                                       cmocka_unit_test(there_and_back),
                                       cmocka_unit_test(bad_files)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
