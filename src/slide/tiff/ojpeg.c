#include "slide/tiff/ojpeg.h"

#include <pthread.h>
#include <string.h>
#include <tiffio.h>

struct mt_ojpeg {
    TIFF *tiff;
    const uint8_t *data;   /* of the map */
    size_t size, pos;
    uint64_t dir_at;       /* directory that is set */
    uint32_t *raster;
    size_t room;
};

static tmsize_t mem_read(thandle_t user, void *to, tmsize_t n)
{
    mt_ojpeg *o = user;
    if (n < 0 || o->pos > o->size) return 0;
    const size_t k = MT_MIN((size_t)n, o->size - o->pos);
    memcpy(to, o->data + o->pos, k);
    o->pos += k;
    return (tmsize_t)k;
}

static tmsize_t mem_write(thandle_t user, void *from, tmsize_t n) { return 0; }

static toff_t mem_seek(thandle_t user, toff_t at, int whence)
{
    mt_ojpeg *o = user;
    const uint64_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? o->pos : o->size;
    o->pos = (size_t)(base + at); /* reads past the end give nothing */
    return o->pos;
}

static int mem_close(thandle_t user) { return 0; }
static toff_t mem_size(thandle_t user) { return ((mt_ojpeg *)user)->size; }

static pthread_once_t quiet_once = PTHREAD_ONCE_INIT;
static void quiet(void)
{
    TIFFSetErrorHandler(NULL);
    TIFFSetWarningHandler(NULL);
}

void mt_ojpeg_close(mt_ojpeg **o)
{
    if (!*o) return;
    if ((*o)->tiff) TIFFClose((*o)->tiff);
    free((*o)->raster);
    free(*o);
    *o = NULL;
}

static mt_status open_handle(mt_ojpeg **out, const mt_tiff *t, mt_err *err)
{
    pthread_once(&quiet_once, quiet);
    MT_AUTO(mt_ojpeg_close) mt_ojpeg *o = NULL;
    MT_TRY(mt_alloc(&o, 1, sizeof *o, sizeof *o, "libtiff reader", err));
    o->data = t->data;
    o->size = t->size;
    /* m: libtiff's own map is not wanted, the data are mapped and guarded already. */
    o->tiff = TIFFClientOpen("slide", "rm", o, mem_read, mem_write, mem_seek, mem_close, mem_size,
                             NULL, NULL);
    if (!o->tiff) return mt_err_set(err, MT_ERR_FORMAT, "libtiff cannot open the file");
    *out = mt_steal(o);
    return MT_OK;
}

static mt_status set_dir(mt_ojpeg *o, const mt_tiff_dir *d, mt_err *err)
{
    if (o->dir_at == d->at) return MT_OK;
    o->dir_at = 0;
    if (!TIFFSetSubDirectory(o->tiff, d->at))
        return mt_err_set(err, MT_ERR_FORMAT, "libtiff cannot read the directory");
    o->dir_at = d->at;
    return MT_OK;
}

/* The raster stands on its head. */
static void copy_rows(uint8_t *rgb, size_t stride, const uint32_t *raster, int32_t w, int32_t rows)
{
    for (int32_t y = 0; y < rows; y++) {
        const uint32_t *from = raster + (size_t)(rows - 1 - y) * (size_t)w;
        uint8_t *to = rgb + (size_t)y * stride;
        for (int32_t x = 0; x < w; x++, to += 3) {
            to[0] = (uint8_t)TIFFGetR(from[x]);
            to[1] = (uint8_t)TIFFGetG(from[x]);
            to[2] = (uint8_t)TIFFGetB(from[x]);
        }
    }
}

mt_status mt_ojpeg_decode(mt_ojpeg **op, const mt_tiff *t, const mt_tiff_picture *p, int64_t tx,
                          int64_t ty, uint8_t *rgb, size_t stride, mt_err *err)
{
    if (!*op) MT_TRY(open_handle(op, t, err));
    mt_ojpeg *o = *op;
    MT_TRY(set_dir(o, p->dir, err));
    const size_t need = (size_t)p->tile_w * (size_t)p->tile_h;
    if (o->room < need) {
        free(o->raster);
        o->raster = NULL;
        o->room = 0;
        MT_TRY(mt_alloc(&o->raster, need, 4, 4 * MT_CODEC_MAX_PIXELS, "tile", err));
        o->room = need;
    }
    const uint32_t x = (uint32_t)(tx * p->tile_w), y = (uint32_t)(ty * p->tile_h);
    const bool tiled = p->dir->tile_w > 0;
    const int32_t rows = tiled ? p->tile_h : (int32_t)MT_MIN((int64_t)p->tile_h, p->height - y);
    memset(o->raster, 255, 4 * need);
    if (!(tiled ? TIFFReadRGBATileExt(o->tiff, x, y, o->raster, 1)
                : TIFFReadRGBAStripExt(o->tiff, y, o->raster, 1)))
        return mt_err_set(err, MT_ERR_FORMAT, "libtiff cannot decode the old-style JPEG data");
    copy_rows(rgb, stride, o->raster, p->tile_w, rows);
    for (int32_t i = rows; i < p->tile_h; i++)
        memset(rgb + (size_t)i * stride, 255, 3 * (size_t)p->tile_w);
    return MT_OK;
}
