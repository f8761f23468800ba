/* What earlier runs left in the output folder: half-written files of killed ones, results of other
 * options. */
#ifndef MT_SERVICE_LEFTOVERS_H
#define MT_SERVICE_LEFTOVERS_H

#include "microtome/err.h"

/* Removes temporary files of the slide's outputs. The caller holds the slide's lock, so their
 * writers are dead. In the output folder itself (reports) only those of dead processes, and old
 * ones, go. */
void mt_leftovers_sweep(const char *out_dir, const char *name);

/* A finished slide found without taking its lock: removes a journal that a kill left behind the
 * finished result, when nobody holds it. */
void mt_leftovers_unlocked(const char *out_dir, const char *name);

/* Removes the files of a result that is about to be replaced, result.json first. */
MT_MUST_USE mt_status mt_leftovers_retire(const char *out_dir, const char *name, mt_err *err);

#endif
