/* Whole runs on slides made by code, with a small random network. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/file.h"
#include "base/json.h"
#include "microtome/batch.h"
#include "microtome/synth.h"
#include "microtome/system.h"
#include "slide/synth/tiff_write.h"
#include "tests/fault/trees.h"
#include "tests/support/support.h"

/* ---- slides ---- */

static void synth(const char *path, uint64_t seed, int64_t w, int64_t h)
{
    mt_err err = MT_ERR_INIT;
    mt_synth_opts o = MT_SYNTH_OPTS_INIT;
    o.width = w;
    o.height = h;
    o.seed = seed;
    MT_AUTO_FREE char *dir = strndup(path, (size_t)(mt_path_base(path) - path));
    tt_ok(mt_dir_make(dir, &err), &err);
    tt_ok(mt_synth_write(path, &o, NULL, NULL, 256, NULL, NULL, &err), &err);
}

/* Glass and nothing on it. */
static void blank(const char *path, const char *description)
{
    mt_err err = MT_ERR_INIT;
    mt_tiff_writer *w = NULL;
    mt_tiff_image im = MT_TIFF_IMAGE_INIT;
    uint8_t *white = malloc(512 * 512 * 3);
    int index;
    memset(white, 243, 512 * 512 * 3);
    im.width = im.height = 1024;
    im.tile_w = im.tile_h = 512;
    im.px_per_cm_x = im.px_per_cm_y = 20000;
    im.description = description;
    tt_ok(mt_tiff_writer_open(&w, path, false, &err), &err);
    tt_ok(mt_tiff_writer_image(&index, w, &im, &err), &err);
    for (uint64_t i = 0; i < 4; i++)
        tt_ok(mt_tiff_writer_put(w, index, i, white, 512 * 512 * 3, &err), &err);
    tt_ok(mt_tiff_writer_close(&w, &err), &err);
    free(white);
}

static char slide_a[4096], slide_b[4096], model[4096];

static int setup(void **state)
{
    snprintf(slide_a, sizeof slide_a, "%s", tt_tmp_file("slides/alpha.svs"));
    snprintf(slide_b, sizeof slide_b, "%s", tt_tmp_file("slides/beta.svs"));
    snprintf(model, sizeof model, "%s", tt_source("tests/fault/model"));
    synth(slide_a, 3, 2048, 1536);
    synth(slide_b, 4, 1536, 1280);
    return 0;
}

/* ---- runs ---- */

typedef struct seen {
    mt_report_row rows[16];
    size_t n;
    int graded, warnings;
    uint64_t stop_after; /* tiles, 0 = never */
    const char *cut;     /* file to shorten at the first progress of slide cut_slide */
    size_t cut_slide;
    int64_t cut_to;
} seen;

static int watch(void *ctx, const mt_run_event *e)
{
    seen *s = ctx;
    if (e->kind == MT_RUN_SLIDE_END) {
        assert_true(s->n < 16);
        s->rows[s->n++] = *e->row;
        s->graded += e->result && e->result->grade.graded;
    }
    s->warnings += e->kind == MT_RUN_WARNING;
    if (e->kind == MT_RUN_TILES && s->cut && e->slide == s->cut_slide) {
        assert_int_equal(truncate(s->cut, s->cut_to), 0);
        s->cut = NULL;
    }
    return e->kind == MT_RUN_TILES && s->stop_after && e->done >= s->stop_after;
}

static mt_run_opts opts_for(const char *const *in, size_t n, const char *out)
{
    mt_run_opts o = MT_RUN_OPTS_INIT;
    o.inputs = in;
    o.n_inputs = n;
    o.out_dir = out;
    o.model = model;
    o.threads = 2;
    return o;
}

static mt_run_summary run(const mt_run_opts *o, seen *s)
{
    mt_err err = MT_ERR_INIT;
    mt_run_summary sum;
    memset(s, 0, sizeof *s);
    tt_ok(mt_batch_run(o, watch, s, &sum, &err), &err);
    assert_int_equal(s->n, sum.n_slides);
    return sum;
}

static char *file(const char *fmt, ...) MT_PRINTF(1, 2);
static char *file(const char *fmt, ...)
{
    static char ring[8][8192];
    static int next;
    char *s = ring[next++ % 8];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(s, sizeof ring[0], fmt, ap);
    va_end(ap);
    return s;
}

static json_t *result_of(const char *out, const char *name)
{
    json_t *j = NULL;
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_json_load(&j, file("%s/%s/result.json", out, name), 1 << 24, &err), &err);
    return j;
}

static void everything_is_there(void **state)
{
    char out[4096];
    snprintf(out, sizeof out, "%s", tt_tmp_file("plain"));
    const char *in[] = {slide_a, slide_b};
    mt_run_opts o = opts_for(in, 2, out);
    seen s;
    mt_run_summary sum = run(&o, &s);
    assert_int_equal(sum.n_done, 2);
    assert_int_equal(sum.n_failed + sum.n_empty + sum.n_resumed, 0);
    assert_int_equal(s.graded, 2);
    assert_true(sum.fetch.tiles > 100);
    assert_int_equal(sum.fetch.native_decoded, sum.fetch.native_needed);
    for (int k = 0; k < 2; k++) {
        const char *name = k ? "beta" : "alpha";
        assert_true(mt_file_exists(file("%s/%s/result.json", out, name)));
        assert_true(mt_file_exists(file("%s/%s/tiles.h5", out, name)));
        assert_true(mt_file_exists(file("%s/%s/heatmap.tif", out, name)));
        assert_true(mt_file_exists(file("%s/%s/heatmap.png", out, name)));
        assert_true(mt_file_exists(file("%s/model-outputs-csv/%s.csv", out, name)));
        assert_true(mt_file_exists(file("%s/model-outputs-geojson/%s.geojson", out, name)));
        assert_false(mt_file_exists(file("%s/%s/tiles.journal", out, name)));
        assert_string_equal(s.rows[k].heatmap, file("%s/heatmap.png", name));
        assert_true(s.rows[k].graded && s.rows[k].coverage > 0.5 && s.rows[k].coverage <= 1.0);
        assert_true(s.rows[k].tissue_mm2 > 0 && s.rows[k].tissue_mm2 < 1.0);
    }
    assert_true(mt_file_exists(file("%s/report.json", out)));
    assert_true(mt_file_exists(file("%s/report.html", out)));
    json_t *j = result_of(out, "alpha");
    assert_int_equal(strlen(json_string_value(json_object_get(j, "key"))), 64);
    json_decref(j);
}

static void threads_and_batch_change_nothing(void **state)
{
    static const int threads[] = {1, 5, 2}, batch[] = {3, 1, 64};
    char plain[4096], out[4096];
    snprintf(plain, sizeof plain, "%s", tt_tmp_file("plain"));
    const char *in[] = {slide_a, slide_b};
    for (int i = 0; i < 3; i++) {
        seen s;
        snprintf(out, sizeof out, "%s", tt_tmp_file(file("threads-%d", i)));
        mt_run_opts o = opts_for(in, 2, out);
        o.threads = threads[i];
        o.batch = batch[i];
        o.memory = i == 1 ? (uint64_t)80 << 20 : 0;
        run(&o, &s);
        assert_int_equal(trees_differ(plain, out), 0);
    }
}

static void rerun_skips_and_regrades(void **state)
{
    char out[4096], plain[4096];
    snprintf(out, sizeof out, "%s", tt_tmp_file("again"));
    snprintf(plain, sizeof plain, "%s", tt_tmp_file("plain"));
    const char *in[] = {slide_a, slide_b};
    mt_run_opts o = opts_for(in, 2, out);
    seen s;
    run(&o, &s);
    double score = s.rows[0].score;
    struct stat before, after;
    assert_int_equal(stat(file("%s/alpha/result.json", out), &before), 0);

    mt_run_summary sum = run(&o, &s);
    assert_int_equal(sum.n_resumed, 2);
    assert_int_equal(sum.n_done, 2);
    assert_int_equal(sum.fetch.tiles, 0);
    assert_true(s.rows[0].score == score);
    assert_true(s.rows[0].graded && s.rows[0].n_tiles > 50 && s.rows[0].heatmap[0]);
    assert_int_equal(stat(file("%s/alpha/result.json", out), &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);

    /* Another top-k: graded anew from the store, not one tile is read. */
    o.topk = 1;
    sum = run(&o, &s);
    assert_int_equal(sum.n_resumed, 0);
    assert_int_equal(sum.fetch.tiles, 0);
    assert_true(s.rows[0].score > score);

    /* Forced: everything is done again and comes out the same as ever. */
    o.topk = 0;
    o.force = 1;
    sum = run(&o, &s);
    assert_int_equal(sum.n_resumed, 0);
    assert_true(sum.fetch.tiles > 100);
    assert_int_equal(trees_differ(plain, out), 0);

    /* A further export belongs to the result. */
    o.force = 0;
    o.exports = "geojson.gz";
    sum = run(&o, &s);
    assert_int_equal(sum.n_resumed + sum.fetch.tiles, 0);
    assert_true(mt_file_exists(file("%s/model-outputs-geojson/alpha.geojson.gz", out)));
    o.exports = "nonsense";
    mt_err err = MT_ERR_INIT;
    assert_int_equal(mt_batch_run(&o, NULL, NULL, NULL, &err), MT_ERR_ARG);
}

static void the_night_goes_on(void **state)
{
    char out[4096], bad[4096], empty[4096];
    mt_err err = MT_ERR_INIT;
    snprintf(out, sizeof out, "%s", tt_tmp_file("night"));
    snprintf(bad, sizeof bad, "%s", tt_tmp_file("slides2/broken-1234.svs"));
    snprintf(empty, sizeof empty, "%s", tt_tmp_file("slides2/glass.tif"));
    tt_ok(mt_dir_make(tt_tmp_file("slides2"), &err), &err);
    tt_ok(mt_file_write(bad, "II*\0garbage that is no slide", 28, &err), &err);
    blank(empty, NULL);
    const char *in[] = {bad, "/no/such/place/gone.svs", empty, slide_b};
    mt_run_opts o = opts_for(in, 4, out);
    seen s;
    mt_run_summary sum = run(&o, &s);
    assert_int_equal(sum.n_failed, 2);
    assert_int_equal(sum.n_empty, 1);
    assert_int_equal(sum.n_done, 1);
    assert_int_equal(s.rows[0].state, MT_SLIDE_FAILED);
    assert_true(s.rows[0].reason[0]);
    assert_null(strstr(s.rows[0].reason, "broken-1234")); /* texts that are kept name no file */
    assert_int_equal(s.rows[1].state, MT_SLIDE_FAILED);
    assert_int_equal(s.rows[2].state, MT_SLIDE_EMPTY);
    assert_string_equal(s.rows[2].reason, "no tissue");
    assert_int_equal(s.rows[3].state, MT_SLIDE_DONE);

    json_t *j = result_of(out, "broken-1234");
    assert_string_equal(json_string_value(json_object_get(j, "status")), "not analysed");
    assert_string_equal(json_string_value(json_object_get(j, "key")), "");
    json_decref(j);
    j = result_of(out, "glass");
    assert_string_equal(json_string_value(json_object_get(j, "status")), "not analysed");
    assert_false(json_is_true(json_object_get(json_object_get(j, "grade"), "graded")));
    json_decref(j);
    assert_false(mt_dir_exists(file("%s/gone", out)));

    /* The empty one is finished, the broken one is tried again and keeps its word. */
    sum = run(&o, &s);
    assert_int_equal(sum.n_resumed, 2);
    assert_int_equal(sum.n_failed, 2);
    assert_int_equal(s.rows[2].state, MT_SLIDE_EMPTY);
}

static void same_stem(void **state)
{
    char out[4096], one[4096], two[4096];
    mt_err err = MT_ERR_INIT;
    snprintf(out, sizeof out, "%s", tt_tmp_file("stems"));
    snprintf(one, sizeof one, "%s", tt_tmp_file("s1/case.svs"));
    snprintf(two, sizeof two, "%s", tt_tmp_file("s2/case.svs"));
    tt_ok(mt_dir_make(tt_tmp_file("s1"), &err), &err);
    tt_ok(mt_dir_make(tt_tmp_file("s2"), &err), &err);
    assert_int_equal(link(slide_a, one) | link(slide_b, two), 0);
    const char *in[] = {one, two};
    mt_run_opts o = opts_for(in, 2, out);
    seen s;
    mt_run_summary sum = run(&o, &s);
    assert_int_equal(sum.n_done, 2);
    char first[256];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(strncmp(s.rows[i].stem, "case~", 5), 0);
        assert_int_equal(strlen(s.rows[i].stem), 13);
        assert_int_equal(strncmp(s.rows[i].stem + 5, s.rows[i].slide_id + 2, 8), 0);
        assert_true(mt_file_exists(file("%s/%s/result.json", out, s.rows[i].stem)));
    }
    assert_string_not_equal(s.rows[0].stem, s.rows[1].stem);
    snprintf(first, sizeof first, "%s", s.rows[0].stem);
    sum = run(&o, &s);
    assert_int_equal(sum.n_resumed, 2);
    assert_string_equal(s.rows[0].stem, first);

    /* One after the other, in two runs: the second does not touch the first one's folder. */
    snprintf(out, sizeof out, "%s", tt_tmp_file("stems2"));
    run(&(mt_run_opts){.version = 1,
                       .inputs = in,
                       .n_inputs = 1,
                       .out_dir = out,
                       .model = model,
                       .overlap = -1,
                       .min_tissue = -1},
        &s);
    assert_string_equal(s.rows[0].stem, "case");
    run(&(mt_run_opts){.version = 1,
                       .inputs = in + 1,
                       .n_inputs = 1,
                       .out_dir = out,
                       .model = model,
                       .overlap = -1,
                       .min_tissue = -1},
        &s);
    assert_int_equal(strncmp(s.rows[0].stem, "case~", 5), 0);
    json_t *j = result_of(out, "case");
    assert_string_equal(json_string_value(json_object_get(json_object_get(j, "slide"), "stem")),
                        "case");
    json_decref(j);
}

static void stopped_and_taken_up(void **state)
{
    char out[4096], plain[4096];
    snprintf(out, sizeof out, "%s", tt_tmp_file("stopped"));
    snprintf(plain, sizeof plain, "%s", tt_tmp_file("plain"));
    const char *in[] = {slide_a, slide_b};
    mt_run_opts o = opts_for(in, 2, out);
    o.threads = 1;
    o.batch = 1;
    seen s = {.stop_after = 1};
    mt_err err = MT_ERR_INIT;
    mt_run_summary sum;
    assert_int_equal(mt_batch_run(&o, watch, &s, &sum, &err), MT_ERR_CANCELLED);
    assert_int_equal(sum.n_done + sum.n_failed, 0);
    assert_int_equal(s.rows[0].state, MT_SLIDE_QUEUED);
    assert_true(mt_file_exists(file("%s/alpha/tiles.journal", out)));
    assert_false(mt_file_exists(file("%s/alpha/result.json", out)));
    sum = run(&o, &s);
    assert_int_equal(sum.n_done, 2);
    assert_int_equal(sum.n_resumed, 0);
    assert_int_equal(trees_differ(plain, out), 0);
}

/* The file gets shorter while it is read: that slide fails, nothing false is kept of it. */
static void cut_while_read(void **state)
{
    char out[4096], plain[4096];
    snprintf(out, sizeof out, "%s", tt_tmp_file("cut"));
    snprintf(plain, sizeof plain, "%s", tt_tmp_file("plain"));
    uint8_t *whole;
    size_t n;
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_file_read(&whole, &n, slide_a, 1 << 28, &err), &err);
    const char *in[] = {slide_a, slide_b};
    mt_run_opts o = opts_for(in, 2, out);
    o.batch = 1;
    seen s = {.cut = slide_a, .cut_slide = 0, .cut_to = 8192};
    mt_run_summary sum;
    tt_ok(mt_batch_run(&o, watch, &s, &sum, &err), &err);
    assert_int_equal(s.rows[0].state, MT_SLIDE_FAILED);
    assert_int_equal(s.rows[1].state, MT_SLIDE_DONE);
    assert_int_equal(sum.n_failed, 1);
    tt_ok(mt_file_write(slide_a, whole, n, &err), &err);
    free(whole);
    sum = run(&o, &s);
    assert_int_equal(sum.n_done, 2);
    assert_int_equal(sum.n_resumed, 1);
    assert_int_equal(trees_differ(plain, out), 0);
}

static int never(void *ctx, const mt_run_event *e)
{
    fail_msg("an event before the run could begin");
    return 0;
}

static void errors_before_any_slide(void **state)
{
    mt_err err = MT_ERR_INIT;
    const char *in[] = {slide_a};
    tt_ok(mt_file_write(tt_tmp_file("plainfile"), "x", 1, &err), &err);
    char out[4096];
    snprintf(out, sizeof out, "%s", tt_tmp_file("plainfile/out"));
    mt_run_opts o = opts_for(in, 1, out);
    assert_int_not_equal(mt_batch_run(&o, never, NULL, NULL, &err), MT_OK);
    assert_non_null(strstr(err.text, "results cannot be written"));

    snprintf(out, sizeof out, "%s", tt_tmp_file("fine"));
    o.model = "/no/such/model.onnx";
    mt_err_clear(&err);
    assert_int_equal(mt_batch_run(&o, never, NULL, NULL, &err), MT_ERR_NOT_FOUND);
    o.model = model;
    o.roi_path = "/no/such/roi.geojson";
    mt_err_clear(&err);
    assert_int_equal(mt_batch_run(&o, never, NULL, NULL, &err), MT_ERR_NOT_FOUND);
    char bad[4096];
    snprintf(bad, sizeof bad, "%s", tt_tmp_file("bad.geojson"));
    mt_err_clear(&err);
    tt_ok(mt_file_write(bad, "{\"type\":\"Point\"}", 16, &err), &err);
    o.roi_path = bad;
    assert_int_equal(mt_batch_run(&o, never, NULL, NULL, &err), MT_ERR_FORMAT);
    assert_false(mt_dir_exists(out));
}

/* What a slide warns of when it is opened stands in its result, whatever becomes of it. */
static void warnings_of_the_slide(void **state)
{
    char out[4096], slide[4096];
    mt_err err = MT_ERR_INIT;
    snprintf(out, sizeof out, "%s", tt_tmp_file("warned"));
    snprintf(slide, sizeof slide, "%s", tt_tmp_file("s4/odd.svs"));
    tt_ok(mt_dir_make(tt_tmp_file("s4"), &err), &err);
    blank(slide, "Aperio Image Library v11.2.1\r\n1024x1024|AppMag = 80|MPP = 0.5");
    const char *in[] = {slide};
    mt_run_opts o = opts_for(in, 1, out);
    seen s;
    run(&o, &s);
    assert_int_equal(s.rows[0].state, MT_SLIDE_EMPTY);
    assert_true(s.rows[0].n_warnings >= 1 && s.warnings == s.rows[0].n_warnings);
    json_t *j = result_of(out, "odd");
    const char *first =
        json_string_value(json_array_get(json_object_get(j, "warnings"), 0));
    assert_non_null(first);
    assert_non_null(strstr(first, "AppMag"));
    json_decref(j);
}

static void memory_too_small(void **state)
{
    const char *in[] = {slide_b};
    char out[4096];
    snprintf(out, sizeof out, "%s", tt_tmp_file("small"));
    mt_run_opts o = opts_for(in, 1, out);
    o.memory = 1 << 20;
    seen s;
    mt_run_summary sum = run(&o, &s);
    assert_int_equal(sum.n_failed, 1);
    assert_non_null(strstr(s.rows[0].reason, "MiB"));

    /* Room for some of the workers only: fewer threads, a warning, the same scores. */
    o.memory = (uint64_t)48 << 20;
    o.threads = 200;
    sum = run(&o, &s);
    assert_int_equal(sum.n_done, 1);
    assert_true(s.warnings >= 1);
    json_t *j = result_of(out, "beta");
    json_int_t threads = json_integer_value(json_object_get(json_object_get(j, "run"), "threads"));
    assert_true(threads >= 1 && threads < 200);
    json_decref(j);
}

static void pseudonyms(void **state)
{
    char out[4096], named[4096], bad[4096];
    mt_err err = MT_ERR_INIT;
    snprintf(out, sizeof out, "%s", tt_tmp_file("pseudo"));
    snprintf(named, sizeof named, "%s", tt_tmp_file("s3/ACC77-DOE.svs"));
    snprintf(bad, sizeof bad, "%s", tt_tmp_file("s3/ACC78-DOE.svs"));
    tt_ok(mt_dir_make(tt_tmp_file("s3"), &err), &err);
    assert_int_equal(link(slide_b, named), 0);
    tt_ok(mt_file_write(bad, "nothing", 7, &err), &err);
    const char *in[] = {named, bad, "/no/such/ACC79-DOE.svs"};
    mt_run_opts o = opts_for(in, 3, out);
    o.pseudonyms = 1;
    seen s;
    run(&o, &s);
    assert_int_equal(s.rows[0].state, MT_SLIDE_DONE);
    assert_string_equal(s.rows[0].stem, s.rows[0].slide_id);
    assert_int_equal(trees_mention(out, "DOE"), 0);
}

static void real_slide(void **state)
{
    const char *slide = tt_data("slides/CMU-1-Small-Region.svs"),
               *net = tt_data("models/mitosis-slimresnet/model.onnx");
    if (!slide || !net) skip();
    char out[4096];
    snprintf(out, sizeof out, "%s", tt_tmp_file("real"));
    const char *bare = tt_data("slides/TCGA-CR-7395-01A-01-TS1.svs");
    const char *in[] = {slide, bare};
    mt_run_opts o = opts_for(in, bare ? 2 : 1, out);
    o.model = net;
    seen s;
    run(&o, &s);
    assert_int_equal(s.rows[0].state, MT_SLIDE_DONE);
    assert_int_equal(s.rows[0].graded, 1);
    assert_true(s.rows[0].n_warnings >= 1); /* 0.499 um/px for a model of 0.25: upsampled */
    json_t *j = result_of(out, s.rows[0].stem);
    assert_true(json_is_true(json_object_get(json_object_get(j, "plan"), "upsampled")));
    json_decref(j);
    if (!bare) return;
    assert_int_equal(s.rows[1].state, MT_SLIDE_FAILED);
    assert_non_null(strstr(s.rows[1].reason, "MPP"));
}

static void demo_refuses_real(void **state)
{
    const char *slide = tt_data("slides/CMU-1-Small-Region.svs");
    const mt_builtin_model *m = mt_model_builtin();
    while (m->name && strcmp(m->name, "demo-tumor"))
        m++;
    if (!slide || !m->name) skip();
    char out[4096];
    snprintf(out, sizeof out, "%s", tt_tmp_file("demo"));
    mt_run_opts o = opts_for(&slide, 1, out);
    o.model = "demo-tumor";
    seen s;
    run(&o, &s);
    assert_int_equal(s.rows[0].state, MT_SLIDE_FAILED);
    assert_non_null(strstr(s.rows[0].reason, "synthetic"));
    o.allow_out_of_scope = "a test of the marking";
    run(&o, &s);
    assert_int_equal(s.rows[0].state, MT_SLIDE_DONE);
    json_t *j = result_of(out, s.rows[0].stem);
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(j, "scope"), "override_reason")),
        "a test of the marking");
    json_decref(j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(everything_is_there),
                                       cmocka_unit_test(threads_and_batch_change_nothing),
                                       cmocka_unit_test(rerun_skips_and_regrades),
                                       cmocka_unit_test(the_night_goes_on),
                                       cmocka_unit_test(same_stem),
                                       cmocka_unit_test(stopped_and_taken_up),
                                       cmocka_unit_test(cut_while_read),
                                       cmocka_unit_test(errors_before_any_slide),
                                       cmocka_unit_test(warnings_of_the_slide),
                                       cmocka_unit_test(memory_too_small),
                                       cmocka_unit_test(pseudonyms),
                                       cmocka_unit_test(real_slide),
                                       cmocka_unit_test(demo_refuses_real)};
    return cmocka_run_group_tests(tests, setup, NULL);
}
