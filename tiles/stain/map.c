/* Figures to maps: every one of them is linear between a logarithm and its way back. */
#include "tiles/stain/stain.h"

#include <math.h>
#include <string.h>
#include "base/mem.h"
#include "tiles/stain/math.h"

static const char *const method_names[] = {"none", "macenko", "reinhard"};

const char *mt_stain_method_name(mt_stain_method m)
{
    return (size_t)m < MT_COUNT(method_names) ? method_names[m] : "none";
}

const mt_stain *mt_stain_reference(void)
{
    static const mt_stain reference = {
        .version = 1,
        .vectors = {{0.5626, 0.7201, 0.4062}, {0.2159, 0.8012, 0.5581}},
        .strength = {1.9705, 1.0308},
        .angle_deg = 22.341885,
        .lab_mean = {8.74108109, -0.12440419, 0.0444982},
        .lab_std = {0.6135447, 0.10989545, 0.0286032}};
    return &reference;
}

/* Ruifrok and Johnston 2001, as their ImageJ plugin has them. */
static const struct {
    const char *name;
    double v[3];
} known[] = {{"hematoxylin", {0.65, 0.70, 0.29}},
             {"eosin", {0.07, 0.99, 0.11}},
             {"dab", {0.27, 0.57, 0.78}}};
enum { HEMATOXYLIN, EOSIN, DAB };

const char *mt_stain_nearest(double *degrees, const double vector[3])
{
    size_t best = 0;
    *degrees = 360;
    for (size_t i = 0; i < MT_COUNT(known); i++) {
        double angle = stain_angle(known[i].v, vector);
        if (angle < *degrees) {
            *degrees = angle;
            best = i;
        }
    }
    return known[best].name;
}

static mt_status map_new(mt_stain_map **out, double io, mt_err *err)
{
    MT_TRY(mt_alloc(out, 1, sizeof **out, SIZE_MAX, "stain map", err));
    for (int c = 0; c < 3; c++) {
        (*out)->map.in[4 * c] = (float)(1 / io);
        (*out)->map.out[4 * c] = (float)io;
    }
    return MT_OK;
}

void mt_stain_map_free(mt_stain_map **map)
{
    if (!map) return;
    free(*map);
    *map = NULL;
}

void mt_stain_map_apply(const mt_stain_map *map, uint8_t *rgb, size_t n)
{
    mt_u8_stain(&map->map, rgb, n);
}

/* OD' = target * diag(strength ratio) * inverse of source * OD; signs of the logarithm cancel. */
static mt_status macenko(mt_u8_stain_map *m, const mt_stain *from, const mt_stain *to, mt_err *err)
{
    double inverse[2][3];
    for (int i = 0; i < 2; i++) {
        const char *fault = (i ? to : from)->fault;
        if (fault[0])
            return mt_err_set(err, MT_ERR_UNSUPPORTED, "the stain %scannot be measured: %s",
                              i ? "of the target " : "", fault);
    }
    stain_pinv(inverse, from->vectors);
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 3; c++) {
            double sum = 0;
            for (int k = 0; k < 2; k++)
                sum += to->vectors[k][r] * to->strength[k] / from->strength[k] * inverse[k][c];
            m->mid[3 * r + c] = (float)sum;
        }
    return MT_OK;
}

/* lab' = (lab - mean) * ratio + target mean, between the rotation of the logarithms and its
 * transpose. */
static mt_status reinhard(mt_u8_stain_map *m, const mt_stain *from, const mt_stain *to, mt_err *err)
{
    double ratio[3], offset[3], back[3][3];
    for (int c = 0; c < 3; c++) {
        if (!(from->lab_std[c] >= 1e-4))
            return mt_err_set(err, MT_ERR_UNSUPPORTED,
                              "the stain cannot be measured: channel %d of l-alpha-beta has a "
                              "deviation of %g",
                              c, from->lab_std[c]);
        ratio[c] = to->lab_std[c] / from->lab_std[c];
        offset[c] = to->lab_mean[c] - ratio[c] * from->lab_mean[c];
    }
    stain_invert(back, stain_lms);
    for (int r = 0; r < 3; r++) {
        double shift = 0;
        for (int k = 0; k < 3; k++)
            shift += stain_lab_axes[k][r] * offset[k];
        m->shift[r] = (float)shift;
        for (int c = 0; c < 3; c++) {
            double sum = 0;
            for (int k = 0; k < 3; k++)
                sum += stain_lab_axes[k][r] * ratio[k] * stain_lab_axes[k][c];
            m->mid[3 * r + c] = (float)sum;
            m->in[3 * r + c] = (float)stain_lms[r][c];
            m->out[3 * r + c] = (float)back[r][c];
        }
    }
    return MT_OK;
}

mt_status mt_stain_map_normalise(mt_stain_map **out, mt_stain_method method, const mt_stain *from,
                                 const mt_stain *to, mt_err *err)
{
    *out = NULL;
    if (method != MT_STAIN_MACENKO && method != MT_STAIN_REINHARD)
        return mt_err_set(err, MT_ERR_ARG, "stain normalisation by method %d", (int)method);
    MT_AUTO(mt_stain_map_free) mt_stain_map *map = NULL;
    MT_TRY(map_new(&map, STAIN_IO, err));
    if (!to) to = mt_stain_reference();
    MT_TRY(method == MT_STAIN_MACENKO ? macenko(&map->map, from, to, err)
                                      : reinhard(&map->map, from, to, err));
    *out = mt_steal(map);
    return MT_OK;
}

/* ---- deconvolution ---- */

static void cross(double out[3], const double a[3], const double b[3])
{
    for (int i = 0; i < 3; i++)
        out[i] = a[(i + 1) % 3] * b[(i + 2) % 3] - a[(i + 2) % 3] * b[(i + 1) % 3];
}

/* The three stains of a set, one a column, and the column of the channel; -1 when it has none. */
static int stain_matrix(double m[3][3], mt_stain_channel channel, mt_stain_set set,
                        const mt_stain *measured)
{
    double v[3][3];
    memcpy(v[0], set == MT_STAINS_MEASURED ? measured->vectors[0] : known[HEMATOXYLIN].v,
           sizeof v[0]);
    memcpy(v[1],
           set == MT_STAINS_MEASURED ? measured->vectors[1]
           : set == MT_STAINS_HDAB   ? known[DAB].v
                                     : known[EOSIN].v,
           sizeof v[1]);
    stain_unit(v[0]);
    stain_unit(v[1]);
    if (set == MT_STAINS_HED)
        memcpy(v[2], known[DAB].v, sizeof v[2]);
    else
        cross(v[2], v[0], v[1]);
    stain_unit(v[2]);
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 3; c++)
            m[r][c] = v[c][r];
    switch (channel) {
    case MT_CHANNEL_HEMATOXYLIN:
        return 0;
    case MT_CHANNEL_EOSIN:
        return set == MT_STAINS_HDAB ? -1 : 1;
    case MT_CHANNEL_DAB:
        return set == MT_STAINS_HDAB ? 1 : set == MT_STAINS_HED ? 2 : -1;
    case MT_CHANNEL_RESIDUAL:
        return set == MT_STAINS_HED ? -1 : 2;
    }
    return -1;
}

mt_status mt_stain_map_channel(mt_stain_map **out, mt_stain_channel channel, mt_stain_set set,
                               const mt_stain *measured, mt_err *err)
{
    static const char *const channels[] = {"hematoxylin", "eosin", "dab", "residual"};
    double m[3][3], inverse[3][3];
    *out = NULL;
    if ((size_t)channel >= MT_COUNT(channels) || (set == MT_STAINS_MEASURED && !measured))
        return mt_err_set(err, MT_ERR_ARG, "stain channel %d of set %d", (int)channel, (int)set);
    if (set == MT_STAINS_MEASURED && measured->fault[0])
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "the stain cannot be measured: %s",
                          measured->fault);
    int k = stain_matrix(m, channel, set, measured);
    if (k < 0)
        return mt_err_set(err, MT_ERR_ARG, "these stain vectors have no %s channel",
                          channels[channel]);
    if (!stain_invert(inverse, m))
        return mt_err_set(err, MT_ERR_UNSUPPORTED, "the stain vectors cannot be told apart");
    MT_AUTO(mt_stain_map_free) mt_stain_map *map = NULL;
    MT_TRY(map_new(&map, 256.0, err));
    map->grey = 1;
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 3; c++)
            map->map.mid[3 * r + c] = (float)inverse[k][c];
    *out = mt_steal(map);
    return MT_OK;
}
