/* From the files of a folder to its slides (PS3.3 C.8.12.4, A.32.8): one study, one series, one
 * pyramid, one piece of glass. The frame of reference is not asked: converters give each level one
 * of its own. */
#include <stdio.h>
#include <string.h>
#include "slide/dicom/dicom.h"

static int compare_id(mt_dicom_id x, mt_dicom_id y)
{
    if (x.a != y.a) return x.a < y.a ? -1 : 1;
    return (x.b > y.b) - (x.b < y.b);
}

static int by_slide(const mt_dicom_facts *x, const mt_dicom_facts *y)
{
    int d = compare_id(x->study, y->study);
    if (!d) d = compare_id(x->series, y->series);
    if (!d) d = compare_id(x->pyramid, y->pyramid);
    return d ? d : compare_id(x->container, y->container);
}

typedef struct entry { const mt_dicom_facts *f; uint32_t i; } entry;

static int by_slide_and_name(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    const int d = by_slide(x->f, y->f);
    return d ? d : (x->i > y->i) - (x->i < y->i); /* the folder is in name order */
}

/* The file that stands for a slide. */
static bool before(const mt_dicom_facts *x, const mt_dicom_facts *y)
{
    if (x->width != y->width) return x->width > y->width;
    if (x->height != y->height) return x->height > y->height;
    return x->part < y->part;
}

static int by_base(const void *a, const void *b)
{
    const mt_dicom_group *x = a, *y = b;
    return (x->base > y->base) - (x->base < y->base);
}

/* What tells whose an image is; of a slide in a row with the others of its study. */
typedef struct names { mt_dicom_id study, series, pyramid, container; } names;
typedef struct target { names of; uint32_t group, taken; } target;

static names names_of(const mt_dicom_facts *f)
{
    return (names){f->study, f->series, f->pyramid, f->container};
}

static int by_study(const void *a, const void *b)
{
    const target *x = a, *y = b;
    const int d = compare_id(x->of.study, y->of.study);
    return d ? d : (x->group > y->group) - (x->group < y->group);
}

/* An image that shows the glass of this group: in its series unless another glass or pyramid is
 * named, elsewhere in the study only by the glass. Both are of one study. */
static bool shows(const names *image, const names *slide, bool alone)
{
    const bool named = !mt_dicom_none(image->container) && !mt_dicom_none(slide->container);
    if (named && !mt_dicom_same(image->container, slide->container)) return false;
    if (mt_dicom_same(image->series, slide->series))
        return mt_dicom_none(image->pyramid) || mt_dicom_none(slide->pyramid) ||
               mt_dicom_same(image->pyramid, slide->pyramid);
    return named || alone;
}

static mt_status take(mt_dicom_group *g, uint32_t i, mt_err *err)
{
    if ((g->n & (g->n - 1)) == 0) { /* room doubles at every power of two */
        uint32_t *more = realloc(g->files, MT_MAX(2 * (size_t)g->n, 1) * sizeof *more);
        if (!more) return mt_err_set(err, MT_ERR_NO_MEMORY, "slides of a folder");
        g->files = more;
    }
    g->files[g->n++] = i;
    return MT_OK;
}

/* An image goes to all slides it may show, but a slide takes few of a kind: it shows the first that
 * can be read, and a folder of thousands of both would fill the memory. */
static mt_status take_image(mt_dicom_groups *out, target *v, const mt_dicom_facts *f, uint32_t i,
                            mt_err *err)
{
    enum { MAX_OF_A_KIND = 16 };
    const names image = names_of(f);
    size_t lo = 0, end = out->n;
    while (lo < end) {
        const size_t mid = lo + (end - lo) / 2;
        if (compare_id(v[mid].of.study, image.study) < 0) lo = mid + 1;
        else end = mid;
    }
    while (end < out->n && mt_dicom_same(v[end].of.study, image.study)) end++;
    for (size_t g = lo; g < end; g++)
        if (v[g].taken < MAX_OF_A_KIND && shows(&image, &v[g].of, end - lo == 1)) {
            MT_TRY(take(&out->v[v[g].group], i, err));
            v[g].taken++;
        }
    return MT_OK;
}

static mt_status take_images(mt_dicom_groups *out, const mt_dicom_folder *folder, mt_err *err)
{
    static const mt_dicom_kind kinds[] = {MT_DICOM_LABEL, MT_DICOM_OVERVIEW, MT_DICOM_THUMBNAIL};
    MT_AUTO_FREE target *v = NULL;
    MT_TRY(mt_alloc(&v, out->n, sizeof *v, SIZE_MAX, "slides of a folder", err));
    for (uint32_t g = 0; g < out->n; g++)
        v[g] = (target){names_of(&folder->files[out->v[g].base].facts), g, 0};
    qsort(v, out->n, sizeof *v, by_study);
    for (size_t k = 0; k < MT_COUNT(kinds); k++) {
        for (size_t g = 0; g < out->n; g++) v[g].taken = 0;
        for (uint32_t i = 0; i < folder->n; i++)
            if (folder->files[i].facts.kind == (int32_t)kinds[k])
                MT_TRY(take_image(out, v, &folder->files[i].facts, i, err));
    }
    return MT_OK;
}

/* Without a container identifier a file goes with the others of its series, if these name one glass. */
static void adopt(entry *v, size_t n, mt_dicom_facts *adopted)
{
    for (size_t i = 0, j; i < n; i = j) {
        mt_dicom_id glass = {0, 0};
        bool one = true;
        for (j = i; j < n && mt_dicom_same(v[j].f->study, v[i].f->study) &&
                    mt_dicom_same(v[j].f->series, v[i].f->series) &&
                    mt_dicom_same(v[j].f->pyramid, v[i].f->pyramid); j++) {
            const mt_dicom_id c = v[j].f->container;
            if (mt_dicom_none(c)) continue;
            one = one && (mt_dicom_none(glass) || mt_dicom_same(c, glass));
            glass = c;
        }
        if (!one || mt_dicom_none(glass)) continue;
        for (size_t k = i; k < j; k++)
            if (mt_dicom_none(v[k].f->container)) {
                adopted[v[k].i] = *v[k].f;
                adopted[v[k].i].container = glass;
                v[k].f = &adopted[v[k].i];
            }
    }
}

static mt_status group_volumes(mt_dicom_groups *out, entry *v, size_t n, mt_err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || by_slide(v[i].f, v[i - 1].f)) {
            mt_dicom_group *more = realloc(out->v, (out->n + 1) * sizeof *more);
            if (!more) return mt_err_set(err, MT_ERR_NO_MEMORY, "slides of a folder");
            out->v = more;
            out->v[out->n++] = (mt_dicom_group){.base = (uint32_t)i};
        }
        mt_dicom_group *g = &out->v[out->n - 1];
        MT_TRY(take(g, v[i].i, err));
        g->n_volume = g->n;
        if (before(v[i].f, v[g->base].f)) g->base = (uint32_t)i;
    }
    for (size_t g = 0; g < out->n; g++) out->v[g].base = v[out->v[g].base].i;
    return MT_OK;
}

mt_status mt_dicom_groups_make(mt_dicom_groups *out, const mt_dicom_folder *folder, mt_err *err)
{
    *out = (mt_dicom_groups){NULL, 0};
    MT_AUTO_FREE entry *v = NULL;
    MT_AUTO_FREE mt_dicom_facts *adopted = NULL;
    size_t n = 0, nameless = 0;
    MT_TRY(mt_alloc(&v, folder->n, sizeof *v, SIZE_MAX, "slides of a folder", err));
    for (uint32_t i = 0; i < folder->n; i++) {
        const mt_dicom_facts *f = &folder->files[i].facts;
        if (f->kind != MT_DICOM_VOLUME) continue;
        v[n++] = (entry){f, i};
        nameless += mt_dicom_none(f->container);
    }
    qsort(v, n, sizeof *v, by_slide_and_name);
    if (nameless && nameless < n) {
        MT_TRY(mt_alloc(&adopted, folder->n, sizeof *adopted, SIZE_MAX, "slides of a folder", err));
        adopt(v, n, adopted);
        qsort(v, n, sizeof *v, by_slide_and_name);
    }
    mt_status st = group_volumes(out, v, n, err);
    if (st == MT_OK) {
        if (out->n > 1) qsort(out->v, out->n, sizeof *out->v, by_base);
        st = take_images(out, folder, err);
    }
    if (st != MT_OK) mt_dicom_groups_free(out);
    return st;
}

void mt_dicom_groups_free(mt_dicom_groups *groups)
{
    for (size_t i = 0; i < groups->n; i++) free(groups->v[i].files);
    free(groups->v);
    *groups = (mt_dicom_groups){NULL, 0};
}
