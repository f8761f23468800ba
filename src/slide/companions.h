/* Files that belong to a slide besides the one that is opened. */
#ifndef MT_SLIDE_COMPANIONS_H
#define MT_SLIDE_COMPANIONS_H

#include "base/mem.h"

#define MT_MAX_FILES 65536

typedef struct mt_file_list {
    char **names;       /* full paths, in name order; the opened file among them */
    int n;
    uint64_t bytes;     /* of all */
} mt_file_list;

/* MIRAX: everything in the folder of the same stem. Hamamatsu VMS and VMU: what begins with the
 * same stem beside it. Any other maker's slide is one file. Release with mt_file_list_free. */
MT_MUST_USE mt_status mt_companions_find(mt_file_list *out, const char *path, const char *vendor,
                                         mt_err *err);
/* By name. */
void mt_file_list_sort(mt_file_list *list);
void mt_file_list_free(mt_file_list *list);

#endif
