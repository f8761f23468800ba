#include "slide/stored.h"

#include <pthread.h>
#include "slide/tiff/ojpeg.h"

mt_status mt_room_need(mt_room *room, size_t bytes, const char *what, mt_err *err)
{
    if (room->bytes >= bytes && room->p) return MT_OK;
    free(room->p);
    *room = (mt_room){NULL, 0};
    MT_TRY(mt_alloc_aligned(&room->p, bytes, 16 * MT_CODEC_MAX_PIXELS, what, err));
    room->bytes = bytes;
    return MT_OK;
}

/* ---- readers ---- */

void mt_stored_close(void *state)
{
    mt_stored_reader *r = state;
    mt_decoder_free(&r->decoder);
    mt_ojpeg_close(&r->ojpeg);
    free(r->tile.p);
    free(r->sums.p);
    free(r);
}

mt_status mt_stored_open(void **state, const mt_slide *s, mt_err *err)
{
    mt_stored_reader *r = NULL;
    MT_TRY(mt_alloc(&r, 1, sizeof *r, sizeof *r, "tile reader", err));
    mt_status st = mt_decoder_new(&r->decoder, err);
    if (st == MT_OK) *state = r;
    else mt_stored_close(r);
    return st;
}

/* ---- kept tiles ---- */

enum { MOST = 512 }; /* tiles: they are looked through one by one */

typedef struct tile {
    mt_kept_key key;
    uint8_t *pixels;           /* NULL: the place is free, unless it is being filled */
    size_t bytes;
    unsigned holders;
    bool filling;
    uint64_t used;
} tile;

struct mt_kept {
    pthread_mutex_t lock;
    pthread_cond_t changed;    /* a tile was filled or given back */
    tile tiles[MOST];
    size_t most, bytes;
    uint64_t clock, fills;
};

mt_status mt_kept_new(mt_kept **out, size_t most, mt_err *err)
{
    MT_TRY(mt_alloc(out, 1, sizeof **out, sizeof **out, "kept tiles", err));
    pthread_mutex_init(&(*out)->lock, NULL);
    pthread_cond_init(&(*out)->changed, NULL);
    (*out)->most = most;
    return MT_OK;
}

void mt_kept_free(mt_kept **kept)
{
    if (!kept || !*kept) return;
    for (int i = 0; i < MOST; i++) free((*kept)->tiles[i].pixels);
    pthread_mutex_destroy(&(*kept)->lock);
    pthread_cond_destroy(&(*kept)->changed);
    free(*kept);
    *kept = NULL;
}

static bool is_free(const tile *t) { return !t->pixels && !t->filling; }

static tile *find(mt_kept *k, mt_kept_key key)
{
    for (int i = 0; i < MOST; i++) {
        tile *t = &k->tiles[i];
        if (!is_free(t) && t->key.a == key.a && t->key.b == key.b) return t;
    }
    return NULL;
}

/* The one nobody holds that was used longest ago; NULL when all are in use. */
static tile *oldest(mt_kept *k)
{
    tile *best = NULL;
    for (int i = 0; i < MOST; i++) {
        tile *t = &k->tiles[i];
        if (t->pixels && !t->holders && !t->filling && (!best || t->used < best->used)) best = t;
    }
    return best;
}

static void forget(mt_kept *k, tile *t)
{
    k->bytes -= t->bytes;
    free(t->pixels);
    *t = (tile){.pixels = NULL};
}

/* A free place, and room for the bytes beside what is in use; NULL when every place is in use. */
static tile *place_for(mt_kept *k, size_t bytes)
{
    tile *out = NULL, *t;
    while (k->bytes + bytes > k->most && (t = oldest(k))) forget(k, t);
    for (int i = 0; i < MOST && !out; i++)
        if (is_free(&k->tiles[i])) out = &k->tiles[i];
    if (!out && (out = oldest(k))) forget(k, out);
    return out;
}

/* Found, filled by others meanwhile, or a place to fill; the lock is held. */
static tile *find_or_place(mt_kept *k, mt_kept_key key, size_t bytes)
{
    for (;;) {
        tile *t = find(k, key);
        if (t ? !t->filling : (t = place_for(k, bytes)) != NULL) return t;
        pthread_cond_wait(&k->changed, &k->lock);
    }
}

/* Out of the lock; *pixels is the caller's, failed or not. */
static mt_status fill_new(uint8_t **pixels, size_t bytes, mt_kept_fill fill, void *ctx, mt_err *err)
{
    MT_TRY(mt_alloc_aligned(pixels, bytes, 3 * MT_CODEC_MAX_PIXELS, "tile", err));
    return fill(*pixels, ctx, err);
}

mt_status mt_kept_take(const uint8_t **out, mt_kept *k, mt_kept_key key, size_t bytes, mt_kept_fill fill,
                       void *ctx, mt_err *err)
{
    *out = NULL;
    pthread_mutex_lock(&k->lock);
    tile *t = find_or_place(k, key, bytes);
    mt_status st = MT_OK;
    if (is_free(t)) {
        *t = (tile){.key = key, .bytes = bytes, .filling = true};
        k->bytes += bytes;
        k->fills++;
        pthread_mutex_unlock(&k->lock);
        uint8_t *pixels = NULL;
        st = fill_new(&pixels, bytes, fill, ctx, err);
        pthread_mutex_lock(&k->lock);
        t->pixels = pixels;
        t->filling = false;
        if (st != MT_OK) forget(k, t);
        pthread_cond_broadcast(&k->changed);
    }
    if (st == MT_OK) {
        t->holders++;
        t->used = ++k->clock;
        *out = t->pixels;
    }
    pthread_mutex_unlock(&k->lock);
    return st;
}

void mt_kept_give(mt_kept *k, const uint8_t *pixels)
{
    pthread_mutex_lock(&k->lock);
    tile *t = k->tiles;
    while (t->pixels != pixels) t++;
    if (!--t->holders && k->bytes > k->most) forget(k, t); /* it was let in past the ceiling */
    pthread_cond_broadcast(&k->changed);
    pthread_mutex_unlock(&k->lock);
}

uint64_t mt_kept_fills(mt_kept *k)
{
    pthread_mutex_lock(&k->lock);
    const uint64_t n = k->fills;
    pthread_mutex_unlock(&k->lock);
    return n;
}
