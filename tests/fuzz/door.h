/* A slide in memory, opened and read as everybody does: by our own rows only, since what lies behind
 * OpenSlide is not ours to test. */
#ifndef MT_TESTS_FUZZ_DOOR_H
#define MT_TESTS_FUZZ_DOOR_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "slide/format.h"

static inline void door_read(mt_slide *s)
{
    static uint8_t pixels[3 * 64 * 64];
    mt_err err = MT_ERR_INIT;
    const mt_slide_info *info = mt_slide_get_info(s);
    if (info->n_levels < 1 || info->n_levels > MT_MAX_LEVELS) abort();
    for (int i = 0; i < info->n_levels; i++) {
        const mt_level *l = &info->levels[i];
        if (l->width < 1 || l->height < 1 || l->tile_w < 1 || l->tile_h < 1) abort();
        if ((int64_t)l->tile_w * l->tile_h > 1 << 20) continue;
        const int64_t at[][2] = {{l->width / 2 - 3, l->height - 9}, {-2, -2}, {l->width - 5, 1}};
        for (size_t k = 0; k < MT_COUNT(at); k++) {
            mt_err_clear(&err);
            const mt_status st =
                mt_slide_read_region(s, i, at[k][0], at[k][1], 16, 16, pixels, 3 * 64, &err);
            if (st != err.code) abort();
        }
    }
    for (int i = 0; i < info->n_associated; i++) {
        uint8_t *rgb = NULL;
        int64_t w, h;
        if (info->associated[i].width * info->associated[i].height > 1 << 20) continue;
        mt_err_clear(&err);
        if (mt_slide_read_associated(&rgb, &w, &h, s, info->associated[i].name, &err) == MT_OK)
            free(rgb);
    }
    for (int i = 0; i < info->n_warnings; i++)
        if (!info->warnings[i][0] || strchr(info->warnings[i], '\n')) abort();
}

static inline void door(const mt_format *const *rows, size_t n, const uint8_t *data, size_t size)
{
    int fd = memfd_create("slide", MFD_CLOEXEC);
    if (fd < 0) return;
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    mt_slide *s = NULL;
    mt_err err = MT_ERR_INIT;
    if (write(fd, data, size) == (ssize_t)size) {
        const mt_status st = mt_slide_open_with(&s, path, NULL, rows, n, &err);
        if (st != err.code || (st == MT_OK) != (s != NULL)) abort();
        if (st != MT_OK && (!err.text[0] || strchr(err.text, '\n'))) abort();
    }
    if (s) door_read(s);
    mt_slide_close(&s);
    close(fd);
}

#endif
