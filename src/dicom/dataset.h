/* A data set as a tree, for those who want to ask instead of to listen: headers of slides, messages
 * of the network node, the plan of a de-identification. Values stay where they are and are pointed
 * at; the tree holds only where everything is. What a million items cost here is memory: who
 * streams uses dicom/read.h. */
#ifndef MT_DICOM_DATASET_H
#define MT_DICOM_DATASET_H

#include "dicom/read.h"

/* An element, an item or the data set itself. */
typedef struct mt_dcm_node {
    mt_dcm_element e; /* event ELEMENT, SEQUENCE, PIXELS; ITEM for items and the root */
    const struct mt_dcm_node *parent; /* NULL for the root */
    struct mt_dcm_node
        *child;   /* items of a sequence, elements of an item; in the order of the bytes */
    uint32_t n;   /* of them; PIXELS: fragments, not kept, table included */
    uint64_t end; /* offset of the first byte behind it, delimiter included */
} mt_dcm_node;

typedef struct mt_dcm_dataset mt_dcm_dataset;

typedef struct mt_dcm_load_opts {
    size_t max_elements;    /* elements and items; 0: a million */
    size_t max_bytes;       /* of the tree; 0: 256 MiB */
    mt_dcm_tag stop;        /* leaves out this top-level tag and all behind it; 0: none */
    const mt_dcm_tag *skip; /* sequences to locate without what is in them, at any depth */
    size_t n_skip;
    bool enter_un; /* sequences hidden in UN become sequences (their vr stays UN) */
} mt_dcm_load_opts;

/* Reads from where the reader stands to the end of what is open there, end event included: the data
 * set, or after the event ITEM that item (so that a long sequence can be taken item by item). The
 * reader (its inflated bytes) and the bytes must outlive the tree. opts may be NULL. LIMIT when a
 * ceiling would be passed. */
MT_MUST_USE mt_status mt_dcm_dataset_load(mt_dcm_dataset **out, mt_dcm_reader *reader,
                                          const mt_dcm_load_opts *opts, mt_err *err);
void mt_dcm_dataset_free(mt_dcm_dataset **set);
const mt_dcm_node *mt_dcm_dataset_root(const mt_dcm_dataset *set);

/* The element with this tag in the root or an item (of equal ones the first); NULL when there is
 * none, or `in` is NULL or a sequence. */
const mt_dcm_node *mt_dcm_find(const mt_dcm_node *in, mt_dcm_tag tag);

/* Item i of a sequence; NULL when there is none or `sequence` is NULL. */
const mt_dcm_node *mt_dcm_item(const mt_dcm_node *sequence, size_t i);

/* tags[0], item 0 of it, tags[1] in that, and so on. */
const mt_dcm_node *mt_dcm_find_path(const mt_dcm_node *in, const mt_dcm_tag *tags, size_t n);

/* The node behind this one, depth first, below `top` (NULL when that was the last): every element
 * once. */
const mt_dcm_node *mt_dcm_walk(const mt_dcm_node *top, const mt_dcm_node *at);

#endif
