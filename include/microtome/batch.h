/* Many slides, start to finish: what `microtome run` does. */
#ifndef MICROTOME_BATCH_H
#define MICROTOME_BATCH_H

#include "microtome/result.h"

typedef struct mt_run_opts {
    int version;               /* 1 */
    const char *const *inputs; /* slide files, folders, CSV lists with a `wsi` column (optional `mpp`) */
    size_t n_inputs;
    const char *out_dir;
    const char *model;         /* built-in name or path */
    const char *config;        /* card file or NULL */
    const char *onnxruntime;   /* library that runs the network: see mt_model_opts; NULL = this engine */
    int threads;               /* 0 = all cores this process may use */
    int batch;                 /* tiles per inference call, 0 = 8; never changes a result */
    uint64_t memory;           /* ceiling in bytes for tile and network buffers, 0 = 400 MiB */
    int force;                 /* redo what is already done */
    double assume_mpp;         /* 0 = from the file */
    const char *optical_path;  /* DICOM: identifier, NULL = the first */
    int focal_plane;           /* DICOM: 0-based, -1 = the middle one */
    double overlap;            /* < 0 = from the card's stride */
    double min_tissue;         /* < 0 = default */
    const char *roi_path;
    const char *coords;        /* coordinates of CLAM, TRIDENT or WSInfer instead of the grid: a file of one slide,
                                  or a folder (mt_coords_find); not with roi_path; NULL = none */
    const char *allow_out_of_scope; /* reason, or NULL */
    int allow_upsampling;      /* beyond 2.1 times */
    const char *exports;       /* comma-separated extra writers, or NULL */
    int pseudonyms;            /* result folders named by slide id */
    int topk;                  /* tiles of the slide-level score, 0 = 10 */
    mt_qc_mode qc;
    const char *qc_config;     /* file of mt_qc_config_load, or NULL */
    const char *qc_exclude;    /* mt_qc_bits_parse's words: overrides the file's list; NULL = as the file says */
    const char *tissue;        /* mt_tissue_source_open's `given`: mask file, folder of masks, tissue model; NULL =
                                  detection */
    const char *stain;         /* mt_stain_request_parse's words; NULL = as the model's card says */
    int stain_fallback_none;   /* 1: a slide whose stain cannot be measured runs as it is, marked; 0: it fails */
    int strict;                /* 1: a native tile that will not decode fails its slide */
    int fast_scaling;          /* 1: as mt_tiles_opts has it, also where the card does not ask for it */
} mt_run_opts;
#define MT_RUN_OPTS_INIT {.version = 1, .focal_plane = -1, .overlap = -1.0, .min_tissue = -1.0}

typedef enum mt_run_event_kind {
    MT_RUN_SLIDE_BEGIN,        /* a slide starts */
    MT_RUN_TILES,              /* tile progress of the current slide */
    MT_RUN_WARNING,            /* text holds it */
    MT_RUN_SLIDE_END           /* row holds the outcome */
} mt_run_event_kind;

typedef struct mt_run_event {
    mt_run_event_kind kind;
    size_t slide, n_slides;    /* position in the run, count */
    const char *path;          /* may name a patient: for an interactive terminal only */
    const mt_report_row *row;  /* SLIDE_END */
    const mt_result *result;   /* SLIDE_END of a graded slide, else NULL */
    uint64_t done, total;      /* TILES */
    const char *text;          /* WARNING */
} mt_run_event;

/* Called from one thread at a time. Return non-zero to stop after the current tiles (journal kept). */
typedef int (*mt_run_fn)(void *ctx, const mt_run_event *event);

typedef struct mt_run_summary {
    size_t n_slides, n_done, n_failed, n_empty, n_rejected, n_resumed;
    /* n_resumed: of n_done, n_empty and n_rejected, those that an earlier run had finished */
    size_t n_temporary;        /* of n_failed: worth a retry (locked, still being copied) */
    double wall_s, cpu_s;
    mt_fetch_stats fetch;      /* sums over the slides */
} mt_run_summary;

/* Runs every slide. A slide that fails gets its row and reason, the others go on: the call then still
 * returns MT_OK and the summary counts the failures. Errors of the run itself (model, output folder,
 * arguments) are returned before a slide is touched. */
MT_API MT_MUST_USE mt_status mt_batch_run(const mt_run_opts *opts, mt_run_fn fn, void *ctx,
                                          mt_run_summary *summary, mt_err *err);

#endif
