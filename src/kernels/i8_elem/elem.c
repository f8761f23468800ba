/* The public 8-bit kernels that are a loop around one table entry. */
#include "base/mem.h"
#include "kernels/i8.h"
#include "kernels/table.h"

void mt_i8_add(const mt_kernels *k, const mt_i8_pair *d, uint8_t *dst, const uint8_t *x,
               const uint8_t *y, size_t n_bytes)
{
    k->fn->i8_add(d, dst, x, y, n_bytes);
}

void mt_i8_mul(const mt_kernels *k, const mt_i8_pair *d, uint8_t *dst, const uint8_t *x,
               const uint8_t *y, size_t n_bytes)
{
    k->fn->i8_mul(d, dst, x, y, n_bytes);
}

void mt_i8_mul_channels(const mt_kernels *k, const mt_i8_pair *d, uint8_t *dst, const uint8_t *x,
                        const uint8_t *gate, int pitch, size_t places)
{
    enum { PART = 256 }; /* channels at a time: factors stay on the stack */
    const float a = d->x_scale * d->y_scale / d->out_scale;
    float factor[PART];
    if (pitch <= PART) {
        for (int c = 0; c < pitch; c++)
            factor[c] = (float)(gate[c] - d->y_zero) * a;
        k->fn->i8_scale(dst, x, factor, pitch, places, d->x_zero, d->out_zero, d->lo, d->hi);
        return;
    }
    for (int at = 0; at < pitch; at += PART) {
        int n = MT_MIN(PART, pitch - at);
        for (int c = 0; c < n; c++)
            factor[c] = (float)(gate[at + c] - d->y_zero) * a;
        for (size_t i = 0; i < places; i++) {
            size_t to = i * (size_t)pitch + (size_t)at;
            k->fn->i8_scale(dst + to, x + to, factor, n, 1, d->x_zero, d->out_zero, d->lo, d->hi);
        }
    }
}

void mt_i8_table(const mt_kernels *k, const uint8_t *table, uint8_t *dst, const uint8_t *x,
                 size_t n_bytes)
{
    k->fn->i8_map(table, dst, x, n_bytes);
}

/* The places of a window that lie inside; at most WINDOW of them at a time. */
enum { WINDOW = 64 };

static int window(const uint8_t **at, int skip, const mt_pool_desc *d, const uint8_t *in, int pitch,
                  int oy, int ox, int *padded)
{
    int n = 0, seen = 0;
    *padded = 0;
    for (int ky = 0; ky < d->kh; ky++)
        for (int kx = 0; kx < d->kw; kx++) {
            int y = oy * d->sh + ky * d->dh - d->pt, x = ox * d->sw + kx * d->dw - d->pl;
            *padded += y < d->h + d->pb && x < d->w + d->pr;
            if (y < 0 || x < 0 || y >= d->h || x >= d->w || seen++ < skip || n == WINDOW) continue;
            at[n++] = in + ((ptrdiff_t)y * d->w + x) * pitch;
        }
    return n;
}

void mt_i8_max_pool(const mt_kernels *k, const mt_pool_desc *d, const uint8_t *in, uint8_t *out)
{
    const uint8_t *at[WINDOW + 1];
    int pitch = mt_i8_pitch(d->c), padded;
    for (int y = 0; y < d->oh; y++)
        for (int x = 0; x < d->ow; x++, out += pitch) {
            int n = window(at, 0, d, in, pitch, y, x, &padded);
            k->fn->i8_max(out, at, n, pitch);
            for (int done = n; n == WINDOW; done += n) { /* a window of more than 64 places */
                n = window(at, done, d, in, pitch, y, x, &padded);
                at[n] = out;
                k->fn->i8_max(out, at, n + 1, pitch);
            }
        }
}

static void mean_of(const mt_kernels *k, const mt_i8_pair *q, const uint8_t *const *at, int n,
                    int pitch, float factor, uint8_t *out)
{
    enum { PART = 256 };
    for (int c = 0; c < pitch; c += PART) {
        int32_t sum[PART] = {0};
        int m = MT_MIN(PART, pitch - c);
        for (int j = 0; j < n; j++)
            k->fn->i8_sum(sum, at[j] + c, 1, m, pitch);
        k->fn->i8_mean(out + c, sum, m, -n * q->x_zero, factor, q->out_zero, q->lo, q->hi);
    }
}

/* hw < 2^23, so that sums stay inside 32 bits. */
static void global_mean(const mt_kernels *k, const mt_i8_pair *q, const uint8_t *in, int pitch,
                        size_t hw, uint8_t *out)
{
    enum { PART = 256 };
    float factor = q->x_scale / q->out_scale / (float)hw;
    int32_t start = (int32_t)(-(int64_t)hw * q->x_zero);
    for (int c = 0; c < pitch; c += PART) {
        int32_t sum[PART] = {0};
        int m = MT_MIN(PART, pitch - c);
        k->fn->i8_sum(sum, in + c, hw, m, pitch);
        k->fn->i8_mean(out + c, sum, m, start, factor, q->out_zero, q->lo, q->hi);
    }
}

void mt_i8_avg_pool(const mt_kernels *k, const mt_pool_desc *d, const mt_i8_pair *q,
                    const uint8_t *in, uint8_t *out)
{
    const uint8_t *at[WINDOW];
    int pitch = mt_i8_pitch(d->c), padded;
    if (d->oh == 1 && d->ow == 1 && d->kh == d->h && d->kw == d->w && !d->pt && !d->pl) {
        global_mean(k, q, in, pitch, (size_t)d->h * (size_t)d->w, out);
        return;
    }
    for (int y = 0; y < d->oh; y++)
        for (int x = 0; x < d->ow; x++, out += pitch) {
            int n = window(at, 0, d, in, pitch, y, x, &padded);
            int count = d->count_include_pad ? padded : n;
            float factor = count ? q->x_scale / q->out_scale / (float)count : 0.0f;
            mean_of(k, q, at, n, pitch, factor, out);
        }
}

void mt_i8_quantise(const mt_kernels *k, uint8_t *dst, const float *src_chw, int c, size_t places,
                    float scale, int zero)
{
    k->fn->i8_from_f32(dst, src_chw, c, mt_i8_pitch(c), places, scale, zero);
}

void mt_i8_dequantise(const mt_kernels *k, float *dst_chw, const uint8_t *src, int c, size_t places,
                      float scale, int zero)
{
    k->fn->i8_to_f32(dst_chw, src, c, mt_i8_pitch(c), places, scale, zero);
}
