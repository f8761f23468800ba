/* Streams that speak for themselves: what they say of their colours, in words and in pixels; heads
 * that stand apart from their bodies; depths other than 8. */
#include "tests/support/support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <jpeglib.h>
#include "codec/codec.h"
#include "tests/unit/codec/jp2k_made.h"

enum { W = 96, H = 64, STRIDE = 3 * W };

static unsigned wide(int c, int x, int y)
{
    uint32_t n = ((uint32_t)x * 2654435761u ^ (uint32_t)(y + 31 * c) * 2246822519u) * 3266489917u;
    return (unsigned)(x * 400 + y * 230 + c * 9000 + (int)(n >> 22)) & 0xffff;
}

static mt_decoder *new_decoder(void)
{
    mt_decoder *d = NULL;
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_decoder_new(&d, &err), &err);
    return d;
}

static mt_status decode(uint8_t *rgb, mt_decoder *d, const mt_coding *c, const void *data,
                        size_t size, int32_t h, mt_err *err)
{
    const mt_pixels out = {rgb, STRIDE, W, h, 1, NULL};
    return mt_decoder_decode(d, c, data, size, &out, err);
}

/* ---- JPEG ---- */

typedef struct kind {
    int h, v;
    bool rgb, jfif, adobe, named; /* named: components called R, G, B */
    mt_colour told;
    const char *words;
    bool warns, converts;         /* converts: the reference takes it for YCbCr */
} kind;

static const kind kinds[] = {
    {2, 2, false, true, false, false, MT_COLOUR_YCBCR, "YCbCr 4:2:0 by JFIF marker", false, true},
    {2, 2, false, true, false, false, MT_COLOUR_RGB, "YCbCr 4:2:0 by JFIF marker", true, true},
    {2, 1, false, false, true, false, MT_COLOUR_YCBCR, "YCbCr 4:2:2 by Adobe marker", false, true},
    {1, 1, true, false, true, false, MT_COLOUR_RGB, "RGB by Adobe marker", false, false},
    {1, 1, true, false, true, false, MT_COLOUR_YCBCR, "RGB by Adobe marker", true, false},
    {1, 1, true, false, false, true, MT_COLOUR_RGB, "RGB by component names", false, false},
    {1, 1, true, false, false, true, MT_COLOUR_YCBCR, "RGB by component names", true, false},
    {1, 1, true, false, false, false, MT_COLOUR_RGB, "RGB by header", false, false},
    {1, 1, false, false, false, false, MT_COLOUR_YCBCR, "YCbCr 4:4:4 by header", false, true},
    {1, 2, false, false, false, false, MT_COLOUR_YCBCR, "YCbCr 4:4:0 by header", false, true},
};

static size_t jpeg_make(uint8_t **out, const kind *k, int restart_rows)
{
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr e;
    unsigned long n = 0;
    unsigned char *p = NULL;
    c.err = jpeg_std_error(&e);
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, &p, &n);
    c.image_width = W;
    c.image_height = H;
    c.input_components = 3;
    c.in_color_space = JCS_RGB;
    jpeg_set_defaults(&c);
    jpeg_set_quality(&c, 90, TRUE);
    jpeg_set_colorspace(&c, k->rgb ? JCS_RGB : JCS_YCbCr);
    c.comp_info[0].h_samp_factor = k->h;
    c.comp_info[0].v_samp_factor = k->v;
    c.write_JFIF_header = k->jfif;
    c.write_Adobe_marker = k->adobe;
    c.restart_in_rows = restart_rows;
    if (k->rgb && !k->named)
        for (int i = 0; i < 3; i++) c.comp_info[i].component_id = i;
    jpeg_start_compress(&c, TRUE);
    for (int y = 0; y < H; y++) {
        uint8_t row[STRIDE];
        for (int i = 0; i < STRIDE; i++) row[i] = (uint8_t)(wide(i % 3, i / 3, y) >> 8);
        JSAMPROW at = row;
        jpeg_write_scanlines(&c, &at, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    *out = p;
    return n;
}

static void jpeg_judge(uint8_t *rgb, const uint8_t *data, size_t n, bool converts)
{
    struct jpeg_decompress_struct d;
    struct jpeg_error_mgr e;
    d.err = jpeg_std_error(&e);
    jpeg_create_decompress(&d);
    jpeg_mem_src(&d, data, n);
    jpeg_read_header(&d, TRUE);
    d.jpeg_color_space = converts ? JCS_YCbCr : JCS_RGB;
    d.out_color_space = JCS_RGB;
    jpeg_start_decompress(&d);
    while (d.output_scanline < d.output_height) {
        JSAMPROW row = rgb + d.output_scanline * STRIDE;
        jpeg_read_scanlines(&d, &row, 1);
    }
    jpeg_finish_decompress(&d);
    jpeg_destroy_decompress(&d);
}

static void words_and_pixels(void **state)
{
    mt_decoder *d = new_decoder();
    for (size_t i = 0; i < MT_COUNT(kinds); i++) {
        const kind *k = &kinds[i];
        uint8_t *data = NULL, got[STRIDE * H], want[STRIDE * H];
        char words[48], warning[160];
        const size_t n = jpeg_make(&data, k, 0);
        const mt_coding c = {.codec = MT_CODEC_JPEG, .colour = k->told, .samples = 3};
        mt_err err = MT_ERR_INIT;
        jpeg_judge(want, data, n, k->converts);
        tt_ok(decode(got, d, &c, data, n, H, &err), &err);
        if (memcmp(got, want, sizeof got)) fail_msg("kind %zu: other pixels", i);
        mt_codec_describe(words, warning, &c, data, n);
        assert_string_equal(words, k->words);
        assert_int_equal(warning[0] != 0, k->warns);
        if (k->warns) assert_non_null(strstr(warning, "the stream is believed"));
        for (size_t cut = 0; cut < n; cut += 1 + cut / 8) /* cut anywhere it still speaks */
            mt_codec_describe(words, warning, &c, data, cut);
        free(data);
    }
    mt_decoder_free(&d);
}

/* Head once, with the height of one row of blocks; bodies from restart marker to restart marker. */
static void head_apart(void **state)
{
    mt_decoder *d = new_decoder();
    const kind k = {.h = 2, .v = 1, .jfif = true};
    uint8_t *data = NULL, got[STRIDE * H], want[STRIDE * H], head[1024];
    const size_t n = jpeg_make(&data, &k, 1);
    jpeg_judge(want, data, n, true);
    size_t at = 2;
    while (data[at + 1] != 0xda) at += 2u + ((size_t)data[at + 2] << 8 | data[at + 3]);
    at += 2u + ((size_t)data[at + 2] << 8 | data[at + 3]);
    assert_true(at < sizeof head);
    memcpy(head, data, at);
    uint8_t *sof = memmem(head, at, "\xff\xc0\0\x11\x08", 5);
    assert_non_null(sof);
    sof[5] = 0;
    sof[6] = 8;
    const mt_coding c = {.codec = MT_CODEC_JPEG, .colour = MT_COLOUR_RGB, .samples = 3, .tables = head,
                         .n_tables = at, .tables_are_header = true};
    const mt_coding whole = {.codec = MT_CODEC_JPEG, .colour = MT_COLOUR_YCBCR, .samples = 3};
    mt_err err = MT_ERR_INIT;
    char words[48], warning[160];
    for (int row = 0; row < H / 8; row++) {
        size_t end = at;
        while (data[end] != 0xff || !data[end + 1]) end++;
        tt_ok(decode(got + row * 8 * STRIDE, d, &c, data + at, end - at, 8, &err), &err);
        mt_err bad = MT_ERR_INIT;
        uint8_t scratch[8 * STRIDE];
        assert_int_equal(decode(scratch, d, &c, data + at, (end - at) / 2, 8, &bad), MT_ERR_FORMAT);
        mt_err_clear(&bad); /* no bytes, and a decoder that then reads a plain one */
        assert_int_equal(decode(scratch, d, &c, data + at, 0, 8, &bad), MT_ERR_FORMAT);
        tt_ok(decode(want, d, &whole, data, n, H, &err), &err);
        at = end + 2;
    }
    assert_memory_equal(got, want, sizeof got);
    mt_codec_describe(words, warning, &c, NULL, 0);
    assert_string_equal(words, "YCbCr 4:2:2 by JFIF marker");
    assert_true(warning[0]);
    free(data);
    mt_decoder_free(&d);
}

static void refused_depths(void **state)
{
    mt_decoder *d = new_decoder();
    uint8_t *data = NULL, got[STRIDE * H];
    const size_t n = jpeg_make(&data, &kinds[0], 0);
    const mt_coding c = {.codec = MT_CODEC_JPEG, .colour = MT_COLOUR_YCBCR, .samples = 3};
    uint8_t *sof = memmem(data, n, "\xff\xc0\0\x11\x08", 5);
    assert_non_null(sof);
    sof[4] = 12;
    mt_err err = MT_ERR_INIT;
    assert_int_equal(decode(got, d, &c, data, n, H, &err), MT_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "12 bits a sample; 8 are read"));
    sof[4] = 8;
    sof[1] = 0xc3; /* lossless */
    mt_err_clear(&err);
    assert_int_equal(decode(got, d, &c, data, n, H, &err), MT_ERR_UNSUPPORTED);
    free(data);
    mt_decoder_free(&d);
}

/* ---- JPEG 2000 ---- */

static int depth = 8;
static int plane(int c, int x, int y) { return (int)(wide(c, x, y) >> (16 - depth)); }

static int clamp(double v) { return v < 0 ? 0 : v > 255 ? 255 : (int)(v + 0.5); }

static void jp2k(void **state)
{
    static uint8_t packed[1 << 18], got[STRIDE * H];
    static const int depths[] = {1, 4, 8, 10, 12, 16};
    mt_decoder *d = new_decoder();
    for (size_t i = 0; i < MT_COUNT(depths); i++)
        for (int v = 0; v < 6; v++) {
            const bool grey = v < 2, ycc = !grey && v & 1, mct = v > 3;
            depth = depths[i];
            const size_t n = jp2k_make_mct(packed, sizeof packed, W, H, grey ? 1 : 3, 1, 1, depth,
                                           plane, mct);
            const mt_coding c = {.codec = MT_CODEC_JP2K, .samples = grey ? 1 : 3, .bits = 16,
                                 .colour = grey ? (v ? MT_COLOUR_GREY_INVERTED : MT_COLOUR_GREY)
                                           : ycc ? MT_COLOUR_YCBCR : MT_COLOUR_RGB};
            mt_err err = MT_ERR_INIT;
            char words[48], warning[160], want_words[96], bits[40] = "";
            tt_ok(decode(got, d, &c, packed, n, H, &err), &err);
            for (int y = 0; y < H; y++)
                for (int x = 0; x < W; x++) {
                    double s[3];
                    for (int k = 0; k < 3; k++)
                        s[k] = lround(plane(grey ? 0 : k, x, y) * 255.0 / ((1 << depth) - 1));
                    double want[3] = {s[0], s[1], s[2]};
                    if (ycc && !mct) {
                        want[0] = s[0] + 1.402 * (s[2] - 128);
                        want[1] = s[0] - 0.344136 * (s[1] - 128) - 0.714136 * (s[2] - 128);
                        want[2] = s[0] + 1.772 * (s[1] - 128);
                    }
                    for (int k = 0; k < 3; k++) {
                        const double w = c.colour == MT_COLOUR_GREY_INVERTED ? 255 - want[k] : want[k];
                        if (abs(got[y * STRIDE + 3 * x + k] - clamp(w)) > (ycc && !mct))
                            fail_msg("%d bits, variant %d: pixel %d,%d.%d is %d, not %d", depth, v, x,
                                     y, k, got[y * STRIDE + 3 * x + k], clamp(w));
                    }
                }
            mt_codec_describe(words, warning, &c, packed, n);
            if (depth == 16) snprintf(bits, sizeof bits, " 16 bit / 257");
            else if (depth != 8)
                snprintf(bits, sizeof bits, " %d bit * 255 / %d", depth, (1 << depth) - 1);
            snprintf(want_words, sizeof want_words, "%s%s%s",
                     grey ? (v ? "grey, 0 is white" : "grey") : mct || !ycc ? "RGB" : "YCbCr 4:4:4",
                     bits, grey ? "" : mct ? " by MCT" : " by header");
            assert_string_equal(words, want_words);
        }
    mt_decoder_free(&d);
}

static void plain_words(void **state)
{
    static const struct { mt_coding c; const char *words; } cases[] = {
        {{.codec = MT_CODEC_LZW, .colour = MT_COLOUR_RGB, .samples = 3}, "RGB"},
        {{.codec = MT_CODEC_ZSTD, .colour = MT_COLOUR_GREY, .samples = 1, .bits = 16},
         "grey 16 bit / 257"},
        {{.codec = MT_CODEC_RLE, .colour = MT_COLOUR_YCBCR, .samples = 3}, "YCbCr by header"},
        {{.codec = MT_CODEC_RAW, .colour = MT_COLOUR_GREY_INVERTED, .samples = 1, .bits = 16,
          .stored = 12}, "grey, 0 is white 12 bit * 255 / 4095"},
        {{.codec = MT_CODEC_RAW, .colour = MT_COLOUR_PALETTE, .samples = 1}, "palette"},
        {{.codec = MT_CODEC_RAW, .colour = MT_COLOUR_RGB, .samples = 4, .alpha = MT_ALPHA_STRAIGHT},
         "RGB over white"},
        {{.codec = MT_CODEC_JPEG, .colour = MT_COLOUR_RGB, .samples = 3}, "RGB by header"},
    };
    for (size_t i = 0; i < MT_COUNT(cases); i++) {
        char words[48], warning[160];
        mt_codec_describe(words, warning, &cases[i].c, NULL, 0);
        assert_string_equal(words, cases[i].words);
        assert_string_equal(warning, "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_and_pixels), cmocka_unit_test(head_apart),
        cmocka_unit_test(refused_depths),   cmocka_unit_test(jp2k), cmocka_unit_test(plain_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
