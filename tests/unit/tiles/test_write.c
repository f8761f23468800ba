#include "fake.h"

#include <dirent.h>
#include <hdf5.h>
#include <jpeglib.h>
#include <png.h>
#include <unistd.h>
#include "base/file.h"
#include "microtome/tiles.h"

const char *mt_slide_path(const mt_slide *slide)
{
    return "/slides/case.one.svs";
}

static mt_slide *slide(void)
{
    mt_slide *s = fake_new(0.5);
    fake_level(s, 0, 700, 500, 1.0, 64, 64);
    fake_paint(s);
    fake_reduce(s, 1, 4, 64);
    s->info.objective = 20;
    return s;
}

static mt_plan *plan(const mt_slide *s, int32_t tile, double mpp)
{
    mt_plan *p;
    mt_err e = MT_ERR_INIT;
    mt_plan_opts o = MT_PLAN_OPTS_INIT;
    o.tile_px = tile;
    o.mpp = mpp;
    o.whole_slide = 1;
    tt_ok(mt_plan_make(&p, s, NULL, &o, &e), &e);
    return p;
}

static mt_fetch_stats write_to(const mt_slide *s, const mt_plan *p, const char *dir,
                               mt_tile_format f, int threads)
{
    mt_tiles_opts o = MT_TILES_OPTS_INIT;
    mt_fetch_stats st;
    mt_err e = MT_ERR_INIT;
    o.format = f;
    o.threads = threads;
    tt_ok(mt_tiles_write(s, p, dir, &o, &st, NULL, NULL, &e), &e);
    return st;
}

static void region(uint8_t *out, const mt_slide *s, const mt_tile *t)
{
    tt_ok(mt_slide_read_region(s, 0, t->x_l0, t->y_l0, t->w_l0, t->h_l0, out, (size_t)t->w_l0 * 3,
                               NULL),
          NULL);
}

static size_t files_in(const char *dir, bool *hidden)
{
    DIR *d = opendir(dir);
    size_t n = 0;
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        n++;
        if (e->d_name[0] == '.') *hidden = true;
    }
    closedir(d);
    return n;
}

static void same_file(const char *a, const char *b)
{
    uint8_t *x, *y;
    size_t n, m;
    tt_ok(mt_file_read(&x, &n, a, 1 << 26, NULL), NULL);
    tt_ok(mt_file_read(&y, &m, b, 1 << 26, NULL), NULL);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    free(x), free(y);
}

static void table_lists_every_tile(const char *dir, const mt_plan *p, const char *ext,
                                   const mt_slide *s)
{
    char *path = mt_strf("%s/tiles.csv", dir), line[256];
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_non_null(fgets(line, sizeof line, f));
    assert_string_equal(line, "tile,minx,miny,width,height,col,row,tissue,unreadable,file\n");
    for (size_t i = 0; i < p->n_tiles; i++) {
        const mt_tile *t = &p->tiles[i];
        long long id, x, y, w, h, c, r;
        float tissue;
        int bad, at = 0;
        assert_non_null(fgets(line, sizeof line, f));
        assert_int_equal(sscanf(line, "%lld,%lld,%lld,%lld,%lld,%lld,%lld,%f,%d,%n", &id, &x, &y,
                                &w, &h, &c, &r, &tissue, &bad, &at),
                         9);
        assert_true(id == (long long)i && x == t->x_l0 && y == t->y_l0 && w == t->w_l0 &&
                    h == t->h_l0 && c == t->col && r == t->row);
        assert_true(tissue == t->tissue);
        bool touches = s->bad_tx >= 0 && ext && t->x_l0 < (s->bad_tx + 1) * 64 &&
                       t->x_l0 + t->w_l0 > s->bad_tx * 64 && t->y_l0 < (s->bad_ty + 1) * 64 &&
                       t->y_l0 + t->h_l0 > s->bad_ty * 64;
        assert_int_equal(bad, touches);
        char want[64] = "\n";
        if (ext) snprintf(want, sizeof want, "%lld_%lld.%s\n", x, y, ext);
        assert_string_equal(line + at, want);
    }
    assert_null(fgets(line, sizeof line, f));
    fclose(f);
    free(path);
}

static void png_tiles_hold_the_pixels(void **state)
{
    mt_slide *s = slide();
    mt_plan *p = plan(s, 100, 0.5);
    s->bad_tx = 2, s->bad_ty = 1, s->bad_status = MT_ERR_FORMAT;
    const char *dir = tt_tmp_file("png/deep");
    mt_fetch_stats st = write_to(s, p, dir, MT_TILES_PNG, 2);
    assert_int_equal(st.tiles, p->n_tiles);
    assert_int_equal(st.native_decoded, st.native_needed);
    bool hidden = false;
    assert_int_equal(files_in(dir, &hidden), p->n_tiles + 1);
    assert_true(!hidden);
    table_lists_every_tile(dir, p, "png", s);
    uint8_t want[100 * 100 * 3], got[100 * 100 * 3];
    for (size_t i = 0; i < p->n_tiles; i++) {
        char *path = mt_strf("%s/%lld_%lld.png", dir, (long long)p->tiles[i].x_l0,
                             (long long)p->tiles[i].y_l0);
        png_image img = {.version = PNG_IMAGE_VERSION};
        assert_true(png_image_begin_read_from_file(&img, path));
        img.format = PNG_FORMAT_RGB;
        assert_true(img.width == 100 && img.height == 100);
        assert_true(png_image_finish_read(&img, NULL, got, 300, NULL));
        region(want, s, &p->tiles[i]);
        for (int y = 0; y < 100; y++)
            for (int x = 0; x < 100; x++) {
                int64_t px = p->tiles[i].x_l0 + x, py = p->tiles[i].y_l0 + y;
                if (px / 64 == 2 && py / 64 == 1) memset(want + (y * 100 + x) * 3, 255, 3);
            }
        assert_memory_equal(want, got, sizeof want);
        free(path);
    }
    mt_plan_free(&p);
    mt_slide_close(&s);
}

static void jpeg_tiles_repeat_to_the_byte(void **state)
{
    mt_slide *s = slide();
    s->jitter = 1;
    mt_plan *p = plan(s, 64, 0.7);
    const char *a = tt_tmp_file("jpeg1"), *b = tt_tmp_file("jpeg3");
    write_to(s, p, a, MT_TILES_JPEG, 1);
    write_to(s, p, b, MT_TILES_JPEG, 3);
    write_to(s, p, b, MT_TILES_JPEG, 2); /* over what is there */
    table_lists_every_tile(a, p, "jpg", s);
    for (size_t i = 0; i < p->n_tiles; i++) {
        char name[64];
        snprintf(name, sizeof name, "%lld_%lld.jpg", (long long)p->tiles[i].x_l0,
                 (long long)p->tiles[i].y_l0);
        char *x = mt_strf("%s/%s", a, name), *y = mt_strf("%s/%s", b, name);
        same_file(x, y);
        FILE *f = fopen(x, "rb");
        struct jpeg_decompress_struct d;
        struct jpeg_error_mgr e;
        d.err = jpeg_std_error(&e);
        jpeg_create_decompress(&d);
        jpeg_stdio_src(&d, f);
        jpeg_read_header(&d, TRUE);
        assert_true(d.image_width == 64 && d.image_height == 64 && d.num_components == 3);
        jpeg_destroy_decompress(&d);
        fclose(f);
        free(x), free(y);
    }
    char *x = mt_strf("%s/tiles.csv", a), *y = mt_strf("%s/tiles.csv", b);
    same_file(x, y);
    free(x), free(y);
    mt_plan_free(&p);
    mt_slide_close(&s);
}

static void attr(hid_t at, const char *name, hid_t type, void *out)
{
    hid_t a = H5Aopen(at, name, H5P_DEFAULT);
    assert_true(a >= 0);
    assert_true(H5Aread(a, type, out) >= 0);
    H5Aclose(a);
}

static void h5_is_what_clam_reads(void **state)
{
    mt_slide *s = slide();
    mt_plan *p = plan(s, 40, 2.0); /* level 1 exactly */
    s->jitter = 1;
    assert_int_equal(p->level, 1);
    const char *d1 = tt_tmp_file("h5a"), *d2 = tt_tmp_file("h5b");
    write_to(s, p, d1, MT_TILES_H5, 1);
    sleep(1); /* a time stamp would show */
    write_to(s, p, d2, MT_TILES_H5, 3);
    char *path = mt_strf("%s/case.one.h5", d1), *other = mt_strf("%s/case.one.h5", d2);
    same_file(path, other);
    hid_t f = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT), set = H5Dopen2(f, "coords", H5P_DEFAULT);
    assert_true(set >= 0);
    hid_t space = H5Dget_space(set), type = H5Dget_type(set);
    hsize_t dims[4], max[4];
    assert_int_equal(H5Sget_simple_extent_dims(space, dims, max), 2);
    assert_true(dims[0] == p->n_tiles && dims[1] == 2 && max[0] == H5S_UNLIMITED);
    assert_true(H5Tequal(type, H5T_STD_I64LE) > 0);
    int64_t *xy = malloc(p->n_tiles * 16), v[2];
    double n[2];
    assert_true(H5Dread(set, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, xy) >= 0);
    for (size_t i = 0; i < p->n_tiles; i++)
        assert_true(xy[2 * i] == p->tiles[i].x_l0 && xy[2 * i + 1] == p->tiles[i].y_l0);
    attr(set, "patch_size", H5T_NATIVE_INT64, v);
    assert_int_equal(v[0], 40);
    attr(set, "patch_level", H5T_NATIVE_INT64, v);
    assert_int_equal(v[0], 1);
    attr(set, "level_dim", H5T_NATIVE_INT64, v);
    assert_true(v[0] == 175 && v[1] == 125);
    attr(set, "downsampled_level_dim", H5T_NATIVE_INT64, v);
    assert_true(v[0] == 175 && v[1] == 125);
    attr(set, "downsample", H5T_NATIVE_DOUBLE, n);
    assert_true(n[0] == 4 && n[1] == 4);
    hid_t text = H5Tcopy(H5T_C_S1);
    H5Tset_size(text, H5T_VARIABLE);
    H5Tset_cset(text, H5T_CSET_UTF8);
    char *name = NULL;
    attr(set, "name", text, &name);
    assert_string_equal(name, "case.one");
    H5free_memory(name);
    hid_t imgs = H5Dopen2(f, "imgs", H5P_DEFAULT), is = H5Dget_space(imgs);
    assert_int_equal(H5Sget_simple_extent_dims(is, dims, max), 4);
    assert_true(dims[0] == p->n_tiles && dims[1] == 40 && dims[2] == 40 && dims[3] == 3);
    uint8_t *px = malloc(p->n_tiles * 4800), want[4800];
    assert_true(H5Dread(imgs, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, px) >= 0);
    for (size_t i = 0; i < p->n_tiles; i++) {
        tt_ok(mt_slide_read_region(s, 1, p->tiles[i].x_l0 / 4, p->tiles[i].y_l0 / 4, 40, 40, want,
                                   120, NULL),
              NULL);
        assert_memory_equal(want, px + i * 4800, 4800);
    }
    free(px), free(xy), free(path), free(other);
    H5Tclose(text), H5Tclose(type), H5Sclose(space), H5Sclose(is), H5Dclose(imgs), H5Dclose(set),
        H5Fclose(f);
    mt_plan_free(&p);
    mt_slide_close(&s);
}

static int stop(void *ctx, uint64_t done, uint64_t total)
{
    return 1;
}

/* Where a pass ends badly there is no tiles.csv and no half file. */
static void nothing_half(void **state)
{
    mt_slide *s = slide();
    mt_plan *p = plan(s, 100, 0.5);
    static const mt_tile_format formats[] = {MT_TILES_PNG, MT_TILES_H5};
    for (int k = 0; k < 2; k++) {
        const char *dir = tt_tmp_file(k ? "half-h5" : "half-png");
        mt_tiles_opts o = MT_TILES_OPTS_INIT;
        mt_err e = MT_ERR_INIT;
        o.format = formats[k];
        s->bad_tx = 5, s->bad_ty = 5, s->bad_status = MT_ERR_IO;
        assert_int_equal(mt_tiles_write(s, p, dir, &o, NULL, NULL, NULL, &e), MT_ERR_IO);
        s->bad_tx = -1;
        mt_err_clear(&e);
        assert_int_equal(mt_tiles_write(s, p, dir, &o, NULL, stop, NULL, &e), MT_ERR_CANCELLED);
        char *csv = mt_strf("%s/tiles.csv", dir), *h5 = mt_strf("%s/case.one.h5", dir);
        bool hidden = false;
        files_in(dir, &hidden);
        assert_true(!mt_file_exists(csv) && !mt_file_exists(h5) && !hidden);
        free(csv), free(h5);
    }
    mt_plan_free(&p);
    mt_slide_close(&s);
}

static void coordinates_alone(void **state)
{
    mt_slide *s = slide();
    mt_plan *p = plan(s, 100, 0.5);
    int most = 0;
    const char *dir = tt_tmp_file("none");
    mt_fetch_stats st = write_to(s, p, dir, MT_TILES_NONE, 2);
    assert_int_equal(st.native_decoded, 0);
    for (int64_t i = 0; i < s->info.levels[0].tiles_x * s->info.levels[0].tiles_y; i++)
        most += s->decodes[0][i];
    assert_int_equal(most, 0);
    bool hidden = false;
    assert_int_equal(files_in(dir, &hidden), 1);
    table_lists_every_tile(dir, p, NULL, s);
    mt_plan_free(&p);

    mt_err e = MT_ERR_INIT;
    p = plan(s, 100, 0.5);
    p->n_tiles = 0; /* no tissue: an empty table is an answer */
    write_to(s, p, tt_tmp_file("empty"), MT_TILES_JPEG, 1);
    table_lists_every_tile(tt_tmp_file("empty"), p, NULL, s);
    write_to(s, p, tt_tmp_file("emptyh5"), MT_TILES_H5, 1);
    assert_true(mt_file_exists(tt_tmp_file("emptyh5/case.one.h5")));
    mt_tiles_opts o = MT_TILES_OPTS_INIT;
    o.jpeg_quality = 0;
    assert_int_equal(mt_tiles_write(s, p, tt_tmp_file("x"), &o, NULL, NULL, NULL, &e), MT_ERR_ARG);
    mt_err_clear(&e);
    o.jpeg_quality = 90;
    tt_ok(mt_file_write(tt_tmp_file("file"), "x", 1, NULL), NULL);
    assert_int_equal(mt_tiles_write(s, p, tt_tmp_file("file"), &o, NULL, NULL, NULL, &e),
                     MT_ERR_IO);
    mt_plan_free(&p);
    mt_slide_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(png_tiles_hold_the_pixels),
        cmocka_unit_test(jpeg_tiles_repeat_to_the_byte),
        cmocka_unit_test(h5_is_what_clam_reads),
        cmocka_unit_test(nothing_half),
        cmocka_unit_test(coordinates_alone),
    };
    return cmocka_run_group_tests_name("write", tests, NULL, NULL);
}
