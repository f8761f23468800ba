/* Hamamatsu NDPI: a TIFF file whose directories carry tag 65420. The objective's magnification (tag
 * 65421) says what a directory is: positive for a level, -1 for the macro image, -2 for the map of
 * scanned regions. Several focal planes stand as several directories of one magnification; the one
 * whose height (tag 65424) is nearest to zero is read.
 *
 * Only levels the file stores are reported; other readers add halves of the coarsest. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "slide/facts.h"
#include "slide/tiff/ndpi.h"
#include "slide/tiff/tiff_slide.h"

enum { MODEL = 272, SOURCE_LENS = 65421, Z_OFFSET = 65424, FILTER_SET = 65434, WAVELENGTH = 65451 };

typedef struct ndpi {
    mt_map map;
    mt_tiff tiff;
    mt_ndpi_strip levels[MT_MAX_LEVELS];
    mt_ndpi_strip macro;
    mt_tiff_picture chart;  /* the map: uncompressed */
    int macro_at, chart_at; /* among the associated images; -1: none */
} ndpi;

static bool detect(const mt_probe *p)
{
    return p->tiff.n_dirs > 0 && p->tiff.dirs[0].hamamatsu;
}

static double number_of(const mt_tiff *t, int dir, unsigned tag)
{
    mt_tiff_value v;
    return mt_tiff_find(&v, t, dir, tag) ? mt_tiff_value_number(t, &v, 0) : NAN;
}

/* ---- pixels ---- */

static mt_status check(const mt_slide *s, mt_err *err)
{
    const ndpi *n = s->impl;
    return mt_map_check_whole(&n->map, s->path, err);
}

static mt_status reader_open(void **state, const mt_slide *s, mt_err *err)
{
    mt_decoder *d = NULL;
    MT_TRY(mt_decoder_new(&d, err));
    *state = d;
    return MT_OK;
}

static void reader_close(void *state)
{
    mt_decoder *d = state;
    mt_decoder_free(&d);
}

static mt_status decode_rows(void *state, const mt_slide *s, int level, int64_t tx, int64_t ty,
                             int scale, uint8_t *rgb, size_t stride, const mt_row_sink *sink,
                             mt_err *err)
{
    const ndpi *n = s->impl;
    mt_err why = MT_ERR_INIT;
    mt_status st =
        mt_ndpi_strip_decode(state, &n->levels[level], tx, ty, scale, rgb, stride, sink, &why);
    if (mt_map_faulted(&n->map) || st != MT_OK) MT_TRY(check(s, err));
    if (st == MT_OK) return MT_OK;
    return mt_err_set(err, st, "level %d: tile %lld,%lld: %s", level, (long long)tx, (long long)ty,
                      why.text);
}

static mt_status decode(void *state, const mt_slide *s, int level, int64_t tx, int64_t ty,
                        int scale, uint8_t *rgb, size_t stride, mt_err *err)
{
    return decode_rows(state, s, level, tx, ty, scale, rgb, stride, NULL, err);
}

/* Every block reduces to whole pixels. */
static int max_reduce(const mt_slide *s, int level)
{
    const ndpi *n = s->impl;
    const mt_ndpi_strip *p = &n->levels[level];
    return mt_slide_reduce_of(p->tile_w, p->tile_h);
}

/* Strip by strip (they are the whole width) of an uncompressed picture. */
static mt_status read_chart(uint8_t *rgb, const ndpi *n, mt_decoder *d, mt_err *err)
{
    const mt_tiff_picture *p = &n->chart;
    const size_t stride = 3 * (size_t)p->width;
    for (int64_t ty = 0; ty < p->tiles_y; ty++) {
        mt_tile_span bytes;
        MT_TRY(mt_tiff_picture_span(&bytes, &n->tiff, p, (uint64_t)ty, err));
        const int64_t rows = MT_MIN((int64_t)p->tile_h, p->height - ty * p->tile_h);
        const mt_pixels out = {.rgb = rgb + (size_t)(ty * p->tile_h) * stride,
                               .stride = stride,
                               .w = p->tile_w,
                               .h = (int32_t)rows,
                               .scale = 1};
        MT_TRY(mt_decoder_decode(d, &p->coding, bytes.data, bytes.size, &out, err));
    }
    return MT_OK;
}

static mt_status associated(uint8_t *rgb, const mt_slide *s, int i, mt_err *err)
{
    const ndpi *n = s->impl;
    MT_AUTO(mt_decoder_free) mt_decoder *d = NULL;
    MT_TRY(mt_decoder_new(&d, err));
    mt_err why = MT_ERR_INIT;
    mt_status st = i == n->macro_at ? mt_ndpi_strip_decode(d, &n->macro, 0, 0, 1, rgb,
                                                           3 * (size_t)n->macro.width, NULL,
                                                           &why)
                                    : read_chart(rgb, n, d, &why);
    MT_TRY(check(s, err));
    if (st == MT_OK) return MT_OK;
    return mt_err_set(err, st, "%s image: %s", s->info.associated[i].name, why.text);
}

static void close_slide(mt_slide *s)
{
    ndpi *n = s->impl;
    for (int i = 0; i < MT_MAX_LEVELS; i++)
        mt_ndpi_strip_free(&n->levels[i]);
    mt_ndpi_strip_free(&n->macro);
    mt_tiff_free(&n->tiff);
    mt_map_close(&n->map);
    free(n);
    s->impl = NULL;
}

/* No spans: the bytes of a tile mean nothing without a head that is made for it. */
static const mt_slide_ops ndpi_ops = {
    .reader_open = reader_open,
    .reader_close = reader_close,
    .decode = decode,
    .associated = associated,
    .max_reduce = max_reduce,
    .check = check,
    .close = close_slide,
    .decode_rows = decode_rows,
};

/* ---- which directory is what ---- */

/* Focal planes, in order of height; the one that is read: asked for, or nearest to zero. */
static void choose_plane(mt_slide_info *info, const mt_tiff *t, int asked, double *z)
{
    double heights[64];
    int n = 0, at = 0;
    for (int i = 0; i < t->n_chain; i++) {
        if (!(number_of(t, i, SOURCE_LENS) > 0.0)) continue;
        const double h = number_of(t, i, Z_OFFSET);
        int k = 0;
        while (k < n && heights[k] < h)
            k++;
        if (isnan(h) || (k < n && heights[k] == h) || n == (int)MT_COUNT(heights)) continue;
        memmove(heights + k + 1, heights + k, (size_t)(n - k) * sizeof *heights);
        heights[k] = h;
        n++;
    }
    for (int i = 1; i < n; i++)
        if (fabs(heights[i]) < fabs(heights[at])) at = i;
    if (asked >= 0 && asked < n) at = asked;
    *z = n ? heights[at] : NAN;
    info->n_focal_planes = MT_MAX(n, 1);
    info->focal_plane = at;
}

static mt_status add_level(mt_slide *s, int dir, mt_err *err)
{
    ndpi *n = s->impl;
    mt_slide_info *info = &s->info;
    mt_ndpi_strip strip;
    if (info->n_levels == MT_MAX_LEVELS)
        return mt_err_set(err, MT_ERR_LIMIT, "more than %d levels", MT_MAX_LEVELS);
    mt_err why = MT_ERR_INIT;
    mt_status st = mt_ndpi_strip_make(&strip, &n->tiff, dir, &why);
    if (st == MT_ERR_UNSUPPORTED && info->n_levels > 0) { /* a coarse level can be done without */
        mt_slide_warn(info, "a level is left out: %.120s", why.text);
        return MT_OK;
    }
    if (st != MT_OK) return mt_err_set(err, st, "%s", why.text);
    int at = info->n_levels;
    while (at > 0 && n->levels[at - 1].width < strip.width) {
        n->levels[at] = n->levels[at - 1];
        at--;
    }
    if (at > 0 && n->levels[at - 1].width == strip.width) { /* a second picture of one size */
        memmove(n->levels + at, n->levels + at + 1,
                (size_t)(info->n_levels - at) * sizeof *n->levels);
        n->levels[info->n_levels] = (mt_ndpi_strip){0};
        mt_ndpi_strip_free(&strip);
        return MT_OK;
    }
    n->levels[at] = strip;
    info->n_levels++;
    return MT_OK;
}

static void name_associated(mt_slide_info *info, int *at, const char *name, int64_t w, int64_t h)
{
    if (info->n_associated == MT_MAX_ASSOCIATED) return;
    mt_associated *a = &info->associated[ *at = info->n_associated++];
    snprintf(a->name, sizeof a->name, "%s", name);
    a->width = w;
    a->height = h;
}

static mt_status make_macro(mt_ndpi_strip *out, const mt_tiff *t, int dir, mt_err *err)
{
    MT_TRY(mt_ndpi_strip_make(out, t, dir, err));
    if (out->tiles_x == 1 && out->tiles_y == 1 && out->tile_w == out->width && out->tile_h == out->height)
        return MT_OK;
    mt_err_set(err, MT_ERR_UNSUPPORTED, "IFD %d: %lld x %lld pixels in %lld x %lld pieces", dir,
               (long long)out->width, (long long)out->height, (long long)out->tiles_x,
               (long long)out->tiles_y);
    mt_ndpi_strip_free(out);
    return MT_ERR_UNSUPPORTED;
}

static mt_status make_chart(mt_tiff_picture *out, const mt_tiff *t, int dir, mt_err *err)
{
    if (t->size > UINT32_MAX) /* its offsets are of 32 bits */
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "IFD %d: in a file of more than 4 GiB", dir);
    MT_TRY(mt_tiff_picture_make(out, t, dir, err));
    if (out->tiles_x != 1 || out->dir->tile_w || out->coding.codec != MT_CODEC_RAW ||
        (uint64_t)out->width * (uint64_t)out->height > MT_CODEC_MAX_PIXELS)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "IFD %d: no uncompressed strip of up to %zu pixels",
                          dir, MT_CODEC_MAX_PIXELS);
    return MT_OK;
}

static void add_associated(mt_slide *s, int dir, double lens)
{
    ndpi *n = s->impl;
    mt_err why = MT_ERR_INIT;
    if (lens == -1.0 && n->macro_at < 0) {
        if (make_macro(&n->macro, &n->tiff, dir, &why) == MT_OK)
            name_associated(&s->info, &n->macro_at, "macro", n->macro.width, n->macro.height);
        else mt_slide_warn_associated(&s->info, "macro", &why);
    }
    if (lens == -2.0 && n->chart_at < 0) {
        if (make_chart(&n->chart, &n->tiff, dir, &why) == MT_OK)
            name_associated(&s->info, &n->chart_at, "map", n->chart.width, n->chart.height);
        else mt_slide_warn_associated(&s->info, "map", &why);
    }
}

static mt_status sort_out(mt_slide *s, int focal_plane, mt_err *err)
{
    ndpi *n = s->impl;
    double plane;
    choose_plane(&s->info, &n->tiff, focal_plane, &plane);
    for (int i = 0; i < n->tiff.n_chain; i++) {
        const double lens = number_of(&n->tiff, i, SOURCE_LENS),
                     z = number_of(&n->tiff, i, Z_OFFSET);
        if (lens > 0.0 && (isnan(z) || isnan(plane) || z == plane))
            MT_TRY(add_level(s, i, err));
        else if (lens < 0.0)
            add_associated(s, i, lens);
    }
    if (!s->info.n_levels)
        return mt_err_set(err, MT_ERR_UNSUPPORTED,
                          "no directory of this NDPI file is a level (tag %d)", SOURCE_LENS);
    return MT_OK;
}

/* ---- what the file says ---- */

static void read_spacing(mt_slide_info *info, const mt_tiff_dir *d)
{
    snprintf(info->mpp_looked_at, sizeof info->mpp_looked_at,
             "XResolution, YResolution, ResolutionUnit (tags 282, 283, 296) of the finest level");
    const double unit = d->res_unit == 3 ? 10000.0 : d->res_unit == 2 ? 25400.0 : 0.0;
    const double x = d->x_res > 0.0 ? unit / d->x_res : 0.0,
                 y = d->y_res > 0.0 ? unit / d->y_res : 0.0;
    if (!(x >= 0.01 && x <= 100.0 && y >= 0.01 && y <= 100.0)) return;
    info->mpp_x = x;
    info->mpp_y = y;
    snprintf(info->mpp_source, sizeof info->mpp_source, "tiff.XResolution");
}

/* Levels that contradict level 0, by their size or by what their own tags say. */
static void compare_levels(mt_slide_info *info, const ndpi *n)
{
    const mt_level *base = &info->levels[0];
    for (int i = 1; i < info->n_levels; i++) {
        const mt_level *l = &info->levels[i];
        const double x = (double)base->width / (double)l->width,
                     y = (double)base->height / (double)l->height;
        const double slack = 0.02 + 2.0 / (double)MT_MIN(l->width, l->height);
        if (fabs(x / y - 1.0) > slack)
            mt_slide_warn(info, "level %d has other proportions than level 0", i);
        const mt_spacing own = mt_facts_tag_spacing(&n->tiff.dirs[n->levels[i].dir]);
        if (own.x > 0.0 && info->mpp_x > 0.0 && fabs(own.x / (info->mpp_x * x) - 1.0) > slack)
            mt_slide_warn(info, "level %d states %.6g um/px, its size says %.6g; used the latter", i,
                          own.x, info->mpp_x * x);
    }
}

static void read_metadata(mt_slide *s)
{
    const ndpi *n = s->impl;
    mt_slide_info *info = &s->info;
    const int dir = n->levels[0].dir;
    read_spacing(info, &n->tiff.dirs[dir]);
    const double lens = number_of(&n->tiff, dir, SOURCE_LENS);
    if (lens <= 1000.0) info->objective = lens;
    mt_tiff_value v;
    mt_tiff_bytes model = {NULL, 0};
    if (mt_tiff_find(&v, &n->tiff, dir, MODEL)) model = mt_tiff_value_text(&v);
    snprintf(info->scanner, sizeof info->scanner, "Hamamatsu%s%.*s", model.n ? " " : "",
             (int)MT_MIN(model.n, (size_t)30), model.n ? (const char *)model.p : "");
    /* A filter set, or the wavelength it lets through: no brightfield. */
    const bool filter = mt_tiff_find(&v, &n->tiff, dir, FILTER_SET) && mt_tiff_value_text(&v).n > 0;
    info->fluorescence = filter || number_of(&n->tiff, dir, WAVELENGTH) > 0.0;
    compare_levels(info, n);
}

static void fill_levels(mt_slide *s)
{
    const ndpi *n = s->impl;
    for (int i = 0; i < s->info.n_levels; i++) {
        const mt_ndpi_strip *p = &n->levels[i];
        mt_level *l = &s->info.levels[i];
        l->width = p->width;
        l->height = p->height;
        l->tile_w = p->tile_w;
        l->tile_h = p->tile_h;
        snprintf(l->codec, sizeof l->codec, "jpeg");
        char contradiction[160];
        mt_coding c = p->coding;
        c.tables = p->headers[0].p;
        c.n_tables = p->headers[0].n;
        mt_codec_describe(l->colour, contradiction, &c, p->data, p->size);
        if (contradiction[0]) mt_slide_warn(&s->info, "level %d: %.140s", i, contradiction);
    }
    mt_slide_finish_levels(&s->info);
}

static mt_status open_ndpi(mt_slide *s, mt_probe *p, mt_err *err)
{
    ndpi *n = NULL;
    MT_TRY(mt_alloc(&n, 1, sizeof *n, sizeof *n, "slide", err));
    s->impl = n;
    s->ops = &ndpi_ops;
    n->macro_at = n->chart_at = -1;
    n->map = p->map;
    n->tiff = p->tiff;
    p->map = (mt_map)MT_MAP_INIT;
    p->tiff = (mt_tiff){0};
    s->info.file_bytes = n->map.size;
    snprintf(s->info.vendor, sizeof s->info.vendor, "hamamatsu");
    MT_TRY(sort_out(s, p->opts ? p->opts->focal_plane : -1, err));
    fill_levels(s);
    read_metadata(s);
    return MT_OK;
}

const mt_format mt_format_ndpi = {
    {"hamamatsu-ndpi", "Hamamatsu NDPI, single file", "proven on real files"},
    detect,
    open_ndpi,
};
