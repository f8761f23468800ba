/* Fetch: every tile of a plan, decoded, cut and resampled, handed to the worker that completed it.
 *
 * The pass walks native tiles, not crops: a worker decodes one native tile and scatters it to every
 * crop that needs it; the worker that brings a crop's last part resamples the crop and hands it on.
 * So each native tile is decoded exactly once per pass, on any number of threads, without waiting,
 * and memory is the crops open at once, which the plan tells in advance.
 *
 * Order: bands of native tiles, each walked along the slide's shorter side. Only crops on the lower
 * edge of a band and around the walk itself are open. The pool of buffers is sized by walking the
 * plan once without pixels: the most crops open at a time, and for every worker those of one native
 * tile and a batch. When that passes opts->memory, bands get narrower, then the walk is cut into
 * strips one after the other (native tiles on the seams are decoded once per strip: native_decoded
 * says so), then batches shrink; what still does not fit is refused (LIMIT) before anything is
 * decoded.
 *
 * Pixels: native tiles are decoded whole and go row by row, while in cache, to the crops that need
 * them. Only where 16 or more source pixels make an output pixel, they are first halved by plain
 * averaging until below 16, where the native tile's sides allow. The box of the tile is cut out and,
 * unless it is the output already, resampled as Pillow would resample that picture alone: no pixel
 * outside the box, but for the whole source pixels it ends in, is seen. What lies outside the slide is
 * white.
 *
 * With `fast`, crops coarser than the level are made otherwise. From JPEG the samples are taken before
 * they are colours, chroma at the size it is stored in; each plane is resampled with the same weights
 * (chroma's folded over the decoder's upsampling), and colours are made of the pixels that come out: the
 * exact way but for roundings. From 8 source pixels an output pixel on the codec reduces first, so that four
 * samples are left; their weights are corrected to have the filter's centre and width.
 * Other codecs go the exact way: a wavelet's coarse pixels are not the filter's, and no weights make them so.
 *
 * All this depends on slide, plan, filter and `fast` only, so a crop has the same bytes for any threads,
 * batch and memory. */
#ifndef MT_TILES_FETCH_H
#define MT_TILES_FETCH_H

#include <stdbool.h>
#include "microtome/tiles.h"

typedef struct mt_fetched {
    uint32_t tile;      /* index in plan order */
    const uint8_t *rgb; /* out_px x out_px x 3, tight rows; valid during the call */
    bool unreadable;    /* some native tile under it would not decode; that part is white */
} mt_fetched;

/* Called on the worker's own thread (worker 0..threads-1) with 1..batch tiles; each tile comes
 * once; the order is not fixed. A failed return stops the pass, which returns that error. */
typedef mt_status (*mt_fetch_fn)(void *ctx, int worker, const mt_fetched *tiles, int n,
                                 mt_err *err);

typedef struct mt_fetch_opts {
    int version;     /* 1 */
    int threads;     /* >= 1 */
    int batch;       /* most tiles a call hands on, >= 1 */
    uint64_t memory; /* ceiling for tile buffers; the walk is cut into strips when one sweep passes it */
    int bicubic;     /* filter of the resampling: 0 antialiased bilinear (Pillow), 1 bicubic */
    const uint8_t *skip;     /* plan tiles already done: n_tiles bytes, non-zero = leave out; NULL = none */
    mt_progress_fn progress; /* may be NULL; non-zero return ends the pass with CANCELLED */
    void *progress_ctx;
    const struct mt_u8_stain_map *stain; /* colours of the resampled tiles; NULL = as they are */
    int strict;      /* 1: a native tile that will not decode ends the pass with its error */
    int fast;        /* 1: fast scaling, see above; 0: exact */
} mt_fetch_opts;
#define MT_FETCH_OPTS_INIT {1, 1, 8, 256u << 20, 0, NULL, NULL, NULL, NULL, 0, 0}

/* How `fast` makes the crops of a plan: "samples" or "exact", and what the codec reduces by:
 * 2, 4, 8, or 1. Decodes a native tile to find out. Errors: IO, NO_MEMORY. */
typedef struct mt_fetch_way {
    const char *name;
    int reduced_by;
} mt_fetch_way;
MT_MUST_USE mt_status mt_fetch_fast_way(mt_fetch_way *out, const mt_slide *slide, const mt_plan *plan,
                                        mt_err *err);

/* Runs the pass. A native tile whose bytes are bad (FORMAT, UNSUPPORTED, LIMIT) is white in every
 * crop under it, which is flagged; a slide that cannot be read (IO) ends the pass. Progress is
 * reported while the pass runs and once at its end; its total is the tiles not skipped. stats may
 * be NULL; it is filled after a failure too. Errors: ARG (a plan of another slide, threads
 * outside 1..256), LIMIT, NO_MEMORY, IO, CANCELLED, what fn returned. */
MT_MUST_USE mt_status mt_fetch_run(const mt_slide *slide, const mt_plan *plan,
                                   const mt_fetch_opts *opts, mt_fetch_fn fn, void *ctx,
                                   mt_fetch_stats *stats, mt_err *err);

#endif
