#include "engine/store.h"

#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/h5.h"
#include "base/mem.h"
#include "trust/digest.h"

enum { CHUNK_ROWS = 4096, DEFLATE_LEVEL = 4, IMAGE_STEP = 1 << 20 };
/* Behind the last byte that HDF5 owns stands a line with the digest of all before it. HDF5 readers
 * ignore it; we look at it first, because the library itself trusts what it reads and may be led
 * out of its buffers by a damaged file. */
#define SEAL "\nmicrotome sha256 "
enum { SEAL_BYTES = sizeof SEAL - 1 + 64 + 1 };
#define STORE_CEILING ((size_t)4 << 30)

/* One writer's state; bad sticks, so that a column of calls reads straight down. */
typedef struct writer {
    hid_t file;
    bool bad;
} writer;

static void attribute(writer *w, hid_t at, const char *name, hid_t stored, hid_t in_memory, int n,
                      const void *value)
{
    if (!mt_h5_put_attr(at, name, stored, in_memory, (hsize_t)n, value)) w->bad = true;
}

static void attr_int(writer *w, hid_t at, const char *name, int64_t v)
{
    attribute(w, at, name, H5T_STD_I64LE, H5T_NATIVE_INT64, 1, &v);
}

static void attr_int2(writer *w, hid_t at, const char *name, int64_t a, int64_t b)
{
    attribute(w, at, name, H5T_STD_I64LE, H5T_NATIVE_INT64, 2, (int64_t[]){a, b});
}

static void attr_num(writer *w, hid_t at, const char *name, double v)
{
    attribute(w, at, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, 1, &v);
}

static void attr_num2(writer *w, hid_t at, const char *name, double a, double b)
{
    attribute(w, at, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, 2, (double[]){a, b});
}

/* n strings of `width` bytes each, UTF-8, padded with zeros. */
static void attr_texts(writer *w, hid_t at, const char *name, const char *texts, size_t width,
                       int n)
{
    MT_AUTO_H5 type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, width);
    H5Tset_cset(type, H5T_CSET_UTF8);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    attribute(w, at, name, type, type, n, texts);
}

static void attr_text(writer *w, hid_t at, const char *name, const char *text)
{
    attr_texts(w, at, name, text, MT_MAX(strlen(text), (size_t)1), 1);
}

/* A dataset of n rows of `cols` values; cols 0: one dimension. */
static hid_t dataset(writer *w, const char *name, hid_t stored, hid_t in_memory, size_t n, int cols,
                     const void *data)
{
    int rank = cols ? 2 : 1;
    hsize_t dims[2] = {n, (hsize_t)cols}, max[2] = {H5S_UNLIMITED, (hsize_t)cols},
            chunk[2] = {CHUNK_ROWS, (hsize_t)cols};
    MT_AUTO_H5 space = H5Screate_simple(rank, dims, max);
    MT_AUTO_H5 props = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(props, false);
    H5Pset_chunk(props, rank, chunk);
    H5Pset_shuffle(props);
    H5Pset_deflate(props, DEFLATE_LEVEL);
    hid_t set = H5Dcreate2(w->file, name, stored, space, H5P_DEFAULT, props, H5P_DEFAULT);
    if (set < 0 || (n && H5Dwrite(set, in_memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0))
        w->bad = true;
    return set;
}

static mt_status write_coords(writer *w, const mt_result *r, mt_err *err)
{
    const mt_plan *p = r->plan;
    const mt_level *l0 = &r->slide.levels[0];
    MT_AUTO_FREE int64_t *xy = NULL;
    MT_AUTO_FREE int32_t *grid = NULL;
    MT_AUTO_FREE float *tissue = NULL;
    MT_TRY(mt_alloc(&xy, p->n_tiles, 2 * sizeof *xy, SIZE_MAX, "store", err));
    MT_TRY(mt_alloc(&grid, p->n_tiles, 2 * sizeof *grid, SIZE_MAX, "store", err));
    MT_TRY(mt_alloc(&tissue, p->n_tiles, sizeof *tissue, SIZE_MAX, "store", err));
    for (size_t i = 0; i < p->n_tiles; i++) {
        xy[2 * i] = p->tiles[i].x_l0;
        xy[2 * i + 1] = p->tiles[i].y_l0;
        grid[2 * i] = p->tiles[i].col;
        grid[2 * i + 1] = p->tiles[i].row;
        tissue[i] = p->tiles[i].tissue;
    }
    MT_AUTO_H5 coords = dataset(w, "coords", H5T_STD_I64LE, H5T_NATIVE_INT64, p->n_tiles, 2, xy);
    MT_AUTO_H5 cells = dataset(w, "grid", H5T_STD_I32LE, H5T_NATIVE_INT32, p->n_tiles, 2, grid);
    MT_AUTO_H5 shares = dataset(w, "tissue", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, p->n_tiles, 0, tissue);
    (void)cells;
    (void)shares;
    attr_int(w, coords, "patch_size", p->box_l0);
    attr_int(w, coords, "patch_size_level0", p->box_l0);
    attr_int(w, coords, "patch_level", 0);
    attr_num(w, coords, "patch_spacing_um_px", p->slide_mpp);
    attr_num2(w, coords, "downsample", 1.0, 1.0);
    attr_int2(w, coords, "level_dim", l0->width, l0->height);
    attr_int2(w, coords, "downsampled_level_dim", l0->width, l0->height);
    attr_int(w, coords, "level0_width", l0->width);
    attr_int(w, coords, "level0_height", l0->height);
    attr_num(w, coords, "level0_magnification", r->slide.objective);
    attr_int(w, coords, "overlap", p->box_l0 - p->step_l0);
    attr_text(w, coords, "name", r->slide_id);
    return MT_OK;
}

static void write_scores(writer *w, const mt_result *r)
{
    size_t n = r->plan->n_tiles;
    MT_AUTO_H5 scores =
        dataset(w, "scores", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, n, r->card->n_classes, r->probs);
    MT_AUTO_H5 state = dataset(w, "state", H5T_STD_U8LE, H5T_NATIVE_UINT8, n, 0, r->tile_state);
    attr_texts(w, scores, "class_names", r->card->class_names[0], sizeof r->card->class_names[0],
               r->card->n_classes);
    attr_text(w, state, "words", "0 pending, 1 done, 2 unreadable, 3 nan, 4 scored, left out of the grade by quality control");
}

/* Flags of the tiles and what they mean, figures of the slide. */
static void write_quality(writer *w, const mt_result *r)
{
    if (!r->qc || !r->tile_qc) return;
    MT_AUTO_H5 set = dataset(w, "qc", H5T_STD_U8LE, H5T_NATIVE_UINT8, r->plan->n_tiles, 0, r->tile_qc);
    attr_text(w, set, "bits", "1 focus, 2 pen, 4 fold, 8 bubble, 16 edge, 32 dark");
    attr_num(w, set, "tile_share", r->qc_config.tile_share);
    attr_num(w, set, "focus_min", r->qc_config.focus_min);
    attr_int(w, set, "excluded_bits", r->qc_config.exclude);
    attr_text(w, set, "verdict", mt_qc_verdict_name(r->qc_verdict.kind));
}

static void write_provenance(writer *w, const mt_result *r, const char *scores_key)
{
    const mt_plan *p = r->plan;
    hid_t f = w->file;
    attr_text(w, f, "format", "microtome-tiles");
    attr_int(w, f, "format_version", 1);
    attr_text(w, f, "engine_version", r->engine_version);
    attr_text(w, f, "kernel_set", r->kernel_set);
    if (r->inference && *r->inference->digest) {
        attr_text(w, f, "inference_version", r->inference->version);
        attr_text(w, f, "inference_library_sha256", r->inference->digest);
    }
    attr_text(w, f, "scores_key", scores_key);
    attr_text(w, f, "slide_id", r->slide_id);
    attr_text(w, f, "slide_sha256", r->slide_digest);
    attr_num2(w, f, "slide_mpp", r->slide.mpp_x, r->slide.mpp_y);
    attr_text(w, f, "slide_mpp_source", r->slide.mpp_source);
    attr_int(w, f, "slide_synthetic", r->slide.synthetic != 0);
    attr_text(w, f, "model_name", r->card->name);
    attr_text(w, f, "model_version", r->card->version);
    attr_text(w, f, "model_state", r->card->state);
    attr_text(w, f, "model_sha256", r->model_digest);
    attr_text(w, f, "activation", r->card->activation);
    attr_texts(w, f, "class_names", r->card->class_names[0], sizeof r->card->class_names[0],
               r->card->n_classes);
    attr_text(w, f, "plan_sha256", p->digest);
    attr_int(w, f, "tile_px", p->tile_px);
    attr_int(w, f, "input_px", p->out_px);
    attr_num(w, f, "target_mpp", p->target_mpp);
    attr_int(w, f, "box_l0", p->box_l0);
    attr_int(w, f, "step_l0", p->step_l0);
    attr_int2(w, f, "grid_size", p->grid_cols, p->grid_rows);
    attr_int(w, f, "read_level", p->level);
    attr_num(w, f, "read_level_downsample", p->level_downsample);
    attr_num(w, f, "resample", p->resample);
    attr_int(w, f, "upsampled", p->upsampled);
    attr_text(w, f, "out_of_scope", r->out_of_scope);
    attr_int(w, f, "scope_unverified", r->scope_unverified);
    attr_text(w, f, "tissue_source", r->tissue_origin.kind[0] ? r->tissue_origin.kind : "detected");
    attr_text(w, f, "tissue_sha256", r->tissue_origin.digest);
    attr_text(w, f, "stain_normalisation",
              mt_stain_method_name(r->stain.applied ? r->stain.wanted.method : MT_STAIN_NONE));
}

/* File options of a store that lives in memory: a full disk is then met by our own writer, which
 * knows how to leave nothing behind, and never inside the library. */
static hid_t memory_file(void)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fapl_core(access, IMAGE_STEP, false);
    /* The oldest form of everything: every reader knows it, and its superblock has no checksum,
     * which H5Fget_file_image spoils in the newer ones. */
    H5Pset_libver_bounds(access, H5F_LIBVER_EARLIEST, H5F_LIBVER_V18);
    return access;
}

static mt_status build(uint8_t **image, size_t *n, const mt_result *r, const char *scores_key,
                       mt_err *err)
{
    MT_AUTO_H5 access = memory_file();
    MT_AUTO_H5 create = H5Pcreate(H5P_FILE_CREATE);
    H5Pset_obj_track_times(create, false);
    MT_AUTO_H5 file = H5Fcreate("tiles.h5", H5F_ACC_TRUNC, create, access);
    writer w = {file, file < 0};
    if (!w.bad) {
        MT_TRY(write_coords(&w, r, err));
        write_scores(&w, r);
        write_quality(&w, r);
        write_provenance(&w, r, scores_key);
    }
    if (w.bad || H5Fflush(file, H5F_SCOPE_GLOBAL) < 0)
        return mt_err_set(err, MT_ERR_INTERNAL, "tiles.h5: the HDF5 library could not build it");
    ssize_t size = H5Fget_file_image(file, NULL, 0);
    if (size <= 0)
        return mt_err_set(err, MT_ERR_INTERNAL, "tiles.h5: the HDF5 library gave no image");
    MT_TRY(mt_alloc(image, (size_t)size + SEAL_BYTES + 1, 1, STORE_CEILING, "tiles.h5", err));
    if (H5Fget_file_image(file, *image, (size_t)size) != size)
        return mt_err_set(err, MT_ERR_INTERNAL, "tiles.h5: the HDF5 library gave half an image");
    *n = (size_t)size;
    return MT_OK;
}

static mt_status make_seal(char out[SEAL_BYTES + 1], const uint8_t *image, size_t n, mt_err *err)
{
    char hex[65];
    MT_TRY(mt_sha256_of(hex, image, n, err));
    snprintf(out, SEAL_BYTES + 1, "%s%s\n", SEAL, hex);
    return MT_OK;
}

mt_status mt_store_write(const char *path, const mt_result *r, const char *scores_key, mt_err *err)
{
    MT_AUTO_FREE uint8_t *image = NULL;
    size_t n = 0;
    mt_h5_enter();
    mt_status st = build(&image, &n, r, scores_key, err);
    mt_h5_leave();
    MT_TRY(st);
    MT_TRY(make_seal((char *)image + n, image, n, err));
    return mt_file_write(path, image, n + SEAL_BYTES, err);
}

static bool same_text(hid_t file, const char *name, const char *want)
{
    MT_AUTO_H5 attr = H5Aopen(file, name, H5P_DEFAULT);
    MT_AUTO_H5 type = attr < 0 ? -1 : H5Aget_type(attr);
    MT_AUTO_H5 space = attr < 0 ? -1 : H5Aget_space(attr);
    size_t n = strlen(want);
    char have[128] = "";
    if (type < 0 || H5Tget_class(type) != H5T_STRING || H5Tis_variable_str(type) != 0 ||
        n >= sizeof have || H5Tget_size(type) != n || H5Sget_simple_extent_npoints(space) != 1)
        return false;
    return H5Aread(attr, type, have) >= 0 && memcmp(have, want, n) == 0;
}

/* A dataset of exactly these dimensions, read as a native type into `to`. */
static bool read_set(hid_t file, const char *name, hid_t in_memory, size_t n, int cols, void *to)
{
    MT_AUTO_H5 set = H5Dopen2(file, name, H5P_DEFAULT);
    MT_AUTO_H5 space = set < 0 ? -1 : H5Dget_space(set);
    hsize_t dims[2] = {0, 0};
    if (space < 0 || H5Sget_simple_extent_ndims(space) != (cols ? 2 : 1) ||
        H5Sget_simple_extent_dims(space, dims, NULL) < 0 || dims[0] != n ||
        (cols && dims[1] != (hsize_t)cols))
        return false;
    return n == 0 || H5Dread(set, in_memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, to) >= 0;
}

static bool read_image(const uint8_t *image, size_t n, const char *scores_key, size_t n_tiles,
                       int n_classes, float *probs, uint8_t *state)
{
    MT_AUTO_H5 access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fapl_core(access, IMAGE_STEP, false);
    union {
        const uint8_t *in;
        void *out;
    } bytes = {image}; /* the library copies; its argument is not const */
    if (H5Pset_file_image(access, bytes.out, n) < 0) return false;
    MT_AUTO_H5 file = H5Fopen("tiles.h5", H5F_ACC_RDONLY, access);
    if (file < 0 || !same_text(file, "scores_key", scores_key)) return false;
    if (!read_set(file, "state", H5T_NATIVE_UINT8, n_tiles, 0, state) ||
        !read_set(file, "scores", H5T_NATIVE_FLOAT, n_tiles, n_classes, probs))
        return false;
    for (size_t i = 0; i < n_tiles; i++) {
        /* what quality control left out has its score; this run decides anew */
        if (state[i] == MT_TILE_EXCLUDED) state[i] = MT_TILE_DONE;
        if (state[i] < MT_TILE_DONE || state[i] > MT_TILE_NAN) return false;
    }
    return true;
}

mt_status mt_store_read(const char *path, const char *scores_key, size_t n_tiles, int n_classes,
                        float *probs, uint8_t *state, int *found, mt_err *err)
{
    *found = 0;
    MT_AUTO_FREE uint8_t *image = NULL, *read_state = NULL;
    MT_AUTO_FREE float *read_probs = NULL;
    size_t n = 0;
    char seal[SEAL_BYTES + 1];
    if (!mt_file_exists(path) || mt_file_read(&image, &n, path, STORE_CEILING, NULL) != MT_OK ||
        n <= SEAL_BYTES)
        return MT_OK;
    n -= SEAL_BYTES;
    if (make_seal(seal, image, n, NULL) != MT_OK || memcmp(image + n, seal, SEAL_BYTES) != 0)
        return MT_OK;
    MT_TRY(
        mt_alloc(&read_probs, n_tiles, sizeof(float) * (size_t)n_classes, SIZE_MAX, "scores", err));
    MT_TRY(mt_alloc(&read_state, n_tiles, 1, SIZE_MAX, "tile states", err));
    mt_h5_enter();
    bool ok = read_image(image, n, scores_key, n_tiles, n_classes, read_probs, read_state);
    mt_h5_leave();
    if (!ok) return MT_OK;
    if (n_tiles) {
        memcpy(probs, read_probs, n_tiles * sizeof(float) * (size_t)n_classes);
        memcpy(state, read_state, n_tiles);
    }
    *found = 1;
    return MT_OK;
}
