/* PackBits (TIFF 6.0 section 9) and DICOM RLE (PS3.5 annex G), which packs the same way, byte plane
 * by byte plane. */
#include <string.h>
#include "base/bytes.h"
#include "codec/row.h"

size_t mt_packbits_unpack(uint8_t *to, size_t step, size_t want, const uint8_t *data, size_t size)
{
    const uint8_t *p = data, *end = data + size;
    size_t got = 0;
    while (got < want && p < end) {
        const int n = (int8_t)*p++;
        if (n == -128) continue; /* nothing, by definition */
        size_t k = (size_t)(n < 0 ? 1 - n : n + 1);
        if (n >= 0) k = MT_MIN(k, (size_t)(end - p));
        else if (p == end) break;
        k = MT_MIN(k, want - got);
        uint8_t *out = to + got * step;
        if (step > 1)
            for (size_t i = 0; i < k; i++) out[i * step] = n < 0 ? *p : p[i];
        else if (n < 0) memset(out, *p, k);
        else memcpy(out, p, k);
        got += k;
        p += n < 0 ? 1 : k;
    }
    return got;
}

static mt_status unpack(void *state, uint8_t *samples, size_t want, const uint8_t *data,
                        size_t size, mt_err *err)
{
    const size_t got = mt_packbits_unpack(samples, 1, want, data, size);
    if (got == want) return MT_OK;
    return mt_err_set(err, MT_ERR_FORMAT, "PackBits data of %zu bytes ends after %zu of %zu bytes",
                      size, got, want);
}

const mt_codec_row mt_codec_packbits = {"packbits", false, NULL, NULL, NULL, unpack};

/* ---- DICOM RLE ---- */

enum { HEADER = 64, MAX_SEGMENTS = 15 };

static void rle_close(void *state)
{
    mt_scratch *s = state;
    free(s->p);
    free(s);
}

static mt_status rle_open(void **state, mt_err *err)
{
    return mt_alloc(state, 1, sizeof(mt_scratch), sizeof(mt_scratch), "RLE decoder", err);
}

/* Offsets of the segments (G.5): the first byte after the header, then rising. */
static mt_status rle_header(size_t at[MAX_SEGMENTS + 1], unsigned want, const uint8_t *data,
                            size_t size, mt_err *err)
{
    mt_bytes b = mt_bytes_of(data, size, false);
    uint32_t n = 0;
    if (size < HEADER || !mt_bytes_u32(&b, &n))
        return mt_err_set(err, MT_ERR_FORMAT, "RLE data of %zu bytes have no header", size);
    if (n != want)
        return mt_err_set(err, MT_ERR_FORMAT, "RLE data of %u segments, the file says %u", n, want);
    at[n] = size;
    for (unsigned i = 0; i < n; i++) {
        uint32_t v = 0;
        (void)mt_bytes_u32(&b, &v);
        if (v < HEADER || v > size || (i && v < at[i - 1]))
            return mt_err_set(err, MT_ERR_FORMAT, "RLE segment %u begins at byte %u of %zu", i, v,
                              size);
        at[i] = v;
    }
    return MT_OK;
}

/* A segment is one byte of one sample of all pixels, the high byte first (G.2): together they are
 * planes of big-endian samples. */
static mt_status rle_decode(void *state, const mt_coding *c, const uint8_t *data, size_t size,
                            const mt_pixels *out, mt_err *err)
{
    mt_scratch *s = state;
    const unsigned width = c->bits == 16 ? 2 : 1, n = (unsigned)c->samples * width;
    const size_t plane = (size_t)out->w * (size_t)out->h;
    size_t at[MAX_SEGMENTS + 1];
    MT_TRY(rle_header(at, n, data, size, err));
    MT_TRY(mt_scratch_need(s, mt_samples_bytes(c, out), err));
    for (unsigned i = 0; i < n; i++) {
        uint8_t *to = s->p + i / width * plane * width + i % width;
        const size_t got =
            mt_packbits_unpack(to, width, plane, data + at[i], at[i + 1] - at[i]);
        if (got < plane)
            return mt_err_set(err, MT_ERR_FORMAT, "RLE segment %u ends after %zu of %zu bytes", i,
                              got, plane);
    }
    mt_coding planes = *c;
    planes.planar = planes.big_endian = true;
    mt_samples_copy(s->p, &planes, out);
    return MT_OK;
}

const mt_codec_row mt_codec_rle = {"rle", false, rle_open, rle_close, rle_decode, NULL};
