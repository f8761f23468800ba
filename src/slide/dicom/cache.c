/* Blobs kept between runs: what reading ten thousand headers has told. Nothing here may be believed
 * unless it is whole, nothing here is missed when it is absent, and no fault of it is an error. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "slide/dicom/dicom.h"

enum { KEEP_FILES = 256 };
#define CEILING ((size_t)512 << 20)

typedef struct head {
    char magic[8];
    uint64_t version, n;
    mt_dicom_id sum;
} head;

static const mt_dicom_key sum_key = {0x6d6963726f746f6d, 0x6520736c69646573};
static const char magic[8] = "mtcache";
enum { VERSION = 2 };

/* Where: MICROTOME_CACHE ("off": nowhere), else as XDG says. NULL: no cache. */
static char *folder(void)
{
    const char *own = getenv("MICROTOME_CACHE"), *xdg = getenv("XDG_CACHE_HOME"),
               *home = getenv("HOME");
    if (own && *own) return strcmp(own, "off") && own[0] == '/' ? strdup(own) : NULL;
    if (xdg && xdg[0] == '/') return mt_strf("%s/microtome", xdg);
    return home && home[0] == '/' ? mt_strf("%s/.cache/microtome", home) : NULL;
}

/* Somebody else's file, a link, or a file others may write says nothing. What was looked at is what is
 * read: the folder may be one where others put things. */
static uint8_t *read_own(size_t *n, const char *path)
{
    struct stat sb;
    MT_AUTO_FREE uint8_t *p = NULL;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) return NULL;
    const bool ours = fstat(fd, &sb) == 0 && S_ISREG(sb.st_mode) && sb.st_uid == geteuid() &&
                      !(sb.st_mode & 022);
    *n = 0;
    if (ours && mt_alloc(&p, (size_t)sb.st_size, 1, CEILING, "cache", NULL) == MT_OK)
        for (ssize_t k = 1; k > 0 && *n < (size_t)sb.st_size; *n += k > 0 ? (size_t)k : 0)
            k = read(fd, p + *n, (size_t)sb.st_size - *n);
    close(fd);
    return mt_steal(p);
}

bool mt_cache_read(uint8_t **data, size_t *n, const char *name)
{
    *data = NULL;
    size_t size = 0;
    MT_AUTO_FREE char *dir = folder();
    MT_AUTO_FREE char *path = dir ? mt_strf("%s/%s", dir, name) : NULL;
    MT_AUTO_FREE uint8_t *file = path ? read_own(&size, path) : NULL;
    if (!file || size < sizeof(head)) return false;
    head h;
    memcpy(&h, file, sizeof h);
    if (memcmp(h.magic, magic, sizeof magic) || h.version != VERSION || h.n != size - sizeof h)
        return false;
    if (!mt_dicom_same(h.sum, mt_dicom_digest(&sum_key, file + sizeof h, h.n))) return false;
    memmove(file, file + sizeof h, h.n);
    *n = h.n;
    *data = mt_steal(file);
    return true;
}

/* A name this program gave: the folder may hold other things, which are not ours to remove. */
static bool is_our_name(const char *name, size_t n)
{
    static const struct { const char *word; size_t digits; } kinds[] = {
        {"dicom-files-", 16}, {"dicom-frames-", 32}, {"dicom-twins-", 32}};
    for (size_t i = 0; i < MT_COUNT(kinds); i++) {
        const size_t k = strlen(kinds[i].word);
        if (n == k + kinds[i].digits && !strncmp(name, kinds[i].word, k))
            return strspn(name + k, "0123456789abcdef") >= kinds[i].digits;
    }
    return false;
}

/* One of ours on its way: ".NAME.XXXXXX". */
static bool is_our_tmp(const char *name)
{
    const char *dot = name[0] == '.' ? strrchr(name, '.') : NULL;
    return dot && strlen(dot) == 7 && dot > name && is_our_name(name + 1, (size_t)(dot - name - 1));
}

static bool before(struct timespec a, struct timespec b)
{
    return a.tv_sec < b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec < b.tv_nsec);
}

/* The oldest go when there are too many, and what killed writers have left. */
static void sweep(const char *dir)
{
    enum { LEFT_S = 3600 }; /* nobody writes for so long */
    DIR *d = opendir(dir);
    if (!d) return;
    char oldest[64] = "";
    struct timespec least = {0, 0};
    int n = 0;
    for (struct dirent *e; (e = readdir(d));) {
        struct stat sb;
        const bool tmp = is_our_tmp(e->d_name);
        if (!tmp && !is_our_name(e->d_name, strlen(e->d_name))) continue;
        if (fstatat(dirfd(d), e->d_name, &sb, AT_SYMLINK_NOFOLLOW) != 0) continue;
        if (tmp && sb.st_mtim.tv_sec < time(NULL) - LEFT_S) (void)!unlinkat(dirfd(d), e->d_name, 0);
        if (tmp) continue;
        n++;
        if (oldest[0] && !before(sb.st_mtim, least)) continue;
        least = sb.st_mtim;
        strcpy(oldest, e->d_name);
    }
    if (n > KEEP_FILES) (void)!unlinkat(dirfd(d), oldest, 0);
    closedir(d);
}

static bool put(int fd, const void *data, size_t n)
{
    const uint8_t *p = data;
    while (n) {
        const ssize_t k = write(fd, p, n);
        if (k <= 0) return false;
        p += k;
        n -= (size_t)k;
    }
    return true;
}

/* Not flushed to the disk: what a crash leaves has no right sum. */
void mt_cache_write(const char *name, const void *data, size_t n)
{
    MT_AUTO_FREE char *dir = folder();
    MT_AUTO_FREE char *path = dir ? mt_strf("%s/%s", dir, name) : NULL;
    MT_AUTO_FREE char *tmp = path ? mt_strf("%s/.%s.XXXXXX", dir, name) : NULL;
    if (!tmp || n > CEILING - sizeof(head)) return;
    if (!mt_dir_exists(dir) && mt_dir_make(dir, NULL) == MT_OK) (void)!chmod(dir, 0700);
    const int fd = mkostemp(tmp, O_CLOEXEC); /* mode 0600 */
    if (fd < 0) return;
    head h = {.version = VERSION, .n = n, .sum = mt_dicom_digest(&sum_key, data, n)};
    memcpy(h.magic, magic, sizeof magic);
    const bool ok = put(fd, &h, sizeof h) && put(fd, data, n);
    if (close(fd) != 0 || !ok || rename(tmp, path) != 0) (void)!unlink(tmp);
    sweep(dir);
}
