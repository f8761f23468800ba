/* Rule 7: a model runs where its card says, or says that it did not. */
#ifndef MT_ENGINE_SCOPE_H
#define MT_ENGINE_SCOPE_H

#include "microtome/grade.h"

typedef struct mt_scope {
    int outside;    /* 1: the slide contradicts the card and a reason was given */
    int unverified; /* 1: the card declares something the slide is silent about */
    char text[160]; /* what, for a warning; "" when all is verified */
} mt_scope;

/* Holds what the slide says of itself against what the card declares. Stain, organ and scanner are
 * compared without case and punctuation; a card may list several, separated by | or ;.
 * Contradiction: SCOPE, unless reason is given (not NULL, not ""). Texts name the field and the
 * card's word, never the slide's. */
MT_MUST_USE mt_status mt_scope_check(mt_scope *out, const mt_card *card, const mt_slide_info *slide,
                                     const char *reason, mt_err *err);

#endif
