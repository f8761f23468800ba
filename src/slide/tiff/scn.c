/* Leica SCN: XML in the first ImageDescription describes a collection of images, placed in
 * nanometres. The one that covers the collection is the macro image; the others are scanned areas,
 * all of one resolution. The slide is the collection's rectangle, so that its coordinates are those
 * OpenSlide gives; where no area lies it is white.
 *
 * Areas begin anywhere, so a tile of the slide is drawn from up to four stored ones, which are kept. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "slide/facts.h"
#include "slide/stored.h"
#include "slide/tiff/tiff_slide.h"
#include "slide/xml.h"

enum { MAX_AREAS = 16, MAX_TILE = 1 << 22 }; /* pixels: a few can be kept */

/* One level of a scanned area, in pixels of the level. */
typedef struct area {
    mt_tiff_picture picture;
    int64_t x, y;
} area;

typedef struct scn {
    mt_slide_ops ops;
    const mt_slide_ops *base; /* of a plain TIFF slide */
    area areas[MT_MAX_LEVELS][MAX_AREAS];
    int n_areas;
    mt_kept *kept;
    int64_t w, h; /* of the collection, nanometres */
} scn;

static bool detect(const mt_probe *p)
{
    return p->tiff.n_dirs > 0 &&
           mt_tiff_contains(&p->tiff.dirs[0].description, "leica-microsystems.com/scn");
}

/* ---- pixels ---- */

typedef struct stored {
    void *reader;
    const mt_slide *slide;
    const mt_tiff_picture *picture;
    int64_t tx, ty;
} stored;

static mt_status decode_stored(uint8_t *pixels, void *ctx, mt_err *err)
{
    const stored *t = ctx;
    const mt_tiff_slide *ts = t->slide->impl;
    MT_TRY(mt_tiff_picture_decode(t->reader, &ts->tiff, t->picture, t->tx, t->ty, pixels,
                                  3 * (size_t)t->picture->tile_w, err));
    return mt_map_check(&ts->map, err); /* zeros of a fault are not kept */
}

typedef struct box {
    int64_t x0, y0, x1, y1;
} box;

static box cross(box a, box b)
{
    return (box){MT_MAX(a.x0, b.x0), MT_MAX(a.y0, b.y0), MT_MIN(a.x1, b.x1), MT_MIN(a.y1, b.y1)};
}

/* What of an area falls into the box `want`, whose top left is at rgb. */
static mt_status draw_area(void *reader, const mt_slide *s, int level, int at, box want, uint8_t *rgb,
                           size_t stride, mt_err *err)
{
    const scn *c = ((const mt_tiff_slide *)s->impl)->more;
    const area *a = &c->areas[level][at];
    const mt_tiff_picture *p = &a->picture;
    const size_t bytes = 3 * (size_t)p->tile_w * (size_t)p->tile_h;
    const box in = cross(want, (box){a->x, a->y, a->x + p->width, a->y + p->height});
    if (in.x0 >= in.x1 || in.y0 >= in.y1) return MT_OK;
    for (int64_t ty = (in.y0 - a->y) / p->tile_h; a->y + ty * p->tile_h < in.y1; ty++)
        for (int64_t tx = (in.x0 - a->x) / p->tile_w; a->x + tx * p->tile_w < in.x1; tx++) {
            const int64_t x = a->x + tx * p->tile_w, y = a->y + ty * p->tile_h;
            const box part = cross(in, (box){x, y, x + p->tile_w, y + p->tile_h});
            const uint8_t *tile = NULL;
            stored from = {reader, s, p, tx, ty};
            const mt_kept_key key = {(uint64_t)level << 32 | (uint64_t)at, (uint64_t)(ty * p->tiles_x + tx)};
            MT_TRY(mt_kept_take(&tile, c->kept, key, bytes, decode_stored, &from, err));
            for (int64_t row = part.y0; row < part.y1; row++)
                memcpy(rgb + (size_t)(row - want.y0) * stride + 3 * (size_t)(part.x0 - want.x0),
                       tile + 3 * ((size_t)(row - y) * (size_t)p->tile_w + (size_t)(part.x0 - x)),
                       3 * (size_t)(part.x1 - part.x0));
            mt_kept_give(c->kept, tile);
        }
    return MT_OK;
}

static mt_status decode(void *state, const mt_slide *s, int level, int64_t tx, int64_t ty,
                        int scale, uint8_t *rgb, size_t stride, mt_err *err)
{
    const mt_level *l = &s->info.levels[level];
    const scn *c = ((const mt_tiff_slide *)s->impl)->more;
    if (scale != 1) return mt_err_set(err, MT_ERR_ARG, "SCN cannot be decoded at 1/%d", scale);
    const box want = {tx * l->tile_w, ty * l->tile_h, (tx + 1) * l->tile_w, (ty + 1) * l->tile_h};
    for (int32_t y = 0; y < l->tile_h; y++)
        memset(rgb + (size_t)y * stride, 255, 3 * (size_t)l->tile_w);
    mt_err why = MT_ERR_INIT;
    mt_status st = MT_OK;
    for (int i = 0; i < c->n_areas && st == MT_OK; i++)
        st = draw_area(state, s, level, i, want, rgb, stride, &why);
    MT_TRY(c->base->check(s, err));
    if (st == MT_OK) return MT_OK;
    return mt_err_set(err, st, "level %d: tile %lld,%lld: %s", level, (long long)tx, (long long)ty,
                      why.text);
}

static int max_reduce(const mt_slide *s, int level)
{
    return 1;
}

/* ---- reading the XML ---- */

static int64_t attr(const mt_xml_node *n, const char *name)
{
    return mt_facts_whole(mt_xml_attr_of(n, name), -1);
}

static bool is_macro(const scn *c, const mt_xml_node *image)
{
    const mt_xml_node *view = mt_xml_child(image, "view");
    return attr(view, "offsetX") == 0 && attr(view, "offsetY") == 0 &&
           attr(view, "sizeX") == c->w && attr(view, "sizeY") == c->h;
}

/* The directory of one resolution: focal plane 0, no channel. -1: there is none. */
static int dir_of(const mt_tiff *t, const mt_xml_node *image, int64_t resolution)
{
    const mt_xml_node *d = mt_xml_child(mt_xml_child(image, "pixels"), "dimension");
    for (; d; d = mt_xml_next(d, "dimension")) {
        const int64_t ifd = attr(d, "ifd");
        if (mt_facts_whole(mt_xml_attr_of(d, "r"), 0) == resolution &&
            mt_facts_whole(mt_xml_attr_of(d, "z"), 0) == 0 && ifd >= 0 && ifd < t->n_chain)
            return (int)ifd;
    }
    return -1;
}

static mt_status refuse_fluorescence(const mt_xml_node *image, mt_err *err)
{
    const mt_xml_node *n = image;
    while ((n = mt_xml_walk(image, n, "illuminationSource")))
        if (!mt_facts_is(n->text, "brightfield"))
            return mt_err_set(err, MT_ERR_UNSUPPORTED,
                              "SCN: an image that is not brightfield (illuminationSource)");
    return MT_OK;
}

/* One resolution of one area: its directory, and where it lies in pixels of the level. */
static mt_status place(mt_slide *s, const mt_xml_node *image, int level, int at, double *nm,
                       mt_err *err)
{
    mt_tiff_slide *ts = s->impl;
    scn *c = ts->more;
    area *a = &c->areas[level][at];
    const mt_xml_node *view = mt_xml_child(image, "view");
    const int64_t w = attr(view, "sizeX"), x = attr(view, "offsetX"), y = attr(view, "offsetY");
    const int dir = dir_of(&ts->tiff, image, level);
    if (dir < 0 || w < 1 || x < 0 || y < 0)
        return mt_err_set(err, MT_ERR_UNSUPPORTED,
                          "SCN: area %d has no directory or place for resolution %d", at, level);
    MT_TRY(mt_tiff_picture_make(&a->picture, &ts->tiff, dir, err));
    if (a->picture.turn != 1 || !a->picture.dir->tile_w)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "IFD %d: turned, or in strips", dir);
    if ((int64_t)a->picture.tile_w * a->picture.tile_h > MAX_TILE)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "IFD %d: SCN tiles of %d x %d pixels", dir,
                          a->picture.tile_w, a->picture.tile_h);
    const double here = (double)w / (double)a->picture.width;
    if (at == 0) *nm = here;
    if (fabs(here / *nm - 1.0) > 0.001)
        return mt_err_set(err, MT_ERR_UNSUPPORTED,
                          "SCN: areas of several resolutions: %.6g and %.6g nm/px at level %d", *nm,
                          here, level);
    if ((double)x / *nm > INT32_MAX || (double)y / *nm > INT32_MAX)
        return mt_err_set(err, MT_ERR_LIMIT,
                          "SCN: area %d begins at %lld,%lld nm, %.6g nm/px: past %d pixels", at,
                          (long long)x, (long long)y, *nm, INT32_MAX);
    a->x = llround((double)x / *nm);
    a->y = llround((double)y / *nm);
    return MT_OK;
}

static void set_level(mt_slide *s, int level, double nm)
{
    const scn *c = ((const mt_tiff_slide *)s->impl)->more;
    const mt_tiff_picture *p = &c->areas[level][0].picture;
    mt_level *l = &s->info.levels[level];
    l->width = (int64_t)MT_MIN(ceil((double)c->w / nm), (double)INT32_MAX);
    l->height = (int64_t)MT_MIN(ceil((double)c->h / nm), (double)INT32_MAX);
    l->tile_w = p->tile_w;
    l->tile_h = p->tile_h;
    snprintf(l->codec, sizeof l->codec, "%s", mt_codec_name(p->coding.codec));
    char warning[160];
    mt_codec_describe(l->colour, warning, &p->coding, NULL, 0);
    s->info.n_levels = level + 1;
}

static void set_bounds(mt_slide_info *info, const scn *c)
{
    box b = {INT64_MAX, INT64_MAX, 0, 0};
    for (int i = 0; i < c->n_areas; i++) {
        const area *a = &c->areas[0][i];
        b = (box){MT_MIN(b.x0, a->x), MT_MIN(b.y0, a->y), MT_MAX(b.x1, a->x + a->picture.width),
                  MT_MAX(b.y1, a->y + a->picture.height)};
    }
    info->bounds_x = b.x0;
    info->bounds_y = b.y0;
    info->bounds_w = b.x1 - b.x0;
    info->bounds_h = b.y1 - b.y0;
}

static mt_status sort_out(mt_slide *s, const mt_xml_node *collection, mt_err *err)
{
    mt_tiff_slide *ts = s->impl;
    scn *c = ts->more;
    const mt_xml_node *areas[MAX_AREAS], *image = mt_xml_child(collection, "image");
    for (; image; image = mt_xml_next(image, "image")) {
        MT_TRY(refuse_fluorescence(image, err));
        if (is_macro(c, image)) {
            const int dir = dir_of(&ts->tiff, image, 0);
            if (dir >= 0) mt_tiff_slide_add_associated(s, dir, "macro", 5);
        } else if (c->n_areas == MAX_AREAS) {
            return mt_err_set(err, MT_ERR_LIMIT, "SCN: more than %d areas", MAX_AREAS);
        } else {
            areas[c->n_areas++] = image;
        }
    }
    if (!c->n_areas) return mt_err_set(err, MT_ERR_UNSUPPORTED, "SCN: no scanned area");
    for (int level = 0; level < MT_MAX_LEVELS; level++) {
        double nm = 0.0;
        if (level && dir_of(&ts->tiff, areas[0], level) < 0) break;
        for (int i = 0; i < c->n_areas; i++)
            MT_TRY(place(s, areas[i], level, i, &nm, err));
        if (level && c->areas[level][0].picture.width >= c->areas[level - 1][0].picture.width)
            return mt_err_set(err, MT_ERR_FORMAT, "SCN: level %d is no smaller than the one before",
                              level);
        set_level(s, level, nm);
    }
    mt_slide_finish_levels(&s->info);
    set_bounds(&s->info, c);
    const mt_xml_node *lens = mt_xml_walk(areas[0], areas[0], "objective"),
                      *device = mt_xml_child(areas[0], "device");
    const double mag = lens ? mt_facts_number(lens->text) : 0.0;
    if (mag <= 1000.0) s->info.objective = mag;
    const char *model = mt_xml_attr_of(device, "model");
    if (model) snprintf(s->info.scanner, sizeof s->info.scanner, "%.40s", model);
    return MT_OK;
}

static void read_spacing(mt_slide_info *info, const scn *c, const mt_xml_node *collection)
{
    const mt_tiff_dir *d = c->areas[0][0].picture.dir;
    mt_facts_fall_back_to_tags(info, d);
    const double nm = (double)c->w / (double)info->levels[0].width / 1000.0;
    if (info->mpp_x <= 0.0 && c->w > 0) {
        snprintf(info->mpp_looked_at, sizeof info->mpp_looked_at,
                 "resolution tags (282, 283, 296); view sizes of the SCN XML");
        mt_facts_set_spacing(info, (mt_spacing){nm, nm}, "leica.view");
    } else if (fabs(nm / info->mpp_x - 1.0) > 0.02) {
        mt_slide_warn(info, "the resolution tags say %.6g um/px, the SCN XML %.6g; used the former",
                      info->mpp_x, nm);
    }
}

static mt_status read_slide(mt_slide *s, mt_xml *xml, mt_err *err)
{
    mt_tiff_slide *ts = s->impl;
    scn *c = ts->more;
    const mt_tiff_bytes text = ts->tiff.dirs[0].description;
    MT_TRY(mt_xml_parse(xml, text.p, text.n, "IFD 0: SCN XML", err));
    const mt_xml_node *collection = mt_xml_child(xml->root, "collection");
    c->w = attr(collection, "sizeX");
    c->h = attr(collection, "sizeY");
    if (c->w < 1 || c->h < 1)
        return mt_err_set(err, MT_ERR_FORMAT, "IFD 0: SCN XML without a collection of a size");
    MT_TRY(sort_out(s, collection, err));
    read_spacing(&s->info, c, collection);
    s->info.icc_bytes = (int)MT_MIN(c->areas[0][0].picture.dir->icc_bytes, (uint64_t)INT32_MAX);
    return MT_OK;
}

static void close_slide(mt_slide *s)
{
    scn *c = ((mt_tiff_slide *)s->impl)->more;
    mt_kept_free(&c->kept);
    c->base->close(s);
}

static mt_status open_scn(mt_slide *s, mt_probe *p, mt_err *err)
{
    mt_tiff_slide *ts = NULL;
    MT_TRY(mt_tiff_slide_begin(&ts, s, p, err));
    snprintf(s->info.vendor, sizeof s->info.vendor, "leica");
    scn *c = NULL;
    MT_TRY(mt_alloc(&c, 1, sizeof *c, sizeof *c, "slide", err));
    ts->more = c;
    c->base = s->ops;
    c->ops = *s->ops;
    c->ops.span = NULL; /* a tile is no stored one */
    c->ops.close = close_slide;
    c->ops.decode = decode;
    c->ops.decode_rows = NULL;
    c->ops.max_reduce = max_reduce;
    mt_xml xml = {.root = NULL};
    mt_status st = read_slide(s, &xml, err);
    mt_xml_free(&xml);
    if (st == MT_OK) st = mt_kept_new(&c->kept, MT_KEPT_BYTES, err);
    if (st == MT_OK) s->ops = &c->ops;
    return st;
}

const mt_format mt_format_scn = {
    {"leica-scn", "Leica SCN, brightfield, single file", "fixture only"},
    detect,
    open_scn,
};
