#include "dicom/charset.h"

#include <ctype.h>
#include <iconv.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include "dicom/vr.h"

/* ---- The sets ---- */

// clang-format off
typedef enum set_id {
    /* for bytes below 0x80: G0 */
    ASCII, ROMAJI, KANJI, KANJI_SUPPLEMENT,
    /* above: G1 */
    NO_HIGH, KATAKANA, LATIN1, LATIN2, LATIN3, LATIN4, CYRILLIC, ARABIC, GREEK, HEBREW, LATIN5,
    LATIN9, THAI, KOREAN, CHINESE,
    /* alone; the four-byte half of GB18030 has its own table */
    GBK, GB18030, GB18030_FOUR, UTF8,
    SETS
} set_id;
// clang-format on

/* How iconv writes the characters of a set, so that it can be asked for all of them. */
static const struct {
    const char *iconv_name;
    enum { NO_TABLE, ONE, TWO, TWO_OF_0212, TWO_GBK, FOUR } shape;
    size_t entries;
} sets[SETS] = {
    [KANJI] = {"EUC-JP", TWO, 94 * 94},
    [KANJI_SUPPLEMENT] = {"EUC-JP", TWO_OF_0212, 94 * 94},
    [LATIN1] = {"ISO-8859-1", ONE, 128},
    [LATIN2] = {"ISO-8859-2", ONE, 128},
    [LATIN3] = {"ISO-8859-3", ONE, 128},
    [LATIN4] = {"ISO-8859-4", ONE, 128},
    [CYRILLIC] = {"ISO-8859-5", ONE, 128},
    [ARABIC] = {"ISO-8859-6", ONE, 128},
    [GREEK] = {"ISO-8859-7", ONE, 128},
    [HEBREW] = {"ISO-8859-8", ONE, 128},
    [LATIN5] = {"ISO-8859-9", ONE, 128},
    [LATIN9] = {"ISO-8859-15", ONE, 128},
    [THAI] = {"TIS-620", ONE, 128},
    [KOREAN] = {"EUC-KR", TWO, 94 * 94},
    [CHINESE] = {"EUC-CN", TWO, 94 * 94},
    [GBK] = {"GBK", TWO_GBK, 126 * 191},
    [GB18030] = {"GB18030", TWO_GBK, 126 * 191},
    [GB18030_FOUR] = {"GB18030", FOUR, 39420}, /* all of them below U+10000 */
};

// clang-format off
/* PS3.3 tables C.12-2 to C.12-5: the defined term reduced to capitals and digits, behind "ISOIR" or
 * "ISO2022IR". */
static const struct {
    const char *term;
    uint8_t g0, g1, alone;
} terms[] = {
    {"6", ASCII, NO_HIGH, 0},    {"100", ASCII, LATIN1, 0},   {"101", ASCII, LATIN2, 0},
    {"109", ASCII, LATIN3, 0},   {"110", ASCII, LATIN4, 0},   {"144", ASCII, CYRILLIC, 0},
    {"127", ASCII, ARABIC, 0},   {"126", ASCII, GREEK, 0},    {"138", ASCII, HEBREW, 0},
    {"148", ASCII, LATIN5, 0},   {"203", ASCII, LATIN9, 0},   {"166", ASCII, THAI, 0},
    {"13", ROMAJI, KATAKANA, 0}, {"14", ROMAJI, NO_HIGH, 0},  {"87", ASCII, NO_HIGH, 0},
    {"159", ASCII, NO_HIGH, 0},  {"149", ASCII, KOREAN, 0},   {"58", ASCII, CHINESE, 0},
    {"192", ASCII, NO_HIGH, UTF8},        {"UTF8", ASCII, NO_HIGH, UTF8},
    {"GB18030", ASCII, NO_HIGH, GB18030}, {"GBK", ASCII, NO_HIGH, GBK},
};
// clang-format on

// clang-format off
/* What an escape sequence puts where. ESC $ @ is the edition of 1978 of what ESC $ B is. */
static const struct {
    const char *bytes;
    bool high;
    uint8_t set;
} escapes[] = {
    {"(B", false, ASCII},  {"(J", false, ROMAJI}, {"$B", false, KANJI},
    {"$@", false, KANJI},  {"$(D", false, KANJI_SUPPLEMENT},
    {")I", true, KATAKANA},{"-A", true, LATIN1},  {"-B", true, LATIN2},  {"-C", true, LATIN3},
    {"-D", true, LATIN4},  {"-L", true, CYRILLIC},{"-G", true, ARABIC},  {"-F", true, GREEK},
    {"-H", true, HEBREW},  {"-M", true, LATIN5},  {"-b", true, LATIN9},  {"-T", true, THAI},
    {"$)C", true, KOREAN}, {"$)A", true, CHINESE},
};
// clang-format on

/* ---- Tables ---- */

static size_t write_entry(uint8_t *p, set_id id, size_t i)
{
    const uint8_t row = (uint8_t)(0xa1 + i / 94), cell = (uint8_t)(0xa1 + i % 94);
    switch (sets[id].shape) {
    case ONE:
        p[0] = (uint8_t)(0x80 + i);
        return 1;
    case TWO:
        p[0] = row, p[1] = cell;
        return 2;
    case TWO_OF_0212:
        p[0] = 0x8f, p[1] = row, p[2] = cell;
        return 3;
    case TWO_GBK:
        p[0] = (uint8_t)(0x81 + i / 191), p[1] = (uint8_t)(0x40 + i % 191);
        return 2;
    default:
        p[0] = (uint8_t)(0x81 + i / 12600), p[1] = (uint8_t)(0x30 + i / 1260 % 10);
        p[2] = (uint8_t)(0x81 + i / 10 % 126), p[3] = (uint8_t)(0x30 + i % 10);
        return 4;
    }
}

/* Code points of a set, 0 where it has none; all 0 when this system's iconv does not know it. */
static uint16_t *make_table(set_id id)
{
    uint16_t *t = calloc(sets[id].entries, sizeof *t);
    if (!t) return NULL;
    iconv_t cd = iconv_open("UTF-16LE", sets[id].iconv_name);
    for (size_t i = 0; cd != (iconv_t)-1 && i < sets[id].entries; i++) {
        uint8_t in[4], out[8];
        char *from = (char *)in, *to = (char *)out;
        size_t left = write_entry(in, id, i), room = sizeof out;
        iconv(cd, NULL, NULL, NULL, NULL);
        const bool whole = iconv(cd, &from, &left, &to, &room) == 0 && left == 0;
        if (whole && room == sizeof out - 2) t[i] = (uint16_t)(out[0] | out[1] << 8);
    }
    if (cd != (iconv_t)-1) iconv_close(cd);
    return t;
}

/* Made once, by whoever asks first, and kept for the life of the process. NULL when memory has run
 * out. */
static const uint16_t *table_of(set_id id)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static _Atomic(uint16_t *) tables[SETS];
    uint16_t *t = atomic_load_explicit(&tables[id], memory_order_acquire);
    if (t) return t;
    pthread_mutex_lock(&lock);
    t = atomic_load_explicit(&tables[id], memory_order_relaxed);
    if (!t) t = make_table(id);
    atomic_store_explicit(&tables[id], t, memory_order_release);
    pthread_mutex_unlock(&lock);
    return t;
}

/* ---- Which set ---- */

static bool term_is(const mt_dcm_text t, size_t *row)
{
    char word[24];
    size_t n = 0;
    for (size_t i = 0; i < t.n; i++)
        if (isalnum((unsigned char)t.p[i])) {
            if (n == sizeof word - 1) return false;
            word[n++] = (char)toupper((unsigned char)t.p[i]);
        }
    word[n] = '\0';
    const char *rest = word;
    if (!strncmp(rest, "ISO", 3)) rest += 3;
    if (!strncmp(rest, "2022", 4)) rest += 4;
    if (!strncmp(rest, "IR", 2)) rest += 2;
    for (*row = 0; *row < MT_COUNT(terms); ++*row)
        if (!strcmp(rest, terms[*row].term)) return true;
    return false;
}

mt_dcm_charset mt_dcm_charset_of(const mt_dcm_element *e)
{
    mt_dcm_charset out = {0, ASCII, NO_HIGH, 0};
    const size_t n = mt_dcm_count(e);
    for (size_t i = 0; i < n; i++) {
        const mt_dcm_text t = mt_dcm_string(e, i);
        size_t row;
        if (!t.n) continue; /* an empty first value is the default */
        if (!term_is(t, &row))
            out.unknown += out.unknown < UINT8_MAX;
        else if (i == 0)
            out = (mt_dcm_charset){terms[row].alone, terms[row].g0, terms[row].g1, out.unknown};
        if (i > 255) break;
    }
    return out;
}

const mt_dcm_charset *mt_dcm_charsets_follow(mt_dcm_charsets *sets_at, const mt_dcm_element *e)
{
    mt_dcm_charset *here = &sets_at->at[MT_MIN(MT_MAX(e->depth, 0), MT_DCM_MAX_DEPTH)];
    if (e->event == MT_DCM_ITEM && e->depth > 0) *here = here[-1];
    if (e->event == MT_DCM_ELEMENT && e->tag == 0x00080005) *here = mt_dcm_charset_of(e);
    return here;
}

/* ---- Bytes to code points ---- */

#define NO_CHARACTER UINT32_MAX /* an escape sequence */
#define WRONG (UINT32_MAX - 1)

typedef struct state {
    const mt_dcm_charset *set;
    uint8_t g0, g1;
} state;

static void reset(state *s)
{
    s->g0 = s->set->g0;
    s->g1 = s->set->g1 ? s->set->g1 : NO_HIGH;
}

static uint32_t look_up(set_id id, size_t i)
{
    const uint16_t *t = i < sets[id].entries ? table_of(id) : NULL;
    return t && t[i] ? t[i] : WRONG;
}

/* Every step takes at least one byte and says how many; p < end. */
static size_t step_utf8(uint32_t *out, const uint8_t *p, const uint8_t *end)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    *out = WRONG;
    const size_t n = *p < 0x80                 ? 1
                     : *p >= 0xf0 && *p < 0xf5 ? 4
                     : *p >= 0xe0 && *p < 0xf0 ? 3
                     : *p >= 0xc2 && *p < 0xe0 ? 2
                                               : 0;
    if (n == 0) return 1;
    uint32_t v = n == 1 ? *p : *p & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if (p + i == end || (p[i] & 0xc0) != 0x80) return i;
        const uint32_t next = v << 6 | (p[i] & 0x3f);
        /* the second byte shows what is too long, a surrogate or beyond the last plane: then only
         * the first counts */
        if (i == 1 && n > 2 &&
            ((next << 6 * (n - 2)) < least[n] || next << 6 * (n - 2) > 0x10ffff ||
             (n == 3 && next >= 0xd800 >> 6 && next <= 0xdfff >> 6)))
            return 1;
        v = next;
    }
    *out = v;
    return n;
}

static size_t step_gb(uint32_t *out, set_id id, const uint8_t *p, const uint8_t *end)
{
    const size_t left = (size_t)(end - p);
    *out = *p < 0x80 ? *p : WRONG;
    if (*p <= 0x80 || *p == 0xff || left < 2) return 1;
    if (p[1] >= 0x40 && p[1] <= 0xfe && p[1] != 0x7f) {
        *out = look_up(id, (size_t)(p[0] - 0x81) * 191 + (size_t)(p[1] - 0x40));
        return 2;
    }
    if (id == GBK || left < 4 || p[1] < 0x30 || p[1] > 0x39 || p[2] < 0x81 || p[2] > 0xfe ||
        p[3] < 0x30 || p[3] > 0x39)
        return 1;
    const uint32_t n =
        (uint32_t)((p[0] - 0x81) * 12600 + (p[1] - 0x30) * 1260 + (p[2] - 0x81) * 10 + p[3] - 0x30);
    if (n >= 189000 && n < 189000 + 0x100000)
        *out = 0x10000 + n - 189000;
    else
        *out = look_up(GB18030_FOUR, n);
    return 4;
}

static size_t step_escape(uint32_t *out, state *s, const uint8_t *p, const uint8_t *end)
{
    for (size_t i = 0; i < MT_COUNT(escapes); i++) {
        const size_t n = strlen(escapes[i].bytes);
        if ((size_t)(end - p) <= n || memcmp(p + 1, escapes[i].bytes, n)) continue;
        if (escapes[i].high)
            s->g1 = escapes[i].set;
        else
            s->g0 = escapes[i].set;
        *out = NO_CHARACTER;
        return n + 1;
    }
    *out = WRONG;
    return 1;
}

/* Two bytes of a 94 x 94 set, counted from 0x21 or 0xa1 alike. */
static size_t step_two(uint32_t *out, set_id id, const uint8_t *p, const uint8_t *end)
{
    const unsigned row = (p[0] & 0x7fu) - 0x21u;
    *out = WRONG;
    if (end - p < 2 || row > 93 || (p[1] & 0x80) != (p[0] & 0x80)) return 1;
    const unsigned cell = (p[1] & 0x7fu) - 0x21u;
    if (cell > 93) return 1;
    *out = look_up(id, row * 94 + cell);
    return 2;
}

static size_t step(uint32_t *out, state *s, const uint8_t *p, const uint8_t *end)
{
    const uint8_t b = *p;
    switch (s->set->alone) {
    case UTF8:
        return step_utf8(out, p, end);
    case GBK:
    case GB18030:
        return step_gb(out, s->set->alone, p, end);
    default:
        break;
    }
    if (b == 0x1b) return step_escape(out, s, p, end);
    if (b <= 0x20 || b == 0x7f) {
        *out = b;
        return 1;
    }
    if (b < 0x80) {
        if (s->g0 == KANJI || s->g0 == KANJI_SUPPLEMENT) return step_two(out, s->g0, p, end);
        *out = s->g0 == ROMAJI && b == '\\' ? 0xa5 : s->g0 == ROMAJI && b == '~' ? 0x203e : b;
        return 1;
    }
    if (s->g1 == KOREAN || s->g1 == CHINESE) return step_two(out, s->g1, p, end);
    if (s->g1 == KATAKANA)
        *out = b >= 0xa1 && b <= 0xdf ? 0xff61u + b - 0xa1u : WRONG;
    else
        *out = s->g1 == NO_HIGH || b < 0xa0
                   ? WRONG
                   : look_up(s->g1, b - 0x80u); /* no C1 controls, PS3.5 6.1.3 */
    return 1;
}

/* PS3.5 6.1.2.5.3: what ends a run of other sets. `n` tells a backslash from half a character. */
static bool ends_run(mt_vr vr, const uint8_t *p, size_t n)
{
    if (n != 1) return false;
    if (*p < 0x20 && *p != 0x1b) return true;
    if (*p == '\\') return !mt_vr_is_single(vr);
    return vr == MT_VR('P', 'N') && (*p == '^' || *p == '=');
}

static size_t put_utf8(uint8_t *to, uint32_t c)
{
    if (c < 0x80) return to[0] = (uint8_t)c, 1;
    if (c < 0x800) return to[0] = (uint8_t)(0xc0 | c >> 6), to[1] = (uint8_t)(0x80 | (c & 0x3f)), 2;
    if (c < 0x10000) {
        to[0] = (uint8_t)(0xe0 | c >> 12), to[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f)),
        to[2] = (uint8_t)(0x80 | (c & 0x3f));
        return 3;
    }
    to[0] = (uint8_t)(0xf0 | c >> 18), to[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
    to[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f)), to[3] = (uint8_t)(0x80 | (c & 0x3f));
    return 4;
}

/* The next character of [*p, end), past escape sequences: U+FFFD, and the bytes counted, where
 * there is none. NO_CHARACTER at the end. */
static uint32_t next_character(state *s, mt_vr vr, const uint8_t **p, const uint8_t *end,
                               size_t *wrong)
{
    uint32_t c = NO_CHARACTER;
    while (c == NO_CHARACTER && *p < end) {
        const size_t used = step(&c, s, *p, end);
        if (c == WRONG) *wrong += used;
        if (ends_run(vr, *p, used)) reset(s);
        *p += used;
    }
    return c == WRONG ? 0xfffd : c;
}

size_t mt_dcm_decode(mt_buf *out, const mt_dcm_charset *set, mt_vr vr, const void *text, size_t n)
{
    state s = {.set = set};
    const uint8_t *p = text, *end = n ? p + n : p;
    size_t wrong = 0;
    uint32_t c;
    reset(&s);
    while ((c = next_character(&s, vr, &p, end, &wrong)) != NO_CHARACTER) {
        uint8_t utf8[4];
        mt_buf_append(out, utf8, put_utf8(utf8, c));
    }
    return wrong;
}

/* ---- Values ---- */

/* Goes to the end of the value that begins at p: a backslash that is no half of anything, or the
 * end of all. */
static const uint8_t *value_end(const mt_dcm_charset *set, mt_vr vr, const uint8_t *p,
                                const uint8_t *end)
{
    state s = {.set = set};
    reset(&s);
    while (p < end) {
        uint32_t c;
        const size_t used = step(&c, &s, p, end);
        if (used == 1 && *p == '\\') return p;
        if (ends_run(vr, p, used)) reset(&s);
        p += used;
    }
    return end;
}

static bool needs_care(const mt_dcm_charset *set, const mt_dcm_element *e)
{
    if (e->event != MT_DCM_ELEMENT || !mt_vr_is_text(e->vr) || mt_vr_is_single(e->vr) || !e->length)
        return false;
    return set->alone == GBK || set->alone == GB18030 || memchr(e->value, 0x1b, (size_t)e->length);
}

mt_dcm_text mt_dcm_charset_value(const mt_dcm_charset *set, const mt_dcm_element *e, size_t i)
{
    if (!needs_care(set, e)) return mt_dcm_string(e, i);
    const uint8_t *p = e->value, *end = p + e->length, *stop = value_end(set, e->vr, p, end);
    for (; i; i--) {
        if (stop == end) return (mt_dcm_text){NULL, 0};
        p = stop + 1;
        stop = value_end(set, e->vr, p, end);
    }
    while (stop > p && (stop[-1] == ' ' || !stop[-1]))
        stop--;
    while (p < stop && (*p == ' ' || !*p))
        p++;
    return (mt_dcm_text){(const char *)p, (size_t)(stop - p)};
}

size_t mt_dcm_charset_count(const mt_dcm_charset *set, const mt_dcm_element *e)
{
    if (!needs_care(set, e)) return mt_dcm_count(e);
    const uint8_t *p = e->value, *end = p + e->length;
    for (size_t n = 1;; n++) {
        p = value_end(set, e->vr, p, end);
        if (p++ == end) return n;
    }
}

size_t mt_dcm_utf8(char *out, size_t room, const mt_dcm_charset *set, const mt_dcm_element *e,
                   size_t i)
{
    static const mt_dcm_charset plain = {0, ASCII, NO_HIGH, 0};
    const mt_dcm_charset *in = mt_vr_is_text(e->vr) ? set : &plain;
    const mt_dcm_text t = mt_dcm_charset_value(in, e, i);
    state s = {.set = in};
    const uint8_t *p = (const uint8_t *)t.p, *end = t.n ? p + t.n : p;
    size_t wrong = 0, n = 0;
    uint32_t c;
    reset(&s);
    while ((c = next_character(&s, e->vr, &p, end, &wrong)) != NO_CHARACTER) {
        uint8_t utf8[4];
        const size_t k = put_utf8(utf8, c < 0x20 || (c >= 0x7f && c < 0xa0) ? ' ' : c);
        if (n + k >= room) break;
        memcpy(out + n, utf8, k);
        n += k;
    }
    if (room) out[n] = '\0';
    return wrong;
}
