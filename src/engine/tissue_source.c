#include "microtome/tissue.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "base/file.h"
#include "engine/provenance.h"
#include "engine/tissue_model.h"
#include "tiles/tissue/in.h"

struct mt_tissue_source {
    mt_model *model; /* or NULL */
    char *path;      /* mask file or folder; NULL: detection or model */
    bool folder;
};

void mt_tissue_source_close(mt_tissue_source **source)
{
    if (!source || !*source) return;
    mt_model_close(&(*source)->model);
    free((*source)->path);
    free(*source);
    *source = NULL;
}

mt_status mt_tissue_source_open(mt_tissue_source **out, const char *given, mt_err *err)
{
    *out = NULL;
    MT_AUTO(mt_tissue_source_close) mt_tissue_source *s = NULL;
    MT_TRY(mt_alloc(&s, 1, sizeof *s, sizeof *s, "tissue source", err));
    bool named = given && !strncmp(given, "model:", 6);
    if (named || (given && !strcasecmp(mt_path_ext(given), ".onnx"))) {
        int cls;
        MT_TRY(mt_model_open(&s->model, named ? given + 6 : given, NULL, err));
        MT_TRY(mt_tissue_model_class(&cls, s->model, err));
    } else if (given) {
        s->folder = mt_dir_exists(given);
        if (!s->folder && !mt_file_exists(given))
            return mt_err_set(err, MT_ERR_NOT_FOUND, "tissue mask %.200s does not exist", given);
        s->path = strdup(given);
        if (!s->path) return mt_err_set(err, MT_ERR_NO_MEMORY, "no memory for a path");
    }
    *out = mt_steal(s);
    return MT_OK;
}

/* The mask of a slide in a folder of masks. */
static mt_status find_in_folder(char **out, const char *folder, const char *slide_path, mt_err *err)
{
    MT_AUTO_FREE char *whole = strdup(slide_path ? slide_path : "");
    if (!whole) return mt_err_set(err, MT_ERR_NO_MEMORY, "no memory for a path");
    size_t n = strlen(whole);
    while (n > 1 && whole[n - 1] == '/')
        whole[--n] = 0; /* a slide may be a folder */
    const char *base = mt_path_base(whole);
    MT_AUTO_FREE char *found = NULL;
    char stem[256];
    mt_slide_stem(stem, sizeof stem, whole); /* as results are called */
    for (int i = 0; i < 6; i++) {
        MT_AUTO_FREE char *path = NULL;
        if (i == 0) path = mt_strf("%s/%s.geojson", folder, stem);
        if (i == 1) path = mt_strf("%s/%s.json", folder, stem);
        if (i == 2) path = mt_strf("%s/%s.png", folder, stem);
        if (i == 3) path = mt_strf("%s/%s_mask_use.png", folder, stem);
        if (i == 4) path = mt_strf("%s/%s_mask_use.png", folder, base);
        if (i == 5) path = mt_strf("%s/%s/%s_mask_use.png", folder, base, base);
        if (!path) return mt_err_set(err, MT_ERR_NO_MEMORY, "no memory for a path");
        if (!mt_file_exists(path) || mt_dir_exists(path) || (found && !strcmp(found, path)))
            continue;
        if (found)
            return mt_err_set(err, MT_ERR_ARG,
                              "the folder of tissue masks has several for this slide (%s and %s)",
                              mt_path_ext(found), mt_path_ext(path));
        found = mt_steal(path);
    }
    if (!found)
        return mt_err_set(err, MT_ERR_NOT_FOUND,
                          "the folder of tissue masks has none for this slide (looked for its name "
                          "with .geojson, .json, .png and _mask_use.png)");
    *out = mt_steal(found);
    return MT_OK;
}

static mt_status mask_path(char **out, const mt_tissue_source *s, const char *slide_path,
                           mt_err *err)
{
    *out = NULL;
    if (s->folder) return find_in_folder(out, s->path, slide_path, err);
    *out = strdup(s->path);
    return *out ? MT_OK : mt_err_set(err, MT_ERR_NO_MEMORY, "no memory for a path");
}

/* By content: a GeoJSON called .png is read as what it is. */
static const char *kind_of(const char *path)
{
    char head[4] = "";
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(head, 1, sizeof head, f) : 0;
    if (f) fclose(f);
    return n == sizeof head && !memcmp(head, "\x89PNG", 4) ? "png" : "geojson";
}

mt_status mt_tissue_source_origin(mt_tissue_origin *out, const mt_tissue_source *s,
                                  const char *slide_path, mt_err *err)
{
    *out = (mt_tissue_origin){.kind = "detected"};
    if (s && s->model) {
        const mt_card *c = mt_model_card(s->model);
        snprintf(out->kind, sizeof out->kind, "model");
        snprintf(out->digest, sizeof out->digest, "%s", mt_model_digest(s->model));
        snprintf(out->model, sizeof out->model, "%s %s", c->name, c->version);
        out->threshold = mt_tissue_model_threshold(c);
        return MT_OK;
    }
    if (!s || !s->path) return MT_OK;
    MT_AUTO_FREE char *path = NULL;
    MT_TRY(mask_path(&path, s, slide_path, err));
    MT_TRY(mt_file_digest(out->digest, path, err));
    snprintf(out->kind, sizeof out->kind, "%s", kind_of(path));
    return MT_OK;
}

/* Mask files are called after their slides: errors that are kept do not name them. */
static mt_status read_mask(mt_tissue *t, const char *path, mt_err *err)
{
    MT_AUTO_FREE uint8_t *data = NULL;
    mt_err why = MT_ERR_INIT;
    size_t n;
    mt_status st = mt_file_read(&data, &n, path, TISSUE_IN_CEILING, &why);
    if (st != MT_OK)
        return mt_err_set(err, st, "the tissue mask cannot be read%s",
                          st == MT_ERR_LIMIT ? ": it is larger than 256 MiB" : "");
    return tissue_in_bytes(t, data, n, "tissue mask", err);
}

mt_status mt_tissue_source_find(mt_tissue **out, const mt_tissue_source *s, const mt_slide *slide,
                                const char *slide_path, const mt_tissue_opts *opts, mt_err *err)
{
    MT_AUTO_FREE char *path = NULL;
    MT_AUTO(mt_tissue_free) mt_tissue *t = NULL;
    *out = NULL;
    if (!s || (!s->path && !s->model)) return mt_tissue_detect(out, slide, opts, err);
    if (s->path) MT_TRY(mask_path(&path, s, slide_path, err)); /* before anything is decoded */
    MT_TRY(tissue_in_grid(&t, slide, err));
    if (path) MT_TRY(read_mask(t, path, err));
    if (s->model) MT_TRY(mt_tissue_model_run(t, s->model, slide, opts->threads, err));
    *out = mt_steal(t);
    return MT_OK;
}
