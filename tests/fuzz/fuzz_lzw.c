// rooms: codec base
/* TIFF LZW: flags, width, height, then the stream. */
#include <stdlib.h>
#include <string.h>
#include "codec/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static mt_decoder *d;
    static uint8_t rgb[3 * 256 * 256];
    if (size < 3 || (!d && mt_decoder_new(&d, NULL) != MT_OK)) return 0;
    const bool grey = data[0] & 1;
    const mt_coding c = {.codec = MT_CODEC_LZW, .colour = grey ? MT_COLOUR_GREY : MT_COLOUR_RGB,
                         .samples = grey ? 1 : 3, .predictor = data[0] & 2 ? 2 : 1};
    const mt_pixels out = {rgb, 3 * 256, data[1] + 1, data[2] + 1, 1};
    mt_err err = MT_ERR_INIT;
    if (mt_decoder_decode(d, &c, data + 3, size - 3, &out, &err) != err.code) abort();
    return 0;
}
