/* microtome info: what a slide says of itself. */
#include <stdio.h>
#include <string.h>
#include "command.h"
#include "slides.h"
#include "talk.h"

/* tools/schema/info.json, made into C by the build. */
extern const char mt_info_schema[];

struct opts {
    mt_slide_wish slide;
    const char *associated, *out;
    int json, digest, quick, formats, schema;
};

static const mt_opt options[] = {
    OPT_FLAG("json", json, "print JSON (its schema: --schema)"),
    OPT_FLAG("digest", digest, "also the SHA-256 of the slide's bytes (reads the whole file)"),
    OPT_FLAG("quick", quick,
             "do not look at where every native tile lies: no counts of absent and damaged tiles"),
    OPT_TEXT("associated", 0, associated, "NAME",
             "write this associated image (label, macro, thumbnail) to the file of -o as PNG; it may "
             "show a patient's name"),
    OPT_TEXT("out", 'o', out, "FILE.png", "where --associated writes"),
    OPT_OPTICAL_PATH(slide.optical_path),
    OPT_FOCAL_PLANE(slide.focal_plane),
    OPT_FLAG("formats", formats, "list the slide formats this build reads and what of them was tried on real files, and stop"),
    OPT_FLAG("schema", schema, "print the JSON schema of --json, and stop"),
    OPT_END,
};

static json_t *features_json(const char *format)
{
    json_t *list = json_array();
    for (const mt_format_feature *f = mt_slide_features(); f->format; f++)
        if (!strcmp(f->format, format))
            json_array_append_new(list,
                                  json_pack("{s:s, s:s}", "feature", f->feature, "proof", f->proof));
    return list;
}

static int list_formats(int json)
{
    json_t *list = json ? json_array() : NULL;
    for (const mt_format_info *f = mt_slide_formats(); f->name; f++) {
        if (json) {
            json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o}", "name", f->name,
                                                  "description", f->description, "proof", f->proof,
                                                  "features", features_json(f->name)));
            continue;
        }
        printf("%-15s %-21s %s\n", f->name, f->proof, f->description);
        for (const mt_format_feature *k = mt_slide_features(); k->format; k++)
            if (!strcmp(k->format, f->name)) printf("  %-13s %-21s %s\n", "", k->proof, k->feature);
    }
    return json ? mt_json_print(list) : MT_EXIT_OK;
}

/* What is shown of one slide. */
typedef struct shown {
    const mt_slide_info *info;
    mt_slide_inspection tiles; /* counts are -1 when the walk was not made */
    char digest[65];
} shown;

static json_t *count_json(int64_t n) { return n < 0 ? json_null() : json_integer((json_int_t)n); }

static json_t *levels_json(const shown *s)
{
    json_t *list = json_array();
    for (int i = 0; i < s->info->n_levels; i++) {
        const mt_level *l = &s->info->levels[i];
        json_array_append_new(
            list,
            json_pack("{s:I, s:I, s:o, s:i, s:i, s:I, s:I, s:o, s:o, s:o, s:o}", "width",
                      (json_int_t)l->width, "height", (json_int_t)l->height, "downsample",
                      mt_jn(l->downsample), "tile_width", (int)l->tile_w, "tile_height",
                      (int)l->tile_h, "tiles_x", (json_int_t)l->tiles_x, "tiles_y",
                      (json_int_t)l->tiles_y, "codec", mt_js(l->codec), "colour", mt_js(l->colour),
                      "absent", count_json(s->tiles.levels[i].absent), "damaged",
                      count_json(s->tiles.levels[i].damaged)));
    }
    return list;
}

static json_t *associated_json(const mt_slide_info *s)
{
    json_t *list = json_array();
    for (int i = 0; i < s->n_associated; i++)
        json_array_append_new(list,
                              json_pack("{s:o, s:I, s:I}", "name", mt_js(s->associated[i].name),
                                        "width", (json_int_t)s->associated[i].width, "height",
                                        (json_int_t)s->associated[i].height));
    return list;
}

static json_t *warnings_json(const shown *s)
{
    json_t *list = json_array();
    for (int i = 0; i < s->info->n_warnings; i++)
        json_array_append_new(list, mt_js(s->info->warnings[i]));
    for (int i = 0; i < s->tiles.n_warnings; i++)
        json_array_append_new(list, mt_js(s->tiles.warnings[i]));
    return list;
}

static json_t *positive(double v) { return v > 0 ? mt_jn(v) : json_null(); }

static int print_json(const shown *w)
{
    const mt_slide_info *s = w->info;
    json_t *j = json_pack(
        "{s:s, s:o, s:o, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:b, s:i}",
        "schema", "urn:microtome:info:1", "format", mt_js(s->format), "vendor", mt_js(s->vendor),
        "width", (json_int_t)s->levels[0].width, "height", (json_int_t)s->levels[0].height, "mpp_x",
        positive(s->mpp_x), "mpp_y", positive(s->mpp_y), "mpp_source", mt_js(s->mpp_source),
        "mpp_looked_at", mt_js(s->mpp_looked_at), "objective", positive(s->objective), "levels",
        levels_json(w), "associated", associated_json(s), "file_bytes", (json_int_t)s->file_bytes,
        "scanner", mt_js(s->scanner), "stain", mt_js(s->stain), "organ", mt_js(s->organ),
        "synthetic", s->synthetic, "icc_bytes", s->icc_bytes);
    json_t *more = json_pack("{s:i, s:o, s:i, s:i, s:b, s:o}", "optical_paths", s->n_optical_paths,
                             "optical_path", mt_js(s->optical_path), "focal_planes",
                             s->n_focal_planes, "focal_plane", s->focal_plane, "fluorescence",
                             s->fluorescence, "warnings", warnings_json(w));
    if (j && more) json_object_update(j, more);
    json_decref(more);
    if (j && w->digest[0]) json_object_set_new(j, "sha256", mt_js(w->digest));
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

static void print_levels(const shown *w)
{
    for (int i = 0; i < w->info->n_levels; i++) {
        const mt_level *l = &w->info->levels[i];
        const int64_t absent = w->tiles.levels[i].absent, damaged = w->tiles.levels[i].damaged;
        printf("level %-4d %lld x %lld px, downsample %.6g, %lld x %lld tiles of %d x %d, %s", i,
               (long long)l->width, (long long)l->height, l->downsample, (long long)l->tiles_x,
               (long long)l->tiles_y, (int)l->tile_w, (int)l->tile_h, MT_CLEAN(l->codec));
        if (l->colour[0]) printf(", %s", MT_CLEAN(l->colour));
        if (absent > 0) printf(", %lld absent", (long long)absent);
        if (damaged > 0) printf(", %lld DAMAGED", (long long)damaged);
        putchar('\n');
    }
}

static void print_planes(const mt_slide_info *s)
{
    if (s->optical_path[0] || s->n_optical_paths > 1)
        printf("optics     %d optical path%s, read: %s\n", s->n_optical_paths,
               s->n_optical_paths == 1 ? "" : "s", MT_CLEAN(s->optical_path));
    if (s->n_focal_planes > 1)
        printf("focus      %d focal planes, read: number %d\n", s->n_focal_planes, s->focal_plane);
    if (s->fluorescence) puts("picture    fluorescence, no brightfield colour");
}

static void print_text(const shown *w)
{
    const mt_slide_info *s = w->info;
    const bool small = s->file_bytes < 1000000;
    printf("format     %s (vendor %s), %.1f %s\n", s->format, MT_CLEAN(s->vendor),
           (double)s->file_bytes / (small ? 1e3 : 1e6), small ? "kB" : "MB");
    printf("size       %lld x %lld px", (long long)s->levels[0].width,
           (long long)s->levels[0].height);
    if (s->mpp_x > 0 && s->mpp_y > 0)
        printf(", %.2f x %.2f mm", (double)s->levels[0].width * s->mpp_x / 1e3,
               (double)s->levels[0].height * s->mpp_y / 1e3);
    putchar('\n');
    print_spacing(s);
    if (s->objective > 0) printf("objective  %gx\n", s->objective);
    print_levels(w);
    print_planes(s);
    for (int i = 0; i < s->n_associated; i++)
        printf("%-10s %lld x %lld px\n", MT_CLEAN(s->associated[i].name),
               (long long)s->associated[i].width, (long long)s->associated[i].height);
    if (s->scanner[0]) printf("scanner    %s\n", MT_CLEAN(s->scanner));
    if (s->stain[0]) printf("stain      %s\n", MT_CLEAN(s->stain));
    if (s->organ[0]) printf("organ      %s\n", MT_CLEAN(s->organ));
    if (s->synthetic) puts("synthetic  yes, drawn by microtome synth");
    if (s->icc_bytes) printf("icc        profile of %d bytes, not applied\n", s->icc_bytes);
    if (w->digest[0]) printf("sha256     %s\n", w->digest);
    for (int i = 0; i < s->n_warnings; i++) printf("warning    %s\n", MT_CLEAN(s->warnings[i]));
    for (int i = 0; i < w->tiles.n_warnings; i++)
        printf("warning    %s\n", MT_CLEAN(w->tiles.warnings[i]));
}

static int write_associated(const mt_slide *slide, const struct opts *o, const char *path)
{
    mt_err err = MT_ERR_INIT;
    if (mt_slide_write_associated(slide, o->associated, o->out, &err))
        return mt_fail_file(&err, path);
    mt_say("%s written: look at it before you share it, it may show a name", o->associated);
    return MT_EXIT_OK;
}

static mt_status look(shown *w, const mt_slide *slide, const struct opts *o, mt_err *err)
{
    w->info = mt_slide_get_info(slide);
    for (int i = 0; i < MT_MAX_LEVELS; i++)
        w->tiles.levels[i].absent = w->tiles.levels[i].damaged = -1;
    mt_status st = o->quick ? MT_OK : mt_slide_inspect(&w->tiles, slide, err);
    if (!st && o->digest) st = mt_slide_digest(w->digest, slide, err);
    return st;
}

static int run(const void *opts, int n_args, char **args)
{
    const struct opts *o = opts;
    if (o->schema) return fputs(mt_info_schema, stdout) < 0 ? MT_EXIT_FAILED : MT_EXIT_OK;
    if (o->formats) return list_formats(o->json);
    if (n_args == 0) return mt_usage_error(&mt_cmd_info, "too few arguments");
    if (!o->associated != !o->out)
        return mt_usage_error(&mt_cmd_info, "--associated NAME and -o FILE.png go together");
    mt_err err = MT_ERR_INIT;
    mt_slide *slide = NULL;
    shown w = {0};
    int code = MT_EXIT_OK;
    if (mt_slide_of(&slide, args[0], &o->slide, &err))
        code = mt_fail_file(&err, args[0]);
    else if (o->associated)
        code = write_associated(slide, o, args[0]);
    else if (look(&w, slide, o, &err))
        code = mt_fail_file(&err, args[0]);
    else if (o->json)
        code = print_json(&w);
    else
        print_text(&w);
    mt_slide_close(&slide);
    return code;
}

static const struct opts defaults = {.slide = MT_SLIDE_WISH_INIT};
const mt_command mt_cmd_info = {
    .name = "info",
    .args = "SLIDE [--json] [--digest] [--associated NAME -o FILE.png] | --formats | --schema",
    .summary = "Show what a slide says of itself: size, levels, spacing, associated images, warnings",
    .about = "The spacing comes with the tag it was read from. A slide that states none is shown "
             "with the tags that were looked at; nothing is guessed.\n\n"
             "Of every level: size, native tiles, codec, how its samples become RGB, and how many "
             "tiles the file leaves out (they read as white, or are drawn from the next finer "
             "level) or are damaged. That takes one look at the first and last bytes of every tile; "
             "--quick leaves it out. What contradicts itself in the file follows as warnings.\n\n"
             "Only geometry and technical fields are shown, never the label text or other fields "
             "that name a patient. An associated image that is written out with --associated may "
             "show what is printed on the slide's label.",
    .examples = "microtome info slide.svs\nmicrotome info --json slide.svs | jq .mpp_x\nmicrotome "
                "info slide.svs --associated macro -o macro.png\nmicrotome info --formats",
    .opts = options,
    .defaults = &defaults,
    .opts_size = sizeof defaults,
    .min_args = 0,
    .max_args = 1,
    .run = run,
};
