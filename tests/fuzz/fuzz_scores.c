// rooms: slide
/* The score CSV that `microtome synth --check` reads. */
#include "tools/agreement.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 4096) return 0;
    FILE *f = fmemopen((void *)data, size, "r");
    if (!f) return 0;
    mt_synth_opts opts = MT_SYNTH_OPTS_INIT;
    opts.width = opts.height = 256; /* what lies beyond is glass and costs nothing */
    table t = {0};
    sums s = {0};
    mt_err err = MT_ERR_INIT;
    double auc;
    if (read_rows(&t, &s, f, &opts, MT_SYNTH_TUMOUR, 0.5, &err) == MT_OK &&
        mt_agreement_auc(&auc, t.score, t.label, t.n, &err) == MT_OK && (auc < 0 || auc > 1))
        __builtin_trap();
    if (t.n > size) __builtin_trap(); /* a tile needs more than one byte */
    free(t.score);
    free(t.label);
    fclose(f);
    return 0;
}
