#include "engine/infer.h"

#include <math.h>
#include <string.h>
#include "base/mem.h"
#include "models/runner.h"
#include "slide/slide.h"

typedef struct worker {
    mt_runner *runner;
    float *input;
} worker;

struct mt_infer {
    const mt_card *card;
    int n;
    worker *workers;
};

/* The net must be what the card says, or memory would be read past its end. */
static mt_status check_shapes(const mt_model *model, const mt_card *card, mt_err *err)
{
    if (strcmp(card->task, "tile-classification"))
        return mt_err_set(err, MT_ERR_CARD,
                          "model %s: its task is %s, not the classification of tiles", card->name,
                          card->task);
    const mt_tensor *in, *out;
    int64_t n_out = 1;
    MT_TRY(mt_runner_shapes(&in, &out, model, err));
    for (int i = 0; i < out->rank; i++)
        n_out *= out->dims[i];
    if (in->dtype != MT_DT_F32 || in->rank != 4 || in->dims[0] != 1 ||
        in->dims[1] != 3 || in->dims[2] != card->input_px || in->dims[3] != card->input_px)
        return mt_err_set(err, MT_ERR_CARD, "model %s: its input is not 1 x 3 x %d x %d float32",
                          card->name, card->input_px, card->input_px);
    if (out->dtype != MT_DT_F32 || n_out != card->n_classes)
        return mt_err_set(err, MT_ERR_CARD, "model %s: %lld outputs for %d classes", card->name,
                          (long long)n_out, card->n_classes);
    return MT_OK;
}

static size_t input_bytes(const mt_card *card)
{
    return 3 * sizeof(float) * (size_t)card->input_px * (size_t)card->input_px;
}

mt_status mt_infer_worker_bytes(uint64_t *out, const mt_model *model, mt_err *err)
{
    MT_TRY(mt_runner_bytes(out, model, err));
    *out += input_bytes(mt_model_card(model));
    return MT_OK;
}

mt_status mt_infer_new(mt_infer **out, const mt_model *model, int threads, mt_err *err)
{
    *out = NULL;
    MT_AUTO(mt_infer_free) mt_infer *f = NULL;
    MT_TRY(mt_alloc(&f, 1, sizeof *f, sizeof *f, "inference", err));
    f->card = mt_model_card(model);
    MT_TRY(check_shapes(model, f->card, err));
    MT_TRY(mt_alloc(&f->workers, (size_t)threads, sizeof *f->workers, SIZE_MAX, "inference workers",
                    err));
    f->n = threads;
    for (int i = 0; i < threads; i++) {
        MT_TRY(mt_runner_new(&f->workers[i].runner, model, err));
        MT_TRY(mt_alloc_aligned(&f->workers[i].input, input_bytes(f->card), SIZE_MAX,
                                "network input", err));
    }
    *out = mt_steal(f);
    return MT_OK;
}

void mt_infer_free(mt_infer **infer)
{
    mt_infer *f = *infer;
    if (!f) return;
    for (int i = 0; f->workers && i < f->n; i++) {
        mt_runner_free(&f->workers[i].runner);
        free(f->workers[i].input);
    }
    free(f->workers);
    free(f);
    *infer = NULL;
}

static bool all_finite(const float *v, int n)
{
    for (int i = 0; i < n; i++)
        if (!isfinite(v[i])) return false;
    return true;
}

/* Scores of one tile. *ok is false when the network gave NaN or Inf (before or after the
 * activation: a sigmoid would hide an Inf). */
static mt_status score(const mt_infer *f, worker *w, const uint8_t *rgb, float *probs, bool *ok,
                       mt_err *err)
{
    mt_card_normalise(f->card, rgb, w->input);
    const float *out;
    MT_TRY(mt_runner_run(w->runner, w->input, &out, err));
    *ok = all_finite(out, f->card->n_classes);
    if (*ok) {
        mt_card_activate(f->card, out, probs);
        *ok = all_finite(probs, f->card->n_classes);
    }
    return MT_OK;
}

mt_status mt_infer_tiles(void *ctx, int worker_index, const mt_fetched *tiles, int n, mt_err *err)
{
    mt_infer_sink *sink = ctx;
    mt_infer *f = sink->infer;
    size_t n_classes = (size_t)f->card->n_classes;
    for (int i = 0; i < n; i++) {
        uint32_t id = tiles[i].tile;
        float *probs = sink->probs + id * n_classes;
        mt_tile_state state = MT_TILE_UNREADABLE;
        if (!tiles[i].unreadable) {
            bool ok = false;
            MT_TRY(score(f, &f->workers[worker_index], tiles[i].rgb, probs, &ok, err));
            state = ok ? MT_TILE_DONE : MT_TILE_NAN;
        }
        for (size_t c = 0; state != MT_TILE_DONE && c < n_classes; c++)
            probs[c] = NAN;
        /* A page that could not be read was zeros to the decoder: no such score may reach the
         * journal. */
        MT_TRY(mt_slide_check(sink->slide, err));
        sink->state[id] = (uint8_t)state;
        if (sink->journal) MT_TRY(mt_journal_add(sink->journal, id, (uint8_t)state, probs, err));
    }
    return MT_OK;
}
