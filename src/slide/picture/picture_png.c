/* PNG through libpng: samples as they are stored, spread to RGB by the rules of the codec room (16
 * bits by round(v * 255 / 65535), alpha over white). Gamma and chromaticities are not applied. */
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include "slide/picture/picture.h"

typedef struct png {
    png_structp png;
    png_infop info;
    const uint8_t *data;
    size_t size, pos;
    char text[96];
    uint8_t *samples;          /* a row; all of them when they come interlaced */
    png_bytep *rows;
    mt_decoder *decoder;
} png;

static void fail(png_structp p, png_const_charp text)
{
    png *s = png_get_error_ptr(p);
    snprintf(s->text, sizeof s->text, "%s", text);
    longjmp(png_jmpbuf(p), 1);
}

static void silent(png_structp p, png_const_charp text) {}

static void read_bytes(png_structp p, png_bytep to, png_size_t n)
{
    png *s = png_get_io_ptr(p);
    if (n > s->size - s->pos) png_error(p, "the file ends early");
    memcpy(to, s->data + s->pos, n);
    s->pos += n;
}

static void png_close(png *s)
{
    png_destroy_read_struct(&s->png, &s->info, NULL);
    free(s->samples);
    free(s->rows);
    mt_decoder_free(&s->decoder);
}

static mt_status png_open(png *s, const uint8_t *data, size_t size, mt_err *err)
{
    enum { CHUNK = 16 << 20, CHUNKS = 256 };
    *s = (png){.data = data, .size = size};
    s->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, s, fail, silent);
    if (s->png) s->info = png_create_info_struct(s->png);
    if (!s->info) return mt_err_set(err, MT_ERR_NO_MEMORY, "PNG reader");
    png_set_user_limits(s->png, INT32_MAX, INT32_MAX);
    png_set_chunk_malloc_max(s->png, CHUNK);
    png_set_chunk_cache_max(s->png, CHUNKS);
    png_set_read_fn(s->png, s, read_bytes);
    return MT_OK;
}

static void put_spacing(mt_picture_facts *out, const png *s)
{
    png_uint_32 x = 0, y = 0;
    int unit = 0;
    if (!png_get_pHYs(s->png, s->info, &x, &y, &unit) || unit != PNG_RESOLUTION_METER || !x || !y)
        return;
    out->mpp_x = 1e6 / x;
    out->mpp_y = 1e6 / y;
    out->mpp_source = "png.pHYs";
}

static void put_words(mt_picture_facts *out, const png *s)
{
    const int type = png_get_color_type(s->png, s->info), bits = png_get_bit_depth(s->png, s->info);
    const bool alpha = type & PNG_COLOR_MASK_ALPHA || png_get_valid(s->png, s->info, PNG_INFO_tRNS);
    snprintf(out->colour, sizeof out->colour, "%s%s%s",
             type == PNG_COLOR_TYPE_PALETTE ? "palette"
             : type & PNG_COLOR_MASK_COLOR  ? "RGB"
                                            : "grey",
             bits == 16 ? " 16 bit / 257" : "", alpha ? " over white" : "");
}

mt_status mt_png_facts(mt_picture_facts *out, const uint8_t *data, size_t size, mt_err *err)
{
    MT_AUTO(png_close) png s;
    png_charp name = NULL;
    png_bytep profile = NULL;
    png_uint_32 n = 0;
    int method = 0;
    MT_TRY(png_open(&s, data, size, err));
    if (setjmp(png_jmpbuf(s.png))) return mt_err_set(err, MT_ERR_FORMAT, "PNG: %s", s.text);
    png_read_info(s.png, s.info);
    *out = (mt_picture_facts){.width = png_get_image_width(s.png, s.info),
                              .height = png_get_image_height(s.png, s.info), .turn = 1,
                              .channels = 3};
    if (png_get_iCCP(s.png, s.info, &name, &method, &profile, &n))
        out->icc_bytes = (int)MT_MIN(n, (png_uint_32)INT32_MAX);
    put_spacing(out, &s);
    put_words(out, &s);
    return MT_OK;
}

/* What libpng makes of palettes, small samples and transparent colours: 8 or 16 bits, 1 to 4 samples. */
static void choose_samples(mt_coding *c, const png *s)
{
    png_set_expand(s->png);
    (void)png_set_interlace_handling(s->png);
    png_read_update_info(s->png, s->info);
    const int n = png_get_channels(s->png, s->info);
    *c = (mt_coding){.codec = MT_CODEC_RAW, .samples = n, .big_endian = true,
                     .colour = n < 3 ? MT_COLOUR_GREY : MT_COLOUR_RGB,
                     .alpha = n % 2 ? MT_ALPHA_IGNORED : MT_ALPHA_STRAIGHT,
                     .bits = png_get_bit_depth(s->png, s->info)};
}

/* Everything that may longjmp, and no variable that lives past it. */
static bool read_all(png *s, mt_coding *c, uint8_t *rgb, const mt_picture_facts *f, mt_status *st,
                     mt_err *err)
{
    if (setjmp(png_jmpbuf(s->png))) return false;
    png_read_info(s->png, s->info);
    choose_samples(c, s);
    const size_t row = png_get_rowbytes(s->png, s->info), h = (size_t)f->height;
    const bool laced = png_get_interlace_type(s->png, s->info) != PNG_INTERLACE_NONE;
    const mt_pixels one = {rgb, 3 * (size_t)f->width, (int32_t)f->width, 1, 1, NULL};
    *st = mt_alloc(&s->samples, laced ? h : 1, row, 4 * MT_CODEC_MAX_PIXELS, "PNG samples", err);
    if (*st == MT_OK && laced)
        *st = mt_alloc(&s->rows, h, sizeof *s->rows, SIZE_MAX, "PNG rows", err);
    if (*st != MT_OK) return true;
    for (size_t y = 0; laced && y < h; y++) s->rows[y] = s->samples + y * row;
    if (laced) png_read_image(s->png, s->rows);
    for (size_t y = 0; y < h && *st == MT_OK; y++) {
        mt_pixels to = one;
        to.rgb += y * one.stride;
        if (!laced) png_read_row(s->png, s->samples, NULL);
        *st = mt_decoder_decode(s->decoder, c, laced ? s->rows[y] : s->samples, row, &to, err);
    }
    return true;
}

mt_status mt_png_decode(uint8_t *rgb, const mt_picture_facts *facts, const uint8_t *data, size_t size,
                        mt_err *err)
{
    MT_AUTO(png_close) png s;
    mt_coding c;
    mt_status st = MT_OK;
    MT_TRY(png_open(&s, data, size, err));
    MT_TRY(mt_decoder_new(&s.decoder, err));
    if (!read_all(&s, &c, rgb, facts, &st, err))
        return mt_err_set(err, MT_ERR_FORMAT, "PNG: %s", s.text);
    return st;
}
