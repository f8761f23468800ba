#include "results/picture.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "codec/encode.h"
#include "results/ground.h"
#include "results/writers.h"

static const mt_colour_rgb ink = {32, 32, 40}, quiet = {96, 96, 108}, alarm = {190, 24, 32},
                           line = {150, 150, 160}, white = {255, 255, 255};

enum { FRAMED = 5 }; /* top tiles shown */

/* Where things are. Lengths in pixels. */
typedef struct layout {
    int scale;             /* pixels of a font dot */
    int32_t margin, width; /* of the whole picture */
    int32_t slide_y, panel_x, panel_w, panel_h, bar_h;
    int32_t footer_y;
} layout;

static const char *class_name(const mt_result *r)
{
    return r->card->class_names[MT_MAX(r->card->positive_class, 0)];
}

/* No positive class to give a probability of: each tile shows its class. */
static bool shows_classes(const mt_result *r)
{
    return r->card->positive_class < 0 && r->card->n_classes > 1;
}

static mt_colour_rgb of(const uint8_t rgb[3])
{
    return (mt_colour_rgb){rgb[0], rgb[1], rgb[2]};
}

/* ---- the slide with its colours ---- */

/* More certain, more colour: 0.25 at probability 0 up to 0.7 at 1; classes at 0.45. */
static int opacity(const mt_heat *h, int32_t i, int32_t j)
{
    return h->class_map ? 115 : 64 + (int)(115.0f * h->value[(size_t)j * (size_t)h->w + (size_t)i]);
}

static void blend_heat(mt_ground *g, const mt_heat *heat, const mt_card *card)
{
    for (int32_t j = 0; j < g->picture.h; j++) {
        int32_t hj = (int32_t)((j + 0.5) * g->l0_y / heat->px_l0);
        for (int32_t i = 0; i < g->picture.w; i++) {
            int32_t hi = (int32_t)((i + 0.5) * g->l0_x / heat->px_l0);
            uint8_t rgb[3];
            if (hi < heat->w && hj < heat->h && mt_heat_colour(rgb, heat, hi, hj, card))
                mt_canvas_box(&g->picture, i, j, 1, 1, of(rgb), opacity(heat, hi, hj));
        }
    }
}

static void outline_tissue(mt_ground *g, const mt_tissue *t, int32_t width)
{
    if (!t) return;
    for (int32_t j = 0; j < g->picture.h; j++)
        for (int32_t i = 0; i < g->picture.w; i++) {
            double x = (i + 0.5) * g->l0_x, y = (j + 0.5) * g->l0_y;
            bool here = mt_ground_tissue(t, x, y);
            if (here != mt_ground_tissue(t, x + g->l0_x, y) ||
                here != mt_ground_tissue(t, x, y + g->l0_y))
                mt_canvas_box(&g->picture, i, j, width, width, ink, 200);
        }
}

/* Frames around the best tiles: a human wants to see those first. */
static void frame_top(mt_ground *g, const mt_result *r, const layout *l)
{
    mt_canvas *c = &g->picture;
    int32_t least = 8 * l->scale, s = l->scale;
    for (int i = MT_MIN(r->grade.n_top, FRAMED) - 1; i >= 0; i--) {
        double cx = ((double)r->grade.top[i].x_l0 + r->grade.top[i].w_l0 / 2.0) / g->l0_x;
        double cy = ((double)r->grade.top[i].y_l0 + r->grade.top[i].h_l0 / 2.0) / g->l0_y;
        int32_t w = MT_MAX((int32_t)lround(r->grade.top[i].w_l0 / g->l0_x), least);
        int32_t h = MT_MAX((int32_t)lround(r->grade.top[i].h_l0 / g->l0_y), least);
        int32_t x = (int32_t)lround(cx - w / 2.0), y = (int32_t)lround(cy - h / 2.0);
        mt_canvas_frame(c, x - 2 * s, y - 2 * s, w + 4 * s, h + 4 * s, 2 * s, white);
        mt_canvas_frame(c, x - 3 * s / 2, y - 3 * s / 2, w + 3 * s, h + 3 * s, s, alarm);
    }
}

/* ---- words ---- */

static bool speaks_of_scope(const char *warning)
{
    return strncmp(warning, "scope unverified", 16) == 0;
}

static const char *scope_words(const mt_result *r)
{
    for (int i = 0; i < r->n_warnings && i < (int)MT_COUNT(r->warnings); i++)
        if (speaks_of_scope(r->warnings[i])) return r->warnings[i];
    return "scope unverified: the slide does not say what it is";
}

/* Lines over the picture; returns their height. c NULL only measures. */
static int32_t header(mt_canvas *c, const mt_result *r, const layout *l)
{
    char text[400];
    int32_t y = l->margin, w = l->width - 2 * l->margin;
    const mt_card *k = r->card;
    if (shows_classes(r))
        snprintf(text, sizeof text, "Heatmap: class of each tile");
    else
        snprintf(text, sizeof text, "Heatmap: probability of %s", class_name(r));
    y += mt_canvas_paragraph(c, l->margin, y, w, l->scale + 1, ink, text);
    y += 2 * l->scale;
    snprintf(text, sizeof text, "slide %s   model %s%s%s (%s)",
             r->slide_id[0] ? r->slide_id : "without id", k->name, k->version[0] ? " " : "",
             k->version, k->state[0] ? k->state : "research");
    y += mt_canvas_paragraph(c, l->margin, y, w, l->scale, quiet, text);
    if (!r->grade.graded) {
        snprintf(text, sizeof text, "NOT ANALYSED: %s",
                 r->grade.reason[0] ? r->grade.reason : "no reason was given");
        y += mt_canvas_paragraph(c, l->margin, y, w, l->scale, alarm, text);
    }
    if (r->out_of_scope[0]) {
        snprintf(text, sizeof text, "OUT OF THE MODEL'S SCOPE, allowed for: %s", r->out_of_scope);
        y += mt_canvas_paragraph(c, l->margin, y, w, l->scale, alarm, text);
    } else if (r->scope_unverified) {
        y += mt_canvas_paragraph(c, l->margin, y, w, l->scale, alarm, scope_words(r));
    }
    if (r->slide.synthetic)
        y += mt_canvas_paragraph(c, l->margin, y, w, l->scale, quiet, "synthetic slide");
    return y - l->margin;
}

static int32_t footer(mt_canvas *c, const mt_result *r, const layout *l, bool incomplete)
{
    char text[700];
    int32_t y = l->footer_y, w = l->width - 2 * l->margin;
    y += mt_canvas_paragraph(c, l->margin, y, w, l->scale, alarm,
                             "Research use only. Not for diagnosis.");
    if (r->card->not_for[0] && strcmp(r->card->not_for, "diagnosis")) {
        snprintf(text, sizeof text, "Not for: %s", r->card->not_for);
        y += mt_canvas_paragraph(c, l->margin, y, w, l->scale, quiet, text);
    }
    for (int i = 0; i < r->n_warnings && i < (int)MT_COUNT(r->warnings); i++)
        if (!speaks_of_scope(r->warnings[i])) /* the header says that */
            y += mt_canvas_paragraph(c, l->margin, y, w, l->scale, quiet, r->warnings[i]);
    if (incomplete)
        y += mt_canvas_paragraph(c, l->margin, y, w, l->scale, alarm,
                                 "Part of the slide could not be read and is shown white.");
    return y - l->footer_y;
}

/* ---- the legend at the right ---- */

static void colour_bar(mt_canvas *c, const layout *l, const mt_grade *g, int32_t y)
{
    int32_t x = l->panel_x, w = 14 * l->scale, h = l->bar_h, s = l->scale;
    for (int32_t j = 0; j < h; j++) {
        uint8_t rgb[3];
        mt_heat_map(rgb, 1.0f - ((float)j + 0.5f) / (float)h);
        mt_canvas_box(c, x, y + j, w, 1, of(rgb), 256);
    }
    mt_canvas_frame(c, x, y, w, h, MT_MAX(s / 2, 1), ink);
    static const char *const marks[] = {"0.00", "0.25", "0.50", "0.75", "1.00"};
    for (int32_t k = 0; k <= 4; k++) {
        int32_t at = y + (h - 1) - k * (h - 1) / 4;
        mt_canvas_box(c, x + w, at - s / 2, 3 * s, MT_MAX(s / 2, 1), ink, 256);
        mt_canvas_text(c, x + w + 5 * s, at - 3 * s, s, ink, marks[k]);
    }
    if (g->graded && g->positive_class >= 0 && g->threshold >= 0 && g->threshold <= 1) {
        int32_t at = y + (int32_t)lround((1 - g->threshold) * (h - 1));
        mt_canvas_box(c, x - 2 * s, at - s / 2, w + 2 * s, s, alarm, 256);
        mt_canvas_box(c, x - 4 * s, at - 2 * s, 2 * s, 4 * s, alarm, 256);
    }
}

static int32_t swatch(mt_canvas *c, const layout *l, int32_t y, const uint8_t rgb[3],
                      const char *text)
{
    int32_t s = l->scale, h = 0;
    if (c) {
        mt_canvas_box(c, l->panel_x, y, 9 * s, 8 * s, of(rgb), 256);
        mt_canvas_frame(c, l->panel_x, y, 9 * s, 8 * s, MT_MAX(s / 2, 1), ink);
    }
    h = mt_canvas_paragraph(c, l->panel_x + 13 * s, y + s / 2, l->panel_w - 13 * s, s, ink, text);
    return MT_MAX(h, 11 * s);
}

static int32_t class_rows(mt_canvas *c, const mt_result *r, const layout *l, int32_t y)
{
    int32_t top = y;
    for (int k = 0; k < r->card->n_classes; k++) {
        uint8_t rgb[3];
        char text[128];
        mt_class_colour(rgb, k, r->card->positive_class);
        if (r->grade.graded)
            snprintf(text, sizeof text, "%s %.2f mm2", r->card->class_names[k],
                     r->grade.classes[k].area_mm2);
        else
            snprintf(text, sizeof text, "%s", r->card->class_names[k]);
        y += swatch(c, l, y, rgb, text);
    }
    return y - top;
}

static int32_t fact(mt_canvas *c, const layout *l, int32_t y, const char *name, const char *value)
{
    int32_t top = y;
    y += mt_canvas_paragraph(c, l->panel_x, y, l->panel_w, l->scale, quiet, name);
    y += mt_canvas_paragraph(c, l->panel_x, y, l->panel_w, l->scale, ink, value);
    return y - top + 4 * l->scale;
}

static int32_t facts(mt_canvas *c, const mt_result *r, const layout *l, int32_t y)
{
    const mt_grade *g = &r->grade;
    int32_t top = y;
    char text[128];
    if (g->graded && g->positive_class >= 0) {
        snprintf(text, sizeof text, "%.3f%s%s", g->score, g->decision[0] ? "  " : "", g->decision);
        y += fact(c, l, y, "slide score", text);
        snprintf(text, sizeof text, "%.3f%s%s", g->threshold, g->threshold_name[0] ? "  " : "",
                 g->threshold_name);
        y += fact(c, l, y, "tile threshold", text);
        snprintf(text, sizeof text, "%.2f mm2 (%.1f %%)",
                 g->classes[g->positive_class].positive_mm2,
                 100 * g->classes[g->positive_class].fraction);
        y += fact(c, l, y, "area over threshold", text);
    } else if (g->graded && g->decision[0]) {
        y += fact(c, l, y, "slide result", g->decision);
    }
    if (isfinite(g->tissue_mm2) && isfinite(g->coverage)) {
        snprintf(text, sizeof text, "%.2f mm2, %.1f %% of it analysed", g->tissue_mm2,
                 100 * g->coverage);
        y += fact(c, l, y, "tissue", text);
    }
    return y - top;
}

/* Returns the panel's height. c NULL only measures. */
static int32_t panel(mt_canvas *c, const mt_result *r, const layout *l, int32_t y)
{
    int32_t top = y, s = l->scale;
    static const uint8_t blank[3] = {255, 255, 255};
    if (shows_classes(r)) {
        y += class_rows(c, r, l, y);
    } else {
        y += mt_canvas_paragraph(c, l->panel_x, y, l->panel_w, s, ink, class_name(r)) + 4 * s;
        if (c) colour_bar(c, l, &r->grade, y);
        y += l->bar_h + 8 * s;
    }
    y += swatch(c, l, y, blank, "no colour: not analysed");
    if (r->tissue) {
        if (c) mt_canvas_box(c, l->panel_x, y + 3 * s, 9 * s, MT_MAX(s * 2 / 3, 1), ink, 256);
        y += MT_MAX(mt_canvas_paragraph(c, l->panel_x + 13 * s, y, l->panel_w - 13 * s, s, ink,
                                        "tissue outline"),
                    11 * s);
    }
    if (r->grade.n_top > 0 && !shows_classes(r)) {
        char text[48];
        if (c) mt_canvas_frame(c, l->panel_x, y, 9 * s, 8 * s, s, alarm);
        snprintf(text, sizeof text, "%d highest tiles", MT_MIN(r->grade.n_top, FRAMED));
        y += MT_MAX(mt_canvas_paragraph(c, l->panel_x + 13 * s, y + s / 2, l->panel_w - 13 * s, s,
                                        ink, text),
                    11 * s);
    }
    y += 6 * s;
    return y + facts(c, r, l, y) - top;
}

/* ---- scale bar ---- */

/* Longest of 1, 2, 5 x 10^k micrometres within a quarter of the picture. */
static double round_length(double most_um)
{
    double best = 1e-3;
    for (double decade = 1e-3; decade < 1e7; decade *= 10)
        for (int k = 0; k < 3; k++) {
            static const double steps[] = {1, 2, 5};
            if (steps[k] * decade <= most_um) best = steps[k] * decade;
        }
    return best;
}

static int32_t scale_bar(mt_canvas *c, const mt_result *r, const layout *l, const mt_ground *g,
                         int32_t y)
{
    double um_px = r->slide.mpp_x * g->l0_x;
    int32_t s = l->scale;
    if (!(um_px > 0)) return 0;
    if (c) {
        char text[32];
        double um = round_length(um_px * g->picture.w / 4);
        int32_t w = MT_MAX((int32_t)lround(um / um_px), 1);
        if (um >= 1000)
            snprintf(text, sizeof text, "%g mm", um / 1000);
        else
            snprintf(text, sizeof text, "%g um", um);
        mt_canvas_box(c, l->margin, y + 2 * s, w, 2 * s, ink, 256);
        mt_canvas_box(c, l->margin, y, s, 6 * s, ink, 256);
        mt_canvas_box(c, l->margin + w - s, y, s, 6 * s, ink, 256);
        mt_canvas_text(c, l->margin + w + 4 * s, y, s, ink, text);
    }
    return 12 * s;
}

/* ---- together ---- */

static void paste(mt_canvas *c, const mt_canvas *from, int32_t x, int32_t y)
{
    for (int32_t j = 0; j < from->h; j++)
        memcpy(c->rgb + ((size_t)(y + j) * (size_t)c->w + (size_t)x) * 3,
               from->rgb + (size_t)j * (size_t)from->w * 3, (size_t)from->w * 3);
    mt_canvas_frame(c, x - 1, y - 1, from->w + 2, from->h + 2, 1, line);
}

static mt_status save(const mt_canvas *c, const char *path, mt_err *err)
{
    MT_AUTO(mt_buf_free) mt_buf png = MT_BUF_INIT((size_t)128 << 20);
    MT_TRY(mt_png_encode(&png, c->rgb, (size_t)c->w * 3, c->w, c->h, 3, err));
    return mt_file_write(path, png.data, png.len, err);
}

static void ground_free(mt_ground *g)
{
    mt_canvas_free(&g->picture);
}

/* Only words: a slide that never got as far as having a size. */
static mt_status words_only(const mt_result *r, const char *path, mt_err *err)
{
    MT_AUTO(mt_canvas_free) mt_canvas c = {0};
    layout l = {.scale = 2, .margin = 24, .width = 900};
    l.footer_y = l.margin + header(NULL, r, &l) + l.margin;
    MT_TRY(mt_canvas_new(&c, l.width, l.footer_y + footer(NULL, r, &l, false) + l.margin, err));
    header(&c, r, &l);
    footer(&c, r, &l, false);
    return save(&c, path, err);
}

mt_status mt_picture_write(const mt_heat *heat, const mt_result *r, const mt_slide *slide,
                           const char *path, mt_err *err)
{
    if (!heat) return words_only(r, path, err);
    MT_AUTO(ground_free) mt_ground g = {0};
    MT_AUTO(mt_canvas_free) mt_canvas c = {0};
    MT_TRY(mt_ground_make(&g, r, slide, err));
    int32_t longest = MT_MAX(g.picture.w, g.picture.h);
    layout l = {.scale = longest >= 1400 ? 3 : 2};
    l.margin = 12 * l.scale;
    l.panel_w = 20 * 6 * l.scale;
    l.bar_h = 110 * l.scale;
    l.panel_x = l.margin + MT_MAX(g.picture.w, 200) + 2 * l.margin;
    l.width = l.panel_x + l.panel_w + l.margin;
    l.slide_y = l.margin + header(NULL, r, &l) + l.margin / 2;
    l.panel_h = panel(NULL, r, &l, l.slide_y);
    int32_t left_h = g.picture.h + 4 * l.scale + scale_bar(NULL, r, &l, &g, 0);
    l.footer_y = l.slide_y + MT_MAX(left_h, l.panel_h) + l.margin / 2;
    MT_TRY(mt_canvas_new(&c, l.width, l.footer_y + footer(NULL, r, &l, g.incomplete) + l.margin / 2,
                         err));
    blend_heat(&g, heat, r->card);
    outline_tissue(&g, r->tissue, longest >= 1000 ? 2 : 1);
    if (!heat->class_map) frame_top(&g, r, &l);
    header(&c, r, &l);
    paste(&c, &g.picture, l.margin, l.slide_y);
    scale_bar(&c, r, &l, &g, l.slide_y + g.picture.h + 4 * l.scale);
    panel(&c, r, &l, l.slide_y);
    footer(&c, r, &l, g.incomplete);
    return save(&c, path, err);
}
