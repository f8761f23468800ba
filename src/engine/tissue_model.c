#include "engine/tissue_model.h"

#include <math.h>
#include <string.h>
#include <strings.h>
#include "base/mem.h"
#include "models/net.h"
#include "models/runner.h"
#include "tiles/fetch/fetch.h"
#include "tiles/tissue/thumb.h"
#include "tiles/tissue/in.h"

mt_status mt_tissue_model_class(int *out, const mt_model *model, mt_err *err)
{
    const mt_card *c = mt_model_card(model);
    *out = c->positive_class >= 0 ? c->positive_class : c->n_classes == 1 ? 0 : -1;
    if (strcmp(c->task, "tissue"))
        return mt_err_set(err, MT_ERR_CARD, "model %s: its task is %s, a tissue mask needs tissue",
                          c->name, c->task);
    for (int i = 0; *out < 0 && i < c->n_classes; i++)
        if (!strcasecmp(c->class_names[i], "tissue")) *out = i;
    if (*out < 0)
        return mt_err_set(
            err, MT_ERR_CARD,
            "model %s: none of its classes is called tissue; positive_class says which it is",
            c->name);
    return MT_OK;
}

double mt_tissue_model_threshold(const mt_card *card)
{
    return card->n_thresholds ? card->thresholds[0].value : 0.5;
}

/* ---- one picture ---- */

typedef struct worker {
    mt_runner *runner;
    float *planar, *input;
    float *map; /* the class, h x w */
} worker;

typedef struct learned {
    const mt_card *card;
    mt_tissue *tissue;
    const mt_plan *plan;
    uint8_t *mask;
    int cls, threads;
    int32_t map_w, map_h;
    double threshold;
    worker *workers;
} learned;

static void learned_free(learned *l)
{
    for (int i = 0; l->workers && i < l->threads; i++) {
        mt_runner_free(&l->workers[i].runner);
        free(l->workers[i].planar);
        free(l->workers[i].input);
        free(l->workers[i].map);
    }
    free(l->workers);
    free(l->mask);
}

static mt_status learned_init(learned *l, const mt_model *model, int threads, mt_err *err)
{
    MT_TRY(mt_tissue_model_class(&l->cls, model, err));
    l->card = mt_model_card(model);
    l->threshold = mt_tissue_model_threshold(l->card);
    const mt_tensor *in, *out; /* a map: mt_model_open has seen to it */
    MT_TRY(mt_runner_shapes(&in, &out, model, err));
    l->map_h = (int32_t)out->dims[l->card->nhwc ? 1 : 2];
    l->map_w = (int32_t)out->dims[l->card->nhwc ? 2 : 3];
    size_t n_in = 3 * (size_t)l->card->input_px * (size_t)l->card->input_px;
    MT_TRY(mt_alloc(&l->mask, (size_t)l->tissue->width, (size_t)l->tissue->height, SIZE_MAX,
                    "tissue mask", err));
    MT_TRY(
        mt_alloc(&l->workers, (size_t)threads, sizeof *l->workers, SIZE_MAX, "tissue model", err));
    l->threads = threads;
    for (int i = 0; i < threads; i++) {
        worker *w = &l->workers[i];
        MT_TRY(mt_runner_new(&w->runner, model, err));
        MT_TRY(mt_alloc_aligned(&w->planar, n_in * sizeof(float), SIZE_MAX, "tissue model", err));
        if (l->card->nhwc)
            MT_TRY(
                mt_alloc_aligned(&w->input, n_in * sizeof(float), SIZE_MAX, "tissue model", err));
        MT_TRY(mt_alloc(&w->map, (size_t)l->map_w * (size_t)l->map_h, sizeof(float), SIZE_MAX,
                        "tissue model", err));
    }
    return MT_OK;
}

static void interleave(float *to, const float *planar, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < 3; c++)
            to[3 * i + c] = planar[c * n + i];
}

/* The class's map of one picture into w->map. */
static mt_status run_net(const learned *l, worker *w, const uint8_t *rgb, mt_err *err)
{
    const mt_card *c = l->card;
    size_t n = (size_t)l->map_w * (size_t)l->map_h, k = (size_t)c->n_classes;
    mt_card_normalise(c, rgb, w->planar);
    if (c->nhwc) interleave(w->input, w->planar, (size_t)c->input_px * (size_t)c->input_px);
    const float *v;
    MT_TRY(mt_runner_run(w->runner, c->nhwc ? w->input : w->planar, &v, err));
    for (size_t i = 0; i < n; i++) {
        float logits[MT_MAX_CLASSES], probs[MT_MAX_CLASSES];
        for (size_t j = 0; j < k; j++)
            logits[j] = c->nhwc ? v[i * k + j] : v[j * n + i];
        mt_card_activate(c, logits, probs);
        w->map[i] = probs[l->cls];
        if (!isfinite(w->map[i]))
            return mt_err_set(err, MT_ERR_NUMERIC, "model %s: its map has no number at %zu",
                              c->name, i);
    }
    return MT_OK;
}

static float at(const learned *l, const float *map, int32_t x, int32_t y)
{
    x = MT_MIN(MT_MAX(x, 0), l->map_w - 1);
    y = MT_MIN(MT_MAX(y, 0), l->map_h - 1);
    return map[(size_t)y * (size_t)l->map_w + (size_t)x];
}

/* The map at a place given in shares of the picture. */
static double read_map(const learned *l, const float *map, double u, double v)
{
    double x = u * l->map_w - 0.5, y = v * l->map_h - 0.5;
    int32_t ix = (int32_t)floor(x), iy = (int32_t)floor(y);
    double fx = x - ix, fy = y - iy;
    double top = (double)at(l, map, ix, iy) * (1 - fx) + (double)at(l, map, ix + 1, iy) * fx;
    double low =
        (double)at(l, map, ix, iy + 1) * (1 - fx) + (double)at(l, map, ix + 1, iy + 1) * fx;
    return top * (1 - fy) + low * fy;
}

/* Middle of the part of a mask pixel that lies on the slide. */
static double centre(int32_t i, double px, int64_t slide)
{
    return (i * px + MT_MIN((i + 1) * px, (double)slide)) / 2;
}

/* Mask pixels whose centres lie in a box of level 0 that the map covers. */
static void fill_box(const learned *l, const float *map, double x_l0, double y_l0, double w_l0,
                     double h_l0)
{
    const mt_tissue *t = l->tissue;
    int32_t c0 = (int32_t)MT_MAX(floor(x_l0 / t->px_l0), 0.0);
    int32_t r0 = (int32_t)MT_MAX(floor(y_l0 / t->px_l0), 0.0);
    int32_t c1 = (int32_t)MT_MIN(ceil((x_l0 + w_l0) / t->px_l0), (double)t->width);
    int32_t r1 = (int32_t)MT_MIN(ceil((y_l0 + h_l0) / t->px_l0), (double)t->height);
    for (int32_t r = r0; r < r1; r++) {
        double v = (centre(r, t->px_l0, t->slide_h) - y_l0) / h_l0;
        uint8_t *row = l->mask + (size_t)r * (size_t)t->width;
        for (int32_t c = c0; c < c1 && v >= 0 && v < 1; c++) {
            double u = (centre(c, t->px_l0, t->slide_w) - x_l0) / w_l0;
            if (u >= 0 && u < 1) row[c] = read_map(l, map, u, v) >= l->threshold ? 255 : 0;
        }
    }
}

/* ---- the slide ---- */

static mt_status look_once(learned *l, const mt_slide *slide, int threads, mt_err *err)
{
    MT_AUTO_FREE uint8_t *rgb = NULL;
    size_t px = (size_t)l->card->input_px;
    MT_TRY(mt_alloc(&rgb, px * px, 3, SIZE_MAX, "thumbnail", err));
    MT_TRY(thumb_make(rgb, l->card->input_px, l->card->input_px, slide, threads, err));
    MT_TRY(run_net(l, &l->workers[0], rgb, err));
    const mt_level *l0 = &mt_slide_get_info(slide)->levels[0];
    fill_box(l, l->workers[0].map, 0, 0, (double)l0->width, (double)l0->height);
    return MT_OK;
}

static mt_status take_tiles(void *ctx, int index, const mt_fetched *tiles, int n, mt_err *err)
{
    learned *l = ctx;
    worker *w = &l->workers[index];
    for (int i = 0; i < n; i++) {
        const mt_tile *t = &l->plan->tiles[tiles[i].tile];
        if (tiles[i].unreadable) continue; /* what cannot be read is no tissue */
        MT_TRY(run_net(l, w, tiles[i].rgb, err));
        fill_box(l, w->map, (double)t->x_l0, (double)t->y_l0, t->w_l0, t->h_l0);
    }
    return MT_OK;
}

static mt_status look_tile_by_tile(learned *l, const mt_slide *slide, int threads, mt_err *err)
{
    MT_AUTO(mt_plan_free) mt_plan *plan = NULL;
    mt_plan_opts po = MT_PLAN_OPTS_INIT;
    mt_fetch_opts fo = MT_FETCH_OPTS_INIT;
    po.tile_px = l->card->patch_px;
    po.out_px = l->card->input_px;
    po.mpp = l->card->mpp;
    po.whole_slide = 1;
    MT_TRY(mt_plan_make(&plan, slide, NULL, &po, err));
    l->plan = plan;
    fo.threads = threads;
    fo.batch = 1;
    fo.bicubic = l->card->bicubic;
    return mt_fetch_run(slide, plan, &fo, take_tiles, l, NULL, err);
}

mt_status mt_tissue_model_run(mt_tissue *tissue, const mt_model *model, const mt_slide *slide,
                              int threads, mt_err *err)
{
    MT_AUTO(learned_free) learned l = {.tissue = tissue};
    bool once = mt_model_card(model)->whole_slide;
    MT_TRY(learned_init(&l, model, once ? 1 : MT_MIN(threads, 256), err));
    mt_status st =
        once ? look_once(&l, slide, threads, err) : look_tile_by_tile(&l, slide, l.threads, err);
    if (st == MT_OK) st = tissue_in_take(tissue, &l.mask, err);
    if (st != MT_OK) mt_err_context(err, "tissue model");
    return st;
}
