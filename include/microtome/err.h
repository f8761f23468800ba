/* Errors, the one idiom of the library.
 *
 * A call that can fail returns mt_status and takes a caller-owned mt_err last. The first error wins:
 * a set mt_err is never overwritten. mt_err holds no pointers and allocates nothing, so it can be
 * copied between threads and can still speak when memory has run out. */
#ifndef MICROTOME_ERR_H
#define MICROTOME_ERR_H

#define MT_API __attribute__((visibility("default")))
#define MT_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define MT_MUST_USE __attribute__((warn_unused_result))

typedef enum mt_status {
    MT_OK = 0,
    MT_ERR_ARG,         /* the caller's request makes no sense (usage) */
    MT_ERR_NOT_FOUND,   /* a file, model or name does not exist */
    MT_ERR_IO,          /* the system could not read or write */
    MT_ERR_FORMAT,      /* bytes that break their own format */
    MT_ERR_UNSUPPORTED, /* well-formed, but not something this build handles */
    MT_ERR_LIMIT,       /* a ceiling (memory, size, count) would be passed */
    MT_ERR_NO_MEMORY,   /* the allocator said no */
    MT_ERR_SPACING,     /* micrometres per pixel unknown, or too coarse for the model */
    MT_ERR_SCOPE,       /* the slide lies outside the model's declared scope */
    MT_ERR_CARD,        /* a model card that does not fit its weights */
    MT_ERR_NUMERIC,     /* NaN or Inf where a number is needed */
    MT_ERR_TEMPORARY,   /* worth a retry (locked, out of file handles) */
    MT_ERR_CANCELLED,   /* stopped by request */
    MT_ERR_INTERNAL     /* our own mistake */
} mt_status;

#define MT_ERR_TEXT 512

typedef struct mt_err {
    mt_status code;
    char text[MT_ERR_TEXT]; /* one line, UTF-8, no newline; empty when code is MT_OK */
} mt_err;

#define MT_ERR_INIT {MT_OK, ""}

/* Records code and a one-line text that names the thing and its value. err may be NULL. If err
 * already holds an error it is left alone. Returns code, so that `return mt_err_set(...)` reads well. */
MT_API mt_status mt_err_set(mt_err *err, mt_status code, const char *fmt, ...) MT_PRINTF(3, 4);

/* Puts "<fmt>: " before the text of a set error ("level 3: tile 7,2: ..."). Returns err->code, or
 * MT_OK when err is NULL or clear. */
MT_API mt_status mt_err_context(mt_err *err, const char *fmt, ...) MT_PRINTF(2, 3);

/* Makes err usable again after the error has been handled. NULL is accepted. */
MT_API void mt_err_clear(mt_err *err);

/* Short word for a code ("format", "spacing"); never NULL. */
MT_API const char *mt_status_name(mt_status code);

#endif
