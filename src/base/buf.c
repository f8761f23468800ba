#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

uint8_t *mt_buf_reserve(mt_buf *b, size_t n)
{
    size_t need;
    if (b->failed) return NULL;
    if (!mt_add(&need, b->len, n) || need > b->ceiling) {
        b->failed = true;
        return NULL;
    }
    if (need > b->cap || !b->data) {
        size_t cap = b->cap ? b->cap : 256;
        while (cap < need) cap = cap > b->ceiling / 2 ? b->ceiling : cap * 2;
        cap = MT_MAX(cap, need);
        uint8_t *p = realloc(b->data, cap ? cap : 1);
        if (!p) {
            b->failed = true;
            return NULL;
        }
        b->data = p;
        b->cap = cap;
    }
    return b->data + b->len;
}

void mt_buf_append(mt_buf *b, const void *data, size_t n)
{
    uint8_t *p = mt_buf_reserve(b, n);
    if (!p || !n) return;
    memcpy(p, data, n);
    b->len += n;
}

void mt_buf_printf(mt_buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char small[256];
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(small, sizeof small, fmt, ap);
    if (n < 0) {
        b->failed = true;
    } else if ((size_t)n < sizeof small) {
        mt_buf_append(b, small, (size_t)n);
    } else if (mt_buf_reserve(b, (size_t)n + 1)) {
        vsnprintf((char *)b->data + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
    va_end(ap);
}

void mt_buf_free(mt_buf *b)
{
    free(b->data);
    b->data = NULL;
    b->len = b->cap = 0;
}

mt_status mt_buf_status(const mt_buf *b, const char *what, mt_err *err)
{
    if (!b->failed) return MT_OK;
    return mt_err_set(err, MT_ERR_LIMIT, "%s: buffer passes its ceiling of %zu bytes or memory ran out", what, b->ceiling);
}
