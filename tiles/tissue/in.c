/* Masks read back: polygons and pictures onto the grid of a tissue mask. */
#include "tiles/tissue/in.h"

#include <math.h>
#include <string.h>
#include "base/file.h"
#include "tiles/tissue/mask.h"
#include "tiles/tissue/mask_png.h"
#include "tiles/plan/roi.h"
#include "tiles/tissue/shapes.h"

mt_status tissue_in_take(mt_tissue *t, uint8_t **mask, mt_err *err)
{
    mt_tissue next = *t;
    shapes s = {0};
    next.mask = *mask;
    next.block_sums = NULL;
    MT_TRY(shapes_find(&s, next.mask, next.width, next.height, true, err));
    next.n_pieces = (int)s.n_pieces;
    shapes_free(&s);
    MT_TRY(mask_index(&next, err));
    double w = next.slide_w > 0 ? (double)next.slide_w : next.width * next.px_l0;
    double h = next.slide_h > 0 ? (double)next.slide_h : next.height * next.px_l0;
    next.tissue_mm2 = mt_tissue_fraction(&next, 0, 0, w, h) * next.slide_mm2;
    next.threshold = 0; /* nothing was parted by density */
    free(t->mask);
    free(t->block_sums);
    *mask = NULL;
    *t = next;
    return MT_OK;
}

/* ---- polygons ---- */

/* First of n pixels whose centre is not before v; of the last one only the part on the slide
 * counts. */
static int32_t first_centre(double v, double px, int32_t n, int64_t slide)
{
    int32_t i = (int32_t)MT_MIN(MT_MAX(ceil(v / px - 0.5), 0.0), (double)n);
    bool cut = slide > 0 && n * px > (double)slide;
    if (cut && i >= n - 1) i = v <= ((n - 1) * px + (double)slide) / 2 ? n - 1 : n;
    return i;
}

/* Sets the mask pixels whose centres lie in the region to `value`. */
static mt_status draw(uint8_t *mask, const mt_tissue *t, const mt_roi *roi, uint8_t value,
                      mt_err *err)
{
    MT_AUTO(mt_roi_sweep_free) mt_roi_sweep *sweep = NULL;
    MT_TRY(mt_roi_sweep_new(&sweep, roi, err));
    for (int32_t row = 0; row < t->height; row++) {
        const mt_roi_span *spans;
        size_t n;
        double top = row * t->px_l0,
               h = t->slide_h > 0 ? MT_MIN(t->px_l0, (double)t->slide_h - top) : t->px_l0;
        MT_TRY(mt_roi_sweep_line(&spans, &n, sweep, top + h / 2, err));
        for (size_t k = 0; k < n; k++) {
            int32_t c0 = first_centre(spans[k].x0, t->px_l0, t->width, t->slide_w);
            int32_t c1 = first_centre(spans[k].x1, t->px_l0, t->width, t->slide_w);
            if (c1 > c0)
                memset(mask + (size_t)row * (size_t)t->width + (size_t)c0, value,
                       (size_t)(c1 - c0));
        }
    }
    return MT_OK;
}

static mt_status from_polygons(uint8_t *mask, const mt_tissue *t, const uint8_t *data, size_t n,
                               const char *what, mt_err *err)
{
    MT_AUTO(mt_roi_free) mt_roi *add = NULL;
    MT_AUTO(mt_roi_free) mt_roi *away = NULL;
    MT_TRY(mt_roi_parse_kind(&add, MT_ROI_ADD, (const char *)data, n, what, err));
    MT_TRY(mt_roi_parse_kind(&away, MT_ROI_AWAY, (const char *)data, n, what, err));
    MT_TRY(draw(mask, t, add, 255, err));
    return draw(mask, t, away, 0, err);
}

/* ---- pictures ---- */

static bool same_shape(int32_t w, int32_t h, double slide_w, double slide_h)
{
    double want = w * slide_h / slide_w; /* height that goes with the width */
    double slack = 0.02 * want + 1.5 * (1 + slide_h / slide_w);
    return fabs(h - want) <= slack;
}

static mt_status from_picture(uint8_t *mask, const mt_tissue *t, const uint8_t *data, size_t n,
                              const char *what, mt_err *err)
{
    MT_AUTO_FREE uint8_t *grey = NULL;
    int32_t w, h;
    MT_TRY(mask_png_read(&grey, &w, &h, data, n, what, err));
    if (w == t->width && h == t->height) {
        for (size_t i = 0; i < (size_t)w * (size_t)h; i++)
            mask[i] = grey[i] > 127 ? 255 : 0;
        return MT_OK;
    }
    double slide_w = t->slide_w > 0 ? (double)t->slide_w : t->width * t->px_l0;
    double slide_h = t->slide_h > 0 ? (double)t->slide_h : t->height * t->px_l0;
    if (!same_shape(w, h, slide_w, slide_h))
        return mt_err_set(err, MT_ERR_FORMAT,
                          "%.120s: a mask of %d x %d pixels does not have the shape of the slide "
                          "(%.0f x %.0f)",
                          what, w, h, slide_w, slide_h);
    double kx = w / slide_w * t->px_l0, ky = h / slide_h * t->px_l0;
    for (int32_t row = 0; row < t->height; row++)
        for (int32_t col = 0; col < t->width; col++) {
            double box[4] = {col * kx, row * ky, (col + 1) * kx, (row + 1) * ky};
            mask[(size_t)row * (size_t)t->width + (size_t)col] =
                mask_png_bright(grey, w, h, box) ? 255 : 0;
        }
    return MT_OK;
}

/* ---- files ---- */

mt_status tissue_in_bytes(mt_tissue *t, const uint8_t *data, size_t n, const char *what,
                          mt_err *err)
{
    static const uint8_t png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    MT_AUTO_FREE uint8_t *mask = NULL;
    size_t at = 0;
    while (at < n && (data[at] <= ' ' || data[at] == 0xef || data[at] == 0xbb || data[at] == 0xbf))
        at++; /* blanks, or the mark of UTF-8 */
    bool picture = n >= sizeof png && !memcmp(data, png, sizeof png);
    if (!picture && !(at < n && (data[at] == '{' || data[at] == '[')))
        return mt_err_set(err, MT_ERR_FORMAT,
                          "%.120s: neither GeoJSON nor PNG (begins with byte 0x%02x)", what,
                          n ? data[0] : 0);
    MT_TRY(mt_alloc(&mask, (size_t)t->width, (size_t)t->height, SIZE_MAX, "tissue mask", err));
    MT_TRY(picture ? from_picture(mask, t, data, n, what, err)
                   : from_polygons(mask, t, data + at, n - at, what, err));
    return tissue_in_take(t, &mask, err);
}

mt_status mt_tissue_read(mt_tissue *tissue, const char *path, mt_err *err)
{
    MT_AUTO_FREE uint8_t *data = NULL;
    size_t n;
    MT_TRY(mt_file_read(&data, &n, path, TISSUE_IN_CEILING, err));
    return tissue_in_bytes(tissue, data, n, mt_path_base(path), err);
}
