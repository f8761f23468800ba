/* The format table: which row opens a file, and the spacing that holds. */
#include "slide/format.h"

#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "slide/pool.h"

static const mt_format *const formats[] = {&mt_format_dicom, &mt_format_png, &mt_format_jpeg,
                                           &mt_format_svs, &mt_format_ndpi,
                                           &mt_format_ome, &mt_format_philips, &mt_format_qptiff,
                                           &mt_format_scn, &mt_format_bif, &mt_format_generic_tiff,
                                           &mt_format_openslide};

static mt_format_info rows[MT_COUNT(formats) + 1];
static pthread_once_t rows_once = PTHREAD_ONCE_INIT;

static void rows_fill(void)
{
    for (size_t i = 0; i < MT_COUNT(formats); i++) rows[i] = formats[i]->info;
}

const mt_format_info *mt_slide_formats(void)
{
    pthread_once(&rows_once, rows_fill);
    return rows;
}

void mt_slide_warn(mt_slide_info *info, const char *fmt, ...)
{
    if (info->n_warnings == MT_MAX_SLIDE_WARNINGS) return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(info->warnings[info->n_warnings++], sizeof info->warnings[0], fmt, ap);
    va_end(ap);
}

/* Names out of a file may be anything; those that all files use are told. */
void mt_slide_warn_associated(mt_slide_info *info, const char *name, const mt_err *why)
{
    static const char *const usual[] = {"label", "macro", "thumbnail", "map"};
    const char *word = "associated";
    for (size_t i = 0; i < MT_COUNT(usual); i++)
        if (!strcmp(name, usual[i])) word = usual[i];
    mt_slide_warn(info, "the %s image cannot be read: %.100s", word, why->text);
}

bool mt_slide_same_proportions(int64_t a_w, int64_t a_h, int64_t b_w, int64_t b_h)
{
    const double dx = (double)a_w / (double)b_w, dy = (double)a_h / (double)b_h;
    return fabs(dx / dy - 1.0) <= 0.02 + 1.5 / (double)MT_MIN(b_w, b_h);
}

void mt_slide_finish_levels(mt_slide_info *info)
{
    for (int i = 0; i < info->n_levels; i++) {
        mt_level *l = &info->levels[i];
        l->tiles_x = (l->width + l->tile_w - 1) / l->tile_w;
        l->tiles_y = (l->height + l->tile_h - 1) / l->tile_h;
        l->downsample = ((double)info->levels[0].width / (double)l->width
                         + (double)info->levels[0].height / (double)l->height) / 2.0;
        if (l->downsample < 1.0) l->downsample = 1.0;
    }
}

static void probe_close(mt_probe *p)
{
    mt_tiff_free(&p->tiff);
    mt_map_close(&p->map);
}

static mt_status probe_open(mt_probe *p, const char *path, mt_err *err)
{
    p->path = path;
    p->is_folder = mt_dir_exists(path);
    if (p->is_folder) return MT_OK;
    MT_TRY(mt_map_open(&p->map, path, err));
    if (!p->map.size) return mt_err_set(err, MT_ERR_FORMAT, "the file is empty");
    p->is_tiff = mt_tiff_is(p->map.data, p->map.size);
    if (p->is_tiff && mt_tiff_parse(&p->tiff, p->map.data, p->map.size, &p->tiff_err) != MT_OK)
        p->tiff.n_dirs = 0; /* the TIFF row will say why */
    return mt_map_check(&p->map, err);
}

static mt_status no_format(const mt_probe *p, mt_err *err)
{
    if (p->is_tiff)
        return mt_err_set(err, MT_ERR_UNSUPPORTED,
                          "a TIFF file of a maker whose format OpenSlide does not open");
    char head[3 * 8 + 1] = "";
    for (size_t i = 0; i < MT_MIN(p->map.size, (size_t)8); i++)
        snprintf(head + 3 * i, sizeof head - 3 * i, "%02x ", p->map.data[i]);
    return mt_err_set(err, MT_ERR_UNSUPPORTED, "no known slide format begins with the bytes %s",
                      head);
}

static mt_status open_row(mt_slide *s, const mt_format *row, mt_probe *p, mt_err *err)
{
    snprintf(s->info.format, sizeof s->info.format, "%s", row->info.name);
    return row->open(s, p, err);
}

static const mt_slide_info nothing_known = {.n_optical_paths = 1, .n_focal_planes = 1};

/* OpenSlide opens what it then cannot read: a tile's first pixel and the middle one tell. */
static bool shows_something(const mt_slide *s)
{
    const mt_level *l = &s->info.levels[0];
    uint8_t rgb[3];
    return mt_slide_read_region(s, 0, 0, 0, 1, 1, rgb, 3, NULL) == MT_OK &&
           mt_slide_read_region(s, 0, l->width / 2, l->height / 2, 1, 1, rgb, 3, NULL) == MT_OK;
}

/* What our own row will not read, OpenSlide may: but not as a generic TIFF when the maker is known
 * (its tiles would be shown without their meaning), nor when the file was understood and is no
 * slide. The first refusal is the one that is told. */
static mt_status ask_openslide(mt_slide *s, mt_probe *p, bool maker_known, mt_err *refusal)
{
    const mt_status st = refusal->code;
    if (s->impl) s->ops->close(s);
    s->info = nothing_known;
    const char *path = p->path;
    const mt_slide_opts *opts = p->opts;
    probe_close(p);
    *p = (mt_probe){.path = path, .opts = opts, .map = MT_MAP_INIT};
    if (!mt_format_openslide.detect(p)) return st;
    mt_err why = MT_ERR_INIT;
    if (open_row(s, &mt_format_openslide, p, &why) != MT_OK ||
        (maker_known && !strcmp(s->info.vendor, "generic-tiff")) || !shows_something(s)) return st;
    mt_slide_warn(&s->info, "read through OpenSlide: %.130s", refusal->text);
    mt_err_clear(refusal);
    return MT_OK;
}

static mt_status open_by_table(mt_slide *s, const mt_format *const *table, size_t n, mt_probe *p,
                               mt_err *err)
{
    const bool last_resort = table[n - 1] == &mt_format_openslide;
    for (size_t i = 0; i < n; i++) {
        if (!table[i]->detect(p)) continue;
        const bool is_tiff = p->is_tiff;
        mt_err why = MT_ERR_INIT;
        mt_status st = open_row(s, table[i], p, &why);
        if ((st == MT_ERR_UNSUPPORTED || st == MT_ERR_FORMAT) && is_tiff && last_resort &&
            i + 1 < n && !s->no_slide)
            st = ask_openslide(s, p, table[i] != &mt_format_generic_tiff, &why);
        return st == MT_OK ? st : mt_err_set(err, st, "%s", why.text);
    }
    return no_format(p, err);
}

/* A format that has no optical paths or focal planes was asked for one. */
static mt_status check_choice(const mt_slide_info *info, const mt_slide_opts *opts, mt_err *err)
{
    if (opts->optical_path && strcmp(opts->optical_path, info->optical_path))
        return mt_err_set(err, MT_ERR_ARG, "no optical path \"%.32s\"; the slide has only one picture",
                          opts->optical_path);
    if (opts->focal_plane >= 0 && opts->focal_plane != info->focal_plane)
        return mt_err_set(err, MT_ERR_ARG, "no focal plane %d; the slide has only one", opts->focal_plane);
    return MT_OK;
}

/* What a format says, inside the slide; the whole slide where it says nothing. */
static void set_bounds(mt_slide_info *info)
{
    const mt_level *l = &info->levels[0];
    const int64_t x0 = MT_MAX(info->bounds_x, 0), y0 = MT_MAX(info->bounds_y, 0),
                  x1 = MT_MIN(info->bounds_x + info->bounds_w, l->width),
                  y1 = MT_MIN(info->bounds_y + info->bounds_h, l->height);
    info->bounds_x = info->bounds_y = 0;
    info->bounds_w = l->width;
    info->bounds_h = l->height;
    if (x0 >= x1 || y0 >= y1) return;
    info->bounds_x = x0;
    info->bounds_y = y0;
    info->bounds_w = x1 - x0;
    info->bounds_h = y1 - y0;
}

static mt_status open_slide(mt_slide *s, const char *path, const mt_slide_opts *opts,
                            const mt_format *const *table, size_t n, mt_err *err)
{
    s->info = nothing_known;
    s->path = strdup(path);
    if (!s->path) return mt_err_set(err, MT_ERR_NO_MEMORY, "slide");
    MT_TRY(mt_reader_pool_new(&s->pool, err));
    MT_AUTO(probe_close) mt_probe p = {.opts = opts, .map = MT_MAP_INIT};
    MT_TRY(probe_open(&p, path, err));
    MT_TRY(open_by_table(s, table, n, &p, err));
    if (opts) MT_TRY(check_choice(&s->info, opts, err));
    set_bounds(&s->info);
    if (opts && opts->assume_mpp > 0.0) {
        s->info.mpp_x = s->info.mpp_y = opts->assume_mpp;
        snprintf(s->info.mpp_source, sizeof s->info.mpp_source, "assumed");
    }
    return mt_slide_check(s, err);
}

mt_status mt_slide_open(mt_slide **out, const char *path, const mt_slide_opts *opts, mt_err *err)
{
    return mt_slide_open_with(out, path, opts, formats, MT_COUNT(formats), err);
}

mt_status mt_slide_open_with(mt_slide **out, const char *path, const mt_slide_opts *opts,
                             const mt_format *const *table, size_t n, mt_err *err)
{
    *out = NULL;
    if (opts && opts->version != 1)
        return mt_err_set(err, MT_ERR_ARG, "mt_slide_opts version %d", opts->version);
    if (opts && opts->assume_mpp != 0.0 && !(opts->assume_mpp > 0.0 && isfinite(opts->assume_mpp)))
        return mt_err_set(err, MT_ERR_ARG, "assumed spacing of %g um/px", opts->assume_mpp);
    mt_slide *s = NULL;
    MT_TRY(mt_alloc(&s, 1, sizeof *s, sizeof *s, "slide", err));
    mt_status st = open_slide(s, path, opts, table, n, err);
    if (st != MT_OK) mt_slide_close(&s);
    *out = s;
    return st;
}

void mt_slide_close(mt_slide **slide)
{
    if (!slide || !*slide) return;
    mt_slide *s = *slide;
    mt_reader_pool_free(&s->pool);
    if (s->impl) s->ops->close(s);
    mt_file_list_free(&s->files);
    free(s->path);
    free(s);
    *slide = NULL;
}

const mt_slide_info *mt_slide_get_info(const mt_slide *slide) { return &slide->info; }

mt_status mt_slide_mpp(double *out, const mt_slide *slide, mt_err *err)
{
    const mt_slide_info *info = &slide->info;
    *out = (info->mpp_x + info->mpp_y) / 2.0;
    if (info->mpp_x > 0.0 && info->mpp_y > 0.0) return MT_OK;
    *out = 0.0;
    return mt_err_set(err, MT_ERR_SPACING,
                      "the slide states no spacing; looked at: %s; --assume-mpp F states it",
                      info->mpp_looked_at);
}

mt_status mt_slide_check(const mt_slide *slide, mt_err *err)
{
    return slide->ops->check(slide, err);
}

const char *mt_slide_path(const mt_slide *slide) { return slide->path; }

const char *mt_slide_file(const mt_slide *slide, int i)
{
    if (i < 0) return NULL;
    if (slide->files.n) return i < slide->files.n ? slide->files.names[i] : NULL;
    return i == 0 ? slide->path : NULL;
}

int mt_slide_level_for(const mt_slide *slide, double downsample)
{
    int best = 0;
    for (int i = 1; i < slide->info.n_levels; i++)
        if (slide->info.levels[i].downsample <= downsample * 1.01
            && slide->info.levels[i].downsample >= slide->info.levels[best].downsample) best = i;
    return best;
}
