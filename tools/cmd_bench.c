/* microtome bench: figures per stage. */
#include <string.h>
#include "bench_stages.h"
#include "command.h"
#include "microtome/system.h"
#include "series.h"
#include "talk.h"

struct opts {
    int64_t tile_px, threads, crops, rounds;
    double downsample;
    int peers, no_raw, cpu, order, fast, json;
    double assume_mpp;
    const char *model, *config, *onnxruntime;
    int engine;
};

static const mt_opt options[] = {
    OPT_THREADS(threads),
    OPT_INT("rounds", rounds, "N", 1, MT_MAX_ROUNDS, "measure everything so often, in turns"),
    OPT_CPU(cpu),
    OPT_FLAG("json", json, "print JSON"),
    OPT_INT("tile-px", tile_px, "N", 16, 8192, "tiling: side of the crops"),
    OPT_INT("crops", crops, "N", 0, 1e9, "tiling: stop after N crops; 0: the whole slide"),
    OPT_CHOICE("order", order, "row|random", "tiling: how the list of crops is ordered"),
    OPT_REAL("downsample", downsample, "F", 1, 64, "tiling: crops so many times coarser than level 0"),
    OPT_FLAG("fast-scaling", fast,
             "tiling: resample JPEG crops coarser than the level before they become colours"),
    OPT_CHOICE("peers", peers, "none|openslide", "tiling: time OpenSlide's read_region on the same crops as well"),
    OPT_FLAG("no-raw", no_raw, "tiling: leave out the raw limit (native tiles decoded, nothing between)"),
    OPT_TEXT("model", 'm', model, "NAME|FILE.onnx", "pipeline: a built-in model, or an ONNX file with its card"),
    OPT_TEXT("config", 'c', config, "CARD.json", "pipeline: the model's card, instead of config.json beside it"),
    OPT_ENGINE(engine),
    OPT_ONNXRUNTIME(onnxruntime),
    OPT_ASSUME_MPP(assume_mpp),
    OPT_END,
};

static int tiling(const struct opts *opts, const char *path)
{
    mt_bench_tiling_opts bo = MT_BENCH_TILING_OPTS_INIT;
    bo.tile_px = (int32_t)opts->tile_px;
    bo.threads = mt_threads(opts->threads);
    bo.max_crops = (uint64_t)opts->crops;
    bo.with_raw = !opts->no_raw;
    bo.with_openslide = opts->peers == 1;
    bo.random_order = opts->order == 1;
    bo.downsample = opts->downsample;
    bo.fast = opts->fast;
    return mt_bench_tiling_print(&bo, path, (int)opts->rounds, opts->json);
}

static int pipeline(const struct opts *opts, const char *path)
{
    mt_bench_pipeline_opts po = MT_BENCH_PIPELINE_OPTS_INIT;
    if (!opts->model) return mt_usage_error(&mt_cmd_bench, "pipeline needs --model NAME|FILE.onnx");
    int code = mt_engine_usage(&mt_cmd_bench, opts->engine, opts->onnxruntime);
    if (code >= 0) return code;
    po.onnxruntime = opts->onnxruntime;
    po.model = opts->model;
    po.config = opts->config;
    po.threads = mt_threads(opts->threads);
    po.assume_mpp = opts->assume_mpp;
    return mt_bench_pipeline_print(&po, path, (int)opts->rounds, opts->json);
}

static const struct stage {
    const char *name;
    int (*run)(const struct opts *opts, const char *path);
} stages[] = {{"tiling", tiling}, {"pipeline", pipeline}};

static int run(const void *o, int n_args, char **args)
{
    const struct opts *opts = o;
    mt_err err = MT_ERR_INIT;
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++) {
        if (strcmp(args[0], stages[i].name)) continue;
        if (n_args < 2) return mt_usage_error(&mt_cmd_bench, "%s needs a SLIDE", args[0]);
        if (mt_cpu_select(mt_cpu_words[opts->cpu], &err)) return mt_fail(&err);
        return stages[i].run(opts, args[1]);
    }
    return mt_usage_error(&mt_cmd_bench, "\"%s\" is no benchmark; there are: tiling, pipeline", args[0]);
}

static const struct opts defaults = {.tile_px = 256, .threads = 1, .crops = 2000, .rounds = 3, .downsample = 1};
const mt_command mt_cmd_bench = {
    .name = "bench",
    .args = "tiling|pipeline SLIDE [options]",
    .summary = "Measure a stage and print the figures",
    .about = "tiling cuts crops over the slide and, in the same run, times the raw limit: the same "
             "native tiles decoded with nothing between. Rates are megapixels handed on per second "
             "of CPU time, all threads together; of raw is the ratio of the two rates, of openslide the "
             "same against OpenSlide on the same crops. Ratios are taken within a round; the median "
             "over the rounds is given with the least and the greatest. The compressed bytes are in "
             "memory before a clock runs: no disk is measured.\n\n"
             "pipeline runs the slide from the file to the heatmap, as `microtome run` does, into a folder that is "
             "removed, and then the model's network alone on as many pictures, on as many threads. of network is "
             "the ratio of the two rates by CPU time, by time the same by the clock.\n\n"
             "benchmarks/README.md says how the published figures were taken.",
    .examples = "microtome bench tiling slide.svs --tile-px 256 --threads 2 --peers openslide\n"
                "microtome bench tiling slide.svs --order random --tile-px 512\n"
                "microtome bench tiling slide.svs --downsample 2 --fast-scaling --json\n"
                "microtome bench pipeline slide.svs --model model.onnx --threads 2",
    .opts = options,
    .defaults = &defaults,
    .opts_size = sizeof defaults,
    .min_args = 1,
    .max_args = 2,
    .run = run,
};
