#include "models/external.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include "trust/digest.h"

#define NAME_CEILING 1024

/* --- the wire format, just deep enough -----------------------------------------------------------
 */

typedef struct wire {
    const uint8_t *p, *end;
} wire;

typedef struct field {
    int number, type;            /* wire type: 0 varint, 1 eight bytes, 2 counted bytes, 5 four */
    wire body;                   /* of type 2 */
} field;

static bool varint(uint64_t *v, wire *w)
{
    *v = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        if (w->p == w->end) return false;
        *v |= (uint64_t)(*w->p & 0x7f) << shift;
        if (!(*w->p++ & 0x80)) return true;
    }
    return false;
}

static bool next_field(field *f, wire *w)
{
    uint64_t key, n = 0;
    if (w->p == w->end || !varint(&key, w) || key >> 3 > INT_MAX) return false;
    *f = (field){.number = (int)(key >> 3), .type = (int)(key & 7)};
    switch (f->type) {
    case 0: return varint(&n, w);
    case 1: n = 8; break;
    case 2:
        if (!varint(&n, w)) return false;
        break;
    case 5: n = 4; break;
    default: return false;
    }
    if (n > (uint64_t)(w->end - w->p)) return false;
    f->body = (wire){w->p, w->p + n};
    w->p += n;
    return true;
}

/* --- names of external files ---------------------------------------------------------------------
 */

typedef struct scan {
    size_t n_nodes;
    char **names;
    int n, cap;
    mt_status st;
    mt_err *err;
} scan;

static void add_name(scan *s, wire v)
{
    size_t len = (size_t)(v.end - v.p);
    if (s->st != MT_OK || memchr(v.p, 0, len)) return; /* the reader refuses it with its tensor */
    if (s->n && strlen(s->names[s->n - 1]) == len && !memcmp(s->names[s->n - 1], v.p, len)) return;
    if (s->n == 16 * MT_EXTERNAL_CEILING || len > NAME_CEILING) {
        s->st = mt_err_set(s->err, MT_ERR_LIMIT,
                           "the model names too many external files, or one of %zu letters", len);
        return;
    }
    if (s->n == s->cap) {
        int cap = s->cap ? 2 * s->cap : 16;
        void *p = realloc(s->names, (size_t)cap * sizeof *s->names);
        if (!p) goto no_memory;
        s->names = p;
        s->cap = cap;
    }
    if ((s->names[s->n] = strndup((const char *)v.p, len))) {
        s->n++;
        return;
    }
no_memory:
    s->st = mt_err_set(s->err, MT_ERR_NO_MEMORY, "no memory for names of external files");
}

static void scan_entry(scan *s, wire w) /* StringStringEntryProto: 1 key, 2 value */
{
    wire key = {0}, value = {0};
    for (field f; next_field(&f, &w);) {
        if (f.type == 2 && f.number == 1) key = f.body;
        if (f.type == 2 && f.number == 2) value = f.body;
    }
    if (value.p && key.p && key.end - key.p == 8 && !memcmp(key.p, "location", 8))
        add_name(s, value);
}

static void scan_tensor(scan *s, wire w) /* TensorProto: 13 external_data */
{
    for (field f; next_field(&f, &w);)
        if (f.type == 2 && f.number == 13) scan_entry(s, f.body);
}

static void scan_node(scan *s, wire w) /* NodeProto: 5 attribute; AttributeProto: 5 t */
{
    for (field f; next_field(&f, &w);)
        if (f.type == 2 && f.number == 5)
            for (field a; next_field(&a, &f.body);)
                if (a.type == 2 && a.number == 5) scan_tensor(s, a.body);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorts, drops what stands twice. */
static void tidy(scan *s)
{
    int kept = 0;
    if (s->n) qsort(s->names, (size_t)s->n, sizeof *s->names, by_text);
    for (int i = 0; i < s->n; i++) {
        if (kept && !strcmp(s->names[kept - 1], s->names[i])) free(s->names[i]);
        else s->names[kept++] = s->names[i];
    }
    s->n = kept;
}

mt_status mt_onnx_scan(size_t *n_nodes, char ***names, int *n_names, const void *onnx,
                       size_t n_bytes, mt_err *err)
{
    scan s = {.err = err};
    const uint8_t *p = onnx;
    wire model = {p, p + n_bytes};
    for (field m; next_field(&m, &model);) { /* ModelProto: 7 graph */
        if (m.type != 2 || m.number != 7) continue;
        for (field f; next_field(&f, &m.body);) { /* GraphProto: 1 node, 5 initializer */
            if (f.type != 2) continue;
            s.n_nodes += f.number == 1;
            if (f.number == 1) scan_node(&s, f.body);
            if (f.number == 5) scan_tensor(&s, f.body);
        }
    }
    tidy(&s);
    if (s.st != MT_OK) mt_external_names_free(&s.names, s.n);
    *n_nodes = s.n_nodes;
    *names = s.names;
    *n_names = s.st == MT_OK ? s.n : 0;
    return s.st;
}

void mt_external_names_free(char ***names, int n)
{
    for (int i = 0; *names && i < n; i++) free((*names)[i]);
    free(*names);
    *names = NULL;
}

/* --- files ---------------------------------------------------------------------------------------
 */

/* Relative, no "." or ".." or empty part. */
static bool is_plain(const char *name)
{
    if (!*name || strlen(name) > NAME_CEILING) return false;
    for (const char *p = name;;) {
        size_t n = strcspn(p, "/");
        if (!n || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.')) return false;
        if (!p[n]) return true;
        p += n + 1;
    }
}

/* The file a location names; it must lie in folder when every link is followed. */
static mt_status resolve(char **path, const char *folder, const char *name, mt_err *err)
{
    struct stat st;
    *path = NULL;
    if (!is_plain(name))
        return mt_err_set(err, MT_ERR_FORMAT,
                          "external data \"%.80s\": not the relative name of a file in the model's "
                          "folder",
                          name);
    MT_AUTO_FREE char *joined = mt_strf("%s/%s", folder, name);
    MT_AUTO_FREE char *root = realpath(folder, NULL);
    MT_AUTO_FREE char *real = joined ? realpath(joined, NULL) : NULL;
    if (!joined) return mt_err_set(err, MT_ERR_NO_MEMORY, "no memory for a path");
    if (!root || !real || stat(real, &st) != 0)
        return mt_err_set(err, MT_ERR_NOT_FOUND, "external data \"%.80s\": no such file beside the "
                          "model", name);
    size_t n = strlen(root);
    if (strncmp(real, root, n) || (n > 1 && real[n] != '/'))
        return mt_err_set(err, MT_ERR_FORMAT,
                          "external data \"%.80s\": a link leads out of the model's folder", name);
    if (!S_ISREG(st.st_mode))
        return mt_err_set(err, MT_ERR_FORMAT, "external data \"%.80s\": not a regular file", name);
    *path = mt_steal(real);
    return MT_OK;
}

static mt_status open_file(mt_external **out, mt_externals *e, const char *folder, const char *name,
                           mt_err *err)
{
    for (int i = e->n; i-- > 0;) /* the one used last is asked for most */
        if (!strcmp(e->file[i].name, name)) {
            *out = &e->file[i];
            return MT_OK;
        }
    if (!folder)
        return mt_err_set(err, MT_ERR_UNSUPPORTED,
                          "external data \"%.80s\": the model was not opened from a file", name);
    if (e->n >= MT_EXTERNAL_CEILING)
        return mt_err_set(err, MT_ERR_LIMIT, "more than %d external files", MT_EXTERNAL_CEILING);
    if (e->n == e->cap) {
        int cap = e->cap ? 2 * e->cap : 4;
        void *p = realloc(e->file, (size_t)cap * sizeof *e->file);
        if (!p) return mt_err_set(err, MT_ERR_NO_MEMORY, "no memory for external files");
        e->file = p;
        e->cap = cap;
    }
    mt_external *f = &e->file[e->n];
    *f = (mt_external){0};
    MT_TRY(resolve(&f->path, folder, name, err));
    f->name = strdup(name);
    mt_status st = f->name ? mt_map_open(&f->map, f->path, err)
                           : mt_err_set(err, MT_ERR_NO_MEMORY, "no memory for external files");
    if (st != MT_OK) {
        free(f->name);
        free(f->path);
        return st;
    }
    e->n++;
    *out = f;
    return MT_OK;
}

mt_status mt_external_bytes(const uint8_t **out, mt_externals *e, const char *folder,
                            const char *name, uint64_t offset, uint64_t length, mt_err *err)
{
    mt_external *f;
    MT_TRY(open_file(&f, e, folder, name, err));
    if (offset > f->map.size || length > f->map.size - offset)
        return mt_err_set(err, MT_ERR_FORMAT,
                          "external data \"%.80s\": %llu bytes from %llu on, the file has %zu", name,
                          (unsigned long long)length, (unsigned long long)offset, f->map.size);
    *out = f->map.data ? f->map.data + offset : (const uint8_t *)"";
    return MT_OK;
}

mt_status mt_external_size(uint64_t *out, mt_externals *e, const char *folder, const char *name,
                           mt_err *err)
{
    mt_external *f;
    MT_TRY(open_file(&f, e, folder, name, err));
    *out = f->map.size;
    return MT_OK;
}

mt_status mt_externals_check(const mt_externals *e, mt_err *err)
{
    for (int i = 0; i < e->n; i++)
        if (mt_map_check(&e->file[i].map, err) != MT_OK)
            return mt_err_context(err, "external data \"%.80s\"", e->file[i].name);
    return MT_OK;
}

void mt_externals_close(mt_externals *e)
{
    for (int i = 0; i < e->n; i++) {
        mt_map_close(&e->file[i].map);
        free(e->file[i].name);
        free(e->file[i].path);
    }
    free(e->file);
    *e = (mt_externals){0};
}

/* --- digest --------------------------------------------------------------------------------------
 */

static mt_status add_file(mt_sha256 *sha, mt_externals *e, const char *folder, const char *name,
                          mt_err *err)
{
    mt_external *f;
    uint8_t size[8];
    MT_TRY(open_file(&f, e, folder, name, err));
    for (int i = 0; i < 8; i++) size[i] = (uint8_t)((uint64_t)f->map.size >> 8 * i);
    mt_sha256_add(sha, name, strlen(name) + 1);
    mt_sha256_add(sha, size, sizeof size);
    if (f->map.size) mt_sha256_add(sha, f->map.data, f->map.size);
    return mt_map_check_whole(&f->map, f->path, err);
}

mt_status mt_onnx_digest(char out[65], const void *onnx, size_t n_bytes, const char *folder,
                         mt_err *err)
{
    char **names;
    int n;
    size_t n_nodes;
    uint8_t digest[32];
    mt_sha256 sha;
    mt_externals e = {0};
    MT_TRY(mt_onnx_scan(&n_nodes, &names, &n, onnx, n_bytes, err));
    mt_status st = mt_sha256_begin(&sha, err);
    if (st == MT_OK) {
        mt_sha256_add(&sha, onnx, n_bytes);
        for (int i = 0; i < n && st == MT_OK; i++) st = add_file(&sha, &e, folder, names[i], err);
        mt_sha256_end(&sha, digest);
        mt_sha256_hex(digest, out);
    }
    mt_externals_close(&e);
    mt_external_names_free(&names, n);
    return st;
}
