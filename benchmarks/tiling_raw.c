/* The limit: mmap, the tile offsets by libtiff, libjpeg into one buffer, nothing of ours. */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <jpeglib.h>
#include <tiffio.h>
#include "base/clock.h"
#include "base/workers.h"
#include "tiling.h"

struct raw {
    uint8_t *map;
    size_t size;
    uint64_t *offsets, *counts;
    uint32_t tile_w, tile_h, tiles_x, tiles_y;
    uint32_t x0, y0, nx, n; /* native tiles of the run: nx across, n in all */
    uint8_t *tables;
    uint32_t tables_size;
    J_COLOR_SPACE stored;
    bool aligned;
    _Atomic uint32_t next;
};

static int raw_fill(raw *r, const char *path)
{
    TIFFSetWarningHandler(NULL);
    TIFF *t = TIFFOpen(path, "r");
    uint16_t compression = 0, photometric = 0;
    void *tables = NULL;
    if (!t) return 0;
    TIFFGetField(t, TIFFTAG_COMPRESSION, &compression);
    TIFFGetField(t, TIFFTAG_PHOTOMETRIC, &photometric);
    int ok = compression == COMPRESSION_JPEG && TIFFIsTiled(t) &&
             TIFFGetField(t, TIFFTAG_TILEWIDTH, &r->tile_w) &&
             TIFFGetField(t, TIFFTAG_TILELENGTH, &r->tile_h) &&
             TIFFGetField(t, TIFFTAG_TILEOFFSETS, &r->offsets) &&
             TIFFGetField(t, TIFFTAG_TILEBYTECOUNTS, &r->counts);
    if (ok) {
        uint32_t w = 0, h = 0, n = TIFFNumberOfTiles(t);
        TIFFGetField(t, TIFFTAG_IMAGEWIDTH, &w);
        TIFFGetField(t, TIFFTAG_IMAGELENGTH, &h);
        r->tiles_x = (w + r->tile_w - 1) / r->tile_w;
        r->tiles_y = (h + r->tile_h - 1) / r->tile_h;
        uint64_t *o = malloc(n * sizeof *o), *c = malloc(n * sizeof *c);
        memcpy(o, r->offsets, n * sizeof *o);
        memcpy(c, r->counts, n * sizeof *c);
        r->offsets = o;
        r->counts = c;
        r->stored = photometric == PHOTOMETRIC_RGB ? JCS_RGB : JCS_YCbCr;
        if (TIFFGetField(t, TIFFTAG_JPEGTABLES, &r->tables_size, &tables)) {
            r->tables = malloc(r->tables_size);
            memcpy(r->tables, tables, r->tables_size);
        }
        struct stat st;
        int fd = open(path, O_RDONLY);
        ok = fd >= 0 && fstat(fd, &st) == 0;
        if (ok) {
            r->size = (size_t)st.st_size;
            r->map = mmap(NULL, r->size, PROT_READ, MAP_SHARED, fd, 0);
            ok = r->map != MAP_FAILED;
        }
        if (fd >= 0) close(fd);
    }
    TIFFClose(t);
    return ok;
}

void raw_close(raw *r)
{
    if (!r) return;
    if (r->map && r->map != MAP_FAILED) munmap(r->map, r->size);
    free(r->offsets);
    free(r->counts);
    free(r->tables);
    free(r);
}

raw *raw_open(const char *path)
{
    raw *r = calloc(1, sizeof *r);
    if (r && raw_fill(r, path)) return r;
    raw_close(r);
    return NULL;
}

int raw_tile(const raw *r)
{
    return (int)r->tile_w;
}

static void raw_work(void *ctx, int worker)
{
    raw *r = ctx;
    struct jpeg_decompress_struct d;
    struct jpeg_error_mgr e;
    size_t stride = (size_t)r->tile_w * 3;
    /* libjpeg-turbo stores rows that begin at 32 bytes past the caches; a buffer as malloc gives it has
     * such rows, one moved by 8 bytes, its rows rounded up, has none. */
    if (!r->aligned) stride = (stride + 63) / 64 * 64;
    uint8_t *block = malloc(stride * r->tile_h + 128);
    uint8_t *px = r->aligned ? block : (uint8_t *)(((uintptr_t)block + 63) / 64 * 64) + 8;
    d.err = jpeg_std_error(&e);
    jpeg_create_decompress(&d);
    if (r->tables) {
        jpeg_mem_src(&d, r->tables, r->tables_size);
        jpeg_read_header(&d, FALSE);
    }
    for (uint32_t k; (k = atomic_fetch_add(&r->next, 1)) < r->n;) {
        uint32_t i = (r->y0 + k / r->nx) * r->tiles_x + r->x0 + k % r->nx;
        if (!r->counts[i] || r->offsets[i] + r->counts[i] > r->size) continue;
        jpeg_mem_src(&d, r->map + r->offsets[i], r->counts[i]);
        jpeg_read_header(&d, TRUE);
        d.jpeg_color_space = r->stored;
        d.out_color_space = JCS_RGB;
        jpeg_start_decompress(&d);
        while (d.output_scanline < d.output_height) {
            JSAMPROW rows[8];
            for (unsigned j = 0; j < 8; j++)
                rows[j] = px + (size_t)MT_MIN(d.output_scanline + j, r->tile_h - 1) * stride;
            jpeg_read_scanlines(&d, rows, 8);
        }
        jpeg_finish_decompress(&d);
    }
    jpeg_destroy_decompress(&d);
    free(block);
}

double raw_rate(raw *r, const mt_bench_tiling *b, int threads, bool aligned)
{
    r->aligned = aligned;
    r->x0 = (uint32_t)(b->x_l0 / r->tile_w);
    r->y0 = (uint32_t)(b->y_l0 / r->tile_h);
    r->nx = MT_MIN((uint32_t)((b->x_l0 + b->w_l0 - 1) / r->tile_w + 1), r->tiles_x) - r->x0;
    r->n =
        r->nx * (MT_MIN((uint32_t)((b->y_l0 + b->h_l0 - 1) / r->tile_h + 1), r->tiles_y) - r->y0);
    atomic_store(&r->next, 0);
    double cpu = mt_clock_cpu();
    mt_workers_run(threads, raw_work, r);
    return (double)r->n * r->tile_w * r->tile_h * 1e-6 / (mt_clock_cpu() - cpu);
}
