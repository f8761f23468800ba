/* Rows as they leave the decoder against whole tiles. */
#ifndef TEST_SLIDE_ROWS_H
#define TEST_SLIDE_ROWS_H

#include <string.h>
#include "tests/support/support.h"
#include "codec/codec.h"
#include "kernels/u8_ycc.h"
#include "slide/slide.h"

typedef struct rows_taken {
    uint8_t *px;
    int32_t w, next;
    int calls;
    bool in_order;
} rows_taken;

static void rows_note(rows_taken *t, int32_t y, int32_t n)
{
    t->in_order &= y == t->next;
    t->next = y + n;
    t->calls++;
}

static void rows_take(void *ctx, const uint8_t *rgb, size_t stride, int32_t y, int32_t n)
{
    rows_taken *t = ctx;
    rows_note(t, y, n);
    for (int32_t i = 0; i < n; i++)
        memcpy(t->px + 3 * (size_t)t->w * (size_t)(y + i), rgb + (size_t)i * stride, 3 * (size_t)t->w);
}

static void rows_take_planes(void *ctx, mt_ycc_kind kind, const mt_ycc_row *rows, int32_t y, int32_t n)
{
    rows_taken *t = ctx;
    rows_note(t, y, n);
    for (int32_t i = 0; i < n; i++)
        mt_u8_ycc(kind)(t->px + 3 * (size_t)t->w * (size_t)(y + i), &rows[i], 0, t->w);
}

/* Every tile of a level, with planes and without, at full size and reduced: the bytes of the whole tile,
 * each row once, from top to bottom. Returns how many calls brought the first tile. */
static int rows_are_tiles(const mt_slide *s, int level)
{
    const mt_level *l = &mt_slide_get_info(s)->levels[level];
    const size_t bytes = 3 * (size_t)l->tile_w * (size_t)l->tile_h;
    uint8_t *want = malloc(bytes), *scratch = malloc(bytes);
    rows_taken t = {malloc(bytes), 0, 0, 0, true};
    mt_tile_reader *r = NULL;
    mt_err err = MT_ERR_INIT;
    int calls = 0;
    tt_ok(mt_tile_reader_new(&r, s, &err), &err);
    for (int64_t i = 0; i < l->tiles_x * l->tiles_y; i++)
        for (int scale = mt_slide_max_reduce(s, level); scale; scale /= 2)
            for (int planes = 0; planes < 2; planes++) {
                const int64_t tx = i % l->tiles_x, ty = i / l->tiles_x;
                const mt_row_sink sink = {
                    .rows = rows_take, .ctx = &t, .planes = planes ? rows_take_planes : NULL};
                t.w = (l->tile_w + scale - 1) / scale;
                t.next = t.calls = 0;
                const size_t stride = 3 * (size_t)t.w, h = (size_t)((l->tile_h + scale - 1) / scale);
                tt_ok(mt_tile_reader_decode(r, level, tx, ty, scale, want, stride, &err), &err);
                tt_ok(mt_tile_reader_decode_rows(r, level, tx, ty, scale, scratch, stride, &sink, &err), &err);
                assert_true(t.in_order);
                assert_int_equal(t.next, h);
                if (memcmp(t.px, want, stride * h))
                    fail_msg("level %d, tile %d at 1/%d, %s: other pixels", level, (int)i, scale,
                             planes ? "planes" : "rows");
                if (!i && scale == 1) calls = t.calls;
            }
    mt_tile_reader_free(&r);
    free(t.px);
    free(want);
    free(scratch);
    return calls;
}

#endif
