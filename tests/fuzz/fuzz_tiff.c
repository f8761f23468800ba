// rooms: slide codec base
// seeds: slides
/* TIFF slides of every maker: directories, levels, metadata, tiles. Once over an exact heap block,
 * where a read past the end shows, and once through the door everybody uses, on a file in memory. */
#include "door.h"
#include "slide/tiff/tiff_slide.h"

enum { SIDE = 256, TILES = 12 };

static uint8_t pixels[3 * SIDE * SIDE];

static void read_tiles(const mt_tiff *t, const mt_tiff_picture *p, mt_decoder *d)
{
    if (p->tile_w > SIDE || p->tile_h > SIDE) return;
    const int64_t n = p->tiles_x * p->tiles_y;
    for (int64_t i = 0; i < n && i < TILES; i++) {
        mt_tile_span span;
        if (mt_tiff_picture_span(&span, t, p, (uint64_t)i, NULL) != MT_OK || !span.size) continue;
        const mt_pixels out = {
            .rgb = pixels, .stride = 3 * SIDE, .w = p->tile_w, .h = p->tile_h, .scale = 1};
        mt_err err = MT_ERR_INIT;
        mt_status st = mt_decoder_decode(d, &p->coding, span.data, span.size, &out, &err);
        if (st != err.code) abort();
    }
}

static void read_directories(const uint8_t *data, size_t size)
{
    mt_tiff t;
    mt_decoder *d = NULL;
    if (mt_tiff_parse(&t, data, size, NULL) != MT_OK) return;
    for (int i = 0; i < t.n_dirs && i < 8 && mt_decoder_new(&d, NULL) == MT_OK; i++) {
        mt_tiff_picture p;
        mt_tiff_value v;
        if (mt_tiff_find(&v, &t, i, 270)) (void)mt_tiff_value_text(&v);
        if (mt_tiff_find(&v, &t, i, 282)) (void)mt_tiff_value_number(&t, &v, 0);
        if (mt_tiff_picture_make(&p, &t, i, NULL) == MT_OK) read_tiles(&t, &p, d);
        mt_decoder_free(&d);
    }
    mt_tiff_free(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const mt_format *const rows[] = {
        &mt_format_svs,    &mt_format_ndpi, &mt_format_ome, &mt_format_philips,
        &mt_format_qptiff, &mt_format_scn,  &mt_format_bif, &mt_format_generic_tiff};
    if (!mt_tiff_is(data, size)) return 0;
    read_directories(data, size);
    door(rows, MT_COUNT(rows), data, size);
    return 0;
}
