/* The doctor says something of everything the engine needs, and counts what it calls bad. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "microtome/model.h"
#include "microtome/system.h"
#include "tests/support/support.h"

typedef struct lines {
    char names[64][64];
    int ok[64], n, bad;
} lines;

static void note(void *ctx, int ok, const char *name, const char *text)
{
    lines *l = ctx;
    assert_true(l->n < 64);
    assert_true(text[0]);
    assert_null(strchr(text, '\n'));
    strncpy(l->names[l->n], name, 63);
    l->ok[l->n++] = ok;
    l->bad += !ok;
}

static int find(const lines *l, const char *name)
{
    for (int i = 0; i < l->n; i++)
        if (strcmp(l->names[i], name) == 0) return i;
    print_error("no line \"%s\"\n", name);
    fail();
    return -1;
}

static void speaks_of_everything(void **state)
{
    static const char *const names[] = {
        "microtome",     "instruction set", "cores",    "memory",   "open files",
        "file size",     "openslide",       "libvips",  "openblas", "hdf5",
        "openssl",       "libjpeg-turbo",   "openjpeg", "libtiff",  "temporary folder",
        "current folder"};
    lines l = {0};
    assert_int_equal(mt_doctor(note, &l), l.bad);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        find(&l, names[i]);
    assert_true(l.ok[find(&l, "hdf5")] && l.ok[find(&l, "cores")]);
    for (const mt_builtin_model *m = mt_model_builtin(); m->name; m++) {
        char name[128];
        snprintf(name, sizeof name, "model %s", m->name);
        assert_true(l.ok[find(&l, name)]);
    }
}

static void sees_a_bad_folder(void **state)
{
    lines l = {0};
    const char *was = getenv("TMPDIR");
    char *kept = was ? strdup(was) : NULL;
    setenv("TMPDIR", "/no/such/folder", 1);
    assert_true(mt_doctor(note, &l) >= 1);
    if (kept)
        setenv("TMPDIR", kept, 1);
    else
        unsetenv("TMPDIR");
    free(kept);
    assert_false(l.ok[find(&l, "temporary folder")]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(speaks_of_everything),
                                       cmocka_unit_test(sees_a_bad_folder)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
