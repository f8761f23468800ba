/* libjpeg hands out groups of 8 * v rows, v rows of brightness for one of colours. At 4:2:0 the last row
 * of a group leans on the first colours of the next one: it waits, and its brightness and its colours
 * stay as row 0 of the ring, the group itself comes to rows 1, 2, ... */
#include "codec/jpeg_planes.h"

enum { GROUP = 2 * DCTSIZE, BEFORE = 64 };

typedef struct ring {
    JSAMPROW y[1 + GROUP], cb[1 + GROUP], cr[1 + GROUP];
} ring;

bool mt_jpeg_has_planes(mt_ycc_kind *kind, const struct jpeg_decompress_struct *d, const mt_pixels *out)
{
    if (!out->sink || !out->sink->planes || out->scale != 1 || d->num_components != 3 ||
        d->jpeg_color_space != JCS_YCbCr || d->image_width < 5)
        return false;
    const jpeg_component_info *c = d->comp_info;
    if (c[1].h_samp_factor != 1 || c[1].v_samp_factor != 1 || c[2].h_samp_factor != 1 ||
        c[2].v_samp_factor != 1)
        return false;
    const int h = c[0].h_samp_factor, v = c[0].v_samp_factor;
    *kind = h == 1 ? MT_YCC_444 : v == 1 ? MT_YCC_422 : MT_YCC_420;
    return (h == 1 && v == 1) || (h == 2 && (v == 1 || v == 2));
}

static size_t row_bytes(const jpeg_component_info *c)
{
    return BEFORE + ((size_t)c->width_in_blocks * DCTSIZE + MT_YCC_OVER + 63) / 64 * 64;
}

static mt_status make_ring(ring *r, struct jpeg_decompress_struct *d, mt_scratch *room, mt_err *err)
{
    const size_t n[3] = {row_bytes(&d->comp_info[0]), row_bytes(&d->comp_info[1]),
                         row_bytes(&d->comp_info[2])};
    MT_TRY(mt_scratch_need(room, (1 + GROUP) * (n[0] + n[1] + n[2]), err));
    uint8_t *p = room->p;
    JSAMPROW *rows[3] = {r->y, r->cb, r->cr};
    for (int c = 0; c < 3; c++)
        for (int i = 0; i <= GROUP; i++, p += n[c]) rows[c][i] = p + BEFORE;
    return MT_OK;
}

/* The ends of a row of colours once more beyond them. */
static void repeat_ends(JSAMPROW row, JDIMENSION n)
{
    row[-1] = row[0];
    row[n] = row[n - 1];
}

static void swap(JSAMPROW *a, JSAMPROW *b)
{
    const JSAMPROW t = *a;
    *a = *b;
    *b = t;
}

/* Row y of the picture, the group in the ring begins at row y0 of it. */
static mt_ycc_row row_of(const ring *r, mt_ycc_kind kind, int32_t y, int32_t y0, int32_t n_colours)
{
    const int32_t i = y - y0 + 1;
    if (kind != MT_YCC_420) return (mt_ycc_row){r->y[i], {r->cb[i], NULL}, {r->cr[i], NULL}};
    const int32_t near = y / 2, lean = y % 2 ? MT_MIN(near + 1, n_colours - 1) : MT_MAX(near - 1, 0),
                  c0 = y0 / 2 - 1;
    return (mt_ycc_row){r->y[i], {r->cb[near - c0], r->cb[lean - c0]}, {r->cr[near - c0], r->cr[lean - c0]}};
}

mt_status mt_jpeg_read_planes(struct jpeg_decompress_struct *d, mt_scratch *room, mt_ycc_kind kind,
                              const mt_pixels *out, mt_err *err)
{
    const int32_t v = kind == MT_YCC_420 ? 2 : 1, group = v * DCTSIZE, height = (int32_t)d->image_height;
    ring r;
    mt_ycc_row rows[GROUP + 1];
    MT_TRY(make_ring(&r, d, room, err));
    d->raw_data_out = TRUE;
    jpeg_start_decompress(d);
    const int32_t n_colours = (int32_t)d->comp_info[1].downsampled_height;
    for (int32_t y0 = 0, next = 0; next < out->h; y0 += group) {
        JSAMPARRAY planes[3] = {r.y + 1, r.cb + 1, r.cr + 1};
        if (!jpeg_read_raw_data(d, planes, (JDIMENSION)group))
            return mt_err_set(err, MT_ERR_FORMAT, "JPEG: ends at row %d of %d", y0, height);
        for (int i = 1; i <= DCTSIZE; i++) {
            repeat_ends(r.cb[i], d->comp_info[1].downsampled_width);
            repeat_ends(r.cr[i], d->comp_info[2].downsampled_width);
        }
        const bool last = y0 + group >= height;
        const int32_t end = MT_MIN(last ? height : y0 + group - (v - 1), out->h), n = end - next;
        for (int32_t i = 0; i < n; i++) rows[i] = row_of(&r, kind, next + i, y0, n_colours);
        out->sink->planes(out->sink->ctx, kind, rows, next, n);
        next = end;
        if (v == 1) continue;
        swap(&r.y[0], &r.y[group]);
        swap(&r.cb[0], &r.cb[DCTSIZE]);
        swap(&r.cr[0], &r.cr[DCTSIZE]);
    }
    return MT_OK;
}
