#include "microtome/tiles.h"

#include <math.h>
#include <string.h>
#include "base/mem.h"
#include "slide/slide.h"
#include "tiles/plan/coords.h"
#include "tiles/plan/geom.h"
#include "tiles/plan/roi.h"

#define ROI_LINES 8192 /* lines the area of a ROI is integrated over */

static mt_status check_opts(const mt_plan_opts *o, const mt_tissue *tissue, mt_err *err)
{
    if (o->version != 1)
        return mt_err_set(err, MT_ERR_ARG, "plan options of version %d", o->version);
    if ((o->tile_px < 16 || o->tile_px > 8192) && !(o->coords_path && o->tile_px == 0))
        return mt_err_set(err, MT_ERR_ARG, "tile side %d px is outside 16..8192", o->tile_px);
    if (o->out_px && (o->out_px < 16 || o->out_px > 8192))
        return mt_err_set(err, MT_ERR_ARG, "output side %d px is outside 16..8192", o->out_px);
    if (!isfinite(o->mpp) || o->mpp < 0 || o->mpp > 1000)
        return mt_err_set(err, MT_ERR_ARG, "target spacing %g um/px is outside 0..1000", o->mpp);
    if (!(o->overlap >= 0 && o->overlap < 1))
        return mt_err_set(err, MT_ERR_ARG, "overlap %g is outside 0 <= overlap < 1", o->overlap);
    if (!(o->min_tissue >= 0 && o->min_tissue <= 1))
        return mt_err_set(err, MT_ERR_ARG, "minimum tissue %g is outside 0..1", o->min_tissue);
    if (!(o->max_upsample >= 1))
        return mt_err_set(err, MT_ERR_ARG, "upsampling limit %g is below 1", o->max_upsample);
    if (o->coords_path && o->roi_path)
        return mt_err_set(err, MT_ERR_ARG, "coordinates and a ROI exclude each other");
    if (!tissue && !o->whole_slide && !o->coords_path)
        return mt_err_set(err, MT_ERR_ARG, "no tissue mask, and not the whole slide");
    return MT_OK;
}

/* Spacings and the box: what a tile is, before where the tiles are. */
static mt_status fill_scale(mt_plan *p, const mt_slide *slide, const mt_plan_opts *o, mt_err *err)
{
    const mt_slide_info *info = mt_slide_get_info(slide);
    double wanted = 1.0; /* downsample of level 0 that gives the target spacing */
    if (o->mpp > 0 || !o->whole_slide || info->mpp_x > 0) {
        MT_TRY(mt_slide_mpp(&p->slide_mpp, slide, err));
        p->target_mpp = o->mpp > 0 ? o->mpp : p->slide_mpp;
        wanted = p->target_mpp / p->slide_mpp;
    }
    if (wanted * o->max_upsample < 1.0)
        return mt_err_set(err, MT_ERR_SPACING,
                          "the slide's %.4g um/px (%s) is %.3g times coarser than the %.4g um/px "
                          "asked for; the limit is %.3g times",
                          p->slide_mpp, info->mpp_source, 1.0 / wanted, p->target_mpp,
                          o->max_upsample);
    double box = nearbyint(o->tile_px * wanted);
    if (box > 1 << 24)
        return mt_err_set(err, MT_ERR_ARG,
                          "a tile of %d px at %g um/px is %g pixels of a slide of %g um/px",
                          o->tile_px, p->target_mpp, box, p->slide_mpp);
    p->tile_px = o->tile_px;
    p->out_px = o->out_px ? o->out_px : o->tile_px;
    p->box_l0 = (int32_t)MT_MAX(box, 1.0);
    p->step_l0 = (int32_t)MT_MAX(nearbyint((1.0 - o->overlap) * p->box_l0), 1.0);
    p->upsampled = wanted < 0.99;
    p->level = mt_slide_level_for(slide, wanted);
    p->level_downsample = geom_downsample(info, p->level);
    p->resample = p->box_l0 / p->level_downsample / p->out_px;
    p->overlap = o->overlap;
    p->min_tissue = o->min_tissue;
    p->edge = o->edge;
    return MT_OK;
}

/* Cells along one axis: every cell that begins on the slide, or only those that end on it. */
static int64_t cells_along(int64_t size, const mt_plan *p)
{
    if (p->edge == MT_EDGE_PAD) return (size + p->step_l0 - 1) / p->step_l0;
    return size < p->box_l0 ? 0 : (size - p->box_l0) / p->step_l0 + 1;
}

static mt_status fill_grid(mt_plan *p, int64_t width, int64_t height, mt_err *err)
{
    int64_t cols = cells_along(width, p), rows = cells_along(height, p);
    if (rows && cols > MT_PLAN_MAX_CELLS / rows)
        return mt_err_set(err, MT_ERR_LIMIT,
                          "a grid of %lld x %lld tiles passes the ceiling of %d cells",
                          (long long)cols, (long long)rows, MT_PLAN_MAX_CELLS);
    p->grid_cols = (int32_t)cols;
    p->grid_rows = (int32_t)rows;
    return MT_OK;
}

/* Cells whose centre lies in the ROI: one bit a cell, column by column. */
typedef struct cell_set {
    uint8_t *bits;
    size_t rows;
} cell_set;

static bool cell_in(const cell_set *s, size_t col, size_t row)
{
    if (!s->bits) return true;
    size_t i = col * s->rows + row;
    return s->bits[i >> 3] >> (i & 7) & 1;
}

static double cell_centre(const mt_plan *p, int64_t i)
{
    return (double)(i * p->step_l0) + p->box_l0 * 0.5;
}

static void mark_row(cell_set *s, const mt_plan *p, size_t row, const mt_roi_span *span)
{
    double first = floor((span->x0 - p->box_l0 * 0.5) / p->step_l0);
    if (first >= p->grid_cols) return;
    for (int64_t col = (int64_t)MT_MAX(first, 0.0); col < p->grid_cols; col++) {
        double x = cell_centre(p, col);
        if (x >= span->x1) return;
        size_t i = (size_t)col * s->rows + row;
        if (x >= span->x0) s->bits[i >> 3] |= (uint8_t)(1u << (i & 7));
    }
}

static mt_status mark_cells(cell_set *s, const mt_plan *p, const mt_roi *roi, mt_err *err)
{
    MT_AUTO(mt_roi_sweep_free) mt_roi_sweep *sweep = NULL;
    size_t cells = (size_t)p->grid_cols * (size_t)p->grid_rows;
    s->rows = (size_t)p->grid_rows;
    MT_TRY(
        mt_alloc(&s->bits, cells / 8 + 1, 1, MT_PLAN_MAX_CELLS / 8 + 1, "cells of the ROI", err));
    MT_TRY(mt_roi_sweep_new(&sweep, roi, err));
    for (size_t row = 0; row < s->rows; row++) {
        const mt_roi_span *spans;
        size_t n;
        MT_TRY(mt_roi_sweep_line(&spans, &n, sweep, cell_centre(p, (int64_t)row), err));
        for (size_t i = 0; i < n; i++)
            mark_row(s, p, row, &spans[i]);
    }
    return MT_OK;
}

/* Area of the ROI inside the slide, in level-0 pixels, as a sum over lines (to about 0.1 %). */
static mt_status roi_area(double *area, const mt_roi *roi, int64_t width, int64_t height,
                          mt_err *err)
{
    MT_AUTO(mt_roi_sweep_free) mt_roi_sweep *sweep = NULL;
    MT_TRY(mt_roi_sweep_new(&sweep, roi, err));
    int lines = (int)MT_MIN(height, ROI_LINES);
    double pitch = (double)height / lines, sum = 0;
    for (int i = 0; i < lines; i++) {
        const mt_roi_span *spans;
        size_t n;
        MT_TRY(mt_roi_sweep_line(&spans, &n, sweep, (i + 0.5) * pitch, err));
        for (size_t k = 0; k < n; k++) {
            double x0 = MT_MAX(spans[k].x0, 0.0), x1 = MT_MIN(spans[k].x1, (double)width);
            if (x1 > x0) sum += (x1 - x0) * pitch;
        }
    }
    *area = sum;
    return MT_OK;
}

/* Tissue inside the ROI, in level-0 pixels: line by line along the middles of the mask's rows. */
static mt_status roi_tissue(double *area, const mt_roi *roi, const mt_tissue *t, mt_err *err)
{
    MT_AUTO(mt_roi_sweep_free) mt_roi_sweep *sweep = NULL;
    MT_TRY(mt_roi_sweep_new(&sweep, roi, err));
    double sum = 0;
    for (int32_t row = 0; row < t->height; row++) {
        const mt_roi_span *spans;
        size_t n;
        double top = row * t->px_l0, h = MT_MIN(t->px_l0, t->slide_h - top);
        MT_TRY(mt_roi_sweep_line(&spans, &n, sweep, top + h * 0.5, err));
        for (size_t k = 0; k < n && h > 0; k++) {
            double x0 = MT_MAX(spans[k].x0, 0.0), w = MT_MIN(spans[k].x1, (double)t->slide_w) - x0;
            if (w > 0) sum += mt_tissue_fraction(t, x0, top, w, h) * w * h;
        }
    }
    *area = sum;
    return MT_OK;
}

static mt_status apply_roi(cell_set *cells, mt_plan *p, const mt_slide_info *info,
                           const mt_tissue *tissue, const char *path, mt_err *err)
{
    MT_AUTO(mt_roi_free) mt_roi *roi = NULL;
    int64_t w = info->levels[0].width, h = info->levels[0].height;
    double area = 0, stained = 0, um2_per_px = info->mpp_x * info->mpp_y;
    MT_TRY(mt_roi_load(&roi, path, err));
    MT_TRY(mark_cells(cells, p, roi, err));
    MT_TRY(roi_area(&area, roi, w, h, err));
    if (tissue) MT_TRY(roi_tissue(&stained, roi, tissue, err));
    p->roi_mm2 = area * um2_per_px * 1e-6;
    p->tissue_mm2 = stained * um2_per_px * 1e-6;
    return MT_OK;
}

/* Share of the box that lies on the slide. */
static double part_inside(const mt_slide_info *info, int64_t x, int64_t y, int32_t box)
{
    double w = (double)MT_MIN(info->levels[0].width - x, box),
           h = (double)MT_MIN(info->levels[0].height - y, box);
    return w * h / ((double)box * box);
}

static mt_status push_tile(mt_plan *p, size_t *cap, const mt_tile *tile, mt_err *err)
{
    if (p->n_tiles == *cap) {
        if (p->n_tiles >= MT_PLAN_MAX_TILES)
            return mt_err_set(err, MT_ERR_LIMIT,
                              "more than %d tiles: choose larger tiles, less overlap or a ROI",
                              MT_PLAN_MAX_TILES);
        size_t grown = MT_MIN(MT_MAX(*cap * 2, (size_t)1024), (size_t)MT_PLAN_MAX_TILES);
        mt_tile *tiles = realloc(p->tiles, grown * sizeof *tiles);
        if (!tiles) return mt_err_set(err, MT_ERR_NO_MEMORY, "a plan of %zu tiles", grown);
        p->tiles = tiles;
        *cap = grown;
    }
    p->tiles[p->n_tiles++] = *tile;
    return MT_OK;
}

/* False for a cell of a canvas on which nothing was scanned. */
static bool touches_bounds(const mt_slide_info *info, int64_t x, int64_t y, int64_t side)
{
    return info->bounds_w <= 0 ||
           (x < info->bounds_x + info->bounds_w && y < info->bounds_y + info->bounds_h &&
            x + side > info->bounds_x && y + side > info->bounds_y);
}

static mt_status fill_tiles(mt_plan *p, const mt_slide_info *info, const mt_tissue *tissue,
                            const cell_set *cells, const mt_plan_opts *o, mt_err *err)
{
    size_t cap = 0;
    for (int32_t col = 0; col < p->grid_cols; col++) {
        for (int32_t row = 0; row < p->grid_rows; row++) {
            if (!cell_in(cells, (size_t)col, (size_t)row)) continue;
            int64_t x = (int64_t)col * p->step_l0, y = (int64_t)row * p->step_l0;
            if (!touches_bounds(info, x, y, p->box_l0)) continue;
            double part =
                tissue ? mt_tissue_fraction(tissue, (double)x, (double)y, p->box_l0, p->box_l0)
                       : part_inside(info, x, y, p->box_l0);
            if (!o->whole_slide && part < o->min_tissue) continue;
            mt_tile tile = {x, y, p->box_l0, p->box_l0, col, row, (float)part};
            MT_TRY(push_tile(p, &cap, &tile, err));
        }
    }
    return MT_OK;
}

/* Somebody else's coordinates instead of a grid. */
static mt_status plan_from_coords(mt_plan **out, const mt_slide *slide, const mt_tissue *tissue,
                                  const mt_plan_opts *opts, mt_err *err)
{
    MT_AUTO(coords_free) coords_file c = {0};
    MT_AUTO(mt_plan_free) mt_plan *p = calloc(1, sizeof *p);
    const mt_slide_info *info = mt_slide_get_info(slide);
    if (!p) return mt_err_set(err, MT_ERR_NO_MEMORY, "plan");
    MT_TRY(coords_read(&c, opts->coords_path, err));
    MT_TRY(coords_plan(p, &c, info, opts, err));
    for (size_t i = 0; i < p->n_tiles; i++) {
        mt_tile *t = &p->tiles[i];
        const double part = tissue ? mt_tissue_fraction(tissue, (double)t->x_l0, (double)t->y_l0,
                                                        t->w_l0, t->h_l0)
                                   : part_inside(info, t->x_l0, t->y_l0, p->box_l0);
        t->tissue = (float)part;
    }
    p->tissue_mm2 = tissue ? tissue->tissue_mm2 : 0;
    *out = mt_steal(p);
    return MT_OK;
}

mt_status mt_plan_make(mt_plan **out, const mt_slide *slide, const mt_tissue *tissue,
                       const mt_plan_opts *opts, mt_err *err)
{
    *out = NULL;
    MT_TRY(check_opts(opts, tissue, err));
    if (opts->coords_path) return plan_from_coords(out, slide, tissue, opts, err);
    const mt_slide_info *info = mt_slide_get_info(slide);
    MT_AUTO(mt_plan_free) mt_plan *p = calloc(1, sizeof *p);
    if (!p) return mt_err_set(err, MT_ERR_NO_MEMORY, "plan");
    MT_TRY(fill_scale(p, slide, opts, err));
    MT_TRY(fill_grid(p, info->levels[0].width, info->levels[0].height, err));
    p->tissue_mm2 = tissue ? tissue->tissue_mm2 : 0;

    cell_set cells = {NULL, 0};
    mt_status st = opts->roi_path ? apply_roi(&cells, p, info, tissue, opts->roi_path, err) : MT_OK;
    if (st == MT_OK) st = fill_tiles(p, info, tissue, &cells, opts, err);
    free(cells.bits);
    if (st == MT_OK) *out = mt_steal(p);
    return st;
}

void mt_plan_free(mt_plan **plan)
{
    if (!plan || !*plan) return;
    free((*plan)->tiles);
    free(*plan);
    *plan = NULL;
}
