/* Tiling against its limit and against other readers.
 *
 * usage: bench_tiling [SLIDE] [--rounds N] [--crops N] [--threads 1,2] [--no-peers] [--only WORDS]
 *                     [--out DIR]
 *
 * The whole table of benchmarks/README.md with one command: text on stdout; tiling.json, tiling.svg and
 * tiling.md (the table of that page) in DIR (the current folder). Every round measures base and ours one
 * after the other in the same process over the same pixels; ratios are of megapixels per CPU second
 * (process time, all threads) and taken within a round. The limit is this program's own loop (tiling_raw.c). Without SLIDE one is drawn:
 * 40,000 x 40,000, 240-pixel tiles, JPEG 4:2:0, quality 75. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/mem.h"
#include "microtome/synth.h"
#include "microtome/system.h"
#include "tiling.h"

line *add_line(table *t, const char *name, int threads, double asked, const char *of)
{
    line *l = &t->lines[t->n++];
    snprintf(l->name, sizeof l->name, "%s", name);
    snprintf(l->of, sizeof l->of, "%s", of);
    l->threads = threads;
    l->asked = asked;
    fprintf(stderr, "%s, %d thread%s\n", name, threads, threads == 1 ? "" : "s");
    return l;
}

bool wanted(const options *o, const char *name)
{
    return !o->only || strstr(name, o->only);
}

static bool once(mt_bench_tiling *b, const char *slide, const mt_bench_tiling_opts *bo)
{
    mt_err e = MT_ERR_INIT;
    if (mt_bench_run_tiling(b, slide, bo, &e) == MT_OK) return true;
    fprintf(stderr, "bench_tiling: %s\n", e.text);
    return false;
}

static void note(line *l, const mt_bench_tiling *b)
{
    l->needed = b->native_needed;
    l->decoded = b->native_decoded;
    l->bytes = MT_MAX(l->bytes, b->peak_bytes);
}

/* ---- crops of level 0 against the limit ---- */

static bool against_limit(table *t, const char *name, int tile_px, bool random, int threads, double asked)
{
    if (!wanted(t->o, name)) return true;
    line *l = add_line(t, name, threads, asked, "raw limit");
    mt_bench_tiling_opts bo = MT_BENCH_TILING_OPTS_INIT;
    bo.tile_px = tile_px;
    bo.threads = threads;
    bo.max_crops = t->o->crops * 65536 / ((uint64_t)tile_px * (uint64_t)tile_px);
    bo.random_order = random;
    bo.with_raw = t->limit == NULL; /* no limit of ours for this file: the engine's decoder alone */
    l->peer[0].name = "OpenSlide";
    l->peer[1].name = "libvips";
    l->peer[2].name = "libtiff native tiles";
    for (int k = 0; k < t->o->rounds; k++) {
        mt_bench_tiling b;
        if (!once(&b, t->o->slide, &bo)) return false;
        double ours = b.mpix / b.cpu_s, base = b.raw_mpix / b.raw_cpu_s;
        if (t->limit) {
            base = raw_rate(t->limit, &b, threads, false);
            series_put(&l->plain, ours / raw_rate(t->limit, &b, threads, true));
        }
        series_put(&l->rate, ours);
        series_put(&l->base, base);
        series_put(&l->ratio, ours / base);
        note(l, &b);
        if (t->o->peers && k < 3) { /* slow, and far away */
            series_put(&l->peer[0].ratio, peer_openslide(t->o->slide, &b, tile_px, threads, random) / base);
            series_put(&l->peer[1].ratio, peer_vips(t->o->slide, &b, tile_px, threads, random) / base);
            if (t->limit && tile_px == raw_tile(t->limit))
                series_put(&l->peer[2].ratio, peer_libtiff(t->o->slide, &b, threads) / base);
        }
    }
    return true;
}

/* Wall time of two threads against one. */
static bool scaling(table *t)
{
    static const char name[] = "256 px in order, 2 threads against 1, wall";
    if (!wanted(t->o, name)) return true;
    line *l = add_line(t, name, 2, 1.9, "1 thread, megapixels per second");
    mt_bench_tiling_opts bo = MT_BENCH_TILING_OPTS_INIT;
    bo.with_raw = 0;
    bo.max_crops = t->o->crops * 4;
    for (int k = 0; k < t->o->rounds; k++) {
        mt_bench_tiling one, two;
        bo.threads = 1;
        if (!once(&one, t->o->slide, &bo)) return false;
        bo.threads = 2;
        if (!once(&two, t->o->slide, &bo)) return false;
        series_put(&l->ratio, two.mpix / two.wall_s / (one.mpix / one.wall_s));
    }
    return true;
}

/* ---- coarser than the slide: reduced decoding against full decoding and the exact filter ---- */

static bool coarser(table *t, const char *name, const char *slide, double downsample, double asked)
{
    if (!wanted(t->o, name)) return true;
    line *l = add_line(t, name, 1, asked, "full decode + exact resize");
    mt_bench_tiling_opts bo = MT_BENCH_TILING_OPTS_INIT;
    bo.downsample = downsample;
    bo.with_raw = 0;
    /* Enough of them that fresh memory for the large boxes of the exact way does not tell. */
    bo.max_crops = (uint64_t)MT_MAX((double)t->o->crops / (downsample * downsample), 144);
    for (int k = 0; k < MT_MAX(t->o->rounds / 2, 1); k++) {
        mt_bench_tiling exact, fast;
        bo.fast = 0;
        if (!once(&exact, slide, &bo)) return false;
        bo.fast = 1;
        if (!once(&fast, slide, &bo)) return false;
        series_put(&l->ratio, fast.mpix / fast.cpu_s / (exact.mpix / exact.cpu_s));
        series_put(&l->rate, fast.mpix / fast.cpu_s);
        series_put(&l->base, exact.mpix / exact.cpu_s);
        note(l, &fast);
    }
    return true;
}

/* ---- all of it ---- */

static bool all_cases(table *t)
{
    char name[64];
    const int native = t->limit ? raw_tile(t->limit) : 256;
    for (int k = 0; k < t->o->n_threads; k++) {
        const int thr = t->o->threads[k];
        snprintf(name, sizeof name, "the file's own %d px tiles, in order", native);
        if (!against_limit(t, name, native, false, thr, 0.97) ||
            !against_limit(t, "256 px crops, in order", 256, false, thr, 0.95) ||
            !against_limit(t, "224 px crops, in order", 224, false, thr, 0.92) ||
            !against_limit(t, "512 px crops, random order", 512, true, thr, 0.80))
            return false;
    }
    if (mt_cpu_count() > 1 && !scaling(t)) return false;
    char flat[64], wavelet[64];
    mt_err e = MT_ERR_INIT;
    snprintf(flat, sizeof flat, "/tmp/bench_tiling.%ld.flat.tif", (long)getpid());
    snprintf(wavelet, sizeof wavelet, "/tmp/bench_tiling.%ld.j2k.tif", (long)getpid());
    bool ok = true;
    if (t->limit) {
        ok = flat_copy(flat, t->o->slide, &e) &&
             coarser(t, "256 px, 2 x coarser, no such level", flat, 2, 1.25) &&
             coarser(t, "256 px, 4 x coarser, no such level", flat, 4, 1.35) &&
             coarser(t, "256 px, 8 x coarser, no such level", flat, 8, 1.6);
        unlink(flat);
    }
    ok = ok && wavelet_copy(wavelet, t->o->slide, 12, &e) &&
         coarser(t, "256 px, JPEG 2000, 2 x coarser", wavelet, 2, 1.7);
    unlink(wavelet);
    if (e.code) fprintf(stderr, "bench_tiling: %s\n", e.text);
    return ok && background_case(t) && memory_cases(t) && opening_cases(t);
}

/* ---- command line ---- */

static int numbers(int *out, const char *list)
{
    int n = 0;
    for (const char *p = list; *p && n < 8; p += strcspn(p, ",") + (p[strcspn(p, ",")] == ','))
        if ((out[n] = atoi(p)) >= 1 && out[n] <= 256) n++;
    return n;
}

static int parse(options *o, int argc, char **argv)
{
    *o = (options){.rounds = 15, .peers = 1, .crops = 2025, .threads = {1, 2}, .n_threads = 2, .out = "."};
    for (int i = 1; i < argc; i++) {
        const char *v = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(argv[i], "--no-peers"))
            o->peers = 0;
        else if (!strcmp(argv[i], "--rounds"))
            o->rounds = atoi(v), i++;
        else if (!strcmp(argv[i], "--crops"))
            o->crops = strtoull(v, NULL, 10), i++;
        else if (!strcmp(argv[i], "--threads"))
            o->n_threads = numbers(o->threads, v), i++;
        else if (!strcmp(argv[i], "--only"))
            o->only = v, i++;
        else if (!strcmp(argv[i], "--out"))
            o->out = v, i++;
        else if (argv[i][0] == '-')
            return 0;
        else
            o->slide = argv[i];
    }
    return o->rounds >= 1 && o->rounds <= MAX_ROUNDS && o->n_threads >= 1 && o->n_threads <= 3 && o->crops >= 16;
}

bool draw(char path[64], int64_t side, uint64_t seed, double tissue)
{
    mt_synth_opts so = MT_SYNTH_OPTS_INIT;
    mt_err e = MT_ERR_INIT;
    so.width = so.height = side;
    so.seed = seed;
    so.tissue = tissue;
    so.jpeg_quality = 75;
    so.threads = mt_cpu_count();
    snprintf(path, 64, "/tmp/bench_tiling.%ld.%lld-%llu.svs", (long)getpid(), (long long)side,
             (unsigned long long)seed);
    fprintf(stderr, "drawing %lld x %lld pixels\n", (long long)side, (long long)side);
    if (mt_synth_write(path, &so, NULL, NULL, 0, NULL, NULL, &e) == MT_OK) return true;
    fprintf(stderr, "bench_tiling: %s\n", e.text);
    return false;
}

int main(int argc, char **argv)
{
    static table t;
    options o;
    char drawn[64] = "", machine[600], path[1100];
    if (argc > 1 && !strcmp(argv[1], "--pass")) return pass_of_child(argc, argv);
    if (!parse(&o, argc, argv)) {
        fprintf(stderr, "usage: bench_tiling [SLIDE] [--rounds N] [--crops N] [--threads 1,2] [--no-peers] "
                        "[--only WORDS] [--out DIR]\n");
        return 2;
    }
    if (!o.slide) {
        if (!draw(drawn, 40000, 11, 0)) return 1;
        o.slide = drawn;
    }
    t.o = &o;
    t.limit = raw_open(o.slide);
    bool ok = all_cases(&t);
    machine_words(machine, sizeof machine);
    out_text(t.lines, t.n, machine);
    snprintf(path, sizeof path, "%s/tiling.json", o.out);
    ok &= out_json(path, t.lines, t.n, machine);
    snprintf(path, sizeof path, "%s/tiling.svg", o.out);
    ok &= out_svg(path, t.lines, t.n, machine);
    snprintf(path, sizeof path, "%s/tiling.md", o.out);
    ok &= out_markdown(path, t.lines, t.n);
    raw_close(t.limit);
    if (drawn[0]) unlink(drawn);
    return !ok;
}
