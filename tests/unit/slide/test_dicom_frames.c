/* DICOM slides made here: every way frames are stored, found and placed. */
#include "dicom_made.h"

#include <libdeflate.h>
#include <math.h>
#include <pthread.h>
#include "slide/dicom/dicom.h"
#include "slide/format.h"
#include "slide/stored.h"

#define SYNTAX "1.2.840.10008.1.2"

static const dm_image small = {.width = 50, .height = 37, .columns = 16, .rows = 12, .icc = 10};

/* ---- threads ---- */

typedef struct crowd { const mt_slide *s; int seed; } crowd;

static void *read_some(void *arg)
{
    const crowd *c = arg;
    unsigned x = (unsigned)c->seed;
    for (int i = 0; i < 200; i++) {
        uint8_t got[3], want[3];
        x = x * 1103515245u + 12345u;
        const int px = (int)(x >> 8 & 0xffff) % 50, py = (int)(x >> 12 & 0xffff) % 37;
        pixel(want, 1, px, py);
        if (mt_slide_read_region(c->s, 0, px, py, 1, 1, got, 3, NULL) != MT_OK || memcmp(got, want, 3))
            return (void *)1;
    }
    return NULL;
}

/* ---- native ---- */

static void native(void **state)
{
    static const struct { const char *syntax; bool bytes; } ways[] = {
        {SYNTAX ".1", false}, {SYNTAX, false}, {SYNTAX ".2", true}, {SYNTAX ".1.99", false},
        {SYNTAX ".1.98", true}, {SYNTAX ".1", true}};
    for (size_t i = 0; i < MT_COUNT(ways); i++)
        for (int planar = 0; planar < 2; planar++)
            for (int undefined = 0; undefined < 2; undefined++) {
                dm_image im = small;
                im.syntax = ways[i].syntax;
                im.bytes = ways[i].bytes;
                im.planar = planar;
                im.undefined = undefined;
                im.dual = i == 0;
                cut c = {.n = 0};
                cut_raw(&c, 1, &im);
                mt_slide *s = open_one(put(fresh_dir(), "a.dcm", &im, &c));
                const mt_slide_info *info = mt_slide_get_info(s);
                assert_string_equal(info->format, "dicom-wsi");
                assert_int_equal(info->levels[0].tiles_x, 4);
                assert_int_equal(info->levels[0].tiles_y, 4);
                assert_string_equal(info->levels[0].codec, "raw");
                assert_int_equal(info->n_warnings, 0);
                assert_int_equal(info->icc_bytes, 10);
                shows(s, 0, 1, 0);
                mt_slide_close(&s);
                cut_free(&c);
            }
}

/* 8-bit samples in words of the other byte order come in swapped pairs, counted from the first byte of
 * the pixel data: a frame of an odd size begins in the middle of a word. */
static void swap_all(cut *c)
{
    uint8_t *before = NULL;
    for (int i = 0; i < c->n; i++)
        for (size_t k = 0; k < c->frames[i].n; k++) {
            uint8_t *p = (uint8_t *)(uintptr_t)c->frames[i].data + k;
            if (before) {
                const uint8_t t = *p;
                *p = *before;
                *before = t;
            }
            before = before ? NULL : p;
        }
}

static void swapped_words(void **state)
{
    static const dm_image sizes[] = {{.width = 50, .height = 37, .columns = 16, .rows = 12},
                                     {.width = 50, .height = 37, .columns = 15, .rows = 11}};
    for (size_t i = 0; i < MT_COUNT(sizes); i++) {
        dm_image im = sizes[i];
        im.syntax = SYNTAX ".2";
        cut c = {.n = 0};
        cut_raw(&c, 2, &im);
        const size_t last = im.columns % 2 ? c.frames[c.n - 1].n - 1 : 0;
        if (last) c.frames[c.n - 1].n++; /* the pad byte, which is swapped too: here by room made for it */
        c.frames[c.n - 1].data = realloc((void *)(uintptr_t)c.frames[c.n - 1].data, c.frames[c.n - 1].n);
        assert_non_null(c.frames[c.n - 1].data);
        if (last) ((uint8_t *)(uintptr_t)c.frames[c.n - 1].data)[last + 1] = 0;
        swap_all(&c);
        mt_slide *s = open_one(put(fresh_dir(), "a", &im, &c));
        shows(s, 0, 2, 0);
        mt_slide_close(&s);
        cut_free(&c);
    }
}

static void grey16(void **state)
{
    for (int big = 0; big < 2; big++)
        for (int stored = 12; stored <= 16; stored += 4) {
            const dm_image im = {.width = 20, .height = 20, .columns = 20, .rows = 20, .samples = 1, .bits = 16,
                                 .stored = stored, .syntax = big ? SYNTAX ".2" : NULL};
            cut c = {.n = 0};
            uint8_t p[800];
            const int most = (1 << stored) - 1;
            for (int i = 0; i < 400; i++) {
                const int v = i * most / 399;
                p[2 * i + big] = (uint8_t)v;
                p[2 * i + !big] = (uint8_t)(v >> 8);
            }
            add_frame(&c, p, sizeof p);
            mt_slide *s = open_one(put(fresh_dir(), "a", &im, &c));
            assert_int_equal(mt_slide_get_info(s)->fluorescence, 1);
            for (int i = 0; i < 400; i += 7) {
                const int v = i * most / 399, want = (2 * v * 255 + most) / (2 * most);
                pixel_is(s, i % 20, i / 20, want, want, want);
            }
            mt_slide_close(&s);
            cut_free(&c);
        }
}

/* A frame too large to be read at once is read in bands of rows. */
static void bands(void **state)
{
    const dm_image im = {.width = 1500, .height = 1100, .columns = 1500, .rows = 1100};
    cut c = {.n = 0};
    cut_raw(&c, 1, &im);
    mt_slide *s = open_one(put(fresh_dir(), "a", &im, &c));
    const mt_level *l = &mt_slide_get_info(s)->levels[0];
    assert_true(l->tile_h < 200 && l->tiles_y > 5 && l->tile_w == 1500);
    shows(s, 0, 1, 0);
    mt_tile_span span;
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_slide_tile_span(&span, s, 0, 0, l->tiles_y - 1, &err), &err);
    assert_int_equal(span.size, 3 * 1500 * (1100 - (l->tiles_y - 1) * l->tile_h));
    mt_slide_close(&s);
    cut_free(&c);
}

/* So is one whose words are swapped, and a band costs no more than its own bytes. */
static void swapped_bands(void **state)
{
    const dm_image im = {.width = 1501, .height = 1100, .columns = 1501, .rows = 1100, .syntax = SYNTAX ".2"};
    cut c = {.n = 0};
    cut_raw(&c, 1, &im);
    swap_all(&c);
    mt_slide *s = open_one(put(fresh_dir(), "a", &im, &c));
    const mt_level *l = &mt_slide_get_info(s)->levels[0];
    assert_true(l->tiles_y > 5);
    shows(s, 0, 1, 0);
    mt_err err = MT_ERR_INIT;
    const size_t band = 3 * 1501 * (size_t)l->tile_h;
    uint8_t *rgb = malloc(band);
    void *reader = NULL;
    assert_non_null(rgb);
    tt_ok(s->ops->reader_open(&reader, s, &err), &err);
    for (int ty = 0; ty < l->tiles_y; ty++)
        tt_ok(s->ops->decode(reader, s, 0, 0, ty, 1, rgb, 3 * 1501, &err), &err);
    const size_t room = ((mt_stored_reader *)reader)->tile.bytes;
    assert_true(room >= band && room < band + 64);
    s->ops->reader_close(reader);
    free(rgb);
    mt_slide_close(&s);
    cut_free(&c);
}

/* ---- encapsulated ---- */

static void tables_and_fragments(void **state)
{
    static const dm_table tables[] = {DM_EMPTY, DM_BASIC, DM_BASIC_WRONG, DM_EXTENDED};
    for (size_t t = 0; t < MT_COUNT(tables); t++)
        for (int fragments = 1; fragments <= 3; fragments += 2) {
            dm_image im = small;
            im.syntax = SYNTAX ".4.50";
            im.photometric = "YBR_FULL_422";
            im.table = tables[t];
            im.fragments = fragments;
            cut c = {.n = 0};
            cut_jpeg(&c, 1, &im, false);
            mt_slide *s = open_one(put(fresh_dir(), "a", &im, &c));
            assert_string_equal(mt_slide_get_info(s)->levels[0].codec, "jpeg");
            shows(s, 0, 1, 45);
            assert_true(warns(s, "offset table") == (tables[t] == DM_BASIC_WRONG && fragments > 1));
            mt_tile_span span;
            mt_err err = MT_ERR_INIT;
            const mt_status st = mt_slide_tile_span(&span, s, 0, 1, 1, &err);
            if (fragments > 1) {
                assert_int_equal(st, MT_ERR_UNSUPPORTED);
            } else {
                tt_ok(st, &err);
                assert_memory_equal(span.data, c.frames[5].data, c.frames[5].n);
            }
            mt_slide_close(&s);
            cut_free(&c);
        }
}

static void rle(void **state)
{
    dm_image im = small;
    im.syntax = SYNTAX ".5";
    im.planar = 1; /* whatever it says: segments are planes */
    cut c = {.n = 0};
    cut_rle(&c, 1, &im);
    mt_slide *s = open_one(put(fresh_dir(), "a", &im, &c));
    assert_string_equal(mt_slide_get_info(s)->levels[0].codec, "rle");
    shows(s, 0, 1, 0);
    mt_slide_close(&s);
    cut_free(&c);
}

/* One frame may be any number of fragments. */
static void one_frame_many_fragments(void **state)
{
    dm_image im = {.width = 40, .height = 30, .columns = 40, .rows = 30, .syntax = SYNTAX ".4.50",
                   .photometric = "YBR_FULL_422", .fragments = 5};
    cut c = {.n = 0};
    cut_jpeg(&c, 1, &im, false);
    mt_slide *s = open_one(put(fresh_dir(), "a", &im, &c));
    shows(s, 0, 1, 45);
    mt_slide_close(&s);
    im.syntax = SYNTAX ".1.98"; /* bytes that do not say where they begin, and no table: nobody can tell */
    im.photometric = "RGB";
    im.width = 80;
    cut_free(&c);
    cut_raw(&c, 1, &im);
    refused(put(fresh_dir(), "a", &im, &c), MT_ERR_FORMAT, "no offset table");
    im.table = DM_EXTENDED;
    s = open_one(put(fresh_dir(), "a", &im, &c));
    shows(s, 0, 1, 0);
    mt_slide_close(&s);
    cut_free(&c);
}

/* Without any marker the header tells RGB from YCbCr; with one it does not. */
static void colours(void **state)
{
    static const struct { bool rgb; const char *says, *words; bool warns; } ways[] = {
        {true, "RGB", "RGB by header", false},
        {false, "YBR_FULL_422", "YCbCr 4:4:4 by JFIF marker", false},
        {false, "RGB", "YCbCr 4:4:4 by JFIF marker", true}};
    for (size_t i = 0; i < MT_COUNT(ways); i++) {
        dm_image im = small;
        im.syntax = SYNTAX ".4.50";
        im.photometric = ways[i].says;
        cut c = {.n = 0};
        cut_jpeg(&c, 1, &im, ways[i].rgb);
        mt_slide *s = open_one(put(fresh_dir(), "a", &im, &c));
        assert_string_equal(mt_slide_get_info(s)->levels[0].colour, ways[i].words);
        assert_true(warns(s, "photometric") == ways[i].warns);
        shows(s, 0, 1, 45);
        mt_slide_close(&s);
        cut_free(&c);
    }
}

/* ---- a file that ends too soon ---- */

static void cut_short(void **state)
{
    for (int jpeg = 0; jpeg < 2; jpeg++) {
        dm_image im = small;
        cut c = {.n = 0};
        if (jpeg) {
            im.syntax = SYNTAX ".4.50";
            im.photometric = "YBR_FULL_422";
            cut_jpeg(&c, 1, &im, false);
        } else {
            cut_raw(&c, 1, &im);
        }
        im.cut = 300;
        mt_slide *s = open_one(put(fresh_dir(), "a", &im, &c));
        uint8_t p[3];
        mt_err err = MT_ERR_INIT;
        tt_ok(mt_slide_read_region(s, 0, 3, 3, 1, 1, p, 3, &err), &err);
        assert_int_equal(mt_slide_read_region(s, 0, 49, 36, 1, 1, p, 3, &err), MT_ERR_FORMAT);
        assert_non_null(strstr(err.text, "tile 3,3"));
        assert_true(!jpeg || warns(s, "ends before its last frame"));
        mt_slide_close(&s);
        cut_free(&c);
    }
}

/* The file shrinks under an open slide: that slide fails, the process does not. */
static void shrinks_while_open(void **state)
{
    dm_image im = {.width = 400, .height = 300, .columns = 100, .rows = 100};
    cut c = {.n = 0};
    cut_raw(&c, 1, &im);
    const char *path = put(fresh_dir(), "a", &im, &c);
    mt_slide *s = open_one(path);
    uint8_t p[3];
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_slide_read_region(s, 0, 3, 3, 1, 1, p, 3, &err), &err); /* mapped */
    assert_int_equal(truncate(path, 8192), 0);
    assert_int_equal(mt_slide_read_region(s, 0, 399, 299, 1, 1, p, 3, &err), MT_ERR_IO);
    mt_err_clear(&err);
    assert_int_equal(mt_slide_check(s, &err), MT_ERR_IO);
    mt_slide_close(&s);
    /* And one that is not mapped yet. */
    path = put(fresh_dir(), "a", &im, &c);
    s = open_one(path);
    assert_int_equal(truncate(path, 8192), 0);
    mt_err_clear(&err);
    assert_int_equal(mt_slide_read_region(s, 0, 3, 3, 1, 1, p, 3, &err), MT_ERR_IO);
    assert_non_null(strstr(err.text, "not the one it was"));
    mt_slide_close(&s);
    cut_free(&c);
}

/* ---- sparse ---- */

static void place_all(cut *c, const dm_image *im)
{
    const int across = (im->width + im->columns - 1) / im->columns;
    for (int i = 0; i < c->n; i++) {
        c->frames[i].x = 1 + i % across * im->columns;
        c->frames[i].y = 1 + i / across * im->rows;
    }
}

static void sparse_on_grid(void **state)
{
    for (int undefined = 0; undefined < 2; undefined++) {
        dm_image im = small;
        im.organization = "TILED_SPARSE";
        im.undefined = undefined;
        cut c = {.n = 0};
        cut_raw(&c, 1, &im);
        place_all(&c, &im);
        const dm_frame first = c.frames[0]; /* any order will do */
        c.frames[0] = c.frames[7];
        c.frames[7] = first;
        mt_slide *s = open_one(put(fresh_dir(), "a", &im, &c));
        shows(s, 0, 1, 0);
        assert_int_equal(mt_slide_get_info(s)->n_warnings, 0);
        mt_slide_close(&s);
        /* One left out, one twice, one outside, one nowhere. */
        c.frames[7].x = c.frames[1].x;
        c.frames[7].y = c.frames[1].y;
        c.frames[4].x = 1 + 16 * 50;
        c.frames[5].nowhere = true;
        s = open_one(put(fresh_dir(), "a", &im, &c));
        pixel_is(s, 0, 0, 255, 255, 255);
        mt_tile_span span;
        mt_err err = MT_ERR_INIT;
        tt_ok(mt_slide_tile_span(&span, s, 0, 0, 0, &err), &err);
        assert_int_equal(span.size, 0);
        assert_true(warns(s, "1 frames lie where another"));
        assert_true(warns(s, "1 frames lie outside"));
        assert_true(warns(s, "1 frames state no position"));
        uint8_t want[3];
        pixel(want, 1, 20, 2);
        pixel_is(s, 20, 2, want[0], want[1], want[2]);
        mt_slide_close(&s);
        im.absent_lab[0] = 65535 / 2; /* L 50, a and b 0 */
        im.absent_lab[1] = im.absent_lab[2] = 128 * 257;
        s = open_one(put(fresh_dir(), "a", &im, &c));
        pixel_is(s, 0, 0, 119, 119, 119);
        mt_slide_close(&s);
        cut_free(&c);
    }
}

/* Frames that overlap and lie off the grid: a nominal grid is drawn from them, the first one on top. */
static void sparse_off_grid(void **state)
{
    dm_image im = {.width = 50, .height = 40, .columns = 16, .rows = 12, .organization = "TILED_SPARSE", .icc = 4};
    static const int at[][2] = {{5, 3}, {13, 9}, {-4, -6}, {44, 34}, {30, 20}};
    cut c = {.n = 0};
    for (size_t i = 0; i < MT_COUNT(at); i++) {
        uint8_t *p = malloc(3 * 16 * 12);
        assert_non_null(p);
        for (int y = 0; y < 12; y++)
            for (int x = 0; x < 16; x++)
                pixel(p + 3 * (16 * y + x), (int)i, at[i][0] + x, at[i][1] + y);
        add_frame(&c, p, 3 * 16 * 12);
        c.frames[i].x = at[i][0] + 1;
        c.frames[i].y = at[i][1] + 1;
        free(p);
    }
    mt_slide *s = open_one(put(fresh_dir(), "a", &im, &c));
    mt_err err = MT_ERR_INIT;
    uint8_t rgb[3 * 50 * 40];
    tt_ok(mt_slide_read_region(s, 0, 0, 0, 50, 40, rgb, 150, &err), &err);
    for (int y = 0; y < 40; y++)
        for (int x = 0; x < 50; x++) {
            uint8_t want[3] = {255, 255, 255};
            for (int i = (int)MT_COUNT(at) - 1; i >= 0; i--)
                if (x >= at[i][0] && x < at[i][0] + 16 && y >= at[i][1] && y < at[i][1] + 12) pixel(want, i, x, y);
            if (memcmp(rgb + 3 * (50 * y + x), want, 3)) fail_msg("pixel %d,%d", x, y);
        }
    mt_tile_span span;
    assert_int_equal(mt_slide_tile_span(&span, s, 0, 0, 0, &err), MT_ERR_UNSUPPORTED);
    assert_int_equal(mt_slide_max_reduce(s, 0), 1);
    mt_slide_close(&s);
    cut_free(&c);
}

/* A picture of w x h in frames of 40 x 30, moved off the grid by (7, 5), those of odd columns in `b`. */
static void cut_off_grid(cut *a, cut *b, const dm_image *im)
{
    for (int y = 5, row = 0; y + im->rows <= im->height; y += im->rows, row++)
        for (int x = 7, col = 0; x + im->columns <= im->width; x += im->columns, col++) {
            uint8_t *p = frame_rgb(3, x, y, im->columns, im->rows, im->width, im->height);
            cut *c = col % 2 && b ? b : a;
            add_frame(c, p, 3 * (size_t)im->columns * (size_t)im->rows);
            c->frames[c->n - 1].x = x + 1;
            c->frames[c->n - 1].y = y + 1;
            free(p);
        }
}

/* Each frame off the grid is decoded once in a pass, whatever the order and however many readers. */
static void off_grid_once(void **state)
{
    const dm_image im = {.width = 500, .height = 400, .columns = 40, .rows = 30, .organization = "TILED_SPARSE"};
    cut c = {.n = 0};
    cut_off_grid(&c, NULL, &im);
    const char *path = put(fresh_dir(), "a", &im, &c);
    for (int by_columns = 0; by_columns < 2; by_columns++) {
        mt_slide *s = open_one(path);
        const mt_level *l = &mt_slide_get_info(s)->levels[0];
        mt_tile_reader *r[2] = {NULL, NULL};
        mt_err err = MT_ERR_INIT;
        uint8_t rgb[3 * 40 * 30], want[3];
        for (int i = 0; i < 2; i++) tt_ok(mt_tile_reader_new(&r[i], s, &err), &err);
        const int64_t n = l->tiles_x * l->tiles_y;
        for (int64_t i = 0; i < n; i++) {
            const int64_t tx = by_columns ? i / l->tiles_y : i % l->tiles_x,
                          ty = by_columns ? i % l->tiles_y : i / l->tiles_x;
            tt_ok(mt_tile_reader_decode(r[i % 2], 0, tx, ty, 1, rgb, 120, &err), &err);
            if (!tx || !ty || tx + 1 == l->tiles_x || ty + 1 == l->tiles_y) continue;
            pixel(want, 3, (int)tx * 40 + 20, (int)ty * 30 + 15);
            assert_memory_equal(rgb + 3 * (15 * 40 + 20), want, 3);
        }
        assert_int_equal(mt_kept_fills(((mt_dicom_slide *)s->impl)->kept), c.n);
        for (int i = 0; i < 2; i++) mt_tile_reader_free(&r[i]);
        mt_slide_close(&s);
    }
    cut_free(&c);
}

/* A tile drawn from two files, of which the one that is drawn first is cut short: the tile fails. */
static void off_grid_fault(void **state)
{
    dm_image im = {.width = 340, .height = 340, .columns = 100, .rows = 100, .organization = "TILED_SPARSE"};
    cut a = {.n = 0}, b = {.n = 0};
    const char *dir = fresh_dir();
    cut_off_grid(&a, &b, &im);
    im.instance = "1.2.6.1";
    put(dir, "a", &im, &a);
    im.instance = "1.2.6.2";
    const char *path = put(dir, "b", &im, &b); /* its frames come after those of a: drawn before them */
    mt_slide *s = open_one(path);
    mt_err err = MT_ERR_INIT;
    mt_tile_reader *r = NULL;
    uint8_t rgb[3 * 100 * 100];
    tt_ok(mt_tile_reader_new(&r, s, &err), &err);
    tt_ok(mt_tile_reader_decode(r, 0, 1, 0, 1, rgb, 300, &err), &err); /* both mapped */
    assert_int_equal(truncate(path, 8192), 0);
    for (int k = 0; k < 2; k++) { /* nor is a frame of zeros kept */
        mt_err_clear(&err);
        assert_int_equal(mt_tile_reader_decode(r, 0, 1, 2, 1, rgb, 300, &err), MT_ERR_IO);
        assert_non_null(strstr(err.text, "level 0: tile 1,2: "));
    }
    mt_tile_reader_free(&r);
    mt_slide_close(&s);
    cut_free(&a);
    cut_free(&b);
}

/* ---- deflated ---- */

/* One deflated frame of side x side zeros. */
static void put_deflated(const char *dir, const char *name, const char *instance, int side)
{
    const dm_image im = {.width = side, .height = side, .columns = side, .rows = side, .samples = 1,
                         .instance = instance, .no_pixels = true, .say_frames = 1};
    static const char plain[] = SYNTAX ".1", deflated[] = SYNTAX ".1.99";
    mt_buf b = MT_BUF_INIT((size_t)1 << 20);
    dm_build(&b, &im);
    uint8_t *uid = memmem(b.data, b.len, plain, sizeof plain - 1);
    assert_non_null(uid);
    const size_t head = (size_t)(uid - b.data) - 8, set = head + 8 + sizeof plain;
    const size_t grey = (size_t)side * (size_t)side, n = b.len - set, all = n + 12 + grey;
    uint8_t *bytes = calloc(all, 1), *packed = malloc(all / 64 + 65536);
    assert_true(bytes && packed);
    memcpy(bytes, b.data + set, n);
    memcpy(bytes + n, "\xe0\x7f\x10\0OB\0", 8);
    for (int i = 0; i < 4; i++) bytes[n + 8 + (size_t)i] = (uint8_t)(grey >> 8 * i);
    struct libdeflate_compressor *z = libdeflate_alloc_compressor(1);
    assert_non_null(z);
    const size_t got = libdeflate_deflate_compress(z, bytes, all, packed, all / 64 + 65536);
    libdeflate_free_compressor(z);
    assert_true(got > 0);
    mt_buf out = MT_BUF_INIT((size_t)1 << 26);
    const size_t meta = 132 + 8; /* behind the length of group 0002 */
    mt_buf_append(&out, b.data, head + 6);
    mt_buf_append(&out, (uint8_t[2]){sizeof deflated, 0}, 2);
    mt_buf_append(&out, deflated, sizeof deflated);
    const size_t length = out.len - meta - 4;
    for (int i = 0; i < 4; i++) out.data[meta + (size_t)i] = (uint8_t)(length >> 8 * i);
    mt_buf_append(&out, packed, got);
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_file_write(in(dir, name), out.data, out.len, &err), &err);
    mt_buf_free(&out);
    mt_buf_free(&b);
    free(bytes);
    free(packed);
}

/* What is held inflated is one sum for the slide, not a ceiling for each of its files. */
static void deflated_budget(void **state)
{
    const char *dir = fresh_dir();
    put_deflated(dir, "a", "1.2.5.1", 12000); /* 144 MB */
    mt_slide *s = open_one(tt_tmp_file(dir));
    pixel_is(s, 11999, 11999, 0, 0, 0);
    mt_slide_close(&s);
    put_deflated(dir, "b", "1.2.5.2", 12000);
    refused(tt_tmp_file(dir), MT_ERR_LIMIT, "deflated files of the slide hold 288");
    dir = fresh_dir();
    put_deflated(dir, "a", "1.2.5.1", 17000); /* 289 MB: refused before it is all inflated */
    refused(in(dir, "a"), MT_ERR_LIMIT, "deflated data set of");
}

/* A part is inflated by whoever asks first, the others wait for it and not for each other. */
static void deflated_threads(void **state)
{
    dm_image im = small;
    im.syntax = SYNTAX ".1.99";
    cut c = {.n = 0};
    cut_raw(&c, 1, &im);
    const char *path = put(fresh_dir(), "a", &im, &c);
    for (int round = 0; round < 10; round++) {
        mt_slide *s = open_one(path);
        pthread_t t[8];
        crowd jobs[8];
        for (int i = 0; i < 8; i++) {
            jobs[i] = (crowd){s, 91 * round + i};
            assert_int_equal(pthread_create(&t[i], NULL, read_some, &jobs[i]), 0);
        }
        for (int i = 0; i < 8; i++) {
            void *bad;
            pthread_join(t[i], &bad);
            assert_null(bad);
        }
        mt_slide_close(&s);
    }
    cut_free(&c);
}

/* ---- optical paths, focal planes ---- */

static mt_slide *open_at(const char *path, const char *optical_path, int plane)
{
    mt_err err = MT_ERR_INIT;
    mt_slide *s = NULL;
    mt_slide_opts o = MT_SLIDE_OPTS_INIT;
    o.optical_path = optical_path;
    o.focal_plane = plane;
    tt_ok(mt_slide_open(&s, path, &o, &err), &err);
    return s;
}

static void paths_and_planes(void **state)
{
    for (int sparse = 0; sparse < 2; sparse++) {
        dm_image im = small;
        im.n_paths = 2;
        im.paths[0] = "DAPI";
        im.paths[1] = "FITC";
        im.planes = 3;
        im.organization = sparse ? "TILED_SPARSE" : NULL;
        cut c = {.n = 0};
        for (int i = 0; i < 6; i++) { /* path by path, plane by plane */
            const int before = c.n;
            cut_raw(&c, i, &im);
            cut one = {.n = c.n - before};
            memcpy(one.frames, c.frames + before, (size_t)one.n * sizeof *one.frames);
            place_all(&one, &im);
            memcpy(c.frames + before, one.frames, (size_t)one.n * sizeof *one.frames);
            for (int k = before; k < c.n; k++) {
                c.frames[k].path = i / 3;
                c.frames[k].z = 1.5 * (i % 3) - 2;
            }
        }
        const char *path = put(fresh_dir(), "a", &im, &c);
        static const struct { const char *path; int plane, picture; } asked[] = {
            {NULL, -1, 1}, {"DAPI", 0, 0}, {"DAPI", 2, 2}, {"FITC", -1, 4}, {"FITC", 2, 5}};
        for (size_t i = 0; i < MT_COUNT(asked); i++) {
            mt_slide *s = open_at(path, asked[i].path, asked[i].plane);
            const mt_slide_info *info = mt_slide_get_info(s);
            assert_int_equal(info->n_optical_paths, 2);
            assert_int_equal(info->n_focal_planes, 3);
            assert_string_equal(info->optical_path, asked[i].path ? asked[i].path : "DAPI");
            assert_int_equal(info->focal_plane, asked[i].plane < 0 ? 1 : asked[i].plane);
            shows(s, 0, asked[i].picture, 0);
            mt_slide_close(&s);
        }
        mt_slide *s = NULL;
        mt_err err = MT_ERR_INIT;
        mt_slide_opts o = MT_SLIDE_OPTS_INIT;
        o.optical_path = "TRITC";
        assert_int_equal(mt_slide_open(&s, path, &o, &err), MT_ERR_ARG);
        assert_non_null(strstr(err.text, "\"DAPI\", \"FITC\""));
        o.optical_path = NULL;
        o.focal_plane = 3;
        mt_err_clear(&err);
        assert_int_equal(mt_slide_open(&s, path, &o, &err), MT_ERR_ARG);
        cut_free(&c);
    }
}

/* A height that is no number is none: such frames lie in the plane at zero, not in every one. */
static void no_height(void **state)
{
    dm_image im = small;
    im.organization = "TILED_SPARSE";
    cut c = {.n = 0};
    for (int i = 0; i < 3; i++) {
        const int before = c.n;
        cut_raw(&c, i, &im);
        cut one = {.n = c.n - before};
        memcpy(one.frames, c.frames + before, (size_t)one.n * sizeof *one.frames);
        place_all(&one, &im);
        memcpy(c.frames + before, one.frames, (size_t)one.n * sizeof *one.frames);
        for (int k = before; k < c.n; k++) c.frames[k].z = i == 0 ? NAN : 5.0 * (i - 1);
    }
    const char *path = put(fresh_dir(), "a", &im, &c);
    mt_slide *s = open_at(path, NULL, 1); /* 5 um: the third picture and nothing else */
    assert_int_equal(mt_slide_get_info(s)->n_focal_planes, 2);
    assert_int_equal(mt_slide_get_info(s)->n_warnings, 0);
    shows(s, 0, 2, 0);
    mt_slide_close(&s);
    cut_free(&c);
}

/* ---- concatenations ---- */

static void concatenation(void **state)
{
    dm_image im = small;
    im.concatenation = "1.2.9";
    im.parts = 3;
    cut all = {.n = 0};
    cut_raw(&all, 1, &im);
    static const int sizes[] = {5, 4, 7}, order[] = {2, 0, 1};
    for (int fault = 0; fault < 5; fault++) {
        const char *dir = fresh_dir(), *any = NULL;
        for (int i = 0, at = 0; i < 3; at += sizes[i++]) {
            cut c = {.n = sizes[i]};
            char name[32], instance[32];
            memcpy(c.frames, all.frames + at, (size_t)c.n * sizeof *c.frames);
            snprintf(name, sizeof name, "%d.dcm", order[i]);
            snprintf(instance, sizeof instance, "1.2.7.%d", i);
            im.instance = instance;
            im.part = i + 1;
            im.part_offset = at + (fault == 3 && i == 1);
            im.parts = fault == 4 ? 0 : 3;
            if ((fault == 1 || fault == 4) && i == (fault == 1 ? 1 : 2)) continue;
            if (fault == 2 && i == 0) continue;
            any = put(dir, name, &im, &c);
        }
        if (fault == 0) {
            mt_slide *s = open_one(any);
            shows(s, 0, 1, 0);
            assert_non_null(mt_slide_file(s, 2));
            assert_null(mt_slide_file(s, 3));
            mt_slide_close(&s);
        } else {
            static const char *const words[] = {"", "part 2 of a concatenation is missing",
                                                "part 1 of a concatenation is missing",
                                                "part 2 of a concatenation begins at frame 6", "9 frames, but"};
            refused(any, MT_ERR_FORMAT, words[fault]);
        }
    }
    cut_free(&all);
}

/* ---- threads ---- */

/* Files are mapped by whoever asks first. */
static void threads(void **state)
{
    dm_image im = small;
    im.concatenation = "1.2.9";
    im.parts = 16;
    cut all = {.n = 0};
    cut_raw(&all, 1, &im);
    const char *dir = fresh_dir();
    for (int i = 0; i < 16; i++) {
        cut c = {.n = 1};
        char name[32];
        c.frames[0] = all.frames[i];
        snprintf(name, sizeof name, "1.2.7.%d", i);
        im.instance = name;
        im.part = i + 1;
        im.part_offset = i;
        put(dir, name, &im, &c);
    }
    for (int round = 0; round < 10; round++) {
        mt_slide *s = open_one(tt_tmp_file(dir));
        pthread_t t[8];
        crowd c[8];
        for (int i = 0; i < 8; i++) {
            c[i] = (crowd){s, 77 * round + i};
            assert_int_equal(pthread_create(&t[i], NULL, read_some, &c[i]), 0);
        }
        for (int i = 0; i < 8; i++) {
            void *bad;
            pthread_join(t[i], &bad);
            assert_null(bad);
        }
        mt_slide_close(&s);
    }
    cut_free(&all);
}

/* ---- refusals ---- */

static void refusals(void **state)
{
    static const struct { dm_image im; mt_status code; const char *words; } ways[] = {
        {{.syntax = SYNTAX ".4.201"}, MT_ERR_UNSUPPORTED, "HTJ2K"},
        {{.syntax = SYNTAX ".4.110"}, MT_ERR_UNSUPPORTED, "JPEG XL"},
        {{.syntax = SYNTAX ".4.70"}, MT_ERR_UNSUPPORTED, "JPEG Lossless"},
        {{.syntax = SYNTAX ".8.1"}, MT_ERR_UNSUPPORTED, "Deflated Image Frame"},
        {{.syntax = "1.2.3.4"}, MT_ERR_UNSUPPORTED, "1.2.3.4"},
        {{.photometric = "PALETTE COLOR"}, MT_ERR_UNSUPPORTED, "Photometric"},
        {{.photometric = "YBR_FULL_422"}, MT_ERR_UNSUPPORTED, "YBR_FULL_422"},
        {{.bits = 1}, MT_ERR_UNSUPPORTED, "bits a sample"},
        {{.no_pixels = true}, MT_ERR_FORMAT, "no pixel data"},
        {{.no_matrix = true}, MT_ERR_FORMAT, "total pixel matrix"},
        {{.say_frames = 15}, MT_ERR_FORMAT, "15 frames, but 50 x 37"},
        {{.say_frames = 2000000000}, MT_ERR_FORMAT, "the pixel data hold 16"},
        {{.say_frames = 1000000}, MT_ERR_FORMAT, "1000000 frames, but"},
        {{.width = 2000000000, .height = 2000000000}, MT_ERR_FORMAT, "16 frames, but"},
        {{.width = 2000000000, .height = 2000000000, .organization = "TILED_SPARSE"}, MT_ERR_LIMIT, "grid"},
        {{.say_frames = 16000000, .width = 64000, .height = 36000}, MT_ERR_FORMAT, "the pixel data hold 16"},
        {{.class_uid = "1.2.840.10008.5.1.4.1.1.66.4"}, MT_ERR_UNSUPPORTED, "1.2.840.10008.5.1.4.1.1.66.4"},
        {{.flavour = "LABEL"}, MT_ERR_UNSUPPORTED, "a LABEL image"},
        {{.cut = 15000}, MT_ERR_FORMAT, ""},
    };
    for (size_t i = 0; i < MT_COUNT(ways); i++) {
        dm_image im = ways[i].im;
        im.columns = 16;
        im.rows = 12;
        const int w = im.width, h = im.height;
        im.width = 50;
        im.height = 37;
        cut c = {.n = 0};
        cut_raw(&c, 1, &im);
        place_all(&c, &im);
        if (w) im.width = w, im.height = h;
        if (ways[i].im.cut) { /* inside the header */
            mt_buf b = MT_BUF_INIT((size_t)1 << 24);
            dm_image whole = im;
            whole.cut = 0;
            whole.frames = c.frames;
            whole.n_frames = c.n;
            dm_build(&b, &whole);
            im.cut = b.len - 500;
            mt_buf_free(&b);
        }
        refused(put(fresh_dir(), "a", &im, &c), ways[i].code, ways[i].words);
        cut_free(&c);
    }
}

static void no_spacing(void **state)
{
    dm_image im = small;
    cut c = {.n = 0};
    cut_raw(&c, 1, &im);
    double mpp;
    mt_err err = MT_ERR_INIT;
    im.spacing_x = -1;
    mt_slide *s = open_one(put(fresh_dir(), "a", &im, &c));
    assert_int_equal(mt_slide_mpp(&mpp, s, &err), MT_ERR_SPACING);
    assert_non_null(strstr(err.text, "(0028,0030)"));
    mt_slide_close(&s);
    im.volume_w = 0.05;
    im.volume_h = 0.037;
    s = open_one(put(fresh_dir(), "a", &im, &c));
    assert_string_equal(mt_slide_get_info(s)->mpp_source, "dicom.ImagedVolumeWidth");
    assert_true(mt_slide_get_info(s)->mpp_x > 0.9999 && mt_slide_get_info(s)->mpp_y < 1.0001);
    mt_slide_close(&s);
    im.spacing_x = 0.00025; /* rows come first in the file */
    im.spacing_y = 0.0005;
    s = open_one(put(fresh_dir(), "a", &im, &c));
    assert_string_equal(mt_slide_get_info(s)->mpp_source, "dicom.PixelSpacing");
    assert_true(mt_slide_get_info(s)->mpp_x == 0.25 && mt_slide_get_info(s)->mpp_y == 0.5);
    assert_true(warns(s, "imaged volume"));
    mt_slide_close(&s);
    cut_free(&c);
}

int main(void)
{
    setenv("MICROTOME_CACHE", "off", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(native), cmocka_unit_test(swapped_words), cmocka_unit_test(grey16), cmocka_unit_test(bands),
        cmocka_unit_test(swapped_bands), cmocka_unit_test(off_grid_once), cmocka_unit_test(off_grid_fault),
        cmocka_unit_test(deflated_budget), cmocka_unit_test(deflated_threads),
        cmocka_unit_test(tables_and_fragments), cmocka_unit_test(one_frame_many_fragments),
        cmocka_unit_test(colours), cmocka_unit_test(rle), cmocka_unit_test(cut_short), cmocka_unit_test(shrinks_while_open),
        cmocka_unit_test(sparse_on_grid), cmocka_unit_test(sparse_off_grid), cmocka_unit_test(paths_and_planes),
        cmocka_unit_test(no_height),
        cmocka_unit_test(concatenation), cmocka_unit_test(threads), cmocka_unit_test(refusals), cmocka_unit_test(no_spacing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
