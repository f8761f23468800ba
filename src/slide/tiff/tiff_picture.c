/* A directory as picture: which codec, what its samples mean, where its tiles lie. */
#include <stdio.h>
#include <string.h>
#include "slide/tiff/tiff_slide.h"

enum { COLOR_MAP = 320, OLD_JPEG = 6 };

/* ---- coding ---- */

static mt_status choose_palette(mt_coding *c, const mt_tiff *t, int dir, mt_err *err)
{
    mt_tiff_value v;
    if (!mt_tiff_find(&v, t, dir, COLOR_MAP) || v.width != 2 || v.count != 768)
        return mt_err_set(err, MT_ERR_FORMAT, "no ColorMap (tag 320) of 3 x 256 values");
    c->colour = MT_COLOUR_PALETTE;
    c->palette = v.p;
    return MT_OK;
}

static mt_status choose_colour(mt_coding *c, const mt_tiff *t, int dir, mt_err *err)
{
    const mt_tiff_dir *d = &t->dirs[dir];
    if (d->compression == 33003 || d->compression == 33005) { /* Aperio: the number says it */
        c->colour = d->compression == 33003 ? MT_COLOUR_YCBCR : MT_COLOUR_RGB;
    } else if (!d->has_photometric) {
        return mt_err_set(err, MT_ERR_FORMAT, "no PhotometricInterpretation (tag 262)");
    } else switch (d->photometric) {
        case 0: c->colour = MT_COLOUR_GREY_INVERTED; break;
        case 1: c->colour = MT_COLOUR_GREY; break;
        case 2: c->colour = MT_COLOUR_RGB; break;
        case 3: MT_TRY(choose_palette(c, t, dir, err)); break;
        case 6: c->colour = MT_COLOUR_YCBCR; break;
        default:
            return mt_err_set(err, MT_ERR_UNSUPPORTED, "photometric interpretation %u%s",
                              d->photometric,
                              d->photometric == 5   ? " (CMYK)"
                              : d->photometric == 8 ? " (CIE Lab)"
                                                    : "");
    }
    return MT_OK;
}

static mt_status choose_samples(mt_coding *c, const mt_tiff_dir *d, mt_err *err)
{
    const bool grey = c->colour == MT_COLOUR_GREY || c->colour == MT_COLOUR_GREY_INVERTED;
    const bool one = grey || c->colour == MT_COLOUR_PALETTE, plain = !mt_codec_speaks(c->codec);
    const bool extra = plain && ((d->samples == 4 && c->colour == MT_COLOUR_RGB) ||
                                 (d->samples == 2 && grey));
    if (extra && d->extra_sample)
        c->alpha = d->extra_sample == 1 ? MT_ALPHA_PREMULTIPLIED : MT_ALPHA_STRAIGHT;
    if (d->samples != (one ? 1u : 3u) && !extra)
        return mt_err_set(err, MT_ERR_UNSUPPORTED,
                          "%u samples a pixel with photometric interpretation %u", d->samples,
                          d->photometric);
    c->samples = (int)d->samples;
    if (c->colour == MT_COLOUR_YCBCR && plain)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "YCbCr samples under compression %u (%s)",
                          d->compression, mt_tiff_compression_name(d->compression));
    return MT_OK;
}

static mt_status choose_layout(mt_tiff_picture *p, const mt_tiff *t, mt_err *err)
{
    const mt_tiff_dir *d = p->dir;
    mt_coding *c = &p->coding;
    const bool whole_stream = mt_codec_speaks(c->codec);
    if ((d->bits != 8 && d->bits != 16) || d->mixed_bits)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "%u bits a sample%s; 8 and 16 are read", d->bits,
                          d->mixed_bits ? " and others" : "");
    if (c->codec == MT_CODEC_JPEG && d->bits != 8)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "JPEG of %u bits a sample; 8 are read", d->bits);
    if (d->sample_format != 1 && d->sample_format != 4)
        return mt_err_set(err, MT_ERR_UNSUPPORTED,
                          "sample format %u; only unsigned integers are read", d->sample_format);
    c->bits = (int)d->bits;
    c->big_endian = t->big_endian;
    p->streams = d->samples > 1 && d->planar == 2 ? (int)MT_MIN(d->samples, 4u) : 1;
    if (d->planar != 1 && (d->planar != 2 || (whole_stream && p->streams > 1)))
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "planar configuration %u under compression %u (%s)",
                          d->planar, d->compression, mt_tiff_compression_name(d->compression));
    if (d->fill_order != 1 && d->fill_order != 2)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "fill order %u", d->fill_order);
    c->lsb_first = d->fill_order == 2 && !whole_stream;
    const bool differences =
        c->codec == MT_CODEC_LZW || c->codec == MT_CODEC_DEFLATE || c->codec == MT_CODEC_ZSTD;
    c->predictor = differences ? (int)MT_MIN(d->predictor, 1u << 16) : 1;
    if (c->predictor != 1 && c->predictor != 2)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "predictor %u%s; 1 and 2 are read", d->predictor,
                          d->predictor == 3 ? " (floating point)" : "");
    return MT_OK;
}

static mt_status choose_coding(mt_tiff_picture *p, const mt_tiff *t, mt_err *err)
{
    const mt_tiff_dir *d = p->dir;
    mt_coding *c = &p->coding;
    p->turn = d->orientation;
    if (p->turn < 1 || p->turn > 8)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "orientation %u", p->turn);
    if (d->compression == OLD_JPEG) {
        p->by_libtiff = true;
        p->streams = 1;
        *c = (mt_coding){.codec = MT_CODEC_JPEG, .samples = 3, .colour = MT_COLOUR_YCBCR};
        return MT_OK;
    }
    if (!mt_codec_of_tiff(&c->codec, d->compression))
        return mt_err_set(err, MT_ERR_UNSUPPORTED,
                          "compression %u (%s) is not one this build reads", d->compression,
                          mt_tiff_compression_name(d->compression));
    MT_TRY(choose_layout(p, t, err));
    if (c->codec == MT_CODEC_JPEG && d->jpeg_tables.p) {
        if (d->jpeg_tables.n > MT_CODEC_MAX_TABLES)
            return mt_err_set(err, MT_ERR_LIMIT, "JPEG tables of %zu bytes", d->jpeg_tables.n);
        c->tables = d->jpeg_tables.p;
        c->n_tables = d->jpeg_tables.n;
    }
    MT_TRY(choose_colour(c, t, p->number, err));
    return choose_samples(c, d, err);
}

/* ---- grid ---- */

/* Programs like to write an uncompressed picture as one strip of all rows: it is read in pieces of
 * about so many pixels. */
enum { CUT_PIXELS = 1 << 18 };

static mt_status choose_grid(mt_tiff_picture *p, mt_err *err)
{
    const mt_tiff_dir *d = p->dir;
    if (d->width < 1 || d->height < 1 || d->width > INT32_MAX || d->height > INT32_MAX)
        return mt_err_set(err, MT_ERR_FORMAT, "%llu x %llu pixels", (unsigned long long)d->width,
                          (unsigned long long)d->height);
    uint64_t tw = d->width, th = MT_MIN(d->rows_per_strip, d->height);
    if (d->tile_w || d->tile_h) {
        tw = d->tile_w;
        th = d->tile_h;
    } else if (th == d->height && p->coding.codec == MT_CODEC_RAW) {
        p->cut = true;
        th = MT_MIN(th, MT_MAX((uint64_t)CUT_PIXELS / tw, 1));
    }
    if (tw < 1 || th < 1)
        return mt_err_set(err, MT_ERR_FORMAT, "tiles of %llu x %llu pixels", (unsigned long long)tw,
                          (unsigned long long)th);
    if (tw > MT_CODEC_MAX_SIDE || th > MT_CODEC_MAX_SIDE || tw * th > MT_CODEC_MAX_PIXELS)
        return mt_err_set(err, MT_ERR_LIMIT, "%s of %llu x %llu pixels",
                          d->tile_w ? "tiles" : "strips", (unsigned long long)tw,
                          (unsigned long long)th);
    p->width = (int64_t)d->width;
    p->height = (int64_t)d->height;
    p->tile_w = (int32_t)tw;
    p->tile_h = (int32_t)th;
    p->tiles_x = (p->width + p->tile_w - 1) / p->tile_w;
    p->tiles_y = (p->height + p->tile_h - 1) / p->tile_h;
    if (p->by_libtiff) return MT_OK; /* old writers leave the offsets to other tags */
    const uint64_t n = (p->cut ? 1 : (uint64_t)p->tiles_x * (uint64_t)p->tiles_y) *
                       (uint64_t)p->streams;
    if (d->offsets.count < n || d->counts.count < n)
        return mt_err_set(
            err, MT_ERR_FORMAT, "%llu %s need as many offsets and sizes, found %llu and %llu",
            (unsigned long long)n, d->tile_w ? "tiles" : "strips",
            (unsigned long long)d->offsets.count, (unsigned long long)d->counts.count);
    return MT_OK;
}

mt_status mt_tiff_picture_make(mt_tiff_picture *out, const mt_tiff *t, int dir, mt_err *err)
{
    *out = (mt_tiff_picture){.dir = &t->dirs[dir], .number = dir};
    mt_status st = choose_coding(out, t, err);
    if (st == MT_OK) st = choose_grid(out, err);
    if (st != MT_OK) mt_err_context(err, "IFD %d", dir);
    return st;
}

/* ---- bytes ---- */

mt_status mt_tiff_picture_stream(mt_tile_span *out, const mt_tiff *t, const mt_tiff_picture *p,
                                 uint64_t i, int stream, mt_err *err)
{
    if (p->own) {
        *out = (mt_tile_span){p->own, p->n_own};
        return MT_OK;
    }
    const uint64_t tiles = p->cut ? 1 : (uint64_t)p->tiles_x * (uint64_t)p->tiles_y;
    const uint64_t k = (p->cut ? 0 : i) + (uint64_t)stream * tiles;
    uint64_t at = mt_tiff_at(t, &p->dir->offsets, k), n = mt_tiff_at(t, &p->dir->counts, k);
    *out = (mt_tile_span){NULL, 0};
    if (!n) return MT_OK;
    if (at > t->size || n > t->size - at)
        return mt_err_set(err, MT_ERR_FORMAT,
                          "%llu bytes at offset %llu pass the end of the file (%zu bytes)",
                          (unsigned long long)n, (unsigned long long)at, t->size);
    if (p->cut) {
        const uint64_t samples = p->streams > 1 ? 1 : (uint64_t)p->coding.samples;
        const uint64_t piece = (uint64_t)p->tile_w * (uint64_t)p->tile_h * samples *
                               (p->coding.bits == 16 ? 2 : 1);
        const uint64_t skip = i * piece;
        if (skip >= n)
            return mt_err_set(err, MT_ERR_FORMAT, "the only strip ends after %llu bytes",
                              (unsigned long long)n);
        at += skip;
        n = MT_MIN(n - skip, piece);
    }
    *out = (mt_tile_span){t->data + at, (size_t)n};
    return MT_OK;
}

mt_status mt_tiff_picture_span(mt_tile_span *out, const mt_tiff *t, const mt_tiff_picture *p,
                               uint64_t i, mt_err *err)
{
    *out = (mt_tile_span){NULL, 0};
    if (p->by_libtiff || p->turn != 1 || p->streams > 1)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "%s: its tiles are no single streams",
                          p->by_libtiff  ? "old-style JPEG"
                          : p->turn != 1 ? "a picture that is stored turned"
                                         : "a picture stored as separate planes");
    return mt_tiff_picture_stream(out, t, p, i, 0, err);
}

/* ---- orientation (TIFF 6.0, tag 274) ---- */

void mt_tiff_picture_shown(mt_tiff_picture *out, const mt_tiff_picture *p)
{
    const mt_tiff_picture stored = *p;
    *out = stored;
    if (stored.turn < 5) return;
    out->width = stored.height;
    out->height = stored.width;
    out->tile_w = stored.tile_h;
    out->tile_h = stored.tile_w;
    out->tiles_x = stored.tiles_y;
    out->tiles_y = stored.tiles_x;
}

void mt_tiff_turn(int64_t *x, int64_t *y, unsigned turn, int64_t w, int64_t h, int64_t sx,
                  int64_t sy)
{
    const bool right = turn == 2 || turn == 3 || turn == 7 || turn == 8;  /* columns from the end */
    const bool bottom = turn == 3 || turn == 4 || turn == 6 || turn == 7; /* rows from the end */
    const int64_t a = right ? w - 1 - sx : sx, b = bottom ? h - 1 - sy : sy;
    *x = turn < 5 ? a : b;
    *y = turn < 5 ? b : a;
}

/* Only 6 and 8 are each other's; every other turn undoes itself. */
unsigned mt_tiff_turn_back(unsigned turn)
{
    return turn == 6 ? 8 : turn == 8 ? 6 : turn;
}
