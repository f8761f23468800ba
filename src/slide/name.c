/* What a slide is called in results. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "microtome/slide.h"

/* "1.2.840.10008.5": a name made of numbers has no extension. */
static bool is_uid(const char *name)
{
    int dots = 0;
    for (const char *p = name; *p; p++) {
        if (*p != '.' && (*p < '0' || *p > '9')) return false;
        dots += *p == '.';
    }
    return dots > 1;
}

void mt_slide_stem(char *out, size_t room, const char *path)
{
    char real[PATH_MAX];
    const bool folder = mt_dir_exists(path);
    if (folder && realpath(path, real)) path = real; /* ".", "a/.." and "a/" have names too */
    const char *base = mt_path_base(path), *end = mt_path_ext(path);
    if (folder || is_uid(base)) end = base + strlen(base);
    snprintf(out, room, "%.*s", (int)MT_MIN(end - base, (ptrdiff_t)INT_MAX), base);
}
