/* The format row of DICOM whole-slide images, and the tiles of an open one. */
#include <stdio.h>
#include <string.h>
#include "slide/dicom/levels.h"
#include "slide/stored.h"

/* ---- bytes ---- */

static mt_status unfold(mt_dicom_part *p, mt_err *err)
{
    mt_dcm_file head;
    MT_TRY(mt_dcm_open_within(&p->inflated, &head, p->map.data, p->map.size, false,
                              MT_DICOM_MAX_INFLATED, err));
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
    MT_TRY(mt_map_open_as(&p->map, p->path, MT_DICOM_NAMELESS, err));
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

/* Made once, by whoever asks first, and not under the lock: a data set may be long to inflate. Only who
 * wants the same part waits. */
mt_status mt_dicom_part_ready(mt_dicom_slide *ds, uint32_t part, mt_err *err)
{
    mt_dicom_part *p = &ds->parts[part];
    if (atomic_load_explicit(&p->ready, memory_order_acquire) == MT_DICOM_READY) return MT_OK;
    pthread_mutex_lock(&ds->lock);
    while (atomic_load(&p->ready) == MT_DICOM_BEING_MADE) pthread_cond_wait(&ds->made, &ds->lock);
    const bool ready = atomic_load(&p->ready) == MT_DICOM_READY;
    if (!ready) atomic_store(&p->ready, MT_DICOM_BEING_MADE);
    pthread_mutex_unlock(&ds->lock);
    if (ready) return MT_OK;
    mt_status st = make_ready(p, err);
    pthread_mutex_lock(&ds->lock);
    atomic_store_explicit(&p->ready, st == MT_OK ? MT_DICOM_READY : MT_DICOM_NOT_READY,
                          memory_order_release);
    pthread_cond_broadcast(&ds->made);
    pthread_mutex_unlock(&ds->lock);
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

static bool is_ready(const mt_dicom_part *p)
{
    return atomic_load_explicit(&p->ready, memory_order_acquire) == MT_DICOM_READY;
}

static mt_status check_part(const mt_dicom_part *p, mt_err *err)
{
    if (!is_ready(p)) return MT_OK;
    return mt_map_check_whole(&p->map, p->path, err);
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
        else if (is_ready(p)) MT_TRY(mt_map_check(&p->map, err));
    }
    return MT_OK;
}

/* ---- tiles ---- */

/* Rows of a huge native frame that are tile ty. */
static void cut_band(mt_tile_span *bytes, const mt_dicom_level *l, int64_t ty)
{
    const size_t row = bytes->size / (size_t)l->height;
    bytes->data += row * (size_t)(ty * l->tile_h);
    bytes->size = row * (size_t)MT_MIN((int64_t)l->tile_h, l->height - ty * l->tile_h);
}

static mt_status span(mt_tile_span *out, const mt_slide *s, int level, int64_t tx, int64_t ty, mt_err *err)
{
    mt_dicom_slide *ds = s->impl;
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
    if (l->cut_rows) cut_band(out, l, ty);
    return MT_OK;
}

typedef mt_stored_reader reader; /* its `tile` holds the bytes of a frame that lie in no one piece */

static mt_status join(mt_tile_span *out, reader *r, const mt_dicom_part *p, uint32_t frame, mt_err *err)
{
    const mt_dicom_frames *f = &p->frames;
    size_t n = 0;
    for (uint32_t i = f->first[frame]; i < f->first[frame + 1]; i++)
        if (!mt_add(&n, n, (size_t)f->fragments[i].n))
            return mt_err_set(err, MT_ERR_LIMIT, "frame %u: its fragments", frame + 1);
    MT_TRY(mt_room_need(&r->tile, MT_MAX(n, (size_t)1), "frame", err));
    n = 0;
    for (uint32_t i = f->first[frame]; i < f->first[frame + 1]; i++) {
        memcpy(r->tile.p + n, p->bytes + f->fragments[i].at, (size_t)f->fragments[i].n);
        n += (size_t)f->fragments[i].n;
    }
    *out = (mt_tile_span){r->tile.p, n};
    return MT_OK;
}

/* Big-endian OW holds two samples of 8 bits in one word, the first in its low half; the words count from
 * the first byte of the pixel data, wherever the wanted bytes begin. */
static mt_status swap_words(mt_tile_span *bytes, reader *r, const mt_dicom_part *p, mt_err *err)
{
    const size_t at = (size_t)(bytes->data - p->bytes);
    MT_TRY(mt_room_need(&r->tile, bytes->size + 1, "frame", err));
    for (size_t i = 0; i < bytes->size; i++) {
        const size_t from = (at + i) ^ 1;
        r->tile.p[i] = p->bytes[from < p->n_bytes ? from : at + i];
    }
    bytes->data = r->tile.p;
    return MT_OK;
}

/* What is decoded for tile ty: the frame's bytes, or a band of them. */
static mt_status frame_bytes(mt_tile_span *out, reader *r, mt_dicom_slide *ds, const mt_dicom_level *l,
                             mt_dicom_ref ref, int64_t ty, mt_err *err)
{
    uint32_t pieces;
    const mt_dicom_part *p = &ds->parts[ref.part];
    MT_TRY(mt_dicom_part_ready(ds, ref.part, err));
    MT_TRY(mt_dicom_frame_span(out, &pieces, ds, ref, err));
    if (pieces > 1) return join(out, r, p, ref.frame, err);
    if (l->cut_rows) cut_band(out, l, ty);
    if (p->facts.big && p->facts.words && p->facts.bits == 8) return swap_words(out, r, p, err);
    return MT_OK;
}

/* What went wrong while a frame of this part was read, if the file explains it: asked where that costs
 * nothing, or something is wrong already. */
static mt_status explain(const mt_dicom_part *p, mt_status st, mt_err *err)
{
    if (st == MT_OK && !mt_map_faulted(&p->map)) return MT_OK;
    mt_err why = MT_ERR_INIT;
    if (check_part(p, &why) == MT_OK) return st;
    mt_err_clear(err);
    return mt_err_set(err, why.code, "%s", why.text);
}

static void paint(uint8_t *rgb, size_t stride, int32_t w, int32_t y0, int32_t y1, const uint8_t colour[3])
{
    for (int32_t y = y0; y < y1; y++) {
        uint8_t *row = rgb + (size_t)y * stride;
        if (colour[0] == colour[1] && colour[1] == colour[2]) memset(row, colour[0], 3 * (size_t)w);
        else for (int32_t x = 0; x < w; x++) memcpy(row + 3 * (size_t)x, colour, 3);
    }
}

/* A tile to be drawn, and who draws it. */
typedef struct job {
    reader *r;
    mt_dicom_slide *ds;
    const mt_dicom_level *l;
    int64_t tx, ty;
} job;

/* A frame, or the band of it that is tile ty. */
static mt_status decode_frame(const job *j, mt_dicom_ref ref, const mt_pixels *out, mt_err *err)
{
    mt_tile_span bytes;
    mt_status st = frame_bytes(&bytes, j->r, j->ds, j->l, ref, j->ty, err);
    if (st == MT_OK)
        st = mt_decoder_decode(j->r->decoder, &j->l->coding, bytes.data, bytes.size, out, err);
    return explain(&j->ds->parts[ref.part], st, err);
}

typedef struct kept_frame { const job *job; mt_dicom_ref ref; } kept_frame;

static mt_status fill_frame(uint8_t *pixels, void *ctx, mt_err *err)
{
    const kept_frame *f = ctx;
    const mt_dicom_level *l = f->job->l;
    const mt_pixels out = {pixels, 3 * (size_t)l->frame_w, l->frame_w, l->frame_h, 1, NULL};
    return decode_frame(f->job, f->ref, &out, err);
}

/* Frames off the grid: those that touch this nominal tile, the first one on top. Kept, since they touch
 * up to three others. */
static mt_status paste(const job *j, uint8_t *rgb, size_t stride, mt_err *err)
{
    const mt_dicom_level *l = j->l;
    const size_t t = (size_t)(j->ty * l->tiles_x + j->tx), frame_stride = 3 * (size_t)l->frame_w;
    const int64_t x0 = j->tx * l->tile_w, y0 = j->ty * l->tile_h;
    paint(rgb, stride, l->tile_w, 0, l->tile_h, j->ds->absent);
    for (uint32_t k = l->bucket_at[t + 1]; k-- > l->bucket_at[t];) {
        const mt_dicom_rect *q = &l->rects[l->bucket[k]];
        kept_frame f = {j, q->ref};
        const uint8_t *frame;
        MT_TRY(mt_kept_take(&frame, j->ds->kept, (mt_kept_key){q->ref.part, q->ref.frame},
                            frame_stride * (size_t)l->frame_h, fill_frame, &f, err));
        const int64_t ax = MT_MAX(x0, q->x), ay = MT_MAX(y0, q->y),
                      bx = MT_MIN(x0 + l->tile_w, (int64_t)q->x + l->frame_w),
                      by = MT_MIN(y0 + l->tile_h, (int64_t)q->y + l->frame_h);
        for (int64_t y = ay; y < by && ax < bx; y++)
            memcpy(rgb + (size_t)(y - y0) * stride + 3 * (size_t)(ax - x0),
                   frame + (size_t)(y - q->y) * frame_stride + 3 * (size_t)(ax - q->x),
                   3 * (size_t)(bx - ax));
        mt_kept_give(j->ds->kept, frame);
    }
    return MT_OK;
}

static mt_status draw(const job *j, int scale, uint8_t *rgb, size_t stride, const mt_row_sink *sink,
                      mt_err *err)
{
    const mt_dicom_level *l = j->l;
    const int32_t w = mt_slide_reduced(l->tile_w, scale), all = mt_slide_reduced(l->tile_h, scale);
    int32_t rows = 0; /* that the sink has */
    if (!l->refs) {
        if (scale != 1) return mt_err_set(err, MT_ERR_ARG, "pasted tiles cannot be reduced");
        MT_TRY(paste(j, rgb, stride, err));
    } else {
        const mt_dicom_ref ref = l->refs[l->cut_rows ? 0 : j->ty * l->tiles_x + j->tx];
        mt_pixels out = {rgb, stride, l->tile_w, l->tile_h, scale, sink};
        if (l->cut_rows) out.h = (int32_t)MT_MIN((int64_t)l->tile_h, l->height - j->ty * l->tile_h);
        if (ref.part != MT_DICOM_ABSENT) {
            MT_TRY(decode_frame(j, ref, &out, err));
            rows = mt_slide_reduced(out.h, scale);
        }
        paint(rgb, stride, w, rows, all, j->ds->absent);
    }
    if (sink && rows < all) sink->rows(sink->ctx, rgb + (size_t)rows * stride, stride, rows, all - rows);
    return MT_OK;
}

static mt_status decode_rows(void *state, const mt_slide *s, int level, int64_t tx, int64_t ty, int scale,
                             uint8_t *rgb, size_t stride, const mt_row_sink *sink, mt_err *err)
{
    mt_dicom_slide *ds = s->impl;
    mt_err why = MT_ERR_INIT;
    const job j = {state, ds, &ds->levels[level], tx, ty};
    mt_status st = draw(&j, scale, rgb, stride, sink, &why);
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
    return mt_slide_reduce_of(l->tile_w, l->tile_h);
}

static mt_status associated(uint8_t *rgb, const mt_slide *s, int i, mt_err *err)
{
    mt_dicom_slide *ds = s->impl;
    const mt_dicom_level *l = &ds->associated[i];
    const size_t stride = 3 * (size_t)l->width, tile_stride = 3 * (size_t)l->tile_w;
    MT_AUTO_FREE uint8_t *tile = NULL;
    void *r = NULL;
    MT_TRY(mt_alloc_aligned(&tile, tile_stride * (size_t)l->tile_h, 3 * MT_CODEC_MAX_PIXELS, "tile", err));
    MT_TRY(mt_stored_open(&r, s, err));
    mt_status st = MT_OK;
    mt_err why = MT_ERR_INIT;
    for (int64_t ty = 0; st == MT_OK && ty < l->tiles_y; ty++)
        for (int64_t tx = 0; st == MT_OK && tx < l->tiles_x; tx++) {
            const job j = {r, ds, l, tx, ty};
            st = draw(&j, 1, tile, tile_stride, NULL, &why);
            const int64_t x = tx * l->tile_w, y = ty * l->tile_h,
                          w = MT_MIN((int64_t)l->tile_w, l->width - x),
                          h = MT_MIN((int64_t)l->tile_h, l->height - y);
            for (int64_t k = 0; st == MT_OK && k < h; k++)
                memcpy(rgb + (size_t)(y + k) * stride + 3 * (size_t)x, tile + (size_t)k * tile_stride,
                       3 * (size_t)w);
        }
    mt_stored_close(r);
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
    mt_kept_free(&ds->kept);
    pthread_mutex_destroy(&ds->lock);
    pthread_cond_destroy(&ds->made);
    free(ds);
    s->impl = NULL;
}

static const mt_slide_ops dicom_ops = {
    span, mt_stored_open, mt_stored_close, decode, associated, max_reduce, check, close_slide, decode_rows,
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
    pthread_mutex_init(&ds->lock, NULL);
    pthread_cond_init(&ds->made, NULL);
    MT_TRY(mt_kept_new(&ds->kept, MT_KEPT_BYTES, err));
    return mt_dicom_open(s, p->path, p->is_folder, p->opts, err);
}

const mt_format mt_format_dicom = {
    {"dicom-wsi", "DICOM whole-slide microscopy: a file of a series, or its folder", "proven on real files"},
    detect,
    open_slide,
};
