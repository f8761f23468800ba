/* DICOM whole-slide images: what one file says of itself, the files of a folder, the frames of a
 * file, the levels of a slide.
 *
 * A folder is read once: every file gives its facts (header.c), from which slides are made
 * (series.c). Only the files of the slide that is opened get an index of their frames
 * (frames.c), from which its levels are made (levels.c). Both facts and indices may come
 * from the cache (cache.c). */
#ifndef MT_SLIDE_DICOM_H
#define MT_SLIDE_DICOM_H

#include <pthread.h>
#include <stdatomic.h>
#include "base/buf.h"
#include "base/file.h"
#include "codec/codec.h"
#include "dicom/read.h"
#include "slide/companions.h"
#include "slide/slide.h"

#define MT_DICOM_MAX_PATHS 64
#define MT_DICOM_MAX_SIDE INT32_MAX
#define MT_DICOM_MAX_TILES ((int64_t)1 << 24)
/* A file that was cut short may claim more frames than it holds, but not so many that the room for them
 * is out of all proportion. */
static inline bool mt_dicom_claims_too_much(uint64_t claimed, uint64_t held)
{
    return claimed > (uint64_t)1 << 20 && claimed / 16 > held;
}

/* Digest of an identifier under a key of the folder's own: it can be compared and says nothing. */
typedef struct mt_dicom_id { uint64_t a, b; } mt_dicom_id;
typedef struct mt_dicom_key { uint64_t k0, k1; } mt_dicom_key;
mt_dicom_id mt_dicom_digest(const mt_dicom_key *key, const void *data, size_t n);
static inline bool mt_dicom_same(mt_dicom_id x, mt_dicom_id y) { return x.a == y.a && x.b == y.b; }
static inline bool mt_dicom_none(mt_dicom_id x) { return !x.a && !x.b; }

/* What tells whether a file is still the one that was looked at. */
typedef struct mt_dicom_stamp {
    uint64_t device, inode, size;
    int64_t mtime_s, mtime_ns, ctime_s, ctime_ns; /* the first may be set back by whoever writes */
} mt_dicom_stamp;
bool mt_dicom_stamp_of(mt_dicom_stamp *out, const char *path); /* false: no regular file */
#define MT_DICOM_NAMELESS "a file of the slide" /* in texts: names of files may be a patient's */

typedef enum mt_dicom_kind {
    MT_DICOM_FOREIGN,   /* no DICOM file at all */
    MT_DICOM_OTHER,     /* DICOM, but no whole-slide image: report, segmentation, DICOMDIR ... */
    MT_DICOM_VOLUME, MT_DICOM_THUMBNAIL, MT_DICOM_OVERVIEW, MT_DICOM_LABEL,
    MT_DICOM_BROKEN     /* a whole-slide image that cannot be followed */
} mt_dicom_kind;

typedef enum mt_dicom_photometric {
    MT_DICOM_MONOCHROME1, MT_DICOM_MONOCHROME2, MT_DICOM_RGB, MT_DICOM_YBR_FULL,
    MT_DICOM_YBR_FULL_422, MT_DICOM_YBR_ICT, MT_DICOM_YBR_RCT, MT_DICOM_PHOTOMETRIC_OTHER
} mt_dicom_photometric;

/* One instance. Zeroed before it is filled, padding too: it is written to the cache as it stands. */
typedef struct mt_dicom_facts {
    mt_dicom_stamp stamp;
    int32_t kind;              /* mt_dicom_kind */
    int32_t photometric;       /* mt_dicom_photometric */
    mt_dicom_id study, series, pyramid, container, frame_of_reference, instance, concatenation;
    char syntax[65], class_uid[65];
    uint32_t rows, columns;    /* of a frame */
    int64_t width, height;     /* total pixel matrix; 0 when not stated */
    uint32_t frames;
    uint32_t samples, bits, stored, planar, is_signed;
    uint32_t full, sparse;     /* what Dimension Organization Type says; neither: nothing */
    uint32_t positions;        /* frames have Plane Positions */
    uint32_t planes, paths;    /* as stated; 0 when not */
    uint32_t n_ids;            /* items of the Optical Path Sequence, of which MT_DICOM_MAX_PATHS are kept */
    char ids[MT_DICOM_MAX_PATHS][17];
    uint32_t palette;          /* a path has a display palette */
    uint32_t fluorescent;      /* illumination is epifluorescence */
    double spacing_x, spacing_y; /* mm; 0 when not stated */
    double volume_w, volume_h; /* mm */
    double objective;
    uint32_t part, parts, part_offset; /* of a concatenation; 0 when not stated */
    char scanner[48], stain[32], organ[32];
    uint32_t icc_bytes;
    uint32_t absent_lab[3], has_absent;
    uint32_t synthetic;
    /* Pixel data */
    uint32_t has_pixels, encapsulated, deflated, big, words; /* words: VR OW */
    uint64_t pixels_at, pixels_n; /* native: first byte of the value (plain files only), its bytes */
    uint64_t header_bytes;
    uint64_t inflated;         /* bytes of a deflated data set, inflated */
} mt_dicom_facts;

/* Reads a file's facts. Fails only where the reader fails, with kind OTHER (it did not say it is a
 * whole-slide image before that) or BROKEN. */
mt_status mt_dicom_facts_read(mt_dicom_facts *f, const uint8_t *data, size_t size,
                              const mt_dicom_key *key, mt_err *err);

/* ---- frames of a file ---- */

typedef struct mt_dicom_span { uint64_t at, n; } mt_dicom_span; /* in the file */

typedef struct mt_dicom_place {
    int32_t x, y;              /* 0-based top left pixel in the matrix */
    uint32_t path;             /* index among the file's optical paths */
    uint32_t stated;           /* the frame has a position */
    double z;                  /* micrometres */
} mt_dicom_place;

typedef struct mt_dicom_frames {
    uint32_t n;
    uint32_t n_fragments;      /* encapsulated */
    mt_dicom_span *fragments;
    uint32_t *first;           /* n + 1: fragments of frame k; NULL: fragment k is frame k */
    mt_dicom_place *places;    /* n; NULL where positions follow from the order */
    uint32_t cut;              /* the file ends inside its pixel data */
    uint32_t doubtful;         /* an offset table was there and is not believed */
} mt_dicom_frames;

mt_status mt_dicom_frames_read(mt_dicom_frames *out, const mt_dicom_facts *f, const uint8_t *data,
                               size_t size, mt_err *err);
void mt_dicom_frames_free(mt_dicom_frames *frames);

/* ---- files of a folder ---- */

typedef struct mt_dicom_file {
    char *path;
    mt_dicom_facts facts;
    mt_status fault;           /* why it could not be followed to its end */
    char why[200];
} mt_dicom_file;

typedef struct mt_dicom_folder {
    mt_dicom_file *files;      /* regular files in name order; FOREIGN ones are left out */
    size_t n, cap;
    size_t looked_at;          /* files in the folder */
    mt_dicom_key key;
} mt_dicom_folder;

/* Reads every file of a folder. When the folder cannot be listed and `file` is given, that file
 * alone. A file that vanishes meanwhile is as if it had not been there. */
mt_status mt_dicom_folder_read(mt_dicom_folder *out, const char *dir, const char *file, mt_err *err);
void mt_dicom_folder_free(mt_dicom_folder *folder);

/* Slides among them, by the name of their first file. `files` are indices into the folder. */
typedef struct mt_dicom_group {
    uint32_t *files;           /* VOLUME first, in name order; then label, overview, thumbnail, at
                                * most 16 of each */
    uint32_t n, n_volume;
    uint32_t base;             /* the file that stands for the slide: widest, then first by part and name */
} mt_dicom_group;

typedef struct mt_dicom_groups {
    mt_dicom_group *v;
    size_t n;
} mt_dicom_groups;

mt_status mt_dicom_groups_make(mt_dicom_groups *out, const mt_dicom_folder *folder, mt_err *err);
void mt_dicom_groups_free(mt_dicom_groups *groups);

/* ---- a slide ---- */

/* Deflated files of a slide are held inflated, for as long as it is open: at most so many bytes in all. */
#define MT_DICOM_MAX_INFLATED ((size_t)256 << 20)

/* Of a part's bytes. */
enum { MT_DICOM_NOT_READY, MT_DICOM_READY, MT_DICOM_BEING_MADE };

/* One file of an open slide. Its map is made when the first frame is asked for. */
typedef struct mt_dicom_part {
    char *path;
    mt_dicom_facts facts;
    mt_dicom_frames frames;
    mt_codec_id codec;
    atomic_int ready;          /* MT_DICOM_READY: map and bytes are there */
    mt_map map;
    mt_dcm_reader *inflated;   /* keeps the bytes of a deflated data set */
    const uint8_t *bytes;      /* fragments and native frames are offsets from here */
    size_t n_bytes;
} mt_dicom_part;

typedef struct mt_dicom_ref { uint32_t part, frame; } mt_dicom_ref; /* part MT_DICOM_ABSENT: no frame */
#define MT_DICOM_ABSENT UINT32_MAX

typedef struct mt_dicom_rect { int32_t x, y; mt_dicom_ref ref; } mt_dicom_rect;

typedef struct mt_dicom_level {
    int64_t width, height;
    int32_t tile_w, tile_h, frame_w, frame_h;
    int64_t tiles_x, tiles_y;
    bool cut_rows;             /* one native frame, read in bands of tile_h rows */
    mt_dicom_ref *refs;        /* tiles_x * tiles_y; NULL when the frames lie off the grid */
    mt_dicom_rect *rects;      /* then all frames in order, */
    uint32_t n_rects;
    uint32_t *bucket_at, *bucket; /* and those that touch tile t: bucket[bucket_at[t] .. bucket_at[t + 1]) */
    mt_coding coding;
    uint32_t first_part;       /* some part of it, for what a level says once */
} mt_dicom_level;

typedef struct mt_dicom_slide {
    mt_dicom_part *parts;
    uint32_t n_parts;
    mt_dicom_level levels[MT_MAX_LEVELS], associated[MT_MAX_ASSOCIATED];
    int n_levels, n_associated;
    pthread_mutex_t lock;      /* of `ready` */
    pthread_cond_t made;       /* a part is ready, or failed */
    struct mt_kept *kept;      /* frames off the grid */
    uint8_t absent[3];         /* colour of tiles that are left out */
} mt_dicom_slide;

/* Levels and associated images of the parts; fills info but for names of files. */
mt_status mt_dicom_levels_make(mt_dicom_slide *ds, mt_slide_info *info, const mt_slide_opts *opts,
                               mt_err *err);
void mt_dicom_level_free(mt_dicom_level *level);

/* Makes the part's bytes ready; thread-safe. IO when the file is no longer the one that was indexed. */
mt_status mt_dicom_part_ready(mt_dicom_slide *ds, uint32_t part, mt_err *err);

/* Compressed bytes of a frame. *pieces > 1: they are in so many pieces and out is empty. */
mt_status mt_dicom_frame_span(mt_tile_span *out, uint32_t *pieces, const mt_dicom_slide *ds,
                              mt_dicom_ref ref, mt_err *err);

/* Codec of a transfer syntax; UNSUPPORTED names it. */
mt_status mt_dicom_codec(mt_codec_id *out, const char *syntax, mt_err *err);

/* Finds the slides of a folder, opens the one a path belongs to. */
mt_status mt_dicom_open(mt_slide *s, const char *path, bool is_folder, const mt_slide_opts *opts,
                        mt_err *err);

/* ---- cache ---- */

/* What MICROTOME_CACHE, else XDG_CACHE_HOME, else HOME name; blobs under names of ours. Any fault is
 * as if there were nothing. */
bool mt_cache_read(uint8_t **data, size_t *n, const char *name);
void mt_cache_write(const char *name, const void *data, size_t n);

#endif
