/* Tiling against its limit and against OpenSlide.
 *
 * usage: bench_tiling [SLIDE] [--rounds N] [--crops N] [--threads LIST] [--tiles LIST] [--no-openslide]
 *
 * Each round measures, one after the other in the same process and over the same slide:
 *   raw        this program's own loop: mmap, the tile offsets by libtiff, libjpeg into one buffer (the
 *              limit, over the native tiles under the crops; for slides whose level 0 is JPEG)
 *   decoder    the engine's tile reader over the same native tiles, nothing between
 *   tiling     mt_fetch_run: crops cut in order
 *   openslide  read_region on the same crops
 * in megapixels per CPU second (process time, all threads); --crops 0 takes the whole slide. Ratios are
 * taken within a round; the JSON gives their median, least and greatest over the rounds. Without SLIDE one
 * is drawn: 12,000 x 12,000, 240-pixel tiles, JPEG 4:2:0. */
#include <fcntl.h>
#include <math.h>
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
#include "microtome/bench.h"
#include "microtome/synth.h"
#include "microtome/system.h"

#define MAX_ROUNDS 64

typedef struct options {
    const char *slide;
    int rounds, openslide;
    uint64_t crops;
    int threads[8], n_threads, tiles[8], n_tiles;
} options;

/* ---- the limit: nothing of ours ---- */

typedef struct raw {
    uint8_t *map;
    size_t size;
    uint64_t *offsets, *counts;
    uint32_t tile_w, tile_h, tiles_x, tiles_y;
    uint32_t x0, y0, nx, n; /* native tiles of the run: nx across, n in all */
    uint8_t *tables;
    uint32_t tables_size;
    J_COLOR_SPACE stored;
    _Atomic uint32_t next;
} raw;

static int raw_open(raw *r, const char *path)
{
    memset(r, 0, sizeof *r);
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

static void raw_close(raw *r)
{
    if (r->map && r->map != MAP_FAILED) munmap(r->map, r->size);
    free(r->offsets);
    free(r->counts);
    free(r->tables);
}

static void raw_work(void *ctx, int worker)
{
    raw *r = ctx;
    struct jpeg_decompress_struct d;
    struct jpeg_error_mgr e;
    size_t stride = (size_t)r->tile_w * 3;
    uint8_t *px = malloc(stride * r->tile_h);
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
    free(px);
}

/* Megapixels per CPU second, over the native tiles that the crops lie on. */
static double raw_rate(raw *r, const mt_bench_tiling *b, int threads)
{
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

/* ---- one setting, all rounds ---- */

typedef struct series {
    const char *name;
    double v[MAX_ROUNDS];
    int n;
} series;

static void put(series *s, double v)
{
    if (isfinite(v) && v > 0) s->v[s->n++] = v;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void print(series *s, int last)
{
    if (!s->n) {
        printf("\"%s\":null%s", s->name, last ? "" : ",");
        return;
    }
    qsort(s->v, (size_t)s->n, sizeof *s->v, ascending);
    double median = (s->v[(s->n - 1) / 2] + s->v[s->n / 2]) / 2;
    printf("\"%s\":{\"median\":%.4g,\"min\":%.4g,\"max\":%.4g}%s", s->name, median, s->v[0],
           s->v[s->n - 1], last ? "" : ",");
}

static int measure(const options *o, raw *limit, int threads, int tile_px, int first)
{
    enum { RAW, DECODER, TILING, WALL, OPENSLIDE, OF_RAW, OF_DECODER, OF_OPENSLIDE, N };
    series s[N] = {{.name = "raw_mpix_per_cpu_s"},
                   {.name = "decoder_mpix_per_cpu_s"},
                   {.name = "tiling_mpix_per_cpu_s"},
                   {.name = "tiling_mpix_per_s"},
                   {.name = "openslide_mpix_per_cpu_s"},
                   {.name = "of_raw"},
                   {.name = "of_decoder"},
                   {.name = "of_openslide"}};
    mt_bench_tiling b;
    for (int k = 0; k < o->rounds; k++) {
        mt_err e = MT_ERR_INIT;
        mt_bench_tiling_opts bo = MT_BENCH_TILING_OPTS_INIT;
        bo.tile_px = tile_px;
        bo.threads = threads;
        bo.max_crops = o->crops;
        bo.with_openslide = o->openslide && k == 0; /* slow, and far away: once is enough */
        if (mt_bench_run_tiling(&b, o->slide, &bo, &e)) {
            fprintf(stderr, "bench_tiling: %s\n", e.text);
            return 0;
        }
        double raw_r = limit->map ? raw_rate(limit, &b, threads) : NAN,
               decoder = b.raw_mpix / b.raw_cpu_s;
        double tiling = b.mpix / b.cpu_s, vendor = b.openslide_mpix / b.openslide_cpu_s;
        put(&s[RAW], raw_r);
        put(&s[DECODER], decoder);
        put(&s[TILING], tiling);
        put(&s[WALL], b.mpix / b.wall_s);
        put(&s[OPENSLIDE], vendor);
        put(&s[OF_RAW], tiling / raw_r);
        put(&s[OF_DECODER], tiling / decoder);
        put(&s[OF_OPENSLIDE], tiling / vendor);
    }
    printf("%s\n  {\"tile_px\":%d,\"threads\":%d,\"crops\":%llu,", first ? "" : ",", tile_px,
           threads, (unsigned long long)b.crops);
    for (int i = 0; i < N; i++)
        print(&s[i], i == N - 1);
    printf("}");
    fflush(stdout);
    return 1;
}

/* ---- command line ---- */

static int numbers(int *out, const char *list)
{
    int n = 0;
    for (const char *p = list; *p && n < 8; p += strcspn(p, ",") + (p[strcspn(p, ",")] == ','))
        out[n++] = atoi(p);
    return n;
}

static int parse(options *o, int argc, char **argv)
{
    *o = (options){.rounds = 5,
                   .openslide = 1,
                   .crops = 2025,
                   .threads = {1, 2},
                   .n_threads = 2,
                   .tiles = {256, 224},
                   .n_tiles = 2};
    for (int i = 1; i < argc; i++) {
        const char *v = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(argv[i], "--no-openslide"))
            o->openslide = 0;
        else if (!strcmp(argv[i], "--rounds"))
            o->rounds = atoi(v), i++;
        else if (!strcmp(argv[i], "--crops"))
            o->crops = strtoull(v, NULL, 10), i++;
        else if (!strcmp(argv[i], "--threads"))
            o->n_threads = numbers(o->threads, v), i++;
        else if (!strcmp(argv[i], "--tiles"))
            o->n_tiles = numbers(o->tiles, v), i++;
        else if (argv[i][0] == '-')
            return 0;
        else
            o->slide = argv[i];
    }
    return o->rounds >= 1 && o->rounds <= MAX_ROUNDS;
}

static int draw(char path[64])
{
    mt_synth_opts so = MT_SYNTH_OPTS_INIT;
    mt_err e = MT_ERR_INIT;
    so.width = so.height = 12000;
    so.jpeg_quality = 75;
    so.threads = mt_cpu_count();
    snprintf(path, 64, "/tmp/bench_tiling.%ld.svs", (long)getpid());
    if (mt_synth_write(path, &so, NULL, NULL, 0, NULL, NULL, &e) == MT_OK) return 1;
    fprintf(stderr, "bench_tiling: %s\n", e.text);
    return 0;
}

int main(int argc, char **argv)
{
    options o;
    char drawn[64] = "";
    if (!parse(&o, argc, argv)) {
        fprintf(stderr, "usage: bench_tiling [SLIDE] [--rounds N] [--crops N] [--threads 1,2] "
                        "[--tiles 256,224] [--no-openslide]\n");
        return 2;
    }
    if (!o.slide) {
        if (!draw(drawn)) return 1;
        o.slide = drawn;
    }
    raw limit;
    int ok = 1, first = 1;
    if (!raw_open(&limit, o.slide)) limit.map = NULL; /* no JPEG tiles: no limit of this kind */
    printf("{\"bench\":\"tiling\",\"version\":\"%s\",\"kernels\":\"%s\",\"rounds\":%d,\"native_"
           "tile\":%u,\"settings\":[",
           mt_version(), mt_cpu_name(), o.rounds, limit.tile_w);
    for (int t = 0; t < o.n_tiles && ok; t++)
        for (int k = 0; k < o.n_threads && ok; k++, first = 0)
            ok = measure(&o, &limit, o.threads[k], o.tiles[t], first);
    printf("\n]}\n");
    raw_close(&limit);
    if (drawn[0]) unlink(drawn);
    return !ok;
}
