/* Ventana BIF: XMP of some directory has an iScan element with the scan's settings; levels are the
 * directories described "level=N mag=...". The camera's tiles may overlap, by amounts the XMP of
 * level 0 lists joint by joint (EncodeInfo). Where every overlap is zero the file is a plain tiled
 * picture and is read here; every other one is left to OpenSlide, which stitches. */
#include <stdio.h>
#include <string.h>
#include "slide/facts.h"
#include "slide/tiff/tiff_slide.h"
#include "slide/xml.h"

static int dir_with_xmp(const mt_tiff *t, const char *word)
{
    for (int i = 0; i < t->n_chain; i++)
        if (mt_tiff_contains(&t->dirs[i].xmp, word)) return i;
    return -1;
}

static bool detect(const mt_probe *p)
{
    return dir_with_xmp(&p->tiff, "iScan") >= 0;
}

static mt_status parse_xmp(mt_xml *out, const mt_tiff *t, int dir, mt_err *err)
{
    char what[32];
    snprintf(what, sizeof what, "IFD %d: XMP", dir);
    /* Padding behind the last element is usual. */
    size_t n = t->dirs[dir].xmp.n;
    while (n && !t->dirs[dir].xmp.p[n - 1])
        n--;
    return mt_xml_parse(out, t->dirs[dir].xmp.p, n, what, err);
}

static const mt_xml_node *element(const mt_xml *x, const char *name)
{
    return !strcmp(x->root->name, name) ? x->root : mt_xml_walk(x->root, x->root, name);
}

/* ---- overlaps ---- */

static mt_status check_joints(const mt_xml_node *area, mt_err *err)
{
    const mt_xml_node *joint = area;
    while ((joint = mt_xml_walk(area, joint, "TileJointInfo"))) {
        const char *x = mt_xml_attr_of(joint, "OverlapX"), *y = mt_xml_attr_of(joint, "OverlapY");
        if (mt_facts_whole(x, -1) || mt_facts_whole(y, -1))
            return mt_err_set(err, MT_ERR_UNSUPPORTED,
                              "BIF: overlapping tiles, which only OpenSlide stitches");
    }
    return MT_OK;
}

/* One scanned area, all of the picture, without an overlap. */
static mt_status check_areas(const mt_xml_node *info, const mt_tiff_dir *d, mt_err *err)
{
    int n = 0;
    const mt_xml_node *area = info;
    while ((area = mt_xml_walk(info, area, "ImageInfo"))) {
        if (mt_facts_whole(mt_xml_attr_of(area, "AOIScanned"), 0) != 1) continue;
        if (n++) return mt_err_set(err, MT_ERR_UNSUPPORTED, "BIF: several scanned areas");
        const int64_t cols = mt_facts_whole(mt_xml_attr_of(area, "NumCols"), 0),
                      rows = mt_facts_whole(mt_xml_attr_of(area, "NumRows"), 0);
        if (cols != (int64_t)((d->width + d->tile_w - 1) / d->tile_w) ||
            rows != (int64_t)((d->height + d->tile_h - 1) / d->tile_h))
            return mt_err_set(
                err, MT_ERR_UNSUPPORTED,
                "BIF: an area of %lld x %lld tiles in a picture of %llu x %llu pixels",
                (long long)cols, (long long)rows, (unsigned long long)d->width,
                (unsigned long long)d->height);
        MT_TRY(check_joints(area, err));
    }
    return n ? MT_OK : mt_err_set(err, MT_ERR_UNSUPPORTED, "BIF: no scanned area");
}

static mt_status check_plain(const mt_tiff *t, int dir, mt_err *err)
{
    if (!mt_tiff_contains(&t->dirs[dir].xmp, "EncodeInfo"))
        return mt_err_set(err, MT_ERR_UNSUPPORTED,
                          "BIF: IFD %d does not say how its tiles overlap (EncodeInfo)", dir);
    mt_xml xml;
    mt_status st = parse_xmp(&xml, t, dir, err);
    if (st == MT_OK) {
        const mt_xml_node *info = element(&xml, "EncodeInfo");
        st = info ? check_areas(info, &t->dirs[dir], err)
                  : mt_err_set(err, MT_ERR_UNSUPPORTED, "BIF: IFD %d: no EncodeInfo", dir);
    }
    mt_xml_free(&xml);
    return st;
}

/* ---- building ---- */

/* "level=0 mag=40 quality=95" */
static int level_of(const mt_tiff_bytes *text)
{
    if (!mt_tiff_begins(text, "level=") || text->n < 7) return -1;
    const uint8_t digit = text->p[6], after = text->n > 7 ? text->p[7] : ' ';
    return digit >= '0' && digit <= '9' ? (after == ' ' ? digit - '0' : 10) : -1;
}

static mt_status add_directories(mt_slide *s, mt_err *err)
{
    const mt_tiff_slide *ts = s->impl;
    const mt_tiff *t = &ts->tiff;
    bool finest = false;
    for (int i = 0; i < t->n_chain; i++) {
        const mt_tiff_bytes *text = &t->dirs[i].description;
        const int level = level_of(text);
        if (level >= 0) {
            if (!t->dirs[i].tile_w || !t->dirs[i].tile_h)
                return mt_err_set(err, MT_ERR_UNSUPPORTED, "BIF: IFD %d: a level in strips", i);
            if (level == 0) MT_TRY(check_plain(t, i, err));
            finest |= level == 0;
            MT_TRY(mt_tiff_slide_add_level(s, i, err));
        } else if (mt_tiff_begins(text, "Label Image") || mt_tiff_begins(text, "Label_Image")) {
            mt_tiff_slide_add_associated(s, i, "macro", 5);
        } else if (mt_tiff_begins(text, "Thumbnail")) {
            mt_tiff_slide_add_associated(s, i, "thumbnail", 9);
        }
    }
    if (!finest) return mt_err_set(err, MT_ERR_UNSUPPORTED, "BIF: no directory is level 0");
    return mt_tiff_slide_finish(s, err);
}

static mt_status read_metadata(mt_slide_info *info, const mt_tiff *t, mt_err *err)
{
    mt_xml xml;
    mt_status st = parse_xmp(&xml, t, dir_with_xmp(t, "iScan"), err);
    const mt_xml_node *scan = st == MT_OK ? element(&xml, "iScan") : NULL;
    if (st == MT_OK && !scan)
        st = mt_err_set(err, MT_ERR_UNSUPPORTED, "BIF: XMP without an iScan element");
    if (scan) {
        const double mpp = mt_facts_number(mt_xml_attr_of(scan, "ScanRes")),
                     mag = mt_facts_number(mt_xml_attr_of(scan, "Magnification"));
        const char *model = mt_xml_attr_of(scan, "ScannerModel");
        snprintf(info->mpp_looked_at, sizeof info->mpp_looked_at,
                 "ScanRes of the iScan XMP (tag 700)");
        mt_facts_set_spacing(info, (mt_spacing){mpp, mpp}, "ventana.ScanRes");
        if (mag <= 1000.0) info->objective = mag;
        if (model) snprintf(info->scanner, sizeof info->scanner, "%.40s", model);
    }
    mt_xml_free(&xml);
    return st;
}

static mt_status open_bif(mt_slide *s, mt_probe *p, mt_err *err)
{
    mt_tiff_slide *ts = NULL;
    MT_TRY(mt_tiff_slide_begin(&ts, s, p, err));
    snprintf(s->info.vendor, sizeof s->info.vendor, "ventana");
    MT_TRY(read_metadata(&s->info, &ts->tiff, err));
    return add_directories(s, err);
}

const mt_format mt_format_bif = {
    {"ventana-bif", "Ventana BIF without overlaps, single file", "fixture only"},
    detect,
    open_bif,
};
