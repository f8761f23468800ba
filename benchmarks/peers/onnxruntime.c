#include "onnxruntime.h"

#include "base/mem.h"
#include "models/onnxruntime.h"

enum { MAX_OUTPUTS = 32 };

struct peer_ort {
    mt_ort *lib;
    mt_ort_session *session;
    mt_ort_call *call;
    const mt_tensor *in;
};

mt_status peer_ort_open(peer_ort **out, const char *library, const char *model, const mt_tensor *in,
                        int n_in, mt_err *err)
{
    *out = NULL;
    MT_AUTO(peer_ort_close) peer_ort *p = NULL;
    MT_TRY(mt_alloc(&p, 1, sizeof *p, sizeof *p, "peer", err));
    MT_TRY(mt_ort_open(&p->lib, library, err));
    MT_TRY(mt_ort_session_open(&p->session, p->lib, model, 1, model, err));
    if (mt_ort_session_n_inputs(p->session) != n_in || mt_ort_session_n_outputs(p->session) > MAX_OUTPUTS)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "%.200s: ONNX Runtime sees %d inputs and %d outputs", model,
                          mt_ort_session_n_inputs(p->session), mt_ort_session_n_outputs(p->session));
    MT_TRY(mt_ort_call_new(&p->call, p->session, err));
    p->in = in;
    *out = mt_steal(p);
    return MT_OK;
}

void peer_ort_close(peer_ort **ort)
{
    if (!ort || !*ort) return;
    mt_ort_call_free(&(*ort)->call);
    mt_ort_session_free(&(*ort)->session);
    mt_ort_close(&(*ort)->lib);
    free(*ort);
    *ort = NULL;
}

mt_status peer_ort_run(peer_ort *ort, const float **first, mt_err *err)
{
    mt_tensor out[MAX_OUTPUTS] = {0};
    MT_TRY(mt_ort_run(ort->call, ort->in, out, err));
    if (first) *first = out[0].data;
    return MT_OK;
}

const char *peer_ort_version(const peer_ort *ort) { return mt_ort_version(ort->lib); }
