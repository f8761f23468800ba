/* Bounded cursor over untrusted bytes. Every read says whether it fitted; a failed read moves nothing. */
#ifndef MT_BASE_BYTES_H
#define MT_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct mt_bytes {
    const uint8_t *base; /* start of the whole */
    size_t size, pos;    /* pos <= size always */
    bool big;            /* big-endian */
} mt_bytes;

static inline mt_bytes mt_bytes_of(const void *p, size_t n, bool big) { return (mt_bytes){p, n, 0, big}; }
static inline size_t mt_bytes_left(const mt_bytes *c) { return c->size - c->pos; }
static inline bool mt_bytes_seek(mt_bytes *c, uint64_t pos)
{
    if (pos > c->size) return false;
    c->pos = (size_t)pos;
    return true;
}
static inline bool mt_bytes_skip(mt_bytes *c, uint64_t n)
{
    if (n > mt_bytes_left(c)) return false;
    c->pos += (size_t)n;
    return true;
}
static inline bool mt_bytes_uint(mt_bytes *c, unsigned n, uint64_t *v)
{
    if (n > mt_bytes_left(c)) return false;
    uint64_t r = 0;
    for (unsigned i = 0; i < n; i++) {
        unsigned k = c->big ? i : n - 1 - i;
        r = r << 8 | c->base[c->pos + k];
    }
    c->pos += n;
    *v = r;
    return true;
}
static inline bool mt_bytes_u8(mt_bytes *c, uint8_t *v)
{
    if (!mt_bytes_left(c)) return false;
    *v = c->base[c->pos++];
    return true;
}
static inline bool mt_bytes_u16(mt_bytes *c, uint16_t *v)
{
    uint64_t r;
    if (!mt_bytes_uint(c, 2, &r)) return false;
    *v = (uint16_t)r;
    return true;
}
static inline bool mt_bytes_u32(mt_bytes *c, uint32_t *v)
{
    uint64_t r;
    if (!mt_bytes_uint(c, 4, &r)) return false;
    *v = (uint32_t)r;
    return true;
}
static inline bool mt_bytes_u64(mt_bytes *c, uint64_t *v) { return mt_bytes_uint(c, 8, v); }
/* Pointer to the next n bytes, which the cursor passes; NULL when they do not fit. */
static inline const uint8_t *mt_bytes_take(mt_bytes *c, uint64_t n)
{
    if (n > mt_bytes_left(c)) return NULL;
    const uint8_t *p = c->base + c->pos;
    c->pos += (size_t)n;
    return p;
}

#endif
