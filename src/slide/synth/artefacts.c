/* Artefacts drawn over the finished colours (pen, bubble, debris, edge of the coverslip), and the exact
 * truth of all artefacts. Everything is a function of options and position. */
#include "slide/synth/draw.h"

#include <math.h>
#include <string.h>
#include "microtome/qc.h"

static inline int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

static inline int grain_at(const synth_ctx *c, int64_t x, int64_t y)
{
    return c->mid[(y & (SYNTH_TABLE - 1)) * SYNTH_TABLE + (x & (SYNTH_TABLE - 1))];
}

void synth_artefacts_place(synth_ctx *c)
{
    static const uint8_t inks[MT_SYNTH_INKS][3] = {{0}, {40, 70, 190}, {25, 120, 70}, {205, 30, 45}, {35, 35, 40}, {95, 35, 150}, {235, 120, 20}};
    const double w = c->width_um, h = c->height_um, s = MT_MIN(w, h);
    float r[8];
    for (int k = 0; k < 8; k++) r[k] = synth_u01(synth_hash(k, 47, c->salt + 47474));
    c->bubble_cx = w * (0.30 + 0.4 * r[0]);
    c->bubble_cy = h * (0.30 + 0.4 * r[1]);
    c->bubble_radius = MT_MIN((0.09 + 0.05 * r[2]) * s, 900.0);
    c->bubble_half = 14.0;
    /* close to one side, a little askew */
    const double tilt = 0.05 * (2 * r[3] - 1);
    const bool upright = r[4] < 0.5f;
    c->edge_nx = upright ? cos(tilt) : sin(tilt);
    c->edge_ny = upright ? sin(tilt) : cos(tilt);
    c->edge_at = (upright ? w : h) * (0.06 + 0.08 * r[5]);
    c->edge_half = 12.0;
    for (int k = 0; k < SYNTH_DEBRIS; k++) {
        const uint32_t a = synth_hash(k, 48, c->salt + 48484), b = synth_hash(k, 49, c->salt + 48484);
        synth_speck *d = &c->debris[k];
        d->cx = w * (0.15 + 0.7 * synth_u01(a));
        d->cy = h * (0.15 + 0.7 * synth_u01(b));
        d->radius = MT_MIN(25.0 + 95.0 * synth_u01(synth_hash(k, 50, a)), 0.03 * s);
        for (int q = 0; q < 3; q++) d->phase[q] = 6.2831853 * synth_u01(synth_hash(k, 51 + q, b));
    }
    if (c->o.pen_colour > 0 && c->o.pen_colour < MT_SYNTH_INKS) memcpy(c->pen_ink, inks[c->o.pen_colour], 3);
}

/* ---- shapes: um outside, < 0 inside ---- */

/* The stroke is an arc, open on one side. */
static double pen_at(const synth_ctx *c, double x, double y)
{
    const double dx = x - c->pen_cx, dy = y - c->pen_cy, d = sqrt(dx * dx + dy * dy);
    const double wobble = 0.06 * c->pen_radius * (dx * dy) / (d * d + 1.0);
    const double across = fabs(d + wobble - c->pen_radius) - c->pen_half;
    const double gap = 0.45 * d - (dx * c->fold_nx + dy * c->fold_ny); /* outside a wedge */
    return MT_MAX(across, -gap);
}

static double bubble_at(const synth_ctx *c, double x, double y)
{
    const double dx = x - c->bubble_cx, dy = y - c->bubble_cy;
    return sqrt(dx * dx + dy * dy) - c->bubble_radius - c->bubble_half;
}

static double edge_at(const synth_ctx *c, double x, double y)
{
    return fabs(x * c->edge_nx + y * c->edge_ny - c->edge_at) - c->edge_half;
}

static double debris_at(const synth_ctx *c, double x, double y)
{
    double best = 1e9;
    for (int k = 0; k < SYNTH_DEBRIS; k++) {
        const synth_speck *d = &c->debris[k];
        const double dx = x - d->cx, dy = y - d->cy;
        if (fabs(dx) > 1.6 * d->radius || fabs(dy) > 1.6 * d->radius) continue;
        const double a = atan2(dy, dx), r = d->radius * (1 + 0.2 * sin(2 * a + d->phase[0]) + 0.14 * sin(3 * a + d->phase[1]) +
                                                         0.08 * sin(7 * a + d->phase[2]));
        best = MT_MIN(best, sqrt(dx * dx + dy * dy) - r);
    }
    return best;
}

/* ---- drawing ---- */

typedef struct box {
    uint8_t *rgb;
    size_t stride;
    int64_t x0, y0;
    int w, h;
} box;

/* Where the circle around a box's middle meets a ring. */
static bool ring_touches(const synth_ctx *c, const box *b, double cx, double cy, double radius, double half)
{
    const double dx = ((double)b->x0 + 0.5 * b->w) * c->mpp - cx, dy = ((double)b->y0 + 0.5 * b->h) * c->mpp - cy;
    const double reach = 0.5 * sqrt((double)b->w * b->w + (double)b->h * b->h) * c->mpp + half;
    return fabs(sqrt(dx * dx + dy * dy) - radius) < reach;
}

static bool draw_pen(const synth_ctx *c, const box *b)
{
    bool inked = false;
    if (!c->o.pen || !ring_touches(c, b, c->pen_cx, c->pen_cy, c->pen_radius, c->pen_half + 0.04 * c->pen_radius)) return false;
    for (int y = 0; y < b->h; y++)
        for (int x = 0; x < b->w; x++) {
            const double d = pen_at(c, (double)(b->x0 + x) * c->mpp, (double)(b->y0 + y) * c->mpp);
            if (d >= 0) continue;
            const int k = (int)(MT_MIN(-d / 4.0, 1.0) * (200 + (grain_at(c, b->x0 + x, b->y0 + y) >> 3)));
            for (int q = 0; q < 3; q++) {
                uint8_t *p = b->rgb + (size_t)y * b->stride + 3 * (size_t)x + q;
                *p = (uint8_t)(*p * (255 * 256 - k * (255 - c->pen_ink[q])) / (255 * 256));
            }
            inked = true;
        }
    return inked;
}

static inline void shade(const box *b, int x, int y, int num) /* times num / 256 */
{
    uint8_t *p = b->rgb + (size_t)y * b->stride + 3 * (size_t)x;
    for (int q = 0; q < 3; q++) p[q] = (uint8_t)(p[q] * num >> 8);
}

/* A dark rim that fades outwards; inside, the air takes some of the contrast. */
static bool draw_bubble(const synth_ctx *c, const box *b)
{
    const double reach = c->bubble_radius + c->bubble_half;
    if (!c->o.bubble || !ring_touches(c, b, c->bubble_cx, c->bubble_cy, 0, reach)) return false;
    bool any = false;
    for (int y = 0; y < b->h; y++)
        for (int x = 0; x < b->w; x++) {
            const double d = bubble_at(c, (double)(b->x0 + x) * c->mpp, (double)(b->y0 + y) * c->mpp);
            if (d >= 0) continue;
            any = true;
            const double rim = 1.0 - fabs(d + c->bubble_half) / c->bubble_half;
            if (rim > 0) {
                shade(b, x, y, 256 - (int)(MT_MIN(2.0 * rim, 1.0) * 195));
                continue;
            }
            uint8_t *p = b->rgb + (size_t)y * b->stride + 3 * (size_t)x;
            for (int q = 0; q < 3; q++) p[q] = (uint8_t)(p[q] + ((c->glass[q] - p[q]) * 30 >> 8));
        }
    return any;
}

static bool draw_edge(const synth_ctx *c, const box *b)
{
    const double cx = ((double)b->x0 + 0.5 * b->w) * c->mpp, cy = ((double)b->y0 + 0.5 * b->h) * c->mpp;
    if (!c->o.edge || edge_at(c, cx, cy) > 0.5 * sqrt((double)b->w * b->w + (double)b->h * b->h) * c->mpp) return false;
    bool any = false;
    for (int y = 0; y < b->h; y++)
        for (int x = 0; x < b->w; x++) {
            const double d = edge_at(c, (double)(b->x0 + x) * c->mpp, (double)(b->y0 + y) * c->mpp);
            if (d >= 0) continue;
            any = true;
            shade(b, x, y, 256 - (int)(MT_MIN(-d / 4.0, 1.0) * 185));
        }
    return any;
}

static bool draw_debris(const synth_ctx *c, const box *b)
{
    if (!c->o.debris) return false;
    bool near = false, any = false;
    for (int k = 0; k < SYNTH_DEBRIS && !near; k++)
        near = ring_touches(c, b, c->debris[k].cx, c->debris[k].cy, 0, 1.6 * c->debris[k].radius);
    for (int y = 0; near && y < b->h; y++)
        for (int x = 0; x < b->w; x++) {
            const double d = debris_at(c, (double)(b->x0 + x) * c->mpp, (double)(b->y0 + y) * c->mpp);
            if (d >= 0) continue;
            any = true;
            const int k = (int)(MT_MIN(-d / 4.0, 1.0) * (215 + (grain_at(c, b->x0 + x, b->y0 + y) >> 4)));
            shade(b, x, y, 256 - k);
        }
    return any;
}

bool synth_artefacts_draw(const synth_ctx *c, uint8_t *rgb, size_t stride, int64_t x, int64_t y, int w, int h)
{
    const box b = {rgb, stride, x, y, w, h};
    bool any = draw_debris(c, &b);
    any |= draw_bubble(c, &b);
    any |= draw_edge(c, &b);
    return draw_pen(c, &b) || any;
}

/* ---- truth ---- */

/* As the renderer has it: inside the fold, on tissue. */
static bool folded(const synth_ctx *c, const synth_grid *g, int64_t x, int64_t y)
{
    const int s = c->step;
    const int64_t gi = floor_div(x, s), gj = floor_div(y, s);
    const synth_node *n = g->nodes + (gj - g->gj0) * g->nx + (gi - g->gi0);
    const float fy = (float)(y - gj * s) / (float)s, fx = (float)(x - gi * s) / (float)s;
    const float l = n->fold + (n[g->nx].fold - n->fold) * fy, r = n[1].fold + (n[g->nx + 1].fold - n[1].fold) * fy;
    return l + (r - l) * fx < 0;
}

static uint8_t bits_at(const synth_ctx *c, const synth_grid *g, int64_t px, int64_t py)
{
    const double x = (double)px * c->mpp, y = (double)py * c->mpp;
    const bool tissue = synth_class_at(c, g, px, py) != MT_SYNTH_GLASS;
    unsigned bits = tissue ? MT_QC_TISSUE : 0;
    if (c->o.blur && tissue && synth_blur_share(c, px, py) >= 128) bits |= MT_QC_FOCUS;
    if (c->o.fold && tissue && folded(c, g, px, py)) bits |= MT_QC_FOLD;
    if (c->o.pen && pen_at(c, x, y) < 0) bits |= MT_QC_PEN;
    if (c->o.bubble && bubble_at(c, x, y) < 0) bits |= MT_QC_BUBBLE;
    if (c->o.edge && edge_at(c, x, y) < 0) bits |= MT_QC_EDGE;
    if (c->o.debris && debris_at(c, x, y) < 0) bits |= MT_QC_DARK;
    return (uint8_t)bits;
}

void mt_synth_artefacts(uint8_t *bits, size_t stride, const mt_synth_opts *opts, int64_t x_l0, int64_t y_l0, double step_px,
                        int32_t n_x, int32_t n_y)
{
    enum { BOX = 512 };
    MT_AUTO(synth_ctx_put) synth_ctx *c = NULL;
    MT_AUTO(synth_scratch_free) synth_scratch *s = NULL;
    for (int32_t j = 0; j < n_y; j++) memset(bits + (size_t)j * stride, 0, (size_t)MT_MAX(n_x, 0));
    if (!(step_px > 0) || synth_ctx_get(&c, opts, NULL) != MT_OK || synth_scratch_new(&s, c, BOX, BOX, NULL) != MT_OK) return;
    const int32_t run = MT_MAX(1, (int32_t)((BOX - 1) / step_px));
    for (int32_t j0 = 0; j0 < n_y; j0 += run)
        for (int32_t i0 = 0; i0 < n_x; i0 += run) {
            const int32_t i1 = MT_MIN(i0 + run, n_x), j1 = MT_MIN(j0 + run, n_y);
            const int64_t x = x_l0 + (int64_t)floor((i0 + 0.5) * step_px), y = y_l0 + (int64_t)floor((j0 + 0.5) * step_px);
            const int64_t xe = x_l0 + (int64_t)floor((i1 - 0.5) * step_px), ye = y_l0 + (int64_t)floor((j1 - 0.5) * step_px);
            synth_grid_fill(c, s, x, y, (int)(xe - x + 1), (int)(ye - y + 1), 0);
            for (int32_t j = j0; j < j1; j++)
                for (int32_t i = i0; i < i1; i++)
                    bits[(size_t)j * stride + (size_t)i] = bits_at(c, &s->grid, x_l0 + (int64_t)floor((i + 0.5) * step_px),
                                                                   y_l0 + (int64_t)floor((j + 0.5) * step_px));
        }
}
