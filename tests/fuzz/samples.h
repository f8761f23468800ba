/* Codecs that give back samples: choices, width, height, then the stream. What a decoder that has
 * decoded before gives must be what a fresh one gives. */
#ifndef MT_FUZZ_SAMPLES_H
#define MT_FUZZ_SAMPLES_H

#include <stdlib.h>
#include <string.h>
#include "codec/codec.h"

enum { GREY = 1, PREDICTOR = 2, WIDE = 4, BIG = 8, PLANAR = 16, TURNED = 32, STORED = 64, ALPHA = 128 };

static inline int fuzz_samples(mt_codec_id codec, const uint8_t *data, size_t size)
{
    static mt_decoder *used;
    static uint8_t a[3 * 256 * 256], b[3 * 256 * 256];
    mt_decoder *fresh = NULL;
    if (size < 3 || (!used && mt_decoder_new(&used, NULL) != MT_OK)) return 0;
    if (mt_decoder_new(&fresh, NULL) != MT_OK) return 0;
    const unsigned f = data[0];
    const bool speaks = mt_codec_speaks(codec);
    const mt_coding c = {.codec = codec, .colour = f & GREY ? MT_COLOUR_GREY : MT_COLOUR_RGB,
                         .samples = (f & GREY ? 1 : 3) + (f & ALPHA && !speaks ? 1 : 0),
                         .alpha = f & ALPHA ? MT_ALPHA_STRAIGHT : MT_ALPHA_IGNORED,
                         .predictor = f & PREDICTOR ? 2 : 1, .bits = f & WIDE ? 16 : 8,
                         .stored = f & STORED ? (f & WIDE ? 12 : 7) : 0, .big_endian = f & BIG,
                         .planar = f & PLANAR, .lsb_first = f & TURNED};
    mt_pixels out = {a, 3 * 256, data[1] + 1, data[2] + 1, 1, NULL};
    mt_err e1 = MT_ERR_INIT, e2 = MT_ERR_INIT;
    const mt_status s1 = mt_decoder_decode(used, &c, data + 3, size - 3, &out, &e1);
    out.rgb = b;
    const mt_status s2 = mt_decoder_decode(fresh, &c, data + 3, size - 3, &out, &e2);
    mt_decoder_free(&fresh);
    if (s1 != e1.code || s1 != s2) abort();
    for (int32_t y = 0; s1 == MT_OK && y < out.h; y++)
        if (memcmp(a + 768 * y, b + 768 * y, 3 * (size_t)out.w)) abort();
    char words[48], warning[160];
    mt_codec_describe(words, warning, &c, data + 3, size - 3);
    if (strlen(words) >= sizeof words || strlen(warning) >= sizeof warning) abort();
    return 0;
}

#endif
