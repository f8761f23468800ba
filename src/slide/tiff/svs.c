/* Aperio SVS: a TIFF file whose first directory is tiled and whose ImageDescription begins with
 * "Aperio". Tiled directories are levels; of the stripped ones the second directory is the
 * thumbnail, the others are named by the first word of their description's second line. */
#include <stdio.h>
#include <string.h>
#include "slide/tiff/tiff_slide.h"

static bool detect(const mt_probe *p)
{
    return p->tiff.n_dirs > 0 && p->tiff.dirs[0].tile_w &&
           mt_tiff_begins(&p->tiff.dirs[0].description, "Aperio");
}

typedef struct word { const char *p; size_t n; } word;

static word trim(const char *p, size_t n)
{
    while (n && strchr(" \t\r\n", *p)) p++, n--;
    while (n && strchr(" \t\r\n", p[n - 1])) n--;
    return (word){p, n};
}

/* Value of a "|key = value" field; of several, the last, which is the newest. */
static word field(const mt_tiff_bytes *text, const char *key)
{
    word found = {NULL, 0};
    if (!text->n) return found;
    const char *p = (const char *)text->p, *end = p + text->n;
    const char *bar = memchr(p, '|', text->n);
    while (bar) {
        const char *next = memchr(bar + 1, '|', (size_t)(end - bar - 1));
        const char *stop = next ? next : end;
        const char *eq = memchr(bar + 1, '=', (size_t)(stop - bar - 1));
        if (eq) {
            word k = trim(bar + 1, (size_t)(eq - bar - 1));
            if (k.n == strlen(key) && !memcmp(k.p, key, k.n))
                found = trim(eq + 1, (size_t)(stop - eq - 1));
        }
        bar = next;
    }
    return found;
}

static word second_line_word(const mt_tiff_bytes *text)
{
    if (!text->n) return (word){NULL, 0};
    const char *p = (const char *)text->p, *end = p + text->n;
    const char *eol = memchr(p, '\n', text->n);
    if (!eol) return (word){NULL, 0};
    p = eol + 1;
    const char *stop = p;
    while (stop < end && !strchr(" \t\r\n|,;", *stop)) stop++;
    return (word){p, (size_t)(stop - p)};
}

static void add_associated(mt_slide *s, const mt_tiff *t, int dir)
{
    word name = second_line_word(&t->dirs[dir].description);
    if (dir == 1) name = (word){"thumbnail", 9};
    else if (!name.n && t->dirs[dir].subfile == 1) name = (word){"label", 5};
    else if (!name.n && t->dirs[dir].subfile == 9) name = (word){"macro", 5};
    if (name.n) mt_tiff_slide_add_associated(s, dir, name.p, name.n);
}

/* TIFF resolution tags are not asked: Aperio leaves them out or at 72 dpi. */
static void read_metadata(mt_slide_info *info, const mt_tiff_bytes *text)
{
    word v = field(text, "MPP");
    double mpp = mt_tiff_number(v.p, v.n);
    snprintf(info->mpp_looked_at, sizeof info->mpp_looked_at,
             "MPP of the Aperio ImageDescription (tag 270)");
    if (mpp >= 0.01 && mpp <= 100.0) {
        info->mpp_x = info->mpp_y = mpp;
        snprintf(info->mpp_source, sizeof info->mpp_source, "aperio.MPP");
    }
    v = field(text, "AppMag");
    double mag = mt_tiff_number(v.p, v.n);
    if (mag <= 1000.0) info->objective = mag;
    /* 20x goes with 0.5 um/px, 40x with 0.25: cameras differ, but not by a factor of 1.6. */
    if (info->mpp_x > 0.0 && info->objective > 0.0 &&
        (info->mpp_x * info->objective < 6.25 || info->mpp_x * info->objective > 16.0))
        mt_slide_warn(info, "AppMag %gx and MPP %g um/px hardly go together; MPP is used",
                      info->objective, info->mpp_x);
    v = field(text, "ScannerType");
    if (v.n && v.n < sizeof info->scanner) memcpy(info->scanner, v.p, v.n);
    v = field(text, "Synthetic");
    info->synthetic = v.n == 9 && !memcmp(v.p, "microtome", 9);
}

static mt_status open_svs(mt_slide *s, mt_probe *p, mt_err *err)
{
    mt_tiff_slide *ts = NULL;
    MT_TRY(mt_tiff_slide_begin(&ts, s, p, err));
    snprintf(s->info.vendor, sizeof s->info.vendor, "aperio");
    ts->missing_from_finer = true;
    for (int i = 0; i < ts->tiff.n_chain; i++) {
        if (ts->tiff.dirs[i].tile_w)
            MT_TRY(mt_tiff_slide_add_level(s, i, err));
        else
            add_associated(s, &ts->tiff, i);
    }
    MT_TRY(mt_tiff_slide_finish(s, err));
    read_metadata(&s->info, &ts->tiff.dirs[0].description);
    return MT_OK;
}

const mt_format mt_format_svs = {
    {"aperio-svs", "Aperio SVS, single file", "proven on real files"}, detect, open_svs,
};
