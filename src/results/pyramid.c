/* libvips makes the pyramid. It is started once, works on one thread, keeps no cache. */
#include <pthread.h>
#include <string.h>
#include <vips/vips.h>
#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "results/pyramid.h"

static pthread_once_t vips_once = PTHREAD_ONCE_INIT;
static int vips_ready;

static void start_vips(void)
{
    if (VIPS_INIT("microtome") != 0) return;
    vips_concurrency_set(1);
    vips_cache_set_max(0);
    vips_ready = 1;
    atexit(vips_shutdown);
}

static mt_status vips_failed(const char *what, mt_err *err)
{
    char line[200];
    snprintf(line, sizeof line, "%s", vips_error_buffer());
    vips_error_clear();
    line[strcspn(line, "\r\n")] = 0;
    return mt_err_set(err, MT_ERR_IO, "%s: libvips: %s", what, line);
}

/* What the file is, for whoever opens it by itself: JSON in ImageDescription. */
static mt_status describe(mt_buf *b, const mt_heat *h, const mt_result *r, mt_err *err)
{
    mt_jw w;
    mt_jw_init(&w, b, 0);
    mt_jw_obj(&w, NULL);
    mt_jw_str(&w, "microtome", "heatmap");
    mt_jw_str(&w, "slide_id", r->slide_id);
    mt_jw_str(&w, "model", r->card->name);
    mt_jw_str(&w, "model_version", r->card->version);
    mt_jw_str(&w, "model_state", r->card->state);
    mt_jw_str(&w, "class",
              h->class_map ? NULL : r->card->class_names[MT_MAX(r->card->positive_class, 0)]);
    mt_jw_int(&w, "level0_pixels_per_pixel", h->px_l0);
    mt_jw_str(&w, "colour_map", h->class_map ? "microtome-classes" : "microtome-blue-yellow-256");
    if (!r->grade.graded) mt_jw_str(&w, "not_analysed", r->grade.reason);
    mt_jw_str(&w, "notice", "research use only, not for diagnosis");
    mt_jw_end_obj(&w);
    mt_buf_append(b, "", 1);
    return mt_buf_status(b, "heatmap description", err);
}

static void paint(uint8_t *rgba, const mt_heat *h, const mt_card *card)
{
    for (int32_t j = 0; j < h->h; j++)
        for (int32_t i = 0; i < h->w; i++, rgba += 4)
            rgba[3] = mt_heat_colour(rgba, h, i, j, card) ? 255 : 0;
}

static void unref(VipsImage **image)
{
    if (*image) g_object_unref(*image);
}

/* Into memory: libtiff does not survive a full disk. The spacing may differ in x and y; vips counts
 * pixels per millimetre. *out is released with g_free. */
static mt_status encode(void **out, size_t *n, const uint8_t *rgba, const mt_heat *h,
                        const mt_result *r, const char *description, mt_err *err)
{
    MT_AUTO(unref) VipsImage *memory = NULL;
    MT_AUTO(unref) VipsImage *image = NULL;
    double x_um = r->slide.mpp_x * h->px_l0, y_um = r->slide.mpp_y * h->px_l0;
    memory = vips_image_new_from_memory(rgba, (size_t)h->w * (size_t)h->h * 4, h->w, h->h, 4,
                                        VIPS_FORMAT_UCHAR);
    if (!memory || vips_copy(memory, &image, "interpretation", VIPS_INTERPRETATION_sRGB, "xres",
                             1000.0 / x_um, "yres", 1000.0 / y_um, NULL))
        return vips_failed("heatmap.tif", err);
    vips_image_set_string(image, VIPS_META_IMAGEDESCRIPTION, description);
    if (vips_tiffsave_buffer(image, out, n, "compression", VIPS_FOREIGN_TIFF_COMPRESSION_DEFLATE,
                             "predictor", VIPS_FOREIGN_TIFF_PREDICTOR_HORIZONTAL, "tile", TRUE,
                             "tile_width", 256, "tile_height", 256, "pyramid", TRUE, "resunit",
                             VIPS_FOREIGN_TIFF_RESUNIT_CM, NULL))
        return vips_failed("heatmap.tif", err);
    return MT_OK;
}

mt_status mt_pyramid_write(const mt_heat *heat, const mt_result *r, const char *path, mt_err *err)
{
    if (!(r->slide.mpp_x > 0 && r->slide.mpp_y > 0))
        return mt_err_set(err, MT_ERR_SPACING, "heatmap.tif: the slide's spacing is unknown");
    pthread_once(&vips_once, start_vips);
    if (!vips_ready) return vips_failed("libvips would not start", err);
    MT_AUTO_FREE uint8_t *rgba = NULL;
    MT_AUTO(mt_buf_free) mt_buf description = MT_BUF_INIT(4096);
    MT_TRY(describe(&description, heat, r, err));
    MT_TRY(mt_alloc_aligned(&rgba, (size_t)heat->w * (size_t)heat->h * 4, (size_t)64 << 20,
                            "heatmap", err));
    paint(rgba, heat, r->card);
    void *tiff = NULL;
    size_t n = 0;
    MT_TRY(encode(&tiff, &n, rgba, heat, r, (const char *)description.data, err));
    mt_status st = mt_file_write(path, tiff, n, err);
    g_free(tiff);
    return st;
}
