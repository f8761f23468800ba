/* TIFF LZW, both bit orders.
 *
 * No dictionary of strings is kept: the string of a new code is the previous string and the byte
 * that follows it, and both already lie side by side in the output. An entry is therefore a place
 * in the output and a length. */
#include <string.h>
#include "codec/row.h"

enum { CLEAR = 256, END = 257, FIRST = 258, MAX_CODES = 4096, MIN_BITS = 9, MAX_BITS = 12 };

typedef struct unpacker {
    uint32_t at[MAX_CODES];  /* where in the output the string begins */
    uint32_t len[MAX_CODES];
} unpacker;

typedef struct bits {
    const uint8_t *p, *end;
    uint64_t acc;
    int n;
    bool lsb; /* files of the first TIFF days: low bit first, code width grows one code later */
} bits;

static inline int next_code(bits *b, int width)
{
    while (b->n < width) {
        if (b->p == b->end) return -1;
        if (b->lsb) b->acc |= (uint64_t)*b->p++ << b->n;
        else b->acc = b->acc << 8 | *b->p++;
        b->n += 8;
    }
    const unsigned mask = (1u << width) - 1;
    b->n -= width;
    if (!b->lsb) return (int)(b->acc >> b->n & mask);
    int code = (int)(b->acc & mask);
    b->acc >>= width;
    return code;
}

/* The source may run into the place written (a code that stands for itself): bytes, in order. */
static inline void copy_string(uint8_t *to, const uint8_t *from, size_t n)
{
    if ((size_t)(to - from) >= n) {
        memcpy(to, from, n);
        return;
    }
    for (size_t i = 0; i < n; i++) to[i] = from[i];
}

/* Fills out with exactly `want` bytes; returns how many there were before the data ended or broke.
 */
static size_t unpack(unpacker *u, uint8_t *out, size_t want, const uint8_t *data, size_t size,
                     bool *bad)
{
    bits b = {data, data + size, 0, 0, size >= 2 && data[0] == 0 && (data[1] & 1)};
    const int early = b.lsb ? 0 : 1;
    int width = MIN_BITS, fresh = FIRST;
    size_t o = 0;
    bool have_prev = false;
    uint32_t prev_at = 0, prev_len = 0;
    while (o < want) {
        int code = next_code(&b, width);
        if (code < 0 || code == END) return o;
        if (code == CLEAR) {
            width = MIN_BITS;
            fresh = FIRST;
            have_prev = false;
            continue;
        }
        if (have_prev && fresh < MAX_CODES) {
            u->at[fresh] = prev_at;
            u->len[fresh] = prev_len + 1;
            fresh++;
            if (fresh >= (1 << width) - early && width < MAX_BITS) width++;
        }
        const uint32_t start = (uint32_t)o;
        if (code < CLEAR) {
            out[o++] = (uint8_t)code;
        } else if (code < fresh) {
            size_t n = MT_MIN((size_t)u->len[code], want - o);
            copy_string(out + o, out + u->at[code], n);
            o += n;
        } else {
            *bad = true;
            return o;
        }
        prev_at = start;
        prev_len = (uint32_t)(o - start);
        have_prev = true;
    }
    return o;
}

static mt_status unpacker_open(void **state, mt_err *err)
{
    return mt_alloc(state, 1, sizeof(unpacker), sizeof(unpacker), "LZW decoder", err);
}

static void unpacker_close(void *state) { free(state); }

static mt_status unpack_all(void *state, uint8_t *samples, size_t want, const uint8_t *data,
                            size_t size, mt_err *err)
{
    bool bad = false;
    size_t got = unpack(state, samples, want, data, size, &bad);
    if (got == want) return MT_OK;
    return mt_err_set(err, MT_ERR_FORMAT, "LZW data of %zu bytes %s after %zu of %zu bytes", size,
                      bad ? "break" : "end", got, want);
}

const mt_codec_row mt_codec_lzw = {"lzw", false, unpacker_open, unpacker_close, NULL, unpack_all};
