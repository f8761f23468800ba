/* Attention, made by a pass from MatMul, Softmax and MatMul. */
#include "models/ops/op.h"

MT_RUN(mt_run_attention)
{
    const mt_attention_params *p = c->node->params;
    const float *q = c->in[0]->data, *k = c->in[1]->data, *v = c->in[2]->data;
    const float *mask[2] = {NULL, NULL};
    for (int i = 0; i < 2; i++)
        if (c->node->n_in > 3 + i) mask[i] = c->in[3 + i]->data;
    for (int64_t h = 0; h < p->heads; h++)
        mt_attn_run(c->k, &p->a, q + p->q[h], k + p->k[h], v + p->v[h],
                    mask[0] ? mask[0] + p->mask[0][h] : NULL,
                    mask[1] ? mask[1] + p->mask[1][h] : NULL, (float *)c->out[0]->data + p->o[h],
                    c->scratch);
    return MT_OK;
}
