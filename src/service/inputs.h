/* What a run was asked to look at: files, folders and CSV lists become one list of slides. */
#ifndef MT_SERVICE_INPUTS_H
#define MT_SERVICE_INPUTS_H

#include <stddef.h>
#include <stdint.h>
#include "microtome/err.h"

typedef struct mt_input {
    char *path;
    double mpp; /* > 0: spacing from the list */
} mt_input;

typedef struct mt_inputs {
    mt_input *items;
    size_t n, cap;
} mt_inputs;

/* In the order given; a folder gives the slides in it (by extension, or DICOM by what it is; not
 * hidden, not its sub-folders) in byte order of their names; a *.csv file is a list. All files of a
 * DICOM slide stand for it and give the path of its finest file; the folder itself stands for it where
 * it was named and holds nothing else. DICOM files of no slide (reports, segmentations) are passed
 * over beside slides. A path that comes twice, by
 * whatever name, is kept once, where it came first. A file that does not exist is kept: it gets its
 * row. Errors: ARG (nothing to do, a list without a `wsi` column), FORMAT (a list's row), IO,
 * LIMIT, NO_MEMORY. *out is freed by mt_inputs_free in either case. */
MT_MUST_USE mt_status mt_inputs_expand(mt_inputs *out, const char *const *inputs, size_t n,
                                       mt_err *err);
void mt_inputs_free(mt_inputs *list);

/* A CSV list: a header with `wsi` and perhaps `mpp` (any case, any other columns), fields quoted or
 * not, lines ended by LF or CRLF, a byte-order mark allowed. Relative paths start at `folder`.
 * Appends. */
MT_MUST_USE mt_status mt_inputs_parse_csv(mt_inputs *out, const char *text, size_t n,
                                          const char *folder, const char *what, mt_err *err);

#endif
