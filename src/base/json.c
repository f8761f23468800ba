#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/file.h"

mt_status mt_json_parse(json_t **out, const char *text, size_t n, size_t ceiling, const char *what, mt_err *err)
{
    json_error_t je;
    *out = NULL;
    if (n > ceiling) return mt_err_set(err, MT_ERR_LIMIT, "%s: %zu bytes of JSON pass the ceiling of %zu", what, n, ceiling);
    *out = json_loadb(text, n, JSON_REJECT_DUPLICATES, &je);
    if (!*out) return mt_err_set(err, MT_ERR_FORMAT, "%s: line %d column %d: %s", what, je.line, je.column, je.text);
    return MT_OK;
}

mt_status mt_json_load(json_t **out, const char *path, size_t ceiling, mt_err *err)
{
    MT_AUTO_FREE uint8_t *data = NULL;
    size_t n;
    *out = NULL;
    MT_TRY(mt_file_read(&data, &n, path, ceiling, err));
    return mt_json_parse(out, (const char *)data, n, ceiling, mt_path_base(path), err);
}

static mt_status wrong(const char *key, const char *want, mt_err *err)
{
    return mt_err_set(err, MT_ERR_FORMAT, "key \"%s\": %s expected", key, want);
}

mt_status mt_json_num(double *out, const json_t *obj, const char *key, double dflt, mt_err *err)
{
    const json_t *v = json_object_get(obj, key);
    *out = dflt;
    if (!v) return MT_OK;
    if (!json_is_number(v)) return wrong(key, "a number", err);
    *out = json_number_value(v);
    return MT_OK;
}

mt_status mt_json_int(int64_t *out, const json_t *obj, const char *key, int64_t dflt, mt_err *err)
{
    const json_t *v = json_object_get(obj, key);
    *out = dflt;
    if (!v) return MT_OK;
    if (!json_is_integer(v)) return wrong(key, "an integer", err);
    *out = json_integer_value(v);
    return MT_OK;
}

mt_status mt_json_str(char *out, size_t cap, const json_t *obj, const char *key, const char *dflt, mt_err *err)
{
    const json_t *v = json_object_get(obj, key);
    if (v && !json_is_string(v)) return wrong(key, "a string", err);
    const char *s = v ? json_string_value(v) : dflt;
    size_t n = v ? json_string_length(v) : strlen(dflt);
    if (n >= cap || memchr(s, 0, n)) return mt_err_set(err, MT_ERR_FORMAT, "key \"%s\": text longer than %zu bytes", key, cap - 1);
    memcpy(out, s, n);
    out[n] = 0;
    return MT_OK;
}

mt_status mt_json_bool(int *out, const json_t *obj, const char *key, int dflt, mt_err *err)
{
    const json_t *v = json_object_get(obj, key);
    *out = dflt;
    if (!v) return MT_OK;
    if (!json_is_boolean(v)) return wrong(key, "true or false", err);
    *out = json_is_true(v);
    return MT_OK;
}

/* A decimal of up to 15 (6) digits survives the round trip, and %g drops its zeros: no need to start lower. */
void mt_fmt_f64(char *out, size_t cap, double v)
{
    for (int p = 15; p <= 17; p++) {
        snprintf(out, cap, "%.*g", p, v);
        if (strtod(out, NULL) == v) return;
    }
}

void mt_fmt_f32(char *out, size_t cap, float v)
{
    for (int p = 6; p <= 9; p++) {
        snprintf(out, cap, "%.*g", p, (double)v);
        if (strtof(out, NULL) == v) return;
    }
}

void mt_jw_init(mt_jw *w, mt_buf *b, int indent)
{
    memset(w, 0, sizeof *w);
    w->b = b;
    w->indent = indent;
    w->first[0] = true;
}

static void newline(mt_jw *w)
{
    if (!w->indent) return;
    static const char spaces[] = "                                                                ";
    mt_buf_append(w->b, "\n", 1);
    mt_buf_append(w->b, spaces, MT_MIN((size_t)(w->depth * w->indent), sizeof spaces - 1));
}

/* Length of the valid UTF-8 sequence at s (1..4), 0 when it is none. */
static int utf8_len(const unsigned char *s)
{
    if (s[0] < 0x80) return 1;
    int n = s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc2 ? 2 : 0;
    if (s[0] >= 0xf5) return 0;
    for (int i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) return 0;
    }
    if (n == 3 && ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f))) return 0;
    if (n == 4 && ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))) return 0;
    return n;
}

static void quoted(mt_buf *b, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    mt_buf_append(b, "\"", 1);
    while (*s) {
        int n = utf8_len(s);
        if (n == 0) {
            mt_buf_append(b, "\xef\xbf\xbd", 3);
            n = 1;
        } else if (*s == '"' || *s == '\\') {
            char e[2] = {'\\', (char)*s};
            mt_buf_append(b, e, 2);
        } else if (*s < 0x20 || *s == 0x7f) {
            mt_buf_printf(b, "\\u%04x", *s);
        } else {
            mt_buf_append(b, s, (size_t)n);
        }
        s += n;
    }
    mt_buf_append(b, "\"", 1);
}

static void before_value(mt_jw *w, const char *key)
{
    if (!w->first[w->depth]) mt_buf_append(w->b, ",", 1);
    w->first[w->depth] = false;
    if (w->depth > 0) newline(w);
    if (key) {
        quoted(w->b, key);
        mt_buf_append(w->b, w->indent ? ": " : ":", w->indent ? 2 : 1);
    }
}

static void open_level(mt_jw *w, const char *key, const char *bracket)
{
    before_value(w, key);
    mt_buf_append(w->b, bracket, 1);
    if (w->depth + 1 >= (int)MT_COUNT(w->first)) {
        w->b->failed = true;
        return;
    }
    w->first[++w->depth] = true;
}

static void close_level(mt_jw *w, const char *bracket)
{
    if (w->depth == 0) return;
    bool empty = w->first[w->depth];
    w->depth--;
    if (!empty) newline(w);
    mt_buf_append(w->b, bracket, 1);
}

void mt_jw_obj(mt_jw *w, const char *key) { open_level(w, key, "{"); }
void mt_jw_end_obj(mt_jw *w) { close_level(w, "}"); }
void mt_jw_arr(mt_jw *w, const char *key) { open_level(w, key, "["); }
void mt_jw_end_arr(mt_jw *w) { close_level(w, "]"); }

static void raw(mt_jw *w, const char *key, const char *text)
{
    before_value(w, key);
    mt_buf_append(w->b, text, strlen(text));
}

void mt_jw_str(mt_jw *w, const char *key, const char *s)
{
    if (!s) {
        raw(w, key, "null");
        return;
    }
    before_value(w, key);
    quoted(w->b, s);
}

void mt_jw_num(mt_jw *w, const char *key, double v)
{
    char t[40] = "null";
    if (isfinite(v)) mt_fmt_f64(t, sizeof t, v);
    raw(w, key, t);
}

void mt_jw_f32(mt_jw *w, const char *key, float v)
{
    char t[40] = "null";
    if (isfinite(v)) mt_fmt_f32(t, sizeof t, v);
    raw(w, key, t);
}

void mt_jw_int(mt_jw *w, const char *key, int64_t v)
{
    char t[32];
    snprintf(t, sizeof t, "%lld", (long long)v);
    raw(w, key, t);
}

void mt_jw_bool(mt_jw *w, const char *key, int v) { raw(w, key, v ? "true" : "false"); }
void mt_jw_null(mt_jw *w, const char *key) { raw(w, key, "null"); }
