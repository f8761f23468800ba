/* TIFF 6.0 section 2 and the BigTIFF layout: a header, then directories, each naming the next.
 *
 * Hamamatsu's NDPI is the classic layout stretched past 4 GiB: offsets of directories are 8 bytes
 * wide, and behind the one that ends a directory stand 4 more bytes for each of its entries, the
 * upper half of the entry's value or offset. Text never lies inside its entry, however short. */
#include "slide/tiff/tiff.h"

#include <math.h>
#include <string.h>
#include "base/bytes.h"

enum { MAX_ENTRIES = 4096, CLASSIC = 42, BIG = 43 };

enum tag {
    NEW_SUBFILE_TYPE = 254,
    IMAGE_WIDTH = 256,
    IMAGE_LENGTH = 257,
    BITS_PER_SAMPLE = 258,
    COMPRESSION = 259,
    PHOTOMETRIC = 262,
    FILL_ORDER = 266,
    IMAGE_DESCRIPTION = 270,
    STRIP_OFFSETS = 273,
    ORIENTATION = 274,
    SAMPLES_PER_PIXEL = 277,
    ROWS_PER_STRIP = 278,
    STRIP_BYTE_COUNTS = 279,
    X_RESOLUTION = 282,
    Y_RESOLUTION = 283,
    PLANAR = 284,
    RESOLUTION_UNIT = 296,
    SOFTWARE = 305,
    PREDICTOR = 317,
    TILE_WIDTH = 322,
    TILE_LENGTH = 323,
    TILE_OFFSETS = 324,
    TILE_BYTE_COUNTS = 325,
    SUB_IFDS = 330,
    EXTRA_SAMPLES = 338, SAMPLE_FORMAT = 339,
    JPEG_TABLES = 347,
    XMP = 700,
    ICC_PROFILE = 34675,
    NDPI_MARK = 65420
};

/* One entry with its value located. */
typedef struct entry {
    int dir;
    unsigned tag, type;
    uint64_t count;
    unsigned width;       /* bytes an element */
    const uint8_t *value; /* count * width bytes */
    uint32_t high;        /* NDPI: upper half of the value */
} entry;

/* A walk over the entries of one directory. */
typedef struct walk {
    int dir;
    mt_bytes c;
    uint64_t n, i;
    const uint8_t *highs; /* NDPI past 4 GiB: upper halves, one an entry; else NULL */
} walk;

static unsigned type_width(unsigned type)
{
    static const uint8_t widths[] = {0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8};
    return type < MT_COUNT(widths) ? widths[type] : 0;
}

static bool is_unsigned(unsigned type)
{
    return type == 1 || type == 3 || type == 4 || type == 13 || type == 16 || type == 18;
}

static uint64_t get_uint(const uint8_t *p, unsigned width, bool big_endian)
{
    mt_bytes c = mt_bytes_of(p, width, big_endian);
    uint64_t v = 0;
    (void)mt_bytes_uint(&c, width, &v);
    return v;
}

bool mt_tiff_is(const uint8_t *d, size_t size)
{
    if (size < 8) return false;
    bool little = d[0] == 'I' && d[1] == 'I', big = d[0] == 'M' && d[1] == 'M';
    if (!little && !big) return false;
    uint64_t version = get_uint(d + 2, 2, big);
    return version == CLASSIC || version == BIG;
}

uint64_t mt_tiff_at(const mt_tiff *t, const mt_tiff_array *a, uint64_t i)
{
    return get_uint(a->p + i * a->width, a->width, t->big_endian);
}

bool mt_tiff_begins(const mt_tiff_bytes *text, const char *word)
{
    size_t n = strlen(word);
    return text->n >= n && !memcmp(text->p, word, n);
}

bool mt_tiff_contains(const mt_tiff_bytes *text, const char *word)
{
    return text->p && memmem(text->p, text->n, word, strlen(word)) != NULL;
}

static mt_status walk_begin(walk *w, const mt_tiff *t, int dir, uint64_t at, mt_err *err)
{
    *w = (walk){.dir = dir, .c = mt_bytes_of(t->data, t->size, t->big_endian)};
    if (!mt_bytes_seek(&w->c, at) || !mt_bytes_uint(&w->c, t->big_tiff ? 8 : 2, &w->n))
        return mt_err_set(err, MT_ERR_FORMAT,
                          "IFD %d: offset %llu lies outside the file of %zu bytes", dir,
                          (unsigned long long)at, t->size);
    if (w->n < 1 || w->n > MAX_ENTRIES)
        return mt_err_set(err, MT_ERR_FORMAT, "IFD %d: %llu entries", dir,
                          (unsigned long long)w->n);
    if (t->ndpi && t->size > UINT32_MAX) {
        mt_bytes after = w->c;
        if (mt_bytes_skip(&after, 12 * w->n + 8)) w->highs = mt_bytes_take(&after, 4 * w->n);
    }
    return MT_OK;
}

/* Reads the entry the walk stands on and passes it. */
static mt_status walk_next(entry *e, const mt_tiff *t, walk *w, mt_err *err)
{
    const unsigned word = t->big_tiff ? 8 : 4;
    uint16_t tag = 0, type = 0;
    uint64_t count = 0;
    bool whole =
        mt_bytes_u16(&w->c, &tag) && mt_bytes_u16(&w->c, &type) && mt_bytes_uint(&w->c, word, &count);
    const uint8_t *inplace = whole ? mt_bytes_take(&w->c, word) : NULL;
    if (!inplace)
        return mt_err_set(err, MT_ERR_FORMAT, "IFD %d: ends in the middle of an entry", w->dir);
    *e = (entry){w->dir, tag, type, count, type_width(type), NULL, 0};
    if (w->highs) e->high = (uint32_t)get_uint(w->highs + 4 * w->i, 4, t->big_endian);
    w->i++;
    if (!e->width || !count) return MT_OK; /* nothing to locate; whoever needs it will say so */
    uint64_t bytes;
    if (__builtin_mul_overflow(count, (uint64_t)e->width, &bytes) || bytes > t->size) return MT_OK;
    if (bytes <= word && !(t->ndpi && type == 2)) {
        e->value = inplace;
        return MT_OK;
    }
    uint64_t at = get_uint(inplace, word, t->big_endian) | (uint64_t)e->high << 32;
    if (at <= t->size && bytes <= t->size - at) e->value = t->data + at;
    return MT_OK;
}

/* Where the next directory stands, 0 after the last. */
static mt_status walk_end(uint64_t *next, const mt_tiff *t, walk *w, mt_err *err)
{
    *next = 0;
    if (!mt_bytes_uint(&w->c, t->big_tiff || t->ndpi ? 8 : 4, next))
        return mt_err_set(err, MT_ERR_FORMAT, "IFD %d: ends before the offset of the next", w->dir);
    return MT_OK;
}

static mt_status need_value(const entry *e, mt_err *err)
{
    if (e->value) return MT_OK;
    return mt_err_set(err, MT_ERR_FORMAT,
                      "IFD %d: tag %u: %llu values of type %u do not lie in the file", e->dir,
                      e->tag, (unsigned long long)e->count, e->type);
}

static mt_status get_u64(uint64_t *out, const mt_tiff *t, const entry *e, mt_err *err)
{
    MT_TRY(need_value(e, err));
    if (!is_unsigned(e->type))
        return mt_err_set(err, MT_ERR_FORMAT, "IFD %d: tag %u: type %u is no unsigned integer",
                          e->dir, e->tag, e->type);
    *out = get_uint(e->value, e->width, t->big_endian);
    return MT_OK;
}

static mt_status get_small(unsigned *out, const mt_tiff *t, const entry *e, mt_err *err)
{
    uint64_t v = 0;
    MT_TRY(get_u64(&v, t, e, err));
    if (v > UINT32_MAX)
        return mt_err_set(err, MT_ERR_FORMAT, "IFD %d: tag %u: value %llu", e->dir, e->tag,
                          (unsigned long long)v);
    *out = (unsigned)v;
    return MT_OK;
}

static mt_status get_array(mt_tiff_array *out, const entry *e, mt_err *err)
{
    MT_TRY(need_value(e, err));
    if (!is_unsigned(e->type))
        return mt_err_set(err, MT_ERR_FORMAT, "IFD %d: tag %u: type %u is no unsigned integer",
                          e->dir, e->tag, e->type);
    *out = (mt_tiff_array){e->value, e->count, e->width};
    return MT_OK;
}

static mt_status get_bytes(mt_tiff_bytes *out, const entry *e, mt_err *err)
{
    MT_TRY(need_value(e, err));
    *out = (mt_tiff_bytes){e->value, (size_t)(e->count * e->width)};
    return MT_OK;
}

static mt_status get_text(mt_tiff_bytes *out, const entry *e, mt_err *err)
{
    MT_TRY(get_bytes(out, e, err));
    const uint8_t *nul = memchr(out->p, 0, out->n);
    if (nul) out->n = (size_t)(nul - out->p);
    return MT_OK;
}

/* A resolution is a hint: one that makes no sense counts as absent. */
static double get_rational(const mt_tiff *t, const entry *e)
{
    if (!e->value || e->type != 5) return 0.0;
    double n = (double)get_uint(e->value, 4, t->big_endian);
    double d = (double)get_uint(e->value + 4, 4, t->big_endian);
    return d > 0.0 ? n / d : 0.0;
}

static mt_status get_bits(mt_tiff_dir *d, const mt_tiff *t, const entry *e, mt_err *err)
{
    MT_TRY(get_small(&d->bits, t, e, err));
    mt_tiff_array a;
    MT_TRY(get_array(&a, e, err));
    for (uint64_t i = 1; i < MT_MIN(a.count, (uint64_t)16); i++)
        if (mt_tiff_at(t, &a, i) != d->bits) d->mixed_bits = true;
    return MT_OK;
}

static mt_status take(mt_tiff_dir *d, const mt_tiff *t, const entry *e, mt_err *err)
{
    switch (e->tag) {
    case NEW_SUBFILE_TYPE: return get_u64(&d->subfile, t, e, err);
    case IMAGE_WIDTH: return get_u64(&d->width, t, e, err);
    case IMAGE_LENGTH: return get_u64(&d->height, t, e, err);
    case BITS_PER_SAMPLE: return get_bits(d, t, e, err);
    case COMPRESSION: return get_small(&d->compression, t, e, err);
    case PHOTOMETRIC: d->has_photometric = true; return get_small(&d->photometric, t, e, err);
    case FILL_ORDER: return get_small(&d->fill_order, t, e, err);
    case IMAGE_DESCRIPTION: return get_text(&d->description, e, err);
    case ORIENTATION: return get_small(&d->orientation, t, e, err);
    case SAMPLES_PER_PIXEL: return get_small(&d->samples, t, e, err);
    case ROWS_PER_STRIP: return get_u64(&d->rows_per_strip, t, e, err);
    case STRIP_OFFSETS:
    case TILE_OFFSETS: return get_array(&d->offsets, e, err);
    case STRIP_BYTE_COUNTS:
    case TILE_BYTE_COUNTS: return get_array(&d->counts, e, err);
    case X_RESOLUTION: d->x_res = get_rational(t, e); return MT_OK;
    case Y_RESOLUTION: d->y_res = get_rational(t, e); return MT_OK;
    case PLANAR: return get_small(&d->planar, t, e, err);
    case RESOLUTION_UNIT: return get_small(&d->res_unit, t, e, err);
    case SOFTWARE: return get_text(&d->software, e, err);
    case PREDICTOR: return get_small(&d->predictor, t, e, err);
    case TILE_WIDTH: return get_u64(&d->tile_w, t, e, err);
    case TILE_LENGTH: return get_u64(&d->tile_h, t, e, err);
    case SUB_IFDS: return get_array(&d->sub_dirs, e, err);
    case EXTRA_SAMPLES: return get_small(&d->extra_sample, t, e, err);
    case SAMPLE_FORMAT: return get_small(&d->sample_format, t, e, err);
    case JPEG_TABLES: return get_bytes(&d->jpeg_tables, e, err);
    case XMP: return get_bytes(&d->xmp, e, err);
    case ICC_PROFILE: d->icc_bytes = e->value ? e->count * e->width : 0; return MT_OK;
    case NDPI_MARK: d->hamamatsu = true; return MT_OK;
    default: return MT_OK;
    }
}

/* Directory number `dir` at offset `at`; *next is where the following one stands, 0 after the last.
 */
static mt_status parse_dir(mt_tiff_dir *d, uint64_t *next, const mt_tiff *t, int dir, int parent,
                           uint64_t at, mt_err *err)
{
    *d = (mt_tiff_dir){.at = at,
                       .parent = parent,
                       .rows_per_strip = UINT64_MAX,
                       .compression = 1,
                       .planar = 1,
                       .predictor = 1,
                       .orientation = 1,
                       .fill_order = 1,
                       .samples = 1,
                       .bits = 1,
                       .sample_format = 1,
                       .res_unit = 2};
    walk w;
    MT_TRY(walk_begin(&w, t, dir, at, err));
    for (uint64_t i = 0; i < w.n; i++) {
        entry e = {0};
        MT_TRY(walk_next(&e, t, &w, err));
        MT_TRY(take(d, t, &e, err));
    }
    if (parent >= 0) return MT_OK; /* what follows a SubIFD is nobody's */
    return walk_end(next, t, &w, err);
}

/* True when the directory at `at` carries the tag that marks NDPI files. */
static bool marked_ndpi(const mt_tiff *t, uint64_t at)
{
    walk w;
    entry e = {0};
    if (walk_begin(&w, t, 0, at, NULL) != MT_OK) return false;
    for (uint64_t i = 0; i < w.n && walk_next(&e, t, &w, NULL) == MT_OK; i++)
        if (e.tag == NDPI_MARK) return true;
    return false;
}

static mt_status parse_header(mt_tiff *t, uint64_t *first, mt_err *err)
{
    if (!mt_tiff_is(t->data, t->size)) return mt_err_set(err, MT_ERR_FORMAT, "not a TIFF file");
    t->big_endian = t->data[0] == 'M';
    mt_bytes c = mt_bytes_of(t->data, t->size, t->big_endian);
    uint16_t version = 0, width = 0, zero = 0;
    (void)mt_bytes_seek(&c, 2);
    (void)mt_bytes_u16(&c, &version);
    t->big_tiff = version == BIG;
    if (t->big_tiff &&
        (!mt_bytes_u16(&c, &width) || !mt_bytes_u16(&c, &zero) || width != 8 || zero != 0))
        return mt_err_set(err, MT_ERR_FORMAT, "BigTIFF header with offsets of %u bytes", width);
    const mt_bytes here = c;
    if (!mt_bytes_uint(&c, t->big_tiff ? 8 : 4, first))
        return mt_err_set(err, MT_ERR_FORMAT, "TIFF header of %zu bytes", t->size);
    if (t->big_tiff) return MT_OK;
    /* The first directory of a large NDPI file is found by the wide offset only. */
    uint64_t wide = 0;
    c = here;
    if (t->size > UINT32_MAX && mt_bytes_u64(&c, &wide) && marked_ndpi(t, wide)) {
        t->ndpi = true;
        *first = wide;
    } else {
        t->ndpi = marked_ndpi(t, *first);
    }
    return MT_OK;
}

static mt_status grow(mt_tiff *t, int *room, mt_err *err)
{
    if (t->n_dirs < *room) return MT_OK;
    int want = *room ? *room * 2 : 8;
    mt_tiff_dir *more = realloc(t->dirs, (size_t)want * sizeof *more);
    if (!more) return mt_err_set(err, MT_ERR_NO_MEMORY, "%d TIFF directories", want);
    t->dirs = more;
    *room = want;
    return MT_OK;
}

/* One more directory; *next as parse_dir has it. A directory that is reached twice is a loop, or a
 * pyramid whose levels are one picture: either way not what it seems. */
static mt_status add_dir(mt_tiff *t, int *room, int parent, uint64_t at, uint64_t *next, mt_err *err)
{
    if (t->n_dirs == MT_TIFF_MAX_DIRS)
        return mt_err_set(err, MT_ERR_LIMIT, "more than %d directories", MT_TIFF_MAX_DIRS);
    for (int i = 0; i < t->n_dirs; i++)
        if (t->dirs[i].at == at)
            return mt_err_set(err, MT_ERR_FORMAT, "IFD %d: leads back to IFD %d at offset %llu",
                              parent >= 0 ? parent : t->n_dirs - 1, i, (unsigned long long)at);
    MT_TRY(grow(t, room, err));
    MT_TRY(parse_dir(&t->dirs[t->n_dirs], next, t, t->n_dirs, parent, at, err));
    t->n_dirs++;
    return MT_OK;
}

static mt_status add_sub_dirs(mt_tiff *t, int *room, int parent, mt_err *err)
{
    const mt_tiff_array a = t->dirs[parent].sub_dirs;
    if (a.count > MT_TIFF_MAX_DIRS)
        return mt_err_set(err, MT_ERR_LIMIT, "IFD %d: tag %d: %llu SubIFDs", parent, SUB_IFDS,
                          (unsigned long long)a.count);
    uint64_t ignored;
    for (uint64_t i = 0; i < a.count; i++)
        MT_TRY(add_dir(t, room, parent, mt_tiff_at(t, &a, i), &ignored, err));
    return MT_OK;
}

static mt_status parse(mt_tiff *t, mt_err *err)
{
    uint64_t at = 0;
    int room = 0;
    MT_TRY(parse_header(t, &at, err));
    if (!at) return mt_err_set(err, MT_ERR_FORMAT, "TIFF file without a directory");
    while (at) MT_TRY(add_dir(t, &room, -1, at, &at, err));
    t->n_chain = t->n_dirs;
    if (t->ndpi) return MT_OK; /* it has none */
    for (int deep = 0, i = 0; deep < 2; deep++)
        for (const int stop = t->n_dirs; i < stop; i++) MT_TRY(add_sub_dirs(t, &room, i, err));
    return MT_OK;
}

mt_status mt_tiff_parse(mt_tiff *out, const uint8_t *data, size_t size, mt_err *err)
{
    *out = (mt_tiff){.data = data, .size = size};
    mt_status st = parse(out, err);
    if (st != MT_OK) mt_tiff_free(out);
    return st;
}

void mt_tiff_free(mt_tiff *t)
{
    free(t->dirs);
    t->dirs = NULL;
    t->n_dirs = t->n_chain = 0;
}

/* ---- any tag ---- */

bool mt_tiff_find(mt_tiff_value *out, const mt_tiff *t, int dir, unsigned tag)
{
    walk w;
    entry e = {0};
    if (walk_begin(&w, t, dir, t->dirs[dir].at, NULL) != MT_OK) return false;
    for (uint64_t i = 0; i < w.n && walk_next(&e, t, &w, NULL) == MT_OK; i++) {
        if (e.tag != tag) continue;
        *out = (mt_tiff_value){e.type, e.count, e.width, e.value, e.high};
        return e.value != NULL;
    }
    return false;
}

double mt_tiff_value_number(const mt_tiff *t, const mt_tiff_value *v, uint64_t i)
{
    if (i >= v->count || !v->width) return NAN;
    const uint8_t *p = v->p + i * v->width;
    const uint64_t bits = get_uint(p, v->width, t->big_endian);
    if (is_unsigned(v->type)) return (double)bits;
    switch (v->type) {
    case 5: {
        const double n = (double)get_uint(p, 4, t->big_endian),
                     d = (double)get_uint(p + 4, 4, t->big_endian);
        return d > 0.0 ? n / d : NAN;
    }
    case 6: return (int8_t)bits;
    case 8: return (int16_t)bits;
    case 9: return (int32_t)bits;
    case 17: return (double)(int64_t)bits;
    case 11: {
        const uint32_t narrow = (uint32_t)bits;
        float f;
        memcpy(&f, &narrow, sizeof f);
        return (double)f;
    }
    case 12: {
        double f;
        memcpy(&f, &bits, sizeof f);
        return f;
    }
    default: return NAN;
    }
}

bool mt_tiff_value_uint(uint64_t *out, const mt_tiff *t, const mt_tiff_value *v)
{
    if (v->count != 1 || !is_unsigned(v->type)) return false;
    *out = get_uint(v->p, v->width, t->big_endian);
    if (v->width == 4) *out |= (uint64_t)v->high << 32;
    return true;
}

mt_tiff_bytes mt_tiff_value_text(const mt_tiff_value *v)
{
    mt_tiff_bytes text = {v->p, v->type == 2 ? (size_t)v->count : 0};
    const uint8_t *nul = text.n ? memchr(text.p, 0, text.n) : NULL;
    if (nul) text.n = (size_t)(nul - text.p);
    return text;
}
