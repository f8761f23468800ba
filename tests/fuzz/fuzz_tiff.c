// rooms: slide codec base
// seeds: slides slides/codec slides/malformed
/* TIFF slides: directories, levels, metadata, tiles. Once over an exact heap block, where a read
 * past the end shows, and once through the door everybody uses, on a file in memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "slide/format.h"
#include "slide/tiff_slide.h"

enum { SIDE = 256, TILES = 12 };

static uint8_t pixels[3 * SIDE * SIDE];

static void read_tiles(const mt_tiff *t, const mt_tiff_picture *p, mt_decoder *d)
{
    if (p->tile_w > SIDE || p->tile_h > SIDE) return;
    const int64_t n = p->tiles_x * p->tiles_y;
    for (int64_t i = 0; i < n && i < TILES; i++) {
        mt_tile_span span;
        if (mt_tiff_picture_span(&span, t, p, (uint64_t)i, NULL) != MT_OK || !span.size) continue;
        const mt_pixels out = {pixels, 3 * SIDE, p->tile_w, p->tile_h, 1, NULL};
        mt_err err = MT_ERR_INIT;
        mt_status st = mt_decoder_decode(d, &p->coding, span.data, span.size, &out, &err);
        if (st != err.code) abort();
    }
}

static bool leave_to_others(const uint8_t *data, size_t size)
{
    mt_probe probe = {.map = {data, size, -1}, .is_tiff = true};
    if (mt_tiff_parse(&probe.tiff, data, size, NULL) != MT_OK) return true;
    const bool ours = mt_format_svs.detect(&probe) || mt_format_generic_tiff.detect(&probe);
    mt_decoder *d = NULL;
    for (int i = 0; i < probe.tiff.n_dirs && i < 8 && mt_decoder_new(&d, NULL) == MT_OK; i++) {
        mt_tiff_picture p;
        if (mt_tiff_picture_make(&p, &probe.tiff, i, NULL) == MT_OK) read_tiles(&probe.tiff, &p, d);
        mt_decoder_free(&d);
    }
    mt_tiff_free(&probe.tiff);
    return !ours; /* what lies behind OpenSlide is not ours to test here */
}

static void through_the_door(const char *path)
{
    mt_slide *s = NULL;
    mt_err err = MT_ERR_INIT;
    if (mt_slide_open(&s, path, NULL, &err) != MT_OK) {
        if (!err.text[0] || strchr(err.text, '\n') || s) abort();
        return;
    }
    const mt_slide_info *info = mt_slide_get_info(s);
    for (int i = 0; i < info->n_levels; i++) {
        const mt_level *l = &info->levels[i];
        if ((int64_t)l->tile_w * l->tile_h > 1 << 20) continue;
        mt_err_clear(&err);
        (void)!mt_slide_read_region(s, i, l->width / 2 - 3, l->height - 9, 16, 16, pixels, 3 * SIDE,
                                    &err);
    }
    for (int i = 0; i < info->n_associated; i++) {
        uint8_t *rgb = NULL;
        int64_t w, h;
        if (info->associated[i].width * info->associated[i].height > 1 << 20) continue;
        mt_err_clear(&err);
        if (mt_slide_read_associated(&rgb, &w, &h, s, info->associated[i].name, &err) == MT_OK)
            free(rgb);
    }
    mt_slide_close(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!mt_tiff_is(data, size) || leave_to_others(data, size)) return 0;
    int fd = memfd_create("slide", MFD_CLOEXEC);
    if (fd < 0) return 0;
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (write(fd, data, size) == (ssize_t)size) through_the_door(path);
    close(fd);
    return 0;
}
