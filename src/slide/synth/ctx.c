/* Synthetic slides: names of classes, options, contexts. */
#include "slide/synth/draw.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>

const char *mt_synth_class_name(int cls)
{
    static const char *const names[MT_SYNTH_CLASSES] = {"glass", "stroma", "gland", "tumour", "lymphocytes", "fat", "necrosis"};
    return cls >= 0 && cls < MT_SYNTH_CLASSES ? names[cls] : "unknown";
}

mt_status synth_opts_check(const mt_synth_opts *o, mt_err *err)
{
    if (o->width < 256 || o->height < 256 || o->width > 200000 || o->height > 200000)
        return mt_err_set(err, MT_ERR_ARG, "slide of %lld x %lld pixels: sides must be 256..200000", (long long)o->width,
                          (long long)o->height);
    if (!(o->mpp >= 0.1 && o->mpp <= 4.0)) return mt_err_set(err, MT_ERR_ARG, "spacing %g um: must be 0.1..4", o->mpp);
    if (o->pen_colour < 0 || o->pen_colour >= MT_SYNTH_INKS)
        return mt_err_set(err, MT_ERR_ARG, "pen colour %d: must be 0..%d", o->pen_colour, MT_SYNTH_INKS - 1);
    if (!(o->tumour >= 0 && o->tumour <= 1)) return mt_err_set(err, MT_ERR_ARG, "tumour share %g: must be 0..1", o->tumour);
    if (!(o->tissue >= 0 && o->tissue <= 0.9))
        return mt_err_set(err, MT_ERR_ARG, "tissue share %g: must be 0..0.9", o->tissue);
    return MT_OK;
}

/* Where the artefacts lie. Fixed by the seed, sized by the slide. */
static void place_artefacts(synth_ctx *c)
{
    const double w = c->width_um, h = c->height_um, s = MT_MIN(w, h);
    float r[12];
    for (int k = 0; k < 12; k++) r[k] = synth_u01(synth_hash(k, 31, c->salt + 31337));
    double nx = 2 * r[0] - 1, ny = 2 * r[1] - 1, n = sqrt(nx * nx + ny * ny);
    if (n < 0.05) {
        nx = 1;
        ny = 0;
        n = 1;
    }
    c->fold_nx = nx / n;
    c->fold_ny = ny / n;
    c->fold_cx = w * (0.40 + 0.2 * r[2]);
    c->fold_cy = h * (0.40 + 0.2 * r[3]);
    c->fold_half = MT_MIN(0.012 * s, 45.0);
    c->fold_len = 0.30 * s;
    c->pen_cx = w * (0.42 + 0.16 * r[4]);
    c->pen_cy = h * (0.42 + 0.16 * r[5]);
    c->pen_radius = (0.26 + 0.08 * r[6]) * s;
    c->pen_half = MT_MIN(0.02 * s, 220.0);
    c->blur_cx = w * (0.35 + 0.3 * r[7]);
    c->blur_cy = h * (0.35 + 0.3 * r[8]);
    c->blur_rx = (0.13 + 0.05 * r[9]) * w;
    c->blur_ry = (0.13 + 0.05 * r[10]) * h;
    c->blur_px = MT_MAX(1, MT_MIN(16, (int)(1.9 / c->mpp + 0.5)));
}

static void ctx_free(synth_ctx **c)
{
    if (!*c) return;
    mt_arena_free(&(*c)->arena);
    free(*c);
    *c = NULL;
}

static mt_status ctx_new(synth_ctx **out, const mt_synth_opts *o, mt_err *err)
{
    MT_AUTO(ctx_free) synth_ctx *c = NULL;
    MT_TRY(mt_alloc(&c, 1, sizeof *c, sizeof *c, "synthetic slide", err));
    c->o = *o;
    c->mpp = o->mpp;
    c->width_um = (double)o->width * o->mpp;
    c->height_um = (double)o->height * o->mpp;
    c->shift = o->mpp <= 0.75 ? 3 : o->mpp <= 1.5 ? 2 : 1;
    c->step = 1 << c->shift;
    c->salt = synth_hash((int32_t)o->seed, (int32_t)(o->seed >> 32), 0x5EED);
    /* two directions about 65 degrees apart */
    const double a = 6.2831853 * synth_u01(synth_hash(9, 9, c->salt));
    for (int k = 0; k < 2; k++) {
        c->fibre_cos[k] = cos(a + 1.13 * k);
        c->fibre_sin[k] = sin(a + 1.13 * k);
    }
    place_artefacts(c);
    MT_TRY(synth_tables_make(c, err));
    synth_artefacts_place(c);
    MT_TRY(synth_calibrate(c, err));
    c->refs = 1;
    *out = mt_steal(c);
    return MT_OK;
}

static bool same_drawing(const mt_synth_opts *a, const mt_synth_opts *b)
{
    return a->width == b->width && a->height == b->height && a->seed == b->seed && a->mpp == b->mpp &&
           a->tumour == b->tumour && a->tissue == b->tissue && !a->pen == !b->pen && !a->blur == !b->blur && !a->fold == !b->fold &&
           !a->bubble == !b->bubble && !a->edge == !b->edge && !a->debris == !b->debris && a->pen_colour == b->pen_colour;
}

/* Callers that cut many boxes from one slide should not pay for its tables each time. */
static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER;
static synth_ctx *kept;

void synth_ctx_put(synth_ctx **c)
{
    if (!*c) return;
    if (__atomic_sub_fetch(&(*c)->refs, 1, __ATOMIC_ACQ_REL) == 0) ctx_free(c);
    *c = NULL;
}

mt_status synth_ctx_get(synth_ctx **out, const mt_synth_opts *o, mt_err *err)
{
    *out = NULL;
    MT_TRY(synth_opts_check(o, err));
    pthread_mutex_lock(&kept_lock);
    if (kept && same_drawing(&kept->o, o)) {
        __atomic_add_fetch(&kept->refs, 1, __ATOMIC_RELAXED);
        *out = kept;
    }
    pthread_mutex_unlock(&kept_lock);
    if (*out) return MT_OK;
    MT_TRY(ctx_new(out, o, err));
    pthread_mutex_lock(&kept_lock);
    synth_ctx *old = kept;
    kept = *out;
    __atomic_add_fetch(&kept->refs, 1, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&kept_lock);
    synth_ctx_put(&old);
    return MT_OK;
}
