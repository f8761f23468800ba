/* Figures per stage, machine-readable: what `microtome bench` prints. */
#ifndef MICROTOME_BENCH_H
#define MICROTOME_BENCH_H

#include "microtome/tiles.h"

typedef struct mt_bench_tiling {
    uint64_t crops;
    int64_t x_l0, y_l0, w_l0, h_l0; /* rectangle of level 0 that was cut into crops */
    int level;                 /* that the pixels came from */
    int reduced_by;            /* by the codec: 1 unless fast */
    const char *way;           /* "exact" or, with fast only, "samples" (see mt_tiles_fast_way); static text */
    uint64_t native_needed, native_decoded; /* native tiles the crops lie on; decodes done */
    uint64_t peak_bytes;       /* of tile buffers */
    double mpix;               /* megapixels handed on */
    double wall_s, cpu_s;
    double raw_mpix, raw_wall_s, raw_cpu_s; /* the limit: native tiles decoded, nothing between */
    double openslide_mpix, openslide_cpu_s; /* 0 when not asked or not readable by it */
} mt_bench_tiling;

typedef struct mt_bench_tiling_opts {
    int version;               /* 1 */
    int32_t tile_px;
    int threads;
    uint64_t max_crops;        /* 0 = all; else at most so many from the middle, whole periods of crops
                                  against native tiles, so that few native tiles are cut by the rim */
    int with_raw, with_openslide;
    int random_order;          /* 1: the plan lists the crops in an order without sense (always the same one) */
    double downsample;         /* 1..64 pixels of level 0 a pixel of a crop, along a side */
    int fast;                  /* 1: fast scaling, as mt_tiles_opts has it */
} mt_bench_tiling_opts;
#define MT_BENCH_TILING_OPTS_INIT {1, 256, 1, 2000, 1, 0, 0, 1.0, 0}

/* Cuts crops over the slide and, in the same run, times the raw limit: the same native tiles by the
 * same decoder on the same threads, each into one buffer and forgotten. The compressed pages are
 * brought in before either clock runs. with_openslide times OpenSlide's read_region on the same
 * crops, at downsample 1 only. Errors: those of opening a slide, ARG, LIMIT, NO_MEMORY. */
MT_API MT_MUST_USE mt_status mt_bench_run_tiling(mt_bench_tiling *out, const char *slide_path,
                                                 const mt_bench_tiling_opts *opts, mt_err *err);

/* One slide from file to heatmap, and its network alone. */
typedef struct mt_bench_pipeline {
    uint64_t tiles;            /* scored by the run */
    double wall_s, cpu_s;      /* of the whole run: opening, mask, tiles, scores, grade, every file */
    uint64_t net_tiles;        /* run through the network alone, in groups as the run has them */
    double net_wall_s, net_cpu_s;
} mt_bench_pipeline;

typedef struct mt_bench_pipeline_opts {
    int version;               /* 1 */
    const char *model, *config; /* as mt_run_opts has them */
    int threads;               /* of the run and of the network alone; 0 = all cores this process may use */
    double assume_mpp;         /* 0 = from the file */
    const char *onnxruntime;   /* as mt_model_opts has it; NULL = this engine */
    const char *scratch_dir;   /* results are written under it and removed; NULL: $TMPDIR, else /tmp */
} mt_bench_pipeline_opts;
#define MT_BENCH_PIPELINE_OPTS_INIT {1, NULL, NULL, 1, 0.0, NULL, NULL}

/* Runs the slide as `microtome run` does into a folder that is removed afterwards, then the model's
 * network on as many pictures of noise. Every slide is taken, whatever the card's scope. Errors: those
 * of opening the model and UNSUPPORTED, with the slide's own reason, when no tile of it is scored. */
MT_API MT_MUST_USE mt_status mt_bench_run_pipeline(mt_bench_pipeline *out, const char *slide_path,
                                                   const mt_bench_pipeline_opts *opts, mt_err *err);

#endif
