/* Folds: where tissue lies double it is twice as dense and twice as coloured, whatever it is made of.
 *
 * The measure is the geometric mean of both (saturation and darkness together, as P. Bautista and
 * Y. Yagi use them, 2009), averaged over 40 um. A fold has more than FACTOR times what is usual on the
 * slide and more than LOCAL times the mean of half a millimetre around it, and is a band, longer than
 * wide. Beside it lies the same tissue once: of the same hue, less dense, and on both sides. Dense tissue
 * is dark but not so coloured; epithelium and lymph follicles differ in hue from what they lie in; keratin
 * borders on glass; a tumour is no band. */
#include <math.h>
#include <string.h>
#include "tiles/qc/qc.h"
#include "tiles/tissue/shapes.h"

#define FACTOR 1.42
#define GROW 1.28        /* a band goes on so far once it is proven */
#define LOCAL 1.18
#define HUE 1.22         /* of the band against what lies beside it: red over green OD, either way */
#define BESIDE 1.36      /* and density */
#define BARE 0.20        /* of what lies beside it may be glass */
#define NEAR_UM 20.0     /* half a side of the average */
#define AROUND_UM 250.0
#define LEAST_UM2 9000.0
#define LEAST_UM 240.0   /* length */
#define BAND 0.45        /* width over length, at most */
#define PROOF 0.20       /* of a band above FACTOR */

/* Running sums over the rows of a window, per column. */
typedef struct sums {
    const mt_qc *qc;
    const uint8_t *value;
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
        if (!counts(s->qc, i)) continue;
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

double qc_usual_density(const mt_qc *qc, const evidence *e)
{
    uint64_t hist[256] = {0}, total = 0, below = 0;
    size_t n = (size_t)qc->width * (size_t)qc->height;
    for (size_t i = 0; i < n; i++)
        if (counts(qc, i)) {
            hist[e->dens[i]]++;
            total++;
        }
    for (int k = 0; k < 256; k++) {
        below += hist[k];
        if (total && 2 * below >= total) return k;
    }
    return 0;
}

enum { NEAR, AROUND, WINDOWS };

typedef struct fold_work {
    uint8_t *mask; /* 1: may belong to a band, 2: proof */
    uint32_t *cols[WINDOWS];
    uint16_t *rows[WINDOWS];
} fold_work;

static void fold_work_free(fold_work *w)
{
    free(w->mask);
    for (int k = 0; k < WINDOWS; k++) {
        free(w->cols[k]);
        free(w->rows[k]);
    }
}

static void mark(fold_work *w, const mt_qc *qc, const evidence *e, double usual)
{
    static const double um[WINDOWS] = {NEAR_UM, AROUND_UM};
    sums s[WINDOWS];
    for (int k = 0; k < WINDOWS; k++)
        s[k] = (sums){qc, e->dens, w->cols[k], w->cols[k] + qc->width, MT_MAX((int32_t)lround(um[k] / qc->mask_mpp), 1), 0, 0};
    for (int32_t y = 0; y < qc->height; y++) {
        for (int k = 0; k < WINDOWS; k++)
            means(w->rows[k], &s[k], y);
        for (int32_t x = 0; x < qc->width; x++) {
            size_t i = (size_t)y * (size_t)qc->width + (size_t)x;
            double d = w->rows[NEAR][x] / 16.0;
            if (counts(qc, i) && d >= GROW * usual && 16 * d >= LOCAL * w->rows[AROUND][x])
                w->mask[i] = d >= FACTOR * usual ? 2 : 1;
        }
    }
}

/* ---- bands ---- */

typedef struct band {
    double n, proof, x, y, xx, xy, yy, dens, warm, n_warm;
    double beside, beside_dens, beside_warm, n_beside_warm, bare; /* sampled on all sides */
} band;

typedef struct place {
    const mt_qc *qc;
    const evidence *e;
    const uint8_t *mask;
} place;

/* What lies `at` pixels beyond the border of a band. */
static void look_beside(band *b, const place *p, int64_t x, int64_t y)
{
    if (x < 0 || y < 0 || x >= p->qc->width || y >= p->qc->height) return;
    size_t i = (size_t)y * (size_t)p->qc->width + (size_t)x;
    if (p->mask[i] || (p->qc->flags[i] & QC_HIDES)) return;
    if (!(p->qc->flags[i] & MT_QC_TISSUE)) {
        b->bare++;
        return;
    }
    b->beside++;
    b->beside_dens += p->e->dens[i];
    b->beside_warm += p->e->warm[i];
    b->n_beside_warm += p->e->warm[i] != 0;
}

static bool borders(const place *p, int32_t x, int32_t y)
{
    return y < 0 || y >= p->qc->height || !p->mask[(size_t)y * (size_t)p->qc->width + (size_t)x];
}

static void add_to_band(band *b, const place *p, const struct shape_run *r, int32_t y)
{
    static const int at[] = {3, 5, 8};
    for (int32_t x = r->x0; x < r->x1; x++) {
        size_t i = (size_t)y * (size_t)p->qc->width + (size_t)x;
        b->n++;
        b->proof += p->mask[i] == 2;
        b->dens += p->e->dens[i];
        b->warm += p->e->warm[i];
        b->n_warm += p->e->warm[i] != 0;
        b->x += x;
        b->y += y;
        b->xx += (double)x * x;
        b->xy += (double)x * y;
        b->yy += (double)y * y;
        for (size_t k = 0; k < MT_COUNT(at); k++) {
            if (borders(p, x, y - 1)) look_beside(b, p, x, (int64_t)y - at[k]);
            if (borders(p, x, y + 1)) look_beside(b, p, x, (int64_t)y + at[k]);
        }
    }
    for (size_t k = 0; k < MT_COUNT(at); k++) {
        look_beside(b, p, (int64_t)r->x0 - at[k], y);
        look_beside(b, p, (int64_t)r->x1 - 1 + at[k], y);
    }
}

static bool is_band(const band *b, double um)
{
    double x = b->x / b->n, y = b->y / b->n, xx = b->xx / b->n - x * x, xy = b->xy / b->n - x * y,
           yy = b->yy / b->n - y * y;
    double mean = 0.5 * (xx + yy), d = hypot(0.5 * (xx - yy), xy);
    double length = sqrt(12 * MT_MAX(mean + d, 0.1)), width = b->n / length;
    return b->n * um * um >= LEAST_UM2 && b->proof >= PROOF * b->n && length * um >= LEAST_UM &&
           width <= BAND * length;
}

static bool lies_double(const band *b)
{
    if (b->beside < 1 || b->n_warm < 1 || b->n_beside_warm < 1) return false;
    double hue = (b->warm / b->n_warm) / (b->beside_warm / b->n_beside_warm);
    return b->bare <= BARE * (b->bare + b->beside) && b->dens / b->n >= BESIDE * b->beside_dens / b->beside &&
           hue < HUE && 1 < HUE * hue;
}

static mt_status keep_bands(mt_qc *qc, const evidence *e, const uint8_t *mask, mt_err *err)
{
    MT_AUTO(shapes_free) shapes s = {0};
    MT_AUTO_FREE band *b = NULL;
    const place p = {qc, e, mask};
    MT_TRY(shapes_find(&s, mask, qc->width, qc->height, true, err));
    MT_TRY(mt_alloc(&b, s.n_runs, sizeof *b, SIZE_MAX, "bands", err));
    for (int32_t y = 0; y < s.height; y++)
        for (uint32_t i = s.row_begin[y]; i < s.row_begin[y + 1]; i++)
            add_to_band(&b[s.runs[i].piece], &p, &s.runs[i], y);
    for (int32_t y = 0; y < s.height; y++)
        for (uint32_t i = s.row_begin[y]; i < s.row_begin[y + 1]; i++) {
            const struct shape_run *r = &s.runs[i];
            const band *of = &b[r->piece];
            if (!is_band(of, qc->mask_mpp) || !lies_double(of)) continue;
            for (int32_t x = r->x0; x < r->x1; x++)
                qc->flags[(size_t)y * (size_t)qc->width + (size_t)x] |= MT_QC_FOLD;
        }
    return MT_OK;
}

mt_status qc_find_folds(mt_qc *qc, const evidence *e, mt_err *err)
{
    MT_AUTO(fold_work_free) fold_work w = {0};
    size_t width = (size_t)qc->width, n = width * (size_t)qc->height;
    double usual = qc_usual_density(qc, e);
    if (usual <= 0) return MT_OK;
    MT_TRY(mt_alloc(&w.mask, n, 1, SIZE_MAX, "folds", err));
    for (int k = 0; k < WINDOWS; k++) {
        MT_TRY(mt_alloc(&w.cols[k], 2 * width, sizeof *w.cols[k], SIZE_MAX, "folds", err));
        MT_TRY(mt_alloc(&w.rows[k], width, sizeof *w.rows[k], SIZE_MAX, "folds", err));
    }
    mark(&w, qc, e, usual);
    return keep_bands(qc, e, w.mask, err);
}
