/* PNG and JPEG files as slides: every kind of PNG by the rule written here again, JPEG the eight ways
 * up against the codec's own pixels, real files against libpng's and libjpeg's plain doors. */
#include "tests/support/support.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <jpeglib.h>
#include <png.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/workers.h"
#include "codec/encode.h"
#include "slide/slide.h"

enum { W = 301, H = 277 };

static unsigned value(int x, int y, int c)
{
    uint32_t n = ((uint32_t)x * 2654435761u ^ (uint32_t)(y + 31 * c) * 2246822519u) * 3266489917u;
    return (unsigned)(x * 200 + y * 130 + c * 11000 + (int)(n >> 24)) & 0xffff;
}

static void save(const char *path, const void *p, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    fclose(f);
}

static mt_slide *opened(const char *path)
{
    mt_slide *s = NULL;
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_slide_open(&s, path, NULL, &err), &err);
    return s;
}

static uint8_t *read_whole(const mt_slide *s)
{
    const mt_level *l = &mt_slide_get_info(s)->levels[0];
    mt_err err = MT_ERR_INIT;
    uint8_t *rgb = malloc((size_t)(3 * l->width * l->height));
    for (int64_t y = 0; y < l->height; y += 100) /* not the nominal grid */
        tt_ok(mt_slide_read_region(s, 0, 0, y, (int32_t)l->width,
                                   (int32_t)MT_MIN(100, l->height - y),
                                   rgb + 3 * y * l->width, 3 * (size_t)l->width, &err), &err);
    return rgb;
}

/* ---- PNG ---- */

typedef struct kind { int type, bits, interlace, trns; const char *words; } kind;

static unsigned sample(const kind *k, int x, int y, int c) { return value(x, y, c) >> (16 - k->bits); }

static int channels(const kind *k)
{
    return k->type == PNG_COLOR_TYPE_RGB ? 3 : k->type == PNG_COLOR_TYPE_RGB_ALPHA ? 4
           : k->type == PNG_COLOR_TYPE_GRAY_ALPHA ? 2 : 1;
}

static void png_make(const char *path, const kind *k, unsigned ppm)
{
    static uint8_t rows[H][8 * W];
    static png_color palette[256];
    static uint8_t clear[256];
    png_bytep at[H];
    FILE *f = fopen(path, "wb");
    png_structp p = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop i = png_create_info_struct(p);
    if (setjmp(png_jmpbuf(p))) fail();
    png_init_io(p, f);
    png_set_IHDR(p, i, W, H, k->bits, k->type, k->interlace, 0, 0);
    for (int n = 0; n < 256; n++) {
        palette[n] = (png_color){(uint8_t)(n * 3), (uint8_t)(255 - n), (uint8_t)(n * 7)};
        clear[n] = (uint8_t)(n * 5);
    }
    if (k->type == PNG_COLOR_TYPE_PALETTE) png_set_PLTE(p, i, palette, 1 << k->bits);
    if (k->trns) png_set_tRNS(p, i, clear, 1 << k->bits, NULL);
    if (ppm) png_set_pHYs(p, i, ppm, ppm, PNG_RESOLUTION_METER);
    memset(rows, 0, sizeof rows);
    for (int y = 0; y < H; y++) {
        at[y] = rows[y];
        for (int x = 0; x < W; x++)
            for (int c = 0; c < channels(k); c++) {
                const unsigned v = sample(k, x, y, c);
                const int n = x * channels(k) + c;
                if (k->bits == 16) rows[y][2 * n] = (uint8_t)(v >> 8), rows[y][2 * n + 1] = (uint8_t)v;
                else rows[y][n * k->bits / 8] |= (uint8_t)(v << (8 - k->bits - n * k->bits % 8));
            }
    }
    png_set_rows(p, i, at);
    png_write_png(p, i, PNG_TRANSFORM_IDENTITY, NULL);
    png_destroy_write_struct(&p, &i);
    fclose(f);
}

static void png_must_be(int rgb[3], const kind *k, int x, int y)
{
    int v[4], n = channels(k), a = 255;
    for (int c = 0; c < n; c++) v[c] = (int)lround(sample(k, x, y, c) * 255.0 / ((1 << k->bits) - 1));
    if (n % 2 == 0) a = v[n - 1];
    for (int c = 0; c < 3; c++) rgb[c] = v[n < 3 ? 0 : c];
    if (k->type == PNG_COLOR_TYPE_PALETTE) {
        const int i = (int)sample(k, x, y, 0);
        rgb[0] = (uint8_t)(i * 3), rgb[1] = 255 - i, rgb[2] = (uint8_t)(i * 7);
        if (k->trns) a = (uint8_t)(i * 5);
    }
    for (int c = 0; c < 3; c++) rgb[c] = (int)floor(rgb[c] * a / 255.0 + 0.5) + 255 - a;
}

static const kind kinds[] = {
    {PNG_COLOR_TYPE_GRAY, 1, 0, 0, "grey"},       {PNG_COLOR_TYPE_GRAY, 2, 0, 0, "grey"},
    {PNG_COLOR_TYPE_GRAY, 4, 1, 0, "grey"},       {PNG_COLOR_TYPE_GRAY, 8, 0, 0, "grey"},
    {PNG_COLOR_TYPE_GRAY, 16, 0, 0, "grey 16 bit / 257"}, {PNG_COLOR_TYPE_RGB, 8, 0, 0, "RGB"},
    {PNG_COLOR_TYPE_RGB, 8, 1, 0, "RGB"},         {PNG_COLOR_TYPE_RGB, 16, 0, 0, "RGB 16 bit / 257"},
    {PNG_COLOR_TYPE_RGB, 16, 1, 0, "RGB 16 bit / 257"},
    {PNG_COLOR_TYPE_PALETTE, 8, 0, 0, "palette"}, {PNG_COLOR_TYPE_PALETTE, 4, 0, 0, "palette"},
    {PNG_COLOR_TYPE_PALETTE, 2, 0, 1, "palette over white"},
    {PNG_COLOR_TYPE_RGB_ALPHA, 8, 0, 0, "RGB over white"},
    {PNG_COLOR_TYPE_RGB_ALPHA, 16, 1, 0, "RGB 16 bit / 257 over white"},
    {PNG_COLOR_TYPE_GRAY_ALPHA, 8, 0, 0, "grey over white"},
    {PNG_COLOR_TYPE_GRAY_ALPHA, 16, 0, 0, "grey 16 bit / 257 over white"},
};

static void png_kinds(void **state)
{
    const char *path = tt_tmp_file("picture.svs"); /* the name says nothing */
    for (size_t i = 0; i < MT_COUNT(kinds); i++) {
        const kind *k = &kinds[i];
        png_make(path, k, 0);
        mt_slide *s = opened(path);
        const mt_slide_info *info = mt_slide_get_info(s);
        assert_string_equal(info->format, "png");
        assert_string_equal(info->levels[0].colour, k->words);
        assert_int_equal(info->levels[0].width, W);
        assert_int_equal(info->levels[0].height, H);
        uint8_t *rgb = read_whole(s);
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++) {
                int want[3];
                png_must_be(want, k, x, y);
                for (int c = 0; c < 3; c++)
                    if (rgb[3 * (y * W + x) + c] != want[c])
                        fail_msg("kind %zu: pixel %d,%d.%d is %d, not %d", i, x, y, c,
                                 rgb[3 * (y * W + x) + c], want[c]);
            }
        free(rgb);
        mt_slide_close(&s);
    }
}

static void spacing(void **state)
{
    static const struct { unsigned ppm; double mpp; } cases[] = {
        {2000000, 0.5}, {4000000, 0.25}, {50000, 20.0}, {49000, 0.0}, {2835, 0.0}, {11811, 0.0}, {0, 0.0}};
    const char *path = tt_tmp_file("spacing.png");
    for (size_t i = 0; i < MT_COUNT(cases); i++) {
        png_make(path, &kinds[5], cases[i].ppm);
        mt_slide *s = opened(path);
        mt_err err = MT_ERR_INIT;
        double mpp = -1;
        const mt_status st = mt_slide_mpp(&mpp, s, &err);
        assert_int_equal(st, cases[i].mpp > 0 ? MT_OK : MT_ERR_SPACING);
        assert_true(fabs(mpp - cases[i].mpp) < 1e-9);
        assert_string_equal(mt_slide_get_info(s)->mpp_source, cases[i].mpp > 0 ? "png.pHYs" : "");
        if (st != MT_OK) assert_non_null(strstr(err.text, "pHYs"));
        mt_slide_close(&s);
    }
}

/* ---- JPEG ---- */

/* A JFIF picture with an Exif segment behind the JFIF one. */
static void jpeg_make(const char *path, unsigned turn, bool big, unsigned dots_a_cm)
{
    static uint8_t px[3 * W * H], file[1 << 19];
    uint8_t exif[] = {0xff, 0xe1, 0, 34, 'E', 'x', 'i', 'f', 0, 0, 'I', 'I', 42, 0, 8, 0, 0, 0,
                      1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, (uint8_t)turn, 0, 0, 0, 0, 0, 0, 0};
    if (big) {
        const uint8_t tiff[] = {'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0,
                                (uint8_t)turn, 0, 0, 0, 0, 0, 0};
        memcpy(exif + 10, tiff, sizeof tiff);
    }
    mt_buf b = MT_BUF_INIT(1 << 19);
    mt_err err = MT_ERR_INIT;
    for (int i = 0; i < W * H; i++)
        for (int c = 0; c < 3; c++) px[3 * i + c] = (uint8_t)(value(i % W, i / W, c) >> 8);
    tt_ok(mt_jpeg_encode(&b, px, 3 * W, W, H, 90, 420, &err), &err);
    assert_true(b.data[3] == 0xe0 && b.len + sizeof exif < sizeof file);
    memcpy(file, b.data, 20);
    if (dots_a_cm) {
        file[13] = 2;
        file[14] = file[16] = (uint8_t)(dots_a_cm >> 8);
        file[15] = file[17] = (uint8_t)dots_a_cm;
    }
    memcpy(file + 20, exif, sizeof exif);
    memcpy(file + 20 + sizeof exif, b.data + 20, b.len - 20);
    save(path, file, b.len + sizeof exif);
    mt_buf_free(&b);
}

static void jpeg_turns(void **state)
{
    const char *path = tt_tmp_file("turned.bin");
    jpeg_make(path, 1, false, 0);
    mt_slide *s = opened(path);
    assert_string_equal(mt_slide_get_info(s)->format, "jpeg");
    assert_string_equal(mt_slide_get_info(s)->levels[0].colour, "YCbCr 4:2:0 by JFIF marker");
    uint8_t *upright = read_whole(s);
    mt_slide_close(&s);
    for (unsigned turn = 1; turn <= 8; turn++) {
        jpeg_make(path, turn, turn % 2, 0);
        s = opened(path);
        const int w = turn < 5 ? W : H, h = turn < 5 ? H : W, r = W - 1, b = H - 1;
        assert_int_equal(mt_slide_get_info(s)->levels[0].width, w);
        assert_int_equal(mt_slide_get_info(s)->levels[0].height, h);
        uint8_t *rgb = read_whole(s);
        for (int y = 0; y < h; y++)
            for (int x = 0; x < w; x++) { /* TIFF 6.0, tag 274 */
                const int sx[] = {x, r - x, r - x, x, y, y, r - y, r - y};
                const int sy[] = {y, y, b - y, b - y, x, b - x, b - x, x};
                const uint8_t *want = upright + 3 * (sy[turn - 1] * W + sx[turn - 1]);
                if (memcmp(rgb + 3 * (y * w + x), want, 3))
                    fail_msg("orientation %u: pixel %d,%d", turn, x, y);
            }
        free(rgb);
        mt_slide_close(&s);
    }
    free(upright);
    jpeg_make(path, 6, false, 20000);
    s = opened(path);
    assert_true(fabs(mt_slide_get_info(s)->mpp_x - 0.5) < 1e-9);
    assert_string_equal(mt_slide_get_info(s)->mpp_source, "jpeg.JFIF");
    mt_slide_close(&s);
}

/* ---- what is refused ---- */

static void refusals(void **state)
{
    static uint8_t file[1 << 19];
    const char *path = tt_tmp_file("bad");
    mt_slide *s = NULL;
    mt_err err = MT_ERR_INIT;
    jpeg_make(path, 1, false, 0);
    FILE *f = fopen(path, "rb");
    const size_t n = fread(file, 1, sizeof file, f);
    fclose(f);
    uint8_t *sof = memmem(file, n, "\xff\xc0\0\x11\x08", 5);
    assert_non_null(sof);
    uint8_t was[19];
    memcpy(was, sof, sizeof was);
    const struct { int at; const char *bytes; size_t n; mt_status want; const char *says; } bad[] = {
        {4, "\x0c", 1, MT_ERR_UNSUPPORTED, "12 bits"},
        {5, "\xff\xff\xff\xff", 4, MT_ERR_LIMIT, "65535 x 65535"},
        {5, "\x20\x01\x20\x01", 4, MT_ERR_LIMIT, "8193 x 8193"},
        {3, "\x14\x08\x01\x15\x01\x2d\x04", 7, MT_ERR_UNSUPPORTED, "4 components (CMYK)"},
        {0, "\xff\xd9", 2, MT_ERR_FORMAT, "without a frame header"},
    };
    for (size_t i = 0; i < MT_COUNT(bad); i++) {
        memcpy(sof + bad[i].at, bad[i].bytes, bad[i].n);
        save(path, file, n);
        memcpy(sof, was, sizeof was);
        mt_err_clear(&err);
        assert_int_equal(mt_slide_open(&s, path, NULL, &err), bad[i].want);
        if (!strstr(err.text, bad[i].says)) fail_msg("'%s' lacks '%s'", err.text, bad[i].says);
    }
    /* Cut: opens, and says so at every tile, twice the same. */
    save(path, file, n / 2);
    s = opened(path);
    uint8_t px[3];
    char first[MT_ERR_TEXT] = "";
    for (int i = 0; i < 2; i++) {
        mt_err_clear(&err);
        assert_int_equal(mt_slide_read_region(s, 0, 0, 0, 1, 1, px, 3, &err), MT_ERR_FORMAT);
        if (i) assert_string_equal(err.text, first);
        else snprintf(first, sizeof first, "%s", err.text);
    }
    mt_tile_span span;
    assert_int_equal(mt_slide_tile_span(&span, s, 0, 0, 0, NULL), MT_ERR_UNSUPPORTED);
    mt_slide_close(&s);
    png_make(path, &kinds[5], 0);
    f = fopen(path, "rb");
    const size_t k = fread(file, 1, sizeof file, f);
    fclose(f);
    file[k / 2] ^= 16;
    save(path, file, k);
    s = opened(path);
    mt_err_clear(&err);
    assert_int_equal(mt_slide_read_region(s, 0, 0, 0, 1, 1, px, 3, &err), MT_ERR_FORMAT);
    assert_non_null(strstr(err.text, "PNG: "));
    mt_slide_close(&s);
}

/* Want of memory passes; what the file says does not. */
static void memory_comes_back(void **state)
{
    tt_not_with_shadow();
    enum { SIDE = 5000 };
    uint8_t *px = calloc(SIDE * SIDE, 3), rgb[3];
    mt_err err = MT_ERR_INIT;
    mt_buf b = MT_BUF_INIT((size_t)1 << 26);
    assert_non_null(px);
    tt_ok(mt_jpeg_encode(&b, px, 3 * SIDE, SIDE, SIDE, 90, 420, &err), &err);
    free(px);
    save(tt_tmp_file("large.jpg"), b.data, b.len);
    mt_buf_free(&b);
    mt_slide *s = opened(tt_tmp_file("large.jpg"));
    tt_address_space(20 << 20);
    const mt_status st = mt_slide_read_region(s, 0, 9, 9, 1, 1, rgb, 3, &err);
    tt_address_space(0);
    assert_int_equal(st, MT_ERR_NO_MEMORY);
    mt_err_clear(&err);
    tt_ok(mt_slide_read_region(s, 0, 9, 9, 1, 1, rgb, 3, &err), &err);
    assert_int_equal(rgb[0], 0);
    mt_slide_close(&s);
}

/* Profiles of a file may be larger together than an int can say. */
static void endless_profile(void **state)
{
    enum { SEGMENT = 65535 + 2, N = 32780 };
    const char *path = tt_tmp_file("profile.jpg");
    const uint8_t head[] = "\xff\xe2\xff\xffICC_PROFILE";
    uint8_t jpeg[1 << 16];
    jpeg_make(path, 1, false, 0);
    FILE *f = fopen(path, "rb+");
    assert_non_null(f);
    const size_t n = fread(jpeg, 1, sizeof jpeg, f);
    assert_true(n > 20 && n < sizeof jpeg);
    for (int64_t i = 0; i < N; i++)
        assert_int_equal(pwrite(fileno(f), head, sizeof head, 20 + i * SEGMENT), sizeof head);
    assert_int_equal(pwrite(fileno(f), jpeg + 20, n - 20, 20 + (int64_t)N * SEGMENT), n - 20);
    fclose(f);
    mt_slide *s = opened(path);
    assert_true(mt_slide_get_info(s)->icc_bytes > INT32_MAX - 65536);
    mt_slide_close(&s);
    unlink(path);
}

/* ---- many threads, one decode ---- */

typedef struct crowd { const mt_slide *s; const uint8_t *want; int bad; } crowd;

static void read_tile(void *ctx, int worker, size_t i)
{
    crowd *c = ctx;
    uint8_t rgb[3 * 50 * 50];
    mt_err err = MT_ERR_INIT;
    const int x = (int)(i * 37 % (W - 50)), y = (int)(i * 23 % (H - 50));
    int bad = mt_slide_read_region(c->s, 0, x, y, 50, 50, rgb, 150, &err) != MT_OK;
    for (int r = 0; r < 50 && !bad; r++)
        bad = memcmp(rgb + 150 * r, c->want + 3 * ((y + r) * W + x), 150) != 0;
    if (bad) __atomic_store_n(&c->bad, 1, __ATOMIC_RELAXED);
}

static void threads(void **state)
{
    const char *path = tt_tmp_file("threads.jpg");
    jpeg_make(path, 1, false, 0);
    mt_slide *s = opened(path);
    uint8_t *want = read_whole(s);
    mt_slide_close(&s);
    s = opened(path);
    crowd c = {s, want, 0};
    mt_workers_each(4, 200, read_tile, &c);
    assert_int_equal(c.bad, 0);
    mt_slide_close(&s);
    free(want);
}

/* ---- real files ---- */

static void png_judge(uint8_t **rgb, int *w, int *h, const char *path)
{
    png_image image = {.version = PNG_IMAGE_VERSION};
    assert_true(png_image_begin_read_from_file(&image, path));
    image.format = PNG_FORMAT_RGB;
    *w = (int)image.width;
    *h = (int)image.height;
    *rgb = malloc(PNG_IMAGE_SIZE(image));
    const png_color white = {255, 255, 255};
    assert_true(png_image_finish_read(&image, &white, *rgb, 0, NULL));
}

static void jpeg_judge(uint8_t **rgb, int *w, int *h, const char *path)
{
    struct jpeg_decompress_struct d;
    struct jpeg_error_mgr e;
    FILE *f = fopen(path, "rb");
    d.err = jpeg_std_error(&e);
    jpeg_create_decompress(&d);
    jpeg_stdio_src(&d, f);
    jpeg_read_header(&d, TRUE);
    d.out_color_space = JCS_RGB;
    jpeg_start_decompress(&d);
    *w = (int)d.output_width;
    *h = (int)d.output_height;
    *rgb = malloc((size_t)(3 * *w * *h));
    while (d.output_scanline < d.output_height) {
        JSAMPROW row = *rgb + (size_t)3 * (size_t)*w * d.output_scanline;
        jpeg_read_scanlines(&d, &row, 1);
    }
    jpeg_finish_decompress(&d);
    jpeg_destroy_decompress(&d);
    fclose(f);
}

static void real_files(void **state)
{
    static const char *const folders[] = {"tiles/nuclei/images", "tiles/mitosis/patches"};
    int n = 0;
    for (size_t i = 0; i < MT_COUNT(folders); i++) {
        const char *folder = tt_data(folders[i]);
        DIR *d = folder ? opendir(folder) : NULL;
        struct dirent *e;
        for (int k = 0; d && k < 6 && (e = readdir(d));) {
            char path[1024];
            const char *dot = strrchr(e->d_name, '.');
            const bool png = dot && !strcmp(dot, ".png");
            if (!dot || (!png && strcmp(dot, ".jpg") && strcmp(dot, ".jpeg"))) continue;
            snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
            uint8_t *want = NULL;
            int w = 0, h = 0;
            (png ? png_judge : jpeg_judge)(&want, &w, &h, path);
            mt_slide *s = opened(path);
            assert_int_equal(mt_slide_get_info(s)->levels[0].width, w);
            assert_int_equal(mt_slide_get_info(s)->levels[0].height, h);
            uint8_t *rgb = read_whole(s);
            assert_memory_equal(rgb, want, (size_t)(3 * w * h));
            free(rgb);
            free(want);
            mt_slide_close(&s);
            k++;
            n++;
        }
        if (d) closedir(d);
    }
    if (!n) skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(png_kinds), cmocka_unit_test(spacing), cmocka_unit_test(jpeg_turns),
        cmocka_unit_test(refusals), cmocka_unit_test(memory_comes_back),
        cmocka_unit_test(endless_profile), cmocka_unit_test(threads), cmocka_unit_test(real_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
