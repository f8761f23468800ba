/* The library never prints. It hands lines to whoever listens (the command line, later the audit). */
#ifndef MT_BASE_LOG_H
#define MT_BASE_LOG_H

#include "microtome/err.h"

typedef enum mt_log_level { MT_LOG_DEBUG, MT_LOG_INFO, MT_LOG_WARN } mt_log_level;
typedef void (*mt_log_fn)(void *ctx, mt_log_level level, const char *line);
void mt_log_listen(mt_log_fn fn, void *ctx); /* NULL: silence, the default */
/* No metadata value of a slide, no file name: rule 6. */
void mt_log(mt_log_level level, const char *fmt, ...) MT_PRINTF(2, 3);

#endif
