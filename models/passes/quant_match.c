/* Add, Mul, pools, Concat, activations and views on 8-bit images. */
#include "models/passes/quant.h"

#include <math.h>

static bool same_shape(const mt_q8_rep *a, const mt_q8_rep *b)
{
    return a->c == b->c && a->h == b->h && a->w == b->w;
}

static int64_t batch_of(const mt_q8 *p, const mt_q8_rep *x)
{
    return p->g->values[x->image - 1]->t.dims[0];
}

static mt_q8_step *step_of(mt_node *m, const mt_q8_rep *x, const mt_q8_end_of *e)
{
    mt_q8_step *s = m->params;
    s->c = x->c;
    s->q = (mt_i8_pair){.x_scale = x->grid.scale,
                        .y_scale = 1.0f,
                        .out_scale = e->grid.scale,
                        .x_zero = x->grid.zero,
                        .out_zero = e->grid.zero,
                        .lo = e->lo,
                        .hi = e->hi};
    m->in[0] = x->image - 1;
    return s;
}

/* ---- activations as tables ---- */

/* table[byte on grid x] = byte of act(value) on the grid of e. */
static void act_table(uint8_t *table, const mt_kernels *k, mt_q8_grid x, mt_act act, float a,
                      float b, const mt_q8_end_of *e)
{
    float v[256];
    for (int i = 0; i < 256; i++)
        v[i] = (float)(i - x.zero) * x.scale;
    mt_f32_act(k, v, v, 256, act, a, b);
    for (int i = 0; i < 256; i++)
        table[i] = (uint8_t)MT_MIN(MT_MAX(mt_q8_byte(v[i], e->grid), e->lo), e->hi);
}

static mt_status put_table(mt_q8 *p, const mt_node *n, const mt_q8_rep *x, const uint8_t *table,
                           const mt_q8_end_of *e, mt_q8_rep *r, mt_err *err)
{
    mt_node *m;
    MT_TRY(mt_q8_node(&m, p, "QTable", n, 1, sizeof(mt_q8_step), err));
    step_of(m, x, e)->table = table;
    MT_TRY(mt_q8_image(r, p, m, batch_of(p, x), x->c, x->h, x->w, e->grid, err));
    r->table = table;
    r->from = x->image;
    r->from_grid = x->grid;
    return MT_OK;
}

/* From one grid to another: NULL where they are the same. */
static mt_status grid_table(const uint8_t **out, mt_q8 *p, mt_q8_grid from, const mt_q8_end_of *e,
                            mt_err *err)
{
    *out = NULL;
    if (from.scale == e->grid.scale && from.zero == e->grid.zero && e->lo == 0 && e->hi == 255)
        return MT_OK;
    uint8_t *table = mt_graph_mem(p->g, 256, err);
    if (!table) return MT_ERR_NO_MEMORY;
    act_table(table, p->g->k, from, MT_ACT_NONE, 0, 0, e);
    *out = table;
    return MT_OK;
}

static mt_status match_act(mt_q8 *p, mt_node *n, mt_q8_rep *r, int *value, mt_err *err)
{
    mt_q8_rep x;
    mt_q8_end_of e;
    bool ok;
    for (int i = 1; i < n->n_in; i++)
        if (n->in[i] >= 0 && !p->g->values[n->in[i]]->constant) return MT_OK;
    if (!mt_q8_end(p, n, &e) || e.act != MT_ACT_NONE) return MT_OK;
    MT_TRY(mt_q8_need(p, n->in[0], &x, &ok, err));
    if (!ok) return MT_OK;
    const mt_act_params *a = n->params;
    uint8_t *table = mt_graph_mem(p->g, 256, err);
    if (!table) return MT_ERR_NO_MEMORY;
    act_table(table, p->g->k, x.grid, a->act, a->a, a->b, &e);
    *value = e.value;
    return put_table(p, n, &x, table, &e, r, err);
}

/* x * f(x), both quantised: one table. */
static mt_status mul_of_table(mt_q8 *p, const mt_node *n, const mt_q8_rep in[2],
                              const mt_q8_end_of *e, mt_q8_rep *r, mt_err *err)
{
    for (int i = 0; i < 2; i++) {
        const mt_q8_rep *f = &in[i], *x = &in[!i];
        if (!f->table || f->from != x->image) continue;
        uint8_t *table = mt_graph_mem(p->g, 256, err);
        if (!table) return MT_ERR_NO_MEMORY;
        for (int b = 0; b < 256; b++) {
            float v = (float)(b - x->grid.zero) * x->grid.scale *
                      ((float)(f->table[b] - f->grid.zero) * f->grid.scale);
            table[b] = (uint8_t)MT_MIN(MT_MAX(mt_q8_byte(v, e->grid), e->lo), e->hi);
        }
        return put_table(p, n, x, table, e, r, err);
    }
    return MT_OK;
}

/* ---- pairs ---- */

static mt_status match_pair(mt_q8 *p, mt_node *n, mt_q8_rep *r, int *value, mt_err *err)
{
    mt_q8_rep in[2];
    mt_q8_end_of e;
    bool ok, mul = n->op->name[0] == 'M', done = false;
    if (n->n_in != 2 || !mt_q8_end(p, n, &e) || e.act != MT_ACT_NONE) return MT_OK;
    for (int i = 0; i < 2; i++) {
        MT_TRY(mt_q8_need(p, n->in[i], &in[i], &ok, err));
        if (!ok) return MT_OK;
    }
    if (batch_of(p, &in[0]) != batch_of(p, &in[1]) ||
        p->g->values[n->in[0]]->t.rank != p->g->values[n->in[1]]->t.rank)
        return MT_OK;
    if (mul && in[0].h * in[0].w == 1 && in[1].h * in[1].w > 1) { /* the gate comes second */
        mt_q8_rep t = in[0];
        in[0] = in[1];
        in[1] = t;
    }
    bool gate = mul && in[1].h == 1 && in[1].w == 1 && in[1].c == in[0].c;
    if (!same_shape(&in[0], &in[1]) && !gate) return MT_OK;
    const mt_tensor *o = &p->g->values[n->out[0]]->t;
    if (o->dims[1] != in[0].c || (o->rank == 4 && (o->dims[2] != in[0].h || o->dims[3] != in[0].w)))
        return MT_OK;
    *value = e.value;
    if (mul)
        MT_TRY(mul_of_table(p, n, in, &e, r, err));
    else
        MT_TRY(mt_q8_add_to_conv(p, n, in, &e, r, &done, err));
    if (r->image) return MT_OK;
    mt_node *m;
    MT_TRY(mt_q8_node(&m, p, mul ? "QMul" : "QAdd", n, 2, sizeof(mt_q8_step), err));
    mt_q8_step *s = step_of(m, &in[0], &e);
    s->q.y_scale = in[1].grid.scale;
    s->q.y_zero = in[1].grid.zero;
    m->in[1] = in[1].image - 1;
    return mt_q8_image(r, p, m, batch_of(p, &in[0]), in[0].c, in[0].h, in[0].w, e.grid, err);
}

/* ---- pools ---- */

static bool rep_of(const mt_q8 *p, int v, mt_q8_rep *x)
{
    if (v < 0 || v >= p->n_values || !p->rep[v].image) return false;
    *x = p->rep[v];
    return true;
}

static void pool_window(mt_pool_desc *d, const mt_q8_rep *x, const mt_node *n, const mt_tensor *o)
{
    const mt_window *w = n->params;
    *d = (mt_pool_desc){.c = x->c,
                        .h = x->h,
                        .w = x->w,
                        .oh = (int)o->dims[2],
                        .ow = (int)o->dims[3],
                        .kh = (int)w->kernel[0],
                        .kw = (int)w->kernel[1],
                        .sh = (int)w->stride[0],
                        .sw = (int)w->stride[1],
                        .dh = (int)w->dilation[0],
                        .dw = (int)w->dilation[1],
                        .pt = (int)w->pad_lo[0],
                        .pl = (int)w->pad_lo[1],
                        .pb = (int)w->pad_hi[0],
                        .pr = (int)w->pad_hi[1],
                        .count_include_pad = w->count_include_pad};
}

/* Behind a step that leaves the bytes on its input's grid: a table, when the result is read on
 * another. Only for inputs that equal their images. */
static mt_status regrid(mt_q8 *p, const mt_node *n, mt_q8_rep *r, const mt_q8_end_of *e,
                        mt_err *err)
{
    if (r->grid.scale == e->grid.scale && r->grid.zero == e->grid.zero && e->lo == 0 &&
        e->hi == 255)
        return MT_OK;
    const uint8_t *table;
    mt_q8_rep x = *r;
    MT_TRY(grid_table(&table, p, x.grid, e, err));
    MT_TRY(put_table(p, n, &x, table, e, r, err));
    r->table = NULL; /* of a value that has no name in the graph */
    return MT_OK;
}

/* Maximum, zero padding: what commutes with quantising. The maximum of bytes is the byte of the
 * maximum; around a picture of bytes lie zero points. */
static mt_status match_move(mt_q8 *p, mt_node *n, bool pad, mt_q8_rep *r, int *value, mt_err *err)
{
    mt_q8_rep x;
    mt_q8_end_of e;
    bool ok = rep_of(p, n->in[0], &x);
    const mt_tensor *o = &p->g->values[n->out[0]]->t;
    if ((n->n_out > 1 && n->out[1] >= 0) || o->rank != 4) return MT_OK;
    if (!mt_q8_end(p, n, &e) || e.act != MT_ACT_NONE) return MT_OK;
    if (!ok) MT_TRY(mt_q8_need(p, n->in[0], &x, &ok, err));
    bool same = ok && x.grid.scale == e.grid.scale && x.grid.zero == e.grid.zero;
    if (!ok || (!same && !p->exact[n->in[0]])) return MT_OK;
    mt_node *m;
    MT_TRY(mt_q8_node(&m, p, pad ? "QPad" : "QMaxPool", n, 1, sizeof(mt_q8_step), err));
    mt_q8_step *s = step_of(m, &x, &e);
    s->q.out_zero = x.grid.zero;
    if (pad) {
        const mt_pad_params *a = n->params;
        s->pool = (mt_pool_desc){.pt = (int)a->lo[2], .pl = (int)a->lo[3]};
    } else
        pool_window(&s->pool, &x, n, o);
    *value = e.value;
    MT_TRY(mt_q8_image(r, p, m, o->dims[0], x.c, (int)o->dims[2], (int)o->dims[3], x.grid, err));
    return regrid(p, n, r, &e, err);
}

static mt_status match_mean(mt_q8 *p, mt_node *n, mt_q8_rep *r, int *value, mt_err *err)
{
    mt_q8_rep x;
    mt_q8_end_of e;
    bool ok;
    const mt_tensor *o = &p->g->values[n->out[0]]->t;
    bool global = n->op->run == mt_run_globalpool;
    if (o->rank != 4 || !mt_q8_end(p, n, &e) || e.act != MT_ACT_NONE) return MT_OK;
    MT_TRY(mt_q8_need(p, n->in[0], &x, &ok, err));
    if (!ok || (global && (int64_t)x.h * x.w >= 1 << 23)) return MT_OK;
    mt_pool_desc d = {.c = x.c,
                      .h = x.h,
                      .w = x.w,
                      .oh = 1,
                      .ow = 1,
                      .kh = x.h,
                      .kw = x.w,
                      .sh = 1,
                      .sw = 1,
                      .dh = 1,
                      .dw = 1};
    if (!global) {
        pool_window(&d, &x, n, o);
        if (d.kh * d.kw > 64) return MT_OK;
    }
    mt_node *m;
    MT_TRY(mt_q8_node(&m, p, "QAveragePool", n, 1, sizeof(mt_q8_step), err));
    step_of(m, &x, &e)->pool = d;
    *value = e.value;
    return mt_q8_image(r, p, m, o->dims[0], x.c, d.oh, d.ow, e.grid, err);
}

/* ---- Concat ---- */

static mt_status match_concat(mt_q8 *p, mt_node *n, mt_q8_rep *r, int *value, mt_err *err)
{
    enum { MOST = 64 };
    mt_q8_rep in[MOST];
    mt_q8_end_of e;
    const mt_tensor *o = &p->g->values[n->out[0]]->t;
    if (((const mt_concat_params *)n->params)->axis != 1 || o->rank != 4 || n->n_in > MOST)
        return MT_OK;
    if (!mt_q8_end(p, n, &e) || e.act != MT_ACT_NONE) return MT_OK;
    for (int i = 0; i < n->n_in; i++) {
        bool ok = rep_of(p, n->in[i], &in[i]);
        if (!ok) MT_TRY(mt_q8_need(p, n->in[i], &in[i], &ok, err));
        if (!ok) return MT_OK;
        bool same = in[i].grid.scale == e.grid.scale && in[i].grid.zero == e.grid.zero;
        if (!same && !p->exact[n->in[i]]) return MT_OK;
    }
    mt_node *m;
    MT_TRY(mt_q8_node(&m, p, "QConcat", n, n->n_in, sizeof(mt_q8_step), err));
    mt_q8_step *s = step_of(m, &in[0], &e);
    const uint8_t **tables = mt_graph_mem(p->g, sizeof *tables * (size_t)n->n_in, err);
    int *channels = mt_graph_mem(p->g, sizeof *channels * (size_t)n->n_in, err);
    if (!tables || !channels) return MT_ERR_NO_MEMORY;
    for (int i = 0; i < n->n_in; i++) {
        m->in[i] = in[i].image - 1;
        channels[i] = in[i].c;
        MT_TRY(grid_table(&tables[i], p, in[i].grid, &e, err));
    }
    s->tables = tables;
    s->channels = channels;
    *value = e.value;
    return mt_q8_image(r, p, m, o->dims[0], (int)o->dims[1], (int)o->dims[2], (int)o->dims[3],
                       e.grid, err);
}

/* ---- views ---- */

/* A picture flattened to a row of numbers keeps its image; so does one of a single place. */
static void match_view(mt_q8 *p, const mt_node *n)
{
    const mt_tensor *o = &p->g->values[n->out[0]]->t;
    int x = n->in[0];
    if (x < 0 || x >= p->n_values || n->out[0] >= p->n_values || !p->rep[x].image) return;
    mt_q8_rep r = p->rep[x];
    bool flat =
        o->rank == 2 && o->dims[0] == batch_of(p, &r) && o->dims[1] == (int64_t)r.c * r.h * r.w;
    bool same = o->rank == 4 && o->dims[1] == r.c && o->dims[2] == r.h && o->dims[3] == r.w;
    if (!flat && !same) return;
    p->rep[n->out[0]] = r;
    p->exact[n->out[0]] = p->exact[x];
}

mt_status mt_q8_match(mt_q8 *p, mt_node *n, mt_q8_rep *r, int *value, mt_err *err)
{
    mt_status (*run)(const mt_call *, mt_err *) = n->op->run;
    const char *name = n->op->name;
    if (!run) {
        match_view(p, n);
        return MT_OK;
    }
    if (n->n_out < 1 || n->out[0] < 0 || p->g->values[n->out[0]]->t.dtype != MT_DT_F32)
        return MT_OK;
    if (!strcmp(name, "Conv") || !strcmp(name, "Gemm") || !strcmp(name, "MatMul"))
        return mt_q8_match_conv(p, n, r, value, err);
    if (!strcmp(name, "Add") || !strcmp(name, "Mul")) return match_pair(p, n, r, value, err);
    if (run == mt_run_pool && n->in[0] >= 0 && p->g->values[n->in[0]]->t.rank == 4)
        return name[0] == 'M' ? match_move(p, n, false, r, value, err)
                              : match_mean(p, n, r, value, err);
    if (mt_q8_zero_pad(p, n)) return match_move(p, n, true, r, value, err);
    if (run == mt_run_globalpool && name[6] == 'A') return match_mean(p, n, r, value, err);
    if (run == mt_run_concat) return match_concat(p, n, r, value, err);
    if (run == mt_run_act || run == mt_run_clip) return match_act(p, n, r, value, err);
    return MT_OK;
}
