/* Walk: which native tiles a plan needs, in which order, and which crops each of them touches.
 *
 * Everything here is geometry in "source pixels": pixels of the plan's level after reduced
 * decoding. The grid is a product of two axes, so a pair of one-dimensional tables says it all and
 * nothing is stored per native tile. Tiles off a grid are cells of the grid that their distinct x
 * and y span, most of whose cells are empty. */
#ifndef MT_TILES_WALK_H
#define MT_TILES_WALK_H

#include "slide/slide.h"
#include "tiles/fetch/way.h"
#include "microtome/tiles.h"
#include "base/mem.h"

enum { WALK_X = 0, WALK_Y = 1 };

/* Box of a cell along one axis, and the native tiles it needs. */
typedef struct walk_cell {
    int32_t a, b;   /* whole source pixels [a, b) that hold the box; b may pass the picture */
    int32_t t0, t1; /* native tiles [t0, t1); empty when the box lies beyond the picture */
    float f0, f1;   /* the box itself, counted from a */
} walk_cell;

typedef struct walk_axis {
    int32_t size;   /* source pixels of the picture */
    int32_t native; /* side of a native tile */
    int32_t n_native, n_cells;
    int32_t max_len; /* largest b - a */
    walk_cell *cells;
    int32_t *c0, *c1; /* per native tile: the cells [c0, c1) that may touch it */
} walk_axis;

typedef struct walk {
    const mt_plan *plan;
    const uint8_t *skip;
    walk_axis axis[2];
    uint32_t *col_begin; /* tiles of a column: [col_begin[col], col_begin[col + 1]) ... */
    uint32_t *order;     /* ... of this list, rows ascending; NULL: of the plan itself */
    walk_way way;            /* how native tiles become source pixels */
    bool identity;       /* every crop is a plain copy: no resampling */
    /* The order: bands of `band` native tiles across one axis, walked along the other. */
    int along; /* WALK_X: bands are rows of native tiles */
    int32_t band;
    int32_t strips; /* cells along the walk are cut into so many strips, walked one by one */
} walk;

/* Lays the tables out. The plan must be one of mt_plan_make, its tiles in any order (ARG otherwise). */
MT_MUST_USE mt_status walk_init(walk *w, const mt_slide *slide, const mt_plan *plan,
                                const uint8_t *skip, const walk_way *way, mt_err *err);
void walk_free(walk *w);

/* One strip of the walk. */
typedef struct walk_strip {
    int32_t cell0, cell1; /* cells along the walk */
    int32_t t0, t1;       /* native tiles along the walk */
    uint64_t positions;   /* claims to make; some hold nothing */
} walk_strip;
walk_strip walk_strip_of(const walk *w, int32_t i);

/* Native tile at a position; false when there is none. */
bool walk_at(int32_t t[2], const walk *w, const walk_strip *s, uint64_t position);

/* Crops (plan tiles that are not skipped) of the strip that touch native tile t, at most cap of
 * them into out. Returns how many there are. */
size_t walk_crops(uint32_t *out, size_t cap, const walk *w, const walk_strip *s,
                  const int32_t t[2]);

static inline const walk_cell *walk_cell_of(const walk *w, int axis, uint32_t tile)
{
    const mt_tile *t = &w->plan->tiles[tile];
    return &w->axis[axis].cells[axis == WALK_X ? t->col : t->row];
}

/* Native tiles a crop waits for. */
static inline uint32_t walk_parts(const walk *w, uint32_t tile)
{
    const walk_cell *x = walk_cell_of(w, WALK_X, tile), *y = walk_cell_of(w, WALK_Y, tile);
    return (uint32_t)(x->t1 - x->t0) * (uint32_t)(y->t1 - y->t0);
}

/* What a single-threaded walk of every strip meets. */
typedef struct walk_peak {
    uint64_t open;    /* most crops begun and not yet complete after any native tile */
    uint64_t most;    /* most crops one native tile touches */
    uint64_t natives; /* native tiles decoded, over all strips */
} walk_peak;
/* left: scratch, a counter per plan tile. */
MT_MUST_USE mt_status walk_simulate(walk_peak *out, const walk *w, uint32_t *left, mt_err *err);
/* A bound of how many crops a native tile can touch, from the tables alone. */
size_t walk_most_crops(const walk *w);

#endif
