/* One slide from open to grade.
 *
 *   open     the file, its digest, spacing, the model's scope, the key of the result
 *   lock     the journal in the result folder: one process a slide
 *   analyse  tissue, plan, scores (from store, journal and network), grade
 *
 * Between the steps the caller decides: a finished result is recognised by its key before anything
 * is analysed. Everything mt_pipeline_result points to belongs to the pipeline. */
#ifndef MT_ENGINE_PIPELINE_H
#define MT_ENGINE_PIPELINE_H

#include "microtome/grade.h"

typedef struct mt_pipeline mt_pipeline;

typedef struct mt_pipeline_opts {
    const mt_model *model;
    int threads, batch;         /* >= 1 */
    uint64_t memory;            /* ceiling for tile and network buffers */
    const char *optical_path;   /* DICOM: or NULL = the first */
    int focal_plane;            /* DICOM: -1 = the middle one */
    double overlap, min_tissue; /* < 0: the card's stride, the default */
    const char *roi_path;       /* or NULL */
    const char *coords;         /* file or folder of coordinates, or NULL */
    char roi_digest[65];        /* of that file */
    const char *out_of_scope;   /* reason or NULL */
    int allow_upsampling, topk;
    const char *exports; /* part of the key only */
    const mt_tissue_source *tissue; /* NULL = detection */
    const mt_stain_request *stain;  /* NULL = none */
    int stain_fallback_none, strict;
    int fast_scaling; /* the user allows it; the card may too */
    const mt_qc_config *qc; /* limits; NULL: no quality control */
    int qc_rejects;      /* 1: a slide beyond a reject limit is not analysed */
    int force;           /* journal and store of earlier runs are not believed */
    mt_progress_fn progress;
    void *progress_ctx;
} mt_pipeline_opts;

/* Opens the slide and digests its bytes. opts is copied, what it points to must outlive the
 * pipeline. *out is the caller's. When the slide does not open or is refused (spacing, scope) *out
 * is set as well as the error, so that the refusal can be delivered as a result of its own. */
MT_MUST_USE mt_status mt_pipeline_open(mt_pipeline **out, const char *path, double assume_mpp,
                                       const mt_pipeline_opts *opts, mt_err *err);
void mt_pipeline_close(mt_pipeline **p);

/* Names the result (folder and files) and computes its key. */
MT_MUST_USE mt_status mt_pipeline_name(mt_pipeline *p, const char *stem, mt_err *err);

/* Takes the lock of the result folder (which exists). TEMPORARY when another process has it. */
MT_MUST_USE mt_status mt_pipeline_lock(mt_pipeline *p, const char *folder, mt_err *err);

/* Scores every tile and grades. A slide without tissue is MT_OK with graded = 0. The journal
 * survives failure, cancellation and kill. LIMIT when one worker does not fit into the memory.
 * When quality control rejects the slide the result's qc_rejected is set, nothing is scored and the
 * grade says why; mt_pipeline_refuse then leaves figures, tissue and key in the result. */
MT_MUST_USE mt_status mt_pipeline_analyse(mt_pipeline *p, mt_err *err);

/* Writes tiles.h5 into the locked folder; after mt_pipeline_analyse. */
MT_MUST_USE mt_status mt_pipeline_store(mt_pipeline *p, mt_err *err);

/* The result is complete on disk: the journal is removed and the lock given up. Of a rejected slide the
 * scores that an interrupted run left in the journal are kept: without the gate they are good. */
void mt_pipeline_finish(mt_pipeline *p);

/* Turns the result into "not analysed" with a reason, for a slide that failed. */
void mt_pipeline_refuse(mt_pipeline *p, const char *reason);

mt_result *mt_pipeline_result(mt_pipeline *p);
const mt_slide *mt_pipeline_slide(const mt_pipeline *p); /* NULL when it did not open */
/* Tiles taken over from an earlier run instead of computed. */
uint64_t mt_pipeline_resumed(const mt_pipeline *p);
/* What whoever runs this should know and no result depends on ("2 of 8 threads ..."); "" = nothing.
 */
const char *mt_pipeline_note(const mt_pipeline *p);

/* How the memory is shared out: threads that fit, what is left to the tile buffers. LIMIT, with the
 * figures, when not even one worker fits. */
typedef struct mt_budget {
    int threads;
    uint64_t fetch;
} mt_budget;
MT_MUST_USE mt_status mt_budget_split(mt_budget *out, uint64_t memory, int threads,
                                      uint64_t worker_bytes, mt_err *err);

#endif
