/* The codec table and the decoder that holds one state a row. */
#include "codec/row.h"

static const mt_codec_row *const rows[MT_CODEC_COUNT] = {
    [MT_CODEC_RAW] = &mt_codec_raw,
    [MT_CODEC_JPEG] = &mt_codec_jpeg,
    [MT_CODEC_JP2K] = &mt_codec_jp2k,
    [MT_CODEC_LZW] = &mt_codec_lzw,
    [MT_CODEC_DEFLATE] = &mt_codec_deflate,
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
    {32773, "PackBits", -1},
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
    {50000, "Zstandard", -1},
    {50001, "WebP", -1},
    {50002, "JPEG XL", -1},
    {52546, "JPEG XL (DNG)", -1},
};

struct mt_decoder {
    void *state[MT_CODEC_COUNT];
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
    free(*decoder);
    *decoder = NULL;
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
    bool grey = c->colour == MT_COLOUR_GREY || c->colour == MT_COLOUR_GREY_INVERTED;
    bool plain = c->codec != MT_CODEC_JPEG && c->codec != MT_CODEC_JP2K;
    bool rgba = c->samples == 4 && c->colour == MT_COLOUR_RGB && plain;
    if (c->samples != (grey ? 1 : 3) && !rgba)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "%d samples a pixel in a %s picture", c->samples,
                          grey ? "grey" : "colour");
    return MT_OK;
}

mt_status mt_decoder_decode(mt_decoder *d, const mt_coding *c, const void *data, size_t size,
                            const mt_pixels *out, mt_err *err)
{
    if ((unsigned)c->codec >= MT_CODEC_COUNT)
        return mt_err_set(err, MT_ERR_INTERNAL, "codec %d", (int)c->codec);
    const mt_codec_row *row = rows[c->codec];
    if (!row) return mt_err_set(err, MT_ERR_UNSUPPORTED, "codec %d", (int)c->codec);
    MT_TRY(check(c, row, out, err));
    if (row->open && !d->state[c->codec])
        MT_TRY(row->open(&d->state[c->codec], err));
    return row->decode(d->state[c->codec], c, data, size, out, err);
}

const char *mt_codec_name(mt_codec_id id)
{
    return (unsigned)id < MT_CODEC_COUNT && rows[id] ? rows[id]->name : "none";
}

bool mt_codec_scales(mt_codec_id id) { return (unsigned)id < MT_CODEC_COUNT && rows[id] && rows[id]->scales; }

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
