#include "slide/synth/tiff_write.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/file.h"

enum { MAX_IMAGES = 64, MAX_TAGS = 28, FIRST_DATA = 16 };
static const uint64_t classic_limit = 0xFFFF0000u;

enum { T_BYTE = 1, T_ASCII = 2, T_SHORT = 3, T_LONG = 4, T_RATIONAL = 5, T_UNDEFINED = 7, T_LONG8 = 16 };

typedef struct image {
    mt_tiff_image d;           /* strings and tables are ours */
    uint64_t n_tiles;
    uint64_t *offset, *count;
} image;

struct mt_tiff_writer {
    mt_outfile out;
    bool always_big;
    uint64_t at;               /* end of what is written */
    int n_images;
    image images[MAX_IMAGES];
};

static mt_status emit(mt_tiff_writer *w, const void *data, size_t n, mt_err *err)
{
    if (n && fwrite(data, 1, n, w->out.f) != n)
        return mt_err_set(err, MT_ERR_IO, "TIFF output: byte %llu: %s", (unsigned long long)w->at, strerror(errno));
    w->at += n;
    return MT_OK;
}

mt_status mt_tiff_writer_open(mt_tiff_writer **out, const char *path, bool always_big, mt_err *err)
{
    *out = NULL;
    MT_AUTO(mt_tiff_writer_discard) mt_tiff_writer *w = NULL;
    MT_TRY(mt_alloc(&w, 1, sizeof *w, sizeof *w, "TIFF writer", err));
    w->always_big = always_big;
    MT_TRY(mt_outfile_open(&w->out, path, err));
    setvbuf(w->out.f, NULL, _IOFBF, 1u << 20);
    static const uint8_t header[FIRST_DATA]; /* filled in at the end, when the size decides the format */
    MT_TRY(emit(w, header, sizeof header, err));
    *out = mt_steal(w);
    return MT_OK;
}

void mt_tiff_writer_discard(mt_tiff_writer **pw)
{
    if (!pw || !*pw) return;
    mt_tiff_writer *w = *pw;
    for (int i = 0; i < w->n_images; i++) {
        image *m = &w->images[i];
        free((void *)(uintptr_t)m->d.description);
        free((void *)(uintptr_t)m->d.software);
        free((void *)(uintptr_t)m->d.jpeg_tables);
        free(m->offset);
        free(m->count);
    }
    mt_outfile_discard(&w->out);
    free(w);
    *pw = NULL;
}

uint64_t mt_tiff_writer_size(const mt_tiff_writer *w) { return w->at; }

static mt_status image_check(const mt_tiff_image *d, mt_err *err)
{
    if (d->width < 1 || d->height < 1 || d->width > INT32_MAX || d->height > INT32_MAX)
        return mt_err_set(err, MT_ERR_ARG, "TIFF image of %lld x %lld pixels", (long long)d->width, (long long)d->height);
    if (d->tile_w < 0 || d->tile_h < 0 || d->tile_w % 16 || d->tile_h % 16 || !d->tile_w != !d->tile_h)
        return mt_err_set(err, MT_ERR_ARG, "TIFF tiles of %d x %d pixels: sides must be multiples of 16", d->tile_w, d->tile_h);
    if (d->samples < 1 || d->samples > 4 || (d->bits != 8 && d->bits != 16 && d->bits != 32) || d->rows_per_strip < 0)
        return mt_err_set(err, MT_ERR_ARG, "TIFF image with %d samples of %d bits", d->samples, d->bits);
    return MT_OK;
}

static mt_status copy_text(const char **s, mt_err *err)
{
    if (!*s) return MT_OK;
    *s = strdup(*s);
    return *s ? MT_OK : mt_err_set(err, MT_ERR_NO_MEMORY, "TIFF writer: out of memory");
}

mt_status mt_tiff_writer_image(int *index, mt_tiff_writer *w, const mt_tiff_image *d, mt_err *err)
{
    MT_TRY(image_check(d, err));
    if (w->n_images == MAX_IMAGES) return mt_err_set(err, MT_ERR_LIMIT, "TIFF writer: more than %d images", MAX_IMAGES);
    image *m = &w->images[w->n_images];
    *m = (image){.d = *d};
    m->d.description = m->d.software = NULL;
    m->d.jpeg_tables = NULL;
    w->n_images++; /* from here on discard frees what is set */
    if (d->tile_w) {
        m->n_tiles = (uint64_t)((d->width + d->tile_w - 1) / d->tile_w) * (uint64_t)((d->height + d->tile_h - 1) / d->tile_h);
    } else {
        if (!m->d.rows_per_strip) m->d.rows_per_strip = (int32_t)d->height;
        m->n_tiles = (uint64_t)((d->height + m->d.rows_per_strip - 1) / m->d.rows_per_strip);
    }
    const char *description = d->description, *software = d->software;
    MT_TRY(copy_text(&description, err));
    m->d.description = description;
    MT_TRY(copy_text(&software, err));
    m->d.software = software;
    if (d->jpeg_tables) {
        uint8_t *t = NULL;
        MT_TRY(mt_alloc(&t, d->n_jpeg_tables, 1, 1u << 20, "JPEG tables", err));
        memcpy(t, d->jpeg_tables, d->n_jpeg_tables);
        m->d.jpeg_tables = t;
    }
    const size_t ceiling = (size_t)4 << 30;
    MT_TRY(mt_alloc(&m->offset, m->n_tiles, sizeof(uint64_t), ceiling, "TIFF tile table", err));
    MT_TRY(mt_alloc(&m->count, m->n_tiles, sizeof(uint64_t), ceiling, "TIFF tile table", err));
    *index = w->n_images - 1;
    return MT_OK;
}

mt_status mt_tiff_writer_put(mt_tiff_writer *w, int index, uint64_t k, const void *data, size_t n, mt_err *err)
{
    image *m = &w->images[index];
    if (k >= m->n_tiles || m->count[k] || n > UINT32_MAX)
        return mt_err_set(err, MT_ERR_INTERNAL, "TIFF image %d: tile %llu of %llu does not exist or is already there",
                          index, (unsigned long long)k, (unsigned long long)m->n_tiles);
    if (w->at & 1) MT_TRY(emit(w, "", 1, err)); /* values begin on a word boundary */
    m->offset[k] = w->at;
    m->count[k] = n;
    return emit(w, data, n, err);
}

/* ---- directories ---- */

typedef struct tag {
    uint16_t id, type;
    uint64_t count, value;     /* value: little-endian bytes when they fit, else the offset */
} tag;

typedef struct directory {
    bool big;
    int n;
    tag tags[MAX_TAGS];
} directory;

static size_t inline_bytes(const directory *d) { return d->big ? 8 : 4; }

static void put_le(uint8_t *p, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++) p[i] = (uint8_t)(v >> (8 * i));
}

/* A value of n bytes: inside the entry when it fits, else written now. */
static mt_status tag_bytes(directory *d, mt_tiff_writer *w, int id, int type, uint64_t count, const void *data, size_t n,
                           mt_err *err)
{
    tag *t = &d->tags[d->n++];
    *t = (tag){(uint16_t)id, (uint16_t)type, count, 0};
    if (n <= inline_bytes(d)) {
        for (size_t i = 0; i < n; i++) t->value |= (uint64_t)((const uint8_t *)data)[i] << (8 * i);
        return MT_OK;
    }
    if (w->at & 1) MT_TRY(emit(w, "", 1, err));
    t->value = w->at;
    return emit(w, data, n, err);
}

static mt_status tag_int(directory *d, mt_tiff_writer *w, int id, int type, uint64_t v, mt_err *err)
{
    uint8_t b[8];
    const size_t n = type == T_SHORT ? 2 : type == T_LONG ? 4 : 8;
    put_le(b, v, n);
    return tag_bytes(d, w, id, type, 1, b, n, err);
}

static mt_status tag_shorts(directory *d, mt_tiff_writer *w, int id, int count, int v, mt_err *err)
{
    uint8_t b[8];
    count = MT_MIN(count, 4); /* image_check: no more samples */
    for (int i = 0; i < count; i++) put_le(b + 2 * i, (uint64_t)v, 2);
    return tag_bytes(d, w, id, T_SHORT, (uint64_t)count, b, 2 * (size_t)count, err);
}

static mt_status tag_text(directory *d, mt_tiff_writer *w, int id, const char *s, mt_err *err)
{
    return s ? tag_bytes(d, w, id, T_ASCII, strlen(s) + 1, s, strlen(s) + 1, err) : MT_OK;
}

static mt_status tag_rational(directory *d, mt_tiff_writer *w, int id, double v, mt_err *err)
{
    uint32_t den = 10000;
    while (den > 1 && v * den > 4.0e9) den /= 10;
    uint8_t b[8];
    put_le(b, (uint64_t)llround(v * den), 4);
    put_le(b + 4, den, 4);
    return tag_bytes(d, w, id, T_RATIONAL, 1, b, 8, err);
}

/* Offsets or byte counts: a table that may be large, so it is written in pieces. */
static mt_status tag_table(directory *d, mt_tiff_writer *w, int id, const uint64_t *v, uint64_t n, mt_err *err)
{
    const size_t each = d->big ? 8 : 4;
    const int type = d->big ? T_LONG8 : T_LONG;
    if (n == 1) return tag_int(d, w, id, type, v[0], err);
    if (w->at & 1) MT_TRY(emit(w, "", 1, err));
    d->tags[d->n++] = (tag){(uint16_t)id, (uint16_t)type, n, w->at};
    uint8_t piece[8 * 512];
    for (uint64_t i = 0; i < n;) {
        size_t k = 0;
        for (; i < n && k < 512; i++, k++) put_le(piece + k * each, v[i], each);
        MT_TRY(emit(w, piece, k * each, err));
    }
    return MT_OK;
}

/* Tags in ascending order, as the format demands. */
static mt_status tags_make(directory *d, mt_tiff_writer *w, const image *m, mt_err *err)
{
    const mt_tiff_image *i = &m->d;
    MT_TRY(tag_int(d, w, 254, T_LONG, i->subfile, err));
    MT_TRY(tag_int(d, w, 256, T_LONG, (uint64_t)i->width, err));
    MT_TRY(tag_int(d, w, 257, T_LONG, (uint64_t)i->height, err));
    MT_TRY(tag_shorts(d, w, 258, i->samples, i->bits, err));
    MT_TRY(tag_int(d, w, 259, T_SHORT, (uint64_t)i->compression, err));
    MT_TRY(tag_int(d, w, 262, T_SHORT, (uint64_t)i->photometric, err));
    MT_TRY(tag_text(d, w, 270, i->description, err));
    if (!i->tile_w) MT_TRY(tag_table(d, w, 273, m->offset, m->n_tiles, err));
    MT_TRY(tag_int(d, w, 277, T_SHORT, (uint64_t)i->samples, err));
    if (!i->tile_w) {
        MT_TRY(tag_int(d, w, 278, T_LONG, (uint64_t)i->rows_per_strip, err));
        MT_TRY(tag_table(d, w, 279, m->count, m->n_tiles, err));
    }
    const bool spacing = i->px_per_cm_x > 0 && i->px_per_cm_y > 0;
    if (spacing) {
        MT_TRY(tag_rational(d, w, 282, i->px_per_cm_x, err));
        MT_TRY(tag_rational(d, w, 283, i->px_per_cm_y, err));
    }
    MT_TRY(tag_int(d, w, 284, T_SHORT, 1, err));
    if (spacing) MT_TRY(tag_int(d, w, 296, T_SHORT, 3, err));
    MT_TRY(tag_text(d, w, 305, i->software, err));
    if (i->predictor != 1) MT_TRY(tag_int(d, w, 317, T_SHORT, (uint64_t)i->predictor, err));
    if (i->tile_w) {
        MT_TRY(tag_int(d, w, 322, T_LONG, (uint64_t)i->tile_w, err));
        MT_TRY(tag_int(d, w, 323, T_LONG, (uint64_t)i->tile_h, err));
        MT_TRY(tag_table(d, w, 324, m->offset, m->n_tiles, err));
        MT_TRY(tag_table(d, w, 325, m->count, m->n_tiles, err));
    }
    if (i->alpha) MT_TRY(tag_int(d, w, 338, T_SHORT, (uint64_t)i->alpha, err));
    if (i->sample_format != 1) MT_TRY(tag_shorts(d, w, 339, i->samples, i->sample_format, err));
    if (i->jpeg_tables) MT_TRY(tag_bytes(d, w, 347, T_UNDEFINED, i->n_jpeg_tables, i->jpeg_tables, i->n_jpeg_tables, err));
    if (i->photometric == MT_TIFF_YCBCR) {
        uint8_t b[4];
        put_le(b, (uint64_t)i->sub_h, 2);
        put_le(b + 2, (uint64_t)i->sub_v, 2);
        MT_TRY(tag_bytes(d, w, 530, T_SHORT, 2, b, 4, err));
    }
    return MT_OK;
}

/* Writes one directory; *link is where the place of the next one goes. */
static mt_status directory_write(mt_tiff_writer *w, const image *m, bool big, uint64_t *start, uint64_t *link, mt_err *err)
{
    directory d = {.big = big};
    MT_TRY(tags_make(&d, w, m, err));
    while (w->at & 7) MT_TRY(emit(w, "", 1, err));
    *start = w->at;
    const size_t word = big ? 8 : 4, entry = 4 + 2 * word;
    uint8_t b[8 + MAX_TAGS * 20 + 8];
    size_t n = big ? 8 : 2;
    put_le(b, (uint64_t)d.n, n);
    for (int i = 0; i < d.n; i++, n += entry) {
        put_le(b + n, d.tags[i].id, 2);
        put_le(b + n + 2, d.tags[i].type, 2);
        put_le(b + n + 4, d.tags[i].count, word);
        put_le(b + n + 4 + word, d.tags[i].value, word);
    }
    *link = w->at + n;
    put_le(b + n, 0, word);
    return emit(w, b, n + word, err);
}

static mt_status patch(mt_tiff_writer *w, uint64_t at, const uint8_t *b, size_t n, mt_err *err)
{
    if (fseeko(w->out.f, (off_t)at, SEEK_SET) || fwrite(b, 1, n, w->out.f) != n)
        return mt_err_set(err, MT_ERR_IO, "TIFF output: byte %llu: %s", (unsigned long long)at, strerror(errno));
    return MT_OK;
}

static mt_status finish(mt_tiff_writer *w, mt_err *err)
{
    uint64_t tables = 65536;
    for (int i = 0; i < w->n_images; i++)
        tables += 16 * w->images[i].n_tiles + w->images[i].d.n_jpeg_tables + 4096 +
                  (w->images[i].d.description ? strlen(w->images[i].d.description) : 0);
    const bool big = w->always_big || w->at + tables > classic_limit;
    uint64_t start[MAX_IMAGES], link[MAX_IMAGES];
    for (int i = 0; i < w->n_images; i++) MT_TRY(directory_write(w, &w->images[i], big, &start[i], &link[i], err));
    uint8_t b[16] = {'I', 'I', big ? 43 : 42, 0};
    if (big) b[4] = 8; /* bytes of an offset */
    put_le(b + (big ? 8 : 4), w->n_images ? start[0] : 0, big ? 8 : 4);
    MT_TRY(patch(w, 0, b, big ? 16 : 8, err));
    for (int i = 0; i + 1 < w->n_images; i++) {
        put_le(b, start[i + 1], 8);
        MT_TRY(patch(w, link[i], b, big ? 8 : 4, err));
    }
    return mt_outfile_commit(&w->out, err);
}

mt_status mt_tiff_writer_close(mt_tiff_writer **w, mt_err *err)
{
    const mt_status st = finish(*w, err);
    mt_tiff_writer_discard(w);
    return st;
}

/* ---- LZW ---- */

typedef struct bits {
    mt_buf *out;
    uint32_t acc;
    int n;
} bits;

static void bits_put(bits *b, uint32_t code, int width)
{
    b->acc = b->acc << width | code;
    b->n += width;
    while (b->n >= 8) {
        const uint8_t byte = (uint8_t)(b->acc >> (b->n - 8));
        mt_buf_append(b->out, &byte, 1);
        b->n -= 8;
    }
}

void mt_tiff_lzw(mt_buf *out, const uint8_t *data, size_t n)
{
    enum { CLEAR = 256, END = 257, FIRST = 258, LAST = 4093, SLOTS = 8192 };
    static const uint32_t empty = UINT32_MAX;
    uint32_t key[SLOTS];      /* prefix << 8 | byte */
    uint16_t code[SLOTS];
    bits b = {out, 0, 0};
    int width = 9, next = FIRST;
    memset(key, 0xFF, sizeof key);
    bits_put(&b, CLEAR, 9);
    uint32_t prefix = n ? data[0] : 0;
    for (size_t i = 1; i < n; i++) {
        const uint32_t k = prefix << 8 | data[i];
        uint32_t at = (k * 2654435761u) >> 19;
        while (key[at] != empty && key[at] != k) at = (at + 1) & (SLOTS - 1);
        if (key[at] == k) {
            prefix = code[at];
            continue;
        }
        bits_put(&b, prefix, width);
        key[at] = k;
        code[at] = (uint16_t)next++;
        if (next == (1 << width)) width++; /* TIFF widens one code early */
        if (next > LAST) {
            bits_put(&b, CLEAR, width);
            memset(key, 0xFF, sizeof key);
            width = 9;
            next = FIRST;
        }
        prefix = data[i];
    }
    if (n) {
        bits_put(&b, prefix, width);
        next++;
        if (next == (1 << width) && width < 12) width++;
    }
    bits_put(&b, END, width);
    if (b.n) bits_put(&b, 0, 8 - b.n);
}
