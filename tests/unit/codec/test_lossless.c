/* Codecs that give back samples as they were: every layout of them against the stated rules, written
 * here a second time. The packers are this file's own or the encoders of the libraries. */
#include "tests/support/support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <charls/charls.h>
#include <libdeflate.h>
#include <zstd.h>
#include "codec/codec.h"

enum { W = 80, H = 48, STRIDE = 3 * W + 5, ROOM = 1 << 18 };

static mt_decoder *new_decoder(void)
{
    mt_decoder *d = NULL;
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_decoder_new(&d, &err), &err);
    return d;
}

static mt_status decode(uint8_t *rgb, mt_decoder *d, const mt_coding *c, const void *data,
                        size_t size, mt_err *err)
{
    mt_pixels out = {rgb, STRIDE, W, H, 1, NULL};
    return mt_decoder_decode(d, c, data, size, &out, err);
}

/* ---- packers ---- */

typedef struct bit_writer { uint8_t *p; size_t n; uint64_t acc; int bits; bool lsb; } bit_writer;

static void put_code(bit_writer *w, unsigned code, int width)
{
    if (w->lsb) w->acc |= (uint64_t)code << w->bits;
    else w->acc = w->acc << width | code;
    w->bits += width;
    while (w->bits >= 8) {
        w->bits -= 8;
        if (w->lsb) {
            w->p[w->n++] = (uint8_t)w->acc;
            w->acc >>= 8;
        } else {
            w->p[w->n++] = (uint8_t)(w->acc >> w->bits);
        }
    }
}

/* TIFF 6.0 section 13, by the book: the table full at 4094 codes, then cleared. */
static size_t lzw_pack(uint8_t *out, const uint8_t *in, size_t n, bool lsb)
{
    static uint16_t child[4096][256];
    bit_writer w = {out, 0, 0, 0, lsb};
    int width = 9, next = 258, early = lsb ? 0 : 1;
    memset(child, 0, sizeof child);
    put_code(&w, 256, 9);
    unsigned cur = in[0];
    for (size_t i = 1; i <= n; i++) {
        if (i < n && child[cur][in[i]]) {
            cur = child[cur][in[i]];
            continue;
        }
        put_code(&w, cur, width);
        if (i == n) break;
        child[cur][in[i]] = (uint16_t)next++;
        if (next == 4094) {
            put_code(&w, 256, width);
            memset(child, 0, sizeof child);
            width = 9;
            next = 258;
        } else if (next > (1 << width) - early) {
            width++;
        }
        cur = in[i];
    }
    put_code(&w, 257, width);
    put_code(&w, 0, lsb ? 8 : 7);
    return w.n;
}

/* Runs of three and more as runs, the rest as it is; now and then the byte that means nothing. */
static size_t packbits_pack(uint8_t *out, const uint8_t *in, size_t n)
{
    size_t o = 0, i = 0;
    while (i < n) {
        if (o % 7 == 0) out[o++] = 0x80;
        size_t run = 1;
        while (run < 128 && i + run < n && in[i + run] == in[i]) run++;
        if (run > 2) {
            out[o++] = (uint8_t)(257 - run);
            out[o++] = in[i];
        } else {
            while (run < 128 && i + run < n &&
                   !(i + run + 2 < n && in[i + run] == in[i + run + 1] &&
                     in[i + run] == in[i + run + 2]))
                run++;
            out[o++] = (uint8_t)(run - 1);
            memcpy(out + o, in + i, run);
            o += run;
        }
        i += run;
    }
    return o;
}

static size_t pack(uint8_t *out, mt_codec_id codec, bool old_lzw, const uint8_t *in, size_t n)
{
    size_t k = 0;
    switch (codec) {
    case MT_CODEC_LZW: return lzw_pack(out, in, n, old_lzw);
    case MT_CODEC_PACKBITS: return packbits_pack(out, in, n);
    case MT_CODEC_ZSTD:
        k = ZSTD_compress(out, ROOM, in, n, 3);
        assert_false(ZSTD_isError(k));
        return k;
    case MT_CODEC_DEFLATE: {
        struct libdeflate_compressor *z = libdeflate_alloc_compressor(6);
        k = libdeflate_zlib_compress(z, in, n, out, ROOM);
        libdeflate_free_compressor(z);
        return k;
    }
    default: memcpy(out, in, n); return n;
    }
}

static void turn_over(uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned v = 0;
        for (int b = 0; b < 8; b++) v |= (p[i] >> b & 1u) << (7 - b);
        p[i] = (uint8_t)v;
    }
}

/* ---- pictures ---- */

/* Soft, with some noise and some flat stretches; all 16 bits are used. */
static unsigned value(int c, int x, int y)
{
    uint32_t n = ((uint32_t)x * 2654435761u ^ (uint32_t)(y + 7 * c) * 2246822519u) * 3266489917u;
    if (x / 16 % 3 == 1) n = 0;
    return (unsigned)(x * 700 + y * 300 + c * 9000 + (int)(n >> 22)) & 0xffff;
}

static unsigned sample(const mt_coding *c, int i, int x, int y)
{
    const int bits = c->bits ? c->bits : 8, stored = c->stored ? c->stored : bits;
    return value(i, x, y) >> (16 - stored);
}

/* Samples in the layout of the coding, differences taken. What is above the stored bits is dirt. */
static size_t lay_out(uint8_t *to, const mt_coding *c)
{
    const int bits = c->bits ? c->bits : 8, stored = c->stored ? c->stored : bits, k = c->samples;
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            for (int i = 0; i < k; i++) {
                unsigned v = sample(c, i, x, y);
                if (c->predictor == 2 && x) v -= sample(c, i, x - 1, y);
                else if (c->predictor != 2 && stored < bits) v |= (0x5555u << stored) & ((1u << bits) - 1);
                size_t at = c->planar ? (size_t)((i * H + y) * W + x) : (size_t)((y * W + x) * k + i);
                if (bits == 8) {
                    to[at] = (uint8_t)v;
                } else {
                    to[2 * at + c->big_endian] = (uint8_t)v;
                    to[2 * at + !c->big_endian] = (uint8_t)(v >> 8);
                }
            }
    return (size_t)(W * H * k * bits / 8);
}

static int narrow(const mt_coding *c, int i, int x, int y)
{
    const int bits = c->bits ? c->bits : 8, stored = c->stored ? c->stored : bits;
    return (int)lround(sample(c, i, x, y) * 255.0 / ((1 << stored) - 1));
}

static int clamp(double v) { return v < 0 ? 0 : v > 255 ? 255 : (int)(v + 0.5); }

static void expect(int rgb[3], const mt_coding *c, int x, int y)
{
    int v[4] = {0};
    for (int i = 0; i < c->samples; i++) v[i] = narrow(c, i, x, y);
    const bool grey = c->samples < 3;
    const int a = c->alpha == MT_ALPHA_IGNORED || c->samples % 2 ? 255 : v[grey ? 1 : 3];
    for (int i = 0; i < 3; i++) {
        double s = v[grey ? 0 : i];
        if (c->colour == MT_COLOUR_GREY_INVERTED) s = 255 - s;
        if (c->colour == MT_COLOUR_PALETTE) {
            const uint8_t *p = c->palette + 2 * (256 * i + v[0]);
            s = lround((c->big_endian ? p[0] << 8 | p[1] : p[1] << 8 | p[0]) * 255.0 / 65535);
        }
        if (c->alpha == MT_ALPHA_STRAIGHT) s = floor(s * a / 255 + 0.5);
        rgb[i] = clamp(s + 255 - a);
    }
    if (c->colour == MT_COLOUR_YCBCR) {
        rgb[0] = clamp(v[0] + 1.402 * (v[2] - 128));
        rgb[1] = clamp(v[0] - 0.344136286 * (v[1] - 128) - 0.714136286 * (v[2] - 128));
        rgb[2] = clamp(v[0] + 1.772 * (v[1] - 128));
    }
}

static void compare(const uint8_t *got, const mt_coding *c, const char *what)
{
    const int slack = c->colour == MT_COLOUR_YCBCR; /* fixed point against floating point */
    for (int y = 0; y < H; y++) {
        for (int x = 0; x < W; x++) {
            int want[3];
            expect(want, c, x, y);
            for (int i = 0; i < 3; i++)
                if (abs(got[y * STRIDE + 3 * x + i] - want[i]) > slack)
                    fail_msg("%s: %s, %d samples, %d/%d bits, planar %d, big %d, predictor %d, turned "
                             "%d: pixel %d,%d.%d is %d, not %d", what, mt_codec_name(c->codec),
                             c->samples, c->stored, c->bits, c->planar, c->big_endian, c->predictor,
                             c->lsb_first, x, y, i, got[y * STRIDE + 3 * x + i], want[i]);
        }
        for (int i = 3 * W; i < STRIDE; i++) assert_int_equal(got[y * STRIDE + i], 77);
    }
}

static uint8_t samples[4 * 2 * W * H], packed[ROOM], got[STRIDE * H], palette[2 * 768];

static void one(mt_decoder *d, const mt_coding *c, bool old_lzw)
{
    mt_err err = MT_ERR_INIT;
    const size_t n = lay_out(samples, c), k = pack(packed, c->codec, old_lzw, samples, n);
    if (c->lsb_first) turn_over(packed, k);
    memset(got, 77, sizeof got);
    tt_ok(decode(got, d, c, packed, k, &err), &err);
    compare(got, c, "whole");
    for (size_t cut = 0; cut + 4 < k; cut += k / 5 + 1) {
        mt_err_clear(&err);
        assert_int_equal(decode(got, d, c, packed, cut, &err), MT_ERR_FORMAT);
    }
    mt_err_clear(&err);
    mt_pixels half = {got, STRIDE, W, H, 2, NULL};
    assert_int_equal(mt_decoder_decode(d, c, packed, k, &half, &err), MT_ERR_ARG);
}

static const mt_codec_id lossless[] = {MT_CODEC_RAW, MT_CODEC_LZW, MT_CODEC_DEFLATE,
                                       MT_CODEC_PACKBITS, MT_CODEC_ZSTD};
static const struct { mt_colour colour; int samples; mt_alpha alpha; } kinds[] = {
    {MT_COLOUR_GREY, 1, 0},         {MT_COLOUR_GREY_INVERTED, 1, 0},
    {MT_COLOUR_RGB, 3, 0},          {MT_COLOUR_YCBCR, 3, 0},
    {MT_COLOUR_PALETTE, 1, 0},      {MT_COLOUR_RGB, 4, MT_ALPHA_IGNORED},
    {MT_COLOUR_RGB, 4, MT_ALPHA_STRAIGHT}, {MT_COLOUR_RGB, 4, MT_ALPHA_PREMULTIPLIED},
    {MT_COLOUR_GREY, 2, MT_ALPHA_STRAIGHT}, {MT_COLOUR_GREY_INVERTED, 2, MT_ALPHA_STRAIGHT},
};

static void layouts(void **state)
{
    static const struct { int bits, stored; } depths[] = {{8, 0}, {0, 8}, {8, 5}, {16, 0}, {16, 16},
                                                          {16, 12}, {16, 8}, {16, 9}};
    mt_decoder *d = new_decoder();
    for (size_t i = 0; i < sizeof palette; i++) palette[i] = (uint8_t)(i * 37 + i / 256);
    for (size_t codec = 0; codec < MT_COUNT(lossless); codec++)
        for (size_t kind = 0; kind < MT_COUNT(kinds); kind++)
            for (size_t depth = 0; depth < MT_COUNT(depths); depth++)
                for (int v = 0; v < 16; v++) {
                    mt_coding c = {.codec = lossless[codec], .colour = kinds[kind].colour,
                                   .samples = kinds[kind].samples, .alpha = kinds[kind].alpha,
                                   .bits = depths[depth].bits, .stored = depths[depth].stored,
                                   .big_endian = v & 1, .planar = v & 2, .lsb_first = v & 4,
                                   .predictor = v & 8 ? 2 : (int)(depth & 1), .palette = palette};
                    const bool wide = c.bits == 16;
                    if ((c.codec == MT_CODEC_RAW && c.predictor == 2) ||
                        (c.colour == MT_COLOUR_PALETTE && (wide || c.stored)) ||
                        (c.big_endian && !wide && c.colour != MT_COLOUR_PALETTE))
                        continue;
                    one(d, &c, false);
                    if (c.codec == MT_CODEC_LZW && !c.lsb_first) one(d, &c, true);
                }
    mt_decoder_free(&d);
}

/* Every 16-bit value there is, by the rule and by the bounds. */
static void every_value(void **state)
{
    static uint8_t wide[2 * 65536], rgb[3 * 65536];
    mt_decoder *d = new_decoder();
    for (int stored = 9; stored <= 16; stored++) {
        for (int v = 0; v < 65536; v++) {
            wide[2 * v] = (uint8_t)v;
            wide[2 * v + 1] = (uint8_t)(v >> 8);
        }
        const mt_coding c = {.codec = MT_CODEC_RAW, .colour = MT_COLOUR_GREY, .samples = 1,
                             .bits = 16, .stored = stored};
        const mt_pixels out = {rgb, 3 * 256, 256, 256, 1, NULL};
        mt_err err = MT_ERR_INIT;
        tt_ok(mt_decoder_decode(d, &c, wide, sizeof wide, &out, &err), &err);
        const int max = (1 << stored) - 1;
        for (int v = 0; v < 65536; v++)
            assert_int_equal(rgb[3 * v], lround((v & max) * 255.0 / max));
    }
    mt_decoder_free(&d);
}

/* Separate streams for the samples. */
static void planes(void **state)
{
    mt_decoder *d = new_decoder();
    for (size_t codec = 0; codec < MT_COUNT(lossless); codec++)
        for (int v = 0; v < 16; v++) {
            mt_coding c = {.codec = lossless[codec], .colour = MT_COLOUR_RGB,
                           .samples = v & 1 ? 4 : 3, .alpha = v & 1 ? MT_ALPHA_STRAIGHT : 0,
                           .bits = v & 2 ? 16 : 8, .lsb_first = v & 4,
                           .predictor = v & 8 && codec ? 2 : 1, .planar = true};
            const size_t n = lay_out(samples, &c) / (size_t)c.samples;
            mt_codec_span spans[4];
            size_t at = 0;
            for (int i = 0; i < c.samples; i++) {
                size_t k = pack(packed + at, c.codec, false, samples + (size_t)i * n, n);
                if (c.lsb_first) turn_over(packed + at, k);
                spans[i] = (mt_codec_span){packed + at, k};
                at += k;
            }
            c.planar = false; /* lies in one stream: not so */
            const mt_pixels out = {got, STRIDE, W, H, 1, NULL};
            mt_err err = MT_ERR_INIT;
            memset(got, 77, sizeof got);
            tt_ok(mt_decoder_decode_planes(d, &c, spans, c.samples, &out, &err), &err);
            compare(got, &c, "planes");
            spans[1].size /= 2;
            assert_int_equal(mt_decoder_decode_planes(d, &c, spans, c.samples, &out, &err),
                             MT_ERR_FORMAT);
            assert_non_null(strstr(err.text, "sample 1"));
        }
    mt_decoder_free(&d);
}

/* Long runs make the code that names itself, and the widest codes. */
static void lzw_extremes(void **state)
{
    enum { SIDE = 600 };
    static uint8_t grey[SIDE * SIDE], lzw[1 << 20], rgb[3 * SIDE * SIDE];
    mt_decoder *d = new_decoder();
    const mt_coding c = {.codec = MT_CODEC_LZW, .colour = MT_COLOUR_GREY, .samples = 1};
    for (int kind = 0; kind < 3; kind++) {
        uint32_t r = 3;
        for (size_t i = 0; i < sizeof grey; i++) {
            r = r * 1664525u + 1013904223u;
            grey[i] = kind == 0 ? 200 : kind == 1 ? (uint8_t)(r >> 24) : (uint8_t)(r >> 31);
        }
        size_t k = lzw_pack(lzw, grey, sizeof grey, false);
        mt_err err = MT_ERR_INIT;
        mt_pixels out = {rgb, 3 * SIDE, SIDE, SIDE, 1, NULL};
        tt_ok(mt_decoder_decode(d, &c, lzw, k, &out, &err), &err);
        for (size_t i = 0; i < sizeof grey; i++)
            if (rgb[3 * i] != grey[i]) fail_msg("kind %d: byte %zu", kind, i);
    }
    mt_decoder_free(&d);
}

static void refusals(void **state)
{
    mt_decoder *d = new_decoder();
    const struct { mt_coding c; const char *word; } bad[] = {
        {{.codec = MT_CODEC_LZW, .colour = MT_COLOUR_GREY, .samples = 1, .predictor = 3},
         "predictor 3 (floating point)"},
        {{.codec = MT_CODEC_RAW, .colour = MT_COLOUR_GREY, .samples = 1, .bits = 32}, "32 of 32 bits"},
        {{.codec = MT_CODEC_RAW, .colour = MT_COLOUR_GREY, .samples = 1, .bits = 8, .stored = 12},
         "12 of 8 bits"},
        {{.codec = MT_CODEC_RAW, .colour = MT_COLOUR_GREY, .samples = 3}, "3 samples a pixel"},
        {{.codec = MT_CODEC_RAW, .colour = MT_COLOUR_RGB, .samples = 2}, "2 samples a pixel"},
        {{.codec = MT_CODEC_JPEG, .colour = MT_COLOUR_RGB, .samples = 4}, "4 samples a pixel"},
        {{.codec = MT_CODEC_RAW, .colour = MT_COLOUR_PALETTE, .samples = 1}, "palette"},
        {{.codec = MT_CODEC_RAW, .colour = MT_COLOUR_PALETTE, .samples = 1, .bits = 16,
          .palette = palette}, "palette for 16-bit"},
    };
    for (size_t i = 0; i < MT_COUNT(bad); i++) {
        mt_err err = MT_ERR_INIT;
        assert_int_equal(decode(got, d, &bad[i].c, samples, sizeof samples, &err),
                         MT_ERR_UNSUPPORTED);
        if (!strstr(err.text, bad[i].word)) fail_msg("\"%s\" lacks \"%s\"", err.text, bad[i].word);
    }
    mt_decoder_free(&d);
}

/* ---- DICOM RLE ---- */

static void put32(uint8_t *p, size_t v)
{
    for (int i = 0; i < 4; i++) p[i] = (uint8_t)(v >> 8 * i);
}

/* PS3.5 G.2 to G.5: byte planes, the high byte first, every segment of even length. */
static size_t rle_pack(uint8_t *out, const mt_coding *c)
{
    static uint8_t plane[W * H];
    const int width = c->bits == 16 ? 2 : 1;
    memset(out, 0, 64);
    put32(out, (size_t)(width * c->samples));
    size_t at = 64;
    for (int s = 0; s < c->samples * width; s++) {
        for (int i = 0; i < W * H; i++) {
            unsigned v = sample(c, s / width, i % W, i / W);
            plane[i] = (uint8_t)(width == 2 && s % 2 == 0 ? v >> 8 : v);
        }
        put32(out + 4 + 4 * s, at);
        at += packbits_pack(out + at, plane, sizeof plane);
        if (at % 2) out[at++] = 0;
    }
    return at;
}

static void rle(void **state)
{
    mt_decoder *d = new_decoder();
    for (int v = 0; v < 12; v++) {
        const mt_coding c = {.codec = MT_CODEC_RLE, .samples = v % 3 ? 3 : 1,
                             .colour = v % 3 == 2 ? MT_COLOUR_YCBCR : v % 3 ? MT_COLOUR_RGB
                                                                       : MT_COLOUR_GREY,
                             .bits = v / 3 % 2 ? 16 : 8, .stored = v / 6 && v / 3 % 2 ? 12 : 0};
        const size_t n = rle_pack(packed, &c);
        mt_err err = MT_ERR_INIT;
        memset(got, 77, sizeof got);
        tt_ok(decode(got, d, &c, packed, n, &err), &err);
        compare(got, &c, "RLE");
        for (size_t cut = 0; cut + 4 < n; cut += n / 7 + 1) {
            mt_err_clear(&err);
            assert_int_equal(decode(got, d, &c, packed, cut, &err), MT_ERR_FORMAT);
        }
        for (int at = 0; at < 8; at++) { /* segments past the end, more or fewer of them */
            if (at == 4) continue; /* still within: read from there */
            const uint8_t was = packed[at];
            packed[at] = (uint8_t)(at < 4 ? was + 1 : ~was);
            mt_err_clear(&err);
            assert_int_equal(decode(got, d, &c, packed, n, &err), MT_ERR_FORMAT);
            packed[at] = was;
        }
    }
    mt_decoder_free(&d);
}

/* ---- JPEG-LS ---- */

static size_t jpegls_pack(uint8_t *out, const mt_coding *c, charls_interleave_mode order, int near)
{
    mt_coding lay = *c;
    lay.planar = order == CHARLS_INTERLEAVE_MODE_NONE;
    lay.big_endian = false;
    size_t n = lay_out(samples, &lay), k = 0;
    const int bits = c->stored ? c->stored : c->bits; /* dirt above them is no part of the picture */
    for (size_t i = 0; i < n; i += c->bits == 16 ? 2 : 1)
        if (c->bits == 16) samples[i + 1] &= (uint8_t)((1 << (bits - 8)) - 1);
        else samples[i] &= (uint8_t)((1 << bits) - 1);
    const charls_frame_info f = {W, H, bits, c->samples};
    charls_jpegls_encoder *e = charls_jpegls_encoder_create();
    assert_int_equal(charls_jpegls_encoder_set_frame_info(e, &f), 0);
    assert_int_equal(charls_jpegls_encoder_set_interleave_mode(e, order), 0);
    assert_int_equal(charls_jpegls_encoder_set_near_lossless(e, near), 0);
    assert_int_equal(charls_jpegls_encoder_set_destination_buffer(e, out, ROOM), 0);
    assert_int_equal(charls_jpegls_encoder_encode_from_buffer(e, samples, n, 0), 0);
    assert_int_equal(charls_jpegls_encoder_get_bytes_written(e, &k), 0);
    charls_jpegls_encoder_destroy(e);
    return k;
}

/* What CharLS makes of a stream, as raw samples for our own raw row. */
static void jpegls_judge(uint8_t *rgb, mt_decoder *d, const mt_coding *c, charls_interleave_mode order,
                         const uint8_t *data, size_t n)
{
    charls_jpegls_decoder *j = charls_jpegls_decoder_create();
    mt_coding raw = *c;
    mt_err err = MT_ERR_INIT;
    size_t bytes = 0;
    assert_int_equal(charls_jpegls_decoder_set_source_buffer(j, data, n), 0);
    assert_int_equal(charls_jpegls_decoder_read_header(j), 0);
    assert_int_equal(charls_jpegls_decoder_get_destination_size(j, 0, &bytes), 0);
    assert_true(bytes <= sizeof samples);
    assert_int_equal(charls_jpegls_decoder_decode_to_buffer(j, samples, bytes, 0), 0);
    charls_jpegls_decoder_destroy(j);
    raw.codec = MT_CODEC_RAW;
    raw.planar = order == CHARLS_INTERLEAVE_MODE_NONE;
    tt_ok(decode(rgb, d, &raw, samples, bytes, &err), &err);
}

static void jpegls(void **state)
{
    static const int depths[] = {2, 3, 5, 7, 8, 9, 12, 16};
    static uint8_t want[STRIDE * H];
    mt_decoder *d = new_decoder();
    for (size_t depth = 0; depth < MT_COUNT(depths); depth++)
        for (int v = 0; v < 4 * 3; v++) {
            const int comps = v < 3 ? 1 : 3, near = v % 3 * (depths[depth] < 4 ? 0 : 1 + v % 2);
            const mt_coding c = {.codec = MT_CODEC_JPEGLS, .samples = comps,
                                 .colour = comps == 1 ? MT_COLOUR_GREY : MT_COLOUR_RGB,
                                 .bits = depths[depth] > 8 ? 16 : 8, .stored = depths[depth]};
            const charls_interleave_mode order = v < 3 ? 0 : (charls_interleave_mode)(v / 3 - 1);
            const size_t n = jpegls_pack(packed, &c, order, near);
            mt_coding silent = c; /* the container need not know the bits */
            silent.bits = silent.stored = 0;
            mt_err err = MT_ERR_INIT;
            memset(got, 77, sizeof got);
            memset(want, 77, sizeof want);
            tt_ok(decode(got, d, &silent, packed, n, &err), &err);
            jpegls_judge(want, d, &c, order, packed, n);
            if (memcmp(got, want, sizeof got))
                fail_msg("%d bits, %d components, order %d, near %d", depths[depth], comps, order, near);
            if (!near) compare(got, &c, "JPEG-LS");
            for (size_t cut = 0; cut + 4 < n; cut += n / 7 + 1) {
                mt_err_clear(&err);
                assert_int_equal(decode(got, d, &silent, packed, cut, &err), MT_ERR_FORMAT);
            }
            silent.samples = 4 - comps;
            silent.colour = comps == 1 ? MT_COLOUR_RGB : MT_COLOUR_GREY;
            mt_err_clear(&err);
            assert_int_equal(decode(got, d, &silent, packed, n, &err), MT_ERR_FORMAT);
        }
    mt_decoder_free(&d);
}

/* Damage of every kind ends, and soon. */
static void jpegls_damaged(void **state)
{
    mt_decoder *d = new_decoder();
    const mt_coding c = {.codec = MT_CODEC_JPEGLS, .samples = 3, .colour = MT_COLOUR_RGB, .bits = 8};
    const size_t n = jpegls_pack(packed, &c, CHARLS_INTERLEAVE_MODE_LINE, 0);
    uint32_t r = 5;
    for (int i = 0; i < 3000; i++) {
        r = r * 1664525u + 1013904223u;
        const size_t at = (r >> 8) % n;
        const uint8_t was = packed[at];
        mt_err err = MT_ERR_INIT;
        packed[at] ^= (uint8_t)(1u << (r & 7));
        const mt_status st = decode(got, d, &c, packed, n, &err);
        assert_int_equal(st, err.code);
        packed[at] = was;
    }
    mt_decoder_free(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layouts),  cmocka_unit_test(every_value), cmocka_unit_test(planes),
        cmocka_unit_test(lzw_extremes), cmocka_unit_test(refusals), cmocka_unit_test(rle),
        cmocka_unit_test(jpegls),   cmocka_unit_test(jpegls_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
