/* The mask as other tools read it: a grey PNG, and polygons for QuPath. */
#include "microtome/tiles.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include "base/file.h"
#include "base/json.h"
#include "codec/encode.h"
#include "tiles/tissue/outline.h"

mt_status mt_tissue_write_png(const mt_tissue *t, const char *path, mt_err *err)
{
    MT_AUTO(mt_buf_free) mt_buf png = MT_BUF_INIT((size_t)1 << 30);
    MT_TRY(mt_png_encode(&png, t->mask, (size_t)t->width, t->width, t->height, 1, err));
    MT_TRY(mt_buf_status(&png, "tissue mask", err));
    return mt_file_write(path, png.data, png.len, err);
}

/* Same outline, same id, on every run and machine. */
typedef struct id128 {
    uint64_t a, b;
} id128;

static void id_mix(id128 *id, uint64_t v)
{
    id->a = (id->a ^ v) * UINT64_C(0x100000001b3);
    id->a ^= id->a >> 29;
    id->b = (id->b + v + UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xbf58476d1ce4e5b9);
    id->b ^= id->b >> 31;
}

/* A UUID of version 8: made by our own rule (RFC 9562, 5.8). */
static void id_text(char out[37], id128 id)
{
    id.a = (id.a & ~UINT64_C(0xf000)) | 0x8000;
    id.b = (id.b & ~(UINT64_C(3) << 62)) | UINT64_C(2) << 62;
    snprintf(out, 37, "%08" PRIx64 "-%04" PRIx64 "-%04" PRIx64 "-%04" PRIx64 "-%012" PRIx64,
             id.a >> 32, id.a >> 16 & 0xffff, id.a & 0xffff, id.b >> 48,
             id.b & UINT64_C(0xffffffffffff));
}

/* Hundredths of a level-0 pixel are plenty; no point lies beyond the slide. */
static void put_number(FILE *f, double mask_coord, const mt_tissue *t, int64_t limit)
{
    char text[32];
    double v = mask_coord * t->px_l0;
    if (limit > 0) v = MT_MIN(v, (double)limit);
    mt_fmt_f64(text, sizeof text, nearbyint(v * 100) / 100);
    fputs(text, f);
}

static void put_ring(FILE *f, const outlines *o, const outline_ring *ring, const mt_tissue *t)
{
    fputc('[', f);
    for (size_t i = 0; i <= ring->n; i++) {
        const int32_t *p = o->points[ring->begin + i % ring->n];
        fputs(i ? ",[" : "[", f);
        put_number(f, p[0], t, t->slide_w);
        fputc(',', f);
        put_number(f, p[1], t, t->slide_h);
        fputc(']', f);
    }
    fputc(']', f);
}

static void put_piece(FILE *f, const outlines *o, size_t first, size_t end, const mt_tissue *t)
{
    char uuid[37];
    id128 id = {UINT64_C(0xcbf29ce484222325), (uint64_t)llround(t->px_l0 * 1e6)};
    for (size_t r = first; r < end; r++) {
        id_mix(&id, o->rings[r].n);
        for (size_t i = 0; i < o->rings[r].n; i++) {
            const int32_t *p = o->points[o->rings[r].begin + i];
            id_mix(&id, (uint64_t)(uint32_t)p[0] << 32 | (uint32_t)p[1]);
        }
    }
    id_text(uuid, id);
    fprintf(
        f,
        "{\"type\":\"Feature\",\"id\":\"%s\",\"geometry\":{\"type\":\"Polygon\",\"coordinates\":[",
        uuid);
    for (size_t r = first; r < end; r++) {
        if (r > first) fputc(',', f);
        put_ring(f, o, &o->rings[r], t);
    }
    fputs(
        "]},\"properties\":{\"objectType\":\"annotation\",\"classification\":{\"name\":\"Tissue\","
        "\"color\":[0,128,96]}}}",
        f);
}

mt_status mt_tissue_write_geojson(const mt_tissue *t, const char *path, mt_err *err)
{
    MT_AUTO(mt_outfile_discard) mt_outfile file = MT_OUTFILE_INIT;
    MT_AUTO(outlines_free) outlines o = {0};
    MT_TRY(outlines_find(&o, t->mask, t->width, t->height, err));
    MT_TRY(mt_outfile_open(&file, path, err));
    fputs("{\"type\":\"FeatureCollection\",\"features\":[", file.f);
    for (size_t first = 0, end; first < o.n_rings; first = end) {
        for (end = first + 1; end < o.n_rings && o.rings[end].piece == o.rings[first].piece;)
            end++;
        fputs(first ? ",\n" : "\n", file.f);
        put_piece(file.f, &o, first, end, t);
    }
    fputs("\n]}\n", file.f);
    return mt_outfile_commit(&file, err);
}
