/* Fills the tables: the reference everywhere, then overwritten upwards, returning at the first
 * missing level. Filled once, whatever the machine has; the level only chooses which one is handed
 * out. */
#include "kernels/kernels.h"

#include <pthread.h>
#include <string.h>

#include "base/mem.h"
#include "kernels/table.h"

/* Level of the table that holds what the dot products of AVX512-VNNI speed up: beside avx512, which
 * it answers like, bit for bit (only integer kernels have such rows). */
enum { WITH_VNNI = MT_CPU_AVX512 + 1 };

static void fill(struct mt_kernel_table *t, int level)
{
#define MT_K(isa, fn, p, q, tol) MT_K_##isa(fn)
#define MT_K_ref(fn_) t->fn_ = mt_##fn_##__ref;
#define MT_K_avx2(fn_)
#define MT_K_avx512(fn_)
#define MT_K_vnni(fn_)
#define MT_K_neon(fn_)
#include "kernels/all.def"
#undef MT_K_ref
#ifdef MT_NEON
#undef MT_K_neon
#define MT_K_ref(fn_)
    if (level < MT_CPU_NEON) return;
#define MT_K_neon(fn_) t->fn_ = mt_##fn_##__neon;
#include "kernels/all.def"
#undef MT_K_ref
#endif
#undef MT_K_avx2
#undef MT_K_avx512
#ifndef MT_NO_SIMD
#define MT_K_ref(fn_)
    if (level < MT_CPU_AVX2) return;
#define MT_K_avx2(fn_) t->fn_ = mt_##fn_##__avx2;
#define MT_K_avx512(fn_)
#include "kernels/all.def"
#undef MT_K_avx2
#undef MT_K_avx512
    if (level < MT_CPU_AVX512) return;
#define MT_K_avx2(fn_)
#define MT_K_avx512(fn_) t->fn_ = mt_##fn_##__avx512;
#include "kernels/all.def"
#undef MT_K_avx512
#undef MT_K_vnni
    if (level < WITH_VNNI) return;
#define MT_K_avx512(fn_)
#define MT_K_vnni(fn_) t->fn_ = mt_##fn_##__vnni;
#include "kernels/all.def"
#undef MT_K_ref
#undef MT_K_avx2
#undef MT_K_avx512
#endif
#undef MT_K_vnni
#undef MT_K_neon
#undef MT_K
}

#define MT_K_ref "ref", MT_CPU_REF
#ifdef MT_NEON
#define MT_K_avx2 "avx2", MT_LEVEL_ELSEWHERE
#define MT_K_avx512 "avx512", MT_LEVEL_ELSEWHERE
#define MT_K_vnni "vnni", MT_LEVEL_ELSEWHERE
#define MT_K_neon "neon", MT_CPU_NEON
#else
#define MT_K_avx2 "avx2", MT_CPU_AVX2
#define MT_K_avx512 "avx512", MT_CPU_AVX512
#define MT_K_vnni "vnni", WITH_VNNI
#define MT_K_neon "neon", MT_LEVEL_ELSEWHERE
#endif
#define MT_K(isa, fn, p, q, tol) {#fn, MT_K_##isa, p, q, tol},
static const mt_kernel_row rows[] = {
#include "kernels/all.def"
};
#undef MT_K
#undef MT_K_ref
#undef MT_K_avx2
#undef MT_K_avx512
#undef MT_K_vnni
#undef MT_K_neon

#ifdef MT_NEON
#define LEVELS 2
#elif defined(MT_NO_SIMD)
#define LEVELS 1
#else
#define LEVELS 4
#endif

const mt_kernel_row *mt_kernel_rows(size_t *n)
{
    *n = sizeof rows / sizeof rows[0];
    return rows;
}

static const mt_kernel_row *best_row(const char *kernel, int level)
{
    const mt_kernel_row *best = NULL;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].level <= level && rows[i].level < LEVELS &&
            strcmp(rows[i].kernel, kernel) == 0 && (!best || rows[i].level > best->level))
            best = &rows[i];
    return best;
}

float mt_kernel_tolerance(const char *kernel, int level)
{
    const mt_kernel_row *row = best_row(kernel, level);
    return row ? row->tol : 0.0f;
}

static struct mt_kernel_table tables[LEVELS];
static mt_kernels sets[LEVELS];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fill_all(void)
{
#ifdef MT_NEON
    static const char *const names[] = {"ref", "neon"};
#else
    static const char *const names[] = {"ref", "avx2", "avx512", "avx512"};
#endif
    for (int level = 0; level < LEVELS; level++) {
        fill(&tables[level], level);
        const mt_kernel_row *tile = best_row("conv_tile", level);
        if (tile) {
            tables[level].tile_p = tile->p;
            tables[level].tile_q = tile->q;
        }
        tile = best_row("i8_tile", level);
        if (tile) {
            tables[level].i8_p = tile->p;
            tables[level].i8_q = tile->q;
            tables[level].i8_wide = level < WITH_VNNI;
        }
        sets[level] = (mt_kernels){names[level], MT_MIN(level, MT_CPU_AVX512),
                                   level >= MT_CPU_AVX512 ? 16 : 8, &tables[level]};
    }
}

const mt_kernels *mt_kernels_get(void)
{
    (void)pthread_once(&once, fill_all);
    int level = mt_cpu_level();
    if (level == MT_CPU_AVX512 && mt_cpu_vnni()) level = WITH_VNNI;
    return &sets[level < LEVELS ? level : LEVELS - 1];
}
