/* Reading a model card: WSInfer's config.json and our "engine" key. */
#ifndef MT_MODELS_CARD_H
#define MT_MODELS_CARD_H

#include "models/net.h"

#define MT_CARD_CEILING ((size_t)1 << 20)

/* What the card says besides mt_card. */
typedef struct mt_card_extra {
    char file[128];    /* engine.file: name of the ONNX file beside the card; "" when not given */
    char summary[256]; /* engine.summary */
} mt_card_extra;

/* Parses and checks a card. name_hint names the model when the card does not. Unknown keys are left
 * alone; everything that would change a pixel or a score and is not understood is refused (CARD).
 */
MT_MUST_USE mt_status mt_card_parse(mt_card *card, mt_card_extra *extra, const char *text, size_t n,
                                    const char *what, const char *name_hint, mt_err *err);

/* One built-in model: bytes in the library. NULL name ends; i counts from 0. */
typedef struct mt_embedded {
    const char *name;
    const uint8_t *onnx, *json;
    size_t n_onnx, n_json;
} mt_embedded;
const mt_embedded *mt_builtin_find(const char *name_at_version);

#endif
