#include "tiles/fetch/way.h"

#include <string.h>
#include "codec/codec.h"

#define MAX_SHRINK 64
#define MAX_EXACT 16 /* source pixels per output pixel: beyond, one crop would be a hundred megabytes */
#define LEAST_FAST 1.01 /* what is finer needs no reducing */
#define LOOK_AT 64

bool way_fits(const way_samples *w, const mt_sample_rows *r)
{
    if (w->planes != r->planes || w->ycbcr != r->ycbcr) return false;
    for (int i = 0; i < w->planes; i++)
        if (w->step_x[i] != r->step_x[i] * w->denom || w->step_y[i] != r->step_y[i] * w->denom)
            return false;
    return true;
}

/* ---- How the samples of a level stand ---- */

static void keep_layout(void *ctx, const mt_sample_rows *r)
{
    way_samples *w = ctx;
    w->planes = r->planes;
    w->ycbcr = r->ycbcr;
    for (int i = 0; i < r->planes; i++) {
        w->step_x[i] = r->step_x[i] * w->denom;
        w->step_y[i] = r->step_y[i] * w->denom;
        w->smooth_x[i] = r->shared_x[i] == 2 && r->shared_y[i] <= 2;
        w->smooth_y[i] = r->shared_y[i] == 2 && r->shared_x[i] <= 2;
    }
}

static void no_layout(void *ctx, const uint8_t *rgb, size_t stride, int32_t y, int32_t n) {}

static bool usable(const way_samples *w, const mt_level *l)
{
    for (int i = 0; i < w->planes; i++)
        if (w->step_x[i] > 16 || w->step_y[i] > 16 || l->tile_w % w->step_x[i] ||
            l->tile_h % w->step_y[i])
            return false;
    return w->planes == 1 ||
           (w->planes == 3 && w->step_x[1] == w->step_x[2] && w->step_y[1] == w->step_y[2]);
}

/* Of the first native tile from the middle on that has samples and can be read; what others have is
 * found out as they come. */
static mt_status find_samples(way_samples *out, const mt_slide *slide, int level, int scale_denom,
                              mt_err *err)
{
    const mt_level *l = &mt_slide_get_info(slide)->levels[level];
    const int64_t n = l->tiles_x * l->tiles_y, most = MT_MIN(n, LOOK_AT);
    const size_t stride = 3 * (size_t)l->tile_w;
    MT_AUTO(mt_tile_reader_free) mt_tile_reader *reader = NULL;
    MT_AUTO_FREE uint8_t *scratch = NULL;
    *out = (way_samples){.denom = scale_denom};
    if (strcmp(l->codec, mt_codec_name(MT_CODEC_JPEG)) != 0) return MT_OK;
    MT_TRY(mt_tile_reader_new(&reader, slide, err));
    MT_TRY(mt_alloc(&scratch, stride * (size_t)l->tile_h, 1, SIZE_MAX, "native tile", err));
    const mt_row_sink sink = {.rows = no_layout, .ctx = out, .samples = keep_layout};
    for (int64_t i = 0; i < most && !out->planes; i++) {
        const int64_t k = (n / 2 + i * (n / most)) % n;
        mt_err e = MT_ERR_INIT;
        const mt_status st = mt_tile_reader_decode_rows(reader, level, k % l->tiles_x, k / l->tiles_x,
                                                        scale_denom, scratch, stride, &sink, &e);
        if (st == MT_ERR_IO || st == MT_ERR_NO_MEMORY) return mt_err_set(err, st, "%s", e.text);
    }
    if (!usable(out, l)) *out = (way_samples){0};
    return MT_OK;
}

/* ---- The choice ---- */

static void go_exact(walk_way *w, const mt_level *l, double resample)
{
    *w = (walk_way){.scale_denom = 1, .shrink = 1};
    for (double left = resample; left >= MAX_EXACT && w->shrink < MAX_SHRINK; left /= 2) {
        const int next = w->shrink * 2;
        if (l->tile_w % next || l->tile_h % next) break;
        w->shrink = next;
    }
}

static mt_status go_by_samples(walk_way *w, const mt_slide *slide, const mt_plan *plan, mt_err *err)
{
    const int most = mt_slide_max_reduce(slide, plan->level);
    *w = (walk_way){.scale_denom = 1, .shrink = 1};
    double left = plan->resample;
    /* A mean hides where in it the light was: four samples an output pixel are needed to be exact enough. */
    for (; left >= 8 * 0.99 && w->scale_denom < most; left /= 2) w->scale_denom *= 2;
    if (left >= MAX_EXACT) return MT_OK;
    return find_samples(&w->samples, slide, plan->level, w->scale_denom, err);
}

mt_status way_choose(walk_way *out, const mt_slide *slide, const mt_plan *plan, bool fast, mt_err *err)
{
    const mt_slide_info *info = mt_slide_get_info(slide);
    *out = (walk_way){.scale_denom = 1, .shrink = 1};
    if (plan->level < 0 || plan->level >= info->n_levels) return MT_OK; /* the walk refuses it */
    const mt_level *l = &info->levels[plan->level];
    if (fast && plan->resample >= LEAST_FAST) {
        MT_TRY(go_by_samples(out, slide, plan, err));
        if (out->samples.planes) return MT_OK;
    }
    go_exact(out, l, plan->resample);
    return MT_OK;
}
