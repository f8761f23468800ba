/* DICOM whole-slide images written by code: every way a file may hold its frames, and wrong ways too. */
#ifndef MT_TEST_DICOM_MAKE_H
#define MT_TEST_DICOM_MAKE_H

#include <stdbool.h>
#include "base/buf.h"

typedef struct dm_frame {
    const uint8_t *data;
    size_t n;
    int x, y;              /* 1-based, as written */
    int path;              /* index among the paths */
    double z;              /* micrometres */
    bool nowhere;          /* no position */
} dm_frame;

typedef enum dm_table { DM_EMPTY, DM_BASIC, DM_BASIC_WRONG, DM_EXTENDED } dm_table;

/* Zeroed fields mean: explicit little endian, VOLUME, one sample RGB 8 bit, TILED_FULL, one path, one
 * plane, identifiers of a slide "A", everything that a reader demands. */
typedef struct dm_image {
    const char *syntax, *class_uid, *flavour, *photometric, *organization;
    const char *study, *series, *instance, *pyramid, *container, *concatenation;
    int part, parts, part_offset;
    int width, height, columns, rows;
    int samples, bits, stored, planar;
    int planes, n_paths;
    const char *paths[4];
    double spacing_x, spacing_y, volume_w, volume_h; /* mm; spacing < 0: not written */
    const dm_frame *frames;
    int n_frames, say_frames;  /* say_frames: what Number of Frames claims instead */
    int fragments;         /* of a frame; 0 = 1 */
    dm_table table;
    bool undefined;        /* sequences and items without stated lengths */
    bool nameless_container, no_matrix, no_pixels, bytes; /* bytes: native pixel data as OB */
    bool dual;             /* a TIFF head in the preamble */
    int icc;               /* bytes of a profile */
    bool stain, palette, epifluorescence;
    int absent_lab[3];     /* all 0: not written */
    size_t cut;            /* bytes missing at the end of the file */
} dm_image;

/* The file's bytes, or the file. */
void dm_build(mt_buf *out, const dm_image *image);
void dm_write(const char *path, const dm_image *image);

#endif
