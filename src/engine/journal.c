#include "engine/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/bytes.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"

enum {
    HEADER_BYTES = 128,
    FORMAT_VERSION = 1,
    OWNER_DIGITS = 32,
    GROUP_BYTES = 32 << 10, /* a write each so many bytes */
    READ_BLOCK = 1 << 20
};
static const double WRITE_EVERY_S = 0.25, SYNC_EVERY_S = 5.0;
static const char MAGIC[8] = "MTJRNL\r\n";

struct mt_journal {
    int fd;
    char *path;
    pthread_mutex_t lock;
    uint32_t n_tiles, n_classes;
    uint8_t *group; /* GROUP_BYTES + one record */
    size_t n_group, record;
    uint64_t at;                /* file offset of the next group */
    double written_s, synced_s; /* when */
    bool syncing, failed;
    mt_err err; /* why failed: every later call says the same */
};

/* CRC-32C (Castagnoli), bitwise table made once. */
static uint32_t crc_table[256];
static pthread_once_t crc_once = PTHREAD_ONCE_INIT;

static void crc_make(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++)
            c = c & 1 ? 0x82f63b78u ^ c >> 1 : c >> 1;
        crc_table[i] = c;
    }
}

static uint32_t crc32c(const uint8_t *p, size_t n)
{
    uint32_t c = 0xffffffffu;
    pthread_once(&crc_once, crc_make);
    for (size_t i = 0; i < n; i++)
        c = crc_table[(c ^ p[i]) & 0xff] ^ c >> 8;
    return c ^ 0xffffffffu;
}

static void put_u32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

static uint32_t get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void put_f32(uint8_t *p, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    put_u32(p, bits);
}

static float get_f32(const uint8_t *p)
{
    uint32_t bits = get_u32(p);
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static size_t record_bytes(uint32_t n_classes)
{
    return 4 + 1 + 4 * (size_t)n_classes + 4;
}

static void make_header(uint8_t h[HEADER_BYTES], const char key[65], const char *slide_digest,
                        uint32_t n_tiles, uint32_t n_classes)
{
    memset(h, 0, HEADER_BYTES);
    memcpy(h, MAGIC, sizeof MAGIC);
    put_u32(h + 8, FORMAT_VERSION);
    put_u32(h + 12, n_tiles);
    put_u32(h + 16, n_classes);
    put_u32(h + 20, (uint32_t)record_bytes(n_classes));
    memcpy(h + 24, key, strnlen(key, 64));
    memcpy(h + 88, slide_digest, strnlen(slide_digest, OWNER_DIGITS));
    put_u32(h + 124, crc32c(h, 124));
}

static bool header_sound(const uint8_t *h)
{
    return memcmp(h, MAGIC, sizeof MAGIC) == 0 && get_u32(h + 8) == FORMAT_VERSION &&
           get_u32(h + 124) == crc32c(h, 124);
}

/* A record with a right checksum may still be somebody's forgery: every value is looked at. */
static bool record_sound(const uint8_t *r, uint32_t n_tiles, uint32_t n_classes)
{
    size_t body = record_bytes(n_classes) - 4;
    if (get_u32(r + body) != crc32c(r, body) || get_u32(r) >= n_tiles) return false;
    if (r[4] != MT_TILE_DONE && r[4] != MT_TILE_UNREADABLE && r[4] != MT_TILE_NAN) return false;
    for (uint32_t c = 0; r[4] == MT_TILE_DONE && c < n_classes; c++)
        if (!isfinite(get_f32(r + 5 + 4 * (size_t)c))) return false;
    return true;
}

size_t mt_journal_parse(const uint8_t *data, size_t size, const char key[65], uint32_t n_tiles,
                        uint32_t n_classes, float *probs, uint8_t *state, uint32_t *n_found)
{
    *n_found = 0;
    mt_bytes c = mt_bytes_of(data, size, false);
    const uint8_t *h = mt_bytes_take(&c, HEADER_BYTES);
    if (!h || !header_sound(h) || memcmp(h + 24, key, 64) != 0 || get_u32(h + 12) != n_tiles ||
        get_u32(h + 16) != n_classes || get_u32(h + 20) != record_bytes(n_classes))
        return 0;
    for (;;) {
        const uint8_t *r = mt_bytes_take(&c, record_bytes(n_classes));
        if (!r) return c.pos;
        if (!record_sound(r, n_tiles, n_classes)) return c.pos - record_bytes(n_classes);
        uint32_t tile = get_u32(r);
        *n_found += state[tile] == MT_TILE_PENDING;
        state[tile] = r[4];
        for (uint32_t k = 0; k < n_classes; k++)
            probs[(size_t)tile * n_classes + k] =
                r[4] == MT_TILE_DONE ? get_f32(r + 5 + 4 * (size_t)k) : NAN;
    }
}

/* errno as an error; a full disk is worth naming by its own word. */
static mt_status io_error(mt_err *err, const char *verb)
{
    int e = errno;
    return mt_err_set(err, e == EMFILE || e == ENFILE ? MT_ERR_TEMPORARY : MT_ERR_IO,
                      "tile journal: cannot %s: %s", verb, strerror(e));
}

/* The path must still name the file that was locked: a finishing process removes it under its lock.
 */
static bool same_file(int fd, const char *path)
{
    struct stat a, b;
    return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

static mt_status lock_file(int *out, const char *path, mt_err *err)
{
    for (int tries = 0; tries < 100; tries++) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
        if (fd < 0) return io_error(err, "open");
        if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
            int e = errno;
            close(fd);
            if (e == EWOULDBLOCK)
                return mt_err_set(err, MT_ERR_TEMPORARY,
                                  "another process is working on this slide (journal locked)");
            errno = e;
            return io_error(err, "lock");
        }
        if (same_file(fd, path)) {
            *out = fd;
            return MT_OK;
        }
        close(fd);
    }
    return mt_err_set(err, MT_ERR_TEMPORARY,
                      "tile journal: replaced again and again while it was opened");
}

mt_status mt_journal_open(mt_journal **out, const char *path, mt_err *err)
{
    *out = NULL;
    mt_journal *j = calloc(1, sizeof *j);
    if (!j) return mt_err_set(err, MT_ERR_NO_MEMORY, "no memory for a tile journal");
    j->fd = -1;
    pthread_mutex_init(&j->lock, NULL);
    j->path = strdup(path);
    mt_status st = j->path ? lock_file(&j->fd, path, err)
                           : mt_err_set(err, MT_ERR_NO_MEMORY, "no memory for a tile journal");
    if (st != MT_OK) {
        mt_journal_close(&j);
        return st;
    }
    *out = j;
    return MT_OK;
}

static mt_status write_all(mt_journal *j, const uint8_t *p, size_t n, mt_err *err)
{
    while (n) {
        ssize_t k = pwrite(j->fd, p, n, (off_t)j->at);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return io_error(err, "write");
        p += k;
        n -= (size_t)k;
        j->at += (uint64_t)k;
    }
    return MT_OK;
}

mt_status mt_journal_forget(mt_journal *j, mt_err *err)
{
    j->at = 0;
    return ftruncate(j->fd, 0) == 0 ? MT_OK : io_error(err, "cut");
}

static mt_status start_anew(mt_journal *j, const char key[65], const char *slide_digest,
                            mt_err *err)
{
    uint8_t h[HEADER_BYTES];
    MT_TRY(mt_journal_forget(j, err));
    make_header(h, key, slide_digest, j->n_tiles, j->n_classes);
    return write_all(j, h, sizeof h, err);
}

mt_status mt_journal_begin(mt_journal *j, const char key[65], const char *slide_digest,
                           uint32_t n_tiles, uint32_t n_classes, float *probs, uint8_t *state,
                           uint32_t *n_found, mt_err *err)
{
    *n_found = 0;
    j->n_tiles = n_tiles;
    j->n_classes = n_classes;
    j->record = record_bytes(n_classes);
    free(j->group);
    j->group = NULL;
    MT_TRY(mt_alloc(&j->group, GROUP_BYTES + j->record, 1, GROUP_BYTES + j->record, "tile journal",
                    err));

    /* A tile may stand in it twice at most (a run that died between two writes never repeats one).
     */
    size_t ceiling, records;
    if (!mt_mul(&records, (size_t)n_tiles, 2 * j->record) ||
        !mt_add(&ceiling, records, HEADER_BYTES))
        return mt_err_set(err, MT_ERR_LIMIT, "tile journal: %u tiles of %u classes are too many",
                          n_tiles, n_classes);
    struct stat sb;
    if (fstat(j->fd, &sb) != 0) return io_error(err, "open");
    size_t n = sb.st_size < 0 ? 0 : MT_MIN((size_t)sb.st_size, ceiling), good = 0;
    if (n >= HEADER_BYTES) {
        MT_AUTO_FREE uint8_t *data = NULL;
        MT_TRY(mt_alloc(&data, n, 1, ceiling, "tile journal", err));
        size_t got = 0;
        while (got < n) {
            ssize_t k = pread(j->fd, data + got, n - got, (off_t)got);
            if (k < 0 && errno == EINTR) continue;
            if (k < 0) return io_error(err, "read");
            if (k == 0) break;
            got += (size_t)k;
        }
        good = mt_journal_parse(data, got, key, n_tiles, n_classes, probs, state, n_found);
    }
    j->written_s = j->synced_s = mt_clock_wall();
    if (!good) return start_anew(j, key, slide_digest, err);
    if (ftruncate(j->fd, (off_t)good) != 0) return io_error(err, "cut");
    j->at = good;
    return MT_OK;
}

/* Under the lock. The first failure sticks: what follows it must not be written behind a hole. */
static mt_status write_group(mt_journal *j, mt_err *err)
{
    if (j->failed) return mt_err_set(err, j->err.code, "%s", j->err.text);
    if (j->n_group && write_all(j, j->group, j->n_group, &j->err) != MT_OK) {
        j->failed = true;
        return mt_err_set(err, j->err.code, "%s", j->err.text);
    }
    j->n_group = 0;
    j->written_s = mt_clock_wall();
    return MT_OK;
}

mt_status mt_journal_add(mt_journal *j, uint32_t tile, uint8_t state, const float *probs,
                         mt_err *err)
{
    pthread_mutex_lock(&j->lock);
    uint8_t *r = j->group + j->n_group;
    size_t body = j->record - 4;
    put_u32(r, tile);
    r[4] = state;
    for (uint32_t c = 0; c < j->n_classes; c++)
        put_f32(r + 5 + 4 * (size_t)c, state == MT_TILE_DONE ? probs[c] : 0.0f);
    put_u32(r + body, crc32c(r, body));
    j->n_group += j->record;

    mt_status st = MT_OK;
    double now = mt_clock_wall();
    if (j->failed || j->n_group >= GROUP_BYTES || now - j->written_s >= WRITE_EVERY_S)
        st = write_group(j, err);
    if (st != MT_OK)
        j->n_group = 0; /* nothing after a failure is kept, and the buffer never overflows */
    bool sync = st == MT_OK && !j->syncing && now - j->synced_s >= SYNC_EVERY_S;
    if (sync) j->syncing = true;
    pthread_mutex_unlock(&j->lock);
    if (!sync) return st;

    /* The disk is waited for by one worker, outside the lock. */
    bool bad = fdatasync(j->fd) != 0 && errno != EINVAL;
    if (bad) st = io_error(err, "flush");
    pthread_mutex_lock(&j->lock);
    j->syncing = false;
    j->synced_s = mt_clock_wall();
    pthread_mutex_unlock(&j->lock);
    return st;
}

mt_status mt_journal_sync(mt_journal *j, mt_err *err)
{
    pthread_mutex_lock(&j->lock);
    mt_status st = write_group(j, err);
    pthread_mutex_unlock(&j->lock);
    if (st == MT_OK && fdatasync(j->fd) != 0 && errno != EINVAL) st = io_error(err, "flush");
    return st;
}

static void journal_free(mt_journal **j)
{
    if (!*j) return;
    if ((*j)->fd >= 0) close((*j)->fd);
    pthread_mutex_destroy(&(*j)->lock);
    free((*j)->group);
    free((*j)->path);
    free(*j);
    *j = NULL;
}

void mt_journal_close(mt_journal **j)
{
    if (*j && (*j)->fd >= 0 && (*j)->group) (void)write_group(*j, NULL);
    journal_free(j);
}

void mt_journal_remove(mt_journal **j)
{
    if (*j) unlink((*j)->path);
    journal_free(j);
}

void mt_journal_release(mt_journal **j)
{
    struct stat sb;
    if (*j && fstat((*j)->fd, &sb) == 0 && sb.st_size > 0)
        mt_journal_close(j);
    else
        mt_journal_remove(j);
}

void mt_journal_owner(char out[33], const char *path)
{
    uint8_t h[HEADER_BYTES];
    out[0] = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return;
    ssize_t n = pread(fd, h, sizeof h, 0);
    close(fd);
    if (n != HEADER_BYTES || !header_sound(h)) return;
    memcpy(out, h + 88, OWNER_DIGITS);
    out[OWNER_DIGITS] = 0;
}
