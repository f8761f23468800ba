/* What is asked besides speed: background is never decoded, memory knows neither size nor order, a DICOM
 * series opens at once. */
#include <ftw.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"
#include "microtome/slide.h"
#include "tiles/fetch/fetch.h"
#include "tiling.h"

static bool said(const mt_err *e)
{
    fprintf(stderr, "bench_tiling: %s\n", e->text);
    return false;
}

static mt_status look(void *ctx, int worker, const mt_fetched *tiles, int n, mt_err *err)
{
    (void)ctx, (void)worker, (void)tiles, (void)n, (void)err;
    return MT_OK;
}

/* ---- background ---- */

/* A pass over the tissue, its mask included, or over everything. */
static bool pass_over(mt_fetch_stats *st, double *cpu, const mt_slide *s, bool whole)
{
    MT_AUTO(mt_tissue_free) mt_tissue *mask = NULL;
    MT_AUTO(mt_plan_free) mt_plan *plan = NULL;
    mt_err e = MT_ERR_INIT;
    mt_tissue_opts to = MT_TISSUE_OPTS_INIT;
    mt_plan_opts po = MT_PLAN_OPTS_INIT;
    mt_fetch_opts fo = MT_FETCH_OPTS_INIT;
    po.whole_slide = whole;
    const double begun = mt_clock_cpu();
    if ((!whole && mt_tissue_detect(&mask, s, &to, &e)) || mt_plan_make(&plan, s, mask, &po, &e) ||
        mt_fetch_run(s, plan, &fo, look, NULL, st, &e))
        return said(&e);
    *cpu = mt_clock_cpu() - begun;
    return true;
}

bool background_case(table *t)
{
    static const char faster[] = "tissue only, mask included, 80 % glass",
                      share[] = "native tiles decoded of all, 80 % glass";
    if (!wanted(t->o, faster) && !wanted(t->o, share)) return true;
    char path[64];
    mt_err e = MT_ERR_INIT;
    MT_AUTO(mt_slide_close) mt_slide *s = NULL;
    mt_slide_opts so = MT_SLIDE_OPTS_INIT;
    if (!draw(path, 20000, 12, 0.2)) return false;
    if (mt_slide_open(&s, path, &so, &e)) {
        unlink(path);
        return said(&e);
    }
    unlink(path); /* the map holds it */
    line *time = add_line(t, faster, 1, 0, "time for all tiles"),
         *count = add_line(t, share, 1, 0.3, "native tiles of the slide");
    count->at_most = true;
    for (int k = 0; k < MT_MIN(t->o->rounds, 5); k++) {
        double cpu[2] = {0, 0};
        mt_fetch_stats st[2];
        for (int whole = 0; whole < 2; whole++)
            if (!pass_over(&st[whole], &cpu[whole], s, whole)) return false;
        series_put(&time->ratio, cpu[1] / cpu[0]);
        series_put(&count->ratio, (double)st[0].native_decoded / (double)st[1].native_decoded);
        count->needed = time->needed = st[0].native_needed;
        count->decoded = time->decoded = st[0].native_decoded;
        count->bytes = time->bytes = st[0].peak_bytes;
        count->all = time->all = st[1].native_needed;
    }
    return true;
}

/* ---- memory ---- */

/* A pass over a whole slide: SLIDE CEILING_MIB SHUFFLE. Prints needed, decoded, bytes of buffers. */
int pass_of_child(int argc, char **argv)
{
    MT_AUTO(mt_slide_close) mt_slide *s = NULL;
    MT_AUTO(mt_plan_free) mt_plan *plan = NULL;
    mt_err e = MT_ERR_INIT;
    mt_slide_opts so = MT_SLIDE_OPTS_INIT;
    mt_plan_opts po = MT_PLAN_OPTS_INIT;
    mt_fetch_opts fo = MT_FETCH_OPTS_INIT;
    mt_fetch_stats st;
    if (argc != 5) return 2;
    po.whole_slide = 1;
    fo.memory = strtoull(argv[3], NULL, 10) << 20;
    if (mt_slide_open(&s, argv[2], &so, &e) || mt_plan_make(&plan, s, NULL, &po, &e)) return !said(&e);
    uint64_t r = 1;
    for (size_t i = plan->n_tiles; argv[4][0] == '1' && i > 1; i--) {
        r = r * 6364136223846793005u + 1442695040888963407u;
        const size_t k = (size_t)((r >> 33) % i);
        const mt_tile swap = plan->tiles[i - 1];
        plan->tiles[i - 1] = plan->tiles[k];
        plan->tiles[k] = swap;
    }
    if (mt_fetch_run(s, plan, &fo, look, NULL, &st, &e)) return !said(&e);
    printf("%llu %llu %llu\n", (unsigned long long)st.native_needed, (unsigned long long)st.native_decoded,
           (unsigned long long)st.peak_bytes);
    return 0;
}

/* Memory of a process that no file stands behind, in bytes. */
static uint64_t anonymous(pid_t pid)
{
    char name[64], row[128];
    unsigned long long kb = 0;
    snprintf(name, sizeof name, "/proc/%ld/status", (long)pid);
    FILE *f = fopen(name, "r");
    while (f && fgets(row, sizeof row, f))
        if (sscanf(row, "RssAnon: %llu", &kb) == 1) break;
    if (f) fclose(f);
    return kb << 10;
}

typedef struct peak {
    unsigned long long needed, decoded, buffers;
    uint64_t resident;
} peak;

/* A pass in a process of its own, watched from outside: nothing of other cases is in its figure. */
static bool watched_pass(peak *p, const char *slide, int ceiling_mib, bool random)
{
    int fd[2], status = 1;
    char mib[16];
    snprintf(mib, sizeof mib, "%d", ceiling_mib);
    if (pipe(fd)) return false;
    /* It is another program by the time this returns: none of our own pages are counted. */
    char *const args[] = {(char *)"bench_tiling", (char *)"--pass", (char *)(uintptr_t)slide, mib,
                          (char *)(random ? "1" : "0"), NULL};
    posix_spawn_file_actions_t acts;
    posix_spawn_file_actions_init(&acts);
    posix_spawn_file_actions_adddup2(&acts, fd[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&acts, fd[0]);
    pid_t pid = 0;
    if (posix_spawn(&pid, "/proc/self/exe", &acts, NULL, args, environ)) pid = 0;
    posix_spawn_file_actions_destroy(&acts);
    close(fd[1]);
    p->resident = 0;
    while (pid > 0 && waitpid(pid, &status, WNOHANG) == 0) {
        const uint64_t now = anonymous(pid);
        p->resident = MT_MAX(p->resident, now);
        usleep(2000);
    }
    char said_it[128] = "";
    const ssize_t n = read(fd[0], said_it, sizeof said_it - 1);
    close(fd[0]);
    return n > 0 && status == 0 &&
           sscanf(said_it, "%llu %llu %llu", &p->needed, &p->decoded, &p->buffers) == 3;
}

static bool compare_memory(table *t, const char *name, const char *of, const peak *p, const peak *base, bool limit)
{
    if (!wanted(t->o, name)) return true;
    line *l = add_line(t, name, 1, limit ? 1.1 : 0, of);
    l->at_most = true;
    l->needed = p->needed;
    l->decoded = p->decoded;
    l->bytes = p->buffers;
    l->resident = p->resident;
    series_put(&l->ratio, (double)p->resident / (double)base->resident);
    return true;
}

bool memory_cases(table *t)
{
    enum { TIGHT = 12, USUAL = 256 };
    static const char *const names[] = {"memory at 4 x the area, ceiling of 12 MiB", "memory at 4 x the area",
                                        "memory in random order"};
    if (!wanted(t->o, names[0]) && !wanted(t->o, names[1]) && !wanted(t->o, names[2])) return true;
    char half[64];
    peak small, large, small_tight, large_tight, random;
    if (!draw(half, 20000, 11, 0)) return false;
    const bool ok = watched_pass(&small, half, USUAL, false) && watched_pass(&small_tight, half, TIGHT, false) &&
                    watched_pass(&large, t->o->slide, USUAL, false) &&
                    watched_pass(&large_tight, t->o->slide, TIGHT, false) &&
                    watched_pass(&random, t->o->slide, USUAL, true);
    unlink(half);
    if (!ok) fprintf(stderr, "bench_tiling: a pass in its own process failed\n");
    return ok && compare_memory(t, names[0], "a 20,000 x 20,000 slide, same ceiling", &large_tight, &small_tight, true) &&
           compare_memory(t, names[1], "a 20,000 x 20,000 slide", &large, &small, false) &&
           compare_memory(t, names[2], "the same slide in order", &random, &large, true);
}

/* ---- opening DICOM series ---- */

#ifndef BENCH_DICOM
bool opening_cases(table *t)
{
    (void)t;
    fprintf(stderr, "built without tests: no DICOM series are made\n");
    return true;
}
#else
#include "codec/encode.h"
#include "tests/support/dicom_make.h"

#define JPEG_BASELINE "1.2.840.10008.1.2.4.50"

/* Not flushed to the disk, which would take a minute for ten thousand. */
static void write_file(const char *path, const dm_image *im)
{
    mt_buf b = MT_BUF_INIT((size_t)1 << 28);
    dm_build(&b, im);
    FILE *f = fopen(path, "wb");
    if (f) {
        fwrite(b.data, 1, b.len, f);
        fclose(f);
    }
    mt_buf_free(&b);
}

static void write_level(const char *dir, const mt_buf *jpeg, int level, int side)
{
    enum { TILE = 256 };
    const int across = (side + TILE - 1) / TILE;
    dm_frame *frames = calloc((size_t)across * (size_t)across, sizeof *frames);
    char path[160], instance[32];
    for (int i = 0; i < across * across; i++) frames[i] = (dm_frame){.data = jpeg->data, .n = jpeg->len};
    snprintf(path, sizeof path, "%s/%02d.dcm", dir, level);
    snprintf(instance, sizeof instance, "1.2.77.%d", level + 1);
    const dm_image im = {.syntax = JPEG_BASELINE,
                         .photometric = "YBR_FULL_422",
                         .instance = instance,
                         .width = side,
                         .height = side,
                         .columns = TILE,
                         .rows = TILE,
                         .spacing_x = 0.0005 * (1 << level),
                         .spacing_y = 0.0005 * (1 << level),
                         .frames = frames,
                         .n_frames = across * across,
                         .table = DM_BASIC};
    write_file(path, &im);
    free(frames);
}

static bool twelve_levels(const char *dir)
{
    enum { SIDE = 256 };
    mt_buf jpeg = MT_BUF_INIT(1 << 20);
    mt_err e = MT_ERR_INIT;
    uint8_t *px = calloc((size_t)SIDE * SIDE, 3);
    for (int i = 0; px && i < SIDE * SIDE * 3; i++) px[i] = (uint8_t)(i / 7 % 256);
    const bool ok = px && mt_jpeg_encode(&jpeg, px, 3 * SIDE, SIDE, SIDE, 50, 422, &e) == MT_OK;
    for (int level = 0; ok && level < 12; level++) write_level(dir, &jpeg, level, 32768 >> level);
    free(px);
    mt_buf_free(&jpeg);
    return ok;
}

/* One level in ten thousand files of one frame: a concatenation. */
static bool ten_thousand_files(const char *dir)
{
    enum { ACROSS = 100, TILE = 16 };
    static const uint8_t px[3 * TILE * TILE];
    const dm_frame frame = {.data = px, .n = sizeof px};
    for (int i = 0; i < ACROSS * ACROSS; i++) {
        char path[160], instance[32];
        snprintf(path, sizeof path, "%s/%05d.dcm", dir, i);
        snprintf(instance, sizeof instance, "1.2.78.%d", i + 1);
        const dm_image im = {.instance = instance,
                             .concatenation = "1.2.79",
                             .part = i + 1,
                             .parts = ACROSS * ACROSS,
                             .part_offset = i,
                             .width = ACROSS * TILE,
                             .height = ACROSS * TILE,
                             .columns = TILE,
                             .rows = TILE,
                             .frames = &frame,
                             .n_frames = 1};
        write_file(path, &im);
    }
    return true;
}

static int remove_one(const char *path, const struct stat *s, int flag, struct FTW *f)
{
    (void)s, (void)flag, (void)f;
    return remove(path);
}

static bool open_series(table *t, const char *name, const char *dir, int levels, double *first)
{
    line *l = add_line(t, name, 1, 1, "");
    l->at_most = true;
    for (int k = 0; k < 6; k++) {
        MT_AUTO(mt_slide_close) mt_slide *s = NULL;
        mt_err e = MT_ERR_INIT;
        mt_slide_opts so = MT_SLIDE_OPTS_INIT;
        const double begun = mt_clock_wall();
        if (mt_slide_open(&s, dir, &so, &e)) return said(&e);
        const double took = mt_clock_wall() - begun;
        if (mt_slide_get_info(s)->n_levels != levels) {
            fprintf(stderr, "bench_tiling: %d levels, not %d\n", mt_slide_get_info(s)->n_levels, levels);
            return false;
        }
        if (k == 0) *first = took;
        else series_put(&l->ratio, took);
    }
    snprintf(l->of, sizeof l->of, "seconds; the first time %.2f", *first);
    return true;
}

bool opening_cases(table *t)
{
    static const struct {
        const char *name;
        int levels;
        bool (*make)(const char *dir);
    } cases[] = {{"opening a DICOM series of 12 levels", 12, twelve_levels},
                 {"opening a DICOM series of 10,000 files", 1, ten_thousand_files}};
    bool ok = true;
    char cache[] = "/tmp/bench_tiling.cache.XXXXXX";
    if (!mkdtemp(cache)) return false;
    setenv("MICROTOME_CACHE", cache, 1);
    for (size_t i = 0; ok && i < MT_COUNT(cases); i++) {
        char dir[] = "/tmp/bench_tiling.dicom.XXXXXX";
        double first;
        if (!wanted(t->o, cases[i].name)) continue;
        ok = mkdtemp(dir) && cases[i].make(dir) && open_series(t, cases[i].name, dir, cases[i].levels, &first);
        nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    }
    nftw(cache, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return ok;
}
#endif
