/* Quality control against exact truth, real sections, blur made here, and by hand. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "microtome/qc.h"
#include "microtome/synth.h"
#include "slide/synth/tiff_write.h"
#include "tests/support/support.h"

typedef struct looked {
    mt_slide *slide;
    mt_tissue *tissue;
    mt_qc *qc;
} looked;

static looked look_with(const char *path, double mpp, int threads, int keep)
{
    looked l = {0};
    mt_err err = MT_ERR_INIT;
    mt_slide_opts so = MT_SLIDE_OPTS_INIT;
    mt_tissue_opts to = MT_TISSUE_OPTS_INIT;
    mt_qc_opts qo = MT_QC_OPTS_INIT;
    so.assume_mpp = mpp;
    to.threads = qo.threads = threads;
    to.keep_evidence = keep;
    tt_ok(mt_slide_open(&l.slide, path, &so, &err), &err);
    tt_ok(mt_tissue_detect(&l.tissue, l.slide, &to, &err), &err);
    tt_ok(mt_qc_detect(&l.qc, l.slide, l.tissue, &qo, &err), &err);
    return l;
}

static looked look(const char *path, double mpp)
{
    return look_with(path, mpp, 2, 1);
}

static void put_down(looked *l)
{
    mt_qc_free(&l->qc);
    mt_tissue_free(&l->tissue);
    mt_slide_close(&l->slide);
}

static mt_synth_opts plain(uint64_t seed)
{
    mt_synth_opts o = MT_SYNTH_OPTS_INIT;
    o.width = 6144;
    o.height = 5120;
    o.seed = seed;
    o.threads = 2;
    return o;
}

static looked draw(const char *name, const mt_synth_opts *o)
{
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_synth_write(tt_tmp_file(name), o, NULL, NULL, 256, NULL, NULL, &err), &err);
    looked l = look(tt_tmp_file(name), 0);
    remove(tt_tmp_file(name));
    return l;
}

/* Overlap of a flag with the truth, and the truth's own size, mask pixels. */
static double dice(const looked *l, const mt_synth_opts *o, unsigned bit, size_t *size)
{
    const mt_qc *q = l->qc;
    size_t n = (size_t)q->width * (size_t)q->height, both = 0, ours = 0, theirs = 0;
    uint8_t *truth = malloc(n);
    assert_non_null(truth);
    mt_synth_artefacts(truth, (size_t)q->width, o, 0, 0, q->px_l0, q->width, q->height);
    for (size_t i = 0; i < n; i++) {
        bool a = q->flags[i] & bit, b = truth[i] & bit;
        both += a && b;
        ours += a;
        theirs += b;
    }
    free(truth);
    if (size) *size = theirs;
    return ours + theirs ? 2.0 * (double)both / (double)(ours + theirs) : 1.0;
}

/* ---- against the exact truth ---- */

static void ink_of_every_colour(void **state)
{
    tt_not_under_tsan();
    (void)state;
    mt_synth_opts bare = plain(3);
    looked b = draw("bare.svs", &bare);
    size_t without = 0;
    for (size_t i = 0; i < (size_t)b.qc->width * (size_t)b.qc->height; i++)
        without += b.tissue->mask[i] != 0;
    put_down(&b);
    for (int ink = MT_SYNTH_INK_BLUE; ink < MT_SYNTH_INKS; ink++) {
        mt_synth_opts o = plain(3);
        size_t size;
        o.pen = 1;
        o.pen_colour = ink;
        looked l = draw("ink.svs", &o);
        double d = dice(&l, &o, MT_QC_PEN, &size);
        print_message("ink %d: Dice %.3f\n", ink, d);
        assert_true(size > 2000);
        assert_true(d > 0.85);
        /* it is no tissue: the mask holds hardly any of it, and no less of the rest */
        size_t inked = 0, kept = 0, tissue = 0, n = (size_t)l.qc->width * (size_t)l.qc->height;
        uint8_t *truth = malloc(n);
        mt_synth_artefacts(truth, (size_t)l.qc->width, &o, 0, 0, l.qc->px_l0, l.qc->width, l.qc->height);
        for (size_t i = 0; i < n; i++) {
            bool pen = truth[i] & MT_QC_PEN;
            inked += pen && l.tissue->mask[i];
            tissue += !pen && (truth[i] & MT_QC_TISSUE);
            kept += !pen && (truth[i] & MT_QC_TISSUE) && l.tissue->mask[i];
        }
        free(truth);
        /* black lets tissue shine through in places; its gate is the flag */
        if (ink != MT_SYNTH_INK_BLACK && ink != MT_SYNTH_INK_GREEN) assert_true((double)inked < 0.3 * (double)size);
        assert_true((double)kept > 0.9 * (double)(without - MT_MIN(size, without)));
        assert_true(tissue > 0 && l.qc->figures.share[1] > 0.01);
        put_down(&l);
    }
}

typedef struct plant {
    size_t at; /* offset of the option */
    unsigned bit;
    double least;
} plant;

static void every_artefact(void **state)
{
    tt_not_under_tsan();
    (void)state;
    static const plant plants[] = {{offsetof(mt_synth_opts, bubble), MT_QC_BUBBLE, 0.90},
                                   {offsetof(mt_synth_opts, edge), MT_QC_EDGE, 0.80},
                                   {offsetof(mt_synth_opts, debris), MT_QC_DARK, 0.80},
                                   {offsetof(mt_synth_opts, fold), MT_QC_FOLD, 0.50}};
    for (size_t k = 0; k < MT_COUNT(plants); k++) {
        double sum = 0;
        for (uint64_t seed = 2; seed <= 4; seed++) {
            mt_synth_opts o = plain(seed);
            *(int *)((char *)&o + plants[k].at) = 1;
            looked l = draw("plant.svs", &o);
            double d = dice(&l, &o, plants[k].bit, NULL);
            print_message("artefact %u, seed %d: Dice %.3f\n", plants[k].bit, (int)seed, d);
            sum += d;
            put_down(&l);
        }
        assert_true(sum / 3 > plants[k].least);
    }
}

/* Nothing planted, hardly anything found, whatever the seed drew. */
static void clean_slides_pass(void **state)
{
    tt_not_under_tsan();
    (void)state;
    mt_qc_config c;
    mt_qc_config_default(&c);
    for (uint64_t seed = 1; seed <= 4; seed++) {
        mt_synth_opts o = plain(seed);
        looked l = draw("clean.svs", &o);
        mt_qc_verdict v;
        mt_qc_gate(&v, &l.qc->figures, &c);
        for (int i = 0; i < MT_QC_N; i++)
            assert_true(l.qc->figures.share[i] < 0.02);
        assert_int_equal(v.kind, MT_QC_PASS);
        assert_string_equal(v.reason, "");
        assert_true(l.qc->figures.focus_p50 > 0.33 && l.qc->figures.focus_p50 < 0.60);
        assert_true(l.qc->figures.usable_share > 0.97);
        assert_int_equal(l.qc->figures.n_pieces > 0, 1);
        put_down(&l);
    }
}

/* The planted blur is found where it is, and its share of the tissue is about right. */
static void blur_is_found(void **state)
{
    tt_not_under_tsan();
    (void)state;
    for (uint64_t seed = 2; seed <= 3; seed++) {
        mt_synth_opts o = plain(seed);
        o.width = 8192;
        o.height = 6144;
        o.blur = 1;
        looked l = draw("blur.svs", &o);
        const mt_qc *q = l.qc;
        size_t n = (size_t)q->width * (size_t)q->height, hit = 0, flagged = 0, blurred = 0, tissue = 0;
        uint8_t *truth = malloc(n);
        mt_synth_artefacts(truth, (size_t)q->width, &o, 0, 0, q->px_l0, q->width, q->height);
        for (size_t i = 0; i < n; i++) {
            if (!(q->flags[i] & MT_QC_TISSUE)) continue;
            tissue++;
            hit += (q->flags[i] & MT_QC_FOCUS) && (truth[i] & MT_QC_FOCUS);
            flagged += (q->flags[i] & MT_QC_FOCUS) != 0;
            blurred += (truth[i] & MT_QC_FOCUS) != 0;
        }
        free(truth);
        double share = (double)blurred / (double)tissue;
        print_message("seed %d: %.3f of the tissue blurred, %.3f found, precision %.3f, recall %.3f\n", (int)seed, share,
                      q->figures.share[0], (double)hit / (double)flagged, (double)hit / (double)blurred);
        assert_true((double)hit > 0.80 * (double)flagged);
        assert_true((double)hit > 0.55 * (double)blurred);
        assert_true(fabs(q->figures.share[0] - share) < 0.45 * share);
        put_down(&l);
    }
}

/* A biopsy and a resection of the same tissue, in focus or not, have the same figures. */
static void biopsy_and_resection_compare(void **state)
{
    tt_not_under_tsan();
    (void)state;
    mt_err err = MT_ERR_INIT;
    mt_qc_opts qo = MT_QC_OPTS_INIT;
    mt_synth_opts o = plain(3);
    o.width = 12288;
    o.height = 9216;
    tt_ok(mt_synth_write(tt_tmp_file("large.svs"), &o, NULL, NULL, 256, NULL, NULL, &err), &err);
    looked l = look(tt_tmp_file("large.svs"), 0);
    double whole = l.qc->figures.focus_p50;
    /* needles of half a millimetre out of it: the rest of the mask is wiped away */
    int tried = 0;
    for (int k = 1; k < 5; k++) {
        looked n = look(tt_tmp_file("large.svs"), 0);
        int32_t y0 = n.tissue->height * k / 5, y1 = y0 + 62;
        uint64_t kept = 0;
        for (int32_t y = 0; y < n.tissue->height; y++)
            for (int32_t x = 0; x < n.tissue->width; x++) {
                uint8_t *m = &n.tissue->mask[(size_t)y * (size_t)n.tissue->width + (size_t)x];
                if (y < y0 || y >= y1) *m = 0;
                kept += *m != 0;
            }
        if (kept > 8000) { /* half a square millimetre */
            mt_qc_free(&n.qc);
            tt_ok(mt_qc_detect(&n.qc, n.slide, n.tissue, &qo, &err), &err);
            print_message("needle %d: %.3f against %.3f\n", k, n.qc->figures.focus_p50, whole);
            assert_true(fabs(n.qc->figures.focus_p50 - whole) < 0.05);
            assert_true(n.qc->figures.share[0] < 0.03);
            tried++;
        }
        put_down(&n);
    }
    assert_true(tried >= 2);
    put_down(&l);
    remove(tt_tmp_file("large.svs"));
}

/* ---- blur made here, on real sections ---- */

static void gauss(uint8_t *px, int w, int h, double sigma)
{
    int r = (int)ceil(3 * sigma);
    float k[64], *tmp = malloc((size_t)w * (size_t)h * 3 * sizeof *tmp), sum = 0;
    assert_non_null(tmp);
    for (int i = -r; i <= r; i++)
        sum += k[i + r] = (float)exp(-i * i / (2 * sigma * sigma));
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++)
            for (int c = 0; c < 3; c++) {
                float v = 0;
                for (int i = -r; i <= r; i++)
                    v += k[i + r] * px[((size_t)y * (size_t)w + (size_t)MT_MIN(MT_MAX(x + i, 0), w - 1)) * 3 + (size_t)c];
                tmp[((size_t)y * (size_t)w + (size_t)x) * 3 + (size_t)c] = v / sum;
            }
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++)
            for (int c = 0; c < 3; c++) {
                float v = 0;
                for (int i = -r; i <= r; i++)
                    v += k[i + r] * tmp[((size_t)MT_MIN(MT_MAX(y + i, 0), h - 1) * (size_t)w + (size_t)x) * 3 + (size_t)c];
                px[((size_t)y * (size_t)w + (size_t)x) * 3 + (size_t)c] = (uint8_t)(v / sum + 0.5f);
            }
    free(tmp);
}

/* Level 0 of a slide, blurred, as an uncompressed tiled TIFF. */
static void write_blurred(const char *path, const char *from, double mpp, double sigma_um)
{
    mt_err err = MT_ERR_INIT;
    mt_slide *s = NULL;
    mt_slide_opts so = MT_SLIDE_OPTS_INIT;
    so.assume_mpp = mpp;
    tt_ok(mt_slide_open(&s, from, &so, &err), &err);
    const mt_slide_info *info = mt_slide_get_info(s);
    enum { TILE = 256 };
    int w = (int)info->levels[0].width / TILE * TILE, h = (int)info->levels[0].height / TILE * TILE;
    uint8_t *px = malloc((size_t)w * (size_t)h * 3);
    tt_ok(mt_slide_read_region(s, 0, 0, 0, w, h, px, (size_t)w * 3, &err), &err);
    if (sigma_um > 0) gauss(px, w, h, sigma_um / info->mpp_x);
    mt_tiff_writer *t = NULL;
    mt_tiff_image m = MT_TIFF_IMAGE_INIT;
    m.width = w;
    m.height = h;
    m.tile_w = m.tile_h = TILE;
    m.px_per_cm_x = m.px_per_cm_y = 1e4 / info->mpp_x;
    int index;
    uint8_t *one = malloc(TILE * TILE * 3);
    tt_ok(mt_tiff_writer_open(&t, path, false, &err), &err);
    tt_ok(mt_tiff_writer_image(&index, t, &m, &err), &err);
    for (int ty = 0; ty < h / TILE; ty++)
        for (int tx = 0; tx < w / TILE; tx++) {
            for (int y = 0; y < TILE; y++)
                memcpy(one + (size_t)y * TILE * 3, px + ((size_t)(ty * TILE + y) * (size_t)w + (size_t)tx * TILE) * 3,
                       TILE * 3);
            tt_ok(mt_tiff_writer_put(t, index, (uint64_t)(ty * (w / TILE) + tx), one, TILE * TILE * 3, &err), &err);
        }
    tt_ok(mt_tiff_writer_close(&t, &err), &err);
    free(one);
    free(px);
    mt_slide_close(&s);
}

/* Sharp sections pass, blurred ones do not; sharpness falls with every step of blur. */
static void real_sections_and_their_blur(void **state)
{
    tt_not_under_tsan();
    (void)state;
    static const struct {
        const char *name;
        double mpp;
    } real[] = {{"slides/CMU-1-Small-Region.svs", 0}, {"slides/TCGA-CR-7395-01A-01-TS1.svs", 0.5}};
    static const double sigma[] = {0, 0.7, 1.4, 2.8};
    mt_qc_config c;
    mt_qc_config_default(&c);
    for (size_t k = 0; k < MT_COUNT(real); k++) {
        const char *path = tt_data(real[k].name);
        if (!path) {
            print_message("no %s\n", real[k].name);
            skip();
        }
        looked l = look(path, real[k].mpp);
        mt_qc_verdict v;
        mt_qc_gate(&v, &l.qc->figures, &c);
        assert_int_equal(v.kind, MT_QC_PASS);
        for (int i = 0; i < MT_QC_N; i++)
            assert_true(l.qc->figures.share[i] < 0.02);
        assert_true(l.qc->figures.focus_p50 > 0.40 && l.qc->figures.focus_p50 < 0.70);
        put_down(&l);
        double before = 1;
        for (size_t i = 0; i < MT_COUNT(sigma); i++) {
            write_blurred(tt_tmp_file("blurred.tif"), path, real[k].mpp, sigma[i]);
            looked b = look(tt_tmp_file("blurred.tif"), 0);
            const mt_qc_figures *g = &b.qc->figures;
            mt_qc_gate(&v, g, &c);
            print_message("%s, blur %.1f um: median %.3f, share out of focus %.3f, %s\n", real[k].name, sigma[i], g->focus_p50,
                          g->share[0], mt_qc_verdict_name(v.kind));
            assert_true(g->focus_p50 < before - 0.02);
            before = g->focus_p50;
            if (sigma[i] == 0) assert_int_equal(v.kind, MT_QC_PASS);
            if (sigma[i] == 0.7) assert_true(g->share[0] < 0.10);
            if (sigma[i] > 2) assert_true(g->share[0] > 0.95 && v.kind == MT_QC_REJECT);
            put_down(&b);
        }
        remove(tt_tmp_file("blurred.tif"));
    }
}

/* ---- the same answer ---- */

static void same_for_threads_evidence_and_pyramid(void **state)
{
    (void)state;
    mt_err err = MT_ERR_INIT;
    mt_synth_opts o = plain(7);
    o.pen = o.blur = o.fold = o.bubble = o.debris = o.edge = 1;
    tt_ok(mt_synth_write(tt_tmp_file("one.svs"), &o, NULL, NULL, 256, NULL, NULL, &err), &err);
    looked a = look_with(tt_tmp_file("one.svs"), 0, 1, 1);
    for (int k = 0; k < 3; k++) {
        looked b = look_with(tt_tmp_file("one.svs"), 0, k == 0 ? 5 : 2, k != 1);
        assert_int_equal(a.qc->width, b.qc->width);
        assert_memory_equal(a.qc->flags, b.qc->flags, (size_t)a.qc->width * (size_t)a.qc->height);
        assert_memory_equal(&a.qc->figures, &b.qc->figures, sizeof a.qc->figures);
        put_down(&b);
    }
    /* another layout and tile side: as good as the same */
    o.layout = MT_SYNTH_TIFF;
    o.tile_px = 512;
    tt_ok(mt_synth_write(tt_tmp_file("two.tif"), &o, NULL, NULL, 256, NULL, NULL, &err), &err);
    looked c = look(tt_tmp_file("two.tif"), 0);
    for (int i = 1; i < MT_QC_N; i++)
        assert_true(fabs(a.qc->figures.share[i] - c.qc->figures.share[i]) < 0.01);
    assert_true(fabs(a.qc->figures.focus_p50 - c.qc->figures.focus_p50) < 0.03);
    put_down(&a);
    put_down(&c);
}

/* What it costs: at most every 16th pixel of level 0, twice that where focus changes. */
static void the_cost_is_bounded(void **state)
{
    tt_not_under_tsan();
    (void)state;
    mt_synth_opts o = plain(9);
    o.width = 16384;
    o.height = 12288;
    for (int blur = 0; blur < 2; blur++) {
        o.blur = blur;
        looked l = draw("cost.svs", &o);
        const mt_level *l0 = &mt_slide_get_info(l.slide)->levels[0];
        double share = (double)l.qc->figures.focus_pixels / ((double)l0->width * (double)l0->height);
        print_message("blur %d: %.3f of the pixels of level 0 decoded\n", blur, share);
        assert_true(share < (blur ? 0.125 : 0.0625) && share > 0);
        put_down(&l);
    }
}

/* ---- by hand ---- */

static void boxes_by_hand(void **state)
{
    (void)state;
    uint8_t flags[10 * 10];
    mt_qc q = {.width = 10, .height = 10, .px_l0 = 16, .mask_mpp = 8, .slide_w = 160, .slide_h = 160, .flags = flags};
    memset(flags, MT_QC_TISSUE | MT_QC_GROUND, sizeof flags);
    assert_int_equal(mt_qc_flags(&q, 0, 0, 160, 160, 0.5), 0);
    for (int i = 0; i < 40; i++)
        flags[i] |= MT_QC_FOCUS; /* four rows of ten */
    assert_int_equal(mt_qc_flags(&q, 0, 0, 160, 160, 0.41), 0);
    assert_int_equal(mt_qc_flags(&q, 0, 0, 160, 160, 0.40), MT_QC_FOCUS);
    assert_int_equal(mt_qc_flags(&q, 0, 0, 160, 128, 0.5), MT_QC_FOCUS);
    /* of the ground only: a box half glass whose tissue is all out of focus */
    for (int i = 0; i < 100; i++)
        flags[i] = i / 10 < 2 ? MT_QC_TISSUE | MT_QC_GROUND | MT_QC_FOCUS : 0;
    assert_int_equal(mt_qc_flags(&q, 0, 0, 160, 160, 0.5), MT_QC_FOCUS);
    /* boxes beyond the map, and smaller than a pixel */
    assert_int_equal(mt_qc_flags(&q, 1600, 0, 10, 10, 0.5), 0);
    assert_int_equal(mt_qc_flags(&q, -500, -500, 100, 100, 0.5), 0);
    assert_int_equal(mt_qc_flags(&q, 33, 17, 2, 2, 0.5), MT_QC_FOCUS);
    assert_int_equal(mt_qc_flags(&q, 33, 100, 2, 2, 0.5), 0);
}

static mt_qc_figures fine(void)
{
    mt_qc_figures g = {.tissue_mm2 = 10, .usable_mm2 = 9.9, .usable_share = 0.99, .focus_p50 = 0.45};
    return g;
}

static void the_gate(void **state)
{
    (void)state;
    mt_qc_config c;
    mt_qc_verdict v;
    mt_qc_config_default(&c);
    mt_qc_figures g = fine();
    mt_qc_gate(&v, &g, &c);
    assert_int_equal(v.kind, MT_QC_PASS);
    g.share[0] = 0.0999;
    mt_qc_gate(&v, &g, &c);
    assert_int_equal(v.kind, MT_QC_PASS);
    g.share[0] = 0.1; /* the limit itself is passed */
    mt_qc_gate(&v, &g, &c);
    assert_int_equal(v.kind, MT_QC_WARN);
    assert_non_null(strstr(v.reason, "10.0 % of the tissue out of focus (limit 10 %)"));
    g.share[1] = 0.6; /* rejection goes first, and alone */
    mt_qc_gate(&v, &g, &c);
    assert_int_equal(v.kind, MT_QC_REJECT);
    assert_null(strstr(v.reason, "focus"));
    assert_non_null(strstr(v.reason, "60.0 % of the tissue under ink (limit 50 %)"));
    c.share[1] = (mt_qc_limit){NAN, NAN}; /* no limit */
    mt_qc_gate(&v, &g, &c);
    assert_int_equal(v.kind, MT_QC_WARN);
    g = fine();
    g.usable_share = 0.29;
    mt_qc_gate(&v, &g, &c);
    assert_int_equal(v.kind, MT_QC_REJECT);
    g = fine();
    g.share[0] = g.focus_p50 = NAN; /* not measured: passes */
    c.focus_median.reject = 0.3;
    mt_qc_gate(&v, &g, &c);
    assert_int_equal(v.kind, MT_QC_PASS);
    g.focus_p50 = 0.2;
    mt_qc_gate(&v, &g, &c);
    assert_int_equal(v.kind, MT_QC_REJECT);
    g = fine();
    c.usable_mm2 = (mt_qc_limit){20, 9.95};
    mt_qc_gate(&v, &g, &c);
    assert_int_equal(v.kind, MT_QC_REJECT);
    memset(&g, 0, sizeof g); /* no tissue: that slide is empty, not bad */
    mt_qc_gate(&v, &g, &c);
    assert_int_equal(v.kind, MT_QC_PASS);
    g = fine(); /* everything at once: whole findings only, no text cut in the middle */
    for (int i = 0; i < MT_QC_N; i++)
        g.share[i] = 0.99;
    mt_qc_gate(&v, &g, &c);
    assert_int_equal(v.kind, MT_QC_REJECT);
    assert_true(strlen(v.reason) < sizeof v.reason && v.reason[strlen(v.reason) - 1] == ')');
}

static void arguments(void **state)
{
    (void)state;
    mt_err err = MT_ERR_INIT;
    mt_qc *q = NULL;
    mt_synth_opts o = plain(1);
    looked l = draw("arg.svs", &o);
    mt_qc_opts bad = MT_QC_OPTS_INIT;
    bad.threads = 0;
    assert_int_equal(mt_qc_detect(&q, l.slide, l.tissue, &bad, &err), MT_ERR_ARG);
    mt_err_clear(&err);
    bad = (mt_qc_opts)MT_QC_OPTS_INIT;
    bad.focus_min = NAN;
    assert_int_equal(mt_qc_detect(&q, l.slide, l.tissue, &bad, &err), MT_ERR_ARG);
    mt_err_clear(&err);
    bad = (mt_qc_opts)MT_QC_OPTS_INIT;
    assert_int_equal(mt_qc_detect(&q, l.slide, NULL, &bad, &err), MT_ERR_ARG);
    assert_null(q);
    /* a slide too coarse for focus says so, and passes */
    put_down(&l);
    o.mpp = 2.0;
    o.width = o.height = 2048;
    l = draw("coarse.svs", &o);
    assert_true(isnan(l.qc->figures.focus_p50) && isnan(l.qc->figures.share[0]) && l.qc->figures.focus_mpp == 0);
    put_down(&l);
    for (int i = 0; i < MT_QC_N; i++)
        assert_non_null(mt_qc_name(i));
    assert_null(mt_qc_name(MT_QC_N));
    assert_null(mt_qc_name(-1));
    mt_qc_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ink_of_every_colour),
        cmocka_unit_test(every_artefact),
        cmocka_unit_test(clean_slides_pass),
        cmocka_unit_test(blur_is_found),
        cmocka_unit_test(biopsy_and_resection_compare),
        cmocka_unit_test(real_sections_and_their_blur),
        cmocka_unit_test(same_for_threads_evidence_and_pyramid),
        cmocka_unit_test(the_cost_is_bounded),
        cmocka_unit_test(boxes_by_hand),
        cmocka_unit_test(the_gate),
        cmocka_unit_test(arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
