/* Models: an ONNX file and the card that declares what it is for. */
#ifndef MICROTOME_MODEL_H
#define MICROTOME_MODEL_H

#include <stddef.h>
#include <stdint.h>
#include "microtome/err.h"

typedef struct mt_model mt_model;

#define MT_MAX_CLASSES 64
#define MT_MAX_THRESHOLDS 8

/* The card, resolved: the WSInfer fields plus our "engine" key (both optional parts have defaults). */
typedef struct mt_card {
    char name[64], version[24], state[16];       /* state: "research" for built-in models and paths */
    char task[32];                               /* "tile-classification", ... */
    char architecture[64];
    int n_classes;
    char class_names[MT_MAX_CLASSES][48];
    int positive_class;                          /* index; -1 when the card names none */
    int32_t patch_px;                            /* patch_size_pixels */
    double mpp;                                  /* spacing_um_px */
    int32_t input_px;                            /* side after Resize (patch_px when there is none) */
    int bicubic;                                 /* Resize filter: 0 bilinear, 1 bicubic (both antialiased) */
    float mean[3], std[3];                       /* of Normalize, after /255; 0 and 1 when absent */
    int fast_scaling;                            /* 1: as mt_tiles_opts has it */
    int scale_255;                               /* 1: pixels divided by 255 (ToTensor) */
    int32_t stride_px;                           /* suggested grid step at mpp; 0 = patch_px */
    char activation[16];                         /* "softmax", "sigmoid", "none" */
    int n_thresholds;
    struct { char name[24]; double value; char chosen_on[24]; } thresholds[MT_MAX_THRESHOLDS];
    /* Scope: empty = not declared. */
    char stain[32], organ[32], scanner[48];
    int synthetic_only;                          /* 1: only slides that declare themselves synthetic */
    char license[64], intended_use[256], not_for[256], output[24];
    char sha256[65];                             /* of the ONNX file, as the card says; "" when it says none */
    char normalise_stain[16];                    /* "" none, "macenko", "reinhard" */
    char stain_target[1024];                     /* its target, JSON as mt_stain_parse reads it; "" = the default */
    int nhwc;                                    /* 1: the input is height x width x channels (task tissue only) */
    int whole_slide;                             /* task tissue: 1 = the whole slide shrunk to the input, 0 = tiles at mpp */
} mt_card;

typedef struct mt_model_opts {
    int version;             /* 1 */
    const char *config;      /* card file; NULL: config.json beside the ONNX file */
    const char *onnxruntime; /* a libonnxruntime.so (1.0 or later) that runs the network instead of this engine, for
                                operators outside of ours; NULL: this engine. The library's code is loaded into the
                                process: never a path from a slide or model. It is handed the ONNX file alone:
                                weights in other files beside it are not found */
} mt_model_opts;
#define MT_MODEL_OPTS_INIT {1, NULL, NULL}

/* What runs a model's network. */
typedef struct mt_engine_info {
    const char *name;        /* "microtome" or "onnxruntime" */
    const char *version;
    const char *digest;      /* SHA-256 of the library file, 64 hex digits; "" for this engine */
} mt_engine_info;

/* Opens a model by path (FILE.onnx, or a folder with model.onnx and config.json) or by the name of a
 * built-in one ("demo-tumor", "demo-tumor@1.0.0"). A card whose digest or shapes do not match the
 * weights is refused (CARD). An unsupported operator is named with its node (UNSUPPORTED). Of
 * opts->onnxruntime: NOT_FOUND, UNSUPPORTED (no ONNX Runtime), ARG with its own words.
 * *out is the caller's (mt_model_close). A model is immutable and shared by any number of threads. */
MT_API MT_MUST_USE mt_status mt_model_open(mt_model **out, const char *name_or_path,
                                           const mt_model_opts *opts, mt_err *err);
MT_API void mt_model_close(mt_model **model);
MT_API const mt_card *mt_model_card(const mt_model *model);

/* Valid as long as the model; all fields NULL for a task that is not run. Results say it. */
MT_API const mt_engine_info *mt_model_engine(const mt_model *model);

/* SHA-256 of the ONNX bytes as 64 hex digits. With weights in other files beside it: of its bytes, then
 * for each of those files in order of name the name, a NUL, the size as 8 bytes little-endian and the
 * contents. */
MT_API const char *mt_model_digest(const mt_model *model);

/* Built-in models; name NULL ends the table. */
typedef struct mt_builtin_model {
    const char *name, *version, *summary, *scope;
} mt_builtin_model;
MT_API const mt_builtin_model *mt_model_builtin(void);

/* What `models check --json` prints of an ONNX file (operators, parameters, MACs, memory, external
 * files, one entry a problem; the keys are described in its man page). Writes JSON text to *json
 * (malloc, the caller's). Nothing is run. A file that cannot be read at all is an error; one that
 * cannot be run is described with "runs": false. */
MT_API MT_MUST_USE mt_status mt_model_check(char **json, const char *path, mt_err *err);

#endif
