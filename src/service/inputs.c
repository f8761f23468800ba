#include "service/inputs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "microtome/slide.h"

#define LIST_MAX_BYTES ((size_t)64 << 20)
enum { MAX_SLIDES = 1000000, MAX_COLUMNS = 1000, MAX_FIELD = 8192 };
static const double MPP_LEAST = 0.01, MPP_MOST = 100.0;

static const char *const extensions[] = {".svs", ".tif", ".tiff", ".ndpi",   ".mrxs",
                                         ".scn", ".bif", ".vms",  ".svslide"};

static bool is_slide_name(const char *name)
{
    if (name[0] == '.') return false;
    for (size_t i = 0; i < MT_COUNT(extensions); i++)
        if (strcasecmp(mt_path_ext(name), extensions[i]) == 0) return true;
    return false;
}

void mt_inputs_free(mt_inputs *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->items[i].path);
    free(list->items);
    *list = (mt_inputs){NULL, 0, 0};
}

static mt_status add(mt_inputs *list, const char *path, double mpp, mt_err *err)
{
    if (list->n == MAX_SLIDES)
        return mt_err_set(err, MT_ERR_LIMIT, "inputs: more than %d slides", MAX_SLIDES);
    if (list->n == list->cap) {
        size_t cap = list->cap ? 2 * list->cap : 64;
        mt_input *more = realloc(list->items, cap * sizeof *more);
        if (!more)
            return mt_err_set(err, MT_ERR_NO_MEMORY, "inputs: no memory for %zu slides", cap);
        list->items = more;
        list->cap = cap;
    }
    char *copy = strdup(path);
    if (!copy) return mt_err_set(err, MT_ERR_NO_MEMORY, "inputs: no memory for a path");
    list->items[list->n++] = (mt_input){copy, mpp};
    return MT_OK;
}

/* ---- CSV ---- */

typedef struct csv {
    const char *text;
    size_t n, at;
    size_t row;
    const char *what;
} csv;

/* The next field into buf. *last: the record ends behind it. Quotes double inside quotes. */
static mt_status field(csv *c, mt_buf *buf, bool *last, mt_err *err)
{
    buf->len = 0;
    bool quoted = c->at < c->n && c->text[c->at] == '"', closed = !quoted;
    if (quoted) c->at++;
    *last = true;
    for (; c->at < c->n; c->at++) {
        char ch = c->text[c->at];
        if (!closed) {
            if (ch == '"' && c->at + 1 < c->n && c->text[c->at + 1] == '"') {
                c->at++;
            } else if (ch == '"') {
                closed = true;
                continue;
            }
        } else if (ch == ',' || ch == '\n') {
            *last = ch == '\n';
            c->at++;
            break;
        } else if (ch == '\r' && (c->at + 1 == c->n || c->text[c->at + 1] == '\n')) {
            continue;
        }
        if (ch == 0)
            return mt_err_set(err, MT_ERR_FORMAT, "%s: row %zu: a zero byte", c->what, c->row);
        mt_buf_append(buf, &ch, 1);
    }
    if (!closed)
        return mt_err_set(err, MT_ERR_FORMAT, "%s: row %zu: a quote is not closed", c->what,
                          c->row);
    mt_buf_append(buf, "", 1);
    if (mt_buf_status(buf, "field", NULL) != MT_OK)
        return mt_err_set(err, MT_ERR_LIMIT, "%s: row %zu: a field of more than %d bytes", c->what,
                          c->row, MAX_FIELD);
    return MT_OK;
}

static char *trim(char *s)
{
    s += strspn(s, " \t");
    for (size_t n = strlen(s); n && strchr(" \t", s[n - 1]); n--)
        s[n - 1] = 0;
    return s;
}

static mt_status read_header(csv *c, int *wsi, int *mpp, mt_err *err)
{
    MT_AUTO(mt_buf_free) mt_buf buf = MT_BUF_INIT(MAX_FIELD);
    bool last = false;
    *wsi = *mpp = -1;
    if (c->n >= 3 && memcmp(c->text, "\xef\xbb\xbf", 3) == 0) c->at = 3;
    for (int col = 0; !last && col < MAX_COLUMNS; col++) {
        MT_TRY(field(c, &buf, &last, err));
        const char *name = trim((char *)buf.data);
        if (*wsi < 0 && strcasecmp(name, "wsi") == 0) *wsi = col;
        if (*mpp < 0 && strcasecmp(name, "mpp") == 0) *mpp = col;
    }
    if (!last)
        return mt_err_set(err, MT_ERR_LIMIT, "%s: more than %d columns", c->what, MAX_COLUMNS);
    if (*wsi < 0)
        return mt_err_set(err, MT_ERR_ARG, "%s: a list of slides needs a column named wsi",
                          c->what);
    return MT_OK;
}

static mt_status parse_mpp(double *out, const char *text, const csv *c, mt_err *err)
{
    *out = 0.0;
    if (!*text) return MT_OK;
    char *end;
    double v = strtod(text, &end);
    if (*end || !isfinite(v) || v < MPP_LEAST || v > MPP_MOST)
        return mt_err_set(err, MT_ERR_FORMAT, "%s: row %zu: mpp is no number from %g to %g",
                          c->what, c->row, MPP_LEAST, MPP_MOST);
    *out = v;
    return MT_OK;
}

mt_status mt_inputs_parse_csv(mt_inputs *out, const char *text, size_t n, const char *folder,
                              const char *what, mt_err *err)
{
    csv c = {text, n, 0, 1, what};
    int wsi, mpp;
    MT_TRY(read_header(&c, &wsi, &mpp, err));
    MT_AUTO(mt_buf_free) mt_buf buf = MT_BUF_INIT(MAX_FIELD);
    for (c.row = 2; c.at < c.n; c.row++) {
        MT_AUTO_FREE char *path = NULL;
        double spacing = 0.0;
        bool last = false;
        int col = 0;
        for (; !last; col++) {
            if (col == MAX_COLUMNS)
                return mt_err_set(err, MT_ERR_LIMIT, "%s: row %zu: more than %d columns", what,
                                  c.row, MAX_COLUMNS);
            MT_TRY(field(&c, &buf, &last, err));
            const char *value = trim((char *)buf.data);
            if (col == wsi && *value) {
                path = value[0] == '/' ? strdup(value) : mt_strf("%s/%s", folder, value);
                if (!path)
                    return mt_err_set(err, MT_ERR_NO_MEMORY, "%s: no memory for a path", what);
            }
            if (col == mpp) MT_TRY(parse_mpp(&spacing, value, &c, err));
        }
        /* An empty line is one empty field. */
        if (!path && col > 1)
            return mt_err_set(err, MT_ERR_FORMAT, "%s: row %zu: no slide in column wsi", what,
                              c.row);
        if (path) MT_TRY(add(out, path, spacing, err));
    }
    return MT_OK;
}

static mt_status add_list(mt_inputs *out, const char *path, mt_err *err)
{
    MT_AUTO_FREE uint8_t *text = NULL;
    size_t n;
    MT_TRY(mt_file_read(&text, &n, path, LIST_MAX_BYTES, err));
    const char *base = mt_path_base(path);
    MT_AUTO_FREE char *folder =
        base == path ? strdup(".") : mt_strf("%.*s", (int)(base - path - (base - path > 1)), path);
    if (!folder) return mt_err_set(err, MT_ERR_NO_MEMORY, "no memory for a path");
    return mt_inputs_parse_csv(out, (const char *)text, n, folder, base, err);
}

/* ---- DICOM: a slide is many files ---- */

/* Of one file of a folder: its slide. */
typedef struct member {
    const char *name;          /* without the folder */
    const char *path;          /* the slide's own; NULL: the file belongs to no slide */
} member;

/* A folder that was looked into. */
typedef struct folder {
    char *dir;
    mt_slide_list list;
    member *members;           /* by name */
    size_t n_members;
} folder;

typedef struct folders {
    folder *v;
    size_t n;
} folders;

static void folders_free(folders *f)
{
    for (size_t i = 0; i < f->n; i++) {
        mt_slide_list_free(&f->v[i].list);
        free(f->v[i].members);
        free(f->v[i].dir);
    }
    free(f->v);
    *f = (folders){NULL, 0};
}

static int by_member(const void *a, const void *b)
{
    return strcmp(((const member *)a)->name, ((const member *)b)->name);
}

static mt_status list_members(folder *f, mt_err *err)
{
    const mt_slide_list *l = &f->list;
    size_t n = l->n_others;
    for (size_t i = 0; i < l->n; i++) n += l->slides[i].n_files;
    MT_TRY(mt_alloc(&f->members, n, sizeof *f->members, SIZE_MAX, "inputs", err));
    for (size_t i = 0; i < l->n; i++)
        for (size_t k = 0; k < l->slides[i].n_files; k++)
            f->members[f->n_members++] =
                (member){mt_path_base(l->slides[i].files[k]), l->slides[i].path};
    for (size_t i = 0; i < l->n_others; i++)
        f->members[f->n_members++] = (member){mt_path_base(l->others[i]), NULL};
    qsort(f->members, f->n_members, sizeof *f->members, by_member);
    return MT_OK;
}

/* Looks into a folder once. */
static mt_status look_into(const folder **out, folders *all, const char *dir, mt_err *err)
{
    for (size_t i = 0; i < all->n; i++)
        if (!strcmp(all->v[i].dir, dir)) {
            *out = &all->v[i];
            return MT_OK;
        }
    folder *more = realloc(all->v, (all->n + 1) * sizeof *more);
    if (!more) return mt_err_set(err, MT_ERR_NO_MEMORY, "inputs: no memory for a folder");
    all->v = more;
    folder *f = &all->v[all->n];
    *f = (folder){.dir = strdup(dir)};
    if (!f->dir) return mt_err_set(err, MT_ERR_NO_MEMORY, "inputs: no memory for a folder");
    all->n++;
    MT_TRY(mt_slide_find(&f->list, dir, err));
    MT_TRY(list_members(f, err));
    *out = f;
    return MT_OK;
}

static bool is_dicom(const char *path)
{
    char four[4] = "";
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    const bool yes = fd >= 0 && pread(fd, four, 4, 128) == 4 && !memcmp(four, "DICM", 4);
    if (fd >= 0) close(fd);
    return yes;
}

/* Whether a file of this name belongs to a slide of the folder, or to none. */
static const member *member_of(const folder *f, const char *path)
{
    const member key = {mt_path_base(path), NULL};
    return bsearch(&key, f->members, f->n_members, sizeof key, by_member);
}

/* A DICOM file stands for its slide; one that belongs to none is passed over, unless there would be
 * nothing else to do: then it gets its row and its reason. */
static mt_status gather_slides(mt_inputs *list, folders *all, mt_err *err)
{
    size_t strange = 0;
    MT_AUTO_FREE bool *other = NULL;
    MT_TRY(mt_alloc(&other, list->n, 1, SIZE_MAX, "inputs", err));
    for (size_t i = 0; i < list->n; i++) {
        mt_input *in = &list->items[i];
        if (mt_dir_exists(in->path) || !is_dicom(in->path)) continue;
        const char *base = mt_path_base(in->path);
        MT_AUTO_FREE char *dir =
            base == in->path ? strdup(".")
                             : mt_strf("%.*s", (int)(base - in->path - (base - in->path > 1)), in->path);
        const folder *f;
        if (!dir) return mt_err_set(err, MT_ERR_NO_MEMORY, "no memory for a path");
        if (look_into(&f, all, dir, NULL) != MT_OK) continue; /* its row will say why */
        const member *m = member_of(f, in->path);
        strange += other[i] = m && !m->path;
        if (!m || !m->path || !strcmp(mt_path_base(m->path), base)) continue;
        char *path = base == in->path ? strdup(mt_path_base(m->path)) : strdup(m->path);
        if (!path) return mt_err_set(err, MT_ERR_NO_MEMORY, "no memory for a path");
        free(in->path);
        in->path = path;
    }
    if (!strange || strange == list->n) return MT_OK;
    mt_log(MT_LOG_INFO, "%zu DICOM files that are no slides are passed over", strange);
    size_t kept = 0;
    for (size_t i = 0; i < list->n; i++)
        if (other[i]) free(list->items[i].path);
        else list->items[kept++] = list->items[i];
    list->n = kept;
    return MT_OK;
}

/* ---- folders ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const mt_input *)a)->path, ((const mt_input *)b)->path);
}

/* Slides of one file each: by their extension, hidden ones not, and not what is DICOM besides. */
static mt_status add_files(mt_inputs *out, const char *path, const folder *dicom, mt_err *err)
{
    DIR *dir = opendir(path);
    if (!dir)
        return mt_err_set(err, MT_ERR_IO, "%s: cannot read the folder: %s", path, strerror(errno));
    mt_status st = MT_OK;
    struct dirent *e;
    while (st == MT_OK && (e = readdir(dir))) {
        if (!is_slide_name(e->d_name) || member_of(dicom, e->d_name)) continue;
        MT_AUTO_FREE char *full =
            mt_strf("%s%s%s", path, path[strlen(path) - 1] == '/' ? "" : "/", e->d_name);
        if (!full)
            st = mt_err_set(err, MT_ERR_NO_MEMORY, "no memory for a path");
        else if (!mt_dir_exists(full))
            st = add(out, full, 0.0, err);
    }
    closedir(dir);
    return st;
}

/* A folder that is one DICOM slide stands for it, and gives it its name. */
static mt_status add_folder(mt_inputs *out, folders *all, const char *path, mt_err *err)
{
    const folder *f;
    const size_t first = out->n;
    mt_err why = MT_ERR_INIT;
    mt_status st = look_into(&f, all, path, &why);
    if (st == MT_ERR_LIMIT) { /* too many files for a series: no place of DICOM slides */
        mt_log(MT_LOG_WARN, "a folder of too many files was not searched for DICOM slides");
        MT_TRY(look_into(&f, all, path, err));
    } else if (st != MT_OK) {
        return mt_err_set(err, st, "%s: %s", path, why.text);
    }
    MT_TRY(add_files(out, path, f, err));
    if (out->n == first && f->list.n == 1) return add(out, path, 0.0, err);
    for (size_t i = 0; i < f->list.n; i++) MT_TRY(add(out, f->list.slides[i].path, 0.0, err));
    if (out->n > first) qsort(out->items + first, out->n - first, sizeof *out->items, by_name);
    return MT_OK;
}

/* ---- one path once ---- */

typedef struct spot {
    char *real;
    size_t at;
} spot;

static int by_real(const void *a, const void *b)
{
    const spot *x = a, *y = b;
    int d = strcmp(x->real, y->real);
    return d ? d : (x->at > y->at) - (x->at < y->at);
}

static mt_status drop_repeats(mt_inputs *list, mt_err *err)
{
    MT_AUTO_FREE spot *spots = NULL;
    size_t n = 0, kept = 0;
    MT_TRY(mt_alloc(&spots, list->n, sizeof *spots, SIZE_MAX, "inputs", err));
    mt_status st = MT_OK;
    for (; st == MT_OK && n < list->n; n++) {
        char *real = realpath(list->items[n].path, NULL);
        spots[n] = (spot){real ? real : strdup(list->items[n].path), n};
        if (!spots[n].real) st = mt_err_set(err, MT_ERR_NO_MEMORY, "no memory for a path");
    }
    if (st == MT_OK) {
        qsort(spots, n, sizeof *spots, by_real);
        for (size_t i = 1; i < n; i++) {
            if (strcmp(spots[i].real, spots[i - 1].real) != 0) continue;
            mt_input *again = &list->items[spots[i].at];
            free(again->path);
            again->path = NULL;
        }
        for (size_t i = 0; i < list->n; i++)
            if (list->items[i].path) list->items[kept++] = list->items[i];
        list->n = kept;
    }
    for (size_t i = 0; i < n; i++)
        free(spots[i].real);
    return st;
}

mt_status mt_inputs_expand(mt_inputs *out, const char *const *inputs, size_t n, mt_err *err)
{
    *out = (mt_inputs){NULL, 0, 0};
    MT_AUTO(folders_free) folders all = {NULL, 0};
    for (size_t i = 0; i < n; i++) {
        if (!*inputs[i]) return mt_err_set(err, MT_ERR_ARG, "inputs: an empty path");
        if (mt_dir_exists(inputs[i]))
            MT_TRY(add_folder(out, &all, inputs[i], err));
        else if (strcasecmp(mt_path_ext(inputs[i]), ".csv") == 0)
            MT_TRY(add_list(out, inputs[i], err));
        else
            MT_TRY(add(out, inputs[i], 0.0, err));
    }
    MT_TRY(gather_slides(out, &all, err));
    MT_TRY(drop_repeats(out, err));
    if (out->n == 0)
        return mt_err_set(
            err, MT_ERR_ARG,
            "no slide found in what was given (a folder is not searched below itself)");
    return MT_OK;
}
