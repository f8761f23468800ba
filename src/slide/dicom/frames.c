/* Where the frames of a file lie and where they belong. Fragments are found by walking them, once;
 * the offset tables then only say which fragments make a frame, and only where that is in doubt. */
#include <math.h>
#include <string.h>
#include "slide/dicom/dicom.h"

#define T(group, element) MT_DCM_TAG(0x##group, 0x##element)
enum { MAX_FRAGMENTS = 1 << 26, MAX_FRAMES = 1 << 26 };

void mt_dicom_frames_free(mt_dicom_frames *f)
{
    free(f->fragments);
    free(f->first);
    free(f->places);
    memset(f, 0, sizeof *f);
}

/* ---- positions ---- */

typedef struct positions {
    const mt_dicom_facts *facts;
    mt_dicom_place shared, now;
    bool per_frame;            /* inside the per-frame groups */
} positions;

static uint32_t path_of(const mt_dicom_facts *f, const mt_dcm_element *e)
{
    char id[17];
    mt_dcm_copy(id, sizeof id, e, 0);
    for (uint32_t i = 0; i < f->n_ids && i < MT_DICOM_MAX_PATHS; i++)
        if (!strcmp(id, f->ids[i])) return i;
    return UINT32_MAX;
}

static void place(positions *p, const mt_dcm_element *e)
{
    mt_dicom_place *to = p->per_frame ? &p->now : &p->shared;
    int64_t v;
    switch (e->tag) {
    case T(0048, 021e):
        if (!mt_dcm_int(&v, e, 0) || v <= INT32_MIN || v > INT32_MAX) return;
        to->x = (int32_t)(v - 1);
        to->stated |= 1;
        break;
    case T(0048, 021f):
        if (!mt_dcm_int(&v, e, 0) || v <= INT32_MIN || v > INT32_MAX) return;
        to->y = (int32_t)(v - 1);
        to->stated |= 2;
        break;
    case T(0040, 074a):
        if (!mt_dcm_number(&to->z, e, 0) || !isfinite(to->z)) to->z = 0; /* binary VRs can say it */
        break;
    case T(0048, 0106): to->path = path_of(p->facts, e); break;
    }
}

static bool place_sequence(const mt_dcm_element *e)
{
    if (e->depth == 0) return e->tag == T(5200, 9229) || e->tag == T(5200, 9230);
    return e->depth == 1 && (e->tag == T(0048, 021a) || e->tag == T(0048, 0207));
}

static mt_status take_place(mt_dicom_frames *out, const positions *p, uint32_t frame, mt_err *err)
{
    if (frame >= out->n)
        return mt_err_set(err, MT_ERR_FORMAT, "positions of more than %u frames", out->n);
    if (!out->places) /* only now is it known that there are any */
        MT_TRY(mt_alloc(&out->places, out->n, sizeof *out->places,
                        MAX_FRAMES * sizeof *out->places, "frame positions", err));
    out->places[frame] = p->now;
    return MT_OK;
}

/* Events up to the pixel data, which is left in *e. */
static mt_status read_places(mt_dicom_frames *out, mt_dcm_element *e, mt_dcm_reader *r,
                             const mt_dicom_facts *f, mt_dcm_element *offsets,
                             mt_dcm_element *lengths, mt_err *err)
{
    positions p = {.facts = f};
    const bool wanted = !f->full && f->positions;
    for (;;) {
        MT_TRY(mt_dcm_next(e, r, err));
        if (e->event == MT_DCM_END) return mt_err_set(err, MT_ERR_FORMAT, "no pixel data");
        if (e->depth == 0 && e->tag == T(7fe0, 0010) &&
            (e->event == MT_DCM_ELEMENT || e->event == MT_DCM_PIXELS)) return MT_OK;
        if (e->event == MT_DCM_SEQUENCE) {
            if (e->depth == 0) p.per_frame = e->tag == T(5200, 9230);
            if (!wanted || !place_sequence(e)) MT_TRY(mt_dcm_skip(r, err));
        } else if (e->event == MT_DCM_PIXELS) {
            MT_TRY(mt_dcm_skip(r, err));
        } else if (e->event == MT_DCM_ITEM && e->tag == T(5200, 9230)) {
            p.now = p.shared;
        } else if (e->event == MT_DCM_ITEM_END && e->tag == T(5200, 9230)) {
            MT_TRY(take_place(out, &p, e->item, err));
        } else if (e->event == MT_DCM_ELEMENT && e->depth > 1) {
            place(&p, e);
        } else if (e->event == MT_DCM_ELEMENT && e->depth == 0) {
            if (e->tag == T(7fe0, 0001)) *offsets = *e;
            if (e->tag == T(7fe0, 0002)) *lengths = *e;
        }
    }
}

/* ---- fragments ---- */

typedef struct fragments {
    mt_dicom_span *v;
    size_t n, cap;
} fragments;

static mt_status add_fragment(fragments *l, uint64_t at, uint64_t n, mt_err *err)
{
    if (l->n == MAX_FRAGMENTS)
        return mt_err_set(err, MT_ERR_LIMIT, "more than %d fragments", MAX_FRAGMENTS);
    if (l->n == l->cap) {
        const size_t cap = l->cap ? 2 * l->cap : 64;
        mt_dicom_span *more = realloc(l->v, cap * sizeof *more);
        if (!more) return mt_err_set(err, MT_ERR_NO_MEMORY, "fragments");
        l->v = more;
        l->cap = cap;
    }
    l->v[l->n++] = (mt_dicom_span){at, n};
    return MT_OK;
}

/* All items behind the table; *table is the table. A file that ends inside gives what is whole. */
static mt_status walk_fragments(mt_dicom_frames *out, fragments *l, mt_dcm_element *table,
                                mt_dcm_reader *r, const uint8_t *data, mt_err *err)
{
    *table = (mt_dcm_element){0};
    for (;;) {
        mt_dcm_element e;
        mt_err why = MT_ERR_INIT;
        mt_status st = mt_dcm_next(&e, r, &why);
        if (st != MT_OK && st != MT_ERR_FORMAT) return mt_err_set(err, st, "%s", why.text);
        if (st != MT_OK || e.event == MT_DCM_END) {
            out->cut = 1;
            return MT_OK;
        }
        if (e.event == MT_DCM_PIXELS_END) return MT_OK;
        if (e.event != MT_DCM_FRAGMENT) continue;
        if (e.item == 0) *table = e;
        else MT_TRY(add_fragment(l, (uint64_t)(e.value - data), e.length, err));
    }
}

static uint64_t table_entry(const uint8_t *p, size_t i, unsigned bytes)
{
    uint64_t v = 0;
    for (unsigned k = 0; k < bytes; k++) v |= (uint64_t)p[bytes * i + k] << 8 * k;
    return v;
}

/* Fragment whose item begins `offset` bytes behind the table; n when none does. */
static size_t fragment_at(const fragments *l, uint64_t offset)
{
    const uint64_t zero = l->v[0].at - 8;
    size_t lo = 0, hi = l->n;
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        if (l->v[mid].at - 8 - zero < offset) lo = mid + 1;
        else hi = mid;
    }
    return lo < l->n && l->v[lo].at - 8 - zero == offset ? lo : l->n;
}

/* Frames begin where the table says: every entry a fragment's, each behind the one before. Entries
 * past a cut have no fragments. */
static bool by_table(mt_dicom_frames *out, const fragments *l, const uint8_t *p, size_t entries,
                     unsigned bytes)
{
    if (entries < out->n) return false;
    size_t before = 0;
    for (uint32_t k = 0; k < out->n; k++) {
        size_t i = fragment_at(l, table_entry(p, k, bytes));
        if (i == l->n && !out->cut) return false;
        if (k == 0 ? i != 0 : i < l->n ? i <= before : false) return false;
        out->first[k] = (uint32_t)i;
        before = i;
    }
    out->first[out->n] = (uint32_t)l->n;
    return true;
}

static bool begins_stream(const uint8_t *p, uint64_t n)
{
    static const uint8_t heads[][4] = {{0xff, 0xd8, 0xff}, {0xff, 0x4f, 0xff, 0x51}, {0, 0, 0, 12}};
    return n >= 4 && (!memcmp(p, heads[0], 3) || !memcmp(p, heads[1], 4) || !memcmp(p, heads[2], 4));
}

static bool by_streams(mt_dicom_frames *out, const fragments *l, const uint8_t *data)
{
    uint32_t k = 0;
    for (size_t i = 0; i < l->n; i++) {
        if (!begins_stream(data + l->v[i].at, l->v[i].n)) continue;
        if (k == out->n || (k == 0 && i != 0)) return false;
        out->first[k++] = (uint32_t)i;
    }
    out->first[out->n] = (uint32_t)l->n;
    for (uint32_t j = k; j < out->n; j++) out->first[j] = (uint32_t)l->n;
    return k == out->n || (out->cut && k > 0);
}

static mt_status share_out(mt_dicom_frames *out, const fragments *l, const uint8_t *data,
                           const mt_dcm_element *basic, const mt_dcm_element *extended,
                           mt_err *err)
{
    if (!l->n)
        return mt_err_set(err, MT_ERR_FORMAT, "the pixel data has no fragment for %u frames", out->n);
    if (l->n == out->n) return MT_OK; /* one each */
    if (l->n < out->n && (!out->cut || mt_dicom_claims_too_much(out->n, l->n)))
        return mt_err_set(err, MT_ERR_FORMAT, "the pixel data has %zu fragments for %u frames", l->n,
                          out->n);
    MT_TRY(mt_alloc(&out->first, (size_t)out->n + 1, sizeof *out->first,
                    (MAX_FRAMES + 1) * sizeof *out->first, "frames", err));
    if (out->n == 1) {
        out->first[1] = (uint32_t)l->n;
        return MT_OK;
    }
    if (extended->length && by_table(out, l, extended->value, extended->length / 8, 8)) return MT_OK;
    if (basic->length && by_table(out, l, basic->value, basic->length / 4, 4)) return MT_OK;
    out->doubtful = basic->length || extended->length;
    if (by_streams(out, l, data)) return MT_OK;
    if (out->cut && l->n < out->n) { /* as far as it goes, one each */
        for (uint32_t k = 0; k <= out->n; k++) out->first[k] = (uint32_t)MT_MIN((size_t)k, l->n);
        return MT_OK;
    }
    return mt_err_set(err, MT_ERR_FORMAT,
                      "%zu fragments for %u frames and no offset table that fits", l->n, out->n);
}

/* The table's lengths know about the pad byte. */
static void trim(mt_dicom_frames *out, const fragments *l, const mt_dcm_element *lengths)
{
    if (out->first || lengths->length / 8 < out->n || l->n != out->n) return;
    for (uint32_t k = 0; k < out->n; k++) {
        const uint64_t n = table_entry(lengths->value, k, 8);
        if (n < l->v[k].n && l->v[k].n - n == 1) l->v[k].n = n;
    }
}

mt_status mt_dicom_frames_read(mt_dicom_frames *out, const mt_dicom_facts *f, const uint8_t *data,
                               size_t size, mt_err *err)
{
    memset(out, 0, sizeof *out);
    out->n = f->frames;
    if (!out->n || out->n > MAX_FRAMES)
        return mt_err_set(err, MT_ERR_LIMIT, "(0028,0008) Number of Frames: %u", out->n);
    if (!f->encapsulated && (f->full || !f->positions)) return MT_OK; /* it all follows */
    if (f->encapsulated && f->deflated) /* fragments would not lie in the file */
        return mt_err_set(err, MT_ERR_FORMAT, "encapsulated pixel data in a deflated data set");
    MT_AUTO(mt_dcm_reader_free) mt_dcm_reader *r = NULL;
    mt_dcm_file head;
    mt_dcm_element e, table, offsets = {0}, lengths = {0};
    MT_TRY(mt_dcm_open_within(&r, &head, data, size, false, MT_DICOM_MAX_INFLATED, err));
    mt_status st = read_places(out, &e, r, f, &offsets, &lengths, err);
    fragments l = {NULL, 0, 0};
    if (st == MT_OK && e.event == MT_DCM_PIXELS) {
        if (offsets.length && (!offsets.value || offsets.big)) offsets.length = 0;
        if (lengths.length && (!lengths.value || lengths.big)) lengths.length = 0;
        st = walk_fragments(out, &l, &table, r, data, err);
        if (st == MT_OK) st = share_out(out, &l, data, &table, &offsets, err);
        if (st == MT_OK) trim(out, &l, &lengths);
    }
    out->fragments = l.v;
    out->n_fragments = (uint32_t)l.n;
    if (st != MT_OK) mt_dicom_frames_free(out);
    return st;
}
