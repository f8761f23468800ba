#include "tiles/tissue/morph.h"

#include <string.h>

mt_status morph_init(morph *m, int32_t w, int32_t h, mt_err *err)
{
    *m = (morph){.w = w, .h = h};
    MT_TRY(mt_alloc(&m->scratch, (size_t)w * (size_t)h, 1, SIZE_MAX, "mask", err));
    return mt_alloc(&m->run, (size_t)w, sizeof *m->run, SIZE_MAX, "mask", err);
}

void morph_free(morph *m)
{
    free(m->scratch);
    free(m->run);
    *m = (morph){0};
}

/* A pixel stays when it ends `need` rows in which it ended `need` pixels of `value`. */
static void erode(const morph *m, uint8_t *out, const uint8_t *in, int32_t r, bool value)
{
    const int32_t need = 2 * r + 1;
    for (int32_t x = 0; x < m->w; x++)
        m->run[x] = r; /* rows above the first */
    for (int32_t y = 0; y < m->h + r; y++) {
        int32_t along = r;
        for (int32_t x = 0; x < m->w + r; x++) {
            bool set = y >= m->h || x >= m->w || (in[(size_t)y * (size_t)m->w + (size_t)x] != 0) == value;
            along = set ? along + 1 : 0;
            if (x < r) continue;
            int32_t c = x - r;
            m->run[c] = along >= need ? m->run[c] + 1 : 0;
            if (y >= r) m->scratch[(size_t)(y - r) * (size_t)m->w + (size_t)c] = (m->run[c] >= need) == value;
        }
    }
    memcpy(out, m->scratch, (size_t)m->w * (size_t)m->h);
}

void morph_erode(const morph *m, uint8_t *out, const uint8_t *in, int32_t r)
{
    erode(m, out, in, r, true);
}

void morph_dilate(const morph *m, uint8_t *out, const uint8_t *in, int32_t r)
{
    erode(m, out, in, r, false);
}
