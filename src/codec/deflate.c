/* zlib streams (TIFF 8 and 32946) through libdeflate. */
#include <libdeflate.h>
#include "codec/row.h"

static void inflater_close(void *state) { libdeflate_free_decompressor(state); }

static mt_status inflater_open(void **state, mt_err *err)
{
    *state = libdeflate_alloc_decompressor();
    return *state ? MT_OK : mt_err_set(err, MT_ERR_NO_MEMORY, "deflate decoder");
}

static mt_status unpack(void *state, uint8_t *samples, size_t want, const uint8_t *data,
                        size_t size, mt_err *err)
{
    size_t got = 0;
    switch (libdeflate_zlib_decompress(state, data, size, samples, want, &got)) {
    case LIBDEFLATE_SUCCESS:
        break;
    case LIBDEFLATE_INSUFFICIENT_SPACE:
        return mt_err_set(err, MT_ERR_FORMAT, "deflate data hold more than %zu bytes", want);
    default:
        return mt_err_set(err, MT_ERR_FORMAT, "deflate data of %zu bytes are damaged", size);
    }
    if (got < want)
        return mt_err_set(err, MT_ERR_FORMAT, "deflate data hold %zu bytes, %zu are needed", got,
                          want);
    return MT_OK;
}

const mt_codec_row mt_codec_deflate = {"deflate", false, inflater_open, inflater_close, NULL, unpack};
