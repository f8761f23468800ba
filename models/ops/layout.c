/* Reorders between row-major and channel-blocked tensors; put in by the layout pass. */
#include "models/ops/op.h"

MT_RUN(mt_run_to_blocked)
{
    const mt_tensor *x = c->in[0];
    size_t hw = mt_plane(x), in = (size_t)x->dims[1] * hw, out = mt_image_blocked(c->k, x);
    for (int64_t i = 0; i < x->dims[0]; i++)
        mt_to_blocked(c->k, (float *)c->out[0]->data + (size_t)i * out,
                      (const float *)x->data + (size_t)i * in, (int)x->dims[1], hw);
    return MT_OK;
}

MT_RUN(mt_run_from_blocked)
{
    const mt_tensor *x = c->in[0];
    size_t hw = mt_plane(x), out = (size_t)x->dims[1] * hw, in = mt_image_blocked(c->k, x);
    for (int64_t i = 0; i < x->dims[0]; i++)
        mt_from_blocked(c->k, (float *)c->out[0]->data + (size_t)i * out,
                        (const float *)x->data + (size_t)i * in, (int)x->dims[1], hw);
    return MT_OK;
}
