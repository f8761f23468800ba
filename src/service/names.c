#include "service/names.h"

#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/journal.h"
#include "engine/provenance.h"

/* Room for "~12345678.2", the longest extension and the marks of a temporary file within 255 bytes.
 */
enum { STEM_MOST = 180, OWNER_DIGITS = 32 };
#define RESULT_CEILING ((size_t)16 << 20)

/* Bytes of the UTF-8 character at s, 0 when it is none. */
static size_t utf8_length(const unsigned char *s)
{
    size_t n = s[0] < 0x80                   ? 1
               : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
               : (s[0] & 0xf0) == 0xe0       ? 3
               : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
                                             : 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    if (n == 3 && ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f))) return 0;
    if (n == 4 && ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))) return 0;
    return n;
}

static bool is_reserved(const char *name)
{
    static const char *const ours[] = {"report.json", "report.html", "model-outputs-csv",
                                       "model-outputs-geojson"};
    for (size_t i = 0; i < MT_COUNT(ours); i++)
        if (strcmp(name, ours[i]) == 0) return true;
    return false;
}

void mt_name_stem(char out[MT_NAME_BYTES], const char *path)
{
    char stem[1024];
    size_t n = 0;
    mt_slide_stem(stem, sizeof stem, path);
    for (const unsigned char *s = (const unsigned char *)stem; *s;) {
        size_t k = utf8_length(s);
        bool plain = k == 1 && s[0] >= 0x20 && s[0] != 0x7f && s[0] != '\\' && s[0] != '/' &&
                     !(n == 0 && s[0] == '.');
        if (n + MT_MAX(k, (size_t)1) > STEM_MOST) break;
        if (k > 1 || plain)
            memcpy(out + n, s, k);
        else
            out[n] = '_';
        n += plain || k > 1 ? k : 1;
        s += MT_MAX(k, (size_t)1);
    }
    out[n] = 0;
    if (n == 0) strcpy(out, "_");
    if (is_reserved(out)) {
        memmove(out + 1, out, n + 1);
        out[0] = '_';
    }
}

/* Digest of a slide in doubt; "" when its bytes cannot be read (its row will say so). */
static void digest_of(char out[65], const char *path)
{
    mt_slide *slide = NULL;
    bool ok = mt_slide_open(&slide, path, NULL, NULL) == MT_OK
                  ? mt_slide_digest(out, slide, NULL) == MT_OK
                  : mt_file_digest(out, path, NULL) == MT_OK;
    mt_slide_close(&slide);
    if (!ok) out[0] = 0;
}

/* First digits of the digest of the slide whose result lies in out_dir/name; "" when nobody's. */
static void owner_of(char out[OWNER_DIGITS + 1], const char *out_dir, const char *name)
{
    out[0] = 0;
    MT_AUTO_FREE char *result = mt_strf("%s/%s/result.json", out_dir, name);
    MT_AUTO_FREE char *journal = mt_strf("%s/%s/tiles.journal", out_dir, name);
    MT_AUTO(mt_json_unref) json_t *root = NULL;
    if (result && mt_file_exists(result) &&
        mt_json_load(&root, result, RESULT_CEILING, NULL) == MT_OK) {
        const char *digest =
            json_string_value(json_object_get(json_object_get(root, "slide"), "sha256"));
        if (digest && strlen(digest) == 64) {
            memcpy(out, digest, OWNER_DIGITS);
            out[OWNER_DIGITS] = 0;
            return;
        }
    }
    if (journal) mt_journal_owner(out, journal);
}

typedef struct sorter {
    const char *stem;
    size_t at;
} sorter;

static int by_stem(const void *a, const void *b)
{
    const sorter *x = a, *y = b;
    int d = strcmp(x->stem, y->stem);
    return d ? d : (x->at > y->at) - (x->at < y->at);
}

static mt_status sorted(sorter **out, char (*names)[MT_NAME_BYTES], size_t n, mt_err *err)
{
    MT_TRY(mt_alloc(out, n, sizeof **out, SIZE_MAX, "names", err));
    for (size_t i = 0; i < n; i++)
        (*out)[i] = (sorter){names[i], i};
    qsort(*out, n, sizeof **out, by_stem);
    return MT_OK;
}

static void mark_name(char name[MT_NAME_BYTES], const char *digest)
{
    char stem[MT_NAME_BYTES];
    memcpy(stem, name, sizeof stem);
    if (digest[0])
        snprintf(name, MT_NAME_BYTES, "%.200s~%.8s", stem, digest);
    else
        snprintf(name, MT_NAME_BYTES, "%.200s~unreadable", stem);
}

static mt_status mark_shared(char (*names)[MT_NAME_BYTES], const mt_inputs *list, mt_err *err)
{
    MT_AUTO_FREE sorter *order = NULL;
    MT_AUTO_FREE bool *shared = NULL;
    MT_TRY(sorted(&order, names, list->n, err));
    MT_TRY(mt_alloc(&shared, list->n, sizeof *shared, SIZE_MAX, "names", err));
    for (size_t i = 1; i < list->n; i++)
        if (strcmp(order[i].stem, order[i - 1].stem) == 0)
            shared[order[i].at] = shared[order[i - 1].at] = true;
    for (size_t i = 0; i < list->n; i++) {
        char digest[65] = "";
        if (!shared[i]) continue;
        digest_of(digest, list->items[i].path);
        mark_name(names[i], digest);
    }
    return MT_OK;
}

/* The same bytes under the same name, in two folders: a number keeps them apart. */
static mt_status number_repeats(char (*names)[MT_NAME_BYTES], size_t n, mt_err *err)
{
    for (bool again = true; again;) {
        MT_AUTO_FREE sorter *order = NULL;
        MT_TRY(sorted(&order, names, n, err));
        again = false;
        for (size_t first = 0, i = 1; first < n; first = i++) {
            for (size_t k = 2; i < n && strcmp(order[i].stem, order[first].stem) == 0; i++, k++) {
                char numbered[MT_NAME_BYTES];
                snprintf(numbered, sizeof numbered, "%.230s.%zu", order[first].stem, k);
                memcpy(names[order[i].at], numbered, sizeof numbered);
                again = true;
            }
        }
    }
    return MT_OK;
}

mt_status mt_names_decide(char (**names)[MT_NAME_BYTES], const mt_inputs *list, mt_err *err)
{
    *names = NULL;
    MT_AUTO_FREE char(*made)[MT_NAME_BYTES] = NULL;
    MT_TRY(mt_alloc(&made, list->n, sizeof *made, SIZE_MAX, "names", err));
    for (size_t i = 0; i < list->n; i++)
        mt_name_stem(made[i], list->items[i].path);
    MT_TRY(mark_shared(made, list, err));
    MT_TRY(number_repeats(made, list->n, err));
    *names = mt_steal(made);
    return MT_OK;
}

void mt_name_settle(char name[MT_NAME_BYTES], const char *out_dir, const char *digest)
{
    char owner[OWNER_DIGITS + 1];
    owner_of(owner, out_dir, name);
    if (owner[0] && strncmp(owner, digest, OWNER_DIGITS) != 0) mark_name(name, digest);
}
