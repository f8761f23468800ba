/* heatmap.png: the heatmap over the slide, with all a reader needs to read it. */
#ifndef MT_RESULTS_PICTURE_H
#define MT_RESULTS_PICTURE_H

#include "results/heat.h"

/* heat may be NULL (a slide whose size is not known): then only the words are drawn. */
MT_MUST_USE mt_status mt_picture_write(const mt_heat *heat, const mt_result *r,
                                       const mt_slide *slide, const char *path, mt_err *err);

#endif
