#include "slide/companions.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include "base/file.h"

static mt_status add(mt_file_list *l, const char *path, mt_err *err)
{
    struct stat sb;
    if (stat(path, &sb) != 0 || !S_ISREG(sb.st_mode)) return MT_OK;
    if (l->n == MT_MAX_FILES)
        return mt_err_set(err, MT_ERR_LIMIT, "the slide has more than %d files", MT_MAX_FILES);
    if ((l->n & (l->n - 1)) == 0) { /* room doubles at every power of two */
        char **more = realloc(l->names, (size_t)MT_MAX(2 * l->n, 1) * sizeof *more);
        if (!more) return mt_err_set(err, MT_ERR_NO_MEMORY, "list of files");
        l->names = more;
    }
    char *name = strdup(path);
    if (!name) return mt_err_set(err, MT_ERR_NO_MEMORY, "list of files");
    l->names[l->n++] = name;
    l->bytes += (uint64_t)sb.st_size;
    return MT_OK;
}

static void close_dir(DIR **d)
{
    if (*d) closedir(*d);
}

/* Regular files of a folder whose names begin with the prefix, but for one that is known already.
 */
static mt_status add_folder(mt_file_list *l, const char *folder, const char *prefix,
                            const char *known, mt_err *err)
{
    MT_AUTO(close_dir) DIR *d = opendir(folder);
    if (!d)
        return mt_err_set(err, errno == EMFILE || errno == ENFILE ? MT_ERR_TEMPORARY : MT_ERR_IO,
                          "the slide's folder of data files cannot be read: %s", strerror(errno));
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.' || strncmp(e->d_name, prefix, strlen(prefix)) != 0) continue;
        if (known && !strcmp(e->d_name, known)) continue;
        MT_AUTO_FREE char *path = mt_strf("%s/%s", folder, e->d_name);
        if (!path) return mt_err_set(err, MT_ERR_NO_MEMORY, "list of files");
        MT_TRY(add(l, path, err));
    }
    return MT_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static mt_status find(mt_file_list *l, const char *path, const char *vendor, mt_err *err)
{
    const char *base = mt_path_base(path), *ext = mt_path_ext(path);
    const size_t before_ext = strlen(path) - strlen(ext), before_base = (size_t)(base - path);
    MT_TRY(add(l, path, err));
    if (!strcmp(vendor, "mirax")) {
        MT_AUTO_FREE char *folder = mt_strf("%.*s", (int)before_ext, path);
        if (!folder) return mt_err_set(err, MT_ERR_NO_MEMORY, "list of files");
        return add_folder(l, folder, "", NULL, err);
    }
    if (!strcmp(vendor, "hamamatsu") && (!strcasecmp(ext, ".vms") || !strcasecmp(ext, ".vmu"))) {
        MT_AUTO_FREE char *folder =
            before_base ? mt_strf("%.*s", (int)before_base - 1, path) : mt_strf(".");
        MT_AUTO_FREE char *stem = mt_strf("%.*s", (int)(before_ext - before_base), base);
        if (!folder || !stem) return mt_err_set(err, MT_ERR_NO_MEMORY, "list of files");
        return add_folder(l, folder[0] ? folder : "/", stem, base, err);
    }
    return MT_OK;
}

mt_status mt_companions_find(mt_file_list *out, const char *path, const char *vendor, mt_err *err)
{
    *out = (mt_file_list){NULL, 0, 0};
    mt_status st = find(out, path, vendor, err);
    if (st != MT_OK) mt_file_list_free(out);
    else mt_file_list_sort(out);
    return st;
}

void mt_file_list_sort(mt_file_list *l)
{
    if (l->n > 1) qsort(l->names, (size_t)l->n, sizeof *l->names, by_name);
}

void mt_file_list_free(mt_file_list *l)
{
    for (int i = 0; i < l->n; i++) free(l->names[i]);
    free(l->names);
    *l = (mt_file_list){NULL, 0, 0};
}
