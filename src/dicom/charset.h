/* Text of DICOM to UTF-8: Specific Character Set (0008,0005), PS3.3 C.12.1.1.2 and PS3.5 6.1.
 *
 * One-byte sets, the Japanese, Korean and Chinese two-byte sets with their ISO 2022 escape
 * sequences, and the three that stand alone (UTF-8, GB18030, GBK). What a set cannot mean becomes
 * U+FFFD and is counted. Escape sequences are followed whether (0008,0005) declares their set or
 * not: writers forget to. All is safe from any thread. */
#ifndef MT_DICOM_CHARSET_H
#define MT_DICOM_CHARSET_H

#include "base/buf.h"
#include "dicom/read.h"

/* A plain value. Zero is the default repertoire, ASCII. */
typedef struct mt_dcm_charset {
    uint8_t alone;   /* a set without escape sequences; private */
    uint8_t g0, g1;  /* what bytes below and above 0x80 mean where a value begins; private */
    uint8_t unknown; /* values of (0008,0005) that name no set; they count as the default */
} mt_dcm_charset;

/* The meaning of (0008,0005). Spellings that occur in the wild are taken: "ISO-IR 100",
 * "ISO_IR_100", "UTF-8". */
mt_dcm_charset mt_dcm_charset_of(const mt_dcm_element *e);

/* A set holds for its item and for those inside it that name none of their own: hand every event of
 * a reader (zeroed at its start) to follow, in order, and get what is in force there. */
typedef struct mt_dcm_charsets {
    mt_dcm_charset at[MT_DCM_MAX_DEPTH + 1];
} mt_dcm_charsets;
const mt_dcm_charset *mt_dcm_charsets_follow(mt_dcm_charsets *sets, const mt_dcm_element *e);

/* Appends n bytes of text as UTF-8. The VR says what else than controls ends a run of another set:
 * the backslash in all but LT, ST, UT; ^ and = in PN. Returns the number of bytes that meant
 * nothing. */
size_t mt_dcm_decode(mt_buf *out, const mt_dcm_charset *set, mt_vr vr, const void *text, size_t n);

/* Value i of an element of text as it is written, without padding; as mt_dcm_string, but knows that
 * the backslash may be half of a character. p NULL when there is none. */
mt_dcm_text mt_dcm_charset_value(const mt_dcm_charset *set, const mt_dcm_element *e, size_t i);

/* Number of values, likewise. */
size_t mt_dcm_charset_count(const mt_dcm_charset *set, const mt_dcm_element *e);

/* Value i in UTF-8, NUL-terminated, cut to fit between characters; controls become spaces. For
 * every VR that is text or words; those without a character set are read as ASCII. Returns as
 * mt_dcm_decode. */
size_t mt_dcm_utf8(char *out, size_t room, const mt_dcm_charset *set, const mt_dcm_element *e,
                   size_t i);

#endif
