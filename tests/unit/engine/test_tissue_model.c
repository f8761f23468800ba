/* Learned masks: the real U-Net against another runtime, a network of one layer whose answer is
 * known everywhere, and models that are none. */
#include "tests/support/support.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/file.h"
#include "engine/tissue_model.h"
#include "microtome/synth.h"
#include "microtome/tissue.h"
#include "models/net.h"

static const char *folder(const char *name)
{
    mt_err err = MT_ERR_INIT;
    const char *dir = tt_tmp_file(name);
    tt_ok(mt_dir_make(dir, &err), &err);
    return dir;
}

static void put(const char *dir, const char *name, const void *data, size_t n)
{
    char path[500];
    mt_err err = MT_ERR_INIT;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    tt_ok(mt_file_write(path, data, n, &err), &err);
}

/* ---- the U-Net ---- */

/* Made with ONNX Runtime 1.30 on the CPU: x, y, output; and how many pixels reach 0.6. */
static const struct {
    int x, y;
    double out;
} unet[] = {{0, 0, 0.14635616540908813},     {250, 220, 0.996839165687561},
            {250, 100, 0.8749703168869019},  {129, 220, 0.6737688779830933},
            {131, 220, 0.9677983522415161},  {371, 220, 0.448962926864624},
            {368, 222, 0.9610512256622314},  {250, 339, 0.923076868057251},
            {250, 342, 0.28807127475738525}, {400, 400, 0.32677507400512695},
            {499, 499, 0.14444103837013245}, {180, 300, 0.9965536594390869},
            {20, 480, 0.12611332535743713},  {165, 135, 0.8475241661071777},
            {335, 305, 0.6637253761291504}};
enum { SIDE = 500, UNET_TISSUE = 46291 };

#define UNET_CARD(task)                                                                            \
    "{\"architecture\":\"unet\",\"num_classes\":1,\"class_names\":[\"Tissue\"],"                   \
    "\"patch_size_pixels\":500,\"engine\":{\"name\":\"unet\",\"version\":\"1\",\"task\":\"" task   \
    "\",\"input\":{\"layout\":\"NHWC\"},\"outputs\":[{\"activation\":\"none\"}],"                  \
    "\"thresholds\":[{\"name\":\"default\",\"value\":0.6}]}}"

static void as_another_runtime(void **state)
{
    mt_err err = MT_ERR_INIT;
    const char *real = tt_data("onnx/models/tissue-unet-best_unet.onnx");
    if (!real) skip();
    uint8_t *onnx = NULL;
    size_t n;
    tt_ok(mt_file_read(&onnx, &n, real, (size_t)1 << 26, &err), &err);
    const char *dir = folder("unet");
    put(dir, "model.onnx", onnx, n);
    put(dir, "config.json", UNET_CARD("tissue"), sizeof UNET_CARD("tissue") - 1);
    free(onnx);
    mt_model *model = NULL;
    tt_ok(mt_model_open(&model, dir, NULL, &err), &err);
    assert_true(mt_model_card(model)->nhwc && mt_model_card(model)->whole_slide);
    const mt_net *net;
    mt_net_state *ns = NULL;
    tt_ok(mt_model_net(&net, model, &err), &err);
    tt_ok(mt_net_state_new(&ns, net, &err), &err);
    float *input = malloc(3 * SIDE * SIDE * sizeof *input);
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
            int dx = x - 250, dy = y - 220, h = (x * 73 + y * 151 + x * y % 97) % 61;
            bool in = dx * dx + dy * dy < 120 * 120;
            int p[3] = {in ? 170 + h % 40 : 238 + h % 8, in ? 80 + h % 30 : 236 + h % 8,
                        in ? 150 + h % 35 : 240 + h % 8};
            for (int c = 0; c < 3; c++)
                input[(y * SIDE + x) * 3 + c] = (float)p[c] / 255.0f;
        }
    mt_tensor in = *mt_net_input(net, 0), out = {0};
    in.data = input;
    tt_ok(mt_net_run(net, ns, &in, &out, &err), &err);
    const float *v = out.data;
    for (size_t i = 0; i < sizeof unet / sizeof *unet; i++) {
        double got = (double)v[unet[i].y * SIDE + unet[i].x];
        if (fabs(got - unet[i].out) > 1e-4)
            fail_msg("(%d, %d): %.7f, not %.7f", unet[i].x, unet[i].y, got, unet[i].out);
    }
    int tissue = 0;
    for (int i = 0; i < SIDE * SIDE; i++)
        tissue += v[i] >= 0.6f;
    assert_true(abs(tissue - UNET_TISSUE) <= 3);
    free(input);
    mt_net_state_free(&ns);
    mt_model_close(&model);

    /* A layout that only tissue models may have. */
    mt_tissue_source *s = NULL;
    put(dir, "config.json", UNET_CARD("mil"), sizeof UNET_CARD("mil") - 1);
    char given[600];
    snprintf(given, sizeof given, "%s/model.onnx", dir);
    assert_int_equal(mt_tissue_source_open(&s, given, &err), MT_ERR_CARD);
    assert_non_null(strstr(err.text, "input layout NHWC is not handled"));
}

/* ---- a network of one layer ---- */

static void field(mt_buf *b, int number, const void *data, size_t n)
{
    uint8_t head[2] = {(uint8_t)(number << 3 | 2), 0};
    mt_buf_append(b, head, 1);
    for (size_t v = n;; v >>= 7) { /* a length as varint */
        uint8_t byte = (uint8_t)(v & 127) | (v > 127 ? 128 : 0);
        mt_buf_append(b, &byte, 1);
        if (v <= 127) break;
    }
    mt_buf_append(b, data, n);
}

static void text(mt_buf *b, int number, const char *s)
{
    field(b, number, s, strlen(s));
}

static void number(mt_buf *b, int n, int v) /* v < 16384 */
{
    uint8_t x[3] = {(uint8_t)(n << 3), (uint8_t)(v & 127), (uint8_t)(v >> 7)};
    if (v > 127) x[1] |= 128;
    mt_buf_append(b, x, v > 127 ? 3 : 2);
}

static void weights(mt_buf *graph, const char *name, const float *v, int n, int rank)
{
    mt_buf t = MT_BUF_INIT(4096);
    const int dims[4] = {1, 3, 1, 1};
    for (int i = 0; i < rank; i++)
        number(&t, 1, dims[i]);
    number(&t, 2, 1); /* FLOAT */
    text(&t, 8, name);
    field(&t, 9, v, sizeof *v * (size_t)n);
    field(graph, 5, t.data, t.len);
    mt_buf_free(&t);
}

static void port(mt_buf *graph, int member, const char *name, int channels, int px)
{
    mt_buf shape = MT_BUF_INIT(4096), tensor = MT_BUF_INIT(4096), type = MT_BUF_INIT(4096),
           info = MT_BUF_INIT(4096);
    const int dims[4] = {1, channels, px, px};
    for (int i = 0; i < 4; i++) {
        mt_buf d = MT_BUF_INIT(64);
        number(&d, 1, dims[i]);
        field(&shape, 1, d.data, d.len);
        mt_buf_free(&d);
    }
    number(&tensor, 1, 1);
    field(&tensor, 2, shape.data, shape.len);
    field(&type, 1, tensor.data, tensor.len);
    text(&info, 1, name);
    field(&info, 2, type.data, type.len);
    field(graph, member, info.data, info.len);
    mt_buf_free(&shape), mt_buf_free(&tensor), mt_buf_free(&type), mt_buf_free(&info);
}

/* One 1 x 1 convolution: y = 40 (0.82 - green): what is stained is above 0. */
static const char *green_model(int px, const char *card)
{
    static const float w[3] = {0, -40, 0}, bias[1] = {32.8f};
    mt_buf node = MT_BUF_INIT(4096), graph = MT_BUF_INIT(4096), opset = MT_BUF_INIT(64),
           model = MT_BUF_INIT(8192);
    text(&node, 1, "x"), text(&node, 1, "w"), text(&node, 1, "b");
    text(&node, 2, "y");
    text(&node, 4, "Conv");
    field(&graph, 1, node.data, node.len);
    text(&graph, 2, "green");
    weights(&graph, "w", w, 3, 4);
    weights(&graph, "b", bias, 1, 1);
    port(&graph, 11, "x", 3, px);
    port(&graph, 12, "y", 1, px);
    number(&opset, 2, 13);
    number(&model, 1, 7);
    field(&model, 7, graph.data, graph.len);
    field(&model, 8, opset.data, opset.len);
    const char *dir = folder("green");
    put(dir, "model.onnx", model.data, model.len);
    put(dir, "config.json", card, strlen(card));
    mt_buf_free(&node), mt_buf_free(&graph), mt_buf_free(&opset), mt_buf_free(&model);
    return dir;
}

/* Share of pixels that are the same. */
static double agreement(const mt_tissue *a, const mt_tissue *b)
{
    size_t same = 0, n = (size_t)a->width * (size_t)a->height;
    assert_true(a->width == b->width && a->height == b->height);
    for (size_t i = 0; i < n; i++)
        same += (a->mask[i] != 0) == (b->mask[i] != 0);
    return (double)same / (double)n;
}

static void whole_and_in_tiles(void **state)
{
    static const char *const cards[] = {
        "{\"patch_size_pixels\":48,\"spacing_um_px\":8,\"engine\":{\"task\":\"tissue\",\"name\":"
        "\"g\"}}",
        "{\"patch_size_pixels\":256,\"engine\":{\"task\":\"tissue\",\"name\":\"g\"}}"};
    mt_err err = MT_ERR_INIT;
    mt_synth_opts o = MT_SYNTH_OPTS_INIT;
    o.width = 3003;
    o.height = 2205;
    o.seed = 4;
    const char *path = tt_tmp_file("green.svs");
    tt_ok(mt_synth_write(path, &o, NULL, NULL, 0, NULL, NULL, &err), &err);
    mt_slide *slide = NULL;
    tt_ok(mt_slide_open(&slide, path, NULL, &err), &err);
    mt_tissue *detected = NULL;
    mt_tissue_opts to = MT_TISSUE_OPTS_INIT;
    to.max_hole_um2 = to.min_speck_um2 = 0;
    tt_ok(mt_tissue_detect(&detected, slide, &to, &err), &err);
    for (int i = 0; i < 2; i++) {
        mt_tissue_source *source = NULL;
        mt_tissue *one = NULL, *many = NULL;
        mt_tissue_origin origin;
        char given[600];
        snprintf(given, sizeof given, "model:%s", green_model(i ? 256 : 48, cards[i]));
        tt_ok(mt_tissue_source_open(&source, given, &err), &err);
        tt_ok(mt_tissue_source_origin(&origin, source, path, &err), &err);
        assert_string_equal(origin.kind, "model");
        assert_int_equal(strlen(origin.digest), 64);
        to.threads = 1;
        tt_ok(mt_tissue_source_find(&one, source, slide, path, &to, &err), &err);
        to.threads = 3;
        tt_ok(mt_tissue_source_find(&many, source, slide, path, &to, &err), &err);
        assert_memory_equal(one->mask, many->mask, (size_t)one->width * (size_t)one->height);
        assert_true(one->n_pieces > 0 && one->tissue_mm2 > 0);
        double same = agreement(one, detected);
        if (same < 0.96) fail_msg("%s: %.4f of the mask as detected", i ? "whole" : "tiles", same);
        mt_tissue_free(&one);
        mt_tissue_free(&many);
        mt_tissue_source_close(&source);
    }
    mt_tissue_free(&detected);
    mt_slide_close(&slide);
}

/* ---- folders of masks ---- */

static void folders(void **state)
{
    mt_err err = MT_ERR_INIT;
    mt_tissue_source *s = NULL;
    mt_tissue_origin origin;
    const char *dir = folder("masks"),
               *square = "{\"type\":\"Polygon\",\"coordinates\":[[[0,0],[9,0],[9,9]]]}";
    put(dir, "a.geojson", square, strlen(square));
    put(dir, "b.svs_mask_use.png", "\x89PNG", 4);
    put(dir, "c.geojson", square, strlen(square));
    put(dir, "c_mask_use.png", "\x89PNG", 4);
    tt_ok(mt_tissue_source_open(&s, dir, &err), &err);
    tt_ok(mt_tissue_source_origin(&origin, s, "/x/y/a.svs", &err), &err);
    assert_string_equal(origin.kind, "geojson");
    tt_ok(mt_tissue_source_origin(&origin, s, "b.svs", &err), &err);
    assert_string_equal(origin.kind, "png");
    assert_int_equal(mt_tissue_source_origin(&origin, s, "c.svs", &err), MT_ERR_ARG);
    assert_non_null(strstr(err.text, "several"));
    mt_err_clear(&err);
    assert_int_equal(mt_tissue_source_origin(&origin, s, "PATIENT.svs", &err), MT_ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "none for this slide"));
    assert_null(strstr(err.text, "PATIENT"));
    mt_tissue_source_close(&s);
    mt_err_clear(&err);
    assert_int_equal(mt_tissue_source_open(&s, tt_tmp_file("nothing.geojson"), &err),
                     MT_ERR_NOT_FOUND);
    mt_err_clear(&err);
    assert_int_equal(mt_tissue_source_open(&s, "model:demo-tumor", &err), MT_ERR_CARD);
    assert_non_null(strstr(err.text, "a tissue mask needs tissue"));
    mt_err_clear(&err);
    tt_ok(mt_tissue_source_open(&s, NULL, &err), &err);
    tt_ok(mt_tissue_source_origin(&origin, s, "c.svs", &err), &err);
    assert_string_equal(origin.kind, "detected");
    mt_tissue_source_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_another_runtime),
                                       cmocka_unit_test(whole_and_in_tiles),
                                       cmocka_unit_test(folders)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
