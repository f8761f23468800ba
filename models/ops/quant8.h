/* Steps that work on 8-bit images: what the quantising pass puts in and ops/quant8.c runs. Their
 * values are tensors of bytes [N][H][W][pitch], pitch = mt_i8_pitch(C), zero points always those of
 * unsigned bytes. */
#ifndef MT_MODELS_OPS_QUANT8_H
#define MT_MODELS_OPS_QUANT8_H

#include "kernels/i8.h"
#include "models/ops/op.h"

/* params of QConv: what mt_i8_conv_new takes, until it has been made. */
typedef struct mt_q8_conv {
    mt_i8_conv_desc d;
    const int8_t *weights; /* OIHW */
    const float *scale, *bias;
} mt_q8_conv;

/* params of every other step. */
typedef struct mt_q8_step {
    mt_i8_pair q; /* x, y and output: scales, zero points, clamp */
    mt_pool_desc pool;
    int c;                  /* channels */
    const uint8_t *table;   /* QTable */
    const uint8_t **tables; /* QConcat: one an input, NULL: as it is */
    const int *channels;    /* of its inputs */
} mt_q8_step;

#endif
