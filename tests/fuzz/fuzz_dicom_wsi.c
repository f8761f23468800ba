// rooms: slide codec dicom base
// seeds: dicom-wsi/highdicom dicom-wsi/boxes
/* DICOM slides: facts and frames of a file over exactly its bytes, then the file as a slide of its own
 * folder through the door everybody uses. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "slide/dicom/dicom.h"

enum { SIDE = 512, TILES = 6 };

static uint8_t pixels[3 * SIDE * SIDE];
static char path[64];

static void leave(void)
{
    char dir[64];
    unlink(path);
    snprintf(dir, sizeof dir, "%s", path);
    *strrchr(dir, '/') = 0;
    rmdir(dir);
}

static void settle(void)
{
    if (path[0]) return;
    char dir[] = "/tmp/fuzz-dicom-XXXXXX";
    setenv("MICROTOME_CACHE", "off", 1);
    if (!mkdtemp(dir)) abort();
    snprintf(path, sizeof path, "%s/a.dcm", dir);
    atexit(leave);
}

/* Every span of an index lies in the file, and every frame's pieces in the index. */
static void check_frames(const mt_dicom_frames *f, size_t size)
{
    for (uint32_t i = 0; i < f->n_fragments; i++)
        if (f->fragments[i].at > size || f->fragments[i].n > size - f->fragments[i].at) abort();
    for (uint32_t i = 0; f->first && i < f->n; i++)
        if (f->first[i] > f->n_fragments || (f->first[i] > f->first[i + 1] && !f->cut)) abort();
}

static bool look(const uint8_t *data, size_t size)
{
    const mt_dicom_key key = {1, 2};
    mt_dicom_facts f;
    mt_err err = MT_ERR_INIT;
    memset(&f, 0, sizeof f);
    const mt_status st = mt_dicom_facts_read(&f, data, size, &key, &err);
    if (st != err.code || strchr(err.text, '\n')) abort();
    if (f.kind <= MT_DICOM_OTHER) return false;
    if (f.has_pixels && f.frames <= 1u << 20 && f.kind != MT_DICOM_BROKEN) {
        mt_dicom_frames frames;
        mt_err_clear(&err);
        if (mt_dicom_frames_read(&frames, &f, data, size, &err) == MT_OK) {
            if (!f.deflated) check_frames(&frames, size);
            mt_dicom_frames_free(&frames);
        }
    }
    return true;
}

static void read_level(const mt_slide *s, int level, const mt_level *l)
{
    mt_tile_reader *r = NULL;
    mt_err err = MT_ERR_INIT;
    if (l->tile_w > SIDE || l->tile_h > SIDE || mt_tile_reader_new(&r, s, &err) != MT_OK) return;
    for (int i = 0; i < TILES; i++) {
        const int64_t x = i % 2 ? l->tiles_x - 1 : i / 2 % l->tiles_x, y = i % 3 ? l->tiles_y - 1 : 0;
        mt_tile_span span;
        mt_err_clear(&err);
        if (mt_slide_tile_span(&span, s, level, x, y, &err) == MT_OK && span.size) {
            volatile uint8_t sum = 0; /* all of it is there to be read */
            for (size_t k = 0; k < span.size; k += 97) sum = (uint8_t)(sum + span.data[k]);
            sum = (uint8_t)(sum + span.data[span.size - 1]);
        }
        mt_err_clear(&err);
        const mt_status st = mt_tile_reader_decode(r, level, x, y, 1, pixels, 3 * SIDE, &err);
        if (st != err.code) abort();
    }
    mt_tile_reader_free(&r);
}

static void through_the_door(int plane)
{
    mt_slide *s = NULL;
    mt_err err = MT_ERR_INIT;
    mt_slide_opts o = MT_SLIDE_OPTS_INIT;
    o.focal_plane = plane;
    if (mt_slide_open(&s, path, &o, &err) != MT_OK) {
        if (!err.text[0] || strchr(err.text, '\n') || s) abort();
        return;
    }
    const mt_slide_info *info = mt_slide_get_info(s);
    for (int i = 0; i < info->n_levels; i++) {
        const mt_level *l = &info->levels[i];
        read_level(s, i, l);
        mt_err_clear(&err);
        if ((int64_t)l->tile_w * l->tile_h <= 1 << 20)
            (void)!mt_slide_read_region(s, i, l->width / 2 - 3, l->height - 9, 16, 16, pixels, 3 * SIDE, &err);
    }
    for (int i = 0; i < info->n_associated; i++) {
        uint8_t *rgb = NULL;
        int64_t w, h;
        mt_err_clear(&err);
        if (info->associated[i].width * info->associated[i].height <= 1 << 20 &&
            mt_slide_read_associated(&rgb, &w, &h, s, info->associated[i].name, &err) == MT_OK) free(rgb);
    }
    mt_slide_close(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    settle();
    if (!look(data, size)) return 0;
    FILE *f = fopen(path, "wb");
    if (!f) return 0;
    const bool whole = fwrite(data, 1, size, f) == size;
    if (fclose(f) == 0 && whole) through_the_door(size & 1 ? -1 : 0);
    return 0;
}
