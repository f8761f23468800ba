#include "base/workers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <omp.h>

/* libgomp's fork and join are invisible to the thread sanitizer; these two counters show it the order
 * that the runtime guarantees. */
typedef struct team {
    mt_worker_fn fn;
    void *ctx;
    atomic_int begun, ended;
} team;

static void enter(team *t, int worker)
{
    (void)atomic_load_explicit(&t->begun, memory_order_acquire);
    t->fn(t->ctx, worker);
    atomic_fetch_add_explicit(&t->ended, 1, memory_order_release);
}

__attribute__((no_sanitize("thread"), noinline)) static void fork_join(team *t, int n)
{
#pragma omp parallel num_threads(n) default(none) shared(t)
    {
        enter(t, omp_get_thread_num());
    }
}

void mt_workers_run(int n, mt_worker_fn fn, void *ctx)
{
    if (n <= 1) {
        fn(ctx, 0);
        return;
    }
    team t = {fn, ctx, 0, 0};
    omp_set_dynamic(0);
    atomic_store_explicit(&t.begun, 1, memory_order_release);
    fork_join(&t, n);
    (void)atomic_load_explicit(&t.ended, memory_order_acquire);
}

typedef struct each {
    mt_worker_item_fn fn;
    void *ctx;
    size_t count;
    atomic_size_t next;
} each;

static void each_worker(void *ctx, int worker)
{
    each *e = ctx;
    for (;;) {
        size_t i = atomic_fetch_add(&e->next, 1);
        if (i >= e->count) return;
        e->fn(e->ctx, worker, i);
    }
}

void mt_workers_each(int n, size_t count, mt_worker_item_fn fn, void *ctx)
{
    each e = {fn, ctx, count, 0};
    mt_workers_run(count < (size_t)n ? (int)count : n, each_worker, &e);
}

static pthread_mutex_t fail_lock = PTHREAD_MUTEX_INITIALIZER;

void mt_team_fail(mt_team_err *t, const mt_err *err)
{
    pthread_mutex_lock(&fail_lock);
    if (!t->set) {
        t->err = *err;
        __atomic_store_n(&t->set, 1, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&fail_lock);
}

int mt_team_failed(const mt_team_err *t) { return __atomic_load_n(&t->set, __ATOMIC_ACQUIRE); }
