/* A slide that lives in memory and misbehaves on request. The program that includes this supplies
 * the slide room itself, so no file format comes between the test and the tiles room. */
#ifndef FAKE_SLIDE_H
#define FAKE_SLIDE_H

#include <math.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "codec/codec.h"
#include "slide/slide.h"
#include "tests/support/support.h"

struct mt_slide {
    mt_slide_info info;
    uint8_t *px[MT_MAX_LEVELS];          /* whole levels, tight rows */
    _Atomic int *decodes[MT_MAX_LEVELS]; /* per native tile */
    int max_reduce;
    int64_t bad_tx, bad_ty; /* a tile that will not decode; -1 none */
    mt_status bad_status;
    int jitter;        /* shuffles the threads */
    _Atomic int fault; /* mt_slide_check fails */
    bool samples;      /* tiles have samples, in RGB planes... */
    int rgb_every;     /* ...but for one in so many; 0: all */
};

struct mt_tile_reader {
    const mt_slide *slide;
    unsigned seed;
};

static uint8_t *fake_px(const mt_slide *s, int level, int64_t x, int64_t y)
{
    return s->px[level] + ((size_t)y * (size_t)s->info.levels[level].width + (size_t)x) * 3;
}

static void fake_level(mt_slide *s, int i, int64_t w, int64_t h, double ds, int32_t tw, int32_t th)
{
    mt_level *l = &s->info.levels[i];
    *l = (mt_level){.width = w,
                    .height = h,
                    .downsample = ds,
                    .tile_w = tw,
                    .tile_h = th,
                    .tiles_x = (w + tw - 1) / tw,
                    .tiles_y = (h + th - 1) / th};
    strcpy(l->codec, "raw");
    s->px[i] = malloc((size_t)w * (size_t)h * 3);
    s->decodes[i] = calloc((size_t)(l->tiles_x * l->tiles_y), sizeof **s->decodes);
    assert_non_null(s->px[i]);
    assert_non_null(s->decodes[i]);
    if (s->info.n_levels <= i) s->info.n_levels = i + 1;
}

/* Every pixel different from its neighbours, and smooth enough to show a shift of half a pixel. */
__attribute__((unused)) static void fake_paint(mt_slide *s)
{
    for (int i = 0; i < s->info.n_levels; i++)
        for (int64_t y = 0; y < s->info.levels[i].height; y++)
            for (int64_t x = 0; x < s->info.levels[i].width; x++) {
                uint8_t *p = fake_px(s, i, x, y);
                uint32_t h = (uint32_t)(x * 73856093 ^ y * 19349663 ^ i * 83492791);
                p[0] = (uint8_t)(x * 3 + i);
                p[1] = (uint8_t)(y * 5 + i * 7);
                p[2] = (uint8_t)((h >> 13) ^ (h >> 5));
            }
}

/* Level i as the mean of n x n pixels of level 0; a rest is dropped, as scanners do. */
__attribute__((unused)) static void fake_reduce(mt_slide *s, int i, int n, int32_t tile)
{
    const mt_level *base = &s->info.levels[0];
    fake_level(s, i, base->width / n, base->height / n,
               ((double)base->width / (double)(base->width / n) +
                (double)base->height / (double)(base->height / n)) /
                   2,
               tile, tile);
    for (int64_t y = 0; y < s->info.levels[i].height; y++)
        for (int64_t x = 0; x < s->info.levels[i].width; x++)
            for (int c = 0; c < 3; c++) {
                unsigned sum = (unsigned)(n * n / 2);
                for (int v = 0; v < n; v++)
                    for (int u = 0; u < n; u++)
                        sum += fake_px(s, 0, x * n + u, y * n + v)[c];
                fake_px(s, i, x, y)[c] = (uint8_t)(sum / (unsigned)(n * n));
            }
}

static mt_slide *fake_new(double mpp)
{
    mt_slide *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->info.mpp_x = s->info.mpp_y = mpp;
    strcpy(s->info.mpp_source, mpp > 0 ? "fake.MPP" : "");
    s->max_reduce = 1;
    s->bad_tx = s->bad_ty = -1;
    return s;
}

void mt_slide_close(mt_slide **slide)
{
    if (!slide || !*slide) return;
    for (int i = 0; i < MT_MAX_LEVELS; i++) {
        free((*slide)->px[i]);
        free((*slide)->decodes[i]);
    }
    free(*slide);
    *slide = NULL;
}

const mt_slide_info *mt_slide_get_info(const mt_slide *slide)
{
    return &slide->info;
}

mt_status mt_slide_mpp(double *out, const mt_slide *slide, mt_err *err)
{
    *out = (slide->info.mpp_x + slide->info.mpp_y) / 2;
    return *out > 0 ? MT_OK : mt_err_set(err, MT_ERR_SPACING, "no spacing");
}

int mt_slide_level_for(const mt_slide *slide, double downsample)
{
    int best = 0;
    for (int i = 1; i < slide->info.n_levels; i++)
        if (slide->info.levels[i].downsample <= downsample * 1.01 &&
            slide->info.levels[i].downsample > slide->info.levels[best].downsample)
            best = i;
    return best;
}

int mt_slide_max_reduce(const mt_slide *slide, int level)
{
    return slide->max_reduce;
}

mt_status mt_slide_check(const mt_slide *slide, mt_err *err)
{
    return atomic_load(&slide->fault) ? mt_err_set(err, MT_ERR_IO, "read fault") : MT_OK;
}

mt_status mt_slide_tile_span(mt_tile_span *out, const mt_slide *slide, int level, int64_t tx,
                             int64_t ty, mt_err *err)
{
    *out = (mt_tile_span){slide->px[level], 100};
    return MT_OK;
}

mt_status mt_slide_read_region(const mt_slide *s, int level, int64_t x, int64_t y, int32_t w,
                               int32_t h, uint8_t *rgb, size_t stride, mt_err *err)
{
    const mt_level *l = &s->info.levels[level];
    for (int32_t r = 0; r < h; r++)
        for (int32_t c = 0; c < w; c++) {
            bool in = x + c >= 0 && x + c < l->width && y + r >= 0 && y + r < l->height;
            if (in)
                memcpy(rgb + (size_t)r * stride + (size_t)c * 3, fake_px(s, level, x + c, y + r),
                       3);
            else
                memset(rgb + (size_t)r * stride + (size_t)c * 3, 255, 3);
        }
    return MT_OK;
}

mt_status mt_tile_reader_new(mt_tile_reader **out, const mt_slide *slide, mt_err *err)
{
    *out = calloc(1, sizeof **out);
    (*out)->slide = slide;
    (*out)->seed = (unsigned)(uintptr_t)*out;
    return MT_OK;
}

void mt_tile_reader_free(mt_tile_reader **reader)
{
    free(*reader);
    *reader = NULL;
}

mt_status mt_tile_reader_decode(mt_tile_reader *reader, int level, int64_t tx, int64_t ty,
                                int scale, uint8_t *rgb, size_t stride, mt_err *err)
{
    const mt_slide *s = reader->slide;
    const mt_level *l = &s->info.levels[level];
    assert_true(tx >= 0 && tx < l->tiles_x && ty >= 0 && ty < l->tiles_y && scale <= s->max_reduce);
    atomic_fetch_add(&s->decodes[level][ty * l->tiles_x + tx], 1);
    if (s->jitter)
        for (int i = rand_r(&reader->seed) % 4; i > 0; i--)
            sched_yield();
    if (tx == s->bad_tx && ty == s->bad_ty)
        return mt_err_set(err, s->bad_status, "tile %d,%d is bad", (int)tx, (int)ty);
    for (int32_t y = 0; y < l->tile_h / scale; y++)
        for (int32_t x = 0; x < l->tile_w / scale; x++) {
            int64_t px = tx * l->tile_w + x * scale, py = ty * l->tile_h + y * scale;
            uint8_t *d = rgb + (size_t)y * stride + (size_t)x * 3;
            if (px + scale > l->width || py + scale > l->height) {
                memset(d, 17, 3); /* what lies beyond the level is junk */
                continue;
            }
            for (int c = 0; c < 3; c++) {
                unsigned sum = (unsigned)(scale * scale) / 2;
                for (int v = 0; v < scale; v++)
                    for (int u = 0; u < scale; u++)
                        sum += fake_px(s, level, px + u, py + v)[c];
                d[c] = (uint8_t)(sum / (unsigned)(scale * scale));
            }
        }
    return MT_OK;
}

/* Rows of RGB as samples of three planes. */
static void fake_hand_samples(const mt_row_sink *sink, const uint8_t *rgb, size_t stride, int32_t w,
                              int32_t y, int32_t n)
{
    mt_sample_rows r = {3, false, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {NULL}, {0}, y, n};
    uint8_t *px = malloc(3 * (size_t)w * (size_t)n);
    for (size_t c = 0; c < 3; c++) {
        r.px[c] = px + c * (size_t)w * (size_t)n;
        r.stride[c] = (size_t)w;
        for (size_t i = 0; i < (size_t)w * (size_t)n; i++)
            px[c * (size_t)w * (size_t)n + i] =
                rgb[i / (size_t)w * stride + 3 * (i % (size_t)w) + c];
    }
    sink->samples(sink->ctx, &r);
    free(px);
}

mt_status mt_tile_reader_decode_rows(mt_tile_reader *reader, int level, int64_t tx, int64_t ty,
                                     int scale, uint8_t *rgb, size_t stride,
                                     const mt_row_sink *sink, mt_err *err)
{
    mt_status st = mt_tile_reader_decode(reader, level, tx, ty, scale, rgb, stride, err);
    int32_t h = reader->slide->info.levels[level].tile_h / scale;
    /* Uneven portions; those of a tile that fails have come in part. */
    const mt_slide *s = reader->slide;
    const bool samples = sink->samples && s->samples && !(s->rgb_every && (tx + 2 * ty) % s->rgb_every == 0);
    for (int32_t y = 0, n = 5; y < h && (st == MT_OK || y < h / 2); y += n, n = n % 7 + 1)
        if (samples)
            fake_hand_samples(sink, rgb + (size_t)y * stride, stride, s->info.levels[level].tile_w / scale,
                              y, MT_MIN(n, h - y));
        else
            sink->rows(sink->ctx, rgb + (size_t)y * stride, stride, y, MT_MIN(n, h - y));
    return st;
}

#endif
