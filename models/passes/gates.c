/* x * Sigmoid(x) is SiLU, x * HardSigmoid(x) (1/6, 1/2) is HardSwish: written as two nodes by
 * exporters. */
#include "models/ops/op.h"

/* The operand that is f(other) with f a sigmoid or hard sigmoid; -1 when neither is. */
static int gate_of(const mt_graph *g, const mt_node *mul, mt_act *act)
{
    for (int i = 0; i < 2; i++) {
        const mt_node *f = mt_graph_producer(g, mul->in[i]);
        if (!f || f->n_in != 1 || f->in[0] != mul->in[!i] || f->op->run != mt_run_act) continue;
        const mt_act_params *p = f->params;
        if (p->act == MT_ACT_SIGMOID) *act = MT_ACT_SILU;
        else if (p->act == MT_ACT_HSIGMOID && fabsf(p->a - 1.0f / 6) < 1e-6f && p->b == 0.5f)
            *act = MT_ACT_HSWISH;
        else continue;
        return i;
    }
    return -1;
}

mt_status mt_pass_gates(mt_graph *g, mt_err *err)
{
    for (int i = 0; i < g->n_nodes; i++) {
        mt_node *n = g->nodes[i];
        mt_act act;
        if (strcmp(n->op->name, "Mul") || g->values[n->out[0]]->t.dtype != MT_DT_F32) continue;
        int gate = gate_of(g, n, &act);
        if (gate < 0) continue;
        mt_act_params *p = mt_graph_mem(g, sizeof *p, err);
        if (!p) return MT_ERR_NO_MEMORY;
        p->act = act;
        n->op = mt_op_internal(act == MT_ACT_SILU ? "Silu" : "HardSwish");
        n->in[0] = n->in[!gate];
        n->n_in = 1;
        n->params = p;
    }
    return MT_OK;
}
