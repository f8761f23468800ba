/* The morning report: what needs a human first, nothing of this machine, nothing that becomes
 * markup. */
#include "tests/support/support.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/json.h"
#include "microtome/result.h"
#include "results/report_words.h"

static const mt_report_row rows[] = {
    {.stem = "good",
     .slide_id = "s-0000000000000001",
     .state = MT_SLIDE_DONE,
     .graded = 1,
     .decision = "positive",
     .score = 0.9876,
     .tissue_mm2 = 12.34,
     .coverage = 0.995,
     .wall_s = 75,
     .tiles_per_s = 120,
     .n_tiles = 9000,
     .n_warnings = 2,
     .heatmap = "good/heatmap.png"},
    {.stem = "<script>alert(1)</script>&\"'",
     .slide_id = "s-0000000000000002",
     .state = MT_SLIDE_FAILED,
     .reason = "/srv/lab in/secret folder/x.svs: level 0: <b>bad</b>"},
    {.stem = "glass", .state = MT_SLIDE_EMPTY, .reason = "no tissue was found", .wall_s = 1.2},
    {.stem = "nograde",
     .state = MT_SLIDE_DONE,
     .reason = "2.1 % of the tissue tiles unreadable",
     .n_tiles = 500,
     .score = NAN,
     .tissue_mm2 = NAN,
     .coverage = 0.97,
     .wall_s = 4000,
     .heatmap = "javascript:alert(1) \"x/heatmap.png"},
    {.stem = "late", .state = MT_SLIDE_QUEUED},
    {.stem = "blurred", .state = MT_SLIDE_REJECTED_QC, .reason = "out of focus"},
    {.stem = "again",
     .state = MT_SLIDE_DONE,
     .graded = 1,
     .decision = "negative",
     .score = 0.1,
     .n_tiles = 77,
     .resumed = 1},
};
static const mt_report report = {.rows = rows,
                                 .n_rows = sizeof rows / sizeof rows[0],
                                 .model = "demo <1>",
                                 .model_state = "research",
                                 .engine_version = "0.1.0",
                                 .kernel_set = "avx2",
                                 .started = "2026-01-31T08:15:00Z",
                                 .updated = "2026-01-31T08:35:00Z",
                                 .wall_s = 95};

static char *written(const char *name)
{
    mt_err err = MT_ERR_INIT;
    uint8_t *data;
    size_t n;
    char path[600];
    tt_ok(mt_report_write(&report, tt_tmp_file("report"), &err), &err);
    snprintf(path, sizeof path, "%s/%s", tt_tmp_file("report"), name);
    tt_ok(mt_file_read(&data, &n, path, 1 << 22, &err), &err);
    return (char *)data;
}

static void json_has_every_slide_failures_first(void **state)
{
    mt_err err = MT_ERR_INIT;
    json_t *j;
    char *t = written("report.json");
    tt_ok(mt_json_parse(&j, t, strlen(t), strlen(t), "report", &err), &err);
    static const char *const order[] = {"failed", "rejected-qc", "empty", "queued",
                                        "done",   "done",        "done"};
    static const char *const stems[] = {NULL,      "blurred", "glass", "late",
                                        "nograde", "good",    "again"};
    const json_t *slides = json_object_get(j, "slides");
    assert_int_equal(json_array_size(slides), 7);
    for (size_t i = 0; i < 7; i++) {
        const json_t *s = json_array_get(slides, i);
        assert_string_equal(json_string_value(json_object_get(s, "state")), order[i]);
        if (stems[i]) assert_string_equal(json_string_value(json_object_get(s, "slide")), stems[i]);
    }
    const json_t *failed = json_array_get(slides, 0), *none = json_array_get(slides, 4),
                 *good = json_array_get(slides, 5);
    assert_string_equal(json_string_value(json_object_get(failed, "slide")), rows[1].stem);
    assert_string_equal(json_string_value(json_object_get(failed, "reason")),
                        "x.svs: level 0: <b>bad</b>");
    assert_true(json_is_null(json_object_get(none, "score")));
    assert_true(json_number_value(json_object_get(good, "score")) == 0.9876);
    const json_t *t9 = json_object_get(j, "totals");
    assert_int_equal(json_integer_value(json_object_get(t9, "slides")), 7);
    assert_int_equal(json_integer_value(json_object_get(t9, "done")), 3);
    assert_int_equal(json_integer_value(json_object_get(t9, "done_without_grade")), 1);
    assert_int_equal(json_integer_value(json_object_get(t9, "failed")), 1);
    assert_int_equal(json_integer_value(json_object_get(t9, "resumed")), 1);
    assert_int_equal(json_integer_value(json_object_get(t9, "tiles")),
                     9500); /* the resumed slide's are not of this run */
    assert_true(json_number_value(json_object_get(t9, "tiles_per_s")) == 100);
    json_decref(j);
    free(t);
}

static void page_is_safe_and_whole(void **state)
{
    char *t = written("report.html");
    assert_true(!strncmp(t, "<!DOCTYPE html>", 15) && strstr(t, "</html>\n"));
    assert_null(strstr(t, "<script"));
    assert_null(strstr(t, "<b>bad"));
    assert_non_null(strstr(t, "&lt;script&gt;alert(1)&lt;/script&gt;&amp;&quot;&#39;"));
    assert_null(strstr(t, "javascript:"));
    assert_non_null(strstr(t, "src=\"./javascript%3Aalert%281%29%20%22x/heatmap.png\""));
    assert_non_null(strstr(t, "src=\"./good/heatmap.png\""));
    assert_null(strstr(t, "/srv/"));
    assert_null(strstr(t, "secret"));
    assert_null(strstr(t, tt_tmp()));
    assert_null(strstr(t, "http")); /* nothing is loaded from anywhere */
    assert_null(strstr(t, "nan"));
    assert_non_null(strstr(t, "<strong>not analysed</strong>"));
    assert_non_null(strstr(t, "1 h 06 min"));
    assert_true(strstr(t, "x.svs") < strstr(t, ">good<"));
    size_t open = 0, close = 0;
    for (const char *p = t; (p = strstr(p, "<tr")); p++)
        open++;
    for (const char *p = t; (p = strstr(p, "</tr>")); p++)
        close++;
    assert_int_equal(open, 8);
    assert_int_equal(close, 8);
    free(t);
}

static void paths_shrink(void **state)
{
    static const char *const pairs[][2] = {
        {"/a/b/c.svs: cut short", "c.svs: cut short"},
        {"cannot open /a/b c/d.svs", "cannot open d.svs"},
        {"file '/x/y z/w': bad", "file 'w': bad"},
        {"asks for 0.25 um/px, the slide has 2 um/px",
         "asks for 0.25 um/px, the slide has 2 um/px"},
        {"rename /a/b: to \"/c/d\"", "rename b: to \"d\""},
        {"", ""},
        {"/", ""},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        char out[MT_ERR_TEXT];
        mt_report_text(out, pairs[i][0]);
        assert_string_equal(out, pairs[i][1]);
    }
}

static void states_have_names(void **state)
{
    static const char *const names[] = {"queued", "running",     "done",
                                        "failed", "rejected-qc", "empty"};
    for (int s = MT_SLIDE_QUEUED; s <= MT_SLIDE_EMPTY; s++)
        assert_string_equal(mt_slide_state_name((mt_slide_state)s), names[s]);
}

static void an_empty_night(void **state)
{
    mt_err err = MT_ERR_INIT;
    const mt_report none = {.model = "m"};
    tt_ok(mt_report_write(&none, tt_tmp_file("none"), &err), &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_has_every_slide_failures_first),
        cmocka_unit_test(page_is_safe_and_whole),
        cmocka_unit_test(paths_shrink),
        cmocka_unit_test(states_have_names),
        cmocka_unit_test(an_empty_night),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
