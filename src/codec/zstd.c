/* Zstandard frames (TIFF 50000) through libzstd. */
#include <zstd.h>
#include "codec/row.h"

static void unzstd_close(void *state) { ZSTD_freeDCtx(state); }

static mt_status unzstd_open(void **state, mt_err *err)
{
    *state = ZSTD_createDCtx();
    return *state ? MT_OK : mt_err_set(err, MT_ERR_NO_MEMORY, "Zstandard decoder");
}

static mt_status unpack(void *state, uint8_t *samples, size_t want, const uint8_t *data,
                        size_t size, mt_err *err)
{
    const size_t got = ZSTD_decompressDCtx(state, samples, want, data, size);
    if (ZSTD_isError(got))
        return mt_err_set(err, MT_ERR_FORMAT, "Zstandard data of %zu bytes for %zu: %s", size, want,
                          ZSTD_getErrorName(got));
    if (got < want)
        return mt_err_set(err, MT_ERR_FORMAT, "Zstandard data hold %zu bytes, %zu are needed", got,
                          want);
    return MT_OK;
}

const mt_codec_row mt_codec_zstd = {"zstd", false, unzstd_open, unzstd_close, NULL, unpack};
