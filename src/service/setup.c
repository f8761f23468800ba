#include "service/setup.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/file.h"
#include "base/mem.h"
#include "engine/provenance.h"
#include "microtome/system.h"
#include "tiles/plan/roi.h"

#define DEFAULT_MEMORY ((uint64_t)400 << 20)
enum { DEFAULT_BATCH = 8, MAX_THREADS = 1024 };

/* ---- words and numbers ---- */

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
static mt_status resolve_exports(mt_setup *s, const mt_run_opts *o, mt_err *err)
{
    const char *list = o->exports;
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
        if (s->n_exports == MT_SETUP_EXPORTS)
            return mt_err_set(err, MT_ERR_LIMIT, "export: more than %d results", MT_SETUP_EXPORTS);
        s->exports[s->n_exports++] = w->name;
        size_t n = strlen(s->exports_key);
        snprintf(s->exports_key + n, sizeof s->exports_key - n, "%s,", w->name);
    }
    return MT_OK;
}

/* ---- the folder ---- */

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

/* ---- files ---- */

/* The command line's word, else the card's. */
static mt_status resolve_stain(mt_setup *s, const mt_run_opts *o, mt_err *err)
{
    const mt_card *card = mt_model_card(s->model);
    const char *words = o->stain ? o->stain : card->normalise_stain;
    MT_TRY(mt_stain_request_parse(&s->stain, words[0] ? words : "none", err));
    if (o->stain || !card->stain_target[0]) return MT_OK;
    s->stain.own_target = 1;
    return mt_stain_parse(&s->stain.target, card->stain_target, strlen(card->stain_target),
                          "the card's normalise_stain.target", err);
}

/* The limits: defaults, the file, the command line's exclusions. */
static mt_status resolve_qc(mt_setup *s, const mt_run_opts *o, mt_err *err)
{
    if (o->qc < MT_QC_MODE_WARN || o->qc > MT_QC_MODE_REJECT)
        return mt_err_set(err, MT_ERR_ARG, "run: quality control of mode %d", (int)o->qc);
    if (o->qc == MT_QC_MODE_OFF && (o->qc_config || o->qc_exclude))
        return mt_err_set(err, MT_ERR_ARG, "run: quality control is off and has no use for its limits");
    mt_qc_config_default(&s->qc);
    if (o->qc_config) MT_TRY(mt_qc_config_load(&s->qc, o->qc_config, err));
    return o->qc_exclude ? mt_qc_bits_parse(&s->qc.exclude, o->qc_exclude, err) : MT_OK;
}

/* Read once here, so that a broken one is the run's error and not every slide's. */
static mt_status check_roi(mt_setup *s, const mt_run_opts *o, mt_err *err)
{
    MT_AUTO(mt_roi_free) mt_roi *roi = NULL;
    if (!o->roi_path) return MT_OK;
    MT_TRY(mt_roi_load(&roi, o->roi_path, err));
    return mt_file_digest(s->pipe.roi_digest, o->roi_path, err);
}

static mt_status check_coords(const mt_setup *s, const mt_run_opts *o, mt_err *err)
{
    const char *coords = o->coords;
    if (!coords) return MT_OK;
    if (o->roi_path)
        return mt_err_set(err, MT_ERR_ARG, "coordinates and a ROI exclude each other");
    if (mt_dir_exists(coords)) return MT_OK;
    if (!mt_file_exists(coords))
        return mt_err_set(err, MT_ERR_NOT_FOUND, "coordinates: there is no such file or folder");
    if (s->list.n > 1)
        return mt_err_set(err, MT_ERR_ARG,
                          "coordinates: a file is of one slide, %zu are given; give a folder",
                          s->list.n);
    return MT_OK;
}

static void fill_pipeline_opts(mt_setup *s, const mt_run_opts *o)
{
    mt_pipeline_opts *p = &s->pipe;
    p->model = s->model;
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
    p->exports = s->exports_key;
    p->tissue = s->tissue;
    p->stain = &s->stain;
    p->stain_fallback_none = o->stain_fallback_none != 0;
    p->strict = o->strict != 0;
    p->fast_scaling = o->fast_scaling != 0;
    p->qc = o->qc == MT_QC_MODE_OFF ? NULL : &s->qc;
    p->qc_rejects = o->qc == MT_QC_MODE_REJECT;
    p->force = o->force;
}

mt_status mt_setup_make(mt_setup *s, const mt_run_opts *o, mt_err *err)
{
    *s = (mt_setup){0};
    mt_model_opts mo = MT_MODEL_OPTS_INIT;
    mo.config = o->config;
    mo.onnxruntime = o->onnxruntime;
    MT_TRY(check_opts(o, err));
    MT_TRY(resolve_exports(s, o, err));
    MT_TRY(mt_inputs_expand(&s->list, o->inputs, o->n_inputs, err));
    MT_TRY(mt_model_open(&s->model, o->model, &mo, err));
    if (strcmp(mt_model_card(s->model)->task, "tile-classification"))
        return mt_err_set(err, MT_ERR_CARD, "model %s: its task is %s, a run classifies tiles",
                          mt_model_card(s->model)->name, mt_model_card(s->model)->task);
    MT_TRY(check_roi(s, o, err));
    MT_TRY(check_coords(s, o, err));
    MT_TRY(mt_tissue_source_open(&s->tissue, o->tissue, err));
    MT_TRY(resolve_stain(s, o, err));
    MT_TRY(resolve_qc(s, o, err));
    MT_TRY(check_out_dir(o->out_dir, err));
    MT_TRY(mt_names_decide(&s->names, &s->list, err));
    fill_pipeline_opts(s, o);
    return MT_OK;
}

void mt_setup_free(mt_setup *s)
{
    mt_tissue_source_close(&s->tissue);
    mt_model_close(&s->model);
    mt_inputs_free(&s->list);
    free(s->names);
    s->names = NULL;
}
