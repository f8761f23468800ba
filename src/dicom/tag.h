/* The words of DICOM that every file of this room speaks: tags and value representations. */
#ifndef MT_DICOM_TAG_H
#define MT_DICOM_TAG_H

#include <stdbool.h>
#include <stdint.h>

/* Group in the high half, element in the low one. */
typedef uint32_t mt_dcm_tag;
#define MT_DCM_TAG(group, element) ((mt_dcm_tag)(group) << 16 | (element))

/* The two letters as a number: MT_VR('P', 'N'). */
typedef uint16_t mt_vr;
#define MT_VR(a, b) ((mt_vr)((a) << 8 | (b)))

/* Odd groups are private (PS3.5 7.8.1); elements 10 to FF of one name the creators of its
 * blocks. */
static inline bool mt_dcm_is_private(mt_dcm_tag tag)
{
    return tag >> 16 & 1;
}
static inline bool mt_dcm_is_creator(mt_dcm_tag tag)
{
    return mt_dcm_is_private(tag) && (tag & 0xffff) >= 0x10 && (tag & 0xffff) <= 0xff;
}

#endif
