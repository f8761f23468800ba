/* Grey things: what is darker than the glass and has no colour, or lets nothing through.
 *
 * Rims of bubbles and edges of the coverslip come first, over tissue too: thin pieces along a circle of
 * which enough is seen (what it encloses is flagged), thin pieces along a straight line, which is
 * followed. Then long strokes of a pen's width, then the rest, which is dirt. All lengths are fixed in
 * micrometres. */
#include <math.h>
#include <string.h>
#include "tiles/tissue/morph.h"
#include "tiles/qc/qc.h"
#include "tiles/tissue/shapes.h"

#define LEAST_UM2 760.0       /* dust below this is passed over */
#define LEAST_SEEDS 0.05      /* of a piece must be surely grey */
#define THICK_UM 64.0
#define GAP_UM 80.0           /* nuclei under black ink leave gaps */
#define STROKE_UM2 100000.0   /* least area of a pen stroke */
#define STROKE_UM 1000.0      /* and its length */
#define STROKE_WIDE_UM 45.0   /* and its mean width: lines and rims are thinner */
#define STROKE_LONG 8.0       /* area over squared thickness: a disc has 5, a stroke of 1:6 has 8 */
#define LINE_UM 800.0
#define LINE_THIN 0.05        /* width over length, by second moments */
#define RING_UM 120.0         /* least radius */
#define RING_ARC 0.12         /* of the circle a piece must cover to propose it */
#define RING_WHOLE 0.65       /* on which a rim must be seen */
#define RIM_DENSE 1.7         /* times the usual density of the tissue */
#define RIM_UM 60.0           /* most mean thickness */
enum { BINS = 96, REFITS = 3, MOST_JUDGED = 2048 };

typedef struct grey {
    mt_qc *qc;
    double um;
    int32_t w, h;
    const evidence *e;
    double usual; /* density of tissue */
    uint8_t *mask, *thick, *rim;
    morph morph;
} grey;

/* What is left when everything narrower than THICK is worn away and what stays grows back. */
static void open_thick(const grey *g, const uint8_t *mask)
{
    int32_t r = MT_MAX((int32_t)lround(THICK_UM / g->um / 2), 1);
    size_t n = (size_t)g->w * (size_t)g->h;
    morph_erode(&g->morph, g->thick, mask, r);
    morph_dilate(&g->morph, g->thick, g->thick, r);
    for (size_t i = 0; i < n; i++)
        g->thick[i] = g->thick[i] && mask[i];
}

/* ---- measures of a piece ---- */

typedef struct piece {
    double n, x, y, xx, xy, yy; /* mean and central second moments once finished */
    double edges;               /* borders of pixels to what is not of the piece */
    double proof;
    int32_t y0, y1;             /* rows [y0, y1) */
} piece;

static void add_run(piece *p, const struct shape_run *r, int32_t y)
{
    if (p->n == 0) p->y0 = y;
    p->y1 = y + 1;
    double n = r->x1 - r->x0, a = r->x0, b = r->x1 - 1, mean = 0.5 * (a + b);
    double squares = n * mean * mean + n * (n * n - 1) / 12; /* sum of x^2 over the run */
    p->n += n;
    p->x += n * mean;
    p->y += n * y;
    p->xx += squares;
    p->xy += n * mean * y;
    p->yy += n * (double)y * y;
    p->edges += 2;
}

static uint32_t overlap(const shapes *s, int32_t y, const struct shape_run *r)
{
    uint32_t n = 0;
    if (y < 0 || y >= s->height) return 0;
    for (uint32_t i = s->row_begin[y]; i < s->row_begin[y + 1]; i++) {
        int32_t a = MT_MAX(s->runs[i].x0, r->x0), b = MT_MIN(s->runs[i].x1, r->x1);
        if (b > a) n += (uint32_t)(b - a);
        if (s->runs[i].x0 >= r->x1) break;
    }
    return n;
}

static void finish(piece *p)
{
    if (p->n <= 0) return;
    p->x /= p->n;
    p->y /= p->n;
    p->xx = p->xx / p->n - p->x * p->x;
    p->xy = p->xy / p->n - p->x * p->y;
    p->yy = p->yy / p->n - p->y * p->y;
}

static mt_status measure(piece **out, const shapes *s, const uint8_t *code, mt_err *err)
{
    MT_TRY(mt_alloc(out, s->n_runs, sizeof **out, SIZE_MAX, "pieces", err));
    for (int32_t y = 0; y < s->height; y++)
        for (uint32_t i = s->row_begin[y]; i < s->row_begin[y + 1]; i++) {
            const struct shape_run *r = &s->runs[i];
            piece *p = &(*out)[r->piece];
            add_run(p, r, y);
            p->edges += 2.0 * (r->x1 - r->x0) - overlap(s, y - 1, r) - overlap(s, y + 1, r);
            for (int32_t x = r->x0; code && x < r->x1; x++)
                p->proof += code[(size_t)y * (size_t)s->width + (size_t)x] > EVIDENCE_GREYISH;
        }
    for (uint32_t i = 0; i < s->n_runs; i++)
        finish(&(*out)[i]);
    return MT_OK;
}

/* Length and width of a piece, pixels: of the rectangle with the same second moments. */
static void extent(double *length, double *width, const piece *p)
{
    double mean = 0.5 * (p->xx + p->yy), d = hypot(0.5 * (p->xx - p->yy), p->xy);
    *length = sqrt(12 * MT_MAX(mean + d, 1.0 / 12));
    *width = sqrt(12 * MT_MAX(mean - d, 1.0 / 12));
}

static double thickness(const piece *p)
{
    return 2 * p->n / MT_MAX(p->edges, 1.0);
}

static bool is_line(const grey *g, const piece *p)
{
    double length, width;
    extent(&length, &width, p);
    return length * g->um >= LINE_UM && width <= LINE_THIN * length;
}

/* ---- circles ---- */

typedef struct circle {
    double x, y, r;
} circle;

typedef struct fit {
    double n, x, y, xx, xy, yy, xz, yz, z;
} fit;

/* Kasa's fit (1976): least squares of x^2 + y^2 + a x + b y + c, about a near origin. */
static bool solve(circle *c, const fit *f, double ox, double oy)
{
    if (f->n < 12) return false;
    double mx = f->x / f->n, my = f->y / f->n, mz = f->z / f->n;
    double cxx = f->xx / f->n - mx * mx, cyy = f->yy / f->n - my * my, cxy = f->xy / f->n - mx * my;
    double cxz = f->xz / f->n - mx * mz, cyz = f->yz / f->n - my * mz, det = cxx * cyy - cxy * cxy;
    if (!(det > 1e-9 * (cxx + cyy) * (cxx + cyy))) return false;
    double a = 0.5 * (cxz * cyy - cyz * cxy) / det, b = 0.5 * (cyz * cxx - cxz * cxy) / det;
    double r2 = mz - 2 * a * mx - 2 * b * my + a * a + b * b;
    if (!(r2 > 0)) return false;
    *c = (circle){ox + a, oy + b, sqrt(r2)};
    return true;
}

/* Circle through the pixels of piece id that lie within `within` of `guess` (NULL: through all). */
static bool fit_circle(circle *out, const shapes *s, uint32_t id, const piece *p, const circle *guess,
                       double within)
{
    fit f = {0};
    double ox = p->x, oy = p->y;
    for (int32_t y = p->y0; y < p->y1; y++)
        for (uint32_t i = s->row_begin[y]; i < s->row_begin[y + 1]; i++) {
            const struct shape_run *r = &s->runs[i];
            if (r->piece != id) continue;
            for (int32_t x = r->x0; x < r->x1; x++) {
                if (guess && fabs(hypot(x - guess->x, y - guess->y) - guess->r) > within) continue;
                double dx = x - ox, dy = y - oy, z = dx * dx + dy * dy;
                f.n++;
                f.x += dx;
                f.y += dy;
                f.xx += dx * dx;
                f.xy += dx * dy;
                f.yy += dy * dy;
                f.xz += dx * z;
                f.yz += dy * z;
                f.z += z;
            }
        }
    return solve(out, &f, ox, oy);
}

/* Share of the circle on which a rim pixel lies within two pixels; own: of piece id alone. */
static double covered(const grey *g, const shapes *s, uint32_t id, const circle *c, bool own)
{
    int n = 0;
    for (int k = 0; k < BINS; k++) {
        double a = 2 * M_PI * (k + 0.5) / BINS;
        bool seen = false;
        for (int d = -2; d <= 2 && !seen; d++) {
            int32_t x = (int32_t)lround(c->x + (c->r + d) * cos(a)), y = (int32_t)lround(c->y + (c->r + d) * sin(a));
            if (x < 0 || y < 0 || x >= g->w || y >= g->h) continue;
            seen = g->rim[(size_t)y * (size_t)g->w + (size_t)x] && (!own || shapes_piece_at(s, x, y) == id);
        }
        n += seen;
    }
    return (double)n / BINS;
}

static bool find_ring(circle *c, const grey *g, const shapes *s, uint32_t id, const piece *p)
{
    double least = RING_UM / g->um, side = hypot(g->w, g->h);
    if (!fit_circle(c, s, id, p, NULL, 0)) return false;
    for (int k = 0; k < REFITS; k++) {
        circle better;
        double within = MT_MAX(0.25 * c->r / (1 << k), 2.5);
        if (!(c->r >= 0.5 * least) || c->r > side || !fit_circle(&better, s, id, p, c, within)) return false;
        *c = better;
    }
    return c->r >= least && c->r < side && covered(g, s, id, c, true) >= RING_ARC &&
           covered(g, s, id, c, false) >= RING_WHOLE;
}

static void flag_disc(mt_qc *qc, const circle *c, double rim)
{
    double r = c->r + rim;
    int32_t y0 = (int32_t)MT_MAX(c->y - r, 0.0), y1 = (int32_t)MT_MIN(c->y + r + 1, (double)qc->height);
    for (int32_t y = y0; y < y1; y++) {
        double half2 = r * r - (y - c->y) * (y - c->y);
        if (half2 < 0) continue;
        int32_t x0 = (int32_t)MT_MAX(ceil(c->x - sqrt(half2)), 0.0);
        int32_t x1 = (int32_t)MT_MIN(floor(c->x + sqrt(half2)) + 1, (double)qc->width);
        for (int32_t x = x0; x < x1; x++)
            qc->flags[(size_t)y * (size_t)qc->width + (size_t)x] |= MT_QC_BUBBLE;
    }
}

/* A line goes on over tissue, where its pieces are not so clean: it is followed both ways while half of
 * the last stretch is seen. */
static void follow_line(const grey *g, const piece *p)
{
    double a = 0.5 * atan2(2 * p->xy, p->xx - p->yy), ux = cos(a), uy = sin(a);
    for (int way = -1; way <= 1; way += 2) {
        uint64_t seen = ~UINT64_C(0); /* of the last 64 steps */
        for (int64_t k = 0; __builtin_popcountll(seen) >= 32; k++) {
            bool here = false;
            int32_t x = 0, y = 0;
            for (int d = -2; d <= 2; d++) {
                x = (int32_t)lround(p->x + way * (double)k * ux - d * uy);
                y = (int32_t)lround(p->y + way * (double)k * uy + d * ux);
                if (x < 0 || y < 0 || x >= g->w || y >= g->h) continue;
                size_t i = (size_t)y * (size_t)g->w + (size_t)x;
                if (!g->rim[i]) continue;
                g->qc->flags[i] |= MT_QC_EDGE;
                here = true;
            }
            if (x < -2 || y < -2 || x > g->w + 2 || y > g->h + 2) break;
            seen = seen << 1 | here;
        }
    }
}

/* A rim is grey over glass; over tissue it is far denser than usual. Nuclei are too, but in specks; what
 * is wide is no rim. */
static mt_status find_rings(grey *g, mt_err *err)
{
    MT_AUTO(shapes_free) shapes s = {0};
    MT_AUTO_FREE piece *p = NULL;
    size_t n = (size_t)g->w * (size_t)g->h;
    double least = 0.15 * 2 * M_PI * RING_UM / g->um;
    int judged = 0;
    MT_TRY(mt_alloc(&g->rim, n, 1, SIZE_MAX, "rims", err));
    for (size_t i = 0; i < n; i++)
        g->rim[i] = g->e->code[i] != EVIDENCE_INK && ((g->e->code[i] & EVIDENCE_KIND) == EVIDENCE_GREY ||
                                                      g->e->dens[i] >= RIM_DENSE * g->usual);
    open_thick(g, g->rim);
    for (size_t i = 0; i < n; i++)
        g->rim[i] = g->rim[i] && !g->thick[i];
    MT_TRY(shapes_find(&s, g->rim, g->w, g->h, true, err));
    MT_TRY(measure(&p, &s, NULL, err));
    for (uint32_t i = 0; i < s.n_runs && judged < MOST_JUDGED; i++) {
        circle c;
        double length, width;
        if (s.runs[i].piece != i || p[i].n < 2 * least) continue;
        extent(&length, &width, &p[i]);
        if (length < 1.5 * RING_UM / g->um || thickness(&p[i]) * g->um > RIM_UM) continue;
        judged++;
        if (is_line(g, &p[i]))
            follow_line(g, &p[i]);
        else if (find_ring(&c, g, &s, i, &p[i]))
            flag_disc(g->qc, &c, 1.5);
    }
    return MT_OK;
}

/* ---- verdicts ---- */


/* One bit a piece, all pieces in one pass. */
static void flag_pieces(mt_qc *qc, const shapes *s, const uint8_t *bit)
{
    for (int32_t y = 0; y < s->height; y++)
        for (uint32_t i = s->row_begin[y]; i < s->row_begin[y + 1]; i++) {
            const struct shape_run *r = &s->runs[i];
            for (int32_t x = r->x0; bit[r->piece] && x < r->x1; x++)
                qc->flags[(size_t)y * (size_t)qc->width + (size_t)x] |= bit[r->piece];
        }
}

static double share_of(const grey *g, const shapes *s, uint32_t id, const piece *p, uint8_t bit)
{
    uint64_t n = 0;
    for (int32_t y = p->y0; y < p->y1; y++)
        for (uint32_t i = s->row_begin[y]; i < s->row_begin[y + 1]; i++)
            for (int32_t x = s->runs[i].x0; s->runs[i].piece == id && x < s->runs[i].x1; x++)
                n += (g->qc->flags[(size_t)y * (size_t)g->w + (size_t)x] & bit) != 0;
    return (double)n / p->n;
}

/* Strokes of black ink, and of green over tissue, which is grey there: long, of pen's width, whatever
 * gaps the nuclei under them leave. What is flagged leaves the mask. */
static mt_status find_strokes(const grey *g, mt_err *err)
{
    MT_AUTO(shapes_free) shapes s = {0};
    MT_AUTO_FREE piece *p = NULL;
    MT_AUTO_FREE uint8_t *bit = NULL;
    int32_t gap = MT_MAX((int32_t)lround(GAP_UM / g->um / 2), 1);
    size_t n = (size_t)g->w * (size_t)g->h;
    morph_dilate(&g->morph, g->thick, g->mask, gap);
    morph_erode(&g->morph, g->thick, g->thick, gap);
    for (size_t i = 0; i < n; i++)
        g->thick[i] = g->thick[i] && (g->mask[i] || g->e->code[i]);
    MT_TRY(shapes_find(&s, g->thick, g->w, g->h, true, err));
    MT_TRY(measure(&p, &s, NULL, err));
    MT_TRY(mt_alloc(&bit, s.n_runs, 1, SIZE_MAX, "pieces", err));
    for (uint32_t i = 0; i < s.n_runs; i++) {
        double length, width, t = thickness(&p[i]);
        if (s.runs[i].piece != i) continue;
        extent(&length, &width, &p[i]);
        if (p[i].n * g->um * g->um >= STROKE_UM2 && t * g->um >= STROKE_WIDE_UM && p[i].n >= STROKE_LONG * t * t &&
            length * g->um >= STROKE_UM && share_of(g, &s, i, &p[i], MT_QC_BUBBLE | MT_QC_EDGE) < 0.5)
            bit[i] = MT_QC_PEN;
    }
    flag_pieces(g->qc, &s, bit);
    for (size_t i = 0; i < n; i++)
        g->mask[i] = g->mask[i] && !(g->qc->flags[i] & MT_QC_PEN);
    return MT_OK;
}

/* Rags of an opening belong to what they hang on. */
static bool hangs_on(const grey *g, const shapes *s, uint32_t id, const piece *p, uint8_t bit)
{
    for (int32_t y = p->y0; y < p->y1; y++)
        for (uint32_t i = s->row_begin[y]; i < s->row_begin[y + 1]; i++) {
            const struct shape_run *r = &s->runs[i];
            if (r->piece != id) continue;
            for (int32_t yy = MT_MAX(y - 1, 0); yy <= MT_MIN(y + 1, g->h - 1); yy++)
                for (int32_t x = MT_MAX(r->x0 - 1, 0); x < MT_MIN(r->x1 + 1, g->w); x++)
                    if (g->qc->flags[(size_t)yy * (size_t)g->w + (size_t)x] & bit) return true;
        }
    return false;
}

/* The rest is dirt, but for what belongs to a line, a rim or a stroke. */
static mt_status judge_rest(const grey *g, mt_err *err)
{
    MT_AUTO(shapes_free) shapes s = {0};
    MT_AUTO_FREE piece *p = NULL;
    MT_AUTO_FREE uint8_t *bit = NULL;
    size_t n = (size_t)g->w * (size_t)g->h;
    double least = MT_MAX(RING_ARC * 2 * M_PI * RING_UM / g->um, 12.0);
    int judged = 0;
    open_thick(g, g->mask);
    for (size_t i = 0; i < n; i++) {
        if (g->thick[i]) g->qc->flags[i] |= MT_QC_DARK;
        g->mask[i] = g->mask[i] && !g->thick[i];
    }
    MT_TRY(shapes_find(&s, g->mask, g->w, g->h, true, err));
    MT_TRY(measure(&p, &s, NULL, err));
    MT_TRY(mt_alloc(&bit, s.n_runs, 1, SIZE_MAX, "pieces", err));
    for (uint32_t i = 0; i < s.n_runs; i++) {
        if (s.runs[i].piece != i) continue;
        bit[i] = MT_QC_DARK;
        double length, width;
        extent(&length, &width, &p[i]);
        if (p[i].n < least || length < 1.5 * RING_UM / g->um || ++judged > MOST_JUDGED) continue;
        if (is_line(g, &p[i])) {
            follow_line(g, &p[i]);
            bit[i] = MT_QC_EDGE;
        } else if (share_of(g, &s, i, &p[i], MT_QC_EDGE) >= 0.5) {
            bit[i] = MT_QC_EDGE;
        } else if (share_of(g, &s, i, &p[i], MT_QC_BUBBLE) >= 0.5) {
            bit[i] = MT_QC_BUBBLE;
        } else if (hangs_on(g, &s, i, &p[i], MT_QC_PEN)) {
            bit[i] = MT_QC_PEN;
        }
    }
    flag_pieces(g->qc, &s, bit);
    return MT_OK;
}

/* Grey pieces with proof and of some size go on. */
static mt_status choose_pieces(const grey *g, bool *any, mt_err *err)
{
    const evidence *e = g->e;
    MT_AUTO(shapes_free) shapes s = {0};
    MT_AUTO_FREE piece *p = NULL;
    size_t n = (size_t)g->w * (size_t)g->h;
    for (size_t i = 0; i < n; i++)
        g->mask[i] = e->code[i] != EVIDENCE_INK && (e->code[i] & EVIDENCE_KIND) == EVIDENCE_GREY;
    MT_TRY(shapes_find(&s, g->mask, g->w, g->h, true, err));
    MT_TRY(measure(&p, &s, e->code, err));
    memset(g->mask, 0, n);
    for (int32_t y = 0; y < s.height; y++)
        for (uint32_t i = s.row_begin[y]; i < s.row_begin[y + 1]; i++) {
            const struct shape_run *r = &s.runs[i];
            const piece *q = &p[r->piece];
            if (q->n * g->um * g->um < LEAST_UM2 || q->proof < LEAST_SEEDS * q->n || q->proof < 3) continue;
            memset(g->mask + (size_t)y * (size_t)g->w + (size_t)r->x0, 1, (size_t)(r->x1 - r->x0));
            *any = true;
        }
    return MT_OK;
}

static mt_status look(grey *g, mt_err *err)
{
    size_t n = (size_t)g->w * (size_t)g->h;
    bool any = false;
    MT_TRY(mt_alloc(&g->mask, n, 1, SIZE_MAX, "grey mask", err));
    MT_TRY(mt_alloc(&g->thick, n, 1, SIZE_MAX, "grey mask", err));
    MT_TRY(morph_init(&g->morph, g->w, g->h, err));
    MT_TRY(find_rings(g, err));
    MT_TRY(choose_pieces(g, &any, err));
    if (!any) return MT_OK;
    MT_TRY(find_strokes(g, err));
    return judge_rest(g, err);
}

mt_status qc_find_grey(mt_qc *qc, const evidence *e, mt_err *err)
{
    grey g = {.qc = qc, .um = qc->mask_mpp, .w = qc->width, .h = qc->height, .e = e};
    g.usual = MT_MAX(qc_usual_density(qc, e), 12.0);
    mt_status st = look(&g, err);
    free(g.mask);
    free(g.thick);
    free(g.rim);
    morph_free(&g.morph);
    return st;
}
