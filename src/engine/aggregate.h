/* From tile scores to one number a class and areas in mm2.
 *
 * Area of a tile: its stride cell, [x, x + s) x [y, y + s) with s = min(step_l0, box_l0), clipped
 * to the slide. Cells of a grid never overlap, so under overlap no point is counted twice and edge
 * tiles count by their part inside the slide. (Under overlap the rim of the outermost kept tiles
 * lies outside any kept cell and is not counted.) All sums run in plan order in double: threads
 * never change a bit. */
#ifndef MT_ENGINE_AGGREGATE_H
#define MT_ENGINE_AGGREGATE_H

#include "microtome/grade.h"

/* The scores of one slide as they lie in memory. */
typedef struct mt_scores {
    const mt_plan *plan;
    const mt_slide_info *slide;
    const float *probs;   /* n_tiles x n_classes */
    const uint8_t *state; /* n_tiles */
    int n_classes;
} mt_scores;

/* mm2 of the tile's stride cell inside the slide. */
double mt_tile_area_mm2(const mt_plan *plan, const mt_slide_info *slide, size_t tile);

/* Fills one mt_class_grade. analysed_mm2 as mt_scores_analysed gives it. NO_MEMORY only. */
MT_MUST_USE mt_status mt_class_aggregate(mt_class_grade *out, const mt_scores *s, int cls,
                                         double threshold, int topk, double analysed_mm2,
                                         mt_err *err);

/* Sum of the areas of the DONE tiles. */
double mt_scores_analysed(const mt_scores *s);

/* The class with the highest score of a tile; the lowest index of equals. */
int mt_tile_argmax(const float *probs, int n_classes);

/* Tissue of the slide (inside the ROI when roi_path is given) and the share of it that lies under a
 * DONE tile, counted mask pixel by mask pixel at their centres: never above 1. Without tissue the
 * share is 0. */
MT_MUST_USE mt_status mt_tissue_coverage(double *tissue_mm2, double *share, const mt_scores *s,
                                         const mt_tissue *tissue, const char *roi_path,
                                         mt_err *err);

#endif
