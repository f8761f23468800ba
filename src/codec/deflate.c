/* zlib streams (TIFF 8 and 32946) through libdeflate. */
#include <libdeflate.h>
#include "codec/row.h"

typedef struct inflater {
    struct libdeflate_decompressor *z;
    mt_scratch samples;
} inflater;

static void inflater_close(void *state)
{
    inflater *s = state;
    if (s->z) libdeflate_free_decompressor(s->z);
    free(s->samples.p);
    free(s);
}

static mt_status inflater_open(void **state, mt_err *err)
{
    inflater *s = NULL;
    MT_TRY(mt_alloc(&s, 1, sizeof *s, sizeof *s, "deflate decoder", err));
    s->z = libdeflate_alloc_decompressor();
    if (!s->z) {
        inflater_close(s);
        return mt_err_set(err, MT_ERR_NO_MEMORY, "deflate decoder");
    }
    *state = s;
    return MT_OK;
}

static mt_status decode(void *state, const mt_coding *c, const uint8_t *data, size_t size,
                        const mt_pixels *out, mt_err *err)
{
    inflater *s = state;
    const size_t want = (size_t)out->w * (size_t)out->h * (size_t)c->samples;
    MT_TRY(mt_scratch_need(&s->samples, want, err));
    size_t got = 0;
    switch (libdeflate_zlib_decompress(s->z, data, size, s->samples.p, want, &got)) {
    case LIBDEFLATE_SUCCESS:
        break;
    case LIBDEFLATE_INSUFFICIENT_SPACE:
        return mt_err_set(err, MT_ERR_FORMAT, "deflate data holds more than %d x %d", out->w,
                          out->h);
    default:
        return mt_err_set(err, MT_ERR_FORMAT, "deflate data of %zu bytes is damaged", size);
    }
    if (got < want)
        return mt_err_set(err, MT_ERR_FORMAT, "deflate data holds %zu bytes, %d x %d needs %zu",
                          got, out->w, out->h, want);
    return mt_samples_to_rgb(s->samples.p, c, out, err);
}

const mt_codec_row mt_codec_deflate = {"deflate", false, inflater_open, inflater_close, decode};
