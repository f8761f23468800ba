/* How the frames of a level are decoded. What the compressed stream says of itself is believed before
 * the header; where they disagree the slide carries a warning. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "slide/dicom/levels.h"

static const struct {
    const char *tail, *name; /* behind 1.2.840.10008.1.2 */
    int codec;               /* -1: refused */
} syntaxes[] = {
    {"", "Implicit VR Little Endian", MT_CODEC_RAW},
    {".1", "Explicit VR Little Endian", MT_CODEC_RAW},
    {".1.98", "Encapsulated Uncompressed", MT_CODEC_RAW},
    {".1.99", "Deflated Explicit VR Little Endian", MT_CODEC_RAW},
    {".2", "Explicit VR Big Endian", MT_CODEC_RAW},
    {".4.50", "JPEG Baseline", MT_CODEC_JPEG},
    {".4.51", "JPEG Extended", MT_CODEC_JPEG},
    {".4.57", "JPEG Lossless", -1},
    {".4.70", "JPEG Lossless SV1", -1},
    {".4.80", "JPEG-LS Lossless", MT_CODEC_JPEGLS},
    {".4.81", "JPEG-LS Near-Lossless", MT_CODEC_JPEGLS},
    {".4.90", "JPEG 2000 Lossless", MT_CODEC_JP2K},
    {".4.91", "JPEG 2000", MT_CODEC_JP2K},
    {".4.92", "JPEG 2000 Part 2 Lossless", -1},
    {".4.93", "JPEG 2000 Part 2", -1},
    {".4.94", "JPIP Referenced", -1},
    {".4.95", "JPIP Referenced Deflate", -1},
    {".4.110", "JPEG XL Lossless", -1},
    {".4.111", "JPEG XL JPEG Recompression", -1},
    {".4.112", "JPEG XL", -1},
    {".4.201", "HTJ2K Lossless", -1},
    {".4.202", "HTJ2K Lossless RPCL", -1},
    {".4.203", "HTJ2K", -1},
    {".4.204", "JPIP HTJ2K Referenced", -1},
    {".4.205", "JPIP HTJ2K Referenced Deflate", -1},
    {".5", "RLE Lossless", MT_CODEC_RLE},
    {".8.1", "Deflated Image Frame", -1},
};

mt_status mt_dicom_codec(mt_codec_id *out, const char *syntax, mt_err *err)
{
    static const char root[] = "1.2.840.10008.1.2";
    const size_t n = strlen(root);
    for (size_t i = 0; !strncmp(syntax, root, n) && i < MT_COUNT(syntaxes); i++) {
        if (strcmp(syntax + n, syntaxes[i].tail)) continue;
        if (syntaxes[i].codec < 0)
            return mt_err_set(err, MT_ERR_UNSUPPORTED, "transfer syntax %s (%s) is not one that is read",
                              syntax, syntaxes[i].name);
        *out = (mt_codec_id)syntaxes[i].codec;
        return MT_OK;
    }
    return mt_err_set(err, MT_ERR_UNSUPPORTED, "transfer syntax \"%s\" is not one that is read", syntax);
}

mt_status mt_dicom_part_check(const mt_dicom_part *p, mt_err *err)
{
    const mt_dicom_facts *f = &p->facts;
    mt_codec_id codec = MT_CODEC_RAW;
    MT_TRY(mt_dicom_codec(&codec, f->syntax, err));
    if (!f->has_pixels) return mt_err_set(err, MT_ERR_FORMAT, "no pixel data (7FE0,0010)");
    if (f->rows < 1 || f->columns < 1 || f->rows > 65535 || f->columns > 65535)
        return mt_err_set(err, MT_ERR_FORMAT, "frames (0028,0011) (0028,0010) of %u x %u", f->columns,
                          f->rows);
    if (f->width < 1 || f->height < 1)
        return mt_err_set(err, MT_ERR_FORMAT, "no total pixel matrix (0048,0006) (0048,0007)");
    const bool grey = f->photometric == MT_DICOM_MONOCHROME1 || f->photometric == MT_DICOM_MONOCHROME2;
    if (f->photometric == MT_DICOM_PHOTOMETRIC_OTHER)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "Photometric Interpretation (0028,0004) is not one "
                          "of a whole-slide image");
    if (f->samples != (grey ? 1u : 3u))
        return mt_err_set(err, MT_ERR_FORMAT, "Samples per Pixel (0028,0002) %u in a %s image",
                          f->samples, grey ? "grey" : "colour");
    if ((f->bits != 8 && f->bits != 16) || f->stored > f->bits || f->is_signed)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "%u %s bits a sample, %u of them stored; 8 and 16 "
                          "unsigned ones are read", f->bits, f->is_signed ? "signed" : "", f->stored);
    if (codec == MT_CODEC_RAW && f->photometric == MT_DICOM_YBR_FULL_422)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "uncompressed YBR_FULL_422 samples");
    const uint64_t frame = (uint64_t)f->rows * f->columns * f->samples * (f->bits / 8);
    if (!f->encapsulated && mt_dicom_claims_too_much(f->frames, f->pixels_n / frame))
        return mt_err_set(err, MT_ERR_FORMAT, "Number of Frames (0028,0008) %u, the pixel data hold %llu",
                          f->frames, (unsigned long long)(f->pixels_n / frame));
    if (f->encapsulated == (codec == MT_CODEC_RAW && strcmp(f->syntax, "1.2.840.10008.1.2.1.98")))
        return mt_err_set(err, MT_ERR_FORMAT, "pixel data that transfer syntax %s does not allow",
                          f->syntax);
    return MT_OK;
}

/* ---- colour ---- */

/* What the header says of the samples; the codec believes the stream where that says something. */
static mt_colour header_colour(const mt_dicom_facts *f)
{
    switch (f->photometric) {
    case MT_DICOM_MONOCHROME1: return MT_COLOUR_GREY_INVERTED;
    case MT_DICOM_MONOCHROME2: return MT_COLOUR_GREY;
    case MT_DICOM_YBR_FULL:
    case MT_DICOM_YBR_FULL_422: return MT_COLOUR_YCBCR;
    case MT_DICOM_YBR_ICT: /* JPEG 2000's own transforms: what comes out of the codec is RGB */
    case MT_DICOM_YBR_RCT: return MT_COLOUR_RGB;
    default: return MT_COLOUR_RGB;
    }
}

/* Some frame of the level, to look into. */
static bool any_frame(mt_dicom_ref *out, const mt_dicom_level *l)
{
    const int64_t n = l->tiles_x * (l->cut_rows ? 1 : l->tiles_y);
    for (int64_t i = 0; l->refs && i < n; i++)
        if (l->refs[i].part != MT_DICOM_ABSENT) {
            *out = l->refs[i];
            return true;
        }
    if (l->rects && l->n_rects) *out = l->rects[0].ref;
    return l->rects && l->n_rects;
}

/* The head of a frame; nothing where there is none or it is damaged: its tile will say so. */
static mt_status look(mt_tile_span *out, const mt_dicom_level *l, mt_dicom_slide *ds, mt_err *err)
{
    mt_dicom_ref ref;
    uint32_t pieces;
    *out = (mt_tile_span){NULL, 0};
    if (l->coding.codec == MT_CODEC_RAW || !any_frame(&ref, l)) return MT_OK;
    MT_TRY(mt_dicom_part_ready(ds, ref.part, err));
    if (mt_dicom_frame_span(out, &pieces, ds, ref, NULL) != MT_OK || pieces <= 1) return MT_OK;
    const mt_dicom_part *p = &ds->parts[ref.part]; /* the first piece holds the head */
    const mt_dicom_span *f = &p->frames.fragments[p->frames.first[ref.frame]];
    *out = (mt_tile_span){p->bytes + f->at, (size_t)f->n};
    return MT_OK;
}

mt_status mt_dicom_level_coding(mt_dicom_level *l, mt_dicom_slide *ds, mt_slide_info *info, int level,
                                mt_err *err)
{
    const mt_dicom_facts *f = &ds->parts[l->first_part].facts;
    mt_codec_id codec = MT_CODEC_RAW;
    mt_tile_span head;
    char warning[160];
    MT_TRY(mt_dicom_codec(&codec, f->syntax, err));
    if (codec == MT_CODEC_JPEG && f->bits > 8)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "JPEG frames of %u bits a sample",
                          f->stored ? f->stored : f->bits);
    l->coding = (mt_coding){.codec = codec, .colour = header_colour(f), .samples = (int)f->samples,
                            .bits = (int)f->bits, .stored = (int)f->stored, .predictor = 1,
                            .big_endian = codec == MT_CODEC_RAW && f->big,
                            .planar = codec == MT_CODEC_RAW && f->planar && f->samples > 1};
    MT_TRY(look(&head, l, ds, err));
    if (level < 0) return MT_OK;
    mt_codec_describe(info->levels[level].colour, warning, &l->coding, head.data, head.size);
    if (warning[0] && level == 0) mt_slide_warn(info, "%s", warning);
    return MT_OK;
}
