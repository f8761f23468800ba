/* From a slide to a tissue mask and an ordered list of tiles. */
#ifndef MICROTOME_TILES_H
#define MICROTOME_TILES_H

#include "microtome/slide.h"

/* Micrometres a mask pixel is wide. */
#define MT_TISSUE_MPP 8.0

/* Tissue mask: one byte a pixel (0 glass, 255 tissue) on a grid of fixed spacing, so that the answer
 * does not depend on the pyramid the file happens to have. Grid origin = slide origin. */
typedef struct mt_tissue {
    int32_t width, height;
    double px_l0;              /* side of a mask pixel in level-0 pixels */
    double mask_mpp;           /* side of a mask pixel in micrometres */
    uint8_t *mask;             /* width * height bytes */
    double threshold;          /* optical-density threshold that was used (Otsu, clamped) */
    double tissue_mm2, slide_mm2;
    int source_level;          /* level that was read; -1: none, the mask was given or learned */
    int n_pieces;              /* connected tissue pieces */
    int64_t slide_w, slide_h;  /* level-0 pixels of the slide; the mask's last column and row may pass
                                it; 0 = the whole mask */
    uint64_t unreadable;       /* native tiles of source_level that would not decode: they count as glass */
    int64_t unreadable_x, unreadable_y; /* the first of them, in reading order */
    uint32_t *block_sums;      /* private: speeds mt_tissue_fraction up; may be NULL */
    struct mt_tissue_evidence *evidence; /* private: what quality control goes on with; may be NULL */
} mt_tissue;

typedef struct mt_tissue_opts {
    int version;               /* 1 */
    double min_speck_um2;      /* tissue islands below this are dropped (default 40000) */
    double max_hole_um2;       /* holes below this are filled (default 36100) */
    int threads;               /* >= 1 */
    int keep_evidence;         /* 1: mt_qc_detect need not decode the coarse level again */
} mt_tissue_opts;
#define MT_TISSUE_OPTS_INIT {1, 40000.0, 36100.0, 1, 0}

/* Computes the mask; ink of any colour is no tissue. Bit-identical for any number of threads, and as good
 * as independent of the levels the slide has. Native tiles that will not decode count as glass. Needs a known spacing. Errors: ARG,
 * SPACING, LIMIT, IO, NO_MEMORY. *out is the caller's (mt_tissue_free). */
MT_API MT_MUST_USE mt_status mt_tissue_detect(mt_tissue **out, const mt_slide *slide,
                                              const mt_tissue_opts *opts, mt_err *err);
MT_API void mt_tissue_free(mt_tissue **tissue);

/* Fraction (0..1) of the level-0 box that is tissue; the part of the box outside the slide counts as glass.
 * Exact for boxes of any size and position. Reads the fields above only, so a mask made by hand works too. */
MT_API double mt_tissue_fraction(const mt_tissue *tissue, double x_l0, double y_l0, double w_l0, double h_l0);

/* Writes the mask as PNG / as QuPath GeoJSON polygons in level-0 pixels. Whole or not at all. */
MT_API MT_MUST_USE mt_status mt_tissue_write_png(const mt_tissue *tissue, const char *path, mt_err *err);
MT_API MT_MUST_USE mt_status mt_tissue_write_geojson(const mt_tissue *tissue, const char *path, mt_err *err);

typedef enum mt_edge_policy {
    MT_EDGE_PAD,   /* tiles that hang over the slide's edge are kept, the outside is white (default) */
    MT_EDGE_DROP   /* they are left out */
} mt_edge_policy;

typedef struct mt_plan_opts {
    int version;               /* 1 */
    int32_t tile_px;           /* tile side at the target spacing, 16..8192 */
    int32_t out_px;            /* side handed on after resampling; 0 = tile_px (a model may ask for another) */
    double mpp;                /* target spacing in um/px; 0 = the slide's own (which with whole_slide may be unknown) */
    double overlap;            /* share of the tile shared with its neighbour, 0 <= overlap < 1 */
    double min_tissue;         /* keep tiles with at least this tissue fraction, 0..1 (default 0.25) */
    mt_edge_policy edge;
    const char *roi_path;      /* GeoJSON polygons in level-0 pixels; a tile is kept when its centre lies inside; NULL = none */
    int whole_slide;           /* 1: no tissue mask, every grid cell inside the slide's bounds is a tile */
    double max_upsample;       /* refuse when slide mpp / target mpp passes this (default 2.1) */
    const char *coords_path;   /* HDF5 coordinates of CLAM, TRIDENT or WSInfer: the tiles are exactly those boxes in
                                  that order; no grid, ROI, overlap or tissue share applies, tile_px 0 takes the
                                  file's side, and with mpp > 0 boxes more than 10 % off tile_px * mpp are
                                  refused (more than 1 %: noted); NULL = none */
} mt_plan_opts;
#define MT_PLAN_OPTS_INIT {1, 256, 0, 0.0, 0.0, 0.25, MT_EDGE_PAD, NULL, 0, 2.1, NULL}

typedef struct mt_tile {
    int64_t x_l0, y_l0;        /* top left, level-0 pixels */
    int32_t w_l0, h_l0;        /* box in level-0 pixels */
    int32_t col, row;          /* grid cell */
    float tissue;              /* tissue fraction of the box; without a mask the part inside the slide */
} mt_tile;

#define MT_PLAN_MAX_TILES 8000000      /* tiles of one plan */
#define MT_PLAN_MAX_CELLS 400000000    /* grid cells looked at for them */

typedef struct mt_plan {
    mt_tile *tiles;            /* in plan order: x-major (col), y fastest (row), off the grid any; index = tile id */
    size_t n_tiles;
    int32_t tile_px, out_px;   /* as asked; out_px resolved */
    double target_mpp, slide_mpp;
    int32_t box_l0;            /* tile side in level-0 pixels: round(tile_px * target_mpp / slide_mpp) */
    int32_t step_l0;           /* grid step in level-0 pixels: round((1 - overlap) * box_l0), >= 1; both
                                  rounded half to even, as WSInfer does */
    int level;                 /* level the pixels are read from */
    double level_downsample;   /* level-0 pixels per pixel of it: the whole number where floor or ceil made the sizes */
    double resample;           /* source pixels at `level` per output pixel; < 1 = upsampled */
    int upsampled;             /* 1 when target_mpp < 0.99 slide_mpp: a warning every result carries */
    double overlap, min_tissue;
    mt_edge_policy edge;
    int32_t grid_cols, grid_rows;
    int off_grid;              /* 1: tiles lie anywhere, in any order; col and row are the ranks of x and y among
                                  the distinct ones, grid_cols and grid_rows their numbers */
    double roi_mm2;            /* area of the ROI inside the slide, 0 when none */
    double tissue_mm2;         /* tissue inside the ROI, or of the slide when there is no ROI; 0 without a mask */
    char origin[12];           /* whose coordinates these are: "clam", "trident", "wsinfer"; "" = our grid */
    char coords_digest[65];    /* SHA-256 of their file where a run knows it; "" else */
    char note[160];            /* what a result should say of the plan besides; "" = nothing */
    char digest[65];           /* filled by mt_plan_digest */
} mt_plan;

/* Lays the grid. tissue may be NULL when opts->whole_slide. The same slide and options give the same
 * list on every machine. An empty list is success (n_tiles 0): no tissue is an answer, not an error.
 * Errors: ARG, SPACING (unknown, or too coarse for the target beyond max_upsample), FORMAT, NOT_FOUND
 * and IO (ROI, coordinates), UNSUPPORTED (coordinates), LIMIT. *out is the caller's (mt_plan_free). */
MT_API MT_MUST_USE mt_status mt_plan_make(mt_plan **out, const mt_slide *slide, const mt_tissue *tissue,
                                          const mt_plan_opts *opts, mt_err *err);
MT_API void mt_plan_free(mt_plan **plan);

/* The coordinates of one slide: `coords` itself when it is a file; in a folder <slide>.h5 or <slide>_patches.h5,
 * there, in its folder `patches` or in its folder <slide>, where the command tiles writes them. *out (malloc) is
 * the caller's. NOT_FOUND when there is none. */
MT_API MT_MUST_USE mt_status mt_coords_find(char **out, const char *coords, const char *slide_path, mt_err *err);

/* Fills plan->digest with the SHA-256 of everything in the plan, tiles included, as 64 hex digits:
 * same slide geometry, same options, same digest on every machine. */
MT_API MT_MUST_USE mt_status mt_plan_digest(mt_plan *plan, mt_err *err);

/* What a pass over the tiles did. */
typedef struct mt_fetch_stats {
    uint64_t tiles;            /* tiles handed on */
    uint64_t unreadable;       /* of these, with at least one native tile that would not decode */
    uint64_t native_needed;    /* distinct native tiles the plan touches */
    uint64_t native_decoded;   /* decodes done; equals native_needed when each was decoded once */
    uint64_t bytes_compressed; /* compressed bytes read */
    uint64_t pixels_decoded;
    uint64_t peak_bytes;       /* largest sum of tile buffers alive at once */
    double wall_s, cpu_s;
} mt_fetch_stats;

/* Writing tiles out (`microtome tiles`). */
typedef enum mt_tile_format {
    MT_TILES_NONE, MT_TILES_JPEG, MT_TILES_PNG,
    MT_TILES_H5,               /* one HDF5 file: coords, and the pictures as imgs */
    MT_TILES_COORDS,           /* one HDF5 file: coords alone */
    MT_TILES_WEBDATASET        /* tar shards of <key>.jpg and <key>.json */
} mt_tile_format;

/* Whose attributes the dataset coords carries: exactly those of the tool, in its meaning. */
typedef enum mt_h5_style {
    MT_H5_CLAM,                /* patch_size pixels of patch_level; level 0 where no level fits exactly */
    MT_H5_TRIDENT,             /* patch_size at target_magnification, patch_size_level0; <slide>_patches.h5 */
    MT_H5_WSINFER              /* patch_size in level-0 pixels, patch_spacing_um_px the target; gzip */
} mt_h5_style;

typedef struct mt_tiles_opts {
    int version;               /* 1 */
    mt_tile_format format;
    int jpeg_quality;          /* 1..100, default 90 */
    int threads;               /* >= 1 */
    uint64_t memory;           /* ceiling for tile buffers in bytes; 0 = 256 MiB */
    mt_h5_style h5_style;
    int shard_tiles;           /* samples of one shard, 1..1000000, default 1000 */
    const struct mt_stain_map *stain; /* colours of the tiles (microtome/stain.h); NULL = as they are */
    int strict;                /* 1: a native tile that will not decode is an error (FORMAT ...) that names it */
    int fast_scaling;          /* 1: JPEG tiles coarser than the level are resampled before they become colours, and
                                  from 8 times on reduced by the codec first; other codecs as without */
} mt_tiles_opts;
#define MT_TILES_OPTS_INIT {1, MT_TILES_JPEG, 90, 1, 0, MT_H5_CLAM, 1000, NULL, 0, 0}

/* How fast_scaling makes the tiles of a plan: *way (static text) is "samples" (resampled before they become
 * colours) or "exact" (as without), *reduced_by what the codec reduces by: 2, 4, 8 or 1. Decodes native tiles
 * until one can be read. Errors: IO, NO_MEMORY. */
MT_API MT_MUST_USE mt_status mt_tiles_fast_way(const char **way, int *reduced_by, const mt_slide *slide,
                                               const mt_plan *plan, mt_err *err);

/* Progress: called from one thread at a time, at most ten times a second. Return non-zero to stop. */
typedef int (*mt_progress_fn)(void *ctx, uint64_t done, uint64_t total);

/* Cuts every tile of the plan into dir (created): <x_l0>_<y_l0>.jpg|png (JPEG 4:2:0), or one HDF5 file
 * <slide>.h5 (TRIDENT: <slide>_patches.h5), or shards 000000.tar, 000001.tar ... in plan order, or no pixels
 * at all; then tiles.csv, one row a tile (tile,minx,miny,width,height,col,row,tissue,unreadable,file;
 * level-0 pixels). Each file appears whole or not at all, tiles.csv after all others; same slide, plan and
 * options, same bytes. TRIDENT's and WSInfer's attributes need a known spacing (SPACING). stats and
 * progress may be NULL. */
MT_API MT_MUST_USE mt_status mt_tiles_write(const mt_slide *slide, const mt_plan *plan, const char *dir,
                                            const mt_tiles_opts *opts, mt_fetch_stats *stats,
                                            mt_progress_fn progress, void *ctx, mt_err *err);

#endif
