/* Digests: of a slide's bytes, of a plan, of everything a score or a result depends on.
 *
 * Canonical form: a versioned prefix, then every value little-endian in a fixed order, strings with
 * their length first, doubles as their IEEE bits (-0 as 0). The same on every machine. */
#ifndef MT_ENGINE_PROVENANCE_H
#define MT_ENGINE_PROVENANCE_H

#include "microtome/grade.h"
#include "tiles/stain/stain.h"
#include "trust/digest.h"

void mt_feed_u64(mt_sha256 *s, uint64_t v);
void mt_feed_f64(mt_sha256 *s, double v);
void mt_feed_str(mt_sha256 *s, const char *text); /* NULL counts as "" */

/* SHA-256 of one file's bytes, read once in blocks. */
MT_MUST_USE mt_status mt_file_digest(char out[65], const char *path, mt_err *err);

/* Key of the scores: two runs with the same key give every tile the same bits. Slide, model, what
 * the card says of the pixels and of the activation, plan, what the stain normalisation does to a pixel
 * (NULL: nothing), kernel set, engine version. Not in it:
 * threads, batch, memory, thresholds, top-k. */
MT_MUST_USE mt_status mt_scores_key(char out[65], const char *slide_digest,
                                    const char *model_digest, const mt_card *card,
                                    const char *plan_digest, const char *kernel_set,
                                    const mt_u8_stain_map *stain, mt_err *err);

/* What a whole result depends on besides the slide. */
typedef struct mt_result_inputs {
    const mt_card *card;
    const char *model_digest, *kernel_set;
    double assume_mpp, overlap, min_tissue;
    const char *roi_digest;   /* "" = no region of interest */
    const char *coords_digest; /* "" or NULL = the grid */
    const char *out_of_scope; /* reason or NULL */
    int allow_upsampling, topk;
    const char *exports; /* writers asked for, or NULL */
    const mt_qc_config *qc; /* NULL: no quality control */
    int qc_rejects;
    const mt_tissue_origin *tissue;
    const mt_stain_request *stain;
    int stain_fallback_none, strict;
} mt_result_inputs;

/* Key of a finished result: known before the slide is analysed, so that a rerun can skip it. */
MT_MUST_USE mt_status mt_result_key(char out[65], const char *slide_digest, const char *stem,
                                    const mt_result_inputs *in, mt_err *err);

#endif
