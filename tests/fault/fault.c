/* What may go wrong around `microtome run`, done to the real program.
 *
 *   fault MICROTOME MODEL kill [SEED]     killed at twenty random instants, run again, same bytes
 *   fault MICROTOME MODEL disk            the disk fills up, room is made, same bytes
 *   fault MICROTOME MODEL truncate        a slide is cut short while it is read, put back, same
 * bytes fault MICROTOME MODEL together        two runs of the same folder at once
 *
 * Exit 0 when all held, 77 when the machine cannot do it, 1 otherwise. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include "trees.h"

enum { KILLS = 20 };
static const char *program, *model;
static char root[512];

static int say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int say(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
    fflush(stdout);
    return 1;
}

/* A path under root, in one of 64 static buffers: what lives long is copied. */
static char *at(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static char *at(const char *fmt, ...)
{
    static char ring[64][4096];
    static int next;
    char *s = ring[next++ % 64];
    int n = snprintf(s, sizeof ring[0], "%s/", root);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(s + n, sizeof ring[0] - (size_t)n, fmt, ap);
    va_end(ap);
    return s;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void remove_tree(const char *dir)
{
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void nap(double s)
{
    struct timespec t = {(time_t)s, (long)((s - (double)(time_t)s) * 1e9)};
    while (nanosleep(&t, &t) != 0 && errno == EINTR) {
    }
}

/* Deterministic: a seed that once failed fails again. */
static uint64_t seed = 1;
static double uniform(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (double)(seed >> 11) / 9007199254740992.0;
}

/* ---- the program ---- */

static pid_t start(const char *const *argv, rlim_t file_limit)
{
    pid_t pid = fork();
    if (pid) return pid;
    int log = open(at("log"), O_WRONLY | O_CREAT | O_APPEND, 0666),
        none = open("/dev/null", O_RDWR);
    dup2(none, 0);
    dup2(log < 0 ? none : log, 1);
    dup2(log < 0 ? none : log, 2);
    if (file_limit) {
        struct rlimit lim = {file_limit, file_limit};
        signal(SIGXFSZ,
               SIG_IGN); /* writes fail with EFBIG, as on a full disk they do with ENOSPC */
        setrlimit(RLIMIT_FSIZE, &lim);
    }
    union {
        const char *const *in;
        char *const *out;
    } args = {argv};
    execv(program, args.out);
    _exit(127);
}

static pid_t start_run(const char *out, int threads, rlim_t file_limit)
{
    char t[16];
    snprintf(t, sizeof t, "%d", threads);
    const char *slides = at("slides");
    const char *argv[] = {program, "run",       slides, "-o",        out,   "--model",
                          model,   "--threads", t,      "--overlap", "50%", NULL};
    return start(argv, file_limit);
}

static int wait_exit(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

static void print_log(void)
{
    size_t n = 0;
    char *text = trees_read(root, "log", &n);
    if (text) fwrite(n > 4000 ? text + n - 4000 : text, 1, n > 4000 ? 4000 : n, stdout);
    free(text);
}

static int must_run(const char *out, int threads)
{
    int code = wait_exit(start_run(out, threads, 0));
    if (code == 0) return 0;
    print_log();
    return say("run into %s: exit %d instead of 0", out, code);
}

static int synth(const char *name, const char *size, const char *slide_seed)
{
    const char *path = at("slides/%s", name);
    const char *argv[] = {program, "synth", "-o", path, "--size", size, "--seed", slide_seed, NULL};
    int code = wait_exit(start(argv, 0));
    if (code) print_log();
    return code;
}

/* Three slides, one of them small, and the undisturbed result in `plain`. */
static int prepare(double *plain_s)
{
    mkdir(at("slides"), 0777);
    if (synth("one.svs", "3000x2400", "11") || synth("two.svs", "1500x1200", "12") ||
        synth("three.svs", "2400x2000", "13"))
        return say("synth failed");
    double t = now();
    if (must_run(at("plain"), 2)) return 1;
    *plain_s = now() - t;
    return 0;
}

static int exists(const char *path)
{
    return access(path, F_OK) == 0;
}

/* ---- scenes ---- */

/* Slides whose scores a kill has cut off in the middle. */
static int half_done(const char *out)
{
    static const char *const names_[] = {"one", "two", "three"};
    int n = 0;
    for (int i = 0; i < 3; i++) {
        struct stat sb;
        char *path = trees_join(out, names_[i]), *journal = trees_join(path, "tiles.journal");
        n += stat(journal, &sb) == 0 && sb.st_size > 128;
        free(path);
        free(journal);
    }
    return n;
}

/* One folder, killed again and again until twenty kills are through; whenever a run wins the race
 * it must be right, and the next round starts in a fresh folder. */
static int scene_kill(double plain_s)
{
    int kills = 0, rounds = 0, bad = 0, halves = 0;
    while (kills < KILLS) {
        const char *out = at("kill-%d", rounds++);
        int here = 0;
        for (;;) {
            pid_t pid = start_run(out, 1 + (int)(3 * uniform()), 0);
            /* Later kills of a folder come sooner: a resumed run has less to do. */
            nap(uniform() * plain_s * (here ? 0.6 : 1.1));
            kill(pid, SIGKILL);
            int code = wait_exit(pid);
            if (code == 0) break;
            if (code != 256 + SIGKILL) {
                print_log();
                return say("a run that was to be killed ended with %d", code);
            }
            here++;
            halves += half_done(out);
            if (++kills >= KILLS || here == 7) break;
        }
        if (must_run(out, 2)) return 1;
        int differ = trees_differ(at("plain"), out);
        if (differ) bad += say("round %d after %d kills: %d differences", rounds, here, differ);
        remove_tree(out);
    }
    say("%d kills in %d folders, %d of them amid the scores; undisturbed run %.2f s", kills, rounds,
        halves, plain_s);
    if (halves < 2) bad += say("hardly a kill hit the scores: the test is too lax");
    return bad;
}

static int disk_full_by_limit(void)
{
    /* From 1,024 on: LLVM's OpenMP runtime keeps a note of some hundred bytes in shared memory and does
     * not live through being refused it. */
    static const rlim_t limits[] = {1024, 2500, 6000, 20000, 60000, 200000};
    int failed = 0, bad = 0;
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        const char *out = at("limit-%zu", i);
        int code = wait_exit(start_run(out, 2, limits[i]));
        if (code != 0 && code != 1 && code != 75) {
            print_log();
            return say("file limit %lu: exit %d", (unsigned long)limits[i], code);
        }
        failed += code != 0;
        if (must_run(out, 2)) return 1;
        int differ = trees_differ(at("plain"), out);
        if (differ) bad += say("file limit %lu: %d differences", (unsigned long)limits[i], differ);
        remove_tree(out);
    }
    if (failed < 3) bad += say("only %d of the limits hit anything: the test is too lax", failed);
    return bad;
}

/* A file system of a few hundred KiB, where the machine lets us mount one. */
static int disk_full_by_mount(void)
{
    static const char *const sizes[] = {"size=64k", "size=256k", "size=700k"};
    int bad = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const char *out = at("tmpfs-%zu", i);
        mkdir(out, 0777);
        if (mount("none", out, "tmpfs", 0, sizes[i]) != 0) {
            say("no tmpfs here (%s): the file-size limit alone stands for a full disk",
                strerror(errno));
            return 0;
        }
        int code = wait_exit(start_run(out, 2, 0));
        if (code != 1 && code != 0) bad += say("full disk, %s: exit %d", sizes[i], code);
        if (code == 0 && i == 0) bad += say("64 KiB held everything: the test is too lax");
        if (mount("none", out, NULL, MS_REMOUNT, "size=64m") != 0)
            bad += say("no room could be made");
        bad += must_run(out, 2);
        int differ = trees_differ(at("plain"), out);
        if (differ) bad += say("full disk, %s: %d differences", sizes[i], differ);
        umount2(out, MNT_DETACH);
    }
    return bad;
}

static int scene_truncate(void)
{
    char *slide = strdup(at("slides/one.svs")), *out = strdup(at("cut")),
         *journal = strdup(at("cut/one/tiles.journal"));
    size_t n = 0;
    char *whole = trees_read(at("slides"), "one.svs", &n);
    int bad = 0, hit = 0;
    for (int i = 0; i < 4; i++) {
        remove_tree(out);
        pid_t pid = start_run(out, 1, 0);
        /* "one" is first in the folder: as soon as its journal is there, it is being read. */
        for (int k = 0; k < 20000 && !exists(journal); k++)
            nap(0.0005);
        nap(uniform() * 0.1);
        if (truncate(slide, (off_t)((double)n * uniform())) != 0) return say("cannot truncate");
        int code = wait_exit(pid);
        if (code != 0 && code != 1 && code != 75) bad += say("slide cut short: exit %d", code);
        if (code == 1 && !exists(at("cut/two/result.json")))
            bad += say("slide cut short: the others did not finish");
        hit += code != 0;
        int fd = open(slide, O_WRONLY | O_TRUNC);
        if (fd < 0 || write(fd, whole, n) != (ssize_t)n) bad += say("cannot put the slide back");
        close(fd);
        bad += must_run(out, 2);
        int differ = trees_differ(at("plain"), out);
        if (differ) bad += say("slide cut short: %d differences", differ);
    }
    if (!hit) bad += say("no cut hit a slide in use: the test is too lax");
    free(whole);
    free(journal);
    free(slide);
    free(out);
    return bad;
}

static int scene_together(void)
{
    const char *out = at("both");
    int bad = 0;
    pid_t a = start_run(out, 1, 0), b = start_run(out, 2, 0);
    int x = wait_exit(a), y = wait_exit(b);
    if ((x != 0 && x != 75) || (y != 0 && y != 75)) {
        print_log();
        bad += say("together: exits %d and %d, each should be 0 or 75", x, y);
    }
    bad += must_run(out, 1);
    int differ = trees_differ(at("plain"), out);
    if (differ) bad += say("together: %d differences", differ);
    return bad;
}

int main(int argc, char **argv)
{
    if (argc < 4) return say("usage: fault MICROTOME MODEL kill|disk|truncate|together [SEED]");
    program = argv[1];
    model = argv[2];
    if (argc > 4) seed = strtoull(argv[4], NULL, 10) | 1;
    seed *= 0x9e3779b97f4a7c15u;
    const char *base = getenv("TMPDIR");
    snprintf(root, sizeof root, "%s/mt-fault-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(root)) return say("%s: %s", root, strerror(errno));

    double plain_s = 0;
    int bad = prepare(&plain_s);
    if (!bad && !strcmp(argv[3], "kill")) bad = scene_kill(plain_s);
    if (!bad && !strcmp(argv[3], "disk")) bad = disk_full_by_limit() + disk_full_by_mount();
    if (!bad && !strcmp(argv[3], "truncate")) bad = scene_truncate();
    if (!bad && !strcmp(argv[3], "together")) bad = scene_together();
    if (bad)
        say("%s: kept for a look", root);
    else
        remove_tree(root);
    return bad != 0;
}
