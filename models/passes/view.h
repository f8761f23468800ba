/* A tensor seen as places in another one: what a chain of Reshape, Transpose, Slice, Split, Gather
 * of one index and multiplications by a number does to it, without moving anything. */
#ifndef MT_MODELS_PASSES_VIEW_H
#define MT_MODELS_PASSES_VIEW_H

#include "models/graph.h"

enum { MT_VIEW_FACTORS = 8 };

typedef struct mt_view_dim { /* outer to inner */
    int n;
    int64_t size[MT_VIEW_FACTORS], stride[MT_VIEW_FACTORS];
} mt_view_dim;

typedef struct mt_view {
    int root;     /* the value that holds the floats */
    int64_t base; /* place of the first element in it */
    float scale;
    int rank;
    mt_view_dim dim[MT_MAX_DIMS];
} mt_view;

/* Value v as a view of the farthest value it can be followed to. */
void mt_view_trace(mt_view *v, mt_graph *g, int value);
/* Value v as itself. */
void mt_view_fresh(mt_view *v, const mt_graph *g, int value);
/* Where the elements of value `from` lie in value `to`, which views make of it (`steps` nodes, the
 * last one makes `to`). */
bool mt_view_inverse(mt_view *v, mt_graph *g, int from, mt_node *const *chain, int steps);
/* Places of all indices over dimensions [lo, hi), row-major, *n of them; arena memory. */
MT_MUST_USE mt_status mt_view_places(int64_t **at, int64_t *n, const mt_view *v, int lo, int hi,
                                     int64_t start, mt_graph *g, mt_err *err);
/* The floats along dimension d stand together. */
bool mt_view_together(const mt_view *v, int d);
/* A node a view can be seen through (or scaled through, with `scale`). */
bool mt_view_passes(const mt_graph *g, const mt_node *n);

#endif
