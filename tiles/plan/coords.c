/* From a file of coordinates to a plan.
 *
 * What a file says of its boxes, in the words of the three tools:
 *   TRIDENT   patch_size_level0 is the box; patch_size its side at target_magnification
 *   WSInfer   patch_size is the box, patch_level 0; patch_spacing_um_px the spacing it is resized to
 *   CLAM      patch_size pixels of patch_level, whose `downsample` is stated; legacy readers multiply
 *             by custom_downsample when it is there
 * All of them keep x and y of the top left corner in level-0 pixels. */
#include "tiles/plan/coords.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/mem.h"
#include "slide/slide.h"
#include "tiles/plan/anywhere.h"
#include "tiles/plan/geom.h"

static const double SAME = 0.01;  /* two statements of one scale: rounding, no contradiction */
static const double CLOSE = 0.10; /* magnification bins: "40x" for 0.23 to 0.27 um/px */

static mt_status check_sizes(const coords_file *c, const mt_slide_info *info, mt_err *err)
{
    const mt_level *l0 = &info->levels[0];
    const double stated[2] = {c->level0_width, c->level0_height};
    const int64_t own[2] = {l0->width, l0->height};
    for (int k = 0; k < 2; k++)
        if (!isnan(stated[k]) && stated[k] != (double)own[k])
            return mt_err_set(err, MT_ERR_FORMAT,
                              "coordinates of another slide: level0_%s is %.0f, the slide has %lld",
                              k ? "height" : "width", stated[k], (long long)own[k]);
    if (isnan(c->level_dim[0])) return MT_OK;
    for (int i = 0; i < info->n_levels; i++)
        if (c->level_dim[0] == (double)info->levels[i].width &&
            c->level_dim[1] == (double)info->levels[i].height)
            return MT_OK;
    if (!isnan(c->patch_level) && c->patch_level >= info->n_levels) return MT_OK;
    return mt_err_set(err, MT_ERR_FORMAT,
                      "coordinates of another slide: level_dim is %.0f x %.0f, no level of the slide "
                      "has that size (level 0: %lld x %lld)",
                      c->level_dim[0], c->level_dim[1], (long long)l0->width,
                      (long long)l0->height);
}

/* Level-0 pixels per pixel of the level the patches were cut at. */
static mt_status level_scale(double *out, const coords_file *c, const mt_slide_info *info,
                             mt_err *err)
{
    const double level = isnan(c->patch_level) ? 0 : c->patch_level;
    const double stated =
        isnan(c->downsample[0]) ? NAN : (c->downsample[0] + c->downsample[1]) / 2;
    if (level < 0 || level != floor(level) || level > 1e6)
        return mt_err_set(err, MT_ERR_FORMAT, "coordinates: patch_level %g", level);
    if (!isnan(stated) && !(stated >= 1 - SAME && stated < 1e6))
        return mt_err_set(err, MT_ERR_FORMAT, "coordinates: downsample %g", stated);
    const double own =
        level < info->n_levels ? geom_downsample(info, (int)level) : NAN;
    if (isnan(own) && isnan(stated))
        return mt_err_set(err, MT_ERR_FORMAT,
                          "coordinates: patch_level %g, the slide has %d levels, and no downsample "
                          "is stated",
                          level, info->n_levels);
    if (!isnan(own) && !isnan(stated) && fabs(stated / own - 1) > SAME)
        return mt_err_set(err, MT_ERR_FORMAT,
                          "coordinates of another slide: downsample %g at patch_level %g, the slide "
                          "has %g there",
                          stated, level, own);
    *out = isnan(own) ? stated : own;
    return MT_OK;
}

static mt_status check_positive(double v, const char *name, double most, mt_err *err)
{
    if (isnan(v))
        return mt_err_set(err, MT_ERR_FORMAT, "coordinates: no attribute %s", name);
    if (!(v > 0 && v <= most))
        return mt_err_set(err, MT_ERR_FORMAT, "coordinates: %s %g is outside 0..%g", name, v, most);
    return MT_OK;
}

/* The side of a box in level-0 pixels, and the side in pixels that its tool would hand on. */
static mt_status find_box(mt_plan *p, int32_t *side, const coords_file *c,
                          const mt_slide_info *info, mt_err *err)
{
    const bool magnified = !isnan(c->level0_magnification) && !isnan(c->target_magnification);
    double box, px = c->patch_size;
    MT_TRY(check_positive(isnan(px) && !isnan(c->patch_size_level0) ? c->patch_size_level0 : px,
                          "patch_size", 1 << 24, err));
    if (!isnan(c->patch_size_level0)) {
        box = c->patch_size_level0;
        if (isnan(px)) px = box;
        snprintf(p->origin, sizeof p->origin, "trident");
    } else if (magnified && isnan(c->patch_level)) {
        MT_TRY(check_positive(c->level0_magnification, "level0_magnification", 1000, err));
        MT_TRY(check_positive(c->target_magnification, "target_magnification", 1000, err));
        box = nearbyint(px * c->level0_magnification / c->target_magnification);
        snprintf(p->origin, sizeof p->origin, "trident");
    } else {
        const bool wsinfer = !isnan(c->patch_spacing_um_px);
        const double custom = isnan(c->custom_downsample) ? 1 : c->custom_downsample;
        double scale = 1;
        MT_TRY(level_scale(&scale, c, info, err));
        MT_TRY(check_positive(custom, "custom_downsample", 1000, err));
        box = nearbyint(px * scale * custom);
        if (wsinfer && p->slide_mpp > 0) {
            MT_TRY(check_positive(c->patch_spacing_um_px, "patch_spacing_um_px", 1000, err));
            px = nearbyint(box * p->slide_mpp / c->patch_spacing_um_px);
        }
        snprintf(p->origin, sizeof p->origin, wsinfer ? "wsinfer" : "clam");
    }
    MT_TRY(check_positive(box, "the box in level-0 pixels", 1 << 24, err));
    p->box_l0 = (int32_t)MT_MAX(nearbyint(box), 1);
    *side = (int32_t)MT_MIN(MT_MAX(nearbyint(px), 1), 1 << 24);
    return MT_OK;
}

/* Somebody wants tiles of o->tile_px at o->mpp; the file has boxes of its own. Up to 1 % apart is
 * rounding, up to 10 % is noted, more is refused. */
static mt_status check_spacing(mt_plan *p, const mt_plan_opts *o, mt_err *err)
{
    if (!(o->mpp > 0 && o->tile_px > 0 && p->slide_mpp > 0)) return MT_OK;
    const double asked = o->tile_px * o->mpp, have = p->box_l0 * p->slide_mpp;
    const double off = fabs(have / asked - 1);
    if (off > CLOSE)
        return mt_err_set(err, MT_ERR_SPACING,
                          "coordinates: boxes of %d level-0 pixels are %.4g um wide; tiles of %d px "
                          "at %g um/px are %.4g um",
                          (int)p->box_l0, have, (int)o->tile_px, o->mpp, asked);
    if (off > SAME)
        snprintf(p->note, sizeof p->note,
                 "coordinates: boxes of %.4g um, asked for were %.4g um (%+.1f %%)", have, asked,
                 100 * (have / asked - 1));
    return MT_OK;
}

static mt_status fill_scale(mt_plan *p, int32_t side, const mt_slide_info *info,
                            const mt_plan_opts *o, mt_err *err)
{
    p->tile_px = o->tile_px > 0 ? o->tile_px : side;
    if (p->tile_px < 16 || p->tile_px > 8192)
        return mt_err_set(err, MT_ERR_ARG, "coordinates: tiles of %d px, 16 to 8192 are cut",
                          (int)p->tile_px);
    p->out_px = o->out_px ? o->out_px : p->tile_px;
    const double wanted = (double)p->box_l0 / p->tile_px;
    p->target_mpp = wanted * p->slide_mpp;
    if (wanted * o->max_upsample < 1.0)
        return mt_err_set(err, MT_ERR_SPACING,
                          "coordinates: boxes of %d level-0 pixels for tiles of %d px: %.3g times "
                          "upsampled; the limit is %.3g times",
                          (int)p->box_l0, (int)p->tile_px, 1.0 / wanted, o->max_upsample);
    p->upsampled = wanted < 0.99;
    p->level = 0;
    for (int i = 1; i < info->n_levels; i++)
        if (info->levels[i].downsample <= wanted * 1.01) p->level = i;
    p->level_downsample = geom_downsample(info, p->level);
    p->resample = p->box_l0 / p->level_downsample / p->out_px;
    return MT_OK;
}

static mt_status copy_tiles(mt_plan *p, const coords_file *c, const mt_slide_info *info,
                            mt_err *err)
{
    const mt_level *l0 = &info->levels[0];
    MT_TRY(mt_alloc(&p->tiles, c->n, sizeof *p->tiles, SIZE_MAX, "tiles", err));
    p->n_tiles = c->n;
    for (size_t i = 0; i < c->n; i++) {
        const int64_t x = c->xy[2 * i], y = c->xy[2 * i + 1];
        if (x < 0 || y < 0 || x >= l0->width || y >= l0->height)
            return mt_err_set(err, MT_ERR_FORMAT,
                              "coordinates: row %zu: %lld, %lld lies outside the slide's %lld x %lld "
                              "pixels",
                              i, (long long)x, (long long)y, (long long)l0->width,
                              (long long)l0->height);
        p->tiles[i] = (mt_tile){x, y, p->box_l0, p->box_l0, 0, 0, 0.0f};
    }
    return MT_OK;
}

/* The step of a grid the tiles were laid on: the commonest gap between rows of the file that follow
 * each other down a column or along a row, and no longer than a box. Areas of overlapping tiles are counted by it. */
static mt_status find_step(mt_plan *p, mt_err *err)
{
    MT_AUTO_FREE uint32_t *often = NULL;
    p->step_l0 = p->box_l0;
    if (p->n_tiles < 2) return MT_OK;
    MT_TRY(mt_alloc(&often, (size_t)p->box_l0 + 1, sizeof *often, (size_t)128 << 20, "steps", err));
    for (size_t i = 1; i < p->n_tiles; i++) {
        const mt_tile *a = &p->tiles[i - 1], *b = &p->tiles[i];
        const int64_t gap = b->y_l0 - a->y_l0;
        if (a->x_l0 == b->x_l0 && gap > 0 && gap <= p->box_l0) often[gap]++;
        const int64_t across = b->x_l0 - a->x_l0;
        if (a->y_l0 == b->y_l0 && across > 0 && across <= p->box_l0) often[across]++;
    }
    for (int32_t gap = 1; gap <= p->box_l0; gap++)
        if (often[gap] > often[p->step_l0]) p->step_l0 = gap;
    p->overlap = 1.0 - (double)p->step_l0 / p->box_l0;
    return MT_OK;
}

mt_status coords_plan(mt_plan *p, const coords_file *c, const mt_slide_info *info,
                      const mt_plan_opts *o, mt_err *err)
{
    int32_t side;
    size_t repeated;
    if (info->mpp_x > 0 && info->mpp_y > 0) p->slide_mpp = (info->mpp_x + info->mpp_y) / 2;
    MT_TRY(check_sizes(c, info, err));
    MT_TRY(find_box(p, &side, c, info, err));
    MT_TRY(check_spacing(p, o, err));
    MT_TRY(fill_scale(p, side, info, o, err));
    MT_TRY(copy_tiles(p, c, info, err));
    MT_TRY(plan_place(p, &repeated, err));
    if (repeated) {
        const size_t n = strlen(p->note);
        snprintf(p->note + n, sizeof p->note - n, "%scoordinates: %zu of %zu repeat an earlier one",
                 n ? "; " : "", repeated, c->n);
    }
    return find_step(p, err);
}

/* "" where there is none of this folder; NULL without memory. */
static char *coords_in(const char *coords, const char *folder, const char *stem)
{
    static const char *const ends[] = {".h5", "_patches.h5"};
    for (size_t i = 0; i < MT_COUNT(ends); i++) {
        char *path = mt_strf("%s/%s%s%s%s", coords, folder, *folder ? "/" : "", stem, ends[i]);
        if (!path || mt_file_exists(path)) return path;
        free(path);
    }
    return strdup("");
}

mt_status mt_coords_find(char **out, const char *coords, const char *slide_path, mt_err *err)
{
    char stem[256];
    mt_slide_stem(stem, sizeof stem, slide_path);
    const char *const folders[] = {"", "patches", stem};
    const bool folder = mt_dir_exists(coords);
    *out = NULL;
    for (size_t i = 0; i < MT_COUNT(folders); i++) {
        MT_AUTO_FREE char *path = folder ? coords_in(coords, folders[i], stem) : strdup(coords);
        if (!path) return mt_err_set(err, MT_ERR_NO_MEMORY, "path");
        if (!*path) continue;
        *out = mt_steal(path);
        return MT_OK;
    }
    return mt_err_set(err, MT_ERR_NOT_FOUND,
                      "no coordinates of this slide: the folder has neither <slide>.h5 nor "
                      "<slide>_patches.h5, nor its folders patches and <slide>");
}
