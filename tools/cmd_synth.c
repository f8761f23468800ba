/* microtome synth: slides drawn by code, with exact ground truth. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "agreement.h"
#include "command.h"
#include "microtome/synth.h"
#include "talk.h"

struct opts {
    const char *out, *size, *label, *truth_geojson, *truth_csv, *check, *class_name;
    int64_t seed, tile, quality, truth_px, threads;
    double mpp, tumour, tissue, threshold;
    int layout, subsampling, rgb, pen, pen_colour, blur, fold, bubble, debris, edge, no_mpp, json;
};

static const mt_opt options[] = {
    OPT_TEXT("out", 'o', out, "SLIDE",
             "the slide to write; \".svs\" writes Aperio's layout, else generic TIFF"),
    OPT_TEXT("size", 0, size, "WxH",
             "pixels of level 0, each 256 to 200000 (8192x6144 when not given)"),
    OPT_INT("seed", seed, "N", 0, 9e15, "another seed, another slide"),
    OPT_REAL("mpp", mpp, "F", 0.1, 4, "spacing in um/px"),
    OPT_CHOICE("layout", layout, "svs|tiff", "file layout, whatever the name ends in"),
    OPT_INT("tile", tile, "PX", 16, 1024, "native tile side, a multiple of 16"),
    OPT_CHOICE("subsampling", subsampling, "420|444", "JPEG chroma"),
    OPT_FLAG("rgb", rgb, "JPEG that stores RGB without markers, as Aperio does (implies 444)"),
    OPT_INT("quality", quality, "N", 1, 100, "JPEG quality"),
    OPT_REAL("tissue", tissue, "F", 0, 0.9, "rough share of the slide that is tissue (0: by the seed)"),
    OPT_REAL("tumour", tumour, "F", 0, 1, "rough share of the tissue that is tumour"),
    OPT_FLAG("pen", pen, "plant a pen mark"),
    OPT_FLAG("blur", blur, "plant an out-of-focus region"),
    OPT_FLAG("fold", fold, "plant a tissue fold"),
    OPT_CHOICE("pen-colour", pen_colour, "blue|green|red|black|violet|orange",
               "plant a pen mark of this colour"),
    OPT_FLAG("bubble", bubble, "plant an air bubble"),
    OPT_FLAG("debris", debris, "plant opaque specks"),
    OPT_FLAG("edge", edge, "plant the edge of a coverslip"),
    OPT_FLAG("no-mpp", no_mpp, "leave the spacing out of the file"),
    OPT_TEXT("label", 0, label, "TEXT", "text planted in the label and the macro picture"),
    OPT_TEXT("truth-geojson", 0, truth_geojson, "FILE",
             "write the truth as polygons (level-0 pixels)"),
    OPT_TEXT("truth-csv", 0, truth_csv, "FILE", "write the truth as area fractions a cell"),
    OPT_INT("truth-px", truth_px, "N", 16, 65535, "side of these cells in level-0 pixels"),
    OPT_THREADS(threads),
    OPT_TEXT("check", 0, check, "SCORES.csv",
             "write nothing: compare a run's tile scores with the exact truth of the slide these "
             "options describe"),
    OPT_TEXT("class", 0, class_name, "NAME", "class to compare (tumour when not given)"),
    OPT_REAL("threshold", threshold, "F", 0, 1, "score from which a tile counts as positive"),
    OPT_FLAG("json", json, "print JSON"),
    OPT_END,
};

/* "8192x6144" */
static bool parse_wh(int64_t *w, int64_t *h, const char *text)
{
    char *end;
    if (!isdigit((unsigned char)*text)) return false;
    *w = strtoll(text, &end, 10);
    if ((*end != 'x' && *end != 'X') || !isdigit((unsigned char)end[1])) return false;
    *h = strtoll(end + 1, &end, 10);
    return !*end && *w >= 256 && *w <= 200000 && *h >= 256 && *h <= 200000;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), k = strlen(end);
    return n >= k && !strcasecmp(text + n - k, end);
}

/* Returns -1 or the exit code of a usage error. */
static int resolve(mt_synth_opts *so, const struct opts *o)
{
    *so = (mt_synth_opts)MT_SYNTH_OPTS_INIT;
    if (o->size && !parse_wh(&so->width, &so->height, o->size))
        return mt_usage_error(&mt_cmd_synth,
                              "--size: \"%s\" is not WxH with sides from 256 to 200000", o->size);
    if (o->tile % 16)
        return mt_usage_error(&mt_cmd_synth, "--tile: %d is not a multiple of 16", (int)o->tile);
    bool svs = o->layout >= 0 ? o->layout == 0 : !o->out || ends_with(o->out, ".svs");
    so->layout = svs ? MT_SYNTH_SVS : MT_SYNTH_TIFF;
    so->seed = (uint64_t)o->seed;
    so->mpp = o->mpp;
    so->tile_px = (int32_t)o->tile;
    so->subsampling = o->subsampling == 0 && !o->rgb ? 420 : 444;
    so->rgb = o->rgb;
    so->jpeg_quality = (int)o->quality;
    so->tumour = o->tumour;
    so->tissue = o->tissue;
    so->pen = o->pen || o->pen_colour >= 0;
    so->pen_colour = o->pen_colour + 1; /* none: by the seed */
    so->bubble = o->bubble;
    so->debris = o->debris;
    so->edge = o->edge;
    so->blur = o->blur;
    so->fold = o->fold;
    so->no_mpp = o->no_mpp;
    so->label_text = o->label;
    so->threads = mt_threads(o->threads);
    return -1;
}

/* ---- --check --------------------------------------------------------------------------------- */

static int find_class(const char *name)
{
    for (int i = 0; i < MT_SYNTH_CLASSES; i++)
        if (!strcasecmp(name, mt_synth_class_name(i))) return i;
    return -1;
}

static int print_agreement(const mt_agreement *a, const char *name, const struct opts *o)
{
    if (o->json)
        return mt_json_print(json_pack(
            "{s:s, s:o, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "class", name, "threshold",
            mt_jn(o->threshold), "tiles", (json_int_t)a->n_tiles, "tiles_positive",
            (json_int_t)a->n_positive, "auc", mt_jn(a->auc), "dice_tiles", mt_jn(a->dice_tiles),
            "dice_area", mt_jn(a->dice_area), "dice_area_labels", mt_jn(a->dice_area_labels),
            "predicted_mm2", mt_jn(a->predicted_mm2), "truth_mm2", mt_jn(a->truth_mm2),
            "overlap_mm2", mt_jn(a->inside_mm2)));
    printf("tiles      %zu, of which %zu are at least half %s by the exact truth\n", a->n_tiles,
           a->n_positive, name);
    printf("auc        %.4f (score prob_%s against that label)\n", a->auc, name);
    printf(
        "dice       %.4f by tiles, %.4f by area (score >= %.6g); tiles called by the truth itself "
        "reach %.4f by area\n",
        a->dice_tiles, a->dice_area, o->threshold, a->dice_area_labels);
    printf("area       %.4f mm2 called, %.4f mm2 true within the tiles, %.4f mm2 shared\n",
           a->predicted_mm2, a->truth_mm2, a->inside_mm2);
    return MT_EXIT_OK;
}

static int check(const struct opts *o, const mt_synth_opts *so)
{
    int cls = o->class_name ? find_class(o->class_name) : MT_SYNTH_TUMOUR;
    if (cls < 0) {
        char names[256] = "";
        for (int i = 0; i < MT_SYNTH_CLASSES; i++)
            snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", i ? ", " : "",
                     mt_synth_class_name(i));
        return mt_usage_error(&mt_cmd_synth, "--class: \"%s\" is none of %s", o->class_name, names);
    }
    mt_agreement a;
    mt_err err = MT_ERR_INIT;
    if (mt_agreement_read(&a, o->check, so, cls, o->threshold, &err)) return mt_fail(&err);
    return print_agreement(&a, mt_synth_class_name(cls), o);
}

/* ---- writing --------------------------------------------------------------------------------- */

static int draw(const struct opts *o, const mt_synth_opts *so)
{
    mt_err err = MT_ERR_INIT;
    mt_meter meter;
    mt_stop_listen();
    mt_meter_start(&meter, "drawing", "tiles", 1);
    double t0 = mt_now();
    mt_status st = mt_synth_write(o->out, so, o->truth_geojson, o->truth_csv, (int32_t)o->truth_px,
                                  mt_meter_tick, &meter, &err);
    mt_meter_end(&meter);
    if (st) return mt_fail(&err);
    double s = mt_now() - t0, mpix = (double)so->width * (double)so->height / 1e6;
    if (o->json)
        return mt_json_print(json_pack("{s:o, s:I, s:I, s:I, s:o, s:o}", "slide", mt_js(o->out),
                                       "width", (json_int_t)so->width, "height",
                                       (json_int_t)so->height, "seed", (json_int_t)so->seed,
                                       "megapixels", mt_jn(mpix), "wall_s", mt_jn(s)));
    printf("written    %s (%lld x %lld px, seed %llu)\n", MT_CLEAN(o->out), (long long)so->width,
           (long long)so->height, (unsigned long long)so->seed);
    if (o->truth_geojson) printf("truth      %s\n", MT_CLEAN(o->truth_geojson));
    if (o->truth_csv) printf("truth      %s\n", MT_CLEAN(o->truth_csv));
    if (mt_on_terminal())
        mt_say("%.1f megapixels in %.1f s (%.1f a second)", mpix, s, s > 0 ? mpix / s : 0);
    return MT_EXIT_OK;
}

static int run(const void *opts, int n_args, char **args)
{
    (void)n_args;
    (void)args;
    const struct opts *o = opts;
    mt_synth_opts so;
    int code = resolve(&so, o);
    if (code >= 0) return code;
    if (!o->out == !o->check)
        return mt_usage_error(&mt_cmd_synth, "give either -o SLIDE or --check SCORES.csv");
    return o->check ? check(o, &so) : draw(o, &so);
}

static const struct opts defaults = {.seed = 1,
                                     .mpp = 0.5,
                                     .layout = -1,
                                     .pen_colour = -1,
                                     .tile = 240,
                                     .quality = 80,
                                     .tumour = 0.2,
                                     .truth_px = 256,
                                     .threshold = 0.5};
const mt_command mt_cmd_synth = {
    .name = "synth",
    .args = "-o SLIDE | --check SCORES.csv [options]",
    .summary = "Draw a synthetic slide whose truth is known exactly, or check scores against it",
    .about = "The slide looks like haematoxylin and eosin: stroma, glands, tumour nests, "
             "lymphocytes, fat, necrosis, "
             "glass. Every pixel is a function of seed and position, so the same options give the "
             "same bytes on every "
             "machine, and the truth is known without looking. Memory is bounded by the width.\n\n"
             "With --check and the options the slide was made with, the tile scores of a run (its "
             "CSV) are compared "
             "with the exact truth: the area under the ROC curve, and Dice overlap by tiles and by "
             "area. A tile's "
             "label is the class that covers at least half of it.",
    .examples = "microtome synth -o demo.svs --size 8192x6144 --seed 7 --tumour 0.3\n"
                "microtome synth -o big.svs --size 100000x80000 --truth-csv truth.csv\n"
                "microtome synth --size 8192x6144 --seed 7 --tumour 0.3 --check "
                "results/model-outputs-csv/demo.csv",
    .opts = options,
    .defaults = &defaults,
    .opts_size = sizeof defaults,
    .min_args = 0,
    .max_args = 0,
    .run = run,
};
