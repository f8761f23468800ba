#include "engine/grade.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/mem.h"

/* What the numbers speak of: the same words whether there are numbers or not. */
static void name_terms(mt_grade *out, const mt_card *card)
{
    out->n_classes = card->n_classes;
    out->positive_class =
        card->positive_class < 0 && card->n_classes == 1 ? 0 : card->positive_class;
    snprintf(out->threshold_name, sizeof out->threshold_name, "%s",
             card->n_thresholds ? card->thresholds[0].name : "default");
    out->threshold = card->n_thresholds ? card->thresholds[0].value : 0.5;
}

void mt_grade_none(mt_grade *out, const mt_card *card, const char *reason)
{
    name_terms(out, card);
    out->graded = 0;
    snprintf(out->reason, sizeof out->reason, "%s", reason);
    for (int c = 0; c < card->n_classes; c++)
        out->classes[c] = (mt_class_grade){NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    out->score = NAN;
    out->decision[0] = 0;
    out->n_top = 0;
}

static void count_states(mt_grade *g, const mt_scores *s)
{
    g->n_tiles = s->plan->n_tiles;
    for (size_t i = 0; i < s->plan->n_tiles; i++) {
        g->n_done += s->state[i] == MT_TILE_DONE;
        g->n_unreadable += s->state[i] == MT_TILE_UNREADABLE;
        g->n_nan += s->state[i] == MT_TILE_NAN;
        g->n_excluded += s->state[i] == MT_TILE_EXCLUDED;
    }
}

/* The best tiles of a class, by score and then by tile id. */
static void top_tiles(mt_grade *g, const mt_scores *s, int cls)
{
    g->n_top = 0;
    for (size_t i = 0; i < s->plan->n_tiles; i++) {
        if (s->state[i] != MT_TILE_DONE) continue;
        float p = s->probs[i * (size_t)s->n_classes + (size_t)cls];
        int at = g->n_top;
        while (at > 0 && p > g->top[at - 1].score)
            at--;
        if (at == MT_TOP_TILES) continue;
        int last = MT_MIN(g->n_top, MT_TOP_TILES - 1);
        memmove(&g->top[at + 1], &g->top[at], (size_t)(last - at) * sizeof g->top[0]);
        const mt_tile *t = &s->plan->tiles[i];
        g->top[at].tile = (uint32_t)i;
        g->top[at].score = p;
        g->top[at].x_l0 = t->x_l0;
        g->top[at].y_l0 = t->y_l0;
        g->top[at].w_l0 = t->w_l0;
        g->top[at].h_l0 = t->h_l0;
        g->n_top = last + 1;
    }
}

static int largest_class(const mt_grade *g)
{
    int best = 0;
    for (int c = 1; c < g->n_classes; c++)
        if (g->classes[c].area_mm2 > g->classes[best].area_mm2) best = c;
    return best;
}

static void decide(mt_grade *g, const mt_card *card, const mt_scores *s)
{
    if (g->positive_class >= 0) {
        g->score = g->classes[g->positive_class].topk;
        snprintf(g->decision, sizeof g->decision, "%s",
                 g->score >= g->threshold ? "positive" : "negative");
        top_tiles(g, s, g->positive_class);
    } else {
        int cls = largest_class(g);
        g->score = g->classes[cls].mean;
        snprintf(g->decision, sizeof g->decision, "%s", card->class_names[cls]);
        top_tiles(g, s, cls);
    }
}

mt_status mt_grade_make(mt_grade *out, const mt_card *card, const mt_scores *s,
                        const mt_tissue *tissue, const char *roi_path, int topk, mt_err *err)
{
    memset(out, 0, sizeof *out);
    name_terms(out, card);
    out->topk_k = topk > 0 ? topk : MT_GRADE_TOPK;
    count_states(out, s);
    MT_TRY(mt_tissue_coverage(&out->tissue_mm2, &out->coverage, s, tissue, roi_path, err));
    out->analysed_mm2 = mt_scores_analysed(s);

    uint64_t bad = out->n_unreadable + out->n_nan, wanted = out->n_tiles - out->n_excluded;
    char reason[160];
    if (out->n_tiles == 0) {
        mt_grade_none(out, card, roi_path ? "no tissue in the region of interest" : "no tissue");
        return MT_OK;
    }
    if (out->n_done + bad != wanted)
        return mt_err_set(err, MT_ERR_INTERNAL, "grade: %llu of %llu tiles were never looked at",
                          (unsigned long long)(wanted - out->n_done - bad),
                          (unsigned long long)out->n_tiles);
    if (wanted == 0) {
        snprintf(reason, sizeof reason, "all %llu tissue tiles left out by quality control",
                 (unsigned long long)out->n_excluded);
        mt_grade_none(out, card, reason);
        return MT_OK;
    }
    if (out->n_done == 0 || (double)bad > MT_GRADE_MAX_BAD * (double)wanted) {
        snprintf(reason, sizeof reason,
                 "%llu of %llu tissue tiles unreadable, %llu without a number",
                 (unsigned long long)out->n_unreadable, (unsigned long long)wanted,
                 (unsigned long long)out->n_nan);
        mt_grade_none(out, card, reason);
        return MT_OK;
    }
    out->graded = 1;
    for (int c = 0; c < out->n_classes; c++)
        MT_TRY(mt_class_aggregate(&out->classes[c], s, c, out->threshold, out->topk_k,
                                  out->analysed_mm2, err));
    decide(out, card, s);
    return MT_OK;
}
