/* Weights in files beside the model: found by offset, never outside its folder, part of its digest. */
#include "tests/support/support.h"
#include "onnx_build.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/file.h"
#include "models/external.h"
#include "models/net.h"
#include "trust/digest.h"

static const float weights[4] = {1, 2, 3, 4};

/* A folder of its own with w.bin: 4 bytes of nothing, then the weights. */
static const char *folder(const char *name)
{
    static char path[8][512];
    static int turn;
    char *dir = path[turn++ % 8];
    mt_err err = MT_ERR_INIT;
    snprintf(dir, sizeof path[0], "%s", tt_tmp_file(name));
    tt_ok(mt_dir_make(dir, &err), &err);
    MT_AUTO_FREE char *bin = mt_strf("%s/w.bin", dir);
    uint8_t bytes[4 + sizeof weights] = {0};
    memcpy(bytes + 4, weights, sizeof weights);
    tt_ok(mt_file_write(bin, bytes, sizeof bytes, &err), &err);
    return dir;
}

/* y = x + w, w float32[4] elsewhere. */
static uint8_t *sum(size_t *n, const char *location, const char *offset, const char *length)
{
    onnx_build b;
    ob_init(&b, 13);
    ob_input(&b, "x", 1, OB_DIMS(4));
    ob_external(&b, ob_floats(&b, "w", OB_DIMS(4), weights), location, offset, length);
    ob_node(&b, "Add", "x w > y");
    ob_output(&b, "y");
    uint8_t *p = ob_pack(&b, n);
    ob_free(&b);
    return p;
}

static mt_status compile(mt_net **net, const char *dir, const char *location, const char *offset,
                         const char *length, mt_err *err)
{
    size_t n;
    uint8_t *p = sum(&n, location, offset, length);
    mt_status st = mt_net_compile_in(net, p, n, dir, NULL, 0, "t.onnx", err);
    free(p);
    return st;
}

static mt_status run(const mt_net *net, float *y, mt_err *err)
{
    float x[4] = {10, 20, 30, 40};
    mt_net_state *state = NULL;
    mt_tensor in = *mt_net_input(net, 0), out[1];
    in.data = x;
    tt_ok(mt_net_state_new(&state, net, err), err);
    mt_status st = mt_net_run(net, state, &in, out, err);
    if (st == MT_OK) memcpy(y, out[0].data, 4 * sizeof *y);
    mt_net_state_free(&state);
    return st;
}

static void gives_the_sum(const char *dir, const char *location, const char *offset,
                          const char *length)
{
    mt_err err = MT_ERR_INIT;
    mt_net *net = NULL;
    float y[4];
    tt_ok(compile(&net, dir, location, offset, length, &err), &err);
    tt_ok(run(net, y, &err), &err);
    for (int i = 0; i < 4; i++) assert_float_equal(y[i], 10.0f * (float)(i + 1) + weights[i], 0);
    mt_net_free(&net);
}

static void weights_are_found(void **s)
{
    const char *dir = folder("found");
    gives_the_sum(dir, "w.bin", "4", "16");
    gives_the_sum(dir, "w.bin", "4", NULL); /* the rest of the file */
    MT_AUTO_FREE char *odd = mt_strf("%s/odd.bin", dir);
    MT_AUTO_FREE char *sub = mt_strf("%s/sub", dir);
    MT_AUTO_FREE char *link = mt_strf("%s/sub/link.bin", dir);
    uint8_t bytes[3 + sizeof weights] = {0};
    mt_err err = MT_ERR_INIT;
    memcpy(bytes + 3, weights, sizeof weights);
    tt_ok(mt_file_write(odd, bytes, sizeof bytes, &err), &err);
    gives_the_sum(dir, "odd.bin", "3", "16"); /* no address for a float: copied */
    tt_ok(mt_dir_make(sub, &err), &err);
    assert_int_equal(symlink("../w.bin", link), 0);
    gives_the_sum(dir, "sub/link.bin", "4", "16"); /* a link that stays inside */
}

static void refused(const char *dir, const char *location, const char *offset, const char *length,
                    mt_status want, const char *word)
{
    mt_err err = MT_ERR_INIT;
    mt_net *net = NULL;
    assert_int_equal(compile(&net, dir, location, offset, length, &err), want);
    assert_null(net);
    if (!strstr(err.text, word)) fail_msg("\"%s\" does not say \"%s\"", err.text, word);
    if (location[0] != '/' && strstr(err.text, dir)) fail_msg("\"%s\" names the folder", err.text);
}

static void nothing_outside_the_folder(void **s)
{
    const char *dir = folder("inner");
    folder("secret");
    MT_AUTO_FREE char *absolute = mt_strf("%s/w.bin", dir);
    MT_AUTO_FREE char *out = mt_strf("%s/out.bin", dir);
    MT_AUTO_FREE char *away = mt_strf("%s/away", dir);
    MT_AUTO_FREE char *fifo = mt_strf("%s/fifo", dir);
    refused(dir, absolute, "4", "16", MT_ERR_FORMAT, "not the relative name");
    refused(dir, "../secret/w.bin", "4", "16", MT_ERR_FORMAT, "not the relative name");
    refused(dir, "a/../../secret/w.bin", "4", "16", MT_ERR_FORMAT, "not the relative name");
    refused(dir, "./w.bin", "4", "16", MT_ERR_FORMAT, "not the relative name");
    refused(dir, "", "4", "16", MT_ERR_FORMAT, "not the relative name");
    refused(dir, "w.bin/", "4", "16", MT_ERR_FORMAT, "not the relative name");
    assert_int_equal(symlink("../secret/w.bin", out), 0);
    assert_int_equal(symlink("../secret", away), 0);
    refused(dir, "out.bin", "4", "16", MT_ERR_FORMAT, "leads out");
    refused(dir, "away/w.bin", "4", "16", MT_ERR_FORMAT, "leads out");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    refused(dir, "fifo", "0", "16", MT_ERR_FORMAT, "not a regular file");
    refused(dir, "none.bin", "0", "16", MT_ERR_NOT_FOUND, "no such file");
}

static void places_are_checked(void **s)
{
    const char *dir = folder("places");
    refused(dir, "w.bin", "8", "16", MT_ERR_FORMAT, "the file has 20");
    refused(dir, "w.bin", "18446744073709551615", "16", MT_ERR_FORMAT, "the file has 20");
    refused(dir, "w.bin", "4", "18446744073709551615", MT_ERR_FORMAT, "the file has 20");
    refused(dir, "w.bin", "99999999999999999999999", "16", MT_ERR_FORMAT, "no numbers");
    refused(dir, "w.bin", "-4", "16", MT_ERR_FORMAT, "no numbers");
    refused(dir, "w.bin", "4", "0x10", MT_ERR_FORMAT, "no numbers");
    refused(dir, "w.bin", "4", "12", MT_ERR_FORMAT, "3 elements of data");
    refused(dir, "w.bin", "4", "15", MT_ERR_FORMAT, "\"w\"");
    refused(dir, "w.bin", "0", NULL, MT_ERR_FORMAT, "5 elements of data");
    refused(dir, "w.bin", "30", NULL, MT_ERR_FORMAT, "the file has 20");
}

/* A weight that is no number is found in another file too. */
static void nan_weights(void **s)
{
    const char *dir = folder("nan");
    MT_AUTO_FREE char *bin = mt_strf("%s/w.bin", dir);
    uint8_t bytes[20] = {0};
    const uint32_t nan_bits = 0x7fc00000;
    mt_err err = MT_ERR_INIT;
    memcpy(bytes + 12, &nan_bits, 4);
    tt_ok(mt_file_write(bin, bytes, sizeof bytes, &err), &err);
    refused(dir, "w.bin", "4", "16", MT_ERR_NUMERIC, "element 2 is NaN");
}

/* The file shrinks while the network lives: the run fails, the process does not. */
static void cut_short_while_in_use(void **s)
{
    const char *dir = folder("cut");
    MT_AUTO_FREE char *bin = mt_strf("%s/w.bin", dir);
    mt_err err = MT_ERR_INIT;
    mt_net *net = NULL;
    float y[4];
    assert_int_equal(truncate(bin, 3 << 16), 0);
    tt_ok(compile(&net, dir, "w.bin", "131072", "16", &err), &err);
    tt_ok(run(net, y, &err), &err);
    assert_int_equal(truncate(bin, 0), 0);
    assert_int_equal(run(net, y, &err), MT_ERR_IO);
    assert_non_null(strstr(err.text, "w.bin"));
    mt_net_free(&net);
}

/* Weights beyond 2 GiB (and 4 GiB): found by offset, the file is not read as a whole. */
static void larger_than_memory(void **s)
{
    const char *dir = folder("large");
    MT_AUTO_FREE char *bin = mt_strf("%s/large.bin", dir);
    const int64_t size = (int64_t)5 << 30, at = ((int64_t)9 << 29) + 64;
    int fd = open(bin, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, size) != 0) {
        if (fd >= 0) close(fd);
        print_message("no sparse file of 5 GiB here\n");
        skip();
    }
    assert_int_equal(pwrite(fd, weights, sizeof weights, at), sizeof weights);
    close(fd);
    struct rusage before, after;
    char offset[32];
    snprintf(offset, sizeof offset, "%lld", (long long)at);
    getrusage(RUSAGE_SELF, &before);
    gives_the_sum(dir, "large.bin", offset, "16");
    getrusage(RUSAGE_SELF, &after);
    assert_true(after.ru_maxrss - before.ru_maxrss < 64 << 10); /* KiB */
    unlink(bin);
}

static void digest(char out[65], const char *dir, const char *location)
{
    mt_err err = MT_ERR_INIT;
    size_t n;
    uint8_t *p = sum(&n, location, "4", "16");
    tt_ok(mt_onnx_digest(out, p, n, dir, &err), &err);
    free(p);
}

static void digest_covers_the_weights(void **s)
{
    const char *dir = folder("digest");
    MT_AUTO_FREE char *bin = mt_strf("%s/w.bin", dir);
    MT_AUTO_FREE char *copy = mt_strf("%s/v.bin", dir);
    char a[65], b[65];
    mt_err err = MT_ERR_INIT;
    uint8_t bytes[20] = {0};
    memcpy(bytes + 4, weights, sizeof weights);
    tt_ok(mt_file_write(copy, bytes, sizeof bytes, &err), &err);
    digest(a, dir, "w.bin");
    digest(b, dir, "w.bin");
    assert_string_equal(a, b);
    digest(b, dir, "v.bin"); /* the same weights under another name: another model file */
    assert_string_not_equal(a, b);
    bytes[19] ^= 1;
    tt_ok(mt_file_write(bin, bytes, sizeof bytes, &err), &err);
    digest(b, dir, "w.bin");
    assert_string_not_equal(a, b);

    /* by hand: model, name, NUL, size, contents */
    size_t n;
    uint8_t *p = sum(&n, "w.bin", "4", "16"), *all = calloc(1, n + 6 + 8 + 20);
    memcpy(all, p, n);
    memcpy(all + n, "w.bin", 5);
    all[n + 6] = 20;
    memcpy(all + n + 14, bytes, 20);
    tt_ok(mt_sha256_of(a, all, n + 34, &err), &err);
    assert_string_equal(a, b);
    /* one file: the digest of its bytes */
    onnx_build ob;
    free(p);
    ob_init(&ob, 13);
    ob_input(&ob, "x", 1, OB_DIMS(4));
    ob_floats(&ob, "w", OB_DIMS(4), weights);
    ob_node(&ob, "Add", "x w > y");
    ob_output(&ob, "y");
    p = ob_pack(&ob, &n);
    tt_ok(mt_onnx_digest(a, p, n, NULL, &err), &err);
    tt_ok(mt_sha256_of(b, p, n, &err), &err);
    assert_string_equal(a, b);
    ob_free(&ob);
    free(p);
    free(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_are_found),
        cmocka_unit_test(nothing_outside_the_folder),
        cmocka_unit_test(places_are_checked),
        cmocka_unit_test(nan_weights),
        cmocka_unit_test(cut_short_while_in_use),
        cmocka_unit_test(larger_than_memory),
        cmocka_unit_test(digest_covers_the_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
