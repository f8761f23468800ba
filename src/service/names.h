/* Names of results: one folder a slide, never outside the output folder, never another slide's. */
#ifndef MT_SERVICE_NAMES_H
#define MT_SERVICE_NAMES_H

#include "microtome/grade.h"
#include "service/inputs.h"

#define MT_NAME_BYTES 256

/* The slide's stem (mt_slide_stem) as a folder name: control characters, backslashes and bytes that are not UTF-8
 * become '_', a leading dot too, long stems are cut, names the output folder itself uses are
 * preceded by '_'. Never empty. */
void mt_name_stem(char out[MT_NAME_BYTES], const char *path);

/* Decides the names of a whole run before any slide is looked at; names[i] belongs to list item i.
 * Of slides with one stem each takes "~" and eight digits of its digest (only these are read for
 * it); the same bytes twice take a number besides. The same on every rerun. names is the caller's
 * (free). */
MT_MUST_USE mt_status mt_names_decide(char (**names)[MT_NAME_BYTES], const mt_inputs *list,
                                      mt_err *err);

/* Once the slide's digest is known: when out_dir/name holds the result (or the journal) of a slide
 * with other bytes, as an earlier run may have left it, the name is marked with the digest too. */
void mt_name_settle(char name[MT_NAME_BYTES], const char *out_dir, const char *digest);

#endif
