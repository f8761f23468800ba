/* Tables of a slide: periodic textures, the colour of two stains, pictures of nuclei. */
#include "slide/synth/draw.h"

#include <math.h>
#include <string.h>

enum { N = SYNTH_TABLE, SALT_FINE = 5000, SALT_MID = 5200, SALT_FIBRE = 5400, SALT_STAIN = 5600, SALT_STAMP = 5800 };

static float clampf(float v, float lo, float hi) { return v < lo ? lo : v > hi ? hi : v; }

/* ---- textures ---- */

/* Cells of a periodic lattice with features of about `um` across the table. */
static int lattice(const synth_ctx *c, double um)
{
    const int n = (int)(N * c->mpp / um + 0.5);
    return n < 2 ? 2 : n > N ? N : n;
}

/* Adds amp * periodic value noise in -1..1 with nx x ny cells over the table. */
static void periodic_add(float *t, int nx, int ny, uint32_t salt, float amp)
{
    for (int y = 0; y < N; y++) {
        const float v = (float)y * (float)ny / N;
        const int j = (int)v, j1 = (j + 1) % ny;
        float fy = v - (float)j;
        fy = fy * fy * (3 - 2 * fy);
        for (int x = 0; x < N; x++) {
            const float u = (float)x * (float)nx / N;
            const int i = (int)u, i1 = (i + 1) % nx;
            float fx = u - (float)i;
            fx = fx * fx * (3 - 2 * fx);
            const float a = synth_u01(synth_hash(i, j, salt)), b = synth_u01(synth_hash(i1, j, salt));
            const float d = synth_u01(synth_hash(i, j1, salt)), e = synth_u01(synth_hash(i1, j1, salt));
            const float top = a + (b - a) * fx, bottom = d + (e - d) * fx;
            t[y * N + x] += 2 * amp * (top + (bottom - top) * fy - 0.5f);
        }
    }
}

/* 0..255, mean 128, spread over the whole range and clipped at gain * value. */
static uint8_t *to_bytes(synth_ctx *c, const float *t, float gain)
{
    uint8_t *b = mt_arena_alloc(&c->arena, N * N);
    for (int k = 0; b && k < N * N; k++) b[k] = (uint8_t)(clampf(128.0f + 127.0f * gain * t[k], 0, 255) + 0.5f);
    return b;
}

static mt_status textures_make(synth_ctx *c, mt_err *err)
{
    MT_AUTO_FREE float *t = NULL;
    MT_TRY(mt_alloc(&t, N * N, sizeof *t, N * N * sizeof *t, "texture", err));
    periodic_add(t, lattice(c, 2.6), lattice(c, 2.6), c->salt + SALT_FINE, 0.65f);
    periodic_add(t, lattice(c, 1.2), lattice(c, 1.2), c->salt + SALT_FINE + 1, 0.35f);
    c->fine = to_bytes(c, t, 1.3f);
    memset(t, 0, N * N * sizeof *t);
    periodic_add(t, lattice(c, 9.0), lattice(c, 9.0), c->salt + SALT_MID, 0.6f);
    periodic_add(t, lattice(c, 4.2), lattice(c, 4.2), c->salt + SALT_MID + 1, 0.4f);
    c->mid = to_bytes(c, t, 1.4f);
    memset(t, 0, N * N * sizeof *t);
    periodic_add(t, lattice(c, 34.0), lattice(c, 5.2), c->salt + SALT_FIBRE, 0.55f);
    periodic_add(t, lattice(c, 17.0), lattice(c, 2.4), c->salt + SALT_FIBRE + 1, 0.30f);
    periodic_add(t, lattice(c, 5.0), lattice(c, 1.4), c->salt + SALT_FIBRE + 2, 0.15f);
    c->fibre = to_bytes(c, t, 1.7f);
    if (!c->fine || !c->mid || !c->fibre) return mt_err_set(err, MT_ERR_NO_MEMORY, "synthetic slide: textures");
    return MT_OK;
}

/* ---- colour ---- */

static float vary(const synth_ctx *c, int k) { return 2 * synth_u01(synth_hash(k, 77, c->salt + SALT_STAIN)) - 1; }

static mt_status colours_make(synth_ctx *c, mt_err *err)
{
    uint32_t *lut = mt_arena_alloc(&c->arena, 65536 * sizeof *lut);
    if (!lut) return mt_err_set(err, MT_ERR_NO_MEMORY, "synthetic slide: colour table");
    double hv[3] = {0.64, 0.70, 0.33}, ev[3] = {0.13, 0.86, 0.42}; /* optical density of the stains in R, G, B */
    double hn = 0, en = 0;
    for (int k = 0; k < 3; k++) {
        hv[k] += 0.035 * vary(c, k);
        ev[k] += 0.035 * vary(c, 4 + k);
        hn += hv[k] * hv[k];
        en += ev[k] * ev[k];
        c->glass[k] = (uint8_t)(243.5 + 3.0 * vary(c, 16) + 2.0 * vary(c, 8 + k));
    }
    const double hg = 1.75 / 150 * (1 + 0.18 * vary(c, 12)) / sqrt(hn), eg = 1.75 / 255 * (1 + 0.22 * vary(c, 13)) / sqrt(en);
    double ht[3][256], et[3][256];
    for (int k = 0; k < 3; k++)
        for (int v = 0; v < 256; v++) {
            ht[k][v] = exp(-hg * hv[k] * v) * c->glass[k];
            et[k][v] = exp(-eg * ev[k] * v);
        }
    for (int h = 0; h < 256; h++)
        for (int e = 0; e < 256; e++) {
            uint32_t p = 0;
            for (int k = 0; k < 3; k++) p |= (uint32_t)(ht[k][h] * et[k][e] + 0.5) << (8 * k);
            lut[h << 8 | e] = p;
        }
    c->colour = lut;
    static const uint8_t inks[4][3] = {{40, 70, 190}, {25, 120, 70}, {35, 35, 40}, {60, 40, 150}};
    memcpy(c->pen_ink, inks[synth_hash(5, 5, c->salt) & 3], 3);
    return MT_OK;
}

/* ---- nuclei ---- */

typedef struct nucleus {
    double half_len, half_wid;  /* um */
    double size_var, wid_var;   /* relative */
    double irregular;           /* of the outline */
    double dens, tex, rim;      /* haematoxylin: base, chromatin texture, darker membrane */
    double nucleolus;           /* dark dots: share of variants */
} nucleus;

static const nucleus nuclei[STAMP_TYPES] = {
    [STAMP_SPINDLE] = {6.6, 1.55, 0.30, 0.25, 0.05, 1.00, 0.35, 0.05, 0.0},
    [STAMP_GLAND] = {4.6, 2.35, 0.14, 0.14, 0.05, 0.92, 0.40, 0.22, 0.2},
    [STAMP_TUMOUR] = {5.0, 3.7, 0.34, 0.22, 0.16, 0.72, 0.62, 0.42, 0.7},
    [STAMP_LYMPH] = {3.0, 2.8, 0.12, 0.08, 0.04, 1.28, 0.42, 0.10, 0.0},
    [STAMP_DEBRIS] = {1.7, 1.3, 0.45, 0.35, 0.25, 1.00, 0.30, 0.00, 0.0},
};

typedef struct drawn { /* one nucleus about to be drawn */
    double a, b, co, si, irregular, phase_c[2], phase_s[2], dens;
    double dot_x, dot_y, dot_r;
    uint32_t salt;
} drawn;

/* Smooth noise over micrometres, for chromatin. */
static double chromatin(double x, double y, uint32_t salt)
{
    const double u = x / 1.25 + 100, v = y / 1.25 + 100;
    const int i = (int)u, j = (int)v;
    double fx = u - i, fy = v - j;
    fx = fx * fx * (3 - 2 * fx);
    fy = fy * fy * (3 - 2 * fy);
    const double a = synth_u01(synth_hash(i, j, salt)), b = synth_u01(synth_hash(i + 1, j, salt));
    const double d = synth_u01(synth_hash(i, j + 1, salt)), e = synth_u01(synth_hash(i + 1, j + 1, salt));
    return (a + (b - a) * fx) * (1 - fy) + (d + (e - d) * fx) * fy;
}

static drawn nucleus_draw(const nucleus *n, int angle, uint32_t salt)
{
    drawn d = {.salt = salt};
    double r[8];
    for (int k = 0; k < 8; k++) r[k] = 2.0 * synth_u01(synth_hash(k, angle, salt)) - 1.0;
    d.a = n->half_len * (1 + n->size_var * r[0]);
    d.b = MT_MIN(d.a, n->half_wid * (1 + n->wid_var * r[1]) * (1 + 0.6 * n->size_var * r[0]));
    const double th = 3.14159265358979 * angle / STAMP_ANGLES;
    d.co = cos(th);
    d.si = sin(th);
    d.irregular = n->irregular;
    for (int k = 0; k < 2; k++) {
        d.phase_c[k] = cos(3.1416 * r[2 + k]);
        d.phase_s[k] = sin(3.1416 * r[2 + k]);
    }
    d.dens = n->dens * (1 + 0.22 * r[4]);
    d.dot_r = r[5] * 0.5 + 0.5 < n->nucleolus ? 0.75 + 0.35 * r[7] : 0;
    d.dot_x = 0.4 * d.a * r[6];
    d.dot_y = 0.4 * d.b * r[7];
    return d;
}

/* Density and coverage of one point, um from the centre. */
static void nucleus_at(const nucleus *n, const drawn *d, double x, double y, double mpp, double *dens, double *cover)
{
    const double u = x * d->co + y * d->si, v = -x * d->si + y * d->co;
    const double pa = u / d->a, pb = v / d->b, rr = sqrt(pa * pa + pb * pb);
    const double f1 = rr > 1e-9 ? pa / rr : 1, f2 = rr > 1e-9 ? pb / rr : 0; /* cos and sin of the polar angle */
    const double c2 = f1 * f1 - f2 * f2, s2 = 2 * f1 * f2, c3 = c2 * f1 - s2 * f2, s3 = s2 * f1 + c2 * f2;
    const double edge = 1 + d->irregular * (0.6 * (c2 * d->phase_c[0] - s2 * d->phase_s[0]) +
                                            0.55 * (c3 * d->phase_c[1] - s3 * d->phase_s[1]));
    const double e = rr / edge;
    double k = (1 - e) * MT_MIN(d->a, d->b) / mpp + 0.5;
    *cover = k < 0 ? 0 : k > 1 ? 1 : k;
    const double tex = chromatin(x, y, d->salt);
    double h = d->dens * (1 - 0.5 * n->tex + n->tex * tex);
    if (e > 0.72) h += n->rim * d->dens * MT_MIN(1.0, (e - 0.72) / 0.18);
    const double q = sqrt((u - d->dot_x) * (u - d->dot_x) + (v - d->dot_y) * (v - d->dot_y));
    if (d->dot_r > 0 && q < d->dot_r) h += 0.55 * (1 - q / d->dot_r);
    *dens = h;
}

static mt_status stamp_make(synth_ctx *c, int type, int angle, int variant, mt_err *err)
{
    const nucleus *n = &nuclei[type];
    const drawn d = nucleus_draw(n, angle, c->salt + SALT_STAMP + (uint32_t)(type * 16 + variant));
    const double reach = d.a * (1 + d.irregular) + 0.5 * c->mpp;
    const int half = (int)ceil(reach / c->mpp), side = 2 * half + 1;
    uint8_t *dens = mt_arena_alloc(&c->arena, (size_t)side * (size_t)side * 2);
    if (!dens) return mt_err_set(err, MT_ERR_NO_MEMORY, "synthetic slide: nuclei");
    uint8_t *cover = dens + (size_t)side * (size_t)side;
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++) {
            double h, k;
            nucleus_at(n, &d, (x - half) * c->mpp, (y - half) * c->mpp, c->mpp, &h, &k);
            const double v = 150.0 * h;
            dens[y * side + x] = (uint8_t)(v < 0 ? 0 : v > 250 ? 250 : v);
            cover[y * side + x] = (uint8_t)(k * 255.0 + 0.5);
        }
    c->stamps[type][angle * STAMP_VARIANTS + variant] = (synth_stamp){(int16_t)side, (int16_t)side, dens, cover};
    c->stamp_reach = MT_MAX(c->stamp_reach, half + 1);
    return MT_OK;
}

mt_status synth_tables_make(synth_ctx *c, mt_err *err)
{
    MT_TRY(textures_make(c, err));
    MT_TRY(colours_make(c, err));
    for (int t = 0; t < STAMP_TYPES; t++)
        for (int a = 0; a < STAMP_ANGLES; a++)
            for (int v = 0; v < STAMP_VARIANTS; v++) MT_TRY(stamp_make(c, t, a, v, err));
    return MT_OK;
}
