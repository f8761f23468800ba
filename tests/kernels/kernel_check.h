/* What the kernel checks share: the instruction sets to go through, guarded buffers, comparison. */
#ifndef MT_TESTS_KERNEL_CHECK_H
#define MT_TESTS_KERNEL_CHECK_H

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "kernels/table.h"
#include "tests/support/support.h"

#define GUARD 64 /* canary floats on either side */

/* n floats at `shift` floats past a 64-byte line, between canaries. */
typedef struct kc_buf {
    float *raw, *p;
    size_t n;
    int shift;
} kc_buf;

static inline float kc_canary(size_t i)
{
    uint32_t bits = 0x7fc0dead ^ (uint32_t)(i << 1); /* a NaN: a kernel that reads it shows it */
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline kc_buf kc_new(size_t n, int shift)
{
    kc_buf b = {NULL, NULL, n, shift};
    size_t all = n + 2 * GUARD + 16;
    assert_int_equal(mt_alloc_aligned(&b.raw, all * sizeof(float), (size_t)1 << 30, "test", NULL),
                     MT_OK);
    for (size_t i = 0; i < all; i++)
        b.raw[i] = kc_canary(i);
    b.p = b.raw + GUARD + shift;
    return b;
}

static inline void kc_free(kc_buf *b)
{
    for (size_t i = 0; i < b->n + 2 * GUARD + 16; i++) {
        float want = kc_canary(i);
        bool inside = i >= (size_t)(GUARD + b->shift) && i < GUARD + (size_t)b->shift + b->n;
        if (!inside && memcmp(&want, &b->raw[i], sizeof want))
            fail_msg("canary %zu of a buffer of %zu floats is gone", i, b->n);
    }
    free(b->raw);
    b->raw = b->p = NULL;
}

static inline uint32_t kc_next(uint32_t *seed)
{
    return *seed = *seed * 1664525u + 1013904223u;
}

static inline void kc_fill(float *p, size_t n, uint32_t seed, float scale)
{
    for (size_t i = 0; i < n; i++)
        p[i] = scale * ((float)(kc_next(&seed) >> 8) / 8388608.0f - 1.0f);
}

/* 0..n-1 */
static inline int kc_pick(uint32_t *seed, int n)
{
    return (int)((kc_next(seed) >> 8) % (uint32_t)n);
}

static inline void kc_close(const float *got, const float *want, size_t n, float allowed,
                            const char *what)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabsf(got[i] - want[i]) <= allowed))
            fail_msg("%s: [%zu] is %.9g, not %.9g (allowed %.3g)", what, i, (double)got[i],
                     (double)want[i], (double)allowed);
}

/* Levels this machine and build have: table for each, highest first is the caller's business. */
static inline const mt_kernels *kc_level(int level)
{
    mt_cpu_mask(level);
    const mt_kernels *k = mt_kernels_get();
    return k->level == level ? k : NULL;
}

#define KC_EACH_LEVEL(k)                                                                           \
    for (int kc_l = MT_CPU_REF; kc_l <= MT_CPU_AVX512; kc_l++)                                     \
        for (const mt_kernels *k = kc_level(kc_l); k; k = NULL)

#endif
