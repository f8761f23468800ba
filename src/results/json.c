/* result.json: the grade, what it depends on, and last, apart from it, the run that made it. */
#include <math.h>
#include <string.h>
#include "base/json.h"
#include "results/writers.h"

#define SCHEMA_VERSION 1
#define CEILING ((size_t)4 << 20)

static const char *text_or_null(const char *s)
{
    return s && *s ? s : NULL;
}

static void size_of_slide(mt_jw *w, const mt_slide_info *s)
{
    mt_jw_arr(w, "levels");
    for (int i = 0; i < s->n_levels && i < MT_MAX_LEVELS; i++) {
        mt_jw_obj(w, NULL);
        mt_jw_int(w, "width", s->levels[i].width);
        mt_jw_int(w, "height", s->levels[i].height);
        mt_jw_num(w, "downsample", s->levels[i].downsample);
        mt_jw_str(w, "codec", s->levels[i].codec);
        mt_jw_end_obj(w);
    }
    mt_jw_end_arr(w);
}

/* Geometry and spacing only: no other value of the slide's metadata (scanner, texts, dates) is
 * kept. */
static void slide_block(mt_jw *w, const mt_result *r)
{
    const mt_slide_info *s = &r->slide;
    mt_jw_obj(w, "slide");
    mt_jw_str(w, "stem", r->stem);
    mt_jw_str(w, "id", text_or_null(r->slide_id));
    mt_jw_str(w, "sha256", text_or_null(r->slide_digest));
    mt_jw_str(w, "format", text_or_null(s->format));
    mt_jw_int(w, "width", s->n_levels > 0 ? s->levels[0].width : 0);
    mt_jw_int(w, "height", s->n_levels > 0 ? s->levels[0].height : 0);
    mt_jw_num(w, "mpp_x", s->mpp_x);
    mt_jw_num(w, "mpp_y", s->mpp_y);
    mt_jw_str(w, "mpp_source", text_or_null(s->mpp_source));
    mt_jw_bool(w, "mpp_assumed", r->assumed_mpp > 0);
    mt_jw_bool(w, "synthetic", s->synthetic);
    if (s->n_optical_paths > 1) mt_jw_str(w, "optical_path", s->optical_path);
    if (s->n_focal_planes > 1) mt_jw_int(w, "focal_plane", s->focal_plane);
    size_of_slide(w, s);
    mt_jw_end_obj(w);
}

static void model_block(mt_jw *w, const mt_result *r)
{
    const mt_card *c = r->card;
    mt_jw_obj(w, "model");
    mt_jw_str(w, "name", c->name);
    mt_jw_str(w, "version", text_or_null(c->version));
    mt_jw_str(w, "state", c->state);
    mt_jw_str(w, "sha256", text_or_null(r->model_digest));
    mt_jw_str(w, "architecture", text_or_null(c->architecture));
    mt_jw_str(w, "task", c->task);
    mt_jw_arr(w, "classes");
    for (int i = 0; i < c->n_classes; i++)
        mt_jw_str(w, NULL, c->class_names[i]);
    mt_jw_end_arr(w);
    mt_jw_str(w, "positive_class",
              c->positive_class >= 0 ? c->class_names[c->positive_class] : NULL);
    mt_jw_str(w, "activation", c->activation);
    mt_jw_int(w, "patch_px", c->patch_px);
    mt_jw_int(w, "input_px", c->input_px);
    mt_jw_num(w, "mpp", c->mpp);
    mt_jw_arr(w, "thresholds");
    for (int i = 0; i < c->n_thresholds && i < MT_MAX_THRESHOLDS; i++) {
        mt_jw_obj(w, NULL);
        mt_jw_str(w, "name", c->thresholds[i].name);
        mt_jw_num(w, "value", c->thresholds[i].value);
        mt_jw_str(w, "chosen_on", text_or_null(c->thresholds[i].chosen_on));
        mt_jw_end_obj(w);
    }
    mt_jw_end_arr(w);
    mt_jw_str(w, "output", text_or_null(c->output));
    mt_jw_str(w, "intended_use", text_or_null(c->intended_use));
    mt_jw_str(w, "not_for", text_or_null(c->not_for));
    mt_jw_str(w, "license", text_or_null(c->license));
    mt_jw_end_obj(w);
}

static void classes_block(mt_jw *w, const mt_card *card, const mt_grade *g)
{
    mt_jw_arr(w, "classes");
    for (int i = 0; i < g->n_classes && i < MT_MAX_CLASSES; i++) {
        const mt_class_grade *c = &g->classes[i];
        mt_jw_obj(w, NULL);
        mt_jw_str(w, "name", card->class_names[i]);
        mt_jw_num(w, "mean", c->mean);
        mt_jw_num(w, "max", c->max);
        mt_jw_num(w, "topk", c->topk);
        mt_jw_num(w, "area_mm2", c->area_mm2);
        mt_jw_num(w, "area_soft_mm2", c->area_soft_mm2);
        mt_jw_num(w, "positive_mm2", c->positive_mm2);
        mt_jw_num(w, "fraction", c->fraction);
        mt_jw_end_obj(w);
    }
    mt_jw_end_arr(w);
}

static void top_tiles_block(mt_jw *w, const mt_grade *g)
{
    mt_jw_arr(w, "top_tiles");
    for (int i = 0; i < g->n_top && i < MT_TOP_TILES; i++) {
        mt_jw_obj(w, NULL);
        mt_jw_int(w, "tile", g->top[i].tile);
        mt_jw_f32(w, "score", g->top[i].score);
        mt_jw_int(w, "x", g->top[i].x_l0);
        mt_jw_int(w, "y", g->top[i].y_l0);
        mt_jw_int(w, "width", g->top[i].w_l0);
        mt_jw_int(w, "height", g->top[i].h_l0);
        mt_jw_end_obj(w);
    }
    mt_jw_end_arr(w);
}

static void grade_block(mt_jw *w, const mt_result *r)
{
    const mt_grade *g = &r->grade;
    mt_jw_obj(w, "grade");
    mt_jw_bool(w, "graded", g->graded);
    mt_jw_str(w, "reason", text_or_null(g->reason));
    if (g->graded) {
        mt_jw_str(w, "decision", text_or_null(g->decision));
        mt_jw_str(w, "positive_class",
                  g->positive_class >= 0 ? r->card->class_names[g->positive_class] : NULL);
        mt_jw_num(w, "score", g->score);
        mt_jw_int(w, "topk_k", g->topk_k);
        mt_jw_str(w, "threshold_name", text_or_null(g->threshold_name));
        mt_jw_num(w, "threshold", g->threshold);
        classes_block(w, r->card, g);
        top_tiles_block(w, g);
    }
    mt_jw_num(w, "tissue_mm2", g->tissue_mm2);
    mt_jw_num(w, "analysed_mm2", g->analysed_mm2);
    mt_jw_num(w, "coverage", g->coverage);
    mt_jw_obj(w, "tiles");
    mt_jw_int(w, "planned", (int64_t)g->n_tiles);
    mt_jw_int(w, "done", (int64_t)g->n_done);
    mt_jw_int(w, "unreadable", (int64_t)g->n_unreadable);
    mt_jw_int(w, "nan", (int64_t)g->n_nan);
    mt_jw_int(w, "excluded_by_qc", (int64_t)g->n_excluded);
    mt_jw_end_obj(w);
    mt_jw_end_obj(w);
}

static void tissue_block(mt_jw *w, const mt_result *r)
{
    const mt_tissue *t = r->tissue;
    const mt_tissue_origin *o = &r->tissue_origin;
    bool detected = !o->kind[0] || !strcmp(o->kind, "detected");
    if (!t) {
        mt_jw_null(w, "tissue");
        return;
    }
    mt_jw_obj(w, "tissue");
    mt_jw_str(w, "source", detected ? "detected" : o->kind);
    if (!detected) mt_jw_str(w, "sha256", text_or_null(o->digest));
    if (o->model[0]) mt_jw_str(w, "model", o->model);
    mt_jw_num(w, "threshold", detected ? t->threshold : o->model[0] ? o->threshold : NAN);
    mt_jw_num(w, "mask_mpp", t->mask_mpp);
    if (t->source_level >= 0)
        mt_jw_int(w, "source_level", t->source_level);
    else
        mt_jw_null(w, "source_level");
    mt_jw_int(w, "pieces", t->n_pieces);
    mt_jw_num(w, "tissue_mm2", t->tissue_mm2);
    mt_jw_num(w, "slide_mm2", t->slide_mm2);
    mt_jw_end_obj(w);
}

static void limit_pair(mt_jw *w, const char *key, double value, mt_qc_limit l)
{
    mt_jw_obj(w, key);
    mt_jw_num(w, "value", value);
    mt_jw_num(w, "warn", l.warn);
    mt_jw_num(w, "reject", l.reject);
    mt_jw_end_obj(w);
}

static void bit_names(mt_jw *w, const char *key, unsigned bits)
{
    mt_jw_arr(w, key);
    for (int i = 0; i < MT_QC_N; i++)
        if (bits >> i & 1) mt_jw_str(w, NULL, mt_qc_name(i));
    mt_jw_end_arr(w);
}

static void flagged_tiles(mt_jw *w, const mt_result *r)
{
    mt_jw_obj(w, "flagged_tiles");
    for (int k = 0; k < MT_QC_N; k++) {
        int64_t n = 0;
        for (size_t i = 0; r->tile_qc && i < r->plan->n_tiles; i++)
            n += r->tile_qc[i] >> k & 1;
        mt_jw_int(w, mt_qc_name(k), n);
    }
    mt_jw_end_obj(w);
}

/* Every figure with the limits it was held against. */
static void quality_block(mt_jw *w, const mt_result *r)
{
    if (!r->qc) {
        mt_jw_null(w, "quality");
        return;
    }
    const mt_qc_figures *g = &r->qc->figures;
    const mt_qc_config *c = &r->qc_config;
    mt_jw_obj(w, "quality");
    mt_jw_str(w, "verdict", mt_qc_verdict_name(r->qc_verdict.kind));
    mt_jw_str(w, "reason", text_or_null(r->qc_verdict.reason));
    mt_jw_bool(w, "rejected", r->qc_rejected != 0);
    mt_jw_num(w, "tissue_mm2", g->tissue_mm2);
    limit_pair(w, "usable_share", g->usable_share, c->usable_share);
    limit_pair(w, "usable_mm2", g->usable_mm2, c->usable_mm2);
    mt_jw_obj(w, "share");
    for (int k = 0; k < MT_QC_N; k++)
        limit_pair(w, mt_qc_name(k), g->share[k], c->share[k]);
    mt_jw_end_obj(w);
    mt_jw_obj(w, "area_mm2");
    for (int k = 0; k < MT_QC_N; k++)
        mt_jw_num(w, mt_qc_name(k), g->area_mm2[k]);
    mt_jw_end_obj(w);
    mt_jw_obj(w, "sharpness");
    limit_pair(w, "median", g->focus_p50, c->focus_median);
    mt_jw_num(w, "p05", g->focus_p05);
    mt_jw_num(w, "p25", g->focus_p25);
    mt_jw_num(w, "p75", g->focus_p75);
    mt_jw_num(w, "p95", g->focus_p95);
    mt_jw_num(w, "focus_min", c->focus_min);
    mt_jw_num(w, "mpp", g->focus_mpp > 0 ? g->focus_mpp : NAN);
    mt_jw_int(w, "level", g->focus_level);
    mt_jw_num(w, "tissue_measured", g->focus_measured);
    mt_jw_int(w, "native_tiles", (int64_t)g->focus_tiles);
    mt_jw_int(w, "pixels_decoded", (int64_t)g->focus_pixels);
    mt_jw_end_obj(w);
    mt_jw_int(w, "pieces", g->n_pieces);
    mt_jw_arr(w, "largest_pieces_mm2");
    for (int i = 0; i < MT_QC_TOP_PIECES && i < g->n_pieces; i++)
        mt_jw_num(w, NULL, g->piece_mm2[i]);
    mt_jw_end_arr(w);
    mt_jw_num(w, "tile_share", c->tile_share);
    flagged_tiles(w, r);
    bit_names(w, "excluded_from_grade", c->exclude);
    mt_jw_end_obj(w);
}

static void plan_block(mt_jw *w, const mt_plan *p)
{
    mt_jw_obj(w, "plan");
    mt_jw_str(w, "sha256", text_or_null(p->digest));
    mt_jw_int(w, "tiles", (int64_t)p->n_tiles);
    mt_jw_int(w, "tile_px", p->tile_px);
    mt_jw_int(w, "out_px", p->out_px);
    mt_jw_num(w, "target_mpp", p->target_mpp);
    mt_jw_num(w, "slide_mpp", p->slide_mpp);
    mt_jw_int(w, "box_l0", p->box_l0);
    mt_jw_int(w, "step_l0", p->step_l0);
    mt_jw_int(w, "level", p->level);
    mt_jw_num(w, "level_downsample", p->level_downsample);
    mt_jw_num(w, "resample", p->resample);
    mt_jw_bool(w, "upsampled", p->upsampled);
    mt_jw_num(w, "overlap", p->overlap);
    mt_jw_num(w, "min_tissue", p->min_tissue);
    mt_jw_str(w, "edge", p->edge == MT_EDGE_PAD ? "pad" : "drop");
    mt_jw_num(w, "roi_mm2", p->roi_mm2);
    if (p->origin[0]) {
        mt_jw_obj(w, "coords");
        mt_jw_str(w, "origin", p->origin);
        mt_jw_str(w, "sha256", text_or_null(p->coords_digest));
        mt_jw_end_obj(w);
    }
    mt_jw_end_obj(w);
}

static void put_numbers(mt_jw *w, const char *key, const double *v, int n)
{
    mt_jw_arr(w, key);
    for (int i = 0; i < n; i++)
        mt_jw_num(w, NULL, v[i]);
    mt_jw_end_arr(w);
}

static void stain_figures(mt_jw *w, const char *key, const mt_stain *s, mt_stain_method method)
{
    mt_jw_obj(w, key);
    if (method == MT_STAIN_MACENKO) {
        put_numbers(w, "hematoxylin", s->vectors[0], 3);
        put_numbers(w, "eosin", s->vectors[1], 3);
        put_numbers(w, "strength", s->strength, 2);
    } else {
        put_numbers(w, "mean", s->lab_mean, 3);
        put_numbers(w, "std", s->lab_std, 3);
    }
    if (s->pixels) mt_jw_int(w, "pixels", (int64_t)s->pixels);
    mt_jw_end_obj(w);
}

static void stain_block(mt_jw *w, const mt_result *r)
{
    mt_stain_method method = r->stain.wanted.method;
    if (method == MT_STAIN_NONE) {
        mt_jw_null(w, "stain_normalisation");
        return;
    }
    mt_jw_obj(w, "stain_normalisation");
    mt_jw_str(w, "method", mt_stain_method_name(method));
    mt_jw_bool(w, "applied", r->stain.applied);
    if (r->stain.reason[0]) mt_jw_str(w, "reason", r->stain.reason);
    if (r->stain.applied) stain_figures(w, "measured", &r->stain.measured, method);
    mt_jw_str(w, "target_source", r->stain.wanted.own_target ? "given" : "default");
    stain_figures(w, "target", &r->stain.wanted.target, method);
    mt_jw_end_obj(w);
}

static void json_inference(mt_jw *w, const mt_engine_info *e)
{
    mt_jw_obj(w, "inference");
    mt_jw_str(w, "engine", e ? e->name : NULL);
    mt_jw_str(w, "version", e ? e->version : NULL);
    mt_jw_str(w, "library_sha256", e ? text_or_null(e->digest) : NULL);
    mt_jw_end_obj(w);
}

static void provenance_block(mt_jw *w, const mt_result *r)
{
    mt_jw_obj(w, "provenance");
    mt_jw_str(w, "engine", "microtome");
    mt_jw_str(w, "engine_version", r->engine_version);
    mt_jw_str(w, "kernel_set", r->kernel_set);
    json_inference(w, r->inference);
    mt_jw_str(w, "slide_sha256", text_or_null(r->slide_digest));
    mt_jw_str(w, "model_sha256", text_or_null(r->model_digest));
    mt_jw_str(w, "plan_sha256", text_or_null(r->plan->digest));
    stain_block(w, r);
    mt_jw_end_obj(w);
}

static void scope_block(mt_jw *w, const mt_result *r)
{
    mt_jw_obj(w, "scope");
    mt_jw_str(w, "state",
              r->out_of_scope[0]    ? "out of scope"
              : r->scope_unverified ? "scope unverified"
                                    : "in scope");
    mt_jw_str(w, "override_reason", text_or_null(r->out_of_scope));
    mt_jw_end_obj(w);
}

static void warnings_block(mt_jw *w, const mt_result *r)
{
    mt_jw_arr(w, "warnings");
    for (int i = 0; i < r->n_warnings && i < (int)MT_COUNT(r->warnings); i++)
        mt_jw_str(w, NULL, r->warnings[i]);
    mt_jw_end_arr(w);
}

static void run_block(mt_jw *w, const mt_result *r)
{
    const mt_fetch_stats *f = &r->fetch;
    mt_jw_obj(w, "run");
    mt_jw_str(w, "started", text_or_null(r->started));
    mt_jw_str(w, "finished", text_or_null(r->finished));
    mt_jw_num(w, "wall_s", r->wall_s);
    mt_jw_num(w, "cpu_s", r->cpu_s);
    mt_jw_int(w, "threads", r->threads);
    mt_jw_obj(w, "fetch");
    mt_jw_int(w, "tiles", (int64_t)f->tiles);
    mt_jw_int(w, "unreadable", (int64_t)f->unreadable);
    mt_jw_int(w, "native_needed", (int64_t)f->native_needed);
    mt_jw_int(w, "native_decoded", (int64_t)f->native_decoded);
    mt_jw_int(w, "bytes_compressed", (int64_t)f->bytes_compressed);
    mt_jw_int(w, "pixels_decoded", (int64_t)f->pixels_decoded);
    mt_jw_int(w, "peak_bytes", (int64_t)f->peak_bytes);
    mt_jw_num(w, "wall_s", f->wall_s);
    mt_jw_num(w, "cpu_s", f->cpu_s);
    mt_jw_end_obj(w);
    mt_jw_end_obj(w);
}

/* What the result is and is not, in words a reader meets first. */
static void statement(mt_jw *w, const mt_result *r)
{
    char text[800];
    const mt_grade *g = &r->grade;
    if (!g->graded) {
        snprintf(text, sizeof text, "not analysed: %s",
                 g->reason[0] ? g->reason : "no reason was given");
    } else {
        snprintf(text, sizeof text, "%s%s", g->decision[0] ? "analysed: " : "analysed",
                 g->decision);
    }
    mt_jw_str(w, "status", g->graded ? "analysed" : "not analysed");
    mt_jw_str(w, "statement", text);
    const mt_card *c = r->card;
    snprintf(text, sizeof text,
             "Research use only, not for diagnosis. Intended use: %s. Not for: %s.%s%s",
             c->intended_use[0] ? c->intended_use : "research",
             c->not_for[0] ? c->not_for : "diagnosis",
             r->slide.synthetic ? " Synthetic slide." : "",
             r->out_of_scope[0]    ? " The slide lies outside the model's declared scope."
             : r->scope_unverified ? " Whether the slide lies in the model's scope is unverified."
                                   : "");
    mt_jw_str(w, "notice", text);
}

mt_status mt_write_json(const mt_result *r, const mt_slide *slide, const char *out_dir, mt_err *err)
{
    MT_AUTO(mt_buf_free) mt_buf b = MT_BUF_INIT(CEILING);
    MT_AUTO_FREE char *path = NULL;
    mt_jw w;
    mt_jw_init(&w, &b, 2);
    mt_jw_obj(&w, NULL);
    mt_jw_str(&w, "schema", "microtome.result");
    mt_jw_int(&w, "schema_version", SCHEMA_VERSION);
    mt_jw_str(&w, "key", r->key);
    statement(&w, r);
    slide_block(&w, r);
    model_block(&w, r);
    grade_block(&w, r);
    scope_block(&w, r);
    warnings_block(&w, r);
    tissue_block(&w, r);
    quality_block(&w, r);
    plan_block(&w, r->plan);
    if (r->fast_scaling) {
        mt_jw_obj(&w, "fast_scaling");
        mt_jw_str(&w, "way", r->fast_way);
        mt_jw_int(&w, "reduced_by", r->reduced_by);
        mt_jw_end_obj(&w);
    }
    provenance_block(&w, r);
    run_block(&w, r);
    mt_jw_end_obj(&w);
    mt_buf_append(&b, "\n", 1);
    MT_TRY(mt_buf_status(&b, "result.json", err));
    MT_TRY(mt_result_path(&path, out_dir, r->stem, "result.json", err));
    return mt_file_write(path, b.data, b.len, err);
}
