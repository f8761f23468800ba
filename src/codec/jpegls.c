/* JPEG-LS (ISO/IEC 14495-1, ITU-T T.87), lossless and near-lossless, 2 to 16 bits, all three
 * interleavings. Our own, since CharLS up to 2.4.1 can loop for ever over damaged data; here every
 * sample costs at most LIMIT bits, and data that end early end the picture. Names are T.87's. */
#include <string.h>
#include "base/bytes.h"
#include "codec/row.h"

enum { MAX_COMPS = 3, CONTEXTS = 365, MIN_C = -128, MAX_C = 127 };
enum { SOI = 0xd8, EOI = 0xd9, SOS = 0xda, DRI = 0xdd, SOF55 = 0xf7, LSE = 0xf8, APP8 = 0xe8 };
enum { ILV_NONE, ILV_LINE, ILV_SAMPLE };

static const uint8_t J[32] = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3,  3,  3,
                              4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15};

typedef struct bits {
    const uint8_t *p, *end;
    uint64_t acc;            /* the lowest n are valid */
    int n;
    bool stuffed, over;      /* the last byte was FF; more was asked for than there is */
} bits;

/* Sums are wide: a stream may state a RESET of 65535. */
typedef struct context { int64_t A, B; int32_t C, N; } context;
typedef struct run_context { int64_t A; int32_t N, Nn; } run_context;

/* What a picture's headers say. */
typedef struct frame {
    int32_t w, h, precision, comps;
    uint8_t names[MAX_COMPS];
    int32_t maxval, t1, t2, t3, reset; /* of LSE; 0 = by default */
} frame;

/* One scan: its parameters, its contexts, its lines. */
typedef struct scan {
    bits in;
    int32_t near, maxval, t1, t2, t3, reset, range, qbpp, limit, step;
    context ctx[CONTEXTS];
    run_context run[2];
    int32_t *prev[MAX_COMPS], *cur[MAX_COMPS]; /* place 0 stands left of the picture */
    int run_index[MAX_COMPS];
    int32_t w;
    int comps;
} scan;

typedef struct jpegls { mt_scratch samples, lines; } jpegls;

static inline int32_t clamp(int32_t v, int32_t lo, int32_t hi) { return v < lo ? lo : v > hi ? hi : v; }
static inline int32_t magnitude(int32_t v) { return v < 0 ? -v : v; }

/* ---- bits (A.1): after FF a byte brings seven ---- */

static inline void refill(bits *b)
{
    while (b->n <= 48) {
        if (b->p == b->end || (b->stuffed && *b->p & 0x80)) return;
        const int k = b->stuffed ? 7 : 8;
        b->acc = b->acc << k | *b->p;
        b->n += k;
        b->stuffed = *b->p++ == 0xff;
    }
}

static inline uint32_t get_bits(bits *b, int k)
{
    if (!k) return 0;
    if (b->n < k) refill(b);
    if (b->n < k) {
        b->over = true;
        return 0;
    }
    b->n -= k;
    return (uint32_t)(b->acc >> b->n) & ((1u << k) - 1);
}

/* Zeros before the next one, `most` at most. */
static inline int count_zeros(bits *b, int most)
{
    int n = 0;
    for (;;) {
        if (!b->n) refill(b);
        if (!b->n) {
            b->over = true;
            return most;
        }
        const uint64_t left = b->acc << (64 - b->n);
        const int zeros = left ? __builtin_clzll(left) : b->n;
        if (zeros < b->n) {
            b->n -= zeros + 1;
            return MT_MIN(n + zeros, most);
        }
        n += b->n;
        b->n = 0;
        if (n >= most) return most;
    }
}

/* A.5.3 */
static inline int32_t golomb(scan *s, int k, int32_t limit)
{
    const int32_t plain = limit - s->qbpp - 1;
    const int32_t n = count_zeros(&s->in, s->limit + 1);
    if (n < plain) return (int32_t)((uint32_t)n << k | get_bits(&s->in, k));
    if (n > plain) s->in.over = true; /* no encoder writes more zeros than that */
    return (int32_t)get_bits(&s->in, s->qbpp) + 1;
}

/* ---- a sample (A.4 to A.6) ---- */

static inline int quantize(const scan *s, int32_t d)
{
    if (d <= -s->t3) return -4;
    if (d <= -s->t2) return -3;
    if (d <= -s->t1) return -2;
    if (d < -s->near) return -1;
    if (d <= s->near) return 0;
    return d < s->t1 ? 1 : d < s->t2 ? 2 : d < s->t3 ? 3 : 4;
}

static inline int context_of(const scan *s, int32_t a, int32_t b, int32_t c, int32_t d)
{
    return 81 * quantize(s, d - b) + 9 * quantize(s, b - c) + quantize(s, c - a);
}

static inline int32_t rebuild(const scan *s, int32_t px, int32_t err)
{
    int32_t v = px + err * s->step;
    if (v < -s->near) v += s->range * s->step;
    else if (v > s->maxval + s->near) v -= s->range * s->step;
    return clamp(v, 0, s->maxval);
}

static inline void learn(const scan *s, context *q, int32_t err)
{
    q->B += err * s->step;
    q->A += magnitude(err);
    if (q->N == s->reset) {
        q->A >>= 1;
        q->B >>= 1;
        q->N >>= 1;
    }
    q->N++;
    if (q->B <= -q->N) {
        q->B = MT_MAX(q->B + q->N, (int64_t)1 - q->N);
        if (q->C > MIN_C) q->C--;
    } else if (q->B > 0) {
        q->B = MT_MIN(q->B - q->N, (int64_t)0);
        if (q->C < MAX_C) q->C++;
    }
}

/* The exponent of the Golomb code (A.5.1); bounded, whatever the sums. */
static inline int exponent(int64_t n, int64_t a)
{
    int k = 0;
    while (k < 24 && (n << k) < a) k++;
    return k;
}

static int32_t regular(scan *s, int signed_q, int32_t a, int32_t b, int32_t c)
{
    const int32_t sign = signed_q < 0 ? -1 : 1;
    context *q = &s->ctx[signed_q * sign];
    const int32_t lo = MT_MIN(a, b), hi = MT_MAX(a, b);
    const int32_t edge = c >= hi ? lo : c <= lo ? hi : a + b - c;
    const int32_t px = clamp(edge + sign * q->C, 0, s->maxval);
    const int k = exponent(q->N, q->A);
    const int32_t m = golomb(s, k, s->limit);
    int32_t err = m & 1 ? -((m + 1) >> 1) : m >> 1;
    if (!s->near && !k && 2 * q->B <= -q->N) err = -err - 1;
    if (magnitude(err) > 65535) { /* no encoder's */
        s->in.over = true;
        err = 0;
    }
    learn(s, q, err);
    return rebuild(s, px, sign * err);
}

/* ---- runs (A.7) ---- */

/* How many samples the run has; it ends the line, or a sample that breaks it follows. */
static int32_t run_length(scan *s, int comp, int32_t left)
{
    int *ri = &s->run_index[comp];
    int32_t n = 0;
    while (n < left && !s->in.over) {
        const int32_t whole = (int32_t)1 << J[*ri];
        if (!get_bits(&s->in, 1)) {
            n += (int32_t)get_bits(&s->in, J[*ri]);
            if (n >= left) s->in.over = true; /* a run to the end says so otherwise */
            return MT_MIN(n, left);
        }
        if (n + whole <= left && *ri < 31) ++*ri;
        n = MT_MIN(n + whole, left);
    }
    return n;
}

static int32_t interruption_error(scan *s, int type, int ri)
{
    run_context *q = &s->run[type];
    const int k = exponent(q->N, type ? q->A + (q->N >> 1) : q->A);
    const int32_t m = golomb(s, k, s->limit - J[ri] - 1), t = m + type, map = t & 1;
    int32_t err = (t + map) >> 1;
    if ((k || 2 * q->Nn >= q->N) == map) err = -err;
    if (magnitude(err) > 65535) {
        s->in.over = true;
        return 0;
    }
    if (err < 0) q->Nn++;
    q->A += (m + 1 - type) >> 1;
    if (q->N == s->reset) {
        q->A >>= 1;
        q->N >>= 1;
        q->Nn >>= 1;
    }
    q->N++;
    return err;
}

static void line(scan *s, int comp)
{
    const int32_t *up = s->prev[comp];
    int32_t *to = s->cur[comp];
    for (int32_t x = 1; x <= s->w;) {
        const int32_t a = to[x - 1], b = up[x], c = up[x - 1], d = up[x + 1];
        const int q = context_of(s, a, b, c, d);
        if (q) {
            to[x++] = regular(s, q, a, b, c);
            continue;
        }
        const int32_t n = run_length(s, comp, s->w - x + 1);
        for (int32_t i = 0; i < n; i++) to[x++] = a;
        if (x > s->w) return;
        int *ri = &s->run_index[comp];
        const int32_t over = up[x];
        const int type = magnitude(a - over) <= s->near;
        const int32_t err = interruption_error(s, type, *ri);
        to[x++] = type ? rebuild(s, a, err) : rebuild(s, over, a > over ? -err : err);
        if (*ri) --*ri;
    }
}

/* All components of a pixel, then the next pixel (B.3 of the standard's ILV 2): a run holds for all. */
static void line_of_pixels(scan *s)
{
    for (int32_t x = 1; x <= s->w;) {
        int q[MAX_COMPS], any = 0;
        for (int c = 0; c < s->comps; c++) {
            const int32_t *up = s->prev[c] + x;
            any |= q[c] = context_of(s, s->cur[c][x - 1], up[0], up[-1], up[1]);
        }
        if (any) {
            for (int c = 0; c < s->comps; c++) {
                const int32_t *up = s->prev[c] + x;
                s->cur[c][x] = regular(s, q[c], s->cur[c][x - 1], up[0], up[-1]);
            }
            x++;
            continue;
        }
        const int32_t n = run_length(s, 0, s->w - x + 1);
        for (int c = 0; c < s->comps; c++)
            for (int32_t i = 0; i < n; i++) s->cur[c][x + i] = s->cur[c][x - 1];
        x += n;
        if (x > s->w) return;
        for (int c = 0; c < s->comps; c++) {
            const int32_t a = s->cur[c][x - 1], over = s->prev[c][x];
            const int32_t err = interruption_error(s, 0, s->run_index[0]);
            s->cur[c][x] = rebuild(s, over, a > over ? -err : err);
        }
        x++;
        if (s->run_index[0]) s->run_index[0]--;
    }
}

/* ---- a scan ---- */

static int32_t ceil_log2(int32_t v)
{
    int n = 0;
    while ((1 << n) < v) n++;
    return n;
}

/* C.2.4.1.1: thresholds that a stream does not state. */
static void thresholds(scan *s, const frame *f)
{
    int32_t t[3];
    static const int32_t basic[3] = {3, 7, 21}, offset[3] = {2, 3, 4}, weight[3] = {3, 5, 7};
    for (int i = 0; i < 3; i++) {
        if (s->maxval >= 128) {
            const int32_t factor = (MT_MIN(s->maxval, 4095) + 128) / 256;
            t[i] = factor * (basic[i] - offset[i]) + offset[i] + weight[i] * s->near;
        } else {
            const int32_t factor = 256 / (s->maxval + 1);
            t[i] = MT_MAX(offset[i], basic[i] / factor + weight[i] * s->near);
        }
        const int32_t least = i ? t[i - 1] : s->near + 1;
        if (t[i] > s->maxval || t[i] < least) t[i] = least;
    }
    s->t1 = f->t1 ? f->t1 : t[0];
    s->t2 = f->t2 ? f->t2 : t[1];
    s->t3 = f->t3 ? f->t3 : t[2];
}

static mt_status scan_begin(scan *s, const frame *f, int32_t near, int comps, mt_err *err)
{
    s->near = near;
    s->step = 2 * near + 1;
    s->comps = comps;
    s->w = f->w;
    s->maxval = f->maxval ? f->maxval : (1 << f->precision) - 1;
    s->reset = f->reset ? f->reset : 64;
    thresholds(s, f);
    if (near > MT_MIN(255, s->maxval / 2) || s->t1 < near + 1 || s->t2 < s->t1 || s->t3 < s->t2 ||
        s->t3 > s->maxval || s->reset < 3)
        return mt_err_set(err, MT_ERR_FORMAT,
                          "JPEG-LS parameters: NEAR %d, thresholds %d, %d, %d, RESET %d, MAXVAL %d",
                          near, s->t1, s->t2, s->t3, s->reset, s->maxval);
    s->range = near ? (s->maxval + 2 * near) / s->step + 1 : s->maxval + 1;
    s->qbpp = ceil_log2(s->range);
    const int32_t bpp = MT_MAX(2, ceil_log2(s->maxval + 1));
    s->limit = 2 * (bpp + MT_MAX(8, bpp));
    const int32_t a = MT_MAX(2, (s->range + 32) / 64);
    for (int i = 0; i < CONTEXTS; i++) s->ctx[i] = (context){a, 0, 0, 1};
    s->run[0] = s->run[1] = (run_context){a, 1, 0};
    return MT_OK;
}

/* Around the lines (A.2.1): right of the upper one its last sample, left of the lower one the upper's
 * first. */
static void edges(scan *s, int c)
{
    s->prev[c][s->w + 1] = s->prev[c][s->w];
    s->cur[c][0] = s->prev[c][1];
}

static void store(uint8_t *samples, const scan *s, const frame *f, int32_t y, int first)
{
    for (int c = 0; c < s->comps; c++) {
        const size_t n = (size_t)f->comps, at = (size_t)y * (size_t)f->w * n + (size_t)(first + c);
        const int32_t *from = s->cur[c] + 1;
        if (f->precision <= 8)
            for (size_t x = 0; x < (size_t)f->w; x++) samples[at + x * n] = (uint8_t)from[x];
        else
            for (size_t x = 0; x < (size_t)f->w; x++) {
                samples[2 * (at + x * n)] = (uint8_t)from[x];
                samples[2 * (at + x * n) + 1] = (uint8_t)(from[x] >> 8);
            }
    }
}

/* Components first .. first + s->comps, from the entropy-coded bytes at the cursor. */
static mt_status scan_decode(jpegls *j, scan *s, const frame *f, int first, int order, mt_bytes *in,
                             mt_err *err)
{
    const size_t row = (size_t)f->w + 2;
    MT_TRY(mt_scratch_need(&j->lines, 2 * MAX_COMPS * row * sizeof(int32_t), err));
    memset(j->lines.p, 0, 2 * MAX_COMPS * row * sizeof(int32_t));
    for (int c = 0; c < MAX_COMPS; c++) {
        s->prev[c] = (int32_t *)j->lines.p + (size_t)(2 * c) * row;
        s->cur[c] = s->prev[c] + row;
    }
    s->in = (bits){.p = in->base + in->pos, .end = in->base + in->size};
    for (int32_t y = 0; y < f->h; y++) {
        for (int c = 0; c < s->comps; c++) {
            edges(s, c);
            if (order != ILV_SAMPLE) line(s, c);
        }
        if (order == ILV_SAMPLE) line_of_pixels(s);
        if (s->in.over)
            return mt_err_set(err, MT_ERR_FORMAT, "JPEG-LS data end or break in row %d of %d", y, f->h);
        store(j->samples.p, s, f, y, first);
        for (int c = 0; c < s->comps; c++) {
            int32_t *t = s->prev[c];
            s->prev[c] = s->cur[c];
            s->cur[c] = t;
        }
    }
    return MT_OK;
}

/* ---- markers (C.2) ---- */

/* The next marker; entropy-coded bytes before it are passed over. */
static bool next_marker(uint8_t *marker, mt_bytes *c)
{
    while (c->pos + 1 < c->size) {
        const uint8_t *p = c->base + c->pos;
        if (p[0] == 0xff && p[1] >= 0x80 && p[1] != 0xff) {
            *marker = p[1];
            c->pos += 2;
            return true;
        }
        c->pos++;
    }
    return false;
}

static mt_status read_frame(frame *f, mt_bytes p, mt_err *err)
{
    uint16_t h = 0, w = 0;
    uint8_t bits_a_sample = 0, n = 0, sampling = 0, table = 0;
    if (!mt_bytes_u8(&p, &bits_a_sample) || !mt_bytes_u16(&p, &h) || !mt_bytes_u16(&p, &w) ||
        !mt_bytes_u8(&p, &n))
        return mt_err_set(err, MT_ERR_FORMAT, "JPEG-LS frame header of %zu bytes", p.size);
    if (bits_a_sample < 2 || bits_a_sample > 16 || n < 1 || n > MAX_COMPS)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "JPEG-LS of %u components of %u bits", n,
                          bits_a_sample);
    f->precision = bits_a_sample;
    f->w = w;
    f->h = h;
    f->comps = n;
    for (int i = 0; i < n; i++) {
        if (!mt_bytes_u8(&p, &f->names[i]) || !mt_bytes_u8(&p, &sampling) || !mt_bytes_u8(&p, &table))
            return mt_err_set(err, MT_ERR_FORMAT, "JPEG-LS frame header of %zu bytes", p.size);
        if (sampling != 0x11)
            return mt_err_set(err, MT_ERR_UNSUPPORTED, "JPEG-LS with a subsampled component");
    }
    return MT_OK;
}

static mt_status read_parameters(frame *f, mt_bytes p, mt_err *err)
{
    uint8_t id = 0;
    uint16_t v[5] = {0};
    (void)mt_bytes_u8(&p, &id);
    if (id != 1) return mt_err_set(err, MT_ERR_UNSUPPORTED, "JPEG-LS parameters of kind %u", id);
    for (int i = 0; i < 5; i++)
        if (!mt_bytes_u16(&p, &v[i]))
            return mt_err_set(err, MT_ERR_FORMAT, "JPEG-LS parameters of %zu bytes", p.size);
    if (f->precision && v[0] >= 1u << f->precision)
        return mt_err_set(err, MT_ERR_FORMAT, "JPEG-LS MAXVAL %u of %d bits", v[0], f->precision);
    f->maxval = v[0];
    f->t1 = v[1];
    f->t2 = v[2];
    f->t3 = v[3];
    f->reset = v[4];
    return MT_OK;
}

/* The frame's size and samples are what the container promised. */
static mt_status check_frame(const frame *f, const mt_coding *c, const mt_pixels *out, mt_err *err)
{
    if (f->w != out->w || f->h != out->h)
        return mt_err_set(err, MT_ERR_FORMAT, "JPEG-LS is %d x %d, expected %d x %d", f->w, f->h,
                          out->w, out->h);
    if (f->comps != c->samples)
        return mt_err_set(err, MT_ERR_FORMAT, "JPEG-LS has %d components, the file says %d", f->comps,
                          c->samples);
    return MT_OK;
}

/* *done counts the components that scans have brought. */
static mt_status read_scan(jpegls *j, int *done, const frame *f, mt_bytes p, mt_bytes *in, mt_err *err)
{
    uint8_t n = 0, name = 0, table = 0, near = 0, order = 0, shift = 0;
    (void)mt_bytes_u8(&p, &n);
    if (n < 1 || n > f->comps - *done)
        return mt_err_set(err, MT_ERR_FORMAT, "JPEG-LS scan of %u components, %d are left", n,
                          f->comps - *done);
    for (int i = 0; i < n; i++) {
        if (!mt_bytes_u8(&p, &name) || !mt_bytes_u8(&p, &table) || name != f->names[*done + i])
            return mt_err_set(err, MT_ERR_FORMAT, "JPEG-LS scan of another component than %d",
                              *done + i);
        if (table) return mt_err_set(err, MT_ERR_UNSUPPORTED, "JPEG-LS with a mapping table");
    }
    if (!mt_bytes_u8(&p, &near) || !mt_bytes_u8(&p, &order) || !mt_bytes_u8(&p, &shift))
        return mt_err_set(err, MT_ERR_FORMAT, "JPEG-LS scan header of %zu bytes", p.size);
    if (order > ILV_SAMPLE || shift || (n > 1 && order == ILV_NONE))
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "JPEG-LS interleaving %u of %u components, point "
                          "transform %u", order, n, shift);
    MT_AUTO_FREE scan *s = NULL;
    MT_TRY(mt_alloc(&s, 1, sizeof *s, sizeof *s, "JPEG-LS scan", err));
    MT_TRY(scan_begin(s, f, near, n, err));
    MT_TRY(scan_decode(j, s, f, *done, n > 1 ? order : ILV_NONE, in, err));
    *done += n;
    return MT_OK;
}

static mt_status read_stream(jpegls *j, frame *f, const mt_coding *c, const mt_pixels *out,
                             mt_bytes *in, mt_err *err)
{
    uint8_t marker = 0;
    int done = 0;
    if (!next_marker(&marker, in) || marker != SOI || in->pos != 2)
        return mt_err_set(err, MT_ERR_FORMAT, "JPEG-LS data of %zu bytes do not begin as such", in->size);
    while (!f->comps || done < f->comps) {
        uint16_t len = 0;
        if (!next_marker(&marker, in) || marker == EOI || !mt_bytes_u16(in, &len) || len < 2)
            return mt_err_set(err, MT_ERR_FORMAT, "JPEG-LS data end after %d of %d components", done,
                              f->comps);
        const uint8_t *at = mt_bytes_take(in, len - 2u);
        if (!at) return mt_err_set(err, MT_ERR_FORMAT, "JPEG-LS segment %02x passes the end", marker);
        const mt_bytes p = mt_bytes_of(at, len - 2u, true);
        if (marker == SOF55 && !f->comps) {
            MT_TRY(read_frame(f, p, err));
            MT_TRY(check_frame(f, c, out, err));
            const size_t bytes = (size_t)f->w * (size_t)f->h * (size_t)f->comps;
            MT_TRY(mt_scratch_need(&j->samples, f->precision > 8 ? 2 * bytes : bytes, err));
        } else if (marker == LSE) {
            MT_TRY(read_parameters(f, p, err));
        } else if (marker == SOS && f->comps) {
            MT_TRY(read_scan(j, &done, f, p, in, err));
        } else if (marker == DRI) {
            return mt_err_set(err, MT_ERR_UNSUPPORTED, "JPEG-LS with restart intervals");
        } else if (marker == APP8 && len >= 7 && !memcmp(at, "mrfx", 4) && at[4]) {
            return mt_err_set(err, MT_ERR_UNSUPPORTED, "JPEG-LS with HP colour transform %u", at[4]);
        } else if (marker == SOF55 || marker == SOS || (marker >= 0xc0 && marker <= 0xcf)) {
            return mt_err_set(err, MT_ERR_FORMAT, "JPEG-LS data with marker %02x out of place", marker);
        }
    }
    return MT_OK;
}

static mt_status decode(void *state, const mt_coding *c, const uint8_t *data, size_t size,
                        const mt_pixels *out, mt_err *err)
{
    jpegls *j = state;
    frame f = {0};
    mt_bytes in = mt_bytes_of(data, size, true);
    MT_TRY(read_stream(j, &f, c, out, &in, err));
    mt_coding real = *c;
    real.bits = f.precision > 8 ? 16 : 8;
    real.stored = f.precision;
    real.planar = real.big_endian = false;
    mt_samples_copy(j->samples.p, &real, out);
    return MT_OK;
}

static mt_status jpegls_open(void **state, mt_err *err)
{
    return mt_alloc(state, 1, sizeof(jpegls), sizeof(jpegls), "JPEG-LS decoder", err);
}

static void jpegls_close(void *state)
{
    jpegls *j = state;
    free(j->samples.p);
    free(j->lines.p);
    free(j);
}

const mt_codec_row mt_codec_jpegls = {"jpegls", false, jpegls_open, jpegls_close, decode, NULL};
