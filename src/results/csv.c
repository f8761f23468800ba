/* Tile scores as WSInfer writes them: minx,miny,width,height,prob_<class>...; level-0 pixels, one
 * row a scored tile, plan order (x-major). */
#include <string.h>
#include "base/json.h"
#include "results/writers.h"

/* A field holding a separator, quote or line end is quoted, as every CSV reader expects. */
static void header_field(mt_buf *b, const char *name)
{
    if (!strpbrk(name, ",\"\r\n")) {
        mt_buf_printf(b, ",prob_%s", name);
        return;
    }
    mt_buf_printf(b, ",\"prob_");
    for (; *name; name++)
        mt_buf_printf(b, *name == '"' ? "\"\"" : "%c", *name);
    mt_buf_printf(b, "\"");
}

/* Shortest digits, and never an integer: a column of ones stays a column of floats. */
static void float_field(mt_buf *b, float v)
{
    char t[40];
    mt_fmt_f32(t, sizeof t, v);
    mt_buf_printf(b, strpbrk(t, ".en") ? ",%s" : ",%s.0", t);
}

mt_status mt_write_csv(const mt_result *r, const mt_slide *slide, const char *out_dir, mt_err *err)
{
    MT_AUTO_FREE char *path = NULL;
    MT_AUTO_FREE char *name = mt_strf("%s.csv", r->stem);
    if (!name) return mt_err_set(err, MT_ERR_NO_MEMORY, "no memory for a path");
    MT_TRY(mt_result_path(&path, out_dir, "model-outputs-csv", name, err));
    MT_AUTO(mt_sink_discard) mt_sink s;
    MT_TRY(mt_sink_open(&s, path, false, err));
    int n = r->card->n_classes;
    mt_buf_printf(&s.text, "minx,miny,width,height");
    for (int c = 0; c < n; c++)
        header_field(&s.text, r->card->class_names[c]);
    mt_buf_printf(&s.text, "\n");
    for (size_t i = 0; i < r->plan->n_tiles; i++) {
        if (r->tile_state[i] != MT_TILE_DONE) continue;
        const mt_tile *t = &r->plan->tiles[i];
        mt_buf_printf(&s.text, "%lld,%lld,%d,%d", (long long)t->x_l0, (long long)t->y_l0, t->w_l0,
                      t->h_l0);
        for (int c = 0; c < n; c++)
            float_field(&s.text, r->probs[i * (size_t)n + (size_t)c]);
        mt_buf_printf(&s.text, "\n");
        mt_sink_drain(&s);
    }
    return mt_sink_end(&s, err);
}
