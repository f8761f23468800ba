/* u8_ycc: what jpeg_read_scanlines gives, byte for byte, from the planes that jpeg_read_raw_data gives, for
 * every width; the same bytes from every variant for any stretch of a row; not a byte beyond it. */
#include "tests/support/support.h"
#include <stdio.h>
#include <string.h>
#include <jpeglib.h>
#include "base/cpu.h"
#include "base/mem.h"
#include "kernels/u8_ycc.h"

enum { SIDE = 16, ROOM = 512, EDGE = 64 }; /* libjpeg's group of rows at 4:2:0; bytes of a row; before it */

static const struct { mt_ycc_kind kind; int h, v; } kinds[] = {
    {MT_YCC_444, 1, 1}, {MT_YCC_422, 2, 1}, {MT_YCC_420, 2, 2}};

static void noise(uint8_t *p, size_t n, uint32_t seed)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        p[i] = (uint8_t)(seed >> 24);
    }
}

/* ---- against libjpeg ---- */

static size_t encode(uint8_t **jpeg, int w, int h, int sub_h, int sub_v)
{
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr e;
    unsigned long n = 0;
    uint8_t row[3 * ROOM];
    *jpeg = NULL;
    c.err = jpeg_std_error(&e);
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, jpeg, &n);
    c.image_width = (JDIMENSION)w;
    c.image_height = (JDIMENSION)h;
    c.input_components = 3;
    c.in_color_space = JCS_RGB;
    jpeg_set_defaults(&c);
    jpeg_set_quality(&c, 97, TRUE);
    c.comp_info[0].h_samp_factor = sub_h;
    c.comp_info[0].v_samp_factor = sub_v;
    jpeg_start_compress(&c, TRUE);
    for (int y = 0; y < h; y++) {
        JSAMPROW r = row;
        noise(row, sizeof row, (uint32_t)(w * 131 + y));
        jpeg_write_scanlines(&c, &r, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    return n;
}

static void start(struct jpeg_decompress_struct *d, struct jpeg_error_mgr *e, const uint8_t *jpeg,
                  size_t n, boolean raw)
{
    d->err = jpeg_std_error(e);
    jpeg_create_decompress(d);
    jpeg_mem_src(d, jpeg, n);
    jpeg_read_header(d, TRUE);
    d->raw_data_out = raw;
    jpeg_start_decompress(d);
}

typedef struct planes {
    uint8_t px[3][4 * SIDE][EDGE + ROOM + MT_YCC_OVER];
    JSAMPROW rows[3][4 * SIDE];
} planes;

static void read_planes(planes *p, const uint8_t *jpeg, size_t n, int v)
{
    struct jpeg_decompress_struct d;
    struct jpeg_error_mgr e;
    start(&d, &e, jpeg, n, TRUE);
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < 4 * SIDE; i++) p->rows[c][i] = p->px[c][i] + EDGE;
    for (int y = 0; d.output_scanline < d.output_height; y += 8) {
        JSAMPARRAY group[3] = {p->rows[0] + y * v, p->rows[1] + y, p->rows[2] + y};
        assert_int_equal(jpeg_read_raw_data(&d, group, (JDIMENSION)(8 * v)), 8 * v);
    }
    for (int c = 1; c < 3; c++)
        for (int i = 0; i < (int)d.comp_info[c].downsampled_height; i++) {
            JSAMPROW r = p->rows[c][i];
            r[-1] = r[0];
            r[d.comp_info[c].downsampled_width] = r[d.comp_info[c].downsampled_width - 1];
        }
    jpeg_abort_decompress(&d);
    jpeg_destroy_decompress(&d);
}

static mt_ycc_row row_of(const planes *p, mt_ycc_kind kind, int y, int h)
{
    const int n = (h + 1) / 2, near = y / 2, lean = y % 2 ? MT_MIN(near + 1, n - 1) : MT_MAX(near - 1, 0);
    mt_ycc_row r = {p->rows[0][y], {p->rows[1][y], NULL}, {p->rows[2][y], NULL}};
    if (kind != MT_YCC_420) return r;
    return (mt_ycc_row){r.y, {p->rows[1][near], p->rows[1][lean]}, {p->rows[2][near], p->rows[2][lean]}};
}

/* Widths from the smallest that libjpeg filters to beyond three vectors; heights of every kind of last
 * group. */
static void as_libjpeg(void **state)
{
    planes *p = malloc(sizeof *p);
    for (size_t k = 0; k < MT_COUNT(kinds); k++)
        for (int w = 5; w < 215; w++) {
            const int h = 17 + w % 31;
            uint8_t *jpeg, want[3 * ROOM], got[3 * ROOM];
            const size_t n = encode(&jpeg, w, h, kinds[k].h, kinds[k].v);
            struct jpeg_decompress_struct d;
            struct jpeg_error_mgr e;
            noise(&p->px[0][0][0], sizeof p->px, 77);
            read_planes(p, jpeg, n, kinds[k].v);
            start(&d, &e, jpeg, n, FALSE);
            for (int y = 0; y < h; y++) {
                JSAMPROW r = want;
                const mt_ycc_row row = row_of(p, kinds[k].kind, y, h);
                assert_int_equal(jpeg_read_scanlines(&d, &r, 1), 1);
                for (int level = MT_CPU_REF; level <= mt_cpu_detected(); level++) {
                    mt_cpu_mask(level);
                    mt_u8_ycc(kinds[k].kind)(got, &row, 0, w);
                    for (int i = 0; i < 3 * w; i++)
                        if (got[i] != want[i])
                            fail_msg("kind %zu, %d x %d, row %d, byte %d, %s: %d, not %d", k, w, h, y, i,
                                     mt_cpu_name(), got[i], want[i]);
                }
            }
            jpeg_finish_decompress(&d);
            jpeg_destroy_decompress(&d);
            free(jpeg);
        }
    mt_cpu_mask(MT_CPU_AVX512);
    free(p);
}

/* ---- variants against the reference ---- */

static mt_ycc_row noisy_row(uint8_t px[5][EDGE + ROOM + MT_YCC_OVER], uint32_t seed)
{
    noise(px[0], 5 * sizeof px[0], seed);
    return (mt_ycc_row){px[0] + EDGE, {px[1] + EDGE, px[2] + EDGE}, {px[3] + EDGE, px[4] + EDGE}};
}

/* Any stretch: every count to beyond two vectors, from even and odd pixels, to any alignment. */
static void tails_and_canaries(void **state)
{
    enum { MOST = 140, PAD = 200 };
    uint8_t px[5][EDGE + ROOM + MT_YCC_OVER], ref[3 * MOST + 2 * PAD], got[sizeof ref];
    for (size_t k = 0; k < MT_COUNT(kinds); k++)
        for (int level = MT_CPU_AVX2; level <= mt_cpu_detected(); level++)
            for (int32_t n = 0; n <= MOST; n++)
                for (int32_t x0 = 0; x0 < 7; x0++) {
                    const mt_ycc_row row = noisy_row(px, (uint32_t)(n * 8 + x0));
                    const size_t at = PAD + (size_t)(n * 5 + x0) % 67;
                    noise(ref, sizeof ref, (uint32_t)n);
                    memcpy(got, ref, sizeof ref);
                    mt_cpu_mask(MT_CPU_REF);
                    mt_u8_ycc(kinds[k].kind)(ref + at, &row, x0, n);
                    mt_cpu_mask(level);
                    mt_u8_ycc(kinds[k].kind)(got + at, &row, x0, n);
                    assert_memory_equal(got, ref, sizeof ref);
                }
    mt_cpu_mask(MT_CPU_AVX512);
}

/* Every pair of colours under some brightness, and every brightness: 4:4:4 has no filter before it. */
static void every_colour(void **state)
{
    uint8_t y[256 + EDGE], cb[256 + EDGE], cr[256 + EDGE], ref[768], got[768];
    const mt_ycc_row row = {y, {cb, cb}, {cr, cr}};
    for (int level = MT_CPU_AVX2; level <= mt_cpu_detected(); level++)
        for (int b = 0; b < 256; b++)
            for (int r = 0; r < 256; r += 5)
                for (int turn = 0; turn < 2; turn++) {
                    for (int i = 0; i < 256; i++) {
                        y[i] = (uint8_t)(turn ? i : b ^ r);
                        cb[i] = (uint8_t)(turn ? b : i);
                        cr[i] = (uint8_t)(turn ? r : b);
                    }
                    mt_cpu_mask(MT_CPU_REF);
                    mt_u8_ycc(MT_YCC_444)(ref, &row, 0, 256);
                    mt_cpu_mask(level);
                    mt_u8_ycc(MT_YCC_444)(got, &row, 0, 256);
                    assert_memory_equal(got, ref, sizeof ref);
                }
    mt_cpu_mask(MT_CPU_AVX512);
}

/* Rows at the very end of what may be read: the sanitizer sees a byte too many. */
static void reads_no_further(void **state)
{
    uint8_t rgb[3 * 80];
    for (size_t k = 0; k < MT_COUNT(kinds); k++)
        for (int32_t w = 1; w <= 80; w++) {
            const size_t c = 1 + (kinds[k].kind == MT_YCC_444 ? (size_t)w : ((size_t)w + 1) / 2);
            uint8_t *y = calloc((size_t)w + MT_YCC_OVER, 1), *cb = calloc(c + MT_YCC_OVER, 1),
                    *cr = calloc(c + MT_YCC_OVER, 1);
            const mt_ycc_row row = {y, {cb + 1, cb + 1}, {cr + 1, cr + 1}};
            for (int level = MT_CPU_REF; level <= mt_cpu_detected(); level++) {
                mt_cpu_mask(level);
                mt_u8_ycc(kinds[k].kind)(rgb, &row, 0, w);
                assert_int_equal(rgb[0], 0);
            }
            free(y);
            free(cb);
            free(cr);
        }
    mt_cpu_mask(MT_CPU_AVX512);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_libjpeg), cmocka_unit_test(tails_and_canaries), cmocka_unit_test(every_colour),
        cmocka_unit_test(reads_no_further),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
