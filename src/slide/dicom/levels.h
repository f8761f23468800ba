/* Between the files that make the levels of a DICOM slide. */
#ifndef MT_SLIDE_DICOM_LEVELS_H
#define MT_SLIDE_DICOM_LEVELS_H

#include "slide/dicom/dicom.h"
#include "slide/format.h"

/* Tiles of a grid that is not filled; pixels of a band of a huge native frame. */
#define MT_DICOM_MAX_SPARSE ((int64_t)1 << 22)
#define MT_DICOM_BAND ((int64_t)1 << 18)

/* What of the slide is read. */
typedef struct mt_dicom_choice {
    char path[17];
    uint32_t plane, n_planes;
    double z;                  /* micrometres; NAN when planes are only counted */
} mt_dicom_choice;

void mt_dicom_sort(double *v, size_t n);

/* Whether frames of this file can be read: sides, samples, bits, pixel data, transfer syntax. */
mt_status mt_dicom_part_check(const mt_dicom_part *p, mt_err *err);

/* Fills l->coding by header and first frame; level < 0: an associated image. */
mt_status mt_dicom_level_coding(mt_dicom_level *l, mt_dicom_slide *ds, mt_slide_info *info, int level,
                                mt_err *err);

#endif
