#include "microtome/err.h"
#include "microtome/system.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Texts come from hostile files too: one line, printable, valid enough for a terminal. */
static void make_one_line(char *s)
{
    for (; *s; s++) {
        if ((unsigned char)*s < 0x20 || *s == 0x7f) *s = ' ';
    }
}

mt_status mt_err_set(mt_err *err, mt_status code, const char *fmt, ...)
{
    if (!err || err->code != MT_OK) return code;
    err->code = code;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    make_one_line(err->text);
    return code;
}

mt_status mt_err_context(mt_err *err, const char *fmt, ...)
{
    if (!err || err->code == MT_OK) return MT_OK;
    char old[MT_ERR_TEXT];
    memcpy(old, err->text, sizeof old);
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof err->text)
        snprintf(err->text + n, sizeof err->text - (size_t)n, ": %s", old);
    make_one_line(err->text);
    return err->code;
}

void mt_err_clear(mt_err *err)
{
    if (!err) return;
    err->code = MT_OK;
    err->text[0] = 0;
}

const char *mt_status_name(mt_status code)
{
    static const char *const names[] = {
        [MT_OK] = "ok", [MT_ERR_ARG] = "argument", [MT_ERR_NOT_FOUND] = "not found", [MT_ERR_IO] = "io",
        [MT_ERR_FORMAT] = "format", [MT_ERR_UNSUPPORTED] = "unsupported", [MT_ERR_LIMIT] = "limit",
        [MT_ERR_NO_MEMORY] = "memory", [MT_ERR_SPACING] = "spacing", [MT_ERR_SCOPE] = "scope",
        [MT_ERR_CARD] = "card", [MT_ERR_NUMERIC] = "numeric", [MT_ERR_TEMPORARY] = "temporary",
        [MT_ERR_CANCELLED] = "cancelled", [MT_ERR_INTERNAL] = "internal",
    };
    if ((unsigned)code >= sizeof names / sizeof names[0]) return "unknown";
    return names[code];
}

const char *mt_version(void) { return MT_VERSION; }
