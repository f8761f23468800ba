/* Antialiased resize of RGB8, bit for bit what Pillow's Image.resize(size, filter, box) gives.
 *
 * Two passes, horizontal then vertical, with an 8-bit picture between them; coefficients are
 * computed in double, normalised, and rounded to 22 fractional bits, so every instruction set gives
 * the same bytes. A plan (mt_resample) is made once per geometry, is immutable, and serves any
 * number of threads. */
#ifndef MT_KERNELS_U8_RESAMPLE_H
#define MT_KERNELS_U8_RESAMPLE_H

#include "base/mem.h"

typedef enum mt_filter {
    MT_FILTER_BILINEAR = 0, /* triangle, widened by the scale when shrinking */
    MT_FILTER_BICUBIC = 1   /* a = -0.5, widened likewise */
} mt_filter;

typedef struct mt_resample mt_resample;

/* Plans a resize of the box (x0, y0, x1, y1) of a src_w x src_h picture to dst_w x dst_h. box NULL
 * is the whole picture; else 0 <= x0 < x1 <= src_w, likewise y (float, as Pillow holds it). Pixels
 * outside the box but inside the picture are seen by the filter, as in Pillow. Sides 1..65535. The
 * instruction set is taken now (mt_cpu_level). *out is the caller's (mt_resample_free). Errors:
 * ARG, NO_MEMORY, LIMIT. */
MT_MUST_USE mt_status mt_resample_new(mt_resample **out, int32_t src_w, int32_t src_h,
                                      const float *box, int32_t dst_w, int32_t dst_h,
                                      mt_filter filter, mt_err *err);
/* As above for a picture that was already reduced by averaging: a source pixel stands for the mean of
 * its square, so its weight is, for the most part, the filter's mean over that square, and the result
 * comes near to the filter on the picture before. Never a copy. */
MT_MUST_USE mt_status mt_resample_new_reduced(mt_resample **out, int32_t src_w, int32_t src_h,
                                              const float *box, int32_t dst_w, int32_t dst_h,
                                              mt_filter filter, mt_err *err);
void mt_resample_free(mt_resample **plan); /* NULL and pointer to NULL are accepted */

/* True when the plan changes nothing but the crop (same spacing, whole pixels): a copy would do. */
bool mt_resample_is_copy(const mt_resample *plan);

/* Working memory a call needs: a few rows, whatever the height. Any alignment. */
size_t mt_resample_scratch_bytes(const mt_resample *plan);

/* src: src_h rows of src_stride bytes (>= 3 src_w); dst: dst_h rows of dst_stride bytes (>= 3
 * dst_w). Reads no byte past row src_h - 1's last pixel, writes only the 3 dst_w bytes of each row.
 * src, dst and scratch do not overlap. */
void mt_u8_resample(const mt_resample *plan, const uint8_t *src, size_t src_stride, uint8_t *dst,
                    size_t dst_stride, void *scratch);

#endif
