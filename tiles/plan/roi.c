#include "tiles/plan/roi.h"

#include <math.h>
#include <string.h>
#include <strings.h>
#include "base/file.h"
#include "base/json.h"

#define MAX_DEPTH 8 /* arrays and collections inside each other */

typedef struct edge {
    double y0, y1; /* y0 < y1; the edge is crossed by lines with y0 <= y < y1 */
    double x0, dx; /* x at y0, and how far it moves to y1 */
    uint32_t polygon;
} edge;

struct mt_roi {
    edge *edges; /* by y0 */
    size_t n_edges, cap;
    uint32_t n_polygons;
    size_t n_vertices;
    mt_roi_kind kind;
    bool in_feature; /* while its geometry is read */
    size_t n_other; /* features left out for their kind */
};

static mt_status bad(mt_err *err, const char *where, const char *what)
{
    return mt_err_set(err, MT_ERR_FORMAT, "%s: %s", where, what);
}

static mt_status add_edge(mt_roi *roi, const double a[2], const double b[2], mt_err *err)
{
    if (a[1] == b[1]) return MT_OK; /* no line crosses it */
    if (roi->n_edges == roi->cap) {
        size_t cap = roi->cap ? roi->cap * 2 : 64;
        edge *grown = realloc(roi->edges, cap * sizeof *grown);
        if (!grown) return mt_err_set(err, MT_ERR_NO_MEMORY, "ROI: %zu edges", cap);
        roi->edges = grown;
        roi->cap = cap;
    }
    const double *lo = a[1] < b[1] ? a : b, *hi = lo == a ? b : a;
    roi->edges[roi->n_edges++] = (edge){lo[1], hi[1], lo[0], hi[0] - lo[0], roi->n_polygons};
    return MT_OK;
}

static mt_status position(double out[2], const json_t *p, const char *where, mt_err *err)
{
    if (!json_is_array(p) || json_array_size(p) < 2)
        return bad(err, where, "a position needs two numbers");
    for (int k = 0; k < 2; k++) {
        const json_t *v = json_array_get(p, k);
        if (!json_is_number(v)) return bad(err, where, "a coordinate is not a number");
        out[k] = json_number_value(v);
        if (!isfinite(out[k]) || fabs(out[k]) > MT_ROI_MAX_COORD)
            return bad(err, where, "a coordinate is out of range");
    }
    return MT_OK;
}

static mt_status ring(mt_roi *roi, const json_t *points, const char *where, mt_err *err)
{
    size_t n = json_array_size(points);
    if (!json_is_array(points) || n < 3)
        return bad(err, where, "a ring needs at least three positions");
    roi->n_vertices += n;
    if (roi->n_vertices > MT_ROI_MAX_VERTICES)
        return mt_err_set(err, MT_ERR_LIMIT, "%s: more than %u vertices", where,
                          MT_ROI_MAX_VERTICES);
    double first[2], prev[2], here[2];
    for (size_t i = 0; i < n; i++) {
        MT_TRY(position(here, json_array_get(points, i), where, err));
        if (i)
            MT_TRY(add_edge(roi, prev, here, err));
        else
            memcpy(first, here, sizeof first);
        memcpy(prev, here, sizeof prev);
    }
    return add_edge(roi, prev, first,
                    err); /* of no length when the ring is closed, as it should be */
}

static mt_status polygon(mt_roi *roi, const json_t *rings, const char *where, mt_err *err)
{
    if (!json_is_array(rings) || json_array_size(rings) == 0)
        return bad(err, where, "a polygon needs a ring");
    for (size_t i = 0; i < json_array_size(rings); i++)
        MT_TRY(ring(roi, json_array_get(rings, i), where, err));
    roi->n_polygons++;
    return MT_OK;
}

static mt_status any(mt_roi *roi, const json_t *node, const char *where, int depth, mt_err *err);

static mt_status each_of(mt_roi *roi, const json_t *list, const char *where, const char *name,
                         int depth, mt_err *err)
{
    if (!json_is_array(list))
        return mt_err_set(err, MT_ERR_FORMAT, "%s: '%s' is not an array", where, name);
    for (size_t i = 0; i < json_array_size(list); i++) {
        char inner[160];
        snprintf(inner, sizeof inner, "%.110s.%s[%zu]", where, name, i);
        MT_TRY(any(roi, json_array_get(list, i), inner, depth + 1, err));
    }
    return MT_OK;
}

static mt_status multi_polygon(mt_roi *roi, const json_t *list, const char *where, mt_err *err)
{
    if (!json_is_array(list)) return bad(err, where, "'coordinates' is not an array");
    for (size_t i = 0; i < json_array_size(list); i++)
        MT_TRY(polygon(roi, json_array_get(list, i), where, err));
    return MT_OK;
}

/* QuPath's name of a feature's class, "" when it has none. */
static const char *class_of(const json_t *feature)
{
    const json_t *properties = json_object_get(feature, "properties");
    const json_t *class = json_object_get(properties, "classification");
    const char *name = json_string_value(json_object_get(class, "name"));
    const json_t *names = json_object_get(class, "names"); /* of QuPath 0.4 and later: derived classes */
    if (!name) name = json_string_value(json_array_get(names, 0));
    return name ? name : "";
}

/* What QuPath calls ignored (a star at the end), and the words people use for what is no tissue. */
static bool takes_away(const json_t *feature)
{
    static const char *const words[] = {"artifact", "artefact", "background", "glass"};
    const char *name = class_of(feature);
    size_t n = strlen(name);
    bool away = n && name[n - 1] == '*' && strncasecmp(name, "Region", 6) != 0;
    for (size_t i = 0; i < MT_COUNT(words); i++)
        away = away || strcasecmp(name, words[i]) == 0;
    return away;
}

static mt_status any(mt_roi *roi, const json_t *node, const char *where, int depth, mt_err *err)
{
    if (depth > MAX_DEPTH) return bad(err, where, "nested too deep");
    if (json_is_array(node)) return each_of(roi, node, where, "", depth, err);
    const char *type = json_string_value(json_object_get(node, "type"));
    if (!type) return bad(err, where, "not a GeoJSON object ('type' is missing)");
    if (!strcmp(type, "FeatureCollection"))
        return each_of(roi, json_object_get(node, "features"), where, "features", depth, err);
    if (!strcmp(type, "Feature")) {
        const json_t *geometry = json_object_get(node, "geometry");
        if (roi->kind != MT_ROI_ALL && takes_away(node) != (roi->kind == MT_ROI_AWAY)) {
            roi->n_other++;
            return MT_OK;
        }
        if (!geometry || json_is_null(geometry)) return MT_OK;
        roi->in_feature = true;
        MT_TRY(any(roi, geometry, where, depth + 1, err));
        roi->in_feature = false;
        return MT_OK;
    }
    if (roi->kind == MT_ROI_AWAY && !roi->in_feature) { /* a shape without a class takes nothing away */
        roi->n_other++;
        return MT_OK;
    }
    if (!strcmp(type, "GeometryCollection"))
        return each_of(roi, json_object_get(node, "geometries"), where, "geometries", depth, err);
    if (!strcmp(type, "Polygon"))
        return polygon(roi, json_object_get(node, "coordinates"), where, err);
    if (!strcmp(type, "MultiPolygon"))
        return multi_polygon(roi, json_object_get(node, "coordinates"), where, err);
    return mt_err_set(err, MT_ERR_FORMAT,
                      "%s: type '%.24s' has no area; Polygon or MultiPolygon is needed", where,
                      type);
}

static int by_top(const void *a, const void *b)
{
    const edge *p = a, *q = b;
    return p->y0 < q->y0 ? -1 : p->y0 > q->y0;
}

static bool has_no_features(const json_t *root)
{
    const char *type = json_string_value(json_object_get(root, "type"));
    const json_t *list = json_object_get(root, "features");
    return type && !strcmp(type, "FeatureCollection") && json_is_array(list) && !json_array_size(list);
}

static mt_status build(mt_roi **out, const json_t *root, mt_roi_kind kind, const char *what,
                       mt_err *err)
{
    MT_AUTO(mt_roi_free) mt_roi *roi = calloc(1, sizeof *roi);
    if (!roi) return mt_err_set(err, MT_ERR_NO_MEMORY, "%s: ROI", what);
    roi->kind = kind;
    MT_TRY(any(roi, root, what, 0, err));
    bool may_be_empty = kind != MT_ROI_ALL && (roi->n_other || has_no_features(root));
    if (!roi->n_polygons && !may_be_empty) return bad(err, what, "no polygon in it");
    if (roi->n_edges) qsort(roi->edges, roi->n_edges, sizeof *roi->edges, by_top);
    *out = mt_steal(roi);
    return MT_OK;
}

mt_status mt_roi_parse_kind(mt_roi **out, mt_roi_kind kind, const char *text, size_t n,
                            const char *what, mt_err *err)
{
    *out = NULL;
    MT_AUTO(mt_json_unref) json_t *root = NULL;
    MT_TRY(mt_json_parse(&root, text, n, MT_ROI_MAX_BYTES, what, err));
    return build(out, root, kind, what, err);
}

mt_status mt_roi_parse(mt_roi **out, const char *text, size_t n, const char *what, mt_err *err)
{
    return mt_roi_parse_kind(out, MT_ROI_ALL, text, n, what, err);
}

mt_status mt_roi_load(mt_roi **out, const char *path, mt_err *err)
{
    *out = NULL;
    MT_AUTO(mt_json_unref) json_t *root = NULL;
    MT_TRY(mt_json_load(&root, path, MT_ROI_MAX_BYTES, err));
    return build(out, root, MT_ROI_ALL, mt_path_base(path), err);
}

void mt_roi_free(mt_roi **roi)
{
    if (!roi || !*roi) return;
    free((*roi)->edges);
    free(*roi);
    *roi = NULL;
}

typedef struct crossing {
    uint32_t polygon;
    double x;
} crossing;

struct mt_roi_sweep {
    const mt_roi *roi;
    size_t next;      /* edges before it have been begun */
    uint32_t *active; /* edges the line may cross */
    size_t n_active;
    crossing *crossings;
    mt_roi_span *spans;
    uint64_t looked_at;
};

mt_status mt_roi_sweep_new(mt_roi_sweep **out, const mt_roi *roi, mt_err *err)
{
    *out = NULL;
    MT_AUTO(mt_roi_sweep_free) mt_roi_sweep *s = calloc(1, sizeof *s);
    if (!s) return mt_err_set(err, MT_ERR_NO_MEMORY, "ROI sweep");
    s->roi = roi;
    MT_TRY(mt_alloc(&s->active, roi->n_edges, sizeof *s->active, SIZE_MAX, "ROI sweep", err));
    MT_TRY(mt_alloc(&s->crossings, roi->n_edges, sizeof *s->crossings, SIZE_MAX, "ROI sweep", err));
    MT_TRY(mt_alloc(&s->spans, roi->n_edges / 2 + 1, sizeof *s->spans, SIZE_MAX, "ROI sweep", err));
    *out = mt_steal(s);
    return MT_OK;
}

void mt_roi_sweep_free(mt_roi_sweep **sweep)
{
    if (!sweep || !*sweep) return;
    free((*sweep)->active);
    free((*sweep)->crossings);
    free((*sweep)->spans);
    free(*sweep);
    *sweep = NULL;
}

static int by_polygon_then_x(const void *a, const void *b)
{
    const crossing *p = a, *q = b;
    if (p->polygon != q->polygon) return p->polygon < q->polygon ? -1 : 1;
    return p->x < q->x ? -1 : p->x > q->x;
}

static int by_left(const void *a, const void *b)
{
    const mt_roi_span *p = a, *q = b;
    return p->x0 < q->x0 ? -1 : p->x0 > q->x0;
}

static size_t cross(mt_roi_sweep *s, double y)
{
    const edge *edges = s->roi->edges;
    for (; s->next < s->roi->n_edges && edges[s->next].y0 <= y; s->next++)
        s->active[s->n_active++] = (uint32_t)s->next;
    s->looked_at += s->n_active;
    size_t kept = 0;
    for (size_t i = 0; i < s->n_active; i++) {
        const edge *e = &edges[s->active[i]];
        if (e->y1 <= y) continue;
        s->crossings[kept] = (crossing){e->polygon, e->x0 + (y - e->y0) / (e->y1 - e->y0) * e->dx};
        s->active[kept++] = s->active[i];
    }
    return s->n_active = kept;
}

mt_status mt_roi_sweep_line(const mt_roi_span **spans, size_t *n, mt_roi_sweep *s, double y,
                            mt_err *err)
{
    size_t crossings = cross(s, y);
    if (s->looked_at > MT_ROI_MAX_CROSSINGS)
        return mt_err_set(err, MT_ERR_LIMIT, "ROI: more than %u edge crossings",
                          MT_ROI_MAX_CROSSINGS);
    if (crossings > 1) qsort(s->crossings, crossings, sizeof *s->crossings, by_polygon_then_x);
    size_t found = 0; /* closed rings cross a line an even number of times, polygon by polygon */
    for (size_t i = 0; i + 1 < crossings; i += 2)
        s->spans[found++] = (mt_roi_span){s->crossings[i].x, s->crossings[i + 1].x};
    if (found > 1) qsort(s->spans, found, sizeof *s->spans, by_left);
    size_t merged = 0;
    for (size_t i = 0; i < found; i++) {
        if (merged && s->spans[i].x0 <= s->spans[merged - 1].x1)
            s->spans[merged - 1].x1 = MT_MAX(s->spans[merged - 1].x1, s->spans[i].x1);
        else
            s->spans[merged++] = s->spans[i];
    }
    *spans = s->spans;
    *n = merged;
    return MT_OK;
}
