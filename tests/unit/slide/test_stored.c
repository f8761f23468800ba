/* Kept tiles: filled once, held while they are used, forgotten when the room is used up. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>
#include "slide/stored.h"
#include "tests/support/support.h"

enum { BYTES = 1000 };

typedef struct order { uint8_t value; int fail_first, slow, calls; } order;

static mt_status fill(uint8_t *pixels, void *ctx, mt_err *err)
{
    order *o = ctx;
    if (o->slow) usleep(1000);
    if (o->calls++ < o->fail_first) return mt_err_set(err, MT_ERR_FORMAT, "no such picture");
    memset(pixels, o->value, BYTES);
    return MT_OK;
}

/* Takes tile n, looks at it, gives it back. */
static void use(mt_kept *k, unsigned n)
{
    mt_err err = MT_ERR_INIT;
    const uint8_t *p;
    order o = {.value = (uint8_t)n};
    tt_ok(mt_kept_take(&p, k, (mt_kept_key){n, 7}, BYTES, fill, &o, &err), &err);
    assert_true(p[0] == (uint8_t)n && p[BYTES - 1] == (uint8_t)n);
    mt_kept_give(k, p);
}

static void kept(void **state)
{
    mt_err err = MT_ERR_INIT;
    mt_kept *k = NULL;
    tt_ok(mt_kept_new(&k, 10 * BYTES, &err), &err);
    for (int round = 0; round < 3; round++)
        for (unsigned i = 0; i < 10; i++) use(k, i);
    assert_int_equal(mt_kept_fills(k), 10);
    use(k, 0); /* the newest now: 1 is the oldest */
    use(k, 10);
    use(k, 0);
    assert_int_equal(mt_kept_fills(k), 11);
    use(k, 1);
    assert_int_equal(mt_kept_fills(k), 12);
    mt_kept_free(&k);
    assert_null(k);
    mt_kept_free(&k);
}

/* What is held stays, even past the ceiling. */
static void held(void **state)
{
    mt_err err = MT_ERR_INIT;
    mt_kept *k = NULL;
    const uint8_t *p[4];
    tt_ok(mt_kept_new(&k, 2 * BYTES, &err), &err);
    for (unsigned i = 0; i < 4; i++) {
        order o = {.value = (uint8_t)i};
        tt_ok(mt_kept_take(&p[i], k, (mt_kept_key){i, 7}, BYTES, fill, &o, &err), &err);
    }
    for (unsigned i = 0; i < 4; i++) assert_true(p[i][0] == i && p[i][BYTES - 1] == i);
    for (unsigned i = 0; i < 4; i++) mt_kept_give(k, p[i]);
    use(k, 3); /* of those past the ceiling nothing stays */
    use(k, 0);
    assert_int_equal(mt_kept_fills(k), 5);
    for (unsigned i = 100; i < 1000; i++) use(k, i); /* more than there are places */
    assert_int_equal(mt_kept_fills(k), 905);
    mt_kept_free(&k);
}

static void failures(void **state)
{
    mt_err err = MT_ERR_INIT;
    mt_kept *k = NULL;
    const uint8_t *p;
    order o = {.value = 9, .fail_first = 1};
    tt_ok(mt_kept_new(&k, 2 * BYTES, &err), &err);
    assert_int_equal(mt_kept_take(&p, k, (mt_kept_key){1, 1}, BYTES, fill, &o, &err), MT_ERR_FORMAT);
    assert_null(p);
    mt_err_clear(&err);
    tt_ok(mt_kept_take(&p, k, (mt_kept_key){1, 1}, BYTES, fill, &o, &err), &err);
    assert_int_equal(p[0], 9);
    mt_kept_give(k, p);
    mt_kept_free(&k);
}

/* ---- many threads ---- */

typedef struct crowd { mt_kept *k; unsigned tiles; atomic_int *wrong; } crowd;

static void *all_over(void *arg)
{
    const crowd *c = arg;
    for (unsigned i = 0; i < 3 * c->tiles; i++) {
        const uint8_t *p;
        order o = {.value = (uint8_t)(i % c->tiles), .slow = 1};
        if (mt_kept_take(&p, c->k, (mt_kept_key){i % c->tiles, 3}, BYTES, fill, &o, NULL) != MT_OK ||
            p[0] != o.value || p[BYTES - 1] != o.value)
            atomic_fetch_add(c->wrong, 1);
        else mt_kept_give(c->k, p);
    }
    return NULL;
}

/* With room for all, each is filled once whoever comes; with room for few, all get what they asked for. */
static void threads(void **state)
{
    for (int narrow = 0; narrow < 2; narrow++) {
        mt_err err = MT_ERR_INIT;
        atomic_int wrong = 0;
        pthread_t t[8];
        crowd c = {.tiles = 40, .wrong = &wrong};
        tt_ok(mt_kept_new(&c.k, narrow ? 3 * BYTES : 40 * BYTES, &err), &err);
        for (int i = 0; i < 8; i++) assert_int_equal(pthread_create(&t[i], NULL, all_over, &c), 0);
        for (int i = 0; i < 8; i++) pthread_join(t[i], NULL);
        assert_int_equal(wrong, 0);
        if (!narrow) assert_int_equal(mt_kept_fills(c.k), 40);
        mt_kept_free(&c.k);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kept), cmocka_unit_test(held), cmocka_unit_test(failures),
        cmocka_unit_test(threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
