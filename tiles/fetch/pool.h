/* Fixed pool of equal buffers, shared by all workers without a lock. Last given, first taken: the
 * buffer that is still in cache goes out again. */
#ifndef MT_TILES_POOL_H
#define MT_TILES_POOL_H

#include <stdatomic.h>
#include "base/mem.h"

typedef struct pool {
    uint8_t *data;
    size_t bytes; /* of one buffer */
    int32_t n;
    _Atomic int32_t *next; /* free list by index; -1 ends it */
    _Alignas(64) _Atomic uint64_t
        head; /* low half: index + 1 (0 = empty); high half: a tag against ABA */
} pool;

MT_MUST_USE static inline mt_status pool_init(pool *p, int32_t n, size_t bytes, mt_err *err)
{
    size_t all;
    p->n = n;
    p->bytes = bytes;
    if (!mt_mul(&all, (size_t)n, bytes)) return mt_err_set(err, MT_ERR_LIMIT, "%d tile buffers", n);
    MT_TRY(mt_alloc_aligned(&p->data, all, SIZE_MAX, "tile buffers", err));
    MT_TRY(mt_alloc(&p->next, (size_t)n, sizeof *p->next, SIZE_MAX, "tile buffers", err));
    for (int32_t i = 0; i < n; i++)
        atomic_init(&p->next[i], i + 1 < n ? i + 1 : -1);
    atomic_init(&p->head, n ? 1 : 0);
    return MT_OK;
}

static inline void pool_free(pool *p)
{
    free(p->data);
    free((void *)p->next);
}

static inline uint8_t *pool_slot(const pool *p, int32_t i)
{
    return p->data + (size_t)i * p->bytes;
}

/* Index of a buffer, or -1 when none is left. */
static inline int32_t pool_take(pool *p)
{
    uint64_t head = atomic_load_explicit(&p->head, memory_order_acquire);
    for (;;) {
        int32_t i = (int32_t)(uint32_t)head - 1;
        if (i < 0) return -1;
        int32_t next = atomic_load_explicit(&p->next[i], memory_order_relaxed);
        uint64_t want = ((head >> 32) + 1) << 32 | (uint32_t)(next + 1);
        if (atomic_compare_exchange_weak_explicit(&p->head, &head, want, memory_order_acq_rel,
                                                  memory_order_acquire))
            return i;
    }
}

static inline void pool_give(pool *p, int32_t i)
{
    uint64_t head = atomic_load_explicit(&p->head, memory_order_relaxed);
    for (;;) {
        atomic_store_explicit(&p->next[i], (int32_t)(uint32_t)head - 1, memory_order_relaxed);
        uint64_t want = ((head >> 32) + 1) << 32 | (uint32_t)(i + 1);
        if (atomic_compare_exchange_weak_explicit(&p->head, &head, want, memory_order_acq_rel,
                                                  memory_order_relaxed))
            return;
    }
}

#endif
