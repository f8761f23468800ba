/* Slides made on the spot with libtiff, so that what a test needs is in the test. */
#ifndef MT_TESTS_SLIDE_MADE_H
#define MT_TESTS_SLIDE_MADE_H

#include <string.h>
#include <tiffio.h>
#include "base/mem.h"
#include "slide/slide.h"
#include "tests/support/support.h"

typedef struct made_dir {
    uint32_t w, h, tile_w, tile_h;      /* tile_w 0: strips of tile_h rows */
    int compression, photometric, predictor;
    int sub_h, sub_v;                   /* JPEG YCbCr */
    const char *description, *software;
    int subfile;
    double res;                         /* pixels a centimetre, 0 = none */
    int orientation;
    int skip_tile;                      /* 1 + index of a tile to leave out */
    const void *icc;
    uint32_t icc_bytes;
    const char *xmp;
    uint32_t step;                      /* shows every step-th pixel of the picture; 0 = 1 */
    int n_sub;                          /* so many of the following directories are its SubIFDs */
} made_dir;

#define MADE(w_, h_, tile_w_, tile_h_, compression_, photometric_, predictor_, ...)                \
    {                                                                                              \
        .w = w_, .h = h_, .tile_w = tile_w_, .tile_h = tile_h_, .compression = compression_,       \
        .photometric = photometric_, .predictor = predictor_, __VA_ARGS__                          \
    }

/* The picture all made slides show at level 0; a coarse level shows every step-th pixel of it. */
static inline void made_pixel(uint8_t p[3], uint32_t x, uint32_t y)
{
    uint32_t n = (x * 2654435761u ^ y * 2246822519u) * 3266489917u;
    p[0] = (uint8_t)(150 + (x / 3) % 64 + (n >> 29));
    p[1] = (uint8_t)(90 + (y / 2) % 100 + (n >> 26 & 7));
    p[2] = (uint8_t)(160 + (x + y) / 5 % 80 + (n >> 23 & 7));
}

static inline bool made_is_grey(const made_dir *d)
{
    return d->photometric <= PHOTOMETRIC_MINISBLACK;
}

static inline void made_box(uint8_t *to, const made_dir *d, uint32_t x0, uint32_t y0, uint32_t w,
                            uint32_t h)
{
    const uint32_t n = made_is_grey(d) ? 1 : 3, step = d->step ? d->step : 1;
    for (uint32_t y = 0; y < h; y++)
        for (uint32_t x = 0; x < w; x++) {
            uint8_t p[3];
            made_pixel(p, (x0 + x) * step, (y0 + y) * step);
            memcpy(to + (y * (size_t)w + x) * n, p, n);
        }
}

static inline void made_fields(TIFF *t, const made_dir *d)
{
    TIFFSetField(t, TIFFTAG_IMAGEWIDTH, d->w);
    TIFFSetField(t, TIFFTAG_IMAGELENGTH, d->h);
    TIFFSetField(t, TIFFTAG_BITSPERSAMPLE, 8);
    TIFFSetField(t, TIFFTAG_SAMPLESPERPIXEL, made_is_grey(d) ? 1 : 3);
    TIFFSetField(t, TIFFTAG_COMPRESSION, d->compression);
    TIFFSetField(t, TIFFTAG_PHOTOMETRIC, d->photometric);
    TIFFSetField(t, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
    TIFFSetField(t, TIFFTAG_ORIENTATION, d->orientation ? d->orientation : 1);
    if (d->subfile) TIFFSetField(t, TIFFTAG_SUBFILETYPE, (uint32_t)d->subfile);
    if (d->description) TIFFSetField(t, TIFFTAG_IMAGEDESCRIPTION, d->description);
    if (d->xmp) TIFFSetField(t, TIFFTAG_XMLPACKET, (uint32_t)strlen(d->xmp), d->xmp);
    if (d->n_sub) TIFFSetField(t, TIFFTAG_SUBIFD, (uint16_t)d->n_sub, (const uint64_t[16]){0});
    if (d->software) TIFFSetField(t, TIFFTAG_SOFTWARE, d->software);
    if (d->icc) TIFFSetField(t, TIFFTAG_ICCPROFILE, d->icc_bytes, d->icc);
    if (d->predictor) TIFFSetField(t, TIFFTAG_PREDICTOR, d->predictor);
    if (d->res > 0) {
        TIFFSetField(t, TIFFTAG_XRESOLUTION, d->res);
        TIFFSetField(t, TIFFTAG_YRESOLUTION, d->res);
        TIFFSetField(t, TIFFTAG_RESOLUTIONUNIT, RESUNIT_CENTIMETER);
    }
    if (d->compression == COMPRESSION_JPEG) {
        TIFFSetField(t, TIFFTAG_JPEGQUALITY, 88);
        if (d->photometric == PHOTOMETRIC_YCBCR) {
            TIFFSetField(t, TIFFTAG_YCBCRSUBSAMPLING, d->sub_h ? d->sub_h : 1,
                         d->sub_v ? d->sub_v : 1);
            TIFFSetField(t, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
        }
    }
    if (d->tile_w) {
        TIFFSetField(t, TIFFTAG_TILEWIDTH, d->tile_w);
        TIFFSetField(t, TIFFTAG_TILELENGTH, d->tile_h);
    } else {
        TIFFSetField(t, TIFFTAG_ROWSPERSTRIP, d->tile_h);
    }
}

static inline void made_write_dir(TIFF *t, const made_dir *d)
{
    made_fields(t, d);
    const uint32_t tw = d->tile_w ? d->tile_w : d->w, th = d->tile_h, across = (d->w + tw - 1) / tw;
    const uint32_t n = across * ((d->h + th - 1) / th),
                   bytes = tw * th * (made_is_grey(d) ? 1u : 3u);
    uint8_t *buf = malloc(bytes);
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t x = i % across * tw, y = i / across * th;
        if (d->skip_tile == (int)i + 1) continue;
        uint32_t rows = d->tile_w ? th : MT_MIN(th, d->h - y);
        made_box(buf, d, x, y, tw, rows);
        tmsize_t ok = d->tile_w ? TIFFWriteEncodedTile(t, i, buf, bytes)
                                : TIFFWriteEncodedStrip(t, i, buf, (tmsize_t)(rows * (bytes / th)));
        assert_true(ok > 0);
    }
    free(buf);
    assert_int_equal(TIFFWriteDirectory(t), 1);
}

/* mode: libtiff's ("wl" little-endian, "wb" big-endian, "8" for BigTIFF). Returns the path. */
static inline const char *made_slide(const char *name, const char *mode, const made_dir *dirs,
                                     size_t n)
{
    const char *path = tt_tmp_file(name);
    TIFFSetWarningHandler(NULL);
    TIFF *t = TIFFOpen(path, mode);
    assert_non_null(t);
    for (size_t i = 0; i < n; i++) made_write_dir(t, &dirs[i]);
    TIFFClose(t);
    return path;
}

static inline mt_slide *opened(const char *path)
{
    mt_slide *s = NULL;
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_slide_open(&s, path, NULL, &err), &err);
    assert_non_null(s);
    return s;
}

static inline uint8_t *region(const mt_slide *s, int level, int64_t x, int64_t y, int32_t w,
                              int32_t h)
{
    uint8_t *rgb = malloc(3 * (size_t)w * (size_t)h);
    mt_err err = MT_ERR_INIT;
    memset(rgb, 123, 3 * (size_t)w * (size_t)h);
    tt_ok(mt_slide_read_region(s, level, x, y, w, h, rgb, 3 * (size_t)w, &err), &err);
    return rgb;
}

#endif
