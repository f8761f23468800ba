#include "slide/tiff/ndpi.h"

#include <string.h>
#include "base/bytes.h"

enum {
    TILE_PIXELS = 1 << 18, /* a tile of about so many, where the strip leaves the choice */
    MAX_INTERVALS = 1 << 24,
    MAX_SEARCH = 256 << 20, /* bytes of a strip that is searched for markers */
    MAX_HEADER = 1 << 16
};

/* ---- the strip's own header ---- */

typedef struct head {
    uint32_t w, h; /* 0 when the side passes what JPEG can say */
    unsigned components;
    int32_t block_w, block_h;
    uint64_t interval; /* blocks; 0 without restart markers */
    size_t size_at;    /* where the frame's height stands */
    size_t end;        /* behind the scan's header */
} head;

static bool read_frame(head *h, const uint8_t *p, size_t n, size_t at)
{
    if (n < 6 || p[0] != 8) return false;
    h->size_at = at + 1;
    h->h = (uint32_t)(p[1] << 8 | p[2]);
    h->w = (uint32_t)(p[3] << 8 | p[4]);
    h->components = p[5];
    if ((h->components != 1 && h->components != 3) || n < 6 + 3 * (size_t)h->components)
        return false;
    int32_t mh = 1, mv = 1;
    for (unsigned i = 0; i < h->components && h->components > 1; i++) {
        const int32_t ch = p[7 + 3 * i] >> 4, cv = p[7 + 3 * i] & 15;
        if (ch < 1 || ch > 4 || cv < 1 || cv > 4) return false;
        mh = MT_MAX(mh, ch);
        mv = MT_MAX(mv, cv);
    }
    h->block_w = 8 * mh; /* of one component alone a block is 8 x 8 whatever its factors say */
    h->block_h = 8 * mv;
    return true;
}

/* Markers up to the first scan, which must be the only one (baseline, all components). */
static mt_status read_head(head *h, const uint8_t *data, size_t size, mt_err *err)
{
    *h = (head){0};
    mt_bytes c = mt_bytes_of(data, MT_MIN(size, (size_t)MAX_HEADER), true);
    uint16_t soi = 0;
    if (!mt_bytes_u16(&c, &soi) || soi != 0xffd8)
        return mt_err_set(err, MT_ERR_FORMAT, "the strip does not begin as JPEG does");
    for (;;) {
        uint8_t ff = 0, marker = 0xff;
        uint16_t len = 0;
        bool whole = mt_bytes_u8(&c, &ff) && ff == 0xff;
        while (whole && marker == 0xff)
            whole = mt_bytes_u8(&c, &marker);
        whole = whole && mt_bytes_u16(&c, &len) && len >= 2;
        const size_t at = c.pos;
        const uint8_t *p = whole ? mt_bytes_take(&c, len - 2u) : NULL;
        if (!p)
            return mt_err_set(err, MT_ERR_FORMAT, "JPEG header broken at byte %zu of the strip",
                              c.pos);
        if (marker == 0xc0 || marker == 0xc1) {
            if (!read_frame(h, p, len - 2u, at))
                return mt_err_set(err, MT_ERR_UNSUPPORTED, "JPEG frame of a kind that is not read");
        } else if (marker >= 0xc2 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 &&
                   marker != 0xcc) {
            return mt_err_set(err, MT_ERR_UNSUPPORTED, "JPEG process %u; only baseline is read",
                              marker - 0xc0u);
        } else if (marker == 0xdd && len >= 4) {
            h->interval = (uint64_t)(p[0] << 8 | p[1]);
        } else if (marker == 0xda) {
            if (!h->components || len < 3 || p[0] != h->components)
                return mt_err_set(err, MT_ERR_UNSUPPORTED, "JPEG in several scans");
            h->end = c.pos;
            return MT_OK;
        }
    }
}

/* ---- where the intervals are ---- */

static uint64_t interval_at(const mt_ndpi_strip *s, uint64_t i)
{
    if (s->found) return s->found[i];
    uint64_t at = mt_tiff_at(s->tiff, &s->low, i);
    if (s->high.count) at |= mt_tiff_at(s->tiff, &s->high, i) << 32;
    return at;
}

/* True when interval i begins behind the marker that must stand there. */
static bool stands(const mt_ndpi_strip *s, uint64_t i)
{
    const uint64_t at = interval_at(s, i);
    if (!i) return at == s->body;
    return at >= s->body + 2 && at < s->size && s->data[at - 2] == 0xff &&
           s->data[at - 1] == 0xd0 + (i - 1) % 8;
}

static void use_table(mt_ndpi_strip *s, const mt_tiff *t, int dir, uint64_t n)
{
    enum { MCU_STARTS = 65426, MCU_STARTS_HIGH = 65432 };
    mt_tiff_value low, high;
    if (!mt_tiff_find(&low, t, dir, MCU_STARTS) || low.count != n || low.type != 4) return;
    s->low = (mt_tiff_array){low.p, low.count, low.width};
    if (mt_tiff_find(&high, t, dir, MCU_STARTS_HIGH) && high.count == n && high.type == 4)
        s->high = (mt_tiff_array){high.p, high.count, high.width};
    if (stands(s, 0) && stands(s, n - 1) && stands(s, n / 2)) return;
    s->low = s->high = (mt_tiff_array){NULL, 0, 0}; /* says something else */
}

/* Without a table the markers are searched for, once. */
static mt_status search(mt_ndpi_strip *s, uint64_t n, mt_err *err)
{
    if (s->size > MAX_SEARCH)
        return mt_err_set(err, MT_ERR_UNSUPPORTED,
                          "a strip of %zu bytes without a table of its restart markers", s->size);
    MT_TRY(mt_alloc(&s->found, (size_t)n, sizeof *s->found, MAX_INTERVALS * sizeof *s->found,
                    "restart markers", err));
    uint64_t k = 0;
    s->found[k++] = s->body;
    const uint8_t *p = s->data + s->body, *end = s->data + s->size;
    while (k < n && (p = memchr(p, 0xff, (size_t)(end - p))) && end - p > 2) {
        if (p[1] == 0xd9) break;
        if (p[1] == 0xd0 + (k - 1) % 8) s->found[k++] = (uint64_t)(p - s->data) + 2;
        p += p[1] == 0xff ? 1 : 2;
    }
    if (k < n)
        return mt_err_set(err, MT_ERR_FORMAT, "%llu of %llu restart intervals are there",
                          (unsigned long long)k, (unsigned long long)n);
    return MT_OK;
}

/* ---- tiles ---- */

static mt_status make_header(mt_ndpi_header *out, const mt_ndpi_strip *s, const head *h,
                             int32_t rows, mt_err *err)
{
    MT_TRY(mt_alloc(&out->p, h->end, 1, MAX_HEADER, "JPEG header", err));
    memcpy(out->p, s->data, h->end);
    uint8_t *at = out->p + h->size_at;
    at[0] = (uint8_t)(rows >> 8);
    at[1] = (uint8_t)rows;
    at[2] = (uint8_t)(s->tile_w >> 8);
    at[3] = (uint8_t)s->tile_w;
    out->n = h->end;
    out->rows = rows;
    return MT_OK;
}

/* Rows of a tile in blocks: eight at least, so that the markers inside it are numbered as in a file
 * of their own. */
static int64_t rows_of_a_tile(const mt_ndpi_strip *s)
{
    const int64_t row = (int64_t)s->tile_w * s->block_h;
    int64_t rows = 8;
    while (2 * rows * row <= TILE_PIXELS && rows * s->block_h < 512)
        rows *= 2;
    return rows;
}

static mt_status cut_at_markers(mt_ndpi_strip *s, const mt_tiff *t, int dir, const head *h,
                                mt_err *err)
{
    const uint64_t blocks = (uint64_t)((s->width + h->block_w - 1) / h->block_w);
    s->block_h = h->block_h;
    s->block_rows = (s->height + h->block_h - 1) / h->block_h;
    s->per_row = (int64_t)(blocks / h->interval);
    s->tile_w = (int32_t)h->interval * h->block_w;
    const uint64_t n = (uint64_t)s->per_row * (uint64_t)s->block_rows;
    if (n > MAX_INTERVALS)
        return mt_err_set(err, MT_ERR_LIMIT, "%llu restart intervals", (unsigned long long)n);
    use_table(s, t, dir, n);
    if (!s->low.count) MT_TRY(search(s, n, err));
    const int64_t rows = MT_MIN(rows_of_a_tile(s), s->block_rows);
    s->tile_h = (int32_t)rows * s->block_h;
    s->tiles_x = s->per_row;
    s->tiles_y = (s->block_rows + rows - 1) / rows;
    const int64_t lowest = s->block_rows - (s->tiles_y - 1) * rows;
    MT_TRY(make_header(&s->headers[0], s, h, s->tile_h, err));
    MT_TRY(make_header(&s->headers[1], s, h, (int32_t)lowest * s->block_h, err));
    return make_header(&s->headers[2], s, h, s->block_h, err);
}

/* The whole strip is one tile. The two sizes may differ by rounding: the stream's own holds. */
static mt_status one_tile(mt_ndpi_strip *s, const head *h, mt_err *err)
{
    const int64_t dw = (int64_t)h->w - s->width, dh = (int64_t)h->h - s->height;
    if (h->w && h->h && (dw < -16 || dw > 16 || dh < -16 || dh > 16))
        return mt_err_set(err, MT_ERR_FORMAT, "JPEG is %u x %u, expected %lld x %lld", h->w, h->h,
                          (long long)s->width, (long long)s->height);
    if (h->w && h->h) {
        s->width = h->w;
        s->height = h->h;
    }
    if (s->width > MT_CODEC_MAX_SIDE || s->height > MT_CODEC_MAX_SIDE ||
        (uint64_t)s->width * (uint64_t)s->height > MT_CODEC_MAX_PIXELS)
        return mt_err_set(
            err, MT_ERR_UNSUPPORTED,
            "%lld x %lld pixels without restart markers are too many to decode at once",
            (long long)s->width, (long long)s->height);
    s->tile_w = (int32_t)s->width;
    s->tile_h = (int32_t)s->height;
    s->tiles_x = s->tiles_y = 1;
    return make_header(&s->headers[0], s, h, s->tile_h, err);
}

static mt_status locate(mt_ndpi_strip *s, const mt_tiff *t, int dir, mt_err *err)
{
    enum { STRIP_OFFSETS = 273, STRIP_BYTE_COUNTS = 279 };
    mt_tiff_value at, n;
    uint64_t offset = 0, size = 0;
    if (!mt_tiff_find(&at, t, dir, STRIP_OFFSETS) || !mt_tiff_value_uint(&offset, t, &at) ||
        !mt_tiff_find(&n, t, dir, STRIP_BYTE_COUNTS) || !mt_tiff_value_uint(&size, t, &n))
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "not a single strip (tags 273, 279)");
    if (offset > t->size || size > t->size - offset)
        return mt_err_set(err, MT_ERR_FORMAT,
                          "%llu bytes at offset %llu pass the end of the file (%zu bytes)",
                          (unsigned long long)size, (unsigned long long)offset, t->size);
    s->data = t->data + offset;
    s->size = (size_t)size;
    return MT_OK;
}

static mt_status make(mt_ndpi_strip *s, const mt_tiff *t, int dir, mt_err *err)
{
    const mt_tiff_dir *d = &t->dirs[dir];
    if (d->compression != 7)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "compression %u (%s); only JPEG is read",
                          d->compression, mt_tiff_compression_name(d->compression));
    if (d->width < 1 || d->height < 1 || d->width > INT32_MAX || d->height > INT32_MAX)
        return mt_err_set(err, MT_ERR_FORMAT, "%llu x %llu pixels", (unsigned long long)d->width,
                          (unsigned long long)d->height);
    s->width = (int64_t)d->width;
    s->height = (int64_t)d->height;
    MT_TRY(locate(s, t, dir, err));
    head h;
    MT_TRY(read_head(&h, s->data, s->size, err));
    s->body = h.end;
    s->coding = (mt_coding){.codec = MT_CODEC_JPEG,
                            .colour = h.components == 1     ? MT_COLOUR_GREY
                                      : d->photometric == 2 ? MT_COLOUR_RGB
                                                            : MT_COLOUR_YCBCR,
                            .samples = (int)h.components,
                            .tables_are_header = true};
    const uint64_t blocks = h.block_w ? (uint64_t)((s->width + h.block_w - 1) / h.block_w) : 0;
    const bool cut =
        h.interval && blocks % h.interval == 0 &&
        h.interval * (uint64_t)h.block_w <= MT_CODEC_MAX_SIDE &&
        8 * h.interval * (uint64_t)h.block_w * (uint64_t)h.block_h <= MT_CODEC_MAX_PIXELS;
    return cut ? cut_at_markers(s, t, dir, &h, err) : one_tile(s, &h, err);
}

mt_status mt_ndpi_strip_make(mt_ndpi_strip *out, const mt_tiff *t, int dir, mt_err *err)
{
    *out = (mt_ndpi_strip){.dir = dir, .tiff = t};
    mt_status st = make(out, t, dir, err);
    if (st == MT_OK) return MT_OK;
    mt_err_context(err, "IFD %d", dir);
    mt_ndpi_strip_free(out);
    return st;
}

void mt_ndpi_strip_free(mt_ndpi_strip *s)
{
    for (int i = 0; i < NDPI_HEADERS; i++)
        free(s->headers[i].p);
    free(s->found);
    *s = (mt_ndpi_strip){0};
}

/* ---- pixels ---- */

/* Intervals first .. first + n, one behind the other in the file, as a picture of their own. */
static mt_status decode_run(mt_decoder *d, const mt_ndpi_strip *s, const mt_ndpi_header *header,
                            uint64_t first, uint64_t n, int scale, uint8_t *rgb, size_t stride,
                            const mt_row_sink *sink, mt_err *err)
{
    const uint64_t all = (uint64_t)s->per_row * (uint64_t)s->block_rows;
    uint64_t from = s->body, to = s->size;
    if (s->per_row) {
        if (!stands(s, first) || (first + n < all && !stands(s, first + n)))
            return mt_err_set(err, MT_ERR_FORMAT,
                              "no restart marker where interval %llu should begin",
                              (unsigned long long)first);
        from = interval_at(s, first);
        if (first + n < all) to = interval_at(s, first + n) - 2;
    }
    if (from >= to)
        return mt_err_set(err, MT_ERR_FORMAT, "interval %llu begins behind its end",
                          (unsigned long long)first);
    mt_coding c = s->coding;
    c.tables = header->p;
    c.n_tables = header->n;
    const mt_pixels out = {rgb, stride, s->tile_w, header->rows, scale, sink};
    return mt_decoder_decode(d, &c, s->data + from, (size_t)(to - from), &out, err);
}

/* Hands the rows of a picture on as rows of a larger one, in which they begin at row `at`. */
typedef struct lower {
    const mt_row_sink *sink;
    int32_t at;
} lower;

static void lower_rows(void *ctx, const uint8_t *rgb, size_t stride, int32_t y, int32_t n)
{
    const lower *l = ctx;
    l->sink->rows(l->sink->ctx, rgb, stride, l->at + y, n);
}

static void lower_samples(void *ctx, const mt_sample_rows *rows)
{
    const lower *l = ctx;
    mt_sample_rows r = *rows;
    r.y += l->at;
    l->sink->samples(l->sink->ctx, &r);
}

static void lower_planes(void *ctx, mt_ycc_kind kind, const mt_ycc_row *rows, int32_t y, int32_t n)
{
    const lower *l = ctx;
    l->sink->planes(l->sink->ctx, kind, rows, l->at + y, n);
}

/* A row of blocks has several intervals: a tile is a column of them, each a picture of its own. */
static mt_status decode_column(mt_decoder *d, const mt_ndpi_strip *s, int64_t tx, int64_t row, int64_t n,
                               int scale, uint8_t *rgb, size_t stride, const mt_row_sink *sink,
                               mt_err *err)
{
    const int32_t high = s->block_h / scale;
    lower l = {.sink = sink};
    const mt_row_sink to = {.rows = lower_rows,
                            .ctx = &l,
                            .samples = sink && sink->samples ? lower_samples : NULL,
                            .planes = sink && sink->planes ? lower_planes : NULL};
    for (int32_t i = 0; i < n; i++) {
        l.at = i * high;
        MT_TRY(decode_run(d, s, &s->headers[2], (uint64_t)((row + i) * s->per_row + tx), 1, scale,
                          rgb + (size_t)l.at * stride, stride, sink ? &to : NULL, err));
    }
    return MT_OK;
}

mt_status mt_ndpi_strip_decode(mt_decoder *d, const mt_ndpi_strip *s, int64_t tx, int64_t ty,
                               int scale, uint8_t *rgb, size_t stride, const mt_row_sink *sink,
                               mt_err *err)
{
    const bool lowest = s->per_row && ty == s->tiles_y - 1;
    const mt_ndpi_header *header = &s->headers[lowest];
    const int32_t have = mt_slide_reduced(header->rows, scale), want = mt_slide_reduced(s->tile_h, scale);
    const int64_t rows = s->per_row ? header->rows / s->block_h : 1,
                  row = s->per_row ? ty * (s->tile_h / s->block_h) : ty;
    if (s->per_row <= 1)
        MT_TRY(decode_run(d, s, header, (uint64_t)row, (uint64_t)rows, scale, rgb, stride, sink, err));
    else
        MT_TRY(decode_column(d, s, tx, row, rows, scale, rgb, stride, sink, err));
    for (int32_t y = have; y < want; y++)
        memset(rgb + (size_t)y * stride, 255, 3 * (size_t)mt_slide_reduced(s->tile_w, scale));
    if (sink && have < want)
        sink->rows(sink->ctx, rgb + (size_t)have * stride, stride, have, want - have);
    return MT_OK;
}
