/* A bag of instances walked once, some rows at a time: every operator that works row by row runs on
 * a block, and the attention pool at the end keeps a running maximum, sum and weighted sum. What
 * nobody else reads never exists for the whole bag. Blocks are fixed, so results depend on nothing
 * but the bag. */
#include "models/ops/op.h"

typedef struct walk {
    const mt_call *c;
    const mt_bag_params *p;
    float *locals, *pool;    /* scratch of the block; of the pool */
    double *acc, *sum;       /* running weighted sums and sums of weights */
    float *top;              /* running maxima */
    void *scratch;           /* of the members */
    mt_tensor tensor[MT_BAG_LOCALS], given[MT_BAG_GIVEN];
} walk;

static size_t pool_floats(const mt_bag_params *p)
{
    size_t block = (size_t)p->classes * (MT_BAG_ROWS + (size_t)p->width) + 16;
    return block + 2 * (size_t)p->classes * ((size_t)p->width + 1) + (size_t)p->classes + 16;
}

static size_t local_floats(const mt_bag_params *p)
{
    size_t n = 0;
    for (int i = 0; i < p->n_locals; i++)
        n += p->local[i].given_out >= 0 ? 0 : ((size_t)p->local[i].width * MT_BAG_ROWS + 15) / 16 * 16;
    return n;
}

size_t mt_bag_scratch(const mt_bag_params *p)
{
    return (local_floats(p) + (pool_floats(p) + 15) / 16 * 16) * sizeof(float) + p->member_scratch;
}

static void begin(walk *w, const mt_call *c)
{
    const mt_bag_params *p = w->p = c->node->params;
    size_t n = (size_t)p->classes;
    w->c = c;
    w->locals = c->scratch;
    w->pool = w->locals + local_floats(p);
    w->acc = (double *)(void *)w->pool; /* doubles first: they are aligned */
    w->sum = w->acc + n * (size_t)p->width;
    w->top = (float *)(void *)(w->sum + n);
    w->scratch = w->pool + (pool_floats(p) + 15) / 16 * 16;
    for (size_t i = 0; i < n * (size_t)p->width + n; i++) w->acc[i] = 0.0;
    for (size_t i = 0; i < n; i++) w->top[i] = -INFINITY;
}

/* Tensors of rows [r0, r0 + rows). */
static void point(walk *w, int64_t r0, int64_t rows)
{
    const mt_bag_params *p = w->p;
    float *at = w->locals;
    for (int i = 0; i < p->n_locals; i++) {
        const mt_bag_local *l = &p->local[i];
        mt_tensor *t = &w->tensor[i];
        *t = l->shape;
        t->dims[t->rank - 2] = rows;
        if (l->given_out >= 0) {
            t->data = (float *)w->c->out[l->given_out]->data + r0 * l->width;
        } else {
            t->data = at;
            at += ((size_t)l->width * MT_BAG_ROWS + 15) / 16 * 16;
        }
    }
    for (int i = 0; i < w->c->node->n_in; i++) {
        mt_tensor *t = &w->given[i];
        *t = *w->c->in[i];
        if (!p->by_row[i]) continue;
        t->data = (float *)t->data + r0 * t->dims[t->rank - 1];
        t->dims[t->rank - 2] = rows;
    }
}

static mt_tensor *tensor_of(walk *w, int ref)
{
    return ref == MT_BAG_NONE ? NULL : ref < 0 ? &w->tensor[-2 - ref] : &w->given[ref];
}

/* Rows times a matrix that is only known at run time. */
static void product(const walk *w, const mt_tensor *x, const mt_tensor *y, mt_tensor *o)
{
    int n = (int)y->dims[y->rank - 1], k = (int)y->dims[y->rank - 2];
    int64_t rows = mt_tensor_count(o) / n;
    mt_f32_gemm(w->c->k, (int)rows, n, k, 1.0f, x->data, (size_t)k, 0, y->data, (size_t)n, 0, 0.0f,
                o->data, (size_t)n, NULL);
}

static mt_status run_members(walk *w, mt_err *err)
{
    const mt_bag_params *p = w->p;
    for (int i = 0; i < p->n_members; i++) {
        const mt_bag_member *m = &p->member[i];
        const mt_tensor *in[MT_BAG_INPUTS];
        mt_tensor *out = &w->tensor[m->out];
        for (int j = 0; j < m->node->n_in; j++) in[j] = tensor_of(w, m->in[j]);
        if (!m->node->op->run) { /* a view */
            if (out->data != in[0]->data)
                memcpy(out->data, in[0]->data, mt_tensor_bytes(out));
            continue;
        }
        if (m->node->op->run == mt_run_matmul) {
            product(w, in[0], in[1], out);
            continue;
        }
        mt_call c = {m->node, in, &out, w->scratch, w->c->k, w->c->g};
        MT_TRY(m->node->op->run(&c, err));
    }
    return MT_OK;
}

static void pool_block(walk *w, int64_t rows)
{
    const mt_bag_params *p = w->p;
    size_t n = (size_t)p->classes, d = (size_t)p->width;
    const float *s = tensor_of(w, p->scores)->data, *h = tensor_of(w, p->rows)->data;
    float *weights = w->top + n, *part = weights + n * MT_BAG_ROWS;
    for (size_t c = 0; c < n; c++) {
        float *row = weights + c * (size_t)rows, sum = 0.0f;
        for (int64_t i = 0; i < rows; i++) row[i] = s[(size_t)i * n + c];
        double factor = (double)mt_f32_attn_exp(w->c->k, row, (size_t)rows, p->scale, &w->top[c],
                                                &sum);
        w->sum[c] = w->sum[c] * factor + (double)sum;
        for (size_t i = 0; i < d && factor != 1.0; i++) w->acc[c * d + i] *= factor;
    }
    mt_f32_gemm(w->c->k, (int)n, (int)d, (int)rows, 1.0f, weights, (size_t)rows, 0, h, d, 0, 0.0f,
                part, d, NULL);
    for (size_t i = 0; i < n * d; i++) w->acc[i] += (double)part[i];
}

MT_RUN(mt_run_bag)
{
    walk w;
    begin(&w, c);
    const mt_bag_params *p = w.p;
    for (int64_t r = 0; r < p->n; r += MT_BAG_ROWS) {
        int64_t rows = MT_MIN((int64_t)MT_BAG_ROWS, p->n - r);
        point(&w, r, rows);
        MT_TRY(run_members(&w, err));
        pool_block(&w, rows);
    }
    float *z = c->out[0]->data;
    for (int64_t i = 0; i < p->classes; i++)
        for (int64_t j = 0; j < p->width; j++)
            z[i * p->width + j] = (float)(w.acc[i * p->width + j] / w.sum[i]);
    return MT_OK;
}
