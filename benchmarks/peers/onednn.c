#include "onednn.h"

#include <omp.h>
#include <oneapi/dnnl/dnnl.h>
#include <stdlib.h>

struct peer_dnnl {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_attr_t attr;
    dnnl_primitive_desc_t pd;
    dnnl_primitive_t primitive;
    dnnl_memory_t mem[4];
    dnnl_exec_arg_t args[4];
};

#define OK(call)                                                                                   \
    if ((call) != dnnl_success) return false

static bool any_layout(dnnl_memory_desc_t *md, int n, const dnnl_dims_t dims)
{
    return dnnl_memory_desc_init_by_tag(md, n, dims, dnnl_f32, dnnl_format_tag_any) == dnnl_success;
}

static bool activation(dnnl_primitive_attr_t *attr, const mt_conv_desc *d)
{
    dnnl_post_ops_t ops;
    OK(dnnl_primitive_attr_create(attr));
    if (d->act == MT_ACT_NONE) return true;
    OK(dnnl_post_ops_create(&ops));
    dnnl_status_t st = d->act == MT_ACT_CLIP
                           ? dnnl_post_ops_append_eltwise(ops, 1.0f, dnnl_eltwise_clip, d->act_a, d->act_b)
                       : d->act == MT_ACT_SILU
                           ? dnnl_post_ops_append_eltwise(ops, 1.0f, dnnl_eltwise_swish, 1.0f, 0.0f)
                           : dnnl_post_ops_append_eltwise(ops, 1.0f, dnnl_eltwise_relu, 0.0f, 0.0f);
    if (st == dnnl_success) st = dnnl_primitive_attr_set_post_ops(*attr, ops);
    dnnl_post_ops_destroy(ops);
    return st == dnnl_success;
}

static bool describe(peer_dnnl *p, const mt_conv_desc *d, bool winograd)
{
    const int g = d->groups;
    const dnnl_dims_t src = {1, d->cin, d->h, d->w}, dst = {1, d->cout, d->oh, d->ow}, bias = {d->cout},
                      plain = {d->cout, d->cin, d->kh, d->kw},
                      grouped = {g, d->cout / g, d->cin / g, d->kh, d->kw}, stride = {d->sh, d->sw},
                      dilation = {d->dh - 1, d->dw - 1}, before = {d->pt, d->pl},
                      after = {(d->oh - 1) * d->sh + (d->kh - 1) * d->dh + 1 - d->h - d->pt,
                               (d->ow - 1) * d->sw + (d->kw - 1) * d->dw + 1 - d->w - d->pl};
    dnnl_memory_desc_t ms, mw, mb, mo;
    dnnl_convolution_desc_t cd;
    if (!any_layout(&ms, 4, src) || !any_layout(&mw, g > 1 ? 5 : 4, g > 1 ? grouped : plain) ||
        !any_layout(&mb, 1, bias) || !any_layout(&mo, 4, dst))
        return false;
    OK(dnnl_dilated_convolution_forward_desc_init(
        &cd, dnnl_forward_inference, winograd ? dnnl_convolution_winograd : dnnl_convolution_direct, &ms,
        &mw, &mb, &mo, stride, dilation, before, after));
    OK(dnnl_primitive_desc_create(&p->pd, &cd, p->attr, p->engine, NULL));
    return true;
}

static bool bind(peer_dnnl *p)
{
    static const struct {
        dnnl_query_t what;
        int index, arg;
    } bound[4] = {{dnnl_query_src_md, 0, DNNL_ARG_SRC},
                  {dnnl_query_weights_md, 0, DNNL_ARG_WEIGHTS},
                  {dnnl_query_weights_md, 1, DNNL_ARG_BIAS},
                  {dnnl_query_dst_md, 0, DNNL_ARG_DST}};
    uint32_t seed = 7;
    for (int i = 0; i < 4; i++) {
        const dnnl_memory_desc_t *md = dnnl_primitive_desc_query_md(p->pd, bound[i].what, bound[i].index);
        void *data;
        OK(dnnl_memory_create(&p->mem[i], md, p->engine, DNNL_MEMORY_ALLOCATE));
        OK(dnnl_memory_get_data_handle(p->mem[i], &data));
        for (size_t j = 0, n = dnnl_memory_desc_get_size(md) / sizeof(float); j < n; j++) {
            seed = seed * 1664525u + 1013904223u;
            ((float *)data)[j] = (float)(seed >> 8) / 8388608.0f - 1.0f;
        }
        p->args[i] = (dnnl_exec_arg_t){bound[i].arg, p->mem[i]};
    }
    OK(dnnl_primitive_create(&p->primitive, p->pd));
    return true;
}

static bool begin(peer_dnnl *p, const mt_conv_desc *d, bool winograd)
{
    omp_set_num_threads(1);
    OK(dnnl_engine_create(&p->engine, dnnl_cpu, 0));
    OK(dnnl_stream_create(&p->stream, p->engine, dnnl_stream_default_flags));
    return activation(&p->attr, d) && describe(p, d, winograd) && bind(p);
}

bool peer_dnnl_open(peer_dnnl **out, const mt_conv_desc *d, bool winograd)
{
    *out = calloc(1, sizeof **out);
    if (*out && begin(*out, d, winograd)) return true;
    peer_dnnl_close(out);
    return false;
}

void peer_dnnl_close(peer_dnnl **handle)
{
    peer_dnnl *p = *handle;
    if (!p) return;
    if (p->primitive) dnnl_primitive_destroy(p->primitive);
    for (int i = 0; i < 4; i++)
        if (p->mem[i]) dnnl_memory_destroy(p->mem[i]);
    if (p->pd) dnnl_primitive_desc_destroy(p->pd);
    if (p->attr) dnnl_primitive_attr_destroy(p->attr);
    if (p->stream) dnnl_stream_destroy(p->stream);
    if (p->engine) dnnl_engine_destroy(p->engine);
    free(p);
    *handle = NULL;
}

void peer_dnnl_run(peer_dnnl *p)
{
    if (dnnl_primitive_execute(p->primitive, p->stream, 4, p->args) != dnnl_success) abort();
    dnnl_stream_wait(p->stream);
}

const char *peer_dnnl_name(const peer_dnnl *p)
{
    const char *name = "";
    dnnl_primitive_desc_query(p->pd, dnnl_query_impl_info_str, 0, &name);
    return name;
}
