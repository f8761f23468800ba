/* Rules 4 and 7: where a model may run, how memory is shared out, what a key depends on. */
#include <stdio.h>
#include <string.h>
#include "engine/pipeline.h"
#include "engine/provenance.h"
#include "engine/scope.h"
#include "tests/support/support.h"

static mt_status check(mt_scope *s, const char *card_stain, const char *slide_stain,
                       const char *card_scanner, const char *slide_scanner, const char *reason)
{
    mt_card card = {.name = "m"};
    mt_slide_info slide = {0};
    snprintf(card.stain, sizeof card.stain, "%s", card_stain);
    snprintf(card.scanner, sizeof card.scanner, "%s", card_scanner);
    snprintf(slide.stain, sizeof slide.stain, "%s", slide_stain);
    snprintf(slide.scanner, sizeof slide.scanner, "%s", slide_scanner);
    mt_err err = MT_ERR_INIT;
    mt_status st = mt_scope_check(s, &card, &slide, reason, &err);
    assert_int_equal(st, err.code);
    if (slide_stain[0]) assert_null(strstr(err.text, "IHC-SECRET"));
    return st;
}

static void words(void **state)
{
    mt_scope s;
    assert_int_equal(check(&s, "", "", "", "", NULL), MT_OK);
    assert_int_equal(s.unverified + s.outside, 0);
    assert_int_equal(check(&s, "H&E", "", "", "", NULL), MT_OK);
    assert_int_equal(s.unverified, 1);
    assert_non_null(strstr(s.text, "stain"));
    static const char *const he[] = {"h&e", "HE", "Hematoxylin and Eosin", "haematoxylin-eosin",
                                     "H & E"};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(check(&s, "H&E", he[i], "", "", NULL), MT_OK);
        assert_int_equal(s.unverified, 0);
    }
    assert_int_equal(check(&s, "H&E", "IHC-SECRET", "", "", NULL), MT_ERR_SCOPE);
    assert_int_equal(check(&s, "H&E", "IHC-SECRET", "", "", ""), MT_ERR_SCOPE);
    assert_int_equal(check(&s, "H&E", "IHC-SECRET", "", "", "study 7"), MT_OK);
    assert_int_equal(s.outside, 1);
    assert_int_equal(check(&s, "", "", "aperio|hamamatsu", "Hamamatsu NanoZoomer", NULL), MT_OK);
    assert_int_equal(check(&s, "", "", "aperio|hamamatsu", "Leica", NULL), MT_ERR_SCOPE);
    assert_int_equal(check(&s, "H&E", "he", "aperio", "", NULL), MT_OK);
    assert_int_equal(s.unverified, 1);
}

/* Channels shown in grey are no colour picture, unless the card is for them. */
static void fluorescence(void **state)
{
    mt_card card = {.name = "colours"};
    mt_slide_info slide = {.fluorescence = 1};
    mt_scope scope;
    mt_err err = MT_ERR_INIT;
    assert_int_equal(mt_scope_check(&scope, &card, &slide, NULL, &err), MT_ERR_SCOPE);
    assert_non_null(strstr(err.text, "fluorescence"));
    mt_err_clear(&err);
    tt_ok(mt_scope_check(&scope, &card, &slide, "study", &err), &err);
    assert_int_equal(scope.outside, 1);
    assert_non_null(strstr(scope.text, "fluorescence"));
    snprintf(card.stain, sizeof card.stain, "DAPI|Fluorescence");
    snprintf(slide.stain, sizeof slide.stain, "DAPI");
    tt_ok(mt_scope_check(&scope, &card, &slide, NULL, &err), &err);
    assert_int_equal(scope.outside, 0);
}

static void synthetic(void **state)
{
    mt_card card = {.name = "demo", .synthetic_only = 1};
    mt_slide_info slide = {0};
    mt_scope s;
    mt_err err = MT_ERR_INIT;
    assert_int_equal(mt_scope_check(&s, &card, &slide, NULL, &err), MT_ERR_SCOPE);
    mt_err_clear(&err);
    tt_ok(mt_scope_check(&s, &card, &slide, "to see", &err), &err);
    assert_int_equal(s.outside, 1);
    slide.synthetic = 1;
    tt_ok(mt_scope_check(&s, &card, &slide, NULL, &err), &err);
    assert_int_equal(s.outside, 0);
}

static void budget(void **state)
{
    const uint64_t mib = 1 << 20;
    mt_budget b;
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_budget_split(&b, 400 * mib, 4, 50 * mib, &err), &err);
    assert_int_equal(b.threads, 4);
    assert_int_equal(b.fetch, 200 * mib);
    tt_ok(mt_budget_split(&b, 400 * mib, 8, 100 * mib, &err), &err);
    assert_int_equal(b.threads, 3);
    assert_int_equal(b.fetch, 100 * mib);
    assert_int_equal(mt_budget_split(&b, 100 * mib, 8, 100 * mib, &err), MT_ERR_LIMIT);
    assert_non_null(strstr(err.text, "100.0 MiB"));
    mt_err_clear(&err);
    assert_int_equal(mt_budget_split(&b, 1, 1, 1, &err), MT_ERR_LIMIT);
    /* The ceiling holds whatever is asked. */
    for (uint64_t m = 33; m < 900; m += 41)
        for (int t = 1; t < 70; t += 3) {
            mt_err_clear(&err);
            if (mt_budget_split(&b, m * mib, t, 17 * mib, &err) != MT_OK) continue;
            assert_true(b.threads >= 1 && b.threads <= t);
            assert_true(b.fetch >= 32 * mib && b.fetch + (uint64_t)b.threads * 17 * mib <= m * mib);
        }
}

static void plan_digest(void **state)
{
    mt_tile tiles[2] = {{0, 0, 512, 512, 0, 0, 0.5f}, {0, 512, 512, 512, 0, 1, 1.0f}};
    mt_plan plan = {.tiles = tiles,
                    .n_tiles = 2,
                    .tile_px = 256,
                    .out_px = 256,
                    .target_mpp = 0.5,
                    .slide_mpp = 0.25,
                    .box_l0 = 512,
                    .step_l0 = 512,
                    .level_downsample = 1,
                    .resample = 2,
                    .grid_cols = 1,
                    .grid_rows = 2};
    mt_err err = MT_ERR_INIT;
    char first[65];
    tt_ok(mt_plan_digest(&plan, &err), &err);
    memcpy(first, plan.digest, 65);
    tt_ok(mt_plan_digest(&plan, &err), &err);
    assert_string_equal(first, plan.digest); /* does not eat itself */
    /* The value is part of the format: another machine, another year, the same digits. */
    assert_string_equal(first, "b24b9e698125a23caeac9f66d9e1b3fc6846c2f405e7ce318476f6fb3c8af8ea");
    tiles[1].tissue = 0.75f;
    tt_ok(mt_plan_digest(&plan, &err), &err);
    assert_string_not_equal(first, plan.digest);
    tiles[1].tissue = 1.0f;
    tiles[1].y_l0 = -512;
    tt_ok(mt_plan_digest(&plan, &err), &err);
    assert_string_not_equal(first, plan.digest);
}

static void result_key(char out[65], const mt_card *card, double overlap, const char *stem)
{
    mt_err err = MT_ERR_INIT;
    mt_result_inputs in = {.card = card,
                           .model_digest = "m",
                           .kernel_set = "avx2",
                           .overlap = overlap,
                           .roi_digest = ""};
    tt_ok(mt_result_key(out, "slide", stem, &in, &err), &err);
}

static void keys(void **state)
{
    mt_card card = {.n_classes = 2, .patch_px = 64, .input_px = 64, .mpp = 0.5};
    mt_err err = MT_ERR_INIT;
    char a[65], b[65], s1[65], s2[65];
    result_key(a, &card, -1, "x");
    result_key(b, &card, -1, "x");
    assert_string_equal(a, b);
    result_key(b, &card, 0.5, "x");
    assert_string_not_equal(a, b);
    result_key(b, &card, -1, "y");
    assert_string_not_equal(a, b);
    tt_ok(mt_scores_key(s1, "slide", "model", &card, "plan", "avx2", NULL, &err), &err);
    card.n_thresholds = 1;
    card.thresholds[0].value = 0.25;
    /* A threshold changes the result and leaves the scores alone; a mean changes both. */
    result_key(b, &card, -1, "x");
    assert_string_not_equal(a, b);
    tt_ok(mt_scores_key(s2, "slide", "model", &card, "plan", "avx2", NULL, &err), &err);
    assert_string_equal(s1, s2);
    card.mean[1] = 0.5f;
    tt_ok(mt_scores_key(s2, "slide", "model", &card, "plan", "avx2", NULL, &err), &err);
    assert_string_not_equal(s1, s2);
    tt_ok(mt_scores_key(s1, "slide", "model", &card, "plan", "ref", NULL, &err), &err);
    assert_string_not_equal(s1, s2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(words), cmocka_unit_test(synthetic),
                                       cmocka_unit_test(fluorescence),
                                       cmocka_unit_test(budget), cmocka_unit_test(plan_digest),
                                       cmocka_unit_test(keys)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
