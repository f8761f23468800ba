/* Ground truth: class fractions of boxes, a table, outlines.
 *
 * The definition: the class of a truth cell (4 x 4 level-0 pixels, grid from the slide's origin) is the
 * class the renderer drew at the cell's pixel (2, 2). All truth is counted in such cells. A gland's
 * lumen is gland; the wall between fat cells is fat; artefacts change no class. */
#include "slide/synth/draw.h"

#include <errno.h>
#include <string.h>
#include "base/buf.h"
#include "base/file.h"

enum { CELL = SYNTH_TRUTH_CELL };

static inline int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

void synth_truth_cells(const synth_ctx *c, const synth_grid *g, uint8_t *cls, size_t stride, int64_t x, int64_t y, int n_x,
                       int n_y)
{
    for (int j = 0; j < n_y; j++) {
        if (!g->tissue) {
            memset(cls + (size_t)j * stride, MT_SYNTH_GLASS, (size_t)n_x);
            continue;
        }
        const int64_t py = y + j * CELL + CELL / 2, gj = floor_div(py, c->step);
        const int iy = (int)(py - gj * c->step);
        for (int i = 0; i < n_x;) {
            const int64_t px = x + i * CELL + CELL / 2, gi = floor_div(px, c->step);
            const synth_cell k = synth_cell_at(g, (int)(gi - g->gi0), (int)(gj - g->gj0));
            for (int ix = (int)(px - gi * c->step); ix < c->step && i < n_x; ix += CELL, i++)
                cls[(size_t)j * stride + (size_t)i] = (uint8_t)synth_cell_class(c, &k, ix, iy, NULL);
        }
    }
}

/* ---- boxes ---- */

void mt_synth_truth(double fraction[MT_SYNTH_CLASSES], const mt_synth_opts *opts, int64_t x_l0, int64_t y_l0, int32_t w_l0,
                    int32_t h_l0)
{
    enum { BOX = 128 }; /* truth cells a side */
    for (int k = 0; k < MT_SYNTH_CLASSES; k++) fraction[k] = 0;
    MT_AUTO(synth_ctx_put) synth_ctx *c = NULL;
    MT_AUTO(synth_scratch_free) synth_scratch *s = NULL;
    if (w_l0 < 1 || h_l0 < 1 || synth_ctx_get(&c, opts, NULL) != MT_OK || synth_scratch_new(&s, c, BOX * CELL, BOX * CELL, NULL) != MT_OK)
        return;
    uint64_t px[MT_SYNTH_CLASSES] = {0};
    uint8_t cls[BOX * BOX];
    const int64_t ci1 = floor_div(x_l0 + w_l0 - 1, CELL), cj1 = floor_div(y_l0 + h_l0 - 1, CELL);
    for (int64_t cj = floor_div(y_l0, CELL); cj <= cj1; cj += BOX)
        for (int64_t ci = floor_div(x_l0, CELL); ci <= ci1; ci += BOX) {
            const int nx = (int)MT_MIN(BOX, ci1 - ci + 1), ny = (int)MT_MIN(BOX, cj1 - cj + 1);
            synth_grid_fill(c, s, ci * CELL, cj * CELL, nx * CELL, ny * CELL, 0);
            synth_truth_cells(c, &s->grid, cls, BOX, ci * CELL, cj * CELL, nx, ny);
            for (int j = 0; j < ny; j++)
                for (int i = 0; i < nx; i++) {
                    const int64_t x = (ci + i) * CELL, y = (cj + j) * CELL;
                    const int64_t w = MT_MIN(x + CELL, x_l0 + w_l0) - MT_MAX(x, x_l0), h = MT_MIN(y + CELL, y_l0 + h_l0) - MT_MAX(y, y_l0);
                    px[cls[j * BOX + i]] += (uint64_t)(w * h);
                }
        }
    for (int k = 0; k < MT_SYNTH_CLASSES; k++) fraction[k] = (double)px[k] / ((double)w_l0 * (double)h_l0);
}

/* ---- gathered while a slide is written ---- */

struct synth_truth {
    int64_t width, height;     /* level-0 pixels */
    int64_t next;              /* next row of truth cells */
    /* table */
    mt_outfile csv;
    int32_t px;
    int64_t csv_cols;
    uint64_t (*sum)[MT_SYNTH_CLASSES];
    /* outlines: classes on a coarse grid of map_px pixels, the commonest class of each */
    mt_outfile json;
    int32_t map_px;
    int64_t map_w, map_h;
    uint8_t *map;
    uint32_t (*votes)[MT_SYNTH_CLASSES];
};

void synth_truth_discard(synth_truth **pt)
{
    if (!pt || !*pt) return;
    synth_truth *t = *pt;
    mt_outfile_discard(&t->csv);
    mt_outfile_discard(&t->json);
    free(t->sum);
    free(t->map);
    free(t->votes);
    free(t);
    *pt = NULL;
}

mt_status synth_truth_open(synth_truth **out, const synth_ctx *c, const char *geojson, const char *csv, int32_t truth_px, mt_err *err)
{
    const size_t ceiling = (size_t)1 << 30;
    if (csv && (truth_px < CELL || truth_px > 65536))
        return mt_err_set(err, MT_ERR_ARG, "truth cells of %d pixels: must be %d..65536", truth_px, CELL);
    MT_AUTO(synth_truth_discard) synth_truth *t = NULL;
    MT_TRY(mt_alloc(&t, 1, sizeof *t, sizeof *t, "truth", err));
    t->width = c->o.width;
    t->height = c->o.height;
    t->px = truth_px;
    if (csv) {
        t->csv_cols = (t->width + truth_px - 1) / truth_px;
        MT_TRY(mt_alloc(&t->sum, (size_t)t->csv_cols, sizeof *t->sum, ceiling, "truth table", err));
        MT_TRY(mt_outfile_open(&t->csv, csv, err));
        fputs("x,y", t->csv.f);
        for (int k = 0; k < MT_SYNTH_CLASSES; k++) fprintf(t->csv.f, ",%s", mt_synth_class_name(k));
        fputc('\n', t->csv.f);
    }
    if (geojson) {
        t->map_px = (int32_t)(8 * ((MT_MAX(t->width, t->height) + 16383) / 16384));
        t->map_w = (t->width + t->map_px - 1) / t->map_px;
        t->map_h = (t->height + t->map_px - 1) / t->map_px;
        MT_TRY(mt_alloc(&t->map, (size_t)t->map_w, (size_t)t->map_h, ceiling, "truth map", err));
        MT_TRY(mt_alloc(&t->votes, (size_t)t->map_w, sizeof *t->votes, ceiling, "truth map", err));
        MT_TRY(mt_outfile_open(&t->json, geojson, err));
    }
    *out = mt_steal(t);
    return MT_OK;
}

/* Adds `rows` pixel rows of a row of truth cells to the sums of the current table row. */
static void table_add(synth_truth *t, const uint8_t *cls, int64_t rows)
{
    int64_t col = 0, col_end = MT_MIN(t->px, t->width);
    for (int64_t x = 0, i = 0; x < t->width; x += CELL, i++) {
        const int64_t end = MT_MIN(x + CELL, t->width);
        for (int64_t at = x; at < end;) {
            const int64_t stop = MT_MIN(end, col_end);
            t->sum[col][cls[i]] += (uint64_t)((stop - at) * rows);
            at = stop;
            if (at == col_end) {
                col++;
                col_end = MT_MIN(col_end + t->px, t->width);
            }
        }
    }
}

static void table_flush(synth_truth *t, int64_t y)
{
    for (int64_t i = 0; i < t->csv_cols; i++) {
        uint64_t all = 0;
        for (int k = 0; k < MT_SYNTH_CLASSES; k++) all += t->sum[i][k];
        fprintf(t->csv.f, "%lld,%lld", (long long)(i * t->px), (long long)y);
        for (int k = 0; k < MT_SYNTH_CLASSES; k++) {
            if (!t->sum[i][k]) fputs(",0", t->csv.f);
            else fprintf(t->csv.f, ",%.9g", (double)t->sum[i][k] / (double)all);
            t->sum[i][k] = 0;
        }
        fputc('\n', t->csv.f);
    }
}

static void map_add(synth_truth *t, const uint8_t *cls, int64_t y)
{
    const int64_t each = t->map_px / CELL;
    for (int64_t i = 0, n = (t->width + CELL - 1) / CELL; i < n; i++) t->votes[i / each][cls[i]]++;
    if ((y + CELL) % t->map_px && y + CELL < t->height) return;
    uint8_t *row = t->map + (size_t)(y / t->map_px) * (size_t)t->map_w;
    for (int64_t i = 0; i < t->map_w; i++) {
        int best = 0;
        for (int k = 1; k < MT_SYNTH_CLASSES; k++)
            if (t->votes[i][k] > t->votes[i][best]) best = k;
        row[i] = (uint8_t)best;
        memset(t->votes[i], 0, sizeof t->votes[i]);
    }
}

mt_status synth_truth_rows(synth_truth *t, const uint8_t *cls, size_t stride, int64_t n, mt_err *err)
{
    for (int64_t r = 0; r < n; r++, t->next++, cls += stride) {
        const int64_t y = t->next * CELL, end = MT_MIN(y + CELL, t->height);
        for (int64_t at = y; t->sum && at < end;) {
            const int64_t row_end = MT_MIN((at / t->px + 1) * t->px, t->height), stop = MT_MIN(end, row_end);
            table_add(t, cls, stop - at);
            if (stop == row_end) table_flush(t, at / t->px * t->px);
            at = stop;
        }
        if (t->map) map_add(t, cls, y);
    }
    if (t->csv.f && ferror(t->csv.f)) return mt_err_set(err, MT_ERR_IO, "truth table: %s", strerror(errno));
    return MT_OK;
}

/* ---- outlines ---- */

typedef struct ring_start {
    int32_t cell, next;        /* cell whose top edge begins the ring; next ring of the same piece */
} ring_start;

typedef struct outlines {
    const uint8_t *map;
    int32_t w, h;
    int32_t *piece;            /* piece of each cell */
    int32_t *first, *last;     /* per piece: its rings, the outer one first */
    uint8_t *seen;             /* top edge already on a ring */
    ring_start *rings;
    int32_t n_pieces, n_rings;
} outlines;

static void outlines_free(outlines *o)
{
    free(o->piece);
    free(o->first);
    free(o->last);
    free(o->seen);
    free(o->rings);
}

/* Numbers the 4-connected pieces of one class, in the order of their first cell. */
static void pieces_find(outlines *o, int32_t *stack)
{
    const int32_t n = o->w * o->h;
    for (int32_t i = 0; i < n; i++) o->piece[i] = -1;
    for (int32_t i = 0; i < n; i++) {
        if (o->piece[i] >= 0) continue;
        int32_t top = 0;
        const int32_t id = o->n_pieces++;
        o->piece[i] = id;
        stack[top++] = i;
        while (top) {
            const int32_t at = stack[--top], x = at % o->w, y = at / o->w;
            const int32_t near[4] = {x > 0 ? at - 1 : -1, x + 1 < o->w ? at + 1 : -1, y > 0 ? at - o->w : -1, y + 1 < o->h ? at + o->w : -1};
            for (int k = 0; k < 4; k++) {
                if (near[k] < 0 || o->piece[near[k]] >= 0 || o->map[near[k]] != o->map[i]) continue;
                o->piece[near[k]] = id;
                stack[top++] = near[k];
            }
        }
    }
}

static bool of_piece(const outlines *o, int32_t x, int32_t y, int32_t id)
{
    return x >= 0 && y >= 0 && x < o->w && y < o->h && o->piece[y * o->w + x] == id;
}

/* Walks a ring with the piece on the right hand, calling corner() where it turns. */
static void ring_walk(outlines *o, int32_t cell, void (*corner)(void *, int32_t, int32_t), void *ctx)
{
    static const int8_t dx[4] = {1, 0, -1, 0}, dy[4] = {0, 1, 0, -1}; /* east, south, west, north */
    /* cells ahead of a vertex, on the right and on the left hand, per direction */
    static const int8_t rx[4] = {0, -1, -1, 0}, ry[4] = {0, 0, -1, -1}, lx[4] = {0, 0, -1, -1}, ly[4] = {-1, 0, 0, -1};
    const int32_t id = o->piece[cell], x0 = cell % o->w, y0 = cell / o->w;
    int32_t x = x0, y = y0;
    int d = 0;
    do {
        if (d == 0) o->seen[y * o->w + x] = 1;
        x += dx[d];
        y += dy[d];
        int turn = 0;
        if (!of_piece(o, x + rx[d], y + ry[d], id)) turn = 1;
        else if (of_piece(o, x + lx[d], y + ly[d], id)) turn = 3;
        if (turn && corner) corner(ctx, x, y);
        d = (d + turn) & 3;
    } while (x != x0 || y != y0 || d != 0);
}

static mt_status rings_find(outlines *o, mt_err *err)
{
    const size_t ceiling = (size_t)1 << 30;
    const int32_t n = o->w * o->h;
    int32_t cap = 0;
    MT_TRY(mt_alloc(&o->first, (size_t)o->n_pieces, sizeof *o->first, ceiling, "outlines", err));
    MT_TRY(mt_alloc(&o->last, (size_t)o->n_pieces, sizeof *o->last, ceiling, "outlines", err));
    for (int32_t i = 0; i < o->n_pieces; i++) o->first[i] = -1;
    for (int32_t i = 0; i < n; i++) {
        if (o->seen[i] || of_piece(o, i % o->w, i / o->w - 1, o->piece[i])) continue;
        ring_walk(o, i, NULL, NULL);
        if (o->n_rings == cap) {
            cap = MT_MAX(1024, 2 * cap);
            ring_start *more = realloc(o->rings, (size_t)cap * sizeof *more);
            if (!more) return mt_err_set(err, MT_ERR_NO_MEMORY, "outlines: %d rings", cap);
            o->rings = more;
        }
        const int32_t id = o->piece[i];
        o->rings[o->n_rings] = (ring_start){i, -1};
        if (o->first[id] < 0) o->first[id] = o->n_rings;
        else o->rings[o->last[id]].next = o->n_rings;
        o->last[id] = o->n_rings++;
    }
    return MT_OK;
}

typedef struct ring_out {
    const synth_truth *t;
    FILE *f;
    int n;
    int64_t x0, y0;
} ring_out;

static void ring_corner(void *ctx, int32_t x, int32_t y)
{
    ring_out *r = ctx;
    const int64_t px = MT_MIN((int64_t)x * r->t->map_px, r->t->width), py = MT_MIN((int64_t)y * r->t->map_px, r->t->height);
    if (!r->n++) {
        r->x0 = px;
        r->y0 = py;
        fprintf(r->f, "[%lld,%lld]", (long long)px, (long long)py);
    } else {
        fprintf(r->f, ",[%lld,%lld]", (long long)px, (long long)py);
    }
}

static mt_status outlines_write(const synth_truth *t, mt_err *err)
{
    static const uint8_t colour[MT_SYNTH_CLASSES][3] = {{255, 255, 255}, {240, 180, 200}, {90, 170, 90}, {200, 40, 40},
                                                        {60, 60, 200},   {250, 220, 120}, {120, 100, 90}};
    const size_t ceiling = (size_t)1 << 30, n = (size_t)t->map_w * (size_t)t->map_h;
    MT_AUTO(outlines_free) outlines o = {.map = t->map, .w = (int32_t)t->map_w, .h = (int32_t)t->map_h};
    MT_AUTO_FREE int32_t *stack = NULL;
    MT_TRY(mt_alloc(&o.piece, n, sizeof *o.piece, ceiling, "outlines", err));
    MT_TRY(mt_alloc(&stack, n, sizeof *stack, ceiling, "outlines", err));
    MT_TRY(mt_alloc(&o.seen, n, 1, ceiling, "outlines", err));
    pieces_find(&o, stack);
    MT_TRY(rings_find(&o, err));
    FILE *f = t->json.f;
    fprintf(f, "{\"type\":\"FeatureCollection\",\"microtome\":{\"synthetic\":true,\"cell_px\":%d},\"features\":[", t->map_px);
    const char *comma = "\n";
    for (int32_t id = 0; id < o.n_pieces; id++) {
        const int cls = o.map[o.rings[o.first[id]].cell];
        if (cls == MT_SYNTH_GLASS) continue;
        fprintf(f, "%s{\"type\":\"Feature\",\"properties\":{\"objectType\":\"annotation\",\"classification\":{\"name\":\"%s\",\"color\":[%d,%d,%d]}},"
                   "\"geometry\":{\"type\":\"Polygon\",\"coordinates\":[", comma, mt_synth_class_name(cls), colour[cls][0], colour[cls][1], colour[cls][2]);
        comma = ",\n";
        for (int32_t r = o.first[id]; r >= 0; r = o.rings[r].next) {
            ring_out out = {.t = t, .f = f};
            fputs(r == o.first[id] ? "[" : ",[", f);
            ring_walk(&o, o.rings[r].cell, ring_corner, &out);
            fprintf(f, ",[%lld,%lld]]", (long long)out.x0, (long long)out.y0);
        }
        fputs("]}}", f);
    }
    fputs("\n]}\n", f);
    if (ferror(f)) return mt_err_set(err, MT_ERR_IO, "truth outlines: %s", strerror(errno));
    return MT_OK;
}

mt_status synth_truth_close(synth_truth **pt, mt_err *err)
{
    synth_truth *t = *pt;
    mt_status st = MT_OK;
    if (t->map) st = outlines_write(t, err);
    if (st == MT_OK && t->csv.f) st = mt_outfile_commit(&t->csv, err);
    if (st == MT_OK && t->json.f) st = mt_outfile_commit(&t->json, err);
    synth_truth_discard(pt);
    return st;
}
