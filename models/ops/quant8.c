/* Running the steps on 8-bit images. */
#include "models/ops/quant8.h"

static size_t places(const mt_tensor *t)
{
    return (size_t)(t->dims[1] * t->dims[2]);
}

static size_t image_bytes(const mt_tensor *t)
{
    return places(t) * (size_t)t->dims[3];
}

MT_RUN(mt_run_q8_quantise)
{
    const mt_q8_step *p = c->node->params;
    const mt_tensor *x = c->in[0];
    mt_tensor *o = c->out[0];
    size_t per = (size_t)p->c * places(o);
    for (int64_t i = 0; i < o->dims[0]; i++)
        mt_i8_quantise(c->k, (uint8_t *)o->data + (size_t)i * image_bytes(o),
                       (const float *)x->data + (size_t)i * per, p->c, places(o), p->q.out_scale,
                       p->q.out_zero);
    return MT_OK;
}

MT_RUN(mt_run_q8_dequantise)
{
    const mt_q8_step *p = c->node->params;
    const mt_tensor *x = c->in[0];
    size_t per = (size_t)p->c * places(x);
    for (int64_t i = 0; i < x->dims[0]; i++)
        mt_i8_dequantise(c->k, (float *)c->out[0]->data + (size_t)i * per,
                         (const uint8_t *)x->data + (size_t)i * image_bytes(x), p->c, places(x),
                         p->q.x_scale, p->q.x_zero);
    return MT_OK;
}

/* Floats [places][pitch] of one image to [c][places]. */
static void to_planes(float *dst, const float *src, int channels, int pitch, size_t n)
{
    for (int ch = 0; ch < channels; ch++)
        for (size_t i = 0; i < n; i++)
            *dst++ = src[i * (size_t)pitch + (size_t)ch];
}

MT_RUN(mt_run_q8_conv)
{
    const mt_q8_conv *p = c->node->params;
    const mt_i8_conv *conv = c->node->i8;
    const uint8_t *res = c->node->n_in > 1 ? c->in[1]->data : NULL;
    size_t n = (size_t)c->in[0]->dims[0];
    if (!p->d.out_float) {
        mt_i8_conv_run(conv, n, c->in[0]->data, res, c->out[0]->data, c->scratch);
        return MT_OK;
    }
    size_t hw = (size_t)p->d.oh * (size_t)p->d.ow, pitch = (size_t)mt_i8_pitch(p->d.cout);
    float *sums = c->scratch;
    mt_i8_conv_run(conv, n, c->in[0]->data, NULL, sums, sums + n * hw * pitch);
    for (size_t i = 0; i < n; i++)
        to_planes((float *)c->out[0]->data + i * (size_t)p->d.cout * hw, sums + i * hw * pitch,
                  p->d.cout, (int)pitch, hw);
    return MT_OK;
}

MT_RUN(mt_run_q8_pair)
{
    const mt_q8_step *p = c->node->params;
    const mt_tensor *x = c->in[0], *y = c->in[1];
    uint8_t *o = c->out[0]->data;
    bool mul = c->node->op->name[1] == 'M';
    size_t n = (size_t)x->dims[0] * image_bytes(x);
    if (!mul)
        mt_i8_add(c->k, &p->q, o, x->data, y->data, n);
    else if (image_bytes(y) == image_bytes(x))
        mt_i8_mul(c->k, &p->q, o, x->data, y->data, n);
    else
        for (int64_t i = 0; i < x->dims[0]; i++)
            mt_i8_mul_channels(c->k, &p->q, o + (size_t)i * image_bytes(x),
                               (const uint8_t *)x->data + (size_t)i * image_bytes(x),
                               (const uint8_t *)y->data + (size_t)i * image_bytes(y),
                               (int)x->dims[3], places(x));
    return MT_OK;
}

MT_RUN(mt_run_q8_pool)
{
    const mt_q8_step *p = c->node->params;
    const mt_tensor *x = c->in[0];
    mt_tensor *o = c->out[0];
    bool max = c->node->op->name[1] == 'M';
    for (int64_t i = 0; i < x->dims[0]; i++) {
        const uint8_t *in = (const uint8_t *)x->data + (size_t)i * image_bytes(x);
        uint8_t *out = (uint8_t *)o->data + (size_t)i * image_bytes(o);
        if (max)
            mt_i8_max_pool(c->k, &p->pool, in, out);
        else
            mt_i8_avg_pool(c->k, &p->pool, &p->q, in, out);
    }
    return MT_OK;
}

MT_RUN(mt_run_q8_table)
{
    const mt_q8_step *p = c->node->params;
    const mt_tensor *x = c->in[0];
    mt_i8_table(c->k, p->table, c->out[0]->data, x->data, (size_t)x->dims[0] * image_bytes(x));
    return MT_OK;
}

MT_RUN(mt_run_q8_concat)
{
    const mt_q8_step *p = c->node->params;
    mt_tensor *o = c->out[0];
    size_t n = (size_t)o->dims[0] * places(o), pitch = (size_t)o->dims[3];
    uint8_t *to = o->data;
    for (int j = 0; j < c->node->n_in; j++) {
        const uint8_t *x = c->in[j]->data, *table = p->tables[j];
        size_t from = (size_t)c->in[j]->dims[3], count = (size_t)p->channels[j];
        for (size_t i = 0; i < n; i++) {
            uint8_t *d = to + i * pitch;
            const uint8_t *s = x + i * from;
            if (!table)
                memcpy(d, s, count);
            else
                mt_i8_table(c->k, table, d, s, count);
        }
        to += count;
    }
    return MT_OK;
}

/* Rows and columns of zero points around every picture; pool.pt and pool.pl say how many before. */
MT_RUN(mt_run_q8_pad)
{
    const mt_q8_step *p = c->node->params;
    const mt_tensor *x = c->in[0];
    mt_tensor *o = c->out[0];
    size_t pitch = (size_t)x->dims[3], row = (size_t)x->dims[2] * pitch,
           wide = (size_t)o->dims[2] * pitch;
    memset(o->data, p->q.out_zero, (size_t)o->dims[0] * image_bytes(o));
    for (int64_t i = 0; i < x->dims[0]; i++)
        for (int64_t y = 0; y < x->dims[1]; y++)
            memcpy((uint8_t *)o->data + (size_t)i * image_bytes(o) +
                       (size_t)(y + p->pool.pt) * wide + (size_t)p->pool.pl * pitch,
                   (const uint8_t *)x->data + (size_t)i * image_bytes(x) + (size_t)y * row, row);
    return MT_OK;
}
