#include "tiles/natives.h"

#define CEILING ((size_t)512 << 20) /* of one tile */
#define MEMORY ((size_t)256 << 20)  /* of all workers */

mt_status natives_open(natives *out, const mt_slide *slide, int threads, size_t bytes, size_t beside,
                       mt_err *err)
{
    size_t each;
    if (!mt_add(&each, bytes, beside)) each = SIZE_MAX;
    const size_t fit = MT_MAX(MEMORY / MT_MAX(each, (size_t)1), (size_t)1), n = MT_MIN((size_t)threads, fit);
    MT_TRY(mt_alloc(&out->readers, n, sizeof *out->readers, SIZE_MAX, "tile readers", err));
    MT_TRY(mt_alloc(&out->px, n, sizeof *out->px, SIZE_MAX, "tile readers", err));
    out->n = (int)n;
    for (size_t i = 0; i < n; i++) {
        MT_TRY(mt_tile_reader_new(&out->readers[i], slide, err));
        MT_TRY(mt_alloc_aligned(&out->px[i], bytes, CEILING, "native tile", err));
    }
    return MT_OK;
}

void natives_free(natives *n)
{
    for (int i = 0; i < n->n; i++) {
        mt_tile_reader_free(&n->readers[i]);
        free(n->px[i]);
    }
    free(n->readers);
    free(n->px);
    *n = (natives){0};
}
