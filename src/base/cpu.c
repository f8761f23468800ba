#include "base/cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static atomic_int mask = MT_CPU_AVX512, vnni_hidden = 0;

#ifdef MT_NEON
static const char *const names[] = {"ref", "neon"};
#else
static const char *const names[] = {"ref", "avx2", "avx512"};
#endif

#if defined(__x86_64__) && !defined(MT_NO_SIMD)
/* Asked of the CPU itself: not every compiler's __builtin_cpu_supports knows this word. */
static int has_f16c(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c >> 29 & 1);
}
#endif

int mt_cpu_detected(void)
{
#if defined(__x86_64__) && !defined(MT_NO_SIMD)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !has_f16c())
        return MT_CPU_REF;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return MT_CPU_AVX512;
    return MT_CPU_AVX2;
#elif defined(MT_NEON)
    return MT_CPU_NEON; /* part of every aarch64 */
#else
    return MT_CPU_REF;
#endif
}

int mt_cpu_level(void)
{
    int d = mt_cpu_detected(), m = atomic_load(&mask);
    return d < m ? d : m;
}

int mt_cpu_vnni(void)
{
#if defined(__x86_64__) && !defined(MT_NO_SIMD)
    return mt_cpu_level() >= MT_CPU_AVX512 && !atomic_load(&vnni_hidden) &&
           __builtin_cpu_supports("avx512vnni");
#else
    return 0;
#endif
}

void mt_cpu_mask_vnni(int hide) { atomic_store(&vnni_hidden, hide); }

void mt_cpu_mask(int level) { atomic_store(&mask, level); }

const char *mt_cpu_name(void) { return names[mt_cpu_level()]; }

mt_status mt_cpu_select(const char *isa, mt_err *err)
{
    if (!isa || !strcmp(isa, "auto")) {
        mt_cpu_mask(MT_CPU_AVX512);
        return MT_OK;
    }
    for (int i = MT_CPU_REF; i < (int)(sizeof names / sizeof *names); i++) {
        if (strcmp(isa, names[i])) continue;
        if (i > mt_cpu_detected())
            return mt_err_set(err, MT_ERR_UNSUPPORTED, "kernel set %s: this machine only has %s", isa, names[mt_cpu_detected()]);
        mt_cpu_mask(i);
        return MT_OK;
    }
    return mt_err_set(err, MT_ERR_ARG, "unknown kernel set '%s' (ref, avx2, avx512 or auto)", isa);
}

/* CPU share granted by the cgroup (v2, then v1), rounded up; 0 when there is no limit. */
static int cgroup_cpus(void)
{
    long long quota = -1, period = 0;
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (f) {
        if (fscanf(f, "%lld %lld", &quota, &period) != 2) quota = -1;
        fclose(f);
    } else {
        f = fopen("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "re");
        if (f) {
            if (fscanf(f, "%lld", &quota) != 1) quota = -1;
            fclose(f);
        }
        f = fopen("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "re");
        if (f) {
            if (fscanf(f, "%lld", &period) != 1) period = 0;
            fclose(f);
        }
    }
    return quota > 0 && period > 0 ? (int)((quota + period - 1) / period) : 0;
}

int mt_cpu_count(void)
{
    cpu_set_t set;
    int n = 1;
    if (sched_getaffinity(0, sizeof set, &set) == 0) n = CPU_COUNT(&set);
    int q = cgroup_cpus();
    if (q > 0 && q < n) n = q;
    return n < 1 ? 1 : n;
}
