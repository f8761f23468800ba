/* The data dictionary of PS3.6 (and the command set of PS3.7): tag, VRs, multiplicity, keyword,
 * name. Constant data, no start-up cost, any thread. Private tags are not in it: what a creator
 * means by them is another table, asked by creator and tag. */
#ifndef MT_DICOM_DICT_H
#define MT_DICOM_DICT_H

#include "dicom/tag.h"

typedef struct mt_dcm_entry {
    mt_dcm_tag tag; /* the one asked for, also where the row stands for a range (60xx,3000) */
    mt_vr vr[3];    /* 0 behind the last: "US or SS or OW" has three, items none */
    uint8_t vm_min, vm_max; /* number of values; vm_max 0: any */
    uint8_t vm_step;        /* ... in steps of: "2-2n" is 2, 0, 2 */
    bool retired;
    const char *keyword, *name; /* "PixelData", "Pixel Data" */
} mt_dcm_entry;

/* False when the standard knows no such element (private ones, and those of no group). Repeating
 * groups (50xx, 60xx, 7Fxx) and elements ((0020,31xx), (0028,04x0), (1010,xxxx)) are found by any
 * of their tags. */
bool mt_dcm_dict_find(mt_dcm_entry *out, mt_dcm_tag tag);

/* By exact keyword; a range answers with its lowest tag. */
bool mt_dcm_dict_keyword(mt_dcm_entry *out, const char *keyword);

/* The VR of an element whose stream does not say it (PS3.5 A.1): of two possible the one for
 * implicit little endian, so OW for pixel data and SS instead of US where `is_signed` (Pixel
 * Representation 1) decides; UL for group lengths, LO for private creators, UN for what is not
 * known. */
mt_vr mt_dcm_dict_vr(mt_dcm_tag tag, bool is_signed);

#endif
