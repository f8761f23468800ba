/* JPEG 2000 streams made on the spot with OpenJPEG. */
#ifndef MT_TESTS_CODEC_JP2K_MADE_H
#define MT_TESTS_CODEC_JP2K_MADE_H

#include <string.h>
#include <openjpeg.h>
#include "tests/support/support.h"

typedef struct sink { uint8_t *p; size_t n, room; } sink;

static inline OPJ_SIZE_T sink_write(void *data, OPJ_SIZE_T n, void *user)
{
    sink *s = user;
    assert_true(s->n + n <= s->room);
    memcpy(s->p + s->n, data, n);
    s->n += n;
    return n;
}
static inline OPJ_OFF_T sink_skip(OPJ_OFF_T n, void *user) { return n; }
static inline OPJ_BOOL sink_seek(OPJ_OFF_T n, void *user) { return OPJ_FALSE; }

/* Lossless codestream of components with the given subsampling; component c at (x, y) is value(c,
 * x, y). */
static inline size_t jp2k_make_mct(uint8_t *out, size_t room, uint32_t w, uint32_t h, int comps,
                                   int dx, int dy, int bits, int (*value)(int c, int x, int y),
                                   int mct)
{
    opj_image_cmptparm_t parm[3];
    memset(parm, 0, sizeof parm);
    for (int c = 0; c < comps; c++) {
        OPJ_UINT32 sx = c ? (OPJ_UINT32)dx : 1, sy = c ? (OPJ_UINT32)dy : 1;
        parm[c] = (opj_image_cmptparm_t){.dx = sx,
                                         .dy = sy,
                                         .w = (w + sx - 1) / sx,
                                         .h = (h + sy - 1) / sy,
                                         .prec = (OPJ_UINT32)bits};
    }
    opj_image_t *im =
        opj_image_create((OPJ_UINT32)comps, parm, comps == 1 ? OPJ_CLRSPC_GRAY : OPJ_CLRSPC_SRGB);
    im->x1 = w;
    im->y1 = h;
    for (int c = 0; c < comps; c++)
        for (int i = 0; i < (int)(parm[c].w * parm[c].h); i++)
            im->comps[c].data[i] = value(c, i % (int)parm[c].w, i / (int)parm[c].w);
    opj_cparameters_t par;
    opj_set_default_encoder_parameters(&par);
    par.tcp_numlayers = 1;
    par.cp_disto_alloc = 1;
    par.numresolution = 4;
    par.tcp_mct = (char)mct;
    opj_codec_t *codec = opj_create_compress(OPJ_CODEC_J2K);
    assert_true(opj_setup_encoder(codec, &par, im));
    sink s = {out, 0, room};
    opj_stream_t *st = opj_stream_create(room, OPJ_FALSE);
    opj_stream_set_user_data(st, &s, NULL);
    opj_stream_set_write_function(st, sink_write);
    opj_stream_set_skip_function(st, sink_skip);
    opj_stream_set_seek_function(st, sink_seek);
    assert_true(opj_start_compress(codec, im, st) && opj_encode(codec, st) &&
                opj_end_compress(codec, st));
    opj_stream_destroy(st);
    opj_destroy_codec(codec);
    opj_image_destroy(im);
    return s.n;
}

/* As above, without a component transform. */
static inline size_t jp2k_make(uint8_t *out, size_t room, uint32_t w, uint32_t h, int comps, int dx,
                               int dy, int bits, int (*value)(int c, int x, int y))
{
    return jp2k_make_mct(out, room, w, h, comps, dx, dy, bits, value, 0);
}

#endif
