/* The limits of quality control: their defaults, their file, the gate. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/json.h"
#include "tiles/qc/qc.h"

#define CEILING ((size_t)64 << 10)

void mt_qc_config_default(mt_qc_config *c)
{
    *c = (mt_qc_config){.version = 1, .focus_min = 0.18, .tile_share = 0.5};
    const mt_qc_limit some = {0.05, 0.5}, more = {0.10, 0.5}, none = {NAN, NAN};
    for (int i = 0; i < MT_QC_N; i++)
        c->share[i] = 1 << i == MT_QC_FOCUS || 1 << i == MT_QC_FOLD ? more : some;
    c->usable_share = (mt_qc_limit){0.7, 0.3};
    c->usable_mm2 = c->focus_median = none;
}

/* ---- the file ---- */

static int bit_index(const char *name, size_t n)
{
    for (int i = 0; i < MT_QC_N; i++)
        if (strlen(mt_qc_name(i)) == n && memcmp(mt_qc_name(i), name, n) == 0) return i;
    return -1;
}

mt_status mt_qc_bits_parse(unsigned *out, const char *text, mt_err *err)
{
    *out = 0;
    if (!strcmp(text, "none")) return MT_OK;
    for (const char *p = text; *p; p += *p == ',') {
        size_t n = strcspn(p, ",");
        int i = bit_index(p, n);
        if (n && i < 0)
            return mt_err_set(err, MT_ERR_ARG,
                              "\"%.*s\" is no artefact: focus, pen, fold, bubble, edge or dark",
                              (int)MT_MIN(n, (size_t)40), p);
        if (n) *out |= 1u << i;
        p += n;
    }
    return MT_OK;
}

typedef struct reader {
    const char *what;
    mt_err *err;
} reader;

static mt_status wrong(const reader *r, const char *path, const char *why)
{
    return mt_err_set(r->err, MT_ERR_FORMAT, "%s: %.60s: %s", r->what, path, why);
}

static mt_status number(double *out, const reader *r, const json_t *v, const char *path, double most)
{
    if (!json_is_number(v)) return wrong(r, path, "must be a number");
    double d = json_number_value(v);
    if (!(d >= 0 && d <= most)) {
        char why[64];
        snprintf(why, sizeof why, "%g is not within 0 to %g", d, most);
        return wrong(r, path, why);
    }
    *out = d;
    return MT_OK;
}

/* {"warn": 0.1, "reject": null}; what is left out keeps its default. low: the reject limit lies below. */
static mt_status limit(mt_qc_limit *out, const reader *r, json_t *v, const char *name, double most, bool low)
{
    char path[80];
    const char *key;
    json_t *m;
    snprintf(path, sizeof path, "gate.%s", name);
    if (!json_is_object(v)) return wrong(r, path, "must be an object with warn and reject");
    json_object_foreach(v, key, m) {
        double *to = !strcmp(key, "warn") ? &out->warn : !strcmp(key, "reject") ? &out->reject : NULL;
        snprintf(path, sizeof path, "gate.%s.%.30s", name, key);
        if (!to) return wrong(r, path, "unknown member");
        if (json_is_null(m))
            *to = NAN;
        else
            MT_TRY(number(to, r, m, path, most));
    }
    snprintf(path, sizeof path, "gate.%s", name);
    if (low ? out->warn < out->reject : out->warn > out->reject)
        return wrong(r, path, "rejects what it does not even warn of");
    return MT_OK;
}

static mt_status gate(mt_qc_config *c, const reader *r, json_t *v)
{
    const char *key;
    json_t *m;
    if (!json_is_object(v)) return wrong(r, "gate", "must be an object");
    json_object_foreach(v, key, m) {
        int i = bit_index(key, strlen(key));
        if (i >= 0)
            MT_TRY(limit(&c->share[i], r, m, key, 1, false));
        else if (!strcmp(key, "usable_share"))
            MT_TRY(limit(&c->usable_share, r, m, key, 1, true));
        else if (!strcmp(key, "usable_mm2"))
            MT_TRY(limit(&c->usable_mm2, r, m, key, 1e6, true));
        else if (!strcmp(key, "focus_median"))
            MT_TRY(limit(&c->focus_median, r, m, key, 1, true));
        else
            return wrong(r, "gate", "unknown member");
    }
    return MT_OK;
}

static mt_status exclusions(mt_qc_config *c, const reader *r, const json_t *v)
{
    size_t i;
    json_t *m;
    if (!json_is_array(v)) return wrong(r, "exclude", "must be a list of artefacts");
    c->exclude = 0;
    json_array_foreach(v, i, m) {
        const char *name = json_string_value(m);
        int k = name ? bit_index(name, strlen(name)) : -1;
        if (k < 0) return wrong(r, "exclude", "knows focus, pen, fold, bubble, edge, dark");
        c->exclude |= 1u << k;
    }
    return MT_OK;
}

static mt_status member(mt_qc_config *c, const reader *r, const char *key, json_t *v)
{
    if (!strcmp(key, "schema"))
        return json_is_string(v) && !strcmp(json_string_value(v), "microtome.qc")
                   ? MT_OK
                   : wrong(r, key, "must be \"microtome.qc\"");
    if (!strcmp(key, "schema_version"))
        return json_is_integer(v) && json_integer_value(v) == 1 ? MT_OK : wrong(r, key, "must be 1");
    if (!strcmp(key, "focus_min")) return number(&c->focus_min, r, v, key, 1);
    if (!strcmp(key, "tile_share")) return number(&c->tile_share, r, v, key, 1);
    if (!strcmp(key, "exclude")) return exclusions(c, r, v);
    if (!strcmp(key, "gate")) return gate(c, r, v);
    return wrong(r, key, "unknown member");
}

mt_status mt_qc_config_parse(mt_qc_config *out, const char *text, size_t n, const char *what, mt_err *err)
{
    MT_AUTO(mt_json_unref) json_t *root = NULL;
    const reader r = {what, err};
    const char *key;
    json_t *v;
    mt_qc_config_default(out);
    MT_TRY(mt_json_parse(&root, text, n, CEILING, what, err));
    if (!json_is_object(root)) return mt_err_set(err, MT_ERR_FORMAT, "%s: must be an object", what);
    if (!json_object_get(root, "schema") || !json_object_get(root, "schema_version"))
        return mt_err_set(err, MT_ERR_FORMAT, "%s: schema \"microtome.qc\" and schema_version 1 are missing", what);
    json_object_foreach(root, key, v)
        MT_TRY(member(out, &r, key, v));
    return MT_OK;
}

mt_status mt_qc_config_load(mt_qc_config *out, const char *path, mt_err *err)
{
    MT_AUTO_FREE uint8_t *text = NULL;
    size_t n;
    MT_TRY(mt_file_read(&text, &n, path, CEILING, err));
    return mt_qc_config_parse(out, (const char *)text, n, mt_path_base(path), err);
}

/* ---- the gate ---- */

const char *mt_qc_verdict_name(mt_qc_verdict_kind kind)
{
    return kind == MT_QC_REJECT ? "reject" : kind == MT_QC_WARN ? "warn" : "pass";
}

typedef struct finding {
    char text[96];
    mt_qc_verdict_kind kind;
} finding;

static mt_qc_verdict_kind over(double v, mt_qc_limit l)
{
    return v >= l.reject ? MT_QC_REJECT : v >= l.warn ? MT_QC_WARN : MT_QC_PASS; /* NaN compares false */
}

static mt_qc_verdict_kind under(double v, mt_qc_limit l)
{
    return v < l.reject ? MT_QC_REJECT : v < l.warn ? MT_QC_WARN : MT_QC_PASS;
}

static double which(mt_qc_limit l, mt_qc_verdict_kind k)
{
    return k == MT_QC_REJECT ? l.reject : l.warn;
}

void mt_qc_gate(mt_qc_verdict *out, const mt_qc_figures *g, const mt_qc_config *c)
{
    static const char *const words[MT_QC_N] = {"out of focus",     "under ink", "folded",
                                               "under air bubbles", "under the coverslip's edge",
                                               "under opaque debris"};
    finding found[MT_QC_N + 3];
    int n = 0;
    *out = (mt_qc_verdict){MT_QC_PASS, ""};
    if (!(g->tissue_mm2 > 0)) return;
    for (int i = 0; i < MT_QC_N; i++) {
        mt_qc_verdict_kind k = over(g->share[i], c->share[i]);
        if (k == MT_QC_PASS) continue;
        found[n].kind = k;
        snprintf(found[n++].text, sizeof found[0].text, "%.1f %% of the tissue %s (limit %g %%)",
                 100 * g->share[i], words[i], 100 * which(c->share[i], k));
    }
    mt_qc_verdict_kind k = under(g->usable_share, c->usable_share);
    if (k != MT_QC_PASS) {
        found[n].kind = k;
        snprintf(found[n++].text, sizeof found[0].text, "%.1f %% of the tissue usable (limit %g %%)",
                 100 * g->usable_share, 100 * which(c->usable_share, k));
    }
    k = under(g->usable_mm2, c->usable_mm2);
    if (k != MT_QC_PASS) {
        found[n].kind = k;
        snprintf(found[n++].text, sizeof found[0].text, "%.3g mm2 of usable tissue (limit %g)", g->usable_mm2,
                 which(c->usable_mm2, k));
    }
    k = under(g->focus_p50, c->focus_median);
    if (k != MT_QC_PASS) {
        found[n].kind = k;
        snprintf(found[n++].text, sizeof found[0].text, "median sharpness %.3f (limit %g)", g->focus_p50,
                 which(c->focus_median, k));
    }
    for (int i = 0; i < n; i++)
        out->kind = MT_MAX(out->kind, found[i].kind);
    for (int i = 0; i < n; i++) {
        size_t at = strlen(out->reason), need = strlen(found[i].text) + (at ? 2 : 0);
        if (found[i].kind != out->kind || at + need >= sizeof out->reason) continue;
        if (at) memcpy(out->reason + at, "; ", 3);
        memcpy(out->reason + strlen(out->reason), found[i].text, strlen(found[i].text) + 1);
    }
}
