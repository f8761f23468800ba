#include "tiles/plan/anywhere.h"

#include <string.h>
#include "base/mem.h"

static int ascending(const void *a, const void *b)
{
    const int64_t p = *(const int64_t *)a, q = *(const int64_t *)b;
    return (p > q) - (p < q);
}

/* Sorted, each value once. */
static size_t distinct(int64_t *v, size_t n)
{
    qsort(v, n, sizeof *v, ascending);
    size_t k = 0;
    for (size_t i = 0; i < n; i++)
        if (!k || v[i] != v[k - 1]) v[k++] = v[i];
    return k;
}

static int32_t rank_of(const int64_t *v, size_t n, int64_t x)
{
    size_t lo = 0, hi = n;
    while (lo + 1 < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        if (v[mid] <= x) lo = mid;
        else hi = mid;
    }
    return (int32_t)lo;
}

typedef struct placed {
    int32_t col, row;
    uint32_t tile;
} placed;

static int by_cell(const void *a, const void *b)
{
    const placed *p = a, *q = b;
    if (p->col != q->col) return p->col < q->col ? -1 : 1;
    if (p->row != q->row) return p->row < q->row ? -1 : 1;
    return (p->tile > q->tile) - (p->tile < q->tile);
}

/* Marks every tile that stands where an earlier one does with row -1, then closes the gaps. */
static mt_status drop_repeated(mt_plan *p, size_t *n_repeated, mt_err *err)
{
    MT_AUTO_FREE placed *all = NULL;
    MT_TRY(mt_alloc(&all, p->n_tiles, sizeof *all, SIZE_MAX, "tiles", err));
    for (size_t i = 0; i < p->n_tiles; i++)
        all[i] = (placed){p->tiles[i].col, p->tiles[i].row, (uint32_t)i};
    qsort(all, p->n_tiles, sizeof *all, by_cell);
    for (size_t i = 1; i < p->n_tiles; i++)
        if (all[i].col == all[i - 1].col && all[i].row == all[i - 1].row)
            p->tiles[all[i].tile].row = -1;
    size_t kept = 0;
    for (size_t i = 0; i < p->n_tiles; i++)
        if (p->tiles[i].row >= 0) p->tiles[kept++] = p->tiles[i];
    *n_repeated = p->n_tiles - kept;
    p->n_tiles = kept;
    return MT_OK;
}

mt_status plan_place(mt_plan *p, size_t *n_repeated, mt_err *err)
{
    MT_AUTO_FREE int64_t *xs = NULL;
    MT_AUTO_FREE int64_t *ys = NULL;
    const size_t n = p->n_tiles;
    MT_TRY(mt_alloc(&xs, n, sizeof *xs, SIZE_MAX, "tiles", err));
    MT_TRY(mt_alloc(&ys, n, sizeof *ys, SIZE_MAX, "tiles", err));
    for (size_t i = 0; i < n; i++) {
        xs[i] = p->tiles[i].x_l0;
        ys[i] = p->tiles[i].y_l0;
    }
    const size_t cols = distinct(xs, n), rows = distinct(ys, n);
    for (size_t i = 0; i < n; i++) {
        p->tiles[i].col = rank_of(xs, cols, p->tiles[i].x_l0);
        p->tiles[i].row = rank_of(ys, rows, p->tiles[i].y_l0);
    }
    p->grid_cols = (int32_t)cols;
    p->grid_rows = (int32_t)rows;
    p->off_grid = 1;
    return drop_repeated(p, n_repeated, err);
}
