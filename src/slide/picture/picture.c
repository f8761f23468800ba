/* PNG and JPEG files as slides of one level. Neither can be entered in the middle, so the picture is
 * decoded whole when its first tile is asked for, and kept: 3 bytes a pixel, at most 64 megapixels. */
#include "slide/picture/picture.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "base/bytes.h"
#include "slide/facts.h"
#include "slide/tiff/tiff_slide.h"

enum { TILE = 256 };

typedef struct picture {
    mt_map map;
    mt_picture_facts facts;
    bool png;
    pthread_mutex_t lock;
    uint8_t *rgb;              /* as stored; NULL until it is wanted */
    mt_err failed;             /* why it could not be decoded */
} picture;

/* ---- pixels ---- */

static mt_status decode_jpeg(uint8_t *rgb, const picture *p, mt_err *err)
{
    MT_AUTO(mt_decoder_free) mt_decoder *d = NULL;
    const mt_picture_facts *f = &p->facts;
    const mt_coding c = {.codec = MT_CODEC_JPEG, .samples = f->channels,
                         .colour = f->channels == 1 ? MT_COLOUR_GREY : MT_COLOUR_YCBCR};
    const mt_pixels out = {rgb, 3 * (size_t)f->width, (int32_t)f->width, (int32_t)f->height, 1, NULL};
    MT_TRY(mt_decoder_new(&d, err));
    return mt_decoder_decode(d, &c, p->map.data, p->map.size, &out, err);
}

static mt_status decode_whole(picture *p, mt_err *err)
{
    const mt_picture_facts *f = &p->facts;
    MT_AUTO_FREE uint8_t *rgb = NULL;
    MT_TRY(mt_alloc(&rgb, (size_t)f->width * (size_t)f->height, 3, 3 * MT_CODEC_MAX_PIXELS, "picture",
                    err));
    MT_TRY(p->png ? mt_png_decode(rgb, f, p->map.data, p->map.size, err) : decode_jpeg(rgb, p, err));
    p->rgb = mt_steal(rgb);
    return MT_OK;
}

/* Decoded once, by whoever comes first; a failure is kept too, but for a want of memory, which may pass. */
static mt_status need_pixels(picture *p, mt_err *err)
{
    pthread_mutex_lock(&p->lock);
    if (p->failed.code == MT_ERR_NO_MEMORY) mt_err_clear(&p->failed);
    if (!p->rgb && p->failed.code == MT_OK) (void)decode_whole(p, &p->failed);
    const mt_err failed = p->failed;
    pthread_mutex_unlock(&p->lock);
    return failed.code == MT_OK ? MT_OK : mt_err_set(err, failed.code, "%s", failed.text);
}

static mt_status check(const mt_slide *s, mt_err *err)
{
    const picture *p = s->impl;
    return mt_map_check_whole(&p->map, s->path, err);
}

static mt_status reader_open(void **state, const mt_slide *s, mt_err *err)
{
    return mt_alloc(state, 1, 1, 1, "tile reader", err); /* the picture holds everything */
}

static void reader_close(void *state) { free(state); }

static void copy_tile(uint8_t *rgb, size_t stride, const picture *p, const mt_level *l, int64_t x0,
                      int64_t y0)
{
    const int64_t w = MT_MIN((int64_t)TILE, l->width - x0), h = MT_MIN((int64_t)TILE, l->height - y0);
    const unsigned back = mt_tiff_turn_back(p->facts.turn);
    for (int64_t y = 0; y < TILE; y++) {
        uint8_t *to = rgb + (size_t)y * stride;
        memset(to, 255, 3 * TILE);
        if (y >= h) continue;
        if (p->facts.turn == 1) {
            memcpy(to, p->rgb + 3 * ((y0 + y) * p->facts.width + x0), 3 * (size_t)w);
            continue;
        }
        for (int64_t x = 0; x < w; x++) {
            int64_t sx, sy;
            mt_tiff_turn(&sx, &sy, back, l->width, l->height, x0 + x, y0 + y);
            memcpy(to + 3 * x, p->rgb + 3 * (sy * p->facts.width + sx), 3);
        }
    }
}

static mt_status decode(void *state, const mt_slide *s, int level, int64_t tx, int64_t ty, int scale,
                        uint8_t *rgb, size_t stride, mt_err *err)
{
    picture *p = s->impl;
    mt_err why = MT_ERR_INIT;
    if (scale != 1) return mt_err_set(err, MT_ERR_ARG, "%s pictures are not scaled", s->info.format);
    const mt_status st = need_pixels(p, &why);
    MT_TRY(mt_map_check(&p->map, err));
    if (st != MT_OK) {
        MT_TRY(check(s, err));
        return mt_err_set(err, st, "%s", why.text);
    }
    copy_tile(rgb, stride, p, &s->info.levels[level], tx * TILE, ty * TILE);
    return MT_OK;
}

static int max_reduce(const mt_slide *s, int level) { return 1; }

static void close_picture(mt_slide *s)
{
    picture *p = s->impl;
    pthread_mutex_destroy(&p->lock);
    mt_map_close(&p->map);
    free(p->rgb);
    free(p);
    s->impl = NULL;
}

static const mt_slide_ops picture_ops = {
    NULL, reader_open, reader_close, decode, NULL, max_reduce, check, close_picture, NULL,
};

/* ---- JPEG files: JFIF and Exif ---- */

/* JFIF 1.02: units 1 are pixels an inch, 2 pixels a centimetre. */
static void read_jfif(mt_picture_facts *f, const uint8_t *p, size_t n)
{
    if (n < 14 || memcmp(p, "JFIF", 5) || (p[7] != 1 && p[7] != 2)) return;
    const double um = p[7] == 1 ? 25400.0 : 10000.0;
    const unsigned x = (unsigned)p[8] << 8 | p[9], y = (unsigned)p[10] << 8 | p[11];
    if (!x || !y) return;
    f->mpp_x = um / x;
    f->mpp_y = um / y;
    f->mpp_source = "jpeg.JFIF";
}

/* Exif is a TIFF file within; only its Orientation is of interest, and only when it makes sense. */
static void read_exif(mt_picture_facts *f, const uint8_t *p, size_t n)
{
    mt_tiff t;
    if (n < 14 || memcmp(p, "Exif\0", 6) || !mt_tiff_is(p + 6, n - 6)) return;
    if (mt_tiff_parse(&t, p + 6, n - 6, NULL) != MT_OK) return;
    if (t.dirs[0].orientation >= 1 && t.dirs[0].orientation <= 8) f->turn = t.dirs[0].orientation;
    mt_tiff_free(&t);
}

static void read_segments(mt_picture_facts *f, const uint8_t *data, size_t size)
{
    mt_bytes c = mt_bytes_of(data, size, true);
    uint16_t marker = 0, len = 0;
    (void)mt_bytes_skip(&c, 2);
    while (mt_bytes_u16(&c, &marker) && marker > 0xff00 && marker != 0xffda && marker != 0xffd9) {
        if (marker == 0xffff) { /* a byte of padding */
            c.pos--;
            continue;
        }
        if (!mt_bytes_u16(&c, &len) || len < 2) return;
        const uint8_t *p = mt_bytes_take(&c, len - 2u);
        if (!p) return;
        if (marker == 0xffe0) read_jfif(f, p, len - 2u);
        if (marker == 0xffe1) read_exif(f, p, len - 2u);
        if (marker == 0xffe2 && len > 16 && !memcmp(p, "ICC_PROFILE", 12))
            f->icc_bytes = MT_MIN(f->icc_bytes, INT32_MAX - len) + len - 16;
    }
}

static mt_status jpeg_facts(mt_picture_facts *out, const uint8_t *data, size_t size, mt_err *err)
{
    mt_stream_head h;
    char warning[160];
    if (!mt_codec_head(&h, MT_CODEC_JPEG, data, size))
        return mt_err_set(err, MT_ERR_FORMAT, "JPEG without a frame header");
    if (h.components != 1 && h.components != 3)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "JPEG of %u components%s; grey and RGB are read",
                          h.components, h.components == 4 ? " (CMYK)" : "");
    if (h.bits != 8)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "JPEG of %u bits a sample; 8 are read", h.bits);
    *out = (mt_picture_facts){.width = h.w, .height = h.h, .turn = 1, .channels = (int)h.components};
    const mt_coding c = {.codec = MT_CODEC_JPEG, .samples = out->channels,
                         .colour = out->channels == 1 ? MT_COLOUR_GREY
                                   : h.says == MT_SAYS_RGB ? MT_COLOUR_RGB : MT_COLOUR_YCBCR};
    mt_codec_describe(out->colour, warning, &c, data, size);
    read_segments(out, data, size);
    return MT_OK;
}

/* ---- opening ---- */

static bool begins(const mt_probe *p, const char *bytes, size_t n)
{
    return p->map.size >= n && !memcmp(p->map.data, bytes, n);
}

static bool detect_png(const mt_probe *p) { return begins(p, "\x89PNG\r\n\x1a\n", 8); }

/* A MIRAX slide may be named by a JPEG file beside its folder: that is OpenSlide's. */
static bool detect_jpeg(const mt_probe *p)
{
    return begins(p, "\xff\xd8\xff", 3) && strcasecmp(mt_path_ext(p->path), ".mrxs") != 0;
}

static mt_status check_size(const mt_picture_facts *f, mt_err *err)
{
    if (f->width < 1 || f->height < 1)
        return mt_err_set(err, MT_ERR_FORMAT, "%lld x %lld pixels", (long long)f->width,
                          (long long)f->height);
    if (f->width > MT_CODEC_MAX_SIDE || f->height > MT_CODEC_MAX_SIDE ||
        (size_t)f->width * (size_t)f->height > MT_CODEC_MAX_PIXELS)
        return mt_err_set(err, MT_ERR_LIMIT,
                          "%lld x %lld pixels in one piece; more than %zu must be a tiled TIFF file "
                          "(vips tiffsave --tile --pyramid)", (long long)f->width,
                          (long long)f->height, MT_CODEC_MAX_PIXELS);
    return MT_OK;
}

/* A density is believed when it is a microscope's; 72 dpi is what programs write that know nothing. */
static void put_spacing(mt_slide_info *info, const mt_picture_facts *f, bool png)
{
    const bool side = f->turn > 4;
    const double x = side ? f->mpp_y : f->mpp_x, y = side ? f->mpp_x : f->mpp_y;
    snprintf(info->mpp_looked_at, sizeof info->mpp_looked_at, "%s (0.01 to 20 um/px)",
             png ? "pHYs chunk" : "density of the JFIF marker");
    if (x < 0.01 || x > 20.0 || y < 0.01 || y > 20.0) return;
    mt_facts_set_spacing(info, (mt_spacing){x, y}, f->mpp_source);
}

static void put_info(mt_slide_info *info, const picture *p)
{
    const mt_picture_facts *f = &p->facts;
    mt_level *l = &info->levels[0];
    const bool side = f->turn > 4;
    snprintf(info->vendor, sizeof info->vendor, "picture");
    info->n_levels = 1;
    l->width = side ? f->height : f->width;
    l->height = side ? f->width : f->height;
    l->tile_w = l->tile_h = TILE;
    snprintf(l->codec, sizeof l->codec, "%s", p->png ? "png" : "jpeg");
    snprintf(l->colour, sizeof l->colour, "%s", f->colour);
    info->icc_bytes = f->icc_bytes;
    info->file_bytes = p->map.size;
    put_spacing(info, f, p->png);
    mt_slide_finish_levels(info);
}

static mt_status open_picture(mt_slide *s, mt_probe *probe, bool png, mt_err *err)
{
    mt_picture_facts f = {0};
    MT_TRY(png ? mt_png_facts(&f, probe->map.data, probe->map.size, err)
               : jpeg_facts(&f, probe->map.data, probe->map.size, err));
    MT_TRY(check_size(&f, err));
    picture *p = NULL;
    MT_TRY(mt_alloc(&p, 1, sizeof *p, sizeof *p, "slide", err));
    p->map = probe->map;
    probe->map = (mt_map)MT_MAP_INIT;
    p->facts = f;
    p->png = png;
    pthread_mutex_init(&p->lock, NULL);
    s->impl = p;
    s->ops = &picture_ops;
    put_info(&s->info, p);
    return MT_OK;
}

static mt_status open_png(mt_slide *s, mt_probe *p, mt_err *err) { return open_picture(s, p, true, err); }
static mt_status open_jpeg(mt_slide *s, mt_probe *p, mt_err *err) { return open_picture(s, p, false, err); }

const mt_format mt_format_png = {
    {"png", "PNG file of up to 64 megapixels, one level", "proven on real files"}, detect_png, open_png,
};
const mt_format mt_format_jpeg = {
    {"jpeg", "JPEG file of up to 64 megapixels, one level", "proven on real files"}, detect_jpeg,
    open_jpeg,
};
