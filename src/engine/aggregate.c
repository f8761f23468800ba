#include "engine/aggregate.h"

#include <math.h>
#include <string.h>
#include "base/mem.h"
#include "tiles/plan/roi.h"

static double px_area_mm2(const mt_plan *plan, const mt_slide_info *slide)
{
    bool known = slide->mpp_x > 0 && slide->mpp_y > 0;
    return (known ? slide->mpp_x * slide->mpp_y : plan->slide_mpp * plan->slide_mpp) * 1e-6;
}

double mt_tile_area_mm2(const mt_plan *plan, const mt_slide_info *slide, size_t tile)
{
    const mt_tile *t = &plan->tiles[tile];
    int64_t side = MT_MIN(plan->step_l0, plan->box_l0);
    int64_t x1 = MT_MIN(t->x_l0 + side, slide->levels[0].width), x0 = MT_MAX(t->x_l0, 0);
    int64_t y1 = MT_MIN(t->y_l0 + side, slide->levels[0].height), y0 = MT_MAX(t->y_l0, 0);
    if (x1 <= x0 || y1 <= y0) return 0.0;
    return (double)(x1 - x0) * (double)(y1 - y0) * px_area_mm2(plan, slide);
}

double mt_scores_analysed(const mt_scores *s)
{
    double sum = 0.0;
    for (size_t i = 0; i < s->plan->n_tiles; i++)
        if (s->state[i] == MT_TILE_DONE) sum += mt_tile_area_mm2(s->plan, s->slide, i);
    return sum;
}

int mt_tile_argmax(const float *probs, int n_classes)
{
    int best = 0;
    for (int c = 1; c < n_classes; c++)
        if (probs[c] > probs[best]) best = c;
    return best;
}

/* The k best of a stream: a heap whose root is the worst of them. */
static void heap_down(float *h, size_t n, size_t i)
{
    for (;;) {
        size_t l = 2 * i + 1, small = i;
        if (l < n && h[l] < h[small]) small = l;
        if (l + 1 < n && h[l + 1] < h[small]) small = l + 1;
        if (small == i) return;
        float t = h[i];
        h[i] = h[small];
        h[small] = t;
        i = small;
    }
}

static void heap_add(float *h, size_t *n, size_t k, float v)
{
    if (*n < k) {
        size_t i = (*n)++;
        h[i] = v;
        for (; i && h[(i - 1) / 2] > h[i]; i = (i - 1) / 2) {
            float t = h[i];
            h[i] = h[(i - 1) / 2];
            h[(i - 1) / 2] = t;
        }
    } else if (v > h[0]) {
        h[0] = v;
        heap_down(h, *n, 0);
    }
}

static int descending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

mt_status mt_class_aggregate(mt_class_grade *out, const mt_scores *s, int cls, double threshold,
                             int topk, double analysed_mm2, mt_err *err)
{
    memset(out, 0, sizeof *out);
    size_t n = 0, k = MT_MIN((size_t)MT_MAX(topk, 1), s->plan->n_tiles), n_best = 0;
    MT_AUTO_FREE float *best = NULL;
    MT_TRY(mt_alloc(&best, k, sizeof *best, SIZE_MAX, "best tiles", err));
    double sum = 0.0;
    for (size_t i = 0; i < s->plan->n_tiles; i++) {
        if (s->state[i] != MT_TILE_DONE) continue;
        const float *row = s->probs + i * (size_t)s->n_classes;
        double p = (double)row[cls], area = mt_tile_area_mm2(s->plan, s->slide, i);
        sum += p;
        out->max = n == 0 || p > out->max ? p : out->max;
        out->area_soft_mm2 += p * area;
        if (mt_tile_argmax(row, s->n_classes) == cls) out->area_mm2 += area;
        if (p >= threshold) out->positive_mm2 += area;
        heap_add(best, &n_best, k, row[cls]);
        n++;
    }
    if (n == 0) return MT_OK;
    out->mean = sum / (double)n;
    out->fraction = analysed_mm2 > 0 ? out->positive_mm2 / analysed_mm2 : 0.0;
    qsort(best, n_best, sizeof *best, descending);
    for (size_t i = 0; i < n_best; i++)
        out->topk += (double)best[i];
    out->topk /= (double)n_best;
    return MT_OK;
}

/* Mask pixels that a DONE tile covers (its whole box, not its cell: it was looked at). */
static void mark_done(uint8_t *seen, const mt_scores *s, const mt_tissue *t)
{
    for (size_t i = 0; i < s->plan->n_tiles; i++) {
        if (s->state[i] != MT_TILE_DONE) continue;
        const mt_tile *tile = &s->plan->tiles[i];
        /* pixel p has its centre at (p + 0.5) px_l0 */
        double x0 = ceil((double)tile->x_l0 / t->px_l0 - 0.5),
               y0 = ceil((double)tile->y_l0 / t->px_l0 - 0.5);
        double x1 = ceil((double)(tile->x_l0 + tile->w_l0) / t->px_l0 - 0.5);
        double y1 = ceil((double)(tile->y_l0 + tile->h_l0) / t->px_l0 - 0.5);
        int32_t ax = (int32_t)MT_MAX(x0, 0.0), ay = (int32_t)MT_MAX(y0, 0.0);
        int32_t bx = (int32_t)MT_MIN(x1, (double)t->width),
                by = (int32_t)MT_MIN(y1, (double)t->height);
        for (int32_t y = ay; y < by && bx > ax; y++)
            memset(seen + (size_t)y * (size_t)t->width + ax, 1, (size_t)(bx - ax));
    }
}

/* A region smaller than so many mask pixels is counted on a grid so many times as fine: between
 * the centres of mask pixels it would be nothing. */
enum { SMALL_ROI = 4096, FINER = 16 };

typedef struct mask_count {
    uint64_t points, tissue, seen;
} mask_count;

/* Points x0..x1-1 of a line, `fine` to a mask pixel. */
static void count_span(mask_count *n, const mt_tissue *t, const uint8_t *seen, int64_t line,
                       int64_t x0, int64_t x1, int fine)
{
    const size_t row = (size_t)(line / fine) * (size_t)t->width;
    const uint8_t *mask = t->mask + row, *done = seen + row;
    for (int64_t x = x0; x < x1; x++) {
        const int64_t px = fine == 1 ? x : x / fine;
        n->points++;
        n->tissue += mask[px] != 0;
        n->seen += mask[px] != 0 && done[px];
    }
}

static mt_status count_roi(mask_count *n, const mt_tissue *t, const uint8_t *seen,
                           const mt_roi *roi, int fine, mt_err *err)
{
    MT_AUTO(mt_roi_sweep_free) mt_roi_sweep *sweep = NULL;
    const double side = t->px_l0 / fine, width = (double)t->width * fine;
    *n = (mask_count){0};
    MT_TRY(mt_roi_sweep_new(&sweep, roi, err));
    for (int64_t y = 0; y < (int64_t)t->height * fine; y++) {
        const mt_roi_span *spans;
        size_t n_spans;
        MT_TRY(mt_roi_sweep_line(&spans, &n_spans, sweep, ((double)y + 0.5) * side, err));
        for (size_t i = 0; i < n_spans; i++) {
            double x0 = ceil(spans[i].x0 / side - 0.5), x1 = ceil(spans[i].x1 / side - 0.5);
            count_span(n, t, seen, y, (int64_t)MT_MIN(MT_MAX(x0, 0.0), width),
                       (int64_t)MT_MAX(MT_MIN(x1, width), 0.0), fine);
        }
    }
    return MT_OK;
}

mt_status mt_tissue_coverage(double *tissue_mm2, double *share, const mt_scores *s,
                             const mt_tissue *tissue, const char *roi_path, mt_err *err)
{
    *tissue_mm2 = *share = 0.0;
    if (!tissue) return MT_OK;
    mask_count n = {0};
    MT_AUTO_FREE uint8_t *seen = NULL;
    MT_TRY(mt_alloc(&seen, (size_t)tissue->width, (size_t)tissue->height, SIZE_MAX, "coverage mask",
                    err));
    mark_done(seen, s, tissue);
    if (roi_path) {
        MT_AUTO(mt_roi_free) mt_roi *roi = NULL;
        double side = tissue->mask_mpp;
        MT_TRY(mt_roi_load(&roi, roi_path, err));
        MT_TRY(count_roi(&n, tissue, seen, roi, 1, err));
        if (n.points < SMALL_ROI) {
            MT_TRY(count_roi(&n, tissue, seen, roi, FINER, err));
            side /= FINER;
        }
        *tissue_mm2 = (double)n.tissue * side * side * 1e-6;
    } else {
        for (int32_t y = 0; y < tissue->height; y++)
            count_span(&n, tissue, seen, y, 0, tissue->width, 1);
        *tissue_mm2 = tissue->tissue_mm2;
    }
    *share = n.tissue ? (double)n.seen / (double)n.tissue : 0.0;
    return MT_OK;
}
