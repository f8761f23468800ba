/* The measure: which pixels, then the figures of Macenko and Reinhard in double precision, in one
 * thread and in the order of the plan, so that they are the same for any number of threads. */
#include "tiles/stain/stain.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "tiles/fetch/fetch.h"
#include "tiles/stain/math.h"

#define SAMPLE_MPP 1.0
enum { SAMPLE_TILES = 64, SAMPLE_PX = 256, SAMPLE_STEP = 2, SAMPLE_SIDE = SAMPLE_PX / SAMPLE_STEP };
#define SAMPLE_BYTES ((size_t)SAMPLE_SIDE * SAMPLE_SIDE * 3)

#define BETA 0.15     /* Macenko's threshold of optical density */
#define ALPHA 1.0     /* percentile of the angle, from either end */
#define STRENGTH 99.0 /* percentile of the amount */
#define LEAST_PIXELS 2000
#define LEAST_DENSITY -0.05 /* of a stain in a channel; no stain brightens */
#define LEAST_ANGLE 8.0 /* degrees; two stains on a slide are further apart, noise of one is not */
#define USUAL_ANGLE 15.0 /* and those of H&E and H-DAB twenty to fifty */

/* ---- percentiles ---- */

static void swap(double *a, double *b)
{
    double t = *a;
    *a = *b;
    *b = t;
}

/* The k-th smallest, with nothing larger before it and nothing smaller behind it. */
static double select_kth(double *v, size_t n, size_t k)
{
    size_t lo = 0, hi = n - 1;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (v[mid] < v[lo]) swap(&v[mid], &v[lo]);
        if (v[hi] < v[lo]) swap(&v[hi], &v[lo]);
        if (v[hi] < v[mid]) swap(&v[hi], &v[mid]);
        double pivot = v[mid];
        size_t i = lo, j = hi;
        for (;;) {
            while (v[i] < pivot)
                i++;
            while (pivot < v[j])
                j--;
            if (i >= j) break;
            swap(&v[i++], &v[j--]);
        }
        if (k <= j)
            hi = j;
        else
            lo = j + 1;
    }
    return v[k];
}

/* Linear between the two nearest ranks, as numpy has it. Reorders v. */
static double percentile(double *v, size_t n, double percent)
{
    double at = percent / 100 * (double)(n - 1);
    size_t k = (size_t)at;
    double below = select_kth(v, n, k), above = below;
    if (k + 1 < n) {
        above = v[k + 1];
        for (size_t i = k + 2; i < n; i++)
            above = MT_MIN(above, v[i]);
    }
    return below + (above - below) * (at - (double)k);
}

static double rounded(double v)
{
    v = nearbyint(v * 1e6) / 1e6;
    return v == 0 ? 0.0 : v; /* no minus zero */
}

/* ---- Reinhard ---- */

static void measure_lab(mt_stain *s, const uint8_t *rgb, size_t n)
{
    double mean[3] = {0}, m2[3] = {0}, count = 0;
    for (size_t i = 0; i < n; i++) {
        const uint8_t *p = rgb + 3 * i;
        double lab[3];
        if (stain_od[p[0]] < BETA && stain_od[p[1]] < BETA && stain_od[p[2]] < BETA) continue;
        stain_lab(lab, p);
        count++;
        for (int c = 0; c < 3; c++) { /* Welford */
            double d = lab[c] - mean[c];
            mean[c] += d / count;
            m2[c] += d * (lab[c] - mean[c]);
        }
    }
    s->pixels = (uint64_t)count;
    for (int c = 0; c < 3 && count > 1; c++) {
        s->lab_mean[c] = rounded(mean[c]);
        s->lab_std[c] = rounded(sqrt(m2[c] / (count - 1)));
    }
}

/* ---- Macenko ---- */

/* Optical densities of the pixels that are stained in every channel. */
static size_t gather_od(double (*od)[3], const uint8_t *rgb, size_t n)
{
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        const uint8_t *p = rgb + 3 * i;
        double r = stain_od[p[0]], g = stain_od[p[1]], b = stain_od[p[2]];
        if (r < BETA || g < BETA || b < BETA) continue;
        od[k][0] = r;
        od[k][1] = g;
        od[k++][2] = b;
    }
    return k;
}

static void covariance(double cov[3][3], double (*od)[3], size_t n)
{
    double mean[3] = {0};
    memset(cov, 0, 9 * sizeof(double));
    for (size_t i = 0; i < n; i++)
        for (int c = 0; c < 3; c++)
            mean[c] += od[i][c];
    for (int c = 0; c < 3; c++)
        mean[c] /= (double)n;
    for (size_t i = 0; i < n; i++)
        for (int a = 0; a < 3; a++)
            for (int b = a; b < 3; b++)
                cov[a][b] += (od[i][a] - mean[a]) * (od[i][b] - mean[b]);
    for (int a = 0; a < 3; a++)
        for (int b = a; b < 3; b++)
            cov[b][a] = cov[a][b] /= (double)(n - 1);
}

/* The stain at an angle of the plane spanned by e[0] and e[1]; its densities are not negative. */
static void direction(double out[3], const double e[3][3], double phi)
{
    for (int c = 0; c < 3; c++)
        out[c] = e[0][c] * cos(phi) + e[1][c] * sin(phi);
    if (out[0] + out[1] + out[2] < 0)
        for (int c = 0; c < 3; c++)
            out[c] = -out[c];
    stain_unit(out);
}

static void find_vectors(mt_stain *s, double (*od)[3], double *work, size_t n)
{
    double cov[3][3], e[3][3], ends[2][3];
    covariance(cov, od, n);
    stain_eigen(e, cov);
    if (e[0][0] + e[0][1] + e[0][2] < 0) /* so that the pixels lie around angle zero */
        for (int c = 0; c < 3; c++)
            e[0][c] = -e[0][c];
    for (size_t i = 0; i < n; i++)
        work[i] = atan2(stain_dot(e[1], od[i]), stain_dot(e[0], od[i]));
    direction(ends[0], e, percentile(work, n, ALPHA));
    direction(ends[1], e, percentile(work, n, 100 - ALPHA));
    int h = ends[0][0] > ends[1][0] ? 0 : 1; /* hematoxylin absorbs more red */
    for (int c = 0; c < 3; c++) {
        s->vectors[0][c] = rounded(ends[h][c]);
        s->vectors[1][c] = rounded(ends[!h][c]);
    }
    s->angle_deg = rounded(stain_angle(s->vectors[0], s->vectors[1]));
}

static void find_strengths(mt_stain *s, double (*od)[3], double *work, size_t n)
{
    double inverse[2][3];
    stain_pinv(inverse, s->vectors);
    for (int k = 0; k < 2; k++) {
        for (size_t i = 0; i < n; i++)
            work[i] = stain_dot(inverse[k], od[i]);
        s->strength[k] = rounded(percentile(work, n, STRENGTH));
    }
}

static mt_status measure_macenko(mt_stain *s, const uint8_t *rgb, size_t n, mt_err *err)
{
    MT_AUTO_FREE double(*od)[3] = NULL;
    MT_AUTO_FREE double *work = NULL;
    MT_TRY(mt_alloc(&od, n, sizeof *od, SIZE_MAX, "stain", err));
    MT_TRY(mt_alloc(&work, n, sizeof *work, SIZE_MAX, "stain", err));
    size_t k = gather_od(od, rgb, n);
    s->stained = k;
    if (k < LEAST_PIXELS) {
        snprintf(s->fault, sizeof s->fault,
                 "%zu of %llu tissue pixels are dense in every channel, %d are needed", k,
                 (unsigned long long)s->pixels, LEAST_PIXELS);
        return MT_OK;
    }
    find_vectors(s, od, work, k);
    if (s->angle_deg < LEAST_ANGLE) {
        snprintf(s->fault, sizeof s->fault,
                 "only one stain is to be seen: the two directions found are %.1f degrees apart, "
                 "%.0f are needed",
                 s->angle_deg, LEAST_ANGLE);
        return MT_OK;
    }
    for (int i = 0; i < 6; i++)
        if (s->vectors[i / 3][i % 3] < LEAST_DENSITY) {
            snprintf(s->fault, sizeof s->fault,
                     "the %s direction found is no stain: its density in %s is %.3f",
                     i < 3 ? "first" : "second", (const char *[]){"red", "green", "blue"}[i % 3],
                     s->vectors[i / 3][i % 3]);
            return MT_OK;
        }
    find_strengths(s, od, work, k);
    for (int i = 0; i < 2; i++)
        if (!(s->strength[i] >= 0.05) && !s->fault[0])
            snprintf(s->fault, sizeof s->fault,
                     "the %s stain has a strength of %.3g optical density, 0.05 is needed",
                     i ? "second" : "first", s->strength[i]);
    return MT_OK;
}

/* One stain alone gives two directions as well: the ends of its own spread. */
static void doubt(mt_stain *s)
{
    double degrees[2];
    const char *near[2] = {mt_stain_nearest(&degrees[0], s->vectors[0]),
                           mt_stain_nearest(&degrees[1], s->vectors[1])};
    if (s->fault[0]) return;
    if (!strcmp(near[0], near[1]))
        snprintf(s->warning, sizeof s->warning,
                 "both stains found are nearest to %s (%.0f and %.0f degrees): perhaps it is there alone",
                 near[0], degrees[0], degrees[1]);
    else if (s->angle_deg < USUAL_ANGLE)
        snprintf(s->warning, sizeof s->warning,
                 "the stains found are only %.1f degrees apart: perhaps one of them is there alone",
                 s->angle_deg);
}

mt_status stain_of_pixels(mt_stain *out, const uint8_t *rgb, size_t n, mt_err *err)
{
    *out = (mt_stain){.version = 1};
    stain_tables();
    measure_lab(out, rgb, n);
    if (out->pixels < LEAST_PIXELS)
        return mt_err_set(err, MT_ERR_UNSUPPORTED,
                          "the stain cannot be measured: %llu tissue pixels in the samples, %d are "
                          "needed",
                          (unsigned long long)out->pixels, LEAST_PIXELS);
    MT_TRY(measure_macenko(out, rgb, n, err));
    doubt(out);
    return MT_OK;
}

/* ---- samples of a slide ---- */

typedef struct sampler {
    const uint32_t *slot_of; /* per plan tile: its sample + 1 */
    uint8_t *pixels;
    uint8_t *taken; /* per sample */
} sampler;

static mt_status take_sample(void *ctx, int worker, const mt_fetched *tiles, int n, mt_err *err)
{
    sampler *s = ctx;
    (void)worker;
    (void)err;
    for (int i = 0; i < n; i++) {
        uint32_t slot = s->slot_of[tiles[i].tile];
        if (!slot || tiles[i].unreadable) continue;
        uint8_t *to = s->pixels + (slot - 1) * SAMPLE_BYTES;
        for (int y = 0; y < SAMPLE_PX; y += SAMPLE_STEP)
            for (int x = 0; x < SAMPLE_PX; x += SAMPLE_STEP, to += 3)
                memcpy(to, tiles[i].rgb + 3 * ((size_t)y * SAMPLE_PX + (size_t)x), 3);
        s->taken[slot - 1] = 1;
    }
    return MT_OK;
}

/* The fuller tiles when there are any: their pixels are tissue. */
static mt_status sample_plan(mt_plan **out, const mt_slide *slide, const mt_tissue *tissue,
                             mt_err *err)
{
    static const double least[] = {0.5, 0.1, 0.01};
    double mpp;
    MT_TRY(mt_slide_mpp(&mpp, slide, err));
    for (size_t i = 0; i < MT_COUNT(least); i++) {
        mt_plan_opts po = MT_PLAN_OPTS_INIT;
        po.tile_px = SAMPLE_PX;
        po.mpp = MT_MAX(SAMPLE_MPP, mpp);
        po.min_tissue = least[i];
        mt_plan_free(out);
        MT_TRY(mt_plan_make(out, slide, tissue, &po, err));
        if ((*out)->n_tiles) return MT_OK;
    }
    return mt_err_set(err, MT_ERR_UNSUPPORTED,
                      "the stain cannot be measured: %.4g mm2 of tissue was found",
                      tissue->tissue_mm2);
}

static mt_status fetch_samples(sampler *s, const mt_slide *slide, const mt_plan *plan,
                               const uint8_t *skip, int threads, uint64_t memory, mt_err *err)
{
    mt_fetch_opts fo = MT_FETCH_OPTS_INIT;
    fo.threads = threads;
    fo.batch = 1;
    fo.memory = memory;
    fo.skip = skip;
    for (;;) { /* fewer threads where the ceiling is low: the samples are the same */
        mt_err why = MT_ERR_INIT;
        mt_status st = mt_fetch_run(slide, plan, &fo, take_sample, s, NULL, &why);
        if (st != MT_ERR_LIMIT || fo.threads == 1)
            return st == MT_OK ? MT_OK : mt_err_set(err, st, "%s", why.text);
        fo.threads /= 2;
    }
}

mt_status mt_stain_measure(mt_stain *out, const mt_slide *slide, const mt_tissue *tissue,
                           int threads, uint64_t memory, mt_err *err)
{
    MT_AUTO(mt_plan_free) mt_plan *plan = NULL;
    MT_AUTO_FREE uint32_t *slot_of = NULL;
    MT_AUTO_FREE uint8_t *skip = NULL;
    MT_AUTO_FREE uint8_t *pixels = NULL;
    uint8_t taken[SAMPLE_TILES] = {0};
    *out = (mt_stain){.version = 1};
    if (threads < 1 || !tissue)
        return mt_err_set(err, MT_ERR_ARG, "stain with %d threads%s", threads,
                          tissue ? "" : " and no tissue mask");
    if (mt_slide_get_info(slide)->fluorescence)
        return mt_err_set(
            err, MT_ERR_UNSUPPORTED,
            "the stain cannot be measured: a fluorescence picture has no absorbing stains");
    MT_TRY(sample_plan(&plan, slide, tissue, err));
    size_t n = MT_MIN(plan->n_tiles, (size_t)SAMPLE_TILES), used = 0;
    MT_TRY(mt_alloc(&slot_of, plan->n_tiles, sizeof *slot_of, SIZE_MAX, "stain samples", err));
    MT_TRY(mt_alloc(&skip, plan->n_tiles, 1, SIZE_MAX, "stain samples", err));
    MT_TRY(mt_alloc(&pixels, n, SAMPLE_BYTES, SIZE_MAX, "stain samples", err));
    memset(skip, 1, plan->n_tiles);
    for (size_t i = 0; i < n; i++) {
        size_t tile = (2 * i + 1) * plan->n_tiles / (2 * n);
        slot_of[tile] = (uint32_t)i + 1;
        skip[tile] = 0;
    }
    sampler s = {slot_of, pixels, taken};
    MT_TRY(fetch_samples(&s, slide, plan, skip, MT_MIN(threads, 256), memory, err));
    for (size_t i = 0; i < n; i++)
        if (taken[i] && used++ != i)
            memmove(pixels + (used - 1) * SAMPLE_BYTES, pixels + i * SAMPLE_BYTES, SAMPLE_BYTES);
    MT_TRY(stain_of_pixels(out, pixels, used * SAMPLE_BYTES / 3, err));
    out->tiles = (int32_t)used;
    out->mpp = rounded(plan->target_mpp);
    return MT_OK;
}
