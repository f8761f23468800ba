/* What the formats of the TIFF family share beyond pixels: spacing from tags, numbers and sizes from
 * descriptions, and the sentences about what contradicts itself. */
#ifndef MT_SLIDE_FACTS_H
#define MT_SLIDE_FACTS_H

#include "slide/format.h"

/* Micrometres a pixel by XResolution, YResolution and ResolutionUnit (tags 282, 283, 296); 0 where
 * they say nothing of a microscope: 72 or 300 dpi is what programs write that know nothing. */
typedef struct mt_spacing {
    double x, y;
} mt_spacing;
mt_spacing mt_facts_tag_spacing(const mt_tiff_dir *d);

/* Takes a spacing over when both sides lie between 0.01 and 100 um/px; false otherwise. */
bool mt_facts_set_spacing(mt_slide_info *info, mt_spacing s, const char *source);

/* As above, from the tags, when nothing better was said. */
void mt_facts_fall_back_to_tags(mt_slide_info *info, const mt_tiff_dir *d);

/* A sentence when the tags say something more than 2 % away from the spacing that is used. */
void mt_facts_compare_with_tags(mt_slide_info *info, const mt_tiff_dir *d);

/* A positive number of NUL-terminated text, a whole one; 0 when it is none. NULL is none. */
double mt_facts_number(const char *text);
int64_t mt_facts_whole(const char *text, int64_t otherwise);

/* True when `text` begins with (is) `word`, whatever the case. NULL is nothing. */
bool mt_facts_begins(const char *text, const char *word);
bool mt_facts_is(const char *text, const char *word);

#endif
