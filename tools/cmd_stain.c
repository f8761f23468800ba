/* microtome stain: the stains of a slide, measured. */
#include <stdio.h>
#include "command.h"
#include "microtome/stain.h"
#include "slides.h"
#include "talk.h"

struct opts {
    mt_slide_wish slide;
    const char *out, *tissue;
    int64_t threads;
    int json;
};

static const mt_opt options[] = {
    OPT_TEXT("out", 'o', out, "FILE.json",
             "write the figures as a target for --stain-normalise of tiles and run"),
    OPT_TISSUE(tissue),
    OPT_SLIDE(slide),
    OPT_THREADS(threads),
    OPT_FLAG("json", json, "print the figures as JSON"),
    OPT_END,
};

static json_t *triple(const double v[3])
{
    return json_pack("[o, o, o]", mt_jn(v[0]), mt_jn(v[1]), mt_jn(v[2]));
}

static json_t *stain_json(const mt_stain *s, const double v[3], double strength)
{
    double degrees;
    const char *nearest = mt_stain_nearest(&degrees, v);
    return s->fault[0] ? json_null()
                       : json_pack("{s:o, s:o, s:s, s:o}", "vector", triple(v), "strength",
                                   mt_jn(strength), "nearest", nearest, "degrees", mt_jn(degrees));
}

static int print_json(const mt_stain *s)
{
    json_t *first = stain_json(s, s->vectors[0], s->strength[0]),
           *second = stain_json(s, s->vectors[1], s->strength[1]);
    return mt_json_print(
        json_pack("{s:o, s:o, s:o, s:o, s:o, s:{s:o, s:o}, s:I, s:I, s:i, s:o}", "hematoxylin", first,
                  "eosin", second, "angle_deg", s->fault[0] ? json_null() : mt_jn(s->angle_deg),
                  "fault", s->fault[0] ? mt_js(s->fault) : json_null(), "warning",
                  s->warning[0] ? mt_js(s->warning) : json_null(), "reinhard", "mean",
                  triple(s->lab_mean), "std", triple(s->lab_std), "pixels", (json_int_t)s->pixels,
                  "stained", (json_int_t)s->stained, "tiles", (int)s->tiles, "mpp", mt_jn(s->mpp)));
}

static void print_stain(const char *name, const double v[3], double strength)
{
    double degrees;
    const char *nearest = mt_stain_nearest(&degrees, v);
    printf("%s %.4f %.4f %.4f, strength %.4f (%.1f degrees from %s)\n", name, v[0], v[1], v[2],
           strength, degrees, nearest);
}

static int print(const mt_stain *s, int json)
{
    if (json) return print_json(s);
    if (s->fault[0]) {
        printf("macenko     not to be measured: %s\n", s->fault);
    } else {
        print_stain("hematoxylin", s->vectors[0], s->strength[0]);
        print_stain("eosin      ", s->vectors[1], s->strength[1]);
        printf("angle       %.1f degrees between the two\n", s->angle_deg);
        if (s->warning[0]) printf("warning     %s\n", s->warning);
    }
    printf("reinhard    mean %.4f %.4f %.4f, deviation %.4f %.4f %.4f (l, alpha, beta)\n",
           s->lab_mean[0], s->lab_mean[1], s->lab_mean[2], s->lab_std[0], s->lab_std[1],
           s->lab_std[2]);
    printf("samples     %d tiles at %.4g um/px, %llu tissue pixels, %llu of them dense in every "
           "channel\n",
           (int)s->tiles, s->mpp, (unsigned long long)s->pixels, (unsigned long long)s->stained);
    return MT_EXIT_OK;
}

static mt_status measure(mt_stain *out, const char *path, const struct opts *o, mt_err *err)
{
    mt_tissue_opts to = MT_TISSUE_OPTS_INIT;
    mt_tissue_source *source = NULL;
    mt_tissue_origin origin;
    mt_slide *slide = NULL;
    mt_tissue *tissue = NULL;
    to.threads = mt_threads(o->threads);
    mt_status st = mt_tissue_source_open(&source, o->tissue, err);
    if (!st) st = mt_slide_of(&slide, path, &o->slide, err);
    if (!st) st = mt_tissue_of(&tissue, &origin, source, slide, path, &to, err);
    if (!st) st = mt_stain_measure(out, slide, tissue, to.threads, 0, err);
    mt_tissue_free(&tissue);
    mt_slide_close(&slide);
    mt_tissue_source_close(&source);
    return st;
}

static int run(const void *opts, int n_args, char **args)
{
    (void)n_args;
    const struct opts *o = opts;
    mt_err err = MT_ERR_INIT;
    mt_stain stain;
    mt_status st = measure(&stain, args[0], o, &err);
    if (!st && o->out) st = mt_stain_write(&stain, o->out, &err);
    return st ? mt_fail_file(&err, args[0]) : print(&stain, o->json);
}

static const struct opts defaults = {.slide = MT_SLIDE_WISH_INIT};
const mt_command mt_cmd_stain = {
    .name = "stain",
    .args = "SLIDE [-o FILE.json] [options]",
    .summary = "Measure the stains of a slide",
    .about =
        "Up to 64 sample tiles spread over the tissue give the two stain vectors of Macenko's "
        "method (optical density -ln((p + 1) / 240), threshold 0.15, 1st and 99th percentile of "
        "the "
        "angle, 99th percentile of the amounts) and Reinhard's mean and deviation in l, alpha, "
        "beta. The same figures for any number of threads.\n\n"
        "With -o they become a target: tiles and run bring other slides to it "
        "(--stain-normalise macenko:FILE.json). A slide on which two stains cannot be told apart "
        "says so; Reinhard's figures hold all the same. Where both directions found lie nearest to one known "
        "stain, or close together, there is a warning: part of a slide with one stain alone gives figures "
        "too, but not those of two stains. A fluorescence slide is refused.",
    .examples = "microtome stain slide.svs --json\n"
                "microtome stain reference.svs -o reference.json",
    .opts = options,
    .defaults = &defaults,
    .opts_size = sizeof defaults,
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
