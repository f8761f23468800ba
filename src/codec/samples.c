/* From decoded samples to RGB rows: what every codec that gives samples shares. */
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

/* ---- predictor ---- */

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

static inline unsigned get16(const uint8_t *p, bool big)
{
    return big ? (unsigned)p[0] << 8 | p[1] : (unsigned)p[1] << 8 | p[0];
}

/* Whole samples are subtracted, in the order of the file. */
static void undo_differences16(uint8_t *row, size_t width, size_t samples, bool big)
{
    for (size_t i = samples; i < samples * width; i++) {
        const unsigned v = get16(row + 2 * i, big) + get16(row + 2 * (i - samples), big);
        row[2 * i + big] = (uint8_t)v;
        row[2 * i + !big] = (uint8_t)(v >> 8);
    }
}

/* ---- layouts: whatever is no interleaved 8-bit row becomes one, piece by piece ---- */

enum { PIECE = 512 };

static inline bool is_wide(const mt_coding *c) { return c->bits == 16; }
static inline unsigned stored_bits(const mt_coding *c)
{
    return c->stored ? (unsigned)c->stored : is_wide(c) ? 16u : 8u;
}

size_t mt_samples_bytes(const mt_coding *c, const mt_pixels *out)
{
    return (size_t)out->w * (size_t)out->h * (size_t)c->samples * (is_wide(c) ? 2 : 1);
}

/* n samples, `step` bytes apart, to every `to_step`th byte. */
static void narrow(uint8_t *to, size_t to_step, const uint8_t *from, size_t step, size_t n,
                   const mt_coding *c)
{
    const unsigned max = (1u << stored_bits(c)) - 1;
    const bool big = c->big_endian;
    if (!is_wide(c) && max == 255)
        for (size_t i = 0; i < n; i++) to[i * to_step] = from[i * step];
    else if (!is_wide(c))
        for (size_t i = 0; i < n; i++) to[i * to_step] = mt_sample_narrow(from[i * step] & max, max);
    else if (max == 65535) /* the same rule: 65535 is 255 * 257 */
        for (size_t i = 0; i < n; i++)
            to[i * to_step] = (uint8_t)((get16(from + i * step, big) + 128) / 257);
    else
        for (size_t i = 0; i < n; i++)
            to[i * to_step] = mt_sample_narrow(get16(from + i * step, big) & max, max);
}

/* Pixels at .. at + n, interleaved, 8 bit. */
static void gather(uint8_t *to, const uint8_t *samples, size_t at, size_t n, size_t plane,
                   const mt_coding *c)
{
    const size_t width = is_wide(c) ? 2 : 1, k = (size_t)c->samples;
    if (!c->planar && k > 1 && stored_bits(c) == 8 * width) {
        narrow(to, 1, samples + at * k * width, width, n * k, c);
        return;
    }
    for (size_t i = 0; i < k; i++) {
        const size_t first = c->planar ? i * plane + at : at * k + i;
        narrow(to + i, k, samples + first * width, (c->planar ? 1 : k) * width, n, c);
    }
}

/* ---- colours ---- */

/* Over white. */
static void alpha_row(uint8_t *rgb, const uint8_t *s, size_t width, const mt_coding *c)
{
    const bool grey = c->samples == 2;
    for (size_t i = 0; i < width; i++, rgb += 3, s += c->samples) {
        const unsigned a = c->alpha == MT_ALPHA_IGNORED ? 255 : s[grey ? 1 : 3];
        for (int k = 0; k < 3; k++) {
            unsigned v = s[grey ? 0 : k];
            if (c->colour == MT_COLOUR_GREY_INVERTED) v = 255 - v;
            if (c->alpha == MT_ALPHA_STRAIGHT) v = (v * a + 127) / 255;
            rgb[k] = (uint8_t)MT_MIN(v + 255 - a, 255u);
        }
    }
}

typedef struct palette { uint8_t rgb[256][3]; } palette;

/* TIFF 6.0 section 8: all red, then green, then blue, of 16 bits. Writers that put 8-bit values
 * there are known by having no larger one. */
static void palette_make(palette *out, const mt_coding *c)
{
    unsigned most = 0;
    for (size_t i = 0; i < 768; i++) most = MT_MAX(most, get16(c->palette + 2 * i, c->big_endian));
    for (size_t i = 0; i < 768; i++) {
        const unsigned v = get16(c->palette + 2 * i, c->big_endian);
        out->rgb[i % 256][i / 256] = most < 256 ? (uint8_t)v : mt_sample_narrow(v, 65535);
    }
}

static void spread_row(uint8_t *rgb, const uint8_t *s, size_t width, const mt_coding *c,
                       const palette *pal)
{
    if (c->samples == 4 || c->samples == 2) {
        alpha_row(rgb, s, width, c);
        return;
    }
    switch (c->colour) {
    case MT_COLOUR_RGB:
        memcpy(rgb, s, 3 * width);
        return;
    case MT_COLOUR_YCBCR:
        for (size_t i = 0; i < 3 * width; i += 3) mt_ycc_to_rgb(rgb + i, s[i], s[i + 1], s[i + 2]);
        return;
    case MT_COLOUR_PALETTE:
        for (size_t i = 0; i < width; i++) memcpy(rgb + 3 * i, pal->rgb[s[i]], 3);
        return;
    case MT_COLOUR_GREY:
    case MT_COLOUR_GREY_INVERTED:
        for (size_t i = 0; i < width; i++) {
            uint8_t v = c->colour == MT_COLOUR_GREY ? s[i] : (uint8_t)(255 - s[i]);
            rgb[3 * i] = rgb[3 * i + 1] = rgb[3 * i + 2] = v;
        }
        return;
    }
}

void mt_samples_copy(const uint8_t *samples, const mt_coding *c, const mt_pixels *out)
{
    const size_t w = (size_t)out->w, k = (size_t)c->samples, plane = w * (size_t)out->h;
    const bool plain = !is_wide(c) && stored_bits(c) == 8 && (!c->planar || k == 1);
    palette pal;
    if (c->colour == MT_COLOUR_PALETTE) palette_make(&pal, c);
    for (size_t y = 0; y < (size_t)out->h; y++) {
        uint8_t *rgb = out->rgb + y * out->stride;
        if (plain) {
            spread_row(rgb, samples + y * w * k, w, c, &pal);
            continue;
        }
        uint8_t piece[4 * PIECE];
        for (size_t x = 0; x < w; x += PIECE) {
            const size_t n = MT_MIN(w - x, (size_t)PIECE);
            gather(piece, samples, y * w + x, n, plane, c);
            spread_row(rgb + 3 * x, piece, n, c, &pal);
        }
    }
}

mt_status mt_samples_to_rgb(uint8_t *samples, const mt_coding *c, const mt_pixels *out, mt_err *err)
{
    if (c->predictor == 2) {
        const size_t k = c->planar ? 1 : (size_t)c->samples, w = (size_t)out->w;
        const size_t rows = (size_t)out->h * (c->planar ? (size_t)c->samples : 1);
        for (size_t y = 0; y < rows; y++)
            if (is_wide(c)) undo_differences16(samples + 2 * y * w * k, w, k, c->big_endian);
            else undo_differences(samples + y * w * k, w, k);
    }
    mt_samples_copy(samples, c, out);
    return MT_OK;
}
