/* A small RGB picture to draw on: boxes, text in a dot font. Everything is clipped. */
#ifndef MT_RESULTS_CANVAS_H
#define MT_RESULTS_CANVAS_H

#include "base/mem.h"

typedef struct mt_canvas {
    uint8_t *rgb; /* w * h * 3, rows tight */
    int32_t w, h;
} mt_canvas;

typedef struct mt_colour_rgb {
    uint8_t r, g, b;
} mt_colour_rgb;

extern const uint8_t mt_font[95][9];

MT_MUST_USE mt_status mt_canvas_new(mt_canvas *out, int32_t w, int32_t h, mt_err *err); /* white */
void mt_canvas_free(mt_canvas *c);

/* alpha 0..256: 256 covers. */
void mt_canvas_box(mt_canvas *c, int32_t x, int32_t y, int32_t w, int32_t h, mt_colour_rgb col,
                   int alpha);
void mt_canvas_frame(mt_canvas *c, int32_t x, int32_t y, int32_t w, int32_t h, int32_t line,
                     mt_colour_rgb col);

/* Text with its top left at (x, y), dots of `scale` pixels: 6 scale a letter, 9 scale a line's
 * height. What is not ASCII shows as '?', once per character. */
void mt_canvas_text(mt_canvas *c, int32_t x, int32_t y, int scale, mt_colour_rgb col,
                    const char *text);
int32_t mt_text_width(int scale, const char *text);

/* As mt_canvas_text, broken at blanks to fit `width`; returns the height taken. c NULL only
 * measures. */
int32_t mt_canvas_paragraph(mt_canvas *c, int32_t x, int32_t y, int32_t width, int scale,
                            mt_colour_rgb col, const char *text);

#endif
