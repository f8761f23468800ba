#include "support.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static const char *join(const char *env, const char *relative, int must_exist)
{
    static char ring[4][4096];
    static int next;
    const char *root = getenv(env);
    char *s = ring[next++ % 4];
    snprintf(s, sizeof ring[0], "%s/%s", root ? root : "", relative);
    if (must_exist && (!root || access(s, R_OK) != 0)) {
        printf("skipped: test data '%s' is not here (set MT_TEST_DATA)\n", relative);
        return NULL;
    }
    return s;
}

const char *tt_data(const char *relative) { return join("MT_TEST_DATA", relative, 1); }
const char *tt_source(const char *relative) { return join("MT_SOURCE_DIR", relative, 0); }

static char tmp_dir[256];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void remove_tmp(void) { nftw(tmp_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS); }

const char *tt_tmp(void)
{
    if (!tmp_dir[0]) {
        const char *base = getenv("TMPDIR");
        snprintf(tmp_dir, sizeof tmp_dir, "%s/mt-test-XXXXXX", base ? base : "/tmp");
        if (!mkdtemp(tmp_dir)) {
            perror(tmp_dir);
            exit(1);
        }
        atexit(remove_tmp);
    }
    return tmp_dir;
}

const char *tt_tmp_file(const char *name)
{
    static char ring[8][4096];
    static int next;
    char *s = ring[next++ % 8];
    snprintf(s, sizeof ring[0], "%s/%s", tt_tmp(), name);
    return s;
}

void tt_ok_(mt_status st, const mt_err *err, const char *file, int line)
{
    if (st == MT_OK) return;
    print_error("%s: %s\n", mt_status_name(st), err ? err->text : "");
    _fail(file, line);
}

void tt_address_space(size_t more)
{
    static struct rlimit was;
    static int known;
    if (!known) assert_int_equal(getrlimit(RLIMIT_AS, &was), 0);
    known = 1;
    struct rlimit now = was;
    unsigned long pages = 0;
    FILE *f = more ? fopen("/proc/self/statm", "r") : NULL;
    if (more) assert_true(f && fscanf(f, "%lu", &pages) == 1);
    if (f) fclose(f);
    if (more) now.rlim_cur = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + more;
    assert_int_equal(setrlimit(RLIMIT_AS, &now), 0);
}
