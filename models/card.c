#include "models/card.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/json.h"
#include "base/mem.h"

static mt_status bad(mt_err *err, const char *what, const char *fmt, ...) MT_PRINTF(3, 4);
static mt_status bad(mt_err *err, const char *what, const char *fmt, ...)
{
    char text[300];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return mt_err_set(err, MT_ERR_CARD, "card %.100s: %s", what, text);
}

/* Free text: cut to what fits, whole characters only. A list of strings is joined. */
static void free_text(char *out, size_t cap, const json_t *v)
{
    size_t at = 0;
    out[0] = 0;
    size_t n = json_is_array(v) ? json_array_size(v) : 1;
    for (size_t i = 0; i < n; i++) {
        const char *s = json_string_value(json_is_array(v) ? json_array_get(v, i) : v);
        if (!s) continue;
        int put = snprintf(out + at, cap - at, at ? "; %s" : "%s", s);
        if (put < 0 || (size_t)put >= cap - at) {
            at = cap - 1;
            while (at && (out[at] & 0xc0) == 0x80)
                at--; /* no half of a UTF-8 character at the end */
            if (at && (out[at - 1] & 0x80)) {
                while (at && (out[at - 1] & 0xc0) == 0x80) at--;
                if (at) at--;
            }
            out[at] = 0;
            return;
        }
        at += (size_t)put;
    }
}

static mt_status read_classes(mt_card *c, const json_t *root, const char *what, mt_err *err)
{
    int64_t n;
    MT_TRY(mt_json_int(&n, root, "num_classes", 0, err));
    const json_t *names = json_object_get(root, "class_names");
    bool tiles = !strcmp(c->task, "tile-classification");
    if (!tiles && !json_object_get(root, "num_classes")) return MT_OK;
    if (n < 1 || n > MT_MAX_CLASSES)
        return bad(err, what, "num_classes is %lld, 1 to %d are handled", (long long)n,
                   MT_MAX_CLASSES);
    c->n_classes = (int)n;
    if (!names && !tiles) return MT_OK;
    if (!json_is_array(names) || json_array_size(names) != (size_t)n)
        return bad(err, what, "class_names must list %lld names", (long long)n);
    for (int i = 0; i < c->n_classes; i++) {
        const char *s = json_string_value(json_array_get(names, (size_t)i));
        if (!s || !*s || strlen(s) >= sizeof c->class_names[i])
            return bad(err, what, "class name %d is no text of 1 to %zu bytes", i,
                       sizeof c->class_names[i] - 1);
        for (int j = 0; j < i; j++)
            if (!strcmp(c->class_names[j], s))
                return bad(err, what, "two classes are called \"%.40s\"", s);
        snprintf(c->class_names[i], sizeof c->class_names[i], "%s", s);
    }
    return MT_OK;
}

static mt_status read_geometry(mt_card *c, const json_t *root, const char *what, mt_err *err)
{
    int64_t px;
    bool tiles = !strcmp(c->task, "tile-classification"), tissue = !strcmp(c->task, "tissue");
    MT_TRY(mt_json_int(&px, root, "patch_size_pixels", 0, err));
    MT_TRY(mt_json_num(&c->mpp, root, "spacing_um_px", 0, err));
    if ((tiles || tissue || px) && (px < 8 || px > 8192))
        return bad(err, what, "patch_size_pixels is %lld, 8 to 8192 are handled", (long long)px);
    if ((tiles || c->mpp != 0) && !(c->mpp >= 0.01 && c->mpp <= 100))
        return bad(err, what, "spacing_um_px is %g, 0.01 to 100 are handled", c->mpp);
    c->patch_px = c->input_px = (int32_t)px;
    return MT_OK;
}

static mt_status read_resize(mt_card *c, const json_t *args, const char *what, mt_err *err)
{
    const json_t *size = json_object_get(args, "size"),
                 *mode = json_object_get(args, "interpolation");
    int64_t px = 0;
    if (json_is_integer(size)) px = json_integer_value(size);
    else if (json_is_array(size) && json_array_size(size) >= 1 && json_array_size(size) <= 2) {
        px = json_integer_value(json_array_get(size, 0));
        if (json_array_size(size) == 2 && json_integer_value(json_array_get(size, 1)) != px)
            return bad(err, what, "Resize to a rectangle");
    }
    if (px < 8 || px > 8192)
        return bad(err, what, "Resize size is %lld, 8 to 8192 are handled", (long long)px);
    c->input_px = (int32_t)px;
    if (!mode || json_is_null(mode)) return MT_OK;
    const char *word = json_string_value(mode);
    int64_t number = json_integer_value(mode); /* Pillow's numbers: 2 bilinear, 3 bicubic */
    if ((word && !strcmp(word, "bicubic")) || (!word && number == 3)) c->bicubic = 1;
    else if (!((word && !strcmp(word, "bilinear")) || (!word && number == 2)))
        return bad(err, what, "Resize interpolation is neither bilinear nor bicubic");
    return MT_OK;
}

static mt_status read_normalize(mt_card *c, const json_t *args, const char *what, mt_err *err)
{
    const json_t *mean = json_object_get(args, "mean"), *std = json_object_get(args, "std");
    if (json_array_size(mean) != 3 || json_array_size(std) != 3)
        return bad(err, what, "Normalize needs three means and three stds");
    for (size_t i = 0; i < 3; i++) {
        double m = json_number_value(json_array_get(mean, i)),
               s = json_number_value(json_array_get(std, i));
        if (!json_is_number(json_array_get(mean, i)) || !(fabs(m) < 1e4))
            return bad(err, what, "Normalize mean %zu is no usable number", i);
        if (!(s > 1e-6 && s < 1e6)) return bad(err, what, "Normalize std %zu is %g", i, s);
        c->mean[i] = (float)m;
        c->std[i] = (float)s;
    }
    return MT_OK;
}

static mt_status read_transform(mt_card *c, const json_t *root, const char *what, mt_err *err)
{
    for (int i = 0; i < 3; i++) c->std[i] = 1.0f;
    c->scale_255 = 1;
    const json_t *list = json_object_get(root, "transform");
    if (!list) return MT_OK;
    if (!json_is_array(list)) return bad(err, what, "transform is no list");
    static const char *const order[] = {"Resize", "ToTensor", "Normalize"};
    int stage = -1;
    c->scale_255 = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *step = json_array_get(list, i), *args = json_object_get(step, "arguments");
        const char *name = json_string_value(json_object_get(step, "name"));
        int at = 0;
        while (at < 3 && (!name || strcmp(name, order[at]))) at++;
        if (at == 3)
            return bad(err, what,
                       "transform \"%.40s\" is not handled (Resize, ToTensor, Normalize are)",
                       name ? name : "");
        if (at <= stage) return bad(err, what, "transform %s stands out of order", name);
        stage = at;
        if (at == 0) MT_TRY(read_resize(c, args, what, err));
        else if (at == 1) c->scale_255 = 1;
        else MT_TRY(read_normalize(c, args, what, err));
    }
    return MT_OK;
}

static mt_status read_thresholds(mt_card *c, const json_t *e, const char *what, mt_err *err)
{
    const json_t *list = json_object_get(e, "thresholds");
    if (!list) return MT_OK;
    if (!json_is_array(list) || json_array_size(list) > MT_MAX_THRESHOLDS)
        return bad(err, what, "thresholds is no list of at most %d", MT_MAX_THRESHOLDS);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *t = json_array_get(list, i);
        MT_TRY(mt_json_str(c->thresholds[i].name, sizeof c->thresholds[i].name, t, "name",
                           "default", err));
        MT_TRY(mt_json_str(c->thresholds[i].chosen_on, sizeof c->thresholds[i].chosen_on, t,
                           "chosen_on", "", err));
        MT_TRY(mt_json_num(&c->thresholds[i].value, t, "value", -1, err));
        if (!(c->thresholds[i].value >= 0 && c->thresholds[i].value <= 1))
            return bad(err, what, "threshold \"%s\" is %g, not between 0 and 1",
                       c->thresholds[i].name, c->thresholds[i].value);
        c->n_thresholds = (int)i + 1;
    }
    return MT_OK;
}

/* Scope: engine.scope {stain, organ, scanner, synthetic_only}; stain may also stand in engine
 * itself. */
static mt_status read_scope(mt_card *c, const json_t *e, const char *what, mt_err *err)
{
    const json_t *s = json_object_get(e, "scope");
    if (s && !json_is_object(s)) return bad(err, what, "engine.scope is no object");
    MT_TRY(mt_json_str(c->stain, sizeof c->stain, e, "stain", "", err));
    if (json_object_get(s, "stain"))
        MT_TRY(mt_json_str(c->stain, sizeof c->stain, s, "stain", "", err));
    MT_TRY(mt_json_str(c->organ, sizeof c->organ, s, "organ", "", err));
    MT_TRY(mt_json_str(c->scanner, sizeof c->scanner, s, "scanner", "", err));
    return mt_json_bool(&c->synthetic_only, s, "synthetic_only", 0, err);
}

static mt_status read_activation(mt_card *c, const json_t *e, const char *what, mt_err *err)
{
    const json_t *outputs = json_object_get(e, "outputs");
    const char *dflt = c->n_classes <= 1 ? "sigmoid" : "softmax";
    if (outputs && !json_is_array(outputs)) return bad(err, what, "engine.outputs is no list");
    MT_TRY(mt_json_str(c->activation, sizeof c->activation, json_array_get(outputs, 0),
                       "activation", dflt, err));
    if (strcmp(c->activation, "softmax") && strcmp(c->activation, "sigmoid") &&
        strcmp(c->activation, "none"))
        return bad(err, what, "activation \"%s\" is none of softmax, sigmoid, none", c->activation);
    return MT_OK;
}

static mt_status read_positive(mt_card *c, const json_t *e, const char *what, mt_err *err)
{
    char name[48];
    c->positive_class = -1;
    MT_TRY(mt_json_str(name, sizeof name, e, "positive_class", "", err));
    if (!*name) return MT_OK;
    for (int i = 0; i < c->n_classes; i++)
        if (!strcmp(c->class_names[i], name)) c->positive_class = i;
    if (c->positive_class < 0)
        return bad(err, what, "positive_class \"%s\" is none of the classes", name);
    return MT_OK;
}

static mt_status read_input(mt_card *c, const json_t *e, const char *what, mt_err *err)
{
    const json_t *in = json_object_get(e, "input");
    char layout[16], range[16];
    bool tissue = !strcmp(c->task, "tissue");
    MT_TRY(mt_json_str(layout, sizeof layout, in, "layout", "NCHW", err));
    MT_TRY(mt_json_str(range, sizeof range, in, "range", "transform", err));
    c->nhwc = !strcmp(layout, "NHWC");
    if (strcmp(layout, "NCHW") && !(c->nhwc && tissue))
        return bad(err, what, "input layout %s is not handled (NCHW is%s)", layout,
                   tissue ? ", and NHWC" : "");
    if (strcmp(range, "transform"))
        return bad(err, what, "input range \"%s\" is not handled (transform is)", range);
    return MT_OK;
}

/* normalise_stain: false, true (Macenko to the default reference), "macenko", "reinhard", or an object
 * {"method": ..., "target": figures as microtome stain -o writes them}. The figures are read by whoever
 * normalises. */
static mt_status read_stain(mt_card *c, const json_t *e, const char *what, mt_err *err)
{
    const json_t *v = json_object_get(e, "normalise_stain"), *target = NULL;
    if (!v || json_is_false(v) || json_is_null(v)) return MT_OK;
    const char *method = json_is_true(v) ? "macenko" : json_string_value(v);
    if (json_is_object(v)) {
        method = json_string_value(json_object_get(v, "method"));
        target = json_object_get(v, "target");
    }
    if (!method || (strcmp(method, "macenko") && strcmp(method, "reinhard")))
        return bad(err, what, "normalise_stain \"%.40s\" is not handled (macenko, reinhard are)",
                   method ? method : "");
    snprintf(c->normalise_stain, sizeof c->normalise_stain, "%s", method);
    if (!target || json_is_null(target)) return MT_OK;
    MT_AUTO_FREE char *text = json_dumps(target, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    if (!json_is_object(target) || !text || strlen(text) >= sizeof c->stain_target)
        return bad(err, what, "normalise_stain.target is no object of at most %zu bytes",
                   sizeof c->stain_target - 1);
    snprintf(c->stain_target, sizeof c->stain_target, "%s", text);
    return MT_OK;
}

/* A tissue model looks at the whole slide, shrunk to its input, or at tiles of its spacing. */
static mt_status read_tissue(mt_card *c, const json_t *e, const char *what, mt_err *err)
{
    char source[16];
    if (strcmp(c->task, "tissue")) return MT_OK;
    MT_TRY(mt_json_str(source, sizeof source, e, "source", c->mpp > 0 ? "tiles" : "slide", err));
    c->whole_slide = !strcmp(source, "slide");
    if (!c->whole_slide && strcmp(source, "tiles"))
        return bad(err, what, "engine.source \"%s\" is neither slide nor tiles", source);
    if (!c->whole_slide && !(c->mpp > 0))
        return bad(err, what, "a tissue model that looks at tiles needs spacing_um_px");
    if (!c->n_classes) c->n_classes = 1;
    return MT_OK;
}

static mt_status read_sha(mt_card *c, const json_t *e, const char *what, mt_err *err)
{
    MT_TRY(mt_json_str(c->sha256, sizeof c->sha256, e, "sha256", "", err));
    if (!*c->sha256) return MT_OK;
    for (char *p = c->sha256; *p; p++)
        if (*p >= 'A' && *p <= 'F') *p = (char)(*p - 'A' + 'a');
    if (strlen(c->sha256) != 64 || strspn(c->sha256, "0123456789abcdef") != 64)
        return bad(err, what, "engine.sha256 is not 64 hex digits");
    return MT_OK;
}

static mt_status read_engine(mt_card *c, mt_card_extra *x, const json_t *e, const char *what,
                             const char *hint, mt_err *err)
{
    char name[sizeof c->name];
    snprintf(name, sizeof name, "%.*s", (int)sizeof name - 1, hint);
    MT_TRY(mt_json_str(c->name, sizeof c->name, e, "name", name, err));
    MT_TRY(mt_json_str(c->version, sizeof c->version, e, "version", "0", err));
    MT_TRY(mt_json_str(c->output, sizeof c->output, e, "output", "", err));
    MT_TRY(mt_json_str(x->file, sizeof x->file, e, "file", "", err));
    if (strchr(x->file, '/')) return bad(err, what, "engine.file must be a name beside the card");
    snprintf(c->state, sizeof c->state, "research");
    free_text(x->summary, sizeof x->summary, json_object_get(e, "summary"));
    free_text(c->license, sizeof c->license, json_object_get(e, "license"));
    free_text(c->intended_use, sizeof c->intended_use, json_object_get(e, "intended_use"));
    free_text(c->not_for, sizeof c->not_for, json_object_get(e, "not_for"));
    int64_t stride;
    MT_TRY(mt_json_int(&stride, e, "stride_pixels", 0, err));
    if (stride < 0 || stride > 8192)
        return bad(err, what, "stride_pixels is %lld", (long long)stride);
    c->stride_px = (int32_t)stride;
    const json_t *fast = json_object_get(e, "fast_scaling");
    if (fast && !json_is_boolean(fast)) return bad(err, what, "engine.fast_scaling is neither true nor false");
    c->fast_scaling = json_is_true(fast);
    MT_TRY(read_sha(c, e, what, err));
    MT_TRY(read_positive(c, e, what, err));
    MT_TRY(read_activation(c, e, what, err));
    MT_TRY(read_thresholds(c, e, what, err));
    MT_TRY(read_scope(c, e, what, err));
    MT_TRY(read_tissue(c, e, what, err));
    MT_TRY(read_stain(c, e, what, err));
    return read_input(c, e, what, err);
}

static mt_status read_card(mt_card *c, mt_card_extra *x, const json_t *root, const char *what,
                           const char *hint, mt_err *err)
{
    if (!json_is_object(root)) return bad(err, what, "is no JSON object");
    const json_t *e = json_object_get(root, "engine");
    if (e && !json_is_object(e)) return bad(err, what, "\"engine\" is no object");
    char spec[16];
    MT_TRY(mt_json_str(spec, sizeof spec, root, "spec_version", "1.0", err));
    if (strncmp(spec, "1.", 2))
        return bad(err, what, "spec_version %s is not handled (1.0 is)", spec);
    MT_TRY(mt_json_str(c->architecture, sizeof c->architecture, root, "architecture", "", err));
    MT_TRY(mt_json_str(c->task, sizeof c->task, e, "task", "tile-classification", err));
    MT_TRY(read_classes(c, root, what, err));
    MT_TRY(read_geometry(c, root, what, err));
    MT_TRY(read_transform(c, root, what, err));
    return read_engine(c, x, e, what, hint, err);
}

mt_status mt_card_parse(mt_card *card, mt_card_extra *extra, const char *text, size_t n,
                        const char *what, const char *name_hint, mt_err *err)
{
    mt_err local = MT_ERR_INIT;
    if (!err) err = &local;
    memset(card, 0, sizeof *card);
    memset(extra, 0, sizeof *extra);
    MT_AUTO(mt_json_unref) json_t *root = NULL;
    mt_status st = mt_json_parse(&root, text, n, MT_CARD_CEILING, what, err);
    if (st == MT_OK) st = read_card(card, extra, root, what, name_hint, err);
    if (st == MT_OK || st == MT_ERR_CARD || st == MT_ERR_NO_MEMORY) return st;
    /* whatever is wrong with a card is a CARD error to those who open a model */
    char told[MT_ERR_TEXT];
    snprintf(told, sizeof told, "%s", err->text);
    mt_err_clear(err);
    return bad(err, what, "%.280s", told);
}

void mt_card_activate(const mt_card *card, const float *logits, float *probs)
{
    int n = card->n_classes;
    if (!strcmp(card->activation, "none")) {
        memcpy(probs, logits, (size_t)n * sizeof *probs);
        return;
    }
    if (!strcmp(card->activation, "sigmoid")) {
        for (int i = 0; i < n; i++) probs[i] = (float)(1.0 / (1.0 + exp(-(double)logits[i])));
        return;
    }
    double top = logits[0], sum = 0;
    for (int i = 1; i < n; i++) top = logits[i] > top ? (double)logits[i] : top;
    for (int i = 0; i < n; i++) sum += exp((double)logits[i] - top);
    for (int i = 0; i < n; i++) probs[i] = (float)(exp((double)logits[i] - top) / sum);
}
