#include "slide/facts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "slide/tiff/tiff_slide.h"

static double spacing_of(double res, unsigned unit)
{
    if (!(res > 0.0) || (unit != 2 && unit != 3)) return 0.0;
    const double um = (unit == 2 ? 25400.0 : 10000.0) / res;
    return um >= 0.01 && um <= 20.0 ? um : 0.0;
}

mt_spacing mt_facts_tag_spacing(const mt_tiff_dir *d)
{
    return (mt_spacing){spacing_of(d->x_res, d->res_unit), spacing_of(d->y_res, d->res_unit)};
}

bool mt_facts_set_spacing(mt_slide_info *info, mt_spacing s, const char *source)
{
    if (!(s.x >= 0.01 && s.x <= 100.0 && s.y >= 0.01 && s.y <= 100.0)) return false;
    info->mpp_x = s.x;
    info->mpp_y = s.y;
    snprintf(info->mpp_source, sizeof info->mpp_source, "%s", source);
    return true;
}

void mt_facts_fall_back_to_tags(mt_slide_info *info, const mt_tiff_dir *d)
{
    const size_t n = strlen(info->mpp_looked_at);
    snprintf(info->mpp_looked_at + n, sizeof info->mpp_looked_at - n,
             "%sXResolution, YResolution, ResolutionUnit (tags 282, 283, 296; 0.01 to 20 um/px)",
             n ? "; " : "");
    if (info->mpp_x <= 0.0) mt_facts_set_spacing(info, mt_facts_tag_spacing(d), "tiff.XResolution");
}

void mt_facts_compare_with_tags(mt_slide_info *info, const mt_tiff_dir *d)
{
    const mt_spacing tags = mt_facts_tag_spacing(d);
    if (info->mpp_x <= 0.0 || tags.x <= 0.0 || tags.y <= 0.0) return;
    if (fabs(tags.x / info->mpp_x - 1.0) <= 0.02 && fabs(tags.y / info->mpp_y - 1.0) <= 0.02)
        return;
    mt_slide_warn(info,
                  "%s says %.6g x %.6g um/px, the resolution tags %.6g x %.6g; used the former",
                  info->mpp_source, info->mpp_x, info->mpp_y, tags.x, tags.y);
}

double mt_facts_number(const char *text)
{
    return text ? mt_tiff_number(text, strlen(text)) : 0.0;
}

int64_t mt_facts_whole(const char *text, int64_t otherwise)
{
    if (!text || !*text || strspn(text, "0123456789") != strlen(text) || strlen(text) > 15)
        return otherwise;
    int64_t v = 0;
    for (; *text; text++)
        v = 10 * v + (*text - '0');
    return v;
}

bool mt_facts_begins(const char *text, const char *word)
{
    return text && !strncasecmp(text, word, strlen(word));
}

bool mt_facts_is(const char *text, const char *word)
{
    return text && !strcasecmp(text, word);
}
