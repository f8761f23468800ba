/* Stain figures as JSON. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/json.h"
#include "microtome/stain.h"
#include "tiles/stain/math.h"

#define CEILING ((size_t)64 << 10)
#define FORMAT "microtome-stain"

static void put3(mt_jw *w, const char *key, const double v[3])
{
    mt_jw_arr(w, key);
    for (int i = 0; i < 3; i++)
        mt_jw_num(w, NULL, v[i]);
    mt_jw_end_arr(w);
}

mt_status mt_stain_write(const mt_stain *s, const char *path, mt_err *err)
{
    MT_AUTO(mt_buf_free) mt_buf b = MT_BUF_INIT(CEILING);
    mt_jw w;
    mt_jw_init(&w, &b, 2);
    mt_jw_obj(&w, NULL);
    mt_jw_str(&w, "format", FORMAT);
    mt_jw_int(&w, "version", 1);
    mt_jw_obj(&w, "macenko");
    put3(&w, "hematoxylin", s->vectors[0]);
    put3(&w, "eosin", s->vectors[1]);
    mt_jw_arr(&w, "strength");
    mt_jw_num(&w, NULL, s->strength[0]);
    mt_jw_num(&w, NULL, s->strength[1]);
    mt_jw_end_arr(&w);
    if (s->fault[0]) mt_jw_str(&w, "fault", s->fault);
    mt_jw_end_obj(&w);
    mt_jw_obj(&w, "reinhard");
    put3(&w, "mean", s->lab_mean);
    put3(&w, "std", s->lab_std);
    mt_jw_end_obj(&w);
    mt_jw_int(&w, "pixels", (int64_t)s->pixels);
    mt_jw_int(&w, "stained", (int64_t)s->stained);
    mt_jw_int(&w, "tiles", s->tiles);
    mt_jw_num(&w, "mpp", s->mpp);
    mt_jw_end_obj(&w);
    mt_buf_append(&b, "\n", 1);
    MT_TRY(mt_buf_status(&b, "stain figures", err));
    return mt_file_write(path, b.data, b.len, err);
}

static mt_status numbers(double *out, size_t n, const json_t *obj, const char *key, double lo,
                         double hi, const char *what, mt_err *err)
{
    const json_t *list = json_object_get(obj, key);
    if (!json_is_array(list) || json_array_size(list) != n)
        return mt_err_set(err, MT_ERR_FORMAT, "%.120s: \"%s\" is no list of %zu numbers", what, key,
                          n);
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(list, i);
        out[i] = json_number_value(v);
        if (!json_is_number(v) || !(out[i] >= lo && out[i] <= hi))
            return mt_err_set(err, MT_ERR_FORMAT, "%.120s: %s[%zu] is no number from %g to %g",
                              what, key, i, lo, hi);
    }
    return MT_OK;
}

/* What cannot be normalised to is refused here, with the value, not later with a picture. */
static mt_status read_macenko(mt_stain *s, const json_t *m, const char *what, mt_err *err)
{
    MT_TRY(numbers(s->vectors[0], 3, m, "hematoxylin", -1, 1, what, err));
    MT_TRY(numbers(s->vectors[1], 3, m, "eosin", -1, 1, what, err));
    MT_TRY(numbers(s->strength, 2, m, "strength", 0.01, 20, what, err));
    for (int k = 0; k < 2; k++) {
        double n = sqrt(stain_dot(s->vectors[k], s->vectors[k]));
        if (fabs(n - 1) > 0.02)
            return mt_err_set(err, MT_ERR_FORMAT, "%.120s: the %s vector has length %.4g, not 1",
                              what, k ? "eosin" : "hematoxylin", n);
    }
    s->angle_deg = nearbyint(stain_angle(s->vectors[0], s->vectors[1]) * 1e6) / 1e6;
    if (s->angle_deg < 1)
        return mt_err_set(err, MT_ERR_FORMAT, "%.120s: the two stains are %.2g degrees apart", what,
                          s->angle_deg);
    return MT_OK;
}

static mt_status read(mt_stain *s, const json_t *root, const char *what, mt_err *err)
{
    char format[32];
    int64_t version;
    MT_TRY(mt_json_str(format, sizeof format, root, "format", "", err));
    MT_TRY(mt_json_int(&version, root, "version", 0, err));
    if (strcmp(format, FORMAT) || version != 1)
        return mt_err_set(err, MT_ERR_FORMAT,
                          "%.120s: not a stain file (\"format\": \"" FORMAT "\", \"version\": 1)",
                          what);
    const json_t *m = json_object_get(root, "macenko"), *r = json_object_get(root, "reinhard");
    if (!m && !r)
        return mt_err_set(err, MT_ERR_FORMAT, "%.120s: neither \"macenko\" nor \"reinhard\"", what);
    MT_TRY(mt_json_str(s->fault, sizeof s->fault, m, "fault",
                       m ? "" : "the file has no \"macenko\"", err));
    if (!s->fault[0]) MT_TRY(read_macenko(s, m, what, err));
    if (r) {
        MT_TRY(numbers(s->lab_mean, 3, r, "mean", -20, 20, what, err));
        MT_TRY(numbers(s->lab_std, 3, r, "std", 1e-4, 10, what, err));
    }
    int64_t pixels, stained, tiles;
    MT_TRY(mt_json_int(&pixels, root, "pixels", 0, err));
    MT_TRY(mt_json_int(&stained, root, "stained", 0, err));
    MT_TRY(mt_json_int(&tiles, root, "tiles", 0, err));
    MT_TRY(mt_json_num(&s->mpp, root, "mpp", 0, err));
    s->pixels = pixels < 0 ? 0 : (uint64_t)pixels;
    s->stained = stained < 0 ? 0 : (uint64_t)stained;
    s->tiles = tiles < 0 || tiles > 1000000 ? 0 : (int32_t)tiles;
    return MT_OK;
}

mt_status mt_stain_parse(mt_stain *out, const char *text, size_t n, const char *what, mt_err *err)
{
    MT_AUTO(mt_json_unref) json_t *root = NULL;
    *out = (mt_stain){.version = 1};
    MT_TRY(mt_json_parse(&root, text, n, CEILING, what, err));
    if (!json_is_object(root))
        return mt_err_set(err, MT_ERR_FORMAT, "%.120s: no JSON object", what);
    return read(out, root, what, err);
}

mt_status mt_stain_request_parse(mt_stain_request *out, const char *text, mt_err *err)
{
    const char *colon = strchr(text, ':');
    size_t n = colon ? (size_t)(colon - text) : strlen(text);
    bool known = false;
    *out = (mt_stain_request){.target = *mt_stain_reference()};
    for (int m = MT_STAIN_NONE; m <= MT_STAIN_REINHARD && !known; m++) {
        const char *word = mt_stain_method_name((mt_stain_method)m);
        known = strlen(word) == n && !memcmp(word, text, n);
        if (known) out->method = (mt_stain_method)m;
    }
    if (!known || (colon && (!colon[1] || out->method == MT_STAIN_NONE)))
        return mt_err_set(err, MT_ERR_ARG,
                          "stain normalisation \"%.80s\" is none of none, macenko, reinhard, "
                          "macenko:FILE.json, reinhard:FILE.json",
                          text);
    if (!colon) return MT_OK;
    out->own_target = 1;
    return mt_stain_load(&out->target, colon + 1, err);
}

mt_status mt_stain_load(mt_stain *out, const char *path, mt_err *err)
{
    MT_AUTO_FREE uint8_t *text = NULL;
    size_t n;
    *out = (mt_stain){.version = 1};
    MT_TRY(mt_file_read(&text, &n, path, CEILING, err));
    return mt_stain_parse(out, (const char *)text, n, mt_path_base(path), err);
}
