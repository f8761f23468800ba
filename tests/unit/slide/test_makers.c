/* Philips, QPTIFF, SCN, BIF: files made here after what is written of the formats, since none could
 * be had. OpenSlide, which knows the real ones, judges those it reads. */
#include "tests/unit/slide/judge.h"

#include <jpeglib.h>
#include <malloc.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/file.h"
#include "slide/format.h"

static void refused(const char *path, const char *says)
{
    mt_slide *s = NULL;
    mt_err err = MT_ERR_INIT;
    assert_int_not_equal(mt_slide_open(&s, path, NULL, &err), MT_OK);
    assert_null(s);
    assert_null(strchr(err.text, '\n'));
    if (!strstr(err.text, says)) fail_msg("'%s' says nothing of '%s'", err.text, says);
}

/* ---- Philips ---- */

static char *small_jpeg_base64(int w, int h)
{
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr e;
    unsigned char *out = NULL;
    unsigned long n = 0;
    c.err = jpeg_std_error(&e);
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, &out, &n);
    c.image_width = (JDIMENSION)w;
    c.image_height = (JDIMENSION)h;
    c.input_components = 3;
    c.in_color_space = JCS_RGB;
    jpeg_set_defaults(&c);
    jpeg_start_compress(&c, TRUE);
    uint8_t row[3 * 256], *p = row;
    while (c.next_scanline < c.image_height) {
        for (int x = 0; x < w; x++)
            made_pixel(row + 3 * x, (uint32_t)x, c.next_scanline);
        jpeg_write_scanlines(&c, &p, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *text = calloc(1, 4 * n / 3 + 8);
    size_t k = 0;
    for (unsigned long i = 0; i < n; i += 3) {
        const uint32_t b1 = i + 1 < n ? out[i + 1] : 0, b2 = i + 2 < n ? out[i + 2] : 0;
        const uint32_t v = (uint32_t)out[i] << 16 | b1 << 8 | b2;
        text[k++] = digits[v >> 18];
        text[k++] = digits[v >> 12 & 63];
        text[k++] = i + 1 < n ? digits[v >> 6 & 63] : '=';
        text[k++] = i + 2 < n ? digits[v & 63] : '=';
    }
    free(out);
    return text;
}

#define ATTR(name, value)                                                                          \
    "<Attribute Name=\"" name "\" Group=\"0x0028\" Element=\"0x0030\" PMSVR=\"x\">" value          \
    "</Attribute>"
#define LEVEL(number, spacing)                                                                     \
    "<DataObject ObjectType=\"PixelDataRepresentation\">" ATTR("DICOM_PIXEL_SPACING", spacing)     \
        ATTR("PIIM_PIXEL_DATA_REPRESENTATION_NUMBER", number) "</DataObject>"

/* Level 0 is 9 x 7 tiles; the next are cut by their spacing, of which one is no whole factor. */
static void philips(void **state)
{
    char *label = small_jpeg_base64(100, 60), *xml = malloc(100000);
    snprintf(
        xml, 100000,
        "<?xml version=\"1.0\" encoding=\"UTF-8\" ?><DataObject ObjectType=\"DPUfsImport\">" ATTR(
            "DICOM_MANUFACTURER",
            "PHILIPS") "<Attribute Name=\"PIM_DP_SCANNED_IMAGES\" Group=\"0x301D\" "
                       "Element=\"0x1003\" "
                       "PMSVR=\"IDataObjectArray\"><Array><DataObject "
                       "ObjectType=\"DPScannedImage\">" ATTR(
                           "DICOM_PIXEL_SPACING",
                           "&quot;0.000251&quot; &quot;0.00025&quot;") "<Attribute "
                                                                       "Name=\"PIIM_PIXEL_DATA_"
                                                                       "REPRESENTATION_SEQUENCE\" "
                                                                       "Group=\"0x1001\" "
                                                                       "Element=\"0x8B01\" "
                                                                       "PMSVR=\"IDataObjectArray\">"
                                                                       "<Array>" LEVEL(
                                                                           "0", "&quot;0.00025&"
                                                                                "quot; "
                                                                                "&quot;0.00025&"
                                                                                "quot;") LEVEL("1",
                                                                                               "&qu"
                                                                                               "ot;"
                                                                                               "0."
                                                                                               "000"
                                                                                               "5&"
                                                                                               "quo"
                                                                                               "t; "
                                                                                               "&qu"
                                                                                               "ot;"
                                                                                               "0."
                                                                                               "000"
                                                                                               "5&"
                                                                                               "quo"
                                                                                               "t;")
                                                                           LEVEL("2", "&quot;0."
                                                                                      "00103&quot; "
                                                                                      "&quot;0."
                                                                                      "00102&quot;") "</Array></Attribute>" ATTR(
                                                                               "PIM_DP_IMAGE_TYPE",
                                                                               "WSI") "</"
                                                                                      "DataObject>"
                                                                                      "<DataObject "
                                                                                      "ObjectType="
                                                                                      "\"DPScannedI"
                                                                                      "mage\""
                                                                                      ">" ATTR(
                                                                                          "PIM_DP_"
                                                                                          "IMAGE_"
                                                                                          "TYPE",
                                                                                          "LABELIMA"
                                                                                          "GE")
                                                                                          ATTR(
                                                                                              "PIM_"
                                                                                              "DP_"
                                                                                              "IMAG"
                                                                                              "E_"
                                                                                              "DAT"
                                                                                              "A",
                                                                                              "%s") "</DataObject>"
                                                                                                    "</Array></Attribute></DataObject>",
        label);
    const made_dir dirs[] = {
        MADE(576, 448, 64, 64, COMPRESSION_JPEG, PHOTOMETRIC_YCBCR, 0, .description = xml,
             .software = "Philips DP v1.0", .sub_h = 2, .sub_v = 2, .skip_tile = 20),
        MADE(320, 256, 64, 64, COMPRESSION_JPEG, PHOTOMETRIC_YCBCR, 0, .subfile = 1, .step = 2),
        MADE(192, 128, 64, 64, COMPRESSION_JPEG, PHOTOMETRIC_YCBCR, 0, .subfile = 1, .step = 4),
        MADE(120, 40, 0, 8, COMPRESSION_JPEG, PHOTOMETRIC_YCBCR, 0,
             .description = "Macro -offset=(0,0)")};
    const char *path = made_slide("philips.tiff", "wl8", dirs, 4);
    judge_path(path, "philips-tiff", 1, 0, 0);
    mt_slide *s = opened(path);
    const mt_slide_info *info = mt_slide_get_info(s);
    assert_int_equal(info->levels[1].width, 288);
    assert_int_equal(info->levels[1].height, 224);
    assert_int_equal(info->levels[2].tiles_x, 3);
    assert_true(fabs(info->mpp_x - 0.25) < 1e-9 && fabs(info->mpp_y - 0.251) < 1e-9);
    assert_string_equal(info->mpp_source, "philips.DICOM_PIXEL_SPACING");
    assert_string_equal(info->scanner, "PHILIPS");
    assert_int_equal(info->n_associated, 2);
    assert_int_equal(info->n_warnings, 0);
    uint8_t *hole = region(s, 0, 64, 128, 64, 64); /* tile 19 */
    for (int i = 0; i < 3 * 64 * 64; i++)
        assert_int_equal(hole[i], 255);
    free(hole);
    mt_slide_close(&s);
    free(label);
    free(xml);
}

static void philips_refusals(void **state)
{
    static const struct {
        const char *xml, *says;
    } cases[] = {{"<DataObject ObjectType=\"DPUfsImport\"></DataObject>",
                  "without a DPScannedImage of type WSI"},
                 {"<Other a=\"DPUfsImport\"/>", "whose root is no DataObject DPUfsImport"},
                 {"<DataObject ObjectType=\"DPUfsImport\"", "IFD 0: Philips XML: XML, line 1"}};
    for (size_t i = 0; i < MT_COUNT(cases); i++) {
        const made_dir d = MADE(64, 64, 64, 64, COMPRESSION_JPEG, PHOTOMETRIC_YCBCR, 0,
                                .description = cases[i].xml, .software = "Philips");
        refused(made_slide("philips.tiff", "wl", &d, 1), cases[i].says);
    }
}

/* ---- QPTIFF ---- */

#define QPI(type)                                                                                  \
    "<?xml version=\"1.0\" encoding=\"utf-16\"?>\n<PerkinElmer-QPI-ImageDescription>"              \
    "<ImageType>" type "</ImageType><Objective>20x</Objective></PerkinElmer-QPI-ImageDescription>"

static void qptiff_brightfield(void **state)
{
    const made_dir dirs[] = {
        MADE(600, 400, 128, 128, COMPRESSION_LZW, PHOTOMETRIC_RGB, 2,
             .description = QPI("FullResolution"), .res = 20000),
        MADE(150, 100, 0, 10, COMPRESSION_LZW, PHOTOMETRIC_RGB, 2, .description = QPI("Thumbnail"),
             .step = 4),
        MADE(300, 200, 128, 128, COMPRESSION_LZW, PHOTOMETRIC_RGB, 2,
             .description = QPI("ReducedResolution"), .step = 2),
        MADE(90, 200, 0, 10, COMPRESSION_LZW, PHOTOMETRIC_RGB, 2, .description = QPI("Overview")),
        MADE(90, 80, 0, 10, COMPRESSION_LZW, PHOTOMETRIC_RGB, 2, .description = QPI("Label"))};
    mt_slide *s = opened(made_slide("bright.qptiff", "wl8", dirs, 5));
    const mt_slide_info *info = mt_slide_get_info(s);
    assert_string_equal(info->format, "qptiff");
    assert_int_equal(info->n_levels, 2);
    assert_int_equal(info->fluorescence, 0);
    assert_true(fabs(info->mpp_x - 0.5) < 1e-9);
    assert_true(info->objective == 20.0);
    assert_int_equal(info->n_associated, 3);
    uint8_t *got = region(s, 1, 0, 0, 300, 200), *want = malloc(3 * 300 * 200);
    made_box(want, &dirs[2], 0, 0, 300, 200);
    assert_memory_equal(got, want, 3 * 300 * 200);
    free(got);
    free(want);
    mt_slide_close(&s);
}

static void qptiff_fluorescence(void **state)
{
    made_dir dirs[6];
    for (int i = 0; i < 6; i++) {
        const made_dir full = MADE(600, 400, 128, 128, COMPRESSION_LZW, PHOTOMETRIC_MINISBLACK, 1,
                                   .description = QPI("FullResolution"), .step = (uint32_t)i + 1),
                       half =
                           MADE(300, 200, 128, 128, COMPRESSION_LZW, PHOTOMETRIC_MINISBLACK, 1,
                                .description = QPI("ReducedResolution"), .step = (uint32_t)i + 1);
        dirs[i] = i < 3 ? full : half;
    }
    const char *path = made_slide("fluo.qptiff", "wl8", dirs, 6);
    mt_slide_opts opts = MT_SLIDE_OPTS_INIT;
    opts.optical_path = "2";
    mt_slide *s = NULL;
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_slide_open(&s, path, &opts, &err), &err);
    const mt_slide_info *info = mt_slide_get_info(s);
    assert_int_equal(info->fluorescence, 1);
    assert_int_equal(info->n_optical_paths, 3);
    assert_int_equal(info->n_levels, 2);
    assert_non_null(strstr(info->warnings[0], "3 channels of fluorescence: channel 2 is shown"));
    for (int level = 0; level < 2; level++) {
        uint8_t *got = region(s, level, 20, 30, 1, 1), want[3];
        const uint32_t step = level ? 5 : 2;
        made_pixel(want, 20 * step, 30 * step);
        assert_int_equal(got[0], want[0]);
        free(got);
    }
    mt_slide_close(&s);
}

/* ---- Leica ---- */

#define SCN_OPEN                                                                                   \
    "<?xml version=\"1.0\"?><scn xmlns=\"http://www.leica-microsystems.com/scn/2010/10/01\" "      \
    "uuid=\"u\"><collection name=\"c\" uuid=\"u\" sizeX=\"%d\" sizeY=\"%d\">"
#define SCN_IMAGE                                                                                  \
    "<image name=\"i\" uuid=\"u\"><creationDate>2013-05-28T11:22:33.53Z</creationDate>"            \
    "<device model=\"Leica SCN400\" version=\"1\"/><pixels sizeX=\"%d\" sizeY=\"%d\">%s</pixels>"  \
    "<view sizeX=\"%d\" sizeY=\"%d\" offsetX=\"%d\" offsetY=\"%d\" spacingZ=\"1\"/><scanSettings>" \
    "<objectiveSettings><objective>20</objective></objectiveSettings><illuminationSettings>"       \
    "<numericalAperture>0.8</numericalAperture><illuminationSource>%s</illuminationSource>"        \
    "</illuminationSettings></scanSettings></image>"

static const char *made_scn(const char *name, bool second, const char *light)
{
    static char xml[8000];
    size_t n = 0;
    n += (size_t)snprintf(xml, sizeof xml, SCN_OPEN, 500000, 400000);
    n += (size_t)snprintf(xml + n, sizeof xml - n, SCN_IMAGE, 125, 100,
                          "<dimension sizeX=\"125\" sizeY=\"100\" r=\"0\" ifd=\"0\"/>", 500000,
                          400000, 0, 0, "brightfield");
    n += (size_t)snprintf(xml + n, sizeof xml - n, SCN_IMAGE, 600, 400,
                          "<dimension sizeX=\"600\" sizeY=\"400\" r=\"0\" ifd=\"1\"/>"
                          "<dimension sizeX=\"150\" sizeY=\"100\" r=\"1\" ifd=\"2\"/>",
                          300000, 200000, 52000, 74000, light);
    if (second)
        n += (size_t)snprintf(xml + n, sizeof xml - n, SCN_IMAGE, 200, 160,
                              "<dimension sizeX=\"200\" sizeY=\"160\" r=\"0\" ifd=\"3\"/>"
                              "<dimension sizeX=\"50\" sizeY=\"40\" r=\"1\" ifd=\"4\"/>",
                              100000, 80000, 380000, 300000, light);
    snprintf(xml + n, sizeof xml - n, "</collection></scn>");
    const made_dir dirs[] = {
        MADE(125, 100, 64, 64, COMPRESSION_JPEG, PHOTOMETRIC_YCBCR, 0, .description = xml,
             .res = 2500),
        MADE(600, 400, 64, 64, COMPRESSION_JPEG, PHOTOMETRIC_YCBCR, 0, .res = 20000),
        MADE(150, 100, 64, 64, COMPRESSION_JPEG, PHOTOMETRIC_YCBCR, 0, .res = 5000, .step = 4),
        MADE(200, 160, 64, 64, COMPRESSION_JPEG, PHOTOMETRIC_YCBCR, 0, .res = 20000, .step = 2),
        MADE(50, 40, 64, 64, COMPRESSION_JPEG, PHOTOMETRIC_YCBCR, 0, .res = 5000, .step = 8)};
    return made_slide(name, "wl8", dirs, 5);
}

static void leica(void **state)
{
    for (int second = 0; second < 2; second++) {
        const char *path = made_scn("leica.scn", second, "brightfield");
        judge_path(path, "leica-scn", 1, 0, 0);
        mt_slide *s = opened(path);
        openslide_t *o = judge_open(path);
        const mt_slide_info *info = mt_slide_get_info(s);
        assert_int_equal(info->levels[0].width, 1000);
        assert_int_equal(info->levels[0].height, 800);
        assert_int_equal(info->bounds_x, 104);
        assert_int_equal(info->bounds_y, 148);
        assert_int_equal(info->bounds_w, second ? 856 : 600);
        assert_int_equal(info->bounds_x,
                         atoi(openslide_get_property_value(o, "openslide.bounds-x")));
        assert_int_equal(info->bounds_y,
                         atoi(openslide_get_property_value(o, "openslide.bounds-y")));
        assert_int_equal(info->bounds_w,
                         atoi(openslide_get_property_value(o, "openslide.bounds-width")));
        assert_int_equal(info->bounds_h,
                         atoi(openslide_get_property_value(o, "openslide.bounds-height")));
        assert_string_equal(info->scanner, "Leica SCN400");
        /* Left of every area: white, and nobody is asked. */
        uint8_t tile[3 * 64 * 64];
        mt_tile_reader *r = NULL;
        mt_err err = MT_ERR_INIT;
        tt_ok(mt_tile_reader_new(&r, s, &err), &err);
        memset(tile, 7, sizeof tile);
        tt_ok(mt_tile_reader_decode(r, 0, 0, 5, 1, tile, 192, &err), &err);
        for (size_t i = 0; i < sizeof tile; i++)
            assert_int_equal(tile[i], 255);
        mt_tile_reader_free(&r);
        assert_int_equal(info->n_warnings, 0);
        openslide_close(o);
        mt_slide_close(&s);
    }
    refused(made_scn("fluo.scn", false, "fluorescence"), "not brightfield");
    /* A place that no picture can have. */
    static const char is[] = "sizeX=\"300000\" sizeY=\"200000\" offsetX=\"52000\"",
                      bad[] = "sizeX=\"1\" sizeY=\"200000\" offsetX=\"9999999999\"";
    _Static_assert(sizeof is == sizeof bad, "patched in place");
    const char *far = made_scn("far.scn", false, "brightfield");
    uint8_t *data = NULL;
    size_t size;
    mt_err why = MT_ERR_INIT;
    tt_ok(mt_file_read(&data, &size, far, 1 << 24, &why), &why);
    uint8_t *at = memmem(data, size, is, sizeof is - 1);
    assert_non_null(at);
    memcpy(at, bad, sizeof bad - 1);
    tt_ok(mt_file_write(far, data, size, &why), &why);
    free(data);
    refused(far, "9999999999");
}

/* ---- Ventana ---- */

#define ISCAN                                                                                      \
    "<Metadata><iScan Magnification=\"40\" ScanRes=\"0.25\" ScannerModel=\"VENTANA DP 200\" "      \
    "UnitNumber=\"1\" BuildVersion=\"1\" BuildDate=\"1\" LabelBoundary=\"0\" "                     \
    "UserName=\"x\"/></Metadata>"

static const char *made_bif(const char *name, int overlap)
{
    static char xml[20000];
    size_t n = (size_t)snprintf(
        xml, sizeof xml,
        "<EncodeInfo Ver=\"2\"><SlideInfo><AoiInfo XIMAGESIZE=\"64\" YIMAGESIZE=\"64\" "
        "AOIScanned=\"1\"/>"
        "</SlideInfo><SlideStitchInfo><ImageInfo AOIScanned=\"1\" AOIIndex=\"0\" Width=\"64\" "
        "Height=\"64\" NumRows=\"4\" NumCols=\"6\" Pos-X=\"0\" Pos-Y=\"0\">");
    for (int row = 0; row < 4; row++) /* as scanned: from the lowest row up, to and fro */
        for (int col = 0; col < 6; col++) {
            const int tile = row * 6 + (row % 2 ? 5 - col : col) + 1;
            if (col < 5)
                n += (size_t)snprintf(xml + n, sizeof xml - n,
                                      "<TileJointInfo FlagJoined=\"1\" Confidence=\"100\" "
                                      "Direction=\"RIGHT\" Tile1=\"%d\" "
                                      "Tile2=\"%d\" OverlapX=\"%d\" OverlapY=\"0\"/>",
                                      tile, row % 2 ? tile - 1 : tile + 1, overlap);
            if (row < 3)
                n += (size_t)snprintf(xml + n, sizeof xml - n,
                                      "<TileJointInfo FlagJoined=\"1\" Confidence=\"100\" "
                                      "Direction=\"UP\" Tile1=\"%d\" "
                                      "Tile2=\"%d\" OverlapX=\"0\" OverlapY=\"%d\"/>",
                                      tile, (row + 1) * 6 + ((row + 1) % 2 ? 5 - col : col) + 1,
                                      overlap);
        }
    snprintf(
        xml + n, sizeof xml - n,
        "</ImageInfo></SlideStitchInfo><AoiOrigin><AOI0 OriginX=\"0\" OriginY=\"0\"/></AoiOrigin>"
        "</EncodeInfo>");
    const made_dir dirs[] = {
        MADE(80, 120, 0, 16, COMPRESSION_LZW, PHOTOMETRIC_RGB, 2, .description = "Label_Image",
             .xmp = ISCAN),
        MADE(60, 40, 0, 16, COMPRESSION_LZW, PHOTOMETRIC_RGB, 2, .description = "Thumbnail"),
        MADE(384, 256, 64, 64, COMPRESSION_JPEG, PHOTOMETRIC_YCBCR, 0,
             .description = "level=0 mag=40 quality=95", .xmp = xml),
        MADE(192, 128, 64, 64, COMPRESSION_JPEG, PHOTOMETRIC_YCBCR, 0,
             .description = "level=1 mag=20 quality=95", .step = 2)};
    return made_slide(name, "wl8", dirs, 4);
}

static void ventana(void **state)
{
    const char *path = made_bif("plain.bif", 0);
    judge_path(path, "ventana-bif", 1, 0, 0);
    mt_slide *s = opened(path);
    const mt_slide_info *info = mt_slide_get_info(s);
    assert_int_equal(info->n_levels, 2);
    assert_true(fabs(info->mpp_x - 0.25) < 1e-9 && info->objective == 40.0);
    assert_string_equal(info->mpp_source, "ventana.ScanRes");
    assert_string_equal(info->scanner, "VENTANA DP 200");
    mt_slide_close(&s);
}

/* Overlaps are stitched by OpenSlide, and that is told. */
static void ventana_overlaps(void **state)
{
    mt_slide *s = opened(made_bif("overlap.bif", 4));
    const mt_slide_info *info = mt_slide_get_info(s);
    assert_string_equal(info->format, "openslide");
    assert_string_equal(info->vendor, "ventana");
    assert_true(info->levels[0].width < 384);
    assert_non_null(strstr(info->warnings[0], "read through OpenSlide: BIF: overlapping tiles"));
    mt_slide_close(&s);
}

/* ---- a million tiles ---- */

static void put_uint(FILE *f, uint64_t v, int n)
{
    for (int i = 0; i < n; i++)
        fputc((int)(v >> (8 * i) & 255), f);
}

/* Nothing is kept a tile: the arrays of offsets stay in the map. The file is holes but for its head:
 * every tile is left out. */
static void a_million_tiles(void **state)
{
    const char *path = tt_tmp_file("million.tif");
    FILE *f = fopen(path, "wb");
    const uint64_t n = 1000000, offsets = 4096, counts = offsets + 8 * n, end = counts + 8 * n;
    const uint64_t fields[][4] = {{256, 4, 1, 256000}, {257, 4, 1, 256000}, {258, 3, 1, 8},
                                  {259, 3, 1, 7},      {262, 3, 1, 6},      {277, 3, 1, 3},
                                  {322, 3, 1, 256},    {323, 3, 1, 256},    {324, 16, n, offsets},
                                  {325, 16, n, counts}};
    fwrite("II\x2b\0\x08\0\0\0", 1, 8, f);
    put_uint(f, 16, 8);
    put_uint(f, MT_COUNT(fields), 8);
    for (size_t i = 0; i < MT_COUNT(fields); i++) {
        put_uint(f, fields[i][0], 2);
        put_uint(f, fields[i][1], 2);
        put_uint(f, fields[i][2], 8);
        put_uint(f, fields[i][3], 8);
    }
    put_uint(f, 0, 8);
    fclose(f);
    assert_int_equal(truncate(path, (off_t)end), 0);
    const size_t before = mallinfo2().uordblks;
    const double start = mt_clock_wall();
    mt_slide *s = opened(path);
    const double took = mt_clock_wall() - start;
    assert_int_equal(mt_slide_get_info(s)->levels[0].tiles_x, 1000);
    assert_true(mallinfo2().uordblks < before + (1 << 18)); /* 0 under a sanitizer */
    assert_true(took < 1.0); /* a millisecond; other work may be in the way */
    uint8_t *rgb = region(s, 0, 200000, 200000, 300, 300);
    assert_int_equal(rgb[0], 255);
    free(rgb);
    mt_slide_close(&s);
}

/* ---- bounds through OpenSlide ---- */

/* The same file by OpenSlide's row: the same canvas, bounds and pixels. */
static void bounds_by_openslide(void **state)
{
    static const mt_format *const table[] = {&mt_format_openslide};
    const char *path = made_scn("bounds.scn", true, "brightfield");
    mt_slide *ours = opened(path), *theirs = NULL;
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_slide_open_with(&theirs, path, NULL, table, 1, &err), &err);
    const mt_slide_info *a = mt_slide_get_info(ours), *b = mt_slide_get_info(theirs);
    assert_string_equal(b->format, "openslide");
    assert_int_equal(a->bounds_x, b->bounds_x);
    assert_int_equal(a->bounds_y, b->bounds_y);
    assert_int_equal(a->bounds_w, b->bounds_w);
    assert_int_equal(a->bounds_h, b->bounds_h);
    uint8_t *pa = region(ours, 0, 0, 0, 1000, 800), *pb = region(theirs, 0, 0, 0, 1000, 800);
    int worst = 0;
    for (size_t i = 0; i < 3 * 1000 * 800; i++)
        worst = MT_MAX(worst, abs(pa[i] - pb[i]));
    assert_true(worst <= 1);
    free(pa);
    free(pb);
    mt_slide_close(&ours);
    mt_slide_close(&theirs);
}

/* An image beside the slide that is there and cannot be read is told, by a name all files use: others may
 * say whose slide it is. */
static void unreadable_images(void **state)
{
    const made_dir dirs[] = {
        MADE(480, 360, 64, 64, COMPRESSION_JPEG, PHOTOMETRIC_RGB, 0, .description = "Aperio made|MPP = 0.5"),
        MADE(120, 90, 0, 90, COMPRESSION_NONE, PHOTOMETRIC_RGB, 0),
        MADE(100, 90, 0, 90, COMPRESSION_NONE, PHOTOMETRIC_CIELAB, 0, .description = "Aperio\nlabel 100x90"),
        MADE(110, 90, 0, 90, COMPRESSION_NONE, PHOTOMETRIC_CIELAB, 0, .description = "Aperio\nDOE^JANE 1"),
    };
    mt_slide *s = opened(made_slide("labels.svs", "wl", dirs, 4));
    const mt_slide_info *info = mt_slide_get_info(s);
    assert_int_equal(info->n_associated, 1);
    assert_string_equal(info->associated[0].name, "thumbnail");
    assert_int_equal(info->n_warnings, 2);
    assert_non_null(strstr(info->warnings[0], "the label image cannot be read: IFD 2"));
    assert_non_null(strstr(info->warnings[1], "the associated image cannot be read: IFD 3"));
    mt_slide_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unreadable_images), cmocka_unit_test(philips),
        cmocka_unit_test(philips_refusals),
        cmocka_unit_test(qptiff_brightfield),
        cmocka_unit_test(qptiff_fluorescence),
        cmocka_unit_test(leica),
        cmocka_unit_test(ventana),
        cmocka_unit_test(ventana_overlaps),
        cmocka_unit_test(a_million_tiles),
        cmocka_unit_test(bounds_by_openslide),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
