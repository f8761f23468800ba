// rooms: codec base
/* JPEG 2000: one byte of choices, then a codestream or JP2 file; the size is looked up in its SIZ
 * marker. */
#include <stdlib.h>
#include <string.h>
#include "codec/codec.h"

enum { SIDE = 128 };

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static mt_decoder *d;
    static uint8_t rgb[3 * SIDE * SIDE];
    if (size < 2 || (!d && mt_decoder_new(&d, NULL) != MT_OK)) return 0;
    uint32_t w = 16, h = 16, comps = 3;
    for (size_t i = 1; i + 42 < size; i++)
        if (data[i] == 0xff && data[i + 1] == 0x51) { /* SIZ */
            w = be32(data + i + 6);
            h = be32(data + i + 10);
            comps = data[i + 39];
            break;
        }
    if (w < 1 || h < 1 || w > SIDE || h > SIDE) return 0;
    const bool grey = comps == 1;
    const mt_coding c = {.codec = MT_CODEC_JP2K,
                         .samples = grey ? 1 : 3,
                         .predictor = 1,
                         .colour = grey          ? MT_COLOUR_GREY
                                   : data[0] & 1 ? MT_COLOUR_RGB
                                                 : MT_COLOUR_YCBCR};
    const mt_pixels out = {rgb, 3 * SIDE, (int32_t)w, (int32_t)h, 1 << (data[0] >> 1 & 3), NULL};
    mt_err err = MT_ERR_INIT;
    if (mt_decoder_decode(d, &c, data + 1, size - 1, &out, &err) != err.code) abort();
    return 0;
}
