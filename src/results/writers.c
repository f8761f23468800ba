/* The writer table. A new result is a row here and a file. */
#include "results/writers.h"

#include <string.h>

/* clang-format off */
#define WRITERS(ROW) \
    /*   name          by default  what it writes, the function */ \
    ROW("json",        1, "result.json: the grade with all it depends on", mt_write_json) \
    ROW("csv",         1, "model-outputs-csv: tile scores in WSInfer's columns", mt_write_csv) \
    ROW("geojson",     1, "model-outputs-geojson: tile scores as QuPath tiles", mt_write_geojson) \
    ROW("heatmap",     1, "heatmap.tif registered to level 0, heatmap.png", mt_write_heatmap) \
    ROW("qc",          1, "qc.png: the slide with what quality control found on it", mt_write_qc) \
    ROW("geojson.gz",  0, "the GeoJSON compressed", mt_write_geojson_gz)
/* clang-format on */

static const mt_writer_info infos[] = {
#define ROW(name, dflt, text, fn) {name, text, dflt},
    WRITERS(ROW)
#undef ROW
        {NULL, NULL, 0}};

static const mt_writer_fn functions[] = {
#define ROW(name, dflt, text, fn) fn,
    WRITERS(ROW)
#undef ROW
};

const mt_writer_info *mt_result_writers(void)
{
    return infos;
}

/* The stem becomes a file name: one path component, not hidden by a dot alone. */
static bool stem_is_a_name(const char *stem)
{
    return *stem && !strchr(stem, '/') && strcmp(stem, ".") && strcmp(stem, "..");
}

static mt_status check(const mt_result *r, mt_err *err)
{
    if (!r->card || !r->plan) return mt_err_set(err, MT_ERR_ARG, "result: no card or no plan");
    if (!stem_is_a_name(r->stem))
        return mt_err_set(err, MT_ERR_ARG, "result: the stem is not a file name");
    if (r->card->n_classes < 1 || r->card->n_classes > MT_MAX_CLASSES ||
        r->card->positive_class >= r->card->n_classes)
        return mt_err_set(err, MT_ERR_ARG, "result: %d classes, positive class %d",
                          r->card->n_classes, r->card->positive_class);
    if (r->plan->n_tiles && (!r->probs || !r->tile_state || !r->plan->tiles))
        return mt_err_set(err, MT_ERR_ARG, "result: %zu tiles but no scores", r->plan->n_tiles);
    if (r->grade.graded && r->grade.n_classes != r->card->n_classes)
        return mt_err_set(err, MT_ERR_ARG, "result: grade of %d classes, card of %d",
                          r->grade.n_classes, r->card->n_classes);
    return MT_OK;
}

mt_status mt_result_write(const char *writer, const mt_result *result, const mt_slide *slide,
                          const char *out_dir, mt_err *err)
{
    MT_TRY(check(result, err));
    for (size_t i = 0; i < MT_COUNT(functions); i++) {
        if (strcmp(infos[i].name, writer)) continue;
        mt_status st = functions[i](result, slide, out_dir, err);
        if (st != MT_OK) mt_err_context(err, "%s", writer);
        return st;
    }
    return mt_err_set(err, MT_ERR_ARG, "there is no writer \"%s\"", writer);
}

mt_status mt_result_path(char **out, const char *out_dir, const char *folder, const char *name,
                         mt_err *err)
{
    MT_AUTO_FREE char *dir = mt_strf("%s/%s", out_dir, folder);
    *out = NULL;
    if (!dir) return mt_err_set(err, MT_ERR_NO_MEMORY, "no memory for a path");
    MT_TRY(mt_dir_make(dir, err));
    *out = mt_strf("%s/%s", dir, name);
    return *out ? MT_OK : mt_err_set(err, MT_ERR_NO_MEMORY, "no memory for a path");
}

int mt_best_class(const float *probs, int n_classes)
{
    int best = 0;
    for (int c = 1; c < n_classes; c++)
        if (probs[c] > probs[best]) best = c;
    return best;
}

void mt_class_colour(uint8_t rgb[3], int cls, int positive_class)
{
    static const uint8_t red[3] = {214, 39, 40};
    static const uint8_t others[][3] = {
        {0, 114, 178},  {230, 159, 0},   {0, 158, 115},   {204, 121, 167}, {86, 180, 233},
        {240, 228, 66}, {117, 107, 177}, {153, 153, 153}, {140, 86, 50},   {23, 78, 84}};
    int i = positive_class >= 0 && cls > positive_class ? cls - 1 : cls;
    memcpy(rgb, cls == positive_class ? red : others[(size_t)i % MT_COUNT(others)], 3);
}
