/* Reading coordinates out of HDF5. The library trusts the files it opens more than it should; what
 * can be asked before a value is read is asked here: where the bytes lie, how large, by which filter.
 * Its own parser of a broken file is out of our hands. */
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include "base/file.h"
#include "base/h5.h"
#include "tiles/plan/coords.h"

#define MAX_CHUNK_BYTES ((size_t)64 << 20)

/* ---- attributes ---- */

typedef struct wanted {
    const char *name;
    size_t at;  /* in coords_file */
    int n;      /* most values */
} wanted;

#define ONE(field) {#field, offsetof(coords_file, field), 1}
static const wanted attributes[] = {
    ONE(patch_size),           ONE(patch_level),          ONE(patch_size_level0),
    ONE(custom_downsample),    ONE(overlap),              ONE(level0_magnification),
    ONE(target_magnification), ONE(level0_width),         ONE(level0_height),
    ONE(patch_spacing_um_px),  {"downsample", offsetof(coords_file, downsample), 2},
    {"level_dim", offsetof(coords_file, level_dim), 2},
};

static mt_status read_attribute(coords_file *c, const wanted *w, hid_t set, mt_err *err)
{
    double v[2] = {NAN, NAN};
    MT_AUTO_H5 attr = H5Aopen(set, w->name, H5P_DEFAULT);
    MT_AUTO_H5 type = attr < 0 ? -1 : H5Aget_type(attr);
    MT_AUTO_H5 space = attr < 0 ? -1 : H5Aget_space(attr);
    if (type < 0 || space < 0)
        return mt_err_set(err, MT_ERR_FORMAT, "coords: attribute %s cannot be read", w->name);
    const H5T_class_t kind = H5Tget_class(type);
    if (kind != H5T_INTEGER && kind != H5T_FLOAT)
        return mt_err_set(err, MT_ERR_FORMAT, "coords: attribute %s is no number", w->name);
    const hssize_t n = H5Sget_simple_extent_npoints(space);
    if (n < 1 || n > w->n || H5Tget_size(type) > 16)
        return mt_err_set(err, MT_ERR_FORMAT, "coords: attribute %s has %lld values, expected %d",
                          w->name, (long long)n, w->n);
    if (H5Aread(attr, H5T_NATIVE_DOUBLE, v) < 0 || !isfinite(v[0]) || (n == 2 && !isfinite(v[1])))
        return mt_err_set(err, MT_ERR_FORMAT, "coords: attribute %s is not finite", w->name);
    if (n == 1 && w->n == 2) v[1] = v[0];
    memcpy((char *)c + w->at, v, (size_t)w->n * sizeof *v);
    return MT_OK;
}

static mt_status read_attributes(coords_file *c, hid_t set, mt_err *err)
{
    for (size_t i = 0; i < MT_COUNT(attributes); i++) {
        const wanted *w = &attributes[i];
        double *v = (double *)(void *)((char *)c + w->at);
        for (int k = 0; k < w->n; k++) v[k] = NAN;
        if (H5Aexists(set, w->name) > 0) MT_TRY(read_attribute(c, w, set, err));
    }
    return MT_OK;
}

/* ---- the dataset ---- */

/* Only filters that run inside the library: any other would load code by the file's word. */
static mt_status check_filters(hid_t props, mt_err *err)
{
    const int n = H5Pget_nfilters(props);
    for (int i = 0; i < n; i++) {
        unsigned flags, config;
        size_t n_values = 0;
        const H5Z_filter_t f =
            H5Pget_filter2(props, (unsigned)i, &flags, &n_values, NULL, 0, NULL, &config);
        if (f != H5Z_FILTER_DEFLATE && f != H5Z_FILTER_SHUFFLE && f != H5Z_FILTER_FLETCHER32)
            return mt_err_set(err, MT_ERR_UNSUPPORTED, "coords: HDF5 filter %d is not read", (int)f);
    }
    return n < 0 ? mt_err_set(err, MT_ERR_FORMAT, "coords: filters cannot be read") : MT_OK;
}

static mt_status check_layout(hid_t set, hid_t type, mt_err *err)
{
    MT_AUTO_H5 props = H5Dget_create_plist(set);
    if (props < 0) return mt_err_set(err, MT_ERR_FORMAT, "coords: layout cannot be read");
    const H5D_layout_t layout = H5Pget_layout(props);
    if (layout != H5D_CONTIGUOUS && layout != H5D_CHUNKED && layout != H5D_COMPACT)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "coords: HDF5 layout %d is not read", (int)layout);
    if (layout == H5D_CONTIGUOUS && H5Pget_external_count(props) != 0)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "coords: lies in another file");
    if (layout != H5D_CHUNKED) return MT_OK;
    hsize_t chunk[2] = {0, 0};
    size_t bytes = 0;
    if (H5Pget_chunk(props, 2, chunk) != 2 || !mt_mul(&bytes, (size_t)chunk[0], (size_t)chunk[1]) ||
        !mt_mul(&bytes, bytes, H5Tget_size(type)) || bytes > MAX_CHUNK_BYTES)
        return mt_err_set(err, MT_ERR_LIMIT, "coords: chunks of %llu x %llu values",
                          (unsigned long long)chunk[0], (unsigned long long)chunk[1]);
    return check_filters(props, err);
}

/* *empty: no rows, whatever shape a tool gave that. */
static mt_status check_shape(size_t *rows, hid_t set, hid_t type, mt_err *err)
{
    MT_AUTO_H5 space = H5Dget_space(set);
    hsize_t dims[2] = {0, 0};
    const int rank = space < 0 ? -1 : H5Sget_simple_extent_ndims(space);
    *rows = 0;
    if (rank >= 0 && H5Sget_simple_extent_npoints(space) == 0) return MT_OK;
    if (rank != 2)
        return mt_err_set(err, MT_ERR_FORMAT, "coords: %d dimensions, expected 2", rank);
    if (H5Sget_simple_extent_dims(space, dims, NULL) != 2 || dims[1] != 2)
        return mt_err_set(err, MT_ERR_FORMAT, "coords: %llu columns, expected 2 (x, y)",
                          (unsigned long long)dims[1]);
    if (dims[0] > MT_PLAN_MAX_TILES)
        return mt_err_set(err, MT_ERR_LIMIT, "coords: %llu rows, the ceiling is %d",
                          (unsigned long long)dims[0], MT_PLAN_MAX_TILES);
    if (H5Tget_class(type) != H5T_INTEGER || H5Tget_size(type) > 8)
        return mt_err_set(err, MT_ERR_FORMAT,
                          "coords: not whole numbers; level-0 pixels are expected");
    *rows = (size_t)dims[0];
    return MT_OK;
}

static mt_status read_set(coords_file *c, hid_t set, mt_err *err)
{
    MT_AUTO_H5 type = H5Dget_type(set);
    if (type < 0) return mt_err_set(err, MT_ERR_FORMAT, "coords: its type cannot be read");
    MT_TRY(read_attributes(c, set, err));
    MT_TRY(check_shape(&c->n, set, type, err));
    if (!c->n) return MT_OK;
    MT_TRY(check_layout(set, type, err));
    MT_TRY(mt_alloc(&c->xy, c->n, 2 * sizeof *c->xy, SIZE_MAX, "coordinates", err));
    if (H5Dread(set, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, c->xy) < 0)
        return mt_err_set(err, MT_ERR_FORMAT, "coords: %zu rows cannot be read", c->n);
    return MT_OK;
}

/* A link out of the file would open what its maker chose. */
static mt_status open_set(hid_t *set, hid_t file, mt_err *err)
{
    H5L_info_t link;
    if (H5Lexists(file, "coords", H5P_DEFAULT) <= 0)
        return mt_err_set(err, MT_ERR_FORMAT, "no dataset \"coords\"");
    if (H5Lget_info(file, "coords", &link, H5P_DEFAULT) < 0 || link.type != H5L_TYPE_HARD)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "\"coords\" is a link to elsewhere");
    *set = H5Oopen(file, "coords", H5P_DEFAULT);
    if (*set < 0 || H5Iget_type(*set) != H5I_DATASET)
        return mt_err_set(err, MT_ERR_FORMAT, "\"coords\" is no dataset");
    return MT_OK;
}

static mt_status read_locked(coords_file *c, const char *path, mt_err *err)
{
    MT_AUTO_H5 set = -1;
    MT_AUTO_H5 access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
    MT_AUTO_H5 file = H5Fopen(path, H5F_ACC_RDONLY, access);
    if (file < 0) return mt_err_set(err, MT_ERR_FORMAT, "no HDF5 file, or a damaged one");
    MT_TRY(open_set(&set, file, err));
    return read_set(c, set, err);
}

mt_status coords_read(coords_file *out, const char *path, mt_err *err)
{
    struct stat sb;
    memset(out, 0, sizeof *out);
    if (stat(path, &sb) != 0)
        return mt_err_set(err, MT_ERR_NOT_FOUND, "coordinates: the file does not exist");
    if (!S_ISREG(sb.st_mode))
        return mt_err_set(err, MT_ERR_IO, "coordinates: not a regular file");
    mt_err why = MT_ERR_INIT;
    mt_h5_enter();
    const mt_status st = read_locked(out, path, &why);
    mt_h5_leave();
    if (st == MT_OK) return MT_OK;
    coords_free(out);
    return mt_err_set(err, st, "coordinates: %s", why.text);
}

void coords_free(coords_file *c)
{
    free(c->xy);
    c->xy = NULL;
    c->n = 0;
}
