/* Time. */
#ifndef MT_BASE_CLOCK_H
#define MT_BASE_CLOCK_H

double mt_clock_wall(void);            /* monotonic seconds */
double mt_clock_cpu(void);             /* CPU seconds of the process, all threads */
double mt_clock_thread_cpu(void);      /* CPU seconds of this thread */
void mt_clock_rfc3339(char out[32]);   /* now, UTC, "2026-01-31T08:15:00Z" */

#endif
