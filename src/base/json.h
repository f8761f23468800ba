/* JSON: reading through jansson with limits, writing with a streaming printer. */
#ifndef MT_BASE_JSON_H
#define MT_BASE_JSON_H

#include <jansson.h>
#include "base/buf.h"

/* Parses text (strict, duplicate keys refused, at most ceiling bytes). *out is json_decref'd by the
 * caller. The error names `what`, line and column. */
MT_MUST_USE mt_status mt_json_parse(json_t **out, const char *text, size_t n, size_t ceiling,
                                    const char *what, mt_err *err);
MT_MUST_USE mt_status mt_json_load(json_t **out, const char *path, size_t ceiling, mt_err *err);
static inline void mt_json_unref(json_t **j) { json_decref(*j); *j = NULL; }

/* Typed getters on an object: the default when absent, false and an error when of another type. */
MT_MUST_USE mt_status mt_json_num(double *out, const json_t *obj, const char *key, double dflt, mt_err *err);
MT_MUST_USE mt_status mt_json_int(int64_t *out, const json_t *obj, const char *key, int64_t dflt, mt_err *err);
MT_MUST_USE mt_status mt_json_str(char *out, size_t cap, const json_t *obj, const char *key,
                                  const char *dflt, mt_err *err);
MT_MUST_USE mt_status mt_json_bool(int *out, const json_t *obj, const char *key, int dflt, mt_err *err);

/* Streaming printer into an mt_buf: commas and escapes are its business. Numbers are printed with the
 * fewest digits that read back the same, NaN and Inf as null. key is NULL inside arrays. indent 0 = compact. */
typedef struct mt_jw {
    mt_buf *b;
    int depth, indent;
    bool first[64];
} mt_jw;
void mt_jw_init(mt_jw *w, mt_buf *b, int indent);
void mt_jw_obj(mt_jw *w, const char *key);
void mt_jw_end_obj(mt_jw *w);
void mt_jw_arr(mt_jw *w, const char *key);
void mt_jw_end_arr(mt_jw *w);
void mt_jw_str(mt_jw *w, const char *key, const char *s);  /* NULL prints null; bad UTF-8 becomes U+FFFD */
void mt_jw_num(mt_jw *w, const char *key, double v);
void mt_jw_f32(mt_jw *w, const char *key, float v);        /* fewest digits that read back as this float */
void mt_jw_int(mt_jw *w, const char *key, int64_t v);
void mt_jw_bool(mt_jw *w, const char *key, int v);
void mt_jw_null(mt_jw *w, const char *key);
/* Shortest text of v that strtod (strtof) reads back, for other text formats. cap >= 32. */
void mt_fmt_f64(char *out, size_t cap, double v);
void mt_fmt_f32(char *out, size_t cap, float v);

#endif
