/* Masks read back: our own files give the mask they were made of; QuPath's classes; HistoQC's
 * pictures; what makes no mask. */
#include "tests/support/support.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "base/mem.h"
#include "codec/encode.h"
#include "tiles/tissue/mask.h"
#include "tiles/tissue/in.h"

enum { W = 90, H = 70 };
#define PX 16.0 /* level-0 pixels a mask pixel is wide */

/* A grid over a slide of 1433 x 1111 pixels: the last row and column pass it. */
static mt_tissue *grid(void)
{
    mt_err err = MT_ERR_INIT;
    mt_tissue *t = calloc(1, sizeof *t);
    *t = (mt_tissue){.width = W,
                     .height = H,
                     .px_l0 = PX,
                     .mask_mpp = 8,
                     .slide_w = 1433,
                     .slide_h = 1111,
                     .slide_mm2 = 0.398};
    t->mask = calloc(W, H);
    tt_ok(mask_index(t, &err), &err);
    return t;
}

static void set_mask(mt_tissue *t, const uint8_t *mask)
{
    mt_err err = MT_ERR_INIT;
    uint8_t *copy = malloc(W * H);
    memcpy(copy, mask, W * H);
    tt_ok(tissue_in_take(t, &copy, &err), &err);
    assert_null(copy);
}

/* Two blobs with a hole, one at the far border. */
static void draw(uint8_t *m)
{
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            double a = hypot(x - 30, y - 30), b = hypot(x - 85, y - 60);
            m[y * W + x] = (a < 20 && a > 6) || b < 11 ? 255 : 0;
        }
}

static void our_own_files(void **state)
{
    mt_err err = MT_ERR_INIT;
    uint8_t mask[W * H];
    draw(mask);
    mt_tissue *a = grid();
    set_mask(a, mask);
    assert_int_equal(a->n_pieces, 2);
    tt_ok(mt_tissue_write_geojson(a, tt_tmp_file("m.geojson"), &err), &err);
    tt_ok(mt_tissue_write_png(a, tt_tmp_file("m.png"), &err), &err);
    const char *names[] = {"m.geojson", "m.png"};
    for (int i = 0; i < 2; i++) {
        mt_tissue *b = grid();
        tt_ok(mt_tissue_read(b, tt_tmp_file(names[i]), &err), &err);
        assert_memory_equal(a->mask, b->mask, W * H);
        assert_true(a->tissue_mm2 == b->tissue_mm2 && a->n_pieces == b->n_pieces);
        assert_true(mt_tissue_fraction(a, 333, 222, 99, 77) ==
                    mt_tissue_fraction(b, 333, 222, 99, 77));
        mt_tissue_free(&b);
    }
    mt_tissue_free(&a);
}

static size_t count(const mt_tissue *t)
{
    size_t n = 0;
    for (int i = 0; i < W * H; i++)
        n += t->mask[i] != 0;
    return n;
}

#define FEATURE(class, x0, y0, x1, y1)                                                             \
    "{\"type\":\"Feature\",\"properties\":{" class "},\"geometry\":{\"type\":\"Polygon\","         \
                                                   "\"coordinates\":[[[" #x0 "," #y0 "],[" #x1     \
                                                   "," #y0 "],[" #x1 "," #y1 "],[" #x0 "," #y1     \
                                                   "],[" #x0 "," #y0 "]]]}}"
#define NAMED(name) "\"classification\":{\"name\":\"" name "\"}"
#define FILE_OF(...) "{\"type\":\"FeatureCollection\",\"features\":[" __VA_ARGS__ "]}"

static void classes_of_qupath(void **state)
{
    static const struct {
        const char *text;
        size_t pixels;
    } cases[] = {
        {FILE_OF(FEATURE("", 160, 160, 480, 320)), 200},
        {FILE_OF(FEATURE(NAMED("Tissue"), 160, 160, 480, 320)), 200},
        {FILE_OF(FEATURE(NAMED("Tumor"), 160, 160, 480, 320)), 200},
        {FILE_OF(FEATURE(NAMED("Region*"), 160, 160, 480, 320)), 200},
        {FILE_OF(FEATURE(NAMED("Tissue"), 160, 160, 480, 320) "," FEATURE(NAMED("Ignore*"), 160,
                                                                          160, 320, 320)),
         100},
        {FILE_OF(
             FEATURE(NAMED("Artifact"), 320, 160, 480, 320) "," FEATURE("", 160, 160, 480, 320)),
         100},
        {FILE_OF(FEATURE("\"classification\":{\"names\":[\"Ignore*\"]}", 0, 0, 400, 400)), 0},
        {FILE_OF(FEATURE(NAMED("glass"), 0, 0, 400, 400)), 0},
        {FILE_OF(""), 0},
        {"\xef\xbb\xbf " FILE_OF(FEATURE("", -999, -999, 99999, 99999)), W * H},
    };
    for (size_t i = 0; i < MT_COUNT(cases); i++) {
        mt_err err = MT_ERR_INIT;
        mt_tissue *t = grid();
        tt_ok(tissue_in_bytes(t, (const uint8_t *)cases[i].text, strlen(cases[i].text), "q", &err),
              &err);
        if (count(t) != cases[i].pixels)
            fail_msg("case %zu: %zu pixels, not %zu", i, count(t), cases[i].pixels);
        mt_tissue_free(&t);
    }
}

static void pictures_of_any_size(void **state)
{
    static const int sizes[][2] = {{1433, 1111}, {717, 556}, {300, 233}, {45, 35}};
    uint8_t mask[W * H];
    draw(mask);
    for (size_t i = 0; i < MT_COUNT(sizes); i++) {
        mt_err err = MT_ERR_INIT;
        int w = sizes[i][0], h = sizes[i][1];
        uint8_t *px = malloc((size_t)w * (size_t)h);
        for (int y = 0; y < h; y++) /* the picture under the same slide */
            for (int x = 0; x < w; x++) {
                int c = (int)((x + 0.5) * 1433 / w / PX), r = (int)((y + 0.5) * 1111 / h / PX);
                px[y * w + x] = mask[r * W + c];
            }
        MT_AUTO(mt_buf_free) mt_buf png = MT_BUF_INIT(1 << 24);
        tt_ok(mt_png_encode(&png, px, (size_t)w, w, h, 1, &err), &err);
        mt_tissue *t = grid();
        tt_ok(tissue_in_bytes(t, png.data, png.len, "p", &err), &err);
        size_t wrong = 0;
        for (int k = 0; k < W * H; k++)
            wrong += t->mask[k] != mask[k];
        size_t allowed = i < 2 ? 8 : i == 2 ? 60 : 400; /* coarser pictures round the rims */
        if (wrong > allowed) fail_msg("%d x %d: %zu pixels differ", w, h, wrong);
        mt_tissue_free(&t);
        free(px);
    }
}

static void refuse(const char *text, size_t n, mt_status want, const char *says)
{
    mt_err err = MT_ERR_INIT;
    mt_tissue *t = grid();
    uint8_t before[W * H];
    draw(before);
    set_mask(t, before);
    mt_status st = tissue_in_bytes(t, (const uint8_t *)text, n, "tissue mask", &err);
    if (st != want || !strstr(err.text, says) || !strstr(err.text, "tissue mask"))
        fail_msg("status %d, \"%s\", not \"%s\"", st, err.text, says);
    assert_memory_equal(t->mask, before, W * H);
    mt_tissue_free(&t);
}

static void what_makes_no_mask(void **state)
{
    mt_err err = MT_ERR_INIT;
    static const char *const texts[][2] = {
        {"hello", "neither GeoJSON nor PNG (begins with byte 0x68)"},
        {"", "neither"},
        {"{", "line 1"},
        {"{\"type\":\"Polygon\",\"coordinates\":[[[0,0],[1,1]]]}", "at least three"},
        {"{\"type\":\"FeatureCollection\",\"features\":[{\"type\":\"Feature\",\"geometry\":{"
         "\"type\":\"Point\","
         "\"coordinates\":[1,2]}}]}",
         "features[0]: type 'Point' has no area"},
        {"\x89PNG\r\n\x1a\nxxxx", "not a PNG that can be read"},
    };
    for (size_t i = 0; i < MT_COUNT(texts); i++)
        refuse(texts[i][0], strlen(texts[i][0]), MT_ERR_FORMAT, texts[i][1]);
    uint8_t *px = calloc(300, 300);
    MT_AUTO(mt_buf_free) mt_buf png = MT_BUF_INIT(1 << 20);
    tt_ok(mt_png_encode(&png, px, 300, 300, 300, 1, &err), &err);
    refuse((const char *)png.data, png.len, MT_ERR_FORMAT,
           "300 x 300 pixels does not have the shape of the slide (1433 x 1111)");
    png.len = 0;
    for (int i = 0; i < 300 * 233; i++)
        px[i] = (uint8_t)(i * 2654435761u >> 24);
    tt_ok(mt_png_encode(&png, px, 300, 300, 233, 1, &err), &err);
    refuse((const char *)png.data, png.len / 2, MT_ERR_FORMAT, "damaged PNG");
    free(px);
    mt_tissue *t = grid();
    assert_int_equal(mt_tissue_read(t, tt_tmp_file("nowhere.png"), &err), MT_ERR_NOT_FOUND);
    mt_tissue_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_own_files), cmocka_unit_test(classes_of_qupath),
        cmocka_unit_test(pictures_of_any_size), cmocka_unit_test(what_makes_no_mask)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
