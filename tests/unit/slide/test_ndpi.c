/* NDPI: the real file against OpenSlide pixel by pixel, and files made here for what it lacks:
 * several restart intervals in a row, no table of markers, a place beyond 4 GiB, focal planes. */
#include "tests/unit/slide/judge.h"
#include "tests/unit/slide/rows.h"

#include <fcntl.h>
#include <jpeglib.h>
#include <unistd.h>

/* ---- the real file ---- */

static void real_file(void **state)
{
    const char *path = tt_data("slides/test3-DAPI-2-387.ndpi");
    if (!path) skip();
    judge_path(path, "hamamatsu-ndpi", 0, 3, 1); /* three halves of its own; the map is ours */
    mt_slide *s = opened(path);
    const mt_slide_info *info = mt_slide_get_info(s);
    assert_int_equal(info->n_levels, 4);
    assert_int_equal(info->fluorescence, 1);
    assert_string_equal(info->mpp_source, "tiff.XResolution");
    assert_string_equal(info->levels[0].codec, "jpeg");
    assert_string_equal(info->levels[0].colour, "YCbCr 4:4:4 by JFIF marker");
    assert_int_equal(info->levels[0].tile_w, 3968);
    assert_int_equal(info->levels[0].tile_h, 64);
    assert_int_equal(info->n_warnings, 0);
    uint8_t *rgb = NULL;
    int64_t w, h;
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_slide_read_associated(&rgb, &w, &h, s, "map", &err), &err);
    assert_int_equal(w, 594);
    assert_int_equal(h, 203);
    free(rgb);
    mt_slide_close(&s);
}

/* Reduced by the codec, a level is nearly the next: the scanner halves by averaging, as DCT scaling
 * nearly does. */
static void reduced(void **state)
{
    const char *path = tt_data("slides/test3-DAPI-2-387.ndpi");
    if (!path) skip();
    mt_slide *s = opened(path);
    assert_int_equal(mt_slide_max_reduce(s, 0), 8);
    mt_tile_reader *r = NULL;
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_tile_reader_new(&r, s, &err), &err);
    uint8_t *half = malloc(3 * 1984 * 32);
    for (int ty = 0; ty < 76; ty += 15) {
        tt_ok(mt_tile_reader_decode(r, 0, 0, ty, 2, half, 3 * 1984, &err), &err);
        uint8_t *want = region(s, 1, 0, 32 * ty, 1984, 32);
        double sum = 0;
        for (int i = 0; i < 3 * 1984 * 32; i++)
            sum += abs(half[i] - want[i]);
        assert_true(sum / (3 * 1984 * 32) < 2.5);
        free(want);
    }
    free(half);
    mt_tile_reader_free(&r);
    mt_slide_close(&s);
}

/* ---- made files ---- */

typedef struct bytes {
    uint8_t *p;
    size_t n, cap;
} bytes;

static void put(bytes *b, const void *p, size_t n)
{
    if (b->n + n > b->cap) b->p = realloc(b->p, b->cap = 2 * (b->n + n));
    memcpy(b->p + b->n, p, n);
    b->n += n;
}

static void put_uint(bytes *b, uint64_t v, int n)
{
    for (int i = 0; i < n; i++)
        put(b, &(uint8_t){(uint8_t)(v >> (8 * i))}, 1);
}

typedef struct made_ndpi {
    uint32_t w, h;
    int sub_h, sub_v;
    unsigned interval; /* blocks; 0: no restart markers */
    float lens;
    int32_t z;
    bool no_table;  /* leave the places of the markers out */
    uint32_t shift; /* of the picture's coordinates, to tell planes apart */
} made_ndpi;

static bytes made_jpeg(const made_ndpi *d)
{
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr e;
    unsigned char *out = NULL;
    unsigned long n = 0;
    c.err = jpeg_std_error(&e);
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, &out, &n);
    c.image_width = d->w;
    c.image_height = d->h;
    c.input_components = 3;
    c.in_color_space = JCS_RGB;
    jpeg_set_defaults(&c);
    jpeg_set_quality(&c, 88, TRUE);
    c.comp_info[0].h_samp_factor = d->sub_h;
    c.comp_info[0].v_samp_factor = d->sub_v;
    c.restart_interval = d->interval;
    jpeg_start_compress(&c, TRUE);
    uint8_t *row = malloc(3 * d->w);
    while (c.next_scanline < d->h) {
        for (uint32_t x = 0; x < d->w; x++)
            made_pixel(row + 3 * x, x + d->shift, c.next_scanline);
        jpeg_write_scanlines(&c, &row, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    free(row);
    bytes b = {NULL, 0, 0};
    put(&b, out, n);
    free(out);
    return b;
}

/* Places of the intervals, as the scanner's table has them. */
static bytes interval_places(const bytes *jpeg)
{
    bytes places = {NULL, 0, 0};
    size_t i = 2;
    while (jpeg->p[i + 1] != 0xda)
        i += 2 + (size_t)(jpeg->p[i + 2] << 8 | jpeg->p[i + 3]);
    i += 2 + (size_t)(jpeg->p[i + 2] << 8 | jpeg->p[i + 3]);
    put_uint(&places, i, 4);
    for (; i + 1 < jpeg->n; i++)
        if (jpeg->p[i] == 0xff && jpeg->p[i + 1] >= 0xd0 && jpeg->p[i + 1] <= 0xd7)
            put_uint(&places, i + 2, 4);
    return places;
}

static void entry(bytes *b, bytes *highs, unsigned tag, unsigned type, uint32_t count,
                  uint64_t value)
{
    put_uint(b, tag, 2);
    put_uint(b, type, 2);
    put_uint(b, count, 4);
    put_uint(b, value & 0xffffffff, 4);
    put_uint(highs, value >> 32, 4);
}

/* The strips, then their directories, all of it from `base` on: past 4 GiB for a file full of
 * holes. */
static const char *made_ndpi_file(const char *name, const made_ndpi *d, size_t n, uint64_t base)
{
    const char *path = tt_tmp_file(name);
    bytes body = {NULL, 0, 0};
    uint64_t strips[8], tables[8], first = 0;
    size_t sizes[8], counts[8];
    for (size_t i = 0; i < n; i++) {
        bytes jpeg = made_jpeg(&d[i]), places = interval_places(&jpeg);
        strips[i] = base + body.n;
        sizes[i] = jpeg.n;
        /* What the scanner does with sides that JPEG cannot say: zero. */
        if (d[i].interval)
            for (size_t k = 2; k < jpeg.n; k += 2 + (size_t)(jpeg.p[k + 2] << 8 | jpeg.p[k + 3]))
                if (jpeg.p[k + 1] == 0xc0) {
                    if (base > UINT32_MAX) memset(jpeg.p + k + 5, 0, 4);
                    break;
                }
        put(&body, jpeg.p, jpeg.n);
        tables[i] = base + body.n;
        counts[i] = places.n / 4;
        put(&body, places.p, places.n);
        free(jpeg.p);
        free(places.p);
    }
    for (size_t i = 0; i < n; i++) {
        bytes dir = {NULL, 0, 0}, highs = {NULL, 0, 0};
        const uint64_t res_at = base + body.n;
        put_uint(&body, 40000, 4);
        put_uint(&body, 1, 4);
        uint32_t lens;
        memcpy(&lens, &d[i].lens, 4);
        const bool table = d[i].interval && !d[i].no_table;
        put_uint(&dir, 15u + table, 2);
        entry(&dir, &highs, 256, 4, 1, d[i].w);
        entry(&dir, &highs, 257, 4, 1, d[i].h);
        entry(&dir, &highs, 258, 3, 1, 8);
        entry(&dir, &highs, 259, 3, 1, 7);
        entry(&dir, &highs, 262, 3, 1, 6);
        entry(&dir, &highs, 273, 4, 1, strips[i]);
        entry(&dir, &highs, 277, 3, 1, 3);
        entry(&dir, &highs, 278, 4, 1, d[i].h);
        entry(&dir, &highs, 279, 4, 1, sizes[i]);
        entry(&dir, &highs, 282, 5, 1, res_at);
        entry(&dir, &highs, 283, 5, 1, res_at);
        entry(&dir, &highs, 296, 3, 1, 3);
        entry(&dir, &highs, 65420, 3, 1, 1);
        entry(&dir, &highs, 65421, 11, 1, lens);
        entry(&dir, &highs, 65424, 9, 1, (uint32_t)d[i].z);
        if (table) entry(&dir, &highs, 65426, 4, (uint32_t)counts[i], tables[i]);
        const uint64_t here = base + body.n;
        if (!first) first = here;
        put(&body, dir.p, dir.n);
        put_uint(&body, i + 1 < n ? here + dir.n + 8 + highs.n + 8 : 0, 8);
        put(&body, highs.p, highs.n);
        free(dir.p);
        free(highs.p);
    }
    bytes head = {NULL, 0, 0};
    put(&head, "II*\0", 4);
    put_uint(&head, first, 8);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, head.p, head.n, 0), (ssize_t)head.n);
    assert_int_equal(pwrite(fd, body.p, body.n, (off_t)base), (ssize_t)body.n);
    close(fd);
    free(head.p);
    free(body.p);
    return path;
}

/* Every pixel of a level against the picture it was made from. */
static void compare_made(const mt_slide *s, int level, uint32_t shift, double mean)
{
    const mt_level *l = &mt_slide_get_info(s)->levels[level];
    uint8_t *rgb = region(s, level, 0, 0, (int32_t)l->width, (int32_t)l->height);
    double sum = 0;
    for (int64_t y = 0; y < l->height; y++)
        for (int64_t x = 0; x < l->width; x++) {
            uint8_t want[3];
            made_pixel(want, (uint32_t)x + shift, (uint32_t)y);
            for (int c = 0; c < 3; c++)
                sum += abs(rgb[3 * (y * l->width + x) + c] - want[c]);
        }
    free(rgb);
    assert_true(sum / (3.0 * (double)(l->width * l->height)) < mean);
}

/* Four intervals in a row of blocks, 4:2:2: OpenSlide decodes each by itself, and so do we. */
static void several_in_a_row(void **state)
{
    const made_ndpi d[] = {{640, 456, 2, 1, 10, 40.0f, 0, false, 0},
                           {320, 228, 1, 1, 20, 20.0f, 0, false, 0},
                           {97, 61, 2, 2, 0, 5.0f, 0, false, 0}};
    const char *path = made_ndpi_file("row.ndpi", d, 3, 16);
    mt_slide *s = opened(path);
    openslide_t *o = judge_open(path);
    const mt_slide_info *info = mt_slide_get_info(s);
    assert_int_equal(info->n_levels, 3);
    assert_int_equal(info->levels[0].tile_w, 160);
    assert_int_equal(info->levels[0].tiles_x, 4);
    assert_int_equal(info->levels[1].tile_w, 160);
    assert_int_equal(info->fluorescence, 0);
    assert_int_equal(info->levels[2].tile_w, 97);
    /* All directories say 0.25: the coarse ones are wrong. */
    assert_int_equal(info->n_warnings, 3); /* and the third level is no part of the pyramid */
    assert_string_equal(info->warnings[0],
                        "level 1 states 0.25 um/px, its size says 0.5; used the latter");
    compare_made(s, 0, 0, 4.0);
    compare_made(s, 1, 0, 4.0);
    compare_made(s, 2, 0, 4.0);
    compare_level0_boxes(s, o, 0);
    assert_int_equal(compare_box(s, o, 0, 0, 0, 680, 480), 0);
    openslide_close(o);
    mt_slide_close(&s);
}

/* Tiles of one piece, of pieces and without markers go on row by row, while in cache. */
static void rows(void **state)
{
    const made_ndpi d[] = {{640, 456, 2, 2, 10, 40.0f, 0, false, 0},
                           {320, 228, 2, 1, 20, 20.0f, 0, false, 0},
                           {160, 114, 2, 2, 0, 10.0f, 0, false, 0}};
    mt_slide *s = opened(made_ndpi_file("rows.ndpi", d, 3, 16));
    assert_int_equal(mt_slide_get_info(s)->n_levels, 3);
    for (int level = 0; level < 3; level++)
        assert_true(rows_are_tiles(s, level) > 4);
    mt_slide_close(&s);
    const char *path = tt_data("slides/test3-DAPI-2-387.ndpi");
    if (!path) skip();
    s = opened(path);
    for (int level = 0; level < 4; level++)
        assert_true(rows_are_tiles(s, level) > 4);
    mt_slide_close(&s);
}

/* Without the table the markers are found; same pixels. */
static void no_table(void **state)
{
    const made_ndpi with = {640, 456, 2, 2, 10, 40.0f, 0, false, 0};
    made_ndpi without = with;
    without.no_table = true;
    char first[256];
    snprintf(first, sizeof first, "%s", made_ndpi_file("with.ndpi", &with, 1, 16));
    mt_slide *a = opened(first), *b = opened(made_ndpi_file("without.ndpi", &without, 1, 16));
    assert_int_equal(mt_slide_get_info(b)->levels[0].tiles_x, 4);
    uint8_t *pa = region(a, 0, 0, 0, 640, 456), *pb = region(b, 0, 0, 0, 640, 456);
    assert_memory_equal(pa, pb, 3 * 640 * 456);
    free(pa);
    free(pb);
    mt_slide_close(&a);
    mt_slide_close(&b);
}

/* A file of holes whose first byte of interest lies behind 4 GiB; sides that JPEG calls zero. */
static void beyond_4_gib(void **state)
{
    const made_ndpi d[] = {{640, 456, 1, 1, 80, 40.0f, 0, false, 0},
                           {320, 228, 1, 1, 40, 20.0f, 0, false, 0}};
    const uint64_t base = ((uint64_t)5 << 32) + 0x1234;
    const char *path = made_ndpi_file("large.ndpi", d, 2, base);
    mt_slide *s = opened(path);
    const mt_slide_info *info = mt_slide_get_info(s);
    assert_string_equal(info->format, "hamamatsu-ndpi");
    assert_int_equal(info->n_levels, 2);
    assert_int_equal(info->levels[0].tile_w, 640);
    assert_true(fabs(info->mpp_x - 0.25) < 1e-12);
    compare_made(s, 0, 0, 4.0);
    compare_made(s, 1, 0, 4.0);
    mt_slide_close(&s);
    unlink(path);
}

/* Of three heights the one nearest to zero. */
static void focal_planes(void **state)
{
    const made_ndpi d[] = {{320, 228, 1, 1, 40, 40.0f, -2000, false, 7},
                           {320, 228, 1, 1, 40, 40.0f, 0, false, 0},
                           {320, 228, 1, 1, 40, 40.0f, 2000, false, 13},
                           {160, 114, 1, 1, 20, 20.0f, 0, false, 0}};
    mt_slide *s = opened(made_ndpi_file("planes.ndpi", d, 4, 16));
    const mt_slide_info *info = mt_slide_get_info(s);
    assert_int_equal(info->n_levels, 2);
    assert_int_equal(info->n_focal_planes, 3);
    assert_int_equal(info->focal_plane, 1);
    compare_made(s, 0, 0, 4.0);
    mt_slide_close(&s);
    mt_slide_opts opts = MT_SLIDE_OPTS_INIT;
    opts.focal_plane = 2;
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_slide_open(&s, tt_tmp_file("planes.ndpi"), &opts, &err), &err);
    compare_made(s, 0, 13, 4.0);
    mt_slide_close(&s);
}

/* One damaged interval is one unreadable tile; the rest stays. */
static void damaged(void **state)
{
    const made_ndpi d = {640, 912, 1, 1, 80, 40.0f, 0, false, 0};
    const char *path = made_ndpi_file("damaged.ndpi", &d, 1, 16);
    mt_slide *s = opened(path);
    const int32_t th = mt_slide_get_info(s)->levels[0].tile_h;
    mt_slide_close(&s);
    int fd = open(path, O_RDWR);
    uint8_t all[200000];
    const ssize_t n = pread(fd, all, sizeof all, 0);
    int seen = 0;
    for (ssize_t i = 16 + 700; i + 1 < n; i++)
        if (all[i] == 0xff && all[i + 1] >= 0xd0 && all[i + 1] <= 0xd7 && ++seen == 12) {
            memset(all + i, 0x55, 40); /* the marker too */
            assert_int_equal(pwrite(fd, all + i, 40, i), 40);
            break;
        }
    close(fd);
    assert_int_equal(seen, 12);
    s = opened(path);
    const int bad = 12 * 8 / th;
    mt_tile_reader *r = NULL;
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_tile_reader_new(&r, s, &err), &err);
    uint8_t *rgb = malloc(3 * 640 * (size_t)th);
    for (int ty = 0; ty < mt_slide_get_info(s)->levels[0].tiles_y; ty++) {
        mt_err_clear(&err);
        const mt_status st = mt_tile_reader_decode(r, 0, 0, ty, 1, rgb, 3 * 640, &err);
        if (ty == bad) {
            assert_int_equal(st, MT_ERR_FORMAT);
            assert_non_null(strstr(err.text, "level 0: tile 0,"));
        } else {
            tt_ok(st, &err);
        }
    }
    free(rgb);
    mt_tile_reader_free(&r);
    mt_slide_close(&s);
}

/* A macro image that is no macro image is told. */
static void unreadable_macro(void **state)
{
    const made_ndpi d[] = {{640, 912, 1, 1, 80, 40.0f, 0, false, 0}, {640, 912, 1, 1, 8, -1.0f, 0, false, 0}};
    mt_slide *s = opened(made_ndpi_file("macro.ndpi", d, 2, 16));
    const mt_slide_info *info = mt_slide_get_info(s);
    assert_int_equal(info->n_associated, 0);
    assert_int_equal(info->n_warnings, 1);
    assert_non_null(strstr(info->warnings[0], "the macro image cannot be read: IFD 1: 640 x 912 pixels in"));
    mt_slide_close(&s);
}

/* A file that is cut short while it is open is an error of the disk, not of a tile. */
static void cut_while_open(void **state)
{
    const made_ndpi d = {640, 912, 1, 1, 80, 40.0f, 0, false, 0};
    const char *path = made_ndpi_file("short.ndpi", &d, 1, 16);
    mt_slide *s = opened(path);
    assert_int_equal(truncate(path, 9000), 0);
    mt_tile_reader *r = NULL;
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_tile_reader_new(&r, s, &err), &err);
    const mt_level *l = &mt_slide_get_info(s)->levels[0];
    uint8_t *rgb = malloc(3 * (size_t)l->tile_w * (size_t)l->tile_h);
    assert_int_equal(mt_tile_reader_decode(r, 0, 0, l->tiles_y - 1, 1, rgb, 3 * 640, &err), MT_ERR_IO);
    mt_err_clear(&err);
    assert_int_equal(mt_slide_check(s, &err), MT_ERR_IO);
    free(rgb);
    mt_tile_reader_free(&r);
    mt_slide_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_file),        cmocka_unit_test(reduced),
        cmocka_unit_test(several_in_a_row), cmocka_unit_test(no_table),
        cmocka_unit_test(beyond_4_gib),     cmocka_unit_test(focal_planes),
        cmocka_unit_test(damaged),          cmocka_unit_test(cut_while_open),
        cmocka_unit_test(unreadable_macro), cmocka_unit_test(rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
