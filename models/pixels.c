#include "kernels/u8_norm.h"
#include "models/net.h"

void mt_card_normalise(const mt_card *card, const uint8_t *rgb, float *input)
{
    float scale[3], shift[3];
    size_t plane = (size_t)card->input_px * (size_t)card->input_px;
    double unit = card->scale_255 ? 255.0 : 1.0;
    for (int c = 0; c < 3; c++) {
        scale[c] = (float)(1.0 / (unit * (double)card->std[c]));
        shift[c] = (float)(-(double)card->mean[c] / (double)card->std[c]);
    }
    mt_u8_norm(rgb, plane, scale, shift, input, plane);
}
