#include "tiles/fetch/walk.h"

#include <math.h>
#include <string.h>

#define BAND_PX                                                                                    \
    1536 /* crops inside a band of this height stay in cache; higher bands have fewer at their     \
            rims */
#define MAX_SOURCE (1 << 30)
#define MAX_TABLE ((size_t)128 << 20)

/* Scaling by n/m leaves dust in the last bits; a whole pixel is meant. */
static double settle(double v)
{
    double whole = nearbyint(v);
    return fabs(v - whole) < 1e-6 ? whole : v;
}

/* at: level-0 pixel where each cell begins, ascending. */
static mt_status axis_init(walk_axis *a, int64_t size, int32_t native, int64_t n_native,
                           int32_t n_cells, const int64_t *at, const mt_plan *p, double downsample,
                           mt_err *err)
{
    if (size > MAX_SOURCE || n_native > MAX_SOURCE)
        return mt_err_set(err, MT_ERR_LIMIT, "a level of %lld pixels in %lld tiles",
                          (long long)size, (long long)n_native);
    /* What no native tile covers is outside, whatever size the level claims. */
    size = MT_MIN(MT_MAX(size, 1), n_native * native);
    *a = (walk_axis){
        .size = (int32_t)size, .native = native, .n_native = (int32_t)n_native, .n_cells = n_cells};
    MT_TRY(mt_alloc(&a->cells, (size_t)n_cells, sizeof *a->cells, MAX_TABLE, "cells of the walk",
                    err));
    MT_TRY(mt_alloc(&a->c0, (size_t)n_native, sizeof *a->c0, MAX_TABLE, "tiles of the walk", err));
    MT_TRY(mt_alloc(&a->c1, (size_t)n_native, sizeof *a->c1, MAX_TABLE, "tiles of the walk", err));
    for (int32_t i = 0; i < n_cells; i++) {
        walk_cell *c = &a->cells[i];
        double v0 = settle((double)at[i] / downsample);
        double v1 = settle(((double)at[i] + p->box_l0) / downsample);
        c->a = (int32_t)floor(v0);
        c->b = (int32_t)MT_MAX(ceil(v1), floor(v0) + 1);
        c->f0 = (float)(v0 - c->a);
        c->f1 = (float)MT_MIN(v1 - c->a, c->b - c->a);
        bool outside = c->a >= a->size;
        c->t0 = outside ? a->n_native : c->a / native;
        c->t1 = outside ? a->n_native : (MT_MIN(c->b, a->size) - 1) / native + 1;
        a->max_len = MT_MAX(a->max_len, c->b - c->a);
    }
    /* Boxes move right with the index, so the cells of a native tile are neighbours. */
    for (int32_t t = 0, lo = 0, hi = 0; t < a->n_native; t++) {
        while (lo < n_cells && a->cells[lo].t1 <= t)
            lo++;
        while (hi < n_cells && a->cells[hi].t0 <= t)
            hi++;
        a->c0[t] = lo;
        a->c1[t] = MT_MAX(hi, lo);
    }
    return MT_OK;
}

static mt_status check_plan(const mt_plan *p, const mt_slide_info *info, mt_err *err)
{
    if (p->level < 0 || p->level >= info->n_levels || p->box_l0 < 1 || p->step_l0 < 1 ||
        p->out_px < 1 || p->out_px > 65535 || p->grid_cols < 0 || p->grid_rows < 0 ||
        !(p->level_downsample >= 0.5) || p->n_tiles >= UINT32_MAX)
        return mt_err_set(err, MT_ERR_ARG, "the plan does not fit the slide");
    return MT_OK;
}

/* Where the cells of one axis begin. The walk trusts the plan's grid; this makes sure that it may:
 * every tile stands where its cell begins, and the cells ascend. */
static mt_status cell_places(int64_t **out, const mt_plan *p, int axis, mt_err *err)
{
    const int32_t n = axis == WALK_X ? p->grid_cols : p->grid_rows;
    MT_AUTO_FREE int64_t *at = NULL;
    MT_TRY(mt_alloc(&at, (size_t)n, sizeof *at, MAX_TABLE, "cells of the walk", err));
    for (int32_t i = 0; i < n; i++) at[i] = p->off_grid ? -1 : (int64_t)i * p->step_l0;
    for (size_t i = 0; i < p->n_tiles; i++) {
        const mt_tile *t = &p->tiles[i];
        const int32_t cell = axis == WALK_X ? t->col : t->row;
        const int64_t place = axis == WALK_X ? t->x_l0 : t->y_l0;
        bool fits = cell >= 0 && cell < n && place >= 0;
        if (fits && at[cell] < 0) at[cell] = place;
        if (!fits || at[cell] != place)
            return mt_err_set(err, MT_ERR_ARG, "tile %zu of the plan is off its grid", i);
    }
    for (int32_t i = 0; i < n; i++)
        if (at[i] < 0 || (i && at[i] <= at[i - 1]))
            return mt_err_set(err, MT_ERR_ARG, "cell %d of the plan's grid is out of order", i);
    *out = mt_steal(at);
    return MT_OK;
}

static bool before(const mt_tile *a, const mt_tile *b)
{
    return a->col < b->col || (a->col == b->col && a->row < b->row);
}

typedef struct row_key {
    int32_t row;
    uint32_t tile;
} row_key;

static int by_row(const void *a, const void *b)
{
    const row_key *p = a, *q = b;
    return (p->row > q->row) - (p->row < q->row);
}

/* Tiles column by column, rows ascending: the plan itself when it is in that order. ARG where two
 * tiles share a cell. */
static mt_status sort_tiles(walk *w, const mt_plan *p, mt_err *err)
{
    const size_t cols = (size_t)p->grid_cols;
    MT_TRY(mt_alloc(&w->col_begin, cols + 1, sizeof *w->col_begin, SIZE_MAX, "columns of the walk",
                    err));
    bool sorted = true;
    for (size_t i = 0; i < p->n_tiles; i++) {
        w->col_begin[p->tiles[i].col + 1]++;
        sorted &= i == 0 || before(&p->tiles[i - 1], &p->tiles[i]);
    }
    for (size_t c = 0; c < cols; c++) w->col_begin[c + 1] += w->col_begin[c];
    if (sorted) return MT_OK;
    MT_AUTO_FREE row_key *keys = NULL;
    MT_AUTO_FREE uint32_t *next = NULL;
    MT_TRY(mt_alloc(&w->order, p->n_tiles, sizeof *w->order, SIZE_MAX, "tiles of the walk", err));
    MT_TRY(mt_alloc(&keys, p->n_tiles, sizeof *keys, SIZE_MAX, "tiles of the walk", err));
    MT_TRY(mt_alloc(&next, cols, sizeof *next, SIZE_MAX, "columns of the walk", err));
    memcpy(next, w->col_begin, cols * sizeof *next);
    for (size_t i = 0; i < p->n_tiles; i++)
        keys[next[p->tiles[i].col]++] = (row_key){p->tiles[i].row, (uint32_t)i};
    for (size_t c = 0; c < cols; c++)
        qsort(keys + w->col_begin[c], w->col_begin[c + 1] - w->col_begin[c], sizeof *keys, by_row);
    for (size_t i = 0; i < p->n_tiles; i++) {
        w->order[i] = keys[i].tile;
        if (i && !before(&p->tiles[w->order[i - 1]], &p->tiles[w->order[i]]))
            return mt_err_set(err, MT_ERR_ARG, "tiles %u and %u of the plan are the same",
                              w->order[i - 1], w->order[i]);
    }
    return MT_OK;
}

static bool is_identity(const walk *w)
{
    for (int k = 0; k < 2; k++) {
        for (int32_t i = 0; i < w->axis[k].n_cells; i++) {
            const walk_cell *c = &w->axis[k].cells[i];
            int32_t len = c->b - c->a;
            if (len != w->plan->out_px || c->f0 != 0 || c->f1 != (float)len) return false;
        }
    }
    return true;
}

mt_status walk_init(walk *w, const mt_slide *slide, const mt_plan *plan, const uint8_t *skip,
                    const walk_way *way, mt_err *err)
{
    const mt_slide_info *info = mt_slide_get_info(slide);
    *w = (walk){.plan = plan, .skip = skip, .strips = 1};
    MT_TRY(check_plan(plan, info, err));
    const mt_level *l = &info->levels[plan->level];
    if (l->tile_w < 1 || l->tile_h < 1 || l->width < 1 || l->height < 1)
        return mt_err_set(err, MT_ERR_ARG, "level %d has no tiles", plan->level);
    w->way = *way;
    int32_t r = way->samples.planes ? 1 : way->scale_denom * way->shrink;
    double ds = plan->level_downsample * r;
    MT_AUTO_FREE int64_t *xs = NULL;
    MT_AUTO_FREE int64_t *ys = NULL;
    MT_TRY(cell_places(&xs, plan, WALK_X, err));
    MT_TRY(cell_places(&ys, plan, WALK_Y, err));
    MT_TRY(axis_init(&w->axis[WALK_X], l->width / r, l->tile_w / r, l->tiles_x, plan->grid_cols, xs,
                     plan, ds, err));
    MT_TRY(axis_init(&w->axis[WALK_Y], l->height / r, l->tile_h / r, l->tiles_y, plan->grid_rows,
                     ys, plan, ds, err));
    w->identity = r == 1 && is_identity(w);
    MT_TRY(sort_tiles(w, plan, err));

    /* The open crops line the lower edge of a band: let the bands run along the shorter side. */
    w->along = w->axis[WALK_X].size <= w->axis[WALK_Y].size ? WALK_X : WALK_Y;
    w->band = MT_MAX(BAND_PX / w->axis[!w->along].native, 1);
    return MT_OK;
}

void walk_free(walk *w)
{
    for (int k = 0; k < 2; k++) {
        free(w->axis[k].cells);
        free(w->axis[k].c0);
        free(w->axis[k].c1);
    }
    free(w->col_begin);
    free(w->order);
    memset(w, 0, sizeof *w);
}

walk_strip walk_strip_of(const walk *w, int32_t i)
{
    const walk_axis *a = &w->axis[w->along];
    walk_strip s = {(int32_t)((int64_t)a->n_cells * i / w->strips),
                    (int32_t)((int64_t)a->n_cells * (i + 1) / w->strips), 0, 0, 0};
    if (s.cell0 >= s.cell1) return s;
    s.t0 = a->cells[s.cell0].t0;
    s.t1 = a->cells[s.cell1 - 1].t1;
    uint64_t bands =
        ((uint64_t)w->axis[!w->along].n_native + (uint64_t)w->band - 1) / (uint64_t)w->band;
    s.positions = s.t1 > s.t0 ? bands * (uint64_t)w->band * (uint64_t)(s.t1 - s.t0) : 0;
    return s;
}

bool walk_at(int32_t t[2], const walk *w, const walk_strip *s, uint64_t position)
{
    uint64_t band = (uint64_t)w->band, per_band = band * (uint64_t)(s->t1 - s->t0),
             rest = position % per_band;
    int64_t across = (int64_t)(position / per_band * band + rest % band);
    t[w->along] = s->t0 + (int32_t)(rest / band);
    t[!w->along] = (int32_t)across;
    return across < w->axis[!w->along].n_native;
}

/* Tile at place i of the order. */
static uint32_t tile_at(const walk *w, uint32_t i) { return w->order ? w->order[i] : i; }

/* Place of a column's first tile whose row is at least `row`. */
static uint32_t first_row(const walk *w, int32_t col, int32_t row)
{
    uint32_t lo = w->col_begin[col], hi = w->col_begin[col + 1];
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (w->plan->tiles[tile_at(w, mid)].row < row)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

size_t walk_crops(uint32_t *out, size_t cap, const walk *w, const walk_strip *s, const int32_t t[2])
{
    int32_t lo[2], hi[2];
    for (int k = 0; k < 2; k++) {
        lo[k] = w->axis[k].c0[t[k]];
        hi[k] = w->axis[k].c1[t[k]];
    }
    lo[w->along] = MT_MAX(lo[w->along], s->cell0);
    hi[w->along] = MT_MIN(hi[w->along], s->cell1);
    size_t n = 0;
    for (int32_t col = lo[WALK_X]; col < hi[WALK_X]; col++) {
        uint32_t end = w->col_begin[col + 1];
        if (end == w->col_begin[col]) continue;
        for (uint32_t i = first_row(w, col, lo[WALK_Y]); i < end; i++) {
            const uint32_t tile = tile_at(w, i);
            if (w->plan->tiles[tile].row >= hi[WALK_Y]) break;
            if (w->skip && w->skip[tile]) continue;
            if (n < cap) out[n] = tile;
            n++;
        }
    }
    return n;
}

static void simulate_strip(walk_peak *peak, const walk *w, const walk_strip *s, uint32_t *left,
                           uint32_t *crops, size_t cap)
{
    uint64_t open = 0;
    for (uint64_t p = 0; p < s->positions; p++) {
        int32_t t[2];
        if (!walk_at(t, w, s, p)) continue;
        size_t n = MT_MIN(walk_crops(crops, cap, w, s, t), cap);
        if (!n) continue;
        peak->natives++;
        peak->most = MT_MAX(peak->most, n);
        for (size_t i = 0; i < n; i++) {
            uint32_t parts = walk_parts(w, crops[i]);
            if (left[crops[i]] == 0) { /* not begun */
                left[crops[i]] = parts;
                open++;
            }
            if (--left[crops[i]] == 0) open--;
        }
        peak->open = MT_MAX(peak->open, open);
    }
}

size_t walk_most_crops(const walk *w)
{
    size_t most[2] = {1, 1};
    for (int k = 0; k < 2; k++)
        for (int32_t t = 0; t < w->axis[k].n_native; t++)
            most[k] = MT_MAX(most[k], (size_t)(w->axis[k].c1[t] - w->axis[k].c0[t]));
    return MT_MIN(most[0] * most[1], w->plan->n_tiles + 1);
}

mt_status walk_simulate(walk_peak *out, const walk *w, uint32_t *left, mt_err *err)
{
    *out = (walk_peak){0, 0, 0};
    MT_AUTO_FREE uint32_t *crops = NULL;
    size_t cap = walk_most_crops(w);
    MT_TRY(mt_alloc(&crops, cap, sizeof *crops, SIZE_MAX, "crops of a native tile", err));
    memset(left, 0, w->plan->n_tiles * sizeof *left);
    for (int32_t i = 0; i < w->strips; i++) {
        walk_strip s = walk_strip_of(w, i);
        simulate_strip(out, w, &s, left, crops, cap);
    }
    return MT_OK;
}
