/* What this machine can do and what is missing: one line a check. */
#include "microtome/system.h"

#include <cblas.h>
#include <errno.h>
#include <jansson.h>
#include <jconfig.h>
#include <openjpeg.h>
#include <openslide.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <tiffio.h>
#include <unistd.h>
#include <vips/vips.h>
#include "base/cpu.h"
#include "base/file.h"
#include "base/h5.h"
#include "microtome/model.h"

#define TEXT_OF_(x) #x
#define TEXT_OF(x) TEXT_OF_(x)
enum { LEAST_FILES = 256, LEAST_MIB = 1024 };

typedef struct exam {
    mt_doctor_fn fn;
    void *ctx;
    int failed;
} exam;

static void say(exam *x, int ok, const char *name, const char *fmt, ...) MT_PRINTF(4, 5);
static void say(exam *x, int ok, const char *name, const char *fmt, ...)
{
    char text[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    x->failed += !ok;
    if (x->fn) x->fn(x->ctx, ok, name, text);
}

static const char *level_name(int level)
{
    return level == MT_CPU_AVX512 ? "avx512"
           : level == MT_CPU_AVX2 ? "avx2"
                                  : "ref (no AVX2: slow)";
}

static void check_cpu(exam *x)
{
    say(x, 1, "instruction set", "%s, kernel set in use: %s", level_name(mt_cpu_detected()),
        mt_cpu_name());
    say(x, mt_cpu_count() >= 1, "cores", "%d this process may use", mt_cpu_count());
}

/* The smaller of the machine's memory and the control group's ceiling. */
static uint64_t memory_bytes(void)
{
    uint64_t all = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    FILE *f = fopen("/sys/fs/cgroup/memory.max", "re");
    unsigned long long limit;
    if (f && fscanf(f, "%llu", &limit) == 1 && limit < all) all = limit;
    if (f) fclose(f);
    return all;
}

static void check_limits(exam *x)
{
    struct rlimit files = {0, 0}, size = {0, 0};
    uint64_t mib = memory_bytes() >> 20;
    say(x, mib >= LEAST_MIB, "memory", "%llu MiB%s", (unsigned long long)mib,
        mib >= LEAST_MIB ? "" : ", 1024 are needed");
    getrlimit(RLIMIT_NOFILE, &files);
    say(x, files.rlim_cur >= LEAST_FILES, "open files", "%llu allowed%s",
        (unsigned long long)files.rlim_cur,
        files.rlim_cur >= LEAST_FILES ? "" : "; ulimit -n 1024 raises it");
    getrlimit(RLIMIT_FSIZE, &size);
    bool free_size = size.rlim_cur == RLIM_INFINITY;
    say(x, free_size, "file size", "%s",
        free_size ? "not limited" : "limited (ulimit -f): large results will fail");
}

static void check_libraries(exam *x)
{
    unsigned major, minor, release;
    say(x, 1, "openslide", "%s", openslide_get_version());
    say(x, 1, "libvips", "%s", vips_version_string());
    say(x, 1, "openblas", "%s", openblas_get_config());
    mt_h5_enter();
    bool hdf5 = H5get_libversion(&major, &minor, &release) >= 0;
    mt_h5_leave();
    say(x, hdf5, "hdf5", "%u.%u.%u", hdf5 ? major : 0, hdf5 ? minor : 0, hdf5 ? release : 0);
    say(x, 1, "openssl", "%s", OpenSSL_version(OPENSSL_VERSION));
#ifdef LIBJPEG_TURBO_VERSION
    say(x, 1, "libjpeg-turbo", "%s", TEXT_OF(LIBJPEG_TURBO_VERSION));
#else
    say(x, 0, "libjpeg-turbo", "another libjpeg was found: decoding is slower");
#endif
    say(x, 1, "openjpeg", "%s", opj_version());
    say(x, 1, "libtiff", "%.*s", (int)strcspn(TIFFGetVersion(), "\n"), TIFFGetVersion());
    say(x, 1, "jansson", "%s", JANSSON_VERSION);
}

static void check_folder(exam *x, const char *name, const char *folder)
{
    mt_err err = MT_ERR_INIT;
    MT_AUTO(mt_outfile_discard) mt_outfile probe = MT_OUTFILE_INIT;
    MT_AUTO_FREE char *path = mt_strf("%s/.microtome-probe", folder);
    if (path && mt_outfile_open(&probe, path, &err) == MT_OK)
        say(x, 1, name, "%s is writable", folder);
    else
        say(x, 0, name, "%s cannot be written: %s", folder, err.text);
}

static void check_models(exam *x)
{
    for (const mt_builtin_model *m = mt_model_builtin(); m->name; m++) {
        mt_err err = MT_ERR_INIT;
        mt_model *model = NULL;
        char name[128];
        snprintf(name, sizeof name, "model %s", m->name);
        if (mt_model_open(&model, m->name, NULL, &err) != MT_OK)
            say(x, 0, name, "%s", err.text);
        else
            say(x, 1, name, "%s, weights %.12s as the card says", m->version,
                mt_model_digest(model));
        mt_model_close(&model);
    }
}

int mt_doctor(mt_doctor_fn fn, void *ctx)
{
    exam x = {fn, ctx, 0};
    const char *tmp = getenv("TMPDIR");
    say(&x, 1, "microtome", "%s", mt_version());
    check_cpu(&x);
    check_limits(&x);
    check_libraries(&x);
    check_folder(&x, "temporary folder", tmp && *tmp ? tmp : "/tmp");
    check_folder(&x, "current folder", ".");
    check_models(&x);
    return x.failed;
}
