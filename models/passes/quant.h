/* What the two files of the quantising pass share. */
#ifndef MT_MODELS_PASSES_QUANT_H
#define MT_MODELS_PASSES_QUANT_H

#include "models/ops/quant8.h"

typedef struct mt_q8_grid {
    float scale;
    int zero; /* of unsigned bytes */
} mt_q8_grid;

/* An 8-bit image that stands for a value. */
typedef struct mt_q8_rep {
    int image; /* value number + 1; 0: none */
    int value; /* the float value it was made as */
    int c, h, w;
    mt_q8_grid grid;
    mt_node *maker;
    const uint8_t *table; /* made from image `from` by this table: one table can follow another */
    int from;
    mt_q8_grid from_grid;
} mt_q8_rep;

typedef struct mt_q8 {
    mt_graph *g;
    int n_values;         /* that existed before the pass */
    int *first, *readers; /* readers of value v: readers[first[v] .. first[v + 1]] */
    mt_q8_rep *rep;       /* by value */
    bool *exact;          /* the value equals its image; else it is only ever read on its grid */
    mt_node **order;      /* the new node list */
    int n, cap;
    long *left;           /* readers that may still be looked at: no file decides that for long */
} mt_q8;

/* Where a result goes. */
typedef struct mt_q8_end_of {
    int value; /* the last one before it is quantised */
    mt_q8_grid grid;
    int lo, hi;
    mt_act act; /* what lo and hi do not say */
    float act_a, act_b;
} mt_q8_end_of;

MT_MUST_USE mt_status mt_q8_node(mt_node **out, mt_q8 *p, const char *op, const mt_node *like,
                                 int n_in, size_t params, mt_err *err);
MT_MUST_USE mt_status mt_q8_image(mt_q8_rep *out, mt_q8 *p, mt_node *m, int64_t n, int c, int h,
                                  int w, mt_q8_grid grid, mt_err *err);
MT_MUST_USE mt_status mt_q8_need(mt_q8 *p, int v, mt_q8_rep *out, bool *found, mt_err *err);
bool mt_q8_end(const mt_q8 *p, const mt_node *n, mt_q8_end_of *e);
bool mt_q8_zero_pad(const mt_q8 *p, const mt_node *n);
int mt_q8_byte(float x, mt_q8_grid g); /* QuantizeLinear of one number */

/* Puts a step on images beside node n if there is one that does the same: r is the image of value
 * *value, else r stays empty. */
MT_MUST_USE mt_status mt_q8_match(mt_q8 *p, mt_node *n, mt_q8_rep *r, int *value, mt_err *err);
/* Dense layers: quant_conv.c. */
MT_MUST_USE mt_status mt_q8_match_conv(mt_q8 *p, mt_node *n, mt_q8_rep *r, int *value, mt_err *err);
/* An Add one of whose operands is a convolution's image that nobody else reads: the convolution
 * adds. *done tells. */
MT_MUST_USE mt_status mt_q8_add_to_conv(mt_q8 *p, mt_node *add, const mt_q8_rep in[2],
                                        const mt_q8_end_of *e, mt_q8_rep *r, bool *done,
                                        mt_err *err);

#endif
