/* ONNX Runtime as a peer: a shared library given by path, loaded at run time through its C API. The
 * project neither links it nor needs it to be installed. One thread, all of its graph optimisations. */
#ifndef MT_BENCH_ONNXRUNTIME_H
#define MT_BENCH_ONNXRUNTIME_H

#include "models/net.h"

typedef struct peer_ort peer_ort;

/* Loads the library and opens the model for one thread; `in` are the inputs of every run, which must
 * outlive the handle. Errors: NOT_FOUND (no such library), UNSUPPORTED (what ONNX Runtime says). */
MT_MUST_USE mt_status peer_ort_open(peer_ort **out, const char *library, const char *model,
                                    const mt_tensor *in, int n_in, mt_err *err);
void peer_ort_close(peer_ort **ort);
/* One run. first, when not NULL, points at output 0 until the next run. */
MT_MUST_USE mt_status peer_ort_run(peer_ort *ort, const float **first, mt_err *err);
/* "1.30.0" */
const char *peer_ort_version(const peer_ort *ort);

#endif
