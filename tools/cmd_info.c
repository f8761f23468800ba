/* microtome info: what a slide says of itself. */
#include <stdio.h>
#include "command.h"
#include "microtome/slide.h"
#include "talk.h"

struct opts {
    int json, digest, formats;
};

static const mt_opt options[] = {
    OPT_FLAG("json", json, "print JSON"),
    OPT_FLAG("digest", digest, "also the SHA-256 of the slide's bytes (reads the whole file)"),
    OPT_FLAG("formats", formats, "list the slide formats this build reads, and stop"),
    OPT_END,
};

static int list_formats(int json)
{
    json_t *list = json ? json_array() : NULL;
    for (const mt_format_info *f = mt_slide_formats(); f->name; f++) {
        if (json)
            json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "name", f->name, "description",
                                                  f->description, "proof", f->proof));
        else
            printf("%-14s %-26s %s\n", f->name, f->proof, f->description);
    }
    return json ? mt_json_print(list) : MT_EXIT_OK;
}

static json_t *level_json(const mt_level *l)
{
    return json_pack("{s:I, s:I, s:o, s:i, s:i, s:I, s:I, s:o}", "width", (json_int_t)l->width,
                     "height", (json_int_t)l->height, "downsample", mt_jn(l->downsample),
                     "tile_width", (int)l->tile_w, "tile_height", (int)l->tile_h, "tiles_x",
                     (json_int_t)l->tiles_x, "tiles_y", (json_int_t)l->tiles_y, "codec",
                     mt_js(l->codec));
}

static int print_json(const mt_slide_info *s, const char *digest)
{
    json_t *levels = json_array(), *associated = json_array();
    for (int i = 0; i < s->n_levels; i++)
        json_array_append_new(levels, level_json(&s->levels[i]));
    for (int i = 0; i < s->n_associated; i++)
        json_array_append_new(associated,
                              json_pack("{s:o, s:I, s:I}", "name", mt_js(s->associated[i].name),
                                        "width", (json_int_t)s->associated[i].width, "height",
                                        (json_int_t)s->associated[i].height));
    json_t *j = json_pack(
        "{s:o, s:o, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:b, s:i}",
        "format", mt_js(s->format), "vendor", mt_js(s->vendor), "width",
        (json_int_t)s->levels[0].width, "height", (json_int_t)s->levels[0].height, "mpp_x",
        s->mpp_x > 0 ? mt_jn(s->mpp_x) : json_null(), "mpp_y",
        s->mpp_y > 0 ? mt_jn(s->mpp_y) : json_null(), "mpp_source", mt_js(s->mpp_source),
        "mpp_looked_at", mt_js(s->mpp_looked_at), "objective",
        s->objective > 0 ? mt_jn(s->objective) : json_null(), "levels", levels, "associated",
        associated, "file_bytes", (json_int_t)s->file_bytes, "scanner", mt_js(s->scanner), "stain",
        mt_js(s->stain), "organ", mt_js(s->organ), "synthetic", s->synthetic, "icc_bytes",
        s->icc_bytes);
    if (j && digest[0]) json_object_set_new(j, "sha256", mt_js(digest));
    return mt_json_print(j);
}

static void print_spacing(const mt_slide_info *s)
{
    if (s->mpp_x > 0 && s->mpp_y > 0 && s->mpp_x == s->mpp_y)
        printf("spacing    %.6g um/px (%s)\n", s->mpp_x, MT_CLEAN(s->mpp_source));
    else if (s->mpp_x > 0 && s->mpp_y > 0)
        printf("spacing    %.6g x %.6g um/px (%s)\n", s->mpp_x, s->mpp_y, MT_CLEAN(s->mpp_source));
    else
        printf(
            "spacing    unknown (looked at %s); --assume-mpp F of the other commands overrides\n",
            MT_CLEAN(s->mpp_looked_at));
}

static void print_text(const mt_slide_info *s, const char *digest)
{
    printf("format     %s (vendor %s), %.1f MB\n", s->format, MT_CLEAN(s->vendor),
           (double)s->file_bytes / 1e6);
    printf("size       %lld x %lld px", (long long)s->levels[0].width,
           (long long)s->levels[0].height);
    if (s->mpp_x > 0 && s->mpp_y > 0)
        printf(", %.2f x %.2f mm", (double)s->levels[0].width * s->mpp_x / 1e3,
               (double)s->levels[0].height * s->mpp_y / 1e3);
    putchar('\n');
    print_spacing(s);
    if (s->objective > 0) printf("objective  %gx\n", s->objective);
    for (int i = 0; i < s->n_levels; i++) {
        const mt_level *l = &s->levels[i];
        printf("level %-4d %lld x %lld px, downsample %.6g, %lld x %lld tiles of %d x %d, %s\n", i,
               (long long)l->width, (long long)l->height, l->downsample, (long long)l->tiles_x,
               (long long)l->tiles_y, (int)l->tile_w, (int)l->tile_h, l->codec);
    }
    for (int i = 0; i < s->n_associated; i++)
        printf("%-10s %lld x %lld px\n", MT_CLEAN(s->associated[i].name),
               (long long)s->associated[i].width, (long long)s->associated[i].height);
    if (s->scanner[0]) printf("scanner    %s\n", MT_CLEAN(s->scanner));
    if (s->stain[0]) printf("stain      %s\n", MT_CLEAN(s->stain));
    if (s->organ[0]) printf("organ      %s\n", MT_CLEAN(s->organ));
    if (s->synthetic) puts("synthetic  yes, drawn by microtome synth");
    if (s->icc_bytes) printf("icc        profile of %d bytes\n", s->icc_bytes);
    if (digest[0]) printf("sha256     %s\n", digest);
}

static int run(const void *o, int n_args, char **args)
{
    const struct opts *opts = o;
    if (opts->formats) return list_formats(opts->json);
    if (n_args == 0) return mt_usage_error(&mt_cmd_info, "too few arguments");
    mt_err err = MT_ERR_INIT;
    mt_slide *slide = NULL;
    char digest[65] = "";
    int code = MT_EXIT_OK;
    if (mt_slide_open(&slide, args[0], NULL, &err) ||
        (opts->digest && mt_slide_digest(digest, slide, &err)))
        code = mt_fail_file(&err, args[0]);
    else if (opts->json)
        code = print_json(mt_slide_get_info(slide), digest);
    else
        print_text(mt_slide_get_info(slide), digest);
    mt_slide_close(&slide);
    return code;
}

static const struct opts defaults = {0};
const mt_command mt_cmd_info = {
    .name = "info",
    .args = "SLIDE [--json] [--digest] | --formats",
    .summary = "Show what a slide says of itself: size, levels, spacing, associated images",
    .about = "The spacing comes with the tag it was read from. A slide that states none is shown "
             "with the tags that "
             "were looked at; nothing is guessed.\n\n"
             "Only geometry and technical fields are shown, never the label text or other fields "
             "that name a patient.",
    .examples = "microtome info slide.svs\nmicrotome info --json slide.svs | jq .mpp_x\nmicrotome "
                "info --formats",
    .opts = options,
    .defaults = &defaults,
    .opts_size = sizeof defaults,
    .min_args = 0,
    .max_args = 1,
    .run = run,
};
