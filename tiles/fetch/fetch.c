#include "tiles/fetch/fetch.h"

#include <stdatomic.h>
#include <string.h>
#include "base/clock.h"
#include "base/workers.h"
#include "codec/codec.h"
#include "kernels/u8_resample.h"
#include "kernels/u8_stain.h"
#include "kernels/u8_ycc.h"
#include "slide/slide.h"
#include "tiles/fetch/pool.h"
#include "tiles/fetch/samples.h"
#include "tiles/fetch/walk.h"

#define MAX_THREADS 256
#define LINE 64 /* bytes of a cache line */
#define MAX_BATCH 1024
#define DEFAULT_MEMORY (UINT64_C(256) << 20)
#define MOST_APART 64        /* crops of a native tile that are looked at for pixels they share */
#define PLAN_CACHE 64        /* resampling plans a worker keeps */
#define BAD_PART 0x80000000u /* in crop.left: a native tile under the crop would not decode */

/* A crop being put together. */
typedef struct crop {
    _Atomic int32_t slot;  /* buffer of the pool, -1 while none */
    _Atomic uint32_t left; /* native tiles still to come; BAD_PART */
} crop;

typedef struct cached_plan {
    float box[4];
    int32_t w, h;
    mt_resample *plan;
} cached_plan;

/* What of a native tile goes to one crop. */
typedef struct part {
    uint8_t *to;        /* row y0 of the native tile goes here */
    size_t skip, bytes; /* of a row of the native tile */
    int32_t y0, y1;     /* rows of the native tile */
} part;

typedef struct worker {
    mt_tile_reader *reader;
    uint8_t *native; /* one decoded native tile, or the rows of it on their way */
    part *parts;
    samples_part *sample_parts; /* instead, when the pass goes by samples */
    samples_axes *axes;         /* likewise, instead of plans */
    int32_t *slots;
    uint8_t *out;    /* resampled crops of the batch; NULL when crops are copies */
    void *scratch;
    size_t scratch_bytes;
    uint32_t *hits;
    mt_fetched *ready;
    int32_t *ready_slot;
    int n_ready;
    bool no_span; /* the format has no compressed tiles to count */
    cached_plan plans[PLAN_CACHE];
    mt_fetch_stats stats;
} worker;

typedef struct pass {
    const mt_slide *slide;
    walk walk;
    walk_strip strip;
    int threads, batch;
    mt_filter filter;
    const mt_u8_stain_map *stain;
    bool strict; /* a bad native tile ends the pass */
    mt_fetch_fn fn;
    void *ctx;
    crop *crops;
    uint32_t *orphans; /* crops that touch no native tile at all */
    size_t n_orphans, orphans_at_end;
    pool pool;
    mt_u8_ycc_fn *to_rgb[3]; /* by mt_ycc_kind */
    samples_slot samples; /* how a slot is laid out, when the pass goes by samples */
    size_t slot_stride, slot_bytes, native_stride, native_bytes, out_bytes, hits_cap;
    worker **workers;
    uint64_t total;
    mt_progress_fn progress;
    void *progress_ctx;
    double last_report; /* guarded by reporting */
    mt_team_err failed;
    /* Written by every worker, so kept off the lines above. */
    _Alignas(64) _Atomic uint64_t next;
    _Alignas(64) _Atomic uint64_t done;
    atomic_flag reporting;
} pass;

static void fail(pass *p, const mt_err *err)
{
    mt_team_fail(&p->failed, err);
}

/* ---- Handing on ---- */

static void report(pass *p, uint64_t n)
{
    uint64_t done = atomic_fetch_add_explicit(&p->done, n, memory_order_relaxed) + n;
    if (!p->progress || done == p->total ||
        atomic_flag_test_and_set_explicit(&p->reporting, memory_order_acquire))
        return; /* the last report is made when the pass has ended */
    double now = mt_clock_wall();
    if (now - p->last_report >= 0.1) {
        p->last_report = now;
        done = atomic_load_explicit(&p->done, memory_order_relaxed);
        if (p->progress(p->progress_ctx, done, p->total)) {
            mt_err e = MT_ERR_INIT;
            mt_err_set(&e, MT_ERR_CANCELLED, "stopped by request after %llu of %llu tiles",
                       (unsigned long long)done, (unsigned long long)p->total);
            fail(p, &e);
        }
    }
    atomic_flag_clear_explicit(&p->reporting, memory_order_release);
}

static void flush(pass *p, worker *w, int id)
{
    int n = w->n_ready;
    if (!n) return;
    mt_err e = MT_ERR_INIT;
    mt_status st = p->fn(p->ctx, id, w->ready, n, &e);
    w->n_ready = 0;
    for (int i = 0; i < n; i++) {
        if (w->ready_slot[i] >= 0) pool_give(&p->pool, w->ready_slot[i]);
        w->stats.unreadable += w->ready[i].unreadable;
    }
    if (st != MT_OK) {
        mt_err_set(&e, st, "tile %u was not taken", w->ready[0].tile);
        fail(p, &e);
        return;
    }
    w->stats.tiles += (uint64_t)n;
    report(p, (uint64_t)n);
}

/* The resampling of a crop depends on where its box lies between whole pixels: few cases a slide.
 */
static mt_resample *plan_for(pass *p, worker *w, const walk_cell *x, const walk_cell *y,
                             mt_err *err)
{
    float box[4] = {x->f0, y->f0, x->f1, y->f1};
    int32_t cw = x->b - x->a, ch = y->b - y->a;
    uint32_t key[2], hash = (uint32_t)(cw * 31 + ch);
    memcpy(key, box, sizeof key);
    hash = (hash ^ key[0] * 2654435761u ^ key[1] * 2246822519u) * 2654435761u;
    cached_plan *c = &w->plans[hash >> 26];
    if (c->plan && c->w == cw && c->h == ch && !memcmp(c->box, box, sizeof box)) return c->plan;
    mt_resample_free(&c->plan);
    int32_t out = p->walk.plan->out_px;
    const walk *k = &p->walk;
    mt_status st =
        k->way.scale_denom * k->way.shrink > 1
            ? mt_resample_new_reduced(&c->plan, cw, ch, box, out, out, p->filter, err)
            : mt_resample_new(&c->plan, cw, ch, box, out, out, p->filter, err);
    if (st != MT_OK) return NULL;
    memcpy(c->box, box, sizeof box);
    c->w = cw;
    c->h = ch;
    size_t need = mt_resample_scratch_bytes(c->plan);
    if (need > w->scratch_bytes) {
        free(w->scratch);
        w->scratch_bytes = 0;
        if (mt_alloc_aligned(&w->scratch, need, SIZE_MAX, "resampling", err) != MT_OK) return NULL;
        w->scratch_bytes = need;
    }
    return c->plan;
}

/* What lies outside the slide is white. */
static void whiten_outside(const pass *p, uint8_t *px, const walk_cell *x, const walk_cell *y)
{
    int32_t cw = x->b - x->a, ch = y->b - y->a;
    int32_t in_w = MT_MIN(MT_MAX(p->walk.axis[WALK_X].size - x->a, 0), cw);
    int32_t in_h = MT_MIN(MT_MAX(p->walk.axis[WALK_Y].size - y->a, 0), ch);
    if (in_w < cw)
        for (int32_t r = 0; r < in_h; r++)
            memset(px + (size_t)r * p->slot_stride + (size_t)in_w * 3, 255,
                   (size_t)(cw - in_w) * 3);
    for (int32_t r = in_h; r < ch; r++)
        memset(px + (size_t)r * p->slot_stride, 255, (size_t)cw * 3);
}

/* The crop's bytes: its buffer itself, or `out`, to which it was resampled. NULL after a failure. */
static uint8_t *finish(pass *p, worker *w, uint32_t tile, uint8_t *px, uint8_t *out)
{
    const walk *k = &p->walk;
    mt_err e = MT_ERR_INIT;
    if (k->way.samples.planes) {
        if (samples_resample(w->axes, k, &p->samples, px, tile, p->filter, out, &e) == MT_OK) return out;
        fail(p, &e);
        return NULL;
    }
    const walk_cell *x = walk_cell_of(k, WALK_X, tile), *y = walk_cell_of(k, WALK_Y, tile);
    whiten_outside(p, px, x, y);
    if (k->identity) return px;
    mt_resample *plan = plan_for(p, w, x, y, &e);
    if (plan)
        mt_u8_resample(plan, px, p->slot_stride, out, (size_t)k->plan->out_px * 3, w->scratch);
    else
        fail(p, &e);
    return plan ? out : NULL;
}

static void complete(pass *p, worker *w, int id, uint32_t tile, int32_t slot, bool unreadable)
{
    uint8_t *out = p->walk.identity ? NULL : w->out + (size_t)w->n_ready * p->out_bytes;
    uint8_t *px = finish(p, w, tile, pool_slot(&p->pool, slot), out);
    if (!p->walk.identity) pool_give(&p->pool, slot);
    else w->ready_slot[w->n_ready] = slot;
    if (!px) return;
    if (!p->walk.identity) w->ready_slot[w->n_ready] = -1;
    size_t side = (size_t)p->walk.plan->out_px;
    if (p->stain) mt_u8_stain(p->stain, px, side * side); /* a crop's rows are tight by now */
    w->ready[w->n_ready++] = (mt_fetched){tile, px, unreadable};
    if (w->n_ready == p->batch) flush(p, w, id);
}

/* ---- Native tile to crops ---- */

/* The crop's buffer, taken from the pool by whichever worker comes first. */
static int32_t slot_of(pass *p, crop *c, mt_err *err)
{
    int32_t slot = atomic_load_explicit(&c->slot, memory_order_acquire);
    if (slot >= 0) return slot;
    int32_t mine = pool_take(&p->pool);
    if (mine < 0) {
        mt_err_set(err, MT_ERR_INTERNAL, "the pool of %d tile buffers ran dry", p->pool.n);
        return -1;
    }
    if (atomic_compare_exchange_strong_explicit(&c->slot, &slot, mine, memory_order_acq_rel,
                                                memory_order_acquire))
        return mine;
    pool_give(&p->pool, mine);
    return slot;
}

static part part_of(const pass *p, uint32_t tile, int32_t slot, const int32_t t[2])
{
    const walk_axis *ax = &p->walk.axis[WALK_X], *ay = &p->walk.axis[WALK_Y];
    const walk_cell *x = walk_cell_of(&p->walk, WALK_X, tile),
                    *y = walk_cell_of(&p->walk, WALK_Y, tile);
    int32_t nx = t[WALK_X] * ax->native, ny = t[WALK_Y] * ay->native;
    int32_t x0 = MT_MAX(nx, x->a), x1 = MT_MIN(MT_MIN(nx + ax->native, ax->size), x->b);
    int32_t y0 = MT_MAX(ny, y->a), y1 = MT_MIN(MT_MIN(ny + ay->native, ay->size), y->b);
    uint8_t *to = pool_slot(&p->pool, slot) + (size_t)(y0 - y->a) * p->slot_stride +
                  (size_t)(x0 - x->a) * 3;
    return (part){to, (size_t)(x0 - nx) * 3, (size_t)(x1 - x0) * 3, y0 - ny, y1 - ny};
}

/* Where the rows of a native tile go. */
typedef struct spread {
    const part *parts;
    size_t n, slot_stride;
    mt_u8_ycc_fn *const *to_rgb;
    uint8_t *band; /* where rows become RGB that more than one crop wants; NULL: none does */
    size_t band_stride;
    int32_t w;
} spread;

/* Rows [y, y + n) of the native tile, hot from the decoder, to every crop that has a part in them. */
static void scatter(void *ctx, const uint8_t *rgb, size_t stride, int32_t y, int32_t n)
{
    const spread *s = ctx;
    for (size_t i = 0; i < s->n; i++) {
        const part *q = &s->parts[i];
        int32_t r0 = MT_MAX(y, q->y0), r1 = MT_MIN(y + n, q->y1);
        uint8_t *to = q->to + (size_t)(r0 - q->y0) * s->slot_stride;
        const uint8_t *from = rgb + (size_t)(r0 - y) * stride + q->skip;
        for (int32_t r = r0; r < r1; r++, to += s->slot_stride, from += stride) {
            /* The rows of the next portion: their lines come while the decoder computes. */
            for (size_t k = 0; k < q->bytes && r + n < q->y1; k += LINE)
                __builtin_prefetch(to + (size_t)n * s->slot_stride + k, 1, 2);
            memcpy(to, from, q->bytes);
        }
    }
}

/* The same for rows that are no RGB yet: they become it in the crops, so a pixel is stored once. */
static void scatter_planes(void *ctx, mt_ycc_kind kind, const mt_ycc_row *rows, int32_t y, int32_t n)
{
    const spread *s = ctx;
    mt_u8_ycc_fn *to_rgb = s->to_rgb[kind];
    if (s->band) {
        for (int32_t r = 0; r < n; r++)
            to_rgb(s->band + (size_t)r * s->band_stride, &rows[r], 0, s->w);
        scatter(ctx, s->band, s->band_stride, y, n);
        return;
    }
    for (size_t i = 0; i < s->n; i++) {
        const part *q = &s->parts[i];
        const int32_t r0 = MT_MAX(y, q->y0), r1 = MT_MIN(y + n, q->y1);
        uint8_t *to = q->to + (size_t)(r0 - q->y0) * s->slot_stride;
        for (int32_t r = r0; r < r1; r++, to += s->slot_stride)
            to_rgb(to, &rows[r - y], (int32_t)q->skip / 3, (int32_t)q->bytes / 3);
    }
}

/* True when some pixel of the native tile goes to two crops. */
static bool overlap(const part *parts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++) {
            const part *a = &parts[i], *b = &parts[k];
            if (a->y0 < b->y1 && b->y0 < a->y1 && a->skip < b->skip + b->bytes &&
                b->skip < a->skip + a->bytes)
                return true;
        }
    return false;
}

static void whiten(const spread *s)
{
    for (size_t i = 0; i < s->n; i++)
        for (int32_t r = s->parts[i].y0; r < s->parts[i].y1; r++)
            memset(s->parts[i].to + (size_t)(r - s->parts[i].y0) * s->slot_stride, 255,
                   s->parts[i].bytes);
}

/* Averages k x k pixels in place, for codecs that cannot reduce. */
static void shrink(uint8_t *px, size_t stride, int32_t w, int32_t h, int k)
{
    unsigned half = (unsigned)(k * k) / 2, shift = (unsigned)__builtin_ctz((unsigned)(k * k));
    for (int32_t y = 0; y < h / k; y++) {
        for (int32_t x = 0; x < w / k; x++) {
            unsigned sum[3] = {half, half, half};
            for (int j = 0; j < k; j++) {
                const uint8_t *s =
                    px + ((size_t)y * (size_t)k + (size_t)j) * stride + (size_t)x * (size_t)k * 3;
                for (int i = 0; i < k; i++, s += 3)
                    for (int c = 0; c < 3; c++)
                        sum[c] += s[c];
            }
            uint8_t *d = px + (size_t)y * stride + (size_t)x * 3;
            for (int c = 0; c < 3; c++)
                d[c] = (uint8_t)(sum[c] >> shift);
        }
    }
}

static void count_bytes(pass *p, worker *w, const int32_t t[2])
{
    mt_tile_span span;
    if (w->no_span) return;
    if (mt_slide_tile_span(&span, p->slide, p->walk.plan->level, t[WALK_X], t[WALK_Y], NULL) ==
        MT_OK)
        w->stats.bytes_compressed += span.size;
    else
        w->no_span = true;
}

static mt_status decode_rows(pass *p, worker *w, const int32_t t[2], const mt_row_sink *sink, mt_err *err)
{
    return mt_tile_reader_decode_rows(w->reader, p->walk.plan->level, t[WALK_X], t[WALK_Y],
                                      p->walk.way.scale_denom, w->native, p->native_stride, sink, err);
}

static mt_status decode_pixels(pass *p, worker *w, const int32_t t[2], size_t n, mt_err *err)
{
    const walk *k = &p->walk;
    const int shrunk = k->way.shrink;
    spread s = {w->parts, n, p->slot_stride, p->to_rgb, NULL, p->native_stride, k->axis[WALK_X].native};
    if (n > MOST_APART || overlap(w->parts, n)) s.band = w->native;
    const mt_row_sink sink = {.rows = scatter, .ctx = &s, .planes = scatter_planes};
    mt_status st = MT_OK;
    if (shrunk == 1) {
        st = decode_rows(p, w, t, &sink, err);
    } else {
        const int32_t tw = k->axis[WALK_X].native * shrunk, th = k->axis[WALK_Y].native * shrunk;
        st = mt_tile_reader_decode(w->reader, k->plan->level, t[WALK_X], t[WALK_Y],
                                   k->way.scale_denom, w->native, p->native_stride, err);
        if (st == MT_OK) {
            shrink(w->native, p->native_stride, tw, th, shrunk);
            scatter(&s, w->native, p->native_stride, 0, th / shrunk);
        }
    }
    if (st != MT_OK) whiten(&s);
    return st;
}

/* A tile whose samples stand otherwise than those of the level is decoded again, to RGB. */
static mt_status decode_samples(pass *p, worker *w, const int32_t t[2], size_t n, mt_err *err)
{
    samples_spread s = {&p->walk.way.samples, &p->samples, w->sample_parts, n, false};
    mt_row_sink sink = {.rows = samples_take_rgb, .ctx = &s, .samples = samples_take};
    mt_status st = decode_rows(p, w, t, &sink, err);
    if (st == MT_OK && s.other) {
        sink.samples = NULL;
        st = decode_rows(p, w, t, &sink, err);
    }
    if (st != MT_OK) samples_whiten(&s);
    return st;
}

/* Decodes native tile t into the n crops that wait for it. False when its bytes are bad; another fault
 * ends the pass. */
static bool decode(pass *p, worker *w, const int32_t t[2], size_t n)
{
    mt_err e = MT_ERR_INIT;
    const walk *k = &p->walk;
    mt_status st = k->way.samples.planes ? decode_samples(p, w, t, n, &e) : decode_pixels(p, w, t, n, &e);
    w->stats.native_decoded++;
    w->stats.pixels_decoded += (uint64_t)k->axis[WALK_X].native * (uint64_t)k->axis[WALK_Y].native *
                               (uint64_t)(k->way.shrink * k->way.shrink);
    count_bytes(p, w, t);
    if (st == MT_OK) return true;
    if (p->strict || !mt_is_tile_fault(st)) fail(p, &e);
    return false;
}

static void deliver(pass *p, worker *w, int id, uint32_t tile, int32_t slot, bool readable)
{
    crop *c = &p->crops[tile];
    if (!readable) atomic_fetch_or_explicit(&c->left, BAD_PART, memory_order_relaxed);
    uint32_t before = atomic_fetch_sub_explicit(&c->left, 1, memory_order_acq_rel);
    if ((before & ~BAD_PART) == 1) complete(p, w, id, tile, slot, before & BAD_PART);
}

/* One native tile: decoded once, its pixels brought to every crop that wants some. */
static void do_native(pass *p, worker *w, int id, const int32_t t[2])
{
    const walk *k = &p->walk;
    mt_err e = MT_ERR_INIT;
    size_t n = walk_crops(w->hits, p->hits_cap, k, &p->strip, t);
    if (!n) return;
    for (size_t i = 0; i < n; i++) {
        w->slots[i] = slot_of(p, &p->crops[w->hits[i]], &e);
        if (w->slots[i] < 0) return fail(p, &e);
        if (k->way.samples.planes)
            w->sample_parts[i] =
                samples_part_of(k, &p->samples, pool_slot(&p->pool, w->slots[i]), w->hits[i], t);
        else
            w->parts[i] = part_of(p, w->hits[i], w->slots[i], t);
    }
    bool readable = decode(p, w, t, n);
    for (size_t i = 0; i < n && !mt_team_failed(&p->failed); i++)
        deliver(p, w, id, w->hits[i], w->slots[i], readable);
}

static void do_orphan(pass *p, worker *w, int id, uint32_t tile)
{
    mt_err e = MT_ERR_INIT;
    int32_t slot = pool_take(&p->pool);
    if (slot >= 0)
        complete(p, w, id, tile, slot, false);
    else {
        mt_err_set(&e, MT_ERR_INTERNAL, "the pool of %d tile buffers ran dry", p->pool.n);
        fail(p, &e);
    }
}

static void work(void *ctx, int id)
{
    pass *p = ctx;
    worker *w = p->workers[id];
    uint64_t natives = p->strip.positions, end = natives + p->orphans_at_end;
    while (!mt_team_failed(&p->failed)) {
        uint64_t i = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed);
        int32_t t[2];
        if (i >= end) break;
        if (i >= natives)
            do_orphan(p, w, id, p->orphans[i - natives]);
        else if (walk_at(t, &p->walk, &p->strip, i))
            do_native(p, w, id, t);
    }
    if (!mt_team_failed(&p->failed)) flush(p, w, id);
}

/* ---- Memory ---- */

typedef struct need {
    uint64_t slots, bytes;
} need;

/* A worker may stand still with one native tile in hand while the others go on: every crop that
 * tile touches stays open besides those of the walk in order. Its ready crops too, when they are
 * not copied. */
static need need_of(const pass *p, const walk_peak *peak, int batch)
{
    uint64_t threads = (uint64_t)p->threads,
             each = p->walk.identity ? peak->most + (uint64_t)batch : peak->most + 1;
    need n = {peak->open + threads * each, 0};
    uint64_t out = p->walk.identity ? 0 : (uint64_t)batch * p->out_bytes;
    n.bytes = n.slots * p->slot_bytes + threads * (p->native_bytes + out);
    return n;
}

/* Narrower bands, then strips, then smaller batches, until the buffers fit. */
static mt_status fit_memory(pass *p, mt_fetch_stats *stats, need *n, uint64_t memory, mt_err *err)
{
    MT_AUTO_FREE uint32_t *left = NULL;
    walk *w = &p->walk;
    walk_peak peak;
    MT_TRY(mt_alloc(&left, w->plan->n_tiles, sizeof *left, SIZE_MAX, "tiles of the walk", err));
    uint64_t per_tile = (uint64_t)p->threads * (w->identity ? p->slot_bytes : p->out_bytes);
    while (p->batch > 1 && (uint64_t)p->batch * per_tile > memory / 4)
        p->batch /= 2;
    for (;;) {
        MT_TRY(walk_simulate(&peak, w, left, err));
        if (w->strips == 1) stats->native_needed = peak.natives;
        p->hits_cap = (size_t)MT_MAX(peak.most, 1);
        *n = need_of(p, &peak, p->batch);
        if (n->bytes <= memory) break;
        if (w->band > 1)
            w->band /= 2;
        else if (w->strips < w->axis[w->along].n_cells)
            w->strips = MT_MIN(w->strips * 2, w->axis[w->along].n_cells);
        else if (p->batch > 1)
            p->batch /= 2;
        else
            return mt_err_set(err, MT_ERR_LIMIT,
                              "tile buffers for %d threads need %llu MiB, the ceiling is %llu MiB",
                              p->threads, (unsigned long long)(n->bytes >> 20) + 1,
                              (unsigned long long)memory >> 20);
    }
    if (n->slots > INT32_MAX)
        return mt_err_set(err, MT_ERR_LIMIT, "%llu tile buffers", (unsigned long long)n->slots);
    stats->peak_bytes = n->bytes;
    return MT_OK;
}

static mt_status fill_crops(pass *p, const uint8_t *skip, mt_err *err)
{
    size_t n = p->walk.plan->n_tiles;
    MT_TRY(mt_alloc(&p->crops, n, sizeof *p->crops, SIZE_MAX, "tiles of the pass", err));
    for (size_t i = 0; i < n; i++) {
        uint32_t parts = walk_parts(&p->walk, (uint32_t)i);
        atomic_init(&p->crops[i].slot, -1);
        atomic_init(&p->crops[i].left, parts);
        if (skip && skip[i]) continue;
        p->total++;
        p->n_orphans += parts == 0;
    }
    MT_TRY(mt_alloc(&p->orphans, p->n_orphans, sizeof *p->orphans, SIZE_MAX, "tiles of the pass",
                    err));
    for (size_t i = 0, k = 0; i < n && k < p->n_orphans; i++)
        if (!(skip && skip[i]) && walk_parts(&p->walk, (uint32_t)i) == 0)
            p->orphans[k++] = (uint32_t)i;
    return MT_OK;
}

static void worker_free(worker **w)
{
    if (!*w) return;
    mt_tile_reader_free(&(*w)->reader);
    for (int i = 0; i < PLAN_CACHE; i++)
        mt_resample_free(&(*w)->plans[i].plan);
    free((*w)->native);
    free((*w)->out);
    free((*w)->scratch);
    free((*w)->hits);
    free((*w)->parts);
    free((*w)->sample_parts);
    samples_axes_free(&(*w)->axes);
    free((*w)->slots);
    free((*w)->ready);
    free((*w)->ready_slot);
    free(*w);
    *w = NULL;
}

static mt_status worker_new(worker **out, const pass *p, mt_err *err)
{
    size_t batch = (size_t)p->batch;
    MT_AUTO(worker_free) worker *w = NULL;
    MT_TRY(mt_alloc_aligned(&w, sizeof *w, SIZE_MAX, "worker", err));
    memset(w, 0, sizeof *w);
    MT_TRY(mt_tile_reader_new(&w->reader, p->slide, err));
    MT_TRY(mt_alloc_aligned(&w->native, p->native_bytes, SIZE_MAX, "native tile", err));
    if (!p->walk.identity)
        MT_TRY(mt_alloc_aligned(&w->out, batch * p->out_bytes, SIZE_MAX, "batch of tiles", err));
    MT_TRY(mt_alloc(&w->hits, p->hits_cap, sizeof *w->hits, SIZE_MAX, "worker", err));
    if (p->walk.way.samples.planes) {
        MT_TRY(mt_alloc(&w->sample_parts, p->hits_cap, sizeof *w->sample_parts, SIZE_MAX, "worker", err));
        MT_TRY(samples_axes_new(&w->axes, err));
    } else {
        MT_TRY(mt_alloc(&w->parts, p->hits_cap, sizeof *w->parts, SIZE_MAX, "worker", err));
    }
    MT_TRY(mt_alloc(&w->slots, p->hits_cap, sizeof *w->slots, SIZE_MAX, "worker", err));
    MT_TRY(mt_alloc(&w->ready, batch, sizeof *w->ready, SIZE_MAX, "worker", err));
    MT_TRY(mt_alloc(&w->ready_slot, batch, sizeof *w->ready_slot, SIZE_MAX, "worker", err));
    *out = mt_steal(w);
    return MT_OK;
}

static mt_status size_buffers(pass *p, mt_err *err)
{
    const walk *w = &p->walk;
    const walk_axis *x = &w->axis[WALK_X], *y = &w->axis[WALK_Y];
    size_t k = (size_t)w->way.shrink, side = (size_t)w->plan->out_px;
    if (!w->identity && (x->max_len > 65535 || y->max_len > 65535))
        return mt_err_set(err, MT_ERR_LIMIT,
                          "a tile is made of %d x %d pixels of level %d; the ceiling is 65535",
                          x->max_len, y->max_len, w->plan->level);
    p->slot_stride = (size_t)x->max_len * 3;
    p->slot_bytes = (p->slot_stride * (size_t)y->max_len + 63) & ~(size_t)63;
    if (w->way.samples.planes) {
        p->samples = samples_slot_of(w);
        p->slot_bytes = p->samples.bytes;
    }
    p->native_stride = (size_t)x->native * k * 3;
    p->out_bytes = (side * side * 3 + 63) & ~(size_t)63;
    if (!mt_mul(&p->native_bytes, p->native_stride, (size_t)y->native * k))
        return mt_err_set(err, MT_ERR_LIMIT, "native tile of level %d", w->plan->level);
    return MT_OK;
}

static void pass_free(pass *p)
{
    for (int i = 0; p->workers && i < p->threads; i++)
        worker_free(&p->workers[i]);
    free(p->workers);
    free(p->crops);
    free(p->orphans);
    pool_free(&p->pool);
    walk_free(&p->walk);
}

static mt_status prepare(pass *p, const mt_plan *plan, const mt_fetch_opts *o,
                         mt_fetch_stats *stats, mt_err *err)
{
    need n;
    walk_way way;
    for (int i = MT_YCC_444; i <= MT_YCC_420; i++) p->to_rgb[i] = mt_u8_ycc((mt_ycc_kind)i);
    MT_TRY(way_choose(&way, p->slide, plan, o->fast != 0, err));
    MT_TRY(walk_init(&p->walk, p->slide, plan, o->skip, &way, err));
    MT_TRY(size_buffers(p, err));
    MT_TRY(fit_memory(p, stats, &n, o->memory ? o->memory : DEFAULT_MEMORY, err));
    MT_TRY(fill_crops(p, o->skip, err));
    MT_TRY(pool_init(&p->pool, (int32_t)n.slots, p->slot_bytes, err));
    MT_TRY(mt_alloc(&p->workers, (size_t)p->threads, sizeof *p->workers, SIZE_MAX, "workers", err));
    for (int i = 0; i < p->threads; i++)
        MT_TRY(worker_new(&p->workers[i], p, err));
    return MT_OK;
}

static mt_status run(pass *p, mt_err *err)
{
    p->last_report = mt_clock_wall();
    for (int32_t i = 0; i < p->walk.strips && !mt_team_failed(&p->failed); i++) {
        p->strip = walk_strip_of(&p->walk, i);
        p->orphans_at_end = i == p->walk.strips - 1 ? p->n_orphans : 0;
        atomic_store(&p->next, 0);
        mt_workers_run(p->threads, work, p);
    }
    mt_err e = MT_ERR_INIT;
    if (mt_slide_check(p->slide, &e) != MT_OK) fail(p, &e);
    if (!p->failed.set && p->progress && p->progress(p->progress_ctx, p->done, p->total))
        return mt_err_set(err, MT_ERR_CANCELLED, "stopped by request after the last tile");
    return p->failed.set ? mt_err_set(err, p->failed.err.code, "%s", p->failed.err.text) : MT_OK;
}

static void sum_stats(mt_fetch_stats *stats, const pass *p)
{
    for (int i = 0; p->workers && i < p->threads; i++) {
        const mt_fetch_stats *s = &p->workers[i]->stats;
        stats->tiles += s->tiles;
        stats->unreadable += s->unreadable;
        stats->native_decoded += s->native_decoded;
        stats->bytes_compressed += s->bytes_compressed;
        stats->pixels_decoded += s->pixels_decoded;
    }
}

mt_status mt_fetch_fast_way(mt_fetch_way *out, const mt_slide *slide, const mt_plan *plan, mt_err *err)
{
    walk_way w;
    *out = (mt_fetch_way){"exact", 1};
    MT_TRY(way_choose(&w, slide, plan, true, err));
    *out = (mt_fetch_way){w.samples.planes ? "samples" : "exact",
                          w.scale_denom};
    return MT_OK;
}

mt_status mt_fetch_run(const mt_slide *slide, const mt_plan *plan, const mt_fetch_opts *opts,
                       mt_fetch_fn fn, void *ctx, mt_fetch_stats *stats, mt_err *err)
{
    mt_fetch_stats local, *s = stats ? stats : &local;
    *s = (mt_fetch_stats){0};
    if (opts->version != 1 || opts->threads < 1 || opts->threads > MAX_THREADS || opts->batch < 1)
        return mt_err_set(err, MT_ERR_ARG, "fetch with %d threads and a batch of %d", opts->threads,
                          opts->batch);
    if (!plan->n_tiles) return MT_OK;
    double wall = mt_clock_wall(), cpu = mt_clock_cpu();
    pass p = {.slide = slide,
              .threads = opts->threads,
              .batch = MT_MIN(opts->batch, MAX_BATCH),
              .filter = opts->bicubic ? MT_FILTER_BICUBIC : MT_FILTER_BILINEAR,
              .stain = opts->stain,
              .strict = opts->strict,
              .fn = fn,
              .ctx = ctx,
              .progress = opts->progress,
              .progress_ctx = opts->progress_ctx,
              .reporting = ATOMIC_FLAG_INIT};
    mt_status st = prepare(&p, plan, opts, s, err);
    if (st == MT_OK) {
        st = run(&p, err);
        sum_stats(s, &p);
    }
    pass_free(&p);
    s->wall_s = mt_clock_wall() - wall;
    s->cpu_s = mt_clock_cpu() - cpu;
    return st;
}
