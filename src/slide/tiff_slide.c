#include "slide/tiff_slide.h"

#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* ---- a directory as picture ---- */

static mt_status choose_colour(mt_coding *c, const mt_tiff_dir *d, mt_err *err)
{
    if (d->compression == 33003 || d->compression == 33005) { /* Aperio: the number says it */
        c->colour = d->compression == 33003 ? MT_COLOUR_YCBCR : MT_COLOUR_RGB;
    } else if (!d->has_photometric) {
        return mt_err_set(err, MT_ERR_FORMAT, "no PhotometricInterpretation (tag 262)");
    } else switch (d->photometric) {
        case 0: c->colour = MT_COLOUR_GREY_INVERTED; break;
        case 1: c->colour = MT_COLOUR_GREY; break;
        case 2: c->colour = MT_COLOUR_RGB; break;
        case 6: c->colour = MT_COLOUR_YCBCR; break;
        default:
            return mt_err_set(err, MT_ERR_UNSUPPORTED, "photometric interpretation %u",
                              d->photometric);
    }
    bool grey = c->colour == MT_COLOUR_GREY || c->colour == MT_COLOUR_GREY_INVERTED;
    const bool plain = c->codec != MT_CODEC_JPEG && c->codec != MT_CODEC_JP2K;
    const bool rgba = d->samples == 4 && c->colour == MT_COLOUR_RGB && plain;
    if (rgba && d->extra_sample)
        c->alpha = d->extra_sample == 1 ? MT_ALPHA_PREMULTIPLIED : MT_ALPHA_STRAIGHT;
    if (d->samples != (grey ? 1u : 3u) && !rgba)
        return mt_err_set(err, MT_ERR_UNSUPPORTED,
                          "%u samples a pixel with photometric interpretation %u", d->samples,
                          d->photometric);
    c->samples = (int)d->samples;
    if (c->colour == MT_COLOUR_YCBCR && plain)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "YCbCr samples under compression %u (%s)",
                          d->compression, mt_tiff_compression_name(d->compression));
    return MT_OK;
}

static mt_status choose_coding(mt_coding *c, const mt_tiff_dir *d, mt_err *err)
{
    if (!mt_codec_of_tiff(&c->codec, d->compression))
        return mt_err_set(err, MT_ERR_UNSUPPORTED,
                          "compression %u (%s) is not one this build reads", d->compression,
                          mt_tiff_compression_name(d->compression));
    if (d->bits != 8 || d->mixed_bits)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "%u bits a sample%s; only 8 are read", d->bits,
                          d->mixed_bits ? " and others" : "");
    if (d->sample_format != 1 && d->sample_format != 4)
        return mt_err_set(err, MT_ERR_UNSUPPORTED,
                          "sample format %u; only unsigned integers are read", d->sample_format);
    if (d->samples > 1 && d->planar != 1)
        return mt_err_set(err, MT_ERR_UNSUPPORTED,
                          "planar configuration %u; only interleaved samples are read", d->planar);
    if (d->orientation != 1)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "orientation %u; only 1 (upright) is read",
                          d->orientation);
    bool whole_stream = c->codec == MT_CODEC_JPEG || c->codec == MT_CODEC_JP2K;
    if (d->fill_order != 1 && !whole_stream)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "fill order %u", d->fill_order);
    c->predictor = c->codec == MT_CODEC_LZW || c->codec == MT_CODEC_DEFLATE ? (int)d->predictor : 1;
    if (c->predictor != 1 && c->predictor != 2)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "predictor %u", d->predictor);
    if (c->codec == MT_CODEC_JPEG && d->jpeg_tables.p) {
        if (d->jpeg_tables.n > MT_CODEC_MAX_TABLES)
            return mt_err_set(err, MT_ERR_LIMIT, "JPEG tables of %zu bytes", d->jpeg_tables.n);
        c->tables = d->jpeg_tables.p;
        c->n_tables = d->jpeg_tables.n;
    }
    return choose_colour(c, d, err);
}

/* Programs like to write an uncompressed picture as one strip of all rows: it is read in pieces of
 * about so many pixels. */
enum { CUT_PIXELS = 1 << 18 };

static mt_status choose_grid(mt_tiff_picture *p, const mt_tiff_dir *d, mt_err *err)
{
    if (d->width < 1 || d->height < 1 || d->width > INT32_MAX || d->height > INT32_MAX)
        return mt_err_set(err, MT_ERR_FORMAT, "%llu x %llu pixels", (unsigned long long)d->width,
                          (unsigned long long)d->height);
    uint64_t tw = d->width, th = MT_MIN(d->rows_per_strip, d->height);
    if (d->tile_w || d->tile_h) {
        tw = d->tile_w;
        th = d->tile_h;
    } else if (th == d->height && p->coding.codec == MT_CODEC_RAW) {
        p->cut = true;
        th = MT_MIN(th, MT_MAX((uint64_t)CUT_PIXELS / tw, 1));
    }
    if (tw < 1 || th < 1)
        return mt_err_set(err, MT_ERR_FORMAT, "tiles of %llu x %llu pixels", (unsigned long long)tw,
                          (unsigned long long)th);
    if (tw > MT_CODEC_MAX_SIDE || th > MT_CODEC_MAX_SIDE || tw * th > MT_CODEC_MAX_PIXELS)
        return mt_err_set(err, MT_ERR_LIMIT, "%s of %llu x %llu pixels",
                          d->tile_w ? "tiles" : "strips", (unsigned long long)tw,
                          (unsigned long long)th);
    p->width = (int64_t)d->width;
    p->height = (int64_t)d->height;
    p->tile_w = (int32_t)tw;
    p->tile_h = (int32_t)th;
    p->tiles_x = (p->width + p->tile_w - 1) / p->tile_w;
    p->tiles_y = (p->height + p->tile_h - 1) / p->tile_h;
    const uint64_t n = p->cut ? 1 : (uint64_t)p->tiles_x * (uint64_t)p->tiles_y;
    if (d->offsets.count < n || d->counts.count < n)
        return mt_err_set(
            err, MT_ERR_FORMAT, "%llu %s need as many offsets and sizes, found %llu and %llu",
            (unsigned long long)n, d->tile_w ? "tiles" : "strips",
            (unsigned long long)d->offsets.count, (unsigned long long)d->counts.count);
    return MT_OK;
}

mt_status mt_tiff_picture_make(mt_tiff_picture *out, const mt_tiff *t, int dir, mt_err *err)
{
    const mt_tiff_dir *d = &t->dirs[dir];
    *out = (mt_tiff_picture){.dir = d, .number = dir};
    mt_status st = choose_coding(&out->coding, d, err);
    if (st == MT_OK) st = choose_grid(out, d, err);
    if (st != MT_OK) mt_err_context(err, "IFD %d", dir);
    return st;
}

/* ---- tiles ---- */

mt_status mt_tiff_picture_span(mt_tile_span *out, const mt_tiff *t, const mt_tiff_picture *p,
                               uint64_t i, mt_err *err)
{
    const uint64_t k = p->cut ? 0 : i;
    uint64_t at = mt_tiff_at(t, &p->dir->offsets, k), n = mt_tiff_at(t, &p->dir->counts, k);
    *out = (mt_tile_span){NULL, 0};
    if (!n) return MT_OK;
    if (at > t->size || n > t->size - at)
        return mt_err_set(err, MT_ERR_FORMAT,
                          "%llu bytes at offset %llu pass the end of the file (%zu bytes)",
                          (unsigned long long)n, (unsigned long long)at, t->size);
    if (p->cut) {
        const uint64_t piece =
            (uint64_t)p->tile_w * (uint64_t)p->tile_h * (uint64_t)p->coding.samples;
        const uint64_t skip = i * piece;
        if (skip >= n)
            return mt_err_set(err, MT_ERR_FORMAT, "the only strip ends after %llu bytes",
                              (unsigned long long)n);
        at += skip;
        n = MT_MIN(n - skip, piece);
    }
    *out = (mt_tile_span){t->data + at, (size_t)n};
    return MT_OK;
}

static mt_status span(mt_tile_span *out, const mt_slide *s, int level, int64_t tx, int64_t ty,
                      mt_err *err)
{
    const mt_tiff_slide *ts = s->impl;
    const mt_tiff_picture *p = &ts->levels[level];
    return mt_tiff_picture_span(out, &ts->tiff, p, (uint64_t)(ty * p->tiles_x + tx), err);
}

/* The map keeps the size it had; a page past a new end faults, but the rest of the last page reads
 * as zeros without one. */
static mt_status check(const mt_slide *s, mt_err *err)
{
    const mt_tiff_slide *ts = s->impl;
    MT_TRY(mt_map_check(&ts->map, err));
    struct stat sb;
    if (stat(s->path, &sb) != 0 || sb.st_ino != ts->inode)
        return MT_OK; /* moved or replaced: ours is whole */
    if ((uint64_t)sb.st_size < ts->map.size)
        return mt_err_set(err, MT_ERR_IO, "the file was cut short: %llu of %zu bytes are left",
                          (unsigned long long)sb.st_size, ts->map.size);
    return MT_OK;
}

typedef struct reader {
    mt_decoder *decoder;
    uint8_t *fine;      /* a tile of the finer level, and sums over it: for tiles left out */
    uint32_t *sums;     /* red, green, blue, count */
    size_t fine_room, sums_room;
} reader;

static void reader_close(void *state)
{
    reader *r = state;
    mt_decoder_free(&r->decoder);
    free(r->fine);
    free(r->sums);
    free(r);
}

static mt_status reader_open(void **state, const mt_slide *s, mt_err *err)
{
    reader *r = NULL;
    MT_TRY(mt_alloc(&r, 1, sizeof *r, sizeof *r, "tile reader", err));
    mt_status st = mt_decoder_new(&r->decoder, err);
    if (st != MT_OK) {
        reader_close(r);
        return st;
    }
    *state = r;
    return MT_OK;
}

static void fill_white(uint8_t *rgb, size_t stride, int32_t y0, int32_t y1, size_t row_bytes)
{
    for (int32_t y = y0; y < y1; y++) memset(rgb + (size_t)y * stride, 255, row_bytes);
}

/* Rows of a strip or tile that the file holds: the last strip is short. */
static int32_t stored_rows(const mt_tiff_picture *p, int64_t ty)
{
    if (p->dir->tile_w) return p->tile_h;
    return (int32_t)MT_MIN((int64_t)p->tile_h, p->height - ty * p->tile_h);
}

static int32_t divide_up(int32_t a, int scale) { return (int32_t)((a + scale - 1) / scale); }

static mt_status decode_span(reader *r, const mt_tiff_picture *p, const mt_tile_span *bytes,
                             int64_t ty, int scale, uint8_t *rgb, size_t stride, mt_err *err)
{
    const mt_pixels out = {rgb, stride, p->tile_w, stored_rows(p, ty), scale};
    if (bytes->size)
        MT_TRY(mt_decoder_decode(r->decoder, &p->coding, bytes->data, bytes->size, &out, err));
    const int32_t have = bytes->size ? divide_up(out.h, scale) : 0;
    fill_white(rgb, stride, have, divide_up(p->tile_h, scale),
               3 * (size_t)divide_up(p->tile_w, scale));
    return MT_OK;
}

/* ---- tiles left out of a coarse level ---- */

/* Some Aperio encoders drop tiles of the coarse levels. White there would be tissue unseen by
 * whoever looks at the slide from afar, so the tile is drawn from the next finer level, as
 * OpenSlide does. */

enum { FINER_AT_MOST = 20 }; /* times; a larger step would decode hundreds of tiles for one */

typedef struct shrink {
    double step;               /* fine pixels a drawn pixel */
    double x0, y0;             /* fine pixel where the drawn tile begins */
    int32_t w, h;              /* drawn pixels */
} shrink;

static mt_status shrink_rooms(reader *r, const shrink *k, const mt_tiff_picture *fine, mt_err *err)
{
    const size_t fine_bytes = 3 * (size_t)fine->tile_w * (size_t)fine->tile_h;
    const size_t sum_bytes = 4 * sizeof(uint32_t) * (size_t)k->w * (size_t)k->h;
    if (r->fine_room < fine_bytes) {
        free(r->fine);
        r->fine = NULL;
        r->fine_room = 0;
        MT_TRY(mt_alloc_aligned(&r->fine, fine_bytes, 3 * MT_CODEC_MAX_PIXELS, "tile", err));
        r->fine_room = fine_bytes;
    }
    if (r->sums_room < sum_bytes) {
        free(r->sums);
        r->sums = NULL;
        r->sums_room = 0;
        MT_TRY(mt_alloc_aligned(&r->sums, sum_bytes, 4 * sizeof(uint32_t) * MT_CODEC_MAX_PIXELS,
                                "sums", err));
        r->sums_room = sum_bytes;
    }
    memset(r->sums, 0, sum_bytes);
    return MT_OK;
}

/* Adds every pixel of a fine tile that falls into the drawn one. */
static void shrink_add(reader *r, const shrink *k, const mt_tiff_picture *fine, int64_t tx,
                       int64_t ty)
{
    const int64_t x = tx * fine->tile_w, y = ty * fine->tile_h;
    const int64_t w = MT_MIN((int64_t)fine->tile_w, fine->width - x),
                  h = MT_MIN((int64_t)fine->tile_h, fine->height - y);
    for (int64_t j = 0; j < h; j++) {
        const double dy = floor(((double)(y + j) + 0.5 - k->y0) / k->step);
        if (dy < 0 || dy >= k->h) continue;
        for (int64_t i = 0; i < w; i++) {
            const double dx = floor(((double)(x + i) + 0.5 - k->x0) / k->step);
            if (dx < 0 || dx >= k->w) continue;
            uint32_t *sum = r->sums + 4 * ((size_t)dy * (size_t)k->w + (size_t)dx);
            const uint8_t *p = r->fine + 3 * ((size_t)j * (size_t)fine->tile_w + (size_t)i);
            for (int c = 0; c < 3; c++) sum[c] += p[c];
            sum[3]++;
        }
    }
}

static void shrink_write(const reader *r, const shrink *k, uint8_t *rgb, size_t stride)
{
    for (int32_t y = 0; y < k->h; y++)
        for (int32_t x = 0; x < k->w; x++) {
            const uint32_t *sum = r->sums + 4 * ((size_t)y * (size_t)k->w + (size_t)x);
            uint8_t *p = rgb + (size_t)y * stride + 3 * (size_t)x;
            for (int c = 0; c < 3; c++)
                p[c] = sum[3] ? (uint8_t)((sum[c] + sum[3] / 2) / sum[3]) : 255;
        }
}

/* *drawn is false when there is nothing to draw from. */
static mt_status draw_from_finer(bool *drawn, reader *r, const mt_slide *s, int level, int64_t tx,
                                 int64_t ty, int scale, uint8_t *rgb, size_t stride, mt_err *err)
{
    const mt_tiff_slide *ts = s->impl;
    *drawn = false;
    if (!ts->missing_from_finer || level == 0) return MT_OK;
    const mt_tiff_picture *p = &ts->levels[level], *fine = &ts->levels[level - 1];
    const double step = s->info.levels[level].downsample / s->info.levels[level - 1].downsample;
    if (step > FINER_AT_MOST) return MT_OK;
    const shrink k = {step * scale, (double)(tx * p->tile_w) * step,
                      (double)(ty * p->tile_h) * step, divide_up(p->tile_w, scale),
                      divide_up(p->tile_h, scale)};
    MT_TRY(shrink_rooms(r, &k, fine, err));
    const int64_t first_x = (int64_t)(k.x0 / fine->tile_w),
                  first_y = (int64_t)(k.y0 / fine->tile_h);
    for (int64_t fy = first_y;
         fy < fine->tiles_y && (double)(fy * fine->tile_h) < k.y0 + k.h * k.step; fy++)
        for (int64_t fx = first_x;
             fx < fine->tiles_x && (double)(fx * fine->tile_w) < k.x0 + k.w * k.step; fx++) {
            mt_tile_span bytes;
            MT_TRY(span(&bytes, s, level - 1, fx, fy, err));
            MT_TRY(decode_span(r, fine, &bytes, fy, 1, r->fine, 3 * (size_t)fine->tile_w, err));
            shrink_add(r, &k, fine, fx, fy);
        }
    shrink_write(r, &k, rgb, stride);
    *drawn = true;
    return MT_OK;
}

static mt_status decode(void *state, const mt_slide *s, int level, int64_t tx, int64_t ty,
                        int scale, uint8_t *rgb, size_t stride, mt_err *err)
{
    const mt_tiff_slide *ts = s->impl;
    mt_err why = MT_ERR_INIT;
    mt_tile_span bytes;
    bool drawn = false;
    mt_status st = span(&bytes, s, level, tx, ty, &why);
    if (st == MT_OK && !bytes.size)
        st = draw_from_finer(&drawn, state, s, level, tx, ty, scale, rgb, stride, &why);
    if (st == MT_OK && !drawn)
        st = decode_span(state, &ts->levels[level], &bytes, ty, scale, rgb, stride, &why);
    /* Damaged or absent: only now is it worth asking whether the file is still what it was. */
    if (mt_map_faulted(&ts->map) || st != MT_OK || !bytes.size) MT_TRY(check(s, err));
    if (st == MT_OK) return MT_OK;
    return mt_err_set(err, st, "level %d: tile %lld,%lld: %s", level, (long long)tx, (long long)ty,
                      why.text);
}

static int max_reduce(const mt_slide *s, int level)
{
    const mt_tiff_slide *ts = s->impl;
    const mt_tiff_picture *p = &ts->levels[level];
    if (!mt_codec_scales(p->coding.codec)) return 1;
    for (int d = 8; d > 1; d /= 2)
        if (p->tile_w % d == 0 && p->tile_h % d == 0) return d;
    return 1;
}

/* ---- associated images ---- */

static void copy_rows(uint8_t *to, size_t to_stride, const uint8_t *from, size_t from_stride,
                      size_t bytes, int64_t rows)
{
    for (int64_t y = 0; y < rows; y++)
        memcpy(to + (size_t)y * to_stride, from + (size_t)y * from_stride, bytes);
}

static mt_status associated(uint8_t *rgb, const mt_slide *s, int i, mt_err *err)
{
    const mt_tiff_slide *ts = s->impl;
    const mt_tiff_picture *p = &ts->associated[i];
    const size_t stride = 3 * (size_t)p->width, tile_stride = 3 * (size_t)p->tile_w;
    MT_AUTO_FREE uint8_t *tile = NULL;
    MT_AUTO(mt_decoder_free) mt_decoder *decoder = NULL;
    MT_TRY(mt_alloc_aligned(&tile, tile_stride * (size_t)p->tile_h, 3 * MT_CODEC_MAX_PIXELS, "tile",
                            err));
    MT_TRY(mt_decoder_new(&decoder, err));
    reader r = {.decoder = decoder};
    for (int64_t ty = 0; ty < p->tiles_y; ty++)
        for (int64_t tx = 0; tx < p->tiles_x; tx++) {
            mt_tile_span bytes;
            mt_err why = MT_ERR_INIT;
            mt_status st =
                mt_tiff_picture_span(&bytes, &ts->tiff, p, (uint64_t)(ty * p->tiles_x + tx), &why);
            if (st == MT_OK) st = decode_span(&r, p, &bytes, ty, 1, tile, tile_stride, &why);
            if (st != MT_OK) {
                MT_TRY(check(s, err));
                return mt_err_set(err, st, "%s image: part %lld,%lld: %s",
                                  s->info.associated[i].name, (long long)tx, (long long)ty,
                                  why.text);
            }
            const int64_t x = tx * p->tile_w, y = ty * p->tile_h;
            copy_rows(rgb + (size_t)y * stride + 3 * (size_t)x, stride, tile, tile_stride,
                      3 * (size_t)MT_MIN((int64_t)p->tile_w, p->width - x),
                      MT_MIN((int64_t)p->tile_h, p->height - y));
        }
    return check(s, err);
}

/* ---- building ---- */

static void close_slide(mt_slide *s)
{
    mt_tiff_slide *ts = s->impl;
    mt_tiff_free(&ts->tiff);
    mt_map_close(&ts->map);
    free(ts);
    s->impl = NULL;
}

static const mt_slide_ops tiff_ops = {
    span, reader_open, reader_close, decode, associated, max_reduce, check, close_slide,
};

mt_status mt_tiff_slide_begin(mt_tiff_slide **out, mt_slide *s, mt_probe *p, mt_err *err)
{
    if (!p->tiff.n_dirs) {
        return mt_err_set(err, p->tiff_err.code != MT_OK ? p->tiff_err.code : MT_ERR_FORMAT, "%s",
                          p->tiff_err.text);
    }
    mt_tiff_slide *ts = NULL;
    MT_TRY(mt_alloc(&ts, 1, sizeof *ts, sizeof *ts, "slide", err));
    ts->map = p->map;
    ts->tiff = p->tiff;
    struct stat sb;
    ts->inode = stat(p->path, &sb) == 0 ? (uint64_t)sb.st_ino : 0;
    p->map = (mt_map){NULL, 0, -1};
    p->tiff = (mt_tiff){0};
    s->impl = ts;
    s->ops = &tiff_ops;
    s->info.file_bytes = ts->map.size;
    *out = ts;
    return MT_OK;
}

mt_status mt_tiff_slide_add_level(mt_slide *s, int dir, mt_err *err)
{
    mt_tiff_slide *ts = s->impl;
    if (s->info.n_levels == MT_MAX_LEVELS)
        return mt_err_set(err, MT_ERR_LIMIT, "more than %d levels", MT_MAX_LEVELS);
    mt_tiff_picture p;
    MT_TRY(mt_tiff_picture_make(&p, &ts->tiff, dir, err));
    int at = s->info.n_levels; /* widest first; equals stay in file order */
    while (at > 0 && ts->levels[at - 1].width < p.width) {
        ts->levels[at] = ts->levels[at - 1];
        at--;
    }
    ts->levels[at] = p;
    s->info.n_levels++;
    return MT_OK;
}

void mt_tiff_slide_add_associated(mt_slide *s, int dir, const char *name, size_t n_name)
{
    mt_tiff_slide *ts = s->impl;
    mt_slide_info *info = &s->info;
    mt_tiff_picture p;
    if (!n_name || n_name >= sizeof info->associated[0].name ||
        info->n_associated == MT_MAX_ASSOCIATED)
        return;
    for (int i = 0; i < info->n_associated; i++)
        if (strlen(info->associated[i].name) == n_name &&
            !memcmp(info->associated[i].name, name, n_name))
            return;
    if (mt_tiff_picture_make(&p, &ts->tiff, dir, NULL) != MT_OK) return;
    if ((uint64_t)p.width * (uint64_t)p.height > MT_CODEC_MAX_PIXELS) return;
    mt_associated *a = &info->associated[info->n_associated];
    ts->associated[info->n_associated++] = p;
    memcpy(a->name, name, n_name);
    a->width = p.width;
    a->height = p.height;
}

/* A reduced picture of other proportions (a map, a second region) is no level of this slide. */
static bool same_proportions(const mt_tiff_picture *a, const mt_tiff_picture *b)
{
    const double dx = (double)a->width / (double)b->width,
                 dy = (double)a->height / (double)b->height;
    /* Rounding may take a pixel of either side. */
    const double slack = 0.02 + 1.5 / (double)MT_MIN(b->width, b->height);
    return fabs(dx / dy - 1.0) <= slack;
}

mt_status mt_tiff_slide_finish(mt_slide *s, mt_err *err)
{
    mt_tiff_slide *ts = s->impl;
    mt_slide_info *info = &s->info;
    int n = 0;
    for (int i = 0; i < info->n_levels; i++) {
        const mt_tiff_picture *p = &ts->levels[i];
        if (i > 0 && (p->width == ts->levels[n - 1].width || !same_proportions(&ts->levels[0], p)))
            continue;
        ts->levels[n++] = *p;
    }
    info->n_levels = n;
    if (!n)
        return mt_err_set(err, MT_ERR_UNSUPPORTED,
                          "no directory of this TIFF file is a slide level");
    for (int i = 0; i < n; i++) {
        const mt_tiff_picture *p = &ts->levels[i];
        mt_level *l = &info->levels[i];
        l->width = p->width;
        l->height = p->height;
        l->tile_w = p->tile_w;
        l->tile_h = p->tile_h;
        snprintf(l->codec, sizeof l->codec, "%s", mt_codec_name(p->coding.codec));
    }
    mt_slide_finish_levels(info);
    info->icc_bytes = (int)MT_MIN(ts->levels[0].dir->icc_bytes, (uint64_t)INT32_MAX);
    return MT_OK;
}

/* ---- numbers in descriptions ---- */

static locale_t c_locale;
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;
static void c_locale_make(void) { c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0); }

double mt_tiff_number(const char *text, size_t n)
{
    char copy[40];
    while (n && (*text == ' ' || *text == '\t')) text++, n--;
    while (n && (text[n - 1] == ' ' || text[n - 1] == '\t' || text[n - 1] == '\r' ||
                 text[n - 1] == '\n'))
        n--;
    if (!n || n >= sizeof copy) return 0.0;
    for (size_t i = 0; i < n; i++) copy[i] = text[i] == ',' ? '.' : text[i];
    copy[n] = 0;
    if (strspn(copy, "+0123456789.eE-") != n) return 0.0; /* no hexadecimal, infinity or NaN */
    pthread_once(&c_locale_once, c_locale_make);
    if (!c_locale) return 0.0;
    char *end = NULL;
    double v = strtod_l(copy, &end, c_locale);
    return end == copy + n && isfinite(v) && v > 0.0 ? v : 0.0;
}
