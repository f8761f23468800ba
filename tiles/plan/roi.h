/* Region of interest: polygons of a GeoJSON file in level-0 pixels, as QuPath writes them.
 *
 * A point is inside when some polygon holds it (even-odd over that polygon's rings, so holes are
 * holes); overlapping polygons add up. Left and top borders belong to a polygon, right and bottom
 * ones do not, so that polygons side by side never share or lose a point. */
#ifndef MT_TILES_ROI_H
#define MT_TILES_ROI_H

#include "base/mem.h"

#define MT_ROI_MAX_BYTES (16u << 20)
#define MT_ROI_MAX_VERTICES 1000000u
#define MT_ROI_MAX_COORD 1e9
/* Edge crossings one sweep may look at: a drawn outline needs thousands, a hostile zigzag billions.
 */
#define MT_ROI_MAX_CROSSINGS 20000000u

typedef struct mt_roi mt_roi;

/* FeatureCollection, Feature, geometry, or a bare array of them; Polygon, MultiPolygon,
 * GeometryCollection of these. A feature with null geometry is passed over; one without area
 * (Point, LineString) is an error, as is a file without a polygon. Errors: FORMAT (says where),
 * LIMIT, NO_MEMORY; load also NOT_FOUND and IO. *out is the caller's (mt_roi_free). */
MT_MUST_USE mt_status mt_roi_parse(mt_roi **out, const char *text, size_t n, const char *what,
                                   mt_err *err);
MT_MUST_USE mt_status mt_roi_load(mt_roi **out, const char *path, mt_err *err);
/* Features by QuPath's classification. AWAY: names that end in a star but for Region*, Artifact,
 * Artefact, Background, Glass. ADD: all others, and geometry that is in no feature. Of a file that has none of the kind, or no features at
 * all, the region is empty. */
typedef enum mt_roi_kind { MT_ROI_ALL, MT_ROI_ADD, MT_ROI_AWAY } mt_roi_kind;
MT_MUST_USE mt_status mt_roi_parse_kind(mt_roi **out, mt_roi_kind kind, const char *text, size_t n,
                                        const char *what, mt_err *err);
void mt_roi_free(mt_roi **roi);

/* The spans [x0, x1) of the ROI on horizontal lines, asked from top to bottom. */
typedef struct mt_roi_span {
    double x0, x1;
} mt_roi_span;
typedef struct mt_roi_sweep mt_roi_sweep;
MT_MUST_USE mt_status mt_roi_sweep_new(mt_roi_sweep **out, const mt_roi *roi, mt_err *err);
void mt_roi_sweep_free(mt_roi_sweep **sweep);
/* Spans on line y, disjoint, left to right, valid until the next call. y never falls between calls.
 * LIMIT when the ceiling on crossings is passed. */
MT_MUST_USE mt_status mt_roi_sweep_line(const mt_roi_span **spans, size_t *n, mt_roi_sweep *sweep,
                                        double y, mt_err *err);

#endif
