/* From the bytes of a value to numbers and words. */
#include <ctype.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include "dicom/dict.h"
#include "dicom/read.h"
#include "dicom/vr.h"

static mt_dcm_text nothing(void)
{
    return (mt_dcm_text){NULL, 0};
}
static bool is_padding(char c)
{
    return c == ' ' || c == '\0';
}

size_t mt_dcm_count(const mt_dcm_element *e)
{
    if (e->event != MT_DCM_ELEMENT || e->vr == MT_VR('S', 'Q') || !e->length) return 0;
    const unsigned width = mt_vr_width(e->vr);
    if (width) return (size_t)e->length / width;
    if (mt_vr_is_single(e->vr)) return 1;
    size_t n = 1;
    const uint8_t *p = e->value, *end = p + e->length;
    while ((p = memchr(p, '\\', (size_t)(end - p))))
        p++, n++;
    return n;
}

mt_dcm_text mt_dcm_string(const mt_dcm_element *e, size_t i)
{
    if ((e->event != MT_DCM_ELEMENT && e->event != MT_DCM_FRAGMENT) || mt_vr_width(e->vr) ||
        !e->length)
        return nothing();
    const char *p = (const char *)e->value, *end = p + e->length, *stop = end;
    const bool single = mt_vr_is_single(e->vr);
    if (single && i) return nothing();
    for (; !single; p = stop + 1, i--) {
        stop = memchr(p, '\\', (size_t)(end - p));
        if (!stop && i) return nothing();
        if (!stop) stop = end;
        if (!i) break;
    }
    while (stop > p && is_padding(stop[-1]))
        stop--;
    while (!single && p < stop && is_padding(*p))
        p++;
    return (mt_dcm_text){p, (size_t)(stop - p)};
}

/* ---- Numbers ---- */

static uint64_t raw_bits(const mt_dcm_element *e, size_t i, unsigned width)
{
    uint64_t v = 0;
    const uint8_t *p = e->value + i * width;
    for (unsigned k = 0; k < width; k++)
        v = v << 8 | p[e->big ? k : width - 1 - k];
    return v;
}

static pthread_once_t locale_once = PTHREAD_ONCE_INIT;
static locale_t c_locale;
static void make_locale(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

/* A decimal string whole: sign, digits, point, exponent. Up to 19 digits and powers of ten that a
 * double holds exactly are one multiplication, correctly rounded; the rest goes to the library. */
static bool parse_decimal(double *out, mt_dcm_text t)
{
    static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                  1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                  1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (t.n == 0 || t.n > 120) return false;
    const char *p = t.p, *end = t.p + t.n;
    const bool minus = *p == '-';
    p += minus || *p == '+';
    uint64_t mantissa = 0;
    int digits = 0, seen = 0, scale = 0, exponent = 0;
    bool point = false;
    for (; p < end && (isdigit((unsigned char)*p) || (*p == '.' && !point)); p++) {
        if (*p == '.') {
            point = true;
            continue;
        }
        seen++;
        scale -= point;
        if (mantissa || *p != '0') digits++;
        if (digits <= 19) mantissa = mantissa * 10 + (uint64_t)(*p - '0');
    }
    if (!seen) return false;
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        const bool down = p < end && *p == '-';
        p += p < end && (*p == '-' || *p == '+');
        if (p == end) return false;
        for (; p < end && isdigit((unsigned char)*p); p++)
            exponent = exponent < 9999 ? exponent * 10 + *p - '0' : exponent;
        if (down) exponent = -exponent;
    }
    if (p != end) return false;
    scale += exponent;
    if (digits <= 19 && mantissa < (uint64_t)1 << 53 && scale >= -22 && scale <= 22) {
        const double m = (double)mantissa, v = scale < 0 ? m / tens[-scale] : m * tens[scale];
        *out = minus ? -v : v;
        return true;
    }
    char copy[128];
    memcpy(copy, t.p, t.n);
    copy[t.n] = '\0';
    pthread_once(&locale_once, make_locale);
    if (!c_locale) return false;
    *out = strtod_l(copy, NULL, c_locale);
    return isfinite(*out);
}

static bool parse_integer(int64_t *out, mt_dcm_text t)
{
    const bool minus = t.n && *t.p == '-';
    const size_t from = t.n && (*t.p == '-' || *t.p == '+');
    if (t.n == from || t.n - from > 19) return false;
    uint64_t v = 0;
    for (size_t i = from; i < t.n; i++) {
        if (!isdigit((unsigned char)t.p[i])) return false;
        v = v * 10 + (uint64_t)(t.p[i] - '0'); /* 19 digits fit */
    }
    if (v > (uint64_t)INT64_MAX) return false;
    *out = minus ? -(int64_t)v : (int64_t)v;
    return true;
}

static bool whole_number(int64_t *out, double v)
{
    if (!(v >= -0x1p63 && v < 0x1p63) || v != nearbyint(v)) return false;
    *out = (int64_t)v;
    return true;
}

static bool is_numeric_text(mt_vr vr)
{
    return vr == MT_VR('I', 'S') || vr == MT_VR('D', 'S');
}

/* A binary number as a double and, where it is an integer that fits, as one. */
static bool binary(int64_t *whole, double *real, bool *is_whole, const mt_dcm_element *e, size_t i)
{
    const unsigned width = mt_vr_width(e->vr);
    if (e->event != MT_DCM_ELEMENT || !width || i >= e->length / width) return false;
    const uint64_t bits = raw_bits(e, i, width);
    *is_whole = true;
    switch (e->vr) {
    case MT_VR('F', 'L'):
    case MT_VR('O', 'F'): {
        const uint32_t low = (uint32_t)bits;
        float f;
        memcpy(&f, &low, 4);
        *real = (double)f;
        *is_whole = false;
        return true;
    }
    case MT_VR('F', 'D'):
    case MT_VR('O', 'D'):
        memcpy(real, &bits, 8);
        *is_whole = false;
        return true;
    case MT_VR('A', 'T'): /* two numbers of 16 bits, the group first in either order */
        *whole = (int64_t)(e->big ? bits : (bits >> 16 | (bits & 0xffff) << 16));
        break;
    case MT_VR('S', 'S'):
        *whole = (int16_t)bits;
        break;
    case MT_VR('S', 'L'):
        *whole = (int32_t)bits;
        break;
    default:
        *whole = (int64_t)bits;
        if (e->vr != MT_VR('S', 'V') && bits > INT64_MAX) {
            *real = (double)bits;
            *is_whole = false;
            return true;
        }
    }
    *real = (double)*whole;
    return true;
}

bool mt_dcm_number(double *out, const mt_dcm_element *e, size_t i)
{
    if (is_numeric_text(e->vr)) return parse_decimal(out, mt_dcm_string(e, i));
    int64_t whole;
    bool is_whole;
    return binary(&whole, out, &is_whole, e, i);
}

bool mt_dcm_int(int64_t *out, const mt_dcm_element *e, size_t i)
{
    double real;
    bool is_whole;
    if (is_numeric_text(e->vr)) {
        const mt_dcm_text t = mt_dcm_string(e, i);
        return parse_integer(out, t) || (parse_decimal(&real, t) && whole_number(out, real));
    }
    if (!binary(out, &real, &is_whole, e, i)) return false;
    return is_whole || whole_number(out, real);
}

/* ---- Words ---- */

void mt_dcm_copy(char *out, size_t room, const mt_dcm_element *e, size_t i)
{
    const mt_dcm_text t = mt_dcm_string(e, i);
    size_t n = 0;
    for (; room && n < t.n && n < room - 1; n++)
        out[n] = t.p[n] < ' ' || t.p[n] == 0x7f ? '?' : t.p[n];
    if (room) out[n] = '\0';
}

bool mt_dcm_equals(const mt_dcm_element *e, size_t i, const char *word)
{
    const mt_dcm_text t = mt_dcm_string(e, i);
    return t.p && strlen(word) == t.n && !memcmp(t.p, word, t.n);
}

const char *mt_dcm_tag_name(char room[64], mt_dcm_tag tag)
{
    mt_dcm_entry known;
    const bool found = mt_dcm_dict_find(&known, tag);
    snprintf(room, 64, "(%04X,%04X)%s%.50s", (unsigned)(tag >> 16), (unsigned)(tag & 0xffff),
             found ? " " : "", found ? known.name : "");
    return room;
}
