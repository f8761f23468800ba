/* u8_resample: Pillow's bytes, the same on every instruction set, nothing touched outside. */
#include "tests/support/support.h"
#include <string.h>
#include "base/cpu.h"
#include "kernels/u8_resample.h"

typedef struct resize_case {
    int32_t w, h;
    float box[4];
    int32_t dw, dh;
    mt_filter filter;
    uint64_t digest;
} resize_case;

static const resize_case cases[] = {
#define CASE(w, h, x0, y0, x1, y1, dw, dh, f, digest)                                              \
    {w, h, {x0, y0, x1, y1}, dw, dh, MT_FILTER_##f, digest},
#include "pillow_cases.def"
#undef CASE
};

/* As pillow_cases.py draws it. Rows lie `stride` apart; what is between them is left alone. */
static void draw(uint8_t *rgb, int32_t w, int32_t h, size_t stride)
{
    uint64_t x = 0x9E3779B97F4A7C15u;
    for (int32_t r = 0; r < h; r++)
        for (int32_t i = 0; i < 3 * w; i++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            int patch = (i / 3 / 7 + r / 5) % 3;
            rgb[(size_t)r * stride + (size_t)i] =
                patch == 0 ? (uint8_t)(x >> 56) : (uint8_t)(255 * (patch - 1));
        }
}

static uint64_t digest(const uint8_t *p, size_t row, size_t stride, int32_t h)
{
    uint64_t d = 0xCBF29CE484222325u;
    for (int32_t r = 0; r < h; r++)
        for (size_t i = 0; i < row; i++)
            d = (d ^ p[(size_t)r * stride + i]) * 0x100000001B3u;
    return d;
}

/* Resizes inside blocks of exactly the promised size: a sanitizer build sees every stray access. */
static void resize(const resize_case *c, size_t src_gap, size_t dst_gap, uint8_t *dst)
{
    mt_err err = MT_ERR_INIT;
    mt_resample *r = NULL;
    size_t src_stride = 3 * (size_t)c->w + src_gap, row = 3 * (size_t)c->dw,
           dst_stride = row + dst_gap;
    uint8_t *src = malloc(src_stride * (size_t)(c->h - 1) + 3 * (size_t)c->w);
    memset(src, 0xA5, src_stride * (size_t)(c->h - 1) + 3 * (size_t)c->w);
    draw(src, c->w, c->h, src_stride);
    tt_ok(mt_resample_new(&r, c->w, c->h, c->box, c->dw, c->dh, c->filter, &err), &err);
    void *scratch = malloc(mt_resample_scratch_bytes(r));
    uint8_t *out = malloc(dst_stride * (size_t)c->dh);
    memset(out, 0x5A, dst_stride * (size_t)c->dh);
    mt_u8_resample(r, src, src_stride, out, dst_stride, scratch);
    for (int32_t i = 0; i < c->dh; i++) {
        for (size_t j = row; j < dst_stride; j++)
            assert_int_equal(out[(size_t)i * dst_stride + j], 0x5A);
        memcpy(dst + (size_t)i * row, out + (size_t)i * dst_stride, row);
    }
    free(out);
    free(scratch);
    free(src);
    mt_resample_free(&r);
    assert_null(r);
}

static void pillow_bytes_on_every_isa(void **state)
{
    for (int level = MT_CPU_REF; level <= mt_cpu_detected(); level++) {
        mt_cpu_mask(level);
        for (size_t i = 0; i < MT_COUNT(cases); i++) {
            const resize_case *c = &cases[i];
            size_t row = 3 * (size_t)c->dw;
            uint8_t *dst = malloc(row * (size_t)c->dh);
            resize(c, i % 3 * 5, i % 2 * 7, dst);
            if (digest(dst, row, row, c->dh) != c->digest)
                fail_msg("%s: case %zu (%d x %d to %d x %d) is not what Pillow gives",
                         mt_cpu_name(), i, c->w, c->h, c->dw, c->dh);
            free(dst);
        }
    }
    mt_cpu_mask(MT_CPU_AVX512);
}

static void one_picture_spelt_out(void **state)
{
    /* 4 x 1 to 2 x 1: weights 3 4 1 / 8 of a widened triangle cut at the edge, by hand. */
    const uint8_t src[12] = {80, 0, 255, 160, 0, 255, 240, 0, 0, 0, 255, 0};
    uint8_t dst[6];
    mt_err err = MT_ERR_INIT;
    for (int level = MT_CPU_REF; level <= mt_cpu_detected(); level++) {
        mt_cpu_mask(level);
        mt_resample *r = NULL;
        tt_ok(mt_resample_new(&r, 4, 1, NULL, 2, 1, MT_FILTER_BILINEAR, &err), &err);
        uint8_t *scratch = malloc(mt_resample_scratch_bytes(r));
        mt_u8_resample(r, src, 12, dst, 6, scratch);
        /* (3*80 + 3*160 + 1*240) / 7 = 137.14; weights at distance .5 .5 1.5 of support 2: .75 .75
         * .25 */
        assert_int_equal(dst[0], 137);
        assert_int_equal(dst[1], 0);
        assert_int_equal(dst[2], 219);
        assert_int_equal(dst[3], 126); /* (1*160 + 3*240 + 3*0) / 7 = 125.7 */
        assert_int_equal(dst[4], 109);
        assert_int_equal(dst[5], 36);
        free(scratch);
        mt_resample_free(&r);
    }
    mt_cpu_mask(MT_CPU_AVX512);
}

/* Random geometries: every instruction set gives the reference's bytes. */
static void sweep_against_ref(void **state)
{
    uint64_t x = 88172645463325252u;
    for (int i = 0; i < 250; i++) {
        uint32_t v[8];
        for (int j = 0; j < 8; j++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            v[j] = (uint32_t)(x >> 33);
        }
        resize_case c = {.w = 1 + (int32_t)(v[0] % 90),
                         .h = 1 + (int32_t)(v[1] % 60),
                         .dw = 1 + (int32_t)(v[2] % 100),
                         .dh = 1 + (int32_t)(v[3] % 50),
                         .filter = (mt_filter)(v[4] & 1)};
        float fx = (float)(v[5] % 1000) / 2100.0f, fy = (float)(v[6] % 1000) / 2100.0f;
        c.box[0] = fx * (float)c.w;
        c.box[1] = fy * (float)c.h;
        c.box[2] = (1 - fy) * (float)c.w;
        c.box[3] = (1 - fx) * (float)c.h;
        size_t n = 3 * (size_t)c.dw * (size_t)c.dh;
        uint8_t *want = malloc(n), *got = malloc(n);
        mt_cpu_mask(MT_CPU_REF);
        resize(&c, 0, 0, want);
        for (int level = MT_CPU_AVX2; level <= mt_cpu_detected(); level++) {
            mt_cpu_mask(level);
            resize(&c, v[7] % 40, v[7] % 11, got);
            assert_memory_equal(got, want, n);
        }
        free(want);
        free(got);
    }
    mt_cpu_mask(MT_CPU_AVX512);
}

static void plain_crops_are_copies(void **state)
{
    mt_err err = MT_ERR_INIT;
    mt_resample *r = NULL;
    const float whole_pixels[4] = {3, 2, 13, 9}, half_pixels[4] = {3.5f, 2, 13.5f, 9};
    tt_ok(mt_resample_new(&r, 20, 20, whole_pixels, 10, 7, MT_FILTER_BICUBIC, &err), &err);
    assert_true(mt_resample_is_copy(r));
    mt_resample_free(&r);
    tt_ok(mt_resample_new(&r, 20, 20, half_pixels, 10, 7, MT_FILTER_BILINEAR, &err), &err);
    assert_false(mt_resample_is_copy(r));
    mt_resample_free(&r);
}

static void senseless_requests(void **state)
{
    mt_resample *r = NULL;
    const float boxes[][4] = {
        {0, 0, 11, 10}, {-1, 0, 5, 5}, {5, 0, 5, 10}, {0, 8, 10, 2}, {0, 0, 0, 10}};
    for (size_t i = 0; i < MT_COUNT(boxes); i++) {
        mt_err err = MT_ERR_INIT;
        assert_int_equal(mt_resample_new(&r, 10, 10, boxes[i], 4, 4, MT_FILTER_BILINEAR, &err),
                         MT_ERR_ARG);
        assert_null(r);
    }
    const int32_t sides[][4] = {{0, 1, 1, 1}, {1, -3, 1, 1}, {1, 1, 70000, 1}, {1, 1, 1, 0}};
    for (size_t i = 0; i < MT_COUNT(sides); i++) {
        mt_err err = MT_ERR_INIT;
        const int32_t *s = sides[i];
        assert_int_equal(
            mt_resample_new(&r, s[0], s[1], NULL, s[2], s[3], MT_FILTER_BILINEAR, &err),
            MT_ERR_ARG);
    }
    mt_resample_free(&r);
    mt_resample_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pillow_bytes_on_every_isa), cmocka_unit_test(one_picture_spelt_out),
        cmocka_unit_test(sweep_against_ref),         cmocka_unit_test(plain_crops_are_copies),
        cmocka_unit_test(senseless_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
