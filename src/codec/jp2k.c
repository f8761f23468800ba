/* JPEG 2000 through OpenJPEG: bare codestreams (Aperio) and JP2 files, from memory. */
#include <stdio.h>
#include <string.h>
#include <openjpeg.h>
#include "codec/row.h"

typedef struct memory {
    const uint8_t *data;
    size_t size, pos;
} memory;

typedef struct complaint {
    char text[160];
    bool warned;
} complaint;

static OPJ_SIZE_T mem_read(void *to, OPJ_SIZE_T n, void *user)
{
    memory *m = user;
    if (m->pos == m->size) return (OPJ_SIZE_T)-1;
    if (n > m->size - m->pos) n = m->size - m->pos;
    memcpy(to, m->data + m->pos, n);
    m->pos += n;
    return n;
}

static OPJ_OFF_T mem_skip(OPJ_OFF_T n, void *user)
{
    memory *m = user;
    if (n < 0) return -1;
    if ((uint64_t)n > m->size - m->pos) n = (OPJ_OFF_T)(m->size - m->pos);
    m->pos += (size_t)n;
    return n;
}

static OPJ_BOOL mem_seek(OPJ_OFF_T n, void *user)
{
    memory *m = user;
    if (n < 0 || (uint64_t)n > m->size) return OPJ_FALSE;
    m->pos = (size_t)n;
    return OPJ_TRUE;
}

static void keep(complaint *c, const char *text)
{
    if (c->text[0]) return;
    snprintf(c->text, sizeof c->text, "%s", text);
    c->text[strcspn(c->text, "\r\n")] = 0;
}

static void on_error(const char *text, void *user) { keep(user, text); }

static void on_warning(const char *text, void *user)
{
    complaint *c = user;
    c->warned = true;
    keep(c, text);
}

static void stream_free(opj_stream_t **s) { if (*s) opj_stream_destroy(*s); }
static void codec_free(opj_codec_t **c) { if (*c) opj_destroy_codec(*c); }
static void image_free(opj_image_t **i) { if (*i) opj_image_destroy(*i); }

static opj_stream_t *stream_over(memory *m)
{
    opj_stream_t *s = opj_stream_create(MT_MAX(m->size, (size_t)1024), OPJ_TRUE);
    if (!s) return NULL;
    opj_stream_set_user_data(s, m, NULL);
    opj_stream_set_user_data_length(s, m->size);
    opj_stream_set_read_function(s, mem_read);
    opj_stream_set_skip_function(s, mem_skip);
    opj_stream_set_seek_function(s, mem_seek);
    return s;
}

static bool is_jp2_file(const uint8_t *data, size_t size)
{
    static const uint8_t box[12] = {0, 0, 0, 12, 'j', 'P', ' ', ' ', '\r', '\n', 0x87, '\n'};
    return size >= sizeof box && !memcmp(data, box, sizeof box);
}

/* Before anything is decoded: the picture is the one the file promised. */
static mt_status check_header(const opj_image_t *im, const mt_coding *c, const mt_pixels *out,
                              mt_err *err)
{
    if (im->x0 || im->y0 || im->x1 != (OPJ_UINT32)out->w || im->y1 != (OPJ_UINT32)out->h)
        return mt_err_set(err, MT_ERR_FORMAT, "JPEG 2000 is %u x %u from %u,%u, expected %d x %d",
                          im->x1 - im->x0, im->y1 - im->y0, im->x0, im->y0, out->w, out->h);
    if (im->numcomps != (OPJ_UINT32)c->samples)
        return mt_err_set(err, MT_ERR_FORMAT, "JPEG 2000 has %u components, the file says %d",
                          im->numcomps, c->samples);
    for (OPJ_UINT32 i = 0; i < im->numcomps; i++) {
        const opj_image_comp_t *p = &im->comps[i];
        if (p->prec < 1 || p->prec > 16 || p->sgnd)
            return mt_err_set(err, MT_ERR_UNSUPPORTED, "JPEG 2000 component of %u bits%s", p->prec,
                              p->sgnd ? ", signed" : "");
        if (p->dx < 1 || p->dy < 1 || p->dx > 4 || p->dy > 4)
            return mt_err_set(err, MT_ERR_UNSUPPORTED, "JPEG 2000 component subsampled %u x %u",
                              p->dx, p->dy);
    }
    return MT_OK;
}

static inline uint8_t clamp8(OPJ_INT32 v) { return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v); }

static inline uint8_t clamp_narrow(OPJ_INT32 v, unsigned max)
{
    return v < 0 ? 0 : mt_sample_narrow(MT_MIN((unsigned)v, max), max);
}

/* A codestream that carries a component transform has undone it by now, whatever the file says;
 * a JP2 box may say so too. */
static bool is_ycbcr(const opj_image_t *im, const mt_coding *c, const uint8_t *data, size_t size)
{
    mt_stream_head head;
    mt_jp2k_head(&head, data, size);
    if (im->numcomps < 3 || head.says == MT_SAYS_RGB) return false;
    if (is_jp2_file(data, size) && im->color_space == OPJ_CLRSPC_SRGB) return false;
    if (is_jp2_file(data, size) && im->color_space == OPJ_CLRSPC_SYCC) return true;
    return c->colour == MT_COLOUR_YCBCR;
}

static mt_status check_planes(const opj_image_t *im, uint32_t w, uint32_t h, mt_err *err)
{
    for (OPJ_UINT32 i = 0; i < im->numcomps; i++) {
        const opj_image_comp_t *p = &im->comps[i];
        if (!p->data || p->w < (w + p->dx - 1) / p->dx || p->h < (h + p->dy - 1) / p->dy)
            return mt_err_set(err, MT_ERR_FORMAT, "JPEG 2000 component %u is %u x %u, too small", i,
                              p->w, p->h);
    }
    return MT_OK;
}

/* Component planes to RGB; a subsampled component is repeated, as OpenSlide does. */
static mt_status planes_to_rgb(const opj_image_t *im, const mt_coding *c, bool ycbcr,
                               const mt_pixels *out, mt_err *err)
{
    const uint32_t w = (uint32_t)((out->w + out->scale - 1) / out->scale);
    const uint32_t h = (uint32_t)((out->h + out->scale - 1) / out->scale);
    MT_TRY(check_planes(im, w, h, err));
    for (uint32_t y = 0; y < h; y++) {
        uint8_t *rgb = out->rgb + (size_t)y * out->stride;
        for (uint32_t i = 0; i < 3; i++) {
            const opj_image_comp_t *p = &im->comps[im->numcomps == 3 ? i : 0];
            const OPJ_INT32 *row = p->data + (size_t)(y / p->dy) * p->w;
            const unsigned max = (1u << p->prec) - 1;
            if (p->dx == 1 && max == 255)
                for (uint32_t x = 0; x < w; x++) rgb[3 * x + i] = clamp8(row[x]);
            else
                for (uint32_t x = 0; x < w; x++) rgb[3 * x + i] = clamp_narrow(row[x / p->dx], max);
        }
        if (ycbcr)
            for (uint32_t x = 0; x < 3 * w; x += 3)
                mt_ycc_to_rgb(rgb + x, rgb[x], rgb[x + 1], rgb[x + 2]);
        if (c->colour == MT_COLOUR_GREY_INVERTED)
            for (uint32_t x = 0; x < 3 * w; x++) rgb[x] ^= 0xff;
    }
    return MT_OK;
}

static mt_status decode(void *state, const mt_coding *c, const uint8_t *data, size_t size,
                        const mt_pixels *out, mt_err *err)
{
    memory m = {data, size, 0};
    complaint why = {"", false};
    MT_AUTO(stream_free) opj_stream_t *stream = stream_over(&m);
    MT_AUTO(codec_free) opj_codec_t *codec =
        opj_create_decompress(is_jp2_file(data, size) ? OPJ_CODEC_JP2 : OPJ_CODEC_J2K);
    MT_AUTO(image_free) opj_image_t *image = NULL;
    if (!stream || !codec) return mt_err_set(err, MT_ERR_NO_MEMORY, "JPEG 2000 decoder");
    opj_set_error_handler(codec, on_error, &why);
    opj_set_warning_handler(codec, on_warning, &why);
    opj_dparameters_t par;
    opj_set_default_decoder_parameters(&par);
    par.cp_reduce = (OPJ_UINT32)__builtin_ctz((unsigned)out->scale);
    if (!opj_setup_decoder(codec, &par) || !opj_read_header(stream, codec, &image))
        return mt_err_set(err, MT_ERR_FORMAT, "JPEG 2000 header: %s",
                          why.text[0] ? why.text : "unreadable");
    MT_TRY(check_header(image, c, out, err));
    /* OpenJPEG goes on with a warning where data are missing or damaged: for us that tile is lost.
     */
    why = (complaint){"", false};
    if (!opj_decode(codec, stream, image) || why.warned)
        return mt_err_set(err, MT_ERR_FORMAT, "JPEG 2000: %s",
                          why.text[0] ? why.text : "cannot be decoded");
    return planes_to_rgb(image, c, is_ycbcr(image, c, data, size), out, err);
}

/* Half-resolution samples of a wavelet sit on every second pixel, not between two: no row that
 * scales onto an exact grid. A reduced decode can still be asked for. */
const mt_codec_row mt_codec_jp2k = {"jp2k", false, NULL, NULL, decode, NULL};
