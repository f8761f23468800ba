/* microtome models: built-in models, what a card declares, what an ONNX file needs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "command.h"
#include "microtome/model.h"
#include "talk.h"

struct opts {
    int json;
    const char *config;
};

static const mt_opt options[] = {
    OPT_FLAG("json", json, "print JSON"),
    OPT_TEXT("config", 0, config, "CARD.json",
             "show: the card, instead of config.json beside the model"),
    OPT_END,
};

static int list(int json)
{
    json_t *j = json ? json_array() : NULL;
    for (const mt_builtin_model *m = mt_model_builtin(); m->name; m++) {
        if (json)
            json_array_append_new(j,
                                  json_pack("{s:s, s:s, s:s, s:s}", "name", m->name, "version",
                                            m->version, "summary", m->summary, "scope", m->scope));
        else
            printf("%s@%s\n  %s\n  scope: %s\n", m->name, m->version, m->summary, m->scope);
    }
    return json ? mt_json_print(j) : MT_EXIT_OK;
}

/* One field of a card: to the object when there is one, else as a line; empty text is left out. */
static void field(json_t *j, const char *key, const char *text)
{
    if (j)
        json_object_set_new(j, key, text[0] ? mt_js(text) : json_null());
    else if (text[0])
        printf("%-14s %s\n", key, MT_CLEAN(text));
}

static void number(json_t *j, const char *key, double v, const char *unit)
{
    if (j)
        json_object_set_new(j, key,
                            v == (double)(json_int_t)v ? json_integer((json_int_t)v) : mt_jn(v));
    else
        printf("%-14s %.6g%s%s\n", key, v, unit[0] ? " " : "", unit);
}

static void classes(json_t *j, const mt_card *c)
{
    json_t *names = j ? json_array() : NULL;
    for (int i = 0; i < c->n_classes; i++) {
        if (j)
            json_array_append_new(names, mt_js(c->class_names[i]));
        else
            printf("%-14s %s%s\n", i ? "" : "classes", MT_CLEAN(c->class_names[i]),
                   i == c->positive_class ? " (positive)" : "");
    }
    if (!j) return;
    json_object_set_new(j, "classes", names);
    json_object_set_new(j, "positive_class",
                        c->positive_class >= 0 ? mt_js(c->class_names[c->positive_class])
                                               : json_null());
}

static void thresholds(json_t *j, const mt_card *c)
{
    json_t *all = j ? json_array() : NULL;
    for (int i = 0; i < c->n_thresholds; i++) {
        if (j)
            json_array_append_new(all,
                                  json_pack("{s:o, s:o, s:o}", "name", mt_js(c->thresholds[i].name),
                                            "value", mt_jn(c->thresholds[i].value), "chosen_on",
                                            mt_js(c->thresholds[i].chosen_on)));
        else
            printf("%-14s %.6g (%s, chosen on %s)\n", i ? "" : "threshold", c->thresholds[i].value,
                   MT_CLEAN(c->thresholds[i].name), MT_CLEAN(c->thresholds[i].chosen_on));
    }
    if (j) json_object_set_new(j, "thresholds", all);
}

static void card(json_t *j, const mt_card *c, const char *digest)
{
    field(j, "name", c->name);
    field(j, "version", c->version);
    field(j, "state", c->state);
    field(j, "task", c->task);
    field(j, "architecture", c->architecture);
    classes(j, c);
    number(j, "patch_px", c->patch_px, "px");
    number(j, "mpp", c->mpp, "um/px");
    number(j, "input_px", c->input_px, "px");
    number(j, "stride_px", c->stride_px ? c->stride_px : c->patch_px, "px");
    field(j, "activation", c->activation);
    thresholds(j, c);
    field(j, "normalise_stain", c->normalise_stain);
    field(j, "input_layout", c->nhwc ? "NHWC" : "NCHW");
    if (!strcmp(c->task, "tissue")) field(j, "looks_at", c->whole_slide ? "slide" : "tiles");
    field(j, "stain", c->stain);
    field(j, "organ", c->organ);
    field(j, "scanner", c->scanner);
    field(j, "slides", c->synthetic_only ? "synthetic only" : "");
    field(j, "output", c->output);
    field(j, "intended_use", c->intended_use);
    field(j, "not_for", c->not_for);
    field(j, "license", c->license);
    field(j, "sha256", digest);
}

static int show(const char *name, const struct opts *opts)
{
    mt_err err = MT_ERR_INIT;
    mt_model_opts mo = MT_MODEL_OPTS_INIT;
    mo.config = opts->config;
    mt_model *model = NULL;
    if (mt_model_open(&model, name, &mo, &err)) return mt_fail(&err);
    json_t *j = opts->json ? json_object() : NULL;
    card(j, mt_model_card(model), mt_model_digest(model));
    mt_model_close(&model);
    return j ? mt_json_print(j) : MT_EXIT_OK;
}

static const char *word(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static void print_shapes(const json_t *j, const char *key)
{
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(j, key), i, one)
        printf("%-14s %s %s %s\n", i ? "" : key, MT_CLEAN(word(one, "name")), word(one, "type"),
               word(one, "shape"));
}

static void print_count(const json_t *j, const char *key, const char *label, double unit,
                        const char *name)
{
    const json_t *v = json_object_get(j, key);
    if (!v) return;
    if (unit > 0) printf("%-14s %.4g %s\n", label, json_number_value(v) / unit, name);
    else printf("%-14s %lld\n", label, (long long)json_integer_value(v));
}

static void print_operators(const json_t *j)
{
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(j, "operators"), i, one) {
        const char *domain = word(one, "domain");
        printf("%-14s %6lld  %s%s%s%s\n", i ? "" : "operators",
               (long long)json_integer_value(json_object_get(one, "count")),
               MT_CLEAN(word(one, "name")), *domain ? " of " : "", MT_CLEAN(domain),
               json_is_true(json_object_get(one, "supported")) ? "" : "  NOT SUPPORTED");
    }
}

/* One line a problem: operator, node, domain, version, attribute, reason. */
static void print_problems(const json_t *j)
{
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(j, "problems"), i, one) {
        const char *domain = word(one, "domain"), *attribute = word(one, "attribute");
        printf("problem        %s node \"%s\" domain \"%s\" opset %lld%s%s: %s\n",
               MT_CLEAN(word(one, "operator")), MT_CLEAN(word(one, "node")), MT_CLEAN(domain),
               (long long)json_integer_value(json_object_get(one, "opset")),
               *attribute ? " attribute " : "", MT_CLEAN(attribute), MT_CLEAN(word(one, "what")));
    }
    if (!i && *word(j, "error")) printf("problem        %s\n", MT_CLEAN(word(j, "error")));
}

static void print_check(const json_t *j)
{
    size_t i;
    json_t *one;
    printf("%-14s %s\n", "file", MT_CLEAN(word(j, "file")));
    printf("%-14s %s\n", "runs", json_is_true(json_object_get(j, "runs")) ? "yes" : "no");
    print_count(j, "opset", "opset", 0, "");
    print_count(j, "nodes", "nodes", 0, "");
    print_count(j, "steps", "steps", 0, "");
    print_count(j, "parameters", "parameters", 1e6, "million");
    print_count(j, "macs", "macs", 1e9, "billion");
    print_count(j, "weight_bytes", "weights", 1048576, "MiB");
    print_count(j, "state_bytes", "activations", 1048576, "MiB a worker");
    print_count(j, "peak_bytes", "peak memory", 1048576, "MiB with one worker");
    json_array_foreach(json_object_get(j, "external_files"), i, one)
        printf("%-14s %s, %lld bytes\n", i ? "" : "external", MT_CLEAN(word(one, "name")),
               (long long)json_integer_value(json_object_get(one, "bytes")));
    print_shapes(j, "inputs");
    print_shapes(j, "outputs");
    print_operators(j);
    print_problems(j);
}

static int check(const char *path, const struct opts *opts)
{
    mt_err err = MT_ERR_INIT;
    char *json = NULL;
    if (mt_model_check(&json, path, &err)) return mt_fail(&err);
    json_t *j = json_loads(json, 0, NULL);
    bool runs = json_is_true(json_object_get(j, "runs"));
    if (opts->json) puts(json);
    else print_check(j);
    json_decref(j);
    free(json);
    return runs ? MT_EXIT_OK : MT_EXIT_FAILED;
}

static int run(const void *o, int n_args, char **args)
{
    const struct opts *opts = o;
    bool wants_name = !strcmp(args[0], "show") || !strcmp(args[0], "check");
    if (!wants_name && strcmp(args[0], "list"))
        return mt_usage_error(&mt_cmd_models, "\"%s\" is none of list, show, check", args[0]);
    if (wants_name != (n_args == 2))
        return mt_usage_error(&mt_cmd_models,
                              wants_name ? "%s needs a model" : "%s takes no argument", args[0]);
    if (!wants_name) return list(opts->json);
    return args[0][0] == 's' ? show(args[1], opts) : check(args[1], opts);
}

static const struct opts defaults = {0};
const mt_command mt_cmd_models = {
    .name = "models",
    .args = "list | show NAME|FILE.onnx | check FILE.onnx [options]",
    .summary = "List built-in models, show a model's card, check an ONNX file",
    .about =
        "list names the built-in models, what each is for and its scope. show prints what a "
        "model's card declares.\n\n"
        "check reads an ONNX file without running it: operators and how often each occurs, "
        "parameters, multiplications, memory, files its weights lie in, inputs and outputs. What "
        "cannot be run has a line for each problem with operator, node, domain, version and "
        "attribute, and the command then ends with 1. Symbolic rows and columns are taken from the "
        "card beside the file (else 224), other symbolic sizes are 1.\n\n"
        "With --json the keys are file, runs, opset, nodes, parameters, external_files (name, bytes), "
        "inputs and outputs (name, type, shape), macs, steps (left after folding and fusing), "
        "weight_bytes, state_bytes (activations of one worker), peak_bytes (their sum), operators "
        "(name, domain, count, supported), problems (operator, node, domain, opset, attribute, what), "
        "error, supported_operators. Sizes that need a compiled network are absent when it does not "
        "run.\n\n"
        "A card is WSInfer's config.json, with an \"engine\" key for what that schema leaves out.",
    .examples = "microtome models list\nmicrotome models show demo-tumor\nmicrotome models check "
                "model.onnx",
    .opts = options,
    .defaults = &defaults,
    .opts_size = sizeof defaults,
    .min_args = 1,
    .max_args = 2,
    .run = run,
};
