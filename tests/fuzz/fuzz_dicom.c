// rooms: dicom base
// seeds: dicom-deid dicom-wsi/highdicom dicom-wsi/boxes dicom-results
/* DICOM files and bare data sets of every syntax: pulled through whole, with parts skipped, with
 * hidden sequences entered; what is reported must lie in the bytes and nest, and skipping must not
 * change what is outside. */
#include <stdlib.h>
#include <string.h>
#include "dicom/dataset.h"
#include "dicom/dict.h"
#include "dicom/read.h"

static void must(bool ok)
{
    if (!ok) abort();
}

static void look_at_value(const mt_dcm_element *e)
{
    char small[9];
    int64_t whole;
    double real;
    const size_t n = mt_dcm_count(e);
    for (size_t i = 0; i < n + 1 && i < 4; i++) {
        const mt_dcm_text t = mt_dcm_string(e, i);
        if (t.p)
            must((const uint8_t *)t.p >= e->value &&
                 (const uint8_t *)t.p + t.n <= e->value + e->length);
        if (i >= n) must(!t.p && !mt_dcm_number(&real, e, i));
        if (mt_dcm_int(&whole, e, i)) must(mt_dcm_number(&real, e, i));
        mt_dcm_copy(small, sizeof small, e, i);
        must(strlen(small) < sizeof small);
        (void)mt_dcm_equals(e, i, "NO");
    }
    char room[64];
    must(strlen(mt_dcm_tag_name(room, e->tag)) >= 11);
}

/* Where all may point. A deflated set points into the reader's own bytes, which only the sanitizer
 * knows. */
typedef struct span {
    const uint8_t *data;
    size_t size;
    bool known;
} span;

static void touch(const mt_dcm_element *e, span s)
{
    if (e->event != MT_DCM_ELEMENT && e->event != MT_DCM_FRAGMENT) return;
    if (s.known) must(e->value >= s.data && e->length <= (size_t)(s.data + s.size - e->value));
    if (e->length) {
        volatile uint8_t both_ends = e->value[0] ^ e->value[e->length - 1];
        (void)both_ends;
    }
    if (e->event == MT_DCM_ELEMENT) look_at_value(e);
}

/* Pulls to the end; a sum over what stands at depth 0. `plan` says what to skip and enter: 0
 * nothing, 1 every sequence, else by its bits in turn. */
static bool pull(uint64_t *sum, mt_dcm_reader *r, span s, uint32_t plan, size_t most)
{
    int open = 0;
    size_t events = 0;
    *sum = 0;
    for (;;) {
        mt_dcm_element e;
        mt_err err = MT_ERR_INIT;
        if (mt_dcm_next(&e, r, &err) != MT_OK) {
            must(err.text[0] && !strchr(err.text, '\n') && mt_dcm_next(&e, r, NULL) == MT_OK &&
                 e.event == MT_DCM_END);
            return false;
        }
        must(++events <= most && e.depth <= MT_DCM_MAX_DEPTH);
        touch(&e, s);
        if (e.event == MT_DCM_END) {
            must(open == 0);
            return true;
        }
        const bool begins =
            e.event == MT_DCM_SEQUENCE || e.event == MT_DCM_ITEM || e.event == MT_DCM_PIXELS;
        const bool ends = e.event == MT_DCM_SEQUENCE_END || e.event == MT_DCM_ITEM_END ||
                          e.event == MT_DCM_PIXELS_END;
        if (e.depth == 0 && !ends && e.event != MT_DCM_FRAGMENT)
            *sum = *sum * 31 + e.tag + e.offset * 7 + e.length;
        open += begins - ends;
        must(open >= e.depth);
        if (begins && (plan == 1 || (plan > 1 && (plan >> (events & 15) & 1)))) {
            if (mt_dcm_skip(r, &err) != MT_OK) return false;
            open--;
        } else if (plan > 1 && mt_dcm_hides_items(&e)) {
            if (mt_dcm_enter(r, &e, &err) != MT_OK) return false;
            open++;
        }
    }
}

static void all_ways(const uint8_t *data, size_t size, mt_dcm_syntax syntax)
{
    uint64_t sums[3];
    bool whole[3];
    const uint32_t plans[] = {0, 1, size > 3 ? 2u + (data[2] | (uint32_t)data[3] << 8) : 0x5a5a};
    /* nothing reported is shorter than the 8 bytes of its header, but ends that nobody wrote */
    const size_t most = syntax.deflated ? SIZE_MAX : size / 4 + 2 * MT_DCM_MAX_DEPTH + 8;
    for (int i = 0; i < 3; i++) {
        mt_dcm_reader *r = NULL;
        if (mt_dcm_reader_new(&r, data, size, syntax, 100, 1 << 16, NULL) != MT_OK) return;
        whole[i] = pull(&sums[i], r, (span){data, size, !syntax.deflated}, plans[i], most);
        mt_dcm_reader_free(&r);
        must(!r);
    }
    if (whole[0]) must(whole[1] && sums[0] == sums[1]);
}

static void in_a_tree(mt_dcm_reader *r, size_t way)
{
    mt_dcm_dataset *set = NULL;
    mt_err err = MT_ERR_INIT;
    static const mt_dcm_tag left_out = 0x00081140;
    const mt_dcm_load_opts opts = {.max_elements = 4096,
                                   .max_bytes = 1 << 20,
                                   .enter_un = way & 1,
                                   .skip = &left_out,
                                   .n_skip = way >> 1 & 1,
                                   .stop = way & 4 ? 0x7fe00000 : 0};
    if (mt_dcm_dataset_load(&set, r, &opts, &err) != MT_OK) {
        must(err.text[0] && !set);
        return;
    }
    const mt_dcm_node *root = mt_dcm_dataset_root(set);
    for (size_t i = 0; i < root->n && i < 64; i++)
        must(mt_dcm_find(root, root->child[i].e.tag) != NULL);
    uint64_t before = 0;
    for (const mt_dcm_node *at = mt_dcm_walk(root, NULL); at; at = mt_dcm_walk(root, at)) {
        must(at->e.offset >= before && at->end > at->e.offset && at->end <= at->parent->end);
        before = at->e.offset;
    }
    (void)mt_dcm_find_path(root, (const mt_dcm_tag[]){0x52009229, 0x00289110, 0x00280030}, 3);
    mt_dcm_dataset_free(&set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mt_dcm_reader *r = NULL;
    mt_dcm_file file;
    mt_err err = MT_ERR_INIT;
    if (mt_dcm_open(&r, &file, data, size, true, &err) == MT_OK) {
        must(file.dataset <= size && strlen(file.syntax_uid) < 65);
        if (!file.syntax.deflated) all_ways(data + file.dataset, size - file.dataset, file.syntax);
        in_a_tree(r, size);
        mt_dcm_reader_free(&r);
    } else {
        must(err.text[0] && !strchr(err.text, '\n') && !r);
    }
    if (size && !mt_dcm_is(data, size))
        all_ways(
            data + 1, size - 1,
            (mt_dcm_syntax){.implicit = data[0] & 1, .big = data[0] & 2, .deflated = data[0] & 4});
    return 0;
}
