/* tiles.h5: the same scores give the same bytes, and come back; anything else does not. */
#include <hdf5.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/file.h"
#include "engine/store.h"
#include "tests/support/support.h"

enum { N = 9000, C = 3 };
static const char KEY[65] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

static mt_tile tiles[N];
static float probs[N * C];
static uint8_t states[N];
static mt_card card;
static mt_plan plan;
static mt_result result;

static void set(size_t n)
{
    card.n_classes = C;
    strcpy(card.name, "tiny");
    strcpy(card.class_names[0], "stroma");
    strcpy(card.class_names[2], "tumour");
    plan.tiles = tiles;
    plan.n_tiles = n;
    plan.box_l0 = 512;
    plan.step_l0 = 256;
    plan.slide_mpp = 0.25;
    for (size_t i = 0; i < N; i++) {
        tiles[i] = (mt_tile){(int64_t)i * 7,  (int64_t)i * 3000000000, 512, 512,
                             (int32_t)i / 90, (int32_t)i % 90,         0.5f};
        states[i] = i % 100 == 7 ? MT_TILE_UNREADABLE : MT_TILE_DONE;
        for (size_t c = 0; c < C; c++)
            probs[i * C + c] = states[i] == MT_TILE_DONE ? (float)(i + c) / 9999.0f : NAN;
    }
    strcpy(result.slide_id, "s-0123456789abcdef");
    strcpy(result.stem, "SECRET-ACCESSION");
    result.slide.n_levels = 1;
    result.slide.levels[0].width = 70000;
    result.slide.levels[0].height = 50000;
    result.card = &card;
    result.model_digest = KEY;
    result.plan = &plan;
    result.probs = probs;
    result.tile_state = states;
}

static void write_store(const char *path)
{
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_store_write(path, &result, KEY, &err), &err);
}

static void same_bytes(void **state)
{
    mt_err err = MT_ERR_INIT;
    const char *a = tt_tmp_file("a.h5"), *b = tt_tmp_file("b.h5");
    uint8_t *x, *y;
    size_t nx, ny;
    set(N);
    write_store(a);
    sleep(1); /* a time stamp would show */
    write_store(b);
    tt_ok(mt_file_read(&x, &nx, a, 1 << 24, &err), &err);
    tt_ok(mt_file_read(&y, &ny, b, 1 << 24, &err), &err);
    assert_int_equal(nx, ny);
    assert_memory_equal(x, y, nx);
    assert_null(memmem(x, nx, "SECRET", 6));
    free(x);
    free(y);
}

static void comes_back(void **state)
{
    mt_err err = MT_ERR_INIT;
    const char *path = tt_tmp_file("back.h5");
    float *p = calloc(N * C, sizeof *p);
    uint8_t *s = calloc(N, 1);
    int found;
    set(N);
    write_store(path);
    tt_ok(mt_store_read(path, KEY, N, C, p, s, &found, &err), &err);
    assert_int_equal(found, 1);
    assert_memory_equal(s, states, N);
    assert_memory_equal(p, probs, sizeof probs);
    char other[65];
    memcpy(other, KEY, sizeof other);
    other[63] = '0';
    tt_ok(mt_store_read(path, other, N, C, p, s, &found, &err), &err);
    assert_int_equal(found, 0);
    tt_ok(mt_store_read(path, KEY, N - 1, C, p, s, &found, &err), &err);
    assert_int_equal(found, 0);
    tt_ok(mt_store_read(path, KEY, N, C - 1, p, s, &found, &err), &err);
    assert_int_equal(found, 0);
    tt_ok(mt_store_read(tt_tmp_file("none.h5"), KEY, N, C, p, s, &found, &err), &err);
    assert_int_equal(found, 0);
    free(p);
    free(s);
}

/* A damaged store is not believed, wherever the damage is. */
static void damaged(void **state)
{
    enum { FEW = 50 };
    mt_err err = MT_ERR_INIT;
    const char *path = tt_tmp_file("bad.h5");
    float p[FEW * C];
    uint8_t s[FEW], *data;
    size_t n;
    int found;
    set(FEW);
    write_store(path);
    tt_ok(mt_file_read(&data, &n, path, 1 << 24, &err), &err);
    for (size_t at = 0; at < n; at += 37) {
        uint8_t was = data[at];
        data[at] ^= 0x41;
        tt_ok(mt_file_write(path, data, n, &err), &err);
        tt_ok(mt_store_read(path, KEY, FEW, C, p, s, &found, &err), &err);
        assert_int_equal(found, 0);
        data[at] = was;
    }
    for (size_t cut = 0; cut < n; cut += 211) {
        tt_ok(mt_file_write(path, data, cut, &err), &err);
        tt_ok(mt_store_read(path, KEY, FEW, C, p, s, &found, &err), &err);
        assert_int_equal(found, 0);
    }
    free(data);
}

static int64_t attr_int(hid_t at, const char *name)
{
    int64_t v = -1;
    hid_t a = H5Aopen(at, name, H5P_DEFAULT);
    assert_true(a >= 0 && H5Aread(a, H5T_NATIVE_INT64, &v) >= 0);
    H5Aclose(a);
    return v;
}

/* As a CLAM or WSInfer reader opens it. */
static void others_can_read(void **state)
{
    const char *path = tt_tmp_file("clam.h5");
    set(N);
    write_store(path);
    hid_t f = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    assert_true(f >= 0);
    hid_t coords = H5Dopen2(f, "coords", H5P_DEFAULT), space = H5Dget_space(coords);
    hsize_t dims[2], max[2];
    H5Sget_simple_extent_dims(space, dims, max);
    assert_int_equal(dims[0], N);
    assert_int_equal(dims[1], 2);
    assert_true(max[0] == H5S_UNLIMITED);
    int64_t *xy = calloc(2 * N, sizeof *xy);
    assert_true(H5Dread(coords, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, xy) >= 0);
    assert_int_equal(xy[2 * 5], 35);
    assert_true(xy[2 * (N - 1) + 1] == (int64_t)(N - 1) * 3000000000);
    assert_int_equal(attr_int(coords, "patch_size"), 512);
    assert_int_equal(attr_int(coords, "patch_level"), 0);
    assert_int_equal(attr_int(coords, "overlap"), 256);
    assert_int_equal(attr_int(coords, "level0_width"), 70000);
    free(xy);
    H5Sclose(space);
    H5Dclose(coords);
    H5Fclose(f);
}

static void empty(void **state)
{
    mt_err err = MT_ERR_INIT;
    const char *path = tt_tmp_file("empty.h5");
    int found;
    set(0);
    write_store(path);
    tt_ok(mt_store_read(path, KEY, 0, C, NULL, NULL, &found, &err), &err);
    assert_int_equal(found, 1);
}

static void folder_gone(void **state)
{
    mt_err err = MT_ERR_INIT;
    set(3);
    assert_int_not_equal(mt_store_write(tt_tmp_file("no/such/tiles.h5"), &result, KEY, &err),
                         MT_OK);
    assert_true(err.text[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bytes), cmocka_unit_test(comes_back),
        cmocka_unit_test(damaged),    cmocka_unit_test(others_can_read),
        cmocka_unit_test(empty),      cmocka_unit_test(folder_gone)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
