/* The journal: what is written comes back, whatever a kill or a bit flip does to the file. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>
#include "base/file.h"
#include "base/workers.h"
#include "engine/journal.h"
#include "tests/support/support.h"

enum { N = 40, C = 3, RECORD = 4 + 1 + 4 * C + 4, HEADER = 128 };
static const char KEY[65] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
static const char OTHER[65] = "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
static const char SLIDE[65] = "abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789";

typedef struct scores {
    float probs[N * C];
    uint8_t state[N];
} scores;

static float prob(uint32_t tile, int c)
{
    return (float)(tile * 10 + (uint32_t)c) / 1000.0f;
}
static uint8_t state_of(uint32_t tile)
{
    return tile % 7 == 3 ? MT_TILE_UNREADABLE : tile % 11 == 5 ? MT_TILE_NAN : MT_TILE_DONE;
}

static mt_journal *open_begin(const char *path, const char *key, scores *s, uint32_t *found)
{
    mt_err err = MT_ERR_INIT;
    mt_journal *j = NULL;
    memset(s, 0, sizeof *s);
    tt_ok(mt_journal_open(&j, path, &err), &err);
    tt_ok(mt_journal_begin(j, key, SLIDE, N, C, s->probs, s->state, found, &err), &err);
    return j;
}

static void add(mt_journal *j, uint32_t tile)
{
    mt_err err = MT_ERR_INIT;
    float p[C];
    for (int c = 0; c < C; c++)
        p[c] = prob(tile, c);
    tt_ok(mt_journal_add(j, tile, state_of(tile), p, &err), &err);
}

static void expect(const scores *s, uint32_t tile)
{
    assert_int_equal(s->state[tile], state_of(tile));
    for (int c = 0; c < C; c++) {
        float v = s->probs[tile * C + (uint32_t)c];
        if (state_of(tile) == MT_TILE_DONE)
            assert_true(v == prob(tile, c));
        else
            assert_true(isnan(v));
    }
}

/* A journal of tiles n-1 .. 0, in that order. */
static uint8_t *make(const char *path, uint32_t n, size_t *size)
{
    mt_err err = MT_ERR_INIT;
    scores s;
    uint32_t found;
    uint8_t *data;
    unlink(path);
    mt_journal *j = open_begin(path, KEY, &s, &found);
    assert_int_equal(found, 0);
    for (uint32_t i = n; i-- > 0;)
        add(j, i);
    tt_ok(mt_journal_sync(j, &err), &err);
    mt_journal_close(&j);
    assert_null(j);
    tt_ok(mt_file_read(&data, size, path, 1 << 20, &err), &err);
    assert_int_equal(*size, HEADER + n * RECORD);
    return data;
}

static void comes_back(void **state)
{
    const char *path = tt_tmp_file("back.journal");
    size_t size;
    free(make(path, N, &size));
    scores s;
    uint32_t found;
    mt_journal *j = open_begin(path, KEY, &s, &found);
    assert_int_equal(found, N);
    for (uint32_t i = 0; i < N; i++)
        expect(&s, i);
    mt_journal_close(&j);
    char owner[33];
    mt_journal_owner(owner, path);
    assert_int_equal(strncmp(owner, SLIDE, 32), 0);
}

static void cut_at_every_byte(void **state)
{
    const char *path = tt_tmp_file("cut.journal");
    size_t size;
    uint8_t *data = make(path, 6, &size);
    for (size_t cut = 0; cut <= size; cut++) {
        mt_err err = MT_ERR_INIT;
        tt_ok(mt_file_write(path, data, cut, &err), &err);
        scores s;
        uint32_t found, whole = cut < HEADER ? 0 : (uint32_t)((cut - HEADER) / RECORD);
        mt_journal *j = open_begin(path, KEY, &s, &found);
        assert_int_equal(found, whole);
        for (uint32_t k = 0; k < 6; k++) {
            if (k < whole)
                expect(&s, 5 - k);
            else
                assert_int_equal(s.state[5 - k], MT_TILE_PENDING);
        }
        /* The rest is written behind the cut, and all of it is there the next time. */
        for (uint32_t k = whole; k < 6; k++)
            add(j, 5 - k);
        mt_journal_close(&j);
        j = open_begin(path, KEY, &s, &found);
        assert_int_equal(found, 6);
        for (uint32_t k = 0; k < 6; k++)
            expect(&s, k);
        mt_journal_close(&j);
    }
    free(data);
}

static void every_flipped_bit_is_seen(void **state)
{
    const char *path = tt_tmp_file("flip.journal");
    size_t size;
    uint8_t *data = make(path, 4, &size);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        scores s = {0};
        uint32_t found;
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        size_t good = mt_journal_parse(data, size, KEY, N, C, s.probs, s.state, &found);
        uint32_t whole = bit / 8 < HEADER ? 0 : (uint32_t)((bit / 8 - HEADER) / RECORD);
        assert_int_equal(found, whole);
        assert_int_equal(good, bit / 8 < HEADER ? 0 : HEADER + whole * RECORD);
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    free(data);
}

static void another_key_starts_anew(void **state)
{
    const char *path = tt_tmp_file("key.journal");
    size_t size;
    free(make(path, N, &size));
    scores s;
    uint32_t found;
    mt_journal *j = open_begin(path, OTHER, &s, &found);
    assert_int_equal(found, 0);
    mt_journal_close(&j);
    j = open_begin(path, KEY, &s, &found);
    assert_int_equal(found, 0);
    mt_journal_remove(&j);
    assert_false(mt_file_exists(path));
}

static void another_shape_starts_anew(void **state)
{
    const char *path = tt_tmp_file("shape.journal");
    size_t size;
    uint8_t *data = make(path, 5, &size);
    float probs[N * C] = {0};
    uint8_t st[N] = {0};
    uint32_t found;
    assert_int_equal(mt_journal_parse(data, size, KEY, N - 1, C, probs, st, &found), 0);
    assert_int_equal(mt_journal_parse(data, size, KEY, N, C - 1, probs, st, &found), 0);
    assert_int_equal(mt_journal_parse(data, size, KEY, N, C, probs, st, &found), size);
    free(data);
}

static void forgetting(void **state)
{
    const char *path = tt_tmp_file("forget.journal");
    size_t size;
    free(make(path, N, &size));
    mt_err err = MT_ERR_INIT;
    mt_journal *j = NULL;
    scores s = {0};
    uint32_t found;
    tt_ok(mt_journal_open(&j, path, &err), &err);
    tt_ok(mt_journal_forget(j, &err), &err);
    tt_ok(mt_journal_begin(j, KEY, SLIDE, N, C, s.probs, s.state, &found, &err), &err);
    assert_int_equal(found, 0);
    mt_journal_close(&j);
}

static void one_process_a_slide(void **state)
{
    const char *path = tt_tmp_file("lock.journal");
    mt_err err = MT_ERR_INIT;
    mt_journal *a = NULL, *b = NULL;
    tt_ok(mt_journal_open(&a, path, &err), &err);
    assert_int_equal(mt_journal_open(&b, path, &err), MT_ERR_TEMPORARY);
    assert_null(b);
    mt_err_clear(&err);
    mt_journal_close(&a);
    tt_ok(mt_journal_open(&b, path, &err), &err);
    mt_journal_close(&b);

    /* Killed: the lock goes with the process. */
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        mt_journal *c = NULL;
        char ok = mt_journal_open(&c, path, NULL) == MT_OK;
        (void)!write(ready[1], &ok, 1);
        for (;;)
            pause();
    }
    char ok = 0;
    assert_int_equal(read(ready[0], &ok, 1), 1);
    assert_true(ok);
    assert_int_equal(mt_journal_open(&b, path, &err), MT_ERR_TEMPORARY);
    mt_err_clear(&err);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    tt_ok(mt_journal_open(&b, path, &err), &err);
    mt_journal_close(&b);
}

typedef struct team {
    mt_journal *j;
    mt_team_err err;
} team;

static void add_one(void *ctx, int worker, size_t i)
{
    team *t = ctx;
    mt_err err = MT_ERR_INIT;
    float p[C] = {(float)i, 0.5f, 0.25f};
    if (mt_journal_add(t->j, (uint32_t)i, MT_TILE_DONE, p, &err) != MT_OK)
        mt_team_fail(&t->err, &err);
}

static void many_threads(void **state)
{
    enum { MANY = 20000 };
    const char *path = tt_tmp_file("many.journal");
    mt_err err = MT_ERR_INIT;
    uint32_t found;
    float *probs = calloc(MANY * C, sizeof *probs);
    uint8_t *st = calloc(MANY, 1);
    team t = {0};
    tt_ok(mt_journal_open(&t.j, path, &err), &err);
    tt_ok(mt_journal_begin(t.j, KEY, SLIDE, MANY, C, probs, st, &found, &err), &err);
    mt_workers_each(4, MANY, add_one, &t);
    assert_false(mt_team_failed(&t.err));
    mt_journal_close(&t.j);
    tt_ok(mt_journal_open(&t.j, path, &err), &err);
    tt_ok(mt_journal_begin(t.j, KEY, SLIDE, MANY, C, probs, st, &found, &err), &err);
    assert_int_equal(found, MANY);
    for (size_t i = 0; i < MANY; i++)
        assert_true(probs[i * C] == (float)i);
    mt_journal_close(&t.j);
    free(probs);
    free(st);
}

/* A full disk: the error is said, and what was written before it is good. */
static void full_disk(void **state)
{
    const char *path = tt_tmp_file("full.journal");
    pid_t pid = fork();
    if (pid == 0) {
        enum { MANY = 8000 };
        static float probs[MANY * C];
        static uint8_t st[MANY];
        uint32_t found;
        mt_err err = MT_ERR_INIT;
        mt_journal *j = NULL;
        signal(SIGXFSZ, SIG_IGN);
        struct rlimit lim = {100000, 100000};
        setrlimit(RLIMIT_FSIZE, &lim);
        if (mt_journal_open(&j, path, &err) != MT_OK ||
            mt_journal_begin(j, KEY, SLIDE, MANY, C, probs, st, &found, &err) != MT_OK)
            _exit(1);
        float p[C] = {0.1f, 0.2f, 0.7f};
        mt_status first = MT_OK, last = MT_OK;
        for (uint32_t i = 0; i < MANY; i++) {
            mt_err e = MT_ERR_INIT;
            last = mt_journal_add(j, i, MT_TILE_DONE, p, &e);
            if (first == MT_OK) first = last;
        }
        mt_status synced = mt_journal_sync(j, NULL);
        mt_journal_close(&j);
        _exit(first == MT_ERR_IO && synced == MT_ERR_IO ? 0 : 2);
    }
    int status;
    waitpid(pid, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    uint8_t *data, st[8000] = {0};
    size_t size;
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_file_read(&data, &size, path, 1 << 20, &err), &err);
    float *probs = calloc(8000 * C, sizeof *probs);
    uint32_t found;
    assert_int_equal(size, 100000);
    size_t good = mt_journal_parse(data, size, KEY, 8000, C, probs, st, &found);
    assert_int_equal(found, (100000 - HEADER) / RECORD);
    assert_int_equal(good, HEADER + found * RECORD);
    free(probs);
    free(data);
}

/* A slide that is set aside: an opened journal of nobody's goes, records of an earlier run stay. */
static void released(void **state)
{
    mt_err err = MT_ERR_INIT;
    scores s;
    uint32_t found;
    mt_journal *j = NULL;
    const char *path = tt_tmp_file("released.journal");
    tt_ok(mt_journal_open(&j, path, &err), &err);
    mt_journal_release(&j);
    assert_null(j);
    assert_int_not_equal(access(path, F_OK), 0);
    j = open_begin(path, KEY, &s, &found);
    add(j, 4);
    mt_journal_close(&j);
    tt_ok(mt_journal_open(&j, path, &err), &err);
    mt_journal_release(&j);
    assert_null(j);
    j = open_begin(path, KEY, &s, &found);
    assert_int_equal(found, 1);
    expect(&s, 4);
    mt_journal_remove(&j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(comes_back),
                                       cmocka_unit_test(cut_at_every_byte),
                                       cmocka_unit_test(every_flipped_bit_is_seen),
                                       cmocka_unit_test(another_key_starts_anew),
                                       cmocka_unit_test(another_shape_starts_anew),
                                       cmocka_unit_test(forgetting), cmocka_unit_test(released),
                                       cmocka_unit_test(one_process_a_slide),
                                       cmocka_unit_test(many_threads),
                                       cmocka_unit_test(full_disk)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
