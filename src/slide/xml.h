/* XML of slide files as a small tree.
 *
 * Parsed by expat, with namespaces. The text comes from a slide, so it is bounded: documents with a
 * DOCTYPE are refused (no entity is ever expanded), and so are those that nest too deep or grow past
 * the ceiling. Names and values live as long as the tree. */
#ifndef MT_SLIDE_XML_H
#define MT_SLIDE_XML_H

#include "base/mem.h"

#define MT_XML_MAX_BYTES ((size_t)64 << 20)
#define MT_XML_MAX_DEPTH 64

typedef struct mt_xml_attr {
    const char *name, *value;
} mt_xml_attr; /* name without prefix */

typedef struct mt_xml_node {
    const char *name;  /* without prefix */
    const char *space; /* namespace, "" when none */
    const mt_xml_attr *attrs;
    int n_attrs;
    const char *text; /* of an element without children; "" when none */
    size_t n_text;
    struct mt_xml_node *parent, *first, *last, *next;
} mt_xml_node;

typedef struct mt_xml {
    mt_arena arena;
    mt_xml_node *root;
} mt_xml;

/* FORMAT names line and column of `what`; LIMIT. Nothing of the text is in the error. *out is
 * released with mt_xml_free, after a failure too. */
MT_MUST_USE mt_status mt_xml_parse(mt_xml *out, const void *text, size_t n, const char *what,
                                   mt_err *err);
void mt_xml_free(mt_xml *x);

/* First child, next sibling of this name; NULL when there is none. name NULL: of any name. */
const mt_xml_node *mt_xml_child(const mt_xml_node *node, const char *name);
const mt_xml_node *mt_xml_next(const mt_xml_node *node, const char *name);

/* An attribute's value, NULL when absent. */
const char *mt_xml_attr_of(const mt_xml_node *node, const char *name);

/* Text of the first child of this name, NULL without such a child. */
const char *mt_xml_text_of(const mt_xml_node *node, const char *name);

/* Next element of this name in the order of the document, below `root`; begin with after = root. */
const mt_xml_node *mt_xml_walk(const mt_xml_node *root, const mt_xml_node *after, const char *name);

#endif
