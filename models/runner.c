#include "models/runner.h"

#include <string.h>
#include "models/graph.h"
#include "models/model.h"
#include "models/onnxruntime.h"

enum { MAX_OUTPUTS = 32 };

struct mt_runner {
    const mt_model *model;
    mt_net_state *state; /* this engine */
    mt_ort_call *call;   /* or ONNX Runtime */
};

mt_status mt_runner_shapes(const mt_tensor **in, const mt_tensor **out, const mt_model *model,
                           mt_err *err)
{
    const mt_net *net;
    if (model->session) {
        *in = &model->ort_in;
        *out = &model->ort_out;
        return MT_OK;
    }
    MT_TRY(mt_model_net(&net, model, err));
    *in = mt_net_input(net, 0);
    *out = mt_net_output(net, 0);
    return MT_OK;
}

mt_status mt_runner_bytes(uint64_t *out, const mt_model *model, mt_err *err)
{
    const mt_net *net;
    if (model->session) {
        *out = mt_tensor_bytes(&model->ort_in) + mt_tensor_bytes(&model->ort_out);
        return MT_OK;
    }
    MT_TRY(mt_model_net(&net, model, err));
    *out = mt_net_state_bytes(net);
    return MT_OK;
}

static mt_status begin(mt_runner *r, mt_err *err)
{
    const mt_net *net;
    if (r->model->session) return mt_ort_call_new(&r->call, r->model->session, err);
    MT_TRY(mt_model_net(&net, r->model, err));
    if (mt_net_n_inputs(net) != 1 || mt_net_n_outputs(net) > MAX_OUTPUTS)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "model %s: %d inputs and %d outputs",
                          r->model->card.name, mt_net_n_inputs(net), mt_net_n_outputs(net));
    return mt_net_state_new(&r->state, net, err);
}

mt_status mt_runner_new(mt_runner **out, const mt_model *model, mt_err *err)
{
    *out = NULL;
    MT_AUTO(mt_runner_free) mt_runner *r = NULL;
    MT_TRY(mt_alloc(&r, 1, sizeof *r, sizeof *r, "network state", err));
    r->model = model;
    MT_TRY(begin(r, err));
    *out = mt_steal(r);
    return MT_OK;
}

void mt_runner_free(mt_runner **runner)
{
    mt_runner *r = *runner;
    if (!r) return;
    mt_net_state_free(&r->state);
    mt_ort_call_free(&r->call);
    free(r);
    *runner = NULL;
}

static mt_status run_elsewhere(mt_runner *r, const float *input, mt_tensor *out, mt_err *err)
{
    mt_tensor in = r->model->ort_in;
    char a[128], b[128];
    in.data = (void *)(uintptr_t)input; /* it reads, though its call takes no const */
    MT_TRY(mt_ort_run(r->call, &in, out, err));
    if (mt_tensor_alike(&out[0], &r->model->ort_out)) return MT_OK;
    return mt_err_set(err, MT_ERR_ARG, "model %s: its output was %s and is %s", r->model->card.name,
                      mt_dims_text(a, sizeof a, &r->model->ort_out),
                      mt_dims_text(b, sizeof b, &out[0]));
}

mt_status mt_runner_run(mt_runner *r, const float *input, const float **output, mt_err *err)
{
    mt_tensor out[MAX_OUTPUTS] = {0};
    if (r->call) {
        MT_TRY(run_elsewhere(r, input, out, err));
    } else {
        mt_tensor in = *mt_net_input(r->model->net, 0);
        in.data = (void *)(uintptr_t)input;
        MT_TRY(mt_net_run(r->model->net, r->state, &in, out, err));
    }
    *output = out[0].data;
    return MT_OK;
}
