/* Figures of the tiling: crops cut in order against the same native tiles decoded with nothing
 * between. */
#include "microtome/bench.h"

#include <math.h>
#include <openslide.h>
#include <stdatomic.h>
#include <string.h>
#include "base/clock.h"
#include "base/workers.h"
#include "slide/slide.h"
#include "tiles/fetch/fetch.h"
#include "tiles/fetch/walk.h"

#define PAGE 4096

typedef struct raw_pass {
    const mt_slide *slide;
    const walk *walk;
    walk_strip strip;
    mt_tile_reader **readers;
    uint8_t **buffers;
    uint64_t *pixels; /* per worker, 8 apart */
    bool touch_only;  /* bring the pages in, decode nothing */
    _Atomic uint64_t next;
    mt_team_err failed;
} raw_pass;

static void touch(const raw_pass *r, const int32_t t[2])
{
    mt_tile_span span;
    if (mt_slide_tile_span(&span, r->slide, r->walk->plan->level, t[WALK_X], t[WALK_Y], NULL) != MT_OK) return;
    for (size_t i = 0; i < span.size; i += PAGE)
        (void)*(const volatile uint8_t *)(span.data + i);
}

static void raw_work(void *ctx, int id)
{
    raw_pass *r = ctx;
    const int level = r->walk->plan->level;
    const mt_level *l = &mt_slide_get_info(r->slide)->levels[level];
    mt_err e = MT_ERR_INIT;
    while (!mt_team_failed(&r->failed)) {
        uint64_t i = atomic_fetch_add(&r->next, 1);
        int32_t t[2];
        uint32_t one;
        if (i >= r->strip.positions) break;
        if (!walk_at(t, r->walk, &r->strip, i) || !walk_crops(&one, 1, r->walk, &r->strip, t))
            continue;
        if (r->touch_only) {
            touch(r, t);
            continue;
        }
        if (mt_tile_reader_decode(r->readers[id], level, t[WALK_X], t[WALK_Y], 1, r->buffers[id],
                                  (size_t)l->tile_w * 3, &e))
            mt_team_fail(&r->failed, &e);
        r->pixels[id * 8] += (uint64_t)l->tile_w * (uint64_t)l->tile_h;
    }
}

static mt_status raw_once(mt_bench_tiling *out, raw_pass *r, int threads, mt_err *err)
{
    double wall = mt_clock_wall(), cpu = mt_clock_cpu();
    uint64_t pixels = 0;
    atomic_store(&r->next, 0);
    mt_workers_run(threads, raw_work, r);
    if (r->failed.set) return mt_err_set(err, r->failed.err.code, "%s", r->failed.err.text);
    for (int i = 0; i < threads; i++)
        pixels += r->pixels[i * 8];
    out->raw_mpix = (double)pixels * 1e-6;
    out->raw_wall_s = mt_clock_wall() - wall;
    out->raw_cpu_s = mt_clock_cpu() - cpu;
    return MT_OK;
}

static mt_status raw_buffers(raw_pass *r, int threads, mt_err *err)
{
    const mt_level *l = &mt_slide_get_info(r->slide)->levels[r->walk->plan->level];
    size_t n = (size_t)threads;
    MT_TRY(mt_alloc(&r->readers, n, sizeof *r->readers, SIZE_MAX, "readers", err));
    MT_TRY(mt_alloc(&r->buffers, n, sizeof *r->buffers, SIZE_MAX, "readers", err));
    MT_TRY(mt_alloc(&r->pixels, n * 8, sizeof *r->pixels, SIZE_MAX, "readers", err));
    for (size_t i = 0; i < n; i++) {
        MT_TRY(mt_tile_reader_new(&r->readers[i], r->slide, err));
        MT_TRY(mt_alloc_aligned(&r->buffers[i], (size_t)l->tile_w * (size_t)l->tile_h * 3, SIZE_MAX,
                                "native tile", err));
    }
    return MT_OK;
}

/* Brings the compressed pages in, then, when asked, decodes every native tile the plan needs. */
static mt_status run_raw(mt_bench_tiling *out, const mt_slide *slide, const mt_plan *plan,
                         const mt_bench_tiling_opts *o, mt_err *err)
{
    walk w;
    raw_pass r = {.slide = slide, .walk = &w, .touch_only = true};
    walk_way exact;
    MT_TRY(way_choose(&exact, slide, plan, false, err));
    mt_status st = walk_init(&w, slide, plan, NULL, &exact, err);
    r.strip = walk_strip_of(&w, 0);
    if (st == MT_OK) st = raw_buffers(&r, o->threads, err);
    if (st == MT_OK) st = raw_once(out, &r, o->threads, err);
    out->raw_mpix = out->raw_wall_s = out->raw_cpu_s = 0;
    r.touch_only = false;
    if (st == MT_OK && o->with_raw) st = raw_once(out, &r, o->threads, err);
    for (int i = 0; i < o->threads; i++) {
        if (r.readers) mt_tile_reader_free(&r.readers[i]);
        if (r.buffers) free(r.buffers[i]);
    }
    free(r.readers);
    free(r.buffers);
    free(r.pixels);
    walk_free(&w);
    return st;
}

static mt_status look(void *ctx, int worker, const mt_fetched *tiles, int n, mt_err *err)
{
    return MT_OK;
}

static mt_status run_crops(mt_bench_tiling *out, const mt_slide *slide, const mt_plan *plan,
                           const mt_bench_tiling_opts *o, mt_err *err)
{
    mt_fetch_opts fo = MT_FETCH_OPTS_INIT;
    mt_fetch_stats stats;
    fo.threads = o->threads;
    fo.fast = o->fast;
    fo.batch = 1; /* nobody here gains from groups; a network's worker asks for more */
    MT_TRY(mt_fetch_run(slide, plan, &fo, look, NULL, &stats, err));
    out->crops = stats.tiles;
    out->mpix = (double)stats.tiles * plan->out_px * plan->out_px * 1e-6;
    out->wall_s = stats.wall_s;
    out->cpu_s = stats.cpu_s;
    out->native_needed = stats.native_needed;
    out->native_decoded = stats.native_decoded;
    out->peak_bytes = stats.peak_bytes;
    out->level = plan->level;
    mt_fetch_way way = {"exact", 1};
    if (o->fast) MT_TRY(mt_fetch_fast_way(&way, slide, plan, err));
    out->way = way.name;
    out->reduced_by = way.reduced_by;
    return MT_OK;
}

typedef struct vendor_pass {
    openslide_t *slide;
    const mt_plan *plan;
    uint32_t **buffers;
    _Atomic size_t next;
} vendor_pass;

static void vendor_work(void *ctx, int id)
{
    vendor_pass *v = ctx;
    for (size_t i; (i = atomic_fetch_add(&v->next, 1)) < v->plan->n_tiles;)
        openslide_read_region(v->slide, v->buffers[id], v->plan->tiles[i].x_l0,
                              v->plan->tiles[i].y_l0, 0, v->plan->out_px, v->plan->out_px);
}

/* OpenSlide's read_region on the same crops, one handle for all threads, row after row as a reader
 * goes. */
static mt_status run_vendor(mt_bench_tiling *out, const char *path, const mt_plan *plan,
                            int threads, mt_err *err)
{
    vendor_pass v = {.slide = openslide_open(path), .plan = plan};
    size_t px = (size_t)plan->out_px * (size_t)plan->out_px;
    if (!v.slide) return MT_OK; /* it does not read this one: no figure */
    mt_status st =
        mt_alloc(&v.buffers, (size_t)threads, sizeof *v.buffers, SIZE_MAX, "buffers", err);
    for (int i = 0; i < threads && st == MT_OK; i++)
        st = mt_alloc(&v.buffers[i], px, sizeof **v.buffers, SIZE_MAX, "buffers", err);
    if (st == MT_OK && !openslide_get_error(v.slide)) {
        double cpu = mt_clock_cpu();
        mt_workers_run(threads, vendor_work, &v);
        cpu = mt_clock_cpu() - cpu;
        if (!openslide_get_error(v.slide)) {
            out->openslide_mpix = (double)(px * plan->n_tiles) * 1e-6;
            out->openslide_cpu_s = cpu;
        }
    }
    for (int i = 0; v.buffers && i < threads; i++)
        free(v.buffers[i]);
    free(v.buffers);
    openslide_close(v.slide);
    return st;
}

static int32_t gcd(int32_t a, int32_t b)
{
    return b ? gcd(b, a % b) : a;
}

/* Pixels of a level under a grid step. */
static int32_t step_at(const mt_plan *p)
{
    return (int32_t)MT_MAX(lround(p->step_l0 / p->level_downsample), 1);
}

/* Keeps at most `most` tiles: a rectangle from the middle of the slide, as near to a square as
 * whole periods of crops against native tiles allow, so that no half-used native tile at its rim
 * distorts the comparison. */
static void keep_middle(mt_plan *p, const mt_level *l, uint64_t most)
{
    int32_t kx = l->tile_w / gcd(l->tile_w, step_at(p)), ky = l->tile_h / gcd(l->tile_h, step_at(p));
    int32_t side = (int32_t)sqrt((double)most);
    int32_t cols = MT_MIN(MT_MAX(side / kx * kx, MT_MIN(kx, side)), p->grid_cols);
    int64_t rows = MT_MIN((int64_t)(most / (uint64_t)MT_MAX(cols, 1)), p->grid_rows);
    rows = MT_MAX(rows / ky * ky, MT_MIN(rows, ky));
    int32_t c0 = (p->grid_cols - cols) / 2 / kx * kx,
            r0 = (p->grid_rows - (int32_t)rows) / 2 / ky * ky;
    size_t n = 0;
    for (size_t i = 0; i < p->n_tiles; i++) {
        const mt_tile *t = &p->tiles[i];
        if (t->col >= c0 && t->col < c0 + cols && t->row >= r0 && t->row < r0 + rows)
            p->tiles[n++] = *t;
    }
    p->n_tiles = n;
}

/* An order without sense, the same every time. */
static void shuffle(mt_plan *p)
{
    uint64_t state = 0x9e3779b97f4a7c15u;
    for (size_t i = p->n_tiles; i > 1; i--) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        size_t j = (size_t)((state >> 33) % i);
        mt_tile t = p->tiles[i - 1];
        p->tiles[i - 1] = p->tiles[j];
        p->tiles[j] = t;
    }
}

static mt_status plan_crops(mt_plan **plan, mt_bench_tiling *out, const mt_slide *slide,
                            const mt_bench_tiling_opts *opts, mt_err *err)
{
    mt_plan_opts po = MT_PLAN_OPTS_INIT;
    po.tile_px = opts->tile_px;
    po.mpp = opts->downsample;
    po.whole_slide = 1;
    po.edge = MT_EDGE_DROP;
    MT_TRY(mt_plan_make(plan, slide, NULL, &po, err));
    mt_plan *p = *plan;
    if (opts->max_crops && opts->max_crops < p->n_tiles)
        keep_middle(p, &mt_slide_get_info(slide)->levels[p->level], opts->max_crops);
    if (!p->n_tiles)
        return mt_err_set(err, MT_ERR_ARG, "the slide is smaller than one tile of %d px",
                          opts->tile_px);
    const mt_tile *first = p->tiles, *last = &p->tiles[p->n_tiles - 1];
    out->x_l0 = first->x_l0;
    out->y_l0 = first->y_l0;
    out->w_l0 = last->x_l0 + last->w_l0 - first->x_l0;
    out->h_l0 = last->y_l0 + last->h_l0 - first->y_l0;
    if (opts->random_order) shuffle(p);
    return MT_OK;
}

mt_status mt_bench_run_tiling(mt_bench_tiling *out, const char *slide_path,
                              const mt_bench_tiling_opts *opts, mt_err *err)
{
    memset(out, 0, sizeof *out);
    if (opts->version != 1 || opts->threads < 1 || opts->threads > 256)
        return mt_err_set(err, MT_ERR_ARG, "bench with %d threads", opts->threads);
    if (!(opts->downsample >= 1 && opts->downsample <= 64))
        return mt_err_set(err, MT_ERR_ARG, "bench at a downsample of %g", opts->downsample);
    MT_AUTO(mt_slide_close) mt_slide *slide = NULL;
    MT_AUTO(mt_plan_free) mt_plan *plan = NULL;
    mt_slide_opts so = MT_SLIDE_OPTS_INIT;
    so.assume_mpp = 1.0; /* then the spacing of a crop is its downsample, whatever the file says */
    MT_TRY(mt_slide_open(&slide, slide_path, &so, err));
    MT_TRY(plan_crops(&plan, out, slide, opts, err));
    MT_TRY(run_raw(out, slide, plan, opts, err));
    MT_TRY(run_crops(out, slide, plan, opts, err));
    bool peer = opts->with_openslide && opts->downsample == 1;
    return peer ? run_vendor(out, slide_path, plan, opts->threads, err) : MT_OK;
}
