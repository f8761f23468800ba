/* Folds: where tissue lies double it is twice as dense and twice as coloured, whatever it is made of.
 *
 * The measure is the geometric mean of both (saturation and darkness together, as P. Bautista and
 * Y. Yagi use them, 2009), averaged over 40 um. A fold has more than FACTOR times what is usual on the
 * slide, more than LOCAL times the tissue beside it within a quarter of a millimetre, and its hue, since
 * it is the same tissue; and it is a band, longer than wide. Dense tissue is dark but not so coloured;
 * epithelium, keratin and lymph follicles differ in hue from what they lie in; a tumour is no band. */
#include <math.h>
#include <string.h>
#include "tiles/qc.h"
#include "tiles/shapes.h"

#define FACTOR 1.42
#define GROW 1.28        /* a band goes on so far once it is proven */
#define LOCAL 1.30
#define HUE 1.35         /* ratio of red over green OD, either way */
#define NEAR_UM 20.0     /* half a side of the average */
#define AROUND_UM 250.0
#define LEAST_UM2 9000.0
#define LEAST_UM 240.0   /* length */
#define BAND 0.45        /* width over length, at most */
#define PROOF 0.20       /* of a band above FACTOR */

/* Running sums over the rows of a window, per column. */
typedef struct sums {
    const mt_qc *qc;
    const uint8_t *value, *but; /* pixels where value is 0 or `but` is not do not count */
    uint32_t *v, *n;
    int32_t r, top, end;
} sums;

static bool counts(const mt_qc *qc, size_t i)
{
    return (qc->flags[i] & MT_QC_TISSUE) && !(qc->flags[i] & QC_HIDES);
}

static void add_line(sums *s, int32_t y, int sign)
{
    size_t row = (size_t)y * (size_t)s->qc->width;
    for (int32_t x = 0; x < s->qc->width; x++) {
        size_t i = row + (size_t)x;
        if (!s->value[i] || (s->but && s->but[i]) || !counts(s->qc, i)) continue;
        s->v[x] += sign > 0 ? s->value[i] : (uint32_t)-(int32_t)s->value[i];
        s->n[x] += (uint32_t)sign;
    }
}

/* Means of what counts in the window around each pixel of row y, x 16; 0: nothing counts. */
static void means(uint16_t *out, sums *s, int32_t y)
{
    uint64_t v = 0, n = 0;
    int32_t width = s->qc->width;
    for (; s->end < MT_MIN(y + s->r + 1, s->qc->height); s->end++)
        add_line(s, s->end, 1);
    for (; s->top < y - s->r; s->top++)
        add_line(s, s->top, -1);
    for (int32_t x = -s->r; x < width; x++) {
        if (x + s->r < width) {
            v += s->v[x + s->r];
            n += s->n[x + s->r];
        }
        if (x - s->r - 1 >= 0) {
            v -= s->v[x - s->r - 1];
            n -= s->n[x - s->r - 1];
        }
        if (x >= 0) out[x] = (uint16_t)(n ? (v * 16 + n / 2) / n : 0);
    }
}

static double usual_density(const mt_qc *qc, const uint8_t *dens)
{
    uint64_t hist[256] = {0}, total = 0, below = 0;
    size_t n = (size_t)qc->width * (size_t)qc->height;
    for (size_t i = 0; i < n; i++)
        if (counts(qc, i)) {
            hist[dens[i]]++;
            total++;
        }
    for (int k = 0; k < 256; k++) {
        below += hist[k];
        if (total && 2 * below >= total) return k;
    }
    return 0;
}

enum { NEAR, AROUND, NEAR_HUE, AROUND_HUE, WINDOWS };

typedef struct fold_work {
    uint8_t *dense, *mask; /* 1: may belong to a band, 2: proof */
    uint32_t *cols[WINDOWS];
    uint16_t *rows[WINDOWS];
} fold_work;

static void fold_work_free(fold_work *w)
{
    free(w->dense);
    free(w->mask);
    for (int k = 0; k < WINDOWS; k++) {
        free(w->cols[k]);
        free(w->rows[k]);
    }
}

static sums window(fold_work *w, int k, const mt_qc *qc, const uint8_t *value, const uint8_t *but)
{
    double um = k == NEAR || k == NEAR_HUE ? NEAR_UM : AROUND_UM;
    memset(w->cols[k], 0, 2 * (size_t)qc->width * sizeof *w->cols[k]);
    return (sums){qc, value, but, w->cols[k], w->cols[k] + qc->width, MT_MAX((int32_t)lround(um / qc->mask_mpp), 1), 0, 0};
}

/* Dense and coloured for this slide. */
static void mark_dense(fold_work *w, const mt_qc *qc, const evidence *e, double usual)
{
    sums s = window(w, NEAR, qc, e->dens, NULL);
    for (int32_t y = 0; y < qc->height; y++) {
        means(w->rows[NEAR], &s, y);
        for (int32_t x = 0; x < qc->width; x++) {
            size_t i = (size_t)y * (size_t)qc->width + (size_t)x;
            double d = w->rows[NEAR][x] / 16.0;
            if (counts(qc, i) && d >= GROW * usual) w->dense[i] = d >= FACTOR * usual ? 2 : 1;
        }
    }
}

static bool like(double a, double b)
{
    return a > 0 && b > 0 && a < HUE * b && b < HUE * a;
}

/* Of that, what the tissue beside it is not, but for its hue. */
static void mark_double(fold_work *w, const mt_qc *qc, const evidence *e)
{
    sums s[WINDOWS];
    for (int k = 0; k < WINDOWS; k++)
        s[k] = window(w, k, qc, k <= AROUND ? e->dens : e->warm, k == AROUND || k == AROUND_HUE ? w->dense : NULL);
    for (int32_t y = 0; y < qc->height; y++) {
        for (int k = 0; k < WINDOWS; k++)
            means(w->rows[k], &s[k], y);
        for (int32_t x = 0; x < qc->width; x++) {
            size_t i = (size_t)y * (size_t)qc->width + (size_t)x;
            if (w->dense[i] && w->rows[AROUND][x] && w->rows[NEAR][x] >= LOCAL * w->rows[AROUND][x] &&
                like(w->rows[NEAR_HUE][x], w->rows[AROUND_HUE][x]))
                w->mask[i] = w->dense[i];
        }
    }
}

typedef struct band {
    double n, proof, x, y, xx, xy, yy;
} band;

static bool is_band(const band *b, double um)
{
    double x = b->x / b->n, y = b->y / b->n, xx = b->xx / b->n - x * x, xy = b->xy / b->n - x * y,
           yy = b->yy / b->n - y * y;
    double mean = 0.5 * (xx + yy), d = hypot(0.5 * (xx - yy), xy);
    double length = sqrt(12 * MT_MAX(mean + d, 0.1)), width = b->n / length;
    return b->n * um * um >= LEAST_UM2 && b->proof >= PROOF * b->n && length * um >= LEAST_UM &&
           width <= BAND * length;
}

static mt_status keep_bands(mt_qc *qc, const uint8_t *mask, mt_err *err)
{
    MT_AUTO(shapes_free) shapes s = {0};
    MT_AUTO_FREE band *b = NULL;
    MT_TRY(shapes_find(&s, mask, qc->width, qc->height, true, err));
    MT_TRY(mt_alloc(&b, s.n_runs, sizeof *b, SIZE_MAX, "bands", err));
    for (int pass = 0; pass < 2; pass++)
        for (int32_t y = 0; y < s.height; y++)
            for (uint32_t i = s.row_begin[y]; i < s.row_begin[y + 1]; i++) {
                const struct shape_run *r = &s.runs[i];
                band *p = &b[r->piece];
                size_t row = (size_t)y * (size_t)qc->width;
                bool keep = pass == 1 && is_band(p, qc->mask_mpp);
                for (int32_t x = r->x0; x < r->x1; x++) {
                    if (keep) qc->flags[row + (size_t)x] |= MT_QC_FOLD;
                    if (pass == 1) continue;
                    p->n++;
                    p->proof += mask[row + (size_t)x] == 2;
                    p->x += x;
                    p->y += y;
                    p->xx += (double)x * x;
                    p->xy += (double)x * y;
                    p->yy += (double)y * y;
                }
            }
    return MT_OK;
}

mt_status qc_find_folds(mt_qc *qc, const evidence *e, mt_err *err)
{
    MT_AUTO(fold_work_free) fold_work w = {0};
    size_t width = (size_t)qc->width, n = width * (size_t)qc->height;
    double usual = usual_density(qc, e->dens);
    if (usual <= 0) return MT_OK;
    MT_TRY(mt_alloc(&w.dense, n, 1, SIZE_MAX, "folds", err));
    MT_TRY(mt_alloc(&w.mask, n, 1, SIZE_MAX, "folds", err));
    for (int k = 0; k < WINDOWS; k++) {
        MT_TRY(mt_alloc(&w.cols[k], 2 * width, sizeof *w.cols[k], SIZE_MAX, "folds", err));
        MT_TRY(mt_alloc(&w.rows[k], width, sizeof *w.rows[k], SIZE_MAX, "folds", err));
    }
    mark_dense(&w, qc, e, usual);
    mark_double(&w, qc, e);
    return keep_bands(qc, w.mask, err);
}
