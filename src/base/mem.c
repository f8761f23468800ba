#include "base/mem.h"

#include <string.h>
#include <sys/mman.h>

static mt_status refuse(const char *what, size_t n, size_t size, size_t ceiling, mt_err *err)
{
    return mt_err_set(err, MT_ERR_LIMIT, "%s: %zu x %zu bytes passes the ceiling of %zu", what, n, size, ceiling);
}

mt_status mt_alloc(void *out_ptr, size_t n, size_t size, size_t ceiling, const char *what, mt_err *err)
{
    void **out = out_ptr;
    size_t bytes;
    *out = NULL;
    if (!mt_mul(&bytes, n, size) || bytes > ceiling) return refuse(what, n, size, ceiling, err);
    *out = calloc(1, bytes ? bytes : 1);
    if (!*out) return mt_err_set(err, MT_ERR_NO_MEMORY, "%s: no memory for %zu bytes", what, bytes);
    return MT_OK;
}

mt_status mt_alloc_aligned(void *out_ptr, size_t bytes, size_t ceiling, const char *what, mt_err *err)
{
    void **out = out_ptr;
    size_t rounded;
    *out = NULL;
    if (bytes > ceiling || !mt_add(&rounded, bytes ? bytes : 1, 63)) return refuse(what, bytes, 1, ceiling, err);
    *out = aligned_alloc(64, rounded & ~(size_t)63);
    if (!*out) return mt_err_set(err, MT_ERR_NO_MEMORY, "%s: no memory for %zu bytes", what, bytes);
    return MT_OK;
}

mt_status mt_alloc_large(void *out_ptr, size_t bytes, size_t ceiling, const char *what, mt_err *err)
{
    enum { HUGE = 2 << 20 };
    void **out = out_ptr;
    if (bytes < 2 * HUGE || bytes > ceiling || bytes > SIZE_MAX - HUGE)
        return mt_alloc_aligned(out_ptr, bytes, ceiling, what, err);
    size_t rounded = (bytes + 63) & ~(size_t)63;
    *out = NULL;
    if (posix_memalign(out, HUGE, rounded) != 0)
        return mt_err_set(err, MT_ERR_NO_MEMORY, "%s: no memory for %zu bytes", what, bytes);
    (void)madvise(*out, rounded & ~(size_t)(HUGE - 1), MADV_HUGEPAGE); /* a wish: refused, nothing is lost */
    return MT_OK;
}

struct mt_arena_block {
    struct mt_arena_block *next;
    size_t used, cap;
    _Alignas(16) unsigned char data[];
};

enum { ARENA_BLOCK = 64 * 1024 };

void *mt_arena_alloc(mt_arena *a, size_t bytes)
{
    size_t need;
    if (!mt_add(&need, bytes, 15)) return NULL;
    need &= ~(size_t)15;
    struct mt_arena_block *b = a->head;
    if (!b || b->cap - b->used < need) {
        size_t cap = need > ARENA_BLOCK ? need : ARENA_BLOCK, total;
        if (a->ceiling && (cap > a->ceiling || a->used > a->ceiling - cap)) return NULL;
        if (!mt_add(&total, cap, sizeof *b) || !(b = calloc(1, total))) return NULL;
        b->cap = cap;
        b->next = a->head;
        a->head = b;
        a->used += cap;
    }
    void *p = b->data + b->used;
    b->used += need;
    return p;
}

char *mt_arena_strdup(mt_arena *a, const char *s, size_t n)
{
    char *p = n < SIZE_MAX ? mt_arena_alloc(a, n + 1) : NULL;
    if (p && n) memcpy(p, s, n);
    return p;
}

void mt_arena_free(mt_arena *a)
{
    while (a->head) {
        struct mt_arena_block *b = a->head;
        a->head = b->next;
        free(b);
    }
    a->used = 0;
}
