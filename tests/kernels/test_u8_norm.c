/* u8_norm: one fused multiply-add a value, the same bits everywhere, n floats a plane and no more.
 */
#include "tests/support/support.h"
#include <math.h>
#include <string.h>
#include "base/cpu.h"
#include "base/mem.h"
#include "kernels/u8_norm.h"

static const float scale[3] = {1.0f / (255 * 0.229f), 1.0f / 255, 0.0171f},
                   shift[3] = {-2.1179039f, 0, 1e-3f};

static void every_value_and_tail(void **state)
{
    for (int level = MT_CPU_REF; level <= mt_cpu_detected(); level++) {
        mt_cpu_mask(level);
        for (size_t n = 0; n <= 300; n = n < 70 ? n + 1 : n + 46) {
            uint8_t *rgb = malloc(3 * n + 1), *p = rgb + 1;
            for (size_t i = 0; i < 3 * n; i++)
                p[i] = (uint8_t)(i * 7 + i / 256);
            size_t plane = n + 5;
            float *dst = malloc((2 * plane + n + 1) * sizeof *dst);
            for (size_t i = 0; i < 2 * plane + n + 1; i++)
                dst[i] = -77;
            mt_u8_norm(p, n, scale, shift, dst + 1, plane);
            for (size_t c = 0; c < 3; c++) {
                for (size_t i = 0; i < n; i++) {
                    float want = fmaf((float)p[3 * i + c], scale[c], shift[c]);
                    assert_memory_equal(&dst[1 + c * plane + i], &want, sizeof want);
                }
                if (c < 2)
                    for (size_t i = n; i < plane; i++)
                        assert_true(dst[1 + c * plane + i] == -77);
            }
            assert_true(dst[0] == -77);
            free(dst);
            free(rgb);
        }
    }
    mt_cpu_mask(MT_CPU_AVX512);
}

/* Close to what the training framework computes: ((px / 255) - mean) / std in float. */
static void close_to_the_training_framework(void **state)
{
    const float mean = 0.485f, std = 0.229f;
    const float s[3] = {1.0f / (255.0f * std), 1, 1}, t[3] = {-mean / std, 0, 0};
    for (int v = 0; v < 256; v++) {
        uint8_t px[3] = {(uint8_t)v, 0, 0};
        float out[3], want = ((float)v / 255.0f - mean) / std;
        mt_u8_norm(px, 1, s, t, out, 1);
        assert_true(fabsf(out[0] - want) <= 1e-6f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_value_and_tail),
                                       cmocka_unit_test(close_to_the_training_framework)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
