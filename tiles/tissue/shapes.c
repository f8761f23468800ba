#include "tiles/tissue/shapes.h"

#include <string.h>

static uint32_t find(struct shape_run *runs, uint32_t i)
{
    while (runs[i].piece != i) {
        runs[i].piece = runs[runs[i].piece].piece;
        i = runs[i].piece;
    }
    return i;
}

/* The earlier run stands for the joined piece, so pieces are numbered in reading order. */
static void join(struct shape_run *runs, uint32_t a, uint32_t b)
{
    a = find(runs, a);
    b = find(runs, b);
    if (a < b)
        runs[b].piece = a;
    else
        runs[a].piece = b;
}

static uint32_t row_runs(struct shape_run *out, const uint8_t *row, int32_t width, bool tissue)
{
    uint32_t n = 0;
    for (int32_t x = 0; x < width;) {
        if ((row[x] != 0) != tissue) {
            x++;
            continue;
        }
        int32_t x0 = x;
        while (x < width && (row[x] != 0) == tissue)
            x++;
        if (out) out[n] = (struct shape_run){x0, x, 0};
        n++;
    }
    return n;
}

/* reach 0: runs of two rows must share a column; 1: corners join too. */
static void join_rows(shapes *s, int32_t y, int32_t reach)
{
    uint32_t i = s->row_begin[y - 1], i_end = s->row_begin[y], j = i_end,
             j_end = s->row_begin[y + 1];
    while (i < i_end && j < j_end) {
        if (s->runs[i].x0 < s->runs[j].x1 + reach && s->runs[j].x0 < s->runs[i].x1 + reach)
            join(s->runs, i, j);
        if (s->runs[i].x1 < s->runs[j].x1)
            i++;
        else
            j++;
    }
}

static void measure(shapes *s)
{
    for (int32_t y = 0; y < s->height; y++) {
        for (uint32_t i = s->row_begin[y]; i < s->row_begin[y + 1]; i++) {
            struct shape_run *r = &s->runs[i];
            r->piece = find(s->runs, i);
            s->n_pieces += r->piece == i;
            s->area[r->piece] += (uint32_t)(r->x1 - r->x0);
            if (y == 0 || y == s->height - 1 || r->x0 == 0 || r->x1 == s->width)
                s->at_border[r->piece] = 1;
        }
    }
}

mt_status shapes_find(shapes *s, const uint8_t *mask, int32_t width, int32_t height, bool tissue,
                      mt_err *err)
{
    *s = (shapes){.width = width, .height = height};
    MT_TRY(mt_alloc(&s->row_begin, (size_t)height + 1, sizeof *s->row_begin, SIZE_MAX, "mask rows",
                    err));
    uint64_t n = 0;
    for (int32_t y = 0; y < height; y++) {
        n += row_runs(NULL, mask + (size_t)y * (size_t)width, width, tissue);
        s->row_begin[y + 1] = (uint32_t)n; /* a mask has far fewer than 2^32 pixels */
    }
    s->n_runs = (uint32_t)n;
    MT_TRY(mt_alloc(&s->runs, n, sizeof *s->runs, SIZE_MAX, "mask runs", err));
    MT_TRY(mt_alloc(&s->area, n, sizeof *s->area, SIZE_MAX, "mask runs", err));
    MT_TRY(mt_alloc(&s->at_border, n, 1, SIZE_MAX, "mask runs", err));
    for (int32_t y = 0; y < height; y++)
        row_runs(s->runs + s->row_begin[y], mask + (size_t)y * (size_t)width, width, tissue);
    for (uint32_t i = 0; i < s->n_runs; i++)
        s->runs[i].piece = i;
    for (int32_t y = 1; y < height; y++)
        join_rows(s, y, tissue ? 0 : 1);
    measure(s);
    return MT_OK;
}

void shapes_free(shapes *s)
{
    free(s->runs);
    free(s->row_begin);
    free(s->area);
    free(s->at_border);
    memset(s, 0, sizeof *s);
}

uint32_t shapes_piece_at(const shapes *s, int32_t x, int32_t y)
{
    uint32_t lo = s->row_begin[y], hi = s->row_begin[y + 1];
    while (lo + 1 < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (s->runs[mid].x0 <= x)
            lo = mid;
        else
            hi = mid;
    }
    return s->runs[lo].piece;
}

static void paint_small(uint8_t *mask, const shapes *s, double below, bool spare_border,
                        uint8_t value)
{
    for (int32_t y = 0; y < s->height; y++) {
        for (uint32_t i = s->row_begin[y]; i < s->row_begin[y + 1]; i++) {
            const struct shape_run *r = &s->runs[i];
            if (s->area[r->piece] >= below || (spare_border && s->at_border[r->piece])) continue;
            memset(mask + (size_t)y * (size_t)s->width + r->x0, value, (size_t)(r->x1 - r->x0));
        }
    }
}

mt_status shapes_clean(uint8_t *mask, int32_t width, int32_t height, double min_speck,
                       double max_hole, int *n_pieces, mt_err *err)
{
    shapes s;
    mt_status st = shapes_find(&s, mask, width, height, true, err);
    if (st == MT_OK) paint_small(mask, &s, min_speck, false, 0);
    shapes_free(&s);
    MT_TRY(st);
    st = shapes_find(&s, mask, width, height, false, err);
    if (st == MT_OK) paint_small(mask, &s, max_hole, true, 255);
    shapes_free(&s);
    MT_TRY(st);
    st = shapes_find(&s, mask, width, height, true, err); /* filling may have joined pieces */
    if (st == MT_OK) *n_pieces = (int)s.n_pieces;
    shapes_free(&s);
    return st;
}
