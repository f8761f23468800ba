#include "../../support/support.h"
#include "base/file.h"
#include "dicom/dataset.h"
#include "make.h"

static const mt_dcm_tag SHARED = 0x52009229, PER_FRAME = 0x52009230, MEASURES = 0x00289110,
                        SPACING = 0x00280030, POSITION = 0x0048021a, COLUMN = 0x0048021e;

static void a_slide(made *m, int frames)
{
    *m = (made){0};
    text(m, 0x00080060, "CS", "SM");
    text(m, 0x00080060, "CS", "CT"); /* twice: the first counts */
    head(m, SHARED, "SQ", UNDEFINED);
    item(m, UNDEFINED);
    head(m, MEASURES, "SQ", 32);
    item(m, 24);
    text(m, SPACING, "DS", "0.00025\\0.00050 ");
    item_end(m);
    sequence_end(m);
    head(m, PER_FRAME, "SQ", UNDEFINED);
    for (int i = 0; i < frames; i++) {
        item(m, UNDEFINED);
        head(m, POSITION, "SQ", UNDEFINED);
        item(m, 12);
        number(m, COLUMN, "SL", (uint64_t)i * 512 + 1);
        sequence_end(m);
        item_end(m);
    }
    sequence_end(m);
    head(m, 0x7fe00010, "OB", UNDEFINED);
    for (int i = 0; i < 3; i++)
        item(m, 0);
    sequence_end(m);
}

static mt_status load(mt_dcm_dataset **set, mt_dcm_reader **r, const made *m,
                      const mt_dcm_load_opts *opts, mt_err *err)
{
    MT_TRY(
        mt_dcm_reader_new(r, m->bytes, m->n, (mt_dcm_syntax){.implicit = m->implicit}, 0, 0, err));
    return mt_dcm_dataset_load(set, *r, opts, err);
}

static void test_find(void **state)
{
    static made m;
    a_slide(&m, 5);
    mt_dcm_dataset *set = NULL;
    mt_dcm_reader *r = NULL;
    mt_err err = MT_ERR_INIT;
    tt_ok(load(&set, &r, &m, NULL, &err), &err);
    const mt_dcm_node *root = mt_dcm_dataset_root(set);
    assert_int_equal(root->n, 5);
    assert_int_equal(root->end, m.n);
    assert_true(mt_dcm_equals(&mt_dcm_find(root, 0x00080060)->e, 0, "SM"));
    const mt_dcm_node *spacing =
        mt_dcm_find_path(root, (const mt_dcm_tag[]){SHARED, MEASURES, SPACING}, 3);
    double v;
    assert_true(spacing && mt_dcm_number(&v, &spacing->e, 1) && v == 0.0005);
    assert_true(spacing->parent->parent->parent->parent->parent == root && !root->parent);
    assert_int_equal(spacing->e.depth, 2);
    const mt_dcm_node *frames = mt_dcm_find(root, PER_FRAME);
    assert_int_equal(frames->n, 5);
    for (size_t i = 0; i < 5; i++) {
        int64_t column = -1;
        const mt_dcm_node *c =
            mt_dcm_find_path(mt_dcm_item(frames, i), (const mt_dcm_tag[]){POSITION, COLUMN}, 2);
        assert_true(c && mt_dcm_int(&column, &c->e, 0));
        assert_int_equal(column, i * 512 + 1);
    }
    const mt_dcm_node *pixels = mt_dcm_find(root, 0x7fe00010);
    assert_true(pixels->e.event == MT_DCM_PIXELS && pixels->n == 3 && !pixels->child &&
                pixels->end == m.n);
    assert_null(mt_dcm_item(frames, 5));
    assert_null(mt_dcm_item(pixels, 0));
    assert_null(mt_dcm_item(NULL, 0));
    assert_null(mt_dcm_find(NULL, SHARED));
    assert_null(mt_dcm_find(frames, COLUMN)); /* a sequence holds items, no elements */
    assert_null(mt_dcm_find(root, 0x00100010));
    assert_null(mt_dcm_find_path(root, (const mt_dcm_tag[]){SHARED, POSITION, COLUMN}, 3));

    /* walking meets every node once, in the order of the bytes, and the ends contain what is
     * inside */
    size_t nodes = 0, elements = 0;
    uint64_t before = 0;
    for (const mt_dcm_node *at = mt_dcm_walk(root, NULL); at; at = mt_dcm_walk(root, at)) {
        assert_true(at->e.offset >= before && at->end <= at->parent->end && at->end > at->e.offset);
        before = at->e.offset;
        nodes++;
        elements += at->e.event != MT_DCM_ITEM;
    }
    assert_int_equal(nodes, 5 + 4 + 5 * 4);
    assert_int_equal(elements, 5 + 2 + 5 * 2);
    size_t below = 0;
    for (const mt_dcm_node *at = mt_dcm_walk(frames, NULL); at; at = mt_dcm_walk(frames, at))
        below++;
    assert_int_equal(below, 20);
    mt_dcm_dataset_free(&set);
    mt_dcm_dataset_free(&set);
    mt_dcm_reader_free(&r);
}

static void test_limits(void **state)
{
    static made m;
    a_slide(&m, 100);
    const size_t all = 5 + 4 + 400;
    for (size_t most = all - 1; most <= all; most++) {
        mt_dcm_dataset *set = NULL;
        mt_dcm_reader *r = NULL;
        mt_err err = MT_ERR_INIT;
        const mt_dcm_load_opts opts = {.max_elements = most};
        assert_int_equal(load(&set, &r, &m, &opts, &err), most < all ? MT_ERR_LIMIT : MT_OK);
        assert_int_equal(set == NULL, most < all);
        mt_dcm_dataset_free(&set);
        mt_dcm_reader_free(&r);
    }
    for (size_t bytes = 64; bytes < 128 * 1024;
         bytes *= 2) { /* no room: an error, and nothing leaks */
        mt_dcm_dataset *set = NULL;
        mt_dcm_reader *r = NULL;
        mt_err err = MT_ERR_INIT;
        const mt_dcm_load_opts opts = {.max_bytes = bytes};
        const mt_status st = load(&set, &r, &m, &opts, &err);
        assert_true(st == MT_ERR_LIMIT || (st == MT_OK && bytes >= 64 * 1024));
        mt_dcm_dataset_free(&set);
        mt_dcm_reader_free(&r);
    }
}

static void test_options(void **state)
{
    static made m;
    a_slide(&m, 5);
    mt_dcm_dataset *set = NULL;
    mt_dcm_reader *r = NULL;
    mt_err err = MT_ERR_INIT;
    const mt_dcm_load_opts opts = {.stop = 0x7fe00000, .skip = &PER_FRAME, .n_skip = 1};
    tt_ok(load(&set, &r, &m, &opts, &err), &err);
    const mt_dcm_node *root = mt_dcm_dataset_root(set), *frames = mt_dcm_find(root, PER_FRAME);
    assert_int_equal(root->n, 4);
    assert_true(frames && !frames->child && frames->e.value && frames->end > frames->e.offset);
    assert_int_equal(frames + 1 - root->child, 4);
    mt_dcm_dataset_free(&set);
    mt_dcm_reader_free(&r);
    /* a broken set gives no tree */
    m.n -= 30;
    m.bytes[m.n - 1] = 77;
    assert_int_equal(load(&set, &r, &m, NULL, &err), MT_ERR_FORMAT);
    assert_null(set);
    mt_dcm_reader_free(&r);
}

/* A sequence taken item by item, a small tree each. */
static void test_item_by_item(void **state)
{
    static made m;
    a_slide(&m, 5);
    mt_dcm_reader *r = NULL;
    mt_dcm_element e;
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_dcm_reader_new(&r, m.bytes, m.n, (mt_dcm_syntax){0}, 0, 0, &err), &err);
    do {
        tt_ok(mt_dcm_next(&e, r, &err), &err);
    } while (e.tag != PER_FRAME);
    for (size_t i = 0; i < 5; i++) {
        mt_dcm_dataset *set = NULL;
        int64_t column = -1;
        tt_ok(mt_dcm_next(&e, r, &err), &err);
        assert_true(e.event == MT_DCM_ITEM && e.item == i);
        tt_ok(mt_dcm_dataset_load(&set, r, NULL, &err), &err);
        const mt_dcm_node *c =
            mt_dcm_find_path(mt_dcm_dataset_root(set), (const mt_dcm_tag[]){POSITION, COLUMN}, 2);
        assert_true(c && mt_dcm_int(&column, &c->e, 0));
        assert_int_equal(column, i * 512 + 1);
        mt_dcm_dataset_free(&set);
    }
    tt_ok(mt_dcm_next(&e, r, &err), &err);
    assert_true(e.event == MT_DCM_SEQUENCE_END && e.tag == PER_FRAME);
    tt_ok(mt_dcm_next(&e, r, &err), &err); /* and from the midst of fragments: an empty one */
    tt_ok(mt_dcm_next(&e, r, &err), &err);
    assert_int_equal(e.event, MT_DCM_FRAGMENT);
    mt_dcm_dataset *set = NULL;
    tt_ok(mt_dcm_dataset_load(&set, r, NULL, &err), &err);
    assert_int_equal(mt_dcm_dataset_root(set)->n, 0);
    mt_dcm_dataset_free(&set);
    mt_dcm_reader_free(&r);
}

static void test_hidden(void **state)
{
    static made m, in;
    in = (made){.implicit = true};
    item(&in, 10);
    number(&in, 0x00280010, "US", 7);
    m = (made){0};
    head(&m, 0x00091001, "UN", (uint32_t)in.n);
    put(&m, in.bytes, in.n);
    head(&m, 0x00091002, "UN", 12); /* begins like items, is none */
    item(&m, 2);
    put(&m, "abcd", 4);
    for (int enter = 0; enter < 2; enter++) {
        mt_dcm_dataset *set = NULL;
        mt_dcm_reader *r = NULL;
        mt_err err = MT_ERR_INIT;
        const mt_dcm_load_opts opts = {.enter_un = enter};
        tt_ok(load(&set, &r, &m, &opts, &err), &err);
        const mt_dcm_node *root = mt_dcm_dataset_root(set), *sq = mt_dcm_find(root, 0x00091001);
        assert_int_equal(root->n, 2);
        assert_int_equal(sq->e.event, enter ? MT_DCM_SEQUENCE : MT_DCM_ELEMENT);
        int64_t v;
        const mt_dcm_node *rows =
            mt_dcm_find_path(root, (const mt_dcm_tag[]){0x00091001, 0x00280010}, 2);
        assert_int_equal(rows != NULL, enter);
        if (rows) assert_true(mt_dcm_int(&v, &rows->e, 0) && v == 7);
        assert_int_equal(root->child[1].e.event, MT_DCM_ELEMENT);
        mt_dcm_dataset_free(&set);
        mt_dcm_reader_free(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find), cmocka_unit_test(test_limits), cmocka_unit_test(test_options),
        cmocka_unit_test(test_hidden), cmocka_unit_test(test_item_by_item)};
    return cmocka_run_group_tests_name("dataset", tests, NULL, NULL);
}
