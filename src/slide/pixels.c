/* The two doors to pixels that every format shares: tile readers, and regions made of tiles. */
#include <pthread.h>
#include <string.h>
#include "codec/codec.h"
#include "slide/format.h"
#include "slide/pool.h"
#include "slide/stored.h"

struct mt_tile_reader {
    const mt_slide *slide;
    void *state;        /* of the format */
    mt_room tile;       /* of region calls */
};

static mt_status check_tile(const mt_slide *s, int level, int64_t tx, int64_t ty, mt_err *err)
{
    if (level < 0 || level >= s->info.n_levels)
        return mt_err_set(err, MT_ERR_ARG, "level %d of %d", level, s->info.n_levels);
    const mt_level *l = &s->info.levels[level];
    if (tx < 0 || ty < 0 || tx >= l->tiles_x || ty >= l->tiles_y)
        return mt_err_set(err, MT_ERR_ARG, "level %d: tile %lld,%lld of a grid of %lld x %lld",
                          level, (long long)tx, (long long)ty, (long long)l->tiles_x,
                          (long long)l->tiles_y);
    return MT_OK;
}

mt_status mt_slide_tile_span(mt_tile_span *out, const mt_slide *s, int level, int64_t tx,
                             int64_t ty, mt_err *err)
{
    *out = (mt_tile_span){NULL, 0};
    if (!s->ops->span)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "%s has no native tiles", s->info.format);
    MT_TRY(check_tile(s, level, tx, ty, err));
    mt_status st = s->ops->span(out, s, level, tx, ty, err);
    if (st != MT_OK)
        mt_err_context(err, "level %d: tile %lld,%lld", level, (long long)tx, (long long)ty);
    return st;
}

mt_status mt_tile_reader_new(mt_tile_reader **out, const mt_slide *s, mt_err *err)
{
    mt_tile_reader *r = NULL;
    *out = NULL;
    MT_TRY(mt_alloc(&r, 1, sizeof *r, sizeof *r, "tile reader", err));
    r->slide = s;
    mt_status st = s->ops->reader_open(&r->state, s, err);
    if (st != MT_OK) mt_tile_reader_free(&r);
    *out = r;
    return st;
}

void mt_tile_reader_free(mt_tile_reader **reader)
{
    if (!reader || !*reader) return;
    mt_tile_reader *r = *reader;
    if (r->state) r->slide->ops->reader_close(r->state);
    free(r->tile.p);
    free(r);
    *reader = NULL;
}

static mt_status check_decode(const mt_tile_reader *r, int level, int64_t tx, int64_t ty,
                              int scale_denom, size_t stride, mt_err *err)
{
    MT_TRY(check_tile(r->slide, level, tx, ty, err));
    if (scale_denom != 1 && scale_denom != 2 && scale_denom != 4 && scale_denom != 8)
        return mt_err_set(err, MT_ERR_ARG, "scale 1/%d is none of 1, 1/2, 1/4, 1/8", scale_denom);
    const size_t w = ((size_t)r->slide->info.levels[level].tile_w + (size_t)scale_denom - 1) /
                     (size_t)scale_denom;
    if (stride < 3 * w)
        return mt_err_set(err, MT_ERR_ARG, "stride of %zu bytes for %zu pixels", stride, w);
    return MT_OK;
}

/* True when the tile lies outside of what was scanned, with a pixel to spare for coarse levels, whose
 * pixels reach over the border. Huge empty canvases cost nothing. */
static bool beyond_bounds(const mt_slide *s, int level, int64_t tx, int64_t ty)
{
    const mt_slide_info *i = &s->info;
    const mt_level *l = &i->levels[level];
    const double d = l->downsample, x0 = (double)(tx * l->tile_w) * d, y0 = (double)(ty * l->tile_h) * d,
                 x1 = x0 + l->tile_w * d, y1 = y0 + l->tile_h * d;
    if (i->bounds_w <= 0) return false;
    return x1 < (double)i->bounds_x - d || y1 < (double)i->bounds_y - d ||
           x0 > (double)(i->bounds_x + i->bounds_w) + d || y0 > (double)(i->bounds_y + i->bounds_h) + d;
}

static void white_tile(const mt_slide *s, int level, int scale, uint8_t *rgb, size_t stride)
{
    const mt_level *l = &s->info.levels[level];
    const int32_t w = (l->tile_w + scale - 1) / scale, h = (l->tile_h + scale - 1) / scale;
    for (int32_t y = 0; y < h; y++) memset(rgb + (size_t)y * stride, 255, 3 * (size_t)w);
}

mt_status mt_tile_reader_decode(mt_tile_reader *r, int level, int64_t tx, int64_t ty,
                                int scale_denom, uint8_t *rgb, size_t stride, mt_err *err)
{
    MT_TRY(check_decode(r, level, tx, ty, scale_denom, stride, err));
    if (beyond_bounds(r->slide, level, tx, ty)) {
        white_tile(r->slide, level, scale_denom, rgb, stride);
        return MT_OK;
    }
    return r->slide->ops->decode(r->state, r->slide, level, tx, ty, scale_denom, rgb, stride, err);
}

mt_status mt_tile_reader_decode_rows(mt_tile_reader *r, int level, int64_t tx, int64_t ty,
                                     int scale_denom, uint8_t *rgb, size_t stride,
                                     const mt_row_sink *sink, mt_err *err)
{
    const mt_slide_ops *ops = r->slide->ops;
    MT_TRY(check_decode(r, level, tx, ty, scale_denom, stride, err));
    const bool blank = beyond_bounds(r->slide, level, tx, ty);
    if (ops->decode_rows && !blank)
        return ops->decode_rows(r->state, r->slide, level, tx, ty, scale_denom, rgb, stride, sink,
                                err);
    if (blank) white_tile(r->slide, level, scale_denom, rgb, stride);
    else MT_TRY(ops->decode(r->state, r->slide, level, tx, ty, scale_denom, rgb, stride, err));
    const int32_t h = r->slide->info.levels[level].tile_h;
    sink->rows(sink->ctx, rgb, stride, 0, (h + scale_denom - 1) / scale_denom);
    return MT_OK;
}

int mt_slide_max_reduce(const mt_slide *s, int level)
{
    return level >= 0 && level < s->info.n_levels ? s->ops->max_reduce(s, level) : 1;
}

/* ---- regions ---- */

typedef struct box { int64_t x0, y0, x1, y1; } box;

/* Part of a tile, in level pixels, into its place of the region. */
static mt_status paint_tile(mt_tile_reader *r, int level, int64_t tx, int64_t ty, const box *want,
                            uint8_t *rgb, size_t stride, mt_err *err)
{
    const mt_level *l = &r->slide->info.levels[level];
    const int64_t x = tx * l->tile_w, y = ty * l->tile_h;
    const box b = {MT_MAX(want->x0, x), MT_MAX(want->y0, y), MT_MIN(want->x1, x + l->tile_w),
                   MT_MIN(want->y1, y + l->tile_h)};
    if (b.x1 - b.x0 == l->tile_w && b.y1 - b.y0 == l->tile_h)
        return mt_tile_reader_decode(r, level, tx, ty, 1, rgb, stride, err);
    const size_t tile_stride = 3 * (size_t)l->tile_w, bytes = tile_stride * (size_t)l->tile_h;
    MT_TRY(mt_room_need(&r->tile, bytes, "tile", err));
    MT_TRY(mt_tile_reader_decode(r, level, tx, ty, 1, r->tile.p, tile_stride, err));
    const uint8_t *from = r->tile.p + (size_t)(b.y0 - y) * tile_stride + 3 * (size_t)(b.x0 - x);
    for (int64_t row = 0; row < b.y1 - b.y0; row++)
        memcpy(rgb + (size_t)row * stride, from + (size_t)row * tile_stride,
               3 * (size_t)(b.x1 - b.x0));
    return MT_OK;
}

/* What of the region lies outside the level is white. */
static void paint_outside(uint8_t *rgb, size_t stride, const box *region, const box *in)
{
    for (int64_t y = region->y0; y < region->y1; y++) {
        uint8_t *row = rgb + (size_t)(y - region->y0) * stride;
        if (y < in->y0 || y >= in->y1 || in->x0 >= in->x1) {
            memset(row, 255, 3 * (size_t)(region->x1 - region->x0));
            continue;
        }
        memset(row, 255, 3 * (size_t)(in->x0 - region->x0));
        memset(row + 3 * (size_t)(in->x1 - region->x0), 255, 3 * (size_t)(region->x1 - in->x1));
    }
}

static mt_status read_tiles(mt_tile_reader *r, int level, const box *region, const box *in,
                            uint8_t *rgb, size_t stride, mt_err *err)
{
    const mt_level *l = &r->slide->info.levels[level];
    for (int64_t ty = in->y0 / l->tile_h; ty * l->tile_h < in->y1; ty++)
        for (int64_t tx = in->x0 / l->tile_w; tx * l->tile_w < in->x1; tx++) {
            const int64_t x = MT_MAX(in->x0, tx * l->tile_w), y = MT_MAX(in->y0, ty * l->tile_h);
            uint8_t *to = rgb + (size_t)(y - region->y0) * stride + 3 * (size_t)(x - region->x0);
            MT_TRY(paint_tile(r, level, tx, ty, in, to, stride, err));
        }
    return MT_OK;
}

mt_status mt_slide_read_region(const mt_slide *s, int level, int64_t x, int64_t y, int32_t w,
                               int32_t h, uint8_t *rgb, size_t stride, mt_err *err)
{
    if (level < 0 || level >= s->info.n_levels)
        return mt_err_set(err, MT_ERR_ARG, "level %d of %d", level, s->info.n_levels);
    if (w < 1 || h < 1 || w > 65535 || h > 65535 || stride < 3 * (size_t)w)
        return mt_err_set(err, MT_ERR_ARG, "region of %d x %d pixels in rows of %zu bytes", w, h,
                          stride);
    const mt_level *l = &s->info.levels[level];
    /* Far outside is as white as just outside, and its sums do not overflow. */
    const int64_t far = (int64_t)1 << 40;
    x = MT_MAX(-far, MT_MIN(x, far));
    y = MT_MAX(-far, MT_MIN(y, far));
    const box region = {x, y, x + w, y + h};
    box in = {MT_MAX(x, 0), MT_MAX(y, 0), MT_MIN(x + w, l->width), MT_MIN(y + h, l->height)};
    if (in.x0 >= in.x1 || in.y0 >= in.y1) in = (box){x, y, x, y};
    paint_outside(rgb, stride, &region, &in);
    if (in.x0 == in.x1) return MT_OK;
    mt_tile_reader *r = NULL;
    MT_TRY(mt_reader_pool_take(&r, s->pool, s, err));
    mt_status st = read_tiles(r, level, &region, &in, rgb, stride, err);
    mt_reader_pool_put(s->pool, r);
    return st;
}

mt_status mt_slide_read_associated(uint8_t **rgb, int64_t *w, int64_t *h, const mt_slide *s,
                                   const char *name, mt_err *err)
{
    *rgb = NULL;
    for (int i = 0; i < s->info.n_associated; i++) {
        const mt_associated *a = &s->info.associated[i];
        if (strcmp(a->name, name)) continue;
        MT_AUTO_FREE uint8_t *p = NULL;
        MT_TRY(mt_alloc(&p, (size_t)a->width * (size_t)a->height, 3, 3 * MT_CODEC_MAX_PIXELS,
                        a->name, err));
        MT_TRY(s->ops->associated(p, s, i, err));
        *w = a->width;
        *h = a->height;
        *rgb = mt_steal(p);
        return MT_OK;
    }
    return mt_err_set(err, MT_ERR_NOT_FOUND, "the slide has no %.31s image", name);
}

/* ---- pool ---- */

enum { POOL_IDLE = 16, KEEP_BYTES = 1 << 22 };

struct mt_reader_pool {
    pthread_mutex_t lock;
    mt_tile_reader *idle[POOL_IDLE];
    int n;
};

mt_status mt_reader_pool_new(mt_reader_pool **out, mt_err *err)
{
    MT_TRY(mt_alloc(out, 1, sizeof **out, sizeof **out, "reader pool", err));
    pthread_mutex_init(&(*out)->lock, NULL);
    return MT_OK;
}

void mt_reader_pool_free(mt_reader_pool **pool)
{
    if (!*pool) return;
    while ((*pool)->n) mt_tile_reader_free(&(*pool)->idle[--(*pool)->n]);
    pthread_mutex_destroy(&(*pool)->lock);
    free(*pool);
    *pool = NULL;
}

mt_status mt_reader_pool_take(mt_tile_reader **out, mt_reader_pool *pool, const mt_slide *slide,
                              mt_err *err)
{
    *out = NULL;
    pthread_mutex_lock(&pool->lock);
    if (pool->n) *out = pool->idle[--pool->n];
    pthread_mutex_unlock(&pool->lock);
    return *out ? MT_OK : mt_tile_reader_new(out, slide, err);
}

void mt_reader_pool_put(mt_reader_pool *pool, mt_tile_reader *reader)
{
    if (reader->tile.bytes > KEEP_BYTES) { /* strips of huge flat files */
        free(reader->tile.p);
        reader->tile = (mt_room){NULL, 0};
    }
    pthread_mutex_lock(&pool->lock);
    if (pool->n < POOL_IDLE) {
        pool->idle[pool->n++] = reader;
        reader = NULL;
    }
    pthread_mutex_unlock(&pool->lock);
    mt_tile_reader_free(&reader);
}
