#include "tiles/write/shards.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/file.h"
#include "base/json.h"

enum { BLOCK = 512, RECORD = 20 * BLOCK, STEM_BYTES = 48, KEY_BYTES = 96, JSON_CEILING = 4096 };
#define PICTURE_CEILING ((size_t)1 << 30)

typedef struct slot {
    uint64_t at;
    uint32_t n;
} slot;

struct shards {
    const mt_plan *plan;
    char *dir;
    char stem[STEM_BYTES + 1];
    int spool;               /* the waiting room */
    uint64_t end;
    slot *slots;             /* a tile's bytes in it */
    pthread_mutex_t lock;
};

void shards_name(char out[32], size_t tile, int each)
{
    snprintf(out, 32, "%06zu.tar", tile / (size_t)each);
}

/* A key ends at its first dot, and a tar name has room for a hundred bytes. */
static void clean_stem(char out[STEM_BYTES + 1], const char *stem)
{
    size_t n = MT_MIN(strlen(stem), (size_t)STEM_BYTES);
    while (n && ((unsigned char)stem[n] & 0xc0) == 0x80) n--; /* no half letter of UTF-8 */
    for (size_t i = 0; i < n; i++)
        out[i] = stem[i] == '.' || stem[i] == '/' || (unsigned char)stem[i] < 32 ? '_' : stem[i];
    out[n] = 0;
}

/* A file that has no name, or loses it at once: a kill leaves nothing behind. */
static int nameless(const char *dir)
{
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0) return fd;
    MT_AUTO_FREE char *path = mt_strf("%s/.shards.XXXXXX", dir);
    fd = path ? mkostemp(path, O_CLOEXEC) : -1;
    if (fd >= 0) unlink(path);
    return fd;
}

mt_status shards_open(shards **out, const char *dir, const char *stem, const mt_plan *plan,
                      mt_err *err)
{
    MT_AUTO(shards_free) shards *s = NULL;
    *out = NULL;
    MT_TRY(mt_alloc(&s, 1, sizeof *s, sizeof *s, "shards", err));
    pthread_mutex_init(&s->lock, NULL);
    s->spool = -1;
    s->plan = plan;
    s->dir = strdup(dir);
    if (!s->dir) return mt_err_set(err, MT_ERR_NO_MEMORY, "shards");
    clean_stem(s->stem, stem);
    MT_TRY(mt_alloc(&s->slots, plan->n_tiles, sizeof *s->slots, SIZE_MAX, "shards", err));
    s->spool = nameless(dir);
    if (s->spool < 0)
        return mt_err_set(err, MT_ERR_IO, "shards: no file can be made in the folder: %s",
                          strerror(errno));
    *out = mt_steal(s);
    return MT_OK;
}

void shards_free(shards **s)
{
    if (!s || !*s) return;
    if ((*s)->spool >= 0) close((*s)->spool);
    pthread_mutex_destroy(&(*s)->lock);
    free((*s)->slots);
    free((*s)->dir);
    free(*s);
    *s = NULL;
}

mt_status shards_put(shards *s, uint32_t tile, const void *jpg, size_t n, mt_err *err)
{
    pthread_mutex_lock(&s->lock); /* the place is taken in turn, the bytes go there at once */
    const uint64_t at = s->end;
    s->end += n;
    pthread_mutex_unlock(&s->lock);
    s->slots[tile] = (slot){at, (uint32_t)n};
    const char *p = jpg;
    for (size_t done = 0; done < n;) {
        const ssize_t k = pwrite(s->spool, p + done, n - done, (off_t)(at + done));
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0)
            return mt_err_set(err, MT_ERR_IO, "tile %u: cannot write: %s", tile, strerror(errno));
        done += (size_t)k;
    }
    return MT_OK;
}

/* ---- tar (POSIX.1-1988, ustar) ---- */

static void octal(char *field, size_t width, uint64_t v)
{
    for (size_t i = width - 1; i-- > 0; v >>= 3) field[i] = (char)('0' + (v & 7));
    field[width - 1] = 0;
}

/* Nobody's file of no time, so that the same tiles give the same bytes. */
static void tar_header(uint8_t block[BLOCK], const char *name, size_t n)
{
    char *b = (char *)block;
    memset(b, 0, BLOCK);
    memcpy(b, name, strlen(name)); /* at most 99 bytes: KEY_BYTES and an extension of five */
    octal(b + 100, 8, 0644);
    octal(b + 108, 8, 0);
    octal(b + 116, 8, 0);
    octal(b + 124, 12, n);
    octal(b + 136, 12, 0);
    b[156] = '0';
    memcpy(b + 257, "ustar\00000", 8);
    octal(b + 329, 8, 0);
    octal(b + 337, 8, 0);
    memset(b + 148, ' ', 8);
    unsigned sum = 0;
    for (int i = 0; i < BLOCK; i++) sum += block[i];
    octal(b + 148, 7, sum);
}

static bool tar_member(FILE *f, const char *name, const void *data, size_t n, uint64_t *written)
{
    static const uint8_t zeros[BLOCK] = {0};
    uint8_t header[BLOCK];
    const size_t rest = (BLOCK - n % BLOCK) % BLOCK;
    tar_header(header, name, n);
    *written += BLOCK + n + rest;
    return fwrite(header, 1, BLOCK, f) == BLOCK && fwrite(data, 1, n, f) == n &&
           fwrite(zeros, 1, rest, f) == rest;
}

/* Two empty blocks, then up to a whole record. */
static bool tar_end(FILE *f, uint64_t written)
{
    static const uint8_t zeros[BLOCK] = {0};
    uint64_t want = (written + 2 * BLOCK + RECORD - 1) / RECORD * RECORD;
    for (; written < want; written += BLOCK)
        if (fwrite(zeros, 1, BLOCK, f) != BLOCK) return false;
    return true;
}

/* ---- samples ---- */

static mt_status sample_json(mt_buf *b, const shards *s, size_t i, bool unreadable, mt_err *err)
{
    const mt_tile *t = &s->plan->tiles[i];
    mt_jw w;
    b->len = 0;
    mt_jw_init(&w, b, 0);
    mt_jw_obj(&w, NULL);
    mt_jw_str(&w, "slide", s->stem);
    mt_jw_int(&w, "tile", (int64_t)i);
    mt_jw_int(&w, "x_l0", t->x_l0);
    mt_jw_int(&w, "y_l0", t->y_l0);
    mt_jw_int(&w, "width_l0", t->w_l0);
    mt_jw_int(&w, "height_l0", t->h_l0);
    mt_jw_num(&w, "mpp", s->plan->target_mpp > 0 ? s->plan->target_mpp : (double)NAN);
    mt_jw_f32(&w, "tissue", t->tissue);
    mt_jw_bool(&w, "unreadable", unreadable);
    mt_jw_str(&w, "plan_sha256", s->plan->digest[0] ? s->plan->digest : NULL);
    mt_jw_end_obj(&w);
    return mt_buf_status(b, "tile description", err);
}

static mt_status fetch_back(mt_buf *b, const shards *s, size_t i, mt_err *err)
{
    const slot *k = &s->slots[i];
    b->len = 0;
    uint8_t *p = mt_buf_reserve(b, k->n);
    MT_TRY(mt_buf_status(b, "tile picture", err));
    for (size_t done = 0; done < k->n;) {
        const ssize_t got = pread(s->spool, p + done, k->n - done, (off_t)(k->at + done));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0)
            return mt_err_set(err, MT_ERR_IO, "tile %zu: cannot be read back: %s", i,
                              got ? strerror(errno) : "cut short");
        done += (size_t)got;
    }
    b->len = k->n;
    return MT_OK;
}

static mt_status write_shard(const shards *s, size_t first, size_t last, int each,
                             const uint8_t *unreadable, mt_err *err)
{
    MT_AUTO(mt_outfile_discard) mt_outfile out = MT_OUTFILE_INIT;
    MT_AUTO(mt_buf_free) mt_buf jpg = MT_BUF_INIT(PICTURE_CEILING);
    MT_AUTO(mt_buf_free) mt_buf json = MT_BUF_INIT(JSON_CEILING);
    char file[32], name[KEY_BYTES + 8];
    uint64_t written = 0;
    shards_name(file, first, each);
    MT_AUTO_FREE char *path = mt_strf("%s/%s", s->dir, file);
    if (!path) return mt_err_set(err, MT_ERR_NO_MEMORY, "path of a shard");
    MT_TRY(mt_outfile_open(&out, path, err));
    bool ok = true;
    for (size_t i = first; i < last && ok; i++) {
        const mt_tile *t = &s->plan->tiles[i];
        MT_TRY(fetch_back(&jpg, s, i, err));
        MT_TRY(sample_json(&json, s, i, unreadable[i], err));
        const int n = snprintf(name, KEY_BYTES, "%s_%lld_%lld", s->stem, (long long)t->x_l0,
                               (long long)t->y_l0);
        memcpy(name + n, ".jpg", 5);
        ok = tar_member(out.f, name, jpg.data, jpg.len, &written);
        memcpy(name + n, ".json", 6);
        ok = ok && tar_member(out.f, name, json.data, json.len, &written);
    }
    if (!ok || !tar_end(out.f, written))
        return mt_err_set(err, MT_ERR_IO, "%s: cannot write: %s", file, strerror(errno));
    return mt_outfile_commit(&out, err);
}

/* Shards of an earlier run with more of them would be read as part of this one. */
static void remove_rest(const shards *s, size_t n)
{
    for (;; n++) {
        MT_AUTO_FREE char *path = mt_strf("%s/%06zu.tar", s->dir, n);
        if (!path || unlink(path) != 0) return;
    }
}

mt_status shards_commit(shards *s, int each, const uint8_t *unreadable, mt_err *err)
{
    size_t n = 0;
    for (size_t first = 0; first < s->plan->n_tiles; first += (size_t)each, n++) {
        const size_t last = MT_MIN(first + (size_t)each, s->plan->n_tiles);
        MT_TRY(write_shard(s, first, last, each, unreadable, err));
    }
    remove_rest(s, n);
    return MT_OK;
}
