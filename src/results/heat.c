#include "results/heat.h"

#include <math.h>
#include <string.h>
#include "base/mem.h"
#include "results/writers.h"

#define MAX_PIXELS ((int64_t)3 << 20) /* of a raster: 21 bytes each while it is made */
#define MAX_BYTES ((size_t)64 << 20)
#define FINEST 16
#define COARSEST 64

static int64_t pixels(const mt_level *l0, int64_t px)
{
    return ((l0->width + px - 1) / px) * ((l0->height + px - 1) / px);
}

/* The largest divisor of the step between FINEST and COARSEST level-0 pixels; else, or if that
 * makes too large a raster, the next larger divisor, the step itself, then its multiples. */
static int32_t choose_px(const mt_level *l0, int32_t step)
{
    int32_t px = 0;
    for (int32_t d = FINEST; d <= COARSEST && d <= step; d++)
        if (step % d == 0) px = d;
    if (!px) px = step;
    while (px < step && pixels(l0, px) > MAX_PIXELS) {
        do
            px++;
        while (step % px);
    }
    while (pixels(l0, px) > MAX_PIXELS && px < INT32_MAX / 2)
        px += step;
    return px;
}

typedef struct sums {
    double *value, *area;
} sums;

static void sums_free(sums *s)
{
    free(s->value);
    free(s->area);
}

/* Level-0 pixels that [a, a + n) and pixel i have in common. */
static double common(int64_t a, int64_t n, int64_t i, int64_t px)
{
    return (double)(MT_MIN(a + n, (i + 1) * px) - MT_MAX(a, i * px));
}

static void add_tile(sums *s, const mt_heat *h, const mt_tile *t, double p, bool with_area)
{
    int64_t px = h->px_l0;
    int64_t i0 = MT_MAX(t->x_l0, 0) / px, i1 = MT_MIN((t->x_l0 + t->w_l0 + px - 1) / px, h->w);
    int64_t j0 = MT_MAX(t->y_l0, 0) / px, j1 = MT_MIN((t->y_l0 + t->h_l0 + px - 1) / px, h->h);
    for (int64_t j = j0; j < j1; j++)
        for (int64_t i = i0; i < i1; i++) {
            double area = common(t->x_l0, t->w_l0, i, px) * common(t->y_l0, t->h_l0, j, px);
            size_t at = (size_t)j * (size_t)h->w + (size_t)i;
            s->value[at] += area * p;
            if (with_area) s->area[at] += area;
        }
}

/* Paints class c over all scored tiles; where its mean beats what is there, it takes the pixel. */
static void paint_class(mt_heat *h, sums *s, const mt_result *r, int c, bool first)
{
    size_t n = (size_t)h->w * (size_t)h->h, k = (size_t)r->card->n_classes;
    memset(s->value, 0, n * sizeof *s->value);
    for (size_t t = 0; t < r->plan->n_tiles; t++)
        if (r->tile_state[t] == MT_TILE_DONE)
            add_tile(s, h, &r->plan->tiles[t], (double)r->probs[t * k + (size_t)c], first);
    for (size_t i = 0; i < n; i++) {
        if (s->area[i] <= 0) continue;
        float mean = (float)(s->value[i] / s->area[i]);
        if (!isnan(h->value[i]) && mean <= h->value[i]) continue;
        h->value[i] = mean;
        h->cls[i] = (uint8_t)c;
    }
}

mt_status mt_heat_make(mt_heat **out, const mt_result *r, mt_err *err)
{
    *out = NULL;
    const mt_level *l0 = &r->slide.levels[0];
    if (r->slide.n_levels < 1 || l0->width < 1 || l0->height < 1)
        return mt_err_set(err, MT_ERR_ARG, "heatmap: the slide has no size");
    MT_AUTO(mt_heat_free) mt_heat *h = NULL;
    MT_AUTO(sums_free) sums s = {0};
    MT_TRY(mt_alloc(&h, 1, sizeof *h, MAX_BYTES, "heatmap", err));
    int32_t px = choose_px(l0, r->plan->step_l0 > 0 ? r->plan->step_l0 : COARSEST);
    h->px_l0 = px;
    h->w = (int32_t)((l0->width + px - 1) / px);
    h->h = (int32_t)((l0->height + px - 1) / px);
    h->class_map = r->card->positive_class < 0 && r->card->n_classes > 1;
    size_t n = (size_t)h->w * (size_t)h->h;
    MT_TRY(mt_alloc(&h->value, n, sizeof *h->value, MAX_BYTES, "heatmap", err));
    MT_TRY(mt_alloc(&h->cls, n, sizeof *h->cls, MAX_BYTES, "heatmap", err));
    MT_TRY(mt_alloc(&s.value, n, sizeof *s.value, MAX_BYTES, "heatmap", err));
    MT_TRY(mt_alloc(&s.area, n, sizeof *s.area, MAX_BYTES, "heatmap", err));
    for (size_t i = 0; i < n; i++)
        h->value[i] = NAN;
    int only = MT_MAX(r->card->positive_class, 0);
    for (int c = h->class_map ? 0 : only; c < (h->class_map ? r->card->n_classes : only + 1); c++)
        paint_class(h, &s, r, c, !h->class_map || c == 0);
    *out = mt_steal(h);
    return MT_OK;
}

void mt_heat_free(mt_heat **heat)
{
    if (!heat || !*heat) return;
    free((*heat)->value);
    free((*heat)->cls);
    free(*heat);
    *heat = NULL;
}

void mt_heat_map(uint8_t rgb[3], float value)
{
    static const struct {
        float at;
        uint8_t rgb[3];
    } points[] = {{0.00f, {24, 33, 105}},  {0.15f, {33, 68, 145}},  {0.30f, {30, 107, 152}},
                  {0.45f, {28, 143, 139}}, {0.60f, {66, 174, 110}}, {0.75f, {143, 200, 72}},
                  {0.88f, {213, 222, 48}}, {1.00f, {255, 240, 60}}};
    /* 256 steps, so that the picture has no more colours than its legend. */
    int step = value > 0 ? value < 1 ? (int)(value * 255 + 0.5f) : 255 : 0;
    float v = (float)step / 255;
    size_t k = 0;
    while (k + 2 < MT_COUNT(points) && v > points[k + 1].at)
        k++;
    float t = (v - points[k].at) / (points[k + 1].at - points[k].at);
    for (int c = 0; c < 3; c++)
        rgb[c] = (uint8_t)((float)points[k].rgb[c] +
                           t * (float)(points[k + 1].rgb[c] - points[k].rgb[c]) + 0.5f);
}

bool mt_heat_colour(uint8_t rgb[3], const mt_heat *heat, int32_t i, int32_t j, const mt_card *card)
{
    size_t at = (size_t)j * (size_t)heat->w + (size_t)i;
    memset(rgb, 0, 3);
    if (isnan(heat->value[at])) return false;
    if (heat->class_map)
        mt_class_colour(rgb, heat->cls[at], card->positive_class);
    else
        mt_heat_map(rgb, heat->value[at]);
    return true;
}
