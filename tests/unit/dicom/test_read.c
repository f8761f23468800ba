#include "../../support/support.h"
#include "base/file.h"
#include "make.h"

static const mt_dcm_syntax explicit_little = {false, false, false, false};
static const mt_dcm_syntax implicit_little = {true, false, false, false};
static const mt_dcm_syntax explicit_big = {false, true, false, false};

static const char *tale(const made *m)
{
    return story(m->bytes, m->n, (mt_dcm_syntax){.implicit = m->implicit, .big = m->big});
}

/* One data set with everything, in three spellings; the story is the same. */
static void everything(made *m, bool big, bool implicit)
{
    *m = (made){.big = big, .implicit = implicit};
    text(m, 0x00080005, "CS", "ISO_IR 192");
    text(m, 0x00090010, "LO", "MAKER ");
    number(m, 0x00280010, "US", 512);
    head(m, 0x52009229, "SQ", UNDEFINED);
    item(m, UNDEFINED);
    head(m, 0x00289110, "SQ", implicit ? 32 : 32);
    item(m, 24);
    text(m, 0x00280030, "DS", "0.00025\\0.00025 ");
    item_end(m);
    item(m, 0);
    sequence_end(m);
    head(m, 0x00081140, "SQ", 0);
    text(m, 0x00204000, "LT", "odd");
}

static void test_three_spellings(void **state)
{
    static made m;
    const char *want =
        "e00080005:CS:10 e00090010:LO:6 e00280010:US:2 s52009229:SQ:-1 i0 s00289110:SQ:32 i0 "
        "e00280030:DS:16 I S I i1 I S s00081140:SQ:0 S e00204000:LT:3";
    for (int i = 0; i < 3; i++) {
        everything(&m, i == 1, i == 2);
        assert_string_equal(tale(&m), want);
    }
}

/* Cut anywhere, it is told up to there, and the rest is an error or, between elements, the end.
 * Nothing else. */
static void test_cut_everywhere(void **state)
{
    static made m;
    for (int i = 0; i < 3; i++) {
        everything(&m, i == 1, i == 2);
        char whole[1024];
        snprintf(whole, sizeof whole, "%s", tale(&m));
        size_t clean = 0;
        for (size_t n = 0; n < m.n; n++) {
            uint8_t *exact = malloc(n + 1); /* so that a sanitizer sees a byte too many */
            memcpy(exact, m.bytes, n);
            char cut[1024];
            snprintf(cut, sizeof cut, "%s",
                     story(exact, n, (mt_dcm_syntax){.implicit = m.implicit, .big = m.big}));
            free(exact);
            char *error = strchr(cut, '!');
            clean += !error;
            if (error) {
                *error = '\0';
                assert_non_null(strstr(error + 1, "byte "));
            }
            /* what was told before is the beginning of the whole story, but for ends nobody
             * wrote */
            char *ends = cut + strlen(cut);
            while (ends > cut && (ends[-1] == ' ' || ends[-1] == 'I' || ends[-1] == 'S'))
                ends--;
            if (ends > cut) assert_memory_equal(cut, whole, (size_t)(ends - cut));
        }
        assert_true(clean >= 10 && clean < 20);
    }
}

static void test_offsets_and_ends(void **state)
{
    static made m;
    everything(&m, false, false);
    mt_dcm_reader *r = NULL;
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_dcm_reader_new(&r, m.bytes, m.n, explicit_little, 1000, 0, &err), &err);
    mt_dcm_element e;
    for (int i = 0; i < 4; i++)
        tt_ok(mt_dcm_next(&e, r, &err), &err);
    assert_int_equal(e.event, MT_DCM_SEQUENCE);
    assert_int_equal(e.offset, 1000 + 18 + 14 + 10);
    const uint8_t *content = e.value;
    tt_ok(mt_dcm_next(&e, r, &err), &err);
    assert_int_equal(e.event, MT_DCM_ITEM);
    tt_ok(mt_dcm_skip(r, &err), &err);
    tt_ok(mt_dcm_next(&e, r, &err), &err);
    assert_int_equal(e.event, MT_DCM_ITEM);
    assert_int_equal(e.item, 1);
    tt_ok(mt_dcm_next(&e, r, &err), &err);
    tt_ok(mt_dcm_next(&e, r, &err), &err);
    assert_int_equal(e.event, MT_DCM_SEQUENCE_END);
    assert_int_equal(e.item, 2);                   /* items it had */
    assert_int_equal(e.length, e.value - content); /* both without delimiter */
    assert_int_equal(mt_dcm_tell(r), e.offset + 8);
    tt_ok(mt_dcm_next(&e, r, &err), &err);
    assert_int_equal(e.tag, 0x00081140);
    tt_ok(mt_dcm_skip(r, &err), &err);
    tt_ok(mt_dcm_next(&e, r, &err), &err);
    assert_int_equal(e.tag, 0x00204000);
    tt_ok(mt_dcm_skip(r, &err), &err); /* nothing is open */
    for (int i = 0; i < 3; i++) {
        tt_ok(mt_dcm_next(&e, r, &err), &err);
        assert_int_equal(e.event, MT_DCM_END);
    }
    mt_dcm_reader_free(&r);
    mt_dcm_reader_free(&r);
}

static void test_encapsulated(void **state)
{
    static made m;
    m = (made){0};
    head(&m, 0x7fe00010, "OB", UNDEFINED);
    item(&m, 0);
    item(&m, 4);
    put(&m, "\xff\xd8\xff\xd9", 4);
    item(&m, 2);
    put(&m, "ab", 2);
    const size_t without_end = m.n;
    sequence_end(&m);
    number(&m, 0xfffcfffc, "OB", 0);
    assert_string_equal(tale(&m), "p7fe00010:OB:-1 f0:0 f1:4 f2:2 P efffcfffc:OB:1");
    m.n = without_end; /* cut behind a fragment: the end is understood */
    assert_string_equal(tale(&m), "p7fe00010:OB:-1 f0:0 f1:4 f2:2 P");
    m.n--; /* inside one: what is whole is told */
    assert_string_equal(
        tale(&m),
        "p7fe00010:OB:-1 f0:0 f1:4 !(7FE0,0010) Pixel Data at byte 32: length 2, but the data "
        "ends 1 bytes on");
    /* in a set whose headers are implicit, and under UN */
    for (int un = 0; un < 2; un++) {
        m = (made){.implicit = !un};
        head(&m, 0x7fe00010, "UN", UNDEFINED);
        item(&m, 0);
        sequence_end(&m);
        assert_string_equal(tale(&m), "p7fe00010:OW:-1 f0:0 P");
    }
}

static void test_sequences_in_un(void **state)
{
    static made m, in;
    for (int big = 0; big < 2; big++) { /* little endian and implicit, whatever is around */
        m = (made){.big = big};
        in = (made){.implicit = true};
        item(&in, UNDEFINED);
        text(&in, 0x00100010, "PN", "A^BC");
        item_end(&in);
        const size_t items = in.n;
        sequence_end(&in);
        head(&m, 0x00091001, "UN", UNDEFINED);
        put(&m, in.bytes, in.n);
        text(&m, 0x00100020, "LO", "12");
        assert_string_equal(tale(&m), "s00091001:UN:-1 i0 e00100010:PN:4 I S e00100020:LO:2");

        m.n = 0; /* of stated length it is a value, that can be entered */
        head(&m, 0x00091001, "UN", (uint32_t)items);
        put(&m, in.bytes, items);
        text(&m, 0x00100020, "LO", "12");
        assert_string_equal(tale(&m), "e00091001:UN:28 e00100020:LO:2");
        mt_dcm_reader *r = NULL;
        mt_err err = MT_ERR_INIT;
        mt_dcm_element e;
        tt_ok(mt_dcm_reader_new(&r, m.bytes, m.n, big ? explicit_big : explicit_little, 0, 0, &err),
              &err);
        tt_ok(mt_dcm_next(&e, r, &err), &err);
        assert_true(mt_dcm_hides_items(&e));
        tt_ok(mt_dcm_enter(r, &e, &err), &err);
        const mt_dcm_event then[] = {MT_DCM_ITEM, MT_DCM_ELEMENT, MT_DCM_ITEM_END,
                                     MT_DCM_SEQUENCE_END, MT_DCM_ELEMENT};
        for (size_t i = 0; i < 5; i++) {
            tt_ok(mt_dcm_next(&e, r, &err), &err);
            assert_int_equal(e.event, then[i]);
            if (i == 1)
                assert_true(mt_dcm_equals(&e, 0, "A^BC") && e.depth == 1 && e.implicit && !e.big);
        }
        assert_int_equal(e.tag, 0x00100020);
        assert_false(mt_dcm_hides_items(&e));
        mt_dcm_reader_free(&r);
    }
    /* explicit items copied into UN as they were */
    m = (made){0};
    head(&m, 0x00091001, "UN", UNDEFINED);
    item(&m, UNDEFINED);
    text(&m, 0x00100010, "PN", "A^BC");
    item_end(&m);
    sequence_end(&m);
    assert_string_equal(tale(&m), "s00091001:UN:-1 i0 e00100010:PN:4 I S");
}

/* An archive that does not know an attribute writes it as UN; we may know it. */
static void test_known_in_un(void **state)
{
    static made m, in;
    for (int big = 0; big < 2; big++) {
        in = (made){.implicit = true};
        item(&in, 24);
        text(&in, 0x00280030, "DS", "0.00025\\0.00025 ");
        m = (made){.big = big};
        head(&m, 0x00480006, "UN", 4);
        put(&m, "\xac\x08\0\0", 4); /* little endian in either */
        head(&m, 0x00289110, "UN", (uint32_t)in.n);
        put(&m, in.bytes, in.n);
        head(&m, 0x00081140, "UN", 0);
        head(&m, 0x00091001, "UN", 2);
        put(&m, "ab", 2);
        head(&m, 0x00090010, "UN", 2);
        put(&m, "ab", 2);
        assert_string_equal(tale(&m), "e00480006:UL:4 s00289110:SQ:32 i0 e00280030:DS:16 I S "
                                      "s00081140:SQ:0 S e00091001:UN:2 e00090010:LO:2");
        mt_dcm_reader *r = NULL;
        mt_err err = MT_ERR_INIT;
        mt_dcm_element e;
        int64_t v;
        tt_ok(mt_dcm_reader_new(&r, m.bytes, m.n, (mt_dcm_syntax){.big = big}, 0, 0, &err), &err);
        tt_ok(mt_dcm_next(&e, r, &err), &err);
        assert_true(e.un && !e.implicit && mt_dcm_int(&v, &e, 0) && v == 2220);
        tt_ok(mt_dcm_next(&e, r, &err), &err);
        assert_true(e.un && e.event == MT_DCM_SEQUENCE);
        tt_ok(mt_dcm_skip(r, &err), &err); /* one step, as its length is stated */
        tt_ok(mt_dcm_next(&e, r, &err), &err);
        assert_int_equal(e.tag, 0x00081140);
        mt_dcm_reader_free(&r);
        /* a sequence by name whose value is none stays a value */
        m.bytes[16 + 12 + 4] = 25; /* its first item is a byte too long */
        assert_non_null(strstr(tale(&m), "e00289110:UN:32 s00081140"));
    }
    /* undefined length: a sequence whatever the dictionary says */
    m = (made){0};
    head(&m, 0x00100020, "UN", UNDEFINED);
    sequence_end(&m);
    head(&m, 0x00081140, "UN", UNDEFINED);
    sequence_end(&m);
    assert_string_equal(tale(&m), "s00100020:UN:-1 S s00081140:SQ:-1 S");
}

/* UN in UN in UN, each tried before it is entered: the work must not double with every level. */
static void test_nested_un(void **state)
{
    static made m;
    m = (made){0};
    text(&m, 0x00100020, "LO", "x");
    for (int i = 0; i < MT_DCM_MAX_DEPTH; i++) {
        made *in = malloc(sizeof *in);
        *in = m;
        m = (made){0};
        head(&m, 0x00081140, "UN", (uint32_t)in->n + 8);
        item(&m, (uint32_t)in->n);
        put(&m, in->bytes, in->n);
        free(in);
    }
    const char *told = tale(&m);
    assert_null(strchr(told, '!'));
    int sequences = 0;
    for (const char *p = told; (p = strchr(p, 's')); p++)
        sequences++;
    assert_int_equal(sequences, MT_DCM_MAX_DEPTH);
    assert_non_null(strstr(told, "e00100020:LO:1 I S"));
}

/* Bytes that are a VR and a short length, or a long length that happens to spell one. */
static void test_spelled_lengths(void **state)
{
    static made m;
    static const char zeros[0x4144];
    m = (made){0};
    head(&m, 0x00091001, "UN", UNDEFINED);
    m.implicit = true;
    item(&m, UNDEFINED);
    head(&m, 0x00091002, "UN", sizeof zeros); /* 'D', 'A', 0, 0 */
    put(&m, zeros, sizeof zeros);
    item_end(&m);
    sequence_end(&m);
    m.implicit = false;
    assert_string_equal(tale(&m), "s00091001:UN:-1 i0 e00091002:UN:16708 I S");
    m = (made){.implicit = true}; /* outside UN nothing is turned */
    head(&m, 0x00081140, "SQ", 16);
    item(&m, 8);
    head(&m, 0x00100030, "DA", sizeof zeros);
    assert_non_null(strstr(tale(&m), "s00081140:SQ:16 i0 !(0010,0030) "));
    /* "??" and no length, where '?', '?', 0, 0 would be one that fits */
    m = (made){0};
    text(&m, 0x00080008, "??", "");
    head(&m, 0x00091001, "OB", sizeof zeros);
    put(&m, zeros, sizeof zeros);
    assert_string_equal(tale(&m), "e00080008:UN:0 e00091001:OB:16708");
    /* capitals that are no VR, short, where the value would do as a long length */
    m = (made){0};
    text(&m, 0x00080008, "ZX", "");
    m.bytes[6] = 4;
    put(&m, "\1\0\0\0", 4);
    text(&m, 0x00100020, "LO", "x");
    assert_string_equal(tale(&m), "e00080008:UN:4 e00100020:LO:1");
}

/* What looks like items and is none stays a value. */
static void test_enter_refuses(void **state)
{
    static made m;
    m = (made){0};
    head(&m, 0x00091001, "UN", 20);
    item(&m, 4);
    put(&m, "abcdefghijkl", 12);
    text(&m, 0x00100020, "LO", "12");
    mt_dcm_reader *r = NULL;
    mt_err err = MT_ERR_INIT;
    mt_dcm_element e;
    tt_ok(mt_dcm_reader_new(&r, m.bytes, m.n, explicit_little, 0, 0, &err), &err);
    tt_ok(mt_dcm_next(&e, r, &err), &err);
    assert_true(mt_dcm_hides_items(&e));
    assert_int_equal(mt_dcm_enter(r, &e, &err), MT_ERR_FORMAT);
    mt_err_clear(&err);
    tt_ok(mt_dcm_next(&e, r, &err), &err);
    assert_int_equal(e.tag, 0x00100020);
    const mt_dcm_element old = e;
    tt_ok(mt_dcm_next(&e, r, &err), &err);
    assert_int_equal(mt_dcm_enter(r, &old, NULL),
                     MT_ERR_FORMAT); /* nothing has moved, but it is no sequence */
    mt_dcm_reader_free(&r);
}

static void test_tolerated(void **state)
{
    static made m;
    /* VRs that are none */
    m = (made){0};
    text(&m, 0x00080005, "  ", "ab");
    text(&m, 0x00080008, "??", "ab");
    put(&m, "\x08\0\x16\0ZZ\0\0\2\0\0\0cd", 14); /* one of tomorrow: long header */
    put(&m, "\x08\0\x18\0ZX\2\0cd", 10);         /* one of a writer of yesterday: short */
    assert_string_equal(tale(&m), "e00080005:UN:2 e00080008:UN:2 e00080016:UN:2 e00080018:UN:2");
    /* an implicit element in an explicit set */
    m = (made){.implicit = true};
    text(&m, 0x00100010, "PN", "A^B ");
    m.implicit = false;
    text(&m, 0x00100020, "LO", "x");
    assert_string_equal(tale(&m), "e00100010:PN:4 e00100020:LO:1");
    /* groups out of order, group lengths, tags twice */
    m = (made){0};
    text(&m, 0x00100020, "LO", "x");
    number(&m, 0x00080000, "UL", 99);
    text(&m, 0x00100020, "LO", "y");
    assert_string_equal(tale(&m), "e00100020:LO:1 e00080000:UL:4 e00100020:LO:1");
    /* zeros behind the last element, few and many */
    for (size_t zeros = 1; zeros < 40; zeros++) {
        m = (made){0};
        text(&m, 0x00100020, "LO", "x");
        for (size_t i = 0; i < zeros; i++)
            put(&m, "", 1);
        assert_string_equal(tale(&m), "e00100020:LO:1");
    }
    /* delimiters behind stated lengths */
    m = (made){0};
    head(&m, 0x00081140, "SQ", 33);
    item(&m, 9);
    text(&m, 0x00100020, "LO", "x");
    item_end(&m);
    sequence_end(&m);
    sequence_end(&m);
    text(&m, 0x00100020, "LO", "y");
    assert_string_equal(tale(&m), "s00081140:SQ:33 i0 e00100020:LO:1 I S e00100020:LO:1");
    m = (made){0}; /* also between items */
    head(&m, 0x00081140, "SQ", 40);
    item(&m, 0);
    item_end(&m);
    item(&m, 0);
    sequence_end(&m);
    item(&m, 0);
    text(&m, 0x00100020, "LO", "y");
    assert_string_equal(tale(&m), "s00081140:SQ:40 i0 I i1 I i2 I S e00100020:LO:1");
    /* items that nobody ended, in a sequence of either kind */
    m = (made){0};
    head(&m, 0x00081140, "SQ", UNDEFINED);
    item(&m, UNDEFINED);
    text(&m, 0x00100020, "LO", "x");
    item(&m, UNDEFINED);
    text(&m, 0x00100020, "LO", "x");
    sequence_end(&m);
    text(&m, 0x00100030, "DA", "19700101");
    assert_string_equal(tale(&m),
                        "s00081140:SQ:-1 i0 e00100020:LO:1 I i1 e00100020:LO:1 I S e00100030:DA:8");
    /* pixel representation decides what is US or SS, also for the sets inside, and only from there
     * on */
    m = (made){.implicit = true};
    number(&m, 0x00280106, "US", 1);
    number(&m, 0x00280103, "US", 1);
    number(&m, 0x00280107, "US", 1);
    head(&m, 0x00283000, "SQ", 18);
    item(&m, 10);
    number(&m, 0x00283002, "US", 1);
    head(&m, 0x60223000, "OW", 0);
    head(&m, 0x00091001, "UN", 0);
    head(&m, 0x00090010, "LO", 0);
    head(&m, 0x7fe00010, "OW", 0);
    assert_string_equal(
        tale(&m),
        "e00280106:US:2 e00280103:US:2 e00280107:SS:2 s00283000:SQ:18 i0 e00283002:SS:2 I S "
        "e60223000:OW:0 e00091001:UN:0 e00090010:LO:0 e7fe00010:OW:0");
}

static void test_refused(void **state)
{
    static made m;
    static const struct {
        const char *what, *words;
    } rows[] = {
        {"value past the end",
         "(0010,0020) Patient ID at byte 0: length 9, but the data ends 1 bytes on"},
        {"value past its item",
         "(0010,0020) Patient ID at byte 20: length 9, but what it lies in ends 1 bytes on"},
        {"item past its sequence", "(0008,1140) Referenced Image Sequence at byte 12: length 50, "
                                   "but what it lies in ends 9 bytes on"},
        {"sequence past the end", "(0008,1140) Referenced Image Sequence at byte 0: length "
                                  "4294967294, but the data ends 17 bytes on"},
        {"element where an item is due", "(0010,0020) Patient ID at byte 12: stands where an item "
                                         "of (0008,1140) Referenced Image Sequence is due"},
        {"item where an element is due",
         "(FFFE,E000) Item at byte 0: stands where an element is due"},
        {"header cut", "byte 0: 5 bytes are no element header, and the data ends there"},
        {"long header cut", "byte 0: 9 bytes are no element header, and the data ends there"},
        {"fragment of undefined length",
         "(7FE0,0010) Pixel Data at byte 12: a fragment of undefined length"},
        {"text of undefined length",
         "(0008,1190) Retrieve URL at byte 0: undefined length of a value that is no sequence"},
    };
    for (size_t i = 0; i < MT_COUNT(rows); i++) {
        m = (made){0};
        if (i == 1 || i == 2 || i == 3) {
            head(&m, 0x00081140, "SQ", i == 3 ? 0xfffffffe : 17);
            item(&m, i == 2 ? 50 : 9);
        }
        if (i < 4) {
            head(&m, 0x00100020, "LO", i < 2 ? 9 : 1);
            put(&m, "x", 1);
        }
        if (i == 1 || i == 2) text(&m, 0x00100030, "DA", "19700101"); /* the data go on */
        if (i == 4) {
            head(&m, 0x00081140, "SQ", UNDEFINED);
            text(&m, 0x00100020, "LO", "x");
        }
        if (i == 5) item(&m, 0);
        if (i == 6) put(&m, "\x10\0\x20\0L", 5);
        if (i == 7) put(&m, "\x10\0\x20\0UT\0\0\1", 9);
        if (i == 8) {
            head(&m, 0x7fe00010, "OB", UNDEFINED);
            item(&m, UNDEFINED);
        }
        if (i == 9) head(&m, 0x00081190, "UR", UNDEFINED);
        const char *told = strchr(tale(&m), '!');
        if (!told || strcmp(told + 1, rows[i].words))
            fail_msg("%s: \"%s\"", rows[i].what, told ? told : "nothing");
    }
    /* the origin is added */
    m = (made){0};
    head(&m, 0x00100020, "LO", 9);
    mt_dcm_reader *r = NULL;
    mt_err err = MT_ERR_INIT;
    mt_dcm_element e;
    tt_ok(mt_dcm_reader_new(&r, m.bytes, m.n, explicit_little, 500, 0, &err), &err);
    assert_int_equal(mt_dcm_next(&e, r, &err), MT_ERR_FORMAT);
    assert_non_null(strstr(err.text, "at byte 500:"));
    assert_true(e.tag == 0x00100020 && e.length == 9 && e.offset == 500 && e.value == m.bytes + 8);
    assert_int_equal(mt_dcm_next(&e, r, NULL), MT_OK);
    assert_int_equal(e.event, MT_DCM_END);
    mt_dcm_reader_free(&r);
}

static void test_depth(void **state)
{
    static made m;
    for (int levels = 31; levels < 35; levels++) {
        m = (made){0};
        for (int i = 0; i < levels; i++) {
            head(&m, 0x00081140, "SQ", UNDEFINED);
            item(&m, UNDEFINED);
        }
        const char *told = tale(&m), *error = strchr(told, '!');
        assert_int_equal(error != NULL, levels > MT_DCM_MAX_DEPTH);
        if (error)
            assert_string_equal(
                error + 1,
                "(0008,1140) Referenced Image Sequence at byte 652: items nested more than "
                "32 deep");
        /* pixel data in the innermost still fits */
        if (levels != 32) continue;
        head(&m, 0x7fe00010, "OB", UNDEFINED);
        item(&m, 0);
        assert_non_null(strstr(tale(&m), "p7fe00010:OB:-1 f0:0 P I S I S"));
    }
}

/* Skipping by stated length is one step: a sequence whose inside is nonsense is passed. */
static void test_skip(void **state)
{
    static made m;
    m = (made){0};
    head(&m, 0x00081140, "SQ", 1000);
    for (int i = 0; i < 1000; i++)
        put(&m, "\x55", 1);
    text(&m, 0x00100020, "LO", "x");
    mt_dcm_reader *r = NULL;
    mt_err err = MT_ERR_INIT;
    mt_dcm_element e;
    tt_ok(mt_dcm_reader_new(&r, m.bytes, m.n, explicit_little, 0, 0, &err), &err);
    tt_ok(mt_dcm_next(&e, r, &err), &err);
    tt_ok(mt_dcm_skip(r, &err), &err);
    tt_ok(mt_dcm_next(&e, r, &err), &err);
    assert_int_equal(e.tag, 0x00100020);
    assert_int_equal(e.depth, 0);
    mt_dcm_reader_free(&r);
    /* and of undefined length it must follow, and says where it could not */
    m = (made){0};
    head(&m, 0x00081140, "SQ", UNDEFINED);
    item(&m, UNDEFINED);
    head(&m, 0x00081140, "SQ", 20);
    for (int i = 0; i < 20; i++)
        put(&m, "\x55", 1);
    head(&m, 0x00100020, "LO", 77);
    tt_ok(mt_dcm_reader_new(&r, m.bytes, m.n, explicit_little, 0, 0, &err), &err);
    tt_ok(mt_dcm_next(&e, r, &err), &err);
    assert_int_equal(mt_dcm_skip(r, &err), MT_ERR_FORMAT);
    assert_string_equal(
        err.text, "(0010,0020) Patient ID at byte 52: length 77, but the data ends 0 bytes on");
    mt_dcm_reader_free(&r);
}

/* Zero tags that are no padding must not cost a look to the end each. */
static void test_zeros_are_not_quadratic(void **state)
{
    const size_t n = 32u << 20;
    uint8_t *zeros = calloc(n, 1);
    assert_non_null(zeros);
    zeros[n - 1] = 1;
    mt_dcm_reader *r = NULL;
    mt_err err = MT_ERR_INIT;
    mt_dcm_element e;
    tt_ok(mt_dcm_reader_new(&r, zeros, n, implicit_little, 0, 0, &err), &err);
    size_t events = 0;
    mt_status st;
    while ((st = mt_dcm_next(&e, r, &err)) == MT_OK && e.event != MT_DCM_END)
        events++;
    assert_int_equal(st, MT_ERR_FORMAT); /* the last has a length of 1 << 24 */
    assert_int_equal(events, n / 8 - 1);
    mt_dcm_reader_free(&r);
    free(zeros);
}

static void test_empty(void **state)
{
    assert_string_equal(story(NULL, 0, explicit_little), "");
    assert_string_equal(story("", 0, implicit_little), "");
    assert_string_equal(story("", 0, (mt_dcm_syntax){.deflated = true}),
                        "!deflated data set of 0 bytes is damaged or cut "
                        "short");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_three_spellings),
        cmocka_unit_test(test_cut_everywhere),
        cmocka_unit_test(test_offsets_and_ends),
        cmocka_unit_test(test_encapsulated),
        cmocka_unit_test(test_sequences_in_un),
        cmocka_unit_test(test_enter_refuses),
        cmocka_unit_test(test_known_in_un),
        cmocka_unit_test(test_nested_un),
        cmocka_unit_test(test_spelled_lengths),
        cmocka_unit_test(test_tolerated),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_skip),
        cmocka_unit_test(test_zeros_are_not_quadratic),
        cmocka_unit_test(test_empty),
    };
    return cmocka_run_group_tests_name("read", tests, NULL, NULL);
}
