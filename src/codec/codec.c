/* The codec table and the decoder that holds one state a row. */
#include "codec/row.h"

static const mt_codec_row *const rows[MT_CODEC_COUNT] = {
    [MT_CODEC_RAW] = &mt_codec_raw,
    [MT_CODEC_JPEG] = &mt_codec_jpeg,
    [MT_CODEC_JP2K] = &mt_codec_jp2k,
    [MT_CODEC_LZW] = &mt_codec_lzw,
    [MT_CODEC_DEFLATE] = &mt_codec_deflate,
    [MT_CODEC_PACKBITS] = &mt_codec_packbits,
    [MT_CODEC_ZSTD] = &mt_codec_zstd,
    [MT_CODEC_JPEGLS] = &mt_codec_jpegls,
    [MT_CODEC_RLE] = &mt_codec_rle,
};

/* TIFF compression numbers: what they are called and, where we read them, by which row. */
static const struct { unsigned number; const char *name; int codec; } tiff_numbers[] = {
    {1, "none", MT_CODEC_RAW},
    {2, "CCITT RLE", -1},
    {3, "CCITT fax 3", -1},
    {4, "CCITT fax 4", -1},
    {5, "LZW", MT_CODEC_LZW},
    {6, "old-style JPEG", -1},
    {7, "JPEG", MT_CODEC_JPEG},
    {8, "deflate", MT_CODEC_DEFLATE},
    {9, "JBIG T.85", -1},
    {10, "JBIG T.43", -1},
    {32766, "NeXT", -1},
    {32773, "PackBits", MT_CODEC_PACKBITS},
    {32809, "ThunderScan", -1},
    {32946, "deflate", MT_CODEC_DEFLATE},
    {33003, "JPEG 2000 YCbCr", MT_CODEC_JP2K},
    {33004, "JPEG 2000 lossy", -1},
    {33005, "JPEG 2000 RGB", MT_CODEC_JP2K},
    {34676, "SGI LogLuv", -1},
    {34712, "JPEG 2000", MT_CODEC_JP2K},
    {34887, "LERC", -1},
    {34892, "lossy JPEG (DNG)", -1},
    {34925, "LZMA", -1},
    {34933, "PNG", -1},
    {34934, "JPEG XR", -1},
    {50000, "Zstandard", MT_CODEC_ZSTD},
    {50001, "WebP", -1},
    {50002, "JPEG XL", -1},
    {52546, "JPEG XL (DNG)", -1},
};

struct mt_decoder {
    void *state[MT_CODEC_COUNT];
    mt_scratch samples, turned;
};

mt_status mt_decoder_new(mt_decoder **out, mt_err *err)
{
    return mt_alloc(out, 1, sizeof(mt_decoder), sizeof(mt_decoder), "decoder", err);
}

void mt_decoder_free(mt_decoder **decoder)
{
    if (!decoder || !*decoder) return;
    for (int i = 0; i < MT_CODEC_COUNT; i++)
        if ((*decoder)->state[i]) rows[i]->close((*decoder)->state[i]);
    free((*decoder)->samples.p);
    free((*decoder)->turned.p);
    free(*decoder);
    *decoder = NULL;
}

bool mt_codec_speaks(mt_codec_id id)
{
    return id == MT_CODEC_JPEG || id == MT_CODEC_JP2K || id == MT_CODEC_JPEGLS;
}

static mt_status check_samples(const mt_coding *c, mt_err *err)
{
    const bool grey = c->colour == MT_COLOUR_GREY || c->colour == MT_COLOUR_GREY_INVERTED;
    const bool one = grey || c->colour == MT_COLOUR_PALETTE;
    const bool with_alpha = !mt_codec_speaks(c->codec) &&
                            ((grey && c->samples == 2) ||
                             (c->colour == MT_COLOUR_RGB && c->samples == 4));
    if (c->samples != (one ? 1 : 3) && !with_alpha)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "%d samples a pixel in a %s picture", c->samples,
                          grey ? "grey" : one ? "palette" : "colour");
    const int bits = c->bits ? c->bits : 8;
    if ((bits != 8 && bits != 16) || c->stored < 0 || c->stored > bits)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "%d of %d bits a sample; 8 and 16 are read",
                          c->stored ? c->stored : bits, bits);
    if (c->colour == MT_COLOUR_PALETTE && (bits != 8 || !c->palette))
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "a palette %s",
                          c->palette ? "for 16-bit samples" : "that is not there");
    if (c->predictor < 0 || c->predictor > 2)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "predictor %d%s; 1 and 2 are read", c->predictor,
                          c->predictor == 3 ? " (floating point)" : "");
    return MT_OK;
}

static mt_status check(const mt_coding *c, const mt_codec_row *row, const mt_pixels *out,
                       mt_err *err)
{
    if (out->scale != 1 && out->scale != 2 && out->scale != 4 && out->scale != 8)
        return mt_err_set(err, MT_ERR_ARG, "scale 1/%d is none of 1, 1/2, 1/4, 1/8", out->scale);
    if (out->scale > 1 && !row->scales && c->codec != MT_CODEC_JP2K)
        return mt_err_set(err, MT_ERR_ARG, "%s cannot decode at 1/%d", row->name, out->scale);
    if (out->w < 1 || out->h < 1 || out->w > MT_CODEC_MAX_SIDE || out->h > MT_CODEC_MAX_SIDE
        || (size_t)out->w * (size_t)out->h > MT_CODEC_MAX_PIXELS)
        return mt_err_set(err, MT_ERR_LIMIT, "%s picture of %d x %d pixels", row->name, out->w,
                          out->h);
    return check_samples(c, err);
}

/* The row of a codec, its state made. */
static mt_status find_row(const mt_codec_row **out, mt_decoder *d, const mt_coding *c,
                          const mt_pixels *pixels, mt_err *err)
{
    if ((unsigned)c->codec >= MT_CODEC_COUNT)
        return mt_err_set(err, MT_ERR_INTERNAL, "codec %d", (int)c->codec);
    const mt_codec_row *row = *out = rows[c->codec];
    MT_TRY(check(c, row, pixels, err));
    return row->open && !d->state[c->codec] ? row->open(&d->state[c->codec], err) : MT_OK;
}

/* FillOrder 2: every byte is turned over. */
static mt_status turn(mt_decoder *d, const uint8_t **data, size_t size, mt_err *err)
{
    MT_TRY(mt_scratch_need(&d->turned, size, err));
    for (size_t i = 0; i < size; i++) {
        unsigned v = (*data)[i];
        v = (v & 0xf0) >> 4 | (v & 0x0f) << 4;
        v = (v & 0xcc) >> 2 | (v & 0x33) << 2;
        d->turned.p[i] = (uint8_t)((v & 0xaa) >> 1 | (v & 0x55) << 1);
    }
    *data = d->turned.p;
    return MT_OK;
}

/* A whole picture to whoever takes its rows. */
static void hand_over(const mt_pixels *out)
{
    if (out->sink)
        out->sink->rows(out->sink->ctx, out->rgb, out->stride, 0,
                        (out->h + out->scale - 1) / out->scale);
}

static mt_status decode_picture(mt_decoder *d, const mt_coding *c, const void *data, size_t size,
                                const mt_pixels *out, mt_err *err)
{
    const mt_codec_row *row = NULL;
    const uint8_t *bytes = data;
    MT_TRY(find_row(&row, d, c, out, err));
    if (!size) return mt_err_set(err, MT_ERR_FORMAT, "%s data of 0 bytes", row->name);
    if (c->lsb_first && row->unpack) MT_TRY(turn(d, &bytes, size, err));
    if (row->decode) return row->decode(d->state[c->codec], c, bytes, size, out, err);
    const size_t want = mt_samples_bytes(c, out);
    MT_TRY(mt_scratch_need(&d->samples, want, err));
    MT_TRY(row->unpack(d->state[c->codec], d->samples.p, want, bytes, size, err));
    return mt_samples_to_rgb(d->samples.p, c, out, err);
}

mt_status mt_decoder_decode(mt_decoder *d, const mt_coding *c, const void *data, size_t size,
                            const mt_pixels *out, mt_err *err)
{
    MT_TRY(decode_picture(d, c, data, size, out, err));
    if (!mt_codec_streams(c->codec)) hand_over(out);
    return MT_OK;
}

mt_status mt_decoder_decode_planes(mt_decoder *d, const mt_coding *c, const mt_codec_span *planes,
                                   int n, const mt_pixels *out, mt_err *err)
{
    const mt_codec_row *row = NULL;
    MT_TRY(find_row(&row, d, c, out, err));
    if (!row->unpack)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "%s pictures with their samples apart",
                          row->name);
    if (n != c->samples) return mt_err_set(err, MT_ERR_ARG, "%d planes of %d", n, c->samples);
    const size_t plane = mt_samples_bytes(c, out) / (size_t)n;
    MT_TRY(mt_scratch_need(&d->samples, plane * (size_t)n, err));
    for (int i = 0; i < n; i++) {
        const uint8_t *bytes = planes[i].data;
        if (!planes[i].size)
            return mt_err_set(err, MT_ERR_FORMAT, "sample %d: %s data of 0 bytes", i, row->name);
        if (c->lsb_first) MT_TRY(turn(d, &bytes, planes[i].size, err));
        mt_status st = row->unpack(d->state[c->codec], d->samples.p + (size_t)i * plane, plane,
                                   bytes, planes[i].size, err);
        if (st != MT_OK) {
            mt_err_context(err, "sample %d", i);
            return st;
        }
    }
    mt_coding together = *c;
    together.planar = true;
    MT_TRY(mt_samples_to_rgb(d->samples.p, &together, out, err));
    hand_over(out);
    return MT_OK;
}

const char *mt_codec_name(mt_codec_id id)
{
    return (unsigned)id < MT_CODEC_COUNT && rows[id] ? rows[id]->name : "none";
}

bool mt_codec_scales(mt_codec_id id) { return (unsigned)id < MT_CODEC_COUNT && rows[id] && rows[id]->scales; }

bool mt_codec_streams(mt_codec_id id) { return id == MT_CODEC_JPEG; }

bool mt_codec_of_tiff(mt_codec_id *id, unsigned compression)
{
    for (size_t i = 0; i < MT_COUNT(tiff_numbers); i++)
        if (tiff_numbers[i].number == compression && tiff_numbers[i].codec >= 0) {
            *id = (mt_codec_id)tiff_numbers[i].codec;
            return true;
        }
    return false;
}

const char *mt_tiff_compression_name(unsigned compression)
{
    for (size_t i = 0; i < MT_COUNT(tiff_numbers); i++)
        if (tiff_numbers[i].number == compression) return tiff_numbers[i].name;
    return "unknown";
}
