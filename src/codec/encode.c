#include "codec/encode.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <jpeglib.h>
#include <jerror.h>
#include <png.h>

/* ---- JPEG ---- */

struct mt_jpeg_encoder {
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr errors;
    struct jpeg_destination_mgr dest;
    jmp_buf escape;
    char message[JMSG_LENGTH_MAX];
    mt_jpeg_enc_opts opts;
    mt_buf *out;  /* only while a call runs */
    size_t chunk; /* room reserved in out at its end */
};

static void jpeg_give_up(j_common_ptr c)
{
    mt_jpeg_encoder *e = c->client_data;
    c->err->format_message(c, e->message);
    longjmp(e->escape, 1);
}

static void jpeg_stay_silent(j_common_ptr c, int level) {}

/* Opens the next stretch of the buffer to libjpeg; a full buffer ends the image. */
static void dest_open(mt_jpeg_encoder *e, size_t want)
{
    size_t left = e->out->ceiling > e->out->len ? e->out->ceiling - e->out->len : 0;
    e->chunk = MT_MIN(want, left);
    uint8_t *p = e->chunk ? mt_buf_reserve(e->out, e->chunk) : NULL;
    if (!p) {
        e->out->failed = true;
        snprintf(e->message, sizeof e->message, "output buffer is full");
        longjmp(e->escape, 1);
    }
    e->dest.next_output_byte = p;
    e->dest.free_in_buffer = e->chunk;
}

static void dest_init(j_compress_ptr c) { dest_open(c->client_data, 32u << 10); }

static boolean dest_full(j_compress_ptr c)
{
    mt_jpeg_encoder *e = c->client_data;
    size_t done = e->chunk; /* libjpeg: the whole stretch counts as written, whatever the counters say */
    e->out->len += done;
    dest_open(e, MT_MAX(done, e->out->len / 2));
    return TRUE;
}

static void dest_done(j_compress_ptr c)
{
    mt_jpeg_encoder *e = c->client_data;
    e->out->len += e->chunk - e->dest.free_in_buffer;
}

static mt_status opts_check(const mt_jpeg_enc_opts *o, mt_err *err)
{
    if (o->quality < 1 || o->quality > 100)
        return mt_err_set(err, MT_ERR_ARG, "JPEG quality %d is not in 1..100", o->quality);
    if (o->subsampling != 444 && o->subsampling != 422 && o->subsampling != 420)
        return mt_err_set(err, MT_ERR_ARG, "JPEG subsampling %d is not 444, 422 or 420", o->subsampling);
    return MT_OK;
}

static void configure(mt_jpeg_encoder *e)
{
    j_compress_ptr c = &e->c;
    c->in_color_space = JCS_RGB;
    c->input_components = 3;
    jpeg_set_defaults(c);
    jpeg_set_colorspace(c, e->opts.rgb ? JCS_RGB : JCS_YCbCr);
    jpeg_set_quality(c, e->opts.quality, TRUE);
    c->dct_method = JDCT_ISLOW;
    c->write_Adobe_marker = FALSE;
    c->write_JFIF_header = !e->opts.rgb && !e->opts.abbreviated;
    if (e->opts.rgb) {
        for (int i = 0; i < 3; i++) c->comp_info[i].component_id = i;
    } else {
        c->comp_info[0].h_samp_factor = e->opts.subsampling == 444 ? 1 : 2;
        c->comp_info[0].v_samp_factor = e->opts.subsampling == 420 ? 2 : 1;
    }
}

mt_status mt_jpeg_encoder_new(mt_jpeg_encoder **out, const mt_jpeg_enc_opts *opts, mt_err *err)
{
    *out = NULL;
    MT_TRY(opts_check(opts, err));
    MT_AUTO(mt_jpeg_encoder_free) mt_jpeg_encoder *e = NULL;
    MT_TRY(mt_alloc(&e, 1, sizeof *e, sizeof *e, "JPEG encoder", err));
    e->opts = *opts;
    e->c.err = jpeg_std_error(&e->errors);
    e->errors.error_exit = jpeg_give_up;
    e->errors.emit_message = jpeg_stay_silent;
    if (setjmp(e->escape)) return mt_err_set(err, MT_ERR_NO_MEMORY, "JPEG encoder: %s", e->message);
    e->c.client_data = e;
    jpeg_create_compress(&e->c);
    e->c.client_data = e; /* creation may have cleared it */
    e->dest = (struct jpeg_destination_mgr){
        .init_destination = dest_init, .empty_output_buffer = dest_full, .term_destination = dest_done};
    e->c.dest = &e->dest;
    configure(e);
    *out = mt_steal(e);
    return MT_OK;
}

void mt_jpeg_encoder_free(mt_jpeg_encoder **enc)
{
    if (!enc || !*enc) return;
    if ((*enc)->c.mem) jpeg_destroy_compress(&(*enc)->c);
    free(*enc);
    *enc = NULL;
}

/* After a longjmp: libjpeg back to idle, the buffer back to where the image began. */
static mt_status fail(mt_jpeg_encoder *e, mt_buf *out, size_t len0, mt_err *err)
{
    jpeg_abort_compress(&e->c);
    out->len = len0;
    if (out->failed) return mt_buf_status(out, "JPEG output", err);
    return mt_err_set(err, MT_ERR_INTERNAL, "JPEG encoder: %s", e->message);
}

mt_status mt_jpeg_encoder_encode(mt_jpeg_encoder *e, mt_buf *out, const uint8_t *rgb, size_t stride, int w,
                                 int h, mt_err *err)
{
    if (w < 1 || h < 1 || w > 65535 || h > 65535)
        return mt_err_set(err, MT_ERR_ARG, "JPEG picture of %d x %d pixels: sides must be 1..65535", w, h);
    if (stride < (size_t)w * 3)
        return mt_err_set(err, MT_ERR_ARG, "JPEG rows of %d pixels do not fit a stride of %zu bytes", w, stride);
    MT_TRY(mt_buf_status(out, "JPEG output", err));
    size_t len0 = out->len;
    e->out = out;
    if (setjmp(e->escape)) return fail(e, out, len0, err);
    e->c.image_width = (JDIMENSION)w;
    e->c.image_height = (JDIMENSION)h;
    jpeg_suppress_tables(&e->c, e->opts.abbreviated);
    jpeg_start_compress(&e->c, !e->opts.abbreviated);
    while (e->c.next_scanline < e->c.image_height) {
        JSAMPROW rows[16];
        JDIMENSION n = MT_MIN(16u, e->c.image_height - e->c.next_scanline);
        /* libjpeg takes non-const rows but never writes to them */
        for (JDIMENSION i = 0; i < n; i++) rows[i] = (JSAMPROW)(uintptr_t)(rgb + (e->c.next_scanline + i) * stride);
        jpeg_write_scanlines(&e->c, rows, n);
    }
    jpeg_finish_compress(&e->c);
    return MT_OK;
}

mt_status mt_jpeg_encoder_tables(mt_jpeg_encoder *e, mt_buf *out, mt_err *err)
{
    MT_TRY(mt_buf_status(out, "JPEG tables", err));
    size_t len0 = out->len;
    e->out = out;
    if (setjmp(e->escape)) return fail(e, out, len0, err);
    jpeg_suppress_tables(&e->c, FALSE); /* else tables already marked as sent would be left out */
    jpeg_write_tables(&e->c);
    return MT_OK;
}

mt_status mt_jpeg_encode(mt_buf *out, const uint8_t *rgb, size_t stride, int w, int h, int quality,
                         int subsampling, mt_err *err)
{
    MT_AUTO(mt_jpeg_encoder_free) mt_jpeg_encoder *e = NULL;
    mt_jpeg_enc_opts o = MT_JPEG_ENC_OPTS_INIT;
    o.quality = quality;
    o.subsampling = subsampling;
    MT_TRY(mt_jpeg_encoder_new(&e, &o, err));
    return mt_jpeg_encoder_encode(e, out, rgb, stride, w, h, err);
}

/* ---- PNG ---- */

typedef struct png_job {
    mt_buf *out;
    char message[128];
} png_job;

static void png_put(png_structp png, png_bytep data, png_size_t n)
{
    png_job *job = png_get_io_ptr(png);
    mt_buf_append(job->out, data, n);
    if (job->out->failed) png_error(png, "output buffer is full");
}

static void png_flush_nothing(png_structp png) {}

static void png_give_up(png_structp png, png_const_charp text)
{
    png_job *job = png_get_error_ptr(png);
    snprintf(job->message, sizeof job->message, "%s", text);
    png_longjmp(png, 1);
}

static void png_stay_silent(png_structp png, png_const_charp text) {}

/* Apart from the caller so that no local lives across the setjmp. */
static bool png_write_all(png_structp png, png_infop info, png_job *job, const uint8_t *px, size_t stride,
                          int w, int h, int channels)
{
    static const int colour[5] = {0, PNG_COLOR_TYPE_GRAY, 0, PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_RGB_ALPHA};
    if (setjmp(png_jmpbuf(png))) return false;
    png_set_write_fn(png, job, png_put, png_flush_nothing);
    png_set_compression_level(png, 6);
    png_set_IHDR(png, info, (png_uint_32)w, (png_uint_32)h, 8, colour[channels], PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    for (int y = 0; y < h; y++) png_write_row(png, px + (size_t)y * stride);
    png_write_end(png, NULL);
    return true;
}

mt_status mt_png_encode(mt_buf *out, const uint8_t *px, size_t stride, int w, int h, int channels, mt_err *err)
{
    if (channels != 1 && channels != 3 && channels != 4)
        return mt_err_set(err, MT_ERR_ARG, "PNG with %d channels: 1, 3 or 4 are possible", channels);
    if (w < 1 || h < 1 || w > 1000000 || h > 1000000)
        return mt_err_set(err, MT_ERR_ARG, "PNG of %d x %d pixels: sides must be 1..1000000", w, h);
    if (stride < (size_t)w * (size_t)channels)
        return mt_err_set(err, MT_ERR_ARG, "PNG rows of %d pixels do not fit a stride of %zu bytes", w, stride);
    MT_TRY(mt_buf_status(out, "PNG output", err));
    png_job job = {.out = out};
    size_t len0 = out->len;
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &job, png_give_up, png_stay_silent);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    bool ok = info && png_write_all(png, info, &job, px, stride, w, h, channels);
    bool made = info != NULL;
    png_destroy_write_struct(&png, &info);
    if (ok) return MT_OK;
    out->len = len0;
    if (!made) return mt_err_set(err, MT_ERR_NO_MEMORY, "PNG writer: out of memory");
    if (out->failed) return mt_buf_status(out, "PNG output", err);
    return mt_err_set(err, MT_ERR_INTERNAL, "PNG writer: %s", job.message);
}
