#include "dicom/read.h"

#include <libdeflate.h>
#include <stdio.h>
#include <string.h>
#include "dicom/dict.h"
#include "dicom/vr.h"

enum { TAG_ITEM = 0xe000, TAG_ITEM_END = 0xe00d, TAG_SEQ_END = 0xe0dd, GROUP_DELIMITERS = 0xfffe };
enum {
    MAX_OPEN = 1 + 2 * MT_DCM_MAX_DEPTH + 1
}; /* the set, a sequence and an item for each depth, pixel data */
#define PIXEL_REPRESENTATION 0x00280103u

typedef enum frame_kind { SET, ITEM, SEQUENCE, PIXELS } frame_kind;

/* What is open: the data set itself, and inside it sequences and their items in turn. */
typedef struct frame {
    size_t start, end; /* of the content; while the length is undefined, end is the parent's */
    mt_dcm_tag tag;    /* of the sequence or pixel data */
    uint32_t count;    /* SEQUENCE, PIXELS: items met so far; ITEM: its own number */
    mt_vr vr;
    uint8_t kind;
    bool undefined, implicit, big;
    bool un;        /* of a value written as UN: implicit little endian, or should be */
    bool is_signed; /* Pixel Representation of the set, for what is US or SS */
} frame;

struct mt_dcm_reader {
    const uint8_t *data;
    size_t size, pos;
    uint64_t origin;
    uint8_t *inflated; /* owned; data points at it */
    int top, depth;    /* of the stack; number of open items */
    bool trial;        /* looks whether a value is a sequence: takes those inside it as they are */
    size_t last;       /* position of the element reported last, for mt_dcm_enter */
    size_t nonzero;    /* a byte that is not 0 was seen here: what is before it is no padding */
    frame stack[MAX_OPEN];
};

/* ---- Bytes ---- */

static inline uint16_t get16(const uint8_t *p, bool big)
{
    uint16_t v;
    memcpy(&v, p, 2);
    return big ? __builtin_bswap16(v) : v;
}

static inline uint32_t get32(const uint8_t *p, bool big)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return big ? __builtin_bswap32(v) : v;
}

static inline mt_dcm_tag get_tag(const uint8_t *p, bool big)
{
    return (mt_dcm_tag)get16(p, big) << 16 | get16(p + 2, big);
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "get16 and get32 read the machine's own order");

/* ---- Errors ---- */

/* Nothing more will be reported: the reader stands at its end. */
static mt_status stuck(mt_dcm_reader *r, mt_status status)
{
    r->top = r->depth = 0;
    r->pos = r->stack[0].end = r->size;
    return status;
}

static mt_status wrong(mt_dcm_reader *r, mt_dcm_tag tag, size_t at, mt_err *err, const char *what)
{
    char room[64];
    const unsigned long long where = r->origin + at;
    return stuck(r, mt_err_set(err, MT_ERR_FORMAT, "%s at byte %llu: %s",
                               mt_dcm_tag_name(room, tag), where, what));
}

static mt_status overrun(mt_dcm_reader *r, mt_dcm_tag tag, size_t at, uint32_t length, size_t left,
                         mt_err *err)
{
    char room[64];
    const char *outer = r->stack[r->top].end == r->size ? "the data" : "what it lies in";
    return stuck(r, mt_err_set(err, MT_ERR_FORMAT,
                               "%s at byte %llu: length %u, but %s ends %zu bytes on",
                               mt_dcm_tag_name(room, tag), (unsigned long long)(r->origin + at),
                               length, outer, left));
}

static mt_status cut(mt_dcm_reader *r, mt_err *err)
{
    const frame *f = &r->stack[r->top];
    return stuck(r, mt_err_set(err, MT_ERR_FORMAT,
                               "byte %llu: %zu bytes are no element header, and %s ends there",
                               (unsigned long long)(r->origin + r->pos), f->end - r->pos,
                               f->end == r->size ? "the data" : "what they lie in"));
}

/* ---- The stack ---- */

/* Opens what begins at r->pos. */
static mt_status push(mt_dcm_reader *r, frame f, uint32_t length, mt_dcm_tag tag, size_t at,
                      mt_err *err)
{
    const frame *parent = &r->stack[r->top];
    if (f.kind == ITEM && r->depth == MT_DCM_MAX_DEPTH) {
        char room[64];
        return stuck(r, mt_err_set(err, MT_ERR_LIMIT,
                                   "%s at byte %llu: items nested more than %d deep",
                                   mt_dcm_tag_name(room, f.tag),
                                   (unsigned long long)(r->origin + at), MT_DCM_MAX_DEPTH));
    }
    f.undefined = length == MT_DCM_UNDEFINED;
    f.start = r->pos;
    f.end = parent->end;
    if (!f.undefined) {
        if (length > parent->end - r->pos)
            return overrun(r, tag, at, length, parent->end - r->pos, err);
        f.end = r->pos + length;
    }
    r->depth += f.kind == ITEM;
    r->stack[++r->top] = f;
    return MT_OK;
}

/* Closes the innermost; its end event says where that is and how long the content was. */
static mt_status pop(mt_dcm_element *out, mt_dcm_reader *r, size_t header)
{
    static const uint8_t events[] = {MT_DCM_END, MT_DCM_ITEM_END, MT_DCM_SEQUENCE_END,
                                     MT_DCM_PIXELS_END};
    const frame *f = &r->stack[r->top];
    *out = (mt_dcm_element){.event = events[f->kind],
                            .tag = f->tag,
                            .vr = f->vr,
                            .depth = r->depth,
                            .item = f->count,
                            .offset = r->origin + r->pos,
                            .length = r->pos - f->start,
                            .value = r->data + r->pos,
                            .big = f->big,
                            .implicit = f->implicit};
    if (f->kind == SET) return MT_OK;
    r->pos += header;
    r->depth -= f->kind == ITEM;
    r->top--;
    return MT_OK;
}

/* ---- Element headers ---- */

typedef struct header {
    mt_vr vr;
    bool implicit;
    unsigned size; /* 8 or 12 */
    uint32_t length;
} header;

/* Whether a value of this length would fit behind `size` bytes of header. */
static bool fits(uint32_t length, unsigned size, size_t left)
{
    return left >= size && (length == MT_DCM_UNDEFINED || length <= left - size);
}

/* Two bytes that are no VR of today. Capitals: one of tomorrow, with a long header as all new ones
 * have (PS3.5 7.1.2), or of a writer who did not know that. Anything else: "  ", "??" and the like
 * stand for a VR not known; or the element is written implicitly, as some writers do inside their
 * sequences. */
static header odd_header(const uint8_t *p, size_t left, bool big)
{
    const bool capitals = p[4] >= 'A' && p[4] <= 'Z' && p[5] >= 'A' && p[5] <= 'Z';
    const bool nothing = p[4] == p[5] && (p[4] == ' ' || p[4] == '?' || p[4] == '-' || p[4] == '*');
    const header brief = {MT_VR('U', 'N'), false, 8, get16(p + 6, big)};
    if (capitals) {
        if (left >= 12 && !p[6] && !p[7] && fits(get32(p + 8, big), 12, left))
            return (header){MT_VR('U', 'N'), false, 12, get32(p + 8, big)};
        return brief;
    }
    const header bare = {0, true, 8, get32(p + 4, big)};
    if (nothing || (!p[4] && !p[5] && !fits(bare.length, 8, left))) return brief;
    return fits(bare.length, 8, left) || !fits(brief.length, 8, left) ? bare : brief;
}

/* `left` is at least 8. False when a long header is cut off. */
static inline bool parse_header(header *h, const uint8_t *p, size_t left, const frame *f,
                                mt_dcm_tag tag)
{
    if (!f->implicit) {
        h->vr = MT_VR(p[4], p[5]);
        h->implicit = false;
        switch (mt_vr_form(h->vr)) {
        case MT_VR_SHORT:
            h->size = 8;
            h->length = get16(p + 6, f->big);
            return true;
        case MT_VR_LONG:
            if (left < 12) return false;
            h->size = 12;
            h->length = get32(p + 8, f->big);
            return true;
        default:
            *h = odd_header(p, left, f->big);
            if (!h->implicit) return true;
        }
    } else {
        *h = (header){0, true, 8, get32(p + 4, f->big)};
    }
    h->vr = mt_dcm_dict_vr(tag, f->is_signed);
    return true;
}

/* ---- Events ---- */

/* A tag of group FFFE where an element is due. Where the length is undefined the delimiter ends the
 * item, and so does, left to whoever is outside, what can only stand outside. Elsewhere writers
 * leave delimiters behind things of stated length; those mean nothing. */
static mt_status delimiter(mt_dcm_element *out, mt_dcm_reader *r, mt_dcm_tag tag, bool *again,
                           mt_err *err)
{
    const frame *f = &r->stack[r->top];
    const uint16_t element = tag & 0xffff;
    *again = false;
    if (f->kind == ITEM && f->undefined) {
        if (element == TAG_ITEM_END) return pop(out, r, 8);
        if (element == TAG_SEQ_END || element == TAG_ITEM) return pop(out, r, 0);
    }
    if (element != TAG_ITEM_END && element != TAG_SEQ_END)
        return wrong(r, tag, r->pos, err, "stands where an element is due");
    *again = true;
    r->pos += 8;
    return MT_OK;
}

/* Files are padded to even sizes and to blocks: zeros behind the last element are no element. */
static bool only_padding(mt_dcm_reader *r, size_t end)
{
    if (r->pos < r->nonzero && r->nonzero < end) return false;
    for (size_t i = r->pos; i < end; i++)
        if (r->data[i]) {
            r->nonzero = i;
            return false;
        }
    return true;
}

/* What a sequence or pixel data inherits. PS3.5 6.2.2: values in UN are implicit little endian,
 * whatever is around them. */
static frame child_of(const mt_dcm_element *e, frame_kind kind, const frame *f)
{
    return (frame){.tag = e->tag,
                   .vr = e->vr,
                   .kind = (uint8_t)kind,
                   .implicit = e->implicit || e->un,
                   .big = f->big && !e->un,
                   .un = e->un,
                   .is_signed = f->is_signed};
}

static mt_status open_undefined(mt_dcm_element *out, mt_dcm_reader *r, mt_err *err)
{
    const frame *f = &r->stack[r->top];
    const size_t at = r->last;
    const bool pixels = mt_dcm_is_pixels(out->tag);
    if (out->un && !pixels && out->vr != MT_VR('S', 'Q')) out->vr = MT_VR('U', 'N');
    if (pixels || out->vr >> 8 == 'O') {
        out->event = MT_DCM_PIXELS;
        return push(r, child_of(out, PIXELS, f), MT_DCM_UNDEFINED, out->tag, at, err);
    }
    if (out->vr != MT_VR('S', 'Q') && out->vr != MT_VR('U', 'N'))
        return wrong(r, out->tag, at, err, "undefined length of a value that is no sequence");
    out->event = MT_DCM_SEQUENCE;
    return push(r, child_of(out, SEQUENCE, f), MT_DCM_UNDEFINED, out->tag, at, err);
}

/* Opens the value of e, which begins at `start`, as a sequence when it is one from end to end;
 * otherwise nothing moves. Sequences in UN inside it are not looked into: each is tried when its
 * turn comes, so that the cost does not double with every level. */
static mt_status enter(mt_dcm_reader *r, const mt_dcm_element *e, size_t start, mt_err *err)
{
    mt_dcm_reader inside = *r;
    inside.pos = start;
    MT_TRY(push(&inside, child_of(e, SEQUENCE, &r->stack[r->top]), (uint32_t)e->length, e->tag,
                r->last, err));
    mt_dcm_reader ahead = inside;
    mt_dcm_element in;
    ahead.trial = true;
    while (ahead.top >= inside.top)
        MT_TRY(mt_dcm_next(&in, &ahead, err));
    *r = inside;
    return MT_OK;
}

static mt_status open_defined(mt_dcm_element *out, mt_dcm_reader *r, mt_err *err)
{
    const frame *f = &r->stack[r->top];
    if (!out->un || out->length == 0) {
        out->event = MT_DCM_SEQUENCE;
        return push(r, child_of(out, SEQUENCE, f), (uint32_t)out->length, out->tag, r->last, err);
    }
    if (!r->trial && enter(r, out, r->pos, NULL) == MT_OK) {
        out->event = MT_DCM_SEQUENCE;
        return MT_OK;
    }
    out->vr = MT_VR('U', 'N');
    r->pos += out->length;
    return MT_OK;
}

static mt_status next_element(mt_dcm_element *out, mt_dcm_reader *r, mt_err *err)
{
    for (;;) {
        frame *f = &r->stack[r->top];
        const size_t at = r->pos, left = f->end - at;
        if (left == 0) return pop(out, r, 0);
        const uint8_t *p = r->data + at;
        if (left < 8) {
            if (!only_padding(r, f->end)) return cut(r, err);
            r->pos = f->end;
            continue;
        }
        const mt_dcm_tag tag = get_tag(p, f->big);
        if (tag >> 16 == GROUP_DELIMITERS) {
            bool again;
            const mt_status st = delimiter(out, r, tag, &again, err);
            if (!again) return st;
            continue;
        }
        if (tag == 0 && f->kind == SET && only_padding(r, f->end)) {
            r->pos = f->end;
            continue;
        }
        header h;
        if (!parse_header(&h, p, left, f, tag)) return cut(r, err);
        r->pos = at + h.size;
        r->last = at;
        *out = (mt_dcm_element){.event = MT_DCM_ELEMENT,
                                .tag = tag,
                                .vr = h.vr,
                                .depth = r->depth,
                                .offset = r->origin + at,
                                .length = h.length,
                                .value = r->data + r->pos,
                                .big = f->big,
                                .implicit = h.implicit};
        if (!f->implicit && p[4] == 'U' && p[5] == 'N') { /* who wrote it did not know; we may */
            out->un = true;
            out->big = false;
            out->vr = mt_dcm_dict_vr(tag, f->is_signed);
        }
        if (h.length == MT_DCM_UNDEFINED) return open_undefined(out, r, err);
        if (h.length > left - h.size) return overrun(r, tag, at, h.length, left - h.size, err);
        if (out->vr == MT_VR('S', 'Q')) return open_defined(out, r, err);
        if (tag == PIXEL_REPRESENTATION && h.length >= 2)
            f->is_signed = get16(out->value, out->big) & 1;
        r->pos += h.length;
        return MT_OK;
    }
}

/* Some writers copy explicit items into UN without turning them: told by a VR where the length
 * would be, that read as a length leads out of the item. */
static bool is_explicit_after_all(const mt_dcm_reader *r, const frame *item)
{
    const uint8_t *p = r->data + r->pos;
    if (item->end - r->pos < 8 || get16(p, false) == GROUP_DELIMITERS) return false;
    return mt_vr_form(MT_VR(p[4], p[5])) != MT_VR_UNKNOWN &&
           !fits(get32(p + 4, false), 8, item->end - r->pos);
}

/* Between the items of a sequence or the fragments of pixel data. */
static mt_status next_item(mt_dcm_element *out, mt_dcm_reader *r, mt_err *err)
{
    for (;;) {
        frame *f = &r->stack[r->top];
        const size_t at = r->pos, left = f->end - at;
        if (left == 0) return pop(out, r, 0);
        if (left < 8) return cut(r, err);
        const uint8_t *p = r->data + at;
        const mt_dcm_tag tag = get_tag(p, f->big);
        const uint32_t length = get32(p + 4, f->big);
        if (tag == MT_DCM_TAG(GROUP_DELIMITERS, TAG_SEQ_END)) {
            if (f->undefined) return pop(out, r, 8);
            r->pos += 8; /* the length was stated as well */
            continue;
        }
        if (tag == MT_DCM_TAG(GROUP_DELIMITERS, TAG_ITEM_END)) {
            r->pos += 8; /* behind an item of stated length */
            continue;
        }
        if (tag != MT_DCM_TAG(GROUP_DELIMITERS, TAG_ITEM)) {
            char room[64], what[96];
            snprintf(what, sizeof what, "stands where an item of %s is due",
                     mt_dcm_tag_name(room, f->tag));
            return wrong(r, tag, at, err, what);
        }
        r->pos += 8;
        *out = (mt_dcm_element){.event = MT_DCM_ITEM,
                                .tag = f->tag,
                                .vr = f->vr,
                                .depth = r->depth,
                                .item = f->count,
                                .offset = r->origin + at,
                                .length = length,
                                .value = r->data + r->pos,
                                .big = f->big,
                                .implicit = f->implicit};
        if (f->kind == PIXELS) {
            out->event = MT_DCM_FRAGMENT;
            if (length == MT_DCM_UNDEFINED)
                return wrong(r, f->tag, at, err, "a fragment of undefined length");
            if (length > left - 8) return overrun(r, f->tag, at, length, left - 8, err);
            r->pos += length;
            f->count++;
            return MT_OK;
        }
        frame inside = *f;
        inside.kind = ITEM;
        MT_TRY(push(r, inside, length, f->tag, at, err));
        f->count++;
        frame *item = &r->stack[r->top];
        if (f->un && is_explicit_after_all(r, item)) item->implicit = false;
        out->depth = r->depth;
        out->implicit = item->implicit;
        return MT_OK;
    }
}

mt_status mt_dcm_next(mt_dcm_element *out, mt_dcm_reader *r, mt_err *err)
{
    return r->stack[r->top].kind <= ITEM ? next_element(out, r, err) : next_item(out, r, err);
}

mt_status mt_dcm_skip(mt_dcm_reader *r, mt_err *err)
{
    const int bottom = r->top;
    if (bottom == 0) return MT_OK;
    mt_dcm_element e;
    while (r->top >= bottom) {
        const frame *f = &r->stack[r->top];
        if (f->undefined)
            MT_TRY(mt_dcm_next(&e, r, err));
        else {
            r->pos = f->end;
            MT_TRY(pop(&e, r, 0));
        }
    }
    return MT_OK;
}

mt_status mt_dcm_enter(mt_dcm_reader *r, const mt_dcm_element *e, mt_err *err)
{
    const uint8_t *end = r->data + r->pos;
    if (e->event != MT_DCM_ELEMENT || e->value > end || e->value + e->length != end ||
        r->stack[r->top].kind > ITEM)
        return mt_err_set(err, MT_ERR_INTERNAL, "only the element reported last can be entered");
    return enter(r, e, r->pos - (size_t)e->length, err);
}

uint64_t mt_dcm_tell(const mt_dcm_reader *r)
{
    return r->origin + r->pos;
}

size_t mt_dcm_size(const mt_dcm_reader *r)
{
    return r->size;
}

bool mt_dcm_hides_items(const mt_dcm_element *e)
{
    if (e->event != MT_DCM_ELEMENT || e->vr != MT_VR('U', 'N') || e->length < 8) return false;
    if (get_tag(e->value, false) != MT_DCM_TAG(GROUP_DELIMITERS, TAG_ITEM)) return false;
    const uint32_t length = get32(e->value + 4, false);
    return length == MT_DCM_UNDEFINED || length <= e->length - 8;
}

/* ---- Birth and death ---- */

/* PS3.5 A.5: raw deflate; some writers put the zlib head before it. The size is not written
 * anywhere, so the room doubles until the data fits. */
static mt_status inflate(mt_dcm_reader *r, const void *data, size_t size, size_t ceiling,
                         mt_err *err)
{
    ceiling = MT_MIN(ceiling,
                     size < SIZE_MAX / 2048 ? size * 1032 + 64 : ceiling); /* it cannot hold more */
    struct libdeflate_decompressor *z = libdeflate_alloc_decompressor();
    if (!z) return mt_err_set(err, MT_ERR_NO_MEMORY, "deflate decoder");
    enum libdeflate_result result = LIBDEFLATE_INSUFFICIENT_SPACE;
    mt_status st = MT_OK;
    size_t room = size < ceiling / 4 ? MT_MAX(size * 4, 4096) : ceiling, used, got = 0;
    for (room = MT_MIN(room, ceiling); st == MT_OK;
         room = room < ceiling / 2 ? room * 2 : ceiling) {
        free(r->inflated);
        st = mt_alloc(&r->inflated, room, 1, ceiling, "deflated data set", err);
        if (st != MT_OK) break;
        result = libdeflate_deflate_decompress_ex(z, data, size, r->inflated, room, &used, &got);
        if (result == LIBDEFLATE_BAD_DATA)
            result = libdeflate_zlib_decompress_ex(z, data, size, r->inflated, room, &used, &got);
        if (result != LIBDEFLATE_INSUFFICIENT_SPACE || room == ceiling) break;
    }
    libdeflate_free_decompressor(z);
    MT_TRY(st);
    if (result == LIBDEFLATE_INSUFFICIENT_SPACE)
        return mt_err_set(err, MT_ERR_LIMIT, "deflated data set of %zu bytes holds more than %zu",
                          size, ceiling);
    if (result != LIBDEFLATE_SUCCESS)
        return mt_err_set(err, MT_ERR_FORMAT,
                          "deflated data set of %zu bytes is damaged or cut short", size);
    r->data = r->inflated;
    r->size = got;
    return MT_OK;
}

mt_status mt_dcm_reader_new(mt_dcm_reader **out, const void *data, size_t size,
                            mt_dcm_syntax syntax, uint64_t origin, size_t ceiling, mt_err *err)
{
    MT_AUTO(mt_dcm_reader_free) mt_dcm_reader *r = NULL;
    *out = NULL;
    MT_TRY(mt_alloc(&r, 1, sizeof *r, sizeof *r, "DICOM reader", err));
    r->data = data ? data : (const void *)"";
    r->size = size;
    r->origin = origin;
    if (syntax.deflated) {
        r->origin = 0;
        MT_TRY(inflate(r, data, size, ceiling ? ceiling : (size_t)1 << 30, err));
    }
    r->stack[0] =
        (frame){.end = r->size, .kind = SET, .implicit = syntax.implicit, .big = syntax.big};
    *out = mt_steal(r);
    return MT_OK;
}

void mt_dcm_reader_free(mt_dcm_reader **reader)
{
    if (!*reader) return;
    free((*reader)->inflated);
    free(*reader);
    *reader = NULL;
}

bool mt_dcm_is_pixels(mt_dcm_tag tag)
{
    return tag == 0x7fe00008u || tag == 0x7fe00009u || tag == 0x7fe00010u;
}
