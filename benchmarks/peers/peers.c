/* The same crops through other readers: OpenSlide, libvips, and libtiff on the native tiles.
 *
 * All in the process of the benchmark, each with handles of its own opened before the clock runs, no
 * threads besides the workers and no cache across runs. What libvips keeps between two calls is what
 * its region does by itself. */
#include <openslide.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tiffio.h>
#include <vips/vips.h>
#include "base/clock.h"
#include "base/workers.h"
#include "tiling.h"

uint64_t peer_crops(const mt_bench_tiling *b, int tile_px)
{
    return (uint64_t)(b->w_l0 / tile_px) * (uint64_t)(b->h_l0 / tile_px);
}

void peer_crop(int64_t at[2], const mt_bench_tiling *b, int tile_px, uint64_t i, bool random)
{
    uint64_t nx = (uint64_t)(b->w_l0 / tile_px), n = peer_crops(b, tile_px);
    if (random) { /* a stride that shares no factor with n visits each once, far from the last */
        uint64_t step = n / 2 + n / 7 + 1, a, c;
        for (;; step++) {
            for (a = step, c = n; c;) {
                uint64_t rest = a % c;
                a = c;
                c = rest;
            }
            if (a == 1) break;
        }
        i = i * step % n;
    }
    at[0] = b->x_l0 + (int64_t)(i % nx) * tile_px;
    at[1] = b->y_l0 + (int64_t)(i / nx) * tile_px;
}

typedef struct job {
    const mt_bench_tiling *b;
    int tile_px;
    bool random;
    uint64_t n;
    openslide_t *slide;
    VipsImage **image;
    TIFF **tiff;
    uint32_t x0, y0, nx; /* native tiles */
    _Atomic uint64_t next;
    _Atomic int failed;
} job;

static double rate(job *j, int threads, mt_worker_fn fn, double mpix)
{
    double cpu = mt_clock_cpu();
    mt_workers_run(threads, fn, j);
    cpu = mt_clock_cpu() - cpu;
    return j->failed || cpu <= 0 ? 0 : mpix / cpu;
}

static double crop_mpix(const job *j)
{
    return (double)j->n * j->tile_px * j->tile_px * 1e-6;
}

static void openslide_work(void *ctx, int id)
{
    job *j = ctx;
    uint32_t *px = malloc((size_t)j->tile_px * (size_t)j->tile_px * 4);
    (void)id;
    for (uint64_t i; px && (i = atomic_fetch_add(&j->next, 1)) < j->n;) {
        int64_t at[2];
        peer_crop(at, j->b, j->tile_px, i, j->random);
        openslide_read_region(j->slide, px, at[0], at[1], 0, j->tile_px, j->tile_px);
    }
    free(px);
}

double peer_openslide(const char *path, const mt_bench_tiling *b, int tile_px, int threads, bool random)
{
    job j = {.b = b, .tile_px = tile_px, .random = random, .n = peer_crops(b, tile_px)};
    j.slide = openslide_open(path);
    if (!j.slide) return 0;
    double r = rate(&j, threads, openslide_work, crop_mpix(&j));
    if (openslide_get_error(j.slide)) r = 0;
    openslide_close(j.slide);
    return r;
}

static void vips_work(void *ctx, int id)
{
    job *j = ctx;
    VipsRegion *region = vips_region_new(j->image[id]);
    for (uint64_t i; (i = atomic_fetch_add(&j->next, 1)) < j->n;) {
        int64_t at[2];
        size_t n;
        peer_crop(at, j->b, j->tile_px, i, j->random);
        VipsPel *px = vips_region_fetch(region, (int)at[0], (int)at[1], j->tile_px, j->tile_px, &n);
        if (!px) atomic_store(&j->failed, 1);
        g_free(px);
    }
    g_object_unref(region);
    vips_thread_shutdown();
}

double peer_vips(const char *path, const mt_bench_tiling *b, int tile_px, int threads, bool random)
{
    static bool begun;
    if (!begun && VIPS_INIT("bench_tiling")) return 0;
    begun = true;
    vips_cache_set_max(0);
    vips_concurrency_set(1);
    job j = {.b = b, .tile_px = tile_px, .random = random, .n = peer_crops(b, tile_px)};
    j.image = calloc((size_t)threads, sizeof *j.image);
    bool ok = j.image;
    for (int i = 0; i < threads && ok; i++)
        ok = vips_tiffload(path, &j.image[i], "access", VIPS_ACCESS_RANDOM, NULL) == 0;
    double r = ok ? rate(&j, threads, vips_work, crop_mpix(&j)) : 0;
    for (int i = 0; j.image && i < threads; i++)
        if (j.image[i]) g_object_unref(j.image[i]);
    free(j.image);
    vips_error_clear();
    return r;
}

static void libtiff_work(void *ctx, int id)
{
    job *j = ctx;
    TIFF *t = j->tiff[id];
    tmsize_t size = TIFFTileSize(t);
    uint32_t tw = 1, th = 1;
    uint8_t *px = malloc((size_t)size);
    TIFFGetField(t, TIFFTAG_TILEWIDTH, &tw);
    TIFFGetField(t, TIFFTAG_TILELENGTH, &th);
    for (uint64_t i; px && (i = atomic_fetch_add(&j->next, 1)) < j->n;) {
        uint32_t x = (j->x0 + (uint32_t)(i % j->nx)) * tw, y = (j->y0 + (uint32_t)(i / j->nx)) * th;
        if (TIFFReadEncodedTile(t, TIFFComputeTile(t, x, y, 0, 0), px, size) < 0)
            atomic_store(&j->failed, 1);
    }
    free(px);
}

double peer_libtiff(const char *path, const mt_bench_tiling *b, int threads)
{
    job j = {.b = b};
    uint32_t w = 0, h = 0, tw = 1, th = 1;
    j.tiff = calloc((size_t)threads, sizeof *j.tiff);
    bool ok = j.tiff;
    for (int i = 0; i < threads && ok; i++) {
        ok = (j.tiff[i] = TIFFOpen(path, "rm")) != NULL && TIFFIsTiled(j.tiff[i]);
        if (ok) TIFFSetField(j.tiff[i], TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
    }
    double r = 0;
    if (ok) {
        TIFFGetField(j.tiff[0], TIFFTAG_IMAGEWIDTH, &w);
        TIFFGetField(j.tiff[0], TIFFTAG_IMAGELENGTH, &h);
        TIFFGetField(j.tiff[0], TIFFTAG_TILEWIDTH, &tw);
        TIFFGetField(j.tiff[0], TIFFTAG_TILELENGTH, &th);
        j.x0 = (uint32_t)b->x_l0 / tw;
        j.y0 = (uint32_t)b->y_l0 / th;
        j.nx = MT_MIN((uint32_t)((b->x_l0 + b->w_l0 - 1) / tw) + 1, (w + tw - 1) / tw) - j.x0;
        j.n = (uint64_t)j.nx *
              (MT_MIN((uint32_t)((b->y_l0 + b->h_l0 - 1) / th) + 1, (h + th - 1) / th) - j.y0);
        r = rate(&j, threads, libtiff_work, (double)j.n * tw * th * 1e-6);
    }
    for (int i = 0; j.tiff && i < threads; i++)
        if (j.tiff[i]) TIFFClose(j.tiff[i]);
    free(j.tiff);
    return r;
}

void peer_versions(char *text, size_t cap)
{
    char tiff[64];
    snprintf(tiff, sizeof tiff, "%s", TIFFGetVersion());
    tiff[strcspn(tiff, "\n")] = 0;
    const char *number = strstr(tiff, "Version ");
    snprintf(text, cap, "OpenSlide %s, libvips %s, libtiff %s", openslide_get_version(),
             vips_version_string(), number ? number + 8 : tiff);
}
