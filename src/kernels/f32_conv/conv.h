/* A convolution object and the algorithms that can serve it. */
#ifndef MT_KERNELS_F32_CONV_CONV_H
#define MT_KERNELS_F32_CONV_CONV_H

#include "base/mem.h"
#include "kernels/table.h"

#define MT_CONV_MAX_BYTES ((size_t)4 << 30) /* packed weights of one layer */

/* Vector multiply-adds that bringing a layer's weights costs, in vectors of b lanes. In a large
 * network they are cold when the layer starts; those of a layer below a megabyte are likely those
 * of a small network, which stays near as a whole. */
static inline double mt_conv_weight_cost(const mt_kernels *k, double vectors)
{
    double bytes = vectors * k->block * (double)sizeof(float);
    return vectors * (bytes <= 1 << 20 ? 2.0 : 8.0);
}

typedef struct mt_conv_algo {
    const char *name;
    /* Whether table and shape are something this algorithm can do at all. */
    bool (*fits)(const mt_kernels *k, const mt_conv_desc *d);
    /* Estimated vector multiply-adds, of all costs taken together; the smallest wins. Shape and
     * table only. */
    double (*cost)(const mt_kernels *k, const mt_conv_desc *d);
    mt_status (*pack)(mt_conv *c, const float *w, const float *bias, mt_err *err);
    void (*run)(const mt_conv *c, const float *in, const float *res, float *out, void *scratch);
} mt_conv_algo;

struct mt_conv {
    mt_conv_desc d;
    const mt_kernels *k;
    const mt_conv_algo *algo;
    char variant[32];
    float *w;    /* packed as the algorithm likes it */
    float *bias; /* every lane of every output block */
    size_t w_floats, scratch_bytes;
    float lo, hi;  /* the clip that the last write applies */
    bool late_act; /* an activation that is no clip: a pass over each finished tile */
    bool late_pad; /* act(0) != 0 and cout is no multiple of b: lanes past cout are cleared */
    /* direct: groups of output blocks, each with the input blocks it needs */
    int n_panels;
    struct mt_conv_panel *panels;
    int n_taps, len; /* of the register tile's inner loops */
    int chunk;       /* input blocks whose weights stay in the cache */
    /* winograd */
    int tiles_y, tiles_x, tile_group;
};

typedef struct mt_conv_panel {
    int ob, q;    /* first output block, count */
    int ib0, ib1; /* input blocks that its groups read */
    size_t w_at;  /* floats into w */
} mt_conv_panel;

extern const mt_conv_algo mt_conv_algo_plain, mt_conv_algo_direct, mt_conv_algo_wino2,
    mt_conv_algo_wino4, mt_conv_algo_depthwise;

/* 64-byte aligned weights, zeroed; raw: for who writes every one. */
MT_MUST_USE mt_status mt_conv_alloc(float **out, size_t floats, mt_err *err);
MT_MUST_USE mt_status mt_conv_alloc_raw(float **out, size_t floats, mt_err *err);
/* Lanes of the last input block that hold no channel: what a tile leaves out. */
static inline int mt_conv_spare(const mt_conv *c)
{
    const mt_conv_desc *d = &c->d;
    return d->in_plain || d->groups > 1 ? 0 : mt_blocks(c->k, d->cin) * c->k->block - d->cin;
}
/* The activation that no clip expresses, on n_places finished places of out (b floats each) of the
 * output block ob. */
void mt_conv_finish(const mt_conv *c, float *out, size_t n_places, int ob);

#endif
