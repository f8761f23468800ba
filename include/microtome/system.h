/* The library itself: version, CPU paths, a check of the machine. */
#ifndef MICROTOME_SYSTEM_H
#define MICROTOME_SYSTEM_H

#include "microtome/err.h"

/* "0.1.0" */
MT_API const char *mt_version(void);

/* Restricts the kernels to one instruction set: "ref", "avx2", "avx512" (on AArch64 "ref", "neon"), or
 * NULL/"auto" for the best the machine has. Call once, before any model is opened. Fails with
 * UNSUPPORTED when the machine lacks it, ARG for an unknown word. */
MT_API MT_MUST_USE mt_status mt_cpu_select(const char *isa, mt_err *err);

/* Name of the kernel set in use, of the same words. */
MT_API const char *mt_cpu_name(void);

/* Cores this process may use (affinity mask and cgroup quota), >= 1. */
MT_API int mt_cpu_count(void);

/* One line a check, through fn(ctx, ok, name, text). Returns the number of failed checks. */
typedef void (*mt_doctor_fn)(void *ctx, int ok, const char *name, const char *text);
MT_API int mt_doctor(mt_doctor_fn fn, void *ctx);

#endif
