/* Files, folders and lists; names of results. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/file.h"
#include "service/inputs.h"
#include "service/leftovers.h"
#include "service/names.h"
#include "tests/support/support.h"

static void put(const char *path, const char *text)
{
    mt_err err = MT_ERR_INIT;
    MT_AUTO_FREE char *dir = strndup(path, (size_t)(mt_path_base(path) - path));
    tt_ok(mt_dir_make(dir, &err), &err);
    tt_ok(mt_file_write(path, text, strlen(text), &err), &err);
}

static void folders(void **state)
{
    static const char *const files[] = {"in/b.svs",        "in/a.TIFF",     "in/c.ndpi",
                                        "in/.hidden.svs",  "in/notes.txt",  "in/z.mrxs",
                                        "in/sub/deep.svs", "in/odd.svs.txt"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        put(tt_tmp_file(files[i]), "x");
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_dir_make(tt_tmp_file("in/folder.svs"), &err), &err);
    const char *dir = tt_tmp_file("in"), *b = tt_tmp_file("in/../in/b.svs"),
               *gone = tt_tmp_file("in/gone.svs");
    const char *in[] = {b, gone, dir};
    mt_inputs list;
    tt_ok(mt_inputs_expand(&list, in, 3, &err), &err);
    static const char *const want[] = {"b.svs", "gone.svs", "a.TIFF", "c.ndpi", "z.mrxs"};
    assert_int_equal(list.n, 5);
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(mt_path_base(list.items[i].path), want[i]);
    mt_inputs_free(&list);

    const char *empty = tt_tmp_file("in/folder.svs");
    assert_int_equal(mt_inputs_expand(&list, &empty, 1, &err), MT_ERR_ARG);
    mt_inputs_free(&list);
}

static mt_status csv(mt_inputs *list, const char *text, mt_err *err)
{
    *list = (mt_inputs){NULL, 0, 0};
    return mt_inputs_parse_csv(list, text, strlen(text), "dir", "list.csv", err);
}

static void lists(void **state)
{
    mt_err err = MT_ERR_INIT;
    mt_inputs l;
    tt_ok(csv(&l,
              "\xef\xbb\xbfid,WSI , mpp\r\n1,a.svs,0.25\r\n\r\n2,\"b, "
              "\"\"x\"\".svs\",\r\n3,/abs/c.svs, 0.5 ",
              &err),
          &err);
    assert_int_equal(l.n, 3);
    assert_string_equal(l.items[0].path, "dir/a.svs");
    assert_true(l.items[0].mpp == 0.25);
    assert_string_equal(l.items[1].path, "dir/b, \"x\".svs");
    assert_true(l.items[1].mpp == 0);
    assert_string_equal(l.items[2].path, "/abs/c.svs");
    assert_true(l.items[2].mpp == 0.5);
    mt_inputs_free(&l);

    static const struct {
        const char *text;
        mt_status want;
        const char *says;
    } bad[] = {{"", MT_ERR_ARG, "wsi"},
               {"slide,mpp\na.svs,1\n", MT_ERR_ARG, "wsi"},
               {"wsi,mpp\na.svs,fast\n", MT_ERR_FORMAT, "row 2"},
               {"wsi,mpp\na.svs,-1\n", MT_ERR_FORMAT, "row 2"},
               {"wsi,mpp\na.svs,nan\n", MT_ERR_FORMAT, "row 2"},
               {"wsi,mpp\na.svs,1\n,0.5\n", MT_ERR_FORMAT, "row 3"},
               {"wsi\n\"a.svs\n", MT_ERR_FORMAT, "quote"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        mt_err_clear(&err);
        assert_int_equal(csv(&l, bad[i].text, &err), bad[i].want);
        assert_non_null(strstr(err.text, bad[i].says));
        mt_inputs_free(&l);
    }
    /* paths start at the list's own folder */
    put(tt_tmp_file("lists/one.csv"), "wsi\nsub/a.svs\n");
    const char *path = tt_tmp_file("lists/one.csv"), *want = tt_tmp_file("lists/sub/a.svs");
    mt_err_clear(&err);
    tt_ok(mt_inputs_expand(&l, &path, 1, &err), &err);
    assert_string_equal(l.items[0].path, want);
    mt_inputs_free(&l);
}

static void stems(void **state)
{
    static const struct {
        const char *path, *want;
    } t[] = {{"/x/slide.svs", "slide"},
             {"a.ome.tif", "a.ome"},
             {"../.hidden.svs", "_hidden"},
             {"x/..svs", "_"},
             {"a\nb\\c\x7f.svs", "a_b_c_"},
             {"bad\xff\xfeutf.svs", "bad__utf"},
             {"gr\xc3\xbc\xc3\x9f.svs", "gr\xc3\xbc\xc3\x9f"},
             {"report.json.svs", "_report.json"},
             {"model-outputs-csv.tif", "_model-outputs-csv"},
             {"\xed\xa0\x80.svs", "___"}};
    char name[MT_NAME_BYTES];
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        mt_name_stem(name, t[i].path);
        assert_string_equal(name, t[i].want);
    }
    char longer[600];
    memset(longer, 'a', 500);
    strcpy(longer + 500, ".svs");
    mt_name_stem(name, longer);
    assert_true(strlen(name) > 100 && strlen(name) < 200);
}

static void same_stem(void **state)
{
    static const struct {
        const char *file, *bytes;
    } t[] = {{"n/1/x.svs", "one"},
             {"n/2/x.svs", "two"},
             {"n/3/y.svs", "three"},
             {"n/4/x.tif", "one"},
             {"n/5/x~7692c3ad.svs", "4"}};
    mt_inputs list = {NULL, 0, 0};
    mt_input items[5];
    mt_err err = MT_ERR_INIT;
    char(*names)[MT_NAME_BYTES], (*again)[MT_NAME_BYTES];
    for (size_t i = 0; i < 5; i++) {
        put(tt_tmp_file(t[i].file), t[i].bytes);
        items[i] = (mt_input){strdup(tt_tmp_file(t[i].file)), 0};
    }
    list = (mt_inputs){items, 5, 5};
    tt_ok(mt_names_decide(&names, &list, &err), &err);
    /* sha256("one") = 7692c3ad..., sha256("two") = 3fc4ccfe... */
    assert_string_equal(names[0], "x~7692c3ad");
    assert_string_equal(names[1], "x~3fc4ccfe");
    assert_string_equal(names[2], "y");
    for (size_t i = 0; i < 5; i++)
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(names[i], names[k]);
    assert_int_equal(strncmp(names[3], "x~7692c3ad.", 11), 0);
    tt_ok(mt_names_decide(&again, &list, &err), &err);
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(names[i], again[i]);
    free(names);
    free(again);
    for (size_t i = 0; i < 5; i++)
        free(items[i].path);
}

/* A folder that holds another slide's result is left alone. */
static void somebody_elses(void **state)
{
    char name[MT_NAME_BYTES] = "x", digest[65];
    memset(digest, 'a', 64);
    digest[64] = 0;
    const char *out = tt_tmp_file("out");
    mt_name_settle(name, out, digest);
    assert_string_equal(name, "x");
    put(tt_tmp_file("out/x/result.json"),
        "{\"key\":\"\",\"slide\":{\"sha256\":"
        "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}}");
    mt_name_settle(name, out, digest);
    assert_string_equal(name, "x");
    memset(digest, 'b', 64);
    mt_name_settle(name, out, digest);
    assert_string_equal(name, "x~bbbbbbbb");
}

static void leftovers(void **state)
{
    static const char *const go[] = {"left/x/.tiles.h5.123.0.tmp", "left/x/.result.json.99.12.tmp",
                                     "left/model-outputs-csv/.x.csv.7.1.tmp"};
    static const char *const stay[] = {"left/x/tiles.h5", "left/x/.hidden.tmp",
                                       "left/model-outputs-csv/.y.csv.7.1.tmp",
                                       "left/model-outputs-csv/x.csv", "left/.report.json.1.0.tmp"};
    for (size_t i = 0; i < 3; i++)
        put(tt_tmp_file(go[i]), "x");
    for (size_t i = 0; i < 5; i++)
        put(tt_tmp_file(stay[i]), "x");
    mt_leftovers_sweep(tt_tmp_file("left"), "x");
    for (size_t i = 0; i < 3; i++)
        assert_false(mt_file_exists(tt_tmp_file(go[i])));
    for (size_t i = 0; i < 5; i++)
        assert_true(mt_file_exists(tt_tmp_file(stay[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folders),   cmocka_unit_test(lists),          cmocka_unit_test(stems),
        cmocka_unit_test(same_stem), cmocka_unit_test(somebody_elses), cmocka_unit_test(leftovers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
