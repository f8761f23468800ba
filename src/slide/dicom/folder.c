/* The files of a folder, each looked at once: by the cache when it is still the same file, else by
 * its header. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include "slide/dicom/dicom.h"

/* Below this, reading the headers again costs no more than the cache would. */
enum { CACHE_FILES = 64, CACHE_HEADERS = 1 << 20 };

/* ---- what the cache knows ---- */

typedef struct memory {
    uint8_t *data;
    const mt_dicom_facts *facts; /* by inode */
    size_t n;
    char name[64];
} memory;

typedef struct memory_head {
    uint64_t facts_size, n;
    mt_dicom_key key;
} memory_head;

static int by_inode(const void *a, const void *b)
{
    const mt_dicom_stamp *x = &((const mt_dicom_facts *)a)->stamp,
                         *y = &((const mt_dicom_facts *)b)->stamp;
    if (x->inode != y->inode) return x->inode < y->inode ? -1 : 1;
    return (x->device > y->device) - (x->device < y->device);
}

static void recall(memory *m, mt_dicom_folder *folder, const char *dir)
{
    struct stat sb;
    memory_head h;
    size_t n;
    *m = (memory){0};
    if (stat(dir, &sb) != 0) return;
    const uint64_t who[2] = {(uint64_t)sb.st_dev, (uint64_t)sb.st_ino};
    const mt_dicom_id id = mt_dicom_digest(&(mt_dicom_key){1, 2}, who, sizeof who);
    snprintf(m->name, sizeof m->name, "dicom-files-%016llx", (unsigned long long)id.a);
    if (!mt_cache_read(&m->data, &n, m->name)) return;
    if (n < sizeof h) return;
    memcpy(&h, m->data, sizeof h);
    if (h.facts_size != sizeof(mt_dicom_facts) || h.n > MT_MAX_FILES ||
        n != sizeof h + h.n * sizeof(mt_dicom_facts)) return;
    memmove(m->data, m->data + sizeof h, n - sizeof h); /* aligned */
    m->facts = (const mt_dicom_facts *)(const void *)m->data;
    m->n = h.n;
    folder->key = h.key;
}

static bool known(mt_dicom_facts *f, const memory *m)
{
    if (!m->n) return false;
    const mt_dicom_facts *k = bsearch(f, m->facts, m->n, sizeof *f, by_inode);
    if (!k || memcmp(&k->stamp, &f->stamp, sizeof f->stamp)) return false;
    *f = *k;
    return true;
}

static void remember(const memory *m, const mt_dicom_facts *all, size_t n, const mt_dicom_key *key)
{
    const size_t bytes = n * sizeof *all;
    MT_AUTO(mt_buf_free) mt_buf b = MT_BUF_INIT(sizeof(memory_head) + bytes);
    const memory_head h = {sizeof *all, n, *key};
    mt_buf_append(&b, &h, sizeof h);
    mt_buf_append(&b, all, bytes);
    if (b.failed) return;
    qsort(b.data + sizeof h, n, sizeof *all, by_inode);
    mt_cache_write(m->name, b.data, b.len);
}

/* ---- one file ---- */

static mt_status look(mt_dicom_file *file, const mt_dicom_key *key, mt_err *err)
{
    MT_AUTO(mt_map_close) mt_map map = MT_MAP_INIT;
    mt_err why = MT_ERR_INIT;
    mt_status st = mt_map_open_as(&map, file->path, MT_DICOM_NAMELESS, &why);
    if (st == MT_ERR_TEMPORARY || st == MT_ERR_NO_MEMORY) return mt_err_set(err, st, "%s", why.text);
    if (st != MT_OK) { /* went away, or is not ours to read */
        file->facts.kind = MT_DICOM_FOREIGN;
        return MT_OK;
    }
    st = mt_dicom_facts_read(&file->facts, map.data, map.size, key, &why);
    if (st == MT_OK && mt_map_faulted(&map)) {
        st = mt_map_check(&map, &why);
        file->facts.kind = MT_DICOM_BROKEN;
    }
    if (st == MT_ERR_NO_MEMORY) return mt_err_set(err, st, "%s", why.text);
    file->fault = st;
    if (st != MT_OK) snprintf(file->why, sizeof file->why, "%.199s", why.text);
    return MT_OK;
}

static mt_status add(mt_dicom_folder *f, char *path, mt_err *err)
{
    if (f->n == f->cap) {
        const size_t cap = f->cap ? 2 * f->cap : 32;
        mt_dicom_file *more = realloc(f->files, cap * sizeof *more);
        if (!more) {
            free(path);
            return mt_err_set(err, MT_ERR_NO_MEMORY, "files of a folder");
        }
        f->files = more;
        f->cap = cap;
    }
    memset(&f->files[f->n], 0, sizeof *f->files);
    f->files[f->n++].path = path;
    return MT_OK;
}

/* ---- all of them ---- */

static mt_status list(mt_dicom_folder *f, const char *dir, const char *file, mt_err *err)
{
    DIR *d = opendir(dir);
    if (!d && file) {
        char *path = strdup(file);
        return path ? add(f, path, err) : mt_err_set(err, MT_ERR_NO_MEMORY, "files of a folder");
    }
    if (!d)
        return mt_err_set(err, errno == EMFILE || errno == ENFILE ? MT_ERR_TEMPORARY : MT_ERR_IO,
                          "the folder cannot be read: %s", strerror(errno));
    mt_status st = MT_OK;
    for (struct dirent *e; st == MT_OK && (e = readdir(d));) {
        if (e->d_name[0] == '.' || e->d_type == DT_DIR) continue;
        if (f->n == MT_MAX_FILES) {
            st = mt_err_set(err, MT_ERR_LIMIT, "the folder has more than %d files", MT_MAX_FILES);
            break;
        }
        char *path = mt_strf("%s%s%s", dir, dir[strlen(dir) - 1] == '/' ? "" : "/", e->d_name);
        st = path ? add(f, path, err) : mt_err_set(err, MT_ERR_NO_MEMORY, "files of a folder");
    }
    closedir(d);
    /* Hidden files are nobody's level, but one may be asked for by name. */
    if (st == MT_OK && file && mt_path_base(file)[0] == '.') {
        char *path = strdup(file);
        st = path ? add(f, path, err) : mt_err_set(err, MT_ERR_NO_MEMORY, "files of a folder");
    }
    return st;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const mt_dicom_file *)a)->path, ((const mt_dicom_file *)b)->path);
}

/* Facts of every file; what is no DICOM file leaves the list. */
static mt_status look_at_all(mt_dicom_folder *f, const memory *m, mt_err *err)
{
    size_t kept = 0, fresh = 0, n_all = 0;
    uint64_t headers = 0;
    MT_AUTO_FREE mt_dicom_facts *all = NULL; /* for the cache: foreign files too */
    MT_TRY(mt_alloc(&all, f->n, sizeof *all, MT_MAX_FILES * sizeof *all, "files of a folder", err));
    mt_status st = MT_OK;
    for (size_t i = 0; i < f->n; i++) {
        mt_dicom_file *file = &f->files[i];
        const bool there = st == MT_OK && mt_dicom_stamp_of(&file->facts.stamp, file->path);
        if (there && !known(&file->facts, m)) {
            st = look(file, &f->key, err);
            fresh++;
            headers += file->facts.header_bytes + file->facts.inflated; /* that is looked through for it */
        }
        f->looked_at += there;
        /* What could not be followed is looked at again each time: it may still be on its way. */
        if (there && file->facts.kind != MT_DICOM_BROKEN && !file->fault) all[n_all++] = file->facts;
        if (there && file->facts.kind != MT_DICOM_FOREIGN) f->files[kept++] = *file;
        else free(file->path);
    }
    f->n = kept;
    if (st == MT_OK && (fresh >= CACHE_FILES || headers >= CACHE_HEADERS))
        remember(m, all, n_all, &f->key);
    return st;
}

mt_status mt_dicom_folder_read(mt_dicom_folder *out, const char *dir, const char *file, mt_err *err)
{
    *out = (mt_dicom_folder){0};
    memory m;
    if (getrandom(&out->key, sizeof out->key, GRND_NONBLOCK) != (ssize_t)sizeof out->key)
        out->key = (mt_dicom_key){(uint64_t)(uintptr_t)out, 0x9e3779b97f4a7c15};
    recall(&m, out, dir);
    mt_status st = list(out, dir, file, err);
    if (st == MT_OK && out->n) {
        qsort(out->files, out->n, sizeof *out->files, by_path);
        st = look_at_all(out, &m, err);
    }
    free(m.data);
    if (st != MT_OK) mt_dicom_folder_free(out);
    return st;
}

void mt_dicom_folder_free(mt_dicom_folder *f)
{
    for (size_t i = 0; i < f->n; i++) free(f->files[i].path);
    free(f->files);
    *f = (mt_dicom_folder){0};
}
