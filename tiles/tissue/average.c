/* The slide is averaged down to a grid of fixed spacing, whatever levels it has: whole-number sums over
 * bands of native tiles, so that nothing depends on who comes first. */
#include "tiles/tissue/average.h"

#include <math.h>
#include <string.h>
#include "base/workers.h"
#include "tiles/natives.h"
#include "tiles/plan/geom.h"

#define BAND_CEILING ((size_t)32 << 20)    /* sums of a band, at least a row of tiles */
#define UNIT 64                            /* a source pixel's side in the integer weights */

typedef struct grid_axis {
    int32_t source, native, n_native; /* source pixels, side of a native tile, tiles */
    int32_t n;                        /* mask pixels */
    int32_t
        *edge; /* n + 1 borders of the mask pixels, in 1/UNIT source pixels, inside the source */
} grid_axis;

typedef struct band {
    int32_t t0, t1; /* rows of native tiles */
    int32_t r0, r1; /* mask rows they touch; the last may need the next band too */
} band;

typedef struct averager {
    const mt_slide *slide;
    average_grid grid;
    int level, reduce;
    grid_axis x, y;
    band band;
    uint64_t *sums; /* of the band: rows x width x 3 */
    natives natives;
    uint32_t **rows; /* a worker's horizontal sums */
    int threads;
    average_row_fn row;
    void *ctx;
    mt_team_err failed;
} averager;

static mt_status axis_init(grid_axis *a, int64_t size, int32_t native, int64_t n_native, int32_t n,
                           double mask_px, mt_err *err)
{
    size = MT_MIN(MT_MAX(size, 1), n_native * native);
    if (size > INT32_MAX / UNIT - 1 || n_native > INT32_MAX)
        return mt_err_set(err, MT_ERR_LIMIT,
                          "a level of %lld pixels is too large for a tissue mask", (long long)size);
    *a = (grid_axis){
        .source = (int32_t)size, .native = native, .n_native = (int32_t)n_native, .n = n};
    MT_TRY(mt_alloc(&a->edge, (size_t)n + 1, sizeof *a->edge, SIZE_MAX, "tissue grid", err));
    for (int32_t i = 0; i <= n; i++)
        a->edge[i] = (int32_t)MT_MIN(nearbyint(i * mask_px * UNIT), (double)a->source * UNIT);
    return MT_OK;
}

/* First mask pixel that reaches beyond position p. */
static int32_t first_beyond(const grid_axis *a, int32_t p)
{
    int32_t lo = 0, hi = a->n;
    while (lo < hi) {
        int32_t mid = lo + (hi - lo) / 2;
        if (a->edge[mid + 1] <= p)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* Sums of one source row (its pixels begin at x0) over the mask pixels [j0, j1). */
static void sum_row(uint32_t *sums, const uint8_t *px, int32_t x0, int32_t x1, const int32_t *edge,
                    int32_t j0, int32_t j1)
{
    for (int32_t j = j0; j < j1; j++, sums += 3) {
        int32_t a = MT_MAX(edge[j], x0 * UNIT), b = MT_MIN(edge[j + 1], x1 * UNIT);
        uint32_t s[3] = {0, 0, 0};
        while (a < b) {
            int32_t i = a / UNIT, whole = (b - a) / UNIT;
            const uint8_t *p = px + (size_t)(i - x0) * 3;
            if (a % UNIT == 0 && whole > 0) {
                uint32_t w[3] = {0, 0, 0};
                for (int32_t k = 0; k < whole; k++, p += 3)
                    for (int c = 0; c < 3; c++)
                        w[c] += p[c];
                for (int c = 0; c < 3; c++)
                    s[c] += w[c] * UNIT;
                a += whole * UNIT;
            } else {
                int32_t part = MT_MIN((i + 1) * UNIT, b) - a;
                for (int c = 0; c < 3; c++)
                    s[c] += p[c] * (uint32_t)part;
                a += part;
            }
        }
        memcpy(sums, s, sizeof s);
    }
}

/* Adds a worker's row to the band. Mask pixels at the border of a native tile belong to its
 * neighbours too; whole-number sums do not care who comes first. */
static void add_row(uint64_t *to, const uint32_t *row, int32_t n, uint32_t weight, bool shared)
{
    for (int32_t k = 0; k < n * 3; k++) {
        uint64_t v = (uint64_t)row[k] * weight;
        if (shared || k < 3 || k >= n * 3 - 3)
            __atomic_fetch_add(&to[k], v, __ATOMIC_RELAXED);
        else
            to[k] += v;
    }
}

static void add_native(averager *a, const uint8_t *px, uint32_t *row, int32_t tx, int32_t ty)
{
    const grid_axis *x = &a->x, *y = &a->y;
    int32_t x0 = tx * x->native, x1 = MT_MIN(x0 + x->native, x->source);
    int32_t y0 = ty * y->native, y1 = MT_MIN(y0 + y->native, y->source);
    int32_t j0 = first_beyond(x, x0 * UNIT), j1 = MT_MIN(first_beyond(x, x1 * UNIT - 1) + 1, x->n);
    int32_t i0 = first_beyond(y, y0 * UNIT), i = i0;
    if (x0 >= x1 || j0 >= j1) return;
    for (int32_t r = y0; r < y1; r++) {
        sum_row(row, px + (size_t)(r - y0) * (size_t)x->native * 3, x0, x1, x->edge, j0, j1);
        while (i < y->n && y->edge[i + 1] <= r * UNIT)
            i++;
        for (int32_t k = i; k < y->n && y->edge[k] < (r + 1) * UNIT; k++) {
            int32_t part = MT_MIN(y->edge[k + 1], (r + 1) * UNIT) - MT_MAX(y->edge[k], r * UNIT);
            bool shared = y->edge[k] < y0 * UNIT || y->edge[k + 1] > y1 * UNIT;
            uint64_t *to = a->sums + ((size_t)(k - a->band.r0) * (size_t)x->n + (size_t)j0) * 3;
            if (part > 0) add_row(to, row, j1 - j0, (uint32_t)part, shared);
        }
    }
}

static void count_bad(average_bad *bad, uint64_t index)
{
    if (!bad) return;
    __atomic_fetch_add(&bad->n, 1, __ATOMIC_RELAXED);
    uint64_t first = __atomic_load_n(&bad->first, __ATOMIC_RELAXED);
    while (index < first && !__atomic_compare_exchange_n(&bad->first, &first, index, true,
                                                         __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

static void native_job(void *ctx, int worker, size_t i)
{
    averager *a = ctx;
    mt_err e = MT_ERR_INIT;
    int32_t tx = (int32_t)(i % (size_t)a->x.n_native),
            ty = a->band.t0 + (int32_t)(i / (size_t)a->x.n_native);
    size_t stride = (size_t)a->x.native * 3;
    uint8_t *px = a->natives.px[worker];
    if (mt_team_failed(&a->failed)) return;
    mt_status st = mt_tile_reader_decode(a->natives.readers[worker], a->level, tx, ty, a->reduce, px,
                                         stride, &e);
    if (mt_is_tile_fault(st)) {
        memset(px, 255, stride * (size_t)a->y.native); /* what cannot be read is no tissue */
        count_bad(a->grid.bad, (uint64_t)ty * (uint64_t)a->x.n_native + (uint64_t)tx);
    } else if (st != MT_OK) {
        mt_team_fail(&a->failed, &e);
        return;
    }
    add_native(a, px, a->rows[worker], tx, ty);
}

/* A finished row: mean colours, handed on. A worker's row of sums is free by now. */
static void row_job(void *ctx, int worker, size_t i)
{
    averager *a = ctx;
    int32_t row = a->band.r0 + (int32_t)i;
    double weight_y = a->y.edge[row + 1] - a->y.edge[row];
    const uint64_t *s = a->sums + i * (size_t)a->x.n * 3;
    uint8_t *rgb = (uint8_t *)a->rows[worker], *out = rgb;
    for (int32_t j = 0; j < a->x.n; j++, s += 3, out += 3) {
        double weight = weight_y * (a->x.edge[j + 1] - a->x.edge[j]);
        for (int c = 0; c < 3; c++)
            out[c] = weight > 0 ? (uint8_t)MT_MIN((double)s[c] / weight + 0.5, 255.0) : 255;
    }
    a->row(a->ctx, row, rgb);
}

static mt_status run_bands(averager *a, mt_err *err)
{
    size_t row_sums = (size_t)a->x.n * 3;
    int32_t per_band =
        (int32_t)MT_MIN(MT_MAX(32 * a->threads / MT_MAX(a->x.n_native, 1), 1), a->y.n_native);
    double mask_rows_per_tile = (double)a->y.n * a->y.native / a->y.source;
    double rows_fit = (double)BAND_CEILING / (double)(row_sums * sizeof *a->sums);
    while (per_band > 1 && per_band * mask_rows_per_tile > rows_fit)
        per_band /= 2;
    size_t rows = (size_t)(MT_MIN(per_band * mask_rows_per_tile, a->y.n) + 4);
    MT_TRY(mt_alloc(&a->sums, rows * row_sums, sizeof *a->sums, (size_t)1 << 31,
                    "sums of the tissue grid", err));
    int32_t next_row = 0;
    for (int32_t t = 0; t < a->y.n_native && !mt_team_failed(&a->failed); t += per_band) {
        band *b = &a->band;
        *b = (band){t, MT_MIN(t + per_band, a->y.n_native), next_row, 0};
        int32_t end = (int32_t)MT_MIN((int64_t)b->t1 * a->y.native, a->y.source) * UNIT;
        b->r1 = MT_MIN(first_beyond(&a->y, end - 1) + 1, a->y.n);
        mt_workers_each(a->threads, (size_t)(b->t1 - b->t0) * (size_t)a->x.n_native, native_job, a);
        int32_t whole = b->r1; /* rows that lie in the bands so far */
        while (whole > b->r0 && a->y.edge[whole] > end)
            whole--;
        mt_workers_each(a->threads, (size_t)(whole - b->r0), row_job, a);
        size_t used = (size_t)(b->r1 - b->r0), keep = (size_t)(b->r1 - whole);
        memmove(a->sums, a->sums + (used - keep) * row_sums, keep * row_sums * sizeof *a->sums);
        memset(a->sums + keep * row_sums, 0, (used - keep) * row_sums * sizeof *a->sums);
        next_row = whole;
    }
    if (a->failed.set) return mt_err_set(err, a->failed.err.code, "%s", a->failed.err.text);
    return mt_slide_check(a->slide, err);
}

static void averager_free(averager *a)
{
    for (int i = 0; a->rows && i < a->natives.n; i++) free(a->rows[i]);
    natives_free(&a->natives);
    free(a->rows);
    free(a->sums);
    free(a->x.edge);
    free(a->y.edge);
}

static mt_status averager_init(averager *a, mt_err *err)
{
    const mt_level *l = &mt_slide_get_info(a->slide)->levels[a->level];
    double ds = geom_downsample(mt_slide_get_info(a->slide), a->level) * a->reduce;
    double mask_px = a->grid.px_l0 / ds;
    size_t native_bytes;
    MT_TRY(axis_init(&a->x, l->width / a->reduce, l->tile_w / a->reduce, l->tiles_x, a->grid.width,
                     mask_px, err));
    MT_TRY(axis_init(&a->y, l->height / a->reduce, l->tile_h / a->reduce, l->tiles_y, a->grid.height,
                     mask_px, err));
    if (!mt_mul(&native_bytes, (size_t)a->x.native * 3, (size_t)a->y.native))
        native_bytes = SIZE_MAX;
    MT_TRY(natives_open(&a->natives, a->slide, a->threads, native_bytes, 0, err));
    a->threads = a->natives.n;
    MT_TRY(mt_alloc(&a->rows, (size_t)a->threads, sizeof *a->rows, SIZE_MAX, "tissue rows", err));
    for (int i = 0; i < a->threads; i++)
        MT_TRY(mt_alloc(&a->rows[i], (size_t)a->grid.width * 3, sizeof **a->rows, SIZE_MAX,
                        "tissue rows", err));
    return MT_OK;
}

/* The coarsest level that is still at least as fine as the mask, reduced as far as it can be. */
static void choose_source(averager *a)
{
    const mt_slide_info *info = mt_slide_get_info(a->slide);
    double best = 0, fine_enough = a->grid.px_l0 * 1.0001;
    for (int i = 0; i < info->n_levels; i++) {
        double ds = geom_downsample(info, i);
        if (ds <= fine_enough && ds > best) {
            best = ds;
            a->level = i;
        }
    }
    int most = mt_slide_max_reduce(a->slide, a->level);
    for (a->reduce = 1; a->reduce < most && best * a->reduce * 2 <= fine_enough;)
        a->reduce *= 2;
}

mt_status average_down(int *level, const mt_slide *slide, const average_grid *grid, int threads,
                       average_row_fn row, void *ctx, mt_err *err)
{
    averager a = {.slide = slide, .grid = *grid, .threads = threads, .row = row, .ctx = ctx};
    choose_source(&a);
    *level = a.level;
    mt_status st = averager_init(&a, err);
    if (st == MT_OK) st = run_bands(&a, err);
    averager_free(&a);
    return st;
}
