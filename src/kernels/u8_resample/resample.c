/* Planning (coefficients as Pillow computes them), dispatch, and the walk over the rows. */
#include <math.h>
#include <string.h>
#include "kernels/u8_resample/impl.h"

#define MAX_SIDE 65535
#define MAX_BYTES ((size_t)1 << 30)

static const mt_rs_variant variants[] = {
#define MT_VARIANT(isa, level, lanes) {#isa, level, lanes, mt_rs_row_##isa, mt_rs_column_##isa},
#include "kernels/u8_resample/kernels.def"
#undef MT_VARIANT
};

static const mt_rs_variant *pick_variant(void)
{
    const mt_rs_variant *best = &variants[0];
    for (size_t i = 1; i < MT_COUNT(variants) && variants[i].level <= mt_cpu_level(); i++)
        best = &variants[i];
    return best;
}

static double triangle(double x)
{
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

static double cubic(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

/* The mean over the pixel is the best guess where neighbours know nothing of each other, the value in
 * its middle where the picture is smooth; three to one lies between the two. */
static double weight(const mt_rs_weighing *k, double at, double width)
{
    enum { PARTS = 16 };
    double (*value)(double) = k->filter == MT_FILTER_BICUBIC ? cubic : triangle, mean = 0;
    if (!k->cells) return value(at);
    for (int i = 0; i < PARTS; i++)
        mean += value(at + ((i + 0.5) / PARTS - 0.5) * width) / PARTS;
    return 0.75 * mean + 0.25 * value(at);
}

int32_t mt_rs_weights(double *w, int32_t *first, int32_t n_in, double center, double support,
                      double filterscale, const mt_rs_weighing *k)
{
    int32_t lo = (int32_t)(center - support + 0.5), hi = (int32_t)(center + support + 0.5);
    lo = MT_MIN(MT_MAX(lo, 0), n_in - 1);
    hi = MT_MAX(MT_MIN(hi, n_in), lo + 1);
    double sum = 0.0, inverse = 1.0 / filterscale;
    for (int32_t t = 0; t < hi - lo; t++) {
        double at = (t + lo - center + 0.5) * inverse;
        w[t] = weight(k, at, inverse);
        sum += w[t];
    }
    for (int32_t t = 0; sum != 0.0 && t < hi - lo; t++)
        w[t] /= sum;
    *first = lo;
    return hi - lo;
}

static int32_t to_fixed(double w)
{
    double scaled = w * (1 << MT_RS_BITS);
    return (int32_t)(w < 0 ? scaled - 0.5 : scaled + 0.5);
}

/* Coefficients of output i: [*first, *first + *count) of the source, outer zeros trimmed (they
 * change no sum). */
static void window(double *w, int32_t *fixed, int32_t *first, int32_t *count, int32_t n_in,
                   double center, double support, double filterscale, const mt_rs_weighing *k)
{
    int32_t skip = 0, n = mt_rs_weights(w, first, n_in, center, support, filterscale, k);
    for (int32_t t = 0; t < n; t++)
        fixed[t] = to_fixed(w[t]);
    while (n > 1 && fixed[n - 1] == 0)
        n--;
    while (skip < n - 1 && fixed[skip] == 0)
        skip++;
    memmove(fixed, fixed + skip, (size_t)(n - skip) * sizeof *fixed);
    *first += skip;
    *count = n - skip;
}

static bool is_copy(const mt_rs_axis *a)
{
    for (int32_t i = 0; i < a->n_out; i++)
        if (a->count[i] != 1 || a->k[(size_t)i * (size_t)a->taps] != 1 << MT_RS_BITS ||
            a->first[i] != a->first[0] + i)
            return false;
    return true;
}

static mt_status plan_axis(mt_rs_axis *a, int32_t n_in, float from, float to, int32_t n_out,
                           const mt_rs_weighing *k, mt_err *err)
{
    double scale = (double)(to - from) / n_out; /* the difference in float, as Pillow takes it */
    double filterscale = MT_MAX(scale, 1.0);
    double support = (k->filter == MT_FILTER_BICUBIC ? 2.0 : 1.0) * filterscale + (k->cells ? 0.5 : 0);
    size_t room = (size_t)ceil(support) * 2 + 1;
    MT_AUTO_FREE double *w = NULL;
    MT_AUTO_FREE int32_t *wide = NULL;
    a->n_in = n_in;
    a->n_out = n_out;
    MT_TRY(mt_alloc(&w, room, sizeof *w, MAX_BYTES, "resample window", err));
    MT_TRY(mt_alloc(&wide, room * (size_t)n_out, sizeof *wide, MAX_BYTES, "resample coefficients",
                    err));
    MT_TRY(mt_alloc(&a->first, (size_t)n_out, sizeof *a->first, MAX_BYTES, "resample bounds", err));
    MT_TRY(mt_alloc(&a->count, (size_t)n_out, sizeof *a->count, MAX_BYTES, "resample bounds", err));
    for (int32_t i = 0; i < n_out; i++) {
        window(w, wide + room * (size_t)i, &a->first[i], &a->count[i], n_in,
               (double)from + (i + 0.5) * scale, support, filterscale, k);
        a->taps = MT_MAX(a->taps, a->count[i]);
    }
    MT_TRY(mt_alloc(&a->k, (size_t)a->taps * (size_t)n_out, sizeof *a->k, MAX_BYTES,
                    "resample coefficients", err));
    for (int32_t i = 0; i < n_out; i++)
        memcpy(a->k + (size_t)i * (size_t)a->taps, wide + room * (size_t)i,
               (size_t)a->count[i] * sizeof *a->k);
    a->copy = is_copy(a);
    a->pairs = (a->taps + 1) / 2;
    return MT_OK;
}

/* Coefficients t and t + 1 of output i, split; zero past the last. */
static void split_pair(int16_t low[2], int16_t high[2], const mt_rs_axis *a, int32_t i, int32_t t)
{
    for (int32_t j = 0; j < 2; j++) {
        int32_t k = i < a->n_out && t + j < a->count[i]
                        ? a->k[(size_t)i * (size_t)a->taps + (size_t)(t + j)]
                        : 0;
        low[j] = (int16_t)(k & ((1 << MT_RS_LOW) - 1));
        high[j] = (int16_t)(k >> MT_RS_LOW);
    }
}

/* Columns: per output and pair, (low, low', high, high'). */
static mt_status pack_columns(mt_rs_axis *y, mt_err *err)
{
    MT_TRY(mt_alloc(&y->packed, (size_t)y->n_out * (size_t)y->pairs, 4 * sizeof *y->packed,
                    MAX_BYTES, "resample coefficients", err));
    int16_t *p = y->packed;
    for (int32_t i = 0; i < y->n_out; i++)
        for (int32_t t = 0; t < y->pairs; t++, p += 4)
            split_pair(p, p + 2, y, i, 2 * t);
    return MT_OK;
}

/* Rows: a vector holds one output pixel per 16-byte lane, and a group is four vectors: lane l of
 * vector v is output 4 l + v of the group. Per group, vector and pair: a vector of (low, low') x 4
 * in every lane, then one of (high, high') x 4. */
static mt_status pack_rows(mt_rs_axis *x, int lanes, mt_err *err)
{
    size_t groups = ((size_t)x->n_out + 4 * (size_t)lanes - 1) / (4 * (size_t)lanes);
    size_t bytes = groups * 4 * (size_t)x->pairs * 2 * 16 * (size_t)lanes;
    MT_TRY(mt_alloc_aligned(&x->packed, bytes, MAX_BYTES, "resample coefficients", err));
    int16_t *p = x->packed;
    for (size_t g = 0; g < groups; g++)
        for (int v = 0; v < 4; v++)
            for (int32_t t = 0; t < x->pairs; t++) {
                for (int l = 0; l < lanes; l++, p += 8) {
                    int16_t low[2], high[2];
                    split_pair(low, high, x, (int32_t)(g * 4 * (size_t)lanes) + 4 * l + v, 2 * t);
                    for (int j = 0; j < 4; j++) {
                        memcpy(p + 2 * j, low, sizeof low);
                        memcpy(p + 8 * lanes + 2 * j, high, sizeof high);
                    }
                }
                p += 8 * lanes;
            }
    return MT_OK;
}

/* Bytes past the source row that 16-byte loads of two pairs each touch. */
static size_t row_overread(const mt_rs_axis *x)
{
    int32_t last = 0;
    for (int32_t i = 0; i < x->n_out; i++)
        last = MT_MAX(last, x->first[i]);
    int32_t loads = (x->pairs + 1) / 2;
    int64_t end = 3 * (int64_t)last + 12 * (int64_t)(loads - 1) + 16;
    return (size_t)MT_MAX(end - 3 * (int64_t)x->n_in, 0);
}

static mt_status check_box(const float b[4], int32_t w, int32_t h, mt_err *err)
{
    if (b[0] >= 0 && b[1] >= 0 && b[0] < b[2] && b[1] < b[3] && b[2] <= (float)w &&
        b[3] <= (float)h)
        return MT_OK;
    return mt_err_set(err, MT_ERR_ARG, "resample: box %g,%g..%g,%g lies not inside %d x %d",
                      (double)b[0], (double)b[1], (double)b[2], (double)b[3], w, h);
}

static mt_status plan_new(mt_resample **out, int32_t src_w, int32_t src_h, const float *box,
                          int32_t dst_w, int32_t dst_h, const mt_rs_weighing *k, mt_err *err)
{
    *out = NULL;
    if (src_w < 1 || src_h < 1 || dst_w < 1 || dst_h < 1 || src_w > MAX_SIDE || src_h > MAX_SIDE ||
        dst_w > MAX_SIDE || dst_h > MAX_SIDE)
        return mt_err_set(err, MT_ERR_ARG, "resample: %d x %d to %d x %d, sides must be 1..%d",
                          src_w, src_h, dst_w, dst_h, MAX_SIDE);
    const float whole[4] = {0, 0, (float)src_w, (float)src_h};
    if (!box) box = whole;
    MT_TRY(check_box(box, src_w, src_h, err));
    MT_AUTO(mt_resample_free) mt_resample *r = NULL;
    MT_TRY(mt_alloc(&r, 1, sizeof *r, MAX_BYTES, "resample plan", err));
    *r = (mt_resample){
        .src_w = src_w, .src_h = src_h, .dst_w = dst_w, .dst_h = dst_h, .variant = pick_variant()};
    MT_TRY(plan_axis(&r->x, src_w, box[0], box[2], dst_w, k, err));
    MT_TRY(plan_axis(&r->y, src_h, box[1], box[3], dst_h, k, err));
    if (r->variant->lanes) {
        MT_TRY(pack_rows(&r->x, r->variant->lanes, err));
        MT_TRY(pack_columns(&r->y, err));
        r->over = row_overread(&r->x);
    }
    r->row_bytes = ((size_t)dst_w * 3 + MT_RS_PAD + 63) / 64 * 64;
    r->ring = r->y.taps;
    *out = mt_steal(r);
    return MT_OK;
}

mt_status mt_resample_new(mt_resample **out, int32_t src_w, int32_t src_h, const float *box,
                          int32_t dst_w, int32_t dst_h, mt_filter filter, mt_err *err)
{
    const mt_rs_weighing k = {filter, false};
    return plan_new(out, src_w, src_h, box, dst_w, dst_h, &k, err);
}

mt_status mt_resample_new_reduced(mt_resample **out, int32_t src_w, int32_t src_h, const float *box,
                                  int32_t dst_w, int32_t dst_h, mt_filter filter, mt_err *err)
{
    const mt_rs_weighing k = {filter, true};
    return plan_new(out, src_w, src_h, box, dst_w, dst_h, &k, err);
}

void mt_resample_free(mt_resample **plan)
{
    if (!plan || !*plan) return;
    mt_rs_axis *axes[] = {&(*plan)->x, &(*plan)->y};
    for (size_t i = 0; i < MT_COUNT(axes); i++) {
        free(axes[i]->first);
        free(axes[i]->count);
        free(axes[i]->k);
        free(axes[i]->packed);
    }
    free(*plan);
    *plan = NULL;
}

bool mt_resample_is_copy(const mt_resample *r)
{
    return r->x.copy && r->y.copy;
}

/* Ring of filtered rows, the pointers to the rows under an output, one padded source row. */
size_t mt_resample_scratch_bytes(const mt_resample *r)
{
    return (size_t)r->ring * (r->row_bytes + sizeof(uint8_t *)) + 3 * (size_t)r->src_w + r->over +
           64;
}

typedef struct walk {
    const mt_resample *r;
    const uint8_t *src;
    size_t stride;
    uint8_t *ring, *edge;
    const uint8_t **rows;
    int32_t ready; /* source rows below this one have been filtered */
} walk;

/* Filters source row `row` into dst; a row whose vectors would read past the picture goes through a
 * copy. */
static void filter_row(const walk *w, uint8_t *dst, int32_t row)
{
    const mt_resample *r = w->r;
    const uint8_t *src = w->src + (size_t)row * w->stride;
    size_t bytes = 3 * (size_t)r->src_w, left = (size_t)(r->src_h - 1 - row) * w->stride;
    if (r->over > left) {
        memcpy(w->edge, src, bytes);
        memset(w->edge + bytes, 0, r->over);
        src = w->edge;
    }
    r->variant->row(dst, src, &r->x);
}

/* Points w->rows at the `count` horizontally filtered rows from `first` on. */
static void gather_rows(walk *w, int32_t first, int32_t count)
{
    const mt_resample *r = w->r;
    w->ready = MT_MAX(w->ready, first);
    for (int32_t t = 0; t < count; t++) {
        int32_t row = first + t;
        if (r->x.copy) {
            w->rows[t] = w->src + (size_t)row * w->stride + 3 * (size_t)r->x.first[0];
            continue;
        }
        uint8_t *slot = w->ring + (size_t)(row % r->ring) * r->row_bytes;
        if (row >= w->ready) {
            filter_row(w, slot, row);
            w->ready = row + 1;
        }
        w->rows[t] = slot;
    }
}

void mt_u8_resample(const mt_resample *r, const uint8_t *src, size_t src_stride, uint8_t *dst,
                    size_t dst_stride, void *scratch)
{
    uint8_t *at = (uint8_t *)(((uintptr_t)scratch + 63) & ~(uintptr_t)63);
    walk w = {.r = r, .src = src, .stride = src_stride, .ring = at};
    at += (size_t)r->ring * r->row_bytes;
    w.rows = (const uint8_t **)(void *)at;
    w.edge = at + (size_t)r->ring * sizeof(uint8_t *);
    size_t bytes = 3 * (size_t)r->dst_w;
    for (int32_t i = 0; i < r->dst_h; i++, dst += dst_stride) {
        gather_rows(&w, r->y.first[i], r->y.count[i]);
        if (r->y.copy)
            memcpy(dst, w.rows[0], bytes);
        else
            r->variant->column(dst, w.rows, bytes, &r->y, i);
    }
}
