#include "results/canvas.h"

#include <string.h>

#define MAX_BYTES ((size_t)256 << 20)
#define LINE_ROWS 11 /* dots from line to line */

mt_status mt_canvas_new(mt_canvas *out, int32_t w, int32_t h, mt_err *err)
{
    *out = (mt_canvas){.w = w, .h = h};
    MT_TRY(mt_alloc_aligned(&out->rgb, (size_t)w * (size_t)h * 3, MAX_BYTES, "picture", err));
    memset(out->rgb, 255, (size_t)w * (size_t)h * 3);
    return MT_OK;
}

void mt_canvas_free(mt_canvas *c)
{
    free(c->rgb);
    c->rgb = NULL;
}

void mt_canvas_box(mt_canvas *c, int32_t x, int32_t y, int32_t w, int32_t h, mt_colour_rgb col,
                   int alpha)
{
    int32_t x1 = MT_MIN(x + w, c->w), y1 = MT_MIN(y + h, c->h);
    int keep = 256 - alpha;
    for (int32_t j = MT_MAX(y, 0); j < y1; j++)
        for (int32_t i = MT_MAX(x, 0); i < x1; i++) {
            uint8_t *p = c->rgb + ((size_t)j * (size_t)c->w + (size_t)i) * 3;
            p[0] = (uint8_t)((p[0] * keep + col.r * alpha + 128) >> 8);
            p[1] = (uint8_t)((p[1] * keep + col.g * alpha + 128) >> 8);
            p[2] = (uint8_t)((p[2] * keep + col.b * alpha + 128) >> 8);
        }
}

void mt_canvas_frame(mt_canvas *c, int32_t x, int32_t y, int32_t w, int32_t h, int32_t line,
                     mt_colour_rgb col)
{
    mt_canvas_box(c, x, y, w, line, col, 256);
    mt_canvas_box(c, x, y + h - line, w, line, col, 256);
    mt_canvas_box(c, x, y + line, line, h - 2 * line, col, 256);
    mt_canvas_box(c, x + w - line, y + line, line, h - 2 * line, col, 256);
}

static bool continues(char ch)
{
    return ((unsigned char)ch & 0xC0) == 0x80;
}

/* Letters in the first n bytes. */
static int32_t letters(const char *text, size_t n)
{
    int32_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += !continues(text[i]);
    return count;
}

int32_t mt_text_width(int scale, const char *text)
{
    int32_t n = letters(text, strlen(text));
    return n ? (6 * n - 1) * scale : 0;
}

static void letter(mt_canvas *c, int32_t x, int32_t y, int scale, mt_colour_rgb col, char ch)
{
    const uint8_t *rows = mt_font[(ch < 32 || ch > 126 ? '?' : ch) - 32];
    for (int32_t j = 0; j < 9; j++)
        for (int32_t i = 0; i < 5; i++)
            if (rows[j] >> (4 - i) & 1)
                mt_canvas_box(c, x + i * scale, y + j * scale, scale, scale, col, 256);
}

static void text_n(mt_canvas *c, int32_t x, int32_t y, int scale, mt_colour_rgb col,
                   const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (continues(text[i])) continue;
        letter(c, x, y, scale, col, text[i]);
        x += 6 * scale;
    }
}

void mt_canvas_text(mt_canvas *c, int32_t x, int32_t y, int scale, mt_colour_rgb col,
                    const char *text)
{
    text_n(c, x, y, scale, col, text, strlen(text));
}

/* Bytes of text that go on a line of `room` letters: up to a blank if there is one. */
static size_t line_break(const char *text, int32_t room)
{
    size_t n = 0, blank = 0;
    int32_t count = 0;
    while (text[n] && text[n] != '\n') {
        if (!continues(text[n]) && ++count > room) return blank ? blank : n;
        if (text[n] == ' ') blank = n;
        n++;
    }
    return n;
}

int32_t mt_canvas_paragraph(mt_canvas *c, int32_t x, int32_t y, int32_t width, int scale,
                            mt_colour_rgb col, const char *text)
{
    int32_t top = y, room = MT_MAX((width / scale + 1) / 6, 1);
    while (*text) {
        size_t n = line_break(text, room);
        if (c) text_n(c, x, y, scale, col, text, n);
        y += LINE_ROWS * scale;
        text += n;
        while (*text == ' ' || *text == '\n')
            text++;
    }
    return y - top;
}
