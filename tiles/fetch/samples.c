#include "tiles/fetch/samples.h"

#include <string.h>

enum {
    KEPT = 128, /* places of weights a worker keeps along each axis */
    LINE = 64   /* bytes of a cache line */
};

static mt_plane_box box_of(const walk_axis *a, const walk_cell *c)
{
    return (mt_plane_box){c->a, c->b, a->size, c->f0, c->f1};
}

/* ---- A crop's buffer ---- */

samples_slot samples_slot_of(const walk *w)
{
    enum { BESIDE = 3 }; /* a sample of its own at either rim, and one spread from beside */
    samples_slot s = {.bytes = 0};
    for (int i = 0; i < w->way.samples.planes; i++) {
        s.at[i] = s.bytes;
        s.stride[i] = (size_t)(w->axis[WALK_X].max_len / w->way.samples.step_x[i] + BESIDE);
        s.bytes += s.stride[i] *
                   (size_t)(w->axis[WALK_Y].max_len / w->way.samples.step_y[i] + BESIDE);
        s.bytes = (s.bytes + LINE - 1) / LINE * LINE;
    }
    return s;
}

/* Samples of the crop that native tile t of this axis has: [*from, *to) counted in the native tile;
 * *at: how many of the crop's lie before. */
static void overlap(int32_t *from, int32_t *to, int32_t *at, const walk *w, int axis, int plane,
                    uint32_t tile, int32_t t)
{
    const walk_axis *a = &w->axis[axis];
    const mt_plane_grid g = way_grid(&w->way.samples, plane, axis, a->native);
    const mt_plane_box b = box_of(a, walk_cell_of(w, axis, tile));
    const int32_t per_tile = g.native / g.step, begin = t * per_tile;
    int32_t first;
    const int32_t past = mt_plane_samples(&first, &g, &b);
    *from = MT_MAX(first - begin, 0);
    *to = MT_MAX(MT_MIN(past - begin, per_tile), *from);
    *at = begin + *from - first;
}

samples_part samples_part_of(const walk *w, const samples_slot *slot, uint8_t *px, uint32_t tile,
                             const int32_t t[2])
{
    samples_part p;
    for (int i = 0; i < w->way.samples.planes; i++) {
        int32_t x, y, past;
        overlap(&p.skip[i], &past, &x, w, WALK_X, i, tile, t[WALK_X]);
        overlap(&p.y0[i], &p.y1[i], &y, w, WALK_Y, i, tile, t[WALK_Y]);
        p.n[i] = past - p.skip[i];
        p.to[i] = px + slot->at[i] + (size_t)y * slot->stride[i] + (size_t)x;
    }
    return p;
}

/* ---- Native tile to crops ---- */

/* Rows [r0, r1) of plane i, the first of them at px. */
static void copy_rows(const samples_spread *s, int i, const uint8_t *px, size_t stride, int32_t r0,
                      int32_t r1)
{
    for (size_t k = 0; k < s->n; k++) {
        const samples_part *p = &s->parts[k];
        const size_t to_stride = s->slot->stride[i], n = (size_t)p->n[i];
        for (int32_t r = MT_MAX(r0, p->y0[i]); r < MT_MIN(r1, p->y1[i]); r++) {
            uint8_t *to = p->to[i] + (size_t)(r - p->y0[i]) * to_stride;
            /* The rows of the next portion: their lines come while the decoder computes. */
            for (size_t c = 0; c < n && r + (r1 - r0) < p->y1[i]; c += LINE)
                __builtin_prefetch(to + (size_t)(r1 - r0) * to_stride + c, 1, 2);
            memcpy(to, px + (size_t)(r - r0) * stride + p->skip[i], n);
        }
    }
}

void samples_take(void *ctx, const mt_sample_rows *rows)
{
    samples_spread *s = ctx;
    s->other |= !way_fits(s->way, rows);
    for (int i = 0; i < s->way->planes && !s->other; i++)
        copy_rows(s, i, rows->px[i], rows->stride[i], rows->y / rows->step_y[i],
                  (rows->y + rows->n + rows->step_y[i] - 1) / rows->step_y[i]);
}

/* Plane i of a mean colour. */
static uint8_t sample_of(const way_samples *w, int i, const uint32_t rgb[3])
{
    static const int32_t k[3][3] = {
        {19595, 38470, 7471}, {-11059, -21709, 32768}, {32768, -27439, -5329}};
    if (w->planes == 3 && !w->ycbcr) return (uint8_t)rgb[i];
    const int32_t v = (k[i][0] * (int32_t)rgb[0] + k[i][1] * (int32_t)rgb[1] +
                       k[i][2] * (int32_t)rgb[2] + 32768) >> 16;
    return (uint8_t)MT_MIN(v + (i ? 128 : 0), 255);
}

static uint8_t mean_sample(const samples_spread *s, int i, const uint8_t *rgb, size_t stride,
                           int32_t w, int32_t h)
{
    uint32_t sum[3] = {0, 0, 0};
    const uint32_t n = (uint32_t)(w * h);
    for (int32_t y = 0; y < h; y++)
        for (int32_t x = 0; x < w; x++)
            for (int c = 0; c < 3; c++) sum[c] += rgb[(size_t)y * stride + 3 * (size_t)x + (size_t)c];
    for (int c = 0; c < 3; c++) sum[c] = (sum[c] + n / 2) / n;
    return sample_of(s->way, i, sum);
}

void samples_take_rgb(void *ctx, const uint8_t *rgb, size_t stride, int32_t y, int32_t n)
{
    const samples_spread *s = ctx;
    for (int i = 0; i < s->way->planes; i++) {
        const int dx = s->way->step_x[i] / s->way->denom, dy = s->way->step_y[i] / s->way->denom;
        for (int32_t r = y, next; r < y + n; r = next) {
            next = MT_MIN((r / dy + 1) * dy, y + n);
            if (r % dy) continue; /* the rows before have made this sample */
            const uint8_t *row = rgb + (size_t)(r - y) * stride;
            for (size_t k = 0; k < s->n; k++) {
                const samples_part *p = &s->parts[k];
                if (r / dy < p->y0[i] || r / dy >= p->y1[i]) continue;
                uint8_t *to = p->to[i] + (size_t)(r / dy - p->y0[i]) * s->slot->stride[i];
                for (int32_t x = 0; x < p->n[i]; x++)
                    to[x] = mean_sample(s, i, row + 3 * (size_t)(p->skip[i] + x) * (size_t)dx, stride,
                                        dx, next - r);
            }
        }
    }
}

void samples_whiten(const samples_spread *s)
{
    for (size_t k = 0; k < s->n; k++)
        for (int i = 0; i < s->way->planes; i++) {
            const samples_part *p = &s->parts[k];
            for (int32_t r = p->y0[i]; r < p->y1[i]; r++)
                memset(p->to[i] + (size_t)(r - p->y0[i]) * s->slot->stride[i],
                       s->way->ycbcr && i ? 128 : 255, (size_t)p->n[i]);
        }
}

/* ---- Resampling ---- */

/* Weights depend on where a box begins in its native tile, on its length, what of it lies inside the
 * picture, and on the fractions. */
typedef struct place {
    int32_t phase, len, in;
    float f0, f1;
} place;

typedef struct kept {
    place at;
    mt_plane_axis *axis[2]; /* of the first plane, and of the others */
} kept;

struct samples_axes {
    kept kept[2][KEPT];
    void *scratch;
    size_t scratch_bytes;
};

mt_status samples_axes_new(samples_axes **out, mt_err *err)
{
    return mt_alloc(out, 1, sizeof **out, SIZE_MAX, "weights", err);
}

static void forget(kept *k)
{
    mt_plane_axis_free(&k->axis[0]);
    mt_plane_axis_free(&k->axis[1]);
}

void samples_axes_free(samples_axes **axes)
{
    if (!*axes) return;
    for (int i = 0; i < KEPT; i++) {
        forget(&(*axes)->kept[0][i]);
        forget(&(*axes)->kept[1][i]);
    }
    free((*axes)->scratch);
    free(*axes);
    *axes = NULL;
}

static place place_of(const walk_axis *a, const walk_cell *c)
{
    return (place){c->a % a->native, c->b - c->a, MT_MAX(MT_MIN(c->b, a->size) - c->a, 0), c->f0,
                   c->f1};
}

static uint32_t hash_of(const place *p)
{
    uint32_t v[5], h = 0;
    memcpy(v, p, sizeof v);
    for (int i = 0; i < 5; i++) h = (h ^ v[i]) * 2654435761u;
    return h >> 16;
}

static mt_status weights_of(const kept **out, samples_axes *axes, const walk *w, int axis,
                            uint32_t tile, mt_filter filter, mt_err *err)
{
    const walk_axis *a = &w->axis[axis];
    const place at = place_of(a, walk_cell_of(w, axis, tile));
    kept *k = &axes->kept[axis][hash_of(&at) % KEPT];
    *out = k;
    if (k->axis[0] && !memcmp(&k->at, &at, sizeof at)) return MT_OK;
    forget(k);
    k->at = at;
    const mt_plane_box box = {at.phase, at.phase + at.len, at.phase + at.in, at.f0, at.f1};
    for (int i = 0; i < MT_MIN(w->way.samples.planes, 2); i++) {
        const mt_plane_grid g = way_grid(&w->way.samples, i, axis, a->native);
        mt_status st = mt_plane_axis_new(&k->axis[i], &g, &box, w->plan->out_px, filter, err);
        if (st == MT_OK) continue;
        forget(k);
        return st;
    }
    return MT_OK;
}

static mt_status need_scratch(samples_axes *axes, size_t bytes, mt_err *err)
{
    if (bytes <= axes->scratch_bytes) return MT_OK;
    free(axes->scratch);
    axes->scratch = NULL;
    axes->scratch_bytes = 0;
    MT_TRY(mt_alloc_aligned(&axes->scratch, bytes, SIZE_MAX, "resampling", err));
    axes->scratch_bytes = bytes;
    return MT_OK;
}

mt_status samples_resample(samples_axes *axes, const walk *w, const samples_slot *slot,
                           const uint8_t *px, uint32_t tile, mt_filter filter, uint8_t *rgb,
                           mt_err *err)
{
    const kept *x, *y;
    MT_TRY(weights_of(&x, axes, w, WALK_X, tile, filter, err));
    MT_TRY(weights_of(&y, axes, w, WALK_Y, tile, filter, err));
    const mt_plane_kind kind = way_kind(&w->way.samples);
    mt_plane planes[3];
    for (int i = 0; i < w->way.samples.planes; i++)
        planes[i] = (mt_plane){px + slot->at[i], slot->stride[i], x->axis[i != 0], y->axis[i != 0]};
    MT_TRY(need_scratch(axes, mt_planes_scratch_bytes(planes, kind), err));
    mt_u8_resample_planes(rgb, (size_t)w->plan->out_px * 3, planes, kind, axes->scratch);
    return MT_OK;
}
