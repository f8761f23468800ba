/* JSON: limits on reading, exact text on writing. */
#include "tests/support/support.h"

#include <float.h>
#include <math.h>
#include <string.h>
#include "base/json.h"

static void printer(void **state)
{
    mt_buf b = MT_BUF_INIT(4096);
    mt_jw w;
    mt_jw_init(&w, &b, 0);
    mt_jw_obj(&w, NULL);
    mt_jw_str(&w, "a", "q\"\\\n\x80\xc3\xa4");
    mt_jw_arr(&w, "n");
    mt_jw_num(&w, NULL, 0.1);
    mt_jw_num(&w, NULL, NAN);
    mt_jw_f32(&w, NULL, 0.1f);
    mt_jw_int(&w, NULL, INT64_MIN);
    mt_jw_end_arr(&w);
    mt_jw_obj(&w, "e");
    mt_jw_end_obj(&w);
    mt_jw_bool(&w, "t", 1);
    mt_jw_str(&w, "z", NULL);
    mt_jw_end_obj(&w);
    mt_buf_append(&b, "", 1);
    assert_false(b.failed);
    assert_string_equal((char *)b.data,
        "{\"a\":\"q\\\"\\\\\\u000a\xef\xbf\xbd\xc3\xa4\",\"n\":[0.1,null,0.1,-9223372036854775808],"
        "\"e\":{},\"t\":true,\"z\":null}");
    mt_buf_free(&b);
}

static void indented_text_parses_back(void **state)
{
    mt_err e = MT_ERR_INIT;
    mt_buf b = MT_BUF_INIT(1 << 16);
    mt_jw w;
    mt_jw_init(&w, &b, 2);
    mt_jw_obj(&w, NULL);
    for (int i = 0; i < 20; i++) {
        char k[8];
        snprintf(k, sizeof k, "k%d", i);
        mt_jw_arr(&w, k);
        mt_jw_num(&w, NULL, pow(-1.7, i) / 3);
        mt_jw_end_arr(&w);
    }
    mt_jw_end_obj(&w);
    json_t *j;
    tt_ok(mt_json_parse(&j, (char *)b.data, b.len, 1 << 16, "text", &e), &e);
    for (int i = 0; i < 20; i++) {
        char k[8];
        snprintf(k, sizeof k, "k%d", i);
        assert_true(json_number_value(json_array_get(json_object_get(j, k), 0)) == pow(-1.7, i) / 3);
    }
    json_decref(j);
    mt_buf_free(&b);
}

static void nesting_has_a_floor(void **state)
{
    mt_buf b = MT_BUF_INIT(4096);
    mt_jw w;
    mt_jw_init(&w, &b, 0);
    for (int i = 0; i < 100; i++) mt_jw_arr(&w, NULL);
    assert_true(b.failed);
    mt_buf_free(&b);
}

static void shortest_numbers(void **state)
{
    char t[40];
    static const double d[] = {0, 1, -2.5, 1e300, DBL_MIN, DBL_MAX, 5e-324, 1.0 / 3};
    for (size_t i = 0; i < MT_COUNT(d); i++) {
        mt_fmt_f64(t, sizeof t, d[i]);
        assert_true(strtod(t, NULL) == d[i]);
        float f = (float)(d[i] > 1e38 ? 1e30 : d[i]);
        mt_fmt_f32(t, sizeof t, f);
        assert_true(strtof(t, NULL) == f);
    }
    mt_fmt_f32(t, sizeof t, 0.9f);
    assert_string_equal(t, "0.9");
}

static void reading_is_strict(void **state)
{
    mt_err e = MT_ERR_INIT;
    json_t *j;
    static const char twice[] = "{\"a\":1,\"a\":2}", good[] = "{\"i\":3,\"d\":2.5,\"s\":\"x\",\"b\":true}";
    assert_int_equal(mt_json_parse(&j, twice, strlen(twice), 100, "card", &e), MT_ERR_FORMAT);
    assert_null(j);
    mt_err_clear(&e);
    assert_int_equal(mt_json_parse(&j, good, strlen(good), 10, "card", &e), MT_ERR_LIMIT);
    mt_err_clear(&e);
    assert_int_equal(mt_json_parse(&j, "{\"a\":", 5, 10, "card", &e), MT_ERR_FORMAT);
    assert_non_null(strstr(e.text, "card: line 1"));
    mt_err_clear(&e);
    tt_ok(mt_json_parse(&j, good, strlen(good), 100, "card", &e), &e);
    double d;
    int64_t i;
    int b;
    char s[2];
    tt_ok(mt_json_num(&d, j, "i", 0, &e), &e);
    assert_true(d == 3.0);
    tt_ok(mt_json_int(&i, j, "none", 9, &e), &e);
    assert_int_equal(i, 9);
    tt_ok(mt_json_str(s, sizeof s, j, "s", "", &e), &e);
    tt_ok(mt_json_bool(&b, j, "b", 0, &e), &e);
    assert_true(b);
    assert_int_equal(mt_json_int(&i, j, "d", 0, &e), MT_ERR_FORMAT);
    mt_err_clear(&e);
    assert_int_equal(mt_json_str(s, 1, j, "s", "", &e), MT_ERR_FORMAT);
    json_decref(j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(printer), cmocka_unit_test(indented_text_parses_back),
        cmocka_unit_test(nesting_has_a_floor), cmocka_unit_test(shortest_numbers),
        cmocka_unit_test(reading_is_strict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
