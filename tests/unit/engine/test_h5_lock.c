/* HDF5 is not built for threads: the store, coordinates and tile files wait for one another, and give
 * the same bytes side by side as one after the other. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/file.h"
#include "base/h5.h"
#include "engine/store.h"
#include "tests/support/support.h"
#include "tiles/plan/coords.h"
#include "tiles/write/tiles_h5.h"

enum { N = 40, SIDE = 16, ROUNDS = 25 };
static const char KEY[65] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

static mt_tile tiles[N];
static float probs[N];
static uint8_t states[N];
static mt_card card;
static mt_plan plan;
static mt_result result;
static char stored[4096], wanted[4096], pictures[4096];
static atomic_int done;

static void set(void)
{
    card.n_classes = 1;
    plan.tiles = tiles;
    plan.n_tiles = N;
    plan.box_l0 = plan.step_l0 = plan.out_px = plan.tile_px = SIDE;
    plan.slide_mpp = plan.target_mpp = 0.5;
    plan.level_downsample = 1;
    for (int i = 0; i < N; i++) {
        tiles[i] = (mt_tile){(int64_t)i * SIDE, 0, SIDE, SIDE, i, 0, 1.0f};
        states[i] = MT_TILE_DONE;
        probs[i] = (float)i / N;
    }
    result = (mt_result){.card = &card, .model_digest = KEY, .plan = &plan, .probs = probs, .tile_state = states};
    result.slide.n_levels = 1;
    result.slide.levels[0].width = N * SIDE;
    result.slide.levels[0].height = SIDE;
    snprintf(stored, sizeof stored, "%s", tt_tmp_file("store.h5"));
    snprintf(wanted, sizeof wanted, "%s", tt_tmp_file("coords.h5"));
    snprintf(pictures, sizeof pictures, "%s", tt_tmp_file("pictures.h5"));
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_store_write(wanted, &result, KEY, &err), &err);
}

/* One round of each user of the library; false when anything is not as it should be. */
static bool use_store(void)
{
    float p[N] = {0};
    uint8_t s[N] = {0};
    int found = 0;
    return mt_store_write(stored, &result, KEY, NULL) == MT_OK &&
           mt_store_read(stored, KEY, N, 1, p, s, &found, NULL) == MT_OK && found &&
           !memcmp(p, probs, sizeof p);
}

static bool use_coords(void)
{
    coords_file c;
    bool ok = coords_read(&c, wanted, NULL) == MT_OK && c.n == N && c.xy[2 * (N - 1)] == (N - 1) * SIDE;
    coords_free(&c);
    return ok;
}

static bool use_pictures(void)
{
    MT_AUTO(tiles_h5_free) tiles_h5 *h = NULL;
    uint8_t rgb[SIDE * SIDE * 3];
    if (tiles_h5_open(&h, pictures, "case", &result.slide, &plan, MT_H5_CLAM, true, NULL) != MT_OK)
        return false;
    for (int i = 0; i < N; i++) {
        memset(rgb, i, sizeof rgb);
        if (tiles_h5_put(h, (uint32_t)i, rgb, NULL) != MT_OK) return false;
    }
    return tiles_h5_commit(h, NULL) == MT_OK;
}

static bool (*const users[])(void) = {use_store, use_coords, use_pictures};

static void *once(void *user)
{
    bool ok = (*(bool (*const *)(void))user)();
    atomic_fetch_add(&done, 1);
    return ok ? NULL : user;
}

static void *again_and_again(void *user)
{
    bool ok = true;
    for (int i = 0; i < ROUNDS && ok; i++)
        ok = (*(bool (*const *)(void))user)();
    return ok ? NULL : user;
}

static void start(pthread_t threads[3], void *(*fn)(void *))
{
    for (size_t i = 0; i < MT_COUNT(users); i++) {
        union {
            bool (*const *in)(void);
            void *out;
        } user = {&users[i]};
        assert_int_equal(pthread_create(&threads[i], NULL, fn, user.out), 0);
    }
}

static void all_well(pthread_t threads[3])
{
    for (size_t i = 0; i < MT_COUNT(users); i++) {
        void *bad;
        pthread_join(threads[i], &bad);
        assert_null(bad);
    }
}

static void each_waits_for_the_lock(void **state)
{
    pthread_t threads[3];
    set();
    atomic_store(&done, 0);
    mt_h5_enter();
    start(threads, once);
    usleep(300000); /* long enough for any of them */
    const int early = atomic_load(&done);
    mt_h5_leave();
    all_well(threads);
    assert_int_equal(early, 0);
    assert_int_equal(atomic_load(&done), 3);
}

static void side_by_side(void **state)
{
    pthread_t threads[3];
    uint8_t *alone, *beside;
    size_t n_alone, n_beside;
    mt_err err = MT_ERR_INIT;
    set();
    assert_true(use_pictures());
    tt_ok(mt_file_read(&alone, &n_alone, pictures, 1 << 24, &err), &err);
    start(threads, again_and_again);
    all_well(threads);
    tt_ok(mt_file_read(&beside, &n_beside, pictures, 1 << 24, &err), &err);
    assert_int_equal(n_alone, n_beside);
    assert_memory_equal(alone, beside, n_alone);
    free(alone);
    free(beside);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_waits_for_the_lock),
        cmocka_unit_test(side_by_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
