/* What happens around a slide while it is read: many threads, a file cut short under the map. */
#include "tests/unit/slide/made.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>
#include "base/file.h"

/* cmocka takes SIGBUS for itself at the start of every test; the guarded maps' handler is put back.
 */
static struct sigaction guard;

static void keep_guard(const char *any_file)
{
    mt_map m;
    mt_err err = MT_ERR_INIT;
    if (mt_map_open(&m, any_file, &err) != MT_OK) abort();
    mt_map_close(&m);
    sigaction(SIGBUS, NULL, &guard);
}

static int with_guard(void **state) { return sigaction(SIGBUS, &guard, NULL); }

/* ---- more threads than cores, all over one slide ---- */

enum { THREADS = 8, ROUNDS = 60, BOX = 150 };

typedef struct job {
    const mt_slide *slide;
    const uint8_t *whole;    /* level 0, read by one thread */
    int64_t w, h;
    int64_t hole_x, hole_y;  /* tile that cannot be read; -1: none */
    unsigned seed;
    atomic_int *wrong;
} job;

/* Every answer is the one a single thread gets: the pixels, or the error where the hole is. */
static void expect(const job *j, mt_status st, bool over_hole, const uint8_t *rgb, int64_t x,
                   int64_t y, int64_t w, int64_t h)
{
    if (st != (over_hole ? MT_ERR_FORMAT : MT_OK)) atomic_fetch_add(j->wrong, 1);
    if (st != MT_OK) return;
    for (int64_t k = 0; k < MT_MIN(h, j->h - y); k++)
        if (memcmp(rgb + 3 * w * k, j->whole + 3 * ((y + k) * j->w + x),
                   3 * (size_t)MT_MIN(w, j->w - x)))
            atomic_fetch_add(j->wrong, 1);
}

static void *read_about(void *arg)
{
    const job *j = arg;
    static _Thread_local uint8_t box[3 * BOX * BOX], tile[3 * 64 * 64];
    uint32_t r = j->seed;
    mt_tile_reader *own = NULL;
    if (mt_tile_reader_new(&own, j->slide, NULL) != MT_OK) atomic_fetch_add(j->wrong, 1);
    for (int n = 0; n < ROUNDS; n++) {
        r = r * 1664525u + 1013904223u;
        const int64_t x = (r >> 8) % (uint32_t)(j->w - BOX), y = (r >> 4) % (uint32_t)(j->h - BOX);
        const int64_t tx = x / 64, ty = y / 64;
        const bool over = j->hole_x >= tx && j->hole_x <= (x + BOX - 1) / 64 && j->hole_y >= ty &&
                          j->hole_y <= (y + BOX - 1) / 64;
        mt_status st = mt_slide_read_region(j->slide, 0, x, y, BOX, BOX, box, 3 * BOX, NULL);
        expect(j, st, over, box, x, y, BOX, BOX);
        st = mt_tile_reader_decode(own, 0, tx, ty, 1, tile, 192, NULL);
        expect(j, st, tx == j->hole_x && ty == j->hole_y, tile, tx * 64, ty * 64, 64, 64);
    }
    mt_tile_reader_free(&own);
    return NULL;
}

/* whole_path shows the same picture without a hole. */
static void crowd(const char *path, const char *whole_path, int64_t hole_x, int64_t hole_y)
{
    mt_slide *s = opened(path), *twin = opened(whole_path);
    const mt_level *l = &mt_slide_get_info(twin)->levels[0];
    uint8_t *whole = region(twin, 0, 0, 0, (int32_t)l->width, (int32_t)l->height);
    pthread_t threads[THREADS];
    job jobs[THREADS];
    atomic_int wrong = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        jobs[i] = (job){s, whole, l->width, l->height, hole_x, hole_y, 17 * i + 1, &wrong};
        assert_int_equal(pthread_create(&threads[i], NULL, read_about, &jobs[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(wrong, 0);
    free(whole);
    mt_slide_close(&s);
    mt_slide_close(&twin);
}

static void many_threads(void **state)
{
    const made_dir jpeg[] = {MADE(900, 700, 64, 64, COMPRESSION_JPEG, PHOTOMETRIC_YCBCR, 0,
                                  .sub_h = 2, .sub_v = 2, .description = "Aperio crowd|MPP = 0.5",
                                  .skip_tile = 20)};
    const char *path = made_slide("crowd.svs", "wl", jpeg, 1);
    crowd(path, path, -1, -1);
    const made_dir lzw[] = {MADE(900, 700, 64, 64, COMPRESSION_LZW, PHOTOMETRIC_RGB, 2)};
    path = made_slide("crowd.tif", "wb8", lzw, 1);
    crowd(path, path, -1, -1);
}

/* The same through OpenSlide, over a hole that breaks the handle all threads share. */
static void many_threads_openslide(void **state)
{
#if defined(__SANITIZE_THREAD__)
    skip(); /* the libraries under OpenSlide are not instrumented */
#endif
    made_dir d = MADE(900, 700, 64, 64, COMPRESSION_JPEG, PHOTOMETRIC_RGB, 0,
                      .software = "MedScan made", .description = "Objective Power=40");
    const char *whole = made_slide("crowd-whole.tif", "wl", &d, 1);
    d.skip_tile = 1 + 4 * 15 + 6;
    const char *path = made_slide("crowd-hole.tif", "wl", &d, 1);
    mt_slide *s = opened(path);
    assert_string_equal(mt_slide_get_info(s)->format, "openslide");
    mt_slide_close(&s);
    crowd(path, whole, 6, 4);
}

/* ---- a file cut short while open ---- */

static const made_dir big[] = {MADE(1024, 1024, 64, 64, COMPRESSION_NONE, PHOTOMETRIC_RGB, 0)};

/* The pixels lie beyond the new end: an I/O error, and the process lives. */
static void cut_under_the_map(void **state)
{
    with_guard(state);
    const char *path = made_slide("cut.tif", "wl", big, 1);
    mt_slide *s = opened(path), *other = opened(made_slide("whole.tif", "wl", big, 1));
    uint8_t tile[64 * 64 * 3];
    mt_err err = MT_ERR_INIT;
    mt_tile_reader *r = NULL;
    tt_ok(mt_tile_reader_new(&r, s, &err), &err);
    tt_ok(mt_tile_reader_decode(r, 0, 0, 0, 1, tile, 192, &err), &err);
    tt_ok(mt_slide_check(s, &err), &err);
    assert_int_equal(truncate(path, 100000), 0);
    assert_int_equal(mt_slide_check(s, &err), MT_ERR_IO);
    mt_err_clear(&err);
    assert_int_equal(mt_tile_reader_decode(r, 0, 15, 15, 1, tile, 192, &err), MT_ERR_IO);
    assert_true(err.text[0] != 0);
    mt_err_clear(&err);
    assert_int_equal(mt_slide_read_region(s, 0, 900, 900, 64, 64, tile, 192, &err), MT_ERR_IO);
    mt_err_clear(&err);
    assert_int_equal(mt_slide_check(s, &err), MT_ERR_IO);
    mt_tile_reader_free(&r);
    mt_slide_close(&s);
    /* Another slide, open all the while, is none the worse. */
    mt_err_clear(&err);
    tt_ok(mt_slide_read_region(other, 0, 900, 900, 64, 64, tile, 192, &err), &err);
    tt_ok(mt_slide_check(other, &err), &err);
    mt_slide_close(&other);
}

/* A smaller file put in the place of an open one is another file: the open one is whole. */
static void replaced_while_open(void **state)
{
    with_guard(state);
    const char *path = made_slide("replaced.tif", "wl", big, 1), *other = tt_tmp_file("new.tif");
    mt_slide *s = opened(path);
    FILE *f = fopen(other, "w");
    fputs("short", f);
    fclose(f);
    assert_int_equal(rename(other, path), 0);
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_slide_check(s, &err), &err);
    uint8_t *rgb = region(s, 0, 900, 900, 64, 64), want[3];
    made_pixel(want, 900, 900);
    assert_memory_equal(rgb, want, 3);
    free(rgb);
    mt_slide_close(&s);
}

/* The directory itself is gone: offsets read as zeros must not pass for tiles left out. */
static void directory_cut_away(void **state)
{
    with_guard(state);
    const char *path = made_slide("nodir.tif", "wl", big, 1); /* libtiff puts the directory last */
    mt_slide *s = opened(path);
    mt_tile_span first;
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_slide_tile_span(&first, s, 0, 0, 0, &err), &err);
    uint8_t tile[64 * 64 * 3];
    const long size = 1024L * 1024 * 3;
    for (long end = size + 600; end >= size - 40000; end -= 20300) {
        assert_int_equal(truncate(path, end), 0);
        mt_err_clear(&err);
        assert_int_equal(mt_slide_read_region(s, 0, 960, 960, 64, 64, tile, 192, &err), MT_ERR_IO);
    }
    mt_slide_close(&s);
}

/* Cut before opening: the chain of directories or the tiles no longer fit. */
static void cut_before_opening(void **state)
{
    static const long ends[] = {0, 1, 7, 8, 100, 5000, 3000000, 3145000};
    for (size_t i = 0; i < MT_COUNT(ends); i++) {
        const char *path = made_slide("short.tif", "wl", big, 1);
        assert_int_equal(truncate(path, ends[i]), 0);
        mt_slide *s = NULL;
        mt_err err = MT_ERR_INIT;
        mt_status st = mt_slide_open(&s, path, NULL, &err);
        assert_true(st == MT_ERR_FORMAT || st == MT_ERR_UNSUPPORTED);
        assert_null(s);
        assert_true(err.text[0] != 0);
    }
}

int main(int argc, char **argv)
{
    keep_guard(argv[0]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_threads),
        cmocka_unit_test(many_threads_openslide),
        cmocka_unit_test(cut_under_the_map),
        cmocka_unit_test(replaced_while_open),
        cmocka_unit_test(directory_cut_away),
        cmocka_unit_test(cut_before_opening),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
