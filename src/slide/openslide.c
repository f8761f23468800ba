/* Every other maker's slides, through OpenSlide. No native tiles: a nominal grid, drawn on demand.
 *
 * An OpenSlide handle that has failed once fails for ever. The common handle serves until then;
 * after that each reader opens one of its own for the tile that follows, so that one bad tile is
 * one bad tile. */
#include <openslide.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <tiffio.h>
#include "slide/tiff/tiff_slide.h"

enum { NOMINAL_TILE = 256, LEAST_TILE = 64, LARGEST_TILE = 2048 };

typedef struct foreign {
    openslide_t *handle;
} foreign;

typedef struct reader {
    const mt_slide *slide;
    openslide_t *own;     /* after the common handle has failed */
    uint32_t *argb;
    size_t room;          /* pixels */
} reader;

/* libtiff, under OpenSlide, talks on stderr unless told not to; what matters comes back as an
 * error. */
static pthread_once_t quiet_once = PTHREAD_ONCE_INIT;

static void quiet(void)
{
    TIFFSetWarningHandler(NULL);
    TIFFSetErrorHandler(NULL);
}

static bool detect(const mt_probe *p)
{
    pthread_once(&quiet_once, quiet);
    return openslide_detect_vendor(p->path) != NULL;
}

static const char *prop(openslide_t *o, const char *name)
{
    const char *v = openslide_get_property_value(o, name);
    return v ? v : "";
}

static double prop_number(openslide_t *o, const char *name)
{
    const char *v = prop(o, name);
    return mt_tiff_number(v, strlen(v));
}

/* Premultiplied ARGB over white. Clamped: a colour above its own alpha is no valid pixel, yet seen.
 */
static void to_rgb(uint8_t *rgb, const uint32_t *argb, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const uint32_t v = argb[i], white = 255 - (v >> 24);
        rgb[3 * i] = (uint8_t)MT_MIN((v >> 16 & 255) + white, 255u);
        rgb[3 * i + 1] = (uint8_t)MT_MIN((v >> 8 & 255) + white, 255u);
        rgb[3 * i + 2] = (uint8_t)MT_MIN((v & 255) + white, 255u);
    }
}

static void reader_close(void *state)
{
    reader *r = state;
    if (r->own) openslide_close(r->own);
    free(r->argb);
    free(r);
}

static mt_status reader_open(void **state, const mt_slide *s, mt_err *err)
{
    reader *r = NULL;
    MT_TRY(mt_alloc(&r, 1, sizeof *r, sizeof *r, "tile reader", err));
    r->slide = s;
    *state = r;
    return MT_OK;
}

static openslide_t *usable(reader *r)
{
    const foreign *f = r->slide->impl;
    if (r->own && openslide_get_error(r->own)) {
        openslide_close(r->own);
        r->own = NULL;
    }
    if (r->own) return r->own;
    if (!openslide_get_error(f->handle)) return f->handle;
    return r->own = openslide_open(r->slide->path);
}

/* OpenSlide takes level-0 coordinates: the level's pixel times its downsample, to the nearest. */
static int64_t to_level0(int64_t v, double downsample)
{
    return (int64_t)((double)v * downsample + 0.5);
}

static mt_status decode(void *state, const mt_slide *s, int level, int64_t tx, int64_t ty,
                        int scale, uint8_t *rgb, size_t stride, mt_err *err)
{
    reader *r = state;
    const mt_level *l = &s->info.levels[level];
    if (scale != 1) return mt_err_set(err, MT_ERR_ARG, "openslide cannot decode at 1/%d", scale);
    const size_t n = (size_t)l->tile_w * (size_t)l->tile_h;
    if (r->room < n) {
        free(r->argb);
        r->room = 0;
        r->argb = NULL;
        MT_TRY(mt_alloc_aligned(&r->argb, 4 * n, 4 * (size_t)LARGEST_TILE * LARGEST_TILE, "tile",
                                err));
        r->room = n;
    }
    const char *why = "cannot be opened again";
    /* The first try may meet a handle that another tile, or another thread, has broken. */
    for (int attempt = 0; attempt < 2; attempt++) {
        openslide_t *o = usable(r);
        if (!o) break;
        openslide_read_region(o, r->argb, to_level0(tx * l->tile_w, l->downsample),
                              to_level0(ty * l->tile_h, l->downsample), level, l->tile_w,
                              l->tile_h);
        why = openslide_get_error(o);
        if (why) continue;
        for (int32_t y = 0; y < l->tile_h; y++)
            to_rgb(rgb + (size_t)y * stride, r->argb + (size_t)y * (size_t)l->tile_w,
                   (size_t)l->tile_w);
        return MT_OK;
    }
    return mt_err_set(err, MT_ERR_FORMAT, "level %d: tile %lld,%lld: openslide: %.200s", level,
                      (long long)tx, (long long)ty, why);
}

static mt_status associated(uint8_t *rgb, const mt_slide *s, int i, mt_err *err)
{
    const mt_associated *a = &s->info.associated[i];
    const size_t n = (size_t)a->width * (size_t)a->height;
    MT_AUTO_FREE uint32_t *argb = NULL;
    MT_TRY(mt_alloc(&argb, n, 4, 4 * MT_CODEC_MAX_PIXELS, a->name, err));
    openslide_t *o = openslide_open(s->path);
    if (!o)
        return mt_err_set(err, MT_ERR_IO, "%s image: the slide cannot be opened again", a->name);
    openslide_read_associated_image(o, a->name, argb);
    const char *why = openslide_get_error(o);
    if (why) mt_err_set(err, MT_ERR_FORMAT, "%s image: openslide: %.200s", a->name, why);
    else to_rgb(rgb, argb, n);
    bool ok = !why;
    openslide_close(o);
    return ok ? MT_OK : MT_ERR_FORMAT;
}

static int max_reduce(const mt_slide *s, int level) { return 1; }

static mt_status check(const mt_slide *s, mt_err *err)
{
    return MT_OK;
} /* it reads, it does not map */

static void close_slide(mt_slide *s)
{
    foreign *f = s->impl;
    if (f->handle) openslide_close(f->handle);
    free(f);
    s->impl = NULL;
}

static const mt_slide_ops openslide_ops = {
    NULL, reader_open, reader_close, decode, associated, max_reduce, check, close_slide, NULL,
};

static int32_t tile_side(openslide_t *o, int level, const char *what)
{
    char name[64];
    snprintf(name, sizeof name, "openslide.level[%d].tile-%s", level, what);
    double v = prop_number(o, name);
    return v >= LEAST_TILE && v <= LARGEST_TILE && v == (double)(int32_t)v ? (int32_t)v : 0;
}

static mt_status read_levels(mt_slide_info *info, openslide_t *o, mt_err *err)
{
    const int n = openslide_get_level_count(o);
    if (n < 1) return mt_err_set(err, MT_ERR_FORMAT, "openslide finds no level");
    for (int i = 0; i < n && i < MT_MAX_LEVELS; i++) {
        mt_level *l = &info->levels[i];
        openslide_get_level_dimensions(o, i, &l->width, &l->height);
        if (l->width < 1 || l->height < 1 || l->width > INT32_MAX || l->height > INT32_MAX)
            return mt_err_set(err, MT_ERR_FORMAT, "level %d: %lld x %lld pixels", i,
                              (long long)l->width, (long long)l->height);
        l->tile_w = tile_side(o, i, "width");
        l->tile_h = tile_side(o, i, "height");
        if (!l->tile_w || !l->tile_h) l->tile_w = l->tile_h = NOMINAL_TILE;
        snprintf(l->codec, sizeof l->codec, "openslide");
        info->n_levels++;
    }
    mt_slide_finish_levels(info);
    for (int i = 0; i < info->n_levels; i++) /* its own word, since it places pixels by it */
        info->levels[i].downsample = openslide_get_level_downsample(o, i);
    return MT_OK;
}

static void read_associated(mt_slide_info *info, openslide_t *o)
{
    const char *const *names = openslide_get_associated_image_names(o);
    for (; names && *names && info->n_associated < MT_MAX_ASSOCIATED; names++) {
        mt_associated *a = &info->associated[info->n_associated];
        openslide_get_associated_image_dimensions(o, *names, &a->width, &a->height);
        if (strlen(*names) >= sizeof a->name || a->width < 1 || a->height < 1 ||
            a->width > MT_CODEC_MAX_SIDE || a->height > MT_CODEC_MAX_SIDE ||
            (size_t)(a->width * a->height) > MT_CODEC_MAX_PIXELS)
            continue;
        snprintf(a->name, sizeof a->name, "%s", *names);
        info->n_associated++;
    }
    if (info->n_associated < MT_MAX_ASSOCIATED)
        info->associated[info->n_associated] = (mt_associated){"", 0, 0};
}

/* MIRAX and VMS canvases are much larger than what was scanned. Coordinates stay the canvas's. */
static void read_bounds(mt_slide_info *info, openslide_t *o)
{
    const double most = (double)INT32_MAX, x = prop_number(o, "openslide.bounds-x"),
                 y = prop_number(o, "openslide.bounds-y"), w = prop_number(o, "openslide.bounds-width"),
                 h = prop_number(o, "openslide.bounds-height");
    if (!(w >= 1.0 && h >= 1.0 && w <= most && h <= most && x <= most && y <= most)) return;
    info->bounds_x = (int64_t)x;
    info->bounds_y = (int64_t)y;
    info->bounds_w = (int64_t)w;
    info->bounds_h = (int64_t)h;
}

static mt_status open_foreign(mt_slide *s, mt_probe *p, mt_err *err)
{
    mt_slide_info *info = &s->info;
    foreign *f = NULL;
    MT_TRY(mt_alloc(&f, 1, sizeof *f, sizeof *f, "slide", err));
    s->impl = f;
    s->ops = &openslide_ops;
    f->handle = openslide_open(p->path);
    if (!f->handle)
        return mt_err_set(err, MT_ERR_FORMAT, "openslide does not know this file after all");
    const char *why = openslide_get_error(f->handle);
    if (why) return mt_err_set(err, MT_ERR_FORMAT, "openslide: %.200s", why);
    MT_TRY(read_levels(info, f->handle, err));
    read_associated(info, f->handle);
    snprintf(info->vendor, sizeof info->vendor, "%s", prop(f->handle, "openslide.vendor"));
    MT_TRY(mt_companions_find(&s->files, p->path, info->vendor, err));
    info->file_bytes = s->files.bytes;
    snprintf(info->mpp_looked_at, sizeof info->mpp_looked_at, "openslide.mpp-x, openslide.mpp-y");
    const double x = prop_number(f->handle, "openslide.mpp-x"),
                 y = prop_number(f->handle, "openslide.mpp-y");
    if (x >= 0.01 && x <= 100.0 && y >= 0.01 && y <= 100.0) {
        info->mpp_x = x;
        info->mpp_y = y;
        snprintf(info->mpp_source, sizeof info->mpp_source, "openslide.mpp-x");
    }
    info->objective = prop_number(f->handle, "openslide.objective-power");
    read_bounds(info, f->handle);
    return MT_OK;
}

const mt_format mt_format_openslide = {
    {"openslide", "slides of other makers, read through OpenSlide", "fixture only"},
    detect,
    open_foreign,
};
