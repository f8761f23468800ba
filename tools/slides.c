#include "slides.h"

mt_status mt_slide_of(mt_slide **out, const char *path, const mt_slide_wish *wish, mt_err *err)
{
    mt_slide_opts so = MT_SLIDE_OPTS_INIT;
    so.assume_mpp = wish->assume_mpp;
    so.optical_path = wish->optical_path;
    so.focal_plane = (int)wish->focal_plane;
    return mt_slide_open(out, path, &so, err);
}

mt_status mt_tissue_of(mt_tissue **out, mt_tissue_origin *origin, const mt_tissue_source *source,
                       const mt_slide *slide, const char *path, const mt_tissue_opts *opts,
                       mt_err *err)
{
    const mt_status st = mt_tissue_source_origin(origin, source, path, err);
    return st ? st : mt_tissue_source_find(out, source, slide, path, opts, err);
}
