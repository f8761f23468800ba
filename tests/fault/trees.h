/* Result folders side by side: every file byte for byte, but for what rule 2 exempts: report.* and
 * the `run` block of result.json. */
#ifndef MT_TESTS_TREES_H
#define MT_TESTS_TREES_H

#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct names {
    char *v[4096];
    int n;
} names;

static inline int trees_by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static inline char *trees_join(const char *a, const char *b)
{
    char *s = NULL;
    if (asprintf(&s, "%s%s%s", a, *a && *b ? "/" : "", b) < 0) abort();
    return s;
}

/* Every file below dir, as paths relative to it, hidden ones too. */
static inline void trees_list(names *out, const char *dir, const char *below)
{
    char *path = trees_join(dir, below);
    DIR *d = opendir(path);
    struct dirent *e;
    free(path);
    while (d && (e = readdir(d))) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        struct stat sb;
        char *rel = trees_join(below, e->d_name), *full = trees_join(dir, rel);
        if (lstat(full, &sb) == 0 && S_ISDIR(sb.st_mode))
            trees_list(out, dir, rel);
        else if (out->n < 4096)
            out->v[out->n++] = strdup(rel);
        free(full);
        free(rel);
    }
    if (d) closedir(d);
    if (!*below) qsort(out->v, (size_t)out->n, sizeof *out->v, trees_by_name);
}

static inline void trees_free(names *l)
{
    for (int i = 0; i < l->n; i++)
        free(l->v[i]);
    l->n = 0;
}

static inline char *trees_read(const char *dir, const char *rel, size_t *n)
{
    char *path = trees_join(dir, rel);
    FILE *f = fopen(path, "rb");
    free(path);
    if (!f) return NULL;
    fseek(f, 0, SEEK_END);
    long size = ftell(f);
    rewind(f);
    char *data = malloc((size_t)size + 1);
    *n = data ? fread(data, 1, (size_t)size, f) : 0;
    fclose(f);
    return data;
}

static inline char *trees_without_run(char *text, size_t *n)
{
    json_t *root = json_loadb(text, *n, 0, NULL);
    if (!root || !json_object_get(root, "run")) {
        printf("result.json: no JSON with a run block\n");
        json_decref(root);
        return text;
    }
    json_object_del(root, "run");
    char *dump =
        json_dumps(root, JSON_INDENT(1)); /* order kept: a change of order is a difference too */
    json_decref(root);
    free(text);
    *n = strlen(dump);
    return dump;
}

static inline int trees_exempt(const char *rel)
{
    return strncmp(rel, "report.", 7) == 0 || strncmp(rel, ".report.", 8) == 0;
}

/* Differences between two result folders, each printed; 0 when they are the same. */
static inline int trees_differ(const char *a, const char *b)
{
    static names la, lb;
    int bad = 0, i = 0, k = 0;
    trees_list(&la, a, "");
    trees_list(&lb, b, "");
    if (la.n == 0) bad += printf("%s is empty\n", a) > 0;
    while (i < la.n || k < lb.n) {
        int d = i == la.n ? 1 : k == lb.n ? -1 : strcmp(la.v[i], lb.v[k]);
        const char *rel = d <= 0 ? la.v[i] : lb.v[k];
        if (d != 0) {
            if (!trees_exempt(rel)) bad += printf("%s: only in %s\n", rel, d < 0 ? a : b) > 0;
        } else if (!trees_exempt(rel)) {
            size_t nx = 0, ny = 0;
            char *x = trees_read(a, rel, &nx), *y = trees_read(b, rel, &ny);
            const char *base = strrchr(rel, '/');
            if (base && !strcmp(base, "/result.json") && x && y) {
                x = trees_without_run(x, &nx);
                y = trees_without_run(y, &ny);
            }
            if (!x || !y || nx != ny || memcmp(x, y, nx))
                bad += printf("%s: differs (%zu and %zu bytes)\n", rel, nx, ny) > 0;
            free(x);
            free(y);
        }
        i += d <= 0;
        k += d >= 0;
    }
    trees_free(&la);
    trees_free(&lb);
    return bad;
}

/* Files below dir whose name or content holds a word. */
static inline int trees_mention(const char *dir, const char *word)
{
    static names l;
    int hits = 0;
    trees_list(&l, dir, "");
    for (int i = 0; i < l.n; i++) {
        size_t n = 0;
        char *x = trees_read(dir, l.v[i], &n);
        if (strstr(l.v[i], word) || (x && memmem(x, n, word, strlen(word))))
            hits += printf("%s: holds %s\n", l.v[i], word) > 0;
        free(x);
    }
    trees_free(&l);
    return hits;
}

#endif
