/* Tissue mask. The slide is averaged down to a grid of fixed spacing, whatever levels it has; each
 * grid pixel gets one number, how coloured it is in optical density; ink is left out; Otsu's threshold
 * within sane bounds parts tissue from glass; small specks go, small holes close. */
#include "microtome/tiles.h"

#include <math.h>
#include <string.h>
#include "slide/slide.h"
#include "tiles/tissue/average.h"
#include "tiles/tissue/evidence.h"
#include "tiles/tissue/in.h"
#include "tiles/tissue/mask.h"
#include "tiles/tissue/shapes.h"

#define MASK_CEILING ((size_t)640 << 20) /* pixels of a mask: 200,000 x 200,000 at 1 um/px */

/* ---- The measure ----
 *
 * stain = OD of the darkest channel - OD of the brightest one = log10(max / min). Grey is 0 at any
 * brightness: glass, shadows, dust, black ink, padding of any grey. H&E, DAB and counterstains are
 * not. */
#define STAIN_STEP 0.002 /* optical density per unit */
#define STAIN_MIN 0.040  /* bounds of the threshold: all glass, all tissue */
#define STAIN_MAX 0.100
#define GLASS_MAX 0.035    /* glass has less on the mean, however tinted */
#define GLASS_MARGIN 0.025 /* between the tint of the glass and tissue */
#define INK_STAIN 0.300    /* blue ink is at least so strong, and darkest in red */
#define INK_RED_OVER_GREEN 1.15
#define GREEN_MARGIN 0.050 /* green ink: brightest in green by this much; no stain is */
#define DARK 40            /* brighter than this in some channel, or it is ink or a shadow */

static uint8_t stain_of(const int32_t od[256], const uint8_t rgb[3])
{
    int32_t r = od[rgb[0]], g = od[rgb[1]], b = od[rgb[2]];
    int32_t dark = MT_MAX(MT_MAX(r, g), b), bright = MT_MIN(MT_MIN(r, g), b), stain = dark - bright;
    if (bright > od[DARK]) return 0;
    if (g + (int32_t)(GREEN_MARGIN * 1000) < MT_MIN(r, b)) return 0;
    if (stain > (int32_t)(INK_STAIN * 1000) && r > g * INK_RED_OVER_GREEN) return 0;
    return (uint8_t)MT_MIN(stain * (int)(1 / STAIN_STEP) / 1000, 255);
}

typedef struct looker {
    evidence *e;
    uint8_t *stain;
} looker;

static void look_at_row(void *ctx, int32_t row, const uint8_t *rgb)
{
    looker *l = ctx;
    uint8_t *stain = l->stain + (size_t)row * (size_t)l->e->width;
    evidence_row(l->e, row, rgb);
    for (int32_t i = 0; i < l->e->width; i++, rgb += 3)
        stain[i] = stain_of(l->e->od, rgb);
}

static mt_status look(mt_tissue *t, const mt_slide *slide, const mt_tissue_opts *o, mt_err *err)
{
    average_bad bad = {0, UINT64_MAX};
    average_grid grid = {t->px_l0, t->width, t->height, &bad};
    looker l = {.stain = t->mask};
    MT_TRY(evidence_new(&t->evidence, t->width, t->height, o->keep_evidence, err));
    l.e = t->evidence;
    MT_TRY(average_down(&t->source_level, slide, &grid, o->threads, look_at_row, &l, err));
    int64_t across = mt_slide_get_info(slide)->levels[t->source_level].tiles_x;
    t->unreadable = bad.n;
    t->unreadable_x = bad.n ? (int64_t)bad.first % across : 0;
    t->unreadable_y = bad.n ? (int64_t)bad.first / across : 0;
    MT_TRY(evidence_find_ink(l.e, t->mask_mpp, err));
    size_t n = (size_t)t->width * (size_t)t->height;
    for (size_t i = 0; i < n; i++)
        if (l.e->code[i] == EVIDENCE_INK) t->mask[i] = 0;
    if (!o->keep_evidence) evidence_free(&t->evidence);
    return MT_OK;
}

/* ---- From stain to mask ---- */

/* 1-2-1 in both directions: a mask pixel speaks for its surroundings, and noise does not decide. */
static void smooth(uint8_t *px, int32_t w, int32_t h, uint8_t *above, uint8_t *here)
{
    memcpy(above, px, (size_t)w);
    for (int32_t y = 0; y < h; y++) {
        uint8_t *row = px + (size_t)y * (size_t)w;
        const uint8_t *below = y + 1 < h ? row + w : row;
        memcpy(here, row, (size_t)w);
        for (int32_t x = 0; x < w; x++) {
            int32_t l = MT_MAX(x - 1, 0), r = MT_MIN(x + 1, w - 1);
            unsigned sum = (unsigned)above[l] + 2u * above[x] + above[r] + 2u * here[l] +
                           4u * here[x] + 2u * here[r] + below[l] +
                           2u * (below == row ? here[x] : below[x]) + below[r];
            row[x] = (uint8_t)((sum + 8) / 16);
        }
        memcpy(above, here, (size_t)w);
    }
}

/* Otsu's threshold: tissue is what lies above the returned bin. *mean: of what does not. */
static int otsu(double *mean, const uint64_t hist[256], uint64_t total)
{
    double all = 0, below = 0, below_sum = 0, best = -1;
    int at = 0;
    *mean = 0;
    for (int i = 0; i < 256; i++)
        all += (double)i * (double)hist[i];
    for (int i = 0; i < 255; i++) {
        below += (double)hist[i];
        below_sum += (double)i * (double)hist[i];
        double above = (double)total - below;
        if (below <= 0 || above <= 0) continue;
        double d = below_sum / below - (all - below_sum) / above, between = below * above * d * d;
        if (between > best) {
            best = between;
            at = i;
            *mean = below_sum / below;
        }
    }
    return at;
}

/* Threshold in steps; pixels of no stain at all (padding, ink) have no say. */
static double choose_threshold(const uint8_t *stain, size_t n)
{
    uint64_t hist[256] = {0}, total = 0;
    for (size_t i = 0; i < n; i++)
        hist[stain[i]]++;
    hist[0] = 0;
    for (int i = 1; i < 256; i++)
        total += hist[i];
    double pale, od = total ? (otsu(&pale, hist, total) + 1) * STAIN_STEP : STAIN_MAX;
    /* A slide full of tissue has no glass to tell it from: the parting would run through the
     * tissue. */
    if (total && pale * STAIN_STEP > GLASS_MAX) od = STAIN_MIN;
    int tint = 1; /* the commonest value that glass may have */
    for (int i = 1; i * STAIN_STEP < GLASS_MAX; i++)
        if (hist[i] > hist[tint]) tint = i;
    double floor_od =
        hist[tint] * 20 >= total ? MT_MAX(STAIN_MIN, tint * STAIN_STEP + GLASS_MARGIN) : STAIN_MIN;
    return MT_MIN(MT_MAX(od, floor_od), STAIN_MAX);
}

static mt_status mask_from_stain(mt_tissue *t, const mt_tissue_opts *o, mt_err *err)
{
    MT_AUTO_FREE uint8_t *rows = NULL;
    size_t w = (size_t)t->width, n = w * (size_t)t->height;
    MT_TRY(mt_alloc(&rows, 2 * w, 1, SIZE_MAX, "tissue rows", err));
    smooth(t->mask, t->width, t->height, rows, rows + w);
    t->threshold = choose_threshold(t->mask, n);
    int bin = (int)ceil(t->threshold / STAIN_STEP - 1e-9);
    for (size_t i = 0; i < n; i++)
        t->mask[i] = t->mask[i] >= bin ? 255 : 0;
    double px_um2 = t->mask_mpp * t->mask_mpp;
    return shapes_clean(t->mask, t->width, t->height, o->min_speck_um2 / px_um2,
                        o->max_hole_um2 / px_um2, &t->n_pieces, err);
}

static mt_status lay_grid(mt_tissue *t, const mt_slide *slide, mt_err *err)
{
    double mpp;
    const mt_slide_info *info = mt_slide_get_info(slide);
    MT_TRY(mt_slide_mpp(&mpp, slide, err));
    t->slide_w = info->levels[0].width;
    t->slide_h = info->levels[0].height;
    t->mask_mpp = MT_TISSUE_MPP;
    t->px_l0 = MT_TISSUE_MPP / mpp;
    t->slide_mm2 = (double)t->slide_w * (double)t->slide_h * mpp * mpp * 1e-6;
    double w = ceil((double)t->slide_w / t->px_l0), h = ceil((double)t->slide_h / t->px_l0);
    if (!(w * h <= (double)MASK_CEILING) || w > INT32_MAX / 4 || h > INT32_MAX / 4)
        return mt_err_set(err, MT_ERR_LIMIT,
                          "a tissue mask of %.0f x %.0f pixels (slide %lld x %lld at %g um/px)", w,
                          h, (long long)t->slide_w, (long long)t->slide_h, mpp);
    t->width = (int32_t)MT_MAX(w, 1);
    t->height = (int32_t)MT_MAX(h, 1);
    return mt_alloc(&t->mask, (size_t)t->width * (size_t)t->height, 1, MASK_CEILING, "tissue mask",
                    err);
}

mt_status tissue_in_grid(mt_tissue **out, const mt_slide *slide, mt_err *err)
{
    *out = NULL;
    MT_AUTO(mt_tissue_free) mt_tissue *t = calloc(1, sizeof *t);
    if (!t) return mt_err_set(err, MT_ERR_NO_MEMORY, "tissue mask");
    MT_TRY(lay_grid(t, slide, err));
    t->source_level = -1;
    *out = mt_steal(t);
    return MT_OK;
}

mt_status mt_tissue_detect(mt_tissue **out, const mt_slide *slide, const mt_tissue_opts *opts,
                           mt_err *err)
{
    *out = NULL;
    if (opts->version != 1 || opts->threads < 1 || !(opts->min_speck_um2 >= 0) ||
        !(opts->max_hole_um2 >= 0))
        return mt_err_set(err, MT_ERR_ARG,
                          "tissue with %d threads, specks below %g and holes below %g um2",
                          opts->threads, opts->min_speck_um2, opts->max_hole_um2);
    MT_AUTO(mt_tissue_free) mt_tissue *t = NULL;
    MT_TRY(tissue_in_grid(&t, slide, err));
    MT_TRY(look(t, slide, opts, err));
    MT_TRY(mask_from_stain(t, opts, err));
    MT_TRY(mask_index(t, err));
    t->tissue_mm2 =
        mt_tissue_fraction(t, 0, 0, (double)t->slide_w, (double)t->slide_h) * t->slide_mm2;
    *out = mt_steal(t);
    return MT_OK;
}
