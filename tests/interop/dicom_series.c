/* A DICOM series of any size, to measure how long opening takes and to try commands on:
 * dicom_series DIR INSTANCES [LEVELS [TILES]]. INSTANCES parts of one concatenation of 16-pixel tiles
 * make level 0, TILES a part (default 1); LEVELS - 1 files of one instance each lie above it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "tests/support/dicom_make.h"
#include "tests/support/support.h"

enum { SIDE = 16 };

static uint8_t tile[3 * SIDE * SIDE];

static void write_file(const char *dir, const char *name, dm_image im, int n)
{
    char path[4096];
    dm_frame *frames = calloc((size_t)n, sizeof *frames);
    if (!frames) exit(1);
    for (int i = 0; i < n; i++) frames[i] = (dm_frame){.data = tile, .n = sizeof tile};
    im.frames = frames;
    im.n_frames = n;
    im.columns = im.rows = SIDE;
    im.syntax = "1.2.840.10008.1.2.1.98";
    snprintf(path, sizeof path, "%s/%s.dcm", dir, name);
    dm_write(path, &im);
    free(frames);
}

int main(int argc, char **argv)
{
    if (argc < 3) return 2;
    const int n = atoi(argv[2]), levels = argc > 3 ? atoi(argv[3]) : 1, each = argc > 4 ? atoi(argv[4]) : 1;
    mt_err err = MT_ERR_INIT;
    if (n < 1 || levels < 1 || each < 1 || mt_dir_make(argv[1], &err)) return 1;
    for (size_t i = 0; i < sizeof tile; i++) tile[i] = (uint8_t)(200 + i % 40);
    int across = 1;
    while ((long)across * across < (long)n * each) across++;
    while ((long)n * each % across) across++; /* a grid without holes */
    const int w = across * SIDE, h = (int)((long)n * each / across) * SIDE;
    char name[64], instance[64];
    for (int i = 0; i < n; i++) {
        snprintf(name, sizeof name, "level-0-part-%06d", i + 1);
        snprintf(instance, sizeof instance, "1.2.8.%d", i);
        dm_image im = {.width = w, .height = h, .instance = instance};
        if (n > 1) {
            im.concatenation = "1.2.9";
            im.part = i + 1;
            im.parts = n;
            im.part_offset = i * each;
        }
        write_file(argv[1], name, im, each);
    }
    for (int k = 1; k < levels; k++) {
        const int lw = (w - 1) / (1 << k) + 1, lh = (h - 1) / (1 << k) + 1;
        snprintf(name, sizeof name, "level-%d", k);
        snprintf(instance, sizeof instance, "1.2.9.%d", k);
        write_file(argv[1], name,
                   (dm_image){.width = lw, .height = lh, .instance = instance, .spacing_x = 0.0005 * (1 << k),
                              .spacing_y = 0.0005 * (1 << k)},
                   ((lw + SIDE - 1) / SIDE) * ((lh + SIDE - 1) / SIDE));
    }
    return 0;
}
