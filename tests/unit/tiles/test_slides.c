/* The tiles room on slides as files: drawn ones and real ones. */
#include "tests/support/support.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <tiffio.h>
#include "base/file.h"
#include "microtome/bench.h"
#include "microtome/qc.h"
#include "microtome/synth.h"
#include "slide/slide.h"
#include "tiles/fetch/fetch.h"

static mt_synth_opts drawing(mt_synth_layout layout, int tile, int pen)
{
    mt_synth_opts o = MT_SYNTH_OPTS_INIT;
    o.width = 5000;
    o.height = 4100;
    o.seed = 11;
    o.layout = layout;
    o.tile_px = tile;
    o.pen = pen;
    return o;
}

static const char *drawn(const char *name, mt_synth_layout layout, int tile, int pen)
{
    const char *path = tt_tmp_file(name);
    mt_synth_opts o = drawing(layout, tile, pen);
    mt_err e = MT_ERR_INIT;
    tt_ok(mt_synth_write(path, &o, NULL, NULL, 0, NULL, NULL, &e), &e);
    return path;
}

static mt_slide *opened(const char *path, double assume)
{
    mt_slide *s;
    mt_err e = MT_ERR_INIT;
    mt_slide_opts o = MT_SLIDE_OPTS_INIT;
    o.assume_mpp = assume;
    tt_ok(mt_slide_open(&s, path, &o, &e), &e);
    return s;
}

static mt_plan *planned(const mt_slide *s, int32_t tile, double mpp, double overlap)
{
    mt_plan *p;
    mt_err e = MT_ERR_INIT;
    mt_plan_opts o = MT_PLAN_OPTS_INIT;
    o.tile_px = tile;
    o.mpp = mpp;
    o.overlap = overlap;
    o.whole_slide = 1;
    tt_ok(mt_plan_make(&p, s, NULL, &o, &e), &e);
    return p;
}

typedef struct against {
    const mt_slide *slide;
    const mt_plan *plan;
    _Atomic int bad, seen;
} against;

static mt_status compare(void *ctx, int worker, const mt_fetched *f, int n, mt_err *err)
{
    against *a = ctx;
    int32_t px = a->plan->out_px;
    int64_t ds = (int64_t)a->plan->level_downsample;
    uint8_t *want = malloc((size_t)px * (size_t)px * 3);
    for (int i = 0; i < n; i++) {
        const mt_tile *t = &a->plan->tiles[f[i].tile];
        if (mt_slide_read_region(a->slide, a->plan->level, t->x_l0 / ds, t->y_l0 / ds, px, px, want,
                                 (size_t)px * 3, err))
            a->bad++;
        else
            a->bad += f[i].unreadable || memcmp(want, f[i].rgb, (size_t)px * (size_t)px * 3) != 0;
        a->seen++;
    }
    free(want);
    return MT_OK;
}

static void crops_are_regions(const char *path, double assume)
{
    if (!path) return;
    mt_slide *s = opened(path, assume);
    const mt_slide_info *info = mt_slide_get_info(s);
    double mpp = info->mpp_x;
    for (int level = 0; level < info->n_levels; level++) {
        double ds = nearbyint(info->levels[level].downsample);
        if (fabs(ds - info->levels[level].downsample) > 1e-9) continue;
        mt_plan *p = planned(s, level ? 100 : 333, mpp * ds, level ? 0.25 : 0);
        if (p->level != level ||
            p->resample != 1.0) { /* a finer level serves as well, or the box is rounded */
            mt_plan_free(&p);
            continue;
        }
        against a = {s, p, 0, 0};
        mt_fetch_opts f = MT_FETCH_OPTS_INIT;
        mt_fetch_stats st;
        mt_err e = MT_ERR_INIT;
        f.threads = 2;
        tt_ok(mt_fetch_run(s, p, &f, compare, &a, &st, &e), &e);
        if (a.bad)
            fail_msg("%s level %d: %d of %d crops differ", mt_path_base(path), level, (int)a.bad,
                     (int)a.seen);
        assert_int_equal(a.seen, p->n_tiles);
        assert_int_equal(st.native_decoded, st.native_needed);
        assert_true(st.native_decoded <=
                    (uint64_t)(info->levels[level].tiles_x * info->levels[level].tiles_y));
        mt_plan_free(&p);
    }
    mt_slide_close(&s);
}

static void crops_of_drawn_slides(void **state)
{
    crops_are_regions(drawn("a.svs", MT_SYNTH_SVS, 240, 0), 0.5);
    crops_are_regions(drawn("b.tif", MT_SYNTH_TIFF, 256, 0), 0.5);
}

static void crops_of_real_slides(void **state)
{
    static const struct {
        const char *name;
        double assume;
    } slides[] = {
        {"slides/CMU-1-Small-Region.svs", 0},
        {"slides/TCGA-CR-7395-01A-01-TS1.svs", 0.5},
        {"slides/test3-DAPI-2-387.ndpi", 0},
        {"slides/OS-1-detail.ome.tif", 0.5},
        {"dicom-wsi/cmu-1-small-region", 0},
        {"dicom-wsi/camelyon-jpeg.dcm", 0.5},
        {"dicom-wsi/boxes", 0.5},
    };
    int found = 0;
    for (size_t i = 0; i < sizeof slides / sizeof *slides; i++) {
        const char *path = tt_data(slides[i].name);
        if (path) found++;
        crops_are_regions(path, slides[i].assume);
    }
    if (!found) skip();
}

static mt_tissue *tissue(const mt_slide *s, int threads)
{
    mt_tissue *t;
    mt_err e = MT_ERR_INIT;
    mt_tissue_opts o = MT_TISSUE_OPTS_INIT;
    o.threads = threads;
    tt_ok(mt_tissue_detect(&t, s, &o, &e), &e);
    return t;
}

static double iou(const mt_tissue *a, const mt_tissue *b)
{
    assert_true(a->width == b->width && a->height == b->height);
    size_t both = 0, either = 0;
    for (int32_t i = 0; i < a->width * a->height; i++) {
        both += a->mask[i] && b->mask[i];
        either += a->mask[i] || b->mask[i];
    }
    assert_true(either > 0);
    return (double)both / (double)either;
}

/* Ink is no tissue, but takes none away beside itself: overlap where no ink was drawn, two mask
 * pixels around it left out. */
static double iou_beside_ink(const mt_tissue *a, const mt_tissue *b, const mt_synth_opts *o)
{
    const int32_t w = a->width, h = a->height;
    uint8_t *bits = calloc((size_t)w, (size_t)h);
    size_t both = 0, either = 0, inked = 0;
    mt_synth_artefacts(bits, (size_t)w, o, 0, 0, a->px_l0, w, h);
    for (int32_t y = 2; y < h - 2; y++)
        for (int32_t x = 2; x < w - 2; x++) {
            bool ink = false;
            for (int32_t j = -2; j <= 2; j++)
                for (int32_t i = -2; i <= 2; i++)
                    ink |= (bits[(y + j) * w + x + i] & MT_QC_PEN) != 0;
            inked += ink;
            if (ink) continue;
            both += a->mask[y * w + x] && b->mask[y * w + x];
            either += a->mask[y * w + x] || b->mask[y * w + x];
        }
    free(bits);
    assert_true(inked > 0 && either > 0);
    return (double)both / (double)either;
}

/* The same picture without a pyramid and without loss. */
static const char *flat(const char *name)
{
    const char *path = tt_tmp_file(name);
    mt_synth_opts o = MT_SYNTH_OPTS_INIT;
    o.width = 5000, o.height = 4100, o.seed = 11;
    TIFF *t = TIFFOpen(path, "w");
    assert_non_null(t);
    TIFFSetField(t, TIFFTAG_IMAGEWIDTH, 5000);
    TIFFSetField(t, TIFFTAG_IMAGELENGTH, 4100);
    TIFFSetField(t, TIFFTAG_TILEWIDTH, 512);
    TIFFSetField(t, TIFFTAG_TILELENGTH, 512);
    TIFFSetField(t, TIFFTAG_BITSPERSAMPLE, 8);
    TIFFSetField(t, TIFFTAG_SAMPLESPERPIXEL, 3);
    TIFFSetField(t, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_RGB);
    TIFFSetField(t, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
    TIFFSetField(t, TIFFTAG_COMPRESSION, COMPRESSION_LZW);
    TIFFSetField(t, TIFFTAG_RESOLUTIONUNIT, RESUNIT_CENTIMETER);
    TIFFSetField(t, TIFFTAG_XRESOLUTION, 20000.0);
    TIFFSetField(t, TIFFTAG_YRESOLUTION, 20000.0);
    uint8_t *px = malloc(512 * 512 * 3);
    for (int y = 0; y < 4100; y += 512)
        for (int x = 0; x < 5000; x += 512) {
            mt_synth_render(px, 512 * 3, &o, x, y, 512, 512);
            assert_true(TIFFWriteTile(t, px, (uint32_t)x, (uint32_t)y, 0, 0) > 0);
        }
    free(px);
    TIFFClose(t);
    return path;
}

/* Two scanners' ways of storing one picture, and none at all; and the truth of what was drawn. */
/* Every crop of a plan. */
typedef struct likeness {
    const mt_plan *plan;
    uint8_t *px;
} likeness;

static mt_status keep(void *ctx, int worker, const mt_fetched *f, int n, mt_err *err)
{
    likeness *l = ctx;
    size_t bytes = (size_t)l->plan->out_px * (size_t)l->plan->out_px * 3;
    for (int i = 0; i < n; i++) memcpy(l->px + f[i].tile * bytes, f[i].rgb, bytes);
    return MT_OK;
}

static uint8_t *all_crops(const mt_slide *s, const mt_plan *p, int fast, int threads, mt_fetch_stats *st)
{
    mt_err e = MT_ERR_INIT;
    mt_fetch_opts f = MT_FETCH_OPTS_INIT;
    likeness l = {p, calloc(p->n_tiles, (size_t)p->out_px * (size_t)p->out_px * 3)};
    f.threads = threads;
    f.fast = fast;
    tt_ok(mt_fetch_run(s, p, &f, keep, &l, st, &e), &e);
    return l.px;
}

/* Greatest and mean difference of two sets of bytes. */
static void differ(int *most, double *mean, const uint8_t *a, const uint8_t *b, size_t n)
{
    double sum = 0;
    *most = 0;
    for (size_t i = 0; i < n; i++) {
        const int d = abs(a[i] - b[i]);
        sum += d;
        *most = MT_MAX(*most, d);
    }
    *mean = sum / (double)n;
}

static mt_slide *drawn_as(const char *name, int subsampling, int rgb)
{
    mt_synth_opts o = MT_SYNTH_OPTS_INIT;
    mt_err e = MT_ERR_INIT;
    const char *path = tt_tmp_file(name);
    o.width = 3001, o.height = 2203, o.seed = 12, o.subsampling = subsampling, o.rgb = rgb;
    o.threads = 2;
    tt_ok(mt_synth_write(path, &o, NULL, NULL, 0, NULL, NULL, &e), &e);
    return opened(path, 0);
}

/* Fast scaling is the exact way but for roundings (and, at 8 times, a codec that halves first), and does
 * not depend on threads. */
static void fast_scaling_is_near(void **state)
{
    static const struct {
        const char *name;
        int subsampling, rgb;
    } slides[] = {{"fast420.svs", 420, 0}, {"fast444.svs", 444, 0}, {"fastrgb.svs", 444, 1}};
    static const struct {
        double times;
        const char *way;
        int reduced, most;
        double mean; /* levels of 255 */
    } cases[] = {{2, "samples", 1, 8, 0.5}, {1.9, "samples", 1, 8, 0.5}, {1.27, "samples", 1, 12, 0.6},
                 {4, "exact", 1, 0, 0}, {7.8, "samples", 1, 8, 0.5}}; /* the pyramid has 4, and 7.8 from it */
    for (size_t i = 0; i < MT_COUNT(slides); i++) {
        mt_slide *s = drawn_as(slides[i].name, slides[i].subsampling, slides[i].rgb);
        const double mpp = mt_slide_get_info(s)->mpp_x;
        for (size_t k = 0; k < MT_COUNT(cases); k++) {
            mt_plan *p = planned(s, 96, mpp * cases[k].times, 0);
            mt_err e = MT_ERR_INIT;
            mt_fetch_stats st;
            mt_fetch_way way;
            const size_t n = p->n_tiles * 96 * 96 * 3;
            uint8_t *exact = all_crops(s, p, 0, 2, &st), *fast = all_crops(s, p, 1, 1, &st),
                    *again = all_crops(s, p, 1, 2, &st);
            int most;
            double mean;
            differ(&most, &mean, exact, fast, n);
            tt_ok(mt_fetch_fast_way(&way, s, p, &e), &e);
            assert_string_equal(way.name, cases[k].way);
            assert_int_equal(way.reduced_by, cases[k].reduced);
            assert_int_equal(st.native_decoded, st.native_needed);
            assert_memory_equal(fast, again, n);
            print_message("%s, %g x: largest difference %d, mean %.3f\n", slides[i].name, cases[k].times,
                          most, mean);
            if (most > cases[k].most || mean > cases[k].mean)
                fail_msg("%s, %g x: fast and exact differ by up to %d levels, %.2f in the mean",
                         slides[i].name, cases[k].times, most, mean);
            free(exact);
            free(fast);
            free(again);
            mt_plan_free(&p);
        }
        mt_slide_close(&s);
    }
}

static void tissue_of_drawn_slides(void **state)
{
    mt_slide *a = opened(drawn("a.svs", MT_SYNTH_SVS, 240, 0), 0),
             *b = opened(drawn("b.tif", MT_SYNTH_TIFF, 256, 0), 0);
    mt_slide *c = opened(drawn("c.svs", MT_SYNTH_SVS, 240, 1), 0), *d = opened(flat("d.tif"), 0);
    mt_tissue *ta = tissue(a, 1), *tb = tissue(b, 2), *tc = tissue(c, 2), *td = tissue(d, 2),
              *again = tissue(a, 3);
    assert_memory_equal(ta->mask, again->mask, (size_t)ta->width * (size_t)ta->height);
    if (iou(ta, tb) < 0.98) fail_msg("pyramids disagree: %.4f", iou(ta, tb));
    assert_true(td->source_level == 0 && ta->source_level > 0);
    if (iou(ta, td) < 0.98) fail_msg("a flat file disagrees: %.4f", iou(ta, td));
    const mt_synth_opts pen = drawing(MT_SYNTH_SVS, 240, 1);
    const double beside = iou_beside_ink(ta, tc, &pen);
    if (beside < 0.995) fail_msg("a pen mark changes the mask beside it: %.4f", beside);
    if (iou(ta, tc) < 0.95) fail_msg("a pen mark changes the mask: %.4f", iou(ta, tc));

    mt_synth_opts o = MT_SYNTH_OPTS_INIT;
    o.width = 5000, o.height = 4100, o.seed = 11;
    double drawn_mm2 = 0, wrong = 0, boxes = 0;
    for (int64_t y = 0; y + 100 <= o.height; y += 100)
        for (int64_t x = 0; x + 100 <= o.width; x += 100) {
            double f[MT_SYNTH_CLASSES];
            mt_synth_truth(f, &o, x, y, 100, 100);
            double stained = 1 - f[MT_SYNTH_GLASS],
                   found = mt_tissue_fraction(ta, (double)x, (double)y, 100, 100);
            drawn_mm2 += stained * 0.0025;
            wrong += (stained > 0.95 && found < 0.5) || (stained < 0.05 && found > 0.5);
            boxes++;
        }
    print_message("tissue found %.3f mm2, drawn %.3f mm2, %.0f of %.0f boxes wrong\n",
                  ta->tissue_mm2, drawn_mm2, wrong, boxes);
    assert_true(fabs(ta->tissue_mm2 - drawn_mm2) < 0.08 * drawn_mm2);
    assert_true(wrong < 0.02 * boxes);
    mt_tissue_free(&ta), mt_tissue_free(&tb), mt_tissue_free(&tc), mt_tissue_free(&td),
        mt_tissue_free(&again);
    mt_slide_close(&a), mt_slide_close(&b), mt_slide_close(&c), mt_slide_close(&d);
}

static void tissue_of_real_slides(void **state)
{
    /* Shares measured by eye on the thumbnails: a skin biopsy on glass, a section that fills its
     * glass. */
    static const struct {
        const char *name;
        double assume, low, high;
        int pieces;
    } slides[] = {
        {"slides/CMU-1-Small-Region.svs", 0, 0.28, 0.42, 1},
        {"slides/TCGA-CR-7395-01A-01-TS1.svs", 0.5, 0.55, 0.72, 1},
        {"slides/OS-1-detail.ome.tif", 0.5, 0.98, 1.0, 1},
    };
    int found = 0;
    for (size_t i = 0; i < sizeof slides / sizeof *slides; i++) {
        const char *path = tt_data(slides[i].name);
        if (!path) continue;
        mt_slide *s = opened(path, slides[i].assume);
        mt_tissue *t = tissue(s, 2);
        double share = t->tissue_mm2 / t->slide_mm2;
        if (share < slides[i].low || share > slides[i].high || t->n_pieces != slides[i].pieces)
            fail_msg("%s: %.3f is tissue, %d pieces", slides[i].name, share, t->n_pieces);
        mt_tissue_free(&t);
        mt_slide_close(&s);
        found++;
    }
    if (!found) skip();
}

static struct sigaction guard; /* the guarded maps' handler */

static void keep_guard(void)
{
    mt_map m;
    tt_ok(mt_file_write(tt_tmp_file("any"), "any", 3, NULL), NULL);
    if (mt_map_open(&m, tt_tmp_file("any"), NULL) != MT_OK) abort();
    mt_map_close(&m);
    sigaction(SIGBUS, NULL, &guard);
}

typedef struct tally {
    _Atomic int seen, bad;
} tally;
static mt_status count(void *ctx, int worker, const mt_fetched *f, int n, mt_err *err)
{
    tally *t = ctx;
    for (int i = 0; i < n; i++) {
        t->seen++;
        t->bad += f[i].unreadable;
    }
    return MT_OK;
}

/* A native tile overwritten on disk: its crops are flagged, the pass goes on. A file cut short
 * under the map: the pass fails. */
static void damaged_files(void **state)
{
    mt_slide *s = opened(drawn("d.svs", MT_SYNTH_SVS, 240, 0), 0);
    mt_tile_span span;
    mt_map map;
    mt_err e = MT_ERR_INIT;
    tt_ok(mt_slide_tile_span(&span, s, 0, 7, 7, &e), &e);
    tt_ok(mt_map_open(&map, tt_tmp_file("d.svs"), &e), &e);
    long at = -1; /* where the span lies in the file */
    for (size_t i = 0; i + span.size <= map.size && at < 0; i++)
        if (map.data[i] == span.data[0] && !memcmp(map.data + i, span.data, span.size))
            at = (long)i;
    mt_map_close(&map);
    assert_true(at > 0);
    mt_slide_close(&s);
    FILE *f = fopen(tt_tmp_file("d.svs"), "r+b");
    fseek(f, at, SEEK_SET);
    for (size_t i = 0; i < span.size; i++)
        fputc(0x5a, f);
    fclose(f);

    s = opened(tt_tmp_file("d.svs"), 0);
    mt_plan *p = planned(s, 240, 0.5, 0);
    mt_fetch_opts o = MT_FETCH_OPTS_INIT;
    tally t = {0, 0};
    mt_fetch_stats st;
    o.threads = 2;
    tt_ok(mt_fetch_run(s, p, &o, count, &t, &st, &e), &e);
    assert_int_equal(t.seen, p->n_tiles);
    assert_int_equal(t.bad, 1);
    assert_int_equal(st.unreadable, 1);

    sigaction(SIGBUS, &guard, NULL); /* cmocka takes the signal at the start of every test */
    assert_int_equal(truncate(tt_tmp_file("d.svs"), at), 0);
    assert_int_equal(mt_fetch_run(s, p, &o, count, &t, &st, &e), MT_ERR_IO);
    mt_plan_free(&p);
    mt_slide_close(&s);
}

static void bench_gives_figures(void **state)
{
    mt_bench_tiling b;
    mt_err e = MT_ERR_INIT;
    mt_bench_tiling_opts o = MT_BENCH_TILING_OPTS_INIT;
    o.max_crops = 60;
    o.threads = 2;
    o.with_openslide = 1;
    const char *path = drawn("a.svs", MT_SYNTH_SVS, 240, 0);
    tt_ok(mt_bench_run_tiling(&b, path, &o, &e), &e);
    assert_true(b.crops > 0 && b.crops <= 60);
    assert_true(b.mpix == (double)b.crops * 65536e-6 && b.raw_mpix >= b.mpix &&
                b.openslide_mpix == b.mpix);
    assert_true(b.cpu_s > 0 && b.raw_cpu_s > 0 && b.openslide_cpu_s > 0);
    assert_true(b.w_l0 * b.h_l0 == (int64_t)b.crops * 65536);
    o.tile_px = 8000;
    assert_int_equal(mt_bench_run_tiling(&b, path, &o, &e), MT_ERR_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fast_scaling_is_near),
        cmocka_unit_test(crops_of_drawn_slides),  cmocka_unit_test(crops_of_real_slides),
        cmocka_unit_test(tissue_of_drawn_slides), cmocka_unit_test(tissue_of_real_slides),
        cmocka_unit_test(damaged_files),          cmocka_unit_test(bench_gives_figures),
    };
    keep_guard();
    return cmocka_run_group_tests_name("slides", tests, NULL, NULL);
}
