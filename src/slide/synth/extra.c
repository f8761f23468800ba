/* Label and macro: a paper label with text and a code, the glass with the tissue on it. */
#include "slide/synth/draw.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* 5 x 7 dots, one byte a column, lowest bit on top; from space to Z. */
static const uint8_t font[59][5] = {
    {0, 0, 0, 0, 0}, {0, 0, 0x5F, 0, 0}, {0, 7, 0, 7, 0}, {0x14, 0x7F, 0x14, 0x7F, 0x14}, {0x24, 0x2A, 0x7F, 0x2A, 0x12},
    {0x23, 0x13, 8, 0x64, 0x62}, {0x36, 0x49, 0x55, 0x22, 0x50}, {0, 5, 3, 0, 0}, {0, 0x1C, 0x22, 0x41, 0},
    {0, 0x41, 0x22, 0x1C, 0}, {0x14, 8, 0x3E, 8, 0x14}, {8, 8, 0x3E, 8, 8}, {0, 0x50, 0x30, 0, 0}, {8, 8, 8, 8, 8},
    {0, 0x60, 0x60, 0, 0}, {0x20, 0x10, 8, 4, 2}, {0x3E, 0x51, 0x49, 0x45, 0x3E}, {0, 0x42, 0x7F, 0x40, 0},
    {0x42, 0x61, 0x51, 0x49, 0x46}, {0x21, 0x41, 0x45, 0x4B, 0x31}, {0x18, 0x14, 0x12, 0x7F, 0x10},
    {0x27, 0x45, 0x45, 0x45, 0x39}, {0x3C, 0x4A, 0x49, 0x49, 0x30}, {1, 0x71, 9, 5, 3}, {0x36, 0x49, 0x49, 0x49, 0x36},
    {6, 0x49, 0x49, 0x29, 0x1E}, {0, 0x36, 0x36, 0, 0}, {0, 0x56, 0x36, 0, 0}, {8, 0x14, 0x22, 0x41, 0},
    {0x14, 0x14, 0x14, 0x14, 0x14}, {0, 0x41, 0x22, 0x14, 8}, {2, 1, 0x51, 9, 6}, {0x32, 0x49, 0x79, 0x41, 0x3E},
    {0x7E, 0x11, 0x11, 0x11, 0x7E}, {0x7F, 0x49, 0x49, 0x49, 0x36}, {0x3E, 0x41, 0x41, 0x41, 0x22},
    {0x7F, 0x41, 0x41, 0x22, 0x1C}, {0x7F, 0x49, 0x49, 0x49, 0x41}, {0x7F, 9, 9, 9, 1}, {0x3E, 0x41, 0x49, 0x49, 0x7A},
    {0x7F, 8, 8, 8, 0x7F}, {0, 0x41, 0x7F, 0x41, 0}, {0x20, 0x40, 0x41, 0x3F, 1}, {0x7F, 8, 0x14, 0x22, 0x41},
    {0x7F, 0x40, 0x40, 0x40, 0x40}, {0x7F, 2, 0xC, 2, 0x7F}, {0x7F, 4, 8, 0x10, 0x7F}, {0x3E, 0x41, 0x41, 0x41, 0x3E},
    {0x7F, 9, 9, 9, 6}, {0x3E, 0x41, 0x51, 0x21, 0x5E}, {0x7F, 9, 0x19, 0x29, 0x46}, {0x46, 0x49, 0x49, 0x49, 0x31},
    {1, 1, 0x7F, 1, 1}, {0x3F, 0x40, 0x40, 0x40, 0x3F}, {0x1F, 0x20, 0x40, 0x20, 0x1F}, {0x3F, 0x40, 0x38, 0x40, 0x3F},
    {0x63, 0x14, 8, 0x14, 0x63}, {7, 8, 0x70, 8, 7}, {0x61, 0x51, 0x49, 0x45, 0x43},
};

typedef struct picture {
    uint8_t *px;
    int w, h;
} picture;

static void box_fill(const picture *p, int x, int y, int w, int h, uint32_t rgb)
{
    for (int j = MT_MAX(y, 0); j < MT_MIN(y + h, p->h); j++)
        for (int i = MT_MAX(x, 0); i < MT_MIN(x + w, p->w); i++) {
            uint8_t *q = p->px + ((size_t)j * (size_t)p->w + (size_t)i) * 3;
            q[0] = (uint8_t)(rgb >> 16);
            q[1] = (uint8_t)(rgb >> 8);
            q[2] = (uint8_t)rgb;
        }
}

/* Text with dots of `dot` pixels inside max_w pixels; a longer text continues on the next line.
 * Returns the y below it. */
static int text_draw(const picture *p, int x, int y, int max_w, int dot, const char *s)
{
    int cx = x;
    for (; *s; s++) {
        if (cx + 5 * dot > x + max_w || *s == '\n') {
            cx = x;
            y += 9 * dot;
            if (*s == '\n') continue;
        }
        const int ch = toupper((unsigned char)*s);
        const uint8_t *g = font[ch >= ' ' && ch <= 'Z' ? ch - ' ' : '?' - ' '];
        for (int i = 0; i < 5; i++)
            for (int j = 0; j < 7; j++)
                if (g[i] >> j & 1) box_fill(p, cx + i * dot, y + j * dot, dot, dot, 0x181818);
        cx += 6 * dot;
    }
    return y + 10 * dot;
}

static const char *planted(char out[64], const synth_ctx *c, const char *text)
{
    if (text) return text;
    snprintf(out, 64, "SYN-%06u", (unsigned)(c->o.seed % 1000000));
    return out;
}

static void label_draw(const picture *p, int x, int y, int w, int h, int dot, const synth_ctx *c, const char *text)
{
    char own[64], seed[64];
    box_fill(p, x, y, w, h, 0xF4F2EA);
    int at = text_draw(p, x + w / 14, y + h / 14, w - w / 7, dot, planted(own, c, text));
    snprintf(seed, sizeof seed, "SEED %llu", (unsigned long long)c->o.seed);
    at = text_draw(p, x + w / 14, at, w - w / 7, MT_MAX(1, dot * 2 / 3), seed);
    at = text_draw(p, x + w / 14, at, w - w / 7, MT_MAX(1, dot * 2 / 3), "SYNTHETIC H&E\nNOT A PATIENT");
    /* a square code of random modules, for what looks for codes */
    const int side = MT_MAX(1, (y + h - at - h / 14) / 14);
    for (int j = 0; j < 14; j++)
        for (int i = 0; i < 14; i++) {
            const bool edge = i == 0 || j == 13, clock = (j == 0 && i % 2 == 0) || (i == 13 && j % 2);
            if (edge || clock || (i < 13 && j && (synth_hash(i, j, c->salt + 99) & 1)))
                box_fill(p, x + w / 14 + i * side, at + j * side, side, side, 0x101010);
        }
}

static mt_status picture_new(picture *p, int w, int h, uint32_t rgb, mt_err *err)
{
    *p = (picture){NULL, w, h};
    MT_TRY(mt_alloc(&p->px, (size_t)w * (size_t)h, 3, (size_t)64 << 20, "label", err));
    box_fill(p, 0, 0, w, h, rgb);
    return MT_OK;
}

mt_status synth_label(uint8_t **rgb, int w, int h, const synth_ctx *c, const char *text, mt_err *err)
{
    picture p;
    MT_TRY(picture_new(&p, w, h, 0xC9C7C0, err));
    label_draw(&p, 8, 8, w - 16, h - 16, 5, c, text);
    *rgb = p.px;
    return MT_OK;
}

mt_status synth_macro(uint8_t **rgb, int w, int h, const synth_ctx *c, const char *text, const uint8_t *overview, int ow, int oh,
                      mt_err *err)
{
    picture p;
    MT_TRY(picture_new(&p, w, h, 0x9A9A98, err));
    const uint32_t glass = (uint32_t)c->glass[0] << 16 | (uint32_t)c->glass[1] << 8 | c->glass[2];
    box_fill(&p, 10, 12, w - 20, h - 24, glass);
    label_draw(&p, 14, 16, h - 32, h - 32, 5, c, text);
    /* the scanned area keeps its shape inside the rest of the glass */
    const int x0 = h + 10, aw = w - x0 - 40, ah = h - 60;
    const double f = MT_MIN((double)aw / ow, (double)ah / oh);
    const int tw = MT_MAX(1, (int)(ow * f)), th = MT_MAX(1, (int)(oh * f)), ty = (h - th) / 2, tx = x0 + (aw - tw) / 2;
    for (int y = 0; y < th; y++)
        for (int x = 0; x < tw; x++) {
            const uint8_t *s = overview + ((size_t)(y * (int64_t)oh / th) * (size_t)ow + (size_t)(x * (int64_t)ow / tw)) * 3;
            memcpy(p.px + ((size_t)(ty + y) * (size_t)w + (size_t)(tx + x)) * 3, s, 3);
        }
    *rgb = p.px;
    return MT_OK;
}
