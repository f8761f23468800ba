/* Inside the tiles room: what a stain map is, and the measure without a slide. */
#ifndef MT_TILES_STAIN_H
#define MT_TILES_STAIN_H

#include "kernels/u8_stain.h"
#include "microtome/stain.h"

struct mt_stain_map {
    mt_u8_stain_map map;
    int grey; /* all three channels are the same */
};

/* Measures n RGB pixels of tissue. Fills everything but tiles and mpp. */
MT_MUST_USE mt_status stain_of_pixels(mt_stain *out, const uint8_t *rgb, size_t n, mt_err *err);

#endif
