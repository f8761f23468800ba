/* PerkinElmer (Akoya) QPTIFF: every directory carries an XML description whose ImageType says what
 * it is: FullResolution, ReducedResolution, Thumbnail, Overview or Label. A brightfield slide is RGB;
 * a fluorescence slide has one directory a channel at every resolution, of which one channel is
 * read. */
#include <stdio.h>
#include <string.h>
#include "slide/facts.h"
#include "slide/tiff/tiff_slide.h"
#include "slide/xml.h"

#define ROOT "PerkinElmer-QPI-ImageDescription"

static bool detect(const mt_probe *p)
{
    return p->tiff.n_dirs > 0 && mt_tiff_contains(&p->tiff.dirs[0].description, ROOT);
}

typedef struct page {
    char type[24], objective[24];
} page;

/* A directory without such a description is nothing of this slide. */
static mt_status read_page(page *out, const mt_tiff *t, int dir, mt_err *err)
{
    *out = (page){"", ""};
    const mt_tiff_bytes text = t->dirs[dir].description;
    if (!mt_tiff_contains(&text, ROOT)) return MT_OK;
    mt_xml xml;
    char what[40];
    snprintf(what, sizeof what, "IFD %d: QPTIFF description", dir);
    mt_status st = mt_xml_parse(&xml, text.p, text.n, what, err);
    if (st == MT_OK) {
        const char *type = mt_xml_text_of(xml.root, "ImageType");
        const char *lens = mt_xml_text_of(xml.root, "Objective");
        snprintf(out->type, sizeof out->type, "%s", type ? type : "");
        snprintf(out->objective, sizeof out->objective, "%s", lens ? lens : "");
    }
    mt_xml_free(&xml);
    return st;
}

/* "20x", "20". */
static double objective_of(const char *text)
{
    const size_t n = strspn(text, "0123456789.");
    const double v = mt_tiff_number(text, n);
    return v <= 1000.0 ? v : 0.0;
}

/* Directories of one size are the channels of one level; the wanted one of each is added. */
static mt_status add_level(mt_slide *s, int dir, int channel, mt_err *err)
{
    const mt_tiff_slide *ts = s->impl;
    int before = 0;
    for (int i = 0; i < dir; i++)
        before += ts->tiff.dirs[i].width == ts->tiff.dirs[dir].width &&
                  ts->tiff.dirs[i].height == ts->tiff.dirs[dir].height &&
                  ts->tiff.dirs[i].samples == 1;
    return before == channel ? mt_tiff_slide_add_level(s, dir, err) : MT_OK;
}

/* How many channels, and which is read: the first, or the one asked for by its number from 1 on. */
static mt_status choose_channel(int *channel, mt_slide *s, const char *asked, mt_err *err)
{
    const mt_tiff_slide *ts = s->impl;
    const mt_tiff_dir *first = &ts->tiff.dirs[0];
    int n = 0;
    for (int i = 0; i < ts->tiff.n_chain; i++)
        n += ts->tiff.dirs[i].width == first->width && ts->tiff.dirs[i].height == first->height;
    *channel = 0;
    if (first->samples != 1) return MT_OK;
    if (asked) *channel = (int)MT_MIN(mt_facts_whole(asked, 0), (int64_t)MT_TIFF_MAX_DIRS + 1) - 1;
    if (*channel < 0 || *channel >= n)
        return mt_err_set(err, MT_ERR_ARG, "no optical path \"%.32s\"; the channels are 1 to %d",
                          asked, n);
    s->info.fluorescence = 1;
    s->info.n_optical_paths = n;
    snprintf(s->info.optical_path, sizeof s->info.optical_path, "%d", *channel + 1);
    mt_slide_warn(&s->info, "%d channels of fluorescence: channel %d is shown, in grey", n,
                  *channel + 1);
    return MT_OK;
}

static mt_status add_directories(mt_slide *s, const char *asked, mt_err *err)
{
    const mt_tiff_slide *ts = s->impl;
    int channel = 0;
    MT_TRY(choose_channel(&channel, s, asked, err));
    for (int i = 0; i < ts->tiff.n_chain; i++) {
        page p;
        MT_TRY(read_page(&p, &ts->tiff, i, err));
        if (mt_facts_is(p.type, "FullResolution") || mt_facts_is(p.type, "ReducedResolution"))
            MT_TRY(add_level(s, i, channel, err));
        else if (mt_facts_is(p.type, "Overview"))
            mt_tiff_slide_add_associated(s, i, "macro", 5);
        else if (mt_facts_is(p.type, "Label"))
            mt_tiff_slide_add_associated(s, i, "label", 5);
        else if (mt_facts_is(p.type, "Thumbnail"))
            mt_tiff_slide_add_associated(s, i, "thumbnail", 9);
        if (i == 0) s->info.objective = objective_of(p.objective);
    }
    return mt_tiff_slide_finish(s, err);
}

static mt_status open_qptiff(mt_slide *s, mt_probe *p, mt_err *err)
{
    mt_tiff_slide *ts = NULL;
    MT_TRY(mt_tiff_slide_begin(&ts, s, p, err));
    snprintf(s->info.vendor, sizeof s->info.vendor, "perkinelmer");
    MT_TRY(add_directories(s, p->opts ? p->opts->optical_path : NULL, err));
    mt_facts_fall_back_to_tags(&s->info, ts->levels[0].dir);
    return MT_OK;
}

const mt_format mt_format_qptiff = {
    {"qptiff", "PerkinElmer QPTIFF, single file", "fixture only"},
    detect,
    open_qptiff,
};
