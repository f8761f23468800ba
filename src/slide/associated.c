/* Associated images as files. */
#include <stdio.h>
#include <string.h>
#include "codec/codec.h"
#include "codec/encode.h"
#include "slide/format.h"

/* "label, macro"; "" when there is none. */
static void list_names(char *out, size_t cap, const mt_slide_info *info)
{
    size_t n = 0;
    out[0] = 0;
    for (int i = 0; i < info->n_associated && n < cap; i++)
        n += (size_t)snprintf(out + n, cap - n, "%s%s", i ? ", " : "", info->associated[i].name);
}

static bool has(const mt_slide_info *info, const char *name)
{
    for (int i = 0; i < info->n_associated; i++)
        if (!strcmp(info->associated[i].name, name)) return true;
    return false;
}

mt_status mt_slide_write_associated(const mt_slide *slide, const char *name, const char *path,
                                    mt_err *err)
{
    MT_AUTO_FREE uint8_t *rgb = NULL;
    MT_AUTO(mt_buf_free) mt_buf png = MT_BUF_INIT(4 * MT_CODEC_MAX_PIXELS);
    int64_t w, h;
    if (!has(&slide->info, name)) {
        char names[200];
        list_names(names, sizeof names, &slide->info);
        return mt_err_set(err, MT_ERR_NOT_FOUND, "the slide has no %.31s image; it has: %s", name,
                          names[0] ? names : "none");
    }
    MT_TRY(mt_slide_read_associated(&rgb, &w, &h, slide, name, err));
    MT_TRY(mt_png_encode(&png, rgb, 3 * (size_t)w, (int)w, (int)h, 3, err));
    MT_TRY(mt_buf_status(&png, name, err));
    return mt_file_write(path, png.data, png.len, err);
}
