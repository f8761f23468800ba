/* A learned tissue mask: a network of task `tissue` over the slide. */
#ifndef MT_ENGINE_TISSUE_MODEL_H
#define MT_ENGINE_TISSUE_MODEL_H

#include "microtome/model.h"
#include "microtome/tiles.h"

/* Class that is tissue: the card's positive class, the only one, or the one called tissue. CARD
 * when there is none, or the task is another. */
MT_MUST_USE mt_status mt_tissue_model_class(int *out, const mt_model *model, mt_err *err);
double mt_tissue_model_threshold(const mt_card *card);

/* Replaces the mask of `tissue`. A mask pixel is tissue when the network's output for the class,
 * read bilinearly at the pixel's centre, reaches the threshold. The same for any number of
 * threads. NUMERIC when the output is NaN or Inf. */
MT_MUST_USE mt_status mt_tissue_model_run(mt_tissue *tissue, const mt_model *model,
                                          const mt_slide *slide, int threads, mt_err *err);

#endif
