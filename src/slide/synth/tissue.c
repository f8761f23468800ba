/* Fields, classes, thresholds. */
#include "slide/synth/draw.h"

#include <math.h>
#include <string.h>

/* Salts of the fields. Octaves add small numbers. */
enum {
    SALT_WARP_X = 100, SALT_WARP_Y = 200, SALT_TISSUE = 300, SALT_EDGE = 400, SALT_TUMOUR = 500,
    SALT_INFILTRATE = 600, SALT_NEST = 700, SALT_NECROSIS = 800, SALT_LYMPH = 900, SALT_FAT = 1000,
    SALT_MIX = 1100, SALT_SHADE = 1200, SALT_GLAND = 1300, SALT_LOBULE = 1400, SALT_FOLD = 1500, SALT_SAMPLE = 1600
};

static const float gland_pitch = 118.0f, nest_pitch = 105.0f;

/* ---- noise ---- */

/* floor() is a library call without SSE4.1, and this runs for every octave of every node. */
static inline int32_t floor_i(double v)
{
    const int32_t i = (int32_t)v;
    return i - (v < (double)i);
}

static inline float ease(float f) { return f * f * (3.0f - 2.0f * f); }

/* One lattice column seen from a row: the gradients at its upper and lower point give a + b * dx. */
typedef struct column {
    float a, b;
} column;

static inline column column_at(int32_t i, int32_t j, uint32_t salt, float fy, float wy)
{
    const uint32_t h = synth_hash(i, j, salt), l = synth_hash(i, j + 1, salt);
    const float k = 1.0f / 32768.0f; /* gradients: both parts in -1..1 */
    const float hx = (float)(h & 0xFFFF) * k - 1.0f, hy = (float)(h >> 16) * k - 1.0f;
    const float lx = (float)(l & 0xFFFF) * k - 1.0f, ly = (float)(l >> 16) * k - 1.0f;
    const float top = hy * fy, bottom = ly * (fy - 1.0f);
    return (column){top + (bottom - top) * wy, hx + (lx - hx) * wy};
}

/* Adds amp * gradient noise (lattice scale_um, about -1..1, deviation 0.4) to n nodes of a grid row.
 * Value noise would be cheaper, but its borders run along the axes. */
static void noise_add(float *dst, int n, int64_t gi0, int64_t gj, double node_um, double scale_um, uint32_t salt,
                      float amp)
{
    const double k = node_um / scale_um;
    const double y = (double)gj * k;
    const int32_t j = floor_i(y);
    const float fy = (float)(y - (double)j), wy = ease(fy), gain = 1.65f * amp;
    int32_t at = INT32_MIN;
    column left = {0, 0}, right = {0, 0};
    for (int q = 0; q < n; q++) {
        const double x = (double)(gi0 + q) * k;
        const int32_t i = floor_i(x);
        if (i != at) {
            left = at != INT32_MIN && i == at + 1 ? right : column_at(i, j, salt, fy, wy);
            right = column_at(i + 1, j, salt, fy, wy);
            at = i;
        }
        const float fx = (float)(x - (double)i), l = left.a + left.b * fx, r = right.a + right.b * (fx - 1.0f);
        dst[q] += gain * (l + (r - l) * ease(fx));
    }
}

/* As noise_add with octaves, each 2.03 times finer and half as strong; the sum stays within amp. */
static void fbm_add(float *dst, int n, int64_t gi0, int64_t gj, double node_um, double scale_um, int octaves,
                    uint32_t salt, float amp)
{
    float total = 0, a = 1;
    for (int o = 0; o < octaves; o++, a *= 0.5f) total += a;
    a = amp / total;
    for (int o = 0; o < octaves; o++, a *= 0.5f, scale_um /= 2.03) noise_add(dst, n, gi0, gj, node_um, scale_um, salt + (uint32_t)o * 7919u, a);
}

/* Gap between the nearest and the second nearest point of a jittered lattice, um. */
static float nest_gap(const synth_ctx *c, float x, float y)
{
    const float u = x / nest_pitch, v = y / nest_pitch;
    const int32_t ci = floor_i(u), cj = floor_i(v);
    float d1 = 1e9f, d2 = 1e9f;
    for (int32_t j = cj - 1; j <= cj + 1; j++)
        for (int32_t i = ci - 1; i <= ci + 1; i++) {
            const uint32_t h = synth_hash(i, j, c->salt + SALT_NEST);
            const float dx = u - ((float)i + 0.15f + 0.7f * (float)(h & 0xFFFF) / 65536.0f);
            const float dy = v - ((float)j + 0.15f + 0.7f * (float)(h >> 16) / 65536.0f);
            const float d = dx * dx + dy * dy;
            if (d < d1) {
                d2 = d1;
                d1 = d;
            } else if (d < d2) {
                d2 = d;
            }
        }
    return (sqrtf(d2) - sqrtf(d1)) * nest_pitch;
}

/* ---- one row of nodes ---- */

enum { ROW_WX, ROW_WY, ROW_T, ROW_U, ROW_NEC, ROW_LYM, ROW_FAT, ROW_MIX, ROW_SHADE, ROW_NEST, ROW_COUNT };

static double clampd(double v, double lo, double hi) { return v < lo ? lo : v > hi ? hi : v; }
static double fat_scale(const synth_ctx *c) { return clampd(0.25 * MT_MIN(c->width_um, c->height_um), 100, 900); }

/* Tissue before its threshold: one broad piece, ragged by noise, never at the slide's border. */
static void tissue_row(const synth_ctx *c, float *t, int n, int64_t gi0, int64_t gj)
{
    const double node = c->step * c->mpp, shorter = MT_MIN(c->width_um, c->height_um);
    const double rim = MT_MIN(0.035 * shorter, 400.0);
    const double y = (double)gj * node, ey = MT_MIN(y, c->height_um - y), ny = 2.0 * y / c->height_um - 1.0;
    for (int q = 0; q < n; q++) {
        const double x = (double)(gi0 + q) * node, e = MT_MIN(ey, MT_MIN(x, c->width_um - x));
        const double nx = 2.0 * x / c->width_um - 1.0, r2 = nx * nx + ny * ny;
        t[q] = (float)(-0.50 * MT_MIN(r2, 4.0) - 0.35 * MT_MIN(r2 * r2, 8.0));
        if (e < 2.0 * rim) t[q] -= (float)(0.6 * MT_MIN(2.0 - e / rim, 12.0));
    }
    fbm_add(t, n, gi0, gj, node, clampd(0.42 * shorter, 120, 7000), 4, c->salt + SALT_TISSUE, 0.50f);
    fbm_add(t, n, gi0, gj, node, clampd(0.08 * shorter, 40, 260), 3, c->salt + SALT_EDGE, 0.09f);
}

static void field_rows(const synth_ctx *c, float *const r[ROW_COUNT], int n, int64_t gi0, int64_t gj)
{
    const double node = c->step * c->mpp, shorter = MT_MIN(c->width_um, c->height_um);
    for (int k = 0; k < ROW_COUNT; k++)
        if (k != ROW_T) memset(r[k], 0, (size_t)n * sizeof(float));
    fbm_add(r[ROW_WX], n, gi0, gj, node, 210, 3, c->salt + SALT_WARP_X, 52);
    fbm_add(r[ROW_WY], n, gi0, gj, node, 210, 3, c->salt + SALT_WARP_Y, 52);
    fbm_add(r[ROW_U], n, gi0, gj, node, clampd(0.30 * shorter, 100, 2200), 3, c->salt + SALT_TUMOUR, 1.0f);
    fbm_add(r[ROW_U], n, gi0, gj, node, 150, 3, c->salt + SALT_INFILTRATE, 0.22f);
    fbm_add(r[ROW_NEC], n, gi0, gj, node, 330, 3, c->salt + SALT_NECROSIS, 1.0f);
    fbm_add(r[ROW_LYM], n, gi0, gj, node, 190, 3, c->salt + SALT_LYMPH, 1.0f);
    fbm_add(r[ROW_FAT], n, gi0, gj, node, fat_scale(c), 3, c->salt + SALT_FAT, 1.0f);
    noise_add(r[ROW_MIX], n, gi0, gj, node, 170, c->salt + SALT_MIX, 1.0f);
    fbm_add(r[ROW_SHADE], n, gi0, gj, node, 420, 3, c->salt + SALT_SHADE, 1.0f);
    const double y = (double)gj * node;
    for (int q = 0; q < n; q++) {
        r[ROW_WX][q] += (float)((double)(gi0 + q) * node);
        r[ROW_WY][q] += (float)y;
        const bool near_tumour = r[ROW_U][q] - c->cut_tumour > -0.25f;
        r[ROW_NEST][q] = near_tumour ? nest_gap(c, r[ROW_WX][q], r[ROW_WY][q]) : 1e3f;
    }
}

/* The seven signs from the raw fields. u, nec ... before their cuts. */
static void signs_of(float s[SIGN_COUNT], const synth_ctx *c, float t, float u, float nest, float nec, float lym,
                     float fat)
{
    const float depth = u - c->cut_tumour;
    s[SIGN_TISSUE] = t - c->cut_tissue;
    s[SIGN_TUMOUR] = depth;
    s[SIGN_MARGIN] = MT_MIN(lym - c->cut_margin, 2.0f * (0.13f - depth));
    s[SIGN_NECROSIS] = MT_MIN(nec - c->cut_necrosis, 2.0f * (depth - 0.10f));
    /* septa between nests, thinner with depth */
    s[SIGN_SEPTUM] = 0.05f * (15.0f - 14.0f * MT_MIN(MT_MAX(depth, 0.0f), 0.7f) - nest);
    s[SIGN_LYMPH] = lym - c->cut_lymph;
    s[SIGN_FAT] = fat - c->cut_fat;
}

static float fold_at(const synth_ctx *c, double x, double y, float wx, float wy)
{
    const double dx = x - c->fold_cx + 1.4 * (wx - x), dy = y - c->fold_cy + 1.4 * (wy - y);
    const double across = fabs(dx * c->fold_nx + dy * c->fold_ny) - c->fold_half;
    const double along = fabs(dx * c->fold_ny - dy * c->fold_nx) - c->fold_len;
    return (float)MT_MAX(across, along);
}

static int32_t fixed16(float v)
{
    v = v < -7.0f ? -7.0f : v > 7.0f ? 7.0f : v;
    return (int32_t)floorf(v * 65536.0f);
}

static void node_of(synth_node *d, const synth_ctx *c, float *const r[ROW_COUNT], int q, double x, double y)
{
    float s[SIGN_COUNT];
    signs_of(s, c, r[ROW_T][q], r[ROW_U][q], r[ROW_NEST][q], r[ROW_NEC][q], r[ROW_LYM][q], r[ROW_FAT][q]);
    for (int k = 0; k < SIGN_COUNT; k++) d->sign[k] = fixed16(s[k]);
    d->wx = r[ROW_WX][q];
    d->wy = r[ROW_WY][q];
    /* fibres follow the warp, more strongly than glands do */
    const double px = (x + 1.3 * (d->wx - x)) / c->mpp, py = (y + 1.3 * (d->wy - y)) / c->mpp;
    for (int k = 0; k < 2; k++) {
        d->fibre_u[k] = (uint32_t)(int64_t)floor((px * c->fibre_cos[k] + py * c->fibre_sin[k]) * 65536.0);
        d->fibre_v[k] = (uint32_t)(int64_t)floor((py * c->fibre_cos[k] - px * c->fibre_sin[k]) * 65536.0);
    }
    const float mix = 0.5f + 2.2f * r[ROW_MIX][q];
    d->mix = mix < 0 ? 0 : mix > 1 ? 65536 : (int32_t)(mix * 65536.0f);
    d->shade = 65536 + (int32_t)(27000.0f * r[ROW_SHADE][q]);
    d->fold = c->o.fold ? fold_at(c, x, y, d->wx, d->wy) : 1e6f;
}

/* ---- glands ---- */

/* Noise at one place, for what is decided once a gland. */
static float fbm_point(double x_um, double y_um, double scale_um, int octaves, uint32_t salt)
{
    float v = 0;
    /* one node of a grid so fine that the place is a node: 1/64 um */
    fbm_add(&v, 1, (int64_t)floor(x_um * 64.0), (int64_t)floor(y_um * 64.0), 1.0 / 64.0, scale_um, octaves, salt, 1.0f);
    return v;
}

static synth_gland gland_site(const synth_ctx *c, int32_t i, int32_t j)
{
    synth_gland g = {0};
    const uint32_t h = synth_hash(i, j, c->salt + SALT_GLAND), h2 = synth_hash(j, i, h);
    g.cx = ((float)i + 0.5f + 0.55f * (synth_u01(h) - 0.5f)) * gland_pitch;
    g.cy = ((float)j + 0.5f + 0.55f * (synth_u01(h2) - 0.5f)) * gland_pitch;
    /* glands stand in lobules, not in fat */
    const float lobule = fbm_point(g.cx, g.cy, 520, 1, c->salt + SALT_LOBULE) +
                         1.3f * fbm_point(g.cx, g.cy, 2900, 1, c->salt + SALT_LOBULE + 1);
    if (lobule + 0.8f * ((float)(h & 255) / 255.0f - 0.5f) < 0.10f) return g;
    if (fbm_point(g.cx, g.cy, fat_scale(c), 3, c->salt + SALT_FAT) > c->cut_fat - 0.06f) return g;
    g.radius = 25.0f + 22.0f * (float)(h2 & 255) / 255.0f;
    g.wall = 11.0f + 4.0f * (float)(h2 >> 8 & 255) / 255.0f;
    const float stretch = 1.0f + 0.45f * (float)(h >> 8 & 255) / 255.0f;
    float co = (float)(h >> 16 & 255) - 127.5f, si = (float)(h >> 24) - 127.5f; /* a direction */
    const float len = sqrtf(co * co + si * si);
    co /= len;
    si /= len;
    const float a = stretch, b = 1.0f / stretch;
    g.m00 = a * co * co + b * si * si;
    g.m01 = g.m10 = (a - b) * co * si;
    g.m11 = a * si * si + b * co * co;
    return g;
}

static inline float gland_dist2(const synth_gland *g, float wx, float wy)
{
    const float dx = wx - g->cx, dy = wy - g->cy;
    const float ex = g->m00 * dx + g->m01 * dy, ey = g->m10 * dx + g->m11 * dy;
    return ex * ex + ey * ey;
}

typedef struct site_box {
    int32_t i0, j0;
    int ni, nj;
} site_box;

static site_box sites_fill(const synth_ctx *c, synth_grid *g, size_t cap)
{
    float x0 = 1e30f, x1 = -1e30f, y0 = 1e30f, y1 = -1e30f;
    for (int k = 0; k < g->nx * g->ny; k++) {
        x0 = MT_MIN(x0, g->nodes[k].wx);
        x1 = MT_MAX(x1, g->nodes[k].wx);
        y0 = MT_MIN(y0, g->nodes[k].wy);
        y1 = MT_MAX(y1, g->nodes[k].wy);
    }
    site_box b = {(int32_t)floorf(x0 / gland_pitch) - 1, (int32_t)floorf(y0 / gland_pitch) - 1, 0, 0};
    b.ni = (int32_t)floorf(x1 / gland_pitch) + 2 - b.i0;
    b.nj = (int32_t)floorf(y1 / gland_pitch) + 2 - b.j0;
    if ((size_t)b.ni * (size_t)b.nj > cap) return (site_box){0, 0, 0, 0}; /* cannot be: see synth_grid_sites */
    for (int j = 0; j < b.nj; j++)
        for (int i = 0; i < b.ni; i++) g->sites[j * b.ni + i] = gland_site(c, b.i0 + i, b.j0 + j);
    return b;
}

/* The gland nearest to a cell's centre, or -1 when none can reach a pixel of the cell. */
static int16_t gland_near(const synth_ctx *c, const synth_grid *g, const site_box *b, float wx, float wy)
{
    const int ci = floor_i(wx / gland_pitch) - b->i0, cj = floor_i(wy / gland_pitch) - b->j0;
    /* warp and metric stretch a cell by less than 3 */
    const float reach = 3.0f * 0.71f * (float)(c->step * c->mpp);
    float best = 1e30f;
    int at = -1;
    for (int j = cj - 1; j <= cj + 1; j++)
        for (int i = ci - 1; i <= ci + 1; i++) {
            const synth_gland *s = &g->sites[j * b->ni + i];
            if (s->radius == 0) continue;
            const float d = sqrtf(gland_dist2(s, wx, wy)) - s->radius;
            if (d < best) {
                best = d;
                at = j * b->ni + i;
            }
        }
    return best < reach ? (int16_t)at : (int16_t)-1;
}

/* ---- grid ---- */

size_t synth_grid_nodes(const synth_ctx *c, int w, int h)
{
    return ((size_t)w / (size_t)c->step + 4) * ((size_t)h / (size_t)c->step + 4);
}

size_t synth_grid_sites(const synth_ctx *c, int w, int h)
{
    /* the warp moves nodes by up to 52 um each way */
    const double x = (w * c->mpp + 220) / gland_pitch + 5, y = (h * c->mpp + 220) / gland_pitch + 5;
    return (size_t)x * (size_t)y;
}

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

static uint32_t sign_bits(const synth_node *n)
{
    uint32_t b = 0;
    for (int k = 0; k < SIGN_COUNT; k++) b |= (uint32_t)(n->sign[k] > 0) << k;
    return b;
}

static void glands_fill(const synth_ctx *c, synth_scratch *s)
{
    synth_grid *g = &s->grid;
    site_box b = {0, 0, 0, 0};
    bool have = false;
    for (int cj = 0; cj < g->ny - 1; cj++)
        for (int ci = 0; ci < g->nx - 1; ci++) {
            const synth_node *n = g->nodes + cj * g->nx + ci, *m = n + g->nx + 1;
            const uint32_t any = sign_bits(n) | sign_bits(n + 1) | sign_bits(m - 1) | sign_bits(m);
            const uint32_t all = sign_bits(n) & sign_bits(n + 1) & sign_bits(m - 1) & sign_bits(m);
            int16_t *out = g->gland + cj * (g->nx - 1) + ci;
            *out = -1;
            if (!(any & 1u << SIGN_TISSUE)) continue;
            g->classes |= 1u << synth_class_of[any] | 1u << synth_class_of[all];
            if (all != any) g->classes = ~0u; /* a border may hold classes that no corner has */
            if (all & 1u << SIGN_TUMOUR) continue;
            if (!have) b = sites_fill(c, g, s->site_cap);
            have = true;
            if (!b.ni) continue;
            *out = gland_near(c, g, &b, (n->wx + n[1].wx + m[-1].wx + m->wx) * 0.25f,
                              (n->wy + n[1].wy + m[-1].wy + m->wy) * 0.25f);
            if (*out >= 0) g->classes |= 1u << MT_SYNTH_GLAND;
        }
}

void synth_grid_fill(const synth_ctx *c, synth_scratch *s, int64_t x, int64_t y, int w, int h, int reach)
{
    synth_grid *g = &s->grid;
    const double node = c->step * c->mpp;
    g->gi0 = floor_div(x - reach, c->step);
    g->gj0 = floor_div(y - reach, c->step);
    g->nx = (int)(floor_div(x + w - 1 + reach, c->step) + 2 - g->gi0);
    g->ny = (int)(floor_div(y + h - 1 + reach, c->step) + 2 - g->gj0);
    g->tissue = false;
    g->classes = 1u << MT_SYNTH_GLASS;
    float *r[ROW_COUNT];
    for (int k = 0; k < ROW_COUNT; k++) r[k] = s->rows + (size_t)k * (size_t)g->nx;
    /* tissue alone first: most of a slide is glass */
    for (int j = 0; j < g->ny; j++) {
        tissue_row(c, r[ROW_T], g->nx, g->gi0, g->gj0 + j);
        for (int i = 0; i < g->nx; i++) {
            const float t = r[ROW_T][i];
            g->nodes[j * g->nx + i].wx = t; /* kept here until the node is made */
            g->tissue |= t > c->cut_tissue;
        }
    }
    if (!g->tissue) return;
    for (int j = 0; j < g->ny; j++) {
        synth_node *n = g->nodes + j * g->nx;
        for (int i = 0; i < g->nx; i++) r[ROW_T][i] = n[i].wx;
        field_rows(c, r, g->nx, g->gi0, g->gj0 + j);
        for (int i = 0; i < g->nx; i++)
            node_of(&n[i], c, r, i, (double)(g->gi0 + i) * node, (double)(g->gj0 + j) * node);
    }
    glands_fill(c, s);
}

/* ---- classes ---- */

#define B(s) (1u << SIGN_##s)
#define CLASS_OF(b)                                                                              \
    (!((b)&B(TISSUE))    ? MT_SYNTH_GLASS                                                        \
     : (b)&B(TUMOUR)     ? ((b)&B(MARGIN)     ? MT_SYNTH_LYMPHOCYTES                             \
                            : (b)&B(NECROSIS) ? MT_SYNTH_NECROSIS                                \
                            : (b)&B(SEPTUM)   ? MT_SYNTH_STROMA                                  \
                                              : MT_SYNTH_TUMOUR)                                 \
     : (b)&B(LYMPH)      ? MT_SYNTH_LYMPHOCYTES                                                  \
     : (b)&B(FAT)        ? MT_SYNTH_FAT                                                          \
                         : MT_SYNTH_STROMA)
#define C4(b) CLASS_OF(b), CLASS_OF(b + 1), CLASS_OF(b + 2), CLASS_OF(b + 3)
#define C16(b) C4(b), C4(b + 4), C4(b + 8), C4(b + 12)
#define C64(b) C16(b), C16(b + 16), C16(b + 32), C16(b + 48)
const uint8_t synth_class_of[1 << SIGN_COUNT] = {C64(0u), C64(64u)};

synth_cell synth_cell_at(const synth_grid *g, int ci, int cj)
{
    synth_cell k;
    k.n00 = g->nodes + cj * g->nx + ci;
    k.n10 = k.n00 + 1;
    k.n01 = k.n00 + g->nx;
    k.n11 = k.n01 + 1;
    const uint32_t a = sign_bits(k.n00), b = sign_bits(k.n10), d = sign_bits(k.n01), e = sign_bits(k.n11);
    k.all = a;
    k.mixed = (a ^ b) | (a ^ d) | (a ^ e);
    const int16_t gl = g->gland[cj * (g->nx - 1) + ci];
    k.gland = gl < 0 ? NULL : g->sites + gl;
    return k;
}

int synth_cell_class(const synth_ctx *c, const synth_cell *k, int ix, int iy, float *d_out)
{
    const int s = c->step;
    uint32_t bits = k->all;
    if (k->mixed) {
        const int32_t w00 = (s - ix) * (s - iy), w10 = ix * (s - iy), w01 = (s - ix) * iy, w11 = ix * iy;
        for (uint32_t m = k->mixed; m; m &= m - 1) {
            const int f = __builtin_ctz(m);
            const int32_t v = k->n00->sign[f] * w00 + k->n10->sign[f] * w10 + k->n01->sign[f] * w01 + k->n11->sign[f] * w11;
            bits = (bits & ~(1u << f)) | (uint32_t)(v > 0) << f;
        }
    }
    const int cls = synth_class_of[bits & ((1u << SIGN_COUNT) - 1)];
    if (!k->gland || !(bits & B(TISSUE)) || bits & B(TUMOUR)) return cls;
    const float fx = (float)ix / (float)s, fy = (float)iy / (float)s;
    const float lx = k->n00->wx + (k->n01->wx - k->n00->wx) * fy, rx = k->n10->wx + (k->n11->wx - k->n10->wx) * fy;
    const float ly = k->n00->wy + (k->n01->wy - k->n00->wy) * fy, ry = k->n10->wy + (k->n11->wy - k->n10->wy) * fy;
    const float d2 = gland_dist2(k->gland, lx + (rx - lx) * fx, ly + (ry - ly) * fx), r = k->gland->radius;
    if (d2 >= r * r) return cls;
    if (d_out) *d_out = sqrtf(d2) / r;
    return MT_SYNTH_GLAND;
}

int synth_class_at(const synth_ctx *c, const synth_grid *g, int64_t x, int64_t y)
{
    if (!g->tissue) return MT_SYNTH_GLASS;
    const int64_t gi = floor_div(x, c->step), gj = floor_div(y, c->step);
    const synth_cell k = synth_cell_at(g, (int)(gi - g->gi0), (int)(gj - g->gj0));
    return synth_cell_class(c, &k, (int)(x - gi * c->step), (int)(y - gj * c->step), NULL);
}

/* ---- thresholds ---- */

enum { SAMPLES_X = 64, SAMPLES_Y = 48, SAMPLES = SAMPLES_X * SAMPLES_Y };

typedef struct samples {
    float t[SAMPLES], u[SAMPLES], nest[SAMPLES], nec[SAMPLES], lym[SAMPLES], fat[SAMPLES], sorted[SAMPLES];
    int n;
} samples;

static int by_value(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Value that a share of the samples passes. */
static float quantile_above(samples *s, const float *v, double share)
{
    memcpy(s->sorted, v, (size_t)s->n * sizeof(float));
    qsort(s->sorted, (size_t)s->n, sizeof(float), by_value);
    const int k = (int)((1.0 - share) * s->n);
    return s->sorted[k < 0 ? 0 : k >= s->n ? s->n - 1 : k];
}

static int sample_class(const synth_ctx *c, const samples *s, int q)
{
    float sg[SIGN_COUNT];
    uint32_t bits = 0;
    signs_of(sg, c, s->t[q], s->u[q], s->nest[q], s->nec[q], s->lym[q], s->fat[q]);
    for (int k = 0; k < SIGN_COUNT; k++) bits |= (uint32_t)(sg[k] > 0) << k;
    return synth_class_of[bits];
}

static void sample_fields(synth_ctx *c, samples *s)
{
    const double node = c->step * c->mpp;
    float cols[ROW_COUNT][1], *r[ROW_COUNT];
    for (int k = 0; k < ROW_COUNT; k++) r[k] = cols[k];
    c->cut_tumour = -1e6f; /* so that every sample gets its nest distance */
    s->n = SAMPLES;
    for (int q = 0; q < SAMPLES; q++) {
        const uint32_t h = synth_hash(q, 0, c->salt + SALT_SAMPLE);
        const double fx = (q % SAMPLES_X + (double)(h & 0xFFFF) / 65536) / SAMPLES_X;
        const double fy = ((double)(q / SAMPLES_X) + (double)(h >> 16) / 65536) / SAMPLES_Y;
        const int64_t gi = (int64_t)(fx * c->width_um / node), gj = (int64_t)(fy * c->height_um / node);
        tissue_row(c, r[ROW_T], 1, gi, gj);
        field_rows(c, r, 1, gi, gj);
        s->t[q] = r[ROW_T][0];
        s->u[q] = r[ROW_U][0];
        s->nest[q] = r[ROW_NEST][0];
        s->nec[q] = r[ROW_NEC][0];
        s->lym[q] = r[ROW_LYM][0];
        s->fat[q] = r[ROW_FAT][0];
    }
}

/* Keeps the tissue samples only. */
static void sample_tissue(const synth_ctx *c, samples *s)
{
    int n = 0;
    for (int q = 0; q < s->n; q++) {
        if (s->t[q] <= c->cut_tissue) continue;
        s->t[n] = s->t[q];
        s->u[n] = s->u[q];
        s->nest[n] = s->nest[q];
        s->nec[n] = s->nec[q];
        s->lym[n] = s->lym[q];
        s->fat[n] = s->fat[q];
        n++;
    }
    s->n = n;
}

/* Sets the cuts so that each class has about its share of the tissue whatever the seed drew. */
mt_status synth_calibrate(synth_ctx *c, mt_err *err)
{
    MT_AUTO_FREE samples *s = NULL;
    MT_TRY(mt_alloc(&s, 1, sizeof *s, sizeof *s, "sample table", err));
    sample_fields(c, s);
    const float v1 = synth_u01(synth_hash(1, 1, c->salt)), v2 = synth_u01(synth_hash(2, 1, c->salt));
    const float v3 = synth_u01(synth_hash(3, 1, c->salt)), v4 = synth_u01(synth_hash(4, 1, c->salt));
    c->cut_tissue = quantile_above(s, s->t, c->o.tissue > 0 ? c->o.tissue : 0.42 + 0.2 * v1);
    sample_tissue(c, s);
    c->cut_fat = quantile_above(s, s->fat, 0.05 + 0.17 * v2);
    c->cut_lymph = quantile_above(s, s->lym, 0.02 + 0.05 * v3);
    c->cut_margin = quantile_above(s, s->lym, 0.22 + 0.12 * v3);
    c->cut_necrosis = quantile_above(s, s->nec, 0.10 + 0.22 * v4);
    if (c->o.tumour <= 0) {
        c->cut_tumour = 1e6f;
        return MT_OK;
    }
    float lo = -3.0f, hi = 3.0f; /* the share falls with the cut */
    for (int pass = 0; pass < 24; pass++) {
        c->cut_tumour = 0.5f * (lo + hi);
        int n = 0;
        for (int q = 0; q < s->n; q++) n += sample_class(c, s, q) == MT_SYNTH_TUMOUR;
        if (n > c->o.tumour * s->n) lo = c->cut_tumour;
        else hi = c->cut_tumour;
    }
    return MT_OK;
}
