#include "fake.h"

#include <png.h>
#include "base/file.h"
#include "base/json.h"
#include "tiles/tissue/mask.h"
#include "tiles/tissue/outline.h"
#include "tiles/plan/roi.h"
#include "tiles/tissue/shapes.h"

static uint32_t noise(uint32_t x, uint32_t y)
{
    uint32_t h = x * 0x9e3779b1u ^ y * 0x85ebca77u;
    h = (h ^ h >> 15) * 0x2c1b3c6du;
    return h ^ h >> 13;
}

static void colour(mt_slide *s, int64_t x, int64_t y, int r, int g, int b)
{
    uint8_t *p = fake_px(s, 0, x, y);
    p[0] = (uint8_t)r, p[1] = (uint8_t)g, p[2] = (uint8_t)b;
}

static void glass(mt_slide *s)
{
    const mt_level *l = &s->info.levels[0];
    for (int64_t y = 0; y < l->height; y++)
        for (int64_t x = 0; x < l->width; x++) {
            int n = (int)(noise((uint32_t)x, (uint32_t)y) % 7) - 3;
            colour(s, x, y, 241 + n, 240 + n / 2, 242 - n);
        }
}

static void disc(mt_slide *s, double cx, double cy, double rad, int r, int g, int b)
{
    const mt_level *l = &s->info.levels[0];
    for (int64_t y = (int64_t)fmax(cy - rad, 0); y <= cy + rad && y < l->height; y++)
        for (int64_t x = (int64_t)fmax(cx - rad, 0); x <= cx + rad && x < l->width; x++)
            if ((x - cx) * (x - cx) + (y - cy) * (y - cy) <= rad * rad) {
                int n = (int)(noise((uint32_t)x, (uint32_t)y) % 41) - 20;
                colour(s, x, y, r + n, g + n, b + n / 2);
            }
}

/* Eosin-like tissue with a large and a small hole, a speck, ragged nuclei: at 1 um/px. */
static void picture(mt_slide *s)
{
    glass(s);
    disc(s, 900, 800, 600, 215, 150, 195);
    disc(s, 1100, 900, 200, 120, 80, 150);
    disc(s, 700, 700, 150, 241, 240, 242);   /* 70,000 um2: stays a hole */
    disc(s, 1000, 400, 60, 241, 240, 242);   /* 11,000 um2: is filled */
    disc(s, 1800, 200, 60, 200, 130, 190);   /* 11,000 um2: a speck */
    disc(s, 1800, 1300, 160, 190, 120, 180); /* 80,000 um2: a piece */
}

static mt_slide *flat_slide(int32_t w, int32_t h, double mpp, int32_t tile)
{
    mt_slide *s = fake_new(mpp);
    fake_level(s, 0, w, h, 1.0, tile, tile);
    return s;
}

static mt_tissue *detect(const mt_slide *s, int threads)
{
    mt_err e = MT_ERR_INIT;
    mt_tissue *t;
    mt_tissue_opts o = MT_TISSUE_OPTS_INIT;
    o.threads = threads;
    tt_ok(mt_tissue_detect(&t, s, &o, &e), &e);
    return t;
}

static double iou(const mt_tissue *a, const mt_tissue *b)
{
    assert_int_equal(a->width, b->width);
    assert_int_equal(a->height, b->height);
    size_t both = 0, either = 0;
    for (int32_t i = 0; i < a->width * a->height; i++) {
        both += a->mask[i] && b->mask[i];
        either += a->mask[i] || b->mask[i];
    }
    return (double)both / (double)either;
}

static bool is_tissue(const mt_tissue *t, double x, double y)
{
    return t->mask[(int)(y / t->px_l0) * t->width + (int)(x / t->px_l0)];
}

static void specks_go_and_holes_close(void **state)
{
    mt_slide *s = flat_slide(2200, 1700, 1.0, 240);
    picture(s);
    mt_tissue *t = detect(s, 2);
    assert_int_equal(t->n_pieces, 2);
    assert_true(is_tissue(t, 900, 1300));
    assert_true(is_tissue(t, 1100, 900));
    assert_true(!is_tissue(t, 700, 700));
    assert_true(is_tissue(t, 1000, 400));
    assert_true(!is_tissue(t, 1800, 200));
    assert_true(is_tissue(t, 1800, 1300));
    assert_true(!is_tissue(t, 50, 50));
    double want = 3.14159265 * (600 * 600 - 150 * 150 + 160 * 160) * 1e-6;
    assert_true(fabs(t->tissue_mm2 - want) < 0.03 * want);
    assert_true(fabs(t->slide_mm2 - 2200 * 1700 * 1e-6) < 1e-9);
    mt_tissue_free(&t);

    mt_tissue_opts o = MT_TISSUE_OPTS_INIT;
    mt_err e = MT_ERR_INIT;
    o.min_speck_um2 = 0;
    o.max_hole_um2 = 0;
    tt_ok(mt_tissue_detect(&t, s, &o, &e), &e);
    assert_true(t->n_pieces >= 3); /* a rim may come off in single pixels */
    assert_true(is_tissue(t, 1800, 200));
    assert_true(!is_tissue(t, 1000, 400));
    mt_tissue_free(&t);
    mt_slide_close(&s);
}

/* The same picture with the levels of one scanner, of another, and with none. */
static void same_mask_whatever_the_pyramid(void **state)
{
    mt_slide *flat = flat_slide(2203, 1709, 1.0, 240), *a = flat_slide(2203, 1709, 1.0, 256),
             *b = flat_slide(2203, 1709, 1.0, 64);
    picture(flat), picture(a), picture(b);
    fake_reduce(a, 1, 2, 256);
    fake_reduce(a, 2, 4, 100);
    fake_reduce(a, 3, 8, 256);
    fake_reduce(b, 1, 4, 64);
    fake_reduce(b, 2, 16, 64);
    mt_tissue *tf = detect(flat, 1), *ta = detect(a, 2), *tb = detect(b, 3);
    assert_int_equal(tf->source_level, 0);
    assert_int_equal(ta->source_level, 3);
    assert_int_equal(tb->source_level, 1);
    assert_true(iou(tf, ta) >= 0.98 && iou(tf, tb) >= 0.98 && iou(ta, tb) >= 0.98);
    flat->max_reduce = 8; /* and by the codec */
    mt_tissue *tr = detect(flat, 2);
    assert_true(iou(tf, tr) >= 0.98);

    mt_plan_opts o = MT_PLAN_OPTS_INIT;
    o.tile_px = 100;
    mt_plan *pf, *pa;
    mt_err e = MT_ERR_INIT;
    tt_ok(mt_plan_make(&pf, flat, tf, &o, &e), &e);
    tt_ok(mt_plan_make(&pa, a, ta, &o, &e), &e);
    size_t i = 0, k = 0, same = 0;
    while (i < pf->n_tiles && k < pa->n_tiles) {
        const mt_tile *x = &pf->tiles[i], *y = &pa->tiles[k];
        int order = x->col != y->col ? x->col - y->col : x->row - y->row;
        same += order == 0;
        i += order <= 0;
        k += order >= 0;
    }
    assert_true(pf->n_tiles > 90 && same + 1 >= pf->n_tiles && same + 1 >= pa->n_tiles);
    mt_plan_free(&pf), mt_plan_free(&pa);
    mt_tissue_free(&tf), mt_tissue_free(&ta), mt_tissue_free(&tb), mt_tissue_free(&tr);
    mt_slide_close(&flat), mt_slide_close(&a), mt_slide_close(&b);
}

/* Tiles that cut mask pixels in every way; slides coarser and finer than the mask. */
static void same_bits_for_any_threads(void **state)
{
    static const struct {
        int32_t w, h, tile;
        double mpp;
    } cases[] = {
        {2203, 1709, 37, 1.0}, {2203, 1709, 240, 0.7}, {1600, 1200, 1600, 1.3},
        {900, 700, 64, 11.0},  {640, 480, 16, 8.0},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        mt_slide *s = flat_slide(cases[k].w, cases[k].h, cases[k].mpp, cases[k].tile);
        picture(s);
        s->jitter = 1;
        mt_tissue *one = detect(s, 1);
        assert_true(one->tissue_mm2 > 0);
        static const int threads[] = {2, 5, 16};
        for (int i = 0; i < 3; i++) {
            mt_tissue *t = detect(s, threads[i]);
            assert_memory_equal(one->mask, t->mask, (size_t)t->width * (size_t)t->height);
            assert_true(one->threshold == t->threshold && one->tissue_mm2 == t->tissue_mm2);
            mt_tissue_free(&t);
        }
        mt_tissue_free(&one);
        mt_slide_close(&s);
    }
}

static void paint(mt_slide *s, int r, int g, int b, int spread)
{
    const mt_level *l = &s->info.levels[0];
    for (int64_t y = 0; y < l->height; y++)
        for (int64_t x = 0; x < l->width; x++) {
            int n = spread ? (int)(noise((uint32_t)x, (uint32_t)y) % (unsigned)(2 * spread + 1)) -
                                 spread
                           : 0;
            colour(s, x, y, r + n, g + n, b + n);
        }
}

/* All of one kind: full or empty, never a threshold through the noise. */
static void extremes(void **state)
{
    static const struct {
        int r, g, b, spread;
        double share;
        const char *what;
    } cases[] = {
        {255, 255, 255, 0, 0, "white padding"}, {0, 0, 0, 0, 0, "black padding"},
        {240, 240, 241, 6, 0, "glass"},         {236, 238, 230, 4, 0, "tinted glass"},
        {150, 150, 150, 10, 0, "shadow"},       {20, 20, 24, 8, 0, "black ink"},
        {30, 50, 170, 10, 0, "blue ink"},       {20, 120, 60, 10, 0, "green ink"},
        {210, 150, 190, 20, 1, "eosin"},        {130, 90, 160, 25, 1, "nuclei"},
        {235, 205, 225, 5, 1, "pale stroma"},   {226, 205, 220, 3, 1, "paler stroma"},
        {150, 110, 70, 20, 1, "DAB"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        mt_slide *s = flat_slide(800, 640, 1.0, 128);
        paint(s, cases[k].r, cases[k].g, cases[k].b, cases[k].spread);
        mt_tissue *t = detect(s, 1);
        double share = mt_tissue_fraction(t, 0, 0, 800, 640);
        if (fabs(share - cases[k].share) > 1e-12)
            fail_msg("%s: %g is tissue", cases[k].what, share);
        assert_int_equal(t->n_pieces, cases[k].share > 0);
        mt_tissue_free(&t);
        mt_slide_close(&s);
    }
}

static void pen_and_padding_beside_tissue(void **state)
{
    mt_slide *s = flat_slide(2200, 1700, 1.0, 240);
    picture(s);
    for (int64_t y = 100; y < 130; y++)
        for (int64_t x = 100; x < 1500; x++)
            colour(s, x, y, 35, 60, 180);
    for (int64_t y = 1500; y < 1700; y++)
        for (int64_t x = 0; x < 2200; x++)
            colour(s, x, y, 0, 0, 0);
    for (int64_t y = 0; y < 1700; y++)
        for (int64_t x = 2000; x < 2200; x++)
            colour(s, x, y, 255, 255, 255);
    mt_tissue *t = detect(s, 2);
    assert_int_equal(t->n_pieces, 2);
    assert_true(!is_tissue(t, 400, 115));
    assert_true(!is_tissue(t, 1100, 1600));
    assert_true(is_tissue(t, 900, 1300));
    mt_tissue_free(&t);
    mt_slide_close(&s);
}

static void bad_tiles_are_glass_and_faults_are_errors(void **state)
{
    mt_slide *s = flat_slide(2200, 1700, 1.0, 240);
    picture(s);
    s->bad_tx = 4, s->bad_ty = 4, s->bad_status = MT_ERR_FORMAT;
    mt_tissue *t = detect(s, 2);
    assert_true(!is_tissue(t, 1080, 1080));
    assert_true(is_tissue(t, 900, 900));
    mt_tissue_free(&t);
    s->bad_status = MT_ERR_IO;
    mt_tissue_opts o = MT_TISSUE_OPTS_INIT;
    mt_err e = MT_ERR_INIT;
    assert_int_equal(mt_tissue_detect(&t, s, &o, &e), MT_ERR_IO);
    assert_null(t);
    s->bad_tx = -1;
    mt_err_clear(&e);
    atomic_store(&s->fault, 1);
    assert_int_equal(mt_tissue_detect(&t, s, &o, &e), MT_ERR_IO);
    mt_err_clear(&e);
    s->info.mpp_x = s->info.mpp_y = 0;
    assert_int_equal(mt_tissue_detect(&t, s, &o, &e), MT_ERR_SPACING);
    mt_slide_close(&s);
}

static mt_tissue *random_mask(int32_t w, int32_t h, unsigned percent, uint32_t seed)
{
    mt_tissue *t = calloc(1, sizeof *t);
    *t = (mt_tissue){.width = w,
                     .height = h,
                     .px_l0 = 7.3,
                     .mask_mpp = 8,
                     .mask = malloc((size_t)w * (size_t)h)};
    t->slide_w = (int64_t)(w * t->px_l0) - 3;
    t->slide_h = (int64_t)(h * t->px_l0) - 5;
    for (int32_t i = 0; i < w * h; i++)
        t->mask[i] = noise((uint32_t)i, seed) % 100 < percent ? 255 : 0;
    return t;
}

static double overlap(double a0, double a1, double b0, double b1)
{
    return fmax(fmin(a1, b1) - fmax(a0, b0), 0);
}

static void fraction_is_exact(void **state)
{
    mt_tissue *t = random_mask(101, 83, 40, 7);
    for (int round = 0; round < 2; round++) { /* by counting, then through the sums */
        for (uint32_t k = 0; k < 400; k++) {
            double x = (int)(noise(k, 1) % 900) - 100 + (noise(k, 2) % 100) / 100.0,
                   y = (int)(noise(k, 3) % 700) - 90.5;
            double w = 1 + noise(k, 4) % 500 + 0.25, h = (noise(k, 5) % 900) / 3.0 + 0.01, sum = 0;
            for (int32_t r = 0; r < t->height; r++)
                for (int32_t c = 0; c < t->width; c++)
                    if (t->mask[r * t->width + c])
                        sum +=
                            overlap(c * t->px_l0, fmin((c + 1) * t->px_l0, t->slide_w), x, x + w) *
                            overlap(r * t->px_l0, fmin((r + 1) * t->px_l0, t->slide_h), y, y + h);
            double got = mt_tissue_fraction(t, x, y, w, h);
            if (fabs(got - sum / (w * h)) > 1e-9)
                fail_msg("box %g,%g %gx%g: %.12g, not %.12g", x, y, w, h, got, sum / (w * h));
        }
        if (!round) tt_ok(mask_index(t, NULL), NULL);
    }
    assert_true(mt_tissue_fraction(t, 5000, 0, 10, 10) == 0);
    assert_true(mt_tissue_fraction(t, 10, 10, 0, 10) == 0);
    mt_tissue_free(&t);
}

/* Pieces by the plainest of flood fills. */
static void flood(const uint8_t *m, int *label, int w, int h, int x, int y, bool tissue, int id)
{
    int *stack = malloc(sizeof(int) * (size_t)(w * h + 1)), n = 0;
    label[y * w + x] = id;
    stack[n++] = y * w + x;
    while (n) {
        int i = stack[--n];
        for (int dy = -1; dy <= 1; dy++)
            for (int dx = -1; dx <= 1; dx++) {
                int u = i % w + dx, v = i / w + dy;
                if ((tissue && dx && dy) || u < 0 || v < 0 || u >= w || v >= h) continue;
                if ((m[v * w + u] != 0) != tissue || label[v * w + u]) continue;
                label[v * w + u] = id;
                stack[n++] = v * w + u;
            }
    }
    free(stack);
}

static void pieces_match_flood_fill(void **state)
{
    for (uint32_t seed = 0; seed < 12; seed++) {
        int w = 1 + (int)(noise(seed, 90) % 60), h = 1 + (int)(noise(seed, 91) % 60);
        mt_tissue *t = random_mask(w, h, 30 + seed * 4, seed);
        for (int kind = 0; kind < 2; kind++) {
            int *label = calloc((size_t)(w * h), sizeof *label), n = 0;
            for (int i = 0; i < w * h; i++)
                if ((t->mask[i] != 0) == (kind == 1) && !label[i])
                    flood(t->mask, label, w, h, i % w, i / w, kind == 1, ++n);
            shapes s;
            tt_ok(shapes_find(&s, t->mask, w, h, kind == 1, NULL), NULL);
            assert_int_equal(s.n_pieces, n);
            uint32_t *of = calloc((size_t)n + 1, sizeof *of),
                     *area = calloc((size_t)n + 1, sizeof *area);
            for (int i = 0; i < w * h; i++) {
                if (!label[i]) continue;
                uint32_t piece = shapes_piece_at(&s, i % w, i / w) + 1;
                if (!of[label[i]]) of[label[i]] = piece;
                assert_int_equal(of[label[i]], piece);
                area[label[i]]++;
            }
            for (int l = 1; l <= n; l++)
                assert_int_equal(s.area[of[l] - 1], area[l]);
            shapes_free(&s);
            free(of), free(area), free(label);
        }
        mt_tissue_free(&t);
    }
}

/* Painting the rings again gives the mask; no ring comes twice through a point; one outer ring a
 * piece. */
static void outlines_are_valid_and_complete(void **state)
{
    for (uint32_t seed = 0; seed < 30; seed++) {
        int w = 1 + (int)(noise(seed, 70) % 40), h = 1 + (int)(noise(seed, 71) % 40);
        mt_tissue *t = random_mask(w, h, 20 + seed * 5 / 2, seed);
        outlines o;
        tt_ok(outlines_find(&o, t->mask, w, h, NULL), NULL);
        uint8_t *again = calloc((size_t)(w * h), 1);
        uint32_t outer = 0;
        for (size_t r = 0; r < o.n_rings; r++) {
            const outline_ring *ring = &o.rings[r];
            outer += !ring->hole;
            assert_true(ring->n >= 4);
            if (r == 0 || o.rings[r - 1].piece != ring->piece)
                assert_true(!ring->hole);
            else
                assert_true(ring->hole); /* one outer ring, then holes */
            for (size_t i = 0; i < ring->n; i++) {
                const int32_t *p = o.points[ring->begin + i],
                              *q = o.points[ring->begin + (i + 1) % ring->n];
                assert_true((p[0] == q[0]) != (p[1] == q[1]));
                for (size_t k = i + 1; k < ring->n; k++)
                    assert_true(p[0] != o.points[ring->begin + k][0] ||
                                p[1] != o.points[ring->begin + k][1]);
                if (p[0] != q[0]) continue; /* an upright side toggles what lies to its right */
                for (int y = p[1] < q[1] ? p[1] : q[1]; y < (p[1] < q[1] ? q[1] : p[1]); y++)
                    for (int x = p[0]; x < w; x++)
                        again[y * w + x] ^= 255;
            }
        }
        assert_memory_equal(again, t->mask, (size_t)(w * h));
        shapes s;
        tt_ok(shapes_find(&s, t->mask, w, h, true, NULL), NULL);
        assert_int_equal(outer, s.n_pieces);
        shapes_free(&s);
        outlines_free(&o);
        free(again);
        mt_tissue_free(&t);
    }
}

static void files_say_the_same(void **state)
{
    mt_err e = MT_ERR_INIT;
    mt_tissue *t = random_mask(90, 70, 45, 3);
    const char *png = tt_tmp_file("mask.png"), *gj = tt_tmp_file("mask.geojson"),
               *gj2 = tt_tmp_file("mask2.geojson");
    tt_ok(mt_tissue_write_png(t, png, &e), &e);
    png_image img = {.version = PNG_IMAGE_VERSION};
    assert_true(png_image_begin_read_from_file(&img, png));
    img.format = PNG_FORMAT_GRAY;
    assert_int_equal(img.width, 90);
    assert_int_equal(img.height, 70);
    uint8_t px[90 * 70];
    assert_true(png_image_finish_read(&img, NULL, px, 90, NULL));
    assert_memory_equal(px, t->mask, sizeof px);

    tt_ok(mt_tissue_write_geojson(t, gj, &e), &e);
    tt_ok(mt_tissue_write_geojson(t, gj2, &e), &e);
    uint8_t *a, *b;
    size_t na, nb;
    tt_ok(mt_file_read(&a, &na, gj, 1 << 24, &e), &e);
    tt_ok(mt_file_read(&b, &nb, gj2, 1 << 24, &e), &e);
    assert_int_equal(na, nb);
    assert_memory_equal(a, b, na);
    free(a), free(b);

    json_t *root;
    tt_ok(mt_json_load(&root, gj, 1 << 24, &e), &e);
    json_t *features = json_object_get(root, "features");
    shapes s;
    tt_ok(shapes_find(&s, t->mask, 90, 70, true, NULL), NULL);
    assert_int_equal(json_array_size(features), s.n_pieces);
    shapes_free(&s);
    for (size_t i = 0; i < json_array_size(features); i++) {
        json_t *f = json_array_get(features, i), *props = json_object_get(f, "properties");
        const char *id = json_string_value(json_object_get(f, "id"));
        assert_int_equal(strlen(id), 36);
        assert_true(id[14] == '8' && strchr("89ab", id[19]));
        assert_string_equal(json_string_value(json_object_get(props, "objectType")), "annotation");
        assert_string_equal(
            json_string_value(json_object_get(json_object_get(props, "classification"), "name")),
            "Tissue");
        json_t *rings = json_object_get(json_object_get(f, "geometry"), "coordinates");
        for (size_t r = 0; r < json_array_size(rings); r++) {
            json_t *ring = json_array_get(rings, r);
            assert_true(json_equal(json_array_get(ring, 0),
                                   json_array_get(ring, json_array_size(ring) - 1)));
        }
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(
                id, json_string_value(json_object_get(json_array_get(features, k), "id")));
    }
    json_decref(root);

    /* Read back as a ROI it covers what the mask covers. */
    mt_roi *roi;
    mt_roi_sweep *sweep;
    tt_ok(mt_roi_load(&roi, gj, &e), &e);
    tt_ok(mt_roi_sweep_new(&sweep, roi, &e), &e);
    for (int32_t y = 0; y < 70; y++) {
        const mt_roi_span *spans;
        size_t n;
        tt_ok(
            mt_roi_sweep_line(&spans, &n, sweep, fmin((y + 0.5) * t->px_l0, t->slide_h - 0.01), &e),
            &e);
        for (int32_t x = 0; x < 90; x++) {
            double at = fmin((x + 0.5) * t->px_l0, t->slide_w - 0.01);
            bool in = false;
            for (size_t i = 0; i < n; i++)
                in |= at >= spans[i].x0 && at < spans[i].x1;
            assert_int_equal(in, t->mask[y * 90 + x] != 0);
        }
    }
    mt_roi_sweep_free(&sweep);
    mt_roi_free(&roi);
    mt_tissue_free(&t);

    t = random_mask(9, 7, 0, 3);
    tt_ok(mt_tissue_write_geojson(t, gj, &e), &e);
    tt_ok(mt_json_load(&root, gj, 1 << 24, &e), &e);
    assert_int_equal(json_array_size(json_object_get(root, "features")), 0);
    json_decref(root);
    mt_tissue_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(specks_go_and_holes_close),
        cmocka_unit_test(same_mask_whatever_the_pyramid),
        cmocka_unit_test(same_bits_for_any_threads),
        cmocka_unit_test(extremes),
        cmocka_unit_test(pen_and_padding_beside_tissue),
        cmocka_unit_test(bad_tiles_are_glass_and_faults_are_errors),
        cmocka_unit_test(fraction_is_exact),
        cmocka_unit_test(pieces_match_flood_fill),
        cmocka_unit_test(outlines_are_valid_and_complete),
        cmocka_unit_test(files_say_the_same),
    };
    return cmocka_run_group_tests_name("tissue", tests, NULL, NULL);
}
