#include <fcntl.h>
#include <libdeflate.h>
#include <unistd.h>
#include "../../support/support.h"
#include "base/file.h"
#include "make.h"

#define EXPLICIT "1.2.840.10008.1.2.1"

static void meta(made *m, const char *syntax, bool with_length)
{
    static const char zeros[128];
    if (m->n == 0) {
        put(m, zeros, 128);
        put(m, "DICM", 4);
    }
    const size_t at = m->n;
    if (with_length) number(m, 0x00020000, "UL", 0);
    const size_t from = m->n;
    text(m, 0x00020002, "UI", "1.2.840.10008.5.1.4.1.1.77.1.6");
    text(m, 0x00020003, "UI", "1.2.3.4");
    if (syntax) {
        char padded[66];
        snprintf(padded, sizeof padded, "%s", syntax);
        head(m, 0x00020010, "UI", (uint32_t)(strlen(syntax) + 1) & ~1u);
        put(m, padded, (strlen(syntax) + 1) & ~(size_t)1);
    }
    if (with_length) m->bytes[at + 8] = (uint8_t)(m->n - from);
}

/* A handful of elements that no other syntax makes sense of. */
static void body(made *m)
{
    text(m, 0x00080005, "CS", "ISO_IR 100");
    text(m, 0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.77.1.6");
    number(m, 0x00280010, "US", 512);
    number(m, 0x00480006, "UL", 2220);
}

static void expect_body(mt_dcm_reader *r)
{
    mt_err err = MT_ERR_INIT;
    const mt_dcm_tag tags[] = {0x00080005, 0x00080016, 0x00280010, 0x00480006};
    for (size_t i = 0; i < 4; i++) {
        mt_dcm_element e;
        tt_ok(mt_dcm_next(&e, r, &err), &err);
        assert_int_equal(e.tag, tags[i]);
        int64_t v = 0;
        if (i > 1) assert_true(mt_dcm_int(&v, &e, 0) && v == (i == 2 ? 512 : 2220));
    }
    mt_dcm_element e;
    tt_ok(mt_dcm_next(&e, r, &err), &err);
    assert_int_equal(e.event, MT_DCM_END);
}

static void test_syntaxes(void **state)
{
    static const struct {
        const char *uid;
        mt_dcm_syntax want;
        bool refused;
    } rows[] = {
        {"1.2.840.10008.1.2", {.implicit = true}, false},
        {EXPLICIT, {0}, false},
        {"1.2.840.10008.1.2.1.99", {.deflated = true}, false},
        {"1.2.840.10008.1.2.1.98", {.encapsulated = true}, false},
        {"1.2.840.10008.1.2.2", {.big = true}, false},
        {"1.2.840.10008.1.2.4.50", {.encapsulated = true}, false},
        {"1.2.840.10008.1.2.4.90", {.encapsulated = true}, false},
        {"1.2.840.10008.1.2.4.95", {.deflated = true}, false},
        {"1.2.840.10008.1.2.5", {.encapsulated = true}, false},
        {"1.2.840.10008.1.2.4.999", {.encapsulated = true}, false},
        {"1.2.840.113619.5.2", {0}, true},
        {"", {0}, true},
        {"1.2.840.10008.DOE^JANE", {.encapsulated = true}, false},
        {"DOE^JANE", {0}, true},
    };
    for (size_t i = 0; i < MT_COUNT(rows); i++) {
        mt_dcm_syntax got = {0};
        mt_err err = MT_ERR_INIT;
        const mt_status st = mt_dcm_syntax_of(&got, rows[i].uid, &err);
        assert_int_equal(st, rows[i].refused ? MT_ERR_UNSUPPORTED : MT_OK);
        assert_null(strstr(err.text, "DOE")); /* what is no UID may be anything */
        if (rows[i].refused) continue;
        assert_true(got.implicit == rows[i].want.implicit && got.big == rows[i].want.big &&
                    got.deflated == rows[i].want.deflated &&
                    got.encapsulated == rows[i].want.encapsulated);
    }
}

static void open_and_expect(const made *m, bool allow_bare, uint64_t dataset, bool bare)
{
    mt_dcm_reader *r = NULL;
    mt_dcm_file f;
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_dcm_open(&r, &f, m->bytes, m->n, allow_bare, &err), &err);
    assert_int_equal(f.dataset, dataset);
    assert_int_equal(f.bare, bare);
    assert_true(f.syntax.implicit == m->implicit && f.syntax.big == m->big);
    if (!bare) {
        assert_string_equal(f.class_uid, "1.2.840.10008.5.1.4.1.1.77.1.6");
        assert_string_equal(f.instance_uid, "1.2.3.4");
    }
    expect_body(r);
    mt_dcm_reader_free(&r);
}

static void test_heads(void **state)
{
    static made m;
    for (int way = 0; way < 8; way++) {
        m = (made){0};
        meta(&m,
             way == 1   ? "1.2.840.10008.1.2"
             : way == 2 ? "1.2.840.10008.1.2.2"
                        : EXPLICIT,
             way != 3);
        if (way == 4) m.bytes[132 + 8] = 200;                /* the group's length lies */
        if (way == 5) memcpy(m.bytes, "II*\0\x08\0\0\0", 8); /* a TIFF as well */
        if (way == 6) memset(m.bytes, 0xaa, 128);
        const uint64_t at = m.n;
        m.implicit = way == 1 || way == 7; /* 7: says explicit, is implicit */
        m.big = way == 2;
        body(&m);
        open_and_expect(&m, false, at, false);
    }
    /* says implicit, is explicit; no syntax stated at all, in three */
    for (int way = 0; way < 4; way++) {
        m = (made){0};
        meta(&m, way == 0 ? "1.2.840.10008.1.2" : NULL, true);
        const uint64_t at = m.n;
        m.implicit = way == 2;
        m.big = way == 3;
        body(&m);
        open_and_expect(&m, false, at, false);
    }
}

static void test_bare(void **state)
{
    static made m;
    for (int way = 0; way < 3; way++) {
        m = (made){.implicit = way == 1, .big = way == 2};
        body(&m);
        open_and_expect(&m, true, 0, true);
        mt_dcm_reader *r = NULL;
        mt_dcm_file f;
        mt_err err = MT_ERR_INIT;
        assert_int_equal(mt_dcm_open(&r, &f, m.bytes, m.n, false, &err), MT_ERR_FORMAT);
        assert_string_equal(err.text, "no DICOM file: \"DICM\" does not stand at byte 128");
        assert_null(r);
        memmove(m.bytes + 1, m.bytes, m.n++); /* the padding of a head that was cut off */
        m.bytes[0] = way == 0 ? ' ' : 0;
        open_and_expect(&m, true, 1, true);
    }
    /* group 2 without preamble */
    m = (made){0};
    meta(&m, EXPLICIT, true);
    body(&m);
    memmove(m.bytes, m.bytes + 132, m.n -= 132);
    mt_dcm_reader *r = NULL;
    mt_dcm_file f;
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_dcm_open(&r, &f, m.bytes, m.n, true, &err), &err);
    assert_false(f.bare);
    expect_body(r);
    mt_dcm_reader_free(&r);
    /* what is no data set */
    static const char *const no[] = {"",
                                     "\x89PNG\r\n\x1a\n",
                                     "II*\0\x08\0\0\0\0\0",
                                     "hello, this is a text file\n",
                                     "<?xml version=\"1.0\"?><a/>",
                                     "PK\3\4\x14\0\0\0",
                                     "\177ELF\2\1\1\0\0\0\0\0\0\0\0\0"};
    for (size_t i = 0; i < MT_COUNT(no); i++) {
        mt_err_clear(&err);
        assert_int_equal(
            mt_dcm_open(&r, &f, (const uint8_t *)no[i], i == 2 ? 10 : strlen(no[i]), true, &err),
            MT_ERR_FORMAT);
        assert_string_equal(err.text, "no DICOM data set in any syntax begins at byte 0");
    }
}

static size_t deflate(made *out, const made *in, bool zlib)
{
    struct libdeflate_compressor *z = libdeflate_alloc_compressor(6);
    size_t n = zlib ? libdeflate_zlib_compress(z, in->bytes, in->n, out->bytes + out->n,
                                               sizeof out->bytes - out->n)
                    : libdeflate_deflate_compress(z, in->bytes, in->n, out->bytes + out->n,
                                                  sizeof out->bytes - out->n);
    libdeflate_free_compressor(z);
    assert_true(n > 0);
    out->n += n;
    return n;
}

static void test_deflated(void **state)
{
    static made in, m;
    for (int zlib = 0; zlib < 2; zlib++) {
        in = (made){0};
        body(&in);
        m = (made){0};
        meta(&m, "1.2.840.10008.1.2.1.99", true);
        const size_t at = m.n, n = deflate(&m, &in, zlib);
        open_and_expect(&m, false, at, false);
        put(&m, "", 1); /* padded to an even size */
        open_and_expect(&m, false, at, false);
        mt_dcm_reader *r = NULL;
        mt_dcm_file f;
        mt_err err = MT_ERR_INIT;
        for (size_t cut = 0; cut < n; cut++) {
            mt_err_clear(&err);
            assert_int_equal(mt_dcm_open(&r, &f, m.bytes, at + cut, false, &err), MT_ERR_FORMAT);
            assert_non_null(strstr(err.text, "damaged or cut short"));
        }
        /* the ceiling */
        const mt_dcm_syntax deflated = {.deflated = true};
        for (size_t room = in.n - 2; room < in.n + 2; room++) {
            mt_err_clear(&err);
            const mt_status st = mt_dcm_reader_new(&r, m.bytes + at, n, deflated, 0, room, &err);
            assert_int_equal(st, room < in.n ? MT_ERR_LIMIT : MT_OK);
            mt_dcm_reader_free(&r);
        }
    }
    /* a group 2 that reads on into deflated bytes that look like it is kept apart by its length */
    m = (made){0};
    meta(&m, "1.2.840.10008.1.2.1.99", true);
    put(&m, "\2\0\0\0UL\4\0\0\0\0\0", 12);
    mt_dcm_reader *r = NULL;
    mt_dcm_file f;
    mt_err err = MT_ERR_INIT;
    assert_int_equal(mt_dcm_open(&r, &f, m.bytes, m.n, false, &err), MT_ERR_FORMAT);
    assert_int_equal(f.dataset, m.n - 12);
}

static void test_heads_cut(void **state)
{
    static made m;
    m = (made){0};
    meta(&m, EXPLICIT, true);
    for (size_t n = 0; n < m.n; n++) {
        uint8_t *exact = malloc(n + 1);
        memcpy(exact, m.bytes, n);
        mt_dcm_reader *r = NULL;
        mt_dcm_file f;
        mt_err err = MT_ERR_INIT;
        assert_int_equal(mt_dcm_open(&r, &f, exact, n, false, &err), MT_ERR_FORMAT);
        assert_true(err.text[0] && !r);
        free(exact);
    }
}

static void at(int fd, uint64_t where, const made *m)
{
    assert_int_equal(pwrite(fd, m->bytes, m->n, (off_t)where), m->n);
}

/* Fragments far beyond 4 GiB, in a file that is mostly holes. */
static void test_beyond_4_gib(void **state)
{
    static made m;
    const uint32_t length = 0xfffffff0;
    const char *path = tt_tmp_file("large.dcm");
    const int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    m = (made){0};
    meta(&m, "1.2.840.10008.1.2.4.50", true);
    body(&m);
    head(&m, 0x7fe00010, "OB", UNDEFINED);
    item(&m, 0);
    const uint64_t first = m.n;
    if (ftruncate(fd, (off_t)(first + 3 * (8 + (uint64_t)length) + 8)))
        skip(); /* no such files here */
    at(fd, 0, &m);
    for (uint64_t i = 0; i < 3; i++) {
        m = (made){0};
        item(&m, length);
        at(fd, first + i * (8 + (uint64_t)length), &m);
    }
    m = (made){0};
    sequence_end(&m);
    at(fd, first + 3 * (8 + (uint64_t)length), &m);
    close(fd);
    mt_map map;
    mt_dcm_reader *r = NULL;
    mt_dcm_file f;
    mt_dcm_element e;
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_map_open(&map, path, &err), &err);
    tt_ok(mt_dcm_open(&r, &f, map.data, map.size, false, &err), &err);
    int fragments = 0;
    do {
        tt_ok(mt_dcm_next(&e, r, &err), &err);
        if (e.event == MT_DCM_FRAGMENT && e.item > 0) {
            assert_true(e.offset == first + (e.item - 1) * (8 + (uint64_t)length) &&
                        e.length == length);
            assert_true(e.value == map.data + e.offset + 8);
            fragments++;
        }
        if (e.event == MT_DCM_PIXELS_END) assert_true(e.length == 8 + 3 * (8 + (uint64_t)length));
    } while (e.event != MT_DCM_END);
    assert_int_equal(fragments, 3);
    mt_dcm_reader_free(&r);
    mt_map_close(&map);
    unlink(path);
}

/* The real ones that are special; all of them are compared element for element elsewhere. */
static void test_real(void **state)
{
    static const struct {
        const char *path, *syntax;
        mt_dcm_tag tag;
        const char *value;
    } rows[] = {
        {"dicom-deid/image_dfl.dcm", "1.2.840.10008.1.2.1.99", 0x00080060, "OT"},
        {"dicom-deid/ExplVR_BigEnd.dcm", "1.2.840.10008.1.2.2", 0x00280010, "60"},
        {"dicom-deid/no_meta.dcm", "", 0x00080060, "CT"},
        {"dicom-deid/rtplan.dcm", "1.2.840.10008.1.2", 0x00080060, "RTPLAN"},
        {"dicom-deid/reportsi.dcm", "1.2.840.10008.1.2.1", 0x00080060, "SR"},
        {"dicom-wsi/raw.dcm", "1.2.840.10008.1.2.1", 0x00480006, NULL},
    };
    for (size_t i = 0; i < MT_COUNT(rows); i++) {
        const char *path = tt_data(rows[i].path);
        if (!path) skip();
        mt_map map;
        mt_dcm_reader *r = NULL;
        mt_dcm_file f;
        mt_dcm_element e;
        mt_err err = MT_ERR_INIT;
        tt_ok(mt_map_open(&map, path, &err), &err);
        tt_ok(mt_dcm_open(&r, &f, map.data, map.size, true, &err), &err);
        assert_string_equal(f.syntax_uid, rows[i].syntax);
        assert_int_equal(f.bare, i == 2);
        bool found = false;
        do {
            tt_ok(mt_dcm_next(&e, r, &err), &err);
            if (e.tag != rows[i].tag || e.depth || e.event != MT_DCM_ELEMENT) continue;
            found = true;
            int64_t v;
            if (rows[i].value && mt_dcm_int(&v, &e, 0))
                assert_int_equal(v, atoi(rows[i].value));
            else if (rows[i].value)
                assert_true(mt_dcm_equals(&e, 0, rows[i].value));
        } while (e.event != MT_DCM_END);
        assert_true(found);
        mt_dcm_reader_free(&r);
        mt_map_close(&map);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_syntaxes),  cmocka_unit_test(test_heads),
        cmocka_unit_test(test_bare),      cmocka_unit_test(test_deflated),
        cmocka_unit_test(test_heads_cut), cmocka_unit_test(test_beyond_4_gib),
        cmocka_unit_test(test_real),
    };
    return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
