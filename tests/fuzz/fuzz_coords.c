// rooms: tiles
/* Coordinates of other tools: what stands in a file, as numbers, becomes a plan or an error. HDF5's own
 * parsing is not ours to fuzz. Input: 14 doubles (the attributes, in the order of coords_file), a byte
 * of options, then pairs of int64. */
#include <math.h>
#include <string.h>
#include "base/mem.h"
#include "tiles/plan/coords.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NUMBERS = 14, PAIRS = 4096 };

static void check(const mt_plan *p, const mt_slide_info *info, size_t n)
{
    if (p->box_l0 < 1 || p->step_l0 < 1 || p->step_l0 > p->box_l0 || p->tile_px < 16) abort();
    if (!(p->resample > 0) || p->level < 0 || p->level >= info->n_levels || p->n_tiles > n) abort();
    for (size_t i = 0; i < p->n_tiles; i++) {
        const mt_tile *t = &p->tiles[i];
        if (t->x_l0 < 0 || t->x_l0 >= info->levels[0].width || t->w_l0 != p->box_l0) abort();
        if (t->col < 0 || t->col >= p->grid_cols || t->row < 0 || t->row >= p->grid_rows) abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    double v[NUMBERS];
    if (size < sizeof v + 1) return 0;
    memcpy(v, data, sizeof v);
    for (int i = 0; i < NUMBERS; i++)
        if (isinf(v[i])) v[i] = NAN; /* the reader lets only finite ones pass; NAN is "absent" */
    const uint8_t options = data[sizeof v];
    const size_t n = MT_MIN((size - sizeof v - 1) / 16, (size_t)PAIRS);
    coords_file c = {NULL,  n,     v[0],  v[1],  v[2],  v[3],           v[4],
                     v[5],  v[6],  v[7],  v[8],  v[9],  {v[10], v[11]}, {v[12], v[13]}};
    if (n) {
        c.xy = malloc(16 * n);
        if (!c.xy) abort();
        memcpy(c.xy, data + sizeof v + 1, 16 * n);
    }
    mt_slide_info info = {.n_levels = 2,
                          .levels = {{.width = 3000, .height = 2000, .downsample = 1},
                                     {.width = 750, .height = 500, .downsample = 4}},
                          .mpp_x = options & 1 ? 0.5 : 0,
                          .mpp_y = options & 1 ? 0.5 : 0};
    mt_plan_opts o = MT_PLAN_OPTS_INIT;
    o.tile_px = options & 2 ? 256 : 0;
    o.mpp = options & 4 ? 0.5 : 0;
    o.out_px = options & 8 ? 224 : 0;
    mt_plan *p = calloc(1, sizeof *p);
    mt_err err = MT_ERR_INIT;
    if (!p) abort();
    if (coords_plan(p, &c, &info, &o, &err) == MT_OK) check(p, &info, n);
    else if (!err.text[0]) abort();
    mt_plan_free(&p);
    coords_free(&c);
    return 0;
}
