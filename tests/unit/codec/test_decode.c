/* Decoders against pictures encoded here: what the bytes must give, and what must be refused. */
#include "tests/support/support.h"

#include <stdio.h>
#include <string.h>
#include <jpeglib.h>
#include "codec/codec.h"
#include "tests/unit/codec/jp2k_made.h"

enum { W = 80, H = 48, STRIDE = 3 * W };

static uint8_t picture[STRIDE * H];   /* soft colours and a little noise */
static uint8_t grey_picture[W * H];

static int setup(void **state)
{
    uint32_t r = 12345;
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            uint8_t *p = picture + y * STRIDE + 3 * x;
            r = r * 1664525u + 1013904223u;
            p[0] = (uint8_t)(120 + x + (r >> 28));
            p[1] = (uint8_t)(60 + 2 * y + (r >> 24 & 15));
            p[2] = (uint8_t)(160 + (x + y) / 2 - (r >> 20 & 15));
            grey_picture[y * W + x] = (uint8_t)(p[0] ^ (r >> 30));
        }
    return 0;
}

static mt_coding coding(mt_codec_id codec, mt_colour colour)
{
    bool grey = colour == MT_COLOUR_GREY || colour == MT_COLOUR_GREY_INVERTED;
    return (mt_coding){.codec = codec, .colour = colour, .samples = grey ? 1 : 3, .predictor = 1};
}

static mt_status decode(uint8_t *rgb, mt_decoder *d, const mt_coding *c, const void *data,
                        size_t size, int scale, mt_err *err)
{
    mt_pixels out = {rgb, STRIDE, W, H, scale, NULL};
    return mt_decoder_decode(d, c, data, size, &out, err);
}

static mt_decoder *new_decoder(void)
{
    mt_decoder *d = NULL;
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_decoder_new(&d, &err), &err);
    return d;
}

static int largest_difference(const uint8_t *a, const uint8_t *b, size_t n)
{
    int worst = 0;
    for (size_t i = 0; i < n; i++) worst = MT_MAX(worst, abs(a[i] - b[i]));
    return worst;
}

/* ---- JPEG ---- */

typedef struct stream { unsigned char *p; unsigned long n; } stream;

typedef struct jpeg_kind {
    const char *name;
    int h, v;            /* luma sampling */
    bool rgb, grey;      /* stored colour space */
    bool jfif, adobe;    /* markers */
    bool split;          /* tables apart */
    bool progressive;
    int restart, quality;
} jpeg_kind;

static void kind_setup(struct jpeg_compress_struct *c, const jpeg_kind *k)
{
    c->image_width = W;
    c->image_height = H;
    c->input_components = k->grey ? 1 : 3;
    c->in_color_space = k->grey ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(c);
    jpeg_set_quality(c, k->quality ? k->quality : 85, TRUE);
    if (!k->grey) jpeg_set_colorspace(c, k->rgb ? JCS_RGB : JCS_YCbCr);
    c->comp_info[0].h_samp_factor = k->h;
    c->comp_info[0].v_samp_factor = k->v;
    c->write_JFIF_header = k->jfif;
    c->write_Adobe_marker = k->adobe;
    c->restart_interval = (unsigned)k->restart;
    if (k->rgb)
        for (int i = 0; i < 3; i++)
            c->comp_info[i].component_id = i; /* as Aperio does, not 'R' 'G' 'B' */
    if (k->progressive) jpeg_simple_progression(c);
}

static void jpeg_make(stream *tables, stream *tile, const jpeg_kind *k)
{
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr e;
    c.err = jpeg_std_error(&e);
    jpeg_create_compress(&c);
    kind_setup(&c, k);
    *tables = *tile = (stream){NULL, 0};
    if (k->split) {
        jpeg_mem_dest(&c, &tables->p, &tables->n);
        jpeg_write_tables(&c);
    }
    jpeg_mem_dest(&c, &tile->p, &tile->n);
    jpeg_start_compress(&c, !k->split);
    for (int y = 0; y < H; y++) {
        JSAMPROW row = k->grey ? grey_picture + y * W : picture + y * STRIDE;
        jpeg_write_scanlines(&c, &row, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
}

/* The library's own decode with everything at its default, the stored colour space forced. */
static void jpeg_reference(uint8_t *rgb, const stream *tables, const stream *tile,
                           const jpeg_kind *k, int scale)
{
    struct jpeg_decompress_struct d;
    struct jpeg_error_mgr e;
    d.err = jpeg_std_error(&e);
    jpeg_create_decompress(&d);
    if (tables->p) {
        jpeg_mem_src(&d, tables->p, tables->n);
        jpeg_read_header(&d, FALSE);
    }
    jpeg_mem_src(&d, tile->p, tile->n);
    jpeg_read_header(&d, TRUE);
    if (!k->grey) d.jpeg_color_space = k->rgb ? JCS_RGB : JCS_YCbCr;
    d.out_color_space = JCS_RGB;
    d.scale_denom = (unsigned)scale;
    jpeg_start_decompress(&d);
    while (d.output_scanline < d.output_height) {
        JSAMPROW row = rgb + d.output_scanline * STRIDE;
        jpeg_read_scanlines(&d, &row, 1);
    }
    jpeg_finish_decompress(&d);
    jpeg_destroy_decompress(&d);
}

static const jpeg_kind kinds[] = {
    {.name = "4:2:0 shared tables", .h = 2, .v = 2, .split = true},
    {.name = "4:2:2 shared tables", .h = 2, .v = 1, .split = true},
    {.name = "4:4:0", .h = 1, .v = 2},
    {.name = "4:4:4 JFIF", .h = 1, .v = 1, .jfif = true},
    {.name = "RGB 0,1,2 no marker, shared tables", .h = 1, .v = 1, .rgb = true, .split = true},
    {.name = "RGB Adobe", .h = 1, .v = 1, .rgb = true, .adobe = true},
    {.name = "YCbCr Adobe", .h = 2, .v = 2, .adobe = true},
    {.name = "grey shared tables", .h = 1, .v = 1, .grey = true, .split = true},
    {.name = "grey JFIF", .h = 1, .v = 1, .grey = true, .jfif = true},
    {.name = "progressive", .h = 2, .v = 2, .jfif = true, .progressive = true},
    {.name = "restarts", .h = 2, .v = 2, .restart = 2, .split = true},
};

static void jpeg_kinds(void **state)
{
    mt_decoder *d = new_decoder(); /* one for all: kinds must not disturb each other */
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < MT_COUNT(kinds); i++)
            for (int scale = 1; scale <= 8; scale *= 2) {
                const jpeg_kind *k = &kinds[i];
                stream tables, tile;
                jpeg_make(&tables, &tile, k);
                uint8_t got[STRIDE * H], want[STRIDE * H];
                memset(got, 77, sizeof got);
                memset(want, 77, sizeof want);
                jpeg_reference(want, &tables, &tile, k, scale);
                mt_coding c = coding(MT_CODEC_JPEG, k->grey  ? MT_COLOUR_GREY
                                                    : k->rgb ? MT_COLOUR_RGB
                                                             : MT_COLOUR_YCBCR);
                c.tables = tables.p;
                c.n_tables = tables.n;
                mt_err err = MT_ERR_INIT;
                tt_ok(decode(got, d, &c, tile.p, tile.n, scale, &err), &err);
                if (memcmp(got, want, sizeof got))
                    fail_msg("%s at 1/%d differs from libjpeg", k->name, scale);
                if (scale == 1 && !k->grey && k->h * k->v == 1)
                    assert_true(largest_difference(got, picture, sizeof got) < 24);
                free(tables.p);
                free(tile.p);
            }
    mt_decoder_free(&d);
}

/* Markers in the stream win over what the container claims. */
static void jpeg_markers_win(void **state)
{
    mt_decoder *d = new_decoder();
    const jpeg_kind *marked[] = {&kinds[3], &kinds[5], &kinds[6]};
    for (size_t i = 0; i < MT_COUNT(marked); i++) {
        stream tables, tile;
        jpeg_make(&tables, &tile, marked[i]);
        uint8_t got[STRIDE * H], want[STRIDE * H];
        jpeg_reference(want, &tables, &tile, marked[i], 1);
        mt_coding c =
            coding(MT_CODEC_JPEG, marked[i]->rgb ? MT_COLOUR_YCBCR : MT_COLOUR_RGB); /* a lie */
        mt_err err = MT_ERR_INIT;
        tt_ok(decode(got, d, &c, tile.p, tile.n, 1, &err), &err);
        assert_memory_equal(got, want, sizeof got);
        free(tile.p);
    }
    mt_decoder_free(&d);
}

/* What a tile gives never depends on the tiles before it. */
static void jpeg_tables_do_not_leak(void **state)
{
    const jpeg_kind low = {.h = 2, .v = 2, .split = true, .quality = 20};
    const jpeg_kind high = {.h = 2, .v = 2, .split = true, .quality = 95};
    const jpeg_kind own = {.h = 2, .v = 2, .quality = 60};
    const jpeg_kind prog = {.h = 2, .v = 2, .quality = 40, .progressive = true};
    stream t_low, low_tile, t_high, high_tile, none, own_tile, prog_tile;
    jpeg_make(&t_low, &low_tile, &low);
    jpeg_make(&t_high, &high_tile, &high);
    jpeg_make(&none, &own_tile, &own);
    jpeg_make(&none, &prog_tile, &prog);
    const stream no_tables = {NULL, 0};
    const struct { const stream *tables, *tile; const jpeg_kind *kind; bool good;
    } steps[] = {
        {&t_low, &low_tile, &low, true},      {&t_high, &high_tile, &high, true},
        {&no_tables, &low_tile, &low, false}, /* needs tables, has none: must fail although some
                                                 were loaded */
        {&no_tables, &own_tile, &own, true},  {&no_tables, &high_tile, &high, false},
        {&t_low, &own_tile, &own, true}, /* its own tables win over the shared ones, for itself
                                            alone */
        {&t_low, &low_tile, &low, true},      {&no_tables, &prog_tile, &prog, true},
        {&no_tables, &low_tile, &low, false}, {&t_high, &prog_tile, &prog, true},
        {&t_high, &high_tile, &high, true},   {&t_low, &low_tile, &low, true},
    };
    mt_decoder *d = new_decoder();
    mt_coding c = coding(MT_CODEC_JPEG, MT_COLOUR_YCBCR);
    uint32_t r = 7;
    for (int n = 0; n < 400; n++) { /* every order turns up */
        r = r * 1664525u + 1013904223u;
        size_t i = n < (int)MT_COUNT(steps) ? (size_t)n : (r >> 16) % MT_COUNT(steps);
        uint8_t got[STRIDE * H], want[STRIDE * H];
        mt_err err = MT_ERR_INIT;
        c.tables = steps[i].tables->p;
        c.n_tables = steps[i].tables->n;
        mt_status st = decode(got, d, &c, steps[i].tile->p, steps[i].tile->n, 1, &err);
        if (!steps[i].good) {
            assert_int_equal(st, MT_ERR_FORMAT);
            continue;
        }
        tt_ok(st, &err);
        jpeg_reference(want, steps[i].tables, steps[i].tile, steps[i].kind, 1);
        if (memcmp(got, want, sizeof got)) fail_msg("step %zu in turn %d", i, n);
    }
    mt_decoder_free(&d);
    unsigned char *all[] = {t_low.p, low_tile.p, t_high.p, high_tile.p, own_tile.p, prog_tile.p};
    for (size_t i = 0; i < MT_COUNT(all); i++) free(all[i]);
}

/* Every cut is an error, but for the end marker alone, which many writers forget. */
static void jpeg_cut_short(void **state)
{
    stream tables, tile;
    const jpeg_kind k = {.h = 2, .v = 2};
    jpeg_make(&tables, &tile, &k);
    mt_decoder *d = new_decoder();
    mt_coding c = coding(MT_CODEC_JPEG, MT_COLOUR_YCBCR);
    uint8_t got[STRIDE * H], want[STRIDE * H];
    jpeg_reference(want, &tables, &tile, &k, 1);
    for (unsigned long n = 0; n < tile.n; n += n < 700 ? 7 : 1) {
        mt_err err = MT_ERR_INIT;
        mt_status st = decode(got, d, &c, tile.p, n, 1, &err);
        if (n >= tile.n - 2) {
            tt_ok(st, &err);
            assert_memory_equal(got, want, sizeof got);
        } else if (st == MT_OK && memcmp(got, want, sizeof got)) {
            fail_msg("%lu of %lu bytes were taken for a whole tile", n, tile.n);
        } else if (n < tile.n - 3) {
            assert_int_equal(st, MT_ERR_FORMAT); /* the last data byte may be padding */
        }
    }
    free(tile.p);
    mt_decoder_free(&d);
}

static void jpeg_refusals(void **state)
{
    stream tables, tile;
    const jpeg_kind k = {.h = 1, .v = 1};
    jpeg_make(&tables, &tile, &k);
    mt_decoder *d = new_decoder();
    uint8_t *big = calloc(1, 3 * 4 * W * 4 * H);
    mt_coding c = coding(MT_CODEC_JPEG, MT_COLOUR_YCBCR);
    const struct { int32_t w, h; int scale; mt_status want; } sizes[] = {
        {W, H, 1, MT_OK},           {W, H - 1, 1, MT_OK}, /* the last strip's rows */
        {W + 1, H, 1, MT_ERR_FORMAT}, {W - 1, H, 1, MT_ERR_FORMAT}, {W, H + 1, 1, MT_ERR_FORMAT},
        {W, H, 3, MT_ERR_ARG},      {0, H, 1, MT_ERR_LIMIT}, {70000, 10, 1, MT_ERR_LIMIT},
        {60000, 60000, 1, MT_ERR_LIMIT},
    };
    for (size_t i = 0; i < MT_COUNT(sizes); i++) {
        mt_err err = MT_ERR_INIT;
        mt_pixels out = {big, 3 * 4 * W, sizes[i].w, sizes[i].h, sizes[i].scale, NULL};
        assert_int_equal(mt_decoder_decode(d, &c, tile.p, tile.n, &out, &err), sizes[i].want);
        assert_int_equal(err.text[0] != 0, sizes[i].want != MT_OK);
    }
    c = coding(MT_CODEC_JPEG, MT_COLOUR_GREY);
    mt_err err = MT_ERR_INIT;
    assert_int_equal(decode(big, d, &c, tile.p, tile.n, 1, &err), MT_ERR_FORMAT);
    assert_non_null(strstr(err.text, "3 components"));
    free(big);
    free(tile.p);
    mt_decoder_free(&d);
}

/* Every coefficient in a scan of its own: well-formed, and 190 times the work. */
static void jpeg_too_many_scans(void **state)
{
    static jpeg_scan_info script[1 + 3 * 63];
    script[0] = (jpeg_scan_info){.comps_in_scan = 3, .component_index = {0, 1, 2}};
    for (int i = 0; i < 3 * 63; i++)
        script[1 + i] = (jpeg_scan_info){.comps_in_scan = 1, .component_index = {i / 63},
                                         .Ss = 1 + i % 63, .Se = 1 + i % 63};
    mt_decoder *d = new_decoder();
    mt_coding c = coding(MT_CODEC_JPEG, MT_COLOUR_YCBCR);
    uint8_t got[STRIDE * H];
    for (int n = 0; n < 2; n++) {
        struct jpeg_compress_struct z;
        struct jpeg_error_mgr e;
        stream tile = {NULL, 0};
        const jpeg_kind k = {.h = 1, .v = 1, .jfif = true};
        z.err = jpeg_std_error(&e);
        jpeg_create_compress(&z);
        kind_setup(&z, &k);
        z.scan_info = script;
        z.num_scans = n ? 1 + 3 * 63 : 1 + 63;
        jpeg_mem_dest(&z, &tile.p, &tile.n);
        jpeg_start_compress(&z, TRUE);
        for (int y = 0; y < H; y++) {
            JSAMPROW row = picture + y * STRIDE;
            jpeg_write_scanlines(&z, &row, 1);
        }
        jpeg_finish_compress(&z);
        jpeg_destroy_compress(&z);
        mt_err err = MT_ERR_INIT;
        assert_int_equal(decode(got, d, &c, tile.p, tile.n, 1, &err), n ? MT_ERR_LIMIT : MT_OK);
        free(tile.p);
    }
    mt_decoder_free(&d);
}

static void jpeg_inverted_grey(void **state)
{
    stream tables, tile;
    jpeg_make(&tables, &tile, &kinds[8]);
    mt_decoder *d = new_decoder();
    mt_coding c = coding(MT_CODEC_JPEG, MT_COLOUR_GREY_INVERTED);
    uint8_t got[STRIDE * H], want[STRIDE * H];
    mt_err err = MT_ERR_INIT;
    jpeg_reference(want, &tables, &tile, &kinds[8], 1);
    tt_ok(decode(got, d, &c, tile.p, tile.n, 1, &err), &err);
    for (size_t i = 0; i < sizeof got; i++) assert_int_equal(got[i], 255 - want[i]);
    free(tile.p);
    mt_decoder_free(&d);
}

/* ---- JPEG 2000 ---- */

static int plane(int c, int x, int y) { return picture[y * STRIDE + 3 * x + c]; }
static int half_plane(int c, int x, int y)
{
    return c ? plane(c, MT_MIN(2 * x, W - 1), y) : plane(0, x, y);
}

static void jp2k_kinds(void **state)
{
    static uint8_t packed[1 << 17], got[STRIDE * H];
    mt_decoder *d = new_decoder();
    mt_err err = MT_ERR_INIT;
    mt_coding c = coding(MT_CODEC_JP2K, MT_COLOUR_RGB);
    size_t n = jp2k_make(packed, sizeof packed, W, H, 3, 1, 1, 8, plane);
    tt_ok(decode(got, d, &c, packed, n, 1, &err), &err);
    assert_memory_equal(got, picture, sizeof got);
    /* A reduced decode has the size asked for and looks alike. */
    memset(got, 0, sizeof got);
    tt_ok(decode(got, d, &c, packed, n, 2, &err), &err);
    for (int y = 2; y < H / 2 - 2; y++)
        for (int x = 2; x < W / 2 - 2; x++)
            for (int i = 0; i < 3; i++)
                assert_true(abs(got[y * STRIDE + 3 * x + i] - plane(i, 2 * x, 2 * y)) < 24);
    /* Cut: lost, not half a picture. */
    for (size_t cut = 1; cut < n - 2; cut += n / 17) {
        mt_err_clear(&err);
        if (decode(got, d, &c, packed, cut, 1, &err) == MT_OK) fail_msg("%zu of %zu bytes", cut, n);
    }
    mt_err_clear(&err);
    c = coding(MT_CODEC_JP2K, MT_COLOUR_GREY);
    n = jp2k_make(packed, sizeof packed, W, H, 1, 1, 1, 8, plane);
    tt_ok(decode(got, d, &c, packed, n, 1, &err), &err);
    for (int i = 0; i < W * H; i++) assert_int_equal(got[3 * i + 1], picture[3 * i]);
    c = coding(MT_CODEC_JP2K, MT_COLOUR_RGB);
    assert_int_equal(decode(got, d, &c, packed, n, 1, &err),
                     MT_ERR_FORMAT); /* one component for three */
    mt_decoder_free(&d);
}

/* BT.601 full range in floating point, as JFIF writes it. */
static int ycc(int i, double y, double cb, double cr)
{
    double v = i == 0   ? y + 1.402 * (cr - 128)
               : i == 1 ? y - 0.344136 * (cb - 128) - 0.714136 * (cr - 128)
                        : y + 1.772 * (cb - 128);
    return v < 0 ? 0 : v > 255 ? 255 : (int)(v + 0.5);
}

static void jp2k_ycbcr(void **state)
{
    static uint8_t packed[1 << 17], got[STRIDE * H];
    mt_decoder *d = new_decoder();
    mt_err err = MT_ERR_INIT;
    mt_coding c = coding(MT_CODEC_JP2K, MT_COLOUR_YCBCR);
    for (int sub = 1; sub <= 2; sub++) {
        size_t n =
            jp2k_make(packed, sizeof packed, W, H, 3, sub, 1, 8, sub == 1 ? plane : half_plane);
        tt_ok(decode(got, d, &c, packed, n, 1, &err), &err);
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++)
                for (int i = 0; i < 3; i++) {
                    int cx = x / sub * sub;
                    int want = ycc(i, plane(0, x, y), plane(1, cx, y), plane(2, cx, y));
                    assert_true(abs(got[y * STRIDE + 3 * x + i] - want) <= 1);
                }
    }
    mt_decoder_free(&d);
}

/* ---- anything ---- */

static void garbage(void **state)
{
    mt_decoder *d = new_decoder();
    uint8_t bytes[600], got[STRIDE * H];
    uint32_t r = 99;
    for (int n = 0; n < 3000; n++) {
        size_t size = (r >> 8) % sizeof bytes;
        for (size_t i = 0; i < size; i++)
            bytes[i] = (uint8_t)((r = r * 1664525u + 1013904223u) >> 24);
        mt_coding c =
            coding((mt_codec_id)(n % MT_CODEC_COUNT), n & 8 ? MT_COLOUR_RGB : MT_COLOUR_GREY);
        if (c.codec == MT_CODEC_LZW && size > 1)
            bytes[0] = 0x80, bytes[1] &= 0x7f; /* a clear code */
        mt_err err = MT_ERR_INIT;
        mt_status st = decode(got, d, &c, bytes, size, 1, &err);
        if (c.codec != MT_CODEC_LZW) assert_int_equal(st, MT_ERR_FORMAT);
        assert_int_equal(st, err.code);
    }
    mt_decoder_free(&d);
}

static void names(void **state)
{
    mt_codec_id id;
    assert_true(mt_codec_of_tiff(&id, 33005) && id == MT_CODEC_JP2K);
    assert_true(mt_codec_of_tiff(&id, 32946) && id == MT_CODEC_DEFLATE);
    assert_false(mt_codec_of_tiff(&id, 6));
    assert_true(mt_codec_of_tiff(&id, 50000) && id == MT_CODEC_ZSTD);
    assert_true(mt_codec_of_tiff(&id, 32773) && id == MT_CODEC_PACKBITS);
    assert_false(mt_codec_of_tiff(&id, 50001));
    assert_string_equal(mt_tiff_compression_name(50000), "Zstandard");
    assert_string_equal(mt_tiff_compression_name(52479), "unknown");
    assert_string_equal(mt_codec_name(MT_CODEC_JP2K), "jp2k");
    assert_true(mt_codec_scales(MT_CODEC_JPEG) && !mt_codec_scales(MT_CODEC_JP2K));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jpeg_kinds),       cmocka_unit_test(jpeg_markers_win),
        cmocka_unit_test(jpeg_tables_do_not_leak), cmocka_unit_test(jpeg_cut_short),
        cmocka_unit_test(jpeg_refusals),    cmocka_unit_test(jpeg_inverted_grey),
        cmocka_unit_test(jpeg_too_many_scans),
        cmocka_unit_test(jp2k_kinds),       cmocka_unit_test(jp2k_ycbcr),
        cmocka_unit_test(garbage),          cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
