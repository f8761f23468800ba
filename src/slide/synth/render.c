/* Pixels: materials on grid cells, nuclei as stamps, artefacts, colour. */
#include "slide/synth/draw.h"

#include <math.h>
#include <string.h>

enum { SALT_NUCLEI = 9000 };

static inline int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }
static inline int clamp250(int v) { return v < 0 ? 0 : v > 250 ? 250 : v; }

/* The two density planes of a region made of whole cells. */
typedef struct canvas {
    const synth_ctx *c;
    const synth_grid *g;
    uint8_t *hae, *eos;
    int64_t x0, y0;           /* level-0 position of the first pixel, a multiple of the step */
    int w, h;
    size_t stride;
} canvas;

/* ---- materials: one row of a cell ---- */

typedef struct cell_row {
    const synth_ctx *c;
    const synth_cell *k;
    int64_t x, y;
    int iy;
    const float *gland_d;     /* per pixel, distance over radius */
    int32_t shade, shade_step;
} cell_row;

/* Bilinear value at the row's ends, as start and step in 1/step units. */
#define ROW_LERP(r, field, shift, start, stepv)                                                       \
    do {                                                                                              \
        const int32_t l_ = (int32_t)(((r)->k->n01->field - (r)->k->n00->field)) * (r)->iy;            \
        const int32_t m_ = (int32_t)(((r)->k->n11->field - (r)->k->n10->field)) * (r)->iy;            \
        const __typeof__((r)->k->n00->field) a_ = (r)->k->n00->field + (__typeof__((r)->k->n00->field))(l_ >> (shift)); \
        const __typeof__((r)->k->n00->field) b_ = (r)->k->n10->field + (__typeof__((r)->k->n00->field))(m_ >> (shift)); \
        (start) = a_;                                                                                 \
        (stepv) = (int32_t)(b_ - a_) >> (shift);                                                      \
    } while (0)

static inline const uint8_t *table_row(const uint8_t *t, int64_t x, int64_t y)
{
    /* cells start at multiples of the step, which divides the table: a row never wraps */
    return t + (y & (SYNTH_TABLE - 1)) * SYNTH_TABLE + (x & (SYNTH_TABLE - 1));
}

static inline int shaded(const cell_row *r, int q, int v) { return v * ((r->shade + r->shade_step * q) >> 8) >> 8; }

static void draw_glass(const cell_row *r, uint8_t *hae, uint8_t *eos, int n)
{
    memset(hae, 0, (size_t)n);
    memset(eos, 0, (size_t)n);
}

static void draw_stroma(const cell_row *r, uint8_t *hae, uint8_t *eos, int n)
{
    const int sh = r->c->shift;
    const uint8_t *fine = table_row(r->c->fine, r->x, r->y), *fibre = r->c->fibre;
    uint32_t u0, v0, u1, v1;
    int32_t du0, dv0, du1, dv1, mix, dmix;
    ROW_LERP(r, fibre_u[0], sh, u0, du0);
    ROW_LERP(r, fibre_v[0], sh, v0, dv0);
    ROW_LERP(r, fibre_u[1], sh, u1, du1);
    ROW_LERP(r, fibre_v[1], sh, v1, dv1);
    ROW_LERP(r, mix, sh, mix, dmix);
    for (int q = 0; q < n; q++) {
        const int a = fibre[(v0 >> 16 & 511) << 9 | (u0 >> 16 & 511)];
        const int b = fibre[(v1 >> 16 & 511) << 9 | (u1 >> 16 & 511)];
        const int f = a + ((b - a) * (mix >> 8) >> 8), t = fine[q];
        u0 += (uint32_t)du0;
        v0 += (uint32_t)dv0;
        u1 += (uint32_t)du1;
        v1 += (uint32_t)dv1;
        mix += dmix;
        eos[q] = (uint8_t)clamp250(shaded(r, q, 22 + (f * 146 >> 8) + ((t - 128) >> 3)));
        hae[q] = (uint8_t)(5 + (f >> 5) + (t >> 6));
    }
}

static void draw_tumour(const cell_row *r, uint8_t *hae, uint8_t *eos, int n)
{
    const uint8_t *fine = table_row(r->c->fine, r->x, r->y), *mid = table_row(r->c->mid, r->x, r->y);
    for (int q = 0; q < n; q++) {
        const int f = fine[q] - 128, m = mid[q] - 128;
        eos[q] = (uint8_t)clamp250(shaded(r, q, 74 + (m * 34 >> 8) + (f * 54 >> 8)));
        hae[q] = (uint8_t)clamp250(31 + (m * 26 >> 8) + (f * 18 >> 8));
    }
}

static void draw_necrosis(const cell_row *r, uint8_t *hae, uint8_t *eos, int n)
{
    const uint8_t *fine = table_row(r->c->fine, r->x, r->y), *mid = table_row(r->c->mid, r->x, r->y);
    for (int q = 0; q < n; q++) {
        const int f = fine[q] - 128, m = mid[q] - 128;
        eos[q] = (uint8_t)clamp250(shaded(r, q, 116 + (m * 100 >> 8) + (f * 76 >> 8)));
        hae[q] = (uint8_t)clamp250(13 + (f * 20 >> 8) - (m * 12 >> 8));
    }
}

static void draw_lymphocytes(const cell_row *r, uint8_t *hae, uint8_t *eos, int n)
{
    const uint8_t *fine = table_row(r->c->fine, r->x, r->y);
    for (int q = 0; q < n; q++) {
        const int f = fine[q] - 128;
        eos[q] = (uint8_t)clamp250(shaded(r, q, 58 + (f * 60 >> 8)));
        hae[q] = (uint8_t)clamp250(22 + (f * 16 >> 8));
    }
}

/* Fat cells: the regions of a jittered lattice with a thin wall between them. The cell of the grid
 * keeps the four nearest points of the lattice, pixels compare distances to those. */
static void draw_fat(const cell_row *r, uint8_t *hae, uint8_t *eos, int n)
{
    const float pitch = 58.0f, um = (float)r->c->mpp;
    const float cx = ((float)r->x + 0.5f * (float)r->c->step) * um, cy = ((float)(r->y - r->iy) + 0.5f * (float)r->c->step) * um;
    const int32_t ci = (int32_t)(cx / pitch), cj = (int32_t)(cy / pitch); /* in tissue, so never negative */
    float px[4] = {0}, py[4] = {0}, pd[4] = {1e30f, 1e30f, 1e30f, 1e30f};
    for (int32_t j = cj - 1; j <= cj + 1; j++)
        for (int32_t i = ci - 1; i <= ci + 1; i++) {
            const uint32_t h = synth_hash(i, j, r->c->salt + 7000);
            float x = ((float)i + 0.14f + 0.72f * (float)(h & 0xFFFF) / 65536.0f) * pitch;
            float y = ((float)j + 0.14f + 0.72f * (float)(h >> 16) / 65536.0f) * pitch;
            float d = (x - cx) * (x - cx) + (y - cy) * (y - cy);
            for (int s = 0; s < 4; s++) {
                if (d >= pd[s]) continue;
                const float tx = px[s], ty = py[s], td = pd[s];
                px[s] = x;
                py[s] = y;
                pd[s] = d;
                x = tx;
                y = ty;
                d = td;
            }
        }
    const uint8_t *fine = table_row(r->c->fine, r->x, r->y);
    const float y = (float)r->y * um;
    for (int q = 0; q < n; q++) {
        const float x = (float)(r->x + q) * um;
        float d1 = 1e30f, d2 = 1e30f;
        for (int s = 0; s < 4; s++) {
            const float d = (x - px[s]) * (x - px[s]) + (y - py[s]) * (y - py[s]);
            const float far = d > d1 ? d : d1;
            d1 = d < d1 ? d : d1;
            d2 = far < d2 ? far : d2;
        }
        const float gap = sqrtf(d2) - sqrtf(d1); /* twice the distance to the wall, about */
        float wall = 1.9f - 0.55f * gap;
        wall = wall < 0 ? 0 : wall > 1 ? 1 : wall;
        const int f = fine[q] - 128;
        eos[q] = (uint8_t)clamp250(4 + (int)(wall * (float)(92 + (f * 60 >> 8))));
        hae[q] = (uint8_t)(1 + (int)(wall * 14.0f));
    }
}

/* Epithelium around a lumen. The lumen belongs to the class gland. */
static void draw_gland(const cell_row *r, uint8_t *hae, uint8_t *eos, int n)
{
    const uint8_t *fine = table_row(r->c->fine, r->x, r->y), *mid = table_row(r->c->mid, r->x, r->y);
    const synth_gland *g = r->k->gland;
    for (int q = 0; q < n; q++) {
        const int f = fine[q] - 128, m = mid[q] - 128;
        const float depth = (1.0f - r->gland_d[q]) * g->radius; /* um from the basement membrane */
        const float wall = g->wall + 0.022f * (float)m;
        if (depth >= wall) {
            const int slime = m > 40 ? (m - 40) >> 2 : 0;
            eos[q] = (uint8_t)(5 + slime / 3);
            hae[q] = (uint8_t)(2 + slime);
            continue;
        }
        const float rel = depth / wall;
        int e = 96 - (int)(34.0f * rel) + (f * 56 >> 8), h = 30 - (int)(16.0f * rel) + (f * 14 >> 8);
        if (depth < 1.1f) e += 26;
        if (rel > 0.90f) e += 34;
        eos[q] = (uint8_t)clamp250(shaded(r, q, e));
        hae[q] = (uint8_t)clamp250(h);
    }
}

static void (*const draw_class[MT_SYNTH_CLASSES])(const cell_row *, uint8_t *, uint8_t *, int) = {
    [MT_SYNTH_GLASS] = draw_glass,     [MT_SYNTH_STROMA] = draw_stroma, [MT_SYNTH_GLAND] = draw_gland,
    [MT_SYNTH_TUMOUR] = draw_tumour,   [MT_SYNTH_LYMPHOCYTES] = draw_lymphocytes, [MT_SYNTH_FAT] = draw_fat,
    [MT_SYNTH_NECROSIS] = draw_necrosis,
};

/* A row with more than one class: every class is drawn whole, pixels choose. */
static void draw_mixed_row(cell_row *r, uint8_t *hae, uint8_t *eos)
{
    const int n = r->c->step;
    uint8_t cls[SYNTH_MAX_STEP], h[SYNTH_MAX_STEP], e[SYNTH_MAX_STEP];
    float d[SYNTH_MAX_STEP] = {0};
    uint32_t seen = 0;
    for (int q = 0; q < n; q++) {
        cls[q] = (uint8_t)synth_cell_class(r->c, r->k, q, r->iy, &d[q]);
        seen |= 1u << cls[q];
    }
    r->gland_d = d;
    if (!(seen & (seen - 1))) {
        draw_class[cls[0]](r, hae, eos, n);
        return;
    }
    for (uint32_t m = seen; m; m &= m - 1) {
        const int k = __builtin_ctz(m);
        draw_class[k](r, h, e, n);
        for (int q = 0; q < n; q++) {
            if (cls[q] != k) continue;
            hae[q] = h[q];
            eos[q] = e[q];
        }
    }
}

static void draw_cell(const canvas *v, int ci, int cj, int64_t x, int64_t y)
{
    const synth_ctx *c = v->c;
    const synth_cell k = synth_cell_at(v->g, ci, cj);
    const bool uniform = !k.mixed && !k.gland;
    const int cls = synth_class_of[k.all];
    if (uniform && cls == MT_SYNTH_GLASS) return; /* the planes begin as glass */
    cell_row r = {.c = c, .k = &k, .x = x};
    uint8_t *hae = v->hae + (size_t)(y - v->y0) * v->stride + (size_t)(x - v->x0);
    uint8_t *eos = v->eos + (hae - v->hae);
    for (r.iy = 0; r.iy < c->step; r.iy++, hae += v->stride, eos += v->stride) {
        r.y = y + r.iy;
        ROW_LERP(&r, shade, c->shift, r.shade, r.shade_step);
        if (uniform) draw_class[cls](&r, hae, eos, c->step);
        else draw_mixed_row(&r, hae, eos);
    }
}

static void draw_cells(const canvas *v)
{
    const synth_ctx *c = v->c;
    for (int64_t y = v->y0; y < v->y0 + v->h; y += c->step)
        for (int64_t x = v->x0; x < v->x0 + v->w; x += c->step)
            draw_cell(v, (int)(x / c->step - v->g->gi0), (int)(y / c->step - v->g->gj0), x, y);
}

/* ---- nuclei ---- */

typedef struct population {
    int cls, type;
    float pitch_um, share;    /* of lattice places that hold a nucleus */
} population;

static const population populations[] = {
    {MT_SYNTH_STROMA, STAMP_SPINDLE, 10.5f, 0.50f},  {MT_SYNTH_GLAND, STAMP_GLAND, 4.4f, 0.95f},
    {MT_SYNTH_TUMOUR, STAMP_TUMOUR, 9.2f, 0.86f},    {MT_SYNTH_LYMPHOCYTES, STAMP_LYMPH, 6.6f, 0.88f},
    {MT_SYNTH_NECROSIS, STAMP_DEBRIS, 7.0f, 0.42f},
};

static const float angle_cos[STAMP_ANGLES] = {1.0f, 0.98078528f, 0.92387953f, 0.83146961f, 0.70710678f, 0.55557023f,
    0.38268343f, 0.19509032f, 0.0f, -0.19509032f, -0.38268343f, -0.55557023f, -0.70710678f, -0.83146961f,
    -0.92387953f, -0.98078528f};

/* Stamp angle nearest to a direction. */
static int angle_of(float dx, float dy)
{
    int best = 0;
    float most = -1;
    for (int a = 0; a < STAMP_ANGLES; a++) {
        const float si = a < 8 ? angle_cos[8 - a] : angle_cos[a - 8]; /* sin(a) = cos(a - 90 degrees) */
        const float d = fabsf(dx * angle_cos[a] + dy * si);
        if (d > most) {
            most = d;
            best = a;
        }
    }
    return best;
}

static void stamp(const canvas *v, const synth_stamp *s, int64_t x, int64_t y)
{
    const int64_t left = x - s->w / 2, top = y - s->h / 2;
    const int x0 = (int)MT_MAX(0, v->x0 - left), x1 = (int)MT_MIN(s->w, v->x0 + v->w - left);
    const int y0 = (int)MT_MAX(0, v->y0 - top), y1 = (int)MT_MIN(s->h, v->y0 + v->h - top);
    for (int j = y0; j < y1; j++) {
        const size_t at = (size_t)(top + j - v->y0) * v->stride + (size_t)(left + x0 - v->x0);
        uint8_t *restrict hae = v->hae + at, *restrict eos = v->eos + at;
        const uint8_t *restrict dens = s->dens + j * s->w + x0, *restrict cover = s->cover + j * s->w + x0;
        for (int i = 0; i < x1 - x0; i++) {
            const int16_t k = cover[i], h = hae[i];
            hae[i] = (uint8_t)(h + (((dens[i] - h) * k) >> 8));
            eos[i] = (uint8_t)((uint16_t)(eos[i] * (uint16_t)(256 - (k >> 1) - (k >> 3))) >> 8);
        }
    }
}

/* One lattice place: draws its nucleus when the class there is the population's. */
static void nucleus(const canvas *v, const population *p, int64_t x, int64_t y, uint32_t h)
{
    const synth_ctx *c = v->c;
    const int64_t gi = floor_div(x, c->step), gj = floor_div(y, c->step);
    const synth_cell k = synth_cell_at(v->g, (int)(gi - v->g->gi0), (int)(gj - v->g->gj0));
    float d = 0;
    if (synth_cell_class(c, &k, (int)(x - gi * c->step), (int)(y - gj * c->step), &d) != p->cls) return;
    int type = p->type, angle = (int)(h >> 4 & 15);
    if (p->cls == MT_SYNTH_GLAND) {
        const float depth = (1.0f - d) * k.gland->radius;
        if (depth < 3.2f || depth > 6.2f) return;
        angle = angle_of(k.n00->wx - k.gland->cx, k.n00->wy - k.gland->cy);
    } else if (p->cls == MT_SYNTH_STROMA) {
        if ((h >> 8 & 15) == 0) {
            type = STAMP_LYMPH;
        } else {
            const int q = k.n00->mix > 128 * 256;
            const float gx = (float)(int32_t)(k.n10->fibre_v[q] - k.n00->fibre_v[q]);
            const float gy = (float)(int32_t)(k.n01->fibre_v[q] - k.n00->fibre_v[q]);
            angle = angle_of(-gy, gx); /* along the fibre */
        }
    }
    stamp(v, &c->stamps[type][angle * STAMP_VARIANTS + (int)(h & 3)], x, y);
}

/* Always in the same order of places, so that overlaps do not depend on the box. */
static void draw_nuclei(const canvas *v, const population *p, int index)
{
    const synth_ctx *c = v->c;
    const double pitch = p->pitch_um / c->mpp;
    const int reach = c->stamp_reach;
    const int64_t i0 = (int64_t)floor((double)(v->x0 - reach) / pitch) - 1, i1 = (int64_t)floor((double)(v->x0 + v->w + reach) / pitch);
    const int64_t j0 = (int64_t)floor((double)(v->y0 - reach) / pitch) - 1, j1 = (int64_t)floor((double)(v->y0 + v->h + reach) / pitch);
    for (int64_t j = j0; j <= j1; j++)
        for (int64_t i = i0; i <= i1; i++) {
            const uint32_t h = synth_hash((int32_t)i, (int32_t)j, c->salt + SALT_NUCLEI + (uint32_t)index);
            if (synth_u01(h) > p->share) continue;
            const uint32_t q = synth_hash((int32_t)h, index, c->salt);
            const int64_t x = (int64_t)floor(((double)i + 0.1 + 0.8 * (double)(q & 0xFFFF) / 65536) * pitch);
            const int64_t y = (int64_t)floor(((double)j + 0.1 + 0.8 * (double)(q >> 16) / 65536) * pitch);
            if (x < v->x0 - reach || x >= v->x0 + v->w + reach || y < v->y0 - reach || y >= v->y0 + v->h + reach) continue;
            nucleus(v, p, x, y, synth_hash((int32_t)q, index + 64, c->salt));
        }
}

/* ---- artefacts on densities ---- */

/* A fold lies double: both densities rise over a band. */
static void draw_fold(const canvas *v)
{
    const int s = v->c->step;
    for (int y = 0; y < v->h; y++)
        for (int x = 0; x < v->w; x += s) {
            const int64_t gx = v->x0 + x, gy = v->y0 + y, gj = floor_div(gy, s);
            const synth_node *n = v->g->nodes + (gj - v->g->gj0) * v->g->nx + (gx / s - v->g->gi0);
            const float fy = (float)(gy - gj * s) / (float)s;
            const float l = n->fold + (n[v->g->nx].fold - n->fold) * fy;
            const float r = n[1].fold + (n[v->g->nx + 1].fold - n[1].fold) * fy;
            if (l > 0 && r > 0) continue;
            for (int q = 0; q < s; q++) {
                const float f = -(l + (r - l) * (float)q / (float)s);
                if (f <= 0) continue;
                const int gain = (int)(MT_MIN(f / 7.0f, 1.0f) * 230.0f);
                const size_t at = (size_t)y * v->stride + (size_t)(x + q);
                v->hae[at] = (uint8_t)clamp250(v->hae[at] + (v->hae[at] * gain >> 8));
                v->eos[at] = (uint8_t)clamp250(v->eos[at] + (v->eos[at] * gain >> 8));
            }
        }
}

/* Point spread of the optics: 1 2 1 both ways. src and dst have the same stride; dst loses one pixel
 * on every side (its first row and column are not written). */
static void spread(uint8_t *restrict dst, const uint8_t *restrict src, size_t stride, int w, int h, uint16_t *rows)
{
    for (int y = 0; y < h; y++) {
        uint16_t *restrict r = rows + (size_t)(y % 3) * stride;
        const uint8_t *p = src + (size_t)y * stride;
        for (int x = 1; x < w - 1; x++) r[x] = (uint16_t)(p[x - 1] + 2 * p[x] + p[x + 1]);
        if (y < 2) continue;
        const uint16_t *restrict a = rows + (size_t)((y - 2) % 3) * stride, *restrict b = rows + (size_t)((y - 1) % 3) * stride;
        uint8_t *restrict o = dst + (size_t)(y - 1) * stride;
        for (int x = 1; x < w - 1; x++) o[x] = (uint8_t)((a[x] + 2 * b[x] + r[x] + 8) >> 4);
    }
}

/* Running mean over 2 r + 1 pixels along one axis; `step` and `line` say which. Ends keep their value. */
static void box_pass(uint8_t *dst, const uint8_t *src, int n, size_t step, int lines, size_t line, int r)
{
    const int div = 2 * r + 1;
    for (int k = 0; k < lines; k++) {
        const uint8_t *s = src + (size_t)k * line;
        uint8_t *d = dst + (size_t)k * line;
        for (int i = 0; i < MT_MIN(r, n); i++) d[(size_t)i * step] = s[(size_t)i * step];
        for (int i = MT_MAX(n - r, 0); i < n; i++) d[(size_t)i * step] = s[(size_t)i * step];
        if (n < div) continue;
        int sum = 0;
        for (int i = 0; i < div; i++) sum += s[(size_t)i * step];
        for (int i = r;; i++) {
            d[(size_t)i * step] = (uint8_t)((sum + r) / div);
            if (i + r + 1 >= n) break;
            sum += s[(size_t)(i + r + 1) * step] - s[(size_t)(i - r) * step];
        }
    }
}

/* Share of the blurred picture at a pixel, 0..256. */
int synth_blur_share(const synth_ctx *c, int64_t x, int64_t y)
{
    const double dx = ((double)x * c->mpp - c->blur_cx) / c->blur_rx, dy = ((double)y * c->mpp - c->blur_cy) / c->blur_ry;
    const double d = (1.0 - (dx * dx + dy * dy)) * 6.0;
    return d <= 0 ? 0 : d >= 1 ? 256 : (int)(d * 256);
}

static bool blur_touches(const synth_ctx *c, int64_t x, int64_t y, int w, int h)
{
    return c->o.blur && (double)x * c->mpp < c->blur_cx + c->blur_rx && (double)(x + w) * c->mpp > c->blur_cx - c->blur_rx &&
           (double)y * c->mpp < c->blur_cy + c->blur_ry && (double)(y + h) * c->mpp > c->blur_cy - c->blur_ry;
}

/* Out of focus inside an ellipse: two box passes each way, mixed in by the distance from its rim. a and
 * b are scratch planes. */
static void draw_blur(const canvas *v, uint8_t *plane, uint8_t *a, uint8_t *b)
{
    const int r = v->c->blur_px;
    box_pass(a, plane, v->w, 1, v->h, v->stride, r);
    box_pass(b, a, v->w, 1, v->h, v->stride, r);
    box_pass(a, b, v->h, v->stride, v->w, 1, r);
    box_pass(b, a, v->h, v->stride, v->w, 1, r);
    for (int y = 0; y < v->h; y++)
        for (int x = 0; x < v->w; x++) {
            const size_t at = (size_t)y * v->stride + (size_t)x;
            const int k = synth_blur_share(v->c, v->x0 + x, v->y0 + y);
            if (k) plane[at] = (uint8_t)(plane[at] + ((b[at] - plane[at]) * k >> 8));
        }
}

/* ---- colour ---- */

static void colour_row(uint8_t *rgb, const uint8_t *hae, const uint8_t *eos, int n, const uint32_t *lut)
{
    for (int x = 0; x < n; x++) {
        const uint32_t p = lut[hae[x] << 8 | eos[x]];
        rgb[3 * x] = (uint8_t)p;
        rgb[3 * x + 1] = (uint8_t)(p >> 8);
        rgb[3 * x + 2] = (uint8_t)(p >> 16);
    }
}

static void fill_glass(const synth_ctx *c, uint8_t *rgb, size_t stride, int w, int h)
{
    for (int x = 0; x < w; x++) memcpy(rgb + 3 * x, c->glass, 3);
    for (int y = 1; y < h; y++) memcpy(rgb + (size_t)y * stride, rgb, 3 * (size_t)w);
}

/* ---- a box ---- */

static int halo_of(const synth_ctx *c, bool blurred) { return 1 + (blurred ? 2 * c->blur_px + 1 : 0); }

mt_status synth_scratch_new(synth_scratch **out, const synth_ctx *c, int max_w, int max_h, mt_err *err)
{
    MT_AUTO(synth_scratch_free) synth_scratch *s = NULL;
    MT_TRY(mt_alloc(&s, 1, sizeof *s, sizeof *s, "drawing memory", err));
    const int halo = halo_of(c, c->o.blur), reach = 2 * (halo + c->stamp_reach + 2 * c->step);
    const size_t ceiling = (size_t)1 << 30;
    s->max_w = max_w;
    s->max_h = max_h;
    s->node_cap = synth_grid_nodes(c, max_w + reach, max_h + reach);
    s->site_cap = synth_grid_sites(c, max_w + reach, max_h + reach);
    if (s->site_cap > INT16_MAX) return mt_err_set(err, MT_ERR_ARG, "a box of %d x %d pixels is too large to draw", max_w, max_h);
    s->plane_bytes = (size_t)(max_w + 2 * halo + 2 * c->step) * (size_t)(max_h + 2 * halo + 2 * c->step) + 64;
    MT_TRY(mt_alloc_aligned(&s->grid.nodes, s->node_cap * sizeof *s->grid.nodes, ceiling, "drawing memory", err));
    MT_TRY(mt_alloc(&s->grid.gland, s->node_cap, sizeof *s->grid.gland, ceiling, "drawing memory", err));
    MT_TRY(mt_alloc(&s->grid.sites, s->site_cap, sizeof *s->grid.sites, ceiling, "drawing memory", err));
    /* field rows and, later, three rows of the point spread share this block */
    MT_TRY(mt_alloc(&s->rows, (size_t)(max_w + reach + 64) * 16, sizeof(float), ceiling, "drawing memory", err));
    MT_TRY(mt_alloc_aligned(&s->planes, 6 * s->plane_bytes, ceiling, "drawing memory", err));
    *out = mt_steal(s);
    return MT_OK;
}

void synth_scratch_free(synth_scratch **s)
{
    if (!s || !*s) return;
    free((*s)->grid.nodes);
    free((*s)->grid.gland);
    free((*s)->grid.sites);
    free((*s)->rows);
    free((*s)->planes);
    free(*s);
    *s = NULL;
}

static void draw_tissue(const synth_ctx *c, synth_scratch *s, uint8_t *rgb, size_t stride, int64_t x, int64_t y, int w, int h,
                        bool blurred)
{
    const int halo = halo_of(c, blurred);
    canvas v = {.c = c, .g = &s->grid};
    v.x0 = floor_div(x - halo, c->step) * c->step;
    v.y0 = floor_div(y - halo, c->step) * c->step;
    v.w = (int)((floor_div(x + w + halo - 1, c->step) + 1) * c->step - v.x0);
    v.h = (int)((floor_div(y + h + halo - 1, c->step) + 1) * c->step - v.y0);
    v.stride = (size_t)v.w;
    v.hae = s->planes;
    v.eos = v.hae + s->plane_bytes;
    memset(v.hae, 0, v.stride * (size_t)v.h);
    memset(v.eos, 0, v.stride * (size_t)v.h);
    draw_cells(&v);
    for (size_t k = 0; k < MT_COUNT(populations); k++)
        if (s->grid.classes & 1u << populations[k].cls) draw_nuclei(&v, &populations[k], (int)k);
    if (c->o.fold) draw_fold(&v);
    uint8_t *hae = v.eos + s->plane_bytes, *eos = hae + s->plane_bytes;
    spread(hae, v.hae, v.stride, v.w, v.h, (uint16_t *)(void *)s->rows);
    spread(eos, v.eos, v.stride, v.w, v.h, (uint16_t *)(void *)s->rows);
    if (blurred) {
        uint8_t *a = eos + s->plane_bytes;
        draw_blur(&v, hae, a, a + s->plane_bytes);
        draw_blur(&v, eos, a, a + s->plane_bytes);
    }
    const size_t first = (size_t)(y - v.y0) * v.stride + (size_t)(x - v.x0);
    for (int r = 0; r < h; r++)
        colour_row(rgb + (size_t)r * stride, hae + first + (size_t)r * v.stride, eos + first + (size_t)r * v.stride, w, c->colour);
}

bool synth_draw(const synth_ctx *c, synth_scratch *s, uint8_t *rgb, size_t stride, int64_t x, int64_t y, int w, int h)
{
    const bool blurred = blur_touches(c, x, y, w, h);
    synth_grid_fill(c, s, x, y, w, h, halo_of(c, blurred) + c->stamp_reach + c->step);
    if (s->grid.tissue) draw_tissue(c, s, rgb, stride, x, y, w, h, blurred);
    else fill_glass(c, rgb, stride, w, h);
    const bool inked = synth_artefacts_draw(c, rgb, stride, x, y, w, h);
    return !s->grid.tissue && !inked;
}
