/* The 8-bit convolution object. */
#ifndef MT_KERNELS_I8_CONV_CONV_H
#define MT_KERNELS_I8_CONV_CONV_H

#include "base/mem.h"
#include "kernels/i8.h"
#include "kernels/table.h"

#define MT_I8_MAX_BYTES ((size_t)2 << 30) /* packed weights of one layer */

typedef struct mt_i8_panel {
    int ob, q;   /* first block of 16 output channels, count */
    int d0, len; /* first dword of a place that is read, count */
    size_t w_at; /* bytes into w */
} mt_i8_panel;

struct mt_i8_conv {
    mt_i8_conv_desc d;
    const mt_kernels *k;
    char variant[32];
    bool plain, depthwise, stem, shuffled;
    int in_pitch, out_pitch; /* out: bytes, or floats */
    uint8_t *w;              /* packed; the plain one: OIHW */
    size_t w_bytes, scratch_bytes;
    int32_t *start; /* by packed lane: what a sum starts from, -zero * sum of weights */
    float *mul, *add;
    mt_i8_post post;
    int n_taps, len, n_panels;
    mt_i8_panel *panels;
};

/* Depthwise layers: depthwise.c of i8_dwconv. */
bool mt_i8_dw_fits(const mt_kernels *k, const mt_i8_conv_desc *d);
MT_MUST_USE mt_status mt_i8_dw_pack(mt_i8_conv *c, const int8_t *w, mt_err *err);
void mt_i8_dw_run(const mt_i8_conv *c, const uint8_t *in, const uint8_t *res, void *out,
                  void *scratch);
MT_MUST_USE mt_status mt_i8_alloc(void *out_ptr, size_t bytes, mt_err *err); /* aligned, zeroed */
/* Channel of lane `lane` of a panel of q blocks: the order that 512-bit packs put right. */
int mt_i8_lane_channel(int q, int lane);

#endif
