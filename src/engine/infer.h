/* Inference: fetched tiles to scores, one image at a time: batch and threads never matter. */
#ifndef MT_ENGINE_INFER_H
#define MT_ENGINE_INFER_H

#include "engine/journal.h"
#include "models/net.h"
#include "tiles/fetch/fetch.h"

typedef struct mt_infer mt_infer;

/* State of `threads` workers for one model. */
MT_MUST_USE mt_status mt_infer_new(mt_infer **out, const mt_model *model, int threads, mt_err *err);
void mt_infer_free(mt_infer **infer);

/* Bytes one worker takes: activations, scratch, input. */
MT_MUST_USE mt_status mt_infer_worker_bytes(uint64_t *out, const mt_model *model, mt_err *err);

/* Where the scores of one slide go. journal may be NULL. */
typedef struct mt_infer_sink {
    mt_infer *infer;
    const mt_slide *slide; /* asked for read faults before a score is believed */
    mt_journal *journal;
    float *probs;   /* n_tiles x n_classes */
    uint8_t *state; /* n_tiles, mt_tile_state */
} mt_infer_sink;

/* A mt_fetch_fn; ctx is a mt_infer_sink. Workers write disjoint rows. */
mt_status mt_infer_tiles(void *ctx, int worker, const mt_fetched *tiles, int n, mt_err *err);

#endif
