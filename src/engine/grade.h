/* The slide-level result from tile scores. Formulas: microtome/grade.h and engine/aggregate.h. */
#ifndef MT_ENGINE_GRADE_H
#define MT_ENGINE_GRADE_H

#include "engine/aggregate.h"

#define MT_GRADE_TOPK 10      /* default k of the slide-level score */
#define MT_GRADE_MAX_BAD 0.01 /* share of unreadable or NaN tiles, of those not excluded, above which there is no grade */

/* Grades one slide. Threshold: the card's first, 0.5 when it has none. Score: top-k mean of the
 * positive class. A card of one class needs no positive_class; a card of several that names none is
 * decided by the class of the largest area (the first of equals) and scored by that class's mean.
 * No tile, no tile done, or too many bad ones: graded = 0 with the reason, every number of the
 * classes, score and area is NaN ("not analysed" is never 0). */
MT_MUST_USE mt_status mt_grade_make(mt_grade *out, const mt_card *card, const mt_scores *s,
                                    const mt_tissue *tissue, const char *roi_path, int topk,
                                    mt_err *err);

/* The grade of a slide that was not analysed, for whatever reason. Counts and areas already in *out
 * (zero it first) are left as they are. */
void mt_grade_none(mt_grade *out, const mt_card *card, const char *reason);

#endif
