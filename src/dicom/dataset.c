#include "dicom/dataset.h"

#include <string.h>

/* Children of a node grow at the end of one list a level while it is open and move to the arena,
 * packed, when it closes. */
typedef struct level {
    mt_dcm_node *node;
    size_t n, cap;
} level;

struct mt_dcm_dataset {
    mt_arena arena;
    mt_dcm_node root;
};

enum { LEVELS = 2 * MT_DCM_MAX_DEPTH + 2 };

typedef struct loader {
    mt_dcm_dataset *set;
    mt_dcm_reader *reader;
    mt_dcm_load_opts opts;
    level levels[LEVELS];
    int top; /* levels[top] holds the children of what is open */
    size_t total;
} loader;

static mt_status no_room(const loader *l, mt_err *err)
{
    return mt_err_set(err, MT_ERR_LIMIT, "data set: more than %zu elements or %zu bytes of tree",
                      l->opts.max_elements, l->opts.max_bytes);
}

static mt_status add(loader *l, const mt_dcm_element *e, uint64_t end, mt_err *err)
{
    level *v = &l->levels[l->top];
    if (++l->total > l->opts.max_elements) return no_room(l, err);
    if (v->n == v->cap) {
        const size_t cap = v->cap ? v->cap * 2 : 16;
        if (cap * sizeof *v->node > l->opts.max_bytes) return no_room(l, err);
        mt_dcm_node *bigger = realloc(v->node, cap * sizeof *bigger);
        if (!bigger) return mt_err_set(err, MT_ERR_NO_MEMORY, "data set of %zu elements", l->total);
        v->node = bigger;
        v->cap = cap;
    }
    v->node[v->n++] = (mt_dcm_node){.e = *e, .end = end};
    return MT_OK;
}

/* Packs the children of the open node, which is the last of the level above or the root. */
static mt_status settle(loader *l, mt_dcm_node *node, mt_err *err)
{
    level *v = &l->levels[l->top];
    node->n = (uint32_t)v->n;
    if (!v->n) return MT_OK;
    node->child = mt_arena_alloc(&l->set->arena, v->n * sizeof *v->node);
    if (!node->child) return no_room(l, err);
    memcpy(node->child, v->node, v->n * sizeof *v->node);
    for (size_t i = 0; i < v->n; i++)
        for (size_t k = 0; k < node->child[i].n && node->child[i].child; k++)
            node->child[i].child[k].parent = &node->child[i];
    v->n = 0;
    return MT_OK;
}

static mt_dcm_node *last_of(loader *l, int top)
{
    level *v = &l->levels[top];
    return &v->node[v->n - 1];
}

static bool is_skipped(const loader *l, mt_dcm_tag tag)
{
    for (size_t i = 0; i < l->opts.n_skip; i++)
        if (l->opts.skip[i] == tag) return true;
    return false;
}

/* Pixel data is located and its fragments are counted. */
static mt_status pass_fragments(loader *l, mt_err *err)
{
    mt_dcm_element e;
    do {
        MT_TRY(mt_dcm_next(&e, l->reader, err));
    } while (e.event == MT_DCM_FRAGMENT);
    last_of(l, l->top)->n = e.item;
    return MT_OK;
}

/* Begins the list of children of the node added last, or leaves them out. */
static mt_status descend(loader *l, const mt_dcm_element *e, mt_err *err)
{
    if (e->event == MT_DCM_PIXELS)
        MT_TRY(pass_fragments(l, err));
    else if (e->event == MT_DCM_SEQUENCE && is_skipped(l, e->tag))
        MT_TRY(mt_dcm_skip(l->reader, err));
    else {
        l->top++;
        return MT_OK;
    }
    last_of(l, l->top)->end = mt_dcm_tell(l->reader);
    return MT_OK;
}

static mt_status ascend(loader *l, mt_err *err)
{
    mt_dcm_node *node = last_of(l, l->top - 1);
    MT_TRY(settle(l, node, err));
    node->end = mt_dcm_tell(l->reader);
    l->top--;
    return MT_OK;
}

static mt_status load(loader *l, mt_err *err)
{
    for (;;) {
        mt_dcm_element e;
        MT_TRY(mt_dcm_next(&e, l->reader, err));
        if (e.event == MT_DCM_END || (l->opts.stop && !l->top && e.tag >= l->opts.stop)) break;
        if (e.event == MT_DCM_FRAGMENT) continue; /* the reader stood in the midst of them */
        if (e.event == MT_DCM_ITEM_END || e.event == MT_DCM_SEQUENCE_END ||
            e.event == MT_DCM_PIXELS_END) {
            if (l->top == 0) break;
            MT_TRY(ascend(l, err));
            continue;
        }
        if (l->opts.enter_un && mt_dcm_hides_items(&e) && !is_skipped(l, e.tag) &&
            mt_dcm_enter(l->reader, &e, NULL) == MT_OK)
            e.event = MT_DCM_SEQUENCE;
        MT_TRY(add(l, &e, mt_dcm_tell(l->reader), err));
        if (e.event != MT_DCM_ELEMENT) MT_TRY(descend(l, &e, err));
    }
    mt_dcm_node *root = &l->set->root;
    MT_TRY(settle(l, root, err));
    for (size_t i = 0; i < root->n; i++)
        root->child[i].parent = root;
    root->e.event = MT_DCM_ITEM;
    root->end = mt_dcm_tell(l->reader);
    return MT_OK;
}

mt_status mt_dcm_dataset_load(mt_dcm_dataset **out, mt_dcm_reader *reader,
                              const mt_dcm_load_opts *opts, mt_err *err)
{
    MT_AUTO(mt_dcm_dataset_free) mt_dcm_dataset *set = NULL;
    *out = NULL;
    MT_TRY(mt_alloc(&set, 1, sizeof *set, sizeof *set, "data set", err));
    loader l = {.set = set, .reader = reader};
    if (opts) l.opts = *opts;
    if (!l.opts.max_elements) l.opts.max_elements = 1000000;
    if (!l.opts.max_bytes) l.opts.max_bytes = (size_t)256 << 20;
    set->arena.ceiling = l.opts.max_bytes;
    const mt_status st = load(&l, err);
    for (int i = 0; i < LEVELS; i++)
        free(l.levels[i].node);
    MT_TRY(st);
    *out = mt_steal(set);
    return MT_OK;
}

void mt_dcm_dataset_free(mt_dcm_dataset **set)
{
    if (!*set) return;
    mt_arena_free(&(*set)->arena);
    free(*set);
    *set = NULL;
}

const mt_dcm_node *mt_dcm_dataset_root(const mt_dcm_dataset *set)
{
    return &set->root;
}

/* ---- Asking ---- */

const mt_dcm_node *mt_dcm_find(const mt_dcm_node *in, mt_dcm_tag tag)
{
    if (!in || in->e.event != MT_DCM_ITEM) return NULL;
    for (uint32_t i = 0; i < in->n; i++)
        if (in->child[i].e.tag == tag) return &in->child[i];
    return NULL;
}

const mt_dcm_node *mt_dcm_item(const mt_dcm_node *sequence, size_t i)
{
    if (!sequence || sequence->e.event != MT_DCM_SEQUENCE || !sequence->child || i >= sequence->n)
        return NULL;
    return &sequence->child[i];
}

const mt_dcm_node *mt_dcm_find_path(const mt_dcm_node *in, const mt_dcm_tag *tags, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (i) in = mt_dcm_item(in, 0);
        in = mt_dcm_find(in, tags[i]);
    }
    return in;
}

const mt_dcm_node *mt_dcm_walk(const mt_dcm_node *top, const mt_dcm_node *at)
{
    if (!at || (at->child && at->n)) return at ? at->child : top->child;
    while (at != top) {
        const mt_dcm_node *up = at->parent;
        if (at + 1 < up->child + up->n) return at + 1;
        at = up;
    }
    return NULL;
}
