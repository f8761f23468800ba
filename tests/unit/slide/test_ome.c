/* OME-TIFF: the real file tile by tile against libjpeg, the z-series refused; pyramids in SubIFDs, in
 * pages and in images, units, channels and contradictions in files made here. */
#include "tests/unit/slide/judge.h"

#include <jpeglib.h>
#include "slide/tiff/tiff.h"

#define OME_OPEN                                                                                   \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"                                                   \
    "<OME xmlns=\"http://www.openmicroscopy.org/Schemas/OME/2016-06\" UUID=\"urn:uuid:1\">"
#define PIXELS(w, h, c, extra)                                                                     \
    "<Pixels ID=\"P\" Type=\"uint8\" SizeX=\"" w "\" SizeY=\"" h                                   \
    "\" SizeZ=\"1\" SizeT=\"1\" SizeC=\"" c "\" " extra ">"
#define RGB "<Channel ID=\"C\" SamplesPerPixel=\"3\"/>"

/* As a viewer shows a tile: the shared tables before it, markers believed. */
static uint8_t *judge_tile(TIFF *t, uint32_t i, uint32_t side)
{
    uint32_t n_tables = 0;
    void *tables = NULL;
    TIFFGetField(t, TIFFTAG_JPEGTABLES, &n_tables, &tables);
    const tmsize_t raw = (tmsize_t)TIFFGetStrileByteCount(t, i);
    uint8_t *bytes = malloc((size_t)raw), *rgb = malloc(3 * (size_t)side * side);
    assert_int_equal(TIFFReadRawTile(t, i, bytes, raw), raw);
    struct jpeg_decompress_struct d;
    struct jpeg_error_mgr e;
    d.err = jpeg_std_error(&e);
    jpeg_create_decompress(&d);
    if (n_tables) {
        jpeg_mem_src(&d, tables, n_tables);
        jpeg_read_header(&d, FALSE);
    }
    jpeg_mem_src(&d, bytes, (unsigned long)raw);
    jpeg_read_header(&d, TRUE);
    d.out_color_space = JCS_RGB;
    jpeg_start_decompress(&d);
    assert_int_equal(d.output_width, side);
    while (d.output_scanline < d.output_height) {
        uint8_t *row = rgb + 3 * (size_t)side * d.output_scanline;
        jpeg_read_scanlines(&d, &row, 1);
    }
    jpeg_finish_decompress(&d);
    jpeg_destroy_decompress(&d);
    free(bytes);
    return rgb;
}

static void real_file(void **state)
{
    const char *path = tt_data("slides/OS-1-detail.ome.tif");
    if (!path) skip();
    mt_slide *s = opened(path);
    const mt_slide_info *info = mt_slide_get_info(s);
    assert_string_equal(info->format, "ome-tiff");
    assert_string_equal(info->mpp_source, "ome.PhysicalSizeX");
    assert_true(fabs(info->mpp_x - 0.2270972430394695) < 1e-12);
    assert_true(fabs(info->mpp_y - 0.22710240047237298) < 1e-12);
    assert_int_equal(info->n_levels, 1);
    TIFF *t = TIFFOpen(path, "r");
    mt_tile_reader *r = NULL;
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_tile_reader_new(&r, s, &err), &err);
    uint8_t *got = malloc(3 * 512 * 512);
    for (uint32_t i = 0; i < 9; i++) {
        uint8_t *want = judge_tile(t, i, 512);
        tt_ok(mt_tile_reader_decode(r, 0, i % 3, i / 3, 1, got, 3 * 512, &err), &err);
        assert_memory_equal(got, want, 3 * 512 * 512);
        free(want);
    }
    free(got);
    mt_tile_reader_free(&r);
    TIFFClose(t);
    mt_slide_close(&s);
}

static void refused(const char *path, const char *says)
{
    mt_slide *s = NULL;
    mt_err err = MT_ERR_INIT;
    assert_int_not_equal(mt_slide_open(&s, path, NULL, &err), MT_OK);
    assert_null(s);
    assert_null(strchr(err.text, '\n'));
    if (!strstr(err.text, says)) fail_msg("'%s' says nothing of '%s'", err.text, says);
}

static void real_series(void **state)
{
    const char *path = tt_data("slides/multi-channel-z-series.ome.tif");
    if (!path) skip();
    refused(path, "5 focal planes (SizeZ): a z-series, not a slide");
}

/* Every level shows every step-th pixel, exactly. */
static void compare_steps(const mt_slide *s)
{
    const mt_slide_info *info = mt_slide_get_info(s);
    for (int i = 0; i < info->n_levels; i++) {
        const mt_level *l = &info->levels[i];
        const made_dir d = {.photometric = PHOTOMETRIC_RGB, .step = 1u << i};
        uint8_t *got = region(s, i, 0, 0, (int32_t)l->width, (int32_t)l->height);
        uint8_t *want = malloc(3 * (size_t)(l->width * l->height));
        made_box(want, &d, 0, 0, (uint32_t)l->width, (uint32_t)l->height);
        assert_memory_equal(got, want, 3 * (size_t)(l->width * l->height));
        free(got);
        free(want);
    }
}

#define PLAIN(w, h, tw, th, ...)                                                                   \
    MADE(w, h, tw, th, COMPRESSION_ADOBE_DEFLATE, PHOTOMETRIC_RGB, 2, __VA_ARGS__)

static void sub_ifds(void **state)
{
    static const char xml[] = OME_OPEN
        "<Instrument ID=\"I\"><Objective ID=\"O:0\" NominalMagnification=\"20\"/></Instrument>"
        "<Image ID=\"Image:0\" Name=\"tissue\"><ObjectiveSettings ID=\"O:0\"/>" PIXELS(
            "700", "500", "3",
            "PhysicalSizeX=\"250\" PhysicalSizeXUnit=\"nm\" "
            "PhysicalSizeY=\"0.00025\" PhysicalSizeYUnit=\"mm\"") RGB
        "<TiffData IFD=\"0\" PlaneCount=\"1\"/></Pixels></Image>"
        "<Image ID=\"Image:1\" Name=\"Label image\">" PIXELS("96", "64", "3", "") RGB
        "<TiffData IFD=\"1\" PlaneCount=\"1\"/></Pixels></Image>"
        "<Image ID=\"Image:2\" Name=\"Macro\">" PIXELS("128", "40", "3", "") RGB
        "<TiffData IFD=\"2\" PlaneCount=\"1\"/></Pixels></Image></OME>";
    const made_dir dirs[] = {PLAIN(700, 500, 64, 64, .description = xml, .n_sub = 2, .res = 40000),
                             PLAIN(350, 250, 64, 64, .step = 2, .subfile = 1),
                             PLAIN(175, 125, 64, 64, .step = 4, .subfile = 1),
                             PLAIN(96, 64, 0, 16, .step = 1), PLAIN(128, 40, 0, 16, .step = 1)};
    static const char *const modes[] = {"wl", "wb", "wl8", "wb8"};
    for (size_t i = 0; i < MT_COUNT(modes); i++) {
        mt_slide *s = opened(made_slide("sub.ome.tif", modes[i], dirs, 5));
        const mt_slide_info *info = mt_slide_get_info(s);
        assert_string_equal(info->format, "ome-tiff");
        assert_int_equal(info->n_levels, 3);
        assert_true(fabs(info->mpp_x - 0.25) < 1e-12 && fabs(info->mpp_y - 0.25) < 1e-12);
        assert_true(info->objective == 20.0);
        assert_int_equal(info->n_associated, 2);
        assert_string_equal(info->associated[0].name, "label");
        assert_int_equal(info->associated[0].width, 96);
        assert_string_equal(info->associated[1].name, "macro");
        assert_int_equal(info->n_warnings, 0);
        assert_int_equal(info->fluorescence, 0);
        compare_steps(s);
        mt_slide_close(&s);
    }
}

/* The same pyramid without a word of OME is a generic one. */
static void sub_ifds_of_nobody(void **state)
{
    const made_dir dirs[] = {PLAIN(700, 500, 64, 64, .n_sub = 2),
                             PLAIN(350, 250, 64, 64, .step = 2, .subfile = 1),
                             PLAIN(175, 125, 64, 64, .step = 4, .subfile = 1)};
    mt_slide *s = opened(made_slide("sub.tif", "wl8", dirs, 3));
    assert_string_equal(mt_slide_get_info(s)->format, "generic-tiff");
    assert_int_equal(mt_slide_get_info(s)->n_levels, 3);
    compare_steps(s);
    mt_slide_close(&s);
}

/* Coarser levels as reduced pages, and as images of their own. */
static void old_pyramids(void **state)
{
    static const char pages[] = OME_OPEN "<Image ID=\"Image:0\">" PIXELS(
        "700", "500", "3", "PhysicalSizeX=\"0.5\" PhysicalSizeY=\"0.5\"") RGB
        "<TiffData/></Pixels></Image></OME>";
    static const char images[] = OME_OPEN "<Image ID=\"0\">" PIXELS("700", "500", "3", "") RGB
        "<TiffData IFD=\"0\"/></Pixels></Image><Image ID=\"1\">" PIXELS("350", "250", "3", "") RGB
        "<TiffData IFD=\"1\"/></Pixels></Image><Image ID=\"2\">" PIXELS("175", "125", "3", "") RGB
        "<TiffData IFD=\"2\"/></Pixels></Image><Image ID=\"3\">" PIXELS("175", "40", "3", "") RGB
        "<TiffData IFD=\"3\"/></Pixels></Image></OME>";
    for (int k = 0; k < 2; k++) {
        const made_dir dirs[] = {PLAIN(700, 500, 64, 64, .description = k ? images : pages),
                                 PLAIN(350, 250, 64, 64, .step = 2, .subfile = !k),
                                 PLAIN(175, 125, 64, 64, .step = 4, .subfile = !k),
                                 PLAIN(175, 40, 64, 64, .step = 1)};
        mt_slide *s = opened(made_slide("old.ome.tif", "wl", dirs, 4));
        const mt_slide_info *info = mt_slide_get_info(s);
        assert_int_equal(info->n_levels, 3);
        assert_int_equal(info->n_warnings, k);
        if (k) assert_string_equal(info->warnings[0], "1 further images of the file are not shown");
        compare_steps(s);
        mt_slide_close(&s);
    }
}

static void channels(void **state)
{
    static const char xml[] = OME_OPEN "<Image ID=\"0\">" PIXELS(
        "300", "200", "3",
        "PhysicalSizeX=\"0.5\" PhysicalSizeY=\"0.5\"") "<Channel ID=\"a\" Name=\"DAPI\"/><Channel "
                                                       "ID=\"b\" Name=\"FITC\"/><Channel ID=\"c\"/>"
                                                       "<TiffData IFD=\"0\" FirstC=\"0\" "
                                                       "PlaneCount=\"1\"/><TiffData IFD=\"1\" "
                                                       "FirstC=\"1\" "
                                                       "PlaneCount=\"1\"/><TiffData IFD=\"2\" "
                                                       "FirstC=\"2\" "
                                                       "PlaneCount=\"1\"/></Pixels></Image></OME>";
    const made_dir dirs[] = {
        MADE(300, 200, 64, 64, COMPRESSION_LZW, PHOTOMETRIC_MINISBLACK, 1, .description = xml,
             .n_sub = 1),
        MADE(150, 100, 64, 64, COMPRESSION_LZW, PHOTOMETRIC_MINISBLACK, 1, .step = 2),
        MADE(300, 200, 64, 64, COMPRESSION_LZW, PHOTOMETRIC_MINISBLACK, 1, .n_sub = 1, .step = 3),
        MADE(150, 100, 64, 64, COMPRESSION_LZW, PHOTOMETRIC_MINISBLACK, 1, .step = 6),
        MADE(300, 200, 64, 64, COMPRESSION_LZW, PHOTOMETRIC_MINISBLACK, 1, .step = 1)};
    const char *path = made_slide("channels.ome.tif", "wl", dirs, 5);
    for (int c = 0; c < 2; c++) {
        mt_slide_opts opts = MT_SLIDE_OPTS_INIT;
        if (c) opts.optical_path = "2";
        mt_slide *s = NULL;
        mt_err err = MT_ERR_INIT;
        tt_ok(mt_slide_open(&s, path, &opts, &err), &err);
        const mt_slide_info *info = mt_slide_get_info(s);
        assert_int_equal(info->fluorescence, 1);
        assert_int_equal(info->n_optical_paths, 3);
        assert_string_equal(info->optical_path, c ? "2" : "1");
        assert_int_equal(info->n_levels, 2);
        assert_non_null(strstr(info->warnings[0], "3 channels, no colour picture"));
        uint8_t *got = region(s, 1, 10, 20, 5, 1), want[3];
        for (int x = 0; x < 5; x++) {
            made_pixel(want, (uint32_t)(10 + x) * (c ? 6 : 2), 20 * (c ? 6 : 2));
            for (int k = 0; k < 3; k++)
                assert_int_equal(got[3 * x + k], want[0]);
        }
        free(got);
        mt_slide_close(&s);
    }
    mt_slide_opts opts = MT_SLIDE_OPTS_INIT;
    opts.optical_path = "4";
    mt_slide *s = NULL;
    mt_err err = MT_ERR_INIT;
    assert_int_equal(mt_slide_open(&s, path, &opts, &err), MT_ERR_ARG);
    assert_non_null(strstr(err.text, "the channels are 1 to 3"));
}

static const char *one_page(const char *xml)
{
    const made_dir d = PLAIN(300, 200, 64, 64, .description = xml, .res = 20000);
    return made_slide("page.ome.tif", "wl", &d, 1);
}

static void spacing_words(void **state)
{
    static const struct {
        const char *extra;
        double mpp;
        const char *source, *warns;
    } cases[] = {
        {"PhysicalSizeX=\"0.5\" PhysicalSizeY=\"0.5\"", 0.5, "ome.PhysicalSizeX", ""},
        {"PhysicalSizeX=\"5000\" PhysicalSizeXUnit=\"\xc3\x85\" PhysicalSizeY=\"5000\" "
         "PhysicalSizeYUnit=\"\xc3\x85\"",
         0.5, "ome.PhysicalSizeX", ""},
        {"PhysicalSizeX=\"0.00005\" PhysicalSizeXUnit=\"cm\" PhysicalSizeY=\"0.5\" "
         "PhysicalSizeYUnit=\"\xce\xbcm\"",
         0.5, "ome.PhysicalSizeX", ""},
        {"PhysicalSizeX=\"1\" PhysicalSizeXUnit=\"pixel\" PhysicalSizeY=\"1\" "
         "PhysicalSizeYUnit=\"pixel\"",
         0.5, "tiff.XResolution", ""},
        {"", 0.5, "tiff.XResolution", ""},
        {"PhysicalSizeX=\"0.25\" PhysicalSizeY=\"0.25\"", 0.25, "ome.PhysicalSizeX",
         "ome.PhysicalSizeX says 0.25 x 0.25 um/px, the resolution tags 0.5 x 0.5; used the "
         "former"},
    };
    for (size_t i = 0; i < MT_COUNT(cases); i++) {
        char xml[2000];
        snprintf(xml, sizeof xml,
                 OME_OPEN "<Image ID=\"0\"><Pixels SizeX=\"300\" SizeY=\"200\" SizeZ=\"1\" "
                          "SizeT=\"1\" SizeC=\"3\" %s>" RGB "<TiffData/></Pixels></Image></OME>",
                 cases[i].extra);
        mt_slide *s = opened(one_page(xml));
        const mt_slide_info *info = mt_slide_get_info(s);
        assert_true(fabs(info->mpp_x - cases[i].mpp) < 1e-9);
        assert_string_equal(info->mpp_source, cases[i].source);
        assert_int_equal(info->n_warnings, cases[i].warns[0] != 0);
        if (info->n_warnings) assert_string_equal(info->warnings[0], cases[i].warns);
        mt_slide_close(&s);
    }
}

static void refusals(void **state)
{
    refused(one_page(OME_OPEN "<Image><Pixels SizeX=\"1\" SizeY=\"1\" SizeZ=\"1\" SizeT=\"7\" "
                              "SizeC=\"1\"/></Image></OME>"),
            "7 points in time (SizeT)");
    refused(one_page(OME_OPEN "<BinaryOnly MetadataFile=\"x\"/></OME>"), "BinaryOnly");
    refused(one_page(OME_OPEN "<Image ID=\"0\"></OME>"), "IFD 0: OME-XML: XML, line 1, column");
    refused(one_page("<!DOCTYPE OME [<!ENTITY a \"aaaaaaaa\">]><OME "
                     "xmlns=\"http://www.openmicroscopy.org/\">&a;</OME>"),
            "DOCTYPE");
    refused(one_page(OME_OPEN "<Image><Pixels SizeX=\"300\" SizeY=\"200\" SizeC=\"3\">" RGB
                              "<TiffData IFD=\"7\"/></Pixels></Image></OME>"),
            "in no directory of this file");
    refused(one_page(OME_OPEN
                     "<Image><Pixels SizeX=\"300\" SizeY=\"200\" SizeC=\"3\">" RGB
                     "<TiffData IFD=\"0\"><UUID FileName=\"o\">urn:uuid:2</UUID></TiffData>"
                     "</Pixels></Image></OME>"),
            "in no directory of this file");
    mt_slide *s = opened(one_page(OME_OPEN "<Image>" PIXELS("299", "200", "3", "") RGB
                                  "<TiffData/></Pixels></Image></OME>"));
    assert_non_null(strstr(mt_slide_get_info(s)->warnings[0],
                           "OME-XML says 299 x 200 pixels, IFD 0 has 300 x 200"));
    mt_slide_close(&s);
}

/* A SubIFD that leads back to its parent, or to itself. */
static void loops(void **state)
{
    const made_dir dirs[] = {PLAIN(300, 200, 64, 64, .n_sub = 1),
                             PLAIN(150, 100, 64, 64, .step = 1)};
    const char *path = made_slide("loop.tif", "wl", dirs, 2);
    FILE *f = fopen(path, "r+b");
    uint8_t all[600000];
    const size_t n = fread(all, 1, sizeof all, f);
    const uint32_t first = (uint32_t)(all[4] | all[5] << 8 | all[6] << 16 | all[7] << 24);
    const unsigned entries = all[first] | all[first + 1] << 8;
    for (unsigned i = 0; i < entries; i++) {
        uint8_t *e = all + first + 2 + 12 * i;
        if ((e[0] | e[1] << 8) == 330) memcpy(e + 8, all + 4, 4);
    }
    rewind(f);
    assert_int_equal(fwrite(all, 1, n, f), n);
    fclose(f);
    mt_tiff t;
    mt_err err = MT_ERR_INIT;
    assert_int_equal(mt_tiff_parse(&t, all, n, &err), MT_ERR_FORMAT);
    assert_non_null(strstr(err.text, "IFD 0: leads back to IFD 0 at offset"));
    /* OpenSlide does not look at SubIFDs: it shows the one level, and the reason is told. */
    mt_slide *s = opened(path);
    assert_string_equal(mt_slide_get_info(s)->format, "openslide");
    assert_non_null(
        strstr(mt_slide_get_info(s)->warnings[0], "read through OpenSlide: IFD 0: leads back"));
    compare_steps(s);
    mt_slide_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_file), cmocka_unit_test(real_series),
        cmocka_unit_test(sub_ifds), cmocka_unit_test(sub_ifds_of_nobody),  cmocka_unit_test(old_pyramids),
        cmocka_unit_test(channels),  cmocka_unit_test(spacing_words),
        cmocka_unit_test(refusals),  cmocka_unit_test(loops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
