/* What the value representations are like (PS3.5 table 6.2-1 and 7.1.2). */
#ifndef MT_DICOM_VR_H
#define MT_DICOM_VR_H

#include "dicom/tag.h"

/* How the explicit header of one is written. */
typedef enum mt_vr_shape {
    MT_VR_UNKNOWN, /* none of the standard's */
    MT_VR_SHORT,   /* 16 bit length */
    MT_VR_LONG     /* two bytes of nothing, 32 bit length */
} mt_vr_shape;

extern const uint8_t mt_vr_forms[26 * 26];
static inline mt_vr_shape mt_vr_form(mt_vr vr)
{
    const unsigned a = (unsigned)(vr >> 8) - 'A', b = (unsigned)(vr & 0xff) - 'A';
    return a < 26 && b < 26 ? (mt_vr_shape)mt_vr_forms[a * 26 + b] : MT_VR_UNKNOWN;
}

/* Bytes of one number of a binary VR; 0: it is text (or a sequence). */
unsigned mt_vr_width(mt_vr vr);

/* Text in the characters that Specific Character Set names: LO LT PN SH ST UC UT. */
bool mt_vr_is_text(mt_vr vr);

/* Text that is one value, whatever backslashes are in it: LT ST UR UT. */
bool mt_vr_is_single(mt_vr vr);

#endif
