/* Inspection: where every native tile lies and what its bytes begin and end with, without decoding. */
#include <stdio.h>
#include <string.h>
#include "slide/format.h"

/* First bytes of a codec's stream; a tile that begins otherwise will not decode. */
typedef struct signature {
    const char *codec;
    const char *bytes;
    size_t n;
} signature;

static const signature signatures[] = {
    {"jpeg", "\xff\xd8", 2},
    {"jpegls", "\xff\xd8", 2},
    {"jp2k", "\xff\x4f\xff\x51", 4},
    {"jp2k", "\0\0\0\x0cjP  \r\n\x87\n", 12}, /* in its box file */
    {"zstd", "\x28\xb5\x2f\xfd", 4},
};

/* True when the codec has no signature or the bytes carry one of its own. */
static bool begins_well(const char *codec, const mt_tile_span *t)
{
    bool known = false;
    for (size_t i = 0; i < MT_COUNT(signatures); i++) {
        const signature *s = &signatures[i];
        if (strcmp(s->codec, codec)) continue;
        known = true;
        if (t->size >= s->n && !memcmp(t->data, s->bytes, s->n)) return true;
    }
    /* zlib: method 8 and a header that 31 divides (RFC 1950, 2.2). */
    if (!strcmp(codec, "deflate"))
        return t->size >= 2 && (t->data[0] & 15) == 8 && (t->data[0] * 256 + t->data[1]) % 31 == 0;
    return !known;
}

/* A JPEG or JPEG 2000 stream ends with FF D9; writers pad it to an even or aligned length. A stream
 * without it was cut short: it may still decode, with grey at its end. */
static bool ends_well(const char *codec, const mt_tile_span *t)
{
    enum { PADDING = 64 };
    if (strcmp(codec, "jpeg") && strcmp(codec, "jpegls")) return true;
    for (size_t i = 0; i < PADDING && i + 2 <= t->size; i++)
        if (t->data[t->size - i - 2] == 0xff && t->data[t->size - i - 1] == 0xd9) return true;
    return false;
}

static void warn(mt_slide_inspection *out, const char *text)
{
    if (out->n_warnings == MT_MAX_SLIDE_WARNINGS) return;
    snprintf(out->warnings[out->n_warnings++], sizeof out->warnings[0], "%s", text);
}

static void inspect_level(mt_slide_inspection *out, const mt_slide *s, int level)
{
    const mt_level *l = &s->info.levels[level];
    const long long total = (long long)(l->tiles_x * l->tiles_y);
    int64_t unended = 0;
    char first_damaged[140] = "", first_unended[48] = "", text[sizeof out->warnings[0]];
    out->levels[level].absent = out->levels[level].damaged = 0;
    for (int64_t ty = 0; ty < l->tiles_y; ty++)
        for (int64_t tx = 0; tx < l->tiles_x; tx++) {
            mt_err why = MT_ERR_INIT;
            mt_tile_span t;
            const mt_status st = s->ops->span(&t, s, level, tx, ty, &why);
            if (st == MT_ERR_UNSUPPORTED) { /* tiles that are no single streams: cannot tell */
                out->levels[level].absent = out->levels[level].damaged = -1;
                return;
            }
            if (st == MT_OK && !t.size) {
                out->levels[level].absent++;
                continue;
            }
            if (st == MT_OK && !begins_well(l->codec, &t))
                (void)mt_err_set(&why, MT_ERR_FORMAT, "does not begin as %s does", l->codec);
            if (why.code != MT_OK && !out->levels[level].damaged++)
                snprintf(first_damaged, sizeof first_damaged, "%lld,%lld: %.70s", (long long)tx,
                         (long long)ty, why.text);
            if (why.code == MT_OK && !ends_well(l->codec, &t) && !unended++)
                snprintf(first_unended, sizeof first_unended, "%lld,%lld", (long long)tx,
                         (long long)ty);
        }
    if (out->levels[level].damaged) {
        snprintf(text, sizeof text, "level %d: %lld of %lld tiles damaged, the first %.100s", level,
                 (long long)out->levels[level].damaged, total, first_damaged);
        warn(out, text);
    }
    if (unended) {
        snprintf(text, sizeof text,
                 "level %d: %lld of %lld tiles cut short (no end marker), the first %s", level,
                 (long long)unended, total, first_unended);
        warn(out, text);
    }
}

mt_status mt_slide_inspect(mt_slide_inspection *out, const mt_slide *slide, mt_err *err)
{
    memset(out, 0, sizeof *out);
    for (int i = 0; i < MT_MAX_LEVELS; i++) out->levels[i].absent = out->levels[i].damaged = -1;
    if (!slide->ops->span) return MT_OK;
    for (int i = 0; i < slide->info.n_levels; i++) inspect_level(out, slide, i);
    return mt_slide_check(slide, err);
}
