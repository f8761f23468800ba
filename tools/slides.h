/* The slides a command is given: opened by the same options everywhere, their tissue from the same
 * sources. */
#ifndef MT_TOOLS_SLIDES_H
#define MT_TOOLS_SLIDES_H

#include "command.h"
#include "microtome/tissue.h"

/* What options say of every slide of a command. */
typedef struct mt_slide_wish {
    const char *optical_path;
    int64_t focal_plane;
    double assume_mpp;
} mt_slide_wish;
#define MT_SLIDE_WISH_INIT {.focal_plane = -1}
/* Their rows; `field` is a mt_slide_wish of the command's `struct opts`. */
#define OPT_SLIDE(field)                                                                           \
    OPT_ASSUME_MPP(field.assume_mpp), OPT_OPTICAL_PATH(field.optical_path),                        \
        OPT_FOCAL_PLANE(field.focal_plane)

/* As mt_slide_open. */
mt_status mt_slide_of(mt_slide **out, const char *path, const mt_slide_wish *wish, mt_err *err);

/* The tissue of an open slide and where it came from. source may be NULL (detection). */
mt_status mt_tissue_of(mt_tissue **out, mt_tissue_origin *origin, const mt_tissue_source *source,
                       const mt_slide *slide, const char *path, const mt_tissue_opts *opts,
                       mt_err *err);

#endif
