#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static double seconds(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double mt_clock_wall(void) { return seconds(CLOCK_MONOTONIC); }
double mt_clock_cpu(void) { return seconds(CLOCK_PROCESS_CPUTIME_ID); }
double mt_clock_thread_cpu(void) { return seconds(CLOCK_THREAD_CPUTIME_ID); }

void mt_clock_rfc3339(char out[32])
{
    time_t now = time(NULL);
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}
