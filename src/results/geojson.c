/* Tile scores as QuPath reads them (and WSInfer writes them): one locked tile object a scored tile.
 */
#include <string.h>
#include "base/json.h"
#include "results/writers.h"

typedef struct words {
    mt_buf prob[MT_MAX_CLASSES]; /* "prob_<class>", quoted and escaped */
    mt_buf cls[MT_MAX_CLASSES];  /* classification object */
} words;

static void words_free(words *w)
{
    for (int c = 0; c < MT_MAX_CLASSES; c++) {
        mt_buf_free(&w->prob[c]);
        mt_buf_free(&w->cls[c]);
    }
}

static mt_status words_make(words *w, const mt_card *card, mt_err *err)
{
    for (int c = 0; c < card->n_classes; c++) {
        char name[64];
        uint8_t rgb[3];
        mt_jw jw;
        w->prob[c] = w->cls[c] = (mt_buf)MT_BUF_INIT(1024);
        snprintf(name, sizeof name, "prob_%s", card->class_names[c]);
        mt_jw_init(&jw, &w->prob[c], 0);
        mt_jw_str(&jw, NULL, name);
        mt_class_colour(rgb, c, card->positive_class);
        mt_jw_init(&jw, &w->cls[c], 0);
        mt_jw_obj(&jw, NULL);
        mt_jw_str(&jw, "name", card->class_names[c]);
        mt_jw_arr(&jw, "color");
        for (int k = 0; k < 3; k++)
            mt_jw_int(&jw, NULL, rgb[k]);
        mt_jw_end_arr(&jw);
        mt_jw_end_obj(&jw);
        MT_TRY(mt_buf_status(&w->prob[c], "class name", err));
        MT_TRY(mt_buf_status(&w->cls[c], "class name", err));
    }
    return MT_OK;
}

static uint64_t fnv(uint64_t h, const void *data, size_t n)
{
    for (const uint8_t *p = data; n; n--, p++)
        h = (h ^ *p) * 0x100000001B3u;
    return h;
}

/* SplitMix64's finaliser: every input bit reaches every output bit. */
static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* RFC 9562 version 8: FNV-1a over "slide digest/model digest/x,y,w,h" from two bases, each half
 * mixed. The same box of the same slide under the same model has the same id in every run. */
static void tile_uuid(char out[37], const mt_result *r, const mt_tile *t)
{
    char key[256];
    int n = snprintf(key, sizeof key, "%s/%s/%lld,%lld,%d,%d", r->slide_digest,
                     r->model_digest ? r->model_digest : "", (long long)t->x_l0, (long long)t->y_l0,
                     t->w_l0, t->h_l0);
    uint64_t hi = mix(fnv(0xCBF29CE484222325u, key, (size_t)n)),
             lo = mix(fnv(0x6C62272E07BB0142u, key, (size_t)n));
    hi = (hi & ~(uint64_t)0xF000) | 0x8000;                 /* version 8 */
    lo = (lo & ~((uint64_t)3 << 62)) | ((uint64_t)2 << 62); /* variant 10 */
    snprintf(out, 37, "%08x-%04x-%04x-%04x-%012llx", (unsigned)(hi >> 32),
             (unsigned)(hi >> 16 & 0xFFFF), (unsigned)(hi & 0xFFFF), (unsigned)(lo >> 48),
             (unsigned long long)(lo & 0xFFFFFFFFFFFFu));
}

static void feature(mt_buf *b, const mt_result *r, const words *w, size_t i)
{
    const mt_tile *t = &r->plan->tiles[i];
    int n = r->card->n_classes;
    const float *probs = r->probs + i * (size_t)n;
    long long x0 = t->x_l0, y0 = t->y_l0, x1 = x0 + t->w_l0, y1 = y0 + t->h_l0;
    char id[37];
    tile_uuid(id, r, t);
    mt_buf_printf(
        b,
        "{\"type\":\"Feature\",\"id\":\"%s\",\"geometry\":{\"type\":\"Polygon\",\"coordinates\":",
        id);
    mt_buf_printf(b, "[[[%lld,%lld],[%lld,%lld],[%lld,%lld],[%lld,%lld],[%lld,%lld]]]},", x1, y0,
                  x1, y1, x0, y1, x0, y0, x1, y0);
    mt_buf_printf(b,
                  "\"properties\":{\"objectType\":\"tile\",\"isLocked\":true,\"classification\":");
    const mt_buf *cls = &w->cls[mt_best_class(probs, n)];
    mt_buf_append(b, cls->data, cls->len);
    mt_buf_printf(b, ",\"measurements\":{");
    for (int c = 0; c < n; c++) {
        char v[40];
        mt_fmt_f32(v, sizeof v, probs[c]);
        if (c) mt_buf_append(b, ",", 1);
        mt_buf_append(b, w->prob[c].data, w->prob[c].len);
        mt_buf_printf(b, ":%s", v);
    }
    mt_buf_printf(b, "}}}");
}

static mt_status write_features(const mt_result *r, const char *out_dir, bool gzip, mt_err *err)
{
    MT_AUTO_FREE char *path = NULL;
    MT_AUTO_FREE char *name = mt_strf("%s.geojson%s", r->stem, gzip ? ".gz" : "");
    MT_AUTO(words_free) words w = {0};
    if (!name) return mt_err_set(err, MT_ERR_NO_MEMORY, "no memory for a path");
    MT_TRY(words_make(&w, r->card, err));
    MT_TRY(mt_result_path(&path, out_dir, "model-outputs-geojson", name, err));
    MT_AUTO(mt_sink_discard) mt_sink s;
    MT_TRY(mt_sink_open(&s, path, gzip, err));
    mt_buf_printf(&s.text, "{\"type\":\"FeatureCollection\",\"features\":[\n");
    bool first = true;
    for (size_t i = 0; i < r->plan->n_tiles; i++) {
        if (r->tile_state[i] != MT_TILE_DONE) continue;
        if (!first) mt_buf_printf(&s.text, ",\n");
        first = false;
        feature(&s.text, r, &w, i);
        mt_sink_drain(&s);
    }
    mt_buf_printf(&s.text, "\n]}\n");
    return mt_sink_end(&s, err);
}

mt_status mt_write_geojson(const mt_result *r, const mt_slide *slide, const char *out_dir,
                           mt_err *err)
{
    return write_features(r, out_dir, false, err);
}

mt_status mt_write_geojson_gz(const mt_result *r, const mt_slide *slide, const char *out_dir,
                              mt_err *err)
{
    return write_features(r, out_dir, true, err);
}
