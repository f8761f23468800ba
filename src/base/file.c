#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static mt_status io_error(mt_err *err, const char *path, const char *verb)
{
    int e = errno;
    mt_status code = e == ENOENT ? MT_ERR_NOT_FOUND : e == EMFILE || e == ENFILE ? MT_ERR_TEMPORARY : MT_ERR_IO;
    return mt_err_set(err, code, "%s: cannot %s: %s", path, verb, strerror(e));
}

char *mt_strf(const char *fmt, ...)
{
    va_list ap;
    char *s = NULL;
    va_start(ap, fmt);
    if (vasprintf(&s, fmt, ap) < 0) s = NULL;
    va_end(ap);
    return s;
}

const char *mt_path_base(const char *path)
{
    const char *s = strrchr(path, '/');
    return s ? s + 1 : path;
}

const char *mt_path_ext(const char *path)
{
    const char *b = mt_path_base(path), *dot = strrchr(b, '.');
    return dot && dot != b ? dot : b + strlen(b);
}

char *mt_path_stem(const char *path)
{
    const char *b = mt_path_base(path);
    return mt_strf("%.*s", (int)(mt_path_ext(path) - b), b);
}

bool mt_file_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && !S_ISDIR(st.st_mode);
}

bool mt_dir_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

mt_status mt_dir_make(const char *path, mt_err *err)
{
    MT_AUTO_FREE char *p = strdup(path);
    if (!p) return mt_err_set(err, MT_ERR_NO_MEMORY, "no memory for a path");
    for (char *s = p + 1;; s++) {
        if (*s && *s != '/') continue;
        char c = *s;
        *s = 0;
        if (mkdir(p, 0777) != 0 && errno != EEXIST) return io_error(err, p, "create the folder");
        *s = c;
        if (!c) break;
    }
    if (!mt_dir_exists(path)) return mt_err_set(err, MT_ERR_IO, "%s: exists and is not a folder", path);
    return MT_OK;
}

/* ---- whole-or-nothing outputs ---- */

mt_status mt_outfile_name(mt_outfile *out, const char *path, mt_err *err)
{
    static atomic_uint serial;
    *out = (mt_outfile)MT_OUTFILE_INIT;
    const char *base = mt_path_base(path);
    char *target = strdup(path);
    /* pid and serial keep two writers of one target apart; the last rename wins whole. */
    char *tmp = mt_strf("%.*s.%s.%ld.%u.tmp", (int)(base - path), path, base, (long)getpid(), atomic_fetch_add(&serial, 1u));
    if (!target || !tmp) {
        free(target);
        free(tmp);
        return mt_err_set(err, MT_ERR_NO_MEMORY, "no memory for a path");
    }
    out->path = target;
    out->tmp = tmp;
    return MT_OK;
}

mt_status mt_outfile_open(mt_outfile *out, const char *path, mt_err *err)
{
    MT_TRY(mt_outfile_name(out, path, err));
    int fd = open(out->tmp, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0666);
    out->f = fd < 0 ? NULL : fdopen(fd, "w+b");
    if (!out->f) {
        mt_status st = io_error(err, path, "write");
        if (fd >= 0) close(fd);
        mt_outfile_discard(out);
        return st;
    }
    setvbuf(out->f, NULL, _IOFBF, 1 << 18);
    return MT_OK;
}

static mt_status sync_folder(const char *path, mt_err *err)
{
    const char *base = mt_path_base(path);
    MT_AUTO_FREE char *dir = base == path ? strdup(".") : mt_strf("%.*s", (int)(base - path), path);
    int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd < 0) return io_error(err, path, "sync its folder");
    int bad = fsync(fd) != 0 && errno != EINVAL;
    if (bad) {
        mt_status st = io_error(err, path, "sync its folder");
        close(fd);
        return st;
    }
    close(fd);
    return MT_OK;
}

static mt_status sync_named(const char *tmp, const char *path, mt_err *err)
{
    int fd = open(tmp, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return io_error(err, path, "finish");
    int bad = fsync(fd) != 0;
    mt_status st = bad ? io_error(err, path, "flush") : MT_OK;
    close(fd);
    return st;
}

mt_status mt_outfile_commit(mt_outfile *o, mt_err *err)
{
    mt_status st = MT_OK;
    if (o->f) {
        if (ferror(o->f) || fflush(o->f) != 0 || fsync(fileno(o->f)) != 0) st = io_error(err, o->path, "write");
        if (fclose(o->f) != 0 && st == MT_OK) st = io_error(err, o->path, "write");
        o->f = NULL;
    } else {
        st = sync_named(o->tmp, o->path, err);
    }
    if (st == MT_OK && rename(o->tmp, o->path) != 0) st = io_error(err, o->path, "rename into place");
    if (st == MT_OK) {
        free(o->tmp);
        o->tmp = NULL;
        st = sync_folder(o->path, err);
    }
    mt_outfile_discard(o);
    return st;
}

void mt_outfile_discard(mt_outfile *o)
{
    if (o->f) fclose(o->f);
    if (o->tmp) unlink(o->tmp);
    free(o->tmp);
    free(o->path);
    *o = (mt_outfile)MT_OUTFILE_INIT;
}

mt_status mt_file_write(const char *path, const void *data, size_t n, mt_err *err)
{
    MT_AUTO(mt_outfile_discard) mt_outfile o = MT_OUTFILE_INIT;
    MT_TRY(mt_outfile_open(&o, path, err));
    if (n && fwrite(data, 1, n, o.f) != n) return io_error(err, path, "write");
    return mt_outfile_commit(&o, err);
}

mt_status mt_file_read(uint8_t **data, size_t *n, const char *path, size_t ceiling, mt_err *err)
{
    *data = NULL;
    *n = 0;
    FILE *f = fopen(path, "rbe");
    if (!f) return io_error(err, path, "open");
    struct stat sb;
    mt_status st = MT_OK;
    size_t cap = 0;
    if (fstat(fileno(f), &sb) != 0) {
        st = io_error(err, path, "open");
    } else if (S_ISDIR(sb.st_mode)) {
        st = mt_err_set(err, MT_ERR_IO, "%s: is a folder", path);
    } else if (sb.st_size > 0 && (uint64_t)sb.st_size > ceiling) {
        st = mt_err_set(err, MT_ERR_LIMIT, "%s: %lld bytes pass the ceiling of %zu", path, (long long)sb.st_size, ceiling);
    }
    /* Pipes say size 0: read until the end either way, never past the ceiling. */
    uint8_t *p = NULL;
    size_t len = 0;
    while (st == MT_OK) {
        if (len + 1 >= cap) {
            size_t want = cap ? cap * 2 : (size_t)MT_MAX(sb.st_size, 4095) + 2;
            uint8_t *q = realloc(p, want);
            if (!q) {
                st = mt_err_set(err, MT_ERR_NO_MEMORY, "%s: no memory for %zu bytes", path, want);
                break;
            }
            p = q;
            cap = want;
        }
        size_t got = fread(p + len, 1, cap - len - 1, f);
        len += got;
        if (got == 0) {
            if (ferror(f)) st = io_error(err, path, "read");
            break;
        }
        if (len > ceiling) st = mt_err_set(err, MT_ERR_LIMIT, "%s: more than %zu bytes", path, ceiling);
    }
    fclose(f);
    if (st != MT_OK) {
        free(p);
        return st;
    }
    p[len] = 0;
    *data = p;
    *n = len;
    return MT_OK;
}
