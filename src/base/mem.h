/* Memory: checked sizes, scoped cleanup, aligned blocks, arena. */
#ifndef MT_BASE_MEM_H
#define MT_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include "microtome/err.h"

/* True when a*b (a+b) fits; *out holds it. */
static inline bool mt_mul(size_t *out, size_t a, size_t b) { return !__builtin_mul_overflow(a, b, out); }
static inline bool mt_add(size_t *out, size_t a, size_t b) { return !__builtin_add_overflow(a, b, out); }

/* Zeroed n * size bytes under a ceiling; `what` names it in the error. 0 elements give a 1-byte block. */
MT_MUST_USE mt_status mt_alloc(void *out_ptr, size_t n, size_t size, size_t ceiling, const char *what, mt_err *err);

/* As mt_alloc, 64-byte aligned and not zeroed; free() releases it. The size is rounded up to 64. */
MT_MUST_USE mt_status mt_alloc_aligned(void *out_ptr, size_t bytes, size_t ceiling, const char *what, mt_err *err);

/* As mt_alloc_aligned, in huge pages where the system gives them: for what is read again and again. */
MT_MUST_USE mt_status mt_alloc_large(void *out_ptr, size_t bytes, size_t ceiling, const char *what, mt_err *err);

/* Scoped cleanup: MT_AUTO(free_ptr) char *s = NULL; runs free(s) at scope end. Hand over with mt_steal. */
static inline void mt_free_ptr(void *p) { void **q = p; free(*q); *q = NULL; }
#define MT_AUTO_FREE __attribute__((cleanup(mt_free_ptr)))
#define MT_AUTO(fn) __attribute__((cleanup(fn)))
#define mt_steal(p) ({ __typeof__(p) mt_s_ = (p); (p) = NULL; mt_s_; })

/* Return at once when a call fails. */
#define MT_TRY(call) do { mt_status mt_st_ = (call); if (mt_st_ != MT_OK) return mt_st_; } while (0)

#define MT_MIN(a, b) ((a) < (b) ? (a) : (b))
#define MT_MAX(a, b) ((a) > (b) ? (a) : (b))
#define MT_COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Arena: many small blocks, freed together. Zero-initialise; not thread-safe. */
typedef struct mt_arena { struct mt_arena_block *head; size_t used, ceiling; } mt_arena;
/* 16-byte aligned, zeroed. NULL when memory or the ceiling (0 = none) is exhausted. */
void *mt_arena_alloc(mt_arena *a, size_t bytes);
char *mt_arena_strdup(mt_arena *a, const char *s, size_t n);
void mt_arena_free(mt_arena *a);

#endif
