/* Which files belong to a slide: they are what its digest covers. */
#include "tests/support/support.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "slide/companions.h"

static void put(const char *name, const char *text)
{
    FILE *f = fopen(tt_tmp_file(name), "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int setup(void **state)
{
    mkdir(tt_tmp_file("a"), 0700);
    mkdir(tt_tmp_file("a/inner"), 0700);
    put("a.mrxs", "12345");
    put("a/Slidedat.ini", "123");
    put("a/Index.dat", "1");
    put("a/Data0000.dat", "12");
    put("a/.hidden", "no");
    put("v.vms", "1");
    put("v_map2.jpg", "12");
    put("v(1,0).jpg", "123");
    put("w.vms", "no");
    put("lonely.ndpi", "1234567");
    return 0;
}

static void check(const char *name, const char *vendor, const char *const *want, int n,
                  uint64_t bytes)
{
    mt_file_list l;
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_companions_find(&l, tt_tmp_file(name), vendor, &err), &err);
    assert_int_equal(l.n, n);
    for (int i = 0; i < n; i++) assert_string_equal(l.names[i], tt_tmp_file(want[i]));
    assert_int_equal(l.bytes, bytes);
    mt_file_list_free(&l);
    assert_null(l.names);
}

static void lists(void **state)
{
    static const char *const mirax[] = {"a.mrxs", "a/Data0000.dat", "a/Index.dat",
                                        "a/Slidedat.ini"};
    static const char *const vms[] = {"v(1,0).jpg", "v.vms", "v_map2.jpg"};
    static const char *const one[] = {"lonely.ndpi"};
    check("a.mrxs", "mirax", mirax, 4, 11);
    check("v.vms", "hamamatsu", vms, 3, 6);
    check("lonely.ndpi", "hamamatsu", one, 1, 7);
}

static void missing_folder(void **state)
{
    mt_file_list l;
    mt_err err = MT_ERR_INIT;
    put("b.mrxs", "1");
    assert_int_equal(mt_companions_find(&l, tt_tmp_file("b.mrxs"), "mirax", &err), MT_ERR_IO);
    assert_int_equal(l.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(lists), cmocka_unit_test(missing_folder)};
    return cmocka_run_group_tests(tests, setup, NULL);
}
