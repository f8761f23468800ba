// rooms: models
/* A model card of any bytes: refused with a reason, or a card whose numbers make sense. */
#include <stddef.h>
#include <stdlib.h>
#include "models/card.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mt_card c;
    mt_card_extra extra;
    mt_err err = MT_ERR_INIT;
    mt_status st = mt_card_parse(&c, &extra, (const char *)data, size, "fuzz", "fuzz", &err);
    if (st != MT_OK) {
        if (err.code != st || !err.text[0]) abort();
        return 0;
    }
    if (c.n_classes < 0 || c.n_classes > MT_MAX_CLASSES || c.positive_class >= c.n_classes ||
        c.positive_class < -1)
        abort();
    if (c.n_thresholds < 0 || c.n_thresholds > MT_MAX_THRESHOLDS || c.input_px < 0 ||
        c.input_px > 8192)
        abort();
    for (int i = 0; i < 3; i++)
        if (!(c.std[i] > 0)) abort();
    return 0;
}
