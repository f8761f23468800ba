/* Tiles as files. Each picture is written beside its name and renamed; tiles.csv comes last, so
 * where it stands every picture it lists stands too. */
#include "microtome/tiles.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "base/file.h"
#include "base/json.h"
#include "codec/encode.h"
#include "slide/slide.h"
#include "tiles/fetch/fetch.h"
#include "tiles/stain/stain.h"
#include "tiles/write/shards.h"
#include "tiles/write/tiles_h5.h"

#define PICTURE_CEILING ((size_t)1 << 30)
#define WRITE_BATCH 4

typedef struct sink {
    const mt_plan *plan;
    mt_tile_format format;
    int dir;                    /* open folder */
    mt_jpeg_encoder **encoders; /* one a worker */
    mt_buf *bufs;
    int threads;
    tiles_h5 *h5;
    shards *tars;
    int shard_tiles;
    uint8_t *unreadable; /* per tile */
    bool grey;           /* the three channels are one */
} sink;

static const char *extension(mt_tile_format f)
{
    return f == MT_TILES_JPEG ? "jpg" : "png";
}

static void picture_name(char out[64], const mt_tile *t, mt_tile_format f)
{
    snprintf(out, 64, "%lld_%lld.%s", (long long)t->x_l0, (long long)t->y_l0, extension(f));
}

static bool write_all(int fd, const uint8_t *p, size_t n)
{
    while (n) {
        ssize_t k = write(fd, p, n);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return false;
        p += k;
        n -= (size_t)k;
    }
    return true;
}

/* Renamed when whole. Not flushed one by one: the folder is, once, before tiles.csv appears. */
static mt_status write_picture(int dir, const char *name, const mt_buf *b, mt_err *err)
{
    char tmp[80];
    snprintf(tmp, sizeof tmp, ".%s.part", name);
    int fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0) return mt_err_set(err, MT_ERR_IO, "%s: cannot create: %s", name, strerror(errno));
    bool ok = write_all(fd, b->data, b->len);
    ok &= close(fd) == 0;
    if (ok && renameat(dir, tmp, dir, name) == 0) return MT_OK;
    int e = errno;
    unlinkat(dir, tmp, 0);
    return mt_err_set(err, MT_ERR_IO, "%s: cannot write: %s", name, strerror(e));
}

static mt_status put_grey(mt_buf *b, const uint8_t *rgb, int px, mt_err *err)
{
    MT_AUTO_FREE uint8_t *grey = NULL;
    size_t n = (size_t)px * (size_t)px;
    MT_TRY(mt_alloc(&grey, n, 1, SIZE_MAX, "grey tile", err));
    for (size_t i = 0; i < n; i++)
        grey[i] = rgb[3 * i];
    return mt_png_encode(b, grey, (size_t)px, px, px, 1, err);
}

static mt_status put_picture(sink *s, int worker, const mt_fetched *f, mt_err *err)
{
    char name[64];
    int px = s->plan->out_px;
    size_t stride = (size_t)px * 3;
    mt_buf *b = &s->bufs[worker];
    b->len = 0;
    if (s->format != MT_TILES_PNG)
        MT_TRY(mt_jpeg_encoder_encode(s->encoders[worker], b, f->rgb, stride, px, px, err));
    else if (s->grey)
        MT_TRY(put_grey(b, f->rgb, px, err));
    else
        MT_TRY(mt_png_encode(b, f->rgb, stride, px, px, 3, err));
    MT_TRY(mt_buf_status(b, "tile picture", err));
    if (s->tars) return shards_put(s->tars, f->tile, b->data, b->len, err);
    picture_name(name, &s->plan->tiles[f->tile], s->format);
    return write_picture(s->dir, name, b, err);
}

static mt_status take(void *ctx, int worker, const mt_fetched *tiles, int n, mt_err *err)
{
    sink *s = ctx;
    for (int i = 0; i < n; i++) {
        s->unreadable[tiles[i].tile] = tiles[i].unreadable;
        if (s->h5)
            MT_TRY(tiles_h5_put(s->h5, tiles[i].tile, tiles[i].rgb, err));
        else
            MT_TRY(put_picture(s, worker, &tiles[i], err));
    }
    return MT_OK;
}

static mt_status write_table(const sink *s, const char *dir, mt_err *err)
{
    MT_AUTO(mt_outfile_discard) mt_outfile out = MT_OUTFILE_INIT;
    MT_AUTO_FREE char *path = mt_strf("%s/tiles.csv", dir);
    if (!path) return mt_err_set(err, MT_ERR_NO_MEMORY, "path of tiles.csv");
    bool pictures = s->format == MT_TILES_JPEG || s->format == MT_TILES_PNG;
    MT_TRY(mt_outfile_open(&out, path, err));
    fputs("tile,minx,miny,width,height,col,row,tissue,unreadable,file\n", out.f);
    for (size_t i = 0; i < s->plan->n_tiles; i++) {
        const mt_tile *t = &s->plan->tiles[i];
        char tissue[32], name[64] = "";
        mt_fmt_f32(tissue, sizeof tissue, t->tissue);
        if (pictures) picture_name(name, t, s->format);
        if (s->tars) shards_name(name, i, s->shard_tiles);
        fprintf(out.f, "%zu,%lld,%lld,%d,%d,%d,%d,%s,%d,%s\n", i, (long long)t->x_l0,
                (long long)t->y_l0, t->w_l0, t->h_l0, t->col, t->row, tissue, s->unreadable[i],
                name);
    }
    return mt_outfile_commit(&out, err);
}

static void sink_free(sink *s)
{
    for (int i = 0; i < s->threads; i++) {
        if (s->encoders) mt_jpeg_encoder_free(&s->encoders[i]);
        if (s->bufs) mt_buf_free(&s->bufs[i]);
    }
    free(s->encoders);
    free(s->bufs);
    free(s->unreadable);
    tiles_h5_free(&s->h5);
    shards_free(&s->tars);
    if (s->dir >= 0) close(s->dir);
}

/* The one file, or the shards, that a slide's tiles go to. */
static mt_status open_whole(sink *s, const mt_slide *slide, const char *dir, const mt_tiles_opts *o,
                            mt_err *err)
{
    char stem[256];
    mt_slide_stem(stem, sizeof stem, mt_slide_path(slide));
    if (o->format == MT_TILES_WEBDATASET) return shards_open(&s->tars, dir, stem, s->plan, err);
    MT_AUTO_FREE char *path =
        mt_strf("%s/%s%s.h5", dir, stem, o->h5_style == MT_H5_TRIDENT ? "_patches" : "");
    if (!path) return mt_err_set(err, MT_ERR_NO_MEMORY, "path of the HDF5 file");
    return tiles_h5_open(&s->h5, path, stem, mt_slide_get_info(slide), s->plan, o->h5_style,
                         o->format == MT_TILES_H5, err);
}

static mt_status sink_init(sink *s, const mt_slide *slide, const char *dir, const mt_tiles_opts *o,
                           mt_err *err)
{
    size_t n = (size_t)s->threads;
    MT_TRY(mt_dir_make(dir, err));
    s->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->dir < 0)
        return mt_err_set(err, MT_ERR_IO, "%s: cannot open the folder: %s", dir, strerror(errno));
    MT_TRY(mt_alloc(&s->unreadable, s->plan->n_tiles, 1, SIZE_MAX, "tiles", err));
    MT_TRY(mt_alloc(&s->encoders, n, sizeof(mt_jpeg_encoder *), SIZE_MAX, "encoders", err));
    MT_TRY(mt_alloc(&s->bufs, n, sizeof *s->bufs, SIZE_MAX, "encoders", err));
    mt_jpeg_enc_opts jo = MT_JPEG_ENC_OPTS_INIT;
    jo.quality = o->jpeg_quality;
    for (size_t i = 0; i < n; i++) {
        s->bufs[i] = (mt_buf)MT_BUF_INIT(PICTURE_CEILING);
        if (s->format == MT_TILES_JPEG || s->format == MT_TILES_WEBDATASET)
            MT_TRY(mt_jpeg_encoder_new(&s->encoders[i], &jo, err));
    }
    bool whole = s->format == MT_TILES_H5 || s->format == MT_TILES_COORDS ||
                 s->format == MT_TILES_WEBDATASET;
    return whole ? open_whole(s, slide, dir, o, err) : MT_OK;
}

mt_status mt_tiles_fast_way(const char **way, int *reduced_by, const mt_slide *slide,
                            const mt_plan *plan, mt_err *err)
{
    mt_fetch_way w;
    MT_TRY(mt_fetch_fast_way(&w, slide, plan, err));
    *way = w.name;
    *reduced_by = w.reduced_by;
    return MT_OK;
}

mt_status mt_tiles_write(const mt_slide *slide, const mt_plan *plan, const char *dir,
                         const mt_tiles_opts *opts, mt_fetch_stats *stats, mt_progress_fn progress,
                         void *ctx, mt_err *err)
{
    if (opts->version != 1 || opts->threads < 1 || opts->threads > 256 || opts->jpeg_quality < 1 ||
        opts->jpeg_quality > 100 || opts->format < MT_TILES_NONE ||
        opts->format > MT_TILES_WEBDATASET || opts->h5_style < MT_H5_CLAM ||
        opts->h5_style > MT_H5_WSINFER || opts->shard_tiles < 1 || opts->shard_tiles > 1000000)
        return mt_err_set(err, MT_ERR_ARG, "tiles with format %d, quality %d, %d threads",
                          (int)opts->format, opts->jpeg_quality, opts->threads);
    if (stats) *stats = (mt_fetch_stats){0};
    MT_AUTO(sink_free)
    sink s = {.plan = plan, .format = opts->format, .dir = -1, .threads = opts->threads,
           .shard_tiles = opts->shard_tiles, .grey = opts->stain && opts->stain->grey};
    MT_TRY(sink_init(&s, slide, dir, opts, err));
    if (s.format != MT_TILES_NONE && s.format != MT_TILES_COORDS) {
        mt_fetch_opts fo = MT_FETCH_OPTS_INIT;
        fo.threads = opts->threads;
        fo.batch = WRITE_BATCH;
        fo.memory = opts->memory;
        fo.stain = opts->stain ? &opts->stain->map : NULL;
        fo.strict = opts->strict;
        fo.fast = opts->fast_scaling;
        fo.progress = progress;
        fo.progress_ctx = ctx;
        MT_TRY(mt_fetch_run(slide, plan, &fo, take, &s, stats, err));
    }
    if (s.h5) MT_TRY(tiles_h5_commit(s.h5, err));
    if (s.tars) MT_TRY(shards_commit(s.tars, s.shard_tiles, s.unreadable, err));
    bool pictures =
        s.format == MT_TILES_JPEG || s.format == MT_TILES_PNG; /* other files flush themselves */
    if (pictures && syncfs(s.dir) != 0)
        return mt_err_set(err, MT_ERR_IO, "%s: cannot flush the folder: %s", dir, strerror(errno));
    return write_table(&s, dir, err);
}
