/* u8_planes: what decoding to RGB and resizing gives, the same on every instruction set, nothing touched
 * outside. */
#include "tests/support/support.h"
#include <math.h>
#include <string.h>
#include "base/cpu.h"
#include "kernels/u8_planes.h"

typedef struct plane_case {
    mt_plane_grid x[2], y[2]; /* of the first plane, and of the others */
    mt_plane_box bx, by;
    int32_t out_w, out_h;
    mt_filter filter;
    mt_plane_kind kind;
    size_t gap; /* bytes between rows */
    uint32_t seed;
} plane_case;

static uint32_t next(uint32_t *seed)
{
    return *seed = *seed * 1664525u + 1013904223u;
}

/* Smooth waves with noise; chroma near the middle, so that no colour has to be clipped. */
static void paint(uint8_t *px, int32_t w, int32_t h, size_t stride, int plane, uint32_t seed)
{
    for (int32_t y = 0; y < h; y++)
        for (int32_t x = 0; x < w; x++) {
            const double wave = sin(0.07 * x + plane) + cos(0.05 * y - plane);
            const int noise = (int)(next(&seed) >> 27) - 16;
            px[(size_t)y * stride + (size_t)x] = (uint8_t)(128 + (plane ? 8 : 25) * wave + noise / (plane ? 4 : 1));
        }
}

/* Inside blocks of exactly the promised size: a sanitizer build sees every stray access. */
static void resize(const plane_case *c, uint8_t *rgb)
{
    mt_err e = MT_ERR_INIT;
    mt_plane planes[3];
    mt_plane_axis *axis[2][2] = {{NULL}};
    uint8_t *px[3] = {NULL};
    const int n = c->kind == MT_PLANES_GREY ? 1 : 3;
    for (int k = 0; k < 2; k++) {
        tt_ok(mt_plane_axis_new(&axis[0][k], &c->x[k], &c->bx, c->out_w, c->filter, &e), &e);
        tt_ok(mt_plane_axis_new(&axis[1][k], &c->y[k], &c->by, c->out_h, c->filter, &e), &e);
    }
    for (int i = 0; i < n; i++) {
        int32_t x0, y0;
        const int32_t w = mt_plane_samples(&x0, &c->x[i != 0], &c->bx) - x0,
                      h = mt_plane_samples(&y0, &c->y[i != 0], &c->by) - y0;
        const size_t stride = (size_t)w + c->gap, bytes = h ? stride * (size_t)(h - 1) + (size_t)w : 0;
        px[i] = malloc(bytes + 1);
        memset(px[i], 0xa5, bytes);
        paint(px[i], w, h, stride, i, c->seed);
        px[i] = realloc(px[i], bytes ? bytes : 1);
        planes[i] = (mt_plane){px[i], stride, axis[0][i != 0], axis[1][i != 0]};
    }
    const size_t row = 3 * (size_t)c->out_w, stride = row + c->gap;
    void *scratch = malloc(mt_planes_scratch_bytes(planes, c->kind));
    uint8_t *out = malloc(stride * (size_t)c->out_h);
    memset(out, 0x5a, stride * (size_t)c->out_h);
    mt_u8_resample_planes(out, stride, planes, c->kind, scratch);
    for (int32_t y = 0; y < c->out_h; y++) {
        for (size_t i = row; i < stride; i++) assert_int_equal(out[(size_t)y * stride + i], 0x5a);
        memcpy(rgb + (size_t)y * row, out + (size_t)y * stride, row);
    }
    free(out);
    free(scratch);
    for (int i = 0; i < 3; i++) free(px[i]);
    for (int k = 0; k < 4; k++) mt_plane_axis_free(&axis[k / 2][k % 2]);
}

static void sweep_against_ref(void **state)
{
    uint32_t seed = 7;
    for (int i = 0; i < 300; i++) {
        const int step = 1 << next(&seed) / (UINT32_MAX / 3 + 1), tile = 16 * (1 + (int)(next(&seed) >> 29));
        const bool smooth = step == 2 && next(&seed) >> 31, mean = next(&seed) >> 31;
        const int32_t a = (int32_t)(next(&seed) >> 25), w = 2 + (int32_t)(next(&seed) >> 23),
                      b = (int32_t)(next(&seed) >> 25), h = 2 + (int32_t)(next(&seed) >> 25);
        plane_case c = {.out_w = 1 + (int32_t)(next(&seed) >> 24), .out_h = 1 + (int32_t)(next(&seed) >> 27),
                        .filter = (mt_filter)(next(&seed) >> 31),
                        .kind = (mt_plane_kind)(1 + i % 3), .gap = i % 5 * 3u, .seed = next(&seed)};
        c.bx = (mt_plane_box){a, a + w, a + w - (i % 4 ? 0 : w / 3), 0.3f, (float)w - 0.4f};
        c.by = (mt_plane_box){b, b + h, b + h - (i % 3 ? 0 : h / 2), 0, (float)h};
        for (int k = 0; k < 2; k++)
            c.x[k] = c.y[k] = k ? (mt_plane_grid){tile, step, smooth, mean} : (mt_plane_grid){tile, 1, false, false};
        const size_t n = 3 * (size_t)c.out_w * (size_t)c.out_h;
        uint8_t *want = malloc(n), *got = malloc(n);
        mt_cpu_mask(MT_CPU_REF);
        resize(&c, want);
        for (int level = MT_CPU_AVX2; level <= mt_cpu_detected(); level++) {
            mt_cpu_mask(level);
            resize(&c, got);
            if (memcmp(got, want, n)) fail_msg("%s: case %d is not what the reference gives", mt_cpu_name(), i);
        }
        free(want);
        free(got);
    }
    mt_cpu_mask(MT_CPU_AVX512);
}

/* A plane's pixels as a decoder would spread its samples over them, along both axes, in double. */
static double pixel_of(const uint8_t *px, size_t stride, int32_t n, const mt_plane_grid *g, int32_t x, int32_t y)
{
    double sum = 0;
    for (int j = 0; j < 2; j++)
        for (int i = 0; i < 2; i++) {
            int32_t s[2] = {x / g->step, y / g->step};
            const int32_t p[2] = {x, y}, use[2] = {i, j};
            double share = 1;
            for (int k = 0; k < 2; k++) {
                const int32_t other = MT_MIN(MT_MAX(p[k] % 2 ? s[k] + 1 : s[k] - 1, 0), n - 1);
                if (g->smooth) share *= use[k] ? 0.25 : 0.75;
                else share *= use[k] ? 0 : 1;
                if (use[k]) s[k] = other;
            }
            sum += share * px[(size_t)s[1] * stride + (size_t)s[0]];
        }
    return sum;
}

/* Luma in full, chroma at half: against spreading, colours at full size and a resize, all of it plain. */
static void like_decoding_and_resizing(mt_filter filter)
{
    enum { SIDE = 64, OUT = 27 };
    const mt_plane_grid luma = {SIDE, 1, false, false}, chroma = {SIDE, 2, true, false};
    const mt_plane_box box = {0, SIDE, SIDE, 0, SIDE};
    plane_case c = {{luma, chroma}, {luma, chroma}, box, box, OUT, OUT, filter, MT_PLANES_YCBCR, 0, 3};
    uint8_t *px[3], full[SIDE * SIDE * 3], want[OUT * OUT * 3], got[OUT * OUT * 3];
    for (int i = 0; i < 3; i++) {
        const int32_t side = i ? SIDE / 2 : SIDE;
        px[i] = malloc((size_t)side * (size_t)side);
        paint(px[i], side, side, (size_t)side, i, c.seed);
    }
    for (int32_t y = 0; y < SIDE; y++)
        for (int32_t x = 0; x < SIDE; x++) {
            const double l = pixel_of(px[0], SIDE, SIDE, &luma, x, y),
                         cb = pixel_of(px[1], SIDE / 2, SIDE / 2, &chroma, x, y) - 128,
                         cr = pixel_of(px[2], SIDE / 2, SIDE / 2, &chroma, x, y) - 128;
            uint8_t *p = full + 3 * (y * SIDE + x);
            p[0] = (uint8_t)lrint(l + 1.402 * cr);
            p[1] = (uint8_t)lrint(l - 0.344136 * cb - 0.714136 * cr);
            p[2] = (uint8_t)lrint(l + 1.772 * cb);
        }
    mt_err e = MT_ERR_INIT;
    mt_resample *r = NULL;
    tt_ok(mt_resample_new(&r, SIDE, SIDE, NULL, OUT, OUT, filter, &e), &e);
    void *scratch = malloc(mt_resample_scratch_bytes(r));
    mt_u8_resample(r, full, 3 * SIDE, want, 3 * OUT, scratch);
    resize(&c, got);
    for (int i = 0; i < OUT * OUT * 3; i++)
        if (abs(want[i] - got[i]) > 1) fail_msg("byte %d is %d, by decoding and resizing %d", i, got[i], want[i]);
    free(scratch);
    mt_resample_free(&r);
    for (int i = 0; i < 3; i++) free(px[i]);
}

static void as_decoding_and_resizing(void **state)
{
    like_decoding_and_resizing(MT_FILTER_BILINEAR);
    like_decoding_and_resizing(MT_FILTER_BICUBIC);
}

/* Flat stays flat, to the last bit, whatever the geometry; what lies outside is white. */
static void flat_and_outside(void **state)
{
    mt_err e = MT_ERR_INIT;
    const mt_plane_grid g = {48, 2, false, true};
    for (int end = 50; end <= 110; end += 20) {
        const mt_plane_box in = {30, 110, end, 0.25f, 79.5f};
        mt_plane_axis *x = NULL, *y = NULL;
        const mt_plane_box all = {30, 110, 110, 0.25f, 79.5f};
        tt_ok(mt_plane_axis_new(&x, &g, &in, 17, MT_FILTER_BILINEAR, &e), &e);
        tt_ok(mt_plane_axis_new(&y, &g, &all, 17, MT_FILTER_BILINEAR, &e), &e);
        uint8_t px[40 * 40], rgb[17 * 17 * 3];
        memset(px, 77, sizeof px);
        const mt_plane plane[3] = {{px, 40, x, y}};
        void *scratch = malloc(mt_planes_scratch_bytes(plane, MT_PLANES_GREY));
        mt_u8_resample_planes(rgb, 17 * 3, plane, MT_PLANES_GREY, scratch);
        const int edge = (end - 30) * 17 / 80;
        for (int i = 0; i < 17 * 17; i++) {
            const int at = i % 17, v = rgb[3 * i];
            if (at < edge - 1) assert_int_equal(v, 77);
            if (at > edge + 1) assert_int_equal(v, 255);
            assert_true(v >= 77 && rgb[3 * i + 1] == v && rgb[3 * i + 2] == v);
        }
        free(scratch);
        mt_plane_axis_free(&x);
        mt_plane_axis_free(&y);
    }
}

static void bad_arguments(void **state)
{
    mt_err e = MT_ERR_INIT;
    mt_plane_axis *a = NULL;
    const mt_plane_grid good = {48, 2, true, false},
                        grids[] = {{48, 3, false, false}, {47, 2, false, false}, {48, 1, true, false}, {0, 1, false, false}};
    const mt_plane_box box = {0, 20, 20, 0, 20}, boxes[] = {{0, 0, 0, 0, 0}, {-1, 9, 9, 0, 9}, {0, 20, 20, 5, 5}, {0, 20, 20, 0, 21}};
    for (size_t i = 0; i < MT_COUNT(grids); i++)
        assert_int_equal(mt_plane_axis_new(&a, &grids[i], &box, 4, MT_FILTER_BILINEAR, &e), MT_ERR_ARG);
    for (size_t i = 0; i < MT_COUNT(boxes); i++)
        assert_int_equal(mt_plane_axis_new(&a, &good, &boxes[i], 4, MT_FILTER_BILINEAR, &e), MT_ERR_ARG);
    assert_int_equal(mt_plane_axis_new(&a, &good, &box, 0, MT_FILTER_BILINEAR, &e), MT_ERR_ARG);
    assert_null(a);
    mt_plane_axis_free(&a);
    mt_plane_axis_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sweep_against_ref), cmocka_unit_test(as_decoding_and_resizing),
        cmocka_unit_test(flat_and_outside), cmocka_unit_test(bad_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
