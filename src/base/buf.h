/* Growing byte buffer with a ceiling. Errors stick: check once at the end. */
#ifndef MT_BASE_BUF_H
#define MT_BASE_BUF_H

#include "base/mem.h"

typedef struct mt_buf {
    uint8_t *data;
    size_t len, cap, ceiling; /* ceiling is fixed at init */
    bool failed;              /* an append did not fit or memory ran out */
} mt_buf;

#define MT_BUF_INIT(max) {NULL, 0, 0, (max), false}
void mt_buf_append(mt_buf *b, const void *data, size_t n);
void mt_buf_printf(mt_buf *b, const char *fmt, ...) MT_PRINTF(2, 3);
/* Room for n more bytes at the returned place (then add to len), or NULL when failed. */
uint8_t *mt_buf_reserve(mt_buf *b, size_t n);
void mt_buf_free(mt_buf *b);
/* MT_OK, or LIMIT naming `what`. */
MT_MUST_USE mt_status mt_buf_status(const mt_buf *b, const char *what, mt_err *err);

#endif
