/* qc.png: the slide, what quality control found on it in colour, and the figures beside it. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "codec/encode.h"
#include "microtome/qc.h"
#include "results/canvas.h"
#include "results/ground.h"
#include "results/writers.h"

static const mt_colour_rgb ink = {32, 32, 40}, quiet = {96, 96, 108}, alarm = {190, 24, 32},
                           amber = {181, 71, 8}, good = {6, 118, 71}, line = {150, 150, 160};

/* In the order of the bits; told apart by colour-blind eyes too, and unlike tissue and stains. */
static const struct {
    mt_colour_rgb colour;
    const char *words;
} kinds[MT_QC_N] = {
    {{0, 114, 255}, "out of focus"}, {{0, 200, 60}, "pen mark"},          {{255, 230, 0}, "fold"},
    {{0, 220, 220}, "air bubble"},   {{255, 120, 0}, "coverslip edge"},   {{20, 20, 20}, "opaque debris"},
};

typedef struct layout {
    int scale;
    int32_t margin, width, slide_y, panel_x, panel_w, footer_y;
} layout;

static unsigned flags_at(const mt_qc *qc, double x_l0, double y_l0)
{
    int64_t i = (int64_t)(x_l0 / qc->px_l0), j = (int64_t)(y_l0 / qc->px_l0);
    if (i < 0 || j < 0 || i >= qc->width || j >= qc->height) return 0;
    return qc->flags[(size_t)j * (size_t)qc->width + (size_t)i];
}

/* Of several artefacts the one later in the list shows: dirt over ink over blur. */
static int shown(unsigned flags)
{
    for (int k = MT_QC_N - 1; k >= 0; k--)
        if (flags >> k & 1) return k;
    return -1;
}

static void overlay(mt_ground *g, const mt_qc *qc, int32_t outline)
{
    for (int32_t j = 0; j < g->picture.h; j++)
        for (int32_t i = 0; i < g->picture.w; i++) {
            double x = (i + 0.5) * g->l0_x, y = (j + 0.5) * g->l0_y;
            unsigned f = flags_at(qc, x, y);
            int k = shown(f);
            if (k >= 0) mt_canvas_box(&g->picture, i, j, 1, 1, kinds[k].colour, 140);
            if (k != shown(flags_at(qc, x + g->l0_x, y)) || k != shown(flags_at(qc, x, y + g->l0_y))) {
                int edge = k >= 0 ? k : MT_MAX(shown(flags_at(qc, x + g->l0_x, y)), shown(flags_at(qc, x, y + g->l0_y)));
                mt_canvas_box(&g->picture, i, j, outline, outline, kinds[edge].colour, 256);
            }
            unsigned t = f & MT_QC_TISSUE;
            if (t != (flags_at(qc, x + g->l0_x, y) & MT_QC_TISSUE) ||
                t != (flags_at(qc, x, y + g->l0_y) & MT_QC_TISSUE))
                mt_canvas_box(&g->picture, i, j, outline, outline, ink, 200);
        }
}

/* Without the slide: its tissue on white. */
static mt_status bare_ground(mt_ground *g, const mt_qc *qc, mt_err *err)
{
    int32_t step = (MT_MAX(qc->width, qc->height) + 2047) / 2048;
    const mt_colour_rgb tissue = {238, 219, 230};
    g->l0_x = g->l0_y = step * qc->px_l0;
    MT_TRY(mt_canvas_new(&g->picture, (qc->width + step - 1) / step, (qc->height + step - 1) / step, err));
    for (int32_t j = 0; j < g->picture.h; j++)
        for (int32_t i = 0; i < g->picture.w; i++)
            if (flags_at(qc, (i + 0.5) * g->l0_x, (j + 0.5) * g->l0_y) & MT_QC_TISSUE)
                mt_canvas_box(&g->picture, i, j, 1, 1, tissue, 256);
    return MT_OK;
}

static mt_status make_ground(mt_ground *g, const mt_qc *qc, const mt_slide *slide, mt_err *err)
{
    if (!slide) return bare_ground(g, qc, err);
    MT_AUTO_FREE mt_result *r = NULL;
    MT_TRY(mt_alloc(&r, 1, sizeof *r, sizeof *r, "picture", err));
    r->slide = *mt_slide_get_info(slide);
    return mt_ground_make(g, r, slide, err);
}

/* ---- words; c NULL only measures ---- */

static int32_t header(mt_canvas *c, const layout *l, const mt_qc_verdict *v)
{
    int32_t y = l->margin, w = l->width - 2 * l->margin;
    char text[64];
    snprintf(text, sizeof text, "Quality control%s%s", v ? ": " : "", v ? mt_qc_verdict_name(v->kind) : "");
    y += mt_canvas_paragraph(c, l->margin, y, w, l->scale + 1,
                             !v ? ink : v->kind == MT_QC_REJECT ? alarm : v->kind == MT_QC_WARN ? amber : good, text);
    y += 2 * l->scale;
    if (v && v->reason[0]) y += mt_canvas_paragraph(c, l->margin, y, w, l->scale, ink, v->reason);
    return y - l->margin;
}

static int32_t row(mt_canvas *c, const layout *l, int32_t y, const mt_colour_rgb *colour, const char *name,
                   const char *value, bool dim)
{
    int32_t s = l->scale, x = l->panel_x + 13 * s;
    if (c && colour) {
        mt_canvas_box(c, l->panel_x, y, 9 * s, 8 * s, *colour, 256);
        mt_canvas_frame(c, l->panel_x, y, 9 * s, 8 * s, MT_MAX(s / 2, 1), ink);
    }
    int32_t h = mt_canvas_paragraph(c, x, y + s / 2, l->panel_w - 13 * s, s, dim ? quiet : ink, name);
    h += mt_canvas_paragraph(c, x, y + s / 2 + h, l->panel_w - 13 * s, s, quiet, value);
    return h + 5 * s;
}

static int32_t panel(mt_canvas *c, const layout *l, const mt_qc *qc, int32_t top)
{
    const mt_qc_figures *g = &qc->figures;
    int32_t y = top;
    char text[96];
    for (int k = 0; k < MT_QC_N; k++) {
        if (isfinite(g->share[k]))
            snprintf(text, sizeof text, "%.1f %% of tissue, %.2f mm2", 100 * g->share[k], g->area_mm2[k]);
        else
            snprintf(text, sizeof text, "not measured");
        y += row(c, l, y, &kinds[k].colour, kinds[k].words, text, !(g->area_mm2[k] > 0));
    }
    y += 4 * l->scale;
    snprintf(text, sizeof text, "%.2f mm2 in %d piece%s", g->tissue_mm2, g->n_pieces, g->n_pieces == 1 ? "" : "s");
    y += row(c, l, y, NULL, "tissue", text, false);
    if (isfinite(g->usable_share)) {
        snprintf(text, sizeof text, "%.2f mm2, %.1f %%", g->usable_mm2, 100 * g->usable_share);
        y += row(c, l, y, NULL, "usable", text, false);
    }
    if (isfinite(g->focus_p50)) {
        snprintf(text, sizeof text, "median %.2f, 5 %% below %.2f, 95 %% below %.2f (0 blurred, 0.3 to 0.65 sharp)",
                 g->focus_p50, g->focus_p05, g->focus_p95);
        y += row(c, l, y, NULL, "sharpness", text, false);
    } else {
        y += row(c, l, y, NULL, "sharpness",
                 g->focus_mpp > 0 || !(g->tissue_mm2 > 0) ? "no tissue to measure" : "slide too coarse to measure", true);
    }
    return y - top;
}

static void paste(mt_canvas *c, const mt_canvas *from, int32_t x, int32_t y)
{
    for (int32_t j = 0; j < from->h; j++)
        memcpy(c->rgb + ((size_t)(y + j) * (size_t)c->w + (size_t)x) * 3, from->rgb + (size_t)j * (size_t)from->w * 3,
               (size_t)from->w * 3);
    mt_canvas_frame(c, x - 1, y - 1, from->w + 2, from->h + 2, 1, line);
}

static void ground_free(mt_ground *g)
{
    mt_canvas_free(&g->picture);
}

mt_status mt_qc_write_png(const mt_qc *qc, const mt_slide *slide, const mt_qc_verdict *verdict, const char *path,
                          mt_err *err)
{
    MT_AUTO(ground_free) mt_ground g = {0};
    MT_AUTO(mt_canvas_free) mt_canvas c = {0};
    MT_AUTO(mt_buf_free) mt_buf png = MT_BUF_INIT((size_t)128 << 20);
    MT_TRY(make_ground(&g, qc, slide, err));
    int32_t longest = MT_MAX(g.picture.w, g.picture.h);
    layout l = {.scale = longest >= 1400 ? 3 : 2};
    l.margin = 12 * l.scale;
    l.panel_w = 24 * 6 * l.scale;
    l.panel_x = l.margin + MT_MAX(g.picture.w, 200) + 2 * l.margin;
    l.width = l.panel_x + l.panel_w + l.margin;
    l.slide_y = l.margin + header(NULL, &l, verdict) + l.margin / 2;
    int32_t h = MT_MAX(g.picture.h, panel(NULL, &l, qc, 0));
    MT_TRY(mt_canvas_new(&c, l.width, l.slide_y + h + l.margin, err));
    overlay(&g, qc, longest >= 1000 ? 2 : 1);
    header(&c, &l, verdict);
    paste(&c, &g.picture, l.margin, l.slide_y);
    panel(&c, &l, qc, l.slide_y);
    MT_TRY(mt_png_encode(&png, c.rgb, (size_t)c.w * 3, c.w, c.h, 3, err));
    return mt_file_write(path, png.data, png.len, err);
}

/* A result without quality control has no such picture. */
mt_status mt_write_qc(const mt_result *r, const mt_slide *slide, const char *out_dir, mt_err *err)
{
    MT_AUTO_FREE char *path = NULL;
    if (!r->qc) return MT_OK;
    MT_TRY(mt_result_path(&path, out_dir, r->stem, "qc.png", err));
    return mt_qc_write_png(r->qc, slide, &r->qc_verdict, path, err);
}
