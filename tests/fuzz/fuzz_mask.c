// rooms: tiles
/* Tissue masks: GeoJSON by QuPath's classes and PNG onto a grid; figures of stains. The first byte says
 * which. */
#include <math.h>
#include <string.h>
#include "tiles/tissue/mask.h"
#include "tiles/stain/stain.h"
#include "tiles/tissue/in.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void mask(const uint8_t *data, size_t size)
{
    mt_err err = MT_ERR_INIT;
    mt_tissue *t = calloc(1, sizeof *t);
    if (!t) return;
    *t = (mt_tissue){.width = 70, .height = 50, .px_l0 = 16, .mask_mpp = 8, .slide_w = 1111, .slide_h = 795, .slide_mm2 = 0.2};
    t->mask = calloc(70, 50);
    if (t->mask && mask_index(t, &err) == MT_OK) {
        mt_status st = tissue_in_bytes(t, data, size, "mask", &err);
        size_t n = 0;
        for (int i = 0; i < 70 * 50; i++) {
            if (t->mask[i] != 0 && t->mask[i] != 255) abort();
            n += t->mask[i] != 0;
        }
        if ((st != MT_OK) != (err.text[0] != 0) || (st != MT_OK && n)) abort();
        if (st == MT_OK && ((n > 0) != (t->n_pieces > 0) || !(t->tissue_mm2 >= 0))) abort();
    }
    mt_tissue_free(&t);
}

static void stain(const uint8_t *data, size_t size)
{
    mt_err err = MT_ERR_INIT;
    mt_stain s;
    mt_status st = mt_stain_parse(&s, (const char *)data, size, "stain", &err);
    if ((st != MT_OK) != (err.text[0] != 0)) abort();
    if (st != MT_OK) return;
    for (int m = MT_STAIN_MACENKO; m <= MT_STAIN_REINHARD; m++) { /* as source and as target */
        mt_stain_map *map = NULL;
        uint8_t px[6] = {0, 128, 255, 255, 255, 255};
        for (int i = 0; i < 2; i++) {
            const mt_stain *ref = mt_stain_reference();
            mt_err_clear(&err);
            if (mt_stain_map_normalise(&map, (mt_stain_method)m, i ? ref : &s, i ? &s : ref, &err) == MT_OK)
                mt_stain_map_apply(map, px, 2);
            mt_stain_map_free(&map);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size && data[0] == 's')
        stain(data + 1, size - 1);
    else if (size)
        mask(data + 1, size - 1);
    return 0;
}
