/* Antialiased resize of a picture whose samples lie in planes, as a JPEG decoder has them before it
 * makes colours: luma at its size, chroma at half of it, and RGB only for the pixels that come out.
 *
 * The weights are those of u8_resample. A sample that several pixels share weighs what the filter
 * gives to these pixels, after the decoder's own way of spreading it over them: so the result is what
 * decoding to RGB and resizing gives, but for roundings (fewer here) and for colours that RGB cannot
 * hold, which are clipped after the filter here and before it there. Vertical pass, then horizontal,
 * with six fractional bits between them; integer arithmetic, the same bytes on every instruction set.
 */
#ifndef MT_KERNELS_U8_PLANES_H
#define MT_KERNELS_U8_PLANES_H

#include "kernels/u8_resample.h"

/* Where the samples of a plane stand along one axis. */
typedef struct mt_plane_grid {
    int32_t native; /* pixels of a native tile, a multiple of step; nothing is spread past its ends */
    int step;       /* pixels that a sample stands for: 1, 2, 4, 8, 16 */
    bool smooth;    /* every two pixels share a sample (before any reducing), and a pixel is three
                       quarters of its own and a quarter of the nearer one beside, as libjpeg spreads
                       them; else its own alone */
    bool mean;      /* samples are means of their pixels, from a decoder that reduces: weights are then
                       corrected to have the filter's own centre and width */
} mt_plane_grid;

/* What is cut out, in pixels from the first one of native tile 0. */
typedef struct mt_plane_box {
    int32_t a, b; /* whole pixels [a, b) that hold the box */
    int32_t end;  /* [end, b) lies outside of the picture and is white */
    float f0, f1; /* the box, counted from a; no pixel outside [a, b) is seen */
} mt_plane_box;

/* The samples [*first, return) that the box is made of; none when it lies outside. */
int32_t mt_plane_samples(int32_t *first, const mt_plane_grid *grid, const mt_plane_box *box);

/* Weights of one axis of one plane, immutable. Errors: ARG, NO_MEMORY, LIMIT. */
typedef struct mt_plane_axis mt_plane_axis;
MT_MUST_USE mt_status mt_plane_axis_new(mt_plane_axis **out, const mt_plane_grid *grid,
                                        const mt_plane_box *box, int32_t n_out, mt_filter filter,
                                        mt_err *err);
void mt_plane_axis_free(mt_plane_axis **axis); /* NULL and pointer to NULL are accepted */

typedef struct mt_plane {
    const uint8_t *px; /* the first sample of both axes */
    size_t stride;
    const mt_plane_axis *x, *y;
} mt_plane;

typedef enum mt_plane_kind { MT_PLANES_GREY = 1, MT_PLANES_RGB, MT_PLANES_YCBCR } mt_plane_kind;

/* Working memory of a call: a few rows. Any alignment. */
size_t mt_planes_scratch_bytes(const mt_plane planes[3], mt_plane_kind kind);

/* One plane (grey) or three to rgb: n_out rows (of y) of n_out pixels (of x). Reads the box's samples
 * alone, writes 3 n_out bytes of each row. rgb, planes and scratch do not overlap. */
void mt_u8_resample_planes(uint8_t *rgb, size_t stride, const mt_plane planes[3],
                           mt_plane_kind kind, void *scratch);

#endif
