/* Parts of bench_tiling: the limit, the slides it makes for itself, and what it prints. */
#ifndef BENCH_TILING_H
#define BENCH_TILING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "microtome/bench.h"

#define MAX_ROUNDS 101

/* A quantity over the rounds. */
typedef struct series {
    double v[MAX_ROUNDS];
    int n;
} series;
void series_put(series *s, double v);      /* leaves out what was not measured (0, NaN) */
double series_median(const series *s);     /* NaN when empty */
double series_least(const series *s);
double series_greatest(const series *s);

/* One line of the table. */
typedef struct line {
    char name[64];
    int threads;
    double asked;      /* ratio to reach, 0 when none is */
    bool at_most;      /* asked is not to be passed, instead */
    char of[48];       /* what the ratio is of */
    series ratio;      /* within a round, by megapixels per CPU second */
    series plain;      /* the same against the limit with a buffer as malloc gives it */
    series rate, base; /* megapixels handed on (or of native tiles) per CPU second: ours, the base */
    struct { const char *name; series ratio; } peer[4];
    uint64_t needed, decoded, bytes; /* native tiles; tile buffers */
    uint64_t all;                    /* native tiles of the slide, where not all are needed */
    uint64_t resident;               /* bytes of the process besides mapped files, at most */
} line;

/* ---- the run (bench_tiling.c) ---- */

#define MAX_LINES 32

typedef struct options {
    const char *slide, *out, *only; /* only: cases whose name holds these words; NULL: all */
    int rounds, peers;
    uint64_t crops;
    int threads[8], n_threads;
} options;

typedef struct raw raw;
typedef struct table {
    const options *o;
    raw *limit;
    line lines[MAX_LINES];
    int n;
} table;

bool wanted(const options *o, const char *name);
line *add_line(table *t, const char *name, int threads, double asked, const char *of);

/* Draws a square slide with the seed and the share of tissue (0: by the seed) to a file in /tmp. */
bool draw(char path[64], int64_t side, uint64_t seed, double tissue);

/* ---- cases besides speed (tiling_cases.c); false after a failure ---- */

bool background_case(table *t);            /* a slide of mostly glass: background is never decoded */
bool memory_cases(table *t);               /* the same memory for any size and order */
bool opening_cases(table *t);              /* DICOM series of many levels and of many files */
int pass_of_child(int argc, char **argv);  /* what memory_cases starts: one pass in a process of its own */

/* ---- the limit (tiling_raw.c): mmap, the tile offsets by libtiff, libjpeg, nothing of ours ---- */

raw *raw_open(const char *path);           /* NULL: level 0 is not JPEG in a tiled TIFF */
void raw_close(raw *r);
int raw_tile(const raw *r);
/* Megapixels per CPU second over the native tiles under the crops of b. aligned 0: the pixel buffer is
 * placed where libjpeg-turbo does not store past the caches; 1: where malloc puts it. */
double raw_rate(raw *r, const mt_bench_tiling *b, int threads, bool aligned);

/* ---- slides (tiling_slides.c) ---- */

/* Level 0 of a JPEG slide alone, its tiles copied. */
bool flat_copy(const char *to, const char *from, mt_err *err);
/* A square from the middle of a slide as JPEG 2000 tiles, 9/7, about 12 to 1. */
bool wavelet_copy(const char *to, const char *from, int tiles, mt_err *err);

/* ---- peers: megapixels per CPU second on the crops of b, 0 when they cannot ---- */

double peer_openslide(const char *path, const mt_bench_tiling *b, int tile_px, int threads, bool random);
double peer_vips(const char *path, const mt_bench_tiling *b, int tile_px, int threads, bool random);
double peer_libtiff(const char *path, const mt_bench_tiling *b, int threads); /* native tiles */
void peer_versions(char *text, size_t cap);

/* Crop i of the crops of b: row after row, or without sense. */
void peer_crop(int64_t at[2], const mt_bench_tiling *b, int tile_px, uint64_t i, bool random);
uint64_t peer_crops(const mt_bench_tiling *b, int tile_px);

/* ---- output (tiling_out.c) ---- */

void out_text(const line *lines, int n, const char *machine);
bool out_json(const char *path, const line *lines, int n, const char *machine);
bool out_svg(const char *path, const line *lines, int n, const char *machine);
bool out_markdown(const char *path, const line *lines, int n); /* the table of README.md */
void machine_words(char *text, size_t cap);

#endif
