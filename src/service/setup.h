/* What a run was asked for, looked at once before any slide: what is wrong here is the run's error and
 * not every slide's. */
#ifndef MT_SERVICE_SETUP_H
#define MT_SERVICE_SETUP_H

#include "engine/pipeline.h"
#include "microtome/batch.h"
#include "service/inputs.h"
#include "service/names.h"

enum { MT_SETUP_EXPORTS = 32 };

typedef struct mt_setup {
    mt_model *model;
    mt_tissue_source *tissue;
    mt_stain_request stain;
    mt_qc_config qc;
    mt_inputs list;
    char (*names)[MT_NAME_BYTES];          /* of the results, one an item of the list */
    const char *exports[MT_SETUP_EXPORTS]; /* names in the writer table, in its order */
    int n_exports;
    char exports_key[256];
    mt_pipeline_opts pipe; /* points into this struct; progress is the caller's to set */
} mt_setup;

/* Opens the model and every other file that all slides share, expands the inputs, makes the output
 * folder. *out must stay where it is; it is freed by mt_setup_free in either case. Errors: ARG and
 * what the files say. */
MT_MUST_USE mt_status mt_setup_make(mt_setup *out, const mt_run_opts *opts, mt_err *err);
void mt_setup_free(mt_setup *s);

#endif
