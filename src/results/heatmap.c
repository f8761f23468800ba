/* The heatmap writer: one raster, two files. */
#include "results/heat.h"
#include "results/picture.h"
#include "results/pyramid.h"
#include "results/writers.h"

mt_status mt_write_heatmap(const mt_result *r, const mt_slide *slide, const char *out_dir,
                           mt_err *err)
{
    MT_AUTO(mt_heat_free) mt_heat *heat = NULL;
    MT_AUTO_FREE char *tif = NULL, *png = NULL;
    MT_TRY(mt_result_path(&tif, out_dir, r->stem, "heatmap.tif", err));
    MT_TRY(mt_result_path(&png, out_dir, r->stem, "heatmap.png", err));
    bool has_size = r->slide.n_levels > 0 && r->slide.levels[0].width > 0;
    if (has_size) MT_TRY(mt_heat_make(&heat, r, err));
    /* A slide without size or spacing was not analysed: there is nothing to register. */
    if (heat && r->slide.mpp_x > 0) MT_TRY(mt_pyramid_write(heat, r, tif, err));
    return mt_picture_write(heat, r, slide, png, err);
}
