#include "service/rows.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "service/deliver.h"

static void take_quality(mt_report_row *row, const mt_result *r)
{
    row->usable_share = row->focus = NAN;
    if (!r->qc) return;
    snprintf(row->qc_verdict, sizeof row->qc_verdict, "%s", mt_qc_verdict_name(r->qc_verdict.kind));
    row->usable_share = r->qc->figures.usable_share;
    row->focus = r->qc->figures.focus_p50;
}

void mt_row_done(mt_report_row *row, const mt_result *r, uint64_t resumed_tiles)
{
    const mt_grade *g = &r->grade;
    take_quality(row, r);
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

void mt_row_rejected(mt_report_row *row, const mt_result *r)
{
    take_quality(row, r);
    row->state = MT_SLIDE_REJECTED_QC;
    row->graded = 0;
    row->score = NAN;
    row->tissue_mm2 = r->tissue ? r->tissue->tissue_mm2 : NAN;
    row->n_warnings = r->n_warnings;
    snprintf(row->reason, sizeof row->reason, "%s", r->grade.reason);
}

/* ---- errors ---- */

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

void mt_row_failed(mt_report_row *row, const mt_err *why, const char *path)
{
    mt_report_row fresh = {.state = MT_SLIDE_FAILED, .score = NAN, .wall_s = row->wall_s};
    memcpy(fresh.stem, row->stem, sizeof fresh.stem);
    memcpy(fresh.slide_id, row->slide_id, sizeof fresh.slide_id);
    without_names(fresh.reason, why->text, path, fresh.slide_id);
    *row = fresh;
}

/* ---- what lies on disk ---- */

static void copy_text(char *out, size_t cap, const json_t *text)
{
    const char *s = json_string_value(text);
    snprintf(out, cap, "%s", s ? s : "");
}

static double number_in(const json_t *object, const char *name)
{
    const json_t *v = json_object_get(object, name);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

static void read_quality(mt_report_row *row, const json_t *quality)
{
    copy_text(row->qc_verdict, sizeof row->qc_verdict, json_object_get(quality, "verdict"));
    row->usable_share = number_in(json_object_get(quality, "usable_share"), "value");
    row->focus = number_in(json_object_get(json_object_get(quality, "sharpness"), "median"), "value");
}

bool mt_row_resumed(mt_report_row *row, const char *out_dir, const char *name, const char *key)
{
    MT_AUTO_FREE char *store = mt_strf("%s/%s/tiles.h5", out_dir, name);
    MT_AUTO(mt_json_unref) json_t *root = NULL;
    if (!store || !mt_delivered(&root, out_dir, name)) return false;
    const char *have = json_string_value(json_object_get(root, "key"));
    const json_t *g = json_object_get(root, "grade"), *tiles = json_object_get(g, "tiles");
    if (!have || !key[0] || strcmp(have, key) != 0 || !json_is_object(g) || !json_is_object(tiles))
        return false;
    const bool rejected = json_is_true(json_object_get(json_object_get(root, "quality"), "rejected"));
    if (!rejected && !mt_file_exists(store)) return false;
    row->n_tiles = (uint64_t)json_integer_value(json_object_get(tiles, "planned"));
    row->state = rejected ? MT_SLIDE_REJECTED_QC : row->n_tiles ? MT_SLIDE_DONE : MT_SLIDE_EMPTY;
    row->graded = json_is_true(json_object_get(g, "graded"));
    row->score = row->graded ? json_number_value(json_object_get(g, "score")) : NAN;
    row->tissue_mm2 = json_number_value(json_object_get(g, "tissue_mm2"));
    row->coverage = json_number_value(json_object_get(g, "coverage"));
    row->n_warnings = (int)json_array_size(json_object_get(root, "warnings"));
    copy_text(row->decision, sizeof row->decision, json_object_get(g, "decision"));
    copy_text(row->reason, sizeof row->reason, json_object_get(g, "reason"));
    read_quality(row, json_object_get(root, "quality"));
    row->resumed = 1;
    mt_row_pictures(row, out_dir, name);
    return true;
}

void mt_row_pictures(mt_report_row *row, const char *out_dir, const char *name)
{
    MT_AUTO_FREE char *qc = mt_strf("%s/%s/qc.png", out_dir, name);
    if (qc && row->qc_verdict[0] && mt_file_exists(qc))
        snprintf(row->qc, sizeof row->qc, "%s/qc.png", name);
    MT_AUTO_FREE char *heatmap = mt_strf("%s/%s/heatmap.png", out_dir, name);
    if (heatmap && mt_file_exists(heatmap))
        snprintf(row->heatmap, sizeof row->heatmap, "%s/heatmap.png", name);
}
