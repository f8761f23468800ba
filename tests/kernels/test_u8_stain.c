/* u8_stain: the formula in double precision, the same bytes from every variant, and not a byte
 * beyond the pixels. */
#include "tests/support/support.h"
#include <math.h>
#include <string.h>
#include "base/cpu.h"
#include "base/mem.h"
#include "kernels/u8_stain.h"

/* A Macenko map (diagonal ends), a Reinhard map (the cone matrices), one that overflows both
 * ends. */
static const mt_u8_stain_map maps[] = {
    {{1 / 240.f, 0, 0, 0, 1 / 240.f, 0, 0, 0, 1 / 240.f},
     {1.12f, -0.21f, 0.05f, 0.11f, 0.84f, 0.07f, -0.09f, 0.13f, 0.93f},
     {0, 0, 0},
     {240, 0, 0, 0, 240, 0, 0, 0, 240}},
    {{0.3811f, 0.5783f, 0.0402f, 0.1967f, 0.7244f, 0.0782f, 0.0241f, 0.1288f, 0.8444f},
     {1.05f, -0.04f, 0.02f, 0.03f, 1.10f, -0.06f, 0.01f, -0.02f, 0.97f},
     {-0.21f, 0.13f, 0.05f},
     {4.4679f, -3.5873f, 0.1193f, -1.2186f, 2.3809f, -0.1624f, 0.0497f, -0.2439f, 1.2045f}},
    {{1, 0, 0, 0, 1, 0, 0, 0, 1},
     {3, 0, 0, 0, -2, 0, 0, 0, 0},
     {0, 0, 90},
     {1, 0, 0, 0, 1, 0, 0, 0, 1}},
};

static double exact(const mt_u8_stain_map *m, const uint8_t *p, int c)
{
    double l[3], e[3];
    for (int i = 0; i < 3; i++) {
        double v = 0;
        for (int k = 0; k < 3; k++)
            v += (double)m->in[3 * i + k] * (p[k] + 1);
        l[i] = log(v);
    }
    for (int i = 0; i < 3; i++) {
        double y = (double)m->shift[i];
        for (int k = 0; k < 3; k++)
            y += (double)m->mid[3 * i + k] * l[k];
        e[i] = exp(y);
    }
    double v = -1;
    for (int k = 0; k < 3; k++)
        v += (double)m->out[3 * c + k] * e[k];
    return MT_MIN(MT_MAX(v, 0.0), 255.0);
}

static void fill(uint8_t *p, size_t n, uint32_t seed)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        p[i] = (uint8_t)(seed >> 24);
    }
}

static void the_formula(void **state)
{
    enum { N = 20000 };
    uint8_t *src = malloc(3 * N), *dst = malloc(3 * N);
    fill(src, 3 * N, 5);
    memset(src, 0, 3);
    memset(src + 3, 255, 3);
    for (int level = MT_CPU_REF; level <= mt_cpu_detected(); level++) {
        mt_cpu_mask(level);
        for (size_t m = 0; m < MT_COUNT(maps); m++) {
            memcpy(dst, src, 3 * N);
            mt_u8_stain(&maps[m], dst, N);
            for (size_t i = 0; i < N; i++)
                for (int c = 0; c < 3; c++) {
                    double want = exact(&maps[m], src + 3 * i, c);
                    if (fabs(dst[3 * i + (size_t)c] - want) > 0.5 + 2e-3)
                        fail_msg("map %zu, pixel %d,%d,%d, channel %d: %d, not %.4f", m, src[3 * i],
                                 src[3 * i + 1], src[3 * i + 2], c, dst[3 * i + (size_t)c], want);
                }
        }
    }
    mt_cpu_mask(MT_CPU_AVX512);
    free(src);
    free(dst);
}

/* Every count of pixels from none to beyond three vectors, at every alignment of a vector's
 * bytes. */
static void tails_and_canaries(void **state)
{
    enum { MOST = 70, PAD = 64 };
    uint8_t ref[3 * MOST + 2 * PAD + 3], got[sizeof ref];
    for (int level = MT_CPU_AVX2; level <= mt_cpu_detected(); level++)
        for (size_t n = 0; n <= MOST; n++)
            for (size_t shift = 0; shift < 3; shift++) {
                fill(ref, sizeof ref, (uint32_t)(n * 7 + shift));
                memcpy(got, ref, sizeof ref);
                mt_cpu_mask(MT_CPU_REF);
                mt_u8_stain(&maps[n % 3], ref + PAD + shift, n);
                mt_cpu_mask(level);
                mt_u8_stain(&maps[n % 3], got + PAD + shift, n);
                assert_memory_equal(got, ref, sizeof ref);
            }
    mt_cpu_mask(MT_CPU_AVX512);
}

/* Bit for bit, over every colour of a lattice that holds both ends. */
static void same_bytes_everywhere(void **state)
{
    enum { SIDE = 52, N = SIDE * SIDE * SIDE };
    uint8_t *src = malloc(3 * N), *ref = malloc(3 * N), *got = malloc(3 * N), *p = src;
    for (int r = 0; r < SIDE; r++)
        for (int g = 0; g < SIDE; g++)
            for (int b = 0; b < SIDE; b++, p += 3) {
                p[0] = (uint8_t)(r * 5);
                p[1] = (uint8_t)(g * 5);
                p[2] = (uint8_t)(b * 5);
            }
    for (size_t m = 0; m < MT_COUNT(maps); m++) {
        memcpy(ref, src, 3 * N);
        mt_cpu_mask(MT_CPU_REF);
        mt_u8_stain(&maps[m], ref, N);
        assert_memory_not_equal(ref, src, 3 * N);
        for (int level = MT_CPU_AVX2; level <= mt_cpu_detected(); level++) {
            memcpy(got, src, 3 * N);
            mt_cpu_mask(level);
            mt_u8_stain(&maps[m], got, N);
            assert_memory_equal(got, ref, 3 * N);
        }
    }
    mt_cpu_mask(MT_CPU_AVX512);
    free(src);
    free(ref);
    free(got);
}

/* No mixing: every colour comes back as it was. */
static void identity(void **state)
{
    const mt_u8_stain_map same = {{1 / 240.f, 0, 0, 0, 1 / 240.f, 0, 0, 0, 1 / 240.f},
                                  {1, 0, 0, 0, 1, 0, 0, 0, 1},
                                  {0, 0, 0},
                                  {240, 0, 0, 0, 240, 0, 0, 0, 240}};
    uint8_t src[768], got[768];
    for (int level = MT_CPU_REF; level <= mt_cpu_detected(); level++) {
        for (size_t i = 0; i < sizeof src; i++)
            src[i] = got[i] = (uint8_t)(i / 3 + i % 3 * 85);
        mt_cpu_mask(level);
        mt_u8_stain(&same, got, 256);
        assert_memory_equal(got, src, sizeof src);
    }
    mt_cpu_mask(MT_CPU_AVX512);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_formula), cmocka_unit_test(tails_and_canaries),
        cmocka_unit_test(same_bytes_everywhere), cmocka_unit_test(identity)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
