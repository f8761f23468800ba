/* OME-TIFF: OME-XML in the ImageDescription of the first directory says which directory is which
 * plane of which image. The first image is the slide; others are shown when their name says label,
 * macro or thumbnail. Coarser levels are the SubIFDs of a plane's directory, or in older files
 * directories marked as reduced, or further images of the same proportions.
 *
 * Namespaces of all years are read alike: elements and attributes that matter here are the same in
 * all of them since 2009. */
#include <stdio.h>
#include <string.h>
#include "slide/facts.h"
#include "slide/tiff/tiff_slide.h"
#include "slide/xml.h"

typedef struct ome_image {
    const mt_xml_node *node, *pixels;
    int64_t w, h, z, c, t;
    int64_t samples; /* of the first channel: 3 is RGB in one directory */
    int first_dir;   /* of the first plane when its TiffData do not say; planes count on */
} ome_image;

typedef struct ome {
    mt_slide *s;
    mt_tiff_slide *ts;
    mt_xml xml;
    const char *uuid; /* of this file; NULL when not said */
} ome;

static bool detect(const mt_probe *p)
{
    return p->tiff.n_dirs > 0 && mt_tiff_contains(&p->tiff.dirs[0].description, "<OME") &&
           mt_tiff_contains(&p->tiff.dirs[0].description, "openmicroscopy.org");
}

/* ---- reading the XML ---- */

static mt_status read_image(ome_image *out, const mt_xml_node *node, mt_err *err)
{
    const mt_xml_node *pixels = mt_xml_child(node, "Pixels");
    if (!pixels) return mt_err_set(err, MT_ERR_FORMAT, "OME-XML: an Image without Pixels");
    const char *spp = mt_xml_attr_of(mt_xml_child(pixels, "Channel"), "SamplesPerPixel");
    *out = (ome_image){.node = node,
                       .pixels = pixels,
                       .w = mt_facts_whole(mt_xml_attr_of(pixels, "SizeX"), 0),
                       .h = mt_facts_whole(mt_xml_attr_of(pixels, "SizeY"), 0),
                       .z = mt_facts_whole(mt_xml_attr_of(pixels, "SizeZ"), 1),
                       .c = mt_facts_whole(mt_xml_attr_of(pixels, "SizeC"), 1),
                       .t = mt_facts_whole(mt_xml_attr_of(pixels, "SizeT"), 1),
                       .samples = mt_facts_whole(spp, 0)};
    return MT_OK;
}

/* Channels that lie in directories of their own. */
static int64_t planes_of(const ome_image *i)
{
    return MT_MAX(i->c / MT_MAX(i->samples, 1), 1);
}

/* Directory of channel plane `c` at the first focal plane and time; -1: not in this file. */
static int dir_of(const ome *o, const ome_image *image, int64_t c)
{
    const mt_xml_node *data = mt_xml_child(image->pixels, "TiffData");
    const int64_t first = image->first_dir + c;
    if (!data) return first < o->ts->tiff.n_chain ? (int)first : -1;
    for (; data; data = mt_xml_next(data, "TiffData")) {
        const char *ifd = mt_xml_attr_of(data, "IFD");
        const int64_t from =
            mt_facts_whole(mt_xml_attr_of(data, "FirstC"), 0) / MT_MAX(image->samples, 1);
        const int64_t n = mt_facts_whole(mt_xml_attr_of(data, "PlaneCount"), ifd ? 1 : INT32_MAX);
        if (mt_facts_whole(mt_xml_attr_of(data, "FirstZ"), 0) ||
            mt_facts_whole(mt_xml_attr_of(data, "FirstT"), 0) || c < from || c - from >= n)
            continue;
        const mt_xml_node *uuid = mt_xml_child(data, "UUID");
        if (uuid && o->uuid && strcmp(uuid->text, o->uuid)) return -1;
        const int64_t dir = mt_facts_whole(ifd, ifd ? -1 : image->first_dir) + (c - from);
        return dir >= 0 && dir < o->ts->tiff.n_chain ? (int)dir : -1;
    }
    return -1;
}

/* ---- spacing ---- */

/* Micrometres a unit; 0 for those that are no length. */
static double unit_in_um(const char *unit)
{
    static const struct {
        const char *name;
        double um;
    } units[] = {
        {"\xc2\xb5m", 1.0}, {"\xce\xbcm", 1.0},     {"um", 1.0},   {"nm", 1e-3}, {"pm", 1e-6},
        {"\xc3\x85", 1e-4}, {"\xe2\x84\xab", 1e-4}, {"mm", 1e3},   {"cm", 1e4},  {"dm", 1e5},
        {"m", 1e6},         {"in", 25400.0},        {"mil", 25.4}, {"fm", 1e-9}};
    for (size_t i = 0; unit && i < MT_COUNT(units); i++)
        if (!strcmp(unit, units[i].name)) return units[i].um;
    return unit ? 0.0 : 1.0;
}

static double physical_size(const mt_xml_node *pixels, const char *axis)
{
    char name[32];
    snprintf(name, sizeof name, "PhysicalSize%s", axis);
    const double size = mt_facts_number(mt_xml_attr_of(pixels, name));
    snprintf(name, sizeof name, "PhysicalSize%sUnit", axis);
    return size * unit_in_um(mt_xml_attr_of(pixels, name));
}

static void read_spacing(ome *o, const ome_image *image, const mt_tiff_dir *d)
{
    mt_slide_info *info = &o->s->info;
    const mt_spacing stated = {physical_size(image->pixels, "X"),
                               physical_size(image->pixels, "Y")};
    snprintf(info->mpp_looked_at, sizeof info->mpp_looked_at,
             "PhysicalSizeX, PhysicalSizeY of the OME-XML");
    if (!mt_facts_set_spacing(info, stated, "ome.PhysicalSizeX"))
        mt_facts_fall_back_to_tags(info, d);
    else
        mt_facts_compare_with_tags(info, d);
}

static void read_objective(ome *o, const ome_image *image)
{
    const char *id = mt_xml_attr_of(mt_xml_child(image->node, "ObjectiveSettings"), "ID");
    const mt_xml_node *root = o->xml.root;
    for (const mt_xml_node *n = root; id && (n = mt_xml_walk(root, n, "Objective"));) {
        const char *own = mt_xml_attr_of(n, "ID");
        const double mag = mt_facts_number(mt_xml_attr_of(n, "NominalMagnification"));
        if (own && !strcmp(own, id) && mag <= 1000.0) o->s->info.objective = mag;
    }
}

/* ---- levels ---- */

static mt_status refuse_series(mt_slide *s, const ome_image *image, mt_err *err)
{
    s->no_slide = image->z > 1 || image->t > 1;
    if (image->z > 1)
        return mt_err_set(err, MT_ERR_UNSUPPORTED,
                          "OME-XML: %lld focal planes (SizeZ): a z-series, not a slide",
                          (long long)image->z);
    if (image->t > 1)
        return mt_err_set(err, MT_ERR_UNSUPPORTED,
                          "OME-XML: %lld points in time (SizeT): a time series, not a slide",
                          (long long)image->t);
    return MT_OK;
}

/* Of several channels one is read: the first, or the one asked for by its number from 1 on. */
static mt_status choose_channel(int64_t *c, ome *o, const ome_image *image, const char *asked,
                                mt_err *err)
{
    mt_slide_info *info = &o->s->info;
    const int64_t n = planes_of(image);
    *c = 0;
    if (n <= 1) return MT_OK;
    if (asked) *c = mt_facts_whole(asked, 0) - 1;
    if (*c < 0 || *c >= n)
        return mt_err_set(err, MT_ERR_ARG, "no optical path \"%.32s\"; the channels are 1 to %lld",
                          asked, (long long)n);
    info->n_optical_paths = (int)MT_MIN(n, (int64_t)INT32_MAX);
    snprintf(info->optical_path, sizeof info->optical_path, "%lld", (long long)*c + 1);
    info->fluorescence = 1;
    mt_slide_warn(info, "%lld channels, no colour picture: channel %lld is shown, in grey",
                  (long long)n, (long long)*c + 1);
    return MT_OK;
}

static int add_sub_levels(ome *o, int dir, mt_status *st, mt_err *err)
{
    int n = 0;
    for (int i = o->ts->tiff.n_chain; i < o->ts->tiff.n_dirs && *st == MT_OK; i++)
        if (o->ts->tiff.dirs[i].parent == dir && !(o->ts->tiff.dirs[i].subfile & 4)) {
            *st = mt_tiff_slide_add_level(o->s, i, err);
            n++;
        }
    return n;
}

static bool half_or_less(const ome_image *a, int64_t w, int64_t h)
{
    const double x = (double)a->w / (double)w, y = (double)a->h / (double)h;
    const double slack = 0.01 + 1.5 / (double)MT_MIN(w, h);
    return x > 1.4 && x / y < 1.0 + slack && y / x < 1.0 + slack;
}

static const char *role_of(const ome_image *image)
{
    static const struct {
        const char *word, *role;
    } words[] = {
        {"label", "label"}, {"macro", "macro"}, {"overview", "macro"}, {"thumbnail", "thumbnail"}};
    const char *name = mt_xml_attr_of(image->node, "Name");
    for (const char *p = name; p && *p; p++)
        for (size_t i = 0; i < MT_COUNT(words); i++)
            if (mt_facts_begins(p, words[i].word)) return words[i].role;
    return NULL;
}

/* Older files: reduced directories behind the slide's own, up to the next image's. */
static mt_status add_reduced_pages(ome *o, const ome_image *image, int dir, mt_err *err)
{
    for (int i = dir + 1; i < o->ts->tiff.n_chain; i++) {
        const mt_tiff_dir *d = &o->ts->tiff.dirs[i];
        if (d->subfile & 1 && !(d->subfile & 4) &&
            half_or_less(image, (int64_t)d->width, (int64_t)d->height) &&
            o->s->info.n_levels < MT_MAX_LEVELS)
            MT_TRY(mt_tiff_slide_add_level(o->s, i, err));
    }
    return MT_OK;
}

/* Images after the first: associated by their name, levels by their proportions. */
static mt_status add_further_images(ome *o, const ome_image *first, bool pyramid, mt_err *err)
{
    int next = first->first_dir + (int)MT_MIN(planes_of(first), (int64_t)MT_TIFF_MAX_DIRS),
        left = 0;
    int64_t w = first->w, h = first->h;
    const mt_xml_node *node = mt_xml_next(first->node, "Image");
    for (; node; node = mt_xml_next(node, "Image")) {
        ome_image image;
        MT_TRY(read_image(&image, node, err));
        image.first_dir = next;
        next = (int)MT_MIN((int64_t)next + planes_of(&image), (int64_t)MT_TIFF_MAX_DIRS);
        const int dir = dir_of(o, &image, 0);
        const char *role = role_of(&image);
        if (dir < 0 || image.w < 1 || image.h < 1) {
            left++;
        } else if (role) {
            mt_tiff_slide_add_associated(o->s, dir, role, strlen(role));
        } else if (!pyramid && image.samples == first->samples && image.z == 1 && image.t == 1 &&
                   half_or_less(&(ome_image){.w = w, .h = h}, image.w, image.h) &&
                   o->s->info.n_levels < MT_MAX_LEVELS) {
            MT_TRY(mt_tiff_slide_add_level(o->s, dir, err));
            w = image.w;
            h = image.h;
        } else {
            left++;
        }
    }
    if (left) mt_slide_warn(&o->s->info, "%d further images of the file are not shown", left);
    return MT_OK;
}

static mt_status add_levels(ome *o, const ome_image *image, int dir, mt_err *err)
{
    mt_status st = mt_tiff_slide_add_level(o->s, dir, err);
    int below = st == MT_OK ? add_sub_levels(o, dir, &st, err) : 0;
    MT_TRY(st);
    if (!below) MT_TRY(add_reduced_pages(o, image, dir, err));
    MT_TRY(add_further_images(o, image, o->s->info.n_levels > 1, err));
    return mt_tiff_slide_finish(o->s, err);
}

static mt_status read_ome(ome *o, const mt_probe *p, mt_err *err)
{
    const mt_tiff_bytes text = o->ts->tiff.dirs[0].description;
    MT_TRY(mt_xml_parse(&o->xml, text.p, text.n, "IFD 0: OME-XML", err));
    const mt_xml_node *root = o->xml.root;
    if (strcmp(root->name, "OME"))
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "IFD 0: XML that is no OME-XML at its root");
    if (mt_xml_child(root, "BinaryOnly"))
        return mt_err_set(err, MT_ERR_UNSUPPORTED,
                          "OME-XML: the metadata lie in another file (BinaryOnly)");
    o->uuid = mt_xml_attr_of(root, "UUID");
    const mt_xml_node *node = mt_xml_child(root, "Image");
    if (!node) return mt_err_set(err, MT_ERR_FORMAT, "OME-XML without an Image");
    ome_image image;
    MT_TRY(read_image(&image, node, err));
    MT_TRY(refuse_series(o->s, &image, err));
    int64_t c;
    MT_TRY(choose_channel(&c, o, &image, p->opts ? p->opts->optical_path : NULL, err));
    const int dir = dir_of(o, &image, c);
    if (dir < 0)
        return mt_err_set(err, MT_ERR_UNSUPPORTED,
                          "OME-XML: the slide's pixels are in no directory of this file");
    const mt_tiff_dir *d = &o->ts->tiff.dirs[dir];
    if (image.w != (int64_t)d->width || image.h != (int64_t)d->height)
        mt_slide_warn(&o->s->info,
                      "OME-XML says %lld x %lld pixels, IFD %d has %llu x %llu; used the latter",
                      (long long)image.w, (long long)image.h, dir, (unsigned long long)d->width,
                      (unsigned long long)d->height);
    image.w = (int64_t)d->width;
    image.h = (int64_t)d->height;
    MT_TRY(add_levels(o, &image, dir, err));
    read_spacing(o, &image, d);
    read_objective(o, &image);
    return MT_OK;
}

static mt_status open_ome(mt_slide *s, mt_probe *p, mt_err *err)
{
    ome o = {.s = s};
    MT_TRY(mt_tiff_slide_begin(&o.ts, s, p, err));
    snprintf(s->info.vendor, sizeof s->info.vendor, "ome");
    mt_status st = read_ome(&o, p, err);
    mt_xml_free(&o.xml);
    return st;
}

const mt_format mt_format_ome = {
    {"ome-tiff", "OME-TIFF, single file", "proven on real files"},
    detect,
    open_ome,
};
