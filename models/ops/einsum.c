/* Einsum: any number of operands, repeated letters (diagonals), "...", with or without "->". Two
 * operands that are a batched matrix product go to the dense kernel; the rest is summed term by
 * term in double. */
#include "models/ops/op.h"

enum { MOST = 24, OPERANDS = 8 };
typedef struct params {
    int rank, n_out;             /* distinct letters: the output's first, then the summed ones */
    int64_t dims[MOST];
    int64_t stride[OPERANDS][MOST]; /* of the operands, by letter; 0 where one repeats */
    bool known[MOST];
    /* a product of matrices: [batch][m][n], sums of length k */
    bool dense;
    int batch, rows;             /* letters [0, batch) [batch, rows) [rows, n_out) */
    int64_t m, n, k;
} params;

/* Letters: a-z A-Z as they are; the dimensions of "..." are numbered from its last one. */
enum { ELLIPSIS = 128 };
typedef struct term { int n, letter[MOST], ellipsis; } term; /* ellipsis: place of "...", -1 none */

static bool read_term(term *t, const char **s)
{
    *t = (term){.ellipsis = -1};
    for (; **s && **s != ',' && **s != '-'; (*s)++) {
        char c = **s;
        if (c == ' ') continue;
        if (c == '.') {
            if (t->ellipsis >= 0 || strncmp(*s, "...", 3)) return false;
            t->ellipsis = t->n;
            *s += 2;
            continue;
        }
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter || t->n == MOST) return false;
        t->letter[t->n++] = c;
    }
    return true;
}

/* Puts the n dimensions that "..." stands for into the term. */
static bool widen(term *t, int n)
{
    if (t->ellipsis < 0) return n == 0;
    if (n < 0 || t->n + n > MOST) return false;
    for (int i = t->n - 1; i >= t->ellipsis; i--) t->letter[i + n] = t->letter[i];
    for (int i = 0; i < n; i++) t->letter[t->ellipsis + i] = ELLIPSIS + n - 1 - i;
    t->n += n;
    return true;
}

static int find(const int *letters, int n, int c)
{
    for (int i = 0; i < n; i++)
        if (letters[i] == c) return i;
    return -1;
}

static int by_value(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

/* Without "->": the dimensions of "...", then every letter that stands once, in order. */
static void implied_output(term *out, const term *in, int n_in, int widest)
{
    *out = (term){.ellipsis = -1};
    for (int i = widest; i-- > 0;) out->letter[out->n++] = ELLIPSIS + i;
    int first = out->n;
    for (int c = 'A'; c <= 'z' && out->n < MOST; c++) {
        int times = 0;
        for (int i = 0; i < n_in; i++)
            for (int k = 0; k < in[i].n; k++) times += in[i].letter[k] == c;
        if (times == 1) out->letter[out->n++] = c;
    }
    qsort(out->letter + first, (size_t)(out->n - first), sizeof(int), by_value);
}

typedef struct equation { term in[OPERANDS], out; } equation;

static bool parse(equation *e, const char *s, mt_graph *g, const mt_node *n)
{
    int widest = 0;
    for (int i = 0; i < n->n_in; i++) {
        if (!read_term(&e->in[i], &s) || (*s == ',') != (i + 1 < n->n_in)) return false;
        if (*s == ',') s++;
        int rest = mt_in(g, n, i)->t.rank - e->in[i].n;
        if (e->in[i].ellipsis >= 0) widest = MT_MAX(widest, rest);
        if (!widen(&e->in[i], rest)) return false;
    }
    if (!*s) {
        implied_output(&e->out, e->in, n->n_in, widest);
        return true;
    }
    if (s[0] != '-' || s[1] != '>') return false;
    s += 2;
    return read_term(&e->out, &s) && !*s &&
           widen(&e->out, e->out.ellipsis >= 0 ? widest : 0);
}

/* Sizes must agree, or be 1 within "..."; strides add up where a letter repeats (a diagonal). */
static bool place_operand(params *p, int *letters, int at, const term *t, const mt_tensor *x)
{
    int64_t own[MT_MAX_DIMS];
    mt_strides(own, x);
    for (int d = 0; d < x->rank; d++) {
        int i = find(letters, p->rank, t->letter[d]);
        if (i < 0) {
            if (p->rank == MOST) return false;
            letters[i = p->rank++] = t->letter[d];
        }
        int64_t len = x->dims[d];
        if (!p->known[i] || p->dims[i] == 1) p->dims[i] = len;
        else if (len != p->dims[i] && len != 1) return false;
        p->known[i] = true;
        if (len != 1) p->stride[at][i] += own[d];
    }
    return true;
}

/* Letters [from, to) of operand i lie as one run of elements, the last step away from the next. */
static bool one_run(const params *p, int i, int from, int to, int64_t step)
{
    for (int d = to - 1; d >= from; d--) {
        if (p->dims[d] == 1) continue;
        if (p->stride[i][d] != step) return false;
        step *= p->dims[d];
    }
    return true;
}

static int64_t product(const params *p, int from, int to)
{
    int64_t n = 1;
    for (int d = from; d < to; d++) n *= p->dims[d];
    return n;
}

/* Letter d is read by just these operands; one of size 1 by any. */
static bool read_by(const params *p, int d, bool first, bool second)
{
    return p->dims[d] == 1 || ((p->stride[0][d] != 0) == first && (p->stride[1][d] != 0) == second);
}

/* Output letters are batch (in both), rows (first operand only), columns (second only). */
static void find_product(params *p)
{
    int d = 0;
    while (d < p->n_out && read_by(p, d, true, true)) d++;
    p->batch = d;
    while (d < p->n_out && read_by(p, d, true, false)) d++;
    p->rows = d;
    while (d < p->n_out && read_by(p, d, false, true)) d++;
    p->dense = d == p->n_out; /* the run looks at how the operands lie */
    for (int i = p->n_out; i < p->rank; i++) p->dense = p->dense && read_by(p, i, true, true);
    p->m = product(p, p->batch, p->rows);
    p->n = product(p, p->rows, p->n_out);
    p->k = product(p, p->n_out, p->rank);
    if (p->m < 4 || p->n < 4 || p->k < 4) p->dense = false; /* a call a product costs more */
}

MT_INFER(mt_infer_einsum)
{
    MT_TRY(mt_need_inputs(g, n, 1, OPERANDS, err));
    for (int i = 0; i < n->n_in; i++) {
        if (!mt_in(g, n, i)) return mt_node_fail(n, err, MT_ERR_FORMAT, "input %d is left out", i);
        MT_TRY(mt_need_type(g, n, i, MT_T_NUM, err));
        if (mt_in(g, n, i)->t.dtype != mt_in(g, n, 0)->t.dtype)
            return mt_node_fail(n, err, MT_ERR_FORMAT, "inputs of different types");
    }
    params *p = mt_graph_mem(g, sizeof *p, err);
    if (!p) return MT_ERR_NO_MEMORY;
    n->params = p;
    const char *eq = mt_attr_str(n, "equation", "");
    equation e;
    int letters[MOST];
    bool fits = parse(&e, eq, g, n) && e.out.n <= MT_MAX_DIMS;
    for (int i = 0; fits && i < e.out.n; i++) { /* the output's letters come first */
        fits = find(letters, p->rank, e.out.letter[i]) < 0;
        if (fits) letters[p->rank++] = e.out.letter[i];
    }
    p->n_out = p->rank;
    for (int i = 0; fits && i < n->n_in; i++)
        fits = place_operand(p, letters, i, &e.in[i], &mt_in(g, n, i)->t);
    for (int i = 0; fits && i < p->n_out; i++) fits = p->known[i];
    if (!fits)
        return mt_node_fail(n, err, MT_ERR_FORMAT, "equation \"%.60s\" does not fit the inputs", eq);
    n->macs = 1;
    for (int i = 0; i < p->rank; i++)
        if (__builtin_mul_overflow(n->macs, (uint64_t)p->dims[i], &n->macs))
            return mt_node_fail(n, err, MT_ERR_LIMIT, "too large");
    if (mt_in(g, n, 0)->t.dtype == MT_DT_F32 && n->macs && n->n_in == 2) find_product(p);
    return mt_set_out(g, n, 0, mt_in(g, n, 0)->t.dtype, p->n_out, p->dims, err);
}

/* How an operand lies as a matrix rows x cols of letters [r, c) x [c2, e): 0 rows behind one
 * another, 1 transposed, -1 neither. ld is the step between rows. */
static int lies(const params *p, int i, const int *r, const int *c, int64_t *ld)
{
    int64_t rows = product(p, r[0], r[1]), cols = product(p, c[0], c[1]);
    int64_t step = 0;
    for (int d = r[1] - 1; d >= r[0] && !step; d--)
        if (p->dims[d] > 1) step = p->stride[i][d];
    *ld = step ? step : cols;
    if (one_run(p, i, c[0], c[1], 1) && one_run(p, i, r[0], r[1], *ld) && *ld >= cols) return 0;
    step = 0;
    for (int d = c[1] - 1; d >= c[0] && !step; d--)
        if (p->dims[d] > 1) step = p->stride[i][d];
    *ld = step ? step : rows;
    if (one_run(p, i, r[0], r[1], 1) && one_run(p, i, c[0], c[1], *ld) && *ld >= rows) return 1;
    return -1;
}

/* Rows of one product, whose shape must not hang on how many images there are: those of one image,
 * unless the images are products of their own. */
static int64_t rows_of(const params *p, int64_t batch)
{
    if (batch < 2 || p->m % batch) return p->m;
    for (int d = 0; d < p->batch; d++)
        if (p->dims[d] > 1 && p->dims[d] % batch == 0) return p->m;
    return p->m / batch;
}

static bool run_dense(const mt_call *c, const params *p)
{
    const int rows[2] = {p->batch, p->rows}, cols[2] = {p->rows, p->n_out},
              sums[2] = {p->n_out, p->rank};
    int64_t lda, ldb, idx[MOST] = {0};
    int ta = lies(p, 0, rows, sums, &lda), tb = lies(p, 1, sums, cols, &ldb);
    if (ta < 0 || tb < 0 || p->m > INT32_MAX || p->n > INT32_MAX || p->k > INT32_MAX ||
        lda > INT32_MAX || ldb > INT32_MAX)
        return false;
    mt_gemm_shape s = {.m = p->m, .n = p->n, .k = p->k, .rows = rows_of(p, c->g->batch),
                       .lda = (size_t)lda, .ldb = (size_t)ldb, .ldc = (size_t)p->n,
                       .trans_a = ta, .trans_b = tb, .alpha = 1.0f, .beta = 0.0f};
    float *o = c->out[0]->data;
    do {
        int64_t at[2] = {0, 0};
        for (int d = 0; d < p->batch; d++)
            for (int j = 0; j < 2; j++) at[j] += idx[d] * p->stride[j][d];
        mt_gemm_run(c->k, &s, (const float *)c->in[0]->data + at[0],
                    (const float *)c->in[1]->data + at[1], NULL, o);
        o += p->m * p->n;
    } while (mt_next(idx, p->dims, p->batch));
    return true;
}

static double one_sum(const mt_call *c, const params *p, const int64_t *base)
{
    int64_t idx[MOST] = {0};
    int n_in = c->node->n_in;
    double sum = 0;
    do {
        double v = 1;
        for (int j = 0; j < n_in; j++) {
            int64_t at = base[j];
            for (int d = p->n_out; d < p->rank; d++) at += idx[d - p->n_out] * p->stride[j][d];
            v *= (double)((const float *)c->in[j]->data)[at];
        }
        sum += v;
    } while (mt_next(idx, p->dims + p->n_out, p->rank - p->n_out));
    return sum;
}

static int64_t one_sum_int(const mt_call *c, const params *p, const int64_t *base)
{
    int64_t idx[MOST] = {0};
    uint64_t sum = 0;
    do {
        uint64_t v = 1;
        for (int j = 0; j < c->node->n_in; j++) {
            int64_t at = base[j];
            for (int d = p->n_out; d < p->rank; d++) at += idx[d - p->n_out] * p->stride[j][d];
            v *= (uint64_t)mt_tensor_int(c->in[j], at);
        }
        sum += v;
    } while (mt_next(idx, p->dims + p->n_out, p->rank - p->n_out));
    return (int64_t)sum;
}

MT_RUN(mt_run_einsum)
{
    const params *p = c->node->params;
    mt_tensor *o = c->out[0];
    int64_t idx[MOST] = {0}, total = mt_tensor_count(o);
    if (!c->node->macs) { /* a sum over nothing */
        if (mt_tensor_bytes(o)) memset(o->data, 0, mt_tensor_bytes(o));
        return MT_OK;
    }
    if (p->dense && run_dense(c, p)) return MT_OK;
    for (int64_t i = 0; i < total; i++, mt_next(idx, p->dims, p->n_out)) {
        int64_t base[OPERANDS] = {0};
        for (int d = 0; d < p->n_out; d++)
            for (int j = 0; j < c->node->n_in; j++) base[j] += idx[d] * p->stride[j][d];
        if (o->dtype == MT_DT_F32) ((float *)o->data)[i] = (float)one_sum(c, p, base);
        else mt_tensor_set_int(o, i, one_sum_int(c, p, base));
    }
    return MT_OK;
}
