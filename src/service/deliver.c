#include "service/deliver.h"

#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "microtome/result.h"
#include "service/leftovers.h"

#define RESULT_CEILING ((size_t)16 << 20)

bool mt_delivered(json_t **root, const char *out_dir, const char *name)
{
    MT_AUTO_FREE char *path = mt_strf("%s/%s/result.json", out_dir, name);
    return path && mt_file_exists(path) && mt_json_load(root, path, RESULT_CEILING, NULL) == MT_OK;
}

/* Key of the result that lies in the folder: "" when it is a refusal, false when there is none. */
static bool key_on_disk(char key[65], const char *out_dir, const char *name)
{
    MT_AUTO(mt_json_unref) json_t *root = NULL;
    key[0] = 0;
    if (!mt_delivered(&root, out_dir, name)) return false;
    const char *have = json_string_value(json_object_get(root, "key"));
    snprintf(key, 65, "%s", have ? have : "");
    return true;
}

mt_status mt_deliver(mt_pipeline *p, const mt_setup *s, const char *out_dir, mt_err *err)
{
    const mt_result *res = mt_pipeline_result(p);
    const mt_slide *slide = mt_pipeline_slide(p);
    bool empty = res->grade.n_tiles == 0;
    char key[65];
    if (!key_on_disk(key, out_dir, res->stem) || strcmp(key, res->key) != 0)
        MT_TRY(mt_leftovers_retire(out_dir, res->stem, err));
    MT_TRY(mt_pipeline_store(p, err));
    for (const mt_writer_info *w = mt_result_writers(); w->name; w++) {
        /* nothing was looked at: there is nothing to draw */
        bool nothing = empty && strcmp(w->name, "heatmap") == 0;
        if (!w->by_default || strcmp(w->name, "json") == 0 || nothing) continue;
        MT_TRY(mt_result_write(w->name, res, slide, out_dir, err));
    }
    for (int i = 0; i < s->n_exports; i++)
        MT_TRY(mt_result_write(s->exports[i], res, slide, out_dir, err));
    return mt_result_write("json", res, slide, out_dir, err);
}

static void write_refusal(const mt_result *res, const char *out_dir)
{
    if (mt_result_write("json", res, NULL, out_dir, NULL) != MT_OK)
        mt_log(MT_LOG_WARN, "a \"not analysed\" result could not be written");
}

void mt_deliver_refusal(mt_pipeline *p, const char *out_dir, const char *name, const char *reason)
{
    mt_result *res = mt_pipeline_result(p);
    char key[65];
    if (key_on_disk(key, out_dir, name) && key[0]) return;
    snprintf(res->stem, sizeof res->stem, "%s", name);
    res->qc_rejected = 0; /* whatever was found: it is a fault that ended the slide */
    mt_pipeline_refuse(p, reason);
    write_refusal(res, out_dir);
}

mt_status mt_deliver_rejection(mt_pipeline *p, const char *out_dir, const char *name, mt_err *err)
{
    char reason[sizeof(((mt_grade *)0)->reason)];
    mt_result *res = mt_pipeline_result(p);
    MT_TRY(mt_leftovers_retire(out_dir, name, err));
    memcpy(reason, res->grade.reason, sizeof reason);
    snprintf(res->stem, sizeof res->stem, "%s", name);
    mt_pipeline_refuse(p, reason);
    if (mt_result_write("qc", res, mt_pipeline_slide(p), out_dir, NULL) != MT_OK) {
        mt_log(MT_LOG_WARN, "the quality picture could not be written");
        res->key[0] = 0; /* not complete: the next run looks again */
    }
    write_refusal(res, out_dir);
    return MT_OK;
}
