/* Samples: crops that are put together from a codec's samples and become RGB when they are resampled.
 *
 * A crop's buffer holds its planes one after the other, each with just the samples that the box is
 * made of. */
#ifndef MT_TILES_SAMPLES_H
#define MT_TILES_SAMPLES_H

#include "codec/codec.h"
#include "tiles/fetch/walk.h"

/* Where the planes of a crop's buffer begin. */
typedef struct samples_slot {
    size_t at[3], stride[3], bytes;
} samples_slot;

samples_slot samples_slot_of(const walk *w);

/* What of a native tile's samples goes to one crop: rows [y0, y1) of the native tile, samples
 * [skip, skip + n). */
typedef struct samples_part {
    uint8_t *to[3]; /* row y0 goes here */
    int32_t y0[3], y1[3], skip[3], n[3];
} samples_part;

samples_part samples_part_of(const walk *w, const samples_slot *slot, uint8_t *px, uint32_t tile,
                             const int32_t t[2]);

/* Where the samples of a native tile go. */
typedef struct samples_spread {
    const way_samples *way;
    const samples_slot *slot;
    const samples_part *parts;
    size_t n;
    bool other; /* came out: samples stood otherwise, nothing was taken */
} samples_spread;

/* A sink's two ways in; ctx is a samples_spread. RGB becomes samples again, a sample the mean of its
 * pixels: white stays white. A sample that rows before have made, in part of its pixels, stays. */
void samples_take(void *ctx, const mt_sample_rows *rows);
void samples_take_rgb(void *ctx, const uint8_t *rgb, size_t stride, int32_t y, int32_t n);
void samples_whiten(const samples_spread *s);

/* A worker's weights, kept by where boxes lie in their native tiles. */
typedef struct samples_axes samples_axes;
MT_MUST_USE mt_status samples_axes_new(samples_axes **out, mt_err *err);
void samples_axes_free(samples_axes **axes);

/* A whole crop to out_px x out_px RGB. */
MT_MUST_USE mt_status samples_resample(samples_axes *axes, const walk *w, const samples_slot *slot,
                                       const uint8_t *px, uint32_t tile, mt_filter filter,
                                       uint8_t *rgb, mt_err *err);

#endif
