/* microtome bench: figures per stage. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include "command.h"
#include "microtome/bench.h"
#include "microtome/system.h"
#include "talk.h"

struct opts {
    int64_t tile_px, threads, crops, rounds;
    double downsample;
    int peers, no_raw, cpu, order, fast, json;
};

static const mt_opt options[] = {
    OPT_INT("tile-px", tile_px, "N", 16, 8192, "side of the crops"),
    OPT_THREADS(threads),
    OPT_INT("crops", crops, "N", 0, 1e9, "stop after N crops; 0: the whole slide"),
    OPT_CHOICE("order", order, "row|random", "how the list of crops is ordered"),
    OPT_REAL("downsample", downsample, "F", 1, 64, "crops so many times coarser than level 0"),
    OPT_FLAG("fast-scaling", fast, "let the codec reduce where the crops are 2, 4, 8 times coarser than the level"),
    OPT_FLAG("json", json, "print JSON"),
    OPT_CHOICE("peers", peers, "none|openslide", "time OpenSlide's read_region on the same crops as well"),
    OPT_INT("rounds", rounds, "N", 1, 101, "measure everything so often, in turns"),
    OPT_FLAG("no-raw", no_raw, "leave out the raw limit (native tiles decoded, nothing between)"),
    OPT_CPU(cpu),
    OPT_END,
};

enum { MAX_ROUNDS = 101 };

/* One quantity over the rounds. */
typedef struct series {
    double v[MAX_ROUNDS];
    int n;
} series;

static void put(series *s, double a, double b)
{
    if (a > 0 && b > 0) s->v[s->n++] = a / b;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts; 0 when nothing was measured. */
static double median(series *s)
{
    if (!s->n) return 0;
    qsort(s->v, (size_t)s->n, sizeof *s->v, ascending);
    return (s->v[(s->n - 1) / 2] + s->v[s->n / 2]) / 2;
}

typedef struct figures {
    mt_bench_tiling last;
    int rounds;
    series crops, crops_wall, raw, raw_wall, openslide; /* megapixels a second of CPU, of time */
    series of_raw, of_openslide;
} figures;

static void add(figures *f, const mt_bench_tiling *b)
{
    put(&f->crops, b->mpix, b->cpu_s);
    put(&f->crops_wall, b->mpix, b->wall_s);
    put(&f->raw, b->raw_mpix, b->raw_cpu_s);
    put(&f->raw_wall, b->raw_mpix, b->raw_wall_s);
    put(&f->openslide, b->openslide_mpix, b->openslide_cpu_s);
    if (b->raw_mpix > 0) put(&f->of_raw, b->mpix / b->cpu_s, b->raw_mpix / b->raw_cpu_s);
    if (b->openslide_mpix > 0)
        put(&f->of_openslide, b->mpix / b->cpu_s, b->openslide_mpix / b->openslide_cpu_s);
    f->last = *b;
}

static json_t *stage(series *cpu, series *wall)
{
    if (!cpu->n) return json_null();
    json_t *j = json_pack("{s:o}", "mpix_per_cpu_s", mt_jn(median(cpu)));
    if (wall) json_object_set_new(j, "mpix_per_s", mt_jn(median(wall)));
    return j;
}

static void set_ratio(json_t *j, const char *name, series *s)
{
    json_object_set_new(j, name, s->n ? mt_jn(median(s)) : json_null());
    if (!s->n) return;
    json_t *range = json_pack("[o, o]", mt_jn(s->v[0]), mt_jn(s->v[s->n - 1]));
    char key[48];
    snprintf(key, sizeof key, "%s_range", name);
    json_object_set_new(j, key, range);
}

static int print_json(figures *f, const mt_bench_tiling_opts *o)
{
    const mt_bench_tiling *b = &f->last;
    struct rusage ru;
    getrusage(RUSAGE_SELF, &ru);
    json_t *j = json_pack("{s:s, s:s, s:s, s:i, s:i, s:s, s:f, s:b, s:i, s:i, s:i}", "bench", "tiling",
                          "version", mt_version(), "kernels", mt_cpu_name(), "tile_px",
                          (int)o->tile_px, "threads", o->threads, "order",
                          o->random_order ? "random" : "row", "downsample", o->downsample,
                          "fast_scaling", o->fast, "level", b->level, "reduced_by", b->reduced_by,
                          "rounds", f->rounds);
    json_object_set_new(j, "crops", json_integer((json_int_t)b->crops));
    json_object_set_new(j, "native_needed", json_integer((json_int_t)b->native_needed));
    json_object_set_new(j, "native_decoded", json_integer((json_int_t)b->native_decoded));
    json_object_set_new(j, "buffer_bytes", json_integer((json_int_t)b->peak_bytes));
    json_object_set_new(j, "peak_rss_bytes", json_integer((json_int_t)ru.ru_maxrss * 1024));
    json_object_set_new(j, "tiling", stage(&f->crops, &f->crops_wall));
    json_object_set_new(j, "raw", stage(&f->raw, &f->raw_wall));
    json_object_set_new(j, "openslide", stage(&f->openslide, NULL));
    set_ratio(j, "of_raw", &f->of_raw);
    set_ratio(j, "of_openslide", &f->of_openslide);
    return mt_json_print(j);
}

static void print_rate(const char *name, series *cpu, series *wall)
{
    if (!cpu->n) return;
    double m = median(cpu);
    printf("%-11s%.1f MPix per CPU second [%.1f, %.1f]", name, m, cpu->v[0], cpu->v[cpu->n - 1]);
    if (wall) printf(", %.1f MPix per second", median(wall));
    putchar('\n');
}

static void print_ratio(const char *name, series *s)
{
    if (!s->n) return;
    double m = median(s);
    printf("%-11s%.2f [%.2f, %.2f]\n", name, m, s->v[0], s->v[s->n - 1]);
}

static int print_text(figures *f, const mt_bench_tiling_opts *o)
{
    const mt_bench_tiling *b = &f->last;
    printf("crops      %llu of %d px, %s order, downsample %g (level %d, reduced by %d), %d thread%s, %d round%s\n",
           (unsigned long long)b->crops, o->tile_px, o->random_order ? "random" : "row",
           o->downsample, b->level, b->reduced_by, o->threads, o->threads == 1 ? "" : "s",
           f->rounds, f->rounds == 1 ? "" : "s");
    printf("native     %llu tiles needed, %llu decoded; %.1f MiB of tile buffers\n",
           (unsigned long long)b->native_needed, (unsigned long long)b->native_decoded,
           (double)b->peak_bytes / 1048576.0);
    print_rate("tiling", &f->crops, &f->crops_wall);
    print_rate("raw", &f->raw, &f->raw_wall);
    print_rate("openslide", &f->openslide, NULL);
    print_ratio("of raw", &f->of_raw);
    print_ratio("of openslide", &f->of_openslide);
    return 0;
}

static int tiling(const struct opts *opts, const char *path)
{
    static figures f;
    mt_bench_tiling_opts bo = MT_BENCH_TILING_OPTS_INIT;
    bo.tile_px = (int32_t)opts->tile_px;
    bo.threads = mt_threads(opts->threads);
    bo.max_crops = (uint64_t)opts->crops;
    bo.with_raw = !opts->no_raw;
    bo.with_openslide = opts->peers == 1;
    bo.random_order = opts->order == 1;
    bo.downsample = opts->downsample;
    bo.fast = opts->fast;
    mt_err err = MT_ERR_INIT;
    for (f.rounds = 0; f.rounds < opts->rounds; f.rounds++) {
        mt_bench_tiling b;
        if (mt_bench_run_tiling(&b, path, &bo, &err)) return mt_fail(&err);
        add(&f, &b);
    }
    return opts->json ? print_json(&f, &bo) : print_text(&f, &bo);
}

static int run(const void *o, int n_args, char **args)
{
    const struct opts *opts = o;
    mt_err err = MT_ERR_INIT;
    if (strcmp(args[0], "tiling"))
        return mt_usage_error(&mt_cmd_bench, "\"%s\" is no benchmark; there is: tiling", args[0]);
    if (n_args < 2) return mt_usage_error(&mt_cmd_bench, "tiling needs a SLIDE");
    if (mt_cpu_select(mt_cpu_words[opts->cpu], &err)) return mt_fail(&err);
    return tiling(opts, args[1]);
}

static const struct opts defaults = {.tile_px = 256, .threads = 1, .crops = 2000, .rounds = 3, .downsample = 1};
const mt_command mt_cmd_bench = {
    .name = "bench",
    .args = "tiling SLIDE [options]",
    .summary = "Measure a stage and print the figures",
    .about = "tiling cuts crops over the slide and, in the same run, times the raw limit: the same "
             "native tiles decoded with nothing between. Rates are megapixels handed on per second "
             "of CPU time, all threads together; of raw is the ratio of the two rates, of openslide the "
             "same against OpenSlide on the same crops. Ratios are taken within a round; the median "
             "over the rounds is given with the least and the greatest. The compressed bytes are in "
             "memory before a clock runs: no disk is measured.\n\n"
             "benchmarks/README.md says how the published figures were taken.",
    .examples = "microtome bench tiling slide.svs --tile-px 256 --threads 2 --peers openslide\n"
                "microtome bench tiling slide.svs --order random --tile-px 512\n"
                "microtome bench tiling slide.svs --downsample 2 --fast-scaling --json",
    .opts = options,
    .defaults = &defaults,
    .opts_size = sizeof defaults,
    .min_args = 1,
    .max_args = 2,
    .run = run,
};
