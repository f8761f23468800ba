/* microtome bench: figures per stage as JSON. */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include "command.h"
#include "microtome/bench.h"
#include "microtome/system.h"
#include "talk.h"

struct opts {
    int64_t tile_px, threads, crops;
    int openslide, no_raw, cpu;
};

static const mt_opt options[] = {
    OPT_INT("tile-px", tile_px, "N", 16, 8192, "side of the crops"),
    OPT_THREADS(threads),
    OPT_INT("crops", crops, "N", 0, 1e9, "stop after N crops; 0: the whole slide"),
    OPT_FLAG("openslide", openslide, "time OpenSlide's read_region on the same crops as well"),
    OPT_FLAG("no-raw", no_raw, "leave out the raw limit (native tiles decoded, nothing between)"),
    OPT_CPU(cpu),
    OPT_END,
};

static double per(double a, double b)
{
    return b > 0 ? a / b : 0;
}

static json_t *stage(double mpix, double wall_s, double cpu_s)
{
    if (mpix <= 0) return json_null();
    json_t *j = json_pack("{s:o, s:o, s:o}", "mpix", mt_jn(mpix), "cpu_s", mt_jn(cpu_s),
                          "mpix_per_cpu_s", mt_jn(per(mpix, cpu_s)));
    if (wall_s > 0) {
        json_object_set_new(j, "wall_s", mt_jn(wall_s));
        json_object_set_new(j, "mpix_per_s", mt_jn(per(mpix, wall_s)));
    }
    return j;
}

/* b/a of two stages' megapixels per CPU second, null when one was not measured. */
static json_t *factor(double mpix, double cpu_s, double other_mpix, double other_cpu_s)
{
    double other = per(other_mpix, other_cpu_s);
    return other > 0 ? mt_jn(per(mpix, cpu_s) / other) : json_null();
}

static int tiling(const struct opts *opts, const char *path)
{
    mt_bench_tiling b;
    mt_bench_tiling_opts bo = MT_BENCH_TILING_OPTS_INIT;
    bo.tile_px = (int32_t)opts->tile_px;
    bo.threads = mt_threads(opts->threads);
    bo.max_crops = (uint64_t)opts->crops;
    bo.with_raw = !opts->no_raw;
    bo.with_openslide = opts->openslide;
    mt_err err = MT_ERR_INIT;
    if (mt_bench_run_tiling(&b, path, &bo, &err)) return mt_fail(&err);
    struct rusage ru;
    getrusage(RUSAGE_SELF, &ru);
    json_t *j = json_pack("{s:s, s:s, s:s, s:i, s:i, s:I, s:o, s:o, s:o, s:o, s:o, s:I}", "bench",
                          "tiling", "version", mt_version(), "kernels", mt_cpu_name(), "tile_px",
                          (int)bo.tile_px, "threads", bo.threads, "crops", (json_int_t)b.crops,
                          "tiling", stage(b.mpix, b.wall_s, b.cpu_s), "raw",
                          stage(b.raw_mpix, b.raw_wall_s, b.raw_cpu_s), "openslide",
                          stage(b.openslide_mpix, 0, b.openslide_cpu_s), "of_raw",
                          factor(b.mpix, b.cpu_s, b.raw_mpix, b.raw_cpu_s), "of_openslide",
                          factor(b.mpix, b.cpu_s, b.openslide_mpix, b.openslide_cpu_s),
                          "peak_rss_bytes", (json_int_t)ru.ru_maxrss * 1024);
    return mt_json_print(j);
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

static const struct opts defaults = {.tile_px = 256, .threads = 1, .crops = 2000};
const mt_command mt_cmd_bench = {
    .name = "bench",
    .args = "tiling SLIDE [options]",
    .summary = "Measure a stage and print the figures as JSON",
    .about = "tiling cuts level-0 crops in order over the slide and, in the same run, times the "
             "raw limit: the same "
             "native tiles decoded with nothing between. of_raw is the ratio of megapixels per CPU "
             "second of the two, "
             "of_openslide the same against OpenSlide.\n\n"
             "benchmarks/README.md says how the published figures were taken.",
    .examples = "microtome bench tiling slide.svs --tile-px 256 --threads 2 --openslide",
    .opts = options,
    .defaults = &defaults,
    .opts_size = sizeof defaults,
    .min_args = 1,
    .max_args = 2,
    .run = run,
};
