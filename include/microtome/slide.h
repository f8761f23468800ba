/* Slides: open, describe, read pixels.
 *
 * An open slide is immutable and may be read by any number of threads at once. Coordinates of a
 * level are pixels of that level, origin top left; x_l0/y_l0 are level-0 pixels. Pixels are RGB,
 * 8 bit, interleaved; what lies outside the slide, or in a tile the file leaves out, is white. */
#ifndef MICROTOME_SLIDE_H
#define MICROTOME_SLIDE_H

#include <stddef.h>
#include <stdint.h>
#include "microtome/err.h"

typedef struct mt_slide mt_slide;

typedef struct mt_slide_opts {
    int version;       /* 1 */
    double assume_mpp; /* > 0: use this spacing whatever the file says (source "assumed"); 0: from the file */
    const char *optical_path; /* DICOM: identifier of the path to read; NULL = the first */
    int focal_plane;   /* DICOM: 0-based, in the order of Z; -1 = the middle one */
} mt_slide_opts;
#define MT_SLIDE_OPTS_INIT {1, 0.0, NULL, -1}

#define MT_MAX_LEVELS 32
#define MT_MAX_ASSOCIATED 16
#define MT_MAX_SLIDE_WARNINGS 8

typedef struct mt_level {
    int64_t width, height;        /* pixels of this level */
    double downsample;            /* level-0 pixels per pixel: mean of width and height ratios, >= 1 */
    int32_t tile_w, tile_h;       /* native tile; nominal (256) where the format has none */
    int64_t tiles_x, tiles_y;     /* native tile grid */
    char codec[16];               /* a codec's name: "jpeg", "jp2k", "lzw", "zstd", "raw" ...; "openslide" */
    char colour[48];              /* how its samples become RGB: "YCbCr 4:2:0 by JFIF marker", "RGB", "grey 16 bit / 257";
                                     "" when not known before decoding */
} mt_level;

typedef struct mt_associated {
    char name[32];                /* "label", "macro", "thumbnail" */
    int64_t width, height;
} mt_associated;

typedef struct mt_slide_info {
    char format[24];              /* row of the format table: "aperio-svs", "generic-tiff", "openslide" */
    char vendor[32];              /* "aperio", "generic-tiff", OpenSlide's vendor word */
    int n_levels;
    mt_level levels[MT_MAX_LEVELS];
    double mpp_x, mpp_y;          /* micrometres per level-0 pixel; 0 when unknown */
    char mpp_source[64];          /* where it came from: "aperio.MPP", "tiff.XResolution", "ome.PhysicalSizeX",
                                     "philips.DICOM_PIXEL_SPACING", "ventana.ScanRes", "leica.view",
                                     "openslide.mpp-x", DICOM's attribute, "assumed"; "" when unknown */
    char mpp_looked_at[160];      /* tags that were looked at, for the error message */
    double objective;             /* magnification of the objective; 0 when unknown */
    int n_associated;
    mt_associated associated[MT_MAX_ASSOCIATED];
    uint64_t file_bytes;
    /* What the metadata says of the scope a model may declare; empty when silent. */
    char scanner[48], stain[32], organ[32];
    /* Level-0 rectangle outside of which there is nothing but white; the whole slide where the format has
     * no such thing. Coordinates are the slide's all the same. */
    int64_t bounds_x, bounds_y, bounds_w, bounds_h;
    int synthetic;                /* 1 when the file declares itself drawn by `microtome synth` */
    int icc_bytes;                /* size of an embedded ICC profile of level 0, 0 when none */
    int n_optical_paths, n_focal_planes; /* 1 where the format has none */
    char optical_path[32];        /* the one that is read; "" where the format has none */
    int focal_plane;              /* the one that is read */
    int fluorescence;             /* 1 when the file says the picture is no brightfield colour picture */
    /* What the file says that cannot be right, or contradicts itself, in whole sentences without any value that
     * names a person: "level 2 states 0.25 um/px, its size says 1.0; used 1.0". */
    int n_warnings;
    char warnings[MT_MAX_SLIDE_WARNINGS][160];
} mt_slide_info;

/* Opens a slide of any known format. A folder is opened when it holds exactly one DICOM slide; a DICOM
 * file opens the slide it belongs to, with all its files in the same folder. On success *out is owned
 * by the caller (mt_slide_close).
 * On failure *out is NULL and err names the file's fault. Errors: NOT_FOUND, IO, FORMAT,
 * UNSUPPORTED, LIMIT, NO_MEMORY. opts may be NULL. */
MT_API MT_MUST_USE mt_status mt_slide_open(mt_slide **out, const char *path,
                                           const mt_slide_opts *opts, mt_err *err);

/* DICOM slides of a folder. A slide of this format is many files; `path` is the one that stands for
 * it (of its finest level), and opens it as any other of `files` does. */
typedef struct mt_found_slide {
    char *path;
    char **files;              /* all of them, `path` too */
    size_t n_files;
} mt_found_slide;
typedef struct mt_slide_list {
    mt_found_slide *slides;    /* by name */
    size_t n;
    char **others;             /* DICOM files that belong to no slide: reports, segmentations ... */
    size_t n_others;
} mt_slide_list;

/* Looks at every file of the folder (not of those in it); files that are no DICOM are passed over.
 * What was learnt may be kept under MICROTOME_CACHE, else XDG_CACHE_HOME/microtome, else
 * ~/.cache/microtome ("off": nowhere): technical facts, identifiers as keyed digests, no names of files
 * and nothing of a patient. A cache that cannot be written is no error. Errors: IO, LIMIT, NO_MEMORY,
 * TEMPORARY; *out is then empty. Release with mt_slide_list_free. */
MT_API MT_MUST_USE mt_status mt_slide_find(mt_slide_list *out, const char *dir, mt_err *err);
MT_API void mt_slide_list_free(mt_slide_list *list);

/* What results of the slide at this path are called: the file's name without its extension; of a
 * folder, and of a name made of numbers and dots (a UID), the whole name. Cut to fit. */
MT_API void mt_slide_stem(char *out, size_t room, const char *path);

/* Closes and sets *slide to NULL. NULL and pointer to NULL are accepted. No reader may be in use. */
MT_API void mt_slide_close(mt_slide **slide);

/* What the file says of itself. Valid until the slide is closed. */
MT_API const mt_slide_info *mt_slide_get_info(const mt_slide *slide);

/* Mean of mpp_x and mpp_y. Fails with SPACING, naming the tags looked at and the
 * way out, when unknown. */
MT_API MT_MUST_USE mt_status mt_slide_mpp(double *out, const mt_slide *slide, mt_err *err);

/* SHA-256 of the slide's bytes (for several files: of their digests in name order) as 64 hex digits.
 * Reads every byte: one pass over the disk. Nothing is cached. Safe from any thread. */
MT_API MT_MUST_USE mt_status mt_slide_digest(char out[65], const mt_slide *slide, mt_err *err);

/* Reads the rectangle (x, y, w, h) of a level into rgb (h rows of `stride` bytes, stride >= 3 w).
 * The rectangle may lie partly or wholly outside. 1 <= w, h <= 65535. Thread-safe. On error the
 * buffer's content is undefined. */
MT_API MT_MUST_USE mt_status mt_slide_read_region(const mt_slide *slide, int level, int64_t x, int64_t y,
                                                  int32_t w, int32_t h, uint8_t *rgb, size_t stride,
                                                  mt_err *err);

/* Reads a whole associated image by name. On success *rgb (malloc) is the caller's, w x h x 3. */
MT_API MT_MUST_USE mt_status mt_slide_read_associated(uint8_t **rgb, int64_t *w, int64_t *h,
                                                      const mt_slide *slide, const char *name, mt_err *err);

/* Writes an associated image as PNG, whole or not at all. It may show what is written on the slide's label: a
 * name, a number. NOT_FOUND names the images there are. */
MT_API MT_MUST_USE mt_status mt_slide_write_associated(const mt_slide *slide, const char *name, const char *path,
                                                       mt_err *err);

/* What only a walk over every native tile tells. */
typedef struct mt_slide_inspection {
    struct {
        int64_t absent;           /* tiles the file leaves out; -1 where the format cannot tell */
        int64_t damaged;          /* tiles whose bytes do not lie in the file, or do not begin as their codec must */
    } levels[MT_MAX_LEVELS];
    int n_warnings;               /* as in mt_slide_info: found on the walk */
    char warnings[MT_MAX_SLIDE_WARNINGS][160];
} mt_slide_inspection;

/* Looks at where every native tile lies (not at its pixels): one pass over the tile index. Thread-safe. */
MT_API MT_MUST_USE mt_status mt_slide_inspect(mt_slide_inspection *out, const mt_slide *slide, mt_err *err);

/* Rows of the format table, in order of detection; name NULL ends it. */
typedef struct mt_format_info {
    const char *name, *description, *proof; /* proof: "proven on real files" or "fixture only" */
} mt_format_info;
MT_API const mt_format_info *mt_slide_formats(void);

/* What within a format was tried on real files and what on files made by ourselves only; format is a name of the
 * table above, NULL ends it. */
typedef struct mt_format_feature {
    const char *format, *feature, *proof;
} mt_format_feature;
MT_API const mt_format_feature *mt_slide_features(void);

#endif
