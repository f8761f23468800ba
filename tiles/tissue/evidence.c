/* Hue is the ratio of two optical densities, blue over green: in it a slide's stains keep together
 * whatever their strength (measured on three scanners and on drawn slides: 98 % of the tissue lies
 * within 0.83 to 1.35 of the slide's median), and inks do not: red 1.4 times the median and more,
 * orange 2.5, blue and violet 0.55 to 0.75. The other ratio, red over green, tells the warm inks (0.35
 * and less) from brown chromogens (0.5 and more). No stain absorbs green least: that is green ink. */
#include "tiles/tissue/evidence.h"

#include <math.h>
#include <string.h>
#include "tiles/tissue/morph.h"
#include "tiles/tissue/shapes.h"

#define DENSE 150         /* mean OD x 1000 below which a hue means nothing */
#define PALE 100          /* the same for the coarser ratio */
#define WARM_RATIO 350    /* red OD x 1000 / green OD */
#define GREEN_LITTLE 30   /* OD x 1000 */
#define GREEN_MUCH 100
#define GREEN_OPAQUE 150  /* so much of the least OD x 1000 where hardly any light comes through */
#define GREYISH 720       /* least OD x 1000 / most OD */
#define GREYISH_OD 180
#define GREY 860
#define GREY_OD 220
#define OPAQUE_OD 700     /* of the brightest channel: no section is so thick */
#define HUE_STEPS 16      /* a doubling of the ratio */
#define HUE_ZERO 40       /* ratio 1 */
#define HUE_PROVES 8.6    /* steps above the slide's own hue: a factor of 1.45 */
#define HUE_BELONGS 4.0   /* less: a factor of 1.22 */
#define LOW_PROVES 6.0    /* below it tissue keeps closer, 4.5 beyond its lower fifth at least */
#define LOW_BELONGS 2.4
#define HUE_USUAL 28      /* ratio 0.59: where a slide has too little tissue to tell */
#define INK_LEAST_UM2 20000.0
#define INK_SEEDS 0.10    /* of a piece of ink must prove it */
#define INK_MORE 0.01     /* the same once so much of that kind is proven: */
#define INK_MORE_UM2 100000.0
#define INK_GAP_UM 28.0   /* gaps of twice that in ink are ink, where they are not bare glass */

mt_status evidence_new(evidence **out, int32_t width, int32_t height, bool with_density,
                       mt_err *err)
{
    MT_AUTO(evidence_free) evidence *e = NULL;
    size_t n = (size_t)width * (size_t)height;
    MT_TRY(mt_alloc(&e, 1, sizeof *e, sizeof *e, "tissue evidence", err));
    e->width = width;
    e->height = height;
    MT_TRY(mt_alloc(&e->code, n, 1, SIZE_MAX, "tissue evidence", err));
    if (with_density) {
        MT_TRY(mt_alloc(&e->dens, n, 1, SIZE_MAX, "tissue evidence", err));
        MT_TRY(mt_alloc(&e->warm, n, 1, SIZE_MAX, "tissue evidence", err));
    }
    for (int v = 0; v < 256; v++)
        e->od[v] = (int32_t)lround(1000.0 * log10(255.0 / MT_MAX(v, 1)));
    *out = mt_steal(e);
    return MT_OK;
}

void evidence_free(evidence **e)
{
    if (!e || !*e) return;
    free((*e)->code);
    free((*e)->dens);
    free((*e)->warm);
    free(*e);
    *e = NULL;
}

static uint8_t code_of(int32_t r, int32_t g, int32_t b)
{
    int32_t most = MT_MAX(MT_MAX(r, g), b), least = MT_MIN(MT_MIN(r, g), b);
    if (r + g + b < 3 * DENSE) return 0;
    int32_t green = MT_MIN(r, b) - g;
    if (least >= OPAQUE_OD && green * 1000 < GREEN_OPAQUE * least) return EVIDENCE_OPAQUE;
    if (green > GREEN_LITTLE) return EVIDENCE_GREEN | (green > GREEN_MUCH ? 2 : 1);
    if (least * 1000 >= most * GREY && least >= GREY_OD) return EVIDENCE_GREY | 2;
    if (least * 1000 >= most * GREYISH && least >= GREYISH_OD) return EVIDENCE_GREYISH;
    double hue = HUE_STEPS * log2((double)MT_MAX(b, 1) / (double)MT_MAX(g, 1)) + HUE_ZERO;
    int bin = (int)MT_MIN(MT_MAX(hue + 0.5, 1.0), 62.0);
    return (uint8_t)(bin | (r * 1000 < g * WARM_RATIO ? EVIDENCE_WARM : EVIDENCE_COLD));
}

void evidence_row(evidence *e, int32_t row, const uint8_t *rgb)
{
    uint8_t *code = e->code + (size_t)row * (size_t)e->width;
    uint8_t *dens = e->dens ? e->dens + (size_t)row * (size_t)e->width : NULL;
    uint8_t *warm = e->dens ? e->warm + (size_t)row * (size_t)e->width : NULL;
    for (int32_t i = 0; i < e->width; i++, rgb += 3) {
        int32_t r = e->od[rgb[0]], g = e->od[rgb[1]], b = e->od[rgb[2]];
        code[i] = code_of(r, g, b);
        if (!dens) continue;
        if (r + g + b >= 3 * PALE) warm[i] = (uint8_t)MT_MIN(MT_MAX(100 * r / MT_MAX(g, 1), 1), 255);
        int32_t colour = MT_MAX(MT_MAX(r, g), b) - MT_MIN(MT_MIN(r, g), b);
        dens[i] = (uint8_t)MT_MIN(sqrt((double)(r + g + b) / 3 * colour) / 5 + 0.5, 255.0);
    }
}

static bool has_hue(uint8_t code)
{
    return code && (code & EVIDENCE_KIND) <= EVIDENCE_COLD;
}

typedef struct hues {
    double usual, low_proves; /* median of what can be tissue; steps below it that prove ink */
} hues;

/* Place in the histogram below which a share of it lies. */
static double quantile(const uint64_t hist[64], int first, int last, uint64_t total, double share)
{
    uint64_t below = 0;
    for (int k = first; k <= last; k++) {
        if ((double)(below + hist[k]) >= share * (double)total)
            return k - 0.5 + (share * (double)total - (double)below) / (double)hist[k];
        below += hist[k];
    }
    return last;
}

static hues slide_hues(const evidence *e)
{
    const int first = 20, last = 36; /* ratios 0.42 to 0.84 */
    uint64_t hist[64] = {0}, total = 0;
    size_t n = (size_t)e->width * (size_t)e->height;
    for (size_t i = 0; i < n; i++)
        if (has_hue(e->code[i])) hist[e->code[i] & 63]++;
    for (int k = first; k <= last; k++)
        total += hist[k];
    if (total < 64) return (hues){HUE_USUAL, HUE_PROVES};
    double usual = quantile(hist, first, last, total, 0.5), fifth = quantile(hist, first, last, total, 0.2);
    return (hues){usual, MT_MIN(MT_MAX(usual - fifth + 4.5, LOW_PROVES), HUE_PROVES)};
}

/* 0: no ink, 1: ink when it hangs together with proof, 2: proof. */
static int ink_of(uint8_t code, hues h)
{
    if ((code & EVIDENCE_KIND) == EVIDENCE_GREEN) return code & 3;
    if (!has_hue(code)) return 0;
    double off = (code & 63) - h.usual;
    if ((code & EVIDENCE_KIND) == EVIDENCE_WARM) return off >= HUE_PROVES ? 2 : off >= HUE_PROVES - HUE_BELONGS;
    if (off <= -h.low_proves) return 2;
    return off >= HUE_PROVES - HUE_BELONGS || off <= -h.low_proves + LOW_BELONGS;
}

/* 0 warm, 1 cold, 2 green: which ink a proof speaks of. */
static int side_of(uint8_t code)
{
    return code >> 6;
}

typedef struct ink_piece {
    uint32_t seeds[3];
} ink_piece;

static int main_side(const ink_piece *p)
{
    int best = 0;
    for (int k = 1; k < 3; k++)
        if (p->seeds[k] > p->seeds[best]) best = k;
    return best;
}

static mt_status mark_pieces(evidence *e, const shapes *s, const int level[256], double px_um2, mt_err *err)
{
    MT_AUTO_FREE ink_piece *p = NULL;
    uint64_t proven[3] = {0};
    MT_TRY(mt_alloc(&p, s->n_runs, sizeof *p, SIZE_MAX, "ink", err));
    for (int32_t y = 0; y < s->height; y++)
        for (uint32_t i = s->row_begin[y]; i < s->row_begin[y + 1]; i++) {
            const struct shape_run *r = &s->runs[i];
            const uint8_t *code = e->code + (size_t)y * (size_t)e->width;
            for (int32_t x = r->x0; x < r->x1; x++)
                if (level[code[x]] == 2) p[r->piece].seeds[side_of(code[x])]++;
        }
    double least = INK_LEAST_UM2 / px_um2;
    for (uint32_t i = 0; i < s->n_runs; i++) {
        int side = main_side(&p[i]);
        if (s->runs[i].piece == i && s->area[i] >= least && p[i].seeds[side] >= INK_SEEDS * s->area[i])
            proven[side] += s->area[i];
    }
    for (int32_t y = 0; y < s->height; y++)
        for (uint32_t i = s->row_begin[y]; i < s->row_begin[y + 1]; i++) {
            const struct shape_run *r = &s->runs[i];
            int side = main_side(&p[r->piece]);
            double need = (double)proven[side] * px_um2 >= INK_MORE_UM2 ? INK_MORE : INK_SEEDS;
            if (s->area[r->piece] >= least && p[r->piece].seeds[side] >= need * s->area[r->piece])
                memset(e->code + (size_t)y * (size_t)e->width + r->x0, EVIDENCE_INK, (size_t)(r->x1 - r->x0));
        }
    return MT_OK;
}

/* Nuclei under the ink hide its hue. */
static mt_status close_gaps(evidence *e, uint8_t *mask, double px_um, mt_err *err)
{
    MT_AUTO(morph_free) morph m = {0};
    size_t n = (size_t)e->width * (size_t)e->height;
    int32_t r = MT_MAX((int32_t)lround(INK_GAP_UM / px_um), 1);
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        mask[i] = e->code[i] == EVIDENCE_INK;
        any |= mask[i];
    }
    if (!any) return MT_OK;
    MT_TRY(morph_init(&m, e->width, e->height, err));
    morph_dilate(&m, mask, mask, r);
    morph_erode(&m, mask, mask, r);
    for (size_t i = 0; i < n; i++)
        if (mask[i] && e->code[i]) e->code[i] = EVIDENCE_INK;
    return MT_OK;
}

mt_status evidence_find_ink(evidence *e, double px_um, mt_err *err)
{
    size_t n = (size_t)e->width * (size_t)e->height;
    int level[256];
    bool any = false;
    hues h = slide_hues(e);
    for (int k = 0; k < 256; k++)
        level[k] = ink_of((uint8_t)k, h);
    for (size_t i = 0; i < n && !any; i++)
        any = level[e->code[i]] == 2;
    if (!any) return MT_OK;
    MT_AUTO_FREE uint8_t *mask = NULL;
    MT_AUTO(shapes_free) shapes s = {0};
    MT_TRY(mt_alloc(&mask, n, 1, SIZE_MAX, "ink", err));
    for (size_t i = 0; i < n; i++)
        mask[i] = level[e->code[i]] != 0;
    MT_TRY(shapes_find(&s, mask, e->width, e->height, true, err));
    MT_TRY(mark_pieces(e, &s, level, px_um * px_um, err));
    return close_gaps(e, mask, px_um, err);
}
