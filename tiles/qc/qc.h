/* Inside quality control: the passes over one slide, in their order. */
#ifndef MT_TILES_QC_H
#define MT_TILES_QC_H

#include "microtome/qc.h"
#include "tiles/tissue/evidence.h"

/* What is grey: opaque dirt (DARK), thick black strokes (PEN), rims of bubbles with what they enclose
 * (BUBBLE), long straight lines (EDGE). */
MT_MUST_USE mt_status qc_find_grey(mt_qc *qc, const evidence *e, mt_err *err);

/* Narrow bands where the tissue is far denser than around and than is usual: FOLD. */
MT_MUST_USE mt_status qc_find_folds(mt_qc *qc, const evidence *e, mt_err *err);

/* Median density of what is tissue and not hidden, in the unit of the evidence. */
double qc_usual_density(const mt_qc *qc, const evidence *e);

/* Sharpness of the tissue; FOCUS where it is less than focus_min. Fills the figures of the focus. */
MT_MUST_USE mt_status qc_measure_focus(mt_qc *qc, const mt_slide *slide, int threads,
                                       double focus_min, mt_err *err);

/* Figures from the finished flags; sets GROUND. */
MT_MUST_USE mt_status qc_figures(mt_qc *qc, mt_err *err);

/* What hides tissue from the eye of a network or a focus measure. */
enum { QC_HIDES = MT_QC_PEN | MT_QC_BUBBLE | MT_QC_EDGE | MT_QC_DARK };

#endif
