/* JSON, CSV, GeoJSON: golden files, what readers make of them, the same bytes twice. */
#include "tests/support/support.h"
#include <libdeflate.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/file.h"
#include "base/json.h"
#include "made.h"

static __attribute__((noinline)) char *slurp(const char *path, size_t *n)
{
    mt_err err = MT_ERR_INIT;
    uint8_t *data;
    size_t len;
    tt_ok(mt_file_read(&data, &len, path, (size_t)64 << 20, &err), &err);
    if (n) *n = len;
    return (char *)data;
}

static const char *write_made(const made *m, const char *writer, const char *dir, const char *file)
{
    mt_err err = MT_ERR_INIT;
    static char path[4][600];
    static int turn;
    char *p = path[turn++ & 3];
    tt_ok(mt_result_write(writer, &m->r, NULL, tt_tmp_file(dir), &err), &err);
    snprintf(p, sizeof path[0], "%s/%s", tt_tmp_file(dir), file);
    return p;
}

/* Compares with tests/golden/<name>; MT_UPDATE_GOLDEN=1 in the environment writes it instead. */
static void same_as_golden(const char *path, const char *name)
{
    size_t n, want_n;
    char golden[200];
    snprintf(golden, sizeof golden, "tests/golden/%s", name);
    char *got = slurp(path, &n);
    if (getenv("MT_UPDATE_GOLDEN")) {
        mt_err err = MT_ERR_INIT;
        tt_ok(mt_file_write(tt_source(golden), got, n, &err), &err);
    }
    char *want = slurp(tt_source(golden), &want_n);
    assert_string_equal(got, want);
    assert_int_equal(n, want_n);
    free(got);
    free(want);
}

static void golden_files(void **state)
{
    made m;
    made_small(&m);
    same_as_golden(write_made(&m, "json", "golden", "made/result.json"), "result.json");
    same_as_golden(write_made(&m, "csv", "golden", "model-outputs-csv/made.csv"), "made.csv");
    same_as_golden(write_made(&m, "geojson", "golden", "model-outputs-geojson/made.geojson"),
                   "made.geojson");
    made_free(&m);
}

static void the_same_bytes_twice(void **state)
{
    static const struct {
        const char *writer, *file;
    } files[] = {{"csv", "model-outputs-csv/made.csv"},
                 {"geojson", "model-outputs-geojson/made.geojson"},
                 {"geojson.gz", "model-outputs-geojson/made.geojson.gz"},
                 {"json", "made/result.json"},
                 {"heatmap", "made/heatmap.png"},
                 {"heatmap", "made/heatmap.tif"}};
    made m;
    made_small(&m);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        size_t a_n, b_n;
        char *a = slurp(write_made(&m, files[i].writer, "one", files[i].file), &a_n);
        sleep(i == 5); /* a time stamp would show */
        char *b = slurp(write_made(&m, files[i].writer, "two", files[i].file), &b_n);
        assert_int_equal(a_n, b_n);
        assert_memory_equal(a, b, a_n);
        free(a);
        free(b);
    }
    made_free(&m);
}

/* Two runs differ in the run block alone, and it is the last member. */
static void only_the_run_block_differs(void **state)
{
    made m;
    made_small(&m);
    char *a = slurp(write_made(&m, "json", "run1", "made/result.json"), NULL);
    strcpy(m.r.started, "2027-01-01T00:00:00Z");
    m.r.wall_s = 99;
    m.r.cpu_s = 1;
    m.r.threads = 64;
    m.r.fetch = (mt_fetch_stats){1, 2, 3, 4, 5, 6, 7, 8, 9};
    char *b = slurp(write_made(&m, "json", "run2", "made/result.json"), NULL);
    char *run_a = strstr(a, "\n  \"run\": {"), *run_b = strstr(b, "\n  \"run\": {");
    assert_non_null(run_a);
    assert_int_equal(run_a - a, run_b - b);
    assert_memory_equal(a, b, (size_t)(run_a - a));
    assert_string_not_equal(run_a, run_b);
    mt_err err = MT_ERR_INIT;
    json_t *j;
    tt_ok(mt_json_parse(&j, b, strlen(b), strlen(b), "result", &err), &err);
    const char *key, *last = NULL;
    json_t *v;
    json_object_foreach(j, key, v) last = key;
    assert_string_equal(last, "run");
    json_decref(j);
    free(a);
    free(b);
    made_free(&m);
}

/* Slide metadata other than geometry and spacing stays out of everything that is kept. */
static void no_slide_metadata(void **state)
{
    made m;
    made_small(&m);
    strcpy(m.r.slide.organ, "Secret organ");
    strcpy(m.r.slide.stain, "Secret stain");
    static const char *const files[][2] = {{"json", "made/result.json"},
                                           {"csv", "model-outputs-csv/made.csv"},
                                           {"geojson", "model-outputs-geojson/made.geojson"},
                                           {"heatmap", "made/heatmap.tif"}};
    for (size_t i = 0; i < 4; i++) {
        size_t n;
        char *t = slurp(write_made(&m, files[i][0], "meta", files[i][1]), &n);
        assert_null(memmem(t, n, "Serial 4711", 11));
        assert_null(memmem(t, n, "Secret", 6));
        assert_null(memmem(t, n, tt_tmp(), strlen(tt_tmp())));
        free(t);
    }
    made_free(&m);
}

static void not_analysed_is_said(void **state)
{
    made m;
    mt_err err = MT_ERR_INIT;
    made_begin(&m, 100);
    m.r.grade.graded = 0;
    m.r.grade.score = NAN;
    strcpy(m.r.grade.reason, "no tissue was found");
    char *t = slurp(write_made(&m, "json", "none", "made/result.json"), NULL);
    json_t *j;
    tt_ok(mt_json_parse(&j, t, strlen(t), strlen(t), "result", &err), &err);
    assert_string_equal(json_string_value(json_object_get(j, "status")), "not analysed");
    assert_string_equal(json_string_value(json_object_get(j, "statement")),
                        "not analysed: no tissue was found");
    json_t *grade = json_object_get(j, "grade");
    assert_true(json_is_false(json_object_get(grade, "graded")));
    assert_null(json_object_get(grade, "score"));
    assert_null(json_object_get(grade, "decision"));
    json_decref(j);
    free(t);
    t = slurp(write_made(&m, "csv", "none", "model-outputs-csv/made.csv"), NULL);
    assert_string_equal(t, "minx,miny,width,height,prob_Other,prob_Tumour\n");
    free(t);
    t = slurp(write_made(&m, "geojson", "none", "model-outputs-geojson/made.geojson"), NULL);
    tt_ok(mt_json_parse(&j, t, strlen(t), strlen(t), "geojson", &err), &err);
    assert_int_equal(json_array_size(json_object_get(j, "features")), 0);
    json_decref(j);
    free(t);
    made_free(&m);
}

/* Numbers survive: what is read back is the very float that went in. */
static void csv_reads_back(void **state)
{
    made m;
    made_begin(&m, 100);
    float want[60][2];
    for (int i = 0; i < 60; i++) {
        want[i][1] = i == 0 ? 1.0f : i == 1 ? 0.0f : i == 2 ? 1e-20f : (float)i / 61.7f;
        want[i][0] = 1.0f - want[i][1];
        made_add_tile(&m, i / 7 * 100, i % 7 * 100, i == 30 ? MT_TILE_NAN : MT_TILE_DONE, want[i]);
    }
    char *t = slurp(write_made(&m, "csv", "back", "model-outputs-csv/made.csv"), NULL),
         *save = NULL;
    char *row = strtok_r(t, "\n", &save);
    assert_string_equal(row, "minx,miny,width,height,prob_Other,prob_Tumour");
    for (int i = 0; i < 60; i++) {
        if (i == 30) continue;
        row = strtok_r(NULL, "\n", &save);
        long long x, y;
        int w, h, used;
        assert_int_equal(sscanf(row, "%lld,%lld,%d,%d,%n", &x, &y, &w, &h, &used), 4);
        assert_true(x == i / 7 * 100 && y == i % 7 * 100 && w == 100 && h == 100);
        char *end;
        assert_true(strtof(row + used, &end) == want[i][0]);
        assert_true(strtof(end + 1, &end) == want[i][1]);
        assert_true(*end == 0);
        assert_non_null(strpbrk(row + used, ".e"));
    }
    assert_null(strtok_r(NULL, "\n", &save));
    free(t);
    made_free(&m);
}

static void odd_class_names(void **state)
{
    made m;
    mt_err err = MT_ERR_INIT;
    made_small(&m);
    strcpy(m.card.class_names[0], "a \"b\", c");
    strcpy(m.card.class_names[1], "x\\\n<y>");
    char *t = slurp(write_made(&m, "csv", "odd", "model-outputs-csv/made.csv"), NULL);
    assert_non_null(
        strstr(t, "height,\"prob_a \"\"b\"\", c\",\"prob_x\\\n<y>\"\n0,0,100,100,0.9,0.1\n"));
    free(t);
    t = slurp(write_made(&m, "geojson", "odd", "model-outputs-geojson/made.geojson"), NULL);
    json_t *j;
    tt_ok(mt_json_parse(&j, t, strlen(t), strlen(t), "geojson", &err), &err);
    json_t *p = json_object_get(json_array_get(json_object_get(j, "features"), 0), "properties");
    assert_non_null(json_object_get(json_object_get(p, "measurements"), "prob_x\\\n<y>"));
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(p, "classification"), "name")),
        "a \"b\", c");
    json_decref(j);
    free(t);
    made_free(&m);
}

/* What QuPath needs of a feature; the ring as WSInfer orders it. */
static void check_feature(const json_t *f, long long x, long long y, float p0, const char *cls)
{
    assert_string_equal(json_string_value(json_object_get(f, "type")), "Feature");
    regex_t re;
    regcomp(&re, "^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$",
            REG_EXTENDED | REG_NOSUB);
    assert_int_equal(regexec(&re, json_string_value(json_object_get(f, "id")), 0, NULL, 0), 0);
    regfree(&re);
    const json_t *g = json_object_get(f, "geometry"),
                 *ring = json_array_get(json_object_get(g, "coordinates"), 0);
    assert_string_equal(json_string_value(json_object_get(g, "type")), "Polygon");
    const long long want[5][2] = {
        {x + 100, y}, {x + 100, y + 100}, {x, y + 100}, {x, y}, {x + 100, y}};
    assert_int_equal(json_array_size(ring), 5);
    for (size_t i = 0; i < 5; i++)
        for (size_t k = 0; k < 2; k++)
            assert_int_equal(json_integer_value(json_array_get(json_array_get(ring, i), k)),
                             want[i][k]);
    const json_t *p = json_object_get(f, "properties");
    assert_string_equal(json_string_value(json_object_get(p, "objectType")), "tile");
    assert_true(json_is_true(json_object_get(p, "isLocked")));
    assert_true((float)json_number_value(
                    json_object_get(json_object_get(p, "measurements"), "prob_Other")) == p0);
    const json_t *c = json_object_get(p, "classification");
    assert_string_equal(json_string_value(json_object_get(c, "name")), cls);
    assert_int_equal(json_array_size(json_object_get(c, "color")), 3);
}

static void geojson_is_what_qupath_reads(void **state)
{
    made m;
    mt_err err = MT_ERR_INIT;
    made_small(&m);
    char *t =
        slurp(write_made(&m, "geojson", "qupath", "model-outputs-geojson/made.geojson"), NULL);
    json_t *j;
    tt_ok(mt_json_parse(&j, t, strlen(t), strlen(t), "geojson", &err), &err);
    assert_string_equal(json_string_value(json_object_get(j, "type")), "FeatureCollection");
    const json_t *fs = json_object_get(j, "features");
    assert_int_equal(json_array_size(fs), 2); /* NaN and unreadable tiles are left out */
    check_feature(json_array_get(fs, 0), 0, 0, 0.9f, "Other");
    check_feature(json_array_get(fs, 1), 700, 500, 0.25f, "Tumour");
    json_decref(j);
    free(t);
    made_free(&m);
}

static void first_id(char id[37], made *m, const char *dir)
{
    char *t = slurp(write_made(m, "geojson", dir, "model-outputs-geojson/made.geojson"), NULL);
    memcpy(id, strstr(t, "\"id\":\"") + 6, 36);
    id[36] = 0;
    free(t);
}

/* The id names slide, model and box: any other part of the result may change. */
static void ids_are_stable(void **state)
{
    made m;
    char a[37], b[37];
    made_small(&m);
    first_id(a, &m, "id");
    m.plan.digest[0] = 'f';
    strcpy(m.r.stem, "made");
    strcpy(m.r.kernel_set, "avx512");
    first_id(b, &m, "id");
    assert_string_equal(a, b);
    m.r.slide_digest[63] = '0';
    first_id(b, &m, "id");
    assert_string_not_equal(a, b);
    m.r.slide_digest[63] = 'a';
    m.r.model_digest = "cd";
    first_id(b, &m, "id");
    assert_string_not_equal(a, b);
    made_free(&m);
}

static void no_two_ids_alike(void **state)
{
    made m;
    made_begin(&m, 100);
    const float p[2] = {0.5f, 0.5f};
    for (int i = 0; i < 4000; i++)
        made_add_tile(&m, i % 63, i / 63, MT_TILE_DONE, p);
    char *t = slurp(write_made(&m, "geojson", "ids", "model-outputs-geojson/made.geojson"), NULL);
    char *ids = malloc(4000 * 37), *at = t;
    for (int i = 0; i < 4000; i++) {
        at = strstr(at, "\"id\":\"") + 6;
        memcpy(ids + 37 * i, at, 36);
        ids[37 * i + 36] = 0;
    }
    qsort(ids, 4000, 37, (int (*)(const void *, const void *))(void *)strcmp);
    for (int i = 1; i < 4000; i++)
        assert_string_not_equal(ids + 37 * (i - 1), ids + 37 * i);
    free(ids);
    free(t);
    made_free(&m);
}

/* More than one block: the members joined are the plain file. No time stamp in any header. */
static void gzip_holds_the_same_text(void **state)
{
    made m;
    made_begin(&m, 100);
    for (int i = 0; i < 6000; i++) {
        const float p[2] = {(float)i / 6000, 1 - (float)i / 6000};
        made_add_tile(&m, i % 100, i / 100, MT_TILE_DONE, p);
    }
    size_t n, z_n, out_n = 0, members = 0;
    char *plain = slurp(write_made(&m, "geojson", "gz", "model-outputs-geojson/made.geojson"), &n);
    char *z =
        slurp(write_made(&m, "geojson.gz", "gz", "model-outputs-geojson/made.geojson.gz"), &z_n);
    assert_true(n > (1u << 20) && z_n < n / 4);
    char *out = malloc(n);
    struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
    for (size_t at = 0; at < z_n; members++) {
        size_t used, got;
        assert_memory_equal(z + at + 4, "\0\0\0\0", 4);
        assert_int_equal(
            libdeflate_gzip_decompress_ex(d, z + at, z_n - at, out + out_n, n - out_n, &used, &got),
            LIBDEFLATE_SUCCESS);
        at += used;
        out_n += got;
    }
    assert_true(members > 1);
    assert_int_equal(out_n, n);
    assert_memory_equal(out, plain, n);
    libdeflate_free_decompressor(d);
    free(out);
    free(z);
    free(plain);
    made_free(&m);
}

static void senseless_results_are_refused(void **state)
{
    made m;
    made_small(&m);
    static const char *const stems[] = {"", ".", "..", "a/b", "../x", "/etc/x"};
    for (size_t i = 0; i < sizeof stems / sizeof stems[0]; i++) {
        mt_err err = MT_ERR_INIT;
        strcpy(m.r.stem, stems[i]);
        assert_int_equal(mt_result_write("csv", &m.r, NULL, tt_tmp_file("bad"), &err), MT_ERR_ARG);
    }
    strcpy(m.r.stem, "made");
    mt_err err = MT_ERR_INIT;
    assert_int_equal(mt_result_write("pdf", &m.r, NULL, tt_tmp_file("bad"), &err), MT_ERR_ARG);
    assert_non_null(strstr(err.text, "pdf"));
    mt_err_clear(&err);
    m.card.n_classes = 65;
    assert_int_equal(mt_result_write("csv", &m.r, NULL, tt_tmp_file("bad"), &err), MT_ERR_ARG);
    m.card.n_classes = 2;
    mt_err_clear(&err);
    const uint8_t *states = m.r.tile_state;
    m.r.tile_state = NULL;
    assert_int_equal(mt_result_write("csv", &m.r, NULL, tt_tmp_file("bad"), &err), MT_ERR_ARG);
    m.r.tile_state = states;
    assert_false(mt_dir_exists(tt_tmp_file("bad")));
    made_free(&m);
}

static void every_writer_is_in_the_table(void **state)
{
    static const char *const dflt[] = {"json", "csv", "geojson", "heatmap", "qc"};
    size_t n = 0, by_default = 0;
    for (const mt_writer_info *w = mt_result_writers(); w->name; w++, n++) {
        assert_true(w->description[0]);
        if (w->by_default) assert_string_equal(w->name, dflt[by_default++]);
    }
    assert_int_equal(n, 6);
    assert_int_equal(by_default, 5);
}

/* A target that cannot be replaced: an error, no half file, no temporary left behind. */
static void nothing_half_written(void **state)
{
    made m;
    mt_err err = MT_ERR_INIT;
    made_small(&m);
    const char *out = tt_tmp_file("half");
    static const char *const places[][2] = {{"csv", "model-outputs-csv/made.csv"},
                                            {"json", "made/result.json"},
                                            {"geojson.gz", "model-outputs-geojson/made.geojson.gz"},
                                            {"heatmap", "made/heatmap.tif"}};
    for (size_t i = 0; i < 4; i++) {
        char path[700];
        snprintf(path, sizeof path, "%s/%s/x", out,
                 places[i][1]); /* a folder where the file should go */
        tt_ok(mt_dir_make(path, &err), &err);
        assert_true(mt_result_write(places[i][0], &m.r, NULL, out, &err) != MT_OK);
        mt_err_clear(&err);
        snprintf(path, sizeof path, "find '%s' -name '*.tmp' -o -type f | grep -q .", out);
        assert_int_not_equal(system(path), 0);
    }
    made_free(&m);
}

/* A disk that is full (here: a file size limit) is an I/O error of that writer, and leaves nothing.
 */
static void a_full_disk(void **state)
{
    made m;
    made_begin(&m, 16);
    m.plan.box_l0 = 16;
    for (int i = 0; i < 20000; i++) {
        const float v = (float)(i * 7919 % 20000) / 20000, p[2] = {1 - v, v};
        made_add_tile(&m, i % 62 * 16, i / 62 * 16 % 700, MT_TILE_DONE, p);
    }
    static const long limits[] = {0, 100, 5000, 1 << 20};
    struct rlimit old, tight;
    getrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, SIG_IGN);
    for (size_t k = 0; k < sizeof limits / sizeof limits[0]; k++)
        for (const mt_writer_info *w = mt_result_writers(); w->name; w++) {
            mt_err err = MT_ERR_INIT;
            char find[700];
            if (!strcmp(w->name, "qc")) continue; /* nothing to write without quality control */
            bool small = limits[k] >= 5000 && strncmp(w->name, "geojson", 7) != 0;
            if (small || (limits[k] == 1 << 20 && strcmp(w->name, "geojson") != 0)) continue;
            tight = (struct rlimit){(rlim_t)limits[k], old.rlim_max};
            setrlimit(RLIMIT_FSIZE, &tight);
            mt_status st = mt_result_write(w->name, &m.r, NULL, tt_tmp_file("full"), &err);
            setrlimit(RLIMIT_FSIZE, &old);
            assert_int_equal(st, MT_ERR_IO);
            snprintf(find, sizeof find, "find '%s' -type f | grep -q .", tt_tmp_file("full"));
            assert_int_not_equal(system(find), 0);
        }
    made_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_files),
        cmocka_unit_test(the_same_bytes_twice),
        cmocka_unit_test(only_the_run_block_differs),
        cmocka_unit_test(no_slide_metadata),
        cmocka_unit_test(not_analysed_is_said),
        cmocka_unit_test(csv_reads_back),
        cmocka_unit_test(odd_class_names),
        cmocka_unit_test(geojson_is_what_qupath_reads),
        cmocka_unit_test(ids_are_stable),
        cmocka_unit_test(no_two_ids_alike),
        cmocka_unit_test(gzip_holds_the_same_text),
        cmocka_unit_test(senseless_results_are_refused),
        cmocka_unit_test(every_writer_is_in_the_table),
        cmocka_unit_test(nothing_half_written),
        cmocka_unit_test(a_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
