/* The specification of the 8-bit convolution. */
#include "kernels/i8.h"
#include "kernels/i8_conv/post.h"

static int32_t sum_at(const mt_i8_plain *c, const uint8_t *in, int oc, int oy, int ox)
{
    const mt_i8_conv_desc *d = c->d;
    int cpg = d->cin / d->groups, first = oc / (d->cout / d->groups) * cpg;
    const int8_t *w = c->w + (size_t)oc * (size_t)(cpg * d->kh * d->kw);
    int32_t sum = c->start[oc];
    for (int ky = 0; ky < d->kh; ky++)
        for (int kx = 0; kx < d->kw; kx++) {
            int y = oy * d->sh + ky * d->dh - d->pt, x = ox * d->sw + kx * d->dw - d->pl;
            bool inside = y >= 0 && y < d->h && x >= 0 && x < d->w;
            const uint8_t *p = in + ((ptrdiff_t)y * d->w + x) * c->in_pitch + first;
            for (int i = 0; i < cpg; i++)
                sum += (inside ? p[i] : d->in_zero) * w[(i * d->kh + ky) * d->kw + kx];
        }
    return sum;
}

void mt_i8_plain__ref(const mt_i8_plain *c, const uint8_t *in, const uint8_t *res, void *out)
{
    const mt_i8_conv_desc *d = c->d;
    for (int y = 0; y < d->oh; y++)
        for (int x = 0; x < d->ow; x++)
            for (int o = 0; o < d->cout; o++) {
                size_t at =
                    ((size_t)y * (size_t)d->ow + (size_t)x) * (size_t)c->out_pitch + (size_t)o;
                float v = mt_i8_value(c->post, sum_at(c, in, o, y, x), c->mul[o], c->add[o],
                                      res ? res[at] : 0);
                if (c->post->mode == MT_I8_FLOATS)
                    ((float *)out)[at] = v;
                else
                    ((uint8_t *)out)[at] =
                        (uint8_t)mt_i8_round(v, c->post->zero, c->post->lo, c->post->hi);
            }
}
