#include <pthread.h>
#include "../../support/support.h"
#include "base/file.h"
#include "dicom/charset.h"
#include "make.h"

static mt_dcm_element words(const char *vr, const char *s)
{
    return (mt_dcm_element){
        .vr = MT_VR(vr[0], vr[1]), .value = (const uint8_t *)s, .length = strlen(s)};
}

static mt_dcm_charset named(const char *terms)
{
    const mt_dcm_element e = words("CS", terms);
    return mt_dcm_charset_of(&e);
}

static void expect(const char *set, const char *vr, const char *text, size_t i, const char *want,
                   size_t wrong)
{
    const mt_dcm_charset cs = named(set);
    const mt_dcm_element e = words(vr, text);
    char got[256];
    const size_t n = mt_dcm_utf8(got, sizeof got, &cs, &e, i);
    assert_string_equal(got, want);
    assert_int_equal(n, wrong);
}

static void test_sets(void **state)
{
    expect("", "LO", "abc", 0, "abc", 0);
    expect("", "LO", "\xe4", 0, "\xef\xbf\xbd", 1);
    expect("ISO_IR 100", "LO", "\xe4 ", 0, "\xc3\xa4", 0);
    expect("ISO_IR 100", "LO", "\x80", 0, "\xef\xbf\xbd", 1); /* C1 controls are not allowed */
    expect("ISO_IR 192", "LO", "\xc3\xa4\\\xf0\x9f\x94\xac", 1, "\xf0\x9f\x94\xac", 0);
    expect("ISO_IR 192", "LO", "a\xc3", 0, "a\xef\xbf\xbd", 1);
    expect("ISO_IR 192", "LO", "\xed\xa0\x80", 0, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd",
           3);                                                                /* a surrogate */
    expect("ISO_IR 192", "LO", "\xc0\x80", 0, "\xef\xbf\xbd\xef\xbf\xbd", 2); /* too long */
    expect("GB18030", "LO", "\x81\x30\x81\x30", 0, " ", 0); /* U+0080, a control */
    expect("GB18030", "LO", "\x90\x30\x81\x30", 0, "\xf0\x90\x80\x80", 0);
    expect("GB18030", "LO", "\xe3\x32\x9a\x35", 0, "\xf4\x8f\xbf\xbf", 0);
    expect("GB18030", "LO", "\xe3\x32\x9a\x36", 0, "\xef\xbf\xbd", 4); /* one too many */
    expect("GBK", "LO", "\xcd\xf5", 0, "\xe7\x8e\x8b", 0);
    expect("GBK", "LO", "\xcd", 0, "\xef\xbf\xbd", 1);
    expect("ISO_IR 13", "PN", "\xd4\xcf\xc0\xde", 0,
           "\xef\xbe\x94\xef\xbe\x8f\xef\xbe\x80\xef\xbe\x9e", 0);
    expect("\\ISO 2022 IR 149", "PN", "\x1b$)C\xfb\xf3", 0, "\xe6\xb4\xaa", 0);
    expect("\\ISO 2022 IR 87", "PN", "\x1b$B^!;3", 0, "\xe6\xb2\xba\xe5\xb1\xb1",
           0); /* ^ is half of it */
    expect("ISO_IR 192", "CS", "\xc3\xa4", 0, "\xef\xbf\xbd\xef\xbf\xbd",
           2); /* no set holds for CS */
    expect("ISO_IR 100", "LO", "a\nb\x01", 0, "a b ", 0);
    assert_int_equal(named("ISO_IR 999\\ISO_IR 100\\what").unknown, 2);
    assert_int_equal(named("\\ISO 2022 IR 87\\ISO 2022 IR 159").unknown, 0);
    assert_int_equal(named("ISO 2022 IR 1000000000000000000000000000").unknown, 1);
}

/* The whole text, controls and all, and the count of what meant nothing. */
static void test_decode(void **state)
{
    const mt_dcm_charset cs = named("ISO 2022 IR 100\\ISO 2022 IR 144");
    const char text[] = "J\xe9\x1b-L\xbb\t\xe9\r\n\x80\x1b$";
    mt_buf out = MT_BUF_INIT(256);
    assert_int_equal(mt_dcm_decode(&out, &cs, MT_VR('L', 'T'), text, sizeof text - 1), 2);
    const char want[] = "J\xc3\xa9\xd0\x9b\t\xc3\xa9\r\n\xef\xbf\xbd\xef\xbf\xbd$";
    assert_int_equal(out.len, sizeof want - 1);
    assert_memory_equal(out.data, want, out.len);
    mt_buf_free(&out);
}

/* Tables are made by whoever needs them first. */
static void *decode_all(void *result)
{
    static const char *const texts[][3] = {
        {"\\ISO 2022 IR 149", "\x1b$)C\xfb\xf3", "\xe6\xb4\xaa"},
        {"\\ISO 2022 IR 87", "\x1b$B;3", "\xe5\xb1\xb1"},
        {"\\ISO 2022 IR 58", "\x1b$)A\xd5\xc5", "\xe5\xbc\xa0"},
        {"GB18030", "\xcd\xf5\x81\x30\x84\x36", "\xe7\x8e\x8b\xc2\xa5"},
        {"ISO_IR 166", "\xa1", "\xe0\xb8\x81"}};
    size_t good = 0;
    for (size_t i = 0; i < MT_COUNT(texts); i++) {
        const mt_dcm_charset cs = named(texts[i][0]);
        const mt_dcm_element e = words("LO", texts[i][1]);
        char got[16];
        good += mt_dcm_utf8(got, sizeof got, &cs, &e, 0) == 0 && !strcmp(got, texts[i][2]);
    }
    *(size_t *)result = good;
    return NULL;
}

static void test_threads(void **state)
{
    pthread_t threads[4];
    size_t good[4] = {0};
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, decode_all, &good[i]), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(good[i], 5);
}

/* A backslash, ^ or = may be half of a character and then divides nothing. */
static void test_values(void **state)
{
    const struct {
        const char *set, *text;
        size_t n;
        const char *second;
    } rows[] = {
        {"ISO_IR 100", "a\\b", 2, "b"},
        {"GBK", "\x95\\a\\b", 2, "b"},
        {"GB18030", "\x95\\\\\x95\\", 2, "\xe6\x98\x9e"},
        {"\\ISO 2022 IR 87", "\x1b$B0\\\x1b(B\\b", 2, "b"},
        {"\\ISO 2022 IR 87", "\x1b$B0\\0\\", 1, NULL},
        {"ISO_IR 192", "\xe6\x98\x9e\\b\\", 3, "b"},
        {"\\ISO 2022 IR 149", "\x1b$)C\xfb\xf3\\\x1b$)C\xfb\xf3", 2, "\xe6\xb4\xaa"},
    };
    for (size_t i = 0; i < MT_COUNT(rows); i++) {
        const mt_dcm_charset cs = named(rows[i].set);
        const mt_dcm_element e = words("LO", rows[i].text);
        assert_int_equal(mt_dcm_charset_count(&cs, &e), rows[i].n);
        assert_null(mt_dcm_charset_value(&cs, &e, rows[i].n).p);
        char got[64];
        (void)mt_dcm_utf8(got, sizeof got, &cs, &e, 1);
        /* GBK 0x95 0x5c is U+661E */
        if (rows[i].second) assert_string_equal(got, rows[i].second);
    }
}

/* Cut between characters, never inside one. */
static void test_room(void **state)
{
    const mt_dcm_charset cs = named("ISO_IR 192");
    const mt_dcm_element e = words("LO", "a\xc3\xa4\xf0\x9f\x94\xac");
    static const size_t want[] = {0, 0, 1, 1, 3, 3, 3, 3, 7, 7};
    for (size_t room = 1; room < 10; room++) {
        char got[16];
        memset(got, 'x', sizeof got);
        (void)mt_dcm_utf8(got, room, &cs, &e, 0);
        assert_int_equal(strlen(got), want[room]);
        assert_int_equal(got[room], 'x');
    }
}

/* A set inside a sequence holds there and no further; PS3.3 C.12.1.1.2. */
static void test_levels(void **state)
{
    static made m;
    m = (made){0};
    text(&m, 0x00080005, "CS", "ISO_IR 100");
    head(&m, 0x00081140, "SQ", UNDEFINED);
    item(&m, UNDEFINED);
    text(&m, 0x00080005, "CS", "ISO_IR 192");
    head(&m, 0x00081140, "SQ", UNDEFINED);
    item(&m, UNDEFINED);
    text(&m, 0x00100010, "PN", "\xc3\xa4");
    item_end(&m);
    sequence_end(&m);
    item_end(&m);
    item(&m, UNDEFINED);
    text(&m, 0x00100010, "PN", "\xe4");
    item_end(&m);
    sequence_end(&m);
    text(&m, 0x00100010, "PN", "\xe4");
    mt_dcm_reader *r = NULL;
    mt_err err = MT_ERR_INIT;
    mt_dcm_charsets sets = {0};
    mt_dcm_element e;
    int seen = 0;
    tt_ok(mt_dcm_reader_new(&r, m.bytes, m.n, (mt_dcm_syntax){0}, 0, 0, &err), &err);
    do {
        tt_ok(mt_dcm_next(&e, r, &err), &err);
        const mt_dcm_charset *set = mt_dcm_charsets_follow(&sets, &e);
        if (e.tag != 0x00100010) continue;
        char got[8];
        assert_int_equal(mt_dcm_utf8(got, sizeof got, set, &e, 0), 0);
        assert_string_equal(got, "\xc3\xa4");
        seen++;
    } while (e.event != MT_DCM_END);
    assert_int_equal(seen, 3);
    mt_dcm_reader_free(&r);
}

static void test_real(void **state)
{
    /* the names as the files' own documentation has them (UTF-8) */
    static const struct {
        const char *path;
        int depth;
        const char *name;
    } rows[] = {
        {"dicom-deid/charset/chrArab.dcm", 0,
         "\xd9\x82\xd8\xa8\xd8\xa7\xd9\x86\xd9\x8a^\xd9\x84\xd9\x86\xd8\xb2\xd8\xa7\xd8\xb1"},
        {"dicom-deid/charset/chrX1.dcm", 0, "Wang^XiaoDong=\xe7\x8e\x8b^\xe5\xb0\x8f\xe6\x9d\xb1="},
        {"dicom-deid/charset/chrH31.dcm", 0,
         "Yamada^Tarou=\xe5\xb1\xb1\xe7\x94\xb0^\xe5\xa4\xaa\xe9\x83\x8e="
         "\xe3\x82\x84\xe3\x81\xbe\xe3\x81\xa0^\xe3\x81\x9f\xe3\x82\x8d\xe3\x81\x86"},
        {"dicom-deid/charset/chrSQEncoding.dcm", 1,
         "\xef\xbe\x94\xef\xbe\x8f\xef\xbe\x80\xef\xbe\x9e^\xef\xbe\x80\xef\xbe\x9b\xef\xbd\xb3="
         "\xe5\xb1\xb1\xe7\x94\xb0^\xe5\xa4\xaa\xe9\x83\x8e="
         "\xe3\x82\x84\xe3\x81\xbe\xe3\x81\xa0^\xe3\x81\x9f\xe3\x82\x8d\xe3\x81\x86"},
    };
    for (size_t i = 0; i < MT_COUNT(rows); i++) {
        const char *path = tt_data(rows[i].path);
        if (!path) skip();
        mt_map map;
        mt_dcm_reader *r = NULL;
        mt_dcm_file f;
        mt_err err = MT_ERR_INIT;
        mt_dcm_charsets sets = {0};
        mt_dcm_element e;
        bool seen = false;
        tt_ok(mt_map_open(&map, path, &err), &err);
        tt_ok(mt_dcm_open(&r, &f, map.data, map.size, false, &err), &err);
        do {
            tt_ok(mt_dcm_next(&e, r, &err), &err);
            const mt_dcm_charset *set = mt_dcm_charsets_follow(&sets, &e);
            if (e.vr != MT_VR('P', 'N') || e.tag != 0x00100010 || e.depth != rows[i].depth)
                continue;
            char got[256];
            assert_int_equal(mt_dcm_utf8(got, sizeof got, set, &e, 0), 0);
            assert_string_equal(got, rows[i].name);
            seen = true;
        } while (e.event != MT_DCM_END);
        assert_true(seen);
        mt_dcm_reader_free(&r);
        mt_map_close(&map);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads), cmocka_unit_test(test_decode),
        cmocka_unit_test(test_sets),    cmocka_unit_test(test_values),
        cmocka_unit_test(test_room),    cmocka_unit_test(test_levels),
        cmocka_unit_test(test_real),
    };
    return cmocka_run_group_tests_name("charset", tests, NULL, NULL);
}
