/* Fetch: every tile of a plan, decoded, cut and resampled, handed to the worker that completed it.
 *
 * The pass walks native tiles, not crops: a worker decodes one native tile and scatters it to every
 * crop that needs it; the worker that brings a crop's last part resamples the crop and hands it on.
 * So each native tile is decoded exactly once per pass, on any number of threads, without waiting, and
 * memory is the crops open at once, which the plan tells in advance. */
#ifndef MT_TILES_FETCH_H
#define MT_TILES_FETCH_H

#include <stdbool.h>
#include "microtome/tiles.h"

typedef struct mt_fetched {
    uint32_t tile;            /* index in plan order */
    const uint8_t *rgb;       /* out_px x out_px x 3, tight rows; valid during the call */
    bool unreadable;          /* some native tile under it would not decode; that part is white */
} mt_fetched;

/* Called on the worker's own thread with 1..batch tiles; the order over workers is not fixed. A failed
 * return stops the pass. */
typedef mt_status (*mt_fetch_fn)(void *ctx, int worker, const mt_fetched *tiles, int n, mt_err *err);

typedef struct mt_fetch_opts {
    int version;              /* 1 */
    int threads;              /* >= 1 */
    int batch;                /* most tiles a call hands on, >= 1 */
    uint64_t memory;          /* ceiling for tile buffers; the walk is cut into strips when one sweep would pass it */
    int bicubic;              /* filter of the resampling: 0 antialiased bilinear (Pillow), 1 bicubic */
    const uint8_t *skip;      /* plan tiles already done: n_tiles bytes, non-zero = leave out; NULL = none */
    mt_progress_fn progress;  /* may be NULL; non-zero return ends the pass with CANCELLED */
    void *progress_ctx;
} mt_fetch_opts;
#define MT_FETCH_OPTS_INIT {1, 1, 8, 256u << 20, 0, NULL, NULL, NULL}

MT_MUST_USE mt_status mt_fetch_run(const mt_slide *slide, const mt_plan *plan, const mt_fetch_opts *opts,
                                   mt_fetch_fn fn, void *ctx, mt_fetch_stats *stats, mt_err *err);

#endif
