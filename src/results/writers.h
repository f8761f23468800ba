/* Inside the results room: what a writer is, and the small tools writers share. */
#ifndef MT_RESULTS_WRITERS_H
#define MT_RESULTS_WRITERS_H

#include "base/buf.h"
#include "base/file.h"
#include "microtome/result.h"

/* A writer gets a checked result (mt_result_write) and the folder all results lie under. */
typedef mt_status (*mt_writer_fn)(const mt_result *r, const mt_slide *slide, const char *out_dir,
                                  mt_err *err);

mt_status mt_write_json(const mt_result *r, const mt_slide *slide, const char *out_dir,
                        mt_err *err);
mt_status mt_write_csv(const mt_result *r, const mt_slide *slide, const char *out_dir, mt_err *err);
mt_status mt_write_geojson(const mt_result *r, const mt_slide *slide, const char *out_dir,
                           mt_err *err);
mt_status mt_write_geojson_gz(const mt_result *r, const mt_slide *slide, const char *out_dir,
                              mt_err *err);
mt_status mt_write_qc(const mt_result *r, const mt_slide *slide, const char *out_dir, mt_err *err);
mt_status mt_write_heatmap(const mt_result *r, const mt_slide *slide, const char *out_dir,
                           mt_err *err);

/* Path `out_dir/folder/name`, the folder made. *out (malloc) is the caller's. */
MT_MUST_USE mt_status mt_result_path(char **out, const char *out_dir, const char *folder,
                                     const char *name, mt_err *err);

/* Colour of a class wherever classes are drawn: red for the positive one, then a colour-blind safe
 * row. */
void mt_class_colour(uint8_t rgb[3], int cls, int positive_class);

/* Class with the highest probability of a DONE tile; the first of equals. */
int mt_best_class(const float *probs, int n_classes);

/* Text that is streamed to a file, plain or as gzip members of one MiB without a time stamp.
 * Printing goes to `text`; errors are kept and come out of mt_sink_end. */
typedef struct mt_sink {
    mt_buf text;
    mt_outfile file;
    struct libdeflate_compressor *gzip;
    uint8_t *packed;
    size_t packed_cap;
    mt_err err;
} mt_sink;
MT_MUST_USE mt_status mt_sink_open(mt_sink *s, const char *path, bool gzip, mt_err *err);
void mt_sink_drain(mt_sink *s); /* call now and then: writes full blocks */
MT_MUST_USE mt_status mt_sink_end(mt_sink *s, mt_err *err); /* last block, commit */
void mt_sink_discard(mt_sink *s); /* frees; removes what was not committed */

#endif
