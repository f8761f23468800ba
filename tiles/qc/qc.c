/* Quality control of one slide: the passes in their order, the figures, boxes. */
#include "tiles/qc/qc.h"

#include <math.h>
#include <string.h>
#include "base/file.h"
#include "codec/encode.h"
#include "tiles/tissue/average.h"
#include "tiles/tissue/shapes.h"

const char *mt_qc_name(int i)
{
    static const char *const names[MT_QC_N] = {"focus", "pen", "fold", "bubble", "edge", "dark"};
    return i >= 0 && i < MT_QC_N ? names[i] : NULL;
}

void mt_qc_free(mt_qc **qc)
{
    if (!qc || !*qc) return;
    free((*qc)->flags);
    free(*qc);
    *qc = NULL;
}

/* ---- evidence of a tissue that came without ---- */

static void take_row(void *ctx, int32_t row, const uint8_t *rgb)
{
    evidence_row(ctx, row, rgb);
}

static mt_status gather(evidence **out, const mt_slide *slide, const mt_tissue *t, int threads, mt_err *err)
{
    MT_AUTO(evidence_free) evidence *e = NULL;
    average_grid grid = {t->px_l0, t->width, t->height, NULL};
    int level;
    MT_TRY(evidence_new(&e, t->width, t->height, true, err));
    MT_TRY(average_down(&level, slide, &grid, threads, take_row, e, err));
    MT_TRY(evidence_find_ink(e, t->mask_mpp, err));
    *out = mt_steal(e);
    return MT_OK;
}

/* ---- figures ---- */

/* What an artefact hides counts as tissue where tissue lies on both sides of it, in its row or its
 * column: a pen ring around a biopsy hides nothing, a stroke across it does. */
static void ground_line(mt_qc *qc, size_t first, size_t step, int32_t n)
{
    const uint8_t hides = QC_HIDES;
    int32_t last = -1; /* last tissue pixel */
    for (int32_t i = 0; i < n; i++) {
        uint8_t *f = &qc->flags[first + (size_t)i * step];
        if (*f & MT_QC_TISSUE) {
            for (int32_t k = last + 1; last >= 0 && k < i; k++)
                qc->flags[first + (size_t)k * step] |= MT_QC_GROUND;
            *f |= MT_QC_GROUND;
            last = i;
        } else if (!(*f & hides)) {
            last = -1;
        }
    }
}

static void lay_ground(mt_qc *qc)
{
    for (int32_t y = 0; y < qc->height; y++)
        ground_line(qc, (size_t)y * (size_t)qc->width, 1, qc->width);
    for (int32_t x = 0; x < qc->width; x++)
        ground_line(qc, (size_t)x, (size_t)qc->width, qc->height);
}

static mt_status measure_pieces(mt_qc *qc, mt_err *err)
{
    MT_AUTO_FREE uint8_t *mask = NULL;
    MT_AUTO(shapes_free) shapes s = {0};
    mt_qc_figures *g = &qc->figures;
    size_t n = (size_t)qc->width * (size_t)qc->height;
    double px_mm2 = qc->mask_mpp * qc->mask_mpp * 1e-6;
    MT_TRY(mt_alloc(&mask, n, 1, SIZE_MAX, "tissue pieces", err));
    for (size_t i = 0; i < n; i++)
        mask[i] = (qc->flags[i] & MT_QC_GROUND) != 0;
    MT_TRY(shapes_find(&s, mask, qc->width, qc->height, true, err));
    g->n_pieces = (int)s.n_pieces;
    for (uint32_t i = 0; i < s.n_runs; i++) {
        if (s.runs[i].piece != i) continue;
        double area = s.area[i] * px_mm2;
        int at = MT_QC_TOP_PIECES;
        while (at > 0 && area > g->piece_mm2[at - 1])
            at--;
        if (at == MT_QC_TOP_PIECES) continue;
        memmove(&g->piece_mm2[at + 1], &g->piece_mm2[at],
                (size_t)(MT_QC_TOP_PIECES - 1 - at) * sizeof g->piece_mm2[0]);
        g->piece_mm2[at] = area;
    }
    return MT_OK;
}

mt_status qc_figures(mt_qc *qc, mt_err *err)
{
    mt_qc_figures *g = &qc->figures;
    uint64_t ground = 0, usable = 0, area[MT_QC_N] = {0}, hidden[MT_QC_N] = {0};
    size_t n = (size_t)qc->width * (size_t)qc->height;
    double px_mm2 = qc->mask_mpp * qc->mask_mpp * 1e-6;
    lay_ground(qc);
    for (size_t i = 0; i < n; i++) {
        unsigned f = qc->flags[i], bits = f & ((1u << MT_QC_N) - 1);
        bool on = f & MT_QC_GROUND;
        ground += on;
        usable += on && !bits;
        for (int k = 0; bits >> k; k++) {
            area[k] += bits >> k & 1;
            hidden[k] += on && (bits >> k & 1);
        }
    }
    g->tissue_mm2 = (double)ground * px_mm2;
    g->usable_mm2 = (double)usable * px_mm2;
    g->usable_share = ground ? (double)usable / (double)ground : NAN;
    for (int k = 0; k < MT_QC_N; k++) {
        g->area_mm2[k] = (double)area[k] * px_mm2;
        if (k > 0) g->share[k] = ground ? (double)hidden[k] / (double)ground : NAN; /* focus: as measured */
    }
    return measure_pieces(qc, err);
}

/* ---- the passes ---- */

static mt_status look(mt_qc *qc, const mt_slide *slide, const mt_tissue *t, const evidence *e,
                      const mt_qc_opts *o, mt_err *err)
{
    size_t n = (size_t)qc->width * (size_t)qc->height;
    for (size_t i = 0; i < n; i++)
        qc->flags[i] = (uint8_t)((t->mask[i] ? MT_QC_TISSUE : 0) | (e->code[i] == EVIDENCE_INK ? MT_QC_PEN : 0));
    MT_TRY(qc_find_grey(qc, e, err));
    MT_TRY(qc_find_folds(qc, e, err));
    MT_TRY(qc_measure_focus(qc, slide, o->threads, o->focus_min, err));
    return qc_figures(qc, err);
}

mt_status mt_qc_detect(mt_qc **out, const mt_slide *slide, const mt_tissue *t, const mt_qc_opts *o, mt_err *err)
{
    *out = NULL;
    if (o->version != 1 || o->threads < 1 || !(o->focus_min >= 0 && o->focus_min <= 1))
        return mt_err_set(err, MT_ERR_ARG, "quality control with %d threads and a least sharpness of %g", o->threads,
                          o->focus_min);
    if (!t || !t->mask || t->width < 1 || t->height < 1 || !(t->px_l0 > 0) || !(t->mask_mpp > 0))
        return mt_err_set(err, MT_ERR_ARG, "quality control without a tissue mask");
    MT_AUTO(evidence_free) evidence *own = NULL;
    MT_AUTO(mt_qc_free) mt_qc *qc = NULL;
    const mt_level *l0 = &mt_slide_get_info(slide)->levels[0];
    const evidence *e = t->evidence;
    if (!e || !e->dens || e->width != t->width || e->height != t->height) {
        MT_TRY(gather(&own, slide, t, o->threads, err));
        e = own;
    }
    MT_TRY(mt_alloc(&qc, 1, sizeof *qc, sizeof *qc, "quality control", err));
    qc->width = t->width;
    qc->height = t->height;
    qc->px_l0 = t->px_l0;
    qc->mask_mpp = t->mask_mpp;
    qc->slide_w = l0->width;
    qc->slide_h = l0->height;
    MT_TRY(mt_alloc(&qc->flags, (size_t)t->width * (size_t)t->height, 1, SIZE_MAX, "quality control", err));
    MT_TRY(look(qc, slide, t, e, o, err));
    *out = mt_steal(qc);
    return MT_OK;
}

/* ---- boxes ---- */

unsigned mt_qc_flags(const mt_qc *qc, double x_l0, double y_l0, double w_l0, double h_l0, double share)
{
    double s = 1 / qc->px_l0;
    /* pixels whose middle lies in the box; a box smaller than a pixel asks the pixel it lies in */
    int64_t x0 = (int64_t)ceil(x_l0 * s - 0.5), x1 = (int64_t)ceil((x_l0 + w_l0) * s - 0.5);
    int64_t y0 = (int64_t)ceil(y_l0 * s - 0.5), y1 = (int64_t)ceil((y_l0 + h_l0) * s - 0.5);
    if (x1 <= x0) x1 = (x0 = (int64_t)floor((x_l0 + w_l0 / 2) * s)) + 1;
    if (y1 <= y0) y1 = (y0 = (int64_t)floor((y_l0 + h_l0 / 2) * s)) + 1;
    x0 = MT_MAX(x0, 0);
    y0 = MT_MAX(y0, 0);
    x1 = MT_MIN(x1, qc->width);
    y1 = MT_MIN(y1, qc->height);
    if (x1 <= x0 || y1 <= y0) return 0;
    uint64_t all = (uint64_t)(x1 - x0) * (uint64_t)(y1 - y0), ground = 0, n[MT_QC_N] = {0}, on[MT_QC_N] = {0};
    for (int64_t y = y0; y < y1; y++)
        for (int64_t x = x0; x < x1; x++) {
            unsigned f = qc->flags[(size_t)y * (size_t)qc->width + (size_t)x], bits = f & ((1u << MT_QC_N) - 1);
            bool g = f & MT_QC_GROUND;
            ground += g;
            for (int k = 0; bits >> k; k++) {
                n[k] += bits >> k & 1;
                on[k] += g && (bits >> k & 1);
            }
        }
    unsigned out = 0;
    for (int k = 0; k < MT_QC_N; k++)
        if ((n[k] && (double)n[k] >= share * (double)all) || (on[k] && (double)on[k] >= share * (double)ground))
            out |= 1u << k;
    return out;
}

mt_status mt_qc_write_mask(const mt_qc *qc, const char *path, mt_err *err)
{
    MT_AUTO(mt_buf_free) mt_buf png = MT_BUF_INIT((size_t)1 << 30);
    MT_TRY(mt_png_encode(&png, qc->flags, (size_t)qc->width, qc->width, qc->height, 1, err));
    MT_TRY(mt_buf_status(&png, "quality mask", err));
    return mt_file_write(path, png.data, png.len, err);
}
