/* From files and frames to levels: which frame is which tile of the optical path and focal plane that
 * are read (PS3.3 C.7.6.17, C.8.12.4, C.8.12.6). */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "slide/dicom/levels.h"

enum { MAX_PLANES = 4096 };
static const double SAME_Z_UM = 0.01;

void mt_dicom_level_free(mt_dicom_level *l)
{
    free(l->refs);
    free(l->rects);
    free(l->bucket_at);
    free(l->bucket);
    memset(l, 0, sizeof *l);
}

/* ---- pictures: the files of one size ---- */

typedef struct sorter { const mt_dicom_part *p; uint32_t i; } sorter;

static int by_picture(const void *a, const void *b)
{
    const sorter *x = a, *y = b;
    const mt_dicom_facts *f = &x->p->facts, *g = &y->p->facts;
    if (f->width != g->width) return f->width > g->width ? -1 : 1;
    if (f->height != g->height) return f->height > g->height ? -1 : 1;
    if (f->concatenation.a != g->concatenation.a) return f->concatenation.a < g->concatenation.a ? -1 : 1;
    if (f->concatenation.b != g->concatenation.b) return f->concatenation.b < g->concatenation.b ? -1 : 1;
    if (!mt_dicom_none(f->concatenation) && f->part != g->part) return f->part < g->part ? -1 : 1;
    return (x->i > y->i) - (x->i < y->i);
}

/* One instance, or the parts of a concatenation in order. */
typedef struct whole {
    const sorter *parts;
    uint32_t n;
    uint64_t frames;
} whole;

static mt_status check_whole(whole *w, mt_err *err)
{
    const mt_dicom_facts *f = &w->parts[0].p->facts;
    w->frames = f->frames;
    if (mt_dicom_none(f->concatenation)) return MT_OK;
    uint32_t total = f->parts;
    w->frames = 0;
    for (uint32_t k = 0; k < w->n; k++) {
        const mt_dicom_facts *p = &w->parts[k].p->facts;
        if (p->parts) total = p->parts;
        if (p->part != k + 1)
            return mt_err_set(err, MT_ERR_FORMAT,
                              p->part && p->part <= k ? "part %u of a concatenation is there twice"
                                                      : "part %u of a concatenation is missing",
                              p->part && p->part <= k ? p->part : k + 1);
        if (p->part_offset != w->frames)
            return mt_err_set(err, MT_ERR_FORMAT,
                              "part %u of a concatenation begins at frame %u, the parts before it end "
                              "at %llu", k + 1, p->part_offset, (unsigned long long)w->frames);
        w->frames += p->frames;
    }
    if (total > w->n)
        return mt_err_set(err, MT_ERR_FORMAT, "part %u of a concatenation of %u is missing", w->n + 1,
                          total);
    return MT_OK;
}

/* Wholes of a picture; *n of them in the caller's room for as many as parts. */
static mt_status find_wholes(whole *out, uint32_t *n, const sorter *parts, uint32_t n_parts, mt_err *err)
{
    *n = 0;
    for (uint32_t i = 0, j; i < n_parts; i = j) {
        const mt_dicom_id c = parts[i].p->facts.concatenation;
        for (j = i + 1; j < n_parts && !mt_dicom_none(c) &&
                        mt_dicom_same(parts[j].p->facts.concatenation, c); j++) {}
        out[*n] = (whole){&parts[i], j - i, 0};
        MT_TRY(check_whole(&out[(*n)++], err));
    }
    return MT_OK;
}

/* ---- what is read of it ---- */

/* Frames in the standard's order, or by their positions? */
static bool is_full(const whole *w)
{
    const mt_dicom_part *p = w->parts[0].p;
    return p->facts.full || !p->frames.places;
}

typedef struct counts { uint64_t tiles_x, tiles_y, planes, paths; } counts;

/* TILED_FULL: what the number of frames must be the product of. */
static mt_status count(counts *out, const whole *w, mt_err *err)
{
    const mt_dicom_facts *f = &w->parts[0].p->facts;
    const uint64_t tx = ((uint64_t)f->width + f->columns - 1) / f->columns,
                   ty = ((uint64_t)f->height + f->rows - 1) / f->rows;
    uint64_t planes = f->planes ? f->planes : 1, paths = f->paths ? f->paths : MT_MAX(f->n_ids, 1u);
    *out = (counts){tx, ty, planes, paths};
    if (tx > w->frames || ty > w->frames) goto wrong;
    if (tx * ty == w->frames) { /* whatever the header counts besides */
        out->planes = out->paths = 1;
        return MT_OK;
    }
    if (planes > w->frames || paths > w->frames || tx * ty > w->frames) goto wrong;
    if (!f->planes && w->frames % (tx * ty * paths) == 0) planes = w->frames / (tx * ty * paths);
    out->planes = planes;
    if (planes > MAX_PLANES) goto wrong;
    if (planes <= w->frames / (tx * ty) && tx * ty * planes * paths == w->frames) return MT_OK;
wrong:
    return mt_err_set(err, MT_ERR_FORMAT,
                      "%llu frames, but %lld x %lld pixels in tiles of %u x %u, %llu focal planes and "
                      "%llu optical paths need another number",
                      (unsigned long long)w->frames, (long long)f->width, (long long)f->height,
                      f->columns, f->rows, (unsigned long long)planes, (unsigned long long)paths);
}

static uint32_t n_ids(const mt_dicom_facts *f) { return MT_MIN(f->n_ids, (uint32_t)MT_DICOM_MAX_PATHS); }

/* Index of the path among the file's own; -1 when it has none of this name. */
static int path_index(const mt_dicom_facts *f, const char *id)
{
    if (!n_ids(f) || !id[0]) return 0; /* nothing to tell paths apart by */
    for (uint32_t i = 0; i < n_ids(f); i++)
        if (!strcmp(f->ids[i], id)) return (int)i;
    return -1;
}

/* Planes by their Z, ascending, of the frames that have one; *n 0 when all are TILED_FULL. */
static mt_status find_planes(double **out, uint32_t *n, const whole *w, uint32_t n_wholes, mt_err *err)
{
    size_t total = 0, k = 0;
    *out = NULL;
    *n = 0;
    for (uint32_t i = 0; i < n_wholes; i++)
        if (!is_full(&w[i])) total += (size_t)w[i].frames;
    if (!total) return MT_OK;
    MT_AUTO_FREE double *z = NULL;
    MT_TRY(mt_alloc(&z, total, sizeof *z, SIZE_MAX, "focal planes", err));
    for (uint32_t i = 0; i < n_wholes; i++)
        for (uint32_t p = 0; !is_full(&w[i]) && p < w[i].n; p++) {
            const mt_dicom_frames *f = &w[i].parts[p].p->frames;
            for (uint32_t j = 0; f->places && j < f->n; j++) z[k++] = f->places[j].z;
        }
    mt_dicom_sort(z, k);
    for (size_t i = 0; i < k; i++)
        if (*n == 0 || z[i] - z[*n - 1] > SAME_Z_UM) z[(*n)++] = z[i];
    if (*n > MAX_PLANES)
        return mt_err_set(err, MT_ERR_LIMIT, "%u focal planes, at most %d are read", *n, MAX_PLANES);
    *out = mt_steal(z);
    return MT_OK;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void mt_dicom_sort(double *v, size_t n) { qsort(v, n, sizeof *v, by_value); }

static uint32_t middle(uint64_t n) { return n ? (uint32_t)((n - 1) / 2) : 0; }

/* ---- frames into tiles ---- */

typedef struct filling {
    mt_dicom_level *l;
    uint64_t duplicates, outside, nowhere;
    bool off_grid;
} filling;

static mt_status make_grid(mt_dicom_level *l, const whole *w, bool full, mt_err *err)
{
    const mt_dicom_facts *f = &w->parts[0].p->facts;
    l->width = f->width;
    l->height = f->height;
    l->frame_w = l->tile_w = (int32_t)f->columns;
    l->frame_h = l->tile_h = (int32_t)f->rows;
    l->first_part = w->parts[0].i;
    l->tiles_x = (l->width + l->tile_w - 1) / l->tile_w;
    l->tiles_y = (l->height + l->tile_h - 1) / l->tile_h;
    const int64_t most = full ? MT_DICOM_MAX_TILES : MT_DICOM_MAX_SPARSE;
    if (l->tiles_x > most || l->tiles_y > most || l->tiles_x * l->tiles_y > most)
        return mt_err_set(err, MT_ERR_LIMIT, "a grid of %lld x %lld tiles; at most %lld are read",
                          (long long)l->tiles_x, (long long)l->tiles_y, (long long)most);
    const size_t n = (size_t)(l->tiles_x * l->tiles_y);
    MT_TRY(mt_alloc(&l->refs, n, sizeof *l->refs, SIZE_MAX, "tiles", err));
    memset(l->refs, 0xff, n * sizeof *l->refs);
    return MT_OK;
}

static void put(filling *to, int64_t tile, uint32_t part, uint32_t frame)
{
    mt_dicom_ref *r = &to->l->refs[tile];
    if (r->part != MT_DICOM_ABSENT) to->duplicates++;
    else *r = (mt_dicom_ref){part, frame};
}

static void fill_full(filling *to, const whole *w, const counts *c, uint32_t path, uint32_t plane)
{
    const uint64_t tiles = c->tiles_x * c->tiles_y,
                   first = ((uint64_t)path * c->planes + plane) * tiles;
    uint32_t k = 0;
    uint64_t begins = 0; /* of part k */
    for (uint64_t t = 0; t < tiles; t++) {
        while (first + t >= begins + w->parts[k].p->facts.frames) begins += w->parts[k++].p->facts.frames;
        put(to, (int64_t)t, w->parts[k].i, (uint32_t)(first + t - begins));
    }
}

/* Frames of this path and plane, in order, with their places. */
typedef mt_status (*each_fn)(filling *to, const mt_dicom_place *at, uint32_t part, uint32_t frame,
                             mt_err *err);

static mt_status each(filling *to, const whole *w, int path, double z, each_fn fn, mt_err *err)
{
    const mt_dicom_level *l = to->l;
    for (uint32_t k = 0; k < w->n; k++) {
        const mt_dicom_frames *f = &w->parts[k].p->frames;
        const bool one_path = n_ids(&w->parts[k].p->facts) < 2;
        for (uint32_t i = 0; f->places && i < f->n; i++) {
            const mt_dicom_place *p = &f->places[i];
            if (!one_path && p->path != (uint32_t)path) continue;
            if (fabs(p->z - z) > SAME_Z_UM) continue;
            if (p->stated != 3) to->nowhere++;
            else if (p->x >= l->width || p->y >= l->height || p->x <= -l->frame_w || p->y <= -l->frame_h)
                to->outside++;
            else MT_TRY(fn(to, p, w->parts[k].i, i, err));
        }
    }
    return MT_OK;
}

static mt_status look_grid(filling *to, const mt_dicom_place *p, uint32_t part, uint32_t frame, mt_err *err)
{
    if (p->x % to->l->frame_w || p->y % to->l->frame_h) to->off_grid = true;
    to->l->n_rects++;
    return MT_OK;
}

static mt_status put_grid(filling *to, const mt_dicom_place *p, uint32_t part, uint32_t frame, mt_err *err)
{
    const mt_dicom_level *l = to->l;
    put(to, p->y / l->frame_h * l->tiles_x + p->x / l->frame_w, part, frame);
    return MT_OK;
}

static mt_status put_rect(filling *to, const mt_dicom_place *p, uint32_t part, uint32_t frame, mt_err *err)
{
    to->l->rects[to->l->n_rects++] = (mt_dicom_rect){p->x, p->y, {part, frame}};
    return MT_OK;
}

/* Tiles of the nominal grid a frame touches. */
static void touched(const mt_dicom_level *l, const mt_dicom_rect *r, int64_t t[4])
{
    t[0] = r->x < 0 ? 0 : r->x / l->tile_w;
    t[1] = r->y < 0 ? 0 : r->y / l->tile_h;
    t[2] = MT_MIN(((int64_t)r->x + l->frame_w - 1) / l->tile_w, l->tiles_x - 1);
    t[3] = MT_MIN(((int64_t)r->y + l->frame_h - 1) / l->tile_h, l->tiles_y - 1);
}

static mt_status make_buckets(mt_dicom_level *l, mt_err *err)
{
    const size_t n = (size_t)(l->tiles_x * l->tiles_y);
    size_t total = 0;
    MT_TRY(mt_alloc(&l->bucket_at, n + 2, sizeof *l->bucket_at, SIZE_MAX, "tiles", err));
    uint32_t *at = l->bucket_at + 1; /* counts, then places: one ahead until all is filled */
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < l->n_rects; i++) {
            int64_t t[4];
            touched(l, &l->rects[i], t);
            for (int64_t y = t[1]; y <= t[3]; y++)
                for (int64_t x = t[0]; x <= t[2]; x++) {
                    const size_t k = (size_t)(y * l->tiles_x + x);
                    if (pass == 0) at[k + 1]++, total++;
                    else l->bucket[at[k]++] = i;
                }
        }
        if (pass == 1) break;
        for (size_t k = 1; k <= n; k++) at[k] += at[k - 1];
        MT_TRY(mt_alloc(&l->bucket, total, sizeof *l->bucket, SIZE_MAX, "tiles", err));
    }
    return MT_OK;
}

static mt_status fill_rects(filling *to, const whole *w, uint32_t n_wholes, const char *id, double z,
                            mt_err *err)
{
    mt_dicom_level *l = to->l;
    free(l->refs);
    l->refs = NULL;
    MT_TRY(mt_alloc(&l->rects, l->n_rects, sizeof *l->rects, SIZE_MAX, "frames", err));
    l->n_rects = 0;
    for (uint32_t i = 0; i < n_wholes; i++)
        if (!is_full(&w[i]))
            MT_TRY(each(to, &w[i], path_index(&w[i].parts[0].p->facts, id), z, put_rect, err));
    return make_buckets(l, err);
}

/* ---- a level ---- */

static bool same_frames(const mt_dicom_facts *a, const mt_dicom_facts *b)
{
    return a->rows == b->rows && a->columns == b->columns && a->samples == b->samples &&
           a->bits == b->bits && a->planar == b->planar && !strcmp(a->syntax, b->syntax);
}

static mt_status fill(filling *to, const whole *w, uint32_t n_wholes, const mt_dicom_choice *choice,
                      bool *any, mt_err *err)
{
    MT_AUTO_FREE double *z = NULL;
    uint32_t n_z;
    bool mixed = false;
    MT_TRY(find_planes(&z, &n_z, w, n_wholes, err));
    uint32_t near = n_z == choice->n_planes ? choice->plane : middle(n_z);
    for (uint32_t i = 0; i < n_z && !isnan(choice->z); i++)
        if (i == 0 || fabs(z[i] - choice->z) < fabs(z[near] - choice->z)) near = i;
    for (uint32_t i = 0; i < n_wholes; i++) {
        const mt_dicom_facts *f = &w[i].parts[0].p->facts;
        const int path = path_index(f, choice->path);
        if (path < 0) continue;
        if (!is_full(&w[i])) {
            *any = true;
            MT_TRY(each(to, &w[i], path, z[near], look_grid, err));
            continue;
        }
        counts c;
        MT_TRY(count(&c, &w[i], err));
        if ((uint64_t)path >= c.paths) continue;
        *any = mixed = true;
        fill_full(to, &w[i], &c, (uint32_t)path,
                  c.planes == choice->n_planes ? choice->plane : middle(c.planes));
    }
    if (to->off_grid && mixed)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "frames both in order and off the tile grid");
    if (to->off_grid) return fill_rects(to, w, n_wholes, choice->path, z[near], err);
    to->outside = to->nowhere = 0; /* each is asked again */
    for (uint32_t i = 0; i < n_wholes && n_z; i++) {
        const int path = path_index(&w[i].parts[0].p->facts, choice->path);
        if (!is_full(&w[i]) && path >= 0) MT_TRY(each(to, &w[i], path, z[near], put_grid, err));
    }
    to->l->n_rects = 0;
    return MT_OK;
}

static void warn_filling(const filling *to, mt_slide_info *info, int level)
{
    if (to->duplicates)
        mt_slide_warn(info, "level %d: %llu frames lie where another one lies; the first is used", level,
                      (unsigned long long)to->duplicates);
    if (to->outside)
        mt_slide_warn(info, "level %d: %llu frames lie outside the image and are left out", level,
                      (unsigned long long)to->outside);
    if (to->nowhere)
        mt_slide_warn(info, "level %d: %llu frames state no position and are left out", level,
                      (unsigned long long)to->nowhere);
}

/* One huge native frame is read in bands of rows. */
static void cut_rows(mt_dicom_level *l, const mt_dicom_part *p)
{
    const mt_dicom_facts *f = &p->facts;
    if (!l->refs || f->encapsulated || l->frame_w != l->width || l->frame_h != l->height) return;
    if ((f->planar && f->samples > 1) || (int64_t)l->frame_w * l->frame_h <= MT_DICOM_BAND * 4) return;
    l->cut_rows = true;
    l->tile_h = (int32_t)MT_MAX(MT_DICOM_BAND / l->frame_w, 1);
    l->tiles_y = (l->height + l->tile_h - 1) / l->tile_h;
}

static mt_status make_level(mt_dicom_level *l, mt_slide_info *info, int level, const whole *w,
                            uint32_t n_wholes, const mt_dicom_choice *choice, mt_err *err)
{
    bool any = false;
    const mt_dicom_facts *first = &w[0].parts[0].p->facts;
    for (uint32_t i = 0; i < n_wholes; i++)
        for (uint32_t k = 0; k < w[i].n; k++)
            if (!same_frames(first, &w[i].parts[k].p->facts))
                return mt_err_set(err, MT_ERR_UNSUPPORTED,
                                  "files of one level have frames of different kinds");
    filling to = {.l = l};
    bool full = true;
    for (uint32_t i = 0; i < n_wholes; i++) full = full && is_full(&w[i]);
    if (full) { /* before room is made for what the header merely claims */
        counts c;
        for (uint32_t i = 0; i < n_wholes; i++) MT_TRY(count(&c, &w[i], err));
    }
    MT_TRY(make_grid(l, &w[0], full, err));
    MT_TRY(fill(&to, w, n_wholes, choice, &any, err));
    if (!any)
        return mt_err_set(err, MT_ERR_NOT_FOUND, "optical path \"%s\" is not among the level's",
                          choice->path);
    cut_rows(l, w[0].parts[0].p);
    if ((size_t)l->tile_w * (size_t)l->tile_h > MT_CODEC_MAX_PIXELS)
        return mt_err_set(err, MT_ERR_LIMIT, "frames of %d x %d pixels", l->frame_w, l->frame_h);
    warn_filling(&to, info, level);
    return MT_OK;
}

/* ---- the choice of path and plane, made on the finest picture ---- */

static void list_paths(char ids[][17], int *n, const whole *w, uint32_t n_wholes)
{
    *n = 0;
    for (uint32_t i = 0; i < n_wholes; i++) {
        const mt_dicom_facts *f = &w[i].parts[0].p->facts;
        counts c;
        /* A header may list more paths than the file has frames of. */
        const uint32_t have = is_full(&w[i]) && count(&c, &w[i], NULL) == MT_OK
                                  ? (uint32_t)MT_MIN(c.paths, (uint64_t)n_ids(f)) : n_ids(f);
        for (uint32_t k = 0; k < have && *n < MT_DICOM_MAX_PATHS; k++) {
            int j = 0;
            while (j < *n && strcmp(ids[j], f->ids[k])) j++;
            if (j == *n) memcpy(ids[(*n)++], f->ids[k], 17);
        }
    }
    if (!*n) ids[(*n)++][0] = 0;
}

static mt_status choose(mt_dicom_choice *out, mt_slide_info *info, const whole *w, uint32_t n_wholes,
                        const mt_slide_opts *opts, mt_err *err)
{
    char ids[MT_DICOM_MAX_PATHS][17];
    int n;
    list_paths(ids, &n, w, n_wholes);
    int i = 0;
    if (opts && opts->optical_path) {
        while (i < n && strcmp(ids[i], opts->optical_path)) i++;
        if (i == n) {
            char all[160] = "";
            for (int k = 0; k < n; k++)
                snprintf(all + strlen(all), sizeof all - strlen(all), "%s\"%s\"", k ? ", " : "", ids[k]);
            return mt_err_set(err, MT_ERR_ARG, "no optical path \"%.32s\"; the slide has %s",
                              opts->optical_path, all);
        }
    }
    MT_AUTO_FREE double *z = NULL;
    uint32_t n_z;
    counts c = {0, 0, 1, 1};
    MT_TRY(find_planes(&z, &n_z, w, n_wholes, err));
    if (!n_z) MT_TRY(count(&c, &w[0], err));
    const uint32_t planes = n_z ? n_z : (uint32_t)MT_MIN(c.planes, (uint64_t)INT32_MAX);
    const int asked = opts ? opts->focal_plane : -1;
    if (asked >= 0 && (uint32_t)asked >= planes)
        return mt_err_set(err, MT_ERR_ARG, "no focal plane %d; the slide has %u, counted from 0", asked,
                          planes);
    memcpy(out->path, ids[i], sizeof out->path);
    out->n_planes = planes;
    out->plane = asked >= 0 ? (uint32_t)asked : middle(planes);
    out->z = n_z ? z[out->plane] : NAN;
    info->n_optical_paths = n;
    info->n_focal_planes = (int)planes;
    info->focal_plane = (int)out->plane;
    snprintf(info->optical_path, sizeof info->optical_path, "%s", out->path);
    return MT_OK;
}

/* ---- all of them ---- */

/* What is refused of a finest picture is refused of the slide; coarser ones are left out. */
static mt_status leave_out(mt_slide_info *info, const mt_dicom_facts *f, int n, mt_status st, mt_err *why,
                           mt_err *err)
{
    if (st == MT_OK) return MT_OK;
    if (n == 0 || st == MT_ERR_NO_MEMORY || st == MT_ERR_TEMPORARY) {
        if (st != MT_ERR_ARG) mt_err_context(why, "%lld x %lld pixels", (long long)f->width, (long long)f->height);
        return mt_err_set(err, st, "%s", why->text);
    }
    mt_slide_warn(info, "%lld x %lld pixels are left out: %.100s", (long long)f->width,
                  (long long)f->height, why->text);
    return MT_OK;
}

static mt_status add_picture(mt_dicom_slide *ds, mt_slide_info *info, mt_dicom_choice *choice,
                             const sorter *parts, uint32_t n, const mt_slide_opts *opts, mt_err *err)
{
    const mt_dicom_facts *f = &parts[0].p->facts;
    MT_AUTO_FREE whole *w = NULL;
    uint32_t n_wholes;
    mt_dicom_level l = {0};
    const mt_dicom_facts *l0 = ds->n_levels ? &ds->parts[ds->levels[0].first_part].facts : NULL;
    if (l0 && !mt_slide_same_proportions(l0->width, l0->height, f->width, f->height))
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "they are no reduction of level 0");
    if (ds->n_levels == MT_MAX_LEVELS)
        return mt_err_set(err, MT_ERR_LIMIT, "more than %d levels", MT_MAX_LEVELS);
    MT_TRY(mt_alloc(&w, n, sizeof *w, SIZE_MAX, "levels", err));
    for (uint32_t i = 0; i < n; i++) MT_TRY(mt_dicom_part_check(parts[i].p, err));
    MT_TRY(find_wholes(w, &n_wholes, parts, n, err));
    if (!ds->n_levels) MT_TRY(choose(choice, info, w, n_wholes, opts, err));
    mt_status st = make_level(&l, info, ds->n_levels, w, n_wholes, choice, err);
    if (st == MT_OK) st = mt_dicom_level_coding(&l, ds, info, ds->n_levels, err);
    if (st != MT_OK) mt_dicom_level_free(&l);
    else ds->levels[ds->n_levels++] = l;
    return st;
}

static mt_status add_associated(mt_dicom_slide *ds, mt_slide_info *info, uint32_t i, mt_err *err)
{
    mt_dicom_part *p = &ds->parts[i];
    mt_dicom_facts *f = &p->facts;
    const mt_dicom_choice choice = {.path = "", .n_planes = 1, .z = NAN};
    mt_dicom_level l = {0};
    MT_TRY(mt_dicom_part_check(p, err));
    if (f->frames == 1) { /* what the header copied from the volume does not hold */
        f->width = MT_MIN(f->width, (int64_t)f->columns);
        f->height = MT_MIN(f->height, (int64_t)f->rows);
    }
    if ((uint64_t)f->width * (uint64_t)f->height > MT_CODEC_MAX_PIXELS)
        return mt_err_set(err, MT_ERR_LIMIT, "associated image");
    f->n_ids = 0;
    f->concatenation = (mt_dicom_id){0, 0};
    const sorter s = {p, i};
    const whole w = {&s, 1, f->frames};
    mt_status st = make_level(&l, info, 0, &w, 1, &choice, err);
    if (st == MT_OK) st = mt_dicom_level_coding(&l, ds, info, -1, err);
    if (st != MT_OK) mt_dicom_level_free(&l);
    else ds->associated[ds->n_associated++] = l;
    return st;
}

/* The first image of the kind that can be read. */
static void add_associated_of(mt_dicom_slide *ds, mt_slide_info *info, mt_dicom_kind kind, const char *name)
{
    mt_err why = MT_ERR_INIT; /* of the first that cannot */
    for (uint32_t i = 0; i < ds->n_parts; i++) {
        if (ds->parts[i].facts.kind != (int32_t)kind) continue;
        const int n_warnings = info->n_warnings;
        const mt_status st = add_associated(ds, info, i, &why);
        info->n_warnings = n_warnings; /* of levels only */
        if (st != MT_OK) continue;
        mt_associated *a = &info->associated[info->n_associated++];
        const mt_dicom_level *l = &ds->associated[ds->n_associated - 1];
        snprintf(a->name, sizeof a->name, "%s", name);
        a->width = l->width;
        a->height = l->height;
        return;
    }
    if (why.code != MT_OK) mt_slide_warn_associated(info, name, &why);
}

static void add_all_associated(mt_dicom_slide *ds, mt_slide_info *info)
{
    add_associated_of(ds, info, MT_DICOM_LABEL, "label");
    add_associated_of(ds, info, MT_DICOM_OVERVIEW, "macro");
    add_associated_of(ds, info, MT_DICOM_THUMBNAIL, "thumbnail");
}

/* False when the header does not say how large the image is; one frame alone says it by its own sides. */
static bool has_size(mt_dicom_facts *f)
{
    if (f->frames == 1 && (!f->width || !f->height)) {
        f->width = f->columns;
        f->height = f->rows;
    }
    return f->width && f->height && f->rows && f->columns && f->rows <= UINT16_MAX &&
           f->columns <= UINT16_MAX;
}

/* VOLUME parts by size, widest first. One of no size is left out where others make the slide. */
static mt_status sort_volumes(sorter *s, uint32_t *n, mt_dicom_slide *ds, mt_slide_info *info, mt_err *err)
{
    mt_err why = MT_ERR_INIT; /* of the first */
    *n = 0;
    for (uint32_t i = 0; i < ds->n_parts; i++) {
        mt_dicom_facts *f = &ds->parts[i].facts;
        if (f->kind != MT_DICOM_VOLUME) continue;
        if (has_size(f)) s[(*n)++] = (sorter){&ds->parts[i], i};
        else
            (void)mt_err_set(&why, MT_ERR_FORMAT,
                             "total pixel matrix (0048,0006) (0048,0007) of %lld x %lld in frames "
                             "(0028,0011) (0028,0010) of %u x %u", (long long)f->width,
                             (long long)f->height, f->columns, f->rows);
    }
    if (!*n && why.code != MT_OK) return mt_err_set(err, why.code, "%s", why.text);
    if (why.code != MT_OK) mt_slide_warn(info, "an image is left out: %.130s", why.text);
    qsort(s, *n, sizeof *s, by_picture);
    return MT_OK;
}

mt_status mt_dicom_levels_make(mt_dicom_slide *ds, mt_slide_info *info, const mt_slide_opts *opts,
                               mt_err *err)
{
    MT_AUTO_FREE sorter *s = NULL;
    uint32_t n = 0;
    mt_dicom_choice choice = {.path = ""};
    MT_TRY(mt_alloc(&s, ds->n_parts, sizeof *s, SIZE_MAX, "levels", err));
    MT_TRY(sort_volumes(s, &n, ds, info, err));
    for (uint32_t i = 0, j; i < n; i = j) {
        const mt_dicom_facts *f = &s[i].p->facts;
        for (j = i + 1; j < n && s[j].p->facts.width == f->width && s[j].p->facts.height == f->height; j++) {}
        mt_err why = MT_ERR_INIT;
        mt_status st = add_picture(ds, info, &choice, &s[i], j - i, opts, &why);
        MT_TRY(leave_out(info, f, ds->n_levels, st, &why, err));
    }
    add_all_associated(ds, info);
    return MT_OK;
}
