/* Stain measures: their definitions, the same bytes everywhere. */
#include "tests/support/support.h"
#include <math.h>
#include <string.h>
#include "base/cpu.h"
#include "base/mem.h"
#include "kernels/u8_od.h"

static void chroma_is_max_minus_min(void **state)
{
    for (int level = MT_CPU_REF; level <= mt_cpu_detected(); level++) {
        mt_cpu_mask(level);
        for (size_t n = 0; n < 120; n++) {
            uint8_t *rgb = malloc(3 * n + 1), *out = malloc(n + 1);
            for (size_t i = 0; i < 3 * n; i++)
                rgb[i] = (uint8_t)((i * 2654435761u) >> 13);
            out[n] = 0xA5;
            mt_u8_chroma(rgb, n, out);
            assert_int_equal(out[n], 0xA5);
            for (size_t i = 0; i < n; i++) {
                const uint8_t *p = rgb + 3 * i;
                int high = MT_MAX(MT_MAX(p[0], p[1]), p[2]), low = MT_MIN(MT_MIN(p[0], p[1]), p[2]);
                assert_int_equal(out[i], high - low);
            }
            free(out);
            free(rgb);
        }
    }
    mt_cpu_mask(MT_CPU_AVX512);
}

static double od(int v)
{
    return -log10(MT_MAX(v, 1) / 255.0);
}

static void density_follows_the_formula(void **state)
{
    for (int r = 0; r < 256; r += 5)
        for (int g = 0; g < 256; g++)
            for (int b = 0; b < 256; b += 3) {
                const uint8_t px[3] = {(uint8_t)r, (uint8_t)g, (uint8_t)b};
                uint8_t out;
                mt_u8_od(px, 1, &out);
                double want = MT_MIN(255.0, MT_U8_OD_UNIT * (od(r) + od(g) + od(b)) / 3);
                assert_true(fabs(out - want) <= 0.5 + 3 * 0.5 / 16 + 1e-9);
            }
    const uint8_t known[9] = {255, 255, 255, 128, 128, 128, 0, 0, 0};
    uint8_t out[3];
    mt_u8_od(known, 3, out);
    assert_int_equal(out[0], 0);
    assert_int_equal(out[1], 60);
    assert_int_equal(out[2], 255);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(chroma_is_max_minus_min),
                                       cmocka_unit_test(density_follows_the_formula)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
