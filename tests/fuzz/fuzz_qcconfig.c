// rooms: tiles
/* Limits of quality control: whatever was accepted makes sense and the gate can be asked. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "microtome/qc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(mt_qc_limit l, int low)
{
    if (isinf(l.warn) || isinf(l.reject) || l.warn < 0 || l.reject < 0) abort();
    if (low ? l.warn < l.reject : l.warn > l.reject) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mt_err err = MT_ERR_INIT;
    mt_qc_config c;
    if (mt_qc_config_parse(&c, (const char *)data, size, "input", &err) != MT_OK) {
        if (!err.text[0] || strchr(err.text, '\n')) abort();
        return 0;
    }
    if (!(c.focus_min >= 0 && c.focus_min <= 1) || !(c.tile_share >= 0 && c.tile_share <= 1) || c.exclude >> MT_QC_N)
        abort();
    for (int i = 0; i < MT_QC_N; i++)
        check(c.share[i], 0);
    check(c.usable_share, 1);
    check(c.usable_mm2, 1);
    check(c.focus_median, 1);
    mt_qc_figures g = {.tissue_mm2 = 1};
    for (int k = 0; k < 3; k++) {
        mt_qc_verdict v;
        double x = k == 0 ? 0 : k == 1 ? 1 : NAN;
        for (int i = 0; i < MT_QC_N; i++)
            g.share[i] = x;
        g.usable_share = g.usable_mm2 = g.focus_p50 = x;
        mt_qc_gate(&v, &g, &c);
        if (!memchr(v.reason, 0, sizeof v.reason) || (v.kind != MT_QC_PASS) != (v.reason[0] != 0)) abort();
    }
    return 0;
}
