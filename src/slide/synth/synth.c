/* Synthetic slides: boxes on demand, the streaming writer. */
#include "slide/synth/draw.h"

#include <math.h>
#include <string.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/workers.h"
#include "codec/encode.h"
#include "slide/synth/tiff_write.h"

/* ---- boxes ---- */

enum { BOX = 512 };

void mt_synth_render(uint8_t *rgb, size_t stride, const mt_synth_opts *opts, int64_t x_l0, int64_t y_l0, int32_t w, int32_t h)
{
    MT_AUTO(synth_ctx_put) synth_ctx *c = NULL;
    MT_AUTO(synth_scratch_free) synth_scratch *s = NULL;
    if (synth_ctx_get(&c, opts, NULL) != MT_OK || synth_scratch_new(&s, c, MT_MIN(w, BOX), MT_MIN(h, BOX), NULL) != MT_OK) {
        for (int32_t y = 0; y < h; y++) memset(rgb + (size_t)y * stride, 255, 3 * (size_t)w);
        return;
    }
    for (int32_t y = 0; y < h; y += BOX)
        for (int32_t x = 0; x < w; x += BOX)
            synth_draw(c, s, rgb + (size_t)y * stride + 3 * (size_t)x, stride, x_l0 + x, y_l0 + y, MT_MIN(BOX, w - x), MT_MIN(BOX, h - y));
}

/* ---- the writer ---- */

enum { MAX_LEVELS = 4, GROUP = 4 };

typedef struct out_level {
    int64_t w, h;
    int64_t tiles_x, tiles_y;
    int image;                 /* directory in the file */
    uint8_t *band;             /* tile_px rows of tiles_x * tile_px pixels (not for level 0) */
    size_t stride;
} out_level;

/* What one block of tiles left behind, waiting for its turn in the file. */
typedef struct block {
    mt_buf bytes;
    size_t n[64];              /* bytes of each tile */
    int tiles;
} block;

typedef struct writer {
    const synth_ctx *c;
    mt_synth_opts o;
    int threads, tile;
    int n_levels;
    out_level level[MAX_LEVELS];
    mt_tiff_writer *tiff;
    /* per worker */
    synth_scratch **scratch;
    mt_jpeg_encoder **enc;
    uint8_t **px;
    /* the group of tile rows that is being drawn */
    int64_t first_row;
    int rows, per_block;       /* tile rows of the group, tiles of a block */
    int64_t blocks_x;
    block *blocks;
    uint8_t *classes;          /* truth cells of the group, or NULL */
    size_t class_stride;
    mt_buf glass_tile;         /* an empty tile, encoded once */
    synth_truth *truth;
    /* the last level, whole: thumbnail and macro are made of it */
    uint8_t *overview;
    /* lower-level band being encoded */
    const out_level *encoding;
    mt_team_err failed;
    mt_progress_fn progress;
    void *progress_ctx;
    double told;
} writer;

static void writer_free(writer *k)
{
    for (int i = 0; i < k->threads; i++) {
        if (k->scratch) synth_scratch_free(&k->scratch[i]);
        if (k->enc) mt_jpeg_encoder_free(&k->enc[i]);
        if (k->px) free(k->px[i]);
    }
    free(k->scratch);
    free(k->enc);
    free(k->px);
    for (int64_t i = 0; k->blocks && i < k->blocks_x * GROUP; i++) mt_buf_free(&k->blocks[i].bytes);
    free(k->blocks);
    free(k->classes);
    free(k->overview);
    mt_buf_free(&k->glass_tile);
    for (int i = 0; i < k->n_levels; i++) free(k->level[i].band);
    synth_truth_discard(&k->truth);
    mt_tiff_writer_discard(&k->tiff);
}

static void levels_plan(writer *k)
{
    int64_t w = k->o.width, h = k->o.height;
    while (k->n_levels < MAX_LEVELS) {
        out_level *l = &k->level[k->n_levels++];
        *l = (out_level){.w = w, .h = h, .tiles_x = (w + k->tile - 1) / k->tile, .tiles_y = (h + k->tile - 1) / k->tile};
        l->stride = (size_t)l->tiles_x * (size_t)k->tile * 3;
        if (MT_MAX(w, h) <= 1024 || MT_MIN(w, h) < 8) break;
        w /= 4;
        h /= 4;
    }
}

static mt_status memory_get(writer *k, mt_err *err)
{
    const size_t ceiling = (size_t)2 << 30, tile_bytes = (size_t)k->tile * (size_t)k->tile * 3;
    const out_level *last = &k->level[k->n_levels - 1];
    k->per_block = MT_MAX(1, MT_MIN(16, 512 / k->tile));
    k->blocks_x = (k->level[0].tiles_x + k->per_block - 1) / k->per_block;
    MT_TRY(mt_alloc(&k->scratch, (size_t)k->threads, sizeof *k->scratch, ceiling, "drawing memory", err));
    MT_TRY(mt_alloc(&k->enc, (size_t)k->threads, sizeof *k->enc, ceiling, "drawing memory", err));
    MT_TRY(mt_alloc(&k->px, (size_t)k->threads, sizeof *k->px, ceiling, "drawing memory", err));
    MT_TRY(mt_alloc(&k->blocks, (size_t)k->blocks_x * GROUP, sizeof *k->blocks, ceiling, "tile buffers", err));
    for (int64_t i = 0; i < k->blocks_x * GROUP; i++) k->blocks[i].bytes = (mt_buf)MT_BUF_INIT((size_t)64 << 20);
    for (int i = 1; i < k->n_levels; i++)
        MT_TRY(mt_alloc(&k->level[i].band, k->level[i].stride * (size_t)k->tile, 1, ceiling, "pyramid rows", err));
    MT_TRY(mt_alloc(&k->overview, (size_t)last->w * 3 * (size_t)last->h, 1, ceiling, "overview", err));
    const mt_jpeg_enc_opts jo = {1, k->o.jpeg_quality, k->o.subsampling, k->o.rgb, true};
    for (int i = 0; i < k->threads; i++) {
        MT_TRY(synth_scratch_new(&k->scratch[i], k->c, k->per_block * k->tile, k->tile, err));
        MT_TRY(mt_jpeg_encoder_new(&k->enc[i], &jo, err));
        MT_TRY(mt_alloc_aligned(&k->px[i], tile_bytes * (size_t)k->per_block, ceiling, "drawing memory", err));
    }
    if (k->truth) {
        k->class_stride = (size_t)(k->o.width + SYNTH_TRUTH_CELL - 1) / SYNTH_TRUTH_CELL;
        MT_TRY(mt_alloc(&k->classes, k->class_stride, (size_t)(GROUP * k->tile / SYNTH_TRUTH_CELL), ceiling, "truth rows", err));
    }
    uint8_t *p = k->px[0];
    for (size_t i = 0; i < tile_bytes; i += 3) memcpy(p + i, k->c->glass, 3);
    k->glass_tile = (mt_buf)MT_BUF_INIT((size_t)16 << 20);
    return mt_jpeg_encoder_encode(k->enc[0], &k->glass_tile, p, (size_t)k->tile * 3, k->tile, k->tile, err);
}

/* Mean of 4 x 4 pixels, rounded, for n_x x n_y pixels. */
static void reduce4(uint8_t *dst, size_t dst_stride, const uint8_t *src, size_t src_stride, int64_t n_x, int64_t n_y)
{
    for (int64_t y = 0; y < n_y; y++) {
        const uint8_t *s0 = src + (size_t)(4 * y) * src_stride, *s1 = s0 + src_stride, *s2 = s1 + src_stride, *s3 = s2 + src_stride;
        uint8_t *d = dst + (size_t)y * dst_stride;
        for (int64_t x = 0; x < n_x; x++, s0 += 12, s1 += 12, s2 += 12, s3 += 12, d += 3)
            for (int q = 0; q < 3; q++) {
                const unsigned sum = (unsigned)(s0[q] + s0[q + 3] + s0[q + 6] + s0[q + 9]) + (unsigned)(s1[q] + s1[q + 3] + s1[q + 6] + s1[q + 9]) +
                                     (unsigned)(s2[q] + s2[q + 3] + s2[q + 6] + s2[q + 9]) + (unsigned)(s3[q] + s3[q + 3] + s3[q + 6] + s3[q + 9]);
                d[q] = (uint8_t)((sum + 8) >> 4);
            }
    }
}

static void overview_rows(writer *k, const uint8_t *src, size_t stride, int64_t x, int64_t y, int64_t w, int64_t h)
{
    const out_level *last = &k->level[k->n_levels - 1];
    w = MT_MIN(w, last->w - x);
    h = MT_MIN(h, last->h - y);
    for (int64_t r = 0; r < h && w > 0; r++)
        memcpy(k->overview + ((size_t)(y + r) * (size_t)last->w + (size_t)x) * 3, src + (size_t)r * stride, 3 * (size_t)w);
}

/* Draws and encodes one block; feeds the next level and the truth. Blocks of a group touch disjoint
 * parts of both. */
static void block_draw(void *ctx, int worker, size_t index)
{
    writer *k = ctx;
    if (mt_team_failed(&k->failed)) return;
    const int64_t row = (int64_t)index / k->blocks_x, col = (int64_t)index % k->blocks_x;
    const int64_t tx = col * k->per_block, ty = k->first_row + row;
    block *b = &k->blocks[index];
    b->tiles = (int)MT_MIN(k->per_block, k->level[0].tiles_x - tx);
    b->bytes.len = 0;
    const int64_t x = tx * k->tile, y = ty * k->tile;
    const int w = b->tiles * k->tile;
    uint8_t *px = k->px[worker];
    const size_t stride = (size_t)w * 3;
    const bool glass = synth_draw(k->c, k->scratch[worker], px, stride, x, y, w, k->tile);
    mt_err err = MT_ERR_INIT;
    for (int t = 0; t < b->tiles; t++) {
        const size_t before = b->bytes.len;
        if (glass) mt_buf_append(&b->bytes, k->glass_tile.data, k->glass_tile.len);
        else if (mt_jpeg_encoder_encode(k->enc[worker], &b->bytes, px + (size_t)t * (size_t)k->tile * 3, stride, k->tile, k->tile, &err) != MT_OK) break;
        b->n[t] = b->bytes.len - before;
    }
    if (err.code || mt_buf_status(&b->bytes, "tiles of a block", &err) != MT_OK) {
        mt_team_fail(&k->failed, &err);
        return;
    }
    if (k->n_levels > 1) {
        out_level *l = &k->level[1];
        const int64_t lx = x / 4, ly = row * (k->tile / 4);
        const int64_t n_x = MT_MIN(w / 4, l->w - lx), n_y = MT_MIN(k->tile / 4, l->h - y / 4);
        reduce4(l->band + (size_t)ly * l->stride + (size_t)lx * 3, l->stride, px, stride, n_x, n_y);
    } else {
        overview_rows(k, px, stride, x, y, w, k->tile);
    }
    if (k->classes) {
        const int n_x = (int)MT_MIN(w / SYNTH_TRUTH_CELL, (int64_t)k->class_stride - x / SYNTH_TRUTH_CELL);
        synth_truth_cells(k->c, &k->scratch[worker]->grid,
                          k->classes + (size_t)(row * k->tile / SYNTH_TRUTH_CELL) * k->class_stride + x / SYNTH_TRUTH_CELL,
                          k->class_stride, x, y, n_x, k->tile / SYNTH_TRUTH_CELL);
    }
}

static void band_encode_tile(void *ctx, int worker, size_t tx)
{
    writer *k = ctx;
    if (mt_team_failed(&k->failed)) return;
    mt_err err = MT_ERR_INIT;
    block *b = &k->blocks[tx];
    b->bytes.len = 0;
    if (mt_jpeg_encoder_encode(k->enc[worker], &b->bytes, k->encoding->band + tx * (size_t)k->tile * 3, k->encoding->stride,
                               k->tile, k->tile, &err) != MT_OK)
        mt_team_fail(&k->failed, &err);
}

/* Fills what lies beyond the level inside its last tiles by repeating the edge. */
static void band_pad(const out_level *l, int tile, int64_t rows)
{
    const size_t used = (size_t)l->w * 3;
    for (int64_t y = 0; y < rows; y++) {
        uint8_t *p = l->band + (size_t)y * l->stride;
        for (size_t x = used; x < l->stride; x++) p[x] = p[x - 3];
    }
    for (int64_t y = rows; y < tile; y++) memcpy(l->band + (size_t)y * l->stride, l->band + (size_t)(rows - 1) * l->stride, l->stride);
}

/* A row of tiles of a lower level is complete: to the file, and down to the next level. */
static mt_status band_finish(writer *k, int level, int64_t ty, mt_err *err)
{
    for (;; level++) {
        out_level *l = &k->level[level];
        const int64_t rows = MT_MIN(k->tile, l->h - ty * k->tile);
        if (rows > 0) {
            band_pad(l, k->tile, rows);
            k->encoding = l;
            mt_workers_each(k->threads, (size_t)l->tiles_x, band_encode_tile, k);
            if (k->failed.set) return mt_err_set(err, k->failed.err.code, "level %d: %s", level, k->failed.err.text);
            for (int64_t tx = 0; tx < l->tiles_x; tx++)
                MT_TRY(mt_tiff_writer_put(k->tiff, l->image, (uint64_t)(ty * l->tiles_x + tx), k->blocks[tx].bytes.data, k->blocks[tx].bytes.len, err));
        }
        if (level + 1 == k->n_levels) {
            if (rows > 0) overview_rows(k, l->band, l->stride, 0, ty * k->tile, l->w, rows);
            return MT_OK;
        }
        out_level *next = &k->level[level + 1];
        const int64_t y = ty * k->tile / 4, n_y = MT_MIN(k->tile / 4, next->h - y);
        if (n_y > 0) reduce4(next->band + (size_t)(ty % 4 * (k->tile / 4)) * next->stride, next->stride, l->band, l->stride, next->w, n_y);
        if (ty % 4 != 3 && ty + 1 < l->tiles_y) return MT_OK;
        ty /= 4;
    }
}

static mt_status tell(writer *k, uint64_t done, mt_err *err)
{
    const uint64_t total = (uint64_t)(k->level[0].tiles_x * k->level[0].tiles_y);
    const double now = mt_clock_wall();
    if (!k->progress || (done < total && now - k->told < 0.1)) return MT_OK;
    k->told = now;
    return k->progress(k->progress_ctx, done, total) ? mt_err_set(err, MT_ERR_CANCELLED, "stopped by request") : MT_OK;
}

static mt_status group_write(writer *k, mt_err *err)
{
    const out_level *l = &k->level[0];
    k->rows = (int)MT_MIN(GROUP, l->tiles_y - k->first_row);
    mt_workers_each(k->threads, (size_t)(k->rows * k->blocks_x), block_draw, k);
    if (k->failed.set) return mt_err_set(err, k->failed.err.code, "%s", k->failed.err.text);
    for (int64_t i = 0; i < k->rows * k->blocks_x; i++) {
        const block *b = &k->blocks[i];
        const uint64_t first = (uint64_t)((k->first_row + i / k->blocks_x) * l->tiles_x + i % k->blocks_x * k->per_block);
        size_t at = 0;
        for (int t = 0; t < b->tiles; at += b->n[t], t++)
            MT_TRY(mt_tiff_writer_put(k->tiff, l->image, first + (uint64_t)t, b->bytes.data + at, b->n[t], err));
    }
    if (k->truth) {
        const int64_t all = (k->o.height + SYNTH_TRUTH_CELL - 1) / SYNTH_TRUTH_CELL, first = k->first_row * k->tile / SYNTH_TRUTH_CELL;
        MT_TRY(synth_truth_rows(k->truth, k->classes, k->class_stride, MT_MIN(k->rows * k->tile / SYNTH_TRUTH_CELL, all - first), err));
    }
    if (k->n_levels > 1) MT_TRY(band_finish(k, 1, k->first_row / GROUP, err));
    return tell(k, (uint64_t)((k->first_row + k->rows) * l->tiles_x), err);
}

/* ---- directories ---- */

static const char *spacing_text(char out[32], double mpp)
{
    snprintf(out, 32, "%.4f", mpp);
    if (fabs(strtod(out, NULL) - mpp) > 1e-12) snprintf(out, 32, "%.10g", mpp);
    return out;
}

static void aperio_text(char *out, size_t cap, const writer *k)
{
    char mpp[32], spacing[48] = "";
    if (!k->o.no_mpp) snprintf(spacing, sizeof spacing, "|MPP = %s", spacing_text(mpp, k->o.mpp));
    const uint32_t h = synth_hash(2, 2, k->c->salt);
    snprintf(out, cap,
             "|AppMag = %g|StripeWidth = 2040|ScanScope ID = SYNTH%03u|Filename = synth-%llu|Date = %02u/%02u/26|Time = %02u:%02u:%02u"
             "|User = %08x-0000-4000-8000-%012llx%s|Left = 25.0|Top = 23.0|Synthetic = microtome",
             round(100.0 / k->o.mpp) / 10.0, h % 1000, (unsigned long long)k->o.seed, 1 + h % 12, 1 + (h >> 4) % 28, (h >> 9) % 24,
             (h >> 14) % 60, (h >> 20) % 60, h, (unsigned long long)k->o.seed & 0xFFFFFFFFFFFFull, spacing);
}

static void level_image(mt_tiff_image *m, char *text, size_t cap, const writer *k, int level)
{
    const out_level *l = &k->level[level], *l0 = &k->level[0];
    char more[512];
    if (k->o.layout == MT_SYNTH_SVS) {
        aperio_text(more, sizeof more, k);
        snprintf(text, cap, "Aperio Image Library v11.2.1 \r\n%lldx%lld [0,0 %lldx%lld] (%dx%d) JPEG/%s Q=%d%s", (long long)l0->w,
                 (long long)l0->h, (long long)l0->w, (long long)l0->h, k->tile, k->tile, k->o.rgb ? "RGB" : "YCC", k->o.jpeg_quality, more);
        if (level)
            snprintf(text, cap, "Aperio Image Library v11.2.1 \r\n%lldx%lld [0,0 %lldx%lld] (%dx%d) -> %lldx%lld JPEG/%s Q=%d%s",
                     (long long)l0->w, (long long)l0->h, (long long)l0->w, (long long)l0->h, k->tile, k->tile, (long long)l->w,
                     (long long)l->h, k->o.rgb ? "RGB" : "YCC", k->o.jpeg_quality, more);
    } else {
        snprintf(text, cap, "microtome synth seed=%llu size=%lldx%lld", (unsigned long long)k->o.seed, (long long)l0->w, (long long)l0->h);
        m->subfile = level > 0;
        if (!k->o.no_mpp) {
            m->px_per_cm_x = 1e4 / k->o.mpp * (double)l->w / (double)l0->w;
            m->px_per_cm_y = 1e4 / k->o.mpp * (double)l->h / (double)l0->h;
        }
        m->software = "microtome synth";
    }
    m->description = text;
    m->width = l->w;
    m->height = l->h;
    m->tile_w = m->tile_h = k->tile;
}

static mt_status level_declare(writer *k, int level, const mt_buf *tables, mt_err *err)
{
    char text[1024];
    mt_tiff_image m = MT_TIFF_IMAGE_INIT;
    level_image(&m, text, sizeof text, k, level);
    m.compression = MT_TIFF_JPEG;
    m.photometric = k->o.rgb ? MT_TIFF_RGB : MT_TIFF_YCBCR;
    m.sub_h = !k->o.rgb && k->o.subsampling != 444 ? 2 : 1;
    m.sub_v = !k->o.rgb && k->o.subsampling == 420 ? 2 : 1;
    m.jpeg_tables = tables->data;
    m.n_jpeg_tables = tables->len;
    return mt_tiff_writer_image(&k->level[level].image, k->tiff, &m, err);
}

/* One more picture of an SVS file: whole, in one strip. */
static mt_status picture_declare(int *index, writer *k, const char *text, int w, int h, uint32_t subfile, bool lzw, mt_err *err)
{
    mt_tiff_image m = MT_TIFF_IMAGE_INIT;
    m.width = w;
    m.height = h;
    m.compression = lzw ? MT_TIFF_LZW : MT_TIFF_JPEG;
    m.photometric = lzw ? MT_TIFF_RGB : MT_TIFF_YCBCR;
    m.sub_h = m.sub_v = lzw ? 1 : 2;
    m.predictor = lzw ? 2 : 1;
    m.subfile = subfile;
    m.description = text;
    return mt_tiff_writer_image(index, k->tiff, &m, err);
}

static mt_status picture_put(writer *k, int index, uint8_t *rgb, int w, int h, bool lzw, mt_err *err)
{
    MT_AUTO(mt_buf_free) mt_buf b = MT_BUF_INIT((size_t)64 << 20);
    if (lzw) {
        for (int y = 0; y < h; y++)
            for (int i = 3 * w - 1; i >= 3; i--) rgb[(size_t)y * 3 * (size_t)w + (size_t)i] -= rgb[(size_t)y * 3 * (size_t)w + (size_t)i - 3];
        mt_tiff_lzw(&b, rgb, (size_t)w * 3 * (size_t)h);
        MT_TRY(mt_buf_status(&b, "label", err));
    } else {
        MT_AUTO(mt_jpeg_encoder_free) mt_jpeg_encoder *e = NULL;
        /* a whole stream: tables inside, no JFIF marker to contradict the tags */
        const mt_jpeg_enc_opts jo = {1, 85, 420, false, false};
        MT_TRY(mt_jpeg_encoder_new(&e, &jo, err));
        MT_TRY(mt_jpeg_encoder_encode(e, &b, rgb, (size_t)w * 3, w, h, err));
    }
    return mt_tiff_writer_put(k->tiff, index, 0, b.data, b.len, err);
}

typedef struct pictures {
    int thumbnail, label, macro;
    int tw, th;
} pictures;

enum { LABEL_W = 387, LABEL_H = 463, MACRO_W = 1280, MACRO_H = 431 };

/* Aperio's order: level 0, thumbnail, lower levels, label, macro. */
static mt_status directories_declare(writer *k, pictures *p, mt_err *err)
{
    MT_AUTO(mt_buf_free) mt_buf tables = MT_BUF_INIT(65536);
    MT_TRY(mt_jpeg_encoder_tables(k->enc[0], &tables, err));
    MT_TRY(level_declare(k, 0, &tables, err));
    const bool svs = k->o.layout == MT_SYNTH_SVS;
    char text[1024], more[512];
    if (svs) {
        const double f = MT_MIN(1.0, MT_MIN(1024.0 / (double)k->o.width, 768.0 / (double)k->o.height));
        p->tw = MT_MAX(1, (int)((double)k->o.width * f));
        p->th = MT_MAX(1, (int)((double)k->o.height * f));
        aperio_text(more, sizeof more, k);
        snprintf(text, sizeof text, "Aperio Image Library v11.2.1 \r\n%lldx%lld -> %dx%d - %s", (long long)k->o.width, (long long)k->o.height, p->tw, p->th, more);
        MT_TRY(picture_declare(&p->thumbnail, k, text, p->tw, p->th, 0, false, err));
    }
    for (int i = 1; i < k->n_levels; i++) MT_TRY(level_declare(k, i, &tables, err));
    if (!svs) return MT_OK;
    snprintf(text, sizeof text, "Aperio Image Library v11.2.1 \nlabel %dx%d", LABEL_W, LABEL_H);
    MT_TRY(picture_declare(&p->label, k, text, LABEL_W, LABEL_H, 1, true, err));
    snprintf(text, sizeof text, "Aperio Image Library v11.2.1 \nmacro %dx%d", MACRO_W, MACRO_H);
    return picture_declare(&p->macro, k, text, MACRO_W, MACRO_H, 9, false, err);
}

/* Area mean of the overview, any size down (or nearest up). */
static mt_status overview_scaled(uint8_t **out, const writer *k, int w, int h, mt_err *err)
{
    const out_level *l = &k->level[k->n_levels - 1];
    MT_AUTO_FREE uint8_t *rgb = NULL;
    MT_TRY(mt_alloc(&rgb, (size_t)w * (size_t)h, 3, (size_t)64 << 20, "thumbnail", err));
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            const int64_t x0 = x * l->w / w, x1 = MT_MAX(x0 + 1, (x + 1) * l->w / w), y0 = y * l->h / h, y1 = MT_MAX(y0 + 1, (y + 1) * l->h / h);
            uint64_t sum[3] = {0};
            for (int64_t v = y0; v < y1; v++)
                for (int64_t u = x0; u < x1; u++)
                    for (int q = 0; q < 3; q++) sum[q] += k->overview[((size_t)v * (size_t)l->w + (size_t)u) * 3 + (size_t)q];
            const uint64_t n = (uint64_t)((x1 - x0) * (y1 - y0));
            for (int q = 0; q < 3; q++) rgb[((size_t)y * (size_t)w + (size_t)x) * 3 + (size_t)q] = (uint8_t)((sum[q] + n / 2) / n);
        }
    *out = mt_steal(rgb);
    return MT_OK;
}

static mt_status pictures_write(writer *k, const pictures *p, mt_err *err)
{
    MT_AUTO_FREE uint8_t *thumb = NULL;
    MT_AUTO_FREE uint8_t *label = NULL;
    MT_AUTO_FREE uint8_t *macro = NULL;
    MT_TRY(overview_scaled(&thumb, k, p->tw, p->th, err));
    MT_TRY(synth_label(&label, LABEL_W, LABEL_H, k->c, k->o.label_text, err));
    MT_TRY(synth_macro(&macro, MACRO_W, MACRO_H, k->c, k->o.label_text, thumb, p->tw, p->th, err));
    MT_TRY(picture_put(k, p->thumbnail, thumb, p->tw, p->th, false, err));
    MT_TRY(picture_put(k, p->label, label, LABEL_W, LABEL_H, true, err));
    return picture_put(k, p->macro, macro, MACRO_W, MACRO_H, false, err);
}

static mt_status write_check(const mt_synth_opts *o, mt_err *err)
{
    MT_TRY(synth_opts_check(o, err));
    if (o->layout != MT_SYNTH_SVS && o->layout != MT_SYNTH_TIFF) return mt_err_set(err, MT_ERR_ARG, "layout %d is unknown", (int)o->layout);
    if (o->tile_px < 16 || o->tile_px > 1024 || o->tile_px % 16)
        return mt_err_set(err, MT_ERR_ARG, "tile side %d: must be a multiple of 16 in 16..1024", o->tile_px);
    return MT_OK;
}

mt_status mt_synth_write(const char *path, const mt_synth_opts *opts, const char *truth_geojson, const char *truth_csv,
                         int32_t truth_px, mt_progress_fn progress, void *ctx, mt_err *err)
{
    MT_TRY(write_check(opts, err));
    MT_AUTO(synth_ctx_put) synth_ctx *c = NULL;
    MT_TRY(synth_ctx_get(&c, opts, err));
    MT_AUTO(writer_free) writer k = {.c = c, .o = *opts, .tile = opts->tile_px, .progress = progress, .progress_ctx = ctx};
    k.threads = MT_MAX(1, MT_MIN(256, opts->threads));
    if (k.o.rgb) k.o.subsampling = 444;
    levels_plan(&k);
    if (truth_geojson || truth_csv) MT_TRY(synth_truth_open(&k.truth, c, truth_geojson, truth_csv, truth_px, err));
    MT_TRY(memory_get(&k, err));
    MT_TRY(mt_tiff_writer_open(&k.tiff, path, false, err));
    pictures p;
    MT_TRY(directories_declare(&k, &p, err));
    for (k.first_row = 0; k.first_row < k.level[0].tiles_y; k.first_row += GROUP) MT_TRY(group_write(&k, err));
    if (k.o.layout == MT_SYNTH_SVS) MT_TRY(pictures_write(&k, &p, err));
    if (k.truth) MT_TRY(synth_truth_close(&k.truth, err));
    return mt_tiff_writer_close(&k.tiff, err);
}
