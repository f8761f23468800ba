/* microtome tiles: cut slides into tiles at a wanted spacing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "command.h"
#include "microtome/system.h"
#include "microtome/stain.h"
#include "slides.h"
#include "talk.h"

struct opts {
    mt_slide_wish slide;
    const char *out, *overlap, *roi, *tissue, *stain, *stain_vectors, *coords;
    int64_t tile_px, threads, quality, shard_tiles;
    double mpp, mag, tile_um, min_tissue;
    uint64_t memory;
    int stain_fallback, channel, strict, fast_scaling;
    int format, h5_style, edge, cpu, whole_slide, allow_upsampling, stats, json;
};

static const mt_tile_format formats[] = {MT_TILES_JPEG,   MT_TILES_PNG,        MT_TILES_H5,
                                         MT_TILES_COORDS, MT_TILES_WEBDATASET, MT_TILES_NONE};
static const mt_h5_style h5_styles[] = {MT_H5_CLAM, MT_H5_TRIDENT, MT_H5_WSINFER};
enum { DEFAULT_TILE_PX = 256 };
static const mt_edge_policy edges[] = {MT_EDGE_PAD, MT_EDGE_DROP};

static const mt_opt options[] = {
    OPT_TEXT("out", 'o', out, "DIR",
             "folder for the tiles; every slide gets a folder of its name in it (needed)"),
    OPT_INT("tile-px", tile_px, "N", 16, 8192,
            "tile side in pixels of the target spacing (256 when not given; with --coords the side "
            "the file states)"),
    OPT_TEXT("coords", 0, coords, "FILE.h5|DIR",
             "cut exactly the boxes of this file of CLAM, TRIDENT or WSInfer, or of the slide's file "
             "in this folder, in their order"),
    OPT_REAL("mpp", mpp, "F", 0.01, 100, "target spacing in um/px; without it the slide's own"),
    OPT_REAL("mag", mag, "N", 0.1, 400, "target magnification: the spacing 10/N um/px"),
    OPT_REAL("tile-um", tile_um, "F", 1, 1e6, "tile side in micrometres: the spacing F / tile-px"),
    OPT_TEXT("overlap", 0, overlap, "PX|P%",
             "overlap of neighbours in pixels of the target spacing or as share of the tile"),
    OPT_REAL("min-tissue", min_tissue, "F", 0, 1, "keep tiles with at least this share of tissue (0.25 when not given)"),
    OPT_FLAG("whole-slide", whole_slide, "no tissue mask: every tile of the grid"),
    OPT_TEXT("roi", 0, roi, "FILE.geojson",
             "keep tiles whose centre lies inside these polygons (level-0 pixels)"),
    OPT_TISSUE(tissue),
    OPT_STAIN(stain),
    OPT_STAIN_FALLBACK(stain_fallback),
    OPT_CHOICE("channel", channel, "hematoxylin|eosin|dab|residual",
               "one stain alone, as grey tiles (colour deconvolution)"),
    OPT_TEXT("stain-vectors", 0, stain_vectors, "he|hdab|hed|measured|FILE.json",
             "the stains --channel tells apart: fixed ones (he; hdab for dab), those measured on the "
             "slide, or those of a file of microtome stain -o"),
    OPT_FLAG("strict", strict, "a native tile that will not decode fails its slide"),
    OPT_FLAG("fast-scaling", fast_scaling,
             "resample JPEG tiles coarser than the level before they become colours: faster, the filter but for "
             "roundings"),
    OPT_CHOICE("edge", edge, "pad|drop",
               "tiles that hang over the slide's edge: white beyond it, or left out"),
    OPT_CHOICE("format", format, "jpeg|png|h5|coords|webdataset|none",
               "what is written: a picture a tile, one HDF5 file with or without pictures, tar shards, "
               "or the list alone"),
    OPT_CHOICE("h5-style", h5_style, "clam|trident|wsinfer",
               "whose attributes the coordinates of --format h5 and coords carry (clam when not given)"),
    OPT_INT("shard-tiles", shard_tiles, "N", 1, 1000000,
            "tiles of one shard of --format webdataset (1000 when not given)"),
    OPT_INT("quality", quality, "N", 1, 100,
            "JPEG quality of --format jpeg and webdataset (90 when not given)"),
    OPT_SLIDE(slide),
    OPT_FLAG("allow-upsampling", allow_upsampling,
             "also when the target is more than 2.1 times finer than the slide"),
    OPT_THREADS(threads),
    OPT_SIZE("memory", memory, "SIZE", "ceiling for tile buffers (256M when not given)"),
    OPT_CPU(cpu),
    OPT_FLAG("stats", stats,
             "also what the pass did: native tiles needed and decoded, bytes, time"),
    OPT_FLAG("json", json, "print JSON, one object a slide"),
    OPT_END,
};

/* What one slide came to, for printing. */
typedef struct cut {
    mt_slide *slide;
    mt_tissue *tissue;
    mt_plan *plan;
    mt_tissue_origin origin;
    mt_stain measured;
    mt_stain_map *stain;
    char not_normalised[160]; /* why */
    const char *fast_way;     /* of fast scaling; NULL: not asked for */
    int reduced_by;
    mt_fetch_stats stats;
} cut;

/* What holds for every slide. */
typedef struct wish {
    mt_plan_opts plan;
    mt_tissue_source *tissue;
    mt_stain_request stain;
    mt_stain_set set;
    mt_stain vectors; /* of a file */
    bool measure;     /* --stain-vectors measured */
} wish;

static void cut_free(cut *c)
{
    mt_stain_map_free(&c->stain);
    mt_plan_free(&c->plan);
    mt_tissue_free(&c->tissue);
    mt_slide_close(&c->slide);
}

/* ---- names ----------------------------------------------------------------------------------- */

static void stem_of(char out[256], const char *path) { mt_slide_stem(out, 256, path); }

/* Folder of one slide. */
static mt_status folder_of(char *out, size_t cap, const cut *c, int i, int n_args, char **args,
                           const char *dir, mt_err *err)
{
    char name[MT_OUT_NAME];
    const mt_status st = mt_out_name(name, c->slide, i, n_args, args, err);
    if (st) return st;
    int n = snprintf(out, cap, "%s/%s", dir, name);
    if (n < 0 || (size_t)n >= cap)
        return mt_err_set(err, MT_ERR_LIMIT, "output path longer than %zu bytes", cap - 1);
    return MT_OK;
}

/* ---- options to a plan ----------------------------------------------------------------------- */

/* Returns -1 or the exit code of a usage error. */
static int resolve(mt_plan_opts *po, const struct opts *o)
{
    *po = (mt_plan_opts)MT_PLAN_OPTS_INIT;
    if ((o->mpp > 0) + (o->mag > 0) + (o->tile_um > 0) > 1)
        return mt_usage_error(&mt_cmd_tiles,
                              "--mpp, --mag and --tile-um say the same thing: give one of them");
    if (o->coords && (o->roi || o->overlap || o->whole_slide || o->min_tissue >= 0 || o->edge))
        return mt_usage_error(&mt_cmd_tiles,
                              "--coords says where the tiles lie: not with --roi, --overlap, "
                              "--min-tissue, --edge drop or --whole-slide");
    po->tile_px = (int32_t)(o->tile_px || o->coords ? o->tile_px : DEFAULT_TILE_PX);
    if (o->tile_um > 0 && !po->tile_px)
        return mt_usage_error(&mt_cmd_tiles, "--tile-um with --coords needs --tile-px");
    po->mpp = o->mag > 0 ? 10 / o->mag : o->tile_um > 0 ? o->tile_um / po->tile_px : o->mpp;
    if (o->min_tissue >= 0) po->min_tissue = o->min_tissue;
    po->edge = edges[o->edge];
    po->roi_path = o->roi;
    po->whole_slide = o->whole_slide;
    if (o->allow_upsampling) po->max_upsample = 1e9;
    bool pixels = false;
    if (o->overlap && !mt_overlap_parse(&po->overlap, &pixels, o->overlap))
        return mt_usage_error(&mt_cmd_tiles,
                              "--overlap: \"%s\" is neither pixels (32) nor a share (25%%)",
                              o->overlap);
    if (pixels) po->overlap /= po->tile_px;
    if (po->overlap >= 1)
        return mt_usage_error(&mt_cmd_tiles, "--overlap: \"%s\" leaves no step", o->overlap);
    return -1;
}

/* Options that the format has no use for are slips, not wishes. Returns -1 or an exit code. */
static int check_format(const struct opts *o)
{
    static const char *const names[] = {"jpeg", "png", "h5", "coords", "webdataset", "none"};
    const mt_tile_format f = formats[o->format];
    const bool h5 = f == MT_TILES_H5 || f == MT_TILES_COORDS;
    const bool pixels = f != MT_TILES_NONE && f != MT_TILES_COORDS;
    const bool jpeg = f == MT_TILES_JPEG || f == MT_TILES_WEBDATASET;
    const struct {
        const char *name;
        bool given, used;
        const char *why;
    } options_of[] = {
        {"h5-style", o->h5_style >= 0, h5, "no coordinates of other tools are written"},
        {"shard-tiles", o->shard_tiles > 0, f == MT_TILES_WEBDATASET, "no shards are written"},
        {"quality", o->quality > 0, jpeg, "no JPEG is written"},
        {"strict", o->strict, pixels, "no tile is read"},
        {"fast-scaling", o->fast_scaling, pixels, "no tile is read"},
        {"channel", o->channel >= 0, pixels, "no tile is read"},
        {"stain-normalise", o->stain && strcmp(o->stain, "none"), pixels, "no tile is read"},
    };
    for (size_t i = 0; i < sizeof options_of / sizeof *options_of; i++)
        if (options_of[i].given && !options_of[i].used)
            return mt_usage_error(&mt_cmd_tiles, "--%s: %s with --format %s", options_of[i].name,
                                  options_of[i].why, names[o->format]);
    return -1;
}

/* The stain words; returns -1 or an exit code. */
static int resolve_stain(wish *w, const struct opts *o)
{
    static const char *const sets[] = {"he", "hdab", "hed"};
    mt_err err = MT_ERR_INIT;
    const char *v = o->stain_vectors;
    if (mt_stain_request_parse(&w->stain, o->stain ? o->stain : "none", &err))
        return err.code == MT_ERR_ARG ? mt_usage_error(&mt_cmd_tiles, "--stain-normalise: %s", err.text)
                                      : mt_fail(&err);
    bool normalise = w->stain.method != MT_STAIN_NONE;
    if (o->stain_fallback >= 0 && !normalise)
        return mt_usage_error(&mt_cmd_tiles, "--stain-fallback needs --stain-normalise");
    if (normalise && o->channel >= 0)
        return mt_usage_error(&mt_cmd_tiles, "--channel and --stain-normalise: give one of them");
    if (v && o->channel < 0)
        return mt_usage_error(&mt_cmd_tiles, "--stain-vectors needs --channel");
    w->set = o->channel == MT_CHANNEL_DAB ? MT_STAINS_HDAB : MT_STAINS_HE;
    for (int i = 0; v && i < 3; i++)
        if (!strcmp(v, sets[i])) {
            w->set = (mt_stain_set)i;
            v = NULL;
        }
    if (v) w->set = MT_STAINS_MEASURED;
    w->measure = v && !strcmp(v, "measured");
    if ((normalise || w->measure) && o->whole_slide)
        return mt_usage_error(&mt_cmd_tiles, "a stain is measured on tissue: not with --whole-slide");
    if (v && !w->measure && mt_stain_load(&w->vectors, v, &err)) return mt_fail(&err);
    if (o->channel < 0) return -1;
    mt_stain_map *probe = NULL; /* a set without the channel is a slip of the command line */
    mt_stain any = w->measure ? *mt_stain_reference() : w->vectors;
    mt_status st = mt_stain_map_channel(&probe, (mt_stain_channel)o->channel, w->set, &any, &err);
    mt_stain_map_free(&probe);
    if (st == MT_ERR_ARG) return mt_usage_error(&mt_cmd_tiles, "--channel: %s", err.text);
    return st ? mt_fail(&err) : -1;
}

/* The map of this slide: measured where it has to be. */
static mt_status make_stain(cut *c, const wish *w, const struct opts *o, mt_err *err)
{
    mt_err why = MT_ERR_INIT;
    bool normalise = w->stain.method != MT_STAIN_NONE;
    mt_status st = MT_OK;
    if (normalise || w->measure)
        st = mt_stain_measure(&c->measured, c->slide, c->tissue, mt_threads(o->threads), o->memory, &why);
    if (!st && normalise)
        st = mt_stain_map_normalise(&c->stain, w->stain.method, &c->measured, &w->stain.target, &why);
    if (!st && o->channel >= 0)
        st = mt_stain_map_channel(&c->stain, (mt_stain_channel)o->channel, w->set,
                                  w->measure ? &c->measured : &w->vectors, &why);
    if (st == MT_ERR_UNSUPPORTED && normalise && o->stain_fallback == 1) {
        snprintf(c->not_normalised, sizeof c->not_normalised, "%.159s", why.text);
        return MT_OK;
    }
    return st ? mt_err_set(err, st, "%s%s", why.text,
                           st == MT_ERR_UNSUPPORTED && normalise
                               ? "; --stain-fallback none leaves its tiles as they are"
                               : "")
              : MT_OK;
}

static mt_status make_plan(cut *c, const char *path, const struct opts *o, const wish *w, mt_err *err)
{
    mt_plan_opts po = w->plan;
    char *coords = NULL;
    /* Boxes that are given need no tissue, unless a stain is measured on it. */
    const bool tissue = !po.whole_slide && (!o->coords || o->tissue || w->measure ||
                                            w->stain.method != MT_STAIN_NONE);
    mt_status st = mt_slide_of(&c->slide, path, &o->slide, err);
    if (!st && o->coords) st = mt_coords_find(&coords, o->coords, path, err);
    po.coords_path = coords;
    if (!st && tissue) {
        mt_tissue_opts to = MT_TISSUE_OPTS_INIT;
        to.threads = mt_threads(o->threads);
        st = mt_tissue_of(&c->tissue, &c->origin, w->tissue, c->slide, path, &to, err);
    }
    if (!st && c->tissue && c->tissue->unreadable && o->strict)
        st = mt_err_set(err, MT_ERR_FORMAT,
                        "level %d: tile %lld,%lld would not decode (%llu in all) where tissue is looked "
                        "for",
                        c->tissue->source_level, (long long)c->tissue->unreadable_x,
                        (long long)c->tissue->unreadable_y,
                        (unsigned long long)c->tissue->unreadable);
    if (!st) st = mt_plan_make(&c->plan, c->slide, c->tissue, &po, err);
    free(coords);
    if (!st) st = mt_plan_digest(c->plan, err);
    if (!st && c->plan->n_tiles) st = make_stain(c, w, o, err);
    if (!st && o->fast_scaling)
        st = mt_tiles_fast_way(&c->fast_way, &c->reduced_by, c->slide, c->plan, err);
    return st;
}

static mt_status write_tiles(cut *c, const char *folder, const char *label, const struct opts *o,
                             mt_err *err)
{
    mt_tiles_opts to = MT_TILES_OPTS_INIT;
    to.format = formats[o->format];
    if (o->h5_style >= 0) to.h5_style = h5_styles[o->h5_style];
    if (o->shard_tiles) to.shard_tiles = (int)o->shard_tiles;
    if (o->quality) to.jpeg_quality = (int)o->quality;
    to.threads = mt_threads(o->threads);
    to.memory = o->memory;
    to.stain = c->stain;
    to.strict = o->strict;
    to.fast_scaling = o->fast_scaling;
    mt_meter meter;
    mt_meter_start(&meter, label, "tiles", 1);
    mt_status st =
        mt_tiles_write(c->slide, c->plan, folder, &to, &c->stats, mt_meter_tick, &meter, err);
    mt_meter_end(&meter);
    return st;
}

/* ---- printing -------------------------------------------------------------------------------- */

static void print_plan(const cut *c, const char *path)
{
    const mt_plan *p = c->plan;
    const mt_slide_info *s = mt_slide_get_info(c->slide);
    printf("slide      %s\n", MT_CLEAN(path));
    printf("spacing    %.6g um/px (%s)\n", p->slide_mpp, MT_CLEAN(s->mpp_source));
    printf("target     %.6g um/px, tiles of %d px = %.4g um\n", p->target_mpp, (int)p->tile_px,
           p->tile_px * p->target_mpp);
    printf("level      %d (downsample %.6g), resample %.6g source px per tile px%s\n", p->level,
           p->level_downsample, p->resample,
           p->upsampled ? ", UPSAMPLED: finer than the slide" : "");
    if (p->origin[0]) {
        printf("boxes      of %s coordinates, %d px at level 0\n", p->origin, (int)p->box_l0);
        printf("tiles      %zu\n", p->n_tiles);
    } else {
        printf("grid       %d x %d cells, box %d px and step %d px at level 0 (overlap %.4g %%)\n",
               (int)p->grid_cols, (int)p->grid_rows, (int)p->box_l0, (int)p->step_l0,
               100 * p->overlap);
        printf("tiles      %zu (at least %.3g of each is tissue)\n", p->n_tiles, p->min_tissue);
    }
    if (p->note[0]) printf("note       %s\n", MT_CLEAN(p->note));
    printf("plan       sha256 %s\n", p->digest);
}

static json_t *triple(const double v[3])
{
    return json_pack("[o, o, o]", mt_jn(v[0]), mt_jn(v[1]), mt_jn(v[2]));
}

/* What the slide's own figures were, so that the tiles can be made again. */
static json_t *measured_json(const mt_stain *s)
{
    return json_pack("{s:o, s:o, s:[o, o], s:o, s:o, s:I}", "hematoxylin", triple(s->vectors[0]),
                     "eosin", triple(s->vectors[1]), "strength", mt_jn(s->strength[0]),
                     mt_jn(s->strength[1]), "mean", triple(s->lab_mean), "std", triple(s->lab_std),
                     "pixels", (json_int_t)s->pixels);
}

/* What a reader of the tiles should know, one text after the other; NULL after the last. text is used
 * where one has to be made. */
static const char *warning_of(char text[256], const cut *c, int i)
{
    const mt_slide_info *s = mt_slide_get_info(c->slide);
    if (i < s->n_warnings) return s->warnings[i];
    i -= s->n_warnings;
    if (c->plan->upsampled && i-- == 0) {
        snprintf(text, 256, "upsampled %.2f times: the slide has %.4g um/px, %.4g are asked for",
                 c->plan->slide_mpp / c->plan->target_mpp, c->plan->slide_mpp, c->plan->target_mpp);
        return text;
    }
    if (c->tissue && c->tissue->unreadable && i-- == 0) {
        snprintf(text, 256,
                 "%llu native tiles of level %d would not decode: tissue is not looked for there",
                 (unsigned long long)c->tissue->unreadable, c->tissue->source_level);
        return text;
    }
    if (c->not_normalised[0] && i-- == 0) {
        snprintf(text, 256, "stain not normalised: %s", c->not_normalised);
        return text;
    }
    if (c->measured.warning[0] && i-- == 0) {
        snprintf(text, 256, "stain: %s", c->measured.warning);
        return text;
    }
    return NULL;
}

static json_t *warnings_json(const cut *c)
{
    char text[256];
    json_t *list = json_array();
    const char *w;
    for (int i = 0; (w = warning_of(text, c, i)); i++)
        json_array_append_new(list, mt_js(w));
    return list;
}

static void print_warnings(const cut *c)
{
    char text[256];
    const char *w;
    if (c->fast_way && c->reduced_by > 1)
        printf("scaling    fast: %s, %d times by the codec\n", c->fast_way, c->reduced_by);
    else if (c->fast_way)
        printf("scaling    fast: %s\n", c->fast_way);
    for (int i = 0; (w = warning_of(text, c, i)); i++)
        printf("warning    %s\n", MT_CLEAN(w));
}

static json_t *plan_json(const cut *c, const char *path, const char *folder, int stats)
{
    const mt_plan *p = c->plan;
    json_t *j = json_pack(
        "{s:o, s:o, s:o, s:o, s:i, s:i, s:o, s:o, s:b, s:i, s:i, s:o, s:o, s:i, s:i, s:I, s:s}",
        "slide", mt_js(path), "slide_mpp", mt_jn(p->slide_mpp), "mpp_source",
        mt_js(mt_slide_get_info(c->slide)->mpp_source), "target_mpp", mt_jn(p->target_mpp),
        "tile_px", (int)p->tile_px, "level", p->level, "level_downsample",
        mt_jn(p->level_downsample), "resample", mt_jn(p->resample), "upsampled", p->upsampled,
        "box_l0", (int)p->box_l0, "step_l0", (int)p->step_l0, "overlap", mt_jn(p->overlap),
        "min_tissue", mt_jn(p->min_tissue), "grid_cols", (int)p->grid_cols, "grid_rows",
        (int)p->grid_rows, "n_tiles", (json_int_t)p->n_tiles, "plan_digest", p->digest);
    if (!j) return NULL;
    json_object_set_new(j, "folder", mt_js(folder));
    if (p->origin[0]) json_object_set_new(j, "coords", mt_js(p->origin));
    if (p->note[0]) json_object_set_new(j, "note", mt_js(p->note));
    if (c->origin.kind[0]) json_object_set_new(j, "tissue_source", json_string(c->origin.kind));
    json_object_set_new(j, "stain_applied", json_boolean(c->stain != NULL));
    if (c->not_normalised[0])
        json_object_set_new(j, "not_normalised", mt_js(c->not_normalised));
    if (c->measured.pixels) json_object_set_new(j, "stain_measured", measured_json(&c->measured));
    json_object_set_new(j, "unreadable", json_integer((json_int_t)c->stats.unreadable));
    json_object_set_new(j, "fast_scaling", c->fast_way ? json_string(c->fast_way) : json_null());
    json_object_set_new(j, "reduced_by", json_integer(c->fast_way ? c->reduced_by : 1));
    json_object_set_new(j, "warnings", warnings_json(c));
    if (stats) json_object_set_new(j, "stats", mt_fetch_json(&c->stats));
    return j;
}

static int one(int i, int n_args, char **args, const struct opts *o, const wish *w)
{
    cut c = {0};
    char folder[4096], label[200], stem[256];
    mt_err err = MT_ERR_INIT;
    stem_of(stem, args[i]);
    snprintf(label, sizeof label, "%d/%d %.150s", i + 1, n_args, stem);
    mt_status st = make_plan(&c, args[i], o, w, &err);
    if (!st) st = folder_of(folder, sizeof folder, &c, i, n_args, args, o->out, &err);
    if (!st && !o->json) print_plan(&c, args[i]);
    if (!st) st = write_tiles(&c, folder, label, o, &err);
    int code = MT_EXIT_OK;
    if (st) {
        if (n_args > 1 && st != MT_ERR_CANCELLED)
            mt_err_context(&err, "slide %d of %d", i + 1, n_args);
        code = mt_fail_file(&err, args[i]);
    } else if (o->json) {
        code = mt_json_print(plan_json(&c, args[i], folder, o->stats));
    } else {
        print_warnings(&c);
        if (c.stats.unreadable)
            printf("unreadable %llu tiles\n", (unsigned long long)c.stats.unreadable);
        if (o->stats) mt_fetch_print(&c.stats);
        printf("written    %s\n", MT_CLEAN(folder));
    }
    cut_free(&c);
    return code;
}

static int run(const void *opts, int n_args, char **args)
{
    const struct opts *o = opts;
    wish w = {.set = MT_STAINS_HE};
    mt_err err = MT_ERR_INIT;
    if (mt_cpu_select(mt_cpu_words[o->cpu], &err)) return mt_fail(&err);
    if (!o->out) return mt_usage_error(&mt_cmd_tiles, "-o DIR is missing");
    int code = check_format(o);
    if (code < 0) code = resolve(&w.plan, o);
    if (code < 0) code = resolve_stain(&w, o);
    if (code >= 0) return code;
    struct stat sb;
    if (o->coords && n_args > 1 && stat(o->coords, &sb) == 0 && !S_ISDIR(sb.st_mode))
        return mt_usage_error(&mt_cmd_tiles,
                              "--coords: a file is of one slide, %d are given; give a folder", n_args);
    if (o->tissue && o->whole_slide)
        return mt_usage_error(&mt_cmd_tiles, "--tissue and --whole-slide: give one of them");
    if (mt_tissue_source_open(&w.tissue, o->tissue, &err)) return mt_fail(&err);
    mt_stop_listen();
    code = MT_EXIT_OK;
    for (int i = 0; i < n_args && !mt_stop_asked();
         i++) { /* a bad slide does not hold up the others */
        int c = one(i, n_args, args, o, &w);
        if (c != MT_EXIT_OK && code != MT_EXIT_FAILED) code = n_args > 1 ? MT_EXIT_FAILED : c;
    }
    mt_tissue_source_close(&w.tissue);
    return mt_stop_asked() && code == MT_EXIT_OK ? MT_EXIT_FAILED : code;
}

static const struct opts defaults = {
    .slide = MT_SLIDE_WISH_INIT, .min_tissue = -1, .channel = -1, .h5_style = -1, .stain_fallback = -1};
const mt_command mt_cmd_tiles = {
    .name = "tiles",
    .args = "SLIDE... -o DIR [options]",
    .summary = "Cut slides into tiles at a wanted spacing",
    .about = "The tissue is found, a grid is laid over it at the target spacing, and every tile is "
             "cut and written as "
             "DIR/<slide>/<x>_<y>.jpg (level-0 pixels of its top left corner) with a list, "
             "tiles.csv. Two slides of "
             "one name get \"~\" and digits of their digest.\n\n"
             "What was resolved is printed: the slide's spacing and the tag it came from, the "
             "target, the level that "
             "is read and the resample factor. A slide without spacing is refused with the tags "
             "that were looked at; "
             "--assume-mpp overrides.\n\n"
             "--stain-normalise measures each slide once and changes every tile as it is resampled. "
             "--channel writes what one stain alone lets through: grey PNG files, JPEG and HDF5 with "
             "three equal channels.\n\n"
             "--format h5 and coords write <slide>.h5 with the attributes of --h5-style; TRIDENT's is "
             "called <slide>_patches.h5. --format webdataset writes shards 000000.tar, 000001.tar ... "
             "of <key>.jpg and <key>.json in plan order, same bytes every time.\n\n"
             "--coords takes such files back, and those the tools themselves wrote; a folder is "
             "searched for the slide's. The boxes are cut as they stand, repeated ones once. A file "
             "whose sizes or scales are not this slide's is refused; so are boxes that differ from "
             "--tile-px at --mpp by more than 10 % (more than 1 % is noted). Use files of people you "
             "trust: what can be is checked before it is read, but the HDF5 library itself is no "
             "fortress.\n\n"
             "The same slide and options give the same tiles in the same order, whatever the "
             "number of threads.\n\n"
             "--json prints an object a slide: what was resolved (slide_mpp, mpp_source, target_mpp, "
             "tile_px, level, level_downsample, resample, upsampled, box_l0, step_l0, overlap, "
             "min_tissue, grid_cols, grid_rows), n_tiles, plan_digest, folder; coords, note, "
             "tissue_source where they say something; stain_applied, not_normalised (why), "
             "stain_measured; fast_scaling (null, or how the tiles were made: samples or exact), "
             "reduced_by (2, 4, 8 or 1), unreadable (tiles), warnings (texts); stats with "
             "--stats.",
    .examples = "microtome tiles slide.svs -o tiles --tile-px 256 --mpp 0.5\n"
                "microtome tiles *.svs -o tiles --mag 20 --overlap 25% --format h5\n"
                "microtome tiles slide.svs -o job --mag 20 --format coords --h5-style trident\n"
                "microtome tiles slide.svs -o cut --coords patches/slide.h5 --format webdataset\n"
                "microtome tiles slide.svs -o /tmp/t --format none --json",
    .opts = options,
    .defaults = &defaults,
    .opts_size = sizeof defaults,
    .min_args = 1,
    .max_args = -1,
    .run = run,
};
