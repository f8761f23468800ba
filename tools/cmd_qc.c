/* microtome qc: is a slide fit to be analysed, and where is it not. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "command.h"
#include "microtome/qc.h"
#include "slides.h"
#include "talk.h"

struct opts {
    mt_slide_wish slide;
    const char *out, *config, *tissue;
    int64_t threads;
    int json;
};

static const mt_opt options[] = {
    OPT_TEXT("out", 'o', out, "DIR",
             "write <slide>-qc.png (picture), <slide>-qc-mask.png (flags) and <slide>-qc.json there"),
    OPT_TEXT("qc-config", 0, config, "FILE.json", "limits to hold the slides against"),
    OPT_TISSUE(tissue),
    OPT_SLIDE(slide),
    OPT_THREADS(threads),
    OPT_FLAG("json", json, "print JSON instead of text"),
    OPT_END,
};

/* ---- figures as JSON ------------------------------------------------------------------------- */

static json_t *shares_json(const mt_qc_figures *g)
{
    json_t *j = json_object();
    for (int i = 0; i < MT_QC_N; i++)
        json_object_set_new(j, mt_qc_name(i),
                            json_pack("{s:o, s:o}", "share", mt_jn(g->share[i]), "area_mm2", mt_jn(g->area_mm2[i])));
    return j;
}

static json_t *sharpness_json(const mt_qc_figures *g)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:o, s:I, s:I}", "p05", mt_jn(g->focus_p05), "p25",
                     mt_jn(g->focus_p25), "p50", mt_jn(g->focus_p50), "p75", mt_jn(g->focus_p75), "p95",
                     mt_jn(g->focus_p95), "mpp", mt_jn(g->focus_mpp > 0 ? g->focus_mpp : NAN), "level", g->focus_level,
                     "tissue_measured", mt_jn(g->focus_measured), "native_tiles", (json_int_t)g->focus_tiles,
                     "pixels_decoded", (json_int_t)g->focus_pixels);
}

static json_t *slide_json(const char *path, const mt_qc_figures *g, const mt_tissue_origin *origin,
                          const mt_qc_verdict *v)
{
    json_t *pieces = json_array();
    for (int i = 0; i < MT_QC_TOP_PIECES && i < g->n_pieces; i++)
        json_array_append_new(pieces, mt_jn(g->piece_mm2[i]));
    return json_pack("{s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:o}", "slide", mt_js(path),
                     "tissue_source", origin->kind, "verdict",
                     mt_qc_verdict_name(v->kind), "reason", v->reason[0] ? mt_js(v->reason) : json_null(), "tissue_mm2",
                     mt_jn(g->tissue_mm2), "usable_mm2", mt_jn(g->usable_mm2), "usable_share", mt_jn(g->usable_share),
                     "artefacts", shares_json(g), "sharpness", sharpness_json(g), "pieces", g->n_pieces,
                     "largest_pieces_mm2", pieces);
}

static void print(const char *path, const mt_qc_figures *g, const mt_tissue_origin *origin, const mt_qc_verdict *v)
{
    printf("slide      %s\n", MT_CLEAN(path));
    printf("verdict    %s%s%s\n", mt_qc_verdict_name(v->kind), v->reason[0] ? ": " : "", v->reason);
    printf("tissue     %.3f mm2 in %d piece%s", g->tissue_mm2, g->n_pieces, g->n_pieces == 1 ? "" : "s");
    if (isfinite(g->usable_share)) printf(", %.1f %% usable", 100 * g->usable_share);
    if (strcmp(origin->kind, "detected")) printf(" (%s)", origin->model[0] ? MT_CLEAN(origin->model) : origin->kind);
    putchar('\n');
    if (isfinite(g->focus_p50))
        printf("sharpness  median %.3f, 5 %% below %.3f, 95 %% below %.3f (at %.3g um/px, %.0f %% of the tissue "
               "looked at)\n",
               g->focus_p50, g->focus_p05, g->focus_p95, g->focus_mpp, 100 * g->focus_measured);
    else
        printf("sharpness  not measured: %s\n", g->focus_mpp > 0 || !(g->tissue_mm2 > 0) ? "no tissue" : "the slide is too coarse");
    for (int i = 0; i < MT_QC_N; i++)
        if (isfinite(g->share[i]))
            printf("%-10s %.2f %% of the tissue, %.3f mm2\n", mt_qc_name(i), 100 * g->share[i], g->area_mm2[i]);
    putchar('\n');
}

/* ---- files ----------------------------------------------------------------------------------- */

static char *file_name(const char *dir, const char *name, const char *end)
{
    size_t n = strlen(dir) + strlen(name) + strlen(end) + 2;
    char *out = malloc(n);
    if (out) snprintf(out, n, "%s/%s%s", dir, name, end);
    return out;
}

/* Whole or not at all. */
static mt_status write_json(const char *path, const char *beside, json_t *j, mt_err *err)
{
    if (j && !json_dump_file(j, beside, JSON_INDENT(2)) && !rename(beside, path)) return MT_OK;
    (void)remove(beside);
    return mt_err_set(err, MT_ERR_IO, "%s: cannot be written", path);
}

static mt_status write_files(const char *dir, const char *name, const char *path, const mt_qc *qc,
                             const mt_slide *slide, const mt_tissue_origin *origin, const mt_qc_verdict *v, mt_err *err)
{
    char *png = file_name(dir, name, "-qc.png"), *mask = file_name(dir, name, "-qc-mask.png");
    char *text = file_name(dir, name, "-qc.json"), *beside = file_name(dir, name, "-qc.json.tmp");
    mt_status st =
        png && mask && text && beside ? MT_OK : mt_err_set(err, MT_ERR_NO_MEMORY, "no memory for a path");
    if (!st) st = mt_qc_write_png(qc, slide, v, png, err);
    if (!st) st = mt_qc_write_mask(qc, mask, err);
    json_t *j = st ? NULL : slide_json(strrchr(path, '/') ? strrchr(path, '/') + 1 : path, &qc->figures, origin, v);
    if (!st) st = write_json(text, beside, j, err);
    json_decref(j);
    free(png);
    free(mask);
    free(text);
    free(beside);
    return st;
}

/* ---- slides ---------------------------------------------------------------------------------- */

/* What holds for every slide. */
typedef struct wish {
    mt_qc_config config;
    mt_tissue_source *tissue;
} wish;

static mt_status look(mt_qc **qc, mt_slide **slide, mt_tissue_origin *origin, const char *path, const struct opts *o,
                      const wish *w, mt_err *err)
{
    mt_tissue_opts to = MT_TISSUE_OPTS_INIT;
    mt_qc_opts qo = MT_QC_OPTS_INIT;
    mt_tissue *tissue = NULL;
    qo.threads = to.threads = mt_threads(o->threads);
    to.keep_evidence = 1;
    qo.focus_min = w->config.focus_min;
    mt_status st = mt_slide_of(slide, path, &o->slide, err);
    if (!st) st = mt_tissue_of(&tissue, origin, w->tissue, *slide, path, &to, err);
    if (!st) st = mt_qc_detect(qc, *slide, tissue, &qo, err);
    mt_tissue_free(&tissue);
    return st;
}

static int run_slide(json_t *all, int i, int n_args, char **args, const struct opts *o,
                     const wish *w)
{
    const char *path = args[i];
    mt_tissue_origin origin;
    char name[MT_OUT_NAME];
    mt_err err = MT_ERR_INIT;
    mt_slide *slide = NULL;
    mt_qc *qc = NULL;
    mt_qc_verdict v = {MT_QC_PASS, ""};
    mt_status st = look(&qc, &slide, &origin, path, o, w, &err);
    if (!st) {
        mt_qc_gate(&v, &qc->figures, &w->config);
        if (o->out) st = mt_out_name(name, slide, i, n_args, args, &err);
        if (o->out && !st) st = write_files(o->out, name, path, qc, slide, &origin, &v, &err);
    }
    int code = st ? mt_fail_file(&err, path) : MT_EXIT_OK;
    if (!st && all)
        json_array_append_new(all, slide_json(path, &qc->figures, &origin, &v));
    else if (!st)
        print(path, &qc->figures, &origin, &v);
    mt_qc_free(&qc);
    mt_slide_close(&slide);
    return code;
}

static int run(const void *opts, int n_args, char **args)
{
    const struct opts *o = opts;
    wish w = {.tissue = NULL};
    mt_err err = MT_ERR_INIT;
    mt_qc_config_default(&w.config);
    if (o->config && mt_qc_config_load(&w.config, o->config, &err)) return mt_fail(&err);
    if (o->out && mkdir(o->out, 0777)) {
        struct stat sb;
        if (stat(o->out, &sb) || !S_ISDIR(sb.st_mode)) {
            mt_say("microtome qc: %s: cannot be made a folder", o->out);
            return MT_EXIT_FAILED;
        }
    }
    if (mt_tissue_source_open(&w.tissue, o->tissue, &err)) return mt_fail(&err);
    json_t *all = o->json ? json_array() : NULL;
    int code = MT_EXIT_OK;
    mt_stop_listen();
    for (int i = 0; i < n_args && !mt_stop_asked(); i++) {
        int c = run_slide(all, i, n_args, args, o, &w);
        if (c) code = c;
    }
    mt_tissue_source_close(&w.tissue);
    if (all) {
        int printed = mt_json_print(all);
        if (!code) code = printed;
    }
    return code;
}

static const struct opts defaults = {.slide = MT_SLIDE_WISH_INIT};
const mt_command mt_cmd_qc = {
    .name = "qc",
    .args = "SLIDE... [-o DIR] [options]",
    .summary = "Quality control: focus, pen marks, folds, air bubbles, debris, and a verdict",
    .about = "Each slide is looked at and held against limits. The figures are of the tissue alone, at fixed "
             "spacings, so that biopsies and resections compare:\n\n"
             "  focus   sharpness of the tissue at 1 um/px: 0 blurred, 0.3 to 0.65 in focus; below 0.18\n"
             "          (a Gaussian blur of about 1.3 um) tissue counts as out of focus\n"
             "  pen     ink of any colour; it never counts as tissue\n"
             "  fold    bands of tissue that lies double\n"
             "  bubble  air bubbles: the rim and what it encloses\n"
             "  edge    the edge of the coverslip, a long straight dark line\n"
             "  dark    opaque debris, dust, pigment\n\n"
             "What an artefact hides counts as tissue where tissue lies on both sides of it, so a ring of ink "
             "around a biopsy hides nothing.\n\n"
             "The verdict is pass, warn or reject; a reject is an answer, not an error. The limits come from "
             "--qc-config, a JSON file; what it leaves out keeps its default, null is no limit, a word it does "
             "not know is refused. The defaults:\n\n"
             "  {\"schema\": \"microtome.qc\", \"schema_version\": 1,\n"
             "   \"focus_min\": 0.18, \"tile_share\": 0.5, \"exclude\": [],\n"
             "   \"gate\": {\"focus\": {\"warn\": 0.1, \"reject\": 0.5},\n"
             "            \"pen\": {\"warn\": 0.05, \"reject\": 0.5},\n"
             "            \"fold\": {\"warn\": 0.1, \"reject\": 0.5},\n"
             "            \"bubble\": {\"warn\": 0.05, \"reject\": 0.5},\n"
             "            \"edge\": {\"warn\": 0.05, \"reject\": 0.5},\n"
             "            \"dark\": {\"warn\": 0.05, \"reject\": 0.5},\n"
             "            \"usable_share\": {\"warn\": 0.7, \"reject\": 0.3},\n"
             "            \"usable_mm2\": {\"warn\": null, \"reject\": null},\n"
             "            \"focus_median\": {\"warn\": null, \"reject\": null}}}\n\n"
             "tile_share: an artefact is a flag of a tile from this share of it on. exclude: tiles with such a "
             "flag are left out of the grade by run. The mask of -o holds one byte a pixel of 8 um: bits 1 "
             "focus, 2 pen, 4 fold, 8 bubble, 16 edge, 32 dark, 64 tissue or what hides it, 128 tissue.",
    .examples = "microtome qc slide.svs\n"
                "microtome qc slides/*.svs --json -o qc\n"
                "microtome qc slide.svs --qc-config limits.json",
    .opts = options,
    .defaults = &defaults,
    .opts_size = sizeof defaults,
    .min_args = 1,
    .max_args = -1,
    .run = run,
};
