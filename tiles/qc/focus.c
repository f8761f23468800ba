/* Focus: how fast the optical density changes over one micrometre against over four.
 *
 *     sharpness = 1 - log(D4 / D1) / log(16),   Dk = mean square of the difference over k um
 *
 * A ramp has D4 = 16 D1 and sharpness 0; white noise has D4 = D1 and sharpness 1. Contrast and strength
 * of the stain divide out, so pale and dark slides compare. Measured: sections in focus have 0.49 to
 * 0.68 (Aperio, 20x, JPEG), 0.31 to 0.61 (40x scan, JPEG 2000), drawn slides 0.35 to 0.50; the same
 * after Gaussian blur of sigma 1 um 0.13 to 0.30, 1.5 um 0.08 to 0.20, 2 um 0.05 to 0.14. The structure
 * function and its slope: A. N. Kolmogorov 1941; as a measure of focus it needs no reference.
 *
 * Only pairs of pixels well inside the tissue count, so the rim of a biopsy has no say. Native tiles are
 * sampled: of every block of k x k tiles one in its middle that is full of tissue, k such that at most every 16th pixel
 * of level 0 is decoded, less sparsely where a slide has little tissue. Blocks that do not agree with
 * their neighbours, or that lie near the limit, are looked at more closely, with as many tiles again at
 * most. Sums are whole numbers. */
#include <math.h>
#include <string.h>
#include "base/workers.h"
#include "tiles/natives.h"
#include "tiles/plan/geom.h"
#include "tiles/qc/qc.h"

#define AIM_UM 1.0          /* pixel that is measured */
#define MOST_UM 1.25        /* a slide without such pixels cannot be judged */
#define LAG 4
#define CELL 16             /* mask pixels a side: 128 um, gets one value */
#define SHARE 4.0           /* every SHARE^2 th pixel of level 0 */
#define LEAST_TILES 24
#define CELL_PAIRS 2000     /* a cell with fewer has no value of its own */
#define UNSURE 0.05         /* so near the limit a block is looked at more closely */
#define CLOSER 4            /* tiles of such a block, at most */
#define FLAT 10000.0        /* mean square, 1e-4 OD: nothing to see in 0.01 OD */
#define PLANE_CEILING ((size_t)512 << 20)
enum { UNIT = 64, LEVELS = 4081, SCALE = 16 };

typedef struct cell {
    uint64_t d1, d4, n;
} cell;

typedef struct focus {
    mt_qc *qc;
    const mt_slide *slide;
    int level, threads;
    double ds, um;             /* level-0 pixels a pixel of the level; um a measured pixel */
    int32_t tile_w, tile_h;
    int64_t level_w, level_h;
    int64_t (*tiles)[2];
    size_t n_tiles, first;     /* tiles from `first` on are still to be decoded */
    int k;                     /* side of a block */
    cell *tile_sums;           /* of each tile */
    int32_t cols, rows;        /* of cells */
    cell *cells;
    int32_t od[LEVELS];        /* 1e-4 OD of SCALE x green */
    natives natives;
    int32_t **planes;          /* measured pixels; -1 outside the tissue */
    int32_t plane_w, plane_h;
    mt_team_err failed;
} focus;

/* ---- which tiles ---- */

static bool is_tissue(const mt_qc *qc, int32_t x, int32_t y)
{
    if (x < 0 || y < 0 || x >= qc->width || y >= qc->height) return false;
    uint8_t f = qc->flags[(size_t)y * (size_t)qc->width + (size_t)x];
    return (f & MT_QC_TISSUE) && !(f & QC_HIDES);
}

static uint32_t tissue_under(const focus *f, int64_t tx, int64_t ty)
{
    double scale = f->ds / f->qc->px_l0;
    int32_t x0 = (int32_t)((double)tx * f->tile_w * scale), y0 = (int32_t)((double)ty * f->tile_h * scale);
    int32_t x1 = (int32_t)ceil((double)(tx + 1) * f->tile_w * scale);
    int32_t y1 = (int32_t)ceil((double)(ty + 1) * f->tile_h * scale);
    uint32_t n = 0;
    for (int32_t y = y0; y < MT_MIN(y1, f->qc->height); y++)
        for (int32_t x = x0; x < MT_MIN(x1, f->qc->width); x++)
            n += is_tissue(f->qc, x, y);
    return n;
}

typedef struct block {
    int64_t x0, x1, y0, y1; /* tiles */
    uint32_t most;          /* tissue of the tile that has most */
} block;

static block block_at(const focus *f, const mt_level *l, int64_t bx, int64_t by, int k)
{
    block b = {bx * k, MT_MIN((bx + 1) * k, l->tiles_x), by * k, MT_MIN((by + 1) * k, l->tiles_y), 0};
    for (int64_t ty = b.y0; ty < b.y1; ty++)
        for (int64_t tx = b.x0; tx < b.x1; tx++)
            b.most = MT_MAX(b.most, tissue_under(f, tx, ty));
    return b;
}

/* Of a block the tile nearest to its middle among those that have nearly most tissue. */
static void middle_tile(int64_t at[2], const focus *f, const block *b)
{
    int64_t best = INT64_MAX;
    for (int64_t ty = b->y0; ty < b->y1; ty++)
        for (int64_t tx = b->x0; tx < b->x1; tx++) {
            int64_t dx = 2 * tx - (b->x0 + b->x1 - 1), dy = 2 * ty - (b->y0 + b->y1 - 1), d = dx * dx + dy * dy;
            if (d >= best || 5 * (uint64_t)tissue_under(f, tx, ty) < 4 * (uint64_t)b->most) continue;
            best = d;
            at[0] = tx;
            at[1] = ty;
        }
}

/* One tile of each block of k x k that has tissue. Counts only when tiles is NULL. */
static size_t choose_tiles(focus *f, const mt_level *l, int k, int64_t (*tiles)[2])
{
    size_t n = 0;
    for (int64_t by = 0; by * k < l->tiles_y; by++)
        for (int64_t bx = 0; bx * k < l->tiles_x; bx++) {
            block b = block_at(f, l, bx, by, k);
            if (!b.most) continue;
            if (tiles) middle_tile(tiles[n], f, &b);
            n++;
        }
    return n;
}

static mt_status plan_tiles(focus *f, mt_err *err)
{
    const mt_level *l = &mt_slide_get_info(f->slide)->levels[f->level];
    int k = MT_MAX((int)ceil(SHARE / f->ds - 1e-6), 1);
    size_t n = choose_tiles(f, l, k, NULL);
    for (; k > 1 && n < LEAST_TILES; k--)
        n = choose_tiles(f, l, k - 1, NULL);
    f->k = k;
    MT_TRY(mt_alloc(&f->tiles, 2 * n, sizeof *f->tiles, SIZE_MAX, "focus tiles", err));
    MT_TRY(mt_alloc(&f->tile_sums, 2 * n, sizeof *f->tile_sums, SIZE_MAX, "focus tiles", err));
    f->n_tiles = choose_tiles(f, l, k, f->tiles);
    return MT_OK;
}

/* The coarsest level whose pixels are no larger than AIM_UM; false when level 0 has larger ones still. */
static bool choose_level(focus *f)
{
    const mt_slide_info *info = mt_slide_get_info(f->slide);
    double mpp = f->qc->mask_mpp / f->qc->px_l0;
    if (mpp > MOST_UM) return false;
    f->ds = geom_downsample(info, 0);
    for (int i = 1; i < info->n_levels; i++)
        if (geom_downsample(info, i) * mpp <= AIM_UM * 1.02 && geom_downsample(info, i) > f->ds) {
            f->level = i;
            f->ds = geom_downsample(info, i);
        }
    f->um = MT_MAX(f->ds * mpp, AIM_UM);
    if (f->ds * mpp > 0.98) f->um = f->ds * mpp;
    return true;
}

/* ---- one tile ---- */

/* Mean green of each measured pixel of the tile as optical density; -1 outside the tissue. */
static void fill_plane(const focus *f, int32_t *plane, const uint8_t *px, const int64_t t[2], int32_t w,
                       int32_t h)
{
    double step = f->um / (f->qc->mask_mpp / f->qc->px_l0) / f->ds; /* source pixels */
    double to_mask = f->ds / f->qc->px_l0;
    size_t stride = (size_t)f->tile_w * 3;
    for (int32_t j = 0; j < h; j++) {
        int32_t y0 = (int32_t)nearbyint(j * step * UNIT), y1 = (int32_t)nearbyint((j + 1) * step * UNIT);
        int32_t my = (int32_t)(((double)t[1] * f->tile_h + (j + 0.5) * step) * to_mask);
        for (int32_t i = 0; i < w; i++) {
            int32_t x0 = (int32_t)nearbyint(i * step * UNIT), x1 = (int32_t)nearbyint((i + 1) * step * UNIT);
            int32_t mx = (int32_t)(((double)t[0] * f->tile_w + (i + 0.5) * step) * to_mask);
            int32_t *out = &plane[(size_t)j * (size_t)f->plane_w + (size_t)i];
            *out = -1;
            if (!is_tissue(f->qc, mx, my) || !is_tissue(f->qc, mx - 1, my) || !is_tissue(f->qc, mx + 1, my) ||
                !is_tissue(f->qc, mx, my - 1) || !is_tissue(f->qc, mx, my + 1))
                continue;
            uint64_t sum = 0, weight = 0;
            for (int32_t y = y0; y < y1;) {
                int32_t row = y / UNIT, ye = MT_MIN((row + 1) * UNIT, y1);
                for (int32_t x = x0; x < x1;) {
                    int32_t col = x / UNIT, xe = MT_MIN((col + 1) * UNIT, x1);
                    uint64_t k = (uint64_t)(xe - x) * (uint64_t)(ye - y);
                    sum += k * px[(size_t)row * stride + (size_t)col * 3 + 1];
                    weight += k;
                    x = xe;
                }
                y = ye;
            }
            *out = f->od[(sum * SCALE + weight / 2) / weight];
        }
    }
}

static void add_cell(cell *to, const cell *c)
{
    if (!c->n) return;
    __atomic_fetch_add(&to->d1, c->d1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&to->d4, c->d4, __ATOMIC_RELAXED);
    __atomic_fetch_add(&to->n, c->n, __ATOMIC_RELAXED);
}

/* To the cell, which other tiles share, and to the tile, which is this worker's. */
static void add_sums(focus *f, size_t tile, int32_t cy, int32_t cx, const cell *sum)
{
    cell *own = &f->tile_sums[tile];
    add_cell(&f->cells[(size_t)cy * (size_t)f->cols + (size_t)cx], sum);
    own->d1 += sum->d1;
    own->d4 += sum->d4;
    own->n += sum->n;
}

static inline void add_pair(cell *c, int32_t here, int32_t near, int32_t far)
{
    int64_t a = near - here, b = far - here;
    c->d1 += (uint64_t)(a * a);
    c->d4 += (uint64_t)(b * b);
    c->n++;
}

static void add_plane(focus *f, const int32_t *plane, size_t tile, int32_t w, int32_t h)
{
    const int64_t *t = f->tiles[tile];
    double um_l0 = f->qc->mask_mpp / f->qc->px_l0, side = CELL * f->qc->mask_mpp;
    double x_um = (double)t[0] * f->tile_w * f->ds * um_l0, y_um = (double)t[1] * f->tile_h * f->ds * um_l0;
    const size_t pitch = (size_t)f->plane_w;
    for (int32_t j = 0; j + LAG < h; j++) {
        int32_t cy = MT_MIN((int32_t)((y_um + (j + 0.5) * f->um) / side), f->rows - 1), cx = -1;
        cell sum = {0, 0, 0};
        for (int32_t i = 0; i + LAG < w; i++) {
            int32_t c = MT_MIN((int32_t)((x_um + (i + 0.5) * f->um) / side), f->cols - 1);
            if (c != cx) {
                if (cx >= 0) add_sums(f, tile, cy, cx, &sum);
                sum = (cell){0, 0, 0};
                cx = c;
            }
            const int32_t *p = plane + (size_t)j * pitch + (size_t)i;
            if (p[0] < 0) continue;
            if (p[1] >= 0 && p[LAG] >= 0) add_pair(&sum, p[0], p[1], p[LAG]);
            if (p[pitch] >= 0 && p[LAG * pitch] >= 0) add_pair(&sum, p[0], p[pitch], p[LAG * pitch]);
        }
        if (cx >= 0) add_sums(f, tile, cy, cx, &sum);
    }
}

static void tile_job(void *ctx, int worker, size_t i)
{
    focus *f = ctx;
    mt_err e = MT_ERR_INIT;
    const int64_t *t = f->tiles[i += f->first];
    if (mt_team_failed(&f->failed)) return;
    mt_status st = mt_tile_reader_decode(f->natives.readers[worker], f->level, t[0], t[1], 1,
                                         f->natives.px[worker], (size_t)f->tile_w * 3, &e);
    if (mt_is_tile_fault(st)) return; /* no say */
    if (st != MT_OK) {
        mt_team_fail(&f->failed, &e);
        return;
    }
    double step = f->um / (f->qc->mask_mpp / f->qc->px_l0) / f->ds;
    int32_t w = (int32_t)((double)MT_MIN(f->tile_w, f->level_w - t[0] * f->tile_w) / step);
    int32_t h = (int32_t)((double)MT_MIN(f->tile_h, f->level_h - t[1] * f->tile_h) / step);
    fill_plane(f, f->planes[worker], f->natives.px[worker], t, w, h);
    add_plane(f, f->planes[worker], i, w, h);
}

/* NaN when there is too little to see. */
static double sharpness(const cell *c)
{
    if (c->n < CELL_PAIRS || (double)c->d4 < FLAT * (double)c->n || !c->d1) return NAN;
    double s = 1.0 - log((double)c->d4 / (double)c->d1) / log(16.0);
    return MT_MIN(MT_MAX(s, 0.0), 1.0);
}

/* ---- a closer look ---- */

/* Further tiles of a block: as far as can be from those taken, with half the tissue at least. */
static void take_more(focus *f, const mt_level *l, size_t own, size_t most)
{
    block b = block_at(f, l, f->tiles[own][0] / f->k, f->tiles[own][1] / f->k, f->k);
    size_t first = f->n_tiles;
    for (int n = 1; n < CLOSER && f->n_tiles < most; n++) {
        int64_t best = 0, at[2] = {0, 0};
        for (int64_t ty = b.y0; ty < b.y1; ty++)
            for (int64_t tx = b.x0; tx < b.x1; tx++) {
                int64_t dx = tx - f->tiles[own][0], dy = ty - f->tiles[own][1], d = dx * dx + dy * dy;
                for (size_t i = first; i < f->n_tiles; i++) {
                    dx = tx - f->tiles[i][0];
                    dy = ty - f->tiles[i][1];
                    d = MT_MIN(d, dx * dx + dy * dy);
                }
                if (d <= best || 2 * (uint64_t)tissue_under(f, tx, ty) < b.most) continue;
                best = d;
                at[0] = tx;
                at[1] = ty;
            }
        if (!best) return;
        memcpy(f->tiles[f->n_tiles++], at, sizeof at);
    }
}

/* Blocks are compared with the four beside them. */
static mt_status choose_closer(focus *f, double focus_min, mt_err *err)
{
    const mt_level *l = &mt_slide_get_info(f->slide)->levels[f->level];
    int64_t bw = (l->tiles_x + f->k - 1) / f->k, bh = (l->tiles_y + f->k - 1) / f->k;
    MT_AUTO_FREE float *v = NULL;
    f->first = f->n_tiles;
    if (f->k == 1) return MT_OK;
    MT_TRY(mt_alloc(&v, (size_t)bw * (size_t)bh, sizeof *v, SIZE_MAX, "focus blocks", err));
    for (int64_t i = 0; i < bw * bh; i++)
        v[i] = NAN;
    for (size_t i = 0; i < f->first; i++)
        v[f->tiles[i][1] / f->k * bw + f->tiles[i][0] / f->k] = (float)sharpness(&f->tile_sums[i]);
    size_t most = 2 * f->first;
    for (size_t i = 0; i < f->first && f->n_tiles < most; i++) {
        int64_t bx = f->tiles[i][0] / f->k, by = f->tiles[i][1] / f->k;
        double here = (double)v[by * bw + bx];
        bool closer = fabs(here - focus_min) < UNSURE;
        const int64_t near[4][2] = {{bx - 1, by}, {bx + 1, by}, {bx, by - 1}, {bx, by + 1}};
        for (int k = 0; k < 4; k++) {
            if (near[k][0] < 0 || near[k][1] < 0 || near[k][0] >= bw || near[k][1] >= bh) continue;
            double other = (double)v[near[k][1] * bw + near[k][0]];
            closer |= !isnan(here) && !isnan(other) && (here < focus_min) != (other < focus_min);
        }
        if (closer) take_more(f, l, i, most);
    }
    return MT_OK;
}

static mt_status get_workers(focus *f, mt_err *err)
{
    size_t native = (size_t)f->tile_w * (size_t)f->tile_h * 3;
    double step = f->um / (f->qc->mask_mpp / f->qc->px_l0) / f->ds;
    f->plane_w = (int32_t)(f->tile_w / step) + 1;
    f->plane_h = (int32_t)(f->tile_h / step) + 1;
    size_t plane = (size_t)f->plane_w * (size_t)f->plane_h * sizeof(int32_t);
    MT_TRY(natives_open(&f->natives, f->slide, f->threads, native, plane, err));
    f->threads = f->natives.n;
    MT_TRY(mt_alloc(&f->planes, (size_t)f->threads, sizeof *f->planes, SIZE_MAX, "focus planes", err));
    for (int i = 0; i < f->threads; i++)
        MT_TRY(mt_alloc_aligned(&f->planes[i], plane, PLANE_CEILING, "focus planes", err));
    return MT_OK;
}

static void focus_free(focus *f)
{
    for (int i = 0; f->planes && i < f->natives.n; i++) free(f->planes[i]);
    natives_free(&f->natives);
    free(f->planes);
    free(f->tiles);
    free(f->tile_sums);
    free(f->cells);
}

/* ---- from sums to values ---- */

typedef struct value {
    double sharp;
    uint64_t n;
} value;

static int by_sharpness(const void *a, const void *b)
{
    const value *x = a, *y = b;
    if (x->sharp != y->sharp) return x->sharp < y->sharp ? -1 : 1;
    return (x->n > y->n) - (x->n < y->n);
}

static double quantile(const value *v, size_t n, uint64_t total, double q)
{
    uint64_t below = 0;
    for (size_t i = 0; i < n; i++) {
        below += v[i].n;
        if ((double)below >= q * (double)total) return v[i].sharp;
    }
    return n ? v[n - 1].sharp : NAN;
}

static mt_status fill_figures(focus *f, mt_err *err)
{
    mt_qc_figures *g = &f->qc->figures;
    MT_AUTO_FREE value *v = NULL;
    size_t n_cells = (size_t)f->cols * (size_t)f->rows, n = 0;
    uint64_t total = 0;
    MT_TRY(mt_alloc(&v, n_cells, sizeof *v, SIZE_MAX, "focus figures", err));
    for (size_t i = 0; i < n_cells; i++) {
        double s = sharpness(&f->cells[i]);
        if (isnan(s)) continue;
        v[n++] = (value){s, f->cells[i].n};
        total += f->cells[i].n;
    }
    g->focus_mpp = f->um;
    g->focus_level = f->level;
    if (!n) return MT_OK;
    qsort(v, n, sizeof *v, by_sharpness);
    g->focus_p05 = quantile(v, n, total, 0.05);
    g->focus_p25 = quantile(v, n, total, 0.25);
    g->focus_p50 = quantile(v, n, total, 0.50);
    g->focus_p75 = quantile(v, n, total, 0.75);
    g->focus_p95 = quantile(v, n, total, 0.95);
    return MT_OK;
}

/* A cell that was not looked at gets the value of what was nearest around it. */
static double value_near(const focus *f, int32_t cx, int32_t cy, int32_t reach)
{
    for (int32_t r = 0; r <= reach; r++) {
        cell sum = {0, 0, 0};
        for (int32_t y = MT_MAX(cy - r, 0); y <= MT_MIN(cy + r, f->rows - 1); y++)
            for (int32_t x = MT_MAX(cx - r, 0); x <= MT_MIN(cx + r, f->cols - 1); x++) {
                const cell *c = &f->cells[(size_t)y * (size_t)f->cols + (size_t)x];
                sum.d1 += c->d1;
                sum.d4 += c->d4;
                sum.n += c->n;
            }
        double s = sharpness(&sum);
        if (!isnan(s)) return s;
    }
    return NAN;
}

static void flag_cells(focus *f, double focus_min)
{
    mt_qc *qc = f->qc;
    int32_t reach = 8;
    for (int32_t cy = 0; cy < f->rows; cy++)
        for (int32_t cx = 0; cx < f->cols; cx++) {
            int32_t x0 = cx * CELL, x1 = MT_MIN(x0 + CELL, qc->width), y1 = MT_MIN((cy + 1) * CELL, qc->height);
            bool tissue = false;
            for (int32_t y = cy * CELL; y < y1 && !tissue; y++)
                for (int32_t x = x0; x < x1 && !tissue; x++)
                    tissue = is_tissue(qc, x, y);
            if (!tissue || !(value_near(f, cx, cy, reach) < focus_min)) continue;
            for (int32_t y = cy * CELL; y < y1; y++)
                for (int32_t x = x0; x < x1; x++)
                    if (is_tissue(qc, x, y)) qc->flags[(size_t)y * (size_t)qc->width + (size_t)x] |= MT_QC_FOCUS;
        }
}

/* What was found and what it took. */
static void account(focus *f)
{
    mt_qc_figures *g = &f->qc->figures;
    uint64_t tissue = 0, seen = 0, blurred = 0;
    size_t n = (size_t)f->qc->width * (size_t)f->qc->height;
    for (size_t i = 0; i < n; i++) {
        unsigned flags = f->qc->flags[i];
        tissue += (flags & MT_QC_TISSUE) && !(flags & QC_HIDES);
        blurred += (flags & MT_QC_FOCUS) != 0;
    }
    for (size_t i = 0; i < f->n_tiles; i++)
        seen += tissue_under(f, f->tiles[i][0], f->tiles[i][1]);
    g->focus_measured = tissue ? MT_MIN((double)seen / (double)tissue, 1.0) : 0;
    g->focus_tiles = f->n_tiles;
    g->focus_pixels = (uint64_t)f->n_tiles * (uint64_t)f->tile_w * (uint64_t)f->tile_h;
    if (tissue && !isnan(g->focus_p50)) g->share[0] = (double)blurred / (double)tissue;
}

static mt_status run(focus *f, double focus_min, mt_err *err)
{
    const mt_level *l = &mt_slide_get_info(f->slide)->levels[f->level];
    f->tile_w = l->tile_w;
    f->tile_h = l->tile_h;
    f->level_w = l->width;
    f->level_h = l->height;
    f->cols = (f->qc->width + CELL - 1) / CELL;
    f->rows = (f->qc->height + CELL - 1) / CELL;
    for (int v = 0; v < LEVELS; v++)
        f->od[v] = (int32_t)lround(10000.0 * log10(255.0 * SCALE / MT_MAX(v, SCALE)));
    MT_TRY(mt_alloc(&f->cells, (size_t)f->cols * (size_t)f->rows, sizeof *f->cells, SIZE_MAX, "focus cells",
                    err));
    MT_TRY(plan_tiles(f, err));
    if (!f->n_tiles) return MT_OK;
    MT_TRY(get_workers(f, err));
    mt_workers_each(f->threads, f->n_tiles, tile_job, f);
    MT_TRY(fill_figures(f, err)); /* before the closer look, which is no fair sample */
    MT_TRY(choose_closer(f, focus_min, err));
    mt_workers_each(f->threads, f->n_tiles - f->first, tile_job, f);
    if (f->failed.set) return mt_err_set(err, f->failed.err.code, "%s", f->failed.err.text);
    MT_TRY(mt_slide_check(f->slide, err));
    flag_cells(f, focus_min);
    account(f);
    return MT_OK;
}

mt_status qc_measure_focus(mt_qc *qc, const mt_slide *slide, int threads, double focus_min, mt_err *err)
{
    mt_qc_figures *g = &qc->figures;
    g->focus_p05 = g->focus_p25 = g->focus_p50 = g->focus_p75 = g->focus_p95 = g->share[0] = NAN;
    focus f = {.qc = qc, .slide = slide, .threads = threads};
    if (!choose_level(&f)) return MT_OK;
    mt_status st = run(&f, focus_min, err);
    focus_free(&f);
    return st;
}
