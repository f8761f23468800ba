/* Generic TIFF: a tiled picture, its reduced copies as pyramid; or one flat picture in strips or
 * tiles. Files of makers with rules of their own are left to who knows them. */
#include <stdio.h>
#include <string.h>
#include "slide/facts.h"
#include "slide/tiff/tiff_slide.h"

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

static void read_metadata(mt_slide_info *info, const mt_tiff_dir *d)
{
    mt_facts_fall_back_to_tags(info, d);
    info->synthetic = mt_tiff_begins(&d->description, "microtome synth");
}

/* A map of the Earth is a tiled picture too. */
static mt_status refuse_maps(mt_slide *s, const mt_tiff *t, mt_err *err)
{
    enum { GEO_KEYS = 34735, PIXEL_SCALE = 33550 };
    mt_tiff_value v;
    const unsigned tags[] = {GEO_KEYS, PIXEL_SCALE};
    for (size_t i = 0; i < MT_COUNT(tags); i++) {
        if (!mt_tiff_find(&v, t, 0, tags[i])) continue;
        s->no_slide = true;
        return mt_err_set(err, MT_ERR_UNSUPPORTED,
                          "IFD 0: GeoTIFF (tag %u): a map, not a slide", tags[i]);
    }
    return MT_OK;
}

static mt_status open_generic(mt_slide *s, mt_probe *p, mt_err *err)
{
    mt_tiff_slide *ts = NULL;
    MT_TRY(mt_tiff_slide_begin(&ts, s, p, err));
    snprintf(s->info.vendor, sizeof s->info.vendor, "generic-tiff");
    MT_TRY(refuse_maps(s, &ts->tiff, err));
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
