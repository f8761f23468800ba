/* microtome run: slides in; tile scores, slide-level result and heatmap out. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "command.h"
#include "microtome/batch.h"
#include "microtome/system.h"
#include "talk.h"

struct opts {
    const char *optical_path;
    int64_t focal_plane;
    const char *out, *model, *config, *overlap, *roi, *coords, *out_of_scope, *exports, *tissue, *stain;
    const char *qc_config, *qc_exclude, *onnxruntime;
    int qc, engine;
    mt_opt_list wsi_dirs;
    int64_t threads, batch, topk;
    uint64_t memory;
    double assume_mpp, min_tissue;
    int force, allow_upsampling, pseudonyms, cpu, stats, json, stain_fallback, strict, fast_scaling;
};

static const mt_opt options[] = {
    OPT_TEXT("out", 'o', out, "DIR", "folder for the results (needed)"),
    OPT_TEXT("model", 'm', model, "NAME|FILE.onnx",
             "a built-in model, or an ONNX file with config.json beside it (needed)"),
    OPT_ENGINE(engine),
    OPT_ONNXRUNTIME(onnxruntime),
    OPT_TEXT("config", 0, config, "CARD.json",
             "the model's card, instead of config.json beside it"),
    OPT_ASSUME_MPP(assume_mpp),
    OPT_OPTICAL_PATH(optical_path),
    OPT_FOCAL_PLANE(focal_plane),
    OPT_TEXT("overlap", 0, overlap, "PX|P%",
             "overlap of neighbouring tiles, in pixels of the model's spacing or as share of the "
             "tile (from the model's card when not given)"),
    OPT_REAL("min-tissue", min_tissue, "F", 0, 1,
             "score tiles with at least this share of tissue (0.25 when not given)"),
    OPT_TEXT("coords", 0, coords, "FILE.h5|DIR",
             "score exactly the boxes of this file of CLAM, TRIDENT or WSInfer, or of each slide's file "
             "in this folder, in their order"),
    OPT_TEXT("roi", 0, roi, "FILE.geojson",
             "only tiles whose centre lies inside these polygons (level-0 pixels)"),
    OPT_TISSUE(tissue),
    OPT_STAIN(stain),
    OPT_STAIN_FALLBACK(stain_fallback),
    OPT_FLAG("strict", strict,
             "a native tile that will not decode fails its slide, instead of being left out and counted"),
    OPT_FLAG("fast-scaling", fast_scaling,
             "where tiles are coarser than the level, resample a JPEG's samples before they become colours, reduced "
             "by the codec from 8 times on: faster, the card's filter but for roundings; recorded"),
    OPT_CHOICE("qc", qc, "warn|off|reject",
               "quality control: limits that are passed give a warning; nothing is looked at; slides beyond a "
               "reject limit are set aside (warn when not given)"),
    OPT_TEXT("qc-config", 0, qc_config, "FILE.json", "limits of quality control (microtome help qc)"),
    OPT_TEXT("qc-exclude", 0, qc_exclude, "NAME,...",
             "leave tiles with such a flag (focus, pen, fold, bubble, edge, dark) out of the grade; they "
             "are scored and stored all the same"),
    OPT_INT("topk", topk, "N", 1, 1e6, "the slide-level score is the mean of the N best tiles"),
    OPT_TEXT("export", 0, exports, "NAME,...", "further results to write, such as geojson.gz"),
    OPT_FLAG("force", force, "redo slides whose result is complete"),
    OPT_TEXT(
        "allow-out-of-scope", 0, out_of_scope, "REASON",
        "run slides outside the model's declared scope; every output is marked with the reason"),
    OPT_FLAG("allow-upsampling", allow_upsampling,
             "also slides more than 2.1 times coarser than the model asks for"),
    OPT_FLAG("pseudonyms", pseudonyms,
             "name result folders by slide id instead of the file's stem"),
    OPT_THREADS(threads),
    OPT_INT("batch", batch, "N", 0, 4096,
            "tiles per inference call; never changes a result; 0: the engine chooses"),
    OPT_SIZE("memory", memory, "SIZE",
             "ceiling for tile and network buffers (400M when not given)"),
    OPT_CPU(cpu),
    OPT_FLAG("stats", stats,
             "also what the passes did: native tiles needed and decoded, bytes, time"),
    OPT_FLAG("json", json, "print JSON instead of text"),
    OPT_LIST("wsi-dir", wsi_dirs, "DIR", "the same as naming DIR as an argument"),
    OPT_TEXT("results-dir", 0, out, "DIR", "the same as --out"),
    OPT_INT("batch-size", batch, "N", 0, 4096, "the same as --batch"),
    OPT_INT("num-workers", threads, "N", 0, 1024, "the same as --threads"),
    OPT_END,
};

typedef struct watch {
    const struct opts *opts;
    mt_report_row *rows; /* in the order the slides ended */
    size_t n, cap;
    mt_meter meter;
    double begun;
    bool card_said, out_of_memory;
} watch;

/* ---- events ---------------------------------------------------------------------------------- */

/* A slide by the name that may be written where messages go: a log is kept, a terminal is not. */
static const char *spoken_name(char out[256], const mt_run_event *e)
{
    const char *base = e->path ? strrchr(e->path, '/') : NULL;
    if (mt_on_terminal() && e->path)
        snprintf(out, 256, "%s", base ? base + 1 : e->path);
    else if (e->row && e->row->slide_id[0])
        snprintf(out, 256, "%s", e->row->slide_id);
    else
        snprintf(out, 256, "slide %zu", e->slide + 1);
    return out;
}

static void say_card(watch *w, const mt_result *r)
{
    if (w->card_said || !r || !r->card) return;
    w->card_said = true;
    mt_say("model %s %s, state %s%s%s", r->card->name, r->card->version, r->card->state,
           r->card->not_for[0] ? ", not for " : "", r->card->not_for);
}

static void say_end(watch *w, const mt_run_event *e)
{
    char name[256], spent[24];
    const mt_report_row *r = e->row;
    say_card(w, e->result);
    if (r->state == MT_SLIDE_DONE && r->resumed)
        mt_say("%zu/%zu %s: done by an earlier run", e->slide + 1, e->n_slides,
               spoken_name(name, e));
    else if (r->state == MT_SLIDE_DONE)
        mt_say("%zu/%zu %s: done in %s, %llu tiles, %.1f/s", e->slide + 1, e->n_slides,
               spoken_name(name, e), mt_hms(spent, r->wall_s), (unsigned long long)r->n_tiles,
               r->tiles_per_s);
    else
        mt_say("%zu/%zu %s: %s%s: %s", e->slide + 1, e->n_slides, spoken_name(name, e),
               mt_slide_state_name(r->state), r->resumed ? " by an earlier run" : "", r->reason);
}

/* Rows live only during the call: what is printed at the end is copied. */
static void keep(watch *w, const mt_report_row *row)
{
    if (w->n == w->cap) {
        size_t cap = w->cap ? 2 * w->cap : 16;
        mt_report_row *more = realloc(w->rows, cap * sizeof *more);
        if (!more) {
            w->out_of_memory = true;
            return;
        }
        w->rows = more;
        w->cap = cap;
    }
    w->rows[w->n++] = *row;
}

static void begin(watch *w, const mt_run_event *e)
{
    char name[256], label[200], left[24] = "";
    double spent = mt_now() - w->begun;
    if (e->n_slides > 1 && e->slide > 0)
        mt_hms(left, spent / (double)e->slide * (double)(e->n_slides - e->slide));
    snprintf(label, sizeof label, "%zu/%zu%s%s%s %.100s", e->slide + 1, e->n_slides,
             left[0] ? " (all " : "", left, left[0] ? " left)" : "", spoken_name(name, e));
    mt_meter_start(&w->meter, label, "tiles", 1);
}

static int on_event(void *ctx, const mt_run_event *e)
{
    watch *w = ctx;
    switch (e->kind) {
    case MT_RUN_SLIDE_BEGIN:
        begin(w, e);
        break;
    case MT_RUN_TILES:
        return mt_meter_tick(&w->meter, e->done, e->total);
    case MT_RUN_WARNING:
        mt_say("%zu/%zu warning: %s", e->slide + 1, e->n_slides, e->text ? e->text : "");
        break;
    case MT_RUN_SLIDE_END:
        mt_meter_end(&w->meter);
        say_end(w, e);
        keep(w, e->row);
        break;
    }
    return mt_stop_asked();
}

/* ---- printing -------------------------------------------------------------------------------- */

/* The result as it lies on disk: what is printed is what a reader finds, whether this run or an
 * earlier one made it. NULL when there is none. */
static json_t *result_of(const mt_report_row *r, const char *dir)
{
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/%s/result.json", dir, r->stem);
    return n > 0 && (size_t)n < sizeof path ? json_load_file(path, 0, NULL) : NULL;
}

static const char *text_of(const json_t *j, const char *key)
{
    const char *text = json_string_value(json_object_get(j, key));
    return text ? text : "";
}

static double number_of(const json_t *j, const char *key)
{
    const json_t *v = json_object_get(j, key);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

static void print_grade(const mt_report_row *r, const json_t *grade)
{
    const char *positive = text_of(grade, "positive_class");
    printf("score      %.4f%s%s", r->score, r->decision[0] ? ", " : "", MT_CLEAN(r->decision));
    if (grade && positive[0])
        printf(" (%s: mean of the best %.0f tiles, threshold %.4g %s)", MT_CLEAN(positive),
               number_of(grade, "topk_k"), number_of(grade, "threshold"),
               MT_CLEAN(text_of(grade, "threshold_name")));
    putchar('\n');
    const json_t *classes = json_object_get(grade, "classes"), *c;
    for (size_t i = 0; i < json_array_size(classes) && (c = json_array_get(classes, i)); i++)
        printf("%s%s %.4g mm2", i ? ", " : "areas      ", MT_CLEAN(text_of(c, "name")),
               number_of(c, "area_mm2"));
    if (json_array_size(classes)) putchar('\n');
    printf("coverage   %.1f %% of %.4g mm2 tissue\n", 100 * r->coverage, r->tissue_mm2);
}

static void print_marks(const json_t *result)
{
    const json_t *scope = json_object_get(result, "scope");
    if (!strcmp(text_of(scope, "state"), "out of scope")) /* "unverified" stands among the warnings */
        printf("scope      out of scope: %s\n", MT_CLEAN(text_of(scope, "override_reason")));
    const json_t *warnings = json_object_get(result, "warnings");
    for (size_t i = 0; i < json_array_size(warnings); i++) {
        const char *text = json_string_value(json_array_get(warnings, i));
        if (text) printf("warning    %s\n", MT_CLEAN(text));
    }
}

static void print_slide(const mt_report_row *r, const char *dir)
{
    json_t *result = result_of(r, dir);
    printf("slide      %s\n", MT_CLEAN(r->stem));
    printf("state      %s%s%s%s\n", mt_slide_state_name(r->state),
           r->resumed ? " (by an earlier run)" : "", r->reason[0] ? ": " : "", MT_CLEAN(r->reason));
    if (r->graded) print_grade(r, json_object_get(result, "grade"));
    if (r->state == MT_SLIDE_DONE || r->state == MT_SLIDE_EMPTY) {
        print_marks(result);
        printf("result     %s/%s/result.json\n", MT_CLEAN(dir), MT_CLEAN(r->stem));
    }
    if (r->heatmap[0]) printf("heatmap    %s/%s\n", MT_CLEAN(dir), MT_CLEAN(r->heatmap));
    if (r->qc[0]) printf("quality    %s/%s\n", MT_CLEAN(dir), MT_CLEAN(r->qc));
    putchar('\n');
    json_decref(result);
}

/* Whole members of result.json are handed on, the row around them. */
static json_t *slide_json(const mt_report_row *r, const char *dir)
{
    json_t *result = result_of(r, dir);
    bool has = result && (r->state == MT_SLIDE_DONE || r->state == MT_SLIDE_EMPTY);
    json_t *j = json_pack(
        "{s:o, s:o, s:s, s:o, s:b, s:b, s:o, s:o, s:o, s:o, s:I, s:o, s:O?, s:O?, s:O?}", "slide",
        mt_js(r->stem), "slide_id", mt_js(r->slide_id), "state", mt_slide_state_name(r->state),
        "reason", mt_js(r->reason), "resumed", r->resumed, "graded", r->graded, "decision",
        mt_js(r->decision), "score", r->graded ? mt_jn(r->score) : json_null(), "tissue_mm2",
        mt_jn(r->tissue_mm2), "coverage", mt_jn(r->coverage), "tiles", (json_int_t)r->n_tiles,
        "heatmap", mt_js(r->heatmap), "grade", has ? json_object_get(result, "grade") : NULL,
        "scope", has ? json_object_get(result, "scope") : NULL, "warnings",
        has ? json_object_get(result, "warnings") : NULL);
    json_decref(result);
    return j;
}

static json_t *summary_json(const mt_run_summary *s, int stats)
{
    json_t *j =
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "slides", (json_int_t)s->n_slides,
                  "done", (json_int_t)s->n_done, "failed", (json_int_t)s->n_failed, "empty",
                  (json_int_t)s->n_empty, "rejected", (json_int_t)s->n_rejected, "resumed",
                  (json_int_t)s->n_resumed, "wall_s", mt_jn(s->wall_s), "cpu_s", mt_jn(s->cpu_s));
    if (j && stats) json_object_set_new(j, "stats", mt_fetch_json(&s->fetch));
    return j;
}

static int print_all(const watch *w, const mt_run_summary *s)
{
    if (w->opts->json) {
        json_t *slides = json_array();
        for (size_t i = 0; i < w->n; i++)
            json_array_append_new(slides, slide_json(&w->rows[i], w->opts->out));
        return mt_json_print(
            json_pack("{s:o, s:o}", "slides", slides, "summary", summary_json(s, w->opts->stats)));
    }
    for (size_t i = 0; i < w->n; i++)
        print_slide(&w->rows[i], w->opts->out);
    if (w->opts->stats) mt_fetch_print(&s->fetch);
    return MT_EXIT_OK;
}

static void say_summary(const mt_run_summary *s, const char *dir)
{
    char spent[24], earlier[64] = "";
    if (s->n_resumed)
        snprintf(earlier, sizeof earlier, " (%zu of them by an earlier run)", s->n_resumed);
    mt_say("%zu slide%s: %zu done, %zu failed, %zu empty, %zu rejected%s; %s; report in %s",
           s->n_slides, s->n_slides == 1 ? "" : "s", s->n_done, s->n_failed, s->n_empty,
           s->n_rejected, earlier, mt_hms(spent, s->wall_s), dir);
}

/* ---- the run --------------------------------------------------------------------------------- */

static int no_model(void)
{
    int code = mt_usage_error(&mt_cmd_run, "--model NAME|FILE.onnx is missing");
    fputs("built-in models:\n", stderr);
    for (const mt_builtin_model *m = mt_model_builtin(); m->name; m++)
        fprintf(stderr, "  %s@%s\n    %s\n    scope: %s\n", m->name, m->version, m->summary,
                m->scope);
    return code;
}

/* An error text has no room for all operators: they follow on lines of their own. */
static void say_operators(const char *model)
{
    mt_err ignored = MT_ERR_INIT;
    char *text = NULL, line[88];
    if (mt_model_check(&text, model, &ignored)) return;
    json_t *all = json_loads(text, 0, NULL), *one;
    free(text);
    json_t *problems = json_object_get(all, "problems");
    json_t *supported = json_object_get(all, "supported_operators");
    size_t i, n = 0;
    json_array_foreach(problems, i, one) {
        if (i == 20) {
            mt_say("  and %zu more: microtome models check", json_array_size(problems) - i);
            break;
        }
        mt_say("  not supported: %s node \"%s\": %s",
               json_string_value(json_object_get(one, "operator")),
               json_string_value(json_object_get(one, "node")),
               json_string_value(json_object_get(one, "what")));
    }
    if (json_array_size(problems)) mt_say("supported operators:");
    json_array_foreach(json_array_size(problems) ? supported : NULL, i, one) {
        const char *name = json_string_value(one);
        if (n && n + 1 + strlen(name) >= sizeof line) mt_say("  %s", line), n = 0;
        n += (size_t)snprintf(line + n, sizeof line - n, n ? " %s" : "%s", name);
        if (n >= sizeof line) n = sizeof line - 1;
    }
    if (n) mt_say("  %s", line);
    json_decref(all);
}

/* Overlap in pixels needs the tile side, which the card knows. Returns -1 or an exit code. */
static int resolve_overlap(double *share, const struct opts *o)
{
    bool pixels = false;
    *share = -1;
    if (!o->overlap) return -1;
    if (!mt_overlap_parse(share, &pixels, o->overlap))
        return mt_usage_error(
            &mt_cmd_run, "--overlap: \"%s\" is neither pixels (32) nor a share (25%%)", o->overlap);
    if (!pixels) return -1;
    mt_err err = MT_ERR_INIT;
    mt_model *model = NULL;
    mt_model_opts mo = MT_MODEL_OPTS_INIT;
    mo.config = o->config;
    mo.onnxruntime = o->onnxruntime;
    if (mt_model_open(&model, o->model, &mo, &err)) {
        int code = mt_fail(&err);
        if (err.code == MT_ERR_UNSUPPORTED && !o->onnxruntime) say_operators(o->model);
        return code;
    }
    int32_t patch = mt_model_card(model)->patch_px;
    mt_model_close(&model);
    *share /= patch;
    return *share < 1
               ? -1
               : mt_usage_error(&mt_cmd_run, "--overlap: %s px leave no step for tiles of %d px",
                                o->overlap, patch);
}

static int run_batch(const mt_run_opts *ro, const struct opts *o)
{
    watch w = {.opts = o, .begun = mt_now()};
    mt_run_summary summary = {0};
    mt_err err = MT_ERR_INIT;
    mt_stop_listen();
    mt_status st = mt_batch_run(ro, on_event, &w, &summary, &err);
    mt_meter_end(&w.meter);
    int code = st ? mt_fail(&err) : MT_EXIT_OK;
    if (st == MT_ERR_UNSUPPORTED && !ro->onnxruntime) say_operators(ro->model);
    if (w.n) {
        int printed = print_all(&w, &summary);
        if (!code) code = printed;
    }
    if (!st) say_summary(&summary, o->out);
    if (mt_stop_asked())
        mt_say("microtome run: stopped; the same command goes on where this one ended");
    if (w.out_of_memory)
        mt_say(
            "microtome run: out of memory: not every slide is listed above, the report has them");
    if (!code && (summary.n_failed || mt_stop_asked() || w.out_of_memory))
        code = summary.n_failed && summary.n_failed == summary.n_temporary ? MT_EXIT_RETRY
                                                                           : MT_EXIT_FAILED;
    free(w.rows);
    return code;
}

static int run(const void *opts, int n_args, char **args)
{
    const struct opts *o = opts;
    if (!o->model) return no_model();
    if (!o->out) return mt_usage_error(&mt_cmd_run, "-o DIR is missing");
    size_t n = (size_t)n_args + o->wsi_dirs.n;
    if (!n) return mt_usage_error(&mt_cmd_run, "no slide, folder or list given");
    if (o->coords && (o->roi || o->overlap || o->min_tissue >= 0))
        return mt_usage_error(&mt_cmd_run,
                              "--coords says where the tiles lie: not with --roi, --overlap or "
                              "--min-tissue");
    if (o->stain_fallback >= 0 && o->stain && !strcmp(o->stain, "none"))
        return mt_usage_error(&mt_cmd_run, "--stain-fallback: nothing is normalised with "
                                           "--stain-normalise none");
    mt_run_opts ro = MT_RUN_OPTS_INIT;
    mt_err err = MT_ERR_INIT;
    int code = mt_engine_usage(&mt_cmd_run, o->engine, o->onnxruntime);
    if (code < 0) code = resolve_overlap(&ro.overlap, o);
    if (code >= 0) return code;
    if (mt_cpu_select(mt_cpu_words[o->cpu], &err)) return mt_fail(&err);
    const char **inputs = malloc(n * sizeof *inputs);
    if (!inputs) return mt_usage_error(&mt_cmd_run, "out of memory");
    for (size_t i = 0; i < n; i++)
        inputs[i] = i < (size_t)n_args ? args[i] : o->wsi_dirs.v[i - (size_t)n_args];
    ro.inputs = inputs;
    ro.n_inputs = n;
    ro.out_dir = o->out;
    ro.model = o->model;
    ro.config = o->config;
    ro.onnxruntime = o->onnxruntime;
    ro.threads = (int)o->threads;
    ro.batch = (int)o->batch;
    ro.memory = o->memory;
    ro.force = o->force;
    ro.assume_mpp = o->assume_mpp;
    ro.optical_path = o->optical_path;
    ro.focal_plane = (int)o->focal_plane;
    ro.min_tissue = o->min_tissue;
    ro.roi_path = o->roi;
    ro.coords = o->coords;
    ro.allow_out_of_scope = o->out_of_scope;
    ro.allow_upsampling = o->allow_upsampling;
    ro.exports = o->exports;
    ro.pseudonyms = o->pseudonyms;
    ro.topk = (int)o->topk;
    ro.qc = (mt_qc_mode)o->qc;
    ro.qc_config = o->qc_config;
    ro.qc_exclude = o->qc_exclude;
    ro.tissue = o->tissue;
    ro.stain = o->stain;
    ro.stain_fallback_none = o->stain_fallback == 1;
    ro.strict = o->strict;
    ro.fast_scaling = o->fast_scaling;
    code = run_batch(&ro, o);
    free(inputs);
    return code;
}

static const struct opts defaults = {.focal_plane = -1, .stain_fallback = -1, .min_tissue = -1, .topk = 10};
const mt_command mt_cmd_run = {
    .name = "run",
    .args = "SLIDE|DIR|LIST.csv... -o DIR --model NAME|FILE.onnx [options]",
    .summary = "Score slides with a model: tile scores, slide-level result, heatmap",
    .about = "Every slide named, every slide in a folder named and every slide of a CSV list "
             "(column wsi, optional column "
             "mpp) is tiled as the model's card asks, scored, graded and written under DIR:\n\n"
             "  report.json, report.html           a row for every slide, failures first\n"
             "  <slide>/result.json                slide-level result with provenance\n"
             "  <slide>/tiles.h5                   coordinates and scores\n"
             "  <slide>/heatmap.tif, heatmap.png   heatmap registered to level 0\n"
             "  <slide>/qc.png                     what quality control found\n"
             "  model-outputs-csv/<slide>.csv      WSInfer's columns\n"
             "  model-outputs-geojson/<slide>.geojson   tiles for QuPath\n\n"
             "A slide that fails gets its row and reason, the others finish, and the exit code is "
             "1. A run that was "
             "stopped or killed goes on where it ended when the same command is given again; a "
             "slide whose result is "
             "complete is not done twice unless --force is given; one that --qc reject set aside is "
             "not looked at again either, while file and options are the same.\n\n"
             "--coords takes the tiles of another tool instead of a grid on the tissue. Boxes that "
             "differ from the model's tile by more than 10 % fail the slide, more than 1 % is a "
             "warning; what is scored twice in the file is scored once.\n\n"
             "A slide without spacing fails with the tags that were looked at (--assume-mpp). A "
             "slide outside the model's "
             "declared scope is refused (--allow-out-of-scope). A model that asks for a finer "
             "spacing than the slide has "
             "is run up to 2.1 times upsampled, with a warning in the result.\n\n"
             "Stain normalisation is what the model's card asks for, unless --stain-normalise says "
             "otherwise; each slide is measured once and every tile changed as it is resampled. A "
             "slide that cannot be measured fails (--stain-fallback none runs it as it is). A tile "
             "that cannot be read is marked and never scored; above 1 % of the tissue there is no "
             "grade (--strict: such a slide fails).\n\n"
             "--engine onnxruntime lets a library of ONNX Runtime run the network, for operators that "
             "Microtome has not; slides, tiles, grade and results are made as ever, and the result names "
             "the library by version and digest. It is handed the model file alone, without weights that "
             "lie beside it.\n\n"
             "On a terminal messages name the files; where standard error goes to a log, slides "
             "are called by their "
             "pseudonymous id.",
    .examples =
        "microtome run slides/ -o results --model demo-tumor\n"
        "microtome run list.csv -o results --model model.onnx --config card.json --threads 8\n"
        "microtome run --wsi-dir slides --results-dir results --model model.onnx",
    .opts = options,
    .defaults = &defaults,
    .opts_size = sizeof defaults,
    .min_args = 0,
    .max_args = -1,
    .run = run,
};
