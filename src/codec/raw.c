/* Uncompressed samples, straight from the map. */
#include <string.h>
#include "codec/row.h"

static mt_status check_size(size_t size, size_t want, mt_err *err)
{
    if (size >= want) return MT_OK;
    return mt_err_set(err, MT_ERR_FORMAT, "uncompressed data have %zu bytes, %zu are needed", size,
                      want);
}

static mt_status decode(void *state, const mt_coding *c, const uint8_t *data, size_t size,
                        const mt_pixels *out, mt_err *err)
{
    MT_TRY(check_size(size, mt_samples_bytes(c, out), err));
    mt_samples_copy(data, c, out);
    return MT_OK;
}

static mt_status unpack(void *state, uint8_t *samples, size_t want, const uint8_t *data,
                        size_t size, mt_err *err)
{
    MT_TRY(check_size(size, want, err));
    memcpy(samples, data, want);
    return MT_OK;
}

const mt_codec_row mt_codec_raw = {"raw", false, NULL, NULL, decode, unpack};
