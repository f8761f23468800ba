/* Figures of the whole way from a file to its heatmap, beside its network alone. */
#include "microtome/bench.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/workers.h"
#include "microtome/batch.h"
#include "microtome/system.h"
#include "models/net.h"
#include "models/runner.h"

/* ---- a folder for the results ---- */

static int remove_one(const char *path, const struct stat *sb, int kind, struct FTW *at)
{
    (void)sb, (void)kind, (void)at;
    return remove(path);
}

static void remove_folder(char **dir)
{
    if (!*dir) return;
    (void)nftw(*dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(*dir);
    *dir = NULL;
}

static mt_status make_folder(char **out, const char *under, mt_err *err)
{
    const char *tmp = under ? under : getenv("TMPDIR");
    MT_AUTO_FREE char *dir = mt_strf("%s/microtome-bench-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!dir) return mt_err_set(err, MT_ERR_NO_MEMORY, "no memory for a name");
    if (!mkdtemp(dir))
        return mt_err_set(err, MT_ERR_IO, "%.200s: %s", dir, strerror(errno));
    *out = mt_steal(dir);
    return MT_OK;
}

/* ---- the run ---- */

typedef struct outcome {
    uint64_t tiles;
    mt_slide_state state;
    char reason[MT_ERR_TEXT];
} outcome;

static int on_event(void *ctx, const mt_run_event *e)
{
    outcome *o = ctx;
    if (e->kind != MT_RUN_SLIDE_END) return 0;
    o->tiles = e->row->n_tiles;
    o->state = e->row->state;
    snprintf(o->reason, sizeof o->reason, "%s", e->row->reason);
    return 0;
}

static mt_status run_slide(mt_bench_pipeline *out, const char *slide,
                           const mt_bench_pipeline_opts *o, mt_err *err)
{
    MT_AUTO(remove_folder) char *dir = NULL;
    mt_run_opts ro = MT_RUN_OPTS_INIT;
    mt_run_summary sum;
    outcome got = {0};
    MT_TRY(make_folder(&dir, o->scratch_dir, err));
    ro.inputs = &slide;
    ro.n_inputs = 1;
    ro.out_dir = dir;
    ro.model = o->model;
    ro.config = o->config;
    ro.onnxruntime = o->onnxruntime;
    ro.threads = o->threads;
    ro.assume_mpp = o->assume_mpp;
    ro.allow_out_of_scope = "measured, not read";
    double wall = mt_clock_wall(), cpu = mt_clock_cpu();
    MT_TRY(mt_batch_run(&ro, on_event, &got, &sum, err));
    out->wall_s = mt_clock_wall() - wall;
    out->cpu_s = mt_clock_cpu() - cpu;
    out->tiles = got.tiles;
    if (got.state != MT_SLIDE_DONE || !got.tiles)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "%.200s: no tile of it is scored: %.240s", slide,
                          got.reason);
    return MT_OK;
}

/* ---- the network alone ---- */

typedef struct net_pass {
    const mt_model *model;
    uint64_t each; /* pictures a worker runs */
    mt_team_err failed;
} net_pass;

static mt_status run_net(const net_pass *p, mt_err *err)
{
    MT_AUTO(mt_runner_free) mt_runner *runner = NULL;
    MT_AUTO_FREE uint8_t *rgb = NULL;
    MT_AUTO_FREE float *input = NULL;
    const mt_card *card = mt_model_card(p->model);
    const float *scores;
    size_t n = 3 * (size_t)card->input_px * (size_t)card->input_px;
    uint32_t seed = 1;
    MT_TRY(mt_runner_new(&runner, p->model, err));
    MT_TRY(mt_alloc_aligned(&rgb, n, SIZE_MAX, "picture", err));
    MT_TRY(mt_alloc_aligned(&input, n * sizeof *input, SIZE_MAX, "network input", err));
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        rgb[i] = (uint8_t)(seed >> 24);
    }
    mt_card_normalise(card, rgb, input);
    for (uint64_t i = 0; i < p->each; i++) MT_TRY(mt_runner_run(runner, input, &scores, err));
    return MT_OK;
}

static void net_work(void *ctx, int worker)
{
    net_pass *p = ctx;
    mt_err e = MT_ERR_INIT;
    (void)worker;
    if (run_net(p, &e)) mt_team_fail(&p->failed, &e);
}

static mt_status run_alone(mt_bench_pipeline *out, const mt_bench_pipeline_opts *o, mt_err *err)
{
    MT_AUTO(mt_model_close) mt_model *model = NULL;
    mt_model_opts mo = MT_MODEL_OPTS_INIT;
    net_pass p = {0};
    int threads = o->threads > 0 ? o->threads : mt_cpu_count();
    mo.config = o->config;
    mo.onnxruntime = o->onnxruntime;
    MT_TRY(mt_model_open(&model, o->model, &mo, err));
    p.model = model;
    p.each = (out->tiles + (uint64_t)threads - 1) / (uint64_t)threads;
    double wall = mt_clock_wall(), cpu = mt_clock_cpu();
    mt_workers_run(threads, net_work, &p);
    if (p.failed.set) return mt_err_set(err, p.failed.err.code, "%s", p.failed.err.text);
    out->net_wall_s = mt_clock_wall() - wall;
    out->net_cpu_s = mt_clock_cpu() - cpu;
    out->net_tiles = p.each * (uint64_t)threads;
    return MT_OK;
}

mt_status mt_bench_run_pipeline(mt_bench_pipeline *out, const char *slide_path,
                                const mt_bench_pipeline_opts *opts, mt_err *err)
{
    memset(out, 0, sizeof *out);
    if (!opts->model) return mt_err_set(err, MT_ERR_ARG, "no model named");
    MT_TRY(run_slide(out, slide_path, opts, err));
    return run_alone(out, opts, err);
}
