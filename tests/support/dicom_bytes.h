/* Numbers and element headers of a DICOM data set (PS3.5 7.1), for those who write one by hand: to wherever
 * `put` puts bytes. Knows the standard's long headers by itself, not by the reader that is tested. */
#ifndef MT_TEST_DICOM_BYTES_H
#define MT_TEST_DICOM_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct dcm_bytes {
    void (*put)(void *ctx, const void *p, size_t n);
    void *ctx;
    bool big, implicit;
} dcm_bytes;

static inline void dcm_number(const dcm_bytes *b, uint64_t v, unsigned width)
{
    uint8_t out[8];
    for (unsigned i = 0; i < width; i++) out[b->big ? width - 1 - i : i] = (uint8_t)(v >> 8 * i);
    b->put(b->ctx, out, width);
}

static inline void dcm_tag(const dcm_bytes *b, uint32_t tag)
{
    dcm_number(b, tag >> 16, 2);
    dcm_number(b, tag & 0xffff, 2);
}

static inline void dcm_head(const dcm_bytes *b, uint32_t tag, const char *vr, uint32_t length)
{
    dcm_tag(b, tag);
    if (b->implicit) {
        dcm_number(b, length, 4);
        return;
    }
    b->put(b->ctx, vr, 2);
    if (strstr("OB OD OF OL OV OW SQ SV UC UN UR UT UV", vr)) {
        dcm_number(b, 0, 2);
        dcm_number(b, length, 4);
    } else {
        dcm_number(b, length, 2);
    }
}

#endif
