/* ONNX Runtime as a second engine: a shared library of the user's own, loaded when it is asked for.
 *
 * Nothing of it is needed to build or to run Microtome. Its C API is a table of functions that only
 * grows at its end; what is used here stands in the part that every release since 1.0 has. The
 * library's version and digest are part of every result it has a share in. */
#ifndef MT_MODELS_ONNXRUNTIME_H
#define MT_MODELS_ONNXRUNTIME_H

#include "models/net.h"

typedef struct mt_ort mt_ort;                 /* the library, loaded */
typedef struct mt_ort_session mt_ort_session; /* a network in it */
typedef struct mt_ort_call mt_ort_call;       /* the outputs of a worker's last run */

/* Loads the library at `path` (libonnxruntime.so of any version from 1.0). Errors: NOT_FOUND (no such
 * file), UNSUPPORTED (not a library this machine can load, or no ONNX Runtime). *out is the caller's.
 * Loading runs code of the library: the path is the user's word, never taken from a model or slide.
 * The code stays in the process after mt_ort_close, as it cannot be taken out safely. */
MT_MUST_USE mt_status mt_ort_open(mt_ort **out, const char *path, mt_err *err);
void mt_ort_close(mt_ort **ort);
const char *mt_ort_version(const mt_ort *ort); /* as it calls itself, "1.30.0" */
const char *mt_ort_digest(const mt_ort *ort);  /* SHA-256 of the file, 64 hex digits */

/* A network from the bytes of an ONNX file, optimised as far as the library does. threads: of one
 * run (1 where workers share the cores). name is used in errors only. The session may be run by any
 * number of threads at once. ort must outlive it. */
MT_MUST_USE mt_status mt_ort_session_new(mt_ort_session **out, const mt_ort *ort, const void *onnx,
                                         size_t n_bytes, int threads, const char *name,
                                         mt_err *err);
/* The same from a file, which external data files lie beside. */
MT_MUST_USE mt_status mt_ort_session_open(mt_ort_session **out, const mt_ort *ort, const char *path,
                                          int threads, const char *name, mt_err *err);
void mt_ort_session_free(mt_ort_session **session);
int mt_ort_session_n_inputs(const mt_ort_session *session);
int mt_ort_session_n_outputs(const mt_ort_session *session);

MT_MUST_USE mt_status mt_ort_call_new(mt_ort_call **out, const mt_ort_session *session,
                                      mt_err *err);
void mt_ort_call_free(mt_ort_call **call);

/* Runs once. inputs: n_inputs tensors with data; outputs: n_outputs are set, their data belongs to
 * the call until its next run. UNSUPPORTED for an output that is no tensor of a type Microtome
 * holds, ARG with the library's own words for whatever it refuses. */
MT_MUST_USE mt_status mt_ort_run(mt_ort_call *call, const mt_tensor *inputs, mt_tensor *outputs,
                                 mt_err *err);

#endif
