#include "results/ground.h"

#include <string.h>
#include "slide/slide.h"

#define LONG_SIDE 2048                /* of the picture, at most */
#define ENOUGH 1400                   /* a level this long is not worth a finer one */
#define MOST_READ ((int64_t)64 << 20) /* pixels decoded for a picture */
#define BLOCK_W 4096
#define BLOCK_H 512

static int64_t long_side(const mt_level *l)
{
    return MT_MAX(l->width, l->height);
}
static bool affordable(const mt_level *l)
{
    return l->width * l->height <= MOST_READ;
}

/* Coarsest affordable level that is long ENOUGH, else the largest affordable one, else -1. */
static int choose_level(const mt_slide_info *s)
{
    int best = -1;
    for (int i = 0; i < s->n_levels; i++) {
        if (!affordable(&s->levels[i])) continue;
        if (best < 0 || long_side(&s->levels[i]) >= ENOUGH) best = i;
    }
    return best;
}

bool mt_ground_tissue(const mt_tissue *t, double x_l0, double y_l0)
{
    if (!t || !t->mask || !(t->px_l0 > 0)) return false;
    int64_t i = (int64_t)(x_l0 / t->px_l0), j = (int64_t)(y_l0 / t->px_l0);
    return i >= 0 && j >= 0 && i < t->width && j < t->height &&
           t->mask[(size_t)j * (size_t)t->width + (size_t)i];
}

static void draw_mask(mt_ground *g, const mt_tissue *t)
{
    const mt_colour_rgb tissue = {238, 219, 230};
    for (int32_t j = 0; j < g->picture.h; j++)
        for (int32_t i = 0; i < g->picture.w; i++)
            if (mt_ground_tissue(t, (i + 0.5) * g->l0_x, (j + 0.5) * g->l0_y))
                mt_canvas_box(&g->picture, i, j, 1, 1, tissue, 256);
}

/* Averages f x f pixels of the block (w x h) into the picture from (x, y) on; edge cells by what
 * there is. */
static void shrink(mt_canvas *c, int32_t x, int32_t y, const uint8_t *block, int32_t w, int32_t h,
                   int32_t f)
{
    for (int32_t j = 0; j * f < h; j++)
        for (int32_t i = 0; i * f < w; i++) {
            int32_t cw = MT_MIN(f, w - i * f), ch = MT_MIN(f, h - j * f);
            uint32_t sum[3] = {0}, n = (uint32_t)(cw * ch);
            for (int32_t b = 0; b < ch; b++) {
                const uint8_t *p = block + ((size_t)(j * f + b) * (size_t)w + (size_t)(i * f)) * 3;
                for (int32_t a = 0; a < cw; a++, p += 3) {
                    sum[0] += p[0];
                    sum[1] += p[1];
                    sum[2] += p[2];
                }
            }
            uint8_t *d = c->rgb + ((size_t)(y + j) * (size_t)c->w + (size_t)(x + i)) * 3;
            for (int k = 0; k < 3; k++)
                d[k] = (uint8_t)((sum[k] + n / 2) / n);
        }
}

typedef struct part {
    int64_t x, y;
    int32_t w, h;
} part;

/* Where [at, at + n) is cut: at the border of native tiles that is nearest to its middle, as far as whole
 * pixels of the picture go. n: nowhere. */
static int32_t cut(int64_t at, int32_t n, int32_t native, int32_t f)
{
    const int64_t border = (at + n / 2 + native / 2) / native * native;
    int64_t to = border / f * f;
    if (to <= at) to += f;
    return border > at && border < at + n && to < at + n ? (int32_t)(to - at) : n;
}

/* What cannot be read stays white: the picture is a view of the result, not the result. One damaged
 * native tile takes its own place and no more: a part that fails is tried again in two, down to single
 * tiles, so that none is tried often. */
static void draw_part(mt_ground *g, const mt_slide *slide, int level, part p, int32_t f, uint8_t *block)
{
    const mt_level *l = &mt_slide_get_info(slide)->levels[level];
    mt_err unread = MT_ERR_INIT;
    const mt_status st = mt_slide_read_region(slide, level, p.x, p.y, p.w, p.h, block,
                                              (size_t)p.w * 3, &unread);
    if (st == MT_OK) {
        shrink(&g->picture, (int32_t)(p.x / f), (int32_t)(p.y / f), block, p.w, p.h, f);
        return;
    }
    g->incomplete = true;
    const int32_t w = cut(p.x, p.w, l->tile_w, f), h = cut(p.y, p.h, l->tile_h, f);
    if (!mt_is_tile_fault(st) || (w == p.w && h == p.h)) return;
    part a = p, b = p;
    if (w < p.w && (p.w >= p.h || h == p.h)) {
        a.w = w;
        b.x += w;
        b.w -= w;
    } else {
        a.h = h;
        b.y += h;
        b.h -= h;
    }
    draw_part(g, slide, level, a, f, block);
    draw_part(g, slide, level, b, f, block);
}

static mt_status draw_level(mt_ground *g, const mt_slide *slide, int level, const mt_level *l,
                            int32_t f, mt_err *err)
{
    int32_t bw = BLOCK_W / f * f, bh = MT_MAX(BLOCK_H / f, 1) * f;
    MT_AUTO_FREE uint8_t *block = NULL;
    MT_TRY(
        mt_alloc_aligned(&block, (size_t)bw * (size_t)bh * 3, (size_t)64 << 20, "thumbnail", err));
    for (int64_t y = 0; y < l->height; y += bh)
        for (int64_t x = 0; x < l->width; x += bw) {
            const part p = {x, y, (int32_t)MT_MIN(bw, l->width - x), (int32_t)MT_MIN(bh, l->height - y)};
            draw_part(g, slide, level, p, f, block);
        }
    return MT_OK;
}

mt_status mt_ground_make(mt_ground *g, const mt_result *r, const mt_slide *slide, mt_err *err)
{
    const mt_slide_info *s = &r->slide;
    *g = (mt_ground){0};
    if (s->n_levels < 1 || s->levels[0].width < 1 || s->levels[0].height < 1)
        return mt_err_set(err, MT_ERR_ARG, "picture: the slide has no size");
    int level = slide ? choose_level(s) : -1;
    const mt_level *l0 = &s->levels[0], *l = &s->levels[MT_MAX(level, 0)];
    int64_t f = (long_side(l) + LONG_SIDE - 1) / LONG_SIDE;
    MT_TRY(mt_canvas_new(&g->picture, (int32_t)((l->width + f - 1) / f),
                         (int32_t)((l->height + f - 1) / f), err));
    g->l0_x = (double)f * (double)l0->width / (double)l->width;
    g->l0_y = (double)f * (double)l0->height / (double)l->height;
    if (level < 0) {
        draw_mask(g, r->tissue);
        return MT_OK;
    }
    return draw_level(g, slide, level, l, (int32_t)f, err);
}
