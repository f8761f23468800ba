#include "tiles/tissue/mask_png.h"

#include <math.h>
#include <png.h>
#include <string.h>

mt_status mask_png_read(uint8_t **grey, int32_t *width, int32_t *height, const uint8_t *data,
                        size_t n, const char *what, mt_err *err)
{
    png_image image;
    memset(&image, 0, sizeof image);
    image.version = PNG_IMAGE_VERSION;
    if (!png_image_begin_read_from_memory(&image, data, n))
        return mt_err_set(err, MT_ERR_FORMAT, "%.120s: not a PNG that can be read: %.64s", what,
                          image.message);
    size_t w = image.width, h = image.height, pixels;
    if (!mt_mul(&pixels, w, h) || pixels > MASK_PNG_MAX_PIXELS) {
        png_image_free(&image);
        return mt_err_set(err, MT_ERR_LIMIT, "%.120s: %zu x %zu pixels pass the ceiling of %zu",
                          what, w, h, MASK_PNG_MAX_PIXELS);
    }
    /* A palette goes through a table of 256 entries inside libpng; alpha is laid over black. */
    image.format = PNG_FORMAT_GRAY;
    MT_AUTO_FREE uint8_t *px = NULL;
    mt_status st = mt_alloc(&px, pixels, 1, SIZE_MAX, "mask picture", err);
    if (st != MT_OK) {
        png_image_free(&image);
        return st;
    }
    const png_color black = {0, 0, 0};
    if (!png_image_finish_read(&image, &black, px, 0, NULL))
        return mt_err_set(err, MT_ERR_FORMAT, "%.120s: damaged PNG: %.64s", what, image.message);
    *width = (int32_t)w;
    *height = (int32_t)h;
    *grey = mt_steal(px);
    return MT_OK;
}

/* First picture pixel whose centre is not before v. */
static int32_t centre_from(double v, int32_t n)
{
    return (int32_t)MT_MIN(MT_MAX(ceil(v - 0.5), 0.0), (double)n);
}

static int32_t under(double v, int32_t n)
{
    return (int32_t)MT_MIN(MT_MAX(floor(v), 0.0), (double)(n - 1));
}

int mask_png_bright(const uint8_t *grey, int32_t width, int32_t height, const double box[4])
{
    int32_t x0 = centre_from(box[0], width), x1 = centre_from(box[2], width);
    int32_t y0 = centre_from(box[1], height), y1 = centre_from(box[3], height);
    if (x0 >= x1) {
        x0 = under((box[0] + box[2]) / 2, width);
        x1 = x0 + 1;
    }
    if (y0 >= y1) {
        y0 = under((box[1] + box[3]) / 2, height);
        y1 = y0 + 1;
    }
    uint64_t bright = 0, all = (uint64_t)(x1 - x0) * (uint64_t)(y1 - y0);
    for (int32_t y = y0; y < y1; y++)
        for (int32_t x = x0; x < x1; x++)
            bright += grey[(size_t)y * (size_t)width + (size_t)x] > 127;
    return 2 * bright > all;
}
