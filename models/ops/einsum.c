/* Einsum: letters only, no ellipsis; the plain sum over every index. */
#include "models/ops/op.h"

enum { MOST = 8 };
typedef struct params {
    int rank, n_out;             /* distinct letters: the output's first, then the summed ones */
    int64_t dims[MOST];
    int64_t stride[3][MOST];     /* of the operands, by letter */
} params;

static int letter_of(char *letters, int *n, char c)
{
    for (int i = 0; i < *n; i++)
        if (letters[i] == c) return i;
    if (*n == MOST) return -1;
    letters[*n] = c;
    return (*n)++;
}

/* Operand `at` reads letters s: sizes must agree, strides add up (a repeated letter is a diagonal).
 */
static bool read_operand(params *p, char *letters, int at, const char **s, const mt_tensor *t)
{
    int64_t own[MT_MAX_DIMS];
    mt_strides(own, t);
    for (int d = 0; d < t->rank; d++, (*s)++) {
        while (**s == ' ') (*s)++;
        char c = **s;
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))) return false;
        int i = letter_of(letters, &p->rank, c);
        if (i < 0 || (p->dims[i] && p->dims[i] != t->dims[d]) || !t->dims[d]) return false;
        p->dims[i] = t->dims[d];
        p->stride[at][i] += own[d];
    }
    while (**s == ' ') (*s)++;
    return **s == ',' || **s == 0 || **s == '-';
}

MT_INFER(mt_infer_einsum)
{
    MT_TRY(mt_need_inputs(g, n, 1, 2, err));
    for (int i = 0; i < n->n_in; i++) MT_TRY(mt_need_type(g, n, i, MT_T_FLOAT, err));
    params *p = mt_graph_mem(g, sizeof *p, err);
    if (!p) return MT_ERR_NO_MEMORY;
    n->params = p;
    const char *eq = mt_attr_str(n, "equation", ""), *arrow = strstr(eq, "->"), *s = eq;
    char letters[MOST];
    if (!arrow) return mt_node_unsupported(g, n, err, "equation without ->");
    for (const char *o = arrow + 2; *o; o++) { /* the output's letters come first */
        if (*o == ' ') continue;
        int known = p->rank;
        if (letter_of(letters, &p->rank, *o) != known)
            return mt_node_unsupported(g, n, err, "equation %.60s", eq);
    }
    p->n_out = p->rank;
    for (int i = 0; i < n->n_in; i++) {
        if (!read_operand(p, letters, i, &s, &mt_in(g, n, i)->t))
            return mt_node_unsupported(g, n, err, "equation %.60s", eq);
        if (*s == ',') s++;
    }
    if (s != arrow) return mt_node_unsupported(g, n, err, "equation %.60s", eq);
    n->macs = 1;
    for (int i = 0; i < p->rank; i++) {
        if (!p->dims[i]) return mt_node_unsupported(g, n, err, "equation %.60s", eq);
        if (__builtin_mul_overflow(n->macs, (uint64_t)p->dims[i], &n->macs))
            return mt_node_fail(n, err, MT_ERR_LIMIT, "too large");
    }
    return mt_set_out(g, n, 0, MT_DT_F32, p->n_out, p->dims, err);
}

MT_RUN(mt_run_einsum)
{
    const params *p = c->node->params;
    const float *a = c->in[0]->data, *b = c->node->n_in > 1 ? c->in[1]->data : NULL;
    float *o = c->out[0]->data;
    int64_t idx[MOST] = {0};
    do {
        int64_t sum_idx[MOST] = {0}, base[2] = {0, 0};
        double sum = 0;
        for (int d = 0; d < p->n_out; d++)
            for (int j = 0; j < 2; j++) base[j] += idx[d] * p->stride[j][d];
        do {
            int64_t at[2] = {base[0], base[1]};
            for (int d = p->n_out; d < p->rank; d++)
                for (int j = 0; j < 2; j++) at[j] += sum_idx[d - p->n_out] * p->stride[j][d];
            sum += (double)a[at[0]] * (b ? (double)b[at[1]] : 1.0);
        } while (mt_next(sum_idx, p->dims + p->n_out, p->rank - p->n_out));
        *o++ = (float)sum;
    } while (mt_next(idx, p->dims, p->n_out));
    return MT_OK;
}
