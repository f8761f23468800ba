/* Slides that the table needs and no slide at hand is: without a pyramid, and in JPEG 2000. */
#include <openjpeg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "microtome/slide.h"
#include "slide/slide.h"
#include "slide/tiff/tiff.h"
#include "slide/synth/tiff_write.h"
#include "base/file.h"
#include "tiling.h"

/* ---- level 0 alone ---- */

static bool copy_tiles(mt_tiff_writer *w, int image, const mt_slide *s, mt_err *err)
{
    const mt_level *l = &mt_slide_get_info(s)->levels[0];
    for (int64_t y = 0; y < l->tiles_y; y++)
        for (int64_t x = 0; x < l->tiles_x; x++) {
            mt_tile_span span;
            if (mt_slide_tile_span(&span, s, 0, x, y, err)) return false;
            if (span.size && mt_tiff_writer_put(w, image, (uint64_t)(y * l->tiles_x + x), span.data,
                                                span.size, err))
                return false;
        }
    return true;
}

bool flat_copy(const char *to, const char *from, mt_err *err)
{
    MT_AUTO(mt_slide_close) mt_slide *s = NULL;
    MT_AUTO(mt_tiff_writer_discard) mt_tiff_writer *w = NULL;
    MT_AUTO(mt_map_close) mt_map map = {0};
    MT_AUTO(mt_tiff_free) mt_tiff tiff = {0};
    mt_slide_opts so = MT_SLIDE_OPTS_INIT;
    so.assume_mpp = 0.5;
    if (mt_slide_open(&s, from, &so, err) || mt_map_open(&map, from, err) ||
        mt_tiff_parse(&tiff, map.data, map.size, err))
        return false;
    const mt_level *l = &mt_slide_get_info(s)->levels[0];
    const mt_tiff_dir *d = &tiff.dirs[0];
    mt_tiff_image m = MT_TIFF_IMAGE_INIT;
    m.width = l->width;
    m.height = l->height;
    m.tile_w = l->tile_w;
    m.tile_h = l->tile_h;
    m.compression = MT_TIFF_JPEG;
    m.photometric = (int)d->photometric;
    m.sub_h = m.sub_v = d->photometric == MT_TIFF_YCBCR ? 2 : 1;
    m.jpeg_tables = d->jpeg_tables.p;
    m.n_jpeg_tables = d->jpeg_tables.n;
    int image;
    return mt_tiff_writer_open(&w, to, true, err) == MT_OK &&
           mt_tiff_writer_image(&image, w, &m, err) == MT_OK && copy_tiles(w, image, s, err) &&
           mt_tiff_writer_close(&w, err) == MT_OK;
}

/* ---- JPEG 2000 ---- */

typedef struct sink {
    uint8_t *data;
    size_t size, cap, at;
} sink;

static OPJ_SIZE_T sink_write(void *from, OPJ_SIZE_T n, void *user)
{
    sink *s = user;
    if (s->at + n > s->cap) return (OPJ_SIZE_T)-1;
    memcpy(s->data + s->at, from, n);
    s->at += n;
    if (s->at > s->size) s->size = s->at;
    return n;
}

static OPJ_OFF_T sink_skip(OPJ_OFF_T n, void *user)
{
    sink *s = user;
    s->at += (size_t)n;
    return n;
}

static OPJ_BOOL sink_seek(OPJ_OFF_T n, void *user)
{
    sink *s = user;
    s->at = (size_t)n;
    return OPJ_TRUE;
}

static bool encode(sink *out, const uint8_t *rgb, int side)
{
    opj_cparameters_t par;
    opj_image_cmptparm_t c[3] = {{0}};
    opj_set_default_encoder_parameters(&par);
    par.irreversible = 1;
    par.tcp_mct = 1;
    par.tcp_numlayers = 1;
    par.tcp_rates[0] = 12;
    par.cp_disto_alloc = 1;
    for (int i = 0; i < 3; i++) {
        c[i].dx = c[i].dy = 1;
        c[i].w = c[i].h = (OPJ_UINT32)side;
        c[i].prec = 8;
    }
    opj_image_t *im = opj_image_create(3, c, OPJ_CLRSPC_SRGB);
    im->x1 = im->y1 = (OPJ_UINT32)side;
    for (int i = 0; i < side * side * 3; i++) im->comps[i % 3].data[i / 3] = rgb[i];
    opj_codec_t *codec = opj_create_compress(OPJ_CODEC_J2K);
    opj_stream_t *stream = opj_stream_create(1 << 16, OPJ_FALSE);
    opj_stream_set_user_data(stream, out, NULL);
    opj_stream_set_write_function(stream, sink_write);
    opj_stream_set_skip_function(stream, sink_skip);
    opj_stream_set_seek_function(stream, sink_seek);
    bool ok = opj_setup_encoder(codec, &par, im) && opj_start_compress(codec, im, stream) &&
              opj_encode(codec, stream) && opj_end_compress(codec, stream);
    opj_stream_destroy(stream);
    opj_destroy_codec(codec);
    opj_image_destroy(im);
    return ok;
}

bool wavelet_copy(const char *to, const char *from, int tiles, mt_err *err)
{
    enum { SIDE = 240 };
    MT_AUTO(mt_slide_close) mt_slide *s = NULL;
    MT_AUTO(mt_tiff_writer_discard) mt_tiff_writer *w = NULL;
    MT_AUTO_FREE uint8_t *px = NULL;
    sink out = {NULL, 0, (size_t)SIDE * SIDE * 6 + 4096, 0};
    MT_AUTO_FREE uint8_t *bytes = NULL;
    mt_slide_opts so = MT_SLIDE_OPTS_INIT;
    so.assume_mpp = 0.5;
    if (mt_slide_open(&s, from, &so, err)) return false;
    const mt_level *l = &mt_slide_get_info(s)->levels[0];
    mt_tiff_image m = MT_TIFF_IMAGE_INIT;
    m.width = m.height = (int64_t)tiles * SIDE;
    m.tile_w = m.tile_h = SIDE;
    m.compression = 33005;
    int image;
    px = malloc((size_t)SIDE * SIDE * 3);
    out.data = bytes = malloc(out.cap);
    if (!px || !bytes || mt_tiff_writer_open(&w, to, false, err) ||
        mt_tiff_writer_image(&image, w, &m, err))
        return false;
    int64_t x0 = MT_MAX(l->width / 2 - m.width / 2, 0), y0 = MT_MAX(l->height / 2 - m.height / 2, 0);
    for (int k = 0; k < tiles * tiles; k++) {
        out.size = out.at = 0;
        if (mt_slide_read_region(s, 0, x0 + k % tiles * SIDE, y0 + k / tiles * SIDE, SIDE, SIDE, px,
                                 SIDE * 3, err))
            return false;
        if (!encode(&out, px, SIDE))
            return mt_err_set(err, MT_ERR_INTERNAL, "JPEG 2000 tile %d", k), false;
        if (mt_tiff_writer_put(w, image, (uint64_t)k, out.data, out.size, err)) return false;
    }
    return mt_tiff_writer_close(&w, err) == MT_OK;
}
