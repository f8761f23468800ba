/* How well a run's tile scores agree with the exact truth of a synthetic slide. */
#ifndef MT_TOOLS_AGREEMENT_H
#define MT_TOOLS_AGREEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include "microtome/synth.h"

typedef struct mt_agreement {
    size_t n_tiles;          /* tiles compared */
    size_t n_positive;       /* of these, at least half of the class by the truth: the label */
    double auc;              /* score against label, ties by midranks; NaN with one label only */
    double dice_tiles;       /* label against score >= threshold, in tiles */
    double dice_area;        /* exact shape against the area of positive tiles */
    double dice_area_labels; /* the same for tiles positive by label: what whole tiles can say */
    double predicted_mm2, truth_mm2, inside_mm2; /* truth and overlap within the tiles compared */
} mt_agreement;

/* Reads a WSInfer CSV (minx,miny,width,height,prob_<class>...) of the slide that opts describe and
 * compares column prob_<class> (any case) with the truth of cls. FORMAT names the line at fault. */
MT_MUST_USE mt_status mt_agreement_read(mt_agreement *out, const char *csv,
                                        const mt_synth_opts *opts, int cls, double threshold,
                                        mt_err *err);

/* Area under the ROC curve by midranks; NaN unless both labels occur. Sorts nothing of the
 * caller's. */
MT_MUST_USE mt_status mt_agreement_auc(double *out, const double *score, const unsigned char *label,
                                       size_t n, mt_err *err);

#endif
