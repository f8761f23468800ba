/* Cards, and models as a whole: file, card, digest and network agree or nothing opens. */
#include "tests/support/support.h"
#include "onnx_build.h"
#include <math.h>
#include <stdio.h>
#include "base/file.h"
#include "models/card.h"
#include "trust/digest.h"

static mt_status parse(mt_card *c, const char *json, mt_err *err)
{
    mt_card_extra extra;
    return mt_card_parse(c, &extra, json, strlen(json), "config.json", "hint", err);
}

static const char whole[] =
    "{\"spec_version\":\"1.0\",\"architecture\":\"resnet\",\"num_classes\":2,\"class_names\":["
    "\"Other\",\"Tumor\"],"
    "\"patch_size_pixels\":350,\"spacing_um_px\":0.25,\"some_tool\":{\"a\":1},"
    "\"transform\":[{\"name\":\"Resize\",\"arguments\":{\"size\":224}},{\"name\":\"ToTensor\"},"
    "{\"name\":\"Normalize\",\"arguments\":{\"mean\":[0.7238,0.5716,0.6779],\"std\":[0.112,0.1459,"
    "0.1089]}}]%s}";

static char *card_with(const char *engine)
{
    return mt_strf(whole, engine);
}

static void zoo_card_as_it_is(void **s)
{
    mt_err err = MT_ERR_INIT;
    mt_card c;
    char *j = card_with("");
    tt_ok(parse(&c, j, &err), &err);
    free(j);
    assert_string_equal(c.name, "hint");
    assert_string_equal(c.state, "research");
    assert_string_equal(c.task, "tile-classification");
    assert_int_equal(c.n_classes, 2);
    assert_string_equal(c.class_names[1], "Tumor");
    assert_int_equal(c.patch_px, 350);
    assert_int_equal(c.input_px, 224);
    assert_int_equal(c.bicubic, 0);
    assert_int_equal(c.scale_255, 1);
    assert_float_equal(c.mean[1], 0.5716f, 0);
    assert_float_equal(c.std[2], 0.1089f, 0);
    assert_float_equal(c.mpp, 0.25, 0);
    assert_string_equal(c.activation, "softmax");
    assert_int_equal(c.positive_class, -1);
    assert_int_equal(c.n_thresholds, 0);
    assert_string_equal(c.stain, "");
}

static void engine_key(void **s)
{
    mt_err err = MT_ERR_INIT;
    mt_card c;
    char *j = card_with(",\"engine\":{\"name\":\"m\",\"version\":\"2.1\",\"positive_class\":"
                        "\"Tumor\",\"stride_pixels\":175,"
                        "\"outputs\":[{\"activation\":\"none\"}],\"stain\":\"HE\",\"scope\":{"
                        "\"organ\":\"breast\",\"scanner\":\"Aperio\",\"synthetic_only\":true},"
                        "\"thresholds\":[{\"name\":\"youden\",\"value\":0.53,\"chosen_on\":\"val\"}"
                        "],\"not_for\":[\"diagnosis\",\"children\"],"
                        "\"license\":\"CC0-1.0\",\"output\":\"candidates\"}");
    tt_ok(parse(&c, j, &err), &err);
    free(j);
    assert_string_equal(c.name, "m");
    assert_string_equal(c.version, "2.1");
    assert_int_equal(c.positive_class, 1);
    assert_int_equal(c.stride_px, 175);
    assert_string_equal(c.activation, "none");
    assert_string_equal(c.stain, "HE");
    assert_string_equal(c.organ, "breast");
    assert_string_equal(c.scanner, "Aperio");
    assert_int_equal(c.synthetic_only, 1);
    assert_int_equal(c.n_thresholds, 1);
    assert_string_equal(c.thresholds[0].name, "youden");
    assert_float_equal(c.thresholds[0].value, 0.53, 0);
    assert_string_equal(c.not_for, "diagnosis; children");
    assert_string_equal(c.output, "candidates");
}

static void cards_that_are_refused(void **s)
{
    static const struct { const char *from, *to, *word; } cases[] = {
        {"\"num_classes\":2", "\"num_classes\":3", "class_names"},
        {"\"num_classes\":2", "\"num_classes\":0", "num_classes"},
        {"\"num_classes\":2", "\"num_classes\":\"2\"", "integer"},
        {"\"num_classes\":2", "\"num_classes\":65", "num_classes"},
        {"\"Tumor\"", "\"Other\"", "two classes"},
        {"\"Tumor\"", "7", "class name 1"},
        {"\"spacing_um_px\":0.25", "\"spacing_um_px\":0", "spacing_um_px"},
        {"\"spacing_um_px\":0.25", "\"spacing_um_px\":-1", "spacing_um_px"},
        {"\"patch_size_pixels\":350", "\"patch_size_pixels\":100000", "patch_size_pixels"},
        {"\"spec_version\":\"1.0\"", "\"spec_version\":\"2.0\"", "spec_version"},
        {"\"name\":\"ToTensor\"", "\"name\":\"CenterCrop\"", "CenterCrop"},
        {"\"size\":224", "\"size\":[224,200]", "rectangle"},
        {"\"size\":224", "\"size\":224,\"interpolation\":\"nearest\"", "interpolation"},
        {"0.112,", "0,", "std"},
        {"0.7238,", "", "three means"},
        {"{\"spec", "[{\"spec", "line"},
        {"\"some_tool\":{\"a\":1}", "\"engine\":{\"positive_class\":\"Gland\"}", "Gland"},
        {"\"some_tool\":{\"a\":1}", "\"engine\":{\"thresholds\":[{\"value\":1.5}]}", "1.5"},
        {"\"some_tool\":{\"a\":1}", "\"engine\":{\"sha256\":\"12ab\"}", "hex"},
        {"\"some_tool\":{\"a\":1}", "\"engine\":{\"normalise_stain\":\"vahadane\"}", "vahadane"},
        {"\"some_tool\":{\"a\":1}", "\"engine\":{\"input\":{\"layout\":\"NHWC\"}}", "NHWC"},
        {"\"some_tool\":{\"a\":1}", "\"engine\":{\"file\":\"../../etc/passwd\"}", "beside"},
        {"\"some_tool\":{\"a\":1}", "\"engine\":{\"outputs\":[{\"activation\":\"relu\"}]}", "relu"},
        {"\"some_tool\":{\"a\":1}", "\"engine\":[]", "object"},
    };
    char *base = card_with("");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *at = strstr(base, cases[i].from);
        assert_non_null(at);
        char *j =
            mt_strf("%.*s%s%s", (int)(at - base), base, cases[i].to, at + strlen(cases[i].from));
        mt_card c;
        mt_err err = MT_ERR_INIT;
        if (parse(&c, j, &err) != MT_ERR_CARD)
            fail_msg("%s -> %s: not refused (%s)", cases[i].from, cases[i].to, err.text);
        if (!strstr(err.text, cases[i].word))
            fail_msg("\"%s\" does not say \"%s\"", err.text, cases[i].word);
        free(j);
    }
    free(base);
}

static void activations(void **s)
{
    mt_card c = {.n_classes = 3, .activation = "softmax"};
    float p[3];
    mt_card_activate(&c, (float[]){1000, 1001, 999}, p);
    assert_float_equal(p[0] + p[1] + p[2], 1, 1e-6);
    assert_float_equal(p[1] / p[0], expf(1), 1e-4);
    memcpy(c.activation, "sigmoid", 8);
    mt_card_activate(&c, (float[]){0, 2, -200}, p);
    assert_float_equal(p[0], 0.5f, 0);
    assert_float_equal(p[1], 1 / (1 + expf(-2)), 1e-6);
    assert_float_equal(p[2], 0, 1e-30);
    memcpy(c.activation, "none", 5);
    mt_card_activate(&c, (float[]){3, NAN, -1}, p);
    assert_true(p[0] == 3 && isnan(p[1]) && p[2] == -1);
}

/* --- whole models --- */

/* conv 1x1 of 3 to `classes` channels, global mean, flatten: logit k is the mean of channel k % 3.
 */
static uint8_t *tiny_onnx(size_t *n, int64_t classes, int64_t px)
{
    onnx_build b;
    float w[64 * 3] = {0};
    for (int64_t k = 0; k < classes; k++) w[k * 3 + k % 3] = 1;
    ob_init(&b, 13);
    ob_input(&b, "input", 1, OB_DIMS(-1, 3, px, px));
    ob_floats(&b, "w", OB_DIMS(classes, 3, 1, 1), w);
    ob_node(&b, "Conv", "input w > c");
    ob_node(&b, "GlobalAveragePool", "c > p");
    ob_node(&b, "Flatten", "p > logits");
    ob_output(&b, "logits");
    uint8_t *p = ob_pack(&b, n);
    ob_free(&b);
    return p;
}

/* Writes DIR/model.onnx and DIR/config.json; the path of the folder (free). */
static char *tiny_model(const char *name, int64_t classes, int64_t px, const char *sha)
{
    mt_err err = MT_ERR_INIT;
    char *dir = mt_strf("%s/%s", tt_tmp(), name), digest[65];
    size_t n;
    uint8_t *onnx = tiny_onnx(&n, classes, px);
    tt_ok(mt_dir_make(dir, &err), &err);
    char *path = mt_strf("%s/model.onnx", dir), *config = mt_strf("%s/config.json", dir);
    tt_ok(mt_file_write(path, onnx, n, &err), &err);
    tt_ok(mt_sha256_of(digest, onnx, n, &err), &err);
    char *engine = mt_strf(",\"engine\":{\"sha256\":\"%s\"}", sha ? sha : digest),
         *json = card_with(engine);
    tt_ok(mt_file_write(config, json, strlen(json), &err), &err);
    free(onnx); free(path); free(config); free(engine); free(json);
    return dir;
}

static void a_model_opens_and_runs(void **s)
{
    mt_err err = MT_ERR_INIT;
    char *dir = tiny_model("good", 2, 224, NULL), *file = mt_strf("%s/model.onnx", dir);
    const char *ways[2] = {dir, file};
    for (int i = 0; i < 2; i++) {
        mt_model *m = NULL;
        const mt_net *net;
        mt_net_state *state = NULL;
        tt_ok(mt_model_open(&m, ways[i], NULL, &err), &err);
        assert_string_equal(mt_model_card(m)->name, "good");
        assert_int_equal(strlen(mt_model_digest(m)), 64);
        tt_ok(mt_model_net(&net, m, &err), &err);
        tt_ok(mt_net_state_new(&state, net, &err), &err);
        mt_tensor in = *mt_net_input(net, 0), out[1];
        assert_int_equal(in.dims[2], 224);
        float *x = calloc(3 * 224 * 224, sizeof *x), p[2];
        for (int j = 0; j < 224 * 224; j++) x[j] = 2, x[224 * 224 + j] = 1;
        in.data = x;
        tt_ok(mt_net_run(net, state, &in, out, &err), &err);
        mt_card_activate(mt_model_card(m), out[0].data, p);
        assert_float_equal(p[0], expf(2) / (expf(2) + expf(1)), 1e-5);
        free(x);
        mt_net_state_free(&state);
        mt_model_close(&m);
        assert_null(m);
        mt_model_close(&m);
    }
    free(file);
    free(dir);
}

static void not_opened(const char *path, const mt_model_opts *opts, mt_status want,
                       const char *word)
{
    mt_err err = MT_ERR_INIT;
    mt_model *m = NULL;
    assert_int_equal(mt_model_open(&m, path, opts, &err), want);
    assert_null(m);
    if (!strstr(err.text, word)) fail_msg("\"%s\" does not say \"%s\"", err.text, word);
}

static void models_that_do_not_open(void **s)
{
    char *dir = tiny_model("wrong_digest", 2, 224,
                           "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff");
    not_opened(dir, NULL, MT_ERR_CARD, "the card says 0011");
    free(dir);
    dir = tiny_model("wrong_classes", 3, 224, NULL);
    not_opened(dir, NULL, MT_ERR_CARD, "2 classes");
    free(dir);
    dir = tiny_model("wrong_size", 2, 64, NULL);
    not_opened(dir, NULL, MT_ERR_CARD, "[-1,3,64,64]");
    mt_model_opts opts = MT_MODEL_OPTS_INIT;
    opts.config = "/nonexistent/card.json";
    not_opened(dir, &opts, MT_ERR_NOT_FOUND, "card.json");
    char *config = mt_strf("%s/config.json", dir);
    assert_int_equal(remove(config), 0);
    not_opened(dir, NULL, MT_ERR_CARD, "no card");
    free(config);
    free(dir);
    not_opened("no-such-model", NULL, MT_ERR_NOT_FOUND, "built in");
    not_opened("demo-tumor@99.0", NULL, MT_ERR_NOT_FOUND, "demo-tumor@99.0");
    not_opened("", NULL, MT_ERR_ARG, "no model");
    char *junk = mt_strf("%s/junk.onnx", tt_tmp()), *card = mt_strf("%s/junk.json", tt_tmp()),
         *json = card_with("");
    mt_err err = MT_ERR_INIT;
    tt_ok(mt_file_write(junk, "junk", 4, &err), &err);
    not_opened(junk, NULL, MT_ERR_CARD, "no card");
    tt_ok(mt_file_write(card, json, strlen(json), &err), &err);
    not_opened(junk, NULL, MT_ERR_FORMAT, "not an ONNX file");
    free(junk); free(card); free(json);
}

/* Every built-in model opens under its name and under name@version, and its row says what it is
 * for. */
static void builtin_models(void **s)
{
    for (const mt_builtin_model *b = mt_model_builtin(); b->name; b++) {
        mt_err err = MT_ERR_INIT;
        mt_model *m = NULL;
        tt_ok(mt_model_open(&m, b->name, NULL, &err), &err);
        assert_string_equal(mt_model_card(m)->name, b->name);
        assert_string_equal(mt_model_card(m)->version, b->version);
        assert_string_equal(mt_model_card(m)->sha256, mt_model_digest(m));
        assert_true(*b->summary && *b->scope && *mt_model_card(m)->not_for &&
                    *mt_model_card(m)->license);
        assert_true(mt_model_card(m)->n_thresholds > 0);
        mt_model_close(&m);
        char *full = mt_strf("%s@%s", b->name, b->version);
        tt_ok(mt_model_open(&m, full, NULL, &err), &err);
        mt_model_close(&m);
        free(full);
    }
}

static void checking_a_file(void **s)
{
    mt_err err = MT_ERR_INIT;
    char *dir = tiny_model("checked", 2, 224, NULL), *path = mt_strf("%s/model.onnx", dir),
         *json = NULL;
    tt_ok(mt_model_check(&json, path, &err), &err);
    assert_non_null(strstr(json, "\"runs\": true"));
    assert_non_null(strstr(json, "\"macs\": 301056")); /* 224 * 224 * 3 * 2 */
    assert_non_null(strstr(json, "\"parameters\": 6"));
    free(json);
    onnx_build b;
    size_t n;
    ob_init(&b, 13);
    ob_input(&b, "x", 1, OB_DIMS(1, 4));
    ob_node(&b, "LSTM", "x > a")->name = (char *)"one";
    ob_node(&b, "Loop", "a > b")->name = (char *)"two";
    ob_output(&b, "b");
    uint8_t *p = ob_pack(&b, &n);
    tt_ok(mt_file_write(path, p, n, &err), &err);
    tt_ok(mt_model_check(&json, path, &err), &err);
    assert_non_null(strstr(json, "\"runs\": false"));
    assert_non_null(strstr(json, "\"one\""));
    assert_non_null(strstr(json, "\"two\""));
    assert_non_null(strstr(json, "\"Conv\""));
    free(json); free(p); free(path); free(dir);
    ob_free(&b);
}

/* A card of a real model, with everything WSInfer and our key may hold. */
static void real_card(void **s)
{
    const char *dir = tt_data("models/mitosis-slimresnet");
    if (!dir) skip();
    mt_err err = MT_ERR_INIT;
    mt_model *m = NULL;
    tt_ok(mt_model_open(&m, dir, NULL, &err), &err);
    const mt_card *c = mt_model_card(m);
    assert_int_equal(c->input_px, 64);
    assert_int_equal(c->positive_class, 1);
    assert_float_equal(c->thresholds[0].value, 0.5346647500991821, 0);
    assert_string_equal(mt_model_digest(m), c->sha256);
    mt_model_close(&m);
}

/* Cards of task tissue and of stain normalisation: what they say, and what they may not. */
static void tissue_and_stain(void **state)
{
    mt_card c;
    mt_card_extra x;
    mt_err err = MT_ERR_INIT;
    const char *slide = "{\"patch_size_pixels\":500,\"engine\":{\"task\":\"tissue\",\"input\":{\"layout\":\"NHWC\"},"
                        "\"thresholds\":[{\"value\":0.6}]}}";
    tt_ok(mt_card_parse(&c, &x, slide, strlen(slide), "card", "unet", &err), &err);
    assert_true(c.nhwc && c.whole_slide && c.n_classes == 1 && c.input_px == 500 && c.thresholds[0].value == 0.6);
    assert_string_equal(c.activation, "sigmoid");
    const char *tiles = "{\"patch_size_pixels\":256,\"spacing_um_px\":4,\"engine\":{\"task\":\"tissue\"}}";
    tt_ok(mt_card_parse(&c, &x, tiles, strlen(tiles), "card", "unet", &err), &err);
    assert_true(!c.nhwc && !c.whole_slide && c.mpp == 4);
    static const char *const engines[][2] = {
        {"\"normalise_stain\":false", ""},
        {"\"normalise_stain\":null", ""},
        {"\"normalise_stain\":true", "macenko"},
        {"\"normalise_stain\":\"reinhard\"", "reinhard"},
        {"\"normalise_stain\":{\"method\":\"macenko\",\"target\":{\"b\":1,\"a\":2}}", "macenko"},
    };
    char text[400];
    for (size_t i = 0; i < sizeof engines / sizeof *engines; i++) {
        snprintf(text, sizeof text, "{\"patch_size_pixels\":500,\"engine\":{\"task\":\"tissue\",%s}}", engines[i][0]);
        tt_ok(mt_card_parse(&c, &x, text, strlen(text), "card", "unet", &err), &err);
        assert_string_equal(c.normalise_stain, engines[i][1]);
    }
    assert_string_equal(c.stain_target, "{\"a\":2,\"b\":1}");
    static const char *const bad[][2] = {
        {"\"normalise_stain\":\"vahadane\"", "vahadane"},
        {"\"normalise_stain\":{\"target\":{}}", "normalise_stain"},
        {"\"normalise_stain\":{\"method\":\"macenko\",\"target\":\"x.json\"}", "no object"},
        {"\"source\":\"thumbnail\"", "neither slide nor tiles"},
        {"\"source\":\"tiles\"", "needs spacing_um_px"},
        {"\"input\":{\"layout\":\"HWC\"}", "input layout HWC is not handled (NCHW is, and NHWC)"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        mt_err_clear(&err);
        snprintf(text, sizeof text, "{\"patch_size_pixels\":500,\"engine\":{\"task\":\"tissue\",%s}}", bad[i][0]);
        assert_int_equal(mt_card_parse(&c, &x, text, strlen(text), "card", "unet", &err), MT_ERR_CARD);
        if (!strstr(err.text, bad[i][1])) fail_msg("%s: \"%s\"", bad[i][0], err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tissue_and_stain),
        cmocka_unit_test(zoo_card_as_it_is),
        cmocka_unit_test(engine_key),
        cmocka_unit_test(cards_that_are_refused),
        cmocka_unit_test(activations),
        cmocka_unit_test(a_model_opens_and_runs),
        cmocka_unit_test(models_that_do_not_open),
        cmocka_unit_test(builtin_models),
        cmocka_unit_test(checking_a_file),
        cmocka_unit_test(real_card),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
