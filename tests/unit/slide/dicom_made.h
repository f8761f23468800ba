/* One picture, cut into frames in every way, and read back. */
#ifndef MT_TESTS_SLIDE_DICOM_MADE_H
#define MT_TESTS_SLIDE_DICOM_MADE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/file.h"
#include "codec/encode.h"
#include "slide/slide.h"
#include "tests/support/dicom_make.h"
#include "tests/support/support.h"

enum { MOST_FRAMES = 256 };

/* Picture number n at level-0 pixel (x, y). */
static inline void pixel(uint8_t p[3], int n, int x, int y)
{
    p[0] = (uint8_t)(40 * n + 3 * x + y);
    p[1] = (uint8_t)(70 * n + x / 2 + 5 * y);
    p[2] = (uint8_t)(x * y / 3 + 11 * n);
}

typedef struct cut {
    dm_frame frames[MOST_FRAMES];
    int n;
} cut;

static inline void cut_free(cut *c)
{
    for (int i = 0; i < c->n; i++) free((void *)(uintptr_t)c->frames[i].data);
    c->n = 0;
}

static inline void add_frame(cut *c, const uint8_t *data, size_t n)
{
    assert_true(c->n < MOST_FRAMES);
    uint8_t *copy = malloc(n);
    assert_non_null(copy);
    memcpy(copy, data, n);
    c->frames[c->n++] = (dm_frame){.data = copy, .n = n};
}

/* The frame at (x0, y0) as RGB; what lies outside w x h is grey. */
static inline uint8_t *frame_rgb(int n, int x0, int y0, int fw, int fh, int w, int h)
{
    uint8_t *p = malloc(3 * (size_t)fw * (size_t)fh);
    assert_non_null(p);
    for (int y = 0; y < fh; y++)
        for (int x = 0; x < fw; x++) {
            uint8_t *to = p + 3 * ((size_t)y * (size_t)fw + (size_t)x);
            memset(to, 99, 3);
            if (x0 + x < w && y0 + y < h) pixel(to, n, x0 + x, y0 + y);
        }
    return p;
}

/* Appends all tiles of picture n, interleaved or plane by plane. */
static inline void cut_raw(cut *c, int n, const dm_image *im)
{
    const size_t px = (size_t)im->columns * (size_t)im->rows;
    for (int y = 0; y < im->height; y += im->rows)
        for (int x = 0; x < im->width; x += im->columns) {
            uint8_t *p = frame_rgb(n, x, y, im->columns, im->rows, im->width, im->height),
                    *q = malloc(3 * px);
            assert_non_null(q);
            for (size_t i = 0; i < px; i++)
                for (size_t k = 0; k < 3; k++) q[im->planar ? k * px + i : 3 * i + k] = p[3 * i + k];
            add_frame(c, q, 3 * px);
            free(p);
            free(q);
        }
}

static inline void cut_jpeg(cut *c, int n, const dm_image *im, bool rgb)
{
    mt_err err = MT_ERR_INIT;
    mt_jpeg_encoder *e = NULL;
    mt_jpeg_enc_opts o = MT_JPEG_ENC_OPTS_INIT;
    o.quality = 95;
    o.subsampling = 444;
    o.rgb = rgb;
    tt_ok(mt_jpeg_encoder_new(&e, &o, &err), &err);
    for (int y = 0; y < im->height; y += im->rows)
        for (int x = 0; x < im->width; x += im->columns) {
            uint8_t *p = frame_rgb(n, x, y, im->columns, im->rows, im->width, im->height);
            mt_buf b = MT_BUF_INIT((size_t)1 << 24);
            tt_ok(mt_jpeg_encoder_encode(e, &b, p, 3 * (size_t)im->columns, im->columns, im->rows, &err), &err);
            add_frame(c, b.data, b.len);
            mt_buf_free(&b);
            free(p);
        }
    mt_jpeg_encoder_free(&e);
}

/* DICOM RLE (PS3.5 G): three segments of literal runs. */
static inline void cut_rle(cut *c, int n, const dm_image *im)
{
    const size_t px = (size_t)im->columns * (size_t)im->rows;
    for (int y = 0; y < im->height; y += im->rows)
        for (int x = 0; x < im->width; x += im->columns) {
            uint8_t *p = frame_rgb(n, x, y, im->columns, im->rows, im->width, im->height);
            mt_buf b = MT_BUF_INIT((size_t)1 << 24);
            uint8_t head[64] = {3};
            mt_buf_append(&b, head, sizeof head);
            for (size_t k = 0; k < 3; k++) {
                for (int i = 0; i < 4; i++) head[4 + 4 * k + (size_t)i] = (uint8_t)(b.len >> 8 * i);
                for (size_t at = 0; at < px; at += 100) {
                    const size_t run = px - at < 100 ? px - at : 100;
                    const uint8_t literal = (uint8_t)(run - 1);
                    mt_buf_append(&b, &literal, 1);
                    for (size_t i = 0; i < run; i++) mt_buf_append(&b, &p[3 * (at + i) + k], 1);
                }
                if (b.len % 2) mt_buf_append(&b, "", 1);
            }
            memcpy(b.data, head, sizeof head);
            add_frame(c, b.data, b.len);
            mt_buf_free(&b);
            free(p);
        }
}

static inline void make_dir(const char *dir)
{
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_dir_make(dir, &err), &err);
}

/* dir/name; static, sixteen calls deep. */
static inline const char *in(const char *dir, const char *name)
{
    static char ring[16][4096];
    static int next;
    char *s = ring[next++ % 16];
    snprintf(s, sizeof ring[0], "%s/%s", tt_tmp_file(dir), name);
    return s;
}

static inline const char *fresh_dir(void)
{
    static char name[64];
    static int n;
    snprintf(name, sizeof name, "dir%d", n++);
    make_dir(tt_tmp_file(name));
    return name;
}

static inline const char *put(const char *dir, const char *name, const dm_image *im, const cut *c)
{
    dm_image copy = *im;
    copy.frames = c->frames;
    copy.n_frames = c->n;
    const char *path = in(dir, name);
    dm_write(path, &copy);
    return path;
}

static inline mt_slide *open_one(const char *path)
{
    mt_err err = MT_ERR_INIT;
    mt_slide *s = NULL;
    tt_ok(mt_slide_open(&s, path, NULL, &err), &err);
    return s;
}

/* Every pixel of a level is picture n's within `slack`. */
static inline void shows(const mt_slide *s, int level, int n, int slack)
{
    const mt_level *l = &mt_slide_get_info(s)->levels[level];
    const int w = (int)l->width, h = (int)l->height;
    mt_err err = MT_ERR_INIT;
    uint8_t *rgb = malloc(3 * (size_t)w * (size_t)h);
    assert_non_null(rgb);
    tt_ok(mt_slide_read_region(s, level, 0, 0, w, h, rgb, 3 * (size_t)w, &err), &err);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            uint8_t want[3];
            pixel(want, n, x, y);
            for (int k = 0; k < 3; k++) {
                const int got = rgb[3 * ((size_t)y * (size_t)w + (size_t)x) + (size_t)k];
                if (abs(got - want[k]) > slack)
                    fail_msg("level %d pixel %d,%d sample %d: %d, not %d", level, x, y, k, got, want[k]);
            }
        }
    free(rgb);
}

static inline void pixel_is(const mt_slide *s, int x, int y, int r, int g, int b)
{
    mt_err err = MT_ERR_INIT;
    uint8_t p[3];
    tt_ok(mt_slide_read_region(s, 0, x, y, 1, 1, p, 3, &err), &err);
    if (p[0] != r || p[1] != g || p[2] != b)
        fail_msg("pixel %d,%d is %d,%d,%d, not %d,%d,%d", x, y, p[0], p[1], p[2], r, g, b);
}

static inline bool warns(const mt_slide *s, const char *part)
{
    const mt_slide_info *info = mt_slide_get_info(s);
    for (int i = 0; i < info->n_warnings; i++)
        if (strstr(info->warnings[i], part)) return true;
    return false;
}

/* The path does not open, with this code and these words. */
static inline void refused(const char *path, mt_status code, const char *words)
{
    mt_err err = MT_ERR_INIT;
    mt_slide *s = NULL;
    const mt_status st = mt_slide_open(&s, path, NULL, &err);
    if (s) fail_msg("opens, expected \"%s\"", words);
    if (st != code || !strstr(err.text, words))
        fail_msg("%s: \"%s\", expected %s: \"%s\"", mt_status_name(st), err.text, mt_status_name(code), words);
    assert_null(strchr(err.text, '\n'));
    assert_null(strstr(err.text, "DOE"));
}

#endif
