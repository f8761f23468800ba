#include "slide/tiff/tiff_slide.h"

#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include "slide/stored.h"
#include "slide/tiff/ojpeg.h"

/* ---- tiles ---- */

static mt_status span(mt_tile_span *out, const mt_slide *s, int level, int64_t tx, int64_t ty,
                      mt_err *err)
{
    const mt_tiff_slide *ts = s->impl;
    const mt_tiff_picture *p = &ts->levels[level];
    return mt_tiff_picture_span(out, &ts->tiff, p, (uint64_t)(ty * p->tiles_x + tx), err);
}

static mt_status check(const mt_slide *s, mt_err *err)
{
    const mt_tiff_slide *ts = s->impl;
    return mt_map_check_whole(&ts->map, s->path, err);
}

/* Its `tile` is one of the finer level, for tiles left out, with sums (red, green, blue, count) over it;
 * or a stored tile that is shown turned. */
typedef mt_stored_reader reader;

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

/* The streams of a stored tile; *bytes is how many there are in all, 0 when it is left out. */
static mt_status find_streams(mt_codec_span out[4], size_t *bytes, const mt_tiff *t,
                              const mt_tiff_picture *p, uint64_t i, mt_err *err)
{
    *bytes = 0;
    for (int k = 0; k < p->streams; k++) {
        mt_tile_span one;
        MT_TRY(mt_tiff_picture_stream(&one, t, p, i, k, err));
        out[k] = (mt_codec_span){one.data, one.size};
        *bytes += one.size;
    }
    return MT_OK;
}

/* A tile as it is stored; *absent when the file leaves it out, it is white then. */
static mt_status decode_stored(bool *absent, reader *r, const mt_tiff *t, const mt_tiff_picture *p,
                               int64_t tx, int64_t ty, int scale, uint8_t *rgb, size_t stride,
                               const mt_row_sink *sink, mt_err *err)
{
    const int32_t all = mt_slide_reduced(p->tile_h, scale);
    *absent = false;
    if (p->by_libtiff) {
        if (scale != 1)
            return mt_err_set(err, MT_ERR_ARG, "old-style JPEG cannot be decoded at 1/%d", scale);
        MT_TRY(mt_ojpeg_decode(&r->ojpeg, t, p, tx, ty, rgb, stride, err));
        if (sink) sink->rows(sink->ctx, rgb, stride, 0, all);
        return MT_OK;
    }
    mt_codec_span streams[4];
    size_t bytes = 0;
    MT_TRY(find_streams(streams, &bytes, t, p, (uint64_t)(ty * p->tiles_x + tx), err));
    *absent = !bytes;
    const mt_pixels out = {rgb, stride, p->tile_w, stored_rows(p, ty), scale, sink};
    if (bytes && p->streams == 1)
        MT_TRY(mt_decoder_decode(r->decoder, &p->coding, streams[0].data, bytes, &out, err));
    else if (bytes)
        MT_TRY(mt_decoder_decode_planes(r->decoder, &p->coding, streams, p->streams, &out, err));
    const int32_t have = bytes ? mt_slide_reduced(out.h, scale) : 0;
    fill_white(rgb, stride, have, all, 3 * (size_t)mt_slide_reduced(p->tile_w, scale));
    if (sink && have < all)
        sink->rows(sink->ctx, rgb + (size_t)have * stride, stride, have, all - have);
    return MT_OK;
}

mt_status mt_tiff_picture_decode(void *state, const mt_tiff *t, const mt_tiff_picture *p, int64_t tx,
                                 int64_t ty, uint8_t *rgb, size_t stride, mt_err *err)
{
    bool absent;
    return decode_stored(&absent, state, t, p, tx, ty, 1, rgb, stride, NULL, err);
}

/* ---- pictures stored turned ---- */

typedef struct rect { int64_t x0, y0, x1, y1; } rect;

/* Pixels of the stored tile tx, ty that are shown within `shown`, to their places in it. */
static void turn_tile(uint8_t *rgb, size_t stride, const rect *shown, const mt_tiff_picture *p,
                      const uint8_t *tile, int64_t tx, int64_t ty)
{
    const int64_t x0 = tx * p->tile_w, y0 = ty * p->tile_h;
    const int64_t x1 = MT_MIN(x0 + p->tile_w, p->width), y1 = MT_MIN(y0 + p->tile_h, p->height);
    for (int64_t sy = y0; sy < y1; sy++)
        for (int64_t sx = x0; sx < x1; sx++) {
            int64_t x, y;
            mt_tiff_turn(&x, &y, p->turn, p->width, p->height, sx, sy);
            if (x < shown->x0 || y < shown->y0 || x >= shown->x1 || y >= shown->y1) continue;
            const uint8_t *from = tile + 3 * ((sy - y0) * p->tile_w + sx - x0);
            memcpy(rgb + (size_t)(y - shown->y0) * stride + 3 * (size_t)(x - shown->x0), from, 3);
        }
}

/* The stored tiles that are seen within `shown`: first and last. */
static void tiles_seen(rect *out, const rect *shown, const mt_tiff_picture *p)
{
    mt_tiff_picture q;
    mt_tiff_picture_shown(&q, p);
    const unsigned back = mt_tiff_turn_back(p->turn);
    int64_t ax, ay, bx, by;
    mt_tiff_turn(&ax, &ay, back, q.width, q.height, shown->x0, shown->y0);
    mt_tiff_turn(&bx, &by, back, q.width, q.height, MT_MIN(shown->x1, q.width) - 1,
                 MT_MIN(shown->y1, q.height) - 1);
    *out = (rect){MT_MIN(ax, bx) / p->tile_w, MT_MIN(ay, by) / p->tile_h,
                  MT_MAX(ax, bx) / p->tile_w, MT_MAX(ay, by) / p->tile_h};
}

typedef struct stored {
    reader *r;
    const mt_tiff_slide *ts;
    const mt_tiff_picture *p;
    int64_t tx, ty;
} stored;

static mt_status fill_stored(uint8_t *pixels, void *ctx, mt_err *err)
{
    const stored *k = ctx;
    bool absent = false;
    mt_status st = decode_stored(&absent, k->r, &k->ts->tiff, k->p, k->tx, k->ty, 1, pixels,
                                 3 * (size_t)k->p->tile_w, NULL, err);
    if (st == MT_OK) st = mt_map_check(&k->ts->map, err); /* zeros of a fault are not kept */
    if (st != MT_OK) mt_err_context(err, "part %lld,%lld", (long long)k->tx, (long long)k->ty);
    return st;
}

/* Levels keep the stored tiles, which are seen in up to four shown ones; an image beside the slide is
 * drawn once. */
static mt_status draw_part(uint8_t *rgb, size_t stride, const rect *shown, stored *k, bool keep,
                           mt_err *err)
{
    const mt_tiff_picture *p = k->p;
    const size_t bytes = 3 * (size_t)p->tile_w * (size_t)p->tile_h;
    if (!keep) {
        MT_TRY(mt_room_need(&k->r->tile, bytes, "tile", err));
        MT_TRY(fill_stored(k->r->tile.p, k, err));
        turn_tile(rgb, stride, shown, p, k->r->tile.p, k->tx, k->ty);
        return MT_OK;
    }
    const mt_kept_key key = {(uint64_t)p->number, (uint64_t)(k->ty * p->tiles_x + k->tx)};
    const uint8_t *tile;
    MT_TRY(mt_kept_take(&tile, k->ts->stored, key, bytes, fill_stored, k, err));
    turn_tile(rgb, stride, shown, p, tile, k->tx, k->ty);
    mt_kept_give(k->ts->stored, tile);
    return MT_OK;
}

/* A rectangle of the picture as shown, drawn from the stored tiles; white where there is none. */
static mt_status draw_turned(reader *r, const mt_tiff_slide *ts, const mt_tiff_picture *p, bool keep,
                             const rect *shown, uint8_t *rgb, size_t stride, mt_err *err)
{
    fill_white(rgb, stride, 0, (int32_t)(shown->y1 - shown->y0),
               3 * (size_t)(shown->x1 - shown->x0));
    rect tiles;
    tiles_seen(&tiles, shown, p);
    for (int64_t ty = tiles.y0; ty <= tiles.y1; ty++)
        for (int64_t tx = tiles.x0; tx <= tiles.x1; tx++) {
            stored k = {r, ts, p, tx, ty};
            MT_TRY(draw_part(rgb, stride, shown, &k, keep, err));
        }
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
    const size_t bytes = 4 * sizeof(uint32_t) * (size_t)k->w * (size_t)k->h;
    MT_TRY(mt_room_need(&r->tile, 3 * (size_t)fine->tile_w * (size_t)fine->tile_h, "tile", err));
    MT_TRY(mt_room_need(&r->sums, bytes, "sums", err));
    memset(r->sums.p, 0, bytes);
    return MT_OK;
}

static uint32_t *sum_at(const reader *r, const shrink *k, int64_t x, int64_t y)
{
    return (uint32_t *)(void *)r->sums.p + 4 * (y * k->w + x);
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
            uint32_t *sum = sum_at(r, k, (int64_t)dx, (int64_t)dy);
            const uint8_t *p = r->tile.p + 3 * ((size_t)j * (size_t)fine->tile_w + (size_t)i);
            for (int c = 0; c < 3; c++) sum[c] += p[c];
            sum[3]++;
        }
    }
}

static void shrink_write(const reader *r, const shrink *k, uint8_t *rgb, size_t stride)
{
    for (int32_t y = 0; y < k->h; y++)
        for (int32_t x = 0; x < k->w; x++) {
            const uint32_t *sum = sum_at(r, k, x, y);
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
                      (double)(ty * p->tile_h) * step, mt_slide_reduced(p->tile_w, scale),
                      mt_slide_reduced(p->tile_h, scale)};
    MT_TRY(shrink_rooms(r, &k, fine, err));
    const int64_t first_x = (int64_t)(k.x0 / fine->tile_w),
                  first_y = (int64_t)(k.y0 / fine->tile_h);
    for (int64_t fy = first_y;
         fy < fine->tiles_y && (double)(fy * fine->tile_h) < k.y0 + k.h * k.step; fy++)
        for (int64_t fx = first_x;
             fx < fine->tiles_x && (double)(fx * fine->tile_w) < k.x0 + k.w * k.step; fx++) {
            bool absent = false;
            MT_TRY(decode_stored(&absent, r, &ts->tiff, fine, fx, fy, 1, r->tile.p,
                                 3 * (size_t)fine->tile_w, NULL, err));
            shrink_add(r, &k, fine, fx, fy);
        }
    shrink_write(r, &k, rgb, stride);
    *drawn = true;
    return MT_OK;
}

static mt_status draw_turned_tile(reader *r, const mt_slide *s, int level, int64_t tx, int64_t ty,
                                  int scale, uint8_t *rgb, size_t stride, mt_err *err)
{
    const mt_tiff_slide *ts = s->impl;
    const int64_t w = s->info.levels[level].tile_w, h = s->info.levels[level].tile_h;
    const rect shown = {tx * w, ty * h, (tx + 1) * w, (ty + 1) * h};
    if (scale != 1)
        return mt_err_set(err, MT_ERR_ARG, "a turned picture cannot be decoded at 1/%d", scale);
    return draw_turned(r, ts, &ts->levels[level], true, &shown, rgb, stride, err);
}

static mt_status decode_tile(bool *absent, reader *r, const mt_slide *s, int level, int64_t tx,
                             int64_t ty, int scale, uint8_t *rgb, size_t stride,
                             const mt_row_sink *sink, mt_err *err)
{
    const mt_tiff_slide *ts = s->impl;
    const mt_tiff_picture *p = &ts->levels[level];
    const bool turned = p->turn != 1, maybe_drawn = ts->missing_from_finer && level > 0;
    const int32_t rows = mt_slide_reduced(s->info.levels[level].tile_h, scale);
    if (turned) {
        MT_TRY(draw_turned_tile(r, s, level, tx, ty, scale, rgb, stride, err));
    } else if (maybe_drawn) { /* who takes rows takes them once: not before it is known whose */
        mt_codec_span streams[4];
        size_t bytes = 1;
        bool drawn = false;
        if (!p->by_libtiff)
            MT_TRY(find_streams(streams, &bytes, &ts->tiff, p, (uint64_t)(ty * p->tiles_x + tx), err));
        if (!bytes) MT_TRY(draw_from_finer(&drawn, r, s, level, tx, ty, scale, rgb, stride, err));
        *absent = !bytes;
        if (!drawn)
            return decode_stored(absent, r, &ts->tiff, p, tx, ty, scale, rgb, stride, sink, err);
    } else {
        return decode_stored(absent, r, &ts->tiff, p, tx, ty, scale, rgb, stride, sink, err);
    }
    if (sink) sink->rows(sink->ctx, rgb, stride, 0, rows);
    return MT_OK;
}

static mt_status decode_rows(void *state, const mt_slide *s, int level, int64_t tx, int64_t ty,
                             int scale, uint8_t *rgb, size_t stride, const mt_row_sink *sink,
                             mt_err *err)
{
    const mt_tiff_slide *ts = s->impl;
    mt_err why = MT_ERR_INIT;
    bool absent = false;
    mt_status st = decode_tile(&absent, state, s, level, tx, ty, scale, rgb, stride, sink, &why);
    /* Damaged or absent: only now is it worth asking whether the file is still what it was. */
    if (mt_map_faulted(&ts->map) || st != MT_OK || absent) MT_TRY(check(s, err));
    if (st == MT_OK) return MT_OK;
    return mt_err_set(err, st, "level %d: tile %lld,%lld: %s", level, (long long)tx, (long long)ty,
                      why.text);
}

static mt_status decode(void *state, const mt_slide *s, int level, int64_t tx, int64_t ty,
                        int scale, uint8_t *rgb, size_t stride, mt_err *err)
{
    return decode_rows(state, s, level, tx, ty, scale, rgb, stride, NULL, err);
}

static int max_reduce(const mt_slide *s, int level)
{
    const mt_tiff_slide *ts = s->impl;
    const mt_tiff_picture *p = &ts->levels[level];
    if (!mt_codec_scales(p->coding.codec) || p->turn != 1 || p->by_libtiff) return 1;
    return mt_slide_reduce_of(p->tile_w, p->tile_h);
}

/* ---- associated images ---- */

static mt_status associated(uint8_t *rgb, const mt_slide *s, int i, mt_err *err)
{
    const mt_tiff_slide *ts = s->impl;
    const mt_associated *a = &s->info.associated[i];
    const rect all = {0, 0, a->width, a->height};
    void *state = NULL;
    mt_err why = MT_ERR_INIT;
    MT_TRY(mt_stored_open(&state, s, err));
    mt_status st = draw_turned(state, ts, &ts->associated[i], false, &all, rgb,
                               3 * (size_t)a->width, &why);
    mt_stored_close(state);
    MT_TRY(check(s, err));
    return st == MT_OK ? MT_OK : mt_err_set(err, st, "%s image: %s", a->name, why.text);
}

/* ---- building ---- */

static void close_slide(mt_slide *s)
{
    mt_tiff_slide *ts = s->impl;
    for (int i = 0; i < MT_MAX_ASSOCIATED; i++) free(ts->kept[i]);
    free(ts->more);
    mt_kept_free(&ts->stored);
    mt_tiff_free(&ts->tiff);
    mt_map_close(&ts->map);
    free(ts);
    s->impl = NULL;
}

static const mt_slide_ops tiff_ops = {
    span, mt_stored_open, mt_stored_close, decode, associated, max_reduce, check, close_slide, decode_rows,
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
    p->map = (mt_map)MT_MAP_INIT;
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

/* False when there is no room for an image of this name. */
static bool may_add(const mt_slide_info *info, const char *name, size_t n_name)
{
    if (!n_name || n_name >= sizeof info->associated[0].name ||
        info->n_associated == MT_MAX_ASSOCIATED)
        return false;
    for (int i = 0; i < info->n_associated; i++)
        if (strlen(info->associated[i].name) == n_name &&
            !memcmp(info->associated[i].name, name, n_name))
            return false;
    return true;
}

/* What cannot be read is left out with a word. */
static mt_status make_associated(mt_tiff_picture *out, const mt_tiff *t, int dir, mt_err *err)
{
    MT_TRY(mt_tiff_picture_make(out, t, dir, err));
    if ((uint64_t)out->width * (uint64_t)out->height > MT_CODEC_MAX_PIXELS)
        return mt_err_set(err, MT_ERR_LIMIT, "IFD %d: %lld x %lld pixels, at most %zu are read", dir,
                          (long long)out->width, (long long)out->height, MT_CODEC_MAX_PIXELS);
    return MT_OK;
}

void mt_tiff_slide_add_associated(mt_slide *s, int dir, const char *name, size_t n_name)
{
    mt_tiff_slide *ts = s->impl;
    mt_slide_info *info = &s->info;
    mt_tiff_picture p;
    mt_err why = MT_ERR_INIT;
    if (!may_add(info, name, n_name)) return;
    mt_associated a = {.name = ""};
    memcpy(a.name, name, n_name);
    if (make_associated(&p, &ts->tiff, dir, &why) != MT_OK) {
        mt_slide_warn_associated(info, a.name, &why);
        return;
    }
    ts->associated[info->n_associated] = p;
    mt_tiff_picture_shown(&p, &p);
    a.width = p.width;
    a.height = p.height;
    info->associated[info->n_associated++] = a;
}

/* Sides and components by the stream's own frame header; false when it has none. */
static bool jpeg_frame(int32_t *w, int32_t *h, int *samples, const uint8_t *p, size_t n)
{
    size_t i = 2;
    while (n >= 4 && i <= n - 4 && p[0] == 0xff && p[1] == 0xd8 && p[i] == 0xff) {
        const unsigned marker = p[i + 1], len = (unsigned)(p[i + 2] << 8 | p[i + 3]);
        if (marker >= 0xc0 && marker <= 0xc2 && n - i >= 10) {
            *h = p[i + 5] << 8 | p[i + 6];
            *w = p[i + 7] << 8 | p[i + 8];
            *samples = p[i + 9];
            return *w > 0 && *h > 0 && *w <= MT_CODEC_MAX_SIDE && *h <= MT_CODEC_MAX_SIDE;
        }
        if (len < 2) return false;
        i += 2 + len;
    }
    return false;
}

void mt_tiff_slide_add_jpeg(mt_slide *s, uint8_t *jpeg, size_t n, const char *name)
{
    mt_tiff_slide *ts = s->impl;
    mt_slide_info *info = &s->info;
    int32_t w = 0, h = 0;
    int samples = 0;
    if (!may_add(info, name, strlen(name))) {
        free(jpeg);
        return;
    }
    if (!jpeg_frame(&w, &h, &samples, jpeg, n) || (samples != 1 && samples != 3) ||
        (size_t)w * (size_t)h > MT_CODEC_MAX_PIXELS) {
        mt_err why = MT_ERR_INIT;
        (void)mt_err_set(&why, MT_ERR_FORMAT, "no JPEG of grey or colour and up to %zu pixels in the "
                         "description", MT_CODEC_MAX_PIXELS);
        mt_slide_warn_associated(info, name, &why);
        free(jpeg);
        return;
    }
    const int i = info->n_associated++;
    ts->kept[i] = jpeg;
    ts->associated[i] = (mt_tiff_picture){
        .dir = &ts->tiff.dirs[0],
        .width = w,
        .height = h,
        .tiles_x = 1,
        .tiles_y = 1,
        .tile_w = w,
        .tile_h = h,
        .coding = {.codec = MT_CODEC_JPEG,
                   .colour = samples == 1 ? MT_COLOUR_GREY : MT_COLOUR_YCBCR,
                   .samples = samples},
        .streams = 1,
        .turn = 1,
        .own = jpeg,
        .n_own = n};
    snprintf(info->associated[i].name, sizeof info->associated[i].name, "%s", name);
    info->associated[i].width = w;
    info->associated[i].height = h;
}

bool mt_tiff_slide_crop(mt_slide *s, int dir, int64_t width, int64_t height)
{
    mt_tiff_slide *ts = s->impl;
    for (int i = 0; i < s->info.n_levels; i++) {
        mt_tiff_picture *p = &ts->levels[i];
        if (p->number != dir || p->turn != 1) continue;
        if (width < 1 || height < 1 || width > p->width || height > p->height) return false;
        p->width = width;
        p->height = height;
        return true;
    }
    return false;
}

/* The first tile there is speaks for its level. */
static void describe(mt_slide_info *info, int level, const mt_tiff *t, const mt_tiff_picture *p)
{
    enum { LOOK = 64 };
    char warning[sizeof info->warnings[0]] = "";
    mt_tile_span tile = {NULL, 0};
    if (p->by_libtiff) {
        snprintf(info->levels[level].colour, sizeof info->levels[level].colour, "by libtiff");
        return;
    }
    const uint64_t n = MT_MIN((uint64_t)p->tiles_x * (uint64_t)p->tiles_y, (uint64_t)LOOK);
    for (uint64_t i = 0; i < n && !tile.size; i++)
        if (mt_tiff_picture_stream(&tile, t, p, i, 0, NULL) != MT_OK) tile.size = 0;
    mt_codec_describe(info->levels[level].colour, warning, &p->coding, tile.data, tile.size);
    if (warning[0] && level == 0) mt_slide_warn(info, "%s", warning);
}

mt_status mt_tiff_slide_finish(mt_slide *s, mt_err *err)
{
    mt_tiff_slide *ts = s->impl;
    mt_slide_info *info = &s->info;
    int n = 0;
    for (int i = 0; i < info->n_levels; i++) {
        const mt_tiff_picture *p = &ts->levels[i];
        const mt_tiff_picture *first = &ts->levels[0];
        if (i > 0 && (p->width == ts->levels[n - 1].width ||
                      !mt_slide_same_proportions(first->width, first->height, p->width, p->height)))
            continue;
        if (i > 0 && p->turn != ts->levels[0].turn) {
            mt_slide_warn(info, "IFD %d has orientation %u, level 0 has %u: left out", p->number,
                          p->turn, ts->levels[0].turn);
            continue;
        }
        ts->levels[n++] = *p;
    }
    info->n_levels = n;
    if (!n)
        return mt_err_set(err, MT_ERR_UNSUPPORTED,
                          "no directory of this TIFF file is a slide level");
    for (int i = 0; i < n; i++) {
        mt_tiff_picture p;
        mt_level *l = &info->levels[i];
        mt_tiff_picture_shown(&p, &ts->levels[i]);
        l->width = p.width;
        l->height = p.height;
        l->tile_w = p.tile_w;
        l->tile_h = p.tile_h;
        snprintf(l->codec, sizeof l->codec, "%s",
                 p.by_libtiff ? "ojpeg" : mt_codec_name(p.coding.codec));
        describe(info, i, &ts->tiff, &ts->levels[i]);
    }
    mt_slide_finish_levels(info);
    if (ts->levels[0].turn != 1) MT_TRY(mt_kept_new(&ts->stored, MT_KEPT_BYTES, err));
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
