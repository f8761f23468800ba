/* Data sets made by hand, byte for byte. */
#ifndef MT_TEST_UNIT_DICOM_MAKE_H
#define MT_TEST_UNIT_DICOM_MAKE_H

#include <stdio.h>
#include <string.h>
#include "dicom/read.h"
#include "dicom/vr.h"
#include "tests/support/dicom_bytes.h"

#define UNDEFINED MT_DCM_UNDEFINED

typedef struct made {
    uint8_t bytes[1 << 15];
    size_t n;
    bool big, implicit;
} made;

static inline void put(made *m, const void *p, size_t n)
{
    if (m->n + n > sizeof m->bytes) abort();
    if (n) memcpy(m->bytes + m->n, p, n);
    m->n += n;
}

static inline void put_to(void *m, const void *p, size_t n) { put(m, p, n); }

static inline dcm_bytes bytes_of(made *m) { return (dcm_bytes){put_to, m, m->big, m->implicit}; }

static inline void put_number(made *m, uint64_t v, unsigned width)
{
    const dcm_bytes b = bytes_of(m);
    dcm_number(&b, v, width);
}

static inline void put_tag(made *m, mt_dcm_tag tag)
{
    const dcm_bytes b = bytes_of(m);
    dcm_tag(&b, tag);
}

/* The header alone, with any length. */
static inline void head(made *m, mt_dcm_tag tag, const char *vr, uint32_t length)
{
    const dcm_bytes b = bytes_of(m);
    dcm_head(&b, tag, vr, length);
}

static inline void text(made *m, mt_dcm_tag tag, const char *vr, const char *value)
{
    head(m, tag, vr, (uint32_t)strlen(value));
    put(m, value, strlen(value));
}

static inline void number(made *m, mt_dcm_tag tag, const char *vr, uint64_t v)
{
    const unsigned width = mt_vr_width(MT_VR(vr[0], vr[1]));
    head(m, tag, vr, width);
    put_number(m, v, width);
}

static inline void item(made *m, uint32_t length)
{
    put_tag(m, 0xfffee000);
    put_number(m, length, 4);
}

static inline void item_end(made *m)
{
    put_tag(m, 0xfffee00d);
    put_number(m, 0, 4);
}

static inline void sequence_end(made *m)
{
    put_tag(m, 0xfffee0dd);
    put_number(m, 0, 4);
}

/* What the reader tells, as text: "e00100010:PN:4 ", "s", "i0", "I", "S", "p", "f0:2", "P", and at
 * an error "!" and its words. Offsets count from 0. `depth` is asserted to be what the nesting
 * says. */
static inline const char *story(const void *data, size_t n, mt_dcm_syntax syntax)
{
    static char out[1 << 16];
    size_t at = 0;
    int depth = 0;
    mt_dcm_reader *r = NULL;
    mt_err err = MT_ERR_INIT;
    out[0] = '\0';
    if (mt_dcm_reader_new(&r, data, n, syntax, 0, 0, &err) != MT_OK) {
        snprintf(out, sizeof out, "!%s", err.text);
        return out;
    }
    for (;;) {
        mt_dcm_element e;
        if (mt_dcm_next(&e, r, &err) != MT_OK) {
            snprintf(out + at, sizeof out - at, "!%s", err.text);
            break;
        }
        if (e.event == MT_DCM_END) break;
        depth += e.event == MT_DCM_ITEM;
        if (e.depth != depth) abort();
        depth -= e.event == MT_DCM_ITEM_END;
        const char letter = "esiISpfP"[e.event];
        int k;
        if (e.event == MT_DCM_ELEMENT || e.event == MT_DCM_SEQUENCE || e.event == MT_DCM_PIXELS)
            k = snprintf(out + at, sizeof out - at, "%c%08x:%c%c:%lld ", letter, (unsigned)e.tag,
                         e.vr >> 8, e.vr & 0xff,
                         e.length == UNDEFINED ? -1LL : (long long)e.length);
        else if (e.event == MT_DCM_FRAGMENT)
            k = snprintf(out + at, sizeof out - at, "f%u:%u ", (unsigned)e.item,
                         (unsigned)e.length);
        else if (e.event == MT_DCM_ITEM)
            k = snprintf(out + at, sizeof out - at, "i%u ", (unsigned)e.item);
        else
            k = snprintf(out + at, sizeof out - at, "%c ", letter);
        at += (size_t)k;
        if (at > sizeof out - 256) abort();
    }
    if (at && out[at - 1] == ' ' && !strchr(out, '!')) out[at - 1] = '\0';
    mt_dcm_reader_free(&r);
    return out;
}

#endif
