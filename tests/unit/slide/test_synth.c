/* Synthetic slides: one drawing whatever the box, thread or file; truth that matches it; files that
 * OpenSlide reads. */
#include "tests/support/support.h"
#include "base/file.h"
#include "base/json.h"
#include "slide/synth/draw.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <openslide.h>

static void same_file(const char *a, const char *b)
{
    mt_err err = MT_ERR_INIT;
    MT_AUTO_FREE uint8_t *pa = NULL;
    MT_AUTO_FREE uint8_t *pb = NULL;
    size_t na, nb;
    tt_ok(mt_file_read(&pa, &na, a, 1u << 30, &err), &err);
    tt_ok(mt_file_read(&pb, &nb, b, 1u << 30, &err), &err);
    assert_int_equal(na, nb);
    assert_memory_equal(pa, pb, na);
}

static mt_synth_opts small_slide(void)
{
    mt_synth_opts o = MT_SYNTH_OPTS_INIT;
    o.width = 2500;
    o.height = 1900;
    o.seed = 11;
    o.pen = o.blur = o.fold = 1;
    return o;
}

static void write_slide(const char *path, const mt_synth_opts *o)
{
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_synth_write(path, o, NULL, NULL, 0, NULL, NULL, &err), &err);
}

/* ---- the drawing ---- */

static void same_bytes_for_any_threads(void **state)
{
    static const int threads[] = {1, 2, 5, 64};
    char ref[3][512], path[3][512];
    for (size_t i = 0; i < MT_COUNT(threads); i++) {
        mt_synth_opts o = small_slide();
        mt_err err = MT_ERR_INIT;
        char(*p)[512] = i ? path : ref;
        static const char *const ext[] = {"svs", "geojson", "csv"};
        for (int k = 0; k < 3; k++) snprintf(p[k], 512, "%s/threads%zu.%s", tt_tmp(), i, ext[k]);
        o.threads = threads[i];
        tt_ok(mt_synth_write(p[0], &o, p[1], p[2], 300, NULL, NULL, &err), &err);
        for (int k = 0; i && k < 3; k++) same_file(ref[k], path[k]);
    }
}

/* A large region drawn at once and in boxes of odd sizes must agree pixel for pixel. */
static void boxes_agree(const mt_synth_opts *o, int64_t x0, int64_t y0, int w, int h)
{
    MT_AUTO_FREE uint8_t *whole = malloc((size_t)w * (size_t)h * 3);
    MT_AUTO_FREE uint8_t *part = malloc(200 * 200 * 3);
    assert_true(whole && part);
    mt_synth_render(whole, (size_t)w * 3, o, x0, y0, w, h);
    uint32_t r = 99;
    for (int n = 0; n < 60; n++) {
        r = r * 1664525u + 1013904223u;
        const int bw = 1 + (int)(r >> 8) % 190, bh = 1 + (int)(r >> 17) % 170;
        r = r * 1664525u + 1013904223u;
        const int x = (int)(r >> 8) % (w - bw), y = (int)(r >> 16) % (h - bh);
        mt_synth_render(part, 200 * 3, o, x0 + x, y0 + y, bw, bh);
        for (int j = 0; j < bh; j++)
            assert_memory_equal(part + j * 600, whole + ((size_t)(y + j) * (size_t)w + (size_t)x) * 3, (size_t)bw * 3);
    }
}

static void boxes_agree_everywhere(void **state)
{
    mt_synth_opts o = MT_SYNTH_OPTS_INIT;
    o.width = 200000;
    o.height = 170000;
    o.seed = 5;
    boxes_agree(&o, 91237, 80411, 1100, 700); /* far from the origin */
    boxes_agree(&o, -300, -200, 500, 400);    /* beyond the slide */
    o.mpp = 1.0;                              /* other grid steps */
    boxes_agree(&o, 60000, 60001, 700, 500);
    o.mpp = 2.5;
    boxes_agree(&o, 60003, 60000, 700, 500);
    mt_synth_opts a = small_slide(); /* artefacts: the whole slide */
    boxes_agree(&a, -20, -20, (int)a.width + 40, (int)a.height + 40);
}

static void artefacts_change_what_they_should(void **state)
{
    mt_synth_opts plain = small_slide();
    plain.pen = plain.blur = plain.fold = 0;
    const size_t n = (size_t)plain.width * (size_t)plain.height * 3;
    MT_AUTO_FREE uint8_t *a = malloc(n);
    MT_AUTO_FREE uint8_t *b = malloc(n);
    assert_true(a && b);
    mt_synth_render(a, (size_t)plain.width * 3, &plain, 0, 0, (int32_t)plain.width, (int32_t)plain.height);
    for (int k = 0; k < 3; k++) {
        mt_synth_opts o = plain;
        *(k == 0 ? &o.pen : k == 1 ? &o.blur : &o.fold) = 1;
        mt_synth_render(b, (size_t)o.width * 3, &o, 0, 0, (int32_t)o.width, (int32_t)o.height);
        size_t changed = 0;
        int64_t sum = 0;
        for (size_t i = 0; i < n; i++) {
            changed += a[i] != b[i];
            sum += (int)b[i] - (int)a[i];
        }
        assert_true(changed > n / 200 && changed < n / 2);
        if (k == 0 || k == 2) assert_true(sum < -(int64_t)changed * 8); /* pen and fold darken */
        if (k == 1) assert_true(llabs(sum) < (int64_t)changed * 4);    /* blur keeps the mean */
    }
}

static void seeds_differ(void **state)
{
    static uint8_t a[400 * 400 * 3], b[400 * 400 * 3];
    mt_synth_opts o = MT_SYNTH_OPTS_INIT;
    mt_synth_render(a, 1200, &o, 4000, 3000, 400, 400);
    o.seed = (uint64_t)1 << 40 | 1; /* the upper half of a seed counts too */
    mt_synth_render(b, 1200, &o, 4000, 3000, 400, 400);
    assert_memory_not_equal(a, b, sizeof a);
}

/* The drawing itself, before JPEG: the same on every compiler and machine. Whoever changes it on purpose
 * changes what a seed means and has to train demo-tumor again. */
static void drawing_is_pinned(void **state)
{
    static const struct {
        double mpp;
        uint64_t seed, digest;
    } pins[] = {{0.25, 1, 0x50f4de72eeb0032d}, {0.5, 2, 0xfa7fe75630ea9982}, {1.3, 3, 0x7a4b96dba64a81f5}};
    static uint8_t px[512 * 512 * 3];
    for (size_t i = 0; i < MT_COUNT(pins); i++) {
        mt_synth_opts o = MT_SYNTH_OPTS_INIT;
        o.width = 60000;
        o.height = 50000;
        o.mpp = pins[i].mpp;
        o.seed = pins[i].seed;
        o.pen = o.blur = o.fold = 1;
        uint64_t all = 0;
        for (int k = 0; k < 6; k++) {
            uint64_t h = 1469598103934665603u; /* FNV-1a */
            mt_synth_render(px, 512 * 3, &o, 20000 + k * 3001, 15000 + k * 4001, 512, 512);
            for (size_t q = 0; q < sizeof px; q++) h = (h ^ px[q]) * 1099511628211u;
            all = all * 31 + h;
        }
        if (all != pins[i].digest) fail_msg("seed %llu: digest %016llx", (unsigned long long)o.seed, (unsigned long long)all);
    }
}

/* ---- truth ---- */

static void truth_is_what_was_drawn(void **state)
{
    mt_synth_opts o = MT_SYNTH_OPTS_INIT;
    mt_err err = MT_ERR_INIT;
    o.seed = 3;
    MT_AUTO(synth_ctx_put) synth_ctx *c = NULL;
    MT_AUTO(synth_scratch_free) synth_scratch *s = NULL;
    tt_ok(synth_ctx_get(&c, &o, &err), &err);
    tt_ok(synth_scratch_new(&s, c, 512, 512, &err), &err);
    static uint8_t px[512 * 512 * 3], cls[128 * 128];
    uint64_t glass_cells = 0, tissue_cells = 0, all[MT_SYNTH_CLASSES] = {0};
    for (int64_t y = 0; y + 512 <= o.height; y += 1024)
        for (int64_t x = 0; x + 512 <= o.width; x += 768) {
            synth_draw(c, s, px, 512 * 3, x, y, 512, 512);
            synth_truth_cells(c, &s->grid, cls, 128, x, y, 128, 128);
            double f[MT_SYNTH_CLASSES], sum = 0;
            uint64_t n[MT_SYNTH_CLASSES] = {0};
            for (int i = 0; i < 128 * 128; i++) n[cls[i]]++;
            mt_synth_truth(f, &o, x, y, 512, 512);
            for (int k = 0; k < MT_SYNTH_CLASSES; k++) {
                assert_float_equal(f[k], (double)n[k] / (128 * 128), 1e-12);
                sum += f[k];
                all[k] += n[k];
            }
            assert_float_equal(sum, 1, 1e-12);
            /* bare glass has its colour exactly, solid tissue never has it */
            for (int j = 3; j < 125; j++)
                for (int i = 3; i < 125; i++) {
                    int glass = 0, solid = 0;
                    for (int v = -3; v <= 3; v++)
                        for (int u = -3; u <= 3; u++) {
                            const int k = cls[(j + v) * 128 + i + u];
                            glass += k == MT_SYNTH_GLASS;
                            solid += k == MT_SYNTH_TUMOUR || k == MT_SYNTH_NECROSIS || k == MT_SYNTH_LYMPHOCYTES;
                        }
                    const uint8_t *p = px + ((4 * j + 2) * 512 + 4 * i + 2) * 3;
                    /* a nucleus at the border may lean over the glass by its own length: stay away from it */
                    if (glass == 49) glass_cells += !memcmp(p, c->glass, 3);
                    if (solid == 49) {
                        tissue_cells++;
                        assert_true(p[1] < c->glass[1] - 25);
                    }
                }
        }
    assert_true(glass_cells > 50000 && tissue_cells > 10000);
    for (int k = 0; k < MT_SYNTH_CLASSES; k++) assert_true(all[k] > 500); /* every class occurs */
}

/* Boxes that cut truth cells are weighted by area. */
static void truth_of_odd_boxes(void **state)
{
    mt_synth_opts o = small_slide();
    static const int boxes[][4] = {{1001, 803, 1, 1}, {1002, 801, 7, 5}, {999, 999, 701, 333}, {-50, -50, 100, 100}, {2400, 1800, 200, 200}};
    mt_err err = MT_ERR_INIT;
    MT_AUTO(synth_ctx_put) synth_ctx *c = NULL;
    MT_AUTO(synth_scratch_free) synth_scratch *s = NULL;
    tt_ok(synth_ctx_get(&c, &o, &err), &err);
    tt_ok(synth_scratch_new(&s, c, 1024, 1024, &err), &err);
    for (size_t b = 0; b < MT_COUNT(boxes); b++) {
        const int *q = boxes[b];
        synth_grid_fill(c, s, q[0] - 8, q[1] - 8, q[2] + 16, q[3] + 16, 8);
        double want[MT_SYNTH_CLASSES] = {0}, got[MT_SYNTH_CLASSES];
        for (int y = q[1]; y < q[1] + q[3]; y++)
            for (int x = q[0]; x < q[0] + q[2]; x++) /* pixel by pixel: the class of its truth cell */
                want[synth_class_at(c, &s->grid, (x & ~3) + 2, (y & ~3) + 2)] += 1.0 / ((double)q[2] * q[3]);
        mt_synth_truth(got, &o, q[0], q[1], q[2], q[3]);
        for (int k = 0; k < MT_SYNTH_CLASSES; k++) assert_float_equal(got[k], want[k], 1e-9);
    }
}

static double ring_area(const json_t *ring)
{
    double a = 0;
    const size_t n = json_array_size(ring);
    assert_true(n >= 5);
    assert_true(json_equal(json_array_get(ring, 0), json_array_get(ring, n - 1)));
    for (size_t i = 0; i + 1 < n; i++) {
        const json_t *p = json_array_get(ring, i), *q = json_array_get(ring, i + 1);
        const double x0 = json_number_value(json_array_get(p, 0)), y0 = json_number_value(json_array_get(p, 1));
        const double x1 = json_number_value(json_array_get(q, 0)), y1 = json_number_value(json_array_get(q, 1));
        assert_true((x0 == x1) != (y0 == y1)); /* corners only, along the axes */
        a += x0 * y1 - x1 * y0;
    }
    return a / 2;
}

static void tables_and_outlines(void **state)
{
    mt_synth_opts o = small_slide();
    o.width = 3001; /* cut cells at both edges */
    o.height = 2203;
    mt_err err = MT_ERR_INIT;
    char slide[512], json[512], csv[512];
    snprintf(slide, 512, "%s/truth.svs", tt_tmp());
    snprintf(json, 512, "%s/truth.geojson", tt_tmp());
    snprintf(csv, 512, "%s/truth.csv", tt_tmp());
    const int px = 250; /* no multiple of 4 */
    tt_ok(mt_synth_write(slide, &o, json, csv, px, NULL, NULL, &err), &err);
    FILE *f = fopen(csv, "r");
    assert_non_null(f);
    char line[512];
    assert_non_null(fgets(line, sizeof line, f));
    assert_string_equal(line, "x,y,glass,stroma,gland,tumour,lymphocytes,fat,necrosis\n");
    double area[MT_SYNTH_CLASSES] = {0};
    int rows = 0;
    for (int64_t y = 0; y < o.height; y += px)
        for (int64_t x = 0; x < o.width; x += px, rows++) {
            double v[9], want[MT_SYNTH_CLASSES];
            assert_non_null(fgets(line, sizeof line, f));
            char *at = line;
            for (int k = 0; k < 9; k++, at++) v[k] = strtod(at, &at);
            assert_int_equal((int64_t)v[0], x);
            assert_int_equal((int64_t)v[1], y);
            const int w = (int)MT_MIN(px, o.width - x), h = (int)MT_MIN(px, o.height - y);
            mt_synth_truth(want, &o, x, y, w, h);
            for (int k = 0; k < MT_SYNTH_CLASSES; k++) {
                assert_float_equal(v[2 + k], want[k], 1e-8);
                area[k] += want[k] * w * h;
            }
        }
    assert_null(fgets(line, sizeof line, f));
    fclose(f);
    assert_int_equal(rows, 13 * 9);

    MT_AUTO(mt_json_unref) json_t *doc = NULL;
    tt_ok(mt_json_load(&doc, json, 1u << 28, &err), &err);
    double drawn[MT_SYNTH_CLASSES] = {0};
    const json_t *features = json_object_get(doc, "features");
    assert_true(json_array_size(features) > 10);
    for (size_t i = 0; i < json_array_size(features); i++) {
        const json_t *ft = json_array_get(features, i);
        const json_t *geo = json_object_get(ft, "geometry"), *rings = json_object_get(geo, "coordinates");
        const char *name = json_string_value(json_object_get(json_object_get(json_object_get(ft, "properties"), "classification"), "name"));
        int cls = -1;
        for (int k = 0; k < MT_SYNTH_CLASSES; k++)
            if (!strcmp(name, mt_synth_class_name(k))) cls = k;
        assert_true(cls > MT_SYNTH_GLASS);
        double a = 0;
        for (size_t r = 0; r < json_array_size(rings); r++) {
            const double ring = ring_area(json_array_get(rings, r));
            assert_true(r ? ring < 0 : ring > 0); /* holes run the other way round */
            a += ring;
        }
        assert_true(a > 0);
        drawn[cls] += a;
    }
    /* outlines follow 8-pixel cells by majority: areas agree to a few per cent */
    for (int k = 1; k < MT_SYNTH_CLASSES; k++) assert_true(fabs(drawn[k] - area[k]) < 0.03 * area[k] + 3000);
}

static void tumour_share_is_kept(void **state)
{
    static const double share[] = {0.0, 0.1, 0.4};
    for (size_t i = 0; i < MT_COUNT(share); i++) {
        mt_synth_opts o = MT_SYNTH_OPTS_INIT;
        o.seed = 20 + i;
        o.tumour = share[i];
        double f[MT_SYNTH_CLASSES];
        mt_synth_truth(f, &o, 0, 0, (int32_t)o.width, (int32_t)o.height);
        const double got = f[MT_SYNTH_TUMOUR] / (1 - f[MT_SYNTH_GLASS]);
        assert_true(fabs(got - share[i]) < 0.05);
        if (share[i] == 0) assert_true(f[MT_SYNTH_TUMOUR] == 0);
        assert_true(f[MT_SYNTH_GLASS] > 0.25 && f[MT_SYNTH_GLASS] < 0.75);
    }
}

static void tissue_share_is_kept(void **state)
{
    static const double share[] = {0.1, 0.22, 0.6};
    for (size_t i = 0; i < MT_COUNT(share); i++) {
        mt_synth_opts o = MT_SYNTH_OPTS_INIT;
        o.seed = 20 + i;
        o.tissue = share[i];
        double f[MT_SYNTH_CLASSES];
        mt_synth_truth(f, &o, 0, 0, (int32_t)o.width, (int32_t)o.height);
        assert_true(fabs(1 - f[MT_SYNTH_GLASS] - share[i]) < 0.05);
    }
}

/* ---- files ---- */

static void expect_prop(openslide_t *s, const char *name, const char *want)
{
    const char *got = openslide_get_property_value(s, name);
    if (!want) assert_null(got);
    else assert_non_null(got);
    if (want) assert_string_equal(got, want);
}

/* RGB of a region through OpenSlide. */
static uint8_t *read_rgb(openslide_t *s, int level, int64_t x_l0, int64_t y_l0, int w, int h)
{
    uint32_t *argb = malloc((size_t)w * (size_t)h * 4);
    uint8_t *rgb = malloc((size_t)w * (size_t)h * 3);
    assert_true(argb && rgb);
    openslide_read_region(s, argb, x_l0, y_l0, level, w, h);
    assert_null(openslide_get_error(s));
    for (int i = 0; i < w * h; i++)
        for (int k = 0; k < 3; k++) rgb[3 * i + k] = (uint8_t)(argb[i] >> (16 - 8 * k));
    free(argb);
    return rgb;
}

static void close_to(const uint8_t *a, const uint8_t *b, size_t n, double mean, int worst)
{
    uint64_t sum = 0;
    int most = 0;
    for (size_t i = 0; i < n; i++) {
        const int d = abs((int)a[i] - (int)b[i]);
        sum += (uint64_t)d;
        most = MT_MAX(most, d);
    }
    if ((double)sum / (double)n > mean || most > worst) fail_msg("mean error %.3f, worst %d", (double)sum / (double)n, most);
}

/* The slide's pixels are the rendered ones within what JPEG costs, at several places and levels. */
static void check_pixels(openslide_t *s, const mt_synth_opts *o, double mean, int worst)
{
    static const int at[][2] = {{0, 0}, {777, 431}, {1300, 900}, {2100, 1500}};
    for (size_t i = 0; i < MT_COUNT(at); i++) {
        const int w = 371, h = 293;
        uint8_t *got = read_rgb(s, 0, at[i][0], at[i][1], w, h), *want = malloc((size_t)(w * h * 3));
        mt_synth_render(want, (size_t)w * 3, o, at[i][0], at[i][1], w, h);
        close_to(got, want, (size_t)(w * h * 3), mean, worst);
        free(got);
        free(want);
    }
    /* level 1: means of 4 x 4 pixels */
    const int w = 150, h = 120;
    uint8_t *got = read_rgb(s, 1, 1200, 800, w, h), *full = malloc((size_t)(16 * w * h * 3)), *want = malloc((size_t)(w * h * 3));
    mt_synth_render(full, (size_t)w * 12, o, 1200, 800, 4 * w, 4 * h);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++)
            for (int k = 0; k < 3; k++) {
                int sum = 8;
                for (int v = 0; v < 4; v++)
                    for (int u = 0; u < 4; u++) sum += full[((4 * y + v) * 4 * w + 4 * x + u) * 3 + k];
                want[(y * w + x) * 3 + k] = (uint8_t)(sum >> 4);
            }
    close_to(got, want, (size_t)(w * h * 3), mean, worst);
    free(got);
    free(full);
    free(want);
}

static void openslide_reads_svs(void **state)
{
    static const struct {
        int tile, sub, rgb, quality;
        double mean;
        int worst;
    } kinds[] = {{240, 420, 0, 80, 6.0, 120}, {256, 444, 0, 95, 2.0, 24}, {240, 444, 1, 100, 0.7, 4}, {64, 420, 0, 90, 5.0, 120}, {1024, 444, 0, 100, 1.0, 6}};
    for (size_t i = 0; i < MT_COUNT(kinds); i++) {
        mt_synth_opts o = small_slide();
        o.tile_px = kinds[i].tile;
        o.subsampling = kinds[i].sub;
        o.rgb = kinds[i].rgb;
        o.jpeg_quality = kinds[i].quality;
        const char *path = tt_tmp_file("kind.svs");
        write_slide(path, &o);
        openslide_t *s = openslide_open(path);
        assert_non_null(s);
        assert_null(openslide_get_error(s));
        expect_prop(s, "openslide.vendor", "aperio");
        expect_prop(s, "openslide.mpp-x", "0.5");
        expect_prop(s, "openslide.objective-power", "20");
        expect_prop(s, "aperio.Synthetic", "microtome");
        assert_int_equal(openslide_get_level_count(s), 2);
        int64_t w, h, aw, ah;
        openslide_get_level0_dimensions(s, &w, &h);
        assert_int_equal(w, o.width);
        assert_int_equal(h, o.height);
        openslide_get_level_dimensions(s, 1, &w, &h);
        assert_int_equal(w, 625);
        assert_int_equal(h, 475);
        openslide_get_associated_image_dimensions(s, "thumbnail", &aw, &ah);
        assert_true(aw == 1010 && ah == 768);
        openslide_get_associated_image_dimensions(s, "label", &aw, &ah);
        assert_true(aw == 387 && ah == 463);
        openslide_get_associated_image_dimensions(s, "macro", &aw, &ah);
        assert_true(aw == 1280 && ah == 431);
        uint32_t *px = malloc(1280 * 768 * 4);
        static const char *const names[] = {"thumbnail", "label", "macro"};
        for (int k = 0; k < 3; k++) {
            openslide_get_associated_image_dimensions(s, names[k], &aw, &ah);
            openslide_read_associated_image(s, names[k], px);
            assert_null(openslide_get_error(s));
            uint64_t dark = 0, bright = 0;
            for (int64_t q = 0; q < aw * ah; q++) {
                dark += (px[q] & 255) < 100;
                bright += (px[q] & 255) > 200;
            }
            assert_true(dark > 500 && bright > 5000); /* ink or tissue, and paper or glass */
        }
        free(px);
        check_pixels(s, &o, kinds[i].mean, kinds[i].worst);
        openslide_close(s);
    }
}

static void openslide_reads_generic(void **state)
{
    mt_synth_opts o = small_slide();
    o.layout = MT_SYNTH_TIFF;
    o.mpp = 0.25;
    o.tile_px = 256;
    o.jpeg_quality = 95;
    o.subsampling = 444;
    const char *path = tt_tmp_file("generic.tif");
    write_slide(path, &o);
    openslide_t *s = openslide_open(path);
    assert_non_null(s);
    assert_null(openslide_get_error(s));
    expect_prop(s, "openslide.vendor", "generic-tiff");
    const char *mpp = openslide_get_property_value(s, "openslide.mpp-x");
    if (mpp) assert_float_equal(strtod(mpp, NULL), 0.25, 1e-6);
    const char *text = openslide_get_property_value(s, "tiff.ImageDescription");
    assert_non_null(text);
    assert_int_equal(strncmp(text, "microtome synth", 15), 0);
    assert_int_equal(openslide_get_level_count(s), 2);
    check_pixels(s, &o, 2.0, 24);
    openslide_close(s);
}

static void spacing_can_be_left_out(void **state)
{
    for (int layout = 0; layout < 2; layout++) {
        mt_synth_opts o = small_slide();
        o.layout = layout ? MT_SYNTH_TIFF : MT_SYNTH_SVS;
        o.no_mpp = 1;
        const char *path = tt_tmp_file(layout ? "no_mpp.tif" : "no_mpp.svs");
        write_slide(path, &o);
        openslide_t *s = openslide_open(path);
        assert_non_null(s);
        expect_prop(s, "openslide.mpp-x", NULL);
        expect_prop(s, "aperio.MPP", NULL);
        expect_prop(s, "tiff.XResolution", NULL);
        openslide_close(s);
    }
}

static void levels_by_size(void **state)
{
    static const struct {
        int64_t w, h;
        int levels;
    } sizes[] = {{256, 256, 1}, {1024, 600, 1}, {1025, 600, 2}, {4096, 300, 2}, {4100, 4097, 3}, {20000, 256, 4}};
    for (size_t i = 0; i < MT_COUNT(sizes); i++) {
        mt_synth_opts o = MT_SYNTH_OPTS_INIT;
        o.width = sizes[i].w;
        o.height = sizes[i].h;
        const char *path = tt_tmp_file("size.svs");
        write_slide(path, &o);
        openslide_t *s = openslide_open(path);
        assert_non_null(s);
        assert_null(openslide_get_error(s));
        assert_int_equal(openslide_get_level_count(s), sizes[i].levels);
        for (int l = 1; l < sizes[i].levels; l++) {
            int64_t w, h;
            openslide_get_level_dimensions(s, l, &w, &h);
            assert_int_equal(w, sizes[i].w >> (2 * l));
            assert_int_equal(h, sizes[i].h >> (2 * l));
        }
        openslide_close(s);
    }
}

/* The widest slide there is: memory follows the width, not the area. */
static void memory_is_bounded(void **state)
{
    tt_not_under_tsan(); /* its shadow is many times the memory */
    struct rusage before, after;
    mt_synth_opts o = MT_SYNTH_OPTS_INIT;
    o.width = 200000;
    o.height = 500;
    o.threads = 2;
    getrusage(RUSAGE_SELF, &before);
    write_slide(tt_tmp_file("wide.svs"), &o);
    getrusage(RUSAGE_SELF, &after);
    assert_true(after.ru_maxrss - before.ru_maxrss < 256 * 1024); /* KiB; the sanitizer's shadow included */
}

static int stop_soon(void *ctx, uint64_t done, uint64_t total)
{
    assert_true(done <= total);
    return ++*(int *)ctx >= 1;
}

static int count_calls(void *ctx, uint64_t done, uint64_t total)
{
    uint64_t *last = ctx;
    assert_true(done > last[0] && done <= total);
    last[0] = done;
    last[1] = total;
    return 0;
}

static void progress_and_cancel(void **state)
{
    mt_synth_opts o = small_slide();
    mt_err err = MT_ERR_INIT;
    uint64_t last[2] = {0};
    char path[512], json[512], csv[512];
    snprintf(path, 512, "%s/cancelled.svs", tt_tmp());
    snprintf(json, 512, "%s/cancelled.geojson", tt_tmp());
    snprintf(csv, 512, "%s/cancelled.csv", tt_tmp());
    tt_ok(mt_synth_write(tt_tmp_file("progress.svs"), &o, NULL, NULL, 0, count_calls, last, &err), &err);
    assert_int_equal(last[0], last[1]);
    assert_int_equal(last[1], 11 * 8);
    int calls = 0;
    assert_int_equal(mt_synth_write(path, &o, json, csv, 256, stop_soon, &calls, &err), MT_ERR_CANCELLED);
    assert_int_equal(calls, 1);
    assert_false(mt_file_exists(path));
    assert_false(mt_file_exists(json));
    assert_false(mt_file_exists(csv));
}

static void bad_requests_are_refused(void **state)
{
    const char *path = tt_tmp_file("refused.svs");
    for (int k = 0; k < 19; k++) {
        mt_synth_opts o = MT_SYNTH_OPTS_INIT;
        int truth_px = 256;
        switch (k) {
        case 0: o.width = 255; break;
        case 1: o.height = 200001; break;
        case 2: o.width = -5; break;
        case 3: o.mpp = 0; break;
        case 4: o.mpp = NAN; break;
        case 5: o.mpp = 5; break;
        case 6: o.tumour = 1.5; break;
        case 7: o.tumour = NAN; break;
        case 8: o.tile_px = 0; break;
        case 9: o.tile_px = 250; break;
        case 10: o.tile_px = 2048; break;
        case 11: o.jpeg_quality = 0; break;
        case 12: o.jpeg_quality = 101; break;
        case 13: o.subsampling = 411; break;
        case 14: o.layout = (mt_synth_layout)7; break;
        case 15: truth_px = 0; break;
        case 16: truth_px = 70000; break;
        case 17: o.tissue = 0.95; break;
        case 18: o.tissue = NAN; break;
        }
        mt_err err = MT_ERR_INIT;
        assert_int_equal(mt_synth_write(path, &o, NULL, tt_tmp_file("refused.csv"), truth_px, NULL, NULL, &err), MT_ERR_ARG);
        assert_true(err.text[0] != 0);
        assert_false(mt_file_exists(path));
    }
    mt_synth_opts o = MT_SYNTH_OPTS_INIT;
    mt_err err = MT_ERR_INIT;
    assert_true(mt_synth_write("/nonexistent-folder/x.svs", &o, NULL, NULL, 0, NULL, NULL, &err) != MT_OK);
    assert_string_equal(mt_synth_class_name(MT_SYNTH_TUMOUR), "tumour");
    assert_string_equal(mt_synth_class_name(MT_SYNTH_CLASSES), "unknown");
    assert_string_equal(mt_synth_class_name(-1), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_bounded), /* first: the peak is the process's */
        cmocka_unit_test(same_bytes_for_any_threads),
        cmocka_unit_test(boxes_agree_everywhere),
        cmocka_unit_test(artefacts_change_what_they_should),
        cmocka_unit_test(seeds_differ),
        cmocka_unit_test(drawing_is_pinned),
        cmocka_unit_test(truth_is_what_was_drawn),
        cmocka_unit_test(truth_of_odd_boxes),
        cmocka_unit_test(tables_and_outlines),
        cmocka_unit_test(tumour_share_is_kept),
        cmocka_unit_test(tissue_share_is_kept),
        cmocka_unit_test(openslide_reads_svs),
        cmocka_unit_test(openslide_reads_generic),
        cmocka_unit_test(spacing_can_be_left_out),
        cmocka_unit_test(levels_by_size),
        cmocka_unit_test(progress_and_cancel),
        cmocka_unit_test(bad_requests_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
