/* Instruction sets: what the machine has, seen through the mask that --cpu sets. */
#ifndef MT_BASE_CPU_H
#define MT_BASE_CPU_H

#include "microtome/system.h"

/* NEON is level 1 of an aarch64 machine, which has no other above it. */
enum { MT_CPU_REF = 0, MT_CPU_AVX2 = 1, MT_CPU_NEON = 1, MT_CPU_AVX512 = 2 };

/* Best level the machine has (avx2 means AVX2+FMA+F16C; avx512 means F+BW+DQ+VL besides). */
int mt_cpu_detected(void);
/* min(detected, mask). */
int mt_cpu_level(void);
/* 1: the machine has AVX512-VNNI and neither mask nor mt_cpu_mask_vnni hides it. Results are the
 * same without. */
int mt_cpu_vnni(void);
void mt_cpu_mask_vnni(int hide); /* for tests and the bench */
/* Mask for tests; prefer mt_cpu_select elsewhere. */
void mt_cpu_mask(int level);

#endif
