/* JPEG-LS (ISO/IEC 14495-1) through CharLS. Size, bits and order of the samples are the stream's. */
#include <charls/charls.h>
#include "codec/row.h"

typedef struct unpacker {
    mt_scratch samples;
} unpacker;

static void unpacker_close(void *state)
{
    unpacker *u = state;
    free(u->samples.p);
    free(u);
}

static mt_status unpacker_open(void **state, mt_err *err)
{
    return mt_alloc(state, 1, sizeof(unpacker), sizeof(unpacker), "JPEG-LS decoder", err);
}

static void session_end(charls_jpegls_decoder **d) { charls_jpegls_decoder_destroy(*d); }

static mt_status failed(charls_jpegls_errc code, mt_err *err)
{
    const mt_status st = code == CHARLS_JPEGLS_ERRC_NOT_ENOUGH_MEMORY ? MT_ERR_NO_MEMORY
                                                                      : MT_ERR_FORMAT;
    return mt_err_set(err, st, "JPEG-LS: %s", charls_get_error_message(code));
}

#define TRY_LS(call) do { charls_jpegls_errc c_ = (call); if (c_) return failed(c_, err); } while (0)

/* What the stream says of its samples; its size and their number must be the file's. */
static mt_status read_header(mt_coding *real, charls_jpegls_decoder *d, const mt_coding *c,
                             const mt_pixels *out, mt_err *err)
{
    charls_frame_info f;
    charls_interleave_mode order;
    TRY_LS(charls_jpegls_decoder_read_header(d));
    TRY_LS(charls_jpegls_decoder_get_frame_info(d, &f));
    TRY_LS(charls_jpegls_decoder_get_interleave_mode(d, &order));
    if (f.width != (uint32_t)out->w || f.height != (uint32_t)out->h)
        return mt_err_set(err, MT_ERR_FORMAT, "JPEG-LS is %u x %u, expected %d x %d", f.width,
                          f.height, out->w, out->h);
    if (f.component_count != c->samples)
        return mt_err_set(err, MT_ERR_FORMAT, "JPEG-LS has %d components, the file says %d",
                          f.component_count, c->samples);
    *real = *c;
    real->bits = f.bits_per_sample > 8 ? 16 : 8;
    real->stored = f.bits_per_sample;
    real->planar = order == CHARLS_INTERLEAVE_MODE_NONE;
    real->big_endian = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
    real->predictor = 1;
    return MT_OK;
}

/* CharLS up to 2.4.1 may loop for ever over a stream that was cut. */
static bool is_whole(const uint8_t *data, size_t size)
{
    while (size && !data[size - 1]) size--; /* DICOM pads to an even length */
    return size >= 4 && data[size - 2] == 0xff && data[size - 1] == 0xd9;
}

static mt_status decode(void *state, const mt_coding *c, const uint8_t *data, size_t size,
                        const mt_pixels *out, mt_err *err)
{
    unpacker *u = state;
    if (!is_whole(data, size))
        return mt_err_set(err, MT_ERR_FORMAT, "JPEG-LS data of %zu bytes have no end marker", size);
    MT_AUTO(session_end) charls_jpegls_decoder *d = charls_jpegls_decoder_create();
    if (!d) return mt_err_set(err, MT_ERR_NO_MEMORY, "JPEG-LS decoder");
    TRY_LS(charls_jpegls_decoder_set_source_buffer(d, data, size));
    mt_coding real;
    MT_TRY(read_header(&real, d, c, out, err));
    const size_t want = mt_samples_bytes(&real, out);
    MT_TRY(mt_scratch_need(&u->samples, want, err));
    size_t need = 0;
    TRY_LS(charls_jpegls_decoder_get_destination_size(d, 0, &need));
    if (need != want)
        return mt_err_set(err, MT_ERR_FORMAT, "JPEG-LS of %zu bytes of samples, expected %zu", need,
                          want);
    TRY_LS(charls_jpegls_decoder_decode_to_buffer(d, u->samples.p, want, 0));
    mt_samples_copy(u->samples.p, &real, out);
    return MT_OK;
}

const mt_codec_row mt_codec_jpegls = {"jpegls", false, unpacker_open, unpacker_close, decode, NULL};
