#include "engine/pipeline.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "engine/grade.h"
#include "engine/infer.h"
#include "engine/journal.h"
#include "engine/provenance.h"
#include "engine/scope.h"
#include "engine/store.h"
#include "microtome/system.h"
#include "slide/slide.h"
#include "tiles/stain/stain.h"

/* Tile buffers get at least this much, and at least a quarter of the whole. */
#define FETCH_LEAST ((uint64_t)32 << 20)
#define UPSAMPLE_UNLIMITED 1e6

/* Of all files of the slide: sizes and times of change, folded. */
typedef struct file_stamp {
    uint64_t fold;
} file_stamp;

struct mt_pipeline {
    mt_pipeline_opts opts;
    double assume_mpp, started_wall, started_cpu;
    mt_slide *slide;
    file_stamp stamp;
    mt_plan *plan;
    mt_tissue *tissue;
    mt_stain_map *stain; /* NULL: tiles as they are */
    mt_journal *journal;
    char *path, *folder;
    char *coords; /* the slide's own file of coordinates, or NULL */
    char coords_digest[65];
    float *probs;
    uint8_t *state;
    uint8_t *graded_state;  /* state, but EXCLUDED where quality control says so */
    uint8_t *tile_qc;
    mt_qc *qc;
    uint32_t n_resumed;
    char scores_key[65];
    char note[160];
    mt_plan no_plan; /* what the result shows until there is one */
    mt_result result;
};

static void warn(mt_result *r, const char *text)
{
    if (r->n_warnings < (int)MT_COUNT(r->warnings))
        snprintf(r->warnings[r->n_warnings++], sizeof r->warnings[0], "%s", text);
}

static bool stamp_of(file_stamp *out, const mt_slide *slide)
{
    const char *path;
    uint64_t fold = 0xcbf29ce484222325; /* FNV-1a, by words */
    for (int i = 0; (path = mt_slide_file(slide, i)); i++) {
        struct stat sb;
        if (stat(path, &sb) != 0) return false;
        const uint64_t v[] = {(uint64_t)sb.st_ino, (uint64_t)sb.st_size, (uint64_t)sb.st_mtim.tv_sec,
                              (uint64_t)sb.st_mtim.tv_nsec};
        for (size_t k = 0; k < MT_COUNT(v); k++) fold = (fold ^ v[k]) * 0x100000001b3;
    }
    out->fold = fold;
    return true;
}

/* A scanner may still be copying: what was digested must be what was read. */
static mt_status check_unchanged(const mt_pipeline *p, mt_err *err)
{
    file_stamp now;
    MT_TRY(mt_slide_check(p->slide, err));
    if (!stamp_of(&now, p->slide) || now.fold != p->stamp.fold)
        return mt_err_set(err, MT_ERR_TEMPORARY, "the slide file changed while it was read");
    return MT_OK;
}

static void begin_result(mt_pipeline *p)
{
    mt_result *r = &p->result;
    r->card = mt_model_card(p->opts.model);
    r->model_digest = mt_model_digest(p->opts.model);
    r->plan = &p->no_plan;
    snprintf(r->engine_version, sizeof r->engine_version, "%s", mt_version());
    r->inference = mt_model_engine(p->opts.model);
    snprintf(r->kernel_set, sizeof r->kernel_set, "%s",
             *r->inference->digest ? r->inference->name : mt_cpu_name());
    r->assumed_mpp = p->assume_mpp;
    r->fast_scaling = p->opts.fast_scaling || r->card->fast_scaling;
    r->fast_way = "exact";
    r->reduced_by = 1;
    if (p->opts.stain) r->stain.wanted = *p->opts.stain;
    r->threads = p->opts.threads;
    mt_clock_rfc3339(r->started);
}

/* What computes the scores, to the last bit of its library. */
static void kernels_key(char out[160], const mt_result *r)
{
    const mt_engine_info *e = r->inference;
    if (!*e->digest) snprintf(out, 160, "%s", r->kernel_set);
    else snprintf(out, 160, "%s %s %s", e->name, e->version, e->digest);
}

static mt_status check_scope(mt_pipeline *p, mt_err *err)
{
    mt_result *r = &p->result;
    mt_scope scope;
    double mpp;
    MT_TRY(mt_slide_mpp(&mpp, p->slide, err));
    MT_TRY(mt_scope_check(&scope, r->card, &r->slide, p->opts.out_of_scope, err));
    if (scope.outside)
        snprintf(r->out_of_scope, sizeof r->out_of_scope, "%s", p->opts.out_of_scope);
    r->scope_unverified = scope.unverified;
    if (scope.text[0]) warn(r, scope.text);
    return MT_OK;
}

/* Its bytes are part of the result's key. */
static mt_status find_coords(mt_pipeline *p, mt_err *err)
{
    if (!p->opts.coords) return MT_OK;
    MT_TRY(mt_coords_find(&p->coords, p->opts.coords, p->path, err));
    return mt_file_digest(p->coords_digest, p->coords, err);
}

mt_status mt_pipeline_open(mt_pipeline **out, const char *path, double assume_mpp,
                           const mt_pipeline_opts *opts, mt_err *err)
{
    *out = NULL;
    MT_AUTO(mt_pipeline_close) mt_pipeline *p = NULL;
    MT_TRY(mt_alloc(&p, 1, sizeof *p, sizeof *p, "pipeline", err));
    p->opts = *opts;
    p->assume_mpp = assume_mpp;
    p->started_wall = mt_clock_wall();
    p->started_cpu = mt_clock_cpu();
    begin_result(p);
    p->path = strdup(path);
    if (!p->path) return mt_err_set(err, MT_ERR_NO_MEMORY, "no memory for a path");
    mt_slide_opts so = MT_SLIDE_OPTS_INIT;
    so.assume_mpp = assume_mpp;
    so.optical_path = opts->optical_path;
    so.focal_plane = opts->focal_plane;
    mt_status st = mt_slide_open(&p->slide, path, &so, err);
    if (st == MT_OK) {
        p->result.slide = *mt_slide_get_info(p->slide);
        for (int i = 0; i < p->result.slide.n_warnings; i++)
            warn(&p->result, p->result.slide.warnings[i]);
        st = stamp_of(&p->stamp, p->slide) ? mt_slide_digest(p->result.slide_digest, p->slide, err)
                                           : mt_err_set(err, MT_ERR_IO, "the slide file went away");
        if (st == MT_OK) st = check_scope(p, err);
        if (st == MT_OK) st = find_coords(p, err);
    } else if (mt_file_digest(p->result.slide_digest, path, NULL) != MT_OK) {
        p->result.slide_digest[0] = 0;
    }
    if (p->result.slide_digest[0])
        snprintf(p->result.slide_id, sizeof p->result.slide_id, "s-%.16s", p->result.slide_digest);
    *out = mt_steal(p);
    return st;
}

void mt_pipeline_close(mt_pipeline **pp)
{
    mt_pipeline *p = *pp;
    if (!p) return;
    mt_journal_close(&p->journal);
    mt_plan_free(&p->plan);
    mt_tissue_free(&p->tissue);
    mt_qc_free(&p->qc);
    mt_stain_map_free(&p->stain);
    mt_slide_close(&p->slide);
    free(p->path);
    free(p->coords);
    free(p->folder);
    free(p->probs);
    free(p->state);
    free(p->graded_state);
    free(p->tile_qc);
    free(p);
    *pp = NULL;
}

/* What stands for the pixels in keys: the bytes and, where a slide has several, which picture of them. */
static void pixels_key(char out[160], const mt_result *r)
{
    snprintf(out, 160, "%s", r->slide_digest);
    if (r->slide.n_optical_paths > 1 || r->slide.n_focal_planes > 1)
        snprintf(out, 160, "%s path %s plane %d", r->slide_digest, r->slide.optical_path,
                 r->slide.focal_plane);
    if (r->fast_scaling) strcat(out, " fast");
}

mt_status mt_pipeline_name(mt_pipeline *p, const char *stem, mt_err *err)
{
    mt_result *r = &p->result;
    snprintf(r->stem, sizeof r->stem, "%s", stem);
    MT_TRY(mt_tissue_source_origin(&r->tissue_origin, p->opts.tissue, p->path, err));
    char kernels[160];
    kernels_key(kernels, r);
    const mt_result_inputs in = {.card = r->card,
                                 .model_digest = r->model_digest,
                                 .kernel_set = kernels,
                                 .assume_mpp = p->assume_mpp,
                                 .overlap = p->opts.overlap < 0 ? -1.0 : p->opts.overlap,
                                 .min_tissue = p->opts.min_tissue < 0 ? -1.0 : p->opts.min_tissue,
                                 .roi_digest = p->opts.roi_digest,
                                 .coords_digest = p->coords_digest,
                                 .out_of_scope = p->opts.out_of_scope,
                                 .allow_upsampling = p->opts.allow_upsampling,
                                 .topk = p->opts.topk > 0 ? p->opts.topk : MT_GRADE_TOPK,
                                 .qc = p->opts.qc,
                                 .qc_rejects = p->opts.qc_rejects,
                                 .exports = p->opts.exports,
                                 .tissue = &r->tissue_origin,
                                 .stain = p->opts.stain,
                                 .stain_fallback_none = p->opts.stain_fallback_none,
                                 .strict = p->opts.strict};
    char pixels[160];
    pixels_key(pixels, r);
    return mt_result_key(r->key, pixels, stem, &in, err);
}

mt_status mt_pipeline_lock(mt_pipeline *p, const char *folder, mt_err *err)
{
    MT_AUTO_FREE char *path = mt_strf("%s/tiles.journal", folder);
    p->folder = strdup(folder);
    if (!path || !p->folder) return mt_err_set(err, MT_ERR_NO_MEMORY, "no memory for a path");
    return mt_journal_open(&p->journal, path, err);
}

/* ---- quality ---- */

static mt_status look_at_quality(mt_pipeline *p, mt_err *err)
{
    mt_result *r = &p->result;
    if (!p->opts.qc) return MT_OK;
    r->qc_config = *p->opts.qc;
    mt_qc_opts o = MT_QC_OPTS_INIT;
    o.threads = p->opts.threads;
    o.focus_min = r->qc_config.focus_min;
    MT_TRY(mt_qc_detect(&p->qc, p->slide, p->tissue, &o, err));
    r->qc = p->qc;
    mt_qc_gate(&r->qc_verdict, &p->qc->figures, &r->qc_config);
    if (r->qc_verdict.kind == MT_QC_PASS) return MT_OK;
    r->qc_rejected = r->qc_verdict.kind == MT_QC_REJECT && p->opts.qc_rejects;
    char text[160];
    snprintf(text, sizeof text, "quality%s: %.120s", r->qc_verdict.kind == MT_QC_REJECT ? ", beyond a reject limit" : "",
             r->qc_verdict.reason);
    if (!r->qc_rejected) warn(r, text);
    return MT_OK;
}

/* Flags of every tile; with an exclusion list the grade sees a copy of the states. */
static mt_status flag_tiles(mt_pipeline *p, mt_err *err)
{
    size_t n = p->plan->n_tiles;
    const mt_qc_config *c = &p->result.qc_config;
    if (!p->qc || !n) return MT_OK;
    MT_TRY(mt_alloc(&p->tile_qc, n, 1, SIZE_MAX, "tile flags", err));
    for (size_t i = 0; i < n; i++) {
        const mt_tile *t = &p->plan->tiles[i];
        p->tile_qc[i] = (uint8_t)mt_qc_flags(p->qc, (double)t->x_l0, (double)t->y_l0, t->w_l0, t->h_l0, c->tile_share);
    }
    p->result.tile_qc = p->tile_qc;
    if (!c->exclude) return MT_OK;
    MT_TRY(mt_alloc(&p->graded_state, n, 1, SIZE_MAX, "tile states", err));
    for (size_t i = 0; i < n; i++)
        p->graded_state[i] =
            p->state[i] == MT_TILE_DONE && (p->tile_qc[i] & c->exclude) ? MT_TILE_EXCLUDED : p->state[i];
    p->result.tile_state = p->graded_state;
    return MT_OK;
}

/* ---- tissue and plan ---- */

/* A native tile that will not decode where tissue is looked for may hide some. */
static mt_status check_seen(mt_pipeline *p, mt_err *err)
{
    const mt_tissue *t = p->tissue;
    char text[160];
    if (!t->unreadable) return MT_OK;
    snprintf(text, sizeof text,
             "%llu native tile%s of level %d would not decode (the first: %lld,%lld): tissue is not "
             "looked for there",
             (unsigned long long)t->unreadable, t->unreadable == 1 ? "" : "s", t->source_level,
             (long long)t->unreadable_x, (long long)t->unreadable_y);
    if (p->opts.strict) return mt_err_set(err, MT_ERR_FORMAT, "%s, and the run is strict", text);
    warn(&p->result, text);
    return MT_OK;
}

static mt_status lay_plan(mt_pipeline *p, mt_err *err)
{
    const mt_card *card = p->result.card;
    mt_tissue_opts to = MT_TISSUE_OPTS_INIT;
    to.threads = p->opts.threads;
    to.keep_evidence = p->opts.qc != NULL;
    MT_TRY(mt_tissue_source_find(&p->tissue, p->opts.tissue, p->slide, p->path, &to, err));
    p->result.tissue = p->tissue;
    MT_TRY(check_seen(p, err));
    MT_TRY(look_at_quality(p, err));
    if (p->result.qc_rejected) return MT_OK;

    mt_plan_opts po = MT_PLAN_OPTS_INIT;
    po.tile_px = card->patch_px;
    po.out_px = card->input_px;
    po.mpp = card->mpp;
    bool strides = card->stride_px > 0 && card->stride_px < card->patch_px;
    po.overlap = p->opts.overlap >= 0 ? p->opts.overlap
                 : strides            ? 1.0 - (double)card->stride_px / (double)card->patch_px
                                      : 0.0;
    if (p->opts.min_tissue >= 0) po.min_tissue = p->opts.min_tissue;
    po.roi_path = p->opts.roi_path;
    po.coords_path = p->coords;
    if (p->opts.allow_upsampling) po.max_upsample = UPSAMPLE_UNLIMITED;
    MT_TRY(mt_plan_make(&p->plan, p->slide, p->tissue, &po, err));
    MT_TRY(mt_plan_digest(p->plan, err));
    if (p->plan->n_tiles > UINT32_MAX)
        return mt_err_set(err, MT_ERR_LIMIT, "plan: %zu tiles pass the ceiling of %u",
                          p->plan->n_tiles, UINT32_MAX);
    p->result.plan = p->plan;
    if (p->result.fast_scaling) {
        mt_fetch_way way;
        MT_TRY(mt_fetch_fast_way(&way, p->slide, p->plan, err));
        p->result.fast_way = way.name;
        p->result.reduced_by = way.reduced_by;
    }
    memcpy(p->plan->coords_digest, p->coords_digest, sizeof p->coords_digest);
    if (p->plan->note[0]) warn(&p->result, p->plan->note);
    if (p->plan->upsampled) {
        char text[160];
        snprintf(text, sizeof text,
                 "upsampled %.2f times: the slide has %.4g um/px, the model asks for %.4g",
                 p->plan->slide_mpp / p->plan->target_mpp, p->plan->slide_mpp, p->plan->target_mpp);
        warn(&p->result, text);
    }
    return MT_OK;
}

/* ---- stain ---- */

/* The slide is measured and the map made. What cannot be measured fails the slide: scores of pixels a
 * model was not promised look like any others. */
static mt_status lay_stain(mt_pipeline *p, mt_err *err)
{
    const mt_stain_request *want = p->opts.stain;
    mt_result *r = &p->result;
    mt_err why = MT_ERR_INIT;
    char text[160];
    if (!want || want->method == MT_STAIN_NONE || !p->plan->n_tiles) return MT_OK;
    mt_status st = mt_stain_measure(&r->stain.measured, p->slide, p->tissue, p->opts.threads,
                                    p->opts.memory / 2, &why);
    if (st == MT_OK)
        st = mt_stain_map_normalise(&p->stain, want->method, &r->stain.measured, &want->target, &why);
    r->stain.applied = st == MT_OK;
    if (st == MT_OK) {
        snprintf(text, sizeof text, "stain: %.150s", r->stain.measured.warning);
        if (want->method == MT_STAIN_MACENKO && r->stain.measured.warning[0]) warn(r, text);
        return MT_OK;
    }
    if (st != MT_ERR_UNSUPPORTED) return mt_err_set(err, st, "%s", why.text);
    if (!p->opts.stain_fallback_none)
        return mt_err_set(err, st,
                          "stain normalisation (%s): %s; --stain-fallback none runs the slide as it "
                          "is and marks it",
                          mt_stain_method_name(want->method), why.text);
    snprintf(r->stain.reason, sizeof r->stain.reason, "%.159s", why.text);
    snprintf(text, sizeof text, "stain not normalised: %.130s", why.text);
    warn(r, text);
    return MT_OK;
}

/* ---- scores ---- */

mt_status mt_budget_split(mt_budget *out, uint64_t memory, int threads, uint64_t worker_bytes,
                          mt_err *err)
{
    uint64_t fetch = MT_MAX(FETCH_LEAST, memory / 4);
    *out = (mt_budget){0, 0};
    if (memory < fetch || worker_bytes > memory - fetch)
        return mt_err_set(
            err, MT_ERR_LIMIT,
            "memory: one worker needs %.1f MiB for the network besides %.1f MiB for tiles, "
            "the ceiling is %.1f MiB",
            (double)worker_bytes / 1048576.0, (double)fetch / 1048576.0,
            (double)memory / 1048576.0);
    uint64_t fit = worker_bytes ? (memory - fetch) / worker_bytes : (uint64_t)threads;
    out->threads = (int)MT_MIN(fit, (uint64_t)threads);
    out->fetch = memory - worker_bytes * (uint64_t)out->threads;
    return MT_OK;
}

/* Scores an earlier run left: the finished store first, then the journal of an interrupted run. */
static mt_status take_over(mt_pipeline *p, mt_err *err)
{
    uint32_t n = (uint32_t)p->plan->n_tiles, n_classes = (uint32_t)p->result.card->n_classes;
    const mt_result *r = &p->result;
    char pixels[160], kernels[160];
    pixels_key(pixels, r);
    kernels_key(kernels, r);
    MT_TRY(mt_scores_key(p->scores_key, pixels, r->model_digest, r->card, p->plan->digest,
                         kernels, p->stain ? &p->stain->map : NULL, err));
    MT_TRY(mt_alloc(&p->probs, n, sizeof(float) * n_classes, SIZE_MAX, "scores", err));
    MT_TRY(mt_alloc(&p->state, n, 1, SIZE_MAX, "tile states", err));
    p->result.probs = p->probs;
    p->result.tile_state = p->state;

    MT_AUTO_FREE char *path = mt_strf("%s/tiles.h5", p->folder ? p->folder : ".");
    if (!path) return mt_err_set(err, MT_ERR_NO_MEMORY, "no memory for a path");
    int stored = 0;
    if (p->folder && !p->opts.force)
        MT_TRY(mt_store_read(path, p->scores_key, n, (int)n_classes, p->probs, p->state, &stored,
                             err));
    if (stored) p->n_resumed = n;
    if (stored || !p->journal) return MT_OK;
    if (p->opts.force) MT_TRY(mt_journal_forget(p->journal, err));
    return mt_journal_begin(p->journal, p->scores_key, r->slide_digest, n, n_classes, p->probs,
                            p->state, &p->n_resumed, err);
}

typedef struct progress {
    mt_pipeline *p;
    uint64_t before, total;
} progress;

static int on_progress(void *ctx, uint64_t done, uint64_t total)
{
    const progress *g = ctx;
    const mt_pipeline_opts *o = &g->p->opts;
    (void)total;
    return o->progress ? o->progress(o->progress_ctx, g->before + done, g->total) : 0;
}

static void add_stats(mt_fetch_stats *sum, const mt_fetch_stats *s)
{
    sum->tiles += s->tiles;
    sum->unreadable += s->unreadable;
    sum->native_needed += s->native_needed;
    sum->native_decoded += s->native_decoded;
    sum->bytes_compressed += s->bytes_compressed;
    sum->pixels_decoded += s->pixels_decoded;
    sum->peak_bytes = MT_MAX(sum->peak_bytes, s->peak_bytes);
    sum->wall_s += s->wall_s;
    sum->cpu_s += s->cpu_s;
}

/* One pass over the tiles that have no state yet. */
static mt_status fetch_pass(mt_pipeline *p, const mt_budget *budget, mt_err *err)
{
    MT_AUTO(mt_infer_free) mt_infer *infer = NULL;
    MT_TRY(mt_infer_new(&infer, p->opts.model, budget->threads, err));
    mt_infer_sink sink = {infer, p->slide, p->journal, p->probs, p->state};
    progress g = {p, p->n_resumed, p->plan->n_tiles};
    mt_fetch_opts fo = MT_FETCH_OPTS_INIT;
    fo.threads = budget->threads;
    fo.batch = p->opts.batch;
    fo.memory = budget->fetch;
    fo.bicubic = p->result.card->bicubic;
    fo.stain = p->stain ? &p->stain->map : NULL;
    fo.strict = p->opts.strict;
    fo.fast = p->result.fast_scaling;
    fo.progress = on_progress;
    fo.progress_ctx = &g;
    /* The walk looks at the list while workers write states: it gets its own copy. */
    MT_AUTO_FREE uint8_t *skip = NULL;
    MT_TRY(mt_alloc(&skip, p->plan->n_tiles, 1, SIZE_MAX, "tile list", err));
    memcpy(skip, p->state, p->plan->n_tiles);
    fo.skip = skip;
    mt_fetch_stats stats = {0};
    mt_status st = mt_fetch_run(p->slide, p->plan, &fo, mt_infer_tiles, &sink, &stats, err);
    if (st != MT_ERR_LIMIT) add_stats(&p->result.fetch, &stats);
    return st;
}

/* With as many threads as the memory holds: a network that needs much, or tiles that do, take
 * threads away. The scores are the same. */
static mt_status score_tiles(mt_pipeline *p, mt_err *err)
{
    uint64_t worker_bytes;
    mt_budget budget;
    mt_err why = MT_ERR_INIT;
    MT_TRY(mt_infer_worker_bytes(&worker_bytes, p->opts.model, err));
    MT_TRY(mt_budget_split(&budget, p->opts.memory, p->opts.threads, worker_bytes, err));
    mt_status st = fetch_pass(p, &budget, &why);
    while (st == MT_ERR_LIMIT && budget.threads > 1) {
        budget.threads /= 2;
        budget.fetch = p->opts.memory - worker_bytes * (uint64_t)budget.threads;
        mt_err_clear(&why);
        st = fetch_pass(p, &budget, &why);
    }
    p->result.threads = budget.threads;
    if (budget.threads < p->opts.threads)
        snprintf(p->note, sizeof p->note,
                 "%d of %d threads: more do not fit under the ceiling of %.0f MiB", budget.threads,
                 p->opts.threads, (double)p->opts.memory / 1048576.0);
    if (p->journal) {
        mt_err sync_err = MT_ERR_INIT;
        mt_status synced = mt_journal_sync(p->journal, &sync_err);
        if (st == MT_OK && synced != MT_OK) return mt_err_set(err, synced, "%s", sync_err.text);
    }
    return st == MT_OK ? MT_OK : mt_err_set(err, st, "%s", why.text);
}

/* Tiles that an earlier run, which was not strict, found unreadable. */
static mt_status check_strict(const mt_pipeline *p, mt_err *err)
{
    for (size_t i = 0; p->opts.strict && i < p->plan->n_tiles; i++)
        if (p->state[i] == MT_TILE_UNREADABLE)
            return mt_err_set(err, MT_ERR_FORMAT,
                              "tile %zu (level-0 pixels %lld,%lld) holds a native tile that will not "
                              "decode, and the run is strict",
                              i, (long long)p->plan->tiles[i].x_l0, (long long)p->plan->tiles[i].y_l0);
    return MT_OK;
}

/* Lists and pictures of scored tiles show these as little as unreadable ones: the number is told. */
static void warn_excluded(mt_result *r)
{
    char text[160];
    if (!r->grade.n_excluded) return;
    snprintf(text, sizeof text, "%llu of %llu tiles flagged by quality control are left out of the grade",
             (unsigned long long)r->grade.n_excluded, (unsigned long long)r->grade.n_tiles);
    warn(r, text);
}

/* Below the share that costs the grade they would be a number in result.json alone. */
static void warn_bad(mt_result *r)
{
    char text[160];
    const mt_grade *g = &r->grade;
    if (!g->graded || !(g->n_unreadable + g->n_nan)) return;
    snprintf(text, sizeof text, "%llu of %llu tissue tiles unreadable, %llu without a number: not scored",
             (unsigned long long)g->n_unreadable, (unsigned long long)g->n_tiles,
             (unsigned long long)g->n_nan);
    warn(r, text);
}

mt_status mt_pipeline_analyse(mt_pipeline *p, mt_err *err)
{
    mt_result *r = &p->result;
    MT_TRY(lay_plan(p, err));
    if (r->qc_rejected) {
        char reason[160];
        snprintf(reason, sizeof reason, "rejected by quality control: %.125s", r->qc_verdict.reason);
        mt_grade_none(&r->grade, r->card, reason);
        return check_unchanged(p, err);
    }
    MT_TRY(lay_stain(p, err));
    MT_TRY(take_over(p, err));
    MT_TRY(check_strict(p, err));
    if (p->n_resumed < p->plan->n_tiles) MT_TRY(score_tiles(p, err));
    MT_TRY(check_unchanged(p, err));
    MT_TRY(flag_tiles(p, err));
    mt_scores s = {p->plan, &r->slide, p->probs, r->tile_state, r->card->n_classes};
    MT_TRY(mt_grade_make(&r->grade, r->card, &s, p->tissue, p->opts.roi_path, p->opts.topk, err));
    warn_excluded(r);
    warn_bad(r);
    mt_clock_rfc3339(r->finished);
    r->wall_s = mt_clock_wall() - p->started_wall;
    r->cpu_s = mt_clock_cpu() - p->started_cpu;
    return MT_OK;
}

mt_status mt_pipeline_store(mt_pipeline *p, mt_err *err)
{
    MT_AUTO_FREE char *path = mt_strf("%s/tiles.h5", p->folder);
    if (!path) return mt_err_set(err, MT_ERR_NO_MEMORY, "no memory for a path");
    return mt_store_write(path, &p->result, p->scores_key, err);
}

void mt_pipeline_finish(mt_pipeline *p)
{
    if (p->result.qc_rejected)
        mt_journal_release(&p->journal);
    else
        mt_journal_remove(&p->journal);
}

void mt_pipeline_refuse(mt_pipeline *p, const char *reason)
{
    mt_result *r = &p->result;
    memset(&r->grade, 0, sizeof r->grade);
    mt_grade_none(&r->grade, r->card, reason);
    r->plan = &p->no_plan;
    r->probs = NULL;
    r->tile_state = NULL;
    r->tile_qc = NULL;
    if (r->qc_rejected) { /* an outcome of its own, which the same options need not look for again */
        r->grade.tissue_mm2 = r->tissue->tissue_mm2;
    } else {
        r->tissue = NULL;
        r->qc = NULL;
        r->key[0] = 0;
    }
    mt_clock_rfc3339(r->finished);
    r->wall_s = mt_clock_wall() - p->started_wall;
    r->cpu_s = mt_clock_cpu() - p->started_cpu;
}

mt_result *mt_pipeline_result(mt_pipeline *p)
{
    return &p->result;
}
const mt_slide *mt_pipeline_slide(const mt_pipeline *p)
{
    return p->slide;
}
uint64_t mt_pipeline_resumed(const mt_pipeline *p)
{
    return p->n_resumed;
}
const char *mt_pipeline_note(const mt_pipeline *p)
{
    return p->note;
}
