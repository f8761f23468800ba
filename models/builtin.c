/* The built-in models: every folder of models/cards/ that holds model.onnx and config.json,
 * embedded. */
#include "models/card.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include "base/mem.h"

#define ROW(name, i)                                                                               \
    extern const uint8_t mt_card_##i##_onnx[], mt_card_##i##_onnx_end[], mt_card_##i##_json[],     \
        mt_card_##i##_json_end[];
#include "models/cards.inc"
#undef ROW

typedef struct source {
    const char *name;
    const uint8_t *onnx, *onnx_end, *json, *json_end;
} source;

static const source sources[] = {
#define ROW(name, i)                                                                               \
    {name, mt_card_##i##_onnx, mt_card_##i##_onnx_end, mt_card_##i##_json, mt_card_##i##_json_end},
#include "models/cards.inc"
#undef ROW
    {0},
};

enum { N = MT_COUNT(sources) };
static pthread_once_t once = PTHREAD_ONCE_INIT;
static mt_builtin_model table[N]; /* the last row ends it */
static mt_embedded embedded[N];
static char versions[N][24], summaries[N][256], scopes[N][160];

static void describe_scope(char *out, size_t cap, const mt_card *c)
{
    size_t at = 0;
    const struct {
        const char *word, *value;
    } parts[] = {{"stain", c->stain}, {"organ", c->organ}, {"scanner", c->scanner}};
    if (c->synthetic_only) at += (size_t)snprintf(out, cap, "synthetic slides only");
    for (size_t i = 0; i < MT_COUNT(parts); i++)
        if (*parts[i].value && at + 64 < cap)
            at += (size_t)snprintf(out + at, cap - at, "%s%s %s", at ? "; " : "", parts[i].word,
                                   parts[i].value);
    if (!at) snprintf(out, cap, "not declared");
}

/* A card of ours that does not parse is our mistake: the row says so instead of hiding the model.
 */
static void fill(void)
{
    for (size_t i = 0; i + 1 < N; i++) {
        const source *s = &sources[i];
        embedded[i] = (mt_embedded){s->name, s->onnx, s->json, (size_t)(s->onnx_end - s->onnx),
                                    (size_t)(s->json_end - s->json)};
        mt_card card;
        mt_card_extra extra;
        mt_err err = MT_ERR_INIT;
        if (mt_card_parse(&card, &extra, (const char *)s->json, embedded[i].n_json, s->name,
                          s->name, &err) != MT_OK) {
            snprintf(summaries[i], sizeof summaries[i], "%.200s", err.text);
        } else {
            snprintf(versions[i], sizeof versions[i], "%s", card.version);
            snprintf(summaries[i], sizeof summaries[i], "%s",
                     *extra.summary ? extra.summary : card.intended_use);
            describe_scope(scopes[i], sizeof scopes[i], &card);
        }
        table[i] = (mt_builtin_model){s->name, versions[i], summaries[i], scopes[i]};
    }
}

const mt_builtin_model *mt_model_builtin(void)
{
    pthread_once(&once, fill);
    return table;
}

const mt_embedded *mt_builtin_find(const char *name_at_version)
{
    pthread_once(&once, fill);
    const char *at = strchr(name_at_version, '@');
    size_t n = at ? (size_t)(at - name_at_version) : strlen(name_at_version);
    for (size_t i = 0; i + 1 < N; i++)
        if (strlen(sources[i].name) == n && !strncmp(sources[i].name, name_at_version, n) &&
            (!at || !strcmp(at + 1, versions[i])))
            return &embedded[i];
    return NULL;
}
