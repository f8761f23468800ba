#include "tiles/tissue/outline.h"

#include <string.h>
#include "tiles/tissue/shapes.h"

#define MAX_POINTS ((size_t)32 << 20)

/* A corner of the path being walked; `meets` marks one where two tissue pixels touch diagonally:
 * the path may come by twice. */
typedef struct corner {
    int32_t x, y;
    bool meets;
} corner;

typedef struct tracer {
    const uint8_t *mask;
    int32_t w, h;
    uint8_t *seen; /* one bit a pixel: its upper border has been walked */
    corner *path;
    size_t n_path, cap_path;
    const shapes *pieces;
    outlines *out;
} tracer;

enum { EAST, SOUTH, WEST, NORTH };

static bool tissue_at(const tracer *t, int32_t x, int32_t y)
{
    return x >= 0 && y >= 0 && x < t->w && y < t->h &&
           t->mask[(size_t)y * (size_t)t->w + (size_t)x];
}

static bool take_upper_border(tracer *t, int32_t x, int32_t y)
{
    size_t i = (size_t)y * (size_t)t->w + (size_t)x;
    uint8_t bit = (uint8_t)(1u << (i & 7));
    if (t->seen[i >> 3] & bit) return false;
    t->seen[i >> 3] |= bit;
    return true;
}

/* Makes room for one more of n elements. */
static mt_status grow(void *array, size_t size, size_t n, size_t *cap, mt_err *err)
{
    void **a = array;
    if (n < *cap) return MT_OK;
    size_t more = *cap ? *cap * 2 : 256;
    if (more > MAX_POINTS)
        return mt_err_set(err, MT_ERR_LIMIT, "an outline of more than %zu points", MAX_POINTS);
    void *grown = realloc(*a, more * size);
    if (!grown) return mt_err_set(err, MT_ERR_NO_MEMORY, "outline");
    *a = grown;
    *cap = more;
    return MT_OK;
}

static mt_status push_corner(tracer *t, int32_t x, int32_t y, bool meets, mt_err *err)
{
    MT_TRY(grow(&t->path, sizeof *t->path, t->n_path, &t->cap_path, err));
    t->path[t->n_path++] = (corner){x, y, meets};
    return MT_OK;
}

/* Walks once around, tissue on the right hand, hugging it at diagonal meetings. */
static mt_status walk_around(tracer *t, int32_t x0, int32_t y0, mt_err *err)
{
    static const int8_t dx[4] = {1, 0, -1, 0}, dy[4] = {0, 1, 0, -1};
    static const int8_t right[4][2] = {
        {0, 0}, {-1, 0}, {-1, -1}, {0, -1}}; /* pixel ahead on the right */
    static const int8_t left[4][2] = {{0, -1}, {0, 0}, {-1, 0}, {-1, -1}};
    int32_t x = x0, y = y0;
    int heading = EAST;
    t->n_path = 0;
    do {
        if (heading == EAST) take_upper_border(t, x, y);
        x += dx[heading];
        y += dy[heading];
        bool r = tissue_at(t, x + right[heading][0], y + right[heading][1]);
        bool l = tissue_at(t, x + left[heading][0], y + left[heading][1]);
        if (r && !l) continue;
        MT_TRY(push_corner(t, x, y, !r && l, err));
        heading = (heading + (r ? 3 : 1)) % 4;
    } while (x != x0 || y != y0 || heading != EAST);
    return MT_OK;
}

static mt_status add_ring(tracer *t, const uint32_t *order, size_t n, uint32_t piece, mt_err *err)
{
    outlines *o = t->out;
    int64_t twice = 0;
    MT_TRY(grow(&o->rings, sizeof *o->rings, o->n_rings, &o->cap_rings, err));
    outline_ring *ring = &o->rings[o->n_rings++];
    *ring = (outline_ring){o->n_points, n, piece, false};
    for (size_t i = 0; i < n; i++) {
        const corner *a = &t->path[order[i]], *b = &t->path[order[(i + 1) % n]];
        MT_TRY(grow(&o->points, sizeof *o->points, o->n_points, &o->cap_points, err));
        o->points[o->n_points][0] = a->x;
        o->points[o->n_points++][1] = a->y;
        twice += (int64_t)a->x * b->y - (int64_t)b->x * a->y;
    }
    ring->hole = twice < 0;
    return MT_OK;
}

typedef struct meeting {
    int64_t place;
    uint32_t index;
} meeting;

static int by_place(const void *a, const void *b)
{
    const meeting *p = a, *q = b;
    if (p->place != q->place) return p->place < q->place ? -1 : 1;
    return p->index < q->index ? -1 : p->index > q->index;
}

/* earlier[i]: the index at which the path was at the same meeting before, or UINT32_MAX. */
static mt_status pair_meetings(uint32_t **earlier, const tracer *t, mt_err *err)
{
    MT_AUTO_FREE meeting *m = NULL;
    size_t n = 0;
    MT_TRY(mt_alloc(earlier, t->n_path, sizeof **earlier, SIZE_MAX, "outline", err));
    memset(*earlier, 255, t->n_path * sizeof **earlier);
    for (size_t i = 0; i < t->n_path; i++)
        n += t->path[i].meets;
    if (!n) return MT_OK;
    MT_TRY(mt_alloc(&m, n, sizeof *m, SIZE_MAX, "outline", err));
    n = 0;
    for (size_t i = 0; i < t->n_path; i++)
        if (t->path[i].meets)
            m[n++] = (meeting){(int64_t)t->path[i].y * (t->w + 1) + t->path[i].x, (uint32_t)i};
    qsort(m, n, sizeof *m, by_place);
    for (size_t i = 1; i < n; i++)
        if (m[i].place == m[i - 1].place) (*earlier)[m[i].index] = m[i - 1].index;
    return MT_OK;
}

/* Where the path touches itself it is cut into rings that do not. */
static mt_status split_path(tracer *t, uint32_t piece, mt_err *err)
{
    MT_AUTO_FREE uint32_t *earlier = NULL, *stack = NULL, *height = NULL;
    MT_TRY(pair_meetings(&earlier, t, err));
    MT_TRY(mt_alloc(&stack, t->n_path, sizeof *stack, SIZE_MAX, "outline", err));
    MT_TRY(mt_alloc(&height, t->n_path, sizeof *height, SIZE_MAX, "outline", err));
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->n_path; i++) {
        uint32_t before = earlier[i];
        if (before != UINT32_MAX && height[before] < n && stack[height[before]] == before) {
            MT_TRY(add_ring(t, stack + height[before], n - height[before], piece, err));
            n = height[before] + 1; /* the place itself stays in what remains */
        } else {
            height[i] = n;
            stack[n++] = i;
        }
    }
    return add_ring(t, stack, n, piece, err);
}

static int by_piece_outer_first(const void *a, const void *b)
{
    const outline_ring *p = a, *q = b;
    if (p->piece != q->piece) return p->piece < q->piece ? -1 : 1;
    if (p->hole != q->hole) return p->hole - q->hole;
    return p->begin < q->begin ? -1 : p->begin > q->begin;
}

static mt_status trace_all(tracer *t, mt_err *err)
{
    for (int32_t y = 0; y < t->h; y++) {
        for (int32_t x = 0; x < t->w; x++) {
            if (!tissue_at(t, x, y) || tissue_at(t, x, y - 1) || !take_upper_border(t, x, y))
                continue;
            MT_TRY(walk_around(t, x, y, err));
            MT_TRY(split_path(t, shapes_piece_at(t->pieces, x, y), err));
        }
    }
    return MT_OK;
}

mt_status outlines_find(outlines *out, const uint8_t *mask, int32_t width, int32_t height,
                        mt_err *err)
{
    shapes pieces;
    tracer t = {.mask = mask, .w = width, .h = height, .pieces = &pieces, .out = out};
    *out = (outlines){0};
    mt_status st = shapes_find(&pieces, mask, width, height, true, err);
    if (st == MT_OK)
        st = mt_alloc(&t.seen, (size_t)width * (size_t)height / 8 + 1, 1, SIZE_MAX, "outline", err);
    if (st == MT_OK) st = trace_all(&t, err);
    if (st == MT_OK && out->n_rings)
        qsort(out->rings, out->n_rings, sizeof *out->rings, by_piece_outer_first);
    free(t.seen);
    free(t.path);
    shapes_free(&pieces);
    if (st != MT_OK) outlines_free(out);
    return st;
}

void outlines_free(outlines *o)
{
    free(o->points);
    free(o->rings);
    *o = (outlines){0};
}
