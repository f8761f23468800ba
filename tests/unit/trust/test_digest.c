/* SHA-256 against the vectors of FIPS 180-4 (examples of NIST CSRC). */
#include "tests/support/support.h"

#include <string.h>
#include "trust/digest.h"

static void vectors(void **state)
{
    mt_err e = MT_ERR_INIT;
    char hex[65];
    tt_ok(mt_sha256_of(hex, "", 0, &e), &e);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    tt_ok(mt_sha256_of(hex, "abc", 3, &e), &e);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void pieces_equal_the_whole(void **state)
{
    mt_err e = MT_ERR_INIT;
    char whole[65], pieces[65];
    uint8_t data[1000], d[32];
    for (int i = 0; i < 1000; i++) data[i] = (uint8_t)(i * 7);
    tt_ok(mt_sha256_of(whole, data, sizeof data, &e), &e);
    mt_sha256 s;
    tt_ok(mt_sha256_begin(&s, &e), &e);
    for (int i = 0; i < 1000; i += 10) mt_sha256_add(&s, data + i, 10);
    mt_sha256_end(&s, d);
    mt_sha256_hex(d, pieces);
    assert_string_equal(whole, pieces);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(vectors), cmocka_unit_test(pieces_equal_the_whole)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
