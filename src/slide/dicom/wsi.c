/* The format row of DICOM whole-slide images, and the tiles of an open one. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include "slide/dicom/levels.h"

/* ---- bytes ---- */

static mt_status unfold(mt_dicom_part *p, mt_err *err)
{
    mt_dcm_file head;
    MT_TRY(mt_dcm_open(&p->inflated, &head, p->map.data, p->map.size, false, err));
    for (;;) {
        mt_dcm_element e;
        MT_TRY(mt_dcm_next(&e, p->inflated, err));
        if (e.event == MT_DCM_END) return mt_err_set(err, MT_ERR_FORMAT, "no pixel data");
        if (e.event == MT_DCM_ELEMENT && e.depth == 0 && e.tag == MT_DCM_TAG(0x7fe0, 0x0010)) {
            p->bytes = e.value;
            p->n_bytes = (size_t)e.length;
            return MT_OK;
        }
        if (e.event == MT_DCM_SEQUENCE || e.event == MT_DCM_PIXELS)
            MT_TRY(mt_dcm_skip(p->inflated, err));
    }
}

static mt_status make_ready(mt_dicom_part *p, mt_err *err)
{
    mt_dicom_stamp now;
    MT_TRY(mt_map_open(&p->map, p->path, err));
    mt_status st = MT_OK;
    /* The map first, then the look: who maps what came later sees that it came later. */
    if (!mt_dicom_stamp_of(&now, p->path) || memcmp(&now, &p->facts.stamp, sizeof now) ||
        p->map.size != now.size)
        st = mt_err_set(err, MT_ERR_IO, "the file is not the one it was when the slide was opened");
    else if (p->facts.deflated) st = unfold(p, err);
    else if (p->facts.encapsulated) p->bytes = p->map.data, p->n_bytes = p->map.size;
    else if (p->facts.pixels_at + p->facts.pixels_n > p->map.size)
        st = mt_err_set(err, MT_ERR_IO, "the file was cut short");
    else p->bytes = p->map.data + p->facts.pixels_at, p->n_bytes = (size_t)p->facts.pixels_n;
    if (st == MT_OK) return MT_OK;
    mt_dcm_reader_free(&p->inflated);
    mt_map_close(&p->map);
    return st;
}

mt_status mt_dicom_part_ready(const mt_dicom_slide *ds, uint32_t part, mt_err *err)
{
    mt_dicom_part *p = &ds->parts[part];
    if (atomic_load_explicit(&p->ready, memory_order_acquire)) return MT_OK;
    pthread_mutex_lock(ds->lock);
    mt_status st = atomic_load(&p->ready) ? MT_OK : make_ready(p, err);
    if (st == MT_OK) atomic_store_explicit(&p->ready, 1, memory_order_release);
    pthread_mutex_unlock(ds->lock);
    return st;
}

static mt_status native_frame(mt_tile_span *out, const mt_dicom_part *p, uint32_t frame, mt_err *err)
{
    const mt_dicom_facts *f = &p->facts;
    const uint64_t n = (uint64_t)f->rows * f->columns * f->samples * (f->bits / 8), at = n * frame;
    if (at > p->n_bytes || n > p->n_bytes - at)
        return mt_err_set(err, MT_ERR_FORMAT, "frame %u of %u: %llu bytes at %llu pass the pixel data "
                          "(%zu bytes)", frame + 1, f->frames, (unsigned long long)n,
                          (unsigned long long)at, p->n_bytes);
    *out = (mt_tile_span){p->bytes + at, (size_t)n};
    return MT_OK;
}

mt_status mt_dicom_frame_span(mt_tile_span *out, uint32_t *pieces, const mt_dicom_slide *ds,
                              mt_dicom_ref ref, mt_err *err)
{
    const mt_dicom_part *p = &ds->parts[ref.part];
    const mt_dicom_frames *f = &p->frames;
    *out = (mt_tile_span){NULL, 0};
    *pieces = 1;
    if (!p->facts.encapsulated) return native_frame(out, p, ref.frame, err);
    const uint32_t first = f->first ? f->first[ref.frame] : ref.frame,
                   end = f->first ? f->first[ref.frame + 1] : ref.frame + 1;
    if (end <= first || end > f->n_fragments)
        return mt_err_set(err, MT_ERR_FORMAT, "frame %u of %u: the file ends before it", ref.frame + 1,
                          p->facts.frames);
    for (uint32_t i = first; i < end; i++)
        if (f->fragments[i].at > p->n_bytes || f->fragments[i].n > p->n_bytes - f->fragments[i].at)
            return mt_err_set(err, MT_ERR_FORMAT, "frame %u of %u: passes the end of the file",
                              ref.frame + 1, p->facts.frames);
    *pieces = end - first;
    if (*pieces == 1) *out = (mt_tile_span){p->bytes + f->fragments[first].at, (size_t)f->fragments[first].n};
    return MT_OK;
}

/* ---- faults ---- */

static mt_status check_part(const mt_dicom_part *p, mt_err *err)
{
    if (!atomic_load_explicit(&p->ready, memory_order_acquire)) return MT_OK;
    return mt_map_check_whole(&p->map, p->path, p->facts.stamp.inode, err);
}

/* Faults of every map; whether files were cut short behind their last page is asked of as many as
 * costs nothing, the others tell when a frame of theirs fails. */
static mt_status check(const mt_slide *s, mt_err *err)
{
    enum { ASKED = 64 };
    const mt_dicom_slide *ds = s->impl;
    for (uint32_t i = 0; i < ds->n_parts; i++) {
        const mt_dicom_part *p = &ds->parts[i];
        if (i < ASKED) MT_TRY(check_part(p, err));
        else if (atomic_load_explicit(&p->ready, memory_order_acquire)) MT_TRY(mt_map_check(&p->map, err));
    }
    return MT_OK;
}

/* ---- tiles ---- */

static mt_status span(mt_tile_span *out, const mt_slide *s, int level, int64_t tx, int64_t ty, mt_err *err)
{
    const mt_dicom_slide *ds = s->impl;
    const mt_dicom_level *l = &ds->levels[level];
    uint32_t pieces;
    *out = (mt_tile_span){NULL, 0};
    if (!l->refs)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "the frames of this level lie off the tile grid");
    const mt_dicom_ref ref = l->refs[l->cut_rows ? 0 : ty * l->tiles_x + tx];
    if (ref.part == MT_DICOM_ABSENT) return MT_OK;
    MT_TRY(mt_dicom_part_ready(ds, ref.part, err));
    MT_TRY(mt_dicom_frame_span(out, &pieces, ds, ref, err));
    if (pieces > 1)
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "frame %u lies in %u fragments", ref.frame + 1, pieces);
    if (l->cut_rows) {
        const size_t row = out->size / (size_t)l->height, y = (size_t)(ty * l->tile_h);
        out->data += y * row;
        out->size = row * (size_t)MT_MIN((int64_t)l->tile_h, l->height - ty * l->tile_h);
    }
    return MT_OK;
}

typedef struct scratch { uint8_t *p; size_t room; } scratch;

typedef struct reader {
    mt_decoder *decoder;
    scratch joined, frame;     /* fragments of one frame; a frame that is pasted */
} reader;

static void reader_close(void *state)
{
    reader *r = state;
    mt_decoder_free(&r->decoder);
    free(r->joined.p);
    free(r->frame.p);
    free(r);
}

static mt_status reader_open(void **state, const mt_slide *s, mt_err *err)
{
    reader *r = NULL;
    MT_TRY(mt_alloc(&r, 1, sizeof *r, sizeof *r, "tile reader", err));
    mt_status st = mt_decoder_new(&r->decoder, err);
    if (st != MT_OK) {
        reader_close(r);
        return st;
    }
    *state = r;
    return MT_OK;
}

static mt_status room_for(scratch *s, size_t bytes, mt_err *err)
{
    if (s->room >= bytes) return MT_OK;
    free(s->p);
    *s = (scratch){NULL, 0};
    MT_TRY(mt_alloc_aligned(&s->p, bytes, 8 * MT_CODEC_MAX_PIXELS, "frame", err));
    s->room = bytes;
    return MT_OK;
}

static mt_status join(mt_tile_span *out, reader *r, const mt_dicom_part *p, uint32_t frame, mt_err *err)
{
    const mt_dicom_frames *f = &p->frames;
    size_t n = 0;
    for (uint32_t i = f->first[frame]; i < f->first[frame + 1]; i++)
        if (!mt_add(&n, n, (size_t)f->fragments[i].n))
            return mt_err_set(err, MT_ERR_LIMIT, "frame %u: its fragments", frame + 1);
    MT_TRY(room_for(&r->joined, MT_MAX(n, (size_t)1), err));
    n = 0;
    for (uint32_t i = f->first[frame]; i < f->first[frame + 1]; i++) {
        memcpy(r->joined.p + n, p->bytes + f->fragments[i].at, (size_t)f->fragments[i].n);
        n += (size_t)f->fragments[i].n;
    }
    *out = (mt_tile_span){r->joined.p, n};
    return MT_OK;
}

/* Big-endian OW holds two samples of 8 bits in one word, the first in its low half. */
static mt_status swap_words(mt_tile_span *bytes, reader *r, mt_err *err)
{
    MT_TRY(room_for(&r->joined, bytes->size + 1, err));
    for (size_t i = 0; i < bytes->size; i++)
        r->joined.p[i] = bytes->data[(i ^ 1) < bytes->size ? i ^ 1 : i];
    bytes->data = r->joined.p;
    return MT_OK;
}

static mt_status frame_bytes(mt_tile_span *out, reader *r, const mt_dicom_slide *ds, mt_dicom_ref ref,
                             mt_err *err)
{
    uint32_t pieces;
    const mt_dicom_part *p = &ds->parts[ref.part];
    MT_TRY(mt_dicom_part_ready(ds, ref.part, err));
    MT_TRY(mt_dicom_frame_span(out, &pieces, ds, ref, err));
    if (pieces > 1) return join(out, r, p, ref.frame, err);
    if (p->facts.big && p->facts.words && p->facts.bits == 8) return swap_words(out, r, err);
    return MT_OK;
}

static void paint(uint8_t *rgb, size_t stride, int32_t w, int32_t y0, int32_t y1, const uint8_t colour[3])
{
    for (int32_t y = y0; y < y1; y++) {
        uint8_t *row = rgb + (size_t)y * stride;
        if (colour[0] == colour[1] && colour[1] == colour[2]) memset(row, colour[0], 3 * (size_t)w);
        else for (int32_t x = 0; x < w; x++) memcpy(row + 3 * (size_t)x, colour, 3);
    }
}

/* Frames off the grid: those that touch this nominal tile, the first one on top. */
static mt_status paste(reader *r, const mt_dicom_slide *ds, const mt_dicom_level *l, int64_t tx,
                       int64_t ty, uint8_t *rgb, size_t stride, uint32_t *part, mt_err *err)
{
    const size_t t = (size_t)(ty * l->tiles_x + tx), frame_stride = 3 * (size_t)l->frame_w;
    const int64_t x0 = tx * l->tile_w, y0 = ty * l->tile_h;
    paint(rgb, stride, l->tile_w, 0, l->tile_h, ds->absent);
    MT_TRY(room_for(&r->frame, frame_stride * (size_t)l->frame_h, err));
    for (uint32_t k = l->bucket_at[t + 1]; k-- > l->bucket_at[t];) {
        const mt_dicom_rect *q = &l->rects[l->bucket[k]];
        const mt_pixels out = {r->frame.p, frame_stride, l->frame_w, l->frame_h, 1, NULL};
        mt_tile_span bytes;
        *part = q->ref.part;
        MT_TRY(frame_bytes(&bytes, r, ds, q->ref, err));
        MT_TRY(mt_decoder_decode(r->decoder, &l->coding, bytes.data, bytes.size, &out, err));
        const int64_t ax = MT_MAX(x0, q->x), ay = MT_MAX(y0, q->y),
                      bx = MT_MIN(x0 + l->tile_w, (int64_t)q->x + l->frame_w),
                      by = MT_MIN(y0 + l->tile_h, (int64_t)q->y + l->frame_h);
        for (int64_t y = ay; y < by && ax < bx; y++)
            memcpy(rgb + (size_t)(y - y0) * stride + 3 * (size_t)(ax - x0),
                   r->frame.p + (size_t)(y - q->y) * frame_stride + 3 * (size_t)(ax - q->x),
                   3 * (size_t)(bx - ax));
    }
    return MT_OK;
}

/* *part: the file that was read. */
static mt_status draw(reader *r, const mt_dicom_slide *ds, const mt_dicom_level *l, int64_t tx, int64_t ty,
                      int scale, uint8_t *rgb, size_t stride, const mt_row_sink *sink, uint32_t *part,
                      mt_err *err)
{
    const int32_t w = mt_slide_reduced(l->tile_w, scale), all = mt_slide_reduced(l->tile_h, scale);
    *part = MT_DICOM_ABSENT;
    int32_t rows = 0; /* that the sink has */
    if (!l->refs) {
        if (scale != 1) return mt_err_set(err, MT_ERR_ARG, "pasted tiles cannot be reduced");
        MT_TRY(paste(r, ds, l, tx, ty, rgb, stride, part, err));
    } else {
        const mt_dicom_ref ref = l->refs[l->cut_rows ? 0 : ty * l->tiles_x + tx];
        mt_pixels out = {rgb, stride, l->tile_w, l->tile_h, scale, sink};
        *part = ref.part;
        if (ref.part != MT_DICOM_ABSENT) {
            mt_tile_span bytes;
            MT_TRY(frame_bytes(&bytes, r, ds, ref, err));
            if (l->cut_rows) {
                const size_t row = bytes.size / (size_t)l->height;
                out.h = (int32_t)MT_MIN((int64_t)l->tile_h, l->height - ty * l->tile_h);
                bytes.data += row * (size_t)(ty * l->tile_h);
                bytes.size = row * (size_t)out.h;
            }
            MT_TRY(mt_decoder_decode(r->decoder, &l->coding, bytes.data, bytes.size, &out, err));
            rows = mt_slide_reduced(out.h, scale);
        }
        paint(rgb, stride, w, rows, all, ds->absent);
    }
    if (sink && rows < all) sink->rows(sink->ctx, rgb + (size_t)rows * stride, stride, rows, all - rows);
    return MT_OK;
}

static mt_status decode_rows(void *state, const mt_slide *s, int level, int64_t tx, int64_t ty, int scale,
                             uint8_t *rgb, size_t stride, const mt_row_sink *sink, mt_err *err)
{
    const mt_dicom_slide *ds = s->impl;
    mt_err why = MT_ERR_INIT;
    uint32_t part;
    mt_status st = draw(state, ds, &ds->levels[level], tx, ty, scale, rgb, stride, sink, &part, &why);
    if (part != MT_DICOM_ABSENT && (st != MT_OK || mt_map_faulted(&ds->parts[part].map)))
        MT_TRY(check_part(&ds->parts[part], err));
    if (st == MT_OK) return MT_OK;
    return mt_err_set(err, st, "level %d: tile %lld,%lld: %s", level, (long long)tx, (long long)ty, why.text);
}

static mt_status decode(void *state, const mt_slide *s, int level, int64_t tx, int64_t ty, int scale,
                        uint8_t *rgb, size_t stride, mt_err *err)
{
    return decode_rows(state, s, level, tx, ty, scale, rgb, stride, NULL, err);
}

static int max_reduce(const mt_slide *s, int level)
{
    const mt_dicom_slide *ds = s->impl;
    const mt_dicom_level *l = &ds->levels[level];
    if (!l->refs || !mt_codec_scales(l->coding.codec)) return 1;
    for (int d = 8; d > 1; d /= 2)
        if (l->tile_w % d == 0 && l->tile_h % d == 0) return d;
    return 1;
}

static mt_status associated(uint8_t *rgb, const mt_slide *s, int i, mt_err *err)
{
    const mt_dicom_slide *ds = s->impl;
    const mt_dicom_level *l = &ds->associated[i];
    const size_t stride = 3 * (size_t)l->width, tile_stride = 3 * (size_t)l->tile_w;
    MT_AUTO_FREE uint8_t *tile = NULL;
    void *r = NULL;
    MT_TRY(mt_alloc_aligned(&tile, tile_stride * (size_t)l->tile_h, 3 * MT_CODEC_MAX_PIXELS, "tile", err));
    MT_TRY(reader_open(&r, s, err));
    mt_status st = MT_OK;
    mt_err why = MT_ERR_INIT;
    for (int64_t ty = 0; st == MT_OK && ty < l->tiles_y; ty++)
        for (int64_t tx = 0; st == MT_OK && tx < l->tiles_x; tx++) {
            uint32_t part;
            st = draw(r, ds, l, tx, ty, 1, tile, tile_stride, NULL, &part, &why);
            const int64_t x = tx * l->tile_w, y = ty * l->tile_h,
                          w = MT_MIN((int64_t)l->tile_w, l->width - x),
                          h = MT_MIN((int64_t)l->tile_h, l->height - y);
            for (int64_t k = 0; st == MT_OK && k < h; k++)
                memcpy(rgb + (size_t)(y + k) * stride + 3 * (size_t)x, tile + (size_t)k * tile_stride,
                       3 * (size_t)w);
        }
    reader_close(r);
    MT_TRY(check_part(&ds->parts[l->first_part], err));
    return st == MT_OK ? MT_OK : mt_err_set(err, st, "%s image: %s", s->info.associated[i].name, why.text);
}

/* ---- the row ---- */

static void close_slide(mt_slide *s)
{
    mt_dicom_slide *ds = s->impl;
    for (uint32_t i = 0; i < ds->n_parts; i++) {
        mt_dicom_part *p = &ds->parts[i];
        mt_dcm_reader_free(&p->inflated);
        mt_map_close(&p->map);
        mt_dicom_frames_free(&p->frames);
        free(p->path);
    }
    free(ds->parts);
    for (int i = 0; i < ds->n_levels; i++) mt_dicom_level_free(&ds->levels[i]);
    for (int i = 0; i < ds->n_associated; i++) mt_dicom_level_free(&ds->associated[i]);
    if (ds->lock) pthread_mutex_destroy(ds->lock);
    free(ds->lock);
    free(ds);
    s->impl = NULL;
}

static const mt_slide_ops dicom_ops = {
    span, reader_open, reader_close, decode, associated, max_reduce, check, close_slide, decode_rows,
};

static bool detect(const mt_probe *p)
{
    return p->is_folder || mt_dcm_is(p->map.data, p->map.size);
}

static mt_status open_slide(mt_slide *s, mt_probe *p, mt_err *err)
{
    mt_dicom_slide *ds = NULL;
    MT_TRY(mt_alloc(&ds, 1, sizeof *ds, sizeof *ds, "slide", err));
    s->impl = ds;
    s->ops = &dicom_ops;
    MT_TRY(mt_alloc(&ds->lock, 1, sizeof(pthread_mutex_t), sizeof(pthread_mutex_t), "slide", err));
    pthread_mutex_init(ds->lock, NULL);
    return mt_dicom_open(s, p->path, p->is_folder, p->opts, err);
}

const mt_format mt_format_dicom = {
    {"dicom-wsi", "DICOM whole-slide microscopy: a file of a series, or its folder", "proven on real files"},
    detect,
    open_slide,
};
