/* Every native tile of every level of a slide as RGB bytes on stdout, for scripts that judge them:
 * slide_tiles SLIDE [OPTICAL_PATH [FOCAL_PLANE]]. Before each level a line "level W H TILE_W TILE_H
 * TILES_X TILES_Y", before each tile "tile X Y BYTES" (0 bytes when it will not decode). Associated
 * images follow as "associated NAME W H". */
#include <stdio.h>
#include <stdlib.h>
#include "slide/slide.h"

static int fail(const mt_err *err)
{
    fprintf(stderr, "%s\n", err->text);
    return 1;
}

static void tile(mt_tile_reader *r, const mt_level *l, int level, int64_t x, int64_t y, uint8_t *rgb)
{
    mt_err err = MT_ERR_INIT;
    const size_t stride = 3 * (size_t)l->tile_w, bytes = stride * (size_t)l->tile_h;
    const mt_status st = mt_tile_reader_decode(r, level, x, y, 1, rgb, stride, &err);
    if (st) fail(&err);
    printf("tile %lld %lld %zu\n", (long long)x, (long long)y, st ? (size_t)0 : bytes);
    if (!st) fwrite(rgb, 1, bytes, stdout);
}

static int level(mt_tile_reader *r, const mt_slide_info *info, int i)
{
    const mt_level *l = &info->levels[i];
    uint8_t *rgb = malloc(3 * (size_t)l->tile_w * (size_t)l->tile_h);
    if (!rgb) return 1;
    printf("level %lld %lld %d %d %lld %lld\n", (long long)l->width, (long long)l->height, (int)l->tile_w,
           (int)l->tile_h, (long long)l->tiles_x, (long long)l->tiles_y);
    for (int64_t y = 0; y < l->tiles_y; y++)
        for (int64_t x = 0; x < l->tiles_x; x++) tile(r, l, i, x, y, rgb);
    free(rgb);
    return 0;
}

static void associated(const mt_slide *s, const mt_associated *a)
{
    uint8_t *rgb = NULL;
    int64_t w = 0, h = 0;
    mt_err err = MT_ERR_INIT;
    if (mt_slide_read_associated(&rgb, &w, &h, s, a->name, &err)) {
        fail(&err);
        return;
    }
    printf("associated %s %lld %lld\n", a->name, (long long)w, (long long)h);
    fwrite(rgb, 3, (size_t)(w * h), stdout);
    free(rgb);
}

int main(int argc, char **argv)
{
    if (argc < 2) return 2;
    mt_slide_opts o = MT_SLIDE_OPTS_INIT;
    o.optical_path = argc > 2 && argv[2][0] ? argv[2] : NULL;
    o.focal_plane = argc > 3 ? atoi(argv[3]) : -1;
    mt_err err = MT_ERR_INIT;
    mt_slide *s = NULL;
    mt_tile_reader *r = NULL;
    if (mt_slide_open(&s, argv[1], &o, &err) || mt_tile_reader_new(&r, s, &err)) return fail(&err);
    const mt_slide_info *info = mt_slide_get_info(s);
    int bad = 0;
    for (int i = 0; i < info->n_levels; i++) bad |= level(r, info, i);
    for (int i = 0; i < info->n_associated; i++) associated(s, &info->associated[i]);
    mt_tile_reader_free(&r);
    mt_slide_close(&s);
    return bad || fclose(stdout) ? 1 : 0;
}
