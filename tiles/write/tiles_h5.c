#include "tiles/write/tiles_h5.h"

#include <string.h>
#include "base/file.h"
#include "base/h5.h"
#include "tiles/plan/geom.h"

/* Their own files have chunks of one row, which costs a hundred bytes a tile and tells nothing. */
#define COORD_CHUNK 4096
#define DEFLATE_LEVEL 4

struct tiles_h5 {
    mt_outfile file;
    hid_t id, imgs, memory; /* memory: the shape of one picture */
    hsize_t side;
};

static bool put_ints(hid_t at, const char *name, hsize_t n, const int64_t *v)
{
    return mt_h5_put_attr(at, name, H5T_STD_I64LE, H5T_NATIVE_INT64, n, v);
}

static bool put_nums(hid_t at, const char *name, hsize_t n, const double *v)
{
    return mt_h5_put_attr(at, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, n, v);
}

/* Variable length: h5py then gives a str, as CLAM's own files do. */
static bool put_text(hid_t at, const char *name, const char *text)
{
    MT_AUTO_H5 type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    return mt_h5_put_attr(at, name, type, type, 1, &text);
}

/* The magnification of level 0: the objective's, else by the convention 10 um / spacing. */
static double magnification(const mt_slide_info *info, const mt_plan *p)
{
    return info->objective > 0 ? info->objective : p->slide_mpp > 0 ? 10.0 / p->slide_mpp : 0;
}

/* As whole number where it is one: their readers divide it. */
static bool put_number(hid_t at, const char *name, double v)
{
    const double whole = nearbyint(v);
    if (fabs(v - whole) < 1e-9 * MT_MAX(whole, 1.0))
        return put_ints(at, name, 1, (int64_t[]){(int64_t)whole});
    return put_nums(at, name, 1, &v);
}

/* A reader that cuts the patches itself reads patch_size pixels at patch_level. Where no level fits
 * exactly that is the box at level 0. */
static bool put_clam(hid_t at, const mt_slide_info *info, const mt_plan *p)
{
    double exact = p->box_l0 / p->level_downsample;
    int level = exact == floor(exact) ? p->level : 0;
    double ds = level ? p->level_downsample : 1.0;
    const mt_level *l = &info->levels[level];
    bool ok = put_ints(at, "patch_size", 1, (int64_t[]){llround(p->box_l0 / ds)});
    ok &= put_ints(at, "patch_level", 1, (int64_t[]){level});
    ok &= put_nums(at, "downsample", 2, (double[]){ds, ds});
    ok &= put_ints(at, "downsampled_level_dim", 2, (int64_t[]){l->width, l->height});
    return ok & put_ints(at, "level_dim", 2, (int64_t[]){l->width, l->height});
}

/* Its readers find the box as round(patch_size * level0_magnification / target_magnification): the
 * target is stated so that this is our box. */
static bool put_trident(hid_t at, const mt_slide_info *info, const mt_plan *p)
{
    const mt_level *base = &info->levels[0];
    const double own = magnification(info, p), scale = (double)p->box_l0 / p->tile_px;
    bool ok = put_ints(at, "patch_size", 1, (int64_t[]){p->tile_px});
    ok &= put_ints(at, "patch_size_level0", 1, (int64_t[]){p->box_l0});
    ok &= put_number(at, "level0_magnification", own);
    ok &= put_number(at, "target_magnification", own / scale);
    ok &= put_ints(at, "overlap", 1, (int64_t[]){llround((p->box_l0 - p->step_l0) / scale)});
    ok &= put_ints(at, "level0_width", 1, (int64_t[]){base->width});
    return ok & put_ints(at, "level0_height", 1, (int64_t[]){base->height});
}

static bool put_wsinfer(hid_t at, const mt_plan *p)
{
    bool ok = put_ints(at, "patch_size", 1, (int64_t[]){p->box_l0});
    ok &= put_ints(at, "patch_level", 1, (int64_t[]){0});
    return ok & put_nums(at, "patch_spacing_um_px", 1, (double[]){p->target_mpp});
}

static bool put_geometry(hid_t at, mt_h5_style style, const char *name, const mt_slide_info *info,
                         const mt_plan *p)
{
    if (style == MT_H5_WSINFER) return put_wsinfer(at, p);
    bool ok = style == MT_H5_TRIDENT ? put_trident(at, info, p) : put_clam(at, info, p);
    ok &= put_text(at, "name", name);
    return ok & put_text(at, style == MT_H5_TRIDENT ? "savetodir" : "save_path", ".");
}

static bool put_coords(hid_t file, const char *name, const mt_slide_info *info, const mt_plan *p,
                       mt_h5_style style)
{
    hsize_t dims[2] = {p->n_tiles, 2}, max[2] = {H5S_UNLIMITED, 2},
            chunk[2] = {MT_MIN(MT_MAX(p->n_tiles, 1), COORD_CHUNK), 2};
    MT_AUTO_FREE int64_t *xy = malloc(MT_MAX(p->n_tiles, (size_t)1) * 2 * sizeof *xy);
    MT_AUTO_H5 space = H5Screate_simple(2, dims, max);
    MT_AUTO_H5 props = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(props, false);
    H5Pset_chunk(props, 2, chunk);
    if (style == MT_H5_WSINFER) H5Pset_deflate(props, DEFLATE_LEVEL);
    MT_AUTO_H5 set = H5Dcreate2(file, "coords", H5T_STD_I64LE, space, H5P_DEFAULT, props, H5P_DEFAULT);
    if (!xy || set < 0) return false;
    for (size_t i = 0; i < p->n_tiles; i++) {
        xy[2 * i] = p->tiles[i].x_l0;
        xy[2 * i + 1] = p->tiles[i].y_l0;
    }
    if (p->n_tiles && H5Dwrite(set, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, xy) < 0)
        return false;
    return put_geometry(set, style, name, info, p);
}

/* Room for every picture is laid out at once, so the order in which they come leaves no trace. */
static bool make_imgs(tiles_h5 *h, const char *name, const mt_slide_info *info, const mt_plan *p)
{
    hsize_t s = h->side, dims[4] = {p->n_tiles, s, s, 3}, max[4] = {H5S_UNLIMITED, s, s, 3},
            one[4] = {1, s, s, 3};
    MT_AUTO_H5 space = H5Screate_simple(4, dims, max);
    MT_AUTO_H5 props = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(props, false);
    H5Pset_chunk(props, 4, one);
    H5Pset_alloc_time(props, H5D_ALLOC_TIME_EARLY);
    H5Pset_fill_time(props, H5D_FILL_TIME_NEVER);
    h->imgs = H5Dcreate2(h->id, "imgs", H5T_STD_U8LE, space, H5P_DEFAULT, props, H5P_DEFAULT);
    h->memory = H5Screate_simple(4, one, NULL);
    return h->imgs >= 0 && h->memory >= 0 && put_clam(h->imgs, info, p) &&
           put_text(h->imgs, "wsi_name", name);
}

static mt_status begin(tiles_h5 *h, const char *name, const mt_slide_info *info, const mt_plan *plan,
                       mt_h5_style style, bool pictures, mt_err *err)
{
    h->id = H5Fcreate(h->file.tmp, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    if (h->id < 0 || !put_coords(h->id, name, info, plan, style) ||
        (pictures && !make_imgs(h, name, info, plan)))
        return mt_err_set(err, MT_ERR_IO, "%s: cannot begin the HDF5 file",
                          mt_path_base(h->file.path));
    return MT_OK;
}

/* Under the lock. */
static bool end(tiles_h5 *h)
{
    mt_h5_close(&h->memory);
    mt_h5_close(&h->imgs);
    const bool ok = h->id < 0 || (H5Fflush(h->id, H5F_SCOPE_LOCAL) >= 0 && H5Fclose(h->id) >= 0);
    h->id = -1;
    return ok;
}

mt_status tiles_h5_open(tiles_h5 **out, const char *path, const char *name,
                        const mt_slide_info *info, const mt_plan *plan, mt_h5_style style,
                        bool pictures, mt_err *err)
{
    *out = NULL;
    if (style == MT_H5_TRIDENT && !(magnification(info, plan) > 0))
        return mt_err_set(err, MT_ERR_SPACING,
                          "TRIDENT's attributes need a magnification or a spacing; the slide states "
                          "neither; --assume-mpp F states it");
    if (style == MT_H5_WSINFER && !(plan->target_mpp > 0))
        return mt_err_set(err, MT_ERR_SPACING,
                          "WSInfer's attributes need a spacing, the slide states none; "
                          "--assume-mpp F states it");
    MT_AUTO(tiles_h5_free) tiles_h5 *h = calloc(1, sizeof *h);
    if (!h) return mt_err_set(err, MT_ERR_NO_MEMORY, "tiles file");
    h->id = h->imgs = h->memory = -1;
    h->side = (hsize_t)plan->out_px;
    MT_TRY(mt_outfile_name(&h->file, path, err));
    mt_h5_enter();
    const mt_status st = begin(h, name, info, plan, style, pictures, err);
    mt_h5_leave();
    if (st == MT_OK) *out = mt_steal(h);
    return st;
}

mt_status tiles_h5_put(tiles_h5 *h, uint32_t tile, const uint8_t *rgb, mt_err *err)
{
    hsize_t at[4] = {tile, 0, 0, 0}, n[4] = {1, h->side, h->side, 3};
    mt_h5_enter();
    hid_t space = H5Dget_space(h->imgs);
    bool ok = space >= 0 && H5Sselect_hyperslab(space, H5S_SELECT_SET, at, NULL, n, NULL) >= 0 &&
              H5Dwrite(h->imgs, H5T_NATIVE_UINT8, h->memory, space, H5P_DEFAULT, rgb) >= 0;
    mt_h5_close(&space);
    mt_h5_leave();
    return ok ? MT_OK : mt_err_set(err, MT_ERR_IO, "tile %u: cannot write to the HDF5 file", tile);
}

mt_status tiles_h5_commit(tiles_h5 *h, mt_err *err)
{
    mt_h5_enter();
    const bool ok = end(h);
    mt_h5_leave();
    if (!ok)
        return mt_err_set(err, MT_ERR_IO, "%s: cannot finish the HDF5 file",
                          mt_path_base(h->file.path));
    return mt_outfile_commit(&h->file, err);
}

void tiles_h5_free(tiles_h5 **h)
{
    if (!h || !*h) return;
    mt_h5_enter();
    (void)end(*h);
    mt_h5_leave();
    mt_outfile_discard(&(*h)->file);
    free(*h);
    *h = NULL;
}
