/* A model's network at work on one picture at a time, whichever engine runs it: this one, or the
 * user's ONNX Runtime when the model was opened with it. */
#ifndef MT_MODELS_RUNNER_H
#define MT_MODELS_RUNNER_H

#include "models/net.h"

typedef struct mt_runner mt_runner; /* one worker's: activations, scratch */

/* Shapes of the first input and output for one picture; data NULL. Valid while the model is. ARG,
 * UNSUPPORTED: the model's task has no network that can be run. */
MT_MUST_USE mt_status mt_runner_shapes(const mt_tensor **in, const mt_tensor **out,
                                       const mt_model *model, mt_err *err);
/* Bytes one runner takes. What ONNX Runtime takes for itself is not known and not part of it. */
MT_MUST_USE mt_status mt_runner_bytes(uint64_t *out, const mt_model *model, mt_err *err);

/* *out is the caller's; the model must outlive it. */
MT_MUST_USE mt_status mt_runner_new(mt_runner **out, const mt_model *model, mt_err *err);
void mt_runner_free(mt_runner **runner);

/* Runs once. input: as mt_runner_shapes says. *output: numbers of the first output, the runner's
 * until its next run. ARG when an engine gives another shape than it did at first. */
MT_MUST_USE mt_status mt_runner_run(mt_runner *r, const float *input, const float **output,
                                    mt_err *err);

#endif
