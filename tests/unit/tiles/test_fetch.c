#include "fake.h"

#include <time.h>
#include "kernels/u8_resample.h"
#include "tiles/plan/anywhere.h"
#include "tiles/fetch/fetch.h"
#include "tiles/fetch/samples.h"

/* Everything a pass handed on: the crops in plan order and how often each came. */
typedef struct got {
    const mt_plan *plan;
    uint8_t *px;
    _Atomic int *times;
    uint8_t *bad;
    int batch;
    _Atomic int calls, too_many;
    _Atomic int busy[64];
    int fail_after; /* calls; 0 = never */
} got;

static size_t crop_bytes(const mt_plan *p)
{
    return (size_t)p->out_px * (size_t)p->out_px * 3;
}

static void got_init(got *g, const mt_plan *p, int batch)
{
    memset(g, 0, sizeof *g);
    g->plan = p;
    g->batch = batch;
    g->px = calloc(p->n_tiles + 1, crop_bytes(p));
    g->times = calloc(p->n_tiles + 1, sizeof *g->times);
    g->bad = calloc(p->n_tiles + 1, 1);
}

static void got_free(got *g)
{
    free(g->px);
    free(g->times);
    free(g->bad);
}

static mt_status take(void *ctx, int worker, const mt_fetched *tiles, int n, mt_err *err)
{
    got *g = ctx;
    int call = atomic_fetch_add(&g->calls, 1) + 1;
    if (n < 1 || n > g->batch || atomic_exchange(&g->busy[worker], 1))
        atomic_store(&g->too_many, 1);
    for (int i = 0; i < n; i++) {
        memcpy(g->px + tiles[i].tile * crop_bytes(g->plan), tiles[i].rgb, crop_bytes(g->plan));
        atomic_fetch_add(&g->times[tiles[i].tile], 1);
        g->bad[tiles[i].tile] = tiles[i].unreadable;
    }
    atomic_store(&g->busy[worker], 0);
    if (g->fail_after && call >= g->fail_after)
        return mt_err_set(err, MT_ERR_NUMERIC, "the taker is full");
    return MT_OK;
}

static mt_plan *plan_of(const mt_slide *s, const mt_plan_opts *o)
{
    mt_plan *p;
    mt_err e = MT_ERR_INIT;
    tt_ok(mt_plan_make(&p, s, NULL, o, &e), &e);
    return p;
}

static mt_plan_opts whole(int32_t tile, double mpp, double overlap)
{
    mt_plan_opts o = MT_PLAN_OPTS_INIT;
    o.tile_px = tile;
    o.mpp = mpp;
    o.overlap = overlap;
    o.whole_slide = 1;
    return o;
}

static mt_fetch_stats run(const mt_slide *s, const mt_plan *p, got *g, int threads, int batch,
                          uint64_t memory)
{
    mt_err e = MT_ERR_INIT;
    mt_fetch_stats st;
    mt_fetch_opts o = MT_FETCH_OPTS_INIT;
    o.threads = threads;
    o.batch = batch;
    o.memory = memory;
    got_init(g, p, batch);
    tt_ok(mt_fetch_run(s, p, &o, take, g, &st, &e), &e);
    assert_int_equal(g->too_many, 0);
    for (size_t i = 0; i < p->n_tiles; i++)
        assert_int_equal(g->times[i], 1);
    assert_int_equal(st.tiles, p->n_tiles);
    return st;
}

static int decodes(mt_slide *s, int level, int *most)
{
    int sum = 0;
    const mt_level *l = &s->info.levels[level];
    *most = 0;
    for (int64_t i = 0; i < l->tiles_x * l->tiles_y; i++) {
        int n = atomic_exchange(&s->decodes[level][i], 0);
        sum += n;
        if (n > *most) *most = n;
    }
    return sum;
}

static mt_slide *three_levels(void)
{
    mt_slide *s = fake_new(0.25);
    fake_level(s, 0, 1003, 707, 1.0, 64, 48);
    fake_level(s, 1, 250, 176, (1003 / 250.0 + 707 / 176.0) / 2, 40, 40);
    fake_level(s, 2, 63, 45, (1003 / 63.0 + 707 / 45.0) / 2, 32, 32);
    fake_paint(s);
    return s;
}

/* The crop as a plain reader would make it: the box at the level, reduced, resampled. */
static void reference(uint8_t *out, const mt_slide *s, const mt_plan *p, const mt_tile *t,
                      int reduce, int bicubic)
{
    mt_err e = MT_ERR_INIT;
    double ds = p->level_downsample * reduce;
    double x0 = t->x_l0 / ds, y0 = t->y_l0 / ds, x1 = (t->x_l0 + t->w_l0) / ds,
           y1 = (t->y_l0 + t->h_l0) / ds;
    int32_t a = (int32_t)floor(x0), b = (int32_t)ceil(x1), c = (int32_t)floor(y0),
            d = (int32_t)ceil(y1);
    int32_t w = b - a, h = d - c;
    uint8_t *big = malloc((size_t)w * (size_t)h * 3 * (size_t)(reduce * reduce));
    uint8_t *src = malloc((size_t)w * (size_t)h * 3);
    size_t stride = (size_t)w * (size_t)reduce * 3;
    tt_ok(mt_slide_read_region(s, p->level, (int64_t)a * reduce, (int64_t)c * reduce, w * reduce,
                               h * reduce, big, stride, &e),
          &e);
    const mt_level *l = &s->info.levels[p->level];
    for (int32_t y = 0; y < h; y++)
        for (int32_t x = 0; x < w; x++)
            for (int k = 0; k < 3; k++) {
                unsigned sum = (unsigned)(reduce * reduce) / 2;
                for (int v = 0; v < reduce; v++)
                    for (int u = 0; u < reduce; u++)
                        sum += big[((size_t)y * (size_t)reduce + (size_t)v) * stride +
                                   ((size_t)x * (size_t)reduce + (size_t)u) * 3 + (size_t)k];
                /* A reduced pixel that is not wholly on the slide is outside. */
                bool in = ((int64_t)a + x + 1) * reduce <= l->width &&
                          ((int64_t)c + y + 1) * reduce <= l->height;
                src[((size_t)y * (size_t)w + (size_t)x) * 3 + (size_t)k] =
                    in ? (uint8_t)(sum / (unsigned)(reduce * reduce)) : 255;
            }
    float box[4] = {(float)(x0 - a), (float)(y0 - c), (float)(x1 - a), (float)(y1 - c)};
    mt_resample *r;
    const mt_filter filter = bicubic ? MT_FILTER_BICUBIC : MT_FILTER_BILINEAR;
    if (reduce > 1)
        tt_ok(mt_resample_new_reduced(&r, w, h, box, p->out_px, p->out_px, filter, &e), &e);
    else
        tt_ok(mt_resample_new(&r, w, h, box, p->out_px, p->out_px, filter, &e), &e);
    void *scratch = malloc(mt_resample_scratch_bytes(r) + 64);
    mt_u8_resample(r, src, (size_t)w * 3, out, (size_t)p->out_px * 3, scratch);
    free(scratch);
    mt_resample_free(&r);
    free(src);
    free(big);
}

static void check_against_reference(const mt_slide *s, const mt_plan *p, const got *g, int reduce,
                                    int bicubic)
{
    uint8_t *want = malloc(crop_bytes(p));
    for (size_t i = 0; i < p->n_tiles; i++) {
        reference(want, s, p, &p->tiles[i], reduce, bicubic);
        if (memcmp(want, g->px + i * crop_bytes(p), crop_bytes(p))) fail_msg("crop %zu differs", i);
    }
    free(want);
}

/* Where plan and level fit exactly, a crop is what read_region gives. */
static void exact_crops_are_regions(void **state)
{
    mt_slide *s = three_levels();
    static const struct {
        int32_t tile;
        double mpp, overlap;
        int level;
    } cases[] = {
        {50, 0.25, 0, 0},   {64, 0.25, 0, 0}, {256, 0.25, 0.37, 0},
        {48, 1.0, 0.25, 1}, {17, 4.0, 0, 2},  {1100, 0.25, 0, 0},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        mt_plan_opts o = whole(cases[k].tile, cases[k].mpp, cases[k].overlap);
        mt_plan *p = plan_of(s, &o);
        assert_int_equal(p->level, cases[k].level);
        got g;
        mt_fetch_stats st = run(s, p, &g, 2, 3, 0);
        int most, sum = decodes(s, p->level, &most);
        assert_int_equal(most, 1);
        assert_int_equal(sum, st.native_decoded);
        assert_int_equal(st.native_needed, st.native_decoded);
        assert_int_equal(st.bytes_compressed, 100 * st.native_decoded);
        uint8_t *want = malloc(crop_bytes(p));
        for (size_t i = 0; i < p->n_tiles; i++) {
            int64_t n = (int64_t)p->level_downsample;
            assert_true(p->tiles[i].x_l0 % n == 0 && p->tiles[i].y_l0 % n == 0);
            tt_ok(mt_slide_read_region(s, p->level, p->tiles[i].x_l0 / n, p->tiles[i].y_l0 / n,
                                       p->out_px, p->out_px, want, (size_t)p->out_px * 3, NULL),
                  NULL);
            assert_memory_equal(want, g.px + i * crop_bytes(p), crop_bytes(p));
        }
        free(want);
        got_free(&g);
        mt_plan_free(&p);
    }
    mt_slide_close(&s);
}

static void resampled_crops_match_reference(void **state)
{
    mt_slide *s = three_levels();
    static const struct {
        int32_t tile, out;
        double mpp, overlap;
        int bicubic;
    } cases[] = {
        {40, 0, 0.34, 0, 0},  {40, 0, 0.34, 0.5, 1}, {64, 0, 0.125, 0, 0}, {32, 56, 0.25, 0, 1},
        {33, 0, 1.3, 0.1, 0}, {31, 0, 0.45, 0, 0},   {96, 37, 0.26, 0, 0},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        mt_plan_opts o = whole(cases[k].tile, cases[k].mpp, cases[k].overlap);
        o.out_px = cases[k].out;
        mt_plan *p = plan_of(s, &o);
        got g;
        mt_err e = MT_ERR_INIT;
        mt_fetch_opts f = MT_FETCH_OPTS_INIT;
        f.threads = 2;
        f.bicubic = cases[k].bicubic;
        got_init(&g, p, 8);
        tt_ok(mt_fetch_run(s, p, &f, take, &g, NULL, &e), &e);
        check_against_reference(s, p, &g, 1, cases[k].bicubic);
        got_free(&g);
        mt_plan_free(&p);
    }
    mt_slide_close(&s);
}

/* Without samples, fast scaling is the exact way; averaging only where there is too much. */
static void reduced_decoding(void **state)
{
    mt_slide *s = fake_new(0.25);
    fake_level(s, 0, 1003, 707, 1.0, 64, 64);
    fake_paint(s);
    static const struct {
        const char *codec;
        int max_reduce;
        double mpp;
        int fast, reduce, by_codec;
    } cases[] = {
        {"raw", 8, 0.5, 1, 1, 1},  {"raw", 1, 2.0, 1, 1, 1},  {"jpeg", 8, 1.0, 1, 1, 1},
        {"raw", 1, 4.0, 1, 2, 1},  {"jp2k", 8, 0.5, 1, 1, 1}, {"jp2k", 8, 2.0, 0, 1, 1},
        {"raw", 8, 3.99, 0, 1, 1}, {"raw", 8, 4.0, 0, 2, 1},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        s->max_reduce = cases[k].max_reduce;
        strcpy(s->info.levels[0].codec, cases[k].codec);
        mt_plan_opts o = whole(32, cases[k].mpp, 0.2);
        mt_plan *p = plan_of(s, &o);
        mt_err e = MT_ERR_INIT;
        mt_fetch_opts f = MT_FETCH_OPTS_INIT;
        mt_fetch_stats st;
        mt_fetch_way way;
        got g;
        f.threads = 3;
        f.batch = 2;
        f.fast = cases[k].fast;
        got_init(&g, p, 2);
        tt_ok(mt_fetch_run(s, p, &f, take, &g, &st, &e), &e);
        tt_ok(mt_fetch_fast_way(&way, s, p, &e), &e);
        assert_int_equal(way.reduced_by, cases[k].by_codec);
        assert_string_equal(way.name, "exact");
        assert_int_equal(st.native_decoded, st.native_needed);
        check_against_reference(s, p, &g, cases[k].reduce, 0);
        got_free(&g);
        mt_plan_free(&p);
    }
    mt_slide_close(&s);
}

/* Crops made of samples: those of RGB planes are the exact ones but for a rounding, whatever part of
 * the tiles says nothing of samples or fails, on any threads and with any memory. */
static void crops_of_samples(void **state)
{
    mt_slide *s = fake_new(0.25);
    fake_level(s, 0, 1003, 707, 1.0, 64, 48);
    fake_paint(s);
    strcpy(s->info.levels[0].codec, "jpeg");
    s->jitter = 1;
    static const struct {
        int every; /* one in so many tiles comes as RGB */
        double mpp;
        int bicubic, bad;
    } cases[] = {{0, 0.5, 0, 0}, {3, 0.5, 0, 0}, {2, 0.37, 1, 0}, {0, 1.0, 0, 1}, {4, 2.0, 0, 1}, {0, 0.26, 0, 0}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        mt_plan_opts o = whole(40, cases[k].mpp, 0.3);
        mt_plan *p = plan_of(s, &o);
        mt_err e = MT_ERR_INIT;
        mt_fetch_opts f = MT_FETCH_OPTS_INIT;
        mt_fetch_way way;
        got exact, g[2];
        f.threads = 2;
        f.bicubic = cases[k].bicubic;
        s->bad_tx = cases[k].bad ? 3 : -1;
        s->bad_ty = cases[k].bad ? 2 : -1;
        s->bad_status = MT_ERR_FORMAT;
        s->samples = false;
        got_init(&exact, p, 8);
        tt_ok(mt_fetch_run(s, p, &f, take, &exact, NULL, &e), &e);
        s->samples = true;
        s->rgb_every = cases[k].every;
        f.fast = 1;
        tt_ok(mt_fetch_fast_way(&way, s, p, &e), &e);
        assert_string_equal(way.name, "samples");
        for (int i = 0; i < 2; i++) {
            mt_fetch_stats st;
            f.threads = 1 + 3 * i;
            f.memory = i ? 32 << 20 : 64 << 20;
            got_init(&g[i], p, 8);
            tt_ok(mt_fetch_run(s, p, &f, take, &g[i], &st, &e), &e);
            assert_true(st.native_decoded >= st.native_needed);
            assert_int_equal(st.unreadable > 0, cases[k].bad);
        }
        assert_memory_equal(g[0].px, g[1].px, p->n_tiles * crop_bytes(p));
        for (size_t i = 0; i < p->n_tiles * crop_bytes(p); i++)
            /* Bicubic overshoots at these hard edges, and the exact way clips that between its passes. */
            if (abs(exact.px[i] - g[0].px[i]) > (cases[k].bicubic ? 8 : 1))
                fail_msg("case %zu: byte %zu is %d, exactly %d", k, i, g[0].px[i], exact.px[i]);
        got_free(&exact);
        got_free(&g[0]);
        got_free(&g[1]);
        mt_plan_free(&p);
    }
    mt_slide_close(&s);
}

/* A picture whose last row of samples is half its own, and white rows behind it: the white makes no
 * sample of the picture. */
static void white_behind_samples(void **state)
{
    const way_samples way = {.planes = 3, .ycbcr = true, .denom = 1, .step_x = {1, 2, 2}, .step_y = {1, 2, 2}};
    const samples_slot slot = {.stride = {4, 2, 2}};
    uint8_t luma[6 * 4] = {0}, blue[3 * 2] = {0}, red[3 * 2] = {0}, ones[12], white[12 * 3];
    const samples_part part = {.to = {luma, blue, red}, .y1 = {6, 3, 3}, .n = {4, 2, 2}};
    samples_spread s = {&way, &slot, &part, 1, false};
    memset(ones, 1, sizeof ones);
    memset(white, 255, sizeof white);
    const mt_sample_rows rows = {.planes = 3, .ycbcr = true, .step_x = {1, 2, 2}, .step_y = {1, 2, 2},
                                 .px = {ones, ones, ones}, .stride = {4, 2, 2}, .y = 0, .n = 3};
    samples_take(&s, &rows);
    samples_take_rgb(&s, white, sizeof white / 3, 3, 3);
    assert_false(s.other);
    for (int i = 0; i < 24; i++) assert_int_equal(luma[i], i < 12 ? 1 : 255);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(blue[i], i < 4 ? 1 : 128);
        assert_int_equal(red[i], i < 4 ? 1 : 128);
    }
}

static void same_bytes_any_threads_batch_memory(void **state)
{
    mt_slide *s = three_levels();
    s->jitter = 1;
    static const double mpps[] = {0.25, 0.34};
    for (int m = 0; m < 2; m++) {
        mt_plan_opts o = whole(56, mpps[m], 0.3);
        mt_plan *p = plan_of(s, &o);
        got first;
        mt_fetch_stats one = run(s, p, &first, 1, 1, 0);
        static const int threads[] = {1, 2, 7}, batches[] = {1, 3, 8};
        for (int a = 0; a < 3; a++)
            for (int b = 0; b < 3; b++) {
                got g;
                int most;
                decodes(s, 0, &most);
                mt_fetch_stats st = run(s, p, &g, threads[a], batches[b], 0);
                decodes(s, 0, &most);
                assert_int_equal(most, 1);
                assert_int_equal(st.native_decoded, one.native_decoded);
                assert_memory_equal(first.px, g.px, p->n_tiles * crop_bytes(p));
                got_free(&g);
            }
        /* Less and less memory: strips, and still the same bytes; the ceiling holds or the pass is
         * refused. */
        bool cut = false, refused = false;
        for (uint64_t memory = one.peak_bytes; memory > 4096 && !refused; memory = memory * 2 / 3) {
            got g;
            got_init(&g, p, 8);
            mt_fetch_opts f = MT_FETCH_OPTS_INIT;
            f.threads = 2;
            f.memory = memory;
            mt_fetch_stats st;
            mt_err e = MT_ERR_INIT;
            mt_status rc = mt_fetch_run(s, p, &f, take, &g, &st, &e);
            if (rc == MT_OK) {
                assert_true(st.peak_bytes <= memory);
                assert_int_equal(st.native_needed, one.native_needed);
                assert_true(st.native_decoded >= st.native_needed);
                cut |= st.native_decoded > st.native_needed;
                assert_memory_equal(first.px, g.px, p->n_tiles * crop_bytes(p));
            } else {
                assert_int_equal(rc, MT_ERR_LIMIT);
                refused = true;
            }
            got_free(&g);
        }
        assert_true(cut);
        assert_true(refused);
        got_free(&first);
        mt_plan_free(&p);
    }
    mt_slide_close(&s);
}

/* A tile that is wholly one crop is decoded in place; its neighbours at the edge must still be
 * white outside. */
static void aligned_tiles(void **state)
{
    mt_slide *s = fake_new(0.5);
    fake_level(s, 0, 500, 300, 1.0, 64, 64);
    fake_paint(s);
    static const int32_t sides[] = {64, 128, 192};
    for (int k = 0; k < 3; k++) {
        mt_plan_opts o = whole(sides[k], 0.5, 0);
        mt_plan *p = plan_of(s, &o);
        got g;
        run(s, p, &g, 2, 4, 0);
        check_against_reference(s, p, &g, 1, 0);
        got_free(&g);
        mt_plan_free(&p);
    }
    mt_slide_close(&s);
}

static void unreadable_tile_is_white_and_flagged(void **state)
{
    mt_slide *s = three_levels();
    s->bad_tx = 3, s->bad_ty = 2;
    static const mt_status faults[] = {MT_ERR_FORMAT, MT_ERR_UNSUPPORTED};
    for (int k = 0; k < 2; k++) {
        s->bad_status = faults[k];
        mt_plan_opts o = whole(50, 0.25, 0);
        mt_plan *p = plan_of(s, &o);
        got g;
        mt_fetch_stats st = run(s, p, &g, 2, 3, 0);
        uint64_t flagged = 0;
        int64_t bx = 3 * 64, by = 2 * 48;
        for (size_t i = 0; i < p->n_tiles; i++) {
            const mt_tile *t = &p->tiles[i];
            bool touches =
                t->x_l0 < bx + 64 && t->x_l0 + 50 > bx && t->y_l0 < by + 48 && t->y_l0 + 50 > by;
            assert_int_equal(g.bad[i], touches);
            flagged += g.bad[i];
            for (int y = 0; y < 50; y++)
                for (int x = 0; x < 50; x++) {
                    int64_t px = t->x_l0 + x, py = t->y_l0 + y;
                    static const uint8_t white[3] = {255, 255, 255};
                    bool hole = (px >= bx && px < bx + 64 && py >= by && py < by + 48) ||
                                px >= 1003 || py >= 707;
                    const uint8_t *want = hole ? white : fake_px(s, 0, px, py);
                    assert_memory_equal(want, g.px + i * crop_bytes(p) + (y * 50 + x) * 3, 3);
                }
        }
        assert_int_equal(st.unreadable, flagged);
        got_free(&g);
        mt_plan_free(&p);
    }
    mt_slide_close(&s);
}

static int stop_now(void *ctx, uint64_t done, uint64_t total)
{
    return 1;
}

typedef struct seen {
    uint64_t last, total, calls;
} seen;
static int watch(void *ctx, uint64_t done, uint64_t total)
{
    seen *s = ctx;
    if (done < s->last)
        s->total = UINT64_MAX;
    else
        s->total = total;
    s->last = done;
    s->calls++;
    return 0;
}

static void faults_end_the_pass(void **state)
{
    mt_slide *s = three_levels();
    mt_plan_opts o = whole(50, 0.25, 0);
    mt_plan *p = plan_of(s, &o);
    mt_fetch_opts f = MT_FETCH_OPTS_INIT;
    got g;
    for (f.threads = 1; f.threads <= 4; f.threads++) {
        mt_err e = MT_ERR_INIT;
        s->bad_tx = 3, s->bad_ty = 2, s->bad_status = MT_ERR_IO;
        got_init(&g, p, 8);
        assert_int_equal(mt_fetch_run(s, p, &f, take, &g, NULL, &e), MT_ERR_IO);
        assert_string_equal(e.text, "tile 3,2 is bad");
        got_free(&g);
        s->bad_tx = -1;

        mt_err_clear(&e);
        atomic_store(&s->fault, 1); /* a page went away, noticed only at the end */
        got_init(&g, p, 8);
        assert_int_equal(mt_fetch_run(s, p, &f, take, &g, NULL, &e), MT_ERR_IO);
        got_free(&g);
        atomic_store(&s->fault, 0);

        mt_err_clear(&e);
        got_init(&g, p, 8);
        g.fail_after = 3;
        assert_int_equal(mt_fetch_run(s, p, &f, take, &g, NULL, &e), MT_ERR_NUMERIC);
        assert_string_equal(e.text, "the taker is full");
        assert_true(g.calls <= 3 + f.threads);
        got_free(&g);

        mt_err_clear(&e);
        got_init(&g, p, 8);
        f.progress = stop_now;
        assert_int_equal(mt_fetch_run(s, p, &f, take, &g, NULL, &e), MT_ERR_CANCELLED);
        got_free(&g);
        f.progress = NULL;
    }
    mt_plan_free(&p);
    mt_slide_close(&s);
}

static mt_status take_slowly(void *ctx, int worker, const mt_fetched *tiles, int n, mt_err *err)
{
    struct timespec t = {0, 20 * 1000 * 1000};
    nanosleep(&t, NULL);
    return take(ctx, worker, tiles, n, err);
}

/* Progress comes while the pass runs, not too often, and can stop it half-way. */
static void progress_in_between(void **state)
{
    mt_slide *s = three_levels();
    mt_plan_opts o = whole(128, 0.25, 0); /* 48 tiles, 20 ms each */
    mt_plan *p = plan_of(s, &o);
    mt_fetch_opts f = MT_FETCH_OPTS_INIT;
    mt_fetch_stats st;
    mt_err e = MT_ERR_INIT;
    seen w = {0, 0, 0};
    got g;
    f.threads = 2;
    f.batch = 1;
    f.progress = watch;
    f.progress_ctx = &w;
    got_init(&g, p, 1);
    tt_ok(mt_fetch_run(s, p, &f, take_slowly, &g, &st, &e), &e);
    assert_int_equal(w.last, p->n_tiles);
    assert_int_equal(w.total, p->n_tiles);
    assert_true(w.calls >= 2 && w.calls <= 2 + (uint64_t)(st.wall_s * 10));
    got_free(&g);

    f.progress = stop_now;
    got_init(&g, p, 1);
    assert_int_equal(mt_fetch_run(s, p, &f, take_slowly, &g, &st, &e), MT_ERR_CANCELLED);
    assert_true(st.tiles > 0 && st.tiles < p->n_tiles);
    got_free(&g);
    mt_plan_free(&p);
    mt_slide_close(&s);
}

static void skipped_tiles_cost_nothing(void **state)
{
    mt_slide *s = three_levels();
    mt_plan_opts o = whole(64, 0.25, 0);
    mt_plan *p = plan_of(s, &o);
    uint8_t *skip = calloc(p->n_tiles, 1);
    for (size_t i = 0; i < p->n_tiles; i++)
        skip[i] = p->tiles[i].col >= 4;
    mt_fetch_opts f = MT_FETCH_OPTS_INIT;
    mt_fetch_stats st;
    mt_err e = MT_ERR_INIT;
    seen w = {0, 0, 0};
    got g;
    f.threads = 2;
    f.skip = skip;
    f.progress = watch;
    f.progress_ctx = &w;
    got_init(&g, p, 8);
    tt_ok(mt_fetch_run(s, p, &f, take, &g, &st, &e), &e);
    uint64_t wanted = 0;
    for (size_t i = 0; i < p->n_tiles; i++) {
        assert_int_equal(g.times[i], !skip[i]);
        wanted += !skip[i];
    }
    assert_int_equal(st.tiles, wanted);
    assert_int_equal(w.last, wanted);
    assert_int_equal(w.total, wanted);
    assert_int_equal(st.native_decoded,
                     4 * s->info.levels[0].tiles_y); /* 4 columns of 64 px = 4 of the 64 px tiles */
    got_free(&g);

    memset(skip, 1, p->n_tiles);
    got_init(&g, p, 8);
    tt_ok(mt_fetch_run(s, p, &f, take, &g, &st, &e), &e);
    assert_int_equal(g.calls, 0);
    assert_int_equal(st.native_decoded, 0);
    got_free(&g);
    free(skip);
    mt_plan_free(&p);
    mt_slide_close(&s);
}

static void empty_plan_and_bad_requests(void **state)
{
    mt_slide *s = three_levels();
    mt_plan_opts o = whole(2000, 0.25, 0);
    o.edge = MT_EDGE_DROP;
    mt_plan *p = plan_of(s, &o);
    assert_int_equal(p->n_tiles, 0);
    mt_fetch_opts f = MT_FETCH_OPTS_INIT;
    mt_fetch_stats st;
    mt_err e = MT_ERR_INIT;
    got g;
    got_init(&g, p, 8);
    tt_ok(mt_fetch_run(s, p, &f, take, &g, &st, &e), &e);
    assert_int_equal(g.calls, 0);
    f.threads = 0;
    assert_int_equal(mt_fetch_run(s, p, &f, take, &g, &st, &e), MT_ERR_ARG);
    got_free(&g);
    mt_plan_free(&p);

    o = whole(64, 0.25, 0);
    p = plan_of(s, &o);
    p->tiles[3].x_l0++;
    f.threads = 1;
    mt_err_clear(&e);
    assert_int_equal(mt_fetch_run(s, p, &f, take, &g, &st, &e), MT_ERR_ARG);
    mt_plan_free(&p);
    mt_slide_close(&s);
}

/* The last cell of a level that dropped a rest has no pixel at all: it is white, and it comes. */
static void cell_beyond_the_level(void **state)
{
    mt_slide *s = fake_new(0.25);
    fake_level(s, 0, 1030, 1040, 1.0, 64, 64);
    fake_paint(s);
    fake_reduce(s, 1, 16, 32);
    mt_plan_opts o = whole(
        16, 4.0, 0); /* cells of 256: the fifth begins at 1024, level 1 ends at 64 * 16 = 1024 */
    mt_plan *p = plan_of(s, &o);
    assert_int_equal(p->grid_cols, 5);
    got g;
    run(s, p, &g, 3, 2, 0);
    check_against_reference(s, p, &g, 1, 0);
    const uint8_t *last = g.px + (p->n_tiles - 5) * crop_bytes(p);
    for (size_t i = 0; i < crop_bytes(p); i++)
        assert_int_equal(last[i], 255);
    got_free(&g);
    mt_plan_free(&p);
    mt_slide_close(&s);
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* Boxes that lie off any grid, some over the slide's edge, some of them twice, in no order at all. */
static mt_plan *scattered(const mt_slide *s, const mt_plan_opts *o, size_t n)
{
    mt_plan *p = plan_of(s, o);
    uint32_t seed = 7;
    size_t repeated;
    mt_err e = MT_ERR_INIT;
    free(p->tiles);
    p->tiles = calloc(n, sizeof *p->tiles);
    p->n_tiles = n;
    for (size_t i = 0; i < n; i++)
        p->tiles[i] = (mt_tile){next_random(&seed) % 1003, next_random(&seed) % 707, p->box_l0,
                                p->box_l0,                  -9, -9, 1.0f};
    for (size_t i = 5; i < n; i += 10) p->tiles[i] = p->tiles[i / 2];
    tt_ok(plan_place(p, &repeated, &e), &e);
    assert_int_equal(repeated, n / 10);
    assert_int_equal(p->n_tiles, n - n / 10);
    assert_true(p->off_grid);
    return p;
}

static void tiles_anywhere_in_any_order(void **state)
{
    mt_slide *s = three_levels();
    static const struct {
        int32_t tile;
        double mpp;
    } cases[] = {{50, 0.25}, {40, 0.34}, {20, 1.0}, {16, 4.0}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        mt_plan_opts o = whole(cases[k].tile, cases[k].mpp, 0);
        mt_plan *p = scattered(s, &o, 300);
        got one, many;
        mt_fetch_stats st = run(s, p, &one, 1, 8, 0);
        int most;
        decodes(s, p->level, &most);
        assert_int_equal(most, 1);
        assert_int_equal(st.native_decoded, st.native_needed);
        check_against_reference(s, p, &one, 1, 0);
        run(s, p, &many, 3, 2, 0);
        decodes(s, p->level, &most);
        assert_int_equal(most, 1);
        assert_memory_equal(one.px, many.px, p->n_tiles * crop_bytes(p));
        got_free(&one);
        got_free(&many);
        mt_plan_free(&p);
    }
    mt_slide_close(&s);
}

/* The grid's own tiles, shuffled: the same crops, each under its new number. */
static void order_changes_no_pixel(void **state)
{
    mt_slide *s = three_levels();
    mt_plan_opts o = whole(56, 0.3, 0.3);
    mt_plan *p = plan_of(s, &o);
    got first, shuffled;
    mt_fetch_stats a = run(s, p, &first, 2, 4, 0);
    uint32_t *from = calloc(p->n_tiles, sizeof *from), seed = 3;
    for (uint32_t i = 0; i < p->n_tiles; i++) from[i] = i;
    for (size_t i = p->n_tiles - 1; i > 0; i--) {
        const size_t j = next_random(&seed) % (i + 1);
        const mt_tile t = p->tiles[i];
        const uint32_t f = from[i];
        p->tiles[i] = p->tiles[j];
        from[i] = from[j];
        p->tiles[j] = t;
        from[j] = f;
    }
    mt_fetch_stats b = run(s, p, &shuffled, 2, 4, 0);
    assert_int_equal(a.native_decoded, b.native_decoded);
    for (size_t i = 0; i < p->n_tiles; i++)
        assert_memory_equal(shuffled.px + i * crop_bytes(p), first.px + from[i] * crop_bytes(p),
                            crop_bytes(p));
    p->tiles[3] = p->tiles[9]; /* one of them twice */
    got g;
    got_init(&g, p, 8);
    mt_fetch_opts f = MT_FETCH_OPTS_INIT;
    assert_int_equal(mt_fetch_run(s, p, &f, take, &g, NULL, NULL), MT_ERR_ARG);
    got_free(&g);
    free(from);
    got_free(&first);
    got_free(&shuffled);
    mt_plan_free(&p);
    mt_slide_close(&s);
}

/* Bytes of tile buffers for a slide of one level: all there will be, a pool that runs dry is an error. */
static uint64_t buffers(int64_t w, int64_t h, bool shuffled, int threads, uint64_t ceiling)
{
    mt_slide *s = fake_new(0.25);
    fake_level(s, 0, w, h, 1.0, 60, 60);
    fake_paint(s);
    mt_plan_opts o = whole(64, 0.25, 0);
    mt_plan *p = plan_of(s, &o);
    uint32_t seed = 5;
    for (size_t i = p->n_tiles - 1; shuffled && i > 0; i--) {
        const size_t j = next_random(&seed) % (i + 1);
        const mt_tile t = p->tiles[i];
        p->tiles[i] = p->tiles[j];
        p->tiles[j] = t;
    }
    got g;
    const mt_fetch_stats st = run(s, p, &g, threads, 2, ceiling);
    if (ceiling == 0) assert_int_equal(st.native_decoded, st.native_needed);
    got_free(&g);
    mt_plan_free(&p);
    mt_slide_close(&s);
    return st.peak_bytes;
}

/* Without a ceiling buffers follow the shorter side and nothing else; under one they know no size. */
static void memory_knows_no_area_and_no_order(void **state)
{
    const uint64_t crop = 64 * 64 * 3;
    for (int threads = 1; threads <= 2; threads++) {
        const uint64_t square = buffers(1600, 1600, false, threads, 0),
                       high = buffers(1600, 6400, false, threads, 0),
                       broad = buffers(6400, 1600, false, threads, 0),
                       large = buffers(3200, 3200, false, threads, 0);
        assert_true(high <= square + 2 * crop && broad <= square + 2 * crop);
        assert_true(large > square && large <= 2 * square + 2 * crop);
        assert_int_equal(buffers(1600, 1600, true, threads, 0), square);
        assert_int_equal(buffers(3200, 3200, true, threads, 0), large);
        const uint64_t ceiling = square * 3 / 4;
        assert_true(buffers(1600, 1600, false, threads, ceiling) <= ceiling);
        assert_true(buffers(3200, 3200, true, threads, ceiling) <= ceiling);
        assert_true(buffers(3200, 1600, false, threads, ceiling) <= ceiling);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_crops_are_regions),
        cmocka_unit_test(resampled_crops_match_reference),
        cmocka_unit_test(reduced_decoding),
        cmocka_unit_test(crops_of_samples),
        cmocka_unit_test(white_behind_samples),
        cmocka_unit_test(same_bytes_any_threads_batch_memory),
        cmocka_unit_test(aligned_tiles),
        cmocka_unit_test(unreadable_tile_is_white_and_flagged),
        cmocka_unit_test(faults_end_the_pass),
        cmocka_unit_test(progress_in_between),
        cmocka_unit_test(skipped_tiles_cost_nothing),
        cmocka_unit_test(empty_plan_and_bad_requests),
        cmocka_unit_test(cell_beyond_the_level),
        cmocka_unit_test(tiles_anywhere_in_any_order),
        cmocka_unit_test(order_changes_no_pixel),
        cmocka_unit_test(memory_knows_no_area_and_no_order),
    };
    return cmocka_run_group_tests_name("fetch", tests, NULL, NULL);
}
