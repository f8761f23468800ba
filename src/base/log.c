#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static mt_log_fn listener;
static void *listener_ctx;

void mt_log_listen(mt_log_fn fn, void *ctx)
{
    pthread_mutex_lock(&lock);
    listener = fn;
    listener_ctx = ctx;
    pthread_mutex_unlock(&lock);
}

void mt_log(mt_log_level level, const char *fmt, ...)
{
    char line[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    pthread_mutex_lock(&lock);
    if (listener) listener(listener_ctx, level, line);
    pthread_mutex_unlock(&lock);
}
