/* microtome tissue: the tissue mask of a slide as a picture or as polygons. */
#include <stdio.h>
#include <string.h>
#include "command.h"
#include "slides.h"
#include "talk.h"

struct opts {
    mt_slide_wish slide;
    const char *png, *geojson, *tissue;
    double min_speck, max_hole;
    int64_t threads;
    int json;
};

static const mt_opt options[] = {
    OPT_TEXT("out", 'o', png, "MASK.png", "write the mask as PNG: white tissue on black"),
    OPT_TEXT("geojson", 0, geojson, "FILE",
             "write the mask as GeoJSON polygons in level-0 pixels (QuPath opens it)"),
    OPT_TISSUE(tissue),
    OPT_SLIDE(slide),
    OPT_REAL("min-speck", min_speck, "UM2", 0, 1e12,
             "drop tissue islands below this many square micrometres"),
    OPT_REAL("max-hole", max_hole, "UM2", 0, 1e12, "fill holes below this many square micrometres"),
    OPT_THREADS(threads),
    OPT_FLAG("json", json, "print the figures as JSON"),
    OPT_END,
};

static int print(const mt_tissue *t, const mt_tissue_origin *origin, int json)
{
    bool detected = !strcmp(origin->kind, "detected");
    if (json)
        return mt_json_print(json_pack(
            "{s:s, s:o, s:o, s:i, s:o, s:i, s:i, s:o, s:o}", "source", origin->kind, "tissue_mm2",
            mt_jn(t->tissue_mm2), "slide_mm2", mt_jn(t->slide_mm2), "pieces", t->n_pieces,
            "threshold_od", detected ? mt_jn(t->threshold) : json_null(), "mask_width", (int)t->width, "mask_height", (int)t->height,
            "mask_mpp", mt_jn(t->mask_mpp), "source_level",
            t->source_level < 0 ? json_null() : json_integer(t->source_level)));
    double share = t->slide_mm2 > 0 ? 100 * t->tissue_mm2 / t->slide_mm2 : 0;
    printf("tissue     %.3f mm2 of %.3f mm2 (%.1f %%), %d piece%s\n", t->tissue_mm2, t->slide_mm2,
           share, t->n_pieces, t->n_pieces == 1 ? "" : "s");
    if (detected)
        printf("threshold  optical density %.4f\n", t->threshold);
    else if (origin->model[0])
        printf("model      %s, threshold %.4g\n", MT_CLEAN(origin->model), origin->threshold);
    printf("mask       %d x %d px of %.4g um", (int)t->width, (int)t->height, t->mask_mpp);
    if (t->source_level >= 0) printf(", from level %d", t->source_level);
    putchar('\n');
    return MT_EXIT_OK;
}

static mt_status detect(mt_tissue **tissue, mt_tissue_origin *origin, const char *path, const struct opts *opts, mt_err *err)
{
    mt_tissue_opts to = MT_TISSUE_OPTS_INIT;
    to.min_speck_um2 = opts->min_speck;
    to.max_hole_um2 = opts->max_hole;
    to.threads = mt_threads(opts->threads);
    mt_slide *slide = NULL;
    mt_tissue_source *source = NULL;
    mt_status st = mt_tissue_source_open(&source, opts->tissue, err);
    if (!st) st = mt_slide_of(&slide, path, &opts->slide, err);
    if (!st) st = mt_tissue_of(tissue, origin, source, slide, path, &to, err);
    mt_slide_close(&slide);
    mt_tissue_source_close(&source);
    return st;
}

static int run(const void *o, int n_args, char **args)
{
    (void)n_args;
    const struct opts *opts = o;
    if (!opts->png && !opts->geojson)
        return mt_usage_error(&mt_cmd_tissue, "-o MASK.png or --geojson FILE is missing");
    mt_err err = MT_ERR_INIT;
    mt_tissue *tissue = NULL;
    mt_tissue_origin origin;
    mt_status st = detect(&tissue, &origin, args[0], opts, &err);
    if (!st && opts->png) st = mt_tissue_write_png(tissue, opts->png, &err);
    if (!st && opts->geojson) st = mt_tissue_write_geojson(tissue, opts->geojson, &err);
    int code = st ? mt_fail_file(&err, args[0]) : print(tissue, &origin, opts->json);
    mt_tissue_free(&tissue);
    return code;
}

static const struct opts defaults = {.slide = MT_SLIDE_WISH_INIT, .min_speck = 40000, .max_hole = 36100};
const mt_command mt_cmd_tissue = {
    .name = "tissue",
    .args = "SLIDE -o MASK.png | --geojson FILE [options]",
    .summary = "Find the tissue of a slide and write it as a mask or as polygons",
    .about = "The mask lies on a grid of fixed spacing from the slide's origin, so that it does "
             "not depend on the "
             "pyramid a file happens to have. Optical density is cut at Otsu's threshold; small "
             "islands are dropped "
             "and small holes filled, both by area in square micrometres.\n\n"
             "With --tissue the mask comes from somewhere else and is only brought to this grid: "
             "polygons as this command and QuPath write them (those of the classes Ignore*, Artifact, "
             "Background and Glass are taken away), pictures as HistoQC writes them, or a model's "
             "answer. A tissue model is an ONNX file with a card beside it whose engine.task is "
             "tissue: engine.source slide (the whole slide shrunk to patch_size_pixels) or tiles (at "
             "spacing_um_px), engine.input.layout NCHW or NHWC, one output map a class, the first of "
             "engine.thresholds.\n\n"
             "The figures go to standard output. No tissue at all is an answer, not an error.",
    .examples = "microtome tissue slide.svs -o mask.png --geojson tissue.geojson\n"
                "microtome tissue slide.svs --tissue unet.onnx -o mask.png",
    .opts = options,
    .defaults = &defaults,
    .opts_size = sizeof defaults,
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
