/* 8-bit kernels: networks whose tensors are scaled unsigned bytes.
 *
 * An 8-bit image of C channels is stored place by place, [H][W][Cp] bytes, Cp = mt_i8_pitch(C);
 * a batch is n of them in a row. A byte q stands for (q - zero) * scale. Signed tensors are held
 * with 128 added to every byte and to the zero point, so there is one kind. The bytes past C hold
 * anything; nothing that a caller sees depends on them.
 *
 * Sums of products are exact in 32 bits. What turns a sum into a byte is, in this order: a float
 * multiply-add that rounds once, the activation, rounding half to even, the zero point, and the
 * clamp to lo..hi. Every instruction set does these same steps, so the bytes are the same on all of
 * them. Objects are immutable and shared by threads; runs take their memory from `scratch`. */
#ifndef MT_KERNELS_I8_H
#define MT_KERNELS_I8_H

#include <stdint.h>
#include "kernels/kernels.h"

/* Bytes between places. Up to four channels lie in one dword (pictures). */
static inline int mt_i8_pitch(int c)
{
    return c <= 4 ? 4 : (c + 15) & ~15;
}

/* ---- convolution ---- */

typedef struct mt_i8_conv_desc {
    int cin, cout, groups;
    int h, w, oh, ow;
    int kh, kw, sh, sw, dh, dw;
    int pt, pl;
    int in_zero;   /* of the input's bytes; padding has this value */
    int out_float; /* 1: floats come out, [oh][ow][mt_i8_pitch(cout)], before any rounding */
    float out_scale;
    int out_zero, lo, hi; /* of the output's bytes; lo <= hi within 0..255 */
    mt_act act;           /* between sum and output scale; MT_ACT_NONE where lo, hi say it all */
    float act_a, act_b;
    /* 1: a second image is added. The sum is first brought to bytes of mid_scale, mid_zero, as the
     * graph says; no activation then besides the clamp. */
    int residual;
    float mid_scale, res_scale;
    int mid_zero, res_zero;
} mt_i8_conv_desc;

typedef struct mt_i8_conv mt_i8_conv;

/* Packs weights (OIHW, signed bytes around zero); scale[o]: what one unit of a sum of channel o is
 * worth; bias[o] in real units, or NULL. *out is the caller's. Errors: ARG (a description that
 * makes no sense), UNSUPPORTED (sums or results that could leave 32 bits: such a layer is to be
 * computed in floats), LIMIT, NO_MEMORY. */
MT_MUST_USE mt_status mt_i8_conv_new(mt_i8_conv **out, const mt_kernels *k,
                                     const mt_i8_conv_desc *d, const int8_t *weights_oihw,
                                     const float *scale, const float *bias, mt_err *err);
/* Whether mt_i8_conv_new would take it: the same arguments, the same errors, nothing made. */
MT_MUST_USE mt_status mt_i8_conv_check(const mt_i8_conv_desc *d, const int8_t *weights_oihw,
                                       const float *scale, const float *bias, mt_err *err);
void mt_i8_conv_free(mt_i8_conv **conv); /* accepts NULL and nulls the handle */
size_t mt_i8_conv_scratch_bytes(const mt_i8_conv *conv);
size_t mt_i8_conv_weight_bytes(const mt_i8_conv *conv);
/* "i8 plain", "i8 3x3", "i8 1x1", "i8 stem7x7", "i8 depthwise3x3", ... */
const char *mt_i8_conv_variant(const mt_i8_conv *conv);

/* n images. out: bytes, or floats when d.out_float; never aliases in or scratch. res: NULL unless
 * d.residual; may be out itself. scratch: 64-byte aligned. */
void mt_i8_conv_run(const mt_i8_conv *conv, size_t n, const uint8_t *in, const uint8_t *res,
                    void *out, void *scratch);

/* ---- one or two images in, one out ---- */

/* Bytes of `places` places; dst may be x or y. (x - x_zero)*x_scale + (y - y_zero)*y_scale. */
typedef struct mt_i8_pair {
    float x_scale, y_scale, out_scale; /* multiply: only their product and quotient matter */
    int x_zero, y_zero, out_zero, lo, hi;
} mt_i8_pair;
void mt_i8_add(const mt_kernels *k, const mt_i8_pair *d, uint8_t *dst, const uint8_t *x,
               const uint8_t *y, size_t n_bytes);
void mt_i8_mul(const mt_kernels *k, const mt_i8_pair *d, uint8_t *dst, const uint8_t *x,
               const uint8_t *y, size_t n_bytes);
/* x * gate: the gate is one place of the same pitch. */
void mt_i8_mul_channels(const mt_kernels *k, const mt_i8_pair *d, uint8_t *dst, const uint8_t *x,
                        const uint8_t *gate, int pitch, size_t places);

/* dst[i] = table[x[i]], 256 entries; dst may be x. */
void mt_i8_table(const mt_kernels *k, const uint8_t *table, uint8_t *dst, const uint8_t *x,
                 size_t n_bytes);

/* Pools of one image; mt_pool_desc's c counts channels. Maximum: places outside take no part, and
 * a window wholly outside gives 0. */
void mt_i8_max_pool(const mt_kernels *k, const mt_pool_desc *d, const uint8_t *in, uint8_t *out);
/* Average; padding counts as zero where count_include_pad says that it counts. */
void mt_i8_avg_pool(const mt_kernels *k, const mt_pool_desc *d, const mt_i8_pair *q,
                    const uint8_t *in, uint8_t *out);

/* Floats [c][places] of one image to bytes and back. scale, zero: of the bytes. */
void mt_i8_quantise(const mt_kernels *k, uint8_t *dst, const float *src_chw, int c, size_t places,
                    float scale, int zero);
void mt_i8_dequantise(const mt_kernels *k, float *dst_chw, const uint8_t *src, int c, size_t places,
                      float scale, int zero);

#endif
