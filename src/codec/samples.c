/* From decoded samples to RGB rows: what raw, LZW and deflate share. */
#include <string.h>
#include "codec/row.h"

mt_status mt_scratch_need(mt_scratch *s, size_t bytes, mt_err *err)
{
    if (bytes <= s->cap) return MT_OK;
    free(s->p);
    s->p = NULL;
    s->cap = 0;
    MT_TRY(mt_alloc_aligned(&s->p, bytes, 4 * MT_CODEC_MAX_PIXELS, "tile samples", err));
    s->cap = bytes;
    return MT_OK;
}

static inline uint8_t clamp8(int v) { return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v); }

/* jdcolor.c: 16-bit fixed point, the green sum rounded once. */
void mt_ycc_to_rgb(uint8_t rgb[3], int y, int cb, int cr)
{
    const int b = cb - 128, r = cr - 128;
    rgb[0] = clamp8(y + ((91881 * r + 32768) >> 16));
    rgb[1] = clamp8(y + ((-22554 * b - 46802 * r + 32768) >> 16));
    rgb[2] = clamp8(y + ((116130 * b + 32768) >> 16));
}

static void undo_differences(uint8_t *row, size_t width, size_t samples)
{
    if (samples != 3) {
        for (size_t i = samples; i < samples * width; i++)
            row[i] = (uint8_t)(row[i] + row[i - samples]);
        return;
    }
    uint8_t r = row[0], g = row[1], b = row[2]; /* the usual case, kept in registers */
    for (size_t i = 3; i < 3 * width; i += 3) {
        row[i] = r = (uint8_t)(r + row[i]);
        row[i + 1] = g = (uint8_t)(g + row[i + 1]);
        row[i + 2] = b = (uint8_t)(b + row[i + 2]);
    }
}

static void rgba_row(uint8_t *rgb, const uint8_t *s, size_t width, mt_alpha alpha)
{
    for (size_t i = 0; i < width; i++, rgb += 3, s += 4) {
        const unsigned a = alpha == MT_ALPHA_IGNORED ? 255 : s[3];
        for (int c = 0; c < 3; c++) {
            const unsigned v = alpha == MT_ALPHA_STRAIGHT ? (s[c] * a + 127) / 255 : s[c];
            rgb[c] = (uint8_t)MT_MIN(v + 255 - a, 255u);
        }
    }
}

static void spread_row(uint8_t *rgb, const uint8_t *s, size_t width, mt_colour colour)
{
    switch (colour) {
    case MT_COLOUR_RGB:
        memcpy(rgb, s, 3 * width);
        return;
    case MT_COLOUR_YCBCR:
        for (size_t i = 0; i < 3 * width; i += 3) mt_ycc_to_rgb(rgb + i, s[i], s[i + 1], s[i + 2]);
        return;
    case MT_COLOUR_GREY:
    case MT_COLOUR_GREY_INVERTED:
        for (size_t i = 0; i < width; i++) {
            uint8_t v = colour == MT_COLOUR_GREY ? s[i] : (uint8_t)(255 - s[i]);
            rgb[3 * i] = rgb[3 * i + 1] = rgb[3 * i + 2] = v;
        }
        return;
    }
}

void mt_samples_copy(const uint8_t *samples, const mt_coding *c, const mt_pixels *out)
{
    const size_t row = (size_t)out->w * (size_t)c->samples;
    for (int32_t y = 0; y < out->h; y++) {
        uint8_t *rgb = out->rgb + (size_t)y * out->stride;
        const uint8_t *from = samples + (size_t)y * row;
        if (c->samples == 4) rgba_row(rgb, from, (size_t)out->w, c->alpha);
        else spread_row(rgb, from, (size_t)out->w, c->colour);
    }
}

mt_status mt_samples_to_rgb(uint8_t *samples, const mt_coding *c, const mt_pixels *out, mt_err *err)
{
    if (c->predictor != 1 && c->predictor != 2)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "predictor %d", c->predictor);
    const size_t row = (size_t)out->w * (size_t)c->samples;
    if (c->predictor == 2)
        for (int32_t y = 0; y < out->h; y++)
            undo_differences(samples + (size_t)y * row, (size_t)out->w, (size_t)c->samples);
    mt_samples_copy(samples, c, out);
    return MT_OK;
}
