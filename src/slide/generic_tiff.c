/* Generic TIFF: a tiled picture, its reduced copies as pyramid; or one flat picture in strips or
 * tiles. Files of makers with rules of their own are left to who knows them. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "slide/tiff_slide.h"

static bool of_another_maker(const mt_tiff *t)
{
    const mt_tiff_dir *d = &t->dirs[0];
    if (d->hamamatsu) return true;                                        /* NDPI */
    if (mt_tiff_begins(&d->software, "Philips")) return true;
    if (mt_tiff_begins(&d->software, "MedScan")) return true;             /* Trestle */
    if (mt_tiff_contains(&d->description, "leica-microsystems.com/scn")) return true;
    for (int i = 0; i < t->n_chain; i++)
        if (mt_tiff_contains(&t->dirs[i].xmp, "iScan")) return true;      /* Ventana */
    return false;
}

static bool detect(const mt_probe *p)
{
    if (!p->is_tiff) return false;
    return !p->tiff.n_dirs ||
           !of_another_maker(&p->tiff); /* one that does not parse is refused here */
}

/* Resolutions between 500 and 1,000,000 pixels a centimetre are a microscope's: 20 to 0.01
 * micrometres. 72 or 300 dpi is what programs write that know nothing. */
static double spacing_of(double res, unsigned unit)
{
    if (!(res > 0.0) || (unit != 2 && unit != 3)) return 0.0;
    const double um = (unit == 2 ? 25400.0 : 10000.0) / res;
    return um >= 0.01 && um <= 20.0 ? um : 0.0;
}

static void read_metadata(mt_slide_info *info, const mt_tiff_dir *d)
{
    snprintf(info->mpp_looked_at, sizeof info->mpp_looked_at,
             "XResolution, YResolution, ResolutionUnit (tags 282, 283, 296; 0.01 to 20 um/px)");
    const double x = spacing_of(d->x_res, d->res_unit), y = spacing_of(d->y_res, d->res_unit);
    if (x > 0.0 && y > 0.0) {
        info->mpp_x = x;
        info->mpp_y = y;
        snprintf(info->mpp_source, sizeof info->mpp_source, "tiff.XResolution");
    }
    info->synthetic = mt_tiff_begins(&d->description, "microtome synth");
}

static mt_status open_generic(mt_slide *s, mt_probe *p, mt_err *err)
{
    mt_tiff_slide *ts = NULL;
    MT_TRY(mt_tiff_slide_begin(&ts, s, p, err));
    snprintf(s->info.vendor, sizeof s->info.vendor, "generic-tiff");
    MT_TRY(mt_tiff_slide_add_level(s, 0, err));
    for (int i = 1; i < ts->tiff.n_dirs; i++) {
        const mt_tiff_dir *d = &ts->tiff.dirs[i];
        const bool reduced = d->parent < 0 ? d->subfile & 1 : d->parent == 0;
        if (d->tile_w && reduced && !(d->subfile & 4) && s->info.n_levels < MT_MAX_LEVELS)
            MT_TRY(mt_tiff_slide_add_level(s, i, err));
    }
    MT_TRY(mt_tiff_slide_finish(s, err));
    read_metadata(&s->info, &ts->tiff.dirs[0]);
    return MT_OK;
}

const mt_format mt_format_generic_tiff = {
    {"generic-tiff", "tiled or stripped TIFF and BigTIFF, pyramidal or flat",
     "proven on real files"},
    detect,
    open_generic,
};
