/* Many slides, one after the other, each with all threads. A slide that fails gets its row and its
 * reason; the night goes on. */
#include "microtome/batch.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/pipeline.h"
#include "microtome/system.h"
#include "service/deliver.h"
#include "service/leftovers.h"
#include "service/names.h"
#include "service/rows.h"
#include "service/setup.h"

static const double REPORT_EVERY_S = 1.0;

typedef struct run {
    const mt_run_opts *o;
    mt_run_fn fn;
    void *ctx;
    mt_setup setup;
    mt_report_row *rows;
    mt_report report;
    size_t at; /* current slide */
    bool stop;
    double began_wall, began_cpu, reported_wall;
    mt_run_summary *sum;
} run;

/* ---- events ---- */

static void tell(run *r, mt_run_event e)
{
    e.slide = r->at;
    e.n_slides = r->setup.list.n;
    e.path = r->setup.list.items[r->at].path;
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

static void begin_report(run *r)
{
    const mt_card *card = mt_model_card(r->setup.model);
    mt_report *rep = &r->report;
    rep->rows = r->rows;
    rep->n_rows = r->setup.list.n;
    snprintf(rep->model, sizeof rep->model, "%s%s%s", card->name, card->version[0] ? " " : "",
             card->version);
    snprintf(rep->model_state, sizeof rep->model_state, "%s", card->state);
    snprintf(rep->engine_version, sizeof rep->engine_version, "%s", mt_version());
    snprintf(rep->kernel_set, sizeof rep->kernel_set, "%s", mt_cpu_name());
    mt_clock_rfc3339(rep->started);
    for (size_t i = 0; i < r->setup.list.n; i++) {
        r->rows[i].state = MT_SLIDE_QUEUED;
        if (r->o->pseudonyms)
            snprintf(r->rows[i].stem, sizeof r->rows[i].stem, "slide-%zu", i + 1);
        else
            snprintf(r->rows[i].stem, sizeof r->rows[i].stem, "%s", r->setup.names[i]);
    }
}

static mt_status prepare(run *r, mt_err *err)
{
    MT_TRY(mt_setup_make(&r->setup, r->o, err));
    r->setup.pipe.progress = on_tiles;
    r->setup.pipe.progress_ctx = r;
    MT_TRY(mt_alloc(&r->rows, r->setup.list.n, sizeof *r->rows, SIZE_MAX, "report", err));
    begin_report(r);
    return MT_OK;
}

/* ---- one slide ---- */

/* Analyses under the lock of the folder. */
static mt_status analyse(run *r, mt_pipeline *p, mt_report_row *row, const char *name, mt_err *err)
{
    mt_result *res = mt_pipeline_result(p);
    const char *dir = r->o->out_dir;
    MT_AUTO_FREE char *folder = mt_strf("%s/%s", dir, name);
    if (!folder) return mt_err_set(err, MT_ERR_NO_MEMORY, "no memory for a path");
    MT_TRY(mt_dir_make(folder, err));
    MT_TRY(mt_pipeline_lock(p, folder, err));
    mt_leftovers_sweep(dir, name);
    /* Another process may have finished the slide while this one waited for nothing. */
    if (r->o->force || !mt_row_resumed(row, dir, name, res->key)) {
        MT_TRY(mt_pipeline_analyse(p, err));
        if (res->qc_rejected) {
            mt_row_rejected(row, res);
            MT_TRY(mt_deliver_rejection(p, dir, name, err));
        } else {
            mt_row_done(row, res, mt_pipeline_resumed(p));
            MT_TRY(mt_deliver(p, &r->setup, dir, err));
        }
        mt_row_pictures(row, dir, name);
    }
    res->qc_rejected = row->state == MT_SLIDE_REJECTED_QC; /* by this process or another */
    mt_pipeline_finish(p);
    return MT_OK;
}

static void name_slide(run *r, const mt_result *res, char name[MT_NAME_BYTES])
{
    memcpy(name, r->setup.names[r->at], MT_NAME_BYTES);
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
    const mt_input *in = &r->setup.list.items[r->at];
    mt_status st =
        mt_pipeline_open(pp, in->path, in->mpp > 0 ? in->mpp : r->o->assume_mpp, &r->setup.pipe, err);
    mt_pipeline *p = *pp;
    if (!p) return st;
    name_slide(r, mt_pipeline_result(p), name);
    snprintf(row->stem, sizeof row->stem, "%s", name);
    snprintf(row->slide_id, sizeof row->slide_id, "%s", mt_pipeline_result(p)->slide_id);
    if (st != MT_OK) return st;
    MT_TRY(mt_pipeline_name(p, name, err));
    if (!r->o->force && mt_row_resumed(row, r->o->out_dir, name, mt_pipeline_result(p)->key)) {
        if (row->state != MT_SLIDE_REJECTED_QC) mt_leftovers_unlocked(r->o->out_dir, name);
        return MT_OK;
    }
    return analyse(r, p, row, name, err);
}

static void fail_row(run *r, mt_report_row *row, mt_pipeline *p, const char *name,
                     const mt_err *err)
{
    mt_row_failed(row, err, r->setup.list.items[r->at].path);
    if (err->code == MT_ERR_CANCELLED) {
        row->state = MT_SLIDE_QUEUED;
        snprintf(row->reason, sizeof row->reason, "stopped by request; finished tiles are kept");
    } else if (p && name[0] && err->code != MT_ERR_TEMPORARY && err->code != MT_ERR_NOT_FOUND) {
        mt_deliver_refusal(p, r->o->out_dir, name, row->reason);
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
        sum->n_slides = r.setup.list.n;
        for (r.at = 0; r.at < r.setup.list.n && !r.stop; r.at++)
            run_slide(&r);
        report_now(&r);
        if (r.at < r.setup.list.n || (r.stop && r.rows[r.at - 1].state == MT_SLIDE_QUEUED))
            st = mt_err_set(err, MT_ERR_CANCELLED,
                            "stopped by request; finished tiles and slides are kept");
    }
    sum->wall_s = mt_clock_wall() - r.began_wall;
    sum->cpu_s = mt_clock_cpu() - r.began_cpu;
    mt_setup_free(&r.setup);
    free(r.rows);
    return st;
}
