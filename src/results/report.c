/* The morning report: one row a slide, what needs a human first. */
#include "base/file.h"
#include "base/json.h"
#include "microtome/result.h"
#include "results/report_page.h"
#include "results/report_words.h"

#define CEILING ((size_t)256 << 20)

/* Failed first, then rejected, empty, unfinished, done without a grade, done. */
static int rank(const mt_report_row *r)
{
    switch (r->state) {
    case MT_SLIDE_FAILED:
        return 0;
    case MT_SLIDE_REJECTED_QC:
        return 1;
    case MT_SLIDE_EMPTY:
        return 2;
    case MT_SLIDE_RUNNING:
        return 3;
    case MT_SLIDE_QUEUED:
        return 4;
    case MT_SLIDE_DONE:
        return r->graded ? 6 : 5;
    }
    return 0;
}

/* Row numbers in order of rank; inside a rank as they came. */
static mt_status sort_rows(size_t **out, const mt_report *p, mt_err *err)
{
    size_t n = 0;
    MT_TRY(mt_alloc(out, p->n_rows, sizeof **out, CEILING, "report", err));
    for (int k = 0; k <= 6; k++)
        for (size_t i = 0; i < p->n_rows; i++)
            if (rank(&p->rows[i]) == k) (*out)[n++] = i;
    return MT_OK;
}

static void json_row(mt_jw *w, const mt_report_row *r)
{
    char reason[MT_ERR_TEXT];
    mt_report_text(reason, r->reason);
    mt_jw_obj(w, NULL);
    mt_jw_str(w, "slide", r->stem);
    mt_jw_str(w, "slide_id", r->slide_id[0] ? r->slide_id : NULL);
    mt_jw_str(w, "state", mt_slide_state_name(r->state));
    mt_jw_str(w, "reason", reason[0] ? reason : NULL);
    mt_jw_bool(w, "graded", r->graded);
    mt_jw_str(w, "decision", r->graded && r->decision[0] ? r->decision : NULL);
    if (r->graded)
        mt_jw_num(w, "score", r->score);
    else
        mt_jw_null(w, "score");
    mt_jw_num(w, "tissue_mm2", r->tissue_mm2);
    mt_jw_num(w, "coverage", r->coverage);
    mt_jw_int(w, "tiles", (int64_t)r->n_tiles);
    mt_jw_num(w, "wall_s", r->wall_s);
    mt_jw_num(w, "tiles_per_s", r->tiles_per_s);
    mt_jw_bool(w, "resumed", r->resumed);
    mt_jw_int(w, "warnings", r->n_warnings);
    mt_jw_str(w, "quality", r->qc_verdict[0] ? r->qc_verdict : NULL);
    if (r->qc_verdict[0]) {
        mt_jw_num(w, "usable_share", r->usable_share);
        mt_jw_num(w, "sharpness", r->focus);
    }
    mt_jw_str(w, "quality_picture", r->qc[0] ? r->qc : NULL);
    mt_jw_str(w, "heatmap", r->heatmap[0] ? r->heatmap : NULL);
    mt_jw_end_obj(w);
}

static void json_totals(mt_jw *w, const mt_report *p)
{
    mt_report_totals t = mt_report_count(p);
    mt_jw_obj(w, "totals");
    mt_jw_int(w, "slides", (int64_t)p->n_rows);
    for (int s = MT_SLIDE_QUEUED; s <= MT_SLIDE_EMPTY; s++)
        mt_jw_int(w, mt_slide_state_name((mt_slide_state)s), (int64_t)t.by_state[s]);
    mt_jw_int(w, "done_without_grade", (int64_t)t.ungraded);
    mt_jw_int(w, "resumed", (int64_t)t.resumed);
    mt_jw_int(w, "tiles", (int64_t)t.tiles);
    mt_jw_num(w, "wall_s", p->wall_s);
    mt_jw_num(w, "tiles_per_s", t.tiles_per_s);
    mt_jw_end_obj(w);
}

static void json_page(mt_buf *b, const mt_report *p, const size_t *order)
{
    mt_jw w;
    mt_jw_init(&w, b, 2);
    mt_jw_obj(&w, NULL);
    mt_jw_str(&w, "schema", "microtome.report");
    mt_jw_int(&w, "schema_version", 1);
    mt_jw_str(&w, "notice",
              "research use only, not for diagnosis; a slide without a result is not negative");
    mt_jw_str(&w, "model", p->model);
    mt_jw_str(&w, "model_state", p->model_state);
    mt_jw_str(&w, "engine_version", p->engine_version);
    mt_jw_str(&w, "kernel_set", p->kernel_set);
    mt_jw_str(&w, "started", p->started);
    mt_jw_str(&w, "updated", p->updated);
    json_totals(&w, p);
    mt_jw_arr(&w, "slides");
    for (size_t i = 0; i < p->n_rows; i++)
        json_row(&w, &p->rows[order[i]]);
    mt_jw_end_arr(&w);
    mt_jw_end_obj(&w);
    mt_buf_append(b, "\n", 1);
}

static mt_status write_whole(const mt_buf *b, const char *dir, const char *name, mt_err *err)
{
    MT_TRY(mt_buf_status(b, name, err));
    MT_AUTO_FREE char *path = mt_strf("%s/%s", dir, name);
    if (!path) return mt_err_set(err, MT_ERR_NO_MEMORY, "no memory for a path");
    return mt_file_write(path, b->data, b->len, err);
}

mt_status mt_report_write(const mt_report *report, const char *out_dir, mt_err *err)
{
    MT_AUTO_FREE size_t *order = NULL;
    MT_AUTO(mt_buf_free) mt_buf json = MT_BUF_INIT(CEILING), html = MT_BUF_INIT(CEILING);
    MT_TRY(sort_rows(&order, report, err));
    MT_TRY(mt_dir_make(out_dir, err));
    json_page(&json, report, order);
    MT_TRY(write_whole(&json, out_dir, "report.json", err));
    mt_report_page(&html, report, order);
    return write_whole(&html, out_dir, "report.html", err);
}
