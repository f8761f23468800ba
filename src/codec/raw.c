/* Uncompressed samples, straight from the map. */
#include "codec/row.h"

static mt_status decode(void *state, const mt_coding *c, const uint8_t *data, size_t size,
                        const mt_pixels *out, mt_err *err)
{
    const size_t want = (size_t)out->w * (size_t)out->h * (size_t)c->samples;
    if (size < want)
        return mt_err_set(err, MT_ERR_FORMAT, "uncompressed data has %zu bytes, %d x %d needs %zu",
                          size, out->w, out->h, want);
    mt_samples_copy(data, c, out);
    return MT_OK;
}

const mt_codec_row mt_codec_raw = {"raw", false, NULL, NULL, decode};
