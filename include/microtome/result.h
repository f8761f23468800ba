/* Result writers: a grade in, bytes out. Each writer is a row of a table. */
#ifndef MICROTOME_RESULT_H
#define MICROTOME_RESULT_H

#include "microtome/grade.h"

typedef struct mt_writer_info {
    const char *name;         /* "json", "csv", "geojson", "heatmap", "qc", "geojson.gz" */
    const char *description;
    int by_default;           /* written by every run */
} mt_writer_info;

/* Rows of the writer table; name NULL ends it. tiles.h5 is the engine's store, not a writer. */
MT_API const mt_writer_info *mt_result_writers(void);

/* Writes one result under out_dir, at the place that the row's description names: <stem>/... or
 * model-outputs-.../<stem>... The slide is read only for the thumbnail and may be NULL (then heatmap.png
 * stands on the tissue mask). Whole or not at all.
 * Pure function of the result but for its run block. Errors: ARG (no such writer, a result that makes
 * no sense), IO, LIMIT, NO_MEMORY.
 *
 * heatmap.tif: tiled RGBA pyramid; a pixel of its first level covers a whole number N of level-0
 * pixels each way, pixel (i, j) from (N i, N j) on; N stands in the JSON of ImageDescription, and the
 * resolution tags say N times the slide's spacing. Colour is the mean over the tiles above it; where
 * nothing was scored all four bytes are 0. A slide without size or spacing gets no heatmap.tif. */
MT_API MT_MUST_USE mt_status mt_result_write(const char *writer, const mt_result *result,
                                             const mt_slide *slide, const char *out_dir, mt_err *err);

/* A row of the morning report. */
typedef enum mt_slide_state {
    MT_SLIDE_QUEUED, MT_SLIDE_RUNNING, MT_SLIDE_DONE, MT_SLIDE_FAILED, MT_SLIDE_REJECTED_QC, MT_SLIDE_EMPTY
} mt_slide_state;
MT_API const char *mt_slide_state_name(mt_slide_state s); /* "queued" ... "rejected-qc", "empty" */

typedef struct mt_report_row {
    char stem[256], slide_id[32];
    mt_slide_state state;
    char reason[MT_ERR_TEXT];  /* why failed, empty or rejected */
    int graded;
    char decision[48];
    double score, tissue_mm2, coverage, wall_s, tiles_per_s;
    uint64_t n_tiles;
    int resumed;               /* result of an earlier run was found complete */
    int n_warnings;
    char heatmap[300];         /* path relative to out_dir, "" when none */
    char qc[300];              /* the same of the quality picture */
    char qc_verdict[8];        /* "pass", "warn", "reject"; "" when quality control was off */
    double usable_share, focus; /* of the tissue; median sharpness; NaN when not known */
} mt_report_row;

typedef struct mt_report {
    const mt_report_row *rows;
    size_t n_rows;
    char model[96], model_state[16], engine_version[24], kernel_set[16];
    char started[32], updated[32];
    double wall_s;
} mt_report;

/* Writes report.json and report.html into out_dir, failures first. Each is replaced whole. */
MT_API MT_MUST_USE mt_status mt_report_write(const mt_report *report, const char *out_dir, mt_err *err);

#endif
