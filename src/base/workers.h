/* One team of OpenMP threads. */
#ifndef MT_BASE_WORKERS_H
#define MT_BASE_WORKERS_H

#include "base/mem.h"

/* Runs fn(ctx, worker) on n threads at once (worker 0..n-1, worker 0 is the caller) and returns when
 * all are done. n may pass the number of cores. Everything written before is seen by the workers,
 * everything they write is seen after. Do not nest. */
typedef void (*mt_worker_fn)(void *ctx, int worker);
void mt_workers_run(int n, mt_worker_fn fn, void *ctx);

/* Runs fn(ctx, worker, i) for every i in [0, count), handed out one by one in order. */
typedef void (*mt_worker_item_fn)(void *ctx, int worker, size_t i);
void mt_workers_each(int n, size_t count, mt_worker_item_fn fn, void *ctx);

/* The first error of a team: any worker may report, the first one is kept. */
typedef struct mt_team_err { mt_err err; int set; } mt_team_err;
void mt_team_fail(mt_team_err *t, const mt_err *err); /* thread-safe */
int mt_team_failed(const mt_team_err *t);             /* thread-safe, cheap */

#endif
