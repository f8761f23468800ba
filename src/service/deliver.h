/* A slide's outcome as files: its result, or that there is none and why. */
#ifndef MT_SERVICE_DELIVER_H
#define MT_SERVICE_DELIVER_H

#include <stdbool.h>
#include "base/json.h"
#include "engine/pipeline.h"
#include "service/setup.h"

/* The result.json in out_dir/name; false when there is none to be read. *root: mt_json_unref. */
bool mt_delivered(json_t **root, const char *out_dir, const char *name);

/* Writes everything a finished slide has, result.json last: that it is there says that all else is. A
 * result of other options goes before its first file is replaced; one of the same key has the same
 * bytes. The caller holds the slide's lock. */
MT_MUST_USE mt_status mt_deliver(mt_pipeline *p, const mt_setup *s, const char *out_dir, mt_err *err);

/* Silence is not negative: where a result would have gone, a reader finds that there is none. A
 * complete result of other options is left standing: a fault of this run says nothing against it. */
void mt_deliver_refusal(mt_pipeline *p, const char *out_dir, const char *name, const char *reason);

/* Set aside by quality control: an explicit "not analysed" and the picture that shows why. A grade of
 * other options gives way: the report and the folder say the same; its tiles.h5 stays, whose scores a
 * run without the gate takes over. The caller holds the slide's lock.
 * Only that an earlier grade could not be removed is an error. */
MT_MUST_USE mt_status mt_deliver_rejection(mt_pipeline *p, const char *out_dir, const char *name,
                                           mt_err *err);

#endif
