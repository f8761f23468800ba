/* As much of cmocka as the kernel checks use, for a cross compiler that has no library of it: a failed
 * assertion says where and ends the program. */
#ifndef MT_CROSS_CMOCKA_H
#define MT_CROSS_CMOCKA_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct CMUnitTest {
    const char *name;
    void (*fn)(void **state);
};
#define cmocka_unit_test(f) {#f, f}

#define fail_msg(...)                                                                              \
    (fprintf(stderr, "%s:%d: ", __FILE__, __LINE__), fprintf(stderr, __VA_ARGS__),                 \
     fputc('\n', stderr), exit(1))
#define fail() fail_msg("failed")
#define assert_true(x) ((x) ? (void)0 : fail_msg("%s", #x))
#define assert_false(x) assert_true(!(x))
#define assert_null(x) assert_true((x) == NULL)
#define assert_non_null(x) assert_true((x) != NULL)
#define assert_int_equal(x, y) assert_true((long long)(x) == (long long)(y))
#define assert_memory_equal(x, y, n) assert_true(memcmp((x), (y), (n)) == 0)
#define assert_string_equal(x, y) assert_true(strcmp((x), (y)) == 0)
#define print_error(...) fprintf(stderr, __VA_ARGS__)

static inline void _fail(const char *file, int line)
{
    fprintf(stderr, "%s:%d\n", file, line);
    exit(1);
}

static inline int cross_run(const struct CMUnitTest *t, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        t[i].fn(NULL);
        printf("ok %s\n", t[i].name);
        fflush(stdout);
    }
    return 0;
}
#define cmocka_run_group_tests(tests, up, down) cross_run(tests, sizeof(tests) / sizeof *(tests))

#endif
