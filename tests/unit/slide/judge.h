/* OpenSlide as judge: same sizes, same origin, same pixels at every level. */
#ifndef MT_TESTS_SLIDE_JUDGE_H
#define MT_TESTS_SLIDE_JUDGE_H

#include <math.h>
#include <openslide.h>
#include <stdio.h>
#include "tests/unit/slide/made.h"

static inline openslide_t *judge_open(const char *path)
{
    TIFFSetWarningHandler(NULL);
    openslide_t *o = openslide_open(path);
    assert_non_null(o);
    if (openslide_get_error(o)) fail_msg("openslide: %s", openslide_get_error(o));
    return o;
}

/* Premultiplied ARGB over white. */
static inline void over_white(uint8_t rgb[3], uint32_t v)
{
    const uint32_t white = 255 - (v >> 24);
    for (int c = 0; c < 3; c++)
        rgb[c] = (uint8_t)((v >> (16 - 8 * c) & 255) + white);
}

static inline int compare(const uint8_t *rgb, const uint32_t *argb, size_t n, double *mean)
{
    int worst = 0;
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        uint8_t want[3];
        over_white(want, argb[i]);
        for (int c = 0; c < 3; c++) {
            int d = abs(want[c] - rgb[3 * i + (size_t)c]);
            worst = MT_MAX(worst, d);
            sum += d;
        }
    }
    *mean = sum / (3.0 * (double)n);
    return worst;
}

/* OpenSlide takes level-0 coordinates and draws between pixels when they are no multiple of the
 * level's downsample: below level 0 only the origin is exact, so coarse levels are compared whole,
 * from there. */
static inline int compare_box(const mt_slide *s, openslide_t *o, int level, int64_t x, int64_t y,
                              int32_t w, int32_t h)
{
    uint8_t *rgb = region(s, level, x, y, w, h);
    uint32_t *argb = malloc(4 * (size_t)w * (size_t)h);
    openslide_read_region(o, argb, x, y, level, w, h);
    assert_null(openslide_get_error(o));
    double mean;
    int worst = compare(rgb, argb, (size_t)w * (size_t)h, &mean);
    if (worst)
        print_message("level %d at %lld,%lld: worst %d, mean %g\n", level, (long long)x,
                      (long long)y, worst, mean);
    free(argb);
    free(rgb);
    return worst;
}

/* The levels OpenSlide makes up itself, halves of an NDPI file's coarsest, come last. */
static inline void compare_levels(const mt_slide *s, openslide_t *o, int tolerance, int made_up)
{
    const mt_slide_info *info = mt_slide_get_info(s);
    assert_int_equal(info->n_levels + made_up, openslide_get_level_count(o));
    for (int i = 0; i < info->n_levels; i++) {
        int64_t w, h;
        openslide_get_level_dimensions(o, i, &w, &h);
        assert_int_equal(info->levels[i].width, w);
        assert_int_equal(info->levels[i].height, h);
        assert_true(fabs(info->levels[i].downsample - openslide_get_level_downsample(o, i)) < 1e-9);
        /* A strip past every edge too: white on both sides. */
        assert_true(compare_box(s, o, i, 0, 0, (int32_t)w + 40, (int32_t)h + 30) <= tolerance);
    }
}

static inline void compare_level0_boxes(const mt_slide *s, openslide_t *o, int tolerance)
{
    const mt_level *l = &mt_slide_get_info(s)->levels[0];
    const int64_t w = l->width, h = l->height;
    const int64_t fixed[][2] = {{w - 100, h - 100}, {w - 301, 0},   {0, h - 257},
                                {-17, -23},         {w - 5, h / 2}, {l->tile_w - 1, l->tile_h - 1},
                                {w / 2, h - 3},     {w + 3, h + 3}};
    for (size_t i = 0; i < MT_COUNT(fixed); i++)
        assert_true(compare_box(s, o, 0, fixed[i][0], fixed[i][1], 300, 260) <= tolerance);
    uint64_t r = 42;
    for (int i = 0; i < 12; i++) {
        r = r * 6364136223846793005u + 1442695040888963407u;
        int64_t x = (int64_t)(r >> 33) % w;
        r = r * 6364136223846793005u + 1442695040888963407u;
        int64_t y = (int64_t)(r >> 33) % h;
        assert_true(compare_box(s, o, 0, x, y, 17 + (int32_t)(r >> 60) * 30, 256) <= tolerance);
    }
}

/* more: images of ours that OpenSlide does not show. */
static inline void compare_associated(const mt_slide *s, openslide_t *o, int tolerance, int more)
{
    const mt_slide_info *info = mt_slide_get_info(s);
    int n = 0;
    for (const char *const *name = openslide_get_associated_image_names(o); *name; name++, n++) {
        int64_t w = 0, h = 0, ow, oh;
        uint8_t *rgb = NULL;
        mt_err err = MT_ERR_INIT;
        openslide_get_associated_image_dimensions(o, *name, &ow, &oh);
        tt_ok(mt_slide_read_associated(&rgb, &w, &h, s, *name, &err), &err);
        assert_int_equal(w, ow);
        assert_int_equal(h, oh);
        uint32_t *argb = malloc(4 * (size_t)(w * h));
        openslide_read_associated_image(o, *name, argb);
        double mean;
        assert_true(compare(rgb, argb, (size_t)(w * h), &mean) <= tolerance);
        free(argb);
        free(rgb);
    }
    assert_int_equal(info->n_associated, n + more);
}

static inline void compare_facts(const mt_slide *s, openslide_t *o)
{
    const mt_slide_info *info = mt_slide_get_info(s);
    const char *mpp = openslide_get_property_value(o, "openslide.mpp-x");
    const char *mag = openslide_get_property_value(o, "openslide.objective-power");
    assert_string_equal(info->vendor, openslide_get_property_value(o, "openslide.vendor"));
    assert_true(fabs(info->mpp_x - (mpp ? atof(mpp) : 0.0)) < 1e-9);
    assert_true(info->objective == (mag ? atof(mag) : 0.0));
}

static inline void judge_path(const char *path, const char *format, int tolerance, int made_up,
                              int more)
{
    mt_slide *s = opened(path);
    openslide_t *o = judge_open(path);
    assert_string_equal(mt_slide_get_info(s)->format, format);
    compare_facts(s, o);
    compare_levels(s, o, tolerance, made_up);
    compare_level0_boxes(s, o, tolerance);
    compare_associated(s, o, tolerance, more);
    openslide_close(o);
    mt_slide_close(&s);
}

#endif
