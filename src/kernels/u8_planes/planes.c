/* Planning an axis, dispatch, and the walk over the output's rows. */
#include "kernels/u8_planes/impl.h"

#include <math.h>
#include <string.h>
#include "kernels/u8_resample/impl.h"

#define MAX_SIDE 65535
#define MAX_PIXEL (1 << 30)
#define MAX_BYTES ((size_t)1 << 30)

typedef struct variant {
    int level;
    mt_pl_column_fn *column;
    mt_pl_row_fn *row;
    mt_pl_colour_fn *colour;
} variant;

static const variant variants[] = {
#define MT_VARIANT(isa, level) {level, mt_pl_column_##isa, mt_pl_row_##isa, mt_pl_colour_##isa},
#include "kernels/u8_planes/kernels.def"
#undef MT_VARIANT
};

static const variant *pick_variant(void)
{
    const variant *best = &variants[0];
    for (size_t i = 1; i < MT_COUNT(variants) && variants[i].level <= mt_cpu_level(); i++)
        best = &variants[i];
    return best;
}

/* The samples a pixel is made of: its own and, when spread, the nearer one beside it. */
static void samples_of(int32_t *own, int32_t *beside, const mt_plane_grid *g, int32_t pixel)
{
    const int32_t per_tile = g->native / g->step, tile = pixel / g->native, at = pixel % g->native;
    *own = *beside = tile * per_tile + at / g->step;
    if (!g->smooth) return;
    const int32_t fine = at / 2, other = at % 2 ? fine + 1 : fine - 1; /* before any reducing */
    if (other >= 0 && other < g->native / 2) *beside = tile * per_tile + other / (g->step / 2);
}

int32_t mt_plane_samples(int32_t *first, const mt_plane_grid *g, const mt_plane_box *b)
{
    const int32_t end = MT_MIN(b->b, b->end);
    int32_t own, beside;
    *first = 0;
    if (end <= b->a) return 0;
    samples_of(&own, &beside, g, b->a);
    *first = MT_MIN(own, beside);
    samples_of(&own, &beside, g, end - 1);
    return MT_MAX(own, beside) + 1;
}

static mt_status check(const mt_plane_grid *g, const mt_plane_box *b, int32_t n_out, mt_err *err)
{
    const bool grid = g->step >= 1 && g->step <= 16 && !(g->step & (g->step - 1)) &&
                      g->native >= g->step && g->native % g->step == 0 && (!g->smooth || g->step > 1);
    const bool box = b->a >= 0 && b->b > b->a && b->b <= MAX_PIXEL && b->b - b->a <= MAX_SIDE &&
                     b->f0 >= 0 && b->f0 < b->f1 && b->f1 <= (float)(b->b - b->a);
    if (grid && box && n_out >= 1 && n_out <= MAX_SIDE) return MT_OK;
    return mt_err_set(err, MT_ERR_ARG, "resample: %g..%g of %d pixels from %d to %d, samples every %d of %d",
                      (double)b->f0, (double)b->f1, b->b - b->a, b->a, n_out, g->step, g->native);
}

/* Weights of one output over the box's samples, all zero before; the range that is not. */
typedef struct folded {
    double *w;
    int32_t lo, hi;
} folded;

static void fold(folded *f, const double *px, int32_t first, int32_t n, const mt_plane_grid *g,
                 const mt_plane_box *b, int32_t sample0)
{
    f->lo = INT32_MAX;
    f->hi = 0;
    for (int32_t t = 0; t < n && b->a + first + t < b->end; t++) {
        int32_t s[2];
        samples_of(&s[0], &s[1], g, b->a + first + t);
        for (int j = 0; j < 2; j++) {
            f->w[s[j] - sample0] += px[t] * (j ? 0.25 : 0.75);
            f->lo = MT_MIN(f->lo, s[j] - sample0);
            f->hi = MT_MAX(f->hi, s[j] - sample0 + 1);
        }
    }
}

/* A sample that is a mean says nothing of where in it the light was, and the filter would have weighed
 * its near side more: the result would be a little blurred. Weight is moved between neighbours until
 * centre and width of the whole are the filter's. */
static void correct(folded *f, const double *px, int32_t first, int32_t n, const mt_plane_grid *g,
                    const mt_plane_box *b, int32_t sample0, int32_t n_in)
{
    /* Squares of how far a pixel's light is spread before, and lies apart inside a sample. */
    const double step = g->step, half = step / 2, spread = g->smooth ? 0.75 : 0,
                 inside = g->smooth ? (half * half - 1) / 3 : (step * step - 1) / 12;
    const double x0 = b->a + first + (n - 1) / 2.0;
    double want[3] = {0, 0, 0}, have[2] = {0, 0}, before = 0;
    for (int32_t t = 0; t < n && b->a + first + t < b->end; t++) {
        const double x = b->a + first + t - x0;
        want[0] += px[t];
        want[1] += px[t] * x;
        want[2] += px[t] * (x * x + spread);
    }
    for (int32_t k = f->lo; k < f->hi; k++) {
        const double x = (sample0 + k) * step + (step - 1) / 2 - x0;
        have[0] += f->w[k] * x;
        have[1] += f->w[k] * (x * x + inside);
    }
    if (fabs(want[0]) < 0.5) return; /* mostly outside */
    const double shift = (want[1] - have[0]) / (want[0] * step),
                 widen = (want[2] - have[1]) / (want[0] * step * step) - 2 * shift * have[0] / (want[0] * step),
                 down = (widen - shift) / 2, up = (widen + shift) / 2;
    const int32_t lo = MT_MAX(f->lo - 1, 0), hi = MT_MIN(f->hi + 1, n_in);
    for (int32_t k = lo; k < hi; k++) {
        const double here = f->w[k], next = k + 1 < n_in ? f->w[k + 1] : 0;
        f->w[k] = here * (1 - down * (k > 0) - up * (k + 1 < n_in)) + before * up + next * down;
        before = here;
    }
    f->lo = lo;
    f->hi = hi;
}

/* Rounded so that the sum is the rounded sum: what is flat stays as it is. Returns the sum. */
static int32_t to_fixed(int16_t *k, const double *w, int32_t n)
{
    double sum = 0;
    int32_t got = 0, largest = 0;
    for (int32_t t = 0; t < n; t++) {
        k[t] = (int16_t)lrint(w[t] * (1 << MT_PL_BITS));
        got += k[t];
        sum += w[t];
        if (w[t] > w[largest]) largest = t;
    }
    const int32_t want = (int32_t)lrint(sum * (1 << MT_PL_BITS));
    if (n) k[largest] = (int16_t)(k[largest] + want - got);
    return want;
}

static double support_of(const mt_plane_box *b, int32_t n_out, mt_filter filter)
{
    const double scale = (double)(b->f1 - b->f0) / n_out;
    return (filter == MT_FILTER_BICUBIC ? 2.0 : 1.0) * MT_MAX(scale, 1.0);
}

/* Keeps of each output's weights, `room` apart in wide, what is not zero. */
static mt_status pack(mt_plane_axis *a, const int16_t *wide, int32_t room, mt_err *err)
{
    int32_t most = 1;
    for (int32_t i = 0; i < a->n_out; i++) most = MT_MAX(most, a->count[i]);
    a->taps = most <= 4 ? 4 : (most + 7) / 8 * 8;
    const size_t n = ((size_t)a->n_out + MT_PL_GROUP - 1) / MT_PL_GROUP * MT_PL_GROUP;
    MT_TRY(mt_alloc(&a->k, n * (size_t)a->taps, sizeof *a->k, MAX_BYTES, "resample coefficients", err));
    for (int32_t i = 0; i < a->n_out; i++)
        memcpy(a->k + (size_t)i * (size_t)a->taps, wide + (size_t)i * (size_t)room,
               (size_t)a->count[i] * sizeof *a->k);
    return MT_OK;
}

static bool is_narrow(const mt_plane_axis *a)
{
    enum { WINDOW = 64 };
    for (int32_t i = 0; i < a->n_out; i++) {
        const int32_t from = a->first[i / MT_PL_GROUP * MT_PL_GROUP];
        if (a->count[i] && (a->first[i] < from || a->first[i] + a->taps > from + WINDOW)) return false;
    }
    return a->taps == 4;
}

static void weigh(mt_plane_axis *a, int16_t *wide, int32_t room, double *px, double *w,
                  const mt_plane_grid *g, const mt_plane_box *b, mt_filter filter)
{
    const mt_rs_weighing how = {filter, false};
    const double scale = (double)(b->f1 - b->f0) / a->n_out;
    int32_t sample0;
    mt_plane_samples(&sample0, g, b);
    for (int32_t i = 0; i < a->n_out; i++) {
        folded f = {w, 0, 0};
        int32_t first;
        const int32_t n = mt_rs_weights(px, &first, b->b - b->a, (double)b->f0 + (i + 0.5) * scale,
                                        support_of(b, a->n_out, filter), MT_MAX(scale, 1.0), &how);
        fold(&f, px, first, n, g, b, sample0);
        if (f.hi <= f.lo) continue; /* all of it outside */
        if (g->mean && g->step > (g->smooth ? 2 : 1)) correct(&f, px, first, n, g, b, sample0, a->n_in);
        int16_t *k = wide + (size_t)i * (size_t)room;
        a->sum[i] = to_fixed(k, w + f.lo, f.hi - f.lo);
        for (int32_t t = f.lo; t < f.hi; t++) w[t] = 0;
        int32_t skip = 0, many = f.hi - f.lo;
        while (many > 1 && k[many - 1] == 0) many--;
        while (skip < many - 1 && k[skip] == 0) skip++;
        memmove(k, k + skip, (size_t)(many - skip) * sizeof *k);
        a->first[i] = f.lo + skip;
        a->count[i] = many - skip;
    }
}

mt_status mt_plane_axis_new(mt_plane_axis **out, const mt_plane_grid *g, const mt_plane_box *b,
                            int32_t n_out, mt_filter filter, mt_err *err)
{
    *out = NULL;
    MT_TRY(check(g, b, n_out, err));
    const int32_t pixels = (int32_t)ceil(support_of(b, n_out, filter)) * 2 + 1,
                  room = pixels / g->step + 5;
    const size_t n = ((size_t)n_out + MT_PL_GROUP - 1) / MT_PL_GROUP * MT_PL_GROUP;
    MT_AUTO(mt_plane_axis_free) mt_plane_axis *a = NULL;
    MT_AUTO_FREE double *px = NULL;
    MT_AUTO_FREE double *w = NULL;
    MT_AUTO_FREE int16_t *wide = NULL;
    MT_TRY(mt_alloc(&a, 1, sizeof *a, MAX_BYTES, "resample axis", err));
    int32_t sample0;
    const int32_t past = mt_plane_samples(&sample0, g, b);
    a->n_in = past - sample0;
    a->n_out = n_out;
    MT_TRY(mt_alloc(&px, (size_t)pixels, sizeof *px, MAX_BYTES, "resample window", err));
    MT_TRY(mt_alloc(&w, (size_t)a->n_in + 1, sizeof *w, MAX_BYTES, "resample window", err));
    MT_TRY(mt_alloc(&wide, (size_t)room * (size_t)n_out, sizeof *wide, MAX_BYTES,
                    "resample coefficients", err));
    MT_TRY(mt_alloc(&a->first, n, sizeof *a->first, MAX_BYTES, "resample bounds", err));
    MT_TRY(mt_alloc(&a->count, n, sizeof *a->count, MAX_BYTES, "resample bounds", err));
    MT_TRY(mt_alloc(&a->sum, n, sizeof *a->sum, MAX_BYTES, "resample bounds", err));
    weigh(a, wide, room, px, w, g, b, filter);
    MT_TRY(pack(a, wide, room, err));
    a->narrow = is_narrow(a);
    *out = mt_steal(a);
    return MT_OK;
}

void mt_plane_axis_free(mt_plane_axis **axis)
{
    if (!axis || !*axis) return;
    free((*axis)->first);
    free((*axis)->count);
    free((*axis)->sum);
    free((*axis)->k);
    free(*axis);
    *axis = NULL;
}

static int plane_count(mt_plane_kind kind) { return kind == MT_PLANES_GREY ? 1 : 3; }

/* Values of a row of samples, or of output, with what vectors may touch beyond it. */
static size_t padded(int32_t n, int32_t taps)
{
    return ((size_t)n + (size_t)taps + MT_PL_PAD + 31) / 32 * 32;
}

static size_t samples_room(const mt_plane planes[3], mt_plane_kind kind)
{
    size_t most = 0;
    for (int i = 0; i < plane_count(kind); i++)
        most = MT_MAX(most, padded(planes[i].x->n_in, planes[i].x->taps));
    return most;
}

size_t mt_planes_scratch_bytes(const mt_plane planes[3], mt_plane_kind kind)
{
    return (samples_room(planes, kind) + 3 * padded(planes[0].x->n_out, 0)) * sizeof(int16_t) + 64;
}

/* Row i of a plane: down its columns, then along the row. */
static void one_row(int16_t *out, int16_t *t, const variant *v, const mt_plane *p, int32_t i,
                    int white, int offset)
{
    const mt_plane_axis *y = p->y;
    const int32_t bias = (1 << (MT_PL_BITS - MT_PL_FRAC - 1)) - white * y->sum[i];
    const size_t n = (size_t)p->x->n_in;
    v->column(t, p->px + (size_t)y->first[i] * p->stride, p->stride, y->count[i], n,
              y->k + (size_t)i * (size_t)y->taps, bias);
    memset(t + n, 0, (size_t)p->x->taps * sizeof *t); /* under coefficients that are zero */
    v->row(out, t, p->x, (int16_t)(offset << MT_PL_FRAC));
}

void mt_u8_resample_planes(uint8_t *rgb, size_t stride, const mt_plane planes[3],
                           mt_plane_kind kind, void *scratch)
{
    const variant *v = pick_variant();
    const int n = plane_count(kind);
    const int32_t w = planes[0].x->n_out, h = planes[0].y->n_out;
    int16_t *t = (int16_t *)(((uintptr_t)scratch + 63) & ~(uintptr_t)63), *row[3];
    row[0] = t + samples_room(planes, kind);
    for (int i = 1; i < 3; i++) row[i] = n == 1 ? row[0] : row[0] + (size_t)i * padded(w, 0);
    const int16_t *const values[3] = {row[0], row[1], row[2]};
    for (int32_t y = 0; y < h; y++, rgb += stride) {
        for (int i = 0; i < n; i++) {
            const bool chroma = kind == MT_PLANES_YCBCR && i;
            one_row(row[i], t, v, &planes[i], y, chroma ? 128 : 255, chroma ? 0 : 255);
        }
        v->colour(rgb, values, (size_t)w, kind == MT_PLANES_YCBCR);
    }
}
