/* What the tests share: the folder of real data, temporary folders. */
#ifndef MT_TEST_SUPPORT_H
#define MT_TEST_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "microtome/err.h"

/* Path of a file under the real-data folder, or NULL (after a printed line) when it is absent:
 * `const char *p = tt_data("slides/x.svs"); if (!p) skip();` Static buffer, four calls deep. */
const char *tt_data(const char *relative);
/* Path under the source tree. Static buffer, four calls deep. */
const char *tt_source(const char *relative);
/* Fresh temporary folder of this test program, removed at exit. Name is static. */
const char *tt_tmp(void);
/* tt_tmp()/name. Static buffer, eight calls deep. */
const char *tt_tmp_file(const char *name);
/* Skips a test of accuracy under the thread sanitizer: the same figures, thirty times as slow. */
#ifdef __SANITIZE_THREAD__
#define tt_not_under_tsan() skip()
#else
#define tt_not_under_tsan() ((void)0)
#endif
/* Skips a test that takes address space away: a sanitizer's shadow is address space too. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TT_SHADOW 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(TT_SHADOW)
#define tt_not_with_shadow() skip()
#else
#define tt_not_with_shadow() ((void)0)
#endif
/* Leaves the program so many bytes of address space beyond what it has; 0: as many as before. */
void tt_address_space(size_t more);
/* Fails the test with the error's text unless st is MT_OK. */
void tt_ok_(mt_status st, const mt_err *err, const char *file, int line);
#define tt_ok(call, err) tt_ok_((call), (err), __FILE__, __LINE__)

#endif
