/* Philips TIFF: the export of an iSyntax slide. The first directory's ImageDescription is XML built
 * of DataObjects, whose Attributes are named after DICOM's.
 *
 * The sizes of directories are those of whole tiles. How much of a coarse level is picture follows
 * from the pixel spacings of the levels; of level 0 nobody says it. Tiles outside the scanned
 * regions are left out and white. Label and macro are JPEGs in base64 inside the XML, or
 * directories in strips. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "slide/facts.h"
#include "slide/tiff/tiff_slide.h"
#include "slide/xml.h"

enum { MAX_JPEG = 32 << 20 };

static bool detect(const mt_probe *p)
{
    return p->tiff.n_dirs > 0 && p->tiff.dirs[0].tile_w &&
           mt_tiff_begins(&p->tiff.dirs[0].software, "Philips") &&
           mt_tiff_contains(&p->tiff.dirs[0].description, "DPUfsImport");
}

/* ---- reading the XML ---- */

static bool object_is(const mt_xml_node *n, const char *type)
{
    const char *is = mt_xml_attr_of(n, "ObjectType");
    return n && !strcmp(n->name, "DataObject") && is && !strcmp(is, type);
}

/* The Attribute of this name directly inside a DataObject. */
static const mt_xml_node *attribute(const mt_xml_node *object, const char *name)
{
    const mt_xml_node *n = mt_xml_child(object, "Attribute");
    for (; n; n = mt_xml_next(n, "Attribute")) {
        const char *is = mt_xml_attr_of(n, "Name");
        if (is && !strcmp(is, name)) return n;
    }
    return NULL;
}

static const char *value(const mt_xml_node *object, const char *name)
{
    const mt_xml_node *n = attribute(object, name);
    return n ? n->text : NULL;
}

/* Two quoted numbers, millimetres: between rows first, between columns second (PS3.3 10.7.1.1). */
static mt_spacing spacing_of(const mt_xml_node *object)
{
    double v[2] = {0.0, 0.0};
    const char *p = value(object, "DICOM_PIXEL_SPACING");
    for (int i = 0; p && i < 2; i++) {
        p += strspn(p, "\" \t\r\n\\");
        const size_t n = strcspn(p, "\" \t\r\n\\");
        v[i] = 1000.0 * mt_tiff_number(p, n);
        p += n;
    }
    return (mt_spacing){v[1], v[0]};
}

static const mt_xml_node *scanned_image(const mt_xml_node *root, const char *type)
{
    const mt_xml_node *n = root;
    while ((n = mt_xml_walk(root, n, "DataObject"))) {
        const char *is = object_is(n, "DPScannedImage") ? value(n, "PIM_DP_IMAGE_TYPE") : NULL;
        if (is && !strcmp(is, type)) return n;
    }
    return NULL;
}

/* ---- associated images ---- */

static int base64_digit(unsigned char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Up to the first padding; what is no digit (line ends) is passed over. NULL when there is nothing
 * or too much. */
static uint8_t *from_base64(size_t *n, const char *text, size_t n_text)
{
    uint8_t *out = NULL;
    *n = 0;
    if (n_text < 4 || mt_alloc(&out, n_text / 4 * 3 + 3, 1, MAX_JPEG, "image", NULL) != MT_OK)
        return NULL;
    uint32_t bits = 0;
    int have = 0;
    for (size_t i = 0; i < n_text && text[i] != '='; i++) {
        const int digit = base64_digit((unsigned char)text[i]);
        if (digit < 0) continue;
        bits = bits << 6 | (uint32_t)digit;
        if ((have += 6) >= 8) out[(*n)++] = (uint8_t)(bits >> (have -= 8));
    }
    return out;
}

static void add_associated(mt_slide *s, const mt_xml_node *root, const char *name,
                           const char *dir_word, const char *type)
{
    const mt_tiff_slide *ts = s->impl;
    const int before = s->info.n_associated, warnings = s->info.n_warnings;
    for (int i = 0; i < ts->tiff.n_chain; i++)
        if (!ts->tiff.dirs[i].tile_w && mt_tiff_begins(&ts->tiff.dirs[i].description, dir_word))
            mt_tiff_slide_add_associated(s, i, name, strlen(name));
    if (s->info.n_associated > before) return;
    const mt_xml_node *object = scanned_image(root, type);
    const mt_xml_node *data = object ? attribute(object, "PIM_DP_IMAGE_DATA") : NULL;
    size_t n = 0;
    uint8_t *jpeg = data ? from_base64(&n, data->text, data->n_text) : NULL;
    if (!jpeg) return;
    s->info.n_warnings = warnings; /* this one speaks for itself */
    mt_tiff_slide_add_jpeg(s, jpeg, n, name);
}

/* ---- levels ---- */

/* Pixel spacings of the levels, in the order of the XML, which is theirs. */
static int level_spacings(mt_spacing out[MT_MAX_LEVELS], const mt_xml_node *wsi)
{
    int n = 0;
    const mt_xml_node *o = wsi;
    while (n < MT_MAX_LEVELS && (o = mt_xml_walk(wsi, o, "DataObject")))
        if (object_is(o, "PixelDataRepresentation")) {
            out[n] = spacing_of(o);
            if (!(out[n].x > 0.0 && out[n].y > 0.0)) break;
            n++;
        }
    return n;
}

static void crop_levels(mt_slide *s, const int *dirs, int n, const mt_spacing *spacings,
                        int n_spacings)
{
    const mt_tiff_slide *ts = s->impl;
    if (n_spacings < n) {
        mt_slide_warn(&s->info,
                      "the XML has pixel spacings of %d of %d levels; the padding of the "
                      "others is shown",
                      n_spacings, n);
        n = n_spacings;
    }
    const mt_tiff_dir *finest = &ts->tiff.dirs[dirs[0]];
    for (int i = 1; i < n; i++) {
        /* Levels halve; the spacings are rounded, or measured, so a whole factor is meant. */
        const double x = round(spacings[i].x / spacings[0].x),
                     y = round(spacings[i].y / spacings[0].y);
        const double w = (double)finest->width / x, h = (double)finest->height / y;
        if (!(x >= 1.0 && y >= 1.0) || w < 1.0 || h < 1.0 ||
            !mt_tiff_slide_crop(s, dirs[i], (int64_t)w, (int64_t)h))
            mt_slide_warn(&s->info,
                          "level %d: its pixel spacing in the XML, %.6g um, does not go with "
                          "%llu x %llu pixels",
                          i, spacings[i].x, (unsigned long long)ts->tiff.dirs[dirs[i]].width,
                          (unsigned long long)ts->tiff.dirs[dirs[i]].height);
    }
}

static mt_status add_levels(mt_slide *s, const mt_xml_node *wsi, mt_err *err)
{
    const mt_tiff_slide *ts = s->impl;
    int dirs[MT_MAX_LEVELS], n = 0;
    for (int i = 0; i < ts->tiff.n_chain; i++) {
        if (!ts->tiff.dirs[i].tile_w) continue;
        MT_TRY(mt_tiff_slide_add_level(s, i, err));
        dirs[n++] = i;
    }
    mt_spacing spacings[MT_MAX_LEVELS];
    crop_levels(s, dirs, n, spacings, level_spacings(spacings, wsi));
    return mt_tiff_slide_finish(s, err);
}

static void read_metadata(mt_slide_info *info, const mt_xml_node *root, const mt_xml_node *wsi)
{
    snprintf(info->mpp_looked_at, sizeof info->mpp_looked_at,
             "DICOM_PIXEL_SPACING of the Philips XML (tag 270)");
    mt_spacing own = spacing_of(wsi), levels[MT_MAX_LEVELS];
    const int n = level_spacings(levels, wsi);
    if (!mt_facts_set_spacing(info, own, "philips.DICOM_PIXEL_SPACING") && n)
        mt_facts_set_spacing(info, levels[0], "philips.DICOM_PIXEL_SPACING");
    else if (n && (levels[0].x < 0.98 * own.x || levels[0].x > 1.02 * own.x))
        mt_slide_warn(
            info,
            "the slide's DICOM_PIXEL_SPACING is %.6g um, that of level 0 %.6g; used the former",
            own.x, levels[0].x);
    const char *maker = value(root, "DICOM_MANUFACTURER"),
               *model = value(root, "DICOM_MANUFACTURERS_MODEL_NAME");
    if (maker)
        snprintf(info->scanner, sizeof info->scanner, "%.20s%s%.20s", maker, model ? " " : "",
                 model ? model : "");
}

static mt_status read_slide(mt_slide *s, mt_xml *xml, mt_err *err)
{
    const mt_tiff_slide *ts = s->impl;
    const mt_tiff_bytes text = ts->tiff.dirs[0].description;
    MT_TRY(mt_xml_parse(xml, text.p, text.n, "IFD 0: Philips XML", err));
    if (!object_is(xml->root, "DPUfsImport"))
        return mt_err_set(err, MT_ERR_UNSUPPORTED,
                          "IFD 0: Philips XML whose root is no DataObject DPUfsImport");
    const mt_xml_node *wsi = scanned_image(xml->root, "WSI");
    if (!wsi)
        return mt_err_set(err, MT_ERR_FORMAT,
                          "IFD 0: Philips XML without a DPScannedImage of type WSI");
    MT_TRY(add_levels(s, wsi, err));
    add_associated(s, xml->root, "label", "Label", "LABELIMAGE");
    add_associated(s, xml->root, "macro", "Macro", "MACROIMAGE");
    read_metadata(&s->info, xml->root, wsi);
    return MT_OK;
}

static mt_status open_philips(mt_slide *s, mt_probe *p, mt_err *err)
{
    mt_tiff_slide *ts = NULL;
    mt_xml xml = {.root = NULL};
    MT_TRY(mt_tiff_slide_begin(&ts, s, p, err));
    snprintf(s->info.vendor, sizeof s->info.vendor, "philips");
    mt_status st = read_slide(s, &xml, err);
    mt_xml_free(&xml);
    return st;
}

const mt_format mt_format_philips = {
    {"philips-tiff", "Philips TIFF, single file", "fixture only"},
    detect,
    open_philips,
};
