/* The limits' file: what is taken, what is refused and how it says so. */
#include <math.h>
#include <string.h>
#include "base/mem.h"
#include "base/file.h"
#include "microtome/qc.h"
#include "tests/support/support.h"

#define HEAD "{\"schema\": \"microtome.qc\", \"schema_version\": 1"

static mt_status parse(mt_qc_config *c, const char *text, mt_err *err)
{
    *err = (mt_err)MT_ERR_INIT;
    return mt_qc_config_parse(c, text, strlen(text), "limits", err);
}

static void what_is_left_out_keeps_its_default(void **state)
{
    (void)state;
    mt_err err;
    mt_qc_config c, d;
    mt_qc_config_default(&d);
    tt_ok(parse(&c, HEAD "}", &err), &err);
    assert_int_equal(memcmp(&c, &d, sizeof c), 0);
    tt_ok(parse(&c,
                HEAD ", \"focus_min\": 0.25, \"tile_share\": 0.75, \"exclude\": [\"pen\", \"focus\"],"
                     "\"gate\": {\"pen\": {\"warn\": 0.01}, \"fold\": {\"warn\": null, \"reject\": null},"
                     "\"usable_mm2\": {\"warn\": 2, \"reject\": 0.5}, \"focus_median\": {\"reject\": 0.2}}}",
                &err),
          &err);
    assert_true(c.focus_min == 0.25 && c.tile_share == 0.75);
    assert_int_equal(c.exclude, MT_QC_PEN | MT_QC_FOCUS);
    assert_true(c.share[1].warn == 0.01 && c.share[1].reject == d.share[1].reject);
    assert_true(isnan(c.share[2].warn) && isnan(c.share[2].reject));
    assert_true(c.usable_mm2.warn == 2 && c.usable_mm2.reject == 0.5);
    assert_true(isnan(c.focus_median.warn) && c.focus_median.reject == 0.2);
    assert_true(c.share[0].warn == d.share[0].warn);
}

static void what_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"", "limits"},
        {"[]", "object"},
        {"{}", "schema"},
        {"{\"schema\": \"microtome.qc\"}", "schema_version"},
        {"{\"schema\": \"other\", \"schema_version\": 1}", "microtome.qc"},
        {"{\"schema\": \"microtome.qc\", \"schema_version\": 2}", "must be 1"},
        {"{\"schema\": \"microtome.qc\", \"schema_version\": 1.0}", "must be 1"},
        {HEAD ", \"focus\": 0.2}", "focus: unknown"},
        {HEAD ", \"focus_min\": \"0.2\"}", "focus_min: must be a number"},
        {HEAD ", \"focus_min\": -0.1}", "focus_min: -0.1"},
        {HEAD ", \"focus_min\": 1.5}", "1.5 is not within 0 to 1"},
        {HEAD ", \"focus_min\": 1e400}", "limits"},
        {HEAD ", \"exclude\": \"pen\"}", "exclude: must be a list"},
        {HEAD ", \"exclude\": [\"ink\"]}", "exclude"},
        {HEAD ", \"exclude\": [2]}", "exclude"},
        {HEAD ", \"gate\": 1}", "gate: must be an object"},
        {HEAD ", \"gate\": {\"blur\": {}}}", "gate: unknown"},
        {HEAD ", \"gate\": {\"pen\": 0.5}}", "gate.pen: must be an object"},
        {HEAD ", \"gate\": {\"pen\": {\"limit\": 0.5}}}", "gate.pen.limit: unknown"},
        {HEAD ", \"gate\": {\"pen\": {\"warn\": true}}}", "gate.pen.warn: must be a number"},
        {HEAD ", \"gate\": {\"pen\": {\"warn\": 2}}}", "gate.pen.warn: 2"},
        {HEAD ", \"gate\": {\"pen\": {\"warn\": 0.6}}}", "gate.pen: rejects"},
        {HEAD ", \"gate\": {\"usable_share\": {\"warn\": 0.1}}}", "gate.usable_share: rejects"},
        {HEAD ", \"gate\": {}, \"gate\": {}}", "limits"},
        {HEAD "} x", "limits"},
    };
    for (size_t i = 0; i < MT_COUNT(bad); i++) {
        mt_err err;
        mt_qc_config c;
        if (parse(&c, bad[i].text, &err) != MT_ERR_FORMAT || !strstr(err.text, bad[i].says))
            fail_msg("\"%s\" gave %s: \"%s\"", bad[i].text, mt_status_name(err.code), err.text);
        assert_null(strchr(err.text, '\n'));
    }
}

static void from_a_file(void **state)
{
    (void)state;
    mt_err err = MT_ERR_INIT;
    mt_qc_config c;
    assert_int_equal(mt_qc_config_load(&c, tt_tmp_file("none.json"), &err), MT_ERR_NOT_FOUND);
    mt_err_clear(&err);
    const char text[] = HEAD ", \"gate\": {\"dark\": {\"reject\": 0.3}}}";
    tt_ok(mt_file_write(tt_tmp_file("c.json"), text, strlen(text), &err), &err);
    tt_ok(mt_qc_config_load(&c, tt_tmp_file("c.json"), &err), &err);
    assert_true(c.share[5].reject == 0.3);
    static char large[100000];
    memset(large, ' ', sizeof large);
    tt_ok(mt_file_write(tt_tmp_file("l.json"), large, sizeof large, &err), &err);
    assert_int_equal(mt_qc_config_load(&c, tt_tmp_file("l.json"), &err), MT_ERR_LIMIT);
}

static void lists_of_names(void **state)
{
    (void)state;
    mt_err err = MT_ERR_INIT;
    unsigned bits = 99;
    tt_ok(mt_qc_bits_parse(&bits, "", &err), &err);
    assert_int_equal(bits, 0);
    tt_ok(mt_qc_bits_parse(&bits, "none", &err), &err);
    assert_int_equal(bits, 0);
    tt_ok(mt_qc_bits_parse(&bits, "dark,focus", &err), &err);
    assert_int_equal(bits, MT_QC_DARK | MT_QC_FOCUS);
    assert_int_equal(mt_qc_bits_parse(&bits, "focus,ink", &err), MT_ERR_ARG);
    assert_non_null(strstr(err.text, "\"ink\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_left_out_keeps_its_default),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(from_a_file),
        cmocka_unit_test(lists_of_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
