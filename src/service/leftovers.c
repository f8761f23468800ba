#include "service/leftovers.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/file.h"
#include "base/mem.h"
#include "engine/journal.h"

enum { OLD_S = 600 };

/* ".<file>.<pid>.<serial>.tmp", as base/file.c names them. The file must start with `prefix`. */
static bool is_temporary(const char *name, const char *prefix, long *pid)
{
    size_t n = strlen(name), k = strlen(prefix);
    if (name[0] != '.' || n < 4 || strcmp(name + n - 4, ".tmp") != 0 ||
        strncmp(name + 1, prefix, k) != 0)
        return false;
    const char *p = name + n - 4;
    while (p > name && isdigit((unsigned char)p[-1]))
        p--;
    if (p == name + n - 4 || p <= name || p[-1] != '.') return false;
    const char *end = --p;
    while (p > name && isdigit((unsigned char)p[-1]))
        p--;
    if (p == end || p <= name || p[-1] != '.') return false;
    *pid = strtol(p, NULL, 10);
    return true;
}

static bool dead_and_old(int dir, const char *name, long pid)
{
    struct stat sb;
    if (kill((pid_t)pid, 0) == 0 || errno != ESRCH ||
        fstatat(dir, name, &sb, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    return time(NULL) - sb.st_mtim.tv_sec > OLD_S;
}

static void sweep(const char *folder, const char *prefix, bool locked)
{
    DIR *dir = folder ? opendir(folder) : NULL;
    struct dirent *e;
    while (dir && (e = readdir(dir))) {
        long pid;
        if (!is_temporary(e->d_name, prefix, &pid)) continue;
        if (locked || dead_and_old(dirfd(dir), e->d_name, pid)) unlinkat(dirfd(dir), e->d_name, 0);
    }
    if (dir) closedir(dir);
}

void mt_leftovers_sweep(const char *out_dir, const char *name)
{
    MT_AUTO_FREE char *own = mt_strf("%s/%s", out_dir, name);
    MT_AUTO_FREE char *csv = mt_strf("%s/model-outputs-csv", out_dir);
    MT_AUTO_FREE char *geojson = mt_strf("%s/model-outputs-geojson", out_dir);
    MT_AUTO_FREE char *csv_name = mt_strf("%s.csv.", name),
                      *geojson_name = mt_strf("%s.geojson.", name);
    if (!csv_name || !geojson_name) return;
    sweep(own, "", true);
    sweep(csv, csv_name, true);
    sweep(geojson, geojson_name, true);
    sweep(out_dir, "", false);
}

void mt_leftovers_unlocked(const char *out_dir, const char *name)
{
    MT_AUTO_FREE char *path = mt_strf("%s/%s/tiles.journal", out_dir, name);
    mt_journal *j = NULL;
    if (path && mt_file_exists(path) && mt_journal_open(&j, path, NULL) == MT_OK) {
        mt_leftovers_sweep(out_dir, name);
        mt_journal_remove(&j);
    }
}

mt_status mt_leftovers_retire(const char *out_dir, const char *name, mt_err *err)
{
    const struct {
        const char *before, *after;
    } files[] = {{"", "/result.json"},
                 {"", "/heatmap.tif"},
                 {"", "/heatmap.png"},
                 {"", "/qc.png"},
                 {"model-outputs-csv/", ".csv"},
                 {"model-outputs-geojson/", ".geojson"},
                 {"model-outputs-geojson/", ".geojson.gz"}};
    for (size_t i = 0; i < MT_COUNT(files); i++) {
        MT_AUTO_FREE char *path =
            mt_strf("%s/%s%s%s", out_dir, files[i].before, name, files[i].after);
        if (!path) return mt_err_set(err, MT_ERR_NO_MEMORY, "no memory for a path");
        if (unlink(path) != 0 && errno != ENOENT && errno != ENOTDIR)
            return mt_err_set(err, MT_ERR_IO, "an earlier result cannot be removed: %s",
                              strerror(errno));
    }
    return MT_OK;
}
