/* A slide's row in the report: from the result just made, from one that lies on disk, from an error. */
#ifndef MT_SERVICE_ROWS_H
#define MT_SERVICE_ROWS_H

#include <stdbool.h>
#include "microtome/result.h"

/* Of a slide that was analysed. */
void mt_row_done(mt_report_row *row, const mt_result *r, uint64_t resumed_tiles);

/* Of a slide that quality control set aside. */
void mt_row_rejected(mt_report_row *row, const mt_result *r);

/* Of a slide that failed: all but its names and its time is forgotten. The reason does not name the
 * file (path): what is kept speaks of the slide's id. */
void mt_row_failed(mt_report_row *row, const mt_err *why, const char *path);

/* A complete result of this very key in out_dir/name, or its rejection by quality control: the row is
 * read back from it and `resumed` set. Anything odd: false. */
bool mt_row_resumed(mt_report_row *row, const char *out_dir, const char *name, const char *key);

/* Where the pictures lie, when there are some. */
void mt_row_pictures(mt_report_row *row, const char *out_dir, const char *name);

#endif
