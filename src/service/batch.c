/* Many slides, one after the other, each with all threads. A slide that fails gets its row and its
 * reason; the night goes on. */
#include "microtome/batch.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/pipeline.h"
#include "engine/provenance.h"
#include "microtome/system.h"
#include "service/inputs.h"
#include "service/leftovers.h"
#include "service/names.h"
#include "tiles/plan/roi.h"

#define DEFAULT_MEMORY ((uint64_t)400 << 20)
#define RESULT_CEILING ((size_t)16 << 20)
static const double REPORT_EVERY_S = 1.0;
enum { DEFAULT_BATCH = 8, MAX_THREADS = 1024, MAX_EXPORTS = 32 };

typedef struct run {
    const mt_run_opts *o;
    mt_run_fn fn;
    void *ctx;
    mt_model *model;
    mt_tissue_source *tissue;
    mt_stain_request stain;
    mt_qc_config qc;
    mt_inputs list;
    char (*names)[MT_NAME_BYTES];
    mt_report_row *rows;
    mt_report report;
    mt_pipeline_opts pipe;
    const char *exports[MAX_EXPORTS]; /* names in the writer table, in its order */
    int n_exports;
    char exports_key[256];
    size_t at; /* current slide */
    bool stop;
    double began_wall, began_cpu, reported_wall;
    mt_run_summary *sum;
} run;

/* ---- events ---- */

static void tell(run *r, mt_run_event e)
{
    e.slide = r->at;
    e.n_slides = r->list.n;
    e.path = r->list.items[r->at].path;
    if (r->fn && r->fn(r->ctx, &e)) r->stop = true;
}

static int on_tiles(void *ctx, uint64_t done, uint64_t total)
{
    run *r = ctx;
    tell(r, (mt_run_event){.kind = MT_RUN_TILES, .done = done, .total = total});
    return r->stop;
}

/* The report shows the run as it stands. That it cannot be written must not end the night: the
 * slides' own results are what counts. */
static void report_now(run *r)
{
    mt_err err = MT_ERR_INIT;
    mt_clock_rfc3339(r->report.updated);
    r->report.wall_s = mt_clock_wall() - r->began_wall;
    r->reported_wall = mt_clock_wall();
    if (mt_report_write(&r->report, r->o->out_dir, &err) != MT_OK)
        mt_log(MT_LOG_WARN, "report not written");
}

/* ---- before any slide ---- */

static mt_status check_opts(const mt_run_opts *o, mt_err *err)
{
    if (o->version != 1)
        return mt_err_set(err, MT_ERR_ARG, "run: options of version %d, not 1", o->version);
    if (!o->inputs || !o->n_inputs) return mt_err_set(err, MT_ERR_ARG, "run: no slide given");
    if (!o->out_dir || !*o->out_dir)
        return mt_err_set(err, MT_ERR_ARG, "run: no folder for the results given");
    if (!o->model || !*o->model) return mt_err_set(err, MT_ERR_ARG, "run: no model given");
    if (o->threads < 0 || o->threads > MAX_THREADS)
        return mt_err_set(err, MT_ERR_ARG, "run: %d threads, not 0 to %d", o->threads, MAX_THREADS);
    if (o->batch < 0) return mt_err_set(err, MT_ERR_ARG, "run: a batch of %d", o->batch);
    if (!(o->assume_mpp >= 0) || o->assume_mpp > 100)
        return mt_err_set(err, MT_ERR_ARG, "run: assumed spacing %g um/px", o->assume_mpp);
    if (isnan(o->overlap) || o->overlap >= 1)
        return mt_err_set(err, MT_ERR_ARG, "run: overlap %g, not 0 to below 1", o->overlap);
    if (isnan(o->min_tissue) || o->min_tissue > 1)
        return mt_err_set(err, MT_ERR_ARG, "run: least tissue share %g, not 0 to 1", o->min_tissue);
    if (o->topk < 0) return mt_err_set(err, MT_ERR_ARG, "run: top-k of %d tiles", o->topk);
    return MT_OK;
}

static bool asked_for(const char *list, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = list; p && *p; p += *p == ',') {
        size_t k = strcspn(p, ",");
        if (k == n && memcmp(p, name, n) == 0) return true;
        p += k;
    }
    return false;
}

/* The extra writers in the table's order, so that the order they are named in changes nothing. */
static mt_status resolve_exports(run *r, mt_err *err)
{
    const char *list = r->o->exports;
    for (const char *p = list; p && *p; p += *p == ',') {
        size_t k = strcspn(p, ",");
        bool known = k == 0;
        for (const mt_writer_info *w = mt_result_writers(); w->name && !known; w++)
            known = strlen(w->name) == k && memcmp(w->name, p, k) == 0;
        if (!known)
            return mt_err_set(err, MT_ERR_ARG, "export: there is no result called \"%.*s\"",
                              (int)MT_MIN(k, (size_t)64), p);
        p += k;
    }
    for (const mt_writer_info *w = mt_result_writers(); w->name; w++) {
        if (w->by_default || !asked_for(list, w->name)) continue;
        if (r->n_exports == MAX_EXPORTS)
            return mt_err_set(err, MT_ERR_LIMIT, "export: more than %d results", MAX_EXPORTS);
        r->exports[r->n_exports++] = w->name;
        size_t n = strlen(r->exports_key);
        snprintf(r->exports_key + n, sizeof r->exports_key - n, "%s,", w->name);
    }
    return MT_OK;
}

/* A file without a name where the file system can make one: a kill leaves nothing behind. */
static mt_status probe_folder(const char *dir, mt_err *err)
{
    int fd = open(dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (fd >= 0) {
        close(fd);
        return MT_OK;
    }
    MT_AUTO(mt_outfile_discard) mt_outfile probe = MT_OUTFILE_INIT;
    MT_AUTO_FREE char *path = mt_strf("%s/.microtome-probe", dir);
    if (!path) return mt_err_set(err, MT_ERR_NO_MEMORY, "no memory for a path");
    return mt_outfile_open(&probe, path, err);
}

/* One clear sentence before the night begins. */
static mt_status check_out_dir(const char *dir, mt_err *err)
{
    mt_err why = MT_ERR_INIT;
    mt_status st = mt_dir_make(dir, &why);
    if (st == MT_OK) st = probe_folder(dir, &why);
    if (st != MT_OK) return mt_err_set(err, st, "results cannot be written: %s", why.text);
    return MT_OK;
}

/* The command line's word, else the card's. */
static mt_status resolve_stain(run *r, mt_err *err)
{
    const mt_card *card = mt_model_card(r->model);
    const char *words = r->o->stain ? r->o->stain : card->normalise_stain;
    MT_TRY(mt_stain_request_parse(&r->stain, words[0] ? words : "none", err));
    if (r->o->stain || !card->stain_target[0]) return MT_OK;
    r->stain.own_target = 1;
    return mt_stain_parse(&r->stain.target, card->stain_target, strlen(card->stain_target),
                          "the card's normalise_stain.target", err);
}

/* The limits: defaults, the file, the command line's exclusions. */
static mt_status resolve_qc(run *r, mt_err *err)
{
    const mt_run_opts *o = r->o;
    if (o->qc < MT_QC_MODE_WARN || o->qc > MT_QC_MODE_REJECT)
        return mt_err_set(err, MT_ERR_ARG, "run: quality control of mode %d", (int)o->qc);
    if (o->qc == MT_QC_MODE_OFF && (o->qc_config || o->qc_exclude))
        return mt_err_set(err, MT_ERR_ARG, "run: quality control is off and has no use for its limits");
    mt_qc_config_default(&r->qc);
    if (o->qc_config) MT_TRY(mt_qc_config_load(&r->qc, o->qc_config, err));
    return o->qc_exclude ? mt_qc_bits_parse(&r->qc.exclude, o->qc_exclude, err) : MT_OK;
}

static void begin_pipeline_opts(run *r)
{
    const mt_run_opts *o = r->o;
    mt_pipeline_opts *p = &r->pipe;
    p->model = r->model;
    p->threads = o->threads ? o->threads : mt_cpu_count();
    p->batch = o->batch ? o->batch : DEFAULT_BATCH;
    p->memory = o->memory ? o->memory : DEFAULT_MEMORY;
    p->overlap = o->overlap;
    p->min_tissue = o->min_tissue;
    p->roi_path = o->roi_path;
    p->coords = o->coords;
    p->optical_path = o->optical_path;
    p->focal_plane = o->focal_plane;
    p->out_of_scope = o->allow_out_of_scope;
    p->allow_upsampling = o->allow_upsampling != 0;
    p->topk = o->topk;
    p->exports = r->exports_key;
    p->tissue = r->tissue;
    p->stain = &r->stain;
    p->stain_fallback_none = o->stain_fallback_none != 0;
    p->strict = o->strict != 0;
    p->fast_scaling = o->fast_scaling != 0;
    p->qc = o->qc == MT_QC_MODE_OFF ? NULL : &r->qc;
    p->qc_rejects = o->qc == MT_QC_MODE_REJECT;
    p->force = o->force;
    p->progress = on_tiles;
    p->progress_ctx = r;
}

static void begin_report(run *r)
{
    const mt_card *card = mt_model_card(r->model);
    mt_report *rep = &r->report;
    rep->rows = r->rows;
    rep->n_rows = r->list.n;
    snprintf(rep->model, sizeof rep->model, "%s%s%s", card->name, card->version[0] ? " " : "",
             card->version);
    snprintf(rep->model_state, sizeof rep->model_state, "%s", card->state);
    snprintf(rep->engine_version, sizeof rep->engine_version, "%s", mt_version());
    snprintf(rep->kernel_set, sizeof rep->kernel_set, "%s", mt_cpu_name());
    mt_clock_rfc3339(rep->started);
    for (size_t i = 0; i < r->list.n; i++) {
        r->rows[i].state = MT_SLIDE_QUEUED;
        if (r->o->pseudonyms)
            snprintf(r->rows[i].stem, sizeof r->rows[i].stem, "slide-%zu", i + 1);
        else
            snprintf(r->rows[i].stem, sizeof r->rows[i].stem, "%s", r->names[i]);
    }
}

/* Read once here, so that a broken one is the run's error and not every slide's. */
static mt_status check_roi(run *r, mt_err *err)
{
    MT_AUTO(mt_roi_free) mt_roi *roi = NULL;
    if (!r->o->roi_path) return MT_OK;
    MT_TRY(mt_roi_load(&roi, r->o->roi_path, err));
    return mt_file_digest(r->pipe.roi_digest, r->o->roi_path, err);
}

static mt_status check_coords(const run *r, mt_err *err)
{
    const char *coords = r->o->coords;
    if (!coords) return MT_OK;
    if (r->o->roi_path)
        return mt_err_set(err, MT_ERR_ARG, "coordinates and a ROI exclude each other");
    if (mt_dir_exists(coords)) return MT_OK;
    if (!mt_file_exists(coords))
        return mt_err_set(err, MT_ERR_NOT_FOUND, "coordinates: there is no such file or folder");
    if (r->list.n > 1)
        return mt_err_set(err, MT_ERR_ARG,
                          "coordinates: a file is of one slide, %zu are given; give a folder",
                          r->list.n);
    return MT_OK;
}

static mt_status prepare(run *r, mt_err *err)
{
    const mt_run_opts *o = r->o;
    mt_model_opts mo = MT_MODEL_OPTS_INIT;
    mo.config = o->config;
    MT_TRY(check_opts(o, err));
    MT_TRY(resolve_exports(r, err));
    MT_TRY(mt_inputs_expand(&r->list, o->inputs, o->n_inputs, err));
    MT_TRY(mt_model_open(&r->model, o->model, &mo, err));
    if (strcmp(mt_model_card(r->model)->task, "tile-classification"))
        return mt_err_set(err, MT_ERR_CARD, "model %s: its task is %s, a run classifies tiles",
                          mt_model_card(r->model)->name, mt_model_card(r->model)->task);
    MT_TRY(check_roi(r, err));
    MT_TRY(check_coords(r, err));
    MT_TRY(mt_tissue_source_open(&r->tissue, o->tissue, err));
    MT_TRY(resolve_stain(r, err));
    MT_TRY(resolve_qc(r, err));
    MT_TRY(check_out_dir(o->out_dir, err));
    MT_TRY(mt_names_decide(&r->names, &r->list, err));
    MT_TRY(mt_alloc(&r->rows, r->list.n, sizeof *r->rows, SIZE_MAX, "report", err));
    begin_pipeline_opts(r);
    begin_report(r);
    return MT_OK;
}

/* ---- one slide ---- */

/* Texts that are kept never name the file: its path, name and stem give way to the slide's id. The
 * stem only as the name of a folder or file: it may be a word of the sentence ("empty"). */
static void without_names(char out[MT_ERR_TEXT], const char *text, const char *path, const char *id)
{
    MT_AUTO_FREE char *stem = mt_path_stem(path);
    const char *words[] = {path, mt_path_base(path), stem};
    const char *by = id[0] ? id : "slide";
    snprintf(out, MT_ERR_TEXT, "%s", text);
    for (size_t i = 0; i < MT_COUNT(words); i++) {
        if (!words[i] || strlen(words[i]) < 3) continue; /* "a" as a stem would eat the sentence */
        size_t n = strlen(words[i]);
        for (char *at = out; (at = strstr(at, words[i]));) {
            if (words[i] == stem && (at == out || at[-1] != '/')) {
                at++;
                continue;
            }
            char rest[MT_ERR_TEXT];
            snprintf(rest, sizeof rest, "%s", at + n);
            size_t left = MT_ERR_TEXT - (size_t)(at - out);
            int put = snprintf(at, left, "%s%s", by, rest);
            if (put < 0 || (size_t)put >= left) break;
            at += strlen(by);
        }
    }
}

static void fill_quality(mt_report_row *row, const mt_result *r)
{
    row->usable_share = row->focus = NAN;
    if (!r->qc) return;
    snprintf(row->qc_verdict, sizeof row->qc_verdict, "%s", mt_qc_verdict_name(r->qc_verdict.kind));
    row->usable_share = r->qc->figures.usable_share;
    row->focus = r->qc->figures.focus_p50;
}

static void fill_row(mt_report_row *row, const mt_result *r, uint64_t resumed_tiles)
{
    fill_quality(row, r);
    const mt_grade *g = &r->grade;
    row->state = g->n_tiles ? MT_SLIDE_DONE : MT_SLIDE_EMPTY;
    row->graded = g->graded;
    snprintf(row->reason, sizeof row->reason, "%s", g->reason);
    snprintf(row->decision, sizeof row->decision, "%s", g->decision);
    row->score = g->score;
    row->tissue_mm2 = g->tissue_mm2;
    row->coverage = g->coverage;
    row->wall_s = r->wall_s;
    row->n_tiles = g->n_tiles;
    row->tiles_per_s = r->wall_s > 0 ? (double)(g->n_tiles - resumed_tiles) / r->wall_s : 0.0;
    row->n_warnings = r->n_warnings;
}

/* Where the pictures lie, when there are some. */
static void fill_pictures(const run *r, mt_report_row *row, const char *name)
{
    MT_AUTO_FREE char *qc = mt_strf("%s/%s/qc.png", r->o->out_dir, name);
    if (qc && row->qc_verdict[0] && mt_file_exists(qc)) snprintf(row->qc, sizeof row->qc, "%s/qc.png", name);
    MT_AUTO_FREE char *path = mt_strf("%s/%s/heatmap.png", r->o->out_dir, name);
    if (path && mt_file_exists(path))
        snprintf(row->heatmap, sizeof row->heatmap, "%s/heatmap.png", name);
}

/* A complete result of this very key: the row is read back from it. Anything odd: not complete. */
static bool take_finished(const run *r, mt_report_row *row, const char *name, const char *key)
{
    MT_AUTO_FREE char *path = mt_strf("%s/%s/result.json", r->o->out_dir, name);
    MT_AUTO_FREE char *store = mt_strf("%s/%s/tiles.h5", r->o->out_dir, name);
    MT_AUTO(mt_json_unref) json_t *root = NULL;
    if (!path || !store || !mt_file_exists(path) || !mt_file_exists(store) ||
        mt_json_load(&root, path, RESULT_CEILING, NULL) != MT_OK)
        return false;
    const char *have = json_string_value(json_object_get(root, "key"));
    const json_t *g = json_object_get(root, "grade"), *tiles = json_object_get(g, "tiles");
    if (!have || !key[0] || strcmp(have, key) != 0 || !json_is_object(g) || !json_is_object(tiles))
        return false;
    const char *decision = json_string_value(json_object_get(g, "decision"));
    const char *reason = json_string_value(json_object_get(g, "reason"));
    row->n_tiles = (uint64_t)json_integer_value(json_object_get(tiles, "planned"));
    row->state = row->n_tiles ? MT_SLIDE_DONE : MT_SLIDE_EMPTY;
    row->graded = json_is_true(json_object_get(g, "graded"));
    row->score = row->graded ? json_number_value(json_object_get(g, "score")) : NAN;
    row->tissue_mm2 = json_number_value(json_object_get(g, "tissue_mm2"));
    row->coverage = json_number_value(json_object_get(g, "coverage"));
    row->n_warnings = (int)json_array_size(json_object_get(root, "warnings"));
    snprintf(row->decision, sizeof row->decision, "%s", decision ? decision : "");
    snprintf(row->reason, sizeof row->reason, "%s", reason ? reason : "");
    const json_t *quality = json_object_get(root, "quality");
    const char *verdict = json_string_value(json_object_get(quality, "verdict"));
    const json_t *usable = json_object_get(json_object_get(quality, "usable_share"), "value");
    const json_t *median = json_object_get(json_object_get(json_object_get(quality, "sharpness"), "median"), "value");
    snprintf(row->qc_verdict, sizeof row->qc_verdict, "%s", verdict ? verdict : "");
    row->usable_share = json_is_number(usable) ? json_number_value(usable) : NAN;
    row->focus = json_is_number(median) ? json_number_value(median) : NAN;
    row->resumed = 1;
    fill_pictures(r, row, name);
    return true;
}

/* Key of the result that lies in the folder: "" when it is a refusal, false when there is none. */
static bool key_on_disk(const run *r, const char *name, char key[65])
{
    MT_AUTO_FREE char *path = mt_strf("%s/%s/result.json", r->o->out_dir, name);
    MT_AUTO(mt_json_unref) json_t *root = NULL;
    key[0] = 0;
    if (!path || !mt_file_exists(path) || mt_json_load(&root, path, RESULT_CEILING, NULL) != MT_OK)
        return false;
    const char *have = json_string_value(json_object_get(root, "key"));
    snprintf(key, 65, "%s", have ? have : "");
    return true;
}

/* result.json is written last: that it is there says that everything else is. So a result of other
 * options goes before its first file is replaced; one of the same key has the same bytes. */
static mt_status write_outputs(run *r, mt_pipeline *p, mt_err *err)
{
    const mt_result *res = mt_pipeline_result(p);
    const char *dir = r->o->out_dir;
    bool empty = res->grade.n_tiles == 0;
    char key[65];
    if (!key_on_disk(r, res->stem, key) || strcmp(key, res->key) != 0)
        MT_TRY(mt_leftovers_retire(dir, res->stem, err));
    MT_TRY(mt_pipeline_store(p, err));
    for (const mt_writer_info *w = mt_result_writers(); w->name; w++) {
        bool picture =
            strcmp(w->name, "heatmap") == 0; /* nothing was looked at: there is nothing to draw */
        if (!w->by_default || strcmp(w->name, "json") == 0 || (empty && picture)) continue;
        MT_TRY(mt_result_write(w->name, res, mt_pipeline_slide(p), dir, err));
    }
    for (int i = 0; i < r->n_exports; i++)
        MT_TRY(mt_result_write(r->exports[i], res, mt_pipeline_slide(p), dir, err));
    return mt_result_write("json", res, mt_pipeline_slide(p), dir, err);
}

/* Silence is not negative: where a result would have gone, a reader finds that there is none. A
 * complete result of other options is left standing: a fault of this run says nothing against it. */
static void deliver_refusal(run *r, mt_pipeline *p, const char *name, const char *reason)
{
    mt_result *res = mt_pipeline_result(p);
    char key[65];
    if (key_on_disk(r, name, key) && key[0]) return;
    snprintf(res->stem, sizeof res->stem, "%s", name);
    mt_pipeline_refuse(p, reason);
    mt_err err = MT_ERR_INIT;
    if (mt_result_write("json", res, NULL, r->o->out_dir, &err) != MT_OK)
        mt_log(MT_LOG_WARN, "a \"not analysed\" result could not be written");
}

/* Set aside by quality control: its row, its explicit "not analysed" and the picture that shows why. A
 * grade of other options gives way: the report and the folder say the same. The lock is given up
 * with nothing scored. */
static mt_status reject(run *r, mt_pipeline *p, mt_report_row *row, const char *name, mt_err *why)
{
    mt_result *res = mt_pipeline_result(p);
    mt_err err = MT_ERR_INIT;
    MT_TRY(mt_leftovers_retire(r->o->out_dir, name, why));
    fill_quality(row, res);
    row->state = MT_SLIDE_REJECTED_QC;
    row->graded = 0;
    row->score = NAN;
    row->tissue_mm2 = res->tissue ? res->tissue->tissue_mm2 : NAN;
    snprintf(row->reason, sizeof row->reason, "%s", res->grade.reason);
    deliver_refusal(r, p, name, row->reason);
    if (mt_result_write("qc", res, mt_pipeline_slide(p), r->o->out_dir, &err) != MT_OK)
        mt_log(MT_LOG_WARN, "the quality picture could not be written");
    fill_pictures(r, row, name);
    mt_pipeline_finish(p);
    return MT_OK;
}

/* Analyses under the lock of the folder. */
static mt_status analyse(run *r, mt_pipeline *p, mt_report_row *row, const char *name, mt_err *err)
{
    mt_result *res = mt_pipeline_result(p);
    MT_AUTO_FREE char *folder = mt_strf("%s/%s", r->o->out_dir, name);
    if (!folder) return mt_err_set(err, MT_ERR_NO_MEMORY, "no memory for a path");
    MT_TRY(mt_dir_make(folder, err));
    MT_TRY(mt_pipeline_lock(p, folder, err));
    mt_leftovers_sweep(r->o->out_dir, name);
    /* Another process may have finished the slide while this one waited for nothing. */
    if (!r->o->force && take_finished(r, row, name, res->key)) {
        mt_pipeline_finish(p);
        return MT_OK;
    }
    MT_TRY(mt_pipeline_analyse(p, err));
    if (mt_pipeline_rejected(p)) return reject(r, p, row, name, err);
    fill_row(row, res, mt_pipeline_resumed(p));
    MT_TRY(write_outputs(r, p, err));
    fill_pictures(r, row, name);
    mt_pipeline_finish(p);
    return MT_OK;
}

static void name_slide(run *r, const mt_result *res, char name[MT_NAME_BYTES])
{
    memcpy(name, r->names[r->at], MT_NAME_BYTES);
    if (!r->o->pseudonyms)
        mt_name_settle(name, r->o->out_dir, res->slide_digest);
    else if (res->slide_id[0])
        snprintf(name, MT_NAME_BYTES, "%s", res->slide_id);
    else
        snprintf(name, MT_NAME_BYTES, "slide-%zu", r->at + 1);
}

static mt_status process(run *r, mt_report_row *row, mt_pipeline **pp, char name[MT_NAME_BYTES],
                         mt_err *err)
{
    const mt_input *in = &r->list.items[r->at];
    mt_status st =
        mt_pipeline_open(pp, in->path, in->mpp > 0 ? in->mpp : r->o->assume_mpp, &r->pipe, err);
    mt_pipeline *p = *pp;
    if (!p) return st;
    name_slide(r, mt_pipeline_result(p), name);
    snprintf(row->stem, sizeof row->stem, "%s", name);
    snprintf(row->slide_id, sizeof row->slide_id, "%s", mt_pipeline_result(p)->slide_id);
    if (st != MT_OK) return st;
    MT_TRY(mt_pipeline_name(p, name, err));
    if (!r->o->force && take_finished(r, row, name, mt_pipeline_result(p)->key)) {
        mt_leftovers_unlocked(r->o->out_dir, name);
        return MT_OK;
    }
    return analyse(r, p, row, name, err);
}

static void fail_row(run *r, mt_report_row *row, mt_pipeline *p, const char *name,
                     const mt_err *err)
{
    const char *path = r->list.items[r->at].path;
    mt_report_row fresh = {.state = MT_SLIDE_FAILED, .score = NAN, .wall_s = row->wall_s};
    memcpy(fresh.stem, row->stem, sizeof fresh.stem);
    memcpy(fresh.slide_id, row->slide_id, sizeof fresh.slide_id);
    without_names(fresh.reason, err->text, path, fresh.slide_id);
    *row = fresh;
    if (err->code == MT_ERR_CANCELLED) {
        row->state = MT_SLIDE_QUEUED;
        snprintf(row->reason, sizeof row->reason, "stopped by request; finished tiles are kept");
    } else if (p && name[0] && err->code != MT_ERR_TEMPORARY && err->code != MT_ERR_NOT_FOUND) {
        deliver_refusal(r, p, name, row->reason);
    }
}

static void count(run *r, const mt_report_row *row, const mt_result *res, mt_status st)
{
    mt_run_summary *s = r->sum;
    s->n_done += row->state == MT_SLIDE_DONE;
    s->n_failed += row->state == MT_SLIDE_FAILED;
    s->n_temporary += row->state == MT_SLIDE_FAILED && st == MT_ERR_TEMPORARY;
    s->n_empty += row->state == MT_SLIDE_EMPTY;
    s->n_rejected += row->state == MT_SLIDE_REJECTED_QC;
    s->n_resumed += row->resumed != 0;
    if (!res) return;
    const mt_fetch_stats *f = &res->fetch;
    s->fetch.tiles += f->tiles;
    s->fetch.unreadable += f->unreadable;
    s->fetch.native_needed += f->native_needed;
    s->fetch.native_decoded += f->native_decoded;
    s->fetch.bytes_compressed += f->bytes_compressed;
    s->fetch.pixels_decoded += f->pixels_decoded;
    s->fetch.peak_bytes = MT_MAX(s->fetch.peak_bytes, f->peak_bytes);
    s->fetch.wall_s += f->wall_s;
    s->fetch.cpu_s += f->cpu_s;
}

static void run_slide(run *r)
{
    mt_report_row *row = &r->rows[r->at];
    double began = mt_clock_wall();
    char name[MT_NAME_BYTES] = "";
    mt_err err = MT_ERR_INIT;
    row->state = MT_SLIDE_RUNNING;
    /* Short slides follow each other fast, and every report waits for the disk. */
    if (r->at == 0 || began - r->reported_wall > REPORT_EVERY_S) report_now(r);
    tell(r, (mt_run_event){.kind = MT_RUN_SLIDE_BEGIN});

    MT_AUTO(mt_pipeline_close) mt_pipeline *p = NULL;
    mt_status st =
        r->stop ? mt_err_set(&err, MT_ERR_CANCELLED, "stopped") : process(r, row, &p, name, &err);
    row->wall_s = mt_clock_wall() - began;
    if (st != MT_OK) fail_row(r, row, p, name, &err);
    const mt_result *res = p ? mt_pipeline_result(p) : NULL;
    bool analysed = st == MT_OK && !row->resumed;
    for (int i = 0; analysed && i < res->n_warnings; i++)
        tell(r, (mt_run_event){.kind = MT_RUN_WARNING, .text = res->warnings[i]});
    if (p && mt_pipeline_note(p)[0])
        tell(r, (mt_run_event){.kind = MT_RUN_WARNING, .text = mt_pipeline_note(p)});
    count(r, row, res, st);
    tell(r, (mt_run_event){.kind = MT_RUN_SLIDE_END, .row = row, .result = analysed ? res : NULL});
}

mt_status mt_batch_run(const mt_run_opts *opts, mt_run_fn fn, void *ctx, mt_run_summary *summary,
                       mt_err *err)
{
    mt_run_summary unused, *sum = summary ? summary : &unused;
    memset(sum, 0, sizeof *sum);
    run r = {.o = opts,
             .fn = fn,
             .ctx = ctx,
             .sum = sum,
             .began_wall = mt_clock_wall(),
             .began_cpu = mt_clock_cpu()};
    mt_status st = prepare(&r, err);
    if (st == MT_OK) {
        sum->n_slides = r.list.n;
        for (r.at = 0; r.at < r.list.n && !r.stop; r.at++)
            run_slide(&r);
        report_now(&r);
        if (r.at < r.list.n || (r.stop && r.rows[r.at - 1].state == MT_SLIDE_QUEUED))
            st = mt_err_set(err, MT_ERR_CANCELLED,
                            "stopped by request; finished tiles and slides are kept");
    }
    sum->wall_s = mt_clock_wall() - r.began_wall;
    sum->cpu_s = mt_clock_cpu() - r.began_cpu;
    mt_tissue_source_close(&r.tissue);
    mt_model_close(&r.model);
    mt_inputs_free(&r.list);
    free(r.names);
    free(r.rows);
    return st;
}
