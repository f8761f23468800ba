/* One DICOM file's facts: identity, geometry, preparation, where the pixels lie. One pass over the
 * elements up to the pixel data; sequences of no interest are skipped. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "slide/dicom/dicom.h"

#define T(group, element) MT_DCM_TAG(0x##group, 0x##element)

static const char wsm[] = "1.2.840.10008.5.1.4.1.1.77.1.6"; /* VL Whole Slide Microscopy Image */

bool mt_dicom_stamp_of(mt_dicom_stamp *out, const char *path)
{
    struct stat sb;
    memset(out, 0, sizeof *out);
    if (stat(path, &sb) != 0 || !S_ISREG(sb.st_mode)) return false;
    *out = (mt_dicom_stamp){(uint64_t)sb.st_dev, (uint64_t)sb.st_ino, (uint64_t)sb.st_size,
                            (int64_t)sb.st_mtim.tv_sec, (int64_t)sb.st_mtim.tv_nsec,
                            (int64_t)sb.st_ctim.tv_sec, (int64_t)sb.st_ctim.tv_nsec};
    return true;
}

/* ---- SipHash-2-4, twice ---- */

static uint64_t rotl(uint64_t x, int b) { return x << b | x >> (64 - b); }

static void sip_round(uint64_t v[4])
{
    v[0] += v[1], v[1] = rotl(v[1], 13) ^ v[0], v[0] = rotl(v[0], 32);
    v[2] += v[3], v[3] = rotl(v[3], 16) ^ v[2];
    v[0] += v[3], v[3] = rotl(v[3], 21) ^ v[0];
    v[2] += v[1], v[1] = rotl(v[1], 17) ^ v[2], v[2] = rotl(v[2], 32);
}

static uint64_t sip(uint64_t k0, uint64_t k1, const uint8_t *p, size_t n)
{
    uint64_t v[4] = {k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261,
                     k1 ^ 0x7465646279746573};
    for (size_t at = 0; at <= n; at += 8) {
        uint64_t m = 0;
        const size_t k = MT_MIN(n - at, (size_t)8);
        for (size_t i = 0; i < k; i++) m |= (uint64_t)p[at + i] << 8 * i;
        if (k < 8) m |= (uint64_t)n << 56;
        v[3] ^= m;
        sip_round(v), sip_round(v);
        v[0] ^= m;
    }
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++) sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

mt_dicom_id mt_dicom_digest(const mt_dicom_key *key, const void *data, size_t n)
{
    if (!n) return (mt_dicom_id){0, 0};
    const mt_dicom_id d = {sip(key->k0, key->k1, data, n), sip(~key->k1, key->k0, data, n)};
    return mt_dicom_none(d) ? (mt_dicom_id){1, 0} : d;
}

/* ---- one element after the other ---- */

typedef struct walk {
    mt_dicom_facts *f;
    const mt_dicom_key *key;
    mt_dcm_tag in[MT_DCM_MAX_DEPTH]; /* sequence that is open at each depth */
    uint32_t item[MT_DCM_MAX_DEPTH];
    /* The coded entry being read, and the concept name before it. */
    char code[17], scheme[17], using_substance;
    bool hematoxylin, eosin;
} walk;

static mt_dicom_id id_of(const walk *w, const mt_dcm_element *e)
{
    const mt_dcm_text t = mt_dcm_string(e, 0);
    return mt_dicom_digest(w->key, t.p, t.n);
}

static uint32_t u32_of(const mt_dcm_element *e)
{
    int64_t v;
    return mt_dcm_int(&v, e, 0) && v > 0 && v <= UINT32_MAX ? (uint32_t)v : 0;
}

static double positive(const mt_dcm_element *e, size_t i)
{
    double v;
    return mt_dcm_number(&v, e, i) && v > 0 && v < 1e9 ? v : 0.0;
}

static mt_dicom_kind flavour(const mt_dcm_element *e)
{
    static const struct { const char *word; mt_dicom_kind kind; } words[] = {
        {"VOLUME", MT_DICOM_VOLUME},     {"THUMBNAIL", MT_DICOM_THUMBNAIL},
        {"OVERVIEW", MT_DICOM_OVERVIEW}, {"LOCALIZER", MT_DICOM_OVERVIEW},
        {"LABEL", MT_DICOM_LABEL},
    };
    for (size_t i = 0; i < MT_COUNT(words); i++)
        if (mt_dcm_equals(e, 2, words[i].word)) return words[i].kind;
    return MT_DICOM_OTHER;
}

static mt_dicom_photometric photometric(const mt_dcm_element *e)
{
    static const char *const words[] = {
        [MT_DICOM_MONOCHROME1] = "MONOCHROME1", [MT_DICOM_MONOCHROME2] = "MONOCHROME2",
        [MT_DICOM_RGB] = "RGB",                 [MT_DICOM_YBR_FULL] = "YBR_FULL",
        [MT_DICOM_YBR_FULL_422] = "YBR_FULL_422", [MT_DICOM_YBR_ICT] = "YBR_ICT",
        [MT_DICOM_YBR_RCT] = "YBR_RCT",
    };
    for (size_t i = 0; i < MT_COUNT(words); i++)
        if (mt_dcm_equals(e, 0, words[i])) return (mt_dicom_photometric)i;
    return MT_DICOM_PHOTOMETRIC_OTHER;
}

static int64_t side(const mt_dcm_element *e)
{
    int64_t v;
    return mt_dcm_int(&v, e, 0) && v > 0 && v <= MT_DICOM_MAX_SIDE ? v : 0;
}

/* Maker and model, the maker not twice. */
static void scanner(mt_dicom_facts *f, const mt_dcm_element *e)
{
    char model[48];
    mt_dcm_copy(model, sizeof model, e, 0);
    const size_t n = strlen(f->scanner);
    if (!model[0] || !strcmp(model, "?")) return;
    if (n && strncmp(model, f->scanner, n) == 0) {
        snprintf(f->scanner, sizeof f->scanner, "%s", model);
        return;
    }
    snprintf(f->scanner + n, sizeof f->scanner - n, "%s%s", n ? " " : "", model);
}

static void top(walk *w, const mt_dcm_element *e)
{
    mt_dicom_facts *f = w->f;
    switch (e->tag) {
    case T(0008, 0008): f->kind = f->kind == MT_DICOM_OTHER ? (int32_t)flavour(e) : f->kind; break;
    case T(0008, 0016): mt_dcm_copy(f->class_uid, sizeof f->class_uid, e, 0); break;
    case T(0008, 0018): f->instance = id_of(w, e); break;
    case T(0008, 0019): f->pyramid = id_of(w, e); break;
    case T(0008, 0070): mt_dcm_copy(f->scanner, sizeof f->scanner, e, 0); break;
    case T(0008, 1090): scanner(f, e); break;
    case T(0020, 000d): f->study = id_of(w, e); break;
    case T(0020, 000e): f->series = id_of(w, e); break;
    case T(0020, 0052): f->frame_of_reference = id_of(w, e); break;
    case T(0020, 9161): f->concatenation = id_of(w, e); break;
    case T(0020, 9162): f->part = u32_of(e); break;
    case T(0020, 9163): f->parts = u32_of(e); break;
    case T(0020, 9228): f->part_offset = u32_of(e); break;
    case T(0020, 9311):
        f->full = mt_dcm_equals(e, 0, "TILED_FULL");
        f->sparse = mt_dcm_equals(e, 0, "TILED_SPARSE");
        break;
    case T(0028, 0002): f->samples = u32_of(e); break;
    case T(0028, 0004): f->photometric = (int32_t)photometric(e); break;
    case T(0028, 0006): f->planar = u32_of(e); break;
    case T(0028, 0008): f->frames = u32_of(e); break;
    case T(0028, 0010): f->rows = u32_of(e); break;
    case T(0028, 0011): f->columns = u32_of(e); break;
    case T(0028, 0100): f->bits = u32_of(e); break;
    case T(0028, 0101): f->stored = u32_of(e); break;
    case T(0028, 0103): f->is_signed = u32_of(e); break;
    case T(0028, 2000): f->icc_bytes = (uint32_t)MT_MIN(e->length, (uint64_t)INT32_MAX); break;
    case T(0040, 0512): f->container = id_of(w, e); break;
    case T(0048, 0001): f->volume_w = positive(e, 0); break;
    case T(0048, 0002): f->volume_h = positive(e, 0); break;
    case T(0048, 0006): f->width = side(e); break;
    case T(0048, 0007): f->height = side(e); break;
    case T(0048, 0015):
        f->has_absent = mt_dcm_count(e) == 3;
        for (size_t i = 0; i < 3; i++) {
            int64_t v;
            f->absent_lab[i] = mt_dcm_int(&v, e, i) && v >= 0 && v <= 65535 ? (uint32_t)v : 0;
        }
        break;
    case T(0048, 0302): f->paths = u32_of(e); break;
    case T(0048, 0303): f->planes = u32_of(e); break;
    }
}

static void in_optical_path(walk *w, const mt_dcm_element *e)
{
    mt_dicom_facts *f = w->f;
    const uint32_t i = w->item[0];
    switch (e->tag) {
    case T(0048, 0106):
        if (i < MT_DICOM_MAX_PATHS) mt_dcm_copy(f->ids[i], sizeof f->ids[i], e, 0);
        break;
    case T(0028, 2000):
        if (!f->icc_bytes) f->icc_bytes = (uint32_t)MT_MIN(e->length, (uint64_t)INT32_MAX);
        break;
    case T(0048, 0112):
        if (i == 0) f->objective = positive(e, 0) <= 1000 ? positive(e, 0) : 0;
        break;
    }
}

static void spacing(mt_dicom_facts *f, const mt_dcm_element *e)
{
    if (e->tag != T(0028, 0030) || f->spacing_x > 0) return;
    f->spacing_y = positive(e, 0); /* rows first */
    f->spacing_x = positive(e, 1);
    if (f->spacing_x <= 0 || f->spacing_y <= 0) f->spacing_x = f->spacing_y = 0;
}

static bool contains(const mt_dcm_element *e, const char *word)
{
    char text[65];
    mt_dcm_copy(text, sizeof text, e, 0);
    for (char *p = text; *p; p++)
        if (*p >= 'A' && *p <= 'Z') *p = (char)(*p + 32);
    return strstr(text, word) != NULL;
}

/* A coded entry ends with its meaning. Meanings of standard codes only: free text may name people. */
static void meaning(walk *w, const mt_dcm_element *e, char *out, size_t room)
{
    if (strcmp(w->scheme, "SCT") && strcmp(w->scheme, "SRT") && strcmp(w->scheme, "DCM")) return;
    if (!out[0]) mt_dcm_copy(out, room, e, 0);
}

static void code(walk *w, const mt_dcm_element *e)
{
    if (e->tag == T(0008, 0100)) mt_dcm_copy(w->code, sizeof w->code, e, 0), w->scheme[0] = 0;
    if (e->tag == T(0008, 0102)) mt_dcm_copy(w->scheme, sizeof w->scheme, e, 0);
}

/* Steps of the preparation (PS3.16 TID 8001 to 8004): what follows the name "using substance". */
static void in_preparation(walk *w, const mt_dcm_element *e, int depth)
{
    code(w, e);
    if (w->in[depth] == T(0040, a043) && e->tag == T(0008, 0100))
        w->using_substance = !strcmp(w->code, "424361007") || !strcmp(w->code, "G-C350");
    if (w->in[depth] != T(0040, a168) || e->tag != T(0008, 0104) || !w->using_substance) return;
    if (contains(e, "hematoxylin") || contains(e, "haematoxylin")) w->hematoxylin = true;
    else if (contains(e, "eosin")) w->eosin = true;
    else if (contains(e, "stain")) meaning(w, e, w->f->stain, sizeof w->f->stain);
}

static void element(walk *w, const mt_dcm_element *e)
{
    mt_dicom_facts *f = w->f;
    const int d = e->depth;
    if (d == 0) {
        top(w, e);
        return;
    }
    const mt_dcm_tag first = w->in[0], last = w->in[d - 1];
    if (first == T(0048, 0105) && d == 1) in_optical_path(w, e);
    if (first == T(0048, 0105) && last == T(0022, 0016) && e->tag == T(0008, 0100) &&
        mt_dcm_equals(e, 0, "111743")) f->fluorescent = 1;
    if (last == T(0028, 9110)) spacing(f, e);
    if (first == T(0040, 0560) && d > 2 && w->in[1] == T(0040, 0610)) in_preparation(w, e, d - 1);
    if (first == T(0040, 0560) && (last == T(0008, 2228) || last == T(0008, 2218))) {
        code(w, e);
        if (e->tag == T(0008, 0104)) meaning(w, e, f->organ, sizeof f->organ);
    }
}

/* Sequences that hold something we want; the others are skipped. */
static bool wanted(const walk *w, const mt_dcm_element *e)
{
    switch (e->depth) {
    case 0:
        return e->tag == T(0048, 0105) || e->tag == T(5200, 9229) || e->tag == T(5200, 9230) ||
               e->tag == T(0040, 0560);
    case 1:
        switch (w->in[0]) {
        case T(0048, 0105): return e->tag == T(0022, 0016) || e->tag == T(0048, 0120);
        case T(5200, 9229):
        case T(5200, 9230): return e->tag == T(0028, 9110) || e->tag == T(0048, 021a);
        case T(0040, 0560):
            return e->tag == T(0040, 0610) || e->tag == T(0008, 2228) || e->tag == T(0008, 2218);
        }
        return false;
    case 2: return e->tag == T(0040, 0612);
    case 3: return e->tag == T(0040, a043) || e->tag == T(0040, a168);
    default: return false;
    }
}

static mt_status sequence(walk *w, mt_dcm_reader *r, const mt_dcm_element *e, mt_err *err)
{
    if (e->depth >= MT_DCM_MAX_DEPTH || !wanted(w, e)) return mt_dcm_skip(r, err);
    w->in[e->depth] = e->tag;
    if (e->tag == T(0048, 0120)) w->f->palette = 1;
    if (e->tag == T(0048, 021a)) w->f->positions = 1;
    return e->tag == T(0048, 0120) || e->tag == T(0048, 021a) ? mt_dcm_skip(r, err) : MT_OK;
}

static mt_status item(walk *w, mt_dcm_reader *r, const mt_dcm_element *e, mt_err *err)
{
    const int d = e->depth > 0 ? e->depth - 1 : 0; /* of its sequence */
    w->item[d] = e->item;
    if (d == 0 && e->tag == T(0048, 0105)) {
        if (e->item >= MT_DICOM_MAX_PATHS)
            return mt_err_set(err, MT_ERR_LIMIT, "more than %d optical paths", MT_DICOM_MAX_PATHS);
        w->f->n_ids = e->item + 1;
    }
    /* The first frame speaks for the spacing of all. */
    if (d == 0 && e->tag == T(5200, 9230) && e->item > 0) return mt_dcm_skip(r, err);
    return MT_OK;
}

static void pixels(mt_dicom_facts *f, const mt_dcm_element *e, const uint8_t *data, size_t size)
{
    f->has_pixels = e->tag == T(7fe0, 0010);
    f->encapsulated = e->event == MT_DCM_PIXELS;
    f->words = e->vr == MT_VR('O', 'W');
    f->big = e->big;
    f->header_bytes = e->offset;
    if (f->encapsulated || !f->has_pixels) return;
    f->pixels_n = e->length;
    if (f->deflated || e->value < data || e->value > data + size) return;
    f->pixels_at = (uint64_t)(e->value - data);
    f->pixels_n = MT_MIN(f->pixels_n, size - f->pixels_at);
}

/* Pixel data that pass the end of the file: the frames before it are still good. */
static bool cut_pixels(const mt_dcm_element *e, mt_status st)
{
    return st == MT_ERR_FORMAT && e->event == MT_DCM_ELEMENT && e->depth == 0 && e->value &&
           e->tag == T(7fe0, 0010);
}

static mt_status read_all(walk *w, mt_dcm_reader *r, const uint8_t *data, size_t size, mt_err *err)
{
    for (;;) {
        mt_dcm_element e = {.event = MT_DCM_END};
        mt_err why = MT_ERR_INIT;
        mt_status st = mt_dcm_next(&e, r, &why);
        if (st != MT_OK && !cut_pixels(&e, st)) return mt_err_set(err, st, "%s", why.text);
        if (e.depth == 0 && mt_dcm_is_pixels(e.tag) &&
            (e.event == MT_DCM_ELEMENT || e.event == MT_DCM_PIXELS)) {
            pixels(w->f, &e, data, size);
            return MT_OK;
        }
        switch (e.event) {
        case MT_DCM_END: return MT_OK;
        case MT_DCM_ELEMENT: element(w, &e); break;
        case MT_DCM_SEQUENCE: MT_TRY(sequence(w, r, &e, err)); break;
        case MT_DCM_ITEM: MT_TRY(item(w, r, &e, err)); break;
        case MT_DCM_PIXELS: MT_TRY(mt_dcm_skip(r, err)); break;
        default: break;
        }
    }
}

mt_status mt_dicom_facts_read(mt_dicom_facts *f, const uint8_t *data, size_t size,
                              const mt_dicom_key *key, mt_err *err)
{
    const mt_dicom_stamp stamp = f->stamp;
    memset(f, 0, sizeof *f);
    f->stamp = stamp;
    if (!mt_dcm_is(data, size)) return MT_OK;
    f->kind = MT_DICOM_OTHER;
    f->frames = f->samples = 1;
    f->photometric = MT_DICOM_PHOTOMETRIC_OTHER;
    MT_AUTO(mt_dcm_reader_free) mt_dcm_reader *r = NULL;
    mt_dcm_file head;
    MT_TRY(mt_dcm_open_within(&r, &head, data, size, false, MT_DICOM_MAX_INFLATED, err));
    snprintf(f->syntax, sizeof f->syntax, "%s", head.syntax_uid);
    f->deflated = head.syntax.deflated;
    if (f->deflated) f->inflated = mt_dcm_size(r);
    walk w = {.f = f, .key = key};
    mt_status st = read_all(&w, r, data, size, err);
    if (w.hematoxylin && w.eosin) snprintf(f->stain, sizeof f->stain, "H&E");
    else if (w.hematoxylin && !f->stain[0]) snprintf(f->stain, sizeof f->stain, "hematoxylin");
    /* They are shown to people, so they must be what they should be. */
    if (f->class_uid[strspn(f->class_uid, "0123456789.")]) f->class_uid[0] = 0;
    if (f->syntax[strspn(f->syntax, "0123456789.")]) f->syntax[0] = 0;
    const char *class = f->class_uid[0] ? f->class_uid : head.class_uid;
    if (strcmp(class, wsm) != 0) f->kind = MT_DICOM_OTHER;
    else if (st != MT_OK) f->kind = MT_DICOM_BROKEN;
    return st;
}
