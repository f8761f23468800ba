#include <float.h>
#include <locale.h>
#include <math.h>
#include <string.h>
#include "../../support/support.h"
#include "make.h"

static mt_dcm_element value(const char *vr, const void *p, size_t n, bool big)
{
    return (mt_dcm_element){.vr = MT_VR(vr[0], vr[1]), .value = p, .length = n, .big = big};
}
static mt_dcm_element words(const char *vr, const char *s)
{
    return value(vr, s, strlen(s), false);
}

static void test_binary(void **state)
{
    static const struct {
        const char *vr, *little;
        size_t width;
        int64_t whole;
        double real;
        bool is_whole;
    } rows[] = {
        {"US", "\xfe\xff", 2, 65534, 65534, true},
        {"SS", "\xfe\xff", 2, -2, -2, true},
        {"UL", "\xfe\xff\xff\xff", 4, 4294967294, 4294967294.0, true},
        {"SL", "\xfe\xff\xff\xff", 4, -2, -2, true},
        {"UV", "\xfe\xff\xff\xff\xff\xff\xff\x7f", 8, INT64_MAX - 1, 0x1p63, true},
        {"UV", "\xff\xff\xff\xff\xff\xff\xff\xff", 8, 0, 0x1p64, false},
        {"SV", "\xfe\xff\xff\xff\xff\xff\xff\xff", 8, -2, -2, true},
        {"OB", "\xfe", 1, 254, 254, true},
        {"UN", "\xfe", 1, 254, 254, true},
        {"OW", "\1\2", 2, 513, 513, true},
        {"OL", "\1\2\0\0", 4, 513, 513, true},
        {"OV", "\1\2\0\0\0\0\0\0", 8, 513, 513, true},
        {"AT", "\x28\0\x10\0", 4, 0x00280010, 0x00280010, true},
        {"FL", "\0\0\xc0\x3f", 4, 0, 1.5, false},
        {"FL", "\0\0\0\x40", 4, 2, 2, true},
        {"OF", "\0\0\xc0\x7f", 4, 0, NAN, false},
        {"FD", "\0\0\0\0\0\0\xf8\x3f", 8, 0, 1.5, false},
        {"OD", "\0\0\0\0\0\0\x08\xc0", 8, -3, -3, true},
    };
    for (size_t i = 0; i < MT_COUNT(rows); i++)
        for (int big = 0; big < 2; big++) {
            uint8_t two[16];
            const size_t w = rows[i].width;
            const size_t unit = !strcmp(rows[i].vr, "AT") ? 2 : w; /* a tag is two numbers */
            for (size_t k = 0; k < 2 * w; k++) {
                const size_t at = k % w, in = at % unit;
                two[k] = (uint8_t)rows[i].little[big ? at - in + unit - 1 - in : at];
            }
            const mt_dcm_element e = value(rows[i].vr, two, 2 * w, big);
            assert_int_equal(mt_dcm_count(&e), 2);
            for (size_t k = 0; k < 2; k++) {
                int64_t whole = 0;
                double real = 0;
                assert_true(mt_dcm_number(&real, &e, k));
                assert_true(real == rows[i].real || (isnan(real) && isnan(rows[i].real)));
                assert_int_equal(mt_dcm_int(&whole, &e, k), rows[i].is_whole);
                if (rows[i].is_whole) assert_true(whole == rows[i].whole);
            }
            int64_t whole;
            assert_false(mt_dcm_int(&whole, &e, 2));
            const mt_dcm_element cut = value(rows[i].vr, two, 2 * w - 1, big);
            assert_int_equal(mt_dcm_count(&cut), w == 1 ? 1 : 1);
        }
}

static void test_decimal(void **state)
{
    static const struct {
        const char *text;
        double want;
        bool good;
    } rows[] = {
        {"0.0004990", 0.000499, true},
        {" 1.5 ", 1.5, true},
        {"-0", 0, true},
        {"+7", 7, true},
        {"1e3", 1000, true},
        {"-1.25E-2", -0.0125, true},
        {".5", 0.5, true},
        {"5.", 5, true},
        {"1e+22", 1e22, true},
        {"1e23", 1e23, true},
        {"9007199254740993", 9007199254740993.0, true},
        {"0.1", 0.1, true},
        {"9007199254740993e1", 90071992547409930.0, true},
        {"123456789012345678901234567890", 1.2345678901234568e29, true},
        {"2.2250738585072014e-308", DBL_MIN, true},
        {"4.9e-324", 4.9e-324, true},
        {"1e-400", 0, true},
        {"00000000000000000000000000000001", 1, true},
        {"0.30000000000000004", 0.30000000000000004, true},
        {"", 0, false},
        {" ", 0, false},
        {"1e400", 0, false},
        {"1,5", 0, false},
        {"1.2.3", 0, false},
        {"--1", 0, false},
        {"1e", 0, false},
        {"e5", 0, false},
        {".", 0, false},
        {"nan", 0, false},
        {"inf", 0, false},
        {"0x10", 0, false},
        {"1 2", 0, false},
        {"1d3", 0, false},
    };
    for (size_t i = 0; i < MT_COUNT(rows); i++) {
        const mt_dcm_element e = words("DS", rows[i].text);
        double got = -99;
        if (mt_dcm_number(&got, &e, 0) != rows[i].good) fail_msg("\"%s\"", rows[i].text);
        if (rows[i].good && got != rows[i].want)
            fail_msg("\"%s\": %.17g, not %.17g", rows[i].text, got, rows[i].want);
    }
}

/* Against the library, over many spellings: the fast way is correctly rounded too. */
static void test_decimal_like_strtod(void **state)
{
    uint64_t r = 1;
    for (int i = 0; i < 200000; i++) {
        char text[40];
        r = r * 6364136223846793005u + 1442695040888963407u;
        const unsigned digits = 1 + (unsigned)(r >> 60) % 17;
        const double v = (double)(int64_t)(r >> 3) * pow(10, (int)(r >> 40 & 31) - 30);
        snprintf(text, sizeof text, "%.*g", (int)digits, v);
        const mt_dcm_element e = words("DS", text);
        double got = 0;
        assert_true(mt_dcm_number(&got, &e, 0));
        if (got != strtod(text, NULL)) fail_msg("%s: %.17g", text, got);
    }
}

static void test_integers(void **state)
{
    static const struct {
        const char *text;
        int64_t want;
        bool good;
    } rows[] = {
        {"12", 12, true},
        {" -7 ", -7, true},
        {"+3", 3, true},
        {"9223372036854775807", INT64_MAX, true},
        {"-9223372036854775807", -INT64_MAX, true},
        {"007", 7, true},
        {"5.0", 5, true},
        {"1e2", 100, true},
        {"", 0, false},
        {"1.5", 0, false},
        {"-", 0, false},
        {"12a", 0, false},
        {"99999999999999999999999", 0, false},
        {"9999999999999999999", 0, false},
        {"9223372036854775808", 0, false},
    };
    for (size_t i = 0; i < MT_COUNT(rows); i++) {
        const mt_dcm_element e = words("IS", rows[i].text);
        int64_t got = 0;
        assert_int_equal(mt_dcm_int(&got, &e, 0), rows[i].good);
        if (rows[i].good) assert_true(got == rows[i].want);
    }
    const mt_dcm_element many = words("IS", "1\\2\\\\4");
    int64_t v;
    assert_int_equal(mt_dcm_count(&many), 4);
    assert_true(mt_dcm_int(&v, &many, 1) && v == 2 && !mt_dcm_int(&v, &many, 2) &&
                mt_dcm_int(&v, &many, 3) && v == 4);
    assert_false(mt_dcm_int(&v, &many, 4));
    const mt_dcm_element text = words("LO", "12");
    assert_false(mt_dcm_int(&v, &text, 0));
}

static void expect(const char *vr, const char *bytes, size_t n, size_t i, const char *want)
{
    const mt_dcm_element e = value(vr, bytes, n, false);
    const mt_dcm_text t = mt_dcm_string(&e, i);
    assert_int_equal(t.p != NULL, want != NULL);
    if (!want) return;
    assert_int_equal(t.n, strlen(want));
    assert_memory_equal(t.p, want, t.n);
    assert_true(mt_dcm_equals(&e, i, want));
    assert_false(mt_dcm_equals(&e, i, "something else"));
}

static void test_strings(void **state)
{
    expect("CS", "ORIGINAL\\PRIMARY\\ VOLUME ", 25, 0, "ORIGINAL");
    expect("CS", "ORIGINAL\\PRIMARY\\ VOLUME ", 25, 2, "VOLUME");
    expect("CS", "ORIGINAL\\PRIMARY\\ VOLUME ", 25, 3, NULL);
    expect("CS", "", 0, 0, NULL);
    expect("CS", "  ", 2, 0, "");
    expect("CS", "\\", 1, 1, "");
    expect("UI", "1.2.3\0", 6, 0, "1.2.3");
    expect("UI", "1.2.3\0\\4", 8, 1, "4");
    expect("LT", " a\\b \0", 6, 0, " a\\b");
    expect("LT", " a\\b ", 5, 1, NULL);
    expect("UT", "x  ", 3, 0, "x");
    expect("UR", "http://x\\y ", 11, 0, "http://x\\y");
    expect("UC", "a\\b", 3, 1, "b");
    expect("US", "ab", 2, 0, NULL);
    expect("UN", "ab", 2, 0, NULL);
    const mt_dcm_element sequence = {.event = MT_DCM_SEQUENCE,
                                     .vr = MT_VR('S', 'Q'),
                                     .length = 8,
                                     .value = (const uint8_t *)"abcdefgh"};
    assert_null(mt_dcm_string(&sequence, 0).p);
    assert_int_equal(mt_dcm_count(&sequence), 0);
    const mt_dcm_element e = words("LO", "a\tb\x7f"
                                         "c\\d");
    char out[8];
    mt_dcm_copy(out, sizeof out, &e, 0);
    assert_string_equal(out, "a?b?c");
    mt_dcm_copy(out, 3, &e, 0);
    assert_string_equal(out, "a?");
    mt_dcm_copy(out, 1, &e, 0);
    assert_string_equal(out, "");
    memcpy(out, "x", 2);
    mt_dcm_copy(out, 0, &e, 0);
    assert_string_equal(out, "x");
    mt_dcm_copy(out, 8, &e, 7);
    assert_string_equal(out, "");
}

static void test_names(void **state)
{
    char room[64];
    assert_string_equal(mt_dcm_tag_name(room, 0x00280010), "(0028,0010) Rows");
    assert_string_equal(mt_dcm_tag_name(room, 0x00091001), "(0009,1001)");
    assert_string_equal(mt_dcm_tag_name(room, 0x60103000), "(6010,3000) Overlay Data");
    mt_dcm_tag_name(room, 0x00221093); /* a long one is cut */
    assert_true(strlen(room) < 64);
    assert_true(mt_dcm_is_pixels(0x7fe00010) && mt_dcm_is_pixels(0x7fe00008) &&
                mt_dcm_is_pixels(0x7fe00009));
    assert_false(mt_dcm_is_pixels(0x7fe00001) || mt_dcm_is_pixels(0x7fe00011));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_binary),
        cmocka_unit_test(test_decimal),
        cmocka_unit_test(test_decimal_like_strtod),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests_name("values", tests, NULL, NULL);
}
