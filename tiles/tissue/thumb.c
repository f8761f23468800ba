#include "tiles/tissue/thumb.h"

#include <math.h>
#include <string.h>
#include "base/mem.h"
#include "kernels/u8_resample.h"
#include "tiles/tissue/average.h"

typedef struct picture {
    uint8_t *rgb;
    size_t row;
} picture;

static void keep_row(void *ctx, int32_t row, const uint8_t *rgb)
{
    picture *p = ctx;
    memcpy(p->rgb + (size_t)row * p->row, rgb, p->row);
}

mt_status thumb_make(uint8_t *rgb, int32_t w, int32_t h, const mt_slide *slide, int threads,
                     mt_err *err)
{
    const mt_slide_info *info = mt_slide_get_info(slide);
    double sw = (double)info->levels[0].width, sh = (double)info->levels[0].height;
    double px = MT_MAX(1.0, MT_MIN(sw / (2.0 * w), sh / (2.0 * h)));
    px = MT_MAX(px, MT_MAX(sw, sh) / 16384); /* a strip of a slide */
    average_grid grid = {px, (int32_t)MT_MAX(ceil(sw / px), 1), (int32_t)MT_MAX(ceil(sh / px), 1),
                         NULL};
    MT_AUTO_FREE uint8_t *fine = NULL;
    MT_AUTO_FREE void *scratch = NULL;
    MT_AUTO(mt_resample_free) mt_resample *plan = NULL;
    size_t row = (size_t)grid.width * 3;
    int level;
    MT_TRY(mt_alloc(&fine, row, (size_t)grid.height, (size_t)1 << 30, "thumbnail", err));
    picture p = {fine, row};
    MT_TRY(average_down(&level, slide, &grid, threads, keep_row, &p, err));
    const float box[4] = {0, 0, (float)MT_MIN(sw / px, (double)grid.width),
                          (float)MT_MIN(sh / px, (double)grid.height)};
    MT_TRY(mt_resample_new(&plan, grid.width, grid.height, box, w, h, MT_FILTER_BILINEAR, err));
    MT_TRY(mt_alloc_aligned(&scratch, mt_resample_scratch_bytes(plan), SIZE_MAX, "thumbnail", err));
    mt_u8_resample(plan, fine, row, rgb, (size_t)w * 3, scratch);
    return MT_OK;
}
