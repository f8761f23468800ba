/* The inside of an opened model: for models/ alone. */
#ifndef MT_MODELS_MODEL_H
#define MT_MODELS_MODEL_H

#include "microtome/model.h"
#include "models/net.h"
#include "models/onnxruntime.h"

struct mt_model {
    mt_card card;
    char digest[65];
    mt_engine_info engine;
    mt_net *net; /* NULL for tasks that are not run yet, and when ONNX Runtime runs it */
    mt_ort *ort;
    mt_ort_session *session;
    mt_tensor ort_in, ort_out; /* shapes for one picture */
};

#endif
